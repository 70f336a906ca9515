//! Waits within one invocation until invalidations are completed.
//!
//! A pipeline job waits for some seconds and continues with another job; a direct invocation waits as long as it is requested,
//! or as the function runs. CloudFront completes an invalidation whether somebody waits or not.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, timeout_at};

use super::Invalidator;
use super::progress::{DistributionProgress, Progress, Stage};
use crate::error::Error;
use crate::invocation::Invocation;

/// The pause between two polls.
const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// How long reading one invalidation may take.
const MAX_READ_TIME: Duration = Duration::from_secs(2);

impl Invalidator {
    /// Polls until all invalidations whose id is known are completed, for `limit` at most, and until `end`.
    ///
    /// # Errors
    ///
    /// [`Error`] that remains in a later poll.
    pub(super) async fn poll(
        &self,
        progress: &mut Progress,
        limit: Duration,
        end: Instant,
        invocation: &Invocation,
    ) -> Result<(), Error> {
        let last_poll = self.clock.now() + limit;
        let end = end.min(Instant::now() + limit + MAX_READ_TIME);
        loop {
            let completed = async |current: &DistributionProgress| match &current.stage {
                Stage::InProgress(id) => {
                    let cloudfront = self.cloudfront(invocation);
                    let read = cloudfront.is_completed(&current.distribution, id);
                    // One that does not respond must not keep the others from being polled again.
                    let deadline = end.min(Instant::now() + MAX_READ_TIME);
                    timeout_at(deadline, read).await.unwrap_or(Ok(false))
                }
                _ => Ok(false),
            };
            let completed = join_all(progress.distributions.iter().map(completed)).await;
            for (current, completed) in progress.distributions.iter_mut().zip(completed) {
                match (&current.stage, completed) {
                    (Stage::InProgress(id), Ok(true)) => {
                        current.stage = Stage::Completed(id.clone());
                    }
                    (_, Err(error)) if !error.is_transient() => return Err(error),
                    // The next poll reads again what could not be read now.
                    _ => {}
                }
            }
            let left = last_poll.duration_since(self.clock.now());
            let pause = left.unwrap_or_default().min(POLL_INTERVAL);
            let is_time_up = pause.is_zero() || Instant::now() + pause >= end;
            if !progress.has_invalidation_in_progress() || is_time_up {
                return Ok(());
            }
            self.clock.pause(pause).await;
        }
    }
}
