//! The event source mapping: what takes messages from the queue to the function, and deletes those that are done.
//!
//! A batch is what came within the batching window, up to 10,000 messages and 6 MB. The messages that the answer
//! lists, or all of them where there is no proper answer, are left to come again; the others are deleted. Two lanes
//! run at a time, which is the least that Lambda's MaximumConcurrency can be set to.
//!
//! Rules: <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html>

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::Pace;
use super::deploys::Notice;
use super::envelope::body;
use super::lambda::{Answer, Function, Sandbox};
use super::queue::Queue;
use super::random::Random;
use super::sabotage::Sabotage;
use crate::standin::Standin;

const LARGEST_BATCH: usize = 10_000;
const LARGEST_EVENT: usize = 6 * 1024 * 1024;
/// A key has at most 1,024 bytes, three times as many once encoded, and is in the message once.
const LARGEST_RECORD: usize = 8 * 1024;
const POLL: Duration = Duration::from_millis(20);
const MOST_CRASHES: usize = 20;

/// What was seen between queue and function.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub invocations: usize,
    pub kills: usize,
    pub timeouts: usize,
    pub failed: usize,
    pub malformed: usize,
    pub crashes: Vec<String>,
    pub largest_batch: (usize, Duration),
    pub longest: (usize, Duration),
}

/// Two lanes between a queue and a function.
pub struct Mapping<'a> {
    pub pace: &'a Pace,
    pub queue: &'a RefCell<Queue>,
    pub notices: &'a [Notice],
    pub function: &'a Function,
    pub standin: &'a Standin,
    pub sabotage: Option<Sabotage>,
    pub give_up_at: SystemTime,
    pub random: RefCell<Random>,
    pub tally: RefCell<Tally>,
    /// How many invocations it is until the next one is killed.
    pub until_kill: Cell<usize>,
}

struct Batch {
    ids: Vec<usize>,
    event: String,
}

impl Mapping<'_> {
    /// Runs until the queue is drained or it is time to give up.
    pub async fn run(&self) -> io::Result<()> {
        let (one, other) = tokio::join!(self.lane(), self.lane());
        one.and(other)
    }

    async fn lane(&self) -> io::Result<()> {
        let mut sandbox = None;
        while let Some(batch) = self.collect().await {
            let mut warm = match sandbox.take() {
                Some(warm) => warm,
                None => Sandbox::start(self.function).await?,
            };
            let answer = self.invoke(&mut warm, &batch).await;
            if matches!(answer, Answer::Returned(_) | Answer::Failed(_)) {
                sandbox = Some(warm);
            }
            self.settle(&batch, answer)?;
        }
        Ok(())
    }

    /// Waits for a first message, then for more until the window closes or the batch is full.
    async fn collect(&self) -> Option<Batch> {
        let mut batch = Batch {
            ids: Vec::new(),
            event: "{\"Records\":[".to_owned(),
        };
        let mut room_left = true;
        while batch.ids.is_empty() {
            if SystemTime::now() > self.give_up_at {
                return None;
            }
            self.queue.borrow().next_visible()?;
            sleep(POLL).await;
            room_left = self.fill(&mut batch);
        }
        let window_closes = Instant::now() + self.pace.batching_window;
        while room_left && Instant::now() < window_closes {
            sleep(POLL).await;
            room_left = self.fill(&mut batch);
        }
        batch.event.push_str("]}");
        Some(batch)
    }

    /// Takes what is visible; tells whether there is room for more.
    fn fill(&self, batch: &mut Batch) -> bool {
        let has_room = |batch: &Batch| {
            batch.ids.len() < LARGEST_BATCH && batch.event.len() + LARGEST_RECORD < LARGEST_EVENT
        };
        while has_room(batch) {
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

    /// Writes a message as Lambda hands it on.
    fn record(&self, id: usize) -> String {
        let queue = self.queue.borrow();
        let message = queue.message(id);
        let notice = &self.notices[message.notice];
        let body = match self.sabotage {
            Some(sabotage) => body(&sabotage.of_notice(notice)),
            None => body(notice),
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

    async fn invoke(&self, sandbox: &mut Sandbox, batch: &Batch) -> Answer {
        let before = Instant::now();
        self.tally.borrow_mut().invocations += 1;
        let answer = match self.sabotage.and_then(Sabotage::answer) {
            Some(answer) => answer,
            None => sandbox.invoke(batch.event.clone(), self.death()).await,
        };
        let tally = &mut *self.tally.borrow_mut();
        let took = (batch.ids.len(), before.elapsed());
        tally.largest_batch = tally.largest_batch.max(took);
        if took.1 > tally.longest.1 {
            tally.longest = took;
        }
        answer
    }

    /// Comes when the function is to be killed: soon after it called CloudFront, if it is its turn.
    ///
    /// Before that call there is nothing that a kill could spoil; after it there is an invalidation whose caller
    /// never heard of it, or one that was about to be made.
    async fn death(&self) {
        let left = self.until_kill.get().saturating_sub(1);
        self.until_kill.set(left);
        if left > 0 {
            return std::future::pending().await;
        }
        let calls = self.standin.calls().len();
        while self.standin.calls().len() == calls {
            sleep(Duration::from_millis(2)).await;
        }
        let moment = self.random.borrow_mut().up_to(self.pace.kill_within);
        sleep(moment).await;
    }

    fn settle(&self, batch: &Batch, answer: Answer) -> io::Result<()> {
        let failed = self.failed(batch, answer);
        let now = SystemTime::now();
        let mut queue = self.queue.borrow_mut();
        for id in batch.ids.iter().filter(|id| !failed.contains(id)) {
            queue.delete(*id, now);
        }
        let crashes = &self.tally.borrow().crashes;
        match crashes.last() {
            Some(last) if crashes.len() > MOST_CRASHES => Err(io::Error::other(format!(
                "the function crashes again and again, at last so: {last}"
            ))),
            _ => Ok(()),
        }
    }

    /// Returns the messages that are to come again.
    fn failed(&self, batch: &Batch, answer: Answer) -> BTreeSet<usize> {
        let tally = &mut *self.tally.borrow_mut();
        let all = || batch.ids.iter().copied().collect();
        match answer {
            Answer::Returned(answer) => {
                let failed = failures(&answer, &batch.ids);
                tally.malformed += usize::from(failed.is_none());
                match self.sabotage {
                    Some(Sabotage::Forgets) => BTreeSet::new(),
                    _ => failed.unwrap_or_else(all),
                }
            }
            Answer::Failed(_) => {
                tally.failed += 1;
                all()
            }
            Answer::Killed => {
                tally.kills += 1;
                self.until_kill.set(self.pace.kill_every);
                all()
            }
            Answer::TimedOut => {
                tally.timeouts += 1;
                all()
            }
            Answer::Crashed(why) => {
                tally.crashes.push(why);
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

/// Reads a partial batch response; none where Lambda would take the whole batch as failed.
fn failures(answer: &[u8], batch: &[usize]) -> Option<BTreeSet<usize>> {
    if answer.is_empty() {
        return Some(BTreeSet::new());
    }
    let batch: BTreeSet<usize> = batch.iter().copied().collect();
    let answer: Value = serde_json::from_slice(answer).ok()?;
    let listed = match &answer {
        Value::Null => &Value::Null,
        Value::Object(members) => members.get("batchItemFailures").unwrap_or(&Value::Null),
        _ => return None,
    };
    let listed = match listed {
        Value::Null => return Some(BTreeSet::new()),
        Value::Array(listed) => listed,
        _ => return None,
    };
    let id_of = |failure: &Value| {
        let text = failure.get("itemIdentifier")?.as_str()?;
        let id = text.rsplit('-').next()?.parse().ok()?;
        (batch.contains(&id) && message_id(id) == text).then_some(id)
    };
    listed.iter().map(id_of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_answers_as_lambda_does() {
        let one = "{\"batchItemFailures\":[{\"itemIdentifier\":\"00000000-0000-4000-8000-000000000007\"}]}";
        for (answer, expected) in [
            ("", Some(vec![])),
            ("null", Some(vec![])),
            ("{}", Some(vec![])),
            ("{\"batchItemFailures\":null}", Some(vec![])),
            ("{\"batchItemFailures\":[]}", Some(vec![])),
            (one, Some(vec![7])),
            (&one.replace("07\"", "08\""), None),
            (&one.replace("itemIdentifier", "id"), None),
            ("{\"batchItemFailures\":[{\"itemIdentifier\":\"\"}]}", None),
            ("{\"batchItemFailures\":[{\"itemIdentifier\":null}]}", None),
            ("\"done\"", None),
            ("{\"batchItemFailures\"", None),
        ] {
            let read = failures(answer.as_bytes(), &[5, 7]);
            let expected = expected.map(|ids| ids.into_iter().collect());
            assert_eq!(read, expected, "{answer}");
        }
    }
}
