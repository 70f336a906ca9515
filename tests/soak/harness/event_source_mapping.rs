//! The event source mapping: invokes the function with batches from the queue and deletes the successful messages.
//!
//! A batch is what arrives within the batching window, up to 10,000 messages and 6 MB. The response lists the failed
//! messages; without a valid response, all of them failed. Failed messages stay in the queue and are received again.
//! Two pollers run concurrently, which is the lowest value of Lambda's MaximumConcurrency.
//!
//! Rules: <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html>

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::Pace;
use super::deploys::Notification;
use super::envelope::body;
use super::lambda::{ExecutionEnvironment, Function, Outcome};
use super::queue::Queue;
use super::random::Random;
use super::sabotage::Sabotage;
use crate::standin::Standin;

const MAX_BATCH_MESSAGES: usize = 10_000;
const MAX_EVENT_BYTES: usize = 6 * 1024 * 1024;
/// A key has at most 1,024 bytes, three times as many when encoded, and is in the message once.
const MAX_RECORD_BYTES: usize = 8 * 1024;
const POLL_INTERVAL: Duration = Duration::from_millis(20);
const MAX_CRASHES: usize = 20;

/// What happened between the queue and the function.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    pub invocations: usize,
    pub kills: usize,
    pub timeouts: usize,
    pub failed: usize,
    pub malformed: usize,
    pub crashes: Vec<String>,
    /// Messages and duration of the largest batch.
    pub largest_batch: (usize, Duration),
    /// Messages and duration of the longest invocation.
    pub longest: (usize, Duration),
}

/// The event source mapping of a queue and a function.
pub struct EventSourceMapping<'a> {
    pub pace: &'a Pace,
    pub queue: &'a RefCell<Queue>,
    pub notifications: &'a [Notification],
    pub function: &'a Function,
    pub standin: &'a Standin,
    pub sabotage: Option<Sabotage>,
    pub give_up_at: SystemTime,
    pub random: RefCell<Random>,
    pub counters: RefCell<Counters>,
    /// How many invocations remain until one is killed.
    pub until_kill: Cell<usize>,
    /// Environments from earlier invocations.
    pub warm: RefCell<Vec<ExecutionEnvironment>>,
}

struct Batch {
    ids: Vec<usize>,
    event: String,
}

impl EventSourceMapping<'_> {
    /// Runs until the queue is drained or the soak gives up.
    pub async fn run(&self) -> io::Result<()> {
        let (first, second) = tokio::join!(self.poll(), self.poll());
        first.and(second)
    }

    async fn poll(&self) -> io::Result<()> {
        let mut environment = self.warm.borrow_mut().pop();
        while let Some(batch) = self.collect().await {
            let mut warm = match environment.take() {
                Some(warm) => warm,
                None => ExecutionEnvironment::start(self.function).await?,
            };
            let outcome = self.invoke(&mut warm, &batch).await;
            if matches!(outcome, Outcome::Returned(_) | Outcome::Failed(_)) {
                environment = Some(warm);
            }
            self.finish(&batch, outcome)?;
        }
        self.warm.borrow_mut().extend(environment);
        Ok(())
    }

    /// Waits for a first message, then for more until the window closes or the batch is full.
    async fn collect(&self) -> Option<Batch> {
        let mut batch = Batch {
            ids: Vec::new(),
            event: "{\"Records\":[".to_owned(),
        };
        let mut has_space = true;
        while batch.ids.is_empty() {
            if SystemTime::now() > self.give_up_at {
                return None;
            }
            self.queue.borrow().next_visible()?;
            sleep(POLL_INTERVAL).await;
            has_space = self.fill(&mut batch);
        }
        let window_closes = Instant::now() + self.pace.batching_window;
        while has_space && Instant::now() < window_closes {
            sleep(POLL_INTERVAL).await;
            has_space = self.fill(&mut batch);
        }
        batch.event.push_str("]}");
        Some(batch)
    }

    /// Adds the visible messages; returns whether the batch has space for more.
    fn fill(&self, batch: &mut Batch) -> bool {
        let has_space = |batch: &Batch| {
            batch.ids.len() < MAX_BATCH_MESSAGES
                && batch.event.len() + MAX_RECORD_BYTES < MAX_EVENT_BYTES
        };
        while has_space(batch) {
            let Some(id) = self.queue.borrow_mut().receive(SystemTime::now()) else {
                return true;
            };
            if !batch.ids.is_empty() {
                batch.event.push(',');
            }
            batch.ids.push(id);
            batch.event.push_str(&self.record(id));
        }
        false
    }

    /// Writes a message as it is in Lambda's event.
    fn record(&self, id: usize) -> String {
        let queue = self.queue.borrow();
        let message = queue.message(id);
        let notification = &self.notifications[message.notification];
        let body = match self.sabotage {
            Some(sabotage) => body(&sabotage.misread(notification)),
            None => body(notification),
        };
        json!({
            "messageId": message_id(id),
            "receiptHandle": format!("EXAMPLE/{id}/{}", message.receives),
            "body": body,
            "attributes": {
                "ApproximateReceiveCount": message.receives.to_string(),
                "SentTimestamp": milliseconds(message.sent),
                "SenderId": "AIDAEXAMPLE",
                "ApproximateFirstReceiveTimestamp": milliseconds(message.first_received.unwrap_or(message.sent)),
            },
            "messageAttributes": {},
            "md5OfBody": "b1946ac92492d2347c6235b4d2611184",
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:us-east-1:111122223333:changes",
            "awsRegion": "us-east-1",
        })
        .to_string()
    }

    async fn invoke(&self, environment: &mut ExecutionEnvironment, batch: &Batch) -> Outcome {
        let invoked = Instant::now();
        self.counters.borrow_mut().invocations += 1;
        let outcome = match self.sabotage.and_then(Sabotage::response) {
            Some(outcome) => outcome,
            None => {
                environment
                    .invoke(batch.event.clone(), self.time_to_kill())
                    .await
            }
        };
        let counters = &mut *self.counters.borrow_mut();
        let took = (batch.ids.len(), invoked.elapsed());
        counters.largest_batch = counters.largest_batch.max(took);
        if took.1 > counters.longest.1 {
            counters.longest = took;
        }
        outcome
    }

    /// Returns when the function must be killed: soon after its call of CloudFront, or never in most invocations.
    ///
    /// Before that call, a kill has no effect. After it, CloudFront may have an invalidation that the function did not
    /// learn of, or the function may not have created the next one yet.
    async fn time_to_kill(&self) {
        let left = self.until_kill.get().saturating_sub(1);
        self.until_kill.set(left);
        if left > 0 {
            return std::future::pending().await;
        }
        let calls = self.standin.calls().len();
        while self.standin.calls().len() == calls {
            sleep(Duration::from_millis(2)).await;
        }
        let delay = self.random.borrow_mut().up_to(self.pace.kill_within);
        sleep(delay).await;
    }

    fn finish(&self, batch: &Batch, outcome: Outcome) -> io::Result<()> {
        let failed = self.failed_messages(batch, outcome);
        let now = SystemTime::now();
        let mut queue = self.queue.borrow_mut();
        for id in batch.ids.iter().filter(|id| !failed.contains(id)) {
            queue.delete(*id, now);
        }
        let crashes = &self.counters.borrow().crashes;
        match crashes.last() {
            Some(last) if crashes.len() > MAX_CRASHES => Err(io::Error::other(format!(
                "the function keeps crashing, most recently: {last}"
            ))),
            _ => Ok(()),
        }
    }

    /// Returns the messages that stay in the queue.
    fn failed_messages(&self, batch: &Batch, outcome: Outcome) -> BTreeSet<usize> {
        let counters = &mut *self.counters.borrow_mut();
        let all = || batch.ids.iter().copied().collect();
        match outcome {
            Outcome::Returned(response) => {
                let failed = batch_item_failures(&response, &batch.ids);
                counters.malformed += usize::from(failed.is_none());
                match self.sabotage {
                    Some(Sabotage::Forgets) => BTreeSet::new(),
                    _ => failed.unwrap_or_else(all),
                }
            }
            Outcome::Failed(_) => {
                counters.failed += 1;
                all()
            }
            Outcome::Killed => {
                counters.kills += 1;
                self.until_kill.set(self.pace.kill_every);
                all()
            }
            Outcome::TimedOut => {
                counters.timeouts += 1;
                all()
            }
            Outcome::Crashed(reason) => {
                counters.crashes.push(reason);
                all()
            }
        }
    }
}

fn message_id(id: usize) -> String {
    format!("00000000-0000-4000-8000-{id:012}")
}

fn milliseconds(moment: SystemTime) -> String {
    let since_epoch = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
    since_epoch.as_millis().to_string()
}

/// Reads a partial batch response; `None` where Lambda treats the complete batch as failed.
fn batch_item_failures(response: &[u8], batch: &[usize]) -> Option<BTreeSet<usize>> {
    if response.is_empty() {
        return Some(BTreeSet::new());
    }
    let batch: BTreeSet<usize> = batch.iter().copied().collect();
    let response: Value = serde_json::from_slice(response).ok()?;
    let listed = match &response {
        Value::Null => &Value::Null,
        Value::Object(members) => members.get("batchItemFailures").unwrap_or(&Value::Null),
        _ => return None,
    };
    let listed = match listed {
        Value::Null => return Some(BTreeSet::new()),
        Value::Array(listed) => listed,
        _ => return None,
    };
    let message_number = |failure: &Value| {
        let text = failure.get("itemIdentifier")?.as_str()?;
        let id = text.rsplit('-').next()?.parse().ok()?;
        (batch.contains(&id) && message_id(id) == text).then_some(id)
    };
    listed.iter().map(message_number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_responses_as_lambda_does() {
        let seven = "{\"batchItemFailures\":[{\"itemIdentifier\":\"00000000-0000-4000-8000-000000000007\"}]}";
        for (response, expected) in [
            ("", Some(vec![])),
            ("null", Some(vec![])),
            ("{}", Some(vec![])),
            ("{\"batchItemFailures\":null}", Some(vec![])),
            ("{\"batchItemFailures\":[]}", Some(vec![])),
            (seven, Some(vec![7])),
            (&seven.replace("07\"", "08\""), None),
            (&seven.replace("itemIdentifier", "id"), None),
            ("{\"batchItemFailures\":[{\"itemIdentifier\":\"\"}]}", None),
            ("{\"batchItemFailures\":[{\"itemIdentifier\":null}]}", None),
            ("\"done\"", None),
            ("{\"batchItemFailures\"", None),
        ] {
            let read = batch_item_failures(response.as_bytes(), &[5, 7]);
            let expected = expected.map(|ids| ids.into_iter().collect());
            assert_eq!(read, expected, "{response}");
        }
    }
}
