//! `verify` and `create --verify`: whether the edge returns the current version of URLs.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use crate::environment::{APP, Environment, FIRST, account};
use crate::standin::{
    BucketOptions, Clock, EdgeDistribution, EdgeOptions, Fault, Object, Operation, Options,
    OriginResponse, OriginServer, Refusal, SiteOrigin,
};

const DOMAIN: &str = "d111111abcdef8.cloudfront.net";
const HOST: &str = "www.example.com";
const BUCKET: &str = "site";

/// The two requests for each URL.
const BROWSER: &str = "gzip, br";

fn options() -> Options {
    Options {
        edge: Some(EdgeOptions::default()),
        clock: Clock::frozen(),
        completes_after: Duration::ZERO,
        ..account()
    }
}

fn site(server: OriginServer) -> SiteOrigin {
    SiteOrigin {
        distribution: EdgeDistribution::new(FIRST, &[DOMAIN, HOST, "example.com"])
            .with_default_root_object("index.html"),
        bucket: BUCKET.to_owned(),
        server,
        ..SiteOrigin::default()
    }
}

/// A distribution with a site, whose bucket nobody but CloudFront may read.
fn environment(name: &str) -> Environment {
    let environment = Environment::with_options(name, options());
    environment.standin.set_site(site(OriginServer::S3));
    let options = BucketOptions {
        denies_head_object: true,
        ..BucketOptions::default()
    };
    environment.standin.set_bucket_options(BUCKET, options);
    environment
}

/// Requests a URL as a visitor before the verification, so that the edge has copies of both encodings.
fn visit(environment: &Environment, targets: &[&str]) {
    visit_at(&environment.standin.url(), targets);
}

/// Requests URLs at one of the POPs.
fn visit_at(url: &str, targets: &[&str]) {
    let address = url.replace("http://", "");
    for target in targets {
        for accept_encoding in [BROWSER, "identity"] {
            let mut connection = TcpStream::connect(&address).expect("a connection");
            let request = format!(
                "GET {target} HTTP/1.1\r\nHost: {HOST}\r\nAccept-Encoding: {accept_encoding}\r\n\
                 Connection: close\r\n\r\n"
            );
            connection.write_all(request.as_bytes()).expect("a request");
            connection.read_to_end(&mut Vec::new()).expect("a response");
        }
    }
}

/// Uploads a first version, which a visitor gets, and a minute later a second one.
fn publish(environment: &Environment, keys: &[&str], targets: &[&str]) {
    for key in keys {
        environment.standin.put_object(BUCKET, key, "first version");
    }
    visit(environment, targets);
    environment.standin.advance(Duration::from_secs(60));
    for key in keys {
        environment
            .standin
            .put_object(BUCKET, key, "second version");
    }
}

/// Invalidates paths as another program does, in the spelling given.
fn invalidate(environment: &Environment, reference: &str, paths: &[&str]) {
    let items: String = paths
        .iter()
        .map(|path| format!("<Path>{path}</Path>"))
        .collect();
    let body = format!(
        "<InvalidationBatch xmlns=\"http://cloudfront.amazonaws.com/doc/2020-05-31/\"><Paths><Quantity>{}</Quantity>\
         <Items>{items}</Items></Paths><CallerReference>{reference}</CallerReference></InvalidationBatch>",
        paths.len()
    );
    let address = environment.standin.url().replace("http://", "");
    let mut connection = TcpStream::connect(address).expect("a connection");
    let head = format!(
        "POST /2020-05-31/distribution/{FIRST}/invalidation HTTP/1.1\r\nHost: cloudfront.amazonaws.com\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    connection
        .write_all((head + &body).as_bytes())
        .expect("a request");
    let mut response = String::new();
    connection
        .read_to_string(&mut response)
        .expect("a response");
    assert!(response.starts_with("HTTP/1.1 201"), "{response}");
}

/// Returns the verdict on each URL of a JSON output, by its path.
fn verdicts(output: &Value) -> Vec<(String, String)> {
    let output = output.get("verification").unwrap_or(output);
    let urls = output["urls"].as_array().expect("URLs").iter();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let verdicts = urls.map(|url| {
        let path = text(&url["url"]).replace(&format!("https://{HOST}"), "");
        (path, text(&url["verdict"]))
    });
    verdicts.collect()
}

fn json(output: &crate::environment::ProgramOutput) -> Value {
    serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn expected(verdicts: &[(&str, &str)]) -> Vec<(String, String)> {
    let verdicts = verdicts.iter();
    verdicts
        .map(|(path, verdict)| ((*path).to_owned(), (*verdict).to_owned()))
        .collect()
}

#[test]
fn shows_which_urls_are_fresh_stale_gone_and_unknown() {
    let mut environment = environment("verify-verdicts");
    let keys = ["index.html", "a.html", "a+b.html", "old.html"];
    publish(
        &environment,
        &keys,
        &["/", "/a.html", "/a%2Bb.html", "/old.html"],
    );
    environment.standin.delete_object(BUCKET, "old.html");
    // In the strict reading of the documentation, a path with an encoded plus matches no copy.
    invalidate(
        &environment,
        "1",
        &["/", "/a.html", "/old.html", "/a%2Bb.html"],
    );
    environment.standin.advance(Duration::from_secs(3));
    environment.run(&format!(
        "verify -d {FIRST} / /a.html /a%2Bb.html /old.html /never/covered.html"
    ));
    environment.standin.advance(Duration::from_secs(30));
    environment.run(&format!(
        "verify -d {FIRST} / /a%2Bb.html /never/covered.html -v --output json"
    ));
    environment.run(&format!("verify -d {FIRST} /a%2Bb.html -v"));
    environment.snapshot("verify-verdicts");
}

#[test]
fn create_waits_and_verifies() {
    let mut environment = environment("verify-create");
    publish(
        &environment,
        &["index.html", "blog/a.html"],
        &["/", "/blog/a.html"],
    );
    environment.run(&format!("create -d {FIRST} / /blog/* --verify"));
    environment.run(&format!(
        "create -d {FIRST} / --verify --no-checks --output json"
    ));
    // Nobody sees the change: the copy of another spelling stays.
    publish(&environment, &["x+y.html"], &["/x%2By.html", "/x+y.html"]);
    invalidate(&environment, "1", &["/x%2By.html"]);
    environment.run(&format!("create -d {FIRST} /x%2By.html --verify --dry-run"));
    environment.run(&format!("create -d {FIRST} /a.html --verify --wait=0"));
    environment.run(&format!("create -d {FIRST} /a.html --from FRA50-P1"));
    environment.snapshot("verify-create");
}

#[test]
fn asks_the_edge_as_a_browser_does() {
    let mut environment = environment("verify-requests");
    environment.standin.put_object(BUCKET, "a b.html", "text");
    invalidate(&environment, "1", &["/*"]);
    let output = environment.run(&format!(
        "verify -d {FIRST} --output json https://{HOST}/a%20b.html"
    ));
    assert_eq!(output.code, 0, "{output:?}");
    let requests = environment.standin.viewer_requests();
    let requests: Vec<_> = requests
        .iter()
        .map(|request| {
            (
                request.method.as_str(),
                request.host.as_str(),
                request.target.as_str(),
                request.accept_encoding(),
            )
        })
        .collect();
    // S3 reads a plus as a space, so that viewers get the object under both.
    assert_eq!(
        requests,
        [
            ("GET", HOST, "/a+b.html", Some(BROWSER)),
            ("GET", HOST, "/a+b.html", None),
            ("GET", HOST, "/a%20b.html", Some(BROWSER)),
            ("GET", HOST, "/a%20b.html", None),
        ]
    );
    let first = &environment.standin.viewer_requests()[0];
    let mut names: Vec<_> = first
        .headers
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["accept", "accept-encoding", "host", "user-agent"]);
    let agent = concat!(
        "Mozilla/5.0 (compatible; cf-invalidate/",
        env!("CARGO_PKG_VERSION"),
        ")"
    );
    assert_eq!(first.header("user-agent"), Some(agent));
}

#[test]
fn the_host_is_the_one_of_the_url_or_option_or_the_first_alias() {
    let mut environment = environment("verify-host");
    invalidate(&environment, "1", &["/*"]);
    environment.standin.put_object(BUCKET, "index.html", "text");
    for (arguments, host) in [
        ("/", HOST),
        ("https://example.com/", "example.com"),
        ("/ --host EXAMPLE.com", "example.com"),
        ("/ --host https://d111111abcdef8.cloudfront.net/", DOMAIN),
    ] {
        let before = environment.standin.viewer_requests().len();
        let output = environment.run(&format!("verify -d {FIRST} {arguments}"));
        assert_eq!(output.code, 0, "{output:?}");
        let requests = environment.standin.viewer_requests();
        assert_eq!(requests[before].host, host, "{arguments}");
    }
    environment.run(&format!(
        "verify -d {FIRST} https://example.com/ https://www.example.com/"
    ));
    environment.run(&format!("verify -d {FIRST} https://shop.example.com/"));
    environment.run(&format!("verify -d {FIRST} / --host www.example.com/a"));
    environment.run(&format!("verify -d {FIRST}"));
    environment.snapshot("verify-host");
}

#[test]
fn a_copy_of_another_pop_can_be_old() {
    let mut environment = environment("verify-pops");
    environment
        .standin
        .put_object(BUCKET, "a+b.html", "first version");
    // Only the visitors of the second POP have requested it.
    let address = environment.standin.pop_url(1);
    visit_at(&address, &["/a%2Bb.html"]);
    environment.standin.advance(Duration::from_secs(60));
    environment
        .standin
        .put_object(BUCKET, "a+b.html", "second version");
    invalidate(&environment, "1", &["/a%2Bb.html"]);
    environment.run(&format!("verify -d {FIRST} /a%2Bb.html"));
    environment.run(&format!(
        "verify -d {FIRST} /a%2Bb.html --from fra50-p1,IAD50-P2"
    ));
    // It cannot be addressed.
    environment.run(&format!(
        "verify -d {FIRST} /a%2Bb.html --from FRA50-P1,MUC50-P1"
    ));
    environment.run(&format!("verify -d {FIRST} /a%2Bb.html --from MUC50-P1"));
    environment.run(&format!("verify -d {FIRST} /a%2Bb.html --from munich"));
    environment.snapshot("verify-pops");
}

#[test]
fn what_the_edge_refuses_is_unseen() {
    let mut environment = environment("verify-unseen");
    environment.standin.put_object(BUCKET, "index.html", "text");
    invalidate(&environment, "1", &["/*"]);
    for refusal in [Refusal::Blocked, Refusal::Country, Refusal::MissingKey] {
        environment
            .standin
            .refuse_viewers(FIRST, "*", Some(refusal));
        environment.run(&format!("verify -d {FIRST} /"));
    }
    environment.standin.refuse_viewers(FIRST, "*", None);
    environment
        .standin
        .refuse_viewers(FIRST, "private/*", Some(Refusal::Blocked));
    // One URL that is judged is enough.
    environment.run(&format!("verify -d {FIRST} / /private/a.html"));
    let status = |status| OriginResponse {
        status,
        headers: vec![("Server".into(), "AmazonS3".into())],
        body: "".into(),
    };
    for code in [401, 503] {
        environment
            .standin
            .set_response(FIRST, "/", Some(status(code)));
        environment.standin.edge().delete_copies(FIRST);
        environment.run(&format!("verify -d {FIRST} /"));
    }
    // No server listens on this port.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    environment.set("EDGE_ENDPOINT_URL", &format!("http://{address}"));
    environment.run(&format!(
        "create -d {FIRST} / --verify --no-checks --output json"
    ));
    environment.set("EDGE_ENDPOINT_URL", "edge");
    environment.run(&format!("verify -d {FIRST} /"));
    environment.snapshot("verify-unseen");
}

#[test]
fn a_redirect_is_judged_by_its_age_and_not_followed() {
    let mut environment = environment("verify-redirect");
    let redirect = OriginResponse {
        status: 301,
        headers: vec![
            ("Server".into(), "AmazonS3".into()),
            ("Location".into(), "/blog/".into()),
        ],
        body: "".into(),
    };
    environment
        .standin
        .set_response(FIRST, "/blog", Some(redirect));
    visit(&environment, &["/blog"]);
    environment.standin.advance(Duration::from_secs(60));
    invalidate(&environment, "1", &["/other"]);
    let run = |environment: &mut Environment| {
        let output = environment.run(&format!("verify -d {FIRST} /blog --output json"));
        (output.code, verdicts(&json(&output)))
    };
    assert_eq!(
        run(&mut environment),
        (3, expected(&[("/blog", "unknown")]))
    );
    invalidate(&environment, "2", &["/blog"]);
    assert_eq!(run(&mut environment), (0, expected(&[("/blog", "fresh")])));
    let requested = environment.standin.viewer_requests();
    assert!(requested.iter().all(|request| request.target == "/blog"));
}

#[test]
fn an_origin_that_sends_age_itself_makes_urls_unknown() {
    let mut environment = environment("verify-age");
    environment.standin.set_site(site(OriginServer::Nginx));
    let object = Object::from("text").with_header("Age", "500");
    environment.standin.put_object(BUCKET, "a.html", object);
    environment.standin.put_object(BUCKET, "b.html", "text");
    invalidate(&environment, "1", &["/*"]);
    environment.run(&format!("verify -d {FIRST} /a.html /b.html"));
    environment.run(&format!("verify -d {FIRST} /a.html"));
    environment.snapshot("verify-age");
}

#[test]
fn a_takedown_verifies_that_the_content_is_gone() {
    let mut environment = environment("verify-takedown");
    let keys = ["secret.pdf", "kept.pdf"];
    publish(&environment, &keys, &["/secret.pdf", "/kept.pdf"]);
    environment.standin.delete_object(BUCKET, "secret.pdf");
    environment.run(&format!("create -d {FIRST} --takedown /secret.pdf"));
    environment.run(&format!(
        "create -d {FIRST} --takedown /kept.pdf --output json"
    ));
    // Without a route to the edge, the takedown is done, with a warning.
    environment
        .standin
        .refuse_viewers(FIRST, "*", Some(Refusal::Blocked));
    environment.run(&format!("create -d {FIRST} --takedown /secret.pdf"));
    environment.run(&format!(
        "create -d {FIRST} --takedown /secret.pdf --verify"
    ));
    environment.snapshot("verify-takedown");
}

#[test]
fn inputs_are_paths_keys_syncs_and_the_last_invalidation() {
    let mut environment = environment("verify-inputs");
    publish(
        &environment,
        &["index.html", "blog/index.html", "new.html", "old.html"],
        &["/", "/blog/index.html", "/old.html"],
    );
    environment.standin.delete_object(BUCKET, "old.html");
    invalidate(&environment, "1", &["/*"]);
    environment.write("keys.txt", "index.html\nblog/index.html\nold.html\n");
    environment.write("paths.txt", "/new.html\n# a comment\n");
    environment.write(
        "sync.txt",
        "upload: public/new.html to s3://site/new.html\ndelete: s3://site/old.html\n",
    );
    environment.run(&format!("verify -d {FIRST} --keys-from keys.txt"));
    environment.run(&format!("verify -d {FIRST} --paths-from paths.txt"));
    environment.run(&format!("verify -d {FIRST} --from-s3-sync sync.txt"));
    environment.run(&format!("verify -d {FIRST} --last"));
    environment.run(&format!("verify -d {FIRST} #tag"));
    environment.run("verify -d E2EXAMPLE1ABC --last");
    environment.snapshot("verify-inputs");
}

#[test]
fn a_sample_is_named() {
    let mut environment = environment("verify-sample");
    invalidate(&environment, "1", &["/*"]);
    let keys: String = (0..300)
        .map(|number| format!("page-{number:03}.html\n"))
        .collect();
    environment.write("keys.txt", &format!("index.html\n{keys}"));
    let run = |environment: &mut Environment, arguments: &str| {
        let output = environment.run(&format!(
            "verify -d {FIRST} --keys-from keys.txt --output json {arguments}"
        ));
        let object = json(&output);
        let count = object["urls"].as_array().expect("URLs").len();
        (
            count,
            object["left_out"].clone(),
            object["notes"][0].clone(),
        )
    };
    assert_eq!(
        run(&mut environment, ""),
        (
            100,
            202.into(),
            "E1EXAMPLE1ABC: 100 of 302 URLs: 2 of 2 entry pages, 98 of 300 other URLs; --max-urls requests more".into()
        )
    );
    assert_eq!(
        run(&mut environment, "--max-urls 3"),
        (
            3,
            299.into(),
            "E1EXAMPLE1ABC: 3 of 302 URLs: 2 of 2 entry pages, 1 of 300 other URLs; --max-urls requests more".into()
        )
    );
}

#[test]
fn quiet_keeps_the_output() {
    let mut environment = environment("verify-quiet");
    environment.standin.put_object(BUCKET, "index.html", "text");
    invalidate(&environment, "1", &["/*"]);
    let loud = environment.run(&format!("verify -d {FIRST} /"));
    environment.standin.edge().delete_copies(FIRST);
    let quiet = environment.run(&format!("verify -d {FIRST} / -q"));
    assert_eq!(quiet.stdout, loud.stdout);
    assert_eq!(quiet.stderr, "");
}

/// A text that CloudFront compresses.
fn long(text: &str) -> String {
    text.repeat(200)
}

#[test]
fn a_local_file_decides_by_its_etag_or_content() {
    let mut environment = environment("verify-site");
    let put = |key: &str, object: Object| environment.standin.put_object(BUCKET, key, object);
    let current = long("current version\n");
    // CloudFront compresses the first one and makes its ETag weak. The ETags of the others are no MD5.
    put("index.html", current.clone().into());
    put(
        "kms.html",
        Object::from(current.clone()).with_etag("\"0123456789abcdef0123456789abcdef\""),
    );
    put(
        "parts.html",
        Object::from(current.clone()).with_etag("\"0123-2\""),
    );
    put("old.html", long("old version\n").into());
    put("long.html", long("current version\nand more\n").into());
    visit(
        &environment,
        &["/", "/kms.html", "/parts.html", "/old.html", "/long.html"],
    );
    for key in [
        "index.html",
        "kms.html",
        "parts.html",
        "old.html",
        "long.html",
        "blog/index.html",
    ] {
        environment.write(&format!("public/{key}"), &current);
    }
    environment.write("public/not-uploaded.html", "text");
    environment
        .standin
        .put_object(BUCKET, "blog/index.html", "not the local file");
    environment.standin.advance(Duration::from_secs(60));
    let output = environment.run(&format!("verify -d {FIRST} --site public --output json"));
    let found = expected(&[
        ("/", "fresh"),
        ("/index.html", "fresh"),
        ("/blog/index.html", "stale"),
        ("/kms.html", "fresh"),
        ("/long.html", "stale"),
        ("/not-uploaded.html", "stale"),
        ("/old.html", "stale"),
        ("/parts.html", "fresh"),
    ]);
    let mut verdicts = verdicts(&json(&output));
    verdicts.sort();
    let mut found = found;
    found.sort();
    assert_eq!(verdicts, found);
    let object = json(&output);
    let mut urls = object["urls"].as_array().expect("URLs").iter();
    let index = urls.find(|url| url["url"] == format!("https://{HOST}/"));
    let etags: Vec<_> = index.expect("the home page")["responses"]
        .as_array()
        .expect("responses")
        .iter()
        .map(|response| response["etag"].to_string().starts_with("\"W/"))
        .collect();
    assert_eq!(etags, [true, false]);
    // The files of a folder of the site.
    environment.write("docs/old.html", &current);
    environment.run(&format!("verify -d {FIRST} --site docs --prefix docs"));
    environment.run(&format!("verify -d {FIRST} /old.html --site docs"));
    environment.run(&format!("verify -d {FIRST} / --prefix docs"));
    environment.run(&format!("verify -d {FIRST} / --site missing"));
    environment.snapshot("verify-site");
}

#[test]
fn the_objects_of_the_origin_are_read_first() {
    let mut environment = environment("verify-origin");
    environment
        .standin
        .set_bucket_options(BUCKET, BucketOptions::default());
    publish(
        &environment,
        &["index.html", "a.html", "old.html"],
        &["/", "/a.html", "/old.html"],
    );
    environment.standin.delete_object(BUCKET, "old.html");
    invalidate(&environment, "1", &["/index.html", "/", "/old.html"]);
    // Nothing has invalidated /a.html, and the bucket shows that it is old.
    environment.run(&format!("verify -d {FIRST} / /a.html /old.html -v"));
    // The object changes after the invalidation.
    environment.standin.advance(Duration::from_secs(10));
    environment
        .standin
        .put_object(BUCKET, "index.html", "third version");
    environment.run(&format!("verify -d {FIRST} / -v"));
    // The bucket has another object than the local file: a request would only store it at the edge.
    environment.write("public/a.html", "not uploaded yet");
    environment.write("public/b.html", "not uploaded yet");
    let before = environment.standin.viewer_requests().len();
    environment.run(&format!("verify -d {FIRST} --site public"));
    assert_eq!(environment.standin.viewer_requests().len(), before);
    environment.snapshot("verify-origin");
}

#[test]
fn create_verifies_the_local_files_after_a_sync() {
    let mut environment = environment("verify-sync");
    environment
        .standin
        .set_bucket_options(BUCKET, BucketOptions::default());
    publish(
        &environment,
        &["index.html", "blog/a.html", "old.html"],
        &["/", "/index.html", "/blog/a.html", "/old.html"],
    );
    environment.standin.delete_object(BUCKET, "old.html");
    environment.write("public/index.html", "second version");
    environment.write("public/blog/a.html", "second version");
    environment.write(
        "sync.txt",
        "upload: public/index.html to s3://site/index.html\nupload: public/blog/a.html to s3://site/blog/a.html\n\
         delete: s3://site/old.html\n",
    );
    environment.run(&format!(
        "create -d {FIRST} --from-s3-sync sync.txt --site public --verify"
    ));
    environment.snapshot("verify-sync");
}

#[test]
fn an_error_of_the_verification_does_not_hide_what_was_submitted() {
    let mut environment = environment("verify-denied");
    let deny = |environment: &Environment| {
        for operation in [Operation::GetDistribution, Operation::GetDistributionConfig] {
            environment.standin.fail(operation, Fault::AccessDenied, 1);
        }
    };
    deny(&environment);
    environment.run(&format!("create -d {FIRST} /a.html --verify --output json"));
    deny(&environment);
    environment.run(&format!("verify -d {FIRST} /a.html"));
    // With a host, the configuration is not necessary.
    deny(&environment);
    environment.run(&format!("verify -d {FIRST} /a.html --host {HOST}"));
    // The configuration has the alias, but not the domain name of CloudFront.
    let operation = Operation::GetDistribution;
    environment.standin.fail(operation, Fault::AccessDenied, 1);
    environment.run(&format!("verify -d {FIRST} /a.html --from FRA50-P1"));
    environment.standin.fail(operation, Fault::AccessDenied, 1);
    environment.run("verify -d E2EXAMPLE1ABC /a.html");
    environment.run("verify -d E9EXAMPLE1ABC /a.html");
    environment.run("verify -d E3EXAMPLE1ABC /a.html");
    environment.snapshot("verify-denied");
}

#[test]
fn the_configured_paths_of_each_distribution_are_verified() {
    let mut environment = environment("verify-configured");
    let site = |id: &str, hosts: &[&str]| SiteOrigin {
        distribution: EdgeDistribution::new(id, hosts),
        bucket: BUCKET.to_owned(),
        ..SiteOrigin::default()
    };
    let second = "d111117abcdef8.cloudfront.net";
    environment
        .standin
        .set_site(site(APP, &[second, "app.example.com"]));
    for key in ["a.html", "b.html"] {
        environment.standin.put_object(BUCKET, key, "text");
    }
    environment.write(
        "cf-invalidate.toml",
        &format!(
            "[sites.first]\ndistribution = \"{FIRST}\"\npaths = [\"/a.html\"]\n\
             [sites.second]\ndistribution = \"{APP}\"\npaths = [\"/b.html\"]\n"
        ),
    );
    let output = environment.run("create -d first -d second --verify --no-checks --output json");
    let urls = &json(&output)["verification"]["urls"];
    let urls: Vec<_> = urls
        .as_array()
        .expect("URLs")
        .iter()
        .map(|url| &url["url"])
        .collect();
    assert_eq!(
        urls,
        [
            "https://www.example.com/a.html",
            "https://app.example.com/b.html"
        ]
    );
    assert_eq!(output.code, 0, "{output:?}");
}

#[test]
fn the_files_of_another_site_are_not_compared() {
    let mut environment = environment("verify-misfit");
    environment.standin.put_object(BUCKET, "a.html", "text");
    environment.write("public/a.html", "another site");
    environment.write("sync.txt", "upload: x/b.html to s3://site/b.html\n");
    environment.standin.put_object(BUCKET, "b.html", "text");
    let output = environment.run(&format!(
        "create -d {FIRST} /a.html --from-s3-sync sync.txt --site public --verify --output json"
    ));
    assert_eq!(
        verdicts(&json(&output)),
        expected(&[("/a.html", "fresh"), ("/b.html", "fresh")])
    );
}

#[test]
fn some_pages_under_a_wildcard_are_listed() {
    let mut environment = environment("verify-wildcards");
    let readable = BucketOptions::default();
    environment
        .standin
        .set_bucket_options(BUCKET, readable.clone());
    let keys: Vec<_> = (0..20)
        .map(|number| format!("blog/{number:02}.html"))
        .collect();
    let keys: Vec<_> = keys.iter().map(String::as_str).collect();
    publish(&environment, &keys, &["/blog/07.html"]);
    environment.standin.put_object(BUCKET, "other.html", "text");
    invalidate(&environment, "1", &["/blog/0*"]);
    let run = |environment: &mut Environment, arguments: &str| {
        let output = environment.run(&format!("verify -d {FIRST} --output json {arguments}"));
        let object = json(&output);
        let verdicts = verdicts(&object);
        let old = verdicts
            .iter()
            .filter(|(_, verdict)| verdict != "fresh")
            .count();
        (output.code, verdicts.len(), old, object["notes"].clone())
    };
    let nothing = Value::Array(vec![]);
    assert_eq!(
        run(&mut environment, "/blog/*"),
        (0, 10, 0, nothing.clone())
    );
    // The copy of the old version.
    environment.standin.edge().delete_copies(FIRST);
    publish(&environment, &["blog/03.html"], &["/blog/03.html"]);
    assert_eq!(run(&mut environment, "--last"), (6, 10, 1, nothing));
    let denied = BucketOptions {
        denies_list_bucket: true,
        ..readable
    };
    environment.standin.set_bucket_options(BUCKET, denied);
    let output = environment.run(&format!("verify -d {FIRST} /blog/* /other.html"));
    assert!(
        output
            .stderr
            .contains("no pages under /blog/* could be listed: "),
        "{output:?}"
    );
    assert!(
        output
            .stderr
            .contains("no page is known under /blog/*, so nothing is verified there"),
        "{output:?}"
    );
}

#[test]
fn an_error_of_one_distribution_does_not_hide_the_verdicts_of_the_others() {
    let mut environment = environment("verify-two");
    publish(&environment, &["a.html"], &["/a.html"]);
    invalidate(&environment, "1", &["/A.html"]);
    environment
        .standin
        .set_bucket_options(BUCKET, BucketOptions::default());
    let output = environment.run(&format!(
        "verify -d {FIRST} -d E9EXAMPLE1ABC /a.html --output json"
    ));
    let object = json(&output);
    assert_eq!(verdicts(&object), expected(&[("/a.html", "stale")]));
    assert_eq!(object["error"]["kind"], "mistake");
    assert_eq!(output.code, 1);
    assert!(
        output
            .stderr
            .contains("viewers still get old content at 1 of 1 URL"),
        "{output:?}"
    );
}

#[test]
fn what_is_not_completed_is_not_verified() {
    let options = Options {
        completes_after: Duration::from_secs(3_600),
        ..options()
    };
    let mut environment = Environment::with_options("verify-waiting", options);
    environment.standin.set_site(site(OriginServer::S3));
    let output = environment.run(&format!(
        "create -d {FIRST} /a.html --wait=1s --verify --output json"
    ));
    assert_eq!(output.code, 3, "{output:?}");
    assert_eq!(json(&output)["verification"], Value::Null);
    let warning = format!("{FIRST} is not verified, because its invalidation is not completed");
    assert!(output.stderr.contains(&warning), "{output:?}");
    assert_eq!(environment.standin.viewer_requests(), []);
    // Afterwards, the invalidation in progress decides nothing.
    environment.standin.put_object(BUCKET, "a.html", "text");
    let output = environment.run(&format!("verify -d {FIRST} /a.html --output json"));
    let urls = json(&output)["urls"].clone();
    let reason = urls[0]["responses"][0]["reason"]
        .as_str()
        .expect("a text")
        .to_owned();
    assert_eq!(reason, "it is the object in the bucket");
}

#[test]
fn only_files_under_the_wildcards_are_compared_beside_other_input() {
    let mut environment = environment("verify-files");
    for key in ["a.html", "blog/b.html", "blog/c.html"] {
        environment.standin.put_object(BUCKET, key, "text");
        environment.write(&format!("public/{key}"), "text");
    }
    let run = |environment: &mut Environment, arguments: &str| {
        let line = format!("verify -d {FIRST} --site public --output json {arguments}");
        let mut paths: Vec<_> = verdicts(&json(&environment.run(&line)))
            .into_iter()
            .collect();
        paths.sort();
        paths
    };
    assert_eq!(
        run(&mut environment, "/a.html"),
        expected(&[("/a.html", "fresh")])
    );
    let below = expected(&[("/blog/b.html", "fresh"), ("/blog/c.html", "fresh")]);
    assert_eq!(run(&mut environment, "/blog/*"), below);
}

#[test]
fn content_that_has_to_be_gone_is_not_requested_while_the_bucket_has_it() {
    let mut environment = environment("verify-takedown-origin");
    environment
        .standin
        .set_bucket_options(BUCKET, BucketOptions::default());
    environment
        .standin
        .put_object(BUCKET, "secret.pdf", "secret");
    let line = format!("create -d {FIRST} --takedown /secret.pdf --output json");
    let output = environment.run(&line);
    let found = expected(&[("/secret.pdf", "old_at_origin")]);
    assert_eq!((output.code, verdicts(&json(&output))), (6, found));
    // A request would store it at the edge again.
    assert_eq!(environment.standin.viewer_requests(), []);
    environment.standin.delete_object(BUCKET, "secret.pdf");
    let output = environment.run(&line);
    let found = expected(&[("/secret.pdf", "gone")]);
    assert_eq!((output.code, verdicts(&json(&output))), (0, found));
}

#[test]
fn an_older_invalidation_does_not_show_that_a_change_is_seen() {
    let mut environment = environment("verify-own");
    environment
        .standin
        .put_object(BUCKET, "a.html", "first version");
    invalidate(&environment, "1", &["/*"]);
    visit(&environment, &["/a.html"]);
    environment.standin.advance(Duration::from_secs(60));
    environment
        .standin
        .put_object(BUCKET, "a.html", "second version");
    // No copy has a query string, so that this drops nothing.
    let line = format!("create -d {FIRST} /a.html?v=2 --verify --no-checks --output json");
    let output = environment.run(&line);
    let found = expected(&[("/a.html?v=2", "unknown")]);
    assert_eq!((output.code, verdicts(&json(&output))), (3, found));
}

#[test]
fn a_host_of_another_distribution_is_not_requested() {
    let mut environment = environment("verify-other-host");
    environment.standin.put_object(BUCKET, "a.html", "text");
    let output = environment.run(&format!("verify -d {APP} /a.html --host {HOST}"));
    assert_eq!(output.code, 3, "{output:?}");
    let warning =
        format!("{HOST} is not a domain name of {APP}, so its URLs are not requested there");
    assert!(output.stderr.contains(&warning), "{output:?}");
    assert_eq!(environment.standin.viewer_requests(), []);
}

#[test]
fn a_deletion_that_possibly_failed_is_not_known() {
    let mut environment = environment("verify-failed-delete");
    environment.standin.put_object(BUCKET, "old.html", "text");
    visit(&environment, &["/old.html"]);
    invalidate(&environment, "1", &["/*"]);
    visit(&environment, &["/old.html"]);
    let run = |environment: &mut Environment, sync: &str| {
        environment.write("sync.txt", sync);
        let output = environment.run(&format!(
            "verify -d {FIRST} --from-s3-sync sync.txt --output json"
        ));
        (output.code, verdicts(&json(&output)))
    };
    let deleted = "delete: s3://site/old.html\n";
    let stale = expected(&[("/old.html", "stale")]);
    assert_eq!(run(&mut environment, deleted), (6, stale));
    let failed = "delete failed: s3://site/old.html Connection was closed before we received a \
         valid response from endpoint URL: \"https://site.s3.amazonaws.com/old.html\"\n";
    let fresh = expected(&[("/old.html", "fresh")]);
    assert_eq!(run(&mut environment, failed), (1, fresh));
}

#[test]
fn removed_files_that_never_change_are_not_requested() {
    let mut environment = environment("verify-immutable");
    let keys = ["_astro/index.DRf8L97S.css", "assets/a.js", "old.html"];
    let sync = keys.map(|key| format!("delete: s3://site/{key}\n"));
    environment.write("sync.txt", &sync.concat());
    let paths = keys.map(|key| format!("/{key}"));
    for (variable, option, requested) in [
        ("", "", &paths[1..]),
        ("", "--immutable /assets/*", &paths[2..]),
        ("", "--immutable none", &paths[..]),
        ("/assets/*", "", &paths[2..]),
        ("none", "", &paths[..]),
        ("none", "--immutable auto", &paths[1..]),
    ] {
        environment.set("IMMUTABLE_PATHS", variable);
        for command in ["verify", "create --verify --no-checks"] {
            let output = environment.run(&format!(
                "{command} -d {FIRST} --from-s3-sync sync.txt --output json {option}"
            ));
            let verdicts = verdicts(&json(&output)).into_iter();
            let found: BTreeSet<_> = verdicts.map(|(path, _)| path).collect();
            let requested = requested.iter().cloned().collect();
            assert_eq!(found, requested, "{command} {variable} {option}");
        }
    }
}

#[test]
fn a_file_that_a_function_possibly_replaces_proves_only_that_it_is_fresh() {
    let mut environment = environment("verify-function");
    configured(&mut environment, &[FUNCTION]);
    environment
        .standin
        .put_object(BUCKET, "a.html", "the function's choice");
    environment.standin.put_object(BUCKET, "b.html", "text");
    invalidate(&environment, "1", &["/*"]);
    environment.write("public/a.html", "the local file");
    environment.write("public/b.html", "text");
    let output = environment.run(&format!("verify -d {FIRST} --site public --output json"));
    let found = expected(&[("/a.html", "unknown"), ("/b.html", "fresh")]);
    assert_eq!((output.code, verdicts(&json(&output))), (0, found));
}

#[test]
fn an_edge_that_does_not_respond_gets_few_requests() {
    let mut environment = environment("verify-no-response");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    environment.set("EDGE_ENDPOINT_URL", &format!("http://{address}"));
    let paths: Vec<_> = (0..20).map(|number| format!("/{number:02}.html")).collect();
    let output = environment.run(&format!(
        "verify -d {FIRST} {} --output json",
        paths.join(" ")
    ));
    assert_eq!(output.code, 3, "{output:?}");
    let object = json(&output);
    let urls = object["urls"].as_array().expect("URLs");
    let last = urls.last().expect("a URL")["reason"].as_str();
    let expected = "no response: not requested, because earlier requests got no response";
    assert_eq!((urls.len(), last), (20, Some(expected)));
}

/// Changes the configuration: each expression is replaced once.
fn configured(environment: &mut Environment, changes: &[(&str, &str)]) {
    let configuration = include_str!("../distributions/legacy.xml");
    let changed = changes.iter().fold(
        configuration.to_owned(),
        |configuration, (pattern, replacement)| {
            let pattern = regex::Regex::new(pattern).expect("an expression");
            assert!(pattern.is_match(&configuration), "{pattern}");
            pattern.replace(&configuration, *replacement).into_owned()
        },
    );
    environment
        .standin
        .set_document(&format!("distribution/{FIRST}/config"), &changed);
}

const FUNCTION: (&str, &str) = (
    r"<FunctionAssociations>\s*<Quantity>0</Quantity>\s*</FunctionAssociations>",
    "<FunctionAssociations><Quantity>1</Quantity><Items><FunctionAssociation>\
     <FunctionARN>arn:aws:cloudfront::111122223333:function/f</FunctionARN><EventType>viewer-request</EventType>\
     </FunctionAssociation></Items></FunctionAssociations>",
);

const WEB_ACL: (&str, &str) = (
    "<WebACLId/>",
    "<WebACLId>arn:aws:wafv2:us-east-1:111122223333:global/webacl/a/b</WebACLId>",
);

/// The edge's response in place of an object.
fn instead(status: u16, x_cache: Option<&str>, server: &str) -> Option<OriginResponse> {
    let x_cache = x_cache.map(|word| ("X-Cache".to_owned(), format!("{word} from cloudfront")));
    let headers = [("Server".to_owned(), server.to_owned())];
    Some(OriginResponse {
        status,
        headers: headers.into_iter().chain(x_cache).collect(),
        body: "page".into(),
    })
}

#[test]
fn a_refusal_of_a_web_acl_is_unseen_whatever_its_status() {
    let mut environment = environment("verify-web-acl");
    configured(&mut environment, &[WEB_ACL]);
    environment.standin.put_object(BUCKET, "secret.pdf", "text");
    environment.write("sync.txt", "delete: s3://site/secret.pdf\n");
    for status in [202, 404] {
        let refusal = instead(status, Some("Error"), "CloudFront");
        environment
            .standin
            .set_response(FIRST, "/secret.pdf", refusal);
        let unseen = expected(&[("/secret.pdf", "unseen")]);
        let sync = format!("create -d {FIRST} --from-s3-sync sync.txt --verify --no-checks");
        let output = environment.run(&format!("{sync} --output json"));
        assert_eq!((output.code, verdicts(&json(&output))), (3, unseen.clone()));
        let takedown = format!("create -d {FIRST} --takedown /secret.pdf --output json");
        let output = environment.run(&takedown);
        assert_eq!((output.code, verdicts(&json(&output))), (0, unseen));
        assert!(
            output
                .stderr
                .contains("delete the object at the origin, too")
        );
    }
}

#[test]
fn a_page_that_also_replaces_failures_does_not_show_that_an_object_is_gone() {
    let mut environment = environment("verify-failure-page");
    let page = instead(200, Some("Error"), "AmazonS3");
    environment
        .standin
        .put_object(BUCKET, "secret.pdf", "secret");
    environment.standin.set_response(FIRST, "/secret.pdf", page);
    let missing = (
        "<ResponseCode>404</ResponseCode>",
        "<ResponseCode>200</ResponseCode>",
    );
    let failures = (
        r"<ResponsePagePath/>\s*<ResponseCode/>",
        "<ResponsePagePath>/errors/404.html</ResponsePagePath><ResponseCode>200</ResponseCode>",
    );
    for (changes, verdict) in [
        (vec![missing], "gone"),
        (vec![missing, failures], "unknown"),
    ] {
        configured(&mut environment, &changes);
        let takedown = format!("create -d {FIRST} --takedown /secret.pdf --output json");
        let output = environment.run(&takedown);
        let found = expected(&[("/secret.pdf", verdict)]);
        assert_eq!((output.code, verdicts(&json(&output))), (0, found));
    }
}

#[test]
fn a_response_of_aws_waf_is_unseen() {
    let mut environment = environment("verify-challenge");
    let mut challenge = instead(202, Some("Error"), "nginx").expect("a response");
    let action = ("x-amzn-waf-action".to_owned(), "challenge".to_owned());
    challenge.headers.push(action);
    environment
        .standin
        .set_response(FIRST, "/a.html", Some(challenge));
    invalidate(&environment, "1", &["/*"]);
    let output = environment.run(&format!("verify -d {FIRST} /a.html --output json"));
    let unseen = expected(&[("/a.html", "unseen")]);
    assert_eq!((output.code, verdicts(&json(&output))), (3, unseen));
}

#[test]
fn a_takedown_of_a_folder_is_not_gone_because_the_folder_has_no_page() {
    let mut environment = environment("verify-takedown-folder");
    configured(&mut environment, &[FUNCTION]);
    environment
        .standin
        .set_bucket_options(BUCKET, BucketOptions::default());
    environment
        .standin
        .put_object(BUCKET, "private/a.pdf", "secret");
    let output = environment.run(&format!(
        "create -d {FIRST} --takedown /private/* --output json"
    ));
    assert_eq!((output.code, verdicts(&json(&output))), (0, vec![]));
    let warning =
        format!("{FIRST}: no page is known under /private/*, so nothing is verified there");
    assert!(output.stderr.contains(&warning), "{}", output.stderr);
    assert!(
        output
            .stderr
            .contains("delete the object at the origin, too")
    );
}

#[test]
fn a_deletion_proves_nothing_where_the_url_possibly_leads_to_another_object() {
    let mut environment = environment("verify-rewritten");
    configured(&mut environment, &[FUNCTION]);
    let rewritten = instead(200, None, "AmazonS3");
    environment
        .standin
        .set_response(FIRST, "/blog.html", rewritten);
    environment.write("sync.txt", "delete: s3://site/blog.html\n");
    let unknown = expected(&[("/blog.html", "unknown")]);
    let output = environment.run(&format!(
        "create -d {FIRST} --from-s3-sync sync.txt --verify --no-checks --output json"
    ));
    assert_eq!(
        (output.code, verdicts(&json(&output))),
        (3, unknown.clone())
    );
    // The second request gets the copy of the first one.
    environment.standin.advance(Duration::from_secs(20));
    let output = environment.run(&format!(
        "verify -d {FIRST} --from-s3-sync sync.txt --output json"
    ));
    assert_eq!((output.code, verdicts(&json(&output))), (3, unknown));
}

#[test]
fn a_copy_with_old_headers_is_stale() {
    let mut environment = environment("verify-headers");
    environment
        .standin
        .set_bucket_options(BUCKET, BucketOptions::default());
    environment.standin.put_object(BUCKET, "a+b.html", "text");
    visit(&environment, &["/a%2Bb.html"]);
    environment.standin.advance(Duration::from_secs(3_600));
    let verify = format!("verify -d {FIRST} /a%2Bb.html --output json");
    // The other spelling is invalidated, and the edge drops only what certainly matches.
    invalidate(&environment, "1", &["/a%2Bb.html"]);
    environment.standin.advance(Duration::from_secs(3));
    let fresh = expected(&[("/a%2Bb.html", "fresh")]);
    let output = environment.run(&verify);
    assert_eq!((output.code, verdicts(&json(&output))), (0, fresh));
    // The same content is written again, with another Content-Type.
    let object = Object {
        headers: vec![("Content-Type".into(), "text/plain".into())],
        ..Object::from("text")
    };
    environment.standin.put_object(BUCKET, "a+b.html", object);
    let stale = expected(&[("/a%2Bb.html", "stale")]);
    let output = environment.run(&verify);
    assert_eq!((output.code, verdicts(&json(&output))), (6, stale));
}

#[test]
fn a_page_that_cloudfront_must_not_read_is_no_old_content() {
    let mut environment = environment("verify-unreadable-page");
    environment
        .standin
        .set_bucket_options(BUCKET, BucketOptions::default());
    for key in ["index.html", "private.txt"] {
        environment.standin.put_object(BUCKET, key, "text");
    }
    let denied = instead(403, None, "AmazonS3");
    environment
        .standin
        .set_response(FIRST, "/private.txt", denied);
    let output = environment.run(&format!(
        "create -d {FIRST} /* --verify --no-checks --output json"
    ));
    let found = [
        ("/private.txt", "unknown"),
        ("/", "fresh"),
        ("/index.html", "fresh"),
    ];
    assert_eq!(
        (output.code, verdicts(&json(&output))),
        (0, expected(&found))
    );
}

#[test]
fn a_route_of_an_application_is_the_current_error_page_or_not_known() {
    let mut environment = environment("verify-route");
    let mut app = site(OriginServer::S3);
    app.distribution = EdgeDistribution::new(APP, &["d777.cloudfront.net", "app.example.com"])
        .with_default_root_object("index.html");
    app.bucket = "app".to_owned();
    environment.standin.set_site(app);
    environment
        .standin
        .put_object("app", "index.html", "current app");
    for (etag, code, verdict, warns) in [
        ("\"f7839fc1377f92be4dfff8bb33b22752\"", 0, "fresh", true),
        ("\"old\"", 3, "unknown", false),
    ] {
        let mut page = instead(200, Some("Error"), "AmazonS3").expect("a response");
        page.headers.push(("ETag".into(), etag.into()));
        environment
            .standin
            .set_response(APP, "/dashboard", Some(page));
        let output = environment.run(&format!("verify -d {APP} /dashboard --output json"));
        let url = "https://app.example.com/dashboard";
        assert_eq!(
            (output.code, verdicts(&json(&output))),
            (code, expected(&[(url, verdict)]))
        );
        let warning = format!("neither the edge nor the bucket has {url}");
        assert_eq!(output.stderr.contains(&warning), warns, "{}", output.stderr);
    }
}
