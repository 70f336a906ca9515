//! CodePipeline as a Lambda action sees it: each job gets exactly one result.
//!
//! A job starts with the event that invokes the function, and is in progress until the
//! function sends a result. Success without a continuation token ends the job. Success
//! with one ends this job and starts the next, under a new id, whose event carries the
//! token: everything that the function must remember is in it. A second result for a
//! job is rejected, and so is one that breaks the documented form, after which the live
//! service leaves the pipeline waiting for 20 minutes. Every result is recorded
//! completely, because its message is what the console shows.
//!
//! The credentials in the events are plainly fake. A test searches the log for them,
//! where they must never be.
//!
//! API: <https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_PutJobSuccessResult.html>

use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::fault::{ACCOUNT, ApiError, Operation};

const TARGET_HEADER: &str = "x-amz-target";
const TARGET_PREFIX: &str = "CodePipeline_20150709.";
const MAX_CONFIGURATION_VALUE: usize = 1_000;
const MAX_OUTPUT_VARIABLES_BYTES: usize = 122_880;
const FAILURE_TYPES: [&str; 6] = [
    "JobFailed",
    "ConfigurationError",
    "PermissionError",
    "RevisionOutOfSync",
    "RevisionUnavailable",
    "SystemUnavailable",
];

/// The members that a result must have.
const REQUIRED_OF_SUCCESS: &[&str] = &["/jobId"];
const REQUIRED_OF_FAILURE: &[&str] = &[
    "/jobId",
    "/failureDetails",
    "/failureDetails/type",
    "/failureDetails/message",
];

/// The greatest length of each text in a result; the least is 1 for all.
const MAX_LENGTHS: &[(&str, usize)] = &[
    ("/jobId", 36),
    ("/continuationToken", 2_048),
    ("/executionDetails/summary", 2_048),
    ("/executionDetails/externalExecutionId", 1_500),
    ("/failureDetails/message", 5_000),
    ("/failureDetails/externalExecutionId", 1_500),
];

pub(super) const JOB_NOT_FOUND: &str = "Could not find the job.";
const INVALID_JOB_STATE: &str = "The job has already been answered.";

/// The state of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobState {
    /// It has no result yet.
    InProgress,
    /// It succeeded without a continuation token.
    Succeeded,
    /// It failed.
    Failed,
    /// It succeeded with a continuation token, so another job continues it.
    Continued,
}

/// A job in its current state.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// The job's id.
    pub id: String,
    /// The event that Lambda receives for it.
    pub event: Value,
    /// Whether it has a result, and which.
    pub state: JobState,
    /// The id of the job that continues this one.
    pub next: Option<String>,
}

/// A received job result, which can be a rejected one.
#[derive(Clone, Debug, PartialEq)]
pub struct JobResult {
    /// PutJobSuccessResult or PutJobFailureResult.
    pub operation: Operation,
    /// The complete request; null if it was not JSON.
    pub body: Value,
    /// The code of the error or the name of the fault, if it was rejected.
    pub error: Option<String>,
}

impl JobResult {
    /// Returns the id of the job that it is for.
    pub fn job_id(&self) -> Option<&str> {
        self.body["jobId"].as_str()
    }
}

/// The jobs and their results.
#[derive(Default)]
pub(super) struct CodePipeline {
    jobs: Vec<Job>,
    results: Vec<JobResult>,
    started: u64,
}

impl CodePipeline {
    /// Starts a job; the error is why CodePipeline would reject the action's configuration.
    pub(super) fn start(&mut self, user_parameters: Option<&str>) -> Result<Job, String> {
        let length = user_parameters.unwrap_or_default().chars().count();
        if length > MAX_CONFIGURATION_VALUE {
            let length = format!("{length} of at most 1,000 characters");
            return Err(format!("UserParameters: {length}"));
        }
        let mut configuration = json!({"FunctionName": "cloudfront-invalidator"});
        if let Some(parameters) = user_parameters {
            configuration["UserParameters"] = json!(parameters);
        }
        Ok(self.add_job(&configuration, None))
    }

    pub(super) fn job(&self, id: &str) -> Option<&Job> {
        self.jobs.iter().find(|job| job.id == id)
    }

    pub(super) fn results(&self) -> &[JobResult] {
        &self.results
    }

    /// Deletes the jobs and results; ids continue, so that none is used twice.
    pub(super) fn reset(&mut self) {
        *self = Self {
            started: self.started,
            ..Self::default()
        };
    }

    /// Applies a result to its job by the rules, and records it.
    pub(super) fn put_result(&mut self, operation: Operation, body: &[u8]) -> Result<(), ApiError> {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let applied = self.apply(operation, &body);
        let error = applied.as_ref().err().map(|error| error.code.clone());
        self.record(operation, body, error);
        applied
    }

    /// Records a result that a fault rejected before the rules.
    pub(super) fn record_error(&mut self, operation: Operation, body: &[u8], code: &str) {
        let body = serde_json::from_slice(body).unwrap_or_default();
        self.record(operation, body, Some(code.to_owned()));
    }

    fn record(&mut self, operation: Operation, body: Value, error: Option<String>) {
        self.results.push(JobResult {
            operation,
            body,
            error,
        });
    }

    fn apply(&mut self, operation: Operation, body: &Value) -> Result<(), ApiError> {
        match operation {
            Operation::PutJobFailureResult => check_failure(body)?,
            _ => check_success(body)?,
        }
        let id = body["jobId"].as_str().unwrap_or_default();
        let Some(index) = self.jobs.iter().position(|job| job.id == id) else {
            return Err(ApiError::new(400, "JobNotFoundException", JOB_NOT_FOUND));
        };
        if self.jobs[index].state != JobState::InProgress {
            let code = "InvalidJobStateException";
            return Err(ApiError::new(400, code, INVALID_JOB_STATE));
        }
        let token = body["continuationToken"].as_str();
        self.jobs[index].state = match (operation, token) {
            (Operation::PutJobFailureResult, _) => JobState::Failed,
            (_, None) => JobState::Succeeded,
            (_, Some(_)) => JobState::Continued,
        };
        if self.jobs[index].state == JobState::Continued {
            let data = &self.jobs[index].event["CodePipeline.job"]["data"];
            let configuration = data["actionConfiguration"]["configuration"].clone();
            let next = self.add_job(&configuration, token);
            self.jobs[index].next = Some(next.id);
        }
        Ok(())
    }

    fn add_job(&mut self, configuration: &Value, token: Option<&str>) -> Job {
        self.started += 1;
        let id = format!("11111111-abcd-4111-abcd-{:012x}", self.started);
        let event = job_event(&id, configuration, token);
        let job = Job {
            id,
            event,
            state: JobState::InProgress,
            next: None,
        };
        self.jobs.push(job.clone());
        job
    }
}

fn job_event(id: &str, configuration: &Value, token: Option<&str>) -> Value {
    let mut data = json!({
        "actionConfiguration": {"configuration": configuration},
        "inputArtifacts": [{
            "name": "SiteBuild",
            "revision": null,
            "location": {
                "type": "S3",
                "s3Location": {
                    "bucketName": "codepipeline-us-east-1-111122223333",
                    "objectKey": "site/SiteBuild/EXAMPLE.zip"
                }
            }
        }],
        "outputArtifacts": [],
        "artifactCredentials": {
            "accessKeyId": "EXAMPLE-ACCESS-KEY-ID",
            "secretAccessKey": "EXAMPLE-SECRET-ACCESS-KEY",
            "sessionToken": "EXAMPLE-SECRET-SESSION-TOKEN",
            "expirationTime": 1_767_229_200_000_u64
        },
        "encryptionKey": {
            "id": "arn:aws:kms:us-east-1:111122223333:key/EXAMPLE",
            "type": "KMS"
        }
    });
    if let Some(token) = token {
        data["continuationToken"] = json!(token);
    }
    json!({"CodePipeline.job": {"id": id, "accountId": ACCOUNT, "data": data}})
}

/// Returns the operation that a request's target header names; `None` if it is not CodePipeline's.
pub(super) fn operation(head: &Parts) -> Option<Operation> {
    let target = head.headers.get(TARGET_HEADER)?.to_str().ok()?;
    match target.strip_prefix(TARGET_PREFIX)? {
        "PutJobSuccessResult" => Some(Operation::PutJobSuccessResult),
        "PutJobFailureResult" => Some(Operation::PutJobFailureResult),
        _ => None,
    }
}

fn check_success(body: &Value) -> Result<(), ApiError> {
    check_texts(body, REQUIRED_OF_SUCCESS)?;
    if let Some(percent) = member(body, "/executionDetails/percentComplete")
        && percent.as_u64().is_none_or(|percent| percent > 100)
    {
        return Err(violation(
            "executionDetails.percentComplete",
            "be between 0 and 100",
        ));
    }
    match member(body, "/outputVariables") {
        Some(variables) => check_variables(variables, member(body, "/continuationToken").is_some()),
        None => Ok(()),
    }
}

fn check_failure(body: &Value) -> Result<(), ApiError> {
    check_texts(body, REQUIRED_OF_FAILURE)?;
    let kind = body["failureDetails"]["type"].as_str().unwrap_or_default();
    if FAILURE_TYPES.contains(&kind) {
        return Ok(());
    }
    let enumeration = format!("satisfy enum value set: [{}]", FAILURE_TYPES.join(", "));
    Err(violation("failureDetails.type", &enumeration))
}

fn check_texts(body: &Value, required: &[&str]) -> Result<(), ApiError> {
    if let Some(missing) = required
        .iter()
        .find(|pointer| member(body, pointer).is_none())
    {
        return Err(violation(missing, "not be null"));
    }
    for &(pointer, max) in MAX_LENGTHS {
        let Some(value) = member(body, pointer) else {
            continue;
        };
        let length = value.as_str().map_or(0, |text| text.chars().count());
        if !(1..=max).contains(&length) {
            return Err(violation(
                pointer,
                &format!("be text of 1 to {max} characters"),
            ));
        }
    }
    Ok(())
}

fn check_variables(variables: &Value, continued: bool) -> Result<(), ApiError> {
    let at = "outputVariables";
    let Some(variables) = variables.as_object() else {
        return Err(violation(at, "be a map"));
    };
    if continued {
        return Err(violation(
            at,
            "not be given together with continuationToken",
        ));
    }
    let mut bytes = 0;
    for (key, value) in variables {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"@-_".contains(&byte);
        if key.is_empty() || !key.bytes().all(legal) {
            return Err(violation(at, "have keys of the pattern [A-Za-z0-9@\\-_]+"));
        }
        let Some(value) = value.as_str() else {
            return Err(violation(at, "have values that are text"));
        };
        bytes += key.len() + value.len();
    }
    if bytes <= MAX_OUTPUT_VARIABLES_BYTES {
        return Ok(());
    }
    let message = format!("The output variables have {bytes} of at most 122,880 bytes.");
    Err(ApiError::new(
        400,
        "OutputVariablesSizeExceededException",
        message,
    ))
}

/// Returns a member; null is the same as absent, as in every AWS protocol.
fn member<'a>(body: &'a Value, pointer: &str) -> Option<&'a Value> {
    body.pointer(pointer).filter(|value| !value.is_null())
}

fn violation(at: &str, constraint: &str) -> ApiError {
    let at = at.trim_start_matches('/').replace('/', ".");
    let message = format!(
        "1 validation error detected: Value at '{at}' failed to satisfy constraint: \
         Member must {constraint}"
    );
    ApiError::new(400, "ValidationException", message)
}

/// Writes an error as CodePipeline does.
pub(super) fn error_response(error: &ApiError) -> Response {
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_REQUEST);
    let error_type = [("x-amzn-errortype", error.code.as_str())];
    let body = json!({"__type": error.code, "message": error.message});
    (status, error_type, amz_json(body.to_string())).into_response()
}

/// Writes the response to a result that was accepted.
pub(super) fn empty_response() -> Response {
    amz_json(String::new())
}

fn amz_json(body: String) -> Response {
    ([("content-type", "application/x-amz-json-1.1")], body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUCCESS: Operation = Operation::PutJobSuccessResult;
    const FAILURE: Operation = Operation::PutJobFailureResult;

    #[test]
    fn a_job_gets_one_result_and_continues_under_a_new_id() {
        let mut pipeline = CodePipeline::default();
        let first = pipeline.start(Some("{}")).expect("a short parameter");
        let token = json!({"jobId": first.id, "continuationToken": "t-1"}).to_string();
        assert_eq!(pipeline.put_result(SUCCESS, token.as_bytes()), Ok(()));
        let again = ApiError::new(400, "InvalidJobStateException", INVALID_JOB_STATE);
        assert_eq!(pipeline.put_result(SUCCESS, token.as_bytes()), Err(again));

        let second = "11111111-abcd-4111-abcd-000000000002".to_owned();
        let mut event = first.event.clone();
        event["CodePipeline.job"]["id"] = json!(second);
        event["CodePipeline.job"]["data"]["continuationToken"] = json!("t-1");
        let continued = Job {
            state: JobState::Continued,
            next: Some(second.clone()),
            ..first
        };
        let second_job = Job {
            id: second.clone(),
            event,
            state: JobState::InProgress,
            next: None,
        };
        assert_eq!(pipeline.jobs, [continued.clone(), second_job.clone()]);

        let failure = json!({
            "jobId": second,
            "failureDetails": {"type": "JobFailed", "message": "no"}
        });
        assert_eq!(
            pipeline.put_result(FAILURE, failure.to_string().as_bytes()),
            Ok(())
        );
        assert_eq!(
            pipeline.jobs,
            [
                continued,
                Job {
                    state: JobState::Failed,
                    ..second_job
                }
            ]
        );
        let errors: Vec<_> = pipeline
            .results
            .iter()
            .map(|result| result.error.as_deref())
            .collect();
        assert_eq!(errors, [None, Some("InvalidJobStateException"), None]);
        assert_eq!(
            pipeline.results[2],
            JobResult {
                operation: FAILURE,
                body: failure,
                error: None
            }
        );
    }

    #[test]
    fn malformed_results_are_rejected_and_leave_the_job_in_progress() {
        let text = |length| "é".repeat(length);
        let details = |name: &str, value: Value| json!({"executionDetails": {name: value}});
        let summary = |text: String| details("summary", json!(text));
        let percent = |percent: i32| details("percentComplete", json!(percent));
        let failure = |kind: &str, message: String| json!({"failureDetails": {"type": kind, "message": message}});
        let variables = |bytes: usize| json!({"outputVariables": {"k": "v".repeat(bytes - 1)}});
        let (accepted, invalid) = (None, Some("ValidationException"));
        let not_found = Some("JobNotFoundException");
        let too_large = Some("OutputVariablesSizeExceededException");
        let no_message = json!({"failureDetails": {"type": "JobFailed"}});
        let with_token = json!({"outputVariables": {}, "continuationToken": "t"});
        for (operation, members, error) in [
            (SUCCESS, json!({}), accepted),
            (SUCCESS, json!({"jobId": null}), invalid),
            (SUCCESS, json!({"jobId": "unknown"}), not_found),
            (SUCCESS, summary(text(2_048)), accepted),
            (SUCCESS, summary(text(2_049)), invalid),
            (SUCCESS, summary(String::new()), invalid),
            (
                SUCCESS,
                details("externalExecutionId", json!(text(1_501))),
                invalid,
            ),
            (SUCCESS, percent(100), accepted),
            (SUCCESS, percent(101), invalid),
            (SUCCESS, percent(-1), invalid),
            (SUCCESS, json!({"continuationToken": ""}), invalid),
            (SUCCESS, json!({"continuationToken": text(2_049)}), invalid),
            (SUCCESS, json!({"outputVariables": {"a@-_9": ""}}), accepted),
            (SUCCESS, json!({"outputVariables": {"a.b": ""}}), invalid),
            (SUCCESS, json!({"outputVariables": {"a": 1}}), invalid),
            (SUCCESS, with_token, invalid),
            (SUCCESS, variables(122_880), accepted),
            (SUCCESS, variables(122_881), too_large),
            (FAILURE, json!({}), invalid),
            (FAILURE, no_message, invalid),
            (FAILURE, failure("JobFailed", text(5_000)), accepted),
            (FAILURE, failure("JobFailed", text(5_001)), invalid),
            (FAILURE, failure("JobFailed", String::new()), invalid),
            (FAILURE, failure("TimedOut", text(1)), invalid),
        ] {
            let mut pipeline = CodePipeline::default();
            let job = pipeline.start(None).expect("no parameter");
            let mut body = json!({"jobId": job.id});
            let object = body.as_object_mut().expect("an object");
            object.extend(members.as_object().expect("an object").clone());
            let result = pipeline.put_result(operation, body.to_string().as_bytes());
            let code = result.err().map(|error| error.code);
            assert_eq!(code.as_deref(), error, "{members}");
            let in_progress = pipeline.jobs[0].state == JobState::InProgress;
            assert_eq!(in_progress, error.is_some(), "{members}");
        }
    }
}
