//! `CachedPaths`: the paths under which viewers may have cached an object, with the reasons as text.
//!
//! The text of a [`PathReason`] names its object, or what concerns all objects of the distribution. The text of a
//! [`NotCached`] names none, because many objects share it: "31 outside origin path /prod".
//!
//! How an object gets its paths: [`Site::cached_paths`](super::Site::cached_paths).

use std::fmt;
use std::time::Duration;

use super::QueryStrings;
use crate::distribution::DistributionId;
use crate::path::{InvalidationPath, Widened};

/// What is assumed of a distribution whose configuration IAM denies to read.
pub const ASSUMPTION: &str =
    "index.html is assumed to be the default root object and an index document";

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

/// Why more is invalidated than the object's own path.
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
    /// There is a copy for each query string, or there may be.
    QueryStrings {
        /// The object's key.
        key: String,
        /// Whether this is known.
        query_strings: QueryStrings,
    },
    /// A wildcard replaces an uncertain spelling.
    Widened(Widened),
    /// By the configuration, the object's own path does not lead to it, but a function can change that.
    MayBeRerouted {
        /// The object's key.
        key: String,
        /// Why the configuration alone leads to no path.
        not_cached: NotCached,
    },
    /// An origin may be the bucket under another name. It concerns all objects of the bucket.
    UncertainOrigin {
        /// The origin's domain name.
        domain_name: String,
        /// The bucket's name, or an empty text if it is not known.
        bucket: String,
    },
    /// IAM denies reading the configuration. It concerns all objects.
    Unknown,
    /// The configuration was read before the change, and a newer one cannot be read. It concerns all objects.
    Outdated,
}

impl PathReason {
    /// Returns whether the reason is about the distribution and not about one object.
    pub(super) fn concerns_all_objects(&self) -> bool {
        matches!(
            self,
            Self::UncertainOrigin { .. } | Self::Unknown | Self::Outdated
        )
    }
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
    /// The origin is not a bucket, and possibly adds index documents.
    Server,
    /// The configuration is unknown or outdated, and it is so in many distributions.
    Assumed,
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
    /// No origin is in S3, and another distribution certainly has the bucket.
    NoS3Origin {
        /// The bucket's name.
        bucket: String,
        /// The distribution that has the bucket.
        distribution: DistributionId,
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
            Self::Widened(widened) => write!(f, "{widened}"),
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
            Self::QueryStrings { key, query_strings } => match query_strings {
                QueryStrings::Denied => write!(
                    f,
                    "{key} may be cached by query string (its cache policy cannot be read, which needs \
                     cloudfront:GetCachePolicy)"
                ),
                QueryStrings::Unreadable => write!(
                    f,
                    "{key} may be cached by query string (its cache policy could not be read now)"
                ),
                QueryStrings::InCacheKey | QueryStrings::Ignored => {
                    write!(f, "{key} is cached by query string")
                }
            },
            Self::MayBeRerouted { key, not_cached } => write!(
                f,
                "{key} is {not_cached}, but a function can choose another origin and path"
            ),
            Self::UncertainOrigin {
                domain_name,
                bucket,
            } => {
                write!(f, "origin {domain_name} is treated as ")?;
                match bucket.as_str() {
                    "" => f.write_str("the bucket"),
                    bucket => write!(f, "bucket {bucket}"),
                }?;
                f.write_str(": it can be another name of the bucket, or a server that gets its objects from there")
            }
            Self::Unknown => write!(
                f,
                "its configuration cannot be read, which needs cloudfront:GetDistributionConfig: {ASSUMPTION}, and \
                 staging distributions are not found"
            ),
            Self::Outdated => f.write_str(
                "its configuration cannot be read now: the paths by an earlier one and those of a site with index \
                 documents are invalidated",
            ),
        }
    }
}

impl fmt::Display for AliasReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DefaultRootObject => "default root object",
            Self::WebsiteEndpoint => "website endpoint",
            Self::EdgeFunction => "function",
            Self::Server => "server in front of the bucket",
            Self::Assumed => "assumed",
            Self::Setting => "index documents set to always",
        })
    }
}

impl fmt::Display for NotCached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disabled => f.write_str("not cached, because the distribution is disabled"),
            Self::OtherOrigins { bucket } => {
                write!(f, "not cached, because bucket {bucket} is not an origin")
            }
            Self::NoS3Origin {
                bucket,
                distribution,
            } => write!(
                f,
                "not cached, because no origin is in S3 and bucket {bucket} is an origin of {distribution}"
            ),
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
