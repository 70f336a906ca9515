//! From the responses of a run to its report.

use chrono::{DateTime, SecondsFormat, Utc};

use super::covering::{CachedUrl, Coverage, Covering};
use super::judge::{
    ContentMatch, Evidence, Existence, Fallback, OriginObject, has_age_of_origin, judge,
};
use super::report::most_concerning;
use super::{
    AcceptEncoding, Answer, JudgedResponse, Judgement, Reason, RequestTarget, UrlReport, Verdict,
    ViewerAccess,
};
use crate::distribution::DistributionId;
use crate::site::{CacheBehavior, QueryStrings, Site};

/// How many invalidations an explanation names.
const MAX_EXPLAINED: usize = 3;

/// A distribution whose URLs were requested.
#[derive(Clone, Copy, Debug)]
pub struct RequestedDistribution<'a> {
    /// Its id.
    pub id: &'a DistributionId,
    /// The host of the requests.
    pub host: &'a str,
    /// Its configuration, if it can be read.
    pub site: Option<&'a Site>,
    /// What keeps viewers out.
    pub access: &'a ViewerAccess,
    /// Its invalidations.
    pub coverage: &'a Coverage<'a>,
    /// What viewers get in place of a missing object.
    pub fallback: Fallback<'a>,
}

/// A URL that was requested.
#[derive(Clone, Debug)]
pub struct RequestedUrl {
    /// What was requested.
    pub target: RequestTarget,
    /// The POP that was addressed; `None` for the nearest one.
    pub addressed: Option<String>,
    /// Whether it is not known that the site has such a page. Without one, it has no report.
    pub is_guess: bool,
    /// Whether its object is known to exist.
    pub existence: Existence,
    /// What the origin has, if the URL certainly leads to it and it was read.
    pub origin: Option<OriginObject>,
    /// One for each request.
    pub responses: Vec<RequestedResponse>,
}

/// What the edge did with a request.
#[derive(Clone, Debug)]
pub struct RequestedResponse {
    /// What the request accepted.
    pub accept_encoding: AcceptEncoding,
    /// What the edge did.
    pub answer: Answer,
    /// When, by CloudFront's clock.
    pub received: DateTime<Utc>,
    /// The comparison with the local file, if there is one.
    pub content: Option<ContentMatch>,
}

impl RequestedDistribution<'_> {
    /// Judges the responses. A URL without responses has no report, and neither has a guess that leads to no page.
    pub fn judge(self, urls: Vec<RequestedUrl>) -> Vec<UrlReport> {
        let answers = urls.iter().flat_map(|url| &url.responses);
        let origin_sends_age = answers.map(|response| &response.answer).any(
            |answer| matches!(answer, Answer::Response(response) if has_age_of_origin(response)),
        );
        let reports = urls.into_iter();
        let reports = reports.filter_map(|url| self.judge_url(url, origin_sends_age));
        reports.collect()
    }

    fn judge_url(self, url: RequestedUrl, origin_sends_age: bool) -> Option<UrlReport> {
        let behavior = self.behavior(&url.target);
        let origin_paths = self.origin_paths();
        let cached = CachedUrl {
            target: &url.target,
            query_strings: behavior.map(|behavior| behavior.query_strings),
            origin_paths: &origin_paths,
            tags: &[],
        };
        let signed =
            behavior.filter(|behavior| self.access.signed.contains(&behavior.path_pattern));
        let evidence = Evidence {
            content: None,
            origin: url.origin.as_ref(),
            fallback: self.fallback,
            existence: url.existence,
            invalidation: None,
            in_progress: None,
            now: DateTime::UNIX_EPOCH,
            signed: signed.map(|behavior| behavior.path_pattern.as_str()),
            access: self.access,
            origin_sends_age,
        };
        let responses = url.responses.into_iter();
        let responses = responses.map(|response| self.judge_response(response, cached, evidence));
        let mut responses: Vec<_> = responses.collect();
        correct_contradictions(&mut responses);
        let judgement = most_concerning(&responses)?.clone();
        let is_error = matches!(
            judgement.reason,
            Reason::ErrorOfOrigin { .. }
                | Reason::UnexpectedError(_)
                | Reason::ErrorPage(_)
                | Reason::CurrentErrorPage(_)
        );
        if url.is_guess && is_error {
            return None;
        }
        let tags: Vec<_> = responses
            .iter()
            .flat_map(|response| tags(&response.answer))
            .cloned()
            .collect();
        let cached = CachedUrl {
            tags: &tags,
            ..cached
        };
        let explanation = if judgement.verdict == Verdict::Stale {
            self.explain(cached, url.origin.as_ref(), behavior)
        } else {
            Vec::new()
        };
        let invalidation = self.coverage.newest_completed(cached);
        Some(UrlReport {
            distribution: self.id.clone(),
            url: format!("https://{}{}", self.host, url.target.without_signature()),
            addressed: url.addressed,
            judgement,
            invalidation: invalidation.map(|invalidation| invalidation.id.clone()),
            responses,
            explanation,
        })
    }

    fn judge_response(
        self,
        response: RequestedResponse,
        cached: CachedUrl<'_>,
        evidence: Evidence<'_>,
    ) -> JudgedResponse {
        let tags = tags(&response.answer);
        let cached = CachedUrl { tags, ..cached };
        let newest = self.coverage.covering(cached).next();
        let newest = newest.map(|covering| covering.invalidation);
        let evidence = Evidence {
            content: response.content,
            invalidation: self.coverage.newest_completed(cached),
            in_progress: newest.filter(|invalidation| invalidation.is_in_progress()),
            now: response.received,
            ..evidence
        };
        JudgedResponse {
            judgement: judge(&response.answer, &evidence),
            accept_encoding: response.accept_encoding,
            answer: response.answer,
        }
    }

    fn behavior(&self, target: &RequestTarget) -> Option<&CacheBehavior> {
        self.site?.behavior_of_request(target.path())
    }

    fn origin_paths(&self) -> Vec<String> {
        let origins = self.site.map(|site| site.origins.as_slice());
        let origins = origins.unwrap_or_default().iter();
        origins.map(|origin| origin.origin_path.clone()).collect()
    }

    /// Returns what decides about the copies of a URL, and which invalidations covered or missed it.
    fn explain(
        self,
        url: CachedUrl<'_>,
        origin: Option<&OriginObject>,
        behavior: Option<&CacheBehavior>,
    ) -> Vec<String> {
        let mut explanation = Vec::new();
        if let Some(behavior) = behavior {
            let (path_pattern, cache_key) =
                (&behavior.path_pattern, cache_key(behavior.query_strings));
            explanation.push(format!("behavior {path_pattern}; cache key: {cache_key}"));
        }
        let modified = match origin {
            Some(OriginObject::Found { modified, .. }) => *modified,
            Some(OriginObject::Missing) | None => None,
        };
        let covering: Vec<_> = self.coverage.covering(url).collect();
        if covering.is_empty() {
            explanation.push("none of the newest invalidations covered it".to_owned());
        }
        let covered = covering.iter().take(MAX_EXPLAINED);
        explanation.extend(covered.map(|covering| covered_text(covering, modified)));
        let misses = self.coverage.misses(url).into_iter().take(MAX_EXPLAINED);
        explanation.extend(misses.map(|miss| miss.to_string()));
        explanation
    }
}

/// Makes a copy stale if the origin no longer has the object, as a later response of the origin shows.
fn correct_contradictions(responses: &mut [JudgedResponse]) {
    let age = |response: &JudgedResponse| match &response.answer {
        Answer::Response(response) => response.age.unwrap_or_default(),
        Answer::NoResponse(_) => 0,
    };
    let errors = responses.iter().filter_map(|response| {
        let (Reason::ErrorOfOrigin { status, .. } | Reason::UnexpectedError(status)) =
            &response.judgement.reason
        else {
            return None;
        };
        Some((age(response), *status))
    });
    let Some((error_age, status)) = errors.min() else {
        return;
    };
    let older = responses.iter_mut().filter(|response| {
        response.judgement.verdict == Verdict::Fresh && age(response) > error_age
    });
    for response in older {
        response.judgement = Judgement {
            verdict: Verdict::Stale,
            reason: Reason::GoneElsewhere(status),
        };
    }
}

fn tags(answer: &Answer) -> &[String] {
    match answer {
        Answer::Response(response) => &response.tags,
        Answer::NoResponse(_) => &[],
    }
}

fn cache_key(query_strings: QueryStrings) -> &'static str {
    match query_strings {
        QueryStrings::Ignored => "path and encoding, without the query string",
        QueryStrings::InCacheKey => "path, query string and encoding",
        QueryStrings::Denied | QueryStrings::Unreadable => {
            "path and encoding; the cache policy cannot be read, so possibly the query string too"
        }
    }
}

fn covered_text(covering: &Covering<'_>, modified: Option<DateTime<Utc>>) -> String {
    let Covering {
        invalidation,
        path,
        is_certain,
    } = covering;
    let time = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Secs, true);
    let (id, created) = (&invalidation.id, invalidation.created);
    let covered = if *is_certain {
        format!("{id} covered it with {path}")
    } else {
        format!("{id} possibly missed it with {path}, which is another spelling")
    };
    let too_early = modified.filter(|modified| *modified > created);
    let too_early = too_early.map(|modified| {
        let modified = time(modified);
        format!(", before the object was written ({modified})")
    });
    let status = if invalidation.is_in_progress() {
        ", and is in progress"
    } else {
        ""
    };
    let created = time(created);
    format!(
        "{covered}, created {created}{}{status}",
        too_early.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::SubmittedPath;
    use crate::plan::{ExistingInvalidation, InvalidationId, InvalidationStatus};
    use crate::verify::{EdgeResponse, Verdict};

    fn time(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).expect("a time")
    }

    fn invalidation(id: &str, created: i64, path: &str) -> ExistingInvalidation {
        ExistingInvalidation {
            id: InvalidationId::new(id),
            created: time(created),
            status: InvalidationStatus::Completed,
            caller_reference: String::new(),
            paths: vec![SubmittedPath::from(path.to_owned())],
        }
    }

    fn response(status: u16, x_cache: &str, age: Option<u64>) -> EdgeResponse {
        EdgeResponse {
            status,
            x_cache: Some(format!("{x_cache} from cloudfront")),
            age,
            is_from_cloudfront: true,
            ..EdgeResponse::default()
        }
    }

    /// Returns a URL that was requested in both encodings, 100 seconds after 1970.
    fn url(path: &str, responses: [EdgeResponse; 2]) -> RequestedUrl {
        let responses = AcceptEncoding::ALL.into_iter().zip(responses);
        let responses = responses.map(|(accept_encoding, response)| RequestedResponse {
            accept_encoding,
            answer: Answer::Response(response),
            received: time(100),
            content: None,
        });
        RequestedUrl {
            target: RequestTarget::of_written(path).expect("a target"),
            addressed: None,
            is_guess: false,
            existence: Existence::Unknown,
            origin: None,
            responses: responses.collect(),
        }
    }

    fn reports(invalidations: &[ExistingInvalidation], urls: Vec<RequestedUrl>) -> Vec<UrlReport> {
        let distribution = RequestedDistribution {
            id: &DistributionId::parse("E1EXAMPLE1ABC").expect("an id"),
            host: "www.example.com",
            site: None,
            access: &ViewerAccess::default(),
            coverage: &Coverage::new(invalidations),
            fallback: Fallback::None,
        };
        distribution.judge(urls)
    }

    fn verdicts(reports: &[UrlReport]) -> Vec<(&str, Verdict)> {
        let verdicts = reports.iter();
        verdicts
            .map(|report| (report.url.as_str(), report.judgement.verdict))
            .collect()
    }

    #[test]
    fn the_more_concerning_of_the_two_responses_counts() {
        let invalidations = [invalidation("I1", 90, "/*")];
        let [fresh, stale] = [Some(1), Some(60)].map(|age| response(200, "Hit", age));
        let reports = reports(
            &invalidations,
            vec![
                url("/a", [fresh.clone(), fresh.clone()]),
                url("/b", [fresh.clone(), stale]),
                url("/c", [response(503, "Error", None), fresh]),
            ],
        );
        assert_eq!(
            verdicts(&reports),
            [
                ("https://www.example.com/a", Verdict::Fresh),
                ("https://www.example.com/b", Verdict::Stale),
                ("https://www.example.com/c", Verdict::Unseen),
            ]
        );
        let explanation = ["I1 covered it with /*, created 1970-01-01T00:01:30Z"];
        assert_eq!(reports[1].explanation, explanation);
        assert_eq!(reports[0].explanation, [""; 0]);
    }

    #[test]
    fn a_guess_that_leads_to_no_page_has_no_report() {
        let invalidations = [invalidation("I1", 90, "/a")];
        let guess = |path: &str, status, age| RequestedUrl {
            is_guess: true,
            ..url(
                path,
                [status, status].map(|status| response(status, "Error", age)),
            )
        };
        let reports = reports(
            &invalidations,
            vec![
                guess("/a", 403, None),
                guess("/b", 404, None),
                guess("/c", 503, None),
                // An old error is a copy that the invalidation has not dropped.
                guess("/a", 404, Some(60)),
            ],
        );
        assert_eq!(
            verdicts(&reports),
            [
                ("https://www.example.com/c", Verdict::Unseen),
                ("https://www.example.com/a", Verdict::Stale),
            ]
        );
    }

    #[test]
    fn a_guess_that_leads_to_the_error_page_has_no_report() {
        let page = EdgeResponse {
            etag: Some("\"page\"".into()),
            ..response(200, "Error", Some(1))
        };
        let guess = |existence, origin| RequestedUrl {
            is_guess: true,
            existence,
            origin,
            ..url("/private/", [page.clone(), page.clone()])
        };
        let invalidations = [invalidation("I1", 90, "/*")];
        let distribution = RequestedDistribution {
            id: &DistributionId::parse("E1EXAMPLE1ABC").expect("an id"),
            host: "www.example.com",
            site: None,
            access: &ViewerAccess::default(),
            coverage: &Coverage::new(&invalidations),
            fallback: Fallback::Page(Some("\"page\"")),
        };
        let missing = Some(OriginObject::Missing);
        let must_be_gone = guess(Existence::MustBeGone, None);
        let reports = distribution.judge(vec![must_be_gone, guess(Existence::Unknown, missing)]);
        assert_eq!(reports, []);
    }

    #[test]
    fn a_copy_that_another_response_contradicts_is_stale() {
        let invalidations = [invalidation("I1", 90, "/*")];
        let error = || response(404, "Error", None);
        let reports = reports(
            &invalidations,
            vec![
                url("/a", [error(), response(200, "Hit", Some(1))]),
                url("/b", [error(), error()]),
                // The error is the old copy.
                url(
                    "/c",
                    [response(404, "Error", Some(4)), response(200, "Miss", None)],
                ),
            ],
        );
        assert_eq!(
            verdicts(&reports),
            [
                ("https://www.example.com/a", Verdict::Stale),
                ("https://www.example.com/b", Verdict::Unknown),
                ("https://www.example.com/c", Verdict::Unknown),
            ]
        );
        let reason = "viewers still get a copy, and the origin no longer has it (status 404)";
        assert_eq!(reports[0].judgement.reason.to_string(), reason);
    }

    #[test]
    fn a_path_in_another_spelling_is_explained() {
        let invalidations = [
            invalidation("I1", 90, "/a+b"),
            invalidation("I2", 80, "/a*"),
        ];
        let old = || response(200, "Hit", Some(60));
        let reports = reports(&invalidations, vec![url("/a%2Bb", [old(), old()])]);
        assert_eq!(
            reports[0].explanation,
            [
                "I1 possibly missed it with /a+b, which is another spelling, created 1970-01-01T00:01:30Z",
                "I2 covered it with /a*, created 1970-01-01T00:01:20Z",
            ]
        );
    }

    #[test]
    fn one_response_shows_that_the_origin_sends_age() {
        let invalidations = [invalidation("I1", 90, "/*")];
        let hit = || {
            url(
                "/a",
                [Some(60), Some(60)].map(|age| response(200, "Hit", age)),
            )
        };
        let miss = url("/b", [Some(50), None].map(|age| response(200, "Miss", age)));
        let before = reports(&invalidations, vec![hit()]);
        assert_eq!(before[0].judgement.verdict, Verdict::Stale);
        let reports = reports(&invalidations, vec![hit(), miss]);
        assert_eq!(
            verdicts(&reports),
            [
                ("https://www.example.com/a", Verdict::Unknown),
                ("https://www.example.com/b", Verdict::Unknown),
            ]
        );
    }

    #[test]
    fn a_tag_of_the_response_decides_which_invalidation_covers_it() {
        let invalidations = [invalidation("I1", 90, "#release")];
        let tagged = |tags: &[&str]| EdgeResponse {
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            ..response(200, "Hit", Some(60))
        };
        let responses = |tags| [tagged(tags), tagged(tags)];
        let reports = reports(
            &invalidations,
            vec![
                url("/a", responses(&["release"])),
                url("/b", responses(&["other"])),
            ],
        );
        assert_eq!(
            verdicts(&reports),
            [
                ("https://www.example.com/a", Verdict::Stale),
                ("https://www.example.com/b", Verdict::Unknown),
            ]
        );
        assert_eq!(reports[0].invalidation, Some(InvalidationId::new("I1")));
        assert_eq!(reports[1].invalidation, None);
    }
}
