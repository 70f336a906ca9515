//! `CallLog`: prints each call of a service when it ends, for `--verbose`.
//!
//! A line has the operation, the status or the error code, the duration, the request id, by which AWS finds the call, and
//! the number of attempts. It never has headers, which sign the request with the credentials, or bodies.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use aws_sdk_cloudfront::config::interceptors::{
    BeforeSerializationInterceptorContextRef, FinalizerInterceptorContextRef,
};
use aws_sdk_cloudfront::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_cloudfront::error::BoxError;
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::retries::RequestAttempts;
use aws_smithy_runtime_api::http::Headers;
use aws_smithy_types::config_bag::{Storable, StoreReplace};

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

impl CallLog {
    /// Begins to measure a call.
    pub(super) fn start(&self, operation: &str) -> RunningCall {
        RunningCall {
            log: self.clone(),
            operation: operation.to_owned(),
            started: Instant::now(),
            is_printed: AtomicBool::new(false),
        }
    }
}

/// A call that is under way. If it is given up, for example because of a deadline, it is printed when it is dropped.
#[derive(Debug)]
pub(super) struct RunningCall {
    log: CallLog,
    operation: String,
    started: Instant,
    is_printed: AtomicBool,
}

impl Storable for RunningCall {
    type Storer = StoreReplace<Self>;
}

impl RunningCall {
    /// Prints the call with its last response and the number of attempts.
    pub(super) fn end(&self, response: Option<Response<'_>>, attempts: u32) {
        let result = response.as_ref().map(Response::result);
        let request_id = response.and_then(|response| response.request_id);
        let mut details = Vec::from_iter(request_id.map(|id| format!("request {id}")));
        if attempts > 1 {
            details.push(format!("{attempts} attempts"));
        }
        self.print(result.as_deref().unwrap_or(NO_RESPONSE), &details);
    }

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
        let running = self.start(operation);
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
        let response = context.response().map(|response| Response {
            status: response.status().as_u16(),
            code: error_code(response.body().bytes().unwrap_or_default())
                .filter(|_| !response.status().is_success()),
            request_id: request_id(response.headers()),
        });
        let attempts = call.load::<RequestAttempts>();
        running.end(response, attempts.map_or(1, RequestAttempts::attempts));
        Ok(())
    }
}

/// What is printed of a response.
#[derive(Debug)]
pub(super) struct Response<'a> {
    pub(super) status: u16,
    /// AWS's error code, if the call failed.
    pub(super) code: Option<&'a str>,
    pub(super) request_id: Option<&'a str>,
}

impl Response<'_> {
    /// Returns the HTTP status, and AWS's error code if the call failed.
    fn result(&self) -> String {
        match self.code {
            Some(code) => format!("{} {code}", self.status),
            None => self.status.to_string(),
        }
    }
}

/// Returns the error code in a body of CloudFront or S3.
fn error_code(body: &[u8]) -> Option<&str> {
    let (_, rest) = std::str::from_utf8(body).ok()?.split_once("<Code>")?;
    let (code, _) = rest.split_once("</Code>")?;
    Some(code)
}

/// Returns the id by which AWS finds a request.
fn request_id(headers: &Headers) -> Option<&str> {
    let names = ["x-amzn-requestid", "x-amz-request-id"];
    names.into_iter().find_map(|name| headers.get(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_error_code_of_a_body_in_xml() {
        for (body, code) in [
            (
                "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code></Error></ErrorResponse>",
                Some("AccessDenied"),
            ),
            ("<html><body>502</body></html>", None),
            ("", None),
        ] {
            assert_eq!(error_code(body.as_bytes()), code, "{body}");
        }
    }
}
