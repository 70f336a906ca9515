//! `Task`: what a message of the Slack queue contains.
//!
//! The functions write these messages themselves, so their form is internal. The response URL in one is a secret: a copy of the
//! message for the dead-letter queue has none ([`TaskMessage::without_secrets`]).

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::SlashCommand;
use crate::distribution::DistributionId;
use crate::error::Error;
use crate::plan::InvalidationId;
use crate::trigger::sqs;

/// The key of a message by which it is recognized.
const KEY: &str = "slackTask";

/// The field of a command with its response URL.
const RESPONSE_URL: &str = "responseUrl";

/// The work that a message requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Task {
    /// A command to run, or to report the completion of.
    Command(Box<QueuedCommand>),
    /// A text to post to the incoming webhook, as mrkdwn.
    Announcement(String),
}

/// A command whose result is posted later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QueuedCommand {
    /// The command.
    #[serde(flatten)]
    pub command: SlashCommand,
    /// What CloudFront accepted already. `None`: the command is run from its start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purge: Option<SubmittedPurge>,
}

/// A purge that CloudFront accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SubmittedPurge {
    /// What it is about, as mrkdwn.
    pub subject: String,
    /// One for each distribution that has one.
    pub invalidations: Vec<SubmittedInvalidation>,
    /// What was not purged, as mrkdwn.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
}

/// An invalidation that CloudFront accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SubmittedInvalidation {
    distribution: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// Milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    created: Option<i64>,
}

impl SubmittedInvalidation {
    /// Creates an entry; without an `id` if CloudFront did not return it, `created` by CloudFront's clock.
    pub fn new(
        distribution: &DistributionId,
        id: Option<&InvalidationId>,
        created: Option<DateTime<Utc>>,
    ) -> Self {
        Self {
            distribution: distribution.to_string(),
            id: id.map(ToString::to_string),
            created: created.map(|created| created.timestamp_millis()),
        }
    }

    /// Returns the distribution; `None` if the message was changed.
    pub fn distribution(&self) -> Option<DistributionId> {
        DistributionId::parse(&self.distribution).ok()
    }

    /// Returns the invalidation, if its id is known.
    pub fn id(&self) -> Option<InvalidationId> {
        self.id.as_deref().map(InvalidationId::new)
    }

    /// Returns when CloudFront created it, if that was known.
    pub fn created(&self) -> Option<DateTime<Utc>> {
        self.created.and_then(DateTime::from_timestamp_millis)
    }
}

impl Task {
    /// Returns whether the text of a message is a task.
    pub(in crate::trigger) fn is_in(message: &Value) -> bool {
        message.get(KEY).is_some()
    }

    /// Reads a message.
    fn from_message(message: &Value) -> Result<Self, Error> {
        let task = message.get(KEY).unwrap_or(&Value::Null);
        // The error of serde can repeat a value.
        Self::deserialize(task).map_err(|_error| {
            Error::invalid_input("the message is not a Slack task that this version can read")
        })
    }

    /// Returns the text of the message.
    pub fn to_message(&self) -> String {
        serde_json::json!({ KEY: self }).to_string()
    }
}

impl From<QueuedCommand> for Task {
    fn from(command: QueuedCommand) -> Self {
        Self::Command(Box::new(command))
    }
}

/// A message of the Slack queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskMessage {
    /// The id by which a partial batch response reports the message as failed.
    pub id: String,
    /// What SQS needs to change when the message becomes visible again.
    pub receipt_handle: Option<String>,
    /// When the message was sent to the queue.
    pub sent: Option<DateTime<Utc>>,
    /// How many times the message was received, at least 1.
    pub receive_count: u32,
    /// The work, or why it cannot be read.
    pub task: Result<Task, Error>,
    body: Body,
}

/// The complete message, without `Debug` output, because it has the response URL.
#[derive(Clone, PartialEq, Eq)]
struct Body(Value);

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Body(…)")
    }
}

impl TaskMessage {
    /// Returns the message without the response URL, for a queue whose messages people read.
    pub fn without_secrets(&self) -> Value {
        let mut body = self.body.0.clone();
        remove_secrets(&mut body);
        body
    }

    /// Reads a record of an SQS event; `None` if its body is not a Slack task.
    pub(in crate::trigger) fn from_record(record: &Value) -> Option<Self> {
        let text = |pointer: &str| record.pointer(pointer).and_then(Value::as_str);
        let message = serde_json::from_str::<Value>(text("/body")?).ok()?;
        if !Task::is_in(&message) {
            return None;
        }
        Some(Self {
            id: text("/messageId")?.to_owned(),
            receipt_handle: text("/receiptHandle").map(str::to_owned),
            sent: sqs::sent(record),
            receive_count: sqs::receive_count(record),
            task: Task::from_message(&message),
            body: Body(message),
        })
    }
}

fn remove_secrets(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.remove(RESPONSE_URL);
            fields.values_mut().for_each(remove_secrets);
        }
        Value::Array(values) => values.iter_mut().for_each(remove_secrets),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
