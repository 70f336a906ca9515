//! Handles the content of notifications and SQS messages. A new kind of content is handled here, for both callers.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use tracing::info;

use super::object_changes::{ChangeOptions, PendingChange};
use super::slack::Announcement;
use super::{Invalidator, guarded};
use crate::error::Error;
use crate::invocation::Invocation;
use crate::outcome::Outcome;
use crate::trigger::Content;
use crate::trigger::s3::IgnoredEvent;

/// The content of a notification or message.
pub(super) struct ReceivedContent<'a> {
    pub(super) content: &'a Content,
    /// When its message was sent to the queue; `None` without a queue.
    pub(super) sent: Option<DateTime<Utc>>,
    /// Whether its message was received before.
    pub(super) is_retried: bool,
}

/// The results, in the order of the notifications or messages.
pub(super) struct ContentResults {
    pub(super) outcome: Outcome,
    /// For each notification or message, in order: why it has to be retried.
    pub(super) errors: Vec<Option<Error>>,
}

impl Invalidator {
    /// Handles a notification that invoked the function directly: any error fails all of it.
    pub(super) async fn handle_notification(
        &self,
        content: &Content,
        invocation: &Invocation,
    ) -> Result<String, Error> {
        let content = ReceivedContent {
            content,
            sent: None,
            // Lambda does not pass on which attempt this is.
            is_retried: false,
        };
        let handled = self.handle_contents(&[content], invocation).await;
        let result =
            handled.and_then(
                |results| match Error::join(results.errors.into_iter().flatten()) {
                    Some(error) => Err(error),
                    None => Ok(results.outcome),
                },
            );
        let announcement = match &result {
            Ok(outcome) => Announcement::Changes(outcome),
            Err(error) => Announcement::FailedChanges(error),
        };
        self.announce(announcement, invocation).await;
        result.map(|outcome| outcome.to_string())
    }

    /// Invalidates the changes of all notifications or messages together.
    ///
    /// # Errors
    ///
    /// [`Error`] if the settings are invalid, or the work panics or runs out of time. The errors of single messages are in
    /// the results.
    pub(super) async fn handle_contents(
        &self,
        contents: &[ReceivedContent<'_>],
        invocation: &Invocation,
    ) -> Result<ContentResults, Error> {
        let ignored = contents
            .iter()
            .flat_map(|received| &received.content.ignored);
        log_ignored(ignored);
        // For each change: the index of its notification or message.
        let mut content_indices = Vec::new();
        let mut changes = Vec::new();
        for (index, received) in contents.iter().enumerate() {
            for change in &received.content.changes {
                content_indices.push(index);
                changes.push(PendingChange {
                    change,
                    sent: received.sent,
                    is_retried: received.is_retried,
                });
            }
        }
        let work = async {
            // Without changes, invalid settings do not matter.
            let settings = self.settings.as_ref();
            let options = ChangeOptions {
                distributions: settings.map_or(&[], |settings| &settings.distributions),
                requester: None,
            };
            self.invalidate_changes(&changes, options, invocation).await
        };
        let results = guarded(work, invocation).await?;
        let mut errors: Vec<Vec<Error>> = vec![Vec::new(); contents.len()];
        for (change_index, error) in results.failed {
            let content_index = content_indices.get(change_index);
            if let Some(errors) = content_index.and_then(|index| errors.get_mut(*index)) {
                errors.push(error);
            }
        }
        let errors = contents.iter().zip(errors).map(|(received, mut errors)| {
            errors.extend(received.content.unreadable.clone());
            errors.dedup();
            Error::join(errors)
        });
        Ok(ContentResults {
            outcome: results.outcome,
            errors: errors.collect(),
        })
    }
}

/// Logs the events that need no invalidation, one line for each event name.
fn log_ignored<'a>(ignored: impl IntoIterator<Item = &'a IgnoredEvent>) {
    let mut subjects_by_name: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for event in ignored {
        let subjects = subjects_by_name.entry(&event.name).or_default();
        subjects.push(&event.subject);
    }
    for (event, subjects) in subjects_by_name {
        let (count, first) = (subjects.len(), subjects.first());
        info!(
            event,
            count, first, "this event changes nothing for viewers"
        );
    }
}
