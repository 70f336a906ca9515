//! `ImmutablePaths`: which paths have names that contain a hash of their content.
//!
//! New content gets a new name, so a copy under such a path never becomes stale. The documentation of a framework is not
//! enough to know it, because a site can name its files in another way. The name of a file alone is not enough either. So
//! `auto` needs both: a directory that a framework fills with such names, and a name with a hash.
//!
//! The directories can be anywhere in a path (`/docs/_next/static/`), because sites have base paths. Each framework below
//! names the source of its rule.

mod hash;
mod hint;

use std::fmt;

use self::hash::{
    has_hash_after_dot, has_hash_at_end, has_hex_hash, has_turbopack_hash, is_random_id,
};
pub use self::hint::{Hint, HintKeys};
use super::{INDEX_DOCUMENT, path_pattern};
use crate::error::Error;

/// The entry pages of most sites. A pattern that covers one would keep the whole site stale.
const ENTRY_PAGES: [&str; 2] = ["/", "/index.html"];

/// The paths whose content never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImmutablePaths {
    /// Whether the directories of frameworks are included.
    auto: bool,
    /// Path patterns as those of cache behaviors, each with a leading slash.
    patterns: Vec<String>,
}

impl Default for ImmutablePaths {
    /// Returns those of `auto`.
    fn default() -> Self {
        Self {
            auto: true,
            patterns: Vec::new(),
        }
    }
}

impl ImmutablePaths {
    /// No path: each change is invalidated.
    pub const NONE: Self = Self {
        auto: false,
        patterns: Vec::new(),
    };

    /// Parses `auto`, `none`, or path patterns such as `/assets/*`, which add to `auto`. No items are `auto`.
    ///
    /// # Errors
    ///
    /// Returns an [`Error`] that names the first item that is not one of these, or a pattern that covers an entry page.
    pub fn parse<'a>(items: impl IntoIterator<Item = &'a str>) -> Result<Self, Error> {
        let items: Vec<_> = items.into_iter().map(str::trim).collect();
        let is_none = |item: &&str| item.eq_ignore_ascii_case("none");
        if items.iter().any(is_none) {
            if items.iter().all(is_none) {
                return Ok(Self::NONE);
            }
            return Err(Error::invalid_input(
                "\"none\" cannot be combined with other values: write none alone, or leave it out",
            ));
        }
        let patterns = items.into_iter();
        let patterns =
            patterns.filter(|item| !item.is_empty() && !item.eq_ignore_ascii_case("auto"));
        let patterns = patterns.map(parse_pattern).collect::<Result<_, _>>()?;
        Ok(Self {
            auto: true,
            patterns,
        })
    }

    /// Returns whether the content of this path never changes. The path starts with a slash and is not encoded. A pattern never
    /// covers an index document, because that is a page.
    pub fn contains(&self, path: &str) -> bool {
        let is_matched = |pattern: &String| path_pattern::matches(pattern, path);
        let is_page = file_name(path) == INDEX_DOCUMENT;
        let is_covered = !is_page && self.patterns.iter().any(is_matched);
        is_covered || self.auto && is_of_framework(path)
    }
}

impl fmt::Display for ImmutablePaths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.auto, self.patterns.as_slice()) {
            (false, _) => f.write_str("none"),
            (true, []) => f.write_str("auto"),
            (true, patterns) => f.write_str(&patterns.join(",")),
        }
    }
}

fn parse_pattern(pattern: &str) -> Result<String, Error> {
    let problem = if !pattern.starts_with('/') {
        "is not auto, none or a pattern that starts with a slash, such as /assets/*".to_owned()
    } else if pattern.ends_with('/') {
        format!("covers no file: write {pattern}*")
    } else if is_encoded(pattern) {
        "is encoded: write the characters themselves, as in the keys of the bucket".to_owned()
    } else if !pattern.contains(['*', '?']) && !file_name(pattern).contains('.') {
        format!("covers only this path: write {pattern}/*")
    } else if let Some(page) = ENTRY_PAGES
        .into_iter()
        .find(|page| path_pattern::matches(pattern, page))
    {
        format!(
            "covers {page}, which changes: name the directory of the files that never change, such as /assets/*"
        )
    } else {
        return Ok(pattern.to_owned());
    };
    Err(Error::invalid_input(format!("{pattern:?} {problem}")))
}

/// Returns whether the pattern has a percent-encoded character.
fn is_encoded(pattern: &str) -> bool {
    let mut after_percent = pattern.split('%').skip(1);
    after_percent.any(|rest| {
        let digits = rest.get(..2).unwrap_or_default();
        digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

/// A framework that names files by their content.
struct Framework {
    /// The directory of these files, with slashes around it.
    directory: &'static str,
    /// Returns whether the content of this path in the directory never changes.
    is_immutable: fn(&str) -> bool,
}

const FRAMEWORKS: [Framework; 4] = [
    Framework {
        directory: "/_next/static/",
        is_immutable: is_immutable_in_next,
    },
    Framework {
        directory: "/_astro/",
        is_immutable: is_immutable_in_astro,
    },
    Framework {
        directory: "/_nuxt/",
        is_immutable: is_immutable_in_nuxt,
    },
    Framework {
        directory: "/_app/immutable/",
        is_immutable: is_immutable_in_sveltekit,
    },
];

fn is_of_framework(path: &str) -> bool {
    // Most paths have none of the directories, whose names all begin with this character.
    path.contains('_')
        && FRAMEWORKS.iter().any(|framework| {
            let inside = path.split_once(framework.directory);
            inside.is_some_and(|(_, inside)| (framework.is_immutable)(inside))
        })
}

/// Next.js: "Static assets (JavaScript, CSS, images, fonts) served from `/_next/static/` include content hashes in their
/// filenames and can be cached indefinitely" (<https://nextjs.org/docs/app/guides/cdn-caching>).
///
/// Files below the build id have no hash. The id is random (21 characters), unless the site sets another one, such as a
/// branch. It is a constant of 20 characters if a deployment id is set
/// (<https://nextjs.org/docs/app/api-reference/config/next-config-js/deploymentId>), which is mutable. Manifests elsewhere,
/// service workers, and names with `._.`, whose hash is that of a module's path, are mutable too.
fn is_immutable_in_next(inside: &str) -> bool {
    let (first, below) = inside.split_once('/').unwrap_or(("", inside));
    let name = file_name(inside);
    let is_below_build_id = is_random_id(first) && !below.is_empty();
    let is_mutable = first == "service-worker"
        || name.contains("._.")
        || name.ends_with("Manifest.js")
        || name.ends_with("Manifest.json");
    is_below_build_id || !is_mutable && (has_hex_hash(name) || has_turbopack_hash(name))
}

/// Astro: "an `_astro` directory with hashed filenames (e.g. `_astro/index.DRf8L97S.js`) which are excellent for long-term
/// caching" (<https://docs.astro.build/en/recipes/customizing-output-filenames/>). The names of remote images have a hash of
/// the transformation only, behind a `_`.
fn is_immutable_in_astro(inside: &str) -> bool {
    let font = inside.strip_prefix("fonts/");
    has_hash_after_dot(file_name(inside)) || font.is_some_and(has_hex_hash)
}

/// Nuxt: `app.buildAssetsDir` is cached for a year, except for `builds/`, whose files keep their names
/// (<https://github.com/nuxt/nuxt/blob/main/packages/nitro-server/src/index.ts>).
fn is_immutable_in_nuxt(inside: &str) -> bool {
    let name = file_name(inside);
    !inside.starts_with("builds/") && (has_hash_after_dot(name) || has_hash_at_end(name, 2))
}

/// SvelteKit: files in `immutable/` below [`appDir`](https://svelte.dev/docs/kit/configuration#appDir) get `immutable` from its
/// adapters (<https://github.com/sveltejs/kit/blob/main/packages/adapter-node/src/handler.js>). Its documentation of `appDir`
/// stated until 2023: "The filenames therein contain content-based hashes, meaning they can be cached indefinitely".
fn is_immutable_in_sveltekit(inside: &str) -> bool {
    let name = file_name(inside);
    has_hash_after_dot(name) || has_hash_at_end(name, 3)
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests;
