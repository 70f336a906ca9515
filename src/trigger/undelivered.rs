//! A message of a dead-letter queue: the changes in it, or why it cannot be sent to the queue of the stack.
//!
//! Lambda puts a failed event into a record, as `requestPayload`, with the error of the function. EventBridge, SQS and
//! older stacks leave the event or the body as it was. Whether it contains changes is decided as for a message of that
//! queue.
//!
//! A pipeline job contains temporary credentials, so no value of a message is a part of an error or of `Debug`.
//!
//! Record: <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html>

use std::fmt;

use serde_json::Value;

use super::envelope::Marker;
use super::{Content, unknown_message};
use crate::error::Error;

/// The longest text of a function's error, in characters. It begins with what happened; the rest is advice.
const MAX_FAILURE: usize = 500;

/// A message of a dead-letter queue.
#[derive(Debug)]
pub struct Undelivered {
    /// What it contains.
    pub content: UndeliveredContent,
    /// Why Lambda gave up, if the message is Lambda's record: the error of the function.
    pub failure: Option<String>,
}

/// What a message of a dead-letter queue contains.
pub enum UndeliveredContent {
    /// Changes of objects, or events that need no invalidation.
    Changes {
        /// The body of a message with the same content.
        body: String,
        /// An error for each part that cannot be read.
        unreadable: Vec<Error>,
    },
    /// A pipeline job.
    PipelineJob,
    /// A direct invocation.
    DirectInvocation,
    /// Something else.
    Unknown(Error),
}

impl fmt::Debug for UndeliveredContent {
    /// Leaves out the body.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changes { unreadable, .. } => write!(f, "Changes({unreadable:?})"),
            Self::PipelineJob => f.write_str("PipelineJob"),
            Self::DirectInvocation => f.write_str("DirectInvocation"),
            Self::Unknown(error) => write!(f, "Unknown({error})"),
        }
    }
}

impl Undelivered {
    /// Reads the body of a message.
    pub fn from_body(body: &str) -> Self {
        let value = serde_json::from_str::<Value>(body).unwrap_or_default();
        match payload(&value) {
            Some(payload) => Self {
                content: UndeliveredContent::read(payload, text_of(payload)),
                failure: failure(&value),
            },
            None => Self {
                content: UndeliveredContent::read(&value, body.to_owned()),
                failure: None,
            },
        }
    }
}

impl UndeliveredContent {
    fn read(value: &Value, body: String) -> Self {
        match Marker::of(value) {
            Some(Marker::PipelineJob(_)) => return Self::PipelineJob,
            Some(Marker::Direct(_)) => return Self::DirectInvocation,
            _ => {}
        }
        let content = Content::from_text(&body);
        // The readable changes are not lost because of the other parts.
        if !content.changes.is_empty() || content.unreadable.is_empty() {
            return Self::Changes {
                body,
                unreadable: content.unreadable,
            };
        }
        let error = Error::join(content.unreadable);
        Self::Unknown(error.unwrap_or_else(|| unknown_message(value)))
    }
}

/// Returns the event in Lambda's record; `None` if the value is not such a record.
fn payload(value: &Value) -> Option<&Value> {
    value.pointer("/requestContext/functionArn")?.as_str()?;
    value.get("requestPayload")
}

/// Returns an event as the body of a message. SQS replaces two characters that JSON allows
/// ([documentation](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html)), which
/// would be another key, so they are escaped.
fn text_of(payload: &Value) -> String {
    let text = payload.to_string();
    text.replace('\u{fffe}', "\\ufffe")
        .replace('\u{ffff}', "\\uffff")
}

/// Returns why Lambda gave up an event: the error of the function, or the condition if the function did not return one.
fn failure(record: &Value) -> Option<String> {
    let text = |pointer: &str| record.pointer(pointer).and_then(Value::as_str);
    let error = text("/responsePayload/errorMessage").or(text("/requestContext/condition"))?;
    // Equal errors of several requests are counted together.
    let words = error
        .split(|character: char| character.is_whitespace() || character.is_control())
        .filter(|word| !word.is_empty() && !is_of_one_request(word));
    let words: Vec<_> = words.collect();
    let error: String = words.join(" ").chars().take(MAX_FAILURE).collect();
    (!error.is_empty()).then_some(error)
}

/// Returns whether a word is the request id or the time that Lambda writes into the error of a function that ended.
fn is_of_one_request(word: &str) -> bool {
    let is_id = word.len() == 36
        && word
            .bytes()
            .all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    is_id || word == "RequestId:" || chrono::DateTime::parse_from_rfc3339(word).is_ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(body: &Value) -> (String, Option<String>) {
        let undelivered = Undelivered::from_body(&body.to_string());
        let content = match undelivered.content {
            UndeliveredContent::Changes { body, unreadable } => {
                let value: Value = serde_json::from_str(&body).expect("JSON");
                let kind = value["Records"][0]["eventSource"].as_str();
                let kind = kind
                    .or(value["Records"][0]["EventSource"].as_str())
                    .or(value["source"].as_str())
                    .or(value["Type"].as_str())
                    .or(value["Event"].as_str());
                let unreadable = unreadable.iter().map(|error| format!(", {error}"));
                let unreadable: String = unreadable.collect();
                format!("{}{unreadable}", kind.expect("a source"))
            }
            other => format!("{other:?}"),
        };
        (content, undelivered.failure)
    }

    fn sample(name: &str) -> Value {
        let file = format!("{}/events/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(file).expect("a sample");
        serde_json::from_str(&text).expect("JSON")
    }

    fn record(payload: &Value) -> Value {
        json!({
            "version": "1.0",
            "timestamp": "2026-01-01T00:00:00.000Z",
            "requestContext": {
                "requestId": "e4b46cbf-b738-xmpl-8880-a18cdf61200e",
                "functionArn": "arn:aws:lambda:eu-west-1:111122223333:function:invalidator:$LATEST",
                "condition": "RetriesExhausted",
                "approximateInvokeCount": 3,
            },
            "requestPayload": payload,
            "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
            "responsePayload": {"errorType": "permission", "errorMessage": "not allowed"},
        })
    }

    #[test]
    fn a_message_is_recognized_with_and_without_the_record_of_lambda() {
        for (name, expected) in [
            ("s3-object-created", "aws:s3"),
            ("s3-test-event", "s3:TestEvent"),
            ("eventbridge-object-deleted", "aws.s3"),
            ("sns-notification", "aws:sns"),
            ("codepipeline-job", "PipelineJob"),
            ("direct-paths", "DirectInvocation"),
            ("direct-keys", "DirectInvocation"),
            ("direct-status", "DirectInvocation"),
            ("sqs-batch", "Unknown(the message is not an S3 event)"),
        ] {
            let body = sample(name);
            assert_eq!(read(&body), (expected.to_owned(), None), "{name}");
            let failure = Some("not allowed".to_owned());
            let expected = (expected.to_owned(), failure);
            assert_eq!(read(&record(&body)), expected, "{name}");
        }
        let wrapped =
            json!({"Type": "Notification", "Message": sample("s3-object-created").to_string()});
        assert_eq!(read(&wrapped), ("Notification".to_owned(), None));
    }

    #[test]
    fn another_body_is_unknown() {
        for (body, expected) in [
            ("", "the message is not JSON"),
            ("not JSON", "the message is not JSON"),
            ("[]", "the message is not an S3 event"),
            ("null", "the message is not an S3 event"),
            (r#"{"Records": []}"#, "the message is not an S3 event"),
            (
                r#"{"requestPayload": {"CodePipeline.job": {}}}"#,
                "the message is not an S3 event",
            ),
        ] {
            let content = Undelivered::from_body(body).content;
            assert_eq!(format!("{content:?}"), format!("Unknown({expected})"));
        }
    }

    #[test]
    fn readable_changes_are_sent_with_the_parts_that_cannot_be_read() {
        let mut event = sample("s3-object-created");
        let records = event["Records"].as_array_mut().expect("records");
        let mut unreadable = records.first().expect("a record").clone();
        unreadable["s3"]["object"]["key"] = json!("%FF");
        records.push(unreadable);
        let expected =
            "aws:s3, Records[1]: s3.object.key \"%FF\" does not decode to UTF-8".to_owned();
        assert_eq!(read(&event), (expected, None));
        let records = event["Records"].as_array_mut().expect("records");
        records.remove(0);
        let expected =
            "Unknown(Records[0]: s3.object.key \"%FF\" does not decode to UTF-8)".to_owned();
        assert_eq!(read(&event), (expected, None));
    }

    #[test]
    fn the_body_is_the_event_of_the_record_and_no_character_is_replaced() {
        let mut event = sample("eventbridge-object-deleted");
        event["detail"]["object"]["key"] = json!("a\u{ffff}\u{fffe}é\u{1}");
        let record = record(&event).to_string();
        let UndeliveredContent::Changes { body, .. } = Undelivered::from_body(&record).content
        else {
            panic!("no changes");
        };
        assert_eq!(serde_json::from_str::<Value>(&body).expect("JSON"), event);
        assert!(body.contains(r#""key":"a\uffff\ufffeé\u0001""#), "{body}");
        // Without a record, the body stays as it was.
        let body = "{\"Event\" : \"s3:TestEvent\", \"Bucket\": \"site\"}";
        let UndeliveredContent::Changes { body: sent, .. } = Undelivered::from_body(body).content
        else {
            panic!("no changes");
        };
        assert_eq!(sent, body);
    }

    #[test]
    fn the_failure_has_no_part_that_differs_between_equal_requests() {
        let id = "e4b46cbf-b738-4111-8880-a18cdf61200e";
        for (message, expected) in [
            (json!("not allowed"), Some("not allowed")),
            (
                json!(format!(
                    "2026-01-01T00:00:00.123Z {id} Task timed out after 60.00 seconds"
                )),
                Some("Task timed out after 60.00 seconds"),
            ),
            (
                json!(format!(
                    "RequestId: {id} Error: Runtime exited with error: signal: killed"
                )),
                Some("Error: Runtime exited with error: signal: killed"),
            ),
            (json!("a\n\u{1b}[31m b"), Some("a [31m b")),
            (json!(""), None),
            (Value::Null, Some("RetriesExhausted")),
        ] {
            let mut record = record(&json!({"paths": ["/a"]}));
            record["responsePayload"]["errorMessage"] = message;
            assert_eq!(failure(&record).as_deref(), expected);
        }
        let mut record = record(&json!({"paths": ["/a"]}));
        record["responsePayload"]["errorMessage"] = json!("x".repeat(600));
        assert_eq!(failure(&record), Some("x".repeat(MAX_FAILURE)));
    }
}
