//! What a takedown invalidates for a path or a key.

use percent_encoding::percent_decode_str;

use crate::cli::input::Input;
use crate::cli::selection;
use crate::cli::target::Target;
use crate::cli::{CliError, Session};
use crate::error::Error;
use crate::excerpt::{Excerpt, MAX_NOTED};
use crate::path::{EncodedPaths, InvalidationPath, widened_note};
use crate::plan::Limits;
use crate::plan::collapse::collapse;
use crate::plan::limits::{MAX_PATHS_IN_REQUEST, MAX_WILDCARDS_IN_REQUEST};
use crate::site::{CachedPaths, IndexDocuments, MaybeSite, PathReason, assumed_paths};

/// A path or key that must vanish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Content {
    /// As the user wrote it; a key has a leading slash.
    pub written: String,
    /// Empty if the distribution cannot have cached it.
    pub paths: Vec<InvalidationPath>,
}

impl Content {
    fn new(written: String, paths: Vec<InvalidationPath>) -> Self {
        let paths = paths
            .into_iter()
            .flat_map(InvalidationPath::with_query_strings);
        Self {
            written,
            paths: collapse(paths.collect(), None, Limits::UNLIMITED).paths,
        }
    }

    /// Returns the first paths and the number of the others.
    pub(super) fn excerpt(&self) -> Excerpt<MAX_NOTED> {
        self.paths.iter().map(InvalidationPath::as_str).collect()
    }
}

/// The contents that are removed from one distribution, in the order of the input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Contents {
    pub contents: Vec<Content>,
    /// What became a wildcard, or is not cached, and why.
    pub notes: Vec<String>,
}

/// Reads the configuration of the distribution, and returns what is invalidated for each path and key.
///
/// Keys and cache tags need the configuration: without it, their paths can be others, and a tag without effect. Paths do not.
pub(super) async fn read(
    session: &Session,
    target: &Target,
    input: &Input,
) -> Result<Contents, CliError> {
    let cloudfront = session.connection.cloudfront().await?;
    let needs_configuration =
        !input.objects.is_empty() || input.paths.iter().any(InvalidationPath::is_tag);
    let site = match cloudfront.site(&target.id).await {
        Ok(site) => MaybeSite::Known(site.into()),
        Err(error) if error.is_access_denied() && !needs_configuration => {
            let mut contents = contents(&MaybeSite::Unknown(target.id.clone()), target, input);
            let reason = error.message(session.terminal.audience());
            contents.notes.push(format!(
                "the default root object and a staging distribution are not known: {reason}"
            ));
            return Ok(contents);
        }
        Err(error) => return Err(error.into()),
    };
    let mut contents = contents(&site, target, input);
    if let MaybeSite::Known(site) = &site {
        site.features.check_tags(&target.id, &input.paths)?;
        contents
            .notes
            .extend(selection::staging_note(&site.features));
    }
    Ok(contents)
}

fn contents(site: &MaybeSite, target: &Target, input: &Input) -> Contents {
    let mut notes: Vec<_> = widened_note(&input.widened).into_iter().collect();
    let mut contents = Vec::new();
    for path in &input.paths {
        let mut widened = input.widened.iter();
        let widened = widened.find(|widened| widened.to == *path);
        let written = widened.map_or_else(|| path.to_string(), |widened| widened.written.clone());
        let encoded = paths_of(path, site);
        notes.extend(widened_note(&encoded.widened));
        contents.push(Content::new(written, encoded.paths));
    }
    let configured = target.config.as_ref();
    let configured = configured.and_then(|config| config.bucket.as_deref());
    for object in input.objects.keys() {
        let mut paths = Vec::new();
        let buckets = selection::buckets(object, configured, site);
        let buckets = buckets.unwrap_or_else(|bucket| {
            notes.push(format!("bucket {bucket} is not one of its origins"));
            Vec::new()
        });
        for bucket in buckets {
            match site.cached_paths(&bucket, &object.key, IndexDocuments::Auto) {
                CachedPaths::Cached {
                    paths: cached,
                    reasons,
                } => {
                    paths.extend(cached);
                    let widened = reasons
                        .iter()
                        .filter(|reason| matches!(reason, PathReason::Widened(_)));
                    notes.extend(widened.map(ToString::to_string));
                }
                CachedPaths::NotCached(reason) => notes.push(format!("{}: {reason}", object.key)),
            }
        }
        contents.push(Content::new(format!("/{}", object.key), paths));
    }
    Contents { contents, notes }
}

/// Returns what is invalidated for a path that the user wrote.
fn paths_of(path: &InvalidationPath, site: &MaybeSite) -> EncodedPaths {
    let mut encoded = EncodedPaths {
        paths: path.clone().with_wildcard_behind(),
        widened: Vec::new(),
    };
    let without_query = path.as_str().split('?').next().unwrap_or_default();
    let decoded = percent_decode_str(without_query.trim_start_matches('/')).decode_utf8();
    if let Ok(key) = decoded
        && !key.is_empty()
        && !path.is_wildcard()
        && !path.is_tag()
    {
        let EncodedPaths { paths, widened } = EncodedPaths::of_key(&key);
        let spellings = paths.into_iter();
        encoded
            .paths
            .extend(spellings.flat_map(InvalidationPath::with_wildcard_behind));
        encoded.widened = widened;
        if let CachedPaths::Cached { paths: assumed, .. } =
            assumed_paths(&key, IndexDocuments::Auto)
        {
            encoded.paths.extend(assumed);
        }
        if let MaybeSite::Known(site) | MaybeSite::Outdated(site) = site
            && site.default_root_object.as_deref() == Some(&*key)
        {
            encoded.paths.push(InvalidationPath::root());
        }
    }
    encoded
}

/// Divides the paths of all contents into requests. A path that another covers is left out.
pub(super) fn requests(contents: &[Content]) -> Vec<Vec<InvalidationPath>> {
    let paths = contents.iter().flat_map(|content| &content.paths);
    let mut requests: Vec<Vec<InvalidationPath>> = Vec::new();
    let mut wildcards = 0;
    for path in collapse(paths.cloned().collect(), None, Limits::UNLIMITED).paths {
        let is_wildcard = path.is_wildcard();
        match requests.last_mut() {
            Some(request)
                if request.len() < MAX_PATHS_IN_REQUEST
                    && (!is_wildcard || wildcards < MAX_WILDCARDS_IN_REQUEST) =>
            {
                request.push(path);
                wildcards += usize::from(is_wildcard);
            }
            _ => {
                requests.push(vec![path]);
                wildcards = usize::from(is_wildcard);
            }
        }
    }
    requests
}

/// Returns an error for each content that no distribution can have cached: a wrong key or distribution is likely.
pub(super) fn not_cached<'a>(takedowns: impl Iterator<Item = &'a [Content]>) -> Vec<Error> {
    let takedowns: Vec<_> = takedowns.collect();
    let contents = takedowns.first().copied().unwrap_or_default();
    let is_cached = |index: usize| {
        let mut same = takedowns.iter().filter_map(|contents| contents.get(index));
        same.any(|content| !content.paths.is_empty())
    };
    let contents = contents.iter().enumerate();
    let not_cached = contents.filter(|(index, _)| !is_cached(*index));
    let errors = not_cached.map(|(_, content)| {
        Error::invalid_input(format!(
            "{} is not cached by the named distributions, so nothing was invalidated for it: check the key and -d",
            content.written
        ))
    });
    errors.collect()
}
