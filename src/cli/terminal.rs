//! `Terminal`: stdout, stderr, prompts, progress and the log.
//!
//! A result goes to stdout, so that it can be piped. Everything else goes to stderr. Prompts and progress appear on a
//! terminal only. Colors follow `NO_COLOR`, `CLICOLOR_FORCE` and whether stderr is a terminal.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::rc::Rc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use inquire::InquireError;
use serde::Serialize;
use serde_json::json;

use super::output::FailedOutput;
use super::stdout::Stdout;
use super::{Arguments, CliError, Output};
use crate::error::{Audience, Error};
use crate::log;

const RED: &str = "\u{1b}[1;31m";
const YELLOW: &str = "\u{1b}[1;33m";
const RESET: &str = "\u{1b}[0m";

/// How often the progress line is drawn.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(120);

/// The user's terminal, or the pipes and files in its place.
#[derive(Clone, Debug)]
pub(super) struct Terminal {
    output: Output,
    quiet: bool,
    /// Whether results are printed as text.
    prints_text: bool,
    verbose: bool,
    audience: Audience,
    stdout: Rc<Stdout>,
}

impl Terminal {
    pub(super) fn new(arguments: &Arguments, stdout: Rc<Stdout>) -> Self {
        let global = &arguments.global;
        Self {
            output: global.output,
            quiet: global.quiet,
            prints_text: global.output == Output::Text
                && (!global.quiet || arguments.command.is_about_output()),
            verbose: global.verbose > 0,
            audience: Audience::CommandLine {
                profile: global.profile.clone(),
            },
            stdout,
        }
    }

    /// Prints the result to stdout: as text, or as a JSON object with `--output json`.
    pub(super) fn result(&self, text: impl Display, object: impl Serialize) {
        self.text(text);
        self.json(object);
    }

    /// Prints a part of the result to stdout as text; nothing with `--output json`, and with `--quiet` nothing of a command
    /// that changes something.
    pub(super) fn text(&self, text: impl Display) {
        if self.prints_text {
            self.stdout.line(text);
        }
    }

    /// Prints the result to stdout as a JSON object; nothing without `--output json`.
    pub(super) fn json(&self, object: impl Serialize) {
        if self.output == Output::Json {
            self.stdout.line(json!(object));
        }
    }

    /// Prints what CloudFront accepted, as a part of the result. If stdout cannot be written, stderr contains it.
    pub(super) fn submission(&self, text: impl Display) {
        self.stdout.keep_submitted(&text);
        self.text(text);
    }

    /// Prints a script to stdout, in each format.
    pub(super) fn script(&self, text: &str) {
        self.stdout.write(text);
    }

    /// Prints to stderr, except with `--quiet`.
    pub(super) fn note(&self, text: impl Display) {
        if !self.quiet {
            print(text);
        }
    }

    /// Prints to stderr with `--verbose` only.
    pub(super) fn detail(&self, text: impl Display) {
        if self.verbose {
            print(text);
        }
    }

    /// Prints to stderr on a terminal or with `--verbose`, so that it does not fill the log of a build.
    pub(super) fn hint(&self, text: impl Display) {
        if self.verbose || self.can_prompt() {
            print(text);
        }
    }

    /// Prints a warning to stderr, except with `--quiet`.
    pub(super) fn warn(&self, text: impl Display) {
        if !self.quiet {
            print(format_args!("{YELLOW}warning:{RESET} {text}"));
        }
    }

    /// Prints an error to stderr.
    pub(super) fn error(&self, text: impl Display) {
        print_error(text);
    }

    /// Prints why a command has no result: to stderr, and as a JSON object with `--output json`.
    pub(super) fn failure(&self, error: &CliError) {
        let output = error.output(&self.audience);
        self.error(&output.message);
        self.json(FailedOutput::new(error.exit(), output));
    }

    /// Returns the audience of error messages.
    pub(super) fn audience(&self) -> &Audience {
        &self.audience
    }

    /// Returns whether `--verbose` is given.
    pub(super) fn is_verbose(&self) -> bool {
        self.verbose
    }

    /// Returns whether `--quiet` is given.
    pub(super) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Returns whether a user can answer a prompt.
    pub(super) fn can_prompt(&self) -> bool {
        !self.quiet && io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Prompts for yes or no; the default is no.
    pub(super) fn confirm(&self, question: &str) -> Result<bool, CliError> {
        match inquire::Confirm::new(question).with_default(false).prompt() {
            Ok(is_confirmed) => Ok(is_confirmed),
            Err(InquireError::OperationCanceled) => Ok(false),
            Err(error) => Err(prompt_error(
                error,
                "nothing was sent, because you stopped the prompt",
            )),
        }
    }

    /// Shows a menu, which typing filters.
    pub(super) fn choose<T: Display>(
        &self,
        question: &str,
        choices: Vec<T>,
    ) -> Result<T, CliError> {
        inquire::Select::new(question, choices)
            .with_help_message("type to filter, ↑↓ to move, enter to choose, esc to leave")
            .prompt()
            .map_err(|error| prompt_error(error, "nothing was chosen"))
    }

    /// Shows a progress line until the value is dropped; only on a terminal.
    pub(super) fn progress(&self, text: impl Into<String>) -> Progress {
        // The lines of `--verbose` would be drawn over.
        if self.quiet || self.verbose || !io::stderr().is_terminal() {
            return Progress(ProgressBar::hidden());
        }
        let bar = ProgressBar::new_spinner().with_message(text.into());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}  {elapsed}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(PROGRESS_INTERVAL);
        Progress(bar)
    }
}

/// A progress line, which disappears when it is dropped.
pub(super) struct Progress(ProgressBar);

impl Progress {
    /// Replaces the text.
    pub(super) fn set_text(&self, text: impl Into<String>) {
        self.0.set_message(text.into());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Returns the error of a prompt; `declined` is its text if the user left the prompt.
fn prompt_error(error: InquireError, declined: &str) -> CliError {
    match error {
        InquireError::OperationCanceled => CliError::Declined(declined.to_owned()),
        InquireError::OperationInterrupted => CliError::Interrupted(declined.to_owned()),
        error => Error::invalid_input(format!("could not prompt: {error}")).into(),
    }
}

/// Prints the log of the library to stderr, in the format of the function: one JSON object in each line.
pub(super) fn log_to_stderr() {
    let level = log::level(std::env::var("AWS_LAMBDA_LOG_LEVEL").ok().as_deref());
    let subscriber = log::subscriber(level, |line| print(line));
    // A second subscriber is ignored.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// Prints a line to stderr. An error is ignored: a message that nobody can read must not end the work.
pub(super) fn print(text: impl Display) {
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

/// Prints an error to stderr.
pub(super) fn print_error(text: impl Display) {
    print(format_args!("{RED}error:{RESET} {text}"));
}
