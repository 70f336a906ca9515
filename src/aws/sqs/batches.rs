//! The operations of SQS that only the command line needs: receives messages, and sends, deletes and releases up to ten
//! at a time.
//!
//! A batch can succeed in part, so each of its operations returns a result for each entry, in their order. An entry
//! without a result counts as failed.
//!
//! API: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html>

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{MAX_VISIBILITY_TIMEOUT, QueueUrl, Sqs, whole_seconds};
use crate::aws::signed_json::{CallError, Rejection};
use crate::error::Error;

/// How many messages a call receives, sends, deletes or releases at most
/// ([quotas](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html)).
pub const MAX_ENTRIES: usize = 10;

/// How many bytes the bodies of a batch can have together (same source).
pub const MAX_BATCH_BYTES: usize = 1_048_576;

/// The maximum length of a response with received messages: each has at most 1 MiB, and JSON escapes a byte with at
/// most six.
const MAX_RECEIVED_BYTES: usize = MAX_ENTRIES * MAX_BATCH_BYTES * 6 + 1_048_576;

/// How long SQS waits for a message. With a wait, it looks on all of its servers before it returns none.
const MAX_WAIT: Duration = Duration::from_secs(2);

/// A message that was received.
#[derive(Clone, PartialEq, Eq)]
pub struct ReceivedMessage {
    /// Its id, which stays the same.
    pub id: String,
    /// By which it is deleted or released. Each receive has another one.
    pub receipt_handle: String,
    /// Its body, which can contain credentials.
    pub body: String,
    /// When it was sent.
    pub sent: Option<DateTime<Utc>>,
}

impl fmt::Debug for ReceivedMessage {
    /// Leaves out the body, which can contain credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReceivedMessage({})", self.id)
    }
}

impl ReceivedMessage {
    fn read(message: &Value) -> Option<Self> {
        let text = |name: &str| message.get(name)?.as_str().map(str::to_owned);
        let sent = message.pointer("/Attributes/SentTimestamp");
        let sent = sent.and_then(|millis| millis.as_str()?.parse().ok());
        Some(Self {
            id: text("MessageId")?,
            receipt_handle: text("ReceiptHandle")?,
            body: text("Body").unwrap_or_default(),
            sent: sent.and_then(DateTime::from_timestamp_millis),
        })
    }
}

/// What happened to each entry of a batch, in their order.
pub type EntryResults = Vec<Result<(), Error>>;

impl Sqs {
    /// Returns the value of a tag of a queue; `None` if it has no such tag.
    ///
    /// # Errors
    ///
    /// [`Error`] if SQS does not return the tags before `deadline`.
    pub async fn queue_tag(
        &self,
        queue: &QueueUrl,
        name: &str,
        deadline: Instant,
    ) -> Result<Option<String>, Error> {
        let operation = "ListQueueTags";
        let input = json!({"QueueUrl": queue.as_str()});
        let output = async {
            let endpoint = self.endpoint(queue)?;
            self.client
                .call(&endpoint, operation, &input, deadline)
                .await
        };
        let output = output.await.map_err(|error| {
            let purpose = format!("list the tags of queue {}", queue.name());
            self.error(error, queue, operation, purpose)
        })?;
        let tag = output.get("Tags").and_then(|tags| tags.get(name)?.as_str());
        Ok(tag.map(str::to_owned))
    }

    /// Receives up to ten messages, which are invisible for `visibility_timeout`. An empty queue returns none, after
    /// two seconds. Without a response, messages are possibly received and invisible.
    ///
    /// # Errors
    ///
    /// [`Error`] if SQS does not return them before `deadline`.
    pub async fn receive_messages(
        &self,
        queue: &QueueUrl,
        visibility_timeout: Duration,
        deadline: Instant,
    ) -> Result<Vec<ReceivedMessage>, Error> {
        let operation = "ReceiveMessage";
        let input = json!({
            "QueueUrl": queue.as_str(),
            "MaxNumberOfMessages": MAX_ENTRIES,
            "VisibilityTimeout": whole_seconds(visibility_timeout, MAX_VISIBILITY_TIMEOUT),
            "WaitTimeSeconds": MAX_WAIT.as_secs(),
            "MessageSystemAttributeNames": ["SentTimestamp"],
        });
        let output = async {
            let endpoint = self.endpoint(queue)?;
            self.client
                .call_once(&endpoint, operation, &input, MAX_RECEIVED_BYTES, deadline)
                .await
        };
        let output = output.await.map_err(|error| {
            let purpose = format!("receive messages of queue {}", queue.name());
            self.error(error, queue, operation, purpose)
        })?;
        let messages = output.get("Messages").and_then(Value::as_array);
        let messages = messages.into_iter().flatten();
        Ok(messages.filter_map(ReceivedMessage::read).collect())
    }

    /// Sends messages: at most [`MAX_ENTRIES`], with [`MAX_BATCH_BYTES`] together. Without a response, they are
    /// possibly in the queue, once or twice.
    ///
    /// # Errors
    ///
    /// [`Error`] if SQS does not accept the batch before `deadline`.
    pub async fn send_messages(
        &self,
        queue: &QueueUrl,
        bodies: &[&str],
        deadline: Instant,
    ) -> Result<EntryResults, Error> {
        let entries = bodies.iter().map(|body| json!({"MessageBody": body}));
        self.call_batch(queue, "SendMessageBatch", entries.collect(), deadline)
            .await
    }

    /// Deletes received messages, at most [`MAX_ENTRIES`].
    ///
    /// # Errors
    ///
    /// [`Error`] if SQS does not accept the batch before `deadline`.
    pub async fn delete_messages(
        &self,
        queue: &QueueUrl,
        receipt_handles: &[&str],
        deadline: Instant,
    ) -> Result<EntryResults, Error> {
        let entries = receipt_handles.iter();
        let entries = entries.map(|handle| json!({"ReceiptHandle": handle}));
        self.call_batch(queue, "DeleteMessageBatch", entries.collect(), deadline)
            .await
    }

    /// Makes received messages visible at once, at most [`MAX_ENTRIES`].
    ///
    /// # Errors
    ///
    /// [`Error`] if SQS does not accept the batch before `deadline`. The messages are visible when their visibility
    /// timeout ends.
    pub async fn release_messages(
        &self,
        queue: &QueueUrl,
        receipt_handles: &[&str],
        deadline: Instant,
    ) -> Result<EntryResults, Error> {
        let entries = receipt_handles.iter();
        let entries =
            entries.map(|handle| json!({"ReceiptHandle": handle, "VisibilityTimeout": 0}));
        let operation = "ChangeMessageVisibilityBatch";
        self.call_batch(queue, operation, entries.collect(), deadline)
            .await
    }

    async fn call_batch(
        &self,
        queue: &QueueUrl,
        operation: &'static str,
        mut entries: Vec<Value>,
        deadline: Instant,
    ) -> Result<EntryResults, Error> {
        for (index, entry) in entries.iter_mut().enumerate() {
            if let Some(entry) = entry.as_object_mut() {
                entry.insert("Id".to_owned(), json!(index.to_string()));
            }
        }
        let count = entries.len();
        let input = json!({"QueueUrl": queue.as_str(), "Entries": entries});
        let output = async {
            let endpoint = self.endpoint(queue)?;
            self.client
                .call(&endpoint, operation, &input, deadline)
                .await
        };
        let to_error = |error| self.error(error, queue, operation, purpose(operation, queue));
        let output = output.await.map_err(to_error)?;
        let results = (0..count).map(|index| entry_result(&output, index).map_err(to_error));
        Ok(results.collect())
    }
}

/// Returns what the operation does, after "could not".
fn purpose(operation: &str, queue: &QueueUrl) -> String {
    let name = queue.name();
    match operation {
        "SendMessageBatch" => format!("send messages to queue {name}"),
        "DeleteMessageBatch" => format!("delete messages of queue {name}"),
        _ => format!("change the visibility timeout of messages of queue {name}"),
    }
}

/// Reads the result of the entry with this id.
fn entry_result(output: &Value, index: usize) -> Result<(), CallError> {
    let id = index.to_string();
    let find = |list: &str| {
        let mut entries = output.get(list)?.as_array()?.iter();
        entries.find(|entry| entry.get("Id").and_then(Value::as_str) == Some(&id))
    };
    if let Some(failed) = find("Failed") {
        let text = |name: &str| failed.get(name)?.as_str().map(str::to_owned);
        let is_fault_of_sender = failed.get("SenderFault").and_then(Value::as_bool);
        return Err(CallError::Rejected(Rejection {
            status: match is_fault_of_sender {
                Some(true) => 400,
                _ => 500,
            },
            code: text("Code").unwrap_or_default(),
            message: text("Message"),
        }));
    }
    let missing = CallError::Unreadable("the response has no result for an entry of the batch");
    find("Successful").map(|_entry| ()).ok_or(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_result_of_an_entry_is_found_by_its_id() {
        let output = json!({
            "Successful": [{"Id": "2"}, {"Id": "0"}],
            "Failed": [
                {"Id": "1", "SenderFault": true, "Code": "InvalidMessageContents", "Message": "invalid"},
                {"Id": "4", "SenderFault": false, "Code": "InternalError"},
            ],
        });
        let results = (0..5).map(|index| match entry_result(&output, index) {
            Ok(()) => "sent".to_owned(),
            Err(CallError::Rejected(rejection)) => {
                format!("{} {}", rejection.status, rejection.text())
            }
            Err(error) => format!("{error:?}"),
        });
        assert_eq!(
            results.collect::<Vec<_>>(),
            [
                "sent",
                "400 InvalidMessageContents: invalid",
                "sent",
                "Unreadable(\"the response has no result for an entry of the batch\")",
                "500 InternalError",
            ]
        );
        assert!(entry_result(&Value::Null, 0).is_err());
    }

    #[test]
    fn a_message_is_read_without_what_it_does_not_need() {
        let message = json!({
            "MessageId": "m1", "ReceiptHandle": "r1", "Body": "secret", "MD5OfBody": "0",
            "Attributes": {"SentTimestamp": "1767225600000"},
        });
        let read = ReceivedMessage::read(&message).expect("a message");
        assert_eq!(read.sent, DateTime::from_timestamp(1_767_225_600, 0));
        assert_eq!(format!("{read:?}"), "ReceivedMessage(m1)");
        let message = json!({"MessageId": "m1", "ReceiptHandle": "r1", "Body": "{}"});
        let read = ReceivedMessage::read(&message).expect("a message");
        assert_eq!((read.body.as_str(), read.sent), ("{}", None));
        assert_eq!(ReceivedMessage::read(&json!({"Body": "{}"})), None);
    }
}
