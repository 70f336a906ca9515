//! `SelectedProfile`: the profile of `~/.aws/config` and `~/.aws/credentials` that the command line uses.
//!
//! The SDK calls a profile that does not exist "no credentials", cannot prompt for an MFA code, and calls AWS if an endpoint
//! is not a URL. Each is refused here with the remedy, before anything is called.

use std::collections::BTreeSet;
use std::env;

use aws_config::profile::{Profile, ProfileSet, load};
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_types::os_shim_internal::{Env, Fs};
use url::Url;

use crate::error::{Error, ErrorKind};

/// The profile that is used if none is named. It need not exist.
const DEFAULT: &str = "default";

/// The Jaro-Winkler similarity from which a name counts as similar; 1 is equality.
const MIN_SIMILARITY: f64 = 0.8;

/// The environment variables of the endpoints of the services that are called. The SDK panics if one is empty.
const SERVICE_ENDPOINTS: [&str; 2] = [
    "AWS_ENDPOINT_URL_CLOUDFRONT",
    "AWS_ENDPOINT_URL_CODEPIPELINE",
];

/// The profile that `--profile`, `AWS_PROFILE` or the default selects.
pub(super) struct SelectedProfile {
    name: String,
    /// All profiles; `None` if the files cannot be read, which the SDK reports when it needs them.
    profiles: Option<ProfileSet>,
}

impl SelectedProfile {
    /// Reads the files. `argument` is the value of `--profile`.
    ///
    /// # Errors
    ///
    /// [`Error`] if the credentials have to come from the profile, and cannot.
    pub(super) async fn load(argument: Option<&str>) -> Result<Self, Error> {
        let named = argument
            .map(str::to_owned)
            .or_else(|| variable("AWS_PROFILE"));
        let files = EnvConfigFiles::default();
        let profiles = load(&Fs::real(), &Env::real(), &files, None).await;
        let selected = Self {
            name: named.unwrap_or_else(|| DEFAULT.to_owned()),
            profiles: profiles.ok(),
        };
        // Credentials in the environment precede those of AWS_PROFILE.
        if argument.is_some() || variable("AWS_ACCESS_KEY_ID").is_none() {
            selected.check()?;
        }
        Ok(selected)
    }

    /// Returns its name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    fn check(&self) -> Result<(), Error> {
        let Some(profiles) = &self.profiles else {
            return Ok(());
        };
        let profile = self.name.clone();
        if self.name != DEFAULT && profiles.get_profile(&self.name).is_none() {
            let (config, credentials) = files();
            let files = format!("{config} or {credentials}");
            let similar = similar(&self.name, profiles.profiles());
            return Err(ErrorKind::NoSuchProfile {
                profile,
                files,
                similar,
            }
            .into());
        }
        if needs_mfa(profiles, &self.name) {
            return Err(ErrorKind::MfaProfile { profile }.into());
        }
        Ok(())
    }

    /// Checks the endpoints of the environment and of the profile.
    pub(super) fn check_endpoints(&self) -> Result<(), Error> {
        let ignored = variable("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS").unwrap_or_default();
        if ignored.eq_ignore_ascii_case("true") {
            return Ok(());
        }
        // An empty variable makes the SDK panic.
        let all_services = (
            "AWS_ENDPOINT_URL".to_owned(),
            env::var("AWS_ENDPOINT_URL").ok(),
        );
        let services = SERVICE_ENDPOINTS.map(|name| (name.to_owned(), env::var(name).ok()));
        let configured = self.profile().map(|profile| {
            let place = format!("endpoint_url of profile {:?}", self.name);
            (place, profile.get("endpoint_url").map(str::to_owned))
        });
        let endpoints = services.into_iter().chain([all_services]).chain(configured);
        for (place, endpoint) in endpoints {
            if let Some(Err(message)) = endpoint.as_deref().map(parse_endpoint) {
                let message = format!("{place}: {message}");
                return Err(ErrorKind::InvalidConfiguration(message).into());
            }
        }
        Ok(())
    }

    /// Returns the error of a chain that found no credentials.
    pub(super) fn no_credentials(&self, message: Option<String>) -> Error {
        let has_login_session = self
            .profile()
            .is_some_and(|profile| profile.get("login_session").is_some());
        ErrorKind::NoCredentials {
            message,
            has_login_session,
        }
        .into()
    }

    fn profile(&self) -> Option<&Profile> {
        self.profiles.as_ref()?.get_profile(&self.name)
    }
}

/// Parses an endpoint. The error is the text for the user.
pub(crate) fn parse_endpoint(text: &str) -> Result<String, String> {
    let url = Url::parse(text);
    let is_http = |url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host();
    if url.as_ref().is_ok_and(is_http) {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "{text:?} is not the URL of an endpoint: write one such as https://cloudfront.amazonaws.com"
        ))
    }
}

/// Returns an environment variable; as in the AWS CLI, an empty one is not set.
pub(super) fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// Returns the files that are searched.
fn files() -> (String, String) {
    let file = |name, default: &str| variable(name).unwrap_or_else(|| default.to_owned());
    (
        file("AWS_CONFIG_FILE", "~/.aws/config"),
        file("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"),
    )
}

/// Returns the most similar name, if one is similar.
fn similar<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    let similarity = |other: &str| strsim::jaro_winkler(name, other);
    let names = names.filter(|other| similarity(other) >= MIN_SIMILARITY);
    let nearest = names.max_by(|first, second| similarity(first).total_cmp(&similarity(second)));
    nearest.map(str::to_owned)
}

/// Returns whether the profile, or one that its role is assumed with, assumes a role with an MFA code.
fn needs_mfa(profiles: &ProfileSet, name: &str) -> bool {
    let mut seen = BTreeSet::new();
    let mut next = Some(name);
    while let Some(profile) = next.and_then(|name| profiles.get_profile(name)) {
        // A profile can name itself: then its own keys assume the role.
        if profile.get("role_arn").is_none() || !seen.insert(profile.name()) {
            return false;
        }
        if profile.get("mfa_serial").is_some() {
            return true;
        }
        next = profile.get("source_profile");
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_an_http_url_with_a_host() {
        for endpoint in ["http://127.0.0.1:4566", "https://cloudfront.amazonaws.com"] {
            assert_eq!(parse_endpoint(endpoint), Ok(endpoint.to_owned()));
        }
        for endpoint in [
            "",
            "localhost",
            "localhost:4566",
            "ftp://localhost",
            "http://",
        ] {
            let message = format!(
                "{endpoint:?} is not the URL of an endpoint: write one such as https://cloudfront.amazonaws.com"
            );
            assert_eq!(parse_endpoint(endpoint), Err(message));
        }
    }

    #[test]
    fn suggests_the_most_similar_profile() {
        let names = ["default", "prod", "production", "dev"];
        for (name, expected) in [
            ("prdo", Some("prod")),
            ("Prod", Some("prod")),
            ("productoin", Some("production")),
            ("x", None),
        ] {
            assert_eq!(
                similar(name, names.into_iter()).as_deref(),
                expected,
                "{name}"
            );
        }
    }
}
