//! One POP: its copies, and the invalidations that take effect there.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::SystemTime;

use super::distribution::CacheKey;
use super::items::{CopyIdentity, Items};
use super::readings::Readings;
use super::{DroppedCopy, Matching, ViewerResponse};

/// A cached response.
pub(super) struct CachedCopy {
    pub(super) response: Arc<ViewerResponse>,
    pub(super) identity: CopyIdentity,
    pub(super) stored: SystemTime,
    /// The seconds that the response had spent in caches between the origin and the POP.
    pub(super) origin_age: Option<u64>,
    /// When an error expires.
    pub(super) expires: Option<SystemTime>,
    /// The readings in which an invalidation has dropped the copy.
    pub(super) dropped_by: Readings,
}

impl CachedCopy {
    /// Returns the value of Age: the seconds in this cache, and those before it as in other caches of HTTP
    /// (<https://www.rfc-editor.org/rfc/rfc9111#section-4.2.3>). Whether CloudFront adds the latter is not documented.
    pub(super) fn age(&self, now: SystemTime) -> u64 {
        let stored = now.duration_since(self.stored).unwrap_or_default();
        stored
            .as_secs()
            .saturating_add(self.origin_age.unwrap_or(0))
    }

    fn is_expired(&self, now: SystemTime) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}

/// An invalidation at one POP.
pub(super) struct Effect {
    pub(super) moment: SystemTime,
    pub(super) distribution: String,
    pub(super) items: Arc<Items>,
}

impl Effect {
    /// Applies the invalidation to a copy that is older, and returns whether that drops it.
    fn drops(&self, copy: &mut CachedCopy, matching: Matching) -> bool {
        let matches = self.items.matches(&copy.identity);
        copy.dropped_by.insert(matches);
        match matching {
            Matching::Strict => copy.dropped_by == Readings::ALL,
            Matching::Lenient => !matches.is_empty(),
        }
    }
}

/// The cache of one POP.
pub(super) struct Pop {
    index: usize,
    matching: Matching,
    /// The copies by distribution.
    copies: HashMap<String, HashMap<CacheKey, CachedCopy>>,
    /// The invalidations whose moment has not come, by moment and number.
    pending: BTreeMap<(SystemTime, usize), Effect>,
    /// The invalidations that took effect, in that order.
    applied: Vec<Effect>,
    dropped: Vec<DroppedCopy>,
    dropped_copies: u64,
}

impl Pop {
    pub(super) fn new(index: usize, matching: Matching) -> Self {
        Self {
            index,
            matching,
            copies: HashMap::new(),
            pending: BTreeMap::new(),
            applied: Vec::new(),
            dropped: Vec::new(),
            dropped_copies: 0,
        }
    }

    /// Returns the copy that a request gets.
    pub(super) fn copy(
        &self,
        distribution: &str,
        key: &CacheKey,
        now: SystemTime,
    ) -> Option<&CachedCopy> {
        let copy = self.copies.get(distribution)?.get(key)?;
        (!copy.is_expired(now)).then_some(copy)
    }

    /// Stores a response, unless an invalidation took effect while the origin was responding and drops it.
    pub(super) fn store(
        &mut self,
        distribution: &str,
        key: CacheKey,
        mut copy: CachedCopy,
        effects_before: usize,
    ) {
        let meanwhile = self.applied.get(effects_before..).unwrap_or_default();
        for effect in meanwhile {
            if effect.distribution == distribution && effect.drops(&mut copy, self.matching) {
                return;
            }
        }
        let copies = self.copies.entry(distribution.to_owned()).or_default();
        copies.insert(key, copy);
    }

    pub(super) fn delete_copies(&mut self, distribution: &str) {
        self.copies.remove(distribution);
    }

    pub(super) fn add_effect(&mut self, effect: Effect) {
        let number = self.applied.len() + self.pending.len();
        self.pending.insert((effect.moment, number), effect);
    }

    /// Returns how many invalidations have taken effect.
    pub(super) fn effects(&self) -> usize {
        self.applied.len()
    }

    /// Applies the invalidations whose moment has come.
    pub(super) fn apply_effects(&mut self, now: SystemTime) {
        while let Some(entry) = self.pending.first_entry() {
            if entry.key().0 > now {
                return;
            }
            let effect = entry.remove();
            self.apply(&effect);
            self.applied.push(effect);
        }
    }

    fn apply(&mut self, effect: &Effect) {
        let Some(copies) = self.copies.get_mut(&effect.distribution) else {
            return;
        };
        let (index, matching, dropped) = (self.index, self.matching, &mut self.dropped);
        let counted = dropped.len();
        copies.retain(|key, copy| {
            if copy.is_expired(effect.moment) {
                return false;
            }
            let drops = effect.drops(copy, matching);
            if drops {
                dropped.push(DroppedCopy {
                    distribution: effect.distribution.clone(),
                    pop: index,
                    target: key.target(),
                    time: effect.moment,
                    response: Arc::clone(&copy.response),
                });
            }
            !drops
        });
        self.dropped_copies += (dropped.len() - counted) as u64;
    }

    pub(super) fn dropped_copies(&self) -> u64 {
        self.dropped_copies
    }

    /// Returns the copies dropped since the last call.
    pub(super) fn drain_dropped(&mut self) -> Vec<DroppedCopy> {
        std::mem::take(&mut self.dropped)
    }
}
