//! `SlackSettings`: what Slack can do, and where the function finds what it needs for that.
//!
//! They are separate from [`Settings`](super::Settings): an error in them is reported to Slack's callers, and never to a
//! pipeline job or an event of S3.

use super::{boolean, distributions, in_setting};
use crate::aws::secrets::SecretSource;
use crate::aws::sqs::QueueUrl;
use crate::distribution::DistributionId;
use crate::error::Error;

/// The settings of the functions that handle Slack, and of announcements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlackSettings {
    /// `SLACK_DISTRIBUTIONS`: the ids of the distributions that can be purged from Slack, separated by commas. Default: none.
    /// `SLACK_SITE_NAMES`: names for them in the same order, separated by commas; an empty one is no name.
    pub sites: Vec<SlackSite>,
    /// `SLACK_DEFAULT`: what the command does without a text: `plan` or `all`. Default: `plan`.
    pub default_action: DefaultAction,
    /// `SLACK_WORKSPACES`, `SLACK_CHANNELS` and `SLACK_USERS`: the ids of those who can use the command, separated by commas.
    /// Default: all.
    pub allowed: AllowLists,
    /// `SLACK_CONTACT`: whom to ask, in the replies. Default: `the owner of this command`.
    pub contact: String,
    /// `SLACK_SHOW_IN_CHANNEL`: whether the channel sees who purged what: `true` or `false`. Default: `true`.
    pub shows_in_channel: bool,
    /// `SLACK_SECRET_NAME` or `SLACK_SECRET_PARAMETER`: where the signing secrets and the incoming webhook are.
    pub secret: Option<SecretSource>,
    /// `SLACK_QUEUE_URL`: the queue for what takes longer than a reply.
    pub queue: Option<QueueUrl>,
    /// `SLACK_DEAD_LETTER_QUEUE_URL`: the queue for commands that could not be run.
    pub dead_letter_queue: Option<QueueUrl>,
    /// `SLACK_ANNOUNCEMENTS`: which outcomes of pipeline jobs and events are posted to the incoming webhook: `none`,
    /// `failures` or `all`. Default: `none`.
    pub announcements: Announcements,
}

/// A distribution that can be purged from Slack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlackSite {
    /// The distribution.
    pub distribution: DistributionId,
    /// The name that the settings give it.
    pub name: Option<String>,
}

/// What the command does without a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultAction {
    /// Shows what would happen.
    Plan,
    /// Purges everything.
    All,
}

/// Who can use the command. An empty list allows all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowLists {
    /// The ids of workspaces, or of Enterprise Grid organizations.
    pub workspaces: Vec<String>,
    /// The ids of channels.
    pub channels: Vec<String>,
    /// The ids of users.
    pub users: Vec<String>,
}

/// Which outcomes of pipeline jobs and events are announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Announcements {
    /// None.
    Nothing,
    /// Those that failed.
    Failures,
    /// All.
    All,
}

impl SlackSettings {
    /// Reads the settings. `variable` returns the value of an environment variable. An empty value counts as unset.
    ///
    /// # Errors
    ///
    /// Returns an [`Error`] that names the variable if a value is invalid.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let read = |name| {
            let value = variable(name).map(|value| value.trim().to_owned());
            value.filter(|value| !value.is_empty())
        };
        let list = |name| {
            let text = read(name).unwrap_or_default();
            let items = text.split(',').map(str::trim);
            let items = items.filter(|item| !item.is_empty());
            items.map(str::to_owned).collect::<Vec<_>>()
        };
        let queue = |name| {
            let url = read(name).map(|url| QueueUrl::parse(&url)).transpose();
            url.map_err(|error| in_setting(name, error))
        };
        let secret = match (read("SLACK_SECRET_NAME"), read("SLACK_SECRET_PARAMETER")) {
            (Some(name), None) => Some(SecretSource::SecretsManager(name)),
            (None, Some(name)) => Some(SecretSource::Parameter(name)),
            (None, None) => None,
            (Some(_), Some(_)) => {
                return Err(Error::invalid_input(
                    "settings SLACK_SECRET_NAME and SLACK_SECRET_PARAMETER are both set: remove one",
                ));
            }
        };
        Ok(Self {
            sites: sites(
                &read("SLACK_DISTRIBUTIONS").unwrap_or_default(),
                &read("SLACK_SITE_NAMES").unwrap_or_default(),
            )?,
            default_action: match read("SLACK_DEFAULT").as_deref() {
                None | Some("plan") => DefaultAction::Plan,
                Some("all") => DefaultAction::All,
                Some(other) => return Err(not_one_of("SLACK_DEFAULT", other, "plan or all")),
            },
            allowed: AllowLists {
                workspaces: list("SLACK_WORKSPACES"),
                channels: list("SLACK_CHANNELS"),
                users: list("SLACK_USERS"),
            },
            contact: read("SLACK_CONTACT")
                .unwrap_or_else(|| "the owner of this command".to_owned()),
            shows_in_channel: read("SLACK_SHOW_IN_CHANNEL")
                .map_or(Ok(true), |text| boolean(&text))
                .map_err(|error| in_setting("SLACK_SHOW_IN_CHANNEL", error))?,
            secret,
            queue: queue("SLACK_QUEUE_URL")?,
            dead_letter_queue: queue("SLACK_DEAD_LETTER_QUEUE_URL")?,
            announcements: match read("SLACK_ANNOUNCEMENTS").as_deref() {
                None | Some("none") => Announcements::Nothing,
                Some("failures") => Announcements::Failures,
                Some("all") => Announcements::All,
                Some(other) => {
                    let expected = "none, failures or all";
                    return Err(not_one_of("SLACK_ANNOUNCEMENTS", other, expected));
                }
            },
        })
    }
}

impl AllowLists {
    /// Returns whether all lists allow the request. A workspace is allowed by its own id or by that of its organization.
    pub fn allow(
        &self,
        workspace: &str,
        enterprise: Option<&str>,
        channel: &str,
        user: &str,
    ) -> bool {
        let has = |list: &[String], id: &str| list.iter().any(|allowed| allowed == id);
        let allows = |list: &[String], id: &str| list.is_empty() || has(list, id);
        (allows(&self.workspaces, workspace)
            || enterprise.is_some_and(|enterprise| has(&self.workspaces, enterprise)))
            && allows(&self.channels, channel)
            && allows(&self.users, user)
    }
}

fn sites(ids: &str, names: &str) -> Result<Vec<SlackSite>, Error> {
    let count = ids.split(',').filter(|id| !id.trim().is_empty()).count();
    let ids = distributions(ids).map_err(|error| in_setting("SLACK_DISTRIBUTIONS", error))?;
    if ids.len() < count && !names.is_empty() {
        let message = "an id appears twice, so SLACK_SITE_NAMES has no clear order";
        return Err(in_setting(
            "SLACK_DISTRIBUTIONS",
            Error::invalid_input(message),
        ));
    }
    let names: Vec<_> = names.split(',').map(str::trim).collect();
    let surplus = names.iter().skip(ids.len()).find(|name| !name.is_empty());
    if let Some(name) = surplus {
        return Err(Error::invalid_input(format!(
            "setting SLACK_SITE_NAMES: {name:?} is the name of no distribution, because SLACK_DISTRIBUTIONS has {}",
            ids.len()
        )));
    }
    let mut sites: Vec<SlackSite> = Vec::new();
    for (index, distribution) in ids.into_iter().enumerate() {
        let name = names.get(index).filter(|name| !name.is_empty());
        if let Some(name) = name {
            let is_taken = |site: &SlackSite| {
                let taken = site.name.as_deref();
                taken.is_some_and(|taken| taken.eq_ignore_ascii_case(name))
            };
            let reason = if sites.iter().any(is_taken) {
                Some("appears twice")
            } else if name.contains(|character: char| character.is_whitespace())
                || name.starts_with(['/', '#', '*', '<'])
            {
                Some("cannot be typed as a word of a command")
            } else {
                None
            };
            if let Some(reason) = reason {
                return Err(Error::invalid_input(format!(
                    "setting SLACK_SITE_NAMES: {name:?} {reason}"
                )));
            }
        }
        sites.push(SlackSite {
            distribution,
            name: name.map(|name| (*name).to_owned()),
        });
    }
    Ok(sites)
}

fn not_one_of(name: &str, value: &str, expected: &str) -> Error {
    in_setting(
        name,
        Error::invalid_input(format!("{value:?} is not {expected}")),
    )
}
