//! Reads requests with the signature of Slack's documentation, and requests of strangers.

use aws_smithy_types::base64;
use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

use super::*;
use crate::trigger::function_url::FunctionUrlRequest;

/// The example of <https://docs.slack.dev/authentication/verifying-requests-from-slack>.
const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
const SECONDS: i64 = 1_531_420_618;
const SIGNATURE: &str = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";
const BODY: &str = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&\
                    channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&\
                    response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F\
                    96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";

const TIMESTAMP_HEADER: &str = "X-Slack-Request-Timestamp";
const SIGNATURE_HEADER: &str = "X-Slack-Signature";

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp_secs(SECONDS).expect("a time")
}

/// A request in base64, as Lambda sends a form.
fn event(timestamp: &str, signature: &str, body: &[u8]) -> Value {
    json!({
        "version": "2.0",
        "requestContext": {"http": {"method": "POST"}},
        "headers": {"x-slack-request-timestamp": timestamp, "x-slack-signature": signature},
        "body": base64::encode(body),
        "isBase64Encoded": true,
    })
}

fn example() -> Value {
    event(&SECONDS.to_string(), SIGNATURE, BODY.as_bytes())
}

fn read_at(event: &Value, now: DateTime<Utc>) -> Result<SignedRequest, Refusal> {
    SignedRequest::read(&FunctionUrlRequest::from_event(event), now)
}

fn refusal(event: &Value) -> Option<Refusal> {
    read_at(event, now()).err()
}

fn secrets<const N: usize>(texts: [&str; N]) -> Vec<SigningSecret> {
    let secrets = texts.map(|text| SigningSecret::parse(text).expect("a secret"));
    secrets.into()
}

fn is_accepted(event: &Value) -> bool {
    read_at(event, now()).is_ok_and(|request| request.is_signed_with(&secrets([SECRET])))
}

fn with(mut event: Value, pointer: &str, value: impl Into<Value>) -> Value {
    *event.pointer_mut(pointer).expect("a field") = value.into();
    event
}

fn form(body: &str) -> Result<Form, String> {
    Form::parse(body.as_bytes()).map_err(|error| error.to_string())
}

fn response_url(text: &str) -> ResponseUrl {
    ResponseUrl::parse(text).expect("a URL of Slack")
}

#[test]
fn accepts_the_example_of_slack() {
    let plain = with(example(), "/body", BODY);
    let plain = with(plain, "/isBase64Encoded", false);
    for event in [example(), plain] {
        let request = read_at(&event, now()).expect("a signed request");
        assert!(request.is_signed_with(&secrets([SECRET])));
        let command = SlashCommand {
            team: "T1DC2JH3J".into(),
            enterprise: None,
            channel: "G8PSS9T3V".into(),
            user: "U2CERLKJA".into(),
            command: "/webhook-collect".into(),
            text: String::new(),
            response_url: Some(response_url(
                "https://hooks.slack.com/commands/T1DC2JH3J/397700885554/96rGlfmibIGlgcZRskXaIFfN",
            )),
            trigger_id: "398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c".into(),
        };
        assert_eq!(request.form(), Ok(Form::Command(Box::new(command))));
        assert_eq!(
            format!("{request:?}"),
            "SignedRequest { timestamp: \"1531420618\", .. }"
        );
    }
}

#[test]
fn one_of_several_secrets_is_enough() {
    let request = read_at(&example(), now()).expect("a signed request");
    for (texts, is_signed) in [
        (secrets([]), false),
        (secrets(["other"]), false),
        (secrets([SECRET, "other"]), true),
        (secrets(["other", SECRET]), true),
        (secrets([SECRET, SECRET]), true),
        (secrets(["8F742231B10E8888ABCD99YYYZZZ85A5"]), false),
    ] {
        assert_eq!(request.is_signed_with(&texts), is_signed);
    }
}

#[test]
fn refuses_in_the_order_of_the_checks() {
    let put = with(example(), "/requestContext/http/method", "PUT");
    let large = |event| with(event, "/body", base64::encode(vec![b'a'; 1_000_001]));
    let invalid = |event| with(event, "/body", "a=b");
    let without = |name: &str| {
        let mut event = example();
        event["headers"]
            .as_object_mut()
            .expect("headers")
            .remove(name);
        event
    };
    let timestamp = |value: &str| with(example(), "/headers/x-slack-request-timestamp", value);
    let signature = |value: &str| with(example(), "/headers/x-slack-signature", value);
    let mut twice = example();
    twice["headers"][SIGNATURE_HEADER] = SIGNATURE.into();
    let malformed_timestamp = Some(Refusal::MalformedHeader(TIMESTAMP_HEADER));
    let malformed_signature = Some(Refusal::MalformedHeader(SIGNATURE_HEADER));
    for (event, refused) in [
        (json!({}), Some(Refusal::Method)),
        (large(put), Some(Refusal::Method)),
        (large(without("x-slack-signature")), Some(Refusal::TooLarge)),
        (
            invalid(without("x-slack-signature")),
            Some(Refusal::NotBase64),
        ),
        (
            without("x-slack-request-timestamp"),
            Some(Refusal::MissingHeader(TIMESTAMP_HEADER)),
        ),
        (
            without("x-slack-signature"),
            Some(Refusal::MissingHeader(SIGNATURE_HEADER)),
        ),
        (twice, Some(Refusal::MissingHeader(SIGNATURE_HEADER))),
        (timestamp(""), malformed_timestamp),
        (timestamp("1531420618, 1531420618"), malformed_timestamp),
        (timestamp("-1531420618"), malformed_timestamp),
        (timestamp("+1531420618"), malformed_timestamp),
        (timestamp("1531420618.0"), malformed_timestamp),
        (timestamp(" 1531420618"), malformed_timestamp),
        (timestamp("٣"), malformed_timestamp),
        (timestamp("1000000000000000000"), malformed_timestamp),
        (timestamp("999999999999999999"), Some(Refusal::InFuture)),
        (timestamp("0"), Some(Refusal::TooOld)),
        (signature(""), malformed_signature),
        (signature("v0="), malformed_signature),
        (
            signature(&SIGNATURE.replace("v0", "v1")),
            malformed_signature,
        ),
        (signature(&SIGNATURE.to_uppercase()), malformed_signature),
        (signature(&SIGNATURE.replace('a', "A")), malformed_signature),
        (signature(&format!("{SIGNATURE}0")), malformed_signature),
        (
            signature(&format!("{SIGNATURE}, {SIGNATURE}")),
            malformed_signature,
        ),
        (
            signature(&SIGNATURE.replace("b50", "bé")),
            malformed_signature,
        ),
        (signature(&SIGNATURE.replace("b503", "b504")), None),
        (example(), None),
    ] {
        assert_eq!(refusal(&event), refused, "{}", event["headers"]);
    }
}

#[test]
fn a_body_of_a_megabyte_is_accepted() {
    for body in [vec![b'a'; 1_000_000], vec![0xff; 1_000_000]] {
        let event = event(&SECONDS.to_string(), SIGNATURE, &body);
        assert_eq!(refusal(&event), None);
    }
    let plain = with(example(), "/isBase64Encoded", false);
    let plain = |size| with(plain.clone(), "/body", "a".repeat(size));
    assert_eq!(refusal(&plain(1_000_000)), None);
    assert_eq!(refusal(&plain(1_000_001)), Some(Refusal::TooLarge));
}

#[test]
fn a_signature_is_valid_for_five_minutes_around_its_timestamp() {
    for (seconds, refused) in [
        (-301, Some(Refusal::InFuture)),
        (-300, None),
        (300, None),
        (301, Some(Refusal::TooOld)),
    ] {
        let read = read_at(&example(), now() + TimeDelta::seconds(seconds));
        assert_eq!(read.err(), refused, "{seconds}");
    }
}

#[test]
fn a_refusal_has_no_value_of_the_request() {
    for (refusal, text) in [
        (Refusal::Method, "the method is not POST"),
        (Refusal::TooLarge, "the body has more than 1,000,000 bytes"),
        (Refusal::NotBase64, "the body is not valid base64"),
        (
            Refusal::MissingHeader(SIGNATURE_HEADER),
            "the header X-Slack-Signature is missing or repeated",
        ),
        (
            Refusal::MalformedHeader(TIMESTAMP_HEADER),
            "the header X-Slack-Request-Timestamp is malformed",
        ),
        (Refusal::TooOld, "the timestamp is more than 300 s old"),
        (
            Refusal::InFuture,
            "the timestamp is more than 300 s in the future",
        ),
        (
            Refusal::Signature,
            "the signature matches no signing secret",
        ),
    ] {
        assert_eq!(refusal.to_string(), text);
    }
}

#[test]
fn reads_a_form() {
    let body = "team_id=T0001&enterprise_id=E0001&channel_id=C2147483705&user_id=U2147483697&command=%2Fcdn-purge&\
                text=%2Fb%C3%BCcher%2F*+%23tag+a%26amp%3Bb%3D%2B&trigger_id=13345224609.738474920.8088930838d88f008e0&\
                api_app_id=A123456&unknown=1&unknown=2&&flag";
    let command = SlashCommand {
        team: "T0001".into(),
        enterprise: Some("E0001".into()),
        channel: "C2147483705".into(),
        user: "U2147483697".into(),
        command: "/cdn-purge".into(),
        text: "/bücher/* #tag a&amp;b=+".into(),
        response_url: None,
        trigger_id: "13345224609.738474920.8088930838d88f008e0".into(),
    };
    assert_eq!(form(body), Ok(Form::Command(Box::new(command))));
    assert_eq!(form("ssl_check=1&token=x"), Ok(Form::SslCheck));
}

#[test]
fn the_error_of_a_form_names_the_field_only() {
    const REQUIRED: &str = "team_id=T1&channel_id=C1&user_id=U1&command=%2Fc&trigger_id=1.2.a";
    assert!(form(REQUIRED).is_ok());
    for name in ["team_id", "channel_id", "user_id", "command", "trigger_id"] {
        let without = REQUIRED.replace(&format!("{name}="), &format!("{name}=&x="));
        assert_eq!(form(&without), Err(format!("{name} is missing")));
        let without = REQUIRED.replace(&format!("{name}="), "x=");
        assert_eq!(form(&without), Err(format!("{name} is missing")));
        let repeated = format!("{REQUIRED}&{name}=s3cret");
        assert_eq!(form(&repeated), Err(format!("{name} is repeated")));
    }
    let long = "1".repeat(201);
    for (fields, error) in [
        ("ssl_check=0&team_id=s3cret", "team_id is repeated"),
        ("ssl_check=1&ssl_check=1", "ssl_check is repeated"),
        ("text=%2Fa&text=%2Fb", "text is repeated"),
        ("enterprise_id=E+1", "enterprise_id is not an id"),
        ("enterprise_id=%0A", "enterprise_id is not an id"),
        (
            &format!("enterprise_id={long}"),
            "enterprise_id is not an id",
        ),
        ("text=s3cret%FF", "the form is not UTF-8"),
        ("s3cret%FF=", "the form is not UTF-8"),
        (
            "response_url=https%3A%2F%2Fs3cret.test%2F",
            "response_url: expected a URL that begins with https://hooks.slack.com/ or https://hooks.slack-gov.com/",
        ),
    ] {
        assert_eq!(form(&format!("{REQUIRED}&{fields}")), Err(error.into()));
    }
    assert_eq!(form(""), Err("team_id is missing".into()));
    let error = Form::parse(b"text=\xff").map_err(|error| error.to_string());
    assert_eq!(error, Err("the form is not UTF-8".into()));
}

#[test]
fn only_urls_of_slack_receive_a_reply() {
    for url in [
        "https://hooks.slack.com/commands/T0001/1/a",
        "https://hooks.slack-gov.com/commands/T0001/1/a",
        "https://hooks.slack.com/a@evil.test:80/",
    ] {
        let parsed = response_url(url);
        assert_eq!(parsed.as_str(), url);
        assert_eq!(format!("{parsed:?}"), "ResponseUrl(redacted)");
        let json = serde_json::to_string(&parsed).expect("JSON");
        assert_eq!(json, format!("\"{url}\""));
        assert_eq!(
            serde_json::from_str::<ResponseUrl>(&json).ok(),
            Some(parsed)
        );
    }
    for url in [
        "",
        "https://hooks.slack.com",
        "https://hooks.slack.com/",
        "http://hooks.slack.com/commands/s3cret",
        "HTTPS://hooks.slack.com/commands/s3cret",
        "https://hooks.slack.com.evil.test/commands/s3cret",
        "https://evil.test/https://hooks.slack.com/commands/s3cret",
        "https://s3cret@hooks.slack.com/commands/s3cret",
        "https://hooks.slack.com@evil.test/commands/s3cret",
        "https://hooks.slack.com:443/commands/s3cret",
        "https://hooks.slack.com?s3cret",
        "https://hooks.slack.com\\evil.test/s3cret",
        "https://hooks.slack.com/\\evil.test/s3cret",
        "https://hooks.slack.com/commands/s3cret\r\nHost: evil.test",
        "https://hooks.slack.com/commands/s3cret ",
        " https://hooks.slack.com/commands/s3cret",
        "//hooks.slack.com/commands/s3cret",
    ] {
        const ERROR: &str = "expected a URL that begins with https://hooks.slack.com/ or https://hooks.slack-gov.com/";
        let error = ResponseUrl::parse(url).expect_err(url);
        assert_eq!(error.to_string(), ERROR, "{url}");
        let error = serde_json::from_value::<ResponseUrl>(json!(url)).expect_err(url);
        assert_eq!(error.to_string(), ERROR, "{url}");
    }
}

#[test]
fn reads_each_form_of_a_stored_secret() {
    let webhook = "https://hooks.slack.com/services/T0001/B0001/XXXX";
    let webhook_url = || Some(WebhookUrl::parse(webhook).expect("a URL of Slack"));
    let object = |value: Value| value.to_string();
    for (text, signing_secrets, webhook_url) in [
        (" a \n".to_owned(), secrets(["a"]), None),
        ("12345678".to_owned(), secrets(["12345678"]), None),
        ("a, b,,".to_owned(), secrets(["a", "b"]), None),
        (
            object(json!({"signing_secrets": "a,b", "webhook_url": webhook})),
            secrets(["a", "b"]),
            webhook_url(),
        ),
        (
            object(json!({"signing_secrets": ["a ", "b"], "webhook_url": ""})),
            secrets(["a", "b"]),
            None,
        ),
        (
            object(
                json!({"signing_secret": "a", "webhook_url": format!(" {webhook}\n"), "bot_token": 1}),
            ),
            secrets(["a"]),
            webhook_url(),
        ),
        (
            object(json!({"signing_secrets": ["a"], "signing_secret": "b", "webhook_url": null})),
            secrets(["a", "b"]),
            None,
        ),
    ] {
        let stored = StoredSecret {
            signing_secrets,
            webhook_url,
        };
        assert_eq!(StoredSecret::parse(&text), Ok(stored), "{text}");
    }
    let stored = StoredSecret::parse(&object(
        json!({"signing_secret": "a", "webhook_url": webhook}),
    ));
    assert_eq!(
        format!("{stored:?}"),
        "Ok(StoredSecret { signing_secrets: [SigningSecret(redacted)], webhook_url: Some(WebhookUrl(redacted)) })"
    );
    assert_eq!(
        webhook_url().as_ref().map(WebhookUrl::as_str),
        Some(webhook)
    );
}

#[test]
fn the_error_of_a_stored_secret_has_no_value() {
    const EMPTY: &str =
        "the signing secret is empty: copy it from \"Basic Information\" of the Slack app";
    const NOT_JSON: &str =
        "it is neither a JSON object with \"signing_secrets\" nor the plain signing secret";
    for (text, error) in [
        ("", EMPTY.to_owned()),
        (" , ", EMPTY.to_owned()),
        ("\"s3cret\"", NOT_JSON.to_owned()),
        ("[\"s3cret\"]", NOT_JSON.to_owned()),
        ("{\"signing_secrets\": \"s3cret\"", NOT_JSON.to_owned()),
        ("{\"s3cret\": \"s3cret\"}", "\"signing_secrets\" is missing".to_owned()),
        ("{\"signing_secrets\": []}", "\"signing_secrets\" is missing".to_owned()),
        ("{\"signing_secrets\": \"\"}", format!("signing_secrets: {EMPTY}")),
        ("{\"signing_secrets\": [\"s3cret\", \"\"]}", format!("signing_secrets: {EMPTY}")),
        (
            "{\"signing_secret\": 1}",
            "signing_secret: expected a string or an array of strings".to_owned(),
        ),
        (
            "{\"signing_secrets\": [\"a\", 1]}",
            "signing_secrets: expected a string or an array of strings".to_owned(),
        ),
        (
            "{\"signing_secret\": \"a\", \"webhook_url\": \"https://s3cret.test/\"}",
            "webhook_url: expected a URL that begins with https://hooks.slack.com/ or https://hooks.slack-gov.com/"
                .to_owned(),
        ),
        (
            "{\"signing_secret\": \"a\", \"webhook_url\": 1}",
            "webhook_url: expected a string".to_owned(),
        ),
    ] {
        let result = StoredSecret::parse(text).map_err(|error| error.to_string());
        assert_eq!(result, Err(error), "{text}");
    }
}

/// Replaces the byte at an index by another one.
fn changed(text: &[u8], index: Index, difference: u8) -> Vec<u8> {
    let mut changed = text.to_vec();
    let byte = index.get_mut(&mut changed);
    *byte = byte.wrapping_add(difference);
    changed
}

proptest! {
    #[test]
    fn a_request_with_a_changed_byte_is_refused(index: Index, difference in 1..=255_u8) {
        let timestamp = SECONDS.to_string();
        let body = changed(BODY.as_bytes(), index, difference);
        prop_assert!(!is_accepted(&event(&timestamp, SIGNATURE, &body)));
        if let Ok(signature) = String::from_utf8(changed(SIGNATURE.as_bytes(), index, difference)) {
            prop_assert!(!is_accepted(&event(&timestamp, &signature, BODY.as_bytes())));
        }
        if let Ok(timestamp) = String::from_utf8(changed(timestamp.as_bytes(), index, difference)) {
            prop_assert!(!is_accepted(&event(&timestamp, SIGNATURE, BODY.as_bytes())));
        }
    }

    #[test]
    fn a_changed_length_is_refused(cut in 0..BODY.len(), added in proptest::collection::vec(any::<u8>(), 1..4)) {
        let body = BODY.as_bytes();
        let longer = [body, &added].concat();
        for body in [&body[..cut], &longer] {
            prop_assert!(!is_accepted(&event(&SECONDS.to_string(), SIGNATURE, body)));
        }
        // The colons do not move between the timestamp and the body.
        let moved = format!("{SECONDS}:{}", &BODY[..cut]);
        prop_assert!(!is_accepted(&event(&moved, SIGNATURE, &body[cut..])));
    }

    #[test]
    fn any_form_is_read_or_refused(body: Vec<u8>, pairs in "([a-z_]{0,8}=?(%[0-9a-fA-F]{0,2}|[+é]){0,3}&?){0,5}") {
        let _ = Form::parse(&body);
        let _ = Form::parse(pairs.as_bytes());
    }

    #[test]
    fn any_headers_and_any_body_are_read_or_refused(
        timestamp in "[0-9]{0,25}|\\PC{0,10}",
        signature in "v0=[0-9a-f]{60,66}|\\PC{0,70}",
        body in "[A-Za-z0-9+/=]{0,12}|\\PC{0,10}",
        text in "\\PC{0,30}",
    ) {
        let event = with(event(&timestamp, &signature, b""), "/body", body);
        prop_assert!(!is_accepted(&event));
        let _ = StoredSecret::parse(&text);
    }

    #[test]
    fn no_error_of_a_form_has_a_value(value in "[a-z0-9]{12}") {
        for name in ["team_id", "response_url", "text", "enterprise_id"] {
            let body = format!("{name}={value}%20&{name}={value}");
            let error = Form::parse(body.as_bytes()).expect_err("an error").to_string();
            prop_assert!(!error.contains(&value), "{}", error);
        }
    }
}
