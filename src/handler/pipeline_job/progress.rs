//! `Progress`: what a pipeline job has done so far, and the continuation token that carries it to the next job.
//!
//! A job that is not done is reported with a continuation token, and the pipeline starts a new job, with a new id, that
//! brings the token back. So the token holds everything: the id of the first job, from which the caller references are
//! derived, when it started, and the stage of each distribution.
//!
//! The token is `1 JOB SECONDS ENTRY ENTRY …`: its version, the id of the first job, when that started in seconds since
//! 1970, and one entry for each distribution: `E2EXAMPLE1ABC:` (not submitted), `E2EXAMPLE1ABC:?` (submitted, id
//! unknown), `E2EXAMPLE1ABC:I3K9` (in progress), `E2EXAMPLE1ABC:I3K9+` (completed). Without entries, the names of the
//! distributions are not resolved yet.

use std::time::{Duration, SystemTime};

use crate::distribution::DistributionId;
use crate::duration::DEFAULT_WAIT;
use crate::error::Error;
use crate::outcome::Completion;
use crate::plan::InvalidationId;
use crate::trigger::codepipeline::JobId;
use crate::trigger::user_parameters::OnTimeout;

/// The maximum length of a continuation token:
/// <https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_PutJobSuccessResult.html>.
const MAX_TOKEN_CHARACTERS: usize = 2_048;

/// The version of the token. Another version is refused, not guessed at.
const VERSION: &str = "1";

/// What a job has done so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Progress {
    /// The first job of the action.
    pub first_job: JobId,
    /// When it started, to the second.
    pub started: SystemTime,
    /// In the order in which they were named.
    pub distributions: Vec<DistributionProgress>,
}

/// What a job has done so far for one distribution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DistributionProgress {
    pub distribution: DistributionId,
    pub stage: Stage,
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

impl Progress {
    /// Starts at `now`, without distributions.
    pub fn start(job: JobId, now: SystemTime) -> Self {
        Self {
            first_job: job,
            started: to_the_second(now),
            distributions: Vec::new(),
        }
    }

    /// Adds distributions that are not submitted yet.
    pub fn add_distributions(&mut self, distributions: impl IntoIterator<Item = DistributionId>) {
        let added = distributions
            .into_iter()
            .map(|distribution| DistributionProgress {
                distribution,
                stage: Stage::NotSubmitted,
            });
        self.distributions.extend(added);
    }

    /// Returns how long ago the first job started.
    pub fn age(&self, now: SystemTime) -> Duration {
        now.duration_since(self.started).unwrap_or_default()
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

    /// Returns whether the distributions are known and CloudFront has an invalidation of each.
    pub fn all_submitted(&self) -> bool {
        !self.distributions.is_empty() && self.stages().all(|stage| *stage != Stage::NotSubmitted)
    }

    fn stages(&self) -> impl Iterator<Item = &Stage> {
        self.distributions.iter().map(|progress| &progress.stage)
    }

    /// Writes the token. Returns `None` if it is longer than CodePipeline accepts.
    pub fn to_token(&self) -> Option<String> {
        let started = self
            .started
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        let mut token = format!("{VERSION} {} {started}", self.first_job);
        for DistributionProgress {
            distribution,
            stage,
        } in &self.distributions
        {
            let (id, mark) = match stage {
                Stage::NotSubmitted => ("", ""),
                Stage::Submitted => ("?", ""),
                Stage::InProgress(id) => (id.as_str(), ""),
                Stage::Completed(id) => (id.as_str(), "+"),
            };
            token.push_str(&format!(" {distribution}:{id}{mark}"));
        }
        (token.len() <= MAX_TOKEN_CHARACTERS).then_some(token)
    }

    /// Reads a token.
    ///
    /// # Errors
    ///
    /// [`Error`] if the token is of another version or damaged.
    pub fn from_token(token: &str) -> Result<Self, Error> {
        let mut parts = token.split(' ');
        let version = parts.next().unwrap_or_default();
        if version != VERSION {
            return Err(Error::invalid_input(format!(
                "the continuation token has version {version:?}, and this function reads {VERSION:?}: the function was \
                 updated during the wait, so run the action again"
            )));
        }
        read_parts(parts).ok_or_else(|| {
            Error::invalid_input(
                "the continuation token is damaged, so it is unknown what was done: run the action again",
            )
        })
    }
}

fn read_parts<'a>(mut parts: impl Iterator<Item = &'a str>) -> Option<Progress> {
    let first_job = parts.next().and_then(JobId::parse)?;
    let started =
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(parts.next()?.parse().ok()?))?;
    let distributions = parts.map(read_entry).collect::<Option<_>>()?;
    Some(Progress {
        first_job,
        started,
        distributions,
    })
}

fn read_entry(entry: &str) -> Option<DistributionProgress> {
    let (distribution, stage) = entry.split_once(':')?;
    let stage = match (stage, stage.strip_suffix('+')) {
        (_, Some("")) => return None,
        (_, Some(id)) => Stage::Completed(InvalidationId::new(id)),
        ("", _) => Stage::NotSubmitted,
        ("?", _) => Stage::Submitted,
        (id, _) => Stage::InProgress(InvalidationId::new(id)),
    };
    Some(DistributionProgress {
        distribution: DistributionId::parse(distribution).ok()?,
        stage,
    })
}

fn to_the_second(time: SystemTime) -> SystemTime {
    let since_epoch = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_secs(since_epoch.as_secs())
}

/// What decides the next report of a job that has not failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DecisionInput {
    /// Whether CloudFront has an invalidation of each distribution.
    pub all_submitted: bool,
    /// Whether all of them are completed.
    pub all_completed: bool,
    /// How long ago the first job of the action started.
    pub waited: Duration,
    /// How long the job waits for completion; zero for not at all.
    pub wait: Duration,
    /// What to report if the invalidations are not completed by then.
    pub on_timeout: OnTimeout,
    /// Whether the progress fits into a continuation token.
    pub fits_token: bool,
}

/// What a job reports next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Report success.
    Succeed(Completion),
    /// Report a continuation token.
    Continue,
    /// Report failure: CloudFront did not accept all invalidations in time, or before the progress became too long for
    /// a token.
    FailNotSubmitted,
    /// Report failure: the invalidations are not completed in time.
    FailNotCompleted,
}

/// Decides what a job reports next.
///
/// Both limits are counted from the start of the first job. `wait` limits only how long completion is waited for; a job
/// that submits late still polls once. CloudFront can refuse requests or fail for at least [`DEFAULT_WAIT`].
pub(super) fn decide(state: DecisionInput) -> Decision {
    let DecisionInput {
        all_submitted,
        all_completed,
        waited,
        wait,
        on_timeout,
        fits_token,
    } = state;
    match (all_submitted, all_completed) {
        (false, _) if waited >= wait.max(DEFAULT_WAIT) || !fits_token => Decision::FailNotSubmitted,
        (false, _) => Decision::Continue,
        (true, _) if wait.is_zero() => Decision::Succeed(Completion::NotAwaited),
        (true, true) => Decision::Succeed(Completion::Completed),
        (true, false) if waited >= wait => match on_timeout {
            OnTimeout::Succeed => Decision::Succeed(Completion::TimedOut),
            OnTimeout::Fail => Decision::FailNotCompleted,
        },
        (true, false) if fits_token => Decision::Continue,
        (true, false) => Decision::Succeed(Completion::NotAwaited),
    }
}

#[cfg(test)]
mod tests;
