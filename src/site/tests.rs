//! The rules of a site as tables: the paths under which an object can be cached, and the reasons.

use proptest::prelude::*;

use super::*;

/// A distribution with one origin, the bucket `site`, and nothing special.
fn site() -> Site {
    Site {
        id: DistributionId::parse("E1EXAMPLE1ABC").expect("an id"),
        enabled: true,
        aliases: vec!["www.example.com".into()],
        origins: vec![origin("bucket", "site.s3.eu-west-1.amazonaws.com", "")],
        origin_groups: vec![],
        cache_behaviors: vec![behavior("*", "bucket")],
        default_root_object: None,
        features: Features::default(),
        custom_error_responses: vec![],
    }
}

/// The same with the bucket's website endpoint.
fn website() -> Site {
    let domain_name = "site.s3-website-eu-west-1.amazonaws.com";
    Site {
        origins: vec![origin("bucket", domain_name, "")],
        ..site()
    }
}

/// The same with a function that sees every request.
fn with_function() -> Site {
    let mut site = site();
    site.cache_behaviors[0].edge_function = true;
    site
}

fn with_origin_path(origin_path: &str) -> Site {
    let mut site = site();
    site.origins[0].origin_path = origin_path.into();
    site
}

fn with_root(default_root_object: &str) -> Site {
    Site {
        default_root_object: Some(default_root_object.into()),
        ..site()
    }
}

/// A bucket beside an API: these path patterns, in this order, lead to the API, and the rest to the bucket.
fn beside_api(path_patterns: &[&str]) -> Site {
    let api = path_patterns.iter().map(|pattern| behavior(pattern, "api"));
    let mut site = site();
    // The bucket is not the first origin.
    site.origins.insert(0, origin("api", "api.example.com", ""));
    site.cache_behaviors.splice(0..0, api.collect::<Vec<_>>());
    site
}

fn origin(id: &str, domain_name: &str, origin_path: &str) -> Origin {
    Origin {
        id: id.into(),
        domain_name: domain_name.into(),
        origin_path: origin_path.into(),
    }
}

fn behavior(path_pattern: &str, target_origin_id: &str) -> CacheBehavior {
    CacheBehavior {
        path_pattern: path_pattern.into(),
        target_origin_id: target_origin_id.into(),
        edge_function: false,
        query_strings: QueryStrings::Ignored,
    }
}

fn error_response(
    page: &str,
    error_code: i32,
    code: &str,
    kept: Option<u64>,
) -> CustomErrorResponse {
    CustomErrorResponse {
        error_code,
        response_page_path: Some(page.into()).filter(|_| !page.is_empty()),
        response_code: Some(code.into()).filter(|_| !code.is_empty()),
        error_caching_min_ttl: kept.map(Duration::from_secs),
    }
}

fn cached_paths(site: &Site, key: &str) -> CachedPaths {
    site.cached_paths("site", key, IndexDocuments::Auto)
}

/// The paths, or the reason why there are none.
fn texts(cached_paths: &CachedPaths) -> Vec<String> {
    match cached_paths {
        CachedPaths::Cached { paths, .. } => paths.iter().map(ToString::to_string).collect(),
        CachedPaths::NotCached(reason) => vec![reason.to_string()],
    }
}

fn paths(site: &Site, key: &str) -> Vec<String> {
    texts(&cached_paths(site, key))
}

fn reasons(site: &Site, key: &str) -> Vec<String> {
    match cached_paths(site, key) {
        CachedPaths::Cached { reasons, .. } => reasons.iter().map(ToString::to_string).collect(),
        CachedPaths::NotCached(reason) => panic!("{key}: {reason}"),
    }
}

#[test]
fn an_object_is_cached_under_its_key() {
    for (key, sent) in [
        ("about.html", vec!["/about.html"]),
        ("css/site.css", vec!["/css/site.css"]),
        ("my page.html", vec!["/my%20page.html", "/my+page.html"]),
        // A folder that the S3 console created.
        ("photos/", vec!["/photos/"]),
        // Nothing rewrites paths, so these are not index documents.
        ("index.html", vec!["/index.html"]),
        ("blog/index.html", vec!["/blog/index.html"]),
    ] {
        assert_eq!(paths(&site(), key), sent, "{key}");
        assert_eq!(reasons(&site(), key), [""; 0], "{key}");
    }
}

#[test]
fn a_wildcard_for_an_uncertain_spelling_has_a_reason() {
    assert_eq!(paths(&site(), "runtime~main.js"), ["/runtime*"]);
    assert_eq!(
        reasons(&site(), "runtime~main.js"),
        ["\"/runtime~main.js\" widened to /runtime*: CloudFront refuses ~"]
    );
}

#[test]
fn recognises_a_bucket_by_every_form_of_its_domain_name() {
    use Endpoint::{Rest, Website};
    for (domain_name, bucket, endpoint) in [
        ("site.s3.amazonaws.com", "site", Some(Rest)),
        ("site.s3.eu-west-1.amazonaws.com", "site", Some(Rest)),
        ("site.s3-eu-west-1.amazonaws.com", "site", Some(Rest)),
        ("site.s3-external-1.amazonaws.com", "site", Some(Rest)),
        ("site.s3.us-gov-west-1.amazonaws.com", "site", Some(Rest)),
        (
            "site.s3.dualstack.eu-west-1.amazonaws.com",
            "site",
            Some(Rest),
        ),
        ("site.s3-fips.us-east-1.amazonaws.com", "site", Some(Rest)),
        (
            "site.s3-fips.dualstack.us-east-1.amazonaws.com",
            "site",
            Some(Rest),
        ),
        ("site.s3-accelerate.amazonaws.com", "site", Some(Rest)),
        (
            "site.s3-accelerate.dualstack.amazonaws.com",
            "site",
            Some(Rest),
        ),
        ("site.s3.cn-north-1.amazonaws.com.cn", "site", Some(Rest)),
        (
            "site.s3-website-eu-west-1.amazonaws.com",
            "site",
            Some(Website),
        ),
        (
            "site.s3-website.eu-central-1.amazonaws.com",
            "site",
            Some(Website),
        ),
        (
            "site.s3-website.cn-north-1.amazonaws.com.cn",
            "site",
            Some(Website),
        ),
        (
            "www.example.com.s3.amazonaws.com",
            "www.example.com",
            Some(Rest),
        ),
        ("Site.S3.EU-West-1.AmazonAWS.com", "site", Some(Rest)),
        ("oldsite.s3.amazonaws.com", "OldSite", Some(Rest)),
        // One bucket's name starts or ends like another's.
        ("site.s3.s3.amazonaws.com", "site", None),
        ("site.s3.s3.amazonaws.com", "site.s3", Some(Rest)),
        ("site.s3.s3-eu-west-1.amazonaws.com", "site", None),
        ("site.s3.s3-website-eu-west-1.amazonaws.com", "site", None),
        (
            "site.s3-website.s3-website-eu-west-1.amazonaws.com",
            "site",
            None,
        ),
        (
            "site.s3-website.s3-website-eu-west-1.amazonaws.com",
            "site.s3-website",
            Some(Website),
        ),
        ("site.dualstack.s3.eu-west-1.amazonaws.com", "site", None),
        ("site-2.s3.amazonaws.com", "site", None),
        ("my-site.s3.amazonaws.com", "site", None),
        ("my.site.s3.amazonaws.com", "site", None),
        // Not a bucket.
        ("site.example.com", "site", None),
        ("site", "site", None),
        ("sites3.amazonaws.com", "site", None),
        ("site.s3.eu-.amazonaws.com", "site", None),
        ("site.amazonaws.com", "site", None),
        ("site.s3.amazonaws.com.example.com", "site", None),
        ("site.s3.eu-west-1.example.com", "site", None),
        ("site.s3x.amazonaws.com", "site", None),
        ("site.s3..amazonaws.com", "site", None),
        ("site.s3-website.amazonaws.com", "site", None),
        ("site.execute-api.eu-west-1.amazonaws.com", "site", None),
        (
            "site.s3-object-lambda.eu-west-1.amazonaws.com",
            "site",
            None,
        ),
        // The domain name of an access point contains its own name and account, not the bucket.
        (
            "site-111122223333.s3-accesspoint.eu-west-1.amazonaws.com",
            "site-111122223333",
            None,
        ),
    ] {
        let origin = origin("bucket", domain_name, "");
        assert_eq!(
            origin.endpoint_of(bucket),
            endpoint,
            "{bucket} in {domain_name}"
        );
    }
}

#[test]
fn the_domain_name_of_a_rest_endpoint_names_the_bucket_and_its_region() {
    for (domain_name, expected) in [
        ("site.s3.amazonaws.com", Some(("site", None))),
        (
            "site.s3.eu-west-1.amazonaws.com",
            Some(("site", Some("eu-west-1"))),
        ),
        (
            "site.s3-eu-west-1.amazonaws.com",
            Some(("site", Some("eu-west-1"))),
        ),
        (
            "site.s3-external-1.amazonaws.com",
            Some(("site", Some("us-east-1"))),
        ),
        (
            "site.s3-fips-us-gov-west-1.amazonaws.com",
            Some(("site", Some("us-gov-west-1"))),
        ),
        (
            "site.s3.dualstack.eu-west-1.amazonaws.com",
            Some(("site", Some("eu-west-1"))),
        ),
        (
            "site.s3-fips.us-east-1.amazonaws.com",
            Some(("site", Some("us-east-1"))),
        ),
        (
            "site.s3-fips.dualstack.us-east-1.amazonaws.com",
            Some(("site", Some("us-east-1"))),
        ),
        ("site.s3-accelerate.amazonaws.com", Some(("site", None))),
        (
            "site.s3-accelerate.dualstack.amazonaws.com",
            Some(("site", None)),
        ),
        (
            "site.s3.cn-north-1.amazonaws.com.cn",
            Some(("site", Some("cn-north-1"))),
        ),
        (
            "www.example.com.s3.eu-west-1.amazonaws.com",
            Some(("www.example.com", Some("eu-west-1"))),
        ),
        (
            "Site.S3.EU-West-1.AmazonAWS.com",
            Some(("site", Some("eu-west-1"))),
        ),
        ("site.s3.s3.amazonaws.com", Some(("site.s3", None))),
        (
            "site.s3.s3-eu-west-1.amazonaws.com",
            Some(("site.s3", Some("eu-west-1"))),
        ),
        (
            "site.dualstack.s3.eu-west-1.amazonaws.com",
            Some(("site.dualstack", Some("eu-west-1"))),
        ),
        // Not the REST endpoint of a bucket.
        ("site.s3-website-eu-west-1.amazonaws.com", None),
        ("site.s3-website.eu-central-1.amazonaws.com", None),
        (ACCESS_POINT, None),
        ("site--ol-s3.s3.eu-west-1.amazonaws.com", None),
        (
            "site-111122223333.s3-accesspoint.eu-west-1.amazonaws.com",
            None,
        ),
        ("site.s3-object-lambda.eu-west-1.amazonaws.com", None),
        ("alias.mrap.accesspoint.s3-global.amazonaws.com", None),
        ("s3.eu-west-1.amazonaws.com", None),
        (".s3.amazonaws.com", None),
        ("site.s3.eu-west-1.example.com", None),
        ("www.example.com", None),
    ] {
        let expected = expected.map(|(name, region)| BucketName {
            name: name.to_owned(),
            region: region.map(str::to_owned),
        });
        let origin = origin("bucket", domain_name, "");
        assert_eq!(origin.rest_bucket(), expected, "{domain_name}");
    }
}

proptest! {
    #[test]
    fn does_not_mistake_a_bucket_for_another(labels in prop::collection::vec(0..9_usize, 2..6), label_count in 1..5_usize, form in 0..7_usize) {
        const LABELS: [&str; 9] = [
            "site", "s3", "s3-website", "s3-eu-west-1", "dualstack", "eu-west-1", "amazonaws", "com", "s3-fips",
        ];
        const FORMS: [&str; 7] = [
            "s3", "s3.eu-west-1", "s3-eu-west-1", "s3.dualstack.eu-west-1", "s3-website-eu-west-1",
            "s3-website.eu-west-1", "s3-accelerate",
        ];
        let labels: Vec<_> = labels.into_iter().map(|at| LABELS[at]).collect();
        let bucket = labels.join(".");
        let shorter = labels[..label_count.min(labels.len() - 1)].join(".");
        let origin = origin("bucket", &format!("{bucket}.{}.amazonaws.com", FORMS[form]), "");
        prop_assert!(origin.endpoint_of(&bucket).is_some());
        prop_assert_eq!(origin.endpoint_of(&shorter), None, "{} is not {}", origin.domain_name, shorter);
    }
}

/// The bucket's alias of an access point, or a server in front of the bucket.
fn with_domain_name(domain_name: &str, origin_path: &str) -> Site {
    Site {
        origins: vec![origin("bucket", domain_name, origin_path)],
        ..with_root("index.html")
    }
}

const ACCESS_POINT: &str =
    "site-ap-x1c7example9nt4kqe5tb2hnepheuse1a-s3alias.s3.eu-west-1.amazonaws.com";
const SERVER: &str = "origin.example.com";

#[test]
fn an_access_point_is_treated_as_the_bucket() {
    let site = with_domain_name(ACCESS_POINT, "/prod");
    for (key, expected) in [
        ("prod/index.html", vec!["/index.html", "/"]),
        ("prod/a.html", vec!["/a.html"]),
        ("prod/blog/index.html", vec!["/blog/index.html"]),
        ("a.html", vec!["outside origin path /prod"]),
    ] {
        assert_eq!(paths(&site, key), expected, "{key}");
    }
    assert_eq!(
        reasons(&site, "prod/a.html"),
        [format!(
            "origin {ACCESS_POINT} is treated as bucket site: it can be another name of the bucket, or a server that gets \
             its objects from there"
        )]
    );
    // It can be another access point of the same bucket.
    let mut site = with_domain_name(ACCESS_POINT, "");
    site.origins
        .push(origin("site", "site.s3.amazonaws.com", ""));
    assert_eq!(paths(&site, "a.html"), ["/a.html"]);
}

#[test]
fn a_server_may_take_the_origin_path_for_a_folder_and_add_index_documents() {
    let site = with_domain_name(SERVER, "/prod");
    for (key, expected) in [
        (
            "prod/index.html",
            vec![
                "/index.html",
                "/",
                "/index",
                "/prod/index.html",
                "/prod/",
                "/prod",
                "/prod/index",
            ],
        ),
        ("prod/a.css", vec!["/a.css", "/prod/a.css"]),
        ("about.html", vec!["/about.html", "/about"]),
    ] {
        assert_eq!(paths(&site, key), expected, "{key}");
    }
    assert_eq!(
        reasons(&site, "about.html"),
        [
            "about.html is also /about (server in front of the bucket)".to_owned(),
            format!(
                "origin {SERVER} is treated as bucket site: it can be another name of the bucket, or a server that gets its \
                 objects from there"
            )
        ]
    );
    // S3 takes the bucket from the path, which is the bucket and a folder of it here.
    let site = with_domain_name("s3.eu-west-1.amazonaws.com", "/site/prod");
    assert_eq!(paths(&site, "prod/a.css"), ["/a.css", "/prod/a.css"]);
    assert_eq!(
        paths(&site, "site/prod/a.css"),
        ["/a.css", "/site/prod/a.css"]
    );
    // Beside the bucket, only a host of S3 can be the bucket too.
    for (domain_name, expected) in [
        ("s3.eu-west-1.amazonaws.com", "/a.css"),
        (SERVER, "routed to origin other by path pattern *"),
    ] {
        let mut site = site.clone();
        site.origins = vec![
            origin("bucket", "site.s3.amazonaws.com", ""),
            origin("other", domain_name, ""),
        ];
        site.cache_behaviors = vec![behavior("*", "other")];
        assert_eq!(paths(&site, "a.css"), [expected], "{domain_name}");
    }
    // The rest of the configuration is used.
    let mut site = with_domain_name(SERVER, "");
    site.origins
        .push(origin("api", "other.s3.amazonaws.com", ""));
    site.cache_behaviors.insert(0, behavior("/api/*", "api"));
    assert_eq!(
        paths(&site, "api/a.css"),
        ["routed to origin api by path pattern /api/*"]
    );
    site.custom_error_responses = vec![error_response("/404.html", 404, "404", Some(300))];
    assert_eq!(paths(&site, "404.html"), ["/*"]);
}

#[test]
fn a_function_can_choose_another_origin_and_path() {
    let elsewhere = |function| {
        let mut site = beside_api(&["/api/*"]);
        site.origins[1].origin_path = "/blue".into();
        site.cache_behaviors[0].edge_function = function;
        site
    };
    let outside = |function| {
        let mut site = with_origin_path("/blue/v1");
        site.cache_behaviors[0].edge_function = function;
        site
    };
    for (site, key, expected) in [
        (
            elsewhere(false),
            "blue/api/a.js",
            vec!["routed to origin api by path pattern /api/*"],
        ),
        (elsewhere(true), "blue/api/a.js", vec!["/api/a.js"]),
        // The path has a cache behavior without a function.
        (
            elsewhere(true),
            "green/a.js",
            vec!["outside origin path /blue"],
        ),
        (
            outside(false),
            "green/v2/a.js",
            vec!["outside origin path /blue/v1"],
        ),
        (outside(true), "green/v2/a.js", vec!["/green/v2/a.js"]),
        (outside(true), "green/a.js", vec!["/green/a.js"]),
    ] {
        assert_eq!(paths(&site, key), expected, "{key}");
    }
    // The function can add an index document, too.
    let site = outside(true);
    for (setting, expected) in [
        (
            IndexDocuments::Auto,
            vec!["/green/index.html", "/green/", "/green", "/green/index"],
        ),
        (IndexDocuments::Never, vec!["/green/index.html"]),
    ] {
        let cached = site.cached_paths("site", "green/index.html", setting);
        assert_eq!(texts(&cached), expected, "{setting:?}");
    }
    // One of the object's paths is routed to the bucket, its own path is not.
    let mut site = beside_api(&["*.html"]);
    site.default_root_object = Some("index.html".into());
    site.cache_behaviors[0].edge_function = true;
    assert_eq!(paths(&site, "index.html"), ["/", "/index.html"]);
    // An origin without a behavior: the object is routed by its own path, or by another one.
    let mut site = with_function();
    site.origins
        .push(origin("drafts", "site.s3.amazonaws.com", "/drafts"));
    assert_eq!(paths(&site, "blog/a.js"), ["/blog/a.js"]);
    site.origins[0].origin_path = "/blue".into();
    assert_eq!(paths(&site, "blue/a.js"), ["/a.js", "/blue/a.js"]);
    assert_eq!(
        reasons(&outside(true), "green/a.js"),
        [
            "green/a.js is outside origin path /blue/v1, but a function can choose another origin and path"
        ]
    );
}

#[test]
fn an_outdated_configuration_leaves_nothing_out() {
    let mut site = with_origin_path("/blue");
    site.default_root_object = Some("home.html".into());
    for (key, expected) in [
        (
            "blue/home.html",
            vec!["/home.html", "/", "/blue/home.html", "/blue/home", "/home"],
        ),
        (
            "green/blog/index.html",
            vec![
                "/green/blog/index.html",
                "/green/blog/",
                "/green/blog",
                "/green/blog/index",
                "/blog/index.html",
                "/blog/",
                "/blog",
                "/blog/index",
            ],
        ),
        ("a.css", vec!["/a.css"]),
    ] {
        let cached = site.cached_paths_if_outdated("site", key, IndexDocuments::Auto);
        assert_eq!(texts(&cached), expected, "{key}");
    }
    let cached = site.cached_paths_if_outdated("site", "blue/a.css", IndexDocuments::Never);
    assert_eq!(texts(&cached), ["/a.css", "/blue/a.css"]);
    // The rest of the configuration is likely to be as it was.
    site.cache_behaviors[0].query_strings = QueryStrings::InCacheKey;
    let outdated = |site: &Site, key| {
        let cached = site.cached_paths_if_outdated("site", key, IndexDocuments::Never);
        texts(&cached)
    };
    assert_eq!(
        outdated(&site, "green/home.html"),
        ["/green/home.html*", "/home.html*", "/", "/?*"]
    );
    site.custom_error_responses = vec![error_response("/404.html", 404, "404", Some(300))];
    assert_eq!(outdated(&site, "green/404.html"), ["/*"]);
}

#[test]
fn an_object_of_an_origin_group_can_come_from_another_bucket() {
    let group = |members: &[&str]| OriginGroup {
        id: "group".into(),
        members: members.iter().map(|id| (*id).to_owned()).collect(),
    };
    let mut site = site();
    site.origins
        .push(origin("folder", "site.s3.amazonaws.com", "/folder"));
    site.origins
        .push(origin("replica", "replica.s3.amazonaws.com", ""));
    for id in ["one", "two"] {
        let domain_name = format!("{id}-{ACCESS_POINT}");
        site.origins.push(origin(id, &domain_name, ""));
    }
    for (members, bucket, has_failover) in [
        (&["bucket", "replica"], "site", true),
        // Each can be the bucket or its replica.
        (&["one", "two"], "site", true),
        (&["bucket", "one"], "site", true),
        (&["bucket", "replica"], "replica", true),
        (&["bucket", "folder"], "site", false),
        (&["bucket", "folder"], "replica", false),
    ] {
        site.origin_groups = vec![group(members)];
        assert_eq!(
            site.has_failover(bucket),
            has_failover,
            "{bucket} in {members:?}"
        );
    }
}

#[test]
fn an_origin_that_is_not_s3_may_front_a_bucket() {
    for (domain_name, bucket, may) in [
        ("site.s3.eu-west-1.amazonaws.com", "site", true),
        ("www.site.s3.eu-west-1.amazonaws.com", "www.site", true),
        ("proxy.example.com", "site", true),
        (
            "site-111122223333.s3-accesspoint.eu-west-1.amazonaws.com",
            "site",
            true,
        ),
        ("s3.eu-west-1.amazonaws.com", "site", true),
        ("other.s3.eu-west-1.amazonaws.com", "site", false),
        ("other.s3-website-eu-west-1.amazonaws.com", "site", false),
        ("www.other.S3.amazonaws.com", "site", false),
    ] {
        let mut site = site();
        site.origins[0].domain_name = domain_name.into();
        assert_eq!(
            site.may_have_origin(bucket),
            may,
            "{bucket} in {domain_name}"
        );
        assert_eq!(
            site.has_s3_origin(),
            domain_name != "proxy.example.com",
            "{domain_name}"
        );
    }
}

#[test]
fn the_origin_path_is_not_part_of_the_path() {
    for (origin_path, key, expected) in [
        ("", "a.html", "/a.html"),
        ("/", "a.html", "/a.html"),
        ("/prod", "prod/a.html", "/a.html"),
        ("/prod/", "prod/a.html", "/a.html"),
        ("/prod", "prod/prod/a.html", "/prod/a.html"),
        ("/prod/v2", "prod/v2/a.html", "/a.html"),
        ("/my%20site", "my site/a.html", "/a.html"),
        // The folder itself, not everything.
        ("/prod", "prod/", "/"),
        ("/prod", "a.html", "outside origin path /prod"),
        ("/prod", "production/a.html", "outside origin path /prod"),
        ("/prod", "Prod/a.html", "outside origin path /prod"),
        ("/prod", "prod", "outside origin path /prod"),
        ("/prod", "old/prod/a.html", "outside origin path /prod"),
    ] {
        let site = with_origin_path(origin_path);
        assert_eq!(paths(&site, key), [expected], "{key} below {origin_path}");
    }
}

#[test]
fn every_origin_that_is_the_bucket_gives_its_paths() {
    let mut site = beside_api(&["/api/*"]);
    site.origins
        .push(origin("drafts", "site.s3.amazonaws.com", "/drafts"));
    site.origins
        .push(origin("other", "other.s3.amazonaws.com", ""));
    site.cache_behaviors
        .insert(0, behavior("/preview/*", "drafts"));
    for (key, expected) in [
        ("a.html", vec!["/a.html"]),
        // The key has an origin path, but the path is routed to the origin without one.
        ("drafts/a.html", vec!["/drafts/a.html"]),
        (
            "drafts/preview/a.html",
            vec!["/drafts/preview/a.html", "/preview/a.html"],
        ),
        (
            "preview/a.html",
            vec!["routed to origin drafts by path pattern /preview/*"],
        ),
    ] {
        assert_eq!(paths(&site, key), expected, "{key}");
    }
    assert_eq!(
        texts(&site.cached_paths("other", "a.html", IndexDocuments::Auto)),
        ["routed to origin bucket by path pattern *"],
        "an origin that no behavior uses"
    );
}

#[test]
fn two_distributions_on_one_bucket_each_get_their_own_paths() {
    let [blue, green, root] = ["/blue", "/green", ""].map(with_origin_path);
    for (key, on_blue, on_green, on_root) in [
        (
            "blue/a.html",
            "/a.html",
            "outside origin path /green",
            "/blue/a.html",
        ),
        (
            "green/a.html",
            "outside origin path /blue",
            "/a.html",
            "/green/a.html",
        ),
        (
            "a.html",
            "outside origin path /blue",
            "outside origin path /green",
            "/a.html",
        ),
    ] {
        assert_eq!(paths(&blue, key), [on_blue]);
        assert_eq!(paths(&green, key), [on_green]);
        assert_eq!(paths(&root, key), [on_root]);
    }
    let mut both = blue.clone();
    both.origins
        .push(origin("green", "site.s3.amazonaws.com", "/green"));
    assert_eq!(
        paths(&both, "a.html"),
        ["outside origin path /blue and /green"]
    );
}

#[test]
fn a_path_goes_where_the_first_matching_pattern_leads() {
    for (patterns, key, expected) in [
        (vec!["/api/*"], "a.html", "/a.html"),
        (
            vec!["/api/*"],
            "api/a.json",
            "routed to origin api by path pattern /api/*",
        ),
        (
            vec!["api/*"],
            "api/a.json",
            "routed to origin api by path pattern api/*",
        ),
        (vec!["/api/*"], "api", "/api"),
        (
            vec!["/api*"],
            "api",
            "routed to origin api by path pattern /api*",
        ),
        (vec!["/API/*"], "api/a.json", "/api/a.json"),
        (
            vec!["*.json"],
            "deep/down/a.json",
            "routed to origin api by path pattern *.json",
        ),
        (vec!["*.json"], "a.json.gz", "/a.json.gz"),
        (
            vec!["/v?/*"],
            "v1/a.json",
            "routed to origin api by path pattern /v?/*",
        ),
        (vec!["/v?/*"], "v10/a.json", "/v10/a.json"),
        (vec!["/v?/*"], "v/a.json", "/v/a.json"),
        (
            vec!["/a*b*c"],
            "axxbyybc",
            "routed to origin api by path pattern /a*b*c",
        ),
        (vec!["/a*b*c"], "axxbyybd", "/axxbyybd"),
        (
            vec!["/x", "*"],
            "a.html",
            "routed to origin api by path pattern *",
        ),
        (
            vec!["/a*b*c"],
            "abc",
            "routed to origin api by path pattern /a*b*c",
        ),
        (vec!["/v?"], "v", "/v"),
        // The path pattern is compared with the path, not with the wildcard that is sent for it.
        (
            vec!["*.json"],
            "a~b.json",
            "routed to origin api by path pattern *.json",
        ),
        (vec!["/a*"], "b~.json", "/b*"),
    ] {
        assert_eq!(
            paths(&beside_api(&patterns), key),
            [expected],
            "{key} with {patterns:?}"
        );
    }
    let mut site = beside_api(&["/api/*"]);
    site.cache_behaviors
        .insert(0, behavior("/api/docs/*", "bucket"));
    assert_eq!(paths(&site, "api/docs/a.html"), ["/api/docs/a.html"]);
    // Encoded, "é" is six characters. What CloudFront compares is not documented, so both spellings count.
    let mut site = beside_api(&["*"]);
    for pattern in ["/caf?.html", "/the??????.html"] {
        site.cache_behaviors.insert(0, behavior(pattern, "bucket"));
    }
    assert_eq!(paths(&site, "café.html"), ["/caf%C3%A9.html"]);
    assert_eq!(paths(&site, "theé.html"), ["/the%C3%A9.html"]);
}

#[test]
fn a_long_path_is_matched_quickly_with_many_asterisks() {
    let pattern = "*a".repeat(100) + "b";
    let key = "a".repeat(1_024);
    assert_eq!(paths(&beside_api(&[&pattern]), &key), [format!("/{key}")]);
}

#[test]
fn every_member_of_an_origin_group_counts() {
    let mut site = site();
    site.origins.push(origin(
        "copy",
        "site-copy.s3.eu-central-1.amazonaws.com",
        "/live",
    ));
    site.origin_groups = vec![OriginGroup {
        id: "both".into(),
        members: vec!["bucket".into(), "copy".into()],
    }];
    site.cache_behaviors = vec![behavior("*", "both")];
    assert_eq!(paths(&site, "a.html"), ["/a.html"]);
    let copy = |key| texts(&site.cached_paths("site-copy", key, IndexDocuments::Auto));
    assert_eq!(copy("live/a.html"), ["/a.html"]);
    assert_eq!(copy("a.html"), ["outside origin path /live"]);
}

#[test]
fn an_index_document_is_its_directory_too() {
    let table = [
        ("index.html", vec!["/index.html", "/"]),
        (
            "blog/index.html",
            vec!["/blog/index.html", "/blog/", "/blog"],
        ),
        ("a/b/index.html", vec!["/a/b/index.html", "/a/b/", "/a/b"]),
        (
            "a b/index.html",
            vec![
                "/a%20b/index.html",
                "/a+b/index.html",
                "/a%20b/",
                "/a+b/",
                "/a%20b",
                "/a+b",
            ],
        ),
        ("c++/index.html", vec!["/c*"]),
        // The end of a file name is not an index document.
        ("foo/myindex.html", vec!["/foo/myindex.html"]),
        ("myindex.html", vec!["/myindex.html"]),
        ("index.html.bak", vec!["/index.html.bak"]),
        ("index.html/x", vec!["/index.html/x"]),
        ("Index.html", vec!["/Index.html"]),
        ("index.htm", vec!["/index.htm"]),
        ("/index.html", vec!["//index.html", "//"]),
        ("//index.html", vec!["///index.html", "///", "//"]),
    ];
    for (key, sent) in table {
        assert_eq!(paths(&website(), key), sent, "{key}");
    }
    assert_eq!(
        reasons(&website(), "blog/index.html"),
        ["blog/index.html is also /blog/ and /blog (website endpoint)"]
    );
    assert_eq!(
        reasons(&with_function(), "blog/index.html"),
        ["blog/index.html is also /blog/ and /blog and /blog/index (function)"]
    );
    assert_eq!(paths(&website(), "about.html"), ["/about.html"]);
}

#[test]
fn a_function_may_add_the_extension_too() {
    for (key, sent) in [
        (
            "blog/index.html",
            vec!["/blog/index.html", "/blog/", "/blog", "/blog/index"],
        ),
        ("index.html", vec!["/index.html", "/", "/index"]),
        ("about.html", vec!["/about.html", "/about"]),
        (
            "foo/myindex.html",
            vec!["/foo/myindex.html", "/foo/myindex"],
        ),
        ("a.b.html", vec!["/a.b.html", "/a.b"]),
        (".html", vec!["/.html"]),
        ("dir/.html", vec!["/dir/.html"]),
        ("about.htm", vec!["/about.htm"]),
        ("site.css", vec!["/site.css"]),
    ] {
        assert_eq!(paths(&with_function(), key), sent, "{key}");
    }
    assert_eq!(
        reasons(&with_function(), "about.html"),
        ["about.html is also /about (function)"]
    );
}

#[test]
fn a_default_root_object_is_the_root_and_no_other_directory() {
    for (root, key, sent) in [
        ("index.html", "index.html", vec!["/index.html", "/"]),
        ("index.html", "blog/index.html", vec!["/blog/index.html"]),
        ("home.html", "home.html", vec!["/home.html", "/"]),
        ("home.html", "index.html", vec!["/index.html"]),
        ("home.html", "blog/home.html", vec!["/blog/home.html"]),
        ("pages/home.html", "home.html", vec!["/home.html"]),
        (
            "pages/home.html",
            "pages/home.html",
            vec!["/pages/home.html", "/"],
        ),
        ("/home.html", "home.html", vec!["/home.html", "/"]),
        ("", "", vec!["/"]),
    ] {
        assert_eq!(paths(&with_root(root), key), sent, "{key} with root {root}");
    }
    assert_eq!(
        reasons(&with_root("home.html"), "home.html"),
        ["home.html is also / (default root object)"]
    );
    assert_eq!(reasons(&with_root(""), ""), [""; 0]);
    let site = Site {
        default_root_object: Some("index.html".into()),
        ..with_origin_path("/prod")
    };
    assert_eq!(paths(&site, "prod/index.html"), ["/index.html", "/"]);
    assert_eq!(
        reasons(&site, "prod/index.html"),
        ["prod/index.html is also / (default root object)"]
    );
    assert_eq!(paths(&site, "prod/prod/index.html"), ["/prod/index.html"]);
    // Two rules lead to the root: it is one path with one reason.
    let site = Site {
        default_root_object: Some("index.html".into()),
        ..website()
    };
    assert_eq!(paths(&site, "index.html"), ["/index.html", "/"]);
    assert_eq!(
        reasons(&site, "index.html"),
        ["index.html is also / (default root object)"]
    );
}

#[test]
fn each_path_of_an_object_has_its_own_route() {
    // The directory is routed to an API and its index document to the bucket, and vice versa.
    let mut site = website();
    site.cache_behaviors = vec![
        behavior("/docs/", "api"),
        behavior("/news/index.html", "api"),
        behavior("*", "bucket"),
    ];
    assert_eq!(
        paths(&site, "docs/index.html"),
        ["/docs/index.html", "/docs"]
    );
    assert_eq!(paths(&site, "news/index.html"), ["/news/", "/news"]);
    // The function of the path's own behavior counts.
    let mut site = self::site();
    site.cache_behaviors.insert(0, behavior("*/", "bucket"));
    site.cache_behaviors[0].edge_function = true;
    assert_eq!(
        paths(&site, "docs/index.html"),
        ["/docs/index.html", "/docs/"]
    );
    assert_eq!(paths(&site, "about.html"), ["/about.html"]);
    // Whether the root is routed before or after it is replaced is not documented: either route is enough.
    for elsewhere in ["/", "/index.html"] {
        let mut site = beside_api(&[elsewhere]);
        site.default_root_object = Some("index.html".into());
        assert!(
            paths(&site, "index.html").contains(&"/".to_owned()),
            "{elsewhere}"
        );
    }
    let mut site = with_root("index.html");
    site.cache_behaviors.insert(0, behavior("/", "bucket"));
    site.cache_behaviors[0].query_strings = QueryStrings::InCacheKey;
    assert_eq!(paths(&site, "index.html"), ["/index.html", "/", "/?*"]);
    let mut site = beside_api(&["/", "/index.html"]);
    site.default_root_object = Some("index.html".into());
    assert_eq!(
        paths(&site, "index.html"),
        ["routed to origin api by path pattern /index.html"]
    );
}

#[test]
fn index_documents_can_be_forced_and_forbidden() {
    let root = Site {
        default_root_object: Some("index.html".into()),
        ..with_function()
    };
    for (setting, site, key, sent) in [
        (
            IndexDocuments::Always,
            site(),
            "index.html",
            vec!["/index.html", "/", "/index"],
        ),
        (
            IndexDocuments::Always,
            site(),
            "blog/index.html",
            vec!["/blog/index.html", "/blog/", "/blog", "/blog/index"],
        ),
        (
            IndexDocuments::Always,
            site(),
            "about.html",
            vec!["/about.html", "/about"],
        ),
        (
            IndexDocuments::Always,
            site(),
            "foo/myindex.html",
            vec!["/foo/myindex.html", "/foo/myindex"],
        ),
        (
            IndexDocuments::Always,
            beside_api(&["/blog/"]),
            "blog/index.html",
            vec!["/blog/index.html", "/blog", "/blog/index"],
        ),
        (
            IndexDocuments::Never,
            website(),
            "blog/index.html",
            vec!["/blog/index.html"],
        ),
        (
            IndexDocuments::Never,
            website(),
            "index.html",
            vec!["/index.html"],
        ),
        (
            IndexDocuments::Never,
            with_function(),
            "blog/index.html",
            vec!["/blog/index.html"],
        ),
        (
            IndexDocuments::Never,
            with_function(),
            "about.html",
            vec!["/about.html"],
        ),
        (
            IndexDocuments::Never,
            root,
            "index.html",
            vec!["/index.html", "/"],
        ),
    ] {
        assert_eq!(
            texts(&site.cached_paths("site", key, setting)),
            sent,
            "{setting:?} {key}"
        );
    }
    assert_eq!(
        site().cached_paths("site", "about.html", IndexDocuments::Always),
        CachedPaths::Cached {
            paths: ["/about.html", "/about"]
                .map(|path| InvalidationPath::parse(path).expect("a path"))
                .into(),
            reasons: vec![PathReason::AlsoAt {
                key: "about.html".into(),
                paths: vec!["/about".into()],
                reason: AliasReason::Setting,
            }],
        }
    );
    assert_eq!(
        AliasReason::Setting.to_string(),
        "index documents set to always"
    );
}

fn object<'a>(index: usize, bucket: &'a str, key: &'a str) -> ObjectRef<'a> {
    ObjectRef {
        index,
        bucket,
        key,
        change: Change::written(),
    }
}

#[test]
fn notes_list_at_most_five_objects_and_reasons() {
    let mut site = beside_api(&["/api/*"]);
    site.default_root_object = Some("index.html".into());
    for behavior in &mut site.cache_behaviors {
        behavior.query_strings = QueryStrings::InCacheKey;
    }
    let site = MaybeSite::Known(std::sync::Arc::new(site));
    let keys = ["index.html", "api/0", "a", "b", "c", "d", "api/1"];
    let mut changes = ChangesByDistribution::default();
    for (index, key) in keys.into_iter().enumerate() {
        let bucket = "site";
        let object = object(index, bucket, key);
        changes.add(&site, object, &PathOptions::default());
    }
    let changes: Vec<_> = changes.into_iter().collect();
    let [changes] = changes.as_slice() else {
        panic!("one distribution: {changes:?}");
    };
    let indices: Vec<_> = changes.cached.iter().map(|object| object.index).collect();
    assert_eq!(indices, [0, 2, 3, 4, 5]);
    assert_eq!(
        changes.notes(),
        [
            "2 routed to origin api by path pattern /api/*: api/0, api/1",
            "index.html is cached by query string; index.html is also / (default root object); \
             a is cached by query string; b is cached by query string; c is cached by query string; and 1 more",
        ]
    );
    let mut unknown = ChangesByDistribution::default();
    let site = MaybeSite::Unknown(DistributionId::parse("E1EXAMPLE1ABC").expect("an id"));
    for index in 0..2 {
        let (bucket, key) = ("site", "index.html");
        unknown.add(&site, object(index, bucket, key), &PathOptions::default());
    }
    let unknown: Vec<_> = unknown.into_iter().collect();
    assert_eq!(unknown.len(), 1);
    assert_eq!(unknown[0].cached.len(), 2);
    assert_eq!(
        unknown[0].notes(),
        [
            "its configuration cannot be read, which needs cloudfront:GetDistributionConfig: index.html is assumed to be \
             the default root object and an index document, and staging distributions are not found",
            "index.html is also / and /index (assumed); index.html is also / and /index (assumed)",
        ]
    );
}

#[test]
fn notes_list_at_most_five_uncertain_origins() {
    let mut site = site();
    site.origins[0].domain_name = "www.example.com".into();
    let site = MaybeSite::Outdated(std::sync::Arc::new(site));
    let mut changes = ChangesByDistribution::default();
    for index in 0..7 {
        let bucket = format!("bucket-{index}");
        let (bucket, key) = (bucket.as_str(), "a");
        let object = object(index, bucket, key);
        changes.add(&site, object, &PathOptions::default());
    }
    let changes: Vec<_> = changes.into_iter().collect();
    let origin = |index: usize| {
        format!(
            "origin www.example.com is treated as bucket bucket-{index}: it can be another name of the bucket, or a \
             server that gets its objects from there"
        )
    };
    let mut notes: Vec<_> = (0..5).map(origin).collect();
    notes.push("2 more assumptions of this kind".to_owned());
    notes.push(PathReason::Outdated.to_string());
    assert_eq!(changes[0].notes(), notes);
}

#[test]
fn an_error_page_is_cached_under_every_path() {
    let kept = "404.html is an error page that is cached for 300 s: widened to /*";
    let fallback = "404.html is shown with status 200 in place of 403: widened to /*";
    for (response, reason) in [
        (
            error_response("/404.html", 404, "404", Some(300)),
            Some(kept),
        ),
        (error_response("/404.html", 404, "", Some(300)), Some(kept)),
        (
            error_response("404.html", 404, "404", Some(300)),
            Some(kept),
        ),
        (
            error_response("/%34%304.html", 404, "404", Some(300)),
            Some(kept),
        ),
        (
            error_response("/404.html", 403, "200", Some(0)),
            Some(fallback),
        ),
        (
            error_response("/404.html", 403, "200", None),
            Some(fallback),
        ),
        // Stale for at most a minute.
        (error_response("/404.html", 404, "404", Some(60)), None),
        (error_response("/404.html", 404, "404", Some(0)), None),
        (error_response("/404.html", 404, "404", None), None),
        // Another page, or no page.
        (
            error_response("/errors/404.html", 404, "404", Some(300)),
            None,
        ),
        (error_response("", 404, "", Some(300)), None),
    ] {
        let site = Site {
            custom_error_responses: vec![
                error_response("/500.html", 500, "500", Some(300)),
                response.clone(),
            ],
            ..site()
        };
        let sent = if reason.is_some() { "/*" } else { "/404.html" };
        assert_eq!(paths(&site, "404.html"), [sent], "{response:?}");
        assert_eq!(
            reasons(&site, "404.html"),
            Vec::from_iter(reason),
            "{response:?}"
        );
        assert_eq!(paths(&site, "a.html"), ["/a.html"]);
    }
}

#[test]
fn an_error_page_is_a_path_like_any_other() {
    let responses = vec![error_response("/errors/404.html", 404, "404", Some(300))];
    // The path of the page is routed to another origin.
    let mut site = beside_api(&["/errors/*"]);
    site.custom_error_responses = responses.clone();
    assert_eq!(
        paths(&site, "errors/404.html"),
        ["routed to origin api by path pattern /errors/*"]
    );
    // Below an origin path.
    let mut site = with_origin_path("/prod");
    site.custom_error_responses = responses.clone();
    assert_eq!(paths(&site, "prod/errors/404.html"), ["/*"]);
    assert_eq!(
        paths(&site, "errors/404.html"),
        ["outside origin path /prod"]
    );
    assert_eq!(
        paths(&site, "prod/old/errors/404.html"),
        ["/old/errors/404.html"]
    );
    // The page's path is its directory.
    let mut site = website();
    site.custom_error_responses = vec![error_response("/", 404, "200", None)];
    assert_eq!(paths(&site, "index.html"), ["/*"]);
}

#[test]
fn query_strings_in_the_cache_key_need_a_wildcard() {
    let mut site = website();
    site.cache_behaviors[0].query_strings = QueryStrings::InCacheKey;
    for (key, sent) in [
        ("a.html", vec!["/a.html*"]),
        ("my page.html", vec!["/my%20page.html*", "/my+page.html*"]),
        ("runtime~main.js", vec!["/runtime*"]),
        // `/blog*` would also drop all articles.
        (
            "blog/index.html",
            vec![
                "/blog/index.html*",
                "/blog/",
                "/blog/?*",
                "/blog",
                "/blog?*",
            ],
        ),
        ("index.html", vec!["/index.html*", "/", "/?*"]),
        ("LICENSE", vec!["/LICENSE", "/LICENSE?*"]),
    ] {
        assert_eq!(paths(&site, key), sent, "{key}");
    }
    assert_eq!(
        reasons(&site, "a.html"),
        ["a.html is cached by query string"]
    );
    assert_eq!(
        reasons(&site, "blog/index.html"),
        [
            "blog/index.html is cached by query string",
            "blog/index.html is also /blog/ and /blog (website endpoint)"
        ]
    );
    for (query_strings, reason) in [
        (
            QueryStrings::Denied,
            "a.html may be cached by query string (its cache policy cannot be read, which needs cloudfront:GetCachePolicy)",
        ),
        (
            QueryStrings::Unreadable,
            "a.html may be cached by query string (its cache policy could not be read now)",
        ),
    ] {
        site.cache_behaviors[0].query_strings = query_strings;
        assert_eq!(paths(&site, "a.html"), ["/a.html*"]);
        assert_eq!(reasons(&site, "a.html"), [reason]);
    }
    // Each path has its own behavior.
    site.cache_behaviors.insert(0, behavior("*.html", "bucket"));
    assert_eq!(
        paths(&site, "blog/index.html"),
        ["/blog/index.html", "/blog/", "/blog/?*", "/blog", "/blog?*"]
    );
}

#[test]
fn a_literal_key_has_one_path_where_the_configuration_leads_to_it() {
    let mut everything = with_origin_path("/prod");
    everything.origins[0].domain_name = "site.s3-website-eu-west-1.amazonaws.com".into();
    everything.default_root_object = Some("index.html".into());
    everything.cache_behaviors[0].query_strings = QueryStrings::InCacheKey;
    everything.custom_error_responses = vec![error_response("/index.html", 404, "200", Some(300))];
    let mut with_function = everything.clone();
    with_function.cache_behaviors[0].edge_function = true;
    let disabled = Site {
        enabled: false,
        ..site()
    };
    for (site, key, sent) in [
        (&everything, "prod/index.html", "/index.html"),
        (&everything, "prod/blog/index.html", "/blog/index.html"),
        (&everything, "prod/my @page.html", "/my%20@page.html"),
        (&everything, "prod/a+b.html", "/a*"),
        (&everything, "staging/a.html", "outside origin path /prod"),
        // The function can choose another origin path.
        (&with_function, "staging/a.html", "/staging/a.html"),
        (&with_function, "prod/index.html", "/index.html"),
        (
            &beside_api(&["api/*"]),
            "api/a",
            "routed to origin api by path pattern api/*",
        ),
        (
            &disabled,
            "a.html",
            "not cached, because the distribution is disabled",
        ),
    ] {
        let cached_paths = site.cached_paths("site", key, IndexDocuments::LiteralKeys);
        assert_eq!(texts(&cached_paths), [sent], "{key}");
    }
    let other = everything.cached_paths("other", "a.html", IndexDocuments::LiteralKeys);
    assert_eq!(
        texts(&other),
        ["not cached, because bucket other is not an origin"]
    );
}

#[test]
fn a_relative_key_is_the_key_without_the_origin_path() {
    let server = with_domain_name("www.example.org", "/prod");
    for (site, key, relative) in [
        (&site(), "a.html", vec!["a.html"]),
        (&with_origin_path("/prod"), "prod/a.html", vec!["a.html"]),
        (&with_origin_path("/prod"), "staging/a.html", vec![]),
        // It is unknown whether the server takes the origin path for a folder.
        (&server, "prod/a.html", vec!["a.html", "prod/a.html"]),
    ] {
        assert_eq!(site.relative_keys("site", key), relative, "{key}");
    }
}

#[test]
fn an_incomplete_site_is_valid() {
    let disabled = Site {
        enabled: false,
        ..site()
    };
    assert_eq!(
        paths(&disabled, "a.html"),
        ["not cached, because the distribution is disabled"]
    );
    let bare = Site {
        aliases: vec![],
        ..site()
    };
    assert_eq!(paths(&bare, "a.html"), ["/a.html"]);
    let no_origins = Site {
        origins: vec![],
        ..site()
    };
    assert_eq!(
        paths(&no_origins, "a.html"),
        ["not cached, because bucket site is not an origin"]
    );
    assert!(!no_origins.has_origin("site") && site().has_origin("site"));
    let no_behaviors = Site {
        cache_behaviors: vec![],
        ..site()
    };
    assert_eq!(paths(&no_behaviors, "a.html"), ["not routed to an origin"]);
    let unknown_target = Site {
        cache_behaviors: vec![behavior("*", "gone")],
        ..site()
    };
    assert_eq!(
        paths(&unknown_target, "a.html"),
        ["routed to origin gone by path pattern *"]
    );
}

proptest! {
    /// More paths than needed may be returned, but the object's own path is always covered.
    #[test]
    fn the_objects_own_path_is_covered_whatever_the_configuration(
        key in "[a-z~ é/.]{1,12}(index)?(\\.html)?",
        root in "[a-z]{1,3}\\.html",
        website in any::<bool>(),
        function in any::<bool>(),
        query_strings in prop::sample::select(vec![QueryStrings::Ignored, QueryStrings::InCacheKey, QueryStrings::Denied]),
        setting in prop::sample::select(vec![IndexDocuments::Auto, IndexDocuments::Always, IndexDocuments::Never]),
    ) {
        let mut site = if website { self::website() } else { with_root(&root) };
        site.cache_behaviors[0].edge_function = function;
        site.cache_behaviors[0].query_strings = query_strings;
        let CachedPaths::Cached { paths, .. } = site.cached_paths("site", &key, setting) else {
            panic!("{key} is cached");
        };
        for own in InvalidationPath::from_object_key(&key) {
            prop_assert!(paths.iter().any(|path| path.covers(&own)), "{own} of {key:?} in {paths:?}");
        }
        let distinct: std::collections::BTreeSet<_> = paths.iter().collect();
        prop_assert_eq!(distinct.len(), paths.len());
    }
}

/// Returns the changes of these keys. A key with a minus was removed, one with a plus is new.
fn changes(site: &MaybeSite, options: &PathOptions, keys: &[&str]) -> DistributionChanges {
    let mut changes = ChangesByDistribution::default();
    for (index, key) in keys.iter().enumerate() {
        let object = ObjectRef {
            key: key.trim_start_matches(['-', '+']),
            change: match key.get(..1) {
                Some("-") => Change::removed(),
                Some("+") => Change {
                    existed: Some(false),
                    exists: Some(true),
                },
                _ => Change::written(),
            },
            ..object(index, "site", "")
        };
        changes.add(site, object, options);
    }
    changes.into_iter().next().expect("a distribution")
}

/// Returns the keys that are invalidated, and the notes about the others.
fn needed(site: MaybeSite, options: &PathOptions, keys: &[&str]) -> (Vec<String>, Vec<String>) {
    let changes = changes(&site, options, keys);
    let cached = changes.cached.iter().map(|object| keys[object.index]);
    let needed: Vec<_> = cached.map(str::to_owned).collect();
    assert_eq!(needed.len() + changes.kept.count(), keys.len());
    (needed, changes.notes())
}

#[test]
fn a_configuration_that_is_not_up_to_date_keeps_removed_objects_only() {
    let known = || std::sync::Arc::new(site());
    let keys = ["_nuxt/BTXdFNo4.js", "-_nuxt/f5zXXyNt.js"];
    let options = PathOptions::default();
    let removed = "1 removed without a path, because open pages can still need these files (KeepRemovedImmutable, --takedown): _nuxt/f5zXXyNt.js";
    let (invalidated, notes) = needed(MaybeSite::Known(known()), &options, &keys);
    assert_eq!(invalidated, Vec::<String>::new());
    let written =
        "1 without a path, because the content under these names never changes: _nuxt/BTXdFNo4.js";
    assert_eq!(notes, [written, removed]);
    for site in [
        MaybeSite::Outdated(known()),
        MaybeSite::Unknown(known().id.clone()),
    ] {
        let (invalidated, notes) = needed(site, &options, &keys);
        assert_eq!(invalidated, ["_nuxt/BTXdFNo4.js"]);
        let absence = "objects that are possibly new are invalidated, because how long errors are cached is not known";
        assert_eq!(notes.first().map(String::as_str), Some(absence));
        assert_eq!(notes.last().map(String::as_str), Some(removed));
    }
}

#[test]
fn s3_under_another_name_answers_missing_objects_as_the_bucket_does() {
    let keys = ["_nuxt/BTXdFNo4.js"];
    for (domain_name, is_kept) in [
        ("site.s3.us-east-1.amazonaws.com", true),
        ("site.s3-website-us-east-1.amazonaws.com", false),
        ("any-name-s3alias.s3.us-east-1.amazonaws.com", true),
        ("s3.us-east-1.amazonaws.com", true),
        ("www.example.com", false),
    ] {
        let mut site = site();
        site.origins[0].domain_name = domain_name.into();
        let site = MaybeSite::Known(site.into());
        let (invalidated, _) = needed(site, &PathOptions::default(), &keys);
        assert_eq!(invalidated.is_empty(), is_kept, "{domain_name}");
    }
}

#[test]
fn an_object_is_immutable_only_under_all_of_its_paths() {
    let mut site = site();
    site.default_root_object = Some("v1/start.html".into());
    site.custom_error_responses = vec![CustomErrorResponse {
        error_code: 404,
        response_page_path: Some("/v1/missing.html".into()),
        response_code: Some("200".into()),
        error_caching_min_ttl: None,
    }];
    let options = PathOptions {
        immutable: ImmutablePaths::parse(["/v1/*"]).expect("a pattern"),
        ..PathOptions::default()
    };
    let keys = [
        "-v1/a.html",
        "-v1/start.html",
        "-v1/missing.html",
        "-v2/a.html",
    ];
    let (invalidated, _) = needed(MaybeSite::Known(site.into()), &options, &keys);
    assert_eq!(
        invalidated,
        ["-v1/start.html", "-v1/missing.html", "-v2/a.html"]
    );
}

#[test]
fn a_new_page_for_errors_is_invalidated_as_each_of_its_changes() {
    let mut site = site();
    site.custom_error_responses = vec![
        error_response("/500.html", 500, "500", Some(300)),
        error_response("/404.html", 404, "404", Some(60)),
    ];
    let keys = ["+500.html", "+404.html", "+a.html"];
    let (invalidated, notes) = needed(
        MaybeSite::Known(site.into()),
        &PathOptions::default(),
        &keys,
    );
    assert_eq!(invalidated, ["+500.html"]);
    let new = "2 new, without an older copy to invalidate: 404.html, a.html";
    assert_eq!(notes.first().map(String::as_str), Some(new));
}

#[test]
fn an_origin_group_of_two_folders_of_the_bucket_can_answer_for_a_missing_object() {
    let mut site = with_origin_path("/release");
    site.origins.push(origin(
        "archive",
        "site.s3.eu-west-1.amazonaws.com",
        "/archive",
    ));
    site.origin_groups = vec![OriginGroup {
        id: "group".into(),
        members: vec!["bucket".into(), "archive".into()],
    }];
    site.cache_behaviors = vec![behavior("*", "group")];
    let keys = [
        "+release/a.html",
        "release/_nuxt/BTXdFNo4.js",
        "-release/_nuxt/f5zXXyNt.js",
    ];
    let (invalidated, notes) = needed(
        MaybeSite::Known(site.into()),
        &PathOptions::default(),
        &keys,
    );
    assert_eq!(invalidated, keys[..2]);
    let reason = "objects that are possibly new are invalidated, because an origin group has another origin that can have an \
                  object of that name";
    assert_eq!(notes.first().map(String::as_str), Some(reason));
}

#[test]
fn a_hint_is_only_about_objects_that_a_pattern_would_keep() {
    let mut site = site();
    site.custom_error_responses = vec![error_response(
        "/assets/e-a0000000.svg",
        500,
        "500",
        Some(300),
    )];
    let site = MaybeSite::Known(site.into());
    let options = PathOptions {
        immutable: ImmutablePaths::parse(["/assets/old/*"]).expect("a pattern"),
        keep_removed_immutable: false,
        ..PathOptions::default()
    };
    let hashed: Vec<_> = (0..20).map(|n| format!("assets/x-a{n:07x}.js")).collect();
    let assets = Some(vec!["/assets/*".to_owned()]);
    for (key, expected) in [
        ("index.html", assets.clone()),
        // A pattern covers it, and it is removed.
        ("-assets/old/a.js", assets),
        // It is cached under other paths, so no pattern keeps it.
        ("assets/e-a0000000.svg", None),
        // A removed object is not kept.
        ("-assets/x-a7654321.js", None),
    ] {
        let keys = hashed.iter().map(String::as_str).chain([key]);
        let keys: Vec<_> = keys.collect();
        let changes = changes(&site, &options, &keys);
        assert_eq!(changes.cached.len(), keys.len(), "{key}");
        let patterns = changes.hint().map(|hint| hint.patterns);
        assert_eq!(patterns, expected, "{key}");
    }
}
