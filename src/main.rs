//! Lambda's entrance: wiring only.

#![forbid(unsafe_code)]

use std::io::Write;

use cloudfront_invalidator::flow::Function;
use cloudfront_invalidator::invocation::Invocation;
use cloudfront_invalidator::settings::Settings;
use cloudfront_invalidator::{aws, log};
use lambda_runtime::{Diagnostic, Error, LambdaEvent, service_fn};
use serde_json::Value;
use tracing::Instrument;

fn main() -> Result<(), Error> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let level = log::level(variable("AWS_LAMBDA_LOG_LEVEL").as_deref());
    tracing::subscriber::set_global_default(log::subscriber(level, write_line))?;
    log::log_panics();

    let function = Function::new(
        Settings::from_environment(variable),
        aws::sdk_config(variable),
    );
    let handler = service_fn(|event: LambdaEvent<Value>| {
        let LambdaEvent { payload, context } = event;
        let span = log::invocation_span(&context.request_id);
        let invocation = Invocation::new(context.deadline(), context.invoked_function_arn);
        let function = &function;
        async move {
            function
                .handle(&payload, &invocation)
                .await
                .map_err(|failure| Diagnostic {
                    error_type: failure.cause.to_string(),
                    error_message: failure.message,
                })
        }
        .instrument(span)
    });
    // One invocation at a time: a second thread would only cost its start.
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(lambda_runtime::run(handler))
}

/// A log that cannot be written must not stop the work.
fn write_line(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}
