//! `RequestIdentity`: what makes a repeated request the same one, so that CloudFront returns the invalidation that exists.

use crate::distribution::DistributionId;
use crate::path::InvalidationPath;
use crate::plan::{Batch, Limits};
use crate::trigger::codepipeline::JobId;

/// What identifies the request of a caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RequestIdentity {
    /// Equal for a retry, different for every other request.
    event: String,
    /// The key by which the caller itself recognizes a repetition. Its age is checked.
    idempotency_key: Option<String>,
    /// What the caller references begin with.
    label: Option<String>,
}

impl RequestIdentity {
    /// Returns the identity of a pipeline action by the first of its jobs.
    pub fn of_job(first_job: &JobId, label: Option<&str>) -> Self {
        Self {
            event: format!("codepipeline {first_job}"),
            idempotency_key: None,
            label: label.map(str::to_owned),
        }
    }

    /// Returns the identity of a direct invocation: the key of the caller, or else the request id, which Lambda repeats when
    /// it retries an asynchronous invocation.
    pub fn of_invocation(
        idempotency_key: Option<&str>,
        request_id: &str,
        label: Option<&str>,
    ) -> Self {
        Self {
            event: match idempotency_key {
                Some(key) => format!("direct key {key}"),
                None => format!("direct request {request_id}"),
            },
            idempotency_key: idempotency_key.map(str::to_owned),
            label: label.map(str::to_owned),
        }
    }

    /// Returns the identity of a slash command: the id that Slack made for it, which a repeated request has again.
    pub fn of_command(trigger_id: &str) -> Self {
        Self {
            event: format!("slack {trigger_id}"),
            idempotency_key: None,
            label: None,
        }
    }

    /// Plans the invalidation of paths on a distribution.
    pub fn batch(
        &self,
        distribution: DistributionId,
        paths: Vec<InvalidationPath>,
        limits: Limits,
    ) -> Batch {
        let mut batch = Batch::new(&self.event, distribution, paths, limits);
        if let Some(label) = &self.label {
            batch = batch.with_label(label);
        }
        match &self.idempotency_key {
            Some(key) => batch.with_idempotency_key(key),
            None => batch,
        }
    }
}
