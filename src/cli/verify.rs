//! `verify`: requests URLs as a viewer does, and prints whether the edge returns their current version. `create --verify` does
//! the same after the wait.
//!
//! | module | contents |
//! |---|---|
//! | `candidates` | the URLs of paths, keys and local files |
//! | `distribution` | what is known about a distribution, and what was found there |
//! | `requester`, `requests` | the verification of one distribution, and its requests |
//! | `contents` | the comparison of a response with a local file |
//! | `local_file` | the files of `--site` |
//! | `report` | the result as a table and as JSON |

mod candidates;
mod contents;
mod distribution;
mod local_file;
mod report;
mod requester;
mod requests;

use self::distribution::DistributionVerification;
use self::local_file::LocalFiles;
pub(super) use self::report::VerificationOutput;
use self::requester::Requester;
use super::input::Input;
use super::output::{CommandOutput, Ending, ErrorOutput};
use super::target::{self, Target};
use super::{CliError, Exit, Requests, Selection, Session, Verify, hosts, list, wait};
use crate::path::{EncodedPaths, InvalidationPath};
use crate::plan::InvalidationStatus;
use crate::verify::sample::MAX_URLS;

/// What is verified at one distribution.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    pub target: &'a Target,
    /// The requested paths and the changed objects.
    pub input: &'a Input,
    /// The paths that were sent.
    pub sent: &'a [InvalidationPath],
    /// Whether the content must not be served any longer.
    pub must_be_gone: bool,
}

/// Runs the command.
pub(super) async fn run(session: &Session, verify: &Verify) -> Result<Exit, CliError> {
    let selection = selection(verify);
    let mut input = Input::read(&selection, &session.config.names().collect::<Vec<_>>())?;
    input
        .notes
        .iter()
        .for_each(|note| session.terminal.warn(note));
    let files = local_files(verify)?;
    if !verify.last && !selection.has_input() && files.is_none() {
        return Err(CliError::usage(
            "nothing to verify: name paths, or use --last, --site, --keys-from, --from-s3-sync or --paths-from",
        ));
    }
    let targets = target::find(session, &selection.named.distributions, &input.buckets()).await?;
    let warning = hosts::check(session, &targets, &input.hosts).await?;
    input.notes.extend(warning);
    let requester = Requester::new(session, &verify.requests, &input.hosts, files).await?;
    let mut verifications = Vec::new();
    for target in &targets {
        if verify.last {
            input.request(newest_paths(session, target).await?);
        }
        let subject = Subject {
            target,
            input: &input,
            sent: &[],
            must_be_gone: false,
        };
        verifications.push(interruptible(requester.verify(session, subject)).await?);
    }
    let mut ending = Ending::default();
    let report = report::print(session, verifications, true, &mut ending);
    let Ending { exit, error } = ending;
    session
        .terminal
        .json(CommandOutput::new(report, exit, error));
    Ok(exit)
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
                    Err(error) => result = result.and(Err(error)),
                }
            }
        }
        Err(error) => result = Err(error),
    }
    if let Err(error) = result {
        let mut output = ErrorOutput::from_cli_error(&error, session.terminal.audience());
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

fn selection(verify: &Verify) -> Selection {
    Selection {
        paths: verify.paths.clone(),
        named: verify.named.clone(),
        paths_from: verify.paths_from.clone(),
        keys_from: verify.keys_from.clone(),
        from_s3_sync: verify.from_s3_sync.clone(),
        bucket: verify.bucket.clone(),
        ..Selection::default()
    }
}

/// Returns the paths of the newest completed invalidation of the distribution.
async fn newest_paths(session: &Session, target: &Target) -> Result<EncodedPaths, CliError> {
    let newest = list::newest(session, &target.id, distribution::FIRST_INVALIDATIONS).await?;
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

/// Returns how many URLs of a distribution are requested.
fn max_urls(requests: &Requests) -> usize {
    let maximum = requests
        .max_urls
        .and_then(|maximum| usize::try_from(maximum).ok());
    maximum.unwrap_or(MAX_URLS)
}
