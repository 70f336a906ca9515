//! Times the planner at 20 paths and 10 wildcards: `cargo bench --bench plan`. `make bench` draws `docs/planner.svg`
//! from the results.
//!
//! - `plan/<kind>/<keys>`: what the function does between the changed keys and CreateInvalidation: encodes each key
//!   ([`EncodedPaths::of_key`]), chooses the paths, and hashes them to a caller reference ([`Batch::new`]). Two
//!   kinds are measured for 1,000 to 1,000,000 keys, all kinds for 100,000 keys.
//! - `collapse/<kind>/<keys>` and `collapse with inventory/<kind>/<keys>`: only the choice of the paths, which must
//!   take less than 60 ms on one core. With an inventory, a third of the site's objects is unchanged.

use std::hint::black_box;

use cloudfront_invalidator::distribution::DistributionId;
use cloudfront_invalidator::path::{EncodedPaths, InvalidationPath};
use cloudfront_invalidator::plan::collapse::{Inventory, collapse};
use cloudfront_invalidator::plan::{Batch, Limits};
use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};

/// The number of keys of which the time is limited.
const KEYS: usize = 100_000;

/// Half a power of ten apart.
const SIZES: [usize; 7] = [1_000, 3_162, 10_000, 31_623, KEYS, 316_228, 1_000_000];

/// The defaults of the stack.
const LIMITS: Limits = Limits {
    paths: 20,
    wildcards: 10,
    ..Limits::BUCKET_CHANGES
};

/// The keys of a documentation site in ten versions.
fn versions(n: usize) -> String {
    let (version, package, class) = (n % 10, n / 10 % 200, n / 2_000);
    format!("v{version}/api/org/example/package{package:03}/Class{class:02}.html")
}

/// The keys of a bundler's output, with a different hash in each name.
fn hashed(n: usize) -> String {
    let hash = (n as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!("assets/chunk-{hash:016x}.js")
}

/// Chains of a thousand keys, in which each key is a prefix of the next.
fn chains(n: usize) -> String {
    format!("{:02}/{}", n / 1_000, "a".repeat(n % 1_000))
}

/// The keys of a degenerate radix tree: for every prefix of a long key, the prefix followed by an `a`.
fn caterpillars(n: usize) -> String {
    format!("{:03}/{}a", n / 500, "b".repeat(n % 500))
}

/// The keys of a radix tree in which each inner node has two children, so that no node has too many to be considered.
fn binary(n: usize) -> String {
    format!("{n:017b}")
}

/// A name, the key of each number, and the numbers of keys that are planned.
type Kind = (&'static str, fn(usize) -> String, &'static [usize]);

const KINDS: [Kind; 5] = [
    ("versions", versions, &SIZES),
    ("hashed", hashed, &SIZES),
    ("chains", chains, &[KEYS]),
    ("caterpillars", caterpillars, &[KEYS]),
    ("binary", binary, &[KEYS]),
];

fn plan(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("plan");
    group.sample_size(10);
    let distribution = DistributionId::parse("E2EXAMPLE1ABC").expect("an id");
    let plan = |keys: &[String]| {
        let paths: EncodedPaths = keys.iter().map(|key| EncodedPaths::of_key(key)).collect();
        // The function keeps the paths of each object for its report.
        let batch = Batch::new("event", distribution.clone(), paths.paths.clone(), LIMITS);
        (paths, batch)
    };
    for (kind, key, sizes) in KINDS {
        for &size in sizes {
            let keys: Vec<_> = (0..size).map(key).collect();
            group.bench_function(BenchmarkId::new(kind, size), |bencher| {
                bencher.iter_with_large_drop(|| plan(black_box(&keys)));
            });
        }
    }
    group.finish();
}

fn choose(criterion: &mut Criterion) {
    for (name, has_inventory) in [("collapse", false), ("collapse with inventory", true)] {
        let mut group = criterion.benchmark_group(name);
        group.sample_size(10);
        for (kind, key, _) in KINDS {
            let keys: Vec<_> = (0..KEYS).map(key).collect();
            let paths = keys
                .iter()
                .flat_map(|key| InvalidationPath::from_object_key(key));
            let paths: Vec<_> = paths.collect();
            let unchanged = keys.iter().step_by(2).map(|key| format!("{key}~"));
            let site = Inventory::from_keys(keys.iter().cloned().chain(unchanged));
            let inventory = has_inventory.then_some(&site);
            group.bench_function(BenchmarkId::new(kind, KEYS), |bencher| {
                bencher.iter_batched(
                    || paths.clone(),
                    |paths| black_box(collapse(paths, inventory, LIMITS)),
                    BatchSize::LargeInput,
                );
            });
        }
        group.finish();
    }
}

criterion_group!(benches, plan, choose);
criterion_main!(benches);
