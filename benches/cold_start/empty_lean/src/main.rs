//! The empty function without what it does not need: one thread, and no log.

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::Value;

async fn function_handler(_event: LambdaEvent<Value>) -> Result<(), Error> {
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    run(service_fn(function_handler)).await
}
