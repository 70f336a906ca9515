//! The changes of the buckets, and the queue with their messages.
//!
//! A received message is hidden for the visibility timeout. A message that was received ten times and is not deleted
//! moves to the dead-letter queue. Nothing is delivered twice: the soak covers that.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{MAX_RECEIVES, NOTIFIED_AFTER, Scenario, account, random::Random};
use crate::standin::iso8601;

/// A changed object, and its message.
#[derive(Clone, Debug)]
pub struct Change {
    /// When it changed, after the start.
    pub changed: Duration,
    /// The number of the site; with a shared bucket, it is zero.
    pub site: usize,
    page: usize,
    receives: u32,
}

/// The changes with the state of their messages.
#[derive(Debug)]
pub struct Queue {
    pub changes: Vec<Change>,
    /// When the next receive of a message is possible.
    visible: BinaryHeap<Reverse<(Instant, usize)>>,
    /// The messages that a poller has.
    in_flight: usize,
    visibility_timeout: Duration,
    started: Instant,
    pub dead: Vec<usize>,
    pub receive_calls: usize,
    pub receives: usize,
}

/// The pages of a directory of a site.
const PAGES_PER_DIRECTORY: usize = 50;
/// The pages of a site whose changes are spread over time.
const PAGES: usize = 2_000;

impl Change {
    /// Returns the key of the object.
    pub fn key(&self) -> String {
        let directory = self.page / PAGES_PER_DIRECTORY;
        format!("section-{directory}/page-{}.html", self.page)
    }
}

impl Queue {
    pub fn new(scenario: &Scenario, started: Instant) -> Self {
        let changes = changes(scenario);
        let visible = changes.iter().enumerate();
        let visible = visible
            .map(|(id, change)| Reverse((started + change.changed + NOTIFIED_AFTER, id)))
            .collect();
        Self {
            changes,
            visible,
            in_flight: 0,
            visibility_timeout: scenario.visibility_timeout(),
            started,
            dead: Vec::new(),
            receive_calls: 0,
            receives: 0,
        }
    }

    /// Returns when the next message is visible.
    pub fn next_visible(&self) -> Option<Instant> {
        self.visible.peek().map(|Reverse((visible, _))| *visible)
    }

    /// Returns whether every message is deleted or in the dead-letter queue.
    pub fn is_empty(&self) -> bool {
        self.visible.is_empty() && self.in_flight == 0
    }

    /// Receives up to ten messages, with the time at which each is visible again.
    pub fn receive(&mut self) -> Vec<(usize, Instant)> {
        let now = Instant::now();
        let mut received = Vec::new();
        self.receive_calls += 1;
        while received.len() < 10 && self.next_visible().is_some_and(|visible| visible <= now) {
            let Some(Reverse((_, id))) = self.visible.pop() else {
                break;
            };
            let change = &mut self.changes[id];
            if change.receives == MAX_RECEIVES {
                self.dead.push(id);
                continue;
            }
            change.receives += 1;
            received.push((id, now + self.visibility_timeout));
        }
        self.in_flight += received.len();
        self.receives += received.len();
        received
    }

    /// Deletes a received message, or leaves it until it is visible again.
    pub fn finish(&mut self, id: usize, visible_again: Instant, failed: bool) {
        self.in_flight -= 1;
        if failed {
            self.visible.push(Reverse((visible_again, id)));
        }
    }

    /// Returns the message as it is in Lambda's event.
    pub fn record(&self, scenario: &Scenario, id: usize, start_of_clock: SystemTime) -> Value {
        let change = &self.changes[id];
        let changed = start_of_clock + change.changed;
        let bucket = account::bucket(scenario, change.site);
        let key = change.key();
        let sequencer = format!("{id:018X}");
        let time = iso8601(changed);
        // Written as text: parsing and printing a `Value` for each message would take most of the time.
        let body = format!(
            "{{\"Records\":[{{\"eventVersion\":\"2.1\",\"eventSource\":\"aws:s3\",\"awsRegion\":\"us-east-1\",\
             \"eventTime\":\"{time}\",\"eventName\":\"ObjectCreated:Put\",\
             \"userIdentity\":{{\"principalId\":\"AWS:AIDAEXAMPLE\"}},\
             \"requestParameters\":{{\"sourceIPAddress\":\"192.0.2.1\"}},\
             \"responseElements\":{{\"x-amz-request-id\":\"EXAMPLE\",\"x-amz-id-2\":\"EXAMPLE\"}},\
             \"s3\":{{\"s3SchemaVersion\":\"1.0\",\"configurationId\":\"changes\",\
             \"bucket\":{{\"name\":\"{bucket}\",\"ownerIdentity\":{{\"principalId\":\"EXAMPLE\"}},\
             \"arn\":\"arn:aws:s3:::{bucket}\"}},\
             \"object\":{{\"key\":\"{key}\",\"size\":1024,\"eTag\":\"b1946ac92492d2347c6235b4d2611184\",\
             \"sequencer\":\"{sequencer}\"}}}}}}]}}"
        );
        let sent = (changed + NOTIFIED_AFTER).duration_since(UNIX_EPOCH);
        json!({
            "messageId": id.to_string(),
            "receiptHandle": "EXAMPLE",
            "body": body,
            "attributes": {
                "ApproximateReceiveCount": change.receives.to_string(),
                "SentTimestamp": sent.unwrap_or_default().as_millis().to_string(),
            },
            "messageAttributes": {},
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:us-east-1:111122223333:changes",
            "awsRegion": "us-east-1",
        })
    }

    pub fn started(&self) -> Instant {
        self.started
    }
}

/// Returns the changes in order of time.
fn changes(scenario: &Scenario) -> Vec<Change> {
    let mut random = Random::new(1);
    let count = scenario.load.changes();
    let interval = scenario.load.duration().div_f64(count as f64);
    let buckets = match scenario.shares_bucket {
        true => 1,
        false => scenario.distributions,
    };
    let change = |number: usize| Change {
        changed: interval.mul_f64(number as f64),
        site: random.below(buckets),
        page: match scenario.load {
            super::Load::Steady { .. } => random.below(PAGES),
            super::Load::Deploy { .. } => number,
        },
        receives: 0,
    };
    (0..count).map(change).collect()
}
