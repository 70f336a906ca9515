//! `Outcome`: what was asked of CloudFront and what came of it, as a value that can speak.
//!
//! It is returned on failure too: with several distributions some may be done and one refused, and whoever called
//! learns of each. The same words reach the pipeline's console, the log and the terminal.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::distribution::DistributionId;
use crate::failure::Failure;
use crate::path::InvalidationPath;
use crate::plan::{Batch, Merged};

/// What came of one event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// One a distribution, in the order in which they were asked.
    pub reports: Vec<Report>,
    /// The distributions that had nothing to drop.
    pub untouched: Vec<Untouched>,
}

/// What a pipeline is told of a job that went well so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JobReport {
    /// What was asked of CloudFront.
    pub outcome: Outcome,
    /// How long ago the first job of the action began.
    pub waited: Duration,
    /// Whether the edge is fresh.
    pub freshness: Freshness,
}

/// Whether every edge has dropped what it had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Freshness {
    /// Nobody waits for it.
    NotAwaited,
    /// It is not yet: so many distributions are.
    Awaited {
        /// How many are fresh.
        fresh: usize,
    },
    /// It is.
    Fresh,
    /// It was not in time.
    TimedOut,
}

impl Freshness {
    /// Returns CloudFront's word for it.
    pub fn status(self) -> &'static str {
        match self {
            Self::Fresh => "Completed",
            Self::NotAwaited | Self::Awaited { .. } | Self::TimedOut => "InProgress",
        }
    }
}

impl fmt::Display for JobReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            outcome,
            waited,
            freshness,
        } = self;
        let waited = waited.as_secs();
        match freshness {
            Freshness::NotAwaited => {}
            Freshness::Awaited { .. } if outcome.reports.is_empty() => {
                return write!(
                    f,
                    "CloudFront is busy and has not told the distributions after {waited} s"
                );
            }
            Freshness::Awaited { fresh } => {
                let all = counted(outcome.reports.len(), "distribution");
                write!(f, "{fresh} of {all} fresh after {waited} s; ")?;
            }
            Freshness::Fresh => write!(f, "fresh everywhere after {waited} s; ")?,
            Freshness::TimedOut => {
                write!(
                    f,
                    "not fresh everywhere after {waited} s, and CloudFront goes on by itself; "
                )?;
            }
        }
        write!(f, "{outcome}")
    }
}

/// What came of one batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// What was asked.
    pub batch: Batch,
    /// How many changed objects it is about; none where somebody asked for paths.
    pub objects: Option<usize>,
    /// What was left out, what was added, and why.
    pub notes: Vec<String>,
    /// What CloudFront made of it.
    pub result: Result<Submitted, Failure>,
}

/// A distribution that was not asked for anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Untouched {
    /// Its id.
    pub distribution: DistributionId,
    /// Why it has nothing to drop.
    pub notes: Vec<String>,
}

/// An invalidation that CloudFront has taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Submitted {
    /// The invalidation's id; CloudFront does not tell it when it refuses a reference as used before.
    pub id: Option<String>,
    /// When CloudFront created it, by its own clock.
    #[serde(skip)]
    pub created: Option<DateTime<Utc>>,
}

impl Outcome {
    /// Returns the ids of the invalidations, where they are known.
    pub fn invalidation_ids(&self) -> Vec<&str> {
        let submitted = self
            .reports
            .iter()
            .filter_map(|report| report.result.as_ref().ok());
        submitted
            .filter_map(|submitted| submitted.id.as_deref())
            .collect()
    }

    /// Returns the paths that were asked for, each once, sorted.
    pub fn paths(&self) -> Vec<&InvalidationPath> {
        let mut paths: Vec<_> = self
            .reports
            .iter()
            .flat_map(|report| &report.batch.plan.paths)
            .collect();
        paths.sort();
        paths.dedup();
        paths
    }

    /// Returns the number of paths that are billed: those of each distribution.
    pub fn path_count(&self) -> usize {
        self.reports
            .iter()
            .map(|report| report.batch.plan.paths.len())
            .sum()
    }

    /// Returns the failure of the whole, if any distribution failed; its text tells what became of each.
    pub fn failure(&self) -> Option<Failure> {
        let first = self
            .reports
            .iter()
            .find_map(|report| report.result.as_ref().err())?;
        Some(Failure {
            cause: first.cause,
            message: self.to_string(),
        })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reports = self
            .reports
            .iter()
            .map(|report| report as &dyn fmt::Display);
        let untouched = self
            .untouched
            .iter()
            .map(|untouched| untouched as &dyn fmt::Display);
        let mut lines = reports.chain(untouched);
        match lines.next() {
            None => return f.write_str("nothing to invalidate"),
            Some(first) => write!(f, "{first}")?,
        }
        lines.try_for_each(|line| write!(f, "; {line}"))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Batch {
            distribution,
            plan,
            reference,
        } = &self.batch;
        match &self.result {
            // It names the distribution itself.
            Err(failure) => return write!(f, "{failure}"),
            Ok(Submitted { id: Some(id), .. }) => write!(f, "{distribution}: submitted as {id}")?,
            Ok(Submitted { id: None, .. }) => {
                write!(f, "{distribution}: submitted before as {reference}")?
            }
        }
        f.write_str(" (")?;
        if let Some(objects) = self.objects {
            write!(f, "{} became ", counted(objects, "object"))?;
        }
        write!(f, "{}:", counted(plan.paths.len(), "path"))?;
        plan.paths
            .iter()
            .try_for_each(|path| write!(f, " {path}"))?;
        f.write_str(")")?;
        for Merged { path, from } in &plan.merged {
            write!(f, "; {path} stands for {from}")?;
        }
        self.notes.iter().try_for_each(|note| write!(f, "; {note}"))
    }
}

impl fmt::Display for Untouched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: nothing to invalidate", self.distribution)?;
        self.notes.iter().try_for_each(|note| write!(f, "; {note}"))
    }
}

fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
