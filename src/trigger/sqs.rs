//! A message of an SQS batch: its id first, then the content of its body.
//!
//! A message that cannot be read fails alone, by its id. If it failed the batch, it would block the queue.
//!
//! A batch has up to 6 MB, so [`read_batch`] parses the form that Lambda writes, without a [`Value`] of the whole event. It
//! parses no other form. [`Message::from_record`] reads all of them, and both return the same messages.
//!
//! Shape: <https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html>

use std::borrow::Cow;
use std::fmt;

use chrono::{DateTime, Utc};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::object::Object;
use super::slack::task::Task;
use super::{Content, envelope, s3};
use crate::error::Error;

/// The `eventSource` of a record.
pub(super) const SOURCE: &str = "aws:sqs";

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

    fn from_lambda(Object(record): Object<Record<'_>>) -> Option<Self> {
        let Object(attributes) = record.attributes;
        (record.event_source == SOURCE && !record.message_id.is_empty()).then(|| Self {
            id: record.message_id,
            sent: parse_sent(&attributes.sent_timestamp),
            receive_count: parse_receive_count(&attributes.approximate_receive_count),
            content: record.body.0,
        })
    }
}

/// Returns when the message of a record was sent to the queue.
pub(super) fn sent(record: &Value) -> Option<DateTime<Utc>> {
    parse_sent(record.pointer("/attributes/SentTimestamp")?.as_str()?)
}

/// Returns how many times the message of a record was received, at least 1.
pub(super) fn receive_count(record: &Value) -> u32 {
    let count = record.pointer("/attributes/ApproximateReceiveCount");
    count.and_then(Value::as_str).map_or(1, parse_receive_count)
}

fn parse_sent(millis: &str) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_millis(millis.parse().ok()?)
}

fn parse_receive_count(count: &str) -> u32 {
    count.parse().unwrap_or(1)
}

/// Reads an SQS event in the form that Lambda writes. Returns `None` for every other event, and for one with a Slack task.
///
/// Of values that are not read, only the syntax is checked: a number beyond the range of a float, half of a surrogate pair
/// and more than 127 levels are no error there, unlike in a JSON value.
pub(super) fn read_batch(event: &[u8]) -> Option<Vec<Message>> {
    let Object(Event { records }) = serde_json::from_str(str::from_utf8(event).ok()?).ok()?;
    let messages = records.into_iter().map(Message::from_lambda);
    let messages: Vec<_> = messages.collect::<Option<_>>()?;
    (!messages.is_empty()).then_some(messages)
}

/// An SQS event. Another field could be the marker of another sender.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Event<'a> {
    #[serde(rename = "Records", borrow)]
    records: Vec<Object<Record<'a>>>,
}

/// The fields of a record that are read, each exactly once.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    #[serde(borrow)]
    event_source: Cow<'a, str>,
    message_id: String,
    #[serde(borrow)]
    attributes: Object<Attributes<'a>>,
    body: Body,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Attributes<'a> {
    #[serde(borrow)]
    sent_timestamp: Cow<'a, str>,
    #[serde(borrow)]
    approximate_receive_count: Cow<'a, str>,
}

/// The content of a body. It is read while the body is visited, so that only one body at a time is in memory.
struct Body(Content);

impl<'de> Deserialize<'de> for Body {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BodyVisitor;

        impl Visitor<'_> for BodyVisitor {
            type Value = Body;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the body of a message")
            }

            fn visit_str<E: de::Error>(self, body: &str) -> Result<Body, E> {
                if let Some(content) = s3::read_notification(body) {
                    return Ok(Body(content));
                }
                let message = envelope::read_text(body);
                if message.as_ref().is_ok_and(Task::is_in) {
                    return Err(E::custom("a Slack task"));
                }
                Ok(Body(Content::from_message(message)))
            }
        }

        deserializer.deserialize_str(BodyVisitor)
    }
}
