//! Announces what pipeline jobs and events of S3 led to, in the channel of the incoming webhook.
//!
//! An announcement goes through the queue, after the result was reported. If the queue does not take it, it is lost and logged:
//! an announcement never delays or fails an invalidation.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use tracing::warn;

use super::Invalidator;
use crate::error::Error;
use crate::invocation::Invocation;
use crate::mrkdwn::block;
use crate::outcome::Outcome;
use crate::settings::slack::Announcements;
use crate::trigger::slack::task::Task;

/// What an announcement about objects is called.
const CHANGES: &str = "Invalidation of changed objects";

/// How long sending an announcement to the queue may take.
const MAX_SEND_TIME: Duration = Duration::from_secs(1);

/// How long the same failure is not announced again by this process: Lambda and SQS retry an event several times.
const REPEATED_AFTER: Duration = Duration::from_secs(60 * 60);

/// How many messages are remembered.
const MAX_REMEMBERED: usize = 50;

/// The most characters of a text that is announced; Slack recommends at most 4,000.
const MAX_CHARACTERS: usize = 3_000;

/// What a pipeline job or an event led to. It becomes text only if it is announced.
#[derive(Clone, Copy)]
pub(in crate::handler) enum Announcement<'a> {
    /// The result of a pipeline job, with the text that was reported.
    Job { text: &'a str, is_failure: bool },
    /// What was invalidated because objects changed.
    Changes(&'a Outcome),
    /// Why changes could not be invalidated. Lambda or SQS retry them, so the same failure occurs several times.
    FailedChanges(&'a Error),
}

impl Announcement<'_> {
    fn is_failure(&self) -> bool {
        match self {
            Self::Job { is_failure, .. } => *is_failure,
            Self::Changes(_) => false,
            Self::FailedChanges(_) => true,
        }
    }

    /// Returns the message as mrkdwn; `None` if nothing was invalidated.
    fn to_mrkdwn(self) -> Option<String> {
        let (subject, text) = match self {
            Self::Job { text, .. } => ("Pipeline job", text.to_owned()),
            Self::Changes(outcome) => {
                let reports = outcome.reports.iter();
                let accepted = reports.filter(|report| report.result.is_ok());
                let accepted = Outcome {
                    reports: accepted.cloned().collect(),
                    ..Outcome::default()
                };
                if accepted.reports.is_empty() {
                    return None;
                }
                (CHANGES, accepted.to_string())
            }
            Self::FailedChanges(error) => (CHANGES, error.to_string()),
        };
        let (symbol, verb) = match self.is_failure() {
            true => (":x:", "failed"),
            false => (":white_check_mark:", "done"),
        };
        let block = block(&text, MAX_CHARACTERS);
        Some(format!("{symbol} *{subject} {verb}*\n{block}"))
    }
}

impl Invalidator {
    /// Puts an announcement into the queue, if the settings request it.
    pub(in crate::handler) async fn announce(
        &self,
        announcement: Announcement<'_>,
        invocation: &Invocation,
    ) {
        let settings = match self.slack_settings() {
            Ok(settings) => settings,
            Err(error) => {
                warn!(cause = %error.category(), "not announced in Slack: {error}");
                return;
            }
        };
        let needed = match announcement.is_failure() {
            true => Announcements::Failures,
            false => Announcements::All,
        };
        if settings.announcements < needed {
            return;
        }
        let Some(message) = announcement.to_mrkdwn() else {
            return;
        };
        let is_retried = matches!(announcement, Announcement::FailedChanges(_));
        let (announced, now) = (&self.slack.announced, self.clock.now());
        if is_retried && announced.has(&message, now) {
            return;
        }
        let deadline = (Instant::now() + MAX_SEND_TIME).min(invocation.end_of_response());
        let task = Task::Announcement(message.clone());
        let sent = self
            .enqueue(settings, &task, Duration::ZERO, deadline)
            .await;
        match sent {
            Ok(()) if is_retried => announced.remember(message, now),
            Ok(()) => {}
            Err(error) => warn!(cause = %error.category(), "not announced in Slack: {error}"),
        }
    }
}

/// The failures that this process announced: their messages, and when.
#[derive(Debug, Default)]
pub(super) struct Announced(Mutex<VecDeque<(String, SystemTime)>>);

impl Announced {
    /// Returns whether the same message was announced within the hour.
    fn has(&self, message: &str, now: SystemTime) -> bool {
        let mut announced = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_recent = |time: &SystemTime| {
            now.duration_since(*time)
                .is_ok_and(|age| age < REPEATED_AFTER)
        };
        announced.retain(|(_, time)| is_recent(time));
        announced.iter().any(|(known, _)| known == message)
    }

    fn remember(&self, message: String, now: SystemTime) {
        let mut announced = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if announced.len() == MAX_REMEMBERED {
            announced.pop_front();
        }
        announced.push_back((message, now));
    }
}
