//! Handles a direct invocation: creates invalidations or reports the status of one, and returns a JSON object.
//!
//! The object is the one that the command line prints: of `create`, or of `status`. An asynchronous caller does not get it, and
//! Lambda retries an event that failed; so does a caller that repeats a request. The caller references are derived from what
//! stays the same then (`RequestIdentity`), so the invalidations that exist are found.
//!
//! A caller waits at most as long as the function runs. Then the object has the status `InProgress`, and the caller can
//! request it again.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde_json::{Value, json};
use tracing::{info, warn};

use super::identity::RequestIdentity;
use super::object_changes::{ChangeOptions, ChangeResults, PendingChange};
use super::progress::{DistributionProgress, Progress, Stage, StagingSearch};
use super::verification::{self, VerificationRun};
use super::{Answer, Invalidator, decisive_error, guarded};
use crate::distribution::{DistributionId, DistributionName};
use crate::error::{Category, EndOfWait, Error, ErrorKind};
use crate::exit::Exit;
use crate::invocation::Invocation;
use crate::outcome::{BatchReport, Outcome};
use crate::output::{
    CommandOutput, CreateOutput, DistributionOutput, Ending, ErrorOutput, StatusOutput,
    VerificationOutput, verification_failure,
};
use crate::path::EncodedPaths;
use crate::plan::{Collapsed, InvalidationId, InvalidationStatus};
use crate::site::Change;
use crate::trigger::direct::{Action, DirectRequest, Objects};
use crate::trigger::request::{OnStale, OnTimeout, PathRequest, RequestOptions, Verify};
use crate::trigger::s3::ObjectChange;
use crate::verify::report::Verified;

/// What to do without a distribution.
const NAME_ONE: &str = "give one in \"distribution\"";

/// What was submitted.
struct Submitted {
    /// One for each report of the outcome, in the same order.
    progress: Progress,
    outcome: Outcome,
    /// What was requested of each distribution.
    requested: BTreeMap<DistributionId, EncodedPaths>,
    warnings: Vec<String>,
}

impl Invalidator {
    /// Does what the request is about. Returns the JSON object for the caller.
    pub(super) async fn handle_direct(
        &self,
        request: &DirectRequest,
        invocation: &Invocation,
    ) -> Result<Answer, Error> {
        let requester = request.requested_by.as_deref();
        info!(
            caller = "direct",
            requestedByUnverified = requester,
            "direct invocation"
        );
        let response = guarded(self.respond(&request.action, invocation), invocation).await?;
        Ok(Answer {
            response,
            failure: None,
        })
    }

    async fn respond(&self, action: &Action, invocation: &Invocation) -> Result<Value, Error> {
        match action {
            Action::InvalidatePaths {
                request,
                idempotency_key,
            } => {
                let options = &request.options;
                let identity = identity(idempotency_key.as_deref(), options, invocation);
                let wait = self.wait_of(options)?;
                let submitted = self.submit_paths(request, &identity, invocation).await?;
                self.complete(submitted, options, wait, invocation).await
            }
            Action::InvalidateObjects {
                objects,
                options,
                idempotency_key,
            } => {
                let identity = identity(idempotency_key.as_deref(), options, invocation);
                let wait = self.wait_of(options)?;
                let submitted = self.submit_objects_of(objects, options, &identity, invocation);
                self.complete(submitted.await?, options, wait, invocation)
                    .await
            }
            Action::ReportStatus {
                invalidation,
                distributions,
            } => {
                self.report_status(invalidation, distributions, invocation)
                    .await
            }
        }
    }

    /// Returns how long the caller waits for completion.
    fn wait_of(&self, options: &RequestOptions) -> Result<Duration, Error> {
        let wait = match options.wait {
            Some(wait) => wait,
            None => self.settings()?.wait,
        };
        options.check_verification(wait)?;
        Ok(wait)
    }

    async fn submit_paths(
        &self,
        request: &PathRequest,
        identity: &RequestIdentity,
        invocation: &Invocation,
    ) -> Result<Submitted, Error> {
        let settings = self.settings()?;
        let named = &request.options.distributions;
        let distributions = self.required_distributions(named, NAME_ONE, invocation);
        let mut progress = Progress::default();
        progress.add_distributions(distributions.await?);
        let (outcome, staging_error) = self
            .submit_requested_paths(&mut progress, request, identity, invocation)
            .await;
        let lacks_staging = settings.invalidate_staging && progress.has_pending_staging();
        let staging_error = staging_error.filter(|_| lacks_staging);
        if let Some(error) = decisive_error(&outcome).or(staging_error) {
            return Err(with_outcome(error, &outcome));
        }
        let distributions = progress.distributions.iter();
        let requested =
            distributions.map(|current| (current.distribution.clone(), request.paths.clone()));
        Ok(Submitted {
            requested: requested.collect(),
            progress,
            outcome,
            warnings: Vec::new(),
        })
    }

    async fn submit_objects_of(
        &self,
        objects: &Objects,
        options: &RequestOptions,
        identity: &RequestIdentity,
        invocation: &Invocation,
    ) -> Result<Submitted, Error> {
        let distributions = match options.distributions.as_slice() {
            [] => self.settings()?.distributions.clone(),
            names => self.cloudfront(invocation).resolve(names).await?,
        };
        let time = self.clock.now().into();
        let changes = objects.keys.iter().map(|key| ObjectChange {
            bucket: objects.bucket.clone(),
            key: key.clone(),
            time,
            change: Change::default(),
            change_id: String::new(),
        });
        let changes: Vec<_> = changes.collect();
        let pending = changes
            .iter()
            .map(|change| PendingChange { change, sent: None });
        let pending: Vec<_> = pending.collect();
        let options = ChangeOptions {
            distributions: &distributions,
            requester: Some(identity),
        };
        let results = self.invalidate_changes(&pending, options, invocation);
        let ChangeResults {
            outcome,
            failed,
            requested,
        } = results.await?;
        if let Some(error) = error_of_changes(failed.into_values(), &outcome) {
            return Err(error);
        }
        let encoded = |paths| EncodedPaths {
            paths,
            widened: Vec::new(),
        };
        let requested = requested.into_iter();
        Ok(Submitted {
            progress: progress_of(&outcome.reports),
            outcome,
            requested: requested.map(|(id, paths)| (id, encoded(paths))).collect(),
            warnings: objects.note.iter().cloned().collect(),
        })
    }

    /// Waits, verifies and returns the object for the caller.
    async fn complete(
        &self,
        submitted: Submitted,
        options: &RequestOptions,
        wait: Duration,
        invocation: &Invocation,
    ) -> Result<Value, Error> {
        let Submitted {
            mut progress,
            outcome,
            requested,
            mut warnings,
        } = submitted;
        let began = self.clock.now();
        if !wait.is_zero() {
            let polled = self.poll(&mut progress, wait, invocation).await;
            polled.map_err(|error| {
                let error = error.context("submitted, but the completion is unknown");
                with_outcome(error, &outcome)
            })?;
        }
        let waited = self.waited(began);
        let is_completed = progress.completed_count() == progress.distributions.len();
        let verification = if options.verify == Verify::Nothing || outcome.reports.is_empty() {
            None
        } else if !is_completed {
            warnings.push("not verified, because not all invalidations are completed".to_owned());
            None
        } else if !verification::has_time(invocation) {
            warnings.push("not verified, because the function's time is over".to_owned());
            None
        } else {
            let urls = |id: &DistributionId| {
                let requested = requested.get(id);
                verification::candidates(
                    &options.verify,
                    requested.unwrap_or(&EncodedPaths::default()),
                )
            };
            Some(self.verify(&progress, urls, invocation).await)
        };
        let mut ending = Ending::default();
        let mut outputs = Vec::new();
        for (report, current) in outcome.reports.iter().zip(&progress.distributions) {
            let mut output = self.distribution_output(report, &current.stage);
            if !wait.is_zero() {
                if let Stage::Completed(_) = current.stage {
                    output.seconds = Some(waited.as_secs());
                } else {
                    let error = not_completed_output(current, waited);
                    ending.add(Exit::NotCompleted, Some(error.clone()));
                    output.set_wait_error(Some(error));
                }
            }
            outputs.push(output);
        }
        if !wait.is_zero() {
            info!(
                "{} of {} completed after {} s",
                progress.completed_count(),
                progress.distributions.len(),
                waited.as_secs()
            );
        }
        if !wait.is_zero() && !is_completed && options.on_timeout == OnTimeout::Fail {
            let end = if waited + super::completion::POLL_INTERVAL > wait {
                EndOfWait::Limit
            } else {
                EndOfWait::FunctionTime
            };
            let error = ErrorKind::NotCompleted { waited, end }.into();
            return Err(with_outcome(error, &outcome));
        }
        let verification = match verification {
            None => None,
            Some(VerificationRun { report, left_out }) => {
                if report.verified() == Verified::No && options.on_stale == OnStale::Fail {
                    let report = report.to_string();
                    let error = ErrorKind::StaleUrls { report }.into();
                    return Err(with_outcome(error, &outcome));
                }
                match verification_failure(&report) {
                    Some((Exit::Stale, error)) => ending.add_stale(error),
                    Some((exit, error)) => ending.add(exit, Some(error)),
                    None => {}
                }
                Some(VerificationOutput::new(report, left_out))
            }
        };
        outputs.extend(outcome.unaffected.iter().map(|unaffected| {
            let nothing = Collapsed::default();
            let distribution = unaffected.distribution.clone();
            DistributionOutput::planned(Some(distribution), &nothing, Some(0), &unaffected.notes)
        }));
        warnings.iter().for_each(|warning| warn!("{warning}"));
        let output = CreateOutput::new(outputs, warnings, false, ending);
        to_json(&output.with_verification(verification))
    }

    /// Returns the object of a distribution whose invalidation CloudFront has.
    fn distribution_output(&self, report: &BatchReport, stage: &Stage) -> DistributionOutput {
        let known = self.warm_state.invalidations(report.batch.distribution());
        let id = report.result.as_ref().ok().and_then(Option::as_ref);
        let known = known.iter().find(|known| Some(&known.id) == id);
        let mut output = DistributionOutput::from_report(report, known.map(|known| known.created));
        output.status = match stage {
            Stage::Completed(_) => Some(InvalidationStatus::Completed),
            _ => Some(known.map_or(InvalidationStatus::InProgress, |known| known.status)),
        };
        output
    }

    async fn report_status(
        &self,
        invalidation: &InvalidationId,
        names: &[DistributionName],
        invocation: &Invocation,
    ) -> Result<Value, Error> {
        let distributions = self
            .required_distributions(names, NAME_ONE, invocation)
            .await?;
        let cloudfront = self.cloudfront(invocation);
        let (distribution, found) = cloudfront
            .find_invalidation(&distributions, invalidation)
            .await?;
        let status = found.status;
        info!(%distribution, %invalidation, ?status, "the status was reported");
        let output = StatusOutput::new(&distribution, found);
        to_json(&CommandOutput::done(json!({ "invalidations": [output] })))
    }

    fn waited(&self, began: SystemTime) -> Duration {
        self.clock.now().duration_since(began).unwrap_or_default()
    }
}

fn identity(
    idempotency_key: Option<&str>,
    options: &RequestOptions,
    invocation: &Invocation,
) -> RequestIdentity {
    let label = options.label.as_deref();
    RequestIdentity::of_invocation(idempotency_key, &invocation.request_id, label)
}

/// Returns how far the invalidations are that were just submitted.
fn progress_of(reports: &[BatchReport]) -> Progress {
    let distributions = reports.iter().map(|report| DistributionProgress {
        distribution: report.batch.distribution().clone(),
        stage: match &report.result {
            Ok(Some(id)) => Stage::InProgress(id.clone()),
            Ok(None) => Stage::Submitted,
            Err(_) => Stage::NotSubmitted,
        },
        staging: StagingSearch::Done,
    });
    Progress {
        distributions: distributions.collect(),
    }
}

/// Returns the error of changes that failed: one that a retry does not help, if there is one.
fn error_of_changes(failed: impl IntoIterator<Item = Error>, outcome: &Outcome) -> Option<Error> {
    let mut errors: Vec<Error> = Vec::new();
    for error in failed.into_iter().chain(outcome.errors().cloned()) {
        if !errors.contains(&error) {
            errors.push(error);
        }
    }
    errors.sort_by_key(Error::is_transient);
    let others = errors
        .iter()
        .filter(|error| !outcome.errors().any(|of_batch| of_batch == *error));
    let error =
        Error::join(others.cloned().collect::<Vec<_>>()).or_else(|| errors.first().cloned())?;
    Some(with_outcome(error, outcome))
}

/// Adds what happened to each distribution to the text of an error.
fn with_outcome(error: Error, outcome: &Outcome) -> Error {
    if outcome.reports.is_empty() {
        return error;
    }
    let text = outcome.text_of_failure(&error);
    ErrorKind::WithOutcome { error, text }.into()
}

/// Returns why the completion of an invalidation is not confirmed.
fn not_completed_output(current: &DistributionProgress, waited: Duration) -> ErrorOutput {
    let distribution = &current.distribution;
    let (message, hint) = match &current.stage {
        Stage::InProgress(id) | Stage::Completed(id) => {
            let hint = format!(
                "request its status with {{\"invalidation\": \"{id}\", \"distribution\": \"{distribution}\"}}"
            );
            let waited = waited.as_secs();
            let facts = format!(
                "{distribution}: {id} was submitted and is not completed after {waited} s; CloudFront still completes it"
            );
            (format!("{facts}; {hint}"), Some(hint))
        }
        Stage::NotSubmitted | Stage::Submitted => (
            format!(
                "{distribution}: the invalidation was submitted, but its status is unknown: CloudFront had it already and \
                 did not return its id"
            ),
            None,
        ),
    };
    ErrorOutput::new(Category::Unavailable, message, hint)
}

fn to_json(output: &impl Serialize) -> Result<Value, Error> {
    serde_json::to_value(output).map_err(|error| Error::invalid_input(error.to_string()))
}
