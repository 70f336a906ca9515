//! Reads an invalidation batch, as `aws cloudfront create-invalidation --invalidation-batch file://…` does.
//!
//! ```json
//! {"Paths": {"Quantity": 2, "Items": ["/a", "/b/*"]}, "CallerReference": "release-42"}
//! ```
//!
//! Fields: <https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_InvalidationBatch.html>

use std::collections::BTreeSet;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::written;
use crate::path::EncodedPaths;
use crate::path::host;
use crate::plan::CallerReference;

/// The contents of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RequestedBatch {
    pub paths: EncodedPaths,
    /// The hosts of the URLs among the paths.
    pub hosts: BTreeSet<String>,
    pub reference: Option<String>,
}

#[derive(Deserialize)]
#[serde(
    deny_unknown_fields,
    rename_all = "PascalCase",
    expecting = "an object with Paths and CallerReference"
)]
struct InvalidationBatch {
    paths: Paths,
    caller_reference: Option<String>,
}

#[derive(Deserialize)]
#[serde(
    deny_unknown_fields,
    rename_all = "PascalCase",
    expecting = "an object with Quantity and Items"
)]
struct Paths {
    quantity: Option<usize>,
    items: Vec<String>,
}

/// The fields with which a batch in the shorthand syntax of the AWS CLI starts.
const SHORTHAND: [&str; 2] = ["Paths=", "CallerReference="];

/// Returns the batch itself if it stands in the place of its file, as the AWS CLI accepts it.
pub(super) fn inline(file: &Path) -> Option<&str> {
    let text = file.to_str()?;
    let is_batch = text.trim_start().starts_with(['{', '[']) || is_shorthand(text);
    is_batch.then_some(text)
}

fn is_shorthand(text: &str) -> bool {
    SHORTHAND.iter().any(|start| text.starts_with(start))
}

/// Parses a batch. Unlike in the API, `Quantity` and `CallerReference` can be missing.
pub(super) fn parse(text: &str) -> Result<RequestedBatch, String> {
    if is_shorthand(text) {
        return Err(
            "the shorthand syntax of the AWS CLI is not supported: write JSON, or use --paths"
                .to_owned(),
        );
    }
    let InvalidationBatch {
        paths: Paths { quantity, items },
        caller_reference,
    } = serde_json::from_str(text).map_err(|error| invalid(text, &error))?;
    if let Some(quantity) = quantity.filter(|quantity| *quantity != items.len()) {
        return Err(format!(
            "Paths.Quantity is {quantity}, but the length of Paths.Items is {}",
            items.len()
        ));
    }
    let paths = items.iter().enumerate().map(|(index, text)| {
        written::parse(text).map_err(|error| format!("Paths.Items[{index}]: {error}"))
    });
    if let Some(reference) = &caller_reference {
        CallerReference::parse(reference).map_err(|error| format!("CallerReference: {error}"))?;
    }
    Ok(RequestedBatch {
        hosts: items.iter().filter_map(|text| host(text)).collect(),
        paths: paths.collect::<Result<_, _>>()?,
        reference: caller_reference,
    })
}

/// Returns why the text is not a batch, without the names of Rust's types.
fn invalid(text: &str, error: &serde_json::Error) -> String {
    let json: Value = serde_json::from_str(text).unwrap_or_default();
    if json.get("Paths").is_some_and(Value::is_array) {
        return "Paths is an array: write {\"Paths\": {\"Items\": [\"/a\"]}}".to_owned();
    }
    error
        .to_string()
        .replace("expected usize", "expected a number")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_a_batch_of_the_aws_cli() {
        let parse = |text: &str| {
            let batch = parse(text)?;
            let paths = batch
                .paths
                .paths
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>();
            Ok((paths.join(" "), batch.reference))
        };
        for (text, expected) in [
            (
                r##"{"Paths": {"Quantity": 2, "Items": ["/a", "#t"]}, "CallerReference": "r"}"##,
                Ok(("/a #t", Some("r"))),
            ),
            (r#"{"Paths": {"Items": []}}"#, Ok(("", None))),
            (
                r#"{"Paths": {"Quantity": 3, "Items": ["/a"]}}"#,
                Err("Paths.Quantity is 3, but the length of Paths.Items is 1"),
            ),
            (
                r#"{"Paths": {"Items": ["/a", ""]}}"#,
                Err("Paths.Items[1]: the path is empty: write /* for everything"),
            ),
            (
                r#"{"Paths": {"Items": ["example.com/a"]}}"#,
                Err(
                    "Paths.Items[0]: \"example.com/a\" can begin with a domain name or with a folder: write \
                     https://example.com/a or /example.com/a",
                ),
            ),
            (
                r#"{"Paths": {"Items": []}, "Reference": "r"}"#,
                Err(
                    "unknown field `Reference`, expected `Paths` or `CallerReference` at line 1 column 36",
                ),
            ),
            (
                "[]",
                Err(
                    "invalid length 0, expected an object with Paths and CallerReference at line 1 column 2",
                ),
            ),
            (
                r#"{"Paths": ["/a"]}"#,
                Err("Paths is an array: write {\"Paths\": {\"Items\": [\"/a\"]}}"),
            ),
            (
                r#"{"Paths": "/a"}"#,
                Err(
                    "invalid type: string \"/a\", expected an object with Quantity and Items at line 1 column 14",
                ),
            ),
            (
                r#"{"Paths": {"Quantity": "1", "Items": ["/a"]}}"#,
                Err("invalid type: string \"1\", expected a number at line 1 column 26"),
            ),
            (
                r#"{"Paths": {"Items": ["/a,"]}}"#,
                Err(
                    "Paths.Items[0]: \"/a,\" ends with a comma: remove it, or write %2C if it belongs to the path",
                ),
            ),
            (
                r#"{"Paths": {"Items": ["'/a'"]}}"#,
                Err("Paths.Items[0]: \"'/a'\" starts with a quote: remove the quotes"),
            ),
            (
                r#"{"Paths": {"Items": ["/a"]}, "CallerReference": ""}"#,
                Err("CallerReference: a caller reference has 1 to 128 characters"),
            ),
        ] {
            let expected =
                expected.map(|(paths, reference)| (paths.to_owned(), reference.map(str::to_owned)));
            assert_eq!(parse(text), expected.map_err(str::to_owned), "{text}");
        }
    }
}
