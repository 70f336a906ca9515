//! The empty function: it parses the event as JSON and returns at once.
//!
//! It is the function that `cargo lambda new` writes for events (<https://github.com/cargo-lambda/default-template>). The
//! template also starts tokio's threads and a log, so it is slower: a ratio to this function is at least the ratio to it.

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::Value;

async fn function_handler(_event: LambdaEvent<Value>) -> Result<(), Error> {
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    run(service_fn(function_handler)).await
}
