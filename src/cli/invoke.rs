//! `invoke`: a Lambda event through the function, here, with this person's credentials and this environment's settings.

use std::fs;
use std::time::SystemTime;

use serde_json::Value;

use super::{Exit, Invoke, Session, Stop};
use crate::flow::Function;
use crate::invocation::Invocation;
use crate::log;
use crate::settings::Settings;

/// Runs the command.
pub(super) async fn run(session: &Session, invoke: &Invoke) -> Result<Exit, Stop> {
    let file = invoke.event.display();
    let text = fs::read(&invoke.event).map_err(|error| Stop::usage(format!("{file}: {error}")))?;
    let event: Value = serde_json::from_slice(&text)
        .map_err(|error| Stop::usage(format!("{file} is no JSON: {error}")))?;
    let named = (!invoke.distributions.is_empty()).then(|| invoke.distributions.join(","));
    let settings = Settings::from_environment(|name| match name {
        "DISTRIBUTION_ID" if named.is_some() => named.clone(),
        _ => std::env::var(name).ok(),
    });
    let person = session.person.connect().await?;
    if !session.terminal.is_quiet() {
        log_to_stderr();
    }
    let function = Function::new(settings, person.sdk.clone());
    let invocation = Invocation::new(SystemTime::now() + invoke.timeout, person.account.arn());
    match function.handle(&event, &invocation).await {
        Ok(answer) => {
            let text = answer
                .as_str()
                .map_or_else(|| answer.to_string(), str::to_owned);
            session
                .terminal
                .result(text, serde_json::json!({"answer": answer, "exit_code": 0}));
            Ok(Exit::Done)
        }
        Err(failure) => Err(session.person.explain(failure).into()),
    }
}

/// Lets the library's log be seen, one JSON object a line, as the function writes it.
pub(super) fn log_to_stderr() {
    let level = log::level(std::env::var("AWS_LAMBDA_LOG_LEVEL").ok().as_deref());
    let subscriber = log::subscriber(level, |line| anstream::eprintln!("{line}"));
    // A second one changes nothing.
    let _ = tracing::subscriber::set_global_default(subscriber);
}
