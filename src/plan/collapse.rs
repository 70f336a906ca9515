//! `collapse`: the fewest paths that do the least harm.
//!
//! An invalidation has two budgets: so many paths, of which so many wildcards. What does not fit must share a
//! wildcard, and a wildcard also drops what did not change. Any prefix may end in `*`, so the tightest wildcard over
//! some paths is their longest common prefix, and all prefixes worth a thought are the inner nodes of the radix tree
//! of the changed paths: fewer than there are paths. The best set of them under both budgets is a knapsack, solved
//! exactly from left to right in O(paths × budgets).
//!
//! What it minimises is the harm done. Where the site's objects are known ([`Inventory`]), that is the number of
//! unchanged ones under the wildcards, then the number of paths. Where they are not, it is an estimate ([`blind`]),
//! and what fits is sent as it is.
//!
//! TABLE

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
    let (mut sent, unchanged) = match inventory {
        None if fits => (kept.into_iter().cloned().collect(), None),
        None => (cheapest(&kept, |node| blind(&kept, node), limits).0, None),
        Some(inventory) => {
            let unchanged = Unchanged::of(inventory, &kept);
            let (sent, harm) = cheapest(&kept, |node| unchanged.under(&kept, node), limits);
            // A count of objects, which a float holds exactly.
            (sent, Some(harm as usize))
        }
    };
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

/// Returns the radix tree's inner nodes, each behind those inside it, and how deep they nest.
///
/// No recursion: keys can be prefixes of one another a thousand deep.
fn radix_tree(paths: &[&InvalidationPath]) -> (Vec<Node>, usize) {
    let mut nodes = Vec::with_capacity(paths.len());
    let mut open: Vec<Node> = Vec::new();
    let mut depth = 0;
    for end in 1..=paths.len() {
        let cut = paths.get(end).map_or(0, |next| next.shared_with(paths[end - 1]));
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

/// Estimates the harm of a wildcard when only the changed paths are known.
fn blind(paths: &[&InvalidationPath], node: Node) -> f64 {
    let prefix = &paths[node.start].as_str()[..node.cut];
    let depth = prefix.bytes().skip(1).filter(|&byte| byte == b'/').count();
    let depth = i32::try_from(depth).unwrap_or(i32::MAX);
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
        let prefix = &changed[node.start].as_str()[..node.cut];
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

/// Solves the knapsack: which nodes become wildcards, so that the harm is least, then the paths, then the wildcards.
///
/// A row holds the least harm of covering the first so many paths with exactly `w` wildcards and `f` files, at
/// `w * width + f`. From row to row either the next path is sent as it is, or a node that ends there stands for all
/// since its start. The rows at the starts of the open nodes are kept, and a bit for each node and state in which it
/// was the better choice; read backwards, they give the plan.
fn cheapest(
    paths: &[&InvalidationPath],
    harm: impl Fn(Node) -> f64,
    limits: Limits,
) -> (Vec<InvalidationPath>, f64) {
    let (nodes, depth) = radix_tree(paths);
    let wildcards = limits.wildcards.min(paths.len());
    let bits_a_state = nodes.len() + 64 * depth;
    let most_states = MAX_TABLE_BITS / bits_a_state.max(1);
    let files = limits.paths.min(paths.len()).min(most_states / (wildcards + 1));
    let width = files + 1;
    let states = (wildcards + 1) * width;
    let words = states.div_ceil(64);

    let mut starts = vec![false; paths.len()];
    nodes.iter().for_each(|node| starts[node.start] = true);
    let mut chosen = vec![0_u64; nodes.len() * words];
    let mut open: Vec<(usize, Vec<f64>)> = Vec::with_capacity(depth);
    let mut row = vec![f64::INFINITY; states];
    row[0] = 0.0;
    let mut closing = nodes.iter().zip(chosen.chunks_exact_mut(words)).peekable();
    for (at, path) in paths.iter().enumerate() {
        if starts[at] {
            open.push((at, row.clone()));
        }
        send_as_is(path, &mut row, width);
        while let Some((node, chosen)) = closing.next_if(|(node, _)| node.end == at + 1) {
            while open.pop_if(|(start, _)| *start > node.start).is_some() {}
            if let Some((_, before)) = open.last() {
                send_as_wildcard(&mut row[width..], before, harm(*node), chosen);
            }
        }
    }
    let Some(best) = (0..states)
        .filter(|state| state / width + state % width <= limits.paths)
        .min_by(|a, b| {
            let paths = |state: usize| state / width + state % width;
            row[*a].total_cmp(&row[*b]).then(paths(*a).cmp(&paths(*b)))
        })
    else {
        return (vec![InvalidationPath::everything()], f64::INFINITY);
    };
    (Vec::new(), row[best])
}
