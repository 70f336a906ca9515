//! The calls that a new process makes for each kind of event, and how many of them it waits for one after the other.
//!
//! A function that runs after a deploy is almost always cold, so each sequential round trip adds to its latency. Time is
//! virtual: it passes only while the function waits for responses, so parallel calls are always in one round trip.

use std::time::Duration;

use cloudfront_invalidator::handler::Invalidator;
use serde_json::{Value, json};

use crate::configurations::{CACHE_POLICY, config_path, with_policy_id};
use crate::fixture::{BUCKET, FIRST, Fixture, SECOND, configuration, one_minute};
use crate::queue::{ago, batch, notification};
use crate::s3::list;
use crate::slack::bed::{SlackBed, command_task};
use crate::standin::{Clock, Operation, Options};

/// Returns a function with the default settings of the template, which name no distribution. Both distributions of the
/// account have the bucket.
fn defaults() -> Fixture {
    let distributions = [(FIRST, ""), (SECOND, "")];
    fixture(Options::default(), &distributions, |document| document)
}

/// Returns the same for an account with one distribution. `change` changes its configuration and the list.
fn with_one(change: impl Fn(String) -> String) -> Fixture {
    fixture(Options::default(), &[(FIRST, "")], change)
}

fn fixture(
    options: Options,
    distributions: &[(&str, &str)],
    change: impl Fn(String) -> String,
) -> Fixture {
    let policy = include_str!("../distributions/cache-policy.xml");
    let config = change(configuration(BUCKET, "", ""));
    let options = Options {
        latency: Duration::from_millis(100),
        ..options
    }
    .with_document("distribution", &change(list(distributions)))
    .with_document(&config_path(FIRST), &config)
    .with_document(&format!("cache-policy/{CACHE_POLICY}"), policy);
    Fixture::with(options)
        .without_sockets()
        .unset("DISTRIBUTION_ID")
}

/// Replaces the cache policy by one that AWS does not manage.
fn own_policy(document: String) -> String {
    with_policy_id(&document)
}

/// Returns the event of S3's own notification that Lambda passes to the function.
fn s3() -> Value {
    serde_json::from_str(&notification("a.css", ago(60))).expect("JSON")
}

fn event_bridge() -> Value {
    json!({
        "source": "aws.s3", "detail-type": "Object Created", "time": ago(60).to_rfc3339(),
        "detail": {"bucket": {"name": BUCKET}, "object": {"key": "a.css", "sequencer": "0A"}},
    })
}

fn sns() -> Value {
    let message = notification("a.css", ago(60));
    json!({"Records": [{"EventSource": "aws:sns", "Sns": {
        "Type": "Notification", "MessageId": "1", "TopicArn": "t", "Message": message,
    }}]})
}

/// Returns a batch with notifications of ten objects.
fn ten_messages() -> Value {
    let bodies: Vec<_> = (0..10)
        .map(|number| notification(&format!("{number}.html"), ago(60)))
        .collect();
    batch(&bodies)
}

/// Passes the event to a new process. Returns its calls: `+` is between those of one round trip, `>` between round trips.
async fn calls(fixture: &Fixture, invalidator: Invalidator, event: &Value) -> String {
    let response = invalidator.handle(event, &one_minute()).await;
    response.expect("a response");
    let round_trips = fixture.standin.sequential_calls();
    let names = |calls: &Vec<Operation>| {
        let names: Vec<_> = calls.iter().map(|call| format!("{call:?}")).collect();
        names.join(" + ")
    };
    let names: Vec<_> = round_trips.iter().map(names).collect();
    names.join(" > ")
}

#[tokio::test(start_paused = true)]
async fn requested_paths_need_one_round_trip_before_cloudfront_has_them() {
    let one = json!({"distribution": FIRST});
    let paths = json!({"distribution": FIRST, "paths": ["/index.html", "/blog/*"]});
    let two = json!({"distribution": [FIRST, SECOND]});
    // The configuration is read after CreateInvalidation, to find a staging distribution.
    let of_one = "CreateInvalidation > GetDistributionConfig";
    let of_two =
        "CreateInvalidation + CreateInvalidation > GetDistributionConfig + GetDistributionConfig";
    for (request, expected) in [(&one, of_one), (&paths, of_one), (&two, of_two)] {
        let fixture = defaults();
        let job = fixture.standin.start_job(Some(&request.to_string()));
        let of_job = calls(&fixture, fixture.invalidator(), &job.event).await;
        assert_eq!(
            of_job,
            format!("{expected} > PutJobSuccessResult"),
            "{request}"
        );
    }
    let named = defaults().set("DISTRIBUTION_ID", FIRST);
    let job = named.standin.start_job(None);
    let of_job = calls(&named, named.invalidator(), &job.event).await;
    assert_eq!(of_job, format!("{of_one} > PutJobSuccessResult"));

    let fixture = defaults();
    let of_direct = calls(&fixture, fixture.invalidator(), &paths).await;
    assert_eq!(of_direct, of_one);
}

#[tokio::test(start_paused = true)]
async fn changed_objects_need_one_round_trip_less_if_the_distribution_is_named() {
    let last = "CreateInvalidation";
    let list = "ListDistributions";
    let read = "GetDistributionConfig + ListInvalidations";
    let read_policy = "GetCachePolicy + GetDistributionConfig + ListInvalidations";
    let events = [
        ("S3", s3()),
        ("EventBridge", event_bridge()),
        ("SNS", sns()),
        ("ten messages of SQS", ten_messages()),
    ];
    for (name, event) in &events {
        let named = |fixture: Fixture| fixture.set("DISTRIBUTION_ID", FIRST);
        for (fixture, expected) in [
            (
                with_one(|document| document),
                format!("{list} > {read} > {last}"),
            ),
            (
                named(with_one(|document| document)),
                format!("{read} > {last}"),
            ),
            (
                with_one(own_policy),
                format!("{list} > {read_policy} > {last}"),
            ),
            (
                named(with_one(own_policy)),
                format!("{read} > GetCachePolicy > {last}"),
            ),
        ] {
            let calls = calls(&fixture, fixture.invalidator(), event).await;
            assert_eq!(calls, expected, "{name}");
        }
    }
    let fixture = defaults();
    let of_two = calls(&fixture, fixture.invalidator(), &s3()).await;
    assert_eq!(
        of_two,
        "ListDistributions > GetDistributionConfig + GetDistributionConfig + ListInvalidations + ListInvalidations > \
         CreateInvalidation + CreateInvalidation"
    );
    // The keys of a direct invocation are newer than every invalidation, so none is listed.
    let fixture = with_one(|document| document);
    let keys = json!({"bucket": BUCKET, "keys": ["index.html"]});
    let of_keys = calls(&fixture, fixture.invalidator(), &keys).await;
    assert_eq!(
        of_keys,
        "ListDistributions > GetDistributionConfig > CreateInvalidation"
    );
}

#[tokio::test(start_paused = true)]
async fn a_command_in_slack_reaches_cloudfront_after_one_round_trip_for_the_secret() {
    let start = |completes_after| {
        let options = Options {
            clock: Clock::frozen(),
            completes_after: Duration::from_secs(completes_after),
            ..Options::default()
        };
        SlackBed::with(fixture(options, &[(FIRST, "")], |document| document))
    };
    let bed = start(14);
    let event = bed.request("/index.html").event();
    let of_command = calls(&bed.fixture, bed.invalidator(), &event).await;
    // What follows CreateInvalidation is for the reply: staging distributions, and the same paths in progress. The
    // message of the queue is for the report at the end.
    assert_eq!(
        of_command,
        "GetSecretValue > CreateInvalidation > GetDistributionConfig > ListInvalidations > GetInvalidation > SendMessage"
    );
    let bed = start(0);
    let message = bed.delivery(&command_task("/index.html"), Duration::ZERO, 1);
    let of_message = calls(&bed.fixture, bed.invalidator(), &message).await;
    assert_eq!(
        of_message,
        "CreateInvalidation > GetDistributionConfig > GetInvalidation > PostToSlack"
    );
}
