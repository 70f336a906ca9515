//! The limits of a plan, and the check of the paths that the user wrote: they are sent as they are, or refused.

use super::PlannedBatch;
use crate::cli::config::SiteConfig;
use crate::cli::format::{counted, thousands};
use crate::cli::input::Input;
use crate::cli::{CliError, Selection};
use crate::path::InvalidationPath;
use crate::plan::Limits;
use crate::plan::collapse::collapse;
use crate::plan::limits::{MAX_PATHS_IN_REQUEST, MAX_WILDCARDS_IN_REQUEST};

/// Returns the limits of the command line, or else of the configuration entry, or else the default for keys or paths.
pub(in crate::cli) fn limits(
    selection: &Selection,
    config: Option<&SiteConfig>,
    input: &Input,
) -> Limits {
    let default = if input.objects.is_empty() {
        Limits::REQUESTED_PATHS
    } else {
        let wildcards = input.paths.iter().filter(|path| path.is_wildcard());
        let Limits {
            paths,
            wildcards: of_keys,
            economy,
        } = Limits::BUCKET_CHANGES;
        // The keys have their limits beside the paths that the user wrote.
        Limits {
            paths: paths
                .saturating_add(input.paths.len())
                .min(MAX_PATHS_IN_REQUEST),
            wildcards: of_keys
                .saturating_add(wildcards.count())
                .min(MAX_WILDCARDS_IN_REQUEST),
            economy,
        }
    };
    let limit = |argument: Option<u64>, configured: Option<usize>, default: usize| {
        let argument = argument.and_then(|limit| usize::try_from(limit).ok());
        argument.or(configured).unwrap_or(default)
    };
    let max_paths = config.and_then(|config| config.max_paths);
    let max_wildcards = config.and_then(|config| config.max_wildcards);
    Limits {
        paths: limit(selection.max_paths, max_paths, default.paths),
        wildcards: limit(selection.max_wildcards, max_wildcards, default.wildcards),
        economy: selection
            .economy
            .or(config.and_then(|config| config.economy))
            .unwrap_or(default.economy),
    }
}

/// Checks that the paths that the user wrote are within the limits, alone and together with those of the keys. They are not
/// merged or widened to fit.
pub(in crate::cli) fn check_limits(
    selection: &Selection,
    config: Option<&SiteConfig>,
    planned: &PlannedBatch,
) -> Result<(), CliError> {
    if planned.written.is_empty() {
        return Ok(());
    }
    let written = collapse(planned.written.clone(), None, Limits::UNLIMITED).paths;
    let wildcards = |paths: &[InvalidationPath]| {
        let wildcards = paths.iter().filter(|path| path.is_wildcard());
        wildcards.count()
    };
    let has_keys = !planned.of_keys.is_empty();
    let planned = &planned.plan.paths;
    for limit in [
        WrittenLimit {
            count: written.len(),
            planned: planned.len(),
            has_keys,
            noun: "path",
            option: ("--max-paths", selection.max_paths),
            key: ("max_paths", config.and_then(|config| config.max_paths)),
            maximum: MAX_PATHS_IN_REQUEST,
        },
        WrittenLimit {
            count: wildcards(&written),
            planned: wildcards(planned),
            // They possibly need none.
            has_keys: has_keys && wildcards(planned) > wildcards(&written),
            noun: "wildcard",
            option: ("--max-wildcards", selection.max_wildcards),
            key: (
                "max_wildcards",
                config.and_then(|config| config.max_wildcards),
            ),
            maximum: MAX_WILDCARDS_IN_REQUEST,
        },
    ] {
        limit.check()?;
    }
    Ok(())
}

/// A limit of the paths that the user wrote.
struct WrittenLimit {
    /// How many the user wrote.
    count: usize,
    /// How many there are with those of the keys.
    planned: usize,
    /// Whether keys need at least one more.
    has_keys: bool,
    noun: &'static str,
    /// The option and its value.
    option: (&'static str, Option<u64>),
    /// The key of the configuration file and its value.
    key: (&'static str, Option<usize>),
    /// CloudFront's limit.
    maximum: usize,
}

impl WrittenLimit {
    fn check(&self) -> Result<(), CliError> {
        let (option, argument) = self.option;
        let (key, configured) = self.key;
        let argument = argument.and_then(|limit| usize::try_from(limit).ok());
        let limit = argument.or(configured).unwrap_or(self.maximum);
        let leaves_some = !self.has_keys || self.count < limit;
        if self.count <= limit && (self.planned <= limit || !self.has_keys) && leaves_some {
            return Ok(());
        }
        if self.count <= limit {
            return Err(CliError::usage(format!(
                "the paths and the keys together exceed the limit of {}; paths are sent as written, not merged: invalidate the \
                 keys separately",
                counted(limit, self.noun)
            )));
        }
        let written = counted(self.count, self.noun);
        let limit = thousands(limit);
        Err(CliError::usage(match (argument, configured) {
            (Some(_), _) => format!(
                "{written} exceed {option} {limit}; paths are sent as written, not merged: name fewer, or raise {option}"
            ),
            (None, Some(_)) => format!(
                "{written} exceed {key} = {limit} of the configuration; paths are sent as written, not merged: name \
                 fewer, or give {option}"
            ),
            (None, None) => format!(
                "{written} exceed CloudFront's limit of {limit} in one invalidation; paths are sent as written, not \
                 merged: divide them, or replace some by a wildcard such as /blog/* or /*"
            ),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::input::Object;
    use crate::plan::limits::Economy;
    use crate::site::Change;

    #[test]
    fn limits_come_from_the_command_line_then_the_configuration_then_the_defaults() {
        let paths = Input::default();
        let object = Object {
            bucket: None,
            key: "a.html".into(),
        };
        let keys = Input {
            objects: [(object, Change::default())].into(),
            ..Input::default()
        };
        let mut config = SiteConfig::default();
        config.max_paths = Some(8);
        config.max_wildcards = Some(2);
        for (arguments, config, input, expected) in [
            ((None, None), None, &paths, (3_000, 15)),
            ((None, None), None, &keys, (20, 10)),
            ((None, None), Some(&config), &keys, (8, 2)),
            ((None, None), Some(&config), &paths, (8, 2)),
            ((Some(5), None), Some(&config), &keys, (5, 2)),
            ((None, Some(15)), None, &keys, (20, 15)),
        ] {
            let selection = Selection {
                max_paths: arguments.0,
                max_wildcards: arguments.1,
                ..Selection::default()
            };
            let limits = limits(&selection, config, input);
            assert_eq!((limits.paths, limits.wildcards), expected, "{arguments:?}");
        }
    }

    #[test]
    fn the_economy_comes_from_the_command_line_then_the_configuration() {
        let economy = |share| Economy::parse(share).expect("a share");
        let mut configured = SiteConfig::default();
        configured.economy = Some(economy("0.5"));
        for (option, config, expected) in [
            (None, None, "0"),
            (None, Some(&configured), "0.5"),
            (Some("0.1"), Some(&configured), "0.1"),
            (Some("0"), Some(&configured), "0"),
            (Some("1"), None, "1"),
        ] {
            let selection = Selection {
                economy: option.map(economy),
                ..Selection::default()
            };
            let limits = limits(&selection, config, &Input::default());
            assert_eq!(limits.economy, economy(expected), "{option:?}");
        }
    }
}
