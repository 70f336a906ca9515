//! `list`: prints the newest invalidations, with their paths.

use chrono::DateTime;
use serde_json::json;

use super::format::{excerpt, table};
use super::invalidation_cache::InvalidationCache;
use super::terminal::Progress;
use super::{CliError, Exit, List, Session, target};
use crate::distribution::DistributionId;
use crate::output::{CommandOutput, InvalidationOutput, timestamp};
use crate::plan::ExistingInvalidation;

/// Runs the command.
pub(super) async fn run(session: &Session, list: &List) -> Result<Exit, CliError> {
    let targets = target::find(session, &list.named.distributions, &[]).await?;
    let maximum = usize::try_from(list.max).unwrap_or(usize::MAX);
    let mut texts = Vec::new();
    let mut objects = Vec::new();
    for target in targets {
        let id = &target.id;
        let progress = progress(session, id);
        let invalidations = newest(session, id, maximum).await?;
        drop(progress);
        texts.push(text(id, &invalidations));
        let invalidations = invalidations.into_iter();
        let invalidations =
            invalidations.map(|invalidation| InvalidationOutput::new(id, invalidation));
        let invalidations: Vec<_> = invalidations.collect();
        objects.push(json!({"distribution": id, "invalidations": invalidations}));
    }
    let output = CommandOutput::done(json!({"distributions": objects}));
    session.terminal.result(texts.join("\n"), output);
    Ok(Exit::Done)
}

/// Shows that the invalidations of a distribution are listed.
pub(super) fn progress(session: &Session, distribution: &DistributionId) -> Progress {
    let text = format!("listing the invalidations of {distribution}");
    session.terminal.progress(text)
}

/// Returns the newest invalidations of a distribution. It shows no progress, because the caller may show its own: a
/// terminal has one progress line at a time.
pub(super) async fn newest(
    session: &Session,
    distribution: &DistributionId,
    maximum: usize,
) -> Result<Vec<ExistingInvalidation>, CliError> {
    let clients = session.connection.clients().await?;
    let summaries = clients
        .cloudfront
        .list_invalidations(distribution, DateTime::UNIX_EPOCH, maximum)
        .await?;
    let cache = InvalidationCache::open(clients, distribution);
    Ok(cache.read_all(&summaries).await?)
}

fn text(distribution: &DistributionId, invalidations: &[ExistingInvalidation]) -> String {
    if invalidations.is_empty() {
        return format!("{distribution}: no invalidations");
    }
    let rows = invalidations.iter().map(|invalidation| {
        [
            distribution.to_string(),
            invalidation.id.to_string(),
            timestamp(invalidation.created),
            invalidation.status.as_str().to_owned(),
            excerpt(&invalidation.paths).to_string(),
        ]
    });
    let header = ["distribution", "invalidation", "created", "status", "paths"];
    table(header, rows)
}
