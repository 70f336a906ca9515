//! Prints what happened to each distribution: as text, and as a part of the JSON object.

use super::submission::Submitted;
use crate::cli::input::Input;
use crate::cli::selection::PlannedBatch;
use crate::cli::target;
use crate::cli::wait::{WaitEnd, WaitResult};
use crate::cli::{CliError, Exit, Session};
use crate::distribution::DistributionId;
use crate::error::{Category, Error};
use crate::outcome::UnaffectedDistribution;
use crate::output::{DistributionOutput, Ending, ErrorOutput};
use crate::plan::InvalidationStatus;

/// Returns the exit code of a command that is done but for this error.
pub(in crate::cli) fn exit_of(error: Option<&Error>) -> Exit {
    error.map_or(Exit::Done, |error| CliError::from(error.clone()).exit())
}

/// Prints that `aws s3` failed in part, if it did. What it changed is invalidated anyway.
pub(in crate::cli) fn add_incomplete(session: &Session, input: &Input, ending: &mut Ending) {
    if input.failures == 0 {
        return;
    }
    let error = Error::invalid_input(
        "aws s3 failed in part: remove the cause, run it again, and invalidate what it changes then",
    );
    let output = ErrorOutput::from_error(&error, session.terminal.audience());
    session.terminal.error(&output.message);
    ending.add(exit_of(Some(&error)), Some(output));
}

/// Returns how to find out whether CloudFront accepted a request without a response.
pub(super) fn check_with_list(distribution: &DistributionId) -> String {
    format!("if CloudFront got the request, `cf-invalidate list -d {distribution}` shows it")
}

/// Prints what happened to one distribution, and returns its exit code and error.
pub(super) async fn print_report(
    session: &Session,
    planned: &PlannedBatch,
    submitted: Option<&Submitted>,
) -> (Exit, Option<ErrorOutput>) {
    let Some(Submitted { report, .. }) = submitted else {
        if let Some(distribution) = planned.distribution.clone() {
            let notes = planned.notes.clone();
            session.terminal.text(UnaffectedDistribution {
                distribution,
                notes,
            });
        }
        return (Exit::Done, None);
    };
    match &report.result {
        Ok(_) => {
            session.terminal.submission(report);
            (Exit::Done, None)
        }
        Err(error) if planned.refused.is_some() => {
            let output = print_refusal(session, planned, error).await;
            (exit_of(Some(error)), Some(output))
        }
        Err(error) => {
            let output = print_error(session, planned, error).await;
            (exit_of(Some(error)), Some(output))
        }
    }
}

/// Prints and returns the error of one distribution's request. Without a response, CloudFront has possibly accepted the
/// request.
pub(super) async fn print_error(
    session: &Session,
    planned: &PlannedBatch,
    error: &Error,
) -> ErrorOutput {
    let mut output = error_output(session, planned, error).await;
    if let Some(distribution) = planned.distribution.as_ref()
        && error.category() == Category::Unavailable
    {
        let check = check_with_list(distribution);
        output.message = format!("{}; {check}", output.message);
        output.hint = Some(check);
    }
    session.terminal.error(&output.message);
    output
}

/// Prints why nothing would be sent to one distribution, and returns it.
pub(in crate::cli) async fn print_refusal(
    session: &Session,
    planned: &PlannedBatch,
    error: &Error,
) -> ErrorOutput {
    let output = error_output(session, planned, error).await;
    session.terminal.error(&output.message);
    output
}

/// Returns the error, with similar ids if the distribution does not exist.
async fn error_output(session: &Session, planned: &PlannedBatch, error: &Error) -> ErrorOutput {
    let mut output = ErrorOutput::from_error(error, session.terminal.audience());
    if let Some(distribution) = planned.distribution.as_ref()
        && error.is_no_such_distribution()
        && let Some(suggestion) = target::suggestion(session, distribution).await
    {
        output.message = format!("{}: {suggestion}", output.message);
        output.hint = output.hint.or(Some(suggestion));
    }
    output
}

/// Returns the JSON object of one distribution.
pub(super) fn distribution_output(
    session: &Session,
    planned: &PlannedBatch,
    submitted: Option<&Submitted>,
    error: Option<ErrorOutput>,
    waits: &[WaitResult],
) -> DistributionOutput {
    let Some(Submitted { report, created }) = submitted else {
        return DistributionOutput::from(planned);
    };
    let mut output = DistributionOutput::from_report(report, *created);
    if let Some(error) = error {
        output.set_error(error);
    }
    let audience = session.terminal.audience();
    let wait = waits
        .iter()
        .find(|wait| wait.distribution == *report.batch.distribution());
    if let Some(wait) = wait {
        let is_completed = wait.end == WaitEnd::Completed;
        let status = if is_completed {
            InvalidationStatus::Completed
        } else {
            InvalidationStatus::InProgress
        };
        output.status = Some(status);
        output.seconds = is_completed.then_some(wait.seconds);
        output.set_wait_error(wait.error(audience));
    }
    output
}
