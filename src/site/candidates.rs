//! `Candidate`: a path that may lead to an object, because of how its key ends.
//!
//! Cache behaviors, functions and the setting decide whether it does: see [`Site::cached_paths`](super::Site::cached_paths).

use super::origin::Relation;
use super::{AliasReason, Endpoint, INDEX_DOCUMENT, IndexDocuments};

/// A decoded path, without its leading slash, that may lead to an object.
pub(super) struct Candidate<'a> {
    pub(super) path: &'a str,
    pub(super) kind: CandidateKind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum CandidateKind {
    OwnPath,
    DefaultRootObject,
    IndexDocument,
    PageWithoutExtension,
}

impl CandidateKind {
    /// Returns what makes a path other than the object's own lead to it, or `None` if nothing does.
    pub(super) fn alias_reason(
        self,
        relation: Relation,
        index_documents: IndexDocuments,
        has_function: bool,
    ) -> Option<AliasReason> {
        match (self, index_documents) {
            (Self::OwnPath, _) => None,
            (Self::DefaultRootObject, _) => Some(AliasReason::DefaultRootObject),
            (_, IndexDocuments::Never | IndexDocuments::LiteralKeys) => None,
            // The endpoint answers `/dir` with a redirect to `/dir/`, which is cached too.
            (Self::IndexDocument, _) if relation == Relation::Bucket(Endpoint::Website) => {
                Some(AliasReason::WebsiteEndpoint)
            }
            _ if relation == Relation::Server => Some(AliasReason::Server),
            _ if has_function => Some(AliasReason::EdgeFunction),
            (_, IndexDocuments::Always) => Some(AliasReason::Setting),
            (_, IndexDocuments::Auto) => None,
        }
    }
}

/// Returns the paths that may lead to the object. Cache behaviors and functions decide whether they do.
pub(super) fn candidates<'a>(
    key: &'a str,
    default_root_object: Option<&str>,
    index_documents: IndexDocuments,
) -> Vec<Candidate<'a>> {
    let candidate = |path, kind| Candidate { path, kind };
    let mut candidates = vec![candidate(key, CandidateKind::OwnPath)];
    if index_documents == IndexDocuments::LiteralKeys {
        return candidates;
    }
    let root = default_root_object.unwrap_or_default();
    if !key.is_empty() && root.trim_start_matches('/') == key {
        candidates.push(candidate("", CandidateKind::DefaultRootObject));
    }
    let directory = key
        .strip_suffix(INDEX_DOCUMENT)
        .filter(|directory| directory.is_empty() || directory.ends_with('/'));
    if let Some(directory) = directory {
        candidates.push(candidate(directory, CandidateKind::IndexDocument));
        let without_slash = directory.strip_suffix('/');
        if let Some(path) = without_slash.filter(|path| !path.is_empty()) {
            candidates.push(candidate(path, CandidateKind::IndexDocument));
        }
    }
    // A function that appends `.html` serves `/blog/index`, too.
    if let Some(path) = key.strip_suffix(".html")
        && !path.is_empty()
        && !path.ends_with('/')
    {
        candidates.push(candidate(path, CandidateKind::PageWithoutExtension));
    }
    candidates
}
