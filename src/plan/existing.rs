//! `Earlier`: invalidations that exist already, and what they spare.
//!
//! An invalidation created at T makes every change before T fresh for the paths that it covers, so a change that a newer
//! one covers needs no other: a burst of events costs few invalidations, and the `/*` of a pipeline silences the
//! notifications of its deploy. S3 dates the change and CloudFront the invalidation; "newer" allows for their clocks.
//!
//! The same invalidations, while in progress, take up quotas.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Limits, MAX_FILES_IN_FLIGHT, MAX_WILDCARDS_IN_FLIGHT};
use crate::path::InvalidationPath;

/// How far the clocks of S3 and CloudFront may differ. AWS promises nothing; its clocks are kept within much less.
pub const CLOCK_MARGIN: TimeDelta = TimeDelta::seconds(5);

/// How long the oldest message of a batch may have waited before the queue counts as a backlog.
const MAX_WAIT: TimeDelta = TimeDelta::minutes(15);

/// An invalidation that CloudFront has taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Earlier {
    /// Its id.
    pub id: String,
    /// When CloudFront created it, by its own clock.
    pub created: DateTime<Utc>,
    /// Whether it takes up quotas still.
    pub in_progress: bool,
    /// What it covers.
    pub paths: Vec<InvalidationPath>,
}

impl Earlier {
    /// Tells whether it makes everything before `time` fresh, for the paths that it covers.
    pub fn is_newer_than(&self, time: DateTime<Utc>) -> bool {
        time.checked_add_signed(CLOCK_MARGIN)
            .is_some_and(|time| self.created > time)
    }

    fn covers(&self, path: &InvalidationPath) -> bool {
        self.paths.iter().any(|wide| wide.covers(path))
    }
}

/// Returns an invalidation since which a change at `time` is fresh under all `paths`, where there is one for each.
pub fn fresh_since<'a>(
    earlier: &'a [Earlier],
    time: DateTime<Utc>,
    paths: &[InvalidationPath],
) -> Option<&'a Earlier> {
    let newer = |path| {
        earlier
            .iter()
            .find(|one| one.is_newer_than(time) && one.covers(path))
    };
    let needed: Option<Vec<_>> = paths.iter().map(newer).collect();
    needed?.into_iter().max_by_key(|one| one.created)
}

impl Limits {
    /// One path, a wildcard if need be: for a backlog that must drain.
    pub const ONE: Self = Self {
        paths: 1,
        wildcards: 1,
    };

    /// Returns these limits, or [`Limits::ONE`] where changes have waited so long that the backlog must drain.
    pub fn after_waiting(self, oldest: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Self {
        let waited = oldest.is_some_and(|oldest| now.signed_duration_since(oldest) > MAX_WAIT);
        if waited { Self::ONE } else { self }
    }

    /// Returns what of these limits the quotas leave: maybe no wildcard, but never less than one path.
    pub fn left_by(self, earlier: &[Earlier]) -> Self {
        let in_progress = earlier
            .iter()
            .filter(|one| one.in_progress)
            .flat_map(|one| &one.paths);
        let (wildcards, files): (Vec<_>, Vec<_>) = in_progress.partition(|path| path.is_wildcard());
        let wildcards = MAX_WILDCARDS_IN_FLIGHT.saturating_sub(wildcards.len());
        let files = MAX_FILES_IN_FLIGHT.saturating_sub(files.len());
        Self {
            paths: self.paths.min(files + wildcards).max(1),
            wildcards: self.wildcards.min(wildcards),
        }
    }
}

#[cfg(test)]
mod tests;
