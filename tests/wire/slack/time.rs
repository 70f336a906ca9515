//! A reply leaves within Slack's three seconds, whatever AWS does, and what it leaves undone is in the queue.
//!
//! Sockets need real time here. The bounds are Slack's own, not how fast the function is.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::bed::{SlackBed, command_fields, logged_without_secrets, millis, reply_of};
use crate::fixture::{ALWAYS, FIRST, Fixture, one_minute};
use crate::standin::{Fault, Operation, Options};

/// How long Slack waits for a reply.
const SLACK_WAITS: Duration = Duration::from_secs(3);

/// The operations of CloudFront that a command can call.
const CLOUDFRONT: [Operation; 7] = [
    Operation::CreateInvalidation,
    Operation::GetInvalidation,
    Operation::ListInvalidations,
    Operation::ListDistributions,
    Operation::GetDistribution,
    Operation::GetDistributionConfig,
    Operation::GetContinuousDeploymentPolicyConfig,
];

const SLOW: &str = "AWS takes longer than usual. The command continues, for up to 30 minutes; the result is posted here.";
const BUSY: &str = "CloudFront accepts no more requests at the moment. The command continues, for up to 30 minutes; the \
                    result is posted here.";
const FAILING: &str = "AWS did not respond as expected. The command continues, for up to 30 minutes; the result is posted \
                       here.";
const UNKNOWN: &str = "AWS did not respond in time, so it is unknown whether the command had an effect. Send the command again \
                       in a few minutes.";
const COST: &str =
    "Cost: $0.005 for 1 path; free within the first 1,000 of the AWS account in a month.";

fn purging(what_follows: &str) -> String {
    format!("Purging `/a` of *blog*. {what_follows}\n{COST}")
}

fn reported_later() -> String {
    purging("A message follows when it is fresh everywhere.")
}

fn unreported() -> String {
    purging(
        "No message follows when it is fresh, because the queue of the function does not respond; `status` shows it.",
    )
}

/// Starts a function at the real time. CloudFront completes an invalidation at once.
fn bed() -> SlackBed {
    SlackBed::with(Fixture::with(Options {
        completes_after: Duration::ZERO,
        ..Options::default()
    }))
}

/// Sends a request to a new function, whose start used up this much of Slack's time. Returns the response, and how long after
/// its request it left.
async fn respond(bed: &SlackBed, text: &str, used: Duration) -> (Value, Duration) {
    let mut event = bed.request(text).event();
    let received = millis(bed.fixture.standin.now() - used);
    event["requestContext"]["timeEpoch"] = json!(received);
    let invalidator = bed.invalidator_with_pauses();
    let started = Instant::now();
    let response = invalidator.handle(&event, &one_minute()).await;
    (response.expect("a response"), used + started.elapsed())
}

/// Sends `/a` to a new function. Returns the text of the reply, which leaves in time.
async fn text_in_time(bed: &SlackBed) -> String {
    let (response, time) = respond(bed, "/a", Duration::ZERO).await;
    assert!(time < SLACK_WAITS, "{time:?}");
    text_of(&response)
}

/// Returns the text of a reply that only the person sees.
fn text_of(response: &Value) -> String {
    assert_eq!(response["statusCode"], 200, "{response}");
    let reply = reply_of(response);
    let text = reply["text"].as_str().expect("a text");
    assert_eq!(reply, json!({"response_type": "ephemeral", "text": text}));
    text.to_owned()
}

/// Returns the only message of the queue.
fn only_queued(bed: &SlackBed) -> (Value, u64, String) {
    let queued = bed.queued();
    let [message] = queued.as_slice() else {
        panic!("not one message but {queued:?}");
    };
    let body = serde_json::from_str(&message.body).expect("JSON");
    (body, message.delay_seconds, message.body.clone())
}

/// Checks that the queue has the whole command, and delivers it when AWS responds again: there is one invalidation in the end,
/// and one post. Nothing in between has a URL of Slack.
async fn continues_from_the_queue(bed: &SlackBed) {
    let (queued, delay, body) = only_queued(bed);
    let expected = json!({"slackTask": {"command": command_fields("/a")}});
    assert_eq!((queued, delay), (expected, 5));
    bed.fixture.standin.recover();
    completes_from_the_queue(bed, &body).await;
}

async fn completes_from_the_queue(bed: &SlackBed, body: &str) {
    let event = bed.delivery(body, Duration::from_secs(5), 1);
    let worker = bed.invalidator_with_pauses();
    let response = worker.handle(&event, &one_minute()).await;
    assert_eq!(response, Ok(json!({"batchItemFailures": []})));
    let accepted = bed.fixture.standin.accepted();
    let accepted: Vec<_> = accepted
        .iter()
        .map(|accepted| (accepted.distribution.as_str(), accepted.paths.as_slice()))
        .collect();
    assert_eq!(accepted, [(FIRST, ["/a".to_owned()].as_slice())]);
    let mut references: Vec<_> = bed
        .fixture
        .standin
        .invalidations()
        .into_iter()
        .map(|received| received.reference)
        .collect();
    references.dedup();
    assert_eq!(references.len(), 1, "{references:?}");
    let posts = bed.posts();
    let [post] = posts.as_slice() else {
        panic!("not one post but {posts:?}");
    };
    let text = post["text"].as_str().expect("a text");
    assert!(
        text.starts_with("<@U0EXAMPLE> purged `/a` of *blog*: fresh everywhere after "),
        "{text}"
    );
    logged_without_secrets("ERROR");
}

#[tokio::test]
async fn a_command_is_in_the_queue_if_cloudfront_does_not_respond() {
    let bed = bed();
    (bed.fixture.standin).fail(Operation::CreateInvalidation, Fault::Hang, ALWAYS);
    assert_eq!(text_in_time(&bed).await, SLOW);
    assert_eq!(bed.fixture.standin.accepted(), []);
    continues_from_the_queue(&bed).await;
}

#[tokio::test]
async fn a_command_whose_invalidation_exists_already_creates_no_second_one_from_the_queue() {
    // CloudFront creates the invalidation, and its response comes too late.
    let bed = bed();
    (bed.fixture.standin).delay(Operation::CreateInvalidation, Duration::from_secs(10));
    assert_eq!(text_in_time(&bed).await, SLOW);
    assert_eq!(bed.fixture.standin.accepted().len(), 1);
    continues_from_the_queue(&bed).await;
}

#[tokio::test]
async fn a_command_is_in_the_queue_if_each_call_of_cloudfront_takes_two_seconds() {
    let bed = bed();
    for operation in CLOUDFRONT {
        (bed.fixture.standin).delay(operation, Duration::from_millis(2_000));
    }
    // The response arrives shortly after the command is put into the queue, or too late.
    let text = text_in_time(&bed).await;
    assert!([SLOW, &reported_later()].contains(&&*text), "{text}");
    continues_from_the_queue(&bed).await;
}

#[tokio::test]
async fn each_command_is_in_the_queue_if_what_it_reads_does_not_arrive() {
    for (text, operation) in [
        ("status", Operation::ListInvalidations),
        ("usage", Operation::ListInvalidations),
        ("www.example.org /a", Operation::GetDistribution),
    ] {
        let bed = bed();
        (bed.fixture.standin).fail(operation, Fault::Hang, ALWAYS);
        let (response, time) = respond(&bed, text, Duration::ZERO).await;
        assert!(time < SLACK_WAITS, "{text} {time:?}");
        assert_eq!(text_of(&response), SLOW, "{text}");
        let (queued, delay, _) = only_queued(&bed);
        let expected = json!({"slackTask": {"command": command_fields(text)}});
        assert_eq!((queued, delay), (expected, 5), "{text}");
    }
}

#[tokio::test]
async fn a_command_that_cloudfront_refuses_for_the_moment_is_in_the_queue() {
    for (fault, expected) in [
        (Fault::Throttling, BUSY),
        (Fault::TooManyInvalidationsInProgress, BUSY),
        (Fault::InternalError, FAILING),
        (Fault::ServiceUnavailable, BUSY),
        (Fault::Reset, FAILING),
        (Fault::LostResponse, FAILING),
    ] {
        let bed = bed();
        (bed.fixture.standin).fail(Operation::CreateInvalidation, fault, ALWAYS);
        assert_eq!(text_in_time(&bed).await, expected, "{fault:?}");
        continues_from_the_queue(&bed).await;
    }
}

#[tokio::test]
async fn an_accepted_purge_is_in_the_queue_with_its_invalidation() {
    let bed = bed();
    assert_eq!(text_in_time(&bed).await, reported_later());
    let created = bed.fixture.standin.accepted()[0].created;
    let (queued, delay, body) = only_queued(&bed);
    let mut command = command_fields("/a");
    command["purge"] = json!({
        "subject": "`/a` of *blog*",
        "invalidations": [{"distribution": FIRST, "id": bed.fixture.first_id(), "created": millis(created)}],
    });
    assert_eq!(
        (queued, delay),
        (json!({"slackTask": {"command": command}}), 5)
    );
    completes_from_the_queue(&bed, &body).await;
    assert_eq!(bed.fixture.calls(Operation::CreateInvalidation), 1);
}

#[tokio::test]
async fn the_reply_leaves_in_time_if_the_secret_is_read_slowly() {
    let bed = bed();
    (bed.fixture.standin).delay(Operation::GetSecretValue, Duration::from_secs(1));
    assert_eq!(text_in_time(&bed).await, reported_later());
    // Without the secret, nobody knows who sent the request.
    let bed = self::bed();
    (bed.fixture.standin).fail(Operation::GetSecretValue, Fault::Hang, ALWAYS);
    let (response, time) = respond(&bed, "/a", Duration::ZERO).await;
    assert!(time < SLACK_WAITS, "{time:?}");
    assert_eq!(response, json!({"statusCode": 500}));
    assert_eq!(bed.fixture.standin.invalidations(), []);
    assert_eq!(
        logged_without_secrets("ERROR"),
        ["could not read secret slack: no response in time; try again"]
    );
}

#[tokio::test]
async fn the_reply_names_the_missing_post_if_the_queue_does_not_accept_it() {
    let hangs =
        |bed: &SlackBed| (bed.fixture.standin).fail(Operation::SendMessage, Fault::Hang, ALWAYS);
    let bed = bed();
    hangs(&bed);
    assert_eq!(text_in_time(&bed).await, unreported());
    assert_eq!(
        logged_without_secrets("ERROR"),
        ["could not send a message to queue slack: no response in time; try again"]
    );
    let bed = self::bed();
    (bed.fixture.standin).fail(Operation::SendMessage, Fault::AccessDenied, ALWAYS);
    assert_eq!(text_in_time(&bed).await, unreported());
    let [denied] = logged_without_secrets("ERROR").try_into().expect("a line");
    assert!(
        denied.starts_with("not allowed to call sqs:SendMessage on arn:aws:sqs:"),
        "{denied}"
    );
    let bed = self::bed().unset("SLACK_QUEUE_URL");
    assert_eq!(text_in_time(&bed).await, unreported());
    assert_eq!(
        logged_without_secrets("ERROR"),
        ["setting SLACK_QUEUE_URL is not set"]
    );
    assert_eq!(bed.fixture.standin.accepted().len(), 1);
    // A queue that is only slow gets the message.
    let bed = self::bed();
    (bed.fixture.standin).delay(Operation::SendMessage, Duration::from_millis(500));
    assert_eq!(text_in_time(&bed).await, reported_later());
    let (_, _, body) = only_queued(&bed);
    completes_from_the_queue(&bed, &body).await;
}

#[tokio::test]
async fn the_reply_leaves_in_time_if_neither_cloudfront_nor_the_queue_responds() {
    let bed = bed();
    for operation in [Operation::CreateInvalidation, Operation::SendMessage] {
        (bed.fixture.standin).fail(operation, Fault::Hang, ALWAYS);
    }
    assert_eq!(text_in_time(&bed).await, UNKNOWN);
    // CloudFront refuses, and the queue does, too.
    let bed = self::bed();
    (bed.fixture.standin).fail(Operation::CreateInvalidation, Fault::Throttling, ALWAYS);
    (bed.fixture.standin).fail(Operation::SendMessage, Fault::AccessDenied, ALWAYS);
    let expected = "Not purged: `/a` of *blog*.\nCloudFront accepts no more requests at the moment.\nSend the command again in a few minutes.";
    assert_eq!(text_in_time(&bed).await, expected);
    assert_eq!(bed.fixture.standin.accepted(), []);
}

#[tokio::test]
async fn a_start_that_used_up_the_time_leaves_the_command_to_the_queue() {
    const USED: Duration = Duration::from_millis(2_400);
    let mut times = Vec::new();
    // The best of several, because a busy machine delays some.
    for _ in 0..5 {
        let bed = bed();
        (bed.fixture.standin).fail(Operation::CreateInvalidation, Fault::Hang, ALWAYS);
        let (response, time) = respond(&bed, "/a", USED).await;
        assert_eq!(text_of(&response), SLOW);
        continues_from_the_queue(&bed).await;
        times.push(time);
        if time < SLACK_WAITS {
            break;
        }
    }
    assert!(times.iter().any(|time| *time < SLACK_WAITS), "{times:?}");
}

#[tokio::test]
async fn a_clock_that_differs_from_lambdas_loses_no_command() {
    let bed = bed();
    (bed.fixture.standin).fail(Operation::CreateInvalidation, Fault::Hang, ALWAYS);
    // Lambda's clock is ahead: all of the time seems to be left.
    let mut event = bed.request("/a").event();
    let received = millis(bed.fixture.standin.now() + Duration::from_secs(240));
    event["requestContext"]["timeEpoch"] = json!(received);
    let started = Instant::now();
    let invalidator = bed.invalidator_with_pauses();
    let response = invalidator.handle(&event, &one_minute()).await;
    let response = response.expect("a response");
    assert!(started.elapsed() < SLACK_WAITS, "{:?}", started.elapsed());
    assert_eq!(text_of(&response), SLOW);
    continues_from_the_queue(&bed).await;
    // The function's clock is ahead: no time seems to be left.
    let bed = self::bed();
    (bed.fixture.standin).fail(Operation::CreateInvalidation, Fault::Hang, ALWAYS);
    let used = Duration::from_secs(240);
    let (response, time) = respond(&bed, "/a", used).await;
    assert!(time < used + SLACK_WAITS, "{time:?}");
    assert_eq!(text_of(&response), SLOW);
    continues_from_the_queue(&bed).await;
}
