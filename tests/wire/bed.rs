//! What the tests share: the function in its world, and what came of an event.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::{Arc, Once};
use std::time::{Duration, SystemTime};

use aws_sdk_cloudfront::config::retry::RetryConfig;
use aws_types::SdkConfig;
use cloudfront_invalidator::clock::Clock;
use cloudfront_invalidator::failure::Failure;
use cloudfront_invalidator::flow::Function;
use cloudfront_invalidator::invocation::Invocation;
use cloudfront_invalidator::{aws, log, settings::Settings};
use serde_json::Value;
use tracing::level_filters::LevelFilter;

use crate::standin::{JobResult, JobState, Operation, Options, Standin};

pub const FIRST: &str = "E1EXAMPLE1ABC";
pub const SECOND: &str = "E2EXAMPLE1ABC";

/// The bucket of the recorded events.
pub const BUCKET: &str = "tiny-direct-cfn";

/// A function whose SDK talks to a stand-in.
pub struct Bed {
    pub standin: Arc<Standin>,
    variables: BTreeMap<String, String>,
}

impl Bed {
    /// Starts stand-ins that know two distributions; the function's setting names the first.
    pub fn start() -> Self {
        Self::with(Options::default())
    }

    pub fn with(options: Options) -> Self {
        logged();
        let options = [FIRST, SECOND].into_iter().fold(options, |options, id| {
            let path = format!("distribution/{id}/config");
            let known = options.documents.contains_key(&path);
            let options = options.with_distribution(id);
            if known {
                options
            } else {
                options.with_document(&path, &configuration(BUCKET, "", ""))
            }
        });
        let standin = Arc::new(Standin::start(options));
        let variables = [
            ("AWS_REGION", "eu-west-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "secret-of-the-function".to_owned()),
            ("AWS_SESSION_TOKEN", "token-of-the-function".to_owned()),
            ("AWS_ENDPOINT_URL", standin.url()),
            ("DISTRIBUTION_ID", FIRST.to_owned()),
        ];
        let variables = variables
            .map(|(name, value)| (name.to_owned(), value))
            .into();
        Self { standin, variables }
    }

    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    pub fn unset(mut self, name: &str) -> Self {
        self.variables.remove(name);
        self
    }

    /// Wires the SDK as the function does, but for the pauses before a retry.
    pub fn sdk(&self) -> SdkConfig {
        let variables = self.variables.clone();
        let sdk = aws::sdk_config(move |name| variables.get(name).cloned());
        let attempts = sdk
            .retry_config()
            .expect("an explicit retry configuration")
            .max_attempts();
        let retry = RetryConfig::standard()
            .with_max_attempts(attempts)
            .with_initial_backoff(Duration::from_millis(1));
        sdk.into_builder().retry_config(retry).build()
    }

    pub fn function(&self) -> Function {
        let settings = Settings::from_environment(|name| self.variables.get(name).cloned());
        Function::new(settings, self.sdk())
    }

    /// Returns a function that waits by the stand-in's frozen clock, and so not at all.
    pub fn patient_function(&self) -> Function {
        let (now, pause) = (Arc::clone(&self.standin), Arc::clone(&self.standin));
        let pause = move |duration| {
            pause.advance(duration);
            std::future::ready(())
        };
        self.function()
            .with_clock(Clock::new(move || now.now(), pause))
    }

    /// Hands the event to a new function with a minute of time.
    pub async fn handle(&self, event: &Value) -> Result<Value, Failure> {
        self.function()
            .handle(event, &invocation(Duration::from_secs(60)))
            .await
    }

    /// Runs a job with these UserParameters, which must get exactly one answer, and returns it.
    pub async fn run_job(&self, user_parameters: Option<&str>) -> Told {
        let job = self.standin.start_job(user_parameters);
        let returned = self.handle(&job.event).await;
        let told = self.only_answer();
        assert_eq!(
            returned,
            Ok(Value::from(told.text())),
            "the function repeats what the pipeline was told"
        );
        told
    }

    /// Runs such a job where the pipeline is told less than the function returns.
    pub async fn run_job_told(&self, user_parameters: Option<&str>) -> Told {
        let job = self.standin.start_job(user_parameters);
        self.handle(&job.event).await.expect("an answer");
        self.only_answer()
    }

    /// Returns the one answer that was taken; there must be no second one.
    pub fn only_answer(&self) -> Told {
        let answers = self.standin.job_results();
        let [answer] = answers
            .iter()
            .filter(|answer| answer.error.is_none())
            .collect::<Vec<_>>()[..]
        else {
            panic!("not one answer but {answers:#?}");
        };
        let state = answer
            .job_id()
            .and_then(|id| self.standin.job(id))
            .map(|job| job.state);
        Told {
            state,
            answer: answer.clone(),
        }
    }

    /// Returns what CloudFront has taken: distribution and paths.
    pub fn taken(&self) -> Vec<(String, Vec<String>)> {
        let received = self.standin.invalidations().into_iter();
        received
            .filter(|one| one.outcome.is_ok())
            .map(|one| (one.distribution, one.paths))
            .collect()
    }

    pub fn calls(&self, operation: Operation) -> usize {
        self.standin
            .calls()
            .into_iter()
            .filter(|call| *call == operation)
            .count()
    }
}

thread_local! {
    static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Returns what was logged in this test, at every level, since it last asked.
///
/// One subscriber serves all tests, each of which has a thread of its own: with one a test, `tracing` remembers of a
/// place in the code that nobody listens when another test comes by there first.
pub fn logged() -> Vec<String> {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let write = |line: &str| LINES.with_borrow_mut(|lines| lines.push(line.to_owned()));
        let subscriber = log::subscriber(LevelFilter::TRACE, write);
        tracing::subscriber::set_global_default(subscriber).expect("the only subscriber");
    });
    LINES.take()
}

/// What a pipeline was told of its job.
#[derive(Debug)]
pub struct Told {
    pub state: Option<JobState>,
    pub answer: JobResult,
}

impl Told {
    fn text(&self) -> String {
        let body = &self.answer.body;
        let text = body
            .pointer("/failureDetails/message")
            .or_else(|| body.pointer("/executionDetails/summary"));
        text.and_then(Value::as_str).expect("a text").to_owned()
    }

    /// Returns the failure's type and message.
    pub fn failure(&self) -> (&str, &str) {
        assert_eq!(self.state, Some(JobState::Failed), "{:#?}", self.answer);
        let detail = |name: &str| {
            self.answer.body["failureDetails"][name]
                .as_str()
                .expect("a text")
        };
        (detail("type"), detail("message"))
    }

    /// Returns the summary of a job that another one goes on with.
    pub fn goes_on(&self) -> &str {
        assert_eq!(self.state, Some(JobState::Continued), "{:#?}", self.answer);
        self.answer.body["executionDetails"]["summary"]
            .as_str()
            .expect("a summary")
    }

    /// Returns an output variable of a job that succeeded.
    pub fn variable(&self, name: &str) -> &str {
        assert_eq!(self.state, Some(JobState::Succeeded), "{:#?}", self.answer);
        self.answer.body["outputVariables"][name]
            .as_str()
            .expect("a variable")
    }
}

/// Returns a distribution's configuration, whose one origin is the bucket.
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

pub fn invocation(left: Duration) -> Invocation {
    Invocation::new(
        SystemTime::now() + left,
        "arn:aws:lambda:eu-west-1:111122223333:function:invalidator",
    )
}
