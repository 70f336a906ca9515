//! `Failure`: what went wrong, in a sentence that names the thing and the remedy, and whose turn it is now.
//!
//! One type serves both audiences. People read its text, in the pipeline's console, the log and the dead-letter queue.
//! The program reads its [`Cause`]: the caller of a pipeline action gets the failure type that fits, and an event is
//! worth another try only where trying again can help.
//!
//! A failure is logged once, where it is handled; whoever passes it on says nothing.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::distribution::DistributionId;
use crate::path::PathError;

/// Why something did not happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// Whose turn it is.
    pub cause: Cause,
    /// A lowercase sentence: what failed and what to do about it.
    pub message: String,
}

/// Who can do something about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// The caller must change a parameter, a setting or an event.
    Mistake,
    /// CloudFront takes the request but for a path in it: the caller must change that one.
    Path,
    /// The function's role must be allowed something.
    Permission,
    /// CloudFront has too much to do for this account or distribution: later will do.
    Busy,
    /// A service or the network did not answer as it should: later may do.
    Unavailable,
    /// This program is wrong.
    Bug,
}

impl Failure {
    /// Creates a failure that the caller can mend.
    pub fn mistake(message: impl Into<String>) -> Self {
        Self {
            cause: Cause::Mistake,
            message: message.into(),
        }
    }

    /// Creates a failure of a service or of the network.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self {
            cause: Cause::Unavailable,
            message: message.into(),
        }
    }

    /// Creates the failure that names the missing permission and the policy statement to add.
    ///
    /// `action` is an IAM action such as `cloudfront:CreateInvalidation`, `resource` an ARN or `*`.
    pub fn missing_permission(action: &str, resource: &str) -> Self {
        let message = format!(
            "not allowed to call {action} on {resource}: add this statement to the policy of the function's role: \
             {{\"Effect\":\"Allow\",\"Action\":\"{action}\",\"Resource\":\"{resource}\"}}"
        );
        Self {
            cause: Cause::Permission,
            message,
        }
    }

    /// Creates the failure of a program that panicked; the panic itself is in the log.
    pub fn panicked() -> Self {
        let message =
            "the invalidator panicked, which is a bug in it: see the function's log, and try again";
        Self {
            cause: Cause::Bug,
            message: message.into(),
        }
    }

    /// Creates the failure of work that took longer than the function may.
    pub fn out_of_time() -> Self {
        Self::unavailable(
            "the function's time was up before the work was done: raise its timeout, or try again",
        )
    }

    /// Creates the failure of a distribution whose wildcards are all in progress: a call would be refused.
    pub fn no_wildcard_left(distribution: &DistributionId) -> Self {
        let message = format!(
            "CloudFront has as many wildcards of {distribution} in progress as it takes, and another one is needed: try \
             again in a minute"
        );
        Self {
            cause: Cause::Busy,
            message,
        }
    }

    /// Creates the failure of a job whose answer CodePipeline refuses for its form.
    pub fn answer_refused(reason: &str, answer: &str) -> Self {
        let message = format!(
            "CodePipeline refuses the answer to this job, which is a bug ({reason}); it was: {answer}"
        );
        Self {
            cause: Cause::Bug,
            message,
        }
    }

    /// Creates the failure of a job that CodePipeline does not know.
    pub fn job_not_found(job: impl fmt::Display) -> Self {
        Self::unavailable(format!(
            "the answer to job {job} was not delivered: CodePipeline knows no such job in this region and account"
        ))
    }

    /// Creates the failure of a wait that its caller does not want to end well.
    pub fn not_fresh_in_time(limit: Duration, outcome: impl fmt::Display) -> Self {
        Self::unavailable(format!(
            "not fresh everywhere after {} s, though CloudFront goes on by itself: raise \"wait\", or set \"onTimeout\" \
             to \"succeed\"; {outcome}",
            limit.as_secs()
        ))
    }

    /// Puts failures together as one, with the first one's cause; none of none.
    pub fn together(failures: impl IntoIterator<Item = Self>) -> Option<Self> {
        failures.into_iter().reduce(|all, next| Self {
            cause: all.cause,
            message: format!("{}; {}", all.message, next.message),
        })
    }

    /// Returns the failure with its place before it, such as `UserParameters: "paths"[0]`.
    pub fn within(mut self, place: impl fmt::Display) -> Self {
        self.message = format!("{place}: {}", self.message);
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl From<PathError> for Failure {
    fn from(error: PathError) -> Self {
        Self::mistake(error.to_string())
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mistake => "mistake",
            Self::Path => "path",
            Self::Permission => "permission",
            Self::Busy => "busy",
            Self::Unavailable => "unavailable",
            Self::Bug => "bug",
        })
    }
}
