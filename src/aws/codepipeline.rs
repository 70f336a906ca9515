//! CodePipeline: reports the result of a job, within the limits of the API.
//!
//! A result that the API rejects for its form would leave the pipeline waiting, so every text is truncated to its limit
//! at a character boundary, and an empty one is replaced. This module is also the only classifier of CodePipeline's
//! errors. A call is attempted up to four times (`signed_json::CODEPIPELINE`).
//!
//! Limits: <https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_PutJobFailureResult.html>

use aws_types::SdkConfig;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::sdk_error::credentials_error;
use super::signed_json::{self, CallError, SignedJson};
#[cfg(feature = "cli")]
use crate::aws::call_log::CallLog;
use crate::clock::Clock;
use crate::error::{Category, Error, ErrorKind};
use crate::outcome::{Detail, JobReport, Outcome};
use crate::trigger::codepipeline::JobId;

const MAX_MESSAGE_CHARACTERS: usize = 5_000;
const MAX_SUMMARY_CHARACTERS: usize = 2_048;
const MAX_EXTERNAL_EXECUTION_ID_CHARACTERS: usize = 1_500;

/// A client of CodePipeline.
#[derive(Clone, Debug)]
pub struct CodePipeline {
    client: SignedJson,
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

impl CodePipeline {
    /// Creates a client; sends nothing. The clock is that of signatures and of the pauses between attempts.
    pub fn new(sdk: &SdkConfig, clock: Clock) -> Self {
        Self {
            client: SignedJson::new(&signed_json::CODEPIPELINE, sdk, clock),
        }
    }

    /// Prints each call.
    #[cfg(feature = "cli")]
    pub fn with_call_log(self, calls: CallLog) -> Self {
        Self {
            client: self.client.with_call_log(calls),
        }
    }

    /// Returns the URL to which it sends its requests; `None` if there is none.
    pub fn endpoint_url(&self) -> Option<String> {
        let endpoint = self.client.endpoint_in(self.client.region());
        endpoint.ok().map(|endpoint| endpoint.url)
    }

    /// Reports that the job succeeded, with the invalidations as output variables, or that the action continues:
    /// CodePipeline then starts another job for it, which brings the token back.
    ///
    /// # Errors
    ///
    /// [`Error`] if the request could not be sent or was not permitted, or if CodePipeline failed or did not respond before
    /// `deadline`.
    pub async fn put_success(
        &self,
        job: &JobId,
        report: &JobReport,
        continuation: Option<&Continuation>,
        detail: Detail,
        deadline: Instant,
    ) -> Result<Delivery, Error> {
        let mut details = Map::new();
        let summary = truncated(&report.summary(detail), MAX_SUMMARY_CHARACTERS);
        details.insert("summary".to_owned(), summary.into());
        let percent = continuation.map_or(100, |continuation| continuation.percent);
        details.insert("percentComplete".to_owned(), percent.into());
        if detail == Detail::Full {
            details.extend(external_execution_id(&report.outcome));
        }
        let mut input = Map::new();
        input.insert("jobId".to_owned(), job.as_str().into());
        input.insert("executionDetails".to_owned(), details.into());
        if let Some(continuation) = continuation {
            let token = continuation.token.as_str().into();
            input.insert("continuationToken".to_owned(), token);
        }
        // CodePipeline takes output variables from the last job only.
        if continuation.is_none() && detail != Detail::NoVariables {
            let variables = report.output_variables().into_iter();
            let variables = variables.map(|(name, value)| (name.to_owned(), Value::from(value)));
            input.insert("outputVariables".to_owned(), variables.collect());
        }
        self.put("PutJobSuccessResult", job, &input.into(), deadline)
            .await
    }

    /// Reports that the job failed: the failure type by the category, the text of `message`, and the invalidations that
    /// exist all the same.
    ///
    /// # Errors
    ///
    /// As [`Self::put_success`].
    pub async fn put_failure(
        &self,
        job: &JobId,
        category: Category,
        message: &str,
        outcome: &Outcome,
        deadline: Instant,
    ) -> Result<Delivery, Error> {
        let mut details = Map::new();
        details.insert("type".to_owned(), failure_type(category).into());
        let message = truncated(message, MAX_MESSAGE_CHARACTERS);
        details.insert("message".to_owned(), message.into());
        details.extend(external_execution_id(outcome));
        let input = json!({"jobId": job.as_str(), "failureDetails": details});
        self.put("PutJobFailureResult", job, &input, deadline).await
    }

    async fn put(
        &self,
        operation: &'static str,
        job: &JobId,
        input: &Value,
        deadline: Instant,
    ) -> Result<Delivery, Error> {
        let result = match self.client.endpoint_in(self.client.region()) {
            Ok(endpoint) => {
                self.client
                    .call(&endpoint, operation, input, deadline)
                    .await
            }
            Err(error) => Err(error),
        };
        match result {
            Ok(_no_output) => Ok(Delivery::Accepted),
            Err(error) => delivery(operation, job, error),
        }
    }
}

/// Returns the `FailureType` of the API.
fn failure_type(category: Category) -> &'static str {
    match category {
        Category::InvalidInput | Category::RejectedPath => "ConfigurationError",
        Category::Permission => "PermissionError",
        Category::Throttled | Category::Unavailable => "SystemUnavailable",
        Category::Stale | Category::Internal => "JobFailed",
    }
}

/// Returns the member with the ids of the invalidations, if there are any.
fn external_execution_id(outcome: &Outcome) -> Option<(String, Value)> {
    let ids = outcome.invalidation_ids().join(",");
    let ids = (!ids.is_empty()).then(|| truncated(&ids, MAX_EXTERNAL_EXECUTION_ID_CHARACTERS));
    Some(("externalExecutionId".to_owned(), ids?.into()))
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

/// Classifies an error: what CodePipeline did with the result, or the error of the function. All that is not known to be permanent
/// counts as unavailable: the job has no result yet, and Lambda retries the event.
fn delivery(operation: &str, job: &JobId, error: CallError) -> Result<Delivery, Error> {
    let rejection = match error {
        CallError::Rejected(rejection) => rejection,
        CallError::NotSent(message) | CallError::NoResponse(message) => {
            return Err(unavailable(operation, job, message));
        }
        CallError::NoCredentials(message) => {
            let message = message.unwrap_or_else(|| "there are no credentials".to_owned());
            return Err(unavailable(operation, job, message));
        }
        CallError::Unreadable(message) => {
            return Err(unavailable(operation, job, message.to_owned()));
        }
    };
    let (code, message) = (rejection.code.as_str(), rejection.text());
    let kind = match code {
        "InvalidJobStateException" => return Ok(Delivery::JobNotInProgress),
        "JobNotFoundException" => return Ok(Delivery::JobNotFound(message)),
        "ValidationException" | "OutputVariablesSizeExceededException" => {
            return Ok(Delivery::Rejected(message));
        }
        _ => match credentials_error(code, &message) {
            Some(kind) => kind,
            None if rejection.is_access_denied() => ErrorKind::AccessDenied {
                action: format!("codepipeline:{operation}"),
                resource: "*".to_owned(),
                message,
            },
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
