//! A distribution that is used through distribution tenants only, which CreateInvalidation does not find.
//!
//! Observed by one report: CreateInvalidation answers NoSuchDistribution for a distribution with the ConnectionMode
//! tenant-only, although GetDistributionConfig returns its configuration.

use cloudfront_invalidator::error::Category;
use serde_json::json;

use crate::fixture::{
    FIRST, Fixture, SECOND, configuration_with, denial_with_statement, distribution_arn, logged,
    logged_at,
};
use crate::queue::{ago, batch, failures, notification};
use crate::s3::list;
use crate::standin::{Clock, Fault, JobState, Operation, Options};

/// A distribution with a configuration that CreateInvalidation does not find.
const TENANTS: &str = "E8EXAMPLE1ABC";

const NOT_FOUND: &str = "NoSuchDistribution: The specified distribution does not exist.";

fn fixture(elements: &str) -> Fixture {
    let path = format!("distribution/{TENANTS}/config");
    Fixture::with(Options::default().with_document(&path, &configuration_with(elements)))
        .set("DISTRIBUTION_ID", TENANTS)
}

fn tenants_only() -> String {
    format!(
        "distribution {TENANTS} exists, but viewers reach it through distribution tenants only (ConnectionMode \
         tenant-only), so CloudFront does not invalidate it ({NOT_FOUND}): invalidate each of its tenants with `aws \
         cloudfront create-invalidation-for-distribution-tenant`, which this program does not call; if DISTRIBUTION_ID, the action's UserParameters or the event's \"distribution\" names it, remove it there; if it was found by its bucket, name the other \
         distributions in DISTRIBUTION_ID"
    )
}

#[tokio::test]
async fn distinguishes_a_distribution_of_tenants_from_one_that_does_not_exist() {
    let mode = "<ConnectionMode>tenant-only</ConnectionMode>";
    let unclear = |reason: &str| {
        format!(
            "distribution {TENANTS} does not exist in this account, or viewers reach it through distribution tenants \
             only ({NOT_FOUND}; {reason}): correct DISTRIBUTION_ID, the action's UserParameters or the event's \"distribution\", or invalidate each of \
             its tenants with `aws cloudfront create-invalidation-for-distribution-tenant`"
        )
    };
    let denied = denial_with_statement(
        "AccessDenied",
        "cloudfront:GetDistributionConfig",
        &distribution_arn(TENANTS),
    );
    for (elements, fault, message) in [
        (mode, None, tenants_only()),
        (mode, Some(Fault::AccessDenied), unclear(&denied)),
        (
            mode,
            Some(Fault::NoSuchDistribution),
            format!(
                "distribution {TENANTS} does not exist in this account ({NOT_FOUND}): correct DISTRIBUTION_ID, the action's UserParameters or the event's \"distribution\""
            ),
        ),
    ] {
        let fixture = fixture(elements);
        if let Some(fault) = fault {
            // The first read explains the error, the second looks for a staging distribution.
            let operation = Operation::GetDistributionConfig;
            fixture.standin.fail(operation, fault, 2);
        }
        let job = fixture.run_job(None).await;
        assert_eq!(job.failure(), ("ConfigurationError", message.as_str()));
    }
}

#[tokio::test]
async fn fails_only_the_distribution_of_tenants_among_several() {
    let fixture = fixture("<ConnectionMode>tenant-only</ConnectionMode>");
    let named = json!({"distribution": [FIRST, TENANTS, SECOND]});
    let job = fixture.run_job(Some(&named.to_string())).await;
    let (kind, message) = job.failure();
    assert_eq!(kind, "ConfigurationError");
    assert!(message.contains(&tenants_only()), "{message}");
    let accepted: Vec<_> = fixture.accepted().into_iter().map(|(id, _)| id).collect();
    assert_eq!(accepted, [FIRST, SECOND]);
}

#[tokio::test]
async fn fails_the_change_of_a_bucket_on_a_distribution_of_tenants_with_the_reason() {
    let fixture = fixture("<ConnectionMode>tenant-only</ConnectionMode>");
    let event = batch(&[notification("a", ago(60))]);
    assert_eq!(fixture.handle(&event).await, failures(&["m0"]));
    let notification = crate::s3::event("s3-direct-index");
    let error = fixture.handle(&notification).await.expect_err("no effect");
    assert_eq!(
        (error.category(), error.to_string()),
        (Category::InvalidInput, tenants_only())
    );
}

#[tokio::test]
async fn advises_on_a_distribution_of_tenants_that_was_found_by_its_bucket() {
    let options = Options::default()
        .with_document("distribution", &list(&[(FIRST, ""), (TENANTS, "")]))
        .with_document(
            &format!("distribution/{TENANTS}/config"),
            &configuration_with("<ConnectionMode>tenant-only</ConnectionMode>"),
        );
    let fixture = Fixture::with(options).unset("DISTRIBUTION_ID");
    let event = batch(&[notification("a", ago(60))]);
    logged();
    assert_eq!(fixture.handle(&event).await, failures(&["m0"]));
    let errors = logged_at("ERROR");
    let messages: Vec<_> = errors.iter().map(|line| &line["message"]).collect();
    assert_eq!(
        messages,
        [&json!(format!("will be retried: {}", tenants_only()))]
    );
    // With the advice followed, nothing fails.
    let fixture = fixture.set("DISTRIBUTION_ID", FIRST);
    assert_eq!(fixture.handle(&event).await, failures(&[]));
}

#[tokio::test]
async fn tries_again_when_a_distribution_is_not_found_although_it_exists() {
    let fixture = Fixture::start();
    let operation = Operation::CreateInvalidation;
    fixture
        .standin
        .fail(operation, Fault::NoSuchDistribution, 1);
    let notification = crate::s3::event("s3-direct-index");
    let error = fixture.handle(&notification).await.expect_err("no effect");
    assert_eq!(
        (error.category(), error.is_transient(), error.to_string()),
        (
            Category::Unavailable,
            true,
            format!(
                "could not invalidate {FIRST}: CloudFront answered NoSuchDistribution although the distribution exists \
                 ({NOT_FOUND}); try again"
            )
        )
    );
}

#[tokio::test]
async fn tries_again_when_the_reason_for_a_missing_distribution_cannot_be_read_for_the_moment() {
    let options = Options {
        clock: Clock::frozen(),
        throttle: false,
        ..Options::default()
    };
    let fixture = Fixture::with(options);
    let create = Operation::CreateInvalidation;
    fixture.standin.fail(create, Fault::NoSuchDistribution, 1);
    // The SDK attempts each of two calls four times: one explains the error, the other looks for a staging distribution.
    let read = Operation::GetDistributionConfig;
    fixture.standin.fail(read, Fault::Throttling, 8);
    let first = fixture.standin.start_job(None);
    let text = fixture.handle(&first.event).await.expect("a result");
    let throttled = format!(
        "could not read the configuration of {FIRST} now: Throttling: Rate exceeded; try again in a minute"
    );
    assert_eq!(
        text,
        format!(
            "0 of 1 distribution completed after 0 s; CloudFront answered NoSuchDistribution for {FIRST} \
             ({NOT_FOUND}), and the reason could not be found: {throttled}"
        )
    );
    let next = fixture.standin.next_job(&first.id).expect("the next job");
    fixture.handle(&next.event).await.expect("a result");
    let ended = fixture.standin.job(&next.id).expect("the job");
    assert_eq!(ended.state, JobState::Succeeded);
}
