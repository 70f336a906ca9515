//! Invalidates changed objects: finds the distributions that serve them, skips what is covered already, submits the rest.
//!
//! An [`ObjectChange`] of the event is a [`PendingChange`]. On each distribution it becomes a [`CachedObject`] with the
//! paths under which it may be cached, and then a [`StaleObject`] to submit. Each change ends in one of five ways: no
//! viewer can have a copy, the copies stay valid, a newer invalidation covers it, CloudFront accepted an invalidation that
//! covers it, or it failed. Only a change that failed is retried.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::join_all;
use tokio::time::timeout_at;
use tracing::{info, warn};

use super::affected::Affected;
use super::budget::{DailyBudget, note_of_repetition};
use super::change_metrics::{ChangeMetrics, ChangesOfObjects, count_objects};
use super::identity::RequestIdentity;
use super::turns::{Place, Turns};
use super::{BatchRequest, Invalidator};
use crate::distribution::DistributionId;
use crate::error::{Category, Error, ErrorKind};
use crate::invocation::Invocation;
use crate::metrics::Metric;
use crate::outcome::{BatchReport, Outcome, UnaffectedDistribution};
use crate::path::{InvalidationPath, PathIndex};
use crate::plan::collapse::collapse;
use crate::plan::{Batch, ExistingInvalidation, ExistingPaths, InvalidationId, Limits};
use crate::site::{CachedObject, DistributionChanges, Hint, KeptObjects};
use crate::trigger::s3::{self, ObjectChange};

/// How long listing existing invalidations may take: it is an optimization, so its time is capped.
const MAX_LISTING_TIME: Duration = Duration::from_secs(3);

/// After this many calls, a batch that CloudFront rejects is no longer halved.
const MAX_ISOLATION_CALLS: usize = 12;

/// A change to invalidate.
pub(super) struct PendingChange<'a> {
    pub(super) change: &'a ObjectChange,
    /// When its message was sent to the queue; `None` without a queue.
    pub(super) sent: Option<DateTime<Utc>>,
    /// Whether its message was received before, so that distributions can have its invalidation already.
    pub(super) is_retried: bool,
}

/// How changes are invalidated.
#[derive(Clone, Copy)]
pub(super) struct ChangeOptions<'a> {
    /// The distributions that possibly have the objects. Empty: all that have a bucket as an origin.
    pub(super) distributions: &'a [DistributionId],
    /// Who requested it. `None`: nobody, the changes are those of events.
    pub(super) requester: Option<&'a RequestIdentity>,
}

/// What limits the invalidations of changes on a distribution.
#[derive(Clone, Copy)]
struct ChangeLimits<'a> {
    /// The limits of each.
    limits: Limits,
    /// Its place among the distributions that CloudFront throttles; `None` if the batch is sent only once.
    place: Option<Place<'a>>,
    /// The limit of a day; `None` without a budget, or if it is unknown what is left of it.
    budget: Option<&'a DailyBudget>,
}

/// What happened to changes.
#[derive(Default)]
pub(super) struct ChangeResults {
    pub(super) outcome: Outcome,
    /// The changes to retry, by their index.
    pub(super) failed: BTreeMap<usize, Error>,
    /// What was requested to be invalidated, by distribution: the paths before they became fewer. Empty for events.
    pub(super) requested: BTreeMap<DistributionId, Vec<InvalidationPath>>,
}

impl Invalidator {
    /// Invalidates what viewers may have cached of the changed objects, on every distribution that serves them.
    pub(super) async fn invalidate_changes(
        &self,
        changes: &[PendingChange<'_>],
        options: ChangeOptions<'_>,
        invocation: &Invocation,
    ) -> Result<ChangeResults, Error> {
        let mut results = ChangeResults::default();
        if changes.is_empty() {
            return Ok(results);
        }
        let settings = self.settings()?;
        let Affected {
            changes: by_distribution,
            mut existing,
            used_today,
            failed,
        } = self.find_affected(changes, options, invocation).await?;
        results.failed = failed;
        let budget = DailyBudget::new(settings.daily_path_budget, used_today);
        // Without the queue, nothing limits how many invocations would wait and occupy the account's concurrency.
        let can_wait =
            options.requester.is_none() && changes.iter().all(|pending| pending.sent.is_some());
        let changes = &ChangesOfObjects::new(changes);
        let turns = Turns::default();
        let limits = |position| ChangeLimits {
            limits: settings.limits,
            place: can_wait.then(|| turns.place(position)),
            budget: budget.as_ref(),
        };
        let invalidate = |(position, distribution_changes): (usize, DistributionChanges)| {
            let existing = existing.remove(&distribution_changes.distribution);
            self.invalidate_distribution(
                distribution_changes,
                existing,
                changes,
                limits(position),
                options,
                invocation,
            )
        };
        let mut by_distribution: Vec<_> = by_distribution.into_iter().collect();
        // CloudFront accepts the first calls of a burst and throttles the others. In a fixed order, the changes of the last
        // distributions would fail in each receive.
        by_distribution
            .sort_by_cached_key(|distribution_changes| oldest(distribution_changes, changes));
        let invalidated: Vec<_> = by_distribution
            .into_iter()
            .enumerate()
            .map(invalidate)
            .collect();
        for result in join_all(invalidated).await {
            results.outcome.reports.extend(result.outcome.reports);
            results.outcome.unaffected.extend(result.outcome.unaffected);
            results.requested.extend(result.requested);
            for (index, error) in result.failed {
                results.failed.entry(index).or_insert(error);
            }
        }
        count_objects(changes, &results.failed, invocation);
        Ok(results)
    }

    /// Invalidates the changes of one distribution, except those that are covered already. `existing` are its recent
    /// invalidations, if they were read already.
    async fn invalidate_distribution(
        &self,
        distribution_changes: DistributionChanges,
        existing: Option<Vec<ExistingInvalidation>>,
        changes: &ChangesOfObjects<'_>,
        limits: ChangeLimits<'_>,
        options: ChangeOptions<'_>,
        invocation: &Invocation,
    ) -> ChangeResults {
        let ChangeLimits {
            limits,
            place,
            budget,
        } = limits;
        let mut notes = distribution_changes.notes();
        let hint = distribution_changes.hint();
        let DistributionChanges {
            distribution,
            cached,
            kept,
            ..
        } = distribution_changes;
        let mut stale: Vec<_> = cached
            .into_iter()
            .filter_map(|object| StaleObject::new(object, changes, self.clock.now().into()))
            .collect();
        let mut metrics = ChangeMetrics::new(changes, kept.count());
        metrics.add(needed_paths(&stale, false));
        let (existing, remaining) = match options.requester {
            // A request is always sent, because only its sender knows when the objects changed, and always with the same
            // plan: a repetition with another one would be billed again.
            Some(_) => (Vec::new(), limits),
            None => {
                let (existing, note) = self
                    .skip_covered(&mut stale, existing, &distribution, invocation)
                    .await;
                notes.extend(note);
                let remaining = limits.remaining(&existing);
                (existing, remaining)
            }
        };
        // An earlier attempt has most likely sent and counted the invalidations that cover the other changes of messages
        // that were received before, so they save nothing.
        metrics.add(needed_paths(&stale, true));
        if stale.is_empty() {
            metrics.record(&distribution, &[], &BTreeMap::new(), invocation);
            let unaffected = UnaffectedDistribution {
                distribution,
                notes,
            };
            info!("{unaffected}");
            let mut results = ChangeResults::default();
            results.outcome.unaffected.push(unaffected);
            return results;
        }
        let planner = BatchPlanner {
            changes,
            distribution: &distribution,
            requester: options.requester,
            place,
            existing: &existing,
            budget,
            notes: ChangeNotes { notes, kept, hint },
        };
        let mut requested = BTreeMap::new();
        if options.requester.is_some() {
            requested.insert(distribution.clone(), paths_of(&stale).collect());
        }
        let submitted: Vec<_> = stale.iter().map(|object| object.index).collect();
        let results = self
            .submit_within_quota(&planner, stale, remaining, invocation)
            .await;
        let ChangeResults {
            outcome, failed, ..
        } = &results;
        metrics.record(&distribution, &outcome.reports, failed, invocation);
        let accepted = outcome.reports.iter();
        let accepted = accepted.filter_map(|report| report.result.as_ref().ok()?.as_ref());
        let created = accepted.filter_map(|id| self.warm_state.creation_time(&distribution, id));
        // The times of requested objects are those of the request.
        if let Some(created) = created.max().filter(|_| options.requester.is_none()) {
            let submitted = submitted.into_iter();
            let submitted = submitted.filter(|index| !failed.contains_key(index));
            metrics.record_lag(&distribution, submitted, created, invocation);
        }
        ChangeResults {
            requested,
            ..results
        }
    }

    /// Removes the objects that newer invalidations cover. Returns the recent invalidations, and a note about what was removed.
    async fn skip_covered(
        &self,
        stale: &mut Vec<StaleObject<'_>>,
        existing: Option<Vec<ExistingInvalidation>>,
        distribution: &DistributionId,
        invocation: &Invocation,
    ) -> (Vec<ExistingInvalidation>, Option<String>) {
        let mut skipped = Skipped::default();
        let known = self.warm_state.invalidations(distribution);
        let known_paths = ExistingPaths::new(&known);
        stale.retain(|object| !skipped.skips(object, &known_paths));
        let oldest = stale.iter().map(|object| object.pending.change.time).min();
        let existing = match (existing, oldest) {
            (Some(existing), _) => existing,
            (None, Some(oldest)) => {
                self.list_recent(distribution, oldest, &known, invocation)
                    .await
            }
            (None, None) => Vec::new(),
        };
        let existing_paths = ExistingPaths::new(&existing);
        stale.retain(|object| !skipped.skips(object, &existing_paths));
        (existing, skipped.note())
    }

    /// Submits the objects within the limits that the quotas leave. If no wildcard is left, those that need one fail.
    async fn submit_within_quota(
        &self,
        planner: &BatchPlanner<'_>,
        stale: Vec<StaleObject<'_>>,
        remaining: Limits,
        invocation: &Invocation,
    ) -> ChangeResults {
        // Messages that cannot be read or are covered already are no backlog, however old they are.
        let oldest = stale.iter().filter_map(|object| object.pending.sent).min();
        let limits = remaining.for_backlog(oldest, self.clock.now().into());
        let all = planner.plan(&stale, limits);
        // `collapse` counts a limit of 0 wildcards as 1, so its result is checked against the quota.
        if all.batch.fits_wildcards(remaining) {
            let all = planner.within_budget(all, &stale, limits, remaining);
            return self.submit_objects(all, &stale, invocation).await;
        }
        // No wildcard is left. The objects that need none are submitted if their paths fit the limits without one.
        let (files, mut retried): (Vec<_>, Vec<_>) = stale
            .into_iter()
            .partition(|object| !object.needs_wildcard());
        let only_files = planner.plan(&files, limits);
        let mut results = ChangeResults::default();
        if !files.is_empty() && only_files.batch.fits_wildcards(remaining) {
            let only_files = planner.within_budget(only_files, &files, limits, remaining);
            results = self.submit_objects(only_files, &files, invocation).await;
        } else {
            retried.extend(files);
        }
        (invocation.metrics).count(Metric::Throttled, 1, planner.distribution);
        let error = Error::from(ErrorKind::NoWildcardLeft(planner.distribution.clone()));
        let retried = retried.iter().map(|object| (object.index, error.clone()));
        results.failed.extend(retried);
        results
    }

    async fn submit_objects(
        &self,
        request: BatchRequest<'_>,
        objects: &[StaleObject<'_>],
        invocation: &Invocation,
    ) -> ChangeResults {
        let reports = self
            .submit_isolating_rejected_paths(request, invocation)
            .await;
        let failed = failed_objects(objects, &reports);
        let outcome = Outcome {
            reports,
            ..Outcome::default()
        };
        ChangeResults {
            outcome,
            failed,
            ..ChangeResults::default()
        }
    }

    /// Lists the invalidations that are newer than the `oldest` change, or in progress. Returns none if they cannot be
    /// listed: more is then invalidated than needed.
    pub(super) async fn list_recent(
        &self,
        distribution: &DistributionId,
        oldest: DateTime<Utc>,
        known: &[ExistingInvalidation],
        invocation: &Invocation,
    ) -> Vec<ExistingInvalidation> {
        const CONSEQUENCE: &str = "cannot skip changes that are already covered";
        let now = self.clock.now();
        if !self.warm_state.can_list(distribution, now) {
            return Vec::new();
        }
        let deadline = invocation.end_of_read(MAX_LISTING_TIME);
        let cloudfront = self.cloudfront(invocation);
        let list = cloudfront.recent_invalidations(distribution, oldest, known);
        match timeout_at(deadline, list).await {
            Ok(Ok(existing)) => return existing,
            Ok(Err(error)) if error.is_access_denied() => {
                self.warm_state.set_listing_denied(distribution, now);
                warn!("{CONSEQUENCE}: {error}");
            }
            Ok(Err(error)) => info!("{CONSEQUENCE} this time: {error}"),
            Err(_elapsed) => {
                info!("{CONSEQUENCE} this time: listing the invalidations takes too long");
            }
        }
        Vec::new()
    }

    /// Submits a batch. If CloudFront rejects a path, halves the batch until that path is alone and the rest accepted.
    /// The notes are in the first report of an accepted batch, or in the last report if none is accepted.
    async fn submit_isolating_rejected_paths(
        &self,
        mut request: BatchRequest<'_>,
        invocation: &Invocation,
    ) -> Vec<BatchReport> {
        let (place, buckets) = (request.place, request.buckets.clone());
        let mut reports = Vec::new();
        let mut pending = Vec::new();
        for calls in 1.. {
            let mut report = self.submit(request, invocation).await;
            let is_rejected = report
                .result
                .as_ref()
                .is_err_and(|error| error.category() == Category::RejectedPath);
            let halves =
                (report.batch.halves()).filter(|_| is_rejected && calls < MAX_ISOLATION_CALLS);
            let is_halved = halves.is_some();
            pending.extend(halves.into_iter().flatten());
            let next = pending.pop();
            // The text of a failed report has no notes.
            let notes = if report.result.is_err() && next.is_some() {
                mem::take(&mut report.notes)
            } else {
                Vec::new()
            };
            if !is_halved {
                reports.push(report);
            }
            let Some(batch) = next else { break };
            request = BatchRequest {
                place,
                notes,
                buckets: buckets.clone(),
                ..BatchRequest::from(batch)
            };
        }
        reports
    }
}

/// Returns the time of the oldest change of a distribution.
fn oldest(
    distribution_changes: &DistributionChanges,
    changes: &ChangesOfObjects<'_>,
) -> Option<DateTime<Utc>> {
    let cached = distribution_changes.cached.iter();
    let times = cached.filter_map(|object| Some(changes.get(object.index)?.change.time));
    times.min()
}

/// A changed object that no invalidation covers yet.
struct StaleObject<'a> {
    /// The index of its change.
    index: usize,
    pending: &'a PendingChange<'a>,
    /// An invalidation that was created after this time covers the change.
    changed: DateTime<Utc>,
    paths: Vec<InvalidationPath>,
}

impl<'a> StaleObject<'a> {
    fn new(
        object: CachedObject,
        changes: &'a ChangesOfObjects<'a>,
        now: DateTime<Utc>,
    ) -> Option<Self> {
        let pending = changes.get(object.index)?;
        let time = pending.change.time;
        let changed = if object.has_failover {
            // After the invalidation for one bucket, CloudFront can get the old object from the other one. The replica's
            // event is sent when it is written; whether it has that time or the original's is not documented.
            time.max(pending.sent.unwrap_or(now))
        } else {
            time
        };
        Some(Self {
            index: object.index,
            pending,
            changed,
            paths: object.paths,
        })
    }

    fn needs_wildcard(&self) -> bool {
        self.paths.iter().any(InvalidationPath::is_wildcard)
    }
}

/// The objects that were skipped because newer invalidations cover them.
#[derive(Default)]
struct Skipped {
    count: usize,
    newest: Option<(DateTime<Utc>, InvalidationId)>,
}

impl Skipped {
    /// Returns whether the invalidations cover the object's change, and counts it.
    fn skips(&mut self, object: &StaleObject<'_>, existing: &ExistingPaths<'_>) -> bool {
        let Some(newest) = existing.newest_covering(object.changed, &object.paths) else {
            return false;
        };
        self.count += 1;
        let newest = Some((newest.created, newest.id.clone()));
        self.newest = self.newest.take().max(newest);
        true
    }

    fn note(self) -> Option<String> {
        let (_, id) = self.newest?;
        Some(format!("{} already covered by {id}", self.count))
    }
}

/// What a report notes about the changes of a distribution.
struct ChangeNotes {
    /// The notes that do not depend on the paths that are sent.
    notes: Vec<String>,
    kept: KeptObjects,
    hint: Option<Hint>,
}

impl ChangeNotes {
    /// Returns the notes for a batch that was planned for the objects within the limits.
    fn of_batch(&self, batch: &Batch, objects: &[StaleObject<'_>], limits: Limits) -> Vec<String> {
        let hint = self.hint.as_ref().and_then(|hint| {
            let others = objects.iter().filter(|object| !hint.covers(object.index));
            let others = collapse(paths_of(others).collect(), None, limits);
            hint.note(batch.paths().len(), others.paths.len())
        });
        let dropped = self.kept.dropped_note(batch.paths());
        let notes = self.notes.iter().cloned();
        notes.chain(dropped).chain(hint).collect()
    }
}

/// Returns how many paths an invalidation of its own would have for each change, by its index: for the changes whose
/// message was received before, or for the others.
fn needed_paths(
    objects: &[StaleObject<'_>],
    is_retried: bool,
) -> impl Iterator<Item = (usize, usize)> {
    let objects = objects.iter();
    let objects = objects.filter(move |object| object.pending.is_retried == is_retried);
    objects.map(|object| (object.index, object.paths.len()))
}

/// Returns the paths of the objects.
fn paths_of<'a>(
    objects: impl IntoIterator<Item = &'a StaleObject<'a>>,
) -> impl Iterator<Item = InvalidationPath> {
    let objects = objects.into_iter();
    objects.flat_map(|object| object.paths.iter().cloned())
}

/// Plans the batches of a distribution.
struct BatchPlanner<'a> {
    changes: &'a ChangesOfObjects<'a>,
    distribution: &'a DistributionId,
    requester: Option<&'a RequestIdentity>,
    place: Option<Place<'a>>,
    /// Its recent invalidations.
    existing: &'a [ExistingInvalidation],
    budget: Option<&'a DailyBudget>,
    notes: ChangeNotes,
}

impl<'a> BatchPlanner<'a> {
    fn plan(&self, objects: &[StaleObject<'_>], limits: Limits) -> BatchRequest<'a> {
        let changes = || objects.iter().map(|object| object.pending.change);
        let (distribution, paths) = (self.distribution.clone(), paths_of(objects).collect());
        let batch = match self.requester {
            Some(requester) => requester.batch(distribution, paths, limits),
            None => {
                let event = s3::event_identity(changes());
                Batch::new(&event, distribution, paths, limits)
            }
        };
        let buckets: BTreeSet<_> = changes().map(|change| &change.bucket).collect();
        BatchRequest {
            place: self.place,
            objects: Some(
                self.changes
                    .count_objects(objects.iter().map(|object| object.index)),
            ),
            buckets: buckets.into_iter().cloned().collect(),
            notes: self.notes.of_batch(&batch, objects, limits),
            batch,
        }
    }

    /// Plans the batch again with fewer paths if the daily budget leaves fewer. It stays as it is if that needs more wildcards
    /// than `remaining` leaves.
    fn within_budget(
        &self,
        request: BatchRequest<'a>,
        objects: &[StaleObject<'_>],
        limits: Limits,
        remaining: Limits,
    ) -> BatchRequest<'a> {
        let Some(budget) = self.budget else {
            return request;
        };
        let needed = request.batch.paths().len();
        let reference = request.batch.reference().as_str();
        let mut existing = self.existing.iter();
        let earlier = existing.find(|invalidation| invalidation.caller_reference == reference);
        let fewer = match earlier {
            // CloudFront has accepted an earlier attempt, and does not bill it again.
            Some(earlier) => Some(earlier.paths.len()).filter(|paths| *paths < needed),
            None => budget.left_for(needed),
        };
        let reduced = fewer.map(|paths| self.plan(objects, Limits { paths, ..limits }));
        let reduced = reduced.filter(|reduced| reduced.batch.fits_wildcards(remaining));
        let reduced = reduced.map(|reduced| {
            let paths = reduced.batch.paths().len();
            let note = match earlier {
                Some(earlier) => note_of_repetition(paths, needed, earlier),
                None => budget.note(paths, needed),
            };
            BatchRequest {
                notes: [vec![note], reduced.notes].concat(),
                batch: reduced.batch.replacing(&request.batch),
                ..reduced
            }
        });
        let request = reduced.unwrap_or(request);
        if earlier.is_none() {
            budget.add(request.batch.paths().len());
        }
        request
    }
}

/// Returns the objects with a path that no accepted batch covers, by the index of their change, with the error.
fn failed_objects(objects: &[StaleObject<'_>], reports: &[BatchReport]) -> BTreeMap<usize, Error> {
    let (accepted, failed): (Vec<_>, Vec<_>) =
        reports.iter().partition(|report| report.result.is_ok());
    if failed.is_empty() {
        return BTreeMap::new();
    }
    let accepted = PathIndex::new(accepted.iter().flat_map(|report| {
        let paths = report.batch.paths().iter();
        paths.map(|path| (path.as_str(), ()))
    }));
    // The first of several failed reports that cover a path has the least index.
    let failed_paths = PathIndex::new(failed.iter().enumerate().flat_map(|(index, report)| {
        let paths = report.batch.paths().iter();
        paths.map(move |path| (path.as_str(), Reverse(index)))
    }));
    let error_of = |path: &InvalidationPath| {
        let index = failed_paths.greatest_covering(path.as_str());
        let Reverse(index) = index.unwrap_or(Reverse(0));
        failed.get(index)?.result.as_ref().err().cloned()
    };
    let failed_object = |object: &StaleObject<'_>| {
        let is_accepted =
            |path: &InvalidationPath| accepted.greatest_covering(path.as_str()).is_some();
        let path = object.paths.iter().find(|path| !is_accepted(path))?;
        Some((object.index, error_of(path)?))
    };
    objects.iter().filter_map(failed_object).collect()
}
