//! `Trigger`: who called, told by the event's own markers.
//!
//! An S3 event deserializes without complaint as an SQS event, so nothing here tries one type after the other: a
//! pipeline job has the key `CodePipeline.job`, records name their `eventSource`, EventBridge its `source`, and S3's
//! test message has `Event`. What has none of these is refused, by the names of its keys and never by its values,
//! which may be credentials.
//!
//! One file a caller reads the rest.

pub mod codepipeline;
pub mod s3;
pub mod sqs;

use serde_json::Value;

use crate::failure::Failure;
use codepipeline::Job;
use s3::Notification;
use sqs::Message;

/// What the function was called for.
#[derive(Debug)]
pub enum Trigger {
    /// A CodePipeline action waits for the answer to this job.
    Job(Job),
    /// S3 says what happened to objects, by itself or through SNS or EventBridge.
    Objects(Notification),
    /// A queue hands out messages in which S3 says so; each is answered on its own.
    Queue(Vec<Message>),
}

impl Trigger {
    /// Reads a Lambda event.
    ///
    /// # Errors
    ///
    /// A [`Failure`] that names what was expected and the keys that came.
    pub fn parse(event: &Value) -> Result<Self, Failure> {
        if let Some(job) = event.get("CodePipeline.job") {
            return Job::from_event(job).map(Self::Job);
        }
        let records = event.get("Records").and_then(Value::as_array);
        match records.map(Vec::as_slice) {
            Some(records @ [first, ..]) if source(first) == Some("aws:sqs") => {
                let messages: Result<_, _> = records.iter().map(Message::from_record).collect();
                messages.map(Self::Queue)
            }
            _ => Notification::from_event(event)
                .map(Self::Objects)
                .ok_or_else(|| unknown(event)),
        }
    }
}

fn source(record: &Value) -> Option<&str> {
    // SNS alone writes it with a capital letter.
    record
        .get("eventSource")
        .or_else(|| record.get("EventSource"))
        .and_then(Value::as_str)
}

fn unknown(event: &Value) -> Failure {
    const EXPECTED: &str = "expected a CodePipeline job (\"CodePipeline.job\"), or an S3 notification, by itself or \
                            through SQS, SNS or EventBridge";
    let came = match event {
        Value::Object(members) if members.is_empty() => "an empty object came".to_owned(),
        Value::Object(members) => {
            let keys: Vec<_> = members.keys().map(|key| format!("{key:?}")).collect();
            let records = members.get("Records").and_then(Value::as_array);
            let source = records.and_then(|records| records.first()).and_then(source);
            let from = source
                .map(|source| format!(" from eventSource {source:?}"))
                .unwrap_or_default();
            format!("an object with {} came{from}", keys.join(", "))
        }
        Value::Array(_) => "a list came".to_owned(),
        _ => "a bare value came".to_owned(),
    };
    Failure::mistake(format!("unknown event: {EXPECTED}; but {came}"))
}

#[cfg(test)]
mod tests;
