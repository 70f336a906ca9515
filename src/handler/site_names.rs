//! `SiteNames`: the domain names of distributions that a person can choose from, such as those that a chat may invalidate.
//!
//! A name is searched among these distributions only, so ListDistributions is not needed. A distribution whose names cannot
//! be read possibly has an alias that matches better than `*.example.com` of another one. So only a name that one of the
//! others has itself is found then.

use futures_util::future::join_all;
use tokio::time::Instant;

use super::Invalidator;
use crate::aws::cloudfront::{Match, has_domain, most_specific};
use crate::distribution::{DistributionId, DomainNames};
use crate::error::Error;
use crate::invocation::Invocation;

/// The domain names of some distributions, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SiteNames {
    /// The domain names of each, or why they could not be read.
    pub sites: Vec<(DistributionId, Result<DomainNames, Error>)>,
}

impl SiteNames {
    /// Returns the distribution with this domain name, else the one with the longest alias such as `*.example.com` that
    /// matches it; `None` if there is none.
    ///
    /// # Errors
    ///
    /// [`Error`] if a distribution could not be read that possibly has the name.
    pub fn find(&self, domain: &str) -> Result<Option<&DistributionId>, Error> {
        let sites = self.sites.iter();
        let mut errors = sites.filter_map(|(_, names)| names.as_ref().err());
        // A distribution that does not exist has no names.
        let unread = errors.find(|error| !error.is_no_such_distribution());
        match (self.best_match(domain), unread) {
            (
                None
                | Some(Match {
                    is_exact: false, ..
                }),
                Some(error),
            ) => Err(error.clone().context(format_args!(
                "{domain} is possibly a name of a distribution that could not be read"
            ))),
            (found, _) => Ok(found.map(|found| found.distribution)),
        }
    }

    /// Returns the alias with a `*` that matches the domain name, if no distribution has the name itself.
    pub fn wildcard_alias_of(&self, domain: &str) -> Option<&str> {
        let found = self.best_match(domain).filter(|found| !found.is_exact)?;
        let domain = domain.to_ascii_lowercase();
        let (_, names) = self.sites.iter().find(|(id, _)| id == found.distribution)?;
        let matching = names.as_ref().ok()?.all();
        let matching = matching.filter(|alias| has_domain(alias, &domain));
        matching.max_by_key(|alias| alias.len())
    }

    /// Returns all names that are known.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        let known = self
            .sites
            .iter()
            .filter_map(|(_, names)| names.as_ref().ok());
        known.flat_map(DomainNames::all)
    }

    /// Returns the best match among the names that are known.
    fn best_match(&self, domain: &str) -> Option<Match<'_>> {
        let known = self.sites.iter().filter_map(|(id, names)| {
            let names = names.as_ref().ok()?;
            Some((id, names.all()))
        });
        most_specific(&domain.to_ascii_lowercase(), known)
    }

    /// Returns the name by which people know the distribution, or else its id.
    pub fn best_known<'a>(&'a self, distribution: &'a DistributionId) -> &'a str {
        let site = self.sites.iter().find(|(id, _)| id == distribution);
        let names = site.and_then(|(_, names)| names.as_ref().ok());
        let name = names.and_then(DomainNames::best_known);
        name.unwrap_or(distribution.as_str())
    }
}

impl Invalidator {
    /// Returns the domain names of the distributions, read before `deadline` or in the last ten minutes.
    pub async fn site_names(
        &self,
        distributions: &[DistributionId],
        deadline: Instant,
        invocation: &Invocation,
    ) -> SiteNames {
        let names = distributions.iter().map(async |id| {
            let names = match self.warm_state.names(id, self.clock.now()) {
                Some(names) => Ok(names),
                None => self.read_names(id, deadline, invocation).await,
            };
            (id.clone(), names)
        });
        let sites = join_all(names).await;
        SiteNames { sites }
    }

    /// Returns which of the distributions has this domain name. Unless one had exactly this name in the last ten minutes, reads
    /// the names again, because a better alias is possibly new.
    ///
    /// # Errors
    ///
    /// [`Error`] if a distribution cannot be read before `deadline` that possibly has the name.
    pub async fn find_site(
        &self,
        domain: &str,
        distributions: &[DistributionId],
        deadline: Instant,
        invocation: &Invocation,
    ) -> Result<Option<DistributionId>, Error> {
        let now = self.clock.now();
        let remembered = distributions.iter().filter_map(|id| {
            let names = self.warm_state.names(id, now)?;
            Some((id.clone(), Ok(names)))
        });
        let remembered = SiteNames {
            sites: remembered.collect(),
        };
        if let Some(Match {
            distribution,
            is_exact: true,
        }) = remembered.best_match(domain)
        {
            return Ok(Some(distribution.clone()));
        }
        let names = distributions.iter().map(async |id| {
            let names = self.read_names(id, deadline, invocation).await;
            (id.clone(), names)
        });
        let sites = join_all(names).await;
        let names = SiteNames { sites };
        names.find(domain).map(|found| found.cloned())
    }

    /// Reads and remembers the names of a distribution.
    async fn read_names(
        &self,
        distribution: &DistributionId,
        deadline: Instant,
        invocation: &Invocation,
    ) -> Result<DomainNames, Error> {
        let cloudfront = self.cloudfront(invocation);
        let names = cloudfront.domain_names(distribution, deadline).await?;
        let now = self.clock.now();
        self.warm_state
            .remember_names(distribution, names.clone(), now);
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> DistributionId {
        DistributionId::parse(text).expect("an id")
    }

    fn site(text: &str, names: &[&str]) -> (DistributionId, Result<DomainNames, Error>) {
        let (aliases, domain_name): (Vec<_>, Vec<_>) = names
            .iter()
            .map(|name| (*name).to_owned())
            .partition(|name| !name.ends_with(".cloudfront.net"));
        let names = DomainNames {
            aliases,
            domain_name: domain_name.into_iter().next(),
        };
        (id(text), Ok(names))
    }

    #[test]
    fn the_most_specific_name_is_found_unless_an_unread_distribution_possibly_has_a_better_one() {
        let wildcard = || site("E1EXAMPLE1ABC", &["*.Example.com", "d1.cloudfront.net"]);
        let shop = || site("E3EXAMPLE1ABC", &["*.shop.example.com"]);
        let www = || site("E2EXAMPLE1ABC", &["www.example.com", "example.org"]);
        let all = SiteNames {
            sites: vec![wildcard(), shop(), www()],
        };
        let unread = |error: Error| SiteNames {
            sites: vec![wildcard(), (id("E2EXAMPLE1ABC"), Err(error)), shop()],
        };
        let deleted = Error::from(crate::error::ErrorKind::NoSuchDistribution {
            distribution: id("E2EXAMPLE1ABC"),
            message: "NoSuchDistribution".into(),
            unclear: None,
        });
        let (busy, deleted) = (unread(Error::deadline_exceeded()), unread(deleted));
        let uncertain = |domain: &str| {
            let place =
                format!("{domain} is possibly a name of a distribution that could not be read");
            Err(Error::deadline_exceeded().context(place))
        };
        for (names, domain, expected) in [
            (&all, "WWW.example.com", Ok(Some("E2EXAMPLE1ABC"))),
            (&all, "shop.example.com", Ok(Some("E1EXAMPLE1ABC"))),
            (&all, "a.shop.example.com", Ok(Some("E3EXAMPLE1ABC"))),
            (&all, "*.example.com", Ok(Some("E1EXAMPLE1ABC"))),
            (&all, "d1.cloudfront.net", Ok(Some("E1EXAMPLE1ABC"))),
            (&all, "example.com", Ok(None)),
            (&all, "exmaple.org", Ok(None)),
            (&busy, "d1.cloudfront.net", Ok(Some("E1EXAMPLE1ABC"))),
            (&busy, "www.example.com", uncertain("www.example.com")),
            (&busy, "example.net", uncertain("example.net")),
            (&deleted, "www.example.com", Ok(Some("E1EXAMPLE1ABC"))),
            (&deleted, "example.net", Ok(None)),
            (&SiteNames::default(), "example.net", Ok(None)),
        ] {
            let expected = expected.map(|found| found.map(id));
            assert_eq!(
                names.find(domain).map(|found| found.cloned()),
                expected,
                "{domain}"
            );
        }
        let best_known = ["E1EXAMPLE1ABC", "E2EXAMPLE1ABC", "E4EXAMPLE1ABC"].map(id);
        let best_known = best_known.each_ref().map(|id| busy.best_known(id));
        assert_eq!(
            best_known,
            ["d1.cloudfront.net", "E2EXAMPLE1ABC", "E4EXAMPLE1ABC"]
        );
    }
}
