//! What the tests share: the function with stand-ins for AWS, and readers of the results that it reports.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Once};
use std::time::{Duration, SystemTime};

use aws_sdk_cloudfront::config::retry::RetryConfig;
use aws_types::SdkConfig;
use cloudfront_invalidator::account::Account;
use cloudfront_invalidator::aws::edge::EdgeEndpoints;
use cloudfront_invalidator::aws::sdk::{connections, sdk_config};
use cloudfront_invalidator::clock::Clock;
use cloudfront_invalidator::error::Error;
use cloudfront_invalidator::handler::Invalidator;
use cloudfront_invalidator::invocation::{Invocation, RESPONSE_RESERVE};
use cloudfront_invalidator::metrics::{MetricsSettings, MetricsWriter};
use cloudfront_invalidator::{log, settings::Settings};
use serde_json::Value;
use tracing::level_filters::LevelFilter;

use crate::standin::{Fault, JobResult, JobState, Operation, Options, Standin};

pub const FIRST: &str = "E1EXAMPLE1ABC";
pub const SECOND: &str = "E2EXAMPLE1ABC";

/// The bucket of the recorded events.
pub const BUCKET: &str = "tiny-direct-cfn";

/// More calls than the SDK attempts.
pub const ALWAYS: u64 = 9;

/// The environment variables of a function whose endpoint is a stand-in.
pub struct Fixture {
    pub standin: Arc<Standin>,
    variables: BTreeMap<String, String>,
    uses_sockets: bool,
}

impl Fixture {
    /// Starts stand-ins with two distributions; DISTRIBUTION_ID is the first.
    pub fn start() -> Self {
        Self::with(Options::default())
    }

    pub fn with(options: Options) -> Self {
        logged();
        let options = [FIRST, SECOND].into_iter().fold(options, |options, id| {
            let path = format!("distribution/{id}/config");
            let is_provided = options.documents.contains_key(&path);
            let options = options.with_distribution(id);
            if is_provided {
                options
            } else {
                options.with_document(&path, &configuration(BUCKET, "", ""))
            }
        });
        let standin = Arc::new(Standin::start(options));
        let variables = [
            ("AWS_REGION", unused_region()),
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "secret-of-the-function".to_owned()),
            ("AWS_SESSION_TOKEN", "token-of-the-function".to_owned()),
            ("AWS_ENDPOINT_URL", standin.url()),
            ("DISTRIBUTION_ID", FIRST.to_owned()),
        ];
        let variables = variables
            .map(|(name, value)| (name.to_owned(), value))
            .into();
        Self {
            standin,
            variables,
            uses_sockets: true,
        }
    }

    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    pub fn unset(mut self, name: &str) -> Self {
        self.variables.remove(name);
        self
    }

    /// Lets the function reach the stand-ins without a socket, for tests in tokio's paused time.
    pub fn without_sockets(self) -> Self {
        Self {
            uses_sockets: false,
            ..self
        }
    }

    /// Returns the environment variables.
    pub fn variables(&self) -> BTreeMap<String, String> {
        self.variables.clone()
    }

    /// Configures the SDK as the function does, but with short pauses before a retry.
    pub fn sdk(&self) -> SdkConfig {
        let variables = self.variables.clone();
        let variable = move |name: &str| variables.get(name).cloned();
        let connections = connections(&variable);
        let sdk = sdk_config(variable, &connections);
        let attempts = sdk
            .retry_config()
            .expect("an explicit retry configuration")
            .max_attempts();
        let retry = RetryConfig::standard()
            .with_max_attempts(attempts)
            .with_initial_backoff(Duration::from_millis(1));
        let mut sdk = sdk.into_builder().retry_config(retry);
        if !self.uses_sockets {
            sdk.set_http_client(Some(self.standin.http_client()));
        }
        sdk.build()
    }

    /// Returns a function that has handled no event yet. It reads the stand-in's clock.
    pub fn invalidator(&self) -> Invalidator {
        let settings = Settings::from_environment(|name| self.variables.get(name).cloned());
        let standin = Arc::clone(&self.standin);
        let clock = Clock::new(move || standin.now(), tokio::time::sleep);
        let variables = self.variables.clone();
        let edge = EdgeEndpoints::new(move |name| variables.get(name).cloned());
        let metrics = MetricsSettings::from_environment(|name| self.variables.get(name).cloned());
        let write = |line: &str| METRICS.with_borrow_mut(|lines| lines.push(line.to_owned()));
        Invalidator::new(settings, self.sdk())
            .with_clock(clock)
            .with_edge(edge)
            .with_metrics(MetricsWriter::new(metrics, write))
    }

    /// Returns a function that reads the stand-in's frozen clock and advances it instead of sleeping.
    pub fn invalidator_without_pauses(&self) -> Invalidator {
        let (now, pause) = (Arc::clone(&self.standin), Arc::clone(&self.standin));
        let pause = move |duration| {
            pause.advance(duration);
            std::future::ready(())
        };
        self.invalidator()
            .with_clock(Clock::new(move || now.now(), pause))
    }

    /// Passes the event to a new function that has a minute.
    pub async fn handle(&self, event: &Value) -> Result<Value, Error> {
        self.invalidator().handle(event, &one_minute()).await
    }

    /// Runs a job, which must get exactly one result. The function must return its text.
    pub async fn run_job(&self, user_parameters: Option<&str>) -> ReportedJob {
        let job = self.standin.start_job(user_parameters);
        let returned = self.handle(&job.event).await;
        let reported = self.only_result();
        assert_eq!(
            returned,
            Ok(Value::from(reported.text())),
            "the function returns what it reported"
        );
        reported
    }

    /// Runs a job whose result differs from what the function returns.
    pub async fn run_job_with_different_result(
        &self,
        user_parameters: Option<&str>,
    ) -> ReportedJob {
        let job = self.standin.start_job(user_parameters);
        self.handle(&job.event).await.expect("a result");
        self.only_result()
    }

    /// Returns the only result that CodePipeline accepted.
    pub fn only_result(&self) -> ReportedJob {
        let results = self.standin.job_results();
        let [result] = results
            .iter()
            .filter(|result| result.error.is_none())
            .collect::<Vec<_>>()[..]
        else {
            panic!("not one accepted result but {results:#?}");
        };
        let state = result
            .job_id()
            .and_then(|id| self.standin.job(id))
            .map(|job| job.state);
        ReportedJob {
            state,
            result: result.clone(),
        }
    }

    /// Returns the distribution and the paths of each batch that CloudFront accepted.
    pub fn accepted(&self) -> Vec<(String, Vec<String>)> {
        let received = self.standin.invalidations().into_iter();
        received
            .filter(|invalidation| invalidation.outcome.is_ok())
            .map(|invalidation| (invalidation.distribution, invalidation.paths))
            .collect()
    }

    /// Returns the id of the first invalidation, which CloudFront must have accepted.
    pub fn first_id(&self) -> String {
        let received = self.standin.invalidations();
        let first = received.first().expect("an invalidation");
        first.outcome.clone().expect("an id")
    }

    pub fn calls(&self, operation: Operation) -> usize {
        self.standin
            .calls()
            .into_iter()
            .filter(|call| *call == operation)
            .count()
    }
}

/// Returns a region that no other test has.
///
/// The SDK limits the retries in a process: all clients of a service in a region share 500 tokens, a retry costs 14.
/// Without tokens a call is not retried, and the tests would depend on each other.
fn unused_region() -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(1);
    format!("eu-west-{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

thread_local! {
    static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    static METRICS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Returns the lines of metrics that this test wrote since the last call.
pub fn metric_lines() -> Vec<Value> {
    let lines = METRICS.take().into_iter();
    let lines = lines.map(|line| serde_json::from_str(&line).expect("JSON"));
    lines.collect()
}

/// Returns what this test logged since the last call, at every level.
///
/// All tests share one subscriber, and each test has a thread of its own. With one subscriber for each test, `tracing`
/// would cache that no subscriber is interested in a log statement when another test reaches it first.
pub fn logged() -> Vec<String> {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let write = |line: &str| LINES.with_borrow_mut(|lines| lines.push(line.to_owned()));
        let subscriber = log::subscriber(LevelFilter::TRACE, write);
        tracing::subscriber::set_global_default(subscriber).expect("the only subscriber");
    });
    LINES.take()
}

/// Returns the lines of this level that this test logged since the last call.
pub fn logged_at(level: &str) -> Vec<Value> {
    let lines = logged().into_iter();
    lines
        .map(|line| serde_json::from_str::<Value>(&line).expect("JSON"))
        .filter(|line| line["level"] == level)
        .collect()
}

/// A job's result as CodePipeline received it, and the job's state after it.
#[derive(Debug)]
pub struct ReportedJob {
    pub state: Option<JobState>,
    pub result: JobResult,
}

impl ReportedJob {
    fn text(&self) -> String {
        let body = &self.result.body;
        let text = body
            .pointer("/failureDetails/message")
            .or_else(|| body.pointer("/executionDetails/summary"));
        text.and_then(Value::as_str).expect("a text").to_owned()
    }

    /// Returns the type and the message of a failed job.
    pub fn failure(&self) -> (&str, &str) {
        assert_eq!(self.state, Some(JobState::Failed), "{:#?}", self.result);
        failure_details(&self.result)
    }

    /// Returns the summary of a job that the pipeline continues with another job.
    pub fn continuation(&self) -> &str {
        assert_eq!(self.state, Some(JobState::Continued), "{:#?}", self.result);
        summary(&self.result)
    }

    /// Returns an output variable of a job that succeeded.
    pub fn variable(&self, name: &str) -> &str {
        assert_eq!(self.state, Some(JobState::Succeeded), "{:#?}", self.result);
        self.result.body["outputVariables"][name]
            .as_str()
            .expect("a variable")
    }
}

/// Returns the type and the message of a failure.
pub fn failure_details(result: &JobResult) -> (&str, &str) {
    let detail = |name: &str| {
        result.body["failureDetails"][name]
            .as_str()
            .expect("a failure")
    };
    (detail("type"), detail("message"))
}

/// Returns the summary of a success.
pub fn summary(result: &JobResult) -> &str {
    result.body["executionDetails"]["summary"]
        .as_str()
        .expect("a summary")
}

/// Returns the message of a denied call without the advice; `resource` is the ARN, or `*` if AWS names none.
pub fn denial(code: &str, action: &str, resource: &str, reason: &str) -> String {
    let on_resource = match resource {
        "*" => String::new(),
        arn => format!(" on resource: {arn}"),
    };
    format!(
        "not allowed to call {action} on {resource}: {code}: User: \
         arn:aws:sts::111122223333:assumed-role/standin/standin is not authorized to perform: \
         {action}{on_resource} {reason}"
    )
}

/// Returns the complete message of a call that no identity-based policy allows.
pub fn denial_with_statement(code: &str, action: &str, resource: &str) -> String {
    let reason = format!("because no identity-based policy allows the {action} action");
    let message = denial(code, action, resource, &reason);
    format!(
        "{message}; add this statement to a policy of the function's role: \
         {{\"Effect\":\"Allow\",\"Action\":\"{action}\",\"Resource\":\"{resource}\"}}"
    )
}

/// Returns the complete message of a call whose credentials AWS rejects.
pub fn rejected_credentials(fault: Fault) -> String {
    let (message, is_expired) = match fault {
        Fault::InvalidClientTokenId | Fault::UnrecognizedClientException => (
            "The security token included in the request is invalid.",
            false,
        ),
        Fault::SignatureDoesNotMatch => (
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
             Access Key and signing method. Consult the service documentation for details.",
            false,
        ),
        Fault::ExpiredToken | Fault::ExpiredTokenException => (
            "The security token included in the request is expired",
            true,
        ),
        _ => panic!("{fault:?} does not reject credentials"),
    };
    let advice = if is_expired {
        "Lambda renews the credentials of its role: try again"
    } else {
        "check that the function's role still exists, and deploy the function again to get new credentials"
    };
    format!("AWS rejected the credentials: {fault:?}: {message}; {advice}")
}

pub fn distribution_arn(id: &str) -> String {
    format!("arn:aws:cloudfront::111122223333:distribution/{id}")
}

/// Returns a distribution's configuration, whose only origin is the bucket.
pub fn configuration(bucket: &str, origin_path: &str, default_root_object: &str) -> String {
    format!(
        r#"<?xml version="1.0"?>
<DistributionConfig xmlns="http://cloudfront.amazonaws.com/doc/2020-05-31/">
  <CallerReference>1</CallerReference>
  <DefaultRootObject>{default_root_object}</DefaultRootObject>
  <Origins><Quantity>1</Quantity><Items><Origin>
    <Id>bucket</Id>
    <DomainName>{bucket}.s3.us-east-1.amazonaws.com</DomainName>
    <OriginPath>{origin_path}</OriginPath>
  </Origin></Items></Origins>
  <DefaultCacheBehavior>
    <TargetOriginId>bucket</TargetOriginId>
    <ViewerProtocolPolicy>redirect-to-https</ViewerProtocolPolicy>
    <CachePolicyId>658327ea-f89d-4fab-a63d-7e88639e58f6</CachePolicyId>
  </DefaultCacheBehavior>
  <Comment></Comment>
  <Enabled>true</Enabled>
</DistributionConfig>"#
    )
}

/// Returns a configuration with these elements in addition.
pub fn configuration_with(elements: &str) -> String {
    let configuration = configuration(BUCKET, "", "");
    configuration.replace("<Comment></Comment>", &format!("{elements}<Comment/>"))
}

/// Returns the account of the function.
pub fn account() -> Account {
    Account::from_arn("arn:aws:lambda:eu-west-1:111122223333:function:invalidator")
}

/// Returns an invocation with this much time until Lambda stops it, and a request id of its own.
pub fn invocation(left: Duration) -> Invocation {
    static COUNT: AtomicUsize = AtomicUsize::new(1);
    let request_id = format!("request-{}", COUNT.fetch_add(1, Ordering::Relaxed));
    Invocation::new(SystemTime::now() + left, account(), request_id)
}

/// Returns an invocation in which a read can take a second. It is too short to send a throttled batch again.
pub fn short_invocation() -> Invocation {
    invocation(RESPONSE_RESERVE + Duration::from_secs(3))
}

pub fn one_minute() -> Invocation {
    invocation(Duration::from_secs(60))
}
