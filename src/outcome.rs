//! `Outcome`: what was requested of CloudFront and what happened, as a value with a text.
//!
//! It is kept on failure too: of several distributions, some may have their invalidation while one failed, and the
//! caller gets a report on each. The same text reaches the pipeline's console, the log and the terminal.

use std::fmt;
use std::time::Duration;

use crate::distribution::DistributionId;
use crate::error::Error;
use crate::excerpt::{MAX_LISTED, listed, thousands};
use crate::path::InvalidationPath;
use crate::plan::{Batch, InvalidationId, InvalidationStatus, Merged};

/// What happened for one event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// One for each batch, in the order of the requests.
    pub reports: Vec<BatchReport>,
    /// The distributions that needed no invalidation.
    pub unaffected: Vec<UnaffectedDistribution>,
}

/// What happened to one batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchReport {
    /// What was requested.
    pub batch: Batch,
    /// How many changed objects it is about; `None` if paths were requested.
    pub objects: Option<usize>,
    /// What was left out, what was added, and why.
    pub notes: Vec<String>,
    /// The invalidation's id; `None` if CloudFront had the caller reference already and the id is not known.
    pub result: Result<Option<InvalidationId>, Error>,
}

/// A distribution that needed no invalidation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnaffectedDistribution {
    /// Its id.
    pub distribution: DistributionId,
    /// Why it needed none.
    pub notes: Vec<String>,
}

/// What a pipeline job reports if nothing has failed so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobReport {
    /// What was requested of CloudFront.
    pub outcome: Outcome,
    /// How long ago the first job of the action began.
    pub waited: Duration,
    /// Whether the invalidations are completed.
    pub completion: Completion,
    /// Why the work of this job ended early, if it did. The job continues.
    pub interruption: Option<Error>,
}

/// How much of a job's success is reported: less, if CodePipeline rejects the form of more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// The summary of all that was done, the ids of the invalidations, and the output variables.
    Full,
    /// A short summary and the output variables.
    ShortSummary,
    /// A short summary.
    NoVariables,
}

impl JobReport {
    /// Returns the summary of the job.
    pub fn summary(&self, detail: Detail) -> String {
        let rejected = match detail {
            Detail::Full => return self.to_string(),
            Detail::ShortSummary => "the full summary",
            Detail::NoVariables => "the full summary and the output variables",
        };
        let reports = &self.outcome.reports;
        let submitted = reports.iter().filter(|report| report.result.is_ok());
        format!(
            "submitted for {} of {}, status {}; CodePipeline rejected {rejected}, which the log of the function contains",
            submitted.count(),
            counted(reports.len(), "distribution"),
            self.completion.status().as_str()
        )
    }

    /// Returns the output variables of the job, by their names. None is empty.
    pub fn output_variables(&self) -> [(&'static str, String); 6] {
        let outcome = &self.outcome;
        let reports = outcome.reports.iter();
        let distributions = reports.map(|report| report.batch.distribution().as_str());
        let paths = outcome.paths().into_iter().map(InvalidationPath::as_str);
        [
            ("InvalidationIds", list(outcome.invalidation_ids())),
            ("DistributionIds", list(distributions)),
            ("Paths", list(paths)),
            ("PathCount", outcome.path_count().to_string()),
            ("WaitedSeconds", self.waited.as_secs().to_string()),
            ("Status", self.completion.status().as_str().to_owned()),
        ]
    }
}

/// Returns the items separated by commas, or `none`.
fn list<'a>(items: impl IntoIterator<Item = &'a str>) -> String {
    let items: Vec<_> = items.into_iter().collect();
    match items.as_slice() {
        [] => "none".to_owned(),
        items => items.join(","),
    }
}

/// Whether the invalidations of a job are completed: every edge has dropped its copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completion {
    /// The job does not wait for it.
    NotAwaited,
    /// The job continues until all are.
    Continues {
        /// For how many distributions it is completed.
        completed: usize,
    },
    /// All are.
    Completed,
    /// Not within the job's limit.
    TimedOut,
}

impl Completion {
    /// Returns the status of all invalidations together.
    pub fn status(self) -> InvalidationStatus {
        match self {
            Self::Completed => InvalidationStatus::Completed,
            Self::NotAwaited | Self::Continues { .. } | Self::TimedOut => {
                InvalidationStatus::InProgress
            }
        }
    }
}

impl fmt::Display for JobReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            outcome,
            waited,
            completion,
            interruption,
        } = self;
        let waited = waited.as_secs();
        // The reports contain the errors of their batches.
        if let Some(error) = interruption.as_ref().filter(|_| outcome.reports.is_empty()) {
            return write!(
                f,
                "not all invalidations are submitted after {waited} s: {error}"
            );
        }
        match completion {
            Completion::NotAwaited => {}
            Completion::Continues { completed } => {
                let all = counted(outcome.reports.len(), "distribution");
                write!(f, "{completed} of {all} completed after {waited} s; ")?;
            }
            Completion::Completed => write!(f, "completed after {waited} s; ")?,
            Completion::TimedOut => write!(
                f,
                "not completed after {waited} s, but CloudFront still completes it; "
            )?,
        }
        write!(f, "{outcome}")
    }
}

impl Outcome {
    /// Returns the ids of the invalidations that are known.
    pub fn invalidation_ids(&self) -> Vec<&str> {
        let ids = self
            .reports
            .iter()
            .filter_map(|report| report.result.as_ref().ok()?.as_ref());
        ids.map(InvalidationId::as_str).collect()
    }

    /// Returns the paths of all batches, sorted, without duplicates.
    pub fn paths(&self) -> Vec<&InvalidationPath> {
        let paths = self.reports.iter().flat_map(|report| report.batch.paths());
        let mut paths: Vec<_> = paths.collect();
        paths.sort();
        paths.dedup();
        paths
    }

    /// Returns the number of paths that are billed: the sum over the distributions.
    pub fn path_count(&self) -> usize {
        let counts = self.reports.iter().map(|report| report.batch.paths().len());
        counts.sum()
    }

    /// Returns the errors of the batches that failed.
    pub fn errors(&self) -> impl Iterator<Item = &Error> {
        let results = self.reports.iter();
        results.filter_map(|report| report.result.as_ref().err())
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut unlisted = MAX_LISTED;
        let reports = self.reports.iter().map(|report| {
            let text = ReportText {
                report,
                max_paths: unlisted,
            };
            unlisted = unlisted.saturating_sub(report.listed_paths().len());
            text.to_string()
        });
        let unaffected = self.unaffected.iter().map(ToString::to_string);
        let distributions = listed(reports.chain(unaffected));
        match distributions.count() {
            0 => f.write_str("nothing to invalidate"),
            _ => f.write_str(&distributions.join("; ")),
        }
    }
}

/// The text of a report that lists at most `max_paths` paths and counts the others.
struct ReportText<'a> {
    report: &'a BatchReport,
    max_paths: usize,
}

impl BatchReport {
    /// Returns the paths that the text of the report lists; none if the batch failed.
    fn listed_paths(&self) -> &[InvalidationPath] {
        match self.result {
            Ok(_) => self.batch.paths(),
            Err(_) => &[],
        }
    }
}

/// The text lists at most [`MAX_LISTED`] paths and counts the others.
impl fmt::Display for BatchReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = ReportText {
            report: self,
            max_paths: MAX_LISTED,
        };
        write!(f, "{text}")
    }
}

impl fmt::Display for ReportText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { report, max_paths } = *self;
        let distribution = report.batch.distribution();
        let paths = report.listed_paths();
        match &report.result {
            // Its text names the distribution, as every error of a call to CloudFront does.
            Err(error) => return write!(f, "{error}"),
            Ok(Some(id)) => write!(f, "{distribution}: submitted as {id}")?,
            Ok(None) => write!(
                f,
                "{distribution}: submitted before with caller reference {}",
                report.batch.reference()
            )?,
        }
        f.write_str(" (")?;
        if let Some(objects) = report.objects {
            write!(f, "{} became ", counted(objects, "object"))?;
        }
        f.write_str(&counted(paths.len(), "path"))?;
        if max_paths > 0 {
            f.write_str(":")?;
            let mut first = paths.iter().take(max_paths);
            first.try_for_each(|path| write!(f, " {path}"))?;
            let others = paths.len().saturating_sub(max_paths);
            if others > 0 {
                write!(f, " and {} more", thousands(others))?;
            }
        }
        f.write_str(")")?;
        for Merged { path, from } in &report.batch.plan().merged {
            write!(f, "; {path} replaces {from} paths")?;
        }
        report
            .notes
            .iter()
            .try_for_each(|note| write!(f, "; {note}"))
    }
}

impl fmt::Display for UnaffectedDistribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: nothing to invalidate", self.distribution)?;
        self.notes.iter().try_for_each(|note| write!(f, "; {note}"))
    }
}

fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
