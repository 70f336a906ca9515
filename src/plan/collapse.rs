//! `collapse`: chooses the paths to send. Least harm first, then fewest paths. An [`Economy`](super::limits::Economy)
//! accepts more harm for fewer paths.
//!
//! An invalidation has two limits: the number of paths, and how many of them are wildcards. Paths that do not fit share
//! a wildcard, and a wildcard also drops the copies of unchanged objects: that is its harm. Every path that was passed
//! in is covered. A prefix of any length can end in `*`, so the tightest wildcard for some paths is their longest
//! common prefix, and the candidates are the inner nodes of the paths' radix tree: fewer than there are paths. Choosing
//! among them is a knapsack problem, which is solved exactly, from left to right, in O(paths × limits).
//!
//! If the site's objects are known ([`Inventory`]), the harm is the number of unchanged objects that lose their copy. A
//! wildcard without harm is used even if all paths fit, because it needs fewer of them. Otherwise the harm is an
//! estimate (`estimated_harm`), and paths that fit are sent unchanged. How CloudFront matches a wildcard:
//! <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/invalidation-specifying-objects.html>

use std::collections::HashSet;
use std::ops::Range;

use serde::Serialize;

use super::limits::Limits;
use crate::path::{InvalidationPath, PathIndex};

/// The most bits that the knapsack stores (32 MiB). 100,000 paths at 20 paths and 10 wildcards need a twelfth of it.
/// Beyond it, the knapsack considers fewer files than the limit allows, so the result is still within the limits.
const MAX_TABLE_BITS: usize = 1 << 28;

/// The objects of a site.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Encoded and sorted, without duplicates.
    paths: Vec<String>,
}

impl Inventory {
    /// Creates the inventory of a site whose objects have these (decoded) keys.
    pub fn from_keys<K: AsRef<str>>(keys: impl IntoIterator<Item = K>) -> Self {
        let mut paths: Vec<String> = keys
            .into_iter()
            .map(|key| InvalidationPath::documented_spelling(key.as_ref()))
            .collect();
        paths.sort_unstable();
        paths.dedup();
        Self { paths }
    }
}

/// The paths to send, and what they cover.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Collapsed {
    /// The paths, sorted and within the limits. No path covers another.
    pub paths: Vec<InvalidationPath>,
    /// How many distinct paths were passed in.
    pub from: usize,
    /// Those of `paths` that cover more than one of the paths passed in.
    pub merged: Vec<Merged>,
    /// How many unchanged objects lose their cached copy, if the site's objects are known.
    pub unchanged: Option<usize>,
}

/// A wildcard that covers several of the paths passed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Merged {
    /// The wildcard.
    pub path: InvalidationPath,
    /// How many distinct paths it covers.
    pub from: usize,
}

/// Returns the paths within the limits that cover all of `paths`: least harm to unchanged objects first, then fewest
/// paths.
///
/// A limit of 0 counts as 1, so that `/*` is always possible.
///
/// Unchanged objects that lose their copy on the recorded deploys of two sites (`tests/planner/score.py --table`), all
/// deploys together, next to the algorithm of s3deploy, which is the best of the tools that were compared. No changed
/// object was missed.
///
/// | trace | limit | s3deploy | estimate | inventory | optimum | paths billed: estimate | inventory |
/// |---|---:|---:|---:|---:|---:|---:|---:|
/// | hexo | 8 | 237,262 | 220,524 | 220,363 | 220,363 | 2,021 | 1,977 |
/// | hexo | 15 | 132,494 | 83,721 | 2,614 | 2,614 | 10,186 | 9,334 |
/// | kafka | 8 | 209,655 | 90,778 | 76,482 | 76,482 | 1,996 | 1,832 |
/// | kafka | 15 | 76,902 | 26,747 | 22,574 | 22,574 | 3,270 | 2,400 |
pub fn collapse(
    paths: Vec<InvalidationPath>,
    inventory: Option<&Inventory>,
    limits: Limits,
) -> Collapsed {
    let limits = Limits {
        paths: limits.paths.max(1),
        wildcards: limits.wildcards.max(1),
        ..limits
    };
    let changed = distinct(paths);
    let needed = without_covered(&changed);
    let wildcards = needed.iter().filter(|path| path.is_wildcard()).count();
    let fits = needed.len() <= limits.paths && wildcards <= limits.wildcards;
    let knapsack = || Knapsack::new(&needed, limits);
    let (chosen, unchanged) = match inventory {
        None if fits => (needed.iter().copied().cloned().collect(), None),
        None => {
            let (chosen, _) = knapsack().solve(|node| estimated_harm(&needed, node));
            (chosen, None)
        }
        Some(inventory) => {
            let unchanged = Unchanged::new(inventory, &needed);
            let (chosen, harm) = knapsack().solve(|node| unchanged.count_below(&needed, node));
            // The harm is a count of objects, which a float represents exactly.
            (chosen, Some(harm as usize))
        }
    };
    let chosen = distinct(chosen);
    let mut sent: Vec<_> = without_covered(&chosen).into_iter().cloned().collect();
    sent.sort_unstable();
    let merged = sent
        .iter()
        .map(|path| Merged {
            path: path.clone(),
            from: count_covered(&changed, path),
        })
        .filter(|merged| merged.from > 1)
        .collect();
    Collapsed {
        paths: sent,
        from: changed.len(),
        merged,
        unchanged,
    }
}

/// Returns the paths that a user wrote as they are, without duplicates and paths that others cover, and the plan for the
/// paths of keys within what the limits leave.
pub fn collapse_keys(
    written: Vec<InvalidationPath>,
    keys: Vec<InvalidationPath>,
    inventory: Option<&Inventory>,
    limits: Limits,
) -> Collapsed {
    let from = distinct(written.iter().chain(&keys).cloned().collect()).len();
    let written = collapse(written, None, Limits::UNLIMITED);
    let wildcards = written.paths.iter().filter(|path| path.is_wildcard());
    let left = Limits {
        paths: limits.paths.saturating_sub(written.paths.len()),
        wildcards: limits.wildcards.saturating_sub(wildcards.count()),
        ..limits
    };
    let index = PathIndex::new(written.paths.iter().map(|path| (path.as_str(), ())));
    let keys: Vec<_> = keys
        .into_iter()
        .filter(|path| index.greatest_covering(path.as_str()).is_none())
        .collect();
    let keys = if keys.is_empty() {
        Collapsed {
            paths: Vec::new(),
            from: 0,
            merged: Vec::new(),
            unchanged: inventory.map(|_| 0),
        }
    } else {
        collapse(keys, inventory, left)
    };
    let both = written.paths.into_iter().chain(keys.paths).collect();
    let paths = collapse(both, None, Limits::UNLIMITED).paths;
    let mut merged = written.merged;
    merged.extend(keys.merged);
    merged.retain(|merged| paths.contains(&merged.path));
    Collapsed {
        paths,
        from,
        merged,
        unchanged: keys.unchanged,
    }
}

/// Sorts the paths and removes duplicates. Paths with the same prefix are next to each other, and a wildcard is before
/// the paths that it covers.
fn distinct(mut paths: Vec<InvalidationPath>) -> Vec<InvalidationPath> {
    let mut tags = HashSet::new();
    // CloudFront ignores the case of a tag.
    paths.retain(|path| !path.is_tag() || tags.insert(path.as_str().to_ascii_lowercase()));
    paths.sort_unstable_by(|a, b| {
        let wildcard_first = || b.is_wildcard().cmp(&a.is_wildcard());
        a.stem().cmp(b.stem()).then_with(wildcard_first)
    });
    paths.dedup();
    paths
}

/// Returns the paths that no other path covers.
fn without_covered(sorted: &[InvalidationPath]) -> Vec<&InvalidationPath> {
    // Tags are sorted before `/*`, so it is handled first.
    if let Some(everything) = sorted.iter().find(|path| path.as_str() == "/*") {
        return vec![everything];
    }
    let mut needed = Vec::with_capacity(sorted.len());
    // The wildcards whose prefix the current path has. There is rarely more than one: a wildcard inside another is only
    // needed for the exception in `covers`.
    let mut enclosing: Vec<&InvalidationPath> = Vec::new();
    for path in sorted {
        while enclosing
            .pop_if(|wildcard| !path.stem().starts_with(wildcard.stem()))
            .is_some()
        {}
        if enclosing.iter().any(|wildcard| wildcard.covers(path)) {
            continue;
        }
        if path.is_wildcard() {
            enclosing.push(path);
        }
        needed.push(path);
    }
    needed
}

/// Returns how many of the distinct paths `path` covers.
fn count_covered(sorted: &[InvalidationPath], path: &InvalidationPath) -> usize {
    if path.as_str() == "/*" {
        return sorted.len();
    }
    if !path.is_wildcard() {
        return 1;
    }
    let first = sorted.partition_point(|other| other.stem() < path.stem());
    sorted
        .iter()
        .skip(first)
        .take_while(|other| other.stem().starts_with(path.stem()))
        .filter(|other| path.covers(other))
        .count()
}

/// A prefix that neighboring paths share: an inner node of their radix tree.
#[derive(Clone, Copy, Debug)]
struct Node {
    /// The index of the first path.
    start: usize,
    /// The index after the last path.
    end: usize,
    /// The length of the prefix.
    prefix_len: usize,
    /// How many parts it divides its paths into, minus one. A part is a node inside it, or a single path.
    gaps: usize,
}

impl Node {
    /// Returns how many paths have the prefix.
    fn len(&self) -> usize {
        self.end.saturating_sub(self.start)
    }

    fn prefix<'a>(&self, paths: &[&'a InvalidationPath]) -> &'a str {
        paths
            .get(self.start)
            // A tag shares `/*` with a path, but does not start with a slash.
            .filter(|_| self.prefix_len > 1)
            .and_then(|path| path.as_str().get(..self.prefix_len))
            .unwrap_or("/")
    }
}

/// Returns the radix tree's inner nodes, each after the nodes inside it, and how deep they are nested.
///
/// It is not recursive, because keys can be prefixes of each other a thousand deep.
fn radix_tree(paths: &[&InvalidationPath]) -> (Vec<Node>, usize) {
    let mut nodes = Vec::with_capacity(paths.len());
    let mut open: Vec<Node> = Vec::new();
    let mut depth = 0;
    for (index, path) in paths.iter().enumerate() {
        let end = index + 1;
        let prefix_len = paths
            .get(end)
            .map_or(0, |next| next.shared_prefix_len(path));
        let mut start = index;
        while let Some(node) = open.pop_if(|node| node.prefix_len > prefix_len) {
            start = node.start;
            nodes.push(Node { end, ..node });
        }
        match open.last_mut() {
            Some(node) if node.prefix_len == prefix_len => node.gaps += 1,
            _ if prefix_len == 0 => {}
            _ => open.push(Node {
                start,
                end,
                prefix_len,
                gaps: 1,
            }),
        }
        depth = depth.max(open.len());
    }
    (nodes, depth)
}

/// Removes the nodes that no plan within the limits contains; expects each node after the nodes inside it.
///
/// A plan with a node covers the other parts of the nodes around it without them: each part needs a path, and more
/// paths than the limit need a wildcard. So the nodes that are left are near the root, however many paths there are.
fn retain_within_limits(nodes: &mut Vec<Node>, limits: Limits) {
    // The nodes around the current one, each with the least number of paths and wildcards of a plan with it.
    let mut around: Vec<(Node, usize, usize)> = Vec::new();
    nodes.reverse();
    nodes.retain(|node| {
        while around
            .pop_if(|(outer, ..)| outer.start > node.start)
            .is_some()
        {}
        let (paths, wildcards) = around.last().map_or((1, 1), |(outer, paths, wildcards)| {
            let needs_wildcard = outer.len() - node.len() > limits.paths;
            (paths + outer.gaps, wildcards + usize::from(needs_wildcard))
        });
        around.push((*node, paths, wildcards));
        paths <= limits.paths && wildcards <= limits.wildcards
    });
    nodes.reverse();
}

/// Estimates the harm of a wildcard if only the changed paths are known: n × 0.25^depth for n changed paths in a
/// directory of this depth.
///
/// The deeper a prefix is, the smaller its part of the site, and where many objects changed, many others can be
/// unchanged. The factor is not sensitive: on the recorded deploys, 1/2 to 1/16 give the same harm within 1 %. Without
/// n, or with its square root, the harm is greater.
fn estimated_harm(paths: &[&InvalidationPath], node: Node) -> f64 {
    let slashes = node.prefix(paths).matches('/').count();
    let depth = i32::try_from(slashes).unwrap_or(i32::MAX);
    node.len() as f64 * 0.25_f64.powi(depth)
}

/// The site's objects that no changed path covers.
struct Unchanged<'a> {
    paths: Vec<&'a str>,
    /// For each changed path, how many unchanged ones are sorted before it.
    counts_before: Vec<usize>,
}

impl<'a> Unchanged<'a> {
    fn new(inventory: &'a Inventory, changed: &[&InvalidationPath]) -> Self {
        let mut paths = Vec::with_capacity(inventory.paths.len());
        let mut counts_before = Vec::with_capacity(changed.len());
        let mut previous: Option<&InvalidationPath> = None;
        let mut wildcard: Option<&InvalidationPath> = None;
        for object in &inventory.paths {
            while let Some(path) = changed
                .get(counts_before.len())
                .filter(|path| path.stem() <= object.as_str())
            {
                counts_before.push(paths.len());
                previous = Some(path);
                wildcard = previous.filter(|path| path.is_wildcard()).or(wildcard);
            }
            let is_changed = previous.is_some_and(|path| path.as_str() == object);
            let is_below = wildcard.is_some_and(|path| object.starts_with(path.stem()));
            if !is_changed && !is_below {
                paths.push(object.as_str());
            }
        }
        counts_before.resize(changed.len(), paths.len());
        Self {
            paths,
            counts_before,
        }
    }

    /// Returns how many unchanged objects have the node's prefix: those between its paths, and those directly before
    /// and after them.
    fn count_below(&self, changed: &[&InvalidationPath], node: Node) -> f64 {
        let prefix = node.prefix(changed);
        // The unchanged objects between two neighboring changed paths.
        let gap_before = |index: usize| {
            let first = index
                .checked_sub(1)
                .and_then(|previous| self.counts_before.get(previous).copied())
                .unwrap_or_default();
            let last = self.counts_before.get(index).copied();
            let gap = self.paths.get(first..last.unwrap_or(self.paths.len()));
            (first, gap.unwrap_or_default())
        };
        let (first, gap) = gap_before(node.start);
        let start = first + gap.partition_point(|path| !path.starts_with(prefix));
        let (first, gap) = gap_before(node.end);
        let end = first + gap.partition_point(|path| path.starts_with(prefix));
        end.saturating_sub(start) as f64
    }
}

/// Chooses the nodes that become wildcards: the fewest paths among the plans whose harm the economy accepts. Without
/// economy, that is the least harm.
///
/// A row contains the least harm of covering the first n paths with exactly `w` wildcards and `f` files, at index `w *
/// width + f`, for each state (`w`, `f`). From a row to a later one, either the paths between are sent unchanged, or a
/// node that ends there replaces all paths since its start. Rows are stored at the starts of the open nodes. One bit for
/// each node and state is set where the node was the better choice. Read backwards, the bits give the plan.
struct Knapsack<'a> {
    paths: &'a [&'a InvalidationPath],
    limits: Limits,
    /// Those that a plan within the limits can contain.
    nodes: Vec<Node>,
    width: usize,
    states: usize,
}

impl<'a> Knapsack<'a> {
    /// Expects limits of at least 1.
    fn new(paths: &'a [&'a InvalidationPath], limits: Limits) -> Self {
        let (mut nodes, depth) = radix_tree(paths);
        let wildcards = limits.wildcards.min(paths.len());
        let bits_per_state = nodes.len() + 64 * depth + 1;
        let files = (MAX_TABLE_BITS / bits_per_state / (wildcards + 1))
            .min(limits.paths)
            .min(paths.len());
        retain_within_limits(&mut nodes, limits);
        Self {
            paths,
            limits,
            nodes,
            width: files + 1,
            states: (wildcards + 1) * (files + 1),
        }
    }

    /// Returns the paths to send and their harm.
    fn solve(&self, harm: impl Fn(Node) -> f64) -> (Vec<InvalidationPath>, f64) {
        let (row, choices) = self.fill(harm);
        let path_count = |state: usize| state / self.width + state % self.width;
        let plans = row
            .iter()
            .copied()
            .enumerate()
            .filter(|(state, _)| path_count(*state) <= self.limits.paths);
        let harms = plans.clone().map(|(_, harm)| harm);
        let least_harm = harms.min_by(f64::total_cmp).unwrap_or_default();
        let (best_state, harm) = plans
            .filter(|(_, harm)| self.limits.economy.accepts(*harm, least_harm))
            .min_by(|(state_a, harm_a), (state_b, harm_b)| {
                path_count(*state_a)
                    .cmp(&path_count(*state_b))
                    .then_with(|| harm_a.total_cmp(harm_b))
            })
            .unwrap_or_default();
        (self.read_back(&choices, best_state), harm)
    }

    /// Returns the number of 64-bit words that store a bit for each state.
    fn words(&self) -> usize {
        self.states.div_ceil(64)
    }

    /// Returns the row of all paths, and the bits of the nodes.
    fn fill(&self, harm: impl Fn(Node) -> f64) -> (Vec<f64>, Vec<u64>) {
        let mut starts: Vec<_> = self.nodes.iter().map(|node| node.start).collect();
        starts.sort_unstable();
        starts.dedup();
        let mut starts = starts.into_iter().peekable();
        let mut choices = vec![0; self.nodes.len() * self.words()];
        let mut open: Vec<(usize, Vec<f64>)> = Vec::new();
        let mut row = vec![f64::INFINITY; self.states];
        if let Some(no_paths) = row.first_mut() {
            *no_paths = 0.0;
        }
        let mut sent = 0;
        for (node, choices) in self.nodes.iter().zip(choices.chunks_mut(self.words())) {
            while let Some(start) = starts.next_if(|start| *start < node.end) {
                self.send_unchanged(sent..start, &mut row);
                sent = start;
                open.push((start, row.clone()));
            }
            self.send_unchanged(sent..node.end, &mut row);
            sent = node.end;
            while open.pop_if(|(start, _)| *start > node.start).is_some() {}
            if let Some((_, row_at_start)) = open.last()
                && let Some(one_wildcard_more) = row.get_mut(self.width..)
            {
                send_as_wildcard(row_at_start, harm(*node), one_wildcard_more, choices);
            }
        }
        self.send_unchanged(sent..self.paths.len(), &mut row);
        (row, choices)
    }

    fn send_unchanged(&self, indices: Range<usize>, row: &mut [f64]) {
        let paths = self.paths.get(indices).unwrap_or_default();
        let wildcards = paths.iter().filter(|path| path.is_wildcard()).count();
        shift(row, wildcards * self.width);
        for files in row.chunks_mut(self.width) {
            shift(files, paths.len() - wildcards);
        }
    }

    /// Returns whether the bit of the state is set. There are no bits for the states without wildcards.
    fn is_set(&self, bits: &[u64], state: usize) -> bool {
        state
            .checked_sub(self.width)
            .and_then(|bit| Some(bits.get(bit / 64)? >> (bit % 64) & 1 == 1))
            .unwrap_or_default()
    }

    /// Returns the paths that lead to the state.
    fn read_back(&self, choices: &[u64], mut state: usize) -> Vec<InvalidationPath> {
        let mut sent = Vec::new();
        let mut nodes = self
            .nodes
            .iter()
            .zip(choices.chunks(self.words()))
            .rev()
            .peekable();
        let mut end = self.paths.len();
        while let Some(last) = end.checked_sub(1)
            && let Some(path) = self.paths.get(last)
        {
            // Of the nodes that end here, the outermost was tried last.
            let chosen = std::iter::from_fn(|| nodes.next_if(|(node, _)| node.end >= end))
                .find(|(node, bits)| node.end == end && self.is_set(bits, state));
            // Wildcard rule: paths that share a wildcard, because of the limits or without harm.
            let next = match chosen {
                Some((node, _)) => path.truncated_wildcard(node.prefix_len),
                None => (*path).clone(),
            };
            end = chosen.map_or(last, |(node, _)| node.start);
            state = state.saturating_sub(if next.is_wildcard() { self.width } else { 1 });
            sent.push(next);
        }
        sent
    }
}

/// Moves the harms to states with more paths. There is no plan for the states with fewer.
fn shift(row: &mut [f64], count: usize) {
    let count = count.min(row.len());
    row.rotate_right(count);
    row.iter_mut()
        .take(count)
        .for_each(|harm| *harm = f64::INFINITY);
}

/// Improves a row by a wildcard for all paths since an earlier row, and sets the bits of the improved states.
///
/// `row` starts at the states with one wildcard, so that its indices match those of the earlier row without it.
fn send_as_wildcard(row_at_start: &[f64], harm: f64, row: &mut [f64], choices: &mut [u64]) {
    let words = row_at_start.chunks(64).zip(row.chunks_mut(64)).zip(choices);
    for ((row_at_start, row), word) in words {
        for (bit, (harm_at_start, least_harm)) in row_at_start.iter().zip(row).enumerate() {
            let total = harm_at_start + harm;
            if total < *least_harm {
                *least_harm = total;
                *word |= 1 << bit;
            }
        }
    }
}

#[cfg(test)]
mod tests;
