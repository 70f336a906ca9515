//! The envelopes around the content of an event, and the markers that identify senders.
//!
//! SNS puts a published message into an envelope, as text. Each record of an SNS event is an envelope. A queue body is
//! an envelope if raw message delivery is off. A message can be an envelope itself. [`open`] removes all of them and
//! returns the JSON values inside, which are identified by their own markers.
//!
//! EventBridge's envelope is not removed, because its `detail` has no marker, name or time of its own. A module that
//! reads an event from EventBridge uses [`EventBridgeEvent`] with its own type for the detail.
//!
//! Shapes: <https://docs.aws.amazon.com/lambda/latest/dg/with-sns.html>,
//! <https://docs.aws.amazon.com/sns/latest/dg/sns-large-payload-raw-message-delivery.html>,
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-events-structure.html>

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::direct::DirectRequest;
use super::function_url::FunctionUrlRequest;
use crate::error::Error;

/// The field by which the sender or the kind of a value is recognized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marker<'a> {
    /// `CodePipeline.job`, with the job.
    PipelineJob(&'a Value),
    /// `Records` of S3, SNS, SQS and others.
    Records {
        /// The first record's `eventSource`, such as `aws:sqs`.
        source: &'a str,
        /// All records; the others can have another source.
        records: &'a [Value],
    },
    /// `version` is `2.0`, and `requestContext` has an HTTP method: a request to the function URL. Its keys are Lambda's and its
    /// values are the sender's, so it is recognized before the markers that a sender can write.
    FunctionUrl,
    /// `paths`, `keys` or `invalidation`: a direct invocation, with its event.
    Direct(&'a Map<String, Value>),
    /// `Type` is `Notification`: an SNS message outside of a Lambda event.
    SnsNotification,
    /// `source` of an EventBridge event.
    EventBridge {
        /// The service, such as `aws.s3`.
        source: &'a str,
    },
    /// `Event` of S3's test message.
    Event {
        /// The event's name, such as `s3:TestEvent`.
        name: &'a str,
    },
}

impl<'a> Marker<'a> {
    /// Returns the marker of a value, or `None` if the value has none.
    pub(super) fn of(value: &'a Value) -> Option<Self> {
        if let Some(job) = value.get("CodePipeline.job") {
            return Some(Self::PipelineJob(job));
        }
        if let Some(records) = value.get("Records").and_then(Value::as_array)
            && let Some(source) = records.first().and_then(event_source)
        {
            return Some(Self::Records { source, records });
        }
        if FunctionUrlRequest::is_in(value) {
            return Some(Self::FunctionUrl);
        }
        if let Some(event) = value.as_object()
            && DirectRequest::is_in(event)
        {
            return Some(Self::Direct(event));
        }
        if text(value, "Type") == Some("Notification") {
            return Some(Self::SnsNotification);
        }
        let event_bridge = text(value, "source").map(|source| Self::EventBridge { source });
        event_bridge.or_else(|| text(value, "Event").map(|name| Self::Event { name }))
    }
}

fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str)
}

fn event_source(record: &Value) -> Option<&str> {
    // Only SNS capitalizes the name.
    let source = record
        .get("eventSource")
        .or_else(|| record.get("EventSource"));
    source.and_then(Value::as_str)
}

/// A value from inside an envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Enclosed {
    /// The value, or the error of a message that is not JSON.
    pub(super) value: Result<Value, Error>,
    /// The positions of the envelopes that are records, such as `Records[0]`, from the innermost to the outermost.
    pub(super) positions: Vec<String>,
}

/// Returns the values inside an envelope, or `None` if the value is not an envelope.
pub(super) fn open(value: &Value) -> Option<Vec<Enclosed>> {
    match Marker::of(value)? {
        Marker::SnsNotification => Some(open_sns(value)),
        Marker::Records {
            source: "aws:sns",
            records,
        } => {
            let open_record = |(index, record): (usize, &Value)| {
                let mut enclosed = open_sns(record.get("Sns").unwrap_or(&Value::Null));
                for content in &mut enclosed {
                    content.positions.push(format!("Records[{index}]"));
                }
                enclosed
            };
            Some(records.iter().enumerate().flat_map(open_record).collect())
        }
        _ => None,
    }
}

/// Reads the value of a message's text.
pub(super) fn read_text(message: &str) -> Result<Value, Error> {
    // Without the position of the syntax error, so that equal errors of several messages share a log line.
    serde_json::from_str(message).map_err(|_| Error::invalid_input("the message is not JSON"))
}

/// Returns the values inside a message: the values of the envelope that the message is, or its own value.
pub(super) fn open_message(message: Result<Value, Error>) -> Vec<Enclosed> {
    let enclosed = message.as_ref().ok().and_then(open);
    enclosed.unwrap_or_else(|| {
        vec![Enclosed {
            value: message,
            positions: Vec::new(),
        }]
    })
}

fn open_sns(envelope: &Value) -> Vec<Enclosed> {
    open_message(read_text(text(envelope, "Message").unwrap_or_default()))
}

/// The fields of an EventBridge event that are read.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct EventBridgeEvent<D> {
    /// The name of the event, such as `Object Created`.
    pub(super) detail_type: String,
    /// When the event happened, by the sender's clock.
    pub(super) time: DateTime<Utc>,
    /// The sender's own fields.
    pub(super) detail: D,
}
