//! Measures `collapse` for 100,000 changed keys at 20 paths and 10 wildcards: `cargo bench --bench plan`.
//!
//! It must take less than 100 ms on one core for every kind of keys.

use std::hint::black_box;

use cloudfront_invalidator::path::InvalidationPath;
use cloudfront_invalidator::plan::Limits;
use cloudfront_invalidator::plan::collapse::{Inventory, collapse};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};

const KEYS: usize = 100_000;
const LIMITS: Limits = Limits {
    paths: 20,
    wildcards: 10,
    ..Limits::BUCKET_CHANGES
};

/// Returns the keys of a documentation site in ten versions.
fn versions() -> Vec<String> {
    let page = |n: usize| {
        let (version, package, class) = (n % 10, n / 10 % 200, n / 2_000);
        format!("v{version}/api/org/example/package{package:03}/Class{class:02}.html")
    };
    (0..KEYS).map(page).collect()
}

/// Returns the keys of a bundler's output, with a different hash in each name.
fn hashed() -> Vec<String> {
    let hash = |n: usize| (n as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (0..KEYS)
        .map(|n| format!("assets/chunk-{:016x}.js", hash(n)))
        .collect()
}

/// Returns a hundred chains of a thousand keys, in which each key is a prefix of the next.
fn chains() -> Vec<String> {
    (0..KEYS)
        .map(|n| format!("{:02}/{}", n / 1_000, "a".repeat(n % 1_000)))
        .collect()
}

/// Returns the keys of a degenerate radix tree: for every prefix of a long key, the prefix followed by an `a`.
fn caterpillars() -> Vec<String> {
    (0..KEYS)
        .map(|n| format!("{:03}/{}a", n / 500, "b".repeat(n % 500)))
        .collect()
}

fn plan(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("collapse 100,000 keys at 20/10");
    group.sample_size(10);
    for (name, keys) in [
        ("versions", versions()),
        ("hashed", hashed()),
        ("chains", chains()),
        ("caterpillars", caterpillars()),
    ] {
        let paths: Vec<_> = keys
            .iter()
            .map(|key| InvalidationPath::from_object_key(key).swap_remove(0))
            .collect();
        let unchanged = keys.iter().step_by(2).map(|key| format!("{key}~"));
        let site = Inventory::from_keys(keys.iter().cloned().chain(unchanged));
        for (variant, inventory) in [("blind", None), ("with inventory", Some(&site))] {
            group.bench_function(format!("{name}, {variant}"), |bencher| {
                bencher.iter_batched(
                    || paths.clone(),
                    |paths| black_box(collapse(paths, inventory, LIMITS)),
                    BatchSize::LargeInput,
                );
            });
        }
    }
    group.finish();
}

criterion_group!(benches, plan);
criterion_main!(benches);
