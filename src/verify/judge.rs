//! The verdict on one response of the edge.
//!
//! The first of these that is known decides: the local file, the object of the origin, the newest completed invalidation of the
//! URL. A copy that is older than this invalidation is stale, whatever `X-Cache` shows: a miss at the POP can be answered
//! from a regional cache.
//!
//! Where evidence contradicts itself, or leads only possibly to this URL, it can make a verdict worse, never better.

mod reason;

use chrono::{DateTime, Utc};

pub use self::reason::Reason;
use super::{Answer, EdgeResponse, Verdict, ViewerAccess, strong_etag};
use crate::plan::ExistingInvalidation;

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
    /// How the content compares with the local file, if there is one.
    pub content: Option<ContentMatch>,
    /// What the origin has, if the URL certainly leads to it and it was read.
    pub origin: Option<&'a OriginObject>,
    /// What viewers get in place of an object that the origin does not have.
    pub fallback: Fallback<'a>,
    /// Whether the object is known to exist.
    pub existence: Existence,
    /// The newest completed invalidation that covers the URL.
    pub invalidation: Option<&'a ExistingInvalidation>,
    /// The newest one that covers it and is in progress, if it is newer than that.
    pub in_progress: Option<&'a ExistingInvalidation>,
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
    /// They differ, and the URL certainly leads to the file.
    Different,
    /// They differ, and the URL only possibly leads to the file.
    Other,
    /// They could not be compared, or the status is not 200.
    NotCompared,
}

/// Whether an object exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existence {
    /// It was written, or a local file shows that it should exist.
    Exists,
    /// It was deleted, and the URL certainly leads to it.
    Deleted,
    /// An object was deleted, and the URL only possibly leads to it.
    PossiblyDeleted,
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

/// The page that viewers get with a status of success in place of an error, as a single-page application has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback<'a> {
    /// There is none.
    None,
    /// The page with this ETag; `None` if that is not known.
    Page(Option<&'a str>),
    /// There is one, and viewers get such a page also if the origin fails. So it does not show that the object is missing.
    AlsoForFailures,
}

/// The verdict on a response, with its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// What decided it.
    pub reason: Reason,
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
        Answer::Response(response) => judge_response(response, evidence),
    };
    Judgement { verdict, reason }
}

fn judge_response(response: &EdgeResponse, evidence: &Evidence<'_>) -> (Verdict, Reason) {
    let status = response.status;
    match status {
        // Whatever it returns, it is not what a viewer with a signature gets.
        _ if evidence.signed.is_some() => {
            let path_pattern = evidence.signed.unwrap_or_default().to_owned();
            (Verdict::Unseen, Reason::Signed(path_pattern))
        }
        401 | 407 => (Verdict::Unseen, Reason::Authentication(status)),
        200..=399 | 403 | 404 | 410 if !response.is_from_cloudfront => {
            (Verdict::Unknown, Reason::NotFromCloudFront(status))
        }
        200..=499 if is_refusal(response, evidence) => {
            let by = evidence.access.possible_refusals();
            (Verdict::Unseen, Reason::Refused(status, by))
        }
        403 | 404 | 410 => error_of_origin(response, evidence),
        200..=399 => content(response, evidence),
        _ => (Verdict::Unseen, Reason::Failed(status)),
    }
}

/// Returns whether S3 answered CloudFront directly, without another cache between them.
fn is_from_s3(response: &EdgeResponse) -> bool {
    response.server.as_deref() == Some(S3) && response.proxies <= 1
}

/// Returns whether CloudFront refused the request before it looked into its cache, or possibly did. The refusal of AWS WAF
/// has any status, such as 202 for a challenge, and the custom error page for 403 can replace it.
///
/// Documentation: <https://docs.aws.amazon.com/waf/latest/APIReference/API_ChallengeAction.html>,
/// <https://docs.aws.amazon.com/waf/latest/developerguide/customizing-the-response-for-blocked-requests.html>
fn is_refusal(response: &EdgeResponse, evidence: &Evidence<'_>) -> bool {
    let (access, status) = (evidence.access, response.status);
    let is_own = response.server.as_deref() == Some(CLOUDFRONT) && response.age.is_none();
    let is_error = status >= 400 || response.cache_status() == Some("Error");
    response.is_from_waf
        || (is_own && (status == 403 || access.web_acl && !is_generated(response)))
        || (access.hides_refusals() && (is_error || is_fallback(response, evidence.fallback)))
}

/// Returns whether the response is the page that viewers get in place of an error.
fn is_fallback(response: &EdgeResponse, fallback: Fallback<'_>) -> bool {
    match fallback {
        Fallback::Page(Some(page)) => response.strong_etag() == Some(strong_etag(page)),
        Fallback::Page(None) | Fallback::AlsoForFailures | Fallback::None => false,
    }
}

/// Judges an error that the origin sent, or that is cached.
fn error_of_origin(response: &EdgeResponse, evidence: &Evidence<'_>) -> (Verdict, Reason) {
    let judged = by_invalidation(response, evidence);
    if judged.0 == Verdict::Stale || is_generated(response) {
        return judged;
    }
    let status = response.status;
    let gone = |is_deleted| {
        let reason = Reason::ErrorOfOrigin { status, is_deleted };
        (Verdict::Gone, reason)
    };
    match (evidence.existence, evidence.origin) {
        (Existence::MustBeGone | Existence::PossiblyDeleted, _)
        | (Existence::Deleted, None | Some(OriginObject::Missing)) => gone(true),
        (Existence::Exists, Some(OriginObject::Missing)) => {
            (Verdict::OldAtOrigin, Reason::NotAtOrigin)
        }
        (Existence::Unknown, Some(OriginObject::Missing)) => gone(false),
        // The error is newer than the object, so the bucket does not let CloudFront read it.
        (
            Existence::Unknown,
            Some(OriginObject::Found {
                modified: Some(modified),
                ..
            }),
        ) if status == 403 && !is_older(response, *modified, evidence.now) => {
            (Verdict::Unknown, Reason::ErrorInPlaceOfObject(status))
        }
        (_, Some(OriginObject::Found { .. })) | (Existence::Exists, None) => {
            (Verdict::Stale, Reason::ErrorInPlaceOfObject(status))
        }
        (Existence::Unknown, None) => (Verdict::Unknown, Reason::UnexpectedError(status)),
    }
}

/// Judges a response with content, or a redirect.
fn content(response: &EdgeResponse, evidence: &Evidence<'_>) -> (Verdict, Reason) {
    match evidence.content {
        Some(ContentMatch::Same) => return (Verdict::Fresh, Reason::SameAsLocalFile),
        Some(ContentMatch::Different) => return (Verdict::Stale, Reason::NotTheLocalFile),
        Some(ContentMatch::Other | ContentMatch::NotCompared) | None => {}
    }
    let judged = by_invalidation(response, evidence);
    if judged.0 != Verdict::Stale
        && response.status < 300
        && let Some(judged) = absent_object(response, evidence)
    {
        return judged;
    }
    let (verdict, reason) = by_origin(response, evidence, &judged).unwrap_or(judged);
    if verdict != Verdict::Fresh || reason == Reason::SameAsOrigin {
        return (verdict, reason);
    }
    // The copy is young, but it is possibly not the page.
    match doubt(response, evidence) {
        Some(doubt) => (Verdict::Unknown, doubt),
        None => (verdict, reason),
    }
}

/// Judges content in place of an object that does not exist, or must not.
fn absent_object(response: &EdgeResponse, evidence: &Evidence<'_>) -> Option<(Verdict, Reason)> {
    let (existence, status) = (evidence.existence, response.status);
    let is_found = matches!(evidence.origin, Some(OriginObject::Found { .. }));
    let is_missing = evidence.origin == Some(&OriginObject::Missing);
    let must_be_gone = existence == Existence::MustBeGone;
    let is_deleted = matches!(existence, Existence::Deleted | Existence::PossiblyDeleted);
    let is_absent = is_missing || must_be_gone || is_deleted && !is_found;
    if !is_absent || is_generated(response) {
        return None;
    }
    let is_error = response.cache_status() == Some("Error");
    let was_requested = matches!(response.cache_status(), Some("Miss" | "RefreshHit"));
    let is_cached = response.age.is_some() || !was_requested;
    let judged = match evidence.fallback {
        fallback if is_fallback(response, fallback) => match existence {
            Existence::Exists => (Verdict::OldAtOrigin, Reason::NotAtOrigin),
            Existence::Unknown => (Verdict::Fresh, Reason::CurrentErrorPage(status)),
            _ => (Verdict::Gone, Reason::ErrorPage(status)),
        },
        Fallback::Page(None) if is_error && (is_deleted || must_be_gone) => {
            (Verdict::Gone, Reason::ErrorPage(status))
        }
        Fallback::Page(None) | Fallback::AlsoForFailures => {
            (Verdict::Unknown, Reason::PossiblyErrorPage(status))
        }
        _ if is_error => (Verdict::Unknown, Reason::PossiblyErrorPage(status)),
        _ if is_missing && existence == Existence::Exists && !is_cached => {
            (Verdict::OldAtOrigin, Reason::NotAtOrigin)
        }
        _ if must_be_gone && !(is_missing && is_cached) => {
            (Verdict::OldAtOrigin, Reason::StillAtOrigin)
        }
        // CloudFront has just got it, or the URL possibly leads to another object.
        _ if !is_cached || existence == Existence::PossiblyDeleted => {
            (Verdict::Unknown, Reason::AnotherObject)
        }
        _ => (Verdict::Stale, Reason::DeletedButServed),
    };
    Some(judged)
}

/// Judges by the object of the origin. `judged` is the verdict by the invalidations.
fn by_origin(
    response: &EdgeResponse,
    evidence: &Evidence<'_>,
    judged: &(Verdict, Reason),
) -> Option<(Verdict, Reason)> {
    let (200, Some(OriginObject::Found { etag, modified })) = (response.status, evidence.origin)
    else {
        return None;
    };
    let is_before = modified.is_some_and(|modified| is_older(response, modified, evidence.now));
    match response.strong_etag() {
        // The object was written again after the copy, so the headers of the copy are possibly old.
        Some(own) if own == strong_etag(etag) && is_before && judged.0 == Verdict::Stale => None,
        Some(own) if own == strong_etag(etag) => Some((Verdict::Fresh, Reason::SameAsOrigin)),
        None if !is_before => None,
        _ => Some((Verdict::Stale, Reason::NotTheOriginsObject(*modified))),
    }
}

/// Returns why a young copy is possibly not the current version of the page.
fn doubt(response: &EdgeResponse, evidence: &Evidence<'_>) -> Option<Reason> {
    let status = response.status;
    let has_object = matches!(evidence.origin, Some(OriginObject::Found { .. }));
    match evidence.content {
        Some(_) if status != 200 => Some(Reason::StatusInPlaceOfObject(status)),
        Some(ContentMatch::Other) => Some(Reason::PossiblyNotTheLocalFile),
        Some(ContentMatch::NotCompared) => Some(Reason::NotCompared),
        _ if status >= 300
            && matches!(
                evidence.existence,
                Existence::Exists | Existence::MustBeGone
            ) =>
        {
            Some(Reason::StatusInPlaceOfObject(status))
        }
        _ if has_object && status != 200 => Some(Reason::StatusInPlaceOfObject(status)),
        _ if status < 300 && response.cache_status() == Some("Error") => {
            Some(Reason::PossiblyErrorPage(status))
        }
        _ => None,
    }
}

/// Returns whether the response is certainly older than `time`.
fn is_older(response: &EdgeResponse, time: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    let age = response.age.and_then(|age| i64::try_from(age).ok());
    age.is_some_and(|age| age > seconds_since(time, now).saturating_add(AGE_MARGIN_SECONDS))
}

/// Returns whether the response is certainly newer than `time`.
fn is_newer(response: &EdgeResponse, time: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    let age = response.age.and_then(|age| i64::try_from(age).ok());
    age.is_some_and(|age| age.saturating_add(AGE_MARGIN_SECONDS) < seconds_since(time, now))
}

fn seconds_since(time: DateTime<Utc>, now: DateTime<Utc>) -> i64 {
    (now - time).num_seconds().max(0)
}

/// Returns whether the edge generated the response for this request.
fn is_generated(response: &EdgeResponse) -> bool {
    let status = response.cache_status();
    status.is_some_and(|status| status.ends_with("GeneratedResponse") || status == "Redirect")
}

/// Judges a response by the newest completed invalidation of its URL.
fn by_invalidation(response: &EdgeResponse, evidence: &Evidence<'_>) -> (Verdict, Reason) {
    let x_cache = response.x_cache.clone().unwrap_or_default();
    if is_generated(response) {
        return (Verdict::Unknown, Reason::Generated(x_cache));
    }
    let in_progress = evidence.in_progress;
    let Some(invalidation) = evidence.invalidation else {
        let in_progress = in_progress.map(|invalidation| invalidation.id.clone());
        let reason = in_progress.map_or(Reason::NotCovered, Reason::InProgress);
        return (Verdict::Unknown, reason);
    };
    let id = invalidation.id.clone();
    let since = seconds_since(invalidation.created, evidence.now);
    match (response.age, response.cache_status()) {
        _ if response.has_invalid_age => (Verdict::Unknown, Reason::InvalidAge),
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
        // Here the margin counts against the copy, because this invalidation possibly drops it.
        (Some(age), _) => {
            match in_progress.filter(|newer| !is_newer(response, newer.created, evidence.now)) {
                Some(in_progress) => (Verdict::Unknown, Reason::InProgress(in_progress.id.clone())),
                None => (Verdict::Fresh, Reason::FetchedAfter(id, age, since)),
            }
        }
        (None, Some(status @ ("Miss" | "RefreshHit"))) => {
            (Verdict::Fresh, Reason::Requested(id, status.to_owned()))
        }
        (None, _) if x_cache.is_empty() => (Verdict::Unknown, Reason::NoCacheHeaders),
        (None, _) => (Verdict::Unknown, Reason::NoAge(x_cache)),
    }
}

#[cfg(test)]
mod tests;
