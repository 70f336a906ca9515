//! Delivers notifications and pipeline jobs to the built program, as S3, SQS, CodePipeline and Lambda do.
//!
//! Retries that take minutes in the cloud happen at once here; the frozen clock is advanced by the time that they take,
//! so that invalidations in progress are completed meanwhile.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::soak::Pace;
use super::soak::deploys::{Delivery, Notification};
use super::soak::envelope;
use super::soak::event_source_mapping::EventSourceMapping;
use super::soak::lambda::{ExecutionEnvironment, Function, Outcome};
use super::soak::queue::Queue;
use super::soak::random::Random;
use crate::standin::{JobState, Standin};

const TIMEOUT: Duration = Duration::from_secs(60);
/// Lambda retries an asynchronous invocation after a minute: <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html>
const RETRY_AFTER: Duration = Duration::from_secs(60);
const MAX_TRIES: usize = 10;
/// CodePipeline starts the job that continues another after this time.
const JOB_CONTINUES_AFTER: Duration = Duration::from_secs(30);
/// How often the frozen clock is advanced while a queue is drained, in real time, and by how much.
const TICK: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(5));

/// The deployed function.
pub struct Deployed<'a> {
    pub function: Function,
    pub standin: &'a Standin,
    environment: Option<ExecutionEnvironment>,
}

impl<'a> Deployed<'a> {
    pub fn new(
        program: PathBuf,
        log: Option<PathBuf>,
        standin: &'a Standin,
        settings: &[(&str, &str)],
    ) -> Self {
        let url = standin.url();
        let aws = [
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "secret-of-the-function"),
            ("AWS_SESSION_TOKEN", "token-of-the-function"),
            ("AWS_ENDPOINT_URL", url.as_str()),
        ];
        let variables = aws.iter().chain(settings);
        let variables = variables.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let function = Function {
            program,
            arguments: Vec::new(),
            variables: BTreeMap::from_iter(variables),
            timeout: TIMEOUT,
            log,
        };
        Self {
            function,
            standin,
            environment: None,
        }
    }

    /// Invokes the function with each notification, as S3 and EventBridge do.
    pub async fn deliver_directly(&mut self, notifications: &[Notification]) -> io::Result<()> {
        for notification in notifications {
            self.retry(envelope::body(notification)).await?;
        }
        Ok(())
    }

    /// Sends the notifications to a queue and runs its event source mapping until the queue is empty.
    pub async fn deliver_by_queue(
        &mut self,
        notifications: &[Notification],
        mut random: Random,
    ) -> io::Result<()> {
        let pace = Pace::quick();
        let mut queue = Queue::new(pace.visibility_timeout, pace.max_receives, random.fork());
        for notification in 0..notifications.len() {
            let at = SystemTime::now();
            queue.send(Delivery { notification, at });
        }
        let queue = RefCell::new(queue);
        let mapping = EventSourceMapping {
            pace: &pace,
            queue: &queue,
            notifications,
            function: &self.function,
            standin: self.standin,
            sabotage: None,
            give_up_at: SystemTime::now() + pace.give_up_after,
            random: RefCell::new(random),
            counters: RefCell::default(),
            until_kill: Cell::new(usize::MAX),
            warm: RefCell::new(self.environment.take().into_iter().collect()),
        };
        tokio::select! {
            drained = mapping.run() => drained?,
            () = self.advance_while_waiting() => {}
        }
        self.environment = mapping.warm.take().pop();
        let queue = queue.into_inner();
        let mut messages = queue.messages().iter();
        match messages.find(|message| message.succeeded_at.is_none()) {
            None => Ok(()),
            Some(message) => {
                let key = &notifications[message.notification].key;
                Err(io::Error::other(format!(
                    "the message of {key:?} never succeeded"
                )))
            }
        }
    }

    /// Runs a pipeline job, and those that continue it.
    pub async fn run_job(&mut self, user_parameters: &str) -> io::Result<()> {
        let mut job = self.standin.start_job(Some(user_parameters));
        for _ in 0..MAX_TRIES {
            self.retry(job.event.to_string()).await?;
            let ended = self.standin.job(&job.id);
            match ended.as_ref().map(|job| job.state) {
                Some(JobState::Succeeded) => return Ok(()),
                Some(JobState::Continued) => self.standin.advance(JOB_CONTINUES_AFTER),
                state => {
                    return Err(io::Error::other(format!(
                        "a pipeline job ended as {state:?}"
                    )));
                }
            }
            let next = self.standin.next_job(&job.id);
            job = next.ok_or_else(|| io::Error::other("no job continues a pipeline job"))?;
        }
        Err(io::Error::other("a pipeline job never ends"))
    }

    /// Invokes the function until it succeeds.
    async fn retry(&mut self, event: String) -> io::Result<()> {
        let mut last = None;
        for _ in 0..MAX_TRIES {
            let mut environment = match self.environment.take() {
                Some(environment) => environment,
                None => ExecutionEnvironment::start(&self.function).await?,
            };
            let outcome = environment
                .invoke(event.clone(), std::future::pending())
                .await;
            match outcome {
                Outcome::Returned(_) => {
                    self.environment = Some(environment);
                    return Ok(());
                }
                Outcome::Failed(_) => self.environment = Some(environment),
                _ => {}
            }
            last = Some(outcome);
            self.standin.advance(RETRY_AFTER);
        }
        Err(io::Error::other(format!(
            "the function keeps failing: {last:?}; event: {event}"
        )))
    }

    /// Lets invalidations complete while failed messages are hidden; never returns.
    async fn advance_while_waiting(&self) {
        loop {
            tokio::time::sleep(TICK.0).await;
            self.standin.advance(TICK.1);
        }
    }
}
