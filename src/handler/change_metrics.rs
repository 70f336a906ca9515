//! `ChangeMetrics`: how many changed objects were handled, how many paths that saved, and how long it took.
//!
//! The paths are compared with one invalidation for each changed object and distribution. An object that needs no path
//! saves one; an object that an earlier invalidation covers saves all of its paths. What belongs to a single
//! invalidation, such as `Metric::Paths`, is counted where it is sent (`Invalidator::submit`).
//!
//! The rule: a change that failed on a distribution counts when its retry succeeds.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use chrono::{DateTime, TimeDelta, Utc};

use super::object_changes::PendingChange;
use crate::distribution::DistributionId;
use crate::error::Error;
use crate::invocation::Invocation;
use crate::metrics::Metric;
use crate::outcome::BatchReport;
use crate::trigger::s3::ObjectChange;

/// The longest lag that is recorded. A queue keeps a message for 14 days at most, so a much older change has an invented time,
/// such as the year 1970 in the samples of Lambda's console.
const MAX_LAG: TimeDelta = TimeDelta::days(60);

/// The changes of one distribution, before those are left out that need no invalidation.
pub(super) struct ChangeMetrics<'a> {
    changes: &'a [PendingChange<'a>],
    /// How many objects need no path, because their copies stay valid.
    kept: usize,
    /// For each of the other changes, by its index: how many paths an invalidation of its own would have.
    needed: BTreeMap<usize, usize>,
}

impl<'a> ChangeMetrics<'a> {
    pub(super) fn new(
        changes: &'a [PendingChange<'a>],
        kept: usize,
        needed: impl IntoIterator<Item = (usize, usize)>,
    ) -> Self {
        Self {
            changes,
            kept,
            needed: needed.into_iter().collect(),
        }
    }

    /// Leaves out the changes of messages that were received before, except for those that are still to be sent. An earlier
    /// attempt has most likely sent and counted the invalidation that covers them, so they save nothing.
    pub(super) fn leave_out_counted(&mut self, stale: impl IntoIterator<Item = usize>) {
        let stale: BTreeSet<_> = stale.into_iter().collect();
        let changes = self.changes;
        let is_retried = |index: &usize| {
            changes
                .get(*index)
                .is_some_and(|pending| pending.is_retried)
        };
        self.needed
            .retain(|index, _| stale.contains(index) || !is_retried(index));
    }

    /// Counts what happened to the changes that did not fail. A change that failed is counted when a retry succeeds.
    pub(super) fn record(
        &self,
        distribution: &DistributionId,
        reports: &[BatchReport],
        failed: &BTreeMap<usize, Error>,
        invocation: &Invocation,
    ) {
        let done = self
            .needed
            .iter()
            .filter(|(index, _)| !failed.contains_key(index));
        if self.kept == 0 && done.clone().next().is_none() {
            return;
        }
        let needed: usize = done.clone().map(|(_, paths)| paths).sum();
        let accepted = reports.iter().filter(|report| report.result.is_ok());
        let sent: usize = accepted.map(|report| report.batch.paths().len()).sum();
        let saved = (self.kept + needed).saturating_sub(sent);
        let metrics = &invocation.metrics;
        metrics.count(Metric::PathsSaved, saved, distribution);
        let objects = distinct_objects(self.changes, done.map(|(index, _)| *index));
        let objects = self.kept + objects;
        metrics.count_of_distribution(Metric::ObjectsChanged, objects, distribution);
    }

    /// Records how long after the oldest of these changes, which did not fail, its invalidation was created.
    pub(super) fn record_lag(
        &self,
        distribution: &DistributionId,
        submitted: impl IntoIterator<Item = usize>,
        created: DateTime<Utc>,
        invocation: &Invocation,
    ) {
        let submitted = submitted
            .into_iter()
            .filter_map(|index| self.changes.get(index));
        let lags = submitted.map(|pending| created.signed_duration_since(pending.change.time));
        if let Some(lag) = lags.filter(|lag| *lag <= MAX_LAG).max() {
            invocation.metrics.record_lag(lag, distribution);
        }
    }
}

/// Counts the changed objects of an event that did not fail on any distribution.
pub(super) fn count_objects(
    changes: &[PendingChange<'_>],
    failed: &BTreeMap<usize, Error>,
    invocation: &Invocation,
) {
    let done = (0..changes.len()).filter(|index| !failed.contains_key(index));
    let objects = distinct_objects(changes, done);
    if objects > 0 {
        invocation
            .metrics
            .count_total(Metric::ObjectsChanged, objects);
    }
}

fn distinct_objects(
    changes: &[PendingChange<'_>],
    indices: impl IntoIterator<Item = usize>,
) -> usize {
    let changes = indices.into_iter().filter_map(|index| changes.get(index));
    count_distinct(changes.map(|pending| pending.change))
}

/// Counts the objects of changes, each once.
pub(super) fn count_distinct<'a>(changes: impl Iterator<Item = &'a ObjectChange>) -> usize {
    let objects = changes.map(|change| (change.bucket.as_str(), change.key.as_str()));
    objects.collect::<HashSet<_>>().len()
}
