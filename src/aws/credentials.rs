//! The credential chain of people: profiles, SSO, roles, processes, the environment, containers and machines.
//!
//! `aws-config` finds the credentials; the HTTP client with its TLS, the timeouts and the retries are those of the
//! function. A function's messages tell what to do to its role and settings; [`Wanted::explain`] says the same to a
//! person.

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::{ProfileFileCredentialsProvider, ProfileFileRegionProvider};
use aws_config::provider_config::ProviderConfig;
use aws_sdk_cloudfront::config::{BehaviorVersion, ProvideCredentials, Region};
use aws_types::SdkConfig;

use super::{Account, chain};
use crate::failure::{Cause, Failure};

/// CloudFront is signed for this region wherever it is called from, China apart.
const HOME: &str = "us-east-1";

/// How the SDK begins where a source of credentials has nothing to say.
const NOT_ENABLED: &str = "the credential provider was not enabled";

/// What a person says of the account to use; the chain finds the rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// A profile, which then goes before all else.
    pub profile: Option<String>,
    /// A region.
    pub region: Option<String>,
    /// An endpoint.
    pub endpoint_url: Option<String>,
}

/// Wires the SDK for a person, whose credentials it finds.
///
/// # Errors
///
/// A [`Failure`] with [`Cause::Permission`] that tells where credentials were looked for.
pub async fn sdk_config(wanted: &Wanted) -> Result<(SdkConfig, Account), Failure> {
    let shared = super::sdk_config(|_| None);
    let region = wanted.region().await;
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12()).region(region.clone());
    if let Some(client) = shared.http_client() {
        loader = loader.http_client(client.clone());
        if let Some(profile) = &wanted.profile {
            // The loader would prefer credentials in the environment, as nobody expects who names a profile.
            let provider = ProviderConfig::without_region()
                .with_http_client(client)
                .with_region(Some(region.clone()));
            let provider = ProfileFileCredentialsProvider::builder()
                .configure(&provider)
                .profile_name(profile);
            loader = loader
                .profile_name(profile)
                .credentials_provider(provider.build());
        }
    }
    if let Some(timeouts) = shared.timeout_config() {
        loader = loader.timeout_config(timeouts.clone());
    }
    if let Some(retries) = shared.retry_config() {
        loader = loader.retry_config(retries.clone());
    }
    if let Some(endpoint_url) = &wanted.endpoint_url {
        loader = loader.endpoint_url(endpoint_url);
    }
    let sdk = loader.load().await;
    let credentials = match sdk.credentials_provider() {
        Some(provider) => provider.provide_credentials().await,
        None => return Err(wanted.without_credentials(None)),
    };
    let credentials = credentials.map_err(|error| {
        let said = chain(&error)
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        // That there are none at all, it says in ten lines.
        wanted.without_credentials(Some(said).filter(|said| !said.starts_with(NOT_ENABLED)))
    })?;
    let account_id = credentials.account_id().map(|id| id.as_str().to_owned());
    let account_id = account_id.unwrap_or_default();
    let account = Account::of_arn(&format!(
        "arn:{}:iam::{account_id}:root",
        partition(&region)
    ));
    Ok((sdk, account))
}

fn partition(region: &Region) -> &'static str {
    match region.as_ref() {
        region if region.starts_with("cn-") => "aws-cn",
        region if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}

impl Wanted {
    async fn region(&self) -> Region {
        let mut profile = ProfileFileRegionProvider::builder();
        if let Some(name) = &self.profile {
            profile = profile.profile_name(name);
        }
        // The metadata service is left out: it would be waited for where there is none, and CloudFront needs no region.
        RegionProviderChain::first_try(self.region.clone().map(Region::new))
            .or_else(EnvironmentVariableRegionProvider::new())
            .or_else(profile.build())
            .or_else(Region::new(HOME))
            .region()
            .await
            .unwrap_or(Region::from_static(HOME))
    }

    fn searched(&self) -> String {
        match &self.profile {
            Some(profile) => format!(
                "profile {profile:?} of ~/.aws/config and ~/.aws/credentials, with its SSO session, process or role"
            ),
            None => "the environment (AWS_ACCESS_KEY_ID), the profile (AWS_PROFILE or default, with its SSO session, \
                     process or role), web identity (AWS_WEB_IDENTITY_TOKEN_FILE), and the role of the container and \
                     of the machine"
                .to_owned(),
        }
    }

    fn login(&self) -> String {
        match &self.profile {
            Some(profile) => format!("`aws sso login --profile {profile}`"),
            None => "`aws sso login`".to_owned(),
        }
    }

    fn without_credentials(&self, said: Option<String>) -> Failure {
        let said = said.map(|said| format!(" ({said})")).unwrap_or_default();
        let message = format!(
            "no credentials{said}; looked for in {}: give some, or run {}",
            self.searched(),
            self.login()
        );
        Failure {
            cause: Cause::Permission,
            message,
        }
    }

    /// Words for a person what the library words for a function.
    pub fn explain(&self, failure: Failure) -> Failure {
        let refused = [
            "ExpiredToken",
            "RequestExpired",
            "InvalidClientTokenId",
            "UnrecognizedClientException",
            "SignatureDoesNotMatch",
        ];
        if refused.iter().any(|code| failure.message.contains(code)) {
            return Failure {
                cause: Cause::Permission,
                message: format!(
                    "the credentials are refused: {}; they came from {}: renew them, or run {}",
                    failure.message.trim_end_matches(": try again"),
                    self.searched(),
                    self.login()
                ),
            };
        }
        let message = [
            (
                "to the policy of the function's role",
                "to the policy of the user or role that runs this",
            ),
            (
                ": correct DISTRIBUTION_ID or the action's UserParameters",
                "",
            ),
            (": correct DISTRIBUTION_ID", ""),
        ]
        .into_iter()
        .fold(failure.message, |text, (function, person)| {
            text.replace(function, person)
        });
        Failure { message, ..failure }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distribution::DistributionId;

    #[test]
    fn words_for_a_person_what_is_worded_for_a_function() {
        let wanted = Wanted {
            profile: Some("dev".into()),
            ..Wanted::default()
        };
        let id = DistributionId::parse("E2EXAMPLE1ABC").expect("an id");
        let account = Account::of_arn("arn:aws-cn:iam::111122223333:root");
        let denied = Failure::missing_permission(
            "cloudfront:GetInvalidation",
            &account.distribution_arn(&id),
        );
        for (failure, cause, message) in [
            (
                denied,
                Cause::Permission,
                "not allowed to call cloudfront:GetInvalidation on \
                 arn:aws-cn:cloudfront::111122223333:distribution/E2EXAMPLE1ABC: add this statement to the policy of \
                 the user or role that runs this: {\"Effect\":\"Allow\",\"Action\":\"cloudfront:GetInvalidation\",\
                 \"Resource\":\"arn:aws-cn:cloudfront::111122223333:distribution/E2EXAMPLE1ABC\"}",
            ),
            (
                Failure::unavailable(
                    "CloudFront did not confirm an invalidation of E2EXAMPLE1ABC (ExpiredToken: The \
                                      security token included in the request is expired): try again",
                ),
                Cause::Permission,
                "the credentials are refused: CloudFront did not confirm an invalidation of E2EXAMPLE1ABC \
                 (ExpiredToken: The security token included in the request is expired); they came from profile \"dev\" \
                 of ~/.aws/config and ~/.aws/credentials, with its SSO session, process or role: renew them, or run \
                 `aws sso login --profile dev`",
            ),
            (
                Failure::mistake(
                    "distribution E2EXAMPLE1ABC does not exist in this account: correct DISTRIBUTION_ID",
                ),
                Cause::Mistake,
                "distribution E2EXAMPLE1ABC does not exist in this account",
            ),
        ] {
            let explained = wanted.explain(failure);
            assert_eq!(
                (explained.cause, explained.message.as_str()),
                (cause, message)
            );
            // Once more changes nothing.
            if cause == Cause::Mistake {
                assert_eq!(wanted.explain(explained.clone()), explained);
            }
        }
    }
}
