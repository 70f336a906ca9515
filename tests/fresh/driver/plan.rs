//! A scenario: a site, its first objects, and the deploys that follow. All of it follows from a seed.
//!
//! A scenario can be reduced to fewer deploys and changes, because nothing in it depends on how it runs.

use std::collections::BTreeSet;
use std::fmt;

use super::families;
use super::keys::keys;
use super::site::Site;
use super::soak::random::Random;

const MAX_CHANGES: usize = 10;
const ONE_IN_MISSING_AT_FIRST: usize = 3;
const ONE_IN_AMBIGUOUS: usize = 3;
const ONE_IN_FEW_PATHS: usize = 3;
const ONE_IN_JOB: usize = 4;

/// A site and what happens to it.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub site: Site,
    /// All keys that exist at any time; viewers request the missing ones too.
    pub keys: Vec<String>,
    pub first: BTreeSet<String>,
    pub deploys: Vec<Deploy>,
    /// MAX_PATHS of the function.
    pub max_paths: usize,
    /// Whether DISTRIBUTION_ID is set; otherwise the function finds the distributions by the bucket.
    pub names_distributions: bool,
    /// Seeds what is random while the scenario runs.
    pub seed: u64,
}

/// Changes that are made together.
#[derive(Clone, Debug)]
pub struct Deploy {
    pub changes: Vec<Change>,
    pub delivery: Delivery,
    /// After how many changes a pipeline job runs, if one does.
    pub job_after: Option<usize>,
}

/// How the notifications reach the function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Each one invokes the function.
    Direct,
    /// They arrive in batches from a queue.
    Queue,
    /// There are none; a pipeline job invalidates everything.
    JobOnly,
}

#[derive(Clone, Debug)]
pub enum Change {
    Put(String),
    Copy { from: String, to: String },
    Delete(String),
}

impl Change {
    pub fn key(&self) -> &str {
        match self {
            Self::Put(key) | Self::Copy { to: key, .. } | Self::Delete(key) => key,
        }
    }

    /// Changes which keys exist.
    pub fn apply(&self, exists: &mut BTreeSet<String>) {
        match self {
            Self::Delete(key) => exists.remove(key),
            change => exists.insert(change.key().to_owned()),
        };
    }
}

impl Scenario {
    /// Plans a scenario with this many keys and deploys; consecutive numbers have different families of sites.
    pub fn plan(random: &mut Random, number: usize, (key_count, deploys): (usize, usize)) -> Self {
        let site = families::site(random, number);
        let with_ambiguous = random.one_in(ONE_IN_AMBIGUOUS);
        let keys = keys(random, &prefixes(&site), key_count, with_ambiguous);
        let existing = keys
            .iter()
            .filter(|_| !random.one_in(ONE_IN_MISSING_AT_FIRST));
        let first: BTreeSet<String> = existing.cloned().collect();
        let mut exists = first.clone();
        let deploys = (0..deploys).map(|_| Deploy::plan(random, &keys, &mut exists));
        let deploys = deploys.collect();
        Self {
            site,
            keys,
            first,
            deploys,
            max_paths: if random.one_in(ONE_IN_FEW_PATHS) {
                20
            } else {
                3_000
            },
            names_distributions: random.one_in(3),
            seed: random.seed(),
        }
    }
}

/// Returns the origin paths of a site without their leading slash.
fn prefixes(site: &Site) -> Vec<&'static str> {
    let mut prefixes = Vec::new();
    for distribution in &site.distributions {
        for path in &distribution.origin_paths {
            let prefix = path.trim_start_matches('/');
            if !prefixes.contains(&prefix) {
                prefixes.push(prefix);
            }
        }
    }
    prefixes
}

impl Deploy {
    fn plan(random: &mut Random, keys: &[String], exists: &mut BTreeSet<String>) -> Self {
        let count = 1 + random.below(MAX_CHANGES);
        let changes: Vec<Change> = (0..count).map(|_| change(random, keys, exists)).collect();
        let delivery = match random.below(10) {
            0..=4 => Delivery::Direct,
            5..=8 => Delivery::Queue,
            _ => Delivery::JobOnly,
        };
        let job_after = match delivery {
            Delivery::JobOnly => Some(count),
            _ if random.one_in(ONE_IN_JOB) => Some(random.below(count + 1)),
            _ => None,
        };
        Self {
            changes,
            delivery,
            job_after,
        }
    }
}

fn change(random: &mut Random, keys: &[String], exists: &mut BTreeSet<String>) -> Change {
    let key = keys[random.below(keys.len())].clone();
    let sources: Vec<&String> = exists.iter().collect();
    let change = match random.below(10) {
        0..=1 if exists.contains(&key) => Change::Delete(key),
        2 if !sources.is_empty() => Change::Copy {
            from: sources[random.below(sources.len())].clone(),
            to: key,
        },
        _ => Change::Put(key),
    };
    change.apply(exists);
    change
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Put(key) => write!(f, "put {key:?}"),
            Self::Copy { from, to } => write!(f, "copy {from:?} to {to:?}"),
            Self::Delete(key) => write!(f, "delete {key:?}"),
        }
    }
}
