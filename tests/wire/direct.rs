//! A direct invocation: what CloudFront receives, and the object or the error that the caller gets, on a frozen clock.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use boon::{Compiler, Schemas};
use chrono::{DateTime, SecondsFormat, Utc};
use cloudfront_invalidator::error::{Category, Error};
use cloudfront_invalidator::invocation::Invocation;
use serde_json::{Value, json};

use crate::fixture::{
    ALWAYS, BUCKET, FIRST, Fixture, SECOND, configuration, denial_with_statement, distribution_arn,
    invocation, logged, logged_at, one_minute,
};
use crate::s3::list;
use crate::standin::{Clock, Fault, Operation, Options, ReferenceReuse};
use crate::verification;

/// An account whose invalidations are in progress for this many seconds.
pub fn account(completes_after: u64) -> Fixture {
    account_with(completes_after, Options::default())
}

pub fn account_with(completes_after: u64, options: Options) -> Fixture {
    Fixture::with(Options {
        clock: Clock::frozen(),
        completes_after: Duration::from_secs(completes_after),
        throttle: false,
        ..options
    })
}

/// Handles the event in a new process of the function with a minute left. Returns the object, which fits the schema.
pub async fn invoke(fixture: &Fixture, event: Value) -> Value {
    let response = invoke_as(fixture, &event, &one_minute()).await;
    response.unwrap_or_else(|error| panic!("{event}: {error}"))
}

pub async fn invoke_as(
    fixture: &Fixture,
    event: &Value,
    invocation: &Invocation,
) -> Result<Value, Error> {
    let invalidator = fixture.invalidator_without_pauses();
    let response = invalidator.handle(event, invocation).await?;
    let definition = match event.get("invalidation") {
        Some(_) => "status_result",
        None => "create",
    };
    assert_valid(definition, &response);
    Ok(response)
}

/// Returns the error of an event with which nothing reaches CloudFront.
pub async fn refusal(fixture: &Fixture, event: Value) -> String {
    let result = fixture.handle(&event).await;
    assert_eq!(fixture.standin.calls(), [], "{event}");
    result.expect_err("a refusal").to_string()
}

/// Panics unless the object is what `cf-invalidate` prints.
fn assert_valid(definition: &str, object: &Value) {
    let schema = include_str!("../../docs/cf-invalidate.schema.json");
    let schema = serde_json::from_str(schema).expect("JSON");
    let mut schemas = Schemas::new();
    let mut compiler = Compiler::new();
    let added = compiler.add_resource("schema.json", schema);
    added.expect("a resource");
    let location = format!("schema.json#/$defs/{definition}");
    let index = compiler.compile(&location, &mut schemas).expect("a schema");
    let result = schemas.validate(object, index);
    result.unwrap_or_else(|error| panic!("{object:#}\n\n{error}"));
}

/// Returns the values of these fields of each distribution.
fn fields(response: &Value, names: &[&str]) -> Vec<Value> {
    let distributions = response["distributions"].as_array().expect("an array");
    let of_one = |distribution: &Value| {
        names
            .iter()
            .map(|name| distribution[name].clone())
            .collect()
    };
    distributions.iter().map(of_one).collect()
}

fn ids(fixture: &Fixture) -> Vec<String> {
    let received = fixture.standin.invalidations().into_iter();
    received
        .filter_map(|invalidation| invalidation.outcome.ok())
        .collect()
}

pub fn accepted_paths(fixture: &Fixture) -> Vec<Vec<String>> {
    fixture
        .accepted()
        .into_iter()
        .map(|(_, paths)| paths)
        .collect()
}

#[tokio::test]
async fn returns_the_object_of_create_at_once_without_a_wait() {
    let fixture = account(20);
    let response = invoke(
        &fixture,
        json!({"paths": ["/blog/*", "/a b.html"], "wait": false}),
    )
    .await;
    let received = &fixture.standin.invalidations()[0];
    assert_eq!(received.paths, ["/a*", "/blog/*"]);
    let id = fixture.first_id();
    assert_eq!(
        response,
        json!({
            "paths": ["/a*", "/blog/*"],
            "path_count": 2,
            "planned_path_count": 2,
            "dry_run": false,
            "distributions": [{
                "distribution": FIRST,
                "paths": ["/a*", "/blog/*"],
                "from": 2,
                "merged": [],
                "objects": null,
                "unchanged": null,
                "notes": ["\"/a b.html\" widened to /a*: viewers encode a space as %20 or as +"],
                "reference": received.reference,
                "reused": false,
                "id": id,
                "created": response["distributions"][0]["created"],
                "status": "InProgress",
                "seconds": null,
                "takedown": [],
                "error": null,
                "invalidation": id,
                "failure": null,
            }],
            "warnings": [],
            "verification": null,
            "exit_code": 0,
            "error": null,
        })
    );
    assert!(response["distributions"][0]["created"].is_string());
}

#[tokio::test]
async fn waits_until_all_distributions_are_completed() {
    let fixture = account(5);
    let event = json!({"paths": "/*", "distribution": [SECOND, FIRST], "wait": "1m"});
    logged();
    let response = invoke(&fixture, event).await;
    let lines = logged_at("INFO");
    let line = lines.last().expect("a line");
    assert_eq!(line["message"], "2 of 2 completed after 6 s");
    let ids = ids(&fixture);
    assert_eq!(
        fields(
            &response,
            &["distribution", "id", "status", "seconds", "error"]
        ),
        [
            json!([SECOND, ids[0], "Completed", 6, null]),
            json!([FIRST, ids[1], "Completed", 6, null]),
        ]
    );
    assert_eq!(response["exit_code"], 0);
}

#[tokio::test]
async fn waits_as_long_as_the_settings_specify_unless_the_event_does() {
    for (wait, expected) in [
        (Value::Null, json!(["Completed", 6])),
        (json!(0), json!(["InProgress", null])),
        (json!("4s"), json!(["InProgress", null])),
    ] {
        let fixture = account(5).set("WAIT", "30s");
        let response = invoke(&fixture, json!({"paths": "/a", "wait": wait})).await;
        assert_eq!(
            fields(&response, &["status", "seconds"]),
            [expected],
            "{wait}"
        );
    }
}

#[tokio::test]
async fn reports_in_progress_when_the_wait_or_the_time_of_the_function_is_over() {
    for (wait, left, waited) in [("5s", 60, 5), ("5m", 6, 0)] {
        let fixture = account(3_600);
        let event = json!({"paths": "/a", "wait": wait});
        let invocation = invocation(Duration::from_secs(left));
        let response = invoke_as(&fixture, &event, &invocation)
            .await
            .expect("an object");
        let id = fixture.first_id();
        let hint = format!(
            "request its status with {{\"invalidation\": \"{id}\", \"distribution\": \"{FIRST}\"}}"
        );
        let error = json!({
            "kind": "unavailable",
            "message": format!(
                "{FIRST}: {id} was submitted and is not completed after {waited} s; CloudFront still completes it; {hint}"
            ),
            "hint": hint,
        });
        assert_eq!(
            fields(&response, &["id", "status", "seconds", "error", "failure"]),
            [json!([id, "InProgress", null, error, null])]
        );
        assert_eq!(response["exit_code"], 3);
        assert_eq!(response["error"], error);
    }
}

#[tokio::test]
async fn reports_in_progress_when_cloudfront_does_not_respond_before_the_time_of_the_function_is_over()
 {
    let fixture = account(20);
    let get = Operation::GetInvalidation;
    fixture.standin.fail(get, Fault::Hang, ALWAYS);
    let event = json!({"paths": "/a", "wait": "5m"});
    let invocation = invocation(Duration::from_millis(6_500));
    let response = invoke_as(&fixture, &event, &invocation).await;
    let response = response.expect("an object");
    assert_eq!(
        fields(&response, &["id", "status"]),
        [json!([fixture.first_id(), "InProgress"])]
    );
    assert_eq!(response["exit_code"], 3);
}

#[tokio::test]
async fn fails_when_it_is_not_completed_in_time_and_on_timeout_is_fail() {
    const OF_FUNCTION: &str = "request its status with \"invalidation\", raise the function's timeout, or set \"onTimeout\" to \
                               \"succeed\"";
    for (wait, left, waited, remedy) in [
        (
            "5s",
            60,
            5,
            "raise \"wait\", or set \"onTimeout\" to \"succeed\"",
        ),
        ("5m", 6, 0, OF_FUNCTION),
        // A poll after 2 seconds would have been in time.
        ("2s", 6, 0, OF_FUNCTION),
    ] {
        let fixture = account(3_600);
        let event = json!({"paths": "/a", "wait": wait, "onTimeout": "fail"});
        let invocation = invocation(Duration::from_secs(left));
        let error = invoke_as(&fixture, &event, &invocation).await;
        let error = error.expect_err("a failure");
        let id = fixture.first_id();
        assert_eq!(
            error.to_string(),
            format!(
                "not completed after {waited} s; CloudFront still completes it: {remedy}; {FIRST}: submitted as {id} (1 path: \
                 /a)"
            )
        );
        assert_eq!(error.category(), Category::Unavailable);
    }
}

#[tokio::test]
async fn invalidates_what_viewers_can_have_cached_of_objects() {
    let path = format!("distribution/{SECOND}/config");
    let options =
        Options::default().with_document(&path, &configuration(BUCKET, "/prod", "index.html"));
    let fixture = account_with(0, options).set("DISTRIBUTION_ID", &format!("{FIRST},{SECOND}"));
    let keys = ["/prod/index.html", "prod/a b.html", "prod/a b.html"];
    let event = json!({"keys": keys, "bucket": BUCKET, "distribution": SECOND, "wait": "1m"});
    let response = invoke(&fixture, event).await;
    let paths = ["/", "/a%20b.html", "/a+b.html", "/index.html"];
    assert_eq!(
        fixture.accepted(),
        [(SECOND.to_owned(), paths.map(str::to_owned).into())]
    );
    assert_eq!(
        fields(
            &response,
            &["distribution", "id", "status", "objects", "paths", "notes"]
        ),
        [json!([
            SECOND,
            fixture.first_id(),
            "Completed",
            2,
            paths,
            ["prod/index.html is also / (default root object)"]
        ])]
    );
    assert_eq!(
        response["warnings"],
        json!(["read 1 key without the leading / or ./, such as /prod/index.html"])
    );
    assert_eq!(response["exit_code"], 0);
}

#[tokio::test]
async fn reports_distributions_that_need_no_invalidation() {
    let path = format!("distribution/{SECOND}/config");
    let options = Options::default().with_document(&path, &configuration(BUCKET, "/prod", ""));
    let fixture = account_with(0, options).set("DISTRIBUTION_ID", &format!("{FIRST},{SECOND}"));
    let response = invoke(
        &fixture,
        json!({"keys": "a.html", "bucket": BUCKET, "wait": "1m"}),
    )
    .await;
    assert_eq!(accepted_paths(&fixture), [["/a.html"]]);
    assert_eq!(
        fields(
            &response,
            &["distribution", "id", "status", "objects", "paths", "notes"]
        ),
        [
            json!([FIRST, fixture.first_id(), "Completed", 1, ["/a.html"], []]),
            json!([
                SECOND,
                null,
                null,
                0,
                [],
                ["1 outside origin path /prod: a.html"]
            ]),
        ]
    );
    assert_eq!(response["path_count"], 1);
    let fixture = Fixture::start();
    let immutable = json!({"keys": "_next/static/chunks/main-0123456789abcdef.js", "bucket": BUCKET, "wait": "1m", "verify": true});
    let response = invoke(&fixture, immutable.clone()).await;
    assert_eq!(fixture.accepted(), []);
    assert_eq!(response["exit_code"], 0);
    // It is not known whether the object was written or removed.
    let kept = "1 without a path, because the content under these names never changes: \
                _next/static/chunks/main-0123456789abcdef.js";
    assert_eq!(fields(&response, &["notes"]), [json!([[kept]])]);
    let fixture = verification::account(0).set("KEEP_REMOVED_IMMUTABLE", "false");
    invoke(&fixture, immutable).await;
    assert_eq!(
        accepted_paths(&fixture),
        [["/_next/static/chunks/main-0123456789abcdef.js"]]
    );
}

#[tokio::test]
async fn reads_the_configuration_after_each_request() {
    let fixture = account(0);
    let invalidator = fixture.invalidator_without_pauses();
    let event = json!({"keys": "prod/a.html", "bucket": BUCKET});
    for origin_path in ["", "/prod"] {
        let path = format!("distribution/{FIRST}/config");
        let document = configuration(BUCKET, origin_path, "");
        fixture.standin.set_document(&path, &document);
        let handled = invalidator.handle(&event, &one_minute()).await;
        handled.expect("an object");
    }
    assert_eq!(accepted_paths(&fixture), [["/prod/a.html"], ["/a.html"]]);
}

#[tokio::test]
async fn reports_the_invalidation_of_the_request_when_the_process_knows_others() {
    let fixture = account(3_600);
    let invalidator = fixture.invalidator_without_pauses();
    for path in ["/a", "/b"] {
        let now = DateTime::<Utc>::from(fixture.standin.now());
        let event = json!({"paths": path});
        let handled = invalidator.handle(&event, &one_minute()).await;
        let response = handled.expect("an object");
        let id = ids(&fixture).last().expect("an invalidation").clone();
        let created = now.to_rfc3339_opts(SecondsFormat::Secs, true);
        assert_eq!(
            fields(&response, &["id", "created"]),
            [json!([id, created])]
        );
        fixture.standin.advance(Duration::from_secs(60));
    }
}

#[tokio::test]
async fn reports_the_status_of_an_invalidation() {
    let fixture = account(20).set("DISTRIBUTION_ID", &format!("{SECOND},{FIRST}"));
    invoke(&fixture, json!({"paths": "/a", "distribution": FIRST})).await;
    let received = &fixture.standin.invalidations()[0];
    let id = fixture.first_id();
    for (seconds, status) in [(0, "InProgress"), (20, "Completed")] {
        fixture.standin.advance(Duration::from_secs(seconds));
        for event in [
            json!({"invalidation": id, "distribution": FIRST}),
            json!({"invalidation": id, "requestedBy": "a state machine"}),
        ] {
            let response = invoke(&fixture, event).await;
            assert_eq!(
                response,
                json!({
                    "invalidations": [{
                        "invalidation": id,
                        "distribution": FIRST,
                        "id": id,
                        "created": response["invalidations"][0]["created"],
                        "status": status,
                        "reference": received.reference,
                        "paths": ["/a"],
                    }],
                    "exit_code": 0,
                    "error": null,
                })
            );
        }
    }
    assert_eq!(ids(&fixture).len(), 1);
    let unknown = fixture.handle(&json!({"invalidation": "I1UNKNOWN"})).await;
    assert_eq!(
        unknown.expect_err("no invalidation").to_string(),
        format!(
            "CloudFront rejected the request to read invalidation I1UNKNOWN of {SECOND} and {FIRST}: NoSuchInvalidation: The \
             specified invalidation does not exist.; correct \"invalidation\", or name its distribution in \"distribution\""
        )
    );
}

#[tokio::test]
async fn a_distribution_that_cannot_be_read_possibly_has_the_invalidation() {
    let fixture = account(20).set("DISTRIBUTION_ID", &format!("{SECOND},{FIRST}"));
    invoke(&fixture, json!({"paths": "/a", "distribution": FIRST})).await;
    let id = fixture.first_id();
    let get = Operation::GetInvalidation;
    let standin = &fixture.standin;
    standin.fail_for(SECOND, get, Fault::AccessDenied, 1);
    let response = invoke(&fixture, json!({"invalidation": id})).await;
    assert_eq!(response["invalidations"][0]["distribution"], FIRST);
    standin.fail_for(SECOND, get, Fault::AccessDenied, 1);
    let error = fixture.handle(&json!({"invalidation": "I1UNKNOWN"})).await;
    let error = error.expect_err("no invalidation");
    let denied = denial_with_statement(
        "AccessDenied",
        "cloudfront:GetInvalidation",
        &distribution_arn(SECOND),
    );
    assert_eq!(
        error.to_string(),
        format!(
            "{denied}; CloudFront rejected the request to read invalidation I1UNKNOWN of {FIRST}: NoSuchInvalidation: The \
             specified invalidation does not exist."
        )
    );
    assert_eq!(error.category(), Category::Permission);
}

#[tokio::test]
async fn a_retry_of_an_asynchronous_invocation_finds_the_invalidation() {
    for reuse in [ReferenceReuse::Documented, ReferenceReuse::Observed] {
        let fixture = account_with(
            3_600,
            Options {
                reuse,
                ..Options::default()
            },
        );
        let event = json!({"paths": ["/a", "/b"], "wait": "5s", "onTimeout": "fail"});
        let first = one_minute();
        let failed = invoke_as(&fixture, &event, &first).await;
        failed.expect_err("not completed");
        let id = fixture.first_id();
        // Lambda repeats the request id. A retry can come after hours, if the function is throttled.
        fixture.standin.advance(Duration::from_secs(3_600));
        let response = invoke_as(&fixture, &event, &first)
            .await
            .expect("an object");
        assert_eq!(
            fields(&response, &["id", "status"]),
            [json!([id, "Completed"])],
            "{reuse:?}"
        );
        let other = invoke_as(&fixture, &event, &one_minute()).await;
        other.expect_err("another request is not completed");
        let distinct: BTreeSet<_> = ids(&fixture).into_iter().collect();
        assert_eq!(distinct.len(), 2, "{reuse:?}");
    }
}

#[tokio::test]
async fn an_idempotency_key_finds_the_invalidation_for_15_minutes() {
    for reuse in [ReferenceReuse::Documented, ReferenceReuse::Observed] {
        let fixture = account_with(
            5,
            Options {
                reuse,
                ..Options::default()
            },
        );
        let paths = json!({"paths": ["/a", "/b"], "idempotencyKey": "arn:aws:states:eu-west-1:1:execution:a:b"});
        let keys = json!({"keys": ["a", "b"], "bucket": BUCKET, "idempotencyKey": "k", "reference": "release-42"});
        for (event, key) in [
            (paths, "arn:aws:states:eu-west-1:1:execution:a:b"),
            (keys, "k"),
        ] {
            let first = invoke(&fixture, event.clone()).await;
            let created = fields(&first, &["id", "reused"]);
            let id = &created[0][0];
            assert_eq!(created, [json!([id, false])]);
            fixture.standin.advance(Duration::from_secs(900));
            let again = invoke(&fixture, event.clone()).await;
            assert_eq!(
                fields(&again, &["id", "reused", "status"]),
                [json!([id, true, "Completed"])]
            );
            assert_eq!([&first["path_count"], &again["path_count"]], [2, 0]);
            let mut other = event.clone();
            other["idempotencyKey"] = "another".into();
            let other = invoke(&fixture, other).await;
            assert_eq!(fields(&other, &["reused"]), [json!([false])]);
            fixture.standin.advance(Duration::from_secs(1));
            let error = fixture.handle(&event).await.expect_err("too old");
            let id = id.as_str().expect("an id");
            assert_eq!(
                error.to_string(),
                format!(
                    "{FIRST}: idempotencyKey {key} was already used for these paths 15 min ago, as {id}; nothing was sent: \
                     send another idempotencyKey"
                )
            );
            assert_eq!(error.category(), Category::InvalidInput);
        }
    }
}

#[tokio::test]
async fn a_reference_is_only_a_label() {
    let fixture = account(5);
    for _ in 0..2 {
        invoke(&fixture, json!({"paths": "/a", "reference": "release-42"})).await;
    }
    let received = fixture.standin.invalidations();
    assert_ne!(received[0].outcome, received[1].outcome);
    for invalidation in &received {
        let reference = &invalidation.reference;
        assert!(reference.starts_with("release-42-"), "{reference}");
    }
}

#[tokio::test]
async fn refuses_an_unclear_event_before_any_call() {
    let unknown = "unknown event: expected a CodePipeline job (\"CodePipeline.job\"), an S3 notification, direct or through \
                   SQS, SNS or EventBridge, or a direct invocation (\"paths\", \"keys\" or \"invalidation\"), but received";
    let fixture = account(0);
    for (event, message) in [
        (json!({}), format!("{unknown} an empty object")),
        (
            json!({"distribution": FIRST, "wait": "5m"}),
            format!("{unknown} an object with \"distribution\", \"wait\""),
        ),
        (
            json!({"paths": ["/a"], "waits": "5m"}),
            "direct invocation: unknown field \"waits\" (did you mean \"wait\"?)".to_owned(),
        ),
        (
            json!({"keys": ["a.html"]}),
            "direct invocation: \"keys\" needs \"bucket\": the name of the bucket that has the objects".to_owned(),
        ),
        (
            json!({"paths": ["/a"], "verify": true}),
            "direct invocation: verify needs a wait: add \"wait\": \"30s\"".to_owned(),
        ),
        (
            json!({"keys": ["a"], "bucket": BUCKET, "verify": true, "wait": false}),
            "direct invocation: verify needs a wait: add \"wait\": \"30s\"".to_owned(),
        ),
    ] {
        assert_eq!(refusal(&fixture, event).await, message);
    }
    let no_distribution =
        "no distribution is named: give one in \"distribution\", or set DISTRIBUTION_ID";
    let fixture = account(0).unset("DISTRIBUTION_ID");
    for event in [
        json!({"paths": "/*"}),
        json!({"invalidation": "I2J0I21PCUYOIK"}),
    ] {
        assert_eq!(refusal(&fixture, event).await, no_distribution);
    }
    let fixture = account(0).set("MAX_PATHS", "none");
    for event in [
        json!({"paths": "/*", "distribution": FIRST}),
        json!({"keys": "a", "bucket": BUCKET, "distribution": FIRST, "wait": "5m"}),
    ] {
        assert_eq!(
            refusal(&fixture, event).await,
            "setting MAX_PATHS: \"none\" is not a number from 1 to 3000"
        );
    }
}

#[tokio::test]
async fn a_distribution_can_be_named_by_its_domain() {
    for event in [
        json!({"paths": "/a", "distribution": "www.example.com"}),
        json!({"keys": "a", "bucket": "site", "distribution": "www.example.com"}),
    ] {
        let path = format!("distribution/{FIRST}/config");
        let options = Options::default()
            .with_document("distribution", include_str!("../distributions/list.xml"))
            .with_document(
                "distribution?Marker=E4EXAMPLE1ABC",
                include_str!("../distributions/list-2.xml"),
            )
            .with_document(&path, &configuration("site", "", ""));
        let fixture = account_with(0, options).unset("DISTRIBUTION_ID");
        invoke(&fixture, event).await;
        assert_eq!(
            fixture.accepted(),
            [(FIRST.to_owned(), vec!["/a".to_owned()])]
        );
    }
}

#[tokio::test]
async fn finds_the_distributions_that_have_the_bucket_as_an_origin() {
    let document = list(&[(FIRST, ""), (SECOND, "/prod")]);
    let path = format!("distribution/{SECOND}/config");
    let options = Options::default()
        .with_document("distribution", &document)
        .with_document(&path, &configuration(BUCKET, "/prod", ""));
    let fixture = account_with(0, options.clone()).unset("DISTRIBUTION_ID");
    invoke(&fixture, json!({"keys": ["prod/a.html"], "bucket": BUCKET})).await;
    let mut accepted = fixture.accepted();
    accepted.sort();
    let expected = [(FIRST, "/prod/a.html"), (SECOND, "/a.html")];
    let expected = expected.map(|(id, path)| (id.to_owned(), vec![path.to_owned()]));
    assert_eq!(accepted, expected);
    let unknown = json!({"keys": "a", "bucket": "unknown"});
    let named = json!({"keys": "a", "bucket": "unknown", "distribution": [SECOND, FIRST]});
    let other = format!(
        "bucket unknown is not an origin of {SECOND} and {FIRST}: correct \"bucket\", or name its distribution in \
         \"distribution\""
    );
    for (event, ids, message) in [
        (
            &unknown,
            "",
            "no distribution of this account has bucket unknown as an origin: correct \"bucket\", or name the distribution in \
             \"distribution\" if it reaches the bucket by another name",
        ),
        (&named, "", &other),
        (&named, FIRST, &other),
        (&unknown, &format!("{SECOND},{FIRST}"), &other),
    ] {
        let fixture = Fixture::with(options.clone()).set("DISTRIBUTION_ID", ids);
        let error = fixture.handle(event).await.expect_err("no origin");
        assert_eq!(error.to_string(), message);
        assert_eq!(fixture.accepted(), []);
    }
}

#[tokio::test]
async fn the_error_has_what_happened_to_each_distribution() {
    let paths = json!({"paths": "/a", "distribution": [FIRST, SECOND], "idempotencyKey": "k"});
    let keys = json!({"keys": "a", "bucket": BUCKET, "distribution": [FIRST, SECOND], "idempotencyKey": "k"});
    for event in [paths, keys] {
        let fixture = account(0);
        fixture.standin.fail(
            Operation::CreateInvalidation,
            Fault::TooManyInvalidationsInProgress,
            1,
        );
        let error = fixture
            .handle(&event)
            .await
            .expect_err("CloudFront is busy");
        let text = error.to_string();
        let accepted = fixture.accepted();
        let [(accepted, _)] = &accepted[..] else {
            panic!("{accepted:?}")
        };
        let refused = if accepted == FIRST { SECOND } else { FIRST };
        let id = &ids(&fixture)[0];
        let objects = if event.get("keys").is_some() {
            "1 object became "
        } else {
            ""
        };
        let submitted = format!("{accepted}: submitted as {id} ({objects}1 path: /a)");
        let busy = format!("could not invalidate {refused} now: TooManyInvalidationsInProgress: ");
        assert!(text.contains(&submitted) && text.contains(&busy), "{text}");
        assert_eq!(
            text.matches("TooManyInvalidationsInProgress").count(),
            1,
            "{text}"
        );
        assert_eq!(error.category(), Category::Throttled);
        // The caller repeats it: one invalidation is found, the other is created.
        let response = invoke(&fixture, event).await;
        let reused = fields(&response, &["distribution", "reused"]);
        assert!(reused.contains(&json!([refused, false])), "{reused:?}");
        let distinct: BTreeSet<_> = ids(&fixture).into_iter().collect();
        assert_eq!(distinct.len(), 2);
    }
}

#[tokio::test]
async fn an_error_that_a_retry_does_not_help_decides_the_category() {
    let paths = json!({"paths": "/a", "distribution": [FIRST, SECOND]});
    let keys = json!({"keys": "a", "bucket": BUCKET, "distribution": [FIRST, SECOND]});
    for event in [paths, keys] {
        let fixture = account(0);
        let create = Operation::CreateInvalidation;
        for fault in [Fault::TooManyInvalidationsInProgress, Fault::AccessDenied] {
            fixture.standin.fail(create, fault, 1);
        }
        let error = fixture.handle(&event).await.expect_err("no invalidation");
        let text = error.to_string();
        for fault in ["TooManyInvalidationsInProgress: ", "AccessDenied: "] {
            assert_eq!(text.matches(fault).count(), 1, "{text}");
        }
        assert_eq!(error.category(), Category::Permission);
    }
}

#[tokio::test]
async fn the_error_names_once_what_could_not_be_read() {
    // The stand-in has no configuration for it, which is a failure of the service.
    const UNREAD: &str = "E9EXAMPLE1ABC";
    let unread = format!("could not read the configuration of {UNREAD}: ");
    for distributions in [&[UNREAD][..], &[FIRST, UNREAD]] {
        let fixture = account_with(0, Options::default().with_distribution(UNREAD));
        let busy = Fault::TooManyInvalidationsInProgress;
        fixture.standin.fail(Operation::CreateInvalidation, busy, 1);
        let event = json!({"keys": ["a", "b"], "bucket": BUCKET, "distribution": distributions});
        let error = fixture.handle(&event).await.expect_err("unread");
        let text = error.to_string();
        assert_eq!(text.matches(&unread).count(), 1, "{text}");
        let busy = text.matches("TooManyInvalidationsInProgress: ").count();
        assert_eq!(busy, distributions.len() - 1, "{text}");
        assert!(error.is_transient());
    }
}

#[tokio::test]
async fn a_permission_that_is_missing_is_named() {
    let denied =
        |action: &str| denial_with_statement("AccessDenied", action, &distribution_arn(FIRST));
    for event in [
        json!({"paths": "/a"}),
        json!({"keys": "a", "bucket": BUCKET}),
    ] {
        let fixture = account(20);
        fixture
            .standin
            .fail(Operation::CreateInvalidation, Fault::AccessDenied, ALWAYS);
        let error = fixture.handle(&event).await.expect_err("denied");
        assert_eq!(error.to_string(), denied("cloudfront:CreateInvalidation"));
        assert_eq!(error.category(), Category::Permission);
    }
    let fixture = account(20);
    fixture
        .standin
        .fail(Operation::GetInvalidation, Fault::AccessDenied, ALWAYS);
    let error = fixture
        .handle(&json!({"paths": "/a", "wait": "5m"}))
        .await
        .expect_err("denied");
    let id = fixture.first_id();
    assert_eq!(
        error.to_string(),
        format!(
            "submitted, but the completion is unknown: {}; {FIRST}: submitted as {id} (1 path: /a)",
            denied("cloudfront:GetInvalidation")
        )
    );
    assert_eq!(error.category(), Category::Permission);
}

#[tokio::test]
async fn an_invalidation_whose_id_is_unknown_is_not_reported_as_completed() {
    for (event, paths) in [
        (json!({"paths": "/a", "wait": "5m"}), "1 path: /a"),
        (
            json!({"keys": "a", "bucket": BUCKET, "wait": "5m"}),
            "1 object became 1 path: /a",
        ),
    ] {
        let fixture = account_with(
            0,
            Options {
                reuse: ReferenceReuse::Observed,
                ..Options::default()
            },
        );
        let invocation = one_minute();
        invoke_as(&fixture, &event, &invocation)
            .await
            .expect("an object");
        fixture.standin.fail(
            Operation::ListInvalidations,
            Fault::AccessDenied,
            4 * ALWAYS,
        );
        let before = fixture.standin.now();
        let response = invoke_as(&fixture, &event, &invocation)
            .await
            .expect("an object");
        // A wait would find out nothing.
        assert_eq!(fixture.standin.now(), before);
        let message = format!(
            "{FIRST}: the invalidation was submitted, but its status is unknown: CloudFront had it already and did not return \
             its id"
        );
        let error = json!({"kind": "unavailable", "message": message, "hint": null});
        assert_eq!(
            fields(&response, &["id", "status", "error"]),
            [json!([null, "InProgress", error])]
        );
        assert_eq!(response["exit_code"], 3);
        let mut event = event;
        event["onTimeout"] = "fail".into();
        let error = invoke_as(&fixture, &event, &invocation)
            .await
            .expect_err("unknown");
        assert_eq!(
            error.to_string(),
            format!(
                "could not read the status of the invalidation of {FIRST}: CloudFront had it already and did not return its id; \
                 try again; {FIRST}: submitted before with caller reference {} ({paths})",
                fixture.standin.invalidations()[0].reference
            )
        );
    }
}

#[tokio::test]
async fn verifies_what_viewers_get() {
    let host = "d1example.cloudfront.net";
    for event in [
        json!({"paths": "/a+b.html"}),
        json!({"keys": "a+b.html", "bucket": BUCKET}),
    ] {
        let is_key = event.get("keys").is_some();
        for on_stale in ["fail", "succeed"] {
            let fixture = verification::account(0);
            fixture.standin.put_object(BUCKET, "a+b.html", "old");
            verification::cache(&fixture, &[(host, "/a%2Bb.html")]);
            let mut event = event.clone();
            event["wait"] = "5m".into();
            event["verify"] = "/a%2Bb.html".into();
            event["onStale"] = on_stale.into();
            let result = invoke_as(&fixture, &event, &one_minute()).await;
            if is_key {
                // The key is invalidated with all its spellings.
                let response = result.expect("an object");
                assert_eq!(response["verification"]["counts"]["fresh"], 1);
                assert_eq!(response["exit_code"], 0);
            } else if on_stale == "fail" {
                let error = result.expect_err("old content");
                assert_eq!(error.category(), Category::Stale);
                let start = format!(
                    "viewers still get old content: 1 stale; https://{host}/a%2Bb.html is stale: "
                );
                assert!(error.to_string().starts_with(&start), "{error}");
                let id = fixture.first_id();
                let end = format!("; {FIRST}: submitted as {id} (1 path: /a+b.html)");
                assert!(error.to_string().ends_with(&end), "{error}");
            } else {
                let response = result.expect("an object");
                assert_eq!(response["verification"]["counts"]["stale"], 1);
                assert_eq!(response["exit_code"], 6);
                assert_eq!(response["error"]["kind"], "stale");
                assert_eq!(fields(&response, &["status"]), [json!(["Completed"])]);
            }
        }
    }
}

#[tokio::test]
async fn verifies_the_urls_of_the_request() {
    for event in [
        json!({"keys": ["a.html", "b.html"], "bucket": BUCKET, "wait": "5m", "verify": true}),
        json!({"paths": ["/a.html", "/b.html"], "wait": "5m", "verify": true}),
    ] {
        let fixture = verification::account(0);
        fixture.standin.put_object(BUCKET, "a.html", "new");
        fixture.standin.put_object(BUCKET, "b.html", "new");
        let response = invoke(&fixture, event).await;
        let urls = response["verification"]["urls"]
            .as_array()
            .expect("an array");
        let mut urls: Vec<_> = urls
            .iter()
            .map(|url| json!([url["url"], url["verdict"]]))
            .collect();
        urls.sort_by_key(ToString::to_string);
        let expected = ["a", "b"].map(|name| {
            json!([
                format!("https://d1example.cloudfront.net/{name}.html"),
                "fresh"
            ])
        });
        assert_eq!(urls, expected);
        assert_eq!(response["verification"]["left_out"], 0);
    }
}

#[tokio::test]
async fn counts_the_urls_that_are_left_out() {
    let fixture = verification::account(0);
    let paths: Vec<_> = (0..25).map(|number| format!("/{number}")).collect();
    let event = json!({"paths": paths, "wait": "5m", "verify": true});
    let response = invoke(&fixture, event).await;
    let verification = &response["verification"];
    let urls = verification["urls"].as_array().map(Vec::len);
    assert_eq!((urls, &verification["left_out"]), (Some(20), &json!(5)));
}

#[tokio::test]
async fn a_verification_without_a_verdict_is_not_confirmed_and_no_failure() {
    let fixture = verification::account(0);
    let disabled = configuration(BUCKET, "", "").replace("<Enabled>true", "<Enabled>false");
    let path = format!("distribution/{FIRST}/config");
    fixture.standin.set_document(&path, &disabled);
    let event = json!({"paths": "/a", "wait": "5m", "verify": true, "onStale": "fail"});
    let response = invoke(&fixture, event).await;
    assert_eq!(fields(&response, &["status"]), [json!(["Completed"])]);
    assert_eq!(response["exit_code"], 3);
    assert_eq!(
        response["error"],
        json!({
            "kind": "unavailable",
            "message": format!("nothing could be verified: {FIRST} is not verified: it is disabled"),
            "hint": null,
        })
    );
}

#[tokio::test]
async fn reports_why_nothing_was_verified() {
    for (completes_after, left, warning) in [
        (
            3_600,
            60,
            "not verified, because not all invalidations are completed",
        ),
        (0, 8, "not verified, because the function's time is over"),
    ] {
        let fixture = verification::account(completes_after);
        let event = json!({"paths": "/a", "wait": "5s", "verify": true});
        let invocation = invocation(Duration::from_secs(left));
        logged();
        let response = invoke_as(&fixture, &event, &invocation)
            .await
            .expect("an object");
        let lines = logged_at("WARN").into_iter();
        let lines: Vec<_> = lines.map(|line| line["message"].clone()).collect();
        assert_eq!(lines, [warning]);
        assert_eq!(response["warnings"], json!([warning]));
        assert_eq!(response["verification"], Value::Null);
        assert_eq!(response["exit_code"], 3);
        assert_eq!(fixture.standin.viewer_requests().len(), 0);
    }
}

#[tokio::test]
async fn a_request_is_sent_even_if_a_newer_invalidation_covers_it() {
    let fixture = account(3_600);
    // The function's clock is behind CloudFront's.
    let standin = Arc::clone(&fixture.standin);
    let now = move || standin.now() - Duration::from_secs(60);
    let clock = cloudfront_invalidator::clock::Clock::new(now, tokio::time::sleep);
    let invalidator = fixture.invalidator().with_clock(clock);
    let event = json!({"keys": "a.html", "bucket": BUCKET});
    for _ in 0..2 {
        let handled = invalidator.handle(&event, &one_minute()).await;
        handled.expect("an object");
    }
    let distinct: BTreeSet<_> = ids(&fixture).into_iter().collect();
    assert_eq!(distinct.len(), 2);
}

#[tokio::test]
async fn the_log_names_the_caller_as_unverified() {
    let fixture = account(0);
    logged();
    for requester in [None, Some("Ada")] {
        let event = json!({"paths": "/a", "requestedBy": requester});
        invoke(&fixture, event).await;
        let lines = logged_at("INFO");
        let line = lines.first().expect("a line");
        assert_eq!(line["message"], "direct invocation");
        assert_eq!(line["caller"], "direct");
        assert_eq!(
            line.get("requestedByUnverified"),
            requester.map(Value::from).as_ref()
        );
    }
    let refused = json!({"paths": "/a", "x": 1, "requestedBy": "Ada"});
    let error = fixture
        .handle(&refused)
        .await
        .expect_err("an unknown field");
    let lines = logged_at("INFO");
    assert_eq!(lines[0]["requestedByUnverified"], "Ada");
    assert_eq!(logged_at("ERROR").len(), 0);
    let _ = error;
}
