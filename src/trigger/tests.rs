//! Who called, over recorded events and over those that sank others.

use std::time::{Duration, SystemTime};

use chrono::DateTime;
use serde_json::{Value, json};

use super::codepipeline::{JobRequest, OnTimeout, Progress, Stage};
use super::s3::{IgnoredEvent, ObjectChange};
use super::*;
use crate::distribution::{DistributionId, DistributionName};
use crate::path::InvalidationPath;

fn recorded(text: &str) -> Trigger {
    Trigger::parse(&serde_json::from_str(text).expect("recorded JSON")).expect("a known event")
}

fn only_changes(notification: s3::Notification) -> Vec<ObjectChange> {
    assert_eq!(
        (notification.ignored, notification.unreadable),
        (vec![], vec![])
    );
    notification.changes
}

fn changes(trigger: Trigger) -> Vec<ObjectChange> {
    match trigger {
        Trigger::Objects(notification) => only_changes(notification),
        other => panic!("no notification: {other:?}"),
    }
}

fn messages(trigger: Trigger) -> Vec<Message> {
    match trigger {
        Trigger::Queue(messages) => messages,
        other => panic!("no queue: {other:?}"),
    }
}

fn change(bucket: &str, key: &str, millis: i64, version: &str) -> ObjectChange {
    let time = DateTime::from_timestamp_millis(millis).expect("a time");
    ObjectChange {
        bucket: bucket.into(),
        key: key.into(),
        time,
        version: version.into(),
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
        assert_eq!(
            changes(trigger),
            [change("tiny-direct-cfn", key, millis, version)]
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
        assert_eq!(
            changes(trigger),
            [change("tiny-eb-cfn", key, millis, version)]
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
        let changes = only_changes(message.notification);
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
            notification: s3::Notification {
                changes: vec![change(
                    "tiny-sqs-cfn",
                    "a+b.html",
                    1795187880731,
                    "00000660B6BAB26868"
                )],
                ..s3::Notification::default()
            },
        }
    );
}

#[test]
fn acknowledges_the_test_events_that_come_first_on_a_queue() {
    let test = IgnoredEvent {
        name: "s3:TestEvent".into(),
        about: "tiny-sqs-cfn".into(),
    };
    let expected = s3::Notification {
        ignored: vec![test],
        ..s3::Notification::default()
    };
    let messages = messages(recorded!("s3-sqs-s3-testevent"));
    assert_eq!(messages.len(), 2);
    messages
        .into_iter()
        .for_each(|message| assert_eq!(message.notification, expected));
}

fn in_queue(bodies: &[&str]) -> Vec<Message> {
    let record =
        |(at, body)| json!({"eventSource": "aws:sqs", "messageId": format!("m{at}"), "body": body});
    let records: Vec<_> = bodies.iter().enumerate().map(record).collect();
    messages(Trigger::parse(&json!({ "Records": records })).expect("a queue"))
}

#[test]
fn reads_what_sns_carries_raw_or_not_in_a_queue_or_by_itself() {
    let expected = change("snsb", "dir x/é+.html", 1795193712452, "00000660B81B856A10");
    let wrapped = include_str!("../../tests/events/sns-wrapped-body.json");
    let raw = include_str!("../../tests/events/sns-raw-body.json");
    for message in in_queue(&[wrapped, raw]) {
        let changes = only_changes(message.notification);
        assert_eq!(changes, std::slice::from_ref(&expected));
    }
    let envelope: Value = serde_json::from_str(wrapped).expect("recorded JSON");
    let record = json!({"EventSource": "aws:sns", "EventVersion": "1.0", "Sns": envelope});
    let trigger = Trigger::parse(&json!({ "Records": [record, record] })).expect("an SNS event");
    assert_eq!(changes(trigger), [expected.clone(), expected]);
}

#[test]
fn fails_a_message_that_cannot_be_read_alone() {
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
                .notification
                .unreadable
                .into_iter()
                .map(|failure| failure.message)
                .collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(
        reasons,
        [
            vec!["the message is no JSON"],
            vec!["the message is no JSON"],
            vec!["the message is no S3 event"],
            vec!["the message is no JSON"],
            vec!["detail: missing field `time`"],
            vec![],
        ]
    );
    let failure = Trigger::parse(&json!({"Records": [{"eventSource": "aws:sqs", "body": good}]}));
    assert_eq!(
        failure.map(|_| ()),
        Err(Failure::mistake(
            "a message of the SQS event has no messageId"
        ))
    );
}

#[test]
fn takes_only_creations_and_deletions_of_eventbridge_for_changes() {
    let event = |kind: &str| {
        json!({
            "source": "aws.s3", "detail-type": kind, "time": "2026-11-20T15:17:58Z",
            "detail": {"bucket": {"name": "site"}, "object": {"key": "a%2Bb"}},
        })
    };
    let created = changes(Trigger::parse(&event("Object Created")).expect("an event"));
    assert_eq!(
        created,
        [change("site", "a%2Bb", 1795187878000, "Object Created")]
    );
    for kind in [
        "Object Tags Added",
        "Object Restore Completed",
        "Object ACL Updated",
    ] {
        match Trigger::parse(&event(kind)) {
            Ok(Trigger::Objects(notification)) => {
                assert_eq!(
                    notification.ignored,
                    [IgnoredEvent {
                        name: kind.into(),
                        about: "a%2Bb".into()
                    }]
                );
                assert_eq!(notification.changes, []);
            }
            other => panic!("no notification: {other:?}"),
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

fn notification(records: Value) -> s3::Notification {
    match Trigger::parse(&json!({ "Records": records })) {
        Ok(Trigger::Objects(notification)) => notification,
        other => panic!("no notification: {other:?}"),
    }
}

fn keys(notification: &s3::Notification) -> Vec<&str> {
    notification
        .changes
        .iter()
        .map(|change| change.key.as_str())
        .collect()
}

#[test]
fn counts_every_record() {
    let records = json!([
        record("ObjectCreated:Post", "a"),
        record("ObjectCreated:CompleteMultipartUpload", "b"),
        record("ObjectRemoved:DeleteMarkerCreated", "c"),
        record("LifecycleExpiration:Delete", "d"),
        record("LifecycleExpiration:DeleteMarkerCreated", "e"),
    ]);
    assert_eq!(keys(&notification(records)), ["a", "b", "c", "d", "e"]);
}

#[test]
fn ignores_what_leaves_the_bytes_as_they_are() {
    for name in [
        "ObjectTagging:Put",
        "ObjectAcl:Put",
        "ObjectRestore:Completed",
        "ObjectAnnotation:Put",
    ] {
        let notification = notification(json!([record(name, "a+b")]));
        assert_eq!(
            notification.ignored,
            [IgnoredEvent {
                name: name.into(),
                about: "a+b".into()
            }]
        );
        assert_eq!(
            (notification.changes, notification.unreadable),
            (vec![], vec![])
        );
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
            keys(&notification(json!([record("ObjectCreated:Put", encoded)]))),
            [key]
        );
    }
}

#[test]
fn loses_no_other_record_to_an_unreadable_one() {
    let mut without_bucket = record("ObjectCreated:Put", "b");
    without_bucket["s3"]["bucket"] = json!({});
    let mut from_elsewhere = record("ObjectCreated:Put", "c");
    from_elsewhere["eventSource"] = json!("aws:sqs");
    let notification = notification(json!([
        record("ObjectCreated:Put", "a"),
        without_bucket,
        from_elsewhere,
        {"eventSource": "aws:s3"},
        record("ObjectCreated:Put", "%FF"),
        record("ObjectCreated:Put", "z"),
    ]));
    assert_eq!(keys(&notification), ["a", "z"]);
    let reasons: Vec<_> = notification
        .unreadable
        .iter()
        .map(|failure| failure.message.as_str())
        .collect();
    assert_eq!(
        reasons,
        [
            "Records[1]: s3.bucket.name is missing",
            "Records[2]: eventSource is not \"aws:s3\" as the first record's is",
            "Records[3]: missing field `eventTime`",
            "Records[4]: s3.object.key \"%FF\" is not UTF-8 once decoded",
        ]
    );
}

#[test]
fn acknowledges_the_test_event_of_a_new_notification() {
    let event = json!({
        "Service": "Amazon S3", "Event": "s3:TestEvent", "Time": "2026-11-20T15:17:25.000Z",
        "Bucket": "site", "RequestId": "1", "HostId": "2",
    });
    match Trigger::parse(&event) {
        Ok(Trigger::Objects(notification)) => {
            let test = IgnoredEvent {
                name: "s3:TestEvent".into(),
                about: "site".into(),
            };
            assert_eq!(
                notification,
                s3::Notification {
                    ignored: vec![test],
                    ..Default::default()
                }
            );
        }
        other => panic!("no test event: {other:?}"),
    }
}

#[test]
fn names_what_was_expected_and_the_keys_that_came() {
    for (event, came) in [
        (json!({}), "an empty object came"),
        (
            json!({"source": "aws.events", "detail": {"secret": 1}}),
            "an object with \"detail\", \"source\" came",
        ),
        (json!({"Records": []}), "an object with \"Records\" came"),
        (json!({"Records": "x"}), "an object with \"Records\" came"),
        (
            json!({"Records": [{"eventSource": "aws:kinesis"}]}),
            "an object with \"Records\" came from eventSource \"aws:kinesis\"",
        ),
        (json!(["secret"]), "a list came"),
        (json!("secret"), "a bare value came"),
        (json!(null), "a bare value came"),
    ] {
        let failure = Trigger::parse(&event).expect_err("an unknown event");
        assert_eq!(
            failure.message,
            format!(
                "unknown event: expected a CodePipeline job (\"CodePipeline.job\"), or an S3 notification, by itself or \
                 through SQS, SNS or EventBridge; but {came}"
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
    match Trigger::parse(&event) {
        Ok(Trigger::Job(job)) => job,
        other => panic!("no job: {other:?}"),
    }
}

fn request(distributions: &[&str], paths: &[&str]) -> JobRequest {
    let name = |text: &&str| DistributionName::parse(text).expect("a name");
    JobRequest {
        distributions: distributions.iter().map(name).collect(),
        paths: paths
            .iter()
            .map(|path| InvalidationPath::parse(path).expect("a path"))
            .collect(),
        ..JobRequest::default()
    }
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
            JobRequest {
                wait: Some(Duration::from_secs(900)),
                ..request(&["d1.cloudfront.net", "E2EXAMPLE1ABC"], &["/*"])
            },
        ),
        (
            Some(json!(
                r#"{"wait": "5m", "onTimeout": "fail", "reference": "release-42"}"#
            )),
            JobRequest {
                wait: Some(Duration::from_secs(300)),
                on_timeout: OnTimeout::Fail,
                reference: Some("release-42".into()),
                ..request(&[], &["/*"])
            },
        ),
        (
            Some(json!(r#"{"wait": 90, "onTimeout": "succeed"}"#)),
            JobRequest {
                wait: Some(Duration::from_secs(90)),
                ..request(&[], &["/*"])
            },
        ),
        (
            Some(json!(
                r#"{"wait": false, "onTimeout": null, "reference": null}"#
            )),
            JobRequest {
                wait: Some(Duration::ZERO),
                ..request(&[], &["/*"])
            },
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
fn names_the_offending_field_of_the_parameters() {
    const EXPECTED: &str = "expected nothing, a distribution id or domain name, or a JSON object such as \
                            {\"paths\": [\"/*\"]}";
    for (parameters, message) in [
        (json!(7), "UserParameters: expected a text".to_owned()),
        (json!("[]"), format!("UserParameters: {EXPECTED}")),
        (json!("\"E2EXAMPLE1ABC\""), format!("UserParameters: {EXPECTED}")),
        (
            json!("/index.html"),
            format!("UserParameters: {EXPECTED}; as JSON it is broken: expected value at line 1 column 1"),
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
             \"onTimeout\", \"reference\")"
                .to_owned(),
        ),
        (
            json!(r#"{"wait": "soon"}"#),
            "UserParameters: wait: \"soon\" is no limit: write true, false, or a time up to 23h such as 90s or 5m"
                .to_owned(),
        ),
        (
            json!(r#"{"wait": [1]}"#),
            "UserParameters: wait: \"[1]\" is no limit: write true, false, or a time up to 23h such as 90s or 5m"
                .to_owned(),
        ),
        (
            json!(r#"{"onTimeout": "panic"}"#),
            "UserParameters: onTimeout: expected \"succeed\" or \"fail\"".to_owned(),
        ),
        (
            json!(r#"{"reference": "release 42"}"#),
            "UserParameters: reference: expected a text of up to 60 printable ASCII characters without spaces"
                .to_owned(),
        ),
        (
            json!(r#"{"paths": []}"#),
            "UserParameters: paths: the list is empty: leave the field out for the default".to_owned(),
        ),
        (json!(r#"{"paths": {"a": 1}}"#), "UserParameters: paths: expected a text or a list of texts".to_owned()),
        (json!(r#"{"paths": ["/a", 1]}"#), "UserParameters: paths[1]: expected a text".to_owned()),
        (
            json!(r#"{"paths": ["/a", "/b*/c"]}"#),
            "UserParameters: paths[1]: \"/b*/c\" has a * before its end: CloudFront takes it as the last character only"
                .to_owned(),
        ),
        (
            json!(r#"{"distribution": "example"}"#),
            "UserParameters: distribution[0]: \"example\" is neither a distribution id such as E2EXAMPLE1ABC nor a \
             domain name such as www.example.com"
                .to_owned(),
        ),
    ] {
        let failure = job(Some(parameters)).request().expect_err("broken parameters");
        assert_eq!(failure, Failure::mistake(message));
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
        match Trigger::parse(&json!({ "CodePipeline.job": data })) {
            Ok(Trigger::Job(job)) => {
                assert_eq!(job.id.as_str(), "1");
                assert_eq!(job.request(), Ok(request(&[], &["/*"])));
            }
            other => panic!("no job: {other:?}"),
        }
    }
    for data in [json!({}), json!(null), json!({"id": ""}), json!({"id": 7})] {
        let failure =
            Trigger::parse(&json!({ "CodePipeline.job": data })).expect_err("a job without an id");
        assert_eq!(
            failure.message,
            "the CodePipeline job has no id, so it cannot be answered: send the event as it came"
        );
    }
}

fn continued(token: &str) -> codepipeline::Job {
    let event = json!({"CodePipeline.job": {"id": "2", "data": {"continuationToken": token}}});
    match Trigger::parse(&event) {
        Ok(Trigger::Job(job)) => job,
        other => panic!("no job: {other:?}"),
    }
}

#[test]
fn carries_what_was_done_in_a_token() {
    let id = |text| DistributionId::parse(text).expect("an id");
    let token = "1 11111111-abcd 1800000000 E1EXAMPLE1ABC:I1+ E2EXAMPLE1ABC:I2 E3EXAMPLE1ABC: E4EXAMPLE1ABC:?";
    let progress = continued(token)
        .progress()
        .expect("a token")
        .expect("progress");
    assert_eq!(progress.first_job, job_named("11111111-abcd").id);
    assert_eq!(
        progress.age(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_090)),
        Duration::from_secs(90)
    );
    assert_eq!(
        progress.stages,
        [
            (id("E1EXAMPLE1ABC"), Stage::Completed("I1".into())),
            (id("E2EXAMPLE1ABC"), Stage::InProgress("I2".into())),
            (id("E3EXAMPLE1ABC"), Stage::Waiting),
            (id("E4EXAMPLE1ABC"), Stage::Taken),
        ]
    );
    assert_eq!(progress.to_token().as_deref(), Some(token));
    assert_eq!((progress.percent(), progress.completed()), (50, 1));
    assert_eq!(job(None).progress(), Ok(None));
}

fn job_named(id: &str) -> codepipeline::Job {
    codepipeline::Job::from_event(&json!({ "id": id })).expect("a job")
}

#[test]
fn keeps_a_token_within_its_limit() {
    let progress = |distributions: usize| {
        let id = |at| DistributionId::parse(&format!("E{at:03}EXAMPLE1AB")).expect("an id");
        let first = job_named("11111111-aaaa-bbbb-cccc-222222222222").id;
        let mut progress = Progress::begin(first, SystemTime::now());
        progress.wait_for((0..distributions).map(id));
        for (_, stage) in &mut progress.stages {
            *stage = Stage::InProgress("I2J0I21PCUYOIK".into());
        }
        progress
    };
    // As many as 1,000 characters of UserParameters can name.
    let token = progress(60).to_token().expect("a token that fits");
    assert!(token.len() <= 2_048, "{}", token.len());
    assert_eq!(progress(80).to_token(), None);
}

#[test]
fn refuses_a_token_that_it_has_not_written() {
    for token in ["2 a 1 E1EXAMPLE1ABC:", "{}", "eyJ2IjowfQ=="] {
        let version = token.split(' ').next().expect("a word");
        assert_eq!(
            continued(token).progress(),
            Err(Failure::mistake(format!(
                "the continuation token has version {version:?} where this function writes \"1\": it was updated in the \
                 middle of a wait, so run the action again"
            )))
        );
    }
    for token in [
        "1",
        "1 a",
        "1 a x E1EXAMPLE1ABC:",
        "1 a 1 E1EXAMPLE1ABC",
        "1 a 1 e:I",
        "1  1 E1EXAMPLE1ABC:",
    ] {
        assert_eq!(
            continued(token).progress(),
            Err(Failure::mistake(
                "the continuation token is damaged, so what was done is unknown: run the action again"
            )),
            "{token}"
        );
    }
}

#[test]
fn keeps_the_credentials_of_a_job_out_of_its_debug_text() {
    let event = json!({"CodePipeline.job": {"id": "1", "data": {
        "artifactCredentials": {"accessKeyId": "AKIA-SECRET", "secretAccessKey": "SECRET", "sessionToken": "SECRET"},
    }}});
    let trigger = Trigger::parse(&event).expect("a job");
    assert_eq!(
        format!("{trigger:?}"),
        r#"Job(Job { id: JobId("1"), parameters: None, continuation_token: None })"#
    );
}
