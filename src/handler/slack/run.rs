//! Runs a slash command: for the reply within three seconds, or for a message of the queue.
//!
//! A command can run twice, because it is put into the queue if CloudFront does not respond in time. The caller reference of a
//! purge is derived from the trigger id, which Slack makes for each command. So CloudFront returns the invalidation that
//! exists.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use futures_util::future::{join, join_all};
use tokio::time::{Instant, timeout_at};

use super::purge::{Purge, Support};
use super::reply::{self, Reply};
use super::sites::{FoundSites, label_of};
use crate::error::Error;
use crate::handler::Invalidator;
use crate::handler::identity::RequestIdentity;
use crate::handler::progress::Progress;
use crate::invocation::Invocation;
use crate::mrkdwn::{self, code, escape};
use crate::outcome::BatchReport;
use crate::path::{EncodedPaths, InvalidationPath};
use crate::plan::ExistingInvalidation;
use crate::settings::slack::{DefaultAction, SlackSettings, SlackSite};
use crate::trigger::request::{PathRequest, RequestOptions};
use crate::trigger::slack::{Action, Command, SlashCommand};

/// What running a command led to.
pub(super) enum CommandResult {
    /// Nothing is left to do.
    Done(Reply),
    /// CloudFront has invalidations that are possibly not completed, or accepts some later.
    Purge(Purge),
}

impl From<Purge> for CommandResult {
    fn from(purge: Purge) -> Self {
        Self::Purge(purge)
    }
}

/// What a run reads because it improves the reply, although it is not needed for it.
#[derive(Clone, Copy)]
pub(super) struct Extras {
    pub(super) until: Instant,
    /// Whether purges of the same paths that are in progress are listed.
    pub(super) lists_earlier_purges: bool,
}

impl Invalidator {
    /// Runs a command.
    ///
    /// # Errors
    ///
    /// [`Error`] of AWS. What is wrong with the command is a reply.
    pub(super) async fn run_command(
        &self,
        settings: &SlackSettings,
        command: &SlashCommand,
        extras: Extras,
        invocation: &Invocation,
    ) -> Result<CommandResult, Error> {
        let reply = |text: String| Ok(CommandResult::Done(Reply::ephemeral(text)));
        let support = Support {
            contact: &settings.contact,
            request_id: &invocation.request_id,
        };
        let name = &command.command;
        let help = code(&format!("{name} help"));
        let hint = format!("Nothing was purged. {help} lists what you can type.");
        let parsed = match Command::parse(&command.text) {
            Ok(parsed) => parsed,
            Err(error) => {
                let text = reply::sentence(&mrkdwn::quotes_as_code(&error.to_string()));
                return reply(format!("{text} {hint}"));
            }
        };
        if settings.sites.is_empty() {
            return reply(format!(
                "No site can be purged from Slack yet. Ask {} to set the stack parameter `SlackDistributions`.",
                escape(&settings.contact)
            ));
        }
        let found = self.find_sites(settings, &parsed.sites, invocation);
        let FoundSites { sites, notes } = match found.await? {
            Ok(found) => found,
            Err(text) => return reply(format!("{text} {hint}")),
        };
        let reply = |text: String| {
            let reply = Reply::ephemeral(text);
            let lines = notes.iter().map(|note| support.note_text(note));
            Ok(CommandResult::Done(
                lines.fold(reply, |reply, line| reply.with_line(&line)),
            ))
        };
        let purge = async |paths| {
            let purge = self.purge(command, &sites, paths, extras, invocation);
            let notes = notes.clone();
            purge.await.map(|purge| purge.with_notes(notes).into())
        };
        match (parsed.action, settings.default_action) {
            (Action::Help, default) => {
                let default = match default {
                    DefaultAction::Plan => "shows what a purge of everything would do",
                    DefaultAction::All => "purges everything",
                };
                let labels = self.labels(&sites, extras.until, invocation).await;
                reply(reply::help_text(name, default, &labels))
            }
            (Action::Default, DefaultAction::Plan) => {
                let labels = self.labels(&sites, extras.until, invocation).await;
                reply(reply::plan_text(name, &parsed.sites, &labels))
            }
            (Action::Default, DefaultAction::All) | (Action::All, _) => {
                purge(EncodedPaths::everything()).await
            }
            (Action::Invalidate(paths), _) => purge(paths).await,
            (Action::Status(id), _) => {
                // A name can have the form of an id.
                let named = id.as_ref().and_then(|id| settings.site(id.as_str()));
                let (sites, id) = match named {
                    Some(site) => (vec![site.clone()], None),
                    None => (sites, id.as_ref()),
                };
                let status = self.status_text(&sites, id, extras.until, support, invocation);
                reply(status.await?)
            }
            (Action::Usage, _) => {
                let usage = self.usage_text(&sites, extras.until, support, invocation);
                reply(usage.await)
            }
            (Action::Verify(urls), _) => {
                reply(self.verify_text(&sites, &urls, support, invocation).await)
            }
        }
    }

    /// Creates the invalidations, or finds those that the command created before.
    async fn purge(
        &self,
        command: &SlashCommand,
        sites: &[SlackSite],
        paths: EncodedPaths,
        extras: Extras,
        invocation: &Invocation,
    ) -> Result<Purge, Error> {
        let settings = self.settings()?;
        let identity = RequestIdentity::of_command(&command.trigger_id);
        let request = PathRequest {
            paths,
            options: RequestOptions::default(),
        };
        let mut progress = Progress::default();
        progress.add_distributions(sites.iter().map(|site| site.distribution.clone()));
        let (outcome, staging_error) = self
            .submit_requested_paths(&mut progress, &request, &identity, invocation)
            .await;
        let paths = request.paths.paths;
        let folders = paths
            .iter()
            .filter_map(|path| note_about_folder_page(path, &paths));
        let folder_notes: Vec<_> = folders.collect();
        let notes: BTreeSet<_> = outcome
            .reports
            .iter()
            .flat_map(|report| &report.notes)
            .collect();
        let listed = async {
            if !extras.lists_earlier_purges {
                return Vec::new();
            }
            let list = self.list_earlier(&progress, &paths, invocation);
            timeout_at(extras.until, list).await.unwrap_or_default()
        };
        let (labels, earlier) = join(self.labels(sites, extras.until, invocation), listed).await;
        let errors = outcome.reports.iter().filter_map(|report| {
            let error = report.result.as_ref().err()?;
            Some((
                label_of(report.batch.distribution(), sites, &labels),
                error.clone(),
            ))
        });
        let mut errors: Vec<_> = errors.collect();
        if settings.invalidate_staging && progress.has_pending_staging() {
            let error = staging_error.map(|error| ("the staging distribution".to_owned(), error));
            errors.extend(error);
        }
        let has_invalidation = |site: &SlackSite| {
            let mut distributions = progress.distributions.iter();
            distributions
                .any(|current| current.distribution == site.distribution && current.is_submitted())
        };
        let accepted = sites.iter().zip(&labels);
        let accepted = accepted.filter(|(site, _)| has_invalidation(site));
        let accepted: Vec<_> = accepted.map(|(_, label)| label.clone()).collect();
        let is_accepted = !accepted.is_empty();
        let paths_text = reply::paths_text(&paths);
        Ok(Purge {
            requested: format!("{paths_text} of {}", reply::sites_text(&labels)),
            accepted: format!("{paths_text} of {}", reply::sites_text(&accepted)),
            created: self.creation_times(&progress),
            paths: outcome
                .reports
                .iter()
                .map(BatchReport::accepted_paths)
                .sum(),
            notes: notes.into_iter().cloned().chain(folder_notes).collect(),
            progress,
            errors,
            earlier,
            is_accepted,
            remarks: Vec::new(),
        })
    }

    /// Returns when CloudFront created the invalidations, as far as this process knows.
    fn creation_times(&self, progress: &Progress) -> Vec<DateTime<Utc>> {
        let times = progress.distributions.iter().filter_map(|current| {
            let id = current.stage.invalidation()?;
            self.warm_state.creation_time(&current.distribution, id)
        });
        times.collect()
    }

    /// Returns the invalidations of the same paths that were in progress before.
    async fn list_earlier(
        &self,
        progress: &Progress,
        paths: &[InvalidationPath],
        invocation: &Invocation,
    ) -> Vec<ExistingInvalidation> {
        let now = self.clock.now().into();
        let accepted = progress.distributions.iter();
        let accepted = accepted
            .filter_map(|current| Some((&current.distribution, current.stage.invalidation()?)));
        let list = accepted.map(async |(distribution, own)| {
            let mut recent = self.list_recent(distribution, now, &[], invocation).await;
            recent.retain(|existing| {
                existing.id != *own && existing.is_in_progress() && existing.covers_all(paths)
            });
            recent
        });
        join_all(list).await.concat()
    }
}

/// Returns a note if a wildcard for a folder leaves the page of the folder as it is: `/blog/*` does not cover `/blog/`.
fn note_about_folder_page(path: &InvalidationPath, paths: &[InvalidationPath]) -> Option<String> {
    let folder = path.as_str().strip_suffix('*')?;
    let page = InvalidationPath::parse(folder).ok()?;
    let is_purged = paths.iter().any(|path| path.covers(&page));
    (folder.ends_with('/') && !is_purged).then(|| {
        format!(
            "{path:?} does not include the page {folder:?}; type it too if it changed",
            path = path.as_str()
        )
    })
}
