//! Verifies the invalidations of a pipeline job or a direct invocation: requests URLs as a viewer does once all are
//! completed, and judges the responses. URLs that a person names are judged by the newest invalidations that cover them.
//!
//! A verification that cannot be done is not a failure: the reason is a note, also after a panic. It ends before the end of
//! the calls, so that time remains to respond. Only old content is a failure, if `onStale` is `fail`. The verdicts do not
//! fit into a continuation token, so a job verifies only if it ends afterwards.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{join, join_all, try_join};
use futures_util::{Stream, StreamExt, stream};
use tokio::time::{Instant, timeout_at};
use tracing::warn;

use super::progress::{Progress, Stage};
use super::{Invalidator, guarded, half_way};
use crate::aws::cloudfront::SiteReader;
use crate::aws::edge::{EdgeClient, EdgeContent, in_turn};
use crate::distribution::DistributionId;
use crate::error::{Error, ErrorKind};
use crate::excerpt::{Excerpt, MAX_NOTED};
use crate::invocation::Invocation;
use crate::metrics::Metric;
use crate::outcome::Verification;
use crate::path::{EncodedPaths, InvalidationPath};
use crate::plan::{ExistingInvalidation, InvalidationId, InvalidationStatus};
use crate::site::Site;
use crate::trigger::request::Verify;
use crate::verify::covering::Coverage;
use crate::verify::judge::{Existence, Fallback};
use crate::verify::report::wildcards_without_urls;
use crate::verify::run::{RequestedDistribution, RequestedResponse, RequestedUrl};
use crate::verify::sample::{Candidate, MAX_URLS_OF_FUNCTION, Sample};
use crate::verify::{AcceptEncoding, Answer, Report, UrlReport, Verdict, ViewerAccess};

/// How much time a verification needs. With less, the next job verifies, and a direct invocation has a warning.
const MIN_TIME: Duration = Duration::from_secs(5);

/// How long a verification may take, so that an edge that does not respond costs little.
const MAX_TIME: Duration = Duration::from_secs(20);

/// How long reading the configurations and the invalidations may take.
const MAX_READ_TIME: Duration = Duration::from_secs(5);

/// How many invalidations of a distribution are read at a time. AWS does not document the rate that CloudFront accepts.
const CONCURRENT_READS: usize = 4;

/// The note on a distribution whose requested URLs were only guesses from wildcards, and lead to errors.
const NO_PAGE: &str =
    "is not verified: no page was found under the wildcards, so list URLs in \"verify\"";

/// The verdicts on the URLs that were requested.
pub(super) struct VerificationRun {
    pub(super) report: Report,
    /// How many URLs were not requested, because there were too many.
    pub(super) left_out: usize,
}

impl From<Report> for VerificationRun {
    fn from(report: Report) -> Self {
        Self {
            report,
            left_out: 0,
        }
    }
}

/// Until when a verification runs.
#[derive(Clone, Copy)]
struct Times {
    /// When the configurations and the invalidations have to be read.
    end_of_reads: Instant,
    /// When the requests end.
    end: Instant,
}

/// A distribution to verify.
#[derive(Clone, Copy)]
struct Subject<'a> {
    distribution: &'a DistributionId,
    proof: Proof<'a>,
}

/// Which invalidations show that a copy is fresh.
#[derive(Clone, Copy)]
enum Proof<'a> {
    /// The request's own, which is completed.
    Own(&'a InvalidationId),
    /// For each URL that a person names, the newest that covers it.
    Newest(&'a EncodedPaths),
}

/// A distribution whose URLs can be requested.
struct VerifiableDistribution<'a> {
    id: &'a DistributionId,
    host: String,
    site: Site,
    access: ViewerAccess,
    proof: Proof<'a>,
    invalidations: Vec<ExistingInvalidation>,
    /// Why older invalidations are missing that possibly cover a URL.
    note: Option<String>,
}

/// Returns whether this invocation has enough time left for a verification.
pub(super) fn has_time(invocation: &Invocation) -> bool {
    Instant::now() <= latest_start(invocation)
}

/// Returns until when a verification in this invocation has to begin.
pub(super) fn latest_start(invocation: &Invocation) -> Instant {
    let end = invocation.end_of_calls();
    end.checked_sub(MIN_TIME).unwrap_or(end)
}

/// Returns the error of a job whose verification found old content.
pub(super) fn stale_error(verification: &Verification) -> Error {
    let report = match verification {
        Verification::Done(report) => report.to_string(),
        Verification::NotRequested | Verification::NotDone => String::new(),
    };
    ErrorKind::StaleUrls { report }.into()
}

impl Invalidator {
    /// Requests URLs from the distributions whose invalidations are completed, and judges the responses.
    ///
    /// `candidates` returns the URLs of a distribution that can be requested.
    pub(super) async fn verify(
        &self,
        progress: &Progress,
        candidates: impl Fn(&DistributionId) -> Vec<Candidate>,
        invocation: &Invocation,
    ) -> VerificationRun {
        let completed = progress.distributions.iter();
        let completed = completed.filter_map(|current| match &current.stage {
            Stage::Completed(invalidation) => Some(Subject {
                distribution: &current.distribution,
                proof: Proof::Own(invalidation),
            }),
            _ => None,
        });
        let times = Times {
            end_of_reads: invocation.end_of_read(MAX_READ_TIME),
            end: (Instant::now() + MAX_TIME).min(invocation.end_of_calls()),
        };
        self.verify_subjects(completed.collect(), candidates, times, invocation)
            .await
    }

    /// Requests URLs that a person names from each of the distributions until `deadline`, and judges the responses by the
    /// newest invalidations that cover the URLs.
    pub async fn verify_urls(
        &self,
        distributions: &[DistributionId],
        urls: &EncodedPaths,
        deadline: Instant,
        invocation: &Invocation,
    ) -> Report {
        let now = Instant::now();
        let end = deadline.min(now + MAX_TIME).min(invocation.end_of_calls());
        let times = Times {
            end_of_reads: half_way(end).min(now + MAX_READ_TIME),
            end,
        };
        let subjects = distributions.iter().map(|distribution| Subject {
            distribution,
            proof: Proof::Newest(urls),
        });
        let candidates = |_: &DistributionId| Candidate::of_paths(&urls.paths, &urls.widened);
        let run = self.verify_subjects(subjects.collect(), candidates, times, invocation);
        let mut report = run.await.report;
        if urls.paths.iter().any(InvalidationPath::is_tag) {
            let note = "cache tags have no URLs: name paths that have the tags";
            report.notes.push(note.to_owned());
        }
        report
    }

    async fn verify_subjects(
        &self,
        subjects: Vec<Subject<'_>>,
        candidates: impl Fn(&DistributionId) -> Vec<Candidate>,
        times: Times,
        invocation: &Invocation,
    ) -> VerificationRun {
        // Boxed to keep the future's type small.
        let work = Box::pin(async {
            let judged = self.judged(&subjects, candidates, times, invocation);
            Ok(judged.await)
        });
        let run = guarded(work, invocation).await;
        let run = run.unwrap_or_else(|error| report_of_notes(vec![error.to_string()]).into());
        // A count of 0 is written too: without it, the metric does not show that URLs were requested.
        for url in &run.report.urls {
            let count = match url.judgement.verdict {
                Verdict::Stale | Verdict::OldAtOrigin => 1,
                Verdict::Fresh | Verdict::Gone => 0,
                // Nothing is proven.
                Verdict::Unknown | Verdict::Unseen => continue,
            };
            invocation
                .metrics
                .count(Metric::StaleUrls, count, &url.distribution);
        }
        for old in run.report.old() {
            let (url, reason) = (&old.url, &old.judgement.reason);
            let explanation = old.explanation.join("; ");
            let distribution = &old.distribution;
            warn!(%distribution, "viewers still get old content at {url}: {reason}; {explanation}");
        }
        run
    }

    async fn judged(
        &self,
        subjects: &[Subject<'_>],
        candidates: impl Fn(&DistributionId) -> Vec<Candidate>,
        times: Times,
        invocation: &Invocation,
    ) -> VerificationRun {
        let (distributions, mut notes) = self
            .verifiable(subjects, times.end_of_reads, invocation)
            .await;
        if distributions.is_empty() {
            return report_of_notes(notes).into();
        }
        let edge = match self.edge.nearest() {
            Ok(edge) => edge,
            Err(error) => {
                notes.push(error);
                return report_of_notes(notes).into();
            }
        };
        let shares = distributions.iter().zip(shares(distributions.len()));
        let samples = shares
            .map(|(distribution, share)| Sample::choose(candidates(distribution.id), share))
            .collect::<Vec<_>>();
        let mut responses = self
            .responses(&edge, &distributions, &samples, times.end, invocation)
            .await
            .into_iter();
        let mut urls = Vec::new();
        let mut left_out = 0;
        for (distribution, sample) in distributions.iter().zip(samples) {
            left_out += sample.left_out();
            if sample.left_out() > 0 {
                notes.push(format!("of {}: {sample}", distribution.id));
            }
            let requested = sample.chosen.into_iter().map(|candidate| RequestedUrl {
                target: candidate.target,
                addressed: None,
                is_guess: candidate.is_guess,
                existence: Existence::Unknown,
                origin: None,
                responses: responses.by_ref().take(AcceptEncoding::ALL.len()).collect(),
            });
            let judged = distribution.judge(requested.collect());
            notes.extend(distribution.notes(&judged));
            urls.extend(judged);
        }
        let notes = report_of_notes(notes).notes;
        VerificationRun {
            report: Report { urls, notes },
            left_out,
        }
    }

    /// Returns the distributions whose URLs can be requested, and why others cannot.
    async fn verifiable<'a>(
        &self,
        subjects: &[Subject<'a>],
        deadline: Instant,
        invocation: &Invocation,
    ) -> (Vec<VerifiableDistribution<'a>>, Vec<String>) {
        let cloudfront = self.cloudfront(invocation);
        let reader = SiteReader::new(cloudfront);
        // Each gets one URL at least.
        let read = subjects.iter().take(MAX_URLS_OF_FUNCTION);
        let read = read.map(async |subject| {
            let arn = invocation.account.distribution_arn(subject.distribution);
            subject.read(&reader, &arn, deadline).await
        });
        let read: Vec<Result<_, String>> = join_all(read).await;
        let mut verifiable = Vec::new();
        let mut notes = Vec::new();
        for (subject, distribution) in subjects.iter().zip(read) {
            match distribution {
                Ok(distribution) => verifiable.push(distribution),
                Err(reason) => {
                    let id = subject.distribution;
                    notes.push(format!("{id} is not verified: {reason}"));
                }
            }
        }
        let others = subjects.len().saturating_sub(MAX_URLS_OF_FUNCTION);
        if others > 0 {
            notes.push(format!(
                "{others} other distributions are not verified: the function requests {MAX_URLS_OF_FUNCTION} URLs at most"
            ));
        }
        (verifiable, notes)
    }

    /// Requests the URLs of each distribution, each URL with every encoding.
    async fn responses(
        &self,
        edge: &EdgeClient,
        distributions: &[VerifiableDistribution<'_>],
        samples: &[Sample],
        deadline: Instant,
        invocation: &Invocation,
    ) -> Vec<RequestedResponse> {
        let cloudfront = self.cloudfront(invocation);
        let requests = distributions.iter().zip(samples);
        let requests = requests.flat_map(|(distribution, sample)| {
            let targets = sample.chosen.iter().map(|candidate| &candidate.target);
            targets.flat_map(move |target| {
                AcceptEncoding::ALL.map(|encoding| (distribution, target, encoding))
            })
        });
        let responses = requests.map(|(distribution, target, accept_encoding)| async move {
            let host = &distribution.host;
            let tag_header = distribution.site.features.cache_tag_header.as_deref();
            let content = edge
                .get(host, target, accept_encoding, tag_header, deadline)
                .await;
            RequestedResponse {
                accept_encoding,
                answer: content.map_or_else(Answer::NoResponse, EdgeContent::into_answer),
                // The function's clock is the second best.
                received: cloudfront.now().unwrap_or_else(|| self.clock.now().into()),
                content: None,
            }
        });
        in_turn(responses).await
    }
}

impl<'a> Subject<'a> {
    /// Reads the configuration and the invalidations, or returns why the URLs cannot be requested. `arn` is that of the
    /// distribution.
    async fn read(
        self,
        reader: &SiteReader<'_>,
        arn: &str,
        deadline: Instant,
    ) -> Result<VerifiableDistribution<'a>, String> {
        let id = self.distribution;
        let cloudfront = reader.cloudfront();
        let site = reader.site_of_viewers(id);
        let no_response = "CloudFront did not respond in time";
        let (site, access, invalidations, note) = match self.proof {
            Proof::Own(invalidation) => {
                let invalidation = cloudfront.invalidation(id, invalidation);
                let read = timeout_at(deadline, try_join(site, invalidation)).await;
                let ((site, access), invalidation) = read
                    .map_err(|_elapsed| no_response.to_owned())?
                    .map_err(|error| error.to_string())?;
                let invalidation = ExistingInvalidation {
                    // `poll` has seen it completed.
                    status: InvalidationStatus::Completed,
                    ..invalidation
                };
                (site, access, vec![invalidation], None)
            }
            Proof::Newest(urls) => {
                let listed = cloudfront.newest_invalidations(id, deadline);
                let (read, listed) = join(timeout_at(deadline, site), listed).await;
                let (site, access) = read
                    .map_err(|_elapsed| no_response.to_owned())?
                    .map_err(|error| error.to_string())?;
                let candidates = Candidate::of_paths(&urls.paths, &urls.widened);
                let (invalidations, error) = match listed {
                    Ok(listed) => {
                        let reads = listed.iter().map(|summary| {
                            cloudfront.invalidation_before(id, &summary.id, deadline)
                        });
                        let reads = stream::iter(reads).buffered(CONCURRENT_READS);
                        newest_covering(reads, candidates, &site).await
                    }
                    Err(error) => (Vec::new(), Some(error)),
                };
                let note = error.map(|error| {
                    let known = match invalidations.len() {
                        0 => "no invalidation is known".to_owned(),
                        1 => "only the newest invalidation is known".to_owned(),
                        known => format!("only the newest {known} invalidations are known"),
                    };
                    format!("{id}: {known}: {error}")
                });
                (site, access, invalidations, note)
            }
        };
        Ok(VerifiableDistribution {
            id,
            host: host(&site, &access, arn)?.to_owned(),
            site,
            access,
            proof: self.proof,
            invalidations,
            note,
        })
    }
}

/// Reads invalidations, newest first, until completed ones cover all URLs. Returns them without a gap, and why older ones are
/// missing: a copy can be older than an invalidation that is not read, and newer than the next one that covers it.
async fn newest_covering(
    reads: impl Stream<Item = Result<ExistingInvalidation, Error>>,
    mut uncovered: Vec<Candidate>,
    site: &Site,
) -> (Vec<ExistingInvalidation>, Option<Error>) {
    let mut reads = pin!(reads);
    let mut invalidations = Vec::new();
    while !uncovered.is_empty()
        && let Some(read) = reads.next().await
    {
        match read {
            Ok(invalidation) => {
                let coverage = Coverage::new([&invalidation]);
                uncovered.retain(|candidate| !coverage.covers(candidate, Some(site)));
                invalidations.push(invalidation);
            }
            Err(error) => return (invalidations, Some(error)),
        }
    }
    (invalidations, None)
}

impl VerifiableDistribution<'_> {
    /// Returns what the verdicts do not show.
    fn notes(&self, judged: &[UrlReport]) -> Vec<String> {
        let id = self.id;
        let mut notes = Vec::from_iter(self.note.clone());
        match self.proof {
            Proof::Own(_) if judged.is_empty() => notes.push(format!("{id} {NO_PAGE}")),
            Proof::Own(_) => {}
            Proof::Newest(urls) => {
                let unverified = wildcards_without_urls(&urls.paths, judged, &self.host);
                let unverified: Excerpt<MAX_NOTED> = unverified.collect();
                if unverified.count() > 0 {
                    notes.push(format!(
                        "{id}: no page is known under {}, so nothing is verified there: name pages",
                        unverified.join(", ")
                    ));
                }
            }
        }
        notes
    }

    fn judge(&self, urls: Vec<RequestedUrl>) -> Vec<UrlReport> {
        let coverage = Coverage::new(&self.invalidations);
        let distribution = RequestedDistribution {
            id: self.id,
            host: &self.host,
            site: Some(&self.site),
            access: &self.access,
            coverage: &coverage,
            fallback: match self.site.fallback_page() {
                // Its ETag takes a permission that the function does not have.
                Some(_page) => Fallback::Page(None),
                None => Fallback::None,
            },
        };
        distribution.judge(urls)
    }
}

/// Returns the host of a viewer's requests, or why no such request shows the copies of the distribution.
fn host<'a>(site: &'a Site, access: &'a ViewerAccess, arn: &str) -> Result<&'a str, String> {
    let obstacle = if site.features.staging {
        "viewers reach this staging distribution through its primary distribution only"
    } else if site.features.tenants_only {
        "viewers reach it through distribution tenants only"
    } else if !site.enabled {
        "it is disabled"
    } else {
        return access.host(&site.aliases).ok_or_else(|| {
            format!(
                "no alias names one host, and its domain name is unknown: allow cloudfront:GetDistribution on {arn}"
            )
        });
    };
    Err(obstacle.to_owned())
}

/// Returns a report without verdicts, with the first notes.
fn report_of_notes(notes: Vec<String>) -> Report {
    let notes: Excerpt<MAX_NOTED> = notes.into_iter().collect();
    Report {
        urls: Vec::new(),
        notes: (notes.count() > 0)
            .then(|| notes.join("; "))
            .into_iter()
            .collect(),
    }
}

/// Returns the URLs that can be requested if these paths are invalidated.
pub(super) fn candidates(verify: &Verify, invalidated: &EncodedPaths) -> Vec<Candidate> {
    let urls = match verify {
        Verify::Nothing => return Vec::new(),
        Verify::InvalidatedPaths => invalidated,
        Verify::Urls(urls) => urls,
    };
    Candidate::of_paths(&urls.paths, &urls.widened)
}

/// Returns how many URLs are requested from each of several distributions.
fn shares(distributions: usize) -> impl Iterator<Item = usize> {
    let share = MAX_URLS_OF_FUNCTION
        .checked_div(distributions)
        .unwrap_or_default();
    let rest = MAX_URLS_OF_FUNCTION
        .checked_rem(distributions)
        .unwrap_or_default();
    (0..distributions).map(move |index| share + usize::from(index < rest))
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::site::Features;

    fn site() -> Site {
        Site {
            id: DistributionId::parse("E1EXAMPLE1ABC").expect("an id"),
            enabled: true,
            aliases: vec!["*.example.com".into(), "www.example.com".into()],
            origins: vec![],
            origin_groups: vec![],
            cache_behaviors: vec![],
            default_root_object: None,
            custom_error_responses: vec![],
            features: Features::default(),
        }
    }

    #[test]
    fn invalidations_are_read_without_a_gap_until_all_urls_are_covered() {
        let read = |(number, path): (usize, &&str)| match path.strip_prefix('!') {
            Some(_) => Err(Error::deadline_exceeded()),
            None => Ok(ExistingInvalidation {
                id: InvalidationId::new(number.to_string()),
                created: chrono::DateTime::UNIX_EPOCH,
                status: match path.strip_suffix('~') {
                    Some(_) => InvalidationStatus::InProgress,
                    None => InvalidationStatus::Completed,
                },
                caller_reference: String::new(),
                paths: vec![path.trim_end_matches('~').to_owned().into()],
            }),
        };
        // `!` cannot be read, `~` is in progress.
        for (urls, listed, expected, is_incomplete) in [
            (&["/a", "/b"][..], &["/a", "/c", "/b", "/*"][..], 3, false),
            (&["/a"], &["/a~", "/*", "/a"], 2, false),
            (&["/a"], &["/b", "!", "/*"], 1, true),
            (&["/a"], &["/a", "!"], 1, false),
            (&["/a"], &["/b"], 1, false),
            (&["/a"], &["!", "/a"], 0, true),
            (&["#tag"], &["/*"], 0, false),
        ] {
            let urls = urls
                .iter()
                .map(|url| InvalidationPath::parse(url).expect("a path"));
            let candidates = Candidate::of_paths(&urls.collect::<Vec<_>>(), &[]);
            let reads = stream::iter(listed.iter().enumerate().map(read));
            let result = newest_covering(reads, candidates, &site()).now_or_never();
            let (invalidations, error) = result.expect("no pause");
            let ids: Vec<_> = invalidations
                .iter()
                .map(|read| read.id.to_string())
                .collect();
            let expected: Vec<_> = (0..expected).map(|number| number.to_string()).collect();
            assert_eq!(
                (ids, error.is_some()),
                (expected, is_incomplete),
                "{listed:?}"
            );
        }
    }

    #[test]
    fn a_host_is_requested_only_if_it_shows_the_copies_of_the_distribution() {
        let site = site();
        let staging = Features {
            staging: true,
            ..Features::default()
        };
        let tenants_only = Features {
            tenants_only: true,
            ..Features::default()
        };
        let with_features = |features| Site {
            features,
            ..site.clone()
        };
        let without_alias = Site {
            aliases: vec!["*.example.com".into()],
            ..site.clone()
        };
        let disabled = Site {
            enabled: false,
            ..site.clone()
        };
        let access = ViewerAccess {
            domain_name: Some("d1.cloudfront.net".into()),
            ..ViewerAccess::default()
        };
        let unknown = ViewerAccess::default();
        for (site, access, expected) in [
            (&site, &unknown, Ok("www.example.com")),
            (&without_alias, &access, Ok("d1.cloudfront.net")),
            (
                &without_alias,
                &unknown,
                Err(
                    "no alias names one host, and its domain name is unknown: allow cloudfront:GetDistribution on \
                     arn:aws:cloudfront::1:distribution/E1EXAMPLE1ABC",
                ),
            ),
            (
                &with_features(staging),
                &access,
                Err(
                    "viewers reach this staging distribution through its primary distribution only",
                ),
            ),
            (
                &with_features(tenants_only),
                &access,
                Err("viewers reach it through distribution tenants only"),
            ),
            (&disabled, &access, Err("it is disabled")),
        ] {
            let arn = "arn:aws:cloudfront::1:distribution/E1EXAMPLE1ABC";
            let expected = expected.map_err(str::to_owned);
            assert_eq!(host(site, access, arn), expected);
        }
    }

    #[test]
    fn the_distributions_share_the_urls() {
        for (distributions, expected) in [
            (0, vec![]),
            (1, vec![20]),
            (3, vec![7, 7, 6]),
            (20, vec![1; 20]),
        ] {
            let shares: Vec<_> = shares(distributions).collect();
            assert_eq!(shares, expected);
        }
    }
}
