//! The replies to commands that change nothing: `status`, `usage` and `verify`.
//!
//! What could not be read is named in the reply, and its reason is logged. Otherwise a reply would claim that there is nothing
//! else.

use chrono::{DateTime, Utc};
use tokio::time::Instant;
use tracing::warn;

use super::purge::Support;
use super::reply::{self, paths_count};
use super::sites::{ids, label_of};
use crate::billing::{FREE_PATHS, dollars};
use crate::error::Error;
use crate::excerpt::thousands;
use crate::handler::Invalidator;
use crate::handler::newest::{NewestInvalidations, ShownInvalidation};
use crate::invocation::Invocation;
use crate::mrkdwn::{code, escape};
use crate::path::{EncodedPaths, SubmittedPath};
use crate::plan::{InvalidationId, InvalidationStatus};
use crate::settings::slack::SlackSite;
use crate::verify::Judgement;

impl Invalidator {
    /// Returns the newest invalidations of the sites, or the one with this id.
    pub(super) async fn status_text(
        &self,
        sites: &[SlackSite],
        id: Option<&InvalidationId>,
        end_of_extras: Instant,
        support: Support<'_>,
        invocation: &Invocation,
    ) -> Result<String, Error> {
        let distributions = ids(sites);
        let deadline = invocation.end_of_calls();
        let NewestInvalidations {
            shown,
            others_in_progress,
            unlisted,
        } = match id {
            Some(id) => {
                let cloudfront = self.cloudfront(invocation);
                let found = cloudfront
                    .find_invalidation(&distributions, id, deadline)
                    .await;
                match found {
                    Ok((distribution, found)) => NewestInvalidations {
                        shown: vec![ShownInvalidation {
                            distribution,
                            id: found.id,
                            created: found.created,
                            status: found.status,
                            paths: Ok(found.paths),
                        }],
                        ..NewestInvalidations::default()
                    },
                    Err(error) if error.is_no_such_invalidation() => {
                        return Ok(format!(
                            "No site that can be purged from Slack has the purge {}.",
                            code(id.as_str())
                        ));
                    }
                    Err(error) => return Err(error),
                }
            }
            None => {
                let newest = self.newest_invalidations(&distributions, deadline, invocation);
                newest.await
            }
        };
        if shown.is_empty() {
            match unlisted.first() {
                Some((_, error)) => return Err(error.clone()),
                None => return Ok("No purge was found.".to_owned()),
            }
        }
        let labels = self.labels(sites, end_of_extras, invocation).await;
        let label = |distribution: &_| label_of(distribution, sites, &labels);
        let now = self.now_of_cloudfront(invocation);
        let lines = shown
            .iter()
            .map(|found| status_line(found, &label(&found.distribution), now));
        let others = (others_in_progress > 0)
            .then(|| format!("{} more in progress", thousands(others_in_progress)));
        let unlisted = unlisted.iter().map(|(distribution, error)| {
            warn!(%distribution, cause = %error.category(), "{error}");
            let (label, reason) = (label(distribution), support.error_text(error));
            format!(
                "{}: its purges could not be read. {reason}",
                reply::site_text(&label)
            )
        });
        let lines = lines.chain(others).chain(unlisted);
        Ok(reply::list(lines))
    }

    /// Returns how many paths the sites have in this month.
    pub(super) async fn usage_text(
        &self,
        sites: &[SlackSite],
        end_of_extras: Instant,
        support: Support<'_>,
        invocation: &Invocation,
    ) -> String {
        let distributions = ids(sites);
        let deadline = invocation.end_of_calls();
        let usage = self.usage(&distributions, deadline, invocation).await;
        let labels = self.labels(sites, end_of_extras, invocation).await;
        let lines = usage
            .distributions
            .iter()
            .zip(&labels)
            .map(|(usage, label)| {
                if let Some(error) = &usage.error {
                    let distribution = &usage.distribution;
                    warn!(%distribution, cause = %error.category(), "{error}");
                }
                let site = reply::site_text(label);
                if let (0, Some(error)) = (usage.invalidations, &usage.error) {
                    let reason = support.error_text(error);
                    return format!("{site}: its purges could not be read. {reason}");
                }
                let purges = match usage.invalidations {
                    1 => "1 purge".to_owned(),
                    count => format!("{count} purges"),
                };
                let paths = paths_count(usage.paths);
                match usage.is_complete() {
                    true => format!("{site}: {paths} in {purges}"),
                    false => format!("{site}: {purges}; those that could be counted have {paths}"),
                }
            });
        format!(
            "Paths in {} so far:\n{}\nThe first {} paths of a month are free for all distributions of the AWS account \
             together, so other sites possibly use some of them. Each further path costs {}.",
            usage.month,
            reply::list(lines),
            thousands(FREE_PATHS),
            dollars(1)
        )
    }

    /// Returns whether visitors get the current version of the URLs.
    pub(super) async fn verify_text(
        &self,
        sites: &[SlackSite],
        urls: &EncodedPaths,
        support: Support<'_>,
        invocation: &Invocation,
    ) -> String {
        let distributions = ids(sites);
        let deadline = invocation.end_of_calls();
        let report = self
            .verify_urls(&distributions, urls, deadline, invocation)
            .await;
        let urls = report.urls.iter().map(|url| {
            let Judgement {
                verdict, reason, ..
            } = &url.judgement;
            format!(
                "{}: *{}*, {}",
                code(&url.url),
                verdict.as_str(),
                escape(&reason.to_string())
            )
        });
        let notes = report.notes.iter().map(|note| {
            warn!("verification: {note}");
            support.note_text(note)
        });
        reply::list(urls.chain(notes))
    }
}

fn status_line(found: &ShownInvalidation, label: &str, now: DateTime<Utc>) -> String {
    let status = match found.status {
        InvalidationStatus::InProgress => "in progress",
        InvalidationStatus::Completed => "completed",
    };
    let paths = match &found.paths {
        Ok(paths) => reply::excerpt_as_code(paths.iter().map(SubmittedPath::as_str)),
        Err(_) => "its paths could not be read".to_owned(),
    };
    format!(
        "{}: {} is {status}, requested {}: {paths}",
        reply::site_text(label),
        code(found.id.as_str()),
        reply::ago(now - found.created)
    )
}
