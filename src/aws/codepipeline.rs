//! CodePipeline: answers a job, once, within what the API takes.
//!
//! An answer that the API refuses for its form would leave the pipeline hanging, so every text is cut to its limit
//! here, at a character's boundary, and an empty one is replaced.
//!
//! Limits: <https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_PutJobFailureResult.html>

use aws_sdk_codepipeline::config::http::HttpResponse;
use aws_sdk_codepipeline::error::{BuildError, ProvideErrorMetadata, SdkError};
use aws_sdk_codepipeline::operation::put_job_success_result::builders::PutJobSuccessResultFluentBuilder;
use aws_sdk_codepipeline::types::{ExecutionDetails, FailureDetails, FailureType};
use aws_types::SdkConfig;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};

use super::chain;
use crate::failure::{Cause, Failure};
use crate::outcome::{JobReport, Outcome};
use crate::path::InvalidationPath;
use crate::trigger::codepipeline::JobId;

const MAX_MESSAGE_CHARACTERS: usize = 5_000;
const MAX_SUMMARY_CHARACTERS: usize = 2_048;
const MAX_EXTERNAL_EXECUTION_ID_CHARACTERS: usize = 1_500;

/// A client of CodePipeline.
#[derive(Clone, Debug)]
pub struct CodePipeline {
    client: aws_sdk_codepipeline::Client,
}

/// What became of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answered {
    /// The pipeline has it.
    Now,
    /// The job was no longer waiting: an earlier answer reached it, or it ran out of time.
    Before,
    /// CodePipeline knows no such job, or no longer.
    NotFound,
    /// CodePipeline refuses the answer for its form, and will again; the job is waiting still.
    Refused(String),
}

impl CodePipeline {
    /// Creates a client; nothing is sent.
    pub fn new(sdk: &SdkConfig) -> Self {
        Self {
            client: aws_sdk_codepipeline::Client::new(sdk),
        }
    }

    /// Tells the pipeline that the job succeeded, with the invalidations as output variables.
    ///
    /// # Errors
    ///
    /// A [`Failure`] where the answer was not taken until `deadline`.
    pub async fn succeed(
        &self,
        job: &JobId,
        report: &JobReport,
        deadline: Instant,
    ) -> Result<Answered, Failure> {
        let request = self.success(job, report, 100);
        let request = output_variables(report)
            .into_iter()
            .fold(request, |request, (name, value)| {
                request.output_variables(name, value)
            });
        delivered(
            "PutJobSuccessResult",
            job,
            timeout_at(deadline, request.send()).await,
        )
    }

    /// Tells the pipeline to start another job for this action, which brings the token back.
    ///
    /// # Errors
    ///
    /// A [`Failure`] where the answer was not taken until `deadline`.
    pub async fn go_on(
        &self,
        job: &JobId,
        report: &JobReport,
        (token, percent): (&str, i32),
        deadline: Instant,
    ) -> Result<Answered, Failure> {
        // Output variables are taken of the last job only.
        let request = self.success(job, report, percent).continuation_token(token);
        delivered(
            "PutJobSuccessResult",
            job,
            timeout_at(deadline, request.send()).await,
        )
    }

    fn success(
        &self,
        job: &JobId,
        report: &JobReport,
        percent: i32,
    ) -> PutJobSuccessResultFluentBuilder {
        let details = ExecutionDetails::builder()
            .summary(cut(&report.to_string(), MAX_SUMMARY_CHARACTERS))
            .set_external_execution_id(external_execution_id(&report.outcome))
            .percent_complete(percent)
            .build();
        self.client
            .put_job_success_result()
            .job_id(job.as_str())
            .execution_details(details)
    }

    /// Tells the pipeline that the job failed, and why.
    ///
    /// # Errors
    ///
    /// A [`Failure`] where the answer was not taken until `deadline`.
    pub async fn fail(
        &self,
        job: &JobId,
        failure: &Failure,
        outcome: &Outcome,
        deadline: Instant,
    ) -> Result<Answered, Failure> {
        let details = failure_details(failure, outcome)
            .map_err(|error| undelivered("PutJobFailureResult", job, &chain(&error)))?;
        let request = self
            .client
            .put_job_failure_result()
            .job_id(job.as_str())
            .failure_details(details);
        let answer = timeout_at(deadline, request.send()).await;
        delivered("PutJobFailureResult", job, answer)
    }
}

fn failure_details(failure: &Failure, outcome: &Outcome) -> Result<FailureDetails, BuildError> {
    let kind = match failure.cause {
        Cause::Mistake | Cause::Path => FailureType::ConfigurationError,
        Cause::Permission => FailureType::PermissionError,
        Cause::Busy | Cause::Unavailable => FailureType::SystemUnavailable,
        Cause::Bug => FailureType::JobFailed,
    };
    FailureDetails::builder()
        .r#type(kind)
        .message(cut(&failure.message, MAX_MESSAGE_CHARACTERS))
        .set_external_execution_id(external_execution_id(outcome))
        .build()
}

fn output_variables(report: &JobReport) -> [(&'static str, String); 6] {
    let outcome = &report.outcome;
    let distributions: Vec<_> = outcome
        .reports
        .iter()
        .map(|report| report.batch.distribution.as_str())
        .collect();
    let paths: Vec<_> = outcome
        .paths()
        .into_iter()
        .map(InvalidationPath::as_str)
        .collect();
    [
        ("InvalidationIds", outcome.invalidation_ids().join(",")),
        ("DistributionIds", distributions.join(",")),
        ("Paths", paths.join(",")),
        ("PathCount", outcome.path_count().to_string()),
        ("WaitedSeconds", report.waited.as_secs().to_string()),
        ("Status", report.freshness.status().to_owned()),
    ]
}

fn external_execution_id(outcome: &Outcome) -> Option<String> {
    let ids = outcome.invalidation_ids().join(",");
    (!ids.is_empty()).then(|| cut(&ids, MAX_EXTERNAL_EXECUTION_ID_CHARACTERS))
}

/// Returns a text that the API takes: not empty, and at most `limit` bytes long, which is never more than as many
/// characters.
fn cut(text: &str, limit: usize) -> String {
    match text {
        "" => "no details".to_owned(),
        text if text.len() <= limit => text.to_owned(),
        text => format!(
            "{}…",
            &text[..text.floor_char_boundary(limit - '…'.len_utf8())]
        ),
    }
}

/// Tells whether the job has an answer now.
fn delivered<O, E>(
    operation: &str,
    job: &JobId,
    answer: Result<Result<O, SdkError<E, HttpResponse>>, Elapsed>,
) -> Result<Answered, Failure>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let error = match answer {
        Ok(Ok(_)) => return Ok(Answered::Now),
        Ok(Err(error)) => error,
        Err(_) => {
            return Err(undelivered(
                operation,
                job,
                "no reply before the function's time was up",
            ));
        }
    };
    let status = error
        .raw_response()
        .map(|response| response.status().as_u16());
    match (error.code().unwrap_or_default(), status) {
        ("InvalidJobStateException", _) => Ok(Answered::Before),
        ("JobNotFoundException", _) => Ok(Answered::NotFound),
        ("ValidationException" | "OutputVariablesSizeExceededException", _) => {
            Ok(Answered::Refused(super::said(&error)))
        }
        ("AccessDeniedException" | "AccessDenied", _) | (_, Some(401 | 403)) => {
            let failure = Failure::missing_permission(&format!("codepipeline:{operation}"), "*");
            Err(failure.within(format_args!("the answer to job {job} was not delivered")))
        }
        _ => Err(undelivered(operation, job, &super::said(&error))),
    }
}

fn undelivered(operation: &str, job: &JobId, said: &str) -> Failure {
    Failure::unavailable(format!(
        "the answer to job {job} was not delivered by {operation}: {said}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_a_text_at_a_character_and_never_leaves_it_empty() {
        assert_eq!(cut("", 10), "no details");
        assert_eq!(cut("0123456789", 10), "0123456789");
        assert_eq!(cut("0123456789a", 10), "0123456…");
        assert_eq!(cut("éééééé", 10), "ééé…");
        assert!(cut(&"é".repeat(6_000), MAX_MESSAGE_CHARACTERS).len() <= MAX_MESSAGE_CHARACTERS);
    }
}
