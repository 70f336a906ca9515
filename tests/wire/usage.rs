//! How many paths of this month the distributions have, on a frozen clock.

use std::time::Duration;

use aws_sdk_cloudfront::types::{InvalidationBatch, Paths};
use cloudfront_invalidator::distribution::DistributionId;
use tokio::time::Instant;

use crate::fixture::{
    ALWAYS, FIRST, Fixture, SECOND, denial_with_statement, distribution_arn, one_minute,
};
use crate::standin::{Clock, Fault, Operation, Options};

/// The invalidations of the account have a clock that tests advance, and start in January.
fn account() -> Fixture {
    Fixture::with(Options {
        clock: Clock::frozen(),
        throttle: false,
        ..Options::default()
    })
}

fn id(text: &str) -> DistributionId {
    DistributionId::parse(text).expect("an id")
}

fn in_a_minute() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

/// Creates this many invalidations with the paths.
pub async fn invalidate(fixture: &Fixture, distribution: &str, count: usize, paths: &[&str]) {
    let client = aws_sdk_cloudfront::Client::new(&fixture.sdk());
    let number = fixture.standin.invalidations().len();
    for number in number..number + count {
        let paths = Paths::builder()
            .quantity(i32::try_from(paths.len()).expect("few"))
            .set_items(Some(paths.iter().map(|path| (*path).to_owned()).collect()));
        let batch = InvalidationBatch::builder()
            .paths(paths.build().expect("paths"))
            .caller_reference(number.to_string());
        let request = client
            .create_invalidation()
            .distribution_id(distribution)
            .invalidation_batch(batch.build().expect("a batch"));
        request.send().await.expect("an invalidation");
    }
}

/// Returns the invalidations, the paths and the unread invalidations of each distribution, and the errors.
async fn counts(
    invalidator: &cloudfront_invalidator::handler::Invalidator,
    distributions: &[&str],
    deadline: Instant,
) -> (Vec<[usize; 3]>, Vec<Option<String>>) {
    let ids: Vec<_> = distributions.iter().map(|text| id(text)).collect();
    let usage = invalidator.usage(&ids, deadline, &one_minute()).await;
    let counted = usage
        .distributions
        .iter()
        .map(|counted| &counted.distribution);
    assert_eq!(counted.collect::<Vec<_>>(), ids.iter().collect::<Vec<_>>());
    let counts = usage.distributions.iter();
    let counts: Vec<_> = counts
        .map(|counted| [counted.invalidations, counted.paths, counted.unread])
        .collect();
    let errors = usage.distributions.iter();
    let errors: Vec<_> = errors
        .map(|counted| counted.error.as_ref().map(ToString::to_string))
        .collect();
    let is_complete =
        errors.iter().all(Option::is_none) && counts.iter().all(|[.., unread]| *unread == 0);
    assert_eq!(usage.is_complete(), is_complete);
    assert_eq!(
        usage.paths(),
        counts.iter().map(|[_, paths, _]| paths).sum::<usize>()
    );
    (counts, errors)
}

#[tokio::test]
async fn the_paths_of_this_month_are_read_once_from_all_pages() {
    let fixture = account();
    invalidate(&fixture, FIRST, 5, &["/january"]).await;
    fixture
        .standin
        .advance(Duration::from_secs(31 * 24 * 3_600));
    invalidate(&fixture, FIRST, 104, &["/a", "/b"]).await;
    invalidate(&fixture, SECOND, 1, &["/*", "/c", "/d"]).await;
    let invalidator = fixture.invalidator();
    let distributions = [FIRST, SECOND];
    let before = fixture.standin.calls().len();
    let expected = (vec![[104, 208, 0], [1, 3, 0]], vec![None, None]);
    let counted = counts(&invalidator, &distributions, in_a_minute()).await;
    assert_eq!(counted, expected);
    // Two pages of the first distribution.
    assert_eq!(fixture.calls(Operation::ListInvalidations), 3);
    assert_eq!(fixture.calls(Operation::GetInvalidation), 105);
    assert_eq!(fixture.standin.calls().len() - before, 108);
    let counted = counts(&invalidator, &distributions, in_a_minute()).await;
    assert_eq!(counted, expected);
    assert_eq!(fixture.standin.calls().len() - before, 111);
    fixture
        .standin
        .advance(Duration::from_secs(28 * 24 * 3_600));
    let counted = counts(&invalidator, &distributions, in_a_minute()).await;
    assert_eq!(counted, (vec![[0, 0, 0], [0, 0, 0]], vec![None, None]));
}

#[tokio::test]
async fn a_call_reads_three_hundred_invalidations_and_the_next_one_continues() {
    let fixture = account();
    invalidate(&fixture, FIRST, 302, &["/a"]).await;
    invalidate(&fixture, SECOND, 2, &["/b", "/c"]).await;
    let invalidator = fixture.invalidator();
    let distributions = [FIRST, SECOND];
    let counted = counts(&invalidator, &distributions, in_a_minute()).await;
    let none = vec![None, None];
    assert_eq!(counted, (vec![[302, 298, 4], [2, 4, 0]], none.clone()));
    assert_eq!(fixture.calls(Operation::GetInvalidation), 300);
    let counted = counts(&invalidator, &distributions, in_a_minute()).await;
    assert_eq!(counted, (vec![[302, 302, 0], [2, 4, 0]], none));
    assert_eq!(fixture.calls(Operation::GetInvalidation), 304);
}

#[tokio::test]
async fn what_is_denied_is_not_counted_and_the_other_distribution_is() {
    let fixture = account();
    invalidate(&fixture, FIRST, 20, &["/a"]).await;
    invalidate(&fixture, SECOND, 2, &["/b"]).await;
    let denied = |action: &str| {
        let arn = distribution_arn(FIRST);
        Some(denial_with_statement("AccessDenied", action, &arn))
    };
    let fault = Fault::AccessDenied;
    let (list, get) = (Operation::ListInvalidations, Operation::GetInvalidation);
    fixture.standin.fail_for(FIRST, list, fault, 1);
    let invalidator = fixture.invalidator();
    let distributions = [FIRST, SECOND];
    let counted = counts(&invalidator, &distributions, in_a_minute()).await;
    let errors = vec![denied("cloudfront:ListInvalidations"), None];
    assert_eq!(counted, (vec![[0, 0, 0], [2, 2, 0]], errors));
    fixture.standin.fail_for(FIRST, get, fault, ALWAYS);
    let counted = counts(&invalidator, &distributions, in_a_minute()).await;
    let errors = vec![denied("cloudfront:GetInvalidation"), None];
    assert_eq!(counted, (vec![[20, 0, 20], [2, 2, 0]], errors));
    // The others are not tried.
    assert_eq!(fixture.calls(get), 10);
}

#[tokio::test]
async fn what_is_not_read_in_time_is_read_by_the_next_call() {
    let fixture = account();
    invalidate(&fixture, FIRST, 20, &["/a"]).await;
    let (list, get) = (Operation::ListInvalidations, Operation::GetInvalidation);
    fixture.standin.fail(get, Fault::Hang, 1);
    let invalidator = fixture.invalidator();
    let soon = || Instant::now() + Duration::from_secs(1);
    let counted = counts(&invalidator, &[FIRST], soon()).await;
    assert_eq!(counted, (vec![[20, 19, 1]], vec![None]));
    assert_eq!(fixture.calls(get), 20);
    fixture.standin.fail(list, Fault::Hang, 1);
    let counted = counts(&invalidator, &[FIRST], soon()).await;
    let error =
        format!("could not list the invalidations of {FIRST}: no response in time; try again");
    assert_eq!(counted, (vec![[0, 0, 0]], vec![Some(error)]));
    let counted = counts(&invalidator, &[FIRST], soon()).await;
    assert_eq!(counted, (vec![[20, 20, 0]], vec![None]));
    assert_eq!(fixture.calls(get), 21);
}

#[tokio::test]
async fn a_list_without_a_response_leaves_time_for_the_other_distribution() {
    let fixture = account();
    invalidate(&fixture, FIRST, 2, &["/a"]).await;
    let list = Operation::ListInvalidations;
    fixture.standin.fail_for(SECOND, list, Fault::Hang, ALWAYS);
    let deadline = Instant::now() + Duration::from_secs(1);
    let counted = counts(&fixture.invalidator(), &[FIRST, SECOND], deadline).await;
    let error =
        format!("could not list the invalidations of {SECOND}: no response in time; try again");
    assert_eq!(
        counted,
        (vec![[2, 2, 0], [0, 0, 0]], vec![None, Some(error)])
    );
}
