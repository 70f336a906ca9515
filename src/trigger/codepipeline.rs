//! A CodePipeline job: its id first, then what its `UserParameters` request.
//!
//! A job without a result blocks its pipeline for 20 minutes. So [`Job::from_event`] requires only the id.
//! [`Job::request`] finds the errors in the rest, which can then be reported as the job's result.
//!
//! The module reads four values and leaves the rest of the event, with its credentials, alone. It does not use
//! `aws_lambda_events::codepipeline_job::CodePipelineJobEvent`, which rejects a job without input artifacts, output
//! artifacts or credentials, and which prints the credentials with `{:?}`.
//!
//! Shape: <https://docs.aws.amazon.com/lambda/latest/dg/services-codepipeline.html>

use std::fmt;

use serde_json::Value;

use super::request::PathRequest;
use super::user_parameters;
use crate::error::Error;

/// The longest folder that is logged, in characters. CodePipeline's have 20; whoever can invoke the function can send an event
/// with a longer one, which would make each line too long for CloudWatch.
const MAX_PIPELINE_CHARACTERS: usize = 100;

/// The id by which a job's result is reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobId(String);

impl JobId {
    /// Reads an id, or returns `None` for an empty string.
    pub fn parse(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    /// Returns the id as CodePipeline wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A job of a pipeline's Lambda action, which waits for its result.
#[derive(Debug, PartialEq, Eq)]
pub struct Job {
    /// The id by which the job's result is reported.
    pub id: JobId,
    /// The pipeline's name, shortened to 20 characters, if the action has an input artifact: the folder in which
    /// CodePipeline keeps the artifacts of the pipeline. It is for the log only.
    pub pipeline: Option<String>,
    user_parameters: Option<Value>,
    continuation_token: Option<String>,
}

impl Job {
    /// Reads the value of an event's `CodePipeline.job`.
    ///
    /// # Errors
    ///
    /// Returns an [`Error`] only for a job without an id, because no result can be reported for it.
    pub fn from_event(job: &Value) -> Result<Self, Error> {
        let id = job.get("id").and_then(Value::as_str).and_then(JobId::parse);
        let id = id.ok_or_else(|| {
            Error::invalid_input("the CodePipeline job has no id, so no result can be reported: pass the event unchanged")
        })?;
        let user_parameters = job.pointer("/data/actionConfiguration/configuration/UserParameters");
        let token = job
            .pointer("/data/continuationToken")
            .and_then(Value::as_str);
        let artifact = job
            .pointer("/data/inputArtifacts/0/location/s3Location/objectKey")
            .and_then(Value::as_str);
        let folder = artifact.and_then(|key| key.split_once('/'));
        Ok(Self {
            id,
            pipeline: folder
                .map(|(folder, _)| folder.chars().take(MAX_PIPELINE_CHARACTERS).collect()),
            user_parameters: user_parameters.cloned(),
            continuation_token: token.filter(|token| !token.is_empty()).map(str::to_owned),
        })
    }

    /// Reads `UserParameters`.
    ///
    /// # Errors
    ///
    /// Returns an [`Error`] that names the invalid field.
    pub fn request(&self) -> Result<PathRequest, Error> {
        let request = match &self.user_parameters {
            None | Some(Value::Null) => user_parameters::parse(""),
            Some(Value::String(text)) => user_parameters::parse(text.trim()),
            Some(_) => Err(Error::invalid_input("expected a string")),
        };
        request.map_err(|error| error.context("UserParameters"))
    }

    /// Returns the token of an earlier job of the same action, if this job continues one.
    pub fn continuation_token(&self) -> Option<&str> {
        self.continuation_token.as_deref()
    }
}
