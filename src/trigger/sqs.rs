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
        Ok(Self {
            id: id.to_owned(),
            sent: sent(record),
            receive_count: receive_count(record),
            content: Content::from_text(text("/body").unwrap_or_default()),
        })
    }
}

/// Returns when the message of a record was sent to the queue.
pub(super) fn sent(record: &Value) -> Option<DateTime<Utc>> {
    let millis = record.pointer("/attributes/SentTimestamp")?.as_str()?;
    DateTime::from_timestamp_millis(millis.parse().ok()?)
}

/// Returns how many times the message of a record was received, at least 1.
pub(super) fn receive_count(record: &Value) -> u32 {
    let count = record.pointer("/attributes/ApproximateReceiveCount");
    let count = count.and_then(|count| count.as_str()?.parse().ok());
    count.unwrap_or(1)
}
