//! What is known about a distribution, and what was found there.

use std::collections::BTreeSet;

use tokio::time::Instant;

use super::Subject;
use super::requester::MAX_ORIGIN_TIME;
use crate::aws::cloudfront::{SiteReader, has_domain};
use crate::aws::s3::{HeadObject, S3};
use crate::cli::list;
use crate::cli::target::Target;
use crate::cli::{CliError, Session};
use crate::distribution::DistributionId;
use crate::excerpt::{Excerpt, MAX_NOTED};
use crate::plan::limits::MAX_INVALIDATIONS_READ;
use crate::plan::{ExistingInvalidation, InvalidationId};
use crate::site::{MaybeSite, Site};
use crate::verify::covering::Coverage;
use crate::verify::judge::Fallback;
use crate::verify::origin::{BucketObject, object_of};
use crate::verify::report::wildcards_without_urls;
use crate::verify::sample::{Candidate, Sample};
use crate::verify::{Answer, RequestTarget, UrlReport, ViewerAccess};

/// How many invalidations are read at first.
pub(super) const FIRST_INVALIDATIONS: usize = MAX_INVALIDATIONS_READ;

/// How many are read if these do not cover all URLs.
const MAX_INVALIDATIONS: usize = 100;

/// What was found at one distribution.
#[derive(Clone, Debug)]
pub(super) struct DistributionVerification {
    pub distribution: DistributionId,
    pub urls: Vec<UrlReport>,
    /// What was requested, if URLs are left out.
    pub sample: Option<String>,
    /// How many URLs are left out.
    pub left_out: usize,
    pub notes: Vec<String>,
}

/// What is known about a distribution.
pub(super) struct Known<'a> {
    pub target: &'a Target,
    pub site: MaybeSite,
    pub access: ViewerAccess,
    pub host: String,
    pub invalidations: Vec<ExistingInvalidation>,
    /// The ETag of the page that viewers get in place of a missing object, if it could be read.
    fallback_etag: Option<String>,
}

impl<'a> Known<'a> {
    /// Reads the configuration. `None`, with a note, if it is unknown which host to request.
    pub(super) async fn read(
        session: &Session,
        target: &'a Target,
        named_host: Option<&str>,
        notes: &mut Vec<String>,
    ) -> Result<Option<Self>, CliError> {
        let cloudfront = session.connection.cloudfront().await?;
        let read = SiteReader::new(cloudfront)
            .site_of_viewers(&target.id)
            .await;
        let (site, access) = match read {
            Ok((site, access)) => (MaybeSite::Known(site.into()), access),
            Err(error) if error.is_access_denied() && named_host.is_some() => {
                notes.push(error.message(session.terminal.audience()));
                (
                    MaybeSite::Unknown(target.id.clone()),
                    ViewerAccess::default(),
                )
            }
            Err(error) => return Err(error.into()),
        };
        let own_host = match &site {
            MaybeSite::Known(site) => {
                notes.extend(obstacle(site));
                access.host(&site.aliases).map(str::to_owned)
            }
            MaybeSite::Outdated(_) | MaybeSite::Unknown(_) => None,
        };
        if let (Some(host), MaybeSite::Known(site)) = (named_host, &site)
            && !site.features.tenants_only
            && !has_host(site, &access, host)
        {
            notes.push(format!(
                "{host} is not a domain name of {}, so its URLs are not requested there",
                target.id
            ));
            return Ok(None);
        }
        let Some(host) = named_host.map(str::to_owned).or(own_host) else {
            notes.push(format!(
                "{}: no host is known, because it has no alias and cloudfront:GetDistribution is denied: name one with \
                 --host",
                target.id
            ));
            return Ok(None);
        };
        Ok(Some(Self {
            target,
            site,
            access,
            host,
            invalidations: Vec::new(),
            fallback_etag: None,
        }))
    }

    /// Reads the ETag of the page that viewers get in place of a missing object.
    pub(super) async fn read_fallback(&mut self, s3: &S3) {
        let page = self.site().and_then(Site::fallback_page);
        let target = page.and_then(RequestTarget::of_written);
        let object = target.and_then(|target| object_of(self.site()?, &target));
        if let Some(object) = object
            && let Ok(HeadObject::Found(page)) =
                s3.head(&object, Instant::now() + MAX_ORIGIN_TIME).await
        {
            self.fallback_etag = Some(page.etag);
        }
    }

    /// Returns what viewers get in place of a missing object.
    pub(super) fn fallback(&self) -> Fallback<'_> {
        match self.site().and_then(Site::fallback_page) {
            Some(_page) if self.site().is_some_and(Site::hides_failures) => {
                Fallback::AlsoForFailures
            }
            Some(_page) => Fallback::Page(self.fallback_etag.as_deref()),
            None => Fallback::None,
        }
    }

    /// Returns the object that viewers certainly get for the URL, unchanged.
    pub(super) fn origin_object(&self, candidate: &Candidate) -> Option<BucketObject> {
        let object = object_of(self.site()?, &candidate.target)?;
        (!self.changes_responses(candidate)).then_some(object)
    }

    /// Returns whether a function can change the response.
    pub(super) fn changes_responses(&self, candidate: &Candidate) -> bool {
        let path = candidate.target.path();
        let behavior = self.site().and_then(|site| site.behavior_of_request(path));
        let pattern = behavior.map(|behavior| &behavior.path_pattern);
        pattern.is_some_and(|pattern| self.access.changed_responses.contains(pattern))
    }

    /// Returns the configuration, if it can be read.
    pub(super) fn site(&self) -> Option<&Site> {
        match &self.site {
            MaybeSite::Known(site) | MaybeSite::Outdated(site) => Some(site),
            MaybeSite::Unknown(_) => None,
        }
    }

    /// Reads the newest invalidations: the first ones, or more if these do not cover all URLs.
    pub(super) async fn read_invalidations(
        &mut self,
        session: &Session,
        sample: &Sample,
        own: &[InvalidationId],
    ) -> Result<(), CliError> {
        let id = &self.target.id;
        let first = list::newest(session, id, FIRST_INVALIDATIONS).await?;
        // An older invalidation does not show that viewers see this change.
        let oldest = first.iter().filter(|known| own.contains(&known.id));
        if let Some(oldest) = oldest.map(|known| known.created).min() {
            self.invalidations = first;
            self.invalidations.retain(|known| known.created >= oldest);
            return Ok(());
        }
        let coverage = Coverage::new(&first);
        let is_covered = |candidate| coverage.covers(candidate, self.site());
        if first.len() < FIRST_INVALIDATIONS || sample.chosen.iter().all(is_covered) {
            self.invalidations = first;
            return Ok(());
        }
        self.invalidations = list::newest(session, id, MAX_INVALIDATIONS).await?;
        Ok(())
    }
}

impl DistributionVerification {
    pub(super) fn new(distribution: &DistributionId) -> Self {
        Self {
            distribution: distribution.clone(),
            urls: Vec::new(),
            sample: None,
            left_out: 0,
            notes: Vec::new(),
        }
    }

    pub(super) fn set_sample(&mut self, sample: &Sample) {
        self.left_out = sample.left_out();
        self.sample = (self.left_out > 0).then(|| sample.to_string());
    }

    /// Adds a note if another POP responded than the one that was addressed.
    pub(super) fn add_note_about_pops(&mut self) {
        let others = self.urls.iter().filter_map(|url| {
            let addressed = url.addressed.as_deref()?;
            let responses = url.responses.iter();
            let mut pops = responses.filter_map(|response| match &response.answer {
                Answer::Response(response) => response.pop.as_deref(),
                Answer::NoResponse(_) => None,
            });
            let other = pops.find(|pop| !pop.eq_ignore_ascii_case(addressed))?;
            Some((addressed.to_owned(), other.to_owned()))
        });
        let others: BTreeSet<_> = others.collect();
        let notes = others.into_iter();
        self.notes.extend(
            notes.map(|(addressed, other)| {
                format!("{addressed} was addressed, and {other} responded")
            }),
        );
    }
}

impl DistributionVerification {
    /// Adds a note on each requested wildcard under which no URL was verified.
    pub(super) fn add_notes_about_wildcards(&mut self, subject: Subject<'_>, host: &str) {
        let unverified = wildcards_without_urls(&subject.input.paths, &self.urls, host);
        let unverified: Excerpt<MAX_NOTED> = unverified.collect();
        if unverified.count() > 0 {
            self.notes.push(format!(
                "{}: no page is known under {}, so nothing is verified there: name pages, or use --site",
                self.distribution,
                unverified.join(", ")
            ));
        }
    }
}

/// Returns whether the host is a domain name of the distribution; also if not all of them are known.
fn has_host(site: &Site, access: &ViewerAccess, host: &str) -> bool {
    let Some(domain_name) = &access.domain_name else {
        return true;
    };
    let mut names = site.aliases.iter().chain([domain_name]);
    names.any(|name| has_domain(name, host))
}

/// Returns why viewers do not reach the distribution as usual.
fn obstacle(site: &Site) -> Option<String> {
    let id = &site.id;
    if !site.enabled {
        Some(format!("{id} is disabled, so viewers get errors"))
    } else if site.features.staging {
        Some(format!(
            "{id} is a staging distribution, which viewers reach through its primary distribution only: verify that one"
        ))
    } else if site.features.tenants_only {
        Some(format!(
            "viewers reach {id} through distribution tenants only: name the host of a tenant with --host"
        ))
    } else {
        None
    }
}
