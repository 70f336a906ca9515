//! An S3 notification becomes an invalidation, or an error that makes Lambda keep it.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use cloudfront_invalidator::failure::{Cause, Failure};
use serde_json::{Value, json};

use crate::bed::{BUCKET, Bed, FIRST, SECOND, configuration, invocation, logged};
use crate::standin::{Fault, Operation, Options};

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
async fn takes_the_samples_of_the_events_folder() {
    let path = format!("distribution/{FIRST}/config");
    let site = configuration("example-site", "", "");
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/events");
    let mut taken = std::collections::BTreeMap::new();
    for file in std::fs::read_dir(folder).expect("the events folder") {
        let file = file.expect("an entry");
        let event = std::fs::read_to_string(file.path()).expect("a sample");
        let event: Value = serde_json::from_str(&event).expect("JSON");
        let bed = Bed::with(Options::default().with_document(&path, &site));
        // The stand-in knows neither the job of the sample nor its distribution.
        let is_job = event.get("CodePipeline.job").is_some();
        assert_eq!(bed.handle(&event).await.is_err(), is_job, "{file:?}");
        let paths: Vec<_> = bed
            .taken()
            .into_iter()
            .flat_map(|(_, paths)| paths)
            .collect();
        taken.insert(file.file_name().into_string().expect("a name"), paths.len());
    }
    let expected = [
        ("codepipeline-job.json", 0),
        ("eventbridge-object-deleted.json", 2),
        ("s3-object-created.json", 2),
        ("s3-test-event.json", 0),
        ("sns-notification.json", 1),
        ("sqs-batch.json", 1),
    ];
    assert_eq!(
        taken,
        expected
            .map(|(name, paths)| (name.to_owned(), paths))
            .into()
    );
}

#[tokio::test]
async fn finds_the_invalidation_again_on_a_retry_and_makes_a_new_one_for_a_later_write() {
    let bed = Bed::start();
    let mut first = event("s3-direct-index");
    // As long as the clocks may differ, no invalidation counts as newer.
    first["Records"][0]["eventTime"] = json!(DateTime::<Utc>::from(SystemTime::now()).to_rfc3339());
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

/// Returns the list of an account's distributions, each with the bucket of the recorded events behind its origin path.
fn list(distributions: &[(&str, &str)]) -> String {
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
async fn gives_each_distribution_of_a_bucket_its_own_paths() {
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
    let bed = Bed::with(options).unset("DISTRIBUTION_ID");
    let done = bed
        .handle(&event("s3-direct-nested-index"))
        .await
        .expect("an invalidation");
    let taken = bed.taken();
    assert_eq!(
        taken,
        [(
            FIRST.to_owned(),
            vec!["/".to_owned(), "/index.html".to_owned()]
        )]
    );
    let id = bed.standin.invalidations()[0]
        .outcome
        .clone()
        .expect("taken");
    assert_eq!(
        done,
        format!(
            "{FIRST}: submitted as {id} (1 object became 2 paths: / /index.html); blog/index.html is also / (default \
             root object); {SECOND}: nothing to invalidate; 1 outside origin path /shop: blog/index.html"
        )
    );
}

#[tokio::test]
async fn keeps_the_event_of_a_bucket_that_no_distribution_serves() {
    let options = Options::default().with_document("distribution", &list(&[]));
    let bed = Bed::with(options).unset("DISTRIBUTION_ID");
    let failure = bed
        .handle(&event("s3-direct-index"))
        .await
        .expect_err("nobody serves it");
    assert_eq!(
        failure,
        Failure::mistake(
            "no distribution of this account has bucket tiny-direct-cfn as an origin: remove the bucket's \
             notification, or name the distribution in DISTRIBUTION_ID"
        )
    );

    let path = format!("distribution/{FIRST}/config");
    let bed = Bed::with(Options::default().with_document(&path, &configuration("other", "", "")));
    let failure = bed
        .handle(&event("s3-direct-index"))
        .await
        .expect_err("nobody serves it");
    assert_eq!(
        failure,
        Failure::mistake(
            "bucket tiny-direct-cfn is no origin of E1EXAMPLE1ABC: correct DISTRIBUTION_ID, or remove the bucket's \
             notification"
        )
    );
    assert_eq!(bed.taken(), []);
    // Whoever mends it need not wait for the function to forget.
    let function = bed.function();
    for _ in 0..2 {
        let minute = invocation(Duration::from_secs(60));
        function
            .handle(&event("s3-direct-index"), &minute)
            .await
            .expect_err("nobody serves it");
    }
    assert_eq!(bed.calls(Operation::GetDistributionConfig), 3);
}

#[tokio::test]
async fn takes_the_key_for_the_path_where_the_configuration_may_not_be_read() {
    for fault in [Fault::AccessDenied, Fault::AccessDeniedBare] {
        let bed = Bed::start();
        bed.standin.fail(Operation::GetDistributionConfig, fault, 1);
        let function = bed.function();
        for name in ["s3-direct-index", "s3-direct-nested-index"] {
            function
                .handle(&event(name), &invocation(Duration::from_secs(60)))
                .await
                .expect(name);
        }
        let paths = |path: &str| (FIRST.to_owned(), vec![path.to_owned()]);
        assert_eq!(
            bed.taken(),
            [paths("/index.html"), paths("/blog/index.html")]
        );
        let mut warnings = logged();
        warnings.retain(|line| line.contains("\"level\":\"WARN\""));
        let [line] = &warnings[..] else {
            panic!("the warning comes once: {warnings:#?}");
        };
        let line: Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(
            line["message"],
            "paths are told from keys alone: not allowed to call cloudfront:GetDistributionConfig on \
             arn:aws:cloudfront::111122223333:distribution/E1EXAMPLE1ABC: add this statement to the policy of the \
             function's role: {\"Effect\":\"Allow\",\"Action\":\"cloudfront:GetDistributionConfig\",\"Resource\":\
             \"arn:aws:cloudfront::111122223333:distribution/E1EXAMPLE1ABC\"}"
        );
    }
}

#[tokio::test]
async fn keeps_the_event_where_distributions_must_be_found_and_may_not_be_listed() {
    let bed = Bed::start().unset("DISTRIBUTION_ID");
    bed.standin
        .fail(Operation::ListDistributions, Fault::AccessDenied, 1);
    let failure = bed
        .handle(&event("s3-direct-index"))
        .await
        .expect_err("no distribution is known");
    assert_eq!(
        failure,
        Failure::missing_permission("cloudfront:ListDistributions", "*")
    );
}

#[tokio::test]
async fn remembers_configurations_for_minutes_and_not_for_ever() {
    let bed = Bed::start();
    let function = bed.function();
    let reads = || bed.calls(Operation::GetDistributionConfig);
    for _ in 0..2 {
        function
            .handle(
                &event("s3-direct-index"),
                &invocation(Duration::from_secs(60)),
            )
            .await
            .expect("done");
    }
    assert_eq!(reads(), 1);
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(5 * 60)).await;
    tokio::time::resume();
    function
        .handle(
            &event("s3-direct-index"),
            &invocation(Duration::from_secs(60)),
        )
        .await
        .expect("done");
    assert_eq!(reads(), 2);
}

#[tokio::test]
async fn fails_in_time_when_a_configuration_is_not_told() {
    let bed = Bed::start();
    bed.standin
        .fail(Operation::GetDistributionConfig, Fault::Hang, 9);
    let invocation = invocation(Duration::from_millis(2_600));
    let failure = bed
        .function()
        .handle(&event("s3-direct-index"), &invocation)
        .await
        .expect_err("no answer");
    assert_eq!(failure, Failure::out_of_time());
    assert!(invocation.deadline - tokio::time::Instant::now() >= Duration::from_secs(2));
}

#[tokio::test]
async fn sends_few_paths_for_many_objects() {
    let bed = Bed::start();
    let mut event = event("s3-direct-index");
    let record = event["Records"][0].clone();
    let records = (0..412).map(|at| {
        let mut record = record.clone();
        record["s3"]["object"]["key"] = json!(format!("blog/{}/{at}.html", at % 2));
        record
    });
    event["Records"] = records.collect::<Vec<_>>().into();
    let done = bed.handle(&event).await.expect("an invalidation");
    let id = bed.standin.invalidations()[0]
        .outcome
        .clone()
        .expect("taken");
    let paths = bed.taken().remove(0).1;
    assert_eq!(paths.len(), 20);
    let (summary, reasons) = done
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
    let stands_for = |reason: &str| reason.rsplit_once(" stands for ")?.1.parse::<usize>().ok();
    let merged: usize = reasons.split("; ").filter_map(stands_for).sum();
    let files = paths.iter().filter(|path| !path.ends_with('*')).count();
    assert_eq!(merged + files, 412, "{reasons}");
}

#[tokio::test]
async fn asks_for_nothing_where_nothing_changed() {
    let bed = Bed::start();
    let mut event = event("s3-direct-index");
    event["Records"][0]["eventName"] = json!("ObjectTagging:Put");
    let done = bed.handle(&event).await;
    assert_eq!(done, Ok("nothing to invalidate".into()));
    assert_eq!(bed.standin.calls(), []);
}

#[tokio::test]
async fn refuses_an_unknown_event() {
    let bed = Bed::start();
    let failure = bed.handle(&json!({})).await.expect_err("an unknown event");
    assert_eq!(failure.cause, Cause::Mistake);
    assert_eq!(bed.standin.calls(), []);
}
