//! The handler: parses the event, finds the distributions, plans, sends, responds.
//!
//! Every event ends in a result, whatever fails. A panic or the deadline ends the work with an error; the result is
//! reported outside of that guard:
//!
//! - of a pipeline job (`pipeline_job`), through CodePipeline's API;
//! - of a notification that invoked the function (`contents`), as the result of the invocation: Lambda retries an event
//!   that failed, and finally puts it into the undelivered queue;
//! - of a direct invocation (`direct`), as the result of the invocation, which a synchronous caller gets;
//! - of an SQS batch (`sqs_batch`), as a partial batch response with the messages to retry.
//!
//! `object_changes` invalidates the objects that notifications and messages contain, or that a direct invocation names;
//! `affected` finds their paths, `turns` sends throttled batches again, `change_metrics` counts what was saved.
//! `requested_paths` submits the paths that a pipeline job or a direct invocation names;
//! `progress` has how far its invalidations are; `completion` polls them, and `verification` requests URLs. `identity` is
//! what stays equal if a request is repeated. `staging` finds and decides about staging distributions; `site_names` finds a
//! distribution by its domain name; `usage` counts the paths of a month, `budget` those of a day; `newest` lists the newest
//! invalidations; `warm_state` keeps what this process did in earlier invocations.

mod affected;
mod budget;
mod change_metrics;
mod completion;
mod contents;
mod direct;
mod identity;
mod newest;
mod object_changes;
mod pipeline_job;
mod progress;
mod requested_paths;
mod site_names;
mod slack;
mod sqs_batch;
mod staging;
mod turns;
mod usage;
mod verification;
mod warm_state;

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::OnceLock;

use aws_types::SdkConfig;
use futures_util::FutureExt;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};
use tracing::{Instrument, Span, error, error_span, info};

use self::slack::Slack;
use self::turns::Place;
use self::warm_state::WarmState;
use crate::aws::cloudfront::{self, CloudFront, Submission};
use crate::aws::codepipeline::CodePipeline;
use crate::aws::connections::Connections;
use crate::aws::edge::EdgeEndpoints;
use crate::aws::site_cache::SiteCache;
use crate::clock::Clock;
use crate::distribution::{DistributionId, DistributionName};
use crate::error::{Category, Error};
use crate::excerpt::listed;
use crate::invocation::Invocation;
use crate::metrics::{Metric, MetricsWriter};
use crate::outcome::{BatchReport, Outcome};
use crate::plan::Batch;
use crate::settings::Settings;
use crate::trigger::Trigger;

/// The Lambda function: its settings, its clients and what it remembers between invocations.
#[derive(Debug)]
pub struct Invalidator {
    settings: Result<Settings, Error>,
    sdk: SdkConfig,
    connections: Option<Connections>,
    cloudfront: OnceLock<CloudFront>,
    codepipeline: OnceLock<CodePipeline>,
    edge: EdgeEndpoints,
    site_cache: SiteCache,
    warm_state: WarmState,
    slack: Slack,
    metrics: Option<MetricsWriter>,
    clock: Clock,
}

impl Invalidator {
    /// Creates the function; sends nothing. An error in the settings is reported to each caller that needs them.
    pub fn new(settings: Result<Settings, Error>, sdk: SdkConfig) -> Self {
        Self {
            settings,
            sdk,
            connections: None,
            cloudfront: OnceLock::new(),
            codepipeline: OnceLock::new(),
            edge: EdgeEndpoints::new(|_name| None),
            site_cache: SiteCache::default(),
            warm_state: WarmState::default(),
            slack: Slack::from_environment(|_name| None),
            metrics: None,
            clock: Clock::system(),
        }
    }

    /// Replaces the system clock, which decides how long jobs wait and when a queue has a backlog.
    pub fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// Opens connections ahead with the HTTP client of the SDK's configuration: that to CloudFront now, that to CodePipeline
    /// at the start of a pipeline job. Needs a tokio runtime.
    pub fn with_connections(self, connections: Connections) -> Self {
        if let Some(url) = cloudfront::endpoint_url(&self.sdk) {
            connections.open(&url);
        }
        Self {
            connections: Some(connections),
            ..self
        }
    }

    /// Replaces where the requests of viewers are sent: the edge of CloudFront.
    pub fn with_edge(self, edge: EdgeEndpoints) -> Self {
        Self { edge, ..self }
    }

    /// Reads the settings for Slack from environment variables.
    pub fn with_slack(self, variable: impl Fn(&str) -> Option<String>) -> Self {
        Self {
            slack: Slack::from_environment(variable),
            ..self
        }
    }

    /// Writes the metrics of each invocation. Without a writer there are none.
    pub fn with_metrics(self, writer: MetricsWriter) -> Self {
        Self {
            metrics: Some(writer),
            ..self
        }
    }

    /// Replaces the clients.
    #[cfg(feature = "cli")]
    pub fn with_clients(self, cloudfront: CloudFront, codepipeline: CodePipeline) -> Self {
        Self {
            cloudfront: cloudfront.into(),
            codepipeline: codepipeline.into(),
            ..self
        }
    }

    /// Handles one event that is not text yet, and returns the response alone; as [`Self::answer`].
    ///
    /// # Errors
    ///
    /// As [`Self::answer`].
    pub async fn handle(&self, event: &Value, invocation: &Invocation) -> Result<Value, Error> {
        let answer = self.answer(event.to_string(), invocation).await?;
        Ok(answer.response)
    }

    /// Handles one event, which is JSON.
    ///
    /// # Errors
    ///
    /// [`Error`], logged already, if Lambda has to retry the event and finally put it into the undelivered queue. A job
    /// that failed and got its result is not an error: Lambda would run it again.
    pub async fn answer(
        &self,
        event: impl AsRef<[u8]>,
        invocation: &Invocation,
    ) -> Result<Answer, Error> {
        let trigger = Trigger::parse(event.as_ref());
        // It can have 6 MB, which the work then uses.
        drop(event);
        let caller = trigger.as_ref().map_or("unknown", Trigger::caller);
        let span = caller_span(caller, &trigger);
        let handle = async {
            let response = match &trigger {
                Ok(trigger) => self.respond_to(trigger, invocation).await,
                Err(error) => Err(error.clone()),
            };
            response.inspect_err(|error| {
                error!(cause = %error.category(), "{error}");
                if !error.is_transient() {
                    invocation.metrics.count_total(Metric::Errors, 1);
                }
            })
        };
        let response = handle.instrument(span).await;
        if let Some(writer) = &self.metrics {
            let Invocation {
                metrics,
                request_id,
                ..
            } = invocation;
            writer.write(metrics, caller, request_id, self.clock.now());
        }
        response
    }

    async fn respond_to(
        &self,
        trigger: &Trigger,
        invocation: &Invocation,
    ) -> Result<Answer, Error> {
        // Boxed to keep the future's type small; unboxed, it exceeds the compiler's recursion limit.
        match trigger {
            Trigger::PipelineJob(job) => Box::pin(self.handle_pipeline_job(job, invocation)).await,
            Trigger::Notification(content) => {
                Box::pin(self.handle_notification(content, invocation))
                    .await
                    .map(Answer::from)
            }
            Trigger::Direct(request) => Box::pin(self.handle_direct(request, invocation)).await,
            Trigger::SqsBatch(messages) => {
                Box::pin(self.handle_sqs_batch(messages, invocation)).await
            }
            Trigger::FunctionUrl(request) => {
                Ok(Box::pin(self.handle_function_url(request, invocation)).await)
            }
            Trigger::SlackTasks(messages) => {
                Box::pin(self.handle_slack_tasks(messages, invocation)).await
            }
        }
    }

    /// Sends a batch to CloudFront, and remembers the invalidation. With a place, sends it again while CloudFront throttles.
    async fn submit(&self, request: BatchRequest<'_>, invocation: &Invocation) -> BatchReport {
        let BatchRequest {
            batch,
            place,
            objects,
            buckets,
            notes,
        } = request;
        let (cloudfront, first_sent) = (self.cloudfront(invocation), Instant::now());
        let submission = cloudfront
            .create_invalidation(&batch, first_sent, invocation.end_of_calls())
            .await;
        let submission = match (submission, place) {
            (Err(error), Some(place)) if error.is_throttled() => {
                self.create_in_turn(&batch, first_sent, error, place, invocation)
                    .await
            }
            (submission, _) => submission,
        };
        let reused = submission.as_ref().ok().and_then(Submission::reused);
        let invalidation = submission.map(Submission::into_invalidation);
        let report = BatchReport {
            reused,
            result: match &invalidation {
                Ok(invalidation) => Ok(invalidation.as_ref().map(|known| known.id.clone())),
                Err(error) => Err(error.clone()),
            },
            batch,
            objects,
            notes,
        };
        let known = invalidation.as_ref().ok().and_then(Option::as_ref);
        let is_new = known.is_some_and(|known| cloudfront.is_created_since(first_sent, known));
        count_submission(&report, is_new, invocation);
        if let Ok(id) = &report.result {
            let (distribution, reference) = (report.batch.distribution(), report.batch.reference());
            let invalidation = id.as_ref().map(ToString::to_string);
            let paths = report.batch.paths().len();
            let buckets = (!buckets.is_empty()).then(|| listed(buckets).join(", "));
            info!(%distribution, invalidation, %reference, paths, objects, buckets, "{report}");
        } else if !report.notes.is_empty() {
            // They are also about objects that need no invalidation, and are not retried.
            let distribution = report.batch.distribution();
            info!(%distribution, "not submitted: {}", report.notes.join("; "));
        }
        if let Ok(Some(invalidation)) = invalidation {
            self.warm_state
                .remember(report.batch.distribution(), invalidation);
        }
        report
    }

    /// Returns the distributions with these names, or without names those of the settings. `advice` is the part of the error
    /// about where the caller names one.
    async fn required_distributions(
        &self,
        names: &[DistributionName],
        advice: &str,
        invocation: &Invocation,
    ) -> Result<Vec<DistributionId>, Error> {
        match names {
            [] => Ok(self.settings()?.required_distributions(advice)?.to_vec()),
            names => self.cloudfront(invocation).resolve(names).await,
        }
    }

    fn settings(&self) -> Result<&Settings, Error> {
        self.settings.as_ref().map_err(Clone::clone)
    }

    /// Opens a connection to CodePipeline, which is ready when the job has its result.
    fn open_codepipeline(&self) {
        if let Some(connections) = &self.connections
            && let Some(url) = self.codepipeline().endpoint_url()
        {
            connections.open(&url);
        }
    }

    fn codepipeline(&self) -> &CodePipeline {
        self.codepipeline
            .get_or_init(|| CodePipeline::new(&self.sdk, self.clock.clone()))
    }

    fn cloudfront(&self, invocation: &Invocation) -> &CloudFront {
        // All invocations of a function are in the same account.
        self.cloudfront
            .get_or_init(|| CloudFront::new(&self.sdk, invocation.account.clone()))
    }
}

/// Returns the error that decides how a request ends: one that a retry does not help, if there is one.
fn decisive_error(outcome: &Outcome) -> Option<Error> {
    let permanent = outcome.errors().find(|error| !error.is_transient());
    permanent.or_else(|| outcome.errors().next()).cloned()
}

/// Returns when the first of two steps has to end, so that half of the time until `deadline` is left for the second.
fn half_way(deadline: Instant) -> Instant {
    let now = Instant::now();
    now + deadline.saturating_duration_since(now) / 2
}

/// What an event ended in, if Lambda does not have to retry the whole event.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// What was done as text, the partial batch response of an SQS batch, or the object for the caller of a direct
    /// invocation.
    pub response: Value,
    /// Why the pipeline job failed, or messages of the batch are to be retried.
    pub failure: Option<Error>,
}

impl From<String> for Answer {
    fn from(text: String) -> Self {
        Self {
            response: text.into(),
            failure: None,
        }
    }
}

/// Returns a span with who requested the work, which each line in it has as fields.
fn caller_span(caller: &'static str, trigger: &Result<Trigger, Error>) -> Span {
    match trigger {
        Ok(Trigger::PipelineJob(job)) => {
            let pipeline = job.pipeline.as_deref();
            error_span!("caller", caller, job = %job.id, pipeline)
        }
        Ok(Trigger::Direct(request)) => {
            let requester = request.requested_by.as_deref();
            error_span!("caller", caller, requestedByUnverified = requester)
        }
        // What Slack's requests and messages contain is known only once it is verified or read.
        _ => error_span!("caller", caller),
    }
}

/// Counts what CloudFront did with a batch. An invalidation that existed before is not billed again.
fn count_submission(report: &BatchReport, is_new: bool, invocation: &Invocation) {
    let (metrics, distribution) = (&invocation.metrics, report.batch.distribution());
    match &report.result {
        Ok(_) if is_new => {
            metrics.count(Metric::Invalidations, 1, distribution);
            metrics.count(Metric::Paths, report.batch.paths().len(), distribution);
        }
        Ok(_) => {}
        Err(error) if error.category() == Category::Throttled => {
            metrics.count(Metric::Throttled, 1, distribution);
        }
        Err(_) => {}
    }
}

/// A batch to send, and what its report adds to it.
struct BatchRequest<'a> {
    batch: Batch,
    /// Its place among the batches that CloudFront throttles; `None` if it is sent only once.
    place: Option<Place<'a>>,
    objects: Option<usize>,
    /// The buckets of the objects.
    buckets: BTreeSet<String>,
    notes: Vec<String>,
}

impl From<Batch> for BatchRequest<'_> {
    fn from(batch: Batch) -> Self {
        Self {
            batch,
            place: None,
            objects: None,
            buckets: BTreeSet::new(),
            notes: Vec::new(),
        }
    }
}

/// Runs the work until it ends, panics or reaches the end of its time.
async fn guarded<T>(
    work: impl Future<Output = Result<T, Error>>,
    invocation: &Invocation,
) -> Result<T, Error> {
    let work = AssertUnwindSafe(work).catch_unwind();
    match timeout_at(invocation.end_of_work(), work).await {
        Ok(Ok(result)) => result,
        Ok(Err(_panic)) => Err(Error::panicked()),
        Err(_elapsed) => Err(Error::deadline_exceeded()),
    }
}
