//! The metrics that an invocation writes, and the fields of the log that name who requested an invalidation.
//!
//! Each line is checked against the rules of the embedded metric format (`emf.schema.json`, with its source).

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use boon::{Compiler, Schemas};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::fixture::{
    ALWAYS, BUCKET, FIRST, Fixture, SECOND, configuration, logged, logged_at, metric_lines,
    one_minute, short_invocation,
};
use crate::queue::{batch_sent, failures, notification};
use crate::slack::bed::SlackBed;
use crate::standin::{Clock, Fault, Operation, Options};
use crate::verification::{self, HOST};

/// How long before an invocation the objects change.
const LAG: TimeDelta = TimeDelta::seconds(45);

fn frozen() -> Options {
    Options {
        clock: Clock::frozen(),
        throttle: false,
        ..Options::default()
    }
}

/// Returns the time of the stand-in.
fn now(fixture: &Fixture) -> DateTime<Utc> {
    fixture.standin.now().into()
}

/// Returns an SQS event with a message for each key, whose object changed before the time by [`LAG`].
fn changes(keys: &[&str], now: DateTime<Utc>) -> Value {
    let bodies: Vec<_> = keys
        .iter()
        .map(|key| notification(key, now - LAG))
        .collect();
    batch_sent(&bodies, now)
}

/// Returns the lines that were written since the last call, after they were checked against the format.
fn written() -> Vec<Value> {
    let schema = serde_json::from_str(include_str!("emf.schema.json")).expect("JSON");
    let mut schemas = Schemas::new();
    let mut compiler = Compiler::new();
    compiler
        .add_resource("emf.json", schema)
        .expect("a resource");
    let schema = compiler
        .compile("emf.json", &mut schemas)
        .expect("a schema");
    let lines = metric_lines();
    for line in &lines {
        if let Err(error) = schemas.validate(line, schema) {
            panic!("{line:#}: {error}");
        }
        for directive in line["_aws"]["CloudWatchMetrics"]
            .as_array()
            .into_iter()
            .flatten()
        {
            for metric in directive["Metrics"].as_array().into_iter().flatten() {
                let name = metric["Name"].as_str().expect("a name");
                assert!(line[name].is_number(), "{name} in {line:#}");
            }
            let keys = directive["Dimensions"].as_array().into_iter().flatten();
            for key in keys.flat_map(|keys| keys.as_array().into_iter().flatten()) {
                let key = key.as_str().expect("a key");
                assert!(line[key].is_string(), "{key} in {line:#}");
            }
        }
    }
    lines
}

/// Returns the values of a line by the names of the metrics.
fn values(line: &Value) -> BTreeMap<String, Value> {
    let metrics = line["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array();
    let names = metrics.into_iter().flatten().map(|metric| &metric["Name"]);
    let values = names.map(|name| {
        let name = name.as_str().expect("a name");
        (name.to_owned(), line[name].clone())
    });
    values.collect()
}

/// Returns the caller and the values of the only line that was written since the last call.
fn only_line() -> (String, BTreeMap<String, Value>) {
    let lines = written();
    let [line] = &lines[..] else {
        panic!("not one line: {lines:#?}")
    };
    let caller = line["caller"].as_str().expect("a caller");
    (caller.to_owned(), values(line))
}

fn expected(caller: &str, values: Value) -> (String, BTreeMap<String, Value>) {
    let values = values.as_object().cloned().expect("an object");
    (caller.to_owned(), values.into_iter().collect())
}

#[tokio::test]
async fn counts_changed_objects_their_invalidation_and_what_wildcards_saved() {
    let fixture = Fixture::with(frozen()).set("MAX_PATHS", "2");
    let keys = ["a/1", "a/2", "a/3", "a/3", "index.html"];
    let event = changes(&keys, now(&fixture));
    assert_eq!(fixture.handle(&event).await, failures(&[]));
    let paths = fixture.accepted()[0].1.len();
    assert_eq!(paths, 2);
    let values = json!({
        "Invalidations": 1, "Paths": 2, "ObjectsChanged": 4, "PathsSaved": 5 - 2, "FreshnessLag": 45.0,
    });
    // index.html is the default root object of no distribution here, so it has one path.
    assert_eq!(only_line(), expected("s3", values));
}

#[tokio::test]
async fn the_lag_leaves_out_a_change_with_an_invented_time() {
    let fixture = Fixture::with(frozen());
    let now = now(&fixture);
    let year_1970 = DateTime::UNIX_EPOCH;
    let event = |bodies: &[String]| batch_sent(bodies, now);
    let (sample, change) = (notification("a", year_1970), notification("b", now - LAG));
    assert_eq!(
        fixture.handle(&event(&[sample, change])).await,
        failures(&[])
    );
    let values = json!({
        "Invalidations": 1, "Paths": 2, "ObjectsChanged": 2, "PathsSaved": 0, "FreshnessLag": 45.0,
    });
    assert_eq!(only_line(), expected("s3", values));
    let future = notification("c", now + TimeDelta::days(40_000));
    assert_eq!(fixture.handle(&event(&[future])).await, failures(&[]));
    let values = json!({
        "Invalidations": 1, "Paths": 1, "ObjectsChanged": 1, "PathsSaved": 0, "FreshnessLag": 0.0,
    });
    assert_eq!(only_line(), expected("s3", values));
}

#[tokio::test]
async fn counts_files_that_need_no_invalidation_as_saved() {
    let fixture = Fixture::with(frozen());
    let chunk = "_next/static/chunks/main-c9d26e0caf71ac90.js";
    let event = changes(&[chunk, "a"], now(&fixture));
    assert_eq!(fixture.handle(&event).await, failures(&[]));
    let values = json!({
        "Invalidations": 1, "Paths": 1, "ObjectsChanged": 2, "PathsSaved": 1, "FreshnessLag": 45.0,
    });
    assert_eq!(only_line(), expected("s3", values));
}

#[tokio::test]
async fn a_retry_that_finds_its_invalidation_is_not_counted_again() {
    let fixture = Fixture::with(frozen());
    let event = changes(&["a"], now(&fixture));
    assert_eq!(fixture.handle(&event).await, failures(&[]));
    written();
    // Nothing can be listed, so the same batch is sent again.
    fixture.standin.advance(Duration::from_secs(60));
    let list = Operation::ListInvalidations;
    fixture.standin.fail(list, Fault::AccessDenied, ALWAYS);
    assert_eq!(fixture.handle(&event).await, failures(&[]));
    assert_eq!(fixture.calls(Operation::CreateInvalidation), 2);
    let values = json!({"ObjectsChanged": 1, "PathsSaved": 0, "FreshnessLag": 45.0});
    assert_eq!(only_line(), expected("s3", values));
    // With the list, the change is covered already.
    fixture.standin.recover();
    assert_eq!(fixture.handle(&event).await, failures(&[]));
    let values = json!({"ObjectsChanged": 1, "PathsSaved": 1});
    assert_eq!(only_line(), expected("s3", values));
}

#[tokio::test]
async fn a_message_that_is_received_again_saves_nothing_where_its_changes_are_covered_already() {
    let document = |id: &str| format!("distribution/{id}/config");
    let options = frozen()
        .with_document(&document(FIRST), &configuration(BUCKET, "", ""))
        .with_document(&document(SECOND), &configuration(BUCKET, "", ""));
    let fixture = Fixture::with(options)
        .set("DISTRIBUTION_ID", &format!("{FIRST},{SECOND}"))
        .set("METRICS_BY_DISTRIBUTION", "true");
    let mut event = changes(&["a"], now(&fixture));
    let create = Operation::CreateInvalidation;
    (fixture.standin).fail_for(SECOND, create, Fault::AccessDenied, ALWAYS);
    assert_eq!(fixture.handle(&event).await, failures(&["m0"]));
    written();
    fixture.standin.recover();
    fixture.standin.advance(Duration::from_secs(60));
    event["Records"][0]["attributes"]["ApproximateReceiveCount"] = "2".into();
    assert_eq!(fixture.handle(&event).await, failures(&[]));
    let lines = written();
    let lines = lines
        .iter()
        .map(|line| (line["DistributionId"].as_str(), values(line)));
    let values = json!({
        "Invalidations": 1, "Paths": 1, "ObjectsChanged": 1, "PathsSaved": 0, "FreshnessLag": 105.0,
    });
    let (_, values) = expected("s3", values);
    assert_eq!(
        lines.collect::<Vec<_>>(),
        [(None, values.clone()), (Some(SECOND), values)]
    );
}

#[tokio::test]
async fn a_throttled_batch_is_an_error_only_when_it_is_not_retried() {
    let fixture = Fixture::with(frozen());
    let create = Operation::CreateInvalidation;
    let mut event = changes(&["a", "b"], now(&fixture));
    fixture.standin.fail(create, Fault::Throttling, 2 * ALWAYS);
    let invalidator = fixture.invalidator();
    let response = invalidator.handle(&event, &short_invocation()).await;
    assert_eq!(response, failures(&["m0", "m1"]));
    let throttled = json!({"Throttled": 1});
    assert_eq!(only_line(), expected("s3", throttled));
    event["Records"][1]["attributes"]["ApproximateReceiveCount"] = "10".into();
    let response = invalidator.handle(&event, &short_invocation()).await;
    assert_eq!(response, failures(&["m0", "m1"]));
    let values = json!({"Throttled": 1, "Errors": 1});
    assert_eq!(only_line(), expected("s3", values));
}

#[tokio::test]
async fn each_request_that_cloudfront_throttles_counts() {
    let fixture = Fixture::with(frozen());
    let event = changes(&["a"], now(&fixture));
    // The SDK attempts a request four times.
    (fixture.standin).fail(Operation::CreateInvalidation, Fault::Throttling, 8);
    let invalidator = fixture.invalidator_without_pauses();
    let response = invalidator.handle(&event, &one_minute()).await;
    assert_eq!(response, failures(&[]));
    let values = json!({
        "Throttled": 2, "Invalidations": 1, "Paths": 1, "ObjectsChanged": 1, "PathsSaved": 0, "FreshnessLag": 49.0,
    });
    assert_eq!(only_line(), expected("s3", values));
}

#[tokio::test]
async fn a_message_that_cannot_be_read_and_a_missing_permission_are_errors_at_once() {
    let fixture = Fixture::with(frozen());
    let create = Operation::CreateInvalidation;
    fixture.standin.fail(create, Fault::AccessDenied, ALWAYS);
    let now = now(&fixture);
    let event = batch_sent(&["{}".to_owned(), notification("a", now - LAG)], now);
    assert_eq!(fixture.handle(&event).await, failures(&["m0", "m1"]));
    let values = json!({"Errors": 2});
    assert_eq!(only_line(), expected("s3", values));
}

#[tokio::test]
async fn an_event_that_nobody_understands_is_an_error_and_one_that_changes_nothing_writes_no_line()
{
    let fixture = Fixture::start();
    fixture
        .handle(&json!({}))
        .await
        .expect_err("an unknown event");
    assert_eq!(only_line(), expected("unknown", json!({"Errors": 1})));
    let test = json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": BUCKET});
    fixture.handle(&test).await.expect("a text");
    assert_eq!(written(), [] as [Value; 0]);
    let silent = Fixture::start().set("METRICS_NAMESPACE", "none");
    silent
        .handle(&json!({}))
        .await
        .expect_err("an unknown event");
    assert_eq!(written(), [] as [Value; 0]);
}

#[tokio::test]
async fn counts_the_paths_of_a_job_once_and_a_job_that_fails_as_an_error() {
    let fixture = Fixture::with(frozen());
    let job = fixture
        .standin
        .start_job(Some(r#"{"paths": ["/a", "/b"]}"#));
    fixture.handle(&job.event).await.expect("a result");
    let values = json!({"Invalidations": 1, "Paths": 2});
    assert_eq!(only_line(), expected("codepipeline", values));
    // Lambda delivers an asynchronous event twice at times.
    fixture.standin.advance(Duration::from_secs(60));
    fixture.handle(&job.event).await.expect("a result");
    assert_eq!(written(), [] as [Value; 0]);
    let mistaken = fixture.standin.start_job(Some(r#"{"paths": []}"#));
    fixture.handle(&mistaken.event).await.expect("a result");
    assert_eq!(only_line(), expected("codepipeline", json!({"Errors": 1})));
}

#[tokio::test]
async fn counts_the_urls_that_are_still_old_and_zero_if_none_is() {
    let fixture = verification::account(0);
    for (key, cached, stale) in [("a.html", "/a.html", 0), ("a+b.html", "/a%2Bb.html", 1)] {
        fixture.standin.put_object(BUCKET, key, "old");
        verification::cache(&fixture, &[(HOST, cached)]);
        let parameters = json!({"paths": [format!("/{key}")], "wait": true, "verify": true});
        let job = fixture.standin.start_job(Some(&parameters.to_string()));
        fixture.handle(&job.event).await.expect("a result");
        let (_, values) = only_line();
        assert_eq!(values.get("StaleUrls"), Some(&json!(stale)), "{key}");
    }
}

#[tokio::test]
async fn writes_a_line_for_each_distribution_if_the_settings_request_it() {
    let document = |id: &str| format!("distribution/{id}/config");
    let options = frozen()
        .with_document(&document(FIRST), &configuration(BUCKET, "", ""))
        .with_document(&document(SECOND), &configuration(BUCKET, "", ""));
    let fixture = Fixture::with(options)
        .set("DISTRIBUTION_ID", &format!("{FIRST},{SECOND}"))
        .set("METRICS_BY_DISTRIBUTION", "true");
    let event = changes(&["a", "b"], now(&fixture));
    assert_eq!(fixture.handle(&event).await, failures(&[]));
    let lines = written();
    let summary: Vec<_> = lines
        .iter()
        .map(|line| (line["DistributionId"].as_str(), values(line)))
        .collect();
    let of = |invalidations: u64| {
        let values = json!({
            "Invalidations": invalidations, "Paths": 2 * invalidations, "ObjectsChanged": 2, "PathsSaved": 0,
            "FreshnessLag": 45.0,
        });
        expected("", values).1
    };
    assert_eq!(
        summary,
        [(None, of(2)), (Some(FIRST), of(1)), (Some(SECOND), of(1))]
    );
}

#[tokio::test]
async fn a_mistake_of_a_person_in_slack_is_no_error_and_a_missing_permission_is_one() {
    let bed = SlackBed::start();
    bed.reply("/a /b").await;
    let values = json!({"Invalidations": 1, "Paths": 2});
    assert_eq!(only_line(), expected("slack", values));
    let standin = &bed.fixture.standin;
    standin.refuse_paths(&["/bad"]);
    for mistake in ["nothing-like-this", "/bad"] {
        bed.reply(mistake).await;
        assert_eq!(written(), [] as [Value; 0], "{mistake}");
    }
    let create = Operation::CreateInvalidation;
    standin.fail(create, Fault::AccessDenied, ALWAYS);
    bed.reply("/c").await;
    assert_eq!(only_line(), expected("slack", json!({"Errors": 1})));
}

/// Returns the fields of the line of the first invalidation that was logged since the last call.
fn invalidation_line() -> Value {
    let lines = logged_at("INFO").into_iter();
    let mut lines = lines.filter(|line| line.get("invalidation").is_some());
    let mut line = lines.next().expect("a line of an invalidation");
    let fields = line.as_object_mut().expect("an object");
    for varying in ["timestamp", "reference", "invalidation", "message"] {
        fields.remove(varying).expect(varying);
    }
    line
}

#[tokio::test]
async fn the_line_of_an_invalidation_names_the_pipeline_and_the_job() {
    let fixture = Fixture::start();
    logged();
    let mut job = fixture
        .standin
        .start_job(Some(r#"{"paths": ["/a", "/b"]}"#));
    let location = "/CodePipeline.job/data/inputArtifacts/0/location/s3Location/objectKey";
    *job.event.pointer_mut(location).expect("an artifact") = "shop-website-deploym/Build/x7".into();
    fixture.handle(&job.event).await.expect("a result");
    let expected = json!({
        "level": "INFO", "caller": "codepipeline", "job": job.id, "pipeline": "shop-website-deploym",
        "distribution": FIRST, "paths": 2,
    });
    assert_eq!(invalidation_line(), expected);
}

#[tokio::test]
async fn the_line_of_an_invalidation_names_the_buckets_and_the_number_of_objects() {
    let fixture = Fixture::start();
    logged();
    let now = SystemTime::now().into();
    let event = changes(&["a", "b", "b"], now);
    assert_eq!(fixture.handle(&event).await, failures(&[]));
    let expected = json!({
        "level": "INFO", "caller": "s3", "distribution": FIRST, "paths": 2, "objects": 2, "buckets": BUCKET,
    });
    assert_eq!(invalidation_line(), expected);
}

#[tokio::test]
async fn the_line_of_an_invalidation_names_who_invoked_the_function_as_unverified() {
    let fixture = Fixture::start();
    logged();
    let event = json!({"paths": "/a", "requestedBy": "Ada"});
    let handled = fixture.invalidator().handle(&event, &one_minute()).await;
    handled.expect("an object");
    let expected = json!({
        "level": "INFO", "caller": "direct", "requestedByUnverified": "Ada", "distribution": FIRST, "paths": 1,
    });
    assert_eq!(invalidation_line(), expected);
}

#[tokio::test]
async fn every_line_about_a_job_has_its_id() {
    let fixture = Fixture::start();
    logged();
    let create = Operation::CreateInvalidation;
    fixture.standin.fail(create, Fault::AccessDenied, ALWAYS);
    let job = fixture.standin.start_job(None);
    fixture.handle(&job.event).await.expect("a result");
    let lines = logged();
    let lines: Vec<Value> = lines
        .iter()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert!(!lines.is_empty());
    for line in lines {
        assert_eq!(
            (&line["caller"], &line["job"]),
            (&json!("codepipeline"), &json!(job.id))
        );
    }
}
