//! The report of a soak: its figures, and the first findings.

use std::fmt;
use std::time::Duration;

use cloudfront_invalidator::excerpt::thousands;

use super::deploys::Deploys;
use super::event_source_mapping::Counters;
use super::queue::Message;
use super::verdict::{Finding, Verdict};
use super::viewers::Views;
use crate::standin::ReceivedInvalidation;

const LISTED_FINDINGS: usize = 20;
/// CloudFront's price after the first thousand paths of a month: <https://aws.amazon.com/cloudfront/pricing/>
const DOLLARS_PER_THOUSAND_PATHS: usize = 5;

type Row = (&'static str, String);

/// What a report is made from.
pub struct Run<'a> {
    pub seed: u64,
    pub duration: Duration,
    pub deploys: &'a Deploys,
    pub messages: &'a [Message],
    pub counters: &'a Counters,
    pub received: &'a [ReceivedInvalidation],
    pub verdict: &'a Verdict,
    pub views: &'a Views,
    pub failed_reads: usize,
}

/// The result of a soak.
#[derive(Clone, Debug)]
pub struct Report {
    pub findings: Vec<Finding>,
    pub kills: usize,
    pub crashes: Vec<String>,
    pub poison: usize,
    /// How many calls of CreateInvalidation CloudFront rejected.
    pub rejected: usize,
    pub configuration_changes: usize,
    /// How many calls that read configurations failed.
    pub failed_reads: usize,
    /// How many changes happened while the immediate POP had an older copy. Only for these, the verdict proves
    /// something.
    pub changes_of_copies: usize,
    rows: Vec<Row>,
}

impl Report {
    pub fn new(run: &Run) -> Self {
        let received = run.received.iter();
        Self {
            findings: run.verdict.findings.clone(),
            kills: run.counters.kills,
            crashes: run.counters.crashes.clone(),
            poison: run.verdict.poison,
            rejected: received.filter(|call| call.outcome.is_err()).count(),
            configuration_changes: run.views.configuration_changes,
            failed_reads: run.failed_reads,
            changes_of_copies: run.changes_of_copies(),
            rows: [
                run.message_rows(),
                run.invocation_rows(),
                run.cloudfront_rows(),
                run.viewer_rows(),
            ]
            .concat(),
        }
    }

    /// Returns whether no change was lost and the function never ended by itself.
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty() && self.crashes.is_empty()
    }
}

impl Run<'_> {
    /// Counts the changes that the immediate POP had an older copy of; lost changes count in any case.
    fn changes_of_copies(&self) -> usize {
        let stale = self.views.stale.keys();
        let only_stale = stale.filter(|change| !self.views.invalidated.contains_key(change));
        self.views.invalidated.len() + only_stale.count()
    }

    fn message_rows(&self) -> Vec<Row> {
        let messages = self.messages;
        let receives: u32 = messages.iter().map(|message| message.receives).sum();
        let redeliveries = (receives as usize).saturating_sub(messages.len());
        let successful = messages
            .iter()
            .filter(|message| message.succeeded_at.is_some());
        let most_receives = successful.map(|message| message.receives).max();
        let dead = messages.iter().filter(|message| message.dead).count();
        let poison = thousands(self.verdict.poison);
        vec![
            ("seed", self.seed.to_string()),
            ("duration", format!("{:.0} s", self.duration.as_secs_f64())),
            ("changes", thousands(self.deploys.notifications.len())),
            ("deploys", thousands(self.deploys.count)),
            ("messages", thousands(messages.len())),
            ("redeliveries", thousands(redeliveries)),
            (
                "most receives of a successful message",
                thousands(most_receives.unwrap_or_default() as usize),
            ),
            (
                "dead-letter queue",
                format!("{} ({poison} poison)", thousands(dead)),
            ),
        ]
    }

    fn invocation_rows(&self) -> Vec<Row> {
        let counters = self.counters;
        let crashes = counters.crashes.len();
        vec![
            ("invocations", thousands(counters.invocations)),
            ("  killed during a batch", thousands(counters.kills)),
            ("  failed completely", thousands(counters.failed)),
            (
                "  timed out, malformed, crashed",
                format!("{}, {}, {crashes}", counters.timeouts, counters.malformed),
            ),
            ("  largest batch", batch(counters.largest_batch)),
            ("  longest", batch(counters.longest)),
        ]
    }

    fn cloudfront_rows(&self) -> Vec<Row> {
        let calls = self.received.iter();
        let accepted: Vec<_> = calls.filter(|call| call.outcome.is_ok()).collect();
        let paths = accepted.iter().flat_map(|call| &call.paths);
        let billed = paths.clone().count();
        let wildcards = paths.filter(|path| path.ends_with('*')).count();
        let billed_text = format!(
            "{} ({} wildcards), ${:.2} after the free tier",
            thousands(billed),
            thousands(wildcards),
            dollars(billed)
        );
        vec![
            (
                "failed reads of configurations",
                thousands(self.failed_reads),
            ),
            ("CreateInvalidation calls", thousands(self.received.len())),
            ("  accepted", thousands(accepted.len())),
            ("  rejected", errors(self.received)),
            ("paths billed", billed_text),
        ]
    }

    fn viewer_rows(&self) -> Vec<Row> {
        let (views, invalidated) = (self.views, &self.verdict.until_invalidated);
        let fresh = &self.verdict.until_fresh;
        let origin_requests = thousands(views.origin_requests as usize);
        vec![
            ("viewer requests", thousands(views.requests as usize)),
            ("  that reached the bucket", origin_requests),
            ("  stale at the end", thousands(views.stale_responses)),
            ("copies dropped", thousands(views.dropped_copies as usize)),
            (
                "changes of the configuration",
                thousands(views.configuration_changes),
            ),
            (
                "changes of cached objects",
                thousands(self.changes_of_copies()),
            ),
            ("change to invalidation, median", age(invalidated, 0.5)),
            ("  p99", age(invalidated, 0.99)),
            ("  longest", age(invalidated, 1.0)),
            ("change to fresh at every POP, median", age(fresh, 0.5)),
            ("  p99", age(fresh, 0.99)),
            ("  longest", age(fresh, 1.0)),
        ]
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.rows.iter().map(|(name, _)| name.len()).max();
        for (name, value) in &self.rows {
            writeln!(f, "{name:<0$}  {value}", width.unwrap_or_default())?;
        }
        for crash in &self.crashes {
            writeln!(f, "the function crashed: {crash}")?;
        }
        for finding in self.findings.iter().take(LISTED_FINDINGS) {
            writeln!(f, "{finding}")?;
        }
        match self.findings.len() {
            0 => writeln!(f, "no change was lost"),
            count => writeln!(f, "{} violations", thousands(count)),
        }
    }
}

fn batch((messages, took): (usize, Duration)) -> String {
    format!(
        "{} messages in {:.1} s",
        thousands(messages),
        took.as_secs_f64()
    )
}

fn dollars(paths: usize) -> f64 {
    (paths * DOLLARS_PER_THOUSAND_PATHS) as f64 / 1_000.0
}

fn errors(received: &[ReceivedInvalidation]) -> String {
    let mut codes: Vec<_> = received
        .iter()
        .filter_map(|call| call.outcome.as_ref().err())
        .collect();
    codes.sort();
    let counts: Vec<_> = codes
        .chunk_by(|code, next| code == next)
        .map(|same| format!("{} {}", thousands(same.len()), same[0]))
        .collect();
    if counts.is_empty() {
        return "0".to_owned();
    }
    counts.join(", ")
}

fn age(sorted: &[Duration], quantile: f64) -> String {
    let rank = (sorted.len() as f64 * quantile).ceil() as usize;
    let age = sorted.get(rank.saturating_sub(1));
    age.map_or_else(
        || "none".to_owned(),
        |age| format!("{:.1} s", age.as_secs_f64()),
    )
}
