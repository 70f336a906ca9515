//! `Outcome`: what was asked of CloudFront and what came of it, as a value that can speak.
//!
//! It is returned on failure too: with several distributions some may be done and one refused, and whoever called
//! learns of each. The same words reach the pipeline's console, the log and the terminal.

use std::fmt;

use serde::Serialize;

use crate::failure::Failure;
use crate::path::InvalidationPath;
use crate::plan::{Batch, Collapsed};

/// What came of one event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// One a distribution, in the order in which they were asked.
    pub reports: Vec<Report>,
}

/// What came of one batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// What was asked.
    pub batch: Batch,
    /// What CloudFront made of it.
    pub result: Result<Submitted, Failure>,
}

/// An invalidation that CloudFront has taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Submitted {
    /// The invalidation's id; CloudFront does not tell it when it refuses a reference as used before.
    pub id: Option<String>,
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
        if self.reports.is_empty() {
            return f.write_str("nothing to invalidate");
        }
        for (at, report) in self.reports.iter().enumerate() {
            let separator = if at == 0 { "" } else { "; " };
            write!(f, "{separator}{report}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Batch {
            distribution,
            plan: Collapsed { paths, .. },
            reference,
        } = &self.batch;
        match &self.result {
            // It names the distribution itself.
            Err(failure) => return write!(f, "{failure}"),
            Ok(Submitted { id: Some(id) }) => write!(f, "{distribution}: submitted as {id}")?,
            Ok(Submitted { id: None }) => {
                write!(f, "{distribution}: submitted before as {reference}")?
            }
        }
        let s = if paths.len() == 1 { "" } else { "s" };
        write!(f, " ({} path{s}:", paths.len())?;
        paths.iter().try_for_each(|path| write!(f, " {path}"))?;
        f.write_str(")")
    }
}
