//! `Exit`: the exit codes.
//!
//! They are also the field `exit_code` of the JSON objects ([`output`](crate::output)), so their numbers do not change. What
//! `--help` prints about them is in `cli::arguments`.

use std::process::ExitCode;

use crate::error::Category;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// The request is done.
    Done = 0,
    /// It was rejected, it failed, the user declined, or the output cannot be written.
    Failed = 1,
    /// The arguments, the configuration, the environment or the input are invalid.
    Usage = 2,
    /// The invalidation was submitted, and its completion is not confirmed: time-out, unknown id or unreadable status. Or no
    /// URL of a verification could be judged.
    NotCompleted = 3,
    /// CloudFront accepts no more requests now.
    Busy = 4,
    /// Valid credentials or a permission are missing.
    NotAllowed = 5,
    /// Viewers still get old content.
    Stale = 6,
    /// The user pressed Ctrl-C; the code is the one of a program that SIGINT ends.
    Interrupted = 130,
}

impl Exit {
    /// Returns the exit code of two parts together: the first that is not [`Exit::Done`].
    pub fn and(self, next: Self) -> Self {
        if self == Self::Done { next } else { self }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl From<Category> for Exit {
    fn from(category: Category) -> Self {
        match category {
            Category::Permission => Self::NotAllowed,
            Category::Throttled => Self::Busy,
            Category::Stale => Self::Stale,
            Category::InvalidInput
            | Category::RejectedPath
            | Category::Unavailable
            | Category::Internal => Self::Failed,
        }
    }
}
