//! `Stdout`: writes results to standard output, and reports once that it cannot be written.
//!
//! A result that is not written must not look like a success. So the first error is kept, nothing else is written after
//! it, and the end of the program reports it. A reader that closes the pipe early, such as `head`, is not an error.

use std::cell::{OnceCell, RefCell};
use std::fmt::Display;
use std::io::{self, Write};

use super::{Exit, terminal};

/// Standard output, and what must not be lost if it cannot be written.
#[derive(Debug, Default)]
pub(super) struct Stdout {
    error: OnceCell<io::Error>,
    submitted: RefCell<Vec<String>>,
}

impl Stdout {
    /// Writes a text as it is, at once.
    pub(super) fn write(&self, text: &str) {
        if self.error.get().is_some() {
            return;
        }
        let mut stdout = anstream::stdout().lock();
        let result = stdout.write_all(text.as_bytes());
        if let Err(error) = result.and_then(|()| stdout.flush()) {
            // It is empty, as checked above.
            let _ = self.error.set(error);
        }
    }

    /// Writes a line.
    pub(super) fn line(&self, text: impl Display) {
        self.write(&format!("{text}\n"));
    }

    /// Keeps what CloudFront accepted: if the result cannot be written, stderr contains it.
    pub(super) fn keep_submitted(&self, submission: impl Display) {
        self.submitted.borrow_mut().push(submission.to_string());
    }

    /// Prints the error of a write, if there was one, and returns the exit code of the program.
    pub(super) fn finish(&self, exit: Exit) -> Exit {
        let error = self.error.get();
        let Some(error) = error.filter(|error| error.kind() != io::ErrorKind::BrokenPipe) else {
            return exit;
        };
        let mut text = format!("could not write to standard output: {error}");
        for submission in self.submitted.borrow().iter() {
            text += &format!("; {submission}");
        }
        terminal::print_error(text);
        exit.and(Exit::Failed)
    }
}
