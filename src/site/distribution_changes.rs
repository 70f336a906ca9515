//! `DistributionChanges`: the changed objects that one distribution may have cached, with notes about the others.
//!
//! If the configuration of a distribution is unknown or possibly outdated ([`MaybeSite`]), no object is left out, and
//! the paths of common configurations are added.
//!
//! Configurations: <https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_DistributionConfig.html>

use std::collections::BTreeMap;
use std::sync::Arc;

use super::change::Need;
use super::found_paths::{FoundPaths, find_assumed_paths};
use super::immutable::HintKeys;
use super::sources::Sources;
use super::{
    CachedAbsence, CachedPaths, Change, Features, Hint, ImmutablePaths, IndexDocuments, Kept,
    KeptObjects, NotCached, PathOptions, PathReason, Site,
};
use crate::distribution::DistributionId;
use crate::excerpt::{Excerpt, MAX_NOTED, thousands};
use crate::path::InvalidationPath;

/// A distribution whose configuration may be unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MaybeSite {
    /// The configuration was read.
    Known(Arc<Site>),
    /// The configuration was read before the change, and a newer one cannot be read.
    Outdated(Arc<Site>),
    /// IAM denies reading the configuration.
    Unknown(DistributionId),
}

/// A changed object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectRef<'a> {
    /// Its index in the caller's list.
    pub index: usize,
    /// The bucket's name.
    pub bucket: &'a str,
    /// The decoded key.
    pub key: &'a str,
    /// What is known about the change.
    pub change: Change,
}

/// The changed objects of several distributions, in the order in which the distributions were added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangesByDistribution(Vec<DistributionChanges>);

/// The changed objects of one distribution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DistributionChanges {
    /// The distribution.
    pub distribution: DistributionId,
    /// The objects that viewers may have cached.
    pub cached: Vec<CachedObject>,
    /// The keys of the objects that viewers cannot have cached.
    not_cached: BTreeMap<NotCached, Excerpt<MAX_NOTED>>,
    /// The objects whose copies stay valid.
    pub kept: KeptObjects,
    /// The objects that need no invalidation under an immutable path.
    hint_keys: HintKeys,
    /// Why objects are cached under more paths than their own.
    reasons: Excerpt<MAX_NOTED>,
    /// Why wildcards replace paths of objects.
    widened: Excerpt<MAX_NOTED>,
    /// Which origins may be which buckets, without duplicates.
    uncertain_origins: Vec<String>,
    /// What else is assumed about the distribution, without duplicates.
    assumptions: Vec<String>,
}

/// A changed object that viewers may have cached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedObject {
    /// Its index in the caller's list.
    pub index: usize,
    /// The paths under which viewers may have cached it.
    pub paths: Vec<InvalidationPath>,
    /// Whether CloudFront can get it from another bucket instead, which can still have the old object, as far as is known.
    pub has_failover: bool,
}

impl ChangesByDistribution {
    /// Adds a changed object to the changes of the distribution.
    pub fn add(&mut self, site: &MaybeSite, object: ObjectRef<'_>, options: &PathOptions) {
        self.add_all(site, &[object], options);
    }

    /// Adds changed objects to the changes of the distribution. It takes the least time if the objects of a bucket are
    /// next to each other.
    pub fn add_all(&mut self, site: &MaybeSite, objects: &[ObjectRef<'_>], options: &PathOptions) {
        for objects in objects.chunk_by(|a, b| a.bucket == b.bucket) {
            let (Some(changes), Some(first)) = (self.changes_of(site.id()), objects.first()) else {
                continue;
            };
            let sources = site.sources(first.bucket);
            for object in objects {
                match site.find_paths(&sources, object.key, options.index_documents) {
                    Ok(found) => changes.add_found(site, &sources, *object, found, options),
                    Err(not_cached) => changes.add_not_cached(*object, not_cached),
                }
            }
        }
    }

    /// Adds an object whose copies stay valid to the changes of the distribution.
    pub fn add_kept(&mut self, distribution: &DistributionId, key: &str, kept: Kept) {
        if let Some(changes) = self.changes_of(distribution) {
            changes.kept.add(key, None, kept);
        }
    }

    /// Adds a changed object that viewers cannot have cached to the changes of the distribution.
    pub fn add_not_cached(
        &mut self,
        distribution: &DistributionId,
        object: ObjectRef<'_>,
        not_cached: NotCached,
    ) {
        if let Some(changes) = self.changes_of(distribution) {
            changes.add_not_cached(object, not_cached);
        }
    }

    /// Adds a note to the changes of the distribution, if there are any.
    pub fn add_note(&mut self, distribution: &DistributionId, note: String) {
        let mut changes = self.0.iter_mut();
        if let Some(changes) = changes.find(|changes| changes.distribution == *distribution) {
            push_new(&mut changes.assumptions, note);
        }
    }

    /// Returns the changes of the distribution, which are created if there are none yet.
    fn changes_of(&mut self, distribution: &DistributionId) -> Option<&mut DistributionChanges> {
        let is_listed = |changes: &DistributionChanges| changes.distribution == *distribution;
        if !self.0.iter().any(is_listed) {
            self.0.push(DistributionChanges::new(distribution.clone()));
        }
        self.0.iter_mut().find(|changes| is_listed(changes))
    }
}

impl IntoIterator for ChangesByDistribution {
    type Item = DistributionChanges;
    type IntoIter = std::vec::IntoIter<DistributionChanges>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl MaybeSite {
    /// Returns the distribution's id.
    pub fn id(&self) -> &DistributionId {
        match self {
            Self::Known(site) | Self::Outdated(site) => &site.id,
            Self::Unknown(id) => id,
        }
    }

    /// Returns whether viewers certainly get objects of the bucket from this distribution, and not only those that a
    /// continuous deployment policy sends to it.
    pub fn serves_bucket(&self, bucket: &str) -> bool {
        let serves =
            |site: &Site| site.enabled && !site.features.staging && site.has_origin(bucket);
        self.known().is_some_and(serves)
    }

    /// Returns whether the bucket may be one of the origins.
    pub fn may_have_origin(&self, bucket: &str) -> bool {
        self.known().is_none_or(|site| site.may_have_origin(bucket))
    }

    /// Returns the object's key as viewers request it: [`Site::relative_keys`], or the key itself if the configuration is
    /// unknown.
    pub fn relative_keys<'a>(&self, bucket: &str, key: &'a str) -> Vec<&'a str> {
        match self {
            Self::Known(site) | Self::Outdated(site) => site.relative_keys(bucket, key),
            Self::Unknown(_) => vec![key],
        }
    }

    /// Returns whether an origin may be in S3. The origins of a staging distribution change with each deployment.
    pub fn may_have_s3_origin(&self) -> bool {
        let may_have = |site: &Site| site.has_s3_origin() || site.features.staging;
        self.known().is_none_or(may_have)
    }

    fn has_failover(&self, sources: &Sources<'_>) -> bool {
        self.known().is_none_or(|_site| sources.has_failover)
    }

    fn sources<'a>(&'a self, bucket: &'a str) -> Sources<'a> {
        match self {
            Self::Known(site) | Self::Outdated(site) => site.sources(bucket),
            Self::Unknown(_) => Sources::unknown(bucket),
        }
    }

    /// Returns what the configuration decides about the distribution as a whole, if it is known.
    pub fn features(&self) -> Option<(DistributionId, Features)> {
        match self {
            Self::Known(site) | Self::Outdated(site) => {
                Some((site.id.clone(), site.features.clone()))
            }
            Self::Unknown(_) => None,
        }
    }

    /// Returns the configuration, if it is up to date.
    fn known(&self) -> Option<&Site> {
        match self {
            Self::Known(site) => Some(site),
            Self::Outdated(_) | Self::Unknown(_) => None,
        }
    }

    /// Returns the paths under which viewers may have cached the object.
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
        match self {
            Self::Known(site) => site.find_paths(sources, key, index_documents),
            Self::Outdated(site) => Ok(site.find_paths_if_outdated(sources, key, index_documents)),
            Self::Unknown(_) => Ok(find_assumed_paths(key, index_documents)),
        }
    }

    /// Returns why the copies of a changed object stay valid, if they do.
    pub fn kept(&self, object: ObjectRef<'_>, options: &PathOptions) -> Option<Kept> {
        let sources = self.sources(object.bucket);
        let found = self.find_paths(&sources, object.key, options.index_documents);
        let found = found.ok()?;
        let is_immutable = found.is_immutable(&options.immutable);
        match self.need(&sources, object.change, &found, is_immutable, options) {
            Need::Invalidation(_) => None,
            Need::None(kept) => Some(kept),
        }
    }

    fn need(
        &self,
        sources: &Sources<'_>,
        change: Change,
        found: &FoundPaths<'_>,
        is_immutable: bool,
        options: &PathOptions,
    ) -> Need {
        if found.is_error_page() {
            // It is cached under the paths of other objects.
            return Need::Invalidation(None);
        }
        let cached_absence = || self.cached_absence(sources);
        let keep_removed = options.keep_removed_immutable;
        change.need(is_immutable, keep_removed, cached_absence)
    }

    /// Returns why the edge can keep for more than a minute that the bucket has no object of some name, if it can.
    fn cached_absence(&self, sources: &Sources<'_>) -> Option<CachedAbsence> {
        match self {
            Self::Known(site) => site.cached_absence(sources),
            Self::Outdated(_) | Self::Unknown(_) => Some(CachedAbsence::Unknown),
        }
    }
}

impl DistributionChanges {
    fn new(distribution: DistributionId) -> Self {
        Self {
            distribution,
            cached: Vec::new(),
            not_cached: BTreeMap::new(),
            kept: KeptObjects::default(),
            hint_keys: HintKeys::default(),
            reasons: Excerpt::default(),
            widened: Excerpt::default(),
            uncertain_origins: Vec::new(),
            assumptions: Vec::new(),
        }
    }

    fn add_found(
        &mut self,
        site: &MaybeSite,
        sources: &Sources<'_>,
        object: ObjectRef<'_>,
        found: FoundPaths<'_>,
        options: &PathOptions,
    ) {
        let is_immutable = found.is_immutable(&options.immutable);
        let reason = match site.need(sources, object.change, &found, is_immutable, options) {
            Need::None(kept) => {
                let own_path = found.paths.into_iter().next();
                return self.kept.add(object.key, own_path, kept);
            }
            Need::Invalidation(reason) => reason,
        };
        if let Some(reason) = reason {
            let note = format!("objects that are possibly new are invalidated, because {reason}");
            push_new(&mut self.assumptions, note);
        }
        if options.immutable != ImmutablePaths::NONE && !is_immutable {
            let saves = || {
                matches!(
                    site.need(sources, object.change, &found, true, options),
                    Need::None(_)
                )
            };
            self.hint_keys
                .add(object.index, &found.decoded_paths, saves);
        }
        for reason in found.reasons {
            match reason {
                PathReason::Widened(widened) => self.widened.push(widened),
                PathReason::UncertainOrigin { .. } => {
                    push_new(&mut self.uncertain_origins, reason.to_string());
                }
                reason if reason.concerns_all_objects() => {
                    push_new(&mut self.assumptions, reason.to_string());
                }
                reason => self.reasons.push(reason),
            }
        }
        self.cached.push(CachedObject {
            index: object.index,
            paths: found.paths,
            has_failover: site.has_failover(sources),
        });
    }

    fn add_not_cached(&mut self, object: ObjectRef<'_>, not_cached: NotCached) {
        let keys = self.not_cached.entry(not_cached).or_default();
        keys.push(object.key);
    }

    /// Returns which immutable paths would have saved invalidations of these objects, if many of them look so.
    pub fn hint(&self) -> Option<Hint> {
        self.hint_keys.hint()
    }

    /// Returns notes for users: what is assumed about the distribution, which objects are not invalidated, why others are
    /// invalidated under more paths than their own, and which paths became wildcards. Each note lists at most five objects
    /// or reasons and counts the rest. At most five notes are about origins, and five about objects that are not
    /// invalidated; one more note counts the rest of each.
    pub fn notes(&self) -> Vec<String> {
        let mut notes: Vec<_> = (self.uncertain_origins.iter().take(MAX_NOTED).cloned()).collect();
        let others = self.uncertain_origins.len().saturating_sub(MAX_NOTED);
        if others > 0 {
            notes.push(format!(
                "{} more assumptions of this kind",
                thousands(others)
            ));
        }
        notes.extend(self.assumptions.iter().cloned());
        let not_cached = self.not_cached.iter().take(MAX_NOTED);
        notes.extend(
            not_cached
                .map(|(reason, keys)| format!("{} {reason}: {}", keys.count(), keys.join(", "))),
        );
        let others = self.not_cached.values().skip(MAX_NOTED);
        let (reasons, objects) = others.fold((0, 0), |(reasons, objects), keys| {
            (reasons + 1, objects + keys.count())
        });
        if reasons > 0 {
            notes.push(format!(
                "{} not invalidated for {} other reasons",
                thousands(objects),
                thousands(reasons)
            ));
        }
        notes.extend(self.kept.notes());
        let reasons = [&self.reasons, &self.widened].into_iter();
        let reasons = reasons.filter(|reasons| reasons.count() > 0);
        notes.extend(reasons.map(|reasons| reasons.join("; ")));
        notes
    }
}

/// Adds the note unless it is listed already.
fn push_new(notes: &mut Vec<String>, note: String) {
    if !notes.contains(&note) {
        notes.push(note);
    }
}
