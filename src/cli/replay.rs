//! `replay`: sends the changes of objects in a dead-letter queue to the queue of the stack again.
//!
//! A message is deleted only after SQS has accepted its changes, so an interruption loses nothing; at worst a change is
//! sent twice. All other messages are left in place, and are visible again when the command ends.
//!
//! A pipeline job contains temporary credentials. No body is printed.

mod report;

use std::cell::Cell;
use std::collections::HashMap;
use std::pin::pin;
use std::time::Duration;

use chrono::TimeDelta;
use tokio::time::Instant;

use self::report::{LeftReason, Report};
use super::terminal::Progress;
use super::{CliError, Exit, Replay, Session, now, wait};
use crate::aws::sqs::batches::{MAX_BATCH_BYTES, MAX_ENTRIES, ReceivedMessage};
use crate::aws::sqs::{QueueUrl, Sqs};
use crate::error::{Audience, Category, Error};
use crate::excerpt::counted;
use crate::trigger::undelivered::{Undelivered, UndeliveredContent};

/// The tag with the URL of the queue that gets the changes. In `template.yaml`, only `UndeliveredQueue` has it.
const QUEUE_URL_TAG: &str = "cloudfront-invalidator:queue-url";

/// How long received messages are invisible, unless they are released. A run that takes longer receives them again, but
/// does not handle them again.
const VISIBILITY_TIMEOUT: Duration = Duration::from_secs(600);

/// How long a call can take: long enough for messages of 1 MiB over a slow connection.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// After this time, CodePipeline has failed an action whose job has no result
/// ([documentation](https://docs.aws.amazon.com/codepipeline/latest/userguide/limits.html)).
const JOB_TIMEOUT: TimeDelta = TimeDelta::minutes(20);

/// Runs the command.
pub(super) async fn run(session: &Session, replay: &Replay) -> Result<Exit, CliError> {
    let terminal = &session.terminal;
    let queue = parse_url(&replay.queue)?;
    let to = replay.to.as_deref().map(parse_url).transpose()?;
    let sqs = session.connection.sqs().await?;
    let to = match to {
        Some(to) => to,
        None => tagged_queue(&sqs, &queue).await?,
    };
    if to.is_same_queue(&queue) {
        return Err(CliError::usage(format!(
            "the changes of queue {} would be sent to itself: name the dead-letter queue first, and the queue that gets \
             the changes with --to QUEUE-URL",
            queue.name()
        )));
    }
    let route = Route {
        queue,
        to,
        dry_run: replay.dry_run,
    };
    let mut run = Run {
        sqs,
        route: &route,
        audience: terminal.audience(),
        progress: terminal.progress(format!(
            "receiving messages of queue {}",
            route.queue.name()
        )),
        messages: HashMap::new(),
        report: Report::default(),
    };
    let stop = Cell::new(false);
    let result = {
        let mut work = pin!(run.work(&stop));
        tokio::select! {
            result = &mut work => result,
            () = wait::interrupted() => {
                stop.set(true);
                tokio::select! {
                    result = &mut work => result,
                    // The second Ctrl-C.
                    () = wait::interrupted() => Err(CliError::Interrupted(format!(
                        "stopped; received messages of queue {} are visible again within 10 minutes",
                        route.queue.name()
                    ))),
                }
            }
        }
    };
    let Run {
        progress, report, ..
    } = run;
    drop(progress);
    match result {
        Err(error) if report.is_empty() => Err(error),
        result => Ok(report.print(terminal, &route, result.err())),
    }
}

fn parse_url(text: &str) -> Result<QueueUrl, CliError> {
    QueueUrl::parse(text).map_err(|error| CliError::usage(error.to_string()))
}

/// Returns the queue in the tag of a dead-letter queue.
async fn tagged_queue(sqs: &Sqs, queue: &QueueUrl) -> Result<QueueUrl, CliError> {
    let tag = sqs.queue_tag(queue, QUEUE_URL_TAG, deadline()).await?;
    let tag = tag.ok_or_else(|| {
        CliError::usage(format!(
            "queue {} has no tag {QUEUE_URL_TAG}: name the queue that gets the changes with --to QUEUE-URL",
            queue.name()
        ))
    })?;
    let place = format!("tag {QUEUE_URL_TAG} of queue {}", queue.name());
    Ok(QueueUrl::parse(&tag).map_err(|error| error.context(place))?)
}

/// Where messages are received and sent.
struct Route {
    /// The dead-letter queue.
    queue: QueueUrl,
    /// The queue that gets the changes.
    to: QueueUrl,
    /// Whether nothing is sent.
    dry_run: bool,
}

/// A run of the command.
struct Run<'a> {
    sqs: Sqs,
    route: &'a Route,
    audience: &'a Audience,
    progress: Progress,
    /// Each message that was received, by its id.
    messages: HashMap<String, MessageState>,
    report: Report,
}

/// Where a received message is.
enum MessageState {
    /// In the dead-letter queue, but invisible. When the run ends, it is released by this receipt handle.
    Held(String),
    Deleted,
}

/// A message whose changes can be sent.
struct Sendable {
    id: String,
    body: String,
}

impl Run<'_> {
    /// Receives and handles messages until the queue is empty or `stop` is set, and releases those that are left.
    async fn work(&mut self, stop: &Cell<bool>) -> Result<(), CliError> {
        let result = self.handle_all(stop).await;
        self.release().await;
        result
    }

    async fn handle_all(&mut self, stop: &Cell<bool>) -> Result<(), CliError> {
        loop {
            let received = self.receive().await?;
            let is_empty = received.is_empty();
            let (new, again_after_delete) = self.hold(received);
            if stop.get() {
                return Err(CliError::Interrupted(format!(
                    "stopped; messages that were not sent are left in queue {}: run the command again",
                    self.route.queue.name()
                )));
            }
            if is_empty {
                return Ok(());
            }
            self.delete(again_after_delete).await?;
            let sendable = self.read(new);
            if !self.route.dry_run {
                self.send(sendable).await?;
            }
            let Report { received, sent, .. } = &self.report;
            let received = counted(*received, "message");
            self.progress
                .set_text(format!("received {received}, sent {sent}"));
        }
    }

    async fn receive(&mut self) -> Result<Vec<ReceivedMessage>, Error> {
        let received = self
            .sqs
            .receive_messages(&self.route.queue, VISIBILITY_TIMEOUT, deadline())
            .await;
        received.inspect_err(|error| {
            if error.category() == Category::Unavailable {
                self.report.warn(format!(
                    "messages that SQS sent in a lost response are visible again in queue {} within 10 minutes",
                    self.route.queue.name()
                ));
            }
        })
    }

    /// Remembers received messages. Returns those that are received for the first time, and the ids of those that SQS
    /// delivers although they are deleted.
    fn hold(&mut self, received: Vec<ReceivedMessage>) -> (Vec<ReceivedMessage>, Vec<String>) {
        let mut new = Vec::new();
        let mut again_after_delete = Vec::new();
        for message in received {
            let state = MessageState::Held(message.receipt_handle.clone());
            match self.messages.insert(message.id.clone(), state) {
                None => new.push(message),
                Some(MessageState::Deleted) => again_after_delete.push(message.id),
                Some(MessageState::Held(_)) => {}
            }
        }
        (new, again_after_delete)
    }

    /// Returns the messages with changes; the others are left.
    fn read(&mut self, messages: Vec<ReceivedMessage>) -> Vec<Sendable> {
        let mut sendable = Vec::new();
        let report = &mut self.report;
        for ReceivedMessage { id, body, sent, .. } in messages {
            report.received += 1;
            let Undelivered { content, failure } = Undelivered::from_body(&body);
            match content {
                UndeliveredContent::Changes { body, unreadable } => {
                    report.plan(failure);
                    if let Some(error) = Error::join(unreadable) {
                        report.warn(format!(
                            "a message with changes has a part that cannot be read, so it returns to a dead-letter \
                             queue: {error}"
                        ));
                    }
                    sendable.push(Sendable { id, body });
                }
                UndeliveredContent::PipelineJob => {
                    let is_expired = sent.is_some_and(|sent| now() - sent > JOB_TIMEOUT);
                    let reason = match is_expired {
                        true => LeftReason::ExpiredPipelineJob,
                        false => LeftReason::PipelineJob,
                    };
                    report.leave(reason, failure);
                }
                UndeliveredContent::DirectInvocation => {
                    report.leave(LeftReason::DirectInvocation, failure);
                }
                UndeliveredContent::Unknown(error) => {
                    // The error of the function is more precise: it names the keys of the event.
                    let error = failure.unwrap_or_else(|| error.to_string());
                    report.leave(LeftReason::Unknown, Some(error));
                }
            }
        }
        sendable
    }

    /// Sends messages, and deletes each one that SQS accepted.
    async fn send(&mut self, messages: Vec<Sendable>) -> Result<(), Error> {
        let mut stopped_by = None;
        for batch in batches(messages) {
            let result = match &stopped_by {
                Some(error) => Err(Error::clone(error)),
                None => self.send_batch(&batch).await,
            };
            match result {
                Ok(sent) => stopped_by = self.delete(sent).await.err(),
                Err(error) => {
                    for _message in &batch {
                        let error = error.message(self.audience);
                        self.report.leave(LeftReason::NotSent, Some(error));
                    }
                    stopped_by = Some(error);
                }
            }
        }
        stopped_by.map_or(Ok(()), Err)
    }

    /// Sends a batch, and returns the ids of the messages that SQS accepted.
    async fn send_batch(&mut self, batch: &[Sendable]) -> Result<Vec<String>, Error> {
        let bodies: Vec<_> = batch.iter().map(|message| message.body.as_str()).collect();
        let results = self.sqs.send_messages(&self.route.to, &bodies, deadline());
        let mut sent = Vec::new();
        for (message, result) in batch.iter().zip(results.await?) {
            match result {
                Ok(()) => {
                    self.report.sent += 1;
                    sent.push(message.id.clone());
                }
                Err(error) => {
                    let error = error.message(self.audience);
                    self.report.leave(LeftReason::NotSent, Some(error));
                }
            }
        }
        Ok(sent)
    }

    /// Deletes messages that were sent.
    async fn delete(&mut self, ids: Vec<String>) -> Result<(), Error> {
        let ids = ids
            .into_iter()
            .filter_map(|id| match self.messages.get(&id)? {
                MessageState::Held(receipt_handle) => Some((id, receipt_handle.clone())),
                MessageState::Deleted => None,
            });
        let (ids, receipt_handles): (Vec<_>, Vec<_>) = ids.unzip();
        if ids.is_empty() {
            return Ok(());
        }
        let receipt_handles: Vec<_> = receipt_handles.iter().map(String::as_str).collect();
        let results = self
            .sqs
            .delete_messages(&self.route.queue, &receipt_handles, deadline())
            .await;
        let (results, stopped_by) = match results {
            Ok(results) => (results, Ok(())),
            Err(error) => (vec![Err(error.clone()); ids.len()], Err(error)),
        };
        for (id, result) in ids.into_iter().zip(results) {
            match result {
                Ok(()) => {
                    self.messages.insert(id, MessageState::Deleted);
                }
                Err(error) => {
                    let error = error.message(self.audience);
                    self.report.leave(LeftReason::NotDeleted, Some(error));
                }
            }
        }
        stopped_by
    }

    /// Makes the messages that are left visible at once.
    async fn release(&mut self) {
        let held = self.messages.values().filter_map(|state| match state {
            MessageState::Held(receipt_handle) => Some(receipt_handle.as_str()),
            MessageState::Deleted => None,
        });
        let held: Vec<_> = held.collect();
        let mut errors = Vec::new();
        for receipt_handles in held.chunks(MAX_ENTRIES) {
            let results = self
                .sqs
                .release_messages(&self.route.queue, receipt_handles, deadline())
                .await;
            match results {
                Ok(results) => errors.extend(results.into_iter().filter_map(Result::err)),
                Err(error) => {
                    errors.push(error);
                    break;
                }
            }
        }
        if let Some(error) = errors.first() {
            self.report.warn(format!(
                "messages are left in queue {} that are not visible before 10 minutes are over: {}",
                self.route.queue.name(),
                error.message(self.audience)
            ));
        }
    }
}

fn deadline() -> Instant {
    Instant::now() + CALL_TIMEOUT
}

/// Divides messages into batches that SQS accepts.
fn batches(messages: Vec<Sendable>) -> Vec<Vec<Sendable>> {
    let mut batches: Vec<Vec<Sendable>> = Vec::new();
    let mut bytes = 0;
    for message in messages {
        bytes += message.body.len();
        match batches.last_mut() {
            Some(batch) if batch.len() < MAX_ENTRIES && bytes <= MAX_BATCH_BYTES => {
                batch.push(message);
            }
            _ => {
                bytes = message.body.len();
                batches.push(vec![message]);
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_has_ten_messages_and_a_mebibyte_at_most() {
        const MEBIBYTE: usize = 1_048_576;
        for (lengths, expected) in [
            (vec![], vec![]),
            (vec![1; 21], vec![10, 10, 1]),
            (vec![MEBIBYTE], vec![1]),
            (vec![MEBIBYTE, 1], vec![1, 1]),
            (vec![MEBIBYTE - 1, 1, 1], vec![2, 1]),
            (vec![600_000, 600_000, 400_000, 48_576], vec![1, 3]),
            (vec![600_000, 600_000, 400_000, 48_577], vec![1, 2, 1]),
        ] {
            let messages = lengths.iter().map(|length| Sendable {
                id: String::new(),
                body: "x".repeat(*length),
            });
            let batches = batches(messages.collect());
            let sizes: Vec<_> = batches.iter().map(Vec::len).collect();
            assert_eq!(sizes, expected, "{lengths:?}");
        }
    }
}
