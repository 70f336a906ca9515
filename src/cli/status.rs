//! `status`: prints the status of invalidations.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::format::{counted, excerpt};
use super::list::newest;
use super::wait::{self, WaitEnd, WaitResult};
use super::{CliError, Exit, Session, Status, target};
use crate::distribution::DistributionId;
use crate::output::{CommandOutput, StatusOutput, timestamp};
use crate::plan::limits::MAX_INVALIDATIONS_READ;
use crate::plan::{ExistingInvalidation, InvalidationId, InvalidationStatus};

/// How long reading an invalidation may take, with all retries.
const MAX_READ_TIME: Duration = Duration::from_secs(30);

/// Runs the command.
pub(super) async fn run(session: &Session, status: &Status) -> Result<Exit, CliError> {
    let targets = target::find(session, &status.named.distributions, &[]).await?;
    let distributions: Vec<_> = targets.into_iter().map(|target| target.id).collect();
    let found = match status.id.as_ref().map(InvalidationId::new) {
        Some(id) => {
            let cloudfront = session.connection.cloudfront().await?;
            let deadline = Instant::now() + MAX_READ_TIME;
            let found = cloudfront.find_invalidation(&distributions, &id, deadline);
            vec![found.await?]
        }
        None => newest_of_each(session, distributions).await?,
    };
    let texts: Vec<_> = found
        .iter()
        .map(|(distribution, invalidation)| text(distribution, invalidation))
        .collect();
    session.terminal.text(match texts.as_slice() {
        [] => "no invalidations".to_owned(),
        texts => texts.join("\n"),
    });
    let mut waits = Vec::new();
    if let Some(limit) = status.wait.filter(|limit| !limit.is_zero()) {
        let in_progress = found
            .iter()
            .filter(|(_, invalidation)| invalidation.is_in_progress())
            .map(|(distribution, invalidation)| {
                (distribution.clone(), Some(invalidation.id.clone()))
            });
        waits = wait::wait(session, in_progress.collect(), limit, Instant::now()).await;
    }
    let exit = wait::exit(&waits);
    let error = wait::first_error(&waits, session.terminal.audience());
    let objects: Vec<_> = found
        .into_iter()
        .map(|(distribution, invalidation)| output(&distribution, invalidation, &waits))
        .collect();
    let output = CommandOutput::new(json!({"invalidations": objects}), exit, error);
    session.terminal.json(output);
    Ok(exit)
}

/// An invalidation, with its distribution.
type Found = (DistributionId, ExistingInvalidation);

/// Returns the invalidations in progress among the newest 20 of each distribution, or else the newest.
async fn newest_of_each(
    session: &Session,
    distributions: Vec<DistributionId>,
) -> Result<Vec<Found>, CliError> {
    let mut found = Vec::new();
    for distribution in distributions {
        let newest = newest(session, &distribution, MAX_INVALIDATIONS_READ).await?;
        let (in_progress, completed): (Vec<_>, Vec<_>) = newest
            .into_iter()
            .partition(ExistingInvalidation::is_in_progress);
        let shown = match in_progress.is_empty() {
            true => completed.into_iter().take(1).collect(),
            false => in_progress,
        };
        found.extend(shown.into_iter().map(|shown| (distribution.clone(), shown)));
    }
    Ok(found)
}

fn text(distribution: &DistributionId, invalidation: &ExistingInvalidation) -> String {
    let status = if invalidation.is_in_progress() {
        "in progress"
    } else {
        "completed"
    };
    format!(
        "{distribution}: {} is {status}, created {} ({}: {})",
        invalidation.id,
        timestamp(invalidation.created),
        counted(invalidation.paths.len(), "path"),
        excerpt(&invalidation.paths)
    )
}

fn output(
    distribution: &DistributionId,
    mut invalidation: ExistingInvalidation,
    waits: &[WaitResult],
) -> StatusOutput {
    let is_completed = waits
        .iter()
        .any(|wait| wait.id.as_ref() == Some(&invalidation.id) && wait.end == WaitEnd::Completed);
    if is_completed {
        invalidation.status = InvalidationStatus::Completed;
    }
    StatusOutput::new(distribution, invalidation)
}
