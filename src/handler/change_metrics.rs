//! `ChangeMetrics`: how many changed objects were handled, how many paths that saved, and how long it took.
//!
//! The paths are compared with one invalidation for each changed object and distribution. An object that needs no path
//! saves one; an object that an earlier invalidation covers saves all of its paths. What belongs to a single
//! invalidation, such as `Metric::Paths`, is counted where it is sent (`Invalidator::submit`).
//!
//! The rule: a change that failed on a distribution counts when its retry succeeds.

use std::collections::{BTreeMap, HashMap};
use std::mem;

use chrono::{DateTime, TimeDelta, Utc};

use super::object_changes::PendingChange;
use crate::distribution::DistributionId;
use crate::error::Error;
use crate::invocation::Invocation;
use crate::metrics::Metric;
use crate::outcome::BatchReport;

/// The longest lag that is recorded. A queue keeps a message for 14 days at most, so a much older change has an invented time,
/// such as the year 1970 in the samples of Lambda's console.
const MAX_LAG: TimeDelta = TimeDelta::days(60);

/// The changes of an event or a request, and which of them are of the same object.
pub(super) struct ChangesOfObjects<'a> {
    changes: &'a [PendingChange<'a>],
    /// For each change, by its index: the index of the first change of its object.
    first_changes: Vec<usize>,
}

impl<'a> ChangesOfObjects<'a> {
    pub(super) fn new(changes: &'a [PendingChange<'a>]) -> Self {
        let mut first_changes = HashMap::with_capacity(changes.len());
        let first_change = |(index, pending): (usize, &'a PendingChange<'a>)| {
            let object = (pending.change.bucket.as_str(), pending.change.key.as_str());
            *first_changes.entry(object).or_insert(index)
        };
        let first_changes = changes.iter().enumerate().map(first_change).collect();
        Self {
            changes,
            first_changes,
        }
    }

    /// Returns the change with this index.
    pub(super) fn get(&self, index: usize) -> Option<&'a PendingChange<'a>> {
        self.changes.get(index)
    }

    /// Counts the objects of the changes with these indices, each once.
    pub(super) fn count_objects(&self, changes: impl IntoIterator<Item = usize>) -> usize {
        let mut is_counted = vec![false; self.first_changes.len()];
        let is_new = |index: &usize| {
            let first_change = self.first_changes.get(*index);
            let is_counted = first_change.and_then(|index| is_counted.get_mut(*index));
            is_counted.is_some_and(|is_counted| !mem::replace(is_counted, true))
        };
        changes.into_iter().filter(is_new).count()
    }
}

/// The changes of one distribution that save paths, or need them.
pub(super) struct ChangeMetrics<'a> {
    changes: &'a ChangesOfObjects<'a>,
    /// How many objects need no path, because their copies stay valid.
    kept: usize,
    /// For each of the other changes, by its index: how many paths an invalidation of its own would have.
    needed: Vec<(usize, usize)>,
}

impl<'a> ChangeMetrics<'a> {
    pub(super) fn new(changes: &'a ChangesOfObjects<'a>, kept: usize) -> Self {
        Self {
            changes,
            kept,
            needed: Vec::new(),
        }
    }

    /// Adds changes by their index, each with how many paths an invalidation of its own would have.
    pub(super) fn add(&mut self, needed: impl IntoIterator<Item = (usize, usize)>) {
        self.needed.extend(needed);
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
        let objects = self.changes.count_objects(done.map(|(index, _)| *index));
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
    changes: &ChangesOfObjects<'_>,
    failed: &BTreeMap<usize, Error>,
    invocation: &Invocation,
) {
    let done = (0..changes.changes.len()).filter(|index| !failed.contains_key(index));
    let objects = changes.count_objects(done);
    if objects > 0 {
        invocation
            .metrics
            .count_total(Metric::ObjectsChanged, objects);
    }
}
