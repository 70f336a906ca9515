//! `VerificationOutput`: what viewers get, as a JSON object.
//!
//! Verdicts and reasons are those of the [`Report`]; whether old content fails a request is up to the caller.

use serde::Serialize;

use super::ErrorOutput;
use crate::distribution::DistributionId;
use crate::error::Category;
use crate::excerpt::{counted, thousands};
use crate::exit::Exit;
use crate::plan::InvalidationId;
use crate::verify::report::Verified;
use crate::verify::{AcceptEncoding, Answer, JudgedResponse, Reason, Report, UrlReport, Verdict};

/// The result of a verification.
#[derive(Clone, Debug, Serialize)]
pub struct VerificationOutput {
    urls: Vec<UrlOutput>,
    counts: CountsOutput,
    /// How many URLs were left out.
    left_out: usize,
    notes: Vec<String>,
}

/// How many URLs have each verdict.
#[derive(Clone, Debug, Serialize)]
struct CountsOutput {
    stale: usize,
    old_at_origin: usize,
    unknown: usize,
    unseen: usize,
    gone: usize,
    fresh: usize,
}

/// The verdict on a URL.
#[derive(Clone, Debug, Serialize)]
struct UrlOutput {
    distribution: DistributionId,
    url: String,
    /// The POP that was addressed.
    addressed: Option<String>,
    verdict: Verdict,
    reason: String,
    invalidation: Option<InvalidationId>,
    explanation: Vec<String>,
    responses: Vec<ResponseOutput>,
}

/// What the edge did with a request.
#[derive(Clone, Debug, Serialize)]
struct ResponseOutput {
    accept_encoding: AcceptEncoding,
    status: Option<u16>,
    x_cache: Option<String>,
    age: Option<u64>,
    etag: Option<String>,
    pop: Option<String>,
    verdict: Verdict,
    reason: String,
}

/// Returns how many URLs were requested, or how many results there are if some were requested at several POPs.
pub fn count(report: &Report) -> String {
    let is_addressed = report.urls.iter().any(|url| url.addressed.is_some());
    let noun = if is_addressed { "result" } else { "URL" };
    counted(report.urls.len(), noun)
}

/// Returns why a verification failed, with its exit code.
pub fn failure(report: &Report) -> Option<(Exit, ErrorOutput)> {
    match report.verified() {
        Verified::Yes => None,
        Verified::No => {
            let old: Vec<_> = report.old().collect();
            let first = old.first()?;
            let is_stale = |url: &&&UrlReport| url.judgement.verdict == Verdict::Stale;
            let what = match old.iter().filter(is_stale).count() {
                0 if first.judgement.reason == Reason::StillAtOrigin => {
                    "the origin still has the content of"
                }
                0 => "the origin does not have the current version of",
                _ => "viewers still get old content at",
            };
            let message = format!(
                "{what} {} of {}, such as {}: {}",
                thousands(old.len()),
                count(report),
                first.url,
                first.judgement.reason
            );
            let error = ErrorOutput::new(Category::Stale, message, None);
            Some((Exit::Stale, error))
        }
        Verified::Unknown => {
            let reason = match report.urls.first() {
                Some(url) => url.judgement.reason.to_string(),
                None if report.notes.is_empty() => "the site has none of the pages".to_owned(),
                None => report.notes.join("; "),
            };
            let message = format!("nothing could be verified: {reason}");
            let error = ErrorOutput::new(Category::Unavailable, message, None);
            Some((Exit::NotCompleted, error))
        }
    }
}

impl VerificationOutput {
    /// Creates the object of a report. `left_out` is the number of URLs that were not requested.
    pub fn new(report: Report, left_out: usize) -> Self {
        Self {
            counts: CountsOutput::from(&report),
            urls: report.urls.iter().map(UrlOutput::from).collect(),
            left_out,
            notes: report.notes,
        }
    }

    /// Returns whether all URLs are gone.
    pub fn is_gone(&self) -> bool {
        !self.urls.is_empty() && self.urls.iter().all(|url| url.verdict == Verdict::Gone)
    }
}

impl From<&Report> for CountsOutput {
    fn from(report: &Report) -> Self {
        Self {
            stale: report.count(Verdict::Stale),
            old_at_origin: report.count(Verdict::OldAtOrigin),
            unknown: report.count(Verdict::Unknown),
            unseen: report.count(Verdict::Unseen),
            gone: report.count(Verdict::Gone),
            fresh: report.count(Verdict::Fresh),
        }
    }
}

impl From<&UrlReport> for UrlOutput {
    fn from(url: &UrlReport) -> Self {
        Self {
            distribution: url.distribution.clone(),
            url: url.url.clone(),
            addressed: url.addressed.clone(),
            verdict: url.judgement.verdict,
            reason: url.judgement.reason.to_string(),
            invalidation: url.invalidation.clone(),
            explanation: url.explanation.clone(),
            responses: url.responses.iter().map(ResponseOutput::from).collect(),
        }
    }
}

impl From<&JudgedResponse> for ResponseOutput {
    fn from(judged: &JudgedResponse) -> Self {
        let response = match &judged.answer {
            Answer::Response(response) => Some(response.clone()),
            Answer::NoResponse(_) => None,
        };
        let status = response.as_ref().map(|response| response.status);
        let response = response.unwrap_or_default();
        Self {
            accept_encoding: judged.accept_encoding,
            status,
            x_cache: response.x_cache,
            age: response.age,
            etag: response.etag,
            pop: response.pop,
            verdict: judged.judgement.verdict,
            reason: judged.judgement.reason.to_string(),
        }
    }
}
