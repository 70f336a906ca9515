//! The JSON objects. New versions add fields and do not change present ones: a field that gets another name stays under
//! the former one, too.
//!
//! Schema: `docs/cf-invalidate.schema.json`; the tests compare each object with it. Documentation:
//! `docs/command-line.md`

use clap::error::{ContextKind, ErrorKind};
use serde::Serialize;

use super::format::timestamp;
use super::selection::PlannedBatch;
use super::verify::VerificationOutput;
use super::{CliError, Exit};
use crate::distribution::DistributionId;
use crate::error::{Audience, Category, Error};
use crate::path::{InvalidationPath, SubmittedPath};
use crate::plan::{ExistingInvalidation, InvalidationId, InvalidationStatus, Merged};

/// The result of a command, with how the command ended.
#[derive(Clone, Debug, Serialize)]
pub(super) struct CommandOutput<T> {
    #[serde(flatten)]
    result: T,
    exit_code: u8,
    /// The error that decides the exit code.
    error: Option<ErrorOutput>,
}

impl<T> CommandOutput<T> {
    /// Creates the object of a command that is done.
    pub(super) fn done(result: T) -> Self {
        Self::new(result, Exit::Done, None)
    }

    /// Creates the object of a command.
    pub(super) fn new(result: T, exit: Exit, error: Option<ErrorOutput>) -> Self {
        Self {
            result,
            exit_code: exit as u8,
            error,
        }
    }
}

/// The object of a command without a result.
#[derive(Clone, Debug, Serialize)]
pub(super) struct FailedOutput {
    exit_code: u8,
    failure: FailureOutput,
    error: ErrorOutput,
}

impl FailedOutput {
    pub(super) fn new(exit: Exit, error: ErrorOutput) -> Self {
        Self {
            exit_code: exit as u8,
            failure: error.to_failure(),
            error,
        }
    }
}

/// An invalidation that CloudFront has.
#[derive(Clone, Debug, Serialize)]
pub(super) struct InvalidationOutput {
    distribution: DistributionId,
    id: InvalidationId,
    created: String,
    status: InvalidationStatus,
    reference: String,
    paths: Vec<SubmittedPath>,
}

impl InvalidationOutput {
    pub(super) fn new(distribution: &DistributionId, invalidation: ExistingInvalidation) -> Self {
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

/// How a command ended, with the error that decides its exit code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ending {
    pub exit: Exit,
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
    pub(super) fn add(&mut self, exit: Exit, error: Option<ErrorOutput>) {
        if self.exit == Exit::Done && exit != Exit::Done {
            *self = Self { exit, error };
        }
    }

    /// Adds that viewers still get old content, which is worse than what could not be confirmed.
    pub(super) fn add_stale(&mut self, error: ErrorOutput) {
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
pub(super) struct CreateOutput {
    /// The paths of all distributions, each once, sorted.
    pub paths: Vec<InvalidationPath>,
    /// How many paths CloudFront accepted: the sum over the distributions. 0 if nothing new was sent.
    pub path_count: usize,
    /// How many paths are planned: the sum over the distributions.
    pub planned_path_count: usize,
    /// Whether nothing was sent, because of `plan` or `--dry-run`.
    pub dry_run: bool,
    pub distributions: Vec<DistributionOutput>,
    pub warnings: Vec<String>,
    /// What was verified, with `--verify` or `--takedown`.
    pub verification: Option<VerificationOutput>,
    pub exit_code: u8,
    /// The error of a distribution that decides the exit code.
    pub error: Option<ErrorOutput>,
}

/// The result for one distribution.
#[derive(Clone, Debug, Serialize)]
pub(super) struct DistributionOutput {
    pub distribution: Option<DistributionId>,
    pub paths: Vec<InvalidationPath>,
    /// How many distinct paths the plan was made from.
    pub from: usize,
    pub merged: Vec<Merged>,
    /// How many changed objects are invalidated; `None` if paths were requested.
    pub objects: Option<usize>,
    /// How many unchanged objects lose their cached copy too, if the site's objects are known.
    pub unchanged: Option<usize>,
    pub notes: Vec<String>,
    pub reference: Option<String>,
    /// Whether an earlier request of the user created the invalidation, and nothing new was sent.
    pub reused: bool,
    id: Option<InvalidationId>,
    /// When CloudFront created the invalidation.
    pub created: Option<String>,
    pub status: Option<InvalidationStatus>,
    /// How long it took to complete, with `--wait`.
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
pub(super) struct TakedownOutput {
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
pub(super) struct ErrorOutput {
    pub kind: &'static str,
    pub message: String,
    /// What to do, which the message contains too.
    pub hint: Option<String>,
}

/// An error under its former names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct FailureOutput {
    cause: &'static str,
    message: String,
}

impl ErrorOutput {
    pub(super) fn new(category: Category, message: String, hint: Option<String>) -> Self {
        Self {
            kind: category.as_str(),
            message,
            hint,
        }
    }

    pub(super) fn from_error(error: &Error, audience: &Audience) -> Self {
        let (message, hint) = (error.message(audience), error.hint(audience));
        Self::new(error.category(), message, hint)
    }

    pub(super) fn from_cli_error(error: &CliError, audience: &Audience) -> Self {
        match error {
            CliError::Failed(error) => Self::from_error(error, audience),
            CliError::InvalidArguments(message) | CliError::Declined(message) => {
                Self::new(Category::InvalidInput, message.clone(), None)
            }
            CliError::Interrupted(message) => {
                Self::new(Category::Unavailable, message.clone(), None)
            }
        }
    }

    fn to_failure(&self) -> FailureOutput {
        FailureOutput {
            cause: self.kind,
            message: self.message.clone(),
        }
    }
}

/// Returns the error of arguments that cannot be parsed: the first paragraph of its text, and the similar names.
pub(super) fn argument_error(error: &clap::Error) -> ErrorOutput {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let hint = Some("run `cf-invalidate --help`".to_owned());
        return ErrorOutput::new(
            Category::InvalidInput,
            "no command is given".to_owned(),
            hint,
        );
    }
    let text = error.to_string();
    let paragraph = text.lines().take_while(|line| !line.trim().is_empty());
    let words: Vec<_> = paragraph.flat_map(str::split_whitespace).collect();
    let message = words.join(" ");
    let message = message.strip_prefix("error: ").unwrap_or(&message);
    let similar = [
        ContextKind::SuggestedSubcommand,
        ContextKind::SuggestedArg,
        ContextKind::SuggestedValue,
    ];
    let similar = similar.into_iter().find_map(|kind| error.get(kind));
    let hint = similar.map(|similar| format!("did you mean {similar}?"));
    let tips = error.get(ContextKind::Suggested).map(ToString::to_string);
    let hint = hint.or(tips.filter(|tips| !tips.is_empty()));
    ErrorOutput::new(Category::InvalidInput, message.to_owned(), hint)
}

impl DistributionOutput {
    /// Sets what CloudFront returned for the submission.
    pub(super) fn set_submission(
        &mut self,
        submission: Result<Option<InvalidationId>, ErrorOutput>,
    ) {
        match submission {
            Ok(id) => {
                self.invalidation = id.clone();
                self.id = id;
            }
            Err(error) => {
                self.failure = Some(error.to_failure());
                self.error = Some(error);
            }
        }
    }

    /// Sets why the completion is not confirmed.
    pub(super) fn set_wait_error(&mut self, error: Option<ErrorOutput>) {
        self.error = self.error.take().or(error);
    }
}

impl CreateOutput {
    pub(super) fn new(
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

    pub(super) fn with_verification(self, verification: Option<VerificationOutput>) -> Self {
        Self {
            verification,
            ..self
        }
    }
}

impl From<&PlannedBatch> for DistributionOutput {
    fn from(planned: &PlannedBatch) -> Self {
        let PlannedBatch {
            distribution,
            plan,
            objects,
            notes,
            ..
        } = planned;
        Self {
            distribution: distribution.clone(),
            paths: plan.paths.clone(),
            from: plan.from,
            merged: plan.merged.clone(),
            objects: *objects,
            unchanged: plan.unchanged,
            notes: notes.clone(),
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
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
