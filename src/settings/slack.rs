//! `SlackSettings`: what Slack can do, and where the function finds what it needs for that.
//!
//! They are separate from [`Settings`](super::Settings): an error in them is reported to Slack's callers, and never to a
//! pipeline job or an event of S3.

use super::{boolean, distributions, in_setting};
use crate::aws::secrets::SecretSource;
use crate::aws::sqs::QueueUrl;
use crate::distribution::DistributionId;
use crate::error::Error;
use crate::mrkdwn::escape;
use crate::trigger::slack::{Action, Command};

/// The settings of the functions that handle Slack, and of announcements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlackSettings {
    /// `SLACK_DISTRIBUTIONS`: the ids of the distributions that can be purged from Slack, separated by commas. Default: none.
    /// `SLACK_SITE_NAMES`: names for them in the same order, separated by commas; an empty entry gives no name.
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
            let items: Vec<_> = items.map(str::to_owned).collect();
            // A list of nothing would allow all.
            match (text.is_empty(), items.is_empty()) {
                (false, true) => Err(in_setting(
                    name,
                    Error::invalid_input("it has no id: write one, or remove the setting"),
                )),
                _ => Ok(items),
            }
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
                workspaces: list("SLACK_WORKSPACES")?,
                channels: list("SLACK_CHANNELS")?,
                users: list("SLACK_USERS")?,
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

impl SlackSettings {
    /// Returns the site with this distribution id, or with this name in upper or lower case.
    pub fn site(&self, name: &str) -> Option<&SlackSite> {
        let is_named = |site: &&SlackSite| {
            let own = site.name.as_deref();
            own.is_some_and(|own| own.eq_ignore_ascii_case(name))
        };
        let has_id = |site: &&SlackSite| site.distribution.as_str() == name;
        let mut sites = self.sites.iter();
        sites.clone().find(has_id).or_else(|| sites.find(is_named))
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
            } else if !is_site_of_command(name) {
                Some("cannot be typed as a site: it is a word of the command, a path or an id")
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

/// Returns whether a command that has only this word names a site with it.
fn is_site_of_command(name: &str) -> bool {
    let only_site = Command {
        action: Action::Default,
        sites: vec![name.to_ascii_lowercase()],
    };
    Command::parse(&escape(name)).is_ok_and(|command| command == only_site)
}

fn not_one_of(name: &str, value: &str, expected: &str) -> Error {
    in_setting(
        name,
        Error::invalid_input(format!("{value:?} is not {expected}")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(set: &[(&str, &str)]) -> Result<SlackSettings, String> {
        let value = |name: &str| {
            set.iter()
                .find(|(set, _)| *set == name)
                .map(|(_, value)| (*value).to_owned())
        };
        SlackSettings::from_environment(value).map_err(|error| error.to_string())
    }

    fn defaults() -> SlackSettings {
        SlackSettings {
            sites: Vec::new(),
            default_action: DefaultAction::Plan,
            allowed: AllowLists::default(),
            contact: "the owner of this command".to_owned(),
            shows_in_channel: true,
            secret: None,
            queue: None,
            dead_letter_queue: None,
            announcements: Announcements::Nothing,
        }
    }

    fn texts<const N: usize>(texts: [&str; N]) -> Vec<String> {
        texts.map(str::to_owned).to_vec()
    }

    /// Returns the ids and the names of the sites.
    fn sites_of(ids: &str, names: &str) -> Result<Vec<(String, Option<String>)>, String> {
        let set = [("SLACK_DISTRIBUTIONS", ids), ("SLACK_SITE_NAMES", names)];
        let sites = settings(&set)?.sites.into_iter();
        Ok(sites
            .map(|site| (site.distribution.to_string(), site.name))
            .collect())
    }

    #[test]
    fn has_a_default_for_each_setting() {
        assert_eq!(settings(&[]), Ok(defaults()));
        let empty = [
            "SLACK_DISTRIBUTIONS",
            "SLACK_SITE_NAMES",
            "SLACK_DEFAULT",
            "SLACK_WORKSPACES",
            "SLACK_CHANNELS",
            "SLACK_USERS",
            "SLACK_CONTACT",
            "SLACK_SHOW_IN_CHANNEL",
            "SLACK_SECRET_NAME",
            "SLACK_SECRET_PARAMETER",
            "SLACK_QUEUE_URL",
            "SLACK_DEAD_LETTER_QUEUE_URL",
            "SLACK_ANNOUNCEMENTS",
        ];
        for blank in ["", " \n"] {
            assert_eq!(settings(&empty.map(|name| (name, blank))), Ok(defaults()));
        }
    }

    #[test]
    fn reads_each_setting() {
        const QUEUE: &str = "https://sqs.eu-west-1.amazonaws.com/111122223333/slack";
        const DEAD: &str = "https://sqs.eu-west-1.amazonaws.com/111122223333/dead";
        let queue = |url| QueueUrl::parse(url).ok();
        let secret = |name: &str| SecretSource::SecretsManager(name.to_owned());
        let parameter = |name: &str| SecretSource::Parameter(name.to_owned());
        let allowed = |workspaces, channels, users| AllowLists {
            workspaces,
            channels,
            users,
        };
        let [t, c, u] = [["T1", "E1"], ["C1", "G1"], ["U1", "W1"]].map(texts);
        #[rustfmt::skip]
        let cases = [
            ("SLACK_DEFAULT", " plan ", defaults()),
            ("SLACK_DEFAULT", "all", SlackSettings { default_action: DefaultAction::All, ..defaults() }),
            ("SLACK_WORKSPACES", "T1, E1,", SlackSettings { allowed: allowed(t, vec![], vec![]), ..defaults() }),
            ("SLACK_CHANNELS", ",C1,,G1", SlackSettings { allowed: allowed(vec![], c, vec![]), ..defaults() }),
            ("SLACK_USERS", "U1,\tW1\n", SlackSettings { allowed: allowed(vec![], vec![], u), ..defaults() }),
            ("SLACK_CONTACT", " #web-team ", SlackSettings { contact: "#web-team".to_owned(), ..defaults() }),
            ("SLACK_SHOW_IN_CHANNEL", "False", SlackSettings { shows_in_channel: false, ..defaults() }),
            ("SLACK_SHOW_IN_CHANNEL", "true", defaults()),
            ("SLACK_SECRET_NAME", " team/slack\n", SlackSettings { secret: Some(secret("team/slack")), ..defaults() }),
            ("SLACK_SECRET_PARAMETER", "/slack", SlackSettings { secret: Some(parameter("/slack")), ..defaults() }),
            ("SLACK_QUEUE_URL", QUEUE, SlackSettings { queue: queue(QUEUE), ..defaults() }),
            ("SLACK_DEAD_LETTER_QUEUE_URL", DEAD, SlackSettings { dead_letter_queue: queue(DEAD), ..defaults() }),
            ("SLACK_ANNOUNCEMENTS", "none", defaults()),
            ("SLACK_ANNOUNCEMENTS", "failures", SlackSettings { announcements: Announcements::Failures, ..defaults() }),
            ("SLACK_ANNOUNCEMENTS", "all", SlackSettings { announcements: Announcements::All, ..defaults() }),
        ];
        for (name, value, expected) in cases {
            assert_eq!(settings(&[(name, value)]), Ok(expected), "{name}={value}");
        }
    }

    #[test]
    fn an_error_names_the_setting_and_what_it_can_be() {
        for (set, expected) in [
            (
                &[("SLACK_DEFAULT", "plans")][..],
                "setting SLACK_DEFAULT: \"plans\" is not plan or all",
            ),
            (
                &[("SLACK_DEFAULT", "ALL")],
                "setting SLACK_DEFAULT: \"ALL\" is not plan or all",
            ),
            (
                &[("SLACK_ANNOUNCEMENTS", "failed")],
                "setting SLACK_ANNOUNCEMENTS: \"failed\" is not none, failures or all",
            ),
            (
                &[("SLACK_SHOW_IN_CHANNEL", "yes")],
                "setting SLACK_SHOW_IN_CHANNEL: \"yes\" is not true or false",
            ),
            (
                &[("SLACK_QUEUE_URL", "slack")],
                "setting SLACK_QUEUE_URL: \"slack\" is not the URL of a standard queue: write one such as \
                 https://sqs.eu-west-1.amazonaws.com/111122223333/queue",
            ),
            (
                &[("SLACK_DEAD_LETTER_QUEUE_URL", "dead")],
                "setting SLACK_DEAD_LETTER_QUEUE_URL: \"dead\" is not the URL of a standard queue: write one such as \
                 https://sqs.eu-west-1.amazonaws.com/111122223333/queue",
            ),
            (
                &[("SLACK_SECRET_NAME", "a"), ("SLACK_SECRET_PARAMETER", "b")],
                "settings SLACK_SECRET_NAME and SLACK_SECRET_PARAMETER are both set: remove one",
            ),
        ] {
            assert_eq!(settings(set), Err(expected.to_owned()));
        }
        let error = sites_of("www.example.com", "").expect_err("no id");
        assert!(
            error.starts_with("setting SLACK_DISTRIBUTIONS: "),
            "{error}"
        );
    }

    #[test]
    fn names_belong_to_the_distributions_in_their_order() {
        const IDS: &str = "E1EXAMPLE1ABC, E2EXAMPLE1ABC";
        for (names, expected) in [
            ("", [None, None]),
            ("blog", [Some("blog"), None]),
            (",shop", [None, Some("shop")]),
            (" Blog ,shop,,", [Some("Blog"), Some("shop")]),
            (
                "www.example.com,a&b",
                [Some("www.example.com"), Some("a&b")],
            ),
            ("2,grün", [Some("2"), Some("grün")]),
        ] {
            let [first, second] = expected.map(|name| name.map(str::to_owned));
            let sites = vec![
                ("E1EXAMPLE1ABC".to_owned(), first),
                ("E2EXAMPLE1ABC".to_owned(), second),
            ];
            assert_eq!(sites_of(IDS, names), Ok(sites), "{names}");
        }
        let once = vec![("E1EXAMPLE1ABC".to_owned(), None)];
        assert_eq!(sites_of("E1EXAMPLE1ABC,,E1EXAMPLE1ABC", ""), Ok(once));
    }

    #[test]
    fn a_name_that_no_command_can_mean_is_an_error() {
        const IDS: &str = "E1EXAMPLE1ABC,E2EXAMPLE1ABC";
        const UNTYPEABLE: &str =
            "cannot be typed as a site: it is a word of the command, a path or an id";
        for (ids, names, expected) in [
            (
                IDS,
                "a,b,c",
                "\"c\" is the name of no distribution, because SLACK_DISTRIBUTIONS has 2",
            ),
            (
                "",
                "blog",
                "\"blog\" is the name of no distribution, because SLACK_DISTRIBUTIONS has 0",
            ),
            (IDS, "blog,Blog", "\"Blog\" appears twice"),
        ] {
            let expected = format!("setting SLACK_SITE_NAMES: {expected}");
            assert_eq!(sites_of(ids, names), Err(expected), "{names}");
        }
        for name in [
            "my blog",
            "/blog",
            "#blog",
            "*",
            "<blog",
            "all",
            "ALL",
            "help",
            "status",
            "usage",
            "verify",
            "blog/en",
            "https://www.example.com",
            "www.example.com/",
            "E2EXAMPLE1ABC",
            "{blog",
            "\"blog\"",
            "bl\u{200b}og",
        ] {
            let expected = format!("setting SLACK_SITE_NAMES: {name:?} {UNTYPEABLE}");
            assert_eq!(sites_of(IDS, name), Err(expected), "{name}");
        }
        assert_eq!(
            sites_of("E1EXAMPLE1ABC,E1EXAMPLE1ABC,E2EXAMPLE1ABC", "blog,shop"),
            Err(
                "setting SLACK_DISTRIBUTIONS: an id appears twice, so SLACK_SITE_NAMES has no clear order"
                    .to_owned()
            )
        );
    }

    #[test]
    fn each_list_that_is_not_empty_must_allow_the_request() {
        let lists = |workspaces: &[&str], channels: &[&str], users: &[&str]| {
            let [workspaces, channels, users] = [workspaces, channels, users]
                .map(|ids| ids.iter().map(|id| (*id).to_owned()).collect());
            AllowLists {
                workspaces,
                channels,
                users,
            }
        };
        for (allowed, expected) in [
            (lists(&[], &[], &[]), true),
            (lists(&["T1"], &["C1"], &["U1"]), true),
            (lists(&["T2", "T1"], &["C2", "C1"], &[]), true),
            (lists(&["E1"], &[], &[]), true),
            (lists(&["E2"], &[], &[]), false),
            (lists(&["t1"], &[], &[]), false),
            (lists(&["T1"], &["C2"], &["U1"]), false),
            (lists(&["T1"], &["C1"], &["U2"]), false),
            (lists(&["T2"], &["C1"], &["U1"]), false),
            // Each id counts in its own list only.
            (lists(&["C1"], &[], &[]), false),
            (lists(&[], &["E1"], &[]), false),
        ] {
            assert_eq!(
                allowed.allow("T1", Some("E1"), "C1", "U1"),
                expected,
                "{allowed:?}"
            );
        }
        assert!(!lists(&["E1"], &[], &[]).allow("T1", None, "C1", "U1"));
    }
}
