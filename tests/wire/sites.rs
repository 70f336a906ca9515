//! Whole answers of CloudFront, read by the real SDK, become sites; and sites become paths.
//!
//! `tests/distributions` holds the documents: as complete as CloudFront sends them, but for `bare`, which holds what
//! the API's model requires and nothing else. Each distribution stands in the list and has a configuration of its own.

use std::time::Duration;

use aws_sdk_cloudfront::Client;
use cloudfront_invalidator::aws::Account;
use cloudfront_invalidator::aws::sites::{Found, site, sites_of_bucket};
use cloudfront_invalidator::distribution::DistributionId;
use cloudfront_invalidator::failure::{Cause, Failure};
use cloudfront_invalidator::site::{
    CacheBehavior, CustomErrorResponse, IndexDocuments, Origin, OriginGroup, QueryStrings, Serving,
    Site,
};

use crate::bed::Bed;
use crate::standin::{Fault, Operation, Options};

const LEGACY: &str = "E1EXAMPLE1ABC";
const WEBSITE: &str = "E2EXAMPLE1ABC";
const DISABLED: &str = "E3EXAMPLE1ABC";
const ORIGIN_GROUPS: &str = "E5EXAMPLE1ABC";
const BARE: &str = "E6EXAMPLE1ABC";
const SINGLE_PAGE: &str = "E7EXAMPLE1ABC";

const CACHE_POLICY: &str = "cache-policy/2766f7b2-75c5-41c6-8f06-bf4303a2f2f5";

/// More than the SDK tries.
const ALWAYS: u64 = 9;

macro_rules! document {
    ($name:literal) => {
        include_str!(concat!("../distributions/", $name, ".xml"))
    };
}

/// An account whose distributions fill two pages.
fn account() -> Options {
    let config = |id: &str| format!("distribution/{id}/config");
    Options::default()
        .with_document("distribution", document!("list"))
        .with_document("distribution?Marker=E4EXAMPLE1ABC", document!("list-2"))
        .with_document(&config(LEGACY), document!("legacy"))
        .with_document(&config(WEBSITE), document!("website"))
        .with_document(&config(DISABLED), document!("disabled"))
        .with_document(&config(ORIGIN_GROUPS), document!("origin-groups"))
        .with_document(&config(BARE), document!("bare"))
        .with_document(&config(SINGLE_PAGE), document!("single-page"))
        .with_document(CACHE_POLICY, document!("cache-policy"))
}

fn owner() -> Account {
    Account::of_arn("arn:aws:lambda:eu-west-1:111122223333:function:invalidator")
}

fn id(text: &str) -> DistributionId {
    DistributionId::parse(text).expect("an id")
}

async fn found_on(bed: &Bed, bucket: &str) -> Result<Found, Failure> {
    sites_of_bucket(&Client::new(&bed.sdk()), &owner(), bucket).await
}

async fn found(bucket: &str) -> Vec<Site> {
    let found = found_on(&Bed::with(account()), bucket).await;
    let found = found.expect("sites");
    assert_eq!(found.warnings, []);
    found.sites
}

async fn read_on(bed: &Bed, one: &str) -> Result<Site, Failure> {
    site(&Client::new(&bed.sdk()), &owner(), &id(one)).await
}

async fn read(one: &str) -> Site {
    read_on(&Bed::with(account()), one).await.expect("a site")
}

fn ids(sites: &[Site]) -> Vec<&str> {
    sites.iter().map(|site| site.id.as_str()).collect()
}

/// The paths, or why there are none, and what is said of them.
fn told(site: &Site, bucket: &str, key: &str) -> (String, String) {
    match site.serving(bucket, key, IndexDocuments::Auto) {
        Serving::Served { paths, why } => {
            let paths: Vec<_> = paths.iter().map(ToString::to_string).collect();
            let why: Vec<_> = why.iter().map(ToString::to_string).collect();
            (paths.join(" "), why.join("; "))
        }
        Serving::NotServed(reason) => (reason.to_string(), String::new()),
    }
}

fn assert_told(site: &Site, bucket: &str, table: &[(&str, &str, &str)]) {
    for (key, paths, why) in table {
        let told = told(site, bucket, key);
        assert_eq!((told.0.as_str(), told.1.as_str()), (*paths, *why), "{key}");
    }
}

#[tokio::test]
async fn finds_every_distribution_of_a_bucket_on_every_page_and_reads_no_other() {
    for (bucket, sites) in [
        ("site", vec![LEGACY, WEBSITE, DISABLED, ORIGIN_GROUPS, BARE]),
        ("site-replica", vec![ORIGIN_GROUPS]),
        ("app", vec![SINGLE_PAGE]),
        ("unknown", vec![]),
    ] {
        assert_eq!(ids(&found(bucket).await), sites, "{bucket}");
    }
    let bed = Bed::with(account());
    found_on(&bed, "app").await.expect("sites");
    assert_eq!(
        bed.standin.calls(),
        [
            Operation::ListDistributions,
            Operation::ListDistributions,
            Operation::GetDistributionConfig
        ]
    );
    let bed = Bed::with(Options::default().with_document("distribution", document!("list-empty")));
    let none = Found {
        sites: vec![],
        warnings: vec![],
    };
    assert_eq!(found_on(&bed, "site").await, Ok(none));
}

#[tokio::test]
async fn reads_a_configuration_whole() {
    let behavior = |pattern: &str, target: &str, request_function, query_strings| CacheBehavior {
        path_pattern: pattern.into(),
        target_origin_id: target.into(),
        request_function,
        query_strings,
    };
    let origin = |id: &str, domain_name: &str, origin_path: &str| Origin {
        id: id.into(),
        domain_name: domain_name.into(),
        origin_path: origin_path.into(),
    };
    let whole = Site {
        id: id(ORIGIN_GROUPS),
        enabled: true,
        aliases: vec!["docs.example.com".into()],
        origins: vec![
            origin("api", "api.example.com", ""),
            origin("site-live", "site.s3.eu-west-1.amazonaws.com", "/prod"),
            origin(
                "site-replica",
                "site-replica.s3.eu-central-1.amazonaws.com",
                "/prod",
            ),
        ],
        origin_groups: vec![OriginGroup {
            id: "live-or-replica".into(),
            members: vec!["site-live".into(), "site-replica".into()],
        }],
        cache_behaviors: vec![
            behavior("/api/*", "api", false, QueryStrings::Ignored),
            // A function at the viewer's response sees no request.
            behavior("/assets/*", "site-live", false, QueryStrings::Ignored),
            behavior("/download/*", "site-live", false, QueryStrings::InCacheKey),
            behavior("*", "live-or-replica", true, QueryStrings::Ignored),
        ],
        default_root_object: Some("index.html".into()),
        custom_error_responses: vec![CustomErrorResponse {
            error_code: 403,
            response_page_path: None,
            response_code: None,
            error_caching_min_ttl: Some(Duration::from_secs(10)),
        }],
    };
    assert_eq!(read(ORIGIN_GROUPS).await, whole);
    assert_eq!(found("site-replica").await, [whole]);
    let bare = Site {
        id: id(BARE),
        enabled: true,
        aliases: vec![],
        origins: vec![origin("site", "site.s3.amazonaws.com", "")],
        origin_groups: vec![],
        cache_behaviors: vec![behavior("*", "site", false, QueryStrings::Ignored)],
        default_root_object: None,
        custom_error_responses: vec![],
    };
    assert_eq!(read(BARE).await, bare);
    // Where there is none, CloudFront sends empty elements.
    let responses = read(LEGACY).await.custom_error_responses;
    let response = |error_code, page: Option<&str>, code: Option<&str>, kept| CustomErrorResponse {
        error_code,
        response_page_path: page.map(Into::into),
        response_code: code.map(Into::into),
        error_caching_min_ttl: Some(Duration::from_secs(kept)),
    };
    let not_found = response(404, Some("/errors/404.html"), Some("404"), 300);
    assert_eq!(responses, [not_found, response(500, None, None, 0)]);
    assert_eq!(read(WEBSITE).await.default_root_object, None);
}

#[tokio::test]
async fn a_distribution_of_old_gives_its_paths() {
    assert_told(
        &read(LEGACY).await,
        "site",
        &[
            ("about.html", "/about.html", ""),
            (
                "index.html",
                "/index.html /",
                "index.html is also / (default root object)",
            ),
            ("blog/index.html", "/blog/index.html", ""),
            (
                "search/index.html",
                "/search/index.html*",
                "search/index.html is cached by query string",
            ),
            (
                "contact.php",
                "/contact.php*",
                "contact.php is cached by query string",
            ),
            // Lambda@Edge at the origin's request; a pattern without its slash.
            (
                "help/index.html",
                "/help/index.html /help/",
                "help/index.html is also /help/ (function)",
            ),
            (
                "errors/404.html",
                "/*",
                "errors/404.html is an error page kept 300 s: widened to /*",
            ),
        ],
    );
}

#[tokio::test]
async fn a_website_endpoint_gives_its_paths() {
    let why = "prod/blog/index.html is cached by query string; \
               prod/blog/index.html is also /blog/ and /blog (website endpoint)";
    assert_told(
        &read(WEBSITE).await,
        "site",
        &[
            (
                "prod/a.css",
                "/a.css*",
                "prod/a.css is cached by query string",
            ),
            (
                "prod/blog/index.html",
                "/blog/index.html* /blog/ /blog/?* /blog /blog?*",
                why,
            ),
            ("index.html", "outside origin path /prod", ""),
        ],
    );
}

#[tokio::test]
async fn an_origin_group_beside_an_api_gives_its_paths() {
    let site = read(ORIGIN_GROUPS).await;
    for bucket in ["site", "site-replica"] {
        assert_told(
            &site,
            bucket,
            &[
                (
                    "prod/about.html",
                    "/about.html /about",
                    "prod/about.html is also /about (function)",
                ),
                ("about.html", "outside origin path /prod", ""),
                (
                    "prod/api/x.json",
                    "routed to origin api by path pattern /api/*",
                    "",
                ),
            ],
        );
    }
    assert_told(
        &site,
        "site",
        &[
            ("prod/assets/about.html", "/assets/about.html", ""),
            (
                "prod/download/a.zip",
                "/download/a.zip*",
                "prod/download/a.zip is cached by query string",
            ),
        ],
    );
    // The replica stands in for the pages only.
    assert_told(
        &site,
        "site-replica",
        &[(
            "prod/assets/a.css",
            "routed to origin site-live by path pattern /assets/*",
            "",
        )],
    );
}

#[tokio::test]
async fn a_single_page_application_is_under_every_path() {
    assert_told(
        &read(SINGLE_PAGE).await,
        "app",
        &[
            (
                "index.html",
                "/*",
                "index.html is shown with status 200 for 403: widened to /*",
            ),
            ("main.js", "/main.js", ""),
        ],
    );
}

#[tokio::test]
async fn each_distribution_of_a_bucket_gives_its_own_paths() {
    let sites = found("site").await;
    let told: Vec<_> = sites
        .iter()
        .map(|site| told(site, "site", "prod/index.html").0)
        .collect();
    assert_eq!(
        told,
        [
            "/prod/index.html",
            "/index.html* / /?*",
            "not served: the distribution is disabled",
            "/index.html /",
            "/prod/index.html",
        ]
    );
}

#[tokio::test]
async fn names_the_permission_to_list_distributions() {
    for fault in [Fault::AccessDenied, Fault::AccessDeniedBare] {
        let bed = Bed::with(account());
        bed.standin
            .fail(Operation::ListDistributions, fault, ALWAYS);
        assert_eq!(
            found_on(&bed, "site").await,
            Err(Failure::missing_permission(
                "cloudfront:ListDistributions",
                "*"
            )),
            "{fault:?}"
        );
        assert_eq!(bed.standin.calls().len(), 1);
    }
}

#[tokio::test]
async fn names_the_permission_to_read_a_distribution() {
    let missing = Failure::missing_permission(
        "cloudfront:GetDistributionConfig",
        "arn:aws:cloudfront::111122223333:distribution/E7EXAMPLE1ABC",
    );
    for fault in [Fault::AccessDenied, Fault::AccessDeniedBare] {
        let bed = Bed::with(account());
        bed.standin
            .fail(Operation::GetDistributionConfig, fault, ALWAYS);
        assert_eq!(
            read_on(&bed, SINGLE_PAGE).await,
            Err(missing.clone()),
            "{fault:?}"
        );
        // Of a bucket's distributions, the list tells all but the default root object.
        let found = found_on(&bed, "app").await.expect("sites");
        assert_eq!(found.sites, [read(SINGLE_PAGE).await]);
        let place = "E7EXAMPLE1ABC (its default root object is taken for index.html)";
        assert_eq!(found.warnings, [missing.clone().within(place)]);
        let found = found_on(&bed, "site-replica").await.expect("sites");
        assert_eq!(found.sites, [read(ORIGIN_GROUPS).await]);
    }
}

#[tokio::test]
async fn a_cache_policy_that_cannot_be_read_makes_wildcards() {
    let unreadable = Bed::with(account());
    unreadable
        .standin
        .fail(Operation::GetCachePolicy, Fault::AccessDenied, ALWAYS);
    let mut options = account();
    options.documents.remove(CACHE_POLICY);
    let missing = Bed::with(options);
    for bed in [unreadable, missing] {
        let site = read_on(&bed, WEBSITE).await.expect("a site");
        let why = "prod/a.css may be cached by query string (its cache policy cannot be read: allow cloudfront:GetCachePolicy)";
        assert_told(&site, "site", &[("prod/a.css", "/a.css*", why)]);
    }
}

#[tokio::test]
async fn asks_for_a_cache_policy_once_and_for_none_that_aws_manages() {
    let bed = Bed::with(account());
    found_on(&bed, "site").await.expect("sites");
    let asked = |operation| bed.calls(operation);
    assert_eq!(asked(Operation::GetDistributionConfig), 5);
    assert_eq!(asked(Operation::GetCachePolicy), 1);
}

#[tokio::test]
async fn a_distribution_deleted_since_it_was_listed_does_not_break_the_others() {
    let bed = Bed::with(account());
    bed.standin.fail(
        Operation::GetDistributionConfig,
        Fault::NoSuchDistribution,
        1,
    );
    let found = found_on(&bed, "site").await.expect("sites");
    assert_eq!(ids(&found.sites), [WEBSITE, DISABLED, ORIGIN_GROUPS, BARE]);
    bed.standin.fail(
        Operation::GetDistributionConfig,
        Fault::NoSuchDistribution,
        1,
    );
    assert_eq!(
        read_on(&bed, LEGACY).await,
        Err(Failure::mistake(
            "distribution E1EXAMPLE1ABC does not exist in this account: correct DISTRIBUTION_ID"
        ))
    );
}

#[tokio::test]
async fn says_what_cloudfront_did_not_tell() {
    for (operation, fault, cause, message) in [
        (
            Operation::ListDistributions,
            Fault::Throttling,
            Cause::Busy,
            "CloudFront did not tell its distributions (Throttling: Rate exceeded): try again",
        ),
        (
            Operation::ListDistributions,
            Fault::InvalidArgument,
            Cause::Mistake,
            "CloudFront refuses to tell its distributions: InvalidArgument: Your request contains one or more invalid \
             invalidation paths.",
        ),
        (
            Operation::GetDistributionConfig,
            Fault::InternalError,
            Cause::Unavailable,
            "CloudFront did not tell the configuration of E1EXAMPLE1ABC (InternalError: An internal error occurred.): \
             try again",
        ),
    ] {
        let bed = Bed::with(account());
        bed.standin.fail(operation, fault, ALWAYS);
        let failure = found_on(&bed, "site").await.expect_err("a fault");
        assert_eq!((failure.cause, failure.message.as_str()), (cause, message));
    }
}

#[tokio::test]
async fn a_marker_that_comes_again_ends_the_list() {
    let again = document!("list").replace("<Marker/>", "<Marker>E4EXAMPLE1ABC</Marker>");
    let mut options = account();
    options
        .documents
        .insert("distribution?Marker=E4EXAMPLE1ABC".into(), again);
    let bed = Bed::with(options);
    found_on(&bed, "app").await.expect("an end");
    assert_eq!(bed.calls(Operation::ListDistributions), 2);
}
