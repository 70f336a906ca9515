//! The configuration that all SDK clients share.
//!
//! Cold start is the function's latency, so the clients are configured by hand: one HTTP client for all of them
//! (`connections`), and the credentials that Lambda puts into the environment. Only the command line needs the full credential
//! chain (`credentials`).

use std::time::Duration;

use aws_sdk_cloudfront::config::retry::RetryConfig;
use aws_sdk_cloudfront::config::timeout::TimeoutConfig;
use aws_sdk_cloudfront::config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider};
use aws_types::SdkConfig;
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};

use super::connections::{CONNECT_TIMEOUT, Connections, Trust};

/// The environment variables with an endpoint or a trust store of the user's own, which select the system's certificates for all
/// hosts.
const SYSTEM_TRUST_VARIABLES: [&str; 8] = [
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_CLOUDFRONT",
    "AWS_ENDPOINT_URL_CODEPIPELINE",
    "AWS_ENDPOINT_URL_SECRETS_MANAGER",
    "AWS_ENDPOINT_URL_SQS",
    "AWS_ENDPOINT_URL_SSM",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
];

/// How long one attempt of a call may take.
pub(super) const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(8);

/// How long a call may take with its retries; the invocation's own deadline cuts it shorter.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(25);

/// How many times an SDK client attempts a call. The SDK's default is 3. Calls of other services have `attempts` in
/// `signed_json`.
const ATTEMPTS: u32 = 4;

/// The maximum wait before the first retry; it doubles for each later one.
const INITIAL_BACKOFF: Duration = Duration::from_millis(300);

/// Creates the HTTP client of all services. The environment variables decide which certificates it trusts.
pub fn connections(variable: impl Fn(&str) -> Option<String>) -> Connections {
    Connections::new(trust(variable))
}

/// Returns which certificates are trusted with these environment variables.
fn trust(variable: impl Fn(&str) -> Option<String>) -> Trust {
    let is_set = |name: &&str| variable(name).is_some_and(|value| !value.is_empty());
    let region = variable("AWS_REGION").unwrap_or_default();
    match SYSTEM_TRUST_VARIABLES.iter().any(is_set) {
        false if partition(&region).name == "aws" => Trust::AmazonFirst,
        _ => Trust::System,
    }
}

/// Builds the configuration that the SDK clients share, from the environment variables that Lambda sets.
///
/// `AWS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_CLOUDFRONT` and those of the other services, `AWS_USE_FIPS_ENDPOINT` and
/// `AWS_USE_DUALSTACK_ENDPOINT` mean what they do in
/// [all SDKs](https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html).
pub fn sdk_config(
    variable: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    connections: &Connections,
) -> SdkConfig {
    let is_true = |name: &str| variable(name).map(|value| value.eq_ignore_ascii_case("true"));
    let mut builder = SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(variable("AWS_REGION").map(Region::new))
        .http_client(connections.clone())
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
        let endpoint = variable("AWS_ENDPOINT_URL");
        builder.set_endpoint_url(endpoint.filter(|endpoint| !endpoint.is_empty()));
        builder = builder.service_config(ServiceEndpoints(variable));
    }
    builder.build()
}

/// Returns the endpoint of CloudFront if one is configured, as the client finds it.
#[cfg(feature = "cli")]
pub fn cloudfront_endpoint(sdk: &SdkConfig) -> Option<String> {
    service_endpoint(sdk, "CloudFront")
}

/// Returns the endpoint of a service if one is configured, as its client finds it.
pub(super) fn service_endpoint(sdk: &SdkConfig, service_id: &'static str) -> Option<String> {
    let shared = || sdk.endpoint_url().map(str::to_owned);
    if sdk.get_origin("endpoint_url").is_client_config() {
        return shared();
    }
    let key = ServiceConfigKey::builder()
        .service_id(service_id)
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build()
        .ok()?;
    let of_service = sdk
        .service_config()
        .and_then(|config| config.load_config(key));
    of_service.or_else(shared)
}

/// A group of regions with accounts and domains of its own.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Partition {
    /// Its name in ARNs.
    pub(super) name: &'static str,
    /// The domain of its endpoints.
    pub(super) domain: &'static str,
    /// The domain of those endpoints that have IPv6, too.
    pub(super) dual_stack_domain: &'static str,
}

const fn partition_of(
    name: &'static str,
    domain: &'static str,
    dual_stack_domain: &'static str,
) -> Partition {
    Partition {
        name,
        domain,
        dual_stack_domain,
    }
}

/// The partition of all regions without a prefix below.
const AWS: Partition = partition_of("aws", "amazonaws.com", "api.aws");

/// The other partitions, with the prefix of their regions, as in the endpoint rules of the SDK.
const PARTITIONS: [(&str, Partition); 7] = [
    (
        "cn-",
        partition_of("aws-cn", "amazonaws.com.cn", "api.amazonwebservices.com.cn"),
    ),
    (
        "us-gov-",
        partition_of("aws-us-gov", "amazonaws.com", "api.aws"),
    ),
    (
        "eusc-",
        partition_of("aws-eusc", "amazonaws.eu", "api.amazonwebservices.eu"),
    ),
    (
        "us-iso-",
        partition_of("aws-iso", "c2s.ic.gov", "api.aws.ic.gov"),
    ),
    (
        "us-isob-",
        partition_of("aws-iso-b", "sc2s.sgov.gov", "api.aws.scloud"),
    ),
    (
        "eu-isoe-",
        partition_of("aws-iso-e", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
    ),
    (
        "us-isof-",
        partition_of("aws-iso-f", "csp.hci.ic.gov", "api.aws.hci.ic.gov"),
    ),
];

/// Returns the domains of all partitions.
pub(super) fn domains() -> impl Iterator<Item = &'static str> {
    let partitions = PARTITIONS.iter().map(|(_, partition)| partition);
    let partitions = std::iter::once(&AWS).chain(partitions);
    partitions.flat_map(|partition| [partition.domain, partition.dual_stack_domain])
}

/// Returns the partition of a region.
pub(super) fn partition(region: &str) -> &'static Partition {
    let mut others = PARTITIONS.iter();
    let other = others.find(|(prefix, _)| region.starts_with(prefix));
    other.map_or(&AWS, |(_, partition)| partition)
}

/// Reads the credentials once: Lambda starts a new environment to renew them.
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

/// Looks up `AWS_ENDPOINT_URL_<SERVICE>` for the SDK.
struct ServiceEndpoints<V>(V);

impl<V> std::fmt::Debug for ServiceEndpoints<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ServiceEndpoints")
    }
}

impl<V: Fn(&str) -> Option<String> + Send + Sync> LoadServiceConfig for ServiceEndpoints<V> {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        let service = key.service_id().to_uppercase().replace(' ', "_");
        let endpoint = self.0(&format!("{}_{service}", key.env()));
        // The SDK panics if the endpoint is empty.
        endpoint.filter(|endpoint| !endpoint.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trust_with(variables: &[(&str, &str)]) -> Trust {
        trust(|name| {
            let mut variables = variables.iter();
            let variable = variables.find(|(known, _)| *known == name);
            variable.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn amazons_roots_are_trusted_in_the_partition_aws_only() {
        for (region, expected) in [
            (None, Trust::AmazonFirst),
            (Some(""), Trust::AmazonFirst),
            (Some("us-east-1"), Trust::AmazonFirst),
            (Some("eu-west-1"), Trust::AmazonFirst),
            (Some("ap-southeast-5"), Trust::AmazonFirst),
            (Some("cn-north-1"), Trust::System),
            (Some("cn-northwest-1"), Trust::System),
            (Some("us-gov-west-1"), Trust::System),
            (Some("us-gov-east-1"), Trust::System),
            (Some("eusc-de-east-1"), Trust::System),
            (Some("us-iso-east-1"), Trust::System),
        ] {
            let variables = region.map(|region| ("AWS_REGION", region));
            assert_eq!(trust_with(variables.as_slice()), expected, "{region:?}");
        }
    }

    #[test]
    fn an_endpoint_or_a_trust_store_in_the_environment_selects_the_system() {
        let region = ("AWS_REGION", "eu-west-1");
        for name in [
            "AWS_ENDPOINT_URL",
            "AWS_ENDPOINT_URL_CLOUDFRONT",
            "AWS_ENDPOINT_URL_CODEPIPELINE",
            "AWS_ENDPOINT_URL_SECRETS_MANAGER",
            "AWS_ENDPOINT_URL_SQS",
            "AWS_ENDPOINT_URL_SSM",
            "SSL_CERT_DIR",
            "SSL_CERT_FILE",
        ] {
            for (value, expected) in [("", Trust::AmazonFirst), ("x", Trust::System)] {
                assert_eq!(
                    trust_with(&[region, (name, value)]),
                    expected,
                    "{name}={value}"
                );
                assert_eq!(
                    trust_with(&[(name, value)]),
                    expected,
                    "{name}={value}, no region"
                );
            }
        }
        for other in [
            "AWS_USE_FIPS_ENDPOINT",
            "AWS_USE_DUALSTACK_ENDPOINT",
            "HTTPS_PROXY",
        ] {
            assert_eq!(
                trust_with(&[region, (other, "true")]),
                Trust::AmazonFirst,
                "{other}"
            );
        }
    }

    #[test]
    fn an_empty_endpoint_of_a_service_is_not_set() {
        for (value, expected) in [("", None), ("http://localhost", Some("http://localhost"))] {
            let endpoints = ServiceEndpoints(move |name: &str| {
                assert_eq!(name, "AWS_ENDPOINT_URL_CLOUDFRONT");
                Some(value.to_owned())
            });
            let key = ServiceConfigKey::builder()
                .service_id("CloudFront")
                .env("AWS_ENDPOINT_URL")
                .profile("endpoint_url")
                .build()
                .expect("a key");
            assert_eq!(endpoints.load_config(key).as_deref(), expected);
        }
    }
}
