//! The distributions in front of the bucket, and how their owner changes them while objects are uploaded.
//!
//! The bucket holds the site twice, in the folders `blue/` and `green/`. The first distribution serves one of them, and
//! its owner switches the origin path. The second one serves the complete bucket, but later. The third one exists only at
//! first, and no viewer uses it.
//!
//! A change is made in one moment: CloudFront's API returns the new configuration, and viewers get it. If the copies are
//! then of other objects, they are gone, because the owner invalidates everything. So the verdict is about the changes of
//! objects after that: an older configuration leads to other paths, or to none.
//!
//! The XML is written here, and the edge gets the same configuration as values. No code of `src/` decides either.

use std::collections::{BTreeMap, BTreeSet};
use std::str;
use std::sync::Arc;

use super::bucket::{path, spellings};
use super::{BUCKET, DEFAULT_ROOT_OBJECT, DISTRIBUTION, ERROR_CACHING};
use crate::standin::{EdgeBehavior, EdgeDistribution, QueryKey};

/// The distribution that gets the bucket as its origin later.
pub const SECOND: &str = "E2EXAMPLE2ABC";
/// The distribution that is deleted.
pub const DELETED: &str = "E3EXAMPLE3ABC";

const HOST: &str = "d111111abcdef8.cloudfront.net";
const SECOND_HOST: &str = "d222222abcdef8.cloudfront.net";
const DELETED_HOST: &str = "d333333abcdef8.cloudfront.net";
const XML: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
const XMLNS: &str = "http://cloudfront.amazonaws.com/doc/2020-05-31/";
const INDEX_DOCUMENT: &str = "index.html";
/// AWS's managed cache policy without query strings.
const CACHING_OPTIMIZED: &str = "658327ea-f89d-4fab-a63d-7e88639e58f6";
/// A cache policy of the account, which has to be read.
const OWN_POLICY: &str = "11111111-2222-4333-8444-555555555555";

/// A folder of the bucket with a complete site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    Blue,
    Green,
}

/// What the owner does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigurationChange {
    /// The first distribution serves the other folder.
    SwitchOriginPath,
    /// A function of the first distribution adds index documents: `/dir/` and `/dir` lead to `/dir/index.html`.
    AssociateFunction,
    /// The second distribution serves the bucket.
    AddDistribution,
    /// The third distribution does not exist any more.
    DeleteDistribution,
}

/// The configuration of all distributions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Configuration {
    slot: Slot,
    has_function: bool,
    has_second: bool,
    has_third: bool,
}

impl Slot {
    pub fn other(self) -> Self {
        match self {
            Self::Blue => Self::Green,
            Self::Green => Self::Blue,
        }
    }

    /// Returns the folder with its slash.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Blue => "blue/",
            Self::Green => "green/",
        }
    }
}

impl ConfigurationChange {
    /// Returns whether the copies from before the change are of other objects, so that the owner invalidates everything.
    pub fn needs_invalidation(self) -> bool {
        self == Self::SwitchOriginPath
    }

    /// Returns the distribution that is changed.
    pub fn distribution(self) -> &'static str {
        match self {
            Self::SwitchOriginPath | Self::AssociateFunction => DISTRIBUTION,
            Self::AddDistribution => SECOND,
            Self::DeleteDistribution => DELETED,
        }
    }
}

impl Default for Configuration {
    fn default() -> Self {
        Self {
            slot: Slot::Blue,
            has_function: false,
            has_second: false,
            has_third: true,
        }
    }
}

impl Configuration {
    pub fn apply(&mut self, change: ConfigurationChange) {
        match change {
            ConfigurationChange::SwitchOriginPath => self.slot = self.slot.other(),
            ConfigurationChange::AssociateFunction => self.has_function = true,
            ConfigurationChange::AddDistribution => self.has_second = true,
            ConfigurationChange::DeleteDistribution => self.has_third = false,
        }
    }

    pub fn slot(&self) -> Slot {
        self.slot
    }

    /// Returns the configurations that the edge applies.
    pub fn edge(&self) -> Vec<EdgeDistribution> {
        let has_function = self.has_function;
        let distribution = |id: &str, host: &str, has_function| EdgeDistribution {
            id: id.to_owned(),
            hosts: vec![host.to_owned()],
            behaviors: vec![EdgeBehavior {
                path_pattern: "*".to_owned(),
                query_strings: QueryKey::None,
                compress: true,
                rewrite: Some(Arc::new(move |path: &str| rewrite(path, has_function))),
            }],
            error_caching: BTreeMap::from([(404, ERROR_CACHING)]),
            tag_header: None,
        };
        let mut distributions = vec![distribution(DISTRIBUTION, HOST, has_function)];
        if self.has_second {
            distributions.push(distribution(SECOND, SECOND_HOST, false));
        }
        distributions
    }

    /// Returns the key that a viewer's path leads to; the host is the domain name of a distribution, or its id.
    pub fn key(&self, host: &str, target: &str) -> String {
        if [HOST, DISTRIBUTION].contains(&host) {
            let rewritten = path(&rewrite(target, self.has_function));
            format!("{}{rewritten}", self.slot.prefix())
        } else {
            path(&rewrite(target, false))
        }
    }

    /// Returns the URLs of an object, as hosts with paths, in all spellings. Not with an own path that the function would
    /// lead to another object: its copies from before the function would be compared with that object.
    pub fn urls(&self, key: &str) -> BTreeSet<(&'static str, String)> {
        let mut urls = BTreeSet::new();
        let mut add = |host, path: &str| {
            urls.extend(spellings(path).into_iter().map(|url| (host, url)));
        };
        if let Some(relative) = key.strip_prefix(self.slot.prefix()) {
            if !is_rewritten(relative) {
                add(HOST, relative);
            }
            if relative == DEFAULT_ROOT_OBJECT {
                add(HOST, "");
            }
            let directory = relative.strip_suffix(&format!("/{INDEX_DOCUMENT}"));
            if let Some(directory) = directory.filter(|_| self.has_function) {
                add(HOST, directory);
                add(HOST, &format!("{directory}/"));
            }
        }
        if self.has_second {
            add(SECOND_HOST, key);
        }
        urls
    }

    /// Returns the responses of CloudFront's API, by the path after the version.
    pub fn documents(&self) -> Vec<(String, String)> {
        let first = Document {
            id: DISTRIBUTION,
            host: HOST,
            bucket: BUCKET,
            origin_path: self.slot.prefix().trim_end_matches('/'),
            has_function: self.has_function,
            cache_policy: CACHING_OPTIMIZED,
        };
        let second = Document {
            id: SECOND,
            host: SECOND_HOST,
            // It exists before: DISTRIBUTION_ID can name it.
            bucket: if self.has_second { BUCKET } else { "elsewhere" },
            origin_path: "",
            has_function: false,
            cache_policy: OWN_POLICY,
        };
        let third = Document {
            id: DELETED,
            host: DELETED_HOST,
            bucket: BUCKET,
            cache_policy: CACHING_OPTIMIZED,
            ..second
        };
        let mut listed = vec![&first];
        listed.extend(self.has_second.then_some(&second));
        listed.extend(self.has_third.then_some(&third));
        let mut documents = vec![
            ("distribution".to_owned(), list(&listed)),
            (format!("cache-policy/{OWN_POLICY}"), own_policy()),
        ];
        let third = self.has_third.then_some(&third);
        for document in [&first, &second].into_iter().chain(third) {
            let name = format!("distribution/{}/config", document.id);
            documents.push((name, document.config()));
        }
        documents
    }
}

/// Returns the path that the origin gets, without the origin path.
fn rewrite(path: &str, has_function: bool) -> String {
    let path = match path {
        "/" => format!("/{DEFAULT_ROOT_OBJECT}"),
        _ => path.to_owned(),
    };
    match path.rsplit('/').next() {
        Some("") if has_function => format!("{path}{INDEX_DOCUMENT}"),
        Some(name) if has_function && !name.contains('.') => format!("{path}/{INDEX_DOCUMENT}"),
        _ => path,
    }
}

/// Returns whether the function leads this path, without its leading slash, to another object.
fn is_rewritten(path: &str) -> bool {
    rewrite(&format!("/{path}"), true) != format!("/{path}")
}

/// What differs between the distributions' documents.
#[derive(Clone, Copy)]
struct Document<'a> {
    id: &'a str,
    host: &'a str,
    bucket: &'a str,
    /// The origin path without its slash.
    origin_path: &'a str,
    has_function: bool,
    cache_policy: &'a str,
}

impl Document<'_> {
    /// Returns the response to GetDistributionConfig.
    fn config(&self) -> String {
        let parts = self.parts();
        format!(
            "{XML}<DistributionConfig xmlns=\"{XMLNS}\"><CallerReference>soak</CallerReference>\
             <DefaultRootObject>{DEFAULT_ROOT_OBJECT}</DefaultRootObject>{parts}\
             </DistributionConfig>"
        )
    }

    /// Returns the entry in ListDistributions.
    fn summary(&self) -> String {
        let Self { id, host, .. } = self;
        let parts = self.parts();
        format!(
            "<DistributionSummary><Id>{id}</Id>\
             <ARN>arn:aws:cloudfront::111122223333:distribution/{id}</ARN>\
             <Status>Deployed</Status><LastModifiedTime>2026-01-01T00:00:00.000Z</LastModifiedTime>\
             <DomainName>{host}</DomainName>{parts}<Staging>false</Staging></DistributionSummary>"
        )
    }

    /// Returns the elements that a configuration and a summary have in common.
    fn parts(&self) -> String {
        let Self {
            bucket,
            cache_policy,
            ..
        } = self;
        let origin_path = match self.origin_path {
            "" => String::new(),
            folder => format!("/{folder}"),
        };
        let functions = if self.has_function {
            "<Quantity>1</Quantity><Items><FunctionAssociation><FunctionARN>\
             arn:aws:cloudfront::111122223333:function/index</FunctionARN>\
             <EventType>viewer-request</EventType></FunctionAssociation></Items>"
        } else {
            "<Quantity>0</Quantity>"
        };
        format!(
            "<Aliases><Quantity>0</Quantity></Aliases>\
             <Origins><Quantity>1</Quantity><Items><Origin><Id>site</Id>\
             <DomainName>{bucket}.s3.us-east-1.amazonaws.com</DomainName>\
             <OriginPath>{origin_path}</OriginPath>\
             <CustomHeaders><Quantity>0</Quantity></CustomHeaders>\
             <S3OriginConfig><OriginAccessIdentity/></S3OriginConfig></Origin></Items></Origins>\
             <OriginGroups><Quantity>0</Quantity></OriginGroups>\
             <DefaultCacheBehavior><TargetOriginId>site</TargetOriginId>\
             <ViewerProtocolPolicy>redirect-to-https</ViewerProtocolPolicy>\
             <LambdaFunctionAssociations><Quantity>0</Quantity></LambdaFunctionAssociations>\
             <FunctionAssociations>{functions}</FunctionAssociations>\
             <CachePolicyId>{cache_policy}</CachePolicyId></DefaultCacheBehavior>\
             <CacheBehaviors><Quantity>0</Quantity></CacheBehaviors>\
             <CustomErrorResponses><Quantity>0</Quantity></CustomErrorResponses>\
             <Comment/><PriceClass>PriceClass_All</PriceClass><Enabled>true</Enabled>\
             <ViewerCertificate><CloudFrontDefaultCertificate>true</CloudFrontDefaultCertificate>\
             </ViewerCertificate><Restrictions><GeoRestriction><RestrictionType>none</RestrictionType>\
             <Quantity>0</Quantity></GeoRestriction></Restrictions><WebACLId/>\
             <HttpVersion>http2</HttpVersion><IsIPV6Enabled>true</IsIPV6Enabled>"
        )
    }
}

/// Returns the response to ListDistributions.
fn list(listed: &[&Document]) -> String {
    let summaries = listed.iter().map(|document| document.summary());
    let (count, summaries) = (listed.len(), summaries.collect::<String>());
    format!(
        "{XML}<DistributionList xmlns=\"{XMLNS}\"><Marker/><MaxItems>100</MaxItems>\
         <IsTruncated>false</IsTruncated><Quantity>{count}</Quantity><Items>{summaries}</Items>\
         </DistributionList>"
    )
}

/// Returns the response to GetCachePolicy.
fn own_policy() -> String {
    format!(
        "{XML}<CachePolicy xmlns=\"{XMLNS}\"><Id>{OWN_POLICY}</Id>\
         <LastModifiedTime>2026-01-01T00:00:00.000Z</LastModifiedTime>\
         <CachePolicyConfig><Name>own</Name><MinTTL>1</MinTTL>\
         <ParametersInCacheKeyAndForwardedToOrigin>\
         <EnableAcceptEncodingGzip>true</EnableAcceptEncodingGzip>\
         <HeadersConfig><HeaderBehavior>none</HeaderBehavior></HeadersConfig>\
         <CookiesConfig><CookieBehavior>none</CookieBehavior></CookiesConfig>\
         <QueryStringsConfig><QueryStringBehavior>none</QueryStringBehavior></QueryStringsConfig>\
         </ParametersInCacheKeyAndForwardedToOrigin></CachePolicyConfig></CachePolicy>"
    )
}

#[cfg(test)]
mod tests {
    use super::ConfigurationChange::{AddDistribution, AssociateFunction, SwitchOriginPath};
    use super::*;

    fn after(changes: &[ConfigurationChange]) -> Configuration {
        let mut configuration = Configuration::default();
        changes
            .iter()
            .for_each(|change| configuration.apply(*change));
        configuration
    }

    #[test]
    fn urls_follow_the_configuration_and_lead_to_the_object() {
        let changes = [SwitchOriginPath, AssociateFunction, AddDistribution];
        for (key, made, expected) in [
            ("blue/d/index.html", 0, &[(HOST, "/d/index.html")][..]),
            ("green/d/index.html", 0, &[]),
            ("blue/index.html", 0, &[(HOST, "/"), (HOST, "/index.html")]),
            ("blue/d/index.html", 1, &[]),
            ("green/d/index.html", 1, &[(HOST, "/d/index.html")]),
            (
                "green/d/index.html",
                2,
                &[(HOST, "/d"), (HOST, "/d/"), (HOST, "/d/index.html")],
            ),
            (
                "green/a b.html",
                3,
                &[
                    (HOST, "/a%20b.html"),
                    (HOST, "/a+b.html"),
                    (SECOND_HOST, "/green/a%20b.html"),
                    (SECOND_HOST, "/green/a+b.html"),
                ],
            ),
            ("green/CNAME", 2, &[]),
            ("blue/a.html", 3, &[(SECOND_HOST, "/blue/a.html")]),
        ] {
            let configuration = after(&changes[..made]);
            let urls = configuration.urls(key);
            let expected = expected
                .iter()
                .map(|(host, url)| (*host, (*url).to_owned()));
            assert!(urls.iter().cloned().eq(expected), "{key} {made}: {urls:?}");
            for (host, url) in urls {
                assert_eq!(configuration.key(host, &url), key, "{host}{url}");
            }
        }
    }

    #[test]
    fn documents_follow_the_configuration() {
        let changes = [
            SwitchOriginPath,
            AssociateFunction,
            AddDistribution,
            ConfigurationChange::DeleteDistribution,
        ];
        let count = |made: usize, name: &str, text: &str| {
            let documents = BTreeMap::from_iter(after(&changes[..made]).documents());
            let document = documents.get(name).map(String::as_str);
            document.unwrap_or_default().matches(text).count()
        };
        let (list, first) = ("distribution", "distribution/E1EXAMPLE1ABC/config");
        let second = "distribution/E2EXAMPLE2ABC/config";
        let third = "distribution/E3EXAMPLE3ABC/config";
        let bucket = "<DomainName>site.s3.us-east-1.amazonaws.com</DomainName>";
        for (name, text, expected) in [
            (first, "<OriginPath>/blue</OriginPath>", [1, 0, 0, 0, 0]),
            (list, "<OriginPath>/green</OriginPath>", [0, 1, 1, 1, 1]),
            (first, "viewer-request", [0, 0, 1, 1, 1]),
            (list, "viewer-request", [0, 0, 1, 1, 1]),
            (second, bucket, [0, 0, 0, 1, 1]),
            (list, bucket, [2, 2, 2, 3, 2]),
            (third, bucket, [1, 1, 1, 1, 0]),
        ] {
            let counts = [0, 1, 2, 3, 4].map(|made| count(made, name, text));
            assert_eq!(counts, expected, "{name} {text}");
        }
    }
}
