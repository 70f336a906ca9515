//! The stand-in's own HTTP interface, for callers that are not in its process.
//!
//! The demo is written in Python and cannot call methods, so what a test does by
//! method it does by JSON under `/_standin/`: start a job and take the event to send
//! to the function, see how the job was answered, see what was asked of CloudFront,
//! make the next calls fail, forget everything. The paths cannot be mistaken for
//! those of AWS.

use axum::body::Bytes;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::State;
use super::cloudfront::Received;
use super::codepipeline::Answer;

/// The path that all of these requests begin with.
pub(super) const ROOT: &str = "/_standin/";

type Reply = Result<Value, (StatusCode, String)>;

/// Answers a request to the stand-in itself.
pub(super) fn answer(state: &mut State, head: &Parts, body: &Bytes) -> Response {
    let path = head.uri.path().strip_prefix(ROOT).unwrap_or_default();
    let segments: Vec<&str> = path.split('/').collect();
    let reply = match (head.method.as_str(), segments.as_slice()) {
        ("POST", ["jobs"]) => start_job(state, body),
        ("GET", ["jobs", id]) => job(state, id),
        ("GET", ["invalidations"]) => Ok(state
            .cloudfront
            .received()
            .iter()
            .map(invalidation)
            .collect()),
        ("POST", ["fail"]) => fail(state, body),
        ("POST", ["reset"]) => {
            state.reset();
            Ok(json!({}))
        }
        (method, _) => Err((
            StatusCode::NOT_FOUND,
            format!("no {method} {}", head.uri.path()),
        )),
    };
    let (status, value) = match reply {
        Ok(value) => (StatusCode::OK, value),
        Err((status, message)) => (status, json!({"error": message})),
    };
    (
        status,
        [("content-type", "application/json")],
        value.to_string(),
    )
        .into_response()
}

fn start_job(state: &mut State, body: &Bytes) -> Reply {
    let request = parse(body)?;
    let parameters = match &request["userParameters"] {
        Value::Null => None,
        Value::String(parameters) => Some(parameters.as_str()),
        _ => return Err(bad_request("userParameters must be text or null")),
    };
    let job = state.codepipeline.start(parameters).map_err(bad_request)?;
    Ok(json!({"id": job.id, "event": job.event}))
}

fn job(state: &State, id: &str) -> Reply {
    let pipeline = &state.codepipeline;
    let job = pipeline.job(id);
    let job = job.ok_or_else(|| (StatusCode::NOT_FOUND, format!("no job {id}")))?;
    let answers = pipeline
        .answers()
        .iter()
        .filter(|answer| answer.job_id() == Some(id));
    let next = job.next.as_deref().and_then(|next| pipeline.job(next));
    Ok(json!({
        "id": job.id,
        "state": job.state.name(),
        "answers": answers.map(job_answer).collect::<Value>(),
        "next": next.map(|next| &next.event),
    }))
}

fn job_answer(answer: &Answer) -> Value {
    json!({
        "operation": answer.operation.name(),
        "accepted": answer.error.is_none(),
        "error": answer.error,
        "body": answer.body,
    })
}

fn invalidation(received: &Received) -> Value {
    json!({
        "distribution": received.distribution,
        "paths": received.paths,
        "reference": received.reference,
        "accepted": received.outcome.is_ok(),
        "id": received.outcome.as_ref().ok(),
        "error": received.outcome.as_ref().err(),
    })
}

fn fail(state: &mut State, body: &Bytes) -> Reply {
    let request = parse(body)?;
    let text = |member: &str| request[member].as_str().unwrap_or_default();
    let operation = text("operation").parse().map_err(bad_request)?;
    let fault = text("fault").parse().map_err(bad_request)?;
    let times = request["times"]
        .as_u64()
        .ok_or_else(|| bad_request("times must be a number"))?;
    state.fail(operation, fault, times);
    Ok(json!({}))
}

fn parse(body: &Bytes) -> Reply {
    serde_json::from_slice(body).map_err(|error| bad_request(error.to_string()))
}

fn bad_request(message: impl Into<String>) -> (StatusCode, String) {
    (StatusCode::BAD_REQUEST, message.into())
}
