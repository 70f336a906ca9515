//! `Trigger`: what invoked the function, and what the event contains.
//!
//! An event is identified by the field that names its sender (`envelope::Marker`), never by trying type after type: an
//! S3 event deserializes without an error as an SQS event. An unknown event is rejected. The error names the event's
//! keys and never its values, which can be credentials.
//!
//! [`codepipeline`], [`sqs`] and [`direct`] read what invoked the function, `envelope` recognizes senders and removes
//! what SNS puts around a content, and [`s3`] reads a content. [`request`] reads what several callers can request.
//! `CONTRIBUTING.md` lists the places of a new caller and of a new kind of content.

pub mod codepipeline;
pub mod direct;
mod envelope;
pub mod function_url;
mod object;
pub mod request;
pub mod s3;
pub mod slack;
pub mod sqs;
#[cfg(feature = "cli")]
pub mod undelivered;
mod user_parameters;

use serde_json::Value;

use crate::error::Error;
use crate::excerpt::listed;
use codepipeline::Job;
use direct::DirectRequest;
use envelope::{Enclosed, Marker};
use function_url::FunctionUrlRequest;
use s3::{IgnoredEvent, ObjectChange};
use slack::task::TaskMessage;
use sqs::Message;

/// What invoked the function.
#[derive(Debug, PartialEq, Eq)]
pub enum Trigger {
    /// A CodePipeline action, which waits for the job's result.
    PipelineJob(Job),
    /// S3, SNS or EventBridge, which get no response. Lambda retries an event that fails.
    Notification(Content),
    /// A caller that names what to invalidate, and possibly waits for the response.
    Direct(DirectRequest),
    /// An HTTP request to the function URL. Anyone can send one.
    FunctionUrl(FunctionUrlRequest),
    /// The queue of work for Slack. Each message succeeds or fails on its own.
    SlackTasks(Vec<TaskMessage>),
    /// An SQS queue. Each message succeeds or fails on its own.
    SqsBatch(Vec<Message>),
}

impl Trigger {
    /// Returns the name of the caller in the log.
    pub fn caller(&self) -> &'static str {
        match self {
            Self::PipelineJob(_) => "codepipeline",
            Self::Notification(_) | Self::SqsBatch(_) => "s3",
            Self::Direct(_) => "direct",
            Self::FunctionUrl(_) | Self::SlackTasks(_) => "slack",
        }
    }

    /// Reads a Lambda event, which is JSON.
    ///
    /// # Errors
    ///
    /// Returns an [`Error`] for text that is not JSON, for an unknown event, and for a pipeline job or an SQS record without
    /// an id. Other errors are found by [`Job::request`], or kept in [`DirectRequest::operation`] and
    /// [`Content::unreadable`].
    pub fn parse(event: &[u8]) -> Result<Self, Error> {
        if let Some(messages) = sqs::read_batch(event) {
            return Ok(Self::SqsBatch(messages));
        }
        let event = serde_json::from_slice(event).map_err(|error| {
            Error::invalid_input(format!(
                "the event is not JSON: {error}: pass the event unchanged"
            ))
        })?;
        Self::from_value(&event)
    }

    fn from_value(event: &Value) -> Result<Self, Error> {
        match Marker::of(event) {
            Some(Marker::PipelineJob(job)) => Job::from_event(job).map(Self::PipelineJob),
            Some(Marker::FunctionUrl) => {
                Ok(Self::FunctionUrl(FunctionUrlRequest::from_event(event)))
            }
            Some(Marker::Direct(event)) => Ok(Self::Direct(DirectRequest::from_event(event))),
            Some(Marker::Records {
                source: sqs::SOURCE,
                records,
            }) => {
                let tasks = records.iter().map(TaskMessage::from_record);
                if let Some(tasks) = tasks.collect() {
                    return Ok(Self::SlackTasks(tasks));
                }
                let messages: Result<_, _> = records.iter().map(Message::from_record).collect();
                messages.map(Self::SqsBatch)
            }
            _ => Content::from_event(event)
                .map(Self::Notification)
                .ok_or_else(|| unknown_event(event)),
        }
    }
}

/// What an event or a queue message contains inside its envelopes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// The objects that changed, in the order of the records.
    pub changes: Vec<ObjectChange>,
    /// The events that need no invalidation.
    pub ignored: Vec<IgnoredEvent>,
    /// An error for each part that cannot be read, with the position of the part.
    pub unreadable: Vec<Error>,
}

impl Content {
    /// Reads the text of a message. If its kind is unknown, the content is an error in [`Self::unreadable`].
    fn from_text(text: &str) -> Self {
        Self::from_message(envelope::read_text(text))
    }

    /// Reads the value of a message, or keeps the error of a message that is not JSON.
    fn from_message(message: Result<Value, Error>) -> Self {
        Self::from_enclosed(envelope::open_message(message))
    }

    /// Reads an event; `None` if its kind is unknown.
    fn from_event(event: &Value) -> Option<Self> {
        match envelope::open(event) {
            Some(enclosed) => Some(Self::from_enclosed(enclosed)),
            None => Self::read(event),
        }
    }

    fn from_enclosed(enclosed: Vec<Enclosed>) -> Self {
        let mut content = Self::default();
        for Enclosed { value, positions } in enclosed {
            let read =
                value.and_then(|value| Self::read(&value).ok_or_else(|| unknown_message(&value)));
            let read = read.unwrap_or_else(|error| Self {
                unreadable: vec![error],
                ..Self::default()
            });
            content.changes.extend(read.changes);
            content.ignored.extend(read.ignored);
            for error in read.unreadable {
                let error = positions.iter().fold(error, Error::context);
                content.unreadable.push(error);
            }
        }
        content
    }

    /// Determines the kind of a value that is not an envelope, and reads the value; `None` if its kind is unknown.
    fn read(value: &Value) -> Option<Self> {
        match Marker::of(value)? {
            Marker::Records {
                source: s3::SOURCE,
                records,
            } => Some(s3::read_records(records)),
            Marker::EventBridge { source: "aws.s3" } => Some(s3::read_event_bridge(value)),
            Marker::Event {
                name: "s3:TestEvent",
            } => Some(s3::read_test_event(value)),
            _ => None,
        }
    }
}

fn unknown_message(message: &Value) -> Error {
    Error::invalid_input(match Marker::of(message) {
        Some(Marker::Direct(_)) => {
            "the message is not an S3 event: a direct invocation does not go through SQS or SNS"
        }
        _ => "the message is not an S3 event",
    })
}

fn unknown_event(event: &Value) -> Error {
    const EXPECTED: &str = "expected a CodePipeline job (\"CodePipeline.job\"), an S3 notification, direct or through \
                            SQS, SNS or EventBridge, or a direct invocation (\"paths\", \"keys\" or \"invalidation\")";
    let received = match event {
        Value::Object(members) if members.is_empty() => "an empty object".to_owned(),
        Value::Object(members) => {
            let keys = listed(members.keys().map(|key| format!("{key:?}")));
            let source = match Marker::of(event) {
                Some(Marker::Records { source, .. }) => format!(" from eventSource {source:?}"),
                _ => String::new(),
            };
            format!("an object with {}{source}", keys.join(", "))
        }
        Value::Array(_) => "an array".to_owned(),
        Value::String(_) => "a string".to_owned(),
        _ => "a value that is not an object".to_owned(),
    };
    let hint = direct::hint(event).map(|hint| format!(": {hint}"));
    Error::invalid_input(format!(
        "unknown event: {EXPECTED}, but received {received}{}",
        hint.unwrap_or_default()
    ))
}

#[cfg(test)]
mod tests;
