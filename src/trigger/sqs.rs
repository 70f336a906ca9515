//! A message of an SQS batch: its id first, then the content of its body.
//!
//! A message that cannot be read fails alone, by its id. If it failed the batch, it would block the queue.
//!
//! Shape: <https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html>

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::Content;
use crate::error::Error;

/// A message of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The id by which a partial batch response reports the message as failed.
    pub id: String,
    /// When the message was sent to the queue.
    pub sent: Option<DateTime<Utc>>,
    /// How many times the message was received, at least 1.
    pub receive_count: u32,
    /// What the body contains. If its kind is unknown, [`Content::unreadable`] has the error.
    pub content: Content,
}

impl Message {
    /// Reads a record of an SQS event.
    ///
    /// # Errors
    ///
    /// Returns an [`Error`] only for a record without an id, because a response cannot report it as failed.
    pub fn from_record(record: &Value) -> Result<Self, Error> {
        let text = |pointer: &str| record.pointer(pointer).and_then(Value::as_str);
        let id = text("/messageId").filter(|id| !id.is_empty());
        let id = id.ok_or_else(|| {
            Error::invalid_input(
                "a record of the SQS event has no messageId, so it cannot be reported as failed: pass the event \
                 unchanged",
            )
        })?;
        let sent = text("/attributes/SentTimestamp");
        let count = text("/attributes/ApproximateReceiveCount");
        Ok(Self {
            id: id.to_owned(),
            sent: sent.and_then(|millis| DateTime::from_timestamp_millis(millis.parse().ok()?)),
            receive_count: count.and_then(|count| count.parse().ok()).unwrap_or(1),
            content: Content::from_text(text("/body").unwrap_or_default()),
        })
    }
}
