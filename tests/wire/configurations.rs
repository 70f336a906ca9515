//! A configuration that is unknown, uncertain or older than the change never leaves a copy stale.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use cloudfront_invalidator::handler::Invalidator;
use cloudfront_invalidator::invocation::{Invocation, RESPONSE_RESERVE};
use serde_json::Value;

use crate::fixture::{
    ALWAYS, BUCKET, FIRST, Fixture, SECOND, configuration, invocation, logged, logged_at,
    one_minute,
};
use crate::queue::{ago, batch, batch_sent, failures, notification, now};
use crate::s3::list;
use crate::standin::{Clock, Fault, Operation, Options};

const SERVER: &str = "origin.example.com";
const ACCESS_POINT: &str =
    "site-ap-x1c7example9nt4kqe5tb2hnepheuse1a-s3alias.s3.us-east-1.amazonaws.com";

/// A cache policy that AWS does not manage.
pub const CACHE_POLICY: &str = "2766f7b2-75c5-41c6-8f06-bf4303a2f2f5";

pub fn config_path(distribution: &str) -> String {
    format!("distribution/{distribution}/config")
}

/// Returns a configuration whose only origin has this domain name.
fn with_domain_name(domain_name: &str, origin_path: &str, default_root_object: &str) -> String {
    configuration(BUCKET, origin_path, default_root_object)
        .replace(&format!("{BUCKET}.s3.us-east-1.amazonaws.com"), domain_name)
}

/// Returns a configuration with a function that handles the requests of viewers.
fn with_function(configuration: &str) -> String {
    configuration.replace(
        "<TargetOriginId>bucket</TargetOriginId>",
        "<TargetOriginId>bucket</TargetOriginId><FunctionAssociations><Quantity>1</Quantity><Items><FunctionAssociation>\
         <FunctionARN>arn:aws:cloudfront::111122223333:function/router</FunctionARN><EventType>viewer-request</EventType>\
         </FunctionAssociation></Items></FunctionAssociations>",
    )
}

/// Replaces the cache policy by one that AWS does not manage.
pub fn with_policy_id(configuration: &str) -> String {
    configuration.replace("658327ea-f89d-4fab-a63d-7e88639e58f6", CACHE_POLICY)
}

fn with_cache_policy() -> String {
    with_policy_id(&configuration(BUCKET, "", ""))
}

fn fixture_with(configurations: &[(&str, String)]) -> Fixture {
    let documents = configurations.iter();
    Fixture::with(
        documents.fold(Options::default(), |options, (id, document)| {
            options.with_document(&config_path(id), document)
        }),
    )
}

fn direct(key: &str, time: DateTime<Utc>) -> Value {
    serde_json::from_str(&notification(key, time)).expect("JSON")
}

fn accepted(expected: &[(&str, &[&str])]) -> Vec<(String, Vec<String>)> {
    let owned = |(id, paths): &(&str, &[&str])| {
        let paths = paths.iter().map(|path| (*path).to_owned());
        ((*id).to_owned(), paths.collect())
    };
    expected.iter().map(owned).collect()
}

/// Returns an invocation whose time for reads is half a second.
fn short_invocation() -> Invocation {
    invocation(RESPONSE_RESERVE + Duration::from_secs(1))
}

/// Handles a change and returns the text of the result.
async fn handle(invalidator: &Invalidator, key: &str, time: DateTime<Utc>) -> String {
    let text = invalidator.handle(&direct(key, time), &one_minute()).await;
    let text = text.expect("an invalidation");
    text.as_str().expect("a text").to_owned()
}

#[tokio::test]
async fn evaluates_the_configuration_with_an_uncertain_origin_as_the_bucket() {
    for (domain_name, origin_path, key, paths) in [
        (ACCESS_POINT, "", "index.html", vec!["/", "/index.html"]),
        (ACCESS_POINT, "/prod", "prod/a.css", vec!["/a.css"]),
        (SERVER, "", "index.html", vec!["/", "/index", "/index.html"]),
        (SERVER, "/prod", "prod/a.css", vec!["/a.css", "/prod/a.css"]),
    ] {
        let site = with_domain_name(domain_name, origin_path, "index.html");
        let fixture = fixture_with(&[(FIRST, site)]);
        let text = handle(&fixture.invalidator(), key, ago(60)).await;
        assert_eq!(fixture.accepted(), accepted(&[(FIRST, &paths)]), "{key}");
        let note = format!(
            "; origin {domain_name} is treated as bucket {BUCKET}: it can be another name of the bucket, or a server that \
             gets its objects from there"
        );
        assert!(text.contains(&note), "{text}");
    }
}

#[tokio::test]
async fn skips_a_named_distribution_only_if_no_origin_is_in_s3_and_another_has_the_bucket() {
    let other_bucket = configuration("other", "", "");
    for (second, paths, text) in [
        (
            with_domain_name(SERVER, "", ""),
            None,
            format!(
                "; {SECOND}: nothing to invalidate; 1 not cached, because no origin is in S3 and bucket {BUCKET} is an origin of \
                 {FIRST}: a.css"
            ),
        ),
        (
            with_domain_name(ACCESS_POINT, "", ""),
            Some("/a.css"),
            format!("origin {ACCESS_POINT} is treated as"),
        ),
        // It is S3, but its domain name does not contain the name of a bucket.
        (
            with_domain_name("s3.us-east-1.amazonaws.com", "", ""),
            Some("/a.css"),
            "is treated as".to_owned(),
        ),
        (
            other_bucket,
            None,
            format!("1 not cached, because bucket {BUCKET} is not an origin"),
        ),
    ] {
        let fixture = fixture_with(&[(FIRST, configuration(BUCKET, "", "")), (SECOND, second)]);
        let fixture = fixture.set("DISTRIBUTION_ID", &format!("{FIRST},{SECOND}"));
        let returned = handle(&fixture.invalidator(), "a.css", ago(60)).await;
        assert!(returned.contains(&text), "{returned}");
        let second = paths.map(|path| (SECOND.to_owned(), vec![path.to_owned()]));
        let mut expected = accepted(&[(FIRST, &["/a.css"])]);
        expected.extend(second);
        let mut invalidated = fixture.accepted();
        invalidated.sort();
        assert_eq!(invalidated, expected);
    }
    // A disabled distribution is no evidence that viewers get the objects from it.
    let disabled = configuration(BUCKET, "", "").replace("<Enabled>true", "<Enabled>false");
    let server = with_domain_name(SERVER, "", "");
    let fixture = fixture_with(&[(FIRST, disabled), (SECOND, server)]);
    let fixture = fixture.set("DISTRIBUTION_ID", &format!("{FIRST},{SECOND}"));
    handle(&fixture.invalidator(), "a.css", ago(60)).await;
    assert_eq!(fixture.accepted(), accepted(&[(SECOND, &["/a.css"])]));
    // No distribution certainly has the bucket, so all that may have it are invalidated.
    let servers = [FIRST, SECOND].map(|id| (id, with_domain_name(SERVER, "", "")));
    let fixture = fixture_with(&servers).set("DISTRIBUTION_ID", &format!("{FIRST},{SECOND}"));
    handle(&fixture.invalidator(), "a.css", ago(60)).await;
    assert_eq!(fixture.accepted().len(), 2);
}

#[tokio::test]
async fn reads_the_configuration_again_for_a_change_that_is_newer() {
    let blue = configuration(BUCKET, "/blue", "");
    let green = configuration(BUCKET, "/green", "");
    let fixture = fixture_with(&[(FIRST, blue.clone())]);
    let invalidator = fixture.invalidator();
    let reads = || fixture.calls(Operation::GetDistributionConfig);
    let text = handle(&invalidator, "green/a.css", ago(60)).await;
    assert_eq!(
        text,
        format!("{FIRST}: nothing to invalidate; 1 outside origin path /blue: green/a.css")
    );
    handle(&invalidator, "green/b.css", ago(60)).await;
    assert_eq!(reads(), 1, "changes before the read share it");
    fixture.standin.set_document(&config_path(FIRST), &green);
    // Within the difference of the clocks, the change can be newer than the read.
    handle(&invalidator, "green/a.css", ago(1)).await;
    assert_eq!(reads(), 2);
    fixture
        .standin
        .set_document(&config_path(FIRST), &with_function(&blue));
    handle(&invalidator, "blue/about.html", now()).await;
    assert_eq!(
        fixture.accepted(),
        accepted(&[(FIRST, &["/a.css"]), (FIRST, &["/about", "/about.html"])])
    );
}

#[tokio::test]
async fn finds_a_distribution_that_was_added_after_the_list_was_read() {
    let options = Options::default().with_document("distribution", &list(&[(FIRST, "")]));
    let fixture = Fixture::with(options).unset("DISTRIBUTION_ID");
    let invalidator = fixture.invalidator();
    handle(&invalidator, "a.css", ago(60)).await;
    let both = list(&[(FIRST, ""), (SECOND, "")]);
    fixture.standin.set_document("distribution", &both);
    handle(&invalidator, "b.css", now()).await;
    let mut invalidated = fixture.accepted();
    invalidated.sort();
    assert_eq!(
        invalidated,
        accepted(&[
            (FIRST, &["/a.css"]),
            (FIRST, &["/b.css"]),
            (SECOND, &["/b.css"])
        ])
    );
}

#[tokio::test]
async fn leaves_nothing_out_and_retries_when_a_newer_configuration_cannot_be_read() {
    for fault in [Fault::Throttling, Fault::InternalError, Fault::Reset] {
        let fixture = fixture_with(&[(FIRST, configuration(BUCKET, "/blue", "home.css"))]);
        let invalidator = fixture.invalidator();
        handle(&invalidator, "blue/x.css", ago(60)).await;
        let read = Operation::GetDistributionConfig;
        fixture.standin.fail(read, fault, ALWAYS);
        logged();
        let time = now();
        let event = batch(&[
            notification("blue/home.css", time),
            notification("green/a.css", time),
        ]);
        let response = invalidator.handle(&event, &one_minute()).await;
        assert_eq!(response, failures(&["m0", "m1"]), "{fault:?}");
        assert_eq!(
            fixture.accepted()[1..],
            accepted(&[(
                FIRST,
                &["/", "/a.css", "/blue/home.css", "/green/a.css", "/home.css"]
            )])
        );
        let text = logged().join("\n");
        let note = "its configuration cannot be read now: the paths by an earlier one and those of a site with index \
                    documents are invalidated";
        assert!(text.contains(note), "{text}");
        // The owner has switched to `/green`.
        let green = configuration(BUCKET, "/green", "");
        fixture.standin.reset();
        fixture.standin.set_document(&config_path(FIRST), &green);
        let event = batch(&[notification("green/b.css", time)]);
        let response = invalidator.handle(&event, &one_minute()).await;
        assert_eq!(response, failures(&[]), "{fault:?}");
        assert_eq!(fixture.accepted(), accepted(&[(FIRST, &["/b.css"])]));
    }
}

#[tokio::test]
async fn leaves_nothing_out_when_reading_a_newer_configuration_or_list_hangs() {
    for (operation, named) in [
        (Operation::GetDistributionConfig, true),
        (Operation::GetDistributionConfig, false),
        (Operation::ListDistributions, false),
    ] {
        let options = Options::default().with_document("distribution", &list(&[(FIRST, "")]));
        let site = configuration(BUCKET, "", "home.css");
        let options = options.with_document(&config_path(FIRST), &site);
        let fixture = Fixture::with(options);
        let fixture = if named {
            fixture
        } else {
            fixture.unset("DISTRIBUTION_ID")
        };
        let invalidator = fixture.invalidator();
        handle(&invalidator, "x.css", ago(60)).await;
        fixture.standin.fail(operation, Fault::Hang, ALWAYS);
        let event = batch(&[notification("home.css", now())]);
        let response = invalidator.handle(&event, &short_invocation()).await;
        assert_eq!(response, failures(&["m0"]), "{operation:?}");
        assert_eq!(
            fixture.accepted()[1..],
            accepted(&[(FIRST, &["/", "/home.css"])]),
            "{operation:?}"
        );
    }
}

#[tokio::test]
async fn keeps_the_default_root_object_of_an_earlier_read_that_is_denied_now() {
    let options = Options::default()
        .with_document("distribution", &list(&[(FIRST, "")]))
        .with_document(&config_path(FIRST), &configuration(BUCKET, "", "home.html"));
    let fixture = Fixture::with(options).unset("DISTRIBUTION_ID");
    let invalidator = fixture.invalidator();
    handle(&invalidator, "a.css", ago(60)).await;
    let read = Operation::GetDistributionConfig;
    fixture.standin.fail(read, Fault::AccessDenied, ALWAYS);
    handle(&invalidator, "home.html", now()).await;
    assert_eq!(
        fixture.accepted(),
        accepted(&[(FIRST, &["/a.css"]), (FIRST, &["/", "/home.html"])])
    );
}

#[tokio::test]
async fn logs_why_an_object_is_not_cached_although_the_others_are_throttled() {
    let fixture = fixture_with(&[(FIRST, configuration(BUCKET, "/prod", ""))]);
    let create = Operation::CreateInvalidation;
    fixture.standin.fail(create, Fault::Throttling, ALWAYS);
    let invalidator = fixture.invalidator();
    logged();
    let changes = ["prod/a.css", "b.css"].map(|key| notification(key, ago(60)));
    // Too short to send the batch again.
    let invocation = invocation(RESPONSE_RESERVE + Duration::from_secs(3));
    let response = invalidator.handle(&batch(&changes), &invocation).await;
    assert_eq!(response, failures(&["m0"]));
    let lines = logged_at("INFO").into_iter();
    let messages: Vec<_> = lines.map(|line| line["message"].clone()).collect();
    assert_eq!(
        messages,
        ["not submitted: 1 outside origin path /prod: b.css"]
    );
}

#[tokio::test]
async fn remembers_no_configuration_that_is_older_than_its_read() {
    const OTHER: &str = "other-bucket";
    // The second distribution has another bucket.
    let both = |origin_path| {
        let list = list(&[(FIRST, ""), (SECOND, origin_path)]);
        let (first, second) = list.split_once(SECOND).expect("the second distribution");
        format!("{first}{SECOND}{}", second.replace(BUCKET, OTHER))
    };
    let clock = Clock::frozen();
    let options = Options {
        clock,
        ..Options::default()
    };
    let fixture = Fixture::with(options.with_document("distribution", &both("/blue")));
    let fixture = fixture.unset("DISTRIBUTION_ID");
    let standin = &fixture.standin;
    standin.fail(
        Operation::GetDistributionConfig,
        Fault::AccessDenied,
        ALWAYS,
    );
    let invalidator = fixture.invalidator();
    let now = || DateTime::<Utc>::from(standin.now());
    let change = async |bucket: &str, key: &str, time| {
        let event = batch_sent(&[notification(key, time).replace(BUCKET, bucket)], now());
        let response = invalidator.handle(&event, &one_minute()).await;
        assert_eq!(response, failures(&[]));
    };
    let old = now() - TimeDelta::seconds(600);
    change(BUCKET, "a.css", old).await;
    standin.advance(Duration::from_secs(30));
    standin.set_document("distribution", &both("/green"));
    standin.advance(Duration::from_secs(10));
    let new = now();
    standin.advance(Duration::from_secs(20));
    // The list that was read before is new enough for this change, and its configuration is used.
    change(OTHER, "blue/b.css", old).await;
    standin.advance(Duration::from_secs(10));
    change(OTHER, "green/c.css", new).await;
    assert_eq!(fixture.calls(Operation::ListDistributions), 2);
    assert_eq!(
        fixture.accepted(),
        accepted(&[
            (FIRST, &["/a.css"]),
            (SECOND, &["/b.css"]),
            (SECOND, &["/c.css"])
        ])
    );
}

#[tokio::test]
async fn uses_the_earlier_list_and_retries_when_distributions_cannot_be_listed() {
    let options = Options::default().with_document("distribution", &list(&[(FIRST, "")]));
    let fixture = Fixture::with(options).unset("DISTRIBUTION_ID");
    let invalidator = fixture.invalidator();
    handle(&invalidator, "a.css", ago(60)).await;
    let list = Operation::ListDistributions;
    fixture.standin.fail(list, Fault::Throttling, ALWAYS);
    let event = batch(&[notification("b.css", now())]);
    let response = invalidator.handle(&event, &one_minute()).await;
    assert_eq!(response, failures(&["m0"]));
    assert_eq!(
        fixture.accepted(),
        accepted(&[(FIRST, &["/a.css"]), (FIRST, &["/b.css"])])
    );
}

#[tokio::test]
async fn does_not_wait_for_a_distribution_that_cannot_be_read_now() {
    for named in [false, true] {
        let both = list(&[(FIRST, ""), (SECOND, "")]);
        let fixture = Fixture::with(Options::default().with_document("distribution", &both));
        let fixture = if named {
            fixture.set("DISTRIBUTION_ID", &format!("{FIRST},{SECOND}"))
        } else {
            fixture.unset("DISTRIBUTION_ID")
        };
        fixture.standin.set_document(&config_path(SECOND), "");
        let event = batch(&[notification("a.css", ago(60))]);
        let invalidator = fixture.invalidator();
        let response = invalidator.handle(&event, &one_minute()).await;
        assert_eq!(response, failures(&["m0"]));
        assert_eq!(fixture.accepted(), accepted(&[(FIRST, &["/a.css"])]));
        let readable = configuration(BUCKET, "", "");
        fixture
            .standin
            .set_document(&config_path(SECOND), &readable);
        let response = invalidator.handle(&event, &one_minute()).await;
        assert_eq!(response, failures(&[]));
        assert_eq!(
            fixture.accepted(),
            accepted(&[(FIRST, &["/a.css"]), (SECOND, &["/a.css"])])
        );
    }
}

#[tokio::test]
async fn skips_a_listed_distribution_that_was_deleted_meanwhile() {
    let both = list(&[(FIRST, ""), ("E9EXAMPLE1ABC", "")]);
    let options = Options::default().with_document("distribution", &both);
    let fixture = Fixture::with(options).unset("DISTRIBUTION_ID");
    handle(&fixture.invalidator(), "a.css", ago(60)).await;
    assert_eq!(fixture.accepted(), accepted(&[(FIRST, &["/a.css"])]));
}

#[tokio::test]
async fn reads_a_cache_policy_again_that_could_not_be_read() {
    let path = format!("cache-policy/{CACHE_POLICY}");
    let document = include_str!("../distributions/cache-policy.xml");
    let document = document.replace("whitelist", "none");
    let options = Options::default()
        .with_document(&config_path(FIRST), &with_cache_policy())
        .with_document(&path, &document);
    let fixture = Fixture::with(options);
    let read = Operation::GetCachePolicy;
    fixture.standin.fail(read, Fault::InternalError, 4);
    let invalidator = fixture.invalidator();
    logged();
    let text = handle(&invalidator, "a.css", ago(60)).await;
    assert!(
        text.ends_with(
            "a.css may be cached by query string (its cache policy could not be read now)"
        ),
        "{text}"
    );
    let warnings = logged_at("WARN");
    assert_eq!(
        warnings
            .iter()
            .map(|line| &line["message"])
            .collect::<Vec<_>>(),
        [&Value::from(format!(
            "its paths become wildcards: could not read cache policy {CACHE_POLICY}: InternalError: An internal error \
             occurred.; try again"
        ))]
    );
    // The read configuration is new enough for this change, but not complete.
    handle(&invalidator, "b.css", ago(60)).await;
    assert_eq!(
        fixture.accepted(),
        accepted(&[(FIRST, &["/a.css*"]), (FIRST, &["/b.css"])])
    );
}

#[tokio::test]
async fn sends_the_own_path_where_a_function_can_choose_the_origin() {
    let site = with_function(&configuration(BUCKET, "/blue", ""));
    let fixture = fixture_with(&[(FIRST, site)]);
    let text = handle(&fixture.invalidator(), "green/a.css", ago(60)).await;
    assert_eq!(fixture.accepted(), accepted(&[(FIRST, &["/green/a.css"])]));
    let note = "; green/a.css is outside origin path /blue, but a function can choose another origin and path";
    assert!(text.ends_with(note), "{text}");
}

#[tokio::test]
async fn invalidates_at_the_event_of_each_bucket_of_an_origin_group() {
    let site = include_str!("../distributions/origin-groups.xml");
    let site = site.replace(">site.s3.", &format!(">{BUCKET}.s3."));
    let fixture = fixture_with(&[(FIRST, site)]);
    let invalidator = fixture.invalidator();
    // The replica's event has the time of the original, which is earlier than the invalidation for the original.
    let time = ago(60);
    let original = notification("prod/a.css", time);
    let replica = original.replace(BUCKET, "site-replica");
    for (event, count) in [
        (batch_sent(std::slice::from_ref(&original), ago(50)), 1),
        (batch_sent(std::slice::from_ref(&replica), now()), 2),
        // It was sent before the last invalidation.
        (
            batch_sent(
                std::slice::from_ref(&replica),
                now() - TimeDelta::seconds(30),
            ),
            2,
        ),
    ] {
        let response = invalidator.handle(&event, &one_minute()).await;
        assert_eq!(response, failures(&[]));
        assert_eq!(fixture.accepted().len(), count);
    }
    let replica: Value = serde_json::from_str(&replica.replace("0A", "0B")).expect("JSON");
    let response = invalidator.handle(&replica, &one_minute()).await;
    response.expect("an invalidation");
    assert_eq!(
        fixture.accepted().len(),
        3,
        "a direct event has no time of sending"
    );
}

#[tokio::test]
async fn invalidates_at_the_event_of_each_bucket_when_the_configuration_is_unknown() {
    let fixture = Fixture::start();
    let read = Operation::GetDistributionConfig;
    fixture.standin.fail(read, Fault::AccessDenied, ALWAYS);
    let invalidator = fixture.invalidator();
    let original = notification("a.css", ago(60));
    let replica = original.replace(BUCKET, "site-replica");
    for event in [
        batch_sent(&[original], ago(50)),
        batch_sent(&[replica], now()),
    ] {
        let response = invalidator.handle(&event, &one_minute()).await;
        assert_eq!(response, failures(&[]));
    }
    assert_eq!(fixture.accepted().len(), 2);
}

#[tokio::test]
async fn does_not_wait_for_a_cache_policy_that_hangs() {
    let fixture = fixture_with(&[(FIRST, with_cache_policy())]);
    let read = Operation::GetCachePolicy;
    fixture.standin.fail(read, Fault::Hang, ALWAYS);
    let text = handle(&fixture.invalidator(), "a.css", ago(60)).await;
    assert_eq!(fixture.accepted(), accepted(&[(FIRST, &["/a.css*"])]));
    assert!(
        text.ends_with("(its cache policy could not be read now)"),
        "{text}"
    );
}
