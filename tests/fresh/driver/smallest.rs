//! Reduces a scenario with a wrong answer to the smallest one that still has it.

use std::io;

use super::bed::Bed;
use super::description::describe;
use super::plan::{Change, Deploy, Scenario, exists_after};
use super::run::Finding;
use super::targets::Target;

/// Returns a description of the smallest case that was found.
pub async fn find(bed: &Bed<'_>, scenario: Scenario, finding: Finding) -> io::Result<String> {
    let Some(first) = finding.stale.first().or(finding.lost.first()) else {
        return Ok("no answer is wrong".to_owned());
    };
    let target = first.target.clone();
    let mut smallest = (scenario.clone(), finding.clone());
    for candidate in candidates(&scenario, finding.deploy) {
        let targets = [Target::clone(&target)];
        let (_, found) = bed.run_with(&candidate, &targets).await?;
        if let Some(found) = found {
            smallest = (candidate, found);
            break;
        }
    }
    Ok(describe(&smallest.0, &smallest.1))
}

/// Returns smaller scenarios, the smallest first: one change of the deploy, each half of them, and the deploy alone.
fn candidates(scenario: &Scenario, deploy: usize) -> Vec<Scenario> {
    let reconfigured = scenario.reconfigured(deploy).cloned();
    let before = &scenario.deploys[..deploy];
    let before = before.iter().flat_map(|deploy| &deploy.changes);
    let first: Vec<Change> = scenario.first.iter().chain(before).cloned().collect();
    let deploy = &scenario.deploys[deploy];
    let changes = &deploy.changes;
    let (left, right) = changes.split_at(changes.len() / 2);
    let single = changes.chunks(1);
    let parts = single.chain(
        [left, right, changes]
            .into_iter()
            .filter(|part| !part.is_empty()),
    );
    let without_job = [None, deploy.job_after];
    let with_changes = |part: &[Change], job_after: Option<usize>| Scenario {
        first: first.clone(),
        deploys: vec![Deploy {
            reconfigured: reconfigured.clone(),
            changes: part.to_vec(),
            job_after: job_after.map(|after| after.min(part.len())),
            ..deploy.clone()
        }],
        ..scenario.clone()
    };
    parts
        .filter(|part| has_sources(&first, part))
        .flat_map(|part| without_job.map(|job_after| with_changes(part, job_after)))
        .collect()
}

/// Returns whether each copy has a source that exists, although other changes are missing.
fn has_sources(first: &[Change], changes: &[Change]) -> bool {
    let mut exists = exists_after(first);
    changes.iter().all(|change| {
        let has_source = match change {
            Change::Copy { from, .. } => exists.contains(from),
            _ => true,
        };
        change.apply(&mut exists);
        has_source
    })
}
