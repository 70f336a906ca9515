//! `Sources`: the origins from which viewers can get the objects of a bucket, as far as the domain names show it.
//!
//! They depend on the bucket only. A batch can have thousands of objects of one bucket, so they are found once for all
//! of them.

use super::origin::{Origin, Relation};
use super::{OriginGroup, Site};

/// An origin from which viewers can get objects of a bucket.
pub(super) struct Source<'a> {
    bucket: &'a str,
    pub(super) origin: &'a Origin,
    pub(super) relation: Relation,
}

/// The origins of a distribution from which viewers can get objects of a bucket.
pub(super) struct Sources<'a> {
    pub(super) bucket: &'a str,
    /// Empty also if the configuration is unknown.
    pub(super) origins: Vec<Source<'a>>,
    /// Whether CloudFront can get the objects from another origin of an origin group.
    pub(super) has_failover: bool,
}

impl<'a> Sources<'a> {
    /// Returns the origins of a distribution whose configuration is unknown: none.
    pub(super) fn unknown(bucket: &'a str) -> Self {
        Self {
            bucket,
            origins: Vec::new(),
            has_failover: true,
        }
    }

    /// Returns the origins of the site.
    pub(super) fn of_site(site: &'a Site, bucket: &'a str) -> Self {
        let has_bucket = site.has_origin(bucket);
        let origins = site.origins.iter().map(|origin| Source {
            bucket,
            origin,
            relation: origin.relation_to(bucket),
        });
        let is_source = |source: &Source<'_>| match source.relation {
            Relation::Bucket(_) | Relation::AccessPoint => true,
            // Beside the bucket itself, a server outside of S3 is something else, such as an API.
            Relation::Server => !has_bucket || source.origin.is_s3(),
            Relation::OtherBucket => false,
        };
        let origins: Vec<_> = origins.filter(is_source).collect();
        let has_failover = has_failover(&origins, &site.origin_groups);
        Self {
            bucket,
            origins,
            has_failover,
        }
    }

    /// Returns whether the id is that of one of the origins.
    pub(super) fn contain(&self, origin_id: &str) -> bool {
        self.origins
            .iter()
            .any(|source| source.origin.id == origin_id)
    }

    /// Returns the object's key as viewers request it, for each of the origins ([`Source::relative_keys`]).
    pub(super) fn relative_keys<'k>(
        &self,
        key: &'k str,
    ) -> impl DoubleEndedIterator<Item = &'k str> {
        let keys = self
            .origins
            .iter()
            .map(move |source| source.relative_keys(key));
        keys.flatten()
    }
}

impl Source<'_> {
    /// Returns whether the domain name does not show that the origin is the bucket.
    pub(super) fn is_uncertain(&self) -> bool {
        !matches!(self.relation, Relation::Bucket(_))
    }

    /// Returns the key as viewers request it, without the origin path. It is unknown whether a server takes the origin
    /// path for a folder of the bucket, or its first part for the bucket.
    pub(super) fn relative_keys<'k>(&self, key: &'k str) -> Vec<&'k str> {
        let mut keys: Vec<_> = self.origin.relative_key(key).into_iter().collect();
        if self.relation == Relation::Server {
            keys.extend(self.origin.key_in_path_style(self.bucket, key));
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        keys
    }
}

fn has_failover(sources: &[Source<'_>], groups: &[OriginGroup]) -> bool {
    let source = |id: &String| sources.iter().find(|source| source.origin.id == *id);
    let may_be_bucket = |id: &String| source(id).is_some();
    let is_bucket = |id: &String| source(id).is_some_and(|source| !source.is_uncertain());
    groups.iter().any(|group| {
        group.members.iter().any(may_be_bucket) && !group.members.iter().all(is_bucket)
    })
}
