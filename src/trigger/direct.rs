//! A direct invocation: an event that names what to invalidate, or the invalidation whose status it requests.
//!
//! The event needs `paths`, `keys` or `invalidation`; any other object without a known sender is an unknown event. So an
//! empty object never invalidates anything. To invalidate everything, the caller writes `/*`.
//!
//! `docs/direct.md` describes the fields.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::request::{Fields, PathRequest, RequestOptions};
use crate::distribution::DistributionName;
use crate::error::Error;
use crate::path::mistake::{
    contains_several, is_windows_file, is_written_as_path, mistake_or_file,
};
use crate::path::{EncodedPaths, host};
use crate::plan::InvalidationId;

const FIELDS: [&str; 12] = [
    "paths",
    "keys",
    "bucket",
    "distribution",
    "wait",
    "onTimeout",
    "verify",
    "onStale",
    "reference",
    "idempotencyKey",
    "invalidation",
    "requestedBy",
];

/// What callers put around an event: a function URL and API Gateway, and those that call Lambda's Invoke API twice.
const ENVELOPES: [&str; 3] = ["body", "Payload", "payload"];

/// What to write instead of JSON.
const INSTEAD_OF_JSON: &str =
    "write the array or the object itself, not its JSON in a string; a path has a / at its start";

/// One of these fields makes an object the event of a direct invocation.
const MARKERS: [&str; 3] = ["paths", "keys", "invalidation"];

/// The maximum length of `idempotencyKey` and `requestedBy`. The ARN of a Step Functions execution fits.
const MAX_CHARACTERS: usize = 256;

/// What a direct invocation requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectRequest {
    /// What to do, or the error of an invalid field, with its name.
    pub operation: Result<Operation, Error>,
    /// Who requests it, as the caller claims: for the log only.
    pub requested_by: Option<String>,
}

/// What a direct invocation requests to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Create invalidations of paths.
    InvalidatePaths {
        /// The paths, and how.
        request: PathRequest,
        /// The hosts of the URLs among the paths, and among the URLs to verify.
        hosts: BTreeSet<String>,
        /// Identifies the request: equal if the caller repeats it.
        idempotency_key: Option<String>,
    },
    /// Create invalidations of what viewers can have cached of objects.
    InvalidateObjects {
        /// The objects.
        objects: Objects,
        /// The hosts of the URLs to verify.
        hosts: BTreeSet<String>,
        /// How.
        options: RequestOptions,
        /// Identifies the request: equal if the caller repeats it.
        idempotency_key: Option<String>,
    },
    /// Report the status of an invalidation.
    ReportStatus {
        /// The invalidation.
        invalidation: InvalidationId,
        /// The distributions that possibly have it. Empty: the distributions of the settings.
        distributions: Vec<DistributionName>,
    },
}

/// Objects of a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Objects {
    /// The name of the bucket.
    pub bucket: String,
    /// The keys, at least one, as S3 has them.
    pub keys: Vec<String>,
    /// What was removed from keys.
    pub note: Option<String>,
}

impl DirectRequest {
    /// Returns whether the object is the event of a direct invocation.
    pub(super) fn is_in(event: &Map<String, Value>) -> bool {
        let mut markers = MARKERS.iter();
        markers.any(|name| event.get(*name).is_some_and(|value| !value.is_null()))
    }

    /// Reads an event.
    pub(super) fn from_event(event: &Map<String, Value>) -> Self {
        let mut fields = Fields::new(event.clone(), &FIELDS);
        let (requested_by, error) = match fields.read("requestedBy", read_text) {
            Ok(requested_by) => (requested_by, None),
            Err(error) => (None, Some(error)),
        };
        let operation = match error {
            Some(error) => Err(error),
            None => read_operation(fields),
        };
        Self {
            operation: operation.map_err(|error| error.context("direct invocation")),
            requested_by,
        }
    }
}

fn read_operation(mut fields: Fields) -> Result<Operation, Error> {
    let operation = match fields.read("invalidation", read_invalidation)? {
        Some(invalidation) => read_status_request(&mut fields, invalidation)?,
        None => read_invalidation_request(&mut fields)?,
    };
    fields.finish()?;
    Ok(operation)
}

/// Returns what to do about an unknown event that is possibly meant as a direct invocation.
pub(super) fn hint(event: &Value) -> Option<String> {
    let members = match event {
        Value::String(text) => {
            let object = serde_json::from_str::<Map<String, Value>>(text);
            return object
                .is_ok()
                .then(|| "send the object itself, not its JSON in a string".to_owned());
        }
        event => event.as_object()?,
    };
    if let Some(name) = MARKERS.iter().find(|name| members.contains_key(**name)) {
        return Some(format!("{name:?} is null"));
    }
    if let Some(name) = ENVELOPES.iter().find(|name| members.contains_key(**name)) {
        return Some(format!("send what is in {name:?} as the event itself"));
    }
    let similar = |name: &String| {
        let name = name.to_ascii_lowercase();
        let is_similar =
            |marker: &&&str| name.starts_with(**marker) || strsim::osa_distance(marker, &name) <= 1;
        // The test event of Lambda's console has key1, key2 and key3.
        let has_digit = name.bytes().any(|byte| byte.is_ascii_digit());
        MARKERS.iter().find(is_similar).filter(|_| !has_digit)
    };
    let marker = members.keys().find_map(similar)?;
    Some(format!("did you mean {marker:?}?"))
}

fn read_status_request(
    fields: &mut Fields,
    invalidation: InvalidationId,
) -> Result<Operation, Error> {
    let distributions = fields.read_distributions()?;
    if let Some(name) = FIELDS.into_iter().find(|name| fields.take(name).is_some()) {
        return Err(Error::invalid_input(format!(
            "{name:?} has no effect with \"invalidation\", which only reports a status: remove one of them"
        )));
    }
    Ok(Operation::ReportStatus {
        invalidation,
        distributions,
    })
}

fn read_invalidation_request(fields: &mut Fields) -> Result<Operation, Error> {
    const IF_EMPTY: &str = "name what to invalidate, or \"/*\" in \"paths\" for everything";
    let idempotency_key = fields.read("idempotencyKey", read_key_of_request)?;
    let texts = fields.texts("paths").chain(fields.texts("verify"));
    let hosts = texts.filter_map(host).collect();
    for url in fields
        .texts("verify")
        .filter(|text| is_written_as_path(text))
    {
        check_path(url).map_err(|error| error.context("verify"))?;
    }
    let paths = fields.read_paths(IF_EMPTY, read_path)?;
    let keys = fields.read_list("keys", IF_EMPTY, read_key)?;
    let bucket = fields.read("bucket", read_bucket)?;
    match (paths, keys, bucket) {
        (Some(paths), None, None) => Ok(Operation::InvalidatePaths {
            request: PathRequest {
                options: fields.read_options(&paths.paths)?,
                paths,
            },
            hosts,
            idempotency_key,
        }),
        (None, Some(keys), Some(bucket)) => Ok(Operation::InvalidateObjects {
            objects: Objects::new(bucket, keys),
            hosts,
            options: fields.read_options(&[])?,
            idempotency_key,
        }),
        (None, Some(_), None) => Err(Error::invalid_input(
            "\"keys\" needs \"bucket\": the name of the bucket that has the objects",
        )),
        (Some(_), Some(_), _) => Err(Error::invalid_input(
            "the event has \"paths\" and \"keys\": invoke the function once for each",
        )),
        (_, None, _) => Err(Error::invalid_input(
            "\"bucket\" has no effect without \"keys\": remove it, or name the keys of the objects",
        )),
    }
}

/// Reads a path. Callers build events with templates and variables, so what is certainly not meant as a path is refused.
fn read_path(text: &str) -> Result<EncodedPaths, Error> {
    check_path(text)?;
    Ok(EncodedPaths::parse(text)?)
}

fn check_path(text: &str) -> Result<(), Error> {
    if contains_several(text.trim()) {
        return Err(Error::invalid_input(format!(
            "{text:?} contains several paths: write an array with a string for each, or %20 for a space and %2C for a \
             comma that belongs to the path"
        )));
    }
    match mistake_or_file(text, INSTEAD_OF_JSON) {
        Some(mistake) => Err(Error::invalid_input(mistake)),
        None => Ok(()),
    }
}

/// A key, and whether something was removed from it.
struct WrittenKey {
    key: String,
    root: Option<String>,
}

impl Objects {
    fn new(bucket: String, written: Vec<WrittenKey>) -> Self {
        let roots: Vec<_> = written.iter().filter_map(|key| key.root.as_ref()).collect();
        let note = roots.first().map(|first| {
            let count = roots.len();
            let noun = if count == 1 { "key" } else { "keys" };
            format!("read {count} {noun} without the leading / or ./, such as {first}")
        });
        Self {
            bucket,
            keys: written.into_iter().map(|written| written.key).collect(),
            note,
        }
    }
}

/// Reads a key. A leading `/` or `./` is removed: paths and lists of files have it, and the keys of a site do not.
fn read_key(text: &str) -> Result<WrittenKey, Error> {
    let without_root = ["./", "/"].iter().find_map(|root| text.strip_prefix(root));
    let key = without_root.unwrap_or(text);
    let lowercase = key.to_ascii_lowercase();
    let mistake = if key.is_empty() {
        Some("name an object, or use \"paths\"")
    } else if key.chars().any(char::is_control) {
        Some("it contains a control character: write an array with a string for each key")
    } else if is_windows_file(key) {
        Some(
            "it is a file name of Windows: write the key in the bucket, with / between its folders",
        )
    } else if lowercase.starts_with("s3://") || lowercase.starts_with("arn:aws") {
        Some("write the key alone, and name the bucket in \"bucket\"")
    } else if lowercase.starts_with("https://") || lowercase.starts_with("http://") {
        Some("write URLs in \"paths\"")
    } else if starts_as_json(key) {
        Some("write the array or the object itself, not its JSON in a string")
    } else if is_placeholder(key) {
        Some("it is a placeholder that was not replaced: write its value")
    } else if key.starts_with("../") {
        Some("write it as S3 has it, without ..")
    } else {
        None
    };
    if let Some(mistake) = mistake {
        return Err(Error::invalid_input(format!(
            "{text:?} is not a key: {mistake}"
        )));
    }
    Ok(WrittenKey {
        key: key.to_owned(),
        root: without_root.map(|_| text.to_owned()),
    })
}

/// Returns whether the text is a placeholder of Step Functions, of an input transformer or of a shell.
fn is_placeholder(text: &str) -> bool {
    let is_enclosed = |start: &str, end: &str| text.starts_with(start) && text.ends_with(end);
    let is_path = text.starts_with("$.") || text.starts_with("$$.");
    is_path || is_enclosed("${", "}") || is_enclosed("<", ">") || is_enclosed("{%", "%}")
}

/// Returns whether a placeholder is anywhere in the text. A context attribute of EventBridge Scheduler is `<aws.scheduler.…>`.
fn contains_placeholder(text: &str) -> bool {
    let starts = ["$.", "${", "{%"];
    let name = text.split_once('<').map(|(_, rest)| rest);
    starts.iter().any(|start| text.contains(start))
        || text.trim().starts_with('$')
        || name.is_some_and(|rest| rest.contains('>'))
}

/// Returns whether the text is an array or an object with strings. A key such as `[id]/index.html` is neither.
fn starts_as_json(text: &str) -> bool {
    let inner = text.strip_prefix(['[', '{']);
    inner.is_some_and(|inner| inner.trim_start().starts_with('"'))
}

fn read_bucket(value: Value) -> Result<String, Error> {
    let bucket = value.as_str().map(|text| {
        let name = text.strip_prefix("s3://").unwrap_or(text);
        name.strip_suffix('/').unwrap_or(name)
    });
    let is_name = |name: &&str| {
        // https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
        // Old buckets have upper case letters and underscores.
        !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
    };
    bucket
        .filter(is_name)
        .map(str::to_owned)
        .ok_or_else(|| Error::invalid_input("expected the name of a bucket, such as \"my-site\""))
}

fn read_invalidation(value: Value) -> Result<InvalidationId, Error> {
    let is_id =
        |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let id = value.as_str().filter(is_id).map(InvalidationId::new);
    id.ok_or_else(|| {
        Error::invalid_input("expected the id of an invalidation, such as \"I2J0I21PCUYOIK\"")
    })
}

/// Reads an idempotency key. One that is the same for all requests would find the invalidation of another one.
fn read_key_of_request(value: Value) -> Result<String, Error> {
    let key = read_text(value)?;
    if key.trim().is_empty() {
        return Err(Error::invalid_input(
            "it is blank: write a value that differs between requests",
        ));
    }
    if contains_placeholder(&key) {
        return Err(Error::invalid_input(format!(
            "{key:?} is a placeholder that was not replaced: write its value"
        )));
    }
    Ok(key)
}

fn read_text(value: Value) -> Result<String, Error> {
    let is_valid = |text: &&str| {
        (1..=MAX_CHARACTERS).contains(&text.chars().count()) && !text.chars().any(char::is_control)
    };
    let text = value.as_str().filter(is_valid).map(str::to_owned);
    text.ok_or_else(|| {
        Error::invalid_input(format!(
            "expected a string of 1 to {MAX_CHARACTERS} characters without control characters"
        ))
    })
}
