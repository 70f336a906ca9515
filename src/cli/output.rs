//! `CreateOutput`: the JSON object of `create` and `plan`. New versions add fields and do not change present ones.
//!
//! Documentation: `docs/command-line.md`

use serde::Serialize;

use super::Exit;
use super::selection::PlannedBatch;
use crate::distribution::DistributionId;
use crate::error::{Audience, Category, Error};
use crate::path::InvalidationPath;
use crate::plan::{InvalidationStatus, Merged};

/// The result of `create` or `plan`.
#[derive(Clone, Debug, Serialize)]
pub(super) struct CreateOutput {
    /// The paths of all distributions, each once, sorted.
    pub paths: Vec<InvalidationPath>,
    /// How many paths CloudFront accepted: the sum over the distributions. 0 if nothing new was sent.
    pub path_count: usize,
    /// How many paths are planned: the sum over the distributions.
    pub planned_path_count: usize,
    /// Whether nothing was sent, because of `plan` or `--dry-run`.
    pub dry_run: bool,
    pub distributions: Vec<DistributionOutput>,
    pub warnings: Vec<String>,
    pub exit_code: u8,
}

/// The result for one distribution.
#[derive(Clone, Debug, Serialize)]
pub(super) struct DistributionOutput {
    pub distribution: Option<DistributionId>,
    pub paths: Vec<InvalidationPath>,
    /// How many distinct paths the plan was made from.
    pub from: usize,
    pub merged: Vec<Merged>,
    /// How many changed objects there are; `None` if paths were requested.
    pub objects: Option<usize>,
    /// How many unchanged objects lose their cached copy too, if the site's objects are known.
    pub unchanged: Option<usize>,
    pub notes: Vec<String>,
    pub reference: Option<String>,
    /// Whether an earlier request of the user created the invalidation, and nothing new was sent.
    pub reused: bool,
    pub invalidation: Option<String>,
    pub status: Option<String>,
    /// How long it took to complete, with `--wait`.
    pub seconds: Option<u64>,
    /// What happened to each path, with `--takedown`; else empty.
    pub takedown: Vec<TakedownOutput>,
    pub failure: Option<ErrorOutput>,
    /// How many paths CloudFront accepted.
    #[serde(skip)]
    pub accepted: usize,
}

/// What happened to a path of `--takedown`.
#[derive(Clone, Debug, Serialize)]
pub(super) struct TakedownOutput {
    /// As the user wrote it; a key has a leading slash.
    pub path: String,
    /// What is invalidated for it.
    pub paths: Vec<InvalidationPath>,
    /// The ids of the invalidations that have these paths.
    pub ids: Vec<String>,
    /// `None` if not all of the paths were sent.
    pub status: Option<InvalidationStatus>,
}

/// An error in JSON.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ErrorOutput {
    pub cause: &'static str,
    pub message: String,
}

impl ErrorOutput {
    pub(super) fn new(category: Category, message: String) -> Self {
        let cause = category.as_str();
        Self { cause, message }
    }

    pub(super) fn from_error(error: &Error, audience: &Audience) -> Self {
        Self::new(error.category(), error.message(audience))
    }
}

impl CreateOutput {
    pub(super) fn new(
        distributions: Vec<DistributionOutput>,
        warnings: Vec<String>,
        dry_run: bool,
        exit: Exit,
    ) -> Self {
        let paths = distributions.iter().flat_map(|output| &output.paths);
        let mut paths: Vec<_> = paths.cloned().collect();
        let planned_path_count = paths.len();
        let accepted = distributions.iter().map(|output| output.accepted);
        let path_count = accepted.sum();
        paths.sort_unstable();
        paths.dedup();
        Self {
            paths,
            path_count,
            planned_path_count,
            dry_run,
            distributions,
            warnings,
            exit_code: exit as u8,
        }
    }
}

impl From<&PlannedBatch> for DistributionOutput {
    fn from(planned: &PlannedBatch) -> Self {
        let PlannedBatch {
            distribution,
            plan,
            objects,
            notes,
            ..
        } = planned;
        Self {
            distribution: distribution.clone(),
            paths: plan.paths.clone(),
            from: plan.from,
            merged: plan.merged.clone(),
            objects: *objects,
            unchanged: plan.unchanged,
            notes: notes.clone(),
            reference: None,
            reused: false,
            invalidation: None,
            status: None,
            seconds: None,
            takedown: Vec::new(),
            failure: None,
            accepted: 0,
        }
    }
}
