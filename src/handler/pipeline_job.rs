//! The way of a pipeline job: ask CloudFront, wait for the edge if the pipeline wants it fresh, answer.
//!
//! A function must not sleep for minutes, and a pipeline can wait for hours. So the function polls for some seconds and
//! then hands what it knows to the pipeline, in a continuation token that comes back with a new job half a minute later.
//! The same way leads past a CloudFront that is busy.
//!
//! The job is answered outside of the guard, whatever the work came to.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, timeout_at};
use tracing::{error, info, warn};

use super::{Function, Request, guarded};
use crate::aws::Account;
use crate::aws::codepipeline::Answered;
use crate::distribution::DistributionId;
use crate::failure::{Cause, Failure};
use crate::invocation::Invocation;
use crate::outcome::{Freshness, JobReport, Outcome, Report, Submitted};
use crate::plan::{Batch, Limits};
use crate::trigger::codepipeline::{Job, JobRequest, OnTimeout, Progress, Stage};
use crate::wait::DEFAULT_LIMIT;

/// How long a function polls: half of all invalidations are done sooner.
const POLL_FOR: Duration = Duration::from_secs(6);

/// How long it pauses between two polls.
const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// What to tell the pipeline.
enum Verdict {
    Succeeded(JobReport),
    GoesOn(JobReport, Progress, String),
    Failed(Failure, Outcome),
}

impl Function {
    /// Runs a job and gives it its one answer.
    pub(super) async fn handle_job(
        &self,
        job: &Job,
        invocation: &Invocation,
    ) -> Result<String, Failure> {
        let verdict = guarded(self.run(job, invocation), invocation).await;
        let verdict =
            verdict.unwrap_or_else(|failure| Verdict::Failed(failure, Outcome::default()));
        let deadline = invocation.end_of_answer();
        let codepipeline = self.codepipeline();
        let (said, answered) = match &verdict {
            Verdict::Succeeded(report) => (
                report.to_string(),
                codepipeline.succeed(&job.id, report, deadline).await,
            ),
            Verdict::GoesOn(report, progress, token) => {
                let token = (token.as_str(), progress.percent());
                (
                    report.to_string(),
                    codepipeline.go_on(&job.id, report, token, deadline).await,
                )
            }
            Verdict::Failed(failure, outcome) => {
                error!(job = %job.id, cause = %failure.cause, "the job failed: {failure}");
                (
                    failure.to_string(),
                    codepipeline.fail(&job.id, failure, outcome, deadline).await,
                )
            }
        };
        let answered = match (answered?, &verdict) {
            (
                Answered::Refused(reason),
                Verdict::Succeeded(report) | Verdict::GoesOn(report, ..),
            ) => {
                let failure = Failure::answer_refused(&reason, &said);
                error!(job = %job.id, cause = %failure.cause, "the job failed: {failure}");
                codepipeline
                    .fail(&job.id, &failure, &report.outcome, deadline)
                    .await?
            }
            (answered, _) => answered,
        };
        match answered {
            Answered::Now => {
                info!(job = %job.id, "the job was answered: {said}");
                self.memory.answered(&job.id);
            }
            Answered::Before => {
                warn!(job = %job.id, "the job had been answered or given up before")
            }
            Answered::NotFound if self.memory.has_answered(&job.id) => {
                warn!(job = %job.id, "the job had been answered before, and is gone");
            }
            Answered::NotFound => return Err(Failure::job_not_found(&job.id)),
            Answered::Refused(reason) => return Err(Failure::answer_refused(&reason, &said)),
        }
        Ok(said)
    }

    async fn run(&self, job: &Job, invocation: &Invocation) -> Result<Verdict, Failure> {
        let request = job.request()?;
        let begun = job.progress()?;
        let mut progress =
            begun.unwrap_or_else(|| Progress::begin(job.id.clone(), self.clock.now()));
        let wait = request
            .wait
            .or(self.settings().ok().map(|settings| settings.wait))
            .unwrap_or_default();
        if progress.stages.is_empty() {
            match self.distributions_of(&request, invocation).await {
                Ok(distributions) => progress.wait_for(distributions),
                Err(failure) if failure.cause == Cause::Busy => {
                    return Ok(self.decide(progress, Err(failure), wait, request.on_timeout));
                }
                Err(failure) => return Err(failure),
            }
        }
        let outcome = self.submit(&mut progress, &request, invocation).await;
        let is_final = |failure: &Failure| failure.cause != Cause::Busy;
        if outcome
            .reports
            .iter()
            .any(|report| report.result.as_ref().is_err_and(is_final))
        {
            return Ok(failed(outcome));
        }
        if !wait.is_zero()
            && !progress.is_waiting()
            && let Err(failure) = self.poll(&mut progress, invocation).await
        {
            return Ok(Verdict::Failed(failure, outcome));
        }
        Ok(self.decide(progress, Ok(outcome), wait, request.on_timeout))
    }

    /// Returns the distributions named, or those of the settings.
    async fn distributions_of(
        &self,
        request: &JobRequest,
        invocation: &Invocation,
    ) -> Result<Vec<DistributionId>, Failure> {
        match &request.distributions[..] {
            [] => Ok(self.settings()?.distributions()?.to_vec()),
            names => {
                self.cloudfront()
                    .resolve(names, &Account::of_arn(&invocation.function_arn))
                    .await
            }
        }
    }

    /// Asks for what CloudFront has not taken yet, and reports on all.
    async fn submit(
        &self,
        progress: &mut Progress,
        request: &JobRequest,
        invocation: &Invocation,
    ) -> Outcome {
        let event = format!("codepipeline {}", progress.first_job);
        let report = async |(distribution, stage): &(_, Stage)| {
            let mut batch = Batch::new(
                &event,
                Clone::clone(distribution),
                request.paths.clone(),
                Limits::OF_CLOUDFRONT,
            );
            if let Some(reference) = &request.reference {
                batch = batch.named(reference);
            }
            let id = match stage {
                Stage::Waiting | Stage::Taken => {
                    let request = Request {
                        batch,
                        objects: None,
                        notes: Vec::new(),
                    };
                    return self.send(request, invocation).await;
                }
                Stage::InProgress(id) | Stage::Completed(id) => Some(id.clone()),
            };
            Report {
                batch,
                objects: None,
                notes: Vec::new(),
                result: Ok(Submitted { id, created: None }),
            }
        };
        let reports = join_all(progress.stages.iter().map(report)).await;
        for ((_, stage), report) in progress.stages.iter_mut().zip(&reports) {
            if let (Stage::Waiting | Stage::Taken, Ok(submitted)) = (&stage, &report.result) {
                *stage = submitted.id.clone().map_or(Stage::Taken, Stage::InProgress);
            }
        }
        Outcome {
            reports,
            ..Outcome::default()
        }
    }

    /// Polls until all is completed, or some seconds have passed.
    async fn poll(&self, progress: &mut Progress, invocation: &Invocation) -> Result<(), Failure> {
        let account = Account::of_arn(&invocation.function_arn);
        let end = self.clock.now() + POLL_FOR;
        let end_of_polls = invocation.end_of_polls();
        loop {
            let completed = async |(distribution, stage): &(_, Stage)| match stage {
                Stage::InProgress(id) => {
                    self.cloudfront()
                        .is_completed(distribution, id, &account)
                        .await
                }
                _ => Ok(false),
            };
            let completed = join_all(progress.stages.iter().map(completed));
            // What is known must still be handed on.
            let Ok(completed) = timeout_at(end_of_polls, completed).await else {
                return Ok(());
            };
            for ((_, stage), completed) in progress.stages.iter_mut().zip(completed) {
                match (&stage, completed) {
                    (Stage::InProgress(id), Ok(true)) => *stage = Stage::Completed(id.clone()),
                    (_, Err(failure))
                        if !matches!(failure.cause, Cause::Busy | Cause::Unavailable) =>
                    {
                        return Err(failure);
                    }
                    // What could not be told now will be told later.
                    _ => {}
                }
            }
            let out_of_time = Instant::now() + POLL_INTERVAL >= end_of_polls;
            if progress.is_completed() || out_of_time || self.clock.now() + POLL_INTERVAL > end {
                return Ok(());
            }
            self.clock.pause(POLL_INTERVAL).await;
        }
    }

    /// Decides what to tell; `outcome` is a failure where CloudFront was too busy to tell the distributions.
    fn decide(
        &self,
        progress: Progress,
        outcome: Result<Outcome, Failure>,
        wait: Duration,
        on_timeout: OnTimeout,
    ) -> Verdict {
        let waited = progress.age(self.clock.now());
        let limit = if wait.is_zero() { DEFAULT_LIMIT } else { wait };
        let is_over = waited >= limit;
        let is_busy = outcome.is_err() || progress.is_waiting();
        let outcome = match outcome {
            Err(failure) if is_over => return Verdict::Failed(failure, Outcome::default()),
            Ok(outcome) if is_over && is_busy => return failed(outcome),
            outcome => outcome.unwrap_or_default(),
        };
        let awaited = Freshness::Awaited {
            fresh: progress.completed(),
        };
        let freshness = match (wait.is_zero(), progress.is_completed()) {
            _ if is_busy => awaited,
            (true, _) => Freshness::NotAwaited,
            (false, true) => Freshness::Fresh,
            (false, false) if is_over => Freshness::TimedOut,
            (false, false) => awaited,
        };
        if freshness == Freshness::TimedOut && on_timeout == OnTimeout::Fail {
            return Verdict::Failed(Failure::not_fresh_in_time(waited, &outcome), outcome);
        }
        let report = JobReport {
            outcome,
            waited,
            freshness,
        };
        match (freshness, progress.to_token()) {
            (Freshness::Awaited { .. }, Some(token)) => Verdict::GoesOn(report, progress, token),
            (Freshness::Awaited { .. }, None) if is_busy => failed(report.outcome),
            (Freshness::Awaited { .. }, None) => {
                warn!(
                    "the distributions are too many to wait for: they do not fit a continuation token"
                );
                Verdict::Succeeded(JobReport {
                    freshness: Freshness::NotAwaited,
                    ..report
                })
            }
            _ => Verdict::Succeeded(report),
        }
    }
}

fn failed(outcome: Outcome) -> Verdict {
    let failure = outcome.failure().unwrap_or_else(Failure::out_of_time);
    Verdict::Failed(failure, outcome)
}
