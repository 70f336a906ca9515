//! Handles an SQS batch: the messages whose changes failed are reported, so that SQS delivers them again.
//!
//! Each reason is logged once, with the ids of its messages.
//!
//! Response: <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html>

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tracing::error;

use super::object_changes::{PendingChange, log_ignored};
use super::{Invalidator, guarded};
use crate::error::{Category, Error};
use crate::invocation::Invocation;
use crate::trigger::sqs::Message;

impl Invalidator {
    /// Invalidates the changes of all messages together. Returns the partial batch response.
    pub(super) async fn handle_sqs_batch(
        &self,
        messages: &[Message],
        invocation: &Invocation,
    ) -> Result<Value, Error> {
        let contents = messages.iter().map(|message| &message.content);
        log_ignored(contents.flat_map(|content| &content.ignored));
        // The message of each change, by the change's index.
        let mut change_messages = Vec::new();
        let mut changes = Vec::new();
        for message in messages {
            for change in &message.content.changes {
                change_messages.push(message);
                changes.push(PendingChange {
                    change,
                    sent: message.sent,
                });
            }
        }
        let results = guarded(self.invalidate_changes(&changes, invocation), invocation).await?;

        let mut failed: BTreeMap<&str, Error> = BTreeMap::new();
        for message in messages {
            if let Some(error) = Error::join(message.content.unreadable.clone()) {
                failed.insert(&message.id, error);
            }
        }
        for (change_index, error) in results.failed {
            if let Some(message) = change_messages.get(change_index) {
                failed.entry(&message.id).or_insert(error);
            }
        }
        log_failed(&failed);
        // In the order of the batch.
        let failures: Vec<_> = messages
            .iter()
            .filter(|message| failed.contains_key(message.id.as_str()))
            .map(|message| json!({"itemIdentifier": message.id}))
            .collect();
        Ok(json!({ "batchItemFailures": failures }))
    }
}

fn log_failed(failed: &BTreeMap<&str, Error>) {
    let mut reasons: BTreeMap<String, (Category, Vec<&str>)> = BTreeMap::new();
    for (id, error) in failed {
        let (_, ids) = reasons
            .entry(error.to_string())
            .or_insert((error.category(), Vec::new()));
        ids.push(id);
    }
    for (reason, (cause, ids)) in reasons {
        error!(%cause, messages = ids.len(), ids = ids.join(" "), "will be retried: {reason}");
    }
}
