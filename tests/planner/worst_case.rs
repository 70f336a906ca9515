//! The largest batch of changes: 10,000 keys of 1,024 bytes that share long prefixes, next to 20 existing invalidations of
//! 3,000 paths each. Planning it and comparing it with them takes less than 2 s of CPU and 100 MiB in a release build. So
//! does finding the paths of each key by the configuration with the most cache behaviors.
//!
//! A debug build checks the results, and that nothing is quadratic. `cargo test --release --test worst_case` checks the
//! measurements against the limits. The CPU time is that of the thread. The memory is the growth of the process beyond the
//! keys and the existing invalidations themselves, which have 70 MiB. Both are read from Linux's /proc.

use std::error::Error;
use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, fs};

use chrono::{DateTime, TimeDelta, Utc};
use cloudfront_invalidator::distribution::DistributionId;
use cloudfront_invalidator::path::{EncodedPaths, InvalidationPath, PathIndex, SubmittedPath};
use cloudfront_invalidator::plan::limits::{
    MAX_INVALIDATIONS_READ, MAX_PATHS_IN_REQUEST, MAX_WILDCARDS_IN_REQUEST,
};
use cloudfront_invalidator::plan::{
    Batch, ExistingInvalidation, ExistingPaths, InvalidationId, InvalidationStatus, Limits,
};
use cloudfront_invalidator::site::{
    CacheBehavior, CachedPaths, Features, IndexDocuments, Origin, QueryStrings, Site,
};

/// The environment variable with the kind that a process measures.
const KIND: &str = "WORST_CASE_KIND";

const KEYS: usize = 10_000;
const KEY_BYTES: usize = 1_024;

/// The kind that is measured with cache behaviors.
const BEHAVIORS: &str = "behaviors";

/// The quota of cache behaviors of a distribution.
const MAX_CACHE_BEHAVIORS: usize = 75;

/// The limits in a release build, and bounds for a debug build, which is slower by an order of magnitude.
const MAX_CPU: Duration = Duration::from_secs(if cfg!(debug_assertions) { 20 } else { 2 });
const MAX_MEMORY_KIB: u64 = 100 * 1_024;

/// Returns a key of the largest size that starts with the text.
fn padded(start: &str, end: &str) -> String {
    let padding = KEY_BYTES.saturating_sub(start.len() + end.len());
    format!("{start}{}{end}", "p".repeat(padding))
}

/// Returns the kinds of keys.
fn kinds() -> [(&'static str, Vec<String>); 5] {
    let keys = |key: fn(usize) -> String| (0..KEYS).map(key).collect();
    [
        // All differ in the last bytes only.
        ("endings", keys(|n| padded("", &format!("{n:05}.html")))),
        // Directories of ten files, below one long directory.
        (
            "directories",
            keys(|n| padded("", &format!("/{:03}/{n:05}.html", n / 10))),
        ),
        // Ten chains of a thousand keys, in which each key is a prefix of the next.
        (
            "chains",
            keys(|n| format!("{:02}/{}", n / 1_000, "a".repeat(21 + n % 1_000))),
        ),
        // For every prefix of a long key, the prefix followed by another letter.
        (
            "caterpillars",
            keys(|n| format!("{:02}/{}a", n / 1_000, "b".repeat(20 + n % 1_000))),
        ),
        // Four spellings each.
        (
            "spellings",
            keys(|n| padded("a, b/", &format!("{n:05}.html"))),
        ),
    ]
}

fn time(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
}

/// Returns existing invalidations that cover every third key, with wildcards that enclose each other and cover none.
fn existing(keys: &[String]) -> Vec<ExistingInvalidation> {
    let covered: Vec<_> = keys.iter().step_by(3).collect();
    let invalidation = |number: usize| {
        let wildcards = (0..MAX_WILDCARDS_IN_REQUEST).map(|n| {
            let nested = 900 - number * MAX_WILDCARDS_IN_REQUEST - n;
            format!("/{}~*", "p".repeat(nested))
        });
        let keys = (0..).map(|n| number * 167 + n);
        let files = keys.flat_map(|n| {
            let key = covered.get(n).copied();
            let key = key.map_or_else(|| padded("", &format!("{n:05}.other")), String::clone);
            EncodedPaths::of_key(&key).paths
        });
        let files = files.map(|path| path.to_string());
        let paths = wildcards.chain(files).take(MAX_PATHS_IN_REQUEST);
        ExistingInvalidation {
            id: InvalidationId::new(format!("I{number:02}")),
            created: time(1_000 + i64::try_from(number).expect("a number")),
            status: InvalidationStatus::Completed,
            caller_reference: "reference".into(),
            paths: paths.map(SubmittedPath::from).collect(),
        }
    };
    (0..MAX_INVALIDATIONS_READ).map(invalidation).collect()
}

/// What planning a batch did.
struct Planned {
    /// How many objects the existing invalidations cover.
    skipped: usize,
    batch: Batch,
    /// How many objects the batch does not cover.
    missed: usize,
}

/// Plans a batch as the handler does for bucket events.
fn plan(keys: &[String], existing: &[ExistingInvalidation]) -> Planned {
    let existing = ExistingPaths::new(existing);
    let objects = keys.iter().map(|key| EncodedPaths::of_key(key).paths);
    let mut stale: Vec<Vec<InvalidationPath>> = objects.collect();
    stale.retain(|paths| existing.newest_covering(time(0), paths).is_none());
    let limits = Limits {
        paths: MAX_PATHS_IN_REQUEST,
        wildcards: MAX_WILDCARDS_IN_REQUEST,
        ..Limits::REQUESTED_PATHS
    };
    let distribution = DistributionId::parse("E2EXAMPLE1ABC").expect("an id");
    let batch = Batch::new("event", distribution, stale.concat(), limits);
    let accepted = PathIndex::new(batch.paths().iter().map(|path| (path.as_str(), ())));
    let is_missed = |path: &InvalidationPath| accepted.greatest_covering(path.as_str()).is_none();
    let missed = stale.iter().filter(|paths| paths.iter().any(is_missed));
    Planned {
        skipped: keys.len() - stale.len(),
        missed: missed.count(),
        batch,
    }
}

/// Returns a distribution with a bucket and with the path patterns of an API that match none of the keys, although most
/// keys have many places at which a part of a pattern can start. Five have up to the 255 characters that CloudFront
/// allows, half of them question marks, and each key has their other characters in the same order.
fn site_with_most_behaviors() -> Site {
    let behavior = |path_pattern: String, target_origin_id: &str| CacheBehavior {
        path_pattern,
        target_origin_id: target_origin_id.into(),
        edge_function: false,
        query_strings: QueryStrings::Ignored,
    };
    let origin = |id: &str, domain_name: &str| Origin {
        id: id.into(),
        domain_name: domain_name.into(),
        origin_path: String::new(),
    };
    let padding = "p".repeat(40);
    let question_marks = format!("*{}q?p*", "p?".repeat(123));
    let path_pattern = |n: usize| match n % 5 {
        0 => format!("*{padding}q{n}*"),
        1 => format!("*p*p*q{n}*"),
        2 => format!("*{padding}?q{n}*"),
        // Each such pattern takes a quarter of a second for all keys.
        3 if n == 3 => question_marks.clone(),
        _ => format!("*/img{n}/*"),
    };
    let api = (1..MAX_CACHE_BEHAVIORS).map(|n| behavior(path_pattern(n), "api"));
    Site {
        id: DistributionId::parse("E2EXAMPLE1ABC").expect("an id"),
        enabled: true,
        aliases: Vec::new(),
        origins: vec![
            origin("bucket", "site.s3.eu-west-1.amazonaws.com"),
            origin("api", "api.example.com"),
        ],
        origin_groups: Vec::new(),
        cache_behaviors: api.chain([behavior("*".into(), "bucket")]).collect(),
        default_root_object: Some("index.html".into()),
        custom_error_responses: Vec::new(),
        features: Features::default(),
    }
}

/// Finds the paths of keys, each of which may be an index document and is routed by the last cache behavior.
fn measure_behaviors() {
    let site = site_with_most_behaviors();
    let keys = (0..KEYS).map(|n| padded("", &format!("qp/{n:05}/index.html")));
    let keys: Vec<_> = keys.collect();
    let started = Instant::now();
    let cpu = cpu_time(started);
    let is_cached = |key: &&String| {
        let paths = site.cached_paths("site", key, IndexDocuments::Auto);
        matches!(paths, CachedPaths::Cached { .. })
    };
    let cached = keys.iter().filter(is_cached).count();
    let cpu = cpu_time(started).saturating_sub(cpu);
    println!("{BEHAVIORS}: {} ms of CPU", cpu.as_millis());
    assert_eq!(cached, KEYS);
    assert!(cpu <= MAX_CPU, "{BEHAVIORS}: {cpu:?}");
}

/// Returns the CPU time of this thread, or the time that has passed where the system does not have it.
fn cpu_time(started: Instant) -> Duration {
    let statistics = fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = statistics.and_then(|text| text.split(' ').next()?.parse().ok());
    nanoseconds.map_or_else(|| started.elapsed(), Duration::from_nanos)
}

/// Returns a value of this process in KiB: `VmRSS`, or `VmHWM`, its peak.
fn memory(name: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Plans the batch of one kind, and checks the result and what it took.
fn measure(kind: &str, keys: &[String]) {
    let existing = existing(keys);
    let existing_paths = existing.iter().map(|invalidation| invalidation.paths.len());
    assert_eq!(existing_paths.sum::<usize>(), 20 * 3_000);
    // The peak starts again at the memory that is in use.
    let resets_peak = fs::write("/proc/self/clear_refs", "5").is_ok();
    let used = memory("VmRSS:");
    let started = Instant::now();
    let cpu = cpu_time(started);
    let planned = plan(keys, &existing);
    let cpu = cpu_time(started).saturating_sub(cpu);
    let peak = memory("VmHWM:").filter(|_| resets_peak);
    let growth = peak.zip(used).map(|(peak, used)| peak.saturating_sub(used));
    let mebibytes = |kib: Option<u64>| kib.map_or("?".to_owned(), |kib| (kib / 1_024).to_string());
    println!(
        "{kind}: {} ms of CPU, {} MiB beyond {} MiB",
        cpu.as_millis(),
        mebibytes(growth),
        mebibytes(used)
    );
    assert_eq!(planned.skipped, KEYS.div_ceil(3), "{kind}");
    assert_eq!(planned.missed, 0, "{kind}");
    let paths = planned.batch.paths();
    let wildcards = paths.iter().filter(|path| path.is_wildcard()).count();
    assert!(
        paths.len() <= MAX_PATHS_IN_REQUEST,
        "{kind}: {}",
        paths.len()
    );
    assert!(wildcards <= MAX_WILDCARDS_IN_REQUEST, "{kind}: {wildcards}");
    assert!(cpu <= MAX_CPU, "{kind}: {cpu:?}");
    assert!(
        growth.is_none_or(|growth| growth <= MAX_MEMORY_KIB),
        "{kind}: {growth:?} KiB"
    );
}

fn main() -> Result<(), Box<dyn Error>> {
    if let Ok(kind) = env::var(KIND) {
        if kind == BEHAVIORS {
            measure_behaviors();
            return Ok(());
        }
        let (_, keys) = kinds()
            .into_iter()
            .find(|(name, _)| *name == kind)
            .ok_or("no such kind")?;
        measure(&kind, &keys);
        return Ok(());
    }
    // Each in a process of its own: memory that one kind frees stays with the process.
    for kind in kinds().map(|(kind, _)| kind).into_iter().chain([BEHAVIORS]) {
        let status = Command::new(env::current_exe()?).env(KIND, kind).status()?;
        assert!(status.success(), "{kind}: {status}");
    }
    Ok(())
}
