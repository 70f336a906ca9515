//! `Reason`: what decided a verdict, as a value and as text.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};

use crate::plan::InvalidationId;

/// What decided a verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The content is that of the local file.
    SameAsLocalFile,
    /// It is not.
    NotTheLocalFile,
    /// It is not, and the URL only possibly leads to the local file.
    PossiblyNotTheLocalFile,
    /// The content could not be compared with the local file.
    NotCompared,
    /// The object of the origin is not the local file.
    OriginNotTheLocalFile,
    /// The origin does not have an object that was written, or a local file.
    NotAtOrigin,
    /// The ETag is that of the origin's object.
    SameAsOrigin,
    /// It is not. When the object was written, if that is known.
    NotTheOriginsObject(Option<DateTime<Utc>>),
    /// The copy is this many seconds old, and the invalidation was created this many seconds ago.
    FetchedAfter(InvalidationId, u64, i64),
    /// The copy is older than the invalidation.
    OlderThan {
        /// The invalidation.
        id: InvalidationId,
        /// How many seconds old the copy is.
        age: u64,
        /// How many seconds ago the invalidation was created.
        since: i64,
        /// Whether the origin certainly sends no `Age` itself.
        is_certain: bool,
    },
    /// CloudFront asked the origin after the invalidation; the word of `X-Cache`.
    Requested(InvalidationId, String),
    /// This invalidation covers the URL and is in progress.
    InProgress(InvalidationId),
    /// The origin answered with an error.
    ErrorOfOrigin {
        /// The status.
        status: u16,
        /// Whether the object is known to be deleted, or has to be. Otherwise there possibly never was one.
        is_deleted: bool,
    },
    /// The object does not exist, and viewers get the error page with this status.
    ErrorPage(u16),
    /// The bucket does not have the object, and viewers get the current error page, which has this status.
    CurrentErrorPage(u16),
    /// This is possibly the error page, which has this status.
    PossiblyErrorPage(u16),
    /// The object is deleted, and viewers still get a copy.
    DeletedButServed,
    /// The origin answered another request with this status, and viewers still get a copy.
    GoneElsewhere(u16),
    /// The object does not exist or was deleted, and the origin returned something else.
    AnotherObject,
    /// The origin answered with this status, and nothing is known about the object.
    UnexpectedError(u16),
    /// The edge answers with this error although the object exists.
    ErrorInPlaceOfObject(u16),
    /// The edge answers with this status, such as that of a redirect, although the object exists.
    StatusInPlaceOfObject(u16),
    /// The content is to be removed, and the origin still has it.
    StillAtOrigin,
    /// No completed invalidation covers the URL.
    NotCovered,
    /// There is neither `X-Cache` nor `Age`.
    NoCacheHeaders,
    /// No header is CloudFront's; the status.
    NotFromCloudFront(u16),
    /// `X-Cache` has this value, and there is no `Age`.
    NoAge(String),
    /// `Age` is not a number.
    InvalidAge,
    /// The origin sends `Age` itself.
    OriginSendsAge,
    /// The response was generated at the edge, for this request; `X-Cache`.
    Generated(String),
    /// No response, with the reason.
    NoResponse(String),
    /// The behavior with this path pattern requires signed URLs or cookies.
    Signed(String),
    /// CloudFront refused the request with this status before its cache; by what, possibly.
    Refused(u16, String),
    /// The status requires authentication.
    Authentication(u16),
    /// The edge or the origin failed with this status.
    Failed(u16),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotTheOriginsObject(Some(modified)) => {
                let modified = modified.to_rfc3339_opts(SecondsFormat::Secs, true);
                write!(
                    f,
                    "it is not the object in the bucket, which was written at {modified}"
                )
            }
            Self::FetchedAfter(id, age, since) => {
                write!(f, "the copy is {age} s old, {id} was created {since} s ago")
            }
            Self::OlderThan {
                id,
                age,
                since,
                is_certain,
            } => {
                let unless = if *is_certain {
                    ""
                } else {
                    " (unless the origin sends Age itself)"
                };
                write!(
                    f,
                    "the copy is {age} s old, but {id} was created {since} s ago{unless}"
                )
            }
            Self::Requested(id, status) => {
                write!(f, "CloudFront asked the origin ({status}) after {id}")
            }
            Self::InProgress(id) => {
                write!(f, "{id} is in progress: verify again when it is completed")
            }
            Self::NoAge(x_cache) => write!(f, "the response has no Age ({x_cache})"),
            Self::Generated(x_cache) => write!(
                f,
                "the edge generated the response for this request ({x_cache})"
            ),
            Self::NoResponse(reason) => write!(f, "no response: {reason}"),
            Self::Signed(path_pattern) => write!(
                f,
                "the behavior {path_pattern} requires signed URLs or cookies"
            ),
            Self::Refused(status, by) => write!(
                f,
                "CloudFront refused the request before its cache (status {status}; possibly {by})"
            ),
            other => match other.with_status() {
                Some((text, status)) => write!(f, "{text} (status {status})"),
                None => f.write_str(other.fixed_text()),
            },
        }
    }
}

impl Reason {
    /// Returns the text of a reason that names only a status, and the status.
    fn with_status(&self) -> Option<(&'static str, u16)> {
        Some(match self {
            Self::ErrorOfOrigin {
                status,
                is_deleted: true,
            } => ("deleted", *status),
            Self::ErrorOfOrigin { status, .. } => ("the bucket does not have it either", *status),
            Self::ErrorPage(status) => ("deleted: viewers get the error page", *status),
            Self::CurrentErrorPage(status) => (
                "the bucket does not have it, and viewers get the current error page",
                *status,
            ),
            Self::PossiblyErrorPage(status) => ("it is possibly the error page", *status),
            Self::GoneElsewhere(status) => (
                "viewers still get a copy, and the origin no longer has it",
                *status,
            ),
            Self::UnexpectedError(status) => (
                "an error, and it is not known whether the object was deleted",
                *status,
            ),
            Self::ErrorInPlaceOfObject(status) => ("an error in place of the object", *status),
            Self::StatusInPlaceOfObject(status) => {
                ("another response in place of the object", *status)
            }
            Self::NotFromCloudFront(status) => ("the response is not from CloudFront", *status),
            Self::Authentication(status) => ("the site requires authentication", *status),
            Self::Failed(status) => ("the request failed", *status),
            _ => return None,
        })
    }

    fn fixed_text(&self) -> &'static str {
        match self {
            Self::SameAsLocalFile => "it is the local file",
            Self::NotTheLocalFile => "it is not the local file",
            Self::PossiblyNotTheLocalFile => {
                "it is not the local file, to which the configuration leads only possibly"
            }
            Self::NotCompared => "it could not be compared with the local file",
            Self::OriginNotTheLocalFile => {
                "the object in the bucket is not the local file: upload it first"
            }
            Self::NotAtOrigin => "the bucket does not have it: upload it first",
            Self::SameAsOrigin => "it is the object in the bucket",
            Self::NotTheOriginsObject(_) => "it is not the object in the bucket",
            Self::DeletedButServed => "the object is deleted, but viewers still get a copy",
            Self::AnotherObject => {
                "the object is missing or deleted, but the origin has returned something else there"
            }
            Self::StillAtOrigin => {
                "the origin still has an object there: delete it and take it down again, unless it is a replacement"
            }
            Self::NotCovered => "none of the newest completed invalidations covers it",
            Self::InvalidAge => "the Age of the response is not a number",
            Self::NoCacheHeaders => "the response has neither X-Cache nor Age",
            Self::OriginSendsAge => {
                "the origin sends Age itself, so the age of the copy is unknown"
            }
            _ => "",
        }
    }
}
