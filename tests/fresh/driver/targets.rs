//! What viewers request: each object in every spelling, the paths that may lead to it, and some with query strings.

use std::collections::BTreeMap;

use super::plan::Scenario;
use super::site::Distribution;
use super::soak::random::Random;
use super::spellings::targets as spellings;

const QUERY_STRINGS: [&str; 4] = ["v=1", "v=2", "utm=a&v=1", "utm=b"];
const ONE_IN_QUERY_STRING: usize = 5;
const ONE_IN_ENCODINGS: usize = 8;
/// Paths that no object has.
const MISSING: [&str; 3] = ["missing", "missing/", "no such page.html"];

/// A request that viewers repeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The index of the distribution.
    pub distribution: usize,
    /// The path and query string as sent.
    pub target: String,
    pub accept_encoding: &'static str,
}

impl Target {
    /// Returns the path without the query string, which no origin here reads.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }
}

/// Returns the requests of all viewers of a scenario.
pub fn targets(scenario: &Scenario) -> Vec<Target> {
    let mut random = Random::new(scenario.seed);
    let mut targets = Vec::new();
    let mut paths_of: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for site in scenario.sites() {
        for (index, distribution) in site.distributions.iter().enumerate() {
            let listed = paths_of.entry(index).or_default();
            for path in paths(scenario, distribution) {
                if !listed.contains(&path) {
                    listed.push(path);
                }
            }
        }
    }
    for (index, paths) in paths_of {
        for target in paths.iter().flat_map(|path| spellings(path)) {
            add(&mut targets, &mut random, index, target);
        }
    }
    targets
}

/// Adds a target, sometimes with query strings and sometimes in other content encodings.
fn add(targets: &mut Vec<Target>, random: &mut Random, distribution: usize, target: String) {
    let mut all = vec![target.clone()];
    if random.one_in(ONE_IN_QUERY_STRING) && !target.contains('?') {
        all.extend(QUERY_STRINGS.map(|query| format!("{target}?{query}")));
    }
    for target in all {
        let encodings = if random.one_in(ONE_IN_ENCODINGS) {
            &["", "gzip", "br, gzip"][..]
        } else {
            &[""][..]
        };
        for accept_encoding in encodings {
            let target = Target {
                distribution,
                target: target.clone(),
                accept_encoding,
            };
            if !targets.contains(&target) {
                targets.push(target);
            }
        }
    }
}

/// Returns the decoded paths, without their leading slash, that lead or may lead to an object.
fn paths(scenario: &Scenario, distribution: &Distribution) -> Vec<String> {
    let mut paths: Vec<String> = vec![String::new()];
    let mut add = |path: &str| {
        if !paths.iter().any(|listed| listed == path) {
            paths.push(path.to_owned());
        }
    };
    for key in &scenario.keys {
        for path in relative_keys(key, distribution) {
            add(path);
            if let Some(directory) = path.strip_suffix("index.html") {
                add(directory);
                add(directory.strip_suffix('/').unwrap_or(directory));
            }
            if let Some(page) = path.strip_suffix(".html") {
                add(page);
            }
        }
    }
    MISSING.into_iter().for_each(add);
    paths
}

/// Returns the paths of a key: relative to each origin path, and the complete key if it is below none of them.
fn relative_keys<'a>(key: &'a str, distribution: &Distribution) -> Vec<&'a str> {
    let prefixes = distribution.origin_paths.iter();
    let relative = prefixes.filter_map(|prefix| match prefix.strip_prefix('/') {
        None => Some(key),
        Some(prefix) => key.strip_prefix(prefix)?.strip_prefix('/'),
    });
    let relative: Vec<&str> = relative.collect();
    if relative.is_empty() {
        vec![key]
    } else {
        relative
    }
}
