//! Which invalidations cover a URL, and why others miss it.
//!
//! An invalidation covers a URL here if the owner meant it to: paths are compared decoded, and `/dir/*` covers `/dir/`. CloudFront
//! can compare in a stricter way. Then the copy is older than an invalidation that covers it, which is what a
//! verification has to find. For [`InvalidationPath::covers`](crate::path::InvalidationPath::covers), which decides what need
//! not be invalidated, only certainty counts.
//!
//! Rules: <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/invalidation-specifying-objects.html>

use std::fmt;

use percent_encoding::percent_decode_str;

use super::RequestTarget;
use super::sample::Candidate;
use crate::plan::{ExistingInvalidation, InvalidationId};
use crate::site::{QueryStrings, Site};

/// What the configuration decides about the copies of a URL.
#[derive(Clone, Copy, Debug)]
pub struct CachedUrl<'a> {
    /// What a viewer requests.
    pub target: &'a RequestTarget,
    /// Whether the query string is in the cache key, if that is known.
    pub query_strings: Option<QueryStrings>,
    /// The origin paths of the distribution, which are not part of a URL.
    pub origin_paths: &'a [String],
    /// The cache tags of the response, in lower case.
    pub tags: &'a [String],
}

/// Why an invalidation misses a URL although one of its paths is similar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Miss {
    /// The invalidation.
    pub id: InvalidationId,
    /// Its path that is similar.
    pub path: String,
    /// The difference.
    pub reason: MissReason,
}

/// What distinguishes a path of an invalidation from a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissReason {
    /// One has a plus where the other has a space.
    Spelling,
    /// Upper and lower case.
    Case,
    /// The query string.
    QueryString,
    /// The path has a query string, and no copy has one.
    NoQueryString,
    /// The path begins with the origin path.
    OriginPath,
    /// `/blog`, `/blog/` and `/blog/index.html` are different URLs.
    OtherPage,
}

/// An invalidation that covers a URL.
#[derive(Clone, Copy, Debug)]
pub struct Covering<'a> {
    /// The invalidation.
    pub invalidation: &'a ExistingInvalidation,
    /// Its path, or cache tag.
    pub path: &'a str,
    /// Whether CloudFront certainly matches it. Otherwise it is spelled in another way.
    pub is_certain: bool,
}

/// The invalidations of a distribution, prepared for many URLs.
#[derive(Clone, Debug)]
pub struct Coverage<'a> {
    /// Newest first.
    invalidations: Vec<(&'a ExistingInvalidation, Vec<Item>)>,
}

/// A path or a tag of an invalidation.
#[derive(Clone, Debug)]
enum Item {
    /// In lower case.
    Tag(String),
    Path {
        written: String,
        /// Decoded, without a final `*` and the query string.
        path: Vec<u8>,
        /// Decoded, without a final `*`.
        query: Option<Vec<u8>>,
        is_wildcard: bool,
    },
}

impl<'a> Coverage<'a> {
    /// Prepares the invalidations, which can have any order.
    pub fn new(invalidations: impl IntoIterator<Item = &'a ExistingInvalidation>) -> Self {
        let prepared = invalidations.into_iter().map(|invalidation| {
            let items = invalidation.paths.iter();
            let items = items.map(|path| Item::parse(path.as_str())).collect();
            (invalidation, items)
        });
        let mut invalidations: Vec<_> = prepared.collect();
        invalidations.sort_by_key(|(invalidation, _)| std::cmp::Reverse(invalidation.created));
        Self { invalidations }
    }

    /// Returns the newest completed invalidation that covers the URL.
    pub fn newest_completed(&self, url: CachedUrl<'_>) -> Option<&'a ExistingInvalidation> {
        let covering = self.covering(url).map(|covering| covering.invalidation);
        let mut completed = covering.filter(|invalidation| !invalidation.is_in_progress());
        completed.next()
    }

    /// Returns whether a completed invalidation covers the URL, whatever its response contains.
    pub fn covers(&self, candidate: &Candidate, site: Option<&Site>) -> bool {
        let path = candidate.target.path();
        let behavior = site.and_then(|site| site.behavior_of_request(path));
        let url = CachedUrl {
            target: &candidate.target,
            query_strings: behavior.map(|behavior| behavior.query_strings),
            origin_paths: &[],
            tags: &[],
        };
        self.newest_completed(url).is_some()
    }

    /// Returns the invalidations that cover the URL, newest first.
    pub fn covering(&self, url: CachedUrl<'_>) -> impl Iterator<Item = Covering<'a>> {
        let decoded = DecodedUrl::new(url);
        self.invalidations
            .iter()
            .filter_map(move |(invalidation, items)| {
                let covers = |item: &&Item| item.covers(&decoded, url.tags);
                let mut covering = items
                    .iter()
                    .zip(&invalidation.paths)
                    .filter(|(item, _)| covers(item));
                let (_, first) = covering.next()?;
                // A path that certainly covers it is the better explanation.
                let certain = invalidation.paths.iter().find(|path| {
                    path.as_str().starts_with('#') || path.covers(decoded.sent.as_str())
                });
                let is_certain = certain.is_some();
                Some(Covering {
                    invalidation,
                    path: certain.unwrap_or(first).as_str(),
                    is_certain,
                })
            })
    }

    /// Returns why invalidations miss the URL although one of their paths is similar, newest first.
    pub fn misses(&self, url: CachedUrl<'_>) -> Vec<Miss> {
        let decoded = DecodedUrl::new(url);
        let misses = self
            .invalidations
            .iter()
            .filter_map(|(invalidation, items)| {
                if items.iter().any(|item| item.covers(&decoded, url.tags)) {
                    return None;
                }
                let (path, reason) = items
                    .iter()
                    .find_map(|item| item.miss(&decoded, url.origin_paths))?;
                Some(Miss {
                    id: invalidation.id.clone(),
                    path,
                    reason,
                })
            });
        misses.collect()
    }
}

/// A URL as it is compared.
struct DecodedUrl {
    path: Vec<u8>,
    /// `None` also if the query string is not in the cache key.
    query: Option<Vec<u8>>,
    /// As it is sent, without a query string that is not in the cache key.
    sent: String,
    /// Whether no copy has a query string.
    ignores_query: bool,
}

impl DecodedUrl {
    fn new(url: CachedUrl<'_>) -> Self {
        let ignores_query = url.query_strings == Some(QueryStrings::Ignored);
        let query = url.target.query().filter(|_| !ignores_query);
        let sent = if ignores_query {
            url.target.path()
        } else {
            url.target.as_str()
        };
        Self {
            path: decode(url.target.path()),
            query: query.map(decode),
            sent: sent.to_owned(),
            ignores_query,
        }
    }
}

impl Item {
    fn parse(text: &str) -> Self {
        if let Some(tag) = text.strip_prefix('#') {
            return Self::Tag(tag.to_ascii_lowercase());
        }
        let (stem, is_wildcard) = match text.strip_suffix('*') {
            Some(stem) => (stem, true),
            None => (text, false),
        };
        let (path, query) = match stem.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (stem, None),
        };
        Self::Path {
            written: text.to_owned(),
            path: decode(path),
            query: query.map(decode),
            is_wildcard,
        }
    }

    fn covers(&self, url: &DecodedUrl, tags: &[String]) -> bool {
        match self {
            Self::Tag(tag) => tags.contains(tag),
            Self::Path {
                path,
                query: None,
                is_wildcard: true,
                ..
            } => url.path.starts_with(path),
            Self::Path {
                path,
                query: Some(query),
                is_wildcard: true,
                ..
            } => *path == url.path && url.query.as_ref().is_some_and(|own| own.starts_with(query)),
            Self::Path { path, query, .. } => *path == url.path && *query == url.query,
        }
    }

    /// Returns the path, and why it does not cover the URL although it is similar.
    fn miss(&self, url: &DecodedUrl, origin_paths: &[String]) -> Option<(String, MissReason)> {
        let Self::Path {
            written,
            path,
            is_wildcard,
            ..
        } = self
        else {
            return None;
        };
        let matches = |own: &[u8], requested: &[u8]| match is_wildcard {
            true => requested.starts_with(own),
            false => requested == own,
        };
        let is_below = |origin_path: &String| {
            let relative = path.strip_prefix(origin_path.as_bytes());
            !origin_path.is_empty() && relative.is_some_and(|relative| matches(relative, &url.path))
        };
        let reason = if *path == url.path && url.ignores_query {
            MissReason::NoQueryString
        } else if *path == url.path {
            MissReason::QueryString
        } else if matches(&with_spaces(path), &with_spaces(&url.path)) {
            MissReason::Spelling
        } else if matches(&path.to_ascii_lowercase(), &url.path.to_ascii_lowercase()) {
            MissReason::Case
        } else if origin_paths.iter().any(is_below) {
            MissReason::OriginPath
        } else if !is_wildcard && page(path) == page(&url.path) {
            MissReason::OtherPage
        } else {
            return None;
        };
        Some((written.clone(), reason))
    }
}

fn decode(text: &str) -> Vec<u8> {
    percent_decode_str(text).collect()
}

fn with_spaces(path: &[u8]) -> Vec<u8> {
    let bytes = path.iter();
    let spaced = bytes.map(|byte| if *byte == b'+' { b' ' } else { *byte });
    spaced.collect()
}

/// Returns the path without what the URLs of one page differ in.
fn page(path: &[u8]) -> &[u8] {
    let path = path.strip_suffix(b"index.html").unwrap_or(path);
    let path = path.strip_suffix(b".html").unwrap_or(path);
    path.strip_suffix(b"/").unwrap_or(path)
}

impl fmt::Display for Miss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, path, reason } = self;
        let difference = match reason {
            MissReason::Spelling => "a plus is not a space",
            MissReason::Case => "upper and lower case differ",
            MissReason::QueryString => "the query string differs",
            MissReason::NoQueryString => {
                "no copy has a query string, because the cache key leaves it out"
            }
            MissReason::OriginPath => "it begins with the origin path, which is not part of a URL",
            MissReason::OtherPage => "it is another URL of the page",
        };
        write!(f, "{id} missed it with {path}: {difference}")
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

    use super::*;
    use crate::path::{InvalidationPath, SubmittedPath};
    use crate::plan::InvalidationStatus;

    fn invalidation(id: &str, created: i64, paths: &[&str]) -> ExistingInvalidation {
        let paths = paths
            .iter()
            .map(|path| SubmittedPath::from((*path).to_owned()));
        ExistingInvalidation {
            id: InvalidationId::new(id),
            created: DateTime::<Utc>::from_timestamp(created, 0).expect("a time"),
            status: InvalidationStatus::Completed,
            caller_reference: String::new(),
            paths: paths.collect(),
        }
    }

    fn target(text: &str) -> RequestTarget {
        let path = InvalidationPath::parse(text).expect("a path");
        RequestTarget::of_path(&path).expect("a target")
    }

    fn url<'a>(target: &'a RequestTarget, query_strings: QueryStrings) -> CachedUrl<'a> {
        CachedUrl {
            target,
            query_strings: Some(query_strings),
            origin_paths: &[],
            tags: &[],
        }
    }

    #[test]
    fn paths_are_compared_decoded_and_with_the_query_string_of_the_cache_key() {
        use QueryStrings::{Ignored, InCacheKey};
        for (path, requested, query_strings, expected) in [
            ("/a.html", "/a.html", Ignored, true),
            ("/%61.html", "/a.html", Ignored, true),
            ("/a%2Bb", "/a+b", Ignored, true),
            ("/a+b", "/a%20b", Ignored, false),
            ("/A.html", "/a.html", Ignored, false),
            ("/*", "/a/b?c", InCacheKey, true),
            ("/dir/*", "/dir/", Ignored, true),
            ("/dir/*", "/dir", Ignored, false),
            ("/dir*", "/dir/a?b", InCacheKey, true),
            ("/a", "/a?b=1", Ignored, true),
            ("/a", "/a?b=1", InCacheKey, false),
            ("/a?b=1", "/a?b=1", InCacheKey, true),
            ("/a?b=1", "/a", InCacheKey, false),
            // No copy has the query string.
            ("/a?b=1", "/a?b=1", Ignored, false),
            ("/a?*", "/a?b=1", InCacheKey, true),
            ("/a?b*", "/a?b=1", InCacheKey, true),
            ("/a?c*", "/a?b=1", InCacheKey, false),
            ("/a?b*", "/ab?b=1", InCacheKey, false),
            ("/a?b*", "/a", InCacheKey, false),
        ] {
            let invalidations = [invalidation("I1", 0, &["/other", path])];
            let coverage = Coverage::new(&invalidations);
            let target = target(requested);
            let found = coverage.newest_completed(url(&target, query_strings));
            assert_eq!(found.is_some(), expected, "{path} {requested}");
        }
    }

    #[test]
    fn the_newest_completed_invalidation_counts() {
        let mut in_progress = invalidation("I3", 30, &["/a"]);
        in_progress.status = InvalidationStatus::InProgress;
        let invalidations = [
            invalidation("I1", 10, &["/*"]),
            in_progress,
            invalidation("I2", 20, &["/a"]),
            invalidation("I4", 40, &["/b"]),
        ];
        let coverage = Coverage::new(&invalidations);
        let target = target("/a");
        let url = url(&target, QueryStrings::Ignored);
        let newest = coverage
            .newest_completed(url)
            .map(|found| found.id.as_str());
        assert_eq!(newest, Some("I2"));
        let covering: Vec<_> = coverage
            .covering(url)
            .map(|found| found.invalidation.id.as_str())
            .collect();
        assert_eq!(covering, ["I3", "I2", "I1"]);
    }

    #[test]
    fn a_tag_covers_the_responses_that_have_it() {
        let invalidations = [invalidation("I1", 0, &["#Product:42"])];
        let coverage = Coverage::new(&invalidations);
        let target = target("/a");
        let tags = ["product:42".to_owned()];
        let url = url(&target, QueryStrings::Ignored);
        let tagged = CachedUrl { tags: &tags, ..url };
        assert!(coverage.newest_completed(tagged).is_some());
        assert!(coverage.newest_completed(url).is_none());
    }

    #[test]
    fn a_query_string_that_is_not_in_the_cache_key_is_explained() {
        let invalidations = [invalidation("I1", 0, &["/a?b=1"])];
        let target = target("/a?b=1");
        let misses = Coverage::new(&invalidations).misses(url(&target, QueryStrings::Ignored));
        let texts: Vec<_> = misses.iter().map(ToString::to_string).collect();
        let expected = "I1 missed it with /a?b=1: no copy has a query string, because the cache key leaves it out";
        assert_eq!(texts, [expected]);
    }

    #[test]
    fn a_similar_path_that_misses_the_url_is_explained() {
        use MissReason::{Case, OriginPath, OtherPage, QueryString, Spelling};
        let origin_paths = ["/prod".to_owned(), String::new()];
        for (path, requested, expected) in [
            ("/a+b.html", "/a%20b.html", Some(Spelling)),
            ("/Blog/*", "/blog/a", Some(Case)),
            ("/a", "/a?b=1", Some(QueryString)),
            ("/prod/a.html", "/a.html", Some(OriginPath)),
            ("/prod/blog/*", "/blog/a", Some(OriginPath)),
            ("/blog", "/blog/", Some(OtherPage)),
            ("/blog/index.html", "/blog", Some(OtherPage)),
            ("/about", "/about.html", Some(OtherPage)),
            ("/blog*", "/blo/", None),
            ("/b.html", "/a.html", None),
            ("/a.html", "/a.html", None),
            ("#tag", "/a.html", None),
        ] {
            let invalidations = [invalidation("I1", 0, &[path])];
            let target = target(requested);
            let misses = Coverage::new(&invalidations).misses(CachedUrl {
                origin_paths: &origin_paths,
                ..url(&target, QueryStrings::InCacheKey)
            });
            let expected: Vec<_> = expected
                .into_iter()
                .map(|reason| Miss {
                    id: InvalidationId::new("I1"),
                    path: path.to_owned(),
                    reason,
                })
                .collect();
            assert_eq!(misses, expected, "{path} {requested}");
        }
    }
}
