//! `Usage`: how many paths of this month the invalidations of some distributions have. `budget` counts those of a day
//! with the same calls.
//!
//! ListInvalidations returns no paths, so each invalidation is read once. The number of reads and their time are limited, so
//! the counts are possibly incomplete; a later call of this process continues. The free paths are those of the account, which
//! possibly has other distributions.

use std::ops::Range;
use std::sync::OnceLock;

use chrono::{DateTime, Utc};
use futures_util::{StreamExt, stream};
use tokio::time::{Instant, timeout_at};

use super::{Invalidator, half_way};
use crate::billing::Month;
use crate::distribution::DistributionId;
use crate::error::Error;
use crate::invocation::Invocation;
use crate::plan::InvalidationId;

/// How many invalidations one call reads, of all distributions together.
const MAX_READS: usize = 300;

/// How many calls are made at a time. AWS does not document the rate that CloudFront accepts.
const CONCURRENT_CALLS: usize = 8;

/// The paths of a month.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// The month.
    pub month: Month,
    /// The distributions in the order of the request.
    pub distributions: Vec<DistributionUsage>,
}

/// The paths that a distribution has in a month.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DistributionUsage {
    /// Its id.
    pub distribution: DistributionId,
    /// How many invalidations were listed.
    pub invalidations: usize,
    /// How many paths those of them have that were read.
    pub paths: usize,
    /// How many of the listed invalidations were not read.
    pub unread: usize,
    /// Why invalidations are not listed or not read, if it is not for the number of reads or for the end of the time.
    pub error: Option<Error>,
}

impl Usage {
    /// Returns how many paths all distributions have; at least that many if the counts are not complete.
    pub fn paths(&self) -> usize {
        let distributions = self.distributions.iter();
        distributions.map(|distribution| distribution.paths).sum()
    }

    /// Returns whether all invalidations of the month are counted.
    pub fn is_complete(&self) -> bool {
        let mut distributions = self.distributions.iter();
        distributions.all(DistributionUsage::is_complete)
    }
}

impl DistributionUsage {
    /// Returns whether all invalidations of the month are counted.
    pub fn is_complete(&self) -> bool {
        self.unread == 0 && self.error.is_none()
    }
}

/// Which invalidations of each distribution are listed.
pub(super) struct ListOptions {
    /// When the invalidations were created.
    pub(super) created: Range<DateTime<Utc>>,
    /// How many of them at most, the newest first.
    pub(super) maximum: usize,
    pub(super) deadline: Instant,
}

/// The invalidations of a distribution that were created within some times.
pub(super) struct Listed<'a> {
    pub(super) distribution: &'a DistributionId,
    /// Newest first.
    pub(super) invalidations: Vec<InvalidationId>,
    /// Why others are missing.
    pub(super) list_error: Option<Error>,
    /// Why no more of them are read.
    pub(super) read_error: OnceLock<Error>,
}

impl Invalidator {
    /// Counts the paths of this month until `deadline`. What was read before is not read again.
    pub async fn usage(
        &self,
        distributions: &[DistributionId],
        deadline: Instant,
        invocation: &Invocation,
    ) -> Usage {
        let month = Month::of(self.clock.now().into());
        let options = ListOptions {
            created: month.times(),
            maximum: usize::MAX,
            deadline: half_way(deadline),
        };
        let listed = self.list_created(distributions, options, invocation).await;
        self.read_path_counts(&listed, MAX_READS, deadline, invocation)
            .await;
        let distributions = listed.into_iter().map(|listed| {
            let (paths, unread) = self.count_paths(&listed);
            DistributionUsage {
                distribution: listed.distribution.clone(),
                invalidations: listed.invalidations.len(),
                paths,
                unread,
                error: listed.list_error.or(listed.read_error.into_inner()),
            }
        });
        Usage {
            month,
            distributions: distributions.collect(),
        }
    }

    /// Lists the invalidations of each distribution. The path counts of others are forgotten.
    pub(super) async fn list_created<'a>(
        &self,
        distributions: impl IntoIterator<Item = &'a DistributionId>,
        options: ListOptions,
        invocation: &Invocation,
    ) -> Vec<Listed<'a>> {
        let cloudfront = self.cloudfront(invocation);
        let ListOptions {
            created,
            maximum,
            deadline,
        } = &options;
        let lists = distributions.into_iter().map(|distribution| async move {
            let (listed, list_error) = cloudfront
                .list_invalidations_until(distribution, created.start, *maximum, *deadline)
                .await;
            let listed = listed
                .into_iter()
                .filter(|summary| created.contains(&summary.created));
            let listed = Listed {
                distribution,
                invalidations: listed.map(|summary| summary.id).collect(),
                list_error,
                read_error: OnceLock::new(),
            };
            if listed.list_error.is_none() {
                self.warm_state
                    .keep_path_counts(distribution, &listed.invalidations);
            }
            listed
        });
        stream::iter(lists)
            .buffered(CONCURRENT_CALLS)
            .collect()
            .await
    }

    /// Reads the invalidations whose paths are not known yet, `maximum` of them at most, and remembers how many paths
    /// each has. Returns how many it reads.
    pub(super) async fn read_path_counts(
        &self,
        lists: &[Listed<'_>],
        maximum: usize,
        deadline: Instant,
        invocation: &Invocation,
    ) -> usize {
        let cloudfront = self.cloudfront(invocation);
        let unread = lists.iter().map(|listed| {
            let path_counts = self.warm_state.path_counts(listed.distribution);
            let invalidations = listed.invalidations.iter();
            let unread = invalidations.filter(move |id| !path_counts.contains_key(id));
            unread.map(move |id| (listed, id)).collect()
        });
        let mut unread = in_turn(unread.collect());
        unread.truncate(maximum);
        let count = unread.len();
        let reads = unread.into_iter().map(|(listed, id)| async move {
            // What fails once most likely fails for each of hundreds.
            if listed.read_error.get().is_some() {
                return;
            }
            match cloudfront.path_count(listed.distribution, id).await {
                Ok(paths) => {
                    self.warm_state
                        .remember_path_count(listed.distribution, id, paths);
                }
                Err(error) => {
                    // The first error is the reason.
                    let _ = listed.read_error.set(error);
                }
            }
        });
        let reads = stream::iter(reads).buffer_unordered(CONCURRENT_CALLS);
        // What was not read in time is not remembered, and so it is not counted.
        let _ = timeout_at(deadline, reads.for_each(std::future::ready)).await;
        count
    }

    /// Returns how many paths the invalidations have whose paths are known, and how many others there are.
    pub(super) fn count_paths(&self, listed: &Listed<'_>) -> (usize, usize) {
        let path_counts = self.warm_state.path_counts(listed.distribution);
        let invalidations = listed.invalidations.iter();
        let read = invalidations.filter_map(|id| path_counts.get(id));
        let unread = listed
            .invalidations
            .len()
            .saturating_sub(read.clone().count());
        (read.sum(), unread)
    }
}

/// Returns the first item of each list, then the second of each, and so on, so that a long list does not displace the others.
fn in_turn<T>(lists: Vec<Vec<T>>) -> Vec<T> {
    let items = lists
        .into_iter()
        .flat_map(|list| list.into_iter().enumerate());
    let mut items: Vec<_> = items.collect();
    items.sort_by_key(|(position, _)| *position);
    items.into_iter().map(|(_, item)| item).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_does_not_displace_the_others() {
        let lists = vec![vec![1, 2, 3, 4], vec![], vec![10, 20], vec![100]];
        assert_eq!(in_turn(lists), [1, 10, 100, 2, 20, 3, 4]);
    }
}
