//! `list`: the newest invalidations, with their paths.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::json;

use super::distributions::{plain, table};
use super::invalidation_cache::InvalidationCache;
use super::{CliError, Exit, List, Session, target};
use crate::distribution::DistributionId;
use crate::path::SubmittedPath;
use crate::plan::ExistingInvalidation;

/// How many paths are shown in a line.
const MAX_SHOWN: usize = 5;

/// Runs the command.
pub(super) async fn run(session: &Session, list: &List) -> Result<Exit, CliError> {
    let targets = target::find(session, &list.distributions, &[]).await?;
    let maximum = usize::try_from(list.max).unwrap_or(usize::MAX);
    let mut all = Vec::new();
    for target in targets {
        all.push((
            target.id.clone(),
            newest(session, &target.id, maximum).await?,
        ));
    }
    let texts: Vec<_> = all.iter().map(|(id, list)| text(id, list)).collect();
    let objects: Vec<_> = all
        .iter()
        .map(|(id, invalidations)| json!({"distribution": id, "invalidations": invalidations}))
        .collect();
    session
        .terminal
        .result(texts.join("\n"), json!({"distributions": objects}));
    Ok(Exit::Done)
}

/// Returns the newest invalidations of a distribution.
pub(super) async fn newest(
    session: &Session,
    id: &DistributionId,
    maximum: usize,
) -> Result<Vec<ExistingInvalidation>, CliError> {
    let cloudfront = session.connection.cloudfront().await?;
    let progress = session
        .terminal
        .progress(format!("listing the invalidations of {id}"));
    let listed = cloudfront
        .list_invalidations(id, DateTime::UNIX_EPOCH, maximum)
        .await?;
    let invalidations = InvalidationCache::open(id)
        .read(cloudfront, id, &listed)
        .await?;
    drop(progress);
    Ok(invalidations)
}

fn text(id: &DistributionId, invalidations: &[ExistingInvalidation]) -> String {
    if invalidations.is_empty() {
        return format!("{id}: no invalidations");
    }
    let mut table = table(["distribution", "invalidation", "created", "status", "paths"]);
    for invalidation in invalidations {
        table.add_row([
            id.as_str(),
            invalidation.id.as_str(),
            &timestamp(invalidation.created),
            &invalidation.status,
            &excerpt(&invalidation.paths),
        ]);
    }
    plain(&table)
}

/// Writes a time as CloudFront does.
pub(super) fn timestamp(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Writes the first paths, and how many more there are.
pub(super) fn excerpt(paths: &[SubmittedPath]) -> String {
    let first = paths.iter().take(MAX_SHOWN).map(SubmittedPath::as_str);
    let first = first.collect::<Vec<_>>().join(" ");
    match paths.len().saturating_sub(MAX_SHOWN) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}
