//! The Lambda function's entry point: wiring only.

#![forbid(unsafe_code)]

use std::io::Write;

use bytes::Bytes;
use cloudfront_invalidator::account::Account;
use cloudfront_invalidator::aws::edge::EdgeEndpoints;
use cloudfront_invalidator::aws::sdk::{connections, sdk_config};
use cloudfront_invalidator::handler::Invalidator;
use cloudfront_invalidator::invocation::Invocation;
use cloudfront_invalidator::log;
use cloudfront_invalidator::metrics::{MetricsSettings, MetricsWriter};
use cloudfront_invalidator::runtime;
use cloudfront_invalidator::settings::Settings;
use cloudfront_invalidator::version::VERSION;
use lambda_runtime::{Context, Diagnostic, Error};
use tracing::Instrument;

fn main() -> Result<(), Error> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let level = log::level(variable("AWS_LAMBDA_LOG_LEVEL").as_deref());
    tracing::subscriber::set_global_default(log::subscriber(level, write_line))?;
    log::log_panics();
    tracing::info!(version = VERSION, "the function starts");

    // Lambda sends one invocation at a time, so a second thread would only slow down the start.
    let executor = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let _entered = executor.enter();
    let connections = connections(variable);
    let sdk = sdk_config(variable, &connections);
    let invalidator = Invalidator::new(Settings::from_environment(variable), sdk)
        .with_connections(connections)
        .with_edge(EdgeEndpoints::new(variable))
        .with_slack(variable)
        .with_metrics(MetricsWriter::new(
            MetricsSettings::from_environment(variable),
            write_line,
        ));
    let handle = |event: Bytes, context: Context| {
        let span = log::invocation_span(&context.request_id);
        let invocation = Invocation::new(
            context.deadline(),
            Account::from_arn(&context.invoked_function_arn),
            context.request_id,
        );
        let invalidator = &invalidator;
        async move {
            invalidator
                .answer(event, &invocation)
                .await
                .map(|answer| answer.response)
                .map_err(|error| Diagnostic {
                    error_type: error.category().to_string(),
                    error_message: error.to_string(),
                })
        }
        .instrument(span)
    };
    executor.block_on(runtime::run(handle))
}

/// Ignores errors: a log that cannot be written must not stop the work.
fn write_line(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}
