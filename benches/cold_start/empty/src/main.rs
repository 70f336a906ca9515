//! The empty function: it parses the event as JSON and returns at once.
//!
//! It is the function that `cargo lambda new` writes for events (<https://github.com/cargo-lambda/default-template>),
//! without what makes that one slower: tokio's threads and the log. So a ratio to it is no smaller than one to the
//! template.

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::Value;

async fn function_handler(_event: LambdaEvent<Value>) -> Result<(), Error> {
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    run(service_fn(function_handler)).await
}
