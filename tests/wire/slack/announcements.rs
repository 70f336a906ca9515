//! Announcements of what pipeline jobs and events of S3 led to: which there are, that they change nothing for their callers,
//! and how they are posted.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::bed::{Delivered, SlackBed, logged_without_secrets};
use crate::fixture::{
    ALWAYS, BUCKET, FIRST, Fixture, configuration, invocation, one_minute, short_invocation,
};
use crate::queue::{batch_sent, failures, notification};
use crate::standin::{Clock, Fault, Job, Operation, Options, Secret, SlackResponse};

const MINUTE: Duration = Duration::from_secs(60);

/// Each setting, and whether it announces failures and successes.
const SETTINGS: [(&str, bool, bool); 3] = [
    ("none", false, false),
    ("failures", true, false),
    ("all", true, true),
];

fn bed(setting: &str) -> SlackBed {
    SlackBed::frozen(Duration::from_secs(14)).set("SLACK_ANNOUNCEMENTS", setting)
}

/// Returns the text of each announcement in the queue.
fn queued(bed: &SlackBed) -> Vec<String> {
    let queued = bed.queued().into_iter().map(|message| {
        assert_eq!(message.delay_seconds, 0);
        let body: Value = serde_json::from_str(&message.body).expect("JSON");
        let text = body["slackTask"]["announcement"].as_str().expect("a text");
        assert_eq!(body, json!({"slackTask": {"announcement": text}}));
        text.to_owned()
    });
    queued.collect()
}

fn done(subject: &str, text: &str) -> String {
    format!(":white_check_mark: *{subject} done*\n```\n{text}\n```")
}

fn failed(subject: &str, text: &str) -> String {
    format!(":x: *{subject} failed*\n```\n{text}\n```")
}

const CHANGES: &str = "Invalidation of changed objects";

/// Returns a notification about an object that was uploaded now.
fn upload(bed: &SlackBed, key: &str) -> String {
    notification(key, bed.fixture.standin.now().into())
}

fn event(notification: &str) -> Value {
    serde_json::from_str(notification).expect("JSON")
}

/// Returns an SQS event with these bodies that is received for the nth time.
fn received(bed: &SlackBed, bodies: &[String], count: u32) -> Value {
    let mut event = batch_sent(bodies, bed.fixture.standin.now().into());
    for record in event["Records"].as_array_mut().expect("records") {
        record["attributes"]["ApproximateReceiveCount"] = json!(count.to_string());
    }
    event
}

async fn run_job(bed: &SlackBed, parameters: Option<&str>) -> Job {
    let job = bed.fixture.standin.start_job(parameters);
    let returned = bed.invalidator().handle(&job.event, &one_minute()).await;
    returned.expect("a reported result");
    job
}

#[tokio::test]
async fn a_pipeline_job_is_announced_after_its_result() {
    for (setting, announces_failures, announces_successes) in SETTINGS {
        let bed = bed(setting);
        run_job(&bed, None).await;
        let id = bed.fixture.first_id();
        let text = format!("{FIRST}: submitted as {id} (1 path: /*)");
        let expected = announces_successes.then(|| done("Pipeline job", &text));
        assert_eq!(queued(&bed), Vec::from_iter(expected), "{setting}");
        if announces_successes {
            let calls = bed.fixture.standin.calls();
            let end = [Operation::PutJobSuccessResult, Operation::SendMessage];
            assert!(calls.ends_with(&end), "{calls:?}");
        }
        let bed = self::bed(setting);
        run_job(&bed, Some("{\"paths\": [\"example.com/a\"]}")).await;
        let text = "UserParameters: paths[0]: \"example.com/a\" can begin with a domain name or with a folder: write \
                    https://example.com/a or /example.com/a";
        let expected = announces_failures.then(|| failed("Pipeline job", text));
        assert_eq!(queued(&bed), Vec::from_iter(expected), "{setting}");
        if announces_failures {
            let calls = bed.fixture.standin.calls();
            let end = [Operation::PutJobFailureResult, Operation::SendMessage];
            assert!(calls.ends_with(&end), "{calls:?}");
        }
    }
}

#[tokio::test]
async fn a_job_that_another_one_continues_is_announced_at_its_end_only() {
    let bed = SlackBed::frozen(MINUTE).set("SLACK_ANNOUNCEMENTS", "all");
    let mut job = run_job(&bed, Some("{\"wait\": \"5m\"}")).await;
    let mut jobs = 1;
    while let Some(next) = bed.fixture.standin.next_job(&job.id) {
        assert_eq!(queued(&bed), [""; 0]);
        bed.fixture.standin.advance(Duration::from_secs(30));
        let returned = bed.invalidator().handle(&next.event, &one_minute()).await;
        returned.expect("a reported result");
        job = next;
        jobs += 1;
    }
    assert!(jobs > 1);
    let announced = queued(&bed);
    assert_eq!(announced.len(), 1);
    assert!(
        announced[0].starts_with(":white_check_mark: *Pipeline job done*\n"),
        "{}",
        announced[0]
    );
}

#[tokio::test]
async fn changed_objects_are_announced_from_s3_and_from_a_queue() {
    for (setting, _, announces_successes) in SETTINGS {
        for is_queued in [false, true] {
            let bed = bed(setting);
            let event = match is_queued {
                true => received(&bed, &[upload(&bed, "a.html")], 1),
                false => event(&upload(&bed, "a.html")),
            };
            let response = bed.invalidator().handle(&event, &one_minute()).await;
            response.expect("a response");
            let id = bed.fixture.first_id();
            let text = format!("{FIRST}: submitted as {id} (1 object became 1 path: /a.html)");
            let expected = announces_successes.then(|| done(CHANGES, &text));
            assert_eq!(queued(&bed), Vec::from_iter(expected), "{setting}");
        }
    }
}

#[tokio::test]
async fn changes_that_fail_for_good_are_announced_at_the_first_receive() {
    for (setting, announces_failures, _) in SETTINGS {
        for is_queued in [false, true] {
            let bed = bed(setting);
            (bed.fixture.standin).fail(Operation::CreateInvalidation, Fault::AccessDenied, ALWAYS);
            let event = match is_queued {
                true => received(&bed, &[upload(&bed, "a.html")], 1),
                false => event(&upload(&bed, "a.html")),
            };
            let response = bed.invalidator().handle(&event, &one_minute()).await;
            assert_eq!(response.is_ok(), is_queued);
            let announced = queued(&bed);
            assert_eq!(
                announced.len(),
                usize::from(announces_failures),
                "{setting}"
            );
            for text in announced {
                let start = ":x: *Invalidation of changed objects failed*\n```\n";
                assert!(text.starts_with(start), "{text}");
                assert!(
                    text.contains("not allowed to call cloudfront:CreateInvalidation"),
                    "{text}"
                );
            }
        }
    }
}

#[tokio::test]
async fn changes_that_fail_for_the_moment_are_announced_at_the_last_receive() {
    for (count, expected) in [(1, 0), (2, 0), (9, 0), (10, 1), (11, 1)] {
        let bed = bed("all");
        (bed.fixture.standin).fail(Operation::CreateInvalidation, Fault::Throttling, ALWAYS);
        let event = received(&bed, &[upload(&bed, "a.html")], count);
        let response = bed.invalidator().handle(&event, &short_invocation()).await;
        assert_eq!(response, failures(&["m0"]));
        assert_eq!(queued(&bed).len(), expected, "{count}");
    }
}

#[tokio::test]
async fn a_failure_that_is_repeated_within_an_hour_is_announced_once() {
    let bed = bed("failures");
    let invalidator = bed.invalidator();
    let mut announced = Vec::new();
    let s3 = event(&upload(&bed, "a.html"));
    for minutes in [0, 1, 58, 1, 1, 59] {
        bed.fixture.standin.advance(minutes * MINUTE);
        (bed.fixture.standin).fail(Operation::CreateInvalidation, Fault::AccessDenied, ALWAYS);
        let result = invalidator.handle(&s3, &one_minute()).await;
        result.expect_err("a denial");
        bed.fixture.standin.recover();
        announced.push(queued(&bed).len());
    }
    // After 0, 1, 59, 60, 61 and 120 minutes.
    assert_eq!(announced, [1, 1, 1, 2, 2, 3]);
    // Another failure is announced at once.
    let other = json!({"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put"}]});
    let result = invalidator.handle(&other, &one_minute()).await;
    result.expect_err("an unreadable event");
    assert_eq!(queued(&bed).len(), 4);
}

#[tokio::test]
async fn a_failure_that_the_queue_did_not_accept_is_announced_when_it_is_repeated() {
    let bed = bed("failures");
    let invalidator = bed.invalidator();
    let s3 = event(&upload(&bed, "a.html"));
    for announced in [0, 1, 1] {
        (bed.fixture.standin).fail(Operation::CreateInvalidation, Fault::AccessDenied, 1);
        if announced == 0 {
            (bed.fixture.standin).fail(Operation::SendMessage, Fault::AccessDenied, 1);
        }
        let result = invalidator.handle(&s3, &one_minute()).await;
        result.expect_err("a denial");
        assert_eq!(queued(&bed).len(), announced);
    }
}

#[tokio::test]
async fn each_pipeline_job_that_fails_is_announced() {
    let bed = bed("failures");
    let invalidator = bed.invalidator();
    for announced in [1, 2] {
        let job = bed.fixture.standin.start_job(Some("{\"path\": []}"));
        let returned = invalidator.handle(&job.event, &one_minute()).await;
        returned.expect("a reported result");
        assert_eq!(queued(&bed).len(), announced);
    }
}

#[tokio::test]
async fn a_batch_that_fails_as_a_whole_is_announced() {
    let bed = bed("failures").set("MAX_PATHS", "many");
    let event = received(&bed, &[upload(&bed, "a.html")], 1);
    let result = bed.invalidator().handle(&event, &one_minute()).await;
    let error = result.map(|_| ()).unwrap_err().to_string();
    let text = error.replace('<', "&lt;");
    assert_eq!(queued(&bed), [failed(CHANGES, &text)]);
}

#[tokio::test]
async fn nothing_to_invalidate_is_not_announced() {
    let options = Options {
        clock: Clock::frozen(),
        ..Options::default()
    };
    let path = format!("distribution/{FIRST}/config");
    let options = options.with_document(&path, &configuration(BUCKET, "/site", ""));
    let bed = SlackBed::with(Fixture::with(options)).set("SLACK_ANNOUNCEMENTS", "all");
    let test = json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": BUCKET});
    for event in [
        test.clone(),
        received(&bed, &[test.to_string()], 1),
        event(&upload(&bed, "a.html")),
        received(&bed, &[upload(&bed, "a.html")], 1),
    ] {
        let response = bed.invalidator().handle(&event, &one_minute()).await;
        response.expect("a response");
        assert_eq!(queued(&bed), [""; 0], "{event}");
    }
    assert_eq!(bed.fixture.standin.invalidations(), []);
}

#[tokio::test]
async fn a_queue_that_does_not_accept_announcements_changes_no_result() {
    let faults = [
        Fault::AccessDenied,
        Fault::InternalFailure,
        Fault::Reset,
        Fault::Hang,
    ];
    let reason = "not announced in Slack: ";
    for fault in faults {
        let bed = bed("all");
        (bed.fixture.standin).fail(Operation::SendMessage, fault, ALWAYS);
        let started = Instant::now();
        logged_without_secrets("WARN");
        let job = run_job(&bed, None).await;
        let reported = bed.fixture.only_result();
        let id = bed.fixture.first_id();
        assert_eq!(reported.result.job_id(), Some(&*job.id));
        assert_eq!(reported.variable("InvalidationIds"), id);
        let message = received(&bed, &[upload(&bed, "a.html")], 1);
        let response = bed.invalidator().handle(&message, &one_minute()).await;
        assert_eq!(response, failures(&[]), "{fault:?}");
        let s3 = event(&upload(&bed, "b.html"));
        let response = bed.invalidator().handle(&s3, &one_minute()).await;
        let text = response.expect("a text");
        assert!(text.as_str().expect("a text").contains("/b.html"), "{text}");
        let lines = logged_without_secrets("WARN");
        let lines: Vec<_> = lines
            .iter()
            .filter(|line| line.starts_with(reason))
            .collect();
        assert_eq!(lines.len(), 3, "{fault:?}");
        // A second for each at most.
        let time = started.elapsed();
        assert!(time < Duration::from_secs(10), "{fault:?} {time:?}");
    }
}

#[tokio::test]
async fn a_result_is_in_time_if_little_time_is_left_for_its_announcement() {
    let bed = bed("all");
    (bed.fixture.standin).fail(Operation::SendMessage, Fault::Hang, ALWAYS);
    let job = bed.fixture.standin.start_job(None);
    let invocation = invocation(Duration::from_millis(4_800));
    let invalidator = bed.invalidator();
    let returned = invalidator.handle(&job.event, &invocation).await;
    assert!(tokio::time::Instant::now() < invocation.deadline);
    returned.expect("a reported result");
    assert_eq!(bed.fixture.standin.job_results().len(), 1);
}

#[tokio::test]
async fn wrong_or_missing_settings_of_slack_change_no_result() {
    for (name, value, reason) in [
        (
            "SLACK_ANNOUNCEMENTS",
            "some",
            "setting SLACK_ANNOUNCEMENTS: \"some\" is not none, failures or all",
        ),
        ("SLACK_QUEUE_URL", "", "setting SLACK_QUEUE_URL is not set"),
    ] {
        let bed = bed("all").set(name, value);
        logged_without_secrets("WARN");
        run_job(&bed, None).await;
        bed.fixture.only_result();
        assert_eq!(
            logged_without_secrets("WARN"),
            [format!("not announced in Slack: {reason}")]
        );
    }
}

#[tokio::test]
async fn a_key_of_an_object_mentions_nobody_and_stays_in_its_block() {
    for (key, shown) in [
        ("<!channel>.html", "2 paths: /%3C!channel%3E.html "),
        ("<@U0EXAMPLE>", "/%3C@U0EXAMPLE%3E)"),
        (
            "<https://evil.test|a>",
            "\"/&lt;https://evil.test|a&gt;\" widened to ",
        ),
        ("a```b", "1 path: /a%60%60%60b)"),
        (
            "a%0A```%0A<!here>",
            "\"/a\\n'''\\n&lt;!here&gt;\" widened to /a*",
        ),
        ("a&amp;lt;b", "/a&amp;amp;lt;b)"),
    ] {
        let bed = bed("all");
        let s3 = event(&upload(&bed, key));
        let response = bed.invalidator().handle(&s3, &one_minute()).await;
        response.expect("a text");
        let text = posted(&bed).await;
        assert!(text.contains(shown), "{text}");
    }
    // A failure repeats what a person wrote.
    let bed = bed("all");
    run_job(
        &bed,
        Some("{\"paths\": [\"example.com/```\\n<!channel>\"]}"),
    )
    .await;
    let text = posted(&bed).await;
    let shown = "\"example.com/'''\\n&lt;!channel&gt;\" can begin with a domain name";
    assert!(text.contains(shown), "{text}");
}

/// Delivers the only announcement in the queue. Returns the posted text, all of which after its title is in one block.
async fn posted(bed: &SlackBed) -> String {
    let queued = bed.queued();
    assert_eq!(queued.len(), 1);
    bed.deliver(&mut bed.message(&queued[0].body)).await;
    let posts = bed.announcements();
    assert_eq!(posts.len(), 1);
    let text = posts[0]["text"].as_str().expect("a text");
    assert_eq!(posts[0], json!({"text": text}));
    assert!(!text.contains(['<', '>']), "{text}");
    let parts: Vec<_> = text.split("```").collect();
    let [_title, block, ""] = parts.as_slice() else {
        panic!("not one block: {text}");
    };
    assert!(!block.contains('`'), "{text}");
    text.to_owned()
}

fn announcement() -> String {
    json!({"slackTask": {"announcement": "*a*"}}).to_string()
}

#[tokio::test]
async fn posts_an_announcement_to_the_webhook_of_the_secret() {
    let bed = bed("none");
    let delivered = bed.deliver(&mut bed.message(&announcement())).await;
    assert_eq!(delivered, Delivered::Deleted);
    assert_eq!(bed.announcements(), [json!({"text": "*a*"})]);
    assert_eq!(bed.posts(), [] as [Value; 0]);
    assert_eq!(logged_without_secrets("WARN"), [""; 0]);
}

#[tokio::test]
async fn an_announcement_is_posted_again_when_slack_requires_it() {
    for (retry_after, received, pause) in [
        (None, 0, 15),
        (None, 2, 60),
        (Some("1"), 0, 15),
        (Some("100"), 0, 100),
        (Some("100"), 4, 240),
        (Some("999999"), 0, 43_200),
    ] {
        let bed = bed("all");
        let mut busy = SlackResponse::new(429, "");
        if let Some(seconds) = retry_after {
            busy = busy.with_header("retry-after", seconds);
        }
        bed.fixture.standin.respond_as_slack(busy);
        let mut message = bed.message(&announcement());
        message.received = received;
        let delivered = bed.deliver(&mut message).await;
        assert_eq!(delivered, Delivered::VisibleIn(pause), "{retry_after:?}");
        // One post in a delivery.
        assert_eq!(bed.announcements().len(), 1);
        assert_eq!(bed.deliver(&mut message).await, Delivered::Deleted);
        assert_eq!(bed.announcements().len(), 2);
    }
}

#[tokio::test]
async fn an_announcement_is_posted_for_half_an_hour_at_most() {
    for fault in [Fault::Reset, Fault::InternalError] {
        let bed = bed("all");
        bed.fixture
            .standin
            .fail_at_random(Operation::PostToSlack, fault, 100, 1);
        let mut message = bed.message(&announcement());
        logged_without_secrets("WARN");
        assert!(bed.deliver_until(&mut message, 60 * MINUTE).await);
        // After 0, 15, 45, 105, 225 seconds, and then each four minutes.
        assert_eq!(bed.announcements().len(), 11);
        let lines = logged_without_secrets("INFO");
        assert_eq!(lines, ["dropped: the message is 31 minutes old"]);
        assert_eq!(bed.dead_letters(), []);
    }
}

#[tokio::test]
async fn an_announcement_that_slack_refuses_is_dropped_with_a_line_in_the_log() {
    for (status, text) in [
        (404, "no_service"),
        (410, "channel_is_archived"),
        (403, "action_prohibited"),
    ] {
        let bed = bed("all");
        let refused = SlackResponse::new(status, text);
        bed.fixture.standin.respond_as_slack(refused);
        logged_without_secrets("ERROR");
        let delivered = bed.deliver(&mut bed.message(&announcement())).await;
        assert_eq!(delivered, Delivered::Deleted);
        assert_eq!(
            logged_without_secrets("ERROR"),
            [format!(
                "not announced: Slack rejected the message: HTTP status {status}: {text}"
            )]
        );
        assert_eq!(bed.announcements().len(), 1);
    }
}

#[tokio::test]
async fn an_announcement_without_a_webhook_is_dropped_with_a_line_in_the_log() {
    let bed = bed("all");
    let stored = json!({"signing_secrets": "a"}).to_string();
    bed.fixture
        .standin
        .set_secret("slack", Secret::Text(stored));
    logged_without_secrets("WARN");
    let delivered = bed.deliver(&mut bed.message(&announcement())).await;
    assert_eq!(delivered, Delivered::Deleted);
    assert_eq!(
        logged_without_secrets("WARN"),
        ["not announced: the secret has no webhook_url"]
    );
    // A secret that cannot be read is possibly readable later.
    let bed = self::bed("all");
    (bed.fixture.standin).fail(Operation::GetSecretValue, Fault::AccessDenied, ALWAYS);
    let mut message = bed.message(&announcement());
    assert_eq!(bed.deliver(&mut message).await, Delivered::VisibleIn(15));
    bed.fixture.standin.recover();
    assert_eq!(bed.deliver(&mut message).await, Delivered::Deleted);
    assert_eq!(bed.announcements().len(), 1);
}
