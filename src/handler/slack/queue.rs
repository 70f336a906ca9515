//! Handles the messages of the Slack queue: commands that need more time than a reply has, and announcements.
//!
//! A message that has to be handled again stays in the queue: its visibility decides when, and it is never sent again, because
//! Lambda stops what it takes for a loop between a function and a queue. Nothing is written between two deliveries, so a command
//! is run from its start, which finds the invalidations that exist.
//!
//! A response URL takes five posts within 30 minutes. So one message posts once, at its end; from 23 minutes on, the result as it
//! is then. A purge that failed goes to the dead-letter queue with its reason and without the URL, unless the person can correct
//! it. After 30 minutes, a purge that CloudFront has not accepted goes there too, and all else is dropped.
//!
//! <https://docs.slack.dev/interactivity/handling-user-interaction#message_responses>

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join_all;
use serde_json::json;
use tokio::time::Instant;
use tracing::{Instrument, Span, error, info, warn};

use super::Invalidator;
use super::purge::{Purge, Support};
use super::reply::{self, Reply};
use super::run::{CommandResult, Extras};
use super::signing_secrets::MAX_AGE;
use super::{count_failure, is_mistake, person_span};
use crate::aws::webhook::{PostError, WebhookClient};
use crate::error::{Error, ErrorKind};
use crate::handler::{Answer, guarded};
use crate::invocation::Invocation;
use crate::metrics::Metric;
use crate::settings::slack::{DefaultAction, SlackSettings};
use crate::trigger::slack::task::{QueuedCommand, Task, TaskMessage};
use crate::trigger::slack::{Action, Command};

/// How long a response URL can be used. Announcements are not late for longer either.
const MAX_AGE_OF_MESSAGE: TimeDelta = TimeDelta::minutes(30);

/// From this age on, the result is posted as it is: the next attempt would be too late.
const LAST_ATTEMPT_AFTER: TimeDelta = TimeDelta::minutes(23);

/// The pause before an invalidation that is not completed is polled again by another invocation.
const COMPLETION_PAUSE: Duration = Duration::from_secs(15);

/// The pause after the first failed attempt; it doubles with each later one.
const FIRST_PAUSE: Duration = Duration::from_secs(15);

/// The longest pause between two attempts.
const MAX_PAUSE: Duration = Duration::from_secs(240);

/// How long before the end of the function's time a command and the wait for completion end, to post the result.
const POST_RESERVE: Duration = Duration::from_secs(12);

/// How long a run can take for what the result does not need.
const MAX_READ_TIME: Duration = Duration::from_secs(3);

/// How many times a post is sent in one attempt, if Slack fails. A response URL takes five posts.
const POSTS: usize = 2;

/// The pause between two posts, unless Slack requires a longer one.
const POST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause between two posts.
const MAX_POST_PAUSE: Duration = Duration::from_secs(5);

/// What handling a message led to.
enum TaskResult {
    /// The message is deleted.
    Done,
    /// The message is handled again: CloudFront has not completed the invalidations.
    NotCompleted,
    /// The message is handled again after this time.
    Retry { pause: Duration, error: Error },
}

impl Invalidator {
    /// Handles all messages. Returns the partial batch response.
    pub(in crate::handler) async fn handle_slack_tasks(
        &self,
        messages: &[TaskMessage],
        invocation: &Invocation,
    ) -> Result<Answer, Error> {
        let settings = self.slack_settings()?;
        let handle = async |message: &TaskMessage| {
            let work = Box::pin(self.handle_task(settings, message, invocation));
            let result = guarded(async { Ok(work.await) }, invocation).await;
            let result = result.unwrap_or_else(|error| retry(message, error));
            let (pause, error) = match result {
                TaskResult::Done => return None,
                TaskResult::NotCompleted => {
                    info!(messageId = %message.id, "not completed yet");
                    (COMPLETION_PAUSE, None)
                }
                TaskResult::Retry { pause, error } => {
                    warn!(
                        cause = %error.category(), messageId = %message.id,
                        "will be handled again in {} s: {error}", pause.as_secs()
                    );
                    (pause, Some(error))
                }
            };
            self.delay(settings, message, pause, invocation).await;
            Some((message.id.clone(), error))
        };
        let handle = |message| handle(message).instrument(span_of(message));
        let failed: Vec<_> = join_all(messages.iter().map(handle)).await;
        let failed: Vec<_> = failed.into_iter().flatten().collect();
        let failures = failed.iter().map(|(id, _)| json!({ "itemIdentifier": id }));
        Ok(Answer {
            response: json!({ "batchItemFailures": failures.collect::<Vec<_>>() }),
            failure: Error::join(failed.into_iter().filter_map(|(_, error)| error)),
        })
    }

    async fn handle_task(
        &self,
        settings: &SlackSettings,
        message: &TaskMessage,
        invocation: &Invocation,
    ) -> TaskResult {
        let now: DateTime<Utc> = self.clock.now().into();
        let age = now - message.sent.unwrap_or(now);
        let is_late = age > MAX_AGE_OF_MESSAGE;
        match &message.task {
            Ok(Task::Command(queued))
                if is_late && queued.purge.is_none() && is_purge(settings, queued) =>
            {
                let error = Error::from(ErrorKind::CommandTooOld);
                self.dead_letter(settings, message, &error, invocation)
                    .await
            }
            Ok(_) if is_late => {
                info!(
                    messageId = %message.id,
                    "dropped: the message is {} minutes old", age.num_minutes()
                );
                TaskResult::Done
            }
            Ok(Task::Command(queued)) => {
                let is_last = age >= LAST_ATTEMPT_AFTER;
                self.handle_queued_command(settings, message, queued, is_last, invocation)
                    .await
            }
            Ok(Task::Announcement(text)) => {
                self.post_announcement(settings, message, text, invocation)
                    .await
            }
            Err(error) => self.dead_letter(settings, message, error, invocation).await,
        }
    }
}

impl Invalidator {
    /// Runs a command or continues with its completion, and posts the result.
    async fn handle_queued_command(
        &self,
        settings: &SlackSettings,
        message: &TaskMessage,
        queued: &QueuedCommand,
        is_last: bool,
        invocation: &Invocation,
    ) -> TaskResult {
        let support = Support {
            contact: &settings.contact,
            request_id: &invocation.request_id,
        };
        let work = invocation.ending_earlier_by(POST_RESERVE);
        let result = match &queued.purge {
            Some(submitted) => Ok(CommandResult::Purge(Purge::submitted(submitted))),
            None => {
                let extras = Extras {
                    until: work.end_of_read(MAX_READ_TIME),
                    lists_earlier_purges: false,
                };
                self.run_command(settings, &queued.command, extras, &work)
                    .await
            }
        };
        let (reply, error) = match result {
            Ok(CommandResult::Done(reply)) => (reply, None),
            Ok(CommandResult::Purge(mut purge)) => {
                if let Some(error) = purge.transient_error().filter(|_| !is_last) {
                    return retry(message, error.clone());
                }
                let waited = self.wait_for_completion(&mut purge, &work).await;
                if let Err(error) = waited {
                    let cause = error.category();
                    warn!(%cause, "the completion is unknown: {error}");
                } else if purge.progress.has_invalidation_in_progress() && !is_last {
                    return TaskResult::NotCompleted;
                }
                purge.log_errors();
                let person = Some(queued.command.user.as_str());
                let person = person.filter(|_| settings.shows_in_channel);
                let reply = match purge.is_accepted {
                    true => purge.finished(self.now_of_cloudfront(invocation), person, support),
                    false => purge.refused(support),
                };
                (reply, purge.error().cloned())
            }
            Err(error) if error.is_transient() && !is_last => return retry(message, error),
            Err(error) => {
                error!(cause = %error.category(), "{error}");
                let reply = reply::failed(&support.error_text(&error));
                let is_purge = is_purge(settings, queued);
                if !is_purge {
                    count_failure(&error, invocation);
                }
                let error = Some(error).filter(|_| is_purge);
                (reply, error)
            }
        };
        let mut result = TaskResult::Done;
        if let Some(error) = error.filter(|error| !is_mistake(error)) {
            result = self
                .dead_letter(settings, message, &error, invocation)
                .await;
            if let TaskResult::Retry { pause, .. } = &mut result {
                if !is_last {
                    return result;
                }
                // The reply is posted once, now. Later deliveries only try the dead-letter queue again.
                *pause = MAX_AGE_OF_MESSAGE.to_std().unwrap_or(MAX_PAUSE);
            }
        }
        self.post_reply(queued, &reply, invocation).await;
        result
    }

    /// Waits until all invalidations are completed, as long as the function runs.
    async fn wait_for_completion(
        &self,
        purge: &mut Purge,
        invocation: &Invocation,
    ) -> Result<(), Error> {
        let end = invocation.end_of_calls();
        let limit = end.saturating_duration_since(Instant::now());
        self.poll(&mut purge.progress, limit, end, invocation).await
    }

    /// Puts the message with a reason and without secrets into the dead-letter queue.
    async fn dead_letter(
        &self,
        settings: &SlackSettings,
        message: &TaskMessage,
        reason: &Error,
        invocation: &Invocation,
    ) -> TaskResult {
        let mut body = message.without_secrets();
        if let Some(body) = body.as_object_mut() {
            body.insert("reason".to_owned(), reason.to_string().into());
        }
        let sent = match &settings.dead_letter_queue {
            Some(queue) => {
                let deadline = invocation.end_of_response();
                let body = body.to_string();
                self.sqs()
                    .send_message(queue, &body, Duration::ZERO, deadline)
                    .await
            }
            None => Err(Error::invalid_input(
                "setting SLACK_DEAD_LETTER_QUEUE_URL is not set",
            )),
        };
        match sent {
            Ok(()) => {
                error!(
                    cause = %reason.category(), messageId = %message.id,
                    "moved to the dead-letter queue: {reason}"
                );
                invocation.metrics.count_total(Metric::Errors, 1);
                TaskResult::Done
            }
            Err(error) => {
                error!(cause = %reason.category(), messageId = %message.id, "failed: {reason}");
                retry(message, error.context("not moved to the dead-letter queue"))
            }
        }
    }

    /// Posts the result of a command. A result that Slack does not accept is in the log only.
    async fn post_reply(&self, queued: &QueuedCommand, reply: &Reply, invocation: &Invocation) {
        let Some(url) = &queued.command.response_url else {
            return;
        };
        let mut body = reply.to_json();
        if let Some(body) = body.as_object_mut() {
            // Otherwise a post can replace the reply to the command (observed).
            body.insert("replace_original".to_owned(), false.into());
        }
        let deadline = invocation.end_of_calls();
        for posts in 1.. {
            let posted = self.webhooks().post(url.as_str(), &body, deadline).await;
            let Err(error) = posted else {
                return;
            };
            let pause = error.retry_after().unwrap_or_default();
            let pause = pause.clamp(POST_PAUSE, MAX_POST_PAUSE);
            // A message whose time ends is handled again, with all of its posts.
            let is_last = posts == POSTS || Instant::now() + pause >= deadline;
            if is_last || !error.is_transient() {
                warn!("the result was not posted: {error}");
                return;
            }
            self.clock.pause(pause).await;
        }
    }

    async fn post_announcement(
        &self,
        settings: &SlackSettings,
        message: &TaskMessage,
        text: &str,
        invocation: &Invocation,
    ) -> TaskResult {
        let deadline = invocation.end_of_calls();
        let secret = self
            .stored_secret(settings, MAX_AGE, deadline, invocation)
            .await;
        let secret = match secret {
            Ok(secret) => secret,
            Err(error) => return retry(message, error),
        };
        let Some(url) = &secret.webhook_url else {
            warn!("not announced: the secret has no webhook_url");
            return TaskResult::Done;
        };
        let body = json!({ "text": text });
        let posted = self.webhooks().post(url.as_str(), &body, deadline);
        match posted.await {
            Ok(()) => TaskResult::Done,
            Err(PostError::Unavailable {
                reason,
                retry_after,
            }) => {
                let pause = pause(message.receive_count).max(retry_after.unwrap_or_default());
                let purpose = "announce in Slack".to_owned();
                let message = reason;
                let error = ErrorKind::Unavailable { purpose, message }.into();
                TaskResult::Retry { pause, error }
            }
            Err(error @ PostError::Rejected(_)) => {
                error!("not announced: {error}");
                invocation.metrics.count_total(Metric::Errors, 1);
                TaskResult::Done
            }
        }
    }

    /// Puts a task into the queue.
    pub(super) async fn enqueue(
        &self,
        settings: &SlackSettings,
        task: &Task,
        delay: Duration,
        deadline: Instant,
    ) -> Result<(), Error> {
        let queue = settings.queue.as_ref();
        let queue =
            queue.ok_or_else(|| Error::invalid_input("setting SLACK_QUEUE_URL is not set"))?;
        self.sqs()
            .send_message(queue, &task.to_message(), delay, deadline)
            .await
    }

    /// Makes a message visible after the pause. Otherwise it is visible after the queue's own time-out.
    async fn delay(
        &self,
        settings: &SlackSettings,
        message: &TaskMessage,
        pause: Duration,
        invocation: &Invocation,
    ) {
        let (Some(queue), Some(handle)) = (&settings.queue, &message.receipt_handle) else {
            return;
        };
        let deadline = invocation.end_of_response();
        if let Err(error) = self
            .sqs()
            .change_visibility(queue, handle, pause, deadline)
            .await
        {
            warn!(cause = %error.category(), "{error}");
        }
    }

    fn webhooks(&self) -> &WebhookClient {
        let new = || WebhookClient::new(&self.sdk, self.slack.endpoint.clone());
        self.slack.webhooks.get_or_init(new)
    }

    pub(super) fn now_of_cloudfront(&self, invocation: &Invocation) -> DateTime<Utc> {
        let now = self.cloudfront(invocation).now();
        now.unwrap_or_else(|| self.clock.now().into())
    }
}

/// Returns a span with the person whose command the message is about.
fn span_of(message: &TaskMessage) -> Span {
    match &message.task {
        Ok(Task::Command(queued)) => person_span(&queued.command),
        Ok(Task::Announcement(_)) | Err(_) => Span::none(),
    }
}

/// Returns the pause after an attempt that failed.
fn pause(receive_count: u32) -> Duration {
    let factor = 2_u32.saturating_pow(receive_count.saturating_sub(1));
    FIRST_PAUSE.saturating_mul(factor).min(MAX_PAUSE)
}

/// Returns what happens to a message after an attempt that failed.
fn retry(message: &TaskMessage, error: Error) -> TaskResult {
    TaskResult::Retry {
        pause: pause(message.receive_count),
        error,
    }
}

/// Returns whether the command changes what CloudFront has cached.
fn is_purge(settings: &SlackSettings, queued: &QueuedCommand) -> bool {
    let command = Command::parse(&queued.command.text);
    command.is_ok_and(|command| match command.action {
        Action::All | Action::Invalidate(_) => true,
        Action::Default => settings.default_action == DefaultAction::All,
        Action::Status(_) | Action::Usage | Action::Verify(_) | Action::Help => false,
    })
}
