//! `Change`: what is known about a changed object, and whether the change needs an invalidation.
//!
//! An object needs none if its copies stay valid: its name contains a hash of its content
//! ([`ImmutablePaths`](super::ImmutablePaths)), or it is new, so that there is no copy of an older version. But the edge can have
//! cached a response for the missing object: an error, or the page that is shown instead. Usually this lasts for seconds. If it can
//! last for longer, objects that are possibly new are invalidated nevertheless.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::{ImmutablePaths, IndexDocuments};
use crate::excerpt::{Excerpt, MAX_NOTED, thousands};
use crate::path::{InvalidationPath, PathIndex};

/// What the settings decide about the paths of a changed object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathOptions {
    /// Whether an index document is cached under its directory too.
    pub index_documents: IndexDocuments,
    /// The paths whose content never changes.
    pub immutable: ImmutablePaths,
    /// Whether copies of removed objects under such paths stay at the edge, for pages that still name them.
    pub keep_removed_immutable: bool,
}

impl Default for PathOptions {
    fn default() -> Self {
        Self {
            index_documents: IndexDocuments::default(),
            immutable: ImmutablePaths::default(),
            keep_removed_immutable: true,
        }
    }
}

/// What is known about a changed object; `None` is unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// Whether the object existed before the change.
    pub existed: Option<bool>,
    /// Whether it exists after the change.
    pub exists: Option<bool>,
}

impl Change {
    /// Returns a change that created the object or replaced its content.
    pub const fn written() -> Self {
        Self {
            existed: None,
            exists: Some(true),
        }
    }

    /// Returns a change that removed the object.
    pub const fn removed() -> Self {
        Self {
            existed: None,
            exists: Some(false),
        }
    }

    /// Returns why the change needs no invalidation, or what is known about the invalidation that it needs.
    ///
    /// `cached_absence` is why the edge can keep for long that an object does not exist, if it can.
    pub fn need(
        self,
        is_immutable: bool,
        keep_removed_immutable: bool,
        cached_absence: impl FnOnce() -> Option<CachedAbsence>,
    ) -> Need {
        let is_new = self.existed == Some(false);
        if !is_immutable && !is_new {
            return Need::Invalidation(None);
        }
        let is_removed = self.exists == Some(false);
        let may_be_removed = is_immutable && self.exists != Some(true);
        if may_be_removed && !keep_removed_immutable {
            return Need::Invalidation(None);
        }
        let may_be_new = self.existed != Some(true) && !is_removed;
        match cached_absence() {
            Some(cached_absence) if may_be_new => Need::Invalidation(Some(cached_absence)),
            _ if !is_immutable => Need::None(Kept::New),
            _ if is_removed => Need::None(Kept::Removed),
            _ => Need::None(Kept::Immutable),
        }
    }
}

/// Whether a change needs an invalidation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// It needs one. The reason is given if the object needs one only because it is possibly new.
    Invalidation(Option<CachedAbsence>),
    /// It needs none.
    None(Kept),
}

/// Why the copies of a changed object stay valid. The text follows a number of objects, as in "2 without a path, …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kept {
    /// Its content never changes.
    Immutable,
    /// It is removed, and pages that are open in browsers can still name it.
    Removed,
    /// It did not exist before.
    New,
    /// It was written again with the same content.
    SameContent,
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Immutable => {
                "without a path, because the content under these names never changes"
            }
            Self::Removed => {
                "removed without a path, because open pages can still need these files (KeepRemovedImmutable, --takedown)"
            }
            Self::New => "new, without an older copy to invalidate",
            Self::SameContent => {
                "without a path, because the same content was written again"
            }
        })
    }
}

/// The changed objects whose copies stay valid.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeptObjects {
    keys: BTreeMap<Kept, Excerpt<MAX_NOTED>>,
    /// The paths of the removed objects.
    removed: Vec<InvalidationPath>,
}

impl KeptObjects {
    /// Adds an object with its path.
    pub fn add(&mut self, key: &str, path: Option<InvalidationPath>, kept: Kept) {
        self.keys.entry(kept).or_default().push(key);
        self.removed.extend(path.filter(|_| kept == Kept::Removed));
    }

    /// Returns the number of the objects.
    pub fn count(&self) -> usize {
        self.keys.values().map(Excerpt::count).sum()
    }

    /// Returns a note about the removed objects whose copies a wildcard drops, if there are any.
    pub fn dropped_note(&self, sent: &[InvalidationPath]) -> Option<String> {
        if self.removed.is_empty() {
            return None;
        }
        let wildcards = sent.iter().filter(|path| path.is_wildcard());
        let wildcards = PathIndex::new(wildcards.map(|path| (path.as_str(), ())));
        let is_dropped =
            |path: &&InvalidationPath| wildcards.greatest_covering(path.as_str()).is_some();
        let dropped = self.removed.iter().filter(is_dropped).count();
        (dropped > 0).then(|| {
            format!(
                "wildcards drop the copies of removed files that open pages can still need ({}): leave such files in the \
                 bucket for some time after a deploy",
                thousands(dropped)
            )
        })
    }

    /// Returns a note for each reason. It lists at most five objects and counts the rest.
    pub fn notes(&self) -> impl Iterator<Item = String> {
        let kept = self.keys.iter();
        kept.map(|(kept, keys)| format!("{} {kept}: {}", thousands(keys.count()), keys.join(", ")))
    }
}

/// Why the edge can keep for more than a minute that an object does not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CachedAbsence {
    /// It keeps the error.
    Error {
        /// The origin's HTTP status.
        error_code: i32,
        /// How long CloudFront caches it.
        caching_ttl: Duration,
    },
    /// It shows a page with a status of success instead.
    Fallback {
        /// The origin's HTTP status.
        error_code: i32,
    },
    /// It gets an object of this name from another origin of an origin group.
    Failover,
    /// The origin is a server, so its response for a missing object is not known.
    Server {
        /// The origin's domain name.
        domain_name: String,
    },
    /// The origin is a website endpoint. Its error document can have a `Cache-Control` of its own
    /// ([seen](https://github.com/mdn/yari/issues/2037)), and CloudFront caches errors
    /// [as long as that allows](https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/custom-error-pages-expiration.html).
    /// Its redirection rules can send viewers elsewhere.
    Website {
        /// The origin's domain name.
        domain_name: String,
    },
    /// The configuration is unknown or outdated.
    Unknown,
}

impl fmt::Display for CachedAbsence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error {
                error_code,
                caching_ttl,
            } => write!(
                f,
                "error {error_code} is cached for {} s",
                caching_ttl.as_secs()
            ),
            Self::Fallback { error_code } => {
                write!(
                    f,
                    "a page with a status of success is shown for error {error_code}"
                )
            }
            Self::Failover => f.write_str(
                "an origin group has another origin that can have an object of that name",
            ),
            Self::Server { domain_name } => {
                write!(
                    f,
                    "what origin {domain_name} returns for missing objects is not known"
                )
            }
            Self::Website { domain_name } => {
                write!(
                    f,
                    "the error document or a redirection of website endpoint {domain_name} can be cached for long"
                )
            }
            Self::Unknown => f.write_str("how long errors are cached is not known"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stays_valid_is_kept() {
        let long_error = || CachedAbsence::Fallback { error_code: 404 };
        let for_absence = Need::Invalidation(Some(long_error()));
        let needed = Need::Invalidation(None);
        let change = |existed, exists| Change { existed, exists };
        let (yes, no, unknown) = (Some(true), Some(false), None);
        for (existed, exists, immutable, kept_removed, short_errors, long_errors) in [
            // An immutable object.
            (
                unknown,
                yes,
                true,
                true,
                Need::None(Kept::Immutable),
                &for_absence,
            ),
            (
                no,
                yes,
                true,
                true,
                Need::None(Kept::Immutable),
                &for_absence,
            ),
            (
                yes,
                yes,
                true,
                true,
                Need::None(Kept::Immutable),
                &Need::None(Kept::Immutable),
            ),
            (
                unknown,
                no,
                true,
                true,
                Need::None(Kept::Removed),
                &Need::None(Kept::Removed),
            ),
            (
                yes,
                no,
                true,
                true,
                Need::None(Kept::Removed),
                &Need::None(Kept::Removed),
            ),
            (
                no,
                no,
                true,
                true,
                Need::None(Kept::Removed),
                &Need::None(Kept::Removed),
            ),
            (
                unknown,
                unknown,
                true,
                true,
                Need::None(Kept::Immutable),
                &for_absence,
            ),
            (
                yes,
                unknown,
                true,
                true,
                Need::None(Kept::Immutable),
                &Need::None(Kept::Immutable),
            ),
            // Removed ones are not kept.
            (
                unknown,
                yes,
                true,
                false,
                Need::None(Kept::Immutable),
                &for_absence,
            ),
            (
                yes,
                yes,
                true,
                false,
                Need::None(Kept::Immutable),
                &Need::None(Kept::Immutable),
            ),
            (unknown, no, true, false, needed.clone(), &needed),
            (yes, unknown, true, false, needed.clone(), &needed),
            (unknown, unknown, true, false, needed.clone(), &needed),
            // Another object.
            (unknown, yes, false, true, needed.clone(), &needed),
            (yes, yes, false, true, needed.clone(), &needed),
            (unknown, no, false, true, needed.clone(), &needed),
            (unknown, unknown, false, true, needed.clone(), &needed),
            (no, yes, false, true, Need::None(Kept::New), &for_absence),
            (
                no,
                unknown,
                false,
                true,
                Need::None(Kept::New),
                &for_absence,
            ),
            (
                no,
                no,
                false,
                true,
                Need::None(Kept::New),
                &Need::None(Kept::New),
            ),
        ] {
            let need = |cached_absence: Option<CachedAbsence>| {
                change(existed, exists).need(immutable, kept_removed, || cached_absence)
            };
            let case = format!("{existed:?} {exists:?} {immutable} {kept_removed}");
            assert_eq!(need(None), short_errors, "{case}");
            assert_eq!(need(Some(long_error())), *long_errors, "{case}");
        }
    }
}
