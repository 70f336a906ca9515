//! The part of a distribution that the edge needs, and the cache key that follows from it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::compression::Encoding;

/// How long an error is cached unless the distribution configures another time.
/// <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/HTTPStatusCodes.html>
pub const DEFAULT_ERROR_CACHING: Duration = Duration::from_secs(10);

/// A function from a viewer's path to the path that the origin gets.
pub type Rewrite = Arc<dyn Fn(&str) -> String + Send + Sync>;

/// A distribution's configuration, as far as it decides what is cached.
#[derive(Clone, Debug, Default)]
pub struct EdgeDistribution {
    pub id: String,
    /// The domain name and then the aliases, in lower case.
    pub hosts: Vec<String>,
    /// The cache behaviors in order of precedence; the last is the default one, with the pattern `*`.
    pub behaviors: Vec<EdgeBehavior>,
    /// ErrorCachingMinTTL by the status that the viewer gets.
    pub error_caching: BTreeMap<u16, Duration>,
    /// The header with a response's cache tags.
    pub tag_header: Option<String>,
}

/// A cache behavior.
#[derive(Clone, Default)]
pub struct EdgeBehavior {
    pub path_pattern: String,
    pub query_strings: QueryKey,
    pub compress: bool,
    /// How a function or the default root object changes a viewer's path (without the query string).
    pub rewrite: Option<Rewrite>,
}

impl fmt::Debug for EdgeBehavior {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EdgeBehavior")
            .field("path_pattern", &self.path_pattern)
            .field("query_strings", &self.query_strings)
            .field("compress", &self.compress)
            .field("rewrites", &self.rewrite.is_some())
            .finish()
    }
}

/// Which parameters of the query string are part of the cache key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum QueryKey {
    #[default]
    None,
    All,
    Only(Vec<String>),
    AllExcept(Vec<String>),
}

/// What distinguishes copies of a distribution at one POP.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct CacheKey {
    pub(super) path: String,
    pub(super) query: Option<String>,
    pub(super) encoding: Option<Encoding>,
}

impl CacheKey {
    /// Returns the path and the query string.
    pub(super) fn target(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        }
    }
}

impl EdgeDistribution {
    /// Returns a distribution with one behavior, which compresses and ignores the query string.
    pub fn new(id: &str, hosts: &[&str]) -> Self {
        let behavior = EdgeBehavior {
            path_pattern: "*".to_owned(),
            compress: true,
            ..EdgeBehavior::default()
        };
        Self {
            id: id.to_owned(),
            hosts: hosts.iter().map(|host| host.to_ascii_lowercase()).collect(),
            behaviors: vec![behavior],
            ..Self::default()
        }
    }

    /// Returns a distribution whose behaviors have this default root object.
    pub fn with_default_root_object(mut self, default_root_object: &str) -> Self {
        let rewrite = default_root_rewrite(default_root_object.to_owned());
        for behavior in &mut self.behaviors {
            behavior.rewrite.clone_from(&rewrite);
        }
        self
    }

    /// Returns the domain name.
    pub(super) fn domain(&self) -> Option<&str> {
        self.hosts.first().map(String::as_str)
    }

    /// Returns the first behavior whose pattern matches the path.
    pub(super) fn behavior(&self, path: &str) -> Option<&EdgeBehavior> {
        self.behaviors
            .iter()
            .find(|behavior| behavior.matches(path))
    }

    /// Returns how long a response stays cached; `None` if it does not expire by itself.
    pub(super) fn expires_after(&self, status: u16) -> Option<Duration> {
        let configured = self.error_caching.get(&status).copied();
        (status >= 400).then_some(configured.unwrap_or(DEFAULT_ERROR_CACHING))
    }
}

impl EdgeBehavior {
    pub(super) fn cache_key(&self, target: &str, accept_encoding: &str) -> CacheKey {
        let (path, query) = target
            .split_once('?')
            .map_or((target, None), |(path, query)| (path, Some(query)));
        CacheKey {
            path: path.to_owned(),
            query: query.and_then(|query| self.query_strings.apply(query)),
            encoding: Encoding::preferred(accept_encoding),
        }
    }

    /// Returns the path that the origin gets.
    pub(super) fn rewritten(&self, path: &str) -> String {
        match &self.rewrite {
            Some(rewrite) => rewrite(path),
            None => path.to_owned(),
        }
    }

    fn matches(&self, path: &str) -> bool {
        path_matches(&self.path_pattern, path)
    }
}

impl QueryKey {
    /// Returns the parameters of the cache key in the order sent; `None` without any.
    fn apply(&self, query: &str) -> Option<String> {
        let is_in = |names: &[String], parameter: &str| {
            let name = parameter.split('=').next().unwrap_or_default();
            names.iter().any(|listed| listed == name)
        };
        let kept = query.split('&').filter(|parameter| match self {
            Self::None => false,
            Self::All => true,
            Self::Only(names) => is_in(names, parameter),
            Self::AllExcept(names) => !is_in(names, parameter),
        });
        let kept = kept.collect::<Vec<_>>().join("&");
        (!kept.is_empty()).then_some(kept)
    }
}

/// Returns what a default root object changes, if there is one.
pub(super) fn default_root_rewrite(default_root_object: String) -> Option<Rewrite> {
    if default_root_object.is_empty() {
        return None;
    }
    Some(Arc::new(move |path: &str| match path {
        "/" => format!("/{default_root_object}"),
        path => path.to_owned(),
    }))
}

/// Returns whether a path matches a pattern. Patterns are case-sensitive; a leading slash is optional.
/// <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/DownloadDistValuesCacheBehavior.html#DownloadDistValuesPathPattern>
pub(super) fn path_matches(pattern: &str, path: &str) -> bool {
    let without_slash = |text: &str| text.strip_prefix('/').unwrap_or(text).to_owned();
    let pattern = without_slash(pattern);
    glob_matches(pattern.as_bytes(), without_slash(path).as_bytes())
}

/// Matches `*` with any number of characters and `?` with one.
fn glob_matches(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        ([b'*', pattern @ ..], _) => {
            (0..=text.len()).any(|skipped| glob_matches(pattern, &text[skipped..]))
        }
        ([b'?', pattern @ ..], [_, text @ ..]) => glob_matches(pattern, text),
        ([first, pattern @ ..], [byte, text @ ..]) => first == byte && glob_matches(pattern, text),
        _ => false,
    }
}
