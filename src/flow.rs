//! The one way through the program: parse, find the distributions, plan, send, answer.
//!
//! Whoever called is answered whatever happens. A pipeline job's work runs under a guard that turns a panic and a
//! deadline into failures; the answer is given outside of it. An S3 notification is answered by the function's own
//! result: an error makes Lambda try again, and hand the event to the dead-letter queue in the end.

use std::collections::{BTreeMap, BTreeSet};
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
use crate::aws::distributions::Distributions;
use crate::distribution::DistributionId;
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::outcome::{Outcome, Report, Untouched};
use crate::plan::{Batch, Limits};
use crate::settings::Settings;
use crate::site::{Share, Shares};
use crate::trigger::Trigger;
use crate::trigger::codepipeline::Job;
use crate::trigger::s3::{self, Notification, ObjectChange};

/// The function with its world: the settings as they were found, and clients that are made when first needed.
#[derive(Debug)]
pub struct Function {
    settings: Result<Settings, Failure>,
    sdk: SdkConfig,
    cloudfront: OnceLock<CloudFront>,
    codepipeline: OnceLock<CodePipeline>,
    distributions: Distributions,
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
            let reports = self
                .send_all(named.iter().map(request).collect(), invocation)
                .await;
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
        let freshened =
            guarded(self.freshen(&notification.changes, invocation), invocation).await?;
        let failures = freshened
            .failures
            .into_iter()
            .chain(notification.unreadable.iter().cloned());
        match Failure::together(failures) {
            Some(failure) => Err(failure),
            None => Ok(freshened.outcome.to_string()),
        }
    }

    /// Invalidates what viewers can have cached of changed objects, wherever they are served.
    async fn freshen(
        &self,
        changes: &[ObjectChange],
        invocation: &Invocation,
    ) -> Result<Freshened, Failure> {
        let settings = self.settings.as_ref().map_err(Clone::clone)?;
        let account = Account::of_arn(&invocation.function_arn);
        let mut shares = Shares::default();
        let mut failures = Vec::new();
        for (bucket, changes) in by_bucket(changes) {
            let named = &settings.distributions;
            match self
                .distributions
                .serving(bucket, named, self.cloudfront(), &account)
                .await
            {
                Ok(distributions) => distributions.iter().for_each(|distribution| {
                    for (place, change) in &changes {
                        shares.add(
                            distribution,
                            (*place, bucket, &change.key),
                            settings.index_documents,
                        );
                    }
                }),
                Err(failure) => failures.push(failure),
            }
        }
        let mut outcome = Outcome::default();
        let mut requests = Vec::new();
        for share in shares {
            let notes = share.notes();
            let Share {
                distribution,
                paths,
                objects,
                ..
            } = share;
            if paths.is_empty() {
                let untouched = Untouched {
                    distribution,
                    notes,
                };
                info!("{untouched}");
                outcome.untouched.push(untouched);
            } else {
                let event = s3::identity(objects.iter().map(|place| &changes[*place]));
                let keys = distinct_keys(objects.iter().map(|place| &changes[*place]));
                let batch = Batch::new(&event, distribution, paths, settings.limits);
                requests.push(Request {
                    batch,
                    objects: Some(keys),
                    notes,
                });
            }
        }
        outcome.reports = self.send_all(requests, invocation).await;
        failures.extend(outcome.failure());
        Ok(Freshened { outcome, failures })
    }

    async fn send_all(&self, requests: Vec<Request>, invocation: &Invocation) -> Vec<Report> {
        join_all(
            requests
                .into_iter()
                .map(|request| self.send(request, invocation)),
        )
        .await
    }

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
                reference,
                ..
            } = &report.batch;
            info!(%distribution, invalidation = submitted.id, %reference, "{report}");
        }
        report
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

/// What became of changed objects.
struct Freshened {
    outcome: Outcome,
    failures: Vec<Failure>,
}

/// Groups the changes by bucket, each with its place.
fn by_bucket(changes: &[ObjectChange]) -> BTreeMap<&str, Vec<(usize, &ObjectChange)>> {
    let mut buckets: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (place, change) in changes.iter().enumerate() {
        buckets
            .entry(change.bucket.as_str())
            .or_default()
            .push((place, change));
    }
    buckets
}

/// Counts the objects: one that changed twice is one.
fn distinct_keys<'a>(changes: impl Iterator<Item = &'a ObjectChange>) -> usize {
    changes
        .map(|change| (&change.bucket, &change.key))
        .collect::<BTreeSet<_>>()
        .len()
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
