//! What the tests of Slack share: a function with a signing secret and queues, signed requests, and readers of replies.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cloudfront_invalidator::handler::Invalidator;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::fixture::{FIRST, Fixture, logged, one_minute};
use crate::standin::{Clock, Options, Secret, SentMessage};

pub const SIGNING_SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
pub const RESPONSE_URL: &str = "https://hooks.slack.com/commands/T0EXAMPLE/1/hush";
/// The secret part of the URLs.
pub const SECRET_WORD: &str = "hush";
/// How long a received message is invisible, in seconds, unless the function changes it (`template.yaml`).
const VISIBILITY_TIMEOUT: u64 = 120;
pub const WEBHOOK_URL: &str = "https://hooks.slack.com/services/T0EXAMPLE/B0EXAMPLE/hush";

/// A function for Slack, and what it reaches.
pub struct SlackBed {
    pub fixture: Fixture,
}

impl SlackBed {
    /// Starts a function for one site, with a signing secret and both queues, on a clock that only the test advances.
    pub fn start() -> Self {
        Self::with(Fixture::with(Options {
            clock: Clock::frozen(),
            throttle: false,
            ..Options::default()
        }))
    }

    pub fn with(fixture: Fixture) -> Self {
        let standin = &fixture.standin;
        let stored = json!({"signing_secrets": SIGNING_SECRET, "webhook_url": WEBHOOK_URL});
        standin.set_secret("slack", Secret::Text(stored.to_string()));
        let settings = [
            ("SLACK_DISTRIBUTIONS", FIRST.to_owned()),
            ("SLACK_SITE_NAMES", "blog".to_owned()),
            ("SLACK_SECRET_NAME", "slack".to_owned()),
            ("SLACK_QUEUE_URL", standin.create_queue("slack")),
            ("SLACK_DEAD_LETTER_QUEUE_URL", standin.create_queue("dead")),
            ("SLACK_ENDPOINT_URL", standin.url()),
            ("SLACK_CONTACT", "#web-team".to_owned()),
        ];
        let set = |fixture: Fixture, (name, value): (&str, String)| fixture.set(name, &value);
        Self {
            fixture: settings.into_iter().fold(fixture, set),
        }
    }

    /// Starts a function for one site at a frozen time. An invalidation is in progress for this long.
    pub fn frozen(completes_after: Duration) -> Self {
        Self::with(Fixture::with(Options {
            clock: Clock::frozen(),
            completes_after,
            ..Options::default()
        }))
    }

    pub fn set(self, name: &str, value: &str) -> Self {
        Self {
            fixture: self.fixture.set(name, value),
        }
    }

    pub fn unset(self, name: &str) -> Self {
        Self {
            fixture: self.fixture.unset(name),
        }
    }

    /// Returns the function; it advances the stand-in's frozen clock instead of sleeping.
    pub fn invalidator(&self) -> Invalidator {
        let variables = self.fixture.variables();
        self.fixture
            .invalidator_without_pauses()
            .with_slack(move |name| variables.get(name).cloned())
    }

    /// Returns the function with pauses in real time.
    pub fn invalidator_with_pauses(&self) -> Invalidator {
        let variables = self.fixture.variables();
        self.fixture
            .invalidator()
            .with_slack(move |name| variables.get(name).cloned())
    }

    /// Returns a signed request for this command.
    pub fn request(&self, text: &str) -> Request {
        let form = [
            ("team_id", "T0EXAMPLE"),
            ("channel_id", "C0EXAMPLE"),
            ("channel_name", "website"),
            ("user_id", "U0EXAMPLE"),
            ("user_name", "mona"),
            ("command", "/cdn-purge"),
            ("text", text),
            ("response_url", RESPONSE_URL),
            ("trigger_id", "13345224609.738474920.8088930838d88f008e0"),
        ];
        let form = form.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Request {
            form: form.to_vec(),
            now: self.fixture.standin.now(),
            secret: SIGNING_SECRET.to_owned(),
        }
    }

    /// Sends a command to a new function; returns its reply.
    pub async fn reply(&self, text: &str) -> Value {
        self.send(&self.request(text).event()).await
    }

    /// Sends an event to a new function; returns the reply in a response with status 200.
    pub async fn send(&self, event: &Value) -> Value {
        let response = self.respond(event).await;
        assert_eq!(response["statusCode"], 200, "{response}");
        reply_of(&response)
    }

    /// Sends an event to a new function.
    pub async fn respond(&self, event: &Value) -> Value {
        let response = self.invalidator().handle(event, &one_minute()).await;
        response.expect("a response")
    }

    /// Returns the messages of the Slack queue.
    pub fn queued(&self) -> Vec<SentMessage> {
        let sent = self.fixture.standin.sent_messages().into_iter();
        sent.filter(|message| message.queue == "slack").collect()
    }

    /// Returns the messages of the dead-letter queue.
    pub fn dead_letters(&self) -> Vec<SentMessage> {
        let sent = self.fixture.standin.sent_messages().into_iter();
        sent.filter(|message| message.queue == "dead").collect()
    }

    /// Returns the event with which Lambda delivers a message that was sent some time ago.
    pub fn delivery(&self, body: &str, age: Duration, receive_count: u32) -> Value {
        let sent = self.fixture.standin.now() - age;
        json!({"Records": [{
            "messageId": "059f36b4-87a3-44ab-83d2-661975830a7d",
            "receiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a",
            "body": body,
            "attributes": {
                "ApproximateReceiveCount": receive_count.to_string(),
                "SentTimestamp": millis(sent).to_string(),
            },
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:slack",
        }]})
    }
}

/// A message in the Slack queue.
pub struct Message {
    body: String,
    sent: SystemTime,
    /// How many times it was received.
    pub received: u32,
}

/// What a delivery of a message led to.
#[derive(Debug, PartialEq, Eq)]
pub enum Delivered {
    /// The function returned it as handled: Lambda deletes it.
    Deleted,
    /// It is visible again after this many seconds.
    VisibleIn(u64),
}

impl SlackBed {
    /// Puts a message into the queue at the stand-in's time.
    pub fn message(&self, body: &str) -> Message {
        self.message_of_age(body, Duration::ZERO)
    }

    /// Puts a message into the queue as if it was sent some time ago.
    pub fn message_of_age(&self, body: &str, age: Duration) -> Message {
        Message {
            body: body.to_owned(),
            sent: self.fixture.standin.now() - age,
            received: 0,
        }
    }

    /// Delivers a message once, to a new function.
    pub async fn deliver(&self, message: &mut Message) -> Delivered {
        message.received += 1;
        let standin = &self.fixture.standin;
        let age = standin.now().duration_since(message.sent);
        let event = self.delivery(&message.body, age.expect("an age"), message.received);
        let changes = standin.visibility_changes().len();
        let response = self.invalidator().handle(&event, &one_minute()).await;
        let response = response.expect("a partial batch response");
        let id = &event["Records"][0]["messageId"];
        let handle = &event["Records"][0]["receiptHandle"];
        let changes = standin.visibility_changes().split_off(changes);
        if response == json!({"batchItemFailures": []}) {
            assert_eq!(changes, []);
            return Delivered::Deleted;
        }
        assert_eq!(
            response,
            json!({"batchItemFailures": [{"itemIdentifier": id}]})
        );
        match changes.as_slice() {
            [] => Delivered::VisibleIn(VISIBILITY_TIMEOUT),
            [change] => {
                assert_eq!(
                    (change.queue.as_str(), handle),
                    ("slack", &json!(change.receipt_handle))
                );
                Delivered::VisibleIn(change.seconds)
            }
            changes => panic!("{changes:?}"),
        }
    }

    /// Delivers a message until it is deleted or has this age; the frozen clock advances to each time at which the message is
    /// visible. Returns whether it was deleted.
    pub async fn deliver_until(&self, message: &mut Message, age: Duration) -> bool {
        let standin = &self.fixture.standin;
        while standin.now().duration_since(message.sent).expect("an age") < age {
            match self.deliver(message).await {
                Delivered::Deleted => return true,
                Delivered::VisibleIn(seconds) => standin.advance(Duration::from_secs(seconds)),
            }
        }
        false
    }

    /// Returns the messages that were posted to the response URL, accepted or not.
    pub fn posts(&self) -> Vec<Value> {
        self.posts_to("/commands/T0EXAMPLE/1/hush")
    }

    /// Returns the messages that were posted to the webhook, accepted or not.
    pub fn announcements(&self) -> Vec<Value> {
        self.posts_to("/services/T0EXAMPLE/B0EXAMPLE/hush")
    }

    fn posts_to(&self, path: &str) -> Vec<Value> {
        let posts = self.fixture.standin.slack_posts().into_iter();
        let posts = posts.filter(|post| post.path == path);
        posts.map(|post| post.message).collect()
    }

    /// Returns the body of the only dead letter; it has no secret.
    pub fn dead_letter(&self) -> Value {
        let letters = self.dead_letters();
        let [letter] = letters.as_slice() else {
            panic!("not one dead letter but {letters:?}");
        };
        assert!(!letter.body.contains(SECRET_WORD), "{}", letter.body);
        serde_json::from_str(&letter.body).expect("JSON")
    }
}

/// Returns the lines of this level that this test logged since the last call. No line of any level has a URL of Slack.
pub fn logged_without_secrets(level: &str) -> Vec<String> {
    let mut messages = Vec::new();
    for line in logged() {
        assert!(!line.contains(SECRET_WORD), "{line}");
        let line: Value = serde_json::from_str(&line).expect("JSON");
        if line["level"] == level {
            messages.push(line["message"].as_str().expect("a message").to_owned());
        }
    }
    messages
}

/// Returns a message of the queue: a command that CloudFront has not accepted.
pub fn command_task(text: &str) -> String {
    json!({"slackTask": {"command": command_fields(text)}}).to_string()
}

/// Returns the fields of a command in a message of the queue.
pub fn command_fields(text: &str) -> Value {
    json!({
        "team": "T0EXAMPLE", "enterprise": null, "channel": "C0EXAMPLE", "user": "U0EXAMPLE",        "command": "/cdn-purge", "text": text, "responseUrl": RESPONSE_URL,
        "triggerId": "13345224609.738474920.8088930838d88f008e0",
    })
}

/// A request of Slack, before it is signed.
#[derive(Clone)]
pub struct Request {
    pub form: Vec<(String, String)>,
    pub now: SystemTime,
    pub secret: String,
}

impl Request {
    /// Replaces a field of the form, or adds it.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.form.retain(|(known, _)| known != name);
        self.form.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Returns the form as a body.
    pub fn body(&self) -> String {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(&self.form).finish()
    }

    /// Signs the request, and returns its event.
    pub fn event(&self) -> Value {
        signed(self.body().as_bytes(), self.now, &self.secret)
    }
}

/// Signs a body, and returns its event: the body is base64, as Lambda encodes a form.
pub fn signed(body: &[u8], now: SystemTime, secret: &str) -> Value {
    let timestamp = millis(now) / 1_000;
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key");
    mac.update(format!("v0:{timestamp}:").as_bytes());
    mac.update(body);
    let signature: String = mac
        .finalize()
        .into_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    json!({
        "version": "2.0",
        "requestContext": {"http": {"method": "POST"}, "timeEpoch": millis(now)},
        "headers": {
            "content-type": "application/x-www-form-urlencoded",
            "x-slack-request-timestamp": timestamp.to_string(),
            "x-slack-signature": format!("v0={signature}"),
        },
        "body": aws_smithy_types::base64::encode(body),
        "isBase64Encoded": true,
    })
}

/// Returns the message in a response.
pub fn reply_of(response: &Value) -> Value {
    let body = response["body"].as_str().expect("a body");
    serde_json::from_str(body).expect("JSON")
}

pub fn millis(time: SystemTime) -> u128 {
    time.duration_since(UNIX_EPOCH)
        .expect("a time after 1970")
        .as_millis()
}
