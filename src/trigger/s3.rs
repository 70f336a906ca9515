//! What S3 says, however it comes: by itself, through SNS, through EventBridge, and any of these in an SQS message.
//!
//! Every record counts. Creations, removals and expirations are changes; what else S3 tells (tags, ACLs, replication,
//! restores) leaves the bytes that viewers get as they are. A record that cannot be read spoils itself alone.
//!
//! In S3's own notification a key arrives as a form encodes it, a space as `+` and a plus as `%2B`, and is decoded
//! here, once. EventBridge has the key as it is.
//!
//! Shapes: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html>,
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html>

use aws_lambda_events::s3::S3EventRecord;
use chrono::{DateTime, Utc};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::Value;

use super::source;
use crate::failure::Failure;

/// An object that was written or removed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectChange {
    /// The bucket's name.
    pub bucket: String,
    /// The object's key, decoded.
    pub key: String,
    /// When it happened, by S3's clock.
    pub time: DateTime<Utc>,
    /// What tells this change of the key from every other: S3's sequencer, else the event's name.
    pub version: String,
}

/// An S3 event that changes nothing for viewers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IgnoredEvent {
    /// The event's name, such as `ObjectTagging:Put`.
    pub name: String,
    /// The object's key as S3 wrote it, or the bucket.
    pub about: String,
}

/// What S3 says in one event or message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notification {
    /// The changed objects, in the records' order.
    pub changes: Vec<ObjectChange>,
    /// What needs no invalidation.
    pub ignored: Vec<IgnoredEvent>,
    /// What cannot be read, and why.
    pub unreadable: Vec<Failure>,
}

enum Record {
    Change(ObjectChange),
    Ignored(IgnoredEvent),
}

impl Notification {
    /// Reads an event or a message's body; nothing where it is none of S3's.
    pub fn from_event(event: &Value) -> Option<Self> {
        let text = |name: &str| event.get(name).and_then(Value::as_str);
        if text("Event") == Some("s3:TestEvent") {
            let about = text("Bucket").unwrap_or_default().to_owned();
            let test = IgnoredEvent {
                name: "s3:TestEvent".to_owned(),
                about,
            };
            return Some(Self {
                ignored: vec![test],
                ..Self::default()
            });
        }
        if text("source") == Some("aws.s3") {
            return Some(Self::default().with("detail", from_event_bridge(event)));
        }
        if text("Type") == Some("Notification") {
            return Some(Self::from_sns(event));
        }
        let records = event.get("Records")?.as_array()?;
        match source(records.first()?)? {
            "aws:s3" => Some(Self::from_records(records, |record, at| {
                Self::default().with(at, from_s3(record))
            })),
            "aws:sns" => Some(Self::from_records(records, |record, at| {
                Self::from_sns(record.get("Sns").unwrap_or(&Value::Null)).within(at)
            })),
            _ => None,
        }
    }

    fn from_records(records: &[Value], read: impl Fn(&Value, &str) -> Self) -> Self {
        let read = |(at, record)| read(record, &format!("Records[{at}]"));
        records
            .iter()
            .enumerate()
            .map(read)
            .fold(Self::default(), Self::and)
    }

    /// Reads what an SNS message carries.
    fn from_sns(envelope: &Value) -> Self {
        Self::from_text(
            envelope
                .get("Message")
                .and_then(Value::as_str)
                .unwrap_or_default(),
        )
    }

    /// Reads a message's body as it is written.
    pub fn from_text(body: &str) -> Self {
        let read = match serde_json::from_str::<Value>(body) {
            Ok(event) => Self::from_event(&event).ok_or("the message is no S3 event"),
            // Where it breaks differs from message to message; the reason does not.
            Err(_) => Err("the message is no JSON"),
        };
        read.unwrap_or_else(|reason| Self {
            unreadable: vec![Failure::mistake(reason)],
            ..Self::default()
        })
    }

    fn with(mut self, place: &str, record: Result<Record, Failure>) -> Self {
        match record {
            Ok(Record::Change(change)) => self.changes.push(change),
            Ok(Record::Ignored(event)) => self.ignored.push(event),
            Err(failure) => self.unreadable.push(failure.within(place)),
        }
        self
    }

    fn within(mut self, place: &str) -> Self {
        self.unreadable = self
            .unreadable
            .into_iter()
            .map(|failure| failure.within(place))
            .collect();
        self
    }

    fn and(mut self, other: Self) -> Self {
        self.changes.extend(other.changes);
        self.ignored.extend(other.ignored);
        self.unreadable.extend(other.unreadable);
        self
    }
}

/// Returns what tells these changes from all others: the same for a repeated delivery, in any order.
pub fn identity<'a>(changes: impl IntoIterator<Item = &'a ObjectChange>) -> String {
    let mut changes: Vec<_> = changes.into_iter().collect();
    changes.sort();
    changes.dedup();
    let line = |change: &ObjectChange| {
        let ObjectChange {
            bucket,
            key,
            time,
            version,
        } = change;
        format!(
            "s3 {bucket} {key:?} {} {version}\n",
            time.timestamp_millis()
        )
    };
    changes.into_iter().map(line).collect()
}

fn from_s3(record: &Value) -> Result<Record, Failure> {
    let record =
        S3EventRecord::deserialize(record).map_err(|error| Failure::mistake(error.to_string()))?;
    if record.event_source.as_deref() != Some("aws:s3") {
        return Err(Failure::mistake(
            "eventSource is not \"aws:s3\" as the first record's is",
        ));
    }
    let name = present(record.event_name, "eventName")?;
    let key = present(record.s3.object.key, "s3.object.key")?;
    let changes = ["ObjectCreated:", "ObjectRemoved:", "LifecycleExpiration:"];
    if !changes.iter().any(|kind| name.starts_with(kind)) {
        return Ok(Record::Ignored(IgnoredEvent { name, about: key }));
    }
    Ok(Record::Change(ObjectChange {
        bucket: present(record.s3.bucket.name, "s3.bucket.name")?,
        key: decode_key(&key)?,
        time: record.event_time,
        version: record.s3.object.sequencer.unwrap_or(name),
    }))
}

/// The part of an EventBridge event that is read; `aws_lambda_events` has no type for S3's.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct BridgedEvent {
    detail_type: String,
    time: DateTime<Utc>,
    detail: Detail,
}

#[derive(Deserialize)]
struct Detail {
    bucket: DetailBucket,
    object: DetailObject,
}

#[derive(Deserialize)]
struct DetailBucket {
    name: String,
}

#[derive(Deserialize)]
struct DetailObject {
    key: String,
    sequencer: Option<String>,
}

fn from_event_bridge(event: &Value) -> Result<Record, Failure> {
    let event =
        BridgedEvent::deserialize(event).map_err(|error| Failure::mistake(error.to_string()))?;
    let Detail { bucket, object } = event.detail;
    let key = present(Some(object.key), "object.key")?;
    let name = event.detail_type;
    if name != "Object Created" && name != "Object Deleted" {
        return Ok(Record::Ignored(IgnoredEvent { name, about: key }));
    }
    let version = object.sequencer.unwrap_or(name);
    Ok(Record::Change(ObjectChange {
        bucket: bucket.name,
        key,
        time: event.time,
        version,
    }))
}

fn present(value: Option<String>, name: &str) -> Result<String, Failure> {
    value
        .filter(|value| !value.is_empty())
        .ok_or_else(|| Failure::mistake(format!("{name} is missing")))
}

fn decode_key(encoded: &str) -> Result<String, Failure> {
    let spaced = encoded.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    decoded.map(String::from).map_err(|_| {
        Failure::mistake(format!(
            "s3.object.key {encoded:?} is not UTF-8 once decoded"
        ))
    })
}
