//! Handles a direct invocation: creates invalidations or reports the status of one, and returns a JSON object.
//!
//! The object is the one that the command line prints for `create` or `status`. An asynchronous caller does not get it.
//!
//! Lambda retries an asynchronous event that failed, and callers repeat requests. The caller references are derived from
//! what stays the same then (`RequestIdentity`), so CloudFront returns the invalidations that exist.
//!
//! A caller waits at most as long as the function runs. Then the object has the status `InProgress`, and the caller can
//! poll with `invalidation`.

mod hosts;
mod response;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;
use tracing::{info, warn};

use super::identity::RequestIdentity;
use super::object_changes::{ChangeOptions, ChangeResults, PendingChange};
use super::progress::{DistributionProgress, Progress, Stage, StagingSearch};
use super::verification::{self, VerificationRun};
use super::{Answer, Invalidator, decisive_error, guarded};
use crate::distribution::{DistributionId, DistributionName};
use crate::error::{EndOfWait, Error, ErrorKind};
use crate::invocation::Invocation;
use crate::outcome::{BatchReport, Outcome};
use crate::output::UNKNOWN_ID;
use crate::path::EncodedPaths;
use crate::plan::InvalidationId;
use crate::site::Change;
use crate::trigger::direct::{DirectRequest, Objects, Operation};
use crate::trigger::request::{OnStale, OnTimeout, PathRequest, RequestOptions, Verify};
use crate::trigger::s3::ObjectChange;
use crate::verify::report::Verified;

/// What to do without a distribution.
const NAME_ONE: &str = "give one in \"distribution\"";

/// How long the wait before a verification polls at least.
const MIN_POLL_TIME: Duration = Duration::from_secs(1);

/// What was submitted.
struct Submitted {
    /// One for each report of the outcome, in the same order.
    progress: Progress,
    outcome: Outcome,
    /// What was requested of each distribution.
    requested: BTreeMap<DistributionId, EncodedPaths>,
    warnings: Vec<String>,
}

/// What was found out about what viewers get.
enum VerificationResult {
    NotRequested,
    /// Nothing, with the reason.
    NotDone(String),
    Done(VerificationRun),
}

impl Invalidator {
    /// Handles a direct invocation. Returns the JSON object for the caller.
    pub(super) async fn handle_direct(
        &self,
        request: &DirectRequest,
        invocation: &Invocation,
    ) -> Result<Answer, Error> {
        info!("direct invocation");
        let operation = request.operation.as_ref().map_err(Clone::clone)?;
        let response = guarded(self.respond(operation, invocation), invocation).await?;
        Ok(Answer {
            response,
            failure: None,
        })
    }

    async fn respond(
        &self,
        operation: &Operation,
        invocation: &Invocation,
    ) -> Result<Value, Error> {
        match operation {
            Operation::InvalidatePaths {
                request,
                hosts,
                idempotency_key,
            } => {
                let options = &request.options;
                let identity = identity(idempotency_key.as_deref(), options, invocation);
                let wait = self.wait_of(options)?;
                let submitted = self.submit_paths(request, hosts, &identity, invocation);
                self.complete(submitted.await?, options, wait, invocation)
                    .await
            }
            Operation::InvalidateObjects {
                objects,
                hosts,
                options,
                idempotency_key,
            } => {
                let identity = identity(idempotency_key.as_deref(), options, invocation);
                let wait = self.wait_of(options)?;
                let submitted =
                    self.submit_objects_of(objects, hosts, options, &identity, invocation);
                self.complete(submitted.await?, options, wait, invocation)
                    .await
            }
            Operation::ReportStatus {
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
        let checked = options.check_verification(wait, "30s");
        checked.map_err(|error| error.context("direct invocation"))?;
        if options.on_timeout == OnTimeout::Fail && wait.is_zero() {
            let message = "it has no effect without a wait: add \"wait\": \"30s\", or remove it";
            let error = Error::invalid_input(message).context("onTimeout");
            return Err(error.context("direct invocation"));
        }
        Ok(wait)
    }

    async fn submit_paths(
        &self,
        request: &PathRequest,
        hosts: &BTreeSet<String>,
        identity: &RequestIdentity,
        invocation: &Invocation,
    ) -> Result<Submitted, Error> {
        let settings = self.settings()?;
        let named = &request.options.distributions;
        let distributions = self
            .required_distributions(named, NAME_ONE, invocation)
            .await?;
        let warning = self.check_hosts(hosts, &distributions, invocation).await?;
        let mut progress = Progress::default();
        progress.add_distributions(distributions);
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
            warnings: warning.into_iter().collect(),
        })
    }

    async fn submit_objects_of(
        &self,
        objects: &Objects,
        hosts: &BTreeSet<String>,
        options: &RequestOptions,
        identity: &RequestIdentity,
        invocation: &Invocation,
    ) -> Result<Submitted, Error> {
        let distributions = match options.distributions.as_slice() {
            [] => self.settings()?.distributions.clone(),
            names => self.cloudfront(invocation).resolve(names).await?,
        };
        let mut warnings: Vec<_> = objects.note.iter().cloned().collect();
        if !distributions.is_empty() {
            warnings.extend(self.check_hosts(hosts, &distributions, invocation).await?);
        }
        let time = self.clock.now().into();
        let changes = objects.keys.iter().map(|key| ObjectChange {
            bucket: objects.bucket.clone(),
            key: key.clone(),
            time,
            change: Change::default(),
            change_id: String::new(),
        });
        let changes: Vec<_> = changes.collect();
        let pending = changes.iter().map(|change| PendingChange {
            change,
            sent: None,
            is_retried: false,
        });
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
        let progress = progress_of(&outcome.reports);
        if distributions.is_empty() && !progress.distributions.is_empty() {
            let found = progress.distributions.iter();
            let found: Vec<_> = found.map(|current| current.distribution.clone()).collect();
            let checked = self.check_hosts(hosts, &found, invocation).await;
            warnings.extend(checked.map_err(|error| with_outcome(error, &outcome))?);
        }
        let encoded = |paths| EncodedPaths {
            paths,
            widened: Vec::new(),
        };
        let requested = requested.into_iter();
        Ok(Submitted {
            progress,
            outcome,
            requested: requested.map(|(id, paths)| (id, encoded(paths))).collect(),
            warnings,
        })
    }

    /// Waits, verifies and returns the object for the caller.
    async fn complete(
        &self,
        mut submitted: Submitted,
        options: &RequestOptions,
        wait: Duration,
        invocation: &Invocation,
    ) -> Result<Value, Error> {
        self.set_completed(&mut submitted);
        let waited = if wait.is_zero() {
            None
        } else {
            let end = match options.verify {
                Verify::Nothing => invocation.end_of_calls(),
                Verify::InvalidatedPaths | Verify::Urls(_) => {
                    let first_poll = Instant::now() + MIN_POLL_TIME;
                    let end = verification::latest_start(invocation).max(first_poll);
                    end.min(invocation.end_of_calls())
                }
            };
            let waited = self.wait_for(&mut submitted, wait, end, invocation);
            Some(waited.await?)
        };
        let Submitted {
            progress, outcome, ..
        } = &submitted;
        if let Some(waited) = waited
            && options.on_timeout == OnTimeout::Fail
            && !submitted.is_completed()
        {
            let error = not_completed(progress, waited, wait);
            return Err(with_outcome(error, outcome));
        }
        let verification = self
            .verify_submitted(&mut submitted, &options.verify, invocation)
            .await;
        if let VerificationResult::Done(run) = &verification
            && options.on_stale == OnStale::Fail
            && run.report.verified() == Verified::No
        {
            let report = run.report.to_string();
            let error = ErrorKind::StaleUrls { report }.into();
            return Err(with_outcome(error, &submitted.outcome));
        }
        for warning in &submitted.warnings {
            warn!("{warning}");
        }
        let known = |distribution: &DistributionId| self.warm_state.invalidations(distribution);
        response::of_invalidations(submitted, waited, verification, known)
    }

    /// Sets the stage of invalidations that CloudFront returned as completed, because an earlier request created them.
    fn set_completed(&self, submitted: &mut Submitted) {
        for current in &mut submitted.progress.distributions {
            let Stage::InProgress(id) = &current.stage else {
                continue;
            };
            let known = self.warm_state.invalidations(&current.distribution);
            let is_completed = known
                .iter()
                .any(|known| known.id == *id && !known.is_in_progress());
            if is_completed {
                current.stage = Stage::Completed(id.clone());
            }
        }
    }

    /// Waits for completion, until `end` at most. Returns for how long.
    async fn wait_for(
        &self,
        submitted: &mut Submitted,
        wait: Duration,
        end: Instant,
        invocation: &Invocation,
    ) -> Result<Duration, Error> {
        let began = self.clock.now();
        let polled = self.poll(&mut submitted.progress, wait, end, invocation);
        polled.await.map_err(|error| {
            let error = error.context("submitted, but the completion is unknown");
            with_outcome(error, &submitted.outcome)
        })?;
        let waited = self.clock.now().duration_since(began).unwrap_or_default();
        let waited = whole_seconds(waited);
        info!(
            "{} of {} completed after {} s",
            submitted.progress.completed_count(),
            submitted.progress.distributions.len(),
            waited.as_secs()
        );
        Ok(waited)
    }

    /// Requests URLs if that is requested and possible now.
    async fn verify_submitted(
        &self,
        submitted: &mut Submitted,
        verify: &Verify,
        invocation: &Invocation,
    ) -> VerificationResult {
        if *verify == Verify::Nothing {
            return VerificationResult::NotRequested;
        }
        let obstacle = if submitted.outcome.reports.is_empty() {
            let warning = "not verified, because nothing was invalidated";
            submitted.warnings.push(warning.to_owned());
            return VerificationResult::NotRequested;
        } else if !submitted.is_completed() {
            "not all invalidations are completed"
        } else if !verification::has_time(invocation) {
            "the function's time is over"
        } else {
            let requested = &submitted.requested;
            let urls = |id: &DistributionId| match requested.get(id) {
                Some(paths) => verification::candidates(verify, paths),
                None => verification::candidates(verify, &EncodedPaths::default()),
            };
            let run = self.verify(&submitted.progress, urls, invocation);
            return VerificationResult::Done(run.await);
        };
        let warning = format!("not verified, because {obstacle}");
        submitted.warnings.push(warning.clone());
        VerificationResult::NotDone(warning)
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
        let found = cloudfront
            .find_invalidation(&distributions, invalidation, invocation.end_of_calls())
            .await;
        let (distribution, found) = found.map_err(|error| match error {
            error if error.is_no_such_invalidation() => Error::invalid_input(format!(
                "{error}; correct \"invalidation\", or name its distribution in \"distribution\""
            )),
            error => error,
        })?;
        let status = found.status;
        info!(%distribution, %invalidation, ?status, "the status was reported");
        response::of_status(&distribution, found)
    }
}

impl Submitted {
    /// Returns whether all invalidations are completed.
    fn is_completed(&self) -> bool {
        self.progress.completed_count() == self.progress.distributions.len()
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

/// Rounds up to seconds.
fn whole_seconds(duration: Duration) -> Duration {
    Duration::from_secs(duration.as_secs() + u64::from(duration.subsec_nanos() > 0))
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
    let decisive = errors.first()?.clone();
    // The text of the outcome has the errors of its batches.
    errors.retain(|error| !outcome.errors().any(|of_batch| of_batch == error));
    Some(match Error::join(errors) {
        Some(others) if outcome.reports.is_empty() => others,
        Some(others) => ErrorKind::WithOutcome {
            text: outcome.text_of_failure(&others),
            error: decisive,
        }
        .into(),
        None => with_outcome(decisive, outcome),
    })
}

/// Adds what happened to each distribution to the text of an error.
fn with_outcome(error: Error, outcome: &Outcome) -> Error {
    if outcome.reports.is_empty() {
        return error;
    }
    let text = outcome.text_of_failure(&error);
    ErrorKind::WithOutcome { error, text }.into()
}

/// Returns the error of a request that failed because its invalidations are not completed in time.
fn not_completed(progress: &Progress, waited: Duration, wait: Duration) -> Error {
    let mut distributions = progress.distributions.iter();
    let unknown = distributions.find(|current| current.stage == Stage::Submitted);
    if let Some(current) = unknown {
        return ErrorKind::Unavailable {
            purpose: format!(
                "read the status of the invalidation of {}",
                current.distribution
            ),
            message: UNKNOWN_ID.to_owned(),
        }
        .into();
    }
    let end = if waited >= wait {
        EndOfWait::Limit
    } else {
        EndOfWait::FunctionTime
    };
    ErrorKind::NotCompleted { waited, end }.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Category;

    #[test]
    fn the_error_of_changes_has_each_error_once_and_begins_with_one_that_a_retry_does_not_help() {
        let busy = |purpose: &str| {
            Error::from(ErrorKind::Throttled {
                purpose: purpose.into(),
                message: "Throttling".into(),
            })
        };
        let failed = [
            busy("read E1EXAMPLE1ABC"),
            busy("read E1EXAMPLE1ABC"),
            Error::invalid_input("no origin"),
            busy("read E2EXAMPLE1ABC"),
        ];
        let error = error_of_changes(failed, &Outcome::default()).expect("an error");
        let expected = [
            Error::invalid_input("no origin"),
            busy("read E1EXAMPLE1ABC"),
            busy("read E2EXAMPLE1ABC"),
        ];
        assert_eq!(Some(&error), Error::join(expected).as_ref());
        assert_eq!(error.category(), Category::InvalidInput);
        assert_eq!(error_of_changes([], &Outcome::default()), None);
    }
}
