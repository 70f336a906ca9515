//! Tests of the edge's rules with a frozen clock and an origin in this process.

use std::io::Read;
use std::sync::atomic::{AtomicU64, Ordering};

use super::compression::{is_compressible, weak_etag};
use super::configuration;
use super::*;

const HOST: &str = "d1example.cloudfront.net";
const COMPLETES_AFTER: Duration = Duration::from_secs(14);

/// An origin whose response is the same for every request, except for a version that counts the requests.
struct Site {
    status: u16,
    headers: Vec<(String, String)>,
    requests: AtomicU64,
}

impl Site {
    fn new(status: u16, headers: &[(&str, &str)]) -> Self {
        let headers = headers.iter();
        Self {
            status,
            headers: headers
                .map(|(name, value)| new_header(name, value))
                .collect(),
            requests: AtomicU64::new(0),
        }
    }
}

impl Origin for Site {
    async fn fetch(&self, host: &str, target: &str) -> io::Result<OriginResponse> {
        assert_eq!(host, HOST);
        assert!(target.starts_with('/'));
        let version = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        Ok(OriginResponse {
            status: self.status,
            headers: self.headers.clone(),
            body: format!("version {version}").into(),
        })
    }
}

/// An edge with one distribution.
struct Fixture {
    edge: Edge,
    clock: Clock,
    site: Site,
    invalidations: u64,
}

impl Fixture {
    fn new(options: EdgeOptions, distribution: EdgeDistribution) -> Self {
        let clock = Clock::frozen();
        let edge = Edge::new(options, clock.clone());
        edge.set_distribution(distribution);
        Self {
            edge,
            clock,
            site: Site::new(200, &[]),
            invalidations: 0,
        }
    }

    async fn get_from(&self, pop: usize, target: &str, accept_encoding: &str) -> ViewerResponse {
        let request = ViewerRequest {
            host: HOST,
            target,
            accept_encoding,
            pop,
        };
        let response = self.edge.get(request, &self.site).await;
        response.expect("a response")
    }

    async fn get(&self, target: &str) -> ViewerResponse {
        self.get_from(0, target, "").await
    }

    async fn is_hit(&self, target: &str) -> bool {
        self.get(target).await.header("X-Cache") == Some("Hit from cloudfront")
    }

    fn invalidate(&mut self, paths: &[&str]) {
        self.invalidations += 1;
        let now = self.clock.now();
        let id = format!("I{}", self.invalidations);
        let paths: Vec<String> = paths.iter().map(|path| (*path).to_owned()).collect();
        let completed = now + COMPLETES_AFTER;
        self.edge
            .invalidate("E1EXAMPLE", &id, now, completed, &paths);
    }

    fn invalidate_and_complete(&mut self, paths: &[&str]) {
        self.invalidate(paths);
        self.clock.advance(COMPLETES_AFTER);
    }

    /// Returns after how many milliseconds an invalidation that is created now takes effect at a POP.
    async fn takes_effect_after(&mut self, pop: usize) -> u64 {
        self.get_from(pop, "/a", "").await;
        self.invalidate(&["/a"]);
        let mut milliseconds = 0;
        while self.edge.counters().dropped_copies == 0 {
            self.clock.advance(Duration::from_millis(1));
            milliseconds += 1;
        }
        milliseconds
    }
}

fn distribution(behavior: EdgeBehavior) -> EdgeDistribution {
    EdgeDistribution {
        id: "E1EXAMPLE".to_owned(),
        hosts: vec![HOST.to_owned(), "www.example.com".to_owned()],
        behaviors: vec![behavior],
        ..EdgeDistribution::default()
    }
}

fn behavior(query_strings: QueryKey) -> EdgeBehavior {
    EdgeBehavior {
        path_pattern: "*".to_owned(),
        query_strings,
        ..EdgeBehavior::default()
    }
}

fn strict(behavior: EdgeBehavior) -> Fixture {
    Fixture::new(EdgeOptions::default(), distribution(behavior))
}

fn lenient(behavior: EdgeBehavior) -> Fixture {
    let options = EdgeOptions {
        matching: Matching::Lenient,
        ..EdgeOptions::default()
    };
    Fixture::new(options, distribution(behavior))
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test]
async fn copies_differ_by_path_and_the_query_string_of_the_policy() {
    let (none, all) = (QueryKey::None, QueryKey::All);
    let only = QueryKey::Only(names(&["lang"]));
    let except = QueryKey::AllExcept(names(&["utm"]));
    for (query_strings, first, second, shares) in [
        (&none, "/a", "/a", true),
        (&none, "/a", "/A", false),
        (&none, "/a%20b", "/a+b", false),
        (&none, "/%c3%a9", "/%C3%A9", false),
        (&none, "/a/", "/a", false),
        (&none, "/a?x=1", "/a?x=2", true),
        (&none, "/a?x=1", "/a", true),
        (&all, "/a?x=1", "/a?x=1", true),
        (&all, "/a?x=1", "/a?x=2", false),
        (&all, "/a?x=1", "/a", false),
        (&all, "/a?x=1&y=2", "/a?y=2&x=1", false),
        (&all, "/a?", "/a", true),
        (&only, "/a?lang=de&x=1", "/a?x=2&lang=de", true),
        (&only, "/a?lang=de", "/a?lang=en", false),
        (&only, "/a?language=de", "/a", true),
        (&except, "/a?x=1&utm=1", "/a?x=1&utm=2", true),
        (&except, "/a?x=1", "/a?x=2", false),
        (&except, "/a?utm", "/a", true),
    ] {
        let fixture = strict(behavior(query_strings.clone()));
        fixture.get(first).await;
        let actual = fixture.is_hit(second).await;
        assert_eq!(actual, shares, "{query_strings:?} {first} {second}");
    }
}

#[tokio::test]
async fn copies_differ_by_pop_and_normalised_accept_encoding() {
    for (accept_encoding, same) in [
        ("", "identity"),
        ("gzip", "deflate, gzip;q=0.5"),
        ("br", "gzip, deflate, br, zstd"),
        ("gzip", "gzip, br;q=0"),
        ("GZIP", "gzip"),
    ] {
        let fixture = strict(behavior(QueryKey::None));
        let mut responses = Vec::new();
        for pop in [0, 1] {
            for accept_encoding in ["", "gzip", "br", accept_encoding, same] {
                let response = fixture.get_from(pop, "/a", accept_encoding).await;
                responses.push(response.header("X-Cache") == Some("Hit from cloudfront"));
            }
        }
        let per_pop = [false, false, false, true, true];
        assert_eq!(responses, [per_pop, per_pop].concat(), "{same}");
        let requests = [fixture.get_from(2, "/a", accept_encoding).await]
            .into_iter()
            .chain([fixture.get_from(2, "/a", same).await]);
        let bodies: Vec<Bytes> = requests.map(|response| response.body).collect();
        assert_eq!(bodies, ["version 7", "version 7"], "{same}");
    }
}

#[tokio::test]
async fn the_first_matching_behavior_decides() {
    let pattern = |path_pattern: &str, query_strings| EdgeBehavior {
        path_pattern: path_pattern.to_owned(),
        ..behavior(query_strings)
    };
    let distribution = EdgeDistribution {
        behaviors: vec![
            pattern("/search/*.htm?", QueryKey::None),
            pattern("docs/*", QueryKey::None),
            pattern("*", QueryKey::All),
        ],
        ..distribution(behavior(QueryKey::None))
    };
    let fixture = Fixture::new(EdgeOptions::default(), distribution);
    for (path, query_counts) in [
        ("/search/a/b.html", false),
        ("/search/a/b.htm", true),
        ("/search/a/b.html5", true),
        ("/docs/a", false),
        ("/docs/", false),
        ("/Docs/a", true),
        ("/docs", true),
        ("/", true),
    ] {
        fixture.get(&format!("{path}?x=1")).await;
        let shares = fixture.is_hit(&format!("{path}?x=2")).await;
        assert_eq!(!shares, query_counts, "{path}");
    }
}

#[tokio::test]
async fn only_errors_expire() {
    let century = 100 * 365 * 24 * 60 * 60;
    for (status, configured, seconds, hit) in [
        (200, None, century, true),
        (301, None, century, true),
        (403, None, 9, true),
        (403, None, 10, false),
        (404, Some(300), 299, true),
        (404, Some(300), 300, false),
        (503, Some(0), 0, false),
    ] {
        let mut distribution = distribution(behavior(QueryKey::None));
        let configured = configured.map(Duration::from_secs);
        distribution
            .error_caching
            .extend(configured.map(|ttl| (status, ttl)));
        let mut fixture = Fixture::new(EdgeOptions::default(), distribution);
        fixture.site = Site::new(status, &[("Cache-Control", "no-store")]);
        fixture.get("/a").await;
        fixture.clock.advance(Duration::from_secs(seconds));
        let body = fixture.get("/a").await.body;
        let expected = if hit { "version 1" } else { "version 2" };
        assert_eq!(body, expected, "{status} after {seconds} s");
    }
}

#[tokio::test]
async fn an_age_of_the_origin_that_is_no_number_is_ignored() {
    let mut fixture = strict(behavior(QueryKey::None));
    for (path, origin_age, miss, hit) in [
        ("/none", None, None, Some("5")),
        ("/number", Some("100"), Some("100"), Some("105")),
        ("/text", Some("old"), None, Some("5")),
        ("/negative", Some("-1"), None, Some("5")),
    ] {
        let headers = origin_age.map(|age| ("age", age));
        fixture.site = Site::new(200, headers.as_slice());
        assert_eq!(fixture.get(path).await.header("Age"), miss, "{path}");
        fixture.clock.advance(Duration::from_secs(5));
        assert_eq!(fixture.get(path).await.header("Age"), hit, "{path}");
    }
}

#[tokio::test]
async fn responses_have_the_headers_of_cloudfront() {
    let mut fixture = strict(behavior(QueryKey::None));
    let via = "1.1 fec740689b895d740138bf976476a28b.cloudfront.net (CloudFront)";
    let (miss, hit) = ("Miss from cloudfront", "Hit from cloudfront");
    let error = "Error from cloudfront";
    let function = "FunctionGeneratedResponse from cloudfront";
    for (status, origin_x_cache, path, ages) in [
        (200, miss, "/page", [(Some("7"), miss), (Some("12"), hit)]),
        (
            404,
            miss,
            "/error",
            [(Some("7"), error), (Some("12"), error)],
        ),
        (302, function, "/old", [(None, function), (None, function)]),
    ] {
        let from_origin = [
            ("X-Cache", origin_x_cache),
            ("Age", "7"),
            ("Via", "1.1 origin"),
            ("x-amz-cf-pop", "LOC50-C1"),
            ("etag", "\"1\""),
        ];
        fixture.site = Site::new(status, &from_origin);
        for (age, x_cache) in ages {
            let response = fixture.get(path).await;
            let mut expected = vec![("etag", "\"1\"")];
            expected.extend(age.map(|age| ("Age", age)));
            expected.extend([
                ("X-Cache", x_cache),
                ("Via", via),
                ("X-Amz-Cf-Pop", "FRA50-P1"),
            ]);
            let expected = expected
                .into_iter()
                .map(|(name, value)| new_header(name, value));
            assert_eq!(response.headers, expected.collect::<Vec<_>>());
            assert_eq!(response.status, status);
            fixture.clock.advance(Duration::from_secs(5));
        }
    }
    let names: Vec<String> = (0..9).map(pop_name).collect();
    assert_eq!(names[..2], ["FRA50-P1", "IAD50-P2"]);
    assert_eq!(names[8], "FRA51-P1");
    assert_eq!(fixture.edge.pop("iad50-p2"), Some(1));
    assert_eq!(
        fixture.edge.pop("GRU50-P4"),
        None,
        "the edge has three POPs"
    );
}

#[tokio::test]
async fn aliases_and_the_domain_name_share_copies() {
    let fixture = strict(behavior(QueryKey::None));
    fixture.get("/a").await;
    for (host, found) in [("WWW.example.com", true), ("example.com", false)] {
        let request = ViewerRequest {
            host,
            target: "/a",
            accept_encoding: "",
            pop: 0,
        };
        let response = fixture.edge.get(request, &fixture.site).await;
        let body = response.map(|response| response.body).ok();
        assert_eq!(body, found.then(|| "version 1".into()), "{host}");
    }
}

#[test]
fn only_documented_types_and_sizes_are_compressed() {
    let html = ("Content-Type", "text/html; charset=utf-8");
    for (headers, bytes, expected) in [
        (vec![html], 999, false),
        (vec![html], 1_000, true),
        (vec![html], 10_000_000, true),
        (vec![html], 10_000_001, false),
        (vec![("content-type", "IMAGE/SVG+XML")], 1_000, true),
        (vec![("content-type", "image/png")], 1_000, false),
        (vec![], 1_000, false),
        (vec![html, ("content-encoding", "gzip")], 1_000, false),
    ] {
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| new_header(name, value))
            .collect();
        assert_eq!(
            is_compressible(&headers, bytes),
            expected,
            "{headers:?} {bytes}"
        );
    }
    for (etag, weak) in [
        ("\"1\"", Some("W/\"1\"")),
        ("W/\"1\"", Some("W/\"1\"")),
        ("1", None),
    ] {
        assert_eq!(weak_etag(etag).as_deref(), weak);
    }
}

/// An origin with a page that is large enough to be compressed.
struct LargePage;

impl Origin for LargePage {
    async fn fetch(&self, _: &str, _: &str) -> io::Result<OriginResponse> {
        Ok(OriginResponse {
            status: 200,
            headers: vec![
                new_header("Content-Type", "text/html"),
                new_header("ETag", "\"1\""),
            ],
            body: "page ".repeat(400).into(),
        })
    }
}

#[tokio::test]
async fn compressed_responses_have_a_weak_etag_and_the_same_content() {
    let page = "page ".repeat(400);
    for (compress, accept_encoding, encoding) in [
        (true, "gzip, br", Some("br")),
        (true, "gzip", Some("gzip")),
        (true, "", None),
        (false, "gzip, br", None),
    ] {
        let fixture = strict(EdgeBehavior {
            compress,
            ..behavior(QueryKey::None)
        });
        for age in [None, Some("0")] {
            let request = ViewerRequest {
                host: HOST,
                target: "/",
                accept_encoding,
                pop: 0,
            };
            let response = fixture.edge.get(request, &LargePage).await;
            let response = response.expect("a response");
            let etag = if encoding.is_some() {
                "W/\"1\""
            } else {
                "\"1\""
            };
            assert_eq!(response.header("ETag"), Some(etag));
            assert_eq!(response.header("Age"), age);
            assert_eq!(response.header("Content-Encoding"), encoding);
            assert_eq!(response.compression.map(Encoding::name), encoding);
            assert_eq!(response.body, page);
        }
    }
    let decompressed = |encoding: Encoding| {
        let compressed = encoding.compress(page.as_bytes()).expect("a body");
        assert!(compressed.len() < page.len() / 10);
        let mut text = String::new();
        let read = match encoding {
            Encoding::Gzip => flate2::read::GzDecoder::new(&*compressed).read_to_string(&mut text),
            Encoding::Brotli => {
                brotli::Decompressor::new(&*compressed, 4_096).read_to_string(&mut text)
            }
        };
        read.map(|_| text).expect("a compressed text")
    };
    assert_eq!(decompressed(Encoding::Gzip), page);
    assert_eq!(decompressed(Encoding::Brotli), page);
}

#[tokio::test]
async fn an_invalidation_takes_effect_at_each_pop_at_its_own_moment() {
    let mut moments = Vec::new();
    for seed in [1, 2] {
        for pop in 0..3 {
            let options = EdgeOptions {
                seed,
                ..EdgeOptions::default()
            };
            let mut fixture = Fixture::new(options, distribution(behavior(QueryKey::None)));
            moments.push(fixture.takes_effect_after(pop).await);
        }
    }
    assert_eq!(moments, [13_216, 5_430, 5_198, 13_110, 9_616, 3_169]);
}

#[tokio::test]
async fn copies_from_before_the_moment_are_dropped_and_later_ones_stay() {
    let mut fixture = strict(behavior(QueryKey::None));
    let moment = fixture.takes_effect_after(0).await;
    let before = Duration::from_millis(moment - 1);
    // A new fixture, because the moment depends on the id of the invalidation.
    let mut fixture = strict(behavior(QueryKey::None));
    fixture.get("/a").await;
    fixture.invalidate(&["/a", "/b"]);
    fixture.clock.advance(before);
    assert!(fixture.is_hit("/a").await, "the moment has not come");
    assert!(!fixture.is_hit("/b").await, "stored after the creation");
    assert!(fixture.is_hit("/b").await);
    fixture.clock.advance(Duration::from_millis(1));
    assert!(!fixture.is_hit("/a").await);
    assert!(!fixture.is_hit("/b").await);
    fixture.clock.advance(COMPLETES_AFTER);
    assert!(fixture.is_hit("/a").await, "stored after the moment");
    assert!(fixture.is_hit("/b").await, "stored after the moment");
}

#[tokio::test]
async fn invalidations_take_effect_at_the_immediate_pop_at_their_creation() {
    let mut fixture = strict(behavior(QueryKey::None));
    fixture.edge.set_immediate_pop(1);
    for pop in 0..3 {
        fixture.get_from(pop, "/a", "").await;
    }
    fixture.invalidate(&["/a"]);
    let dropped = fixture.edge.drain_dropped();
    let pops: Vec<_> = dropped.iter().map(|copy| copy.pop).collect();
    assert_eq!((pops, dropped[0].time), (vec![1], fixture.clock.now()));
    assert_eq!(dropped[0].response.status, 200);
    fixture.clock.advance(COMPLETES_AFTER);
    assert_eq!(fixture.edge.drain_dropped().len(), 2);
}

/// An origin that responds after an invalidation has completed.
struct SlowSite(Clock);

impl Origin for SlowSite {
    async fn fetch(&self, _: &str, target: &str) -> io::Result<OriginResponse> {
        self.0.advance(COMPLETES_AFTER);
        Ok(OriginResponse {
            status: 200,
            headers: Vec::new(),
            body: target.to_owned().into(),
        })
    }
}

#[tokio::test]
async fn a_response_that_was_requested_before_the_moment_is_not_stored() {
    for (target, stored) in [("/a", false), ("/b", true)] {
        let mut fixture = strict(behavior(QueryKey::None));
        fixture.invalidate(&["/a"]);
        let slow = SlowSite(fixture.clock.clone());
        let request = ViewerRequest {
            host: HOST,
            target,
            accept_encoding: "",
            pop: 0,
        };
        let response = fixture.edge.get(request, &slow).await;
        assert_eq!(response.expect("a response").body, target);
        assert_eq!(fixture.is_hit(target).await, stored, "{target}");
    }
}

#[tokio::test]
async fn documented_rules_hold_in_every_reading() {
    for (copy, path, drops) in [
        ("/a", "/a", true),
        ("/a", "/A", false),
        ("/a", "/b", false),
        ("/a", "/a/", false),
        ("/a/", "/a", false),
        ("/a?x=1", "/a", false),
        ("/a", "/a?x=1", false),
        ("/a?x=1", "/a?x=1", true),
        ("/a?x=1", "/a?x=1*", true),
        ("/a?x=12", "/a?x=1*", true),
        ("/a?x=2", "/a?x=1*", false),
        ("/ab?x=1", "/a?x=1*", false),
        ("/a", "/a?*", false),
        ("/a?x=1", "/a*", true),
        ("/a", "/a*", true),
        ("/ab/c", "/a*", true),
        ("/b", "/a*", false),
        ("/Ab", "/a*", false),
        ("/", "/*", true),
        ("/a/b?x=1", "/*", true),
        ("/dir/a", "/dir/*", true),
        ("/dir/sub/a", "/dir/*", true),
        ("/dir", "/dir/*", false),
        ("/dir/", "/dir*", true),
        ("/dir/", "/d*", true),
        ("/%C3%A9", "/%C3%A9", true),
        ("/a%20b", "/a%20b", true),
        ("/a+b", "/a%20b", false),
        ("/a+b", "/a+b", true),
    ] {
        for mut fixture in [
            strict(behavior(QueryKey::All)),
            lenient(behavior(QueryKey::All)),
        ] {
            fixture.get(copy).await;
            fixture.invalidate_and_complete(&[path]);
            assert_eq!(!fixture.is_hit(copy).await, drops, "{copy} by {path}");
        }
    }
}

/// Returns a behavior whose function appends the name of the index document.
fn index_documents() -> EdgeBehavior {
    EdgeBehavior {
        rewrite: Some(Arc::new(|path: &str| {
            if path.ends_with('/') {
                format!("{path}index.html")
            } else {
                path.to_owned()
            }
        })),
        ..behavior(QueryKey::All)
    }
}

/// Returns whether the invalidations, one after the other, drop a copy.
async fn is_dropped(mut fixture: Fixture, copy: &str, invalidations: &[&[&str]]) -> bool {
    fixture.get(copy).await;
    for paths in invalidations {
        fixture.invalidate_and_complete(paths);
    }
    !fixture.is_hit(copy).await
}

#[tokio::test]
async fn contested_matches_need_every_reading_in_the_strict_mode_and_any_in_the_lenient_one() {
    for (copy, paths, strictly, leniently) in [
        // Spelling: needless escapes.
        ("/a%40b", &["/a@b"][..], false, true),
        ("/a%40b", &["/a%40b"], false, true),
        ("/a%40b", &["/a%40b", "/a@b"], true, true),
        ("/a@b", &["/a@b"], true, true),
        ("/a@b", &["/a%40b"], false, true),
        ("/a%40b/c", &["/a%40b*"], false, true),
        ("/a%40b/c", &["/a@*"], false, true),
        ("/a%40b/c", &["/a*"], true, true),
        // Spelling: unsafe characters that viewers leave as they are.
        ("/a~b", &["/a%7Eb"], false, true),
        ("/a~b", &["/a~b"], false, true),
        ("/a~b", &["/a*"], true, true),
        ("/a[b", &["/a%5Bb"], false, true),
        ("/a%7Eb", &["/a%7Eb"], true, true),
        // Spelling: the case of the digits of an escape.
        ("/%c3%a9", &["/%C3%A9"], false, true),
        // Spelling: an escaped question mark does not start a query string.
        ("/a%3Fb", &["/a?b"], false, false),
        ("/a%3Fb", &["/a*"], true, true),
        ("/a%25", &["/a%25"], true, true),
        ("/a?x=%26", &["/a?x=%26"], false, true),
        ("/a?x=%20", &["/a?x=%20"], true, true),
        // The directory itself.
        ("/dir/?x=1", &["/dir/*"], false, true),
        // The viewer's and the rewritten URI.
        ("/dir/", &["/dir/"], false, true),
        ("/dir/", &["/dir/index.html"], false, true),
        ("/dir/", &["/dir/", "/dir/index.html"], true, true),
        ("/dir/", &["/dir/*"], false, true),
        ("/dir/", &["/dir/*", "/dir/"], true, true),
        ("/dir/", &["/dir/i*"], false, true),
        ("/dir/", &["/dir*"], true, true),
        ("/dir/index.html", &["/dir/index.html"], true, true),
        ("/", &["/index.html"], false, true),
        ("/", &["/*"], true, true),
    ] {
        let dropped = is_dropped(strict(index_documents()), copy, &[paths]).await;
        assert_eq!(dropped, strictly, "{copy} strictly by {paths:?}");
        let dropped = is_dropped(lenient(index_documents()), copy, &[paths]).await;
        assert_eq!(dropped, leniently, "{copy} leniently by {paths:?}");
    }
}

#[tokio::test]
async fn several_invalidations_can_drop_a_copy_together() {
    for (invalidations, dropped) in [
        (&[&["/%40/"][..], &["/@/"]][..], false),
        (&[&["/%40/", "/%40/index.html"], &["/@/"]], false),
        (
            &[&["/%40/", "/%40/index.html"], &["/@/", "/@/index.html"]],
            true,
        ),
        (&[&["/%40/"], &["/%40/index.html"], &["/@/*", "/@/"]], true),
    ] {
        let actual = is_dropped(strict(index_documents()), "/%40/", invalidations).await;
        assert_eq!(actual, dropped, "{invalidations:?}");
    }
    // A new copy starts again.
    let mut fixture = strict(behavior(QueryKey::None));
    fixture.get("/a%40b").await;
    fixture.invalidate_and_complete(&["/a@b"]);
    fixture.invalidate_and_complete(&["/a*"]);
    assert!(!fixture.is_hit("/a%40b").await);
    fixture.invalidate_and_complete(&["/a%40b"]);
    assert!(fixture.is_hit("/a%40b").await);
}

#[tokio::test]
async fn tags_need_the_header_of_the_distribution() {
    let fifty_one = (0..51)
        .map(|tag| format!("t{tag}"))
        .collect::<Vec<_>>()
        .join(",");
    let header = Some("x-amz-meta-cache-tag");
    for (tag_header, value, item, drops) in [
        (header, "product:42, Blog", "#product:42", true),
        (header, "product:42, Blog", "#BLOG", true),
        (header, "product:42", "#product", false),
        (header, "product", "/product", false),
        (header, &fifty_one, "#t49", true),
        (header, &fifty_one, "#t50", false),
        (None, "blog", "#blog", false),
        (Some("Cache-Tag"), "blog", "#blog", false),
    ] {
        for matching in [Matching::Strict, Matching::Lenient] {
            let options = EdgeOptions {
                matching,
                ..EdgeOptions::default()
            };
            let distribution = EdgeDistribution {
                tag_header: tag_header.map(str::to_owned),
                ..distribution(behavior(QueryKey::None))
            };
            let mut fixture = Fixture::new(options, distribution);
            fixture.site = Site::new(200, &[("X-Amz-Meta-Cache-Tag", value)]);
            let dropped = is_dropped_by(&mut fixture, item).await;
            assert_eq!(dropped, drops, "{tag_header:?} {value} {item}");
        }
    }
}

async fn is_dropped_by(fixture: &mut Fixture, item: &str) -> bool {
    fixture.get("/a").await;
    fixture.invalidate_and_complete(&[item]);
    !fixture.is_hit("/a").await
}

#[tokio::test]
async fn copies_without_the_tag_header_carry_no_tag() {
    let mut fixture = Fixture::new(
        EdgeOptions::default(),
        EdgeDistribution {
            tag_header: Some("cache-tag".to_owned()),
            ..distribution(behavior(QueryKey::None))
        },
    );
    fixture.get("/a").await;
    fixture.site = Site::new(200, &[("cache-tag", "blog")]);
    fixture.invalidate_and_complete(&["#blog"]);
    assert!(fixture.is_hit("/a").await, "cached before it was tagged");
}

#[tokio::test]
async fn an_invalidation_drops_copies_of_its_distribution_only() {
    let mut fixture = strict(behavior(QueryKey::None));
    fixture.edge.set_distribution(EdgeDistribution {
        id: "E2EXAMPLE".to_owned(),
        hosts: vec!["d2example.cloudfront.net".to_owned()],
        behaviors: vec![behavior(QueryKey::None)],
        ..EdgeDistribution::default()
    });
    let request = ViewerRequest {
        host: "d2example.cloudfront.net",
        target: "/a",
        accept_encoding: "",
        pop: 0,
    };
    let slow = SlowSite(fixture.clock.clone());
    fixture.invalidate(&["/*"]);
    for x_cache in ["Miss from cloudfront", "Hit from cloudfront"] {
        let response = fixture.edge.get(request, &slow).await;
        let response = response.expect("a response");
        assert_eq!(response.header("X-Cache"), Some(x_cache));
        fixture.invalidate_and_complete(&["/*"]);
    }
}

#[tokio::test]
async fn an_error_that_has_expired_is_not_a_dropped_copy() {
    let mut fixture = strict(behavior(QueryKey::None));
    fixture.site = Site::new(404, &[]);
    fixture.get("/a").await;
    fixture.clock.advance(Duration::from_secs(10));
    fixture.invalidate_and_complete(&["/a"]);
    assert_eq!(fixture.edge.counters().dropped_copies, 0);
}

#[tokio::test]
async fn counters_and_dropped_copies_are_complete() {
    let mut fixture = strict(behavior(QueryKey::All));
    for (pop, target) in [(0, "/a"), (0, "/a"), (1, "/a?x=1"), (2, "/b")] {
        fixture.get_from(pop, target, "").await;
    }
    let created = fixture.clock.now();
    fixture.invalidate(&["/a*"]);
    let counters = |requests, origin_requests, dropped_copies| EdgeCounters {
        requests,
        origin_requests,
        dropped_copies,
    };
    assert_eq!(fixture.edge.counters(), counters(4, 3, 0));
    fixture.clock.advance(COMPLETES_AFTER);
    assert_eq!(fixture.edge.counters(), counters(4, 3, 2));
    let dropped = fixture.edge.drain_dropped();
    let summary: Vec<_> = dropped
        .iter()
        .map(|copy| (copy.distribution.as_str(), copy.pop, copy.target.as_str()))
        .collect();
    assert_eq!(
        summary,
        [("E1EXAMPLE", 0, "/a"), ("E1EXAMPLE", 1, "/a?x=1")]
    );
    let progress = created..created + COMPLETES_AFTER;
    assert!(dropped.iter().all(|copy| progress.contains(&copy.time)));
    assert_eq!(fixture.edge.drain_dropped(), []);
    fixture.edge.clear();
    assert_eq!(fixture.edge.counters(), counters(0, 0, 0));
    assert!(!fixture.is_hit("/b").await);
}

#[test]
fn configurations_are_read_as_documented() {
    let list = include_str!("../../distributions/list.xml");
    let (mut summaries, next) = configuration::summaries(list).expect("a list");
    assert_eq!(next.as_deref(), Some("E4EXAMPLE1ABC"));
    let hosts = [
        "d111111abcdef8.cloudfront.net",
        "www.example.com",
        "example.com",
    ];
    assert_eq!(
        (summaries[0].id.as_str(), &summaries[0].hosts[..]),
        ("E1EXAMPLE1ABC", &hosts.map(str::to_owned)[..])
    );
    let last = include_str!("../../distributions/list-2.xml");
    assert_eq!(configuration::summaries(last).expect("a list").1, None);
    let policy = configuration::policy(include_str!("../../distributions/cache-policy.xml"));
    let policy = policy.expect("a policy");
    assert_eq!(policy, QueryKey::Only(names(&["lang"])));
    let single_page = include_str!("../../distributions/single-page.xml");
    assert!(
        configuration::policy_ids(single_page)
            .expect("a configuration")
            .is_empty()
    );
    let own = single_page
        .replace("658327ea-f89d-4fab-a63d-7e88639e58f6", "own")
        .replace(
            "<Comment>",
            "<CacheTagConfig><HeaderName>cache-tag</HeaderName></CacheTagConfig><Comment>",
        )
        .replace(
            "<ErrorCode>403</ErrorCode>",
            "<ErrorCode>500</ErrorCode><ResponseCode>404</ResponseCode>",
        )
        .replace(
            "<ErrorCode>404</ErrorCode>",
            "<ErrorCode>404</ErrorCode><ResponseCode>404</ResponseCode>",
        )
        .replacen("TTL>10<", "TTL>60<", 1);
    let ids = configuration::policy_ids(&own).expect("a configuration");
    assert_eq!(ids.iter().collect::<Vec<_>>(), ["own"]);
    let policies = BTreeMap::from([("own".to_owned(), policy.clone())]);
    let read = configuration::distribution(summaries.remove(0), &own, &policies);
    let read = read.expect("a configuration");
    assert_eq!(read.tag_header.as_deref(), Some("cache-tag"));
    let minute = Duration::from_secs(60);
    assert_eq!(read.error_caching, [(404, minute), (500, minute)].into());
    let behavior = read.behaviors.last().expect("a behavior");
    assert_eq!((&behavior.path_pattern[..], behavior.compress), ("*", true));
    assert_eq!(behavior.query_strings, policy);
    assert_eq!(behavior.rewritten("/"), "/index.html");
    assert_eq!(behavior.rewritten("/a/"), "/a/");
}

#[test]
fn legacy_settings_select_query_strings() {
    let legacy = include_str!("../../distributions/legacy.xml");
    let summary = configuration::Summary {
        id: String::new(),
        hosts: Vec::new(),
    };
    let read = configuration::distribution(summary, legacy, &BTreeMap::new());
    let behaviors = read.expect("a configuration").behaviors;
    let behaviors = behaviors
        .into_iter()
        .map(|behavior| (behavior.path_pattern, behavior.query_strings));
    let expected = [
        ("/search/*", QueryKey::Only(names(&["q", "page"]))),
        ("*.php", QueryKey::All),
        ("help/*", QueryKey::None),
        ("*", QueryKey::None),
    ];
    let expected = expected.map(|(pattern, key)| (pattern.to_owned(), key));
    assert_eq!(behaviors.collect::<Vec<_>>(), expected);
}
