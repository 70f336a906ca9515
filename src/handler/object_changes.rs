//! The way of changed objects: which distributions serve them, what is fresh already, what to send, what failed.
//!
//! Each change ends in one of four ways: no viewer can have a copy, a newer invalidation covers it, CloudFront took an
//! invalidation that covers it, or it failed. Only the last must come again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::join_all;
use tokio::time::{Instant, timeout_at};
use tracing::{info, warn};

use super::{Function, Request};
use crate::aws::Account;
use crate::distribution::DistributionId;
use crate::failure::{Cause, Failure};
use crate::invocation::Invocation;
use crate::outcome::{Outcome, Report, Untouched};
use crate::path::InvalidationPath;
use crate::plan::fresh::{Earlier, fresh_since};
use crate::plan::{Batch, Limits};
use crate::site::{Served, Share, Shares};
use crate::trigger::s3::{self, ObjectChange};

/// How long a look at earlier invalidations may take: it only saves, so it is not worth much waiting.
const MAX_LOOK: Duration = Duration::from_secs(3);

/// How many calls may go into finding the paths of a batch that CloudFront refuses.
const MAX_ISOLATING_CALLS: usize = 12;

/// A change to make fresh.
pub(super) struct Pending<'a> {
    pub(super) change: &'a ObjectChange,
    /// When it was sent to a queue, if it was.
    pub(super) sent: Option<DateTime<Utc>>,
}

/// What became of changed objects.
#[derive(Default)]
pub(super) struct Freshened {
    pub(super) outcome: Outcome,
    /// By the change's place.
    pub(super) failed: BTreeMap<usize, Failure>,
}

impl Function {
    /// Invalidates what viewers can have cached of changed objects, wherever they are served.
    pub(super) async fn freshen(
        &self,
        changes: &[Pending<'_>],
        invocation: &Invocation,
    ) -> Result<Freshened, Failure> {
        let mut freshened = Freshened::default();
        if changes.is_empty() {
            return Ok(freshened);
        }
        let limits = self.settings()?.limits;
        let shares = self
            .shares(changes, &mut freshened.failed, invocation)
            .await?;
        let freshen = |share| self.freshen_distribution(share, changes, limits, invocation);
        for part in join_all(shares.into_iter().map(freshen)).await {
            freshened.outcome.reports.extend(part.outcome.reports);
            freshened.outcome.untouched.extend(part.outcome.untouched);
            for (place, failure) in part.failed {
                freshened.failed.entry(place).or_insert(failure);
            }
        }
        Ok(freshened)
    }

    /// Finds what each distribution must drop; a bucket that none serves fails its changes.
    async fn shares(
        &self,
        changes: &[Pending<'_>],
        failed: &mut BTreeMap<usize, Failure>,
        invocation: &Invocation,
    ) -> Result<Shares, Failure> {
        let settings = self.settings()?;
        let account = Account::of_arn(&invocation.function_arn);
        let mut buckets: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (place, pending) in changes.iter().enumerate() {
            let change = pending.change;
            buckets
                .entry(change.bucket.as_str())
                .or_default()
                .push((place, change));
        }
        let mut shares = Shares::default();
        for (bucket, changes) in buckets {
            let named = &settings.distributions;
            let serving = self
                .distributions
                .serving(bucket, named, self.cloudfront(), &account);
            let (distributions, failures) = serving.await;
            for distribution in &distributions {
                for (place, change) in &changes {
                    shares.add(
                        distribution,
                        (*place, bucket, &change.key),
                        settings.index_documents,
                    );
                }
            }
            if let Some(failure) = Failure::together(failures) {
                failed.extend(changes.iter().map(|(place, _)| (*place, failure.clone())));
            }
        }
        Ok(shares)
    }

    /// Invalidates one distribution's share, less what is fresh already.
    async fn freshen_distribution(
        &self,
        share: Share,
        changes: &[Pending<'_>],
        limits: Limits,
        invocation: &Invocation,
    ) -> Freshened {
        let mut notes = share.notes();
        let Share {
            distribution,
            served: mut stale,
            ..
        } = share;
        let left = self
            .spare(
                &distribution,
                &mut stale,
                changes,
                limits,
                &mut notes,
                invocation,
            )
            .await;
        let mut freshened = Freshened::default();
        if stale.is_empty() {
            let untouched = Untouched {
                distribution,
                notes,
            };
            info!("{untouched}");
            freshened.outcome.untouched.push(untouched);
            return freshened;
        }
        // What cannot be read or is fresh makes no backlog, however long it has waited.
        let oldest = stale.iter().filter_map(|one| changes[one.place].sent).min();
        let limits = left.after_waiting(oldest, self.clock.now().into());
        let request = |stale: &[Served], limits, notes| {
            let of = |one: &Served| changes[one.place].change;
            let event = s3::identity(stale.iter().map(of));
            let objects = stale
                .iter()
                .map(|one| (&of(one).bucket, &of(one).key))
                .collect::<BTreeSet<_>>()
                .len();
            let paths = stale
                .iter()
                .flat_map(|one| one.paths.iter().cloned())
                .collect();
            Request {
                batch: Batch::new(&event, distribution.clone(), paths, limits),
                objects: Some(objects),
                notes,
            }
        };
        let whole = request(&stale, limits, notes.clone());
        if whole.batch.fits(left) {
            freshened.outcome.reports = self.send_without_refused(whole, invocation).await;
            freshened.failed = failed(&stale, &freshened.outcome.reports);
            return freshened;
        }
        // No wildcard is left: files can be sent still, if they need none.
        let is_file = |one: &Served| !one.paths.iter().any(InvalidationPath::is_wildcard);
        let (files, rest): (Vec<_>, Vec<_>) = stale.into_iter().partition(is_file);
        let only_files = request(&files, limits, notes);
        let (sent, kept) = if !files.is_empty() && only_files.batch.fits(left) {
            let reports = self.send_without_refused(only_files, invocation).await;
            freshened.failed = failed(&files, &reports);
            (reports, rest)
        } else {
            (Vec::new(), files.into_iter().chain(rest).collect())
        };
        freshened.outcome.reports = sent;
        let failure = Failure::no_wildcard_left(&distribution);
        freshened
            .failed
            .extend(kept.iter().map(|one| (one.place, failure.clone())));
        freshened
    }

    /// Drops what newer invalidations cover, and returns what the quotas leave of the limits.
    ///
    /// What this process has made itself is known without a call; CloudFront is asked for the rest.
    async fn spare(
        &self,
        distribution: &DistributionId,
        stale: &mut Vec<Served>,
        changes: &[Pending<'_>],
        limits: Limits,
        notes: &mut Vec<String>,
        invocation: &Invocation,
    ) -> Limits {
        let time = |one: &Served| changes[one.place].change.time;
        let mut spared = Spared::default();
        let known = self.memory.of(distribution);
        stale.retain(|one| !spared.by(&known, time(one), &one.paths));
        let mut left = limits;
        if let Some(oldest) = stale.iter().map(time).min()
            && let Some(earlier) = self.look(distribution, oldest, &known, invocation).await
        {
            stale.retain(|one| !spared.by(&earlier, time(one), &one.paths));
            left = limits.left_by(&earlier);
        }
        notes.extend(spared.note());
        left
    }

    /// Asks CloudFront for the invalidations newer than a time or in progress. No answer only means no saving.
    async fn look(
        &self,
        distribution: &DistributionId,
        oldest: DateTime<Utc>,
        known: &[Earlier],
        invocation: &Invocation,
    ) -> Option<Vec<Earlier>> {
        if !self.memory.may_look() {
            return None;
        }
        let account = Account::of_arn(&invocation.function_arn);
        let deadline = invocation.end_of_work().min(Instant::now() + MAX_LOOK);
        let look = self
            .cloudfront()
            .recent(distribution, oldest, known, &account);
        match timeout_at(deadline, look).await {
            Ok(Ok(earlier)) => Some(earlier),
            Ok(Err(failure)) if failure.cause == Cause::Permission => {
                if self.memory.forbid_looking() {
                    warn!("invalidations that exist already spare no others: {failure}");
                }
                None
            }
            Ok(Err(failure)) => {
                info!("invalidations that exist already spare no others now: {failure}");
                None
            }
            Err(_elapsed) => {
                info!(
                    "invalidations that exist already spare no others now: CloudFront takes long to tell them"
                );
                None
            }
        }
    }

    /// Sends a batch; where CloudFront refuses a path, halves it until the path stands alone and the rest is taken.
    async fn send_without_refused(&self, request: Request, invocation: &Invocation) -> Vec<Report> {
        let mut reports = Vec::new();
        let mut pending = vec![request];
        for calls in 1.. {
            let Some(request) = pending.pop() else { break };
            let report = self.send(request, invocation).await;
            let refused = report
                .result
                .as_ref()
                .is_err_and(|failure| failure.cause == Cause::Path);
            match report.batch.halves() {
                Some(halves) if refused && calls < MAX_ISOLATING_CALLS => {
                    pending.extend(halves.map(|batch| Request {
                        batch,
                        objects: None,
                        notes: Vec::new(),
                    }));
                }
                _ => reports.push(report),
            }
        }
        reports
    }
}

/// What newer invalidations have spared.
#[derive(Default)]
struct Spared {
    changes: usize,
    since: Option<(DateTime<Utc>, String)>,
}

impl Spared {
    fn by(&mut self, earlier: &[Earlier], time: DateTime<Utc>, paths: &[InvalidationPath]) -> bool {
        let Some(newest) = fresh_since(earlier, time, paths) else {
            return false;
        };
        self.changes += 1;
        self.since = self
            .since
            .take()
            .max(Some((newest.created, newest.id.clone())));
        true
    }

    fn note(self) -> Option<String> {
        let (_, id) = self.since?;
        Some(format!("{} already fresh since {id}", self.changes))
    }
}

/// Returns the changes with a path that no invalidation covers, each with the reason.
fn failed(stale: &[Served], reports: &[Report]) -> BTreeMap<usize, Failure> {
    let (taken, refused): (Vec<_>, Vec<_>) =
        reports.iter().partition(|report| report.result.is_ok());
    let reason = |path: &InvalidationPath| {
        let asked = refused
            .iter()
            .find(|report| report.batch.covers(path))
            .or(refused.first())?;
        asked.result.as_ref().err().cloned()
    };
    let failed = |one: &Served| {
        let mut paths = one.paths.iter();
        let path = paths.find(|path| !taken.iter().any(|report| report.batch.covers(path)))?;
        Some((one.place, reason(path)?))
    };
    if refused.is_empty() {
        BTreeMap::new()
    } else {
        stale.iter().filter_map(failed).collect()
    }
}
