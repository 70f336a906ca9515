//! `Target`: a distribution that a command works on, with its configuration entry.
//!
//! The first of these sources that is present names the distributions: `-d`; the environment, which `defaults` writes
//! into `-d`; the default or the only site of the configuration; the buckets of the changed objects, as origins; on a
//! terminal, a menu.

use std::fmt;

use super::config::SiteConfig;
use super::{CliError, Session, distributions};
use crate::aws::cloudfront::DistributionSummary;
use crate::distribution::{DistributionId, DistributionName};
use crate::error::Error;
use crate::similarity::similar;

/// How many distributions of the account an error lists.
const MAX_LISTED: usize = 5;

/// How many similar ids an error suggests.
const MAX_SUGGESTED: usize = 3;

/// A distribution that the command works on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub id: DistributionId,
    /// The configuration entry, if the distribution comes from one.
    pub config: Option<SiteConfig>,
}

/// A distribution by the name that the user wrote; it is not resolved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TargetName {
    pub name: String,
    pub config: Option<SiteConfig>,
}

/// Returns the distributions of `-d`, or those of the default site; none if there is neither.
pub(super) fn names(session: &Session, arguments: &[String]) -> Vec<TargetName> {
    if arguments.is_empty() {
        let site = session.config.default_site();
        return site.map(|(_, site)| site_names(site)).unwrap_or_default();
    }
    let names = arguments.iter().map(|argument| argument.trim());
    let names = names.flat_map(|name| match session.config.site(name) {
        Some(site) => site_names(site),
        None => vec![TargetName {
            name: name.to_owned(),
            config: None,
        }],
    });
    names.collect()
}

/// Checks the names without a call.
pub(super) fn check_names(session: &Session, arguments: &[String]) -> Result<(), CliError> {
    let names = names(session, arguments);
    names
        .iter()
        .try_for_each(|target| parse(session, &target.name).map(|_| ()))
}

/// Returns the sites of the configuration that are named like a distribution, and are another one.
fn shadowing<'a>(
    session: &'a Session,
    arguments: &'a [String],
) -> impl Iterator<Item = (&'a str, &'a SiteConfig)> {
    let sites = arguments.iter().filter_map(|argument| {
        let name = argument.trim();
        Some((name, session.config.site(name)?))
    });
    sites.filter(|(name, site)| {
        let mut distributions = site.distribution.iter();
        DistributionName::parse(name).is_ok() && !distributions.any(|other| other == name)
    })
}

fn site_names(site: &SiteConfig) -> Vec<TargetName> {
    let names = site.distribution.iter().map(|name| TargetName {
        name: name.trim().to_owned(),
        config: Some(site.clone()),
    });
    names.collect()
}

/// Returns the distributions that the command works on, each once.
pub(super) async fn find(
    session: &Session,
    arguments: &[String],
    buckets: &[String],
) -> Result<Vec<Target>, CliError> {
    for (name, site) in shadowing(session, arguments) {
        session.terminal.note(format!(
            "{name} is a site of the configuration: {}",
            site.distribution.join(", ")
        ));
    }
    let mut targets: Vec<Target> = Vec::new();
    for TargetName { name, config } in names(session, arguments) {
        for id in resolve(session, &name).await? {
            if !targets.iter().any(|target| target.id == id) {
                let config = config.clone();
                targets.push(Target { id, config });
            }
        }
    }
    if !targets.is_empty() {
        return Ok(targets);
    }
    let ids = if buckets.is_empty() {
        vec![choose(session).await?]
    } else {
        with_origins(session, buckets).await?
    };
    let targets = ids.into_iter().map(|id| Target { id, config: None });
    Ok(targets.collect())
}

/// Returns the distributions with this name. An id needs no call.
async fn resolve(session: &Session, name: &str) -> Result<Vec<DistributionId>, CliError> {
    let name = parse(session, name)?;
    if let DistributionName::Id(id) = name {
        return Ok(vec![id]);
    }
    let cloudfront = session.connection.cloudfront().await?;
    Ok(cloudfront.resolve(&[name]).await?)
}

/// Parses the name of a distribution.
pub(super) fn parse(session: &Session, name: &str) -> Result<DistributionName, CliError> {
    DistributionName::parse(name).map_err(|error| {
        let sites: Vec<_> = session.config.names().collect();
        CliError::usage(match sites.len() {
            0 => error.to_string(),
            _ => format!(
                "{error}, nor a site of the configuration: {}",
                sites.join(", ")
            ),
        })
    })
}

/// Returns the distributions that have one of the buckets as an origin.
async fn with_origins(session: &Session, buckets: &[String]) -> Result<Vec<DistributionId>, Error> {
    let cloudfront = session.connection.cloudfront().await?;
    let listed = cloudfront.listed_distributions().await?.into_iter();
    let ids: Vec<_> = listed
        .filter(|distribution| {
            let mut buckets = buckets.iter();
            buckets.any(|bucket| distribution.has_origin(bucket))
        })
        .map(|distribution| distribution.id)
        .collect();
    if ids.is_empty() {
        let buckets = buckets.join(" and ");
        return Err(Error::invalid_input(format!(
            "no distribution of this account has bucket {buckets} as an origin: name one with -d"
        )));
    }
    Ok(ids)
}

/// Shows a menu of the account's distributions. Without a terminal, returns an error that lists them.
async fn choose(session: &Session) -> Result<DistributionId, CliError> {
    let distributions = distributions::list(session).await?;
    if session.terminal.can_prompt() && !distributions.is_empty() {
        let choices = distributions.into_iter().map(Choice).collect();
        let choice = session.terminal.choose("Which distribution?", choices)?;
        return Ok(choice.0.id);
    }
    let sites: Vec<_> = session.config.names().collect();
    let configured = match sites.len() {
        0 => String::new(),
        _ => format!("the sites of the configuration are {}; ", sites.join(", ")),
    };
    Err(CliError::usage(format!(
        "no distribution is named: give one with -d, by its id or domain name, set CF_INVALIDATE_DISTRIBUTION, or name a \
         default in cf-invalidate.toml; {configured}{}",
        account_text(&distributions)
    )))
}

/// Returns a hint for an id that does not exist: similar ids of the account, or the first ones. Returns `None` if the
/// distributions cannot be listed.
pub(super) async fn suggestion(session: &Session, id: &DistributionId) -> Option<String> {
    let cloudfront = session.connection.cloudfront().await.ok()?;
    let distributions = cloudfront.list_distributions().await.ok()?;
    Some(suggestion_text(id, &distributions))
}

fn suggestion_text(id: &DistributionId, distributions: &[DistributionSummary]) -> String {
    let similar = similar(id.as_str(), distributions, |distribution| {
        distribution.id.as_str()
    });
    let similar: Vec<_> = similar
        .into_iter()
        .take(MAX_SUGGESTED)
        .map(id_and_name)
        .collect();
    if similar.is_empty() {
        account_text(distributions)
    } else {
        format!("did you mean {}?", similar.join(" or "))
    }
}

/// Returns the first distributions of the account, and the number of the others.
fn account_text(distributions: &[DistributionSummary]) -> String {
    let first: Vec<_> = distributions
        .iter()
        .take(MAX_LISTED)
        .map(id_and_name)
        .collect();
    let first = first.join(", ");
    match distributions.len().saturating_sub(MAX_LISTED) {
        0 if first.is_empty() => "the account has none".to_owned(),
        0 => format!("the account has {first}"),
        others => format!("the account has {first} and {others} more"),
    }
}

fn id_and_name(distribution: &DistributionSummary) -> String {
    let name = distribution.names().next().unwrap_or_default();
    format!("{} ({name})", distribution.id)
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

    fn distribution(id: &str, aliases: &[&str]) -> DistributionSummary {
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
    fn suggests_similar_ids_or_lists_the_account() {
        let account = [
            distribution("E1EXAMPLE1ABC", &["www.example.com"]),
            distribution("EZ2PLQXYZ7Z9W", &[]),
        ];
        let id = |text: &str| DistributionId::parse(text).expect("an id");
        for (wrong, suggestion) in [
            (
                "E1EXAMPLE1ABD",
                "did you mean E1EXAMPLE1ABC (www.example.com)?",
            ),
            (
                "0000000000000",
                "the account has E1EXAMPLE1ABC (www.example.com), EZ2PLQXYZ7Z9W (dez2plqxyz7z9w.cloudfront.net)",
            ),
        ] {
            assert_eq!(suggestion_text(&id(wrong), &account), suggestion);
        }
        let suggestion = suggestion_text(&id("E1EXAMPLE1ABD"), &[]);
        assert_eq!(suggestion, "the account has none");
    }
}
