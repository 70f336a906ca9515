//! Reads the invalidations that CloudFront has.
//!
//! ListInvalidations returns neither paths nor caller references, so each invalidation that matters takes a call of
//! GetInvalidation. The number of these calls is bounded: what is not read may be invalidated again, never skipped.

use std::collections::BTreeMap;

use aws_sdk_cloudfront::primitives::DateTime as SdkDateTime;
use aws_sdk_cloudfront::types::{self, InvalidationList};
use chrono::{DateTime, Utc};
use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use tokio::time::{Instant, timeout_at};
use tracing::warn;

use super::CloudFront;
use super::errors::Call;
use crate::distribution::DistributionId;
use crate::error::Error;
use crate::path::SubmittedPath;
use crate::plan::limits::MAX_INVALIDATIONS_READ;
use crate::plan::{Batch, ExistingInvalidation, InvalidationId, InvalidationStatus};

/// How many invalidations ListInvalidations returns at most.
pub(super) const MAX_LISTED: usize = 100;

/// How many invalidations are read at a time.
const CONCURRENT_READS: usize = 20;

/// An invalidation as ListInvalidations returns it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidationSummary {
    /// Its id.
    pub id: InvalidationId,
    /// When CloudFront created it.
    pub created: DateTime<Utc>,
    /// Its status.
    pub status: InvalidationStatus,
}

impl InvalidationSummary {
    /// Returns whether it is in progress.
    pub fn is_in_progress(&self) -> bool {
        self.status == InvalidationStatus::InProgress
    }
}

impl CloudFront {
    /// Returns the invalidations that are newer than a time or in progress, from the newest hundred, newest first.
    ///
    /// The paths of the `known` ones are not read again. If there are more than [`MAX_INVALIDATIONS_READ`], the oldest
    /// are left out: what they cover is invalidated again, and if they use up the quota, CloudFront rejects the request.
    ///
    /// # Errors
    ///
    /// [`Error`] if they cannot be read.
    pub async fn recent_invalidations(
        &self,
        distribution: &DistributionId,
        newer_than: DateTime<Utc>,
        known: &[ExistingInvalidation],
    ) -> Result<Vec<ExistingInvalidation>, Error> {
        let (newest, _) = self.list_page(distribution, None).await?;
        let relevant = newest
            .into_iter()
            .filter(|summary| summary.is_in_progress() || summary.created > newer_than);
        let read = relevant
            .take(MAX_INVALIDATIONS_READ)
            .map(|summary| async move {
                let known = known
                    .iter()
                    .find(|invalidation| invalidation.id == summary.id);
                let invalidation = match known {
                    Some(known) => known.clone(),
                    None => self.invalidation(distribution, &summary.id).await?,
                };
                Ok(ExistingInvalidation {
                    status: summary.status,
                    ..invalidation
                })
            });
        join_all(read).await.into_iter().collect()
    }

    /// Returns whether an invalidation that was created is completed. One that CloudFront does not return is not: right
    /// after its creation it is possibly not visible yet.
    ///
    /// # Errors
    ///
    /// [`Error`] if it cannot be read.
    pub async fn is_completed(
        &self,
        distribution: &DistributionId,
        id: &InvalidationId,
    ) -> Result<bool, Error> {
        match self.invalidation(distribution, id).await {
            Ok(invalidation) => Ok(!invalidation.is_in_progress()),
            Err(error) if error.is_no_such_invalidation() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Returns an invalidation with its paths.
    ///
    /// # Errors
    ///
    /// [`Error`] if it does not exist or cannot be read.
    pub async fn invalidation(
        &self,
        distribution: &DistributionId,
        id: &InvalidationId,
    ) -> Result<ExistingInvalidation, Error> {
        let call = Call::GetInvalidation(distribution, id);
        let request = self
            .client
            .get_invalidation()
            .distribution_id(distribution.as_str())
            .id(id.as_str());
        let response = request.send().await;
        let response = response.map_err(|error| call.error(&error, &self.account))?;
        (response.invalidation.as_ref())
            .map(existing)
            .ok_or_else(|| call.unavailable("the response holds no invalidation"))
    }

    /// Returns an invalidation with its paths.
    ///
    /// # Errors
    ///
    /// [`Error`] if it does not exist, or cannot be read before `deadline`.
    pub async fn invalidation_before(
        &self,
        distribution: &DistributionId,
        id: &InvalidationId,
        deadline: Instant,
    ) -> Result<ExistingInvalidation, Error> {
        let read = timeout_at(deadline, self.invalidation(distribution, id)).await;
        read.unwrap_or_else(|_elapsed| Err(Call::GetInvalidation(distribution, id).no_response()))
    }

    /// Returns the invalidation, and which of the distributions has it.
    ///
    /// # Errors
    ///
    /// [`Error`] if none of them has it, or one that possibly has it cannot be read before `deadline`.
    pub async fn find_invalidation(
        &self,
        distributions: &[DistributionId],
        id: &InvalidationId,
        deadline: Instant,
    ) -> Result<(DistributionId, ExistingInvalidation), Error> {
        let read = async |(index, distribution)| {
            let read = self.invalidation_before(distribution, id, deadline).await;
            (index, distribution, read)
        };
        let reads = distributions.iter().enumerate().map(read);
        let mut reads = stream::iter(reads).buffer_unordered(CONCURRENT_READS);
        let mut missing = None;
        let mut unknown = BTreeMap::new();
        while let Some((index, distribution, read)) = reads.next().await {
            match read {
                Ok(invalidation) => return Ok((distribution.clone(), invalidation)),
                Err(error) if error.is_no_such_invalidation() => missing = Some(error),
                // A distribution that cannot be read possibly has it.
                Err(error) => {
                    unknown.insert(index, error);
                }
            }
        }
        let missing = missing.map(|error| match unknown.is_empty() {
            true => error.of_all(id.as_str(), distributions),
            false => error,
        });
        let error = Error::join(unknown.into_values().chain(missing));
        Err(error.unwrap_or_else(|| Error::invalid_input("no distribution is named")))
    }

    /// Returns the newest hundred invalidations, newest first.
    ///
    /// # Errors
    ///
    /// [`Error`] if they cannot be listed before `deadline`.
    pub async fn newest_invalidations(
        &self,
        distribution: &DistributionId,
        deadline: Instant,
    ) -> Result<Vec<InvalidationSummary>, Error> {
        let page = timeout_at(deadline, self.list_page(distribution, None)).await;
        let (newest, _) = page
            .unwrap_or_else(|_elapsed| Err(Call::ListInvalidations(distribution).no_response()))?;
        Ok(newest)
    }

    /// Returns the invalidations that are not older than a time, newest first, `maximum` of them at most.
    ///
    /// # Errors
    ///
    /// [`Error`] if they cannot be listed.
    #[cfg(feature = "cli")]
    pub async fn list_invalidations(
        &self,
        distribution: &DistributionId,
        not_before: DateTime<Utc>,
        maximum: usize,
    ) -> Result<Vec<InvalidationSummary>, Error> {
        let mut listed = Vec::new();
        self.list_pages(&mut listed, distribution, not_before, maximum)
            .await?;
        Ok(listed)
    }

    /// Returns the invalidations that are not older than a time, newest first, `maximum` of them at most, and why the
    /// older ones of them are missing if they cannot be listed before `deadline`.
    pub async fn list_invalidations_until(
        &self,
        distribution: &DistributionId,
        not_before: DateTime<Utc>,
        maximum: usize,
        deadline: Instant,
    ) -> (Vec<InvalidationSummary>, Option<Error>) {
        let mut listed = Vec::new();
        let pages = self.list_pages(&mut listed, distribution, not_before, maximum);
        let result = timeout_at(deadline, pages).await;
        let result = result
            .unwrap_or_else(|_elapsed| Err(Call::ListInvalidations(distribution).no_response()));
        (listed, result.err())
    }

    /// Adds the invalidations that are not older than a time, newest first, page by page.
    async fn list_pages(
        &self,
        listed: &mut Vec<InvalidationSummary>,
        distribution: &DistributionId,
        not_before: DateTime<Utc>,
        maximum: usize,
    ) -> Result<(), Error> {
        let mut marker = None;
        loop {
            let (page, next) = self.list_page(distribution, marker.clone()).await?;
            let is_last = page.iter().any(|summary| summary.created < not_before);
            let newer = page
                .into_iter()
                .filter(|summary| summary.created >= not_before);
            listed.extend(newer);
            listed.truncate(maximum);
            // A marker that comes twice would never end.
            if is_last || listed.len() == maximum || next.is_none() || next == marker {
                return Ok(());
            }
            marker = next;
        }
    }

    /// Returns how many paths an invalidation has.
    ///
    /// # Errors
    ///
    /// [`Error`] if it does not exist or cannot be read.
    pub async fn path_count(
        &self,
        distribution: &DistributionId,
        id: &InvalidationId,
    ) -> Result<usize, Error> {
        let invalidation = self.invalidation(distribution, id).await?;
        match invalidation.paths.len() {
            // CloudFront accepts no batch without paths.
            0 => {
                Err(Call::GetInvalidation(distribution, id)
                    .unavailable("the response holds no paths"))
            }
            paths => Ok(paths),
        }
    }

    /// Returns the invalidation with the batch's caller reference, if it is among the newest `maximum`, of which there are
    /// at most [`MAX_LISTED`].
    pub(super) async fn find_by_reference(
        &self,
        batch: &Batch,
        maximum: usize,
    ) -> Result<Option<ExistingInvalidation>, Error> {
        let distribution = batch.distribution();
        let (newest, _) = self.list_page(distribution, None).await?;
        let reads = newest
            .iter()
            .take(maximum)
            .map(|summary| self.invalidation(distribution, &summary.id));
        let mut results = stream::iter(reads).buffered(CONCURRENT_READS);
        let mut unread = None;
        while let Some(result) = results.next().await {
            match result {
                Ok(invalidation) if invalidation.caller_reference == batch.reference().as_str() => {
                    return Ok(Some(invalidation));
                }
                Ok(_) => {}
                Err(error) => unread = unread.or(Some(error)),
            }
        }
        unread.map_or(Ok(None), Err)
    }

    /// Returns a page of up to a hundred invalidations, newest first, and the marker of the next page.
    async fn list_page(
        &self,
        distribution: &DistributionId,
        marker: Option<String>,
    ) -> Result<(Vec<InvalidationSummary>, Option<String>), Error> {
        let request = self
            .client
            .list_invalidations()
            .distribution_id(distribution.as_str())
            .set_marker(marker);
        let response = request
            .send()
            .await
            .map_err(|error| Call::ListInvalidations(distribution).error(&error, &self.account))?;
        let Some(list) = response.invalidation_list else {
            return Ok((Vec::new(), None));
        };
        let summary = |summary: &types::InvalidationSummary| InvalidationSummary {
            id: InvalidationId::new(summary.id()),
            created: time(summary.create_time()),
            status: status(summary.status()),
        };
        Ok((
            list.items().iter().map(summary).collect(),
            next_marker(&list),
        ))
    }
}

fn next_marker(list: &InvalidationList) -> Option<String> {
    let marker = list.next_marker().filter(|marker| !marker.is_empty())?;
    list.is_truncated().then(|| marker.to_owned())
}

/// Converts the SDK's invalidation. Without a batch it has no paths, and covers nothing.
pub(super) fn existing(invalidation: &types::Invalidation) -> ExistingInvalidation {
    let batch = invalidation.invalidation_batch();
    let paths = batch
        .and_then(|batch| batch.paths())
        .map(|paths| paths.items())
        .unwrap_or_default();
    let reference = batch.map(|batch| batch.caller_reference());
    ExistingInvalidation {
        id: InvalidationId::new(invalidation.id()),
        created: time(invalidation.create_time()),
        status: status(invalidation.status()),
        caller_reference: reference.unwrap_or_default().to_owned(),
        paths: paths.iter().cloned().map(SubmittedPath::from).collect(),
    }
}

/// Converts the SDK's time. A time out of range becomes 1970, so that the invalidation covers no change.
fn time(time: &SdkDateTime) -> DateTime<Utc> {
    DateTime::from_timestamp(time.secs(), time.subsec_nanos()).unwrap_or_default()
}

/// Reads a status. An unknown one counts as completed, so that nobody waits for it forever.
fn status(text: &str) -> InvalidationStatus {
    match text {
        "InProgress" => InvalidationStatus::InProgress,
        "Completed" => InvalidationStatus::Completed,
        unknown => {
            warn!(
                status = unknown,
                "unknown status of an invalidation: treated as Completed"
            );
            InvalidationStatus::Completed
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_an_unknown_status_as_completed() {
        for (text, expected) in [
            ("InProgress", InvalidationStatus::InProgress),
            ("Completed", InvalidationStatus::Completed),
            ("In progress", InvalidationStatus::Completed),
            ("", InvalidationStatus::Completed),
        ] {
            assert_eq!(status(text), expected, "{text}");
        }
    }
}
