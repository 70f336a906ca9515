//! Finds distributions by their domain names.

use super::CloudFront;
use super::listing::DistributionSummary;
use crate::distribution::{DistributionId, DistributionName};
use crate::error::Error;

/// How many names an error message suggests.
const MAX_SUGGESTIONS: usize = 5;

/// How specifically a domain name matches itself: more than each alias with a wildcard does.
const EXACT: usize = usize::MAX;

impl CloudFront {
    /// Returns the ids of the distributions with these names, in their order, without duplicates. Ids take no call.
    ///
    /// # Errors
    ///
    /// [`Error`] that names the unknown domain, or if there is a domain name and the distributions cannot be listed.
    pub async fn resolve(&self, names: &[DistributionName]) -> Result<Vec<DistributionId>, Error> {
        let is_domain = |name: &DistributionName| matches!(name, DistributionName::Domain(_));
        let distributions = if names.iter().any(is_domain) {
            self.list_distributions().await?
        } else {
            Vec::new()
        };
        let mut ids = Vec::new();
        for name in names {
            let id = match name {
                DistributionName::Id(id) => id.clone(),
                DistributionName::Domain(domain) => find(domain, &distributions)?,
            };
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        Ok(ids)
    }
}

/// Returns whether viewers can use the domain name, in lower case, for the distribution with this name, which can be an alias
/// such as `*.example.com`.
pub(crate) fn has_domain(name: &str, domain: &str) -> bool {
    match_length(name, domain).is_some()
}

/// Returns the distribution with this domain name, else the one with the longest alias such as `*.example.com` that
/// matches it.
fn find(domain: &str, distributions: &[DistributionSummary]) -> Result<DistributionId, Error> {
    let named = distributions
        .iter()
        .map(|distribution| (&distribution.id, distribution.names()));
    most_specific(domain, named)
        .map(|found| found.distribution.clone())
        .ok_or_else(|| unknown(domain, distributions))
}

/// A distribution that has a domain name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Match<'a> {
    pub distribution: &'a DistributionId,
    /// Whether it has the name itself. Otherwise an alias such as `*.example.com` matches the name, and another distribution
    /// can have a longer alias that matches it too.
    pub is_exact: bool,
}

/// Returns the distribution with this domain name, which is in lower case, else the one with the longest alias such as
/// `*.example.com` that matches it.
pub(crate) fn most_specific<'a, Names>(
    domain: &str,
    distributions: impl IntoIterator<Item = (&'a DistributionId, Names)>,
) -> Option<Match<'a>>
where
    Names: IntoIterator<Item = &'a str>,
{
    let best = distributions.into_iter().filter_map(|(id, names)| {
        let lengths = names
            .into_iter()
            .filter_map(|name| match_length(name, domain));
        Some((lengths.max()?, id))
    });
    let (length, distribution) = best.max_by_key(|(length, _)| *length)?;
    Some(Match {
        distribution,
        is_exact: length == EXACT,
    })
}

/// Returns how specifically the name of a distribution matches the domain name, which is in lower case. `None` if it does
/// not.
fn match_length(name: &str, domain: &str) -> Option<usize> {
    let name = name.to_ascii_lowercase();
    match name.strip_prefix('*') {
        _ if name == domain => Some(EXACT),
        Some(suffix) if domain.ends_with(suffix) => Some(suffix.len()),
        _ => None,
    }
}

fn unknown(domain: &str, distributions: &[DistributionSummary]) -> Error {
    let names = distributions.iter().flat_map(DistributionSummary::names);
    let mut names: Vec<_> = names.map(str::to_ascii_lowercase).collect();
    names.sort_by_key(|name| strsim::osa_distance(name, domain));
    names.truncate(MAX_SUGGESTIONS);
    let hint = match names.as_slice() {
        [] => "the account has none".to_owned(),
        names => format!("the most similar names are {}", names.join(", ")),
    };
    Error::invalid_input(format!(
        "no distribution of this account has the domain name {domain} ({hint})"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_distribution_by_its_names_and_suggests_similar_ones() {
        let distribution = |id: &str, domain_name: &str, aliases: &[&str]| DistributionSummary {
            id: DistributionId::parse(id).expect("an id"),
            domain_name: domain_name.to_owned(),
            aliases: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
            comment: String::new(),
            enabled: true,
            status: "Deployed".to_owned(),
        };
        let account = [
            distribution("E1EXAMPLE1ABC", "d1.cloudfront.net", &["*.Example.com"]),
            distribution(
                "E3EXAMPLE1ABC",
                "d3.cloudfront.net",
                &["*.shop.example.com"],
            ),
            distribution(
                "E2EXAMPLE1ABC",
                "d2.cloudfront.net",
                &["www.example.com", "example.org"],
            ),
        ];
        for (domain, id) in [
            ("www.example.com", "E2EXAMPLE1ABC"),
            ("shop.example.com", "E1EXAMPLE1ABC"),
            ("a.shop.example.com", "E3EXAMPLE1ABC"),
            ("*.example.com", "E1EXAMPLE1ABC"),
            ("d1.cloudfront.net", "E1EXAMPLE1ABC"),
        ] {
            assert_eq!(
                find(domain, &account).map(|id| id.to_string()),
                Ok(id.to_owned())
            );
        }
        assert_eq!(
            find("exmaple.org", &account),
            Err(Error::invalid_input(
                "no distribution of this account has the domain name exmaple.org (the most similar names are example.org, *.example.com, \
                 www.example.com, *.shop.example.com, d1.cloudfront.net)"
            ))
        );
        assert_eq!(
            find("example.org", &[]),
            Err(Error::invalid_input(
                "no distribution of this account has the domain name example.org (the account has none)"
            ))
        );
    }
}
