//! An S3 notification that invokes the function directly becomes an invalidation, or an error that Lambda retries.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use cloudfront_invalidator::error::{Category, Error};
use cloudfront_invalidator::invocation::RESPONSE_RESERVE;
use serde_json::{Value, json};

use crate::fixture::{
    BUCKET, FIRST, Fixture, SECOND, configuration, denial_with_statement, distribution_arn,
    invocation, logged_at, one_minute,
};
use crate::standin::{Clock, Fault, Operation, Options};

pub fn event(name: &str) -> Value {
    let path = format!(
        "{}/{name}.json",
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/events")
    );
    let text = std::fs::read_to_string(path).expect("a recorded event");
    serde_json::from_str(&text).expect("JSON")
}

#[tokio::test]
async fn invalidates_the_object_of_each_recorded_notification() {
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
        let fixture = Fixture::start();
        fixture.handle(&event(name)).await.expect(name);
        let paths = paths.into_iter().map(String::from).collect();
        assert_eq!(fixture.accepted(), [(FIRST.to_owned(), paths)], "{name}");
    }
}

#[tokio::test]
async fn creates_one_invalidation_for_retries_and_another_for_a_later_change() {
    let fixture = Fixture::start();
    let mut first = event("s3-direct-index");
    // The event is so new that no invalidation counts as newer: the clocks can differ.
    first["Records"][0]["eventTime"] = json!(DateTime::<Utc>::from(SystemTime::now()).to_rfc3339());
    let mut later = first.clone();
    later["Records"][0]["s3"]["object"]["sequencer"] = json!("00000660B6BAB26864");
    for event in [&first, &first, &later] {
        fixture.handle(event).await.expect("an invalidation");
    }
    let received = fixture.standin.invalidations();
    let ids: Vec<_> = received
        .iter()
        .map(|invalidation| invalidation.outcome.clone().expect("an id"))
        .collect();
    assert_eq!(ids[0], ids[1]);
    assert_ne!(ids[0], ids[2]);
    assert_ne!(received[0].reference, received[2].reference);
}

#[tokio::test]
async fn returns_an_error_when_cloudfront_accepts_no_invalidation() {
    let fixture = Fixture::start().set("DISTRIBUTION_ID", &format!("{FIRST},{SECOND}"));
    fixture.standin.fail(
        Operation::CreateInvalidation,
        Fault::TooManyInvalidationsInProgress,
        1,
    );
    let error = fixture
        .handle(&event("s3-direct-index"))
        .await
        .expect_err("CloudFront rejects a batch");
    assert_eq!(error.category(), Category::Throttled);
    assert_eq!(
        fixture.accepted().len(),
        1,
        "the other distribution is invalidated"
    );
    fixture
        .handle(&event("s3-direct-index"))
        .await
        .expect("the retry succeeds");
    let distinct: BTreeSet<_> = fixture
        .standin
        .invalidations()
        .into_iter()
        .filter_map(|invalidation| invalidation.outcome.ok())
        .collect();
    assert_eq!(distinct.len(), 2, "no path is billed twice");
}

#[tokio::test]
async fn a_notification_without_the_queue_does_not_wait_while_cloudfront_throttles() {
    let fixture = Fixture::with(Options {
        clock: Clock::frozen(),
        ..Options::default()
    });
    let create = Operation::CreateInvalidation;
    // The SDK attempts a request four times.
    fixture.standin.fail(create, Fault::Throttling, 4);
    let (started, invalidator) = (fixture.standin.now(), fixture.invalidator_without_pauses());
    let event = event("s3-direct-index");
    let result = invalidator.handle(&event, &one_minute()).await;
    let error = result.expect_err("an error, after which Lambda repeats the event");
    assert_eq!(error.category(), Category::Throttled);
    assert_eq!(fixture.calls(create), 4);
    assert_eq!(fixture.standin.now(), started, "it pauses");
}

#[tokio::test]
async fn returns_an_error_for_a_record_that_cannot_be_read_and_invalidates_the_others() {
    let fixture = Fixture::start();
    let mut event = event("s3-direct-index");
    let records = event["Records"].as_array_mut().expect("records");
    records.push(json!({"eventSource": "aws:s3", "eventName": "ObjectCreated:Put"}));
    let error = fixture
        .handle(&event)
        .await
        .expect_err("a record is unreadable");
    assert_eq!(error.to_string(), "Records[1]: missing field `eventTime`");
    assert_eq!(
        fixture.accepted(),
        [(FIRST.to_owned(), vec!["/index.html".to_owned()])]
    );
}

/// Returns an account's list of distributions; the origin of each is the bucket of the recorded events with this path.
pub fn list(distributions: &[(&str, &str)]) -> String {
    let summary = |(id, origin_path): &(&str, &str)| {
        let config = configuration(BUCKET, origin_path, "");
        let (_, config) = config.split_once("<Origins>").expect("origins");
        let config = config
            .strip_suffix("</DistributionConfig>")
            .expect("an end");
        format!("<DistributionSummary><Id>{id}</Id><Origins>{config}</DistributionSummary>")
    };
    let items: String = distributions.iter().map(summary).collect();
    let quantity = distributions.len();
    format!(
        "<DistributionList xmlns=\"http://cloudfront.amazonaws.com/doc/2020-05-31/\"><Marker></Marker><MaxItems>100\
         </MaxItems><IsTruncated>false</IsTruncated><Quantity>{quantity}</Quantity><Items>{items}</Items>\
         </DistributionList>"
    )
}

#[tokio::test]
async fn invalidates_the_paths_of_each_distribution_of_a_bucket() {
    let config = |id: &str| format!("distribution/{id}/config");
    let options = Options::default()
        .with_document(
            "distribution",
            &list(&[(FIRST, "/blog"), (SECOND, "/shop")]),
        )
        .with_document(
            &config(FIRST),
            &configuration(BUCKET, "/blog", "index.html"),
        )
        .with_document(&config(SECOND), &configuration(BUCKET, "/shop", ""));
    let fixture = Fixture::with(options).unset("DISTRIBUTION_ID");
    let text = fixture
        .handle(&event("s3-direct-nested-index"))
        .await
        .expect("an invalidation");
    assert_eq!(
        fixture.accepted(),
        [(
            FIRST.to_owned(),
            vec!["/".to_owned(), "/index.html".to_owned()]
        )]
    );
    let id = fixture.first_id();
    assert_eq!(
        text,
        format!(
            "{FIRST}: submitted as {id} (1 object became 2 paths: / /index.html); blog/index.html is also / (default \
             root object); {SECOND}: nothing to invalidate; 1 outside origin path /shop: blog/index.html"
        )
    );
}

#[tokio::test]
async fn invalidates_for_a_bucket_of_another_region_and_account() {
    let fixture = Fixture::start().set("DISTRIBUTION_ID", SECOND);
    let mut direct = event("s3-direct-index");
    direct["Records"][0]["awsRegion"] = json!("ap-southeast-2");
    direct["Records"][0]["s3"]["bucket"]["ownerIdentity"]["principalId"] = json!("AOTHER");
    fixture.handle(&direct).await.expect("an invalidation");
    let mut forwarded = event("s3-eb-nested-index");
    forwarded["account"] = json!("444455556666");
    forwarded["region"] = json!("ap-southeast-2");
    forwarded["detail"]["bucket"]["name"] = json!(BUCKET);
    fixture.handle(&forwarded).await.expect("an invalidation");
    let expected = ["/index.html", "/blog/index.html"];
    let expected = expected.map(|path| (SECOND.to_owned(), vec![path.to_owned()]));
    assert_eq!(fixture.accepted(), expected);
}

#[tokio::test]
async fn returns_an_error_for_a_bucket_without_a_distribution() {
    let options = Options::default().with_document("distribution", &list(&[]));
    let fixture = Fixture::with(options).unset("DISTRIBUTION_ID");
    let error = fixture
        .handle(&event("s3-direct-index"))
        .await
        .expect_err("no distribution");
    assert_eq!(
        error,
        Error::invalid_input(
            "no distribution of this account has bucket tiny-direct-cfn as an origin: set DISTRIBUTION_ID if one reaches \
             it by another name, deploy the function in the distribution's account if that is another one, or remove \
             the bucket's notification"
        )
    );

    let path = format!("distribution/{FIRST}/config");
    let fixture =
        Fixture::with(Options::default().with_document(&path, &configuration("other", "", "")));
    let error = fixture
        .handle(&event("s3-direct-index"))
        .await
        .expect_err("no distribution");
    assert_eq!(
        error,
        Error::invalid_input(
            "bucket tiny-direct-cfn is not an origin of E1EXAMPLE1ABC: correct DISTRIBUTION_ID, or remove the bucket's \
             notification"
        )
    );
    assert_eq!(fixture.accepted(), []);
    // The configurations are not cached, so that a correction has an immediate effect.
    let invalidator = fixture.invalidator();
    for _ in 0..2 {
        invalidator
            .handle(&event("s3-direct-index"), &one_minute())
            .await
            .expect_err("no distribution");
    }
    assert_eq!(fixture.calls(Operation::GetDistributionConfig), 3);
}

#[tokio::test]
async fn assumes_index_documents_when_reading_the_configuration_is_denied() {
    for (fault, code) in [
        (Fault::AccessDenied, "AccessDenied"),
        (Fault::AccessDeniedBare, "HTTP status 403"),
    ] {
        let fixture = Fixture::start();
        fixture
            .standin
            .fail(Operation::GetDistributionConfig, fault, 1);
        let invalidator = fixture.invalidator();
        for name in ["s3-direct-index", "s3-direct-nested-index"] {
            invalidator
                .handle(&event(name), &one_minute())
                .await
                .expect(name);
        }
        let paths = |paths: &[&str]| {
            let paths = paths.iter().map(|path| (*path).to_owned());
            (FIRST.to_owned(), paths.collect())
        };
        assert_eq!(
            fixture.accepted(),
            [
                paths(&["/", "/index", "/index.html"]),
                paths(&["/blog", "/blog/", "/blog/index", "/blog/index.html"]),
            ]
        );
        let warnings = logged_at("WARN");
        let [line] = &warnings[..] else {
            panic!("not one warning but {warnings:#?}");
        };
        let denied = denial_with_statement(
            code,
            "cloudfront:GetDistributionConfig",
            &distribution_arn(FIRST),
        );
        assert_eq!(
            line["message"],
            format!(
                "index.html is assumed to be the default root object and an index document: {denied}"
            )
        );
    }
}

#[tokio::test]
async fn returns_an_error_when_listing_distributions_is_denied() {
    let fixture = Fixture::start().unset("DISTRIBUTION_ID");
    fixture
        .standin
        .fail(Operation::ListDistributions, Fault::AccessDenied, 1);
    let error = fixture
        .handle(&event("s3-direct-index"))
        .await
        .expect_err("no distribution is found");
    assert_eq!(error.category(), Category::Permission);
    assert_eq!(
        error.to_string(),
        denial_with_statement("AccessDenied", "cloudfront:ListDistributions", "*")
    );
}

#[tokio::test]
async fn uses_a_configuration_for_older_changes_for_five_minutes() {
    let fixture = Fixture::start();
    let invalidator = fixture.invalidator();
    let reads = || fixture.calls(Operation::GetDistributionConfig);
    for _ in 0..2 {
        invalidator
            .handle(&event("s3-direct-index"), &one_minute())
            .await
            .expect("an invalidation");
    }
    assert_eq!(reads(), 1);
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(5 * 60)).await;
    tokio::time::resume();
    invalidator
        .handle(&event("s3-direct-index"), &one_minute())
        .await
        .expect("an invalidation");
    assert_eq!(reads(), 2);
}

#[tokio::test]
async fn returns_an_error_in_time_when_reading_the_configuration_hangs() {
    let fixture = Fixture::start();
    fixture
        .standin
        .fail(Operation::GetDistributionConfig, Fault::Hang, 9);
    let invocation = invocation(RESPONSE_RESERVE + Duration::from_millis(100));
    let error = fixture
        .invalidator()
        .handle(&event("s3-direct-index"), &invocation)
        .await
        .expect_err("no configuration");
    assert_eq!(error.category(), Category::Unavailable);
    assert_eq!(
        error.to_string(),
        "could not read the configuration of E1EXAMPLE1ABC: no response in time; try again"
    );
    let left = invocation.deadline - tokio::time::Instant::now();
    assert!(
        left >= RESPONSE_RESERVE - Duration::from_millis(500),
        "{left:?} left"
    );
}

#[tokio::test]
async fn sends_few_paths_for_many_objects() {
    let fixture = Fixture::start();
    let mut event = event("s3-direct-index");
    let record = event["Records"][0].clone();
    let records = (0..412).map(|number| {
        let mut record = record.clone();
        record["s3"]["object"]["key"] = json!(format!("blog/{}/{number}.html", number % 2));
        record
    });
    event["Records"] = records.collect::<Vec<_>>().into();
    let text = fixture.handle(&event).await.expect("an invalidation");
    let id = fixture.first_id();
    let paths = fixture.accepted().remove(0).1;
    assert_eq!(paths.len(), 20);
    let (summary, reasons) = text
        .as_str()
        .and_then(|text| text.split_once("); "))
        .expect("reasons");
    assert_eq!(
        summary,
        format!(
            "{FIRST}: submitted as {id} (412 objects became 20 paths: {}",
            paths.join(" ")
        )
    );
    let replaced = |reason: &str| {
        let (_, count) = reason.strip_suffix(" paths")?.rsplit_once(" replaces ")?;
        count.parse::<usize>().ok()
    };
    let merged: usize = reasons.split("; ").filter_map(replaced).sum();
    let files = paths.iter().filter(|path| !path.ends_with('*')).count();
    assert_eq!(merged + files, 412, "{reasons}");
}

#[tokio::test]
async fn makes_no_call_for_events_that_change_nothing() {
    let fixture = Fixture::start();
    let mut event = event("s3-direct-index");
    event["Records"][0]["eventName"] = json!("ObjectTagging:Put");
    let returned = fixture.handle(&event).await;
    assert_eq!(returned, Ok("nothing to invalidate".into()));
    assert_eq!(fixture.standin.calls(), []);
}

#[tokio::test]
async fn returns_an_error_for_an_unknown_event() {
    let fixture = Fixture::start();
    let error = fixture
        .handle(&json!({}))
        .await
        .expect_err("an unknown event");
    assert_eq!(error.category(), Category::InvalidInput);
    assert_eq!(fixture.standin.calls(), []);
}
