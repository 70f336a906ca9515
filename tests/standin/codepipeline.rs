//! CodePipeline as a Lambda action sees it: jobs that must be answered once.
//!
//! A job begins with the event that invokes the function and is in progress until a
//! result comes. Success without a continuation token ends it; with one it ends this
//! job and begins the next, under a new id, whose event carries the token: whatever
//! the function wants to remember must be inside. A second answer to a job is
//! refused, and so is one that breaks the documented shape, which on the live
//! service leaves the pipeline waiting for 20 minutes. Every answer is kept whole,
//! for what a person reads in the console is the message inside.
//!
//! The credentials in the events are plainly fake, so that a test can look for them
//! in a log, where they must never be.

use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::fault::{Operation, Refusal, named};

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

/// The members that an answer must have.
const REQUIRED_OF_SUCCESS: &[&str] = &["/jobId"];
const REQUIRED_OF_FAILURE: &[&str] = &[
    "/jobId",
    "/failureDetails",
    "/failureDetails/type",
    "/failureDetails/message",
];

/// The greatest length of each text in an answer; the least is 1 for all.
const MAX_LENGTHS: &[(&str, usize)] = &[
    ("/jobId", 36),
    ("/continuationToken", 2_048),
    ("/executionDetails/summary", 2_048),
    ("/executionDetails/externalExecutionId", 1_500),
    ("/failureDetails/message", 5_000),
    ("/failureDetails/externalExecutionId", 1_500),
];

pub(super) const JOB_NOT_FOUND: &str = "Could not find the job.";
pub(super) const INVALID_JOB_STATE: &str = "The job has already been answered.";

named! {
    /// Says how far a job is.
    JobState: InProgress, Succeeded, Failed, Continued,
}

/// Holds a job as it stands now.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// The job's id.
    pub id: String,
    /// The event that Lambda receives for it.
    pub event: Value,
    /// How far it is.
    pub state: JobState,
    /// The id of the job that continues this one.
    pub next: Option<String>,
}

/// Records an answer to a job as it was received, refused ones too.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// PutJobSuccessResult or PutJobFailureResult.
    pub operation: Operation,
    /// The whole request; null if it was not JSON.
    pub body: Value,
    /// The code of the error or the name of the fault, if it was refused.
    pub error: Option<String>,
}

impl Answer {
    /// Returns the id of the job that was answered.
    pub fn job_id(&self) -> Option<&str> {
        self.body["jobId"].as_str()
    }
}

/// Keeps the jobs and what was said to them.
#[derive(Default)]
pub(super) struct CodePipeline {
    jobs: Vec<Job>,
    answers: Vec<Answer>,
    started: u64,
}

impl CodePipeline {
    /// Starts a job; the error says why CodePipeline would not have the action.
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
        Ok(self.begin(&configuration, None))
    }

    pub(super) fn job(&self, id: &str) -> Option<&Job> {
        self.jobs.iter().find(|job| job.id == id)
    }

    pub(super) fn answers(&self) -> &[Answer] {
        &self.answers
    }

    /// Forgets what happened; ids go on, so that none comes twice within a run.
    pub(super) fn reset(&mut self) {
        *self = Self {
            started: self.started,
            ..Self::default()
        };
    }

    /// Carries an answer out by the rules and records it.
    pub(super) fn answer(&mut self, operation: Operation, body: &[u8]) -> Result<(), Refusal> {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let verdict = self.judge(operation, &body);
        let error = verdict.as_ref().err().map(|refusal| refusal.code);
        self.record(operation, body, error);
        verdict
    }

    /// Records an answer that was refused before it came to the rules.
    pub(super) fn refused_before(&mut self, operation: Operation, body: &[u8], reason: &str) {
        let body = serde_json::from_slice(body).unwrap_or_default();
        self.record(operation, body, Some(reason));
    }

    fn record(&mut self, operation: Operation, body: Value, error: Option<&str>) {
        let error = error.map(str::to_owned);
        let answer = Answer {
            operation,
            body,
            error,
        };
        self.answers.push(answer);
    }

    fn judge(&mut self, operation: Operation, body: &Value) -> Result<(), Refusal> {
        match operation {
            Operation::PutJobFailureResult => check_failure(body)?,
            _ => check_success(body)?,
        }
        let id = body["jobId"].as_str().unwrap_or_default();
        let Some(index) = self.jobs.iter().position(|job| job.id == id) else {
            return Err(Refusal::new(400, "JobNotFoundException", JOB_NOT_FOUND));
        };
        if self.jobs[index].state != JobState::InProgress {
            let code = "InvalidJobStateException";
            return Err(Refusal::new(400, code, INVALID_JOB_STATE));
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
            let next = self.begin(&configuration, token);
            self.jobs[index].next = Some(next.id);
        }
        Ok(())
    }

    fn begin(&mut self, configuration: &Value, token: Option<&str>) -> Job {
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
    json!({"CodePipeline.job": {"id": id, "accountId": "111122223333", "data": data}})
}

/// Names the operation that a request's target header asks for; none if it is not CodePipeline's.
pub(super) fn operation(head: &Parts) -> Option<Operation> {
    let target = head.headers.get(TARGET_HEADER)?.to_str().ok()?;
    match target.strip_prefix(TARGET_PREFIX)?.parse().ok()? {
        operation @ (Operation::PutJobSuccessResult | Operation::PutJobFailureResult) => {
            Some(operation)
        }
        _ => None,
    }
}

fn check_success(body: &Value) -> Result<(), Refusal> {
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

fn check_failure(body: &Value) -> Result<(), Refusal> {
    check_texts(body, REQUIRED_OF_FAILURE)?;
    let kind = body["failureDetails"]["type"].as_str().unwrap_or_default();
    if FAILURE_TYPES.contains(&kind) {
        return Ok(());
    }
    let enumeration = format!("satisfy enum value set: [{}]", FAILURE_TYPES.join(", "));
    Err(violation("failureDetails.type", &enumeration))
}

fn check_texts(body: &Value, required: &[&str]) -> Result<(), Refusal> {
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

fn check_variables(variables: &Value, continued: bool) -> Result<(), Refusal> {
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
    Err(Refusal::new(
        400,
        "OutputVariablesSizeExceededException",
        message,
    ))
}

/// Looks a member up; null is absent, as in every AWS protocol.
fn member<'a>(body: &'a Value, pointer: &str) -> Option<&'a Value> {
    body.pointer(pointer).filter(|value| !value.is_null())
}

fn violation(at: &str, constraint: &str) -> Refusal {
    let at = at.trim_start_matches('/').replace('/', ".");
    let message = format!(
        "1 validation error detected: Value at '{at}' failed to satisfy constraint: \
         Member must {constraint}"
    );
    Refusal::new(400, "ValidationException", message)
}

/// Writes a refusal as CodePipeline does.
pub(super) fn refuse(refusal: &Refusal) -> Response {
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_REQUEST);
    let body = json!({"__type": refusal.code, "message": refusal.message});
    (
        status,
        [("x-amzn-errortype", refusal.code)],
        amz_json(body.to_string()),
    )
        .into_response()
}

/// Writes the empty answer to a result that was accepted.
pub(super) fn accept(_: ()) -> Response {
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
    fn a_job_is_answered_once_and_continues_under_a_new_id() {
        let mut pipeline = CodePipeline::default();
        let first = pipeline.start(Some("{}")).expect("a short parameter");
        let token = json!({"jobId": first.id, "continuationToken": "t-1"}).to_string();
        assert_eq!(pipeline.answer(SUCCESS, token.as_bytes()), Ok(()));
        let again = Refusal::new(400, "InvalidJobStateException", INVALID_JOB_STATE);
        assert_eq!(pipeline.answer(SUCCESS, token.as_bytes()), Err(again));

        let second = "11111111-abcd-4111-abcd-000000000002".to_owned();
        let mut event = first.event.clone();
        event["CodePipeline.job"]["id"] = json!(second);
        event["CodePipeline.job"]["data"]["continuationToken"] = json!("t-1");
        let continued = Job {
            state: JobState::Continued,
            next: Some(second.clone()),
            ..first
        };
        let waiting = Job {
            id: second.clone(),
            event,
            state: JobState::InProgress,
            next: None,
        };
        assert_eq!(pipeline.jobs, [continued.clone(), waiting.clone()]);

        let failure = json!({
            "jobId": second,
            "failureDetails": {"type": "JobFailed", "message": "no"}
        });
        assert_eq!(
            pipeline.answer(FAILURE, failure.to_string().as_bytes()),
            Ok(())
        );
        assert_eq!(
            pipeline.jobs,
            [
                continued,
                Job {
                    state: JobState::Failed,
                    ..waiting
                }
            ]
        );
        let errors: Vec<_> = pipeline
            .answers
            .iter()
            .map(|one| one.error.as_deref())
            .collect();
        assert_eq!(errors, [None, Some("InvalidJobStateException"), None]);
        assert_eq!(
            pipeline.answers[2],
            Answer {
                operation: FAILURE,
                body: failure,
                error: None
            }
        );
    }

    #[test]
    fn answers_out_of_shape_are_refused_and_leave_the_job_waiting() {
        let text = |length| "é".repeat(length);
        let summary = |text: String| json!({"executionDetails": {"summary": text}});
        let failure = |kind: &str, message: String| json!({"failureDetails": {"type": kind, "message": message}});
        let variables = |bytes: usize| json!({"outputVariables": {"k": "v".repeat(bytes - 1)}});
        let (accepted, invalid) = (None, Some("ValidationException"));
        for (operation, members, error) in [
            (SUCCESS, json!({}), accepted),
            (SUCCESS, json!({"jobId": null}), invalid),
            (
                SUCCESS,
                json!({"jobId": "unknown"}),
                Some("JobNotFoundException"),
            ),
            (SUCCESS, summary(text(2_048)), accepted),
            (SUCCESS, summary(text(2_049)), invalid),
            (SUCCESS, summary(String::new()), invalid),
            (
                SUCCESS,
                json!({"executionDetails": {"externalExecutionId": text(1_501)}}),
                invalid,
            ),
            (
                SUCCESS,
                json!({"executionDetails": {"percentComplete": 100}}),
                accepted,
            ),
            (
                SUCCESS,
                json!({"executionDetails": {"percentComplete": 101}}),
                invalid,
            ),
            (
                SUCCESS,
                json!({"executionDetails": {"percentComplete": -1}}),
                invalid,
            ),
            (SUCCESS, json!({"continuationToken": ""}), invalid),
            (SUCCESS, json!({"continuationToken": text(2_049)}), invalid),
            (SUCCESS, json!({"outputVariables": {"a@-_9": ""}}), accepted),
            (SUCCESS, json!({"outputVariables": {"a.b": ""}}), invalid),
            (SUCCESS, json!({"outputVariables": {"a": 1}}), invalid),
            (
                SUCCESS,
                json!({"outputVariables": {}, "continuationToken": "t"}),
                invalid,
            ),
            (SUCCESS, variables(122_880), accepted),
            (
                SUCCESS,
                variables(122_881),
                Some("OutputVariablesSizeExceededException"),
            ),
            (FAILURE, json!({}), invalid),
            (
                FAILURE,
                json!({"failureDetails": {"type": "JobFailed"}}),
                invalid,
            ),
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
            let verdict = pipeline.answer(operation, body.to_string().as_bytes());
            assert_eq!(
                verdict.err().map(|refusal| refusal.code),
                error,
                "{members}"
            );
            let waits = pipeline.jobs[0].state == JobState::InProgress;
            assert_eq!(waits, error.is_some(), "{members}");
        }
    }
}
