//! Checks before a batch is sent: an invalidation in progress that covers all paths, wildcards in progress, many recent
//! invalidations, the month's free paths.
//!
//! The checks help a user who can answer a prompt, so without a terminal they run with `--checks` only. All of them
//! together take five seconds at most; a check that fails or takes longer is skipped.

use std::fmt::Display;
use std::time::Duration;

use chrono::TimeDelta;
use futures_util::future::{join, join_all};
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};

use super::format::{counted, thousands};
use super::selection::PlannedBatch;
use super::usage::{self, FREE_PATHS, dollars};
use super::{Create, Session, now};
use crate::aws::cloudfront::CloudFront;
use crate::distribution::DistributionId;
use crate::error::Error;
use crate::plan::{ExistingInvalidation, Inventory, Limits};

/// A distribution with more invalidations than this within an hour causes a warning.
const MAX_WITHIN_AN_HOUR: usize = 10;

/// How long all checks together can take.
const MAX_CHECK_TIME: Duration = Duration::from_secs(5);

/// How many invalidations in progress of a distribution are read at a time.
const CONCURRENT_READS: usize = 8;

/// Checks the planned batches and returns warnings. Plans keys again with fewer wildcards if wildcards are in progress,
/// and with fewer paths if few free ones are left.
///
/// With `--reference` or a caller reference of the user, the plan has to be the same at each run, and finding an
/// invalidation in progress is intended.
pub(super) async fn check(
    session: &Session,
    create: &Create,
    has_reference: bool,
    planned: &mut [PlannedBatch],
    inventory: Option<&Inventory>,
) -> Vec<String> {
    if create.no_checks {
        return Vec::new();
    }
    let terminal = &session.terminal;
    if !create.checks && !terminal.can_prompt() {
        terminal.detail(
            "recent invalidations and the month's free paths are not checked without a terminal; --checks checks them",
        );
        return Vec::new();
    }
    let Some(findings) = find(session, planned).await else {
        return Vec::new();
    };
    let mut warnings = Vec::new();
    for (batch, recent) in planned.iter_mut().zip(findings.recent) {
        let Some(recent) = recent else { continue };
        if !has_reference {
            if batch.objects.is_some() && create.selection.max_wildcards.is_none() {
                fit_remaining_quota(batch, &recent.in_progress, inventory);
            }
            warnings.extend(covered_warning(batch, &recent.in_progress));
        }
        warnings.extend(frequency_warning(batch, recent.within_an_hour));
    }
    if let Some(used) = findings.used {
        let can_replan = !has_reference && create.selection.max_paths.is_none();
        let warning = fit_free_paths(used, can_replan, planned, inventory);
        if warning.is_none() {
            let left = thousands(FREE_PATHS.saturating_sub(used));
            let free = thousands(FREE_PATHS);
            let text = format!("{left} of {free} free paths are left this month");
            terminal.hint(text);
        }
        warnings.extend(warning);
    }
    warnings
}

/// What the checks have read in time.
struct Findings {
    /// In the order of the batches; `None` for a batch that is not sent.
    recent: Vec<Option<Recent>>,
    /// How many paths were invalidated this month.
    used: Option<usize>,
}

/// Reads everything at the same time. Returns `None` if nothing is sent, or without credentials.
async fn find(session: &Session, planned: &[PlannedBatch]) -> Option<Findings> {
    let distribution = |batch: &PlannedBatch| {
        let is_sent = !batch.plan.paths.is_empty() && batch.refused.is_none();
        batch.distribution.clone().filter(|_| is_sent)
    };
    let distributions: Vec<_> = planned.iter().map(distribution).collect();
    if distributions.iter().all(Option::is_none) {
        return None;
    }
    // Both reads need the credentials. The first use can start a process or wait for the user.
    let cloudfront = match session.connection.cloudfront().await {
        Ok(cloudfront) => cloudfront,
        Err(error) => {
            skipped(
                session,
                "recent invalidations and the month's free paths",
                error.message(session.terminal.audience()),
            );
            return None;
        }
    };
    let progress = session
        .terminal
        .progress("checking recent invalidations and the month's free paths");
    let recent = distributions.iter().map(|distribution| async {
        let distribution = distribution.as_ref()?;
        Some(read_recent(cloudfront, distribution).await)
    });
    let used = usage::paths_this_month(session, &progress);
    Some(read_in_time(session, recent, used).await)
}

/// Waits for all reads at the same time. Those that fail, or that take longer than [`MAX_CHECK_TIME`], are skipped.
async fn read_in_time(
    session: &Session,
    recent: impl IntoIterator<Item = impl Future<Output = Option<Result<Recent, Error>>>>,
    used: impl Future<Output = Result<usize, Error>>,
) -> Findings {
    let deadline = Instant::now() + MAX_CHECK_TIME;
    let recent = recent.into_iter().map(|recent| async {
        let read = timeout_at(deadline, recent).await.transpose()?;
        value_or_skipped(session, "recent invalidations", read)
    });
    let used = async {
        let read = timeout_at(deadline, used).await;
        value_or_skipped(session, "the month's free paths", read)
    };
    let (recent, used) = join(join_all(recent), used).await;
    Findings { recent, used }
}

/// Returns the value that was read in time. Otherwise prints with `--verbose` why the check is skipped.
fn value_or_skipped<T>(
    session: &Session,
    subject: &str,
    read: Result<Result<T, Error>, Elapsed>,
) -> Option<T> {
    match read {
        Ok(Ok(value)) => return Some(value),
        Ok(Err(error)) => skipped(session, subject, error.message(session.terminal.audience())),
        Err(_elapsed) => skipped(session, subject, "it took too long"),
    }
    None
}

fn skipped(session: &Session, subject: &str, reason: impl Display) {
    session
        .terminal
        .detail(format!("{subject} were not checked: {reason}"));
}

/// The recent invalidations of a distribution.
#[derive(Default)]
struct Recent {
    in_progress: Vec<ExistingInvalidation>,
    within_an_hour: usize,
}

async fn read_recent(
    cloudfront: &CloudFront,
    distribution: &DistributionId,
) -> Result<Recent, Error> {
    let hour_ago = now() - TimeDelta::hours(1);
    let listed = cloudfront
        .list_invalidations(distribution, hour_ago, usize::MAX)
        .await?;
    let listed_in_progress = listed.iter().filter(|summary| summary.is_in_progress());
    let reads =
        listed_in_progress.map(|summary| cloudfront.invalidation(distribution, &summary.id));
    let mut in_progress: Vec<_> = stream::iter(reads)
        .buffered(CONCURRENT_READS)
        .try_collect()
        .await?;
    in_progress.retain(ExistingInvalidation::is_in_progress);
    Ok(Recent {
        in_progress,
        within_an_hour: listed.len(),
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
    use std::future::{pending, ready};

    use clap::Parser;

    use super::*;
    use crate::cli::Arguments;
    use crate::cli::config::Config;
    use crate::cli::connection::Connection;
    use std::rc::Rc;

    use crate::cli::input::{Input, Object};
    use crate::cli::selection::plan_keys_alone;
    use crate::cli::terminal::Terminal;

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

    fn session() -> Session {
        let arguments = Arguments::parse_from(["cf-invalidate", "distributions"]);
        Session {
            terminal: Terminal::new(&arguments.global, Rc::default()),
            config: Config::default(),
            connection: Connection::new(&arguments.global),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn all_checks_together_take_five_seconds_at_most() {
        let session = session();
        let started = Instant::now();
        let findings = read_in_time(&session, (0..100).map(|_| pending()), pending()).await;
        assert_eq!(started.elapsed(), Duration::from_secs(5));
        assert_eq!(findings.recent.iter().flatten().count(), 0);
        assert_eq!(findings.used, None);
        let recent = [true, false].map(|is_fast| async move {
            if !is_fast {
                pending::<()>().await;
            }
            Some(Ok(Recent::default()))
        });
        let findings = read_in_time(&session, recent, ready(Ok(7))).await;
        let is_read: Vec<_> = findings.recent.iter().map(Option::is_some).collect();
        assert_eq!(is_read, [true, false]);
        assert_eq!(findings.used, Some(7));
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
