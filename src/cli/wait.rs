//! Waits until invalidations are completed, up to the user's limit.
//!
//! An invalidation cannot be cancelled. Whatever ends the wait, the limit or Ctrl-C, CloudFront still completes it, and
//! the message explains it.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep, timeout_at};

use super::{Exit, Session};
use crate::distribution::DistributionId;
use crate::error::{Audience, Category, Error};
use crate::output::{ErrorOutput, UNKNOWN_ID, not_completed};
use crate::plan::InvalidationId;

/// The pause before the second poll.
const MIN_POLL_INTERVAL: Duration = Duration::from_secs(2);

/// The maximum pause; each is a quarter longer than the one before.
const MAX_POLL_INTERVAL: Duration = Duration::from_secs(5);

/// How the wait for one invalidation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WaitResult {
    pub distribution: DistributionId,
    pub id: Option<InvalidationId>,
    pub end: WaitEnd,
    /// The seconds from `started` of [`wait`] until the end, rounded up.
    pub seconds: u64,
}

/// What ended a wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum WaitEnd {
    /// The invalidation is completed.
    Completed,
    /// The user's limit.
    TimedOut,
    /// The user pressed Ctrl-C.
    Interrupted,
    /// The invalidation's id is unknown.
    UnknownId,
    /// The status could not be read.
    Failed(Error),
}

/// Waits for invalidations, given by their ids if known.
pub(super) async fn wait(
    session: &Session,
    invalidations: Vec<(DistributionId, Option<InvalidationId>)>,
    limit: Duration,
    started: Instant,
) -> Vec<WaitResult> {
    if invalidations.is_empty() {
        return Vec::new();
    }
    let progress = session
        .terminal
        .progress("waiting for completion (Ctrl-C stops waiting, not the invalidation)");
    let deadline = Instant::now() + limit;
    let mut ends: Vec<_> = invalidations.iter().map(|_| None).collect();
    let all = async {
        let waits = invalidations.iter().zip(&mut ends);
        let waits = waits.map(|((distribution, id), end)| async move {
            let result = until_completed(session, distribution, id.as_ref()).await;
            *end = Some((result, started.elapsed()));
        });
        join_all(waits).await;
    };
    let early_end = tokio::select! {
        all = timeout_at(deadline, all) => all.map_or(WaitEnd::TimedOut, |_| WaitEnd::Completed),
        () = interrupted() => WaitEnd::Interrupted,
    };
    drop(progress);
    let results = invalidations.into_iter().zip(ends);
    let results = results.map(|((distribution, id), end)| {
        let (end, elapsed) = end.unwrap_or_else(|| (early_end.clone(), started.elapsed()));
        let seconds = elapsed.as_millis().div_ceil(1_000);
        WaitResult {
            distribution,
            id,
            end,
            seconds: u64::try_from(seconds).unwrap_or(u64::MAX),
        }
    });
    let results: Vec<_> = results.collect();
    results.iter().for_each(|result| print(session, result));
    results
}

/// Waits for Ctrl-C, which no longer ends the program from then on.
pub(super) async fn interrupted() {
    // Without a signal handler, Ctrl-C ends the program as usual.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Polls until the invalidation is completed or its status cannot be read. Transient errors are polled again.
async fn until_completed(
    session: &Session,
    distribution: &DistributionId,
    id: Option<&InvalidationId>,
) -> WaitEnd {
    let Some(id) = id else {
        return WaitEnd::UnknownId;
    };
    let mut interval = MIN_POLL_INTERVAL;
    loop {
        match is_completed(session, distribution, id).await {
            Ok(true) => return WaitEnd::Completed,
            Ok(false) => {}
            // Expired credentials stay expired in a terminal.
            Err(error) if error.is_transient() && !error.is_credentials() => {}
            Err(error) => return WaitEnd::Failed(error),
        }
        sleep(interval).await;
        interval = (interval * 5 / 4).min(MAX_POLL_INTERVAL);
    }
}

async fn is_completed(
    session: &Session,
    distribution: &DistributionId,
    id: &InvalidationId,
) -> Result<bool, Error> {
    let cloudfront = session.connection.cloudfront().await?;
    cloudfront.is_completed(distribution, id).await
}

/// Returns the exit code of the waits.
pub(super) fn exit(results: &[WaitResult]) -> Exit {
    let ends = || results.iter().map(|result| &result.end);
    if ends().any(|end| *end == WaitEnd::Interrupted) {
        Exit::Interrupted
    } else if ends().all(|end| *end == WaitEnd::Completed) {
        Exit::Done
    } else {
        Exit::NotCompleted
    }
}

impl WaitResult {
    /// Returns the name of the invalidation in a sentence.
    fn name(&self) -> &str {
        let id = self.id.as_ref();
        id.map_or("the invalidation", InvalidationId::as_str)
    }

    /// Returns why the completion is not confirmed.
    pub(super) fn error(&self, audience: &Audience) -> Option<ErrorOutput> {
        let Self {
            distribution,
            id,
            end,
            seconds,
        } = self;
        let name = self.name();
        let unknown = |reason: &str| {
            format!("{distribution}: {name} was submitted, but its status is unknown: {reason}")
        };
        let unavailable = |message: String| {
            let check = |id| format!("check it with `cf-invalidate status -d {distribution} {id}`");
            let hint = id.as_ref().map(check);
            let end = hint.iter().map(|hint| format!("; {hint}"));
            let message = message + &end.collect::<String>();
            Some(ErrorOutput::new(Category::Unavailable, message, hint))
        };
        match end {
            WaitEnd::Completed => None,
            WaitEnd::TimedOut => unavailable(not_completed(distribution, name, *seconds)),
            WaitEnd::Interrupted => unavailable(format!(
                "{distribution}: stopped waiting; {name} was submitted, and CloudFront still completes it"
            )),
            WaitEnd::UnknownId => unavailable(unknown(UNKNOWN_ID)),
            WaitEnd::Failed(error) => {
                let message = unknown(&error.message(audience));
                let hint = error.hint(audience);
                Some(ErrorOutput::new(error.category(), message, hint))
            }
        }
    }
}

/// Returns the error of the first wait that has one.
pub(super) fn first_error(results: &[WaitResult], audience: &Audience) -> Option<ErrorOutput> {
    results.iter().find_map(|result| result.error(audience))
}

fn print(session: &Session, result: &WaitResult) {
    let terminal = &session.terminal;
    match result.error(terminal.audience()) {
        Some(error) => terminal.error(error.message),
        None => terminal.text(format!(
            "{}: completed after {} s ({})",
            result.distribution,
            result.seconds,
            result.name()
        )),
    }
}
