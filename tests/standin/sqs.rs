//! Standard queues of SQS, as far as a sender and a consumer see them: messages that are sent, and visibility that is changed.
//!
//! Nothing is received: a test passes the event of a consumer to the function itself.
//!
//! API: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::fault::{ACCOUNT, ApiError};

const MAX_MESSAGE_BYTES: usize = 1_048_576;
const MAX_DELAY_SECONDS: u64 = 900;
const MAX_VISIBILITY_TIMEOUT_SECONDS: u64 = 43_200;

/// A message that SQS accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentMessage {
    /// The name of the queue.
    pub queue: String,
    /// Its body.
    pub body: String,
    /// How long it is delayed.
    pub delay_seconds: u64,
}

/// A change of visibility that SQS accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VisibilityChange {
    /// The name of the queue.
    pub queue: String,
    /// The receipt handle of the message.
    pub receipt_handle: String,
    /// How long the message stays invisible.
    pub seconds: u64,
}

/// The queues and what they received.
#[derive(Default)]
pub(super) struct Queues {
    names: BTreeSet<String>,
    pub(super) messages: Vec<SentMessage>,
    pub(super) visibility_changes: Vec<VisibilityChange>,
}

impl Queues {
    /// Creates a queue, and returns the path of its URL.
    pub(super) fn create(&mut self, name: &str) -> String {
        self.names.insert(name.to_owned());
        format!("/{ACCOUNT}/{name}")
    }

    pub(super) fn reset(&mut self) {
        self.messages.clear();
        self.visibility_changes.clear();
    }

    pub(super) fn send_message(&mut self, input: &Value) -> Result<Value, ApiError> {
        let queue = self.queue(input)?;
        let body = input["MessageBody"].as_str().unwrap_or_default();
        if body.is_empty() {
            return Err(invalid(
                "The request must contain the parameter MessageBody.",
            ));
        }
        if body.len() > MAX_MESSAGE_BYTES {
            return Err(invalid(
                "One or more parameters are invalid. Reason: Message must be shorter than 1048576 bytes.",
            ));
        }
        let delay_seconds = seconds(input, "DelaySeconds", MAX_DELAY_SECONDS)?;
        self.messages.push(SentMessage {
            queue,
            body: body.to_owned(),
            delay_seconds,
        });
        let id = format!("11111111-abcd-4111-abcd-{:012x}", self.messages.len());
        Ok(json!({"MessageId": id}))
    }

    pub(super) fn change_visibility(&mut self, input: &Value) -> Result<(), ApiError> {
        let queue = self.queue(input)?;
        let receipt_handle = input["ReceiptHandle"].as_str().unwrap_or_default();
        if receipt_handle.is_empty() {
            let message = "The input receipt handle is invalid.";
            return Err(ApiError::new(400, "ReceiptHandleIsInvalid", message));
        }
        let seconds = seconds(input, "VisibilityTimeout", MAX_VISIBILITY_TIMEOUT_SECONDS)?;
        self.visibility_changes.push(VisibilityChange {
            queue,
            receipt_handle: receipt_handle.to_owned(),
            seconds,
        });
        Ok(())
    }

    fn queue(&self, input: &Value) -> Result<String, ApiError> {
        let name = name(input["QueueUrl"].as_str().unwrap_or_default());
        if self.names.contains(name) {
            return Ok(name.to_owned());
        }
        let message = "The specified queue does not exist.";
        Err(ApiError::new(400, "QueueDoesNotExist", message))
    }
}

/// Returns the name of a queue in its URL.
pub(super) fn name(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or_default()
}

/// Reads a number of seconds; a text is invalid.
fn seconds(input: &Value, name: &str, max: u64) -> Result<u64, ApiError> {
    let number = input[name].as_u64().filter(|number| *number <= max);
    number.ok_or_else(|| {
        invalid(&format!(
            "Value {} for parameter {name} is invalid. Reason: Must be >= 0 and <= {max}.",
            input[name]
        ))
    })
}

fn invalid(message: &str) -> ApiError {
    ApiError::new(400, "InvalidParameterValue", message)
}
