//! What an account holds, for people who look around: its distributions, and the invalidations of each.

use aws_sdk_cloudfront::config::http::HttpResponse;
use aws_sdk_cloudfront::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_cloudfront::types::DistributionSummary;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::cloudfront::{CloudFront, cause, time};
use super::{Account, said, sites};
use crate::distribution::DistributionId;
use crate::failure::{Cause, Failure};
use crate::path::InvalidationPath;
use crate::site::{Distribution, Site};

/// A distribution as the account's list shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Described {
    /// Its id.
    pub id: DistributionId,
    /// Its own domain name, such as `d111111abcdef8.cloudfront.net`.
    pub domain_name: String,
    /// The domain names that it answers to besides.
    pub aliases: Vec<String>,
    /// What its owner says of it.
    pub comment: String,
    /// Whether it answers viewers at all.
    pub enabled: bool,
    /// `Deployed`, or `InProgress` while its configuration is on its way.
    pub status: String,
}

/// An invalidation as a distribution's list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// Its id.
    pub id: String,
    /// When CloudFront created it.
    pub created: DateTime<Utc>,
    /// `InProgress` or `Completed`.
    pub status: String,
}

/// An invalidation, whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invalidation {
    /// Its id.
    pub id: String,
    /// When CloudFront created it.
    pub created: DateTime<Utc>,
    /// `InProgress` or `Completed`.
    pub status: String,
    /// The caller's reference.
    pub reference: String,
    /// What it covers, as CloudFront tells it.
    pub paths: Vec<String>,
}

impl Invalidation {
    /// Tells whether it is on its way still; a status that nobody knows counts as done.
    pub fn is_in_progress(&self) -> bool {
        self.status == "InProgress"
    }
}

impl Described {
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
    /// A [`Failure`], with [`Cause::Permission`] where they may not be listed.
    pub async fn distributions(&self, account: &Account) -> Result<Vec<Described>, Failure> {
        let summaries = sites::Reader::new(&self.client, account)
            .summaries()
            .await?;
        summaries.into_iter().map(described).collect()
    }

    /// Returns a distribution's invalidations that are newer than a time, newest first, at most so many.
    ///
    /// # Errors
    ///
    /// A [`Failure`], with [`Cause::Permission`] where they may not be listed.
    pub async fn invalidations(
        &self,
        distribution: &DistributionId,
        newer_than: DateTime<Utc>,
        most: usize,
        account: &Account,
    ) -> Result<Vec<Listing>, Failure> {
        let mut listed: Vec<Listing> = Vec::new();
        let mut marker = None;
        loop {
            let request = self.client.list_invalidations();
            let request = request.distribution_id(distribution.as_str());
            let answer = request.set_marker(marker.clone()).send().await;
            let answer = answer.map_err(|error| {
                let (action, arn) = (
                    "cloudfront:ListInvalidations",
                    account.distribution_arn(distribution),
                );
                let asked = format!("the invalidations of {distribution}");
                untold(&error, &asked, action, &arn)
            })?;
            let Some(page) = answer.invalidation_list else {
                return Ok(listed);
            };
            for one in page.items() {
                let Some(created) = time(one.create_time()) else {
                    continue;
                };
                if created < newer_than || listed.len() == most {
                    return Ok(listed);
                }
                listed.push(Listing {
                    id: one.id().to_owned(),
                    created,
                    status: one.status().to_owned(),
                });
            }
            let next = page.next_marker().filter(|it| !it.is_empty());
            let next = next.map(str::to_owned);
            if !page.is_truncated() || next.is_none() || next == marker {
                return Ok(listed);
            }
            marker = next;
        }
    }

    /// Returns an invalidation.
    ///
    /// # Errors
    ///
    /// A [`Failure`], with [`Cause::Permission`] where it may not be read.
    pub async fn detail(
        &self,
        distribution: &DistributionId,
        id: &str,
        account: &Account,
    ) -> Result<Invalidation, Failure> {
        let request = self.client.get_invalidation();
        let request = request.distribution_id(distribution.as_str()).id(id);
        let answer = request.send().await.map_err(|error| {
            let (action, arn) = (
                "cloudfront:GetInvalidation",
                account.distribution_arn(distribution),
            );
            untold(
                &error,
                &format!("invalidation {id} of {distribution}"),
                action,
                &arn,
            )
        })?;
        let empty = || Failure::unavailable("CloudFront's answer holds no invalidation: try again");
        let one = answer.invalidation().ok_or_else(empty)?;
        let batch = one.invalidation_batch().ok_or_else(empty)?;
        Ok(Invalidation {
            id: one.id().to_owned(),
            created: time(one.create_time()).ok_or_else(empty)?,
            status: one.status().to_owned(),
            reference: batch.caller_reference().to_owned(),
            paths: batch
                .paths()
                .map(|paths| paths.items().to_vec())
                .unwrap_or_default(),
        })
    }

    /// Returns a distribution as well as it may be known, and the failure to read it where that is a permission's.
    ///
    /// # Errors
    ///
    /// A [`Failure`] of any other cause.
    pub async fn distribution(
        &self,
        id: &DistributionId,
        account: &Account,
    ) -> Result<(Distribution, Option<Failure>), Failure> {
        match sites::site(&self.client, account, id).await {
            Ok(site) => Ok((Distribution::Known(Box::new(site)), None)),
            Err(failure) if failure.cause == Cause::Permission => {
                Ok((Distribution::Unknown(id.clone()), Some(failure)))
            }
            Err(failure) => Err(failure),
        }
    }

    /// Returns the ids of the distributions that have the bucket as an origin.
    ///
    /// # Errors
    ///
    /// A [`Failure`], with [`Cause::Permission`] where the distributions may not be listed.
    pub async fn distributions_of(
        &self,
        bucket: &str,
        account: &Account,
    ) -> Result<Vec<DistributionId>, Failure> {
        let found = sites::sites_of_bucket(&self.client, account, bucket).await?;
        Ok(found.sites.into_iter().map(|site: Site| site.id).collect())
    }
}

impl From<&Invalidation> for crate::plan::Earlier {
    fn from(one: &Invalidation) -> Self {
        Self {
            id: one.id.clone(),
            created: one.created,
            in_progress: one.is_in_progress(),
            paths: one
                .paths
                .iter()
                .map(InvalidationPath::from_cloudfront)
                .collect(),
        }
    }
}

fn described(summary: DistributionSummary) -> Result<Described, Failure> {
    let id = DistributionId::parse(&summary.id)
        .map_err(|error| Failure::unavailable(format!("CloudFront lists {error}")))?;
    let aliases = summary.aliases.and_then(|list| list.items);
    Ok(Described {
        id,
        domain_name: summary.domain_name,
        aliases: aliases.unwrap_or_default(),
        comment: summary.comment,
        enabled: summary.enabled,
        status: summary.status,
    })
}

fn untold<E>(
    error: &SdkError<E, HttpResponse>,
    asked: &str,
    action: &str,
    resource: &str,
) -> Failure
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match (cause(error), error.code()) {
        (Cause::Permission, _) => Failure::missing_permission(action, resource),
        (Cause::Mistake, Some("NoSuchDistribution")) => Failure::mistake(format!(
            "{asked}: the distribution does not exist in this account"
        )),
        (Cause::Mistake, Some("NoSuchInvalidation")) => {
            Failure::mistake(format!("{asked} does not exist"))
        }
        (cause, _) => Failure {
            cause,
            message: format!(
                "CloudFront did not tell {asked} ({}): try again",
                said(error)
            ),
        },
    }
}
