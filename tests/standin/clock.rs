//! The clock that the stand-ins read.
//!
//! Three of CloudFront's rules depend on time: how often an account can call, how long
//! an invalidation is in progress, and when it was created. A test that sleeps to see
//! them is slow and, on a busy machine, unreliable. So a test freezes the clock and
//! advances it. Every rule reads this clock; the demo's process uses the real time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, SecondsFormat, Utc};
use tokio::time::Instant;

/// The system's clock, one that only a test advances, or tokio's.
///
/// Clones of a frozen clock show the same time: the stand-in and its edge have to agree.
#[derive(Clone, Debug)]
pub enum Clock {
    /// Follows the system's clock.
    Real,
    /// Stands still at this moment until advanced.
    Frozen(Arc<Mutex<SystemTime>>),
    /// Was at this moment at that instant of tokio, whose time a test can pause.
    Tokio(SystemTime, Instant),
}

impl Clock {
    /// Freezes the clock at 2026-01-01T00:00:00Z, so that a test can compare complete responses.
    pub fn frozen() -> Self {
        Self::Frozen(Arc::new(Mutex::new(start())))
    }

    /// Starts the clock at 2026-01-01T00:00:00Z. It follows tokio's time.
    pub fn tokio() -> Self {
        Self::Tokio(start(), Instant::now())
    }

    /// Returns the current time of this clock.
    pub fn now(&self) -> SystemTime {
        match self {
            Self::Real => SystemTime::now(),
            Self::Frozen(moment) => *moment.lock().unwrap_or_else(PoisonError::into_inner),
            Self::Tokio(moment, at) => *moment + at.elapsed(),
        }
    }

    /// Advances a frozen clock; panics for the real one, because a test that advances it is wrong.
    pub fn advance(&self, duration: Duration) {
        match self {
            Self::Real | Self::Tokio(..) => panic!("only a frozen clock can be advanced"),
            Self::Frozen(moment) => {
                *moment.lock().unwrap_or_else(PoisonError::into_inner) += duration;
            }
        }
    }
}

/// Returns the moment at which the clocks of tests start.
fn start() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_767_225_600)
}

/// Formats a time as the headers of HTTP do: <https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7>
pub(super) fn http_date(moment: SystemTime) -> String {
    let date = DateTime::<Utc>::from(moment).format("%a, %d %b %Y %H:%M:%S GMT");
    date.to_string()
}

/// Formats a time as AWS does: ISO 8601 in UTC with milliseconds.
pub fn iso8601(moment: SystemTime) -> String {
    DateTime::<Utc>::from(moment).to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_http_have_two_digits_and_english_names() {
        let date = http_date(UNIX_EPOCH + Duration::from_secs(1_767_225_600));
        assert_eq!(date, "Thu, 01 Jan 2026 00:00:00 GMT");
    }

    #[test]
    fn times_are_formatted_with_milliseconds() {
        for (millis, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_827_696_789, "2000-02-29T12:34:56.789Z"),
            (1_767_225_599_999, "2025-12-31T23:59:59.999Z"),
            (1_767_225_600_000, "2026-01-01T00:00:00.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(
                iso8601(UNIX_EPOCH + Duration::from_millis(millis)),
                expected
            );
        }
    }
}
