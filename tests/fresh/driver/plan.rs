//! A scenario: a site, its first objects, and the deploys that follow. All of it follows from a seed.
//!
//! A scenario can be reduced to fewer deploys and changes, because nothing in it depends on how it runs.

use std::collections::BTreeSet;
use std::fmt;

use super::families;
use super::keys::keys;
use super::site::Site;
use super::soak::random::Random;
use crate::standin::{Fault, Operation};

const MAX_CHANGES: usize = 10;
const ONE_IN_MISSING_AT_FIRST: usize = 3;
const ONE_IN_AMBIGUOUS: usize = 3;
const ONE_IN_FEW_PATHS: usize = 3;
const ONE_IN_JOB: usize = 4;
const ONE_IN_UNCHANGED: usize = 3;
const ONE_IN_FAILING_READS: usize = 3;
/// How reads fail, and which ones. A function with DISTRIBUTION_ID lists no distributions, and few sites have a cache
/// policy that has to be read.
const READ_FAULTS: [Fault; 4] = [
    Fault::Throttling,
    Fault::ServiceUnavailable,
    Fault::InternalError,
    Fault::Reset,
];
const READS: [Operation; 4] = [
    Operation::ListDistributions,
    Operation::GetDistributionConfig,
    Operation::GetDistributionConfig,
    Operation::GetCachePolicy,
];
/// All attempts of one call, and perhaps some of the next one.
const FAILING_CALLS: [u64; 3] = [4, 5, 6];

/// A site and what happens to it.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub site: Site,
    /// All keys that exist at any time; viewers request the missing ones too.
    pub keys: Vec<String>,
    /// The changes that make the first objects.
    pub first: Vec<Change>,
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
    /// The site with changed configurations, if they are changed before the deploy.
    pub reconfigured: Option<Site>,
    pub changes: Vec<Change>,
    pub delivery: Delivery,
    /// Which calls that read configurations fail while the notifications are delivered.
    pub failing_reads: Option<FailingReads>,
    /// After how many changes a pipeline job runs, if one does.
    pub job_after: Option<usize>,
}

/// The next calls of an operation, which fail.
#[derive(Clone, Copy, Debug)]
pub struct FailingReads {
    pub operation: Operation,
    pub fault: Fault,
    pub calls: u64,
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
    /// Writes a new version.
    Put(String),
    /// Writes this content.
    Write {
        key: String,
        content: String,
    },
    Copy {
        from: String,
        to: String,
    },
    Delete(String),
}

impl Change {
    pub fn key(&self) -> &str {
        match self {
            Self::Put(key)
            | Self::Write { key, .. }
            | Self::Copy { to: key, .. }
            | Self::Delete(key) => key,
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
    /// Removes the changes of the configuration.
    pub fn keep_configuration(&mut self) {
        for deploy in &mut self.deploys {
            deploy.reconfigured = None;
        }
    }

    /// Removes the failures to read configurations.
    pub fn keep_reading(&mut self) {
        for deploy in &mut self.deploys {
            deploy.failing_reads = None;
        }
    }

    /// Returns the site with the configuration that a deploy finds, if it was changed. It changes at most once.
    pub fn reconfigured(&self, deploy: usize) -> Option<&Site> {
        let mut deploys = self.deploys.iter().take(deploy + 1);
        deploys.find_map(|deploy| deploy.reconfigured.as_ref())
    }

    /// Returns the site with each of its configurations.
    pub fn sites(&self) -> impl Iterator<Item = &Site> {
        let reconfigured = self.deploys.iter();
        let reconfigured = reconfigured.filter_map(|deploy| deploy.reconfigured.as_ref());
        [&self.site].into_iter().chain(reconfigured)
    }

    /// Plans a scenario with this many keys and deploys; consecutive numbers have different families of sites.
    pub fn plan(random: &mut Random, number: usize, (key_count, deploys): (usize, usize)) -> Self {
        let site = families::site(random, number);
        let names_distributions = random.one_in(3) || site.must_be_named();
        let is_unchanged = random.one_in(ONE_IN_UNCHANGED);
        let reconfigured = (!is_unchanged)
            .then(|| families::reconfigured(random, &site, names_distributions))
            .flatten();
        let with_ambiguous = random.one_in(ONE_IN_AMBIGUOUS);
        let prefixes = prefixes([&site].into_iter().chain(&reconfigured));
        let builds = site
            .bundler
            .map(|bundler| bundler.plan(random, prefixes[0], deploys));
        let keys = match &builds {
            Some(builds) => builds.keys(),
            None => keys(random, &prefixes, key_count, with_ambiguous),
        };
        let first = match &builds {
            Some(builds) => builds.first(),
            None => {
                let existing = keys
                    .iter()
                    .filter(|_| !random.one_in(ONE_IN_MISSING_AT_FIRST));
                existing.cloned().map(Change::Put).collect()
            }
        };
        let mut exists = exists_after(&first);
        let deploys = (0..deploys).map(|deploy| {
            let changes = match &builds {
                Some(builds) => builds.changes(random, deploy),
                None => random_changes(random, &keys, &mut exists),
            };
            Deploy::plan(random, changes)
        });
        let mut deploys: Vec<Deploy> = deploys.collect();
        let keeps_errors = builds.is_some()
            && [&site]
                .into_iter()
                .chain(&reconfigured)
                .any(Site::keeps_errors);
        if let Some(site) = reconfigured {
            let number = random.below(deploys.len());
            deploys[number].reconfigure(random, site);
        }
        Self {
            site,
            keys,
            first,
            deploys,
            // Wildcards for files that may have a cached error would cover those of old entry pages.
            max_paths: if random.one_in(ONE_IN_FEW_PATHS) && !keeps_errors {
                20
            } else {
                3_000
            },
            names_distributions,
            seed: random.seed(),
        }
    }
}

/// Returns the folders that viewers of the sites reach.
fn prefixes<'a>(sites: impl Iterator<Item = &'a Site>) -> Vec<&'static str> {
    let mut prefixes = Vec::new();
    for distribution in sites.flat_map(|site| &site.distributions) {
        for folder in distribution.folders() {
            if !prefixes.contains(&folder) {
                prefixes.push(folder);
            }
        }
    }
    prefixes
}

impl Deploy {
    fn plan(random: &mut Random, changes: Vec<Change>) -> Self {
        let count = changes.len();
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
        let failing_reads = random.one_in(ONE_IN_FAILING_READS);
        let failing_reads = failing_reads.then(|| FailingReads {
            operation: random.pick(&READS),
            fault: random.pick(&READ_FAULTS),
            calls: random.pick(&FAILING_CALLS),
        });
        Self {
            reconfigured: None,
            changes,
            delivery,
            failing_reads,
            job_after,
        }
    }

    /// Adds a change of the configuration before the deploy, whose objects then need the function.
    fn reconfigure(&mut self, random: &mut Random, site: Site) {
        self.reconfigured = Some(site);
        self.job_after = None;
        if self.delivery == Delivery::JobOnly {
            self.delivery = random.pick(&[Delivery::Direct, Delivery::Queue]);
        }
    }
}

fn random_changes(
    random: &mut Random,
    keys: &[String],
    exists: &mut BTreeSet<String>,
) -> Vec<Change> {
    let count = 1 + random.below(MAX_CHANGES);
    (0..count).map(|_| change(random, keys, exists)).collect()
}

/// Returns the keys that exist after changes of an empty bucket.
pub fn exists_after(changes: &[Change]) -> BTreeSet<String> {
    let mut exists = BTreeSet::new();
    for change in changes {
        change.apply(&mut exists);
    }
    exists
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
            Self::Put(key) | Self::Write { key, .. } => write!(f, "put {key:?}"),
            Self::Copy { from, to } => write!(f, "copy {from:?} to {to:?}"),
            Self::Delete(key) => write!(f, "delete {key:?}"),
        }
    }
}
