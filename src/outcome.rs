//! `Outcome`: what was requested of CloudFront and what happened, as a value with a text.
//!
//! It is kept on failure too: of several distributions, some may have their invalidation while one failed, and the
//! caller gets a report on each. The same text reaches the pipeline's console, the log and the terminal.

use std::fmt;
use std::time::Duration;

use chrono::TimeDelta;

use crate::distribution::DistributionId;
use crate::duration::age_text;
use crate::error::Error;
use crate::excerpt::{MAX_LISTED, MAX_NOTED, listed, thousands};
use crate::path::InvalidationPath;
use crate::plan::{Batch, InvalidationId, InvalidationStatus, Merged};
use crate::verify::Report;
use crate::verify::report::Verified;

/// How many notes a text lists. The others are in the log, one line for each distribution.
const MAX_NOTES: usize = 15;

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
    /// The age of the invalidation, if an earlier request of the user created it and this one sent nothing new.
    pub reused: Option<TimeDelta>,
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
    /// Whether viewers get the current version.
    pub verification: Verification,
    /// Why the work of this job ended early, if it did. The job continues.
    pub interruption: Option<Error>,
}

/// What a job found out about what viewers get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verification {
    /// Nothing: the job does not verify.
    NotRequested,
    /// Nothing: it has not requested any URL.
    NotDone,
    /// The verdicts on the URLs that it requested.
    Done(Report),
}

impl Verification {
    /// Returns the value of the output variable `Verified`.
    fn verified(&self) -> &'static str {
        match self {
            Self::NotRequested => "none",
            Self::NotDone => Verified::Unknown.as_str(),
            Self::Done(report) => report.verified().as_str(),
        }
    }

    /// Returns the URLs with old content. A comma in them is encoded, because commas separate them.
    fn stale_urls(&self) -> Vec<String> {
        let report = match self {
            Self::NotRequested | Self::NotDone => None,
            Self::Done(report) => Some(report),
        };
        let old = report.into_iter().flat_map(Report::old);
        old.map(|url| url.url.replace(',', "%2C")).collect()
    }

    /// Returns the counts of the verdicts, or why there are none. `None` if there is nothing to report (yet).
    fn counts(&self, completion: Completion) -> Option<String> {
        let missing = match (self, completion) {
            (Self::NotRequested, _) | (Self::NotDone, Completion::Continues { .. }) => return None,
            (Self::Done(report), _) => return Some(report.counts()),
            (Self::NotDone, Completion::Completed) => "the time was over",
            (Self::NotDone, Completion::NotAwaited | Completion::TimedOut) => "it is not completed",
        };
        Some(format!("not done, because {missing}"))
    }
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
        let verification = self.verification.counts(self.completion);
        let verification = verification.map(|counts| format!("; verification: {counts}"));
        format!(
            "submitted for {} of {}, status {}{}; CodePipeline rejected {rejected}, which the log of the function contains",
            submitted.count(),
            counted(reports.len(), "distribution"),
            self.completion.status().as_str(),
            verification.unwrap_or_default()
        )
    }

    /// Returns the output variables of the job, by their names. None is empty.
    pub fn output_variables(&self) -> [(&'static str, String); 8] {
        let outcome = &self.outcome;
        let reports = outcome.reports.iter();
        let distributions = reports.map(|report| report.batch.distribution().as_str());
        let paths = outcome.paths().into_iter().map(InvalidationPath::as_str);
        let stale_urls = self.verification.stale_urls();
        [
            ("InvalidationIds", list(outcome.invalidation_ids())),
            ("DistributionIds", list(distributions)),
            ("Paths", list(paths)),
            ("PathCount", outcome.path_count().to_string()),
            ("WaitedSeconds", self.waited.as_secs().to_string()),
            ("Status", self.completion.status().as_str().to_owned()),
            ("Verified", self.verification.verified().to_owned()),
            ("StaleUrls", list(stale_urls.iter().map(String::as_str))),
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
            verification,
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
        // Before the outcome, because CodePipeline limits the summary.
        match (verification, verification.counts(*completion)) {
            (Verification::Done(report), _) => write!(f, "verification: {report}; ")?,
            (_, Some(missing)) => write!(f, "verification: {missing}; ")?,
            (_, None) => {}
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
        let new = self.reports.iter().filter(|report| report.reused.is_none());
        new.map(|report| report.batch.paths().len()).sum()
    }

    /// Returns the text of a request that ended with this error, with what happened to each distribution.
    pub fn text_of_failure(&self, error: &Error) -> String {
        if self.errors().any(|batch_error| batch_error == error) {
            // The text of the outcome holds the errors of its batches.
            self.to_string()
        } else if self.reports.is_empty() {
            error.to_string()
        } else {
            format!("{error}; {self}")
        }
    }

    /// Returns the errors of the batches that failed.
    pub fn errors(&self) -> impl Iterator<Item = &Error> {
        let results = self.reports.iter();
        results.filter_map(|report| report.result.as_ref().err())
    }
}

/// The text lists at most [`MAX_LISTED`] paths, keys and ids and counts the others; a note counts as [`MAX_NOTED`] of them,
/// which is the most that it lists.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let noted = self.reports.iter().map(BatchReport::listed_notes);
        let noted = noted.chain(
            self.unaffected
                .iter()
                .map(|distribution| &*distribution.notes),
        );
        let mut left = Left::new(noted.map(<[_]>::len).sum());
        let reports = self.reports.iter().map(|report| report.text(&mut left));
        let mut distributions: Vec<_> = reports.collect();
        let unaffected = self.unaffected.iter();
        distributions.extend(unaffected.map(|distribution| distribution.text(&mut left)));
        let distributions = listed(distributions);
        match distributions.count() {
            0 => f.write_str("nothing to invalidate"),
            _ => f.write_str(&distributions.join("; ")),
        }
    }
}

/// How many notes and paths the rest of a text lists.
struct Left {
    notes: usize,
    paths: usize,
}

impl Left {
    /// Divides what a text with this number of notes lists between them and the paths.
    fn new(notes: usize) -> Self {
        let notes = notes.min(MAX_NOTES);
        Self {
            notes,
            paths: MAX_LISTED.saturating_sub(notes * MAX_NOTED),
        }
    }

    /// Returns the text of the notes, each after a semicolon.
    fn notes(&mut self, notes: &[String]) -> String {
        let listed = notes.iter().take(self.notes);
        let mut text: String = listed.map(|note| format!("; {note}")).collect();
        let others = notes.len().saturating_sub(self.notes);
        if others > 0 {
            text.push_str(&format!("; and {}", counted(others, "more note")));
        }
        self.notes = self.notes.saturating_sub(notes.len());
        text
    }

    /// Returns the text of the paths, each after a space; nothing if no path may be listed.
    fn paths(&mut self, paths: &[InvalidationPath]) -> String {
        if self.paths == 0 {
            return String::new();
        }
        let listed = paths.iter().take(self.paths);
        let listed: String = listed.map(|path| format!(" {path}")).collect();
        let others = paths.len().saturating_sub(self.paths);
        self.paths = self.paths.saturating_sub(paths.len());
        match others {
            0 => format!(":{listed}"),
            others => format!(":{listed} and {} more", thousands(others)),
        }
    }

    /// Returns the text of the wildcards that replace other paths.
    fn merged(&mut self, merged: &[Merged]) -> String {
        if let Some(left) = self.paths.checked_sub(merged.len()) {
            self.paths = left;
            let texts = merged.iter();
            return texts
                .map(|Merged { path, from }| format!("; {path} replaces {from} paths"))
                .collect();
        }
        let from: usize = merged.iter().map(|merged| merged.from).sum();
        let wildcards = counted(merged.len(), "wildcard");
        format!("; {wildcards} instead of {} paths", thousands(from))
    }
}

impl BatchReport {
    /// Returns how many paths CloudFront accepted, and bills: none if it refused the batch, or had the invalidation already.
    pub fn accepted_paths(&self) -> usize {
        match (&self.result, self.reused) {
            (Ok(_), None) => self.batch.paths().len(),
            _ => 0,
        }
    }

    /// Returns the notes that the text of the report lists; none if the batch failed.
    fn listed_notes(&self) -> &[String] {
        match self.result {
            Ok(_) => &self.notes,
            Err(_) => &[],
        }
    }

    fn text(&self, left: &mut Left) -> String {
        let distribution = self.batch.distribution();
        let paths = self.batch.paths();
        let submitted = match (&self.result, self.reused) {
            // Its text names the distribution, as every error of a call to CloudFront does.
            (Err(error), _) => return error.to_string(),
            (Ok(Some(id)), Some(age)) => {
                let age = age_text(age);
                format!("already submitted {age} ago as {id}; nothing new was sent")
            }
            (Ok(Some(id)), None) => format!("submitted as {id}"),
            (Ok(None), _) => {
                let reference = self.batch.reference();
                format!("submitted before with caller reference {reference}")
            }
        };
        let objects =
            (self.objects).map(|objects| format!("{} became ", counted(objects, "object")));
        format!(
            "{distribution}: {submitted} ({}{}{}){}{}",
            objects.unwrap_or_default(),
            counted(paths.len(), "path"),
            left.paths(paths),
            left.merged(&self.batch.plan().merged),
            left.notes(&self.notes)
        )
    }
}

/// The limits of the text are those of an [`Outcome`] with this report only.
impl fmt::Display for BatchReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(&mut Left::new(self.notes.len())))
    }
}

impl UnaffectedDistribution {
    fn text(&self, left: &mut Left) -> String {
        format!(
            "{}: nothing to invalidate{}",
            self.distribution,
            left.notes(&self.notes)
        )
    }
}

/// The limits of the text are those of an [`Outcome`] with this distribution only.
impl fmt::Display for UnaffectedDistribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(&mut Left::new(self.notes.len())))
    }
}

fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::plan::{Collapsed, Limits};
    use crate::verify::{Judgement, Reason, UrlReport, Verdict};

    #[test]
    fn counts_wildcards_that_replace_paths_if_a_hundred_paths_are_listed() {
        let plan = |count: usize| {
            let path = |number: usize| InvalidationPath::parse(&format!("/{number:03}/*"));
            let paths = (0..count).map(|number| path(number).expect("a path"));
            let paths: Vec<_> = paths.collect();
            let merged = paths.iter().take(2).cloned();
            Collapsed {
                merged: merged.map(|path| Merged { path, from: 1_500 }).collect(),
                paths,
                from: 3_000,
                unchanged: None,
            }
        };
        let text = |count| {
            let batch = Batch::from_plan("event", distribution(1), plan(count));
            let report = BatchReport {
                batch,
                objects: None,
                notes: vec![],
                result: Ok(Some(InvalidationId::new("I1"))),
                reused: None,
            };
            let text = report.to_string();
            let (_, merged) = text.split_once(')').expect("the end of the paths");
            merged.to_owned()
        };
        assert_eq!(
            text(98),
            "; /000/* replaces 1500 paths; /001/* replaces 1500 paths"
        );
        assert_eq!(text(99), "; 2 wildcards instead of 3,000 paths");
    }

    #[test]
    fn the_summary_has_the_verdicts_or_why_there_are_none() {
        let completed = Completion::Completed;
        let old = UrlReport {
            distribution: distribution(1),
            url: "https://www.example.com/a,b".into(),
            addressed: None,
            judgement: Judgement {
                verdict: Verdict::Stale,
                reason: Reason::NotTheLocalFile,
            },
            invalidation: None,
            responses: vec![],
            explanation: vec![],
        };
        let report = Report {
            urls: vec![old],
            notes: vec!["a note".into()],
        };
        let continues = Completion::Continues { completed: 1 };
        for (verification, completion, verified, text, short) in [
            (
                Verification::NotRequested,
                completed,
                ["none", "none"],
                "completed after 7 s; ",
                "",
            ),
            (
                Verification::NotDone,
                continues,
                ["unknown", "none"],
                "1 of 0 distributions completed after 7 s; ",
                "",
            ),
            (
                Verification::NotDone,
                completed,
                ["unknown", "none"],
                "completed after 7 s; verification: not done, because the time was over; ",
                "; verification: not done, because the time was over",
            ),
            (
                Verification::NotDone,
                Completion::NotAwaited,
                ["unknown", "none"],
                "verification: not done, because it is not completed; ",
                "; verification: not done, because it is not completed",
            ),
            (
                Verification::Done(report),
                completed,
                ["false", "https://www.example.com/a%2Cb"],
                "completed after 7 s; verification: 1 stale; https://www.example.com/a,b is stale: it is not the local file; \
                 a note; ",
                "; verification: 1 stale",
            ),
        ] {
            let report = JobReport {
                outcome: Outcome::default(),
                waited: Duration::from_secs(7),
                completion,
                verification,
                interruption: None,
            };
            let summary = report.summary(Detail::Full);
            assert_eq!(summary, format!("{text}nothing to invalidate"));
            let status = completion.status().as_str();
            let expected = format!(
                "submitted for 0 of 0 distributions, status {status}{short}; CodePipeline rejected the full summary, which \
                 the log of the function contains"
            );
            assert_eq!(report.summary(Detail::ShortSummary), expected);
            let variables: BTreeMap<_, _> = report.output_variables().into_iter().collect();
            let variables = ["Verified", "StaleUrls"].map(|name| variables[name].as_str());
            assert_eq!(variables, verified);
        }
    }

    fn distribution(number: usize) -> DistributionId {
        DistributionId::parse(&format!("E{number}EXAMPLE1ABC")).expect("an id")
    }

    #[test]
    fn the_text_of_many_distributions_lists_at_most_a_hundred_paths_and_keys_in_all() {
        let paths = (100..220).map(|number| format!("/{number}"));
        let paths: Vec<_> = paths.collect();
        let report = |number: usize, notes: &[&str]| BatchReport {
            batch: Batch::new(
                "event",
                distribution(number),
                paths
                    .iter()
                    .map(|path| InvalidationPath::parse(path).expect("a path"))
                    .collect(),
                Limits::REQUESTED_PATHS,
            ),
            objects: None,
            notes: notes.iter().map(|note| (*note).to_owned()).collect(),
            result: Ok(Some(InvalidationId::new("I1".to_owned()))),
            reused: None,
        };
        let unaffected = |number| UnaffectedDistribution {
            distribution: distribution(number),
            notes: vec!["5 outside origin path /prod: a, b, c, d, e".to_owned()],
        };
        let mut outcome = Outcome {
            reports: vec![report(1, &["first"]), report(2, &["second"])],
            unaffected: vec![],
        };
        assert_eq!(
            outcome.to_string(),
            format!(
                "E1EXAMPLE1ABC: submitted as I1 (120 paths: {} and 30 more); first; E2EXAMPLE1ABC: submitted as I1 (120 \
                 paths); second",
                paths[..90].join(" ")
            )
        );
        assert_eq!(
            outcome.reports[1].to_string(),
            format!(
                "E2EXAMPLE1ABC: submitted as I1 (120 paths: {} and 25 more); second",
                paths[..95].join(" ")
            )
        );
        outcome.unaffected = (3..43).map(unaffected).collect();
        let text = outcome.to_string();
        let complete = "nothing to invalidate; 5 outside origin path /prod: a, b, c, d, e";
        assert_eq!(text.matches(complete).count(), 13, "{text}");
        let shortened = "nothing to invalidate; and 1 more note";
        assert_eq!(text.matches(shortened).count(), 27, "{text}");
        let listed = format!("(120 paths: {} and 95 more)", paths[..25].join(" "));
        assert!(text.contains(&listed), "{text}");
    }
}
