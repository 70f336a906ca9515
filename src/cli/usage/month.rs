//! The arithmetic of a month.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Datelike, Months, NaiveDate, NaiveTime, TimeDelta, Utc};
use serde::Serialize;

use crate::aws::cloudfront::DistributionSummary;
use crate::distribution::DistributionId;
use crate::plan::{ExistingInvalidation, InvalidationId};

/// How many paths of an account's month cost nothing
/// ([documented](https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/PayingForInvalidation.html)).
pub(in crate::cli) const FREE_PATHS: usize = 1_000;

/// What each further path costs, in thousandths of a dollar.
const MILLS_A_PATH: usize = 5;

/// How soon after an invalidation another one that covers it makes it needless: a visitor would hardly have noticed.
pub(super) const NEEDLESS_WITHIN: TimeDelta = TimeDelta::minutes(10);

/// A month, in universal time as AWS bills it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Month(NaiveDate);

impl Month {
    pub(super) fn of(time: DateTime<Utc>) -> Self {
        let date = time.date_naive();
        Self(date.with_day(1).unwrap_or(date))
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let (year, month) = text.split_once('-')?;
        let shape = year.len() == 4 && month.len() == 2;
        let date = NaiveDate::from_ymd_opt(year.parse().ok()?, month.parse().ok()?, 1)?;
        shape.then_some(Self(date))
    }

    pub(super) fn start(&self) -> DateTime<Utc> {
        self.0.and_time(NaiveTime::MIN).and_utc()
    }

    pub(super) fn contains(&self, time: DateTime<Utc>) -> bool {
        Self::of(time) == *self
    }

    fn days(&self) -> impl Iterator<Item = NaiveDate> {
        let next = self.0.checked_add_months(Months::new(1));
        let first = self.0;
        first
            .iter_days()
            .take_while(move |day| next.is_none_or(|next| *day < next))
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.0.year(), self.0.month())
    }
}

/// What a month came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Reckoning {
    pub month: String,
    pub free: usize,
    pub used: usize,
    pub billed: usize,
    /// In dollars.
    pub cost: f64,
    pub days: Vec<Day>,
    pub distributions: Vec<Share>,
    pub needless_paths: usize,
    pub needless: Vec<Needless>,
}

/// The paths of a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Day {
    pub date: String,
    pub paths: usize,
}

/// The paths of a distribution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Share {
    pub distribution: DistributionId,
    pub name: String,
    pub invalidations: usize,
    pub paths: usize,
}

/// Paths that another invalidation covered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Needless {
    pub distribution: DistributionId,
    pub invalidation: InvalidationId,
    pub paths: usize,
    /// The invalidation that covers all of it; none where paths of its own cover some of it.
    pub covered_by: Option<InvalidationId>,
}

impl Reckoning {
    pub(super) fn of(
        month: &Month,
        all: &[(DistributionSummary, Vec<ExistingInvalidation>)],
    ) -> Self {
        let invalidations = || all.iter().flat_map(|(_, list)| list);
        let used = invalidations().map(|one| one.paths.len()).sum();
        let mut by_day: BTreeMap<NaiveDate, usize> = BTreeMap::new();
        for one in invalidations() {
            *by_day.entry(one.created.date_naive()).or_default() += one.paths.len();
        }
        let days = month.days().map(|date| Day {
            paths: by_day.get(&date).copied().unwrap_or_default(),
            date: date.to_string(),
        });
        let share = |(listed, list): &(DistributionSummary, Vec<ExistingInvalidation>)| Share {
            distribution: listed.id.clone(),
            name: listed.names().next().unwrap_or_default().to_owned(),
            invalidations: list.len(),
            paths: list.iter().map(|one| one.paths.len()).sum(),
        };
        let needless: Vec<_> = all
            .iter()
            .flat_map(|(listed, list)| needless(&listed.id, list))
            .collect();
        let billed = usize::saturating_sub(used, FREE_PATHS);
        Self {
            month: month.to_string(),
            free: FREE_PATHS,
            used,
            billed,
            // Cents and half cents, which a float holds well enough to be shown.
            cost: (billed * MILLS_A_PATH) as f64 / 1_000.0,
            days: days.collect(),
            distributions: all.iter().map(share).collect(),
            needless_paths: needless.iter().map(|one| one.paths).sum(),
            needless,
        }
    }
}

/// Finds the invalidations that a later one covers soon after, and the paths that others of the same one cover.
fn needless(
    distribution: &DistributionId,
    invalidations: &[ExistingInvalidation],
) -> Vec<Needless> {
    let needless = invalidations.iter().filter_map(|invalidation| {
        let covering = invalidations
            .iter()
            .find(|later| is_covered_soon(invalidation, later));
        let paths = match covering {
            Some(_) => invalidation.paths.len(),
            None => doubled_paths(invalidation),
        };
        (paths > 0).then(|| Needless {
            distribution: distribution.clone(),
            invalidation: invalidation.id.clone(),
            paths,
            covered_by: covering.map(|later| later.id.clone()),
        })
    });
    needless.collect()
}

/// Returns whether the later invalidation covers all paths of this one, soon after it.
fn is_covered_soon(invalidation: &ExistingInvalidation, later: &ExistingInvalidation) -> bool {
    let after = later.created.signed_duration_since(invalidation.created);
    let is_soon = after > TimeDelta::zero() && after <= NEEDLESS_WITHIN;
    let mut paths = invalidation.paths.iter();
    is_soon
        && !invalidation.paths.is_empty()
        && paths.all(|path| later.paths.iter().any(|wide| wide.covers(path.as_str())))
}

/// Counts the paths that another path of the same invalidation covers. Of equal paths, the first is not counted.
fn doubled_paths(invalidation: &ExistingInvalidation) -> usize {
    let paths = || invalidation.paths.iter().enumerate();
    let doubled = paths().filter(|(index, path)| {
        paths().any(|(other, wide)| {
            let is_other = other != *index && wide.covers(path.as_str());
            is_other && (other < *index || !path.covers(wide.as_str()))
        })
    });
    doubled.count()
}

/// Writes what so many billed paths cost.
pub(in crate::cli) fn dollars(billed: usize) -> String {
    let mills = billed * MILLS_A_PATH;
    let (dollars, rest) = (mills / 1_000, mills % 1_000);
    let fraction = if rest.is_multiple_of(10) {
        format!("{:02}", rest / 10)
    } else {
        format!("{rest:03}")
    };
    format!("${dollars}.{fraction}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(id: &str, created: &str, paths: &[&str]) -> ExistingInvalidation {
        ExistingInvalidation {
            id: id.into(),
            created: created.parse().expect("a time"),
            status: "Completed".into(),
            reference: "r".into(),
            paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        }
    }

    fn account(
        list: Vec<ExistingInvalidation>,
    ) -> Vec<(DistributionSummary, Vec<ExistingInvalidation>)> {
        let listed = DistributionSummary {
            id: DistributionId::parse("E1EXAMPLE1ABC").expect("an id"),
            domain_name: "d1.cloudfront.net".into(),
            aliases: vec!["www.example.com".into()],
            comment: String::new(),
            enabled: true,
            status: "Deployed".into(),
        };
        vec![(listed, list)]
    }

    #[test]
    fn reads_months() {
        let february = Month::parse("2028-02").expect("a month");
        assert_eq!(february.days().count(), 29);
        assert_eq!(february.start().to_rfc3339(), "2028-02-01T00:00:00+00:00");
        for (time, holds) in [
            ("2028-01-31T23:59:59Z", false),
            ("2028-02-01T00:00:00Z", true),
            ("2028-02-29T23:59:59Z", true),
            ("2028-03-01T00:00:00Z", false),
        ] {
            assert_eq!(
                february.contains(time.parse().expect("a time")),
                holds,
                "{time}"
            );
        }
        for text in ["2028-13", "2028", "28-01", "2028-1", "", "2028-00", "x-01"] {
            assert_eq!(Month::parse(text), None, "{text}");
        }
    }

    #[test]
    fn reckons_what_is_billed() {
        for (billed, text) in [
            (0, "$0.00"),
            (1, "$0.005"),
            (2, "$0.01"),
            (999, "$4.995"),
            (1_000, "$5.00"),
        ] {
            assert_eq!(dollars(billed), text);
        }
        let month = Month::parse("2026-01").expect("a month");
        let many: Vec<_> = (0..1_003).map(|n| format!("/{n}")).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        let list = vec![
            one("I2", "2026-01-31T10:00:00Z", &many),
            one("I1", "2026-01-01T00:00:00Z", &["/a", "/b"]),
        ];
        let reckoning = Reckoning::of(&month, &account(list));
        assert_eq!(
            (reckoning.used, reckoning.billed, reckoning.cost),
            (1_005, 5, 0.025)
        );
        assert_eq!(reckoning.days.len(), 31);
        assert_eq!(
            (reckoning.days[0].paths, reckoning.days[30].paths),
            (2, 1_003)
        );
        assert_eq!(reckoning.distributions[0].name, "www.example.com");
        assert_eq!(reckoning.needless, []);
    }

    #[test]
    fn finds_what_was_needless() {
        let told = |list: Vec<ExistingInvalidation>| {
            let all = account(list);
            let needless = needless(&all[0].0.id, &all[0].1);
            let told = needless
                .into_iter()
                .map(|one| (one.invalidation, one.paths, one.covered_by));
            told.collect::<Vec<_>>()
        };
        let by =
            |id: &str, paths, other: Option<&str>| (id.to_owned(), paths, other.map(str::to_owned));
        let at = |minute: u32| format!("2026-01-01T10:{minute:02}:00Z");
        // Covered within ten minutes, and by a later one only.
        let list = vec![
            one("I2", &at(10), &["/*"]),
            one("I1", &at(0), &["/a", "/b"]),
        ];
        assert_eq!(told(list), [by("I1", 2, Some("I2"))]);
        let list = vec![one("I2", &at(11), &["/*"]), one("I1", &at(0), &["/a"])];
        assert_eq!(told(list), []);
        let list = vec![one("I2", &at(1), &["/a"]), one("I1", &at(0), &["/*"])];
        assert_eq!(told(list), []);
        let list = vec![one("I2", &at(1), &["/a"]), one("I1", &at(0), &["/a", "/b"])];
        assert_eq!(told(list), []);
        // Covered by their neighbours, of two alike one.
        let list = vec![one("I1", &at(0), &["/a/*", "/a/b", "/a/c", "/d", "/d"])];
        assert_eq!(told(list), [by("I1", 3, None)]);
    }
}
