//! Finds what changes affect: the distributions of their buckets, the paths on each, and the invalidations that exist.
//!
//! The distributions are those of the settings, or all that have a bucket as an origin. Reads that do not depend on each
//! other run in parallel: without discovery, one round trip is enough before CreateInvalidation.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::{join, join_all};
use tokio::time::{Instant, timeout_at};
use tracing::warn;

use super::Invalidator;
use super::object_changes::PendingChange;
use super::staging::{FindingKind, StagingFinding};
use crate::aws::cloudfront::{ListedDistribution, SiteReader};
use crate::aws::site_cache::{EventReads, ReadResult};
use crate::distribution::DistributionId;
use crate::error::{Error, ErrorKind};
use crate::invocation::Invocation;
use crate::plan::ExistingInvalidation;
use crate::site::{ChangesByDistribution, IndexDocuments, MaybeSite, NotCached, ObjectRef};

/// How long reading the configurations may take, so that one that hangs does not delay the others for longer.
const MAX_READ_TIME: Duration = Duration::from_secs(10);

/// What changes affect.
#[derive(Default)]
pub(super) struct Affected {
    /// The changes of each distribution.
    pub(super) changes: ChangesByDistribution,
    /// The recent invalidations of the distributions for which they were read already.
    pub(super) existing: HashMap<DistributionId, Vec<ExistingInvalidation>>,
    /// The changes to retry, by their index: not everything about their distributions could be read.
    pub(super) failed: BTreeMap<usize, Error>,
}

impl Invalidator {
    /// Finds what the changes affect. If a distribution of a bucket cannot be read, or there is none, the changes of the
    /// bucket fail; what is known of them is invalidated all the same.
    pub(super) async fn find_affected(
        &self,
        changes: &[PendingChange<'_>],
        invocation: &Invocation,
    ) -> Result<Affected, Error> {
        let settings = self.settings()?;
        let named = settings.distributions.as_slice();
        let buckets = objects_by_bucket(changes);
        let times = changes.iter().map(|pending| pending.change.time);
        let (oldest, newest) = (times.clone().min(), times.max());
        let reads = EventReads {
            reader: SiteReader::new(self.cloudfront(invocation)),
            clock: &self.clock,
            received: invocation.received,
            newest_change: newest.unwrap_or_default(),
        };
        let deadline = end_of_reads(invocation);
        let listing = match named {
            [] => within(deadline, self.site_cache.distributions(&reads), not_listed).await,
            _ => ReadResult::default(),
        };
        let listed = listing.value.iter().flat_map(|listed| listed.iter());
        let candidates: Vec<Candidate<'_>> = match named {
            [] => listed
                .filter(|listed| buckets.keys().any(|bucket| listed.has_origin(bucket)))
                .map(|listed| Candidate {
                    id: listed.id.clone(),
                    listed: Some(listed),
                })
                .collect(),
            ids => ids.iter().map(Candidate::of_all_buckets).collect(),
        };
        let read = async |candidate| {
            self.read_candidate(candidate, &reads, deadline, oldest, invocation)
                .await
        };
        let mut candidates = join_all(candidates.into_iter().map(&read)).await;
        let ids: Vec<_> = candidates
            .iter()
            .map(|read| read.candidate.id.clone())
            .collect();
        let sites = candidates
            .iter()
            .filter_map(|read| read.site.value.as_ref());
        let features: Vec<_> = sites.filter_map(MaybeSite::features).collect();
        let findings = self
            .find_staging(&features, &ids, deadline, invocation)
            .await;
        let staging = findings.iter().filter_map(StagingFinding::to_invalidate);
        candidates.extend(join_all(staging.map(Candidate::of_all_buckets).map(&read)).await);
        let mut affected = Affected::default();
        for (bucket, objects) in buckets {
            let of_bucket = || {
                candidates
                    .iter()
                    .filter(|read| read.candidate.may_have(bucket))
            };
            let sites: Vec<_> = of_bucket()
                .filter_map(|read| read.site.value.as_ref())
                .collect();
            let errors = of_bucket().filter_map(|read| read.site.error.clone());
            let mut errors: Vec<_> = listing.error.iter().cloned().chain(errors).collect();
            if errors.is_empty() && !sites.iter().any(|site| site.may_have_origin(bucket)) {
                // The operator may be correcting it: a retry reads it again.
                let ids = of_bucket().map(|read| &read.candidate.id);
                self.site_cache.forget(ids).await;
                errors.push(no_origin(bucket, named));
            }
            affected.add(bucket, &objects, &sites, settings.index_documents);
            if let Some(error) = Error::join(errors) {
                let failed = objects.iter().map(|object| (object.index, error.clone()));
                affected.failed.extend(failed);
            }
        }
        findings
            .iter()
            .for_each(|finding| affected.add_finding(finding));
        let existing = candidates.into_iter();
        affected.existing = existing
            .filter_map(|read| Some((read.candidate.id, read.existing?)))
            .collect();
        Ok(affected)
    }

    /// Reads a candidate's configuration and, at the same time, its recent invalidations.
    async fn read_candidate<'a>(
        &self,
        candidate: Candidate<'a>,
        reads: &EventReads<'_>,
        deadline: Instant,
        oldest: Option<DateTime<Utc>>,
        invocation: &Invocation,
    ) -> ReadCandidate<'a> {
        let site = self.site_cache.site(&candidate.id, candidate.listed, reads);
        let site = within(deadline, site, || not_read(&candidate.id));
        let existing = self.list_early(&candidate.id, oldest, invocation);
        let (site, existing) = join(site, existing).await;
        ReadCandidate {
            candidate,
            site,
            existing,
        }
    }

    /// Lists the recent invalidations before it is known which paths are affected, to save a round trip. Returns `None`
    /// if this process created one that possibly covers the changes, so that no list may be needed.
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

/// A distribution that possibly has one of the buckets as an origin.
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

/// A candidate with what was read of it.
struct ReadCandidate<'a> {
    candidate: Candidate<'a>,
    site: ReadResult<MaybeSite>,
    existing: Option<Vec<ExistingInvalidation>>,
}

impl Affected {
    fn add(
        &mut self,
        bucket: &str,
        objects: &[ObjectRef<'_>],
        sites: &[&MaybeSite],
        index_documents: IndexDocuments,
    ) {
        let with_bucket = sites.iter().find(|site| site.has_origin(bucket));
        for site in sites {
            for object in objects {
                match with_bucket {
                    // A server in front of another distribution is something else than this bucket.
                    Some(with_bucket) if !site.may_have_s3_origin() => {
                        let not_cached = NotCached::NoS3Origin {
                            bucket: bucket.to_owned(),
                            distribution: with_bucket.id().clone(),
                        };
                        self.changes.add_not_cached(site.id(), *object, not_cached);
                    }
                    _ => self.changes.add(site, *object, index_documents),
                }
            }
        }
    }

    fn add_finding(&mut self, finding: &StagingFinding) {
        let StagingFinding { primary, kind } = finding;
        match kind {
            FindingKind::Invalidate(staging) => {
                let note = format!("staging distribution of {primary}");
                self.changes.add_note(staging, note);
            }
            FindingKind::Note(text) => self.changes.add_note(primary, text.clone()),
            FindingKind::Warning(text) => {
                warn!(distribution = %primary, "{text}");
                self.changes.add_note(primary, text.clone());
            }
        }
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
        });
    }
    buckets
}

/// Returns when the reads have to end, so that at least half of the time is left for what they lead to.
fn end_of_reads(invocation: &Invocation) -> Instant {
    let now = Instant::now();
    let left = invocation.end_of_work().saturating_duration_since(now);
    now + MAX_READ_TIME.min(left / 2)
}

/// Returns the result of a read that ends in time, or else the error.
async fn within<T>(
    deadline: Instant,
    read: impl Future<Output = ReadResult<T>>,
    error: impl FnOnce() -> Error,
) -> ReadResult<T> {
    timeout_at(deadline, read)
        .await
        .unwrap_or_else(|_elapsed| ReadResult {
            value: None,
            error: Some(error()),
        })
}

fn not_listed() -> Error {
    not_in_time("list the distributions".to_owned())
}

fn not_read(id: &DistributionId) -> Error {
    not_in_time(format!("read the configuration of {id}"))
}

fn not_in_time(purpose: String) -> Error {
    let message = "no response in time".to_owned();
    ErrorKind::Unavailable { purpose, message }.into()
}

fn no_origin(bucket: &str, named: &[DistributionId]) -> Error {
    Error::invalid_input(match named {
        [] => format!(
            "no distribution of this account has bucket {bucket} as an origin: set DISTRIBUTION_ID if one reaches it by \
             another name, deploy the function in the distribution's account if that is another one, or remove the \
             bucket's notification"
        ),
        ids => {
            let ids: Vec<_> = ids.iter().map(DistributionId::as_str).collect();
            format!(
                "bucket {bucket} is not an origin of {}: correct DISTRIBUTION_ID, or remove the bucket's notification",
                ids.join(" and ")
            )
        }
    })
}
