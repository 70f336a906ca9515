//! `Reply`: what a person in Slack reads, as mrkdwn. Every text that a person, a bucket or AWS wrote is escaped.
//!
//! The words are those of a person who edits a site: site, paths, cost.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::billing::{FREE_PATHS, dollars};
use crate::duration::age_text;
use crate::excerpt::{Excerpt, thousands};
use crate::mrkdwn::{code, escape};
use crate::path::InvalidationPath;

/// How many paths a reply lists.
const MAX_PATHS: usize = 10;

/// What to do about a command that failed for the moment.
pub(super) const SEND_AGAIN: &str = "Send the command again in a few minutes.";

/// What follows an accepted purge.
pub(super) const REPORTED_LATER: &str = "A message follows when it is fresh everywhere.";

/// What follows an accepted purge if the queue does not accept the rest.
pub(super) const UNREPORTED: &str = "No message follows when it is fresh, because the queue of the function does not respond; `status` shows it.";

/// A message for a person, and who sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    text: String,
    in_channel: bool,
}

impl Reply {
    /// Creates a message that only the person sees, from mrkdwn.
    pub(super) fn ephemeral(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            in_channel: false,
        }
    }

    /// Creates a message that everyone in the channel sees, from mrkdwn.
    pub(super) fn in_channel(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            in_channel: true,
        }
    }

    /// Returns the message as Slack reads it, in a response and in a post to a response URL.
    ///
    /// <https://docs.slack.dev/interactivity/implementing-slash-commands>
    pub(super) fn to_json(&self) -> Value {
        let response_type = if self.in_channel {
            "in_channel"
        } else {
            "ephemeral"
        };
        json!({ "response_type": response_type, "text": self.text })
    }

    /// Adds a line.
    pub(super) fn with_line(mut self, line: &str) -> Self {
        self.text.push('\n');
        self.text.push_str(line);
        self
    }
}

/// Returns the paths of a purge in words.
pub(super) fn paths_text(paths: &[InvalidationPath]) -> String {
    if paths
        .iter()
        .any(|path| *path == InvalidationPath::everything())
    {
        return "everything".to_owned();
    }
    excerpt_as_code(paths.iter().map(InvalidationPath::as_str))
}

/// Returns the first of some paths or ids.
pub(super) fn excerpt_as_code<'a>(paths: impl IntoIterator<Item = &'a str>) -> String {
    let excerpt: Excerpt<MAX_PATHS> = paths.into_iter().map(code).collect();
    excerpt.join(", ")
}

/// Returns a number of paths.
pub(super) fn paths_count(count: usize) -> String {
    match count {
        1 => "1 path".to_owned(),
        count => format!("{} paths", thousands(count)),
    }
}

/// Returns the name of a site: bold, or code if it has a character that Slack formats.
pub(super) fn site_text(site: &str) -> String {
    match site.contains(['*', '`', '~']) {
        true => code(site),
        false => format!("*{}*", escape(site)),
    }
}

/// Returns the names of sites in words.
pub(super) fn sites_text(sites: &[String]) -> String {
    let names: Vec<_> = sites.iter().map(|site| site_text(site)).collect();
    match names.as_slice() {
        [] => "no site".to_owned(),
        [name] => name.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// Returns what a number of paths costs.
pub(super) fn cost_text(paths: usize) -> String {
    format!(
        "Cost: {} for {}; free within the first {} of the AWS account in a month.",
        dollars(paths),
        paths_count(paths),
        thousands(FREE_PATHS)
    )
}

/// Returns after which time the completion of a purge was seen, in words. A long time can be that of the queue.
pub(super) fn duration_text(time: TimeDelta) -> String {
    match time.num_seconds().max(1) {
        seconds @ ..60 => format!("after {seconds} s"),
        seconds => format!("within {} min", (seconds + 59) / 60),
    }
}

/// Returns an error's text as a sentence.
pub(super) fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let Some(first) = characters.next() else {
        return String::new();
    };
    let mut sentence: String = first.to_uppercase().collect();
    sentence.push_str(characters.as_str());
    if !sentence.ends_with(['.', '?', '!']) {
        sentence.push('.');
    }
    sentence
}

/// Returns how long ago something was, in words.
pub(super) fn ago(age: TimeDelta) -> String {
    match age.num_seconds() {
        ..2 => "just now".to_owned(),
        _ => format!("{} ago", age_text(age)),
    }
}

/// Returns lines as a list.
pub(super) fn list(lines: impl IntoIterator<Item = String>) -> String {
    let lines: Vec<_> = lines.into_iter().map(|line| format!("• {line}")).collect();
    lines.join("\n")
}

/// Returns what each command does. `name` is the name of the slash command, such as `/cdn-purge`.
pub(super) fn help_text(name: &str, default: &str, sites: &[String]) -> String {
    let command = |words: &str| code(&format!("{name} {words}"));
    let site = sites.first().map_or("www.example.com", String::as_str);
    let lines = [
        format!("{}: {default}", code(name)),
        format!("{}: purges everything", command("all")),
        format!(
            "{}: purges pages; `*` at the end stands for everything behind it, `#` for a cache tag",
            command("/blog/* /index.html #tag")
        ),
        format!(
            "{}: purges pages of one site",
            command(&format!("{site} /a /b"))
        ),
        format!(
            "{}: the newest purges, or one of them",
            command("status [id]")
        ),
        format!(
            "{}: how many paths were purged this month",
            command("usage")
        ),
        format!(
            "{}: whether visitors get the current version",
            command("verify /path")
        ),
    ];
    format!("{}\nSites: {}", list(lines), sites_text(sites))
}

/// Returns the reply to a person, channel or workspace that is not allowed.
pub(super) fn not_allowed(contact: &str) -> Reply {
    Reply::ephemeral(format!(
        "This command is not allowed here; ask {}.",
        escape(contact)
    ))
}

/// Returns the reply to a command that the queue continues.
pub(super) fn continues(reason: &str) -> Reply {
    Reply::ephemeral(format!(
        "{reason} The command continues, for up to 30 minutes; the result is posted here."
    ))
}

/// Returns the reply to a command that failed.
pub(super) fn failed(reason: &str) -> Reply {
    Reply::ephemeral(format!("Not done. {reason}"))
}

/// Returns the reply if neither CloudFront nor the queue responds.
pub(super) fn possibly_not_done() -> Reply {
    Reply::ephemeral(format!(
        "AWS did not respond in time, so it is unknown whether the command had an effect. {SEND_AGAIN}"
    ))
}

/// Returns what a purge of everything would do. `words` name the sites in the command.
pub(super) fn plan_text(name: &str, words: &[String], sites: &[String]) -> String {
    let command = |word: &str| {
        let words = words.iter().map(String::as_str);
        let words: Vec<_> = [name].into_iter().chain(words).chain([word]).collect();
        code(&words.join(" "))
    };
    format!(
        "Nothing was purged. A purge of everything makes CloudFront fetch each file of {} again, so the next visitors wait \
         a little longer.\n{}\nTo do it: {}. To purge less: {}. For all commands: {}.",
        sites_text(sites),
        cost_text(sites.len()),
        command("all"),
        command("/blog/*"),
        code(&format!("{name} help")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_purge_is_in_seconds_and_then_in_minutes() {
        for (millis, text) in [
            (-5_000, "after 1 s"),
            (0, "after 1 s"),
            (1_999, "after 1 s"),
            (59_999, "after 59 s"),
            (60_000, "within 1 min"),
            (61_000, "within 2 min"),
            (3_725_000, "within 63 min"),
        ] {
            assert_eq!(duration_text(TimeDelta::milliseconds(millis)), text);
        }
        // The clock of CloudFront can be ahead.
        assert_eq!(ago(TimeDelta::seconds(-5)), "just now");
        assert_eq!(ago(TimeDelta::seconds(2)), "2 s ago");
    }

    #[test]
    fn an_error_becomes_a_sentence() {
        for (text, expected) in [
            ("", ""),
            ("a", "A."),
            ("über alles.", "Über alles."),
            ("what? why?", "What? why?"),
            ("`a` is no path", "`a` is no path."),
        ] {
            assert_eq!(sentence(text), expected);
        }
    }

    #[test]
    fn sites_are_bold_unless_slack_formats_their_names() {
        for (sites, expected) in [
            (&[][..], "no site"),
            (&["blog"], "*blog*"),
            (&["a&b", "*.example.com"], "*a&amp;b* and `*.example.com`"),
            (&["a", "b`", "~c", "d_e"], "*a*, `b'`, `~c` and *d_e*"),
        ] {
            let sites: Vec<_> = sites.iter().map(|site| (*site).to_owned()).collect();
            assert_eq!(sites_text(&sites), expected);
        }
    }

    #[test]
    fn paths_are_counted_and_cost_from_the_first() {
        assert_eq!(paths_count(0), "0 paths");
        assert_eq!(paths_count(1), "1 path");
        assert_eq!(paths_count(12_345), "12,345 paths");
        assert_eq!(
            cost_text(500),
            "Cost: $2.50 for 500 paths; free within the first 1,000 of the AWS account in a month."
        );
    }

    #[test]
    fn the_channel_sees_only_what_is_for_it() {
        let reply = Reply::ephemeral("a").with_line("b");
        let expected = json!({"response_type": "ephemeral", "text": "a\nb"});
        assert_eq!(reply.to_json(), expected);
        let expected = json!({"response_type": "in_channel", "text": "a"});
        assert_eq!(Reply::in_channel("a").to_json(), expected);
    }
}
