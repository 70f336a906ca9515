//! Looks at the invalidations that CloudFront has already: they may spare others, take up quotas, and are waited for.
//!
//! The list tells neither paths nor references, so each that matters is asked for by its id. That their number is
//! bounded costs precision and never correctness.

use aws_sdk_cloudfront::config::http::HttpResponse;
use aws_sdk_cloudfront::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_cloudfront::types::{Invalidation, InvalidationSummary};
use chrono::{DateTime, Utc};
use futures_util::future::join_all;
use tracing::warn;

use super::cloudfront::{CloudFront, cause, time};
use super::{Account, said};
use crate::distribution::DistributionId;
use crate::failure::{Cause, Failure};
use crate::outcome::Submitted;
use crate::path::InvalidationPath;
use crate::plan::{Batch, Earlier};

/// How many invalidations are looked at to spare others: about as many as can be in progress at the usual limits.
const MAX_LOOKED_AT: usize = 20;

impl CloudFront {
    /// Returns the invalidations that are newer than a time or in progress, from the newest hundred; newest first.
    ///
    /// `known` are some whose paths need not be asked for again. Where there are too many to look at, the oldest are
    /// left out: what they cover is then invalidated again, and the quota they take is found out by a refusal.
    ///
    /// # Errors
    ///
    /// A [`Failure`], with [`Cause::Permission`] where they may not be read.
    pub async fn recent(
        &self,
        distribution: &DistributionId,
        newer_than: DateTime<Utc>,
        known: &[Earlier],
        account: &Account,
    ) -> Result<Vec<Earlier>, Failure> {
        let list = self
            .client
            .list_invalidations()
            .distribution_id(distribution.as_str())
            .send()
            .await;
        let list =
            list.map_err(|error| unread("ListInvalidations", &error, distribution, account))?;
        let summaries = list
            .invalidation_list()
            .map(|list| list.items())
            .unwrap_or_default();
        let looked_at = summaries.iter().filter_map(|summary| {
            let created = time(summary.create_time())?;
            let in_progress = is_in_progress(summary.status());
            (in_progress || created > newer_than).then_some((summary.id(), created, in_progress))
        });
        let paths = |(id, created, in_progress): (&str, DateTime<Utc>, bool)| {
            let known = known
                .iter()
                .find(|one| one.id == id)
                .map(|one| one.paths.clone());
            let id = id.to_owned();
            async move {
                let paths = match known {
                    Some(paths) => paths,
                    None => self.paths(distribution, &id, account).await?,
                };
                Ok(Earlier {
                    id,
                    created,
                    in_progress,
                    paths,
                })
            }
        };
        join_all(looked_at.take(MAX_LOOKED_AT).map(paths))
            .await
            .into_iter()
            .collect()
    }

    /// Tells whether an invalidation is done.
    ///
    /// # Errors
    ///
    /// A [`Failure`], with [`Cause::Permission`] where it may not be read.
    pub async fn is_completed(
        &self,
        distribution: &DistributionId,
        id: &str,
        account: &Account,
    ) -> Result<bool, Failure> {
        let invalidation = self.invalidation(distribution, id, account).await?;
        Ok(!is_in_progress(invalidation.status()))
    }

    /// Returns the id of the invalidation with the batch's reference, if it is among the newest.
    pub(super) async fn find(&self, batch: &Batch, account: &Account) -> Option<Submitted> {
        let Batch {
            distribution,
            reference,
            ..
        } = batch;
        let list = self
            .client
            .list_invalidations()
            .distribution_id(distribution.as_str())
            .send()
            .await
            .ok()?;
        let summaries = list.invalidation_list()?.items();
        let read = |summary: &InvalidationSummary| {
            let id = summary.id().to_owned();
            async move { self.invalidation(distribution, &id, account).await }
        };
        let read = join_all(summaries.iter().take(MAX_LOOKED_AT).map(read)).await;
        let same = |one: &Invalidation| {
            one.invalidation_batch()
                .is_some_and(|batch| batch.caller_reference() == reference.as_str())
        };
        let found = read.into_iter().flatten().find(same)?;
        Some(Submitted {
            id: Some(found.id().to_owned()),
            created: time(found.create_time()),
        })
    }

    async fn invalidation(
        &self,
        distribution: &DistributionId,
        id: &str,
        account: &Account,
    ) -> Result<Invalidation, Failure> {
        let request = self
            .client
            .get_invalidation()
            .distribution_id(distribution.as_str())
            .id(id);
        let answer = request.send().await;
        let answer =
            answer.map_err(|error| unread("GetInvalidation", &error, distribution, account))?;
        answer.invalidation.ok_or_else(|| {
            Failure::unavailable(format!("CloudFront told nothing of invalidation {id}"))
        })
    }

    async fn paths(
        &self,
        distribution: &DistributionId,
        id: &str,
        account: &Account,
    ) -> Result<Vec<InvalidationPath>, Failure> {
        let invalidation = self.invalidation(distribution, id, account).await?;
        let batch = invalidation.invalidation_batch();
        let paths = batch
            .and_then(|batch| batch.paths())
            .map(|paths| paths.items())
            .unwrap_or_default();
        Ok(paths
            .iter()
            .map(InvalidationPath::from_cloudfront)
            .collect())
    }
}

/// Tells whether a status takes up quotas; what is neither of the two known ones counts as done.
fn is_in_progress(status: &str) -> bool {
    if !matches!(status, "InProgress" | "Completed") {
        warn!(
            status,
            "CloudFront tells an unknown status of an invalidation, taken for Completed"
        );
    }
    status == "InProgress"
}

fn unread<E>(
    operation: &str,
    error: &SdkError<E, HttpResponse>,
    distribution: &DistributionId,
    account: &Account,
) -> Failure
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match cause(error) {
        Cause::Permission => Failure::missing_permission(
            &format!("cloudfront:{operation}"),
            &account.distribution_arn(distribution),
        ),
        cause => Failure {
            cause,
            message: format!(
                "CloudFront did not tell the invalidations of {distribution}: {}",
                said(error)
            ),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_an_unknown_status_as_done() {
        for (status, in_progress) in [
            ("InProgress", true),
            ("Completed", false),
            ("In progress", false),
            ("", false),
        ] {
            assert_eq!(is_in_progress(status), in_progress, "{status}");
        }
    }
}
