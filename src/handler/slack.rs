//! Handles slash commands of Slack, which arrive at a function URL.
//!
//! The order of the checks is fixed: method and size, signature over the raw body, form, workspace, channel and user, and only
//! then the command. Before the signature is verified, nothing that the request contains is used, except by a check of the
//! certificate (`ssl_check`), which ends with an empty response; and no call to AWS is made except for the signing secret.
//!
//! Slack waits three seconds for the response, and the cold start counts. So a command that CloudFront does not accept in time
//! is put into a queue, and so is the wait for completion (`queue`). `run` runs a command, `purge` has what was requested of
//! CloudFront, `sites` finds the distributions, `report` has the commands that change nothing, `reply` the texts.
//! `signing_secrets` reads the secrets, `announcement` reports what other callers caused.
//!
//! <https://docs.slack.dev/interactivity/implementing-slash-commands>

mod announcement;
mod purge;
mod queue;
mod reply;
mod report;
mod run;
mod signing_secrets;
mod sites;

use std::pin::pin;
use std::sync::OnceLock;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::{Either, join, select};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until, timeout_at};
use tracing::{Instrument, Span, error, error_span, info, warn};

use self::announcement::Announced;
pub(super) use self::announcement::Announcement;
use self::purge::Support;
use self::reply::Reply;
use self::run::{CommandResult, Extras};
use self::signing_secrets::SigningSecrets;
use super::{Answer, Invalidator, guarded};
use crate::aws::secrets::Secrets;
use crate::aws::sqs::Sqs;
use crate::aws::webhook::WebhookClient;
use crate::error::{Category, Error};
use crate::invocation::Invocation;
use crate::metrics::Metric;
use crate::settings::slack::SlackSettings;
use crate::trigger::function_url::FunctionUrlRequest;
use crate::trigger::slack::task::{QueuedCommand, SubmittedPurge};
use crate::trigger::slack::{Form, Refusal, SignedRequest, SlashCommand};

/// How long after Lambda got the request the response leaves. Slack's three seconds begin when it sends the request.
const REPLY_WITHIN: Duration = Duration::from_millis(2_500);

/// How long before the response a command is put into the queue that CloudFront has not accepted yet.
const HAND_OVER_BEFORE: Duration = Duration::from_millis(500);

/// How much time putting a command into the queue has at least, whatever the clocks show.
const MIN_TIME_FOR_QUEUE: Duration = Duration::from_millis(600);

/// How long before the hand-over a command ends reading what its reply does not need.
const EXTRAS_BEFORE: Duration = Duration::from_millis(300);

/// The most characters of a command in the log.
const MAX_LOGGED_CHARACTERS: usize = 3_000;

/// Delays the commands in the queue: a post to the response URL that overtakes the response is replaced by it (observed).
const QUEUE_DELAY: Duration = Duration::from_secs(5);

/// What the function needs for Slack, and what it remembers between invocations.
#[derive(Debug)]
pub(super) struct Slack {
    settings: Result<SlackSettings, Error>,
    /// `SLACK_ENDPOINT_URL`: a server in place of Slack, for tests.
    endpoint: Option<String>,
    signing_secrets: SigningSecrets,
    secrets: OnceLock<Secrets>,
    sqs: OnceLock<Sqs>,
    webhooks: OnceLock<WebhookClient>,
    announced: Announced,
}

impl Slack {
    /// Reads the settings; sends nothing. An error in them is reported to Slack's callers only.
    pub(super) fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        Self {
            endpoint: variable("SLACK_ENDPOINT_URL").filter(|url| !url.is_empty()),
            settings: SlackSettings::from_environment(variable),
            signing_secrets: SigningSecrets::default(),
            secrets: OnceLock::new(),
            sqs: OnceLock::new(),
            webhooks: OnceLock::new(),
            announced: Announced::default(),
        }
    }
}

/// The response to a request of the function URL.
/// <https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html#urls-payloads>
struct Response {
    status: u16,
    body: Body,
}

/// The content of a response.
enum Body {
    Empty,
    Text(&'static str),
    Reply(Reply),
}

impl Response {
    /// A refusal. A reason would only help an attacker.
    const UNAUTHORIZED: Self = Self::empty(401);

    const fn empty(status: u16) -> Self {
        let body = Body::Empty;
        Self { status, body }
    }

    fn to_json(&self) -> Value {
        let (content_type, body) = match &self.body {
            Body::Empty => return json!({ "statusCode": self.status }),
            Body::Text(text) => ("text/plain; charset=utf-8", (*text).to_owned()),
            Body::Reply(reply) => (
                "application/json; charset=utf-8",
                reply.to_json().to_string(),
            ),
        };
        json!({
            "statusCode": self.status,
            "headers": { "content-type": content_type },
            "body": body,
        })
    }
}

impl From<Reply> for Response {
    fn from(reply: Reply) -> Self {
        Self {
            status: 200,
            body: Body::Reply(reply),
        }
    }
}

/// The end of a command within the time of its reply.
struct Ending {
    reply: Reply,
    rest: Option<QueuedRest>,
}

/// What the queue has to do.
struct QueuedRest {
    /// What CloudFront accepted; `None` if the command has to be run again.
    purge: Option<SubmittedPurge>,
    /// The reply if the queue does not accept it.
    reply_if_not_queued: Reply,
}

/// When a command's response leaves, and when the command is put into the queue before that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ReplyTimes {
    hand_over: Instant,
    /// Until when the result of a command is awaited that is in the queue already.
    result_by: Instant,
    /// Until when the queue is awaited.
    reply_by: Instant,
}

impl ReplyTimes {
    /// Returns the times of a request that Lambda got at `received`; the cold start is later.
    fn new(received: Option<DateTime<Utc>>, now: DateTime<Utc>, instant: Instant) -> Self {
        let elapsed = received.and_then(|received| (now - received).to_std().ok());
        let left = REPLY_WITHIN.saturating_sub(elapsed.unwrap_or_default());
        let reply_by = instant + left.max(MIN_TIME_FOR_QUEUE);
        Self {
            hand_over: reply_by.checked_sub(HAND_OVER_BEFORE).unwrap_or(reply_by),
            result_by: instant + left,
            reply_by,
        }
    }

    fn extras(&self) -> Extras {
        Extras {
            until: self
                .hand_over
                .checked_sub(EXTRAS_BEFORE)
                .unwrap_or(self.hand_over),
            lists_earlier_purges: true,
        }
    }
}

impl Invalidator {
    /// Handles a request to the function URL. Its response is never an error of the function, for which Lambda would return
    /// status 502.
    pub(super) async fn handle_function_url(
        &self,
        request: &FunctionUrlRequest,
        invocation: &Invocation,
    ) -> Answer {
        let work = Box::pin(self.respond_to_request(request, invocation));
        match guarded(work, invocation).await {
            Ok(response) => Answer {
                response: response.to_json(),
                failure: None,
            },
            Err(error) => {
                error!(cause = %error.category(), "{error}");
                count_failure(&error, invocation);
                Answer {
                    response: Response::empty(500).to_json(),
                    failure: Some(error),
                }
            }
        }
    }

    async fn respond_to_request(
        &self,
        request: &FunctionUrlRequest,
        invocation: &Invocation,
    ) -> Result<Response, Error> {
        if ["GET", "HEAD"].contains(&request.method.as_str()) {
            return Ok(Response {
                status: 200,
                body: Body::Text(
                    "This is the address of a Slack command. Type the command in Slack.",
                ),
            });
        }
        // Slack does not sign it: <https://github.com/slackapi/bolt-js/issues/1397>.
        if SignedRequest::is_ssl_check(request) {
            return Ok(Response::empty(200));
        }
        let now = self.clock.now().into();
        let times = ReplyTimes::new(request.received, now, invocation.received);
        let signed = match SignedRequest::read(request, now) {
            Ok(signed) => signed,
            Err(refusal) => return Ok(refused(&refusal)),
        };
        let settings = self.slack_settings()?;
        if !self
            .is_signed(settings, &signed, times.reply_by, invocation)
            .await?
        {
            return Ok(refused(&Refusal::Signature));
        }
        // Reading the secret took some of the time; the queue needs its part of it all the same.
        let now = self.clock.now().into();
        let times = ReplyTimes::new(request.received, now, Instant::now());
        let command = match signed.form() {
            Ok(Form::Command(command)) => *command,
            Ok(Form::SslCheck) => return Ok(Response::empty(200)),
            Err(error) => {
                warn!(cause = %error.category(), "signed, but no slash command: {error}");
                let text = "This request is not a slash command that the function understands.";
                return Ok(Reply::ephemeral(text).into());
            }
        };
        let span = person_span(&command);
        let reply = self.reply_to_person(settings, command, times, invocation);
        Ok(reply.instrument(span).await.into())
    }

    /// Runs a command if it is allowed to this person, in this channel and workspace.
    async fn reply_to_person(
        &self,
        settings: &SlackSettings,
        command: SlashCommand,
        times: ReplyTimes,
        invocation: &Invocation,
    ) -> Reply {
        let SlashCommand {
            team,
            enterprise,
            channel,
            user,
            ..
        } = &command;
        let enterprise = enterprise.as_deref();
        if !settings.allowed.allow(team, enterprise, channel, user) {
            info!("the command is not allowed here");
            return reply::not_allowed(&settings.contact);
        }
        info!(text = logged_text(&command.text), "slash command");
        self.reply_in_time(settings, command, times, invocation)
            .await
    }

    /// Runs a command, and puts into the queue what is left when its reply has to leave.
    async fn reply_in_time(
        &self,
        settings: &SlackSettings,
        command: SlashCommand,
        times: ReplyTimes,
        invocation: &Invocation,
    ) -> Reply {
        let support = Support {
            contact: &settings.contact,
            request_id: &invocation.request_id,
        };
        let enqueue = async |purge| {
            let command = command.clone();
            let task = QueuedCommand { command, purge }.into();
            let enqueued = self.enqueue(settings, &task, QUEUE_DELAY, times.reply_by);
            enqueued.await.inspect_err(|error| {
                error!(cause = %error.category(), "{error}");
                count_failure(error, invocation);
            })
        };
        let run = self.run_command(settings, &command, times.extras(), invocation);
        match select(pin!(run), pin!(sleep_until(times.hand_over))).await {
            Either::Left((result, _)) => {
                let Ending { reply, rest } = self.ending(result, support, invocation);
                match rest {
                    None => reply,
                    Some(QueuedRest {
                        purge,
                        reply_if_not_queued,
                    }) => match enqueue(purge).await {
                        Ok(()) => reply,
                        Err(_logged) => reply_if_not_queued,
                    },
                }
            }
            Either::Right(((), run)) => {
                let run = timeout_at(times.result_by, run);
                let (enqueued, result) = join(enqueue(None), run).await;
                let ending = result.map(|result| self.ending(result, support, invocation));
                match (enqueued, ending) {
                    // The queue reports the completion of what was accepted meanwhile.
                    (
                        Ok(()),
                        Ok(Ending {
                            reply,
                            rest: Some(QueuedRest { purge: Some(_), .. }),
                        }),
                    ) => reply,
                    (Ok(()), _) => reply::continues("AWS takes longer than usual."),
                    (Err(_logged), Ok(Ending { reply, rest })) => {
                        rest.map_or(reply, |rest| rest.reply_if_not_queued)
                    }
                    (Err(_logged), Err(_elapsed)) => reply::possibly_not_done(),
                }
            }
        }
    }

    /// Decides what a command is answered with, and what is left of it.
    fn ending(
        &self,
        result: Result<CommandResult, Error>,
        support: Support<'_>,
        invocation: &Invocation,
    ) -> Ending {
        let now = self.clock.now().into();
        let done = |reply| Ending { reply, rest: None };
        let again = |error: &Error, reply_if_not_queued| {
            warn!(cause = %error.category(), "the queue tries again: {error}");
            let reason = support.error_text(error);
            Ending {
                reply: reply::continues(&reason),
                rest: Some(QueuedRest {
                    purge: None,
                    reply_if_not_queued,
                }),
            }
        };
        match result {
            Ok(CommandResult::Done(reply)) => done(reply),
            Ok(CommandResult::Purge(purge)) => {
                let reply_if_not_queued = || match purge.is_accepted {
                    true => purge.accepted(reply::UNREPORTED, now, support),
                    false => purge.refused(support).with_line(reply::SEND_AGAIN),
                };
                if let Some(error) = purge.transient_error() {
                    return again(error, reply_if_not_queued());
                }
                purge.log_errors();
                for (_, error) in &purge.errors {
                    count_failure(error, invocation);
                }
                if !purge.is_accepted {
                    return done(purge.refused(support));
                }
                let created =
                    |distribution: &_, id: &_| self.warm_state.creation_time(distribution, id);
                Ending {
                    reply: purge.accepted(reply::REPORTED_LATER, now, support),
                    rest: Some(QueuedRest {
                        purge: Some(purge.to_submitted(created, support)),
                        reply_if_not_queued: reply_if_not_queued(),
                    }),
                }
            }
            Err(error) => {
                let text = support.error_text(&error);
                let failed = reply::failed(&text);
                if error.is_transient() {
                    return again(&error, failed.with_line(reply::SEND_AGAIN));
                }
                error!(cause = %error.category(), "{error}");
                count_failure(&error, invocation);
                done(failed)
            }
        }
    }

    fn slack_settings(&self) -> Result<&SlackSettings, Error> {
        self.slack.settings.as_ref().map_err(Clone::clone)
    }

    fn sqs(&self) -> &Sqs {
        let new = || Sqs::with_clock(&self.sdk, self.clock.clone());
        self.slack.sqs.get_or_init(new)
    }
}

/// Returns a span with the person, which each line in it has as fields.
fn person_span(command: &SlashCommand) -> Span {
    let SlashCommand {
        team,
        channel,
        user,
        ..
    } = command;
    error_span!("person", %user, %channel, workspace = %team)
}

/// Returns whether the person can correct the error, which the reply describes. All others need the operator.
fn is_mistake(error: &Error) -> bool {
    [Category::InvalidInput, Category::RejectedPath].contains(&error.category())
}

/// Counts an error that needs the operator.
fn count_failure(error: &Error, invocation: &Invocation) {
    if !is_mistake(error) {
        invocation.metrics.count_total(Metric::Errors, 1);
    }
}

/// Returns the start of a text for the log, which a person can make as long as a request.
fn logged_text(text: &str) -> String {
    text.chars().take(MAX_LOGGED_CHARACTERS).collect()
}

/// Refuses a request that is not Slack's. One line in the log has the reason.
fn refused(refusal: &Refusal) -> Response {
    warn!("refused: {refusal}");
    Response::UNAUTHORIZED
}
