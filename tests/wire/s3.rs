//! An S3 notification becomes an invalidation, or an error that makes Lambda keep it.

use cloudfront_invalidator::failure::Cause;
use serde_json::{Value, json};

use crate::bed::{Bed, FIRST, SECOND};
use crate::standin::{Fault, Operation};

fn event(name: &str) -> Value {
    let path = format!(
        "{}/{name}.json",
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/events")
    );
    let text = std::fs::read_to_string(path).expect("a recorded event");
    serde_json::from_str(&text).expect("JSON")
}

#[tokio::test]
async fn invalidates_what_each_recorded_notification_says() {
    for (name, paths) in [
        ("s3-direct-index", vec!["/index.html"]),
        ("s3-direct-index-delete", vec!["/index.html"]),
        ("s3-direct-nested-index", vec!["/blog/index.html"]),
        ("s3-direct-copy", vec!["/copy.html"]),
        ("s3-direct-plus", vec!["/a*"]),
        (
            "s3-direct-spaces",
            vec!["/sub%20dir/page%20one.html", "/sub+dir/page+one.html"],
        ),
        (
            "s3-direct-unicode",
            vec![
                "/%C3%BCn%C3%AF/%E6%97%A5%E6%9C%AC%20%E8%AA%9E.html",
                "/%C3%BCn%C3%AF/%E6%97%A5%E6%9C%AC+%E8%AA%9E.html",
            ],
        ),
    ] {
        let bed = Bed::start();
        bed.handle(&event(name)).await.expect(name);
        let paths = paths.into_iter().map(String::from).collect();
        assert_eq!(bed.taken(), [(FIRST.to_owned(), paths)], "{name}");
    }
}

#[tokio::test]
async fn acknowledges_the_samples_of_the_events_folder() {
    for (name, text, calls) in [
        (
            "s3-object-created",
            include_str!("../../events/s3-object-created.json"),
            1,
        ),
        (
            "s3-test-event",
            include_str!("../../events/s3-test-event.json"),
            0,
        ),
    ] {
        let bed = Bed::start();
        bed.handle(&serde_json::from_str(text).expect("JSON"))
            .await
            .expect(name);
        assert_eq!(bed.standin.calls().len(), calls, "{name}");
    }
}

#[tokio::test]
async fn finds_the_invalidation_again_on_a_retry_and_makes_a_new_one_for_a_later_write() {
    let bed = Bed::start();
    let first = event("s3-direct-index");
    let mut later = first.clone();
    later["Records"][0]["s3"]["object"]["sequencer"] = json!("00000660B6BAB26864");
    for event in [&first, &first, &later] {
        bed.handle(event).await.expect("an invalidation");
    }
    let received = bed.standin.invalidations();
    let ids: Vec<_> = received
        .iter()
        .map(|one| one.outcome.clone().expect("taken"))
        .collect();
    assert_eq!(ids[0], ids[1]);
    assert_ne!(ids[0], ids[2]);
    assert_ne!(received[0].reference, received[2].reference);
}

#[tokio::test]
async fn fails_for_lambda_to_retry_when_cloudfront_takes_nothing() {
    let bed = Bed::start().set("DISTRIBUTION_ID", &format!("{FIRST},{SECOND}"));
    bed.standin.fail(
        Operation::CreateInvalidation,
        Fault::TooManyInvalidationsInProgress,
        1,
    );
    let failure = bed
        .handle(&event("s3-direct-index"))
        .await
        .expect_err("one was refused");
    assert_eq!(failure.cause, Cause::Busy);
    assert_eq!(bed.taken().len(), 1, "the other distribution got its paths");
    bed.handle(&event("s3-direct-index"))
        .await
        .expect("the retry is taken");
    let distinct: std::collections::BTreeSet<_> = bed
        .standin
        .invalidations()
        .into_iter()
        .filter_map(|one| one.outcome.ok())
        .collect();
    assert_eq!(distinct.len(), 2, "and pays for nothing twice");
}

#[tokio::test]
async fn keeps_what_it_cannot_read_for_the_dead_letter_queue_and_does_the_rest() {
    let bed = Bed::start();
    let mut event = event("s3-direct-index");
    let records = event["Records"].as_array_mut().expect("records");
    records.push(json!({"eventSource": "aws:s3", "eventName": "ObjectCreated:Put"}));
    let failure = bed
        .handle(&event)
        .await
        .expect_err("a record is unreadable");
    assert_eq!(failure.message, "Records[1]: missing field `eventTime`");
    assert_eq!(
        bed.taken(),
        [(FIRST.to_owned(), vec!["/index.html".to_owned()])]
    );
}

#[tokio::test]
async fn loses_no_notification_to_a_missing_setting() {
    let bed = Bed::start().unset("DISTRIBUTION_ID");
    let failure = bed
        .handle(&event("s3-direct-index"))
        .await
        .expect_err("nothing to invalidate");
    assert_eq!(
        failure.message,
        "setting DISTRIBUTION_ID is missing: set it to the ids of the distributions to invalidate"
    );
}

#[tokio::test]
async fn asks_for_nothing_where_nothing_changed() {
    let bed = Bed::start();
    let mut event = event("s3-direct-index");
    event["Records"][0]["eventName"] = json!("ObjectTagging:Put");
    assert_eq!(
        bed.handle(&event).await,
        Ok("nothing to invalidate".to_owned())
    );
    assert_eq!(bed.standin.calls(), []);
}

#[tokio::test]
async fn refuses_an_unknown_event() {
    let bed = Bed::start();
    let failure = bed.handle(&json!({})).await.expect_err("an unknown event");
    assert_eq!(failure.cause, Cause::Mistake);
    assert_eq!(bed.standin.calls(), []);
}
