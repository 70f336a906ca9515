//! `Form`: what Slack sends in the body of a request.
//!
//! Slack signed the form, so a field with another form than Slack's is an error and not an attack. The ids are checked
//! because they are logged and are a part of the caller reference.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};

use super::secret::ResponseUrl;
use crate::error::Error;

/// The maximum length of an id. Those of Slack have at most 60 characters (observed).
const MAX_ID_CHARACTERS: usize = 200;

/// What Slack requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// Slack checks the certificate of the URL, and needs status 200.
    SslCheck,
    /// A person typed the command.
    Command(Box<SlashCommand>),
}

/// A slash command that a person typed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SlashCommand {
    /// `team_id`: the workspace.
    pub team: String,
    /// `enterprise_id`: the organization, if the workspace belongs to one.
    pub enterprise: Option<String>,
    /// `channel_id`: the channel in which the command was typed.
    pub channel: String,
    /// `user_id`: the person.
    pub user: String,
    /// The command with its slash, such as `/cdn-purge`.
    pub command: String,
    /// What the person typed after the command.
    pub text: String,
    /// Where a later reply is posted.
    pub response_url: Option<ResponseUrl>,
    /// Identifies the command: equal if the same request is sent again.
    pub trigger_id: String,
}

impl Form {
    /// Reads the body of a request.
    ///
    /// # Errors
    ///
    /// Returns an [`Error`] that names a field which is missing, repeated or invalid, without its value.
    pub(super) fn parse(body: &[u8]) -> Result<Self, Error> {
        let mut fields = Fields::parse(body)?;
        if fields.take("ssl_check")?.as_deref() == Some("1") {
            return Ok(Self::SslCheck);
        }
        Ok(Self::Command(Box::new(SlashCommand {
            team: fields.id("team_id")?,
            enterprise: fields.optional_id("enterprise_id")?,
            channel: fields.id("channel_id")?,
            user: fields.id("user_id")?,
            command: fields.required("command")?,
            text: fields.take("text")?.unwrap_or_default(),
            response_url: fields
                .take("response_url")?
                .map(|url| ResponseUrl::parse(&url))
                .transpose()
                .map_err(|error| error.context("response_url"))?,
            trigger_id: fields.id("trigger_id")?,
        })))
    }
}

/// The fields of a form: the values of each name.
struct Fields(BTreeMap<String, Vec<String>>);

impl Fields {
    /// Parses `name=value&name=value`. Unlike the parser of browsers, it refuses bytes that are not UTF-8: their
    /// replacement would be another path.
    fn parse(body: &[u8]) -> Result<Self, Error> {
        let not_utf8 = || Error::invalid_input("the form is not UTF-8");
        let body = str::from_utf8(body).map_err(|_| not_utf8())?;
        let mut fields: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for pair in body.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name).ok_or_else(not_utf8)?;
            let value = decode(value).ok_or_else(not_utf8)?;
            fields.entry(name).or_default().push(value);
        }
        Ok(Self(fields))
    }

    /// Removes a field. An empty field counts as missing.
    fn take(&mut self, name: &str) -> Result<Option<String>, Error> {
        let mut values = self.0.remove(name).unwrap_or_default();
        match (values.pop(), values.is_empty()) {
            (_, false) => Err(Error::invalid_input(format!("{name} is repeated"))),
            (value, true) => Ok(value.filter(|value| !value.is_empty())),
        }
    }

    fn required(&mut self, name: &str) -> Result<String, Error> {
        let value = self.take(name)?;
        value.ok_or_else(|| Error::invalid_input(format!("{name} is missing")))
    }

    fn id(&mut self, name: &str) -> Result<String, Error> {
        let id = self.required(name)?;
        check_id(name, id)
    }

    fn optional_id(&mut self, name: &str) -> Result<Option<String>, Error> {
        let id = self.take(name)?;
        id.map(|id| check_id(name, id)).transpose()
    }
}

fn decode(text: &str) -> Option<String> {
    let with_spaces = text.replace('+', " ");
    let decoded = percent_decode_str(&with_spaces).decode_utf8().ok()?;
    Some(decoded.into_owned())
}

fn check_id(name: &str, id: String) -> Result<String, Error> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    if id.len() > MAX_ID_CHARACTERS || !id.bytes().all(is_allowed) {
        return Err(Error::invalid_input(format!("{name} is not an id")));
    }
    Ok(id)
}
