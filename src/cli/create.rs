//! `create`: plans, checks, confirms, submits, waits and prints the result.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::future::join_all;
use tokio::time::Instant;

use super::config::SiteConfig;
use super::input::Input;
use super::output::{CreateOutput, DistributionOutput, ErrorOutput};
use super::selection::{self, PlannedBatch};
use super::target::{self, Target};
use super::wait::{self, WaitEnd, WaitResult};
use super::{CliError, Create, Exit, Session, plan, preflight};
use crate::aws::cloudfront::Submission;
use crate::error::Error;
use crate::outcome::{BatchReport, UnaffectedDistribution};
use crate::path::EncodedPaths;
use crate::plan::{Batch, CallerReference, InvalidationStatus, Inventory};

/// How long CloudFront can take to accept an invalidation, with all retries.
const MAX_SUBMISSION_TIME: Duration = Duration::from_secs(60);

/// Runs the command.
pub(super) async fn run(session: &Session, create: &Create) -> Result<Exit, CliError> {
    let selection = &create.selection;
    let terminal = &session.terminal;
    let mut input = Input::read(selection)?;
    input.notes.iter().for_each(|note| terminal.warn(note));
    if input.dry_run && !create.dry_run {
        return Err(CliError::usage(
            "this is the output of a dry run, so nothing has changed: run `aws s3` without --dryrun, or use `plan` to \
             see what would be sent",
        ));
    }
    if selection.has_input() && input.paths.is_empty() && input.objects.is_empty() {
        let output = CreateOutput::new(vec![], vec![], create.dry_run, Exit::Done);
        terminal.result("nothing to invalidate", output);
        return Ok(Exit::Done);
    }
    let targets = target::find(session, &selection.distributions, &input.buckets()).await?;
    let inventory = selection.inventory()?;
    let inventory = inventory.as_ref();
    let mut planned = plan_all(session, create, &targets, &mut input, inventory).await?;
    let reference = input.reference;
    let all_refused = planned.iter().all(|planned| planned.refused.is_some());
    let warnings = if create.no_checks || all_refused {
        Vec::new()
    } else {
        let has_reference = create.reference.is_some() || reference.is_some();
        preflight::check(session, selection, has_reference, &mut planned, inventory).await
    };
    warnings.iter().for_each(|warning| terminal.warn(warning));
    if create.dry_run {
        if let Some(error) = selection::refusal(&planned) {
            return Err(error.into());
        }
        plan::print(session, &planned, warnings);
        return Ok(Exit::Done);
    }
    if !warnings.is_empty() {
        confirm_despite_warnings(session, create)?;
    }
    submit_all(session, create, &planned, reference, warnings).await
}

/// Plans for each distribution.
async fn plan_all(
    session: &Session,
    create: &Create,
    targets: &[Target],
    input: &mut Input,
    inventory: Option<&Inventory>,
) -> Result<Vec<PlannedBatch>, CliError> {
    let selection = &create.selection;
    let mut planned = Vec::new();
    for target in targets {
        if !selection.has_input() {
            input.request(default_paths(session, create, target)?);
        }
        let batch = selection::plan(session, selection, target, input, inventory);
        planned.push(batch.await?);
    }
    Ok(planned)
}

fn confirm_despite_warnings(session: &Session, create: &Create) -> Result<(), CliError> {
    let terminal = &session.terminal;
    if create.yes || !terminal.can_prompt() {
        terminal.note("sending it despite the warnings");
    } else if !terminal.confirm("Send it despite the warnings?")? {
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
    if !session.terminal.can_prompt() {
        return Err(CliError::usage(
            "no paths are given: name some, or /* for everything (--yes implies /*)",
        ));
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

fn declined() -> CliError {
    CliError::Declined("nothing was sent, because you declined".to_owned())
}

/// Submits the batches, prints the results, and waits for completion if requested.
async fn submit_all(
    session: &Session,
    create: &Create,
    planned: &[PlannedBatch],
    reference: Option<String>,
    warnings: Vec<String>,
) -> Result<Exit, CliError> {
    let event = event_identity(create);
    let started = Instant::now();
    let progress = session.terminal.progress("sending");
    let submissions = planned
        .iter()
        .map(|planned| submit(session, &event, reference.as_deref(), planned));
    let reports: Result<Vec<_>, _> = join_all(submissions).await.into_iter().collect();
    let reports = reports?;
    drop(progress);
    let mut exit = Exit::Done;
    for (planned, report) in planned.iter().zip(&reports) {
        exit = exit.and(print_report(session, planned, report.as_ref()).await);
    }
    let waits = match create.wait.filter(|limit| !limit.is_zero()) {
        Some(limit) => wait_for_completion(session, &reports, limit, started).await,
        None => Vec::new(),
    };
    exit = exit.and(wait::exit(&waits));
    let distributions = planned
        .iter()
        .zip(&reports)
        .map(|(planned, report)| distribution_output(session, planned, report.as_ref(), &waits));
    let output = CreateOutput::new(distributions.collect(), warnings, false, exit);
    session.terminal.json(output);
    Ok(exit)
}

/// Returns the identity of the request, from which the caller reference is derived.
fn event_identity(create: &Create) -> String {
    match &create.reference {
        Some(name) => format!("cli {name}"),
        None => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            let nanoseconds = now.unwrap_or_default().as_nanos();
            format!("cli {nanoseconds} {}", std::process::id())
        }
    }
}

/// Submits one distribution's batch. Returns `None` if there is nothing to invalidate.
async fn submit(
    session: &Session,
    event: &str,
    reference: Option<&str>,
    planned: &PlannedBatch,
) -> Result<Option<BatchReport>, CliError> {
    let Some(distribution) = planned.distribution.clone() else {
        return Ok(None);
    };
    if planned.plan.paths.is_empty() {
        return Ok(None);
    }
    let mut batch = Batch::from_plan(event, distribution, planned.plan.clone());
    if let Some(reference) = reference {
        batch = batch.with_reference(CallerReference::parse(reference)?);
    }
    let submission = match &planned.refused {
        Some(error) => Err(error.clone()),
        None => {
            let cloudfront = session.connection.cloudfront().await?;
            let deadline = Instant::now() + MAX_SUBMISSION_TIME;
            cloudfront.create_invalidation(&batch, deadline).await
        }
    };
    let reused = submission.as_ref().ok().and_then(Submission::reused);
    let invalidation = submission.map(Submission::into_invalidation);
    let result = invalidation.map(|invalidation| Some(invalidation?.id));
    Ok(Some(BatchReport {
        batch,
        objects: planned.objects,
        notes: planned.notes.clone(),
        result,
        reused,
    }))
}

/// Prints what happened to one distribution, and returns its exit code.
async fn print_report(
    session: &Session,
    planned: &PlannedBatch,
    report: Option<&BatchReport>,
) -> Exit {
    let Some(report) = report else {
        if let Some(distribution) = planned.distribution.clone() {
            let notes = planned.notes.clone();
            session.terminal.text(UnaffectedDistribution {
                distribution,
                notes,
            });
        }
        return Exit::Done;
    };
    match &report.result {
        Ok(_) => {
            session.terminal.text(report);
            Exit::Done
        }
        Err(error) => {
            print_error(session, report, error).await;
            error.category().into()
        }
    }
}

async fn print_error(session: &Session, report: &BatchReport, error: &Error) {
    let mut message = error.message(session.terminal.audience());
    if error.is_no_such_distribution() {
        let suggestion = target::suggestion(session, report.batch.distribution()).await;
        if let Some(suggestion) = suggestion {
            message = format!("{message}: {suggestion}");
        }
    }
    session.terminal.error(message);
}

async fn wait_for_completion(
    session: &Session,
    reports: &[Option<BatchReport>],
    limit: Duration,
    started: Instant,
) -> Vec<WaitResult> {
    let submitted = reports.iter().flatten().filter_map(|report| {
        let id = report.result.as_ref().ok()?;
        Some((report.batch.distribution().clone(), id.clone()))
    });
    wait::wait(session, submitted.collect(), limit, started).await
}

fn distribution_output(
    session: &Session,
    planned: &PlannedBatch,
    report: Option<&BatchReport>,
    waits: &[WaitResult],
) -> DistributionOutput {
    let mut output = DistributionOutput::from(planned);
    let Some(report) = report else {
        return output;
    };
    output.reference = Some(report.batch.reference().to_string());
    match &report.result {
        Ok(id) => output.invalidation = id.as_ref().map(ToString::to_string),
        Err(error) => {
            output.failure = Some(ErrorOutput::from_error(error, session.terminal.audience()))
        }
    }
    let wait = waits
        .iter()
        .find(|wait| wait.distribution == *report.batch.distribution());
    if let Some(wait) = wait {
        let is_completed = wait.end == WaitEnd::Completed;
        let status = if is_completed {
            InvalidationStatus::Completed
        } else {
            InvalidationStatus::InProgress
        };
        output.status = Some(status.as_str().to_owned());
        output.seconds = is_completed.then_some(wait.seconds);
    }
    output
}
