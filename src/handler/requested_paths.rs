//! Submits the paths that a pipeline job or a direct invocation requests, also for staging distributions.
//!
//! The configurations of the distributions decide about cache tags and staging distributions. They are read after
//! CreateInvalidation, or beside a slow one. Each is read once: a job that continues by token reads only those of
//! distributions that are not submitted yet, or whose staging distribution was not found for the moment. Cache tags are the
//! exception: they are checked before CreateInvalidation. A configuration that cannot be read in time is a warning, not a
//! failure, unless the settings require that staging distributions are invalidated.

mod cache_tags;
mod staging_findings;

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, join, join_all, select};
use tokio::time::{Instant, sleep};

use self::cache_tags::{refused, tags};
use self::staging_findings::{add_earlier_warnings, add_findings, not_checked};
use super::identity::RequestIdentity;
use super::progress::{DistributionProgress, Progress, Stage};
use super::staging::{FindingKind, StagingFinding};
use super::{BatchRequest, Invalidator};
use crate::distribution::DistributionId;
use crate::error::Error;
use crate::invocation::Invocation;
use crate::outcome::{BatchReport, Outcome};
use crate::path::InvalidationPath;
use crate::plan::Limits;
use crate::site::Features;
use crate::trigger::request::PathRequest;

/// How long reading waits for the responses of CreateInvalidation, whose connection it then uses. In a new process, the
/// TLS handshake of a second connection would delay CreateInvalidation itself.
const HEAD_START: Duration = Duration::from_millis(250);

/// How long reading configurations may take.
const MAX_READ_TIME: Duration = Duration::from_secs(3);

/// Distributions, each with what its configuration decides or why it cannot be read.
pub(super) type ReadFeatures = [(DistributionId, Result<Features, Error>)];

impl Invalidator {
    /// Submits what CloudFront does not have yet, also for staging distributions, and reports on all distributions.
    /// Returns also why a staging distribution that has to be invalidated could not be found for the moment.
    pub(super) async fn submit_requested_paths(
        &self,
        progress: &mut Progress,
        request: &PathRequest,
        identity: &RequestIdentity,
        invocation: &Invocation,
    ) -> (Outcome, Option<Error>) {
        let tags = tags(request);
        let searched = ids(progress, DistributionProgress::needs_staging_search);
        let read = async |deadline| self.read_features(&searched, deadline, invocation).await;
        let (read_first, head_start) = if tags.is_empty() {
            (None, HEAD_START)
        } else {
            (Some(read(end_of_reads(invocation)).await), Duration::ZERO)
        };
        let refused = refused(&tags, read_first.as_deref().unwrap_or_default());
        let mut staging = Progress::default();
        let invalidated = ids(progress, |_| true);
        let find_and_submit_staging = async {
            let deadline = end_of_reads(invocation);
            let read = match read_first {
                Some(read) => read,
                None => read(deadline).await,
            };
            let mut findings = self.not_searched(unread(&read), &invalidated, !tags.is_empty());
            let known = known(&read);
            let found = self.find_staging(&known, &invalidated, deadline, invocation);
            findings.extend(found.await);
            let found = findings.iter().filter_map(StagingFinding::to_invalidate);
            staging.add_distributions(found.cloned());
            let outcome = self.submit_staging(&mut staging, request, identity, &tags, invocation);
            (findings, outcome.await)
        };
        let submit = self.submit_all(progress, request, identity, &refused, invocation);
        let (mut outcome, (findings, staging_outcome)) =
            join_with_head_start(submit, head_start, find_and_submit_staging).await;
        add_earlier_warnings(progress, !tags.is_empty(), &mut outcome);
        progress.distributions.append(&mut staging.distributions);
        outcome.reports.extend(staging_outcome.reports);
        add_findings(&searched, &findings, progress, &mut outcome);
        (outcome, findings.iter().find_map(StagingFinding::retry))
    }

    /// Submits to staging distributions that were just found.
    async fn submit_staging(
        &self,
        staging: &mut Progress,
        request: &PathRequest,
        identity: &RequestIdentity,
        tags: &[InvalidationPath],
        invocation: &Invocation,
    ) -> Outcome {
        if staging.distributions.is_empty() {
            return Outcome::default();
        }
        let found = ids(staging, |_| true);
        let read = if tags.is_empty() {
            Vec::new()
        } else {
            let deadline = end_of_reads(invocation);
            self.read_features(&found, deadline, invocation).await
        };
        let refused = refused(tags, &read);
        let mut outcome = self
            .submit_all(staging, request, identity, &refused, invocation)
            .await;
        let mut unread = unread(&read);
        unread.retain(|(distribution, _)| !refused.contains_key(distribution));
        let unchecked = |(primary, error)| StagingFinding {
            primary,
            kind: FindingKind::Warning(not_checked("a cache tag header", &error)),
        };
        let findings: Vec<_> = unread.into_iter().map(unchecked).collect();
        add_findings(&found, &findings, staging, &mut outcome);
        outcome
    }

    /// Submits what CloudFront does not have yet, except for the `refused` distributions, and reports on all.
    async fn submit_all(
        &self,
        progress: &mut Progress,
        request: &PathRequest,
        identity: &RequestIdentity,
        refused: &BTreeMap<DistributionId, Error>,
        invocation: &Invocation,
    ) -> Outcome {
        let submit = async |current: &DistributionProgress| {
            let distribution = current.distribution.clone();
            let paths = request.paths.paths.clone();
            let batch = identity.batch(distribution, paths, Limits::REQUESTED_PATHS);
            let notes = request.notes();
            let result = match (&current.stage, refused.get(&current.distribution)) {
                (Stage::InProgress(id) | Stage::Completed(id), _) => Ok(Some(id.clone())),
                (Stage::NotSubmitted, Some(error)) => Err(error.clone()),
                (Stage::NotSubmitted | Stage::Submitted, _) => {
                    let request = BatchRequest {
                        notes,
                        ..batch.into()
                    };
                    return self.submit(request, invocation).await;
                }
            };
            BatchReport {
                batch,
                objects: None,
                notes,
                result,
                reused: None,
            }
        };
        let reports = join_all(progress.distributions.iter().map(submit)).await;
        for (current, report) in progress.distributions.iter_mut().zip(&reports) {
            if let (Stage::NotSubmitted | Stage::Submitted, Ok(id)) =
                (&current.stage, &report.result)
            {
                current.stage = id.clone().map_or(Stage::Submitted, Stage::InProgress);
            }
        }
        Outcome {
            reports,
            ..Outcome::default()
        }
    }

    async fn read_features(
        &self,
        distributions: &[DistributionId],
        deadline: Instant,
        invocation: &Invocation,
    ) -> Vec<(DistributionId, Result<Features, Error>)> {
        let cloudfront = self.cloudfront(invocation);
        let read = async |distribution: &DistributionId| {
            let features = cloudfront.features(distribution, deadline).await;
            (distribution.clone(), features)
        };
        join_all(distributions.iter().map(read)).await
    }
}

/// Runs both to their end. The second starts when the first has ended, or after `head_start`.
async fn join_with_head_start<A, B>(
    first: impl Future<Output = A>,
    head_start: Duration,
    second: impl Future<Output = B>,
) -> (A, B) {
    match select(pin!(first), pin!(sleep(head_start))).await {
        Either::Left((output, _)) => (output, second.await),
        Either::Right(((), first)) => join(first, second).await,
    }
}

/// Returns the configurations that could be read.
fn known(read: &ReadFeatures) -> Vec<(DistributionId, Features)> {
    let known = |(id, features): &(DistributionId, Result<Features, _>)| {
        Some((id.clone(), features.as_ref().ok()?.clone()))
    };
    read.iter().filter_map(known).collect()
}

/// Returns why configurations could not be read.
fn unread(read: &ReadFeatures) -> Vec<(DistributionId, Error)> {
    let unread = |(id, features): &(DistributionId, Result<_, Error>)| {
        Some((id.clone(), features.as_ref().err()?.clone()))
    };
    read.iter().filter_map(unread).collect()
}

/// Returns when reading configurations ends: early enough to report what was submitted meanwhile.
fn end_of_reads(invocation: &Invocation) -> Instant {
    (Instant::now() + MAX_READ_TIME).min(invocation.end_of_calls())
}

fn ids(
    progress: &Progress,
    is_included: impl Fn(&DistributionProgress) -> bool,
) -> Vec<DistributionId> {
    let distributions = progress.distributions.iter();
    let included = distributions.filter(|current| is_included(current));
    included
        .map(|current| current.distribution.clone())
        .collect()
}
