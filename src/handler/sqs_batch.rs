//! How S3's notifications are answered: by the function's result, or a queue's message by message.
//!
//! Each reason is logged once, with the messages that it keeps.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tracing::{error, info};

use super::objects::Pending;
use super::{Function, guarded};
use crate::failure::{Cause, Failure};
use crate::invocation::Invocation;
use crate::trigger::s3::{IgnoredEvent, Notification};
use crate::trigger::sqs::Message;

impl Function {
    /// Handles a notification that Lambda got by itself: what fails, fails the whole.
    pub(super) async fn handle_objects(
        &self,
        notification: &Notification,
        invocation: &Invocation,
    ) -> Result<String, Failure> {
        log_ignored(&notification.ignored);
        let pending = |change| Pending { change, sent: None };
        let changes: Vec<_> = notification.changes.iter().map(pending).collect();
        let freshened = guarded(self.freshen(&changes, invocation), invocation).await?;
        let mut failures: Vec<_> = freshened
            .failed
            .into_values()
            .chain(notification.unreadable.clone())
            .collect();
        failures.dedup();
        match Failure::together(failures) {
            Some(failure) => Err(failure),
            None => Ok(freshened.outcome.to_string()),
        }
    }

    /// Handles a queue's batch: what fails, fails the messages that hold it.
    ///
    /// Response: <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html>
    pub(super) async fn handle_queue<'a>(
        &self,
        messages: &'a [Message],
        invocation: &Invocation,
    ) -> Result<Value, Failure> {
        log_ignored(
            messages
                .iter()
                .flat_map(|message| &message.notification.ignored),
        );
        let of_message = |(holder, message): (usize, &'a Message)| {
            let sent = message.sent;
            message
                .notification
                .changes
                .iter()
                .map(move |change| (holder, Pending { change, sent }))
        };
        let (holders, changes): (Vec<_>, Vec<_>) =
            messages.iter().enumerate().flat_map(of_message).unzip();
        let freshened = guarded(self.freshen(&changes, invocation), invocation).await?;

        let mut failed: BTreeMap<usize, Failure> = BTreeMap::new();
        for (place, failure) in freshened.failed {
            failed.entry(holders[place]).or_insert(failure);
        }
        for (holder, message) in messages.iter().enumerate() {
            if let Some(failure) = Failure::together(message.notification.unreadable.clone()) {
                failed.insert(holder, failure);
            }
        }
        log_failed(messages, &failed);
        let failures: Vec<_> = failed
            .keys()
            .map(|holder| json!({"itemIdentifier": messages[*holder].id}))
            .collect();
        Ok(json!({ "batchItemFailures": failures }))
    }
}

fn log_ignored<'a>(ignored: impl IntoIterator<Item = &'a IgnoredEvent>) {
    let mut by_name: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for event in ignored {
        by_name
            .entry(event.name.as_str())
            .or_default()
            .push(event.about.as_str());
    }
    for (event, about) in by_name {
        info!(
            event,
            count = about.len(),
            first = about[0],
            "this changes nothing for viewers"
        );
    }
}

/// Logs each reason once, with the messages that it keeps.
fn log_failed(messages: &[Message], failed: &BTreeMap<usize, Failure>) {
    let mut reasons: BTreeMap<&str, (Cause, Vec<&str>)> = BTreeMap::new();
    for (holder, failure) in failed {
        let (_, ids) = reasons
            .entry(&failure.message)
            .or_insert((failure.cause, Vec::new()));
        ids.push(&messages[*holder].id);
    }
    for (reason, (cause, ids)) in reasons {
        error!(%cause, messages = ids.len(), ids = ids.join(" "), "kept for another try: {reason}");
    }
}
