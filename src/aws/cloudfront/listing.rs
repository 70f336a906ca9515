//! Lists the distributions of the account.

use aws_sdk_cloudfront::types;
use serde::Serialize;

use super::CloudFront;
use super::errors::Call;
use crate::distribution::DistributionId;
use crate::error::Error;

/// A distribution as ListDistributions returns it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DistributionSummary {
    /// Its id.
    pub id: DistributionId,
    /// Its own domain name, such as `d111111abcdef8.cloudfront.net`.
    pub domain_name: String,
    /// Its other domain names.
    pub aliases: Vec<String>,
    /// Its comment.
    pub comment: String,
    /// Whether it serves viewers.
    pub enabled: bool,
    /// `Deployed`, or `InProgress` while a change of its configuration is deployed.
    pub status: String,
}

impl DistributionSummary {
    /// Returns its domain names, the aliases first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let aliases = self.aliases.iter().map(String::as_str);
        aliases.chain([self.domain_name.as_str()])
    }
}

impl CloudFront {
    /// Returns all distributions of the account, in CloudFront's order.
    ///
    /// # Errors
    ///
    /// [`Error`] if they cannot be listed.
    pub async fn list_distributions(&self) -> Result<Vec<DistributionSummary>, Error> {
        let summaries = self.distribution_summaries().await?;
        summaries.into_iter().map(summary).collect()
    }

    /// Returns the SDK's summaries of all distributions, from all pages.
    pub(super) async fn distribution_summaries(
        &self,
    ) -> Result<Vec<types::DistributionSummary>, Error> {
        let call = Call::ListDistributions;
        let mut summaries = Vec::new();
        let mut marker = None;
        loop {
            let request = self.client.list_distributions().set_marker(marker.clone());
            let response = request.send().await;
            let response = response.map_err(|error| call.error(&error, &self.account))?;
            let page = response
                .distribution_list
                .ok_or_else(|| call.unavailable("the response holds no distributions"))?;
            let next = page
                .next_marker
                .filter(|marker| page.is_truncated && !marker.is_empty());
            summaries.extend(page.items.unwrap_or_default());
            // A marker that comes twice would never end.
            if next.is_none() || next == marker {
                return Ok(summaries);
            }
            marker = next;
        }
    }
}

/// Reads the id of a distribution in a list.
pub(super) fn listed_id(id: &str) -> Result<DistributionId, Error> {
    DistributionId::parse(id)
        .map_err(|error| Call::ListDistributions.unavailable(format!("the list has {error}")))
}

fn summary(summary: types::DistributionSummary) -> Result<DistributionSummary, Error> {
    let aliases = summary.aliases.and_then(|aliases| aliases.items);
    Ok(DistributionSummary {
        id: listed_id(&summary.id)?,
        domain_name: summary.domain_name,
        aliases: aliases.unwrap_or_default(),
        comment: summary.comment,
        enabled: summary.enabled,
        status: summary.status,
    })
}
