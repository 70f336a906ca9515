//! Reads how viewers reach a distribution: its domain name, and what refuses them before the cache.

use aws_sdk_cloudfront::types::{
    DistributionConfig, EventType, FunctionAssociations, GeoRestriction, GeoRestrictionType,
    LambdaFunctionAssociations, TrustedKeyGroups, TrustedSigners,
};

use tokio::time::{Instant, timeout_at};

use super::CloudFront;
use super::errors::Call;
use crate::distribution::{DistributionId, DomainNames};
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

    /// Reads the domain names of a distribution. If IAM denies GetDistribution, which has the one that CloudFront gave it,
    /// reads its aliases only.
    ///
    /// # Errors
    ///
    /// [`Error`] if it does not exist, or cannot be read before `deadline`.
    pub async fn domain_names(
        &self,
        distribution: &DistributionId,
        deadline: Instant,
    ) -> Result<DomainNames, Error> {
        let read = async {
            let (config, domain_name) = match self.distribution(distribution).await {
                Ok((config, domain_name)) => (config, Some(domain_name)),
                Err(error) if error.is_access_denied() => {
                    (self.distribution_config(distribution).await?, None)
                }
                Err(error) => return Err(error),
            };
            let aliases = config.aliases.and_then(|aliases| aliases.items);
            Ok(DomainNames {
                aliases: aliases.unwrap_or_default(),
                domain_name,
            })
        };
        let read = timeout_at(deadline, read).await;
        read.unwrap_or_else(|_elapsed| Err(Call::GetDistribution(distribution).no_response()))
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

#[cfg(test)]
mod tests {
    use aws_sdk_cloudfront::types::{
        CacheBehavior, CacheBehaviors, CustomErrorResponse, CustomErrorResponses,
        DefaultCacheBehavior, FunctionAssociation, LambdaFunctionAssociation, Origin, Origins,
        Restrictions, ViewerProtocolPolicy,
    };

    use super::*;

    fn behavior(path_pattern: &str) -> CacheBehavior {
        CacheBehavior::builder()
            .path_pattern(path_pattern)
            .target_origin_id("site")
            .viewer_protocol_policy(ViewerProtocolPolicy::HttpsOnly)
            .build()
            .expect("a behavior")
    }

    fn config(behaviors: Vec<CacheBehavior>) -> DistributionConfig {
        let origin = Origin::builder()
            .id("site")
            .domain_name("site.s3.amazonaws.com");
        let origins = Origins::builder()
            .quantity(1)
            .items(origin.build().expect("an origin"));
        let behaviors = CacheBehaviors::builder()
            .quantity(i32::try_from(behaviors.len()).expect("few"))
            .set_items(Some(behaviors));
        let default = DefaultCacheBehavior::builder()
            .target_origin_id("site")
            .viewer_protocol_policy(ViewerProtocolPolicy::HttpsOnly);
        DistributionConfig::builder()
            .caller_reference("")
            .comment("")
            .enabled(true)
            .origins(origins.build().expect("origins"))
            .cache_behaviors(behaviors.build().expect("behaviors"))
            .default_cache_behavior(default.build().expect("a behavior"))
            .build()
            .expect("a configuration")
    }

    #[test]
    fn names_the_behaviors_with_signatures_and_those_that_change_responses() {
        let groups = TrustedKeyGroups::builder().enabled(true).quantity(1);
        let mut signed = behavior("private/*");
        signed.trusted_key_groups = Some(groups.build().expect("groups"));
        let function = |event| {
            let function = FunctionAssociation::builder()
                .function_arn("arn")
                .event_type(event);
            let functions = FunctionAssociations::builder().quantity(1);
            let functions = functions.items(function.build().expect("a function"));
            Some(functions.build().expect("functions"))
        };
        let lambda = LambdaFunctionAssociation::builder()
            .lambda_function_arn("arn")
            .event_type(EventType::OriginResponse);
        let lambdas = LambdaFunctionAssociations::builder().quantity(1);
        let lambdas = lambdas.items(lambda.build().expect("a function"));
        let mut headers = behavior("headers/*");
        headers.function_associations = function(EventType::ViewerResponse);
        let mut images = behavior("images/*");
        images.lambda_function_associations = Some(lambdas.build().expect("functions"));
        let mut rewriting = behavior("blog/*");
        rewriting.function_associations = function(EventType::ViewerRequest);
        let access = viewer_access(&config(vec![signed, headers, images, rewriting]));
        let expected = ViewerAccess {
            signed: vec!["private/*".into()],
            changed_responses: vec!["headers/*".into(), "images/*".into()],
            ..ViewerAccess::default()
        };
        assert_eq!(access, expected);
    }

    #[test]
    fn reads_what_refuses_viewers() {
        let page = CustomErrorResponse::builder()
            .error_code(403)
            .response_page_path("/403.html");
        let pages = CustomErrorResponses::builder().quantity(1);
        let pages = pages.items(page.build().expect("a response"));
        let countries = GeoRestriction::builder()
            .restriction_type(GeoRestrictionType::Blacklist)
            .quantity(1)
            .items("XX");
        let countries = countries.build().expect("a restriction");
        let mut guarded = config(vec![]);
        guarded.web_acl_id = Some("arn".into());
        guarded.restrictions = Some(Restrictions::builder().geo_restriction(countries).build());
        guarded.custom_error_responses = Some(pages.build().expect("responses"));
        let expected = ViewerAccess {
            web_acl: true,
            geo_restriction: true,
            forbidden_page: true,
            ..ViewerAccess::default()
        };
        assert_eq!(viewer_access(&guarded), expected);
    }
}
