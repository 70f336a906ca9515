//! The checks of a request to the function URL, in their order.
//!
//! Anyone can send a request. So each refused one is compared completely: the response, the calls, and all lines of the log.

use std::time::Duration;

use cloudfront_invalidator::handler::Invalidator;
use serde_json::{Value, json};

use super::bed::{
    RESPONSE_URL, Request, SIGNING_SECRET, SlackBed, WEBHOOK_URL, millis, reply_of, signed,
};
use crate::fixture::{logged, one_minute};
use crate::standin::Operation;

const TIMESTAMP: &str = "/headers/x-slack-request-timestamp";
const SIGNATURE: &str = "/headers/x-slack-signature";
pub(super) const OTHER_SECRET: &str = "0123456789abcdef0123456789abcdef";

/// What no line of the log has: the secrets, and what only Slack and the person know.
const PRIVATE: [&str; 10] = [
    SIGNING_SECRET,
    OTHER_SECRET,
    RESPONSE_URL,
    WEBHOOK_URL,
    "hush",
    "commands/T0EXAMPLE",
    "13345224609",
    "v0=",
    "mona",
    "quartz",
];

/// A response, the lines of the log without their times, and the calls.
#[derive(Debug, PartialEq)]
pub(super) struct Exchange {
    pub(super) response: Value,
    pub(super) log: Vec<Value>,
    pub(super) calls: Vec<Operation>,
}

/// Sends an event to the function.
pub(super) async fn exchange_with(
    invalidator: &Invalidator,
    bed: &SlackBed,
    event: &Value,
) -> Exchange {
    logged();
    let before = bed.fixture.standin.calls().len();
    let response = invalidator.handle(event, &one_minute()).await;
    let lines = logged();
    for (line, private) in lines
        .iter()
        .flat_map(|line| PRIVATE.map(|private| (line, private)))
    {
        assert!(!line.contains(private), "{private} in {line}");
    }
    let without_time = |line: String| {
        let mut line: Value = serde_json::from_str(&line).expect("JSON");
        let fields = line.as_object_mut().expect("an object");
        fields.remove("timestamp").expect("a time");
        line
    };
    Exchange {
        response: response.expect("a response"),
        log: lines.into_iter().map(without_time).collect(),
        calls: bed.fixture.standin.calls().split_off(before),
    }
}

/// Sends an event to a new function.
pub(super) async fn exchange(bed: &SlackBed, event: &Value) -> Exchange {
    exchange_with(&bed.invalidator(), bed, event).await
}

/// Returns a signed request, whose values must not be in the log.
pub(super) fn request(bed: &SlackBed) -> Request {
    bed.request("/quartz")
}

/// Replaces the value at the pointer, or adds it.
fn with(mut event: Value, pointer: &str, value: impl Into<Value>) -> Value {
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
    event.pointer_mut(parent).expect("a parent")[name] = value.into();
    event
}

fn without(mut event: Value, pointer: &str) -> Value {
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
    let parent = event.pointer_mut(parent).and_then(Value::as_object_mut);
    parent.and_then(|fields| fields.remove(name)).expect(name);
    event
}

fn unsigned(event: Value) -> Value {
    without(without(event, TIMESTAMP), SIGNATURE)
}

fn base64(body: impl AsRef<[u8]>) -> String {
    aws_smithy_types::base64::encode(body)
}

/// What follows a request that is not Slack's.
pub(super) fn refused(reason: &str, calls: &[Operation]) -> Exchange {
    let message = format!("refused: {reason}");
    Exchange {
        response: json!({"statusCode": 401}),
        log: vec![json!({"level": "WARN", "caller": "slack", "message": message})],
        calls: calls.to_vec(),
    }
}

/// What follows a request for which nothing is done and nothing is logged.
fn empty(calls: &[Operation]) -> Exchange {
    Exchange {
        response: json!({"statusCode": 200}),
        log: Vec::new(),
        calls: calls.to_vec(),
    }
}

/// Returns a response that only the person sees.
fn ephemeral(text: &str) -> Value {
    let body = json!({"response_type": "ephemeral", "text": text});
    json!({
        "statusCode": 200,
        "headers": {"content-type": "application/json; charset=utf-8"},
        "body": body.to_string(),
    })
}

/// Returns whether the reply is about the purge that [`request`] requests.
pub(super) fn is_purge(reply: &Value) -> bool {
    let text = reply["text"].as_str();
    text.is_some_and(|text| text.starts_with("Purging `/quartz` of *blog*."))
}

pub(super) const READ: &[Operation] = &[Operation::GetSecretValue];
pub(super) const MISMATCH: &str = "the signature matches no signing secret";

#[tokio::test]
async fn a_browser_gets_a_text_and_other_methods_are_refused() {
    let bed = SlackBed::start();
    let event = request(&bed).event();
    for method in ["GET", "HEAD"] {
        let event = with(event.clone(), "/requestContext/http/method", method);
        let expected = Exchange {
            response: json!({
                "statusCode": 200,
                "headers": {"content-type": "text/plain; charset=utf-8"},
                "body": "This is the address of a Slack command. Type the command in Slack.",
            }),
            ..empty(&[])
        };
        assert_eq!(exchange(&bed, &event).await, expected, "{method}");
    }
    for method in ["PUT", "DELETE", "OPTIONS", "post", ""] {
        let event = with(event.clone(), "/requestContext/http/method", method);
        let expected = refused("the method is not POST", &[]);
        assert_eq!(exchange(&bed, &event).await, expected, "{method}");
    }
}

#[tokio::test]
async fn each_check_comes_before_the_next_one() {
    let bed = SlackBed::start().set("SLACK_WORKSPACES", "T0OTHER");
    let now = bed.fixture.standin.now();
    let form = signed(b"quartz", now, OTHER_SECRET);
    let large = "%".repeat(2_000_000);
    // Each request corrects the mistake for which the one before is refused.
    let old = (millis(now) / 1_000 - 301).to_string();
    let request = with(form.clone(), "/requestContext/http/method", "PUT");
    let request = with(unsigned(request), "/body", large);
    assert_eq!(
        exchange(&bed, &request).await,
        refused("the method is not POST", &[])
    );
    let request = with(request, "/requestContext/http/method", "POST");
    assert_eq!(
        exchange(&bed, &request).await,
        refused("the body has more than 1,000,000 bytes", &[])
    );
    let request = with(request, "/body", "%");
    assert_eq!(
        exchange(&bed, &request).await,
        refused("the body is not valid base64", &[])
    );
    let request = with(request, "/body", base64("quartz"));
    assert_eq!(
        exchange(&bed, &request).await,
        refused(
            "the header X-Slack-Request-Timestamp is missing or repeated",
            &[]
        )
    );
    let request = with(request, TIMESTAMP, "quartz");
    assert_eq!(
        exchange(&bed, &request).await,
        refused("the header X-Slack-Signature is missing or repeated", &[])
    );
    let request = with(request, SIGNATURE, "quartz");
    assert_eq!(
        exchange(&bed, &request).await,
        refused("the header X-Slack-Request-Timestamp is malformed", &[])
    );
    let request = with(request, TIMESTAMP, old);
    assert_eq!(
        exchange(&bed, &request).await,
        refused("the header X-Slack-Signature is malformed", &[])
    );
    let signature = form.pointer(SIGNATURE).expect("a signature").clone();
    let request = with(request, SIGNATURE, signature);
    assert_eq!(
        exchange(&bed, &request).await,
        refused("the timestamp is more than 300 s old", &[])
    );
    assert_eq!(exchange(&bed, &form).await, refused(MISMATCH, READ));
    let request = signed(b"quartz", now, SIGNING_SECRET);
    let text = "This request is not a slash command that the function understands.";
    assert_eq!(
        exchange(&bed, &request).await,
        Exchange {
            response: ephemeral(text),
            log: vec![json!({
                "level": "WARN",
                "caller": "slack",
                "cause": "mistake",
                "message": "signed, but no slash command: team_id is missing",
            })],
            calls: READ.to_vec(),
        }
    );
    // The text of the command is invalid, too.
    let request = bed.request("quartz /quartz quartz").event();
    assert_eq!(
        exchange(&bed, &request).await.response,
        ephemeral("This command is not allowed here; ask #web-team.")
    );
}

#[tokio::test]
async fn a_body_of_a_million_bytes_is_read_and_a_larger_one_is_refused() {
    let bed = SlackBed::start();
    let form = request(&bed).with("text", "help").body();
    let of_size = |size: usize| format!("{form}&padding={}", "a".repeat(size - form.len() - 9));
    for is_base64 in [true, false] {
        let event = |size| {
            let body = of_size(size);
            assert_eq!(body.len(), size);
            let event = signed(body.as_bytes(), bed.fixture.standin.now(), SIGNING_SECRET);
            match is_base64 {
                true => event,
                false => with(with(event, "/body", body), "/isBase64Encoded", false),
            }
        };
        let accepted = exchange(&bed, &event(1_000_000)).await;
        let reply = reply_of(&accepted.response);
        let text = reply["text"].as_str().unwrap_or_default();
        assert!(text.starts_with("• `/cdn-purge`"), "{text}");
        let expected = refused("the body has more than 1,000,000 bytes", &[]);
        assert_eq!(exchange(&bed, &event(1_000_001)).await, expected);
    }
}

#[tokio::test]
async fn each_header_must_be_there_once_and_have_the_form_of_slack() {
    let bed = SlackBed::start();
    let event = request(&bed).event();
    let text = |pointer: &str| {
        event
            .pointer(pointer)
            .and_then(Value::as_str)
            .expect("text")
    };
    let (timestamp, signature) = (text(TIMESTAMP), text(SIGNATURE));
    let (_, digits) = signature.split_once('=').expect("digits");
    for (name, pointer, malformed) in [
        (
            "X-Slack-Request-Timestamp",
            TIMESTAMP,
            [
                String::new(),
                format!(" {timestamp}"),
                format!("+{timestamp}"),
                format!("{timestamp}.0"),
                format!("{timestamp},{timestamp}"),
                "9".repeat(19),
            ],
        ),
        (
            "X-Slack-Signature",
            SIGNATURE,
            [
                String::new(),
                digits.to_owned(),
                format!("v1={digits}"),
                signature.to_uppercase().replace('V', "v"),
                format!("{signature}0"),
                format!("{signature},{signature}"),
            ],
        ),
    ] {
        let expected = refused(&format!("the header {name} is missing or repeated"), &[]);
        let missing = without(event.clone(), pointer);
        assert_eq!(exchange(&bed, &missing).await, expected, "missing");
        let value = event.pointer(pointer).expect("a header").clone();
        let twice = with(event.clone(), &format!("/headers/{name}"), value);
        assert_eq!(exchange(&bed, &twice).await, expected, "repeated");
        let expected = refused(&format!("the header {name} is malformed"), &[]);
        for value in malformed {
            let event = with(event.clone(), pointer, value.as_str());
            assert_eq!(exchange(&bed, &event).await, expected, "{name}: {value}");
        }
    }
    let in_other_case = |name: &str| name.to_uppercase();
    let headers = event["headers"].as_object().expect("headers").iter();
    let headers = headers.map(|(name, value)| (in_other_case(name), value.clone()));
    let event = with(event.clone(), "/headers", Value::Object(headers.collect()));
    assert!(is_purge(&bed.send(&event).await));
}

#[tokio::test]
async fn a_signature_is_valid_for_300_s_around_its_time() {
    let bed = SlackBed::start();
    let signed_at = |request: Request, seconds: i64| {
        let distance = Duration::from_secs(seconds.unsigned_abs());
        let now = match seconds < 0 {
            true => request.now - distance,
            false => request.now + distance,
        };
        Request { now, ..request }.event()
    };
    for seconds in [-300, 300] {
        assert!(is_purge(
            &bed.send(&signed_at(request(&bed), seconds)).await
        ));
    }
    for (seconds, expected) in [
        (-301, "the timestamp is more than 300 s old"),
        (301, "the timestamp is more than 300 s in the future"),
    ] {
        let event = signed_at(request(&bed), seconds);
        assert_eq!(exchange(&bed, &event).await, refused(expected, &[]));
    }
}

#[tokio::test]
async fn only_the_bytes_that_slack_signed_are_accepted() {
    let bed = SlackBed::start();
    let body = request(&bed).body();
    let event = request(&bed).event();
    let plain = with(event.clone(), "/body", body.as_str());
    let plain = with(plain, "/isBase64Encoded", false);
    for accepted in [&event, &plain] {
        assert!(is_purge(&bed.send(accepted).await));
    }
    let tampered = body.replace("quartz", "quarts");
    let other_secret = Request {
        secret: OTHER_SECRET.to_owned(),
        ..request(&bed)
    };
    let moved = (millis(bed.fixture.standin.now()) / 1_000 + 1).to_string();
    for (name, event) in [
        ("another secret", other_secret.event()),
        (
            "another body",
            with(event.clone(), "/body", base64(tampered)),
        ),
        (
            "a longer body",
            with(event.clone(), "/body", base64(format!("{body}&"))),
        ),
        ("no body", without(event.clone(), "/body")),
        ("another time", with(event.clone(), TIMESTAMP, moved)),
        (
            "plain base64",
            with(event.clone(), "/isBase64Encoded", false),
        ),
    ] {
        assert_eq!(
            exchange(&bed, &event).await,
            refused(MISMATCH, READ),
            "{name}"
        );
    }
    for body in [body.as_str(), "YWJj\nZGVm", "YWJjZA", "*"] {
        let event = with(event.clone(), "/body", body);
        let expected = refused("the body is not valid base64", &[]);
        assert_eq!(exchange(&bed, &event).await, expected, "{body}");
    }
}

#[tokio::test]
async fn the_check_of_the_certificate_is_answered_and_leads_to_nothing() {
    let bed = SlackBed::start();
    let check = |body: &str| with(request(&bed).event(), "/body", base64(body));
    let command = request(&bed).body();
    // The second has a whole command.
    for body in [
        "ssl_check=1&token=quartz".to_owned(),
        format!("ssl_check=1&{command}"),
        format!("{command}&ssl_check=1"),
    ] {
        assert_eq!(exchange(&bed, &unsigned(check(&body))).await, empty(&[]));
        // One header is enough to require the signature.
        let event = without(check(&body), SIGNATURE);
        let expected = refused("the header X-Slack-Signature is missing or repeated", &[]);
        assert_eq!(exchange(&bed, &event).await, expected);
        assert_eq!(exchange(&bed, &check(&body)).await, refused(MISMATCH, READ));
    }
    for body in [
        "ssl_check=0",
        "ssl_check=",
        "ssl_check=1&ssl_check=1",
        "a",
        "",
    ] {
        let expected = "the header X-Slack-Request-Timestamp is missing or repeated";
        let event = unsigned(check(body));
        assert_eq!(
            exchange(&bed, &event).await,
            refused(expected, &[]),
            "{body}"
        );
    }
    let signed = request(&bed).with("ssl_check", "1").event();
    assert_eq!(exchange(&bed, &signed).await, empty(READ));
    assert_eq!(bed.fixture.accepted(), []);
    let signed = request(&bed).with("ssl_check", "0").event();
    assert!(is_purge(&bed.send(&signed).await));
}

#[tokio::test]
async fn a_signed_form_that_is_no_command_is_answered_without_its_values() {
    let bed = SlackBed::start();
    let now = bed.fixture.standin.now();
    let body = request(&bed).body();
    let missing = |name: &str| {
        let mut request = request(&bed);
        request.form.retain(|(field, _)| field != name);
        request.body()
    };
    for (body, reason) in [
        (r#"{"quartz": 1}"#.to_owned(), "team_id is missing"),
        (String::new(), "team_id is missing"),
        ("team_id=%ff".to_owned(), "the form is not UTF-8"),
        (missing("team_id"), "team_id is missing"),
        (missing("channel_id"), "channel_id is missing"),
        (missing("user_id"), "user_id is missing"),
        (missing("command"), "command is missing"),
        (missing("trigger_id"), "trigger_id is missing"),
        (format!("{body}&text=quartz"), "text is repeated"),
        (format!("{body}&user_id=U0EXAMPLE"), "user_id is repeated"),
        (
            request(&bed).with("user_id", "<quartz>").body(),
            "user_id is not an id",
        ),
        (
            request(&bed)
                .with("response_url", "https://quartz.example.com/")
                .body(),
            "response_url: expected a URL that begins with https://hooks.slack.com/ or https://hooks.slack-gov.com/",
        ),
    ] {
        let exchange = exchange(&bed, &signed(body.as_bytes(), now, SIGNING_SECRET)).await;
        let text = "This request is not a slash command that the function understands.";
        assert_eq!(
            exchange,
            Exchange {
                response: ephemeral(text),
                log: vec![json!({
                    "level": "WARN",
                    "caller": "slack",
                    "cause": "mistake",
                    "message": format!("signed, but no slash command: {reason}"),
                })],
                calls: READ.to_vec(),
            },
            "{reason}"
        );
    }
}

#[tokio::test]
async fn who_is_not_allowed_learns_whom_to_ask() {
    let refused_ids = |user: &str, channel: &str, workspace: &str| Exchange {
        response: ephemeral("This command is not allowed here; ask #web-team &amp; ann."),
        log: vec![json!({
            "level": "INFO",
            "caller": "slack",
            "user": user,
            "channel": channel,
            "workspace": workspace,
            "message": "the command is not allowed here",
        })],
        calls: READ.to_vec(),
    };
    let bed = || SlackBed::start().set("SLACK_CONTACT", "#web-team & ann");
    for variable in ["SLACK_WORKSPACES", "SLACK_CHANNELS", "SLACK_USERS"] {
        // Neither a part of an id nor another case is enough, and no name.
        for list in [
            "X0EXAMPLE",
            "t0example,c0example,u0example",
            "T0,C0,U0",
            "website,mona",
        ] {
            let bed = bed().set(variable, list);
            let expected = refused_ids("U0EXAMPLE", "C0EXAMPLE", "T0EXAMPLE");
            let exchange = exchange(&bed, &request(&bed).event()).await;
            assert_eq!(exchange, expected, "{variable}={list}");
        }
    }
    // All lists must allow it.
    let bed = bed()
        .set("SLACK_WORKSPACES", "E0EXAMPLE,T0SECOND")
        .set("SLACK_CHANNELS", "C0EXAMPLE,D0EXAMPLE")
        .set("SLACK_USERS", "W0EXAMPLE,U0EXAMPLE");
    let request = |enterprise: &str, channel: &str, user: &str| {
        let request = request(&bed).with("enterprise_id", enterprise);
        request
            .with("channel_id", channel)
            .with("user_id", user)
            .event()
    };
    for (enterprise, channel, user, is_allowed) in [
        ("E0EXAMPLE", "C0EXAMPLE", "U0EXAMPLE", true),
        ("E0EXAMPLE", "D0EXAMPLE", "W0EXAMPLE", true),
        ("E0OTHER", "C0EXAMPLE", "U0EXAMPLE", false),
        ("", "C0EXAMPLE", "U0EXAMPLE", false),
        ("E0EXAMPLE", "C0OTHER", "U0EXAMPLE", false),
        ("E0EXAMPLE", "C0EXAMPLE", "U0OTHER", false),
    ] {
        let event = request(enterprise, channel, user);
        match is_allowed {
            true => assert!(
                is_purge(&bed.send(&event).await),
                "{enterprise} {channel} {user}"
            ),
            false => assert_eq!(
                exchange(&bed, &event).await,
                refused_ids(user, channel, "T0EXAMPLE")
            ),
        }
    }
}
