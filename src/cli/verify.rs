//! `verify`: requests URLs as a viewer does, and prints whether the edge returns their current version. `create --verify` does
//! the same after the wait.
//!
//! | module | contents |
//! |---|---|
//! | `candidates` | the URLs of paths, keys and local files |
//! | `distribution` | what is known about a distribution, and what was found there |
//! | `requester`, `requests` | the verification of one distribution, and its requests |
//! | `contents` | the comparison of a response with a local file |
//! | `report` | the result as a table, and what it means for the exit code |

mod candidates;
mod contents;
mod distribution;
mod report;
mod requester;
mod requests;

use std::collections::BTreeSet;

use self::distribution::DistributionVerification;
use self::requester::Requester;
use super::config::SiteConfig;
use super::input::Input;
use super::local_file::LocalFiles;
use super::selection;
use super::target::{self, Target};
use super::{CliError, Exit, Requests, Selection, Session, Verify, create, hosts, list, wait};
use crate::output::{CommandOutput, Ending, VerificationOutput};
use crate::path::{EncodedPaths, InvalidationPath};
use crate::plan::{InvalidationId, InvalidationStatus};
use crate::site::PathOptions;
use crate::verify::Report;
use crate::verify::sample::MAX_URLS;

/// What is verified at one distribution.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    pub target: &'a Target,
    /// The requested paths and the changed objects.
    pub input: &'a Input,
    /// The paths that were sent.
    pub sent: &'a [InvalidationPath],
    /// The invalidations that were sent. Only these and newer ones show that a copy is fresh.
    pub own: &'a [InvalidationId],
    /// Whether the content must not be served any longer.
    pub must_be_gone: bool,
    /// What decides which removed objects stay at the edge.
    pub options: &'a PathOptions,
}

/// Runs the command.
pub(super) async fn run(session: &Session, verify: &Verify) -> Result<Exit, CliError> {
    let selection = selection_of(verify);
    let mut input = Input::read(&selection, &session.config.names().collect::<Vec<_>>())?;
    input
        .notes
        .iter()
        .for_each(|note| session.terminal.warn(note));
    if input.dry_run {
        return Err(CliError::usage(
            "this is the output of a dry run, so nothing has changed: run `aws s3` without --dryrun",
        ));
    }
    let files = local_files(verify)?;
    let mut ending = Ending::default();
    let is_empty = input.paths.is_empty() && input.objects.is_empty();
    if selection.has_input() && is_empty && files.is_none() {
        create::add_incomplete(session, &input, &mut ending);
        session
            .terminal
            .text("nothing to verify: the input has no changes");
        let report = Report {
            notes: input.notes,
            ..Report::default()
        };
        return Ok(finish(session, VerificationOutput::new(report, 0), ending));
    }
    let targets = target::find(session, &selection.named.distributions, &input.buckets()).await?;
    let warning = hosts::check(session, &targets, &input.hosts).await?;
    input.notes.extend(warning);
    let has_input = selection.has_input() || files.is_some();
    let requester = Requester::new(session, &verify.requests, &input.hosts, files).await?;
    let mut verifications = Vec::new();
    let mut failure = None;
    for target in &targets {
        let verification = async {
            if verify.last {
                input.request(newest_paths(session, target).await?);
            } else if !has_input {
                input.request(configured_paths(target)?);
            }
            let options = if input.objects.is_empty() {
                PathOptions::default()
            } else {
                selection::path_options(&selection, target.config.as_ref())?
            };
            let subject = Subject {
                target,
                input: &input,
                sent: &[],
                own: &[],
                must_be_gone: false,
                options: &options,
            };
            requester.verify(session, subject).await
        };
        match interruptible(verification).await {
            Ok(verification) => verifications.push(verification),
            Err(error) => {
                let is_interrupted = error.exit() == Exit::Interrupted;
                failure = Some(failure.filter(|_| !is_interrupted).unwrap_or(error));
                if is_interrupted {
                    break;
                }
                // The others are verified nevertheless.
            }
        }
    }
    match failure {
        Some(error) if verifications.is_empty() => return Err(error),
        Some(error) => {
            let output = error.output(session.terminal.audience());
            session.terminal.error(&output.message);
            ending.add(error.exit(), Some(output));
        }
        None => {}
    }
    let report = report::print(session, verifications, true, &mut ending);
    create::add_incomplete(session, &input, &mut ending);
    Ok(finish(session, report, ending))
}

/// Prints the JSON object, and returns the exit code.
fn finish(session: &Session, report: VerificationOutput, ending: Ending) -> Exit {
    let Ending { exit, error } = ending;
    let output = CommandOutput::new(report, exit, error);
    session.terminal.json(output);
    exit
}

/// Returns the configured paths of the distribution.
fn configured_paths(target: &Target) -> Result<EncodedPaths, CliError> {
    let paths = target.config.as_ref().map(SiteConfig::paths).transpose()?;
    let paths = paths.filter(|paths| !paths.paths.is_empty());
    paths.ok_or_else(|| {
        CliError::usage(
            "nothing to verify: name paths, or use --last, --site, --keys-from, --from-s3-sync or --paths-from",
        )
    })
}

/// Verifies what `create` has invalidated, prints the result, and adds it to the ending. `None` if there is nothing to verify.
///
/// An error does not end the command, because the invalidations are submitted. If the verification is not required, an error is
/// a warning, and so is a verification that could not see anything.
pub(super) async fn after_create(
    session: &Session,
    requests: &Requests,
    is_required: bool,
    selection: &Selection,
    subjects: &[Subject<'_>],
    ending: &mut Ending,
) -> Option<VerificationOutput> {
    let first = subjects.first()?;
    let mut verifications = Vec::new();
    let mut result = Ok(());
    match prepare(session, requests, selection, first.input).await {
        Ok(requester) => {
            for subject in subjects {
                match interruptible(requester.verify(session, *subject)).await {
                    Ok(verification) => verifications.push(verification),
                    Err(error) => {
                        let is_interrupted = error.exit() == Exit::Interrupted;
                        result = Err(error);
                        if is_interrupted {
                            break;
                        }
                    }
                }
            }
        }
        Err(error) => result = Err(error),
    }
    if let Err(error) = result {
        let mut output = error.output(session.terminal.audience());
        output.message = format!("not verified: {}", output.message);
        if is_required || error.exit() == Exit::Interrupted {
            session.terminal.error(&output.message);
            ending.add(error.exit(), Some(output));
        } else {
            session.terminal.warn(&output.message);
        }
        if verifications.is_empty() {
            return None;
        }
    }
    Some(report::print(session, verifications, is_required, ending))
}

async fn prepare(
    session: &Session,
    requests: &Requests,
    selection: &Selection,
    input: &Input,
) -> Result<Requester, CliError> {
    let directory = selection.build_directory.as_deref();
    let prefix = selection.prefix.as_deref();
    let files = directory.map(|directory| LocalFiles::read(directory, prefix));
    Requester::new(session, requests, &input.hosts, files.transpose()?).await
}

/// Returns the local files of `--site`.
fn local_files(verify: &Verify) -> Result<Option<LocalFiles>, CliError> {
    let directory = verify.build_directory.as_deref();
    let prefix = verify.prefix.as_deref();
    if directory.is_none() && prefix.is_some() {
        return Err(CliError::usage(
            "--prefix is what --site leaves out: give both",
        ));
    }
    directory
        .map(|directory| LocalFiles::read(directory, prefix))
        .transpose()
}

fn selection_of(verify: &Verify) -> Selection {
    Selection {
        paths: verify.paths.clone(),
        named: verify.named.clone(),
        paths_from: verify.paths_from.clone(),
        keys_from: verify.keys_from.clone(),
        from_s3_sync: verify.from_s3_sync.clone(),
        bucket: verify.bucket.clone(),
        immutable: verify.immutable.clone(),
        ..Selection::default()
    }
}

/// Returns the paths of the newest completed invalidation of the distribution.
async fn newest_paths(session: &Session, target: &Target) -> Result<EncodedPaths, CliError> {
    let progress = list::progress(session, &target.id);
    let newest = list::newest(session, &target.id, distribution::FIRST_INVALIDATIONS).await?;
    drop(progress);
    let completed = newest
        .iter()
        .find(|invalidation| invalidation.status == InvalidationStatus::Completed);
    let Some(invalidation) = completed else {
        return Err(CliError::usage(format!(
            "{} has no completed invalidation among its newest {}: name paths",
            target.id,
            distribution::FIRST_INVALIDATIONS
        )));
    };
    session.terminal.note(format!(
        "{}: verifying the paths of {}",
        target.id, invalidation.id
    ));
    let paths = invalidation.paths.iter();
    Ok(EncodedPaths {
        paths: paths.map(InvalidationPath::accepted_before).collect(),
        widened: Vec::new(),
    })
}

/// Returns the result, or an error after Ctrl-C.
async fn interruptible(
    verification: impl Future<Output = Result<DistributionVerification, CliError>>,
) -> Result<DistributionVerification, CliError> {
    tokio::select! {
        result = verification => result,
        () = wait::interrupted() => Err(CliError::Interrupted("stopped the verification".to_owned())),
    }
}

/// Checks what a verification needs before anything is sent.
pub(super) fn check(requests: &Requests, hosts: &BTreeSet<String>) -> Result<(), CliError> {
    requester::check_hosts(requests, hosts)?;
    requester::endpoints()
        .nearest()
        .map(|_| ())
        .map_err(CliError::usage)
}

/// Returns how many URLs of a distribution are requested.
fn max_urls(requests: &Requests) -> usize {
    let maximum = requests
        .max_urls
        .and_then(|maximum| usize::try_from(maximum).ok());
    maximum.unwrap_or(MAX_URLS)
}
