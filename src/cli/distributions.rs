//! `distributions`: prints the distributions of the account.

use serde::Serialize;
use serde_json::json;

use super::format::table;
use super::{CliError, Exit, Session};
use crate::aws::cloudfront::DistributionSummary;
use crate::distribution::DistributionId;
use crate::error::Error;
use crate::output::CommandOutput;

/// A distribution, whose `id` is the former name of `distribution`.
#[derive(Serialize)]
struct SummaryOutput<'a> {
    distribution: &'a DistributionId,
    #[serde(flatten)]
    summary: &'a DistributionSummary,
}

/// Runs the command.
pub(super) async fn run(session: &Session) -> Result<Exit, CliError> {
    let distributions = list(session).await?;
    let objects = distributions.iter().map(|distribution| SummaryOutput {
        distribution: &distribution.id,
        summary: distribution,
    });
    let objects: Vec<_> = objects.collect();
    let output = CommandOutput::done(json!({"distributions": objects}));
    session.terminal.result(text(&distributions), output);
    Ok(Exit::Done)
}

/// Lists the distributions of the account.
pub(super) async fn list(session: &Session) -> Result<Vec<DistributionSummary>, Error> {
    let cloudfront = session.connection.cloudfront().await?;
    let _progress = session
        .terminal
        .progress("listing the account's distributions");
    cloudfront.list_distributions().await
}

fn text(distributions: &[DistributionSummary]) -> String {
    if distributions.is_empty() {
        return "the account has no distributions".to_owned();
    }
    let rows = distributions.iter().map(|distribution| {
        let state = match (distribution.enabled, distribution.status.as_str()) {
            (false, _) => "disabled",
            (true, "Deployed") => "enabled",
            (true, _) => "deploying",
        };
        [
            distribution.id.to_string(),
            state.to_owned(),
            distribution.domain_name.clone(),
            distribution.aliases.join(" "),
            distribution.comment.clone(),
        ]
    });
    table(["id", "state", "domain name", "aliases", "comment"], rows)
}
