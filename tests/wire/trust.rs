//! Which certificates the client of the function accepts.
//!
//! The embedded roots trust no authority of a test. So these tests show what happens with certificates of other authorities,
//! which is what the roots must not prevent.

use std::error::Error as StdError;

use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use cloudfront_invalidator::aws::connections::{Connections, Trust};
use serde_json::Value;

use crate::fixture::{Fixture, logged, logged_at};
use crate::tls_server::{Authority, EXPIRED, TlsServer, VALID, forward, is_child};

const HOST: &str = "cloudfront.amazonaws.com";

const UNKNOWN_ISSUER: &str = "invalid peer certificate: UnknownIssuer";

/// Requests a page from the server under this host name; returns the status, or the error with its causes.
async fn get(trust: Trust, host: &str, server: &TlsServer) -> Result<u16, String> {
    let url = format!("https://{host}:{}/", server.port());
    let mut request = HttpRequest::new(SdkBody::empty());
    request.set_uri(url).expect("a URL");
    let connections = Connections::at_address(trust, "127.0.0.1");
    match connections.call(request).await {
        Ok(response) => Ok(response.status().as_u16()),
        Err(error) => {
            let causes = std::iter::successors(error.source(), |&cause| cause.source());
            let causes = causes.map(|cause| format!(": {cause}"));
            Err(error.to_string() + &causes.collect::<String>())
        }
    }
}

/// Returns the host and the message of each warning since the last call.
fn warnings() -> Vec<[Value; 2]> {
    let lines = logged_at("WARN").into_iter();
    lines
        .map(|mut line| [line["host"].take(), line["message"].take()])
        .collect()
}

#[tokio::test]
async fn the_system_decides_about_an_issuer_that_is_not_amazon() {
    if !is_child("trust::the_system_decides_about_an_issuer_that_is_not_amazon") {
        return;
    }
    logged();
    let known = Authority::known_to_the_system();
    let server = TlsServer::start(known.server(HOST, VALID)).await;
    assert_eq!(get(Trust::AmazonFirst, HOST, &server).await, Ok(200));
    assert_eq!(server.handshakes(), 2);
    let host = format!("{HOST}:{}", server.port());
    let request = [HOST, "/ HTTP/1.1", &host].map(str::to_owned);
    assert_eq!(server.requests(), [request]);
    let warning = format!(
        "Amazon's roots do not verify the certificate, so the trust store of the system decides: TLS handshake failed: {UNKNOWN_ISSUER}"
    );
    assert_eq!(warnings(), [[Value::from(HOST), Value::from(warning)]]);
}

#[tokio::test]
async fn a_certificate_that_nobody_trusts_is_refused_after_two_handshakes() {
    if !is_child("trust::a_certificate_that_nobody_trusts_is_refused_after_two_handshakes") {
        return;
    }
    let known = Authority::known_to_the_system();
    let unknown = Authority::new("unknown");
    for (name, config, expected) in [
        (
            "an unknown issuer",
            unknown.server(HOST, VALID),
            UNKNOWN_ISSUER,
        ),
        (
            "another name",
            known.server("www.example.org", VALID),
            "invalid peer certificate: certificate not valid for name \"cloudfront.amazonaws.com\"",
        ),
        (
            "expired",
            known.server(HOST, EXPIRED),
            "invalid peer certificate: certificate expired",
        ),
    ] {
        let server = TlsServer::start(config).await;
        let error = get(Trust::AmazonFirst, HOST, &server).await;
        let error = error.expect_err("an error");
        assert!(error.contains(expected), "{name}: {error}");
        assert_eq!(server.handshakes(), 2, "{name}");
        assert_eq!(server.requests(), Vec::<[String; 3]>::new(), "{name}");
    }
}

#[tokio::test]
async fn the_system_decides_if_the_server_also_sends_an_expired_certificate_of_its_issuer() {
    if !is_child(
        "trust::the_system_decides_if_the_server_also_sends_an_expired_certificate_of_its_issuer",
    ) {
        return;
    }
    // The system trusts the issuer itself. Its certificate of an older authority, for older clients, is over.
    let known = Authority::known_to_the_system();
    let older = Authority::new("older");
    let server = TlsServer::start(known.server_with_expired_cross_certificate(HOST, &older)).await;
    assert_eq!(get(Trust::AmazonFirst, HOST, &server).await, Ok(200));
    assert_eq!(server.handshakes(), 2);
}

#[tokio::test]
async fn only_the_system_decides_about_hosts_that_are_not_of_amazon() {
    if !is_child("trust::only_the_system_decides_about_hosts_that_are_not_of_amazon") {
        return;
    }
    logged();
    let known = Authority::known_to_the_system();
    let unknown = Authority::new("unknown");
    for (trust, host) in [
        (
            Trust::AmazonFirst,
            "cloudfront.cn-northwest-1.amazonaws.com.cn",
        ),
        (Trust::AmazonFirst, "evil-amazonaws.com"),
        (Trust::AmazonFirst, "amazonaws.com.example.com"),
        (Trust::AmazonFirst, "127.0.0.1"),
        (Trust::System, HOST),
    ] {
        let server = TlsServer::start(known.server(host, VALID)).await;
        assert_eq!(get(trust, host, &server).await, Ok(200), "{host}");
        assert_eq!(server.handshakes(), 1, "{host}");

        let server = TlsServer::start(unknown.server(host, VALID)).await;
        let error = get(trust, host, &server).await.expect_err("an error");
        assert!(error.contains(UNKNOWN_ISSUER), "{host}: {error}");
        assert_eq!(server.handshakes(), 1, "{host}");
    }
    assert_eq!(warnings(), Vec::<[Value; 2]>::new());
}

#[tokio::test]
async fn an_endpoint_can_have_a_certificate_of_its_own_authority() {
    if !is_child("trust::an_endpoint_can_have_a_certificate_of_its_own_authority") {
        return;
    }
    let known = Authority::known_to_the_system();
    let fixture = Fixture::start();
    let standin = fixture.standin.url().replace("http://", "");
    let port = forward(known.server("localhost", VALID), standin).await;
    let endpoint = format!("https://localhost:{port}");
    let fixture = fixture.set("AWS_ENDPOINT_URL", &endpoint);
    let job = fixture.run_job(None).await;
    assert_eq!(job.variable("Paths"), "/*");
    assert_eq!(job.variable("InvalidationIds"), fixture.first_id());
}
