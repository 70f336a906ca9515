//! The messages in which S3's event notifications reach the queue, byte for byte as Lambda receives them from SQS.
//!
//! The same notification is S3's own JSON, that JSON as a string in SNS's JSON, or EventBridge's JSON. In S3's JSON, the
//! key is form-encoded. In EventBridge's JSON, it is not encoded, and the time has no fraction of a second.
//!
//! Form: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html>

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::deploys::{Envelope, Irrelevant, Kind, Notification, Poison};
use crate::standin::iso8601;

/// Writes the message body of a notification.
pub fn body(notification: &Notification) -> String {
    let body = match notification.kind {
        Kind::Poison(Poison::UnknownEvent) => return json!({"order": 42}).to_string(),
        Kind::Irrelevant(Irrelevant::TestEvent) => {
            wrap_for_sns(notification, test_event(notification))
        }
        _ if notification.envelope == Envelope::EventBridge => {
            event_bridge(notification).to_string()
        }
        _ => wrap_for_sns(
            notification,
            json!({"Records": [record(notification)]}).to_string(),
        ),
    };
    match notification.kind {
        Kind::Poison(Poison::Truncated) => first_half(&body).to_owned(),
        _ => body,
    }
}

/// Wraps a message for SNS; other envelopes deliver it as S3 sends it.
fn wrap_for_sns(notification: &Notification, message: String) -> String {
    if notification.envelope != Envelope::Sns {
        return message;
    }
    json!({
        "Type": "Notification",
        "MessageId": uuid(notification),
        "TopicArn": "arn:aws:sns:us-east-1:111122223333:changes",
        "Subject": "Amazon S3 Notification",
        "Message": message,
        "Timestamp": iso8601(notification.event_time),
        "SignatureVersion": "1",
        "Signature": "EXAMPLE",
        "SigningCertURL": "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-example.pem",
        "UnsubscribeURL": "https://sns.us-east-1.amazonaws.com/?Action=Unsubscribe",
    })
    .to_string()
}

fn first_half(text: &str) -> &str {
    &text[..text.floor_char_boundary(text.len() / 2)]
}

fn test_event(notification: &Notification) -> String {
    json!({
        "Service": "Amazon S3",
        "Event": "s3:TestEvent",
        "Time": iso8601(notification.event_time),
        "Bucket": notification.bucket,
        "RequestId": "EXAMPLE",
        "HostId": "EXAMPLE",
    })
    .to_string()
}

fn record(notification: &Notification) -> Value {
    let name = match (notification.kind, notification.deleted) {
        (Kind::Irrelevant(_), _) => "ObjectTagging:Put",
        (_, true) => "ObjectRemoved:Delete",
        (_, false) => "ObjectCreated:Put",
    };
    let mut object = json!({
        "key": form_encoded(&notification.key),
        "size": 1_024,
        "eTag": "b1946ac92492d2347c6235b4d2611184",
        "sequencer": format!("{:018X}", notification.sequencer),
    });
    match notification.kind {
        Kind::Poison(Poison::NoKey) => object["key"] = Value::Null,
        Kind::Poison(Poison::NotUtf8) => object["key"] = "caf%E9.html".into(),
        _ => {}
    }
    json!({
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "us-east-1",
        "eventTime": iso8601(notification.event_time),
        "eventName": name,
        "userIdentity": {"principalId": "AWS:AIDAEXAMPLE"},
        "requestParameters": {"sourceIPAddress": "192.0.2.1"},
        "responseElements": {"x-amz-request-id": "EXAMPLE", "x-amz-id-2": "EXAMPLE"},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "changes",
            "bucket": {
                "name": notification.bucket,
                "ownerIdentity": {"principalId": "EXAMPLE"},
                "arn": format!("arn:aws:s3:::{}", notification.bucket),
            },
            "object": object,
        },
    })
}

fn event_bridge(notification: &Notification) -> Value {
    let (kind, reason) = match (notification.kind, notification.deleted) {
        (Kind::Irrelevant(_), _) => ("Object Tags Added", "PutObjectTagging"),
        (_, true) => ("Object Deleted", "DeleteObject"),
        (_, false) => ("Object Created", "PutObject"),
    };
    let mut event = json!({
        "version": "0",
        "id": uuid(notification),
        "detail-type": kind,
        "source": "aws.s3",
        "account": "111122223333",
        "time": iso8601(truncate_to_seconds(notification.event_time)).replace(".000Z", "Z"),
        "region": "us-east-1",
        "resources": [format!("arn:aws:s3:::{}", notification.bucket)],
        "detail": {
            "version": "0",
            "bucket": {"name": notification.bucket},
            "object": {
                "key": notification.key,
                "size": 1_024,
                "etag": "b1946ac92492d2347c6235b4d2611184",
                "sequencer": format!("{:018X}", notification.sequencer),
            },
            "request-id": "EXAMPLE",
            "requester": "111122223333",
            "source-ip-address": "192.0.2.1",
            "reason": reason,
        },
    });
    if notification.deleted {
        event["detail"]["deletion-type"] = "Permanently Deleted".into();
    }
    if notification.kind == Kind::Poison(Poison::NoKey) {
        event["detail"]["object"]["key"] = Value::Null;
    }
    event
}

/// Returns an id from the sequencer, which is different for each notification.
fn uuid(notification: &Notification) -> String {
    let number = notification.sequencer;
    format!(
        "00000000-0000-4000-{:04x}-{:012x}",
        number >> 48,
        number & 0xFFFF_FFFF_FFFF
    )
}

fn truncate_to_seconds(moment: SystemTime) -> SystemTime {
    let since_epoch = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
    UNIX_EPOCH + Duration::from_secs(since_epoch.as_secs())
}

/// Encodes a key as S3 does: form encoding, except for the slash.
fn form_encoded(key: &str) -> String {
    let encoded: String = url::form_urlencoded::byte_serialize(key.as_bytes()).collect();
    encoded.replace("%2F", "/")
}
