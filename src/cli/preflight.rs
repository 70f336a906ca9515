//! What a person should know before paths are sent: that the same are on their way, that many were sent lately, that
//! the month's allowance is used up.
//!
//! All of it is a service: what may not be looked at, or takes long, is left out.

use std::time::Duration;

use chrono::TimeDelta;
use tokio::time::timeout;

use super::ledger::{Ledger, now};
use super::plan::{counted, thousands};
use super::selection::Planned;
use super::usage::{self, FREE_PATHS, dollars};
use super::{Selection, Session};
use crate::failure::Failure;
use crate::path::InvalidationPath;
use crate::plan::{Earlier, Inventory, Limits};

/// How many invalidations of a distribution within the hour are worth a word.
const MANY_IN_AN_HOUR: usize = 10;

/// How long a look may take.
const MAX_LOOK: Duration = Duration::from_secs(5);

/// Looks at what is there already; returns warnings, and plans with fewer paths where little is left.
///
/// A request that is `named` must be the same at each run, and finding itself in progress is what it is named for.
pub(super) async fn look(
    session: &Session,
    selection: &Selection,
    named: bool,
    planned: &mut [Planned],
    inventory: Option<&Inventory>,
) -> Vec<String> {
    let mut warnings = Vec::new();
    for one in planned.iter_mut().filter(|one| !one.plan.paths.is_empty()) {
        match timeout(MAX_LOOK, lately(session, one)).await {
            Ok(Ok((earlier, within_the_hour))) => {
                if !named && one.objects.is_some() && selection.max_wildcards.is_none() {
                    let left = one.limits.left_by(&earlier);
                    if left != one.limits {
                        one.within(left, inventory);
                    }
                }
                if !named {
                    warnings.extend(warn_of_same(one, &earlier));
                }
                warnings.extend(warn_of_many(one, within_the_hour));
            }
            Ok(Err(failure)) => session
                .terminal
                .detail(format!("no look at earlier invalidations: {failure}")),
            Err(_) => session
                .terminal
                .detail("no look at earlier invalidations: it takes long"),
        }
    }
    match timeout(MAX_LOOK, usage::used_this_month(session)).await {
        Ok(Ok(used)) => {
            let fewer = !named && selection.max_paths.is_none();
            let warning = within_allowance(used, fewer, planned, inventory);
            if warning.is_none() {
                let left = thousands(FREE_PATHS.saturating_sub(used));
                let free = thousands(FREE_PATHS);
                let text = format!("{left} of {free} free paths are left this month");
                session.terminal.aside(text);
            }
            warnings.extend(warning);
        }
        Ok(Err(failure)) => session
            .terminal
            .detail(format!("no look at the month's allowance: {failure}")),
        Err(_) => session
            .terminal
            .detail("no look at the month's allowance: it takes long; `usage` has the time"),
    }
    warnings
}

/// Returns the invalidations in progress, and how many were made within the hour.
async fn lately(session: &Session, planned: &Planned) -> Result<(Vec<Earlier>, usize), Failure> {
    let Some(distribution) = &planned.distribution else {
        return Ok((Vec::new(), 0));
    };
    let person = session.person.connect().await?;
    let explain = |failure| session.person.explain(failure);
    let hour = now() - TimeDelta::hours(1);
    let listed = person
        .cloudfront
        .invalidations(distribution, hour, usize::MAX, &person.account);
    let mut listed = listed.await.map_err(explain)?;
    let within_the_hour = listed.len();
    listed.retain(|one| one.status == "InProgress");
    let mut ledger = Ledger::open(distribution);
    let whole = ledger.whole(person, distribution, &listed).await;
    let whole = whole.map_err(explain)?;
    let earlier = whole
        .iter()
        .map(Earlier::from)
        .filter(|one| one.in_progress);
    Ok((earlier.collect(), within_the_hour))
}

fn warn_of_same(planned: &Planned, earlier: &[Earlier]) -> Option<String> {
    let distribution = planned.distribution.as_ref()?;
    let covered = |one: &&Earlier| {
        let covers = |path: &InvalidationPath| one.paths.iter().any(|wide| wide.covers(path));
        planned.plan.paths.iter().all(covers)
    };
    let same = earlier.iter().find(covered)?;
    let seconds = now()
        .signed_duration_since(same.created)
        .num_seconds()
        .max(0);
    Some(format!(
        "{distribution}: {} is in progress and covers all of these paths; it was created {seconds} s ago",
        same.id
    ))
}

fn warn_of_many(planned: &Planned, within_the_hour: usize) -> Option<String> {
    let distribution = planned.distribution.as_ref()?;
    (within_the_hour > MANY_IN_AN_HOUR).then(|| {
        format!(
            "{distribution}: {} were created within the hour; one with a wildcard costs one path",
            counted(within_the_hour, "invalidation")
        )
    })
}

/// Plans with fewer paths where the free ones do not suffice, and warns of what is billed all the same.
fn within_allowance(
    used: usize,
    fewer: bool,
    planned: &mut [Planned],
    inventory: Option<&Inventory>,
) -> Option<String> {
    let left = FREE_PATHS.saturating_sub(used);
    let count = |planned: &[Planned]| {
        planned
            .iter()
            .map(|one| one.plan.paths.len())
            .sum::<usize>()
    };
    let wanted = count(planned);
    if wanted <= left || wanted == 0 {
        return None;
    }
    let share = (left / planned.len()).max(1);
    for one in planned.iter_mut().filter(|one| one.objects.is_some()) {
        if fewer && one.plan.paths.len() > share {
            let limits = Limits {
                paths: share.min(one.limits.paths),
                ..one.limits
            };
            one.within(limits, inventory);
        }
    }
    let sent = count(planned);
    let fewer = match wanted.saturating_sub(sent) {
        0 => String::new(),
        _ => format!(
            "; planned with {} in place of {wanted}",
            counted(sent, "path")
        ),
    };
    let billed = sent.saturating_sub(left);
    Some(format!(
        "{} of {} free paths are used this month{fewer}; of this request, {} {} billed, about {}",
        thousands(used),
        thousands(FREE_PATHS),
        counted(billed, "path"),
        if billed == 1 { "is" } else { "are" },
        dollars(billed)
    ))
}
