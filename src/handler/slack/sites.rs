//! Finds the sites that a command is about, among those that can be purged from Slack.
//!
//! A site is a distribution with a name of the settings, or without one. A domain name is compared with the aliases of these
//! distributions only (`site_names`): the functions have no permission to list others. So a name that only an alias with a `*`
//! matches possibly belongs to another distribution.

use std::slice;
use std::time::Duration;

use tokio::time::Instant;

use super::reply;
use crate::distribution::{DistributionId, DistributionName};
use crate::error::Error;
use crate::handler::Invalidator;
use crate::invocation::Invocation;
use crate::mrkdwn::code;
use crate::settings::slack::{DefaultAction, SlackSettings, SlackSite};
use crate::similarity::similar;
use crate::trigger::slack::WORDS;

/// How long reading the domain names of the distributions may take.
const MAX_READ_TIME: Duration = Duration::from_secs(3);

/// The sites that a command is about.
pub(super) struct FoundSites {
    pub(super) sites: Vec<SlackSite>,
    /// What is not certain about them.
    pub(super) notes: Vec<String>,
}

impl Invalidator {
    /// Returns the sites that the words name; all without words. The inner error is the reply to a word that names none.
    pub(super) async fn find_sites(
        &self,
        settings: &SlackSettings,
        words: &[String],
        invocation: &Invocation,
    ) -> Result<Result<FoundSites, String>, Error> {
        let mut found = FoundSites {
            sites: Vec::new(),
            notes: Vec::new(),
        };
        if words.is_empty() {
            found.sites.clone_from(&settings.sites);
        }
        for word in words {
            let site = match settings.site(word) {
                Some(site) => Some(site),
                None => {
                    self.find_by_domain(settings, word, &mut found.notes, invocation)
                        .await?
                }
            };
            let Some(site) = site else {
                let text = self.unknown_site(settings, word, invocation).await;
                return Ok(Err(text));
            };
            if !found.sites.contains(site) {
                found.sites.push(site.clone());
            }
        }
        Ok(Ok(found))
    }

    async fn find_by_domain<'a>(
        &self,
        settings: &'a SlackSettings,
        word: &str,
        notes: &mut Vec<String>,
        invocation: &Invocation,
    ) -> Result<Option<&'a SlackSite>, Error> {
        let Ok(DistributionName::Domain(domain)) = DistributionName::parse(word) else {
            return Ok(None);
        };
        let deadline = invocation.end_of_read(MAX_READ_TIME);
        let ids = ids(&settings.sites);
        let found = self.find_site(&domain, &ids, deadline, invocation);
        let Some(id) = found.await? else {
            return Ok(None);
        };
        let names = self
            .site_names(slice::from_ref(&id), deadline, invocation)
            .await;
        // A distribution that cannot be purged from Slack possibly has this name.
        if let Some(alias) = names.wildcard_alias_of(&domain) {
            notes.push(format!(
                "{domain:?} is found by {alias:?}, so it can be the name of another site"
            ));
        }
        Ok(settings.site(id.as_str()))
    }

    /// Returns the reply to a word that is neither a path nor a site.
    async fn unknown_site(
        &self,
        settings: &SlackSettings,
        word: &str,
        invocation: &Invocation,
    ) -> String {
        if word == "plan" {
            let text = match settings.default_action {
                DefaultAction::Plan => {
                    "A command without a word shows what a purge of everything would do."
                }
                DefaultAction::All => {
                    "Nothing was purged. There is no plan here: a command without a word purges everything."
                }
            };
            return text.to_owned();
        }
        let deadline = invocation.end_of_read(MAX_READ_TIME);
        let names = self
            .site_names(&ids(&settings.sites), deadline, invocation)
            .await;
        let configured = settings.sites.iter();
        let configured =
            configured.flat_map(|site| [Some(site.distribution.as_str()), site.name.as_deref()]);
        let candidates = WORDS.iter().copied().chain(configured.flatten());
        let candidates = candidates.chain(names.all());
        let similar = similar(word, candidates, |candidate| candidate);
        let hint = match similar.first() {
            Some(nearest) => format!("The nearest match is {}.", code(nearest)),
            None => {
                let labels = self.labels(&settings.sites, deadline, invocation).await;
                format!("Sites: {}.", reply::sites_text(&labels))
            }
        };
        let is_domain = word.matches('.').count() > 1;
        let as_path = match is_domain {
            true => String::new(),
            false => format!(" As a path, it would be {}.", code(&format!("/{word}"))),
        };
        format!(
            "{} is neither a path nor a site that can be purged from Slack. {hint}{as_path}",
            code(word)
        )
    }

    /// Returns what replies call the sites: the configured name, the domain name that people know, or else the id.
    pub(super) async fn labels(
        &self,
        sites: &[SlackSite],
        deadline: Instant,
        invocation: &Invocation,
    ) -> Vec<String> {
        let unnamed = sites.iter().filter(|site| site.name.is_none());
        let unnamed: Vec<_> = unnamed.map(|site| site.distribution.clone()).collect();
        let names = self.site_names(&unnamed, deadline, invocation).await;
        let labels = sites.iter().map(|site| match &site.name {
            Some(name) => name.clone(),
            None => names.best_known(&site.distribution).to_owned(),
        });
        labels.collect()
    }
}

/// Returns what replies call a distribution; its id if it is not one of the sites.
pub(super) fn label_of(
    distribution: &DistributionId,
    sites: &[SlackSite],
    labels: &[String],
) -> String {
    let mut sites = sites.iter().zip(labels);
    let site = sites.find(|(site, _)| site.distribution == *distribution);
    site.map_or_else(|| distribution.to_string(), |(_, label)| label.clone())
}

/// Returns the distributions of the sites.
pub(super) fn ids(sites: &[SlackSite]) -> Vec<DistributionId> {
    sites.iter().map(|site| site.distribution.clone()).collect()
}
