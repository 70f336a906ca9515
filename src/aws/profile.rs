//! `SelectedProfile`: the profile of `~/.aws/config` and `~/.aws/credentials` that the command line uses.
//!
//! The SDK calls a profile that does not exist "no credentials", cannot prompt for an MFA code, and panics or prints its
//! request if an endpoint is not a URL. Each is refused here with the remedy, before anything is called.
//!
//! An endpoint can contain a password, so a text contains it without its user info only.

use std::collections::BTreeSet;
use std::env;

use aws_config::profile::{Profile, ProfileSet, load};
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_runtime::env_config::property::PropertiesKey;
use aws_smithy_runtime_api::http::Request;
use aws_types::os_shim_internal::{Env, Fs};
use url::Url;

use crate::error::{Error, ErrorKind};
use crate::similarity::similar;

/// The profile that is used if none is named. It need not exist.
const DEFAULT: &str = "default";

/// The environment variable of the endpoint of all services. That of one service has the service's name after it.
const ENDPOINT: &str = "AWS_ENDPOINT_URL";

/// The services that commands call, as a `services` section of the configuration names them.
const CALLED_SERVICES: [&str; 2] = ["cloudfront", "codepipeline"];

/// The services that can be called to find credentials. Neither `--endpoint-url` nor
/// `ignore_configured_endpoint_urls` has an effect on the SDK's clients of these.
const CREDENTIAL_SERVICES: [&str; 4] = ["signin", "sso", "sso-oidc", "sts"];

/// The settings of profiles whose credentials come from one of these services.
const CREDENTIAL_SETTINGS: [&str; 4] =
    ["role_arn", "sso_session", "sso_start_url", "login_session"];

/// The profile that `--profile`, `AWS_PROFILE` or the default selects.
pub(super) struct SelectedProfile {
    name: String,
    /// Whether it can provide the credentials: keys in the environment precede those of `AWS_PROFILE`.
    has_credentials: bool,
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
            has_credentials: argument.is_some() || variable("AWS_ACCESS_KEY_ID").is_none(),
            profiles: profiles.ok(),
        };
        if selected.has_credentials {
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
        if self.name != DEFAULT && self.profile().is_none() {
            return Err(no_such_profile(profiles, &self.name, None));
        }
        let roles = assumed_roles(profiles, &self.name);
        if roles.iter().any(|role| role.get("mfa_serial").is_some()) {
            let profile = self.name.clone();
            return Err(ErrorKind::MfaProfile { profile }.into());
        }
        if let Some(role) = roles.last()
            && let Some(source) = role.get("source_profile")
            && profiles.get_profile(source).is_none()
        {
            return Err(no_such_profile(profiles, source, Some(role.name())));
        }
        Ok(())
    }

    /// Checks the endpoints of the environment and of the profile. `is_set` is whether an option names CloudFront's; then
    /// the SDK reads those of the services that it calls for credentials only.
    pub(super) fn check_endpoints(&self, is_set: bool) -> Result<(), Error> {
        let are_ignored = is_set || self.ignores_endpoints();
        if are_ignored && !self.calls_for_credentials() {
            return Ok(());
        }
        let called = CALLED_SERVICES.into_iter().filter(|_| !are_ignored);
        let services: Vec<_> = CREDENTIAL_SERVICES.into_iter().chain(called).collect();
        let names = services.iter().map(|service| service_variable(service));
        let names: BTreeSet<_> = names.chain([ENDPOINT.to_owned()]).collect();
        let mut endpoints: Vec<_> = env::vars_os()
            .map(|(name, endpoint)| {
                [name, endpoint].map(|text| text.to_string_lossy().into_owned())
            })
            .filter(|[name, _]| names.contains(name) || !are_ignored && name.starts_with(ENDPOINT))
            .collect();
        endpoints.sort();
        if let Some((profiles, profile)) = self.profiles.as_ref().zip(self.profile()) {
            let of_profile = profile.get("endpoint_url").map(|endpoint| {
                let place = format!("endpoint_url of profile {:?}", self.name);
                [place, endpoint.to_owned()]
            });
            let of_services = services
                .iter()
                .filter_map(|service| service_endpoint(profiles, profile, service));
            endpoints.extend(of_services.chain(of_profile));
        }
        for [place, endpoint] in endpoints {
            if let Err(message) = parse_endpoint(&endpoint) {
                let message = format!("{place}: {message}");
                return Err(ErrorKind::InvalidConfiguration(message).into());
            }
        }
        Ok(())
    }

    /// Returns whether the SDK ignores the endpoints of CloudFront and CodePipeline in the environment and the profile.
    fn ignores_endpoints(&self) -> bool {
        let of_profile = || {
            let setting = self.profile()?.get("ignore_configured_endpoint_urls");
            setting.map(str::to_owned)
        };
        let ignored = env::var("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS").ok();
        let ignored = ignored.or_else(of_profile).unwrap_or_default();
        ignored.eq_ignore_ascii_case("true")
    }

    /// Returns whether a service is called to find the credentials.
    fn calls_for_credentials(&self) -> bool {
        let has_setting = |profile: &Profile| {
            let mut settings = CREDENTIAL_SETTINGS.into_iter();
            settings.any(|setting| profile.get(setting).is_some())
        };
        self.has_credentials
            && (self.profile().is_some_and(has_setting)
                || variable("AWS_WEB_IDENTITY_TOKEN_FILE").is_some())
    }

    /// Returns the region of the profile, or of the first of its source profiles that has one, with the profile's name.
    pub(super) fn region(&self) -> Option<(&str, &str)> {
        let mut seen = BTreeSet::new();
        let mut profile = self.profile()?;
        while seen.insert(profile.name()) {
            if let Some(region) = profile.get("region").filter(|region| !region.is_empty()) {
                return Some((profile.name(), region));
            }
            let source = profile.get("source_profile")?;
            profile = self.profiles.as_ref()?.get_profile(source)?;
        }
        None
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
    // `Url` corrects mistakes that the SDK does not accept, such as spaces and missing slashes.
    let is_uri = || Request::new(()).uri_mut().set_endpoint(text).is_ok();
    if url.as_ref().is_ok_and(is_http) && is_uri() {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "{:?} is not the URL of an endpoint: write one such as https://cloudfront.amazonaws.com",
            without_user_info(text)
        ))
    }
}

/// Returns an endpoint, which can be malformed, without its user info.
pub(crate) fn without_user_info(endpoint: &str) -> String {
    let is_scheme = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let (scheme, rest) = match endpoint.split_once("://") {
        Some((scheme, rest)) if is_scheme(scheme) => (format!("{scheme}://"), rest),
        _ => (String::new(), endpoint),
    };
    match rest.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}***@{host}"),
        None => endpoint.to_owned(),
    }
}

/// Returns the environment variable of the endpoint of a service.
fn service_variable(service: &str) -> String {
    format!("{ENDPOINT}_{}", service.to_uppercase().replace('-', "_"))
}

/// Returns the place and the value of a service's endpoint in the `services` section that the profile names.
fn service_endpoint(
    profiles: &ProfileSet,
    profile: &Profile,
    service: &str,
) -> Option<[String; 2]> {
    let section = profile.get("services")?;
    let key = PropertiesKey::builder()
        .section_key("services")
        .section_name(section)
        .property_name(service)
        .sub_property_name("endpoint_url")
        .build();
    let endpoint = profiles.other_sections().get(&key.ok()?)?;
    let place = format!("endpoint_url of {service} in [services {section}]");
    Some([place, endpoint.clone()])
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

/// Returns the profiles whose roles are assumed, from the selected profile towards the one with credentials.
///
/// As in the SDK, the selected profile's own keys assume its role only if it names itself as its source, and the keys of
/// a source profile are used instead of its role.
fn assumed_roles<'a>(profiles: &'a ProfileSet, name: &str) -> Vec<&'a Profile> {
    let mut roles: Vec<&Profile> = Vec::new();
    let mut next = profiles.get_profile(name);
    while let Some(profile) = next
        && profile.get("role_arn").is_some()
        && profile.get("web_identity_token_file").is_none()
        && (roles.is_empty() || !has_keys(profile))
        && !roles.iter().any(|role| role.name() == profile.name())
    {
        roles.push(profile);
        let source = profile.get("source_profile");
        next = source.and_then(|source| profiles.get_profile(source));
    }
    roles
}

fn has_keys(profile: &Profile) -> bool {
    let mut keys = ["aws_access_key_id", "aws_secret_access_key"].into_iter();
    keys.all(|key| profile.get(key).is_some())
}

/// Returns the error of a profile that does not exist. `source_of` is the profile that names it as its source.
fn no_such_profile(profiles: &ProfileSet, name: &str, source_of: Option<&str>) -> Error {
    let (config, credentials) = files();
    ErrorKind::NoSuchProfile {
        profile: name.to_owned(),
        source_of: source_of.map(str::to_owned),
        files: format!("{config} or {credentials}"),
        similar: similar(name, profiles.profiles(), |other| *other)
            .first()
            .map(|nearest| (*nearest).to_owned()),
    }
    .into()
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
            "http:/localhost",
            " http://localhost",
            "http://localhost/a b",
            "http://ex\u{e4}mple.com",
            "http://localhost:65536",
        ] {
            let message = format!(
                "{endpoint:?} is not the URL of an endpoint: write one such as https://cloudfront.amazonaws.com"
            );
            assert_eq!(parse_endpoint(endpoint), Err(message));
        }
    }

    #[test]
    fn user_info_is_replaced_in_malformed_endpoints_too() {
        for (endpoint, expected) in [
            ("http://localhost:4566", "http://localhost:4566"),
            ("http://user:a@localhost:4566", "http://***@localhost:4566"),
            ("http://user:a/b@c@localhost", "http://***@localhost"),
            ("http:/user:a@localhost", "***@localhost"),
            ("user:a@localhost", "***@localhost"),
            ("user:a://b@localhost", "***@localhost"),
            ("", ""),
        ] {
            assert_eq!(without_user_info(endpoint), expected);
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
                similar(name, names, |other| *other).first().copied(),
                expected,
                "{name}"
            );
        }
    }
}
