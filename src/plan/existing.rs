//! `ExistingInvalidation`: an invalidation that CloudFront has already. `ExistingPaths`: which changes those of a
//! distribution cover.
//!
//! An invalidation created at T covers every change before T of the paths that it holds, so such a change needs no
//! other. A burst of events then costs few invalidations, and the `/*` of a pipeline covers the notifications of its
//! own deploy. S3 dates the change and CloudFront the invalidation, so "before" allows for [`CLOCK_MARGIN`].

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::path::{InvalidationPath, PathIndex, SubmittedPath};

/// How far the clocks of S3 and CloudFront may differ. AWS documents no bound; its clocks are kept much closer.
pub const CLOCK_MARGIN: TimeDelta = TimeDelta::seconds(5);

/// The id that CloudFront gives an invalidation, such as `I3K9EXAMPLE`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InvalidationId(String);

impl InvalidationId {
    /// Takes an id that CloudFront returned or that a user copied from it.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// Returns the id as CloudFront writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InvalidationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether every edge has dropped its copies, in CloudFront's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum InvalidationStatus {
    /// Not yet.
    InProgress,
    /// Yes.
    Completed,
}

impl InvalidationStatus {
    /// Returns CloudFront's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "InProgress",
            Self::Completed => "Completed",
        }
    }
}

/// An invalidation as GetInvalidation or CreateInvalidation returns it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExistingInvalidation {
    /// Its id.
    pub id: InvalidationId,
    /// When CloudFront created it, by CloudFront's clock.
    pub created: DateTime<Utc>,
    /// Its status at the time when it was read.
    pub status: InvalidationStatus,
    /// Its caller reference.
    #[serde(rename = "reference")]
    pub caller_reference: String,
    /// What it invalidates.
    pub paths: Vec<SubmittedPath>,
}

impl ExistingInvalidation {
    /// Returns whether it was still in progress when it was read.
    pub fn is_in_progress(&self) -> bool {
        self.status == InvalidationStatus::InProgress
    }

    /// Returns whether it was created after a change at `time`, even if the clocks differ by [`CLOCK_MARGIN`].
    pub fn is_newer_than(&self, time: DateTime<Utc>) -> bool {
        time.checked_add_signed(CLOCK_MARGIN)
            .is_some_and(|time| self.created > time)
    }

    /// Returns whether it invalidates everything that the paths invalidate.
    pub fn covers_all(&self, paths: &[InvalidationPath]) -> bool {
        let index = PathIndex::new(self.paths.iter().map(|path| (path.as_str(), ())));
        let is_covered = |path: &InvalidationPath| index.greatest_covering(path.as_str()).is_some();
        paths.iter().all(is_covered)
    }
}

/// The invalidations of a distribution, indexed by their paths.
#[derive(Clone, Debug)]
pub struct ExistingPaths<'a> {
    existing: &'a [ExistingInvalidation],
    /// By path: when the newest invalidation of the path was created, and its index.
    newest: PathIndex<'a, (DateTime<Utc>, usize)>,
}

impl<'a> ExistingPaths<'a> {
    /// Creates the index of all paths, in any order of the invalidations.
    pub fn new(existing: &'a [ExistingInvalidation]) -> Self {
        let paths = existing
            .iter()
            .enumerate()
            .flat_map(|(index, invalidation)| {
                let newest = (invalidation.created, index);
                let paths = invalidation.paths.iter();
                paths.map(move |path| (path.as_str(), newest))
            });
        Self {
            existing,
            newest: PathIndex::new(paths),
        }
    }

    /// Returns the newest of the invalidations that together cover a change of `paths` at `time`, or `None` if they leave
    /// one of the paths out.
    pub fn newest_covering(
        &self,
        time: DateTime<Utc>,
        paths: &[InvalidationPath],
    ) -> Option<&'a ExistingInvalidation> {
        // If the newest that covers a path is not newer than the change, no other is.
        let covering = paths.iter().map(|path| {
            let (created, index) = self.newest.greatest_covering(path.as_str())?;
            let invalidation = self.existing.get(index)?;
            invalidation
                .is_newer_than(time)
                .then_some((created, invalidation))
        });
        let covering: Option<Vec<_>> = covering.collect();
        let newest = covering?.into_iter().max_by_key(|(created, _)| *created);
        newest.map(|(_, invalidation)| invalidation)
    }
}

#[cfg(test)]
mod tests;
