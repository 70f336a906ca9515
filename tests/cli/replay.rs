//! `replay`: what it sends, what it leaves, and that it deletes nothing before SQS has accepted it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::endings::{interrupt, start_until};
use crate::environment::{Environment, ProgramOutput};
use crate::schema::assert_valid;
use crate::standin::{Fault, Operation};

/// The tag with the URL of the queue of changes.
const TAG: &str = "cloudfront-invalidator:queue-url";

const MINUTE: Duration = Duration::from_secs(60);

/// Parts of the credentials of the sample of a pipeline job.
const SECRETS: [&str; 3] = [
    "EXAMPLEACCESSKEYID",
    "EXAMPLESECRETACCESSKEY",
    "EXAMPLESESSIONTOKEN",
];

/// The queues of a stack.
struct Queues {
    environment: Environment,
    /// The URL of the dead-letter queue.
    url: String,
}

impl Queues {
    fn new(name: &str) -> Self {
        let environment = Environment::new(&format!("replay-{name}"));
        let queue = environment.standin.create_queue("changes");
        let url = environment.standin.create_queue("undelivered");
        environment.standin.tag_queue("undelivered", TAG, &queue);
        Self { environment, url }
    }

    fn put(&self, body: &str) {
        self.put_aged(body, MINUTE);
    }

    fn put_aged(&self, body: &str, age: Duration) {
        self.environment
            .standin
            .put_message("undelivered", body, age);
    }

    fn run(&mut self, options: &str) -> ProgramOutput {
        let line = format!("replay {}{options}", self.url);
        self.environment.run(&line)
    }

    /// Runs the command and returns its JSON object and its exit code.
    fn run_json(&mut self, options: &str) -> (Value, i32) {
        let output = self.run(&format!("{options} --output json"));
        let object = serde_json::from_str(&output.stdout).expect("JSON");
        (object, output.code)
    }

    /// Returns the bodies that the queue of changes got.
    fn sent(&self) -> Vec<String> {
        let messages = self.environment.standin.sent_messages().into_iter();
        let messages = messages.inspect(|message| assert_eq!(message.queue, "changes"));
        messages.map(|message| message.body).collect()
    }

    /// Returns the bodies in the dead-letter queue; panics if one of them is not visible.
    fn left(&self) -> Vec<String> {
        let (visible, invisible) = self.environment.standin.queued_messages("undelivered");
        assert_eq!(invisible, Vec::<String>::new());
        visible
    }

    fn operations(&self) -> Vec<Operation> {
        let calls = self.environment.standin.json_calls().into_iter();
        calls.map(|call| call.operation).collect()
    }
}

/// Returns an S3 notification about this key.
fn change(key: &str) -> Value {
    let mut event = sample(include_str!("../../events/s3-object-created.json"));
    event["Records"][0]["s3"]["object"]["key"] = json!(key);
    event
}

fn sample(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

fn job() -> Value {
    sample(include_str!("../../events/codepipeline-job.json"))
}

/// Returns the record that Lambda makes of a failed event.
fn record(payload: &Value, error: &str) -> String {
    json!({
        "version": "1.0",
        "timestamp": "2026-01-01T00:00:00.000Z",
        "requestContext": {
            "requestId": "e4b46cbf-b738-4111-8880-a18cdf61200e",
            "functionArn": "arn:aws:lambda:us-east-1:111122223333:function:invalidator:$LATEST",
            "condition": "RetriesExhausted",
            "approximateInvokeCount": 3,
        },
        "requestPayload": payload,
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "responsePayload": {"errorType": "permission", "errorMessage": error},
    })
    .to_string()
}

#[test]
fn changes_are_sent_and_deleted_afterwards() {
    let mut queues = Queues::new("sent");
    let sns = sample(include_str!("../../events/sns-notification.json"));
    let event_bridge = sample(include_str!("../../events/eventbridge-object-deleted.json"));
    let raw = change("raw").to_string();
    queues.put(&record(&change("a%EF%BF%BF+b"), "could not invalidate"));
    queues.put(&record(&sns, "could not invalidate"));
    queues.put(&event_bridge.to_string());
    queues.put(&raw);
    let output = queues.run("");
    assert_eq!((output.code, output.stderr.as_str()), (0, ""));
    assert_eq!(
        queues.sent(),
        [
            change("a%EF%BF%BF+b").to_string(),
            sns.to_string(),
            event_bridge.to_string(),
            raw,
        ]
    );
    assert_eq!(queues.left(), Vec::<String>::new());
    assert_eq!(
        queues.operations(),
        [
            Operation::ListQueueTags,
            Operation::ReceiveMessage,
            Operation::SendMessageBatch,
            Operation::DeleteMessageBatch,
            Operation::ReceiveMessage,
        ]
    );
    // The second run finds nothing.
    assert_eq!(queues.run(" --output json").code, 0);
    assert_eq!(queues.run("").code, 0);
    assert_eq!(queues.sent().len(), 4);
    queues.environment.snapshot("replay-sent");
}

#[test]
fn what_cannot_go_through_the_queue_is_left_and_visible_at_once() {
    let mut queues = Queues::new("left");
    let direct = sample(include_str!("../../events/direct-paths.json"));
    queues.put_aged(&record(&job(), "could not report the result"), 21 * MINUTE);
    queues.put_aged(&job().to_string(), 19 * MINUTE);
    queues.put(&record(&direct, "not allowed"));
    queues.put(&record(&direct, "not allowed"));
    queues.put(&record(&direct, "throttled"));
    queues.put(&record(&json!({"secret": "x"}), "unknown event"));
    queues.put("not JSON");
    queues.put(&record(&change("a"), "not allowed"));
    let (_, before) = (queues.sent(), queues.left());
    let output = queues.run("");
    assert_eq!(output.code, 1, "{}", output.stderr);
    let left = queues.left();
    assert_eq!(left, before.get(..7).expect("seven messages"));
    assert_eq!(queues.sent(), [change("a").to_string()]);
    // A second run leaves the same messages.
    let (object, code) = queues.run_json("");
    assert_eq!((code, &object["sent"]), (1, &json!(0)));
    let counts = object["left"].as_array().expect("reasons").iter();
    let counts: Vec<_> = counts
        .map(|left| (left["reason"].as_str(), left["messages"].as_u64()))
        .collect();
    assert_eq!(
        counts,
        [
            (Some("expired_pipeline_job"), Some(1)),
            (Some("pipeline_job"), Some(1)),
            (Some("direct_invocation"), Some(3)),
            (Some("unknown"), Some(2)),
        ]
    );
    assert_eq!(queues.left(), left);
    assert_eq!(queues.sent().len(), 1);
    queues.environment.snapshot("replay-left");
}

#[test]
fn no_output_has_the_credentials_of_a_pipeline_job() {
    let mut queues = Queues::new("secrets");
    queues.put_aged(&record(&job(), "failed"), 60 * MINUTE);
    queues.put(&job().to_string());
    let envelope = json!({"Type": "Notification", "Message": job().to_string()});
    queues.put(&envelope.to_string());
    queues.put(&json!({"Records": [job()]}).to_string());
    for options in ["", " -vv", " --output json -vv", " --dry-run -v"] {
        let output = queues.run(options);
        assert_eq!(output.code, 1, "{}", output.stderr);
        let text = format!("{}{}", output.stdout, output.stderr);
        for secret in SECRETS {
            assert!(!text.contains(secret), "{text}");
        }
    }
    assert_eq!(queues.left().len(), 4);
}

#[test]
fn a_message_that_sqs_does_not_accept_is_left_and_sent_by_the_next_run() {
    let mut queues = Queues::new("not-sent");
    for key in ["a", "refused", "b"] {
        queues.put(&change(key).to_string());
    }
    let refused = change("refused").to_string();
    let standin = &queues.environment.standin;
    standin.refuse_entries(Operation::SendMessageBatch, "refused");
    assert_eq!(queues.run("").code, 1);
    assert_eq!(queues.left(), [refused.as_str()]);
    let sent = ["a", "b"].map(|key| change(key).to_string());
    assert_eq!(queues.sent(), sent);
    queues.environment.standin.reset();
    assert_eq!(queues.run("").code, 0);
    assert_eq!(queues.sent(), [refused]);
    assert_eq!(queues.left(), Vec::<String>::new());
    queues.environment.snapshot("replay-not-sent");
}

#[test]
fn a_message_that_cannot_be_deleted_is_sent_once_in_a_run() {
    let mut queues = Queues::new("not-deleted");
    for key in ["a", "kept"] {
        queues.put(&change(key).to_string());
    }
    let standin = &queues.environment.standin;
    standin.refuse_entries(Operation::DeleteMessageBatch, "kept");
    // The message is received again in the same run.
    standin.deliver_again(2);
    assert_eq!(queues.run("").code, 1);
    let sent = ["a", "kept"].map(|key| change(key).to_string());
    assert_eq!(queues.sent(), sent);
    assert_eq!(queues.left(), [change("kept").to_string()]);
    queues.environment.standin.reset();
    let (object, code) = queues.run_json("");
    assert_eq!((code, &object["sent"]), (0, &json!(1)));
    assert_eq!(queues.left(), Vec::<String>::new());
    queues.environment.snapshot("replay-not-deleted");
}

#[test]
fn a_message_that_is_delivered_again_is_neither_sent_nor_counted_twice() {
    let mut queues = Queues::new("again");
    for key in ["a", "b"] {
        queues.put(&change(key).to_string());
    }
    queues.put("not JSON");
    queues.environment.standin.deliver_again(3);
    let (object, code) = queues.run_json("");
    assert_eq!(code, 1);
    let counts = ["received", "planned", "sent"].map(|name| object[name].as_u64());
    assert_eq!(counts, [Some(3), Some(2), Some(2)]);
    assert_eq!(object["left"][0]["messages"], 1);
    assert_eq!(queues.sent().len(), 2);
    // SQS has delivered two messages that were deleted; they are deleted again.
    assert_eq!(queues.left(), ["not JSON"]);
}

#[test]
fn readable_changes_are_sent_with_the_parts_that_cannot_be_read() {
    let mut queues = Queues::new("partly");
    let mut event = change("a");
    let records = event["Records"].as_array_mut().expect("records");
    records.push(change("%FF")["Records"][0].clone());
    queues.put(&event.to_string());
    let (object, code) = queues.run_json("");
    assert_eq!(code, 0);
    assert_eq!(
        object["warnings"],
        json!([
            "a message with changes has a part that cannot be read, so it returns to a dead-letter queue: Records[1]: \
             s3.object.key \"%FF\" does not decode to UTF-8"
        ])
    );
    assert_eq!(queues.sent(), [event.to_string()]);
}

#[test]
fn a_denied_call_ends_the_run_with_5_and_loses_nothing() {
    let bodies = || (0..12).map(|number| change(&number.to_string()).to_string());
    for (operation, sent, deleted) in [
        (Operation::ListQueueTags, 0, 0),
        (Operation::ReceiveMessage, 0, 0),
        (Operation::SendMessageBatch, 0, 0),
        // Nothing else is sent if it cannot be deleted.
        (Operation::DeleteMessageBatch, 10, 0),
        (Operation::ChangeMessageVisibilityBatch, 12, 12),
    ] {
        let mut queues = Queues::new(&format!("denied-{operation:?}"));
        bodies().for_each(|body| queues.put(&body));
        let is_release = operation == Operation::ChangeMessageVisibilityBatch;
        if is_release {
            queues.put("not JSON");
        }
        let standin = &queues.environment.standin;
        standin.fail(operation, Fault::AccessDeniedException, 1);
        let output = queues.run("");
        let code = if is_release { 1 } else { 5 };
        assert_eq!(output.code, code, "{operation:?}: {}", output.stderr);
        let action = format!("{operation:?}");
        let action = action.strip_suffix("Batch").unwrap_or(&action);
        let queue = match operation {
            Operation::SendMessageBatch => "changes",
            _ => "undelivered",
        };
        let expected = format!(
            "{{\"Effect\":\"Allow\",\"Action\":\"sqs:{action}\",\
             \"Resource\":\"arn:aws:sqs:us-east-1:111122223333:{queue}\"}}"
        );
        assert!(output.stderr.contains(&expected), "{}", output.stderr);
        assert_eq!(queues.sent().len(), sent, "{operation:?}");
        let (visible, invisible) = queues.environment.standin.queued_messages("undelivered");
        let unknown = usize::from(is_release);
        assert_eq!(
            visible.len() + invisible.len(),
            12 + unknown - deleted,
            "{operation:?}"
        );
        assert_eq!(invisible.len(), unknown, "{operation:?}");
    }
}

#[test]
fn a_call_without_a_response_ends_the_run_and_loses_nothing() {
    for operation in [Operation::ReceiveMessage, Operation::SendMessageBatch] {
        let mut queues = Queues::new(&format!("lost-{operation:?}"));
        for number in 0..12 {
            queues.put(&change(&number.to_string()).to_string());
        }
        let standin = &queues.environment.standin;
        standin.fail(operation, Fault::LostResponse, 2);
        let (object, code) = queues.run_json("");
        assert_eq!(code, 1, "{operation:?}");
        assert_eq!(object["error"]["kind"], "unavailable");
        let warnings = match operation {
            Operation::ReceiveMessage => json!([
                "messages that SQS sent in a lost response are visible again in queue undelivered within 10 minutes"
            ]),
            _ => json!([]),
        };
        assert_eq!(object["warnings"], warnings);
        let (visible, invisible) = queues.environment.standin.queued_messages("undelivered");
        let expected = match operation {
            Operation::ReceiveMessage => (2, 10),
            _ => (12, 0),
        };
        assert_eq!((visible.len(), invisible.len()), expected, "{operation:?}");
    }
}

#[test]
fn a_queue_whose_messages_are_invisible_is_not_called_empty() {
    let mut queues = Queues::new("invisible");
    queues.put(&change("a").to_string());
    let standin = &queues.environment.standin;
    standin.fail(Operation::ReceiveMessage, Fault::LostResponse, 1);
    assert_eq!(queues.run("").code, 1);
    let output = queues.run("");
    assert_eq!(output.code, 0);
    assert_eq!(
        output.stdout,
        "no message of queue undelivered is visible: it is empty, or its messages were received within the last 10 \
         minutes and are visible again later\n"
    );
}

#[test]
fn a_dry_run_shows_what_would_be_sent_and_leaves_everything() {
    let mut queues = Queues::new("dry-run");
    queues.put(&record(&change("a"), "not allowed"));
    queues.put(&change("b").to_string());
    assert_eq!(queues.run(" --dry-run").code, 0);
    queues.put_aged(&job().to_string(), 60 * MINUTE);
    queues.put("not JSON");
    let before = queues.left();
    assert_eq!(queues.run(" --dry-run --quiet").code, 1);
    let (object, code) = queues.run_json(" --dry-run");
    assert_eq!((code, &object["dry_run"]), (1, &json!(true)));
    assert_eq!(
        (&object["planned"], &object["sent"]),
        (&json!(2), &json!(0))
    );
    assert_eq!(queues.left(), before);
    assert_eq!(queues.sent(), Vec::<String>::new());
    let operations = queues.operations();
    for operation in [Operation::SendMessageBatch, Operation::DeleteMessageBatch] {
        assert!(!operations.contains(&operation), "{operation:?}");
    }
    queues.environment.snapshot("replay-dry-run");
}

#[test]
fn thousands_of_messages_need_three_calls_for_each_ten() {
    let mut queues = Queues::new("thousands");
    for number in 0..2_005 {
        queues.put(&record(&change(&number.to_string()), "not allowed"));
    }
    queues.put("not JSON");
    let (object, code) = queues.run_json("");
    assert_eq!((code, &object["sent"]), (1, &json!(2_005)));
    let errors = json!([{"message": "not allowed", "messages": 2_005}]);
    assert_eq!(object["errors"], errors);
    assert_eq!(queues.left(), ["not JSON"]);
    assert_eq!(queues.sent().len(), 2_005);
    let operations = queues.operations();
    let count = |operation: Operation| {
        let calls = operations.iter().filter(|call| **call == operation);
        calls.count()
    };
    assert_eq!(count(Operation::ReceiveMessage), 202);
    assert_eq!(count(Operation::SendMessageBatch), 201);
    assert_eq!(count(Operation::DeleteMessageBatch), 201);
    assert_eq!(count(Operation::ChangeMessageVisibilityBatch), 1);
}

#[test]
fn large_messages_are_sent_in_batches_that_sqs_accepts() {
    let mut queues = Queues::new("large");
    let large = |number: usize| change(&format!("{number}{}", "x".repeat(400_000)));
    for number in 0..6 {
        queues.put(&record(&large(number), "not allowed"));
    }
    assert_eq!(queues.run("").code, 0);
    let bodies: Vec<_> = (0..6).map(|number| large(number).to_string()).collect();
    assert_eq!(queues.sent(), bodies);
    assert_eq!(queues.left(), Vec::<String>::new());
}

#[test]
fn to_names_the_queue_instead_of_the_tag() {
    let mut queues = Queues::new("to");
    let other = queues.environment.standin.create_queue("other");
    queues.put(&change("a").to_string());
    let (object, code) = queues.run_json(&format!(" --to {other}"));
    assert_eq!((code, &object["to"]), (0, &json!(other)));
    let sent = queues.environment.standin.sent_messages();
    let sent: Vec<_> = sent.iter().map(|message| &message.queue).collect();
    assert_eq!(sent, ["other"]);
    assert!(!queues.operations().contains(&Operation::ListQueueTags));
}

#[test]
fn a_wrong_queue_ends_before_a_message_is_received() {
    let mut queues = Queues::new("queues");
    queues.put(&change("a").to_string());
    let standin = &queues.environment.standin;
    let untagged = standin.create_queue("untagged");
    let mistagged = standin.create_queue("mistagged");
    standin.tag_queue("mistagged", TAG, "changes");
    let circular = standin.create_queue("circular");
    standin.tag_queue("circular", TAG, &circular);
    let missing = untagged.replace("untagged", "missing");
    let url = queues.url.clone();
    for (line, code) in [
        ("replay".to_owned(), 2),
        ("replay undelivered".to_owned(), 2),
        ("replay undelivered --output json".to_owned(), 2),
        (
            "replay arn:aws:sqs:us-east-1:111122223333:undelivered".to_owned(),
            2,
        ),
        (format!("replay {url} --to changes"), 2),
        (format!("replay {url} --to {url}"), 2),
        (format!("replay {circular}"), 2),
        (format!("replay {untagged}"), 2),
        (format!("replay {untagged} --output json"), 2),
        (format!("replay {mistagged}"), 1),
        (format!("replay {missing}"), 1),
    ] {
        let output = queues.environment.run(&line);
        assert_eq!(output.code, code, "{line}: {}", output.stderr);
    }
    assert!(!queues.operations().contains(&Operation::ReceiveMessage));
    // A destination that does not exist: the messages are left.
    let output = queues.run(&format!(" --to {missing}"));
    assert_eq!(output.code, 1, "{}", output.stderr);
    assert_eq!(queues.left().len(), 1);
    queues.environment.snapshot("replay-queues");
}

#[test]
fn ctrl_c_finishes_the_messages_at_hand_and_loses_nothing() {
    let queues = Queues::new("ctrl-c");
    for number in 0..40 {
        queues.put(&change(&number.to_string()).to_string());
    }
    let standin = &queues.environment.standin;
    standin.delay(Operation::SendMessageBatch, Duration::from_secs(1));
    let line = format!("replay {} --output json", queues.url);
    let program = start_until(&queues.environment, &line, Operation::SendMessageBatch);
    interrupt(&program);
    let output = program.wait_with_output().expect("an end");
    let output = ProgramOutput {
        code: output.status.code().expect("a code"),
        stdout: String::from_utf8(output.stdout).expect("UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("UTF-8"),
    };
    assert_eq!(output.code, 130, "{}", output.stderr);
    assert_eq!(
        output.stderr,
        "error: stopped; messages that were not sent are left in queue undelivered: run the command again\n"
    );
    assert_valid(&["replay"], &output);
    let object: Value = serde_json::from_str(&output.stdout).expect("JSON");
    assert_eq!(object["sent"], 10);
    assert_eq!(queues.sent().len(), 10);
    assert_eq!(queues.left().len(), 30);
}

#[test]
fn a_second_ctrl_c_ends_the_run_at_once() {
    let queues = Queues::new("ctrl-c-twice");
    queues.put(&change("a").to_string());
    let standin = &queues.environment.standin;
    standin.fail(Operation::SendMessageBatch, Fault::Hang, 9);
    let line = format!("replay {}", queues.url);
    let program = start_until(&queues.environment, &line, Operation::SendMessageBatch);
    interrupt(&program);
    std::thread::sleep(Duration::from_millis(300));
    interrupt(&program);
    let output = program.wait_with_output().expect("an end");
    assert_eq!(output.status.code(), Some(130));
    let (visible, invisible) = queues.environment.standin.queued_messages("undelivered");
    assert_eq!((visible.len(), invisible.len()), (0, 1));
}
