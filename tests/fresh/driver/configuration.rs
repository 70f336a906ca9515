//! Creates and changes a site in MiniStack: the buckets, the functions, the cache policies and the distributions.

use std::io;

use axum::http::Method;
use roxmltree::Document;
use serde_json::json;

use super::distribution_xml::{Parts, XMLNS};
use super::ministack::MiniStack;
use super::site::{IndexFunction, QueryStrings, Site};
use super::soak::{BUCKET, REPLICA};

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

/// The site's distributions in MiniStack, and what their configurations refer to.
pub struct Configured<'a> {
    ministack: &'a MiniStack,
    parts: Parts,
    site: Site,
    pub created: Vec<Created>,
}

/// Creates the buckets, which everyone can read, and the site's distributions.
pub async fn create<'a>(ministack: &'a MiniStack, site: &Site) -> io::Result<Configured<'a>> {
    for bucket in [BUCKET, REPLICA] {
        create_bucket(ministack, bucket).await?;
    }
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
    let mut configured = Configured {
        ministack,
        parts,
        site: Site {
            distributions: Vec::new(),
            ..site.clone()
        },
        created: Vec::new(),
    };
    configured.change(site).await?;
    Ok(configured)
}

impl Configured<'_> {
    /// Changes the configurations to those of the site, and creates the distributions that do not exist. Returns the
    /// indexes of the distributions that are different now.
    pub async fn change(&mut self, site: &Site) -> io::Result<Vec<usize>> {
        let mut different = Vec::new();
        for (index, distribution) in site.distributions.iter().enumerate() {
            let body = self
                .parts
                .distribution(distribution, &format!("fresh-{index}"));
            match self.created.get(index) {
                None => {
                    let target = format!("{API}/distribution");
                    let response = post(self.ministack, &target, body).await?;
                    self.created.push(Created {
                        id: text(&response, "Id")?,
                        domain: text(&response, "DomainName")?,
                    });
                }
                Some(_) if self.site.distributions.get(index) == Some(distribution) => continue,
                Some(created) => update(self.ministack, &created.id, body).await?,
            }
            different.push(index);
        }
        self.site = site.clone();
        Ok(different)
    }

    /// Returns the responses of CloudFront's API about the distributions, by the path after the version.
    pub async fn documents(&self) -> io::Result<Vec<(String, String)>> {
        let configurations = self.created.iter();
        let configurations =
            configurations.map(|created| format!("distribution/{}/config", created.id));
        let mut documents = Vec::new();
        for path in ["distribution".to_owned()]
            .into_iter()
            .chain(configurations)
        {
            let target = format!("{API}/{path}");
            let request = (Method::GET, target.as_str());
            let response = self
                .ministack
                .call("cloudfront", request, &[], String::new())
                .await?;
            let body = String::from_utf8_lossy(&response.body).into_owned();
            documents.push((path, body));
        }
        Ok(documents)
    }
}

async fn update(ministack: &MiniStack, id: &str, body: String) -> io::Result<()> {
    let target = format!("{API}/distribution/{id}/config");
    let request = (Method::GET, target.as_str());
    let current = ministack
        .call("cloudfront", request, &[], String::new())
        .await?;
    let etag = current.header("etag").unwrap_or_default().to_owned();
    let request = (Method::PUT, target.as_str());
    ministack
        .call("cloudfront", request, &[("if-match", &etag)], body)
        .await?;
    Ok(())
}

async fn create_bucket(ministack: &MiniStack, name: &str) -> io::Result<()> {
    let bucket = format!("/{name}");
    ministack
        .call("s3", (Method::PUT, &bucket), &[], String::new())
        .await?;
    let policy = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject",
        "Resource": format!("arn:aws:s3:::{name}/*"),
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
