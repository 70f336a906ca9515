//! What the SDK calls a configuration, in the terms of a `Site`.
//!
//! Every list can be missing as well as empty, and an empty element stands for "none" as often as a missing one.

use std::time::Duration;

use aws_sdk_cloudfront::types::{
    CacheBehaviors, CustomErrorResponses, DefaultCacheBehavior, DistributionConfig,
    DistributionSummary, EventType, ForwardedValues, FunctionAssociations,
    LambdaFunctionAssociations, OriginGroups, Origins,
};

use crate::failure::Failure;
use crate::site::{CacheBehavior, CustomErrorResponse, Origin, OriginGroup, QueryStrings};

/// What is taken for the default root object where the configuration may not be read.
pub(super) const LIKELY_ROOT: &str = "index.html";

/// Returns the configuration that a summary tells, with the default root object that most sites have.
pub(super) fn configuration_of(
    summary: DistributionSummary,
) -> Result<DistributionConfig, Failure> {
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
        .default_root_object(LIKELY_ROOT)
        .build()
        .map_err(|error| Failure::unavailable(error.to_string()))
}

pub(super) fn origins(list: Option<&Origins>) -> Vec<Origin> {
    let items = list.map(Origins::items).unwrap_or_default();
    let origin = |it: &aws_sdk_cloudfront::types::Origin| Origin {
        id: it.id.clone(),
        domain_name: it.domain_name.clone(),
        origin_path: it.origin_path.clone().unwrap_or_default(),
    };
    items.iter().map(origin).collect()
}

pub(super) fn origin_groups(list: Option<OriginGroups>) -> Vec<OriginGroup> {
    let items = list.and_then(|list| list.items).unwrap_or_default();
    let members = |it: &aws_sdk_cloudfront::types::OriginGroup| {
        let members = it.members().map(|list| list.items()).unwrap_or_default();
        members.iter().map(|it| it.origin_id.clone()).collect()
    };
    let group = |it| OriginGroup {
        members: members(&it),
        id: it.id,
    };
    items.into_iter().map(group).collect()
}

pub(super) fn custom_error_responses(
    list: Option<CustomErrorResponses>,
) -> Vec<CustomErrorResponse> {
    let items = list.and_then(|list| list.items).unwrap_or_default();
    let seconds = |number: i64| u64::try_from(number).ok().map(Duration::from_secs);
    let response = |it: aws_sdk_cloudfront::types::CustomErrorResponse| CustomErrorResponse {
        error_code: it.error_code,
        response_page_path: it.response_page_path.filter(|path| !path.is_empty()),
        response_code: it.response_code.filter(|code| !code.is_empty()),
        error_caching_min_ttl: it.error_caching_min_ttl.and_then(seconds),
    };
    items.into_iter().map(response).collect()
}

/// Returns the behaviors as far as they tell themselves, each with the id of its cache policy, the default one last.
#[expect(deprecated, reason = "many distributions still have forwarded values")]
pub(super) fn behaviors(
    ordered: Option<CacheBehaviors>,
    default: Option<DefaultCacheBehavior>,
) -> impl Iterator<Item = (CacheBehavior, Option<String>)> {
    let ordered = ordered.and_then(|list| list.items).unwrap_or_default();
    let ordered = ordered.into_iter().map(|it| {
        let behavior = CacheBehavior {
            path_pattern: it.path_pattern,
            target_origin_id: it.target_origin_id,
            request_function: request_function(
                it.function_associations,
                it.lambda_function_associations,
            ),
            query_strings: query_strings(it.forwarded_values),
        };
        (behavior, it.cache_policy_id)
    });
    let default = default.map(|it| {
        let behavior = CacheBehavior {
            path_pattern: "*".to_owned(),
            target_origin_id: it.target_origin_id,
            request_function: request_function(
                it.function_associations,
                it.lambda_function_associations,
            ),
            query_strings: query_strings(it.forwarded_values),
        };
        (behavior, it.cache_policy_id)
    });
    ordered.chain(default)
}

/// Reads what was there before cache policies.
fn query_strings(forwarded: Option<ForwardedValues>) -> QueryStrings {
    if forwarded.is_some_and(|values| values.query_string) {
        QueryStrings::InCacheKey
    } else {
        QueryStrings::Ignored
    }
}

/// Tells whether a function sees requests before CloudFront asks the origin.
fn request_function(
    functions: Option<FunctionAssociations>,
    lambdas: Option<LambdaFunctionAssociations>,
) -> bool {
    let functions = functions.and_then(|list| list.items).unwrap_or_default();
    let lambdas = lambdas.and_then(|list| list.items).unwrap_or_default();
    let functions = functions.into_iter().map(|it| it.event_type);
    let mut events = functions.chain(lambdas.into_iter().map(|it| it.event_type));
    events.any(|event| matches!(event, EventType::ViewerRequest | EventType::OriginRequest))
}
