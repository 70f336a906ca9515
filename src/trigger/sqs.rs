//! A message of a queue: its id before all else, then what S3 says in its body.
//!
//! A message that cannot be read fails alone. One that blocks its queue, because a whole batch fails with it, has sunk
//! others.
//!
//! Shape: <https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html>

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::s3::Notification;
use crate::failure::Failure;

/// A message of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The id by which it is kept for another try.
    pub id: String,
    /// When it was sent to the queue.
    pub sent: Option<DateTime<Utc>>,
    /// What S3 says in it; what is no S3 event is unreadable.
    pub notification: Notification,
}

impl Message {
    /// Reads a record of an SQS event.
    ///
    /// # Errors
    ///
    /// Only a message without an id is a [`Failure`]: nobody could keep it.
    pub fn from_record(record: &Value) -> Result<Self, Failure> {
        let id = record
            .get("messageId")
            .and_then(Value::as_str)
            .filter(|id| !id.is_empty());
        let id =
            id.ok_or_else(|| Failure::mistake("a message of the SQS event has no messageId"))?;
        let sent = record
            .pointer("/attributes/SentTimestamp")
            .and_then(Value::as_str);
        let sent = sent.and_then(|sent| DateTime::from_timestamp_millis(sent.parse().ok()?));
        let body = record
            .get("body")
            .and_then(Value::as_str)
            .unwrap_or_default();
        Ok(Self {
            id: id.to_owned(),
            sent,
            notification: Notification::from_text(body),
        })
    }
}
