//! S3's own notification: which objects changed.
//!
//! Every record counts. Creations, removals and expirations are changes; what else S3 tells (tags, ACLs, replication,
//! restores) leaves the bytes that viewers get as they are. A record that cannot be read spoils itself alone.
//!
//! A key arrives as a form encodes it, a space as `+` and a plus as `%2B`, and is decoded here, once.
//!
//! Shape: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html>

use aws_lambda_events::s3::S3EventRecord;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::Value;

use crate::failure::Failure;

/// An object that was written or removed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectChange {
    /// The bucket's name.
    pub bucket: String,
    /// The object's key, decoded.
    pub key: String,
    /// What tells this change of the key from every other: the event's name and time, and S3's sequencer.
    pub version: String,
}

/// An S3 event that changes nothing for viewers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IgnoredEvent {
    /// The event's name, such as `ObjectTagging:Put`.
    pub name: String,
    /// The object's key as S3 wrote it.
    pub key: String,
}

/// What the records of one notification say.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Notification {
    /// The changed objects, in the records' order.
    pub changes: Vec<ObjectChange>,
    /// What needs no invalidation.
    pub ignored: Vec<IgnoredEvent>,
    /// The records that cannot be read, and why.
    pub unreadable: Vec<Failure>,
}

enum Record {
    Change(ObjectChange),
    Ignored(IgnoredEvent),
}

impl Notification {
    /// Reads the `Records` of an S3 event, each on its own.
    pub fn from_records(records: &[Value]) -> Self {
        let mut notification = Self::default();
        for (at, record) in records.iter().enumerate() {
            match read(record) {
                Ok(Record::Change(change)) => notification.changes.push(change),
                Ok(Record::Ignored(event)) => notification.ignored.push(event),
                Err(failure) => notification
                    .unreadable
                    .push(failure.within(format_args!("Records[{at}]"))),
            }
        }
        notification
    }
}

/// Returns what tells these changes from all others: the same for a repeated delivery, in any order.
pub fn identity<'a>(changes: impl IntoIterator<Item = &'a ObjectChange>) -> String {
    let mut changes: Vec<_> = changes.into_iter().collect();
    changes.sort();
    changes.dedup();
    let line = |change: &ObjectChange| {
        format!("s3 {} {:?} {}\n", change.bucket, change.key, change.version)
    };
    changes.into_iter().map(line).collect()
}

fn read(record: &Value) -> Result<Record, Failure> {
    let record =
        S3EventRecord::deserialize(record).map_err(|error| Failure::mistake(error.to_string()))?;
    if record.event_source.as_deref() != Some("aws:s3") {
        return Err(Failure::mistake(
            "eventSource is not \"aws:s3\" as the first record's is",
        ));
    }
    let name = record
        .event_name
        .ok_or_else(|| Failure::mistake("eventName is missing"))?;
    let key = record.s3.object.key.filter(|key| !key.is_empty());
    let key = key.ok_or_else(|| Failure::mistake("s3.object.key is missing"))?;
    if !changes_what_viewers_get(&name) {
        return Ok(Record::Ignored(IgnoredEvent { name, key }));
    }
    let sequencer = record.s3.object.sequencer.unwrap_or_default();
    Ok(Record::Change(ObjectChange {
        bucket: record
            .s3
            .bucket
            .name
            .ok_or_else(|| Failure::mistake("s3.bucket.name is missing"))?,
        key: decode_key(&key)?,
        version: format!(
            "{name} {} {sequencer}",
            record.event_time.timestamp_millis()
        ),
    }))
}

fn changes_what_viewers_get(event_name: &str) -> bool {
    ["ObjectCreated:", "ObjectRemoved:", "LifecycleExpiration:"]
        .iter()
        .any(|kind| event_name.starts_with(kind))
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
