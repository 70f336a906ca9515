//! What AWS bills for invalidations: each path beyond the free ones of a month.
//!
//! The free paths are those of the account, so the paths of one distribution do not show how many are left. A path with a
//! wildcard counts as one, and so does a cache tag.
//!
//! Prices and free paths: <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/PayingForInvalidation.html>

use std::fmt;
use std::ops::Range;

use chrono::{DateTime, Datelike, Months, NaiveDate, NaiveTime, Utc};

/// How many paths of an account are free in each month.
pub const FREE_PATHS: usize = 1_000;

/// What each further path costs, in thousandths of a dollar.
const MILLS_PER_PATH: usize = 5;

/// A month in UTC, as AWS bills it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Month {
    first_day: NaiveDate,
}

impl Month {
    /// Returns the month of a time.
    pub fn of(time: DateTime<Utc>) -> Self {
        let date = time.date_naive();
        let first_day = date.with_day(1).unwrap_or(date);
        Self { first_day }
    }

    /// Parses a month such as `2026-01`.
    pub fn parse(text: &str) -> Option<Self> {
        let (year, month) = text.split_once('-')?;
        if year.len() != 4 || month.len() != 2 {
            return None;
        }
        let first_day = NaiveDate::from_ymd_opt(year.parse().ok()?, month.parse().ok()?, 1)?;
        Some(Self { first_day })
    }

    /// Returns the time when it starts.
    pub fn start(&self) -> DateTime<Utc> {
        midnight(self.first_day)
    }

    /// Returns its times: from its start to that of the next month.
    pub fn times(&self) -> Range<DateTime<Utc>> {
        let next_month = self.first_day.checked_add_months(Months::new(1));
        self.start()..next_month.map_or(DateTime::<Utc>::MAX_UTC, midnight)
    }

    /// Returns its days.
    pub fn days(&self) -> impl Iterator<Item = NaiveDate> {
        let next_month = self.first_day.checked_add_months(Months::new(1));
        let days = self.first_day.iter_days();
        days.take_while(move |day| next_month.is_none_or(|next_month| *day < next_month))
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:04}-{:02}",
            self.first_day.year(),
            self.first_day.month()
        )
    }
}

/// Returns the times of the day in UTC that a time is in: from its start to that of the next day.
pub fn day_of(time: DateTime<Utc>) -> Range<DateTime<Utc>> {
    let day = time.date_naive();
    midnight(day)..day.succ_opt().map_or(DateTime::<Utc>::MAX_UTC, midnight)
}

fn midnight(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(NaiveTime::MIN).and_utc()
}

/// Returns the price of billed paths, in thousandths of a dollar.
pub fn mills(billed: usize) -> usize {
    billed.saturating_mul(MILLS_PER_PATH)
}

/// Formats the price of billed paths, such as `$0.005` or `$5.00`.
pub fn dollars(billed: usize) -> String {
    let mills = mills(billed);
    let (dollars, fraction) = (mills / 1_000, mills % 1_000);
    if fraction.is_multiple_of(10) {
        format!("${dollars}.{:02}", fraction / 10)
    } else {
        format!("${dollars}.{fraction:03}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_months() {
        let february = Month::parse("2028-02").expect("a month");
        assert_eq!(february.days().count(), 29);
        assert_eq!(february.start().to_rfc3339(), "2028-02-01T00:00:00+00:00");
        for (time, is_contained) in [
            ("2028-01-31T23:59:59Z", false),
            ("2028-02-01T00:00:00Z", true),
            ("2028-02-29T23:59:59Z", true),
            ("2028-03-01T00:00:00Z", false),
        ] {
            assert_eq!(
                february
                    .times()
                    .contains(&time.parse::<DateTime<Utc>>().expect("a time")),
                is_contained,
                "{time}"
            );
        }
        for text in ["2028-13", "2028", "28-01", "2028-1", "", "2028-00", "x-01"] {
            assert_eq!(Month::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_day_and_a_month_end_where_the_next_ones_start() {
        let time = |text: &str| text.parse::<DateTime<Utc>>().expect("a time");
        for (at, day, month) in [
            (
                "2028-02-29T23:59:59.999Z",
                ["2028-02-29T00:00:00Z", "2028-03-01T00:00:00Z"],
                ["2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"],
            ),
            (
                "2026-12-31T00:00:00Z",
                ["2026-12-31T00:00:00Z", "2027-01-01T00:00:00Z"],
                ["2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"],
            ),
        ] {
            let [day, month] = [day, month].map(|[start, end]| time(start)..time(end));
            assert_eq!(day_of(time(at)), day);
            assert_eq!(Month::of(time(at)).times(), month);
        }
    }

    #[test]
    fn formats_the_price_of_billed_paths() {
        for (billed, text) in [
            (0, "$0.00"),
            (1, "$0.005"),
            (2, "$0.01"),
            (999, "$4.995"),
            (1_000, "$5.00"),
        ] {
            assert_eq!(dollars(billed), text);
        }
    }
}
