//! `Usage`: how many paths of this month the invalidations of some distributions have.
//!
//! ListInvalidations returns no paths, so each invalidation is read once. The number of reads and their time are limited, so
//! the counts are possibly incomplete; a later call of this process continues. The free paths are those of the account, which
//! possibly has other distributions.

use std::sync::OnceLock;

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

/// The invalidations of a distribution in a month.
struct Listed<'a> {
    distribution: &'a DistributionId,
    /// Newest first.
    invalidations: Vec<InvalidationId>,
    /// Why others are missing.
    list_error: Option<Error>,
    /// Why no more of them are read.
    read_error: OnceLock<Error>,
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
        let cloudfront = self.cloudfront(invocation);
        let end_of_lists = half_way(deadline);
        let lists = distributions.iter().map(|distribution| async move {
            let (listed, list_error) = cloudfront
                .list_invalidations_until(distribution, month.start(), end_of_lists)
                .await;
            let of_month = listed
                .into_iter()
                .filter(|summary| month.contains(summary.created));
            Listed {
                distribution,
                invalidations: of_month.map(|summary| summary.id).collect(),
                list_error,
                read_error: OnceLock::new(),
            }
        });
        let lists: Vec<_> = stream::iter(lists)
            .buffered(CONCURRENT_CALLS)
            .collect()
            .await;
        for listed in &lists {
            if listed.list_error.is_none() {
                self.warm_state
                    .keep_path_counts(listed.distribution, &listed.invalidations);
            }
        }
        let unread = lists.iter().map(|listed| {
            let path_counts = self.warm_state.path_counts(listed.distribution);
            let invalidations = listed.invalidations.iter();
            let unread = invalidations.filter(move |id| !path_counts.contains_key(id));
            unread.map(move |id| (listed, id)).collect()
        });
        let unread = in_turn(unread.collect()).into_iter().take(MAX_READS);
        let reads = unread.map(|(listed, id)| async move {
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
        let distributions = lists.into_iter().map(|listed| {
            let path_counts = self.warm_state.path_counts(listed.distribution);
            let invalidations = listed.invalidations.iter();
            let read = invalidations.filter_map(|id| path_counts.get(id));
            DistributionUsage {
                distribution: listed.distribution.clone(),
                invalidations: listed.invalidations.len(),
                paths: read.clone().sum(),
                unread: listed.invalidations.len().saturating_sub(read.count()),
                error: listed.list_error.or(listed.read_error.into_inner()),
            }
        });
        Usage {
            month,
            distributions: distributions.collect(),
        }
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
