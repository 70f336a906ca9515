//! The requests of a viewer, and posts to Slack, over TLS: what the server sees, and which certificates are accepted.
//!
//! The client loads the trust store of the system, which the environment variable `SSL_CERT_FILE` replaces. A test cannot set a
//! variable of its own process, so it starts its own program again: `requests_in_a_child_process` and
//! `posts_in_a_child_process` are the clients.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use cloudfront_invalidator::aws::edge::EdgeEndpoints;
use cloudfront_invalidator::aws::sdk::{connections, sdk_config};
use cloudfront_invalidator::aws::webhook::WebhookClient;
use cloudfront_invalidator::verify::{AcceptEncoding, RequestTarget};
use serde_json::json;
use tokio::time::Instant;

use crate::tls_server::{Authority, EXPIRED, TlsServer, VALID};

const HOST: &str = "www.example.com";
const POP: &str = "FRA50-P1";

/// What the parent process sets; it replaces the address of the POP.
const ENDPOINT: &str = "EDGE_ENDPOINT_URL_FRA50_P1";

/// Precedes the client's result in its output.
const RESULT: &str = "result: ";

/// Requests a page in a process that trusts the certificates in the file, and returns the result.
async fn request(trusted: PathBuf, endpoint: String) -> String {
    run_client("tls::requests_in_a_child_process", trusted, endpoint).await
}

/// Runs a client in a process that trusts the certificates in the file, and returns its result.
async fn run_client(client: &'static str, trusted: PathBuf, endpoint: String) -> String {
    let run = move || {
        let program = std::env::current_exe().expect("the path of the tests");
        Command::new(program)
            .args(["--exact", client])
            .args(["--ignored", "--nocapture"])
            .env_remove("SSL_CERT_DIR")
            .env("SSL_CERT_FILE", trusted)
            .env(ENDPOINT, endpoint)
            .output()
    };
    let output = tokio::task::spawn_blocking(run).await.expect("no panic");
    let Output { stdout, stderr, .. } = output.expect("a process");
    let [stdout, stderr] = [stdout, stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    let result = stdout
        .split(RESULT)
        .nth(1)
        .and_then(|text| text.lines().next());
    result
        .unwrap_or_else(|| panic!("{stdout}{stderr}"))
        .to_owned()
}

/// The client: sends a request for the site to the address of the POP.
#[tokio::test]
#[ignore = "the other tests start it with a trust store of their own"]
async fn requests_in_a_child_process() {
    if std::env::var_os(ENDPOINT).is_none() {
        return;
    }
    let endpoints = EdgeEndpoints::new(|name| std::env::var(name).ok());
    let client = endpoints.at_pop("d111111abcdef8.cloudfront.net", POP).await;
    let client = client.expect("a client");
    let target = RequestTarget::of_written("/a b.html").expect("a target");
    let deadline = Instant::now() + Duration::from_secs(20);
    let response = client
        .get(HOST, &target, AcceptEncoding::Compressed, None, deadline)
        .await;
    let result = match response.map(|content| content.response) {
        Ok(response) => format!("{} {:?}", response.status, response.x_cache),
        Err(error) => error,
    };
    println!("{RESULT}{result}");
}

/// The client of Slack: posts to the address.
#[tokio::test]
#[ignore = "the other tests start it with a trust store of their own"]
async fn posts_in_a_child_process() {
    let Ok(endpoint) = std::env::var(ENDPOINT) else {
        return;
    };
    // As the function configures it.
    let client = WebhookClient::new(
        &sdk_config(|_| None, &connections(|_| None)),
        Some(endpoint),
    );
    let deadline = Instant::now() + Duration::from_secs(20);
    let url = "https://hooks.slack.com/services/T0/B0/hush";
    let posted = client.post(url, &json!({"text": "purged"}), deadline).await;
    println!("{RESULT}{posted:?}");
}

#[tokio::test]
async fn a_post_needs_a_certificate_that_the_system_trusts() {
    let (known, unknown) = (Authority::new("known"), Authority::new("unknown"));
    let post = |endpoint| {
        let trusted = known.write("tls-posts");
        run_client("tls::posts_in_a_child_process", trusted, endpoint)
    };
    let server = TlsServer::start(known.server("127.0.0.1", VALID)).await;
    assert_eq!(post(server.url()).await, "Ok(())");
    let host = format!("127.0.0.1:{}", server.port());
    // An address is not named in SNI.
    let expected = ["", "/services/T0/B0/hush HTTP/1.1", &host].map(str::to_owned);
    assert_eq!(server.requests(), [expected]);

    let server = TlsServer::start(unknown.server("127.0.0.1", VALID)).await;
    let expected = "Err(Unavailable { reason: \"io error: client error (Connect): TLS handshake failed: invalid peer certificate: \
                    UnknownIssuer\", retry_after: None })";
    assert_eq!(post(server.url()).await, expected);
    assert_eq!(server.requests(), Vec::<[String; 3]>::new());
}

#[tokio::test]
async fn the_site_is_named_in_sni_and_host_whatever_the_address_is() {
    let authority = Authority::new("known");
    let server = TlsServer::start(authority.server(HOST, VALID)).await;
    let result = request(authority.write("tls-known"), server.url()).await;
    assert_eq!(result, r#"200 Some("Hit from cloudfront")"#);
    let expected = [HOST, "/a%20b.html HTTP/1.1", HOST].map(str::to_owned);
    assert_eq!(server.requests(), [expected]);
}

#[tokio::test]
async fn a_certificate_that_is_not_valid_is_named_as_the_reason() {
    let (known, unknown) = (Authority::new("known"), Authority::new("unknown"));
    for (name, config, expected) in [
        (
            "an unknown issuer",
            unknown.server(HOST, VALID),
            "UnknownIssuer",
        ),
        (
            "another name",
            known.server("www.example.org", VALID),
            "certificate not valid for name \"www.example.com\"; certificate is only valid for DnsName(\"www.example.org\")",
        ),
        (
            "expired",
            known.server(HOST, EXPIRED),
            "certificate expired",
        ),
    ] {
        let server = TlsServer::start(config).await;
        let result = request(known.write("tls-invalid"), server.url()).await;
        let failed =
            "io error: client error (Connect): TLS handshake failed: invalid peer certificate: ";
        // The text of an expired certificate ends with the time.
        let reason = result.strip_prefix(failed).unwrap_or(&result);
        let reason = reason.split(':').next();
        assert_eq!(reason, Some(expected), "{name}: {result}");
        assert_eq!(server.requests(), Vec::<[String; 3]>::new(), "{name}");
    }
}
