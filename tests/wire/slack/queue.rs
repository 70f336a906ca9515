//! The messages of the Slack queue: what is posted, when a message is delivered again, and how it ends.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::bed::{Delivered, SlackBed, command_fields, command_task, logged_without_secrets};
use crate::fixture::{ALWAYS, FIRST, SECOND, invocation, one_minute};
use crate::standin::{Fault, Operation, SlackResponse};

const MINUTE: Duration = Duration::from_secs(60);

/// How long the response URL of a command can be used.
const USABLE: Duration = Duration::from_secs(30 * 60);

/// How many posts a response URL takes.
const MAX_POSTS: usize = 5;

const COST: &str =
    "\nCost: $0.005 for 1 path; free within the first 1,000 of the AWS account in a month.";
const UNAVAILABLE: &str = "AWS did not respond as expected.";
const BUSY: &str = "CloudFront accepts no more requests at the moment.";

/// Returns the message of a purge of `/a` that CloudFront accepts now.
async fn accepted_purge(bed: &SlackBed) -> String {
    bed.reply("/a").await;
    let queued = bed.queued();
    assert_eq!(queued.len(), 1);
    assert!(queued[0].body.contains("\"purge\""), "{}", queued[0].body);
    queued[0].body.clone()
}

fn in_channel(text: &str) -> Value {
    json!({"response_type": "in_channel", "text": text, "replace_original": false})
}

fn ephemeral(text: &str) -> Value {
    json!({"response_type": "ephemeral", "text": text, "replace_original": false})
}

/// Returns the message without the response URL, with a reason.
fn letter(message: &str, reason: &str) -> Value {
    let mut letter: Value = serde_json::from_str(message).expect("JSON");
    let command = letter["slackTask"]["command"].as_object_mut();
    command.expect("a command").remove("responseUrl");
    letter["reason"] = json!(reason);
    letter
}

#[tokio::test]
async fn posts_once_when_all_invalidations_are_completed() {
    for (completes_after, seconds) in [(0, 1), (14, 14), (30, 30)] {
        let bed = SlackBed::frozen(Duration::from_secs(completes_after));
        let body = accepted_purge(&bed).await;
        let delivered = bed.deliver(&mut bed.message(&body)).await;
        assert_eq!(delivered, Delivered::Deleted);
        let text =
            format!("<@U0EXAMPLE> purged `/a` of *blog*: fresh everywhere after {seconds} s.");
        assert_eq!(bed.posts(), [in_channel(&text)]);
        assert_eq!(bed.fixture.calls(Operation::CreateInvalidation), 1);
        assert_eq!(bed.dead_letters(), []);
        assert_eq!(logged_without_secrets("WARN"), [""; 0]);
    }
}

#[tokio::test]
async fn a_message_is_delivered_again_until_the_invalidation_is_completed() {
    let bed = SlackBed::frozen(5 * MINUTE);
    let body = accepted_purge(&bed).await;
    let mut message = bed.message(&body);
    for _ in 0..2 {
        assert_eq!(bed.deliver(&mut message).await, Delivered::VisibleIn(15));
        assert_eq!(bed.posts(), [] as [Value; 0]);
    }
    assert_eq!(
        logged_without_secrets("INFO")
            .iter()
            .filter(|line| *line == "not completed yet")
            .count(),
        2
    );
    assert!(bed.deliver_until(&mut message, USABLE).await);
    let posts = bed.posts();
    assert_eq!(posts.len(), 1);
    let text = posts[0]["text"].as_str().expect("a text");
    assert!(
        text.starts_with("<@U0EXAMPLE> purged `/a` of *blog*: fresh everywhere within 6 min."),
        "{text}"
    );
    // No message is sent by the worker.
    assert_eq!(bed.queued().len(), 1);
    assert_eq!(bed.fixture.calls(Operation::CreateInvalidation), 1);
}

#[tokio::test]
async fn only_the_person_sees_the_result_if_the_settings_require_it() {
    let bed = SlackBed::frozen(Duration::ZERO).set("SLACK_SHOW_IN_CHANNEL", "false");
    let body = accepted_purge(&bed).await;
    bed.deliver(&mut bed.message(&body)).await;
    let text = "Purged `/a` of *blog*: fresh everywhere after 1 s.";
    assert_eq!(bed.posts(), [ephemeral(text)]);
}

#[tokio::test]
async fn runs_a_whole_command_and_posts_its_result() {
    for (text, expected) in [
        (
            "/a",
            in_channel(&format!(
                "<@U0EXAMPLE> purged `/a` of *blog*: fresh everywhere after 1 s.{COST}"
            )),
        ),
        (
            "all",
            in_channel(&format!(
                "<@U0EXAMPLE> purged everything of *blog*: fresh everywhere after 1 s.{COST}"
            )),
        ),
        ("status", ephemeral("No purge was found.")),
        (
            "usage",
            ephemeral(
                "Paths in 2026-01 so far:\n• *blog*: 0 paths in 0 purges\nThe first 1,000 paths of a month are free for all \
                 distributions of the AWS account together, so other sites possibly use some of them. Each further path \
                 costs $0.005.",
            ),
        ),
        (
            "blgo /a",
            ephemeral(
                "`blgo` is neither a path nor a site that can be purged from Slack. The nearest match is `blog`. As a path, \
                 it would be `/blgo`. Nothing was purged. `/cdn-purge help` lists what you can type.",
            ),
        ),
    ] {
        let bed = SlackBed::frozen(Duration::ZERO);
        let delivered = bed.deliver(&mut bed.message(&command_task(text))).await;
        assert_eq!(delivered, Delivered::Deleted, "{text}");
        assert_eq!(bed.posts(), [expected], "{text}");
        assert_eq!(bed.dead_letters(), [], "{text}");
        logged_without_secrets("WARN");
    }
    let bed = SlackBed::frozen(Duration::ZERO);
    bed.deliver(&mut bed.message(&command_task("verify /a")))
        .await;
    let posts = bed.posts();
    assert_eq!(posts.len(), 1);
    let text = posts[0]["text"].as_str().expect("a text");
    assert!(text.contains("/a`: *"), "{text}");
}

fn two_sites() -> SlackBed {
    let sites = format!("{FIRST},{SECOND}");
    SlackBed::frozen(Duration::ZERO)
        .set("SLACK_DISTRIBUTIONS", &sites)
        .set("SLACK_SITE_NAMES", "blog,shop")
}

#[tokio::test]
async fn a_site_that_fails_for_good_is_in_the_post_and_in_a_dead_letter() {
    let bed = two_sites();
    (bed.fixture.standin).fail_for(
        SECOND,
        Operation::CreateInvalidation,
        Fault::AccessDenied,
        ALWAYS,
    );
    let body = command_task("/a");
    assert_eq!(
        bed.deliver(&mut bed.message(&body)).await,
        Delivered::Deleted
    );
    let posts = bed.posts();
    let request = posts[0]["text"].as_str().expect("a text");
    let request = request.rsplit('`').nth(1).expect("a request id");
    let text = format!(
        "<@U0EXAMPLE> purged `/a` of *blog*: fresh everywhere after 1 s.{COST}\n*shop* was not purged. The function lacks a permission in AWS. Ask #web-team, who \
         finds the details in the log under `{request}`."
    );
    assert_eq!(posts, [in_channel(&text)]);
    let reason = bed.dead_letter()["reason"].clone();
    let reason = reason.as_str().expect("a reason");
    assert!(
        reason.starts_with("not allowed to call cloudfront:CreateInvalidation on "),
        "{reason}"
    );
    assert_eq!(bed.dead_letter(), letter(&body, reason));
    logged_without_secrets("ERROR");
}

#[tokio::test]
async fn a_site_that_fails_for_the_moment_is_purged_later_and_the_other_once() {
    let bed = two_sites();
    (bed.fixture.standin).fail_for(
        SECOND,
        Operation::CreateInvalidation,
        Fault::TooManyInvalidationsInProgress,
        ALWAYS,
    );
    let mut message = bed.message(&command_task("/a"));
    assert_eq!(bed.deliver(&mut message).await, Delivered::VisibleIn(15));
    assert_eq!(bed.posts(), [] as [Value; 0]);
    bed.fixture.standin.recover();
    bed.fixture.standin.advance(Duration::from_secs(15));
    assert_eq!(bed.deliver(&mut message).await, Delivered::Deleted);
    let text = "<@U0EXAMPLE> purged `/a` of *blog* and *shop*: fresh everywhere after 15 s.\nCost: $0.01 for 2 paths; free within the \
         first 1,000 of the AWS account in a month.";
    assert_eq!(bed.posts(), [in_channel(text)]);
    let accepted = bed.fixture.standin.accepted();
    let mut distributions: Vec<_> = accepted.iter().map(|one| &*one.distribution).collect();
    distributions.sort_unstable();
    assert_eq!(distributions, [FIRST, SECOND]);
    assert_eq!(bed.dead_letters(), []);
}

#[tokio::test]
async fn the_pause_after_a_failure_doubles_up_to_four_minutes() {
    let bed = SlackBed::frozen(Duration::ZERO);
    let mut pauses = Vec::new();
    for received in [0, 1, 2, 3, 4, 5, 98] {
        (bed.fixture.standin).fail(Operation::CreateInvalidation, Fault::Throttling, ALWAYS);
        let mut message = bed.message(&command_task("/a"));
        message.received = received;
        pauses.push(bed.deliver(&mut message).await);
        bed.fixture.standin.recover();
    }
    let expected = [15, 30, 60, 120, 240, 240, 240];
    assert_eq!(pauses, expected.map(Delivered::VisibleIn));
    assert_eq!(bed.posts(), [] as [Value; 0]);
}

#[tokio::test]
async fn the_last_attempt_posts_what_is_known() {
    // CloudFront accepted it, and has not completed it.
    let bed = SlackBed::frozen(10 * USABLE);
    let body = accepted_purge(&bed).await;
    let mut message = bed.message_of_age(&body, 23 * MINUTE);
    assert_eq!(bed.deliver(&mut message).await, Delivered::Deleted);
    let text = "<@U0EXAMPLE> purged `/a` of *blog*: not confirmed as complete (0 of 1). CloudFront completes what it \
                accepted; `status` shows it.";
    assert_eq!(bed.posts(), [in_channel(text)]);
    assert_eq!(bed.dead_letters(), []);
    // CloudFront did not accept it.
    for (fault, reason) in [
        (
            Fault::TooManyInvalidationsInProgress,
            format!("Not purged: `/a` of *blog*.\n{BUSY}"),
        ),
        (
            Fault::InternalError,
            format!("Possibly not purged: `/a` of *blog*.\n{UNAVAILABLE}"),
        ),
    ] {
        let bed = SlackBed::frozen(Duration::ZERO);
        (bed.fixture.standin).fail(Operation::CreateInvalidation, fault, ALWAYS);
        let body = command_task("/a");
        let mut message = bed.message_of_age(&body, 23 * MINUTE);
        assert_eq!(bed.deliver(&mut message).await, Delivered::Deleted);
        assert_eq!(bed.posts(), [ephemeral(&reason)]);
        let found = bed.dead_letter();
        let reason = found["reason"].as_str().expect("a reason");
        assert!(reason.contains(&format!("{fault:?}")), "{reason}");
        assert_eq!(found, letter(&body, reason));
        logged_without_secrets("ERROR");
    }
    // It does not respond to a command that changes nothing.
    let bed = SlackBed::frozen(Duration::ZERO);
    (bed.fixture.standin).fail(Operation::ListInvalidations, Fault::InternalError, ALWAYS);
    let mut message = bed.message_of_age(&command_task("status"), 23 * MINUTE);
    assert_eq!(bed.deliver(&mut message).await, Delivered::Deleted);
    let text = format!("Not done. {UNAVAILABLE}");
    assert_eq!(bed.posts(), [ephemeral(&text)]);
    assert_eq!(bed.dead_letters(), []);
    // A moment earlier, there is another attempt.
    let bed = SlackBed::frozen(Duration::ZERO);
    (bed.fixture.standin).fail(Operation::CreateInvalidation, Fault::Throttling, ALWAYS);
    let mut message = bed.message_of_age(&command_task("/a"), 23 * MINUTE - Duration::from_secs(1));
    assert_eq!(bed.deliver(&mut message).await, Delivered::VisibleIn(15));
}

#[tokio::test]
async fn a_purge_that_is_too_old_is_a_dead_letter_and_is_not_run() {
    let age = USABLE + Duration::from_secs(1);
    for (text, is_purge) in [("/a", true), ("all", true), ("", true), ("#news", true)] {
        let bed = SlackBed::frozen(Duration::ZERO).set("SLACK_DEFAULT", "all");
        let body = command_task(text);
        let mut message = bed.message_of_age(&body, age);
        assert_eq!(bed.deliver(&mut message).await, Delivered::Deleted);
        assert_eq!(is_purge, !bed.dead_letters().is_empty(), "{text}");
        let reason = "the slash command is more than 30 minutes old, and CloudFront has possibly not accepted all of its invalidations; \
                      send it again if it is still needed";
        assert_eq!(bed.dead_letter(), letter(&body, reason));
        assert_eq!(bed.posts(), [] as [Value; 0]);
        assert_eq!(bed.fixture.standin.calls(), [Operation::SendMessage]);
        assert_eq!(
            logged_without_secrets("ERROR"),
            [format!("moved to the dead-letter queue: {reason}")]
        );
    }
}

#[tokio::test]
async fn another_message_that_is_too_old_is_dropped_with_a_line_in_the_log() {
    let age = USABLE + MINUTE;
    let bed = SlackBed::frozen(10 * USABLE);
    let accepted = accepted_purge(&bed).await;
    bed.fixture.standin.reset();
    for body in [
        accepted,
        command_task(""),
        command_task("status"),
        command_task("usage"),
        command_task("verify /a"),
        command_task("foo"),
        json!({"slackTask": {"announcement": "a"}}).to_string(),
    ] {
        logged_without_secrets("INFO");
        let mut message = bed.message_of_age(&body, age);
        assert_eq!(bed.deliver(&mut message).await, Delivered::Deleted);
        assert_eq!(
            logged_without_secrets("INFO"),
            ["dropped: the message is 31 minutes old"],
            "{body}"
        );
        assert_eq!(bed.fixture.standin.calls(), [], "{body}");
    }
}

#[tokio::test]
async fn posts_again_only_what_slack_can_accept_later() {
    for (response, expected) in [
        (SlackResponse::new(200, "ok"), 1),
        (SlackResponse::new(500, "rollup_error"), 2),
        (SlackResponse::new(503, ""), 2),
        (
            SlackResponse::new(429, "").with_header("retry-after", "1"),
            2,
        ),
        (SlackResponse::new(408, ""), 2),
        (SlackResponse::new(404, "expired_url"), 1),
        (SlackResponse::new(404, "used_url"), 1),
        (SlackResponse::new(410, "channel_is_archived"), 1),
        (SlackResponse::new(403, "action_prohibited"), 1),
        (SlackResponse::new(400, "invalid_payload"), 1),
    ] {
        let bed = SlackBed::frozen(Duration::ZERO);
        bed.fixture.standin.respond_as_slack(response.clone());
        logged_without_secrets("WARN");
        let delivered = bed.deliver(&mut bed.message(&command_task("/a"))).await;
        assert_eq!(delivered, Delivered::Deleted);
        assert_eq!(bed.posts().len(), expected, "{response:?}");
        let posted = response.status == 200 || expected == 2;
        let lines = logged_without_secrets("WARN");
        let not_posted = format!(
            "the result was not posted: Slack rejected the message: HTTP status {}: {}",
            response.status, response.text
        );
        assert_eq!(lines, if posted { vec![] } else { vec![not_posted] });
    }
    for fault in [Fault::Reset, Fault::LostResponse] {
        let bed = SlackBed::frozen(Duration::ZERO);
        bed.fixture.standin.fail(Operation::PostToSlack, fault, 1);
        bed.deliver(&mut bed.message(&command_task("/a"))).await;
        assert_eq!(bed.posts().len(), 2, "{fault:?}");
        logged_without_secrets("WARN");
    }
}

#[tokio::test]
async fn a_result_that_slack_never_accepts_is_in_the_log_and_its_message_is_deleted() {
    let bed = SlackBed::frozen(Duration::ZERO);
    (bed.fixture.standin).fail(Operation::PostToSlack, Fault::Reset, ALWAYS);
    logged_without_secrets("WARN");
    let delivered = bed.deliver(&mut bed.message(&command_task("/a"))).await;
    assert_eq!(delivered, Delivered::Deleted);
    assert_eq!(bed.posts().len(), 2);
    let [line] = logged_without_secrets("WARN").try_into().expect("a line");
    assert!(
        line.starts_with("the result was not posted: could not post to Slack: "),
        "{line}"
    );
}

#[tokio::test]
async fn whatever_fails_the_response_url_gets_at_most_five_posts() {
    let failures: [&[(Operation, Fault)]; 8] = [
        &[(Operation::PostToSlack, Fault::Reset)],
        &[(Operation::PostToSlack, Fault::LostResponse)],
        &[(Operation::CreateInvalidation, Fault::Throttling)],
        &[(Operation::CreateInvalidation, Fault::AccessDenied)],
        &[
            (Operation::CreateInvalidation, Fault::AccessDenied),
            (Operation::SendMessage, Fault::AccessDenied),
        ],
        &[
            (Operation::CreateInvalidation, Fault::InternalError),
            (Operation::SendMessage, Fault::InternalFailure),
            (Operation::PostToSlack, Fault::Reset),
        ],
        &[
            (Operation::CreateInvalidation, Fault::AccessDenied),
            (Operation::ChangeMessageVisibility, Fault::AccessDenied),
            (Operation::PostToSlack, Fault::Reset),
        ],
        &[
            (Operation::GetInvalidation, Fault::AccessDenied),
            (Operation::ChangeMessageVisibility, Fault::InternalFailure),
            (Operation::PostToSlack, Fault::LostResponse),
        ],
    ];
    for failing in failures {
        for text in ["/a", "status", "usage"] {
            let bed = two_sites();
            for (operation, fault) in failing {
                (bed.fixture.standin).fail_at_random(*operation, *fault, 100, 1);
            }
            let body = command_task(text);
            let mut message = bed.message(&body);
            let deleted = bed.deliver_until(&mut message, 2 * USABLE).await;
            let posts = bed.posts().len();
            assert!(posts <= MAX_POSTS, "{posts} posts: {failing:?} {text}");
            // A purge that CloudFront does not have is in one of the queues.
            let is_accepted = bed.fixture.standin.accepted().len() == 2;
            let is_kept = !deleted || !bed.dead_letters().is_empty();
            assert!(
                text != "/a" || is_accepted || is_kept,
                "{failing:?}: {deleted}"
            );
            for letter in bed.dead_letters() {
                assert!(!letter.body.contains("hush"), "{}", letter.body);
            }
            logged_without_secrets("WARN");
        }
    }
}

#[tokio::test]
async fn a_message_that_sqs_delivers_twice_purges_once() {
    let bed = SlackBed::frozen(Duration::ZERO);
    for _ in 0..2 {
        bed.deliver(&mut bed.message(&command_task("/a"))).await;
    }
    assert_eq!(bed.fixture.standin.accepted().len(), 1);
    assert_eq!(bed.posts().len(), 2);
}

#[tokio::test]
async fn a_task_that_cannot_be_read_is_a_dead_letter_without_the_response_url() {
    let unreadable = "the message is not a Slack task that this version can read";
    let mut incomplete = command_fields("/a");
    incomplete.as_object_mut().expect("fields").remove("text");
    for task in [
        json!({"later": command_fields("/a")}),
        json!({"command": incomplete}),
        json!({"command": [command_fields("/a")]}),
        json!("command"),
        Value::Null,
    ] {
        let bed = SlackBed::frozen(Duration::ZERO);
        let body = json!({"slackTask": task}).to_string();
        // Its age does not matter.
        let mut message = bed.message_of_age(&body, 48 * 60 * MINUTE);
        logged_without_secrets("ERROR");
        assert_eq!(bed.deliver(&mut message).await, Delivered::Deleted);
        let text = body.replace(
            "\"responseUrl\":\"https://hooks.slack.com/commands/T0EXAMPLE/1/hush\",",
            "",
        );
        let mut expected: Value = serde_json::from_str(&text).expect("JSON");
        expected["reason"] = json!(unreadable);
        assert_eq!(bed.dead_letter(), expected);
        assert_eq!(bed.posts(), [] as [Value; 0]);
        assert_eq!(
            logged_without_secrets("ERROR"),
            [format!("moved to the dead-letter queue: {unreadable}")]
        );
    }
}

#[tokio::test]
async fn a_field_of_a_later_version_is_ignored() {
    let bed = SlackBed::frozen(Duration::ZERO);
    let mut command = command_fields("/a");
    command["later"] = json!({"a": 1});
    let body = json!({"slackTask": {"command": command}, "later": 1}).to_string();
    let delivered = bed.deliver(&mut bed.message(&body)).await;
    assert_eq!(delivered, Delivered::Deleted);
    assert_eq!(bed.posts().len(), 1);
    assert_eq!(bed.dead_letters(), []);
}

#[tokio::test]
async fn a_body_that_is_not_a_task_stays_in_the_queue() {
    for body in ["{", "[]", "{}", "text", "{\"task\": {}}"] {
        let bed = SlackBed::frozen(Duration::ZERO);
        let event = bed.delivery(body, Duration::ZERO, 1);
        let response = bed.invalidator().handle(&event, &one_minute()).await;
        let id = &event["Records"][0]["messageId"];
        let expected = json!({"batchItemFailures": [{"itemIdentifier": id}]});
        assert_eq!(response, Ok(expected), "{body}");
        assert_eq!(bed.fixture.standin.calls(), [], "{body}");
    }
}

#[tokio::test]
async fn nothing_is_lost_without_a_dead_letter_queue() {
    let bed = SlackBed::frozen(Duration::ZERO).unset("SLACK_DEAD_LETTER_QUEUE_URL");
    let mut message = bed.message_of_age(&command_task("/a"), USABLE + MINUTE);
    logged_without_secrets("WARN");
    assert_eq!(bed.deliver(&mut message).await, Delivered::VisibleIn(15));
    assert_eq!(
        logged_without_secrets("WARN"),
        [
            "will be handled again in 15 s: not moved to the dead-letter queue: setting SLACK_DEAD_LETTER_QUEUE_URL is not set"
        ]
    );
    // A purge that fails for good is posted once, when its dead letter is sent.
    let bed = SlackBed::frozen(Duration::ZERO);
    (bed.fixture.standin).fail(Operation::CreateInvalidation, Fault::AccessDenied, 2);
    (bed.fixture.standin).fail(Operation::SendMessage, Fault::AccessDenied, 1);
    let mut message = bed.message(&command_task("/a"));
    assert_eq!(bed.deliver(&mut message).await, Delivered::VisibleIn(15));
    assert_eq!(bed.posts(), [] as [Value; 0]);
    assert_eq!(bed.deliver(&mut message).await, Delivered::Deleted);
    assert_eq!(bed.posts().len(), 1);
    assert_eq!(bed.dead_letters().len(), 1);
}

#[tokio::test]
async fn a_message_is_visible_after_its_own_time_without_the_url_of_its_queue() {
    let bed = SlackBed::frozen(5 * MINUTE);
    let body = accepted_purge(&bed).await;
    let bed = bed.unset("SLACK_QUEUE_URL");
    let mut message = bed.message(&body);
    assert_eq!(bed.deliver(&mut message).await, Delivered::VisibleIn(120));
    assert_eq!(bed.fixture.standin.visibility_changes(), []);
}

#[tokio::test]
async fn a_wrong_setting_fails_the_batch_and_loses_nothing() {
    let bed = SlackBed::start().set("SLACK_DEFAULT", "everything");
    let event = bed.delivery(&command_task("/a"), Duration::ZERO, 1);
    let error = bed.invalidator().handle(&event, &one_minute()).await;
    assert_eq!(
        error.expect_err("an error").to_string(),
        "setting SLACK_DEFAULT: \"everything\" is not plan or all"
    );
    assert_eq!(bed.fixture.standin.calls(), []);
    logged_without_secrets("ERROR");
}

#[tokio::test]
async fn a_command_without_a_site_is_answered_with_the_setting() {
    let bed = SlackBed::frozen(Duration::ZERO)
        .unset("SLACK_DISTRIBUTIONS")
        .unset("SLACK_SITE_NAMES");
    bed.deliver(&mut bed.message(&command_task("/a"))).await;
    let text = "No site can be purged from Slack yet. Ask #web-team to set the stack parameter `SlackDistributions`.";
    assert_eq!(bed.posts(), [ephemeral(text)]);
}

#[tokio::test]
async fn a_command_without_a_response_url_is_run() {
    let bed = SlackBed::frozen(Duration::ZERO);
    let mut command = command_fields("/a");
    command["responseUrl"] = Value::Null;
    let body = json!({"slackTask": {"command": command}}).to_string();
    let delivered = bed.deliver(&mut bed.message(&body)).await;
    assert_eq!(delivered, Delivered::Deleted);
    assert_eq!(bed.fixture.standin.accepted().len(), 1);
    assert_eq!(bed.posts(), [] as [Value; 0]);
}

#[tokio::test]
async fn a_command_that_takes_all_its_time_leaves_enough_to_post_its_result() {
    let bed = SlackBed::frozen(Duration::ZERO);
    (bed.fixture.standin).fail(Operation::ListInvalidations, Fault::Hang, ALWAYS);
    let event = bed.delivery(&command_task("usage"), Duration::ZERO, 1);
    let invocation = invocation(Duration::from_secs(18));
    let started = Instant::now();
    let response = bed
        .invalidator_with_pauses()
        .handle(&event, &invocation)
        .await;
    assert_eq!(response, Ok(json!({"batchItemFailures": []})));
    let posts = bed.posts();
    assert_eq!(posts.len(), 1);
    let text = posts[0]["text"].as_str().expect("a text");
    assert!(
        text.contains("its purges could not be read. AWS did not respond"),
        "{text}"
    );
    let time = started.elapsed();
    assert!(time < Duration::from_secs(10), "{time:?}");
}

#[tokio::test]
async fn a_post_without_a_response_is_not_repeated_when_the_time_is_over() {
    // The message would be delivered again, and posted again each time.
    let bed = SlackBed::frozen(Duration::ZERO);
    (bed.fixture.standin).fail(Operation::PostToSlack, Fault::Hang, ALWAYS);
    let event = bed.delivery(&command_task("help"), Duration::ZERO, 1);
    let invocation = invocation(Duration::from_secs(5));
    logged_without_secrets("WARN");
    let response = bed
        .invalidator_with_pauses()
        .handle(&event, &invocation)
        .await;
    assert_eq!(response, Ok(json!({"batchItemFailures": []})));
    assert_eq!(bed.posts().len(), 1);
    assert_eq!(
        logged_without_secrets("WARN"),
        ["the result was not posted: could not post to Slack: no response in time"]
    );
}

#[tokio::test]
async fn a_second_post_waits_as_long_as_slack_requires() {
    for (retry_after, pause) in [("0", 1), ("3", 3), ("60", 5), ("soon", 1)] {
        let bed = SlackBed::frozen(Duration::ZERO);
        let busy = SlackResponse::new(429, "").with_header("retry-after", retry_after);
        bed.fixture.standin.respond_as_slack(busy);
        let before = bed.fixture.standin.now();
        bed.deliver(&mut bed.message(&command_task("help"))).await;
        let paused = bed.fixture.standin.now().duration_since(before);
        assert_eq!(
            paused.ok(),
            Some(Duration::from_secs(pause)),
            "{retry_after}"
        );
        assert_eq!(bed.posts().len(), 2);
    }
}
