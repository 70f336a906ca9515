//! `Target`: which distribution is meant, and what the configuration says of it.
//!
//! Named on the command line, else the configuration's default, else those of the bucket that changed, else a choice
//! from a menu, where somebody is there to choose.

use std::fmt;

use super::config::NamedSite;
use super::{CliError, Session};
use crate::aws::cloudfront::DistributionSummary;
use crate::distribution::{DistributionId, DistributionName};
use crate::error::Error;

/// How many distributions are told where none is named.
const MAX_TOLD: usize = 5;

/// How many ids are offered for one that is wrong.
const MAX_NEAR: usize = 3;

/// How like two ids must be for one to be taken for a slip of the other.
const ALIKE: f64 = 0.8;

/// A distribution that is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub id: DistributionId,
    /// What the configuration says, where it names the distribution.
    pub site: Option<NamedSite>,
}

/// A distribution as it was named, not looked up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Named {
    pub name: String,
    pub site: Option<NamedSite>,
}

/// Returns what is named, or configured where nothing is; nothing where neither is.
pub(super) fn named(session: &Session, names: &[String]) -> Vec<Named> {
    let of_site = |site: &NamedSite| {
        let named = |name: &String| Named {
            name: name.trim().to_owned(),
            site: Some(site.clone()),
        };
        site.distribution.iter().map(named).collect::<Vec<_>>()
    };
    if names.is_empty() {
        let site = session.config.default_site();
        return site.map(|(_, site)| of_site(site)).unwrap_or_default();
    }
    let named = |name: &String| match session.config.site(name.trim()) {
        Some(site) => of_site(site),
        None => vec![Named {
            name: name.trim().to_owned(),
            site: None,
        }],
    };
    names.iter().flat_map(named).collect()
}

/// Returns the distributions that are meant, each once.
pub(super) async fn find(
    session: &Session,
    names: &[String],
    buckets: &[String],
) -> Result<Vec<Target>, CliError> {
    let named = named(session, names);
    let mut targets: Vec<Target> = Vec::new();
    for Named { name, site } in named {
        for id in ids(session, &name).await? {
            if !targets.iter().any(|target| target.id == id) {
                let site = site.clone();
                targets.push(Target { id, site });
            }
        }
    }
    if targets.is_empty() {
        targets = unnamed(session, buckets).await?;
    }
    Ok(targets)
}

/// Finds the distributions where none is named.
async fn unnamed(session: &Session, buckets: &[String]) -> Result<Vec<Target>, CliError> {
    let target = |id| Target { id, site: None };
    let mut found: Vec<Target> = Vec::new();
    if !buckets.is_empty() {
        let cloudfront = session.connection.cloudfront().await?;
        for bucket in buckets {
            for site in cloudfront.bucket_sites(bucket).await?.sites {
                if !found.iter().any(|target| target.id == site.id) {
                    found.push(target(site.id));
                }
            }
        }
        if found.is_empty() {
            let buckets = buckets.join(" and ");
            return Err(CliError::from(Error::invalid_input(format!(
                "no distribution of this account has bucket {buckets} as an origin: name one with -d"
            ))));
        }
        return Ok(found);
    }
    let listed = list(session).await?;
    if session.terminal.can_ask() && !listed.is_empty() {
        let chosen = session.terminal.choose(
            "Which distribution?",
            listed.into_iter().map(Choice).collect(),
        )?;
        return Ok(vec![target(chosen.0.id)]);
    }
    let sites: Vec<_> = session.config.names().collect();
    let configured = match sites.len() {
        0 => String::new(),
        _ => format!("the sites of the configuration are {}; ", sites.join(", ")),
    };
    Err(CliError::usage(format!(
        "no distribution is named: give one with -d, by its id or domain name, or name a default in \
         cf-invalidate.toml; {configured}{}",
        holds(&listed)
    )))
}

async fn list(session: &Session) -> Result<Vec<DistributionSummary>, CliError> {
    let progress = session
        .terminal
        .progress("listing the account's distributions");
    let cloudfront = session.connection.cloudfront().await?;
    let listed = cloudfront.list_distributions().await;
    drop(progress);
    Ok(listed?)
}

/// Returns the distribution with a name; an id costs no call.
async fn ids(session: &Session, name: &str) -> Result<Vec<DistributionId>, CliError> {
    let known = DistributionName::parse(name).map_err(|error| {
        let sites: Vec<_> = session.config.names().collect();
        CliError::usage(match sites.len() {
            0 => error.to_string(),
            _ => format!(
                "{error}, nor a site of the configuration: {}",
                sites.join(", ")
            ),
        })
    })?;
    if let DistributionName::Id(id) = known {
        return Ok(vec![id]);
    }
    let cloudfront = session.connection.cloudfront().await?;
    Ok(cloudfront.resolve(&[known]).await?)
}

/// Returns which ids of the account are similar to one that does not exist.
pub(super) async fn similar_ids(session: &Session, id: &DistributionId) -> Option<String> {
    let cloudfront = session.connection.cloudfront().await.ok()?;
    let listed = cloudfront.list_distributions().await.ok()?;
    Some(similar(id, &listed))
}

fn similar(id: &DistributionId, listed: &[DistributionSummary]) -> String {
    let alike = |one: &DistributionSummary| strsim::jaro_winkler(one.id.as_str(), id.as_str());
    let mut near: Vec<_> = listed.iter().filter(|one| alike(one) >= ALIKE).collect();
    near.sort_by(|a, b| alike(b).total_cmp(&alike(a)));
    let near: Vec<_> = near.into_iter().take(MAX_NEAR).map(told).collect();
    match near.len() {
        0 => holds(listed),
        _ => format!("did you mean {}?", near.join(" or ")),
    }
}

fn holds(listed: &[DistributionSummary]) -> String {
    let told: Vec<_> = listed.iter().take(MAX_TOLD).map(told).collect();
    match listed.len().saturating_sub(MAX_TOLD) {
        0 if told.is_empty() => "the account has none".to_owned(),
        0 => format!("the account has {}", told.join(", ")),
        more => format!("the account has {} and {more} more", told.join(", ")),
    }
}

fn told(one: &DistributionSummary) -> String {
    let name = one.names().next().unwrap_or_default();
    format!("{} ({name})", one.id)
}

/// A line of the menu.
struct Choice(DistributionSummary);

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DistributionSummary {
            id,
            comment,
            enabled,
            ..
        } = &self.0;
        let names: Vec<_> = self.0.names().collect();
        write!(f, "{id}  {}", names.join(" "))?;
        if !comment.is_empty() {
            write!(f, "  {comment}")?;
        }
        if *enabled {
            Ok(())
        } else {
            f.write_str("  (disabled)")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(id: &str, aliases: &[&str]) -> DistributionSummary {
        DistributionSummary {
            id: DistributionId::parse(id).expect("an id"),
            domain_name: format!("d{}.cloudfront.net", id.to_lowercase()),
            aliases: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
            comment: String::new(),
            enabled: true,
            status: "Deployed".into(),
        }
    }

    #[test]
    fn tells_what_was_perhaps_meant() {
        let account = [
            described("E1EXAMPLE1ABC", &["www.example.com"]),
            described("EZ2PLQXYZ7Z9W", &[]),
        ];
        let id = |text: &str| DistributionId::parse(text).expect("an id");
        for (wrong, told) in [
            (
                "E1EXAMPLE1ABD",
                "did you mean E1EXAMPLE1ABC (www.example.com)?",
            ),
            (
                "0000000000000",
                "the account has E1EXAMPLE1ABC (www.example.com), EZ2PLQXYZ7Z9W (dez2plqxyz7z9w.cloudfront.net)",
            ),
        ] {
            assert_eq!(similar(&id(wrong), &account), told);
        }
        assert_eq!(similar(&id("E1EXAMPLE1ABD"), &[]), "the account has none");
    }
}
