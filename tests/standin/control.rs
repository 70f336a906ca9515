//! The stand-in's own HTTP interface, for callers outside its process.
//!
//! The demo is written in Python and cannot call methods. It sends JSON to
//! `/_standin/` to start a job, to read the results of a job, to read the received
//! CreateInvalidation requests, to set how late responses are, and to reset the stand-in. AWS has no such paths.

use std::time::Duration;

use axum::body::Bytes;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::cloudfront::ReceivedInvalidation;
use super::codepipeline::JobResult;
use super::server::State;

/// The start of the path of all these requests.
pub(super) const ROOT: &str = "/_standin/";

type Reply = Result<Value, (StatusCode, String)>;

/// Responds to a request to the stand-in itself.
pub(super) fn respond(state: &mut State, head: &Parts, body: &Bytes) -> Response {
    let path = head.uri.path().strip_prefix(ROOT).unwrap_or_default();
    let segments: Vec<&str> = path.split('/').collect();
    let reply = match (head.method.as_str(), segments.as_slice()) {
        ("POST", ["jobs"]) => start_job(state, body),
        ("GET", ["jobs", id]) => job(state, id),
        ("GET", ["invalidations"]) => {
            let received = state.cloudfront.received().iter();
            Ok(received.map(invalidation).collect())
        }
        ("POST", ["latency"]) => set_latency(state, body),
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
    let content_type = [("content-type", "application/json")];
    (status, content_type, value.to_string()).into_response()
}

fn start_job(state: &mut State, body: &Bytes) -> Reply {
    let request = read(body)?;
    let user_parameters = request["userParameters"].as_str();
    let job = state.codepipeline.start(user_parameters);
    let job = job.map_err(bad_request)?;
    Ok(json!({"id": job.id, "event": job.event}))
}

/// Applies to the calls of AWS that arrive from now on.
fn set_latency(state: &mut State, body: &Bytes) -> Reply {
    let milliseconds = read(body)?["milliseconds"].as_u64();
    let milliseconds = milliseconds.ok_or_else(|| bad_request("no milliseconds".to_owned()))?;
    state.latency = Duration::from_millis(milliseconds);
    Ok(json!({}))
}

fn read(body: &Bytes) -> Reply {
    serde_json::from_slice(body).map_err(|error| bad_request(error.to_string()))
}

fn bad_request(message: String) -> (StatusCode, String) {
    (StatusCode::BAD_REQUEST, message)
}

fn job(state: &State, id: &str) -> Reply {
    let pipeline = &state.codepipeline;
    let job = pipeline.job(id);
    let job = job.ok_or_else(|| (StatusCode::NOT_FOUND, format!("no job {id}")))?;
    let results = pipeline.results().iter();
    let results = results.filter(|result| result.job_id() == Some(id));
    let next = job.next.as_deref().and_then(|next| pipeline.job(next));
    Ok(json!({
        "id": job.id,
        "state": format!("{:?}", job.state),
        "results": results.map(job_result).collect::<Value>(),
        "next": next.map(|next| &next.event),
    }))
}

fn job_result(result: &JobResult) -> Value {
    json!({
        "operation": format!("{:?}", result.operation),
        "accepted": result.error.is_none(),
        "error": result.error,
        "body": result.body,
    })
}

fn invalidation(received: &ReceivedInvalidation) -> Value {
    json!({
        "distribution": received.distribution,
        "paths": received.paths,
        "reference": received.reference,
        "accepted": received.outcome.is_ok(),
        "id": received.outcome.as_ref().ok(),
        "error": received.outcome.as_ref().err(),
    })
}
