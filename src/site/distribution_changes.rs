//! `DistributionChanges`: the changed objects that one distribution may have cached, with notes about the others.
//!
//! A distribution whose configuration cannot be read, or whose origins may be the bucket under another name, gets the
//! paths that follow from the object's key alone ([`MaybeSite`]).
//!
//! Configurations: <https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_DistributionConfig.html>

use std::collections::BTreeMap;

use super::{CachedPaths, IndexDocuments, NotCached, Site};
use crate::distribution::DistributionId;
use crate::path::InvalidationPath;

/// How many objects or reasons a note lists before it counts the rest.
const MAX_LISTED: usize = 5;

/// A distribution whose configuration may be unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MaybeSite {
    /// The configuration was read.
    Known(Box<Site>),
    /// The configuration cannot be read. Paths follow from the objects' keys alone.
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
    not_cached: BTreeMap<NotCached, Excerpt>,
    /// Why objects are cached under more paths than their own.
    reasons: Excerpt,
}

/// A changed object that viewers may have cached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedObject {
    /// Its index in the caller's list.
    pub index: usize,
    /// The paths under which viewers may have cached it.
    pub paths: Vec<InvalidationPath>,
}

impl ChangesByDistribution {
    /// Adds a changed object to the changes of the distribution.
    pub fn add(
        &mut self,
        site: &MaybeSite,
        object: ObjectRef<'_>,
        index_documents: IndexDocuments,
    ) {
        let distribution = site.id();
        let is_listed = |changes: &DistributionChanges| changes.distribution == *distribution;
        if !self.0.iter().any(is_listed) {
            self.0.push(DistributionChanges::new(distribution.clone()));
        }
        if let Some(changes) = self.0.iter_mut().find(|changes| is_listed(changes)) {
            changes.add(
                object,
                site.cached_paths(object.bucket, object.key, index_documents),
            );
        }
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
            Self::Known(site) => &site.id,
            Self::Unknown(id) => id,
        }
    }

    /// Returns whether the bucket may be one of the origins.
    pub fn may_have_origin(&self, bucket: &str) -> bool {
        match self {
            Self::Known(site) => site.may_have_origin(bucket),
            Self::Unknown(_) => true,
        }
    }

    fn cached_paths(
        &self,
        bucket: &str,
        key: &str,
        index_documents: IndexDocuments,
    ) -> CachedPaths {
        match self {
            Self::Known(site) if site.has_origin(bucket) || !site.may_have_origin(bucket) => {
                site.cached_paths(bucket, key, index_documents)
            }
            // An origin may be the bucket under another name. The caller has chosen the distribution for this bucket.
            Self::Known(_) | Self::Unknown(_) => CachedPaths::Cached {
                paths: InvalidationPath::from_object_key(key),
                reasons: Vec::new(),
            },
        }
    }
}

impl DistributionChanges {
    fn new(distribution: DistributionId) -> Self {
        Self {
            distribution,
            cached: Vec::new(),
            not_cached: BTreeMap::new(),
            reasons: Excerpt::default(),
        }
    }

    fn add(&mut self, object: ObjectRef<'_>, cached_paths: CachedPaths) {
        match cached_paths {
            CachedPaths::Cached { paths, reasons } => {
                let index = object.index;
                self.cached.push(CachedObject { index, paths });
                for reason in reasons {
                    self.reasons.push(reason);
                }
            }
            CachedPaths::NotCached(reason) => {
                self.not_cached.entry(reason).or_default().push(object.key);
            }
        }
    }

    /// Returns notes for users: which objects are not invalidated, and why others are invalidated under more paths
    /// than their own. Each note lists at most five objects or reasons and counts the rest.
    pub fn notes(&self) -> Vec<String> {
        let mut notes: Vec<_> = self
            .not_cached
            .iter()
            .map(|(reason, keys)| format!("{} {reason}: {}", keys.count, keys.join(", ")))
            .collect();
        if self.reasons.count > 0 {
            notes.push(self.reasons.join("; "));
        }
        notes
    }
}

/// The first texts of a list, and the length of the list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Excerpt {
    first: Vec<String>,
    count: usize,
}

impl Excerpt {
    fn push(&mut self, text: impl ToString) {
        if self.first.len() < MAX_LISTED {
            self.first.push(text.to_string());
        }
        self.count += 1;
    }

    fn join(&self, separator: &str) -> String {
        let listed = self.first.join(separator);
        match self.count.saturating_sub(self.first.len()) {
            0 => listed,
            more => format!("{listed}{separator}and {more} more"),
        }
    }
}
