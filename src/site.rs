//! `Site`: a distribution as a bucket's objects see it, and the paths under which a viewer can have cached one.
//!
//! A viewer asks for a path; CloudFront picks a cache behavior by it, adds the origin path and asks the bucket for an
//! object. [`Site::serving`] goes that way backwards. One object can be cached under several paths: an index document
//! under its directory, an error page under every path. Another object is cached under none, and needs nothing.
//!
//! Much that decides is not in the configuration: the code of a function, the website settings of a bucket, the
//! `Cache-Control` of an object. There the safe side is taken, a path too many for a copy too few.
//!
//! Not seen: origins that reach the bucket by another name (an access point, `s3.amazonaws.com` with the bucket as
//! origin path, a server in front of it), functions that rewrite beyond index documents, and the error document of a
//! website endpoint. [`NotServed::OtherOrigins`] leaves it to the caller what to make of the first.

use std::time::Duration;

use percent_encoding::percent_decode_str;

use crate::distribution::DistributionId;
use crate::path::InvalidationPath;

mod origin;
mod serving;
mod share;

pub use origin::{Endpoint, Origin};
pub use serving::{Because, NotServed, Serving, Why};
pub use share::{Distribution, Served, Share, Shares};

/// How long CloudFront keeps an error where no ErrorCachingMinTTL is set
/// ([documented](https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/custom-error-pages-expiration.html)).
const DEFAULT_ERROR_CACHING_MIN_TTL: Duration = Duration::from_secs(10);

/// How long an error page may stay stale under other paths; dropping all that is cached would do more harm.
const MAX_STALE_ERROR_PAGE: Duration = Duration::from_secs(60);

const INDEX_DOCUMENT: &str = "index.html";

/// One distribution's configuration, as far as it decides what is cached where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// The distribution's id.
    pub id: DistributionId,
    /// Whether it answers viewers at all.
    pub enabled: bool,
    /// The domain names that it answers to besides its own.
    pub aliases: Vec<String>,
    /// Where it gets objects from.
    pub origins: Vec<Origin>,
    /// Origins that stand in for each other.
    pub origin_groups: Vec<OriginGroup>,
    /// In the order in which they are tried; the default one is last, with the path pattern `*`.
    pub cache_behaviors: Vec<CacheBehavior>,
    /// What a viewer of `/` gets.
    pub default_root_object: Option<String>,
    /// What is made of errors.
    pub custom_error_responses: Vec<CustomErrorResponse>,
}

/// Several origins that are one target of cache behaviors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginGroup {
    /// The id, of the same kind as an origin's.
    pub id: String,
    /// The ids of its origins.
    pub members: Vec<String>,
}

/// Which requests go to which origin, and what tells their answers apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheBehavior {
    /// Such as `images/*.jpg`; a leading slash makes no difference.
    pub path_pattern: String,
    /// The id of an origin or an origin group.
    pub target_origin_id: String,
    /// Whether a function sees requests, and so may rewrite their paths: a CloudFront Function or Lambda@Edge at the
    /// viewer request, or Lambda@Edge at the origin request.
    pub request_function: bool,
    /// Whether a copy is kept for each query string.
    pub query_strings: QueryStrings,
}

/// Whether query strings are in the cache key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryStrings {
    /// No query string tells two copies apart.
    Ignored,
    /// All of them do, or those with some names.
    InCacheKey,
    /// The cache policy, which says so, cannot be read.
    Unknown,
}

/// What is made of an error of the origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomErrorResponse {
    /// The origin's HTTP status.
    pub error_code: i32,
    /// The path of the page that viewers get in its place.
    pub response_page_path: Option<String>,
    /// The HTTP status that viewers get in its place.
    pub response_code: Option<String>,
    /// How long the error is kept.
    pub error_caching_min_ttl: Option<Duration>,
}

/// Whether `/dir/index.html` is also `/dir/` and `/dir`, and `/about.html` is also `/about`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IndexDocuments {
    /// Where the origin is a website endpoint, or a function sees the requests.
    #[default]
    Auto,
    /// Everywhere.
    Always,
    /// Nowhere. The default root object stays `/`: there the configuration leaves no doubt.
    Never,
}

/// A path that may lead to an object, decoded and without its leading slash, and what makes it do so.
struct Name {
    path: String,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Own,
    DefaultRootObject,
    IndexDocument,
    PageWithoutExtension,
}

impl Site {
    /// Tells whether the bucket is an origin, used or not.
    pub fn has_origin(&self, bucket: &str) -> bool {
        self.origins
            .iter()
            .any(|origin| origin.endpoint_of(bucket).is_some())
    }

    /// Tells whether the bucket may be an origin: it is, or an origin is no bucket by its name and hides one.
    pub fn may_have_origin(&self, bucket: &str) -> bool {
        self.origins.iter().any(|origin| origin.may_be(bucket))
    }

    /// Returns the paths under which viewers can have cached the object with this (decoded) key, or why they cannot.
    pub fn serving(&self, bucket: &str, key: &str, index_documents: IndexDocuments) -> Serving {
        if !self.enabled {
            return Serving::NotServed(NotServed::Disabled);
        }
        let mut found = Found::new(key);
        let mut origin_paths = Vec::new();
        let mut below = None;
        for origin in &self.origins {
            let Some(endpoint) = origin.endpoint_of(bucket) else {
                continue;
            };
            let Some(relative) = origin.relative_key(key) else {
                origin_paths.push(origin.origin_path.clone());
                continue;
            };
            below = Some(relative);
            for name in self.names(relative) {
                let lead = self.lead(&name, relative, (origin, endpoint), index_documents);
                if let Some((because, query_strings)) = lead {
                    found.add(&name.path, because, query_strings);
                }
            }
        }
        if found.paths.is_empty() {
            let bucket = bucket.to_owned();
            return Serving::NotServed(match below {
                Some(relative) => self.routed_elsewhere(relative),
                None if origin_paths.is_empty() => NotServed::OtherOrigins { bucket },
                None => NotServed::OutsideOriginPath { origin_paths },
            });
        }
        if let Some(why) = self.error_page(key, &found.names) {
            let paths = vec![InvalidationPath::everything()];
            return Serving::Served {
                paths,
                why: vec![why],
            };
        }
        let Found { paths, why, .. } = found;
        Serving::Served { paths, why }
    }

    /// Returns the paths that could lead to the object; whether they do is a matter of routes and functions.
    fn names(&self, key: &str) -> Vec<Name> {
        let name = |path: &str, kind| Name {
            path: path.to_owned(),
            kind,
        };
        let mut names = vec![name(key, Kind::Own)];
        let root = self.default_root_object.as_deref().unwrap_or_default();
        if !key.is_empty() && root.trim_start_matches('/') == key {
            names.push(name("", Kind::DefaultRootObject));
        }
        let directory = key.strip_suffix(INDEX_DOCUMENT);
        if let Some(directory) = directory.filter(|it| it.is_empty() || it.ends_with('/')) {
            names.push(name(directory, Kind::IndexDocument));
            if let Some(bare) = directory.strip_suffix('/').filter(|it| !it.is_empty()) {
                names.push(name(bare, Kind::IndexDocument));
            }
        } else if let Some(stem) = key.strip_suffix(".html")
            && !stem.is_empty()
            && !stem.ends_with('/')
        {
            names.push(name(stem, Kind::PageWithoutExtension));
        }
        names
    }

    /// Tells whether the name leads to the object: what makes it do so, and what becomes of query strings.
    fn lead(
        &self,
        name: &Name,
        key: &str,
        (origin, endpoint): (&Origin, Endpoint),
        index_documents: IndexDocuments,
    ) -> Option<(Option<Because>, QueryStrings)> {
        let mut behaviors = self.behaviors_to(origin, &name.path);
        if name.kind == Kind::DefaultRootObject {
            // Whether `/` is routed before or after it is replaced is not documented.
            behaviors.extend(self.behaviors_to(origin, key));
        }
        let query_strings = QueryStrings::of_all(&behaviors)?;
        let because = match (name.kind, index_documents) {
            (Kind::Own, _) => return Some((None, query_strings)),
            (Kind::DefaultRootObject, _) => Because::DefaultRootObject,
            (_, IndexDocuments::Never) => return None,
            // It answers `/dir` with a redirect to `/dir/`, which is cached too.
            (Kind::IndexDocument, _) if endpoint == Endpoint::Website => Because::WebsiteEndpoint,
            _ if behaviors.iter().any(|it| it.request_function) => Because::RequestFunction,
            (_, IndexDocuments::Always) => Because::Setting,
            (_, IndexDocuments::Auto) => return None,
        };
        Some((Some(because), query_strings))
    }

    /// Returns the behaviors that send the path to the origin.
    ///
    /// CloudFront compares a path pattern with the path "normalized", and does not say how far that is decoded. So
    /// both readings count, and there can be two.
    fn behaviors_to(&self, origin: &Origin, path: &str) -> Vec<&CacheBehavior> {
        let readings = [format!("/{path}"), InvalidationPath::spell_key(path)];
        let behaviors = readings.iter().filter_map(|path| self.behavior_of(path));
        behaviors
            .filter(|behavior| self.leads_to(&behavior.target_origin_id, origin))
            .collect()
    }

    /// Returns the first behavior whose path pattern matches.
    fn behavior_of(&self, path: &str) -> Option<&CacheBehavior> {
        self.cache_behaviors
            .iter()
            .find(|behavior| behavior.matches(path))
    }

    fn leads_to(&self, target: &str, origin: &Origin) -> bool {
        let mut groups = self.origin_groups.iter();
        target == origin.id
            || groups.any(|group| group.id == target && group.members.contains(&origin.id))
    }

    fn routed_elsewhere(&self, key: &str) -> NotServed {
        let behavior = self.behavior_of(&format!("/{key}"));
        let (path_pattern, target_origin_id) = behavior
            .map(|behavior| {
                (
                    behavior.path_pattern.clone(),
                    behavior.target_origin_id.clone(),
                )
            })
            .unwrap_or_default();
        NotServed::RoutedElsewhere {
            path_pattern,
            target_origin_id,
        }
    }

    /// Tells whether the object with these paths is shown in place of errors long enough to matter.
    ///
    /// The copy under the path that was in error is kept for the error's time, or longer if a `Cache-Control` says so;
    /// whether the page's own counts is contested. A page shown with a status of success is no error page but a
    /// single-page application, kept as long as its author lets it: there a short ErrorCachingMinTTL proves nothing.
    fn error_page(&self, key: &str, names: &[String]) -> Option<Why> {
        self.custom_error_responses.iter().find_map(|response| {
            let page = percent_decode_str(response.response_page_path.as_deref()?);
            let page = page.decode_utf8_lossy();
            let page = page.strip_prefix('/').unwrap_or(&page);
            let success = (response.response_code.as_deref()).is_some_and(|it| it.starts_with('2'));
            let kept = (response.error_caching_min_ttl).unwrap_or(DEFAULT_ERROR_CACHING_MIN_TTL);
            let matters = success || kept > MAX_STALE_ERROR_PAGE;
            let shown = matters && names.iter().any(|name| name == page);
            shown.then(|| Why::ErrorPage {
                key: key.to_owned(),
                error_code: response.error_code,
                response_code: response.response_code.clone(),
                kept,
            })
        })
    }
}

/// What was found of an object so far.
struct Found<'a> {
    key: &'a str,
    names: Vec<String>,
    paths: Vec<InvalidationPath>,
    why: Vec<Why>,
}

impl<'a> Found<'a> {
    fn new(key: &'a str) -> Self {
        Self {
            key,
            names: Vec::new(),
            paths: Vec::new(),
            why: Vec::new(),
        }
    }

    fn add(&mut self, name: &str, because: Option<Because>, query_strings: QueryStrings) {
        let spelled = if name.is_empty() {
            vec![InvalidationPath::root()]
        } else {
            InvalidationPath::from_object_key(name)
        };
        for path in spelled {
            let paths = match query_strings {
                QueryStrings::Ignored => vec![path],
                QueryStrings::InCacheKey | QueryStrings::Unknown => path.with_query_strings(),
            };
            for path in paths {
                if !self.paths.contains(&path) {
                    self.paths.push(path);
                }
            }
        }
        if let Some(because) = because {
            self.explain_name(format!("/{name}"), because);
        }
        if query_strings != QueryStrings::Ignored {
            let known = query_strings == QueryStrings::InCacheKey;
            let key = self.key.to_owned();
            let why = Why::QueryStrings { key, known };
            if !self.why.contains(&why) {
                self.why.push(why);
            }
        }
        self.names.push(name.to_owned());
    }

    fn explain_name(&mut self, path: String, because: Because) {
        for why in &mut self.why {
            if let Why::AlsoAt {
                paths,
                because: known,
                ..
            } = why
            {
                // Once is enough, and the first reason is the surer one.
                if paths.contains(&path) {
                    return;
                }
                if *known == because {
                    return paths.push(path);
                }
            }
        }
        self.why.push(Why::AlsoAt {
            key: self.key.to_owned(),
            paths: vec![path],
            because,
        });
    }
}

impl CacheBehavior {
    /// Tells whether the pattern matches the whole path; upper and lower case differ.
    fn matches(&self, path: &str) -> bool {
        let [mut pattern, mut path] =
            [&self.path_pattern, path].map(|text| text.strip_prefix('/').unwrap_or(text).chars());
        // Where to go on when an asterisk has to take one character more.
        let mut retry = None;
        loop {
            let here = path.clone();
            match (pattern.next(), path.next()) {
                (None, None) => return true,
                (Some('*'), _) => {
                    path = here;
                    retry = Some((pattern.clone(), path.clone()));
                }
                (Some('?'), Some(_)) => {}
                (Some(wanted), Some(is)) if wanted == is => {}
                _ => match &mut retry {
                    None => return false,
                    Some((after, from)) => {
                        if from.next().is_none() {
                            return false;
                        }
                        (pattern, path) = (after.clone(), from.clone());
                    }
                },
            }
        }
    }
}

impl QueryStrings {
    /// Joins what behaviors say: what is sure before what is feared before nothing; none of none.
    fn of_all(behaviors: &[&CacheBehavior]) -> Option<Self> {
        let mut cases = [Self::InCacheKey, Self::Unknown, Self::Ignored].into_iter();
        cases.find(|one| behaviors.iter().any(|it| it.query_strings == *one))
    }
}

#[cfg(test)]
mod tests;
