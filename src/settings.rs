//! `Settings`: what the operator sets in the function's environment.
//!
//! Each is read by name from a lookup, so that tests need no process environment. A wrong setting is a [`Failure`] and
//! never a panic: a function that dies at start answers no pipeline job.

use crate::distribution::DistributionId;
use crate::failure::Failure;

/// Settings from the environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// `DISTRIBUTION_ID`: the distributions to invalidate, comma-separated; none by default.
    distributions: Vec<DistributionId>,
}

impl Settings {
    /// Reads the settings through `variable`, which returns the value of an environment variable.
    ///
    /// # Errors
    ///
    /// A [`Failure`] that names the variable.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Self, Failure> {
        let ids = variable("DISTRIBUTION_ID").unwrap_or_default();
        let mut distributions = Vec::new();
        for id in ids.split(',').map(str::trim).filter(|id| !id.is_empty()) {
            let id = DistributionId::parse(id).map_err(|error| {
                Failure::mistake(error.to_string()).within("setting DISTRIBUTION_ID")
            })?;
            if !distributions.contains(&id) {
                distributions.push(id);
            }
        }
        Ok(Self { distributions })
    }

    /// Returns the distributions.
    ///
    /// # Errors
    ///
    /// A [`Failure`] that names the setting where there are none.
    pub fn distributions(&self) -> Result<&[DistributionId], Failure> {
        if self.distributions.is_empty() {
            return Err(Failure::mistake(
                "setting DISTRIBUTION_ID is missing: set it to the ids of the distributions to invalidate",
            ));
        }
        Ok(&self.distributions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distributions(value: Option<&str>) -> Result<Vec<String>, String> {
        let settings = Settings::from_environment(|name| {
            assert_eq!(name, "DISTRIBUTION_ID");
            value.map(str::to_owned)
        });
        let ids = |settings: Settings| {
            settings
                .distributions
                .iter()
                .map(ToString::to_string)
                .collect()
        };
        settings.map(ids).map_err(|failure| failure.message)
    }

    #[test]
    fn reads_none_one_or_several_distributions() {
        for (value, ids) in [
            (None, vec![]),
            (Some(""), vec![]),
            (Some("E2EXAMPLE1ABC"), vec!["E2EXAMPLE1ABC"]),
            (
                Some(" E2EXAMPLE1ABC, E3EXAMPLE1ABC,,E2EXAMPLE1ABC\n"),
                vec!["E2EXAMPLE1ABC", "E3EXAMPLE1ABC"],
            ),
        ] {
            assert_eq!(
                distributions(value),
                Ok(ids.into_iter().map(String::from).collect())
            );
        }
    }

    #[test]
    fn names_the_setting_that_is_wrong() {
        assert_eq!(
            distributions(Some("E2EXAMPLE1ABC,www.example.com")),
            Err("setting DISTRIBUTION_ID: \"www.example.com\" is no distribution id: write one such as E2EXAMPLE1ABC"
                .into())
        );
    }
}
