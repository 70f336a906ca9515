//! CodePipeline: reports the result of a job, within the limits of the API.
//!
//! A result that the API rejects for its form would leave the pipeline waiting, so every text is truncated to its limit
//! at a character boundary, and an empty one is replaced. This module is also the only classifier of CodePipeline's
//! errors.
//!
//! Limits: <https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_PutJobFailureResult.html>

use aws_sdk_codepipeline::config::endpoint::{DefaultResolver, Params, ResolveEndpoint};
use aws_sdk_codepipeline::config::http::HttpResponse;
use aws_sdk_codepipeline::config::timeout::TimeoutConfig;
use aws_sdk_codepipeline::config::{Builder, Config};
use aws_sdk_codepipeline::error::{BuildError, ProvideErrorMetadata, SdkError};
use aws_sdk_codepipeline::types::{ExecutionDetails, FailureDetails, FailureType};
use aws_types::SdkConfig;
use futures_util::FutureExt;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};

use super::sdk::{ATTEMPT_TIMEOUT, service_endpoint};
use super::sdk_error::{aws_message, credentials_error, with_causes};
#[cfg(feature = "cli")]
use crate::aws::call_log::CallLog;
use crate::error::{Category, Error, ErrorKind};
use crate::invocation::{RESPONSE_BACKOFF, response_attempt_timeout};
use crate::outcome::{Detail, JobReport, Outcome};
use crate::trigger::codepipeline::JobId;

const MAX_MESSAGE_CHARACTERS: usize = 5_000;
const MAX_SUMMARY_CHARACTERS: usize = 2_048;
const MAX_EXTERNAL_EXECUTION_ID_CHARACTERS: usize = 1_500;

/// A client of CodePipeline.
#[derive(Clone, Debug)]
pub struct CodePipeline {
    client: aws_sdk_codepipeline::Client,
}

fn config(sdk: &SdkConfig) -> Builder {
    let config = Builder::from(sdk);
    match sdk.retry_config() {
        Some(retry) => config.retry_config(retry.clone().with_initial_backoff(RESPONSE_BACKOFF)),
        None => config,
    }
}

/// What CodePipeline did with a job's result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It accepted the result.
    Accepted,
    /// The job was no longer in progress: it has a result already, or its time was over.
    JobNotInProgress,
    /// It does not have the job, or no longer; AWS's message.
    JobNotFound(String),
    /// It rejects the form of the result, and will again; AWS's message. The job is still in progress.
    Rejected(String),
}

/// How an action continues that is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Continuation {
    /// What the next job of the action brings back.
    pub token: String,
    /// How much of the work is done, 0 to 100.
    pub percent: i32,
}

/// Returns the URL to which a client with this configuration sends its requests; `None` if there is none.
pub fn endpoint_url(sdk: &SdkConfig) -> Option<String> {
    let params = Params::builder()
        .set_region(sdk.region().map(ToString::to_string))
        .set_use_fips(sdk.use_fips())
        .set_use_dual_stack(sdk.use_dual_stack())
        .set_endpoint(service_endpoint(sdk, "CodePipeline"))
        .build();
    let resolver = DefaultResolver::new();
    let endpoint = resolver.resolve_endpoint(&params.ok()?).now_or_never()?;
    Some(endpoint.ok()?.url().to_owned())
}

impl CodePipeline {
    /// Creates a client; sends nothing.
    ///
    /// Retries cost tokens, of which the SDK has 500 for each service and region in a process. Calls of CloudFront do not
    /// use those of CodePipeline, and a retry that succeeds returns its own. So they are used up only if CodePipeline is
    /// unavailable for many results in turn. Each result is then sent once, and Lambda retries the event.
    pub fn new(sdk: &SdkConfig) -> Self {
        Self {
            client: aws_sdk_codepipeline::Client::from_conf(config(sdk).build()),
        }
    }

    /// Creates a client that prints its calls.
    #[cfg(feature = "cli")]
    pub fn with_call_log(sdk: &SdkConfig, calls: CallLog) -> Self {
        let config = config(sdk).interceptor(calls);
        Self {
            client: aws_sdk_codepipeline::Client::from_conf(config.build()),
        }
    }

    /// Reports that the job succeeded, with the invalidations as output variables, or that the action continues:
    /// CodePipeline then starts another job for it, which brings the token back.
    ///
    /// # Errors
    ///
    /// [`Error`] if CodePipeline did not respond before `deadline`, or failed.
    pub async fn put_success(
        &self,
        job: &JobId,
        report: &JobReport,
        continuation: Option<&Continuation>,
        detail: Detail,
        deadline: Instant,
    ) -> Result<Delivery, Error> {
        let mut details = ExecutionDetails::builder()
            .summary(truncated(&report.summary(detail), MAX_SUMMARY_CHARACTERS))
            .percent_complete(continuation.map_or(100, |continuation| continuation.percent));
        if detail == Detail::Full {
            details = details.set_external_execution_id(external_execution_id(&report.outcome));
        }
        let mut request = self
            .client
            .put_job_success_result()
            .job_id(job.as_str())
            .execution_details(details.build())
            .set_continuation_token(continuation.map(|continuation| continuation.token.clone()));
        // CodePipeline takes output variables from the last job only.
        if continuation.is_none() && detail != Detail::NoVariables {
            for (name, value) in report.output_variables() {
                request = request.output_variables(name, value);
            }
        }
        let request = request.customize().config_override(in_time(deadline));
        let response = timeout_at(deadline, request.send()).await;
        delivery("PutJobSuccessResult", job, response)
    }

    /// Reports that the job failed: the failure type by the category, the text of `message`, and the invalidations that
    /// exist all the same.
    ///
    /// # Errors
    ///
    /// [`Error`] if CodePipeline did not respond before `deadline`, or failed.
    pub async fn put_failure(
        &self,
        job: &JobId,
        category: Category,
        message: &str,
        outcome: &Outcome,
        deadline: Instant,
    ) -> Result<Delivery, Error> {
        let details = failure_details(category, message, outcome)
            .map_err(|error| unavailable("PutJobFailureResult", job, with_causes(&error)))?;
        let request = self
            .client
            .put_job_failure_result()
            .job_id(job.as_str())
            .failure_details(details)
            .customize()
            .config_override(in_time(deadline));
        let response = timeout_at(deadline, request.send()).await;
        delivery("PutJobFailureResult", job, response)
    }
}

/// Limits each attempt of a call, so that a few of them are possible before the deadline.
fn in_time(deadline: Instant) -> Builder {
    let left = deadline.saturating_duration_since(Instant::now());
    let attempt = response_attempt_timeout(left).min(ATTEMPT_TIMEOUT);
    let timeouts = TimeoutConfig::builder().operation_attempt_timeout(attempt);
    Config::builder().timeout_config(timeouts.build())
}

fn failure_details(
    category: Category,
    message: &str,
    outcome: &Outcome,
) -> Result<FailureDetails, BuildError> {
    let failure_type = match category {
        Category::InvalidInput | Category::RejectedPath => FailureType::ConfigurationError,
        Category::Permission => FailureType::PermissionError,
        Category::Throttled | Category::Unavailable => FailureType::SystemUnavailable,
        Category::Stale | Category::Internal => FailureType::JobFailed,
    };
    FailureDetails::builder()
        .r#type(failure_type)
        .message(truncated(message, MAX_MESSAGE_CHARACTERS))
        .set_external_execution_id(external_execution_id(outcome))
        .build()
}

fn external_execution_id(outcome: &Outcome) -> Option<String> {
    let ids = outcome.invalidation_ids().join(",");
    (!ids.is_empty()).then(|| truncated(&ids, MAX_EXTERNAL_EXECUTION_ID_CHARACTERS))
}

/// Returns a text that the API accepts: not empty, and at most `limit` bytes long, which is at most as many characters.
fn truncated(text: &str, limit: usize) -> String {
    if text.is_empty() {
        return "no details".to_owned();
    }
    if text.len() <= limit {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(limit.saturating_sub('…'.len_utf8()));
    format!("{}…", text.get(..end).unwrap_or_default())
}

/// Classifies CodePipeline's response.
fn delivery<O, E>(
    operation: &str,
    job: &JobId,
    response: Result<Result<O, SdkError<E, HttpResponse>>, Elapsed>,
) -> Result<Delivery, Error>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let error = match response {
        Ok(Ok(_)) => return Ok(Delivery::Accepted),
        Ok(Err(error)) => error,
        Err(_elapsed) => {
            return Err(unavailable(
                operation,
                job,
                "no response in time".to_owned(),
            ));
        }
    };
    let status = error
        .raw_response()
        .map(|response| response.status().as_u16());
    let code = error.code().unwrap_or_default();
    let message = aws_message(&error);
    let kind = match (code, status) {
        ("InvalidJobStateException", _) => return Ok(Delivery::JobNotInProgress),
        ("JobNotFoundException", _) => return Ok(Delivery::JobNotFound(message)),
        ("ValidationException" | "OutputVariablesSizeExceededException", _) => {
            return Ok(Delivery::Rejected(message));
        }
        _ => match credentials_error(code, &message) {
            Some(kind) => kind,
            None if status == Some(401)
                || status == Some(403)
                || code.starts_with("AccessDenied") =>
            {
                ErrorKind::AccessDenied {
                    action: format!("codepipeline:{operation}"),
                    resource: "*".to_owned(),
                    message,
                }
            }
            None => return Err(unavailable(operation, job, message)),
        },
    };
    let context = format!("could not report the result of job {job}");
    Err(Error::from(kind).context(context))
}

fn unavailable(operation: &str, job: &JobId, message: String) -> Error {
    let purpose = format!("report the result of job {job} with {operation}");
    ErrorKind::Unavailable { purpose, message }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truncates_a_text_at_a_character_boundary_and_never_leaves_it_empty() {
        assert_eq!(truncated("", 10), "no details");
        assert_eq!(truncated("0123456789", 10), "0123456789");
        assert_eq!(truncated("0123456789a", 10), "0123456…");
        assert_eq!(truncated("éééééé", 10), "ééé…");
        assert!(
            truncated(&"é".repeat(6_000), MAX_MESSAGE_CHARACTERS).len() <= MAX_MESSAGE_CHARACTERS
        );
    }
}
