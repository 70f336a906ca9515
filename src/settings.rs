//! `Settings`: what the operator sets in the function's environment.
//!
//! Each is read by name from a lookup, so that tests need no process environment. A wrong setting is a [`Failure`] and
//! never a panic: a function that dies at start answers no pipeline job.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::distribution::DistributionId;
use crate::failure::Failure;
use crate::plan::{Limits, MAX_FILES_IN_FLIGHT, MAX_WILDCARDS_IN_FLIGHT};
use crate::site::IndexDocuments;
use crate::wait::parse_limit;

/// How many paths the changes of a bucket may become, where `MAX_PATHS` says nothing.
const DEFAULT_MAX_PATHS: usize = 20;

/// How many of them may be wildcards, where `MAX_WILDCARDS` says nothing. A third is left for pipelines and people.
const DEFAULT_MAX_WILDCARDS: usize = 10;

/// Settings from the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `DISTRIBUTION_ID`: the distributions to invalidate, comma-separated. None by default: pipeline jobs name
    /// theirs, and those of a bucket are found.
    pub distributions: Vec<DistributionId>,
    /// `MAX_PATHS` and `MAX_WILDCARDS`: the most paths, and wildcards among them, that the changes of a bucket become.
    pub limits: Limits,
    /// `INDEX_DOCUMENTS`: `auto`, `always` or `never`.
    pub index_documents: IndexDocuments,
    /// `WAIT`: how long a pipeline job waits for the edge where it does not say; zero, the default, for not at all.
    pub wait: Duration,
}

impl Settings {
    /// Reads the settings through `variable`, which returns the value of an environment variable.
    ///
    /// # Errors
    ///
    /// A [`Failure`] that names the variable.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Self, Failure> {
        let read = |name| {
            variable(name)
                .map(|value| value.trim().to_owned())
                .filter(|value| !value.is_empty())
        };
        let number = |name, default, range| match read(name) {
            None => Ok(default),
            Some(text) => number(&text, range).map_err(|failure| in_setting(name, failure)),
        };
        Ok(Self {
            distributions: distributions(&read("DISTRIBUTION_ID").unwrap_or_default())
                .map_err(|failure| in_setting("DISTRIBUTION_ID", failure))?,
            limits: Limits {
                paths: number("MAX_PATHS", DEFAULT_MAX_PATHS, 1..=MAX_FILES_IN_FLIGHT)?,
                wildcards: number(
                    "MAX_WILDCARDS",
                    DEFAULT_MAX_WILDCARDS,
                    1..=MAX_WILDCARDS_IN_FLIGHT,
                )?,
            },
            index_documents: index_documents(&read("INDEX_DOCUMENTS").unwrap_or_default())
                .map_err(|failure| in_setting("INDEX_DOCUMENTS", failure))?,
            wait: parse_limit(&read("WAIT").unwrap_or_else(|| "false".to_owned()))
                .map_err(|error| in_setting("WAIT", Failure::mistake(error)))?,
        })
    }

    /// Returns the distributions for a caller who names none.
    ///
    /// # Errors
    ///
    /// A [`Failure`] that names the setting where there are none.
    pub fn distributions(&self) -> Result<&[DistributionId], Failure> {
        if self.distributions.is_empty() {
            return Err(Failure::mistake(
                "no distribution is named: give one in the action's UserParameters, or set DISTRIBUTION_ID",
            ));
        }
        Ok(&self.distributions)
    }
}

fn in_setting(name: &str, failure: Failure) -> Failure {
    failure.within(format_args!("setting {name}"))
}

fn distributions(text: &str) -> Result<Vec<DistributionId>, Failure> {
    let mut distributions = Vec::new();
    for id in text.split(',').map(str::trim).filter(|id| !id.is_empty()) {
        let id = DistributionId::parse(id).map_err(|error| Failure::mistake(error.to_string()))?;
        if !distributions.contains(&id) {
            distributions.push(id);
        }
    }
    Ok(distributions)
}

fn number(text: &str, range: RangeInclusive<usize>) -> Result<usize, Failure> {
    text.parse()
        .ok()
        .filter(|number| range.contains(number))
        .ok_or_else(|| {
            Failure::mistake(format!(
                "{text:?} is no number from {} to {}",
                range.start(),
                range.end()
            ))
        })
}

fn index_documents(text: &str) -> Result<IndexDocuments, Failure> {
    match text.to_ascii_lowercase().as_str() {
        "" | "auto" => Ok(IndexDocuments::Auto),
        "always" => Ok(IndexDocuments::Always),
        "never" => Ok(IndexDocuments::Never),
        _ => Err(Failure::mistake(format!(
            "{text:?} is none of auto, always and never"
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
        Settings::from_environment(value).map_err(|failure| failure.message)
    }

    #[test]
    fn has_a_default_for_each() {
        let defaults = Settings {
            distributions: vec![],
            limits: Limits {
                paths: 20,
                wildcards: 10,
            },
            index_documents: IndexDocuments::Auto,
            wait: Duration::ZERO,
        };
        assert_eq!(settings(&[]), Ok(defaults.clone()));
        let empty = [
            "DISTRIBUTION_ID",
            "MAX_PATHS",
            "MAX_WILDCARDS",
            "INDEX_DOCUMENTS",
        ]
        .map(|name| (name, " "));
        assert_eq!(settings(&empty), Ok(defaults));
    }

    #[test]
    fn reads_one_or_several_distributions() {
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
    fn reads_limits_and_index_documents() {
        let set = [
            ("MAX_PATHS", "3000"),
            ("MAX_WILDCARDS", " 15"),
            ("INDEX_DOCUMENTS", "Never"),
        ];
        let read = settings(&set).expect("settings");
        assert_eq!(
            read.limits,
            Limits {
                paths: 3_000,
                wildcards: 15
            }
        );
        assert_eq!(read.index_documents, IndexDocuments::Never);
    }

    #[test]
    fn names_the_setting_that_is_wrong() {
        for (name, value, message) in [
            (
                "DISTRIBUTION_ID",
                "E2EXAMPLE1ABC,www.example.com",
                "setting DISTRIBUTION_ID: \"www.example.com\" is no distribution id: write one such as E2EXAMPLE1ABC",
            ),
            (
                "MAX_PATHS",
                "0",
                "setting MAX_PATHS: \"0\" is no number from 1 to 3000",
            ),
            (
                "MAX_PATHS",
                "many",
                "setting MAX_PATHS: \"many\" is no number from 1 to 3000",
            ),
            (
                "MAX_WILDCARDS",
                "16",
                "setting MAX_WILDCARDS: \"16\" is no number from 1 to 15",
            ),
            (
                "INDEX_DOCUMENTS",
                "yes",
                "setting INDEX_DOCUMENTS: \"yes\" is none of auto, always and never",
            ),
        ] {
            assert_eq!(settings(&[(name, value)]), Err(message.to_owned()));
        }
    }
}
