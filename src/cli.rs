//! `cf-invalidate`: creates the same invalidations as the function, from a terminal, a script or a buildspec.
//!
//! Each command has a module of its own: `create`, `plan`, `verify`, `status`, `list`, `distributions`, `usage`,
//! `invoke`, `replay`. The others are shared:
//!
//! | module | contents |
//! |---|---|
//! | `arguments`, `examples` | the arguments, and the examples of their help |
//! | `config`, `directories` | the configuration files, and where they and the cache are |
//! | `defaults` | what the environment and the configuration decide where the arguments do not |
//! | `connection` | the AWS clients, with the user's credentials |
//! | `target` | the distributions of a command |
//! | `input` | what changed: paths, keys, the output of `aws s3 sync`, a batch |
//! | `local_file` | the files of `--site` |
//! | `selection` | the planned paths of each distribution |
//! | `hosts` | the check of the hosts of URLs |
//! | `preflight` | the checks before a batch is sent |
//! | `wait` | the wait for completion |
//! | `invalidation_cache` | completed invalidations, stored on disk |
//! | `terminal`, `stdout` | stdout, stderr, prompts, progress, the log |
//! | `output`, `format` | the JSON objects of the command line alone; numbers, paths and tables as text |
//! | `error` | `CliError` |
//!
//! The library writes the texts of paths, plans and errors, so they are the same as in the function. Only the advice in
//! an error depends on its audience.

mod arguments;
mod config;
mod connection;
mod create;
mod defaults;
mod directories;
mod distributions;
mod error;
mod examples;
mod format;
mod hosts;
mod input;
mod invalidation_cache;
mod invoke;
mod list;
mod local_file;
mod output;
mod plan;
mod preflight;
mod replay;
mod selection;
mod status;
mod stdout;
mod target;
mod terminal;
mod usage;
mod verify;
mod wait;

use std::ffi::OsString;
use std::panic::{self, AssertUnwindSafe};
use std::rc::Rc;
use std::time::SystemTime;

use chrono::{DateTime, Utc};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, Parser};
use serde_json::json;

use crate::aws::profile::without_user_info;
pub use arguments::{
    Arguments, Command, Create, GlobalOptions, ImmutableArguments, Invoke, List, Output, Plan,
    Replay, Requests, Selection, Status, Usage, Verify,
};
use config::Config;
use connection::Connection;
use defaults::Defaults;
pub use error::CliError;
use output::FailedOutput;
use stdout::Stdout;
use terminal::Terminal;

use crate::error::Error;
pub use crate::exit::Exit;

/// What every command works with.
struct Session {
    terminal: Terminal,
    config: Config,
    connection: Connection,
}

/// Runs the program with its arguments, of which the first is its name, and returns the exit code.
pub fn main(arguments: Vec<OsString>) -> Exit {
    let stdout = Rc::new(Stdout::default());
    let exit = match Arguments::try_parse_from(&arguments) {
        Ok(parsed) => run(parsed, &stdout),
        Err(error) => {
            let error = correct_tips(without_password(error));
            print_help_or_usage(&error, &arguments, &stdout)
        }
    };
    stdout.finish(exit)
}

/// Prints `--help` and `--version` to stdout, and what is wrong with the arguments to stderr.
fn print_help_or_usage(error: &clap::Error, arguments: &[OsString], stdout: &Stdout) -> Exit {
    let text = error.render();
    if !error.use_stderr() {
        stdout.write(&text.ansi().to_string());
        return Exit::Done;
    }
    terminal::print(text.ansi().to_string().trim_end());
    if requests_json(arguments) {
        let output = FailedOutput::new(Exit::Usage, output::argument_error(error));
        stdout.line(json!(output));
    }
    Exit::Usage
}

/// Replaces the user info of a malformed endpoint, which can contain a password.
fn without_password(mut error: clap::Error) -> clap::Error {
    let is_endpoint = matches!(
        error.get(ContextKind::InvalidArg),
        Some(ContextValue::String(option)) if option.starts_with("--endpoint-url ")
    );
    if is_endpoint
        && let Some(ContextValue::String(endpoint)) = error.get(ContextKind::InvalidValue)
    {
        let endpoint = ContextValue::String(without_user_info(endpoint));
        error.insert(ContextKind::InvalidValue, endpoint);
    }
    error
}

/// Corrects the tips about an unknown option.
///
/// A misspelled option must not lead to `--all`, which invalidates everything; neither tip nor usage contain it. What
/// follows `--` is a path, which does not start with a hyphen.
fn correct_tips(mut error: clap::Error) -> clap::Error {
    if error.kind() != ErrorKind::UnknownArgument {
        return error;
    }
    let is = |value: Option<&ContextValue>, option: &str| matches!(value, Some(ContextValue::String(text)) if text == option);
    let is_offline = is(error.get(ContextKind::InvalidArg), "--offline");
    if is_offline || is(error.get(ContextKind::SuggestedArg), "--all") {
        error.remove(ContextKind::SuggestedArg);
        error.remove(ContextKind::Usage);
    }
    if let Some(ContextValue::StyledStrs(mut tips)) = error.remove(ContextKind::Suggested) {
        tips.retain(|tip| {
            let tip = tip.to_string();
            !tip.contains(" --all'") && !tip.starts_with("to pass ")
        });
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(tips));
    }
    if is_offline {
        let tips = vec!["'plan --offline' plans without a call".into()];
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(tips));
    }
    error
}

/// Returns whether arguments that cannot be parsed request JSON.
fn requests_json(arguments: &[OsString]) -> bool {
    let options: Vec<_> = arguments.iter().take_while(|word| *word != "--").collect();
    let mut pairs = options.windows(2);
    options.iter().any(|word| *word == "--output=json")
        || pairs.any(
            |pair| matches!(pair, [option, value] if *option == "--output" && *value == "json"),
        )
}

/// Runs a command, prints its result or its error, and returns the exit code.
fn run(mut arguments: Arguments, stdout: &Rc<Stdout>) -> Exit {
    if arguments.global.verbose > 1 {
        terminal::log_to_stderr();
    }
    let defaults = defaults::apply(&mut arguments);
    // The texts of errors name the profile, which the configuration can name.
    let terminal = Terminal::new(&arguments, Rc::clone(stdout));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let result = match (runtime, defaults) {
        (Ok(runtime), Ok(defaults)) => {
            guard(|| runtime.block_on(run_command(&arguments, &terminal, defaults)))
        }
        (Ok(_), Err(error)) => Err(error),
        (Err(error), _) => {
            terminal::print_error(format!("could not start the runtime: {error}"));
            return Exit::Failed;
        }
    };
    result.unwrap_or_else(|error| {
        terminal.failure(&error);
        error.exit()
    })
}

/// Returns the result, or an error if it panics. The panic itself is on stderr.
fn guard(run: impl FnOnce() -> Result<Exit, CliError>) -> Result<Exit, CliError> {
    panic::catch_unwind(AssertUnwindSafe(run))
        .unwrap_or_else(|_panic| Err(Error::panicked().into()))
}

async fn run_command(
    arguments: &Arguments,
    terminal: &Terminal,
    defaults: Defaults,
) -> Result<Exit, CliError> {
    defaults.warning.iter().for_each(|text| terminal.warn(text));
    defaults.note.iter().for_each(|text| terminal.note(text));
    defaults
        .detail
        .iter()
        .for_each(|text| terminal.detail(text));
    let session = Session {
        terminal: terminal.clone(),
        config: defaults.config,
        connection: Connection::new(&arguments.global),
    };
    match &arguments.command {
        Command::Create(create) => create::run(&session, create).await,
        Command::Plan(plan) => plan::run(&session, plan).await,
        Command::Verify(verify) => verify::run(&session, verify).await,
        Command::Status(status) => status::run(&session, status).await,
        Command::List(list) => list::run(&session, list).await,
        Command::Distributions => distributions::run(&session).await,
        Command::Usage(usage) => usage::run(&session, usage).await,
        Command::Invoke(invoke) => invoke::run(&session, invoke).await,
        Command::Replay(replay) => replay::run(&session, replay).await,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            let mut command = Arguments::command();
            // The generators panic if they cannot write, so they write to memory.
            clap_complete::generate(*shell, &mut command, "cf-invalidate", &mut script);
            terminal.script(&String::from_utf8_lossy(&script));
            Ok(Exit::Done)
        }
    }
}

/// Returns the current time.
fn now() -> DateTime<Utc> {
    SystemTime::now().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Audience;

    #[test]
    fn a_panic_is_an_error_with_exit_code_1() {
        let error = guard(|| panic!("in a dependency")).expect_err("an error");
        let audience = Audience::CommandLine { profile: None };
        let expected =
            "the program panicked, which is a bug in it: report it with the message above";
        assert_eq!(
            (error.exit(), error.message(&audience)),
            (Exit::Failed, expected.to_owned())
        );
        assert_eq!(guard(|| Ok(Exit::Busy)), Ok(Exit::Busy));
    }
}
