//! Direct invocations that a caller or Lambda repeats, and events that are not meant as they are written.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use cloudfront_invalidator::error::{Audience, Category};
use serde_json::{Value, json};

use crate::direct::{accepted_paths, account, account_with, invoke, invoke_as, refusal};
use crate::fixture::{
    ALWAYS, BUCKET, FIRST, Fixture, SECOND, configuration_with, denial_with_statement,
    distribution_arn, invocation, one_minute,
};
use crate::standin::{Fault, Operation, Options};
use crate::verification;

fn ids(fixture: &Fixture) -> BTreeSet<String> {
    let received = fixture.standin.invalidations().into_iter();
    received
        .filter_map(|invalidation| invalidation.outcome.ok())
        .collect()
}

/// Lets others use this many wildcards of the quota.
async fn use_wildcards(fixture: &Fixture, count: usize) {
    let paths: Vec<_> = (0..count)
        .map(|number| format!("/other{number}/*"))
        .collect();
    invoke(fixture, json!({ "paths": paths })).await;
}

/// An event whose keys need ten wildcards.
fn wildcards_of_keys() -> Value {
    let keys: Vec<_> = (0..10).map(|number| format!("{number}/a~b.html")).collect();
    json!({"keys": keys, "bucket": BUCKET, "idempotencyKey": "k"})
}

#[tokio::test]
async fn a_repeated_event_with_keys_is_found_although_others_use_the_quota_now() {
    let fixture = account(20);
    let first = invoke(&fixture, wildcards_of_keys()).await;
    fixture.standin.advance(Duration::from_secs(60));
    use_wildcards(&fixture, 10).await;
    // CloudFront accepts no more wildcards, but has this invalidation.
    let again = invoke(&fixture, wildcards_of_keys()).await;
    assert_eq!(
        again["distributions"][0]["id"],
        first["distributions"][0]["id"]
    );
    assert_eq!(again["distributions"][0]["reused"], true);
    assert_eq!(
        (&again["paths"], &again["path_count"]),
        (&first["paths"], &json!(0))
    );
}

#[tokio::test]
async fn an_event_with_keys_is_billed_once_although_others_used_the_quota_at_the_first_attempt() {
    let fixture = account(20);
    use_wildcards(&fixture, 10).await;
    let busy = invoke_as(&fixture, &wildcards_of_keys(), &one_minute()).await;
    assert_eq!(
        busy.expect_err("no wildcard left").category(),
        Category::Throttled
    );
    fixture.standin.advance(Duration::from_secs(60));
    invoke(&fixture, wildcards_of_keys()).await;
    let counts: Vec<_> = accepted_paths(&fixture).iter().map(Vec::len).collect();
    assert_eq!(counts, [10, 10]);
}

#[tokio::test]
async fn a_repeated_event_finds_each_part_of_a_batch_with_a_rejected_path() {
    let fixture = account(0);
    fixture.standin.refuse_paths(&["/b.html"]);
    let keys = ["a.html", "b.html", "c.html"];
    let event =
        json!({"keys": keys, "bucket": BUCKET, "idempotencyKey": "k", "reference": "release-42"});
    for seconds in [0, 60] {
        fixture.standin.advance(Duration::from_secs(seconds));
        let error = fixture.handle(&event).await.expect_err("a rejected path");
        assert_eq!(error.category(), Category::RejectedPath);
        assert_eq!(
            error.to_string().contains("already submitted 60 s ago"),
            seconds > 0,
            "{error}"
        );
    }
    assert_eq!(ids(&fixture).len(), 2, "{:?}", fixture.accepted());
    for received in fixture.standin.invalidations() {
        let reference = received.reference;
        assert!(reference.starts_with("release-42-"), "{reference}");
    }
    fixture.standin.advance(Duration::from_secs(901));
    let error = fixture.handle(&event).await.expect_err("too old");
    assert!(
        error
            .to_string()
            .contains("idempotencyKey k was already used"),
        "{error}"
    );
}

#[tokio::test]
async fn a_completed_invalidation_that_is_found_needs_no_poll() {
    let fixture = account(5);
    let event = json!({"paths": "/a", "wait": "10s", "idempotencyKey": "k"});
    invoke(&fixture, event.clone()).await;
    let polls = fixture.calls(Operation::GetInvalidation);
    let (operation, fault) = (Operation::GetInvalidation, Fault::Throttling);
    fixture.standin.fail(operation, fault, ALWAYS);
    let again = invoke(&fixture, event).await;
    let found = &again["distributions"][0];
    assert_eq!(
        [&found["reused"], &found["status"], &found["seconds"]],
        [&json!(true), &json!("Completed"), &json!(0)]
    );
    assert_eq!(
        (&again["exit_code"], &again["error"]),
        (&json!(0), &Value::Null)
    );
    assert_eq!(fixture.calls(operation), polls);
}

#[tokio::test]
async fn another_reference_makes_another_event() {
    let fixture = account(0);
    for label in ["build-1", "build-2"] {
        let event = json!({"paths": "/a", "idempotencyKey": "k", "reference": label});
        invoke(&fixture, event).await;
    }
    assert_eq!(ids(&fixture).len(), 2);
}

#[tokio::test]
async fn the_hint_of_an_error_is_a_part_of_its_text_for_each_audience() {
    let fixture = account(0);
    let event = json!({"paths": "/a", "idempotencyKey": "k"});
    invoke(&fixture, event.clone()).await;
    fixture.standin.advance(Duration::from_secs(901));
    let error = fixture.handle(&event).await.expect_err("too old");
    for audience in [Audience::Operator, Audience::CommandLine { profile: None }] {
        let hint = error.hint(&audience).expect("a hint");
        assert_eq!(hint, "send another idempotencyKey");
        assert!(error.message(&audience).contains(&hint));
    }
}

#[tokio::test]
async fn a_permanent_error_decides_the_type_of_the_error() {
    let fixture = account(0);
    let (standin, hang) = (&fixture.standin, Operation::GetDistributionConfig);
    standin.fail(hang, Fault::Hang, 1);
    standin.fail(Operation::CreateInvalidation, Fault::AccessDenied, ALWAYS);
    let event = json!({"keys": "a.html", "bucket": BUCKET, "distribution": [FIRST, SECOND]});
    let error = invoke_as(&fixture, &event, &invocation(Duration::from_secs(12))).await;
    let error = error.expect_err("a denial");
    assert_eq!(error.category(), Category::Permission, "{error}");
    assert_eq!(
        error.to_string().matches("no response in time").count(),
        1,
        "{error}"
    );
}

#[tokio::test]
async fn a_status_is_found_although_another_distribution_does_not_respond() {
    let fixture = account(0);
    invoke(&fixture, json!({"paths": "/a", "distribution": SECOND})).await;
    let id = fixture.first_id();
    let get = Operation::GetInvalidation;
    fixture.standin.fail_for(FIRST, get, Fault::Hang, 1);
    let event = json!({"invalidation": id, "distribution": [FIRST, SECOND]});
    let response = invoke_as(&fixture, &event, &invocation(Duration::from_secs(8))).await;
    let response = response.expect("the status");
    assert_eq!(response["invalidations"][0]["distribution"], SECOND);
}

#[tokio::test]
async fn a_short_wait_ends_although_cloudfront_does_not_respond() {
    let fixture = account(3_600);
    fixture
        .standin
        .fail(Operation::GetInvalidation, Fault::Hang, 1);
    let began = Instant::now();
    let response = invoke(&fixture, json!({"paths": "/a", "wait": "1s"})).await;
    assert_eq!(response["exit_code"], 3);
    assert!(
        began.elapsed() < Duration::from_secs(7),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn a_wait_with_a_verification_leaves_time_for_it() {
    let fixture = verification::account(3_600);
    let event = json!({"paths": "/a", "wait": "5m", "verify": true});
    // Nine of the ten seconds are reserved for the response and a verification, so there is no time for a second poll.
    let response = invoke_as(&fixture, &event, &invocation(Duration::from_secs(10))).await;
    let response = response.expect("an object");
    assert_eq!(fixture.calls(Operation::GetInvalidation), 1);
    let warning = "not verified, because not all invalidations are completed";
    assert_eq!(response["warnings"], json!([warning]));
}

#[tokio::test]
async fn a_verification_without_an_invalidation_is_a_warning() {
    let fixture = verification::account(0);
    let keys = "_next/static/chunks/main-0123456789abcdef.js";
    let event = json!({"keys": keys, "bucket": BUCKET, "wait": "30s", "verify": "/index.html"});
    let response = invoke(&fixture, event).await;
    assert_eq!(fixture.accepted(), []);
    assert_eq!(
        response["warnings"],
        json!(["not verified, because nothing was invalidated"])
    );
    assert_eq!(response["exit_code"], 0);
}

#[tokio::test]
async fn on_timeout_fail_needs_a_wait() {
    let fixture = account(3_600);
    let message = "direct invocation: onTimeout: it has no effect without a wait: add \"wait\": \"30s\", or remove it";
    for event in [
        json!({"paths": "/a", "onTimeout": "fail"}),
        json!({"keys": "a", "bucket": BUCKET, "onTimeout": "fail", "wait": false}),
    ] {
        assert_eq!(refusal(&fixture, event).await, message);
    }
    invoke(&fixture, json!({"paths": "/a", "onTimeout": "succeed"})).await;
}

/// An account whose first distribution has these aliases.
fn account_with_aliases() -> Fixture {
    let aliases = "<Aliases><Quantity>2</Quantity><Items><CNAME>www.example.com</CNAME><CNAME>*.shop.example.com</CNAME>\
                   </Items></Aliases>";
    let path = format!("distribution/{FIRST}/config");
    let options = Options::default().with_document(&path, &configuration_with(aliases));
    account_with(0, options)
}

#[tokio::test]
async fn a_url_of_another_site_is_refused() {
    let elsewhere = |ids: &str| {
        format!(
            "blog.example.com is not an alias of {ids}: name its distribution in \"distribution\", or write the path without the \
             host"
        )
    };
    let url = "https://blog.example.com/post/7";
    for (event, ids) in [
        (json!({ "paths": url }), FIRST.to_owned()),
        (
            json!({"paths": ["/a", url], "distribution": [FIRST, SECOND]}),
            format!("{FIRST} and {SECOND}"),
        ),
        (
            json!({"paths": "/a", "wait": "30s", "verify": url}),
            FIRST.to_owned(),
        ),
    ] {
        let fixture = account_with_aliases();
        let error = fixture.handle(&event).await.expect_err("another site");
        assert_eq!(error.to_string(), elsewhere(&ids));
        assert_eq!(fixture.accepted(), []);
    }
}

#[tokio::test]
async fn a_url_of_another_site_fails_after_the_distributions_were_found() {
    let list = crate::s3::list(&[(FIRST, "")]);
    let path = format!("distribution/{FIRST}/config");
    let options = Options::default()
        .with_document("distribution", &list)
        .with_document(&path, &configuration_with(""));
    let fixture = account_with(0, options).unset("DISTRIBUTION_ID");
    let url = "https://blog.example.com/a";
    let event = json!({"keys": "a", "bucket": BUCKET, "wait": "30s", "verify": url});
    let error = fixture.handle(&event).await.expect_err("another site");
    assert_eq!(
        error.to_string(),
        format!(
            "blog.example.com is not an alias of {FIRST}: name its distribution in \"distribution\", or write the path without the \
             host; {FIRST}: submitted as {} (1 object became 1 path: /a)",
            fixture.first_id()
        )
    );
}

#[tokio::test]
async fn a_request_lists_no_invalidations() {
    let fixture = account(3_600);
    for _ in 0..2 {
        invoke(&fixture, json!({"keys": "a", "bucket": BUCKET})).await;
    }
    assert_eq!(fixture.calls(Operation::ListInvalidations), 0);
}

#[tokio::test]
async fn one_distribution_that_does_not_respond_does_not_keep_the_others_from_being_polled() {
    let fixture = account(3);
    let operation = Operation::GetInvalidation;
    fixture.standin.fail(operation, Fault::Hang, 1);
    let event = json!({"paths": "/a", "distribution": [FIRST, SECOND], "wait": "6s"});
    let response = invoke(&fixture, event).await;
    let statuses = [0, 1].map(|index| response["distributions"][index]["status"].clone());
    assert_eq!(statuses, ["Completed", "Completed"]);
}

#[tokio::test]
async fn a_url_of_the_site_is_reduced_to_its_path() {
    let fixture = account_with_aliases();
    let event =
        json!({"paths": ["https://WWW.example.com/a", "https://eu.shop.example.com/b?c=1"]});
    let response = invoke(&fixture, event).await;
    assert_eq!(accepted_paths(&fixture), [["/a", "/b?c=1"]]);
    assert_eq!(response["warnings"], json!([]));
    let not_checked = "not checked whether the distributions have the domain name d1.cloudfront.net: the configuration does not \
                       contain it";
    let response = invoke(&fixture, json!({"paths": "https://d1.cloudfront.net/a"})).await;
    assert_eq!(response["warnings"], json!([not_checked]));
    let operation = Operation::GetDistributionConfig;
    fixture.standin.fail(operation, Fault::AccessDenied, ALWAYS);
    let response = invoke(&fixture, json!({"paths": "https://blog.example.com/a"})).await;
    let denied = denial_with_statement(
        "AccessDenied",
        "cloudfront:GetDistributionConfig",
        &distribution_arn(FIRST),
    );
    let not_checked = format!(
        "not checked whether the distributions have the domain name blog.example.com: {denied}"
    );
    assert_eq!(response["warnings"], json!([not_checked]));
}
