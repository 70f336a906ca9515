//! An event gives the same as its JSON value, whichever of the two ways reads it.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

use super::*;

/// Returns whether the event was read without a JSON value of the whole, after it gave the same as its value.
fn is_read_from_bytes(event: &str) -> bool {
    assert_same(event);
    sqs::read_batch(event.as_bytes()).is_some()
}

/// Compares with the value of the same text. Text that is not JSON must be an error.
fn assert_same(event: &str) {
    let trigger = Trigger::parse(event.as_bytes());
    match serde_json::from_str(event) {
        Ok(value) => assert_eq!(trigger, Trigger::from_value(&value), "{event}"),
        Err(_) => assert!(trigger.is_err(), "{event}"),
    }
}

/// JSON as text, in which an object can have a name twice.
#[derive(Clone, Debug)]
enum Json {
    Raw(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
    /// A string that contains JSON, such as a body.
    Text(Box<Json>),
}

impl From<&Value> for Json {
    fn from(value: &Value) -> Self {
        let inner = value.as_str().map(serde_json::from_str::<Value>);
        match (value, inner) {
            (Value::Array(items), _) => Self::Array(items.iter().map(Self::from).collect()),
            (Value::Object(members), _) => {
                let member = |(name, value): (&String, &Value)| (name.clone(), value.into());
                Self::Object(members.iter().map(member).collect())
            }
            (_, Some(Ok(inner @ Value::Object(_)))) => Self::Text(Box::new((&inner).into())),
            _ => Self::Raw(value.to_string()),
        }
    }
}

impl Json {
    fn text(&self) -> String {
        match self {
            Self::Raw(text) => text.clone(),
            Self::Array(items) => {
                let items: Vec<_> = items.iter().map(Self::text).collect();
                format!("[{}]", items.join(","))
            }
            Self::Object(members) => {
                let member = |(name, value): &(String, Self)| {
                    format!("{}:{}", Value::from(name.as_str()), value.text())
                };
                let members: Vec<_> = members.iter().map(member).collect();
                format!("{{{}}}", members.join(","))
            }
            Self::Text(inner) => Value::from(inner.text()).to_string(),
        }
    }

    /// Returns the value and all values in it.
    fn all(&mut self, visit: &mut impl FnMut(&mut Self)) {
        visit(self);
        match self {
            Self::Raw(_) => {}
            Self::Array(items) => items.iter_mut().for_each(|item| item.all(visit)),
            Self::Object(members) => members.iter_mut().for_each(|(_, value)| value.all(visit)),
            Self::Text(inner) => inner.all(visit),
        }
    }

    fn apply(&mut self, edit: &Edit) {
        let mut count = 0;
        self.all(&mut |_| count += 1);
        let mut skipped = edit.value.index(count);
        self.all(&mut |value| {
            if skipped == 0 {
                value.apply_here(edit);
            }
            skipped = skipped.wrapping_sub(1);
        });
    }

    fn apply_here(&mut self, edit: &Edit) {
        let new = Self::Raw(edit.new.to_owned());
        match (self, edit.kind) {
            // An array with the values of its fields is a struct for serde.
            (value @ Self::Object(_), Kind::Values) => {
                if let Self::Object(members) = value.clone() {
                    *value = Self::Array(members.into_iter().map(|(_, value)| value).collect());
                }
            }
            (Self::Object(members), Kind::Add(name)) => {
                let index = edit.member.index(members.len() + 1);
                members.insert(index, (name.to_owned(), new));
            }
            (Self::Object(members), kind) if !members.is_empty() => {
                let index = edit.member.index(members.len());
                match kind {
                    Kind::Remove => drop(members.remove(index)),
                    Kind::RepeatBefore => {
                        let name = members[index].0.clone();
                        members.insert(0, (name, new));
                    }
                    Kind::RepeatAfter => {
                        let name = members[index].0.clone();
                        members.push((name, new));
                    }
                    _ => members[index].1 = new,
                }
            }
            (Self::Array(items), Kind::Remove) => drop(items.pop()),
            (Self::Array(items), Kind::RepeatAfter) => items.extend(items.clone()),
            (Self::Array(items), Kind::RepeatBefore) => items.insert(0, new),
            (value, _) => *value = new,
        }
    }
}

/// A change of one value.
#[derive(Clone, Debug)]
struct Edit {
    value: Index,
    member: Index,
    kind: Kind,
    new: &'static str,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Replace,
    Remove,
    RepeatBefore,
    RepeatAfter,
    Add(&'static str),
    Values,
}

fn edit() -> impl Strategy<Value = Edit> {
    let names = [
        "CodePipeline.job",
        "Records",
        "version",
        "requestContext",
        "paths",
        "keys",
        "Type",
        "source",
        "Event",
        "slackTask",
        "eventSource",
        "EventSource",
        "messageId",
        "body",
        "attributes",
        "SentTimestamp",
        "s3",
        "other",
    ];
    let kinds = [
        Kind::Replace,
        Kind::Remove,
        Kind::RepeatBefore,
        Kind::RepeatAfter,
        Kind::Values,
    ];
    let kind =
        prop_oneof![4 => select(kinds.to_vec()), 1 => select(names.to_vec()).prop_map(Kind::Add)];
    let new = select(vec![
        "null",
        "true",
        "7",
        "-0.5",
        "18446744073709551616",
        r#""""#,
        r#""x""#,
        r#""7""#,
        r#""aws:s3""#,
        r#""aws:sqs""#,
        r#""aws:sns""#,
        r#""Notification""#,
        r#""s3:TestEvent""#,
        r#""aws.s3""#,
        r#""2.0""#,
        r#""{}""#,
        r#""\u0061\"\ud83d\ude00""#,
        r#""{\"slackTask\":{}}""#,
        r#""{\"Records\":[]}""#,
        "[]",
        "{}",
        "[null]",
        r#"{"id":"1"}"#,
        r#"{"principalId":7}"#,
        r#""ObjectTagging:Put""#,
        r#""%ff""#,
        "nul",
        "1 1",
    ]);
    (any::<Index>(), any::<Index>(), kind, new).prop_map(|(value, member, kind, new)| Edit {
        value,
        member,
        kind,
        new,
    })
}

/// The events that are kept in files.
const RECORDED: [&str; 36] = [
    include_str!("../../../events/amazon-q.json"),
    include_str!("../../../events/codepipeline-job.json"),
    include_str!("../../../events/direct-keys.json"),
    include_str!("../../../events/direct-paths.json"),
    include_str!("../../../events/direct-status.json"),
    include_str!("../../../events/eventbridge-object-deleted.json"),
    include_str!("../../../events/eventbridge-rule.json"),
    include_str!("../../../events/s3-object-created.json"),
    include_str!("../../../events/s3-test-event.json"),
    include_str!("../../../events/scheduler.json"),
    include_str!("../../../events/sns-notification.json"),
    include_str!("../../../events/sqs-batch.json"),
    include_str!("../../../events/step-functions.json"),
    include_str!("../../../tests/events/s3-direct-copy.json"),
    include_str!("../../../tests/events/s3-direct-index-delete.json"),
    include_str!("../../../tests/events/s3-direct-index.json"),
    include_str!("../../../tests/events/s3-direct-nested-index.json"),
    include_str!("../../../tests/events/s3-direct-plus.json"),
    include_str!("../../../tests/events/s3-direct-spaces.json"),
    include_str!("../../../tests/events/s3-direct-unicode.json"),
    include_str!("../../../tests/events/s3-eb-nested-index-delete.json"),
    include_str!("../../../tests/events/s3-eb-nested-index.json"),
    include_str!("../../../tests/events/s3-eb-plus.json"),
    include_str!("../../../tests/events/s3-eb-spaces.json"),
    include_str!("../../../tests/events/s3-eb-unicode.json"),
    include_str!("../../../tests/events/s3-sqs-nested-index.json"),
    include_str!("../../../tests/events/s3-sqs-plus.json"),
    include_str!("../../../tests/events/s3-sqs-poison.json"),
    include_str!("../../../tests/events/s3-sqs-s3-testevent.json"),
    include_str!("../../../tests/events/s3-sqs-spaces.json"),
    include_str!("../../../tests/events/s3-sqs-unicode.json"),
    include_str!("../../../tests/events/sns-raw-body.json"),
    include_str!("../../../tests/events/sns-wrapped-body.json"),
    include_str!("../../../tests/events/url-form-post.json"),
    include_str!("../../../tests/events/url-get.json"),
    include_str!("../../../tests/events/url-json-post.json"),
];

fn notification(key: &str) -> String {
    let record = json!({
        "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "us-east-1", "eventTime": "2026-11-20T15:17:55.387Z",
        "eventName": "ObjectCreated:Put", "userIdentity": {"principalId": "EXAMPLE"},
        "requestParameters": {"sourceIPAddress": "127.0.0.1"}, "responseElements": {"x-amz-id-2": "EXAMPLE"},
        "s3": {
            "s3SchemaVersion": "1.0", "configurationId": "c",
            "bucket": {"name": "site", "ownerIdentity": {"principalId": "EXAMPLE"}, "arn": "arn:aws:s3:::site"},
            "object": {"key": key, "size": 7, "eTag": "e", "sequencer": "0A"},
        },
    });
    json!({"Records": [record.clone(), record]}).to_string()
}

fn batch(bodies: &[String]) -> Value {
    let record = |(index, body): (usize, &String)| {
        json!({
            "messageId": format!("m{index}"), "receiptHandle": "r", "body": body,
            "attributes": {
                "ApproximateReceiveCount": "2", "SentTimestamp": "1795187882000", "SenderId": "s",
                "ApproximateFirstReceiveTimestamp": "1795187890000",
            },
            "messageAttributes": {}, "md5OfBody": "m", "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:us-east-1:111122223333:changes", "awsRegion": "us-east-1",
        })
    };
    json!({"Records": bodies.iter().enumerate().map(record).collect::<Vec<_>>()})
}

/// Bodies of all kinds, a task of Slack among them.
fn body() -> impl Strategy<Value = String> {
    let others = [
        "",
        "{",
        "{}",
        "[]",
        "null",
        r#"{"slackTask":{"announcement":"x"}}"#,
        r#"{"paths":["/*"]}"#,
        r#"{"Records":[[]]}"#,
        include_str!("../../../tests/events/sns-raw-body.json"),
        include_str!("../../../tests/events/sns-wrapped-body.json"),
        include_str!("../../../tests/events/s3-eb-spaces.json"),
    ];
    prop_oneof![
        3 => "[a-z+%2B/é\"]{1,8}".prop_map(|key| notification(&key)),
        1 => select(others.map(str::to_owned).to_vec()),
    ]
}

#[test]
fn a_recorded_event_gives_the_same_as_its_value() {
    for event in RECORDED {
        assert_same(event);
    }
}

#[test]
fn a_batch_as_lambda_writes_it_is_read_without_a_value() {
    for event in [
        include_str!("../../../events/sqs-batch.json"),
        include_str!("../../../tests/events/s3-sqs-nested-index.json"),
        include_str!("../../../tests/events/s3-sqs-plus.json"),
        include_str!("../../../tests/events/s3-sqs-poison.json"),
        include_str!("../../../tests/events/s3-sqs-s3-testevent.json"),
        include_str!("../../../tests/events/s3-sqs-spaces.json"),
        include_str!("../../../tests/events/s3-sqs-unicode.json"),
    ] {
        assert!(is_read_from_bytes(event), "{event}");
    }
    for event in [
        batch(&[]).to_string(),
        batch(&[r#"{"slackTask":{"announcement":"x"}}"#.to_owned()]).to_string(),
        json!({"CodePipeline.job": {"id": "1"}, "Records": batch(&[notification("a")])["Records"]})
            .to_string(),
    ] {
        assert!(!is_read_from_bytes(&event), "{event}");
    }
}

proptest! {
    #[test]
    fn a_batch_gives_the_same_as_its_value(bodies in vec(body(), 0..4)) {
        assert_same(&batch(&bodies).to_string());
    }

    #[test]
    fn an_edited_batch_gives_the_same_as_its_value(bodies in vec(body(), 1..3), edits in vec(edit(), 1..4)) {
        let mut event = Json::from(&batch(&bodies));
        edits.iter().for_each(|edit| event.apply(edit));
        assert_same(&event.text());
    }

    #[test]
    fn an_edited_event_gives_the_same_as_its_value(event in select(RECORDED.to_vec()), edits in vec(edit(), 1..4)) {
        let mut event = Json::from(&serde_json::from_str::<Value>(event).expect("JSON"));
        edits.iter().for_each(|edit| event.apply(edit));
        assert_same(&event.text());
    }

    #[test]
    fn a_changed_byte_gives_the_same_or_an_error(body in body(), index: Index, byte: u8) {
        let mut event = batch(&[body]).to_string().into_bytes();
        *index.get_mut(&mut event) = byte;
        let trigger = Trigger::parse(&event);
        match serde_json::from_slice(&event) {
            Ok(value) => prop_assert_eq!(trigger, Trigger::from_value(&value)),
            Err(_) => prop_assert!(trigger.is_err()),
        }
    }
}
