//! `Share`: what one distribution must drop of some changed objects, and why, in words.

use std::collections::BTreeMap;

use super::{IndexDocuments, NotServed, Serving, Site};
use crate::distribution::DistributionId;
use crate::path::InvalidationPath;

/// How many objects or reasons are named one by one, before the rest is counted.
const MAX_NAMED: usize = 5;

/// A distribution as well as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Distribution {
    /// Its configuration was read.
    Known(Box<Site>),
    /// Its configuration may not be read: what an object's key tells must do.
    Unknown(DistributionId),
}

/// What each of several distributions must drop, in the order in which they were met.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shares(Vec<Share>);

/// What one distribution must drop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// The distribution.
    pub distribution: DistributionId,
    /// The objects that it serves.
    pub served: Vec<Served>,
    not_served: BTreeMap<NotServed, Vec<String>>,
    why: Vec<String>,
}

/// An object that a distribution serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// Its place in the caller's list.
    pub place: usize,
    /// The paths under which viewers can have cached it.
    pub paths: Vec<InvalidationPath>,
}

impl Shares {
    /// Adds an object, the one at `place` in the caller's list, to what the distribution must drop.
    pub fn add(
        &mut self,
        distribution: &Distribution,
        (place, bucket, key): (usize, &str, &str),
        index_documents: IndexDocuments,
    ) {
        let share = self.of(distribution.id());
        match distribution.serving(bucket, key, index_documents) {
            Serving::Served { paths, why } => {
                share.served.push(Served { place, paths });
                share.why.extend(why.iter().map(ToString::to_string));
            }
            Serving::NotServed(reason) => {
                share
                    .not_served
                    .entry(reason)
                    .or_default()
                    .push(key.to_owned());
            }
        }
    }

    fn of(&mut self, distribution: &DistributionId) -> &mut Share {
        let known = self
            .0
            .iter()
            .position(|share| share.distribution == *distribution);
        let at = known.unwrap_or_else(|| {
            self.0.push(Share::nothing(distribution.clone()));
            self.0.len() - 1
        });
        &mut self.0[at]
    }
}

impl IntoIterator for Shares {
    type Item = Share;
    type IntoIter = std::vec::IntoIter<Share>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl Distribution {
    /// Returns the id.
    pub fn id(&self) -> &DistributionId {
        match self {
            Self::Known(site) => &site.id,
            Self::Unknown(id) => id,
        }
    }

    /// Tells whether the bucket is among the origins, as far as is known.
    pub fn may_serve(&self, bucket: &str) -> bool {
        match self {
            Self::Known(site) => site.may_have_origin(bucket),
            Self::Unknown(_) => true,
        }
    }

    fn serving(&self, bucket: &str, key: &str, index_documents: IndexDocuments) -> Serving {
        let by_key = |why| Serving::Served {
            paths: InvalidationPath::from_object_key(key),
            why,
        };
        match self {
            Self::Unknown(_) => by_key(Vec::new()),
            Self::Known(site) if site.has_origin(bucket) || !site.may_have_origin(bucket) => {
                site.serving(bucket, key, index_documents)
            }
            // Behind another name there may be the bucket, and whoever named the distribution will know.
            Self::Known(_) => by_key(Vec::new()),
        }
    }
}

impl Share {
    fn nothing(distribution: DistributionId) -> Self {
        let (served, not_served, why) = Default::default();
        Self {
            distribution,
            served,
            not_served,
            why,
        }
    }

    /// Returns, in words, what was left out and what was added.
    pub fn notes(&self) -> Vec<String> {
        let left_out = |(reason, keys): (&NotServed, &Vec<String>)| {
            format!("{} {reason}: {}", keys.len(), first_of(keys, ", "))
        };
        let mut notes: Vec<_> = self.not_served.iter().map(left_out).collect();
        if !self.why.is_empty() {
            notes.push(first_of(&self.why, "; "));
        }
        notes
    }
}

fn first_of(texts: &[String], separator: &str) -> String {
    let named = texts[..texts.len().min(MAX_NAMED)].join(separator);
    match texts.len().saturating_sub(MAX_NAMED) {
        0 => named,
        more => format!("{named}{separator}and {more} more"),
    }
}
