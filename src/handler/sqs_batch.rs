//! Handles an SQS batch: returns the messages that failed, so that SQS delivers them again.
//!
//! Each reason is logged once, with the ids of its messages, at most 100 of them.
//!
//! Response: <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html>

use std::collections::BTreeMap;

use serde_json::json;
use tracing::error;

use super::contents::ReceivedContent;
use super::slack::Announcement;
use super::{Answer, Invalidator};
use crate::error::{Category, Error};
use crate::excerpt::listed;
use crate::invocation::Invocation;
use crate::metrics::Metric;
use crate::trigger::sqs::Message;

/// After this many receives, SQS moves a message to the dead-letter queue (`maxReceiveCount` in the template).
const LAST_RECEIVE: u32 = 10;

impl Invalidator {
    /// Handles the contents of all messages together. Returns the partial batch response, and why messages are in it.
    pub(super) async fn handle_sqs_batch(
        &self,
        messages: &[Message],
        invocation: &Invocation,
    ) -> Result<Answer, Error> {
        let contents: Vec<_> = messages
            .iter()
            .map(|message| ReceivedContent {
                content: &message.content,
                sent: message.sent,
                is_retried: message.receive_count > 1,
            })
            .collect();
        let results = match self.handle_contents(&contents, invocation).await {
            Ok(results) => results,
            Err(error) => {
                let errors = vec![Some(error.clone()); messages.len()];
                if let Some(failure) = joined(&final_errors(messages, &errors)) {
                    let announcement = Announcement::FailedChanges(&failure);
                    self.announce(announcement, invocation).await;
                }
                return Err(error);
            }
        };
        let final_errors = final_errors(messages, &results.errors);
        let final_count = final_errors.len();
        let failure = joined(&final_errors);
        let announcement = match &failure {
            Some(error) => Announcement::FailedChanges(error),
            None => Announcement::Changes(&results.outcome),
        };
        let failed: Vec<(&str, Error)> = messages
            .iter()
            .zip(results.errors)
            .filter_map(|(message, error)| Some((message.id.as_str(), error?)))
            .collect();
        log_failed(&failed);
        if final_count > 0 {
            (invocation.metrics).count_total(Metric::Errors, final_count);
        }
        self.announce(announcement, invocation).await;
        let failures: Vec<_> = failed
            .iter()
            .map(|(id, _)| json!({ "itemIdentifier": id }))
            .collect();
        let response = json!({ "batchItemFailures": failures });
        let place = format!("{} of {} messages failed", failed.len(), messages.len());
        let mut errors: Vec<_> = failed.into_iter().map(|(_, error)| error).collect();
        errors.dedup();
        let failure = Error::join(errors).map(|error| error.context(place));
        Ok(Answer { response, failure })
    }
}

/// Returns the errors of all messages that failed, except for those that probably succeed later.
fn final_errors<'a>(messages: &[Message], errors: &'a [Option<Error>]) -> Vec<&'a Error> {
    let failed = messages.iter().zip(errors);
    let failed = failed.filter_map(|(message, error)| {
        let is_last = message.receive_count >= LAST_RECEIVE;
        error
            .as_ref()
            .filter(|error| is_last || !error.is_transient())
    });
    failed.collect()
}

/// Joins errors, without those that are equal to the one before.
fn joined(errors: &[&Error]) -> Option<Error> {
    let mut errors = errors.to_vec();
    errors.dedup();
    Error::join(errors.into_iter().cloned())
}

fn log_failed(failed: &[(&str, Error)]) {
    let mut ids_by_reason: BTreeMap<String, (Category, Vec<&str>)> = BTreeMap::new();
    for (id, error) in failed {
        let (_, ids) = ids_by_reason
            .entry(error.to_string())
            .or_insert((error.category(), Vec::new()));
        ids.push(id);
    }
    for (reason, (cause, ids)) in ids_by_reason {
        let (messages, ids) = (ids.len(), listed(ids));
        error!(%cause, messages, %ids, "will be retried: {reason}");
    }
}
