//! `BucketObject`: the object of a bucket that a request certainly leads to. `BucketPrefix`: where the objects are that
//! requests below a wildcard lead to.
//!
//! [`Site`] derives paths from an object, and more of them where it is uncertain. This is the reverse, and the rule is reversed
//! too: the object that a URL does not certainly lead to is never compared with what viewers get. So a function at the edge,
//! an origin group, a website endpoint, an access point, a server, a continuous deployment, a query string that reaches the
//! origin and a path that is read in several ways each lead to none.

use std::fmt;

use percent_encoding::percent_decode_str;

use super::RequestTarget;
use crate::path::InvalidationPath;
use crate::site::{BucketName, CacheBehavior, Origin, QueryStrings, Site};

/// An object of a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BucketObject {
    /// The bucket's name.
    pub bucket: String,
    /// The bucket's region, if the origin's domain name has one.
    pub region: Option<String>,
    /// The object's key.
    pub key: String,
}

impl fmt::Display for BucketObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.key)
    }
}

/// The keys of a bucket that start with the same text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BucketPrefix {
    /// The bucket's name.
    pub bucket: String,
    /// The bucket's region, if the origin's domain name has one.
    pub region: Option<String>,
    /// The text that the keys start with. It starts with the origin path.
    pub prefix: String,
    /// The origin path as keys have it: with a slash at its end, or empty.
    pub origin_path: String,
}

impl BucketPrefix {
    /// Returns the key without the origin path: the decoded path that viewers request, without its leading slash. `None` if
    /// the key is outside the origin path.
    pub fn relative_key<'a>(&self, key: &'a str) -> Option<&'a str> {
        key.strip_prefix(&self.origin_path)
    }
}

impl fmt::Display for BucketPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.prefix)
    }
}

/// Returns the object that the request certainly leads to.
///
/// The default root object of `/` has to be that of the configuration: a [`Site`] of a list has an assumed one.
pub fn object_of(site: &Site, target: &RequestTarget) -> Option<BucketObject> {
    let (origin, relative_key) = requested(site, target)?;
    let BucketName { name, region } = origin.rest_bucket()?;
    Some(BucketObject {
        bucket: name,
        region,
        key: origin.key(&relative_key)?,
    })
}

/// Returns the key of the object that the request certainly leads to, without the origin path.
pub fn relative_key_of(site: &Site, target: &RequestTarget) -> Option<String> {
    let (origin, relative_key) = requested(site, target)?;
    origin.rest_bucket().map(|_| relative_key)
}

/// Stands for what a wildcard covers. It is not a hexadecimal digit, which could complete a part of a percent triple.
const LETTER: char = 'x';

/// Returns where the objects are to which requests that the wildcard covers lead; `None` if that is not certain, or if the path
/// is not a wildcard.
///
/// Another behavior can lead some of these requests elsewhere, so [`object_of`] has to be checked for each key.
pub fn prefix_of(site: &Site, wildcard: &InvalidationPath) -> Option<BucketPrefix> {
    if !wildcard.is_wildcard() {
        return None;
    }
    let path = format!("{}{LETTER}", wildcard.stem());
    // A target has no part of a triple: its percent sign is encoded.
    decoded_path(&path)?;
    let target = RequestTarget::of_written(&path)?;
    if target.query().is_some() {
        return None;
    }
    let (origin, relative_key) = requested(site, &target)?;
    let BucketName { name, region } = origin.rest_bucket()?;
    Some(BucketPrefix {
        bucket: name,
        region,
        prefix: origin.key(relative_key.strip_suffix(LETTER)?)?,
        origin_path: origin.key("")?,
    })
}

/// Returns the only origin that gets the request, and the relative key that it gets.
fn requested<'a>(site: &'a Site, target: &RequestTarget) -> Option<(&'a Origin, String)> {
    let decoded = decoded_path(target.path())?;
    let relative_key = match decoded.as_str() {
        "/" => {
            let root = site.default_root_object.as_deref()?;
            decoded_path(&format!("/{}", root.strip_prefix('/').unwrap_or(root)))?
        }
        _ => decoded.clone(),
    };
    // Some viewers get what a staging distribution has.
    if site.features.continuous_deployment_policy.is_some() {
        return None;
    }
    // How far CloudFront decodes a path before it compares the path patterns is not documented, nor whether the default root
    // object precedes them.
    let paths = [target.path(), &decoded, &relative_key];
    let behaviors = paths.map(|path| site.behavior_of_request(path));
    let [Some(behavior), ..] = behaviors else {
        return None;
    };
    let is_certain = |other: &CacheBehavior| {
        other.target_origin_id == behavior.target_origin_id
            && !other.edge_function
            && (target.query().is_none() || other.query_strings == QueryStrings::Ignored)
    };
    if !behaviors.into_iter().flatten().all(is_certain) {
        return None;
    }
    let id = &behavior.target_origin_id;
    if site.origin_groups.iter().any(|group| group.id == *id) {
        return None;
    }
    let origin = site.origins.iter().find(|origin| origin.id == *id)?;
    let relative_key = relative_key.strip_prefix('/')?;
    (!relative_key.is_empty()).then(|| (origin, relative_key.to_owned()))
}

/// Decodes a path as S3 does; `None` if other servers decode it in another way: a plus, dot segments, an incomplete
/// triple, other bytes than UTF-8.
fn decoded_path(path: &str) -> Option<String> {
    let is_triple = |rest: &str| {
        let digits = rest.as_bytes().get(..2).unwrap_or_default();
        digits.len() == 2 && digits.iter().all(u8::is_ascii_hexdigit)
    };
    if path.contains('+') || !path.split('%').skip(1).all(is_triple) {
        return None;
    }
    let decoded = percent_decode_str(path).decode_utf8().ok()?;
    let has_dots = decoded
        .split('/')
        .any(|segment| matches!(segment, "." | ".."));
    (!has_dots).then(|| decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distribution::DistributionId;
    use crate::path::SubmittedPath;
    use crate::site::{Features, OriginGroup};

    const BUCKET: &str = "site.s3.eu-west-1.amazonaws.com";

    fn origin(id: &str, domain_name: &str, origin_path: &str) -> Origin {
        Origin {
            id: id.to_owned(),
            domain_name: domain_name.to_owned(),
            origin_path: origin_path.to_owned(),
        }
    }

    fn behavior(path_pattern: &str, target_origin_id: &str) -> CacheBehavior {
        CacheBehavior {
            path_pattern: path_pattern.to_owned(),
            target_origin_id: target_origin_id.to_owned(),
            edge_function: false,
            query_strings: QueryStrings::Ignored,
        }
    }

    /// A distribution in front of the bucket `site`.
    fn site() -> Site {
        Site {
            id: DistributionId::parse("E1EXAMPLE1ABC").expect("an id"),
            enabled: true,
            aliases: Vec::new(),
            origins: vec![
                origin("bucket", BUCKET, ""),
                origin("api", "api.example.com", ""),
            ],
            origin_groups: Vec::new(),
            cache_behaviors: vec![behavior("*", "bucket")],
            default_root_object: Some("index.html".to_owned()),
            custom_error_responses: Vec::new(),
            features: Features::default(),
        }
    }

    fn key(site: &Site, path: &str) -> Option<String> {
        let target = RequestTarget::of_written(path).expect("a target");
        object_of(site, &target).map(|object| object.key)
    }

    #[test]
    fn a_path_leads_to_the_key_that_s3_decodes() {
        for (path, expected) in [
            ("/a.html", Some("a.html")),
            ("/", Some("index.html")),
            ("/blog/", Some("blog/")),
            ("/blog", Some("blog")),
            ("//", Some("/")),
            ("/a//b", Some("a//b")),
            ("/a%20b%2Bc/%C3%BC.txt", Some("a b+c/ü.txt")),
            ("/a%2fb", Some("a/b")),
            ("/50%25", Some("50%")),
            ("/~user/a@b,c", Some("~user/a@b,c")),
            ("/a?v=3", Some("a")),
            ("/a+b", None),
            ("/a/../b", None),
            ("/a/%2E%2e/b", None),
            ("/./a", None),
            ("/%FF", None),
        ] {
            assert_eq!(key(&site(), path).as_deref(), expected, "{path}");
        }
        let with_root = |root: Option<&str>| Site {
            default_root_object: root.map(str::to_owned),
            ..site()
        };
        for (root, expected) in [
            (None, None),
            (Some(""), None),
            (Some("/home.html"), Some("home.html")),
            (Some("a%20b.html"), Some("a b.html")),
            (Some("a+b.html"), None),
        ] {
            let actual = key(&with_root(root), "/");
            assert_eq!(actual.as_deref(), expected, "{root:?}");
        }
    }

    #[test]
    fn the_origin_path_is_part_of_the_key() {
        for (origin_path, expected) in [
            ("", Some("a b.html")),
            ("/v1", Some("v1/a b.html")),
            ("/v1/de%20AT", Some("v1/de AT/a b.html")),
            ("/v1+2", None),
        ] {
            let mut site = site();
            site.origins[0].origin_path = origin_path.to_owned();
            let actual = key(&site, "/a%20b.html");
            assert_eq!(actual.as_deref(), expected, "{origin_path}");
            let target = RequestTarget::of_written("/a%20b.html").expect("a target");
            let relative_key = relative_key_of(&site, &target);
            assert_eq!(relative_key.as_deref(), Some("a b.html"), "{origin_path}");
        }
    }

    #[test]
    fn only_a_bucket_that_is_the_one_origin_certainly_has_the_object() {
        let object = |region: Option<&str>| {
            Some(BucketObject {
                bucket: "site".to_owned(),
                region: region.map(str::to_owned),
                key: "a".to_owned(),
            })
        };
        for (domain_name, expected) in [
            (BUCKET, object(Some("eu-west-1"))),
            ("site.s3.amazonaws.com", object(None)),
            ("site.s3-website-eu-west-1.amazonaws.com", None),
            ("site-s3alias.s3.eu-west-1.amazonaws.com", None),
            ("www.example.com", None),
        ] {
            let mut site = site();
            site.origins[0].domain_name = domain_name.to_owned();
            let target = RequestTarget::of_written("/a").expect("a target");
            assert_eq!(object_of(&site, &target), expected, "{domain_name}");
            let relative_key = expected.map(|object| object.key);
            assert_eq!(
                relative_key_of(&site, &target),
                relative_key,
                "{domain_name}"
            );
        }
    }

    #[test]
    fn a_wildcard_leads_to_the_keys_below_its_prefix() {
        let found = |origin_path: &str, prefix: &str| {
            Some(BucketPrefix {
                bucket: "site".to_owned(),
                region: Some("eu-west-1".to_owned()),
                prefix: prefix.to_owned(),
                origin_path: origin_path.to_owned(),
            })
        };
        for (origin_path, wildcard, expected) in [
            ("", "/*", found("", "")),
            ("", "/blog/*", found("", "blog/")),
            ("", "/blog*", found("", "blog")),
            ("", "/a//b*", found("", "a//b")),
            ("", "/.well-known/*", found("", ".well-known/")),
            ("", "/.*", found("", ".")),
            ("", "/a%20b/%C3%BC*", found("", "a b/ü")),
            ("", "/50%25*", found("", "50%")),
            ("/v1", "/*", found("v1/", "v1/")),
            ("/v1", "/blog/*", found("v1/", "v1/blog/")),
            ("/v1/de%20AT", "/x*", found("v1/de AT/", "v1/de AT/x")),
            ("/v1+2", "/blog/*", None),
            ("", "/blog/", None),
            ("", "/blog", None),
            ("", "/blog/?*", None),
            ("", "/blog?v=*", None),
            ("", "/a+b*", None),
            ("", "/%C3*", None),
            ("", "/a%2*", found("", "a%2")),
            ("", "#tag", None),
        ] {
            let mut site = site();
            site.origins[0].origin_path = origin_path.to_owned();
            let wildcard = InvalidationPath::parse(wildcard).expect("a path");
            let actual = prefix_of(&site, &wildcard);
            assert_eq!(actual, expected, "{origin_path} {wildcard}");
        }
    }

    #[test]
    fn a_wildcard_with_an_ambiguous_encoding_has_no_prefix() {
        for submitted in [
            "/a%2*",
            "/a/%2E%2e/b*",
            "/a/../b*",
            "/a+b*",
            "/%C3*",
            "/%FF*",
        ] {
            let submitted = SubmittedPath::from(submitted.to_owned());
            let wildcard = InvalidationPath::accepted_before(&submitted);
            assert_eq!(prefix_of(&site(), &wildcard), None, "{wildcard}");
        }
    }

    #[test]
    fn a_key_below_a_prefix_is_relative_to_the_root_of_the_site() {
        let mut site = site();
        for (origin_path, text, relative_keys) in [
            (
                "",
                "s3://site/blog/",
                [Some("blog/a b.html"), Some("v1/blog/a")],
            ),
            ("/v1", "s3://site/v1/blog/", [None, Some("blog/a")]),
        ] {
            site.origins[0].origin_path = origin_path.to_owned();
            let wildcard = InvalidationPath::parse("/blog/*").expect("a path");
            let prefix = prefix_of(&site, &wildcard).expect("a prefix");
            assert_eq!(prefix.to_string(), text);
            let keys = ["blog/a b.html", "v1/blog/a"];
            assert_eq!(keys.map(|key| prefix.relative_key(key)), relative_keys);
        }
    }

    #[test]
    fn what_can_lead_a_request_elsewhere_leaves_a_wildcard_without_a_prefix() {
        let with = |change: &dyn Fn(&mut Site)| {
            let mut site = site();
            change(&mut site);
            site
        };
        for (name, changed, expected) in [
            ("nothing", with(&|_| {}), Some("blog/")),
            (
                "a behavior of other paths",
                with(&|site| site.cache_behaviors.insert(0, behavior("/api/*", "api"))),
                Some("blog/"),
            ),
            (
                "a behavior of another origin",
                with(&|site| site.cache_behaviors.insert(0, behavior("/blog/*", "api"))),
                None,
            ),
            (
                "a function",
                with(&|site| site.cache_behaviors[0].edge_function = true),
                None,
            ),
            (
                "an origin group",
                with(&|site| {
                    site.origin_groups = vec![OriginGroup {
                        id: "bucket".to_owned(),
                        members: vec!["bucket".to_owned(), "api".to_owned()],
                    }];
                }),
                None,
            ),
            (
                "a continuous deployment",
                with(&|site| {
                    site.features.continuous_deployment_policy = Some("policy".to_owned());
                }),
                None,
            ),
            (
                "a website endpoint",
                with(&|site| {
                    let domain_name = "site.s3-website-eu-west-1.amazonaws.com";
                    site.origins[0].domain_name = domain_name.to_owned();
                }),
                None,
            ),
        ] {
            let wildcard = InvalidationPath::parse("/blog/*").expect("a path");
            let actual = prefix_of(&changed, &wildcard).map(|prefix| prefix.prefix);
            assert_eq!(actual.as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn what_can_lead_a_request_elsewhere_leaves_it_without_an_object() {
        let with = |change: &dyn Fn(&mut Site)| {
            let mut site = site();
            change(&mut site);
            site
        };
        let found = Some("a@b");
        for (name, changed, path, expected) in [
            ("nothing", with(&|_| {}), "/a@b?v=3", found),
            (
                "a function",
                with(&|site| site.cache_behaviors[0].edge_function = true),
                "/a@b",
                None,
            ),
            (
                "an origin group",
                with(&|site| {
                    site.origin_groups = vec![OriginGroup {
                        id: "bucket".to_owned(),
                        members: vec!["bucket".to_owned(), "api".to_owned()],
                    }];
                }),
                "/a@b",
                None,
            ),
            (
                "a continuous deployment",
                with(&|site| {
                    site.features.continuous_deployment_policy = Some("policy".to_owned());
                }),
                "/a@b",
                None,
            ),
            (
                "another behavior",
                with(&|site| site.cache_behaviors.insert(0, behavior("/a*", "api"))),
                "/a@b",
                None,
            ),
            (
                "a behavior of other paths",
                with(&|site| site.cache_behaviors.insert(0, behavior("/api/*", "api"))),
                "/a@b",
                found,
            ),
            (
                "a behavior of the decoded path",
                with(&|site| site.cache_behaviors.insert(0, behavior("/a@b", "api"))),
                "/a%40b",
                None,
            ),
            (
                "a function in the behavior of the decoded path",
                with(&|site| {
                    let edge_function = CacheBehavior {
                        edge_function: true,
                        ..behavior("/a@b", "bucket")
                    };
                    site.cache_behaviors.insert(0, edge_function);
                }),
                "/a%40b",
                None,
            ),
            (
                "a behavior of the default root object",
                with(&|site| site.cache_behaviors.insert(0, behavior("*.html", "api"))),
                "/",
                None,
            ),
            (
                "a query string that reaches the origin",
                with(&|site| site.cache_behaviors[0].query_strings = QueryStrings::InCacheKey),
                "/a@b?versionId=1",
                None,
            ),
            (
                "a query string that is not sent",
                with(&|site| site.cache_behaviors[0].query_strings = QueryStrings::InCacheKey),
                "/a@b",
                found,
            ),
            (
                "an origin that does not exist",
                with(&|site| site.cache_behaviors[0].target_origin_id = "none".to_owned()),
                "/a@b",
                None,
            ),
        ] {
            assert_eq!(key(&changed, path).as_deref(), expected, "{name}");
        }
    }
}
