//! Cache tags in pipeline jobs: a distribution without a cache tag header would report success and keep its copies.

use serde_json::json;

use crate::fixture::{
    FIRST, Fixture, SECOND, configuration_with, denial_with_statement, distribution_arn, logged,
    logged_at,
};
use crate::standin::{Fault, Operation, Options};

const WITH_TAGS: &str = "<CacheTagConfig><HeaderName>cache-tag</HeaderName></CacheTagConfig>";

/// An account whose first distribution reads cache tags, and whose second does not.
fn fixture() -> Fixture {
    let path = format!("distribution/{FIRST}/config");
    Fixture::with(Options::default().with_document(&path, &configuration_with(WITH_TAGS)))
}

fn refused(distribution: &str, tags: &str) -> String {
    format!(
        "distribution {distribution} has no cache tag header (CacheTagConfig), so CloudFront would report success for \
         {tags} and invalidate nothing: add CacheTagConfig to the distribution, or send paths"
    )
}

#[tokio::test]
async fn refuses_a_tag_for_a_distribution_without_a_cache_tag_header() {
    let fixture = fixture();
    let parameters = json!({"distribution": SECOND, "paths": ["#product:42", "/a.html", "#Blog"]});
    let job = fixture.run_job(Some(&parameters.to_string())).await;
    let message = refused(SECOND, "#Blog #product:42");
    assert_eq!(job.failure(), ("ConfigurationError", message.as_str()));
    assert_eq!(fixture.standin.invalidations(), []);
}

#[tokio::test]
async fn sends_a_tag_to_a_distribution_with_a_cache_tag_header() {
    let fixture = fixture();
    let job = fixture.run_job(Some(r##"{"paths": ["#blog"]}"##)).await;
    assert_eq!(job.variable("Paths"), "#blog");
    let id = fixture.first_id();
    assert_eq!(
        crate::fixture::summary(&job.result),
        format!("{FIRST}: submitted as {id} (1 path: #blog)")
    );
    // One read serves the check and the search for a staging distribution.
    assert_eq!(
        fixture.standin.calls(),
        [
            Operation::GetDistributionConfig,
            Operation::CreateInvalidation,
            Operation::PutJobSuccessResult
        ]
    );
}

#[tokio::test]
async fn refuses_only_the_distribution_without_a_cache_tag_header() {
    let fixture = fixture();
    let parameters = json!({"distribution": [SECOND, FIRST], "paths": "#blog"});
    let job = fixture.run_job(Some(&parameters.to_string())).await;
    let id = fixture.first_id();
    let message = format!(
        "{}; {FIRST}: submitted as {id} (1 path: #blog)",
        refused(SECOND, "#blog")
    );
    assert_eq!(job.failure(), ("ConfigurationError", message.as_str()));
    assert_eq!(
        fixture.accepted(),
        [(FIRST.to_owned(), vec!["#blog".to_owned()])]
    );
}

#[tokio::test]
async fn sends_everything_in_place_of_a_tag_without_a_check() {
    let fixture = fixture().set("DISTRIBUTION_ID", SECOND);
    let parameters = r##"{"paths": ["#blog", "/*"]}"##;
    let job = fixture.run_job(Some(parameters)).await;
    assert_eq!(job.variable("Paths"), "/*");
}

#[tokio::test]
async fn sends_a_tag_that_cannot_be_checked_with_a_note() {
    let denied = denial_with_statement(
        "AccessDenied",
        "cloudfront:GetDistributionConfig",
        &distribution_arn(FIRST),
    );
    let failing = format!(
        "could not read the configuration of {FIRST}: InternalError: An internal error occurred.; try again"
    );
    for (fault, reason) in [
        (Fault::AccessDenied, denied),
        (Fault::InternalError, failing),
    ] {
        let fixture = fixture();
        let operation = Operation::GetDistributionConfig;
        fixture.standin.fail(operation, fault, 99);
        logged();
        let job = fixture.run_job(Some(r##"{"paths": ["#blog"]}"##)).await;
        let note = format!(
            "not checked whether it has a cache tag header, or a staging distribution with a cache of its own: {reason}"
        );
        let id = fixture.first_id();
        assert_eq!(
            crate::fixture::summary(&job.result),
            format!("{FIRST}: submitted as {id} (1 path: #blog); {note}")
        );
        let warnings = logged_at("WARN");
        let warnings: Vec<_> = warnings
            .iter()
            .map(|line| [&line["distribution"], &line["message"]])
            .collect();
        assert_eq!(warnings, [[&json!(FIRST), &json!(note)]]);
    }
}
