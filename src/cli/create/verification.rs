//! `--verify`: requests URLs as a viewer does after the wait.

use std::time::Duration;

use crate::cli::input::Input;
use crate::cli::selection::PlannedBatch;
use crate::cli::target::Target;
use crate::cli::verify::{self, Subject};
use crate::cli::wait::{WaitEnd, WaitResult};
use crate::cli::{CliError, Create, Session};
use crate::duration::DEFAULT_WAIT;
use crate::output::{Ending, VerificationOutput};

/// Returns how long to wait for completion, which a verification needs.
pub(super) fn wait_limit(create: &Create) -> Option<Duration> {
    let limit = create.wait.or(create.verify.then_some(DEFAULT_WAIT));
    limit.filter(|limit| !limit.is_zero())
}

/// Checks that the verification can request the URLs of the input.
pub(super) fn check_input(create: &Create, input: &Input) -> Result<(), CliError> {
    if create.verify {
        verify::check(&create.requests, &input.hosts)?;
    }
    Ok(())
}

/// Checks the options of the verification.
pub(super) fn check_options(create: &Create) -> Result<(), CliError> {
    if create.verify && create.wait.is_some_and(|limit| limit.is_zero()) {
        return Err(CliError::usage(
            "--verify waits for completion: give it a limit such as --wait=15m",
        ));
    }
    if !create.verify && !create.takedown && create.requests.is_any_given() {
        return Err(CliError::usage(
            "--host, --from and --max-urls choose what --verify requests: add --verify",
        ));
    }
    Ok(())
}

/// What was planned and sent, and how the waits ended.
pub(super) struct Completed<'a> {
    pub targets: &'a [Target],
    pub planned: &'a [PlannedBatch],
    pub waits: &'a [WaitResult],
}

impl Completed<'_> {
    /// Verifies the distributions whose invalidation is completed.
    pub(super) async fn verify(
        self,
        session: &Session,
        create: &Create,
        input: &Input,
        ending: &mut Ending,
    ) -> Option<VerificationOutput> {
        let is_completed = |wait: &&WaitResult| wait.end == WaitEnd::Completed;
        let (completed, others): (Vec<_>, Vec<_>) = self.waits.iter().partition(is_completed);
        for other in others {
            session.terminal.warn(format!(
                "{} is not verified, because its invalidation is not completed",
                other.distribution
            ));
        }
        let completed = completed.into_iter().filter_map(|wait| {
            let id = &wait.distribution;
            let target = self.targets.iter().find(|target| target.id == *id)?;
            let mut batches = self.planned.iter();
            let batch = batches.find(|batch| batch.distribution.as_ref() == Some(id))?;
            let mut input = input.clone();
            if !create.selection.has_input() && create.again.is_none() {
                // Each distribution can have configured paths of its own.
                input.request(batch.requested());
            }
            let own: Vec<_> = wait.id.iter().cloned().collect();
            Some((target, batch, input, own))
        });
        let completed: Vec<_> = completed.collect();
        let subjects = completed.iter().map(|(target, batch, input, own)| Subject {
            target,
            input,
            sent: &batch.plan.paths,
            own,
            must_be_gone: false,
            options: &batch.options,
        });
        let subjects: Vec<_> = subjects.collect();
        let mut selection = create.selection.clone();
        if self.planned.iter().any(|batch| batch.site_misfit.is_some()) {
            // They are the files of another site.
            selection.build_directory = None;
        }
        let requests = &create.requests;
        verify::after_create(session, requests, true, &selection, &subjects, ending).await
    }
}
