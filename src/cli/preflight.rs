//! Checks before a batch is sent: the same paths in progress, many recent invalidations, the month's free paths.
//!
//! The checks are optional: a check that fails or takes too long is skipped.

use std::time::Duration;

use chrono::TimeDelta;
use tokio::time::timeout;

use super::format::{counted, now, thousands};
use super::invalidation_cache::InvalidationCache;
use super::selection::PlannedBatch;
use super::usage::{self, FREE_PATHS, dollars};
use super::{Selection, Session};
use crate::error::Error;
use crate::plan::{ExistingInvalidation, Inventory, Limits};

/// How many invalidations of a distribution within an hour cause no warning yet.
const MANY_IN_AN_HOUR: usize = 10;

/// How long a check can take.
const MAX_CHECK_TIME: Duration = Duration::from_secs(5);

/// Checks the planned batches; returns warnings, and plans with fewer paths if few are left.
///
/// With a caller reference that the user chose, the plan has to be the same at each run, and finding the same paths in
/// progress is intended.
pub(super) async fn check(
    session: &Session,
    selection: &Selection,
    has_reference: bool,
    planned: &mut [PlannedBatch],
    inventory: Option<&Inventory>,
) -> Vec<String> {
    let mut warnings = Vec::new();
    for batch in planned
        .iter_mut()
        .filter(|batch| !batch.plan.paths.is_empty())
    {
        match timeout(MAX_CHECK_TIME, recent(session, batch)).await {
            Ok(Ok(recent)) => {
                let can_replan = !has_reference && batch.objects.is_some();
                if can_replan && selection.max_wildcards.is_none() {
                    let remaining = batch.limits.remaining(&recent.in_progress);
                    if remaining != batch.limits {
                        batch.replan(remaining, inventory);
                    }
                }
                if !has_reference {
                    warnings.extend(warn_of_same(batch, &recent.in_progress));
                }
                warnings.extend(warn_of_many(batch, recent.within_an_hour));
            }
            Ok(Err(error)) => skipped(session, "recent invalidations", &error),
            Err(_elapsed) => skipped_for_time(session, "recent invalidations"),
        }
    }
    match timeout(MAX_CHECK_TIME, usage::paths_this_month(session)).await {
        Ok(Ok(used)) => {
            let can_replan = !has_reference && selection.max_paths.is_none();
            let warning = fit_free_paths(used, can_replan, planned, inventory);
            if warning.is_none() {
                let left = thousands(FREE_PATHS.saturating_sub(used));
                let free = thousands(FREE_PATHS);
                let text = format!("{left} of {free} free paths are left this month");
                session.terminal.hint(text);
            }
            warnings.extend(warning);
        }
        Ok(Err(error)) => skipped(session, "the month's free paths", &error),
        Err(_elapsed) => skipped_for_time(session, "the month's free paths"),
    }
    warnings
}

fn skipped(session: &Session, subject: &str, error: &Error) {
    let error = error.message(session.terminal.audience());
    session
        .terminal
        .detail(format!("{subject} were not checked: {error}"));
}

fn skipped_for_time(session: &Session, subject: &str) {
    session
        .terminal
        .detail(format!("{subject} were not checked: it took too long"));
}

/// The recent invalidations of a distribution.
#[derive(Default)]
struct Recent {
    in_progress: Vec<ExistingInvalidation>,
    within_an_hour: usize,
}

async fn recent(session: &Session, batch: &PlannedBatch) -> Result<Recent, Error> {
    let Some(distribution) = &batch.distribution else {
        return Ok(Recent::default());
    };
    let cloudfront = session.connection.cloudfront().await?;
    let hour_ago = now() - TimeDelta::hours(1);
    let mut listed = cloudfront
        .list_invalidations(distribution, hour_ago, usize::MAX)
        .await?;
    let within_an_hour = listed.len();
    listed.retain(|summary| summary.is_in_progress());
    let mut cache = InvalidationCache::open(distribution);
    let mut in_progress = cache.read(cloudfront, distribution, &listed).await?;
    in_progress.retain(ExistingInvalidation::is_in_progress);
    Ok(Recent {
        in_progress,
        within_an_hour,
    })
}

fn warn_of_same(batch: &PlannedBatch, in_progress: &[ExistingInvalidation]) -> Option<String> {
    let distribution = batch.distribution.as_ref()?;
    let paths = &batch.plan.paths;
    let same = in_progress
        .iter()
        .find(|invalidation| paths.iter().all(|path| invalidation.covers(path)))?;
    let age = now().signed_duration_since(same.created);
    Some(format!(
        "{distribution}: {} is in progress and covers all of these paths; it was created {} s ago",
        same.id,
        age.num_seconds().max(0)
    ))
}

fn warn_of_many(batch: &PlannedBatch, within_an_hour: usize) -> Option<String> {
    let distribution = batch.distribution.as_ref()?;
    (within_an_hour > MANY_IN_AN_HOUR).then(|| {
        format!(
            "{distribution}: {} were created within the last hour; a single wildcard would count as one path",
            counted(within_an_hour, "invalidation")
        )
    })
}

/// Plans with fewer paths if the free ones do not suffice, and warns of those that are billed.
fn fit_free_paths(
    used: usize,
    can_replan: bool,
    planned: &mut [PlannedBatch],
    inventory: Option<&Inventory>,
) -> Option<String> {
    let left = FREE_PATHS.saturating_sub(used);
    let path_count = |planned: &[PlannedBatch]| -> usize {
        let counts = planned.iter().map(|batch| batch.plan.paths.len());
        counts.sum()
    };
    let before = path_count(planned);
    if before <= left || before == 0 {
        return None;
    }
    let left_per_batch = (left / planned.len().max(1)).max(1);
    for batch in planned.iter_mut().filter(|batch| batch.objects.is_some()) {
        if can_replan && batch.plan.paths.len() > left_per_batch {
            let limits = Limits {
                paths: left_per_batch.min(batch.limits.paths),
                ..batch.limits
            };
            batch.replan(limits, inventory);
        }
    }
    let sent = path_count(planned);
    let fewer = if sent < before {
        format!(
            "; planned with {} instead of {before}",
            counted(sent, "path")
        )
    } else {
        String::new()
    };
    let billed = sent.saturating_sub(left);
    Some(format!(
        "{} of {} free paths are used this month{fewer}; of this request, {} {} billed, about {}",
        thousands(used),
        thousands(FREE_PATHS),
        counted(billed, "path"),
        if billed == 1 { "is" } else { "are" },
        dollars(billed)
    ))
}
