//! `UserParameters`: what a pipeline's action asks for, in at most 1,000 characters.
//!
//! Nothing, a distribution's id or domain name, or a JSON object. A field that is not known is refused by its name: a
//! typing error that is ignored invalidates the wrong thing and reports success.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::distribution::DistributionName;
use crate::failure::Failure;
use crate::path::InvalidationPath;
use crate::wait::parse_limit;

const FIELDS: [&str; 5] = ["distribution", "paths", "wait", "onTimeout", "reference"];

/// The most characters of a reference for humans; the rest of a caller reference's 128 is the hash.
const MAX_REFERENCE_CHARACTERS: usize = 60;

/// What a job asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobRequest {
    /// The distributions to invalidate; none stands for those of the settings.
    pub distributions: Vec<DistributionName>,
    /// The paths to invalidate; at least one.
    pub paths: Vec<InvalidationPath>,
    /// How long to wait for the edge, zero for not at all; none stands for what the settings say.
    pub wait: Option<Duration>,
    /// What to tell the pipeline when the wait was in vain.
    pub on_timeout: OnTimeout,
    /// What people call this request; the caller reference begins with it.
    pub reference: Option<String>,
}

/// What to tell the pipeline when the edge is not fresh in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnTimeout {
    /// Success: the invalidation goes on by itself.
    #[default]
    Succeed,
    /// Failure.
    Fail,
}

impl Default for JobRequest {
    fn default() -> Self {
        Self {
            distributions: Vec::new(),
            paths: vec![InvalidationPath::everything()],
            wait: None,
            on_timeout: OnTimeout::default(),
            reference: None,
        }
    }
}

impl JobRequest {
    pub(super) fn parse(text: &str) -> Result<Self, Failure> {
        if let Ok(name) = DistributionName::parse(text) {
            return Ok(Self {
                distributions: vec![name],
                ..Self::default()
            });
        }
        let mut fields = read_object(text)?;
        let read_name = |text: &str| {
            DistributionName::parse(text).map_err(|error| Failure::mistake(error.to_string()))
        };
        let distributions = read_list(&mut fields, "distribution", read_name)?;
        let paths = read_list(&mut fields, "paths", |text| {
            Ok(InvalidationPath::parse(text)?)
        })?;
        let request = Self {
            distributions: distributions.unwrap_or_default(),
            paths: paths.unwrap_or_else(|| Self::default().paths),
            wait: read(&mut fields, "wait", read_wait)?,
            on_timeout: read(&mut fields, "onTimeout", read_on_timeout)?.unwrap_or_default(),
            reference: read(&mut fields, "reference", read_reference)?,
        };
        match fields.keys().next() {
            Some(unknown) => Err(unknown_field(unknown)),
            None => Ok(request),
        }
    }
}

fn read_object(text: &str) -> Result<Map<String, Value>, Failure> {
    const EXPECTED: &str = "expected nothing, a distribution id or domain name, or a JSON object such as \
                            {\"paths\": [\"/*\"]}";
    if text.is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_str(text) {
        Ok(Value::Null) => Ok(Map::new()),
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(Failure::mistake(EXPECTED)),
        Err(error) => Err(Failure::mistake(format!(
            "{EXPECTED}; as JSON it is broken: {error}"
        ))),
    }
}

fn unknown_field(unknown: &str) -> Failure {
    let distance = |field: &&str| strsim::osa_distance(field, unknown);
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
    Failure::mistake(format!("unknown field {unknown:?} ({hint})"))
}

/// Takes a field out of the object; null stands for none.
fn read<T>(
    fields: &mut Map<String, Value>,
    name: &str,
    read: impl Fn(Value) -> Result<T, Failure>,
) -> Result<Option<T>, Failure> {
    match fields.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => read(value)
            .map(Some)
            .map_err(|failure| failure.within(name)),
    }
}

/// Takes a field that holds one text or a list of them.
fn read_list<T>(
    fields: &mut Map<String, Value>,
    name: &str,
    read_one: impl Fn(&str) -> Result<T, Failure>,
) -> Result<Option<Vec<T>>, Failure> {
    let refused = |expected: &str| Failure::mistake(expected).within(name);
    let values = match fields.remove(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Array(values)) => values,
        Some(value @ Value::String(_)) => vec![value],
        Some(_) => return Err(refused("expected a text or a list of texts")),
    };
    if values.is_empty() {
        return Err(refused(
            "the list is empty: leave the field out for the default",
        ));
    }
    let read_one = |(at, value): (usize, &Value)| {
        let text = value
            .as_str()
            .ok_or_else(|| Failure::mistake("expected a text"));
        text.and_then(&read_one)
            .map_err(|failure| failure.within(format_args!("{name}[{at}]")))
    };
    values
        .iter()
        .enumerate()
        .map(read_one)
        .collect::<Result<_, _>>()
        .map(Some)
}

fn read_wait(value: Value) -> Result<Duration, Failure> {
    let text = match value {
        Value::String(text) => text,
        // A number of seconds, true or false read as they are written.
        value => value.to_string(),
    };
    parse_limit(&text).map_err(Failure::mistake)
}

fn read_on_timeout(value: Value) -> Result<OnTimeout, Failure> {
    match value.as_str() {
        Some("succeed") => Ok(OnTimeout::Succeed),
        Some("fail") => Ok(OnTimeout::Fail),
        _ => Err(Failure::mistake("expected \"succeed\" or \"fail\"")),
    }
}

fn read_reference(value: Value) -> Result<String, Failure> {
    let taken = |text: &&str| {
        (1..=MAX_REFERENCE_CHARACTERS).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_graphic())
    };
    value.as_str().filter(taken).map(str::to_owned).ok_or_else(|| {
        Failure::mistake(format!(
            "expected a text of up to {MAX_REFERENCE_CHARACTERS} printable ASCII characters without spaces"
        ))
    })
}
