//! The event source mapping: two pollers collect batches, invoke the function and delete the messages that succeeded.
//!
//! A poller receives ten messages at a time. It invokes the function when the batching window closes, or at 10,000
//! messages or 6 MB. It does not receive while the function runs. Each poller has an environment of the function of its
//! own, which stays warm.
//!
//! Rules: <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html>

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use cloudfront_invalidator::account::Account;
use cloudfront_invalidator::handler::Invalidator;
use cloudfront_invalidator::invocation::Invocation;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until};

use super::connector::{CloudFront, Created};
use super::freshness::Freshness;
use super::queue::Queue;
use super::{FUNCTION_TIMEOUT, Scenario};

const MAX_BATCH_MESSAGES: usize = 10_000;
const MAX_EVENT_BYTES: usize = 6 * 1024 * 1024;
/// What S3's message about a key of usual length has in Lambda's event, with its receipt handle: estimated.
pub const RECORD_BYTES: usize = 2_000;
/// How long a ReceiveMessage takes that returns messages.
const RECEIVE_TIME: Duration = Duration::from_millis(20);

/// What happened between the queue and CloudFront.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// When each invocation started, how long it took, and how many messages it had.
    pub invocations: Vec<(Instant, Duration, usize)>,
    pub created: Vec<Created>,
    /// When messages were deleted, by calls of up to ten.
    pub delete_calls: usize,
    /// Messages that the function reported as successful although nothing invalidated them.
    pub lost: usize,
    /// When an invocation had to be ended by its time, or failed as a whole.
    pub failed_invocations: Vec<(Instant, String)>,
    /// When messages failed first because the wildcards of a distribution were in use.
    pub without_wildcard: Option<Instant>,
}

pub struct EventSourceMapping<'a> {
    pub scenario: &'a Scenario,
    pub queue: RefCell<Queue>,
    pub cloudfront: &'a CloudFront,
    pub freshness: RefCell<Freshness>,
    pub record: RefCell<Record>,
    pub start_of_clock: SystemTime,
    pub give_up_at: Instant,
}

impl EventSourceMapping<'_> {
    /// Polls until all messages are deleted or in the dead-letter queue.
    pub async fn poll(&self, function: &Invalidator) {
        while let Some(batch) = self.collect().await {
            let failed = self.invoke(function, &batch).await;
            self.note_created();
            let mut queue = self.queue.borrow_mut();
            let mut record = self.record.borrow_mut();
            for (id, visible_again) in &batch {
                let is_failed = failed.contains(id);
                queue.finish(*id, *visible_again, is_failed);
                record.lost +=
                    usize::from(!is_failed && !self.freshness.borrow().is_invalidated(*id));
            }
            record.delete_calls += (batch.len() - failed.len()).div_ceil(10);
        }
    }

    /// Passes on what CloudFront accepted.
    pub fn note_created(&self) {
        let queue = self.queue.borrow();
        for created in self.cloudfront.take_created() {
            if created.error.is_none() {
                self.freshness.borrow_mut().add(&created, &queue.changes);
            }
            self.record.borrow_mut().created.push(created);
        }
    }

    /// Receives the messages of one batch; `None` if there are no more.
    async fn collect(&self) -> Option<Vec<(usize, Instant)>> {
        let mut batch = Vec::new();
        let mut window_closes = None;
        loop {
            let now = Instant::now();
            if window_closes.is_some_and(|closes| closes <= now) {
                return Some(batch);
            }
            if now >= self.give_up_at || self.queue.borrow().is_empty() {
                return (!batch.is_empty()).then_some(batch);
            }
            let received = self.queue.borrow_mut().receive();
            if received.is_empty() {
                // A message of the other poller can become visible again.
                let visible = self.queue.borrow().next_visible();
                let next = visible.unwrap_or(now + super::LONG_POLL);
                let next = next.min(now + super::LONG_POLL);
                sleep_until(window_closes.map_or(next, |closes| next.min(closes))).await;
                continue;
            }
            batch.extend(received);
            window_closes.get_or_insert(now + self.scenario.window);
            if batch.len() + 10 > MAX_BATCH_MESSAGES
                || (batch.len() + 10) * RECORD_BYTES > MAX_EVENT_BYTES
            {
                return Some(batch);
            }
            sleep(RECEIVE_TIME).await;
        }
    }

    /// Returns the messages that failed.
    async fn invoke(&self, function: &Invalidator, batch: &[(usize, Instant)]) -> BTreeSet<usize> {
        let started = Instant::now();
        let records: Vec<Value> = {
            let queue = self.queue.borrow();
            let record =
                |(id, _): &(usize, Instant)| queue.record(self.scenario, *id, self.start_of_clock);
            batch.iter().map(record).collect()
        };
        let event = json!({ "Records": records }).to_string();
        let number = self.record.borrow().invocations.len();
        let answer = function.answer(event, &invocation(number)).await;
        let mut record = self.record.borrow_mut();
        let took = (started, started.elapsed(), batch.len());
        record.invocations.push(took);
        match answer {
            Ok(answer) => {
                let failure = answer.failure.map(|error| error.to_string());
                if failure.is_some_and(|error| error.contains("needs another wildcard")) {
                    record.without_wildcard.get_or_insert(started);
                }
                let failures = answer.response["batchItemFailures"].as_array();
                let failures = failures.into_iter().flatten();
                let ids = failures.filter_map(|failure| failure["itemIdentifier"].as_str());
                ids.map(|id| id.parse().expect("a number")).collect()
            }
            Err(error) => {
                let failed = (started, error.to_string());
                record.failed_invocations.push(failed);
                batch.iter().map(|(id, _)| *id).collect()
            }
        }
    }
}

/// Returns an invocation that starts now.
pub fn invocation(number: usize) -> Invocation {
    let received = Instant::now();
    Invocation {
        received,
        deadline: received + FUNCTION_TIMEOUT,
        account: Account::from_arn("arn:aws:lambda:us-east-1:111122223333:function:invalidator"),
        request_id: number.to_string(),
        metrics: Default::default(),
    }
}
