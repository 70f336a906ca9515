//! The function that `cargo lambda new` writes for events: <https://github.com/cargo-lambda/default-template>.
//!
//! It parses the event as JSON and returns at once. Its dependencies have the features of that template.

use lambda_runtime::{Error, LambdaEvent, run, service_fn, tracing};
use serde_json::Value;

async fn function_handler(_event: LambdaEvent<Value>) -> Result<(), Error> {
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    run(service_fn(function_handler)).await
}
