//! Judges whether viewers get the current version of a URL, from what the edge responds to them.
//!
//! CloudFront reports an invalidation as completed also if it names a path that nobody cached. Only a request of a viewer
//! shows whether the copy is gone. [`judge`](judge::judge) compares the response with what is known: the local file, the object
//! of the origin, the invalidations of the URL. A response is that of one cache, at one location, for one
//! `Accept-Encoding`: docs/verify.md lists what is proven and what is not.
//!
//! | module | contents |
//! |---|---|
//! | [`target`] | `RequestTarget`: what a viewer requests; the spellings of a key |
//! | [`sample`] | which URLs are requested if there are too many |
//! | [`covering`] | which invalidations cover a URL, and why others miss it |
//! | [`access`] | `ViewerAccess`: the domain names of a distribution, and what keeps viewers out |
//! | [`origin`] | `BucketObject`: the object that a URL certainly leads to; `BucketPrefix`: the objects of a wildcard |
//! | [`judge`](mod@judge) | the verdict on a response |
//! | [`run`] | from the responses of a run to its report |
//! | [`report`] | the verdicts of a run as a value and as text |
//!
//! Values in, values out: no clock, no environment, no SDK. `aws::edge` sends the requests.

pub mod access;
pub mod covering;
pub mod judge;
#[cfg(feature = "cli")]
pub mod origin;
pub mod report;
pub mod run;
pub mod sample;
pub mod target;

pub use access::ViewerAccess;
pub use judge::{Evidence, Judgement, Reason, judge};
pub use report::{JudgedResponse, Report, UrlReport};
pub use target::RequestTarget;

use serde::Serialize;

/// Which encodings of the content a request accepts. CloudFront keeps a copy for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum AcceptEncoding {
    /// Those of browsers.
    #[serde(rename = "gzip, br")]
    Compressed,
    /// None: the header is missing.
    #[serde(rename = "none")]
    Plain,
}

impl AcceptEncoding {
    /// The requests for each URL.
    pub const ALL: [Self; 2] = [Self::Compressed, Self::Plain];

    /// Returns the value of the header, if it is sent.
    pub fn header(self) -> Option<&'static str> {
        match self {
            Self::Compressed => Some("gzip, br"),
            Self::Plain => None,
        }
    }
}

/// The head of a response of the edge.
///
/// Headers: <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/RequestAndResponseBehaviorCustomOrigin.html>
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EdgeResponse {
    /// The HTTP status.
    pub status: u16,
    /// `X-Cache`, such as `Hit from cloudfront`.
    pub x_cache: Option<String>,
    /// `Age`, in seconds.
    pub age: Option<u64>,
    /// Whether there is an `Age` that is not a number.
    pub has_invalid_age: bool,
    /// `ETag` as it was sent.
    pub etag: Option<String>,
    /// `Server`.
    pub server: Option<String>,
    /// `X-Amz-Cf-Pop`, such as `FRA56-P4`.
    pub pop: Option<String>,
    /// Whether `X-Amz-Cf-Pop`, `X-Cache` or `Via` shows that CloudFront sent it.
    pub is_from_cloudfront: bool,
    /// Whether AWS WAF made the response: `x-amzn-waf-action`
    /// ([documentation](https://docs.aws.amazon.com/waf/latest/APIReference/API_ChallengeAction.html)).
    pub is_from_waf: bool,
    /// How many proxies `Via` names. CloudFront is one of them.
    pub proxies: usize,
    /// `Content-Encoding`.
    pub content_encoding: Option<String>,
    /// The tags in the distribution's cache tag header, in lower case.
    pub tags: Vec<String>,
}

impl EdgeResponse {
    /// Returns the ETag as its origin sent it: without quotes, and without the `W/` that CloudFront adds when it compresses
    /// ([documentation](https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/ServingCompressedFiles.html)).
    pub fn strong_etag(&self) -> Option<&str> {
        self.etag.as_deref().map(strong_etag)
    }

    /// Returns the word of `X-Cache` before ` from cloudfront`: `Hit`, `Miss`, `RefreshHit`, `Error`, …
    pub fn cache_status(&self) -> Option<&str> {
        self.x_cache.as_deref()?.strip_suffix(" from cloudfront")
    }
}

/// Returns an ETag without `W/` and quotes.
pub fn strong_etag(etag: &str) -> &str {
    let etag = etag.trim();
    etag.strip_prefix("W/").unwrap_or(etag).trim_matches('"')
}

/// What the edge did with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It responded.
    Response(EdgeResponse),
    /// No response, with the reason.
    NoResponse(String),
}

/// Whether viewers get the current version of a URL. The order is that of concern: of several verdicts, the greatest counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// They get the current version.
    Fresh,
    /// The object is deleted, and they get an error.
    Gone,
    /// The edge does not show its copy to this request, or does not respond.
    Unseen,
    /// The response proves nothing.
    Unknown,
    /// They get what the origin has, and that is not the current version.
    OldAtOrigin,
    /// They get an old copy of the edge.
    Stale,
}

impl Verdict {
    /// The verdicts, the most concerning one first.
    pub const ALL: [Self; 6] = [
        Self::Stale,
        Self::OldAtOrigin,
        Self::Unknown,
        Self::Unseen,
        Self::Gone,
        Self::Fresh,
    ];

    /// Returns the verdict as one word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Gone => "gone",
            Self::Unseen => "unseen",
            Self::Unknown => "unknown",
            Self::OldAtOrigin => "old-at-origin",
            Self::Stale => "stale",
        }
    }

    /// Returns whether viewers get an old version.
    pub fn is_old(self) -> bool {
        matches!(self, Self::Stale | Self::OldAtOrigin)
    }

    /// Returns whether the response shows what viewers get.
    pub fn is_judged(self) -> bool {
        !matches!(self, Self::Unknown | Self::Unseen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_etag_is_compared_without_its_weakness_and_quotes() {
        for (sent, expected) in [
            ("\"abc\"", "abc"),
            ("W/\"abc\"", "abc"),
            (" W/\"abc\" ", "abc"),
            ("abc", "abc"),
            ("W/", ""),
            ("", ""),
        ] {
            assert_eq!(strong_etag(sent), expected, "{sent}");
        }
    }

    #[test]
    fn the_verdicts_are_ordered_by_concern() {
        let mut sorted = Verdict::ALL;
        sorted.sort_by(|a, b| b.cmp(a));
        assert_eq!(sorted, Verdict::ALL);
    }
}
