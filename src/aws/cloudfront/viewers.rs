//! Reads how viewers reach a distribution: its domain name, and what refuses them before the cache.

use aws_sdk_cloudfront::types::{
    DistributionConfig, EventType, FunctionAssociations, GeoRestriction, GeoRestrictionType,
    LambdaFunctionAssociations, TrustedKeyGroups, TrustedSigners,
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

/// Returns what refuses viewers before the cache, and where responses are changed.
pub(super) fn viewer_access(config: &DistributionConfig) -> ViewerAccess {
    let mut access = ViewerAccess {
        web_acl: config.web_acl_id().is_some_and(|id| !id.is_empty()),
        geo_restriction: has_geo_restriction(config),
        forbidden_page: has_forbidden_page(config),
        ..ViewerAccess::default()
    };
    let mut add = |path_pattern: &str, is_signed: bool, is_changed: bool| {
        let patterns = [
            (is_signed, &mut access.signed),
            (is_changed, &mut access.changed_responses),
        ];
        for (has, patterns) in patterns {
            patterns.extend(has.then(|| path_pattern.to_owned()));
        }
    };
    let ordered = config.cache_behaviors().map(|list| list.items());
    for behavior in ordered.unwrap_or_default() {
        add(
            behavior.path_pattern(),
            is_signed(behavior.trusted_signers(), behavior.trusted_key_groups()),
            changes_responses(
                behavior.function_associations(),
                behavior.lambda_function_associations(),
            ),
        );
    }
    // The SDK has another type for the default behavior.
    if let Some(behavior) = config.default_cache_behavior() {
        add(
            "*",
            is_signed(behavior.trusted_signers(), behavior.trusted_key_groups()),
            changes_responses(
                behavior.function_associations(),
                behavior.lambda_function_associations(),
            ),
        );
    }
    access
}

fn has_geo_restriction(config: &DistributionConfig) -> bool {
    let restriction = config.restrictions().and_then(|all| all.geo_restriction());
    let kind = restriction.map(GeoRestriction::restriction_type);
    kind.is_some_and(|kind| *kind != GeoRestrictionType::None)
}

fn has_forbidden_page(config: &DistributionConfig) -> bool {
    let responses = config.custom_error_responses().map(|list| list.items());
    let mut responses = responses.unwrap_or_default().iter();
    responses.any(|response| {
        response.error_code() == 403
            && response
                .response_page_path()
                .is_some_and(|page| !page.is_empty())
    })
}

/// Returns whether a function sees responses, which it can change.
fn changes_responses(
    functions: Option<&FunctionAssociations>,
    lambdas: Option<&LambdaFunctionAssociations>,
) -> bool {
    let functions = functions.map(|list| list.items()).unwrap_or_default();
    let lambdas = lambdas.map(|list| list.items()).unwrap_or_default();
    let functions = functions.iter().map(|function| function.event_type());
    let lambdas = lambdas.iter().map(|lambda| lambda.event_type());
    let mut events = functions.chain(lambdas);
    events.any(|event| matches!(event, EventType::ViewerResponse | EventType::OriginResponse))
}

/// Returns whether a behavior requires signed URLs or cookies.
fn is_signed(signers: Option<&TrustedSigners>, key_groups: Option<&TrustedKeyGroups>) -> bool {
    signers.is_some_and(TrustedSigners::enabled)
        || key_groups.is_some_and(TrustedKeyGroups::enabled)
}
