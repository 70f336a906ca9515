//! `Config`: the sites that a user can name with `-d`, as in `cf-invalidate create -d blog`, and defaults of options.
//!
//! The project's file is `cf-invalidate.toml` in the working directory or the nearest directory above it. The user's
//! file is `config.toml` in the user's configuration directory. A value of the project replaces the user's, and a site
//! of the project the user's site of the same name. An unknown key is an error, so that a typing error has no silent
//! effect.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs, io};

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use super::{CliError, directories, input};
use crate::duration::parse_wait_limit;
use crate::path::EncodedPaths;
use crate::plan::limits::{Economy, MAX_PATHS_IN_REQUEST, MAX_WILDCARDS_IN_REQUEST};
use crate::site::ImmutablePaths;

const PROJECT_FILE: &str = "cf-invalidate.toml";

/// The contents of the configuration files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    /// The name of the site that is used without `-d`.
    default: Option<String>,
    /// The default of `--profile`.
    #[serde(default, deserialize_with = "non_empty")]
    pub profile: Option<String>,
    /// The default of `--region`.
    #[serde(default, deserialize_with = "non_empty")]
    pub region: Option<String>,
    /// The default of `--wait` of `create`.
    #[serde(default, deserialize_with = "wait_limit")]
    pub wait: Option<Duration>,
    #[serde(default)]
    sites: BTreeMap<String, SiteConfig>,
}

/// The entry `[sites.NAME]` of a configuration file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SiteConfig {
    /// The distributions: ids, domain names or aliases.
    #[serde(deserialize_with = "one_or_several")]
    pub distribution: Vec<String>,
    /// What `create` invalidates without any input.
    #[serde(default)]
    paths: Vec<String>,
    /// The bucket of keys that are given without one.
    pub bucket: Option<String>,
    /// The default of `--max-paths`.
    pub max_paths: Option<usize>,
    /// The default of `--max-wildcards`.
    pub max_wildcards: Option<usize>,
    /// The default of `--immutable`.
    #[serde(default, deserialize_with = "immutable_paths")]
    pub immutable: Option<ImmutablePaths>,
    /// Whether copies of removed objects under immutable paths stay at the edge.
    pub keep_removed_immutable: Option<bool>,
    /// The default of `--economy`.
    #[serde(default, deserialize_with = "economy")]
    pub economy: Option<Economy>,
}

impl SiteConfig {
    /// Returns what `create` invalidates without any input.
    pub(super) fn paths(&self) -> Result<EncodedPaths, CliError> {
        let paths = self.paths.iter().map(|text| input::parse_written(text));
        let paths: Result<_, _> = paths.collect();
        paths.map_err(|error| CliError::usage(format!("the configuration's paths: {error}")))
    }

    /// Returns the hosts of the URLs among the paths.
    pub(super) fn hosts(&self) -> BTreeSet<String> {
        let paths = self.paths.iter();
        paths.filter_map(|path| input::host(path)).collect()
    }
}

impl Config {
    /// Reads the project's file and the user's file. A file that does not exist is empty.
    pub(super) fn load() -> Result<Self, CliError> {
        let project = env::current_dir().ok().and_then(|directory| {
            directory
                .ancestors()
                .map(|directory| directory.join(PROJECT_FILE))
                .find(|file| file.is_file())
        });
        let user = directories::config_file();
        if let Some(file) = &user
            && let Some(former) = directories::former_config_file(file)
        {
            return Err(CliError::usage(format!(
                "{} is not read any longer: move it to {}",
                former.display(),
                file.display()
            )));
        }
        let project = project.map_or(Ok(Self::default()), |file| Self::read(&file))?;
        let user = user.map_or(Ok(Self::default()), |file| Self::read(&file))?;
        project.or_user(user)
    }

    fn read(file: &PathBuf) -> Result<Self, CliError> {
        let text = match fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) if is_home(file, &error) => {
                return Err(CliError::usage(format!(
                    "{}: {error}; HOME is possibly that of another user: correct it, or set XDG_CONFIG_HOME",
                    file.display()
                )));
            }
            Err(error) => return Err(CliError::usage(format!("{}: {error}", file.display()))),
        };
        Self::parse(&text, file)
    }

    fn parse(text: &str, file: &Path) -> Result<Self, CliError> {
        let invalid = |reason: String| CliError::usage(format!("{}: {reason}", file.display()));
        let config: Self = toml::from_str(text).map_err(|error| {
            let line = error.span().map(|span| {
                let before = text.get(..span.start).unwrap_or_default();
                format!("line {}: ", before.matches('\n').count() + 1)
            });
            invalid(format!("{}{}", line.unwrap_or_default(), error.message()))
        })?;
        for (name, site) in &config.sites {
            let limits = [
                ("max_paths", site.max_paths, MAX_PATHS_IN_REQUEST),
                (
                    "max_wildcards",
                    site.max_wildcards,
                    MAX_WILDCARDS_IN_REQUEST,
                ),
            ];
            for (key, value, maximum) in limits {
                if value.is_some_and(|value| !(1..=maximum).contains(&value)) {
                    return Err(invalid(format!(
                        "sites.{name}: {key} must be 1 to {maximum}"
                    )));
                }
            }
            if site.distribution.is_empty() {
                return Err(invalid(format!("sites.{name}: distribution is empty")));
            }
        }
        Ok(config)
    }

    /// Adds the sites and the values that only the user's file has.
    fn or_user(self, user: Self) -> Result<Self, CliError> {
        let mut sites = user.sites;
        sites.extend(self.sites);
        let default = self.default.or(user.default);
        if let Some(name) = default.as_ref().filter(|name| !sites.contains_key(*name)) {
            return Err(CliError::usage(format!(
                "the configuration's default is {name:?}, which is not one of its sites: {}",
                site_list(&sites)
            )));
        }
        Ok(Self {
            default,
            profile: self.profile.or(user.profile),
            region: self.region.or(user.region),
            wait: self.wait.or(user.wait),
            sites,
        })
    }

    /// Returns the site with this name.
    pub(super) fn site(&self, name: &str) -> Option<&SiteConfig> {
        self.sites.get(name)
    }

    /// Returns the site that is used without `-d`: the default, or the only one.
    pub(super) fn default_site(&self) -> Option<(&str, &SiteConfig)> {
        let name = self.default.as_ref().or_else(|| {
            let mut names = self.sites.keys();
            names.next().filter(|_| names.next().is_none())
        })?;
        let (name, site) = self.sites.get_key_value(name)?;
        Some((name, site))
    }

    /// Returns the names of all sites.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.sites.keys().map(String::as_str)
    }
}

/// Returns whether the user's file cannot be read because the home directory is another user's or no directory.
fn is_home(file: &Path, error: &io::Error) -> bool {
    let kinds = [
        io::ErrorKind::PermissionDenied,
        io::ErrorKind::NotADirectory,
    ];
    kinds.contains(&error.kind()) && file.file_name().is_none_or(|name| name != PROJECT_FILE)
}

fn site_list(sites: &BTreeMap<String, SiteConfig>) -> String {
    match sites.len() {
        0 => "it has no sites".to_owned(),
        _ => sites.keys().cloned().collect::<Vec<_>>().join(", "),
    }
}

fn non_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.trim().is_empty() {
        return Err(D::Error::custom("the value is empty"));
    }
    Ok(Some(text))
}

fn wait_limit<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    #[derive(Deserialize)]
    #[serde(
        untagged,
        expecting = "expected true, false, or a time up to 23h such as \"5m\""
    )]
    enum Limit {
        Boolean(bool),
        Seconds(u64),
        Text(String),
    }
    let text = match Limit::deserialize(deserializer)? {
        Limit::Boolean(is_default) => is_default.to_string(),
        Limit::Seconds(seconds) => seconds.to_string(),
        Limit::Text(text) => text,
    };
    let limit = parse_wait_limit(&text).map_err(D::Error::custom)?;
    Ok(Some(limit))
}

fn immutable_paths<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<ImmutablePaths>, D::Error> {
    let items = one_or_several(deserializer)?;
    if items.is_empty() {
        return Err(D::Error::custom(
            "the list is empty: write \"auto\" or \"none\"",
        ));
    }
    let items = items.iter().flat_map(|item| item.split(','));
    let paths = ImmutablePaths::parse(items).map_err(D::Error::custom)?;
    Ok(Some(paths))
}

fn economy<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Economy>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a number from 0 to 1")]
    enum Share {
        Number(f64),
    }
    let Share::Number(share) = Share::deserialize(deserializer)?;
    let economy = Economy::parse(&share.to_string()).map_err(D::Error::custom)?;
    Ok(Some(economy))
}

fn one_or_several<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a string or an array of strings")]
    enum OneOrSeveral {
        One(String),
        Several(Vec<String>),
    }
    Ok(match OneOrSeveral::deserialize(deserializer)? {
        OneOrSeveral::One(distribution) => vec![distribution],
        OneOrSeveral::Several(distributions) => distributions,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Audience;

    fn message(error: CliError) -> String {
        error.message(&Audience::Operator)
    }

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(text, Path::new("cf-invalidate.toml")).map_err(message)
    }

    #[test]
    fn reads_sites_and_rejects_unknown_keys_and_wrong_values() {
        let text = "default = 'blog'\n[sites.blog]\ndistribution = 'blog.example.com'\npaths = ['/*']\n\
                     bucket = 'blog'\nmax_paths = 8\nmax_wildcards = 2\neconomy = 0.1\n\
                     [sites.shop]\ndistribution = ['E2EXAMPLE1ABC']\n";
        let config = parse(text).expect("a configuration");
        assert_eq!(config.names().collect::<Vec<_>>(), ["blog", "shop"]);
        assert_eq!(config.default_site().map(|(name, _)| name), Some("blog"));
        assert_eq!(
            config.site("blog"),
            Some(&SiteConfig {
                distribution: vec!["blog.example.com".into()],
                paths: vec!["/*".into()],
                bucket: Some("blog".into()),
                max_paths: Some(8),
                max_wildcards: Some(2),
                immutable: None,
                keep_removed_immutable: None,
                economy: Economy::parse("0.1").ok(),
            })
        );
        for (share, economy) in [("0", "0"), ("1", "1"), ("0.125", "0.125")] {
            let text = format!("[sites.blog]\ndistribution = 'a'\neconomy = {share}");
            let config = parse(&text).expect("a configuration");
            let read = config.default_site().and_then(|(_, site)| site.economy);
            assert_eq!(read, Economy::parse(economy).ok(), "{share}");
        }
        for (text, immutable) in [
            ("'none'", "none"),
            ("'auto'", "auto"),
            ("'auto,/assets/*'", "/assets/*"),
            ("['auto', '/assets/*,/img/*']", "/assets/*,/img/*"),
        ] {
            let text = format!("[sites.blog]\ndistribution = 'a'\nimmutable = {text}");
            let config = parse(&text).expect("a configuration");
            let read = config
                .default_site()
                .and_then(|(_, site)| site.immutable.clone());
            assert_eq!(
                read,
                ImmutablePaths::parse(immutable.split(',')).ok(),
                "{text}"
            );
        }
        for (text, reason) in [
            (
                "defualt = 'blog'",
                "line 1: unknown field `defualt`, expected one of `default`, `profile`, `region`, `wait`, `sites`",
            ),
            ("\nprofile = ''", "line 2: the value is empty"),
            ("region = ' '", "line 1: the value is empty"),
            (
                "wait = 'soon'",
                "line 1: \"soon\" is not a valid limit: write true, false, or a time up to 23h such as 90s or 5m",
            ),
            (
                "wait = -5",
                "line 1: expected true, false, or a time up to 23h such as \"5m\"",
            ),
            (
                "[sites.blog]\ndistribution = 'a'\npathes = ['/*']",
                "line 3: unknown field `pathes`, expected one of `distribution`, `paths`, `bucket`, `max_paths`, \
                 `max_wildcards`, `immutable`, `keep_removed_immutable`, `economy`",
            ),
            (
                "[sites.blog]\npaths = ['/*']",
                "line 1: missing field `distribution`",
            ),
            (
                "[sites.blog]\ndistribution = 3",
                "line 2: expected a string or an array of strings",
            ),
            (
                "[sites.blog]\ndistribution = []",
                "sites.blog: distribution is empty",
            ),
            (
                "[sites.blog]\ndistribution = 'a'\nimmutable = []",
                "line 3: the list is empty: write \"auto\" or \"none\"",
            ),
            (
                "[sites.blog]\ndistribution = 'a'\neconomy = '0.1'",
                "line 3: expected a number from 0 to 1",
            ),
            (
                "[sites.blog]\ndistribution = 'a'\nimmutable = ['/assets/*', '/*']",
                "line 3: \"/*\" covers /, which changes: name the directory of the files that never change, such as \
                 /assets/*",
            ),
            (
                "[sites.blog]\ndistribution = 'a'\nmax_wildcards = 16",
                "sites.blog: max_wildcards must be 1 to 15",
            ),
            (
                "[sites.blog]\ndistribution = 'a'\neconomy = 1.5",
                "line 3: \"1.5\" is not a number from 0 to 1, such as 0.1 for 10 %",
            ),
        ] {
            assert_eq!(
                parse(text),
                Err(format!("cf-invalidate.toml: {reason}")),
                "{text}"
            );
        }
    }

    #[test]
    fn reads_the_defaults_of_options() {
        let text = "profile = 'dev'\nregion = 'eu-west-1'\nwait = '90s'\n";
        let config = parse(text).expect("a configuration");
        let expected = Config {
            profile: Some("dev".into()),
            region: Some("eu-west-1".into()),
            wait: Some(Duration::from_secs(90)),
            ..Config::default()
        };
        assert_eq!(config, expected);
        for (wait, seconds) in [("true", 900), ("false", 0), ("300", 300), ("'5m'", 300)] {
            let config = parse(&format!("wait = {wait}"));
            let limit = config.map(|config| config.wait);
            assert_eq!(limit, Ok(Some(Duration::from_secs(seconds))), "{wait}");
        }
        let user = parse("profile = 'user'\nregion = 'user'\nwait = true").expect("a user's");
        assert_eq!(config.clone().or_user(user.clone()), Ok(config));
        assert_eq!(Config::default().or_user(user.clone()), Ok(user));
    }

    #[test]
    fn the_project_takes_precedence_over_the_user() {
        let project = parse("[sites.blog]\ndistribution = 'project'").expect("a project's");
        let user = parse("default = 'shop'\n[sites.blog]\ndistribution = 'user'\n[sites.shop]\ndistribution = 'shop'")
            .expect("a user's");
        let both = project.clone().or_user(user).expect("both");
        assert_eq!(both.site("blog"), project.site("blog"));
        assert_eq!(both.default_site().map(|(name, _)| name), Some("shop"));
        assert_eq!(project.default_site().map(|(name, _)| name), Some("blog"));
        let dangling = parse("default = 'blog'").expect("a configuration");
        let error = dangling.or_user(Config::default()).map_err(message);
        let text = "the configuration's default is \"blog\", which is not one of its sites: it has no sites";
        assert_eq!(error, Err(text.to_owned()));
    }
}
