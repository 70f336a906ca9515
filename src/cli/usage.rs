//! `usage`: prints the month's paths, their cost, and which were needless.
//!
//! ListInvalidations returns neither paths nor a sum, so each invalidation of the month is read with GetInvalidation;
//! completed ones are read once and then stored.
//!
//! Response: <https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_InvalidationSummary.html>

mod month;

use serde_json::json;

use super::format::{counted, thousands};
use super::invalidation_cache::InvalidationCache;
use super::terminal::Progress;
use super::{CliError, Exit, Session, Usage, now};
use crate::error::Error;
use month::{DistributionInvalidations, Month, MonthlyUsage, NEEDLESS_WITHIN};
pub(super) use month::{FREE_PATHS, dollars};

/// The width of the longest bar, in characters.
const MAX_BAR_WIDTH: usize = 40;

/// How many needless invalidations are printed as text.
const MAX_NEEDLESS_PRINTED: usize = 5;

/// Runs the command.
pub(super) async fn run(session: &Session, usage: &Usage) -> Result<Exit, CliError> {
    let month = match &usage.month {
        None => Month::of(now()),
        Some(text) => Month::parse(text).ok_or_else(|| {
            CliError::usage(format!(
                "{text:?} is not a month: write one such as 2026-01"
            ))
        })?,
    };
    let progress = session
        .terminal
        .progress("reading the account's invalidations");
    let invalidations = read(session, &month, Some(&progress)).await;
    drop(progress);
    let usage = MonthlyUsage::new(&month, &invalidations?);
    session.terminal.result(text(&usage), json!(usage));
    Ok(Exit::Done)
}

/// Returns how many paths were invalidated this month.
pub(super) async fn paths_this_month(session: &Session) -> Result<usize, Error> {
    let invalidations = read(session, &Month::of(now()), None).await?;
    let counts = invalidations
        .iter()
        .map(DistributionInvalidations::path_count);
    Ok(counts.sum())
}

/// Reads the month's invalidations of all distributions, for each the newest first.
async fn read(
    session: &Session,
    month: &Month,
    progress: Option<&Progress>,
) -> Result<Vec<DistributionInvalidations>, Error> {
    let cloudfront = session.connection.cloudfront().await?;
    let distributions = cloudfront.list_distributions().await?;
    let count = distributions.len();
    let mut read = Vec::new();
    for (number, distribution) in (1_usize..).zip(distributions) {
        let id = &distribution.id;
        if let Some(progress) = progress {
            progress.set_text(format!(
                "reading the invalidations of {id} ({number} of {count})"
            ));
        }
        let mut summaries = cloudfront
            .list_invalidations(id, month.start(), usize::MAX)
            .await?;
        summaries.retain(|summary| month.contains(summary.created));
        let mut cache = InvalidationCache::open(id);
        let invalidations = cache.read(cloudfront, id, &summaries).await?;
        read.push(DistributionInvalidations {
            distribution,
            invalidations,
        });
    }
    Ok(read)
}

fn text(usage: &MonthlyUsage) -> String {
    let mut lines = vec![summary(usage)];
    lines.extend(days(usage));
    let distributions = usage.distributions.iter();
    lines.extend(
        distributions
            .filter(|distribution| distribution.invalidations > 0)
            .map(|distribution| {
                format!(
                    "  {} {}: {} in {}",
                    distribution.distribution,
                    distribution.name,
                    counted(distribution.paths, "path"),
                    counted(distribution.invalidations, "invalidation")
                )
            }),
    );
    lines.extend(needless(usage));
    lines.join("\n")
}

/// Returns the first line: how many of the free paths are used, and the cost of the others.
fn summary(usage: &MonthlyUsage) -> String {
    let rest = match usage.billed {
        0 => format!("{} left", thousands(usage.free.saturating_sub(usage.used))),
        billed => format!(
            "{} billed, about {}",
            counted(billed, "path"),
            dollars(billed)
        ),
    };
    format!(
        "{}: {} of {} free paths used, {rest}",
        usage.month,
        thousands(usage.used),
        thousands(usage.free)
    )
}

/// Returns a line with a bar for each day that has paths.
fn days(usage: &MonthlyUsage) -> Vec<String> {
    let paths = usage.days.iter().map(|day| day.paths);
    let maximum = paths.max().unwrap_or_default().max(1);
    let days = usage.days.iter().filter(|day| day.paths > 0);
    let lines = days.map(|day| {
        let width = day.paths.saturating_mul(MAX_BAR_WIDTH).div_ceil(maximum);
        let bar = "█".repeat(width);
        format!("  {} {:>6} {bar}", day.date, thousands(day.paths))
    });
    lines.collect()
}

/// Returns lines about needless paths, if there are any.
fn needless(usage: &MonthlyUsage) -> Vec<String> {
    if usage.needless.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![format!(
        "{} were needless: covered by another path of the same invalidation, or, with all paths of their invalidation, \
         by a later one within {} minutes",
        counted(usage.needless_paths, "path"),
        NEEDLESS_WITHIN.num_minutes()
    )];
    for needless in usage.needless.iter().take(MAX_NEEDLESS_PRINTED) {
        let covered_by = match &needless.covered_by {
            Some(invalidation) => invalidation.as_str(),
            None => "other paths of the same invalidation",
        };
        lines.push(format!(
            "  {} {}: {}, covered by {covered_by}",
            needless.distribution,
            needless.invalidation,
            counted(needless.paths, "path")
        ));
    }
    match usage.needless.len().saturating_sub(MAX_NEEDLESS_PRINTED) {
        0 => {}
        others => lines.push(format!("  and {others} more (all with --output json)")),
    }
    lines
}
