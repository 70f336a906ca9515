//! `status`: how far an invalidation is.

use serde_json::json;
use tokio::time::Instant;

use super::list::{moment, newest, shown};
use super::plan::counted;
use super::wait::{self, Waited};
use super::{Exit, Session, Status, Stop, target};
use crate::aws::account::Invalidation;
use crate::distribution::DistributionId;
use crate::failure::Failure;

/// How many invalidations are looked at where none is named.
const MAX_LOOKED_AT: usize = 20;

/// Runs the command.
pub(super) async fn run(session: &Session, status: &Status) -> Result<Exit, Stop> {
    let targets = target::find(session, &status.distributions, &[]).await?;
    let mut found: Vec<(DistributionId, Invalidation)> = Vec::new();
    for target in targets {
        for one in meant(session, &target.id, status.id.as_deref()).await? {
            found.push((target.id.clone(), one));
        }
    }
    let texts: Vec<_> = found.iter().map(|(id, one)| text(id, one)).collect();
    let text = match texts.len() {
        0 => "no invalidations".to_owned(),
        _ => texts.join("\n"),
    };
    session.terminal.tell(text);
    let mut waited = Vec::new();
    if let Some(limit) = status.wait.filter(|limit| !limit.is_zero()) {
        let running = found.iter().filter(|(_, one)| one.is_in_progress());
        let running = running.map(|(id, one)| (id.clone(), Some(one.id.clone())));
        waited = wait::wait(session, running.collect(), limit, Instant::now()).await;
    }
    let exit = wait::exit(&waited);
    let objects: Vec<_> = found
        .into_iter()
        .map(|(id, one)| object(&id, one, &waited))
        .collect();
    session
        .terminal
        .object(json!({"invalidations": objects, "exit_code": exit as u8}));
    Ok(exit)
}

/// Returns the invalidation that is named, or all in progress, or else the newest.
async fn meant(
    session: &Session,
    distribution: &DistributionId,
    id: Option<&str>,
) -> Result<Vec<Invalidation>, Failure> {
    let person = session.person.connect().await?;
    if let Some(id) = id {
        let one = person
            .cloudfront
            .detail(distribution, id, &person.account)
            .await;
        return Ok(vec![
            one.map_err(|failure| session.person.explain(failure))?,
        ]);
    }
    let newest = newest(session, distribution, MAX_LOOKED_AT).await;
    let mut all = newest.map_err(|stop| stop.failure)?;
    let newest = all.first().cloned();
    all.retain(Invalidation::is_in_progress);
    Ok(if all.is_empty() {
        newest.into_iter().collect()
    } else {
        all
    })
}

fn text(distribution: &DistributionId, one: &Invalidation) -> String {
    let state = if one.is_in_progress() {
        "in progress"
    } else {
        "completed"
    };
    format!(
        "{distribution}: {} is {state}, created {} ({}: {})",
        one.id,
        moment(one.created),
        counted(one.paths.len(), "path"),
        shown(&one.paths)
    )
}

fn object(
    distribution: &DistributionId,
    one: Invalidation,
    waited: &[Waited],
) -> serde_json::Value {
    let completed = waited
        .iter()
        .any(|it| it.id.as_ref() == Some(&one.id) && it.ended == wait::Ended::Fresh);
    let status = if completed {
        "Completed".to_owned()
    } else {
        one.status
    };
    json!({
        "distribution": distribution, "invalidation": one.id, "status": status, "created": moment(one.created),
        "reference": one.reference, "paths": one.paths,
    })
}
