//! `Hint`: which immutable paths a user could set.
//!
//! Names outside the directories of frameworks never decide, because a name can look like a hash by chance, and a wrong guess
//! leaves viewers with old content. But if many changed objects look so, a pattern for their directory is worth a note. A
//! directory is suggested only if all changed objects in it look so. Some hashes read like words, so a few names may only have
//! the form of the others.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Bound;

use super::file_name;
use super::hash::{
    has_form_of_hash, has_hash_after_dot, has_hash_at_end, has_hex_hash, has_turbopack_hash,
};
use crate::excerpt::thousands;

/// How many changed objects have to look immutable before it is worth a note.
const MIN_OBJECTS: usize = 20;

/// How many patterns a hint has at most.
const MAX_PATTERNS: usize = 3;

/// One of how many names in a directory may only have the form of a hash.
const FORM_ONLY: usize = 5;

/// Immutable paths that would have saved invalidations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    /// The patterns, such as `/assets/*`.
    pub patterns: Vec<String>,
    /// The indices of the objects that they cover, in the caller's list, sorted.
    pub objects: Vec<usize>,
}

/// The changed objects that are invalidated, by their directories.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HintKeys {
    /// By the directory of the path, without the name of the file.
    directories: BTreeMap<String, Directory>,
}

/// The changed objects of a directory, or of a directory with those below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Directory {
    hashed: Vec<usize>,
    form_only: Vec<usize>,
    has_others: bool,
}

impl Hint {
    /// Returns whether the patterns cover the object with this index.
    pub fn covers(&self, index: usize) -> bool {
        self.objects.binary_search(&index).is_ok()
    }

    /// Returns a note with how many of the paths the patterns would save: all but `others`. `None` if they save none.
    pub fn note(&self, paths: usize, others: usize) -> Option<String> {
        let saved = paths.checked_sub(others).filter(|saved| *saved > 0)?;
        Some(format!(
            "the names of {} changed objects look like hashes of their content: ImmutablePaths or --immutable '{}' would save {} \
             of {} paths, if all files there have such names",
            thousands(self.objects.len()),
            self.patterns.join(","),
            thousands(saved),
            thousands(paths),
        ))
    }
}

impl HintKeys {
    /// Adds an object that is invalidated under these paths, which have no leading slash. `saves` returns whether the object
    /// would need no invalidation under an immutable path.
    pub fn add(
        &mut self,
        index: usize,
        decoded_paths: &[impl AsRef<str>],
        saves: impl FnOnce() -> bool,
    ) {
        let [path] = decoded_paths else {
            // A page, or a server as origin.
            for path in decoded_paths {
                self.directory_of(path.as_ref()).has_others = true;
            }
            return;
        };
        let path = path.as_ref();
        let name = file_name(path);
        let is_hashed = has_hex_hash(name)
            || has_hash_after_dot(name)
            || has_hash_at_end(name, 2)
            || has_turbopack_hash(name);
        let is_saved = (is_hashed || has_form_of_hash(name)) && saves();
        let directory = self.directory_of(path);
        match (is_saved, is_hashed) {
            (false, _) => directory.has_others = true,
            (true, true) => directory.hashed.push(index),
            (true, false) => directory.form_only.push(index),
        }
    }

    fn directory_of(&mut self, path: &str) -> &mut Directory {
        let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
        self.directories.entry(directory.to_owned()).or_default()
    }

    /// Returns the patterns for the largest directories in which all objects look immutable, if there are at least 20 such
    /// objects.
    pub fn hint(&self) -> Option<Hint> {
        let hashed = self
            .directories
            .values()
            .map(|directory| directory.hashed.len());
        if hashed.sum::<usize>() < MIN_OBJECTS {
            return None;
        }
        let mut suggested = self.suggested();
        suggested.sort_by_key(|(_, directory)| Reverse(directory.len()));
        suggested.truncate(MAX_PATTERNS);
        let hashed = suggested
            .iter()
            .map(|(_, directory)| directory.hashed.len());
        if hashed.sum::<usize>() < MIN_OBJECTS {
            return None;
        }
        let mut patterns: Vec<_> = suggested
            .iter()
            .map(|(path, _)| format!("/{path}/*"))
            .collect();
        patterns.sort_unstable();
        let objects = suggested
            .iter()
            .flat_map(|(_, directory)| directory.objects());
        let mut objects: Vec<_> = objects.collect();
        objects.sort_unstable();
        Some(Hint { patterns, objects })
    }

    /// Returns the highest directories in which all objects look immutable, each as deep as all of its objects.
    fn suggested(&self) -> Vec<(String, Directory)> {
        // Each directory with all below it.
        let mut trees: BTreeMap<&str, Directory> = BTreeMap::new();
        for (path, directory) in &self.directories {
            for ancestor in ancestors(path) {
                trees.entry(ancestor).or_default().add(directory);
            }
        }
        let is_suggested = |path: &str| trees.get(path).is_some_and(Directory::looks_immutable);
        let highest = trees.iter().filter(|(path, _)| {
            let mut above = ancestors(path).skip(1);
            is_suggested(path) && !above.any(is_suggested)
        });
        let deepest = highest.map(|(highest, tree)| {
            let folder = format!("{highest}/");
            let below = (Bound::Included(folder.as_str()), Bound::Unbounded);
            let below = trees.range::<str, _>(below);
            let below = below.take_while(|(path, _)| path.starts_with(&folder));
            // Directories that contain all of the objects are below each other.
            let same = below.filter(|(_, directory)| directory.len() == tree.len());
            let (path, tree) = same.last().unwrap_or((highest, tree));
            ((*path).to_owned(), tree.clone())
        });
        deepest.collect()
    }
}

impl Directory {
    fn len(&self) -> usize {
        self.hashed.len() + self.form_only.len()
    }

    fn objects(&self) -> impl Iterator<Item = usize> {
        self.hashed.iter().chain(&self.form_only).copied()
    }

    fn add(&mut self, other: &Self) {
        self.hashed.extend(&other.hashed);
        self.form_only.extend(&other.form_only);
        self.has_others |= other.has_others;
    }

    fn looks_immutable(&self) -> bool {
        !self.has_others && self.form_only.len() * FORM_ONLY <= self.hashed.len()
    }
}

/// Returns the directory and those above it, without the root.
fn ancestors(directory: &str) -> impl Iterator<Item = &str> {
    let ancestors = std::iter::successors(Some(directory), |directory| {
        let (above, _name) = directory.rsplit_once('/')?;
        Some(above)
    });
    ancestors.filter(|directory| !directory.is_empty())
}
