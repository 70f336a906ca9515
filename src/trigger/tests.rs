//! Reads recorded events, and events that broke other tools.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::DateTime;
use serde_json::{Value, json};

use super::direct::{Objects, Operation};
use super::request::{OnStale, OnTimeout, PathRequest, RequestOptions, Verify};
use super::s3::{IgnoredEvent, ObjectChange};
use super::*;
use crate::distribution::DistributionName;
use crate::error::Category;
use crate::path::EncodedPaths;
use crate::plan::InvalidationId;
use crate::site::Change;

/// Reads the text of an event, which must give the same as its JSON value.
fn parse_text(text: &str) -> Result<Trigger, Error> {
    let trigger = Trigger::parse(text.as_bytes());
    let event = serde_json::from_str(text).expect("JSON");
    assert_eq!(trigger, Trigger::from_value(&event), "{text}");
    trigger
}

fn parse(event: &Value) -> Result<Trigger, Error> {
    parse_text(&event.to_string())
}

mod bytes;

fn recorded(text: &str) -> Trigger {
    parse_text(text).expect("a known event")
}

fn only_changes(content: Content) -> Vec<ObjectChange> {
    assert_eq!((content.ignored, content.unreadable), (vec![], vec![]));
    content.changes
}

fn changes(trigger: Trigger) -> Vec<ObjectChange> {
    match trigger {
        Trigger::Notification(content) => only_changes(content),
        other => panic!("not a notification: {other:?}"),
    }
}

fn messages(trigger: Trigger) -> Vec<Message> {
    match trigger {
        Trigger::SqsBatch(messages) => messages,
        other => panic!("not an SQS batch: {other:?}"),
    }
}

fn change(bucket: &str, key: &str, millis: i64, change_id: &str) -> ObjectChange {
    let time = DateTime::from_timestamp_millis(millis).expect("a time");
    ObjectChange {
        bucket: bucket.into(),
        key: key.into(),
        time,
        change: Change::written(),
        change_id: change_id.into(),
    }
}

fn removed(change: ObjectChange) -> ObjectChange {
    ObjectChange {
        change: Change::removed(),
        ..change
    }
}

macro_rules! recorded {
    ($name:literal) => {
        recorded(include_str!(concat!("../../tests/events/", $name, ".json")))
    };
}

#[test]
fn reads_every_recorded_s3_notification() {
    for (trigger, key, millis, version) in [
        (
            recorded!("s3-direct-index"),
            "index.html",
            1795187872782,
            "00000660B6BAB26863",
        ),
        (
            recorded!("s3-direct-nested-index"),
            "blog/index.html",
            1795187885417,
            "00000660B6BAB2686D",
        ),
        (
            recorded!("s3-direct-copy"),
            "copy.html",
            1795187899899,
            "00000660B6BAB2687C",
        ),
        (
            recorded!("s3-direct-index-delete"),
            "index.html",
            1795187897939,
            "00000660B6BAB2687A",
        ),
        (
            recorded!("s3-direct-spaces"),
            "sub dir/page one.html",
            1795187875387,
            "00000660B6BAB26864",
        ),
        (
            recorded!("s3-direct-plus"),
            "a+b.html",
            1795187879527,
            "00000660B6BAB26867",
        ),
        (
            recorded!("s3-direct-unicode"),
            "ünï/日本 語.html",
            1795187888259,
            "00000660B6BAB26870",
        ),
    ] {
        let expected = change("tiny-direct-cfn", key, millis, version);
        let is_removed = millis == 1795187897939;
        assert_eq!(
            changes(trigger),
            [if is_removed {
                removed(expected)
            } else {
                expected
            }]
        );
    }
}

#[test]
fn reads_every_recorded_event_of_eventbridge_without_decoding_keys() {
    for (trigger, key, millis, version) in [
        (
            recorded!("s3-eb-nested-index"),
            "blog/index.html",
            1795187887317,
            "00000660B6BAB2686F",
        ),
        (
            recorded!("s3-eb-nested-index-delete"),
            "blog/index.html",
            1795187898875,
            "00000660B6BAB2687B",
        ),
        (
            recorded!("s3-eb-plus"),
            "a+b.html",
            1795187881695,
            "00000660B6BAB26869",
        ),
        (
            recorded!("s3-eb-spaces"),
            "sub dir/page one.html",
            1795187878067,
            "00000660B6BAB26866",
        ),
        (
            recorded!("s3-eb-unicode"),
            "ünï/日本 語.html",
            1795187890295,
            "00000660B6BAB26872",
        ),
    ] {
        let expected = change("tiny-eb-cfn", key, millis, version);
        let is_removed = millis == 1795187898875;
        assert_eq!(
            changes(trigger),
            [if is_removed {
                removed(expected)
            } else {
                expected
            }]
        );
    }
}

#[test]
fn reads_every_recorded_message_of_a_queue() {
    for (trigger, key) in [
        (recorded!("s3-sqs-nested-index"), "blog/index.html"),
        (recorded!("s3-sqs-plus"), "a+b.html"),
        (recorded!("s3-sqs-spaces"), "sub dir/page one.html"),
        (recorded!("s3-sqs-unicode"), "ünï/日本 語.html"),
        (recorded!("s3-sqs-poison"), "poison.html"),
    ] {
        let [message] = <[Message; 1]>::try_from(messages(trigger)).expect("one message");
        let changes = only_changes(message.content);
        assert_eq!(
            (changes[0].bucket.as_str(), changes[0].key.as_str()),
            ("tiny-sqs-cfn", key)
        );
        assert!(message.sent.expect("a time") >= changes[0].time);
    }
    let message = messages(recorded!("s3-sqs-plus")).remove(0);
    assert_eq!(
        message,
        Message {
            id: "38189d6b-09e4-40db-b324-3c3505d6ec12".into(),
            sent: DateTime::from_timestamp_millis(1795187880732),
            receive_count: 1,
            content: Content {
                changes: vec![change(
                    "tiny-sqs-cfn",
                    "a+b.html",
                    1795187880731,
                    "00000660B6BAB26868"
                )],
                ..Content::default()
            },
        }
    );
}

#[test]
fn acknowledges_the_test_events_that_come_first_on_a_queue() {
    let test = IgnoredEvent {
        name: "s3:TestEvent".into(),
        subject: "tiny-sqs-cfn".into(),
    };
    let expected = Content {
        ignored: vec![test],
        ..Content::default()
    };
    let messages = messages(recorded!("s3-sqs-s3-testevent"));
    assert_eq!(messages.len(), 2);
    messages
        .into_iter()
        .for_each(|message| assert_eq!(message.content, expected));
}

fn in_queue(bodies: &[&str]) -> Vec<Message> {
    let record = |(index, body)| json!({"eventSource": "aws:sqs", "messageId": format!("m{index}"), "body": body});
    let records: Vec<_> = bodies.iter().enumerate().map(record).collect();
    messages(parse(&json!({ "Records": records })).expect("a queue"))
}

#[test]
fn reads_an_sns_message_raw_or_wrapped_in_a_queue_or_a_record() {
    let expected = change("snsb", "dir x/é+.html", 1795193712452, "00000660B81B856A10");
    let wrapped = include_str!("../../tests/events/sns-wrapped-body.json");
    let raw = include_str!("../../tests/events/sns-raw-body.json");
    for message in in_queue(&[wrapped, raw]) {
        let changes = only_changes(message.content);
        assert_eq!(changes, std::slice::from_ref(&expected));
    }
    let envelope: Value = serde_json::from_str(wrapped).expect("recorded JSON");
    let record = json!({"EventSource": "aws:sns", "EventVersion": "1.0", "Sns": envelope});
    let trigger = parse(&json!({ "Records": [record, record] })).expect("an SNS event");
    assert_eq!(changes(trigger), [expected.clone(), expected]);
}

fn sns_notification(message: &Value) -> Value {
    json!({"Type": "Notification", "MessageId": "1", "Message": message.to_string()})
}

fn sns_event(messages: &[&Value]) -> Value {
    let record =
        |message: &&Value| json!({"EventSource": "aws:sns", "Sns": sns_notification(message)});
    json!({ "Records": messages.iter().map(record).collect::<Vec<_>>() })
}

/// Reads a value as a Lambda event, and as the only message of an SQS batch.
fn contents(event: &Value) -> [Content; 2] {
    let direct = match parse(event) {
        Ok(Trigger::Notification(content)) => content,
        other => panic!("not a notification: {other:?}"),
    };
    let [message] = <[Message; 1]>::try_from(in_queue(&[&event.to_string()])).expect("one message");
    [direct, message.content]
}

#[test]
fn reads_the_same_content_in_every_envelope() {
    let s3 = json!({"Records": [
        record("ObjectCreated:Put", "a+b%2B"),
        record("ObjectTagging:Put", "c"),
        record("ObjectCreated:Put", "%FF"),
    ]});
    let test = json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "site"});
    let event_bridge = json!({
        "source": "aws.s3", "detail-type": "Object Created", "time": "2026-11-20T15:17:58Z",
        "detail": {"bucket": {"name": "site"}, "object": {"key": "a%2Bb"}},
    });
    let incomplete = json!({"source": "aws.s3", "detail-type": "Object Created"});
    for content in [s3, test, event_bridge, incomplete] {
        let [expected, in_queue] = contents(&content);
        assert_ne!(expected, Content::default());
        assert_eq!(in_queue, expected, "{content}");
        // Each record adds its position to an error.
        let in_record = |position: &str| Content {
            unreadable: expected
                .unreadable
                .iter()
                .map(|error| error.clone().context(position))
                .collect(),
            ..expected.clone()
        };
        let notification = sns_notification(&content);
        let event = sns_event(&[&content]);
        for (enveloped, expected) in [
            (notification.clone(), expected.clone()),
            (sns_notification(&notification), expected.clone()),
            (sns_notification(&event), in_record("Records[0]")),
            (sns_event(&[&notification]), in_record("Records[0]")),
            (sns_event(&[&event]), in_record("Records[0]: Records[0]")),
            (event, in_record("Records[0]")),
        ] {
            assert_eq!(
                contents(&enveloped),
                [expected.clone(), expected],
                "{enveloped}"
            );
        }
    }
}

fn texts(errors: &[Error]) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn keeps_the_order_and_the_positions_of_sns_records() {
    let s3 = |key: &str| json!({"Records": [record("ObjectCreated:Put", key)]});
    let event = sns_event(&[&s3("a"), &json!({"hello": 1}), &s3("%FF"), &s3("b")]);
    for content in contents(&event) {
        assert_eq!(keys(&content), ["a", "b"]);
        assert_eq!(
            texts(&content.unreadable),
            [
                "Records[1]: the message is not an S3 event",
                "Records[2]: Records[0]: s3.object.key \"%FF\" does not decode to UTF-8",
            ]
        );
    }
    let without_message = json!({"Records": [{"EventSource": "aws:sns"}]});
    for content in contents(&without_message) {
        assert_eq!(
            texts(&content.unreadable),
            ["Records[0]: the message is not JSON"]
        );
    }
}

#[test]
fn rejects_a_caller_inside_an_envelope() {
    let sqs = json!({"Records": [{"eventSource": "aws:sqs", "messageId": "1", "body": "{}"}]});
    let job = json!({"CodePipeline.job": {"id": "1"}});
    for content in [sqs, job] {
        let messages = in_queue(&[
            &content.to_string(),
            &sns_notification(&content).to_string(),
        ]);
        for message in messages {
            let error = Error::invalid_input("the message is not an S3 event");
            assert_eq!(message.content.unreadable, [error]);
        }
    }
}

#[test]
fn identifies_changes_in_any_order_and_however_often_they_arrive() {
    let first = change("site", "a", 1795187872782, "0A");
    let second = change("site", "b c", 1795187872783, "0B");
    let expected = "s3 site \"a\" 1795187872782 0A\ns3 site \"b c\" 1795187872783 0B\n";
    for changes in [vec![&first, &second], vec![&second, &first, &second]] {
        assert_eq!(s3::event_identity(changes), expected);
    }
    let overwritten = change("site", "a", 1795187872782, "0C");
    assert_ne!(
        s3::event_identity([&first]),
        s3::event_identity([&overwritten])
    );
}

#[test]
fn fails_only_the_message_that_cannot_be_read() {
    let good = include_str!("../../tests/events/sns-raw-body.json");
    let sns = json!({"Type": "Notification", "Message": "hello"}).to_string();
    let bodies = [
        "",
        "{",
        r#"{"hello": 1}"#,
        &sns,
        r#"{"source": "aws.s3", "detail-type": "Object Created"}"#,
        good,
    ];
    let reasons: Vec<_> = in_queue(&bodies)
        .into_iter()
        .map(|message| {
            message
                .content
                .unreadable
                .into_iter()
                .map(|error| error.to_string())
                .collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(
        reasons,
        [
            vec!["the message is not JSON"],
            vec!["the message is not JSON"],
            vec!["the message is not an S3 event"],
            vec!["the message is not JSON"],
            vec!["detail: missing field `time`"],
            vec![],
        ]
    );
    let error = parse(&json!({"Records": [{"eventSource": "aws:sqs", "body": good}]}));
    assert_eq!(
        error.map(|_| ()),
        Err(Error::invalid_input(
            "a record of the SQS event has no messageId, so it cannot be reported as failed: pass the event unchanged"
        ))
    );
}

#[test]
fn reads_only_creations_and_deletions_of_eventbridge_as_changes() {
    let event = |kind: &str| {
        json!({
            "source": "aws.s3", "detail-type": kind, "time": "2026-11-20T15:17:58Z",
            "detail": {"bucket": {"name": "site"}, "object": {"key": "a%2Bb"}},
        })
    };
    let created = changes(parse(&event("Object Created")).expect("an event"));
    assert_eq!(
        created,
        [change("site", "a%2Bb", 1795187878000, "Object Created")]
    );
    for kind in [
        "Object Tags Added",
        "Object Restore Completed",
        "Object ACL Updated",
    ] {
        match parse(&event(kind)) {
            Ok(Trigger::Notification(content)) => {
                assert_eq!(
                    content.ignored,
                    [IgnoredEvent {
                        name: kind.into(),
                        subject: "a%2Bb".into()
                    }]
                );
                assert_eq!(content.changes, []);
            }
            other => panic!("not a notification: {other:?}"),
        }
    }
}

fn record(event_name: &str, key: &str) -> Value {
    json!({
        "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "us-east-1",
        "eventTime": "2026-11-20T15:17:52.782Z", "eventName": event_name,
        "userIdentity": {"principalId": "EXAMPLE"}, "requestParameters": {"sourceIPAddress": "127.0.0.1"},
        "s3": {"bucket": {"name": "site"}, "object": {"key": key, "sequencer": "0A"}},
    })
}

fn records_content(records: Value) -> Content {
    match parse(&json!({ "Records": records })) {
        Ok(Trigger::Notification(content)) => content,
        other => panic!("not a notification: {other:?}"),
    }
}

fn keys(content: &Content) -> Vec<&str> {
    content
        .changes
        .iter()
        .map(|change| change.key.as_str())
        .collect()
}

#[test]
fn reads_every_record() {
    let records = json!([
        record("ObjectCreated:Post", "a"),
        record("ObjectCreated:CompleteMultipartUpload", "b"),
        record("ObjectRemoved:DeleteMarkerCreated", "c"),
        record("LifecycleExpiration:Delete", "d"),
        record("LifecycleExpiration:DeleteMarkerCreated", "e"),
    ]);
    let content = records_content(records);
    let found = content.changes.iter();
    let found: Vec<_> = found
        .map(|change| (change.key.as_str(), change.change))
        .collect();
    let (written, removed) = (Change::written(), Change::removed());
    let expected = [
        ("a", written),
        ("b", written),
        ("c", removed),
        ("d", removed),
        ("e", removed),
    ];
    assert_eq!(found, expected);
}

#[test]
fn ignores_events_that_do_not_change_bytes() {
    for name in [
        "ObjectTagging:Put",
        "ObjectAcl:Put",
        "ObjectRestore:Completed",
        "ObjectAnnotation:Put",
    ] {
        let content = records_content(json!([record(name, "a+b")]));
        assert_eq!(
            content.ignored,
            [IgnoredEvent {
                name: name.into(),
                subject: "a+b".into()
            }]
        );
        assert_eq!((content.changes, content.unreadable), (vec![], vec![]));
    }
}

/// Returns an event of EventBridge about a removed object.
fn bridged_removal(reason: &str, deletion_type: &str, version_id: Option<&str>) -> Value {
    let mut event = json!({
        "version": "0", "detail-type": "Object Deleted", "source": "aws.s3", "time": "2026-11-20T15:17:52Z",
        "detail": {
            "bucket": {"name": "site"}, "object": {"key": "a b.html", "sequencer": "0A"},
            "reason": reason, "deletion-type": deletion_type,
        },
    });
    if let Some(version_id) = version_id {
        event["detail"]["object"]["version-id"] = json!(version_id);
    }
    event
}

#[test]
fn ignores_only_lifecycle_deletions_of_a_version() {
    const VERSION: &str = "IYV3p45BT0ac8hjHg1houSdS1a.Mro8e";
    for (name, version_id, is_ignored) in [
        ("LifecycleExpiration:Delete", Some(VERSION), true),
        // Versioning is off, or was off when the object was written: the object itself expires.
        ("LifecycleExpiration:Delete", None, false),
        ("LifecycleExpiration:Delete", Some(""), false),
        ("LifecycleExpiration:Delete", Some("null"), false),
        (
            "LifecycleExpiration:DeleteMarkerCreated",
            Some(VERSION),
            false,
        ),
        // DELETE ?versionId= of the current version exposes an older one.
        ("ObjectRemoved:Delete", Some(VERSION), false),
        ("ObjectRemoved:DeleteMarkerCreated", Some(VERSION), false),
        ("ObjectCreated:Put", Some(VERSION), false),
    ] {
        let mut record = record(name, "a+b.html");
        if let Some(version_id) = version_id {
            record["s3"]["object"]["versionId"] = json!(version_id);
        }
        let content = records_content(json!([record]));
        let ignored = IgnoredEvent {
            name: "LifecycleExpiration:Delete of a version".into(),
            subject: "a+b.html".into(),
        };
        let (changed, ignored): (&[&str], _) = if is_ignored {
            (&[], vec![ignored])
        } else {
            (&["a b.html"], vec![])
        };
        assert_eq!(keys(&content), changed, "{name} {version_id:?}");
        assert_eq!(content.ignored, ignored, "{name} {version_id:?}");
        assert_eq!(content.unreadable, [], "{name} {version_id:?}");
    }
}

#[test]
fn ignores_only_lifecycle_deletions_of_a_version_from_event_bridge() {
    const VERSION: &str = "IYV3p45BT0ac8hjHg1houSdS1a.Mro8e";
    const EXPIRATION: &str = "Lifecycle Expiration";
    const PERMANENT: &str = "Permanently Deleted";
    for (reason, deletion_type, version_id, is_ignored) in [
        (EXPIRATION, PERMANENT, Some(VERSION), true),
        (EXPIRATION, PERMANENT, None, false),
        (EXPIRATION, PERMANENT, Some(""), false),
        (EXPIRATION, PERMANENT, Some("null"), false),
        (EXPIRATION, "Delete Marker Created", Some(VERSION), false),
        ("DeleteObject", PERMANENT, Some(VERSION), false),
        (
            "DeleteObject",
            "Delete Marker Created",
            Some(VERSION),
            false,
        ),
    ] {
        let event = bridged_removal(reason, deletion_type, version_id);
        let Ok(Trigger::Notification(content)) = parse(&event) else {
            panic!("not a notification: {event}");
        };
        let ignored = IgnoredEvent {
            name: "Object Deleted (Lifecycle Expiration) of a version".into(),
            subject: "a b.html".into(),
        };
        let (changed, ignored): (&[&str], _) = if is_ignored {
            (&[], vec![ignored])
        } else {
            (&["a b.html"], vec![])
        };
        assert_eq!(keys(&content), changed, "{event}");
        assert_eq!(content.ignored, ignored, "{event}");
        assert_eq!(content.unreadable, [], "{event}");
    }
}

#[test]
fn the_deletion_of_a_version_can_restore_an_older_one() {
    let unknown = Change::default();
    for (name, version_id, expected) in [
        ("ObjectRemoved:Delete", Some("IYV3p45B"), unknown),
        ("ObjectRemoved:Delete", Some("null"), unknown),
        ("LifecycleExpiration:Delete", Some("null"), unknown),
        ("ObjectRemoved:Delete", Some(""), Change::removed()),
        ("ObjectRemoved:Delete", None, Change::removed()),
        (
            "ObjectRemoved:DeleteMarkerCreated",
            Some("IYV3p45B"),
            Change::removed(),
        ),
        ("ObjectCreated:Put", Some("IYV3p45B"), Change::written()),
    ] {
        let mut record = record(name, "a");
        record["s3"]["object"]["versionId"] = json!(version_id);
        let content = records_content(json!([record]));
        let changes: Vec<_> = content.changes.iter().map(|change| change.change).collect();
        assert_eq!(changes, [expected], "{name} {version_id:?}");
    }
    for (deletion_type, version_id, expected) in [
        ("Permanently Deleted", Some("IYV3p45B"), unknown),
        ("Permanently Deleted", None, Change::removed()),
        ("Delete Marker Created", Some("IYV3p45B"), Change::removed()),
    ] {
        let event = bridged_removal("DeleteObject", deletion_type, version_id);
        let Ok(Trigger::Notification(content)) = parse(&event) else {
            panic!("not a notification: {event}");
        };
        let changes: Vec<_> = content.changes.iter().map(|change| change.change).collect();
        assert_eq!(changes, [expected], "{event}");
    }
}

#[test]
fn decodes_a_key_once() {
    for (encoded, key) in [
        ("100%25.html", "100%.html"),
        ("100%2525.html", "100%25.html"),
        ("a+b%2Bc.html", "a b+c.html"),
        ("caf%C3%A9.html", "café.html"),
        ("plain.html", "plain.html"),
    ] {
        assert_eq!(
            keys(&records_content(json!([record(
                "ObjectCreated:Put",
                encoded
            )]))),
            [key]
        );
    }
}

#[test]
fn reads_the_other_records_when_one_is_unreadable() {
    let mut without_bucket = record("ObjectCreated:Put", "b");
    without_bucket["s3"]["bucket"] = json!({});
    let mut from_elsewhere = record("ObjectCreated:Put", "c");
    from_elsewhere["eventSource"] = json!("aws:sqs");
    let content = records_content(json!([
        record("ObjectCreated:Put", "a"),
        without_bucket,
        from_elsewhere,
        {"eventSource": "aws:s3"},
        record("ObjectCreated:Put", "%FF"),
        record("ObjectCreated:Put", "z"),
    ]));
    assert_eq!(keys(&content), ["a", "z"]);
    let reasons: Vec<_> = content.unreadable.iter().map(ToString::to_string).collect();
    assert_eq!(
        reasons,
        [
            "Records[1]: s3.bucket.name is missing",
            "Records[2]: eventSource is not \"aws:s3\", unlike the first record's",
            "Records[3]: missing field `eventTime`",
            "Records[4]: s3.object.key \"%FF\" does not decode to UTF-8",
        ]
    );
}

#[test]
fn acknowledges_the_test_event_of_a_new_notification() {
    let event = json!({
        "Service": "Amazon S3", "Event": "s3:TestEvent", "Time": "2026-11-20T15:17:25.000Z",
        "Bucket": "site", "RequestId": "1", "HostId": "2",
    });
    match parse(&event) {
        Ok(Trigger::Notification(content)) => {
            let test = IgnoredEvent {
                name: "s3:TestEvent".into(),
                subject: "site".into(),
            };
            assert_eq!(
                content,
                Content {
                    ignored: vec![test],
                    ..Default::default()
                }
            );
        }
        other => panic!("not a test event: {other:?}"),
    }
}

#[test]
fn names_the_expected_events_and_the_keys_received() {
    let quoted_keys: Vec<_> = (0..100).map(|number| format!("\"k{number:03}\"")).collect();
    for (event, received) in [
        (json!({}), "an empty object"),
        (
            json!({"source": "aws.events", "detail": {"secret": 1}}),
            "an object with \"detail\", \"source\"",
        ),
        (
            json!({"paths": null, "distribution": "E2EXAMPLE1ABC"}),
            "an object with \"distribution\", \"paths\": \"paths\" is null",
        ),
        (
            json!({"path": "/a", "distribution": "E2EXAMPLE1ABC"}),
            "an object with \"distribution\", \"path\": did you mean \"paths\"?",
        ),
        (
            json!({"KEY": "a"}),
            "an object with \"KEY\": did you mean \"keys\"?",
        ),
        (
            json!({"invalidationId": "I1"}),
            "an object with \"invalidationId\": did you mean \"invalidation\"?",
        ),
        (
            json!({"headers": {}, "body": "{\"paths\": [\"/*\"]}"}),
            "an object with \"body\", \"headers\": send what is in \"body\" as the event itself",
        ),
        (
            json!({"Payload": {"paths": ["/*"]}}),
            "an object with \"Payload\": send what is in \"Payload\" as the event itself",
        ),
        (json!({"Records": []}), "an object with \"Records\""),
        (json!({"Records": "x"}), "an object with \"Records\""),
        (
            json!({"Records": [{"eventSource": "aws:kinesis"}]}),
            "an object with \"Records\" from eventSource \"aws:kinesis\"",
        ),
        (
            (0..300)
                .map(|number| (format!("k{number:03}"), json!(1)))
                .collect(),
            &format!("an object with {}, and 200 more", quoted_keys.join(", ")),
        ),
        (json!(["secret"]), "an array"),
        (
            json!("{\"paths\": [\"/*\"]}"),
            "a string: send the object itself, not its JSON in a string",
        ),
        (json!("hello"), "a string"),
        (
            json!({"key1": "value1", "key2": "value2", "days": 1}),
            "an object with \"days\", \"key1\", \"key2\"",
        ),
        (json!(7), "a value that is not an object"),
        (json!(null), "a value that is not an object"),
    ] {
        let error = parse(&event).expect_err("an unknown event");
        assert_eq!(
            error.to_string(),
            format!(
                "unknown event: expected a CodePipeline job (\"CodePipeline.job\"), an S3 notification, direct or \
                 through SQS, SNS or EventBridge, or a direct invocation (\"paths\", \"keys\" or \"invalidation\"), but \
                 received {received}"
            )
        );
    }
}

fn job(parameters: Option<Value>) -> codepipeline::Job {
    let mut event = json!({"CodePipeline.job": {
        "id": "11111111-abcd", "accountId": "111122223333",
        "data": {"actionConfiguration": {"configuration": {"FunctionName": "f"}}},
    }});
    if let Some(parameters) = parameters {
        event["CodePipeline.job"]["data"]["actionConfiguration"]["configuration"]["UserParameters"] =
            parameters;
    }
    match parse(&event) {
        Ok(Trigger::PipelineJob(job)) => job,
        other => panic!("not a job: {other:?}"),
    }
}

fn request(distributions: &[&str], paths: &[&str]) -> PathRequest {
    request_with(distributions, paths, RequestOptions::default())
}

/// Returns a request with these distributions and the other options.
fn request_with(distributions: &[&str], paths: &[&str], options: RequestOptions) -> PathRequest {
    let name = |text: &&str| DistributionName::parse(text).expect("a name");
    let paths = paths.iter();
    PathRequest {
        paths: paths
            .map(|path| EncodedPaths::parse(path).expect("a path"))
            .collect(),
        options: RequestOptions {
            distributions: distributions.iter().map(name).collect(),
            ..options
        },
    }
}

fn urls(texts: &[&str]) -> Verify {
    let encoded = texts
        .iter()
        .map(|text| EncodedPaths::parse(text).expect("a path"));
    Verify::Urls(encoded.collect())
}

#[test]
fn reads_the_parameters_of_a_pipeline_action() {
    for (parameters, expected) in [
        (None, request(&[], &["/*"])),
        (Some(json!(null)), request(&[], &["/*"])),
        (Some(json!("")), request(&[], &["/*"])),
        (Some(json!(" \n")), request(&[], &["/*"])),
        (Some(json!("null")), request(&[], &["/*"])),
        (Some(json!("{}")), request(&[], &["/*"])),
        (Some(json!(r#"{"paths": null}"#)), request(&[], &["/*"])),
        (
            Some(json!("E2EXAMPLE1ABC")),
            request(&["E2EXAMPLE1ABC"], &["/*"]),
        ),
        (
            Some(json!(r#"{"distribution": "E2EXAMPLE1ABC"}"#)),
            request(&["E2EXAMPLE1ABC"], &["/*"]),
        ),
        (
            Some(json!(
                r##"{"distribution": ["E2EXAMPLE1ABC", "E3EXAMPLE1ABC"], "paths": ["a", "/b/*", "#t"]}"##
            )),
            request(&["E2EXAMPLE1ABC", "E3EXAMPLE1ABC"], &["/a", "/b/*", "#t"]),
        ),
        (
            Some(json!(r#"{"paths": "/index.html"}"#)),
            request(&[], &["/index.html"]),
        ),
        (
            Some(json!("WWW.example.com")),
            request(&["www.example.com"], &["/*"]),
        ),
        (
            Some(json!(
                r#"{"distribution": ["d1.cloudfront.net", "E2EXAMPLE1ABC"], "wait": true}"#
            )),
            request_with(
                &["d1.cloudfront.net", "E2EXAMPLE1ABC"],
                &["/*"],
                RequestOptions {
                    wait: Some(Duration::from_secs(900)),
                    ..RequestOptions::default()
                },
            ),
        ),
        (
            Some(json!(
                r#"{"wait": "5m", "onTimeout": "fail", "reference": "release-42"}"#
            )),
            request_with(
                &[],
                &["/*"],
                RequestOptions {
                    wait: Some(Duration::from_secs(300)),
                    on_timeout: OnTimeout::Fail,
                    label: Some("release-42".into()),
                    ..RequestOptions::default()
                },
            ),
        ),
        (
            Some(json!(r#"{"wait": 90, "onTimeout": "succeed"}"#)),
            request_with(
                &[],
                &["/*"],
                RequestOptions {
                    wait: Some(Duration::from_secs(90)),
                    ..RequestOptions::default()
                },
            ),
        ),
        (
            Some(json!(r#"{"wait": "5m", "verify": true}"#)),
            request_with(
                &[],
                &["/*"],
                RequestOptions {
                    wait: Some(Duration::from_secs(300)),
                    verify: Verify::InvalidatedPaths,
                    ..RequestOptions::default()
                },
            ),
        ),
        (
            Some(json!(
                r##"{"paths": ["/a", "#t"], "verify": "true", "onStale": "succeed"}"##
            )),
            request_with(
                &[],
                &["/a", "#t"],
                RequestOptions {
                    verify: Verify::InvalidatedPaths,
                    on_stale: OnStale::Succeed,
                    ..RequestOptions::default()
                },
            ),
        ),
        (
            Some(json!(r#"{"verify": false, "onStale": "fail"}"#)),
            request(&[], &["/*"]),
        ),
        (
            Some(json!(r#"{"verify": "/blog/"}"#)),
            request_with(
                &[],
                &["/*"],
                RequestOptions {
                    verify: urls(&["/blog/"]),
                    ..RequestOptions::default()
                },
            ),
        ),
        (
            Some(json!(
                r##"{"paths": "#t", "verify": ["/a?b=1", "https://www.example.com/c d"], "onStale": null}"##
            )),
            request_with(
                &[],
                &["#t"],
                RequestOptions {
                    verify: urls(&["/a?b=1", "/c d"]),
                    ..RequestOptions::default()
                },
            ),
        ),
        (
            Some(json!(
                r#"{"wait": false, "onTimeout": null, "verify": null, "onStale": null, "reference": null}"#
            )),
            request_with(
                &[],
                &["/*"],
                RequestOptions {
                    wait: Some(Duration::ZERO),
                    ..RequestOptions::default()
                },
            ),
        ),
    ] {
        assert_eq!(
            job(parameters.clone()).request(),
            Ok(expected),
            "{parameters:?}"
        );
    }
}

#[test]
fn names_the_invalid_field_of_the_parameters() {
    const EXPECTED: &str = "expected a distribution id, a domain name, a JSON object such as {\"paths\": [\"/*\"]}, or \
                            an empty string";
    for (parameters, message) in [
        (json!(7), "UserParameters: expected a string".to_owned()),
        (json!("[]"), format!("UserParameters: {EXPECTED}")),
        (json!("\"E2EXAMPLE1ABC\""), format!("UserParameters: {EXPECTED}")),
        (
            json!("/index.html"),
            format!("UserParameters: {EXPECTED}; not valid JSON: expected value at line 1 column 1"),
        ),
        (
            json!(r#"{"pathes": ["/x"]}"#),
            r#"UserParameters: unknown field "pathes" (did you mean "paths"?)"#.to_owned(),
        ),
        (
            json!(r#"{"ontimeout": "fail"}"#),
            r#"UserParameters: unknown field "ontimeout" (did you mean "onTimeout"?)"#.to_owned(),
        ),
        (
            json!(r#"{"invalidate": true}"#),
            "UserParameters: unknown field \"invalidate\" (the fields are \"distribution\", \"paths\", \"wait\", \
             \"onTimeout\", \"verify\", \"onStale\", \"reference\")"
                .to_owned(),
        ),
        (
            json!(r#"{"wait": "soon"}"#),
            "UserParameters: wait: \"soon\" is not a valid limit: write true, false, or a time up to 23h such as 90s or 5m"
                .to_owned(),
        ),
        (
            json!(r#"{"wait": [1]}"#),
            "UserParameters: wait: \"[1]\" is not a valid limit: write true, false, or a time up to 23h such as 90s or 5m"
                .to_owned(),
        ),
        (
            json!(r#"{"onTimeout": "panic"}"#),
            "UserParameters: onTimeout: expected \"succeed\" or \"fail\"".to_owned(),
        ),
        (
            json!(r#"{"verify": true, "onStale": "warn"}"#),
            "UserParameters: onStale: expected \"succeed\" or \"fail\"".to_owned(),
        ),
        (
            json!(r#"{"onStale": "succeed"}"#),
            "UserParameters: onStale: it has no effect without \"verify\": add \"verify\": true, or remove it".to_owned(),
        ),
        (
            json!(r#"{"verify": 1}"#),
            "UserParameters: verify: expected true, false, a path, or an array of paths".to_owned(),
        ),
        (
            json!(r#"{"verify": []}"#),
            "UserParameters: verify: the array is empty: omit the field to use the default".to_owned(),
        ),
        (
            json!(r#"{"verify": ["/a", "/blog/* "]}"#),
            "UserParameters: verify[1]: \"/blog/* \" names no URL: write what viewers request, such as \"/blog/\""
                .to_owned(),
        ),
        (
            json!(r#"{"verify": "True"}"#),
            "UserParameters: verify: expected true, false, or a path that begins with a slash, not \"True\"".to_owned(),
        ),
        (
            json!(r##"{"verify": "#product:42"}"##),
            "UserParameters: verify: expected true, false, or a path that begins with a slash, not \"#product:42\""
                .to_owned(),
        ),
        (
            json!(r##"{"paths": ["#product:42"], "verify": true}"##),
            "UserParameters: verify: \"paths\" has cache tags only, which name no URL: list the URLs to request"
                .to_owned(),
        ),
        (
            json!(r#"{"reference": "release 42"}"#),
            "UserParameters: reference: expected a string of 1 to 60 printable ASCII characters without spaces"
                .to_owned(),
        ),
        (
            json!(r#"{"paths": []}"#),
            "UserParameters: paths: the array is empty: omit the field to use the default".to_owned(),
        ),
        (json!(r#"{"paths": {"a": 1}}"#), "UserParameters: paths: expected a string or an array of strings".to_owned()),
        (json!(r#"{"paths": ["/a", 1]}"#), "UserParameters: paths[1]: expected a string".to_owned()),
        (
            json!(r#"{"paths": ["/a", "/b*/c"]}"#),
            "UserParameters: paths[1]: \"/b*/c\" has a * before its end: CloudFront accepts a * only as the last character"
                .to_owned(),
        ),
        (
            json!("{\"paths\": [\"/a\u{200b}\"]}"),
            "UserParameters: paths[0]: \"/a\\u{200b}\" contains the invisible character U+200B: remove it, or write \
             %E2%80%8B if it belongs to the path"
                .to_owned(),
        ),
        (
            json!(r#"{"distribution": "example"}"#),
            "UserParameters: distribution: \"example\" is neither a distribution id such as E2EXAMPLE1ABC nor a \
             domain name such as www.example.com"
                .to_owned(),
        ),
    ] {
        let error = job(Some(parameters)).request().expect_err("broken parameters");
        assert_eq!(error.to_string(), message);
        assert_eq!(error.category(), Category::InvalidInput);
    }
}

#[test]
fn reads_the_id_of_a_job_whatever_else_is_missing_or_null() {
    for data in [
        json!({"id": "1"}),
        json!({"id": "1", "data": null}),
        json!({"id": "1", "data": {"actionConfiguration": null}}),
        json!({"id": "1", "data": {"actionConfiguration": {"configuration": null}, "inputArtifacts": null}}),
        json!({"id": "1", "accountId": 7, "data": {"artifactCredentials": null, "outputArtifacts": null}}),
    ] {
        match parse(&json!({ "CodePipeline.job": data })) {
            Ok(Trigger::PipelineJob(job)) => {
                assert_eq!(job.id.as_str(), "1");
                assert_eq!(job.request(), Ok(request(&[], &["/*"])));
            }
            other => panic!("not a job: {other:?}"),
        }
    }
    for data in [json!({}), json!(null), json!({"id": ""}), json!({"id": 7})] {
        let error = parse(&json!({ "CodePipeline.job": data })).expect_err("a job without an id");
        assert_eq!(
            error.to_string(),
            "the CodePipeline job has no id, so no result can be reported: pass the event unchanged"
        );
    }
}

#[test]
fn returns_the_continuation_token_of_a_job() {
    for (data, token) in [
        (json!({"continuationToken": "1 a 1"}), Some("1 a 1")),
        (json!({"continuationToken": ""}), None),
        (json!({"continuationToken": null}), None),
        (json!({}), None),
    ] {
        let job = codepipeline::Job::from_event(&json!({"id": "2", "data": data})).expect("a job");
        assert_eq!(job.continuation_token(), token);
    }
}

#[test]
fn returns_the_folder_of_the_artifacts_of_a_pipeline() {
    let artifact = |key: Value| json!({"location": {"s3Location": {"objectKey": key}}});
    for (artifacts, pipeline) in [
        (
            json!([artifact("shop-website-deploym/Build/x7".into())]),
            Some("shop-website-deploym"),
        ),
        // A pipeline's folder has 20 characters. Whoever can invoke the function can send a longer one.
        (
            json!([artifact(format!("{}/x7", "ü".repeat(900_000)).into())]),
            Some(&*"ü".repeat(100)),
        ),
        (json!([artifact("x7".into())]), None),
        (json!([artifact(Value::Null)]), None),
        (json!([]), None),
        (Value::Null, None),
    ] {
        let job = json!({"id": "2", "data": {"inputArtifacts": artifacts}});
        let job = codepipeline::Job::from_event(&job).expect("a job");
        assert_eq!(job.pipeline.as_deref(), pipeline);
    }
}

#[test]
fn keeps_the_credentials_of_a_job_out_of_its_debug_text() {
    let event = json!({"CodePipeline.job": {"id": "1", "data": {
        "artifactCredentials": {"accessKeyId": "AKIA-SECRET", "secretAccessKey": "SECRET", "sessionToken": "SECRET"},
    }}});
    let trigger = parse(&event).expect("a job");
    assert_eq!(
        format!("{trigger:?}"),
        r#"PipelineJob(Job { id: JobId("1"), pipeline: None, user_parameters: None, continuation_token: None })"#
    );
}

/// Reads the event of a direct invocation.
fn direct(event: &Value) -> DirectRequest {
    match parse(event) {
        Ok(Trigger::Direct(request)) => request,
        other => panic!("not a direct invocation: {other:?}"),
    }
}

#[test]
fn reads_the_event_of_a_direct_invocation() {
    let paths_with_hosts =
        |request, hosts: &[&str], idempotency_key: Option<&str>| Operation::InvalidatePaths {
            request,
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            idempotency_key: idempotency_key.map(str::to_owned),
        };
    let paths = |request, idempotency_key| paths_with_hosts(request, &[], idempotency_key);
    let objects = |keys: &[&str], note: Option<&str>| Objects {
        bucket: "site".into(),
        keys: keys.iter().map(|key| (*key).to_owned()).collect(),
        note: note.map(str::to_owned),
    };
    let of_objects = |objects| Operation::InvalidateObjects {
        objects,
        hosts: BTreeSet::new(),
        options: RequestOptions::default(),
        idempotency_key: None,
    };
    let status = |distributions: &[&str]| Operation::ReportStatus {
        invalidation: InvalidationId::new("I2J0I21PCUYOIK"),
        distributions: request(distributions, &[]).options.distributions,
    };
    let all_options = RequestOptions {
        wait: Some(Duration::from_secs(300)),
        on_timeout: OnTimeout::Fail,
        verify: Verify::InvalidatedPaths,
        on_stale: OnStale::Succeed,
        label: Some("release-42".into()),
        ..RequestOptions::default()
    };
    let names = ["www.example.com", "E2EXAMPLE1ABC"];
    for (event, operation) in [
        (json!({"paths": "/*"}), paths(request(&[], &["/*"]), None)),
        (
            json!({
                "paths": ["blog/*", "#product:42", "https://www.example.com/a?b=1"], "keys": null, "bucket": null,
                "invalidation": null, "idempotencyKey": null, "wait": null
            }),
            paths_with_hosts(
                request(&[], &["/blog/*", "#product:42", "/a?b=1"]),
                &["www.example.com"],
                None,
            ),
        ),
        (
            json!({
                "paths": ["/a"], "distribution": names, "wait": "5m", "onTimeout": "fail", "verify": true,
                "onStale": "succeed", "reference": "release-42", "idempotencyKey": "arn:aws:states:eu-west-1:1:execution:a:b"
            }),
            paths(
                request_with(&names, &["/a"], all_options.clone()),
                Some("arn:aws:states:eu-west-1:1:execution:a:b"),
            ),
        ),
        (
            json!({
                "keys": ["a b.html", "ä+%41.html", "[id]/<a>.html", "$metadata"], "bucket": "site", "wait": "5m", "onTimeout": "fail", "verify": true,
                "onStale": "succeed", "reference": "release-42", "idempotencyKey": "k"
            }),
            Operation::InvalidateObjects {
                objects: objects(
                    &["a b.html", "ä+%41.html", "[id]/<a>.html", "$metadata"],
                    None,
                ),
                hosts: BTreeSet::new(),
                options: all_options,
                idempotency_key: Some("k".into()),
            },
        ),
        (
            json!({"keys": "a.html", "bucket": "s3://site/"}),
            of_objects(objects(&["a.html"], None)),
        ),
        (
            json!({"keys": ["/a.html", "./b.html", "c.html", "//d.html"], "bucket": "site"}),
            of_objects(objects(
                &["a.html", "b.html", "c.html", "/d.html"],
                Some("read 3 keys without the leading / or ./, such as /a.html"),
            )),
        ),
        (json!({"invalidation": "I2J0I21PCUYOIK"}), status(&[])),
        (
            json!({"invalidation": "I2J0I21PCUYOIK", "distribution": names, "paths": null}),
            status(&names),
        ),
    ] {
        for requested_by in [None, Some("Ada <ada@example.com>")] {
            let mut event = event.clone();
            if let Some(name) = requested_by {
                event["requestedBy"] = name.into();
            }
            let expected = DirectRequest {
                operation: Ok(operation.clone()),
                requested_by: requested_by.map(str::to_owned),
            };
            assert_eq!(direct(&event), expected, "{event}");
        }
    }
}

#[test]
fn names_the_invalid_field_of_a_direct_invocation() {
    const TEXT: &str = "expected a string of 1 to 256 characters without control characters";
    const EMPTY: &str =
        "the array is empty: name what to invalidate, or \"/*\" in \"paths\" for everything";
    const DEFAULT: &str = "the array is empty: omit the field to use the default";
    const REFERENCE: &str =
        "expected a string of 1 to 60 printable ASCII characters without spaces";
    const BUCKET: &str = "bucket: expected the name of a bucket, such as \"my-site\"";
    const ID: &str = "invalidation: expected the id of an invalidation, such as \"I2J0I21PCUYOIK\"";
    let text_of = |field: &str| format!("{field}: {TEXT}");
    for (event, message) in [
        (
            json!({"paths": "/a", "path": "/b"}),
            "unknown field \"path\" (did you mean \"paths\"?)".to_owned(),
        ),
        (
            json!({"paths": "/a", "idempotency_key": "a"}),
            "unknown field \"idempotency_key\" (did you mean \"idempotencyKey\"?)".to_owned(),
        ),
        (
            json!({"paths": "/a", "source": "cms"}),
            "unknown field \"source\" (the fields are \"paths\", \"keys\", \"bucket\", \"distribution\", \"wait\", \
             \"onTimeout\", \"verify\", \"onStale\", \"reference\", \"idempotencyKey\", \"invalidation\", \"requestedBy\")"
                .to_owned(),
        ),
        (
            json!({"paths": "/a", "tag": "a"}),
            "unknown field \"tag\" (the fields are \"paths\", \"keys\", \"bucket\", \"distribution\", \"wait\", \"onTimeout\", \
             \"verify\", \"onStale\", \"reference\", \"idempotencyKey\", \"invalidation\", \"requestedBy\")"
                .to_owned(),
        ),
        (
            json!({"paths": "/a", "distributionIds": ["E2EXAMPLE1ABC"]}),
            "unknown field \"distributionIds\" (did you mean \"distribution\"?)".to_owned(),
        ),
        (
            json!({"paths": "/a", "distributionName": "www.example.com"}),
            "unknown field \"distributionName\" (the fields are \"paths\", \"keys\", \"bucket\", \"distribution\", \"wait\", \
             \"onTimeout\", \"verify\", \"onStale\", \"reference\", \"idempotencyKey\", \"invalidation\", \"requestedBy\")"
                .to_owned(),
        ),
        (json!({"paths": []}), format!("paths: {EMPTY}")),
        (
            json!({"paths": ["/a", ""]}),
            "paths[1]: the path is empty: write /* for everything".to_owned(),
        ),
        (
            json!({"paths": ""}),
            "paths: the path is empty: write /* for everything".to_owned(),
        ),
        (
            json!({"paths": "/a,/b"}),
            "paths: \"/a,/b\" contains several paths: write an array with a string for each, or %20 for a space and %2C for a comma that belongs to the path".to_owned(),
        ),
        (
            json!({"paths": ["/a", "/b, /c"]}),
            "paths[1]: \"/b, /c\" contains several paths: write an array with a string for each, or %20 for a space and %2C for a comma that belongs to the path".to_owned(),
        ),
        (
            json!({"paths": "/a\n/b"}),
            "paths: \"/a\\n/b\" contains several paths: write an array with a string for each, or %20 for a space and %2C for a comma that belongs to the path".to_owned(),
        ),
        (
            json!({"paths": "[\"/a\", \"/b\"]"}),
            "paths: \"[\\\"/a\\\", \\\"/b\\\"]\" starts as JSON: write the array or the object itself, not its JSON in a string; a path has a / at its start".to_owned(),
        ),
        (
            json!({"paths": "[\"a.html\"]"}),
            "paths: \"[\\\"a.html\\\"]\" starts as JSON: write the array or the object itself, not its JSON in a string; a path has a / at its start"
                .to_owned(),
        ),
        (
            json!({"paths": "/a,"}),
            "paths: \"/a,\" ends with a comma: remove it, or write %2C if it belongs to the path".to_owned(),
        ),
        (
            json!({"paths": "$path"}),
            "paths: \"$path\" starts with a variable that was not expanded: write its value, or a / before a path".to_owned(),
        ),
        (
            json!({"paths": ["<paths>"]}),
            "paths[0]: \"<paths>\" starts with <, as XML, HTML and placeholders do: write each path alone, with a / at its start"
                .to_owned(),
        ),
        (
            json!({"paths": "C:/Program Files/Git/blog/*"}),
            "paths: \"C:/Program Files/Git/blog/*\" is a file name of Windows: write the path of the URL, with a / at its start"
                .to_owned(),
        ),
        (
            json!({"keys": "[\"a\", \"b\"]", "bucket": "site"}),
            "keys: \"[\\\"a\\\", \\\"b\\\"]\" is not a key: write the array or the object itself, not its JSON in a string"
                .to_owned(),
        ),
        (
            json!({"keys": "<key>", "bucket": "site"}),
            "keys: \"<key>\" is not a key: it is a placeholder that was not replaced: write its value".to_owned(),
        ),
        (
            json!({"paths": {"Items": ["/a"]}}),
            "paths: expected a string or an array of strings".to_owned(),
        ),
        (
            json!({"keys": ["a"]}),
            "\"keys\" needs \"bucket\": the name of the bucket that has the objects".to_owned(),
        ),
        (
            json!({"keys": ["a"], "paths": ["/a"], "bucket": "site"}),
            "the event has \"paths\" and \"keys\": invoke the function once for each".to_owned(),
        ),
        (
            json!({"paths": ["/a"], "bucket": "site"}),
            "\"bucket\" has no effect without \"keys\": remove it, or name the keys of the objects"
                .to_owned(),
        ),
        (json!({"keys": [], "bucket": "site"}), format!("keys: {EMPTY}")),
        (
            json!({"keys": ["/"], "bucket": "site"}),
            "keys[0]: \"/\" is not a key: name an object, or use \"paths\"".to_owned(),
        ),
        (
            json!({"keys": ["a", "s3://site/a"], "bucket": "site"}),
            "keys[1]: \"s3://site/a\" is not a key: write the key alone, and name the bucket in \"bucket\""
                .to_owned(),
        ),
        (
            json!({"keys": ["https://www.example.com/a"], "bucket": "site"}),
            "keys[0]: \"https://www.example.com/a\" is not a key: write URLs in \"paths\"".to_owned(),
        ),
        (
            json!({"keys": "http://www.example.com/a", "bucket": "site"}),
            "keys: \"http://www.example.com/a\" is not a key: write URLs in \"paths\"".to_owned(),
        ),
        (json!({"keys": ["a"], "bucket": ""}), BUCKET.to_owned()),
        (json!({"keys": ["a"], "bucket": "s3://site/dir"}), BUCKET.to_owned()),
        (json!({"keys": ["a"], "bucket": ["site"]}), BUCKET.to_owned()),
        (json!({"invalidation": ""}), ID.to_owned()),
        (json!({"invalidation": "I1/../E2"}), ID.to_owned()),
        (json!({"invalidation": ["I1"]}), ID.to_owned()),
        (
            json!({"invalidation": "I1", "paths": ["/a"]}),
            "\"paths\" has no effect with \"invalidation\", which only reports a status: remove one of them".to_owned(),
        ),
        (
            json!({"invalidation": "I1", "wait": "5m"}),
            "\"wait\" has no effect with \"invalidation\", which only reports a status: remove one of them".to_owned(),
        ),
        (
            json!({"invalidation": "I1", "id": "I1"}),
            "unknown field \"id\" (the fields are \"paths\", \"keys\", \"bucket\", \"distribution\", \"wait\", \
             \"onTimeout\", \"verify\", \"onStale\", \"reference\", \"idempotencyKey\", \"invalidation\", \"requestedBy\")"
                .to_owned(),
        ),
        (
            json!({"paths": "/a", "idempotencyKey": "  "}),
            "idempotencyKey: it is blank: write a value that differs between requests".to_owned(),
        ),
        (
            json!({"paths": "/a", "idempotencyKey": "$$.Execution.Id"}),
            "idempotencyKey: \"$$.Execution.Id\" is a placeholder that was not replaced: write its value".to_owned(),
        ),
        (
            json!({"paths": "/a", "idempotencyKey": "{% $states.context.Execution.Id %}"}),
            "idempotencyKey: \"{% $states.context.Execution.Id %}\" is a placeholder that was not replaced: write its value"
                .to_owned(),
        ),
        (
            json!({"paths": "/a", "idempotencyKey": "nightly <aws.scheduler.scheduled-tme>"}),
            "idempotencyKey: \"nightly <aws.scheduler.scheduled-tme>\" is a placeholder that was not replaced: write its value"
                .to_owned(),
        ),
        (
            json!({"keys": "$.detail.object.key", "bucket": "site"}),
            "keys: \"$.detail.object.key\" is not a key: it is a placeholder that was not replaced: write its value".to_owned(),
        ),
        (
            json!({"keys": "${key}", "bucket": "site"}),
            "keys: \"${key}\" is not a key: it is a placeholder that was not replaced: write its value".to_owned(),
        ),
        (
            json!({"keys": "a.html\nb.html", "bucket": "site"}),
            "keys: \"a.html\\nb.html\" is not a key: it contains a control character: write an array with a string for each key"
                .to_owned(),
        ),
        (
            json!({"keys": "C:\\site\\a.html", "bucket": "site"}),
            "keys: \"C:\\\\site\\\\a.html\" is not a key: it is a file name of Windows: write the key in the bucket, with / between its \
             folders"
                .to_owned(),
        ),
        (
            json!({"keys": "S3://site/a", "bucket": "site"}),
            "keys: \"S3://site/a\" is not a key: write the key alone, and name the bucket in \"bucket\"".to_owned(),
        ),
        (
            json!({"keys": "arn:aws:s3:::site/a.html", "bucket": "site"}),
            "keys: \"arn:aws:s3:::site/a.html\" is not a key: write the key alone, and name the bucket in \"bucket\"".to_owned(),
        ),
        (
            json!({"keys": "HTTPS://www.example.com/a", "bucket": "site"}),
            "keys: \"HTTPS://www.example.com/a\" is not a key: write URLs in \"paths\"".to_owned(),
        ),
        (
            json!({"paths": "/a", "verify": "/a.html,/b.html"}),
            "verify: \"/a.html,/b.html\" contains several paths: write an array with a string for each, or %20 for a space and %2C \
             for a comma that belongs to the path"
                .to_owned(),
        ),
        (
            json!({"keys": "a", "bucket": "site", "verify": ["https:///a.html"]}),
            "verify: \"https:///a.html\" has no host: if it comes from a variable, that variable is empty or not set".to_owned(),
        ),
        (
            json!({"paths": "/a", "idempotencyKey": "release $.id"}),
            "idempotencyKey: \"release $.id\" is a placeholder that was not replaced: write its value".to_owned(),
        ),
        (
            json!({"paths": "/a", "idempotencyKey": "${id}-7"}),
            "idempotencyKey: \"${id}-7\" is a placeholder that was not replaced: write its value".to_owned(),
        ),
        (
            json!({"keys": "../a.html", "bucket": "site"}),
            "keys: \"../a.html\" is not a key: write it as S3 has it, without ..".to_owned(),
        ),
        (
            json!({"paths": "$.paths"}),
            "paths: \"$.paths\" starts with a variable that was not expanded: write its value, or a / before a path".to_owned(),
        ),
        (json!({"paths": "/a", "idempotencyKey": ""}), text_of("idempotencyKey")),
        (json!({"paths": "/a", "idempotencyKey": "a\n"}), text_of("idempotencyKey")),
        (json!({"paths": "/a", "idempotencyKey": "a\u{85}"}), text_of("idempotencyKey")),
        (json!({"paths": "/a", "idempotencyKey": "é".repeat(257)}), text_of("idempotencyKey")),
        (json!({"paths": "/a", "idempotencyKey": 7}), text_of("idempotencyKey")),
        (json!({"paths": "/a", "requestedBy": ["a"]}), text_of("requestedBy")),
        (
            json!({"paths": ["#a", "#b"], "verify": true}),
            "verify: \"paths\" has cache tags only, which name no URL: list the URLs to request".to_owned(),
        ),
        (json!({"paths": "/a", "distribution": []}), format!("distribution: {DEFAULT}")),
        (json!({"paths": "/a", "verify": []}), format!("verify: {DEFAULT}")),
        (json!({"paths": "/a", "reference": ""}), format!("reference: {REFERENCE}")),
        (json!({"paths": "/a", "reference": "r".repeat(61)}), format!("reference: {REFERENCE}")),
        (
            json!({"paths": "/a", "onStale": "succeed"}),
            "onStale: it has no effect without \"verify\": add \"verify\": true, or remove it".to_owned(),
        ),
    ] {
        let error = direct(&event).operation.expect_err("an invalid field");
        assert_eq!(error.to_string(), format!("direct invocation: {message}"), "{event}");
        assert_eq!(error.category(), Category::InvalidInput);
    }
    let longest = json!({
        "paths": "/a", "idempotencyKey": "é".repeat(256), "reference": "r".repeat(60), "verify": " /a",
    });
    assert!(direct(&longest).operation.is_ok());
    let refused = direct(&json!({"paths": "/a", "x": 1, "requestedBy": "Ada"}));
    assert_eq!(refused.requested_by.as_deref(), Some("Ada"));
}

#[test]
fn an_event_of_another_caller_is_not_a_direct_invocation() {
    let event = json!({"CodePipeline.job": {"id": "11111111-abcd"}, "paths": "/*"});
    assert!(matches!(parse(&event), Ok(Trigger::PipelineJob(_))));
    let event = json!({
        "Records": [{"eventSource": "aws:sqs", "messageId": "1", "body": "{}"}], "paths": "/*",
    });
    assert!(matches!(parse(&event), Ok(Trigger::SqsBatch(_))));
}

#[test]
fn a_request_to_the_function_url_is_not_a_direct_invocation() {
    let event = json!({
        "version": "2.0", "requestContext": {"http": {"method": "POST"}}, "paths": "/*", "source": "aws.s3",
    });
    assert_eq!(Marker::of(&event), Some(Marker::FunctionUrl));
    assert!(matches!(parse(&event), Ok(Trigger::FunctionUrl(_))));
}

#[test]
fn a_queue_message_is_not_a_direct_invocation() {
    let event = json!({"Records": [{
        "eventSource": "aws:sqs", "messageId": "1", "body": "{\"paths\": [\"/*\"]}",
    }]});
    let Ok(Trigger::SqsBatch(messages)) = parse(&event) else {
        panic!("not an SQS batch");
    };
    let errors = messages
        .iter()
        .flat_map(|message| &message.content.unreadable);
    let errors: Vec<_> = errors.map(ToString::to_string).collect();
    assert_eq!(
        errors,
        ["the message is not an S3 event: a direct invocation does not go through SQS or SNS"]
    );
}
