//! Standard queues of SQS, as a sender and a consumer see them: messages are sent, received, deleted, and made visible
//! again.
//!
//! Only what a test puts into a queue is received. The function receives nothing itself: a test passes the event of a
//! consumer to it.
//!
//! API: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::fault::{ACCOUNT, ApiError, Operation};

const MAX_MESSAGE_BYTES: usize = 1_048_576;
const MAX_BATCH_BYTES: usize = 1_048_576;
const MAX_ENTRIES: usize = 10;
const MAX_DELAY_SECONDS: u64 = 900;
const MAX_VISIBILITY_TIMEOUT_SECONDS: u64 = 43_200;

/// A message that SQS accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentMessage {
    /// The name of the queue.
    pub queue: String,
    /// Its body.
    pub body: String,
    /// How long it is delayed.
    pub delay_seconds: u64,
}

/// A change of visibility that SQS accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VisibilityChange {
    /// The name of the queue.
    pub queue: String,
    /// The receipt handle of the message.
    pub receipt_handle: String,
    /// How long the message stays invisible.
    pub seconds: u64,
}

/// A message that can be received.
#[derive(Clone)]
struct StoredMessage {
    queue: String,
    id: String,
    body: String,
    sent: SystemTime,
    visible_from: SystemTime,
    receives: u64,
}

impl StoredMessage {
    /// The newest receipt handle; older ones are invalid, although SQS accepts some of them.
    fn receipt_handle(&self) -> String {
        format!("{}-receive-{}", self.id, self.receives)
    }
}

/// The queues and what they received.
#[derive(Default)]
pub(super) struct Queues {
    names: BTreeSet<String>,
    tags: BTreeMap<String, BTreeMap<String, String>>,
    stored: Vec<StoredMessage>,
    /// How many messages were put into queues.
    put: usize,
    /// How many of the next received messages the receive after it returns again.
    pub(super) deliver_again: usize,
    /// These messages.
    again: Vec<StoredMessage>,
    /// The entries of batches that fail, by a text in their message.
    pub(super) refused: Vec<(Operation, String)>,
    pub(super) messages: Vec<SentMessage>,
    pub(super) visibility_changes: Vec<VisibilityChange>,
}

impl Queues {
    /// Creates a queue, and returns the path of its URL.
    pub(super) fn create(&mut self, name: &str) -> String {
        self.names.insert(name.to_owned());
        format!("/{ACCOUNT}/{name}")
    }

    pub(super) fn reset(&mut self) {
        self.messages.clear();
        self.visibility_changes.clear();
        self.refused.clear();
    }

    pub(super) fn tag(&mut self, queue: &str, name: &str, value: &str) {
        let tags = self.tags.entry(queue.to_owned()).or_default();
        tags.insert(name.to_owned(), value.to_owned());
    }

    pub(super) fn put(&mut self, queue: &str, body: &str, sent: SystemTime) -> String {
        self.put += 1;
        let id = format!("00000000-abcd-4111-abcd-{:012x}", self.put);
        self.stored.push(StoredMessage {
            queue: queue.to_owned(),
            id: id.clone(),
            body: body.to_owned(),
            sent,
            visible_from: sent,
            receives: 0,
        });
        id
    }

    pub(super) fn contents(&self, queue: &str, now: SystemTime) -> (Vec<String>, Vec<String>) {
        let stored = self.stored.iter().filter(|message| message.queue == queue);
        let (visible, invisible): (Vec<_>, Vec<_>) =
            stored.partition(|message| message.visible_from <= now);
        let bodies = |messages: Vec<&StoredMessage>| {
            let bodies = messages.into_iter().map(|message| message.body.clone());
            bodies.collect()
        };
        (bodies(visible), bodies(invisible))
    }

    pub(super) fn list_tags(&self, input: &Value) -> Result<Value, ApiError> {
        let queue = self.queue(input)?;
        Ok(match self.tags.get(&queue) {
            Some(tags) => json!({"Tags": tags}),
            None => json!({}),
        })
    }

    /// Receives messages; an empty queue returns at once, and without `Messages`, as SQS does after the wait.
    pub(super) fn receive(&mut self, input: &Value, now: SystemTime) -> Result<Value, ApiError> {
        let queue = self.queue(input)?;
        let timeout = seconds(input, "VisibilityTimeout", MAX_VISIBILITY_TIMEOUT_SECONDS)?;
        seconds(input, "WaitTimeSeconds", 20)?;
        let maximum = input["MaxNumberOfMessages"].as_u64().unwrap_or(1);
        if !(1..=10).contains(&maximum) {
            return Err(invalid(
                "Value for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided.",
            ));
        }
        // A standard queue can deliver a message again, even one that is deleted.
        for mut message in std::mem::take(&mut self.again) {
            message.visible_from = now;
            self.stored.retain(|stored| stored.id != message.id);
            self.stored.push(message);
        }
        let (stored, again) = (&mut self.stored, &mut self.again);
        let deliver_again = &mut self.deliver_again;
        let visible = stored.iter_mut();
        let visible =
            visible.filter(|message| message.queue == queue && message.visible_from <= now);
        let received = visible.take(maximum as usize).map(|message| {
            message.receives += 1;
            message.visible_from = now + Duration::from_secs(timeout);
            if *deliver_again > 0 {
                *deliver_again -= 1;
                again.push(message.clone());
            }
            let mut received = json!({
                "MessageId": message.id,
                "ReceiptHandle": message.receipt_handle(),
                "MD5OfBody": "0123456789abcdef0123456789abcdef",
                "Body": message.body,
            });
            let names = input["MessageSystemAttributeNames"].as_array();
            if names.is_some_and(|names| names.contains(&json!("SentTimestamp"))) {
                let sent = message.sent.duration_since(UNIX_EPOCH).unwrap_or_default();
                received["Attributes"] = json!({"SentTimestamp": sent.as_millis().to_string()});
            }
            received
        });
        let received: Vec<_> = received.collect();
        Ok(match received.is_empty() {
            true => json!({}),
            false => json!({"Messages": received}),
        })
    }

    /// Applies a batch to each of its entries, some of which can fail.
    pub(super) fn call_batch(
        &mut self,
        operation: Operation,
        input: &Value,
        now: SystemTime,
    ) -> Result<Value, ApiError> {
        let queue = self.queue(input)?;
        let entries = input["Entries"].as_array().cloned().unwrap_or_default();
        let refuse = |code: &str, message: &str| Err(ApiError::new(400, code, message));
        let id = |entry: &Value| entry["Id"].as_str().unwrap_or_default().to_owned();
        let ids: BTreeSet<_> = entries.iter().map(id).collect();
        let bytes = entries.iter().map(|entry| &entry["MessageBody"]);
        let bytes = bytes.map(|body| body.as_str().unwrap_or_default().len());
        match entries.len() {
            0 => {
                return refuse(
                    "EmptyBatchRequest",
                    "There should be at least one SendMessageBatchRequestEntry in the request.",
                );
            }
            count if count > MAX_ENTRIES => {
                return refuse(
                    "TooManyEntriesInBatchRequest",
                    "Maximum number of entries per request are 10.",
                );
            }
            count if count > ids.len() || ids.contains("") => {
                return refuse("BatchEntryIdsNotDistinct", "Two or more ids are equal.");
            }
            _ if bytes.sum::<usize>() > MAX_BATCH_BYTES => {
                return refuse(
                    "BatchRequestTooLong",
                    "Batch requests cannot be longer than 1048576 bytes.",
                );
            }
            _ => {}
        }
        let (mut successful, mut failed) = (Vec::new(), Vec::new());
        for entry in &entries {
            let result = match operation {
                Operation::SendMessageBatch => self.send_entry(&queue, entry),
                _ => self.change_entry(operation, &queue, entry, now),
            };
            match result {
                Ok(()) => successful.push(json!({"Id": id(entry)})),
                Err(error) => failed.push(json!({
                    "Id": id(entry),
                    "SenderFault": error.status < 500,
                    "Code": error.code,
                    "Message": error.message,
                })),
            }
        }
        Ok(json!({"Successful": successful, "Failed": failed}))
    }

    fn send_entry(&mut self, queue: &str, entry: &Value) -> Result<(), ApiError> {
        let body = entry["MessageBody"].as_str().unwrap_or_default();
        self.check_refused(Operation::SendMessageBatch, body)?;
        let input =
            json!({"QueueUrl": format!("/{queue}"), "MessageBody": body, "DelaySeconds": 0});
        self.send_message(&input).map(|_output| ())
    }

    fn change_entry(
        &mut self,
        operation: Operation,
        queue: &str,
        entry: &Value,
        now: SystemTime,
    ) -> Result<(), ApiError> {
        let receipt_handle = entry["ReceiptHandle"].as_str().unwrap_or_default();
        let index = self.stored.iter().position(|message| {
            message.queue == queue && message.receipt_handle() == receipt_handle
        });
        let index = index.ok_or_else(|| {
            let message = "The input receipt handle is invalid.";
            ApiError::new(400, "ReceiptHandleIsInvalid", message)
        })?;
        self.check_refused(operation, &self.stored[index].body)?;
        if operation == Operation::DeleteMessageBatch {
            self.stored.remove(index);
            return Ok(());
        }
        let timeout = seconds(entry, "VisibilityTimeout", MAX_VISIBILITY_TIMEOUT_SECONDS)?;
        self.stored[index].visible_from = now + Duration::from_secs(timeout);
        Ok(())
    }

    fn check_refused(&self, operation: Operation, body: &str) -> Result<(), ApiError> {
        let mut refused = self.refused.iter();
        match refused.any(|(refused, text)| *refused == operation && body.contains(text)) {
            false => Ok(()),
            true => {
                let message = "The request failed because a test refused it.";
                Err(ApiError::new(500, "InternalError", message))
            }
        }
    }

    pub(super) fn send_message(&mut self, input: &Value) -> Result<Value, ApiError> {
        let queue = self.queue(input)?;
        let body = input["MessageBody"].as_str().unwrap_or_default();
        if body.is_empty() {
            return Err(invalid(
                "The request must contain the parameter MessageBody.",
            ));
        }
        if body.len() > MAX_MESSAGE_BYTES {
            return Err(invalid(
                "One or more parameters are invalid. Reason: Message must be shorter than 1048576 bytes.",
            ));
        }
        let delay_seconds = seconds(input, "DelaySeconds", MAX_DELAY_SECONDS)?;
        self.messages.push(SentMessage {
            queue,
            body: body.to_owned(),
            delay_seconds,
        });
        let id = format!("11111111-abcd-4111-abcd-{:012x}", self.messages.len());
        Ok(json!({"MessageId": id}))
    }

    pub(super) fn change_visibility(&mut self, input: &Value) -> Result<(), ApiError> {
        let queue = self.queue(input)?;
        let receipt_handle = input["ReceiptHandle"].as_str().unwrap_or_default();
        if receipt_handle.is_empty() {
            let message = "The input receipt handle is invalid.";
            return Err(ApiError::new(400, "ReceiptHandleIsInvalid", message));
        }
        let seconds = seconds(input, "VisibilityTimeout", MAX_VISIBILITY_TIMEOUT_SECONDS)?;
        self.visibility_changes.push(VisibilityChange {
            queue,
            receipt_handle: receipt_handle.to_owned(),
            seconds,
        });
        Ok(())
    }

    fn queue(&self, input: &Value) -> Result<String, ApiError> {
        let name = name(input["QueueUrl"].as_str().unwrap_or_default());
        if self.names.contains(name) {
            return Ok(name.to_owned());
        }
        let message = "The specified queue does not exist.";
        Err(ApiError::new(400, "QueueDoesNotExist", message))
    }
}

/// Returns the name of a queue in its URL.
pub(super) fn name(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or_default()
}

/// Reads a number of seconds; a text is invalid.
fn seconds(input: &Value, name: &str, max: u64) -> Result<u64, ApiError> {
    let number = input[name].as_u64().filter(|number| *number <= max);
    number.ok_or_else(|| {
        invalid(&format!(
            "Value {} for parameter {name} is invalid. Reason: Must be >= 0 and <= {max}.",
            input[name]
        ))
    })
}

fn invalid(message: &str) -> ApiError {
    ApiError::new(400, "InvalidParameterValue", message)
}
