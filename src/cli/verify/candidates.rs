//! The URLs of paths, keys and local files.

use super::Subject;
use crate::cli::config::SiteConfig;
use crate::cli::format::counted;
use crate::cli::local_file::LocalFiles;
use crate::cli::selection;
use crate::excerpt::{Excerpt, MAX_NOTED};
use crate::path::InvalidationPath;
use crate::site::{
    CachedPaths, Change, INDEX_DOCUMENT, IndexDocuments, Kept, MaybeSite, ObjectRef, PathReason,
    Site,
};
use crate::verify::RequestTarget;
use crate::verify::judge::Existence;
use crate::verify::origin::object_of;
use crate::verify::sample::Candidate;

/// An object to which URLs lead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KnownObject {
    /// Its key relative to the root of the site.
    pub relative_key: String,
    pub existence: Existence,
}

/// The URLs that can be requested.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Candidates {
    pub candidates: Vec<Candidate>,
    /// The objects to which the candidates refer by their index.
    pub objects: Vec<KnownObject>,
    /// Which inputs have no URLs.
    pub notes: Vec<String>,
}

/// Returns the URLs of the paths and objects, and of the local files that a wildcard invalidates. Without paths and objects,
/// of all local files.
pub(super) fn collect(
    subject: Subject<'_>,
    site: &MaybeSite,
    files: Option<&LocalFiles>,
) -> Candidates {
    let Subject {
        target,
        input,
        sent,
        must_be_gone,
        options,
        ..
    } = subject;
    let mut all = Candidates {
        candidates: Candidate::of_paths(&input.paths, &input.widened),
        ..Candidates::default()
    };
    let tags = input.paths.iter().filter(|path| path.is_tag()).count();
    if tags > 0 {
        let note = "cache tags have no URLs: name paths that have the tags";
        all.notes.push(format!("{}: {note}", target.id));
    }
    let config = target.config.as_ref();
    let configured = config.and_then(|config: &SiteConfig| config.bucket.as_deref());
    let wildcards: Vec<_> = sent
        .iter()
        .chain(&input.paths)
        .filter(|path| path.is_wildcard())
        .collect();
    let mut without_urls = Excerpt::<MAX_NOTED>::default();
    let mut kept = Excerpt::<MAX_NOTED>::default();
    for (index, (object, change)) in input.objects.iter().enumerate() {
        let before = all.candidates.len();
        let buckets = selection::buckets(object, configured, site).unwrap_or_default();
        let stays = |bucket: &&String| {
            let object = ObjectRef {
                index,
                bucket,
                key: &object.key,
                change: *change,
            };
            !must_be_gone && site.kept(object, options) == Some(Kept::Removed)
        };
        // Of several buckets, some do not have the requests for the key.
        let is_cached = |bucket: &&String| {
            let cached = site.cached_paths(bucket, &object.key, options.index_documents);
            matches!(cached, CachedPaths::Cached { .. })
        };
        let mut cached = buckets.iter().filter(is_cached).peekable();
        if cached.peek().is_some() && cached.all(|bucket| stays(&bucket)) {
            kept.push(&object.key);
            continue;
        }
        for bucket in buckets {
            let existence = if must_be_gone {
                Existence::MustBeGone
            } else {
                existence(*change)
            };
            all.add_object(site, &bucket, &object.key, existence, &wildcards);
        }
        if all.candidates.len() == before {
            without_urls.push(&object.key);
        }
    }
    if without_urls.count() > 0 {
        all.notes.push(format!(
            "{}: {} of {} is not verified, because viewers cannot get it there: {}",
            target.id,
            without_urls.count(),
            counted(input.objects.len(), "changed object"),
            without_urls.join(", ")
        ));
    }
    if kept.count() > 0 {
        all.notes.push(format!(
            "{}: {} not verified, because the edge keeps removed files that never change: {}",
            target.id,
            counted(kept.count(), "object"),
            kept.join(", ")
        ));
    }
    if let Some(files) = files {
        let has_input = !input.paths.is_empty() || !input.objects.is_empty();
        for key in files.keys() {
            all.add_file(site, key, &wildcards, has_input);
        }
    }
    all
}

/// Returns whether a changed object exists, as far as `aws s3` has printed it.
fn existence(change: Change) -> Existence {
    match change.exists {
        Some(true) => Existence::Exists,
        Some(false) => Existence::Deleted,
        None => Existence::Unknown,
    }
}

/// Returns the wildcard that invalidates the target.
fn covering<'a>(
    target: &RequestTarget,
    wildcards: &[&'a InvalidationPath],
) -> Option<&'a InvalidationPath> {
    let mut wildcards = wildcards.iter();
    let covers = |wildcard: &&&InvalidationPath| target.as_str().starts_with(wildcard.stem());
    wildcards.find(covers).copied()
}

impl Candidates {
    fn push_object(&mut self, relative_key: &str, existence: Existence) -> usize {
        self.objects.push(KnownObject {
            relative_key: relative_key.to_owned(),
            existence,
        });
        self.objects.len() - 1
    }

    /// Adds the URLs under which viewers can have cached the object.
    fn add_object(
        &mut self,
        site: &MaybeSite,
        bucket: &str,
        key: &str,
        existence: Existence,
        wildcards: &[&InvalidationPath],
    ) {
        let cached = site.cached_paths(bucket, key, IndexDocuments::Auto);
        let CachedPaths::Cached { paths, reasons } = cached else {
            return;
        };
        // Of several origins that can be the bucket, some do not get the requests for the key.
        let is_routed = |relative_key: &&str| {
            let own = RequestTarget::spellings(relative_key);
            let mut own = own.iter();
            own.any(|target| {
                paths
                    .iter()
                    .any(|path| target.as_str().starts_with(path.stem()))
            })
        };
        let aliases = reasons.iter().filter_map(|reason| match reason {
            PathReason::AlsoAt { paths, .. } => Some(paths),
            _ => None,
        });
        let aliases: Vec<_> = aliases
            .flatten()
            .map(|path| path.trim_start_matches('/'))
            .collect();
        for relative_key in site
            .relative_keys(bucket, key)
            .into_iter()
            .filter(is_routed)
        {
            let index = self.push_object(relative_key, existence);
            self.add_targets(index, relative_key, &aliases, wildcards);
        }
    }

    /// Adds the URLs of an object that the bucket has under a wildcard, if they certainly lead to it.
    pub(super) fn add_page(
        &mut self,
        site: &Site,
        relative_key: &str,
        wildcard: &InvalidationPath,
    ) {
        let targets = RequestTarget::spellings(relative_key).into_iter().take(1);
        for target in targets.filter(|target| object_of(site, target).is_some()) {
            // The bucket has it, but does not necessarily let CloudFront read it.
            let index = self.push_object(relative_key, Existence::Unknown);
            let candidates = Candidate::spellings(&target, Some(wildcard), Some(index));
            self.candidates.extend(candidates);
        }
    }

    /// Adds the URLs of a local file. If there is other input, only those that a wildcard invalidates.
    fn add_file(
        &mut self,
        site: &MaybeSite,
        key: &str,
        wildcards: &[&InvalidationPath],
        has_input: bool,
    ) {
        let own = RequestTarget::spellings(key).into_iter().next();
        if has_input && own.is_none_or(|own| covering(&own, wildcards).is_none()) {
            return;
        }
        let root = match site {
            MaybeSite::Known(site) | MaybeSite::Outdated(site) => {
                site.default_root_object.as_deref()
            }
            MaybeSite::Unknown(_) => None,
        };
        let folder = key.strip_suffix(INDEX_DOCUMENT);
        let folder = folder.filter(|folder| folder.ends_with('/'));
        let aliases = (root == Some(key)).then_some("").into_iter().chain(folder);
        let aliases: Vec<_> = aliases.collect();
        let index = self.push_object(key, Existence::Exists);
        self.add_targets(index, key, &aliases, wildcards);
    }

    /// Adds the URLs of an object by its own path, in all spellings, and by other paths that lead to it in many configurations.
    fn add_targets(
        &mut self,
        index: usize,
        relative_key: &str,
        aliases: &[&str],
        wildcards: &[&InvalidationPath],
    ) {
        let decoded = std::iter::once(&relative_key).chain(aliases);
        for (position, decoded) in decoded.enumerate() {
            let Some(target) = RequestTarget::spellings(decoded).into_iter().next() else {
                continue;
            };
            let wildcard = covering(&target, wildcards);
            let mut candidates = Candidate::spellings(&target, wildcard, Some(index));
            for candidate in &mut candidates {
                // The home page is the only other path that each site has.
                candidate.is_guess |= position > 0 && !decoded.is_empty();
            }
            self.candidates.extend(candidates);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::config::SiteConfig;
    use crate::cli::input::{Input, Object};
    use crate::cli::target::Target;
    use crate::distribution::DistributionId;
    use crate::site::{CacheBehavior, Features, Origin, PathOptions, QueryStrings};

    /// A site whose bucket has two origins: the root for all requests, and a folder for those below `/api/`.
    fn site() -> Site {
        let origin = |id: &str, origin_path: &str| Origin {
            id: id.to_owned(),
            domain_name: "site.s3.eu-west-1.amazonaws.com".to_owned(),
            origin_path: origin_path.to_owned(),
        };
        let behavior = |path_pattern: &str, origin: &str| CacheBehavior {
            path_pattern: path_pattern.to_owned(),
            target_origin_id: origin.to_owned(),
            edge_function: false,
            query_strings: QueryStrings::Ignored,
        };
        Site {
            id: DistributionId::parse("E1EXAMPLE1ABC").expect("an id"),
            enabled: true,
            aliases: vec![],
            origins: vec![origin("root", ""), origin("folder", "/v2")],
            origin_groups: vec![],
            cache_behaviors: vec![behavior("/api/*", "folder"), behavior("*", "root")],
            default_root_object: None,
            custom_error_responses: vec![],
            features: Features::default(),
        }
    }

    /// Returns the URLs of changed keys, and the notes. A key with a minus was removed. `other:` before it is its bucket, a colon
    /// alone an unknown one.
    fn paths(keys: &[&str]) -> (Vec<String>, Vec<String>) {
        paths_of(site(), keys)
    }

    fn paths_of(site: Site, keys: &[&str]) -> (Vec<String>, Vec<String>) {
        let target = Target {
            id: DistributionId::parse("E1EXAMPLE1ABC").expect("an id"),
            config: None::<SiteConfig>,
        };
        let objects = keys.iter().map(|key| {
            let object = key.trim_start_matches('-');
            let (bucket, name) = object.split_once(':').unwrap_or(("site", object));
            let object = Object {
                bucket: Some(bucket.to_owned()).filter(|bucket| !bucket.is_empty()),
                key: name.to_owned(),
            };
            let is_removed = key.starts_with('-');
            let change = if is_removed {
                Change::removed()
            } else {
                Change::default()
            };
            (object, change)
        });
        let input = Input {
            objects: objects.collect(),
            ..Input::default()
        };
        let subject = Subject {
            target: &target,
            input: &input,
            sent: &[],
            own: &[],
            must_be_gone: false,
            options: &PathOptions::default(),
        };
        let found = collect(subject, &MaybeSite::Known(site.into()), None);
        let targets = found
            .candidates
            .iter()
            .map(|candidate| candidate.target.to_string());
        (targets.collect(), found.notes)
    }

    #[test]
    fn a_key_has_only_the_urls_that_are_routed_to_it() {
        let own = |path: &str| (vec![path.to_owned()], vec![]);
        assert_eq!(paths(&["v2/about.html"]), own("/v2/about.html"));
        assert_eq!(paths(&["about.html"]), own("/about.html"));
        let both = vec!["/v2/api/a.json".to_owned(), "/api/a.json".to_owned()];
        assert_eq!(paths(&["v2/api/a.json"]), (both, vec![]));
    }

    #[test]
    fn an_object_without_a_url_is_named() {
        let (targets, notes) = paths(&["api/a.json", "about.html"]);
        assert_eq!(targets, ["/about.html"]);
        let note = "E1EXAMPLE1ABC: 1 of 2 changed objects is not verified, because viewers cannot get it there: api/a.json";
        assert_eq!(notes, [note]);
    }

    #[test]
    fn a_removed_file_that_never_changes_stays_at_the_edge() {
        let (targets, notes) =
            paths(&["-_nuxt/BTXdFNo4.js", "_nuxt/d05Zzk2f.js", "-_nuxt/entry.js"]);
        assert_eq!(targets, ["/_nuxt/d05Zzk2f.js", "/_nuxt/entry.js"]);
        let note = "E1EXAMPLE1ABC: 1 object not verified, because the edge keeps removed files that never change: \
                    _nuxt/BTXdFNo4.js";
        assert_eq!(notes, [note]);
        // If the bucket is not known, one that does not have the requests for the key does not matter.
        let mut two_buckets = site();
        two_buckets.origins[0].domain_name = "other.s3.eu-west-1.amazonaws.com".to_owned();
        let (targets, notes) = paths_of(two_buckets, &["-:_nuxt/BTXdFNo4.js"]);
        assert_eq!((targets, notes.len()), (vec![], 1));
        assert!(
            notes[0].contains("the edge keeps removed files"),
            "{notes:?}"
        );
        // The edge keeps nothing of another bucket.
        let (targets, notes) = paths(&["-other:_nuxt/BTXdFNo4.js"]);
        assert_eq!(targets, Vec::<String>::new());
        let note = "E1EXAMPLE1ABC: 1 of 1 changed object is not verified, because viewers cannot get it there: \
                    _nuxt/BTXdFNo4.js";
        assert_eq!(notes, [note]);
    }
}
