//! `SiteCache`: the configurations of distributions, read when needed and reused for five minutes.
//!
//! Events come in bursts and configurations change rarely, so one read serves many events. If IAM denies reading the
//! configuration of a distribution that the settings name, the paths are derived from the object's key alone; of one
//! that was found by its bucket, the summary of the list is used. The log names the missing permission.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

use super::cloudfront::CloudFront;
use crate::distribution::DistributionId;
use crate::error::Error;
use crate::site::{MaybeSite, Site};

/// How long a configuration that was read is used.
const TIME_TO_LIVE: Duration = Duration::from_secs(5 * 60);

/// The configurations that were read in the last five minutes.
#[derive(Debug, Default)]
pub struct SiteCache {
    entries: Mutex<HashMap<Query, Entry>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Query {
    OfBucket(String),
    FromSettings(DistributionId),
}

#[derive(Clone, Debug)]
struct Entry {
    read_at: Instant,
    sites: Vec<MaybeSite>,
}

impl SiteCache {
    /// Returns the distributions that are named, or else those that have the bucket as an origin; and the errors of
    /// those that could not be read.
    pub async fn sites_of_bucket(
        &self,
        bucket: &str,
        named: &[DistributionId],
        cloudfront: &CloudFront,
    ) -> (Vec<MaybeSite>, Vec<Error>) {
        let queries = match named {
            [] => vec![Query::OfBucket(bucket.to_owned())],
            ids => ids.iter().cloned().map(Query::FromSettings).collect(),
        };
        let (mut sites, mut errors) = (Vec::new(), Vec::new());
        for query in &queries {
            match self.read(query.clone(), cloudfront).await {
                Ok(found) => sites.extend(found),
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() && !sites.iter().any(|site| site.may_have_origin(bucket)) {
            // The operator may be correcting it: the next event reads it again.
            self.entries().retain(|query, _| !queries.contains(query));
            errors.push(no_origin(bucket, named));
        }
        (sites, errors)
    }

    async fn read(&self, query: Query, cloudfront: &CloudFront) -> Result<Vec<MaybeSite>, Error> {
        if let Some(entry) = self.entries().get(&query)
            && entry.read_at.elapsed() < TIME_TO_LIVE
        {
            return Ok(entry.sites.clone());
        }
        let read_at = Instant::now();
        let sites = match &query {
            Query::OfBucket(bucket) => {
                let found = cloudfront.bucket_sites(bucket).await?;
                found.denied.iter().for_each(|error| warn!("{error}"));
                found.sites.into_iter().map(known).collect()
            }
            Query::FromSettings(id) => vec![match cloudfront.site(id).await {
                Ok(site) => known(site),
                Err(error) if error.is_access_denied() => {
                    warn!(distribution = %id, "paths are derived from the object keys alone: {error}");
                    MaybeSite::Unknown(id.clone())
                }
                Err(error) => return Err(error),
            }],
        };
        let entry = Entry {
            read_at,
            sites: sites.clone(),
        };
        self.entries().insert(query, entry);
        Ok(sites)
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<Query, Entry>> {
        // A panic leaves no half-written entry: each is inserted at once.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn known(site: Site) -> MaybeSite {
    MaybeSite::Known(Box::new(site))
}

fn no_origin(bucket: &str, named: &[DistributionId]) -> Error {
    Error::invalid_input(match named {
        [] => format!(
            "no distribution of this account has bucket {bucket} as an origin: remove the bucket's notification, or \
             set DISTRIBUTION_ID"
        ),
        ids => {
            let ids: Vec<_> = ids.iter().map(DistributionId::as_str).collect();
            format!(
                "bucket {bucket} is not an origin of {}: correct DISTRIBUTION_ID, or remove the bucket's notification",
                ids.join(" and ")
            )
        }
    })
}
