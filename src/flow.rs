//! The one way through the program: parse, find the distributions, plan, send, answer.
//!
//! Whoever called is answered whatever happens. A pipeline job's work runs under a guard that turns a panic and a
//! deadline into failures; the answer is given outside of it. An S3 notification is answered by the function's own
//! result: an error makes Lambda try again, and hand the event to the dead-letter queue in the end. A queue is answered
//! with the messages that must come again.
//!
//! `objects` holds the way of changed objects, `memory` what a warm function knows of its own invalidations.

mod memory;
mod objects;

use std::panic::AssertUnwindSafe;
use std::sync::OnceLock;

use aws_types::SdkConfig;
use futures_util::FutureExt;
use futures_util::future::join_all;
use serde_json::Value;
use tokio::time::timeout_at;
use tracing::{error, info, warn};

use self::memory::Memory;
use crate::aws::Account;
use crate::aws::cloudfront::CloudFront;
use crate::aws::codepipeline::{Answered, CodePipeline};
use crate::aws::distributions::Distributions;
use crate::distribution::DistributionId;
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::outcome::{Outcome, Report};
use crate::plan::{Batch, Limits};
use crate::settings::Settings;
use crate::trigger::Trigger;
use crate::trigger::codepipeline::Job;

/// The function with its world: the settings as they were found, and clients that are made when first needed.
#[derive(Debug)]
pub struct Function {
    settings: Result<Settings, Failure>,
    sdk: SdkConfig,
    cloudfront: OnceLock<CloudFront>,
    codepipeline: OnceLock<CodePipeline>,
    distributions: Distributions,
    memory: Memory,
}

impl Function {
    /// Creates the function; nothing is sent, and wrong settings wait for a caller who can be told.
    pub fn new(settings: Result<Settings, Failure>, sdk: SdkConfig) -> Self {
        Self {
            settings,
            sdk,
            cloudfront: OnceLock::new(),
            codepipeline: OnceLock::new(),
            distributions: Distributions::default(),
            memory: Memory::default(),
        }
    }

    /// Handles one event; returns what was done, in words, or a queue's partial batch response.
    ///
    /// # Errors
    ///
    /// A [`Failure`], logged already, where Lambda shall try again or keep the event in the dead-letter queue. A job
    /// that failed and was answered is no error: Lambda would run it again.
    pub async fn handle(&self, event: &Value, invocation: &Invocation) -> Result<Value, Failure> {
        let done = match Trigger::parse(event) {
            Ok(Trigger::Job(job)) => self.handle_job(&job, invocation).await.map(Value::from),
            Ok(Trigger::Objects(notification)) => self
                .handle_objects(&notification, invocation)
                .await
                .map(Value::from),
            Ok(Trigger::Queue(messages)) => self.handle_queue(&messages, invocation).await,
            Err(failure) => Err(failure),
        };
        done.inspect_err(|failure| error!(cause = %failure.cause, "{failure}"))
    }

    async fn handle_job(&self, job: &Job, invocation: &Invocation) -> Result<String, Failure> {
        let work = async {
            let request = job.request()?;
            let named = match &request.distributions[..] {
                [] => self
                    .settings
                    .as_ref()
                    .map_err(Clone::clone)?
                    .distributions()?,
                named => named,
            };
            let event = format!("codepipeline {}", job.id);
            let request = |distribution: &DistributionId| {
                let paths = request.paths.clone();
                let batch = Batch::new(&event, distribution.clone(), paths, Limits::OF_CLOUDFRONT);
                Request {
                    batch,
                    objects: None,
                    notes: Vec::new(),
                }
            };
            let sent = named
                .iter()
                .map(|distribution| self.send(request(distribution), invocation));
            let reports = join_all(sent).await;
            Ok(Outcome {
                reports,
                ..Outcome::default()
            })
        };
        let outcome = guarded(work, invocation).await;
        let failure = match &outcome {
            Ok(outcome) => outcome.failure(),
            Err(failure) => Some(failure.clone()),
        };
        let outcome = outcome.unwrap_or_default();
        let deadline = invocation.end_of_answer();
        let codepipeline = self
            .codepipeline
            .get_or_init(|| CodePipeline::new(&self.sdk));
        let answered = match &failure {
            None => codepipeline.succeed(&job.id, &outcome, deadline).await,
            Some(failure) => {
                error!(job = %job.id, cause = %failure.cause, "the job failed: {failure}");
                codepipeline
                    .fail(&job.id, failure, &outcome, deadline)
                    .await
            }
        };
        match answered? {
            Answered::Now => {
                info!(job = %job.id, succeeded = failure.is_none(), "the job was answered")
            }
            Answered::Before => {
                warn!(job = %job.id, "the job had been answered or given up before")
            }
        }
        Ok(failure.map_or_else(|| outcome.to_string(), |failure| failure.message))
    }

    /// Sends a batch, and remembers what CloudFront took.
    async fn send(&self, request: Request, invocation: &Invocation) -> Report {
        let Request {
            batch,
            objects,
            notes,
        } = request;
        let account = Account::of_arn(&invocation.function_arn);
        let result = self
            .cloudfront()
            .create(&batch, &account, invocation.end_of_work())
            .await;
        let report = Report {
            batch,
            objects,
            notes,
            result,
        };
        if let Ok(submitted) = &report.result {
            let Batch {
                distribution,
                plan,
                reference,
            } = &report.batch;
            info!(%distribution, invalidation = submitted.id, %reference, "{report}");
            self.memory.remember(distribution, submitted, &plan.paths);
        }
        report
    }

    fn settings(&self) -> Result<&Settings, Failure> {
        self.settings.as_ref().map_err(Clone::clone)
    }

    fn cloudfront(&self) -> &CloudFront {
        self.cloudfront.get_or_init(|| CloudFront::new(&self.sdk))
    }
}

/// What to ask of CloudFront, and what to say of it.
struct Request {
    batch: Batch,
    objects: Option<usize>,
    notes: Vec<String>,
}

/// Runs the work to its end, to a panic or to its deadline, whichever comes first.
async fn guarded<T>(
    work: impl Future<Output = Result<T, Failure>>,
    invocation: &Invocation,
) -> Result<T, Failure> {
    let work = AssertUnwindSafe(work).catch_unwind();
    match timeout_at(invocation.end_of_work(), work).await {
        Ok(Ok(result)) => result,
        Ok(Err(_panic)) => Err(Failure::panicked()),
        Err(_elapsed) => Err(Failure::out_of_time()),
    }
}
