//! URLs that a person names are requested as a viewer does, and judged by the newest invalidations, on a frozen clock.

use std::time::Duration;

use cloudfront_invalidator::distribution::DistributionId;
use cloudfront_invalidator::path::EncodedPaths;
use cloudfront_invalidator::verify::Report;
use tokio::time::Instant;

use crate::fixture::{
    ALWAYS, BUCKET, FIRST, Fixture, SECOND, denial_with_statement, distribution_arn, one_minute,
};
use crate::standin::{Fault, Operation};
use crate::usage::invalidate;
use crate::verification::{account, cache, on_time};

const HOST: &str = "d1example.cloudfront.net";

/// Requests the URLs from the distributions.
async fn verify(fixture: &Fixture, distributions: &[&str], urls: &[&str]) -> Report {
    let distributions: Vec<_> = distributions
        .iter()
        .map(|id| DistributionId::parse(id).expect("an id"))
        .collect();
    let urls: EncodedPaths = urls
        .iter()
        .map(|url| EncodedPaths::parse(url).expect("a path"))
        .collect();
    let deadline = Instant::now() + Duration::from_secs(2);
    let invalidator = fixture.invalidator();
    invalidator
        .verify_urls(&distributions, &urls, deadline, &one_minute())
        .await
}

/// Returns the verdict on each URL with the invalidation that covers it.
fn verdicts(report: &Report) -> Vec<(&str, &str, Option<&str>)> {
    let urls = report.urls.iter().map(|url| {
        let invalidation = url.invalidation.as_ref().map(|id| id.as_str());
        (
            url.url.as_str(),
            url.judgement.verdict.as_str(),
            invalidation,
        )
    });
    urls.collect()
}

#[tokio::test]
async fn each_url_is_judged_by_the_newest_invalidation_that_covers_it() {
    let fixture = account(0);
    for key in ["a.html", "b.html", "c+d.html"] {
        fixture.standin.put_object(BUCKET, key, "old");
    }
    let cached = ["/a.html", "/b.html", "/c%2Bd.html"].map(|target| (HOST, target));
    cache(&fixture, &cached);
    invalidate(&fixture, FIRST, 1, &["/c+d.html"]).await;
    fixture.standin.advance(Duration::from_secs(1));
    invalidate(&fixture, FIRST, 1, &["/a.html"]).await;
    let [of_c, of_a] = &fixture.standin.invalidations()[..] else {
        panic!("not two invalidations")
    };
    let [of_c, of_a] =
        [of_c, of_a].map(|invalidation| invalidation.outcome.clone().expect("an id"));
    let before = fixture.calls(Operation::GetInvalidation);
    let report = verify(&fixture, &[FIRST], &["/a.html"]).await;
    let url = |target: &str| format!("https://{HOST}{target}");
    let a = url("/a.html");
    assert_eq!(
        verdicts(&report),
        [(a.as_str(), "fresh", Some(of_a.as_str()))]
    );
    assert_eq!(report.notes, [""; 0]);
    let report = verify(&fixture, &[FIRST], &["/b.html", "/c%2Bd.html"]).await;
    let [b, c] = ["/b.html", "/c%2Bd.html"].map(url);
    let (b, c, of_c) = (b.as_str(), c.as_str(), of_c.as_str());
    // The other spelling of the key leads to no page.
    assert_eq!(
        verdicts(&report),
        [(c, "stale", Some(of_c)), (b, "unknown", None)]
    );
    let reason = report.urls[0].judgement.reason.to_string();
    let expected = format!("the copy is 61 s old, but {of_c} was created 0 s ago");
    assert_eq!(on_time(&reason), expected);
    let reason = report.urls[1].judgement.reason.to_string();
    assert_eq!(
        reason,
        "none of the newest completed invalidations covers it"
    );
    // At most two for each run: one that no URL needs can be under way.
    assert!(fixture.calls(Operation::GetInvalidation) - before <= 4);
}

#[tokio::test]
async fn without_the_invalidations_nothing_is_proven() {
    let fixture = account(0);
    fixture.standin.put_object(BUCKET, "a.html", "new");
    invalidate(&fixture, FIRST, 1, &["/a.html"]).await;
    fixture.standin.advance(Duration::from_secs(1));
    cache(&fixture, &[(HOST, "/a.html")]);
    let url = format!("https://{HOST}/a.html");
    let id = fixture.first_id();
    for (operation, action) in [
        (Operation::ListInvalidations, "cloudfront:ListInvalidations"),
        (Operation::GetInvalidation, "cloudfront:GetInvalidation"),
    ] {
        fixture.standin.fail(operation, Fault::AccessDenied, 1);
        let report = verify(&fixture, &[FIRST], &["/a.html"]).await;
        assert_eq!(verdicts(&report), [(url.as_str(), "unknown", None)]);
        let denial = denial_with_statement("AccessDenied", action, &distribution_arn(FIRST));
        assert_eq!(
            report.notes,
            [format!("{FIRST}: no invalidation is known: {denial}")]
        );
    }
    let report = verify(&fixture, &[FIRST], &["/a.html"]).await;
    assert_eq!(
        verdicts(&report),
        [(url.as_str(), "fresh", Some(id.as_str()))]
    );
}

#[tokio::test]
async fn what_has_no_page_is_named_and_so_is_a_distribution_that_does_not_respond() {
    let fixture = account(0);
    fixture.standin.put_object(BUCKET, "blog/", "a page");
    invalidate(&fixture, FIRST, 1, &["/*"]).await;
    let get = Operation::GetDistribution;
    fixture.standin.fail_for(SECOND, get, Fault::Hang, ALWAYS);
    let report = verify(&fixture, &[FIRST, SECOND], &["/blog/*", "/shop/*", "#tag"]).await;
    let id = fixture.first_id();
    let blog = format!("https://{HOST}/blog/");
    assert_eq!(
        verdicts(&report),
        [(blog.as_str(), "fresh", Some(id.as_str()))]
    );
    assert_eq!(
        report.notes,
        [
            format!(
                "{SECOND} is not verified: CloudFront did not respond in time; {FIRST}: no page is known under \
                 /shop/*, so nothing is verified there: name pages"
            ),
            "cache tags have no URLs: name paths that have the tags".to_owned(),
        ]
    );
}
