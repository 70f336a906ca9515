//! The signing secrets: where they are stored, when they are read, and what a function does that cannot read them.

use std::time::Duration;

use cloudfront_invalidator::handler::Invalidator;
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::bed::{Request, SIGNING_SECRET, SlackBed};
use super::requests::{
    Exchange, MISMATCH, OTHER_SECRET, READ, exchange, exchange_with, is_purge, refused, request,
};
use crate::fixture::{denial_with_statement, logged, logged_at, one_minute};
use crate::standin::{Fault, Operation, Secret};

/// Stores signing secrets, separated by commas.
fn store(bed: &SlackBed, signing_secrets: &str) {
    let text = json!({"signing_secrets": signing_secrets}).to_string();
    bed.fixture.standin.set_secret("slack", Secret::Text(text));
}

/// Returns a request that is signed with this secret now.
fn signed_with(bed: &SlackBed, secret: &str) -> Value {
    let secret = secret.to_owned();
    Request {
        secret,
        ..request(bed)
    }
    .event()
}

fn advance(bed: &SlackBed, seconds: u64) {
    bed.fixture.standin.advance(Duration::from_secs(seconds));
}

/// Sends a request that is signed with this secret, which must be accepted; returns how often the secret was read for it.
async fn reads_of_accepted(invalidator: &Invalidator, bed: &SlackBed, secret: &str) -> usize {
    let before = reads(bed);
    let event = signed_with(bed, secret);
    let response = invalidator.handle(&event, &one_minute()).await;
    let reply = super::bed::reply_of(&response.expect("a response"));
    assert!(is_purge(&reply), "{reply}");
    reads(bed) - before
}

/// Sends a request that is signed with this secret, which must be refused; returns how often the secret was read for it.
async fn reads_of_refused(invalidator: &Invalidator, bed: &SlackBed, secret: &str) -> usize {
    let exchange = exchange_with(invalidator, bed, &signed_with(bed, secret)).await;
    let reads = exchange.calls.len();
    let calls = vec![Operation::GetSecretValue; reads];
    assert_eq!(exchange, refused(MISMATCH, &calls));
    reads
}

fn reads(bed: &SlackBed) -> usize {
    let secrets = bed.fixture.calls(Operation::GetSecretValue);
    secrets + bed.fixture.calls(Operation::GetParameter)
}

/// What follows a request that the function cannot check.
fn failed(cause: &str, message: &str, calls: &[Operation]) -> Exchange {
    Exchange {
        response: json!({"statusCode": 500}),
        log: vec![json!({
            "level": "ERROR",
            "caller": "slack",
            "cause": cause,
            "message": message,
        })],
        calls: calls.to_vec(),
    }
}

#[tokio::test]
async fn the_secret_is_read_once_for_many_requests() {
    let bed = SlackBed::start();
    let invalidator = bed.invalidator();
    let event = signed_with(&bed, SIGNING_SECRET);
    let (first, second) = (one_minute(), one_minute());
    let requests = [&first, &second].map(|invocation| invalidator.handle(&event, invocation));
    for response in join_all(requests).await {
        assert_eq!(response.expect("a response")["statusCode"], 200);
    }
    for secret in [SIGNING_SECRET, SIGNING_SECRET] {
        assert_eq!(reads_of_accepted(&invalidator, &bed, secret).await, 0);
    }
    assert_eq!(reads(&bed), 1);
}

#[tokio::test]
async fn each_of_the_stored_secrets_is_accepted() {
    let bed = SlackBed::start();
    store(&bed, &format!(" {OTHER_SECRET} , {SIGNING_SECRET}"));
    let invalidator = bed.invalidator();
    assert_eq!(reads_of_accepted(&invalidator, &bed, OTHER_SECRET).await, 1);
    assert_eq!(
        reads_of_accepted(&invalidator, &bed, SIGNING_SECRET).await,
        0
    );
    assert_eq!(reads_of_refused(&invalidator, &bed, "neither").await, 0);
}

#[tokio::test]
async fn a_mismatch_reads_the_secret_again_once_a_minute() {
    let bed = SlackBed::start();
    let invalidator = bed.invalidator();
    assert_eq!(
        reads_of_accepted(&invalidator, &bed, SIGNING_SECRET).await,
        1
    );
    store(&bed, &format!("{OTHER_SECRET},{SIGNING_SECRET}"));
    advance(&bed, 59);
    assert_eq!(reads_of_refused(&invalidator, &bed, OTHER_SECRET).await, 0);
    advance(&bed, 1);
    assert_eq!(reads_of_accepted(&invalidator, &bed, OTHER_SECRET).await, 1);
    assert_eq!(
        reads_of_accepted(&invalidator, &bed, SIGNING_SECRET).await,
        0
    );
    // The requests of a stranger cost one call a minute.
    for (seconds, calls) in [(0, 0), (59, 0), (1, 1), (1, 0), (58, 0), (1, 1)] {
        advance(&bed, seconds);
        assert_eq!(reads_of_refused(&invalidator, &bed, "neither").await, calls);
    }
}

#[tokio::test]
async fn a_removed_secret_is_refused_after_ten_minutes() {
    let bed = SlackBed::start();
    let invalidator = bed.invalidator();
    assert_eq!(
        reads_of_accepted(&invalidator, &bed, SIGNING_SECRET).await,
        1
    );
    store(&bed, OTHER_SECRET);
    advance(&bed, 599);
    assert_eq!(
        reads_of_accepted(&invalidator, &bed, SIGNING_SECRET).await,
        0
    );
    advance(&bed, 1);
    assert_eq!(
        reads_of_refused(&invalidator, &bed, SIGNING_SECRET).await,
        1
    );
    assert_eq!(reads_of_accepted(&invalidator, &bed, OTHER_SECRET).await, 0);
}

#[tokio::test]
async fn a_request_is_an_error_until_the_secret_can_be_read() {
    let bed = SlackBed::start();
    let region = bed.fixture.variables()["AWS_REGION"].clone();
    let arn = format!("arn:aws:secretsmanager:{region}:111122223333:secret:slack-");
    let (of_policy, of_aws) = (format!("{arn}??????"), format!("{arn}a1B2c3"));
    let action = "secretsmanager:GetSecretValue";
    let denial = denial_with_statement("AccessDeniedException", action, &of_policy);
    // AWS names the secret that exists.
    let denial = denial.replacen(
        &format!("on resource: {of_policy}"),
        &format!("on resource: {of_aws}"),
        1,
    );
    let invalidator = bed.invalidator();
    let read = Operation::GetSecretValue;
    bed.fixture
        .standin
        .fail(read, Fault::AccessDeniedException, 1);
    let event = signed_with(&bed, SIGNING_SECRET);
    assert_eq!(
        exchange_with(&invalidator, &bed, &event).await,
        failed("permission", &denial, READ)
    );
    // Each request of a stranger would cause another read.
    bed.fixture.standin.advance(Duration::from_secs(59));
    let event = signed_with(&bed, SIGNING_SECRET);
    assert_eq!(
        exchange_with(&invalidator, &bed, &event).await,
        failed("permission", &denial, &[])
    );
    bed.fixture.standin.advance(Duration::from_secs(1));
    // Both attempts.
    bed.fixture.standin.fail(read, Fault::InternalFailure, 2);
    let message =
        "could not read secret slack: InternalFailure: An internal error occurred.; try again";
    assert_eq!(
        exchange_with(&invalidator, &bed, &event).await,
        failed("unavailable", message, &[read, read])
    );
    assert_eq!(
        reads_of_accepted(&invalidator, &bed, SIGNING_SECRET).await,
        1
    );
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_again_stays_in_use() {
    let bed = SlackBed::start();
    let invalidator = bed.invalidator();
    assert_eq!(
        reads_of_accepted(&invalidator, &bed, SIGNING_SECRET).await,
        1
    );
    advance(&bed, 600);
    bed.fixture
        .standin
        .set_secret("slack", Secret::MarkedForDeletion);
    logged();
    assert_eq!(
        reads_of_accepted(&invalidator, &bed, SIGNING_SECRET).await,
        1
    );
    let lines = logged_at("WARN");
    let [line] = &lines[..] else {
        panic!("{lines:#?}")
    };
    assert_eq!(
        line["message"],
        "the secret of before stays in use: could not read secret slack: InvalidRequestException: You can't perform this \
         operation on the secret because it was marked for deletion.; restore it with `aws secretsmanager restore-secret \
         --secret-id slack`, or name another one in SlackSecretName"
    );
    assert_eq!(
        reads_of_accepted(&invalidator, &bed, SIGNING_SECRET).await,
        0
    );
    assert_eq!(reads_of_refused(&invalidator, &bed, OTHER_SECRET).await, 0);
}

#[tokio::test]
async fn a_secret_is_read_from_a_parameter_or_as_plain_text() {
    let json = json!({"signing_secret": SIGNING_SECRET}).to_string();
    for text in [SIGNING_SECRET, &format!(" {SIGNING_SECRET}\n"), &json] {
        let bed = SlackBed::start();
        let text = Secret::Text(text.to_owned());
        bed.fixture.standin.set_secret("slack", text.clone());
        assert_eq!(
            reads_of_accepted(&bed.invalidator(), &bed, SIGNING_SECRET).await,
            1
        );
        let bed = bed
            .set("SLACK_SECRET_NAME", "")
            .set("SLACK_SECRET_PARAMETER", "/team/slack");
        bed.fixture.standin.set_parameter("/team/slack", text);
        assert_eq!(
            reads_of_accepted(&bed.invalidator(), &bed, SIGNING_SECRET).await,
            1
        );
        assert_eq!(bed.fixture.calls(Operation::GetParameter), 1);
    }
}

#[tokio::test]
async fn a_setting_or_a_secret_without_a_clear_meaning_is_an_error() {
    let bed = SlackBed::start();
    for (text, message) in [
        (
            "{",
            "secret slack: it is neither a JSON object with \"signing_secrets\" nor the plain signing secret",
        ),
        ("{}", "secret slack: \"signing_secrets\" is missing"),
        (
            " , ",
            "secret slack: the signing secret is empty: copy it from \"Basic Information\" of the Slack app",
        ),
        (
            r#"{"signing_secret": "quartz", "webhook_url": "https://quartz.example.com/hush"}"#,
            "secret slack: webhook_url: expected a URL that begins with https://hooks.slack.com/ or \
             https://hooks.slack-gov.com/",
        ),
    ] {
        bed.fixture
            .standin
            .set_secret("slack", Secret::Text(text.to_owned()));
        let expected = failed("mistake", message, READ);
        assert_eq!(
            exchange(&bed, &signed_with(&bed, SIGNING_SECRET)).await,
            expected
        );
    }
    let bed = bed.set("SLACK_SECRET_PARAMETER", "slack");
    let message = "settings SLACK_SECRET_NAME and SLACK_SECRET_PARAMETER are both set: remove one";
    let expected = failed("mistake", message, &[]);
    assert_eq!(
        exchange(&bed, &signed_with(&bed, SIGNING_SECRET)).await,
        expected
    );
    let bed = bed
        .set("SLACK_SECRET_PARAMETER", "")
        .set("SLACK_SECRET_NAME", " ");
    let message =
        "no signing secret of Slack is configured: set SLACK_SECRET_NAME or SLACK_SECRET_PARAMETER";
    let expected = failed("mistake", message, &[]);
    assert_eq!(
        exchange(&bed, &signed_with(&bed, SIGNING_SECRET)).await,
        expected
    );
}
