//! The one way through the program: parse, find the distributions, plan, send, answer.
//!
//! Whoever called is answered whatever happens. A pipeline job's work runs under a guard that turns a panic and a
//! deadline into failures; the answer is given outside of it. An S3 notification is answered by the function's own
//! result: an error makes Lambda try again, and hand the event to the dead-letter queue in the end. A queue is answered
//! with the messages that must come again.
//!
//! `jobs` holds the way of a pipeline job, `notifications` and `objects` that of changed objects, `memory` what a warm
//! function knows of its own invalidations.

mod jobs;
mod memory;
mod notifications;
mod objects;

use std::panic::AssertUnwindSafe;
use std::sync::OnceLock;

use aws_types::SdkConfig;
use futures_util::FutureExt;
use serde_json::Value;
use tokio::time::timeout_at;
use tracing::{error, info};

use self::memory::Memory;
use crate::aws::Account;
use crate::aws::cloudfront::CloudFront;
use crate::aws::codepipeline::CodePipeline;
use crate::aws::distributions::Distributions;
use crate::clock::Clock;
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::outcome::Report;
use crate::plan::Batch;
use crate::settings::Settings;
use crate::trigger::Trigger;

/// The function with its world: the settings as they were found, and clients that are made when first needed.
#[derive(Debug)]
pub struct Function {
    settings: Result<Settings, Failure>,
    sdk: SdkConfig,
    cloudfront: OnceLock<CloudFront>,
    codepipeline: OnceLock<CodePipeline>,
    distributions: Distributions,
    memory: Memory,
    clock: Clock,
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
            clock: Clock::system(),
        }
    }

    /// Replaces the system's clock, by which jobs wait.
    pub fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// Handles one event; returns what was done, in words, or a queue's partial batch response.
    ///
    /// # Errors
    ///
    /// A [`Failure`], logged already, where Lambda shall try again or keep the event in the dead-letter queue. A job
    /// that failed and was answered is no error: Lambda would run it again.
    pub async fn handle(&self, event: &Value, invocation: &Invocation) -> Result<Value, Failure> {
        // Boxed, each: as one, they nest deeper than the compiler likes to follow.
        let done = match Trigger::parse(event) {
            Ok(Trigger::Job(job)) => Box::pin(self.handle_job(&job, invocation))
                .await
                .map(Value::from),
            Ok(Trigger::Objects(notification)) => {
                Box::pin(self.handle_objects(&notification, invocation))
                    .await
                    .map(Value::from)
            }
            Ok(Trigger::Queue(messages)) => {
                Box::pin(self.handle_queue(&messages, invocation)).await
            }
            Err(failure) => Err(failure),
        };
        done.inspect_err(|failure| error!(cause = %failure.cause, "{failure}"))
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

    fn codepipeline(&self) -> &CodePipeline {
        self.codepipeline
            .get_or_init(|| CodePipeline::new(&self.sdk))
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
