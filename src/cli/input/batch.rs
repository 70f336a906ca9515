//! Reads an invalidation batch, as `aws cloudfront create-invalidation --invalidation-batch file://…` does.
//!
//! ```json
//! {"Paths": {"Quantity": 2, "Items": ["/a", "/b/*"]}, "CallerReference": "release-42"}
//! ```
//!
//! Fields: <https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_InvalidationBatch.html>

use serde::Deserialize;

use crate::path::EncodedPaths;

/// The contents of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RequestedBatch {
    pub paths: EncodedPaths,
    pub reference: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct InvalidationBatch {
    paths: Paths,
    caller_reference: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Paths {
    quantity: Option<usize>,
    items: Vec<String>,
}

/// Parses a batch. Unlike in the API, `Quantity` and `CallerReference` can be missing.
pub(super) fn parse(text: &str) -> Result<RequestedBatch, String> {
    let InvalidationBatch {
        paths: Paths { quantity, items },
        caller_reference,
    } = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if let Some(quantity) = quantity.filter(|quantity| *quantity != items.len()) {
        return Err(format!(
            "Paths.Quantity is {quantity}, but the length of Paths.Items is {}",
            items.len()
        ));
    }
    let paths = items.iter().enumerate().map(|(index, text)| {
        EncodedPaths::parse(text).map_err(|error| format!("Paths.Items[{index}]: {error}"))
    });
    Ok(RequestedBatch {
        paths: paths.collect::<Result<_, _>>()?,
        reference: caller_reference,
    })
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
                    "invalid length 0, expected struct InvalidationBatch with 2 elements at line 1 column 2",
                ),
            ),
        ] {
            let expected =
                expected.map(|(paths, reference)| (paths.to_owned(), reference.map(str::to_owned)));
            assert_eq!(parse(text), expected.map_err(str::to_owned), "{text}");
        }
    }
}
