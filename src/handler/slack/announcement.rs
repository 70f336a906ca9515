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

/// What a pipeline job or an event led to.
pub(in crate::handler) struct Announcement {
    /// What it was, such as `Pipeline job`.
    subject: &'static str,
    text: String,
    is_failure: bool,
    /// Whether Lambda or SQS retry it, so that the same failure occurs several times.
    is_retried: bool,
}

impl Announcement {
    /// Creates the announcement of a pipeline job's result.
    pub(in crate::handler) fn of_job(text: &str, is_failure: bool) -> Self {
        Self {
            subject: "Pipeline job",
            text: text.to_owned(),
            is_failure,
            is_retried: false,
        }
    }

    /// Creates the announcement of what was invalidated because objects changed; `None` if nothing was.
    pub(in crate::handler) fn of_changes(outcome: &Outcome) -> Option<Self> {
        let accepted = outcome
            .reports
            .iter()
            .filter(|report| report.result.is_ok());
        let accepted = Outcome {
            reports: accepted.cloned().collect(),
            ..Outcome::default()
        };
        let has_reports = !accepted.reports.is_empty();
        has_reports.then(|| Self {
            subject: CHANGES,
            text: accepted.to_string(),
            is_failure: false,
            is_retried: false,
        })
    }

    /// Creates the announcement of changes that could not be invalidated.
    pub(in crate::handler) fn of_failed_changes(error: &Error) -> Self {
        Self {
            subject: CHANGES,
            text: error.to_string(),
            is_failure: true,
            is_retried: true,
        }
    }

    /// Returns the message as mrkdwn.
    fn to_mrkdwn(&self) -> String {
        let (symbol, verb) = match self.is_failure {
            true => (":x:", "failed"),
            false => (":white_check_mark:", "done"),
        };
        format!(
            "{symbol} *{} {verb}*\n{}",
            self.subject,
            block(&self.text, MAX_CHARACTERS)
        )
    }
}

impl Invalidator {
    /// Puts an announcement into the queue, if the settings request it.
    pub(in crate::handler) async fn announce(
        &self,
        announcement: Option<Announcement>,
        invocation: &Invocation,
    ) {
        let Some(announcement) = announcement else {
            return;
        };
        let settings = match self.slack_settings() {
            Ok(settings) => settings,
            Err(error) => {
                warn!(cause = %error.category(), "not announced in Slack: {error}");
                return;
            }
        };
        let needed = match announcement.is_failure {
            true => Announcements::Failures,
            false => Announcements::All,
        };
        if settings.announcements < needed {
            return;
        }
        let message = announcement.to_mrkdwn();
        let (announced, now) = (&self.slack.announced, self.clock.now());
        if announcement.is_retried && announced.has(&message, now) {
            return;
        }
        let deadline = (Instant::now() + MAX_SEND_TIME).min(invocation.end_of_response());
        let task = Task::Announcement(message.clone());
        let sent = self
            .enqueue(settings, &task, Duration::ZERO, deadline)
            .await;
        match sent {
            Ok(()) if announcement.is_retried => announced.remember(message, now),
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
