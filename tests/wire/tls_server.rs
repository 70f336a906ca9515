//! Servers with certificates of test authorities, and tests in which the system trusts such an authority.
//!
//! A client loads the trust store of the system, which the environment variable `SSL_CERT_FILE` replaces. A test cannot set a
//! variable of its own process, so it runs in a child process: see [`is_child`].

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A year in which no certificate of a test is expired.
pub const VALID: i32 = 2999;

/// A year that is over.
pub const EXPIRED: i32 = 2001;

/// Whether this process is the child.
const IS_CHILD: &str = "WIRE_TEST_IS_CHILD";

/// Returns whether this process is a child that runs only the test with this name. If not, starts the child, whose test must
/// succeed, and returns `false`: the test has nothing else to do. The child's `SSL_CERT_FILE` is a file that does not exist
/// until [`Authority::known_to_the_system`] writes it.
pub fn is_child(test: &str) -> bool {
    if std::env::var_os(IS_CHILD).is_some() {
        return true;
    }
    let file = temporary_file(&test.replace("::", "-"));
    let _ = fs::remove_file(&file);
    let output = Command::new(std::env::current_exe().expect("the path of the tests"))
        .args(["--exact", test, "--nocapture"])
        .env(IS_CHILD, "true")
        .env("SSL_CERT_FILE", file)
        .env_remove("SSL_CERT_DIR")
        .output()
        .expect("a process");
    let [stdout, stderr] =
        [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    assert!(output.status.success(), "{stdout}{stderr}");
    // With a wrong name, no test would run.
    assert!(
        stdout.contains("1 passed"),
        "{test} is not a test: {stdout}"
    );
    false
}

fn temporary_file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.pem"))
}

/// An issuer of certificates.
pub struct Authority {
    name: String,
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let parameters = Self::parameters(name);
        let key = KeyPair::generate().expect("a key");
        let certificate = parameters.self_signed(&key).expect("a certificate");
        Self {
            name: name.to_owned(),
            pem: certificate.pem(),
            issuer: Issuer::new(parameters, key),
        }
    }

    fn parameters(name: &str) -> CertificateParams {
        let mut parameters = CertificateParams::default();
        // Two issuers of the same name would differ in their keys only.
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters
    }

    /// Creates the only authority that the system of this child process trusts.
    pub fn known_to_the_system() -> Self {
        let authority = Self::new("known to the system");
        let file = std::env::var_os("SSL_CERT_FILE").expect("a child process");
        fs::write(file, &authority.pem).expect("a file");
        authority
    }

    /// Returns the configuration of a server with a certificate for this name, until this year.
    pub fn server(&self, name: &str, last_year: i32) -> ServerConfig {
        self.server_with_chain(name, last_year, None)
    }

    /// Returns the configuration of a server that also sends an expired certificate of this authority, which an older one issued.
    pub fn server_with_expired_cross_certificate(&self, name: &str, older: &Self) -> ServerConfig {
        let mut parameters = Self::parameters(&self.name);
        parameters.not_after = date_time_ymd(EXPIRED, 12, 31);
        let cross = parameters.signed_by(self.issuer.key(), &older.issuer);
        let cross = CertificateDer::from(cross.expect("a certificate"));
        self.server_with_chain(name, VALID, Some(cross))
    }

    fn server_with_chain(
        &self,
        name: &str,
        last_year: i32,
        issuer: Option<CertificateDer<'static>>,
    ) -> ServerConfig {
        let parameters = CertificateParams::new([name.to_owned()]);
        let mut parameters = parameters.expect("a name");
        parameters.not_after = date_time_ymd(last_year, 12, 31);
        let key = KeyPair::generate().expect("a key");
        let certificate = parameters.signed_by(&key, &self.issuer);
        let certificate = CertificateDer::from(certificate.expect("a certificate"));
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let chain = [certificate].into_iter().chain(issuer).collect();
        ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("a protocol")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("a server")
    }

    /// Writes the certificate, and returns the file.
    pub fn write(&self, name: &str) -> PathBuf {
        let file = temporary_file(name);
        fs::write(&file, &self.pem).expect("a file");
        file
    }
}

/// A server on 127.0.0.1 that responds to each request with status 200, and closes the connection.
pub struct TlsServer {
    address: SocketAddr,
    received: Arc<Mutex<Received>>,
}

#[derive(Default)]
struct Received {
    handshakes: usize,
    requests: Vec<[String; 3]>,
}

impl TlsServer {
    pub async fn start(config: ServerConfig) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let received = Arc::new(Mutex::new(Received::default()));
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let log = Arc::clone(&received);
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                log.lock().expect("no panic").handshakes += 1;
                respond(&acceptor, connection, &log).await;
            }
        });
        Self { address, received }
    }

    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Returns the number of the handshakes so far, also of those that failed.
    pub fn handshakes(&self) -> usize {
        self.received.lock().expect("no panic").handshakes
    }

    /// Returns the name in SNI, the target with the version, and `Host` of each request.
    pub fn requests(&self) -> Vec<[String; 3]> {
        self.received.lock().expect("no panic").requests.clone()
    }
}

async fn respond(acceptor: &TlsAcceptor, connection: TcpStream, received: &Mutex<Received>) {
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
    received.lock().expect("no panic").requests.push(request);
    let response = "HTTP/1.1 200 OK\r\nx-cache: Hit from cloudfront\r\ncontent-length: 0\r\n\r\n";
    let written = connection.write_all(response.as_bytes()).await;
    written.expect("a response");
    connection.shutdown().await.expect("closed");
}

/// Starts a server on 127.0.0.1 that forwards to the address what is in TLS, and returns its port.
pub async fn forward(config: ServerConfig, to: String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            let (acceptor, to) = (acceptor.clone(), to.clone());
            tokio::spawn(async move {
                let mut client = acceptor.accept(connection).await.expect("a handshake");
                let mut server = TcpStream::connect(to).await.expect("a connection");
                // Either side may close without an end of TLS.
                let _ = copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    port
}
