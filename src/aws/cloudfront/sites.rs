//! Reads the configuration of distributions as [`Site`]s.
//!
//! Only ListDistributions shows which distributions have a bucket as an origin. Its summaries hold everything but the
//! default root object, so the configuration of each such distribution is then read. If that is denied, the summary is
//! used, with `index.html` as the default root object.
//!
//! Whether query strings are part of the cache key is in the cache policy, which takes another call. The policies that
//! AWS manages are known by their ids. The paths of a behavior whose policy cannot be read become wildcards.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_cloudfront::types::{
    CachePolicyQueryStringBehavior, DistributionConfig, DistributionSummary,
};
use futures_util::future::{join, join_all};
use tokio::sync::OnceCell;
use tokio::time::timeout;
use tracing::warn;

use super::CloudFront;
use super::configuration::{
    behaviors, custom_error_responses, from_summary, origin_groups, origins,
};
use super::errors::Call;
use super::features::features;
use super::listing::listed_id;
use super::viewers::viewer_access;
use crate::distribution::DistributionId;
use crate::error::Error;
use crate::site::{INDEX_DOCUMENT, Origin, QueryStrings, Site};
use crate::verify::ViewerAccess;

/// AWS's managed cache policies ([documented](https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/using-managed-cache-policies.html))
/// that leave query strings out of the cache key.
const MANAGED_WITHOUT_QUERY_STRINGS: [&str; 4] = [
    "658327ea-f89d-4fab-a63d-7e88639e58f6", // CachingOptimized
    "b2884449-e4de-46a7-ac36-70bc7f1ddd6d", // CachingOptimizedForUncompressedObjects
    "4135ea2d-6df8-44a3-9df3-4b5a84be39ad", // CachingDisabled: nothing is cached
    "83da9c7e-98b4-4e11-a168-04f0df8e2c65", // UseOriginCacheControlHeaders
];

/// AWS's managed cache policies that have query strings in the cache key.
const MANAGED_WITH_QUERY_STRINGS: [&str; 3] = [
    "4cc15a8a-d715-48a4-82b8-cc0b614638fe", // UseOriginCacheControlHeaders-QueryStrings
    "08627262-05a9-4f76-9ded-b50ca2e3a84f", // Elemental-MediaPackage
    "2e54312d-136d-493c-8eb9-b001f22f67d2", // Amplify
];

/// How long reading a cache policy may take: the paths of its behaviors can become wildcards instead.
const MAX_CACHE_POLICY_TIME: Duration = Duration::from_secs(3);

/// A distribution as ListDistributions returns it: with its configuration except for the default root object.
#[derive(Clone, Debug, PartialEq)]
pub struct ListedDistribution {
    /// Its id.
    pub id: DistributionId,
    summary: DistributionSummary,
}

impl ListedDistribution {
    /// Returns whether the bucket is an origin.
    pub fn has_origin(&self, bucket: &str) -> bool {
        let is_bucket = |origin: &Origin| origin.endpoint_of(bucket).is_some();
        origins(self.summary.origins.as_ref()).iter().any(is_bucket)
    }
}

/// A listed distribution whose configuration was read, or taken from the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedSite {
    /// The configuration.
    pub site: Site,
    /// Why the configuration is the one of the list, with an assumed default root object.
    pub denied: Option<Error>,
}

impl CloudFront {
    /// Lists all distributions of the account, with their origins.
    ///
    /// # Errors
    ///
    /// [`Error`] if they cannot be listed.
    pub async fn listed_distributions(&self) -> Result<Vec<ListedDistribution>, Error> {
        let summaries = self.distribution_summaries().await?.into_iter();
        let listed = summaries.map(|summary| {
            let id = listed_id(&summary.id)?;
            Ok(ListedDistribution { id, summary })
        });
        listed.collect()
    }

    /// Reads one distribution.
    ///
    /// # Errors
    ///
    /// [`Error`] if it does not exist or cannot be read.
    pub async fn site(&self, id: &DistributionId) -> Result<Site, Error> {
        SiteReader::new(self).site(id).await
    }
}

/// Reads sites for one event, each cache policy once.
#[derive(Debug)]
pub struct SiteReader<'a> {
    cloudfront: &'a CloudFront,
    cache_policies: Mutex<HashMap<String, Arc<OnceCell<QueryStrings>>>>,
}

impl<'a> SiteReader<'a> {
    /// Creates a reader; reads nothing.
    pub fn new(cloudfront: &'a CloudFront) -> Self {
        let without = MANAGED_WITHOUT_QUERY_STRINGS.map(|id| (id, QueryStrings::Ignored));
        let with = MANAGED_WITH_QUERY_STRINGS.map(|id| (id, QueryStrings::InCacheKey));
        let managed = without.into_iter().chain(with);
        let cache_policies = managed.map(|(id, query_strings)| {
            let query_strings = OnceCell::new_with(Some(query_strings));
            (id.to_owned(), Arc::new(query_strings))
        });
        Self {
            cloudfront,
            cache_policies: Mutex::new(cache_policies.collect()),
        }
    }

    /// Returns the client.
    pub fn cloudfront(&self) -> &'a CloudFront {
        self.cloudfront
    }

    /// Reads one distribution.
    ///
    /// # Errors
    ///
    /// [`Error`] if it does not exist or cannot be read.
    pub async fn site(&self, id: &DistributionId) -> Result<Site, Error> {
        let configuration = self.configuration(id).await?;
        Ok(self.site_of(id.clone(), configuration).await)
    }

    /// Reads a distribution that was listed. If IAM denies it, uses its summary, with `INDEX_DOCUMENT` as the
    /// default root object.
    ///
    /// # Errors
    ///
    /// [`Error`] if it no longer exists, or cannot be read for another reason than IAM.
    pub async fn listed_site(&self, listed: &ListedDistribution) -> Result<ListedSite, Error> {
        let ListedDistribution { id, summary } = listed;
        // The list has the ids of the cache policies, so that they are read beside the configuration.
        let (configuration, ()) =
            join(self.configuration(id), self.read_cache_policies(summary)).await;
        let (configuration, denied) = match configuration {
            Ok(configuration) => (configuration, None),
            Err(error) if error.is_access_denied() => (from_summary(summary.clone())?, Some(error)),
            Err(error) => return Err(error),
        };
        let site = self.site_of(id.clone(), configuration).await;
        let denied = denied.map(|error| {
            error.context(format_args!(
                "{INDEX_DOCUMENT} is assumed to be the default root object"
            ))
        });
        Ok(ListedSite { site, denied })
    }

    /// Reads one distribution, and how viewers reach it. If IAM denies GetDistribution, which has CloudFront's domain name,
    /// reads the configuration only.
    ///
    /// # Errors
    ///
    /// [`Error`] if it does not exist or cannot be read.
    pub async fn site_of_viewers(
        &self,
        id: &DistributionId,
    ) -> Result<(Site, ViewerAccess), Error> {
        let (configuration, domain_name) = match self.cloudfront.distribution(id).await {
            Ok((configuration, domain_name)) => (configuration, Some(domain_name)),
            Err(error) if error.is_access_denied() => (self.configuration(id).await?, None),
            Err(error) => return Err(error),
        };
        let access = ViewerAccess {
            domain_name,
            ..viewer_access(&configuration)
        };
        Ok((self.site_of(id.clone(), configuration).await, access))
    }

    async fn configuration(&self, id: &DistributionId) -> Result<DistributionConfig, Error> {
        self.cloudfront.distribution_config(id).await
    }

    async fn read_cache_policies(&self, summary: &DistributionSummary) {
        let in_order = behaviors(
            summary.cache_behaviors.clone(),
            summary.default_cache_behavior.clone(),
        );
        let ids = in_order.filter_map(|(_, cache_policy)| cache_policy);
        join_all(ids.map(async |id| self.query_strings(&id).await)).await;
    }

    async fn site_of(&self, id: DistributionId, config: DistributionConfig) -> Site {
        let features = features(&config);
        let in_order = behaviors(config.cache_behaviors, config.default_cache_behavior);
        let with_policy = in_order.map(async |(mut behavior, cache_policy)| {
            if let Some(id) = cache_policy {
                behavior.query_strings = self.query_strings(&id).await;
            }
            behavior
        });
        let cache_behaviors = join_all(with_policy).await;
        let aliases = config.aliases.and_then(|aliases| aliases.items);
        Site {
            id,
            enabled: config.enabled,
            aliases: aliases.unwrap_or_default(),
            origins: origins(config.origins.as_ref()),
            origin_groups: origin_groups(config.origin_groups),
            cache_behaviors,
            // An empty element means that there is none.
            default_root_object: config.default_root_object.filter(|key| !key.is_empty()),
            custom_error_responses: custom_error_responses(config.custom_error_responses),
            features,
        }
    }

    /// Returns whether the cache policy has query strings in the cache key. Behaviors with the same policy share one read.
    async fn query_strings(&self, cache_policy: &str) -> QueryStrings {
        let cell = {
            let cache_policies = self.cache_policies.lock();
            let mut cache_policies = cache_policies.unwrap_or_else(PoisonError::into_inner);
            Arc::clone(cache_policies.entry(cache_policy.to_owned()).or_default())
        };
        *cell
            .get_or_init(|| self.read_query_strings(cache_policy))
            .await
    }

    async fn read_query_strings(&self, cache_policy: &str) -> QueryStrings {
        let call = Call::GetCachePolicy(cache_policy);
        let CloudFront {
            client, account, ..
        } = self.cloudfront;
        let request = client.get_cache_policy().id(cache_policy);
        let response = timeout(MAX_CACHE_POLICY_TIME, request.send()).await;
        let response = match response {
            Ok(response) => response.map_err(|error| call.error(&error, account)),
            Err(_elapsed) => Err(call.no_response()),
        };
        let response = match response {
            Ok(response) => response,
            Err(error) if error.is_access_denied() => return QueryStrings::Denied,
            Err(error) => {
                warn!("its paths become wildcards: {error}");
                return QueryStrings::Unreadable;
            }
        };
        let behavior = response
            .cache_policy()
            .and_then(|policy| policy.cache_policy_config())
            .and_then(|config| config.parameters_in_cache_key_and_forwarded_to_origin())
            .and_then(|parameters| parameters.query_strings_config())
            .map(|config| config.query_string_behavior());
        match behavior {
            Some(CachePolicyQueryStringBehavior::None) => QueryStrings::Ignored,
            Some(
                CachePolicyQueryStringBehavior::All
                | CachePolicyQueryStringBehavior::AllExcept
                | CachePolicyQueryStringBehavior::Whitelist,
            ) => QueryStrings::InCacheKey,
            _ => QueryStrings::Unreadable,
        }
    }
}
