//! `Serving`: what viewers can have cached of an object, and the words for it.
//!
//! The text of a [`Why`] names the object, as it is about one. That of a [`NotServed`] does not, as many objects share
//! it: "31 outside origin path /prod".

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::path::InvalidationPath;

/// What viewers can have cached of an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Serving {
    /// Copies under these paths.
    Served {
        /// Each once, the object's own first.
        paths: Vec<InvalidationPath>,
        /// Why there are more of them than the object's key tells.
        why: Vec<Why>,
    },
    /// Nothing: no viewer is sent to the object.
    NotServed(NotServed),
}

/// Why an object is cached under more than its own path; the text names the object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Why {
    /// It has other names.
    AlsoAt {
        /// The object's key.
        key: String,
        /// The other paths, not encoded.
        paths: Vec<String>,
        /// What gives it those names.
        because: Because,
    },
    /// It is what viewers get in place of an error, under whatever path.
    ErrorPage {
        /// The object's key.
        key: String,
        /// The origin's HTTP status.
        error_code: i32,
        /// The HTTP status that viewers get.
        response_code: Option<String>,
        /// How long it is kept.
        kept: Duration,
    },
    /// There is a copy for each query string.
    QueryStrings {
        /// The object's key.
        key: String,
        /// Whether that is known, or only to be feared.
        known: bool,
    },
}

/// What makes a path another name of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Because {
    /// The distribution names the object as its root.
    DefaultRootObject,
    /// The origin is a website endpoint of S3.
    WebsiteEndpoint,
    /// A function sees the requests.
    RequestFunction,
    /// [`IndexDocuments::Always`](super::IndexDocuments::Always).
    Setting,
}

/// Why no viewer gets an object from a distribution; the text goes with a number of objects, such as "2 outside …".
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum NotServed {
    /// The distribution answers nobody.
    Disabled,
    /// No origin is the bucket, as far as the origins' domain names tell.
    OtherOrigins {
        /// The bucket's name.
        bucket: String,
    },
    /// The key starts otherwise than the origin path of each origin that is the bucket.
    OutsideOriginPath {
        /// The origin paths.
        origin_paths: Vec<String>,
    },
    /// The object's path is another origin's.
    RoutedElsewhere {
        /// The path pattern that the object's path matches first; empty if it matches none.
        path_pattern: String,
        /// The origin or origin group that it leads to.
        target_origin_id: String,
    },
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlsoAt {
                key,
                paths,
                because,
            } => {
                write!(f, "{key} is also {} ({because})", paths.join(" and "))
            }
            Self::ErrorPage {
                key,
                error_code,
                response_code: Some(code),
                ..
            } if code.starts_with('2') => {
                write!(
                    f,
                    "{key} is shown with status {code} for {error_code}: widened to /*"
                )
            }
            Self::ErrorPage { key, kept, .. } => {
                let kept = kept.as_secs();
                write!(f, "{key} is an error page kept {kept} s: widened to /*")
            }
            Self::QueryStrings { key, known: true } => write!(f, "{key} is cached by query string"),
            Self::QueryStrings { key, known: false } => {
                write!(
                    f,
                    "{key} may be cached by query string (its cache policy cannot be read: allow cloudfront:GetCachePolicy)"
                )
            }
        }
    }
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DefaultRootObject => "default root object",
            Self::WebsiteEndpoint => "website endpoint",
            Self::RequestFunction => "function",
            Self::Setting => "by setting",
        })
    }
}

impl fmt::Display for NotServed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disabled => f.write_str("not served: the distribution is disabled"),
            Self::OtherOrigins { bucket } => write!(f, "not served: bucket {bucket} is no origin"),
            Self::OutsideOriginPath { origin_paths } => {
                write!(f, "outside origin path {}", origin_paths.join(" and "))
            }
            Self::RoutedElsewhere { path_pattern, .. } if path_pattern.is_empty() => {
                f.write_str("routed to no origin")
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
