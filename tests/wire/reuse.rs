//! A caller reference that a user chose and that CloudFront has already.

use std::time::Duration;

use chrono::TimeDelta;
use cloudfront_invalidator::account::Account;
use cloudfront_invalidator::aws::cloudfront::{CloudFront, Submission};
use cloudfront_invalidator::distribution::DistributionId;
use cloudfront_invalidator::error::{Audience, Error};
use cloudfront_invalidator::path::InvalidationPath;
use cloudfront_invalidator::plan::{Batch, CallerReference, InvalidationId, Limits};
use tokio::time::Instant;

use crate::fixture::{FIRST, Fixture};
use crate::standin::{Clock, Fault, Operation, Options, ReferenceReuse};

/// The modes of a repeated reference: what AWS documents, and what the live service was seen to do.
const MODES: [ReferenceReuse; 2] = [ReferenceReuse::Documented, ReferenceReuse::Observed];

fn fixture(reuse: ReferenceReuse) -> Fixture {
    Fixture::with(Options {
        reuse,
        throttle: false,
        clock: Clock::frozen(),
        ..Options::default()
    })
}

fn batch(path: &str) -> Batch {
    let distribution = DistributionId::parse(FIRST).expect("an id");
    let path = InvalidationPath::parse(path).expect("a path");
    Batch::new("event", distribution, vec![path], Limits::REQUESTED_PATHS)
}

/// A batch with the caller reference `release-42`.
fn release(path: &str) -> Batch {
    batch(path).with_reference(CallerReference::parse("release-42").expect("a reference"))
}

async fn submit(fixture: &Fixture, batch: &Batch) -> Result<Submission, Error> {
    let account = Account::from_arn("arn:aws:lambda:eu-west-1:111122223333:function:f");
    let deadline = Instant::now() + Duration::from_secs(60);
    CloudFront::new(&fixture.sdk(), account)
        .create_invalidation(batch, Instant::now(), deadline)
        .await
}

/// Returns the invalidation and the age of one that is reused.
fn id_and_reused(submission: Submission) -> (Option<InvalidationId>, Option<TimeDelta>) {
    let reused = submission.reused();
    let invalidation = submission.into_invalidation();
    (invalidation.map(|invalidation| invalidation.id), reused)
}

/// Returns the text for the operator and the text for a user of the command line.
fn texts(error: &Error) -> [String; 2] {
    let audience = Audience::CommandLine { profile: None };
    [error.to_string(), error.message(&audience)]
}

/// Returns the texts about a name that was used: the operator reads that of a direct invocation's key.
fn used_texts(used: &str, advice: &str) -> [String; 2] {
    [
        format!("{FIRST}: idempotencyKey release-42 {used}: send another idempotencyKey"),
        format!("{FIRST}: reference release-42 {used}: {advice}"),
    ]
}

#[tokio::test]
async fn the_same_request_within_15_minutes_is_reported_as_reused() {
    for reuse in MODES {
        let fixture = fixture(reuse);
        let first = submit(&fixture, &release("/a")).await.expect("a new one");
        let id = InvalidationId::new(fixture.first_id());
        assert_eq!(id_and_reused(first), (Some(id.clone()), None));
        for seconds in [40, 860] {
            fixture.standin.advance(Duration::from_secs(seconds));
            let again = submit(&fixture, &release("/a")).await.expect("the same");
            let age = if seconds == 40 { 40 } else { 900 };
            let expected = (Some(id.clone()), Some(TimeDelta::seconds(age)));
            assert_eq!(id_and_reused(again), expected, "{reuse:?}");
        }
        fixture.standin.advance(Duration::from_secs(1));
        let error = submit(&fixture, &release("/a")).await.expect_err("too old");
        let used =
            format!("was already used for these paths 15 min ago, as {id}; nothing was sent");
        let again = format!("repeat it with --again {id}, or choose another name");
        assert_eq!(texts(&error), used_texts(&used, &again), "{reuse:?}");
        assert_eq!(
            fixture.accepted().len(),
            if reuse == MODES[0] { 4 } else { 1 }
        );
    }
}

#[tokio::test]
async fn a_request_for_other_paths_is_refused() {
    for reuse in MODES {
        let fixture = fixture(reuse);
        submit(&fixture, &release("/a")).await.expect("a new one");
        let error = submit(&fixture, &release("/b")).await.expect_err("used");
        let id = fixture.first_id();
        let used = format!("was already used for other paths, as {id}; nothing was sent");
        assert_eq!(
            texts(&error),
            used_texts(&used, "choose another name"),
            "{reuse:?}"
        );
    }
}

#[tokio::test]
async fn a_reference_is_searched_among_the_newest_hundred_invalidations() {
    let fixture = fixture(ReferenceReuse::Observed);
    submit(&fixture, &release("/a")).await.expect("a new one");
    let id = InvalidationId::new(fixture.first_id());
    for number in 0..99 {
        let batch = batch(&format!("/{number}"));
        submit(&fixture, &batch).await.expect("another");
    }
    fixture.standin.advance(Duration::from_secs(60));
    let again = submit(&fixture, &release("/a")).await.expect("the same");
    let expected = (Some(id), Some(TimeDelta::seconds(60)));
    assert_eq!(id_and_reused(again), expected);
    submit(&fixture, &batch("/99")).await.expect("another");
    let error = submit(&fixture, &release("/a")).await.expect_err("unknown");
    let used = "was used before; its paths are unknown, because it is not among the newest 100 invalidations; nothing was sent";
    assert_eq!(texts(&error), used_texts(used, "choose another name"));
}

#[tokio::test]
async fn a_reference_that_cannot_be_searched_is_refused() {
    let fixture = fixture(ReferenceReuse::Observed);
    submit(&fixture, &release("/a")).await.expect("a new one");
    let operation = Operation::ListInvalidations;
    fixture.standin.fail(operation, Fault::AccessDenied, 1);
    let error = submit(&fixture, &release("/a")).await.expect_err("denied");
    let [_, text] = texts(&error);
    let start = "E1EXAMPLE1ABC: reference release-42 was used before; its paths are unknown (not allowed to call \
                 cloudfront:ListInvalidations on arn:aws:cloudfront::111122223333:distribution/E1EXAMPLE1ABC: ";
    assert!(text.starts_with(start), "{text}");
    let end = "); nothing was sent: choose another name";
    assert!(text.ends_with(end), "{text}");
}

#[tokio::test]
async fn a_retry_of_the_same_request_is_not_reported_as_reused() {
    for reuse in MODES {
        let fixture = fixture(reuse);
        let operation = Operation::CreateInvalidation;
        fixture.standin.fail(operation, Fault::LostResponse, 1);
        let submission = submit(&fixture, &release("/a")).await.expect("a retry");
        let id = InvalidationId::new(fixture.first_id());
        assert_eq!(id_and_reused(submission), (Some(id), None), "{reuse:?}");
        assert_eq!(fixture.calls(operation), 2);
    }
}

#[tokio::test]
async fn two_jobs_with_the_same_reference_send_two_invalidations() {
    let fixture = fixture(ReferenceReuse::Observed);
    let parameters = r#"{"reference": "release-42", "paths": ["/a"]}"#;
    for _ in 0..2 {
        let job = fixture.standin.start_job(Some(parameters));
        fixture.handle(&job.event).await.expect("a result");
        fixture.standin.advance(Duration::from_secs(40));
    }
    let received = fixture.standin.invalidations();
    let [first, second] = received.as_slice() else {
        panic!("not two: {received:?}");
    };
    assert!(first.reference.starts_with("release-42-"));
    assert!(second.reference.starts_with("release-42-"));
    assert_ne!(first.reference, second.reference);
    assert_ne!(first.outcome, second.outcome);
}
