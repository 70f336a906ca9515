//! `Terminal`: who hears what.
//!
//! A result goes to stdout, so that it can be piped; notes, warnings, errors, questions and progress go to stderr.
//! Progress is shown and questions are asked only where a person can see them and answer. Colours follow `NO_COLOR`,
//! `CLICOLOR_FORCE` and whether stderr is a terminal.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use inquire::InquireError;
use serde::Serialize;
use serde_json::json;

use super::output::ErrorOutput;
use super::{CliError, GlobalOptions, Output};
use crate::error::Audience;

const RED: &str = "\u{1b}[1;31m";
const YELLOW: &str = "\u{1b}[1;33m";
const PLAIN: &str = "\u{1b}[0m";

/// Where results, notes and questions go.
#[derive(Clone, Debug)]
pub(super) struct Terminal {
    output: Output,
    quiet: bool,
    verbose: bool,
    audience: Audience,
}

impl Terminal {
    pub(super) fn new(global: &GlobalOptions) -> Self {
        Self {
            output: global.output,
            quiet: global.quiet,
            verbose: global.verbose > 0,
            audience: Audience::CommandLine {
                profile: global.profile.clone(),
            },
        }
    }

    /// Tells the result: `text` to people, `object` to programs.
    pub(super) fn result(&self, text: impl Display, object: impl Serialize) {
        match self.output {
            Output::Json => write_out(&json!(object)),
            Output::Text if self.quiet => {}
            Output::Text => write_out(&text),
        }
    }

    /// Tells the result to programs only; people were told its parts.
    pub(super) fn object(&self, object: impl Serialize) {
        if self.output == Output::Json {
            write_out(&json!(object));
        }
    }

    /// Tells a part of the result that the JSON object will hold too.
    pub(super) fn part(&self, text: impl Display) {
        if self.output == Output::Text && !self.quiet {
            write_out(&text);
        }
    }

    /// Tells a person what happens.
    pub(super) fn note(&self, text: impl Display) {
        if !self.quiet {
            anstream::eprintln!("{text}");
        }
    }

    /// Tells what only the curious want to know.
    pub(super) fn detail(&self, text: impl Display) {
        if self.verbose {
            anstream::eprintln!("{text}");
        }
    }

    /// Tells what is nice to know for a person, and noise in a log.
    pub(super) fn hint(&self, text: impl Display) {
        if self.verbose || self.can_ask() {
            anstream::eprintln!("{text}");
        }
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.quiet
    }

    pub(super) fn warn(&self, text: impl Display) {
        if !self.quiet {
            anstream::eprintln!("{YELLOW}warning:{PLAIN} {text}");
        }
    }

    pub(super) fn error(&self, text: impl Display) {
        anstream::eprintln!("{RED}error:{PLAIN} {text}");
    }

    /// Prints why there is no result.
    pub(super) fn failed(&self, error: &CliError) {
        let message = error.message(&self.audience);
        self.error(&message);
        if self.output == Output::Json {
            let failure = ErrorOutput::new(error.category(), message);
            write_out(&json!({"exit_code": error.exit() as u8, "failure": failure}));
        }
    }

    /// Returns the audience of error messages.
    pub(super) fn audience(&self) -> &Audience {
        &self.audience
    }

    /// Tells whether somebody is there to answer.
    pub(super) fn can_ask(&self) -> bool {
        !self.quiet && io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Asks for a yes; an answer that is not given is a no.
    pub(super) fn confirm(&self, question: &str) -> Result<bool, CliError> {
        match inquire::Confirm::new(question).with_default(false).prompt() {
            Ok(yes) => Ok(yes),
            Err(InquireError::OperationCanceled) => Ok(false),
            Err(error) => Err(unanswered(error)),
        }
    }

    /// Lets a person choose; typing filters.
    pub(super) fn choose<T: Display>(
        &self,
        question: &str,
        choices: Vec<T>,
    ) -> Result<T, CliError> {
        inquire::Select::new(question, choices)
            .with_help_message("type to filter, ↑↓ to move, enter to choose, esc to leave")
            .prompt()
            .map_err(unanswered)
    }

    /// Shows that something goes on, for as long as the value lives.
    pub(super) fn progress(&self, text: impl Into<String>) -> Progress {
        if self.quiet || !io::stderr().is_terminal() {
            return Progress(ProgressBar::hidden());
        }
        let bar = ProgressBar::new_spinner().with_message(text.into());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}  {elapsed}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(120));
        Progress(bar)
    }
}

/// A line of progress, which goes when it is dropped.
pub(super) struct Progress(ProgressBar);

impl Progress {
    pub(super) fn say(&self, text: impl Into<String>) {
        self.0.set_message(text.into());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn unanswered(error: InquireError) -> CliError {
    let text = match error {
        InquireError::OperationCanceled | InquireError::OperationInterrupted => {
            "nothing was chosen, and nothing was sent".to_owned()
        }
        error => format!("could not ask: {error}"),
    };
    CliError::Declined(text)
}

/// A reader that went away, such as `head`, is no failure.
fn write_out(text: &dyn Display) {
    let _ = writeln!(io::stdout().lock(), "{text}");
}
