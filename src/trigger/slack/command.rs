//! `Command`: the text that a person typed after the command.
//!
//! Paths begin with `/`, cache tags with `#`. Any other word that is not a keyword has to name a site; the caller compares it
//! with the sites, and suggests the nearest one. Words come before paths, so that a path with a space in it is an error and
//! not a shorter path.
//!
//! The errors are replies to the person: one sentence and what to type. They repeat what the person typed as plain text, so
//! they go through [`mrkdwn::quotes_as_code`](crate::mrkdwn::quotes_as_code).

use std::collections::BTreeSet;

use crate::distribution::DistributionId;
use crate::error::Error;
use crate::path::mistake::{contains_several, is_written_as_path, mistake_or_file};
use crate::path::{EncodedPaths, host, is_invisible};
use crate::plan::InvalidationId;

/// The most characters of a text.
const MAX_CHARACTERS: usize = 3_000;

/// The most paths of a command.
const MAX_PATHS: usize = 100;

/// The most characters of a word that an error repeats.
const MAX_REPEATED: usize = 60;

/// What macOS and iOS insert, and what was typed for it (observed). Which of both the person means is unknown, so both are
/// invalidated: CloudFront would report success for the wrong one.
const SMART_PUNCTUATION: [(&str, &str); 7] = [
    ("—", "--"),
    ("–", "--"),
    ("…", "..."),
    ("“", "\""),
    ("”", "\""),
    ("‘", "'"),
    ("’", "'"),
];

/// What to type instead of JSON.
const INSTEAD_OF_JSON: &str = "type each path alone, with a / at its start";

/// The keywords. The nearest one is suggested for a word that is neither a keyword nor a site.
pub const WORDS: &[&str] = &["all", "status", "usage", "verify", "help"];

/// What a person requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// What to do.
    pub action: Action,
    /// Words that have to name a site: ids as they are, others in lower case. Empty: all sites.
    pub sites: Vec<String>,
}

/// What a person requests to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// What the settings define for a command without paths.
    Default,
    /// Invalidate everything.
    All,
    /// Invalidate these paths, at least one.
    Invalidate(EncodedPaths),
    /// Report the status of an invalidation; of the newest ones without an id. The id can be the name of a site.
    Status(Option<InvalidationId>),
    /// Report how many paths were invalidated in this month.
    Usage,
    /// Request these paths as a viewer does, at least one.
    Verify(EncodedPaths),
    /// Describe the command.
    Help,
}

impl Command {
    /// Parses a text.
    ///
    /// # Errors
    ///
    /// Returns an [`Error`] whose text is the reply to the person.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.chars().nth(MAX_CHARACTERS).is_some() {
            return Err(Error::invalid_input(
                "the text has more than 3,000 characters: send several commands, or end paths with a *",
            ));
        }
        let typed = typed_text(text)?;
        let words: Vec<_> = typed.split_whitespace().collect();
        let keyword = words.first().map(|word| word.to_ascii_lowercase());
        let rest = words.get(1..).unwrap_or_default();
        match keyword.as_deref() {
            Some("help") => Ok(Self::without_sites(Action::Help)),
            Some("usage") => match rest.first() {
                None => Ok(Self::without_sites(Action::Usage)),
                Some(word) => Err(superfluous(word, "usage", "type usage alone")),
            },
            Some("status") => parse_status(rest),
            Some("verify") => parse_verify(rest),
            _ => parse_invalidation(&words),
        }
    }

    fn without_sites(action: Action) -> Self {
        Self {
            action,
            sites: Vec::new(),
        }
    }
}

fn parse_status(words: &[&str]) -> Result<Command, Error> {
    let is_id = |word: &str| word.bytes().all(|byte| byte.is_ascii_alphanumeric());
    match words {
        [] => Ok(Command::without_sites(Action::Status(None))),
        // It can also be the name of a site, which the caller knows.
        [word] if is_id(word) => {
            let id = InvalidationId::new(word.to_ascii_uppercase());
            Ok(Command::without_sites(Action::Status(Some(id))))
        }
        [word] if is_written_as_path(word) => Err(Error::invalid_input(format!(
            "{} is neither a site nor the id of an invalidation, such as I2J0I21PCUYOIK: copy the id, or type status alone",
            quoted(word)
        ))),
        [word] => Ok(Command {
            action: Action::Status(None),
            sites: vec![word.to_ascii_lowercase()],
        }),
        [_, word, ..] => Err(superfluous(word, "status ID", "type one id")),
    }
}

fn parse_verify(words: &[&str]) -> Result<Command, Error> {
    const EXAMPLE: &str = "type verify and the paths, such as verify /index.html";
    let Words {
        sites,
        is_all,
        mut paths,
        home_pages,
    } = Words::read(words)?;
    paths.extend(home_pages);
    if is_all {
        return Err(Error::invalid_input(format!(
            "verify needs paths, and \"all\" is none: {EXAMPLE}"
        )));
    }
    if paths.is_empty() {
        return Err(Error::invalid_input(format!(
            "verify needs paths: {EXAMPLE}"
        )));
    }
    let names_no_url = |path: &&String| path.starts_with('#') || path.ends_with('*');
    if let Some(path) = paths.iter().find(names_no_url) {
        return Err(Error::invalid_input(format!(
            "{} is not one page that can be verified: {EXAMPLE}",
            quoted(path)
        )));
    }
    Ok(Command {
        action: Action::Verify(read_paths(&paths)?),
        sites,
    })
}

fn parse_invalidation(words: &[&str]) -> Result<Command, Error> {
    let Words {
        sites,
        is_all,
        mut paths,
        home_pages,
    } = Words::read(words)?;
    if !paths.is_empty() {
        // It is unclear whether such a URL means the home page or only the site of the other paths.
        paths.extend(home_pages);
    }
    let action = match (is_all, paths.first()) {
        (false, None) => Action::Default,
        (true, None) => Action::All,
        (true, Some(path)) => {
            return Err(Error::invalid_input(format!(
                "\"all\" cannot stand beside {}: type all alone, or only the paths",
                quoted(path)
            )));
        }
        (false, Some(_)) => {
            check_everything(&paths)?;
            Action::Invalidate(read_paths(&paths)?)
        }
    };
    Ok(Command { action, sites })
}

/// The words of a command, sorted by what they are.
#[derive(Default)]
struct Words {
    sites: Vec<String>,
    is_all: bool,
    paths: Vec<String>,
    /// URLs without a path. Alone, such a URL means its site.
    home_pages: Vec<String>,
}

impl Words {
    fn read(words: &[&str]) -> Result<Self, Error> {
        let mut read = Self::default();
        let mut hosts = BTreeSet::new();
        for word in words {
            read.add(word, &mut hosts)?;
        }
        read.add_hosts(hosts)?;
        Ok(read)
    }

    fn add(&mut self, word: &str, hosts: &mut BTreeSet<String>) -> Result<(), Error> {
        let keyword = word.to_ascii_lowercase();
        if let Some(mistake) = mistake_or_file(word, INSTEAD_OF_JSON) {
            return Err(Error::invalid_input(mistake));
        }
        let url = as_url(word);
        let word = url.as_deref().unwrap_or(word);
        if let Some(host) = host(word) {
            hosts.insert(host);
            match has_path(word) {
                true => self.paths.push(word.to_owned()),
                false => self.home_pages.push(word.to_owned()),
            }
        } else if word.contains("://") && !word.starts_with(['/', '#']) {
            // Another scheme, or no host: the path would go to all sites.
            return Err(Error::invalid_input(format!(
                "{} is not the URL of a page: type https://, the site and the path",
                quoted(word)
            )));
        } else if is_written_as_path(word) {
            self.paths.push(word.to_owned());
        } else if keyword == "all" {
            self.is_all = true;
        } else if WORDS.contains(&keyword.as_str()) {
            return Err(Error::invalid_input(format!(
                "{} has to be the first word: type {keyword} first",
                quoted(word)
            )));
        } else if let Some(path) = self.paths.first() {
            return Err(Error::invalid_input(format!(
                "{} follows the path {}: type the name of a site before the paths, and %20 for a space in a path",
                quoted(word),
                quoted(path)
            )));
        } else if word.contains('/') {
            return Err(Error::invalid_input(format!(
                "{} is neither a site nor a path: type /{} with a / at its start",
                quoted(word),
                excerpt(word)
            )));
        } else {
            let site = DistributionId::parse(word).map_or(keyword, |id| id.to_string());
            self.add_site(site);
        }
        Ok(())
    }

    /// Adds the site that the URLs name. The paths of one command go to all of its sites, so a URL beside another site would
    /// send its path there too.
    fn add_hosts(&mut self, hosts: BTreeSet<String>) -> Result<(), Error> {
        let mut hosts = hosts.into_iter();
        let Some(host) = hosts.next() else {
            return Ok(());
        };
        if let Some(other) = hosts.next() {
            return Err(Error::invalid_input(format!(
                "the URLs belong to two sites, {} and {}: send a command for each site",
                excerpt(&host),
                excerpt(&other)
            )));
        }
        if let Some(site) = self.sites.iter().find(|site| **site != host) {
            return Err(Error::invalid_input(format!(
                "{} and the site of the URL, {}, are two names: type only one of them, or send a command for each site",
                quoted(site),
                excerpt(&host)
            )));
        }
        self.add_site(host);
        Ok(())
    }

    fn add_site(&mut self, site: String) {
        if !self.sites.contains(&site) {
            self.sites.push(site);
        }
    }
}

/// Returns the URL that a word without a scheme means: `www.example.com/a`. No path begins without a slash.
fn as_url(word: &str) -> Option<String> {
    let (host, _) = word.split_once(['/', '?'])?;
    let is_label = |label: &str| {
        let mut bytes = label.bytes();
        !label.is_empty()
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    // The last label of a domain name does not begin with a digit, unlike that of `v1.2/app.js`.
    let (_, last) = host.rsplit_once('.')?;
    let is_host = host.split('.').all(is_label)
        && last.starts_with(|first: char| first.is_ascii_alphabetic());
    is_host.then(|| format!("https://{word}"))
}

/// Returns whether a URL has a path or a query behind its host.
fn has_path(url: &str) -> bool {
    let (_, rest) = url.split_once("://").unwrap_or(("", url));
    let before_fragment = rest.split('#').next().unwrap_or_default();
    before_fragment.contains(['/', '?'])
}

fn read_paths(paths: &[String]) -> Result<EncodedPaths, Error> {
    if paths.len() > MAX_PATHS {
        return Err(Error::invalid_input(format!(
            "the command has {} paths, more than {MAX_PATHS}: send several commands, or end a path with a *",
            paths.len()
        )));
    }
    paths.iter().map(|path| read_path(path)).collect()
}

/// Refuses a wildcard for everything beside another path: a space before a `*` would purge everything.
fn check_everything(paths: &[String]) -> Result<(), Error> {
    let mut paths_of_all = paths
        .iter()
        .filter(|path| ["*", "/*"].contains(&path.as_str()));
    match (paths_of_all.next(), paths.len()) {
        (Some(path), 2..) => Err(Error::invalid_input(format!(
            "{} beside other paths means everything: type all alone, or remove the space before the *",
            quoted(path)
        ))),
        _ => Ok(()),
    }
}

fn read_path(path: &str) -> Result<EncodedPaths, Error> {
    if contains_several(path) || path.contains(";/") {
        return Err(Error::invalid_input(format!(
            "{} contains several paths: type a space between them, or %2C for a comma and %3B for a semicolon in a path",
            quoted(path)
        )));
    }
    let mut paths = EncodedPaths::parse(path)?;
    let typed = SMART_PUNCTUATION
        .iter()
        .fold(path.to_owned(), |typed, (smart, plain)| {
            typed.replace(smart, plain)
        });
    if typed != path {
        paths.extend(EncodedPaths::parse(&typed)?);
    }
    Ok(paths)
}

fn superfluous(word: &str, before: &str, instead: &str) -> Error {
    Error::invalid_input(format!(
        "{} cannot follow {before}: {instead}",
        quoted(word)
    ))
}

/// Returns the text as the person typed it: without Slack's escapes, without characters that phones insert.
fn typed_text(text: &str) -> Result<String, Error> {
    let mut typed = String::with_capacity(text.len());
    let mut rest = text;
    // The person's own < is an escape, so this one is Slack's.
    while let Some((before, after)) = rest.split_once('<') {
        let Some((form, behind)) = after.split_once('>') else {
            break;
        };
        typed.push_str(before);
        if is_form(form) {
            typed.push_str(&typed_form(form)?);
        } else {
            typed.push_str(&format!("<{form}>"));
        }
        rest = behind;
    }
    typed.push_str(rest);
    let unescaped = typed
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&");
    Ok(unescaped
        .chars()
        .filter(|character| !is_invisible(*character))
        .collect())
}

/// Returns whether Slack writes this between `<` and `>`: a mention, a channel, or a link.
fn is_form(form: &str) -> bool {
    form.starts_with(['@', '#', '!'])
        || ["://", "mailto:", "tel:"]
            .iter()
            .any(|scheme| form.contains(scheme))
}

/// Returns what the person typed for what Slack made of it: `<https://www.example.com/a>`,
/// `<http://www.example.com|www.example.com>`, `<#C2147483705|news>`, `<@U2147483697|ann>`.
fn typed_form(form: &str) -> Result<String, Error> {
    let (target, label) = match form.split_once('|') {
        Some((target, label)) if !label.is_empty() => (target, Some(label)),
        Some((target, _)) => (target, None),
        None => (form, None),
    };
    match (target.chars().next(), label) {
        (Some('#'), Some(name)) => Ok(format!("#{name}")),
        (Some('#'), None) => Err(Error::invalid_input(
            "Slack replaced a cache tag by the channel of the same name: turn off \"Escape channels, users, and links\" in \
             the settings of the command",
        )),
        (Some('@' | '!'), Some(name)) => Ok(format!("@{name}")),
        (_, Some(label)) if is_typed(label, target) => Ok(label.to_owned()),
        _ => Ok(target.to_owned()),
    }
}

/// Returns whether the person typed the label of a link, and Slack the rest: it is the URL without its scheme. A label of other
/// words comes from a page, and does not name its URL.
fn is_typed(label: &str, url: &str) -> bool {
    let Some((_, rest)) = url.split_once("://") else {
        // An address for email, or a telephone number.
        return true;
    };
    rest.strip_suffix('/').unwrap_or(rest) == label.strip_suffix('/').unwrap_or(label)
}

/// Returns a word in quotes, cut if it is long.
fn quoted(word: &str) -> String {
    format!("{:?}", excerpt(word))
}

fn excerpt(word: &str) -> String {
    match word.char_indices().nth(MAX_REPEATED) {
        None => word.to_owned(),
        Some((end, _)) => format!("{}…", word.get(..end).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests;
