//! `usage`: the month's paths, what they cost, and which were needless.
//!
//! CloudFront tells neither the paths of an invalidation in its list nor a sum, so each invalidation of the month is
//! asked for; the finished ones once only.

mod month;

use serde_json::json;

use super::invalidation_cache::{InvalidationCache, now};
use super::plan::{counted, thousands};
use super::terminal::Progress;
use super::{CliError, Exit, Session, Usage};
use crate::aws::cloudfront::DistributionSummary;
use crate::error::Error;
use crate::plan::ExistingInvalidation;
pub(super) use month::{FREE_PATHS, dollars};
use month::{Month, Reckoning};

/// How many characters the longest bar has.
const BAR: usize = 40;

/// How many needless invalidations are told one by one.
const MAX_TOLD: usize = 5;

/// Runs the command.
pub(super) async fn run(session: &Session, usage: &Usage) -> Result<Exit, CliError> {
    let month = match &usage.month {
        None => Month::of(now()),
        Some(text) => Month::parse(text).ok_or_else(|| {
            CliError::usage(format!("{text:?} is no month: write one such as 2026-01"))
        })?,
    };
    let progress = session
        .terminal
        .progress("looking at the account's invalidations");
    let all = invalidations(session, &month, Some(&progress)).await;
    drop(progress);
    let reckoning = Reckoning::of(&month, &all?);
    session
        .terminal
        .result(text(&month, &reckoning), json!(reckoning));
    Ok(Exit::Done)
}

/// Returns how many paths were invalidated this month.
pub(super) async fn paths_this_month(session: &Session) -> Result<usize, Error> {
    let all = invalidations(session, &Month::of(now()), None).await?;
    Ok(all
        .iter()
        .flat_map(|(_, list)| list)
        .map(|one| one.paths.len())
        .sum())
}

/// Returns the month's invalidations of all distributions, the newest first.
async fn invalidations(
    session: &Session,
    month: &Month,
    progress: Option<&Progress>,
) -> Result<Vec<(DistributionSummary, Vec<ExistingInvalidation>)>, Error> {
    let cloudfront = session.connection.cloudfront().await?;
    let distributions = cloudfront.list_distributions().await?;
    let count = distributions.len();
    let mut all = Vec::new();
    for (at, distribution) in distributions.into_iter().enumerate() {
        if let Some(progress) = progress {
            progress.say(format!(
                "looking at {} ({} of {count})",
                distribution.id,
                at + 1
            ));
        }
        let mut listed = cloudfront
            .list_invalidations(&distribution.id, month.start(), usize::MAX)
            .await?;
        listed.retain(|summary| month.contains(summary.created));
        let mut cache = InvalidationCache::open(&distribution.id);
        let invalidations = cache.read(cloudfront, &distribution.id, &listed).await?;
        all.push((distribution, invalidations));
    }
    Ok(all)
}

fn text(month: &Month, reckoning: &Reckoning) -> String {
    let left = match reckoning.billed {
        0 => format!("{} left", thousands(FREE_PATHS - reckoning.used)),
        billed => format!(
            "{} billed, about {}",
            counted(billed, "path"),
            dollars(billed)
        ),
    };
    let used = thousands(reckoning.used);
    let mut lines = vec![format!(
        "{month}: {used} of {} free paths used, {left}",
        thousands(FREE_PATHS)
    )];
    let most = reckoning
        .days
        .iter()
        .map(|day| day.paths)
        .max()
        .unwrap_or_default();
    for day in reckoning.days.iter().filter(|day| day.paths > 0) {
        let bar = "█".repeat((day.paths * BAR).div_ceil(most.max(1)));
        lines.push(format!("  {} {:>6} {bar}", day.date, thousands(day.paths)));
    }
    let shares = reckoning.distributions.iter();
    for one in shares.filter(|one| one.invalidations > 0) {
        let (paths, count) = (
            counted(one.paths, "path"),
            counted(one.invalidations, "invalidation"),
        );
        lines.push(format!(
            "  {} {}: {paths} in {count}",
            one.distribution, one.name
        ));
    }
    lines.extend(needless(reckoning));
    lines.join("\n")
}

fn needless(reckoning: &Reckoning) -> Vec<String> {
    if reckoning.needless.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![format!(
        "{} were needless: covered by others of the same invalidation, or by another within {} minutes",
        counted(reckoning.needless_paths, "path"),
        month::NEEDLESS_WITHIN.num_minutes()
    )];
    for one in reckoning.needless.iter().take(MAX_TOLD) {
        let by = match &one.covered_by {
            Some(other) => format!("covered by {other}"),
            None => "covered by its own others".to_owned(),
        };
        let paths = counted(one.paths, "path");
        lines.push(format!(
            "  {} {}: {paths}, {by}",
            one.distribution, one.invalidation
        ));
    }
    match reckoning.needless.len().saturating_sub(MAX_TOLD) {
        0 => {}
        more => lines.push(format!("  and {more} more (all with --output json)")),
    }
    lines
}
