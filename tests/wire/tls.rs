//! The requests of a viewer, and posts to Slack, over TLS: what the server sees, and which certificates are accepted.
//!
//! The client loads the trust store of the system, which the environment variable `SSL_CERT_FILE` replaces. A test cannot set a
//! variable of its own process, so it starts its own program again: `requests_in_a_child_process` and
//! `posts_in_a_child_process` are the clients.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cloudfront_invalidator::aws::edge::EdgeEndpoints;
use cloudfront_invalidator::aws::sdk::{connections, sdk_config};
use cloudfront_invalidator::aws::webhook::WebhookClient;
use cloudfront_invalidator::verify::{AcceptEncoding, RequestTarget};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

const HOST: &str = "www.example.com";
const POP: &str = "FRA50-P1";

/// What the parent process sets; it replaces the address of the POP.
const ENDPOINT: &str = "EDGE_ENDPOINT_URL_FRA50_P1";

/// Precedes the client's result in its output.
const RESULT: &str = "result: ";

/// An issuer of certificates.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut parameters = CertificateParams::default();
        // Two issuers of the same name would differ in their keys only.
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = parameters.self_signed(&key).expect("a certificate");
        Self {
            pem: certificate.pem(),
            issuer: Issuer::new(parameters, key),
        }
    }

    /// Returns the configuration of a server with a certificate for this name, until this year.
    fn server(&self, name: &str, last_year: i32) -> ServerConfig {
        let parameters = CertificateParams::new([name.to_owned()]);
        let mut parameters = parameters.expect("a name");
        parameters.not_after = date_time_ymd(last_year, 12, 31);
        let key = KeyPair::generate().expect("a key");
        let certificate = parameters.signed_by(&key, &self.issuer);
        let certificate = CertificateDer::from(certificate.expect("a certificate"));
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("a protocol")
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .expect("a server")
    }

    /// Writes the certificate, and returns the file.
    fn write(&self, name: &str) -> PathBuf {
        let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.pem"));
        fs::write(&file, &self.pem).expect("a file");
        file
    }
}

/// What a server got in the requests whose TLS handshake succeeded: the name in SNI, the request line and `Host`.
type Received = Arc<Mutex<Vec<[String; 3]>>>;

/// Starts a server on 127.0.0.1 and returns its URL.
async fn serve(config: ServerConfig) -> (String, Received) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let received = Received::default();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let requests = Arc::clone(&received);
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            respond(&acceptor, connection, &requests).await;
        }
    });
    (format!("https://{address}"), received)
}

async fn respond(acceptor: &TlsAcceptor, connection: TcpStream, received: &Received) {
    let Ok(mut connection) = acceptor.accept(connection).await else {
        return;
    };
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(connection.read_u8().await.expect("a request"));
    }
    let head = String::from_utf8(head).expect("a text");
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let length = length.map_or(0, |length| length.parse().expect("a number"));
    let mut body = vec![0; length];
    connection.read_exact(&mut body).await.expect("a body");
    let (_, tls) = connection.get_ref();
    let line = |start: &str| {
        let mut lines = head.lines();
        lines.find_map(|line| line.strip_prefix(start))
    };
    let request = [
        tls.server_name().unwrap_or_default(),
        line("GET ").or_else(|| line("POST ")).unwrap_or_default(),
        line("host: ").unwrap_or_default(),
    ];
    let request = request.map(str::to_owned);
    received.lock().expect("no panic").push(request);
    let response = "HTTP/1.1 200 OK\r\nx-cache: Hit from cloudfront\r\ncontent-length: 0\r\n\r\n";
    let written = connection.write_all(response.as_bytes()).await;
    written.expect("a response");
    connection.shutdown().await.expect("closed");
}

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
    let (endpoint, received) = serve(known.server("127.0.0.1", 2999)).await;
    assert_eq!(post(endpoint.clone()).await, "Ok(())");
    let host = endpoint.strip_prefix("https://").unwrap_or_default();
    // An address is not named in SNI.
    let expected = ["", "/services/T0/B0/hush HTTP/1.1", host].map(str::to_owned);
    assert_eq!(*received.lock().expect("no panic"), [expected]);

    let (endpoint, received) = serve(unknown.server("127.0.0.1", 2999)).await;
    let expected = "Err(Unavailable { reason: \"io error: client error (Connect): TLS handshake failed: invalid peer certificate: \
                    UnknownIssuer\", retry_after: None })";
    assert_eq!(post(endpoint).await, expected);
    assert_eq!(
        *received.lock().expect("no panic"),
        Vec::<[String; 3]>::new()
    );
}

#[tokio::test]
async fn the_site_is_named_in_sni_and_host_whatever_the_address_is() {
    let authority = Authority::new("known");
    let (endpoint, received) = serve(authority.server(HOST, 2999)).await;
    let result = request(authority.write("tls-known"), endpoint).await;
    assert_eq!(result, r#"200 Some("Hit from cloudfront")"#);
    let received = received.lock().expect("no panic");
    let expected = [HOST, "/a%20b.html HTTP/1.1", HOST].map(str::to_owned);
    assert_eq!(*received, [expected]);
}

#[tokio::test]
async fn a_certificate_that_is_not_valid_is_named_as_the_reason() {
    let (known, unknown) = (Authority::new("known"), Authority::new("unknown"));
    for (name, config, expected) in [
        (
            "an unknown issuer",
            unknown.server(HOST, 2999),
            "UnknownIssuer",
        ),
        (
            "another name",
            known.server("www.example.org", 2999),
            "certificate not valid for name \"www.example.com\"; certificate is only valid for DnsName(\"www.example.org\")",
        ),
        ("expired", known.server(HOST, 2001), "certificate expired"),
    ] {
        let (endpoint, received) = serve(config).await;
        let result = request(known.write("tls-invalid"), endpoint).await;
        let failed =
            "io error: client error (Connect): TLS handshake failed: invalid peer certificate: ";
        // The text of an expired certificate ends with the time.
        let reason = result.strip_prefix(failed).unwrap_or(&result);
        let reason = reason.split(':').next();
        assert_eq!(reason, Some(expected), "{name}: {result}");
        assert_eq!(
            *received.lock().expect("no panic"),
            Vec::<[String; 3]>::new(),
            "{name}"
        );
    }
}
