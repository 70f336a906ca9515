//! Sends the batch of one distribution, and sends it again while CloudFront accepts no more requests.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, Utc};
use tokio::time::{Instant, sleep};

use crate::aws::cloudfront::Submission;
use crate::cli::selection::PlannedBatch;
use crate::cli::terminal::Progress;
use crate::cli::{CliError, Create, Session};
use crate::distribution::DistributionId;
use crate::error::{Category, Error};
use crate::outcome::BatchReport;
use crate::plan::{Batch, CallerReference, Collapsed};

/// How long CloudFront can take to answer a request, with the retries of the SDK.
const MAX_REQUEST_TIME: Duration = Duration::from_secs(60);

/// How long a request is sent again if `--retry` is not given.
const DEFAULT_RETRY: Duration = Duration::from_secs(60);

/// The pause before the request is sent again for the first time. CloudFront allows a call in two seconds.
const MIN_PAUSE: Duration = Duration::from_secs(1);

/// The maximum pause; each is twice as long as the one before. An invalidation takes half a minute to complete.
const MAX_PAUSE: Duration = Duration::from_secs(10);

/// What happened to the batch of one distribution.
pub(super) struct Submitted {
    pub report: BatchReport,
    /// When CloudFront created the invalidation, if it is known.
    pub created: Option<DateTime<Utc>>,
}

/// What the batches of a request have in common.
pub(super) struct Request {
    /// The identity of the request, from which the caller references are derived.
    event: String,
    name: Option<String>,
    /// The caller reference of `--batch`.
    reference: Option<CallerReference>,
    retry: Duration,
}

impl Request {
    /// Creates a request with a new caller reference, unless the user named it or chose the reference.
    pub(super) fn new(create: &Create, reference: Option<&str>) -> Result<Self, CliError> {
        let event = match &create.reference {
            Some(name) => format!("cli {name}"),
            None => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH);
                let nanoseconds = now.unwrap_or_default().as_nanos();
                format!("cli {nanoseconds} {}", std::process::id())
            }
        };
        Ok(Self {
            event,
            name: create.reference.clone(),
            reference: reference.map(CallerReference::parse).transpose()?,
            retry: create.retry.unwrap_or(DEFAULT_RETRY),
        })
    }

    fn batch(&self, distribution: DistributionId, plan: Collapsed) -> Batch {
        let batch = Batch::from_plan(&self.event, distribution, plan);
        match (&self.name, &self.reference) {
            (_, Some(reference)) => batch.with_reference(reference.clone()),
            (Some(name), None) => batch.with_name(name),
            (None, None) => batch,
        }
    }

    /// Sends the batch of one distribution. Returns `None` if there is nothing to invalidate.
    pub(super) async fn submit(
        &self,
        session: &Session,
        progress: &Progress,
        planned: &PlannedBatch,
    ) -> Option<Submitted> {
        let distribution = planned.distribution.clone()?;
        if planned.plan.paths.is_empty() {
            return None;
        }
        let batch = self.batch(distribution, planned.plan.clone());
        let submission = match &planned.refused {
            Some(error) => Err(error.clone()),
            None => self.send(session, progress, &batch).await,
        };
        let reused = submission.as_ref().ok().and_then(Submission::reused);
        let invalidation = submission.map(Submission::into_invalidation);
        let created = invalidation.as_ref().ok().and_then(Option::as_ref);
        let created = created.map(|invalidation| invalidation.created);
        let result = invalidation.map(|invalidation| Some(invalidation?.id));
        let report = BatchReport {
            batch,
            objects: planned.objects,
            notes: planned.notes.clone(),
            result,
            reused,
        };
        Some(Submitted { report, created })
    }

    async fn send(
        &self,
        session: &Session,
        progress: &Progress,
        batch: &Batch,
    ) -> Result<Submission, Error> {
        let first_sent = Instant::now();
        let mut is_noted = false;
        while_busy(
            self.retry,
            async || {
                let cloudfront = session.connection.cloudfront().await?;
                let deadline = Instant::now() + MAX_REQUEST_TIME;
                cloudfront
                    .create_invalidation(batch, first_sent, deadline)
                    .await
            },
            |error, left| {
                let left = left.as_secs();
                progress.set_text(format!(
                    "CloudFront is busy; trying again for up to {left} s"
                ));
                if !is_noted {
                    is_noted = true;
                    let reason = error.message(session.terminal.audience());
                    let limit = self.retry.as_secs();
                    session.terminal.note(format!(
                        "CloudFront is busy; trying again for up to {limit} s (--retry): {reason}"
                    ));
                }
            },
        )
        .await
    }
}

/// Repeats the call while its error is that CloudFront accepts no more requests, until `limit` is over. Before each pause,
/// passes the error and the time that is left to `report`.
async fn while_busy<T>(
    limit: Duration,
    mut call: impl AsyncFnMut() -> Result<T, Error>,
    mut report: impl FnMut(&Error, Duration),
) -> Result<T, Error> {
    let deadline = Instant::now() + limit;
    let mut pause = MIN_PAUSE;
    loop {
        let error = match call().await {
            Err(error) if error.category() == Category::Throttled => error,
            result => return result,
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(error);
        }
        report(&error, left);
        sleep(pause.min(left)).await;
        pause = (pause * 2).min(MAX_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn busy() -> Error {
        let (purpose, message) = ("invalidate E1".into(), "Throttling: Rate exceeded".into());
        ErrorKind::Throttled { purpose, message }.into()
    }

    /// Calls until the limit is over, with results from the list, and returns the last result, the seconds from the start
    /// to each call, and the seconds that were left before each pause.
    async fn run(
        limit: u64,
        results: &[Result<u8, Error>],
    ) -> (Result<u8, Error>, Vec<u64>, Vec<u64>) {
        let start = Instant::now();
        let mut results = results.iter().cloned();
        let (mut calls, mut left) = (Vec::new(), Vec::new());
        let result = while_busy(
            Duration::from_secs(limit),
            async || {
                calls.push(start.elapsed().as_secs());
                results.next().unwrap_or(Err(busy()))
            },
            |_, rest| left.push(rest.as_secs()),
        )
        .await;
        (result, calls, left)
    }

    #[tokio::test(start_paused = true)]
    async fn a_busy_cloudfront_is_called_again_until_the_limit() {
        let other = Err(Error::invalid_input("x"));
        for (limit, results, expected) in [
            (60, vec![Ok(1)], (Ok(1), vec![0], vec![])),
            (60, vec![other.clone()], (other.clone(), vec![0], vec![])),
            (
                60,
                vec![Err(busy()), Err(busy()), Ok(1)],
                (Ok(1), vec![0, 1, 3], vec![60, 59]),
            ),
            (
                60,
                vec![Err(busy()), other.clone()],
                (other, vec![0, 1], vec![60]),
            ),
            (0, vec![], (Err(busy()), vec![0], vec![])),
            (
                30,
                vec![],
                (
                    Err(busy()),
                    vec![0, 1, 3, 7, 15, 25, 30],
                    vec![30, 29, 27, 23, 15, 5],
                ),
            ),
        ] {
            assert_eq!(run(limit, &results).await, expected, "{limit} {results:?}");
        }
    }
}
