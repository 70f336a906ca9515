//! A distribution as CloudFront's XML.
//!
//! Members and their order: <https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_DistributionConfig.html>

use super::site::{Behavior, Distribution, Endpoint, IndexFunction, QueryStrings};

pub const XMLNS: &str = "http://cloudfront.amazonaws.com/doc/2020-05-31/";
/// The id of AWS's managed cache policy without query strings.
const CACHING_OPTIMIZED: &str = "658327ea-f89d-4fab-a63d-7e88639e58f6";

/// The group of a bucket and its replica.
const ORIGIN_GROUP: &str = "<OriginGroups><Quantity>1</Quantity><Items><OriginGroup><Id>group</Id>\
     <FailoverCriteria><StatusCodes><Quantity>1</Quantity><Items><StatusCode>503</StatusCode></Items>\
     </StatusCodes></FailoverCriteria><Members><Quantity>2</Quantity><Items>\
     <OriginGroupMember><OriginId>origin-0</OriginId></OriginGroupMember>\
     <OriginGroupMember><OriginId>origin-1</OriginId></OriginGroupMember>\
     </Items></Members></OriginGroup></Items></OriginGroups>";

/// The ids of what distributions refer to.
pub struct Parts {
    pub functions: Vec<(IndexFunction, String)>,
    pub policies: Vec<(QueryStrings, String)>,
}

impl Parts {
    /// Returns the body of CreateDistribution.
    pub fn distribution(&self, distribution: &Distribution, reference: &str) -> String {
        let root = distribution.default_root_object;
        let (origins, errors) = (origins(distribution), error_responses(distribution));
        let (default, others) = distribution
            .behaviors
            .split_last()
            .expect("a default behavior");
        let count = others.len();
        let others: String = others
            .iter()
            .map(|behavior| self.behavior(behavior, distribution.endpoint))
            .collect();
        let default = self.behavior_members(default, distribution.endpoint);
        format!(
            "<DistributionConfig xmlns=\"{XMLNS}\"><CallerReference>{reference}</CallerReference>\
             <Aliases><Quantity>0</Quantity></Aliases><DefaultRootObject>{root}</DefaultRootObject>\
             {origins}<DefaultCacheBehavior>{default}</DefaultCacheBehavior>\
             <CacheBehaviors><Quantity>{count}</Quantity><Items>{others}</Items></CacheBehaviors>\
             {errors}<Comment/><PriceClass>PriceClass_All</PriceClass><Enabled>true</Enabled>\
             </DistributionConfig>"
        )
    }

    fn behavior(&self, behavior: &Behavior, endpoint: Endpoint) -> String {
        let (pattern, members) = (
            behavior.path_pattern,
            self.behavior_members(behavior, endpoint),
        );
        format!("<CacheBehavior><PathPattern>{pattern}</PathPattern>{members}</CacheBehavior>")
    }

    fn behavior_members(&self, behavior: &Behavior, endpoint: Endpoint) -> String {
        let target = match endpoint {
            Endpoint::Replicated => "group".to_owned(),
            _ => format!("origin-{}", behavior.origin),
        };
        let functions = behavior.function.map_or_else(String::new, |function| {
            let arn = id_of(&self.functions, function);
            format!(
                "<FunctionAssociations><Quantity>1</Quantity><Items><FunctionAssociation>\
                 <FunctionARN>{arn}</FunctionARN><EventType>viewer-request</EventType>\
                 </FunctionAssociation></Items></FunctionAssociations>"
            )
        });
        let forwarded = |query_string| {
            format!(
                "<ForwardedValues><QueryString>{query_string}</QueryString>\
                 <Cookies><Forward>none</Forward></Cookies></ForwardedValues><MinTTL>0</MinTTL>"
            )
        };
        let cache_key = match behavior.query_strings {
            QueryStrings::LegacyNone => forwarded(false),
            QueryStrings::LegacyAll => forwarded(true),
            QueryStrings::Managed => format!("<CachePolicyId>{CACHING_OPTIMIZED}</CachePolicyId>"),
            policy => format!(
                "<CachePolicyId>{}</CachePolicyId>",
                id_of(&self.policies, policy)
            ),
        };
        format!(
            "<TargetOriginId>{target}</TargetOriginId>\
             <ViewerProtocolPolicy>allow-all</ViewerProtocolPolicy><Compress>true</Compress>\
             {functions}{cache_key}"
        )
    }
}

fn id_of<T: PartialEq>(ids: &[(T, String)], wanted: T) -> &str {
    let found = ids.iter().find(|(kind, _)| *kind == wanted);
    found.map(|(_, id)| id.as_str()).unwrap_or_default()
}

fn origins(distribution: &Distribution) -> String {
    let connection = match distribution.endpoint {
        Endpoint::Rest | Endpoint::AccessPoint | Endpoint::Replicated => {
            "<S3OriginConfig><OriginAccessIdentity/></S3OriginConfig>"
        }
        Endpoint::Website | Endpoint::Server | Endpoint::ServerWithoutOriginPath => {
            "<CustomOriginConfig><HTTPPort>80</HTTPPort><HTTPSPort>443</HTTPSPort>\
             <OriginProtocolPolicy>http-only</OriginProtocolPolicy></CustomOriginConfig>"
        }
    };
    let domains = distribution.origin_domains();
    let paths = distribution.origin_paths.iter();
    let origins = paths.flat_map(|path| domains.iter().map(move |domain| (domain, path)));
    let origins: Vec<_> = origins.enumerate().collect();
    let (count, items) = (origins.len(), origins.into_iter());
    let items = items.map(|(index, (domain, path))| {
        format!(
            "<Origin><Id>origin-{index}</Id><DomainName>{domain}</DomainName>\
             <OriginPath>{path}</OriginPath>{connection}</Origin>"
        )
    });
    let items: String = items.collect();
    let groups = match distribution.endpoint {
        Endpoint::Replicated => ORIGIN_GROUP,
        _ => "",
    };
    format!("<Origins><Quantity>{count}</Quantity><Items>{items}</Items></Origins>{groups}")
}

fn error_responses(distribution: &Distribution) -> String {
    let pages = distribution.error_pages.iter();
    let items: String = pages
        .map(|page| {
            format!(
                "<CustomErrorResponse><ErrorCode>{}</ErrorCode>\
                 <ResponsePagePath>{}</ResponsePagePath><ResponseCode>{}</ResponseCode>\
                 <ErrorCachingMinTTL>{}</ErrorCachingMinTTL></CustomErrorResponse>",
                page.error_code, page.page, page.response_code, page.caching_min_ttl
            )
        })
        .collect();
    let count = distribution.error_pages.len();
    format!(
        "<CustomErrorResponses><Quantity>{count}</Quantity><Items>{items}</Items></CustomErrorResponses>"
    )
}
