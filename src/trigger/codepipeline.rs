//! A CodePipeline job: its id before all else, then what its `UserParameters` ask for.
//!
//! A job that nobody answers holds its pipeline for twenty minutes. So [`Job::from_event`] wants nothing but the id,
//! and whatever is wrong with the rest is found later, by [`Job::request`] and [`Job::progress`], when somebody is there to
//! answer it.
//!
//! `aws_lambda_events` is not used here: its `CodePipelineJobEvent` refuses a job without input artifacts, output
//! artifacts or credentials, and prints the credentials with `{:?}`. This module reads the three values it needs and
//! leaves the rest, the credentials among it, in the event.
//!
//! Shape: <https://docs.aws.amazon.com/lambda/latest/dg/services-codepipeline.html>

mod parameters;
mod progress;

use std::fmt;

use serde_json::Value;

pub use self::parameters::{JobRequest, OnTimeout};
pub use self::progress::{MAX_TOKEN_CHARACTERS, Progress, Stage};
use crate::failure::Failure;

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
    continuation_token: Option<String>,
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
        let token = job
            .pointer("/data/continuationToken")
            .and_then(Value::as_str);
        Ok(Self {
            id: JobId(id.to_owned()),
            parameters: parameters.cloned(),
            continuation_token: token.filter(|token| !token.is_empty()).map(str::to_owned),
        })
    }

    /// Reads `UserParameters`.
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
        JobRequest::parse(parameters).map_err(|failure| failure.within("UserParameters"))
    }

    /// Reads what an earlier job of the same action has done, where this one goes on with it.
    ///
    /// # Errors
    ///
    /// A [`Failure`] for a token that this version cannot read.
    pub fn progress(&self) -> Result<Option<Progress>, Failure> {
        self.continuation_token
            .as_deref()
            .map(Progress::from_token)
            .transpose()
    }
}
