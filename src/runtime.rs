//! The events of the Lambda runtime, as bytes.
//!
//! `lambda_runtime` deserializes each event itself, into whichever type the handler takes. For the largest SQS batch, 6
//! MB, a `serde_json::Value` takes 17 ms and 12 MiB there. `serde_path_to_error`, which `lambda_runtime` always uses,
//! adds 3 ms, and freeing the value takes another 13 ms. So the type of this handler is `()`, and a layer takes the
//! bytes before they are deserialized.
//!
//! `lambda_runtime::layers::TracingLayer` is not used: its span has the level INFO, which the [log](crate::log) leaves out
//! for libraries, so no line would have its fields.

use std::cell::Cell;
use std::mem;

use bytes::Bytes;
use lambda_runtime::tower::util::MapRequestLayer;
use lambda_runtime::{
    Context, Diagnostic, Error, LambdaEvent, LambdaInvocation, Runtime, service_fn,
};
use serde_json::Value;

/// Passes the JSON of each event and its context to `handle`, one event at a time.
///
/// # Errors
///
/// [`Error`] if the Runtime API fails. An error or a panic of `handle` is the result of its event.
pub async fn run<F>(handle: impl Fn(Bytes, Context) -> F) -> Result<(), Error>
where
    F: Future<Output = Result<Value, Diagnostic>>,
{
    let body = Cell::new(Bytes::new());
    let take_body = |mut invocation: LambdaInvocation| {
        body.set(mem::replace(&mut invocation.body, "null".into()));
        invocation
    };
    let handler = service_fn(|event: LambdaEvent<()>| handle(body.take(), event.context));
    Runtime::new(handler)
        .layer(MapRequestLayer::new(take_body))
        .run()
        .await
}
