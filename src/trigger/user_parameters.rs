//! `UserParameters`: what a pipeline action requests, in at most 1,000 characters.
//!
//! The text is empty, a distribution's id or domain name, or a JSON object. An unknown field is an error that names the
//! field: if a misspelled field were ignored, the job would invalidate the wrong paths and report success.
//!
//! Limit: <https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_ActionConfiguration.html>

use std::time::Duration;

use serde_json::{Map, Value};

use crate::distribution::DistributionName;
use crate::duration::parse_wait_limit;
use crate::error::Error;
use crate::path::{EncodedPaths, InvalidationPath, Widened, widened_note};

const FIELDS: [&str; 7] = [
    "distribution",
    "paths",
    "wait",
    "onTimeout",
    "verify",
    "onStale",
    "reference",
];

/// The maximum length of `reference`. It leaves the rest of a caller reference's 128 characters to a hyphen and a hash.
const MAX_REFERENCE_CHARACTERS: usize = 60;

/// What a job requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobRequest {
    /// The distributions to invalidate. Empty: the distributions of the settings.
    pub distributions: Vec<DistributionName>,
    /// The paths to invalidate, at least one.
    pub paths: Vec<InvalidationPath>,
    /// Those of the paths that are wider than what was written.
    pub widened: Vec<Widened>,
    /// How long to wait for completion. Zero: do not wait. `None`: as long as the settings specify.
    pub wait: Option<Duration>,
    /// The result to report if the invalidations are not completed in time.
    pub on_timeout: OnTimeout,
    /// Which URLs are requested as a viewer does, once the invalidations are completed.
    pub verify: Verify,
    /// The result to report if viewers still get old content.
    pub on_stale: OnStale,
    /// `reference`: a readable name for the request. The caller reference begins with it.
    pub label: Option<String>,
}

/// The result of a job whose invalidations are not completed in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnTimeout {
    /// Success, because CloudFront still completes the invalidations.
    #[default]
    Succeed,
    /// Failure.
    Fail,
}

/// Which URLs a job requests as a viewer does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Verify {
    /// None.
    #[default]
    Nothing,
    /// Those of the paths that it invalidates.
    InvalidatedPaths,
    /// These, from each of its distributions.
    Urls(EncodedPaths),
}

/// The result of a job if viewers still get old content although its invalidations are completed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnStale {
    /// Failure.
    #[default]
    Fail,
    /// Success; the summary names the URLs.
    Succeed,
}

impl Default for JobRequest {
    fn default() -> Self {
        Self {
            distributions: Vec::new(),
            paths: vec![InvalidationPath::everything()],
            widened: Vec::new(),
            wait: None,
            on_timeout: OnTimeout::default(),
            verify: Verify::default(),
            on_stale: OnStale::default(),
            label: None,
        }
    }
}

impl JobRequest {
    /// Returns notes for users about the request.
    pub fn notes(&self) -> Vec<String> {
        widened_note(&self.widened).into_iter().collect()
    }

    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        if let Ok(name) = DistributionName::parse(text) {
            return Ok(Self {
                distributions: vec![name],
                ..Self::default()
            });
        }
        let default = Self::default();
        let mut fields = parse_object(text)?;
        let distributions = read_list(&mut fields, "distribution", |name| {
            DistributionName::parse(name).map_err(|error| Error::invalid_input(error.to_string()))
        })?;
        let encoded = read_list(&mut fields, "paths", |path| Ok(EncodedPaths::parse(path)?))?;
        let encoded: Option<EncodedPaths> = encoded.map(|paths| paths.into_iter().collect());
        let EncodedPaths { paths, widened } = encoded.unwrap_or(EncodedPaths {
            paths: default.paths,
            widened: default.widened,
        });
        let verify = read_verify(&mut fields, &paths)?;
        let on_stale = read_field(&mut fields, "onStale", |value| {
            read_result(&value, OnStale::Succeed, OnStale::Fail)
        })?;
        if verify.is_none() && on_stale.is_some() {
            let message = "it has no effect without \"verify\": add \"verify\": true, or remove it";
            return Err(Error::invalid_input(message).context("onStale"));
        }
        let request = Self {
            distributions: distributions.unwrap_or(default.distributions),
            paths,
            widened,
            wait: read_field(&mut fields, "wait", read_wait)?,
            on_timeout: read_field(&mut fields, "onTimeout", |value| {
                read_result(&value, OnTimeout::Succeed, OnTimeout::Fail)
            })?
            .unwrap_or(default.on_timeout),
            verify: verify.unwrap_or(default.verify),
            on_stale: on_stale.unwrap_or(default.on_stale),
            label: read_field(&mut fields, "reference", read_reference)?,
        };
        match fields.keys().next() {
            Some(name) => Err(unknown_field(name)),
            None => Ok(request),
        }
    }
}

fn parse_object(text: &str) -> Result<Map<String, Value>, Error> {
    const EXPECTED: &str = "expected a distribution id, a domain name, a JSON object such as {\"paths\": [\"/*\"]}, or \
                            an empty string";
    if text.is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_str(text) {
        Ok(Value::Null) => Ok(Map::new()),
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(Error::invalid_input(EXPECTED)),
        Err(error) => Err(Error::invalid_input(format!(
            "{EXPECTED}; not valid JSON: {error}"
        ))),
    }
}

fn unknown_field(name: &str) -> Error {
    let distance = |field: &&str| strsim::osa_distance(field, name);
    let nearest = FIELDS
        .into_iter()
        .min_by_key(distance)
        .filter(|field| distance(field) <= 3);
    let hint = match nearest {
        Some(field) => format!("did you mean {field:?}?"),
        None => format!(
            "the fields are {}",
            FIELDS.map(|field| format!("{field:?}")).join(", ")
        ),
    };
    Error::invalid_input(format!("unknown field {name:?} ({hint})"))
}

/// Removes a field from the object and reads it. A null field counts as missing.
fn read_field<T>(
    fields: &mut Map<String, Value>,
    name: &str,
    read: impl Fn(Value) -> Result<T, Error>,
) -> Result<Option<T>, Error> {
    match fields.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => read(value).map(Some).map_err(|error| error.context(name)),
    }
}

/// Removes a field that is a string or an array of strings from the object, and reads each string.
fn read_list<T>(
    fields: &mut Map<String, Value>,
    name: &str,
    read: impl Fn(&str) -> Result<T, Error>,
) -> Result<Option<Vec<T>>, Error> {
    match fields.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let expected = "expected a string or an array of strings";
            read_texts(value, name, expected, read).map(Some)
        }
    }
}

/// Reads each string of a value that is a string or an array of strings.
fn read_texts<T>(
    value: Value,
    name: &str,
    expected: &str,
    read: impl Fn(&str) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    let invalid = |message: &str| Error::invalid_input(message).context(name);
    let values = match value {
        Value::Array(values) => values,
        value @ Value::String(_) => vec![value],
        _ => return Err(invalid(expected)),
    };
    if values.is_empty() {
        return Err(invalid(
            "the array is empty: omit the field to use the default",
        ));
    }
    let read_value = |(index, value): (usize, &Value)| {
        let text = value
            .as_str()
            .ok_or_else(|| Error::invalid_input("expected a string"));
        text.and_then(&read)
            .map_err(|error| error.context(format_args!("{name}[{index}]")))
    };
    values.iter().enumerate().map(read_value).collect()
}

/// Removes `verify` from the object and reads it. `paths` are those that the job invalidates.
fn read_verify(
    fields: &mut Map<String, Value>,
    paths: &[InvalidationPath],
) -> Result<Option<Verify>, Error> {
    const NAME: &str = "verify";
    const EXPECTED: &str = "expected true, false, a path, or an array of paths";
    let value = match fields.remove(NAME) {
        None | Some(Value::Null) => return Ok(None),
        Some(value) => value,
    };
    // A variable of the pipeline makes a string of a boolean. A path with this name has a slash.
    let is_on = value
        .as_bool()
        .or_else(|| value.as_str().and_then(|text| text.parse().ok()));
    match is_on {
        Some(false) => Ok(Some(Verify::Nothing)),
        Some(true) if paths.iter().all(InvalidationPath::is_tag) => {
            let message =
                "\"paths\" has cache tags only, which name no URL: list the URLs to request";
            Err(Error::invalid_input(message).context(NAME))
        }
        Some(true) => Ok(Some(Verify::InvalidatedPaths)),
        None => {
            let urls = read_texts(value, NAME, EXPECTED, read_url)?;
            Ok(Some(Verify::Urls(urls.into_iter().collect())))
        }
    }
}

fn read_url(text: &str) -> Result<EncodedPaths, Error> {
    // "yes" or "True" would be a path that nobody requests.
    let is_url = ["/", "http://", "https://"]
        .iter()
        .any(|start| text.trim().starts_with(start));
    if !is_url {
        return Err(Error::invalid_input(format!(
            "expected true, false, or a path that begins with a slash, not {text:?}"
        )));
    }
    let encoded = EncodedPaths::parse(text)?;
    if text.trim().ends_with('*') {
        return Err(Error::invalid_input(format!(
            "{text:?} names no URL: write what viewers request, such as \"/blog/\""
        )));
    }
    Ok(encoded)
}

fn read_wait(value: Value) -> Result<Duration, Error> {
    let text = match value {
        Value::String(text) => text,
        // A boolean or a number of seconds has the same form as JSON and as a string.
        value => value.to_string(),
    };
    parse_wait_limit(&text).map_err(Error::invalid_input)
}

fn read_result<T>(value: &Value, succeed: T, fail: T) -> Result<T, Error> {
    match value.as_str() {
        Some("succeed") => Ok(succeed),
        Some("fail") => Ok(fail),
        _ => Err(Error::invalid_input("expected \"succeed\" or \"fail\"")),
    }
}

fn read_reference(value: Value) -> Result<String, Error> {
    let reference = value.as_str().map(parse_reference);
    let reference = reference.unwrap_or_else(|| Err(invalid_reference()));
    reference.map_err(Error::invalid_input)
}

/// Parses a name for a request, with which the caller reference begins. The error is the text for the user.
pub(crate) fn parse_reference(text: &str) -> Result<String, String> {
    let has_length = (1..=MAX_REFERENCE_CHARACTERS).contains(&text.len());
    if has_length && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(text.to_owned())
    } else {
        Err(invalid_reference())
    }
}

fn invalid_reference() -> String {
    format!(
        "expected a string of 1 to {MAX_REFERENCE_CHARACTERS} printable ASCII characters without spaces"
    )
}
