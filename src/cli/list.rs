//! `list`: the newest invalidations, with their paths.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::json;

use super::distributions::{plain, table};
use super::ledger::Ledger;
use super::{Exit, List, Session, Stop, target};
use crate::aws::account::Invalidation;
use crate::distribution::DistributionId;

/// How many paths are shown in a line.
const MAX_SHOWN: usize = 5;

/// Runs the command.
pub(super) async fn run(session: &Session, list: &List) -> Result<Exit, Stop> {
    let targets = target::find(session, &list.distributions, &[]).await?;
    let most = usize::try_from(list.max).unwrap_or(usize::MAX);
    let mut all = Vec::new();
    for target in targets {
        all.push((target.id.clone(), newest(session, &target.id, most).await?));
    }
    let texts: Vec<_> = all.iter().map(|(id, list)| text(id, list)).collect();
    let object = |(id, list): &(DistributionId, Vec<Invalidation>)| json!({"distribution": id, "invalidations": list});
    let objects: Vec<_> = all.iter().map(object).collect();
    session
        .terminal
        .result(texts.join("\n"), json!({"distributions": objects}));
    Ok(Exit::Done)
}

/// Returns the newest invalidations of a distribution.
pub(super) async fn newest(
    session: &Session,
    id: &DistributionId,
    most: usize,
) -> Result<Vec<Invalidation>, Stop> {
    let person = session.person.connect().await?;
    let progress = session
        .terminal
        .progress(format!("listing the invalidations of {id}"));
    let (ever, account) = (DateTime::UNIX_EPOCH, &person.account);
    let listed = person
        .cloudfront
        .invalidations(id, ever, most, account)
        .await;
    let listed = listed.map_err(|failure| session.person.explain(failure))?;
    let whole = Ledger::open(id).whole(person, id, &listed).await;
    drop(progress);
    Ok(whole.map_err(|failure| session.person.explain(failure))?)
}

fn text(id: &DistributionId, list: &[Invalidation]) -> String {
    if list.is_empty() {
        return format!("{id}: no invalidations");
    }
    let mut table = table(["distribution", "invalidation", "created", "status", "paths"]);
    for one in list {
        table.add_row([
            id.as_str(),
            &one.id,
            &moment(one.created),
            &one.status,
            &shown(&one.paths),
        ]);
    }
    plain(&table)
}

/// Writes a moment as CloudFront does.
pub(super) fn moment(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Writes some of the paths.
pub(super) fn shown(paths: &[String]) -> String {
    let first = paths[..paths.len().min(MAX_SHOWN)].join(" ");
    match paths.len().saturating_sub(MAX_SHOWN) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}
