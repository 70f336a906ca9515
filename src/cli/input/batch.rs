//! An invalidation batch as `aws cloudfront create-invalidation --invalidation-batch file://…` takes it.
//!
//! ```json
//! {"Paths": {"Quantity": 2, "Items": ["/a", "/b/*"]}, "CallerReference": "release-42"}
//! ```

use serde::Deserialize;

use crate::path::InvalidationPath;

/// What a batch asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Batch {
    pub paths: Vec<InvalidationPath>,
    pub reference: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Written {
    paths: Paths,
    caller_reference: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Paths {
    quantity: Option<usize>,
    items: Vec<String>,
}

/// Reads a batch.
pub(super) fn parse(text: &str) -> Result<Batch, String> {
    let Written {
        paths: Paths { quantity, items },
        caller_reference,
    } = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if let Some(quantity) = quantity.filter(|quantity| *quantity != items.len()) {
        let held = items.len();
        return Err(format!(
            "Paths.Quantity is {quantity}, but Paths.Items holds {held}"
        ));
    }
    let path = |(at, text): (usize, &String)| {
        InvalidationPath::parse(text).map_err(|error| format!("Paths.Items[{at}]: {error}"))
    };
    Ok(Batch {
        paths: items
            .iter()
            .enumerate()
            .map(path)
            .collect::<Result<_, _>>()?,
        reference: caller_reference,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_batch_of_the_aws_cli() {
        let read = |text: &str| {
            let batch = parse(text)?;
            let paths = batch
                .paths
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>();
            Ok((paths.join(" "), batch.reference))
        };
        for (text, told) in [
            (
                r##"{"Paths": {"Quantity": 2, "Items": ["/a", "#t"]}, "CallerReference": "r"}"##,
                Ok(("/a #t", Some("r"))),
            ),
            (r#"{"Paths": {"Items": []}}"#, Ok(("", None))),
            (
                r#"{"Paths": {"Quantity": 3, "Items": ["/a"]}}"#,
                Err("Paths.Quantity is 3, but Paths.Items holds 1"),
            ),
            (
                r#"{"Paths": {"Items": ["/a", ""]}}"#,
                Err("Paths.Items[1]: the path is empty: write /* for everything"),
            ),
            (
                r#"{"Paths": {"Items": []}, "Reference": "r"}"#,
                Err(
                    "unknown field `Reference`, expected `Paths` or `CallerReference` at line 1 column 36",
                ),
            ),
            (
                "[]",
                Err("invalid length 0, expected struct Written with 2 elements at line 1 column 2"),
            ),
        ] {
            let told =
                told.map(|(paths, reference)| (paths.to_owned(), reference.map(str::to_owned)));
            assert_eq!(read(text), told.map_err(str::to_owned), "{text}");
        }
    }
}
