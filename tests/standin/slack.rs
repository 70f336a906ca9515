//! Slack's hooks: the response URLs of commands, and incoming webhooks.
//!
//! Every post is recorded. The response is `ok`, unless a test has planned others, which apply in turn.
//!
//! API: <https://api.slack.com/messaging/webhooks#handling_errors>

use std::collections::{BTreeMap, VecDeque};

use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::aws_json::headers;
use super::fault::ApiError;

/// The paths of hooks start with one of these.
const HOOKS: [&str; 3] = ["/services/", "/commands/", "/actions/"];

/// A received post.
#[derive(Clone, Debug, PartialEq)]
pub struct ReceivedPost {
    /// The path of the hook.
    pub path: String,
    /// All headers.
    pub headers: BTreeMap<String, String>,
    /// The message; null if it was not JSON.
    pub message: Value,
}

/// A response of Slack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlackResponse {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub text: String,
    /// Another header, such as `retry-after`.
    pub header: Option<(&'static str, String)>,
}

impl SlackResponse {
    /// Creates a response with this status and text.
    pub fn new(status: u16, text: &str) -> Self {
        Self {
            status,
            text: text.to_owned(),
            header: None,
        }
    }

    /// Adds a header.
    pub fn with_header(self, name: &'static str, value: &str) -> Self {
        Self {
            header: Some((name, value.to_owned())),
            ..self
        }
    }
}

/// The hooks and what they received.
#[derive(Default)]
pub(super) struct Hooks {
    planned: VecDeque<SlackResponse>,
    pub(super) posts: Vec<ReceivedPost>,
}

/// Returns whether a request is a post to a hook.
pub(super) fn is_hook(head: &Parts) -> bool {
    head.method == Method::POST && HOOKS.iter().any(|hook| head.uri.path().starts_with(hook))
}

impl Hooks {
    /// Plans the next response.
    pub(super) fn plan(&mut self, response: SlackResponse) {
        self.planned.push_back(response);
    }

    /// Records a post.
    pub(super) fn record(&mut self, head: &Parts, body: &[u8]) {
        self.posts.push(ReceivedPost {
            path: head.uri.path().to_owned(),
            headers: headers(head),
            message: serde_json::from_slice(body).unwrap_or_default(),
        });
    }

    /// Returns the next planned response, or that of a post that Slack accepts.
    pub(super) fn respond(&mut self) -> Response {
        let planned = self.planned.pop_front();
        let planned = planned.unwrap_or_else(|| SlackResponse::new(200, "ok"));
        let status = StatusCode::from_u16(planned.status).expect("a status");
        match planned.header {
            Some(header) => (status, [header], planned.text).into_response(),
            None => (status, planned.text).into_response(),
        }
    }
}

/// Writes an error.
pub(super) fn error_response(error: &ApiError) -> Response {
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_REQUEST);
    (status, error.message.clone()).into_response()
}
