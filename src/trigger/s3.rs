//! S3's events about objects: its own notifications, its test event, and its events in EventBridge.
//!
//! Every record is read, and a record that cannot be read does not affect the others. Creations, removals and
//! expirations are changes. Ignored are events about something else (tags, ACLs, replication, restores), and a lifecycle
//! rule's permanent deletion of a version, because they do not change the bytes that viewers get.
//!
//! S3's own notifications encode a key as a form does: `+` for a space and `%2B` for a plus. The key is decoded here,
//! exactly once. EventBridge does not encode the key.
//!
//! Shapes: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html>,
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html>,
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-configure-notification.html>

use std::fmt::{self, Write};

use aws_lambda_events::s3::S3EventRecord;
use chrono::{DateTime, Utc};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::Value;

use super::Content;
use super::envelope::EventBridgeEvent;
use super::object::Object;
use crate::error::Error;
use crate::site::Change;

/// The `eventSource` of a record.
pub(super) const SOURCE: &str = "aws:s3";

/// An object that was written or removed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectChange {
    /// The name of the bucket.
    pub bucket: String,
    /// The object's key, decoded.
    pub key: String,
    /// When the object changed, by S3's clock.
    pub time: DateTime<Utc>,
    /// Whether the object was written or removed, as far as it is known.
    pub change: Change,
    /// Distinguishes this change of the key from other changes: S3's sequencer, or the event's name without one.
    pub change_id: String,
}

/// An event that needs no invalidation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IgnoredEvent {
    /// The event's name, such as `ObjectTagging:Put`, and what distinguishes it from a change of that name.
    pub name: String,
    /// The object's key as S3 wrote it, or the bucket of a test event.
    pub subject: String,
}

/// What one record or one EventBridge event reports.
enum ObjectEvent {
    Change(ObjectChange),
    Ignored(IgnoredEvent),
}

/// Reads the records of S3's own notification.
pub(super) fn read_records(records: &[Value]) -> Content {
    let records = records.iter().map(S3EventRecord::deserialize);
    content_of(
        records.map(|record| record.map_err(|error| Error::invalid_input(error.to_string()))),
    )
}

/// Reads S3's own notification from its text, without a JSON value. Returns `None` if a record cannot be read, and for
/// everything else.
pub(super) fn read_notification(text: &str) -> Option<Content> {
    let Object(Notification { records }) = serde_json::from_str(text).ok()?;
    let Object(first) = records.first()?;
    let is_of_s3 = first.event_source.as_deref() == Some(SOURCE);
    is_of_s3.then(|| content_of(records.into_iter().map(|Object(record)| Ok(record))))
}

/// S3's own notification. Another field could be the marker of another sender.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Notification {
    #[serde(rename = "Records")]
    records: Vec<Object<S3EventRecord>>,
}

fn content_of(records: impl ExactSizeIterator<Item = Result<S3EventRecord, Error>>) -> Content {
    let mut content = Content::default();
    // Most messages have one record, and a batch has thousands of messages: a vector that grows begins with space for four.
    content.changes.reserve_exact(records.len());
    for (index, record) in records.enumerate() {
        let event = record.and_then(object_event);
        add(&mut content, event, format_args!("Records[{index}]"));
    }
    content
}

/// Reads an event that S3 sent to EventBridge.
pub(super) fn read_event_bridge(event: &Value) -> Content {
    let mut content = Content::default();
    add(&mut content, bridged_object_event(event), "detail");
    content
}

/// Reads the test event that S3 sends once when a bucket's notification is set up.
pub(super) fn read_test_event(event: &Value) -> Content {
    let text = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default();
    Content {
        ignored: vec![IgnoredEvent {
            name: text("Event").to_owned(),
            subject: text("Bucket").to_owned(),
        }],
        ..Content::default()
    }
}

fn add(content: &mut Content, event: Result<ObjectEvent, Error>, position: impl fmt::Display) {
    match event {
        Ok(ObjectEvent::Change(change)) => content.changes.push(change),
        Ok(ObjectEvent::Ignored(event)) => content.ignored.push(event),
        Err(error) => content.unreadable.push(error.context(position)),
    }
}

/// Returns a text that identifies a set of changes: the same for a repeated delivery, in any order.
///
/// The caller reference of an invalidation is derived from it.
pub fn event_identity<'a>(changes: impl IntoIterator<Item = &'a ObjectChange>) -> String {
    let mut changes: Vec<_> = changes.into_iter().collect();
    changes.sort_unstable();
    changes.dedup();
    let mut identity = String::new();
    for change in changes {
        let ObjectChange {
            bucket,
            key,
            time,
            change: _,
            change_id,
        } = change;
        let millis = time.timestamp_millis();
        // Writing to a string cannot fail.
        let _ = writeln!(identity, "s3 {bucket} {key:?} {millis} {change_id}");
    }
    identity
}

fn object_event(record: S3EventRecord) -> Result<ObjectEvent, Error> {
    if record.event_source.as_deref() != Some(SOURCE) {
        return Err(Error::invalid_input(
            "eventSource is not \"aws:s3\", unlike the first record's",
        ));
    }
    let name = required(record.event_name, "eventName")?;
    let key = required(record.s3.object.key, "s3.object.key")?;
    let version_id = record.s3.object.version_id.as_deref();
    let change = match name.split_once(':').unwrap_or((&name, "")) {
        ("ObjectCreated", _) => Change::written(),
        ("ObjectRemoved" | "LifecycleExpiration", "Delete") => permanent_deletion(version_id),
        ("ObjectRemoved" | "LifecycleExpiration", _) => Change::removed(),
        _ => return Ok(ObjectEvent::Ignored(IgnoredEvent { name, subject: key })),
    };
    if name == "LifecycleExpiration:Delete" && concerns_version(version_id) {
        let name = format!("{name} of a version");
        return Ok(ObjectEvent::Ignored(IgnoredEvent { name, subject: key }));
    }
    Ok(ObjectEvent::Change(ObjectChange {
        bucket: required(record.s3.bucket.name, "s3.bucket.name")?,
        key: decode_key(&key)?,
        time: record.event_time,
        change,
        change_id: record.s3.object.sequencer.unwrap_or(name),
    }))
}

/// The detail of an EventBridge event. `aws_lambda_events` has no type for it.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Detail {
    bucket: DetailBucket,
    object: DetailObject,
    reason: Option<String>,
    deletion_type: Option<String>,
}

#[derive(Deserialize)]
struct DetailBucket {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct DetailObject {
    key: String,
    sequencer: Option<String>,
    version_id: Option<String>,
}

fn bridged_object_event(event: &Value) -> Result<ObjectEvent, Error> {
    let event = EventBridgeEvent::<Detail>::deserialize(event)
        .map_err(|error| Error::invalid_input(error.to_string()))?;
    let Detail {
        bucket,
        object,
        reason,
        deletion_type,
    } = event.detail;
    let key = required(Some(object.key), "object.key")?;
    let name = event.detail_type;
    let version_id = object.version_id.as_deref();
    let is_permanent = deletion_type.as_deref() == Some("Permanently Deleted");
    let change = match name.as_str() {
        "Object Created" => Change::written(),
        "Object Deleted" if is_permanent => permanent_deletion(version_id),
        "Object Deleted" => Change::removed(),
        _ => return Ok(ObjectEvent::Ignored(IgnoredEvent { name, subject: key })),
    };
    if reason.as_deref() == Some("Lifecycle Expiration")
        && is_permanent
        && concerns_version(version_id)
    {
        let name = format!("{name} (Lifecycle Expiration) of a version");
        return Ok(ObjectEvent::Ignored(IgnoredEvent { name, subject: key }));
    }
    Ok(ObjectEvent::Change(ObjectChange {
        bucket: bucket.name,
        key,
        time: event.time,
        change,
        change_id: object.sequencer.unwrap_or(name),
    }))
}

/// Returns what is known about the object after a permanent deletion. That of a version or of a delete marker can make an older
/// version the current one, so the object can exist.
fn permanent_deletion(version_id: Option<&str>) -> Change {
    if version_id.is_some_and(|id| !id.is_empty()) {
        Change::default()
    } else {
        Change::removed()
    }
}

/// Returns whether a lifecycle rule's permanent deletion concerns a version, and not the object itself. Such a rule
/// deletes only versions and delete markers that viewers do not get. A request that deletes a version
/// (`DELETE ?versionId=`) is a change, because it can make an older version the current one.
///
/// Without versioning there is no version id. An object that was written while versioning was off or suspended has the
/// version id `null`.
fn concerns_version(version_id: Option<&str>) -> bool {
    version_id.is_some_and(|id| !id.is_empty() && id != "null")
}

fn required(value: Option<String>, name: &str) -> Result<String, Error> {
    value
        .filter(|value| !value.is_empty())
        .ok_or_else(|| Error::invalid_input(format!("{name} is missing")))
}

fn decode_key(encoded: &str) -> Result<String, Error> {
    let with_spaces = encoded.replace('+', " ");
    let decoded = percent_decode_str(&with_spaces).decode_utf8();
    decoded.map(String::from).map_err(|_| {
        Error::invalid_input(format!(
            "s3.object.key {encoded:?} does not decode to UTF-8"
        ))
    })
}
