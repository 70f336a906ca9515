//! `DailyBudget`: limits the paths of an invalidation of changed objects to those that are left today.
//!
//! The paths of today are those of the invalidations that CloudFront lists, whoever created them. They are read while
//! the configurations are read, in at most a second. What is not known then counts as little as possible: an
//! invalidation that is not read counts as one path. If no list can be read, the event is handled without the budget.
//!
//! The rule: less is left for a retry, because its first attempt counts too. So the caller reference does not depend on
//! what is left (`Batch::replacing`), and an attempt that CloudFront has accepted is repeated as it was.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tracing::{info, warn};

use super::Invalidator;
use super::usage::{ListOptions, Listed};
use crate::billing::day_of;
use crate::distribution::DistributionId;
use crate::invocation::Invocation;
use crate::plan::ExistingInvalidation;

/// How long reading the paths of today can take.
const MAX_READ_TIME: Duration = Duration::from_secs(1);

/// How many invalidations are read for the budget in one event.
pub(super) const MAX_READS: usize = 20;

/// The beginning of a line of the log; the error follows.
const CONSEQUENCE: &str = "DailyPathBudget leaves out what this distribution has used today";

/// The budget of today. The distributions that are handled together share it.
#[derive(Debug)]
pub(super) struct DailyBudget {
    paths: usize,
    used: AtomicUsize,
}

impl DailyBudget {
    /// Returns `None` without a budget, or if it is unknown how much of it is used.
    pub(super) fn new(paths: Option<NonZeroUsize>, used: Option<usize>) -> Option<Self> {
        Some(Self {
            paths: paths?.get(),
            used: used?.into(),
        })
    }

    /// Returns how many paths a batch gets that needs more than are left; `None` if it needs no more.
    pub(super) fn left_for(&self, needed: usize) -> Option<usize> {
        left_for(needed, self.paths, self.used())
    }

    /// Counts the paths of a batch that is sent.
    pub(super) fn add(&self, paths: usize) {
        self.used.fetch_add(paths, Ordering::Relaxed);
    }

    /// Returns why a batch has these paths instead of as many as it needs.
    pub(super) fn note(&self, paths: usize, needed: usize) -> String {
        let (budget, used) = (self.paths, self.used());
        let reason = match used {
            0 => format!("DailyPathBudget is {budget}"),
            _ if used >= budget => format!("the DailyPathBudget of {budget} is used up today"),
            1 => format!("1 of the {budget} paths of DailyPathBudget is used today"),
            _ => format!("{used} of the {budget} paths of DailyPathBudget are used today"),
        };
        format!("{}, because {reason}", instead(paths, needed))
    }

    fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}

/// Returns why a batch that repeats an earlier attempt has fewer paths than it needs.
pub(super) fn note_of_repetition(
    paths: usize,
    needed: usize,
    earlier: &ExistingInvalidation,
) -> String {
    let id = &earlier.id;
    format!("{}, as in the earlier attempt {id}", instead(paths, needed))
}

fn instead(paths: usize, needed: usize) -> String {
    let plural = if paths == 1 { "" } else { "s" };
    format!("{paths} path{plural} instead of {needed}")
}

/// Returns how many paths a batch gets that needs more than are left: at least one, because its changes must be
/// invalidated. `None` if it needs no more.
fn left_for(needed: usize, budget: usize, used: usize) -> Option<usize> {
    let left = budget.saturating_sub(used).max(1);
    (needed > left).then_some(left)
}

impl Invalidator {
    /// Returns how many paths today's invalidations of the distributions have, as far as it is known. Returns `None`
    /// without a budget, and if no distribution can be listed. Reads at most `reads_left` invalidations.
    pub(super) async fn paths_used_today(
        &self,
        budget: Option<NonZeroUsize>,
        distributions: &[DistributionId],
        reads_left: &mut usize,
        invocation: &Invocation,
    ) -> Option<usize> {
        let budget = budget?.get();
        let now = self.clock.now();
        let deadline = invocation.end_of_read(MAX_READ_TIME);
        let can_list = |distribution: &&DistributionId| self.warm_state.can_list(distribution, now);
        let distributions = distributions.iter().filter(can_list);
        let options = ListOptions {
            created: day_of(now.into()),
            // Each has at least one path, so this many use up the budget.
            maximum: budget,
            deadline,
        };
        let mut listed = self.list_created(distributions, options, invocation).await;
        for Listed {
            distribution,
            list_error,
            ..
        } in &listed
        {
            match list_error {
                Some(error) if error.is_access_denied() => {
                    self.warm_state.set_listing_denied(distribution, now);
                    warn!("{CONSEQUENCE}: {error}");
                }
                Some(error) => info!("{CONSEQUENCE} this time: {error}"),
                None => {}
            }
        }
        // The newest pages count, even if the others cannot be listed.
        listed.retain(|listed| listed.list_error.is_none() || !listed.invalidations.is_empty());
        if listed.is_empty() {
            return None;
        }
        let used = || {
            let counts = listed.iter().map(|listed| self.count_paths(listed));
            counts.map(|(paths, unread)| paths + unread).sum::<usize>()
        };
        if used() < budget {
            let reads = self.read_path_counts(&listed, *reads_left, deadline, invocation);
            *reads_left = reads_left.saturating_sub(reads.await);
        }
        Some(used())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_that_needs_more_than_is_left_gets_what_is_left_and_at_least_one_path() {
        for (used, needed, expected) in [
            (0, 20, None),
            (80, 20, None),
            (81, 20, Some(19)),
            (97, 17, Some(3)),
            (98, 2, None),
            (99, 2, Some(1)),
            (100, 2, Some(1)),
            (100, 1, None),
            (250, 17, Some(1)),
            (250, 1, None),
            (0, 101, Some(100)),
            (usize::MAX, 2, Some(1)),
        ] {
            assert_eq!(left_for(needed, 100, used), expected, "{used} {needed}");
        }
    }

    #[test]
    fn a_note_has_the_paths_and_the_reason() {
        for (used, budget, paths, text) in [
            (
                97,
                100,
                3,
                "3 paths instead of 17, because 97 of the 100 paths of DailyPathBudget are used today",
            ),
            (
                1,
                9,
                8,
                "8 paths instead of 17, because 1 of the 9 paths of DailyPathBudget is used today",
            ),
            (
                100,
                100,
                1,
                "1 path instead of 17, because the DailyPathBudget of 100 is used up today",
            ),
            (
                9,
                1,
                1,
                "1 path instead of 17, because the DailyPathBudget of 1 is used up today",
            ),
            (
                0,
                10,
                10,
                "10 paths instead of 17, because DailyPathBudget is 10",
            ),
        ] {
            let budget = DailyBudget::new(NonZeroUsize::new(budget), Some(used));
            assert_eq!(budget.expect("a budget").note(paths, 17), text);
        }
    }
}
