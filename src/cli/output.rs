//! `Answer`: the JSON object of `create` and `plan`. The README documents it; fields are added, never changed.

use serde::Serialize;

use super::Exit;
use super::selection::Planned;
use crate::distribution::DistributionId;
use crate::failure::Failure;
use crate::path::InvalidationPath;
use crate::plan::Merged;

/// What was asked and what came of it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Answer {
    /// Those of all distributions, each once, sorted.
    pub paths: Vec<InvalidationPath>,
    /// How many are billed.
    pub path_count: usize,
    /// Whether anything was sent.
    pub dry_run: bool,
    pub distributions: Vec<Entry>,
    pub warnings: Vec<String>,
    pub exit_code: u8,
}

/// One distribution's part.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Entry {
    pub distribution: Option<DistributionId>,
    pub paths: Vec<InvalidationPath>,
    /// How many distinct paths were asked for.
    pub from: usize,
    pub merged: Vec<Merged>,
    /// How many changed objects it is about.
    pub objects: Option<usize>,
    /// How many unchanged objects lose their copy too, where the site's objects are known.
    pub unchanged: Option<usize>,
    pub notes: Vec<String>,
    pub reference: Option<String>,
    pub invalidation: Option<String>,
    pub status: Option<String>,
    /// How long it took to complete, where it was waited for.
    pub seconds: Option<u64>,
    pub failure: Option<Failure>,
}

impl Answer {
    pub(super) fn new(
        distributions: Vec<Entry>,
        warnings: Vec<String>,
        dry_run: bool,
        exit: Exit,
    ) -> Self {
        let paths = distributions.iter().flat_map(|entry| &entry.paths);
        let mut paths: Vec<_> = paths.cloned().collect();
        let path_count = paths.len();
        paths.sort_unstable();
        paths.dedup();
        Self {
            paths,
            path_count,
            dry_run,
            distributions,
            warnings,
            exit_code: exit as u8,
        }
    }
}

impl From<&Planned> for Entry {
    fn from(planned: &Planned) -> Self {
        let Planned {
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
            invalidation: None,
            status: None,
            seconds: None,
            failure: None,
        }
    }
}
