//! `Purge`: what a purge requested of CloudFront, and what to report about it.
//!
//! A text claims only what CloudFront confirmed: it names the sites that have an invalidation, and adds what failed. The message
//! about the completion can be written by another process, so a [`SubmittedPurge`] has all that it needs.

use chrono::{DateTime, Utc};
use tracing::error;

use super::reply::{self, Reply};
use crate::distribution::DistributionId;
use crate::error::{Category, Error};
use crate::handler::progress::{DistributionProgress, Progress, Stage, StagingSearch};
use crate::mrkdwn::{self, code, escape};
use crate::plan::{ExistingInvalidation, InvalidationId};
use crate::trigger::slack::task::{SubmittedInvalidation, SubmittedPurge};

/// A purge, and how far it is.
pub(super) struct Purge {
    /// What was requested, as mrkdwn: paths and sites.
    pub(super) requested: String,
    /// What CloudFront accepted, as mrkdwn: the paths, and the sites that have an invalidation.
    pub(super) accepted: String,
    pub(super) progress: Progress,
    /// Whether CloudFront has an invalidation of at least one of the sites. It can have only that of a staging distribution.
    pub(super) is_accepted: bool,
    /// When CloudFront created the invalidations, as far as is known.
    pub(super) created: Vec<DateTime<Utc>>,
    /// How many paths CloudFront accepted.
    pub(super) paths: usize,
    /// Why sites have no invalidation.
    pub(super) errors: Vec<(String, Error)>,
    /// Invalidations of the same paths that were in progress before.
    pub(super) earlier: Vec<ExistingInvalidation>,
    pub(super) notes: Vec<String>,
    /// What an earlier reply had about sites that were not purged, as mrkdwn.
    pub(super) remarks: Vec<String>,
}

/// Whom to ask, and the request id of the log, in texts about errors.
#[derive(Clone, Copy)]
pub(super) struct Support<'a> {
    pub(super) contact: &'a str,
    pub(super) request_id: &'a str,
}

impl Support<'_> {
    /// Returns a note for a person in Slack. One about a permission has the advice for the operator, with an ARN.
    pub(super) fn note_text(&self, note: &str) -> String {
        if ["arn:", "UserParameters"]
            .iter()
            .any(|text| note.contains(text))
        {
            return format!(
                "Note: not everything about the site could be checked in AWS. {}",
                self.see_log()
            );
        }
        format!("Note: {}", mrkdwn::quotes_as_code(note))
    }

    fn see_log(&self) -> String {
        format!(
            "Ask {}, who finds the details in the log under {}.",
            escape(self.contact),
            code(self.request_id)
        )
    }

    /// Returns an error in words for a person in Slack, as sentences. What only the operator can mend is in the log: a person in
    /// Slack must not learn ARNs.
    pub(super) fn error_text(&self, error: &Error) -> String {
        let see_log = self.see_log();
        if error.is_no_such_distribution() {
            // The error has advice for the settings of the function.
            return format!("The site does not exist in AWS. {see_log}");
        }
        match error.category() {
            Category::InvalidInput | Category::RejectedPath => {
                reply::sentence(&mrkdwn::quotes_as_code(&error.to_string()))
            }
            Category::Throttled => "CloudFront accepts no more requests at the moment.".to_owned(),
            Category::Unavailable => "AWS did not respond as expected.".to_owned(),
            Category::Permission => format!("The function lacks a permission in AWS. {see_log}"),
            Category::Stale | Category::Internal => {
                format!("Something failed in the function. {see_log}")
            }
        }
    }
}

impl Purge {
    /// Continues a purge that CloudFront accepted.
    pub(super) fn submitted(submitted: &SubmittedPurge) -> Self {
        let progress = submitted.invalidations.iter().filter_map(|invalidation| {
            Some(DistributionProgress {
                distribution: invalidation.distribution()?,
                stage: invalidation
                    .id()
                    .map_or(Stage::Submitted, Stage::InProgress),
                staging: StagingSearch::Done,
            })
        });
        let created = submitted.invalidations.iter();
        Self {
            requested: submitted.subject.clone(),
            accepted: submitted.subject.clone(),
            progress: Progress {
                distributions: progress.collect(),
            },
            is_accepted: true,
            created: created.filter_map(SubmittedInvalidation::created).collect(),
            paths: 0,
            errors: Vec::new(),
            earlier: Vec::new(),
            notes: Vec::new(),
            remarks: submitted.remarks.clone(),
        }
    }

    /// Adds notes about the command.
    pub(super) fn with_notes(mut self, notes: Vec<String>) -> Self {
        self.notes.extend(notes);
        self
    }

    /// Returns the error that a later attempt can succeed after, if there is one.
    pub(super) fn transient_error(&self) -> Option<&Error> {
        let mut errors = self.errors.iter().map(|(_, error)| error);
        errors.find(|error| error.is_transient())
    }

    /// Returns why a distribution has no invalidation, if one has none.
    pub(super) fn error(&self) -> Option<&Error> {
        self.transient_error()
            .or_else(|| self.errors.first().map(|(_, error)| error))
    }

    /// Returns what a message of the queue has about the invalidations.
    pub(super) fn to_submitted(
        &self,
        created: impl Fn(&DistributionId, &InvalidationId) -> Option<DateTime<Utc>>,
        support: Support<'_>,
    ) -> SubmittedPurge {
        let accepted = self.progress.distributions.iter();
        let accepted = accepted.filter(|current| current.is_submitted());
        let invalidations = accepted.map(|current| {
            let id = current.stage.invalidation();
            let created = id.and_then(|id| created(&current.distribution, id));
            SubmittedInvalidation::new(&current.distribution, id, created)
        });
        SubmittedPurge {
            subject: self.accepted.clone(),
            invalidations: invalidations.collect(),
            remarks: self.error_lines(support).collect(),
        }
    }

    /// Returns the reply to a purge that CloudFront accepted at least in part. `what_follows` is about its completion.
    pub(super) fn accepted(
        &self,
        what_follows: &str,
        now: DateTime<Utc>,
        support: Support<'_>,
    ) -> Reply {
        let text = format!("Purging {}. {what_follows}", self.accepted);
        let mut reply = Reply::ephemeral(text);
        if let Some(line) = self.earlier_text(now) {
            reply = reply.with_line(&line);
        }
        self.with_details(reply, support)
    }

    /// Adds what a reply has beside what was purged.
    fn with_details(&self, mut reply: Reply, support: Support<'_>) -> Reply {
        if self.paths > 0 {
            reply = reply.with_line(&reply::cost_text(self.paths));
        }
        let notes = self.notes.iter().map(|note| support.note_text(note));
        let mut notes: Vec<_> = notes.collect();
        // Those about several sites differ in what only the operator reads.
        notes.dedup();
        for note in notes.iter().chain(&self.remarks) {
            reply = reply.with_line(note);
        }
        self.with_errors(reply, support)
    }

    /// Returns a line about the purges of the same paths that are in progress, if there are any.
    fn earlier_text(&self, now: DateTime<Utc>) -> Option<String> {
        let newest = self.earlier.iter().map(|earlier| earlier.created).max()?;
        let ids = reply::excerpt_as_code(self.earlier.iter().map(|earlier| earlier.id.as_str()));
        let ago = reply::ago(now - newest);
        let in_progress = match self.earlier.len() {
            1 => {
                format!(
                    "A purge that includes these paths, requested {ago}, is still in progress ({ids})."
                )
            }
            count => format!(
                "{count} purges that include these paths are still in progress, the newest requested {ago} ({ids})."
            ),
        };
        Some(format!(
            "{in_progress} This is a new one, because files can have changed since then."
        ))
    }

    /// Returns the reply to a purge that CloudFront refused.
    pub(super) fn refused(&self, support: Support<'_>) -> Reply {
        // Without a response, CloudFront can have accepted it all the same.
        let is_unknown = |(_, error): &(String, Error)| error.category() == Category::Unavailable;
        let not_purged = match self.errors.iter().any(is_unknown) {
            true => "Possibly not purged",
            false => "Not purged",
        };
        let reply = Reply::ephemeral(format!("{not_purged}: {}.", self.requested));
        match self.errors.as_slice() {
            [(_, error)] => reply.with_line(&support.error_text(error)),
            _ => self.with_errors(reply, support),
        }
    }

    /// Returns the message at the end of a purge that CloudFront accepted at least in part. `person` is who requested it, if
    /// the channel sees the message.
    pub(super) fn finished(
        &self,
        now: DateTime<Utc>,
        person: Option<&str>,
        support: Support<'_>,
    ) -> Reply {
        let accepted = self.progress.distributions.iter();
        let accepted = accepted.filter(|current| current.is_submitted()).count();
        let completed = self.progress.completed_count();
        let end = match (
            completed == accepted && accepted > 0,
            self.created.iter().min(),
        ) {
            (true, Some(created)) => {
                let time = reply::duration_text(now - created);
                format!("fresh everywhere {time}")
            }
            (true, None) => "fresh everywhere".to_owned(),
            (false, _) => format!(
                "not confirmed as complete ({completed} of {accepted}). CloudFront completes what it accepted; `status` shows it"
            ),
        };
        let subject = &self.accepted;
        let reply = match person {
            Some(person) => Reply::in_channel(format!("<@{person}> purged {subject}: {end}.")),
            None => Reply::ephemeral(format!("Purged {subject}: {end}.")),
        };
        self.with_details(reply, support)
    }

    /// Logs why sites were not purged.
    pub(super) fn log_errors(&self) {
        for (site, error) in &self.errors {
            error!(%site, cause = %error.category(), "{error}");
        }
    }

    /// Adds what failed.
    fn with_errors(&self, reply: Reply, support: Support<'_>) -> Reply {
        self.error_lines(support)
            .fold(reply, |reply, line| reply.with_line(&line))
    }

    fn error_lines(&self, support: Support<'_>) -> impl Iterator<Item = String> {
        self.errors.iter().map(move |(site, error)| {
            let text = support.error_text(error);
            format!("{} was not purged. {text}", reply::site_text(site))
        })
    }
}
