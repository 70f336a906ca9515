//! Sends a batch of changes again while CloudFront throttles, until the time of the invocation ends.
//!
//! CloudFront accepts about one call in two seconds, and the next receive of a message that failed is minutes later. So a
//! throttled batch waits within the invocation. The batches of an invocation take turns, the one with the oldest change
//! first, because their calls would only throttle each other.
//!
//! Lambda runs at most two invocations for the queue at a time (`template.yaml`). Notifications without the queue have no such
//! limit, so they do not wait, and Lambda repeats their events.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use tokio::sync::{Mutex as AsyncMutex, MutexGuard};
use tokio::time::Instant;
use tracing::info;

use super::Invalidator;
use crate::aws::cloudfront::Submission;
use crate::error::Error;
use crate::invocation::Invocation;
use crate::metrics::Metric;
use crate::plan::Batch;
use crate::plan::limits::TIME_PER_CALL;

/// Gives turns to the batches of an invocation that CloudFront throttles.
#[derive(Debug, Default)]
pub(super) struct Turns {
    turn: AsyncMutex<()>,
    /// The positions of those that wait for their turn.
    waiting: Mutex<BTreeSet<usize>>,
}

impl Turns {
    /// Returns the place of the distribution with this position; each has another one.
    pub(super) fn place(&self, position: usize) -> Place<'_> {
        Place {
            turns: self,
            position,
        }
    }
}

/// The place of a distribution among those that take turns.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    turns: &'a Turns,
    position: usize,
}

impl<'a> Place<'a> {
    /// Waits for the turn, which ends when the guard is dropped. Of those that wait, the least position is the next.
    async fn turn(self) -> MutexGuard<'a, ()> {
        let waiting = &self.turns.waiting;
        let waiting = || waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting().insert(self.position);
        loop {
            // The mutex is fair: who is not the next goes to the end of its queue.
            let turn = self.turns.turn.lock().await;
            let mut waiting = waiting();
            if waiting.first().is_none_or(|next| self.position <= *next) {
                waiting.remove(&self.position);
                return turn;
            }
        }
    }
}

impl Invalidator {
    /// Sends a batch again that CloudFront refused with this error, until CloudFront does not throttle it or the time ends.
    /// Returns the last result.
    pub(super) async fn create_in_turn(
        &self,
        batch: &Batch,
        first_sent: Instant,
        mut refusal: Error,
        place: Place<'_>,
        invocation: &Invocation,
    ) -> Result<Submission, Error> {
        let (distribution, end) = (batch.distribution(), invocation.end_of_calls());
        let _turn = place.turn().await;
        // As much time as for the pause is left for the call, with the retries of the SDK.
        let has_time = || Instant::now() + 2 * TIME_PER_CALL < end;
        if has_time() {
            info!(%distribution, "CloudFront throttles; the batch is sent again in this invocation");
        }
        while has_time() {
            invocation.metrics.count(Metric::Throttled, 1, distribution);
            self.clock.pause(TIME_PER_CALL).await;
            let cloudfront = self.cloudfront(invocation);
            match cloudfront.create_invalidation(batch, first_sent, end).await {
                Err(error) if error.is_throttled() => refusal = error,
                result => return result,
            }
        }
        Err(refusal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_least_position_has_the_next_turn() {
        let turns = Turns::default();
        let order = Mutex::new(Vec::new());
        let take = async |position| {
            let _turn = turns.place(position).turn().await;
            order.lock().expect("a list").push(position);
            tokio::task::yield_now().await;
        };
        // The others wait while the first one has its turn.
        tokio::join!(take(7), take(9), take(2), take(5), take(0));
        assert_eq!(*order.lock().expect("a list"), [7, 0, 2, 5, 9]);
    }
}
