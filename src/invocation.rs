//! `Invocation`: the deadline of one invocation of the function, its account, and its metrics.
//!
//! The work ends early enough to respond to the caller, and the function ends before Lambda stops it. The reserve
//! suffices for a few attempts to respond that get no response.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::account::Account;
use crate::metrics::Metrics;

/// How long before Lambda's deadline the work ends, so that its result can still be reported.
pub const RESPONSE_RESERVE: Duration = Duration::from_secs(4);

/// How long before the end of the work the calls to CloudFront end.
const CALL_RESERVE: Duration = Duration::from_millis(300);

/// How long before Lambda's deadline the function stops reporting, so that we return the error, not Lambda's timeout.
pub const ERROR_RESERVE: Duration = Duration::from_millis(200);

/// The time that is left if the deadline is in the past (`cargo lambda watch` sends 1970).
const FALLBACK_TIMEOUT: Duration = Duration::from_secs(30);

/// One invocation of the function.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// When the function received the event.
    pub received: Instant,
    /// When Lambda stops the function.
    pub deadline: Instant,
    /// The account of the function.
    pub account: Account,
    /// The request id: Lambda repeats it when it retries an asynchronous invocation
    /// ([documentation](https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html)).
    pub request_id: String,
    /// What it did, in numbers.
    pub metrics: Arc<Metrics>,
}

impl Invocation {
    /// Creates an invocation from the deadline, which Lambda gives as wall-clock time.
    pub fn new(deadline: SystemTime, account: Account, request_id: String) -> Self {
        let left = deadline
            .duration_since(SystemTime::now())
            .unwrap_or(FALLBACK_TIMEOUT);
        let received = Instant::now();
        Self {
            received,
            deadline: received + left,
            account,
            request_id,
            metrics: Arc::default(),
        }
    }

    /// Returns the invocation for a part of its work, after which this much time is left.
    pub fn ending_earlier_by(&self, reserve: Duration) -> Self {
        Self {
            deadline: self.before_deadline(reserve),
            ..self.clone()
        }
    }

    /// Returns when a read has to end: after `max`, or earlier, so that half of the time for the work is left.
    pub fn end_of_read(&self, max: Duration) -> Instant {
        let now = Instant::now();
        let left = self.end_of_work().saturating_duration_since(now);
        now + max.min(left / 2)
    }

    /// Returns when the work has to end, so that the response is in time.
    pub fn end_of_work(&self) -> Instant {
        self.before_deadline(RESPONSE_RESERVE)
    }

    /// Returns when calls to CloudFront have to end, so that their results can still be used.
    pub fn end_of_calls(&self) -> Instant {
        self.before_deadline(RESPONSE_RESERVE + CALL_RESERVE)
    }

    /// Returns when the response has to be sent.
    pub fn end_of_response(&self) -> Instant {
        self.before_deadline(ERROR_RESERVE)
    }

    fn before_deadline(&self, reserve: Duration) -> Instant {
        self.deadline.checked_sub(reserve).unwrap_or(self.deadline)
    }
}
