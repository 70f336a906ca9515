//! The newest invalidations of the distributions, on a frozen clock.

use std::time::Duration;

use cloudfront_invalidator::distribution::DistributionId;
use cloudfront_invalidator::plan::{InvalidationId, InvalidationStatus};
use tokio::time::Instant;

use crate::fixture::{
    ALWAYS, FIRST, Fixture, SECOND, denial_with_statement, distribution_arn, one_minute,
};
use crate::standin::{Clock, Fault, Operation, Options};
use crate::usage::invalidate;

/// An account whose invalidations are in progress for a minute.
fn account() -> Fixture {
    Fixture::with(Options {
        clock: Clock::frozen(),
        throttle: false,
        completes_after: Duration::from_secs(60),
        ..Options::default()
    })
}

fn both() -> [DistributionId; 2] {
    [FIRST, SECOND].map(|id| DistributionId::parse(id).expect("an id"))
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(1)
}

/// Creates an invalidation of the path, and returns its id ten seconds later.
async fn create(fixture: &Fixture, distribution: &str, path: &str) -> InvalidationId {
    invalidate(fixture, distribution, 1, &[path]).await;
    fixture.standin.advance(Duration::from_secs(10));
    let last = fixture.standin.invalidations().pop().expect("one");
    InvalidationId::new(last.outcome.expect("an id"))
}

#[tokio::test]
async fn those_in_progress_and_the_newest_others_have_their_paths() {
    let fixture = account();
    create(&fixture, FIRST, "/old").await;
    let second = create(&fixture, SECOND, "/b").await;
    let first = create(&fixture, FIRST, "/a").await;
    fixture.standin.advance(Duration::from_secs(60));
    let running = create(&fixture, SECOND, "/*").await;
    let before = fixture.standin.calls().len();
    let newest = fixture
        .invalidator()
        .newest_invalidations(&both(), soon(), &one_minute())
        .await;
    let shown = newest.shown.iter().map(|shown| {
        let paths = shown.paths.as_ref().expect("paths").iter();
        let paths: Vec<_> = paths.map(|path| path.as_str()).collect();
        let created = shown.created.timestamp();
        (
            shown.distribution.as_str(),
            &shown.id,
            created,
            shown.status,
            paths,
        )
    });
    let (in_progress, completed) = (
        InvalidationStatus::InProgress,
        InvalidationStatus::Completed,
    );
    let start = newest.shown[0].created.timestamp() - 90;
    assert_eq!(
        shown.collect::<Vec<_>>(),
        [
            (SECOND, &running, start + 90, in_progress, vec!["/*"]),
            (FIRST, &first, start + 20, completed, vec!["/a"]),
            (SECOND, &second, start + 10, completed, vec!["/b"]),
        ]
    );
    assert_eq!((newest.others_in_progress, newest.unlisted), (0, vec![]));
    let mut calls = fixture.standin.calls().split_off(before);
    calls.sort_by_key(|call| *call == Operation::GetInvalidation);
    let (list, get) = (Operation::ListInvalidations, Operation::GetInvalidation);
    assert_eq!(calls, [list, list, get, get, get]);
}

#[tokio::test]
async fn what_cannot_be_listed_or_read_is_named() {
    let fixture = account();
    let unread = create(&fixture, SECOND, "/b").await;
    create(&fixture, FIRST, "/a").await;
    let (list, get) = (Operation::ListInvalidations, Operation::GetInvalidation);
    let denied = |id: &str, action: &str| {
        denial_with_statement("AccessDenied", action, &distribution_arn(id))
    };
    let fault = Fault::AccessDenied;
    fixture.standin.fail_for(FIRST, list, fault, ALWAYS);
    fixture.standin.fail_for(SECOND, get, fault, ALWAYS);
    let invalidator = fixture.invalidator();
    let newest = invalidator
        .newest_invalidations(&both(), soon(), &one_minute())
        .await;
    let [(id, error)] = &newest.unlisted[..] else {
        panic!("{newest:#?}")
    };
    let expected = denied(FIRST, "cloudfront:ListInvalidations");
    assert_eq!((id.as_str(), error.to_string()), (FIRST, expected));
    let [shown] = &newest.shown[..] else {
        panic!("{newest:#?}")
    };
    assert_eq!(shown.id, unread);
    assert_eq!(shown.status, InvalidationStatus::InProgress);
    let error = shown.paths.as_ref().expect_err("a denial");
    let expected = denied(SECOND, "cloudfront:GetInvalidation");
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn calls_without_a_response_leave_time_for_the_others() {
    let fixture = account();
    let read = create(&fixture, FIRST, "/a").await;
    let unread = create(&fixture, SECOND, "/b").await;
    let (list, get) = (Operation::ListInvalidations, Operation::GetInvalidation);
    let invalidator = fixture.invalidator();
    fixture.standin.fail_for(SECOND, get, Fault::Hang, ALWAYS);
    let newest = invalidator
        .newest_invalidations(&both(), soon(), &one_minute())
        .await;
    let shown = newest.shown.iter().map(|shown| {
        let paths = shown.paths.as_ref().map(Vec::len);
        (&shown.id, paths.map_err(ToString::to_string))
    });
    let error =
        format!("could not read invalidation {unread} of {SECOND}: no response in time; try again");
    assert_eq!(
        shown.collect::<Vec<_>>(),
        [(&unread, Err(error)), (&read, Ok(1))]
    );
    fixture.standin.fail_for(SECOND, list, Fault::Hang, ALWAYS);
    let newest = invalidator
        .newest_invalidations(&both(), soon(), &one_minute())
        .await;
    let shown = newest.shown.iter();
    let shown: Vec<_> = shown
        .map(|shown| (&shown.id, shown.paths.is_ok()))
        .collect();
    assert_eq!(shown, [(&read, true)]);
    let unlisted = newest.unlisted.iter();
    let unlisted: Vec<_> = unlisted
        .map(|(id, error)| (id.as_str(), error.to_string()))
        .collect();
    let error =
        format!("could not list the invalidations of {SECOND}: no response in time; try again");
    assert_eq!(unlisted, [(SECOND, error)]);
}
