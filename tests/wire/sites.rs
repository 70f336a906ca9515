//! Complete responses of CloudFront, read by the real SDK, become sites, and sites become paths.
//!
//! The documents in `tests/distributions` are as complete as CloudFront's own. Only `bare` holds no more than the API's
//! model requires. Each distribution is in the list and has a configuration.

use std::time::Duration;

use cloudfront_invalidator::aws::cloudfront::{CloudFront, ListedSite, SiteReader};
use cloudfront_invalidator::distribution::DistributionId;
use cloudfront_invalidator::error::{Category, Error};
use cloudfront_invalidator::site::{
    CacheBehavior, CachedPaths, CustomErrorResponse, Features, IndexDocuments, Origin, OriginGroup,
    QueryStrings, Site,
};

use futures_util::future::join_all;

use crate::fixture::{
    ALWAYS, Fixture, account, configuration_with, denial_with_statement, distribution_arn,
};
use crate::standin::{Fault, Operation, Options};

const LEGACY: &str = "E1EXAMPLE1ABC";
const WEBSITE: &str = "E2EXAMPLE1ABC";
const DISABLED: &str = "E3EXAMPLE1ABC";
const ORIGIN_GROUPS: &str = "E5EXAMPLE1ABC";
const BARE: &str = "E6EXAMPLE1ABC";
const SINGLE_PAGE: &str = "E7EXAMPLE1ABC";

/// The faults of a denied call, and how an error names them.
const DENIALS: [(Fault, &str); 2] = [
    (Fault::AccessDenied, "AccessDenied"),
    (Fault::AccessDeniedBare, "HTTP status 403"),
];

const CACHE_POLICY: &str = "cache-policy/2766f7b2-75c5-41c6-8f06-bf4303a2f2f5";

macro_rules! document {
    ($name:literal) => {
        include_str!(concat!("../distributions/", $name, ".xml"))
    };
}

/// An account whose distributions fill two pages.
fn two_pages() -> Options {
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

fn id(text: &str) -> DistributionId {
    DistributionId::parse(text).expect("an id")
}

fn cloudfront(fixture: &Fixture) -> CloudFront {
    CloudFront::new(&fixture.sdk(), account())
}

/// Lists the distributions and reads those that have the bucket as an origin.
async fn find_sites(fixture: &Fixture, bucket: &str) -> Vec<Result<ListedSite, Error>> {
    let cloudfront = cloudfront(fixture);
    let listed = cloudfront.listed_distributions().await.expect("a list");
    let reader = SiteReader::new(&cloudfront);
    let of_bucket = listed
        .iter()
        .filter(|distribution| distribution.has_origin(bucket));
    let read = of_bucket.map(|distribution| reader.listed_site(distribution));
    join_all(read).await
}

async fn sites_of_bucket(bucket: &str) -> Vec<Site> {
    let found = find_sites(&Fixture::with(two_pages()), bucket).await;
    let site = |found: Result<ListedSite, Error>| {
        let ListedSite { site, denied } = found.expect("a site");
        assert_eq!(denied, None);
        site
    };
    found.into_iter().map(site).collect()
}

async fn read_site(fixture: &Fixture, distribution: &str) -> Result<Site, Error> {
    cloudfront(fixture).site(&id(distribution)).await
}

async fn site(distribution: &str) -> Site {
    let site = read_site(&Fixture::with(two_pages()), distribution).await;
    site.expect("a site")
}

fn ids(sites: &[Site]) -> Vec<&str> {
    sites.iter().map(|site| site.id.as_str()).collect()
}

/// Returns the paths with their reasons, or why the object is not cached.
fn cached_paths(site: &Site, bucket: &str, key: &str) -> (String, String) {
    match site.cached_paths(bucket, key, IndexDocuments::Auto) {
        CachedPaths::Cached { paths, reasons } => {
            let paths: Vec<_> = paths.iter().map(ToString::to_string).collect();
            let reasons: Vec<_> = reasons.iter().map(ToString::to_string).collect();
            (paths.join(" "), reasons.join("; "))
        }
        CachedPaths::NotCached(reason) => (reason.to_string(), String::new()),
    }
}

fn assert_cached_paths(site: &Site, bucket: &str, table: &[(&str, &str, &str)]) {
    for (key, paths, reasons) in table {
        let cached = cached_paths(site, bucket, key);
        assert_eq!(cached, (paths.to_string(), reasons.to_string()), "{key}");
    }
}

#[tokio::test]
async fn finds_the_distributions_of_a_bucket_on_all_pages_and_reads_no_other() {
    for (bucket, sites) in [
        ("site", vec![LEGACY, WEBSITE, DISABLED, ORIGIN_GROUPS, BARE]),
        ("site-replica", vec![ORIGIN_GROUPS]),
        ("app", vec![SINGLE_PAGE]),
        ("unknown", vec![]),
    ] {
        assert_eq!(ids(&sites_of_bucket(bucket).await), sites, "{bucket}");
    }
    let fixture = Fixture::with(two_pages());
    find_sites(&fixture, "app").await;
    assert_eq!(
        fixture.standin.calls(),
        [
            Operation::ListDistributions,
            Operation::ListDistributions,
            Operation::GetDistributionConfig
        ]
    );
    let fixture =
        Fixture::with(Options::default().with_document("distribution", document!("list-empty")));
    assert_eq!(find_sites(&fixture, "site").await, []);
}

fn behavior(
    path_pattern: &str,
    target_origin_id: &str,
    edge_function: bool,
    query_strings: QueryStrings,
) -> CacheBehavior {
    CacheBehavior {
        path_pattern: path_pattern.into(),
        target_origin_id: target_origin_id.into(),
        edge_function,
        query_strings,
    }
}

fn origin(id: &str, domain_name: &str, origin_path: &str) -> Origin {
    Origin {
        id: id.into(),
        domain_name: domain_name.into(),
        origin_path: origin_path.into(),
    }
}

/// Returns what `origin-groups.xml` holds.
fn origin_groups() -> Site {
    Site {
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
            // A function at the viewer response cannot rewrite requests.
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
        features: Features::default(),
    }
}

#[tokio::test]
async fn reads_all_parts_of_a_configuration() {
    assert_eq!(site(ORIGIN_GROUPS).await, origin_groups());
    assert_eq!(sites_of_bucket("site-replica").await, [origin_groups()]);
    let bare = Site {
        id: id(BARE),
        enabled: true,
        aliases: vec![],
        origins: vec![origin("site", "site.s3.amazonaws.com", "")],
        origin_groups: vec![],
        cache_behaviors: vec![behavior("*", "site", false, QueryStrings::Ignored)],
        default_root_object: None,
        custom_error_responses: vec![],
        features: Features::default(),
    };
    assert_eq!(site(BARE).await, bare);
    // CloudFront sends empty elements for what a response does not have.
    let responses = site(LEGACY).await.custom_error_responses;
    let response = |error_code, page: Option<&str>, code: Option<&str>, ttl| CustomErrorResponse {
        error_code,
        response_page_path: page.map(Into::into),
        response_code: code.map(Into::into),
        error_caching_min_ttl: Some(Duration::from_secs(ttl)),
    };
    let not_found = response(404, Some("/errors/404.html"), Some("404"), 300);
    assert_eq!(responses, [not_found, response(500, None, None, 0)]);
    assert_eq!(site(WEBSITE).await.default_root_object, None);
}

#[tokio::test]
async fn finds_the_paths_of_a_legacy_distribution() {
    assert_cached_paths(
        &site(LEGACY).await,
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
            // Lambda@Edge at the origin request; a path pattern without a leading slash.
            (
                "help/index.html",
                "/help/index.html /help/ /help/index",
                "help/index.html is also /help/ and /help/index (function)",
            ),
            (
                "errors/404.html",
                "/*",
                "errors/404.html is an error page that is cached for 300 s: widened to /*",
            ),
        ],
    );
}

#[tokio::test]
async fn finds_the_paths_of_a_website_endpoint() {
    let reasons = "prod/blog/index.html is cached by query string; \
               prod/blog/index.html is also /blog/ and /blog (website endpoint)";
    assert_cached_paths(
        &site(WEBSITE).await,
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
                reasons,
            ),
            ("index.html", "outside origin path /prod", ""),
        ],
    );
}

#[tokio::test]
async fn finds_the_paths_of_an_origin_group() {
    let site = site(ORIGIN_GROUPS).await;
    for bucket in ["site", "site-replica"] {
        assert_cached_paths(
            &site,
            bucket,
            &[
                (
                    "prod/about.html",
                    "/about.html /about",
                    "prod/about.html is also /about (function)",
                ),
                (
                    "about.html",
                    "/about.html /about",
                    "about.html is outside origin path /prod, but a function can choose another origin and path; about.html is \
                     also /about (function)",
                ),
                // Its cache behavior has no function.
                ("download/a.zip", "outside origin path /prod", ""),
                (
                    "prod/api/x.json",
                    "routed to origin api by path pattern /api/*",
                    "",
                ),
            ],
        );
    }
    assert_cached_paths(
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
    // The replica is in the origin group of the pages only.
    assert_cached_paths(
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
async fn invalidates_everything_of_a_single_page_application() {
    assert_cached_paths(
        &site(SINGLE_PAGE).await,
        "app",
        &[
            (
                "index.html",
                "/*",
                "index.html is shown with status 200 in place of 403: widened to /*",
            ),
            ("main.js", "/main.js", ""),
        ],
    );
}

#[tokio::test]
async fn finds_the_paths_of_each_distribution_of_a_bucket() {
    let sites = sites_of_bucket("site").await;
    let paths = |site: &Site| cached_paths(site, "site", "prod/index.html").0;
    assert_eq!(
        sites.iter().map(paths).collect::<Vec<_>>(),
        [
            "/prod/index.html",
            "/index.html* / /?*",
            "not cached, because the distribution is disabled",
            "/index.html / /index",
            "/prod/index.html",
        ]
    );
}

#[tokio::test]
async fn names_the_permission_to_list_distributions() {
    for (fault, code) in DENIALS {
        let fixture = Fixture::with(two_pages());
        fixture
            .standin
            .fail(Operation::ListDistributions, fault, ALWAYS);
        let listed = cloudfront(&fixture).listed_distributions().await;
        let error = listed.expect_err("a denial");
        assert_eq!(error.category(), Category::Permission);
        assert_eq!(
            error.to_string(),
            denial_with_statement(code, "cloudfront:ListDistributions", "*")
        );
        assert_eq!(fixture.standin.calls().len(), 1);
    }
}

#[tokio::test]
async fn names_the_permission_to_read_a_distribution() {
    for (fault, code) in DENIALS {
        let denied = denial_with_statement(
            code,
            "cloudfront:GetDistributionConfig",
            &distribution_arn(SINGLE_PAGE),
        );
        let fixture = Fixture::with(two_pages());
        fixture
            .standin
            .fail(Operation::GetDistributionConfig, fault, ALWAYS);
        let error = read_site(&fixture, SINGLE_PAGE)
            .await
            .expect_err("a denial");
        assert_eq!(error.category(), Category::Permission);
        assert_eq!(error.to_string(), denied);
        // The list of distributions has all parts of a configuration except the default root object.
        let found = find_sites(&fixture, "app").await;
        let [
            Ok(ListedSite {
                site: app,
                denied: Some(error),
            }),
        ] = &found[..]
        else {
            panic!("not the list's configuration but {found:#?}");
        };
        assert_eq!(*app, site(SINGLE_PAGE).await);
        assert_eq!(
            error.to_string(),
            format!("index.html is assumed to be the default root object: {denied}")
        );
        let found = find_sites(&fixture, "site-replica").await;
        let [
            Ok(ListedSite {
                site: docs,
                denied: Some(_),
            }),
        ] = &found[..]
        else {
            panic!("not the list's configuration but {found:#?}");
        };
        assert_eq!(*docs, site(ORIGIN_GROUPS).await);
    }
}

#[tokio::test]
async fn uses_wildcards_when_a_cache_policy_cannot_be_read() {
    let failing = |fault| {
        let fixture = Fixture::with(two_pages());
        let standin = &fixture.standin;
        standin.fail(Operation::GetCachePolicy, fault, ALWAYS);
        fixture
    };
    let mut options = two_pages();
    options.documents.remove(CACHE_POLICY);
    let denied = "its cache policy cannot be read, which needs cloudfront:GetCachePolicy";
    let unreadable = "its cache policy could not be read now";
    for (fixture, reason) in [
        (failing(Fault::AccessDenied), denied),
        (failing(Fault::AccessDeniedBare), denied),
        (failing(Fault::Throttling), unreadable),
        (failing(Fault::InternalError), unreadable),
        (Fixture::with(options), unreadable),
    ] {
        let site = read_site(&fixture, WEBSITE).await.expect("a site");
        let reason = format!("prod/a.css may be cached by query string ({reason})");
        assert_cached_paths(&site, "site", &[("prod/a.css", "/a.css*", &reason)]);
        assert_eq!(site.has_unreadable_cache_policy(), reason.contains("now"));
    }
}

#[tokio::test]
async fn reads_a_cache_policy_once_and_none_that_aws_manages() {
    let fixture = Fixture::with(two_pages());
    find_sites(&fixture, "site").await;
    assert_eq!(fixture.calls(Operation::GetDistributionConfig), 5);
    assert_eq!(fixture.calls(Operation::GetCachePolicy), 1);
}

#[tokio::test]
async fn reads_what_concerns_the_distribution_as_a_whole() {
    let all = "<Staging>true</Staging><ContinuousDeploymentPolicyId>policy</ContinuousDeploymentPolicyId>\
               <ConnectionMode>tenant-only</ConnectionMode><CacheTagConfig><HeaderName>cache-tag</HeaderName></CacheTagConfig>";
    let empty = "<ContinuousDeploymentPolicyId/><ConnectionMode>direct</ConnectionMode><CacheTagConfig><HeaderName/>\
                 </CacheTagConfig>";
    let every = Features {
        cache_tag_header: Some("cache-tag".into()),
        continuous_deployment_policy: Some("policy".into()),
        staging: true,
        tenants_only: true,
    };
    for (elements, features) in [(all, every), (empty, Features::default())] {
        let path = format!("distribution/{LEGACY}/config");
        let options = Options::default().with_document(&path, &configuration_with(elements));
        let fixture = Fixture::with(options);
        let site = read_site(&fixture, LEGACY).await.expect("a site");
        assert_eq!(site.features, features);
    }
}

#[tokio::test]
async fn names_a_distribution_that_does_not_exist() {
    let fixture = Fixture::with(two_pages());
    fixture.standin.fail(
        Operation::GetDistributionConfig,
        Fault::NoSuchDistribution,
        1,
    );
    let error = read_site(&fixture, LEGACY).await.expect_err("no site");
    assert_eq!(error.category(), Category::InvalidInput);
    assert_eq!(
        error.to_string(),
        "distribution E1EXAMPLE1ABC does not exist in this account (NoSuchDistribution: The specified distribution does \
         not exist.): correct DISTRIBUTION_ID, the action's UserParameters or the event's \"distribution\""
    );
}

#[tokio::test]
async fn names_what_cannot_be_read() {
    for (operation, fault, category, message) in [
        (
            Operation::ListDistributions,
            Fault::Throttling,
            Category::Throttled,
            "could not list the distributions now: Throttling: Rate exceeded; try again in a minute",
        ),
        (
            Operation::ListDistributions,
            Fault::InvalidArgument,
            Category::InvalidInput,
            "CloudFront rejected the request to list the distributions: InvalidArgument: Your request contains one or \
             more invalid invalidation paths.",
        ),
        (
            Operation::GetDistributionConfig,
            Fault::InternalError,
            Category::Unavailable,
            "could not read the configuration of E1EXAMPLE1ABC: InternalError: An internal error occurred.; try again",
        ),
    ] {
        let fixture = Fixture::with(two_pages());
        fixture.standin.fail(operation, fault, ALWAYS);
        let error = match operation {
            Operation::ListDistributions => cloudfront(&fixture).listed_distributions().await.err(),
            _ => read_site(&fixture, LEGACY).await.err(),
        };
        let error = error.expect("an error");
        assert_eq!(
            (error.category(), error.to_string().as_str()),
            (category, message)
        );
    }
}

#[tokio::test]
async fn ends_the_list_when_a_marker_repeats() {
    let repeated = document!("list").replace("<Marker/>", "<Marker>E4EXAMPLE1ABC</Marker>");
    let mut options = two_pages();
    options
        .documents
        .insert("distribution?Marker=E4EXAMPLE1ABC".into(), repeated);
    let fixture = Fixture::with(options);
    find_sites(&fixture, "app").await;
    assert_eq!(fixture.calls(Operation::ListDistributions), 2);
}
