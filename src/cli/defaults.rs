//! What the environment and the configuration file decide where the arguments decide nothing.
//!
//! An argument takes precedence over the environment, the environment over the configuration file. All of it is written
//! into the arguments before the command runs, so that a command reads arguments only. An invalid configuration file
//! stops a command unless the arguments and the environment decide everything that the file could decide.

use std::env;

use super::config::Config;
use super::{Arguments, CliError, Command, GlobalOptions, ImmutableArguments};
use crate::distribution::DistributionId;
use crate::error::Audience;

/// The variables that name the distributions. The first that is set is used.
const DISTRIBUTIONS: [&str; 2] = ["CF_INVALIDATE_DISTRIBUTION", "DISTRIBUTION_ID"];

/// The variables with which the AWS SDK finds credentials without a profile of the configuration file. They take
/// precedence over it, so that a build keeps its role.
const CREDENTIALS: [&str; 5] = [
    "AWS_PROFILE",
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
];

/// The variable with the default of `--immutable`, which is that of the function. Its value is checked where it is needed: a wrong
/// one must not stop an invalidation of everything.
pub(super) const IMMUTABLE_PATHS: &str = "IMMUTABLE_PATHS";

const REGIONS: [&str; 2] = ["AWS_REGION", "AWS_DEFAULT_REGION"];

/// The environment: returns the value of a variable.
type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What [`apply`] found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Defaults {
    pub config: Config,
    /// Why the configuration file is ignored.
    pub warning: Option<String>,
    /// The distributions that the environment names.
    pub note: Option<String>,
    /// The profile that the configuration file names.
    pub detail: Option<String>,
}

/// Completes the arguments.
pub(super) fn apply(arguments: &mut Arguments) -> Result<Defaults, CliError> {
    let environment = |name: &str| env::var(name).ok();
    complete(arguments, &environment, Config::load())
}

fn complete(
    arguments: &mut Arguments,
    environment: Environment,
    config: Result<Config, CliError>,
) -> Result<Defaults, CliError> {
    let mut defaults = Defaults::default();
    if let Command::Completions { .. } = arguments.command {
        return Ok(defaults);
    }
    defaults.note = name_distributions(&mut arguments.command, environment);
    if let Some(arguments) = immutable(&mut arguments.command)
        && arguments.immutable.is_empty()
        && let Some((_, value)) = first_set(&[IMMUTABLE_PATHS], environment)
    {
        arguments
            .immutable
            .extend(value.split(',').map(str::to_owned));
        arguments.is_from_environment = true;
    }
    let config = match config {
        Ok(config) => config,
        Err(error) if needs_config(arguments, environment) => return Err(error),
        Err(error) => {
            let error = error.message(&Audience::CommandLine { profile: None });
            defaults.warning = Some(format!(
                "the configuration file is ignored, because it is invalid: {error}"
            ));
            Config::default()
        }
    };
    let global = &mut arguments.global;
    if !names_credentials(global, environment)
        && let Some(profile) = &config.profile
    {
        global.profile = Some(profile.clone());
        defaults.detail = Some(format!("the configuration file names profile {profile:?}"));
    }
    if global.region.is_none() && first_set(&REGIONS, environment).is_none() {
        global.region.clone_from(&config.region);
    }
    if let Command::Create(create) = &mut arguments.command {
        create.wait = create.wait.or(config.wait);
    }
    defaults.config = config;
    Ok(defaults)
}

/// Returns the first variable with a value, and the value. An empty value counts as unset.
fn first_set<'a>(names: &[&'a str], environment: Environment) -> Option<(&'a str, String)> {
    let mut values = names.iter().filter_map(|name| {
        let value = environment(name)?;
        (!value.trim().is_empty()).then_some((*name, value))
    });
    values.next()
}

/// Returns whether the arguments or the environment name credentials.
fn names_credentials(global: &GlobalOptions, environment: Environment) -> bool {
    global.profile.is_some() || first_set(&CREDENTIALS, environment).is_some()
}

/// Returns the values of `-d`; `None` if the command has no such option, or with another meaning.
fn distributions(command: &mut Command) -> Option<&mut Vec<String>> {
    match command {
        Command::Create(create) => Some(&mut create.selection.named.distributions),
        Command::Plan(plan) => Some(&mut plan.create.selection.named.distributions),
        Command::Verify(verify) => Some(&mut verify.named.distributions),
        Command::Status(status) => Some(&mut status.named.distributions),
        Command::List(list) => Some(&mut list.named.distributions),
        Command::Distributions
        | Command::Usage(_)
        | Command::Invoke(_)
        | Command::Replay(_)
        | Command::Completions { .. } => None,
    }
}

/// Returns `--immutable`; `None` if the command has no such option.
fn immutable(command: &mut Command) -> Option<&mut ImmutableArguments> {
    match command {
        Command::Create(create) => Some(&mut create.selection.immutable),
        Command::Plan(plan) => Some(&mut plan.create.selection.immutable),
        Command::Verify(verify) => Some(&mut verify.immutable),
        _ => None,
    }
}

/// Names the distributions of the environment if the arguments name none, and returns a note about them.
fn name_distributions(command: &mut Command, environment: Environment) -> Option<String> {
    let distributions = distributions(command).filter(|names| names.is_empty())?;
    for variable in DISTRIBUTIONS {
        let value = environment(variable).unwrap_or_default();
        let names = value
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty());
        distributions.extend(names.map(str::to_owned));
        if !distributions.is_empty() {
            return Some(format!(
                "the environment variable {variable} names the distribution: {}",
                distributions.join(", ")
            ));
        }
    }
    None
}

/// Returns whether the command can need a value that the arguments and the environment do not decide.
///
/// The region is left out: a request that is signed for the wrong partition fails. `invoke` is left out: it works as the
/// function does, which has no such file.
fn needs_config(arguments: &mut Arguments, environment: Environment) -> bool {
    if let Command::Invoke(_) = arguments.command {
        return false;
    }
    // Every other name can be that of a site.
    let is_id = |name: &String| DistributionId::parse(name).is_ok();
    let needs_site = distributions(&mut arguments.command)
        .is_some_and(|names| names.is_empty() || !names.iter().all(is_id));
    let needs_wait = matches!(&arguments.command, Command::Create(create) if create.wait.is_none());
    needs_site || needs_wait || !names_credentials(&arguments.global, environment)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::Parser;

    use super::*;

    const ID: &str = "E1EXAMPLE1ABC";

    /// Returns the completed arguments, and what was found.
    fn completed(
        line: &str,
        variables: &[(&str, &str)],
        config: Result<Config, CliError>,
    ) -> Result<(Arguments, Defaults), CliError> {
        let environment = |name: &str| {
            let mut variables = variables.iter();
            let variable = variables.find(|(variable, _)| *variable == name);
            variable.map(|(_, value)| (*value).to_owned())
        };
        let words = ["cf-invalidate"].into_iter().chain(line.split(' '));
        let mut arguments = Arguments::try_parse_from(words).expect("arguments");
        let defaults = complete(&mut arguments, &environment, config)?;
        Ok((arguments, defaults))
    }

    fn config() -> Config {
        let mut config = Config::default();
        config.profile = Some("configured".into());
        config.region = Some("cn-north-1".into());
        config.wait = Some(Duration::from_secs(300));
        config
    }

    #[test]
    fn an_argument_wins_over_the_environment_and_that_over_the_configuration() {
        let configured = (Some("configured"), Some("cn-north-1"));
        for (line, variables, expected) in [
            ("usage", vec![], configured),
            (
                "usage",
                vec![("AWS_PROFILE", ""), ("AWS_REGION", " ")],
                configured,
            ),
            (
                "usage",
                vec![("AWS_EC2_METADATA_DISABLED", "true")],
                configured,
            ),
            (
                "usage --profile a --region b",
                vec![("AWS_REGION", "c")],
                (Some("a"), Some("b")),
            ),
            (
                "usage",
                vec![("AWS_PROFILE", "a")],
                (None, Some("cn-north-1")),
            ),
            (
                "usage",
                vec![("AWS_ACCESS_KEY_ID", "a")],
                (None, Some("cn-north-1")),
            ),
            (
                "usage",
                vec![("AWS_WEB_IDENTITY_TOKEN_FILE", "a")],
                (None, Some("cn-north-1")),
            ),
            (
                "usage",
                vec![("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/a")],
                (None, Some("cn-north-1")),
            ),
            (
                "usage",
                vec![("AWS_CONTAINER_CREDENTIALS_FULL_URI", "a")],
                (None, Some("cn-north-1")),
            ),
            (
                "usage",
                vec![("AWS_REGION", "c")],
                (Some("configured"), None),
            ),
            (
                "usage",
                vec![("AWS_DEFAULT_REGION", "c")],
                (Some("configured"), None),
            ),
            ("invoke event.json", vec![], configured),
            ("completions bash", vec![], (None, None)),
        ] {
            let completed = completed(line, &variables, Ok(config()));
            let (arguments, _) = completed.expect("valid arguments");
            let GlobalOptions {
                profile, region, ..
            } = arguments.global;
            assert_eq!(
                (profile.as_deref(), region.as_deref()),
                expected,
                "{line} {variables:?}"
            );
        }
    }

    #[test]
    fn the_configured_limit_is_that_of_create_only() {
        for (line, seconds) in [
            ("create /a", Some(300)),
            ("create /a --wait=0", Some(0)),
            ("create /a --wait", Some(900)),
            ("plan /a", None),
            ("status", None),
        ] {
            let (arguments, _) = completed(line, &[], Ok(config())).expect("valid arguments");
            let wait = match arguments.command {
                Command::Create(create) => create.wait,
                Command::Plan(plan) => plan.create.wait,
                Command::Status(status) => status.wait,
                command => panic!("{command:?}"),
            };
            assert_eq!(wait, seconds.map(Duration::from_secs), "{line}");
        }
    }

    #[test]
    fn an_invalid_file_stops_a_command_unless_everything_else_is_decided() {
        let keys = ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE");
        let id = ("DISTRIBUTION_ID", ID);
        for (line, variables, is_stopped) in [
            (
                "create /a -d E1EXAMPLE1ABC --wait=0 --profile dev",
                vec![],
                false,
            ),
            ("create /a -d E1EXAMPLE1ABC --wait=0", vec![keys], false),
            ("create /a --wait=0", vec![keys, id], false),
            ("create /a --wait=0", vec![keys], true),
            ("create /a", vec![keys, id], true),
            ("create /a --wait=0", vec![id], true),
            (
                "create /a -d E1EXAMPLE1ABC -d blog --wait=0",
                vec![keys],
                true,
            ),
            ("create /a -d www.example.com --wait=0", vec![keys], true),
            ("plan /a -d E1EXAMPLE1ABC", vec![keys], false),
            ("plan /a", vec![keys], true),
            ("status", vec![keys, id], false),
            ("list", vec![keys], true),
            ("distributions", vec![keys], false),
            ("distributions", vec![], true),
            ("usage --profile dev", vec![], false),
            ("invoke event.json", vec![], false),
            ("completions bash", vec![], false),
        ] {
            let invalid = Err(CliError::usage("wrong"));
            let stopped = completed(line, &variables, invalid).err();
            let expected = is_stopped.then(|| CliError::usage("wrong"));
            assert_eq!(stopped, expected, "{line} {variables:?}");
        }
        let invalid = Err(CliError::usage("wrong"));
        let (_, defaults) = completed("distributions", &[keys], invalid).expect("defaults");
        let warning = "the configuration file is ignored, because it is invalid: wrong";
        assert_eq!(defaults.warning.as_deref(), Some(warning));
    }
}
