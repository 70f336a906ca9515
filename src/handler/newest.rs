//! `NewestInvalidations`: the newest invalidations of some distributions, with their paths.
//!
//! ListInvalidations returns no paths, so only the invalidations that are shown are read: those in progress, and the newest
//! others. What cannot be listed or read is named, so that nobody takes an invalidation for missing that CloudFront has.

use std::cmp::Reverse;

use chrono::{DateTime, Utc};
use futures_util::{StreamExt, stream};
use tokio::time::Instant;

use super::{Invalidator, half_way};
use crate::aws::cloudfront::InvalidationSummary;
use crate::distribution::DistributionId;
use crate::error::Error;
use crate::invocation::Invocation;
use crate::path::SubmittedPath;
use crate::plan::{InvalidationId, InvalidationStatus};

/// How many invalidations in progress are shown.
const MAX_IN_PROGRESS: usize = 5;

/// How many invalidations are shown if fewer are in progress.
const MAX_SHOWN: usize = 3;

/// How many calls are made at a time.
const CONCURRENT_CALLS: usize = 8;

/// The newest invalidations of some distributions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewestInvalidations {
    /// Newest first: those in progress, up to five, and other ones up to three in all.
    pub shown: Vec<ShownInvalidation>,
    /// How many of the newest hundred of each distribution are in progress and not shown.
    pub others_in_progress: usize,
    /// The distributions whose invalidations could not be listed.
    pub unlisted: Vec<(DistributionId, Error)>,
}

/// An invalidation with its paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownInvalidation {
    /// Its distribution.
    pub distribution: DistributionId,
    /// Its id.
    pub id: InvalidationId,
    /// When CloudFront created it.
    pub created: DateTime<Utc>,
    /// Its status.
    pub status: InvalidationStatus,
    /// Its paths, or why they could not be read.
    pub paths: Result<Vec<SubmittedPath>, Error>,
}

impl Invalidator {
    /// Returns the newest invalidations of the distributions, read before `deadline`.
    pub async fn newest_invalidations(
        &self,
        distributions: &[DistributionId],
        deadline: Instant,
        invocation: &Invocation,
    ) -> NewestInvalidations {
        let cloudfront = self.cloudfront(invocation);
        let end_of_lists = half_way(deadline);
        let lists = distributions.iter().map(|distribution| async move {
            let listed = cloudfront.newest_invalidations(distribution, end_of_lists);
            (distribution, listed.await)
        });
        let lists: Vec<_> = stream::iter(lists)
            .buffered(CONCURRENT_CALLS)
            .collect()
            .await;
        let mut listed = Vec::new();
        let mut unlisted = Vec::new();
        for (distribution, list) in lists {
            match list {
                Ok(list) => listed.extend(list.into_iter().map(|summary| (distribution, summary))),
                Err(error) => unlisted.push((distribution.clone(), error)),
            }
        }
        let (chosen, others_in_progress) = choose(listed);
        let shown = chosen
            .into_iter()
            .map(|(distribution, summary)| async move {
                let InvalidationSummary {
                    id,
                    created,
                    status,
                } = summary;
                let read = cloudfront
                    .invalidation_before(distribution, &id, deadline)
                    .await;
                ShownInvalidation {
                    distribution: distribution.clone(),
                    // It is newer than that of the list.
                    status: read.as_ref().map_or(status, |read| read.status),
                    paths: read.map(|read| read.paths),
                    id,
                    created,
                }
            });
        let shown = stream::iter(shown).buffered(CONCURRENT_CALLS).collect();
        NewestInvalidations {
            shown: shown.await,
            others_in_progress,
            unlisted,
        }
    }
}

/// An invalidation with its distribution.
type Listed<'a> = (&'a DistributionId, InvalidationSummary);

/// Returns the invalidations to show, newest first, and how many others are in progress.
fn choose(mut listed: Vec<Listed<'_>>) -> (Vec<Listed<'_>>, usize) {
    listed.sort_by_key(|(_, summary)| Reverse(summary.created));
    let is_in_progress = |(_, summary): &&Listed<'_>| summary.is_in_progress();
    let in_progress = listed.iter().filter(is_in_progress).count();
    let mut left_in_progress = in_progress.min(MAX_IN_PROGRESS);
    let mut left_completed = MAX_SHOWN.saturating_sub(left_in_progress);
    let others_in_progress = in_progress.saturating_sub(left_in_progress);
    listed.retain(|(_, summary)| {
        let left = if summary.is_in_progress() {
            &mut left_in_progress
        } else {
            &mut left_completed
        };
        let is_shown = *left > 0;
        *left = left.saturating_sub(1);
        is_shown
    });
    (listed, others_in_progress)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_in_progress_and_the_newest_others_are_shown() {
        let ids = ["E1EXAMPLE1ABC", "E2EXAMPLE1ABC"];
        let [first, second] = ids.map(|id| DistributionId::parse(id).expect("an id"));
        // Each letter is an invalidation, the newest first; one in upper case is in progress.
        for (of_first, of_second, expected, others_in_progress) in [
            ("", "", "", 0),
            ("abcd", "", "abc", 0),
            ("ace", "bdf", "abc", 0),
            ("abcD", "", "abD", 0),
            ("Abc", "dEF", "AEF", 0),
            ("aBCDE", "", "BCDE", 0),
            ("ACEGI", "BDFH", "ABCDE", 4),
        ] {
            let summaries = |distribution, letters: &'static str| {
                letters.chars().map(move |letter| {
                    let age = i64::from(u32::from(letter.to_ascii_lowercase()));
                    let summary = InvalidationSummary {
                        id: InvalidationId::new(letter),
                        created: DateTime::from_timestamp(1_800_000_000 - age, 0).expect("a time"),
                        status: match letter.is_uppercase() {
                            true => InvalidationStatus::InProgress,
                            false => InvalidationStatus::Completed,
                        },
                    };
                    (distribution, summary)
                })
            };
            let listed = summaries(&second, of_second).chain(summaries(&first, of_first));
            let (shown, others) = choose(listed.collect());
            let shown = shown.iter().map(|(_, summary)| summary.id.as_str());
            let shown: String = shown.collect();
            assert_eq!((shown.as_str(), others), (expected, others_in_progress));
        }
    }
}
