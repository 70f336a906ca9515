//! An SQS batch: only messages whose changes fail are retried, and changes that are covered already cost nothing.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use cloudfront_invalidator::error::Error;
use cloudfront_invalidator::invocation::RESPONSE_RESERVE;
use serde_json::{Value, json};

use crate::fixture::{
    ALWAYS, BUCKET, FIRST, Fixture, SECOND, configuration, invocation, logged, logged_at,
    one_minute, short_invocation,
};
use crate::standin::{Clock, Fault, Operation, Options};

pub fn now() -> DateTime<Utc> {
    SystemTime::now().into()
}

pub fn ago(seconds: i64) -> DateTime<Utc> {
    now() - chrono::TimeDelta::seconds(seconds)
}

/// Returns S3's own notification of an upload.
pub fn notification(key: &str, time: DateTime<Utc>) -> String {
    let record = json!({
        "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "us-east-1",
        "eventTime": time.to_rfc3339(), "eventName": "ObjectCreated:Put",
        "userIdentity": {"principalId": "EXAMPLE"}, "requestParameters": {"sourceIPAddress": "127.0.0.1"},
        "s3": {"bucket": {"name": BUCKET}, "object": {"key": key, "sequencer": "0A"}},
    });
    json!({"Records": [record]}).to_string()
}

/// Returns an SQS event whose messages have the ids m0, m1, … and were sent now.
pub fn batch(bodies: &[String]) -> Value {
    batch_sent(bodies, now())
}

pub fn batch_sent(bodies: &[String], sent: DateTime<Utc>) -> Value {
    let message = |(number, body)| {
        json!({
            "messageId": format!("m{number}"), "receiptHandle": "r", "body": body,
            "attributes": {"SentTimestamp": sent.timestamp_millis().to_string(), "ApproximateReceiveCount": "1"},
            "messageAttributes": {}, "eventSource": "aws:sqs", "awsRegion": "us-east-1",
            "eventSourceARN": "arn:aws:sqs:us-east-1:111122223333:changes",
        })
    };
    let messages: Vec<_> = bodies.iter().enumerate().map(message).collect();
    json!({ "Records": messages })
}

pub fn failures(ids: &[&str]) -> Result<Value, Error> {
    let failures: Vec<_> = ids.iter().map(|id| json!({"itemIdentifier": id})).collect();
    Ok(json!({ "batchItemFailures": failures }))
}

#[tokio::test]
async fn sends_one_invalidation_for_messages_of_all_shapes() {
    let fixture = Fixture::start();
    let s3 = |key| notification(key, ago(60));
    let wrapped =
        json!({"Type": "Notification", "MessageId": "1", "TopicArn": "t", "Message": s3("b")})
            .to_string();
    let bridged = json!({
        "source": "aws.s3", "detail-type": "Object Deleted", "time": ago(60).to_rfc3339(),
        "detail": {"bucket": {"name": BUCKET}, "object": {"key": "c+d", "sequencer": "0A"}},
    });
    let test =
        json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": BUCKET}).to_string();
    let response = fixture
        .handle(&batch(&[s3("a"), wrapped, bridged.to_string(), test]))
        .await;
    assert_eq!(response, failures(&[]));
    let paths = ["/a", "/b", "/c*"].map(String::from).into();
    assert_eq!(fixture.accepted(), [(FIRST.to_owned(), paths)]);
}

/// Returns how many words of a text begin with this character.
fn count_words(text: &str, start: char) -> usize {
    text.split([' ', ','])
        .filter(|word| word.starts_with(start))
        .count()
}

#[tokio::test]
async fn a_log_line_lists_at_most_a_hundred_paths_and_ids() {
    let fixture = Fixture::start().set("MAX_PATHS", "3000");
    let mut bodies: Vec<_> = (0..2_999)
        .map(|number| notification(&format!("{number}.html"), ago(60)))
        .collect();
    bodies.extend(vec!["{".to_owned(); 1_100]);
    logged();
    let failed: Vec<_> = (2_999..4_099).map(|number| format!("m{number}")).collect();
    let failed: Vec<_> = failed.iter().map(String::as_str).collect();
    // The response is complete.
    assert_eq!(fixture.handle(&batch(&bodies)).await, failures(&failed));
    let lines: Vec<Value> = logged()
        .iter()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let id = fixture.first_id();
    let line = lines
        .iter()
        .find(|line| line["invalidation"] == id.as_str());
    let message = line.expect("a line")["message"].as_str().expect("a text");
    assert_eq!(count_words(message, '/'), 100, "{message}");
    assert!(
        message.contains("2999 paths: /0.html /1.html ") && message.ends_with(" and 2,899 more)"),
        "{message}"
    );
    let line = lines.iter().find(|line| line["messages"] == 1_100);
    let ids = line.expect("a line")["ids"].as_str().expect("a text");
    assert_eq!(count_words(ids, 'm'), 101, "{ids}");
    assert!(ids.ends_with(" m3098 and 1,000 more"), "{ids}");
}

#[tokio::test]
async fn a_log_line_lists_at_most_a_hundred_keys_and_paths_of_many_behaviors() {
    let behavior = |number: usize| {
        format!(
            "<CacheBehavior><PathPattern>d{number}/*</PathPattern><TargetOriginId>api</TargetOriginId>\
             <ViewerProtocolPolicy>redirect-to-https</ViewerProtocolPolicy></CacheBehavior>"
        )
    };
    let behaviors: String = (10..50).map(behavior).collect();
    let site = configuration(BUCKET, "", "")
        .replace(
            "<Quantity>1</Quantity><Items><Origin>",
            "<Quantity>2</Quantity><Items><Origin><Id>api</Id><DomainName>api.example.com</DomainName>\
             <OriginPath></OriginPath></Origin><Origin>",
        )
        .replace(
            "</DefaultCacheBehavior>",
            &format!(
                "</DefaultCacheBehavior><CacheBehaviors><Quantity>40</Quantity><Items>{behaviors}</Items>\
                 </CacheBehaviors>"
            ),
        );
    let document = format!("distribution/{FIRST}/config");
    let fixture =
        Fixture::with(Options::default().with_document(&document, &site)).set("MAX_PATHS", "3000");
    let elsewhere = (0..240).map(|number| format!("d{}/{number}.css", 10 + number % 40));
    let keys = elsewhere.chain((100..300).map(|number| format!("{number}.css")));
    let bodies: Vec<_> = keys.map(|key| notification(&key, ago(60))).collect();
    logged();
    assert_eq!(fixture.handle(&batch(&bodies)).await, failures(&[]));
    let id = fixture.first_id();
    let paths: Vec<_> = (100..170).map(|number| format!("/{number}.css")).collect();
    let not_cached = (10..15).map(|folder| {
        let keys = (0..5).map(|n| format!("d{folder}/{}.css", folder - 10 + 40 * n));
        let keys: Vec<_> = keys.collect();
        let keys = keys.join(", ");
        format!("6 routed to origin api by path pattern d{folder}/*: {keys}, and 1 more")
    });
    let not_cached: Vec<_> = not_cached.collect();
    let message = format!(
        "{FIRST}: submitted as {id} (200 objects became 200 paths: {} and 130 more); {}; 210 not invalidated for 35 \
         other reasons",
        paths.join(" "),
        not_cached.join("; ")
    );
    let messages = informed();
    assert!(messages.contains(&message), "{messages:#?}");
}

#[tokio::test]
async fn logs_which_keys_are_widened_and_why() {
    let fixture = Fixture::start();
    let keys = ["~a", "b+c", "d.html", "e~1", "e~2", "e~3", "e~4", "e~5"];
    let bodies: Vec<_> = keys.iter().map(|key| notification(key, ago(60))).collect();
    logged();
    assert_eq!(fixture.handle(&batch(&bodies)).await, failures(&[]));
    let id = fixture.first_id();
    let lines = logged_at("INFO");
    let line = lines
        .iter()
        .find(|line| line["invalidation"] == id.as_str());
    assert_eq!(
        line.expect("a line about the invalidation")["message"],
        format!(
            "{FIRST}: submitted as {id} (8 objects became 1 path: /*); /* replaces 5 paths; \
             \"/~a\" widened to /*: CloudFront refuses ~; \"/e~1\" widened to /e*: CloudFront refuses ~; \
             \"/e~2\" widened to /e*: CloudFront refuses ~; \"/e~3\" widened to /e*: CloudFront refuses ~; \
             \"/e~4\" widened to /e*: CloudFront refuses ~; and 1 more"
        )
    );
}

#[tokio::test]
async fn fails_messages_that_cannot_be_read_and_logs_each_reason_once() {
    let fixture = Fixture::start();
    let bodies = [
        notification("a", ago(60)),
        "{".to_owned(),
        "hello".to_owned(),
        notification("b", ago(60)),
    ];
    logged();
    assert_eq!(
        fixture.handle(&batch(&bodies)).await,
        failures(&["m1", "m2"])
    );
    assert_eq!(
        fixture.accepted(),
        [(FIRST.to_owned(), vec!["/a".to_owned(), "/b".to_owned()])]
    );
    let errors = logged_at("ERROR");
    let errors: Vec<_> = errors
        .iter()
        .map(|line| ["cause", "ids", "message"].map(|name| line[name].as_str().unwrap_or_default()))
        .collect();
    let reason = "will be retried: the message is not JSON";
    assert_eq!(errors, [["mistake", "m1 m2", reason]]);
}

#[tokio::test]
async fn creates_nothing_for_a_message_that_is_delivered_again() {
    let fixture = Fixture::start();
    let invalidator = fixture.invalidator();
    let bodies: Vec<_> = (0..50)
        .map(|number| notification(&format!("blog/{number}.html"), ago(60)))
        .collect();
    let event = batch(&bodies);
    assert_eq!(
        invalidator.handle(&event, &one_minute()).await,
        failures(&[])
    );
    let calls = fixture.standin.calls().len();
    assert_eq!(
        invalidator.handle(&event, &one_minute()).await,
        failures(&[])
    );
    assert_eq!(
        fixture.standin.calls().len(),
        calls,
        "a warm function makes no call"
    );

    // Another environment of the function lists the invalidations, and creates none.
    assert_eq!(fixture.handle(&event).await, failures(&[]));
    assert_eq!(fixture.calls(Operation::CreateInvalidation), 1);
    let message = format!(
        "{FIRST}: nothing to invalidate; 50 already covered by {}",
        fixture.first_id()
    );
    let lines = logged_at("INFO");
    assert!(lines.iter().any(|line| line["message"] == message));
}

#[tokio::test]
async fn creates_nothing_after_a_pipeline_has_invalidated_everything() {
    let fixture = Fixture::start();
    fixture.run_job(None).await;
    let response = fixture
        .handle(&batch(&[
            notification("a", ago(60)),
            notification("b c", ago(30)),
        ]))
        .await;
    assert_eq!(response, failures(&[]));
    assert_eq!(fixture.calls(Operation::CreateInvalidation), 1);
    // A change after the job is not covered, nor is one within the difference of the clocks.
    assert_eq!(
        fixture.handle(&batch(&[notification("a", ago(2))])).await,
        failures(&[])
    );
    assert_eq!(
        fixture.accepted()[1],
        (FIRST.to_owned(), vec!["/a".to_owned()])
    );
}

#[tokio::test]
async fn invalidates_without_the_list_of_existing_invalidations() {
    for (operation, fault) in [
        (Operation::ListInvalidations, Fault::AccessDenied),
        (Operation::ListInvalidations, Fault::ExplicitDenyByScp),
        (
            Operation::GetInvalidation,
            Fault::NoPermissionsBoundaryAllows,
        ),
        (Operation::GetInvalidation, Fault::AccessDeniedBare),
        (Operation::ListInvalidations, Fault::InternalError),
        (Operation::ListInvalidations, Fault::Garbage),
    ] {
        let fixture = Fixture::start();
        fixture.run_job(None).await;
        fixture.standin.fail(operation, fault, ALWAYS);
        let invalidator = fixture.invalidator();
        logged();
        for key in ["a", "b"] {
            let response = invalidator
                .handle(&batch(&[notification(key, ago(60))]), &one_minute())
                .await;
            assert_eq!(response, failures(&[]), "{fault:?}");
        }
        assert_eq!(fixture.calls(Operation::CreateInvalidation), 3, "{fault:?}");
        let lists = fixture.calls(Operation::ListInvalidations);
        let denied = !matches!(fault, Fault::InternalError | Fault::Garbage);
        assert_eq!(
            lists == 1,
            denied,
            "{fault:?}: a denied call is not made again"
        );
        assert_eq!(
            logged_at("WARN").len(),
            usize::from(denied),
            "{fault:?}: a missing permission is logged once"
        );
    }
}

#[tokio::test]
async fn lists_invalidations_again_five_minutes_after_a_denial() {
    let options = Options {
        clock: Clock::frozen(),
        ..Options::default()
    };
    let distributions = format!("{FIRST},{SECOND}");
    let fixture = Fixture::with(options).set("DISTRIBUTION_ID", &distributions);
    fixture
        .standin
        .fail(Operation::ListInvalidations, Fault::AccessDenied, 1);
    let invalidator = fixture.invalidator_without_pauses();
    let mut lists = Vec::new();
    logged();
    for (key, pause) in [("a", 299), ("b", 1), ("c", 0)] {
        let event = batch(&[notification(key, ago(60))]);
        let response = invalidator.handle(&event, &one_minute()).await;
        assert_eq!(response, failures(&[]));
        lists.push(fixture.calls(Operation::ListInvalidations));
        fixture.standin.advance(Duration::from_secs(pause));
    }
    // One of the two distributions is denied, and not listed for five minutes.
    assert_eq!(lists, [2, 3, 5]);
    assert_eq!(logged_at("WARN").len(), 1);
}

#[tokio::test]
async fn does_not_wait_long_for_an_optimisation() {
    let fixture = Fixture::start();
    fixture
        .standin
        .fail(Operation::ListInvalidations, Fault::Hang, ALWAYS);
    let event = batch(&[notification("a", ago(60))]);
    let invocation = invocation(RESPONSE_RESERVE + Duration::from_millis(200));
    // The list is cancelled when the time for work ends, here after 0.2 s. No time is left for the invalidation.
    let response = fixture.invalidator().handle(&event, &invocation).await;
    assert_eq!(response, failures(&["m0"]));
    let left = invocation.deadline - tokio::time::Instant::now();
    assert!(
        left >= RESPONSE_RESERVE - Duration::from_millis(500),
        "{left:?} left"
    );
}

#[tokio::test]
async fn fails_the_messages_of_a_throttled_distribution_only() {
    let fixture = Fixture::start().set("DISTRIBUTION_ID", &format!("{FIRST},{SECOND}"));
    fixture.standin.fail(
        Operation::CreateInvalidation,
        Fault::TooManyInvalidationsInProgress,
        1,
    );
    let event = batch(&[notification("a", ago(60)), "{".to_owned()]);
    assert_eq!(fixture.handle(&event).await, failures(&["m0", "m1"]));
    assert_eq!(
        fixture.accepted().len(),
        1,
        "the other distribution is invalidated"
    );
    assert_eq!(fixture.handle(&event).await, failures(&["m1"]));
    assert_eq!(
        fixture.accepted().len(),
        2,
        "the other distribution is not invalidated again"
    );
}

/// Returns options with a frozen clock, so that a test can read how long the function has paused.
fn frozen() -> Options {
    Options {
        clock: Clock::frozen(),
        ..Options::default()
    }
}

/// How many times the SDK attempts a call that CloudFront throttles.
const ATTEMPTS: u64 = 4;

#[tokio::test]
async fn sends_a_throttled_batch_again_within_the_invocation() {
    let fixture = Fixture::with(frozen());
    let create = Operation::CreateInvalidation;
    (fixture.standin).fail(create, Fault::Throttling, 2 * ATTEMPTS);
    let (started, invalidator) = (fixture.standin.now(), fixture.invalidator_without_pauses());
    let event = batch(&[notification("a", ago(60))]);
    let response = invalidator.handle(&event, &one_minute()).await;
    assert_eq!(response, failures(&[]));
    assert_eq!(fixture.calls(create), 9);
    let paths = vec!["/a".to_owned()];
    assert_eq!(fixture.accepted(), [(FIRST.to_owned(), paths)]);
    let end = started + Duration::from_secs(4);
    assert_eq!(fixture.standin.now(), end, "it pauses");
}

#[tokio::test]
async fn throttled_distributions_take_turns() {
    let distributions = format!("{FIRST},{SECOND}");
    let fixture = Fixture::start().set("DISTRIBUTION_ID", &distributions);
    let create = Operation::CreateInvalidation;
    (fixture.standin).fail(create, Fault::Throttling, 4 * ATTEMPTS);
    let (pausing, pauses) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(vec![])));
    let pause = {
        let pauses = Arc::clone(&pauses);
        move |duration| {
            let (pausing, pauses) = (Arc::clone(&pausing), Arc::clone(&pauses));
            async move {
                let others = pausing.fetch_add(1, Ordering::Relaxed);
                pauses.lock().expect("a list").push((duration, others));
                // Long enough for the other distribution.
                tokio::time::sleep(Duration::from_millis(50)).await;
                pausing.fetch_sub(1, Ordering::Relaxed);
            }
        }
    };
    let clock = cloudfront_invalidator::clock::Clock::new(SystemTime::now, pause);
    let invalidator = fixture.invalidator().with_clock(clock);
    let event = batch(&[notification("a", ago(60))]);
    let response = invalidator.handle(&event, &one_minute()).await;
    assert_eq!(response, failures(&[]));
    assert_eq!(fixture.accepted().len(), 2);
    // The first turn has three calls, because two more of them fail.
    let pauses = pauses.lock().expect("a list");
    assert_eq!(*pauses, [(Duration::from_secs(2), 0); 4]);
}

#[tokio::test]
async fn fails_a_throttled_batch_when_no_time_is_left_to_send_it_again() {
    let fixture = Fixture::with(frozen());
    let create = Operation::CreateInvalidation;
    (fixture.standin).fail(create, Fault::Throttling, ALWAYS);
    let (started, invalidator) = (fixture.standin.now(), fixture.invalidator_without_pauses());
    let event = batch(&[notification("a", ago(60)), "{".to_owned()]);
    let response = invalidator.handle(&event, &short_invocation()).await;
    assert_eq!(response, failures(&["m0", "m1"]));
    assert_eq!(fixture.calls(create), 4);
    assert_eq!(fixture.standin.now(), started);
}

#[tokio::test]
async fn retries_only_the_changes_that_are_still_throttled_at_the_end_of_the_time() {
    let second = configuration("other", "", "");
    let document = format!("distribution/{SECOND}/config");
    let fixture = Fixture::with(frozen().with_document(&document, &second))
        .set("DISTRIBUTION_ID", &format!("{FIRST},{SECOND}"));
    let create = Operation::CreateInvalidation;
    (fixture.standin).fail_for(SECOND, create, Fault::Throttling, ALWAYS);
    let changed = (fixture.standin.now() - Duration::from_secs(60)).into();
    let other = notification("b", changed).replace(BUCKET, "other");
    let event = batch_sent(&[notification("a", changed), other], changed);
    let invalidator = fixture.invalidator_without_pauses();
    let response = invalidator.handle(&event, &short_invocation()).await;
    assert_eq!(response, failures(&["m1"]));
    let first = (FIRST.to_owned(), vec!["/a".to_owned()]);
    assert_eq!(fixture.accepted(), std::slice::from_ref(&first));
    // The next receive continues with the other distribution.
    let response = invalidator.handle(&event, &one_minute()).await;
    assert_eq!(response, failures(&[]));
    let second = (SECOND.to_owned(), vec!["/b".to_owned()]);
    assert_eq!(fixture.accepted(), [first, second]);
}

#[tokio::test]
async fn does_not_wait_for_a_quota_that_is_in_use() {
    let fixture = Fixture::with(frozen());
    let (create, fault) = (
        Operation::CreateInvalidation,
        Fault::TooManyInvalidationsInProgress,
    );
    fixture.standin.fail(create, fault, 1);
    let (started, invalidator) = (fixture.standin.now(), fixture.invalidator_without_pauses());
    let event = batch(&[notification("a", ago(60))]);
    let response = invalidator.handle(&event, &one_minute()).await;
    assert_eq!(response, failures(&["m0"]));
    assert_eq!(fixture.calls(create), 1);
    assert_eq!(fixture.standin.now(), started);
}

#[tokio::test]
async fn a_request_does_not_wait_while_cloudfront_throttles() {
    let create = Operation::CreateInvalidation;
    let by_path = json!({"paths": ["/a"]});
    let by_key = json!({"bucket": BUCKET, "keys": ["a"]});
    for event in [None, Some(by_path), Some(by_key)] {
        let fixture = Fixture::with(frozen());
        fixture.standin.fail(create, Fault::Throttling, ALWAYS);
        let started = fixture.standin.now();
        let job = || fixture.standin.start_job(None).event;
        let request = event.clone().unwrap_or_else(job);
        let invalidator = fixture.invalidator_without_pauses();
        let result = invalidator.handle(&request, &one_minute()).await;
        // The pipeline continues the job with another one.
        assert_eq!(result.is_ok(), event.is_none(), "{result:?}");
        assert_eq!(fixture.calls(create), 4, "{event:?}");
        assert_eq!(fixture.accepted(), [], "{event:?}");
        assert_eq!(fixture.standin.now(), started, "{event:?}");
    }
}

#[tokio::test]
async fn isolates_the_path_that_cloudfront_rejects() {
    let fixture = Fixture::start();
    let keys = ["a", "b", "c", "d", "e", "f", "g"];
    let bodies: Vec<_> = keys.map(|key| notification(key, ago(60))).into();
    fixture.standin.refuse_paths(&["/c"]);
    assert_eq!(fixture.handle(&batch(&bodies)).await, failures(&["m2"]));
    let mut accepted: Vec<_> = fixture
        .accepted()
        .into_iter()
        .flat_map(|(_, paths)| paths)
        .collect();
    accepted.sort();
    assert_eq!(accepted, ["/a", "/b", "/d", "/e", "/f", "/g"]);
    assert!(fixture.calls(Operation::CreateInvalidation) <= 7);
}

/// Returns the messages that this test logged at level INFO since the last call.
fn informed() -> Vec<String> {
    let lines = logged_at("INFO").into_iter();
    let message = |line: Value| line["message"].as_str().expect("a message").to_owned();
    lines.map(message).collect()
}

#[tokio::test]
async fn keeps_the_notes_once_when_cloudfront_rejects_a_path() {
    let document = format!("distribution/{FIRST}/config");
    let server = configuration(BUCKET, "", "").replace(
        &format!("{BUCKET}.s3.us-east-1.amazonaws.com"),
        "origin.example.com",
    );
    let note = format!(
        "; origin origin.example.com is treated as bucket {BUCKET}: it can be another name of the bucket, or a server \
         that gets its objects from there"
    );
    // The half that is submitted first has the path, or the other one does.
    for (refused, failed, accepted) in
        [("/c", "m2", ["/d", "/a /b"]), ("/a", "m0", ["/c /d", "/b"])]
    {
        let options = Options::default().with_document(&document, &server);
        let fixture = Fixture::with(options);
        fixture.standin.refuse_paths(&[refused]);
        logged();
        let bodies: Vec<_> = ["a", "b", "c", "d"]
            .map(|key| notification(key, ago(60)))
            .into();
        let response = fixture.handle(&batch(&bodies)).await;
        assert_eq!(response, failures(&[failed]));
        let invalidations = fixture.standin.invalidations().into_iter();
        let ids: Vec<_> = invalidations
            .filter_map(|invalidation| invalidation.outcome.ok())
            .collect();
        let texts = [(0, note.as_str()), (1, "")].map(|(half, note)| {
            let (id, paths) = (&ids[half], accepted[half]);
            let count = paths.split(' ').count();
            let plural = if count == 1 { "" } else { "s" };
            format!("{FIRST}: submitted as {id} ({count} path{plural}: {paths}){note}")
        });
        let messages = informed();
        for text in &texts {
            assert!(messages.contains(text), "{text} in {messages:#?}");
        }
        let all = messages.concat();
        assert_eq!(all.matches(&note).count(), 1, "{messages:#?}");
    }
    let fixture = Fixture::with(Options::default().with_document(&document, &server));
    fixture.standin.refuse_paths(&["/a", "/b"]);
    let event = batch(&["a", "b"].map(|key| notification(key, ago(60))));
    assert_eq!(fixture.handle(&event).await, failures(&["m0", "m1"]));
}

#[tokio::test]
async fn plans_within_the_free_quotas() {
    let clock = Clock::frozen();
    let fixture = Fixture::with(Options {
        clock,
        throttle: false,
        ..Options::default()
    });
    let wildcards: Vec<_> = (0..14).map(|number| format!("/{number}/*")).collect();
    let parameters = json!({ "paths": wildcards }).to_string();
    fixture.run_job(Some(&parameters)).await;
    // Thirty objects need a wildcard, and one is free.
    let bodies: Vec<_> = (0..30)
        .map(|number| notification(&format!("{}/{number}", ["x", "y"][number % 2]), now()))
        .collect();
    assert_eq!(fixture.handle(&batch(&bodies)).await, failures(&[]));
    let paths = fixture.accepted().remove(1).1;
    let wildcards: Vec<_> = paths.iter().filter(|path| path.ends_with('*')).collect();
    assert_eq!((paths.len(), wildcards.len()), (16, 1), "{paths:?}");
}

#[tokio::test]
async fn sends_no_wildcard_that_exceeds_the_quotas() {
    let fixture = Fixture::with(Options {
        clock: Clock::frozen(),
        throttle: false,
        ..Options::default()
    });
    let wildcards: Vec<_> = (0..15).map(|number| format!("/{number}/*")).collect();
    fixture
        .run_job(Some(&json!({ "paths": wildcards }).to_string()))
        .await;
    // One object needs a wildcard, the other does not.
    let bodies = [notification("a%2Bb", now()), notification("c", now())];
    assert_eq!(fixture.handle(&batch(&bodies)).await, failures(&["m0"]));
    assert_eq!(fixture.accepted()[1].1, ["/c"]);
    assert_eq!(
        fixture.handle(&batch(&bodies[..1])).await,
        failures(&["m0"])
    );
    assert_eq!(
        fixture.calls(Operation::CreateInvalidation),
        2,
        "a batch with a wildcard is not sent"
    );
    // More files than the limit of paths need a wildcard too.
    let many: Vec<_> = (0..21)
        .map(|number| notification(&format!("{number}"), now()))
        .collect();
    let ids: Vec<_> = (0..21).map(|number| format!("m{number}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    assert_eq!(fixture.handle(&batch(&many)).await, failures(&ids));
}

#[tokio::test]
async fn ignores_unreadable_messages_when_it_detects_a_backlog() {
    let fixture = Fixture::start();
    let mut event = batch(&[
        notification("blog/a", ago(60)),
        notification("blog/b", ago(60)),
        "{".to_owned(),
    ]);
    let long_ago = ago(16 * 60).timestamp_millis().to_string();
    event["Records"][2]["attributes"]["SentTimestamp"] = json!(long_ago);
    assert_eq!(fixture.handle(&event).await, failures(&["m2"]));
    assert_eq!(fixture.accepted()[0].1, ["/blog/a", "/blog/b"]);
}

#[tokio::test]
async fn invalidates_a_backlog_with_one_path() {
    let fixture = Fixture::start();
    let bodies: Vec<_> = ["blog/a", "blog/b", "blog/c"]
        .map(|key| notification(key, ago(16 * 60)))
        .into();
    assert_eq!(
        fixture.handle(&batch_sent(&bodies, ago(16 * 60))).await,
        failures(&[])
    );
    assert_eq!(
        fixture.accepted(),
        [(FIRST.to_owned(), vec!["/blog/*".to_owned()])]
    );
}

#[tokio::test]
async fn fails_only_the_changes_of_a_bucket_without_a_distribution() {
    let fixture = Fixture::start();
    let other = notification("a", ago(60)).replace(BUCKET, "other");
    let response = fixture
        .handle(&batch(&[other, notification("b", ago(60))]))
        .await;
    assert_eq!(response, failures(&["m0"]));
    assert_eq!(
        fixture.accepted(),
        [(FIRST.to_owned(), vec!["/b".to_owned()])]
    );
}

#[tokio::test]
async fn invalidates_the_other_distributions_when_one_cannot_be_read() {
    let fixture = Fixture::start().set("DISTRIBUTION_ID", &format!("{FIRST},E9EXAMPLE1ABC"));
    assert_eq!(
        fixture.handle(&batch(&[notification("a", ago(60))])).await,
        failures(&["m0"])
    );
    assert_eq!(
        fixture.accepted(),
        [(FIRST.to_owned(), vec!["/a".to_owned()])]
    );
}

#[tokio::test]
async fn handles_the_largest_batch_with_one_call() {
    let fixture = Fixture::start();
    let bodies: Vec<_> = (0..10_000)
        .map(|number| notification(&format!("{}/{number}.html", number % 100), ago(60)))
        .collect();
    let event = batch(&bodies);
    let started = std::time::Instant::now();
    assert_eq!(fixture.handle(&event).await, failures(&[]));
    assert!(
        started.elapsed() < Duration::from_secs(30),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(fixture.accepted().len(), 1);
    assert!(fixture.accepted()[0].1.len() <= 20);
}

#[tokio::test]
async fn sends_fewer_paths_with_economy() {
    let keys = ["a/1", "a/2", "b/1", "b/2", "b/3"];
    let bodies = keys.map(|key| notification(key, ago(60)));
    for (economy, paths) in [
        ("0", vec!["/a/*", "/b/1", "/b/2", "/b/3"]),
        ("0.5", vec!["/a/1", "/a/2", "/b/*"]),
    ] {
        let fixture = Fixture::start()
            .set("MAX_PATHS", "4")
            .set("MAX_WILDCARDS", "1")
            .set("ECONOMY", economy);
        assert_eq!(fixture.handle(&batch(&bodies)).await, failures(&[]));
        let paths = paths.into_iter().map(str::to_owned).collect();
        assert_eq!(fixture.accepted(), [(FIRST.to_owned(), paths)], "{economy}");
    }
}

#[tokio::test]
async fn deletes_a_test_event_though_the_settings_are_invalid() {
    let fixture = Fixture::start().set("MAX_PATHS", "many");
    let test =
        json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": BUCKET}).to_string();
    assert_eq!(fixture.handle(&batch(&[test])).await, failures(&[]));
    // An invalid setting loses no change: SQS delivers all messages of a failed invocation again.
    let response = fixture.handle(&batch(&[notification("a", ago(60))])).await;
    assert_eq!(
        response,
        Err(
            Error::invalid_input("\"many\" is not a number from 1 to 3000")
                .context("setting MAX_PATHS")
        )
    );
}

#[tokio::test]
async fn ignores_and_counts_lifecycle_deletions_of_versions_only() {
    const VERSION: &str = "IYV3p45BT0ac8hjHg1houSdS1a.Mro8e";
    let fixture = Fixture::start();
    let removal = |name: &str, key: &str, version_id: &str| {
        let mut event: Value = serde_json::from_str(&notification(key, ago(60))).expect("JSON");
        event["Records"][0]["eventName"] = json!(name);
        event["Records"][0]["s3"]["object"]["versionId"] = json!(version_id);
        event.to_string()
    };
    let bridged = json!({
        "source": "aws.s3", "detail-type": "Object Deleted", "time": ago(60).to_rfc3339(),
        "detail": {
            "bucket": {"name": BUCKET}, "object": {"key": "old/c", "version-id": VERSION, "sequencer": "0A"},
            "reason": "Lifecycle Expiration", "deletion-type": "Permanently Deleted",
        },
    });
    let event = batch(&[
        removal("LifecycleExpiration:Delete", "old/a", VERSION),
        removal("LifecycleExpiration:Delete", "old/b", VERSION),
        bridged.to_string(),
        removal("LifecycleExpiration:Delete", "expired", "null"),
        removal("ObjectRemoved:Delete", "rolled-back", VERSION),
    ]);
    logged();
    assert_eq!(fixture.handle(&event).await, failures(&[]));
    let paths = ["/expired", "/rolled-back"].map(String::from).into();
    assert_eq!(fixture.accepted(), [(FIRST.to_owned(), paths)]);
    let lines = logged_at("INFO");
    let ignored: Vec<_> = lines
        .iter()
        .filter(|line| line["message"] == "this event changes nothing for viewers")
        .map(|line| [&line["event"], &line["count"], &line["first"]])
        .collect();
    assert_eq!(
        ignored,
        [
            [
                &json!("LifecycleExpiration:Delete of a version"),
                &json!(2),
                &json!("old/a")
            ],
            [
                &json!("Object Deleted (Lifecycle Expiration) of a version"),
                &json!(1),
                &json!("old/c")
            ],
        ]
    );
}
