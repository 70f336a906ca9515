//! A queue's batch: what fails, fails alone; what is fresh already costs nothing.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use cloudfront_invalidator::failure::Failure;
use serde_json::{Value, json};

use crate::bed::{BUCKET, Bed, FIRST, SECOND, invocation, logged};
use crate::standin::{Clock, Fault, Operation, Options};

fn now() -> DateTime<Utc> {
    SystemTime::now().into()
}

fn ago(seconds: i64) -> DateTime<Utc> {
    now() - chrono::TimeDelta::seconds(seconds)
}

/// Returns S3's own notification of an upload.
fn notification(key: &str, time: DateTime<Utc>) -> String {
    let record = json!({
        "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "us-east-1",
        "eventTime": time.to_rfc3339(), "eventName": "ObjectCreated:Put",
        "userIdentity": {"principalId": "EXAMPLE"}, "requestParameters": {"sourceIPAddress": "127.0.0.1"},
        "s3": {"bucket": {"name": BUCKET}, "object": {"key": key, "sequencer": "0A"}},
    });
    json!({"Records": [record]}).to_string()
}

/// Returns an SQS event whose messages are called m0, m1, … and were sent just now.
fn batch(bodies: &[String]) -> Value {
    batch_sent(bodies, now())
}

fn batch_sent(bodies: &[String], sent: DateTime<Utc>) -> Value {
    let message = |(at, body)| {
        json!({
            "messageId": format!("m{at}"), "receiptHandle": "r", "body": body,
            "attributes": {"SentTimestamp": sent.timestamp_millis().to_string(), "ApproximateReceiveCount": "1"},
            "messageAttributes": {}, "eventSource": "aws:sqs", "awsRegion": "us-east-1",
            "eventSourceARN": "arn:aws:sqs:us-east-1:111122223333:changes",
        })
    };
    let messages: Vec<_> = bodies.iter().enumerate().map(message).collect();
    json!({ "Records": messages })
}

fn failures(ids: &[&str]) -> Result<Value, Failure> {
    let failures: Vec<_> = ids.iter().map(|id| json!({"itemIdentifier": id})).collect();
    Ok(json!({ "batchItemFailures": failures }))
}

fn minute() -> cloudfront_invalidator::invocation::Invocation {
    invocation(Duration::from_secs(60))
}

#[tokio::test]
async fn sends_one_invalidation_for_messages_of_all_shapes() {
    let bed = Bed::start();
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
    let done = bed
        .handle(&batch(&[s3("a"), wrapped, bridged.to_string(), test]))
        .await;
    assert_eq!(done, failures(&[]));
    let paths = ["/a", "/b", "/c*"].map(String::from).into();
    assert_eq!(bed.taken(), [(FIRST.to_owned(), paths)]);
}

#[tokio::test]
async fn keeps_a_message_that_cannot_be_read_and_says_why_once() {
    let bed = Bed::start();
    let bodies = [
        notification("a", ago(60)),
        "{".to_owned(),
        "hello".to_owned(),
        notification("b", ago(60)),
    ];
    logged();
    assert_eq!(bed.handle(&batch(&bodies)).await, failures(&["m1", "m2"]));
    assert_eq!(
        bed.taken(),
        [(FIRST.to_owned(), vec!["/a".to_owned(), "/b".to_owned()])]
    );
    let lines: Vec<Value> = logged()
        .iter()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let errors: Vec<_> = lines
        .iter()
        .filter(|line| line["level"] == "ERROR")
        .map(|line| (line["ids"].as_str(), line["message"].as_str()))
        .collect();
    let reason = "kept for another try: the message is no JSON";
    assert_eq!(errors, [(Some("m1 m2"), Some(reason))]);
}

#[tokio::test]
async fn asks_nothing_for_a_message_that_comes_again() {
    let bed = Bed::start();
    let function = bed.function();
    let bodies: Vec<_> = (0..50)
        .map(|at| notification(&format!("blog/{at}.html"), ago(60)))
        .collect();
    let event = batch(&bodies);
    assert_eq!(function.handle(&event, &minute()).await, failures(&[]));
    let calls = bed.standin.calls().len();
    assert_eq!(function.handle(&event, &minute()).await, failures(&[]));
    assert_eq!(bed.standin.calls().len(), calls, "a warm function knows");

    // Another environment of the function asks CloudFront, and creates nothing.
    assert_eq!(bed.handle(&event).await, failures(&[]));
    assert_eq!(bed.calls(Operation::CreateInvalidation), 1);
    let message = format!("{FIRST}: nothing to invalidate; 50 already fresh since ");
    assert!(logged().iter().any(|line| line.contains(&message)));
}

#[tokio::test]
async fn asks_nothing_where_a_pipeline_has_just_cleared_everything() {
    let bed = Bed::start();
    bed.run_job(None).await;
    let done = bed
        .handle(&batch(&[
            notification("a", ago(60)),
            notification("b c", ago(30)),
        ]))
        .await;
    assert_eq!(done, failures(&[]));
    assert_eq!(bed.calls(Operation::CreateInvalidation), 1);
    // A write after the job is not fresh, nor is one that the clocks cannot tell from it.
    assert_eq!(
        bed.handle(&batch(&[notification("a", ago(2))])).await,
        failures(&[])
    );
    assert_eq!(bed.taken()[1], (FIRST.to_owned(), vec!["/a".to_owned()]));
}

#[tokio::test]
async fn goes_without_saving_where_earlier_invalidations_may_not_be_read() {
    for (operation, fault) in [
        (Operation::ListInvalidations, Fault::AccessDenied),
        (Operation::GetInvalidation, Fault::AccessDeniedBare),
        (Operation::ListInvalidations, Fault::InternalError),
        (Operation::ListInvalidations, Fault::Garbage),
    ] {
        let bed = Bed::start();
        bed.run_job(None).await;
        bed.standin.fail(operation, fault, 9);
        let function = bed.function();
        logged();
        for key in ["a", "b"] {
            let done = function
                .handle(&batch(&[notification(key, ago(60))]), &minute())
                .await;
            assert_eq!(done, failures(&[]), "{fault:?}");
        }
        assert_eq!(bed.calls(Operation::CreateInvalidation), 3, "{fault:?}");
        let looks = bed.calls(Operation::ListInvalidations);
        let denied = matches!(fault, Fault::AccessDenied | Fault::AccessDeniedBare);
        assert_eq!(
            looks == 1,
            denied,
            "{fault:?}: what is not permitted is not tried again"
        );
        let warnings = logged()
            .iter()
            .filter(|line| line.contains("\"level\":\"WARN\""))
            .count();
        assert_eq!(
            warnings,
            usize::from(denied),
            "{fault:?}: a missing permission is told once"
        );
    }
}

#[tokio::test]
async fn does_not_wait_long_for_what_only_saves() {
    let bed = Bed::start();
    bed.standin
        .fail(Operation::ListInvalidations, Fault::Hang, 9);
    let event = batch(&[notification("a", ago(60))]);
    let invocation = invocation(Duration::from_millis(2_700));
    // The look ends with the time for work, here 0.2 s: nothing is left for the invalidation, and the message is kept.
    let done = bed.function().handle(&event, &invocation).await;
    assert_eq!(done, failures(&["m0"]));
    assert!(invocation.deadline - tokio::time::Instant::now() >= Duration::from_secs(2));
}

#[tokio::test]
async fn keeps_the_messages_of_a_busy_distribution_and_no_others() {
    let bed = Bed::start().set("DISTRIBUTION_ID", &format!("{FIRST},{SECOND}"));
    bed.standin.fail(
        Operation::CreateInvalidation,
        Fault::TooManyInvalidationsInProgress,
        1,
    );
    let event = batch(&[notification("a", ago(60)), "{".to_owned()]);
    assert_eq!(bed.handle(&event).await, failures(&["m0", "m1"]));
    assert_eq!(bed.taken().len(), 1, "the other distribution has its paths");
    assert_eq!(bed.handle(&event).await, failures(&["m1"]));
    assert_eq!(bed.taken().len(), 2, "and is not asked again");
}

#[tokio::test]
async fn finds_the_path_that_cloudfront_refuses_and_sends_the_rest() {
    let bed = Bed::start();
    let keys = ["a", "b", "c", "d", "e", "f", "g"];
    let bodies: Vec<_> = keys.map(|key| notification(key, ago(60))).into();
    bed.standin.refuse_paths(&["/c"]);
    assert_eq!(bed.handle(&batch(&bodies)).await, failures(&["m2"]));
    let mut taken: Vec<_> = bed
        .taken()
        .into_iter()
        .flat_map(|(_, paths)| paths)
        .collect();
    taken.sort();
    assert_eq!(taken, ["/a", "/b", "/d", "/e", "/f", "/g"]);
    assert!(bed.calls(Operation::CreateInvalidation) <= 7);
}

#[tokio::test]
async fn plans_within_what_the_quotas_leave() {
    let clock = Clock::frozen();
    let bed = Bed::with(Options {
        clock,
        throttle: false,
        ..Options::default()
    });
    let wildcards: Vec<_> = (0..14).map(|at| format!("/{at}/*")).collect();
    let parameters = json!({ "paths": wildcards }).to_string();
    bed.run_job(Some(&parameters)).await;
    // Thirty objects need a wildcard, and one is free.
    let bodies: Vec<_> = (0..30)
        .map(|at| notification(&format!("{}/{at}", ["x", "y"][at % 2]), now()))
        .collect();
    assert_eq!(bed.handle(&batch(&bodies)).await, failures(&[]));
    let paths = bed.taken().remove(1).1;
    let wildcards: Vec<_> = paths.iter().filter(|path| path.ends_with('*')).collect();
    assert_eq!((paths.len(), wildcards.len()), (16, 1), "{paths:?}");
}

#[tokio::test]
async fn asks_for_no_wildcard_that_the_quotas_would_refuse() {
    let bed = Bed::with(Options {
        clock: Clock::frozen(),
        throttle: false,
        ..Options::default()
    });
    let wildcards: Vec<_> = (0..15).map(|at| format!("/{at}/*")).collect();
    bed.run_job(Some(&json!({ "paths": wildcards }).to_string()))
        .await;
    // One object needs a wildcard, the other none.
    let bodies = [notification("a%2Bb", now()), notification("c", now())];
    assert_eq!(bed.handle(&batch(&bodies)).await, failures(&["m0"]));
    assert_eq!(bed.taken()[1].1, ["/c"]);
    assert_eq!(bed.handle(&batch(&bodies[..1])).await, failures(&["m0"]));
    assert_eq!(
        bed.calls(Operation::CreateInvalidation),
        2,
        "no call is made in vain"
    );
    // More files than the budget allows would need a wildcard too.
    let many: Vec<_> = (0..21)
        .map(|at| notification(&format!("{at}"), now()))
        .collect();
    let ids: Vec<_> = (0..21).map(|at| format!("m{at}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    assert_eq!(bed.handle(&batch(&many)).await, failures(&ids));
}

#[tokio::test]
async fn takes_no_unreadable_message_for_a_backlog() {
    let bed = Bed::start();
    let mut event = batch(&[
        notification("blog/a", ago(60)),
        notification("blog/b", ago(60)),
        "{".to_owned(),
    ]);
    let long_ago = ago(16 * 60).timestamp_millis().to_string();
    event["Records"][2]["attributes"]["SentTimestamp"] = json!(long_ago);
    assert_eq!(bed.handle(&event).await, failures(&["m2"]));
    assert_eq!(bed.taken()[0].1, ["/blog/a", "/blog/b"]);
}

#[tokio::test]
async fn drains_a_backlog_with_one_path() {
    let bed = Bed::start();
    let bodies: Vec<_> = ["blog/a", "blog/b", "blog/c"]
        .map(|key| notification(key, ago(16 * 60)))
        .into();
    assert_eq!(
        bed.handle(&batch_sent(&bodies, ago(16 * 60))).await,
        failures(&[])
    );
    assert_eq!(
        bed.taken(),
        [(FIRST.to_owned(), vec!["/blog/*".to_owned()])]
    );
}

#[tokio::test]
async fn fails_the_changes_of_a_bucket_that_nobody_serves_and_no_others() {
    let bed = Bed::start();
    let other = notification("a", ago(60)).replace(BUCKET, "other");
    let done = bed
        .handle(&batch(&[other, notification("b", ago(60))]))
        .await;
    assert_eq!(done, failures(&["m0"]));
    assert_eq!(bed.taken(), [(FIRST.to_owned(), vec!["/b".to_owned()])]);
}

#[tokio::test]
async fn serves_the_other_distributions_where_one_cannot_be_read() {
    let bed = Bed::start().set("DISTRIBUTION_ID", &format!("{FIRST},E9EXAMPLE1ABC"));
    assert_eq!(
        bed.handle(&batch(&[notification("a", ago(60))])).await,
        failures(&["m0"])
    );
    assert_eq!(bed.taken(), [(FIRST.to_owned(), vec!["/a".to_owned()])]);
}

#[tokio::test]
async fn takes_the_most_messages_that_fit_in_one_call() {
    let bed = Bed::start();
    let bodies: Vec<_> = (0..10_000)
        .map(|at| notification(&format!("{}/{at}.html", at % 100), ago(60)))
        .collect();
    let event = batch(&bodies);
    let began = std::time::Instant::now();
    assert_eq!(bed.handle(&event).await, failures(&[]));
    assert!(
        began.elapsed() < Duration::from_secs(30),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(bed.taken().len(), 1);
    assert!(bed.taken()[0].1.len() <= 20);
}

#[tokio::test]
async fn acknowledges_a_test_event_whatever_the_settings_say() {
    let bed = Bed::start().set("MAX_PATHS", "many");
    let test =
        json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": BUCKET}).to_string();
    assert_eq!(bed.handle(&batch(&[test])).await, failures(&[]));
    // A change is not lost to a wrong setting: Lambda keeps the whole batch.
    let failure = bed.handle(&batch(&[notification("a", ago(60))])).await;
    assert_eq!(
        failure,
        Err(Failure::mistake(
            "setting MAX_PATHS: \"many\" is no number from 1 to 3000"
        ))
    );
}
