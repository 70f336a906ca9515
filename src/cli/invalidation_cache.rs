//! `InvalidationCache`: completed invalidations, stored on disk.
//!
//! A completed invalidation never changes, so its paths are read from CloudFront once. There is one file for each
//! distribution, in the user's cache directory. If it cannot be read or written, calls are repeated.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use futures_util::{StreamExt, stream};

use super::directories;
use crate::aws::cloudfront::{CloudFront, InvalidationSummary};
use crate::distribution::DistributionId;
use crate::error::Error;
use crate::plan::{ExistingInvalidation, InvalidationId};

/// How many completed invalidations of a distribution are stored. The oldest are dropped first.
const MAX_STORED: usize = 10_000;

/// How many invalidations are read from CloudFront at a time.
const CONCURRENT_READS: usize = 8;

/// The completed invalidations of one distribution.
pub(super) struct InvalidationCache {
    file: Option<PathBuf>,
    completed: BTreeMap<InvalidationId, ExistingInvalidation>,
}

impl InvalidationCache {
    /// Opens the cache of a distribution; it is empty if the file cannot be read.
    pub(super) fn open(distribution: &DistributionId) -> Self {
        let file =
            directories::cache().map(|directory| directory.join(format!("{distribution}.json")));
        let text = file.as_ref().and_then(|file| fs::read(file).ok());
        let completed = text.and_then(|text| serde_json::from_slice(&text).ok());
        Self {
            file,
            completed: completed.unwrap_or_default(),
        }
    }

    /// Returns the listed invalidations with their paths, in the order of the list. Those that are not stored are read
    /// from CloudFront, and stored if they are completed.
    pub(super) async fn read(
        &mut self,
        cloudfront: &CloudFront,
        distribution: &DistributionId,
        summaries: &[InvalidationSummary],
    ) -> Result<Vec<ExistingInvalidation>, Error> {
        let completed = &self.completed;
        let reads = summaries.iter().map(|summary| async move {
            match completed.get(&summary.id) {
                Some(stored) => Ok(stored.clone()),
                None => cloudfront.invalidation(distribution, &summary.id).await,
            }
        });
        let results: Vec<_> = stream::iter(reads)
            .buffered(CONCURRENT_READS)
            .collect()
            .await;
        let stored_before = self.completed.len();
        for invalidation in results.iter().flatten() {
            if !invalidation.is_in_progress() {
                let id = invalidation.id.clone();
                self.completed.insert(id, invalidation.clone());
            }
        }
        if self.completed.len() > stored_before {
            self.save();
        }
        results.into_iter().collect()
    }

    fn save(&mut self) {
        let mut created: Vec<_> = self
            .completed
            .values()
            .map(|invalidation| invalidation.created)
            .collect();
        created.sort_unstable_by_key(|created| Reverse(*created));
        if let Some(newest_dropped) = created.get(MAX_STORED) {
            self.completed
                .retain(|_, invalidation| invalidation.created > *newest_dropped);
        }
        let Some(file) = &self.file else { return };
        let Ok(text) = serde_json::to_vec(&self.completed) else {
            return;
        };
        // Another process can read the file at any time, so it is replaced in one step.
        let temporary = file.with_extension(format!("{}.part", std::process::id()));
        let directory = file.parent().map(fs::create_dir_all);
        let is_written =
            directory.is_some_and(|created| created.is_ok()) && fs::write(&temporary, text).is_ok();
        if !is_written || fs::rename(&temporary, file).is_err() {
            let _ = fs::remove_file(&temporary);
        }
    }
}
