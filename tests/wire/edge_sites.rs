//! Sites in the stand-in's process: what viewers get of the objects in its buckets.

use std::time::Duration;

use crate::edge::{get_from, invalidate, send, send_to};
use crate::standin::{
    BucketOptions, Clock, EdgeDistribution, EdgeOptions, Fault, Object, Operation, Options,
    OriginResponse, OriginServer, ReceivedViewerRequest, Refusal, SiteOrigin, Standin,
};

const ID: &str = "E1EXAMPLE1ABC";
const HOST: &str = "d1example.cloudfront.net";
const ALIAS: &str = "www.example.com";
const BUCKET: &str = "example-site";

fn start() -> Standin {
    Standin::start(Options {
        edge: Some(EdgeOptions::default()),
        clock: Clock::frozen(),
        ..Options::default().with_distribution(ID)
    })
}

fn site() -> SiteOrigin {
    SiteOrigin {
        distribution: EdgeDistribution::new(ID, &[HOST, ALIAS])
            .with_default_root_object("index.html"),
        bucket: BUCKET.to_owned(),
        ..SiteOrigin::default()
    }
}

fn start_site() -> Standin {
    let standin = start();
    standin.set_site(site());
    standin
}

/// Returns the status, the values of these headers, and the body; a missing header is `-`.
fn page(standin: &Standin, target: &str, headers: &[&str]) -> Vec<String> {
    page_from(&standin.url(), ALIAS, target, headers)
}

/// Returns the same for a request to one of the ports.
fn page_from(url: &str, host: &str, target: &str, headers: &[&str]) -> Vec<String> {
    let (head, body) = get_from(url, host, target);
    let status = head.split(' ').nth(1).unwrap_or_default();
    let header = |name: &&str| {
        let lines = head.lines().map(|line| line.split_once(": "));
        let mut headers = lines.flatten();
        let found = headers.find(|(header, _)| header == name);
        found.map_or("-", |(_, value)| value).to_owned()
    };
    let values = headers.iter().map(header);
    std::iter::once(status.to_owned())
        .chain(values)
        .chain([body])
        .collect()
}

#[test]
fn a_miss_returns_the_object_with_the_headers_of_s3() {
    let standin = start_site();
    standin.put_object(BUCKET, "index.html", "first");
    standin.advance(Duration::from_secs(60));
    let headers = [
        "content-type",
        "last-modified",
        "etag",
        "accept-ranges",
        "server",
        "x-cache",
        "age",
    ];
    let modified = "Thu, 01 Jan 2026 00:00:00 GMT";
    let etag = "\"8b04d5e3775d298e78455efc5ca404d5\"";
    let object = ["200", "text/html", modified, etag, "bytes", "AmazonS3"];
    let missed = [&object[..], &["Miss from cloudfront", "-", "first"]].concat();
    assert_eq!(page(&standin, "/", &headers), missed);
    standin.put_object(BUCKET, "index.html", "second");
    standin.advance(Duration::from_secs(7));
    let hit = [&object[..], &["Hit from cloudfront", "7", "first"]].concat();
    assert_eq!(page(&standin, "/", &headers), hit);
    invalidate(&standin, "/*");
    standin.advance(Duration::from_secs(14));
    let headers = ["last-modified", "etag", "x-cache"];
    let expected = [
        "200",
        "Thu, 01 Jan 2026 00:01:00 GMT",
        "\"a9f0e61a137d86aa9db53465e0801612\"",
        "Miss from cloudfront",
        "second",
    ];
    assert_eq!(page(&standin, "/index.html", &headers), expected);
}

#[test]
fn the_server_decodes_the_path_after_the_origin_path() {
    let key = "v1/a b+c/ü.txt";
    for (server, target, status) in [
        (OriginServer::S3, "/a+b%2Bc/%C3%BC.txt", "200"),
        (OriginServer::S3, "/a%20b%2bc/%c3%bc.txt?x=1", "200"),
        (OriginServer::S3, "/a%20b+c/%C3%BC.txt", "403"),
        (OriginServer::Nginx, "/a%20b+c/%C3%BC.txt", "200"),
        (OriginServer::Nginx, "/a+b+c/%C3%BC.txt", "404"),
    ] {
        let standin = start();
        standin.set_site(SiteOrigin {
            origin_path: "/v1".to_owned(),
            server,
            ..site()
        });
        standin.put_object(BUCKET, key, "text");
        assert_eq!(
            page(&standin, target, &[])[0],
            status,
            "{server:?} {target}"
        );
    }
}

#[test]
fn a_missing_key_is_an_error_of_the_origin() {
    let denied = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>";
    let no_such_key = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>";
    let not_found = "<h1>404 Not Found</h1>\n";
    for (server, cloudfront_lists, status, name, body) in [
        (OriginServer::S3, false, "403", "AmazonS3", denied),
        (OriginServer::S3, true, "404", "AmazonS3", no_such_key),
        (OriginServer::Nginx, false, "404", "nginx", not_found),
    ] {
        let standin = start();
        standin.set_site(SiteOrigin { server, ..site() });
        standin.set_bucket_options(
            BUCKET,
            BucketOptions {
                cloudfront_lists,
                ..BucketOptions::default()
            },
        );
        standin.put_object(BUCKET, "a", "text");
        standin.delete_object(BUCKET, "a");
        let expected = [status, name, "Error from cloudfront", "-", body];
        let headers = ["server", "x-cache", "age"];
        assert_eq!(page(&standin, "/a", &headers), expected, "{server:?}");
    }
}

#[test]
fn an_object_can_have_other_headers() {
    let standin = start_site();
    let object = Object::from("text")
        .with_etag("\"0123-2\"")
        .with_modified(standin.now() - Duration::from_secs(60))
        .with_header("content-type", "text/plain; charset=utf-8")
        .with_header("Cache-Control", "max-age=60");
    standin.put_object(BUCKET, "a.html", object);
    let headers = ["etag", "last-modified", "content-type", "cache-control"];
    let expected = [
        "200",
        "\"0123-2\"",
        "Wed, 31 Dec 2025 23:59:00 GMT",
        "text/plain; charset=utf-8",
        "max-age=60",
        "text",
    ];
    assert_eq!(page(&standin, "/a.html", &headers), expected);
}

#[test]
fn a_servers_etag_is_no_md5() {
    let standin = start();
    standin.set_site(SiteOrigin {
        server: OriginServer::Nginx,
        ..site()
    });
    standin.put_object(BUCKET, "a.html", "text");
    let expected = ["200", "nginx", "\"6955b900-4\"", "text"];
    assert_eq!(page(&standin, "/a.html", &["server", "etag"]), expected);
}

#[test]
fn a_test_can_replace_the_response_to_a_path() {
    let standin = start_site();
    standin.put_object(BUCKET, "old", "object");
    let redirect = OriginResponse {
        status: 301,
        headers: vec![("Location".to_owned(), "/new".to_owned())],
        body: "moved".into(),
    };
    standin.set_response(ID, "/old", Some(redirect));
    let redirected = ["301", "/new", "Miss from cloudfront", "moved"];
    let headers = ["location", "x-cache"];
    assert_eq!(page(&standin, "/old?x=1", &headers), redirected);
    standin.edge().delete_copies(ID);
    standin.set_response(ID, "/old", None);
    let object = ["200", "-", "Miss from cloudfront", "object"];
    assert_eq!(page(&standin, "/old", &headers), object);
}

/// Sends a HeadObject that is signed for this region, and returns the head without the server's date, and the body.
fn head_object(standin: &Standin, path: &str, region: &str) -> (Vec<String>, Vec<u8>) {
    let credential = format!("AKIDEXAMPLE/20260101/{region}/s3/aws4_request");
    let request = format!(
        "HEAD {path} HTTP/1.1\nHost: 127.0.0.1\nAuthorization: AWS4-HMAC-SHA256 \
         Credential={credential}, SignedHeaders=host, Signature=00\nConnection: close\n\n"
    );
    let (head, body) = send(standin, &request);
    let lines = head.lines().filter(|line| !line.is_empty());
    (lines.map(str::to_owned).collect(), body)
}

#[test]
fn head_object_returns_the_headers_of_an_object_and_no_body() {
    let standin = start();
    standin.put_object(BUCKET, "a b+c/ü.html", "first");
    standin.put_object(
        BUCKET,
        "encrypted",
        Object::from("text").with_etag("\"01\""),
    );
    let (head, body) = head_object(&standin, "/example-site/a%20b%2Bc/%C3%BC.html", "eu-west-1");
    let expected = [
        "HTTP/1.1 200 OK",
        "etag: \"8b04d5e3775d298e78455efc5ca404d5\"",
        "last-modified: Thu, 01 Jan 2026 00:00:00 GMT",
        "content-length: 5",
        "content-type: text/html",
        "accept-ranges: bytes",
        "x-amz-request-id: 00000000-0000-4000-8000-000000000000",
        "date: Thu, 01 Jan 2026 00:00:00 GMT",
        "connection: close",
    ];
    assert_eq!((sorted(head), body), (sorted(expected), Vec::new()));
    let (head, _) = head_object(&standin, "/example-site/encrypted", "eu-west-1");
    assert!(head.contains(&"etag: \"01\"".to_owned()), "{head:?}");
    assert_eq!(standin.calls(), [Operation::HeadObject; 2]);
    assert_eq!(standin.round_trips(), 0, "round trips to CloudFront");
}

fn sorted(lines: impl IntoIterator<Item = impl Into<String>>) -> Vec<String> {
    let mut lines: Vec<String> = lines.into_iter().map(Into::into).collect();
    lines.sort();
    lines
}

#[test]
fn head_object_has_the_errors_of_s3() {
    let standin = start();
    let options = |denies_head_object, region: Option<&str>| BucketOptions {
        denies_head_object,
        region: region.map(str::to_owned),
        ..BucketOptions::default()
    };
    for (bucket, options) in [
        ("open", options(false, None)),
        ("denied", options(true, None)),
        ("far", options(true, Some("us-west-2"))),
        ("near", options(false, Some("eu-west-1"))),
    ] {
        standin.put_object(bucket, "a", "text");
        standin.set_bucket_options(bucket, options);
    }
    for (path, status, region) in [
        ("/open/a", "200 OK", None),
        ("/open/b", "404 Not Found", None),
        ("/none/a", "404 Not Found", None),
        ("/denied/a", "403 Forbidden", None),
        ("/far/a", "301 Moved Permanently", Some("us-west-2")),
        ("/near/a", "200 OK", None),
    ] {
        let (head, body) = head_object(&standin, path, "eu-west-1");
        assert_eq!(head[0], format!("HTTP/1.1 {status}"), "{path}");
        let mut lines = head.iter();
        let actual = lines.find_map(|line| line.strip_prefix("x-amz-bucket-region: "));
        assert_eq!((actual, body), (region, Vec::new()), "{path}");
    }
}

#[test]
fn planned_faults_apply_to_head_object() {
    let standin = start();
    standin.put_object(BUCKET, "a", "text");
    let head_object = || head_object(&standin, "/example-site/a", "eu-west-1");
    for (fault, status) in [
        (Fault::AccessDenied, "403 Forbidden"),
        (Fault::SlowDown, "503 Service Unavailable"),
        (Fault::InternalError, "500 Internal Server Error"),
    ] {
        standin.fail(Operation::HeadObject, fault, 1);
        let (head, body) = head_object();
        assert_eq!(head[0], format!("HTTP/1.1 {status}"), "{fault:?}");
        assert_eq!(body, Vec::<u8>::new(), "{fault:?}");
    }
    assert_eq!(head_object().0[0], "HTTP/1.1 200 OK");
    assert_eq!(standin.failed_calls(), [Operation::HeadObject; 3]);
}

#[test]
fn a_viewer_selects_a_pop_by_its_port() {
    let standin = start_site();
    assert_eq!(standin.pop_names(), ["FRA50-P1", "IAD50-P2", "NRT50-P3"]);
    let ashburn_by_name = "d1example.iad50-p2.cloudfront.net";
    let headers = ["x-amz-cf-pop", "x-cache"];
    let responses = [
        (standin.url(), ALIAS, ["FRA50-P1", "Miss", "1"]),
        (standin.pop_url(1), ALIAS, ["IAD50-P2", "Miss", "2"]),
        (standin.pop_url(0), HOST, ["FRA50-P1", "Hit", "1"]),
        (standin.url(), ashburn_by_name, ["IAD50-P2", "Hit", "2"]),
        (
            standin.pop_url(2),
            ashburn_by_name,
            ["NRT50-P3", "Miss", "5"],
        ),
    ];
    for (version, (url, host, [pop, x_cache, body])) in (1..).zip(responses) {
        standin.put_object(BUCKET, "index.html", version.to_string());
        let x_cache = format!("{x_cache} from cloudfront");
        let expected = ["200", pop, &x_cache, body];
        let actual = page_from(&url, host, "/", &headers);
        assert_eq!(actual, expected, "{url} {host}");
    }
}

#[test]
fn the_port_of_a_pop_has_no_apis() {
    let standin = start_site();
    for host in ["127.0.0.1", "cloudfront.amazonaws.com", "other.example.com"] {
        for target in ["/2020-05-31/distribution", "/_standin/invalidations"] {
            let status = &page_from(&standin.pop_url(0), host, target, &[])[0];
            assert_eq!(status, "403", "{host} {target}");
        }
    }
    assert_eq!(standin.calls(), []);
}

#[test]
fn get_distribution_returns_the_domain_name_of_a_site() {
    let standin = start_site();
    let config = "<DistributionConfig><Enabled>true</Enabled></DistributionConfig>";
    standin.set_document("distribution/E1EXAMPLE1ABC/config", config);
    invalidate(&standin, "/a");
    let (_, document) = get_from(
        &standin.url(),
        "127.0.0.1",
        "/2020-05-31/distribution/E1EXAMPLE1ABC",
    );
    let expected = format!(
        "<InProgressInvalidationBatches>1</InProgressInvalidationBatches>\
         <DomainName>{HOST}</DomainName>{config}</Distribution>"
    );
    assert!(document.ends_with(&expected), "{document}");
}

#[test]
fn cloudfront_rejects_requests_before_its_cache() {
    let standin = start_site();
    standin.put_object(BUCKET, "private/a", "text");
    let headers = ["server", "x-cache", "age", "x-amz-cf-pop", "content-type"];
    let served = |x_cache, age| {
        let octets = "binary/octet-stream";
        ["200", "AmazonS3", x_cache, age, "FRA50-P1", octets, "text"].map(str::to_owned)
    };
    let get = || page(&standin, "/private/a?x=1", &headers);
    assert_eq!(get(), served("Miss from cloudfront", "-"));
    let html = |reason| {
        format!(
            "<HTML><HEAD><TITLE>ERROR: The request could not be satisfied</TITLE></HEAD><BODY>\n\
             <H1>403 ERROR</H1>\n<H2>The request could not be satisfied.</H2>\n{reason}\n\
             Generated by cloudfront (CloudFront)\n</BODY></HTML>"
        )
    };
    let country =
        "The Amazon CloudFront distribution is configured to block access from your country.";
    let missing_key = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>MissingKey</Code>\
         <Message>Missing Key-Pair-Id query parameter or cookie value</Message></Error>";
    for (pattern, refusal, content_type, body) in [
        ("*", Refusal::Blocked, "text/html", html("Request blocked.")),
        ("*", Refusal::Country, "text/html", html(country)),
        (
            "/private/*",
            Refusal::MissingKey,
            "text/xml",
            missing_key.to_owned(),
        ),
    ] {
        standin.refuse_viewers(ID, pattern, Some(refusal));
        let error = "Error from cloudfront";
        let expected = [
            "403",
            "CloudFront",
            error,
            "-",
            "FRA50-P1",
            content_type,
            &body,
        ];
        assert_eq!(get(), expected, "{refusal:?}");
        standin.refuse_viewers(ID, pattern, None);
    }
    standin.refuse_viewers(ID, "/other/*", Some(Refusal::Blocked));
    assert_eq!(get(), served("Hit from cloudfront", "0"));
    assert_eq!(standin.edge().counters().origin_requests, 1);
}

#[test]
fn a_host_of_no_distribution_is_rejected_by_cloudfront() {
    let standin = start_site();
    let expected = ["403", "CloudFront", "Error from cloudfront"];
    let headers = ["server", "x-cache"];
    for (url, host) in [
        (standin.url(), "d0.cloudfront.net"),
        (standin.pop_url(1), "other.example.com"),
    ] {
        assert_eq!(page_from(&url, host, "/", &headers)[..3], expected);
    }
}

#[test]
fn requests_of_viewers_are_recorded() {
    let standin = start_site();
    standin.put_object(BUCKET, "a", "text");
    standin.refuse_viewers(ID, "/a", Some(Refusal::Blocked));
    let alias_with_port = format!("{ALIAS}:443");
    let by_name = "d1example.iad50-p2.cloudfront.net";
    let no_pop = "d1example.muc50-p1.cloudfront.net";
    let requests = [
        (standin.url(), "GET", HOST, "/?x=1", Some(0), "200"),
        (
            standin.pop_url(2),
            "HEAD",
            &alias_with_port,
            "/a",
            Some(2),
            "405",
        ),
        (standin.url(), "GET", by_name, "/a", Some(1), "403"),
        (standin.url(), "GET", no_pop, "/a", None, "404"),
        (
            standin.pop_url(0),
            "GET",
            "other.example.com",
            "/",
            Some(0),
            "403",
        ),
    ];
    standin.put_object(BUCKET, "index.html", "text");
    for (url, method, host, target, _, status) in &requests {
        let request = format!(
            "{method} {target} HTTP/1.1\nHost: {host}\nAccept-Encoding: gzip, br\n\
             User-Agent: test\nConnection: close\n\n"
        );
        let (head, _) = send_to(url, &request);
        assert_eq!(head.split(' ').nth(1), Some(*status), "{host}{target}");
    }
    get_from(&standin.url(), "127.0.0.1", "/2020-05-31/distribution");
    let expected = requests.map(|(_, method, host, target, pop, _)| {
        let headers = [
            ("host", host),
            ("accept-encoding", "gzip, br"),
            ("user-agent", "test"),
            ("connection", "close"),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
        ReceivedViewerRequest {
            pop,
            method: method.to_owned(),
            host: host.to_owned(),
            target: target.to_owned(),
            headers: headers.into(),
        }
    });
    let received = standin.viewer_requests();
    assert_eq!(received, expected);
    assert_eq!(received[0].accept_encoding(), Some("gzip, br"));
    standin.reset();
    assert_eq!(standin.viewer_requests(), []);
    assert_eq!(
        page(&standin, "/a", &[])[0],
        "200",
        "no refusals, but objects"
    );
}
