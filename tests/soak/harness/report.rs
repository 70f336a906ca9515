//! What a soak prints: the figures, and the first of what is wrong.

use std::fmt;
use std::time::Duration;

use super::Soak;
use super::deploys::Deploys;
use super::mapping::Tally;
use super::queue::Queue;
use super::verdict::{Finding, Verdict};
use crate::standin::ReceivedInvalidation;

const LISTED_FINDINGS: usize = 20;
/// CloudFront's price of a path beyond the first thousand of a month.
const DOLLARS_A_THOUSAND_PATHS: usize = 5;

/// What came of a soak.
#[derive(Clone, Debug)]
pub struct Report {
    pub findings: Vec<Finding>,
    pub kills: usize,
    pub crashes: Vec<String>,
    pub poison: usize,
    pub refused: usize,
    rows: Vec<(&'static str, String)>,
}

impl Report {
    pub fn of(
        soak: &Soak,
        deploys: &Deploys,
        queue: &Queue,
        tally: &Tally,
        received: &[ReceivedInvalidation],
        verdict: Verdict,
        took: Duration,
    ) -> Self {
        let accepted: Vec<_> = received.iter().filter(|one| one.outcome.is_ok()).collect();
        let paths = accepted.iter().flat_map(|one| &one.paths);
        let paths_billed = paths.clone().count();
        let wildcards = paths.filter(|path| path.ends_with('*')).count();
        let refused = received.len() - accepted.len();
        let receives: u32 = queue.messages().iter().map(|one| one.receives).sum();
        let most_receives = queue.messages().iter().filter(|one| one.done.is_some());
        let most_receives = most_receives.map(|one| one.receives).max();
        let messages = queue.messages().len();
        let dead = queue.messages().iter().filter(|one| one.dead).count();
        let rows = vec![
            ("seed", soak.seed.to_string()),
            ("took", format!("{:.0} s", took.as_secs_f64())),
            ("changes", number(deploys.notices.len())),
            ("deploys", number(deploys.count)),
            ("messages", number(messages)),
            (
                "redeliveries",
                number((receives as usize).saturating_sub(messages)),
            ),
            (
                "most receives of one that was done",
                number(most_receives.unwrap_or_default() as usize),
            ),
            (
                "dead-letter queue",
                format!("{} ({} poison)", number(dead), number(verdict.poison)),
            ),
            ("invocations", number(tally.invocations)),
            ("  killed in mid-batch", number(tally.kills)),
            ("  failed as a whole", number(tally.failed)),
            (
                "  timed out, malformed, crashed",
                format!(
                    "{}, {}, {}",
                    tally.timeouts,
                    tally.malformed,
                    tally.crashes.len()
                ),
            ),
            ("  largest batch", batch(tally.largest_batch)),
            ("  longest", batch(tally.longest)),
            ("CreateInvalidation calls", number(received.len())),
            ("  accepted", number(accepted.len())),
            ("  refused", refusals(received)),
            (
                "paths billed",
                format!(
                    "{} ({} wildcards), ${:.2} beyond the free ones",
                    number(paths_billed),
                    number(wildcards),
                    dollars(paths_billed)
                ),
            ),
            ("age when fresh, median", age(&verdict.ages, 0.5)),
            ("  p99", age(&verdict.ages, 0.99)),
            ("  worst", age(&verdict.ages, 1.0)),
        ];
        Self {
            findings: verdict.findings,
            kills: tally.kills,
            crashes: tally.crashes.clone(),
            poison: verdict.poison,
            refused,
            rows,
        }
    }

    /// Tells whether nothing was lost, and the function never ended by itself.
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty() && self.crashes.is_empty()
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
            0 => writeln!(f, "nothing was lost"),
            count => writeln!(f, "{} violations", number(count)),
        }
    }
}

/// Writes a number with commas between the thousands.
fn number(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn batch((messages, took): (usize, Duration)) -> String {
    format!(
        "{} messages in {:.1} s",
        number(messages),
        took.as_secs_f64()
    )
}

fn dollars(paths: usize) -> f64 {
    (paths * DOLLARS_A_THOUSAND_PATHS) as f64 / 1_000.0
}

fn refusals(received: &[ReceivedInvalidation]) -> String {
    let mut codes: Vec<_> = received
        .iter()
        .filter_map(|one| one.outcome.as_ref().err())
        .collect();
    codes.sort();
    let kinds = codes.chunk_by(|one, other| one == other);
    let kinds: Vec<_> = kinds
        .map(|kind| format!("{} {}", number(kind.len()), kind[0]))
        .collect();
    match kinds.is_empty() {
        true => "0".to_owned(),
        false => kinds.join(", "),
    }
}

fn age(sorted: &[Duration], quantile: f64) -> String {
    let at = (sorted.len() as f64 * quantile).ceil() as usize;
    let age = sorted.get(at.saturating_sub(1));
    age.map_or_else(
        || "none".to_owned(),
        |age| format!("{:.1} s", age.as_secs_f64()),
    )
}
