//! The sites that are tested: a bucket, its distributions, and which object a viewer's path leads to.
//!
//! A site is described once. `configuration` writes it as CloudFront's XML for MiniStack, from which the function reads
//! it, and [`Distribution::for_edge`] describes it to the edge.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::bundler::Bundler;
use super::soak::{BUCKET, REPLICA};
use crate::standin::{EdgeBehavior, EdgeDistribution, QueryKey};

const ACCESS_POINT_ALIAS: &str = "site-0123456789abcdef0123456789ab-s3alias";
/// In seconds. The function invalidates for the sake of errors that are kept longer.
const MAX_SHORT_ERROR_CACHING: u64 = 60;
/// The folder that [`IndexFunction::OriginPath`] is about.
const BETA: &str = "beta";

/// A bucket's distributions.
#[derive(Clone, Debug)]
pub struct Site {
    pub family: &'static str,
    pub distributions: Vec<Distribution>,
    /// Whether IAM denies the function to read the configurations.
    pub is_denied: bool,
    /// What builds the site, if its files have names with hashes.
    pub bundler: Option<Bundler>,
}

/// A distribution whose origins are the bucket, perhaps under another name, under one or more origin paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distribution {
    pub endpoint: Endpoint,
    /// The origin paths; behaviors refer to them by index.
    pub origin_paths: Vec<&'static str>,
    pub default_root_object: &'static str,
    /// In order of precedence, the default one last.
    pub behaviors: Vec<Behavior>,
    pub error_pages: Vec<ErrorPage>,
}

/// How CloudFront reaches the bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    Rest,
    Website,
    /// The alias of an access point, whose domain name does not contain the bucket's name.
    AccessPoint,
    /// A server that requests the path that CloudFront sends, with the origin path, from the bucket.
    Server,
    /// A server that removes the origin path.
    ServerWithoutOriginPath,
    /// An origin group of the bucket and its replica in another region.
    Replicated,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Behavior {
    pub path_pattern: &'static str,
    pub origin: usize,
    pub query_strings: QueryStrings,
    pub function: Option<IndexFunction>,
}

/// Which query strings are in the cache key, and where the configuration defines it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryStrings {
    /// AWS's managed policy CachingOptimized: none.
    Managed,
    PolicyAll,
    /// Only the query string `v`.
    PolicyOnly,
    /// All but the query string `utm`.
    PolicyAllExcept,
    LegacyNone,
    LegacyAll,
}

/// A function that changes the paths of viewers' requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexFunction {
    /// `/dir/` and `/dir` lead to `/dir/index.html`, as in AWS's sample.
    Directories,
    /// `/dir/` leads to `/dir/index.html`, and `/about` to `/about.html`.
    Extensions,
    /// Requests below `/beta/` get the origin without its origin path (`updateRequestOrigin`). The URI stays.
    ///
    /// Such an object is cached under the path that is its own key. A function could also set the origin path to
    /// `/beta` for any request; then nothing in the configuration connects the path with the key.
    OriginPath,
}

/// A custom error response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorPage {
    pub error_code: u16,
    pub page: &'static str,
    pub response_code: u16,
    pub caching_min_ttl: u64,
}

impl Site {
    /// Returns whether the configuration does not show that an origin is the bucket, so that DISTRIBUTION_ID must be set.
    /// A denied configuration is named too: ListDistributions would show most of it.
    pub fn must_be_named(&self) -> bool {
        let is_hidden = |distribution: &Distribution| {
            use Endpoint::{AccessPoint, Server, ServerWithoutOriginPath};
            let hidden = [AccessPoint, Server, ServerWithoutOriginPath];
            hidden.contains(&distribution.endpoint)
        };
        self.is_denied || self.distributions.iter().any(is_hidden)
    }

    /// Returns whether a distribution keeps errors, or pages in place of them.
    pub fn keeps_errors(&self) -> bool {
        let mut distributions = self.distributions.iter();
        distributions.any(|distribution| distribution.error_pages.iter().any(ErrorPage::is_kept))
    }

    pub fn is_replicated(&self) -> bool {
        let mut distributions = self.distributions.iter();
        distributions.any(|distribution| distribution.endpoint == Endpoint::Replicated)
    }
}

impl ErrorPage {
    /// Returns whether copies of the page stay under other paths for longer than viewers wait here.
    pub fn is_kept(&self) -> bool {
        self.response_code < 300 || self.caching_min_ttl > MAX_SHORT_ERROR_CACHING
    }
}

impl Distribution {
    /// Returns whether an object is a page that CloudFront keeps in place of errors, so that a change of it requires an
    /// invalidation of everything.
    pub fn is_kept_error_page(&self, key: &str) -> bool {
        let mut pages = self.error_pages.iter();
        pages.any(|page| page.is_kept() && self.key(page.page.trim_start_matches('/')) == key)
    }

    /// Returns the domain names of the origins under one origin path.
    pub fn origin_domains(&self) -> Vec<String> {
        let rest = |bucket: &str, region: &str| format!("{bucket}.s3.{region}.amazonaws.com");
        match self.endpoint {
            Endpoint::Rest => vec![rest(BUCKET, "us-east-1")],
            Endpoint::Website => vec![format!("{BUCKET}.s3-website-us-east-1.amazonaws.com")],
            Endpoint::AccessPoint => vec![rest(ACCESS_POINT_ALIAS, "us-east-1")],
            Endpoint::Server | Endpoint::ServerWithoutOriginPath => {
                vec!["files.example.com".to_owned()]
            }
            Endpoint::Replicated => vec![rest(BUCKET, "us-east-1"), rest(REPLICA, "eu-west-1")],
        }
    }

    /// Returns whether MiniStack serves no viewers of this distribution, so that a model does.
    pub fn is_modelled(&self) -> bool {
        let mut functions = self.behaviors.iter().map(|behavior| behavior.function);
        self.endpoint != Endpoint::Rest
            || functions.any(|function| function == Some(IndexFunction::OriginPath))
    }

    /// Returns the folders of the bucket that viewers reach, without slashes.
    pub fn folders(&self) -> Vec<&'static str> {
        if self.endpoint == Endpoint::ServerWithoutOriginPath {
            return vec![""];
        }
        let paths = self.origin_paths.iter();
        let mut folders: Vec<_> = paths.map(|path| path.trim_start_matches('/')).collect();
        let mut behaviors = self.behaviors.iter();
        if behaviors.any(|behavior| behavior.function == Some(IndexFunction::OriginPath)) {
            folders.push(BETA);
        }
        folders
    }

    /// Returns the key that the only origin requests for a viewer's decoded path, without its slash.
    pub fn key(&self, path: &str) -> String {
        let path = match path {
            "" => self.default_root_object,
            path => path,
        };
        let behavior = &self.behaviors[0];
        let rewritten = match behavior.function {
            Some(function) => function.rewrite(path),
            None => path.to_owned(),
        };
        let origin_path = self.origin_paths[0].trim_start_matches('/');
        let keeps_path = behavior.function == Some(IndexFunction::OriginPath)
            && path.starts_with(&format!("{BETA}/"));
        let without = self.endpoint == Endpoint::ServerWithoutOriginPath;
        if origin_path.is_empty() || keeps_path || without {
            rewritten
        } else {
            format!("{origin_path}/{rewritten}")
        }
    }

    /// Describes the distribution to the edge.
    pub fn for_edge(&self, id: &str, domain: &str) -> EdgeDistribution {
        // The edge uses the status that the viewer gets, which is the error's own if the page is missing.
        let ttl = |page: &ErrorPage| Duration::from_secs(page.caching_min_ttl);
        let pages = self.error_pages.iter();
        let error_caching: BTreeMap<u16, Duration> = pages
            .flat_map(|page| [page.error_code, page.response_code].map(|code| (code, ttl(page))))
            .collect();
        let behaviors = self.behaviors.iter();
        EdgeDistribution {
            id: id.to_owned(),
            hosts: vec![domain.to_owned()],
            behaviors: behaviors
                .map(|behavior| self.edge_behavior(*behavior))
                .collect(),
            error_caching,
            tag_header: None,
        }
    }

    fn edge_behavior(&self, behavior: Behavior) -> EdgeBehavior {
        let root = self.default_root_object;
        let rewrite = move |uri: &str| {
            let uri = match uri {
                "/" if !root.is_empty() => format!("/{root}"),
                uri => uri.to_owned(),
            };
            match behavior.function {
                Some(function) => function.rewrite(&uri),
                None => uri,
            }
        };
        EdgeBehavior {
            path_pattern: behavior.path_pattern.to_owned(),
            query_strings: behavior.query_strings.cache_key(),
            compress: true,
            rewrite: Some(Arc::new(rewrite)),
        }
    }
}

impl QueryStrings {
    fn cache_key(self) -> QueryKey {
        match self {
            Self::Managed | Self::LegacyNone => QueryKey::None,
            Self::PolicyAll | Self::LegacyAll => QueryKey::All,
            Self::PolicyOnly => QueryKey::Only(vec!["v".to_owned()]),
            Self::PolicyAllExcept => QueryKey::AllExcept(vec!["utm".to_owned()]),
        }
    }
}

impl IndexFunction {
    pub const ALL: [Self; 3] = [Self::Directories, Self::Extensions, Self::OriginPath];
    /// The functions that rewrite the paths of requests.
    pub const REWRITING: [Self; 2] = [Self::Directories, Self::Extensions];

    pub fn name(self) -> &'static str {
        match self {
            Self::Directories => "directories",
            Self::Extensions => "extensions",
            Self::OriginPath => "origin-path",
        }
    }

    /// Returns the function's code. MiniStack runs it, but the last one's, whose distribution is a model.
    pub fn code(self) -> String {
        let Some(suffix) = self.suffix() else {
            return format!(
                "import cf from 'cloudfront';
                 function handler(event) {{
                   if (event.request.uri.startsWith('/{BETA}/'))
                     cf.updateRequestOrigin({{originPath: ''}});
                   return event.request;
                 }}"
            );
        };
        format!(
            "function handler(event) {{
               var request = event.request;
               var name = request.uri.split('/').pop();
               if (name === '') request.uri += 'index.html';
               else if (!name.includes('.')) request.uri += '{suffix}';
               return request;
             }}"
        )
    }

    /// Returns what the code does to a URI.
    fn rewrite(self, uri: &str) -> String {
        let Some(suffix) = self.suffix() else {
            return uri.to_owned();
        };
        match uri.rsplit('/').next() {
            None | Some("") => format!("{uri}index.html"),
            Some(name) if !name.contains('.') => format!("{uri}{suffix}"),
            Some(_) => uri.to_owned(),
        }
    }

    /// Returns what the function appends to a path without an extension; `None` if it rewrites none.
    fn suffix(self) -> Option<&'static str> {
        match self {
            Self::Directories => Some("/index.html"),
            Self::Extensions => Some(".html"),
            Self::OriginPath => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_without_ministack_request_the_key_of_a_path() {
        use Endpoint::{AccessPoint, Rest, Server, ServerWithoutOriginPath};
        let directories = Some(IndexFunction::Directories);
        for (endpoint, function, path, key) in [
            (AccessPoint, None, "", "prod/index.html"),
            (Server, None, "a.html", "prod/a.html"),
            (Server, directories, "a", "prod/a/index.html"),
            (ServerWithoutOriginPath, None, "a.html", "a.html"),
            (
                Rest,
                Some(IndexFunction::OriginPath),
                "a.html",
                "prod/a.html",
            ),
            (
                Rest,
                Some(IndexFunction::OriginPath),
                "beta/a.html",
                "beta/a.html",
            ),
        ] {
            let distribution = Distribution {
                endpoint,
                origin_paths: vec!["/prod"],
                default_root_object: "index.html",
                behaviors: vec![Behavior {
                    path_pattern: "*",
                    origin: 0,
                    query_strings: QueryStrings::Managed,
                    function,
                }],
                error_pages: Vec::new(),
            };
            assert_eq!(distribution.key(path), key, "{endpoint:?} {path}");
            assert!(
                distribution
                    .folders()
                    .iter()
                    .any(|folder| key.starts_with(folder))
            );
        }
    }

    #[test]
    fn functions_rewrite_directories_and_pages() {
        for (uri, directories, extensions) in [
            ("/", "/index.html", "/index.html"),
            ("/blog/", "/blog/index.html", "/blog/index.html"),
            ("/blog", "/blog/index.html", "/blog.html"),
            ("/a.b/c", "/a.b/c/index.html", "/a.b/c.html"),
            ("/about.html", "/about.html", "/about.html"),
        ] {
            assert_eq!(IndexFunction::Directories.rewrite(uri), directories);
            assert_eq!(IndexFunction::Extensions.rewrite(uri), extensions);
        }
    }
}
