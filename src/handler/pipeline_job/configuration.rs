//! What a pipeline job needs of the configurations of its distributions: cache tags and staging distributions.
//!
//! A job reads them after CreateInvalidation, or beside a slow one. Each is read once: a job that continues by token
//! reads only those of distributions that are not submitted yet. Cache tags are the exception: they are checked before
//! CreateInvalidation, because CloudFront reports success for a tag that has no effect. A configuration that cannot be
//! read in time is a warning, not a failure.

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, join, join_all, select};
use tokio::time::{Instant, sleep};
use tracing::warn;

use super::Invalidator;
use super::progress::{DistributionProgress, Progress, Stage};
use crate::distribution::DistributionId;
use crate::error::Error;
use crate::handler::staging::{FindingKind, StagingFinding};
use crate::invocation::Invocation;
use crate::outcome::{BatchReport, Outcome};
use crate::path::InvalidationPath;
use crate::site::Features;
use crate::trigger::user_parameters::JobRequest;

/// How long reading waits for the responses of CreateInvalidation, whose connection it then uses. In a new process, the
/// TLS handshake of a second connection would delay CreateInvalidation itself.
const HEAD_START: Duration = Duration::from_millis(250);

/// How long reading configurations may take.
const MAX_READ_TIME: Duration = Duration::from_secs(3);

/// Distributions, each with what its configuration decides or why it cannot be read.
type ReadFeatures = Vec<(DistributionId, Result<Features, Error>)>;

impl Invalidator {
    /// Submits what CloudFront does not have yet, also for staging distributions, and reports on all distributions.
    pub(super) async fn submit_with_staging(
        &self,
        progress: &mut Progress,
        request: &JobRequest,
        invocation: &Invocation,
    ) -> Outcome {
        let pending = ids(&progress.distributions, |stage| {
            *stage == Stage::NotSubmitted
        });
        let read = async |deadline| self.read_features(&pending, deadline, invocation).await;
        let has_tags = !tags(request).is_empty();
        let (read_first, head_start) = if has_tags {
            (Some(read(end_of_reads(invocation)).await), Duration::ZERO)
        } else {
            (None, HEAD_START)
        };
        let refused = refused_tags(request, read_first.as_deref().unwrap_or_default());
        let mut staging = Progress {
            distributions: Vec::new(),
            ..progress.clone()
        };
        let invalidated = ids(&progress.distributions, |_| true);
        let find_and_submit_staging = async {
            let deadline = end_of_reads(invocation);
            let read = match read_first {
                Some(read) => read,
                None => read(deadline).await,
            };
            let (known, mut findings) = split(read, has_tags);
            let found = self.find_staging(&known, &invalidated, deadline, invocation);
            findings.extend(found.await);
            let found = findings.iter().filter_map(StagingFinding::to_invalidate);
            staging.add_distributions(found.cloned());
            let outcome = self.submit_staging(&mut staging, request, has_tags, invocation);
            (findings, outcome.await)
        };
        let submit = self.submit_all(progress, request, &refused, invocation);
        let (mut outcome, (findings, staging_outcome)) =
            join_with_head_start(submit, head_start, find_and_submit_staging).await;
        progress.distributions.append(&mut staging.distributions);
        outcome.reports.extend(staging_outcome.reports);
        add_earlier_warnings(progress, &mut outcome);
        for finding in &findings {
            add_finding(finding, progress, &mut outcome);
        }
        outcome
    }

    /// Submits to staging distributions that were just found.
    async fn submit_staging(
        &self,
        staging: &mut Progress,
        request: &JobRequest,
        has_tags: bool,
        invocation: &Invocation,
    ) -> Outcome {
        if staging.distributions.is_empty() {
            return Outcome::default();
        }
        let read = if has_tags {
            let found = ids(&staging.distributions, |_| true);
            let deadline = end_of_reads(invocation);
            self.read_features(&found, deadline, invocation).await
        } else {
            Vec::new()
        };
        let refused = refused_tags(request, &read);
        let mut outcome = self
            .submit_all(staging, request, &refused, invocation)
            .await;
        for (distribution, features) in read {
            if let (Err(error), Some(report)) = (features, report_of(&mut outcome, &distribution)) {
                let note = not_checked("a cache tag header", &error);
                warn!(%distribution, "{note}");
                report.notes.push(note);
            }
        }
        outcome
    }

    async fn read_features(
        &self,
        distributions: &[DistributionId],
        deadline: Instant,
        invocation: &Invocation,
    ) -> ReadFeatures {
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

/// Returns the configurations that could be read, and what to report of the others.
fn split(
    read: ReadFeatures,
    has_tags: bool,
) -> (Vec<(DistributionId, Features)>, Vec<StagingFinding>) {
    let subject = if has_tags {
        "a cache tag header, or a staging distribution with a cache of its own"
    } else {
        "a staging distribution with a cache of its own"
    };
    let (mut known, mut findings) = (Vec::new(), Vec::new());
    for (distribution, features) in read {
        match features {
            Ok(features) => known.push((distribution, features)),
            Err(error) => findings.push(StagingFinding {
                primary: distribution,
                kind: FindingKind::Warning(not_checked(subject, &error)),
            }),
        }
    }
    (known, findings)
}

/// Returns when reading configurations ends: early enough to report what was submitted meanwhile.
fn end_of_reads(invocation: &Invocation) -> Instant {
    (Instant::now() + MAX_READ_TIME).min(invocation.end_of_calls())
}

fn ids(
    distributions: &[DistributionProgress],
    is_included: impl Fn(&Stage) -> bool,
) -> Vec<DistributionId> {
    distributions
        .iter()
        .filter(|current| is_included(&current.stage))
        .map(|current| current.distribution.clone())
        .collect()
}

/// Returns the cache tags that the job sends: those that no other path covers.
fn tags(request: &JobRequest) -> Vec<InvalidationPath> {
    let is_covered = |tag: &InvalidationPath| {
        let mut others = request.paths.iter().filter(|path| *path != tag);
        others.any(|path| path.covers(tag))
    };
    let tags = request.paths.iter().filter(|path| path.is_tag());
    tags.filter(|tag| !is_covered(tag)).cloned().collect()
}

fn not_checked(subject: &str, error: &Error) -> String {
    format!("not checked whether it has {subject}: {error}")
}

/// Returns the distributions for which the requested tags have no effect, each with the reason.
fn refused_tags(
    request: &JobRequest,
    read: &[(DistributionId, Result<Features, Error>)],
) -> BTreeMap<DistributionId, Error> {
    let tags = tags(request);
    let refused = read.iter().filter_map(|(id, features)| {
        let features = features.as_ref().ok()?;
        let error = features.check_tags(id, &tags).err()?;
        Some((id.clone(), error))
    });
    refused.collect()
}

/// Adds a note to those distributions of which an earlier job of the action had a warning.
fn add_earlier_warnings(progress: &Progress, outcome: &mut Outcome) {
    for current in &progress.distributions {
        if current.has_staging_warning
            && let Some(report) = report_of(outcome, &current.distribution)
        {
            report.notes.push(format!(
                "its staging distribution is possibly not invalidated: the log of job {} has the reason",
                progress.first_job
            ));
        }
    }
}

/// Adds a finding to the report of its distribution. A distribution that is not submitted gets no warning: the next job
/// looks for its staging distribution again, or this job fails.
fn add_finding(finding: &StagingFinding, progress: &mut Progress, outcome: &mut Outcome) {
    let (distribution, note) = finding.note();
    if finding.is_warning() {
        let mut entries = progress.distributions.iter_mut();
        let entry = entries.find(|current| current.distribution == *distribution);
        if let Some(entry) = entry.filter(|entry| entry.stage != Stage::NotSubmitted) {
            warn!(%distribution, "{note}");
            entry.has_staging_warning = true;
        }
    }
    if let Some(report) = report_of(outcome, distribution) {
        report.notes.push(note);
    }
}

fn report_of<'a>(
    outcome: &'a mut Outcome,
    distribution: &DistributionId,
) -> Option<&'a mut BatchReport> {
    let mut reports = outcome.reports.iter_mut();
    reports.find(|report| report.batch.distribution() == distribution)
}
