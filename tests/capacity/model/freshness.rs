//! When viewers have the current version of each changed object: when an invalidation is completed that is newer than
//! the change and has a path of the object.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::account::distribution_number;
use super::connector::Created;
use super::queue::Change;
use super::{COMPLETES_AFTER, Scenario};

/// The changes that viewers do not see yet, and how long it took for the others.
#[derive(Debug)]
pub struct Freshness {
    started: Instant,
    shares_bucket: bool,
    /// The first change that is not in `stale` yet.
    next: usize,
    /// For each distribution, by path: the changes.
    stale: Vec<BTreeMap<String, Vec<usize>>>,
    /// For each change: on how many distributions it is not invalidated yet.
    left: Vec<usize>,
    /// For each change that is invalidated on all distributions: from the change to the end of the last invalidation.
    pub ages: Vec<Option<Duration>>,
}

impl Freshness {
    pub fn new(scenario: &Scenario, changes: &[Change], started: Instant) -> Self {
        let distributions_of_change = match scenario.shares_bucket {
            true => scenario.distributions,
            false => 1,
        };
        Self {
            started,
            shares_bucket: scenario.shares_bucket,
            next: 0,
            stale: vec![BTreeMap::new(); scenario.distributions],
            left: vec![distributions_of_change; changes.len()],
            ages: vec![None; changes.len()],
        }
    }

    /// Returns whether an invalidation of the object was accepted on all its distributions after the change.
    pub fn is_invalidated(&self, change: usize) -> bool {
        self.left[change] == 0
    }

    /// Adds an invalidation that CloudFront accepted; those before must have been added already.
    pub fn add(&mut self, invalidation: &Created, changes: &[Change]) {
        let created = invalidation.at - self.started;
        while let Some(change) = changes
            .get(self.next)
            .filter(|change| change.changed < created)
        {
            let path = format!("/{}", change.key());
            let distributions = match self.shares_bucket {
                true => 0..self.stale.len(),
                false => change.site..change.site + 1,
            };
            for stale in &mut self.stale[distributions] {
                stale.entry(path.clone()).or_default().push(self.next);
            }
            self.next += 1;
        }
        let number = distribution_number(&invalidation.distribution).expect("an id of the account");
        let stale = &mut self.stale[number];
        for path in &invalidation.paths {
            let covered: Vec<_> = match path.strip_suffix('*') {
                Some(prefix) => stale
                    .range(prefix.to_owned()..)
                    .take_while(|(path, _)| path.starts_with(prefix))
                    .map(|(path, _)| path.clone())
                    .collect(),
                None => vec![path.clone()],
            };
            for path in covered {
                for change in stale.remove(&path).unwrap_or_default() {
                    self.left[change] -= 1;
                    if self.left[change] == 0 {
                        let age = created + COMPLETES_AFTER - changes[change].changed;
                        self.ages[change] = Some(age);
                    }
                }
            }
        }
    }
}
