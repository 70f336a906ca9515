//! `collapse`: the fewest paths that do the least harm.
//!
//! An invalidation has two budgets: so many paths, of which so many wildcards. What does not fit must share a
//! wildcard, and a wildcard also drops what did not change. Any prefix may end in `*`, so the tightest wildcard over
//! some paths is their longest common prefix, and the only ones worth a thought are the inner nodes of the radix tree
//! of the paths: fewer than there are paths. The best of them under both budgets are a knapsack, solved exactly, from
//! left to right, in O(paths × limits).
//!
//! What it minimises is harm. Where the site's objects are known ([`Inventory`]), that is how many unchanged ones lose
//! their copy, then the number of paths, even where all would fit: a prefix that holds nothing else is free. Where
//! they are not, it is an estimate (`blind`), and what fits is sent as it is.
//!
//! On the recorded deploys of two sites (`tests/planner/score.py --table`), beside s3deploy's algorithm, the best of
//! the peers:
//!
//! | trace | budget | peer | blind | with inventory | optimum | paths billed: blind | with inventory |
//! |---|---:|---:|---:|---:|---:|---:|---:|
//! | hexo | 8 | 237,262 | 220,524 | 220,363 | 220,363 | 2,021 | 1,977 |
//! | hexo | 15 | 132,494 | 83,721 | 2,614 | 2,614 | 10,186 | 9,334 |
//! | kafka | 8 | 209,655 | 90,778 | 76,482 | 76,482 | 1,996 | 1,832 |
//! | kafka | 15 | 76,902 | 26,747 | 22,574 | 22,574 | 3,270 | 2,400 |
//!
//! The figures are unchanged objects that lose their cached copy, all deploys together; no changed one was missed.

use std::collections::HashSet;

use serde::Serialize;

use crate::path::InvalidationPath;

/// The most bits that the knapsack remembers (32 MiB). Far above any sane budget (100,000 paths at 20/10 need a
/// twelfth of it); beyond it, fewer files than allowed are considered, and the plan is still within its budgets.
const MAX_TABLE_BITS: usize = 1 << 28;

/// The budgets of one invalidation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most paths; each is billed alike. At least 1.
    pub paths: usize,
    /// How many of them may be wildcards. At least 1, since `/*` must be possible.
    pub wildcards: usize,
}

/// The objects that a site is known to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Encoded, sorted, each once.
    paths: Vec<String>,
}

impl Inventory {
    /// Creates the inventory of a site whose objects have these (decoded) keys.
    pub fn from_keys<K: AsRef<str>>(keys: impl IntoIterator<Item = K>) -> Self {
        let mut paths: Vec<String> = keys
            .into_iter()
            .map(|key| InvalidationPath::spell_key(key.as_ref()))
            .collect();
        paths.sort_unstable();
        paths.dedup();
        Self { paths }
    }
}

/// The paths to send, and what they stand for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Collapsed {
    /// Sorted, within the limits, none covered by another.
    pub paths: Vec<InvalidationPath>,
    /// How many distinct paths were asked for.
    pub from: usize,
    /// Those of `paths` that stand for more than one of the paths asked for.
    pub merged: Vec<Merged>,
    /// How many objects nobody asked for lose their cached copy too, where the site's objects are known.
    pub unchanged: Option<usize>,
}

/// A wildcard that stands for several of the paths asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Merged {
    /// The wildcard.
    pub path: InvalidationPath,
    /// How many distinct paths it covers.
    pub from: usize,
}

/// Finds the fewest paths within the limits that cover all of `paths` and do the least harm to everything else.
pub fn collapse(
    paths: Vec<InvalidationPath>,
    inventory: Option<&Inventory>,
    limits: Limits,
) -> Collapsed {
    let asked = distinct(paths);
    let kept = uncovered(&asked);
    let wildcards = kept.iter().filter(|path| path.is_wildcard()).count();
    let fits = kept.len() <= limits.paths && wildcards <= limits.wildcards;
    let knapsack = || Knapsack::new(&kept, limits);
    let (sent, unchanged) = match inventory {
        None if fits => (kept.iter().copied().cloned().collect(), None),
        None => (knapsack().solve(|node| blind(&kept, node)).0, None),
        Some(inventory) => {
            let unchanged = Unchanged::of(inventory, &kept);
            let (sent, harm) = knapsack().solve(|node| unchanged.under(&kept, node));
            // A count of objects, which a float holds exactly.
            (sent, Some(harm as usize))
        }
    };
    let sent = distinct(sent);
    let mut sent: Vec<_> = uncovered(&sent).into_iter().cloned().collect();
    sent.sort_unstable();
    let merged = sent
        .iter()
        .map(|path| Merged {
            path: path.clone(),
            from: covered(&asked, path),
        })
        .filter(|merged| merged.from > 1)
        .collect();
    Collapsed {
        paths: sent,
        from: asked.len(),
        merged,
        unchanged,
    }
}

/// Sorts the paths so that those under a prefix stand together and a wildcard before all that it covers.
fn distinct(mut paths: Vec<InvalidationPath>) -> Vec<InvalidationPath> {
    let mut tags = HashSet::new();
    // CloudFront does not tell the case of a tag.
    paths.retain(|path| !path.is_tag() || tags.insert(path.as_str().to_ascii_lowercase()));
    paths.sort_unstable_by(|a, b| {
        let wildcard_first = || b.is_wildcard().cmp(&a.is_wildcard());
        a.stem().cmp(b.stem()).then_with(wildcard_first)
    });
    paths.dedup();
    paths
}

/// Drops what another path covers.
fn uncovered(sorted: &[InvalidationPath]) -> Vec<&InvalidationPath> {
    // Tags stand before it.
    if let Some(everything) = sorted.iter().find(|path| path.as_str() == "/*") {
        return vec![everything];
    }
    let mut kept = Vec::with_capacity(sorted.len());
    // Seldom more than one: a wildcard under another is kept only where `covers` makes its exception.
    let mut around: Vec<&InvalidationPath> = Vec::new();
    for path in sorted {
        while around
            .pop_if(|wildcard| !path.stem().starts_with(wildcard.stem()))
            .is_some()
        {}
        if around.iter().any(|wildcard| wildcard.covers(path)) {
            continue;
        }
        if path.is_wildcard() {
            around.push(path);
        }
        kept.push(path);
    }
    kept
}

/// Counts the paths that this one covers.
fn covered(sorted: &[InvalidationPath], by: &InvalidationPath) -> usize {
    if by.as_str() == "/*" {
        return sorted.len();
    }
    let from = sorted.partition_point(|path| path.stem() < by.stem());
    sorted[from..]
        .iter()
        .take_while(|path| path.stem().starts_with(by.stem()))
        .filter(|path| by.covers(path))
        .count()
}

/// A prefix that some neighbouring paths share: an inner node of their radix tree.
#[derive(Clone, Copy, Debug)]
struct Node {
    /// The first of the paths and the one behind the last.
    start: usize,
    end: usize,
    /// How many characters they share.
    cut: usize,
}

impl Node {
    fn prefix<'a>(&self, paths: &[&'a InvalidationPath]) -> &'a str {
        // A tag shares the slash of `/*` with a path, though it has none.
        match self.cut {
            ..=1 => "/",
            cut => &paths[self.start].as_str()[..cut],
        }
    }
}

/// Returns the radix tree's inner nodes, each behind those inside it, and how deep they nest.
///
/// No recursion: keys can be prefixes of one another a thousand deep.
fn radix_tree(paths: &[&InvalidationPath]) -> (Vec<Node>, usize) {
    let mut nodes = Vec::with_capacity(paths.len());
    let mut open: Vec<Node> = Vec::new();
    let mut depth = 0;
    for end in 1..=paths.len() {
        let cut = paths
            .get(end)
            .map_or(0, |next| next.shared_with(paths[end - 1]));
        let mut start = end - 1;
        while let Some(node) = open.pop_if(|node| node.cut > cut) {
            start = node.start;
            nodes.push(Node { end, ..node });
        }
        if open.last().is_none_or(|node| node.cut < cut) && cut > 0 {
            open.push(Node { start, end, cut });
        }
        depth = depth.max(open.len());
    }
    (nodes, depth)
}

/// Estimates the harm of a wildcard when only the changed paths are known: how many it covers, a quarter for each
/// directory that it lies deeper.
///
/// A site fans out as one descends, so a prefix holds the less of it the deeper it is; and where much changed, much
/// can have stayed. The quarter is not delicate: on the recorded deploys anything from a half to a sixteenth gives the
/// same collateral within 1 %. Leaving the number out, or taking its root, does worse.
fn blind(paths: &[&InvalidationPath], node: Node) -> f64 {
    let slashes = node.prefix(paths).matches('/').count();
    let depth = i32::try_from(slashes).unwrap_or(i32::MAX);
    (node.end - node.start) as f64 * 0.25_f64.powi(depth)
}

/// The objects that nobody asked to invalidate.
struct Unchanged<'a> {
    paths: Vec<&'a str>,
    /// For each changed path, how many of them sort before it.
    before: Vec<usize>,
}

impl<'a> Unchanged<'a> {
    fn of(inventory: &'a Inventory, changed: &[&InvalidationPath]) -> Self {
        let mut paths = Vec::with_capacity(inventory.paths.len());
        let mut before = Vec::with_capacity(changed.len());
        let mut wildcard: Option<&InvalidationPath> = None;
        for object in &inventory.paths {
            while let Some(path) = changed
                .get(before.len())
                .filter(|path| path.stem() <= object.as_str())
            {
                before.push(paths.len());
                wildcard = Some(*path).filter(|path| path.is_wildcard()).or(wildcard);
            }
            let last = before.len().checked_sub(1).map(|at| changed[at].as_str());
            let under = wildcard.is_some_and(|wildcard| object.starts_with(wildcard.stem()));
            if last != Some(object.as_str()) && !under {
                paths.push(object.as_str());
            }
        }
        before.resize(changed.len(), paths.len());
        Self { paths, before }
    }

    /// Counts those under a node: what stands between its paths, and what is like them on either side.
    fn under(&self, changed: &[&InvalidationPath], node: Node) -> f64 {
        let prefix = node.prefix(changed);
        let gap = |at: usize| {
            let from = at.checked_sub(1).map_or(0, |left| self.before[left]);
            let to = self.before.get(at).copied().unwrap_or(self.paths.len());
            (from, &self.paths[from..to])
        };
        let (from, left) = gap(node.start);
        let first = from + left.partition_point(|path| !path.starts_with(prefix));
        let (from, right) = gap(node.end);
        let last = from + right.partition_point(|path| path.starts_with(prefix));
        (last - first) as f64
    }
}

/// The choice of nodes to become wildcards that does the least harm, then needs the fewest paths.
///
/// A row holds the least harm of covering the first so many paths with exactly `w` wildcards and `f` files, at
/// `w * width + f`. From row to row either the next path is sent as it is, or a node that ends there stands for all
/// since its start. Kept are the rows at the starts of the nodes around, and one bit for each node and state, set
/// where the node was the better choice: read backwards, they give the plan.
struct Knapsack<'a> {
    paths: &'a [&'a InvalidationPath],
    limits: Limits,
    nodes: Vec<Node>,
    depth: usize,
    width: usize,
    states: usize,
}

impl<'a> Knapsack<'a> {
    fn new(paths: &'a [&'a InvalidationPath], limits: Limits) -> Self {
        let (nodes, depth) = radix_tree(paths);
        // `/*` alone is always possible.
        let limits = Limits {
            paths: limits.paths.max(1),
            wildcards: limits.wildcards.max(1),
        };
        let wildcards = limits.wildcards.min(paths.len());
        let bits_a_state = nodes.len() + 64 * depth + 1;
        let files = (MAX_TABLE_BITS / bits_a_state / (wildcards + 1))
            .min(limits.paths)
            .min(paths.len());
        Self {
            paths,
            limits,
            nodes,
            depth,
            width: files + 1,
            states: (wildcards + 1) * (files + 1),
        }
    }

    /// Returns the paths to send and the harm that they do.
    fn solve(&self, harm: impl Fn(Node) -> f64) -> (Vec<InvalidationPath>, f64) {
        let (row, chosen) = self.fill(harm);
        let paths = |state: usize| state / self.width + state % self.width;
        let best = (0..self.states)
            .filter(|state| paths(*state) <= self.limits.paths)
            .min_by(|a, b| row[*a].total_cmp(&row[*b]).then(paths(*a).cmp(&paths(*b))))
            .unwrap_or_default();
        (self.read_back(&chosen, best), row[best])
    }

    fn words(&self) -> usize {
        self.states.div_ceil(64)
    }

    /// Returns the row of all paths, and the bits.
    fn fill(&self, harm: impl Fn(Node) -> f64) -> (Vec<f64>, Vec<u64>) {
        let mut starts = vec![false; self.paths.len()];
        self.nodes.iter().for_each(|node| starts[node.start] = true);
        let mut chosen = vec![0; self.nodes.len() * self.words()];
        let mut closing = self
            .nodes
            .iter()
            .zip(chosen.chunks_mut(self.words()))
            .peekable();
        let mut open: Vec<(usize, Vec<f64>)> = Vec::with_capacity(self.depth);
        let mut row = vec![f64::INFINITY; self.states];
        row[0] = 0.0;
        for (at, path) in self.paths.iter().enumerate() {
            if starts[at] {
                open.push((at, row.clone()));
            }
            self.send_as_is(path, &mut row);
            while let Some((node, chosen)) = closing.next_if(|(node, _)| node.end == at + 1) {
                while open.pop_if(|(start, _)| *start > node.start).is_some() {}
                if let Some((_, before)) = open.last() {
                    send_as_wildcard(before, harm(*node), &mut row[self.width..], chosen);
                }
            }
        }
        (row, chosen)
    }

    fn send_as_is(&self, path: &InvalidationPath, row: &mut [f64]) {
        if path.is_wildcard() {
            row.copy_within(..self.states - self.width, self.width);
            row[..self.width].fill(f64::INFINITY);
        } else {
            for files in row.chunks_mut(self.width) {
                files.copy_within(..self.width - 1, 1);
                files[0] = f64::INFINITY;
            }
        }
    }

    /// The bits leave the states without a wildcard out.
    fn is_set(&self, bits: &[u64], state: usize) -> bool {
        state
            .checked_sub(self.width)
            .is_some_and(|bit| bits[bit / 64] >> (bit % 64) & 1 == 1)
    }

    fn read_back(&self, chosen: &[u64], mut state: usize) -> Vec<InvalidationPath> {
        let mut sent = Vec::new();
        let mut nodes = self
            .nodes
            .iter()
            .zip(chosen.chunks(self.words()))
            .rev()
            .peekable();
        let mut end = self.paths.len();
        while end > 0 {
            // Of the nodes that end here the outermost was tried last.
            let last_choice = std::iter::from_fn(|| nodes.next_if(|(node, _)| node.end >= end))
                .find(|(node, bits)| node.end == end && self.is_set(bits, state));
            let path = self.paths[end - 1];
            if let Some((node, _)) = last_choice {
                sent.push(path.cut(node.cut));
                state -= self.width;
                end = node.start;
            } else {
                sent.push(path.clone());
                state -= if path.is_wildcard() { self.width } else { 1 };
                end -= 1;
            }
        }
        sent
    }
}

/// Improves a row by a wildcard since an earlier one, and notes where. A wildcard more is one `width` further.
fn send_as_wildcard(before: &[f64], harm: f64, row: &mut [f64], chosen: &mut [u64]) {
    let words = before.chunks(64).zip(row.chunks_mut(64)).zip(chosen);
    for ((before, row), word) in words {
        for (bit, (before, now)) in before.iter().zip(row).enumerate() {
            let then = before + harm;
            if then < *now {
                *now = then;
                *word |= 1 << bit;
            }
        }
    }
}

#[cfg(test)]
mod tests;
