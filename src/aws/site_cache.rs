//! `Distributions`: the configurations that decide what is cached where, read when needed and remembered for minutes.
//!
//! Events come in bursts and configurations change by the month, so a warm function asks once for many events. A
//! configuration that may not be read is no reason to stop: the object's key alone tells a path, and the log tells
//! which permission is missing.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

use super::cloudfront::CloudFront;
use super::{Account, sites};
use crate::distribution::DistributionId;
use crate::failure::{Cause, Failure};
use crate::site::{Distribution, Site};

/// How long a configuration is taken for current.
const REMEMBERED_FOR: Duration = Duration::from_secs(5 * 60);

/// What was read of distributions lately.
#[derive(Debug, Default)]
pub struct Distributions {
    remembered: Mutex<HashMap<Question, (Instant, Vec<Distribution>)>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Question {
    OfBucket(String),
    Named(DistributionId),
}

impl Distributions {
    /// Returns the distributions named, or else those that have the bucket as an origin; and why others are missing.
    ///
    /// One that cannot be read does not keep the others from being served.
    pub async fn serving(
        &self,
        bucket: &str,
        named: &[DistributionId],
        cloudfront: &CloudFront,
        account: &Account,
    ) -> (Vec<Distribution>, Vec<Failure>) {
        let questions = match named {
            [] => vec![Question::OfBucket(bucket.to_owned())],
            ids => ids.iter().cloned().map(Question::Named).collect(),
        };
        let (mut distributions, mut failures) = (Vec::new(), Vec::new());
        for question in &questions {
            match self.answer(question.clone(), cloudfront, account).await {
                Ok(found) => distributions.extend(found),
                Err(failure) => failures.push(failure),
            }
        }
        if failures.is_empty()
            && !distributions
                .iter()
                .any(|distribution| distribution.may_serve(bucket))
        {
            // Someone may be about to mend it: the next event shall see that.
            self.remembered()
                .retain(|question, _| !questions.contains(question));
            failures.push(no_origin(bucket, named));
        }
        (distributions, failures)
    }

    async fn answer(
        &self,
        question: Question,
        cloudfront: &CloudFront,
        account: &Account,
    ) -> Result<Vec<Distribution>, Failure> {
        if let Some((read, known)) = self.remembered().get(&question)
            && read.elapsed() < REMEMBERED_FOR
        {
            return Ok(known.clone());
        }
        let read = Instant::now();
        let distributions = match &question {
            Question::OfBucket(bucket) => {
                let found = sites::sites_of_bucket(&cloudfront.client, account, bucket).await?;
                found.warnings.iter().for_each(|failure| warn!("{failure}"));
                found.sites.into_iter().map(known).collect()
            }
            Question::Named(id) => vec![match sites::site(&cloudfront.client, account, id).await {
                Ok(site) => known(site),
                Err(failure) if failure.cause == Cause::Permission => {
                    warn!(distribution = %id, "paths are told from keys alone: {failure}");
                    Distribution::Unknown(id.clone())
                }
                Err(failure) => return Err(failure),
            }],
        };
        self.remembered()
            .insert(question, (read, distributions.clone()));
        Ok(distributions)
    }

    fn remembered(
        &self,
    ) -> std::sync::MutexGuard<'_, HashMap<Question, (Instant, Vec<Distribution>)>> {
        // What a panic left behind is whole: an entry is inserted at once.
        self.remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn known(site: Site) -> Distribution {
    Distribution::Known(Box::new(site))
}

fn no_origin(bucket: &str, named: &[DistributionId]) -> Failure {
    Failure::mistake(match named {
        [] => format!(
            "no distribution of this account has bucket {bucket} as an origin: remove the bucket's notification, or \
             name the distribution in DISTRIBUTION_ID"
        ),
        ids => {
            let ids: Vec<_> = ids.iter().map(DistributionId::as_str).collect();
            format!(
                "bucket {bucket} is no origin of {}: correct DISTRIBUTION_ID, or remove the bucket's notification",
                ids.join(" and ")
            )
        }
    })
}
