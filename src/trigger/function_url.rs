//! `FunctionUrlRequest`: an HTTP request to the function URL, in payload format 2.0.
//!
//! Anyone can send one. Lambda writes the keys of the event, and the sender writes the headers and the body, so nothing in them
//! is trusted before the caller that they claim is verified. Reading an event returns no error: a field that is missing or has
//! another type counts as empty.
//!
//! Lambda encodes most bodies as base64, also those of forms. An HTTP API of API Gateway sends the same format.
//!
//! Shape: <https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html#urls-payloads>

use std::borrow::Cow;
use std::fmt;

use aws_smithy_types::base64;
use chrono::{DateTime, Utc};
use serde_json::Value;

/// An HTTP request to the function URL.
#[derive(Clone, PartialEq, Eq)]
pub struct FunctionUrlRequest {
    /// The HTTP method, such as `POST`.
    pub method: String,
    /// When Lambda received the request.
    pub received: Option<DateTime<Utc>>,
    headers: Vec<(String, String)>,
    body: String,
    is_base64: bool,
}

/// Why the body of a request cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyError {
    TooLarge,
    NotBase64,
}

impl FunctionUrlRequest {
    /// Returns whether the event is an HTTP request in payload format 2.0.
    pub(super) fn is_in(event: &Value) -> bool {
        event.get("version").and_then(Value::as_str) == Some("2.0") && method(event).is_some()
    }

    /// Reads an event.
    pub fn from_event(event: &Value) -> Self {
        let millis = event.pointer("/requestContext/timeEpoch");
        let headers = event.get("headers").and_then(Value::as_object);
        let text =
            |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
        Self {
            method: method(event).unwrap_or_default().to_owned(),
            received: millis
                .and_then(Value::as_i64)
                .and_then(DateTime::from_timestamp_millis),
            headers: headers.into_iter().flatten().filter_map(text).collect(),
            body: event
                .get("body")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned(),
            is_base64: event.get("isBase64Encoded").and_then(Value::as_bool) == Some(true),
        }
    }

    /// Returns the value of a header, whose name is compared without case; `None` if the request does not have it exactly
    /// once. Lambda joins the values of a repeated header with a comma.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self
            .headers
            .iter()
            .filter(|(key, _)| key.eq_ignore_ascii_case(name));
        let (_, value) = values.next()?;
        values.next().is_none().then_some(value)
    }

    /// Returns the bytes of the body as the sender sent them, at most `max` of them. The size of a base64 text is computed
    /// before it is decoded.
    pub(super) fn body(&self, max: usize) -> Result<Cow<'_, [u8]>, BodyError> {
        let text = self.body.as_str();
        let padding = text
            .bytes()
            .rev()
            .take(2)
            .filter(|byte| *byte == b'=')
            .count();
        let size = match self.is_base64 {
            true => (text.len() / 4 * 3).saturating_sub(padding),
            false => text.len(),
        };
        if size > max {
            return Err(BodyError::TooLarge);
        }
        if !self.is_base64 {
            return Ok(Cow::Borrowed(text.as_bytes()));
        }
        let decoded = base64::decode(text).map_err(|_| BodyError::NotBase64)?;
        Ok(Cow::Owned(decoded))
    }
}

/// Without headers and body, which can have credentials.
impl fmt::Debug for FunctionUrlRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FunctionUrlRequest")
            .field("method", &self.method)
            .field("received", &self.received)
            .finish_non_exhaustive()
    }
}

fn method(event: &Value) -> Option<&str> {
    event.pointer("/requestContext/http/method")?.as_str()
}
