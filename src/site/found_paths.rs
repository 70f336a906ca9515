//! `FoundPaths`: collects the paths of one object, in all their spellings, with the reasons.

use super::candidates::{Candidate, CandidateKind, candidates};
use super::{
    AliasReason, CachedPaths, INDEX_DOCUMENT, ImmutablePaths, IndexDocuments, NotCached,
    PathReason, QueryStrings,
};
use crate::path::{EncodedPaths, InvalidationPath};

/// How a path leads to an object.
pub(super) struct Route {
    /// What makes the path lead to the object, if it is not the object's own.
    pub(super) alias_reason: Option<AliasReason>,
    pub(super) query_strings: QueryStrings,
}

/// Returns the paths of an object of a distribution whose configuration is unknown: its own path, and those by which it
/// is the default root object `index.html`, an index document or a page without extension.
pub fn assumed_paths(key: &str, index_documents: IndexDocuments) -> CachedPaths {
    Ok(find_assumed_paths(key, index_documents)).into()
}

pub(super) fn find_assumed_paths(key: &str, index_documents: IndexDocuments) -> FoundPaths<'_> {
    let mut found = FoundPaths::new(key, index_documents);
    let query_strings = QueryStrings::Ignored;
    found.add_assumed(key, INDEX_DOCUMENT, query_strings, index_documents);
    found.add_reason(PathReason::Unknown);
    found
}

/// The paths of an object that were found so far.
pub(super) struct FoundPaths<'a> {
    pub(super) key: &'a str,
    /// Whether each decoded path becomes one path, in the spelling that CloudFront documents.
    is_literal: bool,
    /// The paths without their leading slash.
    pub(super) decoded_paths: Vec<&'a str>,
    pub(super) paths: Vec<InvalidationPath>,
    pub(super) reasons: Vec<PathReason>,
    /// Whether the object is shown for errors, under any path.
    is_error_page: bool,
}

impl<'a> FoundPaths<'a> {
    pub(super) fn new(key: &'a str, index_documents: IndexDocuments) -> Self {
        Self {
            key,
            is_literal: index_documents == IndexDocuments::LiteralKeys,
            decoded_paths: Vec::new(),
            paths: Vec::new(),
            reasons: Vec::new(),
            is_error_page: false,
        }
    }

    /// Returns whether the content of the object never changes, under all of its paths.
    pub(super) fn is_immutable(&self, immutable: &ImmutablePaths) -> bool {
        let mut paths = self.decoded_paths.iter();
        paths.all(|path| immutable.contains(&["/", path].concat()))
    }

    /// Returns whether the object is shown for errors, under any path.
    pub(super) fn is_error_page(&self) -> bool {
        self.is_error_page
    }

    pub(super) fn add(&mut self, decoded_path: &'a str, route: Route) {
        let Route {
            alias_reason,
            mut query_strings,
        } = route;
        let EncodedPaths { mut paths, widened } = if decoded_path.is_empty() {
            EncodedPaths::root()
        } else {
            EncodedPaths::of_key(decoded_path)
        };
        if self.is_literal {
            query_strings = QueryStrings::Ignored;
            paths.truncate(1);
        }
        for path in paths {
            let paths = match query_strings {
                QueryStrings::Ignored => vec![path],
                // Wildcard rule: query strings are, or may be, in the cache key.
                QueryStrings::InCacheKey | QueryStrings::Denied | QueryStrings::Unreadable => {
                    path.with_query_strings()
                }
            };
            for path in paths {
                if !self.paths.contains(&path) {
                    self.paths.push(path);
                }
            }
        }
        if let Some(reason) = alias_reason {
            self.add_alias_reason(format!("/{decoded_path}"), reason);
        }
        if query_strings != QueryStrings::Ignored {
            self.add_reason(PathReason::QueryStrings {
                key: self.key.to_owned(),
                query_strings,
            });
        }
        for widened in widened {
            // One reason is enough for the paths that share a wildcard.
            let is_listed = self.reasons.iter().any(
                |reason| matches!(reason, PathReason::Widened(listed) if listed.to == widened.to),
            );
            if !is_listed {
                self.reasons.push(PathReason::Widened(widened));
            }
        }
        self.decoded_paths.push(decoded_path);
    }

    /// Adds the paths that lead to the key in many distributions, unless they are known already.
    pub(super) fn add_assumed(
        &mut self,
        key: &'a str,
        default_root_object: &str,
        query_strings: QueryStrings,
        index_documents: IndexDocuments,
    ) {
        for Candidate { path, kind } in candidates(key, Some(default_root_object), index_documents)
        {
            let alias_reason = match kind {
                CandidateKind::OwnPath => None,
                CandidateKind::DefaultRootObject => Some(AliasReason::Assumed),
                _ if index_documents == IndexDocuments::Never => continue,
                _ => Some(AliasReason::Assumed),
            };
            if !self.decoded_paths.contains(&path) {
                let route = Route {
                    alias_reason,
                    query_strings,
                };
                self.add(path, route);
            }
        }
    }

    pub(super) fn add_reason(&mut self, reason: PathReason) {
        if !self.reasons.contains(&reason) {
            self.reasons.push(reason);
        }
    }

    /// Wildcard rule: an error page.
    pub(super) fn replace_by_everything(&mut self, reason: PathReason) {
        self.paths = vec![InvalidationPath::everything()];
        self.reasons = vec![reason];
        self.is_error_page = true;
    }

    /// Adds the path to the reason that it shares with others.
    fn add_alias_reason(&mut self, path: String, alias_reason: AliasReason) {
        for listed in &mut self.reasons {
            if let PathReason::AlsoAt { paths, reason, .. } = listed {
                // Each path has one reason: the first, which is the more certain one.
                if paths.contains(&path) {
                    return;
                }
                if *reason == alias_reason {
                    return paths.push(path);
                }
            }
        }
        self.reasons.push(PathReason::AlsoAt {
            key: self.key.to_owned(),
            paths: vec![path],
            reason: alias_reason,
        });
    }
}

impl From<Result<FoundPaths<'_>, NotCached>> for CachedPaths {
    fn from(found: Result<FoundPaths<'_>, NotCached>) -> Self {
        match found {
            Ok(FoundPaths { paths, reasons, .. }) => Self::Cached { paths, reasons },
            Err(not_cached) => Self::NotCached(not_cached),
        }
    }
}
