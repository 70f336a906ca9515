//! `Site`: the parts of a distribution's configuration that decide under which paths objects are cached.
//!
//! CloudFront chooses a cache behavior by a request's path, adds the origin path and requests an object from the
//! bucket. [`Site::cached_paths`] does this in reverse: it returns the paths that lead to an object, of which there can
//! be several (an index document is cached under its directory too) or none.
//!
//! The result must not miss a path. If the configuration does not decide (an origin that may be the bucket under another
//! name, a function's code, a bucket's website settings, an object's `Cache-Control`), more paths are returned. Not
//! covered are functions that map a path to a key by rules of their own, and a website's error document.
//!
//! Path patterns: <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/DownloadDistValuesCacheBehavior.html>

use std::iter;
use std::time::Duration;

use percent_encoding::percent_decode_str;

use crate::distribution::DistributionId;
use crate::path::InvalidationPath;

mod cached_paths;
mod candidates;
mod change;
mod distribution_changes;
mod features;
mod found_paths;
mod immutable;
mod origin;
mod path_pattern;
mod sources;

pub use cached_paths::{ASSUMPTION, AliasReason, CachedPaths, NotCached, PathReason};
use candidates::{Candidate, CandidateKind, candidates};
pub use change::{CachedAbsence, Change, Kept, KeptObjects, Need, PathOptions};
pub use distribution_changes::{
    CachedObject, ChangesByDistribution, DistributionChanges, MaybeSite, ObjectRef,
};
pub use features::Features;
pub use found_paths::assumed_paths;
use found_paths::{FoundPaths, Route};
pub use immutable::{Hint, HintKeys, ImmutablePaths};
use origin::Relation;
pub use origin::{BucketName, Endpoint, Origin};
use sources::{Source, Sources};

/// How long CloudFront caches an error if no ErrorCachingMinTTL is set
/// ([documentation](https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/custom-error-pages-expiration.html)).
const DEFAULT_ERROR_CACHING_MIN_TTL: Duration = Duration::from_secs(10);

/// How long an error can stay cached without an invalidation: an error page that has changed, or the error of an object that
/// was created since. Up to this time, an invalidation does more harm.
const MAX_STALE_ERROR: Duration = Duration::from_secs(60);

/// The index document, and the default root object that is assumed if the configuration cannot be read.
pub(crate) const INDEX_DOCUMENT: &str = "index.html";

/// The parts of a distribution's configuration that decide under which paths objects are cached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// The distribution's id.
    pub id: DistributionId,
    /// Whether the distribution accepts requests of viewers.
    pub enabled: bool,
    /// The alternate domain names.
    pub aliases: Vec<String>,
    /// Where the distribution gets objects from.
    pub origins: Vec<Origin>,
    /// The origin groups.
    pub origin_groups: Vec<OriginGroup>,
    /// The cache behaviors in their order of precedence. The default one is last and has the path pattern `*`.
    pub cache_behaviors: Vec<CacheBehavior>,
    /// The object that a viewer of `/` gets.
    pub default_root_object: Option<String>,
    /// The pages that viewers get in place of errors.
    pub custom_error_responses: Vec<CustomErrorResponse>,
    /// What concerns the distribution as a whole.
    pub features: Features,
}

/// Several origins that are one target of cache behaviors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginGroup {
    /// The id. Cache behaviors refer to it in the same way as to an origin's.
    pub id: String,
    /// The ids of its origins.
    pub members: Vec<String>,
}

/// Which requests go to which origin, and which of their properties are in the cache key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheBehavior {
    /// The path pattern, such as `images/*.jpg`. A leading slash makes no difference.
    pub path_pattern: String,
    /// The id of an origin or an origin group.
    pub target_origin_id: String,
    /// Whether a function can rewrite the paths of requests: a CloudFront Function or Lambda@Edge at the viewer
    /// request, or Lambda@Edge at the origin request.
    pub edge_function: bool,
    /// Whether a copy is cached for each query string.
    pub query_strings: QueryStrings,
}

/// Whether query strings are in the cache key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryStrings {
    /// No query string is in the cache key.
    Ignored,
    /// All query strings are, or those with certain names.
    InCacheKey,
    /// Unknown: IAM denies reading the cache policy that decides it.
    Denied,
    /// Unknown: the cache policy that decides it could not be read now.
    Unreadable,
}

/// What viewers get in place of an error of the origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomErrorResponse {
    /// The origin's HTTP status.
    pub error_code: i32,
    /// The path of the page that viewers get.
    pub response_page_path: Option<String>,
    /// The HTTP status that viewers get.
    pub response_code: Option<String>,
    /// How long CloudFront caches the error.
    pub error_caching_min_ttl: Option<Duration>,
}

impl CustomErrorResponse {
    /// Returns whether it is about missing objects. S3 answers 403 if the distribution has no permission to list the bucket.
    fn is_for_missing_objects(&self) -> bool {
        matches!(self.error_code, 403 | 404)
    }

    /// Returns whether viewers get a page with a status of success.
    fn is_success(&self) -> bool {
        let code = self.response_code.as_deref();
        code.is_some_and(|code| code.starts_with('2'))
    }

    /// Returns how long CloudFront caches the error at least.
    fn caching_ttl(&self) -> Duration {
        let ttl = self.error_caching_min_ttl;
        ttl.unwrap_or(DEFAULT_ERROR_CACHING_MIN_TTL)
    }
}

/// Whether `/dir/` and `/dir` lead to `/dir/index.html`, and `/about` to `/about.html`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IndexDocuments {
    /// If the origin is a website endpoint or not S3, or a function can rewrite the requests.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never, except for the default root object at `/`, which the configuration defines.
    Never,
    /// Never, and one path for each key: not the default root object, other spellings, query strings and error pages.
    LiteralKeys,
}

impl Site {
    /// Returns whether the bucket is an origin, even if no cache behavior uses it.
    pub fn has_origin(&self, bucket: &str) -> bool {
        self.origins
            .iter()
            .any(|origin| origin.endpoint_of(bucket).is_some())
    }

    /// Returns whether the bucket may be an origin: it is one, or an origin is an access point that can belong to it, or
    /// a server that can get its objects from it.
    pub fn may_have_origin(&self, bucket: &str) -> bool {
        !self.sources(bucket).origins.is_empty()
    }

    /// Returns whether the host of an origin is one of S3.
    pub fn has_s3_origin(&self) -> bool {
        self.origins.iter().any(Origin::is_s3)
    }

    /// Returns whether CloudFront can get the bucket's objects from another origin of an origin group.
    pub fn has_failover(&self, bucket: &str) -> bool {
        self.sources(bucket).has_failover
    }

    /// Returns whether the cache policy of a behavior could not be read, for another reason than IAM.
    pub fn has_unreadable_cache_policy(&self) -> bool {
        let mut behaviors = self.cache_behaviors.iter();
        behaviors.any(|behavior| behavior.query_strings == QueryStrings::Unreadable)
    }

    /// Returns the object's key as viewers request it: without the origin path. Returns none if the key is outside the
    /// origin path, and several if origins with different origin paths may be the bucket.
    pub fn relative_keys<'a>(&self, bucket: &str, key: &'a str) -> Vec<&'a str> {
        self.sources(bucket).relative_keys(key).collect()
    }

    /// Returns the paths under which viewers may have cached the object with this (decoded) key, or why they cannot
    /// have cached it.
    pub fn cached_paths(
        &self,
        bucket: &str,
        key: &str,
        index_documents: IndexDocuments,
    ) -> CachedPaths {
        self.find_paths(&self.sources(bucket), key, index_documents)
            .into()
    }

    fn find_paths<'a>(
        &self,
        sources: &Sources<'_>,
        key: &'a str,
        index_documents: IndexDocuments,
    ) -> Result<FoundPaths<'a>, NotCached> {
        if !self.enabled {
            return Err(NotCached::Disabled);
        }
        let mut found = FoundPaths::new(key, index_documents);
        for source in &sources.origins {
            let is_routed = self.add_routed(&mut found, source, index_documents);
            if is_routed && source.is_uncertain() {
                found.add_reason(PathReason::UncertainOrigin {
                    domain_name: source.origin.domain_name.clone(),
                    bucket: sources.bucket.to_owned(),
                });
            }
        }
        self.add_rerouted(&mut found, sources, index_documents);
        if found.paths.is_empty() {
            return Err(self.not_cached(sources, key));
        }
        if index_documents != IndexDocuments::LiteralKeys
            && let Some(reason) = self.error_page_reason(key, &found.decoded_paths)
        {
            found.replace_by_everything(reason);
        }
        Ok(found)
    }

    /// Returns the paths of an object if this configuration is possibly no longer the distribution's: those by this
    /// configuration, and those that [`assumed_paths`] returns. No object is left out.
    pub fn cached_paths_if_outdated(
        &self,
        bucket: &str,
        key: &str,
        index_documents: IndexDocuments,
    ) -> CachedPaths {
        let sources = self.sources(bucket);
        Ok(self.find_paths_if_outdated(&sources, key, index_documents)).into()
    }

    fn find_paths_if_outdated<'a>(
        &self,
        sources: &Sources<'_>,
        key: &'a str,
        index_documents: IndexDocuments,
    ) -> FoundPaths<'a> {
        let found = self.find_paths(sources, key, index_documents);
        let mut found = found.unwrap_or_else(|_| FoundPaths::new(key, index_documents));
        let behaviors: Vec<_> = self.cache_behaviors.iter().collect();
        let query_strings = QueryStrings::strictest(&behaviors).unwrap_or(QueryStrings::Ignored);
        let root = self.default_root_object.as_deref().unwrap_or_default();
        // The owner may have replaced `/blue` by `/green`.
        let sources = sources.origins.iter();
        let beside = sources.filter_map(|source| source.origin.key_beside_origin_path(key));
        for own_key in iter::once(key).chain(beside) {
            for root in [INDEX_DOCUMENT, root] {
                found.add_assumed(own_key, root, query_strings, index_documents);
            }
        }
        if let Some(reason) = self.error_page_reason(key, &found.decoded_paths) {
            found.replace_by_everything(reason);
        }
        found.add_reason(PathReason::Outdated);
        found
    }

    /// Returns why the edge can keep for more than a minute that the bucket has no object of some name, if it can.
    fn cached_absence(&self, sources: &Sources<'_>) -> Option<CachedAbsence> {
        let responses = self.custom_error_responses.iter();
        let mut responses = responses.filter(|response| response.is_for_missing_objects());
        let from_error = responses.find_map(|response| {
            let error_code = response.error_code;
            let caching_ttl = response.caching_ttl();
            if response.is_success() {
                Some(CachedAbsence::Fallback { error_code })
            } else {
                (caching_ttl > MAX_STALE_ERROR).then_some(CachedAbsence::Error {
                    error_code,
                    caching_ttl,
                })
            }
        });
        let is_source = |id: &String| sources.contain(id);
        let mut groups = self.origin_groups.iter();
        // Two origins can also be two folders of the bucket.
        let has_failover =
            groups.any(|group| group.members.len() > 1 && group.members.iter().any(is_source));
        let from_source = || {
            let mut sources = sources.origins.iter();
            sources.find_map(|source| {
                let domain_name = || source.origin.domain_name.clone();
                match source.relation {
                    Relation::Bucket(Endpoint::Website) => Some(CachedAbsence::Website {
                        domain_name: domain_name(),
                    }),
                    Relation::Server if !source.origin.is_s3() => Some(CachedAbsence::Server {
                        domain_name: domain_name(),
                    }),
                    _ => None,
                }
            })
        };
        from_error
            .or_else(|| has_failover.then_some(CachedAbsence::Failover))
            .or_else(from_source)
    }

    fn sources<'a>(&'a self, bucket: &'a str) -> Sources<'a> {
        Sources::of_site(self, bucket)
    }

    /// Returns why no path leads to the object.
    fn not_cached(&self, sources: &Sources<'_>, key: &str) -> NotCached {
        // The path pattern of one path is enough for a note.
        if let Some(relative_key) = sources.relative_keys(key).next_back() {
            return self.routed_elsewhere(relative_key);
        }
        let origins = &sources.origins;
        if origins.is_empty() {
            return NotCached::OtherOrigins {
                bucket: sources.bucket.to_owned(),
            };
        }
        let origin_paths = origins.iter().map(|source| &source.origin.origin_path);
        NotCached::OutsideOriginPath {
            origin_paths: origin_paths.cloned().collect(),
        }
    }

    /// Adds the paths that lead to the object through this origin. Returns whether there are any.
    fn add_routed(
        &self,
        found: &mut FoundPaths<'_>,
        source: &Source<'_>,
        index_documents: IndexDocuments,
    ) -> bool {
        let mut is_routed = false;
        for relative_key in source.relative_keys(found.key) {
            let root = self.default_root_object.as_deref();
            for candidate in candidates(relative_key, root, index_documents) {
                if let Some(route) = self.route(&candidate, relative_key, source, index_documents) {
                    found.add(candidate.path, route);
                    is_routed = true;
                }
            }
        }
        is_routed
    }

    /// Adds the object's own path, and the paths of an index document, where the configuration does not route them to the
    /// object but a function handles their requests: it
    /// [can choose](https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/helper-functions-origin-modification.html)
    /// another origin and another origin path.
    fn add_rerouted(
        &self,
        found: &mut FoundPaths<'_>,
        sources: &Sources<'_>,
        index_documents: IndexDocuments,
    ) {
        if !self.has_edge_function() {
            return;
        }
        for source in &sources.origins {
            let mut own_keys = source.relative_keys(found.key);
            let not_cached = match own_keys.first() {
                Some(relative_key) => self.routed_elsewhere(relative_key),
                None => {
                    own_keys.push(found.key);
                    NotCached::OutsideOriginPath {
                        origin_paths: vec![source.origin.origin_path.clone()],
                    }
                }
            };
            for own_key in own_keys {
                self.add_own_paths_behind_functions(found, own_key, &not_cached, index_documents);
            }
        }
    }

    /// Adds the paths that lead to the key if a function chooses the origin for it, unless the configuration routes the
    /// key's own path already.
    fn add_own_paths_behind_functions<'a>(
        &self,
        found: &mut FoundPaths<'a>,
        own_key: &'a str,
        not_cached: &NotCached,
        index_documents: IndexDocuments,
    ) {
        if found.decoded_paths.contains(&own_key) {
            return;
        }
        let root = self.default_root_object.as_deref();
        for Candidate { path, kind } in candidates(own_key, root, index_documents) {
            let alias_reason = match kind {
                CandidateKind::OwnPath => None,
                CandidateKind::DefaultRootObject => Some(AliasReason::DefaultRootObject),
                _ if index_documents == IndexDocuments::Never => continue,
                _ => Some(AliasReason::EdgeFunction),
            };
            let mut behaviors = self.behaviors_of(path);
            behaviors.retain(|behavior| behavior.edge_function);
            if found.decoded_paths.contains(&path) {
                continue;
            }
            if let Some(query_strings) = QueryStrings::strictest(&behaviors) {
                let route = Route {
                    alias_reason,
                    query_strings,
                };
                found.add(path, route);
                found.add_reason(PathReason::MayBeRerouted {
                    key: found.key.to_owned(),
                    not_cached: not_cached.clone(),
                });
            }
        }
    }

    /// Returns how the candidate leads to the object with this key, or `None` if it does not.
    fn route(
        &self,
        candidate: &Candidate<'_>,
        key: &str,
        source: &Source<'_>,
        index_documents: IndexDocuments,
    ) -> Option<Route> {
        let Candidate { path, kind } = candidate;
        let alias_reason =
            |has_function| kind.alias_reason(source.relation, index_documents, has_function);
        let is_own_path = *kind == CandidateKind::OwnPath;
        // Before the path patterns are matched, because this takes the most time.
        if !is_own_path && alias_reason(self.has_edge_function()).is_none() {
            return None;
        }
        let mut behaviors = self.behaviors_routing(path, source.origin);
        if *kind == CandidateKind::DefaultRootObject {
            // Whether CloudFront routes `/` before or after it replaces it is not documented.
            behaviors.extend(self.behaviors_routing(key, source.origin));
        }
        let query_strings = QueryStrings::strictest(&behaviors)?;
        let has_function = behaviors.iter().any(|behavior| behavior.edge_function);
        let alias_reason = alias_reason(has_function);
        if !is_own_path && alias_reason.is_none() {
            return None;
        }
        Some(Route {
            alias_reason,
            query_strings,
        })
    }

    /// Returns whether a function handles requests of any cache behavior.
    fn has_edge_function(&self) -> bool {
        let mut behaviors = self.cache_behaviors.iter();
        behaviors.any(|behavior| behavior.edge_function)
    }

    /// Returns the cache behaviors of the path.
    ///
    /// CloudFront compares a path pattern with the "normalized" path, and does not document how far that is decoded. So
    /// both the decoded and the encoded path count, and there can be two behaviors.
    fn behaviors_of(&self, path: &str) -> Vec<&CacheBehavior> {
        let decoded = ["/", path].concat();
        let encoded = InvalidationPath::documented_spelling(path);
        let is_encoded = decoded != encoded;
        let spellings = iter::once(decoded).chain(is_encoded.then_some(encoded));
        let behaviors = spellings.filter_map(|path| self.first_matching_behavior(&path));
        behaviors.collect()
    }

    /// Returns the cache behaviors that route the path to the origin.
    fn behaviors_routing(&self, path: &str, origin: &Origin) -> Vec<&CacheBehavior> {
        let mut behaviors = self.behaviors_of(path);
        behaviors.retain(|behavior| self.is_target(&behavior.target_origin_id, origin));
        behaviors
    }

    /// Returns the path of the page that viewers get with a status of success in place of the error 403 or 404, as a
    /// single-page application has it.
    pub fn fallback_page(&self) -> Option<&str> {
        let mut responses = self.custom_error_responses.iter();
        responses.find_map(|response| {
            let is_fallback = response.is_success() && response.is_for_missing_objects();
            response
                .response_page_path
                .as_deref()
                .filter(|_| is_fallback)
        })
    }

    /// Returns whether viewers get a page with a status of success also if the origin fails.
    pub fn hides_failures(&self) -> bool {
        let mut responses = self.custom_error_responses.iter();
        responses.any(|response| response.error_code >= 500 && response.is_success())
    }

    /// Returns the cache behavior of a request with this path, which starts with a slash.
    pub fn behavior_of_request(&self, path: &str) -> Option<&CacheBehavior> {
        self.first_matching_behavior(path)
    }

    fn first_matching_behavior(&self, path: &str) -> Option<&CacheBehavior> {
        self.cache_behaviors
            .iter()
            .find(|behavior| path_pattern::matches(&behavior.path_pattern, path))
    }

    /// Returns whether the id is the origin's or that of an origin group with the origin.
    fn is_target(&self, target_origin_id: &str, origin: &Origin) -> bool {
        let mut groups = self.origin_groups.iter();
        target_origin_id == origin.id
            || groups
                .any(|group| group.id == target_origin_id && group.members.contains(&origin.id))
    }

    fn routed_elsewhere(&self, key: &str) -> NotCached {
        let behavior = self.first_matching_behavior(&format!("/{key}"));
        let (path_pattern, target_origin_id) = behavior
            .map(|behavior| {
                (
                    behavior.path_pattern.clone(),
                    behavior.target_origin_id.clone(),
                )
            })
            .unwrap_or_default();
        NotCached::RoutedElsewhere {
            path_pattern,
            target_origin_id,
        }
    }

    /// Returns the reason to invalidate everything if one of the object's paths is that of an error page that is cached
    /// for long enough to matter.
    ///
    /// CloudFront caches the page under the path of the failed request for ErrorCachingMinTTL, or for longer if a
    /// `Cache-Control` header allows it. Sources disagree on whether the page's own header counts. A page with a status
    /// of success is the fallback of a single-page application: its `Cache-Control` decides, so a short
    /// ErrorCachingMinTTL proves nothing.
    fn error_page_reason(&self, key: &str, decoded_paths: &[&str]) -> Option<PathReason> {
        self.custom_error_responses.iter().find_map(|response| {
            let page = percent_decode_str(response.response_page_path.as_deref()?);
            let page = page.decode_utf8_lossy();
            let page = page.strip_prefix('/').unwrap_or(&page);
            let caching_ttl = response.caching_ttl();
            let matters = response.is_success() || caching_ttl > MAX_STALE_ERROR;
            let is_shown = matters && decoded_paths.contains(&page);
            is_shown.then(|| PathReason::ErrorPage {
                key: key.to_owned(),
                error_code: response.error_code,
                response_code: response.response_code.clone(),
                caching_ttl,
            })
        })
    }
}

impl QueryStrings {
    /// Returns the strictest of the behaviors' settings (`InCacheKey`, then the unknown ones, then `Ignored`), or `None`
    /// if there are no behaviors.
    fn strictest(behaviors: &[&CacheBehavior]) -> Option<Self> {
        [
            Self::InCacheKey,
            Self::Denied,
            Self::Unreadable,
            Self::Ignored,
        ]
        .into_iter()
        .find(|setting| {
            behaviors
                .iter()
                .any(|behavior| behavior.query_strings == *setting)
        })
    }
}

#[cfg(test)]
mod tests;
