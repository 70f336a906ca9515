//! `Trigger`: who called, told by the event's own markers.
//!
//! An S3 event deserializes without complaint as an SQS event, so nothing here tries one type after the other: a
//! pipeline job has the key `CodePipeline.job`, a notification's records name their `eventSource`, and S3's test
//! message has `Event`. What has none of these is refused, by the names of its keys and never by its values, which may
//! be credentials.
//!
//! One file a caller reads the rest.

pub mod codepipeline;
pub mod s3;

use serde_json::Value;

use crate::failure::Failure;
use codepipeline::Job;
use s3::Notification;

/// What the function was called for.
#[derive(Debug)]
pub enum Trigger {
    /// A CodePipeline action waits for the answer to this job.
    Job(Job),
    /// Objects of a bucket were written or removed.
    Objects(Notification),
    /// S3 says that a notification was set up: nothing changed.
    TestEvent {
        /// The bucket, where the message names it.
        bucket: Option<String>,
    },
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
        if event.get("Event").and_then(Value::as_str) == Some("s3:TestEvent") {
            let bucket = event
                .get("Bucket")
                .and_then(Value::as_str)
                .map(str::to_owned);
            return Ok(Self::TestEvent { bucket });
        }
        let records = event.get("Records").and_then(Value::as_array);
        match records.map(Vec::as_slice) {
            Some(records @ [first, ..]) if source(first) == Some("aws:s3") => {
                Ok(Self::Objects(Notification::from_records(records)))
            }
            _ => Err(unknown(event)),
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
    const EXPECTED: &str = "expected a CodePipeline job (\"CodePipeline.job\") or an S3 notification (\"Records\" with \
                            eventSource \"aws:s3\")";
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
    Failure::mistake(format!("unknown event: {EXPECTED}, but {came}"))
}

#[cfg(test)]
mod tests;
