//! What a purge from Slack leaves at CloudFront and in the log: one invalidation for each command, however often it arrives.

use std::time::Duration;

use cloudfront_invalidator::handler::Invalidator;
use serde_json::{Value, json};

use super::bed::{SlackBed, reply_of};
use crate::fixture::{FIRST, Fixture, SECOND, logged, one_minute};
use crate::standin::{Clock, Options, ReferenceReuse};

fn bed(reuse: ReferenceReuse) -> SlackBed {
    SlackBed::with(Fixture::with(Options {
        clock: Clock::frozen(),
        throttle: false,
        reuse,
        ..Options::default()
    }))
    .set("SLACK_DISTRIBUTIONS", &format!("{FIRST},{SECOND}"))
    .set("SLACK_SITE_NAMES", "blog,shop")
}

async fn text_of_reply(invalidator: &Invalidator, event: &Value) -> String {
    let response = invalidator.handle(event, &one_minute()).await;
    let reply = reply_of(&response.expect("a response"));
    reply["text"].as_str().expect("a text").to_owned()
}

/// Returns the references that a distribution received.
fn references(bed: &SlackBed, distribution: &str) -> Vec<String> {
    let received = bed.fixture.standin.invalidations().into_iter();
    let received = received.filter(|invalidation| invalidation.distribution == distribution);
    received
        .map(|invalidation| invalidation.reference)
        .collect()
}

/// Returns the distribution and the paths of each invalidation that was created.
fn created(bed: &SlackBed) -> Vec<(String, Vec<String>)> {
    let created = bed.fixture.standin.accepted().into_iter();
    let mut created: Vec<_> = created
        .map(|invalidation| (invalidation.distribution, invalidation.paths))
        .collect();
    created.sort();
    created
}

#[tokio::test]
async fn a_command_that_arrives_again_creates_no_second_invalidation() {
    for reuse in [ReferenceReuse::Documented, ReferenceReuse::Observed] {
        let bed = bed(reuse);
        let event = bed.request("/a /b/*").event();
        let paths = ["/a", "/b/*"].map(str::to_owned).to_vec();
        let once = [FIRST, SECOND].map(|id| (id.to_owned(), paths.clone()));
        let invalidator = bed.invalidator();
        let first = text_of_reply(&invalidator, &event).await;
        assert_eq!(created(&bed), once);
        // In the same process, in a new one, and in a new one as late as the signature is valid.
        assert_eq!(text_of_reply(&invalidator, &event).await, first);
        assert_eq!(text_of_reply(&bed.invalidator(), &event).await, first);
        bed.fixture.standin.advance(Duration::from_secs(300));
        assert_eq!(text_of_reply(&bed.invalidator(), &event).await, first);
        assert_eq!(created(&bed), once, "{reuse:?}");
        let of_command = references(&bed, FIRST);
        let [reference, repeated @ ..] = of_command.as_slice() else {
            panic!("no reference");
        };
        assert!(
            repeated.iter().all(|other| other == reference),
            "{of_command:?}"
        );
        assert!(
            reference.starts_with("cloudfront-invalidator-"),
            "{reference}"
        );
        assert!(!reference.contains("13345224609"), "{reference}");
        assert_eq!(references(&bed, SECOND).len(), of_command.len());

        let request = bed.request("/a /b/*").with("trigger_id", "1.2.3");
        text_of_reply(&bed.invalidator(), &request.event()).await;
        let last = references(&bed, FIRST).pop();
        assert_ne!(last.as_ref(), Some(reference));
        assert_eq!(created(&bed).len(), 4);
    }
}

#[tokio::test]
async fn a_daily_budget_does_not_reduce_a_command() {
    let bed = bed(ReferenceReuse::Documented).set("DAILY_PATH_BUDGET", "1");
    bed.send(&bed.request("blog /a /b/*").event()).await;
    bed.send(&bed.request("blog /c /d/*").event()).await;
    let created: Vec<_> = created(&bed).into_iter().map(|(_, paths)| paths).collect();
    assert_eq!(created, [["/a", "/b/*"], ["/c", "/d/*"]]);
}

#[tokio::test]
async fn the_log_has_who_purged_what_and_which_invalidation_it_became() {
    let bed = bed(ReferenceReuse::Documented);
    let request = bed
        .request("blog /a\u{a0}/b?c&amp;d")
        .with("user_id", "W0EXAMPLE");
    logged();
    bed.send(&request.event()).await;
    let lines: Vec<_> = logged()
        .into_iter()
        .map(|line| {
            assert!(
                !line.contains("hush") && !line.contains("hooks.slack"),
                "{line}"
            );
            let mut line: Value = serde_json::from_str(&line).expect("JSON");
            let fields = line.as_object_mut().expect("an object");
            fields.remove("timestamp").expect("a time");
            line
        })
        .collect();
    let received = bed.fixture.standin.invalidations();
    let [invalidation] = &received[..] else {
        panic!("{received:#?}")
    };
    let id = invalidation.outcome.clone().expect("an id");
    assert_eq!(
        lines,
        [
            json!({
                "level": "INFO",
                "caller": "slack",
                "user": "W0EXAMPLE",
                "channel": "C0EXAMPLE",
                "workspace": "T0EXAMPLE",
                "text": "blog /a\u{a0}/b?c&amp;d",
                "message": "slash command",
            }),
            json!({
                "level": "INFO",
                "caller": "slack",
                "user": "W0EXAMPLE",
                "channel": "C0EXAMPLE",
                "workspace": "T0EXAMPLE",
                "distribution": FIRST,
                "invalidation": id,
                "reference": invalidation.reference,
                "paths": 2,
                "message": format!("{FIRST}: submitted as {id} (2 paths: /a /b?c&d)"),
            }),
        ]
    );
}
