//! Every limit and quota of CloudFront, and what follows from them for one request.
//!
//! To use a raised quota, change the two `…_IN_PROGRESS` constants: what one request may hold and how many existing
//! invalidations are read follow from them. `MaxPaths` and `MaxWildcards` of `template.yaml` repeat the maximum.
//!
//! Source: <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/InvalidationLimits.html>

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::existing::ExistingInvalidation;

/// Quota: how many files (paths without a wildcard) may be in progress for a distribution.
pub const MAX_FILES_IN_PROGRESS: usize = 3_000;

/// Quota: how many wildcards may be in progress. AWS does not document whether for a distribution or for the account.
pub const MAX_WILDCARDS_IN_PROGRESS: usize = 15;

/// The maximum of paths in one request, wildcards included: more could never be in progress together.
pub const MAX_PATHS_IN_REQUEST: usize = MAX_FILES_IN_PROGRESS;

/// The maximum of wildcards in one request.
pub const MAX_WILDCARDS_IN_REQUEST: usize = MAX_WILDCARDS_IN_PROGRESS;

/// How many existing invalidations of a distribution are read at most: those that can be in progress if each has a
/// wildcard, and some that are completed. Reading fewer may repeat work; it never skips any.
pub const MAX_INVALIDATIONS_READ: usize = MAX_WILDCARDS_IN_PROGRESS + 5;

/// How often CloudFront accepts CreateInvalidation in an account, after about ten calls at once: 0.5 calls a second, by a maintainer
/// of an AWS SDK (<https://github.com/aws/aws-sdk-js/issues/3983>). AWS documents no rate.
pub const TIME_PER_CALL: Duration = Duration::from_secs(2);

/// How old the oldest message of a batch is when the queue counts as a backlog.
const BACKLOG_AGE: TimeDelta = TimeDelta::minutes(15);

/// The limits of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The maximum of paths, wildcards included; each path is billed alike.
    pub paths: usize,
    /// The maximum of wildcards among them; 0 if no wildcard is left.
    pub wildcards: usize,
    /// How much more harm is accepted for fewer paths.
    pub economy: Economy,
}

impl Limits {
    /// No limits: nothing is merged to need fewer paths.
    pub const UNLIMITED: Self = Self {
        paths: usize::MAX,
        wildcards: usize::MAX,
        economy: Economy::NONE,
    };

    /// What CloudFront allows in one request, for paths that somebody requested by name.
    pub const REQUESTED_PATHS: Self = Self {
        paths: MAX_PATHS_IN_REQUEST,
        wildcards: MAX_WILDCARDS_IN_REQUEST,
        economy: Economy::NONE,
    };

    /// The default for the changes of a bucket. It leaves a third of the wildcards to pipelines and users.
    pub const BUCKET_CHANGES: Self = Self {
        paths: 20,
        wildcards: 10,
        economy: Economy::NONE,
    };

    /// One path, a wildcard if needed: each call to CloudFront then drains as much of a backlog as it can.
    pub const BACKLOG: Self = Self {
        paths: 1,
        wildcards: 1,
        economy: Economy::NONE,
    };

    /// Returns [`Limits::BACKLOG`] if the oldest message was sent more than 15 minutes ago, else these limits.
    pub fn for_backlog(self, oldest: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Self {
        match oldest {
            Some(oldest) if now.signed_duration_since(oldest) > BACKLOG_AGE => Self::BACKLOG,
            _ => self,
        }
    }

    /// Returns what the existing invalidations in progress leave of these limits: possibly no wildcard, but at least
    /// one path.
    pub fn remaining(self, existing: &[ExistingInvalidation]) -> Self {
        let paths_in_progress = existing
            .iter()
            .filter(|invalidation| invalidation.is_in_progress())
            .flat_map(|invalidation| &invalidation.paths);
        let (wildcards, files): (Vec<_>, Vec<_>) =
            paths_in_progress.partition(|path| path.is_wildcard());
        let wildcards = MAX_WILDCARDS_IN_PROGRESS.saturating_sub(wildcards.len());
        let files = MAX_FILES_IN_PROGRESS.saturating_sub(files.len());
        Self {
            paths: self.paths.min(files.saturating_add(wildcards)).max(1),
            wildcards: self.wildcards.min(wildcards),
            ..self
        }
    }
}

/// How much more harm to unchanged objects is accepted for fewer paths: a share of the least possible harm, 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Economy {
    thousandths: u16,
}

impl Economy {
    /// The default: fewer paths only without more harm.
    pub const NONE: Self = Self { thousandths: 0 };

    /// Parses a share such as `0.1`, and rounds it to a thousandth.
    ///
    /// # Errors
    ///
    /// Returns a message that names the text and the range.
    pub fn parse(text: &str) -> Result<Self, String> {
        text.parse::<f64>()
            .ok()
            .filter(|share| (0.0..=1.0).contains(share))
            .map(|share| Self {
                thousandths: (share * 1_000.0).round() as u16,
            })
            .ok_or_else(|| format!("{text:?} is not a number from 0 to 1, such as 0.1 for 10 %"))
    }

    /// Returns whether a plan may do this harm, if `least` is the least harm that is possible.
    pub(super) fn accepts(self, harm: f64, least: f64) -> bool {
        // Exact for counts of objects, and without economy for estimates too: nothing is rounded then.
        (harm - least) * 1_000.0 <= least * f64::from(self.thousandths)
    }
}

#[cfg(test)]
mod tests;
