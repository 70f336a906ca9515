//! `CallLog`: prints each call of an SDK client when it ends, for `--verbose`.
//!
//! A line has the operation, the status or the error code, the duration, the request id, by which AWS finds the call, and
//! the number of attempts. It never has headers, which sign the request with the credentials, or bodies.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use aws_sdk_cloudfront::config::http::HttpResponse;
use aws_sdk_cloudfront::config::interceptors::{
    BeforeSerializationInterceptorContextRef, FinalizerInterceptorContextRef,
};
use aws_sdk_cloudfront::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_cloudfront::error::BoxError;
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::retries::RequestAttempts;
use aws_smithy_types::config_bag::{Storable, StoreReplace};
use serde_json::Value;

/// Prints each call of the clients that have it.
#[derive(Clone)]
pub struct CallLog(Arc<dyn Fn(&str) + Send + Sync>);

impl CallLog {
    /// Creates a log that passes each line to `print`.
    pub fn new(print: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(print))
    }
}

impl fmt::Debug for CallLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CallLog")
    }
}

/// When a call started.
#[derive(Debug)]
struct Started(Instant);

impl Storable for Started {
    type Storer = StoreReplace<Self>;
}

#[dyn_dispatch_hint]
impl Intercept for CallLog {
    fn name(&self) -> &'static str {
        "CallLog"
    }

    fn read_before_execution(
        &self,
        _context: &BeforeSerializationInterceptorContextRef<'_>,
        call: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        call.interceptor_state().store_put(Started(Instant::now()));
        Ok(())
    }

    fn read_after_execution(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        call: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let operation = call.load::<Metadata>().map_or("call", Metadata::name);
        let started = call.load::<Started>();
        let milliseconds = started.map_or(0, |started| started.0.elapsed().as_millis());
        let attempts = call.load::<RequestAttempts>();
        let attempts = attempts.map_or(1, RequestAttempts::attempts);
        let (result, request_id) = match context.response() {
            Some(response) => (status(response), request_id(response)),
            None => ("no response".to_owned(), None),
        };
        let mut details: Vec<_> = request_id
            .map(|id| format!("request {id}"))
            .into_iter()
            .collect();
        if attempts > 1 {
            details.push(format!("{attempts} attempts"));
        }
        let mut line = format!("{operation}: {result} after {milliseconds} ms");
        if !details.is_empty() {
            line += &format!(" ({})", details.join(", "));
        }
        (self.0)(&line);
        Ok(())
    }
}

/// Returns the HTTP status, and AWS's error code if the call failed.
fn status(response: &HttpResponse) -> String {
    let status = response.status();
    let code = error_code(response.body().bytes().unwrap_or_default());
    match code.filter(|_| !status.is_success()) {
        Some(code) => format!("{status} {code}"),
        None => status.to_string(),
    }
}

/// Returns the error code in a body of CloudFront (XML) or CodePipeline (JSON).
fn error_code(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    if let Some((_, rest)) = text.split_once("<Code>") {
        let (code, _) = rest.split_once("</Code>")?;
        return Some(code.to_owned());
    }
    let body: Value = serde_json::from_str(text).ok()?;
    let code = body.get("__type")?.as_str()?;
    // A namespace can precede the code.
    code.rsplit('#').next().map(str::to_owned)
}

fn request_id(response: &HttpResponse) -> Option<&str> {
    let headers = response.headers();
    let names = ["x-amzn-requestid", "x-amz-request-id"];
    names.into_iter().find_map(|name| headers.get(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_error_code_of_both_services() {
        for (body, code) in [
            (
                "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code></Error></ErrorResponse>",
                Some("AccessDenied"),
            ),
            (
                r#"{"__type": "com.amazonaws#JobNotFoundException"}"#,
                Some("JobNotFoundException"),
            ),
            (
                r#"{"__type": "AccessDeniedException"}"#,
                Some("AccessDeniedException"),
            ),
            ("<html><body>502</body></html>", None),
            ("", None),
        ] {
            assert_eq!(error_code(body.as_bytes()).as_deref(), code, "{body}");
        }
    }
}
