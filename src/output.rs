//! The JSON objects that programs read, with the exit codes in them. The command line prints them with `--output json`; its own
//! are in `cli::output`.
//!
//! New versions add fields and do not change present ones: a field that gets another name stays under the former one, too.
//!
//! Schema: `docs/cf-invalidate.schema.json`; the tests compare each object with it. Documentation:
//! `docs/command-line.md`

mod verification;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

pub use self::verification::{
    VerificationOutput, count as counted_results, failure as verification_failure,
};
use crate::distribution::DistributionId;
use crate::error::{Audience, Category, Error};
use crate::exit::Exit;
use crate::outcome::BatchReport;
use crate::path::{InvalidationPath, SubmittedPath};
use crate::plan::{Collapsed, ExistingInvalidation, InvalidationId, InvalidationStatus, Merged};

/// Formats a time as CloudFront does.
pub fn timestamp(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Why the status of an invalidation is unknown although CloudFront has it.
pub const UNKNOWN_ID: &str = "CloudFront had it already and did not return its id";

/// Returns the text about an invalidation that is not completed after these seconds.
pub fn not_completed(distribution: &DistributionId, invalidation: &str, seconds: u64) -> String {
    format!(
        "{distribution}: {invalidation} was submitted and is not completed after {seconds} s; CloudFront still completes it"
    )
}

/// The result of a command, with how the command ended.
#[derive(Clone, Debug, Serialize)]
pub struct CommandOutput<T> {
    #[serde(flatten)]
    result: T,
    exit_code: u8,
    /// The error that decides the exit code.
    error: Option<ErrorOutput>,
}

impl<T> CommandOutput<T> {
    /// Creates the object of a command that is done.
    pub fn done(result: T) -> Self {
        Self::new(result, Exit::Done, None)
    }

    /// Creates the object of a command.
    pub fn new(result: T, exit: Exit, error: Option<ErrorOutput>) -> Self {
        Self {
            result,
            exit_code: exit as u8,
            error,
        }
    }
}

/// An invalidation that CloudFront has.
#[derive(Clone, Debug, Serialize)]
pub struct InvalidationOutput {
    distribution: DistributionId,
    id: InvalidationId,
    created: String,
    status: InvalidationStatus,
    reference: String,
    paths: Vec<SubmittedPath>,
}

impl InvalidationOutput {
    /// Creates the object of an invalidation of the distribution.
    pub fn new(distribution: &DistributionId, invalidation: ExistingInvalidation) -> Self {
        Self {
            distribution: distribution.clone(),
            id: invalidation.id,
            created: timestamp(invalidation.created),
            status: invalidation.status,
            reference: invalidation.caller_reference,
            paths: invalidation.paths,
        }
    }
}

/// The status of an invalidation: the object with the former name of `id`.
#[derive(Clone, Debug, Serialize)]
pub struct StatusOutput {
    invalidation: InvalidationId,
    #[serde(flatten)]
    output: InvalidationOutput,
}

impl StatusOutput {
    /// Creates the object of an invalidation of the distribution.
    pub fn new(distribution: &DistributionId, invalidation: ExistingInvalidation) -> Self {
        Self {
            invalidation: invalidation.id.clone(),
            output: InvalidationOutput::new(distribution, invalidation),
        }
    }
}

/// How a command ended, with the error that decides its exit code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// The exit code.
    pub exit: Exit,
    /// The error; `None` if the command is done.
    pub error: Option<ErrorOutput>,
}

impl Default for Ending {
    fn default() -> Self {
        Self {
            exit: Exit::Done,
            error: None,
        }
    }
}

impl Ending {
    /// Adds how a part ended. The first part that is not [`Exit::Done`] decides.
    pub fn add(&mut self, exit: Exit, error: Option<ErrorOutput>) {
        if self.exit == Exit::Done && exit != Exit::Done {
            *self = Self { exit, error };
        }
    }

    /// Adds that viewers still get old content, which is worse than what could not be confirmed.
    pub fn add_stale(&mut self, error: ErrorOutput) {
        if matches!(self.exit, Exit::Done | Exit::NotCompleted) {
            *self = Self {
                exit: Exit::Stale,
                error: Some(error),
            };
        }
    }
}

/// The result of `create` or `plan`.
#[derive(Clone, Debug, Serialize)]
pub struct CreateOutput {
    /// The paths of all distributions, each once, sorted.
    paths: Vec<InvalidationPath>,
    /// How many paths CloudFront accepted: the sum over the distributions. 0 if nothing new was sent.
    path_count: usize,
    /// How many paths are planned: the sum over the distributions.
    planned_path_count: usize,
    /// Whether nothing was sent, because of `plan` or `--dry-run`.
    dry_run: bool,
    distributions: Vec<DistributionOutput>,
    warnings: Vec<String>,
    /// What was verified, with `--verify` or `--takedown`.
    verification: Option<VerificationOutput>,
    exit_code: u8,
    /// The error of a distribution that decides the exit code.
    error: Option<ErrorOutput>,
}

/// The result for one distribution.
#[derive(Clone, Debug, Serialize)]
pub struct DistributionOutput {
    distribution: Option<DistributionId>,
    paths: Vec<InvalidationPath>,
    /// How many distinct paths the plan was made from.
    from: usize,
    merged: Vec<Merged>,
    /// How many changed objects are invalidated; `None` if paths were requested.
    objects: Option<usize>,
    /// How many unchanged objects lose their cached copy too, if the site's objects are known.
    unchanged: Option<usize>,
    /// What was left out, what was added, and why.
    pub notes: Vec<String>,
    reference: Option<String>,
    /// Whether an earlier request of the user created the invalidation, and nothing new was sent.
    reused: bool,
    id: Option<InvalidationId>,
    /// When CloudFront created the invalidation.
    created: Option<String>,
    /// The status of the invalidation, if it is known.
    pub status: Option<InvalidationStatus>,
    /// How long the wait lasted until it was completed; `None` without a wait and if it is not completed.
    pub seconds: Option<u64>,
    /// What happened to each path, with `--takedown`; else empty.
    pub takedown: Vec<TakedownOutput>,
    error: Option<ErrorOutput>,
    /// The former name of `id`.
    invalidation: Option<InvalidationId>,
    /// The former name of an error of the submission.
    failure: Option<FailureOutput>,
    /// How many paths CloudFront accepted.
    #[serde(skip)]
    pub accepted: usize,
}

/// What happened to a path of `--takedown`.
#[derive(Clone, Debug, Serialize)]
pub struct TakedownOutput {
    /// As the user wrote it; a key has a leading slash.
    pub path: String,
    /// What is invalidated for it.
    pub paths: Vec<InvalidationPath>,
    /// The ids of the invalidations that have these paths.
    pub ids: Vec<InvalidationId>,
    /// `None` if not all of the paths were sent.
    pub status: Option<InvalidationStatus>,
}

/// An error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ErrorOutput {
    /// The category of the error: [`Category::as_str`].
    pub kind: &'static str,
    /// The text that the user reads.
    pub message: String,
    /// What to do, which the message contains too.
    pub hint: Option<String>,
}

/// An error under its former names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FailureOutput {
    cause: &'static str,
    message: String,
}

impl ErrorOutput {
    /// Creates the object of an error.
    pub fn new(category: Category, message: String, hint: Option<String>) -> Self {
        Self {
            kind: category.as_str(),
            message,
            hint,
        }
    }

    /// Creates the object of an error, with the advice for the audience.
    pub fn from_error(error: &Error, audience: &Audience) -> Self {
        let (message, hint) = (error.message(audience), error.hint(audience));
        Self::new(error.category(), message, hint)
    }

    /// Returns the error under its former names.
    pub fn to_failure(&self) -> FailureOutput {
        FailureOutput {
            cause: self.kind,
            message: self.message.clone(),
        }
    }
}

impl DistributionOutput {
    /// Creates the object of a plan that is not sent. Without a distribution, the plan is made from the paths alone.
    pub fn planned(
        distribution: Option<DistributionId>,
        plan: &Collapsed,
        objects: Option<usize>,
        notes: &[String],
    ) -> Self {
        Self {
            distribution,
            paths: plan.paths.clone(),
            from: plan.from,
            merged: plan.merged.clone(),
            objects,
            unchanged: plan.unchanged,
            notes: notes.to_vec(),
            reference: None,
            reused: false,
            id: None,
            created: None,
            status: None,
            seconds: None,
            takedown: Vec::new(),
            error: None,
            invalidation: None,
            failure: None,
            accepted: 0,
        }
    }

    /// Creates the object of a batch that was sent. `created` is when CloudFront created the invalidation, if it is known.
    ///
    /// An error of the report is left out, because its text depends on the audience: add it with
    /// [`set_error`](Self::set_error).
    pub fn from_report(report: &BatchReport, created: Option<DateTime<Utc>>) -> Self {
        let batch = &report.batch;
        let distribution = Some(batch.distribution().clone());
        let id = report.result.clone().unwrap_or_default();
        Self {
            reference: Some(batch.reference().to_string()),
            reused: report.reused.is_some(),
            id: id.clone(),
            created: created.map(timestamp),
            invalidation: id,
            accepted: report.accepted_paths(),
            ..Self::planned(distribution, batch.plan(), report.objects, &report.notes)
        }
    }

    /// Sets why the submission failed.
    pub fn set_error(&mut self, error: ErrorOutput) {
        self.failure = Some(error.to_failure());
        self.error = Some(error);
    }

    /// Sets why the completion is not confirmed. An error of the submission stays.
    pub fn set_wait_error(&mut self, error: Option<ErrorOutput>) {
        self.error = self.error.take().or(error);
    }
}

impl CreateOutput {
    /// Creates the object of a command that creates invalidations, or with `dry_run` only plans them.
    pub fn new(
        distributions: Vec<DistributionOutput>,
        warnings: Vec<String>,
        dry_run: bool,
        ending: Ending,
    ) -> Self {
        let paths = distributions.iter().flat_map(|output| &output.paths);
        let mut paths: Vec<_> = paths.cloned().collect();
        let planned_path_count = paths.len();
        let accepted = distributions.iter().map(|output| output.accepted);
        let path_count = accepted.sum();
        paths.sort_unstable();
        paths.dedup();
        Self {
            paths,
            path_count,
            planned_path_count,
            dry_run,
            distributions,
            warnings,
            verification: None,
            exit_code: ending.exit as u8,
            error: ending.error,
        }
    }

    /// Adds what was verified.
    pub fn with_verification(self, verification: Option<VerificationOutput>) -> Self {
        Self {
            verification,
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use serde_json::{Value, json};

    use super::*;
    use crate::error::ErrorKind;
    use crate::plan::collapse::collapse;
    use crate::plan::{Batch, CallerReference, Inventory, Limits};

    /// Returns the object of a batch with this result, whose paths are merged to a wildcard.
    fn of_result(
        result: Result<Option<InvalidationId>, Error>,
        reused: Option<TimeDelta>,
        created: Option<DateTime<Utc>>,
    ) -> DistributionOutput {
        let paths =
            ["/blog/a", "/blog/b"].map(|path| InvalidationPath::parse(path).expect("a path"));
        let inventory = Inventory::from_keys(["blog/a", "blog/b", "blog/c", "index.html"]);
        let limits = Limits {
            paths: 1,
            ..Limits::BUCKET_CHANGES
        };
        let plan = collapse(paths.to_vec(), Some(&inventory), limits);
        let distribution = DistributionId::parse("E2EXAMPLE1ABC").expect("a distribution id");
        let report = BatchReport {
            batch: Batch::from_plan("event 1", distribution, plan)
                .with_reference(CallerReference::parse("deploy-7").expect("a reference")),
            objects: Some(2),
            notes: vec!["a note".to_owned()],
            result,
            reused,
        };
        DistributionOutput::from_report(&report, created)
    }

    #[test]
    fn the_object_of_a_batch_has_its_plan_and_what_cloudfront_returned() {
        let id = Some(InvalidationId::new("I2EXAMPLE1ABC"));
        let created = DateTime::from_timestamp(1_767_225_600, 0);
        let unavailable = || {
            Error::from(ErrorKind::Unavailable {
                purpose: "invalidate E2EXAMPLE1ABC".into(),
                message: "timeout".into(),
            })
        };
        let time = "2026-01-01T00:00:00Z";
        for (result, reused, created, accepted, expected) in [
            (
                Ok(id.clone()),
                None,
                created,
                1,
                json!({"id": "I2EXAMPLE1ABC", "reused": false, "created": time}),
            ),
            (
                Ok(id),
                Some(TimeDelta::minutes(2)),
                created,
                0,
                json!({"id": "I2EXAMPLE1ABC", "reused": true, "created": time}),
            ),
            (
                Ok(None),
                None,
                None,
                1,
                json!({"id": null, "reused": false, "created": null}),
            ),
            (
                Err(unavailable()),
                None,
                None,
                0,
                json!({"id": null, "reused": false, "created": null}),
            ),
        ] {
            let output = of_result(result, reused, created);
            let expected = json!({
                "distribution": "E2EXAMPLE1ABC",
                "paths": ["/blog/*"],
                "from": 2,
                "merged": [{"path": "/blog/*", "from": 2}],
                "objects": 2,
                "unchanged": 1,
                "notes": ["a note"],
                "reference": "deploy-7",
                "reused": expected["reused"],
                "id": expected["id"],
                "created": expected["created"],
                "status": null,
                "seconds": null,
                "takedown": [],
                "error": null,
                "invalidation": expected["id"],
                "failure": null,
            });
            assert_eq!(json!(output), expected);
            let output = CreateOutput::new(vec![output], Vec::new(), false, Ending::default());
            assert_eq!(
                (output.path_count, output.planned_path_count),
                (accepted, 1)
            );
        }
    }

    #[test]
    fn an_error_of_the_submission_is_there_under_both_names_and_stays() {
        let error = ErrorOutput::new(
            Category::Throttled,
            "CloudFront is busy".to_owned(),
            Some("try again".to_owned()),
        );
        let other = ErrorOutput::new(Category::Unavailable, "not completed".to_owned(), None);
        let error_of = |output: &DistributionOutput| -> [Value; 2] {
            let output = json!(output);
            [output["error"].clone(), output["failure"].clone()]
        };
        let mut output = of_result(Ok(None), None, None);
        output.set_wait_error(Some(other.clone()));
        assert_eq!(
            error_of(&output),
            [
                json!({"kind": "unavailable", "message": "not completed", "hint": null}),
                json!(null)
            ]
        );
        let mut output = of_result(Err(Error::invalid_input("x")), None, None);
        output.set_error(error);
        output.set_wait_error(Some(other));
        assert_eq!(
            error_of(&output),
            [
                json!({"kind": "busy", "message": "CloudFront is busy", "hint": "try again"}),
                json!({"cause": "busy", "message": "CloudFront is busy"})
            ]
        );
    }

    #[test]
    fn a_status_has_the_id_under_both_names() {
        let distribution = DistributionId::parse("E2EXAMPLE1ABC").expect("a distribution id");
        let invalidation = ExistingInvalidation {
            id: InvalidationId::new("I2EXAMPLE1ABC"),
            created: DateTime::UNIX_EPOCH,
            status: InvalidationStatus::InProgress,
            caller_reference: "deploy-7".to_owned(),
            paths: Vec::new(),
        };
        assert_eq!(
            json!(StatusOutput::new(&distribution, invalidation)),
            json!({
                "distribution": "E2EXAMPLE1ABC",
                "id": "I2EXAMPLE1ABC",
                "invalidation": "I2EXAMPLE1ABC",
                "created": "1970-01-01T00:00:00Z",
                "status": "InProgress",
                "reference": "deploy-7",
                "paths": [],
            })
        );
    }

    #[test]
    fn old_content_is_worse_than_what_is_not_confirmed() {
        let error = |message: &str| ErrorOutput::new(Category::Stale, message.to_owned(), None);
        for (exit, expected) in [
            (Exit::Done, Exit::Stale),
            (Exit::NotCompleted, Exit::Stale),
            (Exit::Failed, Exit::Failed),
            (Exit::Interrupted, Exit::Interrupted),
        ] {
            let mut ending = Ending::default();
            ending.add(exit, Some(error("first")));
            ending.add_stale(error("stale"));
            assert_eq!(ending.exit, expected);
            let message = ending.error.map(|error| error.message);
            let is_replaced = expected == Exit::Stale;
            assert_eq!(
                message.as_deref(),
                Some(if is_replaced { "stale" } else { "first" })
            );
        }
    }

    #[test]
    fn the_first_part_that_is_not_done_decides() {
        let error = |message: &str| {
            Some(ErrorOutput::new(
                Category::Unavailable,
                message.to_owned(),
                None,
            ))
        };
        let mut ending = Ending::default();
        ending.add(Exit::Done, error("done"));
        assert_eq!(ending, Ending::default());
        ending.add(Exit::NotCompleted, error("first"));
        ending.add(Exit::Failed, error("second"));
        let expected = Ending {
            exit: Exit::NotCompleted,
            error: error("first"),
        };
        assert_eq!(ending, expected);
    }

    #[test]
    fn the_paths_of_all_distributions_are_sorted_and_there_once() {
        let of = |paths: &[&str]| {
            let paths = paths.iter();
            let paths = paths.map(|path| InvalidationPath::parse(path).expect("a path"));
            let plan = Collapsed {
                paths: paths.collect(),
                ..Collapsed::default()
            };
            DistributionOutput::planned(None, &plan, None, &[])
        };
        let outputs = vec![of(&["/b", "/c"]), of(&["/a", "/c"])];
        let output = json!(CreateOutput::new(
            outputs,
            Vec::new(),
            false,
            Ending::default()
        ));
        assert_eq!(output["paths"], json!(["/a", "/b", "/c"]));
        assert_eq!(output["planned_path_count"], 4);
    }
}
