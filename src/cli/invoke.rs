//! `invoke`: runs a Lambda event through the function in this process, with the user's credentials and environment.

use std::time::SystemTime;

use serde_json::Value;

use super::{CliError, Exit, Invoke, Session, input, terminal};
use crate::aws::credentials;
use crate::aws::edge::EdgeEndpoints;
use crate::handler::{Answer, Invalidator};
use crate::invocation::Invocation;
use crate::output::{CommandOutput, ErrorOutput};
use crate::settings::Settings;

/// Runs the command.
pub(super) async fn run(session: &Session, invoke: &Invoke) -> Result<Exit, CliError> {
    let text = input::read(&invoke.event)?;
    serde_json::from_str::<Value>(&text)
        .map_err(|error| input::file_error(&invoke.event, format!("not JSON: {error}")))?;
    let distributions = (!invoke.distributions.is_empty()).then(|| invoke.distributions.join(","));
    let settings = Settings::from_environment(|name| match name {
        "DISTRIBUTION_ID" if distributions.is_some() => distributions.clone(),
        _ => std::env::var(name).ok(),
    });
    let clients = session.connection.clients().await?;
    if !session.terminal.is_quiet() {
        terminal::log_to_stderr();
    }
    let edge =
        EdgeEndpoints::new(|name| std::env::var(name).ok()).with_proxies(credentials::proxies());
    let invalidator = Invalidator::new(settings, clients.sdk.clone())
        .with_edge(edge)
        .with_clients(clients.cloudfront.clone(), clients.codepipeline.clone());
    // The parser of `--timeout` accepts at most 23 hours, so the sum is in range.
    let deadline = SystemTime::now() + invoke.timeout;
    let invocation = Invocation::new(deadline, clients.account.clone(), request_id());
    let Answer { response, failure } = invalidator.answer(text, &invocation).await?;
    let text = response
        .as_str()
        .map_or_else(|| response.to_string(), str::to_owned);
    let terminal = &session.terminal;
    let error = failure.map(|error| ErrorOutput::from_error(&error, terminal.audience()));
    let exit = match &error {
        Some(error) => {
            terminal.error(&error.message);
            Exit::Failed
        }
        None => Exit::Done,
    };
    let result = serde_json::json!({"answer": response});
    terminal.result(text, CommandOutput::new(result, exit, error));
    Ok(exit)
}

/// Returns a request id that no other invocation has.
fn request_id() -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let nanoseconds = now.unwrap_or_default().as_nanos();
    format!("cli {nanoseconds} {}", std::process::id())
}
