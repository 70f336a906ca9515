//! What a caller requests, and the fields in which it writes it: the same in a pipeline action's `UserParameters` and in an
//! event of a direct invocation.
//!
//! An unknown field is an error that names the field: if a misspelled field were ignored, the wrong paths would be invalidated
//! with success.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::distribution::DistributionName;
use crate::duration::parse_wait_limit;
use crate::error::Error;
use crate::path::mistake::is_written_as_path;
use crate::path::{EncodedPaths, InvalidationPath, widened_note};

/// The maximum length of `reference`. It leaves the rest of a caller reference's 128 characters to a hyphen and a hash.
const MAX_REFERENCE_CHARACTERS: usize = 60;

/// The paths to invalidate, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathRequest {
    /// The paths to invalidate, at least one.
    pub paths: EncodedPaths,
    /// The options.
    pub options: RequestOptions,
}

impl PathRequest {
    /// Returns notes for users about the request.
    pub fn notes(&self) -> Vec<String> {
        widened_note(&self.paths.widened).into_iter().collect()
    }
}

/// What a caller requests beside what is to be invalidated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestOptions {
    /// The distributions to invalidate. Empty: the distributions of the settings.
    pub distributions: Vec<DistributionName>,
    /// How long to wait for completion. Zero: do not wait. `None`: as long as the settings specify.
    pub wait: Option<Duration>,
    /// The result if the invalidations are not completed in time.
    pub on_timeout: OnTimeout,
    /// Which URLs are requested as a viewer does, once the invalidations are completed.
    pub verify: Verify,
    /// The result if viewers still get old content.
    pub on_stale: OnStale,
    /// `reference`: a readable name for the request. The caller reference begins with it.
    pub label: Option<String>,
}

impl RequestOptions {
    /// Checks that a verification can run: it needs a wait for completion. `example` is one that the caller can request.
    ///
    /// # Errors
    ///
    /// [`Error`] that names the field.
    pub fn check_verification(&self, wait: Duration, example: &str) -> Result<(), Error> {
        if self.verify != Verify::Nothing && wait.is_zero() {
            return Err(Error::invalid_input(format!(
                "verify needs a wait: add \"wait\": \"{example}\""
            )));
        }
        Ok(())
    }
}

/// The result of a request whose invalidations are not completed in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnTimeout {
    /// Success, because CloudFront still completes the invalidations.
    #[default]
    Succeed,
    /// Failure.
    Fail,
}

/// Which URLs are requested as a viewer does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Verify {
    /// None.
    #[default]
    Nothing,
    /// Those of the paths that are invalidated.
    InvalidatedPaths,
    /// These, from each of the distributions.
    Urls(EncodedPaths),
}

/// The result of a request if viewers still get old content although its invalidations are completed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnStale {
    /// Failure.
    #[default]
    Fail,
    /// Success; the result names the URLs.
    Succeed,
}

/// The fields of a JSON object. Those that are read are removed, so that unknown ones are left.
pub(super) struct Fields {
    fields: Map<String, Value>,
    known: &'static [&'static str],
}

/// What an empty array means if the field has a default.
pub(super) const USE_THE_DEFAULT: &str = "omit the field to use the default";

impl Fields {
    /// Takes the fields of an object. `known` are the names that the error of an unknown field suggests.
    pub(super) fn new(fields: Map<String, Value>, known: &'static [&'static str]) -> Self {
        Self { fields, known }
    }

    /// Returns the texts of a field that is a string or an array; the field stays.
    pub(super) fn texts(&self, name: &str) -> impl Iterator<Item = &str> {
        let value = self.fields.get(name);
        let items = value.and_then(Value::as_array).into_iter().flatten();
        items.chain(value).filter_map(Value::as_str)
    }

    /// Removes a field. A null field counts as missing.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.fields.remove(name).filter(|value| !value.is_null())
    }

    /// Removes a field and reads it.
    pub(super) fn read<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(Value) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        let value = self.take(name).map(read).transpose();
        value.map_err(|error| error.context(name))
    }

    /// Removes a field that is a string or an array of strings, and reads each string. `if_empty` is what to do instead of an
    /// empty array.
    pub(super) fn read_list<T>(
        &mut self,
        name: &str,
        if_empty: &str,
        read: impl Fn(&str) -> Result<T, Error>,
    ) -> Result<Option<Vec<T>>, Error> {
        let expected = "expected a string or an array of strings";
        let value = self.take(name);
        let list = value.map(|value| read_texts(value, name, expected, if_empty, read));
        list.transpose()
    }

    /// Removes `paths` and reads it.
    pub(super) fn read_paths(
        &mut self,
        if_empty: &str,
        read: impl Fn(&str) -> Result<EncodedPaths, Error>,
    ) -> Result<Option<EncodedPaths>, Error> {
        let paths = self.read_list("paths", if_empty, read)?;
        Ok(paths.map(|paths| paths.into_iter().collect()))
    }

    /// Removes `distribution` and reads it.
    pub(super) fn read_distributions(&mut self) -> Result<Vec<DistributionName>, Error> {
        let names = self.read_list("distribution", USE_THE_DEFAULT, |name| {
            DistributionName::parse(name).map_err(|error| Error::invalid_input(error.to_string()))
        })?;
        Ok(names.unwrap_or_default())
    }

    /// Removes the options and reads them. `paths` are those that are requested; none if objects are.
    pub(super) fn read_options(
        &mut self,
        paths: &[InvalidationPath],
    ) -> Result<RequestOptions, Error> {
        let distributions = self.read_distributions()?;
        let verify = self.read_verify(paths)?;
        let on_stale = self.read("onStale", |value| {
            read_result(&value, OnStale::Succeed, OnStale::Fail)
        })?;
        if verify.is_none() && on_stale.is_some() {
            let message = "it has no effect without \"verify\": add \"verify\": true, or remove it";
            return Err(Error::invalid_input(message).context("onStale"));
        }
        Ok(RequestOptions {
            distributions,
            wait: self.read("wait", read_wait)?,
            on_timeout: self
                .read("onTimeout", |value| {
                    read_result(&value, OnTimeout::Succeed, OnTimeout::Fail)
                })?
                .unwrap_or_default(),
            verify: verify.unwrap_or_default(),
            on_stale: on_stale.unwrap_or_default(),
            label: self.read("reference", read_reference)?,
        })
    }

    /// Checks that no field is left.
    pub(super) fn finish(self) -> Result<(), Error> {
        match self.fields.keys().next() {
            Some(name) => Err(unknown_field(name, self.known)),
            None => Ok(()),
        }
    }

    fn read_verify(&mut self, paths: &[InvalidationPath]) -> Result<Option<Verify>, Error> {
        const NAME: &str = "verify";
        const EXPECTED: &str = "expected true, false, a path, or an array of paths";
        let Some(value) = self.take(NAME) else {
            return Ok(None);
        };
        // A variable of the pipeline makes a string of a boolean. A path with this name has a slash.
        let is_on = value
            .as_bool()
            .or_else(|| value.as_str().and_then(|text| text.parse().ok()));
        let has_tags_only = !paths.is_empty() && paths.iter().all(InvalidationPath::is_tag);
        match is_on {
            Some(false) => Ok(Some(Verify::Nothing)),
            Some(true) if has_tags_only => {
                let message =
                    "\"paths\" has cache tags only, which name no URL: list the URLs to request";
                Err(Error::invalid_input(message).context(NAME))
            }
            Some(true) => Ok(Some(Verify::InvalidatedPaths)),
            None => {
                let urls = read_texts(value, NAME, EXPECTED, USE_THE_DEFAULT, read_url)?;
                Ok(Some(Verify::Urls(urls.into_iter().collect())))
            }
        }
    }
}

fn unknown_field(name: &str, known: &[&str]) -> Error {
    let distance = |field: &&&str| strsim::osa_distance(field, name);
    let is_similar = |field: &&&str| distance(field) <= 3.min(name.len().saturating_sub(1));
    let nearest = known.iter().min_by_key(distance).filter(is_similar);
    let hint = match nearest {
        Some(field) => format!("did you mean {field:?}?"),
        None => {
            let known: Vec<_> = known.iter().map(|field| format!("{field:?}")).collect();
            format!("the fields are {}", known.join(", "))
        }
    };
    Error::invalid_input(format!("unknown field {name:?} ({hint})"))
}

/// Reads each string of a value that is a string or an array of strings.
fn read_texts<T>(
    value: Value,
    name: &str,
    expected: &str,
    if_empty: &str,
    read: impl Fn(&str) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    let invalid = |message: &str| Error::invalid_input(message).context(name);
    let values = match value {
        Value::Array(values) => values,
        Value::String(text) => {
            let read = read(&text).map_err(|error| error.context(name))?;
            return Ok(vec![read]);
        }
        _ => return Err(invalid(expected)),
    };
    if values.is_empty() {
        return Err(invalid(&format!("the array is empty: {if_empty}")));
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

fn read_url(text: &str) -> Result<EncodedPaths, Error> {
    // "yes" or "True" would be a path that nobody requests.
    let is_url = is_written_as_path(text) && !text.trim().starts_with(['#', '*']);
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
