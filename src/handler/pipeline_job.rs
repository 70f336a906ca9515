//! Handles a pipeline job: creates the invalidations, optionally waits for completion, reports the result.
//!
//! A function should not sleep for minutes, and a pipeline can wait for hours. So the function polls for some seconds,
//! then reports a continuation token (`continuation`); CodePipeline starts a new job with it half a minute later. A CloudFront
//! that is busy or fails, and the end of the function's time, are handled in the same way.
//!
//! The result is reported outside of the guard, so that it is reported whatever the work ended with, and with what was
//! done until then.

mod continuation;

use std::fmt;
use std::time::{Duration, SystemTime};

use tracing::{error, info, warn};

use self::continuation::{Decision, DecisionInput, JobProgress, VerificationState, decide};
use super::identity::RequestIdentity;
use super::slack::Announcement;
use super::verification;
use super::{Answer, Invalidator, decisive_error, guarded};
use crate::aws::codepipeline::{Continuation, Delivery};
use crate::distribution::DistributionId;
use crate::error::{EndOfWait, Error, ErrorKind};
use crate::excerpt::listed;
use crate::invocation::Invocation;
use crate::metrics::Metric;
use crate::outcome::{Completion, Detail, JobReport, Outcome, Verification};
use crate::trigger::codepipeline::{Job, JobId};
use crate::trigger::request::{OnStale, PathRequest, Verify};
use crate::verify::report::Verified;

/// How long one invocation polls. AWS states that 95 % of all invalidations take effect within 5 seconds and are reported
/// as completed within 25 ([announcement](https://aws.amazon.com/about-aws/whats-new/2026/04/cloudfront-invalidation-cache-tag/)).
/// So some are completed now, and most when the next job comes half a minute later.
const POLL_DURATION: Duration = Duration::from_secs(6);

/// What to do without a distribution.
const NAME_ONE: &str = "give one in the action's UserParameters";

/// What a job requests, and what is done so far.
struct Execution {
    request: PathRequest,
    /// Whether the job has to invalidate the staging distributions of its distributions.
    requires_staging: bool,
    /// How long to wait for completion; zero for not at all.
    wait: Duration,
    /// What the next job of the action needs.
    progress: JobProgress,
    /// What this job reports.
    outcome: Outcome,
    /// What it found out about what viewers get.
    verification: Verification,
}

impl Execution {
    /// Returns whether CloudFront has an invalidation of each distribution to invalidate.
    fn all_submitted(&self) -> bool {
        let lacks_staging =
            self.requires_staging && self.progress.invalidations.has_pending_staging();
        self.progress.invalidations.all_submitted() && !lacks_staging
    }

    /// Returns what decides the next report.
    fn decision_input(&self, now: SystemTime) -> DecisionInput {
        let Self {
            request, progress, ..
        } = self;
        DecisionInput {
            all_submitted: self.all_submitted(),
            all_completed: progress.invalidations.all_completed(),
            has_pending_staging: progress.invalidations.has_pending_staging(),
            age: progress.age(now),
            waited: progress.waited(now),
            wait: self.wait,
            on_timeout: request.options.on_timeout,
            fits_token: progress.to_token().is_some(),
            verification: match (&self.verification, request.options.on_stale) {
                (Verification::NotDone, _) => VerificationState::Pending,
                (Verification::Done(report), OnStale::Fail)
                    if report.verified() == Verified::No =>
                {
                    VerificationState::Failed
                }
                (Verification::NotRequested | Verification::Done(_), _) => {
                    VerificationState::Settled
                }
            },
        }
    }
}

/// What the job reports to CodePipeline.
enum JobResult {
    Succeeded(JobReport),
    Continues(JobReport, Continuation),
    Failed(JobFailure),
}

/// A result that CodePipeline got.
struct Reported {
    delivery: Delivery,
    text: String,
    /// Why the job failed.
    failure: Option<Error>,
}

/// Why a job failed, and what happened to each distribution.
struct JobFailure {
    error: Error,
    outcome: Outcome,
}

impl From<Error> for JobFailure {
    fn from(error: Error) -> Self {
        Self {
            error,
            outcome: Outcome::default(),
        }
    }
}

impl fmt::Display for JobFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.outcome.text_of_failure(&self.error))
    }
}

impl Invalidator {
    /// Runs a job and reports its result. Returns the text that was reported, and why the job failed if it did.
    pub(super) async fn handle_pipeline_job(
        &self,
        job: &Job,
        invocation: &Invocation,
    ) -> Result<Answer, Error> {
        self.open_codepipeline();
        // What is done outlives the guard: a job whose time ends continues with it.
        let result = match guarded(async { self.begin(job) }, invocation).await {
            Ok(mut execution) => {
                let work = guarded(self.work(&mut execution, invocation), invocation).await;
                self.job_result(execution, work.err())
            }
            Err(error) => JobResult::Failed(error.into()),
        };
        let continues = matches!(result, JobResult::Continues(..));
        let Reported {
            delivery,
            text,
            failure,
        } = self.report(&job.id, result, invocation).await?;
        match delivery {
            Delivery::Accepted => {
                self.warm_state.remember_job(&job.id);
                if !continues || failure.is_some() {
                    let announcement = Announcement::Job {
                        text: &text,
                        is_failure: failure.is_some(),
                    };
                    self.announce(announcement, invocation).await;
                }
            }
            Delivery::JobNotInProgress => {
                warn!(job = %job.id, "the job has a result already, or its time is over");
            }
            Delivery::JobNotFound(_) if self.warm_state.has_reported(&job.id) => {
                warn!(job = %job.id, "the result was reported before, and the job no longer exists");
            }
            Delivery::JobNotFound(message) => {
                let job = job.id.to_string();
                return Err(ErrorKind::JobNotFound { job, message }.into());
            }
            Delivery::Rejected(message) => return Err(result_rejected(&message, &text)),
        }
        Ok(Answer {
            response: text.into(),
            failure: failure.map(|error| error.context("the job failed")),
        })
    }

    /// Reports a result. If CodePipeline rejects the form of a success, reports less of it, and at last a failure: the job
    /// must not wait for a result that CodePipeline never accepts. Returns what was reported last.
    async fn report(
        &self,
        job: &JobId,
        result: JobResult,
        invocation: &Invocation,
    ) -> Result<Reported, Error> {
        let deadline = invocation.end_of_response();
        let (report, continuation) = match result {
            JobResult::Succeeded(report) => (report, None),
            JobResult::Continues(report, continuation) => (report, Some(continuation)),
            JobResult::Failed(failure) => {
                let text = failure.to_string();
                let JobFailure { error, outcome } = failure;
                return self
                    .report_failure(job, error, text, &outcome, invocation)
                    .await;
            }
        };
        let details: &[Detail] = match continuation {
            None => &[Detail::Full, Detail::ShortSummary, Detail::NoVariables],
            Some(_) => &[Detail::Full, Detail::ShortSummary],
        };
        let mut rejection = String::new();
        for detail in details {
            let text = report.summary(*detail);
            let delivery = self
                .codepipeline()
                .put_success(job, &report, continuation.as_ref(), *detail, deadline)
                .await?;
            match delivery {
                Delivery::Rejected(message) => {
                    warn!(
                        %job, variables = logged_variables(&report),
                        "CodePipeline rejected the form of the result: {message}; the result was: {text}"
                    );
                    rejection = message;
                }
                delivery => {
                    if delivery == Delivery::Accepted {
                        info!(%job, "the result was reported: {text}");
                    }
                    return Ok(Reported {
                        delivery,
                        text,
                        failure: None,
                    });
                }
            }
        }
        let error = result_rejected(&rejection, &report.to_string());
        let text = error.to_string();
        self.report_failure(job, error, text, &report.outcome, invocation)
            .await
    }

    async fn report_failure(
        &self,
        job: &JobId,
        error: Error,
        text: String,
        outcome: &Outcome,
        invocation: &Invocation,
    ) -> Result<Reported, Error> {
        let category = error.category();
        error!(%job, cause = %category, "the job failed: {text}");
        invocation.metrics.count_total(Metric::Errors, 1);
        let delivery = self
            .codepipeline()
            .put_failure(job, category, &text, outcome, invocation.end_of_response())
            .await?;
        if delivery == Delivery::Accepted {
            // The text is logged already.
            info!(%job, "the result was reported");
        }
        Ok(Reported {
            delivery,
            text,
            failure: Some(error),
        })
    }

    /// Reads what the job requests, and what earlier jobs of its action did.
    fn begin(&self, job: &Job) -> Result<Execution, Error> {
        let request = job.request()?;
        let progress = match job.continuation_token() {
            Some(token) => JobProgress::from_token(token)?,
            None => JobProgress::start(job.id.clone(), self.clock.now()),
        };
        let wait = match (request.options.wait, self.settings()) {
            (Some(wait), _) => wait,
            (None, Ok(settings)) => settings.wait,
            (None, Err(error)) => {
                // Without a distribution of its own, the job fails with this error.
                if !request.options.distributions.is_empty() {
                    warn!(job = %job.id, "the job does not wait for completion: {error}");
                }
                Duration::ZERO
            }
        };
        let checked = request.options.check_verification(wait, "5m");
        checked.map_err(|error| error.context("UserParameters"))?;
        let verification = match request.options.verify {
            Verify::Nothing => Verification::NotRequested,
            Verify::InvalidatedPaths | Verify::Urls(_) => Verification::NotDone,
        };
        let settings = self.settings();
        Ok(Execution {
            request,
            requires_staging: settings.is_ok_and(|settings| settings.invalidate_staging),
            wait,
            progress,
            outcome: Outcome::default(),
            verification,
        })
    }

    /// Does what is not done yet, step by step. An error ends the work of this job; after a transient one, the next job
    /// continues with `execution.progress`.
    async fn work(&self, execution: &mut Execution, invocation: &Invocation) -> Result<(), Error> {
        let was_submitted = execution.all_submitted();
        let was_completed = execution.progress.invalidations.all_completed();
        let Execution {
            request, progress, ..
        } = &mut *execution;
        let identity =
            RequestIdentity::of_job(&progress.first_job, request.options.label.as_deref());
        let invalidations = &mut progress.invalidations;
        let known_count = invalidations.distributions.len();
        if invalidations.distributions.is_empty() {
            let named = &request.options.distributions;
            let distributions = self.required_distributions(named, NAME_ONE, invocation);
            invalidations.add_distributions(distributions.await?);
        }
        let (outcome, staging_error) = self
            .submit_requested_paths(invalidations, request, &identity, invocation)
            .await;
        execution.outcome = outcome;
        let is_submitted = execution.all_submitted();
        let has_found_another = execution.progress.invalidations.distributions.len() > known_count;
        if is_submitted && (!was_submitted || has_found_another) {
            execution.progress.set_submitted(self.clock.now());
        }
        if let Some(error) = decisive_error(&execution.outcome)
            && (!error.is_transient() || !is_submitted)
        {
            return Err(error);
        }
        if let Some(error) = staging_error.filter(|_| !is_submitted) {
            return Err(error);
        }
        let Execution { wait, progress, .. } = execution;
        if wait.is_zero() {
            return Ok(());
        }
        let polled = self
            .poll(
                &mut progress.invalidations,
                POLL_DURATION,
                invocation.end_of_calls(),
                invocation,
            )
            .await;
        polled
            .map_err(|error| error.context("submitted, but the job cannot wait for completion"))?;
        // The next job has the time that this one has used.
        let has_time = was_completed || verification::has_time(invocation);
        if has_time && self.is_verification_due(execution) {
            let request = &execution.request;
            let urls = |_: &DistributionId| {
                verification::candidates(&request.options.verify, &request.paths)
            };
            let run = self
                .verify(&execution.progress.invalidations, urls, invocation)
                .await;
            execution.verification = Verification::Done(run.report);
        }
        Ok(())
    }

    /// Returns whether the job ends as soon as it has verified. A job that continues would lose the result.
    fn is_verification_due(&self, execution: &Execution) -> bool {
        let input = execution.decision_input(self.clock.now());
        let verified = DecisionInput {
            verification: VerificationState::Settled,
            ..input
        };
        input.verification == VerificationState::Pending
            && decide(verified) == Decision::Succeed(Completion::Completed)
    }

    /// Returns what the job reports. `error` is why its work ended early.
    fn job_result(&self, execution: Execution, error: Option<Error>) -> JobResult {
        let now = self.clock.now();
        let decision = decide(execution.decision_input(now));
        let Execution {
            request: _,
            requires_staging: _,
            wait,
            progress,
            outcome,
            verification,
        } = execution;
        let interruption = match error {
            Some(error) if !error.is_transient() => {
                return JobResult::Failed(JobFailure { error, outcome });
            }
            transient => transient,
        };
        let age = progress.age(now);
        let job_report = |outcome, completion, interruption| JobReport {
            outcome,
            waited: age,
            completion,
            verification: verification.clone(),
            interruption,
        };
        match decision {
            Decision::Succeed(completion) => {
                if completion == Completion::NotAwaited && !wait.is_zero() {
                    warn!(
                        "the job does not wait: its distributions do not fit into a continuation token"
                    );
                }
                JobResult::Succeeded(job_report(outcome, completion, None))
            }
            Decision::Continue => {
                let completed = progress.invalidations.completed_count();
                let completion = Completion::Continues { completed };
                let continuation = Continuation {
                    token: progress.to_token().unwrap_or_default(),
                    percent: progress.invalidations.percent(),
                };
                JobResult::Continues(job_report(outcome, completion, interruption), continuation)
            }
            Decision::FailNotSubmitted => JobResult::Failed(JobFailure {
                error: interruption.unwrap_or_else(Error::deadline_exceeded),
                outcome,
            }),
            Decision::FailNotCompleted => JobResult::Failed(JobFailure {
                error: ErrorKind::NotCompleted {
                    waited: age,
                    end: EndOfWait::Limit,
                }
                .into(),
                outcome,
            }),
            Decision::FailStale => JobResult::Failed(JobFailure {
                error: verification::stale_error(&verification),
                outcome,
            }),
        }
    }
}

fn result_rejected(message: &str, result: &str) -> Error {
    let (message, result) = (message.to_owned(), result.to_owned());
    ErrorKind::ResultRejected { message, result }.into()
}

/// Returns the output variables as one text for the log, which lists the first paths only.
fn logged_variables(report: &JobReport) -> String {
    let variables = report.output_variables().map(|(name, value)| {
        let value = match name {
            "Paths" => listed(report.outcome.paths()).join(","),
            _ => value,
        };
        format!("{name}={value}")
    });
    variables.join(" ")
}
