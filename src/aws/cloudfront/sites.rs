//! Reads the configuration of distributions, and makes each a `Site`.
//!
//! Which distributions have a bucket as an origin, only the list of all of them tells. Its summaries hold everything
//! but the default root object, so the few that matter are then read one by one. A summary stands in for a
//! configuration that may not be read: a site known but for its root is better than none.
//!
//! Whether query strings are in the cache key is a matter of the cache policy, another call. Those that AWS manages
//! are known by their ids; one that cannot be read is [`QueryStrings::Unknown`], and the paths become wildcards.
//!
//! Nothing is remembered from one call to the next.

use std::collections::HashMap;

use aws_sdk_cloudfront::Client;
use aws_sdk_cloudfront::config::http::HttpResponse;
use aws_sdk_cloudfront::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_cloudfront::types::{
    CachePolicyQueryStringBehavior, DistributionConfig, DistributionSummary,
};

use super::cloudfront::cause;
use super::{Account, said};
use crate::distribution::DistributionId;
use crate::failure::{Cause, Failure};
use crate::site::{Origin, QueryStrings, Site};
use configuration::{
    LIKELY_ROOT, behaviors, configuration_of, custom_error_responses, origin_groups, origins,
};

mod configuration;

/// AWS's own cache policies ([documented](https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/using-managed-cache-policies.html))
/// that leave query strings out of the cache key.
const MANAGED_WITHOUT_QUERY_STRINGS: [&str; 4] = [
    "658327ea-f89d-4fab-a63d-7e88639e58f6", // CachingOptimized
    "b2884449-e4de-46a7-ac36-70bc7f1ddd6d", // CachingOptimizedForUncompressedObjects
    "4135ea2d-6df8-44a3-9df3-4b5a84be39ad", // CachingDisabled: nothing is kept, and one path costs little
    "83da9c7e-98b4-4e11-a168-04f0df8e2c65", // UseOriginCacheControlHeaders
];

/// Those that have query strings in the cache key.
const MANAGED_WITH_QUERY_STRINGS: [&str; 3] = [
    "4cc15a8a-d715-48a4-82b8-cc0b614638fe", // UseOriginCacheControlHeaders-QueryStrings
    "08627262-05a9-4f76-9ded-b50ca2e3a84f", // Elemental-MediaPackage
    "2e54312d-136d-493c-8eb9-b001f22f67d2", // Amplify
];

/// The sites that get objects from a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// In CloudFront's order, disabled ones too.
    pub sites: Vec<Site>,
    /// What could not be read of them, with the permission to add.
    pub warnings: Vec<Failure>,
}

/// Reads all distributions that have the bucket as an origin.
///
/// # Errors
///
/// A [`Failure`], with [`Cause::Permission`] where the distributions may not be listed.
pub async fn sites_of_bucket(
    client: &Client,
    account: &Account,
    bucket: &str,
) -> Result<Found, Failure> {
    let mut reader = Reader::new(client, account);
    let mut found = Found {
        sites: Vec::new(),
        warnings: Vec::new(),
    };
    for summary in reader.summaries().await? {
        let has_origin = |it: &Origin| it.endpoint_of(bucket).is_some();
        if !origins(summary.origins.as_ref()).iter().any(has_origin) {
            continue;
        }
        let id = DistributionId::parse(&summary.id)
            .map_err(|error| Failure::unavailable(format!("CloudFront lists {error}")))?;
        let configuration = match reader.configuration(&id).await {
            Ok(Some(configuration)) => configuration,
            // Deleted since it was listed.
            Ok(None) => continue,
            Err(failure) if failure.cause == Cause::Permission => {
                let place = format!("{id} (its default root object is taken for {LIKELY_ROOT})");
                found.warnings.push(failure.within(place));
                configuration_of(summary)?
            }
            Err(failure) => return Err(failure),
        };
        found.sites.push(reader.site(id, configuration).await);
    }
    Ok(found)
}

/// Reads one distribution.
///
/// # Errors
///
/// A [`Failure`], with [`Cause::Permission`] where it may not be read.
pub async fn site(
    client: &Client,
    account: &Account,
    id: &DistributionId,
) -> Result<Site, Failure> {
    let mut reader = Reader::new(client, account);
    let configuration = reader.configuration(id).await?.ok_or_else(|| {
        Failure::mistake(format!(
            "distribution {id} does not exist in this account: correct DISTRIBUTION_ID"
        ))
    })?;
    Ok(reader.site(id.clone(), configuration).await)
}

/// Reads for the time of one call, each cache policy once.
pub(super) struct Reader<'a> {
    client: &'a Client,
    account: &'a Account,
    cache_policies: HashMap<String, QueryStrings>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(client: &'a Client, account: &'a Account) -> Self {
        let without = MANAGED_WITHOUT_QUERY_STRINGS.map(|id| (id, QueryStrings::Ignored));
        let with = MANAGED_WITH_QUERY_STRINGS.map(|id| (id, QueryStrings::InCacheKey));
        let managed = without.into_iter().chain(with);
        Self {
            client,
            account,
            cache_policies: managed.map(|(id, says)| (id.to_owned(), says)).collect(),
        }
    }

    pub(super) async fn summaries(&self) -> Result<Vec<DistributionSummary>, Failure> {
        let mut summaries = Vec::new();
        let mut marker = None;
        loop {
            let request = self.client.list_distributions().set_marker(marker.clone());
            let page = request.send().await.map_err(|error| {
                let action = "cloudfront:ListDistributions";
                failure(&error, "its distributions", action, "*")
            })?;
            let page = page.distribution_list.ok_or_else(empty_answer)?;
            let next = page
                .next_marker
                .filter(|it| page.is_truncated && !it.is_empty());
            summaries.extend(page.items.unwrap_or_default());
            // A marker that comes twice would never end.
            if next.is_none() || next == marker {
                return Ok(summaries);
            }
            marker = next;
        }
    }

    /// Returns the distribution's configuration, if it exists.
    async fn configuration(
        &self,
        id: &DistributionId,
    ) -> Result<Option<DistributionConfig>, Failure> {
        let request = self.client.get_distribution_config().id(id.as_str());
        match request.send().await {
            Ok(answer) => answer
                .distribution_config
                .ok_or_else(empty_answer)
                .map(Some),
            Err(error) if error.code() == Some("NoSuchDistribution") => Ok(None),
            Err(error) => Err(failure(
                &error,
                &format!("the configuration of {id}"),
                "cloudfront:GetDistributionConfig",
                &self.account.distribution_arn(id),
            )),
        }
    }

    async fn site(&mut self, id: DistributionId, config: DistributionConfig) -> Site {
        let mut cache_behaviors = Vec::new();
        let in_order = behaviors(config.cache_behaviors, config.default_cache_behavior);
        for (mut behavior, cache_policy) in in_order {
            if let Some(id) = cache_policy.filter(|id| !id.is_empty()) {
                behavior.query_strings = self.cache_policy(&id).await;
            }
            cache_behaviors.push(behavior);
        }
        let aliases = config.aliases.and_then(|list| list.items);
        Site {
            id,
            enabled: config.enabled,
            aliases: aliases.unwrap_or_default(),
            origins: origins(config.origins.as_ref()),
            origin_groups: origin_groups(config.origin_groups),
            cache_behaviors,
            // "Include an empty element" is how a distribution says that it has none.
            default_root_object: config.default_root_object.filter(|it| !it.is_empty()),
            custom_error_responses: custom_error_responses(config.custom_error_responses),
        }
    }

    /// Tells whether query strings are in the cache key; what cannot be read is no failure.
    async fn cache_policy(&mut self, id: &str) -> QueryStrings {
        if let Some(known) = self.cache_policies.get(id) {
            return *known;
        }
        let answer = self.client.get_cache_policy().id(id).send().await.ok();
        let behavior = answer
            .as_ref()
            .and_then(|it| it.cache_policy()?.cache_policy_config())
            .and_then(|it| it.parameters_in_cache_key_and_forwarded_to_origin())
            .and_then(|it| it.query_strings_config())
            .map(|it| it.query_string_behavior());
        let says = match behavior {
            Some(CachePolicyQueryStringBehavior::None) => QueryStrings::Ignored,
            Some(
                CachePolicyQueryStringBehavior::All
                | CachePolicyQueryStringBehavior::AllExcept
                | CachePolicyQueryStringBehavior::Whitelist,
            ) => QueryStrings::InCacheKey,
            _ => QueryStrings::Unknown,
        };
        self.cache_policies.insert(id.to_owned(), says);
        says
    }
}

fn empty_answer() -> Failure {
    Failure::unavailable("CloudFront's answer holds no configuration: try again")
}

fn failure<E>(
    error: &SdkError<E, HttpResponse>,
    asked: &str,
    action: &str,
    resource: &str,
) -> Failure
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let said = said(error);
    match cause(error) {
        Cause::Permission => Failure::missing_permission(action, resource),
        Cause::Mistake => Failure::mistake(format!("CloudFront refuses to tell {asked}: {said}")),
        cause => Failure {
            cause,
            message: format!("CloudFront did not tell {asked} ({said}): try again"),
        },
    }
}
