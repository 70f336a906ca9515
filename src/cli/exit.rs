//! `Exit`: how the program ended, for the script that called it.

use std::process::ExitCode;

use crate::failure::{Cause, Failure};

/// What `--help` says of the codes.
pub(super) const HELP: &str = "\
Exit codes: 0 done; 1 refused or failed; 2 usage; 3 submitted, but not completed in time;
            4 busy, try again later; 5 no permission or credentials";

/// How the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// What was asked is done.
    Done = 0,
    /// It was refused, or it failed.
    Failed = 1,
    /// The arguments, the configuration file or the input make no sense.
    Usage = 2,
    /// CloudFront has it, but was not seen to complete it in time.
    NotCompleted = 3,
    /// CloudFront has too much to do; later will do.
    Busy = 4,
    /// There are no credentials, or they do not suffice.
    NotAllowed = 5,
}

impl Exit {
    /// Returns how the whole ended, of which the first part that went wrong decides.
    pub fn and(self, next: Self) -> Self {
        if self == Self::Done { next } else { self }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl From<Cause> for Exit {
    fn from(cause: Cause) -> Self {
        match cause {
            Cause::Permission => Self::NotAllowed,
            Cause::Busy => Self::Busy,
            Cause::Mistake | Cause::Path | Cause::Unavailable | Cause::Bug => Self::Failed,
        }
    }
}

/// Why a command came to no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// What the script gets.
    pub exit: Exit,
    /// What the person reads.
    pub failure: Failure,
}

impl Stop {
    /// Creates the stop of a command that makes no sense as it was written.
    pub fn usage(message: impl Into<String>) -> Self {
        Self {
            exit: Exit::Usage,
            failure: Failure::mistake(message),
        }
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self {
            exit: failure.cause.into(),
            failure,
        }
    }
}
