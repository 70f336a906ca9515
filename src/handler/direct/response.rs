//! The JSON objects for the caller of a direct invocation: those that `create` and `status` of the command line print.
//!
//! `exit_code` and `error` are those of the command line, too, although the function has succeeded: 3 if something was not
//! completed or not verified in time, 6 if viewers get old content.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use super::{Submitted, VerificationResult};
use crate::distribution::DistributionId;
use crate::error::{Category, Error};
use crate::exit::Exit;
use crate::handler::progress::{DistributionProgress, Stage};
use crate::handler::verification::VerificationRun;
use crate::outcome::BatchReport;
use crate::output::{
    self, CommandOutput, CreateOutput, DistributionOutput, Ending, ErrorOutput, StatusOutput,
    UNKNOWN_ID, VerificationOutput, verification_failure,
};
use crate::plan::{Collapsed, ExistingInvalidation, InvalidationStatus};

/// Returns the object of a request that created invalidations. `waited` is for how many seconds completion was awaited, and `known`
/// returns the invalidations of a distribution that CloudFront returned to this process.
pub(super) fn of_invalidations(
    submitted: Submitted,
    waited: Option<Duration>,
    verification: VerificationResult,
    known: impl Fn(&DistributionId) -> Vec<ExistingInvalidation>,
) -> Result<Value, Error> {
    let Submitted {
        progress,
        outcome,
        requested: _,
        warnings,
    } = submitted;
    let mut ending = Ending::default();
    let mut outputs = Vec::new();
    for (report, current) in outcome.reports.iter().zip(&progress.distributions) {
        let mut output = of_report(report, &known(report.batch.distribution()));
        match (waited, &current.stage) {
            (Some(waited), Stage::Completed(_)) => {
                output.status = Some(InvalidationStatus::Completed);
                output.seconds = Some(waited.as_secs());
            }
            (Some(waited), _) => {
                let error = not_completed(current, waited);
                ending.add(Exit::NotCompleted, Some(error.clone()));
                output.set_wait_error(Some(error));
            }
            (None, _) => {}
        }
        outputs.push(output);
    }
    let unaffected = outcome.unaffected.into_iter().map(|unaffected| {
        let (distribution, notes) = (unaffected.distribution, unaffected.notes);
        DistributionOutput::planned(Some(distribution), &Collapsed::default(), Some(0), &notes)
    });
    outputs.extend(unaffected);
    let verification = match verification {
        VerificationResult::NotRequested => None,
        VerificationResult::NotDone(reason) => {
            let error = ErrorOutput::new(Category::Unavailable, reason, None);
            ending.add(Exit::NotCompleted, Some(error));
            None
        }
        VerificationResult::Done(VerificationRun { report, left_out }) => {
            match verification_failure(&report) {
                Some((Exit::Stale, error)) => ending.add_stale(error),
                Some((exit, error)) => ending.add(exit, Some(error)),
                None => {}
            }
            Some(VerificationOutput::new(report, left_out))
        }
    };
    let output = CreateOutput::new(outputs, warnings, false, ending);
    to_json(&output.with_verification(verification))
}

/// Returns the object of the status of an invalidation.
pub(super) fn of_status(
    distribution: &DistributionId,
    invalidation: ExistingInvalidation,
) -> Result<Value, Error> {
    let output = StatusOutput::new(distribution, invalidation);
    to_json(&CommandOutput::done(json!({ "invalidations": [output] })))
}

/// Returns the object of a distribution whose invalidation CloudFront has, with the status that CloudFront returned.
fn of_report(report: &BatchReport, known: &[ExistingInvalidation]) -> DistributionOutput {
    let id = report.result.as_ref().ok().and_then(Option::as_ref);
    let known = known.iter().find(|known| Some(&known.id) == id);
    let mut output = DistributionOutput::from_report(report, known.map(|known| known.created));
    output.status = Some(known.map_or(InvalidationStatus::InProgress, |known| known.status));
    output
}

/// Returns why the completion of an invalidation is not confirmed.
fn not_completed(current: &DistributionProgress, waited: Duration) -> ErrorOutput {
    let distribution = &current.distribution;
    let (message, hint) = match &current.stage {
        Stage::InProgress(id) | Stage::Completed(id) => {
            let hint = format!(
                "request its status with {{\"invalidation\": \"{id}\", \"distribution\": \"{distribution}\"}}"
            );
            let facts = output::not_completed(distribution, id.as_str(), waited.as_secs());
            (format!("{facts}; {hint}"), Some(hint))
        }
        Stage::NotSubmitted | Stage::Submitted => {
            let message = format!(
                "{distribution}: the invalidation was submitted, but its status is unknown: {UNKNOWN_ID}"
            );
            (message, None)
        }
    };
    ErrorOutput::new(Category::Unavailable, message, hint)
}

fn to_json(output: &impl Serialize) -> Result<Value, Error> {
    serde_json::to_value(output).map_err(|error| Error::invalid_input(error.to_string()))
}
