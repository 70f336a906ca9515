//! `JobProgress`: what a pipeline job has done so far, and the continuation token that carries it to the next job.
//!
//! A job that is not done is reported with a continuation token, and the pipeline starts a new job, with a new id, that
//! brings the token back. So the token holds everything: the id of the first job, from which the caller references are
//! derived, when it started, and the stage of each distribution. [`JobProgress::to_token`] describes its form.

use std::time::{Duration, SystemTime};

use crate::distribution::DistributionId;
use crate::duration::{DEFAULT_WAIT, MAX_WAIT};
use crate::error::Error;
use crate::handler::progress::{DistributionProgress, Progress, Stage, StagingSearch};
use crate::outcome::Completion;
use crate::plan::InvalidationId;
use crate::trigger::codepipeline::JobId;
use crate::trigger::request::OnTimeout;

/// The maximum length of a continuation token:
/// <https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_PutJobSuccessResult.html>.
const MAX_TOKEN_CHARACTERS: usize = 2_048;

/// The version of a token without a time of submission and without marks of staging distributions. Other versions than
/// the two are refused, not guessed at.
const VERSION: &str = "1";

/// The version of a token with both.
const VERSION_WITH_SUBMISSION: &str = "2";

/// How long after the start of the first job a submission is noted. An ordinary one stays below it, so that an older
/// version of this function can read the token.
const MIN_SUBMISSION_TIME: Duration = Duration::from_secs(2);

/// What a job has done so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct JobProgress {
    /// The first job of the action.
    pub first_job: JobId,
    /// When it started, to the second.
    pub started: SystemTime,
    /// When all invalidations were submitted, to the second, if that was some seconds after the start.
    pub submitted: Option<SystemTime>,
    /// How far its invalidations are.
    pub invalidations: Progress,
}

impl JobProgress {
    /// Starts at `now`, without distributions.
    pub fn start(job: JobId, now: SystemTime) -> Self {
        Self {
            first_job: job,
            started: to_the_second(now),
            submitted: None,
            invalidations: Progress::default(),
        }
    }

    /// Returns how long ago the first job started.
    pub fn age(&self, now: SystemTime) -> Duration {
        now.duration_since(self.started).unwrap_or_default()
    }

    /// Notes that the last invalidation was submitted.
    pub fn set_submitted(&mut self, now: SystemTime) {
        if self.age(now) >= MIN_SUBMISSION_TIME {
            self.submitted = Some(to_the_second(now));
        }
    }

    /// Returns for how long completion has been awaited.
    pub fn waited(&self, now: SystemTime) -> Duration {
        let since = self.submitted.unwrap_or(self.started);
        now.duration_since(since).unwrap_or_default()
    }

    /// Writes the token. Returns `None` if it is longer than CodePipeline accepts.
    ///
    /// The token is `1 JOB SECONDS ENTRY ENTRY …`: its version, the id of the first job, when that started in seconds
    /// since 1970, and an entry for each distribution. Without entries, the names of the distributions are not resolved
    /// yet. If the last invalidation was submitted some seconds later, or an entry has a mark of a staging distribution, the
    /// token is `2 JOB SECONDS SUBMITTED ENTRY …`, with the time of the submission, or else of the start.
    ///
    /// | entry | stage |
    /// |---|---|
    /// | `E2EXAMPLE1ABC:` | not submitted |
    /// | `E2EXAMPLE1ABC:?` | submitted, id unknown |
    /// | `E2EXAMPLE1ABC:I3K9` | in progress |
    /// | `E2EXAMPLE1ABC:I3K9+` | completed |
    ///
    /// A `!` at the end of an entry means a warning about its staging distribution, a `*` that the next job searches it
    /// again. The staging distribution of one that is not submitted is searched in any case.
    pub fn to_token(&self) -> Option<String> {
        let seconds = |time: SystemTime| {
            let since_epoch = time.duration_since(SystemTime::UNIX_EPOCH);
            since_epoch.unwrap_or_default().as_secs()
        };
        let (job, started) = (&self.first_job, seconds(self.started));
        let distributions = &self.invalidations.distributions;
        let has_mark = distributions
            .iter()
            .any(|current| !mark(current).is_empty());
        let mut token = match self.submitted {
            None if !has_mark => format!("{VERSION} {job} {started}"),
            submitted => {
                let submitted = submitted.map_or(started, seconds);
                format!("{VERSION_WITH_SUBMISSION} {job} {started} {submitted}")
            }
        };
        for current in distributions {
            let (distribution, stage) = (&current.distribution, &current.stage);
            let (id, completed) = match stage {
                Stage::NotSubmitted => ("", ""),
                Stage::Submitted => ("?", ""),
                Stage::InProgress(id) => (id.as_str(), ""),
                Stage::Completed(id) => (id.as_str(), "+"),
            };
            let mark = mark(current);
            token.push_str(&format!(" {distribution}:{id}{completed}{mark}"));
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
        let has_submission = version == VERSION_WITH_SUBMISSION;
        if version != VERSION && !has_submission {
            return Err(Error::invalid_input(format!(
                "the continuation token has version {version:?}, and this function reads {VERSION:?} and \
                 {VERSION_WITH_SUBMISSION:?}: the function was updated during the wait, so run the action again"
            )));
        }
        read_parts(parts, has_submission).ok_or_else(|| {
            Error::invalid_input(
                "the continuation token is damaged, so it is unknown what was done: run the action again",
            )
        })
    }
}

/// Returns the mark of an entry in a token about its staging distribution.
fn mark(current: &DistributionProgress) -> &'static str {
    match (&current.stage, current.staging) {
        (Stage::NotSubmitted, _) | (_, StagingSearch::Done) => "",
        (_, StagingSearch::Pending) => "*",
        (_, StagingSearch::Warned) => "!",
    }
}

fn read_parts<'a>(
    mut parts: impl Iterator<Item = &'a str>,
    has_submission: bool,
) -> Option<JobProgress> {
    let first_job = parts.next().and_then(JobId::parse)?;
    let started = read_time(parts.next()?)?;
    let submitted = if has_submission {
        // The start stands for "not noted".
        Some(read_time(parts.next()?)?).filter(|submitted| *submitted != started)
    } else {
        None
    };
    let distributions = parts.map(read_entry).collect::<Option<_>>()?;
    Some(JobProgress {
        first_job,
        started,
        submitted,
        invalidations: Progress { distributions },
    })
}

fn read_time(seconds: &str) -> Option<SystemTime> {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds.parse().ok()?))
}

fn read_entry(entry: &str) -> Option<DistributionProgress> {
    let (distribution, stage) = entry.split_once(':')?;
    let (stage, staging) = match (stage.strip_suffix('!'), stage.strip_suffix('*')) {
        (Some(stage), _) => (stage, StagingSearch::Warned),
        (_, Some(stage)) => (stage, StagingSearch::Pending),
        _ if stage.is_empty() => (stage, StagingSearch::Pending),
        _ => (stage, StagingSearch::Done),
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
        staging,
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
    /// Whether CloudFront has an invalidation of each distribution, also of staging distributions that have to be
    /// invalidated.
    pub all_submitted: bool,
    /// Whether all of them are completed.
    pub all_completed: bool,
    /// Whether the next job would search a staging distribution that possibly has to be invalidated.
    pub has_pending_staging: bool,
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
    /// What is known about what viewers get.
    pub verification: VerificationState,
}

/// What a job knows about what viewers get, as far as it decides the next report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum VerificationState {
    /// Nothing has to be verified, or the result does not fail the job.
    Settled,
    /// Nothing, and the job has to verify.
    Pending,
    /// They still get old content, which fails the job.
    Failed,
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
    /// Report failure: viewers still get old content.
    FailStale,
}

/// Decides what a job reports next.
///
/// `wait` limits how long completion is awaited, from the submission, and [`MAX_WAIT`] from the start of the first job,
/// because CodePipeline ends the action after 24 hours. CloudFront can refuse requests or fail for `wait` from the start
/// of the first job, and for at least [`DEFAULT_WAIT`]. A staging distribution that only possibly has to be invalidated
/// is searched until both limits; then the job does not fail. A verification for which the function's time was not enough
/// is left to the next job until then, too.
pub(super) fn decide(state: DecisionInput) -> Decision {
    let DecisionInput {
        all_submitted,
        all_completed,
        has_pending_staging,
        age,
        waited,
        wait,
        on_timeout,
        fits_token,
        verification,
    } = state;
    let can_submit = age < wait.max(DEFAULT_WAIT);
    let can_wait = waited < wait && age < MAX_WAIT;
    match (all_submitted, all_completed) {
        (false, _) if can_submit && fits_token => Decision::Continue,
        (false, _) => Decision::FailNotSubmitted,
        (true, _) if has_pending_staging && (can_submit || can_wait) && fits_token => {
            Decision::Continue
        }
        (true, _) if wait.is_zero() => Decision::Succeed(Completion::NotAwaited),
        (true, true)
            if verification == VerificationState::Pending
                && (can_submit || can_wait)
                && fits_token =>
        {
            Decision::Continue
        }
        (true, true) if verification == VerificationState::Failed => Decision::FailStale,
        (true, true) => Decision::Succeed(Completion::Completed),
        (true, false) if !can_wait => match on_timeout {
            OnTimeout::Succeed => Decision::Succeed(Completion::TimedOut),
            OnTimeout::Fail => Decision::FailNotCompleted,
        },
        (true, false) if fits_token => Decision::Continue,
        (true, false) => Decision::Succeed(Completion::NotAwaited),
    }
}

#[cfg(test)]
mod tests;
