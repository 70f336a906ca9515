//! The secrets: signing secrets, the URL of an incoming webhook, and the response URL of a command.
//!
//! Whoever has one of them can send commands or write into a channel. So they have types of their own without `Display`, whose
//! `Debug` does not print them, and no error has a part of them.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::Error;

/// The hosts of Slack that accept a message. GovSlack has its own.
const HOSTS: [&str; 2] = ["https://hooks.slack.com/", "https://hooks.slack-gov.com/"];

/// The secret with which Slack signs requests.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningSecret(String);

impl SigningSecret {
    /// Parses a secret. Surrounding white space is removed, because it is copied with the secret unnoticed.
    ///
    /// # Errors
    ///
    /// Returns an [`Error`] for an empty text.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let secret = text.trim();
        if secret.is_empty() {
            return Err(Error::invalid_input(
                "the signing secret is empty: copy it from \"Basic Information\" of the Slack app",
            ));
        }
        Ok(Self(secret.to_owned()))
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// The URL to which replies to one command are posted.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct ResponseUrl(String);

impl ResponseUrl {
    /// Parses a URL of Slack.
    ///
    /// # Errors
    ///
    /// Returns an [`Error`] without the URL if it has another scheme or host.
    pub fn parse(text: &str) -> Result<Self, Error> {
        check_host(text).map(|()| Self(text.to_owned()))
    }

    /// Returns the URL, only for the client that posts to it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ResponseUrl {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        Self::parse(&text)
    }
}

/// The URL of an incoming webhook, to which announcements are posted.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookUrl(String);

impl WebhookUrl {
    /// Parses a URL of Slack. Surrounding white space is removed.
    ///
    /// # Errors
    ///
    /// Returns an [`Error`] without the URL if it has another scheme or host.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let url = text.trim();
        check_host(url).map(|()| Self(url.to_owned()))
    }

    /// Returns the URL, only for the client that posts to it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Checks the start of a URL. The slash behind the host ends it, so neither a port nor user info can follow.
fn check_host(url: &str) -> Result<(), Error> {
    let path = HOSTS.iter().find_map(|host| url.strip_prefix(host));
    let is_url = |path: &str| {
        !path.is_empty()
            && path
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && byte != b'\\')
    };
    match path.is_some_and(is_url) {
        true => Ok(()),
        false => Err(Error::invalid_input(
            "expected a URL that begins with https://hooks.slack.com/ or https://hooks.slack-gov.com/",
        )),
    }
}

macro_rules! redact {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(redacted)"))
            }
        }
    )*};
}

redact!(SigningSecret, ResponseUrl, WebhookUrl);

/// What the operator stored in Secrets Manager or in the Parameter Store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSecret {
    /// The signing secrets, at least one. Two while the secret is replaced.
    pub signing_secrets: Vec<SigningSecret>,
    /// The incoming webhook for announcements.
    pub webhook_url: Option<WebhookUrl>,
}

impl StoredSecret {
    /// Parses the stored text: signing secrets that are separated by commas, or a JSON object with `signing_secrets` (such a
    /// text, or an array) or `signing_secret`, and `webhook_url`. Other fields are ignored, because the secret can have other
    /// purposes.
    ///
    /// # Errors
    ///
    /// Returns an [`Error`] that names the field, without any value.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        if text.starts_with(['{', '[', '"']) {
            // The error of the parser can have a part of the text.
            let object = serde_json::from_str(text).map_err(|_| {
                Error::invalid_input(
                    "it is neither a JSON object with \"signing_secrets\" nor the plain signing secret",
                )
            })?;
            return Self::from_object(&object);
        }
        Ok(Self {
            signing_secrets: read_list(text)?,
            webhook_url: None,
        })
    }

    fn from_object(object: &Map<String, Value>) -> Result<Self, Error> {
        let field = |name: &str| object.get(name).filter(|value| !value.is_null());
        let mut signing_secrets = Vec::new();
        for name in ["signing_secrets", "signing_secret"] {
            if let Some(value) = field(name) {
                let secrets = read_secrets(value).map_err(|error| error.context(name))?;
                signing_secrets.extend(secrets);
            }
        }
        if signing_secrets.is_empty() {
            return Err(Error::invalid_input("\"signing_secrets\" is missing"));
        }
        Ok(Self {
            signing_secrets,
            webhook_url: field("webhook_url")
                .map(read_webhook_url)
                .transpose()
                .map_err(|error| error.context("webhook_url"))?
                .flatten(),
        })
    }
}

fn read_secrets(value: &Value) -> Result<Vec<SigningSecret>, Error> {
    let expected = || Error::invalid_input("expected a string or an array of strings");
    match value {
        Value::String(text) => read_list(text),
        Value::Array(values) => {
            let read = |value: &Value| SigningSecret::parse(value.as_str().ok_or_else(expected)?);
            values.iter().map(read).collect()
        }
        _ => Err(expected()),
    }
}

/// Reads secrets that are separated by commas. An empty one between them is ignored.
fn read_list(text: &str) -> Result<Vec<SigningSecret>, Error> {
    let secrets = text.split(',').filter(|secret| !secret.trim().is_empty());
    let secrets: Vec<_> = secrets
        .map(SigningSecret::parse)
        .collect::<Result<_, _>>()?;
    match secrets.is_empty() {
        true => SigningSecret::parse("").map(|secret| vec![secret]),
        false => Ok(secrets),
    }
}

/// Reads the URL. The stack writes an empty text if its parameter is empty.
fn read_webhook_url(value: &Value) -> Result<Option<WebhookUrl>, Error> {
    match value.as_str().map(str::trim) {
        Some("") => Ok(None),
        Some(text) => WebhookUrl::parse(text).map(Some),
        None => Err(Error::invalid_input("expected a string")),
    }
}
