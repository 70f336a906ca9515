//! Reads how viewers reach a distribution: its domain name, and what refuses them before the cache.

use aws_sdk_cloudfront::types::{
    DefaultCacheBehavior, DistributionConfig, GeoRestriction, GeoRestrictionType, TrustedKeyGroups,
    TrustedSigners,
};

use super::CloudFront;
use super::errors::Call;
use crate::distribution::DistributionId;
use crate::error::Error;
use crate::verify::ViewerAccess;

impl CloudFront {
    /// Reads the configuration of a distribution, and its domain name.
    pub(super) async fn distribution(
        &self,
        distribution: &DistributionId,
    ) -> Result<(DistributionConfig, String), Error> {
        let call = Call::GetDistribution(distribution);
        let request = self.client.get_distribution().id(distribution.as_str());
        let response = request.send().await;
        let response = response.map_err(|error| call.error(&error, &self.account))?;
        let found = response.distribution.and_then(|distribution| {
            let domain_name = distribution.domain_name;
            Some((distribution.distribution_config?, domain_name))
        });
        found.ok_or_else(|| call.unavailable("the response holds no configuration"))
    }
}

/// Returns what refuses viewers before the cache.
pub(super) fn viewer_access(config: &DistributionConfig) -> ViewerAccess {
    let ordered = config.cache_behaviors().map(|list| list.items());
    let ordered = ordered.unwrap_or_default().iter();
    let ordered = ordered
        .filter(|behavior| is_signed(behavior.trusted_signers(), behavior.trusted_key_groups()));
    let ordered = ordered.map(|behavior| behavior.path_pattern().to_owned());
    let is_default_signed = |behavior: &&DefaultCacheBehavior| {
        is_signed(behavior.trusted_signers(), behavior.trusted_key_groups())
    };
    let default = config.default_cache_behavior().filter(is_default_signed);
    let geo_restriction = config.restrictions().and_then(|all| all.geo_restriction());
    let geo_restriction = geo_restriction.map(GeoRestriction::restriction_type);
    ViewerAccess {
        domain_name: None,
        signed: ordered.chain(default.map(|_| "*".to_owned())).collect(),
        web_acl: config.web_acl_id().is_some_and(|id| !id.is_empty()),
        geo_restriction: geo_restriction.is_some_and(|kind| *kind != GeoRestrictionType::None),
    }
}

/// Returns whether a behavior requires signed URLs or cookies.
fn is_signed(signers: Option<&TrustedSigners>, key_groups: Option<&TrustedKeyGroups>) -> bool {
    signers.is_some_and(TrustedSigners::enabled)
        || key_groups.is_some_and(TrustedKeyGroups::enabled)
}
