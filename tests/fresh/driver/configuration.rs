//! Creates a site in MiniStack: the bucket, the functions, the cache policies and the distributions, as CloudFront's XML.
//!
//! Members and their order: <https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_DistributionConfig.html>

use std::io;

use axum::http::Method;
use roxmltree::Document;
use serde_json::json;

use super::ministack::MiniStack;
use super::site::{Behavior, Distribution, Endpoint, IndexFunction, QueryStrings, Site};
use super::soak::BUCKET;

const API: &str = "/2020-05-31";
const XMLNS: &str = "http://cloudfront.amazonaws.com/doc/2020-05-31/";
const CACHING_OPTIMIZED: &str = "658327ea-f89d-4fab-a63d-7e88639e58f6";
const POLICIES: [QueryStrings; 3] = [
    QueryStrings::PolicyAll,
    QueryStrings::PolicyOnly,
    QueryStrings::PolicyAllExcept,
];

/// A distribution that MiniStack created.
#[derive(Clone, Debug)]
pub struct Created {
    pub id: String,
    pub domain: String,
}

/// The ids of what distributions refer to.
struct Parts {
    functions: Vec<(IndexFunction, String)>,
    policies: Vec<(QueryStrings, String)>,
}

/// Creates the bucket, which everyone can read, and the site's distributions.
pub async fn create(ministack: &MiniStack, site: &Site) -> io::Result<Vec<Created>> {
    create_bucket(ministack).await?;
    let mut parts = Parts {
        functions: Vec::new(),
        policies: Vec::new(),
    };
    for function in IndexFunction::ALL {
        parts
            .functions
            .push((function, create_function(ministack, function).await?));
    }
    for policy in POLICIES {
        parts
            .policies
            .push((policy, create_policy(ministack, policy).await?));
    }
    let mut created = Vec::new();
    for distribution in &site.distributions {
        let reference = format!("fresh-{}", created.len());
        let body = parts.distribution(distribution, &reference);
        let call = (Method::POST, format!("{API}/distribution"));
        let response = post(ministack, &call.1, body).await?;
        created.push(Created {
            id: text(&response, "Id")?,
            domain: text(&response, "DomainName")?,
        });
    }
    Ok(created)
}

async fn create_bucket(ministack: &MiniStack) -> io::Result<()> {
    let bucket = format!("/{BUCKET}");
    ministack
        .call("s3", (Method::PUT, &bucket), &[], String::new())
        .await?;
    let policy = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject",
        "Resource": format!("arn:aws:s3:::{BUCKET}/*"),
    }]});
    let target = format!("{bucket}?policy");
    ministack
        .call("s3", (Method::PUT, &target), &[], policy.to_string())
        .await?;
    Ok(())
}

/// Creates and publishes a function; returns its ARN.
async fn create_function(ministack: &MiniStack, function: IndexFunction) -> io::Result<String> {
    use base64_standard as base64;
    let (name, code) = (function.name(), base64(function.code().as_bytes()));
    let body = format!(
        "<CreateFunctionRequest xmlns=\"{XMLNS}\"><Name>{name}</Name>\
         <FunctionConfig><Comment/><Runtime>cloudfront-js-2.0</Runtime></FunctionConfig>\
         <FunctionCode>{code}</FunctionCode></CreateFunctionRequest>"
    );
    let target = format!("{API}/function");
    let request = (Method::POST, target.as_str());
    let created = ministack.call("cloudfront", request, &[], body).await?;
    let etag = created.header("etag").unwrap_or_default().to_owned();
    let target = format!("{API}/function/{name}/publish");
    let request = (Method::POST, target.as_str());
    let headers = [("if-match", etag.as_str())];
    ministack
        .call("cloudfront", request, &headers, String::new())
        .await?;
    text(&String::from_utf8_lossy(&created.body), "FunctionARN")
}

/// Creates a cache policy; returns its id.
async fn create_policy(ministack: &MiniStack, policy: QueryStrings) -> io::Result<String> {
    let names = |name: &str| {
        format!(
            "<QueryStrings><Quantity>1</Quantity><Items><Name>{name}</Name></Items></QueryStrings>"
        )
    };
    let (behavior, names) = match policy {
        QueryStrings::PolicyOnly => ("whitelist", names("v")),
        QueryStrings::PolicyAllExcept => ("allExcept", names("utm")),
        _ => ("all", String::new()),
    };
    let body = format!(
        "<CachePolicyConfig xmlns=\"{XMLNS}\"><Name>{behavior}</Name>\
         <DefaultTTL>86400</DefaultTTL><MaxTTL>31536000</MaxTTL><MinTTL>1</MinTTL>\
         <ParametersInCacheKeyAndForwardedToOrigin>\
         <EnableAcceptEncodingGzip>true</EnableAcceptEncodingGzip>\
         <EnableAcceptEncodingBrotli>true</EnableAcceptEncodingBrotli>\
         <HeadersConfig><HeaderBehavior>none</HeaderBehavior></HeadersConfig>\
         <CookiesConfig><CookieBehavior>none</CookieBehavior></CookiesConfig>\
         <QueryStringsConfig><QueryStringBehavior>{behavior}</QueryStringBehavior>{names}\
         </QueryStringsConfig></ParametersInCacheKeyAndForwardedToOrigin></CachePolicyConfig>"
    );
    text(
        &post(ministack, &format!("{API}/cache-policy"), body).await?,
        "Id",
    )
}

async fn post(ministack: &MiniStack, target: &str, body: String) -> io::Result<String> {
    let response = ministack
        .call("cloudfront", (Method::POST, target), &[], body)
        .await?;
    Ok(String::from_utf8_lossy(&response.body).into_owned())
}

/// Returns the text of the first element with this name.
fn text(xml: &str, name: &str) -> io::Result<String> {
    let document = Document::parse(xml).map_err(io::Error::other)?;
    let mut elements = document.descendants();
    let element = elements.find(|node| node.tag_name().name() == name);
    let text = element
        .and_then(|element| element.text())
        .map(str::to_owned);
    text.ok_or_else(|| io::Error::other(format!("no {name} in {xml}")))
}

impl Parts {
    fn distribution(&self, distribution: &Distribution, reference: &str) -> String {
        let root = distribution.default_root_object;
        let (origins, errors) = (origins(distribution), error_responses(distribution));
        let (default, others) = distribution
            .behaviors
            .split_last()
            .expect("a default behavior");
        let count = others.len();
        let others: String = others
            .iter()
            .map(|behavior| self.behavior(behavior))
            .collect();
        let default = self.behavior_members(default);
        format!(
            "<DistributionConfig xmlns=\"{XMLNS}\"><CallerReference>{reference}</CallerReference>\
             <Aliases><Quantity>0</Quantity></Aliases><DefaultRootObject>{root}</DefaultRootObject>\
             {origins}<DefaultCacheBehavior>{default}</DefaultCacheBehavior>\
             <CacheBehaviors><Quantity>{count}</Quantity><Items>{others}</Items></CacheBehaviors>\
             {errors}<Comment/><PriceClass>PriceClass_All</PriceClass><Enabled>true</Enabled>\
             </DistributionConfig>"
        )
    }

    fn behavior(&self, behavior: &Behavior) -> String {
        let (pattern, members) = (behavior.path_pattern, self.behavior_members(behavior));
        format!("<CacheBehavior><PathPattern>{pattern}</PathPattern>{members}</CacheBehavior>")
    }

    fn behavior_members(&self, behavior: &Behavior) -> String {
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
            "<TargetOriginId>origin-{}</TargetOriginId>\
             <ViewerProtocolPolicy>allow-all</ViewerProtocolPolicy><Compress>true</Compress>\
             {functions}{cache_key}",
            behavior.origin
        )
    }
}

fn id_of<T: PartialEq>(ids: &[(T, String)], wanted: T) -> &str {
    let found = ids.iter().find(|(kind, _)| *kind == wanted);
    found.map(|(_, id)| id.as_str()).unwrap_or_default()
}

fn origins(distribution: &Distribution) -> String {
    let domain = distribution.origin_domain();
    let connection = match distribution.endpoint {
        Endpoint::Rest => "<S3OriginConfig><OriginAccessIdentity/></S3OriginConfig>",
        Endpoint::Website => {
            "<CustomOriginConfig><HTTPPort>80</HTTPPort><HTTPSPort>443</HTTPSPort>\
             <OriginProtocolPolicy>http-only</OriginProtocolPolicy></CustomOriginConfig>"
        }
    };
    let paths = distribution.origin_paths.iter().enumerate();
    let origin = |(index, path): (usize, &&str)| {
        format!(
            "<Origin><Id>origin-{index}</Id><DomainName>{domain}</DomainName>\
             <OriginPath>{path}</OriginPath>{connection}</Origin>"
        )
    };
    let (count, items) = (paths.len(), paths.map(origin).collect::<String>());
    format!("<Origins><Quantity>{count}</Quantity><Items>{items}</Items></Origins>")
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

/// Encodes bytes in base64, which the API requires for a function's code.
fn base64_standard(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let byte = |index: usize| chunk.get(index).copied().map_or(0, u32::from);
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for position in 0..4 {
            let sextet = (bits >> (18 - 6 * position)) & 63;
            let is_padding = position > chunk.len();
            text.push(if is_padding {
                '='
            } else {
                char::from(ALPHABET[sextet as usize])
            });
        }
    }
    text
}
