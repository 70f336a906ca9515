//! `usage`: prints the month's paths, their cost, and which were needless.
//!
//! ListInvalidations returns neither paths nor a sum, so each invalidation of the month is read with GetInvalidation;
//! completed ones are read once and then stored.
//!
//! Response: <https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_InvalidationSummary.html>

mod month;

use futures_util::{StreamExt, TryStreamExt, stream};

use super::format::{counted, thousands};
use super::invalidation_cache::InvalidationCache;
use super::terminal::Progress;
use super::{CliError, Exit, Session, Usage, now};
use crate::aws::cloudfront::{CloudFront, InvalidationSummary};
use crate::billing::{Month, dollars};
use crate::distribution::DistributionId;
use crate::error::Error;
use crate::output::CommandOutput;
use month::{DistributionInvalidations, MonthlyUsage, NEEDLESS_WITHIN};

/// How many calls are made at a time. AWS does not document the rate that CloudFront accepts.
const CONCURRENT_CALLS: usize = 16;

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
    let invalidations = read(session, &month, &progress).await;
    drop(progress);
    let usage = MonthlyUsage::new(&month, &invalidations?);
    let text = text(&usage);
    session.terminal.result(text, CommandOutput::done(usage));
    Ok(Exit::Done)
}

/// Returns how many paths were invalidated this month.
pub(super) async fn paths_this_month(
    session: &Session,
    progress: &Progress,
) -> Result<usize, Error> {
    let invalidations = read(session, &Month::of(now()), progress).await?;
    let counts = invalidations
        .iter()
        .map(DistributionInvalidations::path_count);
    Ok(counts.sum())
}

/// Reads the month's invalidations of all distributions, for each the newest first.
///
/// Completed invalidations are stored one by one, so a read that is stopped loses none that it has received.
async fn read(
    session: &Session,
    month: &Month,
    progress: &Progress,
) -> Result<Vec<DistributionInvalidations>, Error> {
    let clients = session.connection.clients().await?;
    let cloudfront = &clients.cloudfront;
    let distributions = cloudfront.list_distributions().await?;
    progress.set_text(format!(
        "listing the invalidations of {}",
        counted(distributions.len(), "distribution")
    ));
    let lists = distributions
        .iter()
        .map(|distribution| list(cloudfront, &distribution.id, month));
    let lists: Vec<_> = stream::iter(lists)
        .buffered(CONCURRENT_CALLS)
        .try_collect()
        .await?;
    let caches: Vec<_> = distributions
        .iter()
        .map(|distribution| InvalidationCache::open(clients, &distribution.id))
        .collect();
    let reads = caches.iter().zip(&lists).flat_map(|(cache, summaries)| {
        let ids = summaries.iter().map(|summary| &summary.id);
        ids.map(|id| cache.read(id))
    });
    let count = lists.iter().map(Vec::len).sum();
    let invalidations: Vec<_> = stream::iter(reads)
        .buffered(CONCURRENT_CALLS)
        .enumerate()
        .map(|(read, invalidation)| {
            let (read, count) = (thousands(read + 1), counted(count, "invalidation"));
            progress.set_text(format!("read {read} of {count}"));
            invalidation
        })
        .try_collect()
        .await?;
    let mut invalidations = invalidations.into_iter();
    let read = distributions
        .into_iter()
        .zip(lists)
        .map(|(distribution, summaries)| DistributionInvalidations {
            distribution,
            invalidations: invalidations.by_ref().take(summaries.len()).collect(),
        });
    Ok(read.collect())
}

/// Lists the month's invalidations of a distribution, the newest first.
async fn list(
    cloudfront: &CloudFront,
    distribution: &DistributionId,
    month: &Month,
) -> Result<Vec<InvalidationSummary>, Error> {
    let mut summaries = cloudfront
        .list_invalidations(distribution, month.start(), usize::MAX)
        .await?;
    summaries.retain(|summary| month.times().contains(&summary.created));
    Ok(summaries)
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
        "{} {} needless: covered by another path of the same invalidation, or, with all paths of their invalidation, \
         by a later one within {} minutes",
        counted(usage.needless_paths, "path"),
        if usage.needless_paths == 1 {
            "was"
        } else {
            "were"
        },
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
        others => {
            let others = thousands(others);
            lines.push(format!("  and {others} more (all with --output json)"));
        }
    }
    lines
}
