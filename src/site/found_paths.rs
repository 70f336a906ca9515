//! `FoundPaths`: collects the paths of one object, in all their spellings, with the reasons.

use super::candidates::{Candidate, CandidateKind, candidates};
use super::{AliasReason, CachedPaths, INDEX_DOCUMENT, IndexDocuments, PathReason, QueryStrings};
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
    let mut found = FoundPaths::new(key, index_documents);
    let query_strings = QueryStrings::Ignored;
    found.add_assumed(key, INDEX_DOCUMENT, query_strings, index_documents);
    found.add_reason(PathReason::Unknown);
    found.into_cached_paths()
}

/// The paths of an object that were found so far.
pub(super) struct FoundPaths<'a> {
    pub(super) key: &'a str,
    /// Whether each decoded path becomes one path, in the spelling that CloudFront documents.
    is_literal: bool,
    /// The paths without their leading slash.
    pub(super) decoded_paths: Vec<String>,
    pub(super) paths: Vec<InvalidationPath>,
    pub(super) reasons: Vec<PathReason>,
}

impl<'a> FoundPaths<'a> {
    pub(super) fn new(key: &'a str, index_documents: IndexDocuments) -> Self {
        Self {
            key,
            is_literal: index_documents == IndexDocuments::LiteralKeys,
            decoded_paths: Vec::new(),
            paths: Vec::new(),
            reasons: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, decoded_path: &str, route: Route) {
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
        self.decoded_paths.push(decoded_path.to_owned());
    }

    /// Adds the paths that lead to the key in many distributions, unless they are known already.
    pub(super) fn add_assumed(
        &mut self,
        key: &str,
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
                self.add(&path, route);
            }
        }
    }

    pub(super) fn add_reason(&mut self, reason: PathReason) {
        if !self.reasons.contains(&reason) {
            self.reasons.push(reason);
        }
    }

    pub(super) fn into_cached_paths(self) -> CachedPaths {
        let Self { paths, reasons, .. } = self;
        CachedPaths::Cached { paths, reasons }
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
