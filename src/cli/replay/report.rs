//! `Report`: what became of the messages of a dead-letter queue.
//!
//! Each message that is left counts under one reason. The errors of functions are counted by their text, so that
//! thousands of messages with the same cause are one line.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::json;

use super::Route;
use crate::cli::terminal::Terminal;
use crate::cli::{CliError, Exit};
use crate::error::Category;
use crate::excerpt::{Excerpt, MAX_NOTED, counted};
use crate::output::{CommandOutput, ErrorOutput};

/// Why a message is left in the dead-letter queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum LeftReason {
    /// A pipeline job for whose result CodePipeline no longer waits.
    ExpiredPipelineJob,
    /// A pipeline job for whose result CodePipeline possibly waits.
    PipelineJob,
    DirectInvocation,
    /// Neither changes of objects nor an event of the function.
    Unknown,
    /// SQS did not accept its changes.
    NotSent,
    /// Its changes were sent.
    NotDeleted,
}

impl LeftReason {
    /// Returns the number of messages, with the reason.
    fn counted(self, messages: usize) -> String {
        let suffix = match self {
            Self::ExpiredPipelineJob => return counted(messages, "expired pipeline job"),
            Self::PipelineJob => return counted(messages, "pipeline job"),
            Self::DirectInvocation => return counted(messages, "direct invocation"),
            Self::Unknown => "with unknown content",
            Self::NotSent => "that SQS did not accept",
            Self::NotDeleted => "that was sent, but not deleted",
        };
        format!("{} {suffix}", counted(messages, "message"))
    }

    /// Returns what to do.
    fn hint(self) -> &'static str {
        match self {
            Self::ExpiredPipelineJob => {
                "CodePipeline has failed the action, 20 minutes after its start: run the pipeline again if the site is \
                 old, then delete the message, which contains temporary credentials"
            }
            Self::PipelineJob => {
                "CodePipeline waits for its result until 20 minutes after its start: correct the cause, and retry the \
                 stage when the action has failed; the message contains temporary credentials"
            }
            Self::DirectInvocation => {
                "such an event does not go through a queue: correct the cause, invoke the function with it again, then \
                 delete the message"
            }
            Self::Unknown => {
                "the content is neither a change of objects nor an event of the function: find out who sends it, then \
                 delete the message"
            }
            Self::NotSent => "run the command again",
            Self::NotDeleted => "the next run sends the changes again",
        }
    }
}

/// Errors, and how many messages have each.
#[derive(Debug, Default)]
struct ErrorCounts(BTreeMap<String, usize>);

impl ErrorCounts {
    fn add(&mut self, error: Option<String>) {
        if let Some(error) = error {
            *self.0.entry(error).or_default() += 1;
        }
    }

    /// Returns the end of a line, in which `name` is what the errors are.
    fn text(&self, name: &str) -> String {
        let mut errors: Vec<_> = self.0.iter().collect();
        errors.sort_by_key(|(_, messages)| std::cmp::Reverse(**messages));
        let errors = errors.into_iter().map(|(error, messages)| {
            let messages = counted(*messages, "message");
            format!("{name} of {messages}: {error}")
        });
        match errors.collect::<Excerpt<MAX_NOTED>>() {
            errors if errors.count() == 0 => String::new(),
            errors => format!("; {}", errors.join("; ")),
        }
    }

    fn output(&self) -> serde_json::Value {
        let errors = self.0.iter();
        let errors =
            errors.map(|(message, messages)| json!({"message": message, "messages": messages}));
        errors.collect()
    }
}

#[derive(Debug, Default)]
struct Left {
    messages: usize,
    errors: ErrorCounts,
}

/// What became of the messages of a dead-letter queue.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// How many messages were received and read.
    pub(super) received: usize,
    /// How many messages SQS accepted.
    pub(super) sent: usize,
    /// How many messages have changes.
    planned: usize,
    /// Why these were in the queue.
    errors: ErrorCounts,
    left: BTreeMap<LeftReason, Left>,
    warnings: Vec<String>,
}

impl Report {
    /// Returns whether no message was received, and there is nothing else to report.
    pub(super) fn is_empty(&self) -> bool {
        self.received == 0 && self.warnings.is_empty()
    }

    /// Adds a message with changes, and why it was in the queue.
    pub(super) fn plan(&mut self, failure: Option<String>) {
        self.planned += 1;
        self.errors.add(failure);
    }

    /// Adds a message that is left, and an error about it.
    pub(super) fn leave(&mut self, reason: LeftReason, error: Option<String>) {
        let left = self.left.entry(reason).or_default();
        left.messages += 1;
        left.errors.add(error);
    }

    /// Adds a warning, once.
    pub(super) fn warn(&mut self, warning: String) {
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// Prints the report, with the error that ended the run, and returns the exit code.
    pub(super) fn print(
        &self,
        terminal: &Terminal,
        route: &Route,
        stopped_by: Option<CliError>,
    ) -> Exit {
        let (exit, error) = match stopped_by {
            Some(error) => (error.exit(), Some(error.output(terminal.audience()))),
            None => match self.left_error(route) {
                Some(error) => (Exit::Failed, Some(error)),
                None => (Exit::Done, None),
            },
        };
        for warning in &self.warnings {
            terminal.warn(warning);
        }
        if self.received == 0 && error.is_none() {
            // Another run, or one that did not end, can have received all of them.
            terminal.text(format!(
                "no message of queue {} is visible: it is empty, or its messages were received within the last 10 \
                 minutes and are visible again later",
                route.queue.name()
            ));
        }
        if let Some(line) = self.sent_line(route) {
            terminal.submission(line);
        }
        for (reason, left) in &self.left {
            terminal.text(left_line(*reason, left, route));
        }
        if let Some(error) = &error {
            terminal.error(&error.message);
        }
        terminal.json(CommandOutput::new(self.output(route), exit, error));
        exit
    }

    fn sent_line(&self, route: &Route) -> Option<String> {
        let (verb, messages) = match route.dry_run {
            true => ("would send", self.planned),
            false => ("sent", self.sent),
        };
        let errors = self.errors.text("earlier error");
        (messages > 0).then(|| {
            let messages = counted(messages, "message");
            format!("{verb} {messages} to queue {}{errors}", route.to.name())
        })
    }

    /// Returns the error of messages that are left.
    fn left_error(&self, route: &Route) -> Option<ErrorOutput> {
        let messages: usize = self.left.values().map(|left| left.messages).sum();
        if messages == 0 {
            return None;
        }
        let reasons = self.left.iter();
        let reasons = reasons.map(|(reason, left)| reason.counted(left.messages));
        let reasons: Vec<_> = reasons.collect();
        let refused_by_sqs = [LeftReason::NotSent, LeftReason::NotDeleted];
        let category = match refused_by_sqs
            .iter()
            .any(|reason| self.left.contains_key(reason))
        {
            true => Category::Unavailable,
            false => Category::InvalidInput,
        };
        let verb = match (route.dry_run, messages) {
            (true, _) => "would be",
            (false, 1) => "is",
            (false, _) => "are",
        };
        let message = format!(
            "{} {verb} left in queue {}: {}",
            counted(messages, "message"),
            route.queue.name(),
            reasons.join(", ")
        );
        Some(ErrorOutput::new(category, message, None))
    }

    fn output(&self, route: &Route) -> serde_json::Value {
        let left = self.left.iter().map(|(reason, left)| {
            json!({
                "reason": reason,
                "messages": left.messages,
                "hint": reason.hint(),
                "errors": left.errors.output(),
            })
        });
        json!({
            "queue": route.queue.as_str(),
            "to": route.to.as_str(),
            "dry_run": route.dry_run,
            "received": self.received,
            "planned": self.planned,
            "sent": self.sent,
            "errors": self.errors.output(),
            "left": left.collect::<Vec<_>>(),
            "warnings": self.warnings,
        })
    }
}

fn left_line(reason: LeftReason, left: &Left, route: &Route) -> String {
    let verb = match route.dry_run {
        true => "would leave",
        false => "left",
    };
    format!(
        "{verb} {}: {}{}",
        reason.counted(left.messages),
        reason.hint(),
        left.errors.text("error")
    )
}
