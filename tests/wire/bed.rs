//! What the tests share: the function in its world, and what came of an event.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use aws_sdk_cloudfront::config::retry::RetryConfig;
use aws_types::SdkConfig;
use cloudfront_invalidator::failure::Failure;
use cloudfront_invalidator::flow::Function;
use cloudfront_invalidator::invocation::Invocation;
use cloudfront_invalidator::{aws, settings::Settings};
use serde_json::Value;

use crate::standin::{Answer, JobState, Operation, Options, Standin};

pub const FIRST: &str = "E1EXAMPLE1ABC";
pub const SECOND: &str = "E2EXAMPLE1ABC";

/// A function whose SDK talks to a stand-in.
pub struct Bed {
    pub standin: Standin,
    variables: BTreeMap<String, String>,
}

impl Bed {
    /// Starts stand-ins that know two distributions; the function's setting names the first.
    pub fn start() -> Self {
        Self::with(Options::default())
    }

    pub fn with(options: Options) -> Self {
        let standin = Standin::start(options.with_distribution(FIRST).with_distribution(SECOND));
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

    /// Hands the event to a new function with a minute of time.
    pub async fn handle(&self, event: &Value) -> Result<String, Failure> {
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
            Ok(told.text()),
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
        let answers = self.standin.answers();
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

/// What a pipeline was told of its job.
#[derive(Debug)]
pub struct Told {
    pub state: Option<JobState>,
    pub answer: Answer,
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

    /// Returns an output variable of a job that succeeded.
    pub fn variable(&self, name: &str) -> &str {
        assert_eq!(self.state, Some(JobState::Succeeded), "{:#?}", self.answer);
        self.answer.body["outputVariables"][name]
            .as_str()
            .expect("a variable")
    }
}

pub fn invocation(left: Duration) -> Invocation {
    Invocation::new(
        SystemTime::now() + left,
        "arn:aws:lambda:eu-west-1:111122223333:function:invalidator",
    )
}
