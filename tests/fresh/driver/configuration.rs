//! Creates a site in MiniStack: the bucket, the functions, the cache policies and the distributions.

use std::io;

use axum::http::Method;
use roxmltree::Document;
use serde_json::json;

use super::distribution_xml::{Parts, XMLNS};
use super::ministack::MiniStack;
use super::site::{IndexFunction, QueryStrings, Site};
use super::soak::BUCKET;

const API: &str = "/2020-05-31";
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
