//! The requests for the URLs of a distribution.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::contents::{self, ExpectedContent};
use super::distribution::Known;
use crate::aws::edge::{EdgeClient, in_turn};
use crate::aws::s3::HeadObject;
use crate::verify::judge::Existence;
use crate::verify::run::{RequestedResponse, RequestedUrl};
use crate::verify::sample::Candidate;
use crate::verify::{AcceptEncoding, Answer, Judgement, Reason, UrlReport, Verdict};

/// How long a request may take with its content.
const MAX_CONTENT_TIME: Duration = Duration::from_secs(60);

/// After how many requests without any response the others are not sent.
const MAX_FAILURES: usize = 8;

/// A location at which the edge is requested.
pub(super) struct Location {
    /// The POP that is addressed; `None` for the nearest one.
    pub addressed: Option<String>,
    pub client: Arc<EdgeClient>,
}

/// A URL to request, with what is known about it.
pub(super) struct Planned<'a> {
    pub candidate: &'a Candidate,
    pub existence: Existence,
    pub expected: Option<ExpectedContent>,
    pub origin: Option<HeadObject>,
}

impl Planned<'_> {
    /// Returns why the URL is not requested: the origin does not have the current version, or still has what has to be gone. A
    /// request would only store that at the edge.
    pub(super) fn origin_reason(&self) -> Option<Reason> {
        let origin = self.origin.as_ref()?;
        if self.existence == Existence::MustBeGone {
            return matches!(origin, HeadObject::Found(_)).then_some(Reason::StillAtOrigin);
        }
        let expected = self
            .expected
            .as_ref()
            .filter(|expected| expected.is_certain)?;
        match origin {
            HeadObject::Missing => Some(Reason::NotAtOrigin),
            HeadObject::Found(_) => (expected.file.differs_from(origin) == Some(true))
                .then_some(Reason::OriginNotTheLocalFile),
        }
    }

    /// Returns the report on a URL that is not requested, because the origin does not have the local file.
    pub(super) fn old_at_origin(&self, known: &Known<'_>) -> Option<UrlReport> {
        Some(UrlReport {
            distribution: known.target.id.clone(),
            url: format!(
                "https://{}{}",
                known.host,
                self.candidate.target.without_signature()
            ),
            addressed: None,
            judgement: Judgement {
                verdict: Verdict::OldAtOrigin,
                reason: self.origin_reason()?,
            },
            invalidation: None,
            responses: Vec::new(),
            explanation: Vec::new(),
        })
    }
}

/// A URL at a location.
#[derive(Clone, Copy)]
struct Request<'a> {
    host: &'a str,
    planned: &'a Planned<'a>,
    client: &'a EdgeClient,
    tag_header: Option<&'a str>,
    failures: &'a Failures,
}

/// The requests to a location that got no response.
#[derive(Debug, Default)]
struct Failures {
    count: AtomicUsize,
    has_response: AtomicBool,
}

impl Failures {
    /// Returns whether the location certainly does not respond, so that many requests would only take long.
    fn are_enough(&self) -> bool {
        let count = self.count.load(Ordering::Relaxed);
        count >= MAX_FAILURES && !self.has_response.load(Ordering::Relaxed)
    }

    fn add(&self, is_response: bool) {
        if is_response {
            self.has_response.store(true, Ordering::Relaxed);
        } else {
            self.count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Request<'_> {
    /// Requests the URL, and compares the content with the local file. The text is why they could not be compared.
    async fn send(
        self,
        accept_encoding: AcceptEncoding,
        now: &impl AsyncFn() -> DateTime<Utc>,
    ) -> (RequestedResponse, Option<String>) {
        let deadline = Instant::now() + MAX_CONTENT_TIME;
        let target = &self.planned.candidate.target;
        let content = if self.failures.are_enough() {
            Err("not requested, because earlier requests got no response".to_owned())
        } else {
            let (client, tag_header) = (self.client, self.tag_header);
            client
                .get(self.host, target, accept_encoding, tag_header, deadline)
                .await
        };
        self.failures.add(content.is_ok());
        let received = now().await;
        let (answer, content, reason) = match content {
            Ok(content) => {
                contents::compare(content, self.planned.expected.as_ref(), deadline).await
            }
            Err(reason) => (Answer::NoResponse(reason), None, None),
        };
        let note =
            reason.map(|reason| format!("{target} is not compared with the local file: {reason}"));
        let response = RequestedResponse {
            accept_encoding,
            answer,
            received,
            content,
        };
        (response, note)
    }
}

/// Requests each URL at each location in each encoding.
pub(super) async fn request(
    known: &Known<'_>,
    planned: &[Planned<'_>],
    locations: &[Location],
    now: impl AsyncFn() -> DateTime<Utc>,
    notes: &mut Vec<String>,
) -> Vec<RequestedUrl> {
    let tag_header = known
        .site()
        .and_then(|site| site.features.cache_tag_header.as_deref());
    let failures: Vec<_> = locations.iter().map(|_| Failures::default()).collect();
    let (now, mut requests) = (&now, Vec::new());
    for (location, failures) in locations.iter().zip(&failures) {
        for planned in planned {
            let request = Request {
                host: &known.host,
                planned,
                client: &location.client,
                tag_header,
                failures,
            };
            requests.extend(AcceptEncoding::ALL.map(|encoding| request.send(encoding, now)));
        }
    }
    let mut responses = in_turn(requests).await.into_iter();
    let mut urls = Vec::new();
    for location in locations {
        for planned in planned {
            let own = responses.by_ref().take(AcceptEncoding::ALL.len());
            let (responses, own_notes): (Vec<_>, Vec<_>) = own.unzip();
            notes.extend(own_notes.into_iter().flatten());
            urls.push(RequestedUrl {
                target: planned.candidate.target.clone(),
                addressed: location.addressed.clone(),
                is_guess: planned.candidate.is_guess,
                existence: planned.existence,
                origin: planned.origin.as_ref().map(HeadObject::origin_object),
                responses,
            });
        }
    }
    urls
}
