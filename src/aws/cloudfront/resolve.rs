//! Finds the distributions that people name by a domain.

use super::Account;
use super::cloudfront::CloudFront;
use super::sites::Reader;
use crate::distribution::{DistributionId, DistributionName};
use crate::failure::Failure;

/// How many names are offered where none is right.
const MAX_OFFERED: usize = 5;

/// A distribution as a list tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its id.
    pub id: DistributionId,
    /// Its own domain name and its aliases, in lower case.
    pub domains: Vec<String>,
}

impl CloudFront {
    /// Returns the ids of the distributions with these names, in their order, each once. Ids cost no call.
    ///
    /// # Errors
    ///
    /// A [`Failure`] that names what is unknown, or with [`crate::failure::Cause::Permission`] where domain names need
    /// a list that may not be read.
    pub async fn resolve(
        &self,
        names: &[DistributionName],
        account: &Account,
    ) -> Result<Vec<DistributionId>, Failure> {
        let listed = if names
            .iter()
            .any(|name| matches!(name, DistributionName::Domain(_)))
        {
            self.listed(account).await?
        } else {
            Vec::new()
        };
        let mut ids = Vec::new();
        for name in names {
            let id = match name {
                DistributionName::Id(id) => id.clone(),
                DistributionName::Domain(domain) => find(domain, &listed)?,
            };
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        Ok(ids)
    }

    /// Lists the account's distributions.
    ///
    /// # Errors
    ///
    /// A [`Failure`] of CloudFront, or of a permission.
    pub async fn listed(&self, account: &Account) -> Result<Vec<Listed>, Failure> {
        let summaries = Reader::new(&self.client, account).summaries().await?;
        let listed = summaries.into_iter().map(|summary| {
            let aliases = summary
                .aliases
                .and_then(|aliases| aliases.items)
                .unwrap_or_default();
            let domains = std::iter::once(summary.domain_name).chain(aliases);
            Some(Listed {
                id: DistributionId::parse(&summary.id).ok()?,
                domains: domains.map(|domain| domain.to_ascii_lowercase()).collect(),
            })
        });
        Ok(listed.flatten().collect())
    }
}

/// Finds the distribution that answers to a domain name: by that very name, else by the alias such as `*.example.com`
/// that says most of it.
fn find(domain: &str, listed: &[Listed]) -> Result<DistributionId, Failure> {
    let match_length = |alias: &String| match alias.strip_prefix('*') {
        _ if alias == domain => Some(usize::MAX),
        Some(suffix) if domain.ends_with(suffix) => Some(suffix.len()),
        _ => None,
    };
    let best = |one: &Listed| one.domains.iter().filter_map(match_length).max();
    let found = listed
        .iter()
        .filter_map(|one| Some((best(one)?, one)))
        .max_by_key(|(length, _)| *length);
    found
        .map(|(_, one)| one.id.clone())
        .ok_or_else(|| unknown(domain, listed))
}

fn unknown(domain: &str, listed: &[Listed]) -> Failure {
    let mut known: Vec<_> = listed
        .iter()
        .flat_map(|one| &one.domains)
        .map(String::as_str)
        .collect();
    known.sort_by_key(|known| strsim::osa_distance(known, domain));
    known.truncate(MAX_OFFERED);
    let hint = match &known[..] {
        [] => "there are none".to_owned(),
        known => format!("the nearest are {}", known.join(", ")),
    };
    Failure::mistake(format!(
        "no distribution of this account answers to {domain} ({hint})"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_distribution_by_its_names_and_offers_the_nearest() {
        let listed = |id: &str, domains: &[&str]| Listed {
            id: DistributionId::parse(id).expect("an id"),
            domains: domains.iter().map(|domain| (*domain).to_owned()).collect(),
        };
        let account = [
            listed("E1EXAMPLE1ABC", &["d1.cloudfront.net", "*.example.com"]),
            listed(
                "E3EXAMPLE1ABC",
                &["d3.cloudfront.net", "*.shop.example.com"],
            ),
            listed(
                "E2EXAMPLE1ABC",
                &["d2.cloudfront.net", "www.example.com", "example.org"],
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
            Err(Failure::mistake(
                "no distribution of this account answers to exmaple.org (the nearest are example.org, *.example.com, \
                 www.example.com, *.shop.example.com, d1.cloudfront.net)"
            ))
        );
        assert_eq!(
            find("example.org", &[]),
            Err(Failure::mistake(
                "no distribution of this account answers to example.org (there are none)"
            ))
        );
    }
}
