//! `MonthlyUsage`: what the invalidations of a month amount to, and which of their paths were needless.
//!
//! A path is needless if another one covers it: of the same invalidation, or, with all paths of its invalidation, of a later
//! one soon after. `crate::billing` has the free paths and the price.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use chrono::{NaiveDate, TimeDelta};
use serde::Serialize;

use crate::aws::cloudfront::DistributionSummary;
use crate::billing::{FREE_PATHS, Month, mills};
use crate::distribution::DistributionId;
use crate::path::{PathIndex, SubmittedPath};
use crate::plan::{ExistingInvalidation, InvalidationId};

/// How soon after an invalidation another one that covers it makes it needless: few viewers notice this delay.
pub(super) const NEEDLESS_WITHIN: TimeDelta = TimeDelta::minutes(10);

/// A distribution and its invalidations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DistributionInvalidations {
    pub distribution: DistributionSummary,
    pub invalidations: Vec<ExistingInvalidation>,
}

impl DistributionInvalidations {
    /// Returns how many paths the invalidations have together.
    pub(super) fn path_count(&self) -> usize {
        let invalidations = self.invalidations.iter();
        invalidations
            .map(|invalidation| invalidation.paths.len())
            .sum()
    }
}

/// The result of `usage`, in the form of its JSON object.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct MonthlyUsage {
    pub month: String,
    /// How many paths are free in a month.
    pub free: usize,
    pub used: usize,
    pub billed: usize,
    /// In dollars.
    pub cost: f64,
    /// All days of the month.
    pub days: Vec<DailyUsage>,
    /// All distributions of the account.
    pub distributions: Vec<DistributionUsage>,
    pub needless_paths: usize,
    pub needless: Vec<NeedlessPaths>,
}

/// The paths of a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct DailyUsage {
    pub date: String,
    pub paths: usize,
}

/// The paths of a distribution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct DistributionUsage {
    pub distribution: DistributionId,
    pub name: String,
    pub invalidations: usize,
    pub paths: usize,
}

/// The needless paths of an invalidation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct NeedlessPaths {
    pub distribution: DistributionId,
    pub id: InvalidationId,
    /// The former name of `id`.
    pub invalidation: InvalidationId,
    pub paths: usize,
    /// The invalidation that covers all paths; `None` if other paths of the same invalidation cover them.
    pub covered_by: Option<InvalidationId>,
}

impl MonthlyUsage {
    pub(super) fn new(month: &Month, account: &[DistributionInvalidations]) -> Self {
        let used = account
            .iter()
            .map(DistributionInvalidations::path_count)
            .sum();
        let billed = usize::saturating_sub(used, FREE_PATHS);
        let distributions = account.iter().map(|entry| DistributionUsage {
            distribution: entry.distribution.id.clone(),
            name: entry
                .distribution
                .names()
                .next()
                .unwrap_or_default()
                .to_owned(),
            invalidations: entry.invalidations.len(),
            paths: entry.path_count(),
        });
        let needless: Vec<_> = account
            .iter()
            .flat_map(|entry| needless_paths(&entry.distribution.id, &entry.invalidations))
            .collect();
        Self {
            month: month.to_string(),
            free: FREE_PATHS,
            used,
            billed,
            // The rounding error of a float is far below the half cents of the price.
            cost: mills(billed) as f64 / 1_000.0,
            days: daily_usage(month, account),
            distributions: distributions.collect(),
            needless_paths: needless.iter().map(|needless| needless.paths).sum(),
            needless,
        }
    }
}

fn daily_usage(month: &Month, account: &[DistributionInvalidations]) -> Vec<DailyUsage> {
    let mut paths_by_day: BTreeMap<NaiveDate, usize> = BTreeMap::new();
    for invalidation in account.iter().flat_map(|entry| &entry.invalidations) {
        let day = invalidation.created.date_naive();
        *paths_by_day.entry(day).or_default() += invalidation.paths.len();
    }
    let days = month.days().map(|day| DailyUsage {
        date: day.to_string(),
        paths: paths_by_day.get(&day).copied().unwrap_or_default(),
    });
    days.collect()
}

/// Returns the invalidations that a later one covers soon after, and those with paths that cover each other.
fn needless_paths(
    distribution: &DistributionId,
    invalidations: &[ExistingInvalidation],
) -> Vec<NeedlessPaths> {
    let covering = covering(invalidations);
    let needless = invalidations.iter().zip(covering);
    let needless = needless.filter_map(|(invalidation, covering)| {
        let paths = match covering {
            Some(_) => invalidation.paths.len(),
            None => redundant_paths(invalidation),
        };
        (paths > 0).then(|| NeedlessPaths {
            distribution: distribution.clone(),
            id: invalidation.id.clone(),
            invalidation: invalidation.id.clone(),
            paths,
            covered_by: covering.map(|later| later.id.clone()),
        })
    });
    needless.collect()
}

/// Returns, for each invalidation, the first of the list that covers all of its paths soon after it.
fn covering(invalidations: &[ExistingInvalidation]) -> Vec<Option<&ExistingInvalidation>> {
    let mut covering = vec![None; invalidations.len()];
    for later in invalidations {
        let index = PathIndex::new(later.paths.iter().map(|path| (path.as_str(), ())));
        let is_covered = |path: &SubmittedPath| index.greatest_covering(path.as_str()).is_some();
        for (invalidation, covering) in invalidations.iter().zip(&mut covering) {
            if covering.is_none()
                && is_soon_after(later, invalidation)
                && !invalidation.paths.is_empty()
                && invalidation.paths.iter().all(is_covered)
            {
                *covering = Some(later);
            }
        }
    }
    covering
}

fn is_soon_after(later: &ExistingInvalidation, invalidation: &ExistingInvalidation) -> bool {
    let delay = later.created.signed_duration_since(invalidation.created);
    delay > TimeDelta::zero() && delay <= NEEDLESS_WITHIN
}

/// Counts the paths that another path of the same invalidation covers. Of equal paths, the first is not counted.
fn redundant_paths(invalidation: &ExistingInvalidation) -> usize {
    // Of the paths that cover a path, one that covers the others has the greatest rank: the shortest, a wildcard before
    // a path of the same length, the first of equal ones.
    let ranked = || {
        let paths = invalidation.paths.iter().enumerate();
        paths.map(|(position, path)| {
            let length = path.as_str().trim_end_matches('*').len();
            let rank = (Reverse(length), path.is_wildcard(), Reverse(position));
            (path.as_str(), rank)
        })
    };
    let index = PathIndex::new(ranked());
    let redundant = ranked().filter(|(path, rank)| index.greatest_covering(path) != Some(*rank));
    redundant.count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::InvalidationStatus;

    fn invalidation(id: &str, created: &str, paths: &[&str]) -> ExistingInvalidation {
        ExistingInvalidation {
            id: InvalidationId::new(id),
            created: created.parse().expect("a time"),
            status: InvalidationStatus::Completed,
            caller_reference: "r".into(),
            paths: paths
                .iter()
                .map(|path| SubmittedPath::from((*path).to_owned()))
                .collect(),
        }
    }

    fn account(invalidations: Vec<ExistingInvalidation>) -> [DistributionInvalidations; 1] {
        let distribution = DistributionSummary {
            id: DistributionId::parse("E1EXAMPLE1ABC").expect("an id"),
            domain_name: "d1.cloudfront.net".into(),
            aliases: vec!["www.example.com".into()],
            comment: String::new(),
            enabled: true,
            status: "Deployed".into(),
        };
        [DistributionInvalidations {
            distribution,
            invalidations,
        }]
    }

    #[test]
    fn sums_up_what_is_billed() {
        let month = Month::parse("2026-01").expect("a month");
        let paths: Vec<_> = (0..1_003).map(|number| format!("/{number}")).collect();
        let paths: Vec<_> = paths.iter().map(String::as_str).collect();
        let usage = MonthlyUsage::new(
            &month,
            &account(vec![
                invalidation("I2", "2026-01-31T10:00:00Z", &paths),
                invalidation("I1", "2026-01-01T00:00:00Z", &["/a", "/b"]),
            ]),
        );
        assert_eq!((usage.used, usage.billed, usage.cost), (1_005, 5, 0.025));
        assert_eq!(usage.days.len(), 31);
        assert_eq!((usage.days[0].paths, usage.days[30].paths), (2, 1_003));
        assert_eq!(usage.distributions[0].name, "www.example.com");
        assert_eq!(usage.needless, []);
    }

    #[test]
    fn finds_needless_paths() {
        let find = |invalidations: Vec<ExistingInvalidation>| {
            let [entry] = account(invalidations);
            let needless = needless_paths(&entry.distribution.id, &entry.invalidations);
            let needless = needless
                .into_iter()
                .map(|needless| (needless.invalidation, needless.paths, needless.covered_by));
            needless.collect::<Vec<_>>()
        };
        let needless = |id: &str, paths: usize, covered_by: Option<&str>| {
            let id = InvalidationId::new(id);
            (id, paths, covered_by.map(InvalidationId::new))
        };
        let at = |minute: u32| format!("2026-01-01T10:{minute:02}:00Z");
        // Covered within ten minutes, by a later invalidation only.
        let covered = vec![
            invalidation("I2", &at(10), &["/*"]),
            invalidation("I1", &at(0), &["/a", "/b"]),
        ];
        assert_eq!(find(covered), [needless("I1", 2, Some("I2"))]);
        let too_late = vec![
            invalidation("I2", &at(11), &["/*"]),
            invalidation("I1", &at(0), &["/a"]),
        ];
        assert_eq!(find(too_late), []);
        let earlier = vec![
            invalidation("I2", &at(1), &["/a"]),
            invalidation("I1", &at(0), &["/*"]),
        ];
        assert_eq!(find(earlier), []);
        let partly = vec![
            invalidation("I2", &at(1), &["/a"]),
            invalidation("I1", &at(0), &["/a", "/b"]),
        ];
        assert_eq!(find(partly), []);
        // Covered by other paths of the same invalidation; one of two equal paths counts.
        let same = vec![invalidation(
            "I1",
            &at(0),
            &["/a/*", "/a/b", "/a/c", "/d", "/d"],
        )];
        assert_eq!(find(same), [needless("I1", 3, None)]);
        let same = vec![invalidation(
            "I1",
            &at(0),
            &["/a", "/a*", "#Tag", "#tag", "/a*", "/b/", "/b/*"],
        )];
        assert_eq!(find(same), [needless("I1", 3, None)]);
    }

    #[test]
    fn compares_many_invalidations_of_many_paths() {
        let paths: Vec<_> = (0..3_000).map(|number| format!("/{number}")).collect();
        let paths: Vec<_> = paths.iter().map(String::as_str).collect();
        let [template] = account(vec![invalidation("I", "2026-01-01T10:00:00Z", &paths)]);
        let template = template.invalidations[0].clone();
        // Two of them cover each other within ten minutes, the newer one has a path more.
        let invalidations = (0..200_u16).rev().map(|number| {
            let mut invalidation = template.clone();
            invalidation.id = InvalidationId::new(format!("I{number:03}"));
            invalidation.created += TimeDelta::minutes(6) * i32::from(number);
            let other = SubmittedPath::from(format!("/other/{number}"));
            invalidation.paths.push(other);
            if number == 199 {
                invalidation.paths.push("/other/198".to_owned().into());
            }
            invalidation
        });
        let [mut entry] = account(invalidations.collect());
        entry.invalidations.push(ExistingInvalidation {
            id: InvalidationId::new("redundant"),
            ..template.clone()
        });
        let redundant = entry.invalidations.last_mut().expect("an invalidation");
        redundant.created -= TimeDelta::days(1);
        redundant.paths.extend(template.paths);
        assert_eq!(
            needless_paths(&entry.distribution.id, &entry.invalidations),
            [
                NeedlessPaths {
                    distribution: entry.distribution.id.clone(),
                    id: InvalidationId::new("I198"),
                    invalidation: InvalidationId::new("I198"),
                    paths: 3_001,
                    covered_by: Some(InvalidationId::new("I199")),
                },
                NeedlessPaths {
                    distribution: entry.distribution.id.clone(),
                    id: InvalidationId::new("redundant"),
                    invalidation: InvalidationId::new("redundant"),
                    paths: 3_000,
                    covered_by: None,
                },
            ]
        );
    }
}
