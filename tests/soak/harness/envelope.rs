//! The messages in which S3's notices reach the queue, byte for byte as SQS hands them to Lambda.
//!
//! The same notice is S3's own JSON, that JSON as a text within SNS's, or EventBridge's. S3 and SNS state the key as a
//! form encodes it; EventBridge states it as it is, and the time in whole seconds.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::BUCKET;
use super::deploys::{Chaff, Envelope, Kind, Notice, Poison};
use crate::standin::iso8601;

/// Writes the body of a notice's message.
pub fn body(notice: &Notice) -> String {
    let body = match notice.kind {
        Kind::Poison(Poison::Stranger) => return json!({"order": 42}).to_string(),
        Kind::Chaff(Chaff::TestEvent) => wrap(notice, test_event(notice)),
        _ if notice.envelope == Envelope::EventBridge => event_bridge(notice).to_string(),
        _ => wrap(notice, json!({"Records": [record(notice)]}).to_string()),
    };
    match notice.kind {
        Kind::Poison(Poison::Truncated) => cut_in_half(&body).to_owned(),
        _ => body,
    }
}

/// EventBridge gets no test event, so there it comes as S3 sends it.
fn wrap(notice: &Notice, message: String) -> String {
    if notice.envelope != Envelope::Sns {
        return message;
    }
    json!({
        "Type": "Notification",
        "MessageId": uuid(notice),
        "TopicArn": "arn:aws:sns:us-east-1:111122223333:changes",
        "Subject": "Amazon S3 Notification",
        "Message": message,
        "Timestamp": iso8601(notice.stated),
        "SignatureVersion": "1",
        "Signature": "EXAMPLE",
        "SigningCertURL": "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-example.pem",
        "UnsubscribeURL": "https://sns.us-east-1.amazonaws.com/?Action=Unsubscribe",
    })
    .to_string()
}

fn cut_in_half(text: &str) -> &str {
    &text[..text.floor_char_boundary(text.len() / 2)]
}

fn test_event(notice: &Notice) -> String {
    json!({
        "Service": "Amazon S3",
        "Event": "s3:TestEvent",
        "Time": iso8601(notice.stated),
        "Bucket": BUCKET,
        "RequestId": "EXAMPLE",
        "HostId": "EXAMPLE",
    })
    .to_string()
}

fn record(notice: &Notice) -> Value {
    let name = match (notice.kind, notice.removed) {
        (Kind::Chaff(_), _) => "ObjectTagging:Put",
        (_, true) => "ObjectRemoved:Delete",
        (_, false) => "ObjectCreated:Put",
    };
    let mut object = json!({
        "key": form_encoded(&notice.key),
        "size": 1_024,
        "eTag": "b1946ac92492d2347c6235b4d2611184",
        "sequencer": format!("{:018X}", notice.sequencer),
    });
    match notice.kind {
        Kind::Poison(Poison::Keyless) => object["key"] = Value::Null,
        Kind::Poison(Poison::NotUtf8) => object["key"] = "caf%E9.html".into(),
        _ => {}
    }
    json!({
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "us-east-1",
        "eventTime": iso8601(notice.stated),
        "eventName": name,
        "userIdentity": {"principalId": "AWS:AIDAEXAMPLE"},
        "requestParameters": {"sourceIPAddress": "192.0.2.1"},
        "responseElements": {"x-amz-request-id": "EXAMPLE", "x-amz-id-2": "EXAMPLE"},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "changes",
            "bucket": {
                "name": BUCKET,
                "ownerIdentity": {"principalId": "EXAMPLE"},
                "arn": format!("arn:aws:s3:::{BUCKET}"),
            },
            "object": object,
        },
    })
}

fn event_bridge(notice: &Notice) -> Value {
    let (kind, reason) = match (notice.kind, notice.removed) {
        (Kind::Chaff(_), _) => ("Object Tags Added", "PutObjectTagging"),
        (_, true) => ("Object Deleted", "DeleteObject"),
        (_, false) => ("Object Created", "PutObject"),
    };
    let mut event = json!({
        "version": "0",
        "id": uuid(notice),
        "detail-type": kind,
        "source": "aws.s3",
        "account": "111122223333",
        "time": iso8601(whole_seconds(notice.stated)).replace(".000Z", "Z"),
        "region": "us-east-1",
        "resources": [format!("arn:aws:s3:::{BUCKET}")],
        "detail": {
            "version": "0",
            "bucket": {"name": BUCKET},
            "object": {
                "key": notice.key,
                "size": 1_024,
                "etag": "b1946ac92492d2347c6235b4d2611184",
                "sequencer": format!("{:018X}", notice.sequencer),
            },
            "request-id": "EXAMPLE",
            "requester": "111122223333",
            "source-ip-address": "192.0.2.1",
            "reason": reason,
        },
    });
    if notice.removed {
        event["detail"]["deletion-type"] = "Permanently Deleted".into();
    }
    if notice.kind == Kind::Poison(Poison::Keyless) {
        event["detail"]["object"]["key"] = Value::Null;
    }
    event
}

/// Names a message by the one number that no other notice has.
fn uuid(notice: &Notice) -> String {
    let number = notice.sequencer;
    format!(
        "00000000-0000-4000-{:04x}-{:012x}",
        number >> 48,
        number & 0xFFFF_FFFF_FFFF
    )
}

fn whole_seconds(moment: SystemTime) -> SystemTime {
    let since_epoch = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
    UNIX_EPOCH + Duration::from_secs(since_epoch.as_secs())
}

/// Encodes a key as S3 does: as a form, but for the slash.
fn form_encoded(key: &str) -> String {
    let encoded: String = url::form_urlencoded::byte_serialize(key.as_bytes()).collect();
    encoded.replace("%2F", "/")
}
