//! Checks before a batch is sent: an invalidation in progress that covers all paths, wildcards in progress, many recent
//! invalidations, the month's free paths.
//!
//! The checks help a user who can answer a prompt, so without a terminal they run with `--checks` only. All of them
//! together take five seconds at most; a check that fails or takes longer is skipped. `--free-only` is not optional: it
//! sends nothing if the free paths cannot be read. Nothing else replaces paths by wildcards because of money.

use std::time::Duration;

use chrono::TimeDelta;
use futures_util::future::{join, join_all};
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::time::timeout;

use super::format::{counted, thousands};
use super::input::Input;
use super::selection::PlannedBatch;
use super::usage;
use super::{CliError, Create, Session, now};
use crate::aws::cloudfront::CloudFront;
use crate::billing::{FREE_PATHS, dollars};
use crate::distribution::DistributionId;
use crate::error::{Error, ErrorKind};
use crate::plan::{ExistingInvalidation, Inventory, Limits};

/// A distribution with more invalidations than this within an hour causes a warning.
const MAX_WITHIN_AN_HOUR: usize = 10;

/// How long all checks together can take.
const MAX_CHECK_TIME: Duration = Duration::from_secs(5);

/// How long the read of the month's free paths can take with `--free-only`, which needs it.
const MAX_FREE_ONLY_TIME: Duration = Duration::from_secs(60);

/// What the checks read.
const RECENT: &str = "recent invalidations";
const FREE: &str = "the month's free paths";

/// How many invalidations in progress of a distribution are read at a time.
const CONCURRENT_READS: usize = 8;

/// Checks the planned batches and returns warnings. Plans keys again with fewer wildcards if wildcards are in progress,
/// and, with `--free-only`, with fewer paths if fewer are free.
///
/// With `--reference` or a caller reference of the user, the plan has to be the same at each run, and finding an
/// invalidation in progress is intended.
///
/// # Errors
///
/// [`CliError`] with `--free-only` if the free paths cannot be read, or do not suffice for paths that are not merged.
pub(super) async fn check(
    session: &Session,
    create: &Create,
    input: &Input,
    planned: &mut [PlannedBatch],
    inventory: Option<&Inventory>,
) -> Result<Vec<String>, CliError> {
    let terminal = &session.terminal;
    let checks_recent = create.checks || (!create.no_checks && terminal.can_prompt());
    if !checks_recent && !create.no_checks {
        terminal.detail(format!(
            "{RECENT} are not checked without a terminal, and {FREE} with --free-only only; --checks checks both"
        ));
    }
    if !(checks_recent || create.free_only) || !planned.iter().any(is_sent) {
        return Ok(Vec::new());
    }
    let has_reference = create.reference.is_some() || input.reference.is_some();
    let findings = find(session, create, planned, checks_recent).await;
    let mut warnings = Vec::new();
    for (batch, recent) in planned.iter_mut().zip(findings.recent) {
        let Some(recent) = recent else { continue };
        if !has_reference {
            if batch.objects.is_some() && create.selection.max_wildcards.is_none() {
                let warning = fit_remaining_quota(batch, &recent.in_progress, inventory);
                warnings.extend(warning);
            }
            warnings.extend(covered_warning(batch, &recent.in_progress));
        }
        warnings.extend(frequency_warning(batch, recent.within_an_hour));
    }
    let used = match findings.used {
        Err(error) if create.free_only => {
            let context = format!("nothing was sent, because --free-only needs {FREE}");
            return Err(error.context(context).into());
        }
        used => value_or_skipped(session, create.checks, FREE, used),
    };
    if let Some(used) = used {
        let merging = match create.free_only {
            false => Merging::Off,
            true if has_reference => Merging::Refused("keys under a reference of your own"),
            true if !input.paths.is_empty() => Merging::Refused("paths that you name"),
            true => Merging::On(inventory),
        };
        let warning = check_free_paths(used, merging, planned)?;
        if warning.is_none() {
            let left = thousands(FREE_PATHS.saturating_sub(used));
            let free = thousands(FREE_PATHS);
            let text = format!("{left} of {free} free paths are left this month");
            terminal.hint(text);
        }
        warnings.extend(warning);
    }
    Ok(warnings)
}

fn is_sent(batch: &PlannedBatch) -> bool {
    !batch.plan.paths.is_empty() && batch.refused.is_none()
}

/// What the checks have read.
struct Findings {
    /// In the order of the batches; `None` for a batch that is not sent, and for a check that is skipped.
    recent: Vec<Option<Recent>>,
    /// How many paths were invalidated this month.
    used: Result<usize, Error>,
}

/// Reads everything at the same time.
async fn find(
    session: &Session,
    create: &Create,
    planned: &[PlannedBatch],
    checks_recent: bool,
) -> Findings {
    // Both reads need the credentials, whose first use can start a process or wait for the user.
    let cloudfront = match session.connection.cloudfront().await {
        Ok(cloudfront) => cloudfront,
        Err(error) => {
            let recent = Vec::new();
            let used = Err(error);
            return Findings { recent, used };
        }
    };
    let progress = session
        .terminal
        .progress(format!("checking {RECENT} and {FREE}"));
    let recent = planned.iter().map(|batch| async move {
        let is_checked = checks_recent && is_sent(batch);
        let distribution = batch.distribution.as_ref().filter(|_| is_checked)?;
        Some(read_recent(cloudfront, distribution).await)
    });
    let used = usage::paths_this_month(session, &progress);
    let max_used_time = if create.free_only {
        MAX_FREE_ONLY_TIME
    } else {
        MAX_CHECK_TIME
    };
    read_in_time(session, create.checks, recent, used, max_used_time).await
}

/// Waits for all reads at the same time. Recent invalidations that cannot be read within [`MAX_CHECK_TIME`] are skipped.
async fn read_in_time(
    session: &Session,
    is_requested: bool,
    recent: impl IntoIterator<Item = impl Future<Output = Option<Result<Recent, Error>>>>,
    used: impl Future<Output = Result<usize, Error>>,
    max_used_time: Duration,
) -> Findings {
    let recent = recent.into_iter().map(|recent| async {
        let read = timeout(MAX_CHECK_TIME, recent).await;
        let read = read.unwrap_or_else(|_elapsed| Some(Err(no_response(RECENT))))?;
        value_or_skipped(session, is_requested, RECENT, read)
    });
    let used = async {
        let read = timeout(max_used_time, used).await;
        read.unwrap_or_else(|_elapsed| Err(no_response(FREE)))
    };
    let (recent, used) = join(join_all(recent), used).await;
    Findings { recent, used }
}

fn no_response(subject: &str) -> Error {
    ErrorKind::Unavailable {
        purpose: format!("read {subject}"),
        message: "no response in time".to_owned(),
    }
    .into()
}

/// Returns the value that was read. Otherwise prints why the check is skipped, with `--verbose` or `--checks`.
fn value_or_skipped<T>(
    session: &Session,
    is_requested: bool,
    subject: &str,
    read: Result<T, Error>,
) -> Option<T> {
    read.inspect_err(|error| {
        let reason = error.message(session.terminal.audience());
        let text = format!("{subject} were not checked: {reason}");
        if is_requested {
            session.terminal.warn(text);
        } else {
            session.terminal.detail(text);
        }
    })
    .ok()
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
) -> Option<String> {
    let remaining = batch.limits.remaining(in_progress);
    if remaining == batch.limits {
        return None;
    }
    let before = batch.plan.paths.clone();
    batch.replan(remaining, inventory);
    let distribution = batch.distribution.as_ref()?;
    let paths = &batch.plan.paths;
    (*paths != before).then(|| {
        format!(
            "{distribution}: other invalidations are in progress and leave {} of CloudFront's quota, so the plan is {} \
             instead of {}, and more unchanged objects can lose their copy",
            counted(remaining.wildcards, "wildcard"),
            counted(paths.len(), "path"),
            thousands(before.len())
        )
    })
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

/// Whether keys become fewer paths, to stay within the free ones.
#[derive(Clone, Copy)]
enum Merging<'a> {
    /// The user did not request it.
    Off,
    /// The paths stay as they are, and this is what is not merged.
    Refused(&'static str),
    /// With the objects of the site, if they are known.
    On(Option<&'a Inventory>),
}

/// Compares the paths of the request with the free ones that are left. Returns a warning if they do not suffice.
fn check_free_paths(
    used: usize,
    merging: Merging<'_>,
    planned: &mut [PlannedBatch],
) -> Result<Option<String>, Error> {
    let left = FREE_PATHS.saturating_sub(used);
    let before = path_count(planned);
    if before <= left {
        return Ok(None);
    }
    match merging {
        Merging::Off => {}
        Merging::Refused(what) => {
            return Err(Error::invalid_input(format!(
                "nothing was sent: {} of {} free paths are left this month, and --free-only does not merge {what}; \
                 without it, {}",
                thousands(left),
                thousands(FREE_PATHS),
                billed_text(before - left)
            )));
        }
        Merging::On(inventory) => fit_free_paths(left, planned, inventory),
    }
    let sent = path_count(planned);
    let fewer = if sent < before {
        let sent = counted(sent, "path");
        format!("; planned with {sent} instead of {}", thousands(before))
    } else {
        String::new()
    };
    Ok(Some(format!(
        "{} of {} free paths are used this month{fewer}; of this request, {}",
        thousands(used),
        thousands(FREE_PATHS),
        billed_text(sent.saturating_sub(left))
    )))
}

/// Returns how many paths are sent, to all distributions together.
fn path_count(planned: &[PlannedBatch]) -> usize {
    let sent = planned.iter().filter(|batch| is_sent(batch));
    sent.map(|batch| batch.plan.paths.len()).sum()
}

fn billed_text(billed: usize) -> String {
    match billed {
        0 => "no path is billed".to_owned(),
        1 => format!("1 path is billed, about {}", dollars(1)),
        _ => format!(
            "{} are billed, about {}",
            counted(billed, "path"),
            dollars(billed)
        ),
    }
}

/// Plans keys again, with as many paths as are free, and at least one for each distribution.
fn fit_free_paths(left: usize, planned: &mut [PlannedBatch], inventory: Option<&Inventory>) {
    let mut sent: Vec<_> = planned.iter_mut().filter(|batch| is_sent(batch)).collect();
    // What a distribution with few paths leaves of its share is for the others.
    sent.sort_by_key(|batch| batch.plan.paths.len());
    let mut left = left;
    let mut others = sent.len();
    for batch in sent {
        // Wildcard rule: the free paths with `--free-only`.
        let share = left.checked_div(others).unwrap_or_default().max(1);
        if batch.plan.paths.len() > share {
            let limits = Limits {
                paths: share,
                ..batch.limits
            };
            batch.replan(limits, inventory);
        }
        left = left.saturating_sub(batch.plan.paths.len());
        others -= 1;
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use clap::Parser;
    use tokio::time::Instant;

    use super::*;
    use crate::cli::Arguments;
    use crate::cli::config::Config;
    use crate::cli::connection::Connection;
    use std::rc::Rc;

    use crate::cli::input::Object;
    use crate::cli::selection::KeyPlanning;
    use crate::cli::terminal::Terminal;
    use crate::site::{Change, PathOptions};

    fn session() -> Session {
        let arguments = Arguments::parse_from(["cf-invalidate", "distributions"]);
        Session {
            terminal: Terminal::new(&arguments, Rc::default()),
            config: Config::default(),
            connection: Connection::new(&arguments.global),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn all_checks_together_take_five_seconds_at_most() {
        let session = session();
        let started = Instant::now();
        let recent = (0..100).map(|_| pending());
        let findings = read_in_time(&session, false, recent, pending(), MAX_CHECK_TIME).await;
        assert_eq!(started.elapsed(), Duration::from_secs(5));
        assert_eq!(findings.recent.iter().flatten().count(), 0);
        assert_eq!(
            findings.used.map_err(|error| error.to_string()),
            Err("could not read the month's free paths: no response in time; try again".to_owned())
        );
        let recent = [true, false].map(|is_fast| async move {
            if !is_fast {
                pending::<()>().await;
            }
            Some(Ok(Recent::default()))
        });
        let findings = read_in_time(&session, false, recent, ready(Ok(7)), MAX_CHECK_TIME).await;
        let is_read: Vec<_> = findings.recent.iter().map(Option::is_some).collect();
        assert_eq!(is_read, [true, false]);
        assert_eq!(findings.used, Ok(7));
    }

    fn planned(objects: usize) -> PlannedBatch {
        let objects = (0..objects).map(|number| {
            let object = Object {
                bucket: None,
                // Any number of the last keys can share a wildcard.
                key: "a".repeat(number + 1),
            };
            (object, Change::default())
        });
        let input = Input {
            objects: objects.collect(),
            ..Input::default()
        };
        let planning = KeyPlanning {
            input: &input,
            options: &PathOptions::default(),
            limits: Limits::BUCKET_CHANGES,
            inventory: None,
            unchanged: None,
        };
        planning.without_site(None, true, None)
    }

    #[test]
    fn only_free_only_merges_paths() {
        let billed = "990 of 1,000 free paths are used this month; of this request, 10 paths are billed, about $0.05";
        for (used, merging, objects, expected, warning) in [
            (0, Merging::On(None), vec![20], vec![20], None),
            (980, Merging::On(None), vec![20], vec![20], None),
            (990, Merging::Off, vec![20], vec![20], Some(billed)),
            (
                990,
                Merging::On(None),
                vec![20],
                vec![10],
                Some(
                    "990 of 1,000 free paths are used this month; planned with 10 paths instead of 20; of this request, \
                     no path is billed",
                ),
            ),
            (
                1_234,
                Merging::On(None),
                vec![20],
                vec![1],
                Some(
                    "1,234 of 1,000 free paths are used this month; planned with 1 path instead of 20; of this request, \
                     1 path is billed, about $0.005",
                ),
            ),
            (
                1_000,
                Merging::On(None),
                vec![1],
                vec![1],
                Some(
                    "1,000 of 1,000 free paths are used this month; of this request, 1 path is billed, about $0.005",
                ),
            ),
            (
                990,
                Merging::On(None),
                vec![9, 0, 2, 20],
                vec![4, 0, 2, 4],
                Some(
                    "990 of 1,000 free paths are used this month; planned with 10 paths instead of 31; of this request, \
                     no path is billed",
                ),
            ),
        ] {
            let mut batches: Vec<_> = objects.iter().map(|count| planned(*count)).collect();
            let result = check_free_paths(used, merging, &mut batches);
            assert_eq!(result.as_ref().map(Option::as_deref), Ok(warning), "{used}");
            let counts: Vec<_> = batches.iter().map(|batch| batch.plan.paths.len()).collect();
            assert_eq!(counts, expected, "{used}");
        }
        let mut batches = [planned(3)];
        let refused = check_free_paths(998, Merging::Refused("paths that you name"), &mut batches);
        assert_eq!(
            refused.map_err(|error| error.to_string()),
            Err(
                "nothing was sent: 2 of 1,000 free paths are left this month, and --free-only does not merge paths that \
                 you name; without it, 1 path is billed, about $0.005"
                    .to_owned()
            )
        );
    }
}
