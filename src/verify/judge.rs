//! The verdict on one response of the edge.
//!
//! The first of these that is known decides: the local file, the object of the origin, the newest completed invalidation of the
//! URL. A copy that is older than this invalidation is stale, whatever `X-Cache` shows: a miss at the POP can be answered
//! from a regional cache.

use std::fmt;

use chrono::{DateTime, Utc};

use super::{Answer, EdgeResponse, Verdict, ViewerAccess, strong_etag};
use crate::plan::{ExistingInvalidation, InvalidationId};

/// How much older than an invalidation a copy has to seem before it counts as older: clocks differ, and `Age` and the
/// time of a response are whole seconds.
pub const AGE_MARGIN_SECONDS: i64 = 5;

/// The `Server` of responses that CloudFront makes itself.
const CLOUDFRONT: &str = "CloudFront";

/// The `Server` of S3, which never sends `Age`.
const S3: &str = "AmazonS3";

/// What is known about a URL, apart from the response.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// Whether the content is that of the local file, if the URL certainly leads to one and the contents were compared.
    pub content: Option<ContentMatch>,
    /// What the origin has, if the URL certainly leads to it and it was read.
    pub origin: Option<&'a OriginObject>,
    /// Whether the object is known to exist.
    pub existence: Existence,
    /// The newest completed invalidation that covers the URL.
    pub invalidation: Option<&'a ExistingInvalidation>,
    /// When the response arrived, by CloudFront's clock.
    pub now: DateTime<Utc>,
    /// The path pattern of the behavior, if that requires signed URLs or cookies.
    pub signed: Option<&'a str>,
    /// What keeps viewers out.
    pub access: &'a ViewerAccess,
    /// Whether an origin of the distribution that is not S3 sends `Age` itself: see [`has_age_of_origin`].
    pub origin_sends_age: bool,
}

/// The comparison of a response's content with a local file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentMatch {
    /// They are equal.
    Same,
    /// They differ.
    Different,
}

/// Whether an object exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existence {
    /// It was written, or a local file shows that it should exist.
    Exists,
    /// It was deleted.
    Deleted,
    /// It is to be removed from the edge, and must not be served any longer.
    MustBeGone,
    /// Unknown.
    Unknown,
}

/// What the origin has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OriginObject {
    /// The object.
    Found {
        /// Its ETag, as the origin sends it.
        etag: String,
        /// When it was written.
        modified: Option<DateTime<Utc>>,
    },
    /// It does not have it.
    Missing,
}

/// The verdict on a response, with its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// What decided it.
    pub reason: Reason,
}

/// What decided a verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The content is that of the local file.
    SameAsLocalFile,
    /// It is not.
    NotTheLocalFile,
    /// The object of the origin is not the local file.
    OriginNotTheLocalFile,
    /// The origin does not have the local file.
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
    /// The origin answered with this status.
    ErrorOfOrigin(u16),
    /// The origin answered with this status, and nothing is known about the object.
    UnexpectedError(u16),
    /// The edge answers with this status although the object exists.
    ErrorInPlaceOfObject(u16),
    /// The content is to be removed, and the origin still has it.
    StillAtOrigin,
    /// No completed invalidation covers the URL.
    NotCovered,
    /// There is neither `X-Cache` nor `Age`.
    NoCacheHeaders,
    /// `X-Cache` has this value, and there is no `Age`.
    NoAge(String),
    /// The origin sends `Age` itself.
    OriginSendsAge,
    /// The response was generated at the edge, for this request; `X-Cache`.
    Generated(String),
    /// There is no response; why.
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

/// Returns whether a response shows that its origin sends `Age` itself: it has an age although CloudFront has just requested
/// it, or there is another cache before CloudFront. S3 sends none, so there the age is that of a copy in a regional cache.
pub fn has_age_of_origin(response: &EdgeResponse) -> bool {
    let is_new = response.cache_status() == Some("Miss");
    response.age.is_some() && !is_from_s3(response) && (is_new || response.proxies > 1)
}

/// Judges a response.
pub fn judge(answer: &Answer, evidence: &Evidence<'_>) -> Judgement {
    let (verdict, reason) = match answer {
        Answer::NoResponse(reason) => (Verdict::Unseen, Reason::NoResponse(reason.clone())),
        Answer::Response(response) => match response.status {
            401 | 407 => (Verdict::Unseen, Reason::Authentication(response.status)),
            403 if is_refusal(response) => refused(response.status, evidence),
            403 | 404 | 410 => error_of_origin(response, evidence),
            200..=399 => content(response, evidence),
            status => (Verdict::Unseen, Reason::Failed(status)),
        },
    };
    Judgement { verdict, reason }
}

fn is_from_s3(response: &EdgeResponse) -> bool {
    response.server.as_deref() == Some(S3)
}

/// Returns whether CloudFront refused the request before it looked into its cache.
fn is_refusal(response: &EdgeResponse) -> bool {
    response.server.as_deref() == Some(CLOUDFRONT) && response.age.is_none()
}

fn refused(status: u16, evidence: &Evidence<'_>) -> (Verdict, Reason) {
    let reason = match evidence.signed {
        Some(path_pattern) => Reason::Signed(path_pattern.to_owned()),
        None => Reason::Refused(status, evidence.access.possible_refusals()),
    };
    (Verdict::Unseen, reason)
}

/// Judges an error that the origin sent, or that is cached.
fn error_of_origin(response: &EdgeResponse, evidence: &Evidence<'_>) -> (Verdict, Reason) {
    if let (Verdict::Stale, reason) = by_invalidation(response, evidence) {
        return (Verdict::Stale, reason);
    }
    // A server that is not behind CloudFront, which the host can still lead to.
    if response.x_cache.is_none() && response.age.is_none() && response.pop.is_none() {
        return (Verdict::Unknown, Reason::NoCacheHeaders);
    }
    let status = response.status;
    match (evidence.existence, evidence.origin, evidence.invalidation) {
        (Existence::MustBeGone | Existence::Deleted, None, _)
        | (Existence::MustBeGone, Some(_), _)
        | (_, Some(OriginObject::Missing), _)
        // The owner invalidated it, and the origin no longer has it.
        | (Existence::Unknown, None, Some(_)) => (Verdict::Gone, Reason::ErrorOfOrigin(status)),
        (Existence::Unknown, None, None) => (Verdict::Unknown, Reason::UnexpectedError(status)),
        (_, Some(OriginObject::Found { .. }), _) | (Existence::Exists, None, _) => {
            (Verdict::Stale, Reason::ErrorInPlaceOfObject(status))
        }
    }
}

/// Judges a response with content, or a redirect.
fn content(response: &EdgeResponse, evidence: &Evidence<'_>) -> (Verdict, Reason) {
    match evidence.content {
        Some(ContentMatch::Same) => return (Verdict::Fresh, Reason::SameAsLocalFile),
        Some(ContentMatch::Different) => return (Verdict::Stale, Reason::NotTheLocalFile),
        None => {}
    }
    let judged = by_invalidation(response, evidence);
    if evidence.existence == Existence::MustBeGone && response.status < 300 {
        return match judged {
            (Verdict::Stale, reason) => (Verdict::Stale, reason),
            _ => (Verdict::OldAtOrigin, Reason::StillAtOrigin),
        };
    }
    if let (200, Some(OriginObject::Found { etag, modified })) = (response.status, evidence.origin)
    {
        let is_older = |modified: DateTime<Utc>| is_older(response, modified, evidence.now);
        let differs = Reason::NotTheOriginsObject(*modified);
        match response.strong_etag() {
            Some(own) if own == strong_etag(etag) => return (Verdict::Fresh, Reason::SameAsOrigin),
            Some(_) => return (Verdict::Stale, differs),
            None if modified.is_some_and(is_older) => return (Verdict::Stale, differs),
            None => {}
        }
    }
    judged
}

/// Returns whether the response is certainly older than `time`.
fn is_older(response: &EdgeResponse, time: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    let age = response.age.and_then(|age| i64::try_from(age).ok());
    let since = (now - time).num_seconds().max(0);
    age.is_some_and(|age| age > since.saturating_add(AGE_MARGIN_SECONDS))
}

/// Judges a response by the newest completed invalidation of its URL.
fn by_invalidation(response: &EdgeResponse, evidence: &Evidence<'_>) -> (Verdict, Reason) {
    let x_cache = response.x_cache.clone();
    if let (Some(x_cache), Some(status)) = (&x_cache, response.cache_status())
        && (status.ends_with("GeneratedResponse") || status == "Redirect")
    {
        return (Verdict::Unknown, Reason::Generated(x_cache.clone()));
    }
    let Some(invalidation) = evidence.invalidation else {
        return (Verdict::Unknown, Reason::NotCovered);
    };
    let id = invalidation.id.clone();
    let since = (evidence.now - invalidation.created).num_seconds().max(0);
    match (response.age, response.cache_status()) {
        (Some(_), _) if evidence.origin_sends_age && !is_from_s3(response) => {
            (Verdict::Unknown, Reason::OriginSendsAge)
        }
        (Some(age), _) if is_older(response, invalidation.created, evidence.now) => {
            let is_certain = is_from_s3(response);
            let reason = Reason::OlderThan {
                id,
                age,
                since,
                is_certain,
            };
            (Verdict::Stale, reason)
        }
        (Some(age), _) => (Verdict::Fresh, Reason::FetchedAfter(id, age, since)),
        (None, Some(status @ ("Miss" | "RefreshHit"))) => {
            (Verdict::Fresh, Reason::Requested(id, status.to_owned()))
        }
        (None, _) => match x_cache {
            Some(x_cache) => (Verdict::Unknown, Reason::NoAge(x_cache)),
            None => (Verdict::Unknown, Reason::NoCacheHeaders),
        },
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SameAsLocalFile => f.write_str("it is the local file"),
            Self::NotTheLocalFile => f.write_str("it is not the local file"),
            Self::OriginNotTheLocalFile => {
                f.write_str("the object in the bucket is not the local file: upload it first")
            }
            Self::NotAtOrigin => {
                f.write_str("the bucket does not have the local file: upload it first")
            }
            Self::SameAsOrigin => f.write_str("it is the object in the bucket"),
            Self::NotTheOriginsObject(None) => f.write_str("it is not the object in the bucket"),
            Self::NotTheOriginsObject(Some(modified)) => write!(
                f,
                "it is not the object in the bucket, which was written at {}",
                modified.format("%Y-%m-%dT%H:%M:%SZ")
            ),
            Self::FetchedAfter(id, age, since) => {
                write!(f, "the copy is {age} s old, {id} was created {since} s ago")
            }
            Self::OlderThan {
                id,
                age,
                since,
                is_certain,
            } => {
                write!(
                    f,
                    "the copy is {age} s old, but {id} was created {since} s ago"
                )?;
                f.write_str(if *is_certain {
                    ""
                } else {
                    " (unless the origin sends Age itself)"
                })
            }
            Self::Requested(id, status) => {
                write!(f, "CloudFront asked the origin ({status}) after {id}")
            }
            Self::ErrorOfOrigin(status) => write!(f, "status {status}"),
            Self::UnexpectedError(status) => write!(
                f,
                "status {status}, and it is not known whether the object was deleted"
            ),
            Self::ErrorInPlaceOfObject(status) => {
                write!(f, "status {status} in place of the object")
            }
            Self::StillAtOrigin => {
                f.write_str("the origin still has it: delete it there, then take it down again")
            }
            Self::NotCovered => f.write_str("no completed invalidation covers it"),
            Self::NoCacheHeaders => f.write_str("the response has neither X-Cache nor Age"),
            Self::NoAge(x_cache) => write!(f, "the response has no Age ({x_cache})"),
            Self::OriginSendsAge => {
                f.write_str("the origin sends Age itself, so the age of the copy is unknown")
            }
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
            Self::Authentication(status) => {
                write!(f, "the site requires authentication (status {status})")
            }
            Self::Failed(status) => write!(f, "the request failed with status {status}"),
        }
    }
}

#[cfg(test)]
mod tests;
