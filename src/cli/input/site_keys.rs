//! `SiteKeys`: the keys of the site from `--site` and `--inventory`, and whether they are those of the changed objects.
//!
//! The keys of another directory would make false statements about unchanged objects. So they are used only if they
//! contain each object that `aws s3` has written, and at least half of the keys that a list names, which can be deleted
//! ones. Otherwise the report names what would fit.

use std::collections::BTreeSet;

use crate::cli::format::{counted, thousands};
use crate::plan::Inventory;

/// How many missing keys and how many possible folders are compared to find what would fit.
const MAX_TRIED: usize = 20;

/// The keys of the site.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::cli) struct SiteKeys {
    /// Relative to the prefix, sorted.
    pub(super) keys: Vec<String>,
    /// What the keys leave out; it ends with a slash or is empty.
    pub(super) prefix: String,
    /// The directory of `--site`.
    pub(super) directory: Option<String>,
    /// The file of `--inventory`.
    pub(super) list: Option<String>,
}

/// A changed object that the keys of its site contain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct ChangedKey<'a> {
    /// The key relative to the root of the site; several if the configuration does not decide.
    pub relative: Vec<&'a str>,
    /// Whether the object certainly exists. Otherwise it can have been deleted.
    pub exists: bool,
}

/// Why the keys are not those of the changed objects.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Misfit {
    /// A changed key that the keys do not contain.
    first: String,
    missing: usize,
    fits: Option<Fit>,
}

/// With what the keys would be those of the changed objects.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fit {
    Prefix(String),
    /// Those below this folder.
    Folder(String),
}

impl SiteKeys {
    /// Returns the site's objects for the plan.
    pub(in crate::cli) fn inventory(&self) -> Inventory {
        let prefix = &self.prefix;
        Inventory::from_keys(self.keys.iter().map(|key| format!("{prefix}{key}")))
    }

    /// Returns why the keys cannot be those of the site with the changed objects, for the user; `None` if they can.
    pub(in crate::cli) fn misfit(&self, changed: &[ChangedKey<'_>]) -> Option<String> {
        let misfit = self.find_misfit(changed)?;
        let names = [("--site", &self.directory), ("--inventory", &self.list)];
        let names = names
            .into_iter()
            .filter_map(|(option, name)| Some(format!("{option} {}", name.as_ref()?)));
        let names: Vec<_> = names.collect();
        let fits = match (&misfit.fits, &self.directory) {
            (Some(Fit::Prefix(prefix)), _) if prefix.is_empty() => {
                "it would fit without --prefix".to_owned()
            }
            (Some(Fit::Prefix(prefix)), _) => format!("it would fit with --prefix {prefix}"),
            (Some(Fit::Folder(folder)), Some(directory)) => {
                let directory = directory.trim_end_matches('/');
                format!("--site {directory}/{folder} would fit")
            }
            (Some(Fit::Folder(folder)), None) => {
                format!("its keys would fit without {folder}/ before them")
            }
            (None, _) => "give the files of the site that has changed".to_owned(),
        };
        Some(format!(
            "{} is not used, because it lacks {} of {}, such as {}; {fits}",
            names.join(" with "),
            thousands(misfit.missing),
            counted(changed.len(), "changed object"),
            misfit.first,
        ))
    }

    fn find_misfit(&self, changed: &[ChangedKey<'_>]) -> Option<Misfit> {
        let is_missing = |changed: &&ChangedKey<'_>| !contain(changed, |key| self.contains(key));
        if fit(changed, |key| self.contains(key)) {
            return None;
        }
        // What certainly exists is the better example.
        let (certain, possible): (Vec<_>, Vec<_>) = changed
            .iter()
            .filter(is_missing)
            .partition(|changed| changed.exists);
        let missing: Vec<_> = certain.into_iter().chain(possible).collect();
        let keys = missing.iter().flat_map(|changed| &changed.relative);
        let keys: Vec<_> = keys.copied().take(MAX_TRIED).collect();
        Some(Misfit {
            first: keys.first().copied().unwrap_or_default().to_owned(),
            missing: missing.len(),
            fits: self
                .fit_with_prefix(changed, &keys)
                .or_else(|| self.fit_with_folder(changed, &keys)),
        })
    }

    fn contains(&self, key: &str) -> bool {
        key.strip_prefix(&self.prefix)
            .is_some_and(|key| self.has(key))
    }

    fn has(&self, relative: &str) -> bool {
        let position = self.keys.binary_search_by(|key| key.as_str().cmp(relative));
        position.is_ok()
    }

    /// Returns the shortest prefix with which the keys would be those of the changed objects.
    fn fit_with_prefix(&self, changed: &[ChangedKey<'_>], missing: &[&str]) -> Option<Fit> {
        let folders = missing.iter().flat_map(|key| {
            let slashes = key.match_indices('/');
            slashes.filter_map(|(slash, _)| key.get(..=slash))
        });
        let prefixes = shortest_first(folders.chain([""]));
        let fitting = prefixes.into_iter().find(|prefix| {
            fit(changed, |key| {
                key.strip_prefix(prefix).is_some_and(|key| self.has(key))
            })
        });
        fitting.map(|prefix| Fit::Prefix(prefix.to_owned()))
    }

    /// Returns the shortest folder below which the keys would be those of the changed objects.
    fn fit_with_folder(&self, changed: &[ChangedKey<'_>], missing: &[&str]) -> Option<Fit> {
        let relative = |key: &'_ str| key.strip_prefix(&self.prefix).map(str::to_owned);
        let missing: Vec<_> = missing.iter().filter_map(|key| relative(key)).collect();
        let folders = self.keys.iter().flat_map(|listed| {
            let folders = missing
                .iter()
                .filter_map(|key| listed.strip_suffix(key.as_str()));
            folders.filter_map(|folder| folder.strip_suffix('/'))
        });
        let fitting = shortest_first(folders).into_iter().find(|folder| {
            let is_below =
                |key: &str| relative(key).is_some_and(|key| self.has(&format!("{folder}/{key}")));
            fit(changed, is_below)
        });
        fitting.map(|folder| Fit::Folder(folder.to_owned()))
    }
}

/// Returns whether all objects that exist are contained, and at least half of the others.
fn fit(changed: &[ChangedKey<'_>], contains: impl Fn(&str) -> bool) -> bool {
    let (existing, others): (Vec<_>, Vec<_>) = changed.iter().partition(|changed| changed.exists);
    let is_contained = |changed: &&&ChangedKey<'_>| contain(changed, &contains);
    existing.iter().all(|changed| is_contained(&changed))
        && others.iter().filter(is_contained).count() * 2 >= others.len()
}

fn contain(changed: &ChangedKey<'_>, contains: impl Fn(&str) -> bool) -> bool {
    changed.relative.iter().any(|key| contains(key))
}

fn shortest_first<'a>(folders: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let folders: BTreeSet<_> = folders.map(|folder| (folder.len(), folder)).collect();
    let folders = folders.into_iter().map(|(_, folder)| folder);
    folders.take(MAX_TRIED).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(prefix: &str, keys: &[&str]) -> SiteKeys {
        let mut keys: Vec<_> = keys.iter().map(|key| (*key).to_owned()).collect();
        keys.sort();
        SiteKeys {
            keys,
            prefix: prefix.to_owned(),
            directory: Some("public".to_owned()),
            list: None,
        }
    }

    /// Returns the changed keys; those with a `?` can have been deleted.
    fn changed<'a>(keys: &[&'a str]) -> Vec<ChangedKey<'a>> {
        let keys = keys.iter().map(|key| ChangedKey {
            relative: vec![key.trim_end_matches('?')],
            exists: !key.ends_with('?'),
        });
        keys.collect()
    }

    #[test]
    fn the_keys_are_used_if_they_are_those_of_the_changed_objects() {
        let misfit = |first: &str, missing, fits| {
            let first = first.to_owned();
            Some(Misfit {
                first,
                missing,
                fits,
            })
        };
        let prefix = |prefix: &str| Some(Fit::Prefix(prefix.to_owned()));
        let folder = |folder: &str| Some(Fit::Folder(folder.to_owned()));
        for (keys, given_prefix, changes, expected) in [
            (vec!["a", "b/c"], "", vec!["a", "b/c"], None),
            (vec!["a"], "", vec![], None),
            // Something that was uploaded is missing.
            (
                vec!["a", "b/c"],
                "",
                vec!["a", "b/d"],
                misfit("b/d", 1, None),
            ),
            // Half of what a list names can have been deleted.
            (vec!["a", "b"], "", vec!["a?", "b?", "c?", "d?"], None),
            (vec!["a"], "", vec!["a?", "c?", "d?"], misfit("c", 2, None)),
            (vec!["a"], "", vec!["c?", "d?", "e"], misfit("e", 3, None)),
            // The directory is synchronized with a folder of the bucket.
            (
                vec!["a", "b/c"],
                "",
                vec!["docs/a", "docs/b/c"],
                misfit("docs/a", 2, prefix("docs/")),
            ),
            (
                vec!["a", "x"],
                "",
                vec!["v1/docs/a?", "v1/docs/b?"],
                misfit("v1/docs/a", 2, prefix("v1/docs/")),
            ),
            (vec!["a", "b/c"], "docs/", vec!["docs/a", "docs/b/c"], None),
            (
                vec!["a", "b/c"],
                "docs/",
                vec!["a", "b/c"],
                misfit("a", 2, prefix("")),
            ),
            (
                vec!["a"],
                "docs/",
                vec!["blog/a"],
                misfit("blog/a", 1, prefix("blog/")),
            ),
            // The directory is too high.
            (
                vec!["Cargo.toml", "public/a", "public/b/c"],
                "",
                vec!["a", "b/c"],
                misfit("a", 2, folder("public")),
            ),
            (
                vec!["x/a", "web/public/a", "web/public/b"],
                "",
                vec!["a", "b"],
                misfit("a", 2, folder("web/public")),
            ),
            (
                vec!["public/a"],
                "docs/",
                vec!["docs/a"],
                misfit("docs/a", 1, folder("public")),
            ),
            // No single folder contains all changed keys, so none is suggested.
            (vec!["x/a", "y/b"], "", vec!["a", "b"], misfit("a", 2, None)),
        ] {
            let site = site(given_prefix, &keys);
            assert_eq!(
                site.find_misfit(&changed(&changes)),
                expected,
                "{keys:?} {changes:?}"
            );
        }
    }

    #[test]
    fn one_of_several_possible_keys_is_enough() {
        let changed = [ChangedKey {
            relative: vec!["prod/a", "a"],
            exists: true,
        }];
        assert_eq!(site("", &["a"]).find_misfit(&changed), None);
    }

    #[test]
    fn the_report_names_what_would_fit() {
        let directory = site("", &["a", "public/b"]);
        let mut list = directory.clone();
        list.directory = None;
        list.list = Some("keys.txt".to_owned());
        for (site, changes, expected) in [
            (
                &directory,
                ["docs/a"],
                "--site public is not used, because it lacks 1 of 1 changed object, such as docs/a; it would fit with \
                 --prefix docs/",
            ),
            (
                &directory,
                ["b"],
                "--site public is not used, because it lacks 1 of 1 changed object, such as b; --site public/public would fit",
            ),
            (
                &list,
                ["b"],
                "--inventory keys.txt is not used, because it lacks 1 of 1 changed object, such as b; its keys would fit \
                 without public/ before them",
            ),
            (
                &list,
                ["c"],
                "--inventory keys.txt is not used, because it lacks 1 of 1 changed object, such as c; give the files of \
                 the site that has changed",
            ),
        ] {
            assert_eq!(site.misfit(&changed(&changes)).as_deref(), Some(expected));
        }
    }
}
