//! Reads the configuration of distributions as [`Site`]s.
//!
//! Only ListDistributions shows which distributions have a bucket as an origin. Its summaries hold everything but the
//! default root object, so the configuration of each such distribution is then read. If that is denied, the summary is
//! used, with `index.html` as the default root object.
//!
//! Whether query strings are part of the cache key is in the cache policy, which takes another call. The policies that
//! AWS manages are known by their ids. A policy that cannot be read is [`QueryStrings::Unknown`]: the paths of its
//! behaviors become wildcards.

use std::collections::HashMap;

use aws_sdk_cloudfront::types::{CachePolicyQueryStringBehavior, DistributionConfig};

use super::CloudFront;
use super::configuration::{
    LIKELY_ROOT, behaviors, custom_error_responses, from_summary, origin_groups, origins,
};
use super::errors::Call;
use super::listing::listed_id;
use crate::distribution::DistributionId;
use crate::error::Error;
use crate::site::{Origin, QueryStrings, Site};

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

/// The distributions that have a bucket as an origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketSites {
    /// In CloudFront's order, disabled ones too.
    pub sites: Vec<Site>,
    /// The configurations that IAM denied to read; their summaries are used.
    pub denied: Vec<Error>,
}

impl CloudFront {
    /// Reads all distributions that have the bucket as an origin.
    ///
    /// # Errors
    ///
    /// [`Error`] if the distributions cannot be listed, or one of them cannot be read for another reason than IAM.
    pub async fn bucket_sites(&self, bucket: &str) -> Result<BucketSites, Error> {
        let mut reader = SiteReader::new(self);
        let (mut sites, mut denied) = (Vec::new(), Vec::new());
        for summary in self.distribution_summaries().await? {
            let is_bucket = |origin: &Origin| origin.endpoint_of(bucket).is_some();
            if !origins(summary.origins.as_ref()).iter().any(is_bucket) {
                continue;
            }
            let id = listed_id(&summary.id)?;
            let configuration = match reader.configuration(&id).await {
                Ok(configuration) => configuration,
                // Deleted after it was listed.
                Err(error) if error.is_no_such_distribution() => continue,
                Err(error) if error.is_access_denied() => {
                    denied.push(error.context(format_args!(
                        "{id}, whose default root object is assumed to be {LIKELY_ROOT}"
                    )));
                    from_summary(summary)?
                }
                Err(error) => return Err(error),
            };
            sites.push(reader.site(id, configuration).await);
        }
        Ok(BucketSites { sites, denied })
    }

    /// Reads one distribution.
    ///
    /// # Errors
    ///
    /// [`Error`] if it does not exist or cannot be read.
    pub async fn site(&self, id: &DistributionId) -> Result<Site, Error> {
        let mut reader = SiteReader::new(self);
        let configuration = reader.configuration(id).await?;
        Ok(reader.site(id.clone(), configuration).await)
    }
}

/// Reads sites for one call, each cache policy once.
struct SiteReader<'a> {
    cloudfront: &'a CloudFront,
    cache_policies: HashMap<String, QueryStrings>,
}

impl<'a> SiteReader<'a> {
    fn new(cloudfront: &'a CloudFront) -> Self {
        let without = MANAGED_WITHOUT_QUERY_STRINGS.map(|id| (id, QueryStrings::Ignored));
        let with = MANAGED_WITH_QUERY_STRINGS.map(|id| (id, QueryStrings::InCacheKey));
        let managed = without.into_iter().chain(with);
        Self {
            cloudfront,
            cache_policies: managed
                .map(|(id, query_strings)| (id.to_owned(), query_strings))
                .collect(),
        }
    }

    async fn configuration(&self, id: &DistributionId) -> Result<DistributionConfig, Error> {
        let call = Call::GetDistributionConfig(id);
        let CloudFront { client, account } = self.cloudfront;
        let request = client.get_distribution_config().id(id.as_str());
        let response = request.send().await;
        response
            .map_err(|error| call.error(&error, account))?
            .distribution_config
            .ok_or_else(|| call.unavailable("the response holds no configuration"))
    }

    async fn site(&mut self, id: DistributionId, config: DistributionConfig) -> Site {
        let mut cache_behaviors = Vec::new();
        let in_order = behaviors(config.cache_behaviors, config.default_cache_behavior);
        for (mut behavior, cache_policy) in in_order {
            if let Some(id) = cache_policy.filter(|id| !id.is_empty()) {
                behavior.query_strings = self.query_strings(&id).await;
            }
            cache_behaviors.push(behavior);
        }
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
        }
    }

    /// Returns whether the cache policy has query strings in the cache key; a policy that cannot be read is not an error.
    async fn query_strings(&mut self, cache_policy: &str) -> QueryStrings {
        if let Some(query_strings) = self.cache_policies.get(cache_policy) {
            return *query_strings;
        }
        let request = self.cloudfront.client.get_cache_policy().id(cache_policy);
        let response = request.send().await.ok();
        let behavior = response
            .as_ref()
            .and_then(|response| response.cache_policy()?.cache_policy_config())
            .and_then(|config| config.parameters_in_cache_key_and_forwarded_to_origin())
            .and_then(|parameters| parameters.query_strings_config())
            .map(|config| config.query_string_behavior());
        let query_strings = match behavior {
            Some(CachePolicyQueryStringBehavior::None) => QueryStrings::Ignored,
            Some(
                CachePolicyQueryStringBehavior::All
                | CachePolicyQueryStringBehavior::AllExcept
                | CachePolicyQueryStringBehavior::Whitelist,
            ) => QueryStrings::InCacheKey,
            _ => QueryStrings::Unknown,
        };
        self.cache_policies
            .insert(cache_policy.to_owned(), query_strings);
        query_strings
    }
}
