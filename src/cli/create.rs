//! `create`: plans, warns, asks, sends, waits, tells.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::future::join_all;
use tokio::time::Instant;

use super::answer::{Answer, Entry};
use super::config::NamedSite;
use super::input::Input;
use super::selection::{self, Planned};
use super::target::{self, Target};
use super::wait::{self, Ended, Waited};
use super::{Create, Exit, Session, Stop, caution, plan};
use crate::failure::Failure;
use crate::outcome::{Report, Untouched};
use crate::path::InvalidationPath;
use crate::plan::{Batch, CallerReference};

/// How long CloudFront may take to take an invalidation, all tries together.
const MAX_SUBMISSION: Duration = Duration::from_secs(60);

/// Runs the command.
pub(super) async fn run(session: &Session, create: &Create) -> Result<Exit, Stop> {
    let selection = &create.selection;
    let terminal = &session.terminal;
    let mut input = Input::read(selection)?;
    input.notes.iter().for_each(|note| terminal.warn(note));
    if input.dry_run && !create.dry_run {
        return Err(Stop::usage(
            "this is the output of a dry run, so nothing has changed: run `aws s3` without --dryrun, or see with \
             `plan` what would be sent",
        ));
    }
    if selection.says_what() && input.paths.is_empty() && input.objects.is_empty() {
        terminal.result(
            "nothing to invalidate",
            Answer::new(vec![], vec![], create.dry_run, Exit::Done),
        );
        return Ok(Exit::Done);
    }
    let targets = target::find(session, &selection.distributions, &input.buckets()).await?;
    let inventory = selection.inventory()?;
    let mut planned = Vec::new();
    for target in &targets {
        if !selection.says_what() {
            input.paths = default_paths(session, create, target)?;
        }
        let plan = selection::plan(session, selection, target, &input, inventory.as_ref());
        planned.push(plan.await?);
    }
    let warnings = if create.no_checks {
        Vec::new()
    } else {
        let named = create.reference.is_some() || input.reference.is_some();
        caution::look(session, selection, named, &mut planned, inventory.as_ref()).await
    };
    warnings.iter().for_each(|warning| terminal.warn(warning));
    if create.dry_run {
        plan::tell(session, &planned, warnings);
        return Ok(Exit::Done);
    }
    if !warnings.is_empty() {
        if create.yes || !terminal.can_ask() {
            terminal.note("it is sent all the same");
        } else if !terminal.confirm("Send it all the same?")? {
            return Err(declined());
        }
    }
    send(session, create, planned, input.reference, warnings).await
}

/// Returns the paths for a distribution where none are given: the configured ones, or everything, if that is meant.
fn default_paths(
    session: &Session,
    create: &Create,
    target: &Target,
) -> Result<Vec<InvalidationPath>, Stop> {
    let configured = target.site.as_ref().map(NamedSite::paths).transpose()?;
    if let Some(configured) = configured.filter(|paths| !paths.is_empty()) {
        return Ok(configured);
    }
    let everything = vec![InvalidationPath::everything()];
    if create.yes {
        return Ok(everything);
    }
    if !session.terminal.can_ask() {
        return Err(Stop::usage(
            "no paths are given: name some, or /* for everything (with --yes, /* is taken)",
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

fn declined() -> Stop {
    Stop::from(Failure::mistake("nothing was sent, as was answered"))
}

/// Sends what is planned, tells what came of it, and waits where that is asked.
async fn send(
    session: &Session,
    create: &Create,
    planned: Vec<Planned>,
    reference: Option<String>,
    warnings: Vec<String>,
) -> Result<Exit, Stop> {
    let event = event(create);
    let began = Instant::now();
    let progress = session.terminal.progress("sending");
    let sent = planned
        .iter()
        .map(|one| submit(session, &event, reference.as_deref(), one));
    let mut reports = Vec::new();
    for report in join_all(sent).await {
        reports.push(report?);
    }
    drop(progress);
    let mut exit = Exit::Done;
    for (planned, report) in planned.iter().zip(&reports) {
        exit = exit.and(tell(session, planned, report.as_ref()).await);
    }
    let waited = match create.wait.filter(|limit| !limit.is_zero()) {
        Some(limit) => wait(session, &reports, limit, began).await,
        None => Vec::new(),
    };
    exit = exit.and(wait::exit(&waited));
    let entries = planned.iter().zip(&reports);
    let entries = entries.map(|(planned, report)| entry(planned, report.as_ref(), &waited));
    let answer = Answer::new(entries.collect(), warnings, false, exit);
    session.terminal.object(answer);
    Ok(exit)
}

/// Returns the request's identity, from which the caller reference is made.
fn event(create: &Create) -> String {
    match &create.reference {
        Some(name) => format!("cli {name}"),
        None => {
            let now = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default();
            format!("cli {} {}", now.as_nanos(), std::process::id())
        }
    }
}

/// Asks CloudFront for one distribution's invalidation; for none where there is nothing to drop.
async fn submit(
    session: &Session,
    event: &str,
    reference: Option<&str>,
    planned: &Planned,
) -> Result<Option<Report>, Stop> {
    let Some(distribution) = planned.distribution.clone() else {
        return Ok(None);
    };
    if planned.plan.paths.is_empty() {
        return Ok(None);
    }
    let mut batch = Batch::planned(event, distribution, planned.plan.clone());
    if let Some(reference) = reference {
        batch.reference = CallerReference::given(reference)?;
    }
    let person = session.person.connect().await?;
    let deadline = Instant::now() + MAX_SUBMISSION;
    let result = person
        .cloudfront
        .create(&batch, &person.account, deadline)
        .await;
    Ok(Some(Report {
        batch,
        objects: planned.objects,
        notes: planned.notes.clone(),
        result: result.map_err(|failure| session.person.explain(failure)),
    }))
}

/// Tells what came of one distribution, and returns what that makes of the whole.
async fn tell(session: &Session, planned: &Planned, report: Option<&Report>) -> Exit {
    match report {
        None => {
            if let Some(distribution) = planned.distribution.clone() {
                let notes = planned.notes.clone();
                session.terminal.tell(Untouched {
                    distribution,
                    notes,
                });
            }
            Exit::Done
        }
        Some(Report {
            result: Err(failure),
            batch,
            ..
        }) => {
            let near = if failure.message.ends_with("does not exist in this account") {
                target::near_matches(session, &batch.distribution).await
            } else {
                None
            };
            let near = near.map(|near| format!(": {near}"));
            session
                .terminal
                .error(format!("{failure}{}", near.unwrap_or_default()));
            failure.cause.into()
        }
        Some(report) => {
            session.terminal.tell(report);
            Exit::Done
        }
    }
}

/// Waits for what CloudFront has taken.
async fn wait(
    session: &Session,
    reports: &[Option<Report>],
    limit: Duration,
    began: Instant,
) -> Vec<Waited> {
    let taken = reports.iter().flatten().filter_map(|report| {
        let submitted = report.result.as_ref().ok()?;
        Some((report.batch.distribution.clone(), submitted.id.clone()))
    });
    wait::wait(session, taken.collect(), limit, began).await
}

fn entry(planned: &Planned, report: Option<&Report>, waited: &[Waited]) -> Entry {
    let mut entry = Entry::from(planned);
    let Some(report) = report else {
        return entry;
    };
    entry.reference = Some(report.batch.reference.to_string());
    match &report.result {
        Ok(submitted) => entry.invalidation = submitted.id.clone(),
        Err(failure) => entry.failure = Some(failure.clone()),
    }
    let mut waited = waited.iter();
    if let Some(waited) = waited.find(|one| one.distribution == report.batch.distribution) {
        let status = if waited.ended == Ended::Fresh {
            "Completed"
        } else {
            "InProgress"
        };
        entry.status = Some(status.to_owned());
        entry.seconds = (waited.ended == Ended::Fresh).then_some(waited.seconds);
    }
    entry
}
