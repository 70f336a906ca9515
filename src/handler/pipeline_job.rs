//! Handles a pipeline job: creates the invalidations, optionally waits for completion, reports the result.
//!
//! A function should not sleep for minutes, and a pipeline can wait for hours. So the function polls for some seconds,
//! then reports a continuation token (`progress`); CodePipeline starts a new job with it half a minute later. A busy
//! CloudFront is handled in the same way.
//!
//! The result is reported outside of the guard, so that it is reported whatever the work ended with.

mod progress;

use std::fmt;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, timeout_at};
use tracing::{error, info, warn};

use self::progress::{Decision, DecisionInput, DistributionProgress, Progress, Stage, decide};
use super::{BatchRequest, Invalidator, guarded};
use crate::aws::codepipeline::Delivery;
use crate::distribution::DistributionId;
use crate::error::{Category, Error, ErrorKind};
use crate::invocation::Invocation;
use crate::outcome::{BatchReport, Completion, JobReport, Outcome};
use crate::plan::{Batch, Limits};
use crate::trigger::codepipeline::{Job, JobId};
use crate::trigger::user_parameters::{JobRequest, OnTimeout};

/// How long one invocation polls. AWS states that 95 % of all invalidations take effect within 5 seconds and are reported
/// as completed within 25 ([announcement](https://aws.amazon.com/about-aws/whats-new/2026/04/cloudfront-invalidation-cache-tag/)).
/// So some are completed now, and most when the next job comes half a minute later.
const POLL_DURATION: Duration = Duration::from_secs(6);

/// The pause between two polls.
const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// What the job reports to CodePipeline.
enum JobResult {
    Succeeded(JobReport),
    Continues {
        report: JobReport,
        token: String,
        percent: i32,
    },
    Failed(JobFailure),
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
        let Self { error, outcome } = self;
        if outcome.errors().next().is_some() {
            // The text of the outcome holds the errors of its batches.
            write!(f, "{outcome}")
        } else if outcome.reports.is_empty() {
            write!(f, "{error}")
        } else {
            write!(f, "{error}; {outcome}")
        }
    }
}

impl fmt::Display for JobResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Succeeded(report) | Self::Continues { report, .. } => write!(f, "{report}"),
            Self::Failed(failure) => write!(f, "{failure}"),
        }
    }
}

impl Invalidator {
    /// Runs a job and reports its result. Returns the text of the result.
    pub(super) async fn handle_pipeline_job(
        &self,
        job: &Job,
        invocation: &Invocation,
    ) -> Result<String, Error> {
        let result = guarded(self.run(job, invocation), invocation).await;
        let result = result.unwrap_or_else(|error| JobResult::Failed(error.into()));
        let text = result.to_string();
        if let JobResult::Failed(failure) = &result {
            error!(job = %job.id, cause = %failure.error.category(), "the job failed: {text}");
        }
        let deadline = invocation.end_of_response();
        let mut delivery = self.report(&job.id, &result, deadline).await?;
        if let (
            Delivery::Rejected(message),
            JobResult::Succeeded(report) | JobResult::Continues { report, .. },
        ) = (&delivery, &result)
        {
            // The job must not wait for a result that CodePipeline never accepts.
            let error = result_rejected(message, &text);
            error!(job = %job.id, cause = %error.category(), "the job failed: {error}");
            delivery = self
                .codepipeline()
                .put_failure(
                    &job.id,
                    error.category(),
                    &error.to_string(),
                    &report.outcome,
                    deadline,
                )
                .await?;
        }
        match delivery {
            Delivery::Accepted => {
                match &result {
                    // The text of a failure is logged already.
                    JobResult::Failed(_) => info!(job = %job.id, "the result was reported"),
                    _ => info!(job = %job.id, "the result was reported: {text}"),
                }
                self.warm_state.remember_job(&job.id);
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
        Ok(text)
    }

    async fn report(
        &self,
        job: &JobId,
        result: &JobResult,
        deadline: Instant,
    ) -> Result<Delivery, Error> {
        let codepipeline = self.codepipeline();
        match result {
            JobResult::Succeeded(report) => codepipeline.put_success(job, report, deadline).await,
            JobResult::Continues {
                report,
                token,
                percent,
            } => {
                codepipeline
                    .put_continuation(job, report, token, *percent, deadline)
                    .await
            }
            JobResult::Failed(failure) => {
                let (category, message) = (failure.error.category(), failure.to_string());
                codepipeline
                    .put_failure(job, category, &message, &failure.outcome, deadline)
                    .await
            }
        }
    }

    async fn run(&self, job: &Job, invocation: &Invocation) -> Result<JobResult, Error> {
        let request = job.request()?;
        let mut progress = match job.continuation_token() {
            Some(token) => Progress::from_token(token)?,
            None => Progress::start(job.id.clone(), self.clock.now()),
        };
        let default_wait = self.settings().ok().map(|settings| settings.wait);
        let wait = request.wait.or(default_wait).unwrap_or_default();
        let on_timeout = request.on_timeout;
        if progress.distributions.is_empty() {
            match self.distributions(&request, invocation).await {
                Ok(distributions) => progress.add_distributions(distributions),
                Err(error) if error.category() == Category::Throttled => {
                    let outcome = Outcome::default();
                    return Ok(self.job_result(&progress, outcome, Some(error), wait, on_timeout));
                }
                Err(error) => return Err(error),
            }
        }
        let outcome = self.submit_all(&mut progress, &request, invocation).await;
        let is_final = |error: &&Error| error.category() != Category::Throttled;
        let final_error = outcome.errors().find(is_final).cloned();
        if let Some(error) = final_error {
            return Ok(JobResult::Failed(JobFailure { error, outcome }));
        }
        if !wait.is_zero()
            && progress.all_submitted()
            && let Err(error) = self.poll(&mut progress, invocation).await
        {
            return Ok(JobResult::Failed(JobFailure { error, outcome }));
        }
        let throttled = outcome.errors().next().cloned();
        Ok(self.job_result(&progress, outcome, throttled, wait, on_timeout))
    }

    /// Returns the distributions that the job names, or those of the settings.
    async fn distributions(
        &self,
        request: &JobRequest,
        invocation: &Invocation,
    ) -> Result<Vec<DistributionId>, Error> {
        match request.distributions.as_slice() {
            [] => Ok(self.settings()?.required_distributions()?.to_vec()),
            names => self.cloudfront(invocation).resolve(names).await,
        }
    }

    /// Submits what CloudFront does not have yet, and reports on all distributions.
    async fn submit_all(
        &self,
        progress: &mut Progress,
        request: &JobRequest,
        invocation: &Invocation,
    ) -> Outcome {
        let event = format!("codepipeline {}", progress.first_job);
        let submit = async |current: &DistributionProgress| {
            let distribution = current.distribution.clone();
            let paths = request.paths.clone();
            let mut batch = Batch::new(&event, distribution, paths, Limits::REQUESTED_PATHS);
            if let Some(label) = &request.label {
                batch = batch.with_label(label);
            }
            match &current.stage {
                Stage::NotSubmitted | Stage::Submitted => {
                    self.submit(BatchRequest::from(batch), invocation).await
                }
                Stage::InProgress(id) | Stage::Completed(id) => BatchReport {
                    batch,
                    objects: None,
                    notes: Vec::new(),
                    result: Ok(Some(id.clone())),
                },
            }
        };
        let reports = join_all(progress.distributions.iter().map(submit)).await;
        for (current, report) in progress.distributions.iter_mut().zip(&reports) {
            if let (Stage::NotSubmitted | Stage::Submitted, Ok(id)) =
                (&current.stage, &report.result)
            {
                current.stage = id.clone().map_or(Stage::Submitted, Stage::InProgress);
            }
        }
        Outcome {
            reports,
            ..Outcome::default()
        }
    }

    /// Polls until all invalidations are completed, or for some seconds.
    async fn poll(&self, progress: &mut Progress, invocation: &Invocation) -> Result<(), Error> {
        let last_poll = self.clock.now() + POLL_DURATION;
        let end_of_polls = invocation.end_of_polls();
        loop {
            let completed = async |current: &DistributionProgress| match &current.stage {
                Stage::InProgress(id) => {
                    let cloudfront = self.cloudfront(invocation);
                    cloudfront.is_completed(&current.distribution, id).await
                }
                _ => Ok(false),
            };
            let completed = join_all(progress.distributions.iter().map(completed));
            // Time must remain to report the token.
            let Ok(completed) = timeout_at(end_of_polls, completed).await else {
                return Ok(());
            };
            for (current, completed) in progress.distributions.iter_mut().zip(completed) {
                match (&current.stage, completed) {
                    (Stage::InProgress(id), Ok(true)) => {
                        current.stage = Stage::Completed(id.clone());
                    }
                    (_, Err(error)) if !error.is_transient() => return Err(error),
                    // The next poll reads again what could not be read now.
                    _ => {}
                }
            }
            let is_time_up = Instant::now() + POLL_INTERVAL >= end_of_polls
                || self.clock.now() + POLL_INTERVAL > last_poll;
            if progress.all_completed() || is_time_up {
                return Ok(());
            }
            self.clock.pause(POLL_INTERVAL).await;
        }
    }

    /// Returns what the job reports. `throttled` is why CloudFront has not accepted everything yet.
    fn job_result(
        &self,
        progress: &Progress,
        outcome: Outcome,
        throttled: Option<Error>,
        wait: Duration,
        on_timeout: OnTimeout,
    ) -> JobResult {
        let waited = progress.age(self.clock.now());
        let token = progress.to_token();
        let decision = decide(DecisionInput {
            all_submitted: progress.all_submitted(),
            all_completed: progress.all_completed(),
            waited,
            wait,
            on_timeout,
            fits_token: token.is_some(),
        });
        let job_report = |outcome, completion| JobReport {
            outcome,
            waited,
            completion,
        };
        match decision {
            Decision::Succeed(completion) => {
                if completion == Completion::NotAwaited && !wait.is_zero() {
                    warn!(
                        "the job does not wait: its distributions do not fit into a continuation token"
                    );
                }
                JobResult::Succeeded(job_report(outcome, completion))
            }
            Decision::Continue => {
                let completed = progress.completed_count();
                JobResult::Continues {
                    report: job_report(outcome, Completion::Continues { completed }),
                    token: token.unwrap_or_default(),
                    percent: progress.percent(),
                }
            }
            Decision::FailNotSubmitted => JobResult::Failed(JobFailure {
                error: throttled.unwrap_or_else(Error::deadline_exceeded),
                outcome,
            }),
            Decision::FailNotCompleted => JobResult::Failed(JobFailure {
                error: ErrorKind::NotCompleted { waited }.into(),
                outcome,
            }),
        }
    }
}

fn result_rejected(message: &str, result: &str) -> Error {
    let (message, result) = (message.to_owned(), result.to_owned());
    ErrorKind::ResultRejected { message, result }.into()
}
