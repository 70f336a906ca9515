//! The only rooms that name an SDK, and what their clients share.
//!
//! Cold start is the function's latency, so the clients are wired by hand: one TLS connector for all of them, ring for
//! its crypto (aws-lc's default gathers entropy for 24 ms of CPU in the first handshake), and the credentials that
//! Lambda puts into the environment. The full credential chain with its profiles, SSO and metadata services is for
//! people, not for a function.

#[cfg(feature = "cli")]
pub mod account;
#[cfg(feature = "cli")]
pub mod chain;
pub mod cloudfront;
pub mod codepipeline;
pub mod distributions;
pub mod names;
mod recent;
pub mod sites;

use std::error::Error;
use std::time::Duration;

use aws_sdk_cloudfront::config::http::HttpResponse;
use aws_sdk_cloudfront::config::retry::RetryConfig;
use aws_sdk_cloudfront::config::timeout::TimeoutConfig;
use aws_sdk_cloudfront::config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider};
use aws_sdk_cloudfront::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_types::SdkConfig;
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};

use crate::distribution::DistributionId;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// How long one attempt of a call may take.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(8);

/// How long a call may take with its retries; the invocation's own deadline cuts it shorter.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(25);

/// How often a call is tried. The answer to a job is worth more than the SDK's three times.
const ATTEMPTS: u32 = 4;

/// How long the SDK waits at most before its first retry; each later one waits up to twice as long.
const INITIAL_BACKOFF: Duration = Duration::from_millis(300);

/// Wires what the SDK clients share, from the variables that Lambda sets.
///
/// `AWS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_CLOUDFRONT`, `AWS_ENDPOINT_URL_CODEPIPELINE`, `AWS_USE_FIPS_ENDPOINT` and
/// `AWS_USE_DUALSTACK_ENDPOINT` mean what they do in
/// [all SDKs](https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html).
pub fn sdk_config(variable: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> SdkConfig {
    let is_true = |name: &str| variable(name).map(|value| value.eq_ignore_ascii_case("true"));
    let http_client = aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build_https();
    let mut builder = SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(variable("AWS_REGION").map(Region::new))
        .http_client(http_client)
        .retry_config(
            RetryConfig::standard()
                .with_max_attempts(ATTEMPTS)
                .with_initial_backoff(INITIAL_BACKOFF),
        )
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(CONNECT_TIMEOUT)
                .operation_attempt_timeout(ATTEMPT_TIMEOUT)
                .operation_timeout(OPERATION_TIMEOUT)
                .build(),
        );
    builder.set_credentials_provider(credentials(&variable));
    builder.set_use_fips(is_true("AWS_USE_FIPS_ENDPOINT"));
    builder.set_use_dual_stack(is_true("AWS_USE_DUALSTACK_ENDPOINT"));
    if is_true("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") != Some(true) {
        builder.set_endpoint_url(variable("AWS_ENDPOINT_URL"));
        builder = builder.service_config(ServiceEndpoints(variable));
    }
    builder.build()
}

/// Lambda renews a function's credentials by starting a new environment, so they are read once.
fn credentials(variable: impl Fn(&str) -> Option<String>) -> Option<SharedCredentialsProvider> {
    let credentials = Credentials::new(
        variable("AWS_ACCESS_KEY_ID")?,
        variable("AWS_SECRET_ACCESS_KEY")?,
        variable("AWS_SESSION_TOKEN"),
        None,
        "environment",
    );
    Some(SharedCredentialsProvider::new(credentials))
}

/// Finds `AWS_ENDPOINT_URL_<SERVICE>` for the SDK.
struct ServiceEndpoints<V>(V);

impl<V> std::fmt::Debug for ServiceEndpoints<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ServiceEndpoints")
    }
}

impl<V: Fn(&str) -> Option<String> + Send + Sync> LoadServiceConfig for ServiceEndpoints<V> {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        let service = key.service_id().to_uppercase().replace(' ', "_");
        self.0(&format!("{}_{service}", key.env()))
    }
}

/// The account that owns the function, and with it the distributions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    partition: String,
    id: String,
}

impl Account {
    /// Reads the account and the partition from an ARN; what it does not tell stands as `aws` and `*`.
    pub fn of_arn(arn: &str) -> Self {
        let mut parts = arn.split(':').skip(1);
        let partition = parts
            .next()
            .filter(|part| !part.is_empty())
            .unwrap_or("aws");
        let id = parts.nth(2).filter(|part| !part.is_empty()).unwrap_or("*");
        Self {
            partition: partition.to_owned(),
            id: id.to_owned(),
        }
    }

    /// Returns an ARN that says no more than this.
    #[cfg(feature = "cli")]
    pub(crate) fn arn(&self) -> String {
        format!("arn:{}:lambda::{}:", self.partition, self.id)
    }

    fn distribution_arn(&self, distribution: &DistributionId) -> String {
        format!(
            "arn:{}:cloudfront::{}:distribution/{distribution}",
            self.partition, self.id
        )
    }
}

/// Prints an error with its causes, once: the SDK's own text is "service error" or "dispatch failure".
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// Returns the service's code and message, or what happened on the way to it.
fn said<E>(error: &SdkError<E, HttpResponse>) -> String
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        (None, _) => match error.raw_response() {
            Some(response) => format!("HTTP status {}: {}", response.status(), chain(error)),
            None => chain(error),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_account_from_the_functions_arn() {
        let id = DistributionId::parse("E2EXAMPLE1ABC").expect("an id");
        for (arn, distribution_arn) in [
            (
                "arn:aws:lambda:eu-west-1:111122223333:function:invalidator",
                "arn:aws:cloudfront::111122223333:distribution/E2EXAMPLE1ABC",
            ),
            (
                "arn:aws-cn:lambda:cn-north-1:111122223333:function:invalidator:live",
                "arn:aws-cn:cloudfront::111122223333:distribution/E2EXAMPLE1ABC",
            ),
            ("", "arn:aws:cloudfront::*:distribution/E2EXAMPLE1ABC"),
        ] {
            assert_eq!(Account::of_arn(arn).distribution_arn(&id), distribution_arn);
        }
    }
}
