//! `Requester`: verifies the URLs of one distribution after the other.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::candidates::{self, Candidates, KnownObject};
use super::contents::ExpectedContent;
use super::distribution::{DistributionVerification, Known};
use super::requests::{Location, Planned, request};
use super::{Subject, max_urls};
use crate::aws::cloudfront::CloudFront;
use crate::aws::credentials;
use crate::aws::edge::{EdgeClient, EdgeEndpoints, in_turn};
use crate::aws::s3::{HeadObject, S3};
use crate::cli::local_file::LocalFiles;
use crate::cli::{CliError, Requests, Session};
use crate::site::INDEX_DOCUMENT;
use crate::verify::covering::Coverage;
use crate::verify::judge::Existence;
use crate::verify::origin::{BucketObject, prefix_of, relative_key_of};
use crate::verify::run::RequestedDistribution;
use crate::verify::sample::{Candidate, Sample};

/// How long reading an object of the origin may take.
pub(super) const MAX_ORIGIN_TIME: Duration = Duration::from_secs(5);

/// How many pages are listed under each wildcard.
const MAX_LISTED_PAGES: usize = 10;

/// After how many failures no other object of the origin is read.
const MAX_ORIGIN_FAILURES: usize = 2;

/// Sends the requests of a command.
pub(super) struct Requester {
    endpoints: EdgeEndpoints,
    nearest: Arc<EdgeClient>,
    /// The host that the user named.
    host: Option<String>,
    pops: Vec<String>,
    max_urls: usize,
    files: Option<LocalFiles>,
    s3: S3,
}

impl Requester {
    /// Prepares the requests. `hosts` are those of the URLs that the user named.
    pub(super) async fn new(
        session: &Session,
        requests: &Requests,
        hosts: &BTreeSet<String>,
        files: Option<LocalFiles>,
    ) -> Result<Self, CliError> {
        check_hosts(requests, hosts)?;
        let endpoints = endpoints();
        let nearest = endpoints.nearest().map_err(CliError::usage)?;
        Ok(Self {
            endpoints,
            nearest: Arc::new(nearest),
            host: requests.host.clone().or_else(|| hosts.first().cloned()),
            pops: requests.from.clone(),
            max_urls: max_urls(requests),
            files,
            s3: session.connection.s3().await?,
        })
    }

    /// Requests the URLs of one distribution, and judges the responses.
    pub(super) async fn verify(
        &self,
        session: &Session,
        subject: Subject<'_>,
    ) -> Result<DistributionVerification, CliError> {
        let progress = session
            .terminal
            .progress("verifying: reading the configuration");
        let mut found = DistributionVerification::new(&subject.target.id);
        let Some(mut known) = Known::read(
            session,
            subject.target,
            self.host.as_deref(),
            &mut found.notes,
        )
        .await?
        else {
            return Ok(found);
        };
        let mut candidates = candidates::collect(subject, &known.site, self.files.as_ref());
        progress.set_text("verifying: listing pages under wildcards");
        self.list_pages(session, &known, subject, &mut candidates)
            .await;
        let Candidates {
            candidates,
            objects,
            notes,
        } = candidates;
        found.notes.extend(notes);
        let sample = Sample::choose(candidates, self.max_urls);
        found.set_sample(&sample);
        progress.set_text("verifying: reading the newest invalidations");
        known
            .read_invalidations(session, &sample, subject.own)
            .await?;
        progress.set_text("verifying: reading the objects of the origin");
        let origins = self
            .origins(session, &known, &sample, &mut found.notes)
            .await;
        known.read_fallback(&self.s3).await;
        let chosen = sample.chosen.iter().zip(origins);
        let planned = chosen.map(|(candidate, origin)| {
            let object = candidate.object.and_then(|index| objects.get(index));
            let existence = subject.must_be_gone.then_some(Existence::MustBeGone);
            self.plan(&known, candidate, object, existence, origin)
        });
        // A request of an object that is old at the origin would only store the old object at the edge.
        let (old, planned): (Vec<_>, Vec<_>) =
            planned.partition(|planned| planned.origin_reason().is_some());
        let old = old
            .iter()
            .filter_map(|planned| planned.old_at_origin(&known));
        found.urls.extend(old);
        let locations = self.locations(&known, &mut found.notes).await;
        progress.set_text(format!("verifying: requesting {}", known.host));
        let now = || now(session);
        let requested = request(&known, &planned, &locations, now, &mut found.notes).await;
        let coverage = Coverage::new(&known.invalidations);
        let distribution = RequestedDistribution {
            id: &subject.target.id,
            host: &known.host,
            site: known.site(),
            access: &known.access,
            coverage: &coverage,
            fallback: known.fallback(),
        };
        found.urls.extend(distribution.judge(requested));
        found.add_note_about_pops();
        found.add_notes_about_wildcards(subject, &known.host);
        Ok(found)
    }

    /// Adds some pages under each requested wildcard, which the bucket has. The local files have them already.
    async fn list_pages(
        &self,
        session: &Session,
        known: &Known<'_>,
        subject: Subject<'_>,
        candidates: &mut Candidates,
    ) {
        let Some(site) = known.site().filter(|_| self.files.is_none()) else {
            return;
        };
        let wildcards = subject.input.paths.iter().filter(|path| path.is_wildcard());
        for wildcard in wildcards {
            let Some(prefix) = prefix_of(site, wildcard) else {
                continue;
            };
            let deadline = Instant::now() + MAX_ORIGIN_TIME;
            match self.s3.list(&prefix, MAX_LISTED_PAGES, deadline).await {
                Ok(keys) => {
                    let keys = keys.iter().filter_map(|key| prefix.relative_key(key));
                    keys.for_each(|key| candidates.add_page(site, key, wildcard));
                }
                Err(error) => {
                    let error = error.message(session.terminal.audience());
                    let note = format!("no pages under {wildcard} could be listed: {error}");
                    candidates.notes.push(note);
                    // The other wildcards are most likely in the same bucket.
                    return;
                }
            }
        }
    }

    /// Returns the request for a URL. The existence of its object is `existence`, or what is known about it.
    fn plan<'a>(
        &self,
        known: &Known<'_>,
        candidate: &'a Candidate,
        object: Option<&KnownObject>,
        existence: Option<Existence>,
        origin: Option<HeadObject>,
    ) -> Planned<'a> {
        let expected = self.expected(known, candidate, object);
        let is_certain = expected
            .as_ref()
            .is_some_and(|expected| expected.is_certain);
        let known_existence = match object {
            Some(object) if !candidate.is_guess => match object.existence {
                Existence::Deleted if known.origin_object(candidate).is_none() => {
                    Existence::PossiblyDeleted
                }
                existence => existence,
            },
            None if is_certain => Existence::Exists,
            Some(_) | None => Existence::Unknown,
        };
        Planned {
            candidate,
            existence: existence.unwrap_or(known_existence),
            expected,
            origin,
        }
    }

    /// Returns the local file to which the URL leads: certainly by its own path or by the configuration, or as the page of a
    /// folder.
    fn expected(
        &self,
        known: &Known<'_>,
        candidate: &Candidate,
        object: Option<&KnownObject>,
    ) -> Option<ExpectedContent> {
        let files = self.files.as_ref()?;
        let requested = candidate.target.relative_key()?;
        let certain = known
            .site()
            .and_then(|site| relative_key_of(site, &candidate.target))
            .filter(|_| !known.changes_responses(candidate));
        let requested = certain.as_ref().unwrap_or(&requested);
        let key = match object {
            Some(object) => object.relative_key.clone(),
            None if requested.is_empty() || requested.ends_with('/') => {
                format!("{requested}{INDEX_DOCUMENT}")
            }
            None => requested.clone(),
        };
        let file = files.file(&key)?;
        Some(ExpectedContent {
            file,
            is_certain: certain.as_ref() == Some(&key),
        })
    }

    /// Reads the objects of the origin to which the URLs certainly lead. Without `s3:ListBucket`, S3 denies reading a missing
    /// object, so the first ones are read in turn until one of them can be read, and then all others.
    async fn origins(
        &self,
        session: &Session,
        known: &Known<'_>,
        sample: &Sample,
        notes: &mut Vec<String>,
    ) -> Vec<Option<HeadObject>> {
        let objects = sample
            .chosen
            .iter()
            .map(|candidate| known.origin_object(candidate));
        let objects: Vec<_> = objects.collect();
        let head = async |object: &Option<BucketObject>| {
            let object = object.as_ref()?;
            let deadline = Instant::now() + MAX_ORIGIN_TIME;
            Some(self.s3.head(object, deadline).await)
        };
        let mut results = Vec::new();
        let mut failures = 0;
        for object in &objects {
            let result = head(object).await;
            failures += usize::from(matches!(result, Some(Err(_))));
            let is_read = matches!(result, Some(Ok(_)));
            results.push(result);
            if is_read || failures == MAX_ORIGIN_FAILURES {
                break;
            }
        }
        if failures < MAX_ORIGIN_FAILURES {
            let others = objects.iter().skip(results.len());
            results.extend(in_turn(others.map(head)).await);
        }
        results.resize_with(objects.len(), || None);
        let mut errors = results
            .iter()
            .flatten()
            .filter_map(|result| result.as_ref().err());
        let note = errors.next().map(|error| {
            let error = error.message(session.terminal.audience());
            format!("not all URLs are compared with the objects of the origin: {error}")
        });
        notes.extend(note);
        results.into_iter().map(|result| result?.ok()).collect()
    }

    /// Returns the locations to request. A POP that cannot be addressed is replaced by the nearest one.
    async fn locations(&self, known: &Known<'_>, notes: &mut Vec<String>) -> Vec<Location> {
        let mut locations = Vec::new();
        for pop in &self.pops {
            let client = match &known.access.domain_name {
                Some(domain_name) => self.endpoints.at_pop(domain_name, pop).await,
                None => Err("the domain name of the distribution is not known".to_owned()),
            };
            match client {
                Ok(client) => locations.push(Location {
                    addressed: Some(pop.clone()),
                    client: Arc::new(client),
                }),
                Err(reason) => notes.push(format!(
                    "{pop} cannot be addressed, so the nearest POP is requested: {reason}"
                )),
            }
        }
        if locations.len() < self.pops.len() || self.pops.is_empty() {
            locations.push(Location {
                addressed: None,
                client: Arc::clone(&self.nearest),
            });
        }
        locations
    }
}

/// Returns where the edge is.
pub(super) fn endpoints() -> EdgeEndpoints {
    let variable = |name: &str| std::env::var(name).ok();
    EdgeEndpoints::new(variable).with_proxies(credentials::proxies())
}

/// Checks that the URLs have one host.
pub(super) fn check_hosts(requests: &Requests, hosts: &BTreeSet<String>) -> Result<(), CliError> {
    if requests.host.is_some() || hosts.len() < 2 {
        return Ok(());
    }
    let hosts: Vec<_> = hosts.iter().map(String::as_str).collect();
    Err(CliError::usage(format!(
        "the URLs have different hosts, {}: verify them one after the other, or name one with --host",
        hosts.join(" and ")
    )))
}

/// Returns the time by CloudFront's clock.
async fn now(session: &Session) -> DateTime<Utc> {
    let cloudfront = session.connection.cloudfront().await.ok();
    let now = cloudfront.and_then(CloudFront::now);
    now.unwrap_or_else(crate::cli::now)
}
