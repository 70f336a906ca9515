//! `CallLog`: prints each call of an SDK client when it ends, for `--verbose`.
//!
//! A line has the operation, the status or the error code, the duration, the request id, by which AWS finds the call, and
//! the number of attempts. It never has headers, which sign the request with the credentials, or bodies.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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

/// The result of a call whose last attempt got no response.
const NO_RESPONSE: &str = "no response";

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

/// A call that is under way. If it is given up, for example because of a deadline, it is printed when it is dropped.
#[derive(Debug)]
struct RunningCall {
    log: CallLog,
    operation: String,
    started: Instant,
    is_printed: AtomicBool,
}

impl Storable for RunningCall {
    type Storer = StoreReplace<Self>;
}

impl RunningCall {
    /// Prints the call, once.
    fn print(&self, result: &str, details: &[String]) {
        if self.is_printed.swap(true, Ordering::Relaxed) {
            return;
        }
        let milliseconds = self.started.elapsed().as_millis();
        let mut line = format!("{}: {result} after {milliseconds} ms", self.operation);
        if !details.is_empty() {
            line += &format!(" ({})", details.join(", "));
        }
        (self.log.0)(&line);
    }
}

impl Drop for RunningCall {
    fn drop(&mut self) {
        self.print(NO_RESPONSE, &["given up".to_owned()]);
    }
}

#[dyn_dispatch_hint]
impl Intercept for CallLog {
    fn name(&self) -> &'static str {
        "CallLog"
    }

    fn read_before_serialization(
        &self,
        _context: &BeforeSerializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        call: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // Earlier, the name is not known.
        let operation = call.load::<Metadata>().map_or("call", Metadata::name);
        let running = RunningCall {
            log: self.clone(),
            operation: operation.to_owned(),
            started: Instant::now(),
            is_printed: AtomicBool::new(false),
        };
        call.interceptor_state().store_put(running);
        Ok(())
    }

    fn read_after_execution(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        call: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Some(running) = call.load::<RunningCall>() else {
            return Ok(());
        };
        let response = context.response();
        let result = response.map_or_else(|| NO_RESPONSE.to_owned(), status);
        let request_id = response.and_then(request_id);
        let mut details = Vec::from_iter(request_id.map(|id| format!("request {id}")));
        let attempts = call.load::<RequestAttempts>();
        let attempts = attempts.map_or(1, RequestAttempts::attempts);
        if attempts > 1 {
            details.push(format!("{attempts} attempts"));
        }
        running.print(&result, &details);
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
