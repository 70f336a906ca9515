//! `CachedPaths`: the paths under which viewers may have cached an object, with the reasons as text.
//!
//! The text of a [`PathReason`] names its object. The text of a [`NotCached`] does not, because many objects share it:
//! "31 outside origin path /prod".
//!
//! How an object gets its paths: [`Site::cached_paths`](super::Site::cached_paths).

use std::fmt;
use std::time::Duration;

use crate::path::InvalidationPath;

/// The paths under which viewers may have cached an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CachedPaths {
    /// The object can be cached under these paths.
    Cached {
        /// The paths without duplicates. The object's own path is first.
        paths: Vec<InvalidationPath>,
        /// Why the paths are not only the object's own.
        reasons: Vec<PathReason>,
    },
    /// The object cannot be cached.
    NotCached(NotCached),
}

/// Why an object is cached under more paths than its own. The text names the object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathReason {
    /// Other paths lead to the object too.
    AlsoAt {
        /// The object's key.
        key: String,
        /// The other paths, not encoded.
        paths: Vec<String>,
        /// What makes the paths lead to the object.
        reason: AliasReason,
    },
    /// The object is an error page, which is cached under the path of each failed request.
    ErrorPage {
        /// The object's key.
        key: String,
        /// The origin's HTTP status.
        error_code: i32,
        /// The HTTP status that viewers get.
        response_code: Option<String>,
        /// How long CloudFront caches it.
        caching_ttl: Duration,
    },
    /// There is a copy for each query string.
    QueryStrings {
        /// The object's key.
        key: String,
        /// Whether this is certain. Otherwise the cache policy cannot be read.
        certain: bool,
    },
}

/// What makes another path lead to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AliasReason {
    /// The object is the distribution's default root object.
    DefaultRootObject,
    /// The origin is a website endpoint of S3.
    WebsiteEndpoint,
    /// A function can rewrite the requests.
    EdgeFunction,
    /// [`IndexDocuments::Always`](super::IndexDocuments::Always) is set.
    Setting,
}

/// Why viewers cannot have cached an object. The text follows a number of objects, as in "2 outside …".
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NotCached {
    /// The distribution is disabled.
    Disabled,
    /// According to the domain names of the origins, the bucket is not one of them.
    OtherOrigins {
        /// The bucket's name.
        bucket: String,
    },
    /// The key is outside the origin path of every origin that is the bucket.
    OutsideOriginPath {
        /// The origin paths.
        origin_paths: Vec<String>,
    },
    /// The object's path is routed to another origin.
    RoutedElsewhere {
        /// The first path pattern that matches the object's path, or an empty text if none does.
        path_pattern: String,
        /// The id of the origin or origin group of that path pattern.
        target_origin_id: String,
    },
}

impl fmt::Display for PathReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlsoAt { key, paths, reason } => {
                write!(f, "{key} is also {} ({reason})", paths.join(" and "))
            }
            Self::ErrorPage {
                key,
                error_code,
                response_code: Some(code),
                ..
            } if code.starts_with('2') => {
                write!(
                    f,
                    "{key} is shown with status {code} in place of {error_code}: widened to /*"
                )
            }
            Self::ErrorPage {
                key, caching_ttl, ..
            } => {
                let seconds = caching_ttl.as_secs();
                write!(
                    f,
                    "{key} is an error page that is cached for {seconds} s: widened to /*"
                )
            }
            Self::QueryStrings { key, certain: true } => {
                write!(f, "{key} is cached by query string")
            }
            Self::QueryStrings {
                key,
                certain: false,
            } => {
                write!(
                    f,
                    "{key} may be cached by query string (its cache policy cannot be read, which needs cloudfront:GetCachePolicy)"
                )
            }
        }
    }
}

impl fmt::Display for AliasReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DefaultRootObject => "default root object",
            Self::WebsiteEndpoint => "website endpoint",
            Self::EdgeFunction => "function",
            Self::Setting => "index documents set to always",
        })
    }
}

impl fmt::Display for NotCached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disabled => f.write_str("not cached: the distribution is disabled"),
            Self::OtherOrigins { bucket } => {
                write!(f, "not cached: bucket {bucket} is not an origin")
            }
            Self::OutsideOriginPath { origin_paths } => {
                write!(f, "outside origin path {}", origin_paths.join(" and "))
            }
            Self::RoutedElsewhere { path_pattern, .. } if path_pattern.is_empty() => {
                f.write_str("not routed to an origin")
            }
            Self::RoutedElsewhere {
                path_pattern,
                target_origin_id,
            } => {
                write!(
                    f,
                    "routed to origin {target_origin_id} by path pattern {path_pattern}"
                )
            }
        }
    }
}
