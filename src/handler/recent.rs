//! `Memory`: the invalidations that this process has made, while it is warm.
//!
//! A burst of events meets few function environments, so most of what they ask for twice is found here, without a call.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::distribution::DistributionId;
use crate::outcome::Submitted;
use crate::path::InvalidationPath;
use crate::plan::Earlier;
use crate::trigger::codepipeline::JobId;

/// How many invalidations of a distribution, and how many jobs, are remembered: more than quotas let be in progress at the usual limits.
const MAX_REMEMBERED: usize = 50;

/// What a warm function knows of its own invalidations.
#[derive(Debug, Default)]
pub(super) struct Memory {
    earlier: Mutex<HashMap<DistributionId, Vec<Earlier>>>,
    may_not_look: AtomicBool,
    answered: Mutex<VecDeque<JobId>>,
}

impl Memory {
    /// Returns the invalidations of a distribution, the oldest first.
    pub(super) fn of(&self, distribution: &DistributionId) -> Vec<Earlier> {
        self.lock().get(distribution).cloned().unwrap_or_default()
    }

    /// Remembers an invalidation, unless CloudFront did not tell when it was created.
    pub(super) fn remember(
        &self,
        distribution: &DistributionId,
        submitted: &Submitted,
        paths: &[InvalidationPath],
    ) {
        let Submitted {
            id: Some(id),
            created: Some(created),
        } = submitted
        else {
            return;
        };
        let mut all = self.lock();
        let earlier = all.entry(distribution.clone()).or_default();
        // A repeated request is answered with the invalidation that exists.
        earlier.retain(|one| one.id != *id);
        if earlier.len() == MAX_REMEMBERED {
            earlier.remove(0);
        }
        earlier.push(Earlier {
            id: id.clone(),
            created: *created,
            in_progress: true,
            paths: paths.to_vec(),
        });
    }

    /// Notes that CloudFront's invalidations may not be read; tells whether that is news.
    pub(super) fn forbid_looking(&self) -> bool {
        !self.may_not_look.swap(true, Ordering::Relaxed)
    }

    /// Tells whether CloudFront's invalidations may be read, as far as is known.
    pub(super) fn may_look(&self) -> bool {
        !self.may_not_look.load(Ordering::Relaxed)
    }

    /// Remembers a job that was answered.
    pub(super) fn answered(&self, job: &JobId) {
        let mut answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        if answered.len() == MAX_REMEMBERED {
            answered.pop_front();
        }
        answered.push_back(job.clone());
    }

    /// Tells whether this process has answered the job.
    pub(super) fn has_answered(&self, job: &JobId) -> bool {
        self.answered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(job)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<DistributionId, Vec<Earlier>>> {
        // What a panic left behind is at worst an invalidation forgotten.
        self.earlier.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_the_newest_each_once() {
        let memory = Memory::default();
        let distribution = DistributionId::parse("E2EXAMPLE1ABC").expect("an id");
        let paths = [InvalidationPath::everything()];
        let remember = |id: &str| {
            let created = chrono::DateTime::from_timestamp(1_800_000_000, 0);
            let submitted = Submitted {
                id: Some(id.to_owned()),
                created,
            };
            memory.remember(&distribution, &submitted, &paths);
        };
        remember("again");
        (0..MAX_REMEMBERED).for_each(|at| remember(&format!("I{at}")));
        remember("I7");
        let ids: Vec<_> = memory
            .of(&distribution)
            .into_iter()
            .map(|one| one.id)
            .collect();
        let expected: Vec<_> = (0..MAX_REMEMBERED)
            .filter(|at| *at != 7)
            .chain([7])
            .map(|at| format!("I{at}"))
            .collect();
        assert_eq!(ids, expected);
        memory.remember(&distribution, &Submitted::default(), &paths);
        assert_eq!(
            memory.of(&distribution).len(),
            MAX_REMEMBERED,
            "without a time it spares nothing"
        );
    }
}
