//! Finds what changes affect: the distributions of their buckets, the paths on each, and the invalidations that exist.
//!
//! The distributions are those of the settings, or all that have a bucket as an origin. Reads that do not depend on each
//! other run in parallel: without discovery, one round trip is enough before CreateInvalidation.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::{join, join_all};
use tokio::time::{Instant, timeout_at};

use super::Invalidator;
use super::object_changes::PendingChange;
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
            _ => ReadResult {
                value: None,
                error: None,
            },
        };
        let listed = listing.value.iter().flat_map(|listed| listed.iter());
        let candidates: Vec<Candidate<'_>> = match named {
            [] => listed
                .filter(|listed| buckets.keys().any(|bucket| listed.has_origin(bucket)))
                .map(|listed| Candidate {
                    id: &listed.id,
                    listed: Some(listed),
                })
                .collect(),
            ids => ids
                .iter()
                .map(|id| Candidate { id, listed: None })
                .collect(),
        };
        let read = candidates.iter().map(async |candidate| {
            let site = self.site_cache.site(candidate.id, candidate.listed, &reads);
            let site = within(deadline, site, || not_read(candidate.id));
            join(site, self.list_early(candidate.id, oldest, invocation)).await
        });
        let (sites, existing): (Vec<_>, Vec<_>) = join_all(read).await.into_iter().unzip();
        let existing = candidates.iter().zip(existing);
        let mut affected = Affected {
            changes: ChangesByDistribution::default(),
            existing: existing
                .filter_map(|(candidate, existing)| Some((candidate.id.clone(), existing?)))
                .collect(),
            failed: BTreeMap::new(),
        };
        for (bucket, objects) in buckets {
            let of_bucket = candidates.iter().zip(&sites).filter(|(candidate, _)| {
                candidate
                    .listed
                    .is_none_or(|listed| listed.has_origin(bucket))
            });
            let (of_bucket, results): (Vec<_>, Vec<_>) = of_bucket.unzip();
            let sites: Vec<_> = results
                .iter()
                .filter_map(|read| read.value.as_ref())
                .collect();
            let errors = results.iter().filter_map(|read| read.error.clone());
            let mut errors: Vec<_> = listing.error.iter().cloned().chain(errors).collect();
            if errors.is_empty() && !sites.iter().any(|site| site.may_have_origin(bucket)) {
                // The operator may be correcting it: a retry reads it again.
                let ids = of_bucket.iter().map(|candidate| candidate.id);
                self.site_cache.forget(ids).await;
                errors.push(no_origin(bucket, named));
            }
            affected.add(bucket, &objects, &sites, settings.index_documents);
            if let Some(error) = Error::join(errors) {
                let failed = objects.iter().map(|object| (object.index, error.clone()));
                affected.failed.extend(failed);
            }
        }
        Ok(affected)
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
    id: &'a DistributionId,
    /// Its entry in the list, if the settings name no distributions.
    listed: Option<&'a ListedDistribution>,
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
            "no distribution of this account has bucket {bucket} as an origin: remove the bucket's notification, or \
             set DISTRIBUTION_ID"
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
