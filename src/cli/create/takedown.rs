//! `--takedown`: removes content that must not be served any longer from the edge.
//!
//! Each path is invalidated in all spellings with a wildcard behind it, because viewers can have added anything, and under
//! the paths of index pages that lead to it, with all query strings. Nothing is merged to save paths. CloudFront
//! allows 15 wildcards in progress, so a longer list is divided, and each part is sent when the one before is completed.

use percent_encoding::percent_decode_str;
use tokio::time::Instant;

use super::submission::{Request, Submitted};
use super::{exit_of, print_error};
use crate::cli::format::counted;
use crate::cli::input::Input;
use crate::cli::output::{CreateOutput, DistributionOutput, ErrorOutput, TakedownOutput};
use crate::cli::selection::{self, PlannedBatch};
use crate::cli::target::Target;
use crate::cli::wait;
use crate::cli::{CliError, Create, Exit, Session};
use crate::duration::DEFAULT_WAIT;
use crate::error::{Category, Error};
use crate::excerpt::{Excerpt, MAX_NOTED};
use crate::path::{EncodedPaths, InvalidationPath, widened_note};
use crate::plan::collapse::collapse;
use crate::plan::limits::{MAX_PATHS_IN_REQUEST, MAX_WILDCARDS_IN_REQUEST};
use crate::plan::{InvalidationId, InvalidationStatus, Limits};
use crate::site::{CachedPaths, IndexDocuments, MaybeSite, PathReason, assumed_paths};

/// Nothing is merged to save paths; a path that another covers is left out.
const UNLIMITED: Limits = Limits {
    paths: usize::MAX,
    wildcards: usize::MAX,
};

/// What is removed from one distribution.
struct Takedown {
    target: Target,
    contents: Vec<Content>,
    notes: Vec<String>,
}

/// A path or key that must vanish.
struct Content {
    /// As the user wrote it; a key has a leading slash.
    written: String,
    paths: Vec<InvalidationPath>,
}

/// Runs the command.
pub(super) async fn run(
    session: &Session,
    create: &Create,
    targets: Vec<Target>,
    input: &Input,
) -> Result<Exit, CliError> {
    if create.wait.is_some_and(|limit| limit.is_zero()) {
        return Err(CliError::usage(
            "--takedown waits for completion: leave --wait=0 out, or give a limit such as --wait=15m",
        ));
    }
    if input.paths.is_empty() && input.objects.is_empty() {
        return Err(CliError::usage(
            "nothing to take down: name paths, or keys with --keys-from",
        ));
    }
    let mut takedowns = Vec::new();
    for target in targets {
        takedowns.push(plan(session, target, input).await?);
    }
    let mut exit = Exit::Done;
    let mut outputs = Vec::new();
    let request = Request::new(create, None)?;
    for takedown in &takedowns {
        let notes = takedown.notes.iter();
        notes.for_each(|note| {
            session
                .terminal
                .note(format!("{}: {note}", takedown.target.id))
        });
        let (part, output) = if create.dry_run {
            (Exit::Done, takedown.print_plan(session))
        } else if exit == Exit::Interrupted {
            (exit, takedown.print_result(session, &[]))
        } else {
            takedown.send(session, create, &request).await
        };
        exit = exit.and(part);
        outputs.push(output);
    }
    let not_cached = not_cached(&takedowns).into_iter().map(|written| {
        Error::invalid_input(format!(
            "{written} is not cached by the named distributions, so nothing was invalidated for it: check the key and -d"
        ))
    });
    let not_cached: Vec<_> = not_cached.collect();
    for error in &not_cached {
        session
            .terminal
            .error(error.message(session.terminal.audience()));
        exit = exit.and(Exit::Failed);
    }
    if matches!(exit, Exit::Done | Exit::NotCompleted) && !create.dry_run {
        session.terminal.note(
            "delete the object at the origin, too: CloudFront caches it again with the next request; browsers and other \
             caches keep their copies",
        );
    }
    let output = CreateOutput::new(outputs, Vec::new(), create.dry_run, exit)
        .with_error(not_cached.first(), session.terminal.audience());
    session.terminal.json(output);
    Ok(exit)
}

/// Returns the contents that no distribution can have cached. A wrong distribution or key is likely.
fn not_cached(takedowns: &[Takedown]) -> Vec<&str> {
    let (first, others) = match takedowns.split_first() {
        Some(split) => split,
        None => return Vec::new(),
    };
    let is_cached = |index: usize| {
        let mut others = others
            .iter()
            .filter_map(|takedown| takedown.contents.get(index));
        others.any(|content| !content.paths.is_empty())
    };
    let contents = first.contents.iter().enumerate();
    contents
        .filter(|(index, content)| content.paths.is_empty() && !is_cached(*index))
        .map(|(_, content)| &*content.written)
        .collect()
}

async fn plan(session: &Session, target: Target, input: &Input) -> Result<Takedown, CliError> {
    let site = selection::read_site(session, &target.id, false).await?;
    if let MaybeSite::Known(site) = &site {
        site.features.check_tags(&target.id, &input.paths)?;
    }
    let mut notes: Vec<_> = widened_note(&input.widened).into_iter().collect();
    let mut contents = Vec::new();
    for path in &input.paths {
        let mut widened = input.widened.iter();
        let widened = widened.find(|widened| widened.to == *path);
        let written = widened.map_or_else(|| path.to_string(), |widened| widened.written.clone());
        contents.push(Content::new(written, paths_of(path, &site)));
    }
    let configured = target
        .config
        .as_ref()
        .and_then(|config| config.bucket.as_deref());
    for object in &input.objects {
        let mut paths = Vec::new();
        let buckets = selection::buckets(object, configured, &site);
        let buckets = buckets.unwrap_or_else(|bucket| {
            notes.push(format!("bucket {bucket} is not one of its origins"));
            Vec::new()
        });
        for bucket in buckets {
            match site.cached_paths(&bucket, &object.key, IndexDocuments::Auto) {
                CachedPaths::Cached {
                    paths: cached,
                    reasons,
                } => {
                    paths.extend(cached);
                    let widened = reasons
                        .iter()
                        .filter(|reason| matches!(reason, PathReason::Widened(_)));
                    notes.extend(widened.map(ToString::to_string));
                }
                CachedPaths::NotCached(reason) => notes.push(format!("{}: {reason}", object.key)),
            }
        }
        contents.push(Content::new(format!("/{}", object.key), paths));
    }
    Ok(Takedown {
        target,
        contents,
        notes,
    })
}

/// Returns what is invalidated for a path that the user wrote.
fn paths_of(path: &InvalidationPath, site: &MaybeSite) -> Vec<InvalidationPath> {
    let mut paths = vec![path.clone().with_wildcard_behind()];
    let without_query = path.as_str().split('?').next().unwrap_or_default();
    let decoded = percent_decode_str(without_query.trim_start_matches('/')).decode_utf8();
    if let Ok(key) = decoded
        && !key.is_empty()
        && !path.is_wildcard()
        && !path.is_tag()
    {
        let spellings = EncodedPaths::of_key(&key).paths.into_iter();
        paths.extend(spellings.map(InvalidationPath::with_wildcard_behind));
        if let CachedPaths::Cached { paths: assumed, .. } =
            assumed_paths(&key, IndexDocuments::Auto)
        {
            paths.extend(assumed);
        }
        if let MaybeSite::Known(site) | MaybeSite::Outdated(site) = site
            && site.default_root_object.as_deref() == Some(&*key)
        {
            paths.push(InvalidationPath::root());
        }
    }
    paths
}

impl Content {
    fn excerpt(&self) -> Excerpt<MAX_NOTED> {
        self.paths.iter().map(InvalidationPath::as_str).collect()
    }

    fn new(written: String, paths: Vec<InvalidationPath>) -> Self {
        let paths = paths
            .into_iter()
            .flat_map(InvalidationPath::with_query_strings);
        Self {
            written,
            paths: collapse(paths.collect(), None, UNLIMITED).paths,
        }
    }
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
    /// CloudFront dropped all copies.
    Completed,
    /// All paths were sent.
    InProgress,
    /// At least one path was not sent.
    NotSent,
}

impl Takedown {
    /// Divides the paths of all contents into requests. A path that another covers is left out.
    fn requests(&self) -> Vec<Vec<InvalidationPath>> {
        let paths = self.contents.iter().flat_map(|content| &content.paths);
        let mut requests: Vec<Vec<InvalidationPath>> = Vec::new();
        let mut wildcards = 0;
        for path in collapse(paths.cloned().collect(), None, UNLIMITED).paths {
            let is_wildcard = path.is_wildcard();
            match requests.last_mut() {
                Some(request)
                    if request.len() < MAX_PATHS_IN_REQUEST
                        && (!is_wildcard || wildcards < MAX_WILDCARDS_IN_REQUEST) =>
                {
                    request.push(path);
                    wildcards += usize::from(is_wildcard);
                }
                _ => {
                    requests.push(vec![path]);
                    wildcards = usize::from(is_wildcard);
                }
            }
        }
        requests
    }

    fn print_plan(&self, session: &Session) -> DistributionOutput {
        let requests = self.requests();
        for content in &self.contents {
            let paths = content.excerpt();
            session.terminal.text(format!(
                "{}: {} would be removed: {paths}",
                self.target.id, content.written
            ));
        }
        let paths = requests.iter().map(Vec::len).sum();
        session.terminal.text(format!(
            "{}: {} in {}",
            self.target.id,
            counted(paths, "path"),
            counted(requests.len(), "invalidation")
        ));
        self.output(&[])
    }

    /// Sends the requests, each when the one before is completed, and prints what happened to each content.
    async fn send(
        &self,
        session: &Session,
        create: &Create,
        request: &Request,
    ) -> (Exit, DistributionOutput) {
        let limit = create.wait.unwrap_or(DEFAULT_WAIT);
        let mut sent = Vec::new();
        let mut exit = Exit::Done;
        let mut failure = None;
        let mut unconfirmed = None;
        for paths in self.requests() {
            let started = Instant::now();
            let planned = PlannedBatch::of_paths(self.target.id.clone(), paths.clone());
            let progress = session.terminal.progress("sending");
            let submitted = tokio::select! {
                submitted = request.submit(session, &progress, &planned) => submitted,
                () = wait::interrupted() => {
                    let message = format!(
                        "{}: stopped; the request in progress was possibly sent",
                        self.target.id
                    );
                    session.terminal.error(&message);
                    unconfirmed = Some(ErrorOutput::new(Category::Unavailable, message, None));
                    exit = Exit::Interrupted;
                    break;
                }
            };
            drop(progress);
            let Some(Submitted { report, .. }) = submitted else {
                continue;
            };
            let id = match &report.result {
                Ok(id) => id.clone(),
                Err(error) => {
                    exit = exit_of(Some(error));
                    failure = Some(print_error(session, &planned, error).await);
                    break;
                }
            };
            session.terminal.submission(&report);
            let invalidation = (self.target.id.clone(), id.clone());
            let waits = wait::wait(session, vec![invalidation], limit, started).await;
            exit = wait::exit(&waits);
            let audience = session.terminal.audience();
            unconfirmed = waits.iter().find_map(|wait| wait.error(audience));
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
        let mut output = self.print_result(session, &sent);
        if let Some(failure) = failure {
            output.set_submission(Err(failure));
        }
        output.set_wait_error(unconfirmed);
        (exit, output)
    }

    /// Prints what happened to each content.
    fn print_result(&self, session: &Session, sent: &[Sent]) -> DistributionOutput {
        for content in &self.contents {
            session.terminal.text(self.text(content, sent));
        }
        self.output(sent)
    }

    fn text(&self, content: &Content, sent: &[Sent]) -> String {
        let (distribution, written) = (&self.target.id, &content.written);
        let ids: Vec<_> = ids(content, sent).map(InvalidationId::as_str).collect();
        let ids = ids.join(", ");
        match removal(content, sent) {
            Removal::Completed if content.paths.is_empty() => {
                format!("{distribution}: {written} is not cached there")
            }
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
        let paths = self.requests().concat();
        let planned = PlannedBatch::of_paths(self.target.id.clone(), paths);
        let takedown = self.contents.iter().map(|content| TakedownOutput {
            path: content.written.clone(),
            paths: content.paths.clone(),
            ids: ids(content, sent).cloned().collect(),
            status: match removal(content, sent) {
                Removal::Completed => Some(InvalidationStatus::Completed),
                Removal::InProgress => Some(InvalidationStatus::InProgress),
                Removal::NotSent => None,
            },
        });
        let mut output = DistributionOutput::from(&planned);
        output.accepted = sent.iter().map(|sent| sent.accepted).sum();
        output.takedown = takedown.collect();
        output.notes.clone_from(&self.notes);
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
    if content.paths.iter().all(|path| is_in(path, true)) {
        Removal::Completed
    } else if content.paths.iter().all(|path| is_in(path, false)) {
        Removal::InProgress
    } else {
        Removal::NotSent
    }
}
