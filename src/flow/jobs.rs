//! The way of a pipeline job: ask CloudFront, wait for the edge if the pipeline wants it fresh, answer.
//!
//! A function must not sleep for minutes, and a pipeline can wait for hours. So the function polls for some seconds and
//! then hands what it knows to the pipeline, in a continuation token that comes back with a new job half a minute later.
//! The same way leads past a CloudFront that is busy.
//!
//! The job is answered outside of the guard, whatever the work came to.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::{Function, Request, guarded};
use crate::aws::Account;
use crate::aws::codepipeline::Answered;
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
        match answered? {
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
        }
        Ok(said)
    }

    async fn run(&self, job: &Job, invocation: &Invocation) -> Result<Verdict, Failure> {
        let request = job.request()?;
        let mut progress = match job.progress()? {
            Some(progress) => progress,
            None => self.begin(job, &request, invocation).await?,
        };
        let outcome = self.submit(&mut progress, &request, invocation).await;
        let is_final = |failure: &Failure| failure.cause != Cause::Busy;
        if outcome
            .reports
            .iter()
            .any(|report| report.result.as_ref().is_err_and(is_final))
        {
            return Ok(failed(outcome));
        }
        let wait = request
            .wait
            .or(self.settings().ok().map(|settings| settings.wait))
            .unwrap_or_default();
        if !wait.is_zero()
            && !progress.is_waiting()
            && let Err(failure) = self.poll(&mut progress, invocation).await
        {
            return Ok(Verdict::Failed(failure, outcome));
        }
        Ok(self.decide(progress, outcome, wait, request.on_timeout))
    }

    /// Begins with the distributions named, or with those of the settings.
    async fn begin(
        &self,
        job: &Job,
        request: &JobRequest,
        invocation: &Invocation,
    ) -> Result<Progress, Failure> {
        let distributions = match &request.distributions[..] {
            [] => self.settings()?.distributions()?.to_vec(),
            names => {
                self.cloudfront()
                    .resolve(names, &Account::of_arn(&invocation.function_arn))
                    .await?
            }
        };
        Ok(Progress::begin(
            job.id.clone(),
            self.clock.now(),
            distributions,
        ))
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
                Stage::Waiting => {
                    let request = Request {
                        batch,
                        objects: None,
                        notes: Vec::new(),
                    };
                    return self.send(request, invocation).await;
                }
                Stage::InProgress(id) => Some(id.clone()),
                Stage::Completed(id) => id.clone(),
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
            if let (Stage::Waiting, Ok(submitted)) = (&stage, &report.result) {
                // Without an id nobody can tell when it is done.
                *stage = submitted
                    .id
                    .clone()
                    .map_or(Stage::Completed(None), Stage::InProgress);
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
        loop {
            let completed = async |(distribution, stage): &(_, Stage)| match stage {
                Stage::InProgress(id) => {
                    self.cloudfront()
                        .is_completed(distribution, id, &account)
                        .await
                }
                _ => Ok(false),
            };
            let completed = join_all(progress.stages.iter().map(completed)).await;
            for ((_, stage), completed) in progress.stages.iter_mut().zip(completed) {
                match (&stage, completed) {
                    (Stage::InProgress(id), Ok(true)) => {
                        *stage = Stage::Completed(Some(id.clone()))
                    }
                    (_, Err(failure))
                        if !matches!(failure.cause, Cause::Busy | Cause::Unavailable) =>
                    {
                        return Err(failure);
                    }
                    // What could not be told now will be told later.
                    _ => {}
                }
            }
            let out_of_time = Instant::now() + POLL_INTERVAL >= invocation.end_of_work();
            if progress.is_completed() || out_of_time || self.clock.now() + POLL_INTERVAL > end {
                return Ok(());
            }
            self.clock.pause(POLL_INTERVAL).await;
        }
    }

    fn decide(
        &self,
        progress: Progress,
        outcome: Outcome,
        wait: Duration,
        on_timeout: OnTimeout,
    ) -> Verdict {
        let waited = progress.age(self.clock.now());
        let limit = if wait.is_zero() { DEFAULT_LIMIT } else { wait };
        let is_over = waited >= limit;
        let fresh = progress
            .stages
            .iter()
            .filter(|(_, stage)| matches!(stage, Stage::Completed(_)))
            .count();
        let freshness = match (wait.is_zero(), progress.is_completed(), is_over) {
            _ if progress.is_waiting() => Freshness::Awaited { fresh },
            (true, ..) => Freshness::NotAwaited,
            (false, true, _) => Freshness::Fresh,
            (false, false, true) => Freshness::TimedOut,
            (false, false, false) => Freshness::Awaited { fresh },
        };
        if is_over && progress.is_waiting() {
            return failed(outcome);
        }
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
            (Freshness::Awaited { .. }, None) if progress.is_waiting() => failed(report.outcome),
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
