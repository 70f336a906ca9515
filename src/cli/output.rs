//! The JSON objects of the command line alone; [`crate::output`] has those that the function returns, too.
//!
//! Schema: `docs/cf-invalidate.schema.json`; the tests compare each object with it. Documentation:
//! `docs/command-line.md`

use clap::error::{ContextKind, ErrorKind};
use serde::Serialize;

use super::Exit;
use super::selection::PlannedBatch;
use crate::error::Category;
use crate::output::{DistributionOutput, ErrorOutput, FailureOutput};

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

impl From<&PlannedBatch> for DistributionOutput {
    fn from(planned: &PlannedBatch) -> Self {
        let PlannedBatch {
            distribution,
            plan,
            objects,
            notes,
            ..
        } = planned;
        Self::planned(distribution.clone(), plan, *objects, notes)
    }
}
