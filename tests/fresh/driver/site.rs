//! The sites that are tested: a bucket, its distributions, and which object a viewer's path leads to.
//!
//! A site is described once. `configuration` writes it as CloudFront's XML for MiniStack, from which the function reads
//! it, and [`Distribution::for_edge`] describes it to the edge.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::soak::BUCKET;
use crate::standin::{EdgeBehavior, EdgeDistribution, QueryKey};

/// A bucket's distributions.
#[derive(Clone, Debug)]
pub struct Site {
    pub family: &'static str,
    pub distributions: Vec<Distribution>,
}

/// A distribution whose origins are the bucket under one or more origin paths.
#[derive(Clone, Debug)]
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
}

#[derive(Clone, Copy, Debug)]
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
}

/// A custom error response.
#[derive(Clone, Copy, Debug)]
pub struct ErrorPage {
    pub error_code: u16,
    pub page: &'static str,
    pub response_code: u16,
    pub caching_min_ttl: u64,
}

impl Distribution {
    /// Returns the domain name of the bucket as an origin.
    pub fn origin_domain(&self) -> String {
        match self.endpoint {
            Endpoint::Rest => format!("{BUCKET}.s3.us-east-1.amazonaws.com"),
            Endpoint::Website => format!("{BUCKET}.s3-website-us-east-1.amazonaws.com"),
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
    pub const ALL: [Self; 2] = [Self::Directories, Self::Extensions];

    pub fn name(self) -> &'static str {
        match self {
            Self::Directories => "directories",
            Self::Extensions => "extensions",
        }
    }

    /// Returns the function's code, which MiniStack runs.
    pub fn code(self) -> String {
        let suffix = self.suffix();
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
        match uri.rsplit('/').next() {
            None | Some("") => format!("{uri}index.html"),
            Some(name) if !name.contains('.') => format!("{uri}{}", self.suffix()),
            Some(_) => uri.to_owned(),
        }
    }

    fn suffix(self) -> &'static str {
        match self {
            Self::Directories => "/index.html",
            Self::Extensions => ".html",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
