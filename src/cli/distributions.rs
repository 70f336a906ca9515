//! `distributions`: what the account has.

use comfy_table::{Table, presets};
use serde_json::json;

use super::{CliError, Exit, Session};
use crate::aws::cloudfront::DistributionSummary;

/// Runs the command.
pub(super) async fn run(session: &Session) -> Result<Exit, CliError> {
    let cloudfront = session.connection.cloudfront().await?;
    let progress = session
        .terminal
        .progress("listing the account's distributions");
    let listed = cloudfront.list_distributions().await?;
    drop(progress);
    session
        .terminal
        .result(text(&listed), json!({"distributions": listed}));
    Ok(Exit::Done)
}

fn text(listed: &[DistributionSummary]) -> String {
    if listed.is_empty() {
        return "the account has no distributions".to_owned();
    }
    let mut table = table(["id", "state", "domain name", "aliases", "comment"]);
    for one in listed {
        let state = match (one.enabled, one.status.as_str()) {
            (false, _) => "disabled",
            (true, "Deployed") => "enabled",
            (true, _) => "deploying",
        };
        table.add_row([
            one.id.as_str(),
            state,
            &one.domain_name,
            &one.aliases.join(" "),
            &one.comment,
        ]);
    }
    plain(&table)
}

/// Makes a table without lines, which can be cut into columns by a script as well.
pub(super) fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(header);
    table
}

pub(super) fn plain(table: &Table) -> String {
    let text = table.to_string();
    let lines: Vec<_> = text
        .lines()
        .map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end())
        .collect();
    lines.join("\n")
}
