//! `invoke`: runs a Lambda event through the function in this process, with the user's credentials and environment.

use std::fs;
use std::time::SystemTime;

use serde_json::Value;

use super::output::CommandOutput;
use super::{CliError, Exit, Invoke, Session, terminal};
use crate::handler::Invalidator;
use crate::invocation::Invocation;
use crate::settings::Settings;

/// Runs the command.
pub(super) async fn run(session: &Session, invoke: &Invoke) -> Result<Exit, CliError> {
    let file = invoke.event.display();
    let text =
        fs::read(&invoke.event).map_err(|error| CliError::usage(format!("{file}: {error}")))?;
    let event: Value = serde_json::from_slice(&text)
        .map_err(|error| CliError::usage(format!("{file} is not JSON: {error}")))?;
    let distributions = (!invoke.distributions.is_empty()).then(|| invoke.distributions.join(","));
    let settings = Settings::from_environment(|name| match name {
        "DISTRIBUTION_ID" if distributions.is_some() => distributions.clone(),
        _ => std::env::var(name).ok(),
    });
    let clients = session.connection.clients().await?;
    if !session.terminal.is_quiet() {
        terminal::log_to_stderr();
    }
    let invalidator = Invalidator::new(settings, clients.sdk.clone())
        .with_clients(clients.cloudfront.clone(), clients.codepipeline.clone());
    // The parser of `--timeout` accepts at most 23 hours, so the sum is in range.
    let deadline = SystemTime::now() + invoke.timeout;
    let invocation = Invocation::new(deadline, clients.account.clone());
    let response = invalidator.handle(&event, &invocation).await?;
    let text = response
        .as_str()
        .map_or_else(|| response.to_string(), str::to_owned);
    let output = CommandOutput::done(serde_json::json!({"answer": response}));
    session.terminal.result(text, output);
    Ok(Exit::Done)
}
