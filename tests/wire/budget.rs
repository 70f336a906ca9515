//! The paths of a day: what an invalidation of changed objects gets if the day needs more than its budget, on a frozen
//! clock.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use cloudfront_invalidator::handler::Invalidator;
use serde_json::{Value, json};

use crate::fixture::{
    ALWAYS, BUCKET, FIRST, Fixture, SECOND, configuration, denial_with_statement, distribution_arn,
    logged, logged_at, one_minute, short_invocation,
};
use crate::queue::{batch_sent, failures, notification};
use crate::staging;
use crate::standin::{Clock, Fault, Operation, Options, ReferenceReuse};
use crate::usage::invalidate;

const HOUR: Duration = Duration::from_secs(3_600);

/// The day starts at 2026-01-01T00:00:00Z.
fn fixture(budget: &str) -> Fixture {
    with_reuse(budget, ReferenceReuse::Documented)
}

fn with_reuse(budget: &str, reuse: ReferenceReuse) -> Fixture {
    let options = Options {
        clock: Clock::frozen(),
        throttle: false,
        reuse,
        ..Options::default()
    };
    Fixture::with(options).set("DAILY_PATH_BUDGET", budget)
}

/// Returns seventeen keys that become seventeen paths.
fn keys() -> Vec<String> {
    let folders = ["blog", "docs"].into_iter();
    let pages = folders.flat_map(|folder| (0..8).map(move |page| format!("{folder}/{page}")));
    pages.chain(["about.html".to_owned()]).collect()
}

/// The paths of [`keys`] within three, and within one.
const THREE: [&str; 3] = ["/about.html", "/blog/*", "/docs/*"];
const ONE: [&str; 1] = ["/*"];

fn paths_of(keys: &[String]) -> Vec<String> {
    let mut paths: Vec<_> = keys.iter().map(|key| format!("/{key}")).collect();
    paths.sort();
    paths
}

/// Returns an SQS event about objects that changed this long ago by the stand-in's clock.
fn changed(fixture: &Fixture, keys: &[String], seconds: i64) -> Value {
    let now: DateTime<Utc> = fixture.standin.now().into();
    let time = now - TimeDelta::seconds(seconds);
    let bodies: Vec<_> = keys.iter().map(|key| notification(key, time)).collect();
    batch_sent(&bodies, now)
}

/// Handles a change of the objects, a minute ago. Returns the paths that CloudFront accepted for it.
async fn change(fixture: &Fixture, invalidator: &Invalidator, keys: &[String]) -> Vec<String> {
    let event = changed(fixture, keys, 60);
    let before = fixture.accepted().len();
    let response = invalidator.handle(&event, &one_minute()).await;
    assert_eq!(response, failures(&[]));
    let accepted = fixture.accepted().split_off(before);
    let [(_, paths)] = accepted.as_slice() else {
        panic!("not one invalidation: {accepted:?}");
    };
    paths.clone()
}

/// Uses this many paths of the budget, and waits until they are completed.
async fn use_paths(fixture: &Fixture, distribution: &str, count: usize) {
    let paths: Vec<_> = (0..count).map(|number| format!("/used/{number}")).collect();
    let paths: Vec<_> = paths.iter().map(String::as_str).collect();
    invalidate(fixture, distribution, 1, &paths).await;
    fixture.standin.advance(HOUR);
}

/// Returns the notes about the budget in what this test logged since the last call.
fn notes() -> Vec<String> {
    let lines = logged_at("INFO").into_iter();
    let messages = lines.filter_map(|line| Some(line["message"].as_str()?.to_owned()));
    let notes = messages.flat_map(|message| {
        let notes = message.split("; ").map(str::to_owned);
        notes.collect::<Vec<_>>()
    });
    notes.filter(|note| note.contains(" instead of ")).collect()
}

fn note(paths: &str, reason: &str) -> Vec<String> {
    vec![format!("{paths} instead of 17, because {reason} today")]
}

#[tokio::test]
async fn without_a_budget_nothing_is_read_for_it() {
    use Operation::{
        CreateInvalidation, GetDistributionConfig, GetInvalidation, ListInvalidations,
    };
    for (budget, expected) in [
        (
            None,
            vec![CreateInvalidation, GetDistributionConfig, ListInvalidations],
        ),
        (
            Some("0"),
            vec![CreateInvalidation, GetDistributionConfig, ListInvalidations],
        ),
        (
            Some("1000"),
            vec![
                CreateInvalidation,
                GetDistributionConfig,
                GetInvalidation,
                ListInvalidations,
                ListInvalidations,
            ],
        ),
    ] {
        let fixture = fixture(budget.unwrap_or_default());
        let fixture = match budget {
            Some(_) => fixture,
            None => fixture.unset("DAILY_PATH_BUDGET"),
        };
        use_paths(&fixture, FIRST, 100).await;
        let before = fixture.standin.calls().len();
        let keys = keys();
        let paths = change(&fixture, &fixture.invalidator(), &keys).await;
        assert_eq!(paths, paths_of(&keys), "{budget:?}");
        let mut calls = fixture.standin.calls().split_off(before);
        calls.sort_by_key(|call| format!("{call:?}"));
        assert_eq!(calls, expected, "{budget:?}");
    }
}

#[tokio::test]
async fn a_batch_that_needs_more_than_is_left_gets_what_is_left() {
    let keys = keys();
    let all = paths_of(&keys);
    let (three, one) = (
        THREE.map(str::to_owned).to_vec(),
        ONE.map(str::to_owned).to_vec(),
    );
    for (used, expected, notes_of_batch) in [
        (1, &all, vec![]),
        (83, &all, vec![]),
        (
            97,
            &three,
            note("3 paths", "97 of the 100 paths of DailyPathBudget are used"),
        ),
        (
            99,
            &one,
            note("1 path", "99 of the 100 paths of DailyPathBudget are used"),
        ),
        (
            100,
            &one,
            note("1 path", "the DailyPathBudget of 100 is used up"),
        ),
        (
            200,
            &one,
            note("1 path", "the DailyPathBudget of 100 is used up"),
        ),
    ] {
        let fixture = fixture("100");
        use_paths(&fixture, FIRST, used).await;
        logged();
        let paths = change(&fixture, &fixture.invalidator(), &keys).await;
        assert_eq!(&paths, expected, "{used}");
        assert_eq!(notes(), notes_of_batch, "{used}");
    }
}

#[tokio::test]
async fn a_single_path_is_not_widened() {
    for (key, expected) in [("about.html", "/about.html"), ("b%2Bc.html", "/b*")] {
        let fixture = fixture("10");
        use_paths(&fixture, FIRST, 50).await;
        logged();
        let paths = change(&fixture, &fixture.invalidator(), &[key.to_owned()]).await;
        assert_eq!(paths, [expected]);
        assert_eq!(notes(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_spend_that_is_unknown_changes_nothing() {
    let keys = keys();
    for fault in [
        Fault::AccessDenied,
        Fault::Throttling,
        Fault::InternalError,
        Fault::Garbage,
        Fault::Hang,
    ] {
        let fixture = fixture("10");
        use_paths(&fixture, FIRST, 50).await;
        fixture
            .standin
            .fail(Operation::ListInvalidations, fault, ALWAYS);
        logged();
        let event = changed(&fixture, &keys, 60);
        let response = fixture
            .invalidator()
            .handle(&event, &short_invocation())
            .await;
        assert_eq!(response, failures(&[]), "{fault:?}");
        let (_, paths) = fixture.accepted().remove(1);
        assert_eq!(paths, paths_of(&keys), "{fault:?}");
        assert_eq!(fixture.calls(Operation::GetInvalidation), 0, "{fault:?}");
        let denied = denial_with_statement(
            "AccessDenied",
            "cloudfront:ListInvalidations",
            &distribution_arn(FIRST),
        );
        let message =
            format!("DailyPathBudget leaves out what this distribution has used today: {denied}");
        let warnings = logged_at("WARN");
        let is_warned = warnings
            .iter()
            .any(|line| line["message"] == message.as_str());
        assert_eq!(is_warned, fault == Fault::AccessDenied, "{warnings:#?}");
    }
}

#[tokio::test]
async fn a_list_that_is_denied_is_not_requested_again_for_five_minutes() {
    let fixture = fixture("10");
    use_paths(&fixture, FIRST, 50).await;
    fixture
        .standin
        .fail(Operation::ListInvalidations, Fault::AccessDenied, 2);
    let invalidator = fixture.invalidator();
    let keys = keys();
    let mut lists = Vec::new();
    for minutes in [0, 4, 1] {
        fixture.standin.advance(Duration::from_secs(60 * minutes));
        let paths = change(&fixture, &invalidator, &keys).await;
        lists.push((fixture.calls(Operation::ListInvalidations), paths.len()));
    }
    assert_eq!(lists, [(2, 17), (2, 17), (4, 1)]);
}

#[tokio::test]
async fn the_distribution_that_can_be_listed_counts_although_another_one_cannot() {
    let both = format!("{FIRST},{SECOND}");
    let fixture = fixture("100").set("DISTRIBUTION_ID", &both);
    use_paths(&fixture, FIRST, 97).await;
    fixture.standin.fail_for(
        SECOND,
        Operation::ListInvalidations,
        Fault::AccessDenied,
        ALWAYS,
    );
    let event = changed(&fixture, &keys(), 60);
    assert_eq!(fixture.handle(&event).await, failures(&[]));
    let accepted = fixture.accepted().split_off(1);
    let paths = [
        THREE.map(str::to_owned).to_vec(),
        ONE.map(str::to_owned).to_vec(),
    ];
    let [first, second] = paths;
    assert_eq!(
        accepted,
        [(FIRST.to_owned(), first), (SECOND.to_owned(), second)]
    );
}

#[tokio::test]
async fn an_invocation_reads_twenty_invalidations_and_the_next_one_continues() {
    let fixture = fixture("1000");
    invalidate(&fixture, FIRST, 30, &["/a", "/b"]).await;
    fixture.standin.advance(HOUR);
    let invalidator = fixture.invalidator();
    let mut reads = Vec::new();
    for key in ["first", "second", "third"] {
        change(&fixture, &invalidator, &[key.to_owned()]).await;
        fixture.standin.advance(HOUR);
        reads.push(fixture.calls(Operation::GetInvalidation));
    }
    // Those that this process created need no read.
    assert_eq!(reads, [20, 30, 30]);
}

#[tokio::test]
async fn an_invalidation_that_is_not_read_counts_as_one_path() {
    // Twenty invalidations of two paths are read, ten are not.
    for (budget, fault, used) in [
        ("53", None, 50),
        ("33", Some(Fault::AccessDenied), 30),
        ("33", Some(Fault::Hang), 30),
    ] {
        let fixture = fixture(budget);
        invalidate(&fixture, FIRST, 30, &["/a", "/b"]).await;
        fixture.standin.advance(HOUR);
        if let Some(fault) = fault {
            fixture
                .standin
                .fail(Operation::GetInvalidation, fault, ALWAYS);
        }
        logged();
        let paths = change(&fixture, &fixture.invalidator(), &keys()).await;
        assert_eq!(paths, THREE);
        let reason = format!("{used} of the {budget} paths of DailyPathBudget are used");
        assert_eq!(notes(), note("3 paths", &reason));
    }
}

#[tokio::test]
async fn nothing_is_read_if_the_list_alone_uses_up_the_budget() {
    let fixture = fixture("30");
    invalidate(&fixture, FIRST, 230, &["/a"]).await;
    fixture.standin.advance(HOUR);
    let paths = change(&fixture, &fixture.invalidator(), &keys()).await;
    assert_eq!(paths, ONE);
    assert_eq!(fixture.calls(Operation::GetInvalidation), 0);
    // One page for the budget, and one to find what is covered already.
    assert_eq!(fixture.calls(Operation::ListInvalidations), 2);
}

#[tokio::test]
async fn the_day_ends_at_midnight_in_utc() {
    let fixture = fixture("100");
    fixture.standin.advance(22 * HOUR);
    use_paths(&fixture, FIRST, 100).await;
    let keys = keys();
    let invalidator = fixture.invalidator();
    fixture.standin.advance(HOUR - Duration::from_secs(1));
    assert_eq!(change(&fixture, &invalidator, &keys).await, ONE);
    fixture.standin.advance(Duration::from_secs(61));
    assert_eq!(change(&fixture, &invalidator, &keys).await, paths_of(&keys));
}

#[tokio::test]
async fn what_other_callers_and_this_process_have_used_counts() {
    let fixture = fixture("37");
    let paths: Vec<_> = (0..17).map(|number| format!("/p/{number}")).collect();
    let parameters = json!({ "paths": paths }).to_string();
    fixture.run_job(Some(&parameters)).await;
    fixture.standin.advance(HOUR);
    let invalidator = fixture.invalidator();
    let keys = keys();
    logged();
    // 20, 3 and none are left.
    assert_eq!(change(&fixture, &invalidator, &keys).await.len(), 17);
    fixture.standin.advance(HOUR);
    assert_eq!(change(&fixture, &invalidator, &keys).await, THREE);
    fixture.standin.advance(HOUR);
    assert_eq!(change(&fixture, &invalidator, &keys).await, ONE);
    let expected = [
        note("3 paths", "34 of the 37 paths of DailyPathBudget are used"),
        note("1 path", "the DailyPathBudget of 37 is used up"),
    ];
    assert_eq!(notes(), expected.concat());
    // Only that of the job.
    assert_eq!(fixture.calls(Operation::GetInvalidation), 1);
}

#[tokio::test]
async fn a_batch_stays_as_it_is_if_no_wildcard_is_left() {
    let fixture = fixture("15");
    let wildcards: Vec<_> = (0..15).map(|number| format!("/{number}/*")).collect();
    let wildcards: Vec<_> = wildcards.iter().map(String::as_str).collect();
    invalidate(&fixture, FIRST, 1, &wildcards).await;
    let keys = keys();
    let invalidator = fixture.invalidator();
    logged();
    assert_eq!(change(&fixture, &invalidator, &keys).await, paths_of(&keys));
    assert_eq!(notes(), Vec::<String>::new());
    // They are completed.
    fixture.standin.advance(HOUR);
    assert_eq!(change(&fixture, &invalidator, &keys).await, ONE);
}

#[tokio::test]
async fn distributions_share_what_is_left() {
    let both = format!("{FIRST},{SECOND}");
    for (used, lengths) in [(0, [17, 17]), (66, [17, 17]), (80, [17, 3]), (97, [3, 1])] {
        let fixture = fixture("100").set("DISTRIBUTION_ID", &both);
        if used > 0 {
            use_paths(&fixture, FIRST, used / 2).await;
            use_paths(&fixture, SECOND, used - used / 2).await;
        }
        let before = fixture.accepted().len();
        let event = changed(&fixture, &keys(), 60);
        assert_eq!(fixture.handle(&event).await, failures(&[]));
        let mut accepted = fixture.accepted().split_off(before);
        accepted.sort();
        let accepted = accepted.iter();
        let accepted: Vec<_> = accepted
            .map(|(id, paths)| (id.as_str(), paths.len()))
            .collect();
        let [first, second] = lengths;
        assert_eq!(accepted, [(FIRST, first), (SECOND, second)], "{used}");
    }
}

#[tokio::test]
async fn a_request_is_never_reduced() {
    let fixture = fixture("1");
    use_paths(&fixture, FIRST, 50).await;
    let (keys, calls) = (keys(), fixture.standin.calls().len());
    let paths = paths_of(&keys);
    let parameters = json!({ "paths": paths }).to_string();
    fixture.run_job(Some(&parameters)).await;
    let invalidator = fixture.invalidator();
    for event in [
        json!({ "paths": paths }),
        json!({"keys": keys, "bucket": BUCKET}),
    ] {
        invalidator
            .handle(&event, &one_minute())
            .await
            .expect("a response");
    }
    let accepted = fixture.accepted().split_off(1);
    assert_eq!(accepted, vec![(FIRST.to_owned(), paths); 3]);
    let read = fixture.standin.calls().split_off(calls);
    assert!(!read.contains(&Operation::ListInvalidations), "{read:?}");
}

/// Returns the paths of each invalidation that CloudFront has.
fn created(fixture: &Fixture) -> Vec<Vec<String>> {
    let created = fixture.standin.accepted().into_iter();
    created.map(|invalidation| invalidation.paths).collect()
}

/// An event is so new that no invalidation counts as newer than its changes: only the caller reference shows that a
/// retry is one.
#[tokio::test]
async fn a_retry_is_not_billed_although_less_is_left_for_it() {
    for reuse in [ReferenceReuse::Documented, ReferenceReuse::Observed] {
        // The first attempt leaves 3 and 0 paths, is reduced to 3 paths, and is reduced to 1 path.
        for (used, first) in [(80, 17), (83, 17), (97, 3), (100, 1)] {
            for (later, fault) in [(0, None), (40, None), (40, Some(Fault::InternalError))] {
                let context = format!("{reuse:?} {used} {later} {fault:?}");
                let fixture = with_reuse("100", reuse);
                use_paths(&fixture, FIRST, used).await;
                let event = changed(&fixture, &keys(), 0);
                assert_eq!(fixture.handle(&event).await, failures(&[]), "{context}");
                let attempt = created(&fixture).pop().expect("an invalidation");
                assert_eq!(attempt.len(), first, "{context}");
                if later > 0 {
                    let paths: Vec<_> = (0..later)
                        .map(|number| format!("/later/{number}"))
                        .collect();
                    let paths: Vec<_> = paths.iter().map(String::as_str).collect();
                    invalidate(&fixture, FIRST, 1, &paths).await;
                }
                let before = created(&fixture);
                if let Some(fault) = fault {
                    fixture.standin.fail(Operation::ListInvalidations, fault, 6);
                }
                logged();
                assert_eq!(fixture.handle(&event).await, failures(&[]), "{context}");
                assert_eq!(created(&fixture), before, "{context}");
                let sent = fixture.standin.invalidations().pop().expect("a request");
                // If the invalidations can be listed, the request is the same.
                if fault.is_none() {
                    assert_eq!(sent.paths, attempt, "{context}");
                    let id = &fixture.standin.invalidations()[1].outcome;
                    let id = id.as_ref().expect("an id");
                    let plural = if first == 1 { "" } else { "s" };
                    let note = format!(
                        "{first} path{plural} instead of 17, as in the earlier attempt {id}"
                    );
                    let expected = if first < 17 { vec![note] } else { vec![] };
                    assert_eq!(notes(), expected, "{context}");
                }
            }
        }
    }
}

#[tokio::test]
async fn without_distribution_id_the_distributions_of_the_event_share_the_budget() {
    let summary = |id: &str, bucket: &str| {
        let configuration = configuration(bucket, "", "");
        let (_, origins) = configuration.split_once("<Origins>").expect("origins");
        let origins = origins.replace("</DistributionConfig>", "");
        format!(
            "<DistributionSummary><Id>{id}</Id><DomainName>d.cloudfront.net</DomainName><Staging>false</Staging><Origins>{origins}\
             </DistributionSummary>"
        )
    };
    for (bucket_of_second, first) in [("another-bucket", 17), (BUCKET, 3)] {
        let list = format!(
            "<DistributionList xmlns=\"http://cloudfront.amazonaws.com/doc/2020-05-31/\"><Marker></Marker><MaxItems>100\
             </MaxItems><IsTruncated>false</IsTruncated><Quantity>2</Quantity><Items>{}{}</Items></DistributionList>",
            summary(FIRST, BUCKET),
            summary(SECOND, bucket_of_second)
        );
        let fixture = fixture("100").unset("DISTRIBUTION_ID");
        fixture.standin.set_document("distribution", &list);
        use_paths(&fixture, SECOND, 97).await;
        let event = changed(&fixture, &keys(), 60);
        assert_eq!(fixture.handle(&event).await, failures(&[]));
        let accepted = fixture.accepted().remove(1);
        assert_eq!((accepted.0.as_str(), accepted.1.len()), (FIRST, first));
    }
}

#[tokio::test]
async fn a_staging_distribution_that_is_found_shares_the_budget() {
    let fixture = staging::fixture(true)
        .set("INVALIDATE_STAGING", "true")
        .set("DAILY_PATH_BUDGET", "100");
    use_paths(&fixture, staging::STAGING, 97).await;
    let event = changed(&fixture, &keys(), 60);
    assert_eq!(fixture.handle(&event).await, failures(&[]));
    let mut accepted = fixture.accepted().split_off(1);
    accepted.sort();
    let accepted = accepted.iter();
    let accepted: Vec<_> = accepted
        .map(|(id, paths)| (id.as_str(), paths.len()))
        .collect();
    assert_eq!(accepted, [(FIRST, 3), (staging::STAGING, 1)]);
}
