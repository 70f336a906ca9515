//! A CodePipeline job: its id before all else, then what its `UserParameters` ask for.
//!
//! A job that nobody answers holds its pipeline for twenty minutes. So [`Job::from_event`] wants nothing but the id,
//! and whatever is wrong with the rest is found later, by [`Job::request`], when somebody is there to answer it.
//!
//! `aws_lambda_events` is not used here: its `CodePipelineJobEvent` refuses a job without input artifacts, output
//! artifacts or credentials, and prints the credentials with `{:?}`. This module reads the three values it needs and
//! leaves the rest, the credentials among it, in the event.
//!
//! Shape: <https://docs.aws.amazon.com/lambda/latest/dg/services-codepipeline.html>

use std::fmt;

use serde_json::{Map, Value};

use crate::distribution::DistributionId;
use crate::failure::Failure;
use crate::path::InvalidationPath;

/// The id by which a job is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobId(String);

impl JobId {
    /// Returns the id as CodePipeline gets it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A job of a pipeline's Lambda action, waiting for its answer.
#[derive(Debug)]
pub struct Job {
    /// The id by which it is answered.
    pub id: JobId,
    parameters: Option<Value>,
}

/// What a job asks for.
#[derive(Debug, PartialEq, Eq)]
pub struct JobRequest {
    /// The distributions to invalidate; none stands for those of the settings.
    pub distributions: Vec<DistributionId>,
    /// The paths to invalidate; at least one.
    pub paths: Vec<InvalidationPath>,
}

impl Job {
    /// Reads the value of an event's `CodePipeline.job`.
    ///
    /// # Errors
    ///
    /// Only a job without an id is a [`Failure`]: nobody can answer it.
    pub fn from_event(job: &Value) -> Result<Self, Failure> {
        let id = job.get("id").and_then(Value::as_str).filter(|id| !id.is_empty()).ok_or_else(|| {
            Failure::mistake("the CodePipeline job has no id, so it cannot be answered: send the event as it came")
        })?;
        let parameters = job.pointer("/data/actionConfiguration/configuration/UserParameters");
        Ok(Self {
            id: JobId(id.to_owned()),
            parameters: parameters.cloned(),
        })
    }

    /// Reads `UserParameters`: nothing, a distribution id, or `{"distribution": …, "paths": […]}`.
    ///
    /// # Errors
    ///
    /// A [`Failure`] that names the offending field.
    pub fn request(&self) -> Result<JobRequest, Failure> {
        let parameters = match &self.parameters {
            None | Some(Value::Null) => "",
            Some(Value::String(text)) => text.trim(),
            Some(_) => return Err(Failure::mistake("expected a text").within("UserParameters")),
        };
        read_parameters(parameters).map_err(|failure| failure.within("UserParameters"))
    }
}

fn read_parameters(text: &str) -> Result<JobRequest, Failure> {
    if let Ok(id) = DistributionId::parse(text) {
        return Ok(JobRequest {
            distributions: vec![id],
            paths: vec![InvalidationPath::everything()],
        });
    }
    let mut fields = read_object(text)?;
    let distributions = read_texts(&mut fields, "distribution")?;
    let paths = read_texts(&mut fields, "paths")?;
    if let Some(unknown) = fields.keys().next() {
        return Err(Failure::mistake(format!(
            "unknown field {unknown:?}: the fields are \"distribution\" and \"paths\""
        )));
    }
    let read_id = |text: &String| {
        DistributionId::parse(text).map_err(|error| Failure::mistake(error.to_string()))
    };
    Ok(JobRequest {
        distributions: read_each(
            "distribution",
            distributions.as_deref().unwrap_or_default(),
            read_id,
        )?,
        paths: match paths {
            None => vec![InvalidationPath::everything()],
            Some(texts) => read_each("paths", &texts, |text| Ok(InvalidationPath::parse(text)?))?,
        },
    })
}

fn read_object(text: &str) -> Result<Map<String, Value>, Failure> {
    const EXPECTED: &str = "expected nothing, a distribution id such as E2EXAMPLE1ABC, or a JSON object such as \
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

/// Takes a field that holds one text or a list of them.
fn read_texts(fields: &mut Map<String, Value>, name: &str) -> Result<Option<Vec<String>>, Failure> {
    let refused = |expected: &str| Err(Failure::mistake(expected).within(name));
    let list = match fields.remove(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => return Ok(Some(vec![text])),
        Some(Value::Array(list)) => list,
        Some(_) => return refused("expected a text or a list of texts"),
    };
    if list.is_empty() {
        return refused("the list is empty: leave the field out for the default");
    }
    let texts: Option<Vec<_>> = list
        .iter()
        .map(|value| value.as_str().map(str::to_owned))
        .collect();
    texts.map_or_else(
        || refused("expected a list of texts"),
        |texts| Ok(Some(texts)),
    )
}

fn read_each<T>(
    field: &str,
    texts: &[String],
    read: impl Fn(&String) -> Result<T, Failure>,
) -> Result<Vec<T>, Failure> {
    let read =
        |(at, text)| read(text).map_err(|failure| failure.within(format_args!("{field}[{at}]")));
    texts.iter().enumerate().map(read).collect()
}
