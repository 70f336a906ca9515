//! `Invocation`: what Lambda says of one call, above all how long it may take.
//!
//! Work stops while there is time to answer the caller. The reserve is what an answer needs when its first attempts
//! fail, and leaves at least two seconds before Lambda's own deadline.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// How long before Lambda's deadline the work ends, so that a failure can still be told.
pub const ANSWER_RESERVE: Duration = Duration::from_millis(2_500);

/// How long before the end of the work polls end.
const POLL_RESERVE: Duration = Duration::from_millis(300);

/// How long before Lambda's deadline the function stops trying to answer, so that its error is its own.
const ERROR_RESERVE: Duration = Duration::from_millis(200);

/// The time that is assumed where the deadline makes no sense (`cargo lambda watch` sends 1970).
const FALLBACK_TIMEOUT: Duration = Duration::from_secs(30);

/// One call of the function.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// When Lambda stops the function.
    pub deadline: Instant,
    /// The ARN of the function, which tells the account and the partition.
    pub function_arn: String,
}

impl Invocation {
    /// Creates an invocation from the deadline that Lambda gives as wall-clock time.
    pub fn new(deadline: SystemTime, function_arn: impl Into<String>) -> Self {
        let left = deadline
            .duration_since(SystemTime::now())
            .unwrap_or(FALLBACK_TIMEOUT);
        Self {
            deadline: Instant::now() + left,
            function_arn: function_arn.into(),
        }
    }

    /// Returns when the work must have ended, for the answer to be in time.
    pub fn end_of_work(&self) -> Instant {
        self.before_deadline(ANSWER_RESERVE)
    }

    /// Returns when polls end, so that what they told can still be worked on.
    pub fn end_of_polls(&self) -> Instant {
        self.before_deadline(ANSWER_RESERVE + POLL_RESERVE)
    }

    /// Returns when the answer must have been given.
    pub fn end_of_answer(&self) -> Instant {
        self.before_deadline(ERROR_RESERVE)
    }

    fn before_deadline(&self, reserve: Duration) -> Instant {
        self.deadline.checked_sub(reserve).unwrap_or(self.deadline)
    }
}
