//! `Progress`: how far the invalidations of a pipeline job or a direct invocation are.
//!
//! Between the jobs of a pipeline action, a continuation token has it (`pipeline_job::continuation`). A direct invocation starts
//! without progress: a repeated one sends the same requests, and CloudFront returns the invalidations that exist.

use crate::distribution::DistributionId;
use crate::plan::InvalidationId;

/// How far the invalidations of a request are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// In the order in which they were named.
    pub distributions: Vec<DistributionProgress>,
}

/// How far the invalidation of one distribution is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DistributionProgress {
    pub distribution: DistributionId,
    pub stage: Stage,
    pub staging: StagingSearch,
}

/// What was found out about the staging distribution of a distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StagingSearch {
    /// Nothing yet: it is searched, or searched again.
    Pending,
    /// It is invalidated too, or there is none.
    Done,
    /// Viewers possibly get old copies of it, which a warning reported.
    Warned,
}

/// The stage of a distribution's invalidation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// CloudFront has not accepted it yet.
    NotSubmitted,
    /// CloudFront has it, but its id is unknown; the same request may return it.
    Submitted,
    /// CloudFront has it.
    InProgress(InvalidationId),
    /// Every edge has dropped its copies.
    Completed(InvalidationId),
}

impl Stage {
    /// Returns the id of the invalidation, if it is known.
    pub fn invalidation(&self) -> Option<&InvalidationId> {
        match self {
            Self::InProgress(id) | Self::Completed(id) => Some(id),
            Self::NotSubmitted | Self::Submitted => None,
        }
    }
}

impl Progress {
    /// Adds distributions that are not submitted yet.
    pub fn add_distributions(&mut self, distributions: impl IntoIterator<Item = DistributionId>) {
        let added = distributions
            .into_iter()
            .map(|distribution| DistributionProgress {
                distribution,
                stage: Stage::NotSubmitted,
                staging: StagingSearch::Pending,
            });
        self.distributions.extend(added);
    }

    /// Returns how much is done, 0 to 100: a distribution is half done when its invalidation is submitted.
    pub fn percent(&self) -> i32 {
        let halves = self.stages().map(|stage| match stage {
            Stage::NotSubmitted => 0,
            Stage::Submitted | Stage::InProgress(_) => 1,
            Stage::Completed(_) => 2,
        });
        let (done, all) = (
            halves.sum::<usize>(),
            self.distributions.len().saturating_mul(2).max(1),
        );
        i32::try_from(done.saturating_mul(100) / all).unwrap_or(100)
    }

    /// Returns the number of distributions whose invalidation is completed.
    pub fn completed_count(&self) -> usize {
        let completed = self
            .stages()
            .filter(|stage| matches!(stage, Stage::Completed(_)));
        completed.count()
    }

    /// Returns whether every invalidation is completed.
    pub fn all_completed(&self) -> bool {
        !self.distributions.is_empty() && self.completed_count() == self.distributions.len()
    }

    /// Returns whether an invalidation whose id is known is not completed.
    pub fn has_invalidation_in_progress(&self) -> bool {
        self.stages()
            .any(|stage| matches!(stage, Stage::InProgress(_)))
    }

    /// Returns whether the distributions are known and CloudFront has an invalidation of each.
    pub fn all_submitted(&self) -> bool {
        !self.distributions.is_empty() && self.stages().all(|stage| *stage != Stage::NotSubmitted)
    }

    /// Returns whether the staging distribution of one of them is not found yet.
    pub fn has_pending_staging(&self) -> bool {
        let mut distributions = self.distributions.iter();
        distributions.any(|current| current.staging == StagingSearch::Pending)
    }

    fn stages(&self) -> impl Iterator<Item = &Stage> {
        self.distributions.iter().map(|progress| &progress.stage)
    }
}

impl DistributionProgress {
    /// Returns whether its configuration has to be read to find its staging distribution.
    pub fn needs_staging_search(&self) -> bool {
        !self.is_submitted() || self.staging == StagingSearch::Pending
    }

    /// Returns whether CloudFront has its invalidation.
    pub fn is_submitted(&self) -> bool {
        self.stage != Stage::NotSubmitted
    }
}
