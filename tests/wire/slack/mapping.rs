//! Which messages of queues are tasks for Slack, and which are events of S3.

use std::time::Duration;

use serde_json::{Value, json};

use super::bed::{Delivered, SlackBed, command_task, logged_without_secrets};
use crate::fixture::{FIRST, one_minute};
use crate::queue::{batch_sent, failures, notification};

/// Returns an SQS event with these bodies.
fn batch(bed: &SlackBed, bodies: &[&str]) -> Value {
    let bodies: Vec<_> = bodies.iter().map(|body| (*body).to_owned()).collect();
    batch_sent(&bodies, bed.fixture.standin.now().into())
}

fn upload(bed: &SlackBed, key: &str) -> String {
    notification(key, bed.fixture.standin.now().into())
}

#[tokio::test]
async fn messages_of_s3_are_invalidated_although_slack_is_configured() {
    let bed = SlackBed::frozen(Duration::ZERO);
    // A key cannot make its message a task.
    let (first, second) = (upload(&bed, "slackTask"), upload(&bed, "slackTask.html"));
    let event = batch(&bed, &[&first, &second]);
    let response = bed.invalidator().handle(&event, &one_minute()).await;
    assert_eq!(response, failures(&[]));
    let paths = ["/slackTask", "/slackTask.html"].map(String::from).into();
    assert_eq!(bed.fixture.accepted(), [(FIRST.to_owned(), paths)]);
    assert_eq!(bed.posts(), [] as [Value; 0]);
}

#[tokio::test]
async fn each_task_of_a_batch_is_handled_on_its_own() {
    let bed = SlackBed::frozen(Duration::ZERO);
    let announcement = json!({"slackTask": {"announcement": "a"}}).to_string();
    let unreadable = json!({"slackTask": 1}).to_string();
    let event = batch(&bed, &[&command_task("/a"), &unreadable, &announcement]);
    let response = bed.invalidator().handle(&event, &one_minute()).await;
    assert_eq!(response, failures(&[]));
    assert_eq!(bed.posts().len(), 1);
    assert_eq!(bed.announcements().len(), 1);
    assert_eq!(bed.dead_letters().len(), 1);
}

#[tokio::test]
async fn a_task_between_messages_of_s3_is_delivered_again_and_not_lost() {
    let task = command_task("/task");
    for position in 0..2 {
        let bed = SlackBed::frozen(Duration::ZERO);
        let upload = upload(&bed, "a.html");
        let mut bodies = vec![upload.as_str()];
        bodies.insert(position, &task);
        logged_without_secrets("ERROR");
        let event = batch(&bed, &bodies);
        let response = bed.invalidator().handle(&event, &one_minute()).await;
        let failed = format!("m{position}");
        assert_eq!(response, failures(&[&failed]));
        let s3 = (FIRST.to_owned(), vec!["/a.html".to_owned()]);
        assert_eq!(bed.fixture.accepted(), std::slice::from_ref(&s3));
        assert_eq!(
            logged_without_secrets("ERROR"),
            ["will be retried: the message is not an S3 event"]
        );
        assert_eq!(bed.posts(), [] as [Value; 0]);
        // Alone, it is a task.
        let delivered = bed.deliver(&mut bed.message(&task)).await;
        assert_eq!(delivered, Delivered::Deleted);
        let command = (FIRST.to_owned(), vec!["/task".to_owned()]);
        assert_eq!(bed.fixture.accepted(), [s3, command]);
        assert_eq!(bed.posts().len(), 1);
    }
}
