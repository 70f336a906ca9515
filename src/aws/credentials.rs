//! The credential chain of the command line: profiles, SSO, roles, processes, the environment, containers, machines.
//!
//! `aws-config` finds the credentials; `profile` refuses first what it cannot use. The TLS, the timeouts and the retries
//! are those of the function. The HTTP client honors the proxies of the environment, which the function does not need.

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_sdk_cloudfront::config::{BehaviorVersion, ProvideCredentials, Region, SharedHttpClient};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, Connector};
use aws_types::SdkConfig;

use super::profile::{SelectedProfile, variable};
use super::sdk;
use super::sdk_error::with_causes;
use crate::account::Account;
use crate::error::{Error, ErrorKind};

/// The TLS of the SDK's own HTTP client.
pub(super) const TLS: Provider = Provider::Rustls(CryptoMode::Ring);

/// CloudFront's own region, for which its requests are signed outside China.
const CLOUDFRONT_REGION: &str = "us-east-1";

/// How the SDK's message starts if a source has no credentials at all.
const NOT_ENABLED: &str = "the credential provider was not enabled";

/// The environment variables of proxies; `NO_PROXY` and `no_proxy` name the hosts to connect to directly.
const PROXIES: [&str; 6] = [
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "ALL_PROXY",
    "all_proxy",
];

/// What the user chose; the chain finds the rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CredentialOptions {
    /// A profile, which then takes precedence over all other sources.
    pub profile: Option<String>,
    /// A region.
    pub region: Option<String>,
    /// An endpoint.
    pub endpoint_url: Option<String>,
}

/// Configures the SDK with the user's credentials, and finds the account if the credentials name it.
///
/// # Errors
///
/// [`Error`] that lists where credentials were searched, or that names what is wrong with the configuration.
pub async fn sdk_config(options: &CredentialOptions) -> Result<(SdkConfig, Account), Error> {
    check_proxies()?;
    let selected = SelectedProfile::load(options.profile.as_deref()).await?;
    selected.check_endpoints(options.endpoint_url.is_some())?;
    let region = region(options, &selected)?;
    let shared = sdk::sdk_config(|_| None, &sdk::connections(|_| None));
    let client = http_client();
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12()).region(region.clone());
    // The SDK takes an empty AWS_PROFILE as a name.
    loader = loader
        .http_client(client.clone())
        .profile_name(selected.name());
    if let Some(profile) = &options.profile {
        // Otherwise credentials in the environment would win over the profile that the user named.
        let provider = ProviderConfig::without_region()
            .with_http_client(client)
            .with_region(Some(region.clone()));
        let provider = ProfileFileCredentialsProvider::builder()
            .configure(&provider)
            .profile_name(profile);
        loader = loader.credentials_provider(provider.build());
    }
    if let Some(timeouts) = shared.timeout_config() {
        loader = loader.timeout_config(timeouts.clone());
    }
    if let Some(retries) = shared.retry_config() {
        loader = loader.retry_config(retries.clone());
    }
    if let Some(endpoint_url) = &options.endpoint_url {
        loader = loader.endpoint_url(endpoint_url);
    }
    let sdk = loader.load().await;
    let credentials = match sdk.credentials_provider() {
        Some(provider) => provider.provide_credentials().await,
        None => return Err(selected.no_credentials(None)),
    };
    let credentials = credentials.map_err(|error| {
        let message = with_causes(&error);
        let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
        // The SDK's message about no credentials at all is ten lines long and adds nothing.
        let message = Some(message).filter(|message| !message.starts_with(NOT_ENABLED));
        selected.no_credentials(message)
    })?;
    let account_id = credentials.account_id().map(|id| id.as_str());
    let account = Account::new(sdk::partition(region.as_ref()).name, account_id);
    Ok((sdk, account))
}

/// Returns the HTTP client of the function, with the proxies of the environment.
fn http_client() -> SharedHttpClient {
    Builder::new().build_with_connector_fn(|settings, components| {
        let mut connector = Connector::builder();
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(|components| components.sleep_impl()));
        connector.proxy_config(proxies()).tls_provider(TLS).build()
    })
}

/// Returns the proxies of the environment.
pub(crate) fn proxies() -> ProxyConfig {
    if is_proxy_disabled() {
        ProxyConfig::disabled()
    } else {
        ProxyConfig::from_env()
    }
}

/// Returns whether `NO_PROXY` is `*`, which the SDK does not apply to IP addresses.
fn is_proxy_disabled() -> bool {
    let names = ["NO_PROXY", "no_proxy"].into_iter().filter_map(variable);
    names.take(1).any(|hosts| hosts.trim() == "*")
}

/// Checks the proxies of the environment. The SDK ignores an invalid one and connects directly.
fn check_proxies() -> Result<(), Error> {
    for name in PROXIES {
        let proxy = std::env::var(name).unwrap_or_default();
        let url = if proxy.contains("://") {
            proxy.clone()
        } else {
            format!("http://{proxy}")
        };
        if !proxy.is_empty() && ProxyConfig::all(url).is_err() {
            // The value can contain a password.
            return Err(ErrorKind::InvalidConfiguration(format!(
                "{name} is not the URL of an HTTP proxy: write one such as http://proxy.example.com:3128"
            ))
            .into());
        }
    }
    Ok(())
}

/// Returns the region. The metadata service is left out: on most machines it does not answer, and CloudFront needs no
/// region.
fn region(options: &CredentialOptions, selected: &SelectedProfile) -> Result<Region, Error> {
    let of_options = options.region.clone().map(|region| {
        let place = "--region or the configuration file";
        (place.to_owned(), region)
    });
    let of_variable = |name: &str| variable(name).map(|region| (name.to_owned(), region));
    let of_profile = || {
        let (profile, region) = selected.region()?;
        Some((format!("region of profile {profile:?}"), region.to_owned()))
    };
    let configured = of_options
        .or_else(|| of_variable("AWS_REGION"))
        .or_else(|| of_variable("AWS_DEFAULT_REGION"))
        .or_else(of_profile);
    match configured {
        Some((_, region)) if is_host_label(&region) => Ok(Region::new(region)),
        Some((place, region)) => Err(ErrorKind::InvalidConfiguration(format!(
            "{place}: {region:?} is not the name of a region: write one such as {CLOUDFRONT_REGION}"
        ))
        .into()),
        None => Ok(Region::from_static(CLOUDFRONT_REGION)),
    }
}

/// Returns whether the SDK accepts the text as a part of a host name.
fn is_host_label(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (1..=63).contains(&text.len()) && !text.starts_with('-') && text.bytes().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_label_has_at_most_63_letters_digits_and_hyphens() {
        let longest = "a".repeat(63);
        for text in ["us-east-1", "mars", "1", longest.as_str()] {
            assert!(is_host_label(text), "{text}");
        }
        let too_long = "a".repeat(64);
        for text in [
            "",
            "-eu",
            "eu west",
            "eu_west",
            "eu.west",
            "s\u{fc}d",
            too_long.as_str(),
        ] {
            assert!(!is_host_label(text), "{text}");
        }
    }
}
