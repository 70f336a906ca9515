//! `UserParameters`: what a pipeline action requests, in at most 1,000 characters.
//!
//! The text is empty, a distribution's id or domain name, or a JSON object.
//!
//! Limit: <https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_ActionConfiguration.html>

use serde_json::{Map, Value};

use super::request::{Fields, PathRequest, RequestOptions, USE_THE_DEFAULT};
use crate::distribution::DistributionName;
use crate::error::Error;
use crate::path::EncodedPaths;

const FIELDS: [&str; 7] = [
    "distribution",
    "paths",
    "wait",
    "onTimeout",
    "verify",
    "onStale",
    "reference",
];

/// Reads what a job requests. Without paths, it is everything.
///
/// # Errors
///
/// [`Error`] that names the invalid field.
pub(super) fn parse(text: &str) -> Result<PathRequest, Error> {
    if let Ok(name) = DistributionName::parse(text) {
        return Ok(PathRequest {
            paths: EncodedPaths::everything(),
            options: RequestOptions {
                distributions: vec![name],
                ..RequestOptions::default()
            },
        });
    }
    let mut fields = Fields::new(parse_object(text)?, &FIELDS);
    let paths = fields.read_paths(USE_THE_DEFAULT, |path| Ok(EncodedPaths::parse(path)?))?;
    let paths = paths.unwrap_or_else(EncodedPaths::everything);
    let options = fields.read_options(&paths.paths)?;
    fields.finish()?;
    Ok(PathRequest { paths, options })
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
