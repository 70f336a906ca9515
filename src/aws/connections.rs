//! The connections of the function: one HTTP client for all services, which loads few certificates and opens connections ahead.
//!
//! The client is made of the parts of the SDK's own (hyper, and rustls with ring), which is not used here for two reasons.
//! It loads the trust store of the system for each service anew, and it cannot open a connection before there is a request.
//!
//! - **Trust.** The certificates of `*.amazonaws.com` are issued by Amazon Trust Services, so the roots of its
//!   [repository](https://www.amazontrust.com/repository/) are embedded, and the 140 certificates of the system are not loaded.
//!   The repository advises against pinning. So if a certificate is refused, for example because another authority issued it,
//!   the trust store of the system decides. The system also decides about all other hosts, and about all hosts outside the
//!   partition `aws` or if the environment names a trust store or an endpoint (`sdk::trust` decides).
//! - **Connections ahead.** [`Connections::open`] opens a connection in the background, which the first request of that host
//!   takes or waits for. Lambda stops the process between two invocations, also during a handshake, so the connection can
//!   be closed when it is needed. The request is then sent again on a new one.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use aws_smithy_runtime_api::client::connection::{CaptureSmithyConnection, ConnectionMetadata};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::retry::ErrorKind;
use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::client::legacy::connect::{
    CaptureConnection, HttpConnector as TcpConnector, capture_connection,
};
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tower_service::Service;
use tracing::warn;

use super::sdk_error::with_causes;

/// The roots of Amazon Trust Services: the five that its [repository](https://www.amazontrust.com/repository/) names for trust
/// stores, as Mozilla's store has them.
const AMAZON_ROOTS: [&[u8]; 5] = [
    include_bytes!("amazon_roots/AmazonRootCA1.cer"),
    include_bytes!("amazon_roots/AmazonRootCA2.cer"),
    include_bytes!("amazon_roots/AmazonRootCA3.cer"),
    include_bytes!("amazon_roots/AmazonRootCA4.cer"),
    include_bytes!("amazon_roots/SFSRootCAG2.cer"),
];

/// The domain of AWS in the partitions `aws` and `aws-us-gov`.
const AMAZON_DOMAIN: &str = ".amazonaws.com";

/// How long connecting may take, with the TLS handshake.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// After this time, a connection without a request is not used any more.
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);

/// For how many hosts TLS sessions can be resumed: rustls keeps eight tickets of each.
const RESUMABLE_SESSIONS: usize = 8 * 8;

type BoxError = Box<dyn StdError + Send + Sync>;

type Connection = MaybeHttpsStream<TokioIo<TcpStream>>;

/// Which certificates are trusted. `sdk::trust` chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Those of the system, or of `SSL_CERT_FILE` and `SSL_CERT_DIR`.
    System,
    /// For `*.amazonaws.com` those of Amazon, then those of the system; for all other hosts those of the system.
    AmazonFirst,
}

/// The HTTP client of all services. Clones share their connections.
#[derive(Clone)]
pub struct Connections {
    client: Client<Connector, SdkBody>,
    connector: Connector,
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections")
            .field("trust", &self.connector.0.trust)
            .finish_non_exhaustive()
    }
}

impl Connections {
    /// Creates the client; opens nothing and loads no certificate.
    pub fn new(trust: Trust) -> Self {
        Self::with_resolver(trust, Resolver { address: None })
    }

    /// Creates a client that connects to this host name or IP address, whatever the host in a URL is.
    pub fn at_address(trust: Trust, address: &str) -> Self {
        let address = Some(address.into());
        Self::with_resolver(trust, Resolver { address })
    }

    fn with_resolver(trust: Trust, resolver: Resolver) -> Self {
        let mut tcp = TcpConnector::new_with_resolver(resolver);
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let connector = Connector(Arc::new(ConnectorState {
            trust,
            tcp,
            amazon: OnceLock::new(),
            system: OnceLock::new(),
            ahead: Mutex::default(),
        }));
        let mut builder = Client::builder(TokioExecutor::new());
        builder
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_timer(TokioTimer::new());
        Self {
            client: builder.build(connector.clone()),
            connector,
        }
    }

    /// Opens a connection to the host of this URL in the background, once; sends no request. Needs a tokio runtime.
    ///
    /// The first request of that host is sent again if the connection was lost, so it has to be one that may be sent twice.
    pub fn open(&self, url: &str) {
        let Ok(uri) = url.parse::<Uri>() else {
            return;
        };
        let mut ahead = self.connector.ahead();
        if ahead.iter().any(|known| known.is_for(&uri)) {
            return;
        }
        let connector = self.connector.clone();
        let target = uri.clone();
        ahead.push(Ahead {
            uri,
            opening: Some(Opening {
                task: tokio::spawn(async move { connector.connect(&target).await }),
                started: Instant::now(),
            }),
        });
    }
}

impl HttpClient for Connections {
    fn http_connector(
        &self,
        _settings: &HttpConnectorSettings,
        _components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Connections {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let mut request = match request.try_into_http1x() {
            Ok(request) => request,
            Err(error) => {
                return HttpConnectorFuture::ready(Err(ConnectorError::user(error.into())));
            }
        };
        let connection = capture_connection(&mut request);
        if let Some(capture) = request.extensions().get::<CaptureSmithyConnection>() {
            capture.set_connection_retriever(move || metadata(&connection));
        }
        let again = self
            .connector
            .has_ahead(request.uri())
            .then(|| copy(&request));
        let client = self.client.clone();
        HttpConnectorFuture::new(async move {
            let response = match (client.request(request).await, again.flatten()) {
                (Err(error), Some(request)) if !error.is_connect() => client.request(request).await,
                (response, _) => response,
            };
            smithy_response(response)
        })
    }
}

fn smithy_response(
    response: Result<Response<Incoming>, ClientError>,
) -> Result<HttpResponse, ConnectorError> {
    let response = response.map_err(connector_error)?;
    HttpResponse::try_from(response.map(SdkBody::from_body_1_x))
        .map_err(|error| ConnectorError::other(error.into(), None))
}

/// Returns a copy of the request, if its body is in memory.
fn copy(request: &Request<SdkBody>) -> Option<Request<SdkBody>> {
    let mut copy = Request::new(request.body().try_clone()?);
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    Some(copy)
}

/// Returns how the SDK marks a connection as unusable, which it does before it retries.
fn metadata(connection: &CaptureConnection) -> Option<ConnectionMetadata> {
    connection.connection_metadata().as_ref()?;
    let connection = connection.clone();
    let poison = move || {
        if let Some(connected) = connection.connection_metadata().as_ref() {
            connected.poison();
        }
    };
    Some(
        ConnectionMetadata::builder()
            .proxied(false)
            .poison_fn(poison)
            .build(),
    )
}

/// Classifies an error as the SDK's own client does: by whether a retry can help.
fn connector_error(error: ClientError) -> ConnectorError {
    let sources = || std::iter::successors(error.source(), |&source| source.source());
    let hyper = sources().find_map(|source| source.downcast_ref::<hyper::Error>());
    let is_io = sources().any(|source| source.is::<io::Error>());
    let is_timeout = sources().any(|source| source.is::<ConnectTimeout>());
    match hyper {
        _ if is_timeout => ConnectorError::timeout(error.into()),
        Some(hyper) if hyper.is_user() => ConnectorError::user(error.into()),
        Some(hyper) if hyper.is_incomplete_message() => {
            ConnectorError::other(error.into(), Some(ErrorKind::TransientError))
        }
        Some(hyper) if hyper.is_closed() || hyper.is_canceled() || is_io => {
            ConnectorError::io(error.into())
        }
        None if error.is_connect() || is_io => ConnectorError::io(error.into()),
        _ => ConnectorError::other(error.into(), None),
    }
}

/// Opens connections for hyper's client.
#[derive(Clone)]
struct Connector(Arc<ConnectorState>);

struct ConnectorState {
    trust: Trust,
    tcp: TcpConnector<Resolver>,
    amazon: OnceLock<Arc<ClientConfig>>,
    system: OnceLock<Arc<ClientConfig>>,
    ahead: Mutex<Vec<Ahead>>,
}

/// A connection that was opened before there was a request.
struct Ahead {
    uri: Uri,
    /// `None` once a request took it.
    opening: Option<Opening>,
}

struct Opening {
    task: JoinHandle<Result<Connection, BoxError>>,
    started: Instant,
}

impl Ahead {
    fn is_for(&self, uri: &Uri) -> bool {
        self.uri.scheme() == uri.scheme() && self.uri.authority() == uri.authority()
    }
}

impl Service<Uri> for Connector {
    type Response = Connection;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Connection, BoxError>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move {
            if let Some(opening) = connector.take_ahead(&uri)
                && opening.started.elapsed() < IDLE_TIMEOUT
                && let Ok(Ok(connection)) = opening.task.await
            {
                return Ok(connection);
            }
            connector.connect(&uri).await
        })
    }
}

impl Connector {
    fn ahead(&self) -> std::sync::MutexGuard<'_, Vec<Ahead>> {
        self.0.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether a connection to the host was opened, and no request took it yet.
    fn has_ahead(&self, uri: &Uri) -> bool {
        let ahead = self.ahead();
        ahead
            .iter()
            .any(|known| known.is_for(uri) && known.opening.is_some())
    }

    fn take_ahead(&self, uri: &Uri) -> Option<Opening> {
        let mut ahead = self.ahead();
        ahead
            .iter_mut()
            .find(|known| known.is_for(uri))?
            .opening
            .take()
    }

    async fn connect(&self, uri: &Uri) -> Result<Connection, BoxError> {
        if self.0.trust == Trust::AmazonFirst && is_of_amazon(uri) {
            match self.connect_with(&self.0.amazon, amazon_roots, uri).await {
                Err(error) if is_refused_certificate(&*error) => {
                    let host = uri.host().unwrap_or_default();
                    let reason = with_causes(&*error);
                    warn!(
                        host,
                        "Amazon's roots do not verify the certificate, so the trust store of the system decides: {reason}"
                    );
                }
                connected => return connected,
            }
        }
        self.connect_with(&self.0.system, system_roots, uri).await
    }

    async fn connect_with(
        &self,
        config: &OnceLock<Arc<ClientConfig>>,
        roots: impl FnOnce() -> RootCertStore,
        uri: &Uri,
    ) -> Result<Connection, BoxError> {
        let config = match config.get() {
            Some(config) => config,
            None => {
                let new = tls_config(roots())?;
                config.get_or_init(|| new)
            }
        };
        let mut https = HttpsConnector::from((self.0.tcp.clone(), Arc::clone(config)));
        let connected = timeout(CONNECT_TIMEOUT, https.call(uri.clone())).await;
        let connected = connected.map_err(|_elapsed| ConnectTimeout)?;
        connected.map_err(|error| match rustls_error(&*error) {
            Some(_) => TlsError(error).into(),
            None => error,
        })
    }
}

/// Looks up host names in the system's DNS.
#[derive(Clone)]
struct Resolver {
    /// What is looked up in place of the host.
    address: Option<Arc<str>>,
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, host: Name) -> Self::Future {
        let address = self.address.clone();
        Box::pin(async move { lookup(address.as_deref().unwrap_or(host.as_str())).await })
    }
}

/// Returns the addresses of a host, with port 0.
pub(super) async fn lookup(host: &str) -> io::Result<std::vec::IntoIter<SocketAddr>> {
    let addresses = tokio::net::lookup_host((host, 0)).await;
    let addresses = addresses
        .map_err(|error| io::Error::other(format!("could not resolve {host}: {error}")))?;
    Ok(addresses.collect::<Vec<_>>().into_iter())
}

/// No connection within [`CONNECT_TIMEOUT`].
#[derive(Debug)]
struct ConnectTimeout;

impl fmt::Display for ConnectTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no connection within {CONNECT_TIMEOUT:?}")
    }
}

impl StdError for ConnectTimeout {}

/// A failed TLS handshake; the source is the error of rustls. The text is that of the SDK's own client.
#[derive(Debug)]
struct TlsError(BoxError);

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TLS handshake failed")
    }
}

impl StdError for TlsError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.0)
    }
}

fn tls_config(roots: RootCertStore) -> Result<Arc<ClientConfig>, rustls::Error> {
    let mut provider = ring::default_provider();
    // Processors with instructions for SHA-256 compute it several times as fast as SHA-384.
    let preferred = ring::cipher_suite::TLS13_AES_128_GCM_SHA256;
    provider.cipher_suites.retain(|suite| *suite != preferred);
    provider.cipher_suites.insert(0, preferred);
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = Resumption::in_memory_sessions(RESUMABLE_SESSIONS);
    Ok(Arc::new(config))
}

fn amazon_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(AMAZON_ROOTS.map(CertificateDer::from));
    roots
}

fn system_roots() -> RootCertStore {
    let loaded = rustls_native_certs::load_native_certs();
    for error in &loaded.errors {
        warn!("a certificate of the system's trust store is left out: {error}");
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(loaded.certs);
    roots
}

/// Returns whether the host is one of AWS in the partitions `aws` and `aws-us-gov`.
fn is_of_amazon(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default();
    host.to_ascii_lowercase().ends_with(AMAZON_DOMAIN)
}

/// Returns whether a handshake failed because the certificate of the server is not trusted.
///
/// An unknown issuer is not the only reason. If the server also sends an expired certificate of its issuer, the reason is that
/// one.
fn is_refused_certificate(error: &(dyn StdError + 'static)) -> bool {
    matches!(
        rustls_error(error),
        Some(rustls::Error::InvalidCertificate(_))
    )
}

/// Returns the error of rustls among the causes of an error.
fn rustls_error<'error>(error: &'error (dyn StdError + 'static)) -> Option<&'error rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<rustls::Error>() {
            return Some(error);
        }
        // The source of an I/O error is that of the error in it.
        next = match error.downcast_ref::<io::Error>() {
            Some(error) => error
                .get_ref()
                .map(|inner| inner as &(dyn StdError + 'static)),
            None => error.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use rustls::{AlertDescription, CertificateError};
    use sha2::{Digest, Sha256};

    use super::*;

    /// The SHA-256 fingerprints that <https://www.amazontrust.com/repository/> names.
    const FINGERPRINTS: [&str; 5] = [
        "8ecde6884f3d87b1125ba31ac3fcb13d7016de7f57cc904fe1cb97c6ae98196e",
        "1ba5b2aa8c65401a82960118f80bec4f62304d83cec4713a19c39c011ea46db4",
        "18ce6cfe7bf14e60b2e347b8dfe868cb31d02ebb3ada271569f50343b46db3a4",
        "e35d28419ed02025cfa69038cd623962458da5c695fbdea3c22b0bfb25897092",
        "568d6905a2c88708a4b3025190edcfedb1974a606a13c6e5290fcb2ae63edab5",
    ];

    #[test]
    fn the_embedded_roots_are_those_of_amazons_repository() {
        let fingerprints = AMAZON_ROOTS.map(|root| {
            let digest = Sha256::digest(root);
            digest
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect::<String>()
        });
        assert_eq!(fingerprints, FINGERPRINTS);
        assert_eq!(
            amazon_roots().len(),
            AMAZON_ROOTS.len(),
            "a root cannot be parsed"
        );
    }

    #[test]
    fn only_subdomains_of_amazonaws_com_are_of_amazon() {
        for (url, expected) in [
            ("https://cloudfront.amazonaws.com", true),
            ("https://cloudfront.amazonaws.com:443/2020-05-31", true),
            ("https://CloudFront.AmazonAWS.com/", true),
            ("https://codepipeline-fips.us-east-1.amazonaws.com/", true),
            ("https://amazonaws.com/", false),
            ("https://evil-amazonaws.com/", false),
            ("https://cloudfront.cn-northwest-1.amazonaws.com.cn/", false),
            ("https://cloudfront.amazonaws.com.example.com/", false),
            ("https://cloudfront.amazonaws.com@example.com/", false),
            ("https://example.com/cloudfront.amazonaws.com", false),
            ("https://codepipeline.us-east-1.api.aws/", false),
            ("https://127.0.0.1/", false),
            ("https://[::1]/", false),
            ("/cloudfront.amazonaws.com", false),
        ] {
            let uri = url.parse().expect("a URL");
            assert_eq!(is_of_amazon(&uri), expected, "{url}");
        }
    }

    #[test]
    fn the_system_decides_about_every_certificate_that_amazons_roots_do_not_trust() {
        let invalid = rustls::Error::InvalidCertificate;
        let handshake_failure = AlertDescription::HandshakeFailure;
        for (error, expected) in [
            (invalid(CertificateError::UnknownIssuer), true),
            (invalid(CertificateError::Expired), true),
            (invalid(CertificateError::BadSignature), true),
            (rustls::Error::NoCertificatesPresented, false),
            (rustls::Error::AlertReceived(handshake_failure), false),
        ] {
            // As the parts of the client wrap it.
            let by_tokio = io::Error::new(io::ErrorKind::InvalidData, error.clone());
            let by_connector = TlsError(io::Error::other(by_tokio).into());
            assert_eq!(is_refused_certificate(&by_connector), expected, "{error}");
        }
        assert!(!is_refused_certificate(&ConnectTimeout));
        let closed = io::Error::from(io::ErrorKind::UnexpectedEof);
        assert!(!is_refused_certificate(&io::Error::other(closed)));
    }
}
