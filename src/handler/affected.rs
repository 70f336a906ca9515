//! Finds what changes affect: the distributions of their buckets, the paths on each, and the invalidations that exist.
//!
//! The distributions are those of the settings, or all that have a bucket as an origin. Reads that do not depend on each
//! other run in parallel: without discovery, one round trip is enough before CreateInvalidation.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::{join, join_all};
use tracing::warn;

use super::object_changes::{ChangeOptions, PendingChange};
use super::staging::StagingFinding;
use super::{Invalidator, budget};
use crate::aws::cloudfront::{ListedDistribution, SiteReader};
use crate::aws::site_cache::{EventReads, ReadResult};
use crate::distribution::DistributionId;
use crate::error::Error;
use crate::invocation::Invocation;
use crate::plan::ExistingInvalidation;
use crate::site::{ChangesByDistribution, MaybeSite, NotCached, ObjectRef, PathOptions};

/// How long reading the configurations can take. The distributions that are read are invalidated after this time, even if
/// reading another one hangs.
const MAX_READ_TIME: Duration = Duration::from_secs(5);

/// What changes affect.
#[derive(Default)]
pub(super) struct Affected {
    /// The changes of each distribution.
    pub(super) changes: ChangesByDistribution,
    /// The recent invalidations of the distributions for which they were read already.
    pub(super) existing: HashMap<DistributionId, Vec<ExistingInvalidation>>,
    /// How many paths the distributions have used today; `None` without a budget, or if it is unknown.
    pub(super) used_today: Option<usize>,
    /// The changes to retry, by their index: not everything about their distributions could be read.
    pub(super) failed: BTreeMap<usize, Error>,
}

impl Invalidator {
    /// Finds what the changes affect. If a distribution of a bucket cannot be read, or there is none, the changes of the
    /// bucket fail; the distributions that could be read are invalidated all the same.
    pub(super) async fn find_affected(
        &self,
        changes: &[PendingChange<'_>],
        options: ChangeOptions<'_>,
        invocation: &Invocation,
    ) -> Result<Affected, Error> {
        let settings = self.settings()?;
        let named = options.distributions;
        let buckets = objects_by_bucket(changes);
        let times = changes.iter().map(|pending| pending.change.time);
        let (oldest, newest) = (times.clone().min(), times.max());
        // Only the changes of events can be covered already, so a request needs no list of invalidations.
        let oldest = oldest.filter(|_| options.requester.is_none());
        let reads = EventReads {
            reader: SiteReader::new(self.cloudfront(invocation)),
            clock: &self.clock,
            received: invocation.received,
            newest_change: newest.unwrap_or_default(),
        };
        let deadline = invocation.end_of_read(MAX_READ_TIME);
        let list = match named {
            [] => self.site_cache.distributions(&reads, deadline).await,
            _ => ReadResult::default(),
        };
        let listed = list.value.as_deref().map_or(&[][..], Vec::as_slice);
        let read = async |candidate| {
            self.read_candidate(candidate, &reads, oldest, invocation)
                .await
        };
        // Requests are never reduced.
        let budget = settings.daily_path_budget;
        let budget = budget.filter(|_| options.requester.is_none());
        let mut reads_left = budget::MAX_READS;
        let mut read_all = async |candidates: Vec<_>| {
            let ids = candidates
                .iter()
                .map(|candidate: &Candidate<'_>| candidate.id.clone());
            let ids: Vec<_> = ids.collect();
            let used = self.paths_used_today(budget, &ids, &mut reads_left, invocation);
            join(join_all(candidates.into_iter().map(&read)), used).await
        };
        let (mut candidates, used) = read_all(candidates(named, listed, &buckets)).await;
        let findings = self.find_staging_of(&candidates, invocation).await;
        let staging = findings.iter().filter_map(StagingFinding::to_invalidate);
        let staging = staging.map(Candidate::of_all_buckets).collect();
        let (staging, used_by_staging) = read_all(staging).await;
        candidates.extend(staging);
        let used_today = [used, used_by_staging].into_iter().flatten();

        let mut affected = Affected {
            used_today: used_today.reduce(usize::saturating_add),
            ..Affected::default()
        };
        for (bucket, objects) in buckets {
            let of_bucket: Vec<_> = candidates
                .iter()
                .filter(|read| read.candidate.may_have(bucket))
                .collect();
            let sites: Vec<_> = of_bucket.iter().filter_map(|read| read.site()).collect();
            affected.add(bucket, &objects, &sites, &settings.path_options);
            let mut errors = self.read_errors(bucket, options, list.error.as_ref(), &of_bucket);
            let ids = of_bucket.iter().map(|read| &read.candidate.id);
            let ids: Vec<_> = ids.collect();
            let of_these = findings
                .iter()
                .filter(|finding| ids.contains(&&finding.primary));
            errors.extend(of_these.filter_map(StagingFinding::retry));
            if let Some(error) = Error::join(errors) {
                let failed = objects.iter().map(|object| (object.index, error.clone()));
                affected.failed.extend(failed);
            }
        }
        for finding in &findings {
            affected.add_finding(finding);
        }
        affected.existing = candidates
            .into_iter()
            .filter_map(|read| Some((read.candidate.id, read.existing?)))
            .collect();
        Ok(affected)
    }

    /// Finds the staging distributions of the candidates.
    async fn find_staging_of(
        &self,
        candidates: &[ReadCandidate<'_>],
        invocation: &Invocation,
    ) -> Vec<StagingFinding> {
        let ids: Vec<_> = candidates
            .iter()
            .map(|read| read.candidate.id.clone())
            .collect();
        let sites = candidates.iter().filter_map(ReadCandidate::site);
        let features: Vec<_> = sites.filter_map(MaybeSite::features).collect();
        // A configuration that could not be read in time must not use up the time of this.
        let deadline = invocation.end_of_read(MAX_READ_TIME);
        self.find_staging(&features, &ids, deadline, invocation)
            .await
    }

    /// Returns why the changes of a bucket have to be retried: what could not be read of its distributions, or that it
    /// has none.
    fn read_errors(
        &self,
        bucket: &str,
        options: ChangeOptions<'_>,
        list_error: Option<&Error>,
        of_bucket: &[&ReadCandidate<'_>],
    ) -> Vec<Error> {
        let errors = of_bucket.iter().filter_map(|read| read.site.error.as_ref());
        let errors: Vec<_> = list_error.into_iter().chain(errors).cloned().collect();
        let mut sites = of_bucket.iter().filter_map(|read| read.site());
        if !errors.is_empty() || sites.any(|site| site.may_have_origin(bucket)) {
            return errors;
        }
        // The operator may be correcting it: a retry reads it again.
        let ids = of_bucket.iter().map(|read| &read.candidate.id);
        self.site_cache.forget(ids);
        vec![no_origin(bucket, options)]
    }

    /// Reads a candidate's configuration and, at the same time, its recent invalidations.
    async fn read_candidate<'a>(
        &self,
        candidate: Candidate<'a>,
        reads: &EventReads<'_>,
        oldest: Option<DateTime<Utc>>,
        invocation: &Invocation,
    ) -> ReadCandidate<'a> {
        let deadline = invocation.end_of_read(MAX_READ_TIME);
        let Candidate { id, listed } = &candidate;
        let site = self.site_cache.site(id, *listed, reads, deadline);
        let existing = self.list_early(id, oldest, invocation);
        let (site, existing) = join(site, existing).await;
        ReadCandidate {
            candidate,
            site,
            existing,
        }
    }

    /// Lists the recent invalidations before it is known which paths are affected, to save a round trip. Returns `None`
    /// if this process created one that possibly covers the changes, so that a list is possibly not needed.
    async fn list_early(
        &self,
        distribution: &DistributionId,
        oldest: Option<DateTime<Utc>>,
        invocation: &Invocation,
    ) -> Option<Vec<ExistingInvalidation>> {
        let oldest = oldest?;
        let known = self.warm_state.invalidations(distribution);
        if known
            .iter()
            .any(|invalidation| invalidation.is_newer_than(oldest))
        {
            return None;
        }
        Some(
            self.list_recent(distribution, oldest, &known, invocation)
                .await,
        )
    }
}

/// A distribution to read: it possibly has one of the buckets as an origin.
struct Candidate<'a> {
    id: DistributionId,
    /// Its entry in the list, if it was found there.
    listed: Option<&'a ListedDistribution>,
}

impl Candidate<'_> {
    /// Returns a distribution that is named and can have any of the buckets.
    fn of_all_buckets(id: &DistributionId) -> Self {
        Self {
            id: id.clone(),
            listed: None,
        }
    }

    fn may_have(&self, bucket: &str) -> bool {
        self.listed.is_none_or(|listed| listed.has_origin(bucket))
    }
}

/// Returns the distributions to read: the named ones, or else the listed ones that have one of the buckets.
fn candidates<'a>(
    named: &[DistributionId],
    listed: &'a [ListedDistribution],
    buckets: &BTreeMap<&str, Vec<ObjectRef<'_>>>,
) -> Vec<Candidate<'a>> {
    if !named.is_empty() {
        return named.iter().map(Candidate::of_all_buckets).collect();
    }
    listed
        .iter()
        .filter(|listed| buckets.keys().any(|bucket| listed.has_origin(bucket)))
        .map(|listed| Candidate {
            id: listed.id.clone(),
            listed: Some(listed),
        })
        .collect()
}

/// A candidate with what was read of it.
struct ReadCandidate<'a> {
    candidate: Candidate<'a>,
    site: ReadResult<MaybeSite>,
    /// Its recent invalidations, if they were read already.
    existing: Option<Vec<ExistingInvalidation>>,
}

impl ReadCandidate<'_> {
    fn site(&self) -> Option<&MaybeSite> {
        self.site.value.as_ref()
    }
}

impl Affected {
    /// Adds the changed objects of a bucket to the changes of each distribution.
    fn add(
        &mut self,
        bucket: &str,
        objects: &[ObjectRef<'_>],
        sites: &[&MaybeSite],
        options: &PathOptions,
    ) {
        let with_bucket = sites.iter().find(|site| site.serves_bucket(bucket));
        for site in sites {
            match with_bucket {
                // A server in front of another distribution is something else than this bucket.
                Some(with_bucket) if !site.may_have_s3_origin() => {
                    for object in objects {
                        let not_cached = NotCached::NoS3Origin {
                            bucket: bucket.to_owned(),
                            distribution: with_bucket.id().clone(),
                        };
                        self.changes.add_not_cached(site.id(), *object, not_cached);
                    }
                }
                _ => self.changes.add_all(site, objects, options),
            }
        }
    }

    fn add_finding(&mut self, finding: &StagingFinding) {
        let (distribution, note) = finding.note();
        if finding.is_warning() {
            warn!(%distribution, "{note}");
        }
        self.changes.add_note(distribution, note);
    }
}

fn objects_by_bucket<'a>(changes: &[PendingChange<'a>]) -> BTreeMap<&'a str, Vec<ObjectRef<'a>>> {
    let mut buckets: BTreeMap<&str, Vec<ObjectRef<'_>>> = BTreeMap::new();
    for (index, PendingChange { change, .. }) in changes.iter().enumerate() {
        let bucket = change.bucket.as_str();
        buckets.entry(bucket).or_default().push(ObjectRef {
            index,
            bucket,
            key: &change.key,
            change: change.change,
        });
    }
    buckets
}

fn no_origin(bucket: &str, options: ChangeOptions<'_>) -> Error {
    let ids = options.distributions.iter().map(DistributionId::as_str);
    let ids = ids.collect::<Vec<_>>().join(" and ");
    let is_requested = options.requester.is_some();
    Error::invalid_input(match (options.distributions, is_requested) {
        ([], false) => format!(
            "no distribution of this account has bucket {bucket} as an origin: set DISTRIBUTION_ID if one reaches it by \
             another name, deploy the function in the distribution's account if that is another one, or remove the \
             bucket's notification"
        ),
        ([], true) => format!(
            "no distribution of this account has bucket {bucket} as an origin: correct \"bucket\", or name the \
             distribution in \"distribution\" if it reaches the bucket by another name"
        ),
        (_, false) => format!(
            "bucket {bucket} is not an origin of {ids}: correct DISTRIBUTION_ID, or remove the bucket's notification"
        ),
        (_, true) => format!(
            "bucket {bucket} is not an origin of {ids}: correct \"bucket\", or name its distribution in \"distribution\""
        ),
    })
}
