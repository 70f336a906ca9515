//! Slack's hooks: the response URL of a command, and an incoming webhook. Whoever has such a URL can post.
//!
//! So a URL is in no error and in no output of `Debug`. A message is posted once; the caller decides about another attempt by
//! the kind of error. Redirects are not followed, and only HTTPS is used. Tests replace scheme and host.
//!
//! API: <https://api.slack.com/messaging/webhooks#handling_errors>

use std::fmt;
use std::time::Duration;

use aws_types::SdkConfig;
use serde_json::Value;
use tokio::time::Instant;

use super::http::{self, HttpSender, Received, SendError, USER_AGENT};

/// How long a post may take.
const POST_TIMEOUT: Duration = Duration::from_secs(5);

/// How much of the text of a response is kept.
const MAX_TEXT_CHARACTERS: usize = 200;

/// How much of a response is read.
const MAX_RESPONSE_BYTES: usize = 16 * 1024;

/// A client of Slack's hooks.
#[derive(Clone, Debug)]
pub struct WebhookClient {
    http: HttpSender,
    /// Replaces scheme and host.
    endpoint: Option<String>,
}

/// Why a message was not posted. It never contains the URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PostError {
    /// Slack does not accept it, and will not: its status and text, such as `expired_url`.
    Rejected(String),
    /// Slack or the network failed, or there were too many messages: another attempt can succeed.
    Unavailable {
        /// What happened.
        reason: String,
        /// How long Slack requires to wait.
        retry_after: Option<Duration>,
    },
}

impl PostError {
    /// Returns whether another attempt can succeed.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    /// Returns how long Slack requires to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { retry_after, .. } => *retry_after,
            Self::Rejected(_) => None,
        }
    }
}

impl fmt::Display for PostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected(reason) => write!(f, "Slack rejected the message: {reason}"),
            Self::Unavailable { reason, .. } => write!(f, "could not post to Slack: {reason}"),
        }
    }
}

impl std::error::Error for PostError {}

impl WebhookClient {
    /// Creates a client; sends nothing. `endpoint` replaces scheme and host, for tests.
    pub fn new(sdk: &SdkConfig, endpoint: Option<String>) -> Self {
        Self {
            http: HttpSender::new(sdk),
            endpoint: endpoint.filter(|endpoint| !endpoint.is_empty()),
        }
    }

    /// Posts a message to a hook, once.
    ///
    /// # Errors
    ///
    /// [`PostError`] if Slack did not accept it before `deadline`. Without a response, it can be posted all the same.
    pub async fn post(&self, url: &str, body: &Value, deadline: Instant) -> Result<(), PostError> {
        let Some((host, path)) = hook(url) else {
            let reason = "its URL is not one such as https://hooks.slack.com/services/…";
            return Err(PostError::Rejected(reason.to_owned()));
        };
        let url = match &self.endpoint {
            Some(endpoint) => format!("{}/{path}", endpoint.trim_end_matches('/')),
            None => format!("https://{host}/{path}"),
        };
        let headers = [
            ("content-type", "application/json; charset=utf-8"),
            ("user-agent", USER_AGENT),
        ];
        let request = http::post(&url, &headers, &body.to_string());
        let deadline = deadline.min(Instant::now() + POST_TIMEOUT);
        let sent = match request {
            Ok(request) => self.http.send(request, MAX_RESPONSE_BYTES, deadline).await,
            Err(error) => Err(error),
        };
        match sent {
            Ok(received) => accepted(&received, path),
            Err(SendError::NotSent(reason)) => Err(PostError::Rejected(reason)),
            Err(SendError::NoResponse(reason)) => Err(PostError::Unavailable {
                reason,
                retry_after: None,
            }),
        }
    }
}

/// Returns the host and the path of a hook.
fn hook(url: &str) -> Option<(&str, &str)> {
    let (host, path) = url.strip_prefix("https://")?.split_once('/')?;
    let is_valid = !host.is_empty() && !host.contains('@') && !path.is_empty();
    is_valid.then_some((host, path))
}

/// Returns whether Slack accepted the message.
fn accepted(received: &Received, path: &str) -> Result<(), PostError> {
    let reason = || match text(&received.body, path) {
        Some(text) => format!("HTTP status {}: {text}", received.status),
        None => format!("HTTP status {}", received.status),
    };
    let seconds = || received.retry_after.as_deref()?.trim().parse().ok();
    match received.status {
        200 => Ok(()),
        408 | 429 | 500.. => Err(PostError::Unavailable {
            reason: reason(),
            retry_after: seconds().map(Duration::from_secs),
        }),
        _ => Err(PostError::Rejected(reason())),
    }
}

/// Returns Slack's text in one line, unless it contains the secret part of the URL or is a page.
fn text(body: &[u8], path: &str) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    let secret = path.rsplit('/').find(|part| !part.is_empty());
    if text.trim_start().starts_with('<') || secret.is_some_and(|secret| text.contains(secret)) {
        return None;
    }
    let words: Vec<_> = text.split_whitespace().collect();
    let characters = words.join(" ");
    let printable = characters.chars().map(|character| {
        if character.is_control() {
            '?'
        } else {
            character
        }
    });
    let text: String = printable.take(MAX_TEXT_CHARACTERS).collect();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_response_is_short_and_without_the_secret() {
        let path = "services/T00000000/B00000000/XXXXXXXX";
        let long = "é".repeat(300);
        for (body, expected) in [
            ("expired_url", Some("expired_url")),
            (" no_service\r\nat all\n", Some("no_service at all")),
            ("a\u{1b}[31m", Some("a?[31m")),
            ("", None),
            ("<!DOCTYPE html><title>Slack</title>", None),
            ("no hook services/T00000000/B00000000/XXXXXXXX", None),
            ("no hook XXXXXXXX", None),
            (&long, Some(&*"é".repeat(200))),
        ] {
            assert_eq!(text(body.as_bytes(), path).as_deref(), expected, "{body}");
        }
    }

    #[test]
    fn a_hook_is_an_https_url_with_a_path() {
        let url = "https://hooks.slack.com/services/T0/B0/X";
        assert_eq!(hook(url), Some(("hooks.slack.com", "services/T0/B0/X")));
        for url in [
            "",
            "http://hooks.slack.com/services/T0/B0/X",
            "https://hooks.slack.com",
            "https://hooks.slack.com/",
            "https:///services",
            "https://a@hooks.slack.com/services",
        ] {
            assert_eq!(hook(url), None, "{url}");
        }
    }
}
