//! `PathIndex`: which of many paths cover a path, without a comparison with each of them.
//!
//! A batch of 10,000 objects is compared with up to 60,000 paths of existing invalidations. The index finds an equal path
//! by its hash. Of the wildcards, only those whose prefix the path has can cover it, and these are prefixes of each
//! other: each wildcard refers to the longest one that encloses it, so that one search finds all of them. The rules are
//! those of [`InvalidationPath::covers`](super::InvalidationPath::covers).

use std::borrow::Cow;
use std::collections::HashMap;

use super::{covers_after_prefix, shared_bytes};

/// Paths with a value each, such as the invalidation that has the path.
#[derive(Clone, Debug)]
pub struct PathIndex<'a, V> {
    /// The greatest value of each path without a wildcard, and of each tag in lower case.
    exact: HashMap<Cow<'a, str>, V>,
    /// Sorted by prefix.
    wildcards: Vec<Wildcard<'a, V>>,
}

#[derive(Clone, Debug)]
struct Wildcard<'a, V> {
    /// The path without its `*`; empty for `/*`, which also covers tags.
    prefix: &'a str,
    /// The greatest value of this wildcard.
    value: V,
    /// The index of the longest other wildcard whose prefix this prefix has.
    enclosing: Option<usize>,
    /// The greatest value of the enclosing wildcards that cover whatever this one covers.
    inherited: Option<V>,
}

impl<'a, V: Copy + Ord> PathIndex<'a, V> {
    /// Creates the index of paths as CloudFront accepts or returns them.
    pub fn new(paths: impl IntoIterator<Item = (&'a str, V)>) -> Self {
        let mut exact = HashMap::new();
        let mut wildcards = Vec::new();
        for (path, value) in paths {
            match path.strip_suffix('*') {
                Some(prefix) if !path.starts_with('#') => {
                    let prefix = if prefix == "/" { "" } else { prefix };
                    wildcards.push((prefix, value));
                }
                _ => {
                    let greatest = exact.entry(exact_key(path)).or_insert(value);
                    *greatest = value.max(*greatest);
                }
            }
        }
        // Of equal prefixes, the greatest value is first.
        wildcards.sort_unstable_by(|(a, a_value), (b, b_value)| {
            a.cmp(b).then_with(|| b_value.cmp(a_value))
        });
        wildcards.dedup_by_key(|(prefix, _)| *prefix);
        Self {
            exact,
            wildcards: with_enclosing(wildcards),
        }
    }

    /// Returns the greatest value of the paths that certainly invalidate everything that `path` invalidates, or `None` if
    /// there is no such path.
    pub fn greatest_covering(&self, path: &str) -> Option<V> {
        let equal = self.exact.get(&exact_key(path)).copied();
        let enclosing = self.longest_prefix_of(path).and_then(|wildcard| {
            let rest = path.get(wildcard.prefix.len()..).unwrap_or_default();
            let own = wildcard.covers_rest(rest).then_some(wildcard.value);
            own.max(wildcard.inherited)
        });
        equal.max(enclosing)
    }

    /// Returns the wildcard with the longest prefix that the path has.
    fn longest_prefix_of(&self, path: &str) -> Option<&Wildcard<'a, V>> {
        let end = self
            .wildcards
            .partition_point(|wildcard| wildcard.prefix <= path);
        let mut wildcard = self.wildcards.get(end.checked_sub(1)?)?;
        // Every prefix of the path is sorted before it, and is a prefix of all that is sorted between them. So it is this
        // wildcard's, or that of a wildcard that encloses it.
        let shared = shared_bytes([wildcard.prefix.as_bytes(), path.as_bytes()]);
        while wildcard.prefix.len() > shared {
            wildcard = self.wildcards.get(wildcard.enclosing?)?;
        }
        Some(wildcard)
    }
}

impl<V> Wildcard<'_, V> {
    /// Returns whether the wildcard covers a path that consists of its prefix and `rest`.
    fn covers_rest(&self, rest: &str) -> bool {
        covers_after_prefix(self.prefix, rest)
    }
}

/// Returns the text by which a path without a wildcard is found. CloudFront ignores the case of a tag.
fn exact_key(path: &str) -> Cow<'_, str> {
    if path.starts_with('#') {
        Cow::Owned(path.to_ascii_lowercase())
    } else {
        Cow::Borrowed(path)
    }
}

/// Finds the enclosing wildcards of each wildcard; expects them sorted and without duplicates.
fn with_enclosing<V: Copy + Ord>(sorted: Vec<(&str, V)>) -> Vec<Wildcard<'_, V>> {
    let mut wildcards: Vec<Wildcard<'_, V>> = Vec::with_capacity(sorted.len());
    for (prefix, value) in sorted {
        let mut enclosing = wildcards.len().checked_sub(1);
        let mut inherited = None;
        while let Some(outer) = enclosing.and_then(|index| wildcards.get(index)) {
            if let Some(rest) = prefix.strip_prefix(outer.prefix) {
                let own = outer.covers_rest(rest).then_some(outer.value);
                inherited = own.max(outer.inherited);
                break;
            }
            enclosing = outer.enclosing;
        }
        wildcards.push(Wildcard {
            prefix,
            value,
            enclosing,
            inherited,
        });
    }
    wildcards
}
