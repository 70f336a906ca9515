//! `create`: plans, checks, confirms, submits, waits and prints the result. `plan` and `--dry-run` end after the checks.

mod again;
mod report;
mod submission;
mod takedown;
mod verification;

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

pub(super) use self::report::{add_incomplete, exit_of, print_refusal};
use self::report::{check_with_list, distribution_output, print_report};
use self::submission::{Request, Submitted};
use self::verification::Completed;
use super::config::SiteConfig;
use super::input::{Input, SiteKeys};
use super::selection::{self, PlannedBatch, UnchangedFiles};
use super::target::{self, Target};
use super::wait::{self, WaitResult};
use super::{CliError, Create, Exit, Session, hosts, plan, preflight};
use crate::error::Error;
use crate::output::{CreateOutput, Ending};
use crate::path::EncodedPaths;
use crate::plan::Inventory;

/// Runs the command.
pub(super) async fn run(session: &Session, create: &Create) -> Result<Exit, CliError> {
    match create_or_plan(session, create).await {
        Err(CliError::Failed(error)) => Err(with_suggestion(session, error).await.into()),
        result => result,
    }
}

/// Adds similar ids to the error of a distribution that does not exist.
async fn with_suggestion(session: &Session, error: Error) -> Error {
    let Some(distribution) = error.no_such_distribution() else {
        return error;
    };
    match target::suggestion(session, distribution).await {
        Some(suggestion) => {
            let message = error.message(session.terminal.audience());
            Error::invalid_input(format!("{message}: {suggestion}"))
        }
        None => error,
    }
}

async fn create_or_plan(session: &Session, create: &Create) -> Result<Exit, CliError> {
    let selection = &create.selection;
    let terminal = &session.terminal;
    verification::check_options(create)?;
    let mut input = Input::read(selection, &session.config.names().collect::<Vec<_>>())?;
    input.notes.iter().for_each(|note| terminal.warn(note));
    verification::check_input(create, &input)?;
    if input.dry_run && !create.dry_run {
        return Err(CliError::usage(
            "this is the output of a dry run, so nothing has changed: run `aws s3` without --dryrun, or use `plan` to \
             see what would be sent",
        ));
    }
    let is_empty = input.paths.is_empty() && input.objects.is_empty();
    if selection.has_input() && is_empty && !create.takedown {
        target::check_names(session, &selection.named.distributions)?;
        return Ok(finish_without_changes(session, create, &input));
    }
    let inventory = input.site_keys.as_ref().map(SiteKeys::inventory);
    let inventory = inventory.as_ref();
    if create.dry_run && plan::needs_no_call(session, create, &input) {
        return plan::offline(session, create, input).await;
    }
    let targets = target::find(session, &selection.named.distributions, &input.buckets()).await?;
    let warning = hosts::check(session, &targets, &input.hosts).await?;
    input.notes.extend(warning);
    if create.takedown {
        return takedown::run(session, create, targets, &input).await;
    }
    let mut planned = match &create.again {
        Some(id) => vec![again::plan(session, create, &targets, id, &mut input).await?],
        None => plan_all(session, create, &targets, &mut input, inventory).await?,
    };
    warn_of_site(session, &planned, &mut input);
    if let Some(warning) = selection::check_objects(&planned, &input)? {
        terminal.warn(&warning);
        input.notes.push(warning);
    }
    let warnings = preflight::check(session, create, &input, &mut planned, inventory).await?;
    warnings.iter().for_each(|warning| terminal.warn(warning));
    if create.dry_run {
        return plan::print(session, &planned, &input, warnings).await;
    }
    if !warnings.is_empty() {
        confirm_despite_warnings(session, create, &planned)?;
    }
    let request = Request::new(create, input.reference.as_deref())?;
    submit_all(
        session, create, &request, &targets, &planned, &input, warnings,
    )
    .await
}

/// Prints that the input contains no change, and returns the exit code.
fn finish_without_changes(session: &Session, create: &Create, input: &Input) -> Exit {
    let mut ending = Ending::default();
    add_incomplete(session, input, &mut ending);
    let exit = ending.exit;
    let output = CreateOutput::new(vec![], input.notes.clone(), create.dry_run, ending);
    session.terminal.result("nothing to invalidate", output);
    exit
}

/// Warns if the keys of the site are not used, or if objects with the same content are skipped.
pub(super) fn warn_of_site(session: &Session, planned: &[PlannedBatch], input: &mut Input) {
    let warnings = selection::site_warnings(planned);
    let texts = warnings.iter();
    texts.for_each(|warning| session.terminal.warn(warning));
    input.notes.extend(warnings);
}

/// Plans for each distribution.
async fn plan_all(
    session: &Session,
    create: &Create,
    targets: &[Target],
    input: &mut Input,
    inventory: Option<&Inventory>,
) -> Result<Vec<PlannedBatch>, CliError> {
    let mut planned = Vec::new();
    let unchanged = UnchangedFiles::new(&create.selection);
    for target in targets {
        if !create.selection.has_input() {
            input.request(default_paths(session, create, target)?);
            let config = target.config.as_ref();
            let hosts = config.map(SiteConfig::hosts).unwrap_or_default();
            let warning = hosts::check(session, std::slice::from_ref(target), &hosts).await?;
            input.notes.extend(warning);
        }
        let unchanged = unchanged.as_ref();
        let batch = selection::plan(session, create, target, input, inventory, unchanged);
        planned.push(batch.await?);
    }
    Ok(planned)
}

/// Shows what would be sent and prompts, if a user can answer.
fn confirm_despite_warnings(
    session: &Session,
    create: &Create,
    planned: &[PlannedBatch],
) -> Result<(), CliError> {
    let terminal = &session.terminal;
    if create.yes || !terminal.can_prompt() {
        terminal.note("sending it despite the warnings");
        return Ok(());
    }
    let sent = planned.iter().filter(|planned| planned.refused.is_none());
    sent.for_each(|planned| terminal.note(plan::text(planned)));
    if !terminal.confirm("Send it despite the warnings?")? {
        return Err(declined());
    }
    Ok(())
}

/// Returns the paths for a distribution if there is no input: those of the configuration, or `/*` if confirmed.
fn default_paths(
    session: &Session,
    create: &Create,
    target: &Target,
) -> Result<EncodedPaths, CliError> {
    let configured = target.config.as_ref().map(SiteConfig::paths).transpose()?;
    if let Some(configured) = configured.filter(|configured| !configured.paths.is_empty()) {
        return Ok(configured);
    }
    let everything = EncodedPaths::everything();
    if create.yes {
        return Ok(everything);
    }
    if create.dry_run || !session.terminal.can_prompt() {
        return Err(no_paths());
    }
    let question = format!(
        "No paths are given. Invalidate /*, everything on {}?",
        target.id
    );
    if session.terminal.confirm(&question)? {
        Ok(everything)
    } else {
        Err(declined())
    }
}

/// Returns the error of a command without any input.
pub(super) fn no_paths() -> CliError {
    CliError::usage(
        "no paths are given: name some, or --all for everything (--yes implies it), or use --paths-from, --keys-from, \
         --from-s3-sync or --batch",
    )
}

fn declined() -> CliError {
    CliError::Declined("nothing was sent, because you declined".to_owned())
}

/// Submits the batches, prints the results, and waits for completion if requested.
async fn submit_all(
    session: &Session,
    create: &Create,
    request: &Request,
    targets: &[Target],
    planned: &[PlannedBatch],
    input: &Input,
    warnings: Vec<String>,
) -> Result<Exit, CliError> {
    let started = Instant::now();
    let submitted = submit(session, request, planned).await?;
    let mut ending = Ending::default();
    let mut errors = Vec::new();
    for (planned, submitted) in planned.iter().zip(&submitted) {
        let (exit, error) = print_report(session, planned, submitted.as_ref()).await;
        ending.add(exit, error.clone());
        errors.push(error);
    }
    // Before the wait: an upload that failed matters more than an invalidation that takes long.
    add_incomplete(session, input, &mut ending);
    let waits = match verification::wait_limit(create) {
        Some(limit) => wait_for_completion(session, &submitted, limit, started).await,
        None => Vec::new(),
    };
    let audience = session.terminal.audience();
    let unconfirmed = waits.iter().find_map(|wait| wait.error(audience));
    ending.add(wait::exit(&waits), unconfirmed);
    let verification = if create.verify {
        let completed = Completed {
            targets,
            planned,
            waits: &waits,
        };
        completed.verify(session, create, input, &mut ending).await
    } else {
        None
    };
    let exit = ending.exit;
    let warnings = [input.notes.clone(), warnings].concat();
    let outputs = planned.iter().zip(&submitted).zip(errors);
    let outputs = outputs.map(|((planned, submitted), error)| {
        distribution_output(session, planned, submitted.as_ref(), error, &waits)
    });
    let outputs = outputs.collect();
    session
        .terminal
        .json(CreateOutput::new(outputs, warnings, false, ending).with_verification(verification));
    Ok(exit)
}

/// Submits the batches, at the same time.
async fn submit(
    session: &Session,
    request: &Request,
    planned: &[PlannedBatch],
) -> Result<Vec<Option<Submitted>>, CliError> {
    let progress = session.terminal.progress("sending");
    let submissions = planned
        .iter()
        .map(|planned| request.submit(session, &progress, planned));
    tokio::select! {
        submitted = join_all(submissions) => Ok(submitted),
        () = wait::interrupted() => {
            drop(progress);
            let checks = planned.iter().filter_map(|planned| planned.distribution.as_ref());
            let checks: Vec<_> = checks.map(check_with_list).collect();
            Err(CliError::Interrupted(format!(
                "stopped while sending; {}",
                checks.join("; ")
            )))
        }
    }
}

async fn wait_for_completion(
    session: &Session,
    submitted: &[Option<Submitted>],
    limit: Duration,
    started: Instant,
) -> Vec<WaitResult> {
    let submitted = submitted.iter().flatten().filter_map(|submitted| {
        let report = &submitted.report;
        let id = report.result.as_ref().ok()?;
        Some((report.batch.distribution().clone(), id.clone()))
    });
    wait::wait(session, submitted.collect(), limit, started).await
}
