//! The calls without an SDK client: SQS, Secrets Manager, Systems Manager, and Slack's hooks.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use cloudfront_invalidator::aws::secrets::{SecretSource, Secrets};
use cloudfront_invalidator::aws::sqs::{QueueUrl, Sqs};
use cloudfront_invalidator::aws::webhook::{PostError, WebhookClient};
use cloudfront_invalidator::clock::Clock as FunctionClock;
use cloudfront_invalidator::error::{Category, Error};
use serde_json::json;
use tokio::time::Instant;

use crate::fixture::{ALWAYS, Fixture, account, logged, rejected_credentials};
use crate::standin::{
    Clock, Fault, Operation, Options, ReceivedPost, Secret, SentMessage, SlackResponse,
    VisibilityChange,
};

const REGION: &str = "eu-west-1";
const USER_AGENT: &str = concat!("cloudfront-invalidator/", env!("CARGO_PKG_VERSION"));
const HOOK: &str = "https://hooks.slack.com/services/T00000000/B00000000/hush";

fn fixture() -> Fixture {
    let options = Options {
        clock: Clock::frozen(),
        ..Options::default()
    };
    Fixture::with(options).set("AWS_REGION", REGION)
}

/// Returns the stand-in's clock, which advances instead of pausing.
fn clock(fixture: &Fixture) -> FunctionClock {
    let (now, pause) = (Arc::clone(&fixture.standin), Arc::clone(&fixture.standin));
    FunctionClock::new(
        move || now.now(),
        move |duration| {
            pause.advance(duration);
            std::future::ready(())
        },
    )
}

fn sqs(fixture: &Fixture) -> Sqs {
    Sqs::with_clock(&fixture.sdk(), clock(fixture))
}

fn secrets(fixture: &Fixture) -> Secrets {
    Secrets::with_clock(&fixture.sdk(), account(), clock(fixture))
}

fn queue(fixture: &Fixture) -> QueueUrl {
    QueueUrl::parse(&fixture.standin.create_queue("slack")).expect("a URL")
}

fn deadline() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

async fn send(fixture: &Fixture, queue: &QueueUrl) -> Result<(), Error> {
    let delay = Duration::from_secs(5);
    let body = r#"{"slackTask":{}}"#;
    sqs(fixture)
        .send_message(queue, body, delay, deadline())
        .await
}

async fn read(fixture: &Fixture, source: SecretSource) -> Result<String, Error> {
    let text = secrets(fixture).read(&source, deadline()).await;
    text.map(|text| text.as_str().to_owned())
}

fn secret(name: &str) -> SecretSource {
    SecretSource::SecretsManager(name.to_owned())
}

fn parameter(name: &str) -> SecretSource {
    SecretSource::Parameter(name.to_owned())
}

/// Returns the headers of the only call, without the signature itself.
fn headers(fixture: &Fixture) -> BTreeMap<String, String> {
    let calls = fixture.standin.json_calls();
    let [call] = &calls[..] else {
        panic!("{calls:#?}");
    };
    let mut headers = call.headers.clone();
    let authorization = headers.get_mut("authorization").expect("a signature");
    let (scope, signature) = authorization.split_once("Signature=").expect("a signature");
    assert_eq!(signature.len(), 64, "{signature}");
    *authorization = scope.to_owned();
    headers
}

fn expected_headers(
    fixture: &Fixture,
    service: &str,
    target: &str,
    version: &str,
    length: usize,
) -> BTreeMap<String, String> {
    let host = fixture.standin.url().replace("http://", "");
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/{REGION}/{service}/aws4_request, \
         SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target, "
    );
    let headers = [
        ("authorization", authorization),
        ("content-length", length.to_string()),
        ("content-type", format!("application/x-amz-json-{version}")),
        ("host", host),
        ("user-agent", USER_AGENT.to_owned()),
        ("x-amz-date", "20260101T000000Z".to_owned()),
        ("x-amz-security-token", "token-of-the-function".to_owned()),
        ("x-amz-target", target.to_owned()),
    ];
    headers.map(|(name, value)| (name.to_owned(), value)).into()
}

#[tokio::test]
async fn a_message_is_sent_with_its_delay() {
    let fixture = fixture();
    let queue = queue(&fixture);
    assert_eq!(send(&fixture, &queue).await, Ok(()));
    let message = SentMessage {
        queue: "slack".to_owned(),
        body: r#"{"slackTask":{}}"#.to_owned(),
        delay_seconds: 5,
    };
    assert_eq!(fixture.standin.sent_messages(), [message]);
    let call = &fixture.standin.json_calls()[0];
    let input = json!({
        "QueueUrl": queue.as_str(),
        "MessageBody": "{\"slackTask\":{}}",
        "DelaySeconds": 5,
    });
    assert_eq!(call.input, input);
    let length = call.body.len();
    let expected = expected_headers(&fixture, "sqs", "AmazonSQS.SendMessage", "1.0", length);
    assert_eq!(headers(&fixture), expected);
}

#[tokio::test]
async fn a_message_becomes_visible_again_at_a_chosen_time() {
    let fixture = fixture();
    let queue = queue(&fixture);
    let visible_in = Duration::from_millis(29_500);
    let sqs = sqs(&fixture);
    let changed = sqs.change_visibility(&queue, "AQEB+/=", visible_in, deadline());
    assert_eq!(changed.await, Ok(()));
    let change = VisibilityChange {
        queue: "slack".to_owned(),
        receipt_handle: "AQEB+/=".to_owned(),
        seconds: 30,
    };
    assert_eq!(fixture.standin.visibility_changes(), [change]);
    let target = "AmazonSQS.ChangeMessageVisibility";
    let length = fixture.standin.json_calls()[0].body.len();
    let expected = expected_headers(&fixture, "sqs", target, "1.0", length);
    assert_eq!(headers(&fixture), expected);
}

#[tokio::test]
async fn a_secret_is_read_from_either_service() {
    let text = "{\"signing_secrets\":\"hush\u{e9}\"}";
    for (source, service, target, input) in [
        (
            secret("team/slack"),
            "secretsmanager",
            "secretsmanager.GetSecretValue",
            json!({"SecretId": "team/slack"}),
        ),
        (
            parameter("/team/slack"),
            "ssm",
            "AmazonSSM.GetParameter",
            json!({"Name": "/team/slack", "WithDecryption": true}),
        ),
    ] {
        let fixture = fixture();
        let value = || Secret::Text(text.to_owned());
        fixture.standin.set_secret("team/slack", value());
        fixture.standin.set_parameter("/team/slack", value());
        assert_eq!(read(&fixture, source).await.as_deref(), Ok(text));
        let call = &fixture.standin.json_calls()[0];
        assert_eq!(call.input, input);
        let expected = expected_headers(&fixture, service, target, "1.1", call.body.len());
        assert_eq!(headers(&fixture), expected);
        let debug = format!("{:?}{:?}", secrets(&fixture), logged());
        assert!(!debug.contains("hush"), "{debug}");
        assert!(!debug.contains("secret-of-the-function"), "{debug}");
    }
}

#[tokio::test]
async fn a_call_goes_to_the_endpoint_of_its_service() {
    let value = || Secret::Text("hush".to_owned());
    let url = "https://sqs.eu-west-1.amazonaws.com/111122223333/slack";
    let queue = QueueUrl::parse(url).expect("a URL");
    for [of_sqs, of_secrets, of_parameters, of_all] in [
        ["1", "", "", "0"],
        ["", "1", "", "0"],
        ["", "", "1", "0"],
        ["", "", "", "1"],
    ] {
        let fixture = fixture();
        fixture.standin.create_queue("slack");
        fixture.standin.set_secret("slack", value());
        fixture.standin.set_parameter("slack", value());
        let standin = fixture.standin.url();
        let url = |part: &str| match part {
            "1" => standin.clone(),
            "" => String::new(),
            // Nothing listens there.
            _ => "http://127.0.0.1:1".to_owned(),
        };
        let fixture = fixture
            .set("AWS_ENDPOINT_URL_SQS", &url(of_sqs))
            .set("AWS_ENDPOINT_URL_SECRETS_MANAGER", &url(of_secrets))
            .set("AWS_ENDPOINT_URL_SSM", &url(of_parameters))
            .set("AWS_ENDPOINT_URL", &url(of_all));
        let results = [
            send(&fixture, &queue).await.is_ok(),
            read(&fixture, secret("slack")).await.is_ok(),
            read(&fixture, parameter("slack")).await.is_ok(),
        ];
        let expected = [of_sqs, of_secrets, of_parameters].map(|part| part == "1" || of_all == "1");
        assert_eq!(results, expected);
    }
}

#[tokio::test]
async fn without_an_endpoint_a_message_goes_to_the_host_of_the_queue() {
    let fixture = fixture().unset("AWS_ENDPOINT_URL");
    let queue = queue(&fixture);
    assert_eq!(send(&fixture, &queue).await, Ok(()));
    assert_eq!(fixture.standin.sent_messages().len(), 1);
}

/// A fault, the complete message after "could not send a message to queue slack", and how many calls there are.
type Row = (Fault, &'static str, Category, RangeInclusive<usize>);

#[tokio::test]
async fn a_throttle_and_a_failure_are_repeated_once() {
    let rows: [Row; 9] = [
        (
            Fault::ThrottlingException,
            " now: ThrottlingException: Rate exceeded; try again in a minute",
            Category::Throttled,
            2..=2,
        ),
        (
            Fault::RequestLimitExceeded,
            " now: RequestLimitExceeded: Rate exceeded; try again in a minute",
            Category::Throttled,
            2..=2,
        ),
        (
            Fault::InternalFailure,
            ": InternalFailure: An internal error occurred.; try again",
            Category::Unavailable,
            2..=2,
        ),
        (
            Fault::BadGateway,
            ": HTTP status 502; try again",
            Category::Unavailable,
            2..=2,
        ),
        (
            Fault::GatewayTimeout,
            ": HTTP status 504; try again",
            Category::Unavailable,
            2..=2,
        ),
        (
            Fault::Reset,
            ": other: client error (SendRequest): connection closed before message completed; try again",
            Category::Unavailable,
            // An attempt on a connection that the server has just closed does not reach the stand-in.
            1..=2,
        ),
        (
            Fault::LostResponse,
            ": other: client error (SendRequest): connection closed before message completed; try again",
            Category::Unavailable,
            1..=2,
        ),
        // The service can have carried out the call.
        (
            Fault::Garbage,
            ": the response is not JSON; try again",
            Category::Unavailable,
            1..=1,
        ),
        (
            Fault::ValidationException,
            ": ValidationException: The request was refused because a test asked for it.",
            Category::InvalidInput,
            1..=1,
        ),
    ];
    for (fault, message, category, calls) in rows {
        let fixture = fixture();
        let queue = queue(&fixture);
        let operation = Operation::SendMessage;
        fixture.standin.fail(operation, fault, ALWAYS);
        let error = send(&fixture, &queue).await.expect_err("a failure");
        let expected = format!("could not send a message to queue slack{message}");
        assert_eq!(error.to_string(), expected, "{fault:?}");
        assert_eq!(error.category(), category, "{fault:?}");
        let count = fixture.calls(operation);
        assert!(calls.contains(&count), "{fault:?}: {count} calls");

        if calls != (1..=1) {
            fixture.standin.reset();
            fixture.standin.fail(operation, fault, 1);
            assert_eq!(send(&fixture, &queue).await, Ok(()), "{fault:?}");
        }
    }
}

#[tokio::test]
async fn a_hanging_attempt_leaves_time_for_a_second_one() {
    let fixture = fixture();
    let queue = queue(&fixture);
    let sqs = sqs(&fixture);
    let send = || {
        let deadline = Instant::now() + Duration::from_millis(1_600);
        sqs.send_message(&queue, "{}", Duration::ZERO, deadline)
    };
    fixture.standin.fail(Operation::SendMessage, Fault::Hang, 1);
    assert_eq!(send().await, Ok(()));
    assert_eq!(fixture.calls(Operation::SendMessage), 2);

    fixture.standin.reset();
    fixture.standin.fail(Operation::SendMessage, Fault::Hang, 2);
    let started = Instant::now();
    let error = send().await.expect_err("no response");
    let text = "could not send a message to queue slack: no response in time; try again";
    assert_eq!(error.to_string(), text);
    assert_eq!(fixture.calls(Operation::SendMessage), 2);
    let elapsed = started.elapsed();
    assert!(elapsed < Duration::from_secs(5), "{elapsed:?}");
}

#[tokio::test]
async fn after_its_deadline_nothing_is_sent() {
    let fixture = fixture();
    let queue = queue(&fixture);
    let sqs = sqs(&fixture);
    let sent = sqs.send_message(&queue, "{}", Duration::ZERO, Instant::now());
    let error = sent.await.expect_err("no time");
    let text = "could not send a message to queue slack: no response in time; try again";
    assert_eq!(error.to_string(), text);
    assert_eq!(fixture.standin.sent_messages(), []);
}

#[tokio::test]
async fn a_denied_call_names_the_action_and_the_arn() {
    let user = "User: arn:aws:sts::111122223333:assumed-role/standin/standin is not authorized to perform:";
    let fixture = fixture();
    let queue = queue(&fixture);
    let standin = &fixture.standin;
    let denied = Fault::AccessDeniedException;
    let arn = "arn:aws:sqs:eu-west-1:111122223333:slack";

    standin.fail(Operation::SendMessage, denied, 1);
    let error = send(&fixture, &queue).await.expect_err("denied");
    // The URL of the stand-in names no region, so that it is that of the function.
    let expected = format!(
        "not allowed to call sqs:SendMessage on {arn}: AccessDeniedException: {user} sqs:sendmessage on resource: {arn} \
         because no identity-based policy allows the sqs:sendmessage action; add this statement to a policy of the \
         function's role: {{\"Effect\":\"Allow\",\"Action\":\"sqs:SendMessage\",\"Resource\":\"{arn}\"}}"
    );
    assert_eq!(error.to_string(), expected);
    assert_eq!(error.category(), Category::Permission);

    standin.fail(Operation::ChangeMessageVisibility, denied, 1);
    let sqs = sqs(&fixture);
    let changed = sqs.change_visibility(&queue, "handle", Duration::ZERO, deadline());
    let error = changed.await.expect_err("denied").to_string();
    let expected = format!("not allowed to call sqs:ChangeMessageVisibility on {arn}: ");
    assert!(error.starts_with(&expected), "{error}");

    for (source, operation, action, resource, received) in [
        (
            secret("team/slack"),
            Operation::GetSecretValue,
            "secretsmanager:GetSecretValue",
            "arn:aws:secretsmanager:eu-west-1:111122223333:secret:team/slack-??????",
            "arn:aws:secretsmanager:eu-west-1:111122223333:secret:team/slack-a1B2c3",
        ),
        (
            parameter("/team/slack"),
            Operation::GetParameter,
            "ssm:GetParameter",
            "arn:aws:ssm:eu-west-1:111122223333:parameter/team/slack",
            "arn:aws:ssm:eu-west-1:111122223333:parameter/team/slack",
        ),
    ] {
        standin.fail(operation, denied, 1);
        let error = read(&fixture, source).await.expect_err("denied");
        let expected = format!(
            "not allowed to call {action} on {resource}: AccessDeniedException: {user} {action} on resource: {received} \
             because no identity-based policy allows the {action} action; add this statement to a policy of the function's \
             role: {{\"Effect\":\"Allow\",\"Action\":\"{action}\",\"Resource\":\"{resource}\"}}"
        );
        assert_eq!(error.to_string(), expected);
        assert_eq!(fixture.calls(operation), 1);
    }
}

#[tokio::test]
async fn rejected_and_missing_credentials_are_named_as_such() {
    for fault in [
        Fault::ExpiredTokenException,
        Fault::UnrecognizedClientException,
        Fault::SignatureDoesNotMatch,
    ] {
        let fixture = fixture();
        fixture.standin.fail(Operation::GetSecretValue, fault, 1);
        let error = read(&fixture, secret("slack")).await.expect_err("rejected");
        assert_eq!(error.to_string(), rejected_credentials(fault));
    }
    let fixture = fixture().unset("AWS_ACCESS_KEY_ID");
    let error = read(&fixture, secret("slack")).await.expect_err("none");
    assert_eq!(error.category(), Category::Permission);
    let text = error.to_string();
    assert!(text.starts_with("found no credentials in "), "{text}");
    assert_eq!(fixture.standin.json_calls(), []);
}

#[tokio::test]
async fn a_queue_that_does_not_exist_is_named() {
    let fixture = fixture();
    let url = format!("{}/111122223333/other", fixture.standin.url());
    let queue = QueueUrl::parse(&url).expect("a URL");
    let error = send(&fixture, &queue).await.expect_err("no queue");
    let expected = format!(
        "could not send a message to queue other: QueueDoesNotExist: The specified queue does not exist.; check that {url} \
         is the URL of a queue"
    );
    assert_eq!(error.to_string(), expected);
    assert_eq!(error.category(), Category::InvalidInput);
    let sqs = sqs(&fixture);
    let queue = self::queue(&fixture);
    let changed = sqs.change_visibility(&queue, "", Duration::ZERO, deadline());
    let error = changed.await.expect_err("no message").to_string();
    let expected = "could not change the visibility timeout of a message of queue slack: ReceiptHandleIsInvalid: The input \
                    receipt handle is invalid.; the message was received again or deleted meanwhile";
    assert_eq!(error, expected);
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_names_the_remedy() {
    const KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/11111111-abcd-4111-abcd-111111111111";
    let allow_key = "set SlackSecretKmsKeyArn to the ARN of the key, so that the function's role allows it, and allow it in the \
                     policy of the key";
    let user = "User: arn:aws:sts::111122223333:assumed-role/standin/standin is not authorized to perform:";
    let not_decryptable = format!(
        "not allowed to call kms:Decrypt on {KEY}: AccessDeniedException: {user} kms:Decrypt on resource: {KEY} because no \
         identity-based policy allows the kms:Decrypt action; {allow_key}"
    );
    let (invalid, permission) = (Category::InvalidInput, Category::Permission);
    for (state, category, expected) in [
        (
            None,
            invalid,
            "could not read secret slack: ResourceNotFoundException: Secrets Manager can't find the specified secret.; create \
             it in the region of the function, or correct SlackSecretName"
                .to_owned(),
        ),
        (
            Some(Secret::NoValue),
            invalid,
            "could not read secret slack: ResourceNotFoundException: Secrets Manager can't find the specified secret value for \
             staging label: AWSCURRENT; store a value with `aws secretsmanager put-secret-value --secret-id slack`"
                .to_owned(),
        ),
        (
            Some(Secret::MarkedForDeletion),
            invalid,
            "could not read secret slack: InvalidRequestException: You can't perform this operation on the secret because it \
             was marked for deletion.; restore it with `aws secretsmanager restore-secret --secret-id slack`, or name another \
             one in SlackSecretName"
                .to_owned(),
        ),
        (
            Some(Secret::Binary),
            invalid,
            "could not read secret slack: it is binary; store its value as text (SecretString)".to_owned(),
        ),
        (
            Some(Secret::NotDecryptable(None)),
            permission,
            format!(
                "not allowed to call kms:Decrypt on the KMS key of secret slack: AccessDeniedException: Access to KMS is not \
                 allowed; {allow_key}"
            ),
        ),
        (
            Some(Secret::NotDecryptable(Some(KEY))),
            permission,
            not_decryptable.clone(),
        ),
        (
            Some(Secret::KeyDisabled),
            invalid,
            "could not read secret slack: DecryptionFailure: Secrets Manager can't decrypt the protected secret text using the \
             provided KMS key.; check that its KMS key exists and is enabled, or store the value again with another key"
                .to_owned(),
        ),
        (
            Some(Secret::Text("hush".repeat(200_000))),
            Category::Unavailable,
            "could not read secret slack: the response is too long; try again".to_owned(),
        ),
    ] {
        let fixture = fixture();
        if let Some(state) = state {
            fixture.standin.set_secret("slack", state);
        }
        let error = read(&fixture, secret("slack")).await.expect_err(&expected);
        assert_eq!(error.to_string(), expected);
        assert_eq!(error.category(), category, "{expected}");
    }
    for (state, expected) in [
        (
            None,
            "could not read parameter slack: ParameterNotFound; create it in the region of the function as a SecureString, or \
             correct SlackSecretParameter"
                .to_owned(),
        ),
        (
            Some(Secret::NotDecryptable(None)),
            format!(
                "not allowed to call kms:Decrypt on the KMS key of parameter slack: AccessDeniedException: The ciphertext refers \
                 to a customer master key that does not exist, does not exist in this region, or you are not allowed to access.; \
                 {allow_key}"
            ),
        ),
        (Some(Secret::NotDecryptable(Some(KEY))), not_decryptable),
        (
            Some(Secret::KeyDisabled),
            "could not read parameter slack: InvalidKeyId: arn:aws:kms:eu-west-1:111122223333:key/EXAMPLE is disabled.; check \
             that its KMS key exists and is enabled, or store the value again with another key"
                .to_owned(),
        ),
    ] {
        let fixture = fixture();
        if let Some(state) = state {
            fixture.standin.set_parameter("slack", state);
        }
        let error = read(&fixture, parameter("slack")).await.expect_err(&expected);
        assert_eq!(error.to_string(), expected);
    }
}

fn hooks(fixture: &Fixture) -> WebhookClient {
    WebhookClient::new(&fixture.sdk(), Some(fixture.standin.url()))
}

fn message() -> serde_json::Value {
    json!({"response_type": "ephemeral", "text": "purged \u{e9}"})
}

#[tokio::test]
async fn a_message_is_posted_without_credentials() {
    let fixture = fixture();
    let posted = hooks(&fixture).post(HOOK, &message(), deadline()).await;
    assert_eq!(posted, Ok(()));
    let post = ReceivedPost {
        path: "/services/T00000000/B00000000/hush".to_owned(),
        headers: [
            ("content-length", "48"),
            ("content-type", "application/json; charset=utf-8"),
            ("host", &*fixture.standin.url().replace("http://", "")),
            ("user-agent", USER_AGENT),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into(),
        message: message(),
    };
    assert_eq!(fixture.standin.slack_posts(), [post]);
}

#[tokio::test]
async fn slack_decides_whether_another_attempt_can_succeed() {
    let rejected = |reason: &str| Err(PostError::Rejected(reason.to_owned()));
    let unavailable = |reason: &str, seconds: Option<u64>| {
        Err(PostError::Unavailable {
            reason: reason.to_owned(),
            retry_after: seconds.map(Duration::from_secs),
        })
    };
    let location = "/services/T00000000/B00000000/other";
    for (response, expected) in [
        (SlackResponse::new(200, "ok"), Ok(())),
        (
            SlackResponse::new(400, "invalid_payload"),
            rejected("HTTP status 400: invalid_payload"),
        ),
        (
            SlackResponse::new(404, "expired_url"),
            rejected("HTTP status 404: expired_url"),
        ),
        (
            SlackResponse::new(404, "no hook services/T00000000/B00000000/hush"),
            rejected("HTTP status 404"),
        ),
        (
            SlackResponse::new(404, "<html>Not found</html>"),
            rejected("HTTP status 404"),
        ),
        (
            SlackResponse::new(302, "").with_header("location", location),
            rejected("HTTP status 302"),
        ),
        (
            SlackResponse::new(429, "rate_limited").with_header("retry-after", "30"),
            unavailable("HTTP status 429: rate_limited", Some(30)),
        ),
        (
            SlackResponse::new(429, "rate_limited").with_header("retry-after", "soon"),
            unavailable("HTTP status 429: rate_limited", None),
        ),
        (
            SlackResponse::new(500, "rollup_error"),
            unavailable("HTTP status 500: rollup_error", None),
        ),
    ] {
        let fixture = fixture();
        fixture.standin.respond_as_slack(response.clone());
        let posted = hooks(&fixture).post(HOOK, &message(), deadline()).await;
        assert_eq!(posted, expected, "{response:?}");
        assert_eq!(fixture.standin.slack_posts().len(), 1, "{response:?}");
    }
}

#[tokio::test]
async fn a_post_without_a_response_can_be_repeated_and_names_no_url() {
    let unavailable = |reason: &str| PostError::Unavailable {
        reason: reason.to_owned(),
        retry_after: None,
    };
    let fixture = fixture();
    let client = hooks(&fixture);
    let closed = "other: client error (SendRequest): connection closed before message completed";
    for (fault, seconds, reason) in [
        (Fault::Reset, 20, closed),
        (Fault::LostResponse, 20, closed),
        (Fault::Hang, 1, "no response in time"),
    ] {
        fixture.standin.fail(Operation::PostToSlack, fault, 1);
        let deadline = Instant::now() + Duration::from_secs(seconds);
        let error = client.post(HOOK, &message(), deadline).await;
        let error = error.expect_err("no response");
        assert_eq!(error, unavailable(reason));
        assert_eq!(
            error.to_string(),
            format!("could not post to Slack: {reason}")
        );
        assert!(error.is_transient());
    }
    let nowhere = WebhookClient::new(&fixture.sdk(), Some("http://127.0.0.1:1".to_owned()));
    let error = nowhere.post(HOOK, &message(), deadline()).await;
    let error = error.expect_err("no server");
    assert!(error.is_transient(), "{error}");
    assert!(!format!("{error:?}{nowhere:?}").contains("hush"), "{error}");
    for url in [
        "http://hooks.slack.com/services/T0/B0/hush",
        "hush",
        "https://hooks.slack.com/hush hush",
    ] {
        let error = client.post(url, &message(), deadline()).await;
        let error = error.expect_err(url);
        assert!(!error.is_transient(), "{error}");
        assert!(!format!("{error:?} {error}").contains("hush"), "{error}");
    }
    let debug = logged().concat();
    assert!(!debug.contains("hush"), "{debug}");
}
