//! Converts the SDK's distribution configuration to the types of a `Site`.
//!
//! Every list can be missing as well as empty, and an empty element means "none" as a missing one does.

use std::time::Duration;

use aws_sdk_cloudfront::types::{
    self, CacheBehaviors, CustomErrorResponses, DefaultCacheBehavior, DistributionConfig,
    DistributionSummary, EventType, ForwardedValues, FunctionAssociations,
    LambdaFunctionAssociations, OriginGroups, Origins,
};

use super::errors::Call;
use crate::error::Error;
use crate::site::{
    CacheBehavior, CustomErrorResponse, INDEX_DOCUMENT, Origin, OriginGroup, QueryStrings,
};

/// Returns the configuration that a summary holds, with [`INDEX_DOCUMENT`] as the default root object.
pub(super) fn from_summary(summary: DistributionSummary) -> Result<DistributionConfig, Error> {
    DistributionConfig::builder()
        .caller_reference("")
        .comment("")
        .enabled(summary.enabled)
        .set_aliases(summary.aliases)
        .set_origins(summary.origins)
        .set_origin_groups(summary.origin_groups)
        .set_default_cache_behavior(summary.default_cache_behavior)
        .set_cache_behaviors(summary.cache_behaviors)
        .set_custom_error_responses(summary.custom_error_responses)
        .default_root_object(INDEX_DOCUMENT)
        .staging(summary.staging)
        .set_connection_mode(summary.connection_mode)
        .build()
        .map_err(|error| Call::ListDistributions.unavailable(error.to_string()))
}

pub(super) fn origins(list: Option<&Origins>) -> Vec<Origin> {
    let items = list.map(Origins::items).unwrap_or_default();
    let origin = |origin: &types::Origin| Origin {
        id: origin.id.clone(),
        domain_name: origin.domain_name.clone(),
        origin_path: origin.origin_path.clone().unwrap_or_default(),
    };
    items.iter().map(origin).collect()
}

pub(super) fn origin_groups(list: Option<OriginGroups>) -> Vec<OriginGroup> {
    let items = list.and_then(|list| list.items).unwrap_or_default();
    let group = |group: types::OriginGroup| {
        let members = group.members().map(|list| list.items());
        OriginGroup {
            members: members
                .unwrap_or_default()
                .iter()
                .map(|member| member.origin_id.clone())
                .collect(),
            id: group.id,
        }
    };
    items.into_iter().map(group).collect()
}

pub(super) fn custom_error_responses(
    list: Option<CustomErrorResponses>,
) -> Vec<CustomErrorResponse> {
    let items = list.and_then(|list| list.items).unwrap_or_default();
    let seconds = |number: i64| u64::try_from(number).ok().map(Duration::from_secs);
    let response = |response: types::CustomErrorResponse| CustomErrorResponse {
        error_code: response.error_code,
        response_page_path: response.response_page_path.filter(|path| !path.is_empty()),
        response_code: response.response_code.filter(|code| !code.is_empty()),
        error_caching_min_ttl: response.error_caching_min_ttl.and_then(seconds),
    };
    items.into_iter().map(response).collect()
}

/// Returns the behaviors in order, the default one last, each with the id of its cache policy, if it has one.
///
/// Without a cache policy, the forwarded values decide about query strings.
#[expect(deprecated, reason = "many distributions still have forwarded values")]
pub(super) fn behaviors(
    ordered: Option<CacheBehaviors>,
    default: Option<DefaultCacheBehavior>,
) -> impl Iterator<Item = (CacheBehavior, Option<String>)> {
    let ordered = ordered.and_then(|list| list.items).unwrap_or_default();
    let ordered = ordered.into_iter().map(|behavior| {
        let cache_policy_id = behavior.cache_policy_id;
        let behavior = CacheBehavior {
            path_pattern: behavior.path_pattern,
            target_origin_id: behavior.target_origin_id,
            edge_function: has_edge_function(
                behavior.function_associations,
                behavior.lambda_function_associations,
            ),
            query_strings: forwarded_query_strings(behavior.forwarded_values),
        };
        (behavior, cache_policy_id)
    });
    // The SDK has another type for the default behavior.
    let default = default.map(|behavior| {
        let cache_policy_id = behavior.cache_policy_id;
        let behavior = CacheBehavior {
            path_pattern: "*".to_owned(),
            target_origin_id: behavior.target_origin_id,
            edge_function: has_edge_function(
                behavior.function_associations,
                behavior.lambda_function_associations,
            ),
            query_strings: forwarded_query_strings(behavior.forwarded_values),
        };
        (behavior, cache_policy_id)
    });
    ordered
        .chain(default)
        .map(|(behavior, cache_policy)| (behavior, cache_policy.filter(|id| !id.is_empty())))
}

fn forwarded_query_strings(forwarded: Option<ForwardedValues>) -> QueryStrings {
    if forwarded.is_some_and(|values| values.query_string) {
        QueryStrings::InCacheKey
    } else {
        QueryStrings::Ignored
    }
}

/// Returns whether a function sees requests before CloudFront sends them to the origin.
fn has_edge_function(
    functions: Option<FunctionAssociations>,
    lambdas: Option<LambdaFunctionAssociations>,
) -> bool {
    let functions = functions.and_then(|list| list.items).unwrap_or_default();
    let lambdas = lambdas.and_then(|list| list.items).unwrap_or_default();
    let functions = functions.into_iter().map(|function| function.event_type);
    let lambdas = lambdas.into_iter().map(|lambda| lambda.event_type);
    let mut events = functions.chain(lambdas);
    events.any(|event| matches!(event, EventType::ViewerRequest | EventType::OriginRequest))
}
