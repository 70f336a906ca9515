//! What a scenario leads to, and the table of all scenarios.

use std::fmt::Write;
use std::time::Duration;

use tokio::time::Instant;

use super::account::distribution_number;
use super::freshness::Freshness;
use super::mapping::{RECORD_BYTES, Record};
use super::queue::Queue;
use super::{COMPLETES_AFTER, FUNCTION_TIMEOUT, Load, Scenario};
use crate::standin::Operation;

const MINUTES_PER_MONTH: f64 = 30.0 * 24.0 * 60.0;
/// Dollars for each path beyond those that are free.
const PATH: f64 = 0.005;
const FREE_PATHS: f64 = 1_000.0;
/// Dollars for each request to SQS, and for each request and second of the function at 128 MB.
const SQS_REQUEST: f64 = 0.40 / 1e6;
const LAMBDA_REQUEST: f64 = 0.20 / 1e6;
const LAMBDA_SECOND: f64 = 0.000_016_666_7 / 8.0;

const CREATES_PER_MINUTE: f64 = 30.0;
const MAX_WILDCARDS: usize = 15;
const MAX_FILES: usize = 3_000;

/// What was counted while the load lasted.
pub struct Measured {
    pub until: Instant,
    pub calls: Vec<(Operation, usize)>,
}

/// A bound of AWS or of the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Limit {
    Creates,
    Wildcards,
    Files,
    BatchSize,
    FunctionTime,
}

impl Limit {
    pub fn name(self) -> &'static str {
        match self {
            Self::Creates => "rate of CreateInvalidation",
            Self::Wildcards => "wildcards in progress",
            Self::Files => "files in progress",
            Self::BatchSize => "6 MB of a batch",
            Self::FunctionTime => "timeout of the function",
        }
    }
}

/// What a scenario leads to. Rates are per minute while objects change; of a deploy, they are totals.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    pub scenario: Scenario,
    pub minutes: f64,
    pub messages: f64,
    pub receives: f64,
    pub invocations: f64,
    pub accepted: f64,
    pub refused: f64,
    pub gets: f64,
    pub lists: f64,
    pub configurations: f64,
    pub distribution_lists: f64,
    pub paths: f64,
    /// Dollars a month at this rate, or for the deploy beyond the free paths.
    pub cost: f64,
    /// From a change to the end of the invalidation.
    pub median_age: Option<Duration>,
    pub max_age: Option<Duration>,
    /// Changes that no invalidation covers.
    pub never_fresh: usize,
    pub dead: usize,
    pub lost: usize,
    pub failed_invocations: usize,
    pub longest_invocation: Duration,
    pub largest_batch: usize,
    pub most_wildcards: usize,
    pub most_files: usize,
    /// How many invalidations each distribution got in all, in the order of the distributions.
    pub accepted_of_each: Vec<usize>,
    /// The limit that was reached first, and when.
    pub first: Option<(Limit, Duration)>,
    /// The limit that is nearest, in percent.
    pub nearest: (Limit, u32),
}

impl Report {
    pub fn new(
        scenario: &Scenario,
        queue: &Queue,
        freshness: &Freshness,
        record: &Record,
        measured: Measured,
    ) -> Self {
        let started = queue.started();
        let until = measured.until;
        let minutes = match scenario.load {
            Load::Steady { .. } => (until - started).as_secs_f64() / 60.0,
            Load::Deploy { .. } => 1.0,
        };
        let per_minute = |count: usize| count as f64 / minutes;
        let count = |operation| {
            let of_operation = measured.calls.iter().find(|(other, _)| *other == operation);
            per_minute(of_operation.map_or(0, |(_, count)| *count))
        };
        let created = record.created.iter().filter(|created| created.at <= until);
        let (accepted, refused): (Vec<_>, Vec<_>) =
            created.partition(|created| created.error.is_none());
        let paths = per_minute(accepted.iter().map(|created| created.paths.len()).sum());
        let invocations: Vec<_> = (record.invocations.iter())
            .filter(|(at, _, _)| *at <= until)
            .collect();
        let busy: f64 = invocations
            .iter()
            .map(|(_, took, _)| took.as_secs_f64())
            .sum();
        let received: usize = invocations.iter().map(|(_, _, messages)| messages).sum();
        let messages = per_minute(scenario.load.changes());
        // SendMessage, ReceiveMessage and DeleteMessageBatch; the calls after the load are few.
        let requests = messages + per_minute(queue.receive_calls + record.delete_calls);
        let months = match scenario.load {
            Load::Steady { .. } => MINUTES_PER_MONTH,
            Load::Deploy { .. } => 1.0,
        };
        let cost = (paths * months - FREE_PATHS).max(0.0) * PATH
            + months
                * (requests * SQS_REQUEST
                    + per_minute(invocations.len()) * LAMBDA_REQUEST
                    + busy / minutes * LAMBDA_SECOND);
        let mut ages: Vec<_> = freshness.ages.iter().flatten().copied().collect();
        ages.sort_unstable();
        let (most_wildcards, most_files) = most_in_progress(record);
        let longest_invocation = (record.invocations.iter().map(|(_, took, _)| *took))
            .max()
            .unwrap_or_default();
        let largest_batch = (record.invocations.iter().map(|(_, _, messages)| *messages))
            .max()
            .unwrap_or_default();
        let mut report = Self {
            scenario: scenario.clone(),
            minutes,
            messages,
            receives: per_minute(received),
            invocations: per_minute(invocations.len()),
            accepted: per_minute(accepted.len()),
            refused: per_minute(refused.len()),
            gets: count(Operation::GetInvalidation),
            lists: count(Operation::ListInvalidations),
            configurations: count(Operation::GetDistributionConfig),
            distribution_lists: count(Operation::ListDistributions),
            paths,
            cost,
            median_age: ages.get(ages.len() / 2).copied(),
            max_age: ages.last().copied(),
            never_fresh: freshness.ages.iter().filter(|age| age.is_none()).count(),
            dead: queue.dead.len(),
            lost: record.lost,
            failed_invocations: record.failed_invocations.len(),
            longest_invocation,
            largest_batch,
            most_wildcards,
            most_files,
            accepted_of_each: accepted_of_each(scenario, record),
            first: None,
            nearest: (Limit::Creates, 0),
        };
        report.first = first_limit(record, &report, started);
        report.nearest = report.nearest_limit();
        report
    }

    fn nearest_limit(&self) -> (Limit, u32) {
        let percent = |share: f64| (100.0 * share).round() as u32;
        let creates = match self.scenario.load {
            Load::Steady { .. } => self.accepted / CREATES_PER_MINUTE,
            Load::Deploy { .. } => 0.0,
        };
        let shares = [
            (Limit::Creates, percent(creates)),
            (
                Limit::Wildcards,
                percent(self.most_wildcards as f64 / MAX_WILDCARDS as f64),
            ),
            (
                Limit::Files,
                percent(self.most_files as f64 / MAX_FILES as f64),
            ),
            (
                Limit::BatchSize,
                percent((self.largest_batch * RECORD_BYTES) as f64 / 6e6),
            ),
            (
                Limit::FunctionTime,
                percent(self.longest_invocation.as_secs_f64() / FUNCTION_TIMEOUT.as_secs_f64()),
            ),
        ];
        let nearest = shares.into_iter().max_by_key(|(_, percent)| *percent);
        nearest.expect("a limit")
    }

    /// Returns the row of the table.
    pub fn row(&self) -> String {
        let Self { scenario, .. } = self;
        let load = match scenario.load {
            Load::Steady {
                per_minute,
                minutes,
            } => format!("{} a second, {minutes} min", per_minute as f64 / 60.0),
            Load::Deploy { files: 1, .. } => "1 file".to_owned(),
            Load::Deploy { files, .. } => format!("{} files at once", grouped(files as f64)),
        };
        let how = match (scenario.named, scenario.account > scenario.distributions) {
            (true, _) => "named".to_owned(),
            (false, false) => "found".to_owned(),
            (false, true) => format!("found among {}", grouped(scenario.account as f64)),
        };
        let shared = if scenario.shares_bucket {
            ", one bucket"
        } else {
            ""
        };
        let mut settings = Vec::new();
        let defaults = Scenario::new(scenario.load, 1, true);
        if scenario.window != defaults.window {
            settings.push(format!("BatchingWindow {}", scenario.window.as_secs()));
        }
        if scenario.limits.0 != defaults.limits.0 {
            settings.push(format!("MaxPaths {}", scenario.limits.0));
        }
        if scenario.limits.1 != defaults.limits.1 {
            settings.push(format!("MaxWildcards {}", scenario.limits.1));
        }
        if let Some(at) = scenario.clears_at {
            settings.push(format!("`/*` after {} s", at.as_secs()));
        }
        let settings = settings.join(", ");
        let creates = match self.refused {
            0.0 => amount(self.accepted),
            refused => format!("{} + {} refused", amount(self.accepted), amount(refused)),
        };
        let reads = [
            (self.lists, "ListInvalidations"),
            (self.gets, "GetInvalidation"),
            (self.configurations, "GetDistributionConfig"),
            (self.distribution_lists, "ListDistributions"),
        ];
        let reads = reads.map(|(count, _)| amount(count)).join(" / ");
        let age = match (self.median_age, self.max_age) {
            (Some(median), Some(max)) => format!("{} / {}", time(median), time(max)),
            _ => "none".to_owned(),
        };
        let age = match self.never_fresh.saturating_sub(self.dead) {
            0 => age,
            stale => format!("{age}, {} still old", percentage(stale, scenario)),
        };
        let dead = match self.dead {
            0 => "0".to_owned(),
            dead => percentage(dead, scenario),
        };
        let limit = match self.first {
            Some((limit, after)) => format!("{}, after {}", limit.name(), time(after)),
            None => format!("none; {} {} %", self.nearest.0.name(), self.nearest.1),
        };
        let mut row = String::new();
        let _ = write!(
            row,
            "| {load} | {} {how}{shared} | {settings} | {} / {} | {creates} | {reads} | {} | ${} | {age} | {dead} | {limit} |",
            scenario.distributions,
            amount(self.receives),
            amount(self.invocations),
            amount(self.paths),
            grouped(self.cost),
        );
        row.replace("|  |", "| |")
    }
}

/// Returns the Markdown table of the reports.
pub fn table(reports: &[Report]) -> String {
    let mut table = format!(
        "{HEAD}\n|{}\n",
        "---|".repeat(HEAD.matches('|').count() - 1)
    );
    for report in reports {
        let _ = writeln!(table, "{}", report.row());
    }
    table
}

pub const HEAD: &str = "| changes | distributions | settings | messages / invocations | CreateInvalidation | other calls | paths | cost | fresh after | dead letters | first limit |";

fn accepted_of_each(scenario: &Scenario, record: &Record) -> Vec<usize> {
    let mut counts = vec![0; scenario.distributions];
    let accepted = record.created.iter();
    for created in accepted.filter(|created| created.error.is_none()) {
        if let Some(number) = distribution_number(&created.distribution) {
            counts[number] += 1;
        }
    }
    counts
}

/// Returns the most wildcards and files of one distribution that were in progress at a time.
fn most_in_progress(record: &Record) -> (usize, usize) {
    let (mut wildcards, mut files) = (0, 0);
    let accepted: Vec<_> = (record.created.iter())
        .filter(|created| created.error.is_none())
        .collect();
    let mut first = 0;
    for (index, newest) in accepted.iter().enumerate() {
        while accepted[first].at + COMPLETES_AFTER <= newest.at {
            first += 1;
        }
        let in_progress = accepted[first..=index].iter();
        let paths = in_progress
            .filter(|created| created.distribution == newest.distribution)
            .flat_map(|created| &created.paths);
        let (with, without): (Vec<_>, Vec<_>) = paths.partition(|path| path.ends_with('*'));
        wildcards = wildcards.max(with.len());
        files = files.max(without.len());
    }
    (wildcards, files)
}

fn first_limit(record: &Record, report: &Report, started: Instant) -> Option<(Limit, Duration)> {
    let refused = |code: &str| {
        let refused = record.created.iter();
        let mut refused = refused.filter(|created| created.error.as_deref() == Some(code));
        refused.next().map(|created| created.at)
    };
    let in_progress = match report.most_files * MAX_WILDCARDS > report.most_wildcards * MAX_FILES {
        true => Limit::Files,
        false => Limit::Wildcards,
    };
    let full = record.invocations.iter();
    let full = full.filter(|(_, _, messages)| (messages + 10) * RECORD_BYTES > 6 * 1024 * 1024);
    let limits = [
        (Limit::Creates, refused("Throttling")),
        (in_progress, refused("TooManyInvalidationsInProgress")),
        (Limit::Wildcards, record.without_wildcard),
        (Limit::BatchSize, full.map(|(at, _, _)| *at).next()),
        (
            Limit::FunctionTime,
            record.failed_invocations.first().map(|(at, _)| *at),
        ),
    ];
    let reached = limits.into_iter();
    let reached = reached.filter_map(|(limit, at)| Some((limit, at? - started)));
    reached.min_by_key(|(_, at)| *at)
}

fn percentage(changes: usize, scenario: &Scenario) -> String {
    let share = changes as f64 / scenario.load.changes() as f64;
    format!("{:.0} %", 100.0 * share)
}

fn amount(number: f64) -> String {
    match number {
        0.0 => "0".to_owned(),
        number if number < 10.0 => format!("{number:.1}").trim_end_matches(".0").to_owned(),
        number => grouped(number),
    }
}

/// Writes a rounded number with commas.
fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

fn time(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds => format!("{} min", (seconds + 30) / 60),
    }
}
