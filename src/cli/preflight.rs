//! Checks before a batch is sent: an invalidation in progress that covers all paths, wildcards in progress, many recent
//! invalidations, the month's free paths.
//!
//! The checks are optional: a check that fails or takes too long is skipped.

use std::time::Duration;

use chrono::TimeDelta;
use tokio::time::timeout;

use super::format::{counted, thousands};
use super::invalidation_cache::InvalidationCache;
use super::selection::PlannedBatch;
use super::usage::{self, FREE_PATHS, dollars};
use super::{Selection, Session, now};
use crate::error::Error;
use crate::plan::{ExistingInvalidation, Inventory, Limits};

/// A distribution with more invalidations than this within an hour causes a warning.
const MAX_WITHIN_AN_HOUR: usize = 10;

/// How long the check of one distribution, or of the account's free paths, can take.
const MAX_CHECK_TIME: Duration = Duration::from_secs(5);

/// Checks the planned batches and returns warnings. Plans keys again with fewer wildcards if wildcards are in progress,
/// and with fewer paths if few free ones are left.
///
/// With `--reference` or a caller reference of the user, the plan has to be the same at each run, and finding an
/// invalidation in progress is intended.
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
        .filter(|batch| !batch.plan.paths.is_empty() && batch.refused.is_none())
    {
        let read = read_recent(session, batch);
        let Some(recent) = within_time(session, "recent invalidations", read).await else {
            continue;
        };
        if !has_reference {
            if batch.objects.is_some() && selection.max_wildcards.is_none() {
                fit_remaining_quota(batch, &recent.in_progress, inventory);
            }
            warnings.extend(covered_warning(batch, &recent.in_progress));
        }
        warnings.extend(frequency_warning(batch, recent.within_an_hour));
    }
    let read = usage::paths_this_month(session);
    if let Some(used) = within_time(session, "the month's free paths", read).await {
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
    warnings
}

/// Returns the result of a read that succeeds in time. Otherwise prints with `--verbose` why the check is skipped.
async fn within_time<T>(
    session: &Session,
    subject: &str,
    read: impl Future<Output = Result<T, Error>>,
) -> Option<T> {
    let reason = match timeout(MAX_CHECK_TIME, read).await {
        Ok(Ok(value)) => return Some(value),
        Ok(Err(error)) => error.message(session.terminal.audience()),
        Err(_elapsed) => "it took too long".to_owned(),
    };
    session
        .terminal
        .detail(format!("{subject} were not checked: {reason}"));
    None
}

/// The recent invalidations of a distribution.
#[derive(Default)]
struct Recent {
    in_progress: Vec<ExistingInvalidation>,
    within_an_hour: usize,
}

async fn read_recent(session: &Session, batch: &PlannedBatch) -> Result<Recent, Error> {
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

/// Plans with the wildcards and paths that the invalidations in progress leave.
fn fit_remaining_quota(
    batch: &mut PlannedBatch,
    in_progress: &[ExistingInvalidation],
    inventory: Option<&Inventory>,
) {
    let remaining = batch.limits.remaining(in_progress);
    if remaining != batch.limits {
        batch.replan(remaining, inventory);
    }
}

fn covered_warning(batch: &PlannedBatch, in_progress: &[ExistingInvalidation]) -> Option<String> {
    let distribution = batch.distribution.as_ref()?;
    let paths = &batch.plan.paths;
    let covering = in_progress
        .iter()
        .find(|invalidation| invalidation.covers_all(paths))?;
    let age = now().signed_duration_since(covering.created);
    Some(format!(
        "{distribution}: {} is in progress and covers all of these paths; it was created {} s ago",
        covering.id,
        age.num_seconds().max(0)
    ))
}

fn frequency_warning(batch: &PlannedBatch, within_an_hour: usize) -> Option<String> {
    let distribution = batch.distribution.as_ref()?;
    (within_an_hour > MAX_WITHIN_AN_HOUR).then(|| {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::input::{Input, Object};
    use crate::cli::selection::plan_keys_alone;

    fn planned(objects: usize) -> PlannedBatch {
        let objects = (0..objects).map(|number| Object {
            bucket: None,
            key: format!("blog/{number}.html"),
        });
        let input = Input {
            objects: objects.collect(),
            ..Input::default()
        };
        plan_keys_alone(None, &input, None, Limits::BUCKET_CHANGES, true)
    }

    #[test]
    fn plans_with_fewer_paths_near_the_end_of_the_free_ones() {
        for (used, can_replan, paths, warning) in [
            (0, true, 20, None),
            (980, true, 20, None),
            (
                990,
                true,
                10,
                Some(
                    "990 of 1,000 free paths are used this month; planned with 10 paths instead of 20; of this request, \
                     0 paths are billed, about $0.00",
                ),
            ),
            (
                990,
                false,
                20,
                Some(
                    "990 of 1,000 free paths are used this month; of this request, 10 paths are billed, about $0.05",
                ),
            ),
            (
                1_234,
                true,
                1,
                Some(
                    "1,234 of 1,000 free paths are used this month; planned with 1 path instead of 20; of this request, \
                     1 path is billed, about $0.005",
                ),
            ),
        ] {
            let mut batches = [planned(20)];
            let result = fit_free_paths(used, can_replan, &mut batches, None);
            assert_eq!(result.as_deref(), warning, "{used}");
            let [batch] = batches;
            assert_eq!(batch.plan.paths.len(), paths, "{used}");
        }
    }
}
