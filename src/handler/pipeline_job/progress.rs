//! `Progress`: what a job has done so far, and how it travels in a continuation token.
//!
//! A job that is not done yet is answered with a token, and the pipeline starts a new job, with a new id, that brings the
//! token back. So the token holds everything: the first job's id, from which the caller references are derived, when it
//! began, and for each distribution how far it is.
//!
//! The text is `1 JOB SECONDS ENTRY ENTRY …`: the version, the first job's id, when it began in seconds since 1970, and
//! entries `E2EXAMPLE1ABC:` (not taken yet), `E2EXAMPLE1ABC:?` (taken under an id that is not known),
//! `E2EXAMPLE1ABC:I3K9` (in progress), `E2EXAMPLE1ABC:I3K9+` (completed). None at all stands for distributions whose names
//! are not resolved yet.

use std::time::{Duration, SystemTime};

use super::JobId;
use crate::distribution::DistributionId;
use crate::failure::Failure;

/// The most characters of a continuation token:
/// <https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_PutJobSuccessResult.html>.
pub const MAX_TOKEN_CHARACTERS: usize = 2_048;

/// A token of another version is not guessed at.
const VERSION: &str = "1";

/// What a job has done so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The first job of the chain.
    pub first_job: JobId,
    /// When it began, to the second.
    pub began: SystemTime,
    /// How far each distribution is, in the order in which they were named.
    pub stages: Vec<(DistributionId, Stage)>,
}

/// How far a distribution's invalidation is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// CloudFront was busy and has not taken it.
    Waiting,
    /// CloudFront has taken it and did not tell its id; asked again, it may.
    Taken,
    /// CloudFront has taken it.
    InProgress(String),
    /// Every edge is fresh.
    Completed(String),
}

impl Progress {
    /// Begins at `now`, with no distribution known.
    pub fn begin(job: JobId, now: SystemTime) -> Self {
        Self {
            first_job: job,
            began: to_the_second(now),
            stages: Vec::new(),
        }
    }

    /// Adds distributions that CloudFront has still to be asked for.
    pub fn wait_for(&mut self, distributions: impl IntoIterator<Item = DistributionId>) {
        self.stages.extend(
            distributions
                .into_iter()
                .map(|distribution| (distribution, Stage::Waiting)),
        );
    }

    /// Returns how long ago it began.
    pub fn age(&self, now: SystemTime) -> Duration {
        now.duration_since(self.began).unwrap_or_default()
    }

    /// Returns how much is done, in percent: a distribution is half done when CloudFront has taken its invalidation.
    pub fn percent(&self) -> i32 {
        let halves = self.stages.iter().map(|(_, stage)| match stage {
            Stage::Waiting => 0,
            Stage::Taken | Stage::InProgress(_) => 1,
            Stage::Completed(_) => 2,
        });
        let (done, all) = (halves.sum::<usize>(), 2 * self.stages.len().max(1));
        i32::try_from(100 * done / all).unwrap_or(100)
    }

    /// Counts the distributions that are fresh.
    pub fn completed(&self) -> usize {
        self.stages
            .iter()
            .filter(|(_, stage)| matches!(stage, Stage::Completed(_)))
            .count()
    }

    /// Tells whether all is completed.
    pub fn is_completed(&self) -> bool {
        !self.stages.is_empty()
            && self
                .stages
                .iter()
                .all(|(_, stage)| matches!(stage, Stage::Completed(_)))
    }

    /// Tells whether CloudFront has still to take something.
    pub fn is_waiting(&self) -> bool {
        self.stages
            .iter()
            .any(|(_, stage)| *stage == Stage::Waiting)
    }

    /// Writes the token; none where it is longer than CodePipeline takes.
    pub fn to_token(&self) -> Option<String> {
        let began = self
            .began
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        let mut token = format!("{VERSION} {} {began}", self.first_job);
        for (distribution, stage) in &self.stages {
            let (id, mark) = match stage {
                Stage::Waiting => ("", ""),
                Stage::Taken => ("?", ""),
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
    /// A [`Failure`] where this version has not written it.
    pub fn from_token(token: &str) -> Result<Self, Failure> {
        let mut parts = token.split(' ');
        let version = parts.next().unwrap_or_default();
        if version != VERSION {
            return Err(Failure::mistake(format!(
                "the continuation token has version {version:?} where this function writes {VERSION:?}: it was updated \
                 in the middle of a wait, so run the action again"
            )));
        }
        read(parts).ok_or_else(|| {
            Failure::mistake("the continuation token is damaged, so what was done is unknown: run the action again")
        })
    }
}

fn read<'a>(mut parts: impl Iterator<Item = &'a str>) -> Option<Progress> {
    let first_job = JobId(parts.next().filter(|id| !id.is_empty())?.to_owned());
    let began =
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(parts.next()?.parse().ok()?))?;
    let stages: Vec<_> = parts.map(read_entry).collect::<Option<_>>()?;
    Some(Progress {
        first_job,
        began,
        stages,
    })
}

fn read_entry(entry: &str) -> Option<(DistributionId, Stage)> {
    let (distribution, stage) = entry.split_once(':')?;
    let stage = match (stage, stage.strip_suffix('+')) {
        (_, Some("")) => return None,
        (_, Some(id)) => Stage::Completed(id.to_owned()),
        ("", _) => Stage::Waiting,
        ("?", _) => Stage::Taken,
        (id, _) => Stage::InProgress(id.to_owned()),
    };
    Some((DistributionId::parse(distribution).ok()?, stage))
}

fn to_the_second(time: SystemTime) -> SystemTime {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs())
}
