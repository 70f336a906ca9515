//! Reads the part of a distribution that the edge needs from CloudFront's XML.
//!
//! The program under test reads the same documents with the SDK. This is separate code on purpose.
//!
//! Elements: <https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_DistributionConfig.html>

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Duration;

use roxmltree::{Document, Node};

use super::distribution::{
    DEFAULT_ERROR_CACHING, EdgeBehavior, EdgeDistribution, QueryKey, default_root_rewrite,
};

/// Managed cache policies without query strings in the cache key.
/// <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/using-managed-cache-policies.html>
const MANAGED_WITHOUT_QUERY_STRINGS: [&str; 4] = [
    "658327ea-f89d-4fab-a63d-7e88639e58f6", // CachingOptimized
    "b2884449-e4de-46a7-ac36-70bc7f1ddd6d", // CachingOptimizedForUncompressedObjects
    "4135ea2d-6df8-44a3-9df3-4b5a84be39ad", // CachingDisabled
    "83da9c7e-98b4-4e11-a168-04f0df8e2c65", // UseOriginCacheControlHeaders
];

/// Managed cache policies with all query strings in the cache key. The same page.
const MANAGED_WITH_QUERY_STRINGS: [&str; 2] = [
    "2e54312d-136d-493c-8eb9-b001f22f67d2", // Amplify
    "4cc15a8a-d715-48a4-82b8-cc0b614638fe", // UseOriginCacheControlHeaders-QueryStrings
];

/// An entry of ListDistributions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Summary {
    pub(super) id: String,
    /// The domain name and then the aliases, in lower case.
    pub(super) hosts: Vec<String>,
}

/// Reads a page of ListDistributions: its entries, and the marker of the next page if there is one.
pub(super) fn summaries(list: &str) -> io::Result<(Vec<Summary>, Option<String>)> {
    let document = parse(list)?;
    let root = document.root_element();
    let items = items(root).filter(|item| item.has_tag_name("DistributionSummary"));
    let summaries = items.map(|summary| Summary {
        id: text(summary, &["Id"]),
        hosts: hosts(summary),
    });
    let next = text(root, &["NextMarker"]);
    Ok((
        summaries.collect(),
        Some(next).filter(|next| !next.is_empty()),
    ))
}

fn hosts(summary: Node) -> Vec<String> {
    let aliases = child(summary, "Aliases").into_iter().flat_map(items);
    let aliases = aliases.map(|alias| alias.text().unwrap_or_default().to_owned());
    std::iter::once(text(summary, &["DomainName"]))
        .chain(aliases)
        .map(|host| host.to_ascii_lowercase())
        .collect()
}

/// Returns the ids of the cache policies of a distribution that are not known managed ones.
pub(super) fn policy_ids(configuration: &str) -> io::Result<BTreeSet<String>> {
    let document = parse(configuration)?;
    let nodes = document.descendants();
    let ids = nodes.filter(|node| node.has_tag_name("CachePolicyId"));
    let ids = ids.filter_map(|node| node.text().map(str::to_owned));
    Ok(ids.filter(|id| managed_policy(id).is_none()).collect())
}

/// Reads GetCachePolicy.
pub(super) fn policy(policy: &str) -> io::Result<QueryKey> {
    let document = parse(policy)?;
    let mut nodes = document.descendants();
    let Some(query_strings) = nodes.find(|node| node.has_tag_name("QueryStringsConfig")) else {
        return Ok(QueryKey::None);
    };
    let names = || child(query_strings, "QueryStrings").map_or_else(Vec::new, texts);
    match text(query_strings, &["QueryStringBehavior"]).as_str() {
        "none" => Ok(QueryKey::None),
        "all" => Ok(QueryKey::All),
        "whitelist" => Ok(QueryKey::Only(names())),
        "allExcept" => Ok(QueryKey::AllExcept(names())),
        behavior => Err(io::Error::other(format!(
            "unknown query string behavior {behavior}"
        ))),
    }
}

/// Reads GetDistributionConfig. Functions are not part of it, so only the default root object rewrites a path.
pub(super) fn distribution(
    summary: Summary,
    configuration: &str,
    policies: &BTreeMap<String, QueryKey>,
) -> io::Result<EdgeDistribution> {
    let document = parse(configuration)?;
    let root = document.root_element();
    let rewrite = default_root_rewrite(text(root, &["DefaultRootObject"]));
    let behavior = |node: Node, path_pattern: String| EdgeBehavior {
        path_pattern,
        query_strings: query_key(node, policies),
        compress: text(node, &["Compress"]) == "true",
        rewrite: rewrite.clone(),
    };
    let behaviors = child(root, "CacheBehaviors").into_iter().flat_map(items);
    let behaviors = behaviors.map(|node| behavior(node, text(node, &["PathPattern"])));
    let default = child(root, "DefaultCacheBehavior").into_iter();
    let default = default.map(|node| behavior(node, "*".to_owned()));
    let errors = child(root, "CustomErrorResponses")
        .into_iter()
        .flat_map(items);
    let tag_header = text(root, &["CacheTagConfig", "HeaderName"]);
    Ok(EdgeDistribution {
        id: summary.id,
        hosts: summary.hosts,
        behaviors: behaviors.chain(default).collect(),
        error_caching: error_caching(errors),
        tag_header: Some(tag_header).filter(|name| !name.is_empty()),
    })
}

/// Returns how long errors are cached by the status that viewers get; the longest time if several errors have it.
///
/// That is the status of the error page, or the error's own if the page is not available.
fn error_caching<'a>(errors: impl Iterator<Item = Node<'a, 'a>>) -> BTreeMap<u16, Duration> {
    let mut by_status = BTreeMap::new();
    for error in errors {
        let ttl = text(error, &["ErrorCachingMinTTL"]).parse();
        let ttl = ttl.map_or(DEFAULT_ERROR_CACHING, Duration::from_secs);
        for status in ["ErrorCode", "ResponseCode"] {
            if let Ok(status) = text(error, &[status]).parse() {
                let longest = by_status.entry(status).or_insert(ttl);
                *longest = ttl.max(*longest);
            }
        }
    }
    by_status
}

fn query_key(behavior: Node, policies: &BTreeMap<String, QueryKey>) -> QueryKey {
    let policy = text(behavior, &["CachePolicyId"]);
    if !policy.is_empty() {
        let known = managed_policy(&policy).or_else(|| policies.get(&policy).cloned());
        return known.unwrap_or_default();
    }
    if text(behavior, &["ForwardedValues", "QueryString"]) != "true" {
        return QueryKey::None;
    }
    let forwarded = child(behavior, "ForwardedValues");
    let keys = forwarded.and_then(|forwarded| child(forwarded, "QueryStringCacheKeys"));
    match keys.map_or_else(Vec::new, texts) {
        names if names.is_empty() => QueryKey::All,
        names => QueryKey::Only(names),
    }
}

fn managed_policy(id: &str) -> Option<QueryKey> {
    if MANAGED_WITHOUT_QUERY_STRINGS.contains(&id) {
        Some(QueryKey::None)
    } else {
        MANAGED_WITH_QUERY_STRINGS
            .contains(&id)
            .then_some(QueryKey::All)
    }
}

fn parse(text: &str) -> io::Result<Document<'_>> {
    Document::parse(text).map_err(io::Error::other)
}

fn child<'a>(node: Node<'a, 'a>, name: &str) -> Option<Node<'a, 'a>> {
    node.children().find(|child| child.has_tag_name(name))
}

/// Returns the elements of an element's `Items`.
fn items<'a>(node: Node<'a, 'a>) -> impl Iterator<Item = Node<'a, 'a>> {
    let items = child(node, "Items").into_iter();
    items.flat_map(|items| items.children().filter(Node::is_element))
}

/// Returns the texts of an element's `Items`.
fn texts(node: Node) -> Vec<String> {
    let texts = items(node).map(|item| item.text().unwrap_or_default().to_owned());
    texts.collect()
}

/// Returns the text below these elements, which is empty if one of them is missing.
fn text(node: Node, names: &[&str]) -> String {
    let mut nodes = names.iter();
    let found = nodes.try_fold(node, |node, name| child(node, name));
    let text = found.and_then(|node| node.text()).unwrap_or_default();
    text.trim().to_owned()
}
