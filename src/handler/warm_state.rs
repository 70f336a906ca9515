//! `WarmState`: what this process did in earlier invocations, while its Lambda environment is warm.
//!
//! A burst of events reaches few Lambda environments, so most of what it would create twice is found here without a
//! call.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};

use crate::distribution::{DistributionId, DomainNames};
use crate::plan::{ExistingInvalidation, InvalidationId};
use crate::trigger::codepipeline::JobId;

/// How many invalidations of a distribution, and how many jobs, are remembered: more than can usually be in progress.
const MAX_REMEMBERED: usize = 50;

/// How long invalidations are not listed after IAM denied it: as long as a configuration is remembered.
const LISTING_DENIED_FOR: Duration = Duration::from_secs(5 * 60);

/// How long domain names are remembered. They rarely change, and one that is not found is read again.
const NAMES_KEPT_FOR: Duration = Duration::from_secs(10 * 60);

/// What this process did in earlier invocations.
#[derive(Debug, Default)]
pub(super) struct WarmState {
    created: Mutex<HashMap<DistributionId, VecDeque<ExistingInvalidation>>>,
    listing_denied: Mutex<HashMap<DistributionId, SystemTime>>,
    reported_jobs: Mutex<VecDeque<JobId>>,
    domain_names: Mutex<HashMap<DistributionId, (SystemTime, DomainNames)>>,
    path_counts: Mutex<HashMap<DistributionId, BTreeMap<InvalidationId, usize>>>,
}

impl WarmState {
    /// Returns the invalidations of a distribution, the oldest first.
    pub(super) fn invalidations(&self, distribution: &DistributionId) -> Vec<ExistingInvalidation> {
        let created = lock(&self.created);
        let invalidations = created.get(distribution).into_iter().flatten();
        invalidations.cloned().collect()
    }

    /// Returns when CloudFront created an invalidation, if that is remembered.
    pub(super) fn creation_time(
        &self,
        distribution: &DistributionId,
        id: &InvalidationId,
    ) -> Option<DateTime<Utc>> {
        let created = lock(&self.created);
        let mut invalidations = created.get(distribution)?.iter();
        let invalidation = invalidations.find(|known| known.id == *id)?;
        Some(invalidation.created)
    }

    /// Remembers an invalidation, and forgets the oldest if there are too many.
    pub(super) fn remember(
        &self,
        distribution: &DistributionId,
        invalidation: ExistingInvalidation,
    ) {
        let mut created = lock(&self.created);
        let invalidations = created.entry(distribution.clone()).or_default();
        // CloudFront answers a repeated request with the invalidation that exists.
        invalidations.retain(|known| known.id != invalidation.id);
        if invalidations.len() == MAX_REMEMBERED {
            invalidations.pop_front();
        }
        invalidations.push_back(invalidation);
    }

    /// Remembers for five minutes that IAM denies listing the invalidations of a distribution.
    pub(super) fn set_listing_denied(&self, distribution: &DistributionId, now: SystemTime) {
        lock(&self.listing_denied).insert(distribution.clone(), now);
    }

    /// Returns whether the invalidations of a distribution can be listed, as far as is known.
    pub(super) fn can_list(&self, distribution: &DistributionId, now: SystemTime) -> bool {
        let denied = lock(&self.listing_denied);
        let denied_at = denied.get(distribution);
        !denied_at.is_some_and(|at| is_within(LISTING_DENIED_FOR, *at, now))
    }

    /// Remembers the domain names of a distribution for ten minutes.
    pub(super) fn remember_names(
        &self,
        distribution: &DistributionId,
        names: DomainNames,
        now: SystemTime,
    ) {
        lock(&self.domain_names).insert(distribution.clone(), (now, names));
    }

    /// Returns the domain names of a distribution, if they are remembered.
    pub(super) fn names(
        &self,
        distribution: &DistributionId,
        now: SystemTime,
    ) -> Option<DomainNames> {
        let remembered = lock(&self.domain_names);
        let (read_at, names) = remembered.get(distribution)?;
        is_within(NAMES_KEPT_FOR, *read_at, now).then(|| names.clone())
    }

    /// Remembers how many paths an invalidation has, which never changes.
    pub(super) fn remember_path_count(
        &self,
        distribution: &DistributionId,
        invalidation: &InvalidationId,
        paths: usize,
    ) {
        let mut path_counts = lock(&self.path_counts);
        let path_counts = path_counts.entry(distribution.clone()).or_default();
        path_counts.insert(invalidation.clone(), paths);
    }

    /// Returns how many paths each of the remembered invalidations has, among them those that this process created.
    pub(super) fn path_counts(
        &self,
        distribution: &DistributionId,
    ) -> BTreeMap<InvalidationId, usize> {
        let path_counts = lock(&self.path_counts).get(distribution).cloned();
        let mut path_counts = path_counts.unwrap_or_default();
        let created = lock(&self.created);
        for invalidation in created.get(distribution).into_iter().flatten() {
            // A response of CloudFront without the paths does not show how many there are.
            if !invalidation.paths.is_empty() {
                path_counts.insert(invalidation.id.clone(), invalidation.paths.len());
            }
        }
        path_counts
    }

    /// Keeps the path counts of these invalidations, also of those that this process created and forgets later. Forgets
    /// all others, such as those of the month before.
    pub(super) fn keep_path_counts(
        &self,
        distribution: &DistributionId,
        invalidations: &[InvalidationId],
    ) {
        let invalidations: BTreeSet<_> = invalidations.iter().collect();
        let mut path_counts = self.path_counts(distribution);
        path_counts.retain(|invalidation, _| invalidations.contains(invalidation));
        lock(&self.path_counts).insert(distribution.clone(), path_counts);
    }

    /// Remembers a job whose result was reported.
    pub(super) fn remember_job(&self, job: &JobId) {
        let mut jobs = lock(&self.reported_jobs);
        if jobs.len() == MAX_REMEMBERED {
            jobs.pop_front();
        }
        jobs.push_back(job.clone());
    }

    /// Returns whether this process reported the job's result.
    pub(super) fn has_reported(&self, job: &JobId) -> bool {
        lock(&self.reported_jobs).contains(job)
    }
}

/// Returns whether less than this much time has passed. A clock that was set back makes that unknown.
fn is_within(limit: Duration, at: SystemTime, now: SystemTime) -> bool {
    matches!(now.duration_since(at), Ok(age) if age < limit)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic can at worst lose an entry.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::{InvalidationPath, SubmittedPath};
    use crate::plan::InvalidationStatus;

    #[test]
    fn remembers_the_newest_without_duplicates() {
        let warm_state = WarmState::default();
        let distribution = DistributionId::parse("E2EXAMPLE1ABC").expect("an id");
        let remember = |id: &str| {
            let invalidation = ExistingInvalidation {
                id: InvalidationId::new(id),
                created: chrono::DateTime::from_timestamp(1_800_000_000, 0).expect("a time"),
                status: InvalidationStatus::InProgress,
                caller_reference: "reference".into(),
                paths: vec![SubmittedPath::from(&InvalidationPath::everything())],
            };
            warm_state.remember(&distribution, invalidation);
        };
        remember("again");
        (0..MAX_REMEMBERED).for_each(|number| remember(&format!("I{number}")));
        remember("I7");
        let ids: Vec<_> = warm_state
            .invalidations(&distribution)
            .into_iter()
            .map(|invalidation| invalidation.id.to_string())
            .collect();
        let expected: Vec<_> = (0..MAX_REMEMBERED)
            .filter(|number| *number != 7)
            .chain([7])
            .map(|number| format!("I{number}"))
            .collect();
        assert_eq!(ids, expected);
    }

    #[test]
    fn counts_the_paths_of_created_invalidations_and_keeps_the_counts_of_listed_ones() {
        let warm_state = WarmState::default();
        let distribution = DistributionId::parse("E2EXAMPLE1ABC").expect("an id");
        let create = |id: &str, paths: &[&str]| {
            let paths = paths
                .iter()
                .map(|path| SubmittedPath::from((*path).to_owned()));
            let invalidation = ExistingInvalidation {
                id: InvalidationId::new(id),
                created: chrono::DateTime::from_timestamp(1_800_000_000, 0).expect("a time"),
                status: InvalidationStatus::InProgress,
                caller_reference: "reference".into(),
                paths: paths.collect(),
            };
            warm_state.remember(&distribution, invalidation);
        };
        let compare = |expected: &[(&str, usize)]| {
            let counts = warm_state.path_counts(&distribution);
            let counts: Vec<_> = counts
                .iter()
                .map(|(id, paths)| (id.as_str(), *paths))
                .collect();
            assert_eq!(counts, expected);
        };
        create("created", &["/a", "/b"]);
        create("without paths", &[]);
        warm_state.remember_path_count(&distribution, &InvalidationId::new("read"), 3);
        warm_state.remember_path_count(&distribution, &InvalidationId::new("old"), 4);
        compare(&[("created", 2), ("old", 4), ("read", 3)]);
        let listed = ["created", "read"].map(InvalidationId::new);
        warm_state.keep_path_counts(&distribution, &listed);
        compare(&[("created", 2), ("read", 3)]);
        (0..MAX_REMEMBERED).for_each(|number| create(&format!("newer {number}"), &[]));
        compare(&[("created", 2), ("read", 3)]);
    }

    #[test]
    fn remembers_a_denial_for_one_distribution_and_five_minutes() {
        let warm_state = WarmState::default();
        let id = |text| DistributionId::parse(text).expect("an id");
        let (denied, other) = (id("E1EXAMPLE1ABC"), id("E2EXAMPLE1ABC"));
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        assert!(warm_state.can_list(&denied, now));
        warm_state.set_listing_denied(&denied, now);
        assert!(warm_state.can_list(&other, now));
        let [second, minute] = [1, 60].map(Duration::from_secs);
        for (later, can_list) in [
            (now, false),
            (now + 5 * minute - second, false),
            (now + 5 * minute, true),
            // The clock was set back.
            (now - second, true),
        ] {
            assert_eq!(warm_state.can_list(&denied, later), can_list, "{later:?}");
        }
    }

    #[test]
    fn remembers_the_names_of_a_distribution_for_ten_minutes() {
        let warm_state = WarmState::default();
        let id = |text| DistributionId::parse(text).expect("an id");
        let (read, other) = (id("E1EXAMPLE1ABC"), id("E2EXAMPLE1ABC"));
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let names = DomainNames {
            aliases: vec!["www.example.com".into()],
            domain_name: None,
        };
        warm_state.remember_names(&read, names.clone(), now);
        let [second, minute] = [1, 60].map(Duration::from_secs);
        for (id, later, expected) in [
            (&read, now, Some(&names)),
            (&read, now + 10 * minute - second, Some(&names)),
            (&read, now + 10 * minute, None),
            (&read, now - second, None),
            (&other, now, None),
        ] {
            let remembered = warm_state.names(id, later);
            assert_eq!(remembered.as_ref(), expected, "{id} {later:?}");
        }
    }
}
