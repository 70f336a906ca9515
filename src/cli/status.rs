//! `status`: prints the status of invalidations.

use serde::Serialize;
use serde_json::json;
use tokio::time::Instant;

use super::format::{counted, excerpt, timestamp};
use super::list::newest;
use super::output::{CommandOutput, InvalidationOutput};
use super::wait::{self, WaitEnd, WaitResult};
use super::{CliError, Exit, Session, Status, target};
use crate::distribution::DistributionId;
use crate::plan::limits::MAX_INVALIDATIONS_READ;
use crate::plan::{ExistingInvalidation, InvalidationId, InvalidationStatus};

/// Runs the command.
pub(super) async fn run(session: &Session, status: &Status) -> Result<Exit, CliError> {
    let targets = target::find(session, &status.distributions, &[]).await?;
    let id = status.id.as_ref().map(InvalidationId::new);
    let mut found: Vec<(DistributionId, ExistingInvalidation)> = Vec::new();
    for target in targets {
        for invalidation in invalidations(session, &target.id, id.as_ref()).await? {
            found.push((target.id.clone(), invalidation));
        }
    }
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

/// Returns the invalidation with the id; without an id, all in progress among the newest 20, or else the newest.
async fn invalidations(
    session: &Session,
    distribution: &DistributionId,
    id: Option<&InvalidationId>,
) -> Result<Vec<ExistingInvalidation>, CliError> {
    if let Some(id) = id {
        let cloudfront = session.connection.cloudfront().await?;
        return Ok(vec![cloudfront.invalidation(distribution, id).await?]);
    }
    let newest = newest(session, distribution, MAX_INVALIDATIONS_READ).await?;
    let (in_progress, completed): (Vec<_>, Vec<_>) = newest
        .into_iter()
        .partition(ExistingInvalidation::is_in_progress);
    Ok(if in_progress.is_empty() {
        completed.into_iter().take(1).collect()
    } else {
        in_progress
    })
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

/// An invalidation, with the former name of `id`.
#[derive(Serialize)]
struct StatusOutput {
    invalidation: InvalidationId,
    #[serde(flatten)]
    output: InvalidationOutput,
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
    StatusOutput {
        invalidation: invalidation.id.clone(),
        output: InvalidationOutput::new(distribution, invalidation),
    }
}
