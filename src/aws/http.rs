//! Requests without an SDK client: those of `signed_json` and `webhook`.
//!
//! They are sent with the HTTP client of the SDK's configuration, so that all services share its connections, its timeout of
//! connecting, and its trusted certificates. Redirects are not followed.

use std::fmt;

use aws_sdk_cloudfront::config::SharedHttpClient;
use aws_sdk_cloudfront::config::http::{HttpRequest, HttpResponse};
use aws_smithy_runtime::client::auth::no_auth::{NO_AUTH_SCHEME_ID, NoAuthScheme};
use aws_smithy_runtime::client::identity::IdentityCache;
use aws_smithy_runtime::client::identity::no_auth::NoAuthIdentityResolver;
use aws_smithy_runtime::client::orchestrator::endpoints::StaticUriEndpointResolver;
use aws_smithy_runtime::client::retries::strategy::NeverRetryStrategy;
use aws_smithy_runtime_api::client::auth::static_resolver::StaticAuthSchemeOptionResolver;
use aws_smithy_runtime_api::client::connection::CaptureSmithyConnection;
use aws_smithy_runtime_api::client::http::{HttpClient, HttpConnector, HttpConnectorSettings};
use aws_smithy_runtime_api::client::runtime_components::{
    BuildError, RuntimeComponents, RuntimeComponentsBuilder,
};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use aws_types::SdkConfig;
use chrono::{DateTime, Utc};
use tokio::time::{Instant, timeout_at};

use super::sdk_error::with_causes;

/// The name of this program in requests.
pub(super) const USER_AGENT: &str = concat!("cloudfront-invalidator/", env!("CARGO_PKG_VERSION"));

/// Sends requests with the HTTP client of the SDK.
#[derive(Clone, Debug)]
pub(super) struct HttpSender {
    client: Option<SharedHttpClient>,
    settings: HttpConnectorSettings,
}

/// A response, whose body was read up to a limit.
pub(super) struct Received {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
    /// Whether the body is longer than the limit.
    pub(super) is_truncated: bool,
    /// The value of the header `Retry-After`.
    pub(super) retry_after: Option<String>,
    /// The value of the header `x-amzn-errortype`.
    pub(super) error_type: Option<String>,
    /// The value of the header `x-amz-retry-after`: when the service can be called again. Unit: milliseconds.
    pub(super) aws_retry_after: Option<u64>,
    /// The value of the header `Date`: the time of the server.
    pub(super) date: Option<String>,
    /// The value of the header `x-amzn-requestid`.
    #[cfg(feature = "cli")]
    pub(super) request_id: Option<String>,
}

impl fmt::Debug for Received {
    /// Leaves out the body, which can be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Received({})", self.status)
    }
}

/// Why there is no response. The texts never contain the URL.
#[derive(Clone, Debug)]
pub(super) enum SendError {
    /// The request cannot be sent as it is.
    NotSent(String),
    /// The connection failed, or no response arrived in time.
    NoResponse(String),
}

impl HttpSender {
    /// Takes the HTTP client of the configuration; sends nothing.
    pub(super) fn new(sdk: &SdkConfig) -> Self {
        let mut settings = HttpConnectorSettings::builder();
        if let Some(timeouts) = sdk.timeout_config() {
            // The same settings select the same connections.
            settings.set_connect_timeout(timeouts.connect_timeout());
            settings.set_read_timeout(timeouts.read_timeout());
        }
        Self {
            client: sdk.http_client(),
            settings: settings.build(),
        }
    }

    /// Sends a request and reads the response. It stops when the body is longer than `max_body` bytes.
    ///
    /// # Errors
    ///
    /// [`SendError`] if the request is not valid, the connection fails, or the response does not end before `deadline`.
    pub(super) async fn send(
        &self,
        mut request: HttpRequest,
        max_body: usize,
        deadline: Instant,
    ) -> Result<Received, SendError> {
        let Some(client) = &self.client else {
            return Err(SendError::NotSent("there is no HTTP client".to_owned()));
        };
        let components = components().map_err(|error| SendError::NotSent(error.to_string()))?;
        let connector = client.http_connector(&self.settings, &components);
        let connection = CaptureSmithyConnection::new();
        request.add_extension(connection.clone());
        let exchange = async {
            let response = connector.call(request).await;
            let response = response.map_err(|error| {
                let reason = with_causes(&error);
                match error.is_user() {
                    true => SendError::NotSent(reason),
                    false => SendError::NoResponse(reason),
                }
            })?;
            read(response, max_body).await
        };
        let received = timeout_at(deadline, exchange).await;
        let received = received.unwrap_or_else(|_elapsed| {
            let reason = "no response in time".to_owned();
            Err(SendError::NoResponse(reason))
        });
        let is_ill = |received: &Received| is_failure_of_server(received.status);
        if received.as_ref().map_or(true, is_ill)
            && let Some(connection) = connection.get()
        {
            // The next attempt uses another connection, and with it possibly another server.
            connection.poison();
        }
        received
    }
}

/// Returns whether the server failed, not the request.
pub(super) fn is_failure_of_server(status: u16) -> bool {
    status >= 500 || status == 408
}

/// Reads the value of the header `Date`.
pub(super) fn http_date(value: &str) -> Option<DateTime<Utc>> {
    Some(DateTime::parse_from_rfc2822(value).ok()?.to_utc())
}

async fn read(response: HttpResponse, max_body: usize) -> Result<Received, SendError> {
    let header = |name: &str| response.headers().get(name).map(str::to_owned);
    let mut received = Received {
        status: response.status().as_u16(),
        body: Vec::new(),
        is_truncated: false,
        retry_after: header("retry-after"),
        error_type: header("x-amzn-errortype"),
        aws_retry_after: header("x-amz-retry-after").and_then(|value| value.parse().ok()),
        date: header("date"),
        #[cfg(feature = "cli")]
        request_id: header("x-amzn-requestid"),
    };
    let mut stream = ByteStream::new(response.into_body());
    while let Some(part) = stream.next().await {
        let part = part.map_err(|error| SendError::NoResponse(with_causes(&error)))?;
        received.body.extend_from_slice(&part);
        if received.body.len() > max_body {
            received.is_truncated = true;
            break;
        }
    }
    Ok(received)
}

/// Returns a POST request to this URL.
pub(super) fn post(
    url: &str,
    headers: &[(&'static str, &str)],
    body: &str,
) -> Result<HttpRequest, SendError> {
    let mut request = HttpRequest::new(SdkBody::from(body));
    let method = request.set_method("POST");
    method.map_err(|error| SendError::NotSent(error.to_string()))?;
    let uri = request.set_uri(url);
    // The SDK's text can contain the URL.
    uri.map_err(|_error| SendError::NotSent("the URL is not valid".to_owned()))?;
    for (name, value) in headers {
        insert(&mut request, name, value)?;
    }
    Ok(request)
}

/// Sets a header.
pub(super) fn insert(
    request: &mut HttpRequest,
    name: &'static str,
    value: &str,
) -> Result<(), SendError> {
    let inserted = request.headers_mut().try_insert(name, value.to_owned());
    // The SDK's text can contain the value.
    inserted.map_err(|_error| SendError::NotSent(format!("header {name} is not valid")))?;
    Ok(())
}

/// Returns what the HTTP client requires of every caller. It uses none of it.
fn components() -> Result<RuntimeComponents, BuildError> {
    let no_auth = StaticAuthSchemeOptionResolver::new(vec![NO_AUTH_SCHEME_ID]);
    RuntimeComponentsBuilder::new("cloudfront-invalidator")
        .with_auth_scheme_option_resolver(Some(no_auth))
        .with_auth_scheme(NoAuthScheme::default())
        .with_identity_resolver(NO_AUTH_SCHEME_ID, NoAuthIdentityResolver::new())
        .with_identity_cache(Some(IdentityCache::no_cache()))
        .with_endpoint_resolver(Some(StaticUriEndpointResolver::uri("")))
        .with_retry_strategy(Some(NeverRetryStrategy::new()))
        .build()
}
