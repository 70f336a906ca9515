//! What is reported of staging distributions, and whether they are searched again: by the next job of a pipeline action, or
//! by a repeated direct invocation.

use tracing::warn;

use crate::distribution::DistributionId;
use crate::error::Error;
use crate::handler::Invalidator;
use crate::handler::progress::{Progress, StagingSearch};
use crate::handler::staging::StagingFinding;
use crate::outcome::{BatchReport, Outcome};

impl Invalidator {
    /// Returns what follows for the distributions whose configuration could not be read.
    pub(super) fn not_searched(
        &self,
        unread: Vec<(DistributionId, Error)>,
        invalidated: &[DistributionId],
        has_tags: bool,
    ) -> Vec<StagingFinding> {
        let subject = if has_tags {
            "a cache tag header, or a staging distribution with a cache of its own"
        } else {
            "a staging distribution with a cache of its own"
        };
        let finding = |(primary, error)| {
            let warning = not_checked(subject, &error);
            self.not_found(primary, warning, error, invalidated)
        };
        unread.into_iter().map(finding).collect()
    }
}

/// Returns the note for a configuration that cannot be read.
pub(super) fn not_checked(subject: &str, error: &Error) -> String {
    format!("not checked whether it has {subject}: {error}")
}

/// Adds a note to those distributions of which an earlier job of the action had a warning.
pub(super) fn add_earlier_warnings(progress: &Progress, has_tags: bool, outcome: &mut Outcome) {
    let warning = if has_tags {
        "possibly its cache tags have no effect, or its staging distribution is not invalidated"
    } else {
        "its staging distribution is possibly not invalidated"
    };
    for current in &progress.distributions {
        if current.staging == StagingSearch::Warned
            && let Some(report) = report_of(outcome, &current.distribution)
        {
            // Any earlier job of the action has it.
            let note = format!("{warning}: the log of the function has the reason");
            report.notes.push(note);
        }
    }
}

/// Adds the findings to the reports of their distributions, and notes for which of `searched` nothing is missing.
pub(super) fn add_findings(
    searched: &[DistributionId],
    findings: &[StagingFinding],
    progress: &mut Progress,
    outcome: &mut Outcome,
) {
    for current in &mut progress.distributions {
        if searched.contains(&current.distribution) {
            current.staging = StagingSearch::Done;
        }
    }
    for finding in findings {
        add_finding(finding, progress, outcome);
    }
}

/// Adds a finding to the report of its distribution. A distribution that is not submitted gets no warning: the next job
/// searches its staging distribution again, or the request fails.
fn add_finding(finding: &StagingFinding, progress: &mut Progress, outcome: &mut Outcome) {
    let (distribution, note) = finding.note();
    let mut entries = progress.distributions.iter_mut();
    if finding.is_warning()
        && let Some(entry) = entries.find(|entry| entry.distribution == *distribution)
    {
        entry.staging = match finding.retry() {
            Some(_) => StagingSearch::Pending,
            None => StagingSearch::Warned,
        };
        if entry.is_submitted() {
            warn!(%distribution, "{note}");
        }
    }
    if let Some(report) = report_of(outcome, distribution) {
        report.notes.push(note);
    }
}

fn report_of<'a>(
    outcome: &'a mut Outcome,
    distribution: &DistributionId,
) -> Option<&'a mut BatchReport> {
    let mut reports = outcome.reports.iter_mut();
    reports.find(|report| report.batch.distribution() == distribution)
}
