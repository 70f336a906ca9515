//! `Settings`: the function's settings, which its operator sets as environment variables.
//!
//! An invalid setting is an [`Error`] and never a panic: a function that stops at start cannot report the result of a
//! pipeline job. Settings are read through a lookup function, so that tests do not change the process's environment.
//!
//! Environment variables: <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html>

pub mod slack;

use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::distribution::DistributionId;
use crate::duration::parse_wait_limit;
use crate::error::Error;
use crate::plan::Limits;
use crate::plan::limits::{Economy, MAX_PATHS_IN_REQUEST, MAX_WILDCARDS_IN_REQUEST};
use crate::site::{ImmutablePaths, IndexDocuments, PathOptions};

/// The most that `DAILY_PATH_BUDGET` can be: $5,000 a day. A greater number is more likely a mistake.
const MAX_DAILY_PATH_BUDGET: usize = 1_000_000;

/// The settings of the function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `DISTRIBUTION_ID`: the ids of the distributions to invalidate, separated by commas. Default: none. Pipeline jobs
    /// then name a distribution in their UserParameters, direct invocations with paths in the event, and the distributions of a
    /// bucket are found by their origins.
    pub distributions: Vec<DistributionId>,
    /// `MAX_PATHS` and `MAX_WILDCARDS`: how many paths, and wildcards among them, one invalidation of changed objects
    /// can contain. Units: paths, 1 to 3000, and wildcards, 1 to 15. Defaults: 20 and 10.
    ///
    /// `ECONOMY`: how much more harm to unchanged objects is accepted for fewer paths. Unit: a share of the least
    /// possible harm, 0 to 1. Default: 0.
    pub limits: Limits,
    /// `DAILY_PATH_BUDGET`: the paths of a day, in UTC. An invalidation of changed objects that needs more than are
    /// left gets fewer paths. Unit: paths, 0 to 1000000. Default: 0, no budget.
    pub daily_path_budget: Option<NonZeroUsize>,
    /// `INDEX_DOCUMENTS`: whether an index document is cached under its directory too: `auto`, `always` or `never`.
    /// Default: `auto`. `IMMUTABLE_PATHS`: the paths whose content never changes: `auto`, `none`, or path patterns separated
    /// by commas, which add to `auto`. Default: `auto`. `KEEP_REMOVED_IMMUTABLE`: whether copies of removed objects under
    /// such paths stay at the edge: `true` or `false`. Default: `true`.
    pub path_options: PathOptions,
    /// `WAIT`: how long a pipeline job or a direct invocation without its own limit waits until its invalidations are
    /// completed; a direct invocation at most until the end of its time. Units: seconds (`90`, `90s`), minutes (`5m`) or
    /// hours (`1h`), up to 23 hours. `true` is 15 minutes. Default: `false`, no wait.
    pub wait: Duration,
    /// `INVALIDATE_STAGING`: whether the staging distributions of enabled continuous deployment policies are invalidated
    /// too: `true` or `false`. Default: `false`, only those that `DISTRIBUTION_ID` names.
    pub invalidate_staging: bool,
}

impl Settings {
    /// Reads the settings. `variable` returns the value of an environment variable. An empty value counts as unset.
    ///
    /// # Errors
    ///
    /// Returns an [`Error`] that names the variable if a value is invalid.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let read = |name| {
            variable(name)
                .map(|value| value.trim().to_owned())
                .filter(|value| !value.is_empty())
        };
        let number = |name, default, range| match read(name) {
            None => Ok(default),
            Some(text) => number(&text, range).map_err(|error| in_setting(name, error)),
        };
        Ok(Self {
            distributions: distributions(&read("DISTRIBUTION_ID").unwrap_or_default())
                .map_err(|error| in_setting("DISTRIBUTION_ID", error))?,
            limits: Limits {
                paths: number(
                    "MAX_PATHS",
                    Limits::BUCKET_CHANGES.paths,
                    1..=MAX_PATHS_IN_REQUEST,
                )?,
                wildcards: number(
                    "MAX_WILDCARDS",
                    Limits::BUCKET_CHANGES.wildcards,
                    1..=MAX_WILDCARDS_IN_REQUEST,
                )?,
                economy: Economy::parse(&read("ECONOMY").unwrap_or_else(|| "0".to_owned()))
                    .map_err(|error| in_setting("ECONOMY", Error::invalid_input(error)))?,
            },
            daily_path_budget: NonZeroUsize::new(number(
                "DAILY_PATH_BUDGET",
                0,
                0..=MAX_DAILY_PATH_BUDGET,
            )?),
            path_options: PathOptions {
                index_documents: index_documents(&read("INDEX_DOCUMENTS").unwrap_or_default())
                    .map_err(|error| in_setting("INDEX_DOCUMENTS", error))?,
                immutable: ImmutablePaths::parse(
                    read("IMMUTABLE_PATHS").unwrap_or_default().split(','),
                )
                .map_err(|error| in_setting("IMMUTABLE_PATHS", error))?,
                keep_removed_immutable: read("KEEP_REMOVED_IMMUTABLE")
                    .map_or(Ok(true), |text| boolean(&text))
                    .map_err(|error| in_setting("KEEP_REMOVED_IMMUTABLE", error))?,
            },
            wait: parse_wait_limit(&read("WAIT").unwrap_or_else(|| "false".to_owned()))
                .map_err(|error| in_setting("WAIT", Error::invalid_input(error)))?,
            invalidate_staging: boolean(&read("INVALIDATE_STAGING").unwrap_or_default())
                .map_err(|error| in_setting("INVALIDATE_STAGING", error))?,
        })
    }

    /// Returns the distributions for a caller that names none. `advice` is the part of the error about where it names
    /// one.
    ///
    /// # Errors
    ///
    /// Returns an [`Error`] that names `DISTRIBUTION_ID` if it is not set.
    pub fn required_distributions(&self, advice: &str) -> Result<&[DistributionId], Error> {
        if self.distributions.is_empty() {
            return Err(Error::invalid_input(format!(
                "no distribution is named: {advice}, or set DISTRIBUTION_ID"
            )));
        }
        Ok(&self.distributions)
    }
}

fn in_setting(name: &str, error: Error) -> Error {
    error.context(format_args!("setting {name}"))
}

fn distributions(text: &str) -> Result<Vec<DistributionId>, Error> {
    let mut distributions = Vec::new();
    for id in text.split(',').map(str::trim).filter(|id| !id.is_empty()) {
        let id =
            DistributionId::parse(id).map_err(|error| Error::invalid_input(error.to_string()))?;
        if !distributions.contains(&id) {
            distributions.push(id);
        }
    }
    Ok(distributions)
}

fn number(text: &str, range: RangeInclusive<usize>) -> Result<usize, Error> {
    text.parse()
        .ok()
        .filter(|number| range.contains(number))
        .ok_or_else(|| {
            Error::invalid_input(format!(
                "{text:?} is not a number from {} to {}",
                range.start(),
                range.end()
            ))
        })
}

fn index_documents(text: &str) -> Result<IndexDocuments, Error> {
    match text.to_ascii_lowercase().as_str() {
        "" | "auto" => Ok(IndexDocuments::Auto),
        "always" => Ok(IndexDocuments::Always),
        "never" => Ok(IndexDocuments::Never),
        _ => Err(Error::invalid_input(format!(
            "{text:?} is not auto, always or never"
        ))),
    }
}

fn boolean(text: &str) -> Result<bool, Error> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "" | "false" => Ok(false),
        _ => Err(Error::invalid_input(format!(
            "{text:?} is not true or false"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(set: &[(&str, &str)]) -> Result<Settings, String> {
        let value = |name: &str| {
            set.iter()
                .find(|(set, _)| *set == name)
                .map(|(_, value)| (*value).to_owned())
        };
        Settings::from_environment(value).map_err(|error| error.to_string())
    }

    #[test]
    fn has_a_default_for_each_setting() {
        let defaults = Settings {
            distributions: vec![],
            limits: Limits {
                paths: 20,
                wildcards: 10,
                economy: Economy::NONE,
            },
            daily_path_budget: None,
            path_options: PathOptions {
                index_documents: IndexDocuments::Auto,
                immutable: ImmutablePaths::default(),
                keep_removed_immutable: true,
            },
            wait: Duration::ZERO,
            invalidate_staging: false,
        };
        assert_eq!(settings(&[]), Ok(defaults.clone()));
        let empty = [
            "DISTRIBUTION_ID",
            "MAX_PATHS",
            "MAX_WILDCARDS",
            "ECONOMY",
            "DAILY_PATH_BUDGET",
            "INDEX_DOCUMENTS",
            "IMMUTABLE_PATHS",
            "KEEP_REMOVED_IMMUTABLE",
            "INVALIDATE_STAGING",
        ]
        .map(|name| (name, " "));
        assert_eq!(settings(&empty), Ok(defaults));
    }

    #[test]
    fn reads_one_or_more_distributions() {
        for (value, ids) in [
            ("E2EXAMPLE1ABC", vec!["E2EXAMPLE1ABC"]),
            (
                " E2EXAMPLE1ABC, E3EXAMPLE1ABC,,E2EXAMPLE1ABC\n",
                vec!["E2EXAMPLE1ABC", "E3EXAMPLE1ABC"],
            ),
        ] {
            let read =
                settings(&[("DISTRIBUTION_ID", value)]).map(|settings| settings.distributions);
            let ids = ids
                .into_iter()
                .map(|id| DistributionId::parse(id).expect("an id"))
                .collect();
            assert_eq!(read, Ok(ids));
        }
    }

    #[test]
    fn reads_limits_and_what_decides_about_paths() {
        let set = [
            ("MAX_PATHS", "3000"),
            ("MAX_WILDCARDS", " 15"),
            ("ECONOMY", "0.1 "),
            ("DAILY_PATH_BUDGET", " 1000000"),
            ("INDEX_DOCUMENTS", "Never"),
            ("IMMUTABLE_PATHS", "/assets/*, /img/*"),
            ("KEEP_REMOVED_IMMUTABLE", "False"),
        ];
        let read = settings(&set).expect("settings");
        assert_eq!(
            read.limits,
            Limits {
                paths: 3_000,
                wildcards: 15,
                economy: Economy::parse("0.1").expect("a share"),
            }
        );
        assert_eq!(read.daily_path_budget, NonZeroUsize::new(1_000_000));
        let immutable = ImmutablePaths::parse(["/assets/*", "/img/*"]);
        let expected = PathOptions {
            index_documents: IndexDocuments::Never,
            immutable: immutable.expect("patterns"),
            keep_removed_immutable: false,
        };
        assert_eq!(read.path_options, expected);
    }

    #[test]
    fn names_the_invalid_setting() {
        for (name, value, message) in [
            (
                "DISTRIBUTION_ID",
                "E2EXAMPLE1ABC,www.example.com",
                "setting DISTRIBUTION_ID: \"www.example.com\" is not a distribution id: write one such as E2EXAMPLE1ABC",
            ),
            (
                "MAX_PATHS",
                "0",
                "setting MAX_PATHS: \"0\" is not a number from 1 to 3000",
            ),
            (
                "MAX_PATHS",
                "many",
                "setting MAX_PATHS: \"many\" is not a number from 1 to 3000",
            ),
            (
                "MAX_WILDCARDS",
                "16",
                "setting MAX_WILDCARDS: \"16\" is not a number from 1 to 15",
            ),
            (
                "ECONOMY",
                "10%",
                "setting ECONOMY: \"10%\" is not a number from 0 to 1, such as 0.1 for 10 %",
            ),
            (
                "DAILY_PATH_BUDGET",
                "1000001",
                "setting DAILY_PATH_BUDGET: \"1000001\" is not a number from 0 to 1000000",
            ),
            (
                "DAILY_PATH_BUDGET",
                "-1",
                "setting DAILY_PATH_BUDGET: \"-1\" is not a number from 0 to 1000000",
            ),
            (
                "INDEX_DOCUMENTS",
                "yes",
                "setting INDEX_DOCUMENTS: \"yes\" is not auto, always or never",
            ),
            (
                "IMMUTABLE_PATHS",
                "/assets/",
                "setting IMMUTABLE_PATHS: \"/assets/\" covers no file: write /assets/*",
            ),
            (
                "KEEP_REMOVED_IMMUTABLE",
                "no",
                "setting KEEP_REMOVED_IMMUTABLE: \"no\" is not true or false",
            ),
            (
                "INVALIDATE_STAGING",
                "yes",
                "setting INVALIDATE_STAGING: \"yes\" is not true or false",
            ),
        ] {
            assert_eq!(settings(&[(name, value)]), Err(message.to_owned()));
        }
    }
}
