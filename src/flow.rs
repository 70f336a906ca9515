//! The one way through the program: parse, find the distributions, plan, send, answer.
//!
//! Whoever called is answered whatever happens. A pipeline job's work runs under a guard that turns a panic and a
//! deadline into failures; the answer is given outside of it. An S3 notification is answered by the function's own
//! result: an error makes Lambda try again, and hand the event to the dead-letter queue in the end.

use std::panic::AssertUnwindSafe;
use std::sync::OnceLock;

use aws_types::SdkConfig;
use futures_util::FutureExt;
use futures_util::future::join_all;
use serde_json::Value;
use tokio::time::timeout_at;
use tracing::{error, info, warn};

use crate::aws::Account;
use crate::aws::cloudfront::CloudFront;
use crate::aws::codepipeline::{Answered, CodePipeline};
use crate::distribution::DistributionId;
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::outcome::{Outcome, Report};
use crate::path::InvalidationPath;
use crate::plan::{Batch, Limits};
use crate::settings::Settings;
use crate::trigger::Trigger;
use crate::trigger::codepipeline::Job;
use crate::trigger::s3::Notification;

/// The function with its world: the settings as they were found, and clients that are made when first needed.
#[derive(Debug)]
pub struct Function {
    settings: Result<Settings, Failure>,
    sdk: SdkConfig,
    cloudfront: OnceLock<CloudFront>,
    codepipeline: OnceLock<CodePipeline>,
}

impl Function {
    /// Creates the function; nothing is sent, and wrong settings wait for a caller who can be told.
    pub fn new(settings: Result<Settings, Failure>, sdk: SdkConfig) -> Self {
        Self {
            settings,
            sdk,
            cloudfront: OnceLock::new(),
            codepipeline: OnceLock::new(),
        }
    }

    /// Handles one event and returns what was done, in words.
    ///
    /// # Errors
    ///
    /// A [`Failure`], logged already, where Lambda shall try again or keep the event in the dead-letter queue. A job
    /// that failed and was answered is no error: Lambda would run it again.
    pub async fn handle(&self, event: &Value, invocation: &Invocation) -> Result<String, Failure> {
        let done = match Trigger::parse(event) {
            Ok(Trigger::Job(job)) => self.handle_job(&job, invocation).await,
            Ok(Trigger::Objects(notification)) => {
                self.handle_objects(&notification, invocation).await
            }
            Ok(Trigger::TestEvent { bucket }) => {
                info!(bucket, "a notification was set up");
                Ok("nothing to invalidate: a notification was set up".to_owned())
            }
            Err(failure) => Err(failure),
        };
        done.inspect_err(|failure| error!(cause = %failure.cause, "{failure}"))
    }

    async fn handle_job(&self, job: &Job, invocation: &Invocation) -> Result<String, Failure> {
        let work = async {
            let request = job.request()?;
            let event = format!("codepipeline {}", job.id);
            self.invalidate(&event, &request.distributions, &request.paths, invocation)
                .await
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

    async fn handle_objects(
        &self,
        notification: &Notification,
        invocation: &Invocation,
    ) -> Result<String, Failure> {
        for ignored in &notification.ignored {
            info!(
                event = ignored.name,
                key = ignored.key,
                "this event changes nothing for viewers"
            );
        }
        let changes = &notification.changes;
        let paths: Vec<_> = changes
            .iter()
            .flat_map(|change| InvalidationPath::from_object_key(&change.key))
            .collect();
        let outcome = if paths.is_empty() {
            Outcome::default()
        } else {
            guarded(
                self.invalidate(&notification.identity(), &[], &paths, invocation),
                invocation,
            )
            .await?
        };
        match Failure::together(
            outcome
                .failure()
                .into_iter()
                .chain(notification.unreadable.iter().cloned()),
        ) {
            Some(failure) => Err(failure),
            None => Ok(outcome.to_string()),
        }
    }

    /// Invalidates the paths on the distributions named, or on those of the settings.
    async fn invalidate(
        &self,
        event: &str,
        named: &[DistributionId],
        paths: &[InvalidationPath],
        invocation: &Invocation,
    ) -> Result<Outcome, Failure> {
        let distributions = match named {
            [] => self
                .settings
                .as_ref()
                .map_err(Clone::clone)?
                .distributions()?,
            named => named,
        };
        let batches = distributions.iter().map(|distribution| {
            Batch::new(
                event,
                distribution.clone(),
                paths.to_vec(),
                Limits::OF_CLOUDFRONT,
            )
        });
        let reports = join_all(batches.map(|batch| self.send(batch, invocation))).await;
        Ok(Outcome { reports })
    }

    async fn send(&self, batch: Batch, invocation: &Invocation) -> Report {
        let cloudfront = self.cloudfront.get_or_init(|| CloudFront::new(&self.sdk));
        let account = Account::of_arn(&invocation.function_arn);
        let result = cloudfront
            .create(&batch, &account, invocation.end_of_work())
            .await;
        let report = Report { batch, result };
        if let Ok(submitted) = &report.result {
            let Batch {
                distribution,
                reference,
                ..
            } = &report.batch;
            info!(%distribution, invalidation = submitted.id, %reference, "{report}");
        }
        report
    }
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
