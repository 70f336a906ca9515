//! `--takedown`: removes content that must not be served any longer from the edge.
//!
//! Each path is invalidated in all spellings with a wildcard behind it, because viewers can have added anything, and under
//! the paths of index pages that lead to it, with all query strings. Nothing is merged to save paths. CloudFront
//! allows 15 wildcards in progress, so a longer list is divided, and each part is sent when the one before is completed.
//!
//! `content` plans, this file sends and reports.

mod content;

use std::time::Duration;

use tokio::time::Instant;

use self::content::{Content, Contents, not_cached, requests};
use super::report::{check_with_list, exit_of, print_error};
use super::submission::{Request, Submitted};
use crate::cli::format::counted;
use crate::cli::input::Input;
use crate::cli::selection::PlannedBatch;
use crate::cli::target::Target;
use crate::cli::verify::{self, Subject};
use crate::cli::wait;
use crate::cli::{CliError, Create, Exit, Session};
use crate::distribution::DistributionId;
use crate::duration::DEFAULT_WAIT;
use crate::error::Category;
use crate::output::{
    CreateOutput, DistributionOutput, Ending, ErrorOutput, TakedownOutput, VerificationOutput,
};
use crate::path::InvalidationPath;
use crate::plan::{InvalidationId, InvalidationStatus};
use crate::site::PathOptions;

/// Runs the command.
pub(super) async fn run(
    session: &Session,
    create: &Create,
    targets: Vec<Target>,
    input: &Input,
) -> Result<Exit, CliError> {
    let limit = create.wait.unwrap_or(DEFAULT_WAIT);
    if limit.is_zero() {
        return Err(CliError::usage(
            "--takedown waits for completion: give it a limit such as --wait=15m",
        ));
    }
    if input.paths.is_empty() && input.objects.is_empty() {
        return Err(CliError::usage(
            "nothing to take down: name paths, or keys with --keys-from",
        ));
    }
    let mut takedowns = Vec::new();
    for target in &targets {
        let contents = content::read(session, target, input).await?;
        for note in &contents.notes {
            session.terminal.warn(format!("{}: {note}", target.id));
        }
        takedowns.push(Takedown {
            distribution: target.id.clone(),
            contents,
        });
    }
    let mut ending = Ending::default();
    let mut outputs = Vec::new();
    for takedown in &takedowns {
        outputs.push(if create.dry_run {
            takedown.print_plan(session)
        } else {
            takedown.send(session, create, limit, &mut ending).await?
        });
    }
    let contents = takedowns
        .iter()
        .map(|takedown| &*takedown.contents.contents);
    for error in not_cached(contents) {
        let error = ErrorOutput::from_error(&error, session.terminal.audience());
        session.terminal.error(&error.message);
        ending.add(Exit::Failed, Some(error));
    }
    let is_sent = matches!(ending.exit, Exit::Done | Exit::NotCompleted) && !create.dry_run;
    let verification = if ending.exit == Exit::Done && !create.dry_run {
        verify_takedown(session, create, &targets, input, &outputs, &mut ending).await
    } else {
        None
    };
    let is_gone = verification
        .as_ref()
        .is_some_and(VerificationOutput::is_gone);
    if is_sent && !is_gone {
        session.terminal.note(
            "delete the object at the origin, too: CloudFront caches it again with the next request",
        );
    }
    if is_sent {
        session
            .terminal
            .note("browsers and other caches keep their copies");
    }
    let exit = ending.exit;
    let warnings = input.notes.clone();
    let output = CreateOutput::new(outputs, warnings, create.dry_run, ending);
    session
        .terminal
        .json(output.with_verification(verification));
    Ok(exit)
}

/// Checks that the edge no longer serves the content. Without a route to the edge, the takedown is done nevertheless.
async fn verify_takedown(
    session: &Session,
    create: &Create,
    targets: &[Target],
    input: &Input,
    outputs: &[DistributionOutput],
    ending: &mut Ending,
) -> Option<VerificationOutput> {
    let own = outputs.iter().map(|output| {
        let ids = output.takedown.iter().flat_map(|takedown| &takedown.ids);
        ids.cloned().collect::<Vec<_>>()
    });
    let own: Vec<_> = own.collect();
    let options = PathOptions::default();
    let subjects = targets.iter().zip(&own).map(|(target, own)| Subject {
        target,
        input,
        sent: &[],
        own,
        must_be_gone: true,
        options: &options,
    });
    let subjects: Vec<_> = subjects.collect();
    let (requests, selection) = (&create.requests, &create.selection);
    verify::after_create(
        session,
        requests,
        create.verify,
        selection,
        &subjects,
        ending,
    )
    .await
}

/// What is removed from one distribution.
struct Takedown {
    distribution: DistributionId,
    contents: Contents,
}

/// A request of a takedown that was sent.
struct Sent {
    paths: Vec<InvalidationPath>,
    /// How many paths are billed.
    accepted: usize,
    /// `None` if CloudFront did not return it.
    id: Option<InvalidationId>,
    is_completed: bool,
}

/// How far the removal of a content is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Removal {
    /// The distribution cannot have cached it.
    NotCached,
    /// CloudFront dropped all copies.
    Completed,
    /// All paths were sent.
    InProgress,
    /// At least one path was not sent.
    NotSent,
}

impl Takedown {
    fn print_plan(&self, session: &Session) -> DistributionOutput {
        let requests = requests(&self.contents.contents);
        for content in &self.contents.contents {
            session.terminal.text(format!(
                "{}: {} would be removed: {}",
                self.distribution,
                content.written,
                content.excerpt()
            ));
        }
        let paths = requests.iter().map(Vec::len).sum();
        session.terminal.text(format!(
            "{}: {} in {}",
            self.distribution,
            counted(paths, "path"),
            counted(requests.len(), "invalidation")
        ));
        self.output(&[])
    }

    /// Sends the requests, each when the one before is completed, and prints what happened to each content. Sends nothing
    /// if the user pressed Ctrl-C before.
    async fn send(
        &self,
        session: &Session,
        create: &Create,
        limit: Duration,
        ending: &mut Ending,
    ) -> Result<DistributionOutput, CliError> {
        let request = Request::new(create, None)?;
        let mut sent = Vec::new();
        let mut failure = None;
        let mut unconfirmed = None;
        for paths in requests(&self.contents.contents) {
            if ending.exit == Exit::Interrupted {
                break;
            }
            let started = Instant::now();
            let planned = PlannedBatch::of_paths(self.distribution.clone(), paths.clone());
            let submitted = match self.submit(session, &request, &planned).await {
                Ok(submitted) => submitted,
                Err(error) => {
                    ending.add(Exit::Interrupted, Some(error.clone()));
                    unconfirmed = Some(error);
                    break;
                }
            };
            let Some(Submitted { report, .. }) = submitted else {
                continue;
            };
            let id = match &report.result {
                Ok(id) => id.clone(),
                Err(error) => {
                    let output = print_error(session, &planned, error).await;
                    ending.add(exit_of(Some(error)), Some(output.clone()));
                    failure = Some(output);
                    break;
                }
            };
            session.terminal.submission(&report);
            let invalidation = (self.distribution.clone(), id.clone());
            let waits = wait::wait(session, vec![invalidation], limit, started).await;
            let exit = wait::exit(&waits);
            let audience = session.terminal.audience();
            unconfirmed = waits.iter().find_map(|wait| wait.error(audience));
            ending.add(exit, unconfirmed.clone());
            sent.push(Sent {
                accepted: report.accepted_paths(),
                paths,
                id,
                is_completed: exit == Exit::Done,
            });
            // The next request would exceed the quota of wildcards in progress.
            if exit != Exit::Done {
                break;
            }
        }
        for content in &self.contents.contents {
            session.terminal.text(self.text(content, &sent));
        }
        let mut output = self.output(&sent);
        if let Some(failure) = failure {
            output.set_error(failure);
        }
        output.set_wait_error(unconfirmed);
        Ok(output)
    }

    /// Sends one request, or returns the error of Ctrl-C, which is printed.
    async fn submit(
        &self,
        session: &Session,
        request: &Request,
        planned: &PlannedBatch,
    ) -> Result<Option<Submitted>, ErrorOutput> {
        let progress = session.terminal.progress("sending");
        tokio::select! {
            submitted = request.submit(session, &progress, planned) => Ok(submitted),
            () = wait::interrupted() => {
                drop(progress);
                let check = check_with_list(&self.distribution);
                let message = format!("{}: stopped while sending; {check}", self.distribution);
                session.terminal.error(&message);
                Err(ErrorOutput::new(Category::Unavailable, message, Some(check)))
            }
        }
    }

    fn text(&self, content: &Content, sent: &[Sent]) -> String {
        let (distribution, written) = (&self.distribution, &content.written);
        let ids: Vec<_> = ids(content, sent).map(InvalidationId::as_str).collect();
        let ids = ids.join(", ");
        match removal(content, sent) {
            Removal::NotCached => format!("{distribution}: {written} is not cached there"),
            Removal::Completed => {
                format!("{distribution}: {written} is removed from the edge ({ids})")
            }
            Removal::InProgress => {
                format!("{distribution}: {written} is not completely removed yet ({ids})")
            }
            Removal::NotSent => {
                format!("{distribution}: {written} is not removed: not all of its paths were sent")
            }
        }
    }

    fn output(&self, sent: &[Sent]) -> DistributionOutput {
        let paths = requests(&self.contents.contents).concat();
        let planned = PlannedBatch::of_paths(self.distribution.clone(), paths);
        let contents = self.contents.contents.iter();
        let takedown = contents.map(|content| TakedownOutput {
            path: content.written.clone(),
            paths: content.paths.clone(),
            ids: ids(content, sent).cloned().collect(),
            status: match removal(content, sent) {
                Removal::Completed => Some(InvalidationStatus::Completed),
                Removal::InProgress => Some(InvalidationStatus::InProgress),
                Removal::NotCached | Removal::NotSent => None,
            },
        });
        let mut output = DistributionOutput::from(&planned);
        output.accepted = sent.iter().map(|sent| sent.accepted).sum();
        output.takedown = takedown.collect();
        output.notes.clone_from(&self.contents.notes);
        output
    }
}

impl Sent {
    fn covers(&self, path: &InvalidationPath) -> bool {
        self.paths.iter().any(|sent| sent.covers(path))
    }
}

/// Returns the ids of the invalidations that cover paths of the content.
fn ids<'a>(content: &Content, sent: &'a [Sent]) -> impl Iterator<Item = &'a InvalidationId> {
    let sent = sent.iter().filter(|sent| {
        let mut paths = content.paths.iter();
        paths.any(|path| sent.covers(path))
    });
    sent.filter_map(|sent| sent.id.as_ref())
}

fn removal(content: &Content, sent: &[Sent]) -> Removal {
    let is_in = |path: &InvalidationPath, completed: bool| {
        let mut sent = sent.iter().filter(|sent| sent.is_completed || !completed);
        sent.any(|sent| sent.covers(path))
    };
    if content.paths.is_empty() {
        Removal::NotCached
    } else if content.paths.iter().all(|path| is_in(path, true)) {
        Removal::Completed
    } else if content.paths.iter().all(|path| is_in(path, false)) {
        Removal::InProgress
    } else {
        Removal::NotSent
    }
}
