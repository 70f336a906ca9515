//! Waits until invalidations are completed, as long as the person likes.
//!
//! An invalidation cannot be called back, so whatever ends the wait, a limit or Ctrl-C, leaves it on its way, and says so.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep, timeout_at};

use super::{Exit, Session};
use crate::distribution::DistributionId;
use crate::failure::{Cause, Failure};

/// How long to pause before CloudFront is asked again: at first, and later at most.
const PAUSE: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(5));

/// What became of a wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Waited {
    pub distribution: DistributionId,
    pub id: Option<String>,
    pub ended: Ended,
    /// How long it took.
    pub seconds: u64,
}

/// How a wait ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// Fresh everywhere.
    Fresh,
    /// The limit was reached.
    OutOfTime,
    /// Somebody had enough.
    Interrupted,
    /// CloudFront would not tell.
    Untold(Failure),
}

/// Waits for invalidations; of one whose id CloudFront did not tell, nothing can be known.
pub(super) async fn wait(
    session: &Session,
    taken: Vec<(DistributionId, Option<String>)>,
    limit: Duration,
    began: Instant,
) -> Vec<Waited> {
    if taken.is_empty() {
        return Vec::new();
    }
    let progress = session
        .terminal
        .progress("waiting for the edge (Ctrl-C leaves it on its way)");
    let deadline = Instant::now() + limit;
    let interrupted = async {
        // Where signals cannot be had, Ctrl-C ends the program as ever.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    let mut states: Vec<_> = taken.iter().map(|_| None).collect();
    let all = async {
        let waits = taken.iter().zip(&mut states);
        let waits = waits.map(|((distribution, id), state)| async move {
            let ended = until_completed(session, distribution, id.as_deref()).await;
            *state = Some((ended, began.elapsed()));
        });
        join_all(waits).await;
    };
    let cut = tokio::select! {
        done = timeout_at(deadline, all) => done.map_or(Ended::OutOfTime, |_| Ended::Fresh),
        () = interrupted => Ended::Interrupted,
    };
    drop(progress);
    let waited = taken.into_iter().zip(states);
    let waited = waited.map(|((distribution, id), state)| {
        let (ended, elapsed) = state.unwrap_or_else(|| (cut.clone(), began.elapsed()));
        Waited {
            distribution,
            id,
            ended,
            // A started second counts.
            seconds: u64::try_from(elapsed.as_millis().div_ceil(1_000)).unwrap_or(u64::MAX),
        }
    });
    let waited: Vec<_> = waited.collect();
    waited.iter().for_each(|one| tell(session, one));
    waited
}

/// Asks until it is completed or cannot be told; a service that stumbles is asked again.
async fn until_completed(
    session: &Session,
    distribution: &DistributionId,
    id: Option<&str>,
) -> Ended {
    let Some(id) = id else {
        return Ended::Untold(Failure::unavailable(
            "it was submitted before, and CloudFront did not tell its id",
        ));
    };
    let mut pause = PAUSE.0;
    loop {
        match is_completed(session, distribution, id).await {
            Ok(true) => return Ended::Fresh,
            Ok(false) => {}
            Err(failure) if matches!(failure.cause, Cause::Busy | Cause::Unavailable) => {}
            Err(failure) => return Ended::Untold(failure),
        }
        sleep(pause).await;
        pause = (pause * 5 / 4).min(PAUSE.1);
    }
}

async fn is_completed(
    session: &Session,
    distribution: &DistributionId,
    id: &str,
) -> Result<bool, Failure> {
    let person = session.person.connect().await?;
    let told = person
        .cloudfront
        .is_completed(distribution, id, &person.account);
    told.await
        .map_err(|failure| session.person.explain(failure))
}

/// Returns what the waits make of the whole.
pub(super) fn exit(waited: &[Waited]) -> Exit {
    if waited.iter().all(|one| one.ended == Ended::Fresh) {
        Exit::Done
    } else {
        Exit::NotCompleted
    }
}

fn tell(session: &Session, waited: &Waited) {
    let Waited {
        distribution,
        id,
        ended,
        seconds,
    } = waited;
    let name = id.as_deref().unwrap_or("the invalidation");
    let later = id
        .as_ref()
        .map(|id| format!("; ask with `cf-invalidate status -d {distribution} {id}`"));
    let later = later.unwrap_or_default();
    match ended {
        Ended::Fresh => session
            .terminal
            .tell(format!("{distribution}: fresh everywhere after {seconds} s ({name})")),
        Ended::OutOfTime => session.terminal.error(format!(
            "{distribution}: {name} was submitted and is not completed after {seconds} s; it goes on{later}"
        )),
        Ended::Interrupted => session.terminal.error(format!(
            "{distribution}: no longer waited for; {name} was submitted and goes on{later}"
        )),
        Ended::Untold(failure) => session.terminal.error(format!(
            "{distribution}: {name} was submitted, but whether it is completed cannot be told: {failure}"
        )),
    }
}
