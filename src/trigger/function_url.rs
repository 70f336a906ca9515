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

    /// Returns whether the request has the header, possibly more than once.
    pub(super) fn has_header(&self, name: &str) -> bool {
        let mut headers = self.headers.iter();
        headers.any(|(key, _)| key.eq_ignore_ascii_case(name))
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn recorded(text: &str) -> FunctionUrlRequest {
        let event = serde_json::from_str(text).expect("recorded JSON");
        assert!(FunctionUrlRequest::is_in(&event));
        FunctionUrlRequest::from_event(&event)
    }

    #[test]
    fn reads_each_recorded_request() {
        let form = b"paths=%2Fa+b%2F%2A&token=s3cr%2Bt".as_slice();
        let [form_post, get, json_post] = [
            include_str!("../../tests/events/url-form-post.json"),
            include_str!("../../tests/events/url-get.json"),
            include_str!("../../tests/events/url-json-post.json"),
        ]
        .map(recorded);
        for (request, method, millis, body, content_type) in [
            (
                &form_post,
                "POST",
                1795188137714,
                form,
                Some("application/x-www-form-urlencoded"),
            ),
            (&get, "GET", 1795188137822, b"".as_slice(), None),
            (
                &json_post,
                "POST",
                1795188137898,
                br#"{"paths":["/*"]}"#.as_slice(),
                Some("application/json"),
            ),
        ] {
            assert_eq!(request.method, method);
            assert_eq!(request.received, DateTime::from_timestamp_millis(millis));
            assert_eq!(request.body(1_000), Ok(Cow::Borrowed(body)));
            assert_eq!(request.header("Content-Type"), content_type);
            assert_eq!(request.header("X-Slack-Signature"), None);
        }
        assert_eq!(form_post.header("X-MULTI"), Some("one, two"));
        assert_eq!(
            format!("{get:?}"),
            "FunctionUrlRequest { method: \"GET\", received: Some(2026-11-20T15:22:17.822Z), .. }"
        );
    }

    #[test]
    fn recognizes_the_format_by_its_version_and_method() {
        let http = json!({"http": {"method": "POST"}});
        for (event, is_request) in [
            (json!({"version": "2.0", "requestContext": http}), true),
            (
                json!({"version": "2.0", "requestContext": http, "paths": ["/*"]}),
                true,
            ),
            (json!({"version": "1.0", "requestContext": http}), false),
            (json!({"version": 2.0, "requestContext": http}), false),
            (
                json!({"version": "2.0", "requestContext": {"http": {"method": 1}}}),
                false,
            ),
            (json!({"version": "2.0"}), false),
            (json!({"version": "0", "source": "aws.s3"}), false),
            (json!("2.0"), false),
        ] {
            assert_eq!(FunctionUrlRequest::is_in(&event), is_request, "{event}");
        }
    }

    #[test]
    fn missing_and_strange_fields_count_as_empty() {
        let strange = json!({
            "headers": {"a": 1, "b": "2"},
            "body": {"paths": "/*"},
            "isBase64Encoded": "true",
            "requestContext": {"timeEpoch": "soon", "http": null},
        });
        let other_headers =
            json!({"headers": ["x-slack-signature"], "requestContext": {"timeEpoch": 1e300}});
        for event in [json!(null), json!([]), json!({}), strange, other_headers] {
            let request = FunctionUrlRequest::from_event(&event);
            assert_eq!((request.method.as_str(), request.received), ("", None));
            assert_eq!(
                request.body(0),
                Ok(Cow::Borrowed(b"".as_slice())),
                "{event}"
            );
            assert_eq!(request.header("a"), None);
        }
    }

    #[test]
    fn a_header_that_is_there_twice_has_no_value() {
        let event = json!({"headers": {"X-A": "1", "x-a": "1", "x-b": ""}});
        let request = FunctionUrlRequest::from_event(&event);
        assert_eq!(request.header("X-a"), None);
        assert_eq!(request.header("X-B"), Some(""));
    }

    #[test]
    fn the_size_is_that_of_the_decoded_body() {
        let body = |text: String, is_base64: bool, max: usize| {
            let event = json!({"body": text, "isBase64Encoded": is_base64});
            let request = FunctionUrlRequest::from_event(&event);
            request.body(max).map(|body| body.len())
        };
        for size in [0, 1, 2, 3, 4, 999, 1_000] {
            let text = "a".repeat(size);
            let encoded = base64::encode(&text);
            for (text, is_base64) in [(text, false), (encoded, true)] {
                assert_eq!(body(text.clone(), is_base64, size), Ok(size));
                if let Some(max) = size.checked_sub(1) {
                    assert_eq!(body(text, is_base64, max), Err(BodyError::TooLarge));
                }
            }
        }
        for text in [
            "a", "ab", "abc", "YQ=", "YQ", "Y Q=", "YQ==\n", "Y_-=", "====", "ü===",
        ] {
            assert_eq!(
                body(text.to_owned(), true, 100),
                Err(BodyError::NotBase64),
                "{text}"
            );
        }
    }
}
