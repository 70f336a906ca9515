//! `Progress`: what a pipeline job has done so far, and the continuation token that carries it to the next job.
//!
//! A job that is not done is reported with a continuation token, and the pipeline starts a new job, with a new id, that
//! brings the token back. So the token holds everything: the id of the first job, from which the caller references are
//! derived, when it started, and the stage of each distribution. [`Progress::to_token`] describes its form.

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

/// The version of a token whose invalidations were submitted by the first job, or not all yet. Other versions than the
/// two are refused, not guessed at.
const VERSION: &str = "1";

/// The version of a token with the time of a later submission.
const VERSION_SUBMITTED_LATER: &str = "2";

/// What a job has done so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Progress {
    /// The first job of the action.
    pub first_job: JobId,
    /// When it started, to the second.
    pub started: SystemTime,
    /// When all invalidations were submitted, to the second, if that was in a later job.
    pub submitted_later: Option<SystemTime>,
    /// In the order in which they were named.
    pub distributions: Vec<DistributionProgress>,
}

/// What a job has done so far for one distribution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DistributionProgress {
    pub distribution: DistributionId,
    pub stage: Stage,
    /// Whether a job of the action warned that viewers may get old copies of a staging distribution.
    pub has_staging_warning: bool,
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
            submitted_later: None,
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
                has_staging_warning: false,
            });
        self.distributions.extend(added);
    }

    /// Returns how long ago the first job started.
    pub fn age(&self, now: SystemTime) -> Duration {
        now.duration_since(self.started).unwrap_or_default()
    }

    /// Notes that a later job than the first one has submitted the last invalidation.
    pub fn set_submitted_later(&mut self, now: SystemTime) {
        self.submitted_later = Some(to_the_second(now));
    }

    /// Returns for how long completion has been awaited.
    pub fn waited(&self, now: SystemTime) -> Duration {
        let since = self.submitted_later.unwrap_or(self.started);
        now.duration_since(since).unwrap_or_default()
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
    ///
    /// The token is `1 JOB SECONDS ENTRY ENTRY …`: its version, the id of the first job, when that started in seconds
    /// since 1970, and an entry for each distribution. Without entries, the names of the distributions are not resolved
    /// yet. If a later job than the first one submitted the last invalidation, the token is
    /// `2 JOB SECONDS SUBMITTED ENTRY …`, with the seconds of that time.
    ///
    /// | entry | stage |
    /// |---|---|
    /// | `E2EXAMPLE1ABC:` | not submitted |
    /// | `E2EXAMPLE1ABC:?` | submitted, id unknown |
    /// | `E2EXAMPLE1ABC:I3K9` | in progress |
    /// | `E2EXAMPLE1ABC:I3K9+` | completed |
    ///
    /// A `!` at the end of an entry means a warning about its staging distribution.
    pub fn to_token(&self) -> Option<String> {
        let seconds = |time: SystemTime| {
            let since_epoch = time.duration_since(SystemTime::UNIX_EPOCH);
            since_epoch.unwrap_or_default().as_secs()
        };
        let (job, started) = (&self.first_job, seconds(self.started));
        let mut token = match self.submitted_later {
            None => format!("{VERSION} {job} {started}"),
            Some(submitted) => {
                let submitted = seconds(submitted);
                format!("{VERSION_SUBMITTED_LATER} {job} {started} {submitted}")
            }
        };
        for DistributionProgress {
            distribution,
            stage,
            has_staging_warning,
        } in &self.distributions
        {
            let (id, mark) = match stage {
                Stage::NotSubmitted => ("", ""),
                Stage::Submitted => ("?", ""),
                Stage::InProgress(id) => (id.as_str(), ""),
                Stage::Completed(id) => (id.as_str(), "+"),
            };
            let warning = if *has_staging_warning { "!" } else { "" };
            token.push_str(&format!(" {distribution}:{id}{mark}{warning}"));
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
        let is_submitted_later = version == VERSION_SUBMITTED_LATER;
        if version != VERSION && !is_submitted_later {
            return Err(Error::invalid_input(format!(
                "the continuation token has version {version:?}, and this function reads {VERSION:?} and \
                 {VERSION_SUBMITTED_LATER:?}: the function was updated during the wait, so run the action again"
            )));
        }
        read_parts(parts, is_submitted_later).ok_or_else(|| {
            Error::invalid_input(
                "the continuation token is damaged, so it is unknown what was done: run the action again",
            )
        })
    }
}

fn read_parts<'a>(
    mut parts: impl Iterator<Item = &'a str>,
    is_submitted_later: bool,
) -> Option<Progress> {
    let first_job = parts.next().and_then(JobId::parse)?;
    let started = read_time(parts.next()?)?;
    let submitted_later = if is_submitted_later {
        Some(read_time(parts.next()?)?)
    } else {
        None
    };
    let distributions = parts.map(read_entry).collect::<Option<_>>()?;
    Some(Progress {
        first_job,
        started,
        submitted_later,
        distributions,
    })
}

fn read_time(seconds: &str) -> Option<SystemTime> {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds.parse().ok()?))
}

fn read_entry(entry: &str) -> Option<DistributionProgress> {
    let (distribution, stage) = entry.split_once(':')?;
    let (stage, has_staging_warning) = match stage.strip_suffix('!') {
        Some(stage) => (stage, true),
        None => (stage, false),
    };
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
        has_staging_warning,
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
    pub age: Duration,
    /// For how long completion has been awaited.
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
/// `wait` limits how long completion is awaited: from the start of the first job, or from the submission in a later one.
/// CloudFront can refuse requests or fail for `wait` from the start of the first job, and for at least [`DEFAULT_WAIT`].
pub(super) fn decide(state: DecisionInput) -> Decision {
    let DecisionInput {
        all_submitted,
        all_completed,
        age,
        waited,
        wait,
        on_timeout,
        fits_token,
    } = state;
    match (all_submitted, all_completed) {
        (false, _) if age >= wait.max(DEFAULT_WAIT) || !fits_token => Decision::FailNotSubmitted,
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
