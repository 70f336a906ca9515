//! `Listing`: the objects of a bucket before the deploy (`--inventory-before`).
//!
//! It is a list of keys, or the JSON of `aws s3api list-objects-v2`, also after `--query`:
//!
//! ```json
//! {"Contents": [{"Key": "index.html", "ETag": "\"9a0364b9e99bb480dd25e1f0284c8555\"", "Size": 7}], "Prefix": ""}
//! ```
//!
//! An object that the listing lacks counts as new only if the listing would contain it. A listing that is certainly not complete
//! is an error, because its missing objects would not be invalidated.
//!
//! Fields: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html>

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::lines::{self, Keys};
use crate::aws::s3::decoded_key;
use crate::verify::strong_etag;

/// What writes a listing with all that is needed.
const COMMAND: &str = "`aws s3api list-objects-v2 --bucket NAME --output json`";

/// How many objects a page of a listing has at most.
const PAGE: usize = 1_000;

/// With what lists in YAML, tables and XML begin, and keys hardly do.
const OTHER_FORMATS: [&str; 6] = ["- ", "Contents:", "---", "+--", "|", "<"];

/// The fields of the output for an empty bucket that have no meaning here.
const FIELDS_OF_EMPTY: [&str; 6] = [
    "ContinuationToken",
    "EncodingType",
    "KeyCount",
    "MaxKeys",
    "RequestCharged",
    "ResponseMetadata",
];

/// The objects of a bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Listing {
    /// The objects; `None` as the content if it is not listed.
    objects: BTreeMap<String, Option<Content>>,
    /// What the keys with a `+` or a `%` are if they are encoded, which the AWS CLI does not always show.
    decoded: BTreeSet<String>,
    /// What is listed of the bucket.
    scope: Scope,
    /// The bucket, if it is listed.
    pub bucket: Option<String>,
    /// What was removed from the keys.
    pub note: Option<String>,
}

/// The content of an object, as a listing describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Content {
    pub bytes: u64,
    /// Without quotes.
    pub etag: String,
}

/// Which part of a bucket is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Scope {
    /// All keys that begin with the prefix, except those below the folders, and those with the delimiter behind the prefix.
    Prefix {
        prefix: String,
        folders: Vec<String>,
        delimiter: Option<String>,
    },
    /// That is not stated, so the list can be that of the prefix that all keys share, and a folder that is not listed is possibly
    /// left out.
    Unstated { common_prefix: String },
}

impl Default for Scope {
    fn default() -> Self {
        Self::Unstated {
            common_prefix: String::new(),
        }
    }
}

/// The output of `aws s3api list-objects-v2` and `list-objects`.
#[derive(Default, Deserialize)]
#[serde(
    rename_all = "PascalCase",
    expecting = "the output of `aws s3api list-objects-v2`"
)]
struct ListObjects {
    /// `Some(None)` if it is null.
    #[serde(default, deserialize_with = "present")]
    contents: Option<Option<Vec<ListedObject>>>,
    common_prefixes: Option<Vec<CommonPrefix>>,
    delimiter: Option<String>,
    is_truncated: Option<bool>,
    marker: Option<String>,
    name: Option<String>,
    next_continuation_token: Option<Value>,
    next_marker: Option<Value>,
    next_token: Option<Value>,
    prefix: Option<String>,
    start_after: Option<String>,
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

/// Reads a field that can be null, unlike a missing one.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", expecting = "an object with Prefix")]
struct CommonPrefix {
    prefix: String,
}

/// An object of `Contents`, or its key alone.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ListedObject {
    key: String,
    content: Option<Content>,
}

impl<'de> Deserialize<'de> for ListedObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListedObjectVisitor)
    }
}

struct ListedObjectVisitor;

impl<'de> Visitor<'de> for ListedObjectVisitor {
    type Value = ListedObject;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key, or an object with Key, ETag and Size")
    }

    fn visit_str<E: de::Error>(self, key: &str) -> Result<ListedObject, E> {
        Ok(ListedObject {
            key: key.to_owned(),
            content: None,
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ListedObject, A::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Fields {
            key: String,
            #[serde(rename = "ETag")]
            etag: Option<String>,
            size: Option<u64>,
        }
        let Fields { key, etag, size } = Fields::deserialize(MapAccessDeserializer::new(map))?;
        let content = size.zip(etag).map(|(bytes, etag)| Content {
            bytes,
            etag: strong_etag(&etag).to_owned(),
        });
        Ok(ListedObject { key, content })
    }
}

/// Parses a listing. The error contains the position.
pub(super) fn parse(text: &str) -> Result<Listing, String> {
    let start = text.trim_start();
    if start.is_empty() {
        return Err(format!(
            "it is empty, so it does not show what the bucket contained: write it with {COMMAND}; for an empty bucket, write \
             {{\"Contents\": []}}"
        ));
    }
    // The AWS CLI writes `None` for null with `--output text`.
    if ["null", "None"].contains(&start.trim_end()) {
        return Err(nothing("the listing"));
    }
    let not_json = |error: serde_json::Error| {
        let error = error
            .to_string()
            .replace("expected u64", "expected a number");
        format!(
            "not the JSON of `aws s3api list-objects-v2`: {error}: write it with {COMMAND} (a list whose first key begins with \
             [ or {{ needs a / before this key)"
        )
    };
    if start.starts_with('{') {
        serde_json::from_str(text)
            .map_err(not_json)
            .and_then(Listing::of_output)
    } else if start.starts_with('[') {
        let objects: Vec<ListedObject> = serde_json::from_str(text).map_err(not_json)?;
        if objects.is_empty() {
            return Err(nothing("the listing"));
        }
        if objects.len() == PAGE {
            return Err(possibly_a_page());
        }
        Ok(Listing::new(objects))
    } else {
        Listing::of_lines(text)
    }
}

/// Returns the error of a listing that is `null` or `[]`, as `--query` writes it for an empty bucket and for a wrong expression.
fn nothing(part: &str) -> String {
    format!(
        "{part} contains nothing, as after --query with an expression that matches nothing: write the listing with {COMMAND}; for \
         an empty bucket, write {{\"Contents\": []}}"
    )
}

fn possibly_a_page() -> String {
    format!(
        "it has exactly {PAGE} objects, so it is possibly the first page of several: write all of it with {COMMAND}"
    )
}

impl Listing {
    fn of_lines(text: &str) -> Result<Self, String> {
        let first = text.lines().find(|line| !line.is_empty());
        let is_other = |first: &str| OTHER_FORMATS.iter().any(|start| first.starts_with(start));
        if let Some(first) = first.filter(|first| is_other(first)) {
            return Err(format!(
                "it begins with {first:?}, which is neither a key nor JSON: write it with {COMMAND} (a key of this form needs a \
                 / before it)"
            ));
        }
        let Keys { keys, note } = lines::parse_keys(text)
            .map_err(|error| format!("{error}; or write the listing with {COMMAND}"))?;
        let objects = keys
            .into_iter()
            .map(|key| ListedObject { key, content: None });
        let objects: Vec<_> = objects.collect();
        if objects.len() == PAGE {
            return Err(possibly_a_page());
        }
        Ok(Self {
            note,
            ..Self::new(objects)
        })
    }

    fn of_output(output: ListObjects) -> Result<Self, String> {
        let is_present = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        let incomplete = [
            ("NextToken", output.next_token.is_some()),
            (
                "NextContinuationToken",
                output.next_continuation_token.is_some(),
            ),
            ("NextMarker", output.next_marker.is_some()),
            ("IsTruncated", output.is_truncated == Some(true)),
            ("StartAfter", is_present(&output.start_after)),
            ("Marker", is_present(&output.marker)),
        ];
        if let Some((field, _)) = incomplete.into_iter().find(|(_, is_given)| *is_given) {
            return Err(format!(
                "the listing is not complete, because it has {field}: write all of it with {COMMAND}, without --max-items, \
                 --no-paginate and --start-after"
            ));
        }
        let contents = match output.contents {
            Some(contents) => contents.ok_or_else(|| nothing("Contents"))?,
            None => {
                let mut others = output.others.keys();
                let other = others.find(|field| !FIELDS_OF_EMPTY.contains(&field.as_str()));
                if let Some(other) = other {
                    return Err(format!(
                        "it has {other}, but no Contents, so it is not a listing of objects: write it with {COMMAND}"
                    ));
                }
                if output.others.is_empty() && output.prefix.is_none() && output.name.is_none() {
                    return Err(nothing("the listing"));
                }
                Vec::new()
            }
        };
        let folders = output.common_prefixes.into_iter().flatten();
        // They can be encoded.
        let folders = folders.flat_map(|CommonPrefix { prefix }| {
            let decoded = decoded_key(&prefix);
            [Some(prefix), decoded].into_iter().flatten()
        });
        let folders: Vec<_> = folders.collect();
        let delimiter = output.delimiter.filter(|delimiter| !delimiter.is_empty());
        let mut listing = Self::new(contents);
        listing.bucket = output.name;
        let is_stated = output.prefix.is_some() || !folders.is_empty() || delimiter.is_some();
        if is_stated || listing.objects.is_empty() {
            listing.scope = Scope::Prefix {
                prefix: output.prefix.unwrap_or_default(),
                folders,
                delimiter,
            };
        }
        Ok(listing)
    }

    fn new(objects: Vec<ListedObject>) -> Self {
        let objects = objects.into_iter();
        let objects: BTreeMap<_, _> = objects.map(|object| (object.key, object.content)).collect();
        let encoded = objects.keys().filter(|key| key.contains(['%', '+']));
        Self {
            decoded: encoded.filter_map(|key| decoded_key(key)).collect(),
            scope: Scope::Unstated {
                common_prefix: common_prefix(&objects),
            },
            objects,
            bucket: None,
            note: None,
        }
    }

    /// Returns whether the bucket had an object with this key; `None` if the listing does not show it.
    pub(super) fn contains(&self, key: &str) -> Option<bool> {
        if self.objects.contains_key(key) {
            return Some(true);
        }
        (self.covers(key) && !self.decoded.contains(key)).then_some(false)
    }

    /// Returns whether it does not state which part of the bucket it lists, and has none of these keys. Then it can be anything,
    /// such as the output of a failed command.
    pub(super) fn is_list_without<'a>(&self, mut keys: impl Iterator<Item = &'a str>) -> bool {
        let is_unstated = matches!(self.scope, Scope::Unstated { .. });
        is_unstated && !keys.any(|key| self.objects.contains_key(key))
    }

    /// Returns the content of an object, if it is listed.
    pub(super) fn content(&self, key: &str) -> Option<&Content> {
        self.objects.get(key)?.as_ref()
    }

    /// Returns an object whose content is not listed.
    pub(super) fn without_content(&self) -> Option<&str> {
        let mut objects = self.objects.iter();
        let (key, _) = objects.find(|(_, content)| content.is_none())?;
        Some(key)
    }

    /// Returns whether the listing would contain an object with this key.
    fn covers(&self, key: &str) -> bool {
        match &self.scope {
            Scope::Prefix {
                prefix,
                folders,
                delimiter,
            } => key.strip_prefix(prefix.as_str()).is_some_and(|rest| {
                let is_below = |folder: &String| key.starts_with(folder.as_str());
                let is_in_folder = |delimiter: &String| rest.contains(delimiter.as_str());
                !folders.iter().any(is_below) && !delimiter.as_ref().is_some_and(is_in_folder)
            }),
            Scope::Unstated { common_prefix } => {
                let common_folder = folder_of(common_prefix);
                let rest = key.strip_prefix(common_folder).unwrap_or_default();
                let is_folder_listed = rest.split_once('/').is_none_or(|(name, _)| {
                    let folder = format!("{common_folder}{name}/");
                    let mut listed = self.objects.range(folder.clone()..);
                    let first = listed.next();
                    first.is_some_and(|(key, _)| key.starts_with(&folder))
                });
                key.starts_with(common_prefix) && is_folder_listed
            }
        }
    }
}

/// Returns what all keys have in common at their start. A single key has its folder.
fn common_prefix(objects: &BTreeMap<String, Option<Content>>) -> String {
    let first = objects.first_key_value().map(|(key, _)| key.as_str());
    let last = objects.last_key_value().map(|(key, _)| key.as_str());
    let (first, last) = (first.unwrap_or_default(), last.unwrap_or_default());
    if objects.len() < 2 {
        return folder_of(first).to_owned();
    }
    // The keys are sorted, so what the first and the last one share, all share.
    let shared = first.chars().zip(last.chars());
    let shared = shared.take_while(|(first, last)| first == last);
    shared.map(|(character, _)| character).collect()
}

/// Returns the folder of the key, with its slash, or an empty text.
fn folder_of(key: &str) -> &str {
    let slash = key.rfind('/');
    slash
        .and_then(|slash| key.get(..=slash))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const REMEDY: &str =
        "write the listing with `aws s3api list-objects-v2 --bucket NAME --output json`";

    /// Returns whether the listing contains the keys: yes, no or unknown.
    fn contains(text: &str, keys: &[&str]) -> Result<String, String> {
        let listing = parse(text)?;
        let contained = keys.iter().map(|key| match listing.contains(key) {
            Some(true) => "yes",
            Some(false) => "no",
            None => "unknown",
        });
        Ok(contained.collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn a_missing_object_is_new_if_the_listing_would_contain_it() {
        for (text, keys, expected) in [
            // A list of keys.
            (
                "a.html\n",
                vec!["a.html", "b.html", "x/b.html"],
                "yes no unknown",
            ),
            (
                "a.html\nblog/a.html\r\n",
                vec!["blog/a.html", "blog/b/c.html", "docs/a.html"],
                "yes no unknown",
            ),
            // The folder is not listed, but the next one.
            (
                "a.html\nx/a.html\n",
                vec!["docs/a.html", "x/b.html", "y/a.html"],
                "unknown no unknown",
            ),
            // All that is listed is in one folder, so it is possibly all that was listed.
            (
                "docs/v1/a.html\ndocs/v1/b.html\n",
                vec!["docs/v1/c.html", "docs/v2/a.html", "docs/c.html", "c.html"],
                "no unknown unknown unknown",
            ),
            (
                "docs/a/x.html\ndocs/b/x.html\n",
                vec!["docs/c.html", "docs/a/y.html", "docs/c/x.html", "a/x.html"],
                "no no unknown unknown",
            ),
            (
                "doc/a.html\ndocs/a.html\n",
                vec!["docs/b.html", "dox/b.html"],
                "no unknown",
            ),
            // All keys begin with the same text, so it is possibly the prefix that was listed.
            (
                "docs/abc.html\ndocs/abd.html\n",
                vec!["docs/abz.html", "docs/zzz.html"],
                "no unknown",
            ),
            (
                r#"["docs/a.html", "data/x.json"]"#,
                vec!["docs/b.html", "index.html"],
                "no unknown",
            ),
            (
                "/a.html\n./blog/a.html\n",
                vec!["a.html", "blog/a.html"],
                "yes yes",
            ),
            ("/[slug].html\n", vec!["[slug].html"], "yes"),
            // JSON.
            (
                r#"{"Contents": [{"Key": "a.html"}], "RequestCharged": null, "Prefix": ""}"#,
                vec!["a.html", "b.html", "x/b.html"],
                "yes no no",
            ),
            (
                r#"{"Contents": [{"Key": "a.html"}]}"#,
                vec!["a.html", "b.html", "x/b.html"],
                "yes no unknown",
            ),
            (
                r#"{"Contents": [{"Key": "a.html"}, "b.html"], "Prefix": "", "Owner": {}}"#,
                vec!["a.html", "b.html"],
                "yes yes",
            ),
            (
                r#" [{"Key": "a.html", "ETag": null}]"#,
                vec!["a.html", "b.html", "x/b.html"],
                "yes no unknown",
            ),
            (
                r#"["a.html", "x/a.html"]"#,
                vec!["a.html", "x/b.html"],
                "yes no",
            ),
            // An empty bucket.
            (
                r#"{"RequestCharged": null, "Prefix": ""}"#,
                vec!["a.html", "x/a.html"],
                "no no",
            ),
            (r#"{"RequestCharged": null}"#, vec!["a.html"], "no"),
            (
                r#"{"IsTruncated": false, "Name": "site", "Prefix": "", "MaxKeys": 1000, "EncodingType": "url", "KeyCount": 0}"#,
                vec!["x/a.html"],
                "no",
            ),
            (r#"{"Contents": []}"#, vec!["a.html", "x/a.html"], "no no"),
            (r#"{"Name": "site"}"#, vec!["a.html"], "no"),
            // What is null or empty has no meaning.
            (
                r#"{"Contents": [{"Key": "a.html"}], "NextToken": null, "StartAfter": "", "Marker": "", "Delimiter": "",
                    "Prefix": ""}"#,
                vec!["b.html", "x/b.html"],
                "no no",
            ),
            // A part of the bucket.
            (
                r#"{"Contents": [{"Key": "docs/a.html"}], "Prefix": "docs/"}"#,
                vec!["docs/a.html", "docs/b/c.html", "b.html"],
                "yes no unknown",
            ),
            (
                r#"{"Prefix": "docs/"}"#,
                vec!["docs/b.html", "b.html"],
                "no unknown",
            ),
            (
                r#"{"Contents": [{"Key": "a.html"}], "CommonPrefixes": [{"Prefix": "blog/"}], "Prefix": ""}"#,
                vec!["b.html", "blog/a.html", "docs/a.html"],
                "no unknown no",
            ),
            (
                r#"{"Contents": [], "CommonPrefixes": [{"Prefix": "caf%C3%A9/"}], "Prefix": ""}"#,
                vec!["café/a.html", "caf%C3%A9/a.html", "a.html"],
                "unknown unknown no",
            ),
            (
                r#"{"Contents": [{"Key": "x/a.html"}], "Delimiter": "/", "Prefix": "x/"}"#,
                vec!["x/b.html", "x/y/a.html", "b.html"],
                "no unknown unknown",
            ),
            (
                r#"{"Contents": [{"Key": "a.html"}], "CommonPrefixes": [{"Prefix": "blog/"}]}"#,
                vec!["blog/a.html", "docs/a.html"],
                "unknown no",
            ),
            (
                r#"{"Contents": [{"Key": "a.html"}], "Delimiter": "-"}"#,
                vec!["b.html", "b-c.html", "x/b.html"],
                "no unknown no",
            ),
            // Keys that are possibly encoded.
            (
                r#"{"Contents": [{"Key": "a+b.html"}, {"Key": "caf%C3%A9.html"}], "EncodingType": "url", "Prefix": ""}"#,
                vec!["a b.html", "a+b.html", "café.html", "b.html"],
                "unknown yes unknown no",
            ),
        ] {
            assert_eq!(contains(text, &keys), Ok(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_listing_that_is_not_complete_or_not_readable_is_refused() {
        let page: Vec<_> = (0..1_000).map(|number| format!("\"{number}\"")).collect();
        let page = format!("[{}]", page.join(","));
        let not_complete = |field: &str| {
            format!(
                "the listing is not complete, because it has {field}: write all of it with `aws s3api list-objects-v2 --bucket \
                 NAME --output json`, without --max-items, --no-paginate and --start-after"
            )
        };
        let nothing = |part: &str| {
            format!(
                "{part} contains nothing, as after --query with an expression that matches nothing: {REMEDY}; for an empty \
                 bucket, write {{\"Contents\": []}}"
            )
        };
        let not_json = |error: &str| {
            format!(
                "not the JSON of `aws s3api list-objects-v2`: {error}: write it with `aws s3api list-objects-v2 --bucket NAME \
                 --output json` (a list whose first key begins with [ or {{ needs a / before this key)"
            )
        };
        let no_contents = |field: &str| {
            format!(
                "it has {field}, but no Contents, so it is not a listing of objects: write it with `aws s3api list-objects-v2 \
                 --bucket NAME --output json`"
            )
        };
        let other_format = |first: &str| {
            format!(
                "it begins with {first:?}, which is neither a key nor JSON: write it with `aws s3api list-objects-v2 --bucket \
                 NAME --output json` (a key of this form needs a / before it)"
            )
        };
        let empty = "it is empty, so it does not show what the bucket contained: write it with `aws s3api list-objects-v2 \
                     --bucket NAME --output json`; for an empty bucket, write {\"Contents\": []}";
        for (text, expected) in [
            ("", empty.to_owned()),
            (" \n\n", empty.to_owned()),
            ("null\n", nothing("the listing")),
            ("None\n", nothing("the listing")),
            (
                &page,
                format!(
                    "it has exactly 1000 objects, so it is possibly the first page of several: write all of it with {COMMAND}"
                ),
            ),
            ("[]", nothing("the listing")),
            ("{}", nothing("the listing")),
            (r#"{"Contents": null}"#, nothing("Contents")),
            (
                r#"{"Contents": [], "NextToken": "x"}"#,
                not_complete("NextToken"),
            ),
            (
                r#"{"Contents": [{"Key": "a"}], "NextContinuationToken": "x"}"#,
                not_complete("NextContinuationToken"),
            ),
            (
                r#"{"Contents": [{"Key": "a"}], "NextMarker": "x"}"#,
                not_complete("NextMarker"),
            ),
            (
                r#"{"Contents": [{"Key": "a"}], "IsTruncated": true}"#,
                not_complete("IsTruncated"),
            ),
            (
                r#"{"Contents": [{"Key": "a"}], "StartAfter": "x"}"#,
                not_complete("StartAfter"),
            ),
            (
                r#"{"Contents": [{"Key": "a"}], "Marker": "x"}"#,
                not_complete("Marker"),
            ),
            (
                r#"{"Versions": [{"Key": "a"}], "Prefix": ""}"#,
                no_contents("Versions"),
            ),
            (r#"{"Keys": ["a"]}"#, no_contents("Keys")),
            (
                "{\"Contents\": [\n  {\"Key\": \"a\"},\n  {\"ETag\": \"x\"}\n]}",
                not_json("missing field `Key` at line 3 column 15"),
            ),
            (
                "{\"Contents\": [\n  {\"Key\": \"a\",",
                not_json("EOF while parsing a value at line 2 column 14"),
            ),
            (
                "{\"Contents\": [\n  {\"Key\": \"a\", \"Size\": -1}]}",
                not_json("invalid value: integer `-1`, expected a number at line 2 column 25"),
            ),
            (
                "{\"Contents\": [{\"Key\": \"a\"}]}\n{\"Contents\": []}",
                not_json("trailing characters at line 2 column 1"),
            ),
            (
                "{\"Contents\": 1}",
                not_json("invalid type: integer `1`, expected a sequence at line 1 column 14"),
            ),
            (
                "[[\"a\"]]",
                not_json(
                    "invalid type: sequence, expected a key, or an object with Key, ETag and Size at line 1 column 2",
                ),
            ),
            (
                "[slug].html\na.html\n",
                not_json("expected value at line 1 column 2"),
            ),
            (
                "Contents:\n- ETag: x\n  Key: a\n",
                other_format("Contents:"),
            ),
            ("- a.html\n", other_format("- a.html")),
            ("-----\n|  ListObjectsV2  |\n", other_format("-----")),
            (
                "<?xml version=\"1.0\"?>",
                other_format("<?xml version=\"1.0\"?>"),
            ),
            (
                "a.html\tb.html",
                format!(
                    "line 1: \"a.html\\tb.html\" is not a key: write each key on a line of its own, without tabs; or {REMEDY}"
                ),
            ),
        ] {
            assert_eq!(parse(text), Err(expected), "{text}");
        }
    }

    #[test]
    fn size_and_etag_are_the_content() {
        let listing = parse(
            r#"[{"Key": "a", "ETag": "\"9a03\"", "Size": 7, "StorageClass": "STANDARD"}, {"Key": "b", "ETag": "\"1-2\""}]"#,
        );
        let listing = listing.expect("a listing");
        let content = Content {
            bytes: 7,
            etag: "9a03".to_owned(),
        };
        assert_eq!(listing.content("a"), Some(&content));
        assert_eq!(listing.content("b"), None);
        assert_eq!(listing.content("c"), None);
        assert_eq!(listing.without_content(), Some("b"));
    }
}
