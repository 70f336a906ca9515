//! The clock that the stand-ins live by.
//!
//! Three of CloudFront's rules are about time: how often an account may call,
//! how long an invalidation is in progress, and when it was created. A test that
//! slept to see them would be slow and, on a busy machine, wrong. So a test
//! freezes the clock and moves it by hand, and every rule asks this one clock;
//! the process that the demo runs keeps the real one.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Tells the time: the real one, or one that only a test moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// Follows the system's clock.
    Real,
    /// Stands still at this moment until advanced.
    Frozen(SystemTime),
}

impl Clock {
    /// Freezes at 2026-01-01T00:00:00Z, so that whole answers can be compared.
    pub fn frozen() -> Self {
        Self::Frozen(UNIX_EPOCH + Duration::from_secs(1_767_225_600))
    }

    /// Returns the moment that the rules go by.
    pub fn now(self) -> SystemTime {
        match self {
            Self::Real => SystemTime::now(),
            Self::Frozen(moment) => moment,
        }
    }

    /// Moves a frozen clock on; the real one cannot be moved, so a test that tries is wrong.
    pub fn advance(&mut self, by: Duration) {
        match self {
            Self::Real => panic!("only a frozen clock can be advanced"),
            Self::Frozen(moment) => *moment += by,
        }
    }
}

/// Writes a moment as AWS does: ISO 8601 in UTC with milliseconds.
pub fn iso8601(moment: SystemTime) -> String {
    let since_epoch = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = since_epoch.as_secs();
    let (year, month, day) = civil_date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let millis = since_epoch.subsec_millis();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// Turns days since the epoch into a date, counting years from March so that the leap day is last.
fn civil_date(days_since_epoch: u64) -> (u64, u64, u64) {
    const DAYS_FROM_MARCH_OF_YEAR_0: u64 = 719_468;
    const DAYS_IN_400_YEARS: u64 = 146_097;
    let days = days_since_epoch + DAYS_FROM_MARCH_OF_YEAR_0;
    let (era, day) = (days / DAYS_IN_400_YEARS, days % DAYS_IN_400_YEARS);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month + 2) / 5 + 1;
    let january_or_february = month >= 10;
    (
        era * 400 + year + u64::from(january_or_february),
        if january_or_february {
            month - 9
        } else {
            month + 3
        },
        day_of_month,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_with_milliseconds() {
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
