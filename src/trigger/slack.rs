//! A slash command of Slack: an HTTP request to the function URL that Slack signed.
//!
//! Anyone can send a request to the URL. So [`SignedRequest::read`] refuses first what no signature can repair, without a
//! secret; then [`SignedRequest::is_signed_with`] decides whether Slack sent the request; only then
//! [`SignedRequest::form`] reads its body. [`Command::parse`] reads the text that the person typed. [`StoredSecret`] reads
//! the secrets that the operator stored.
//!
//! Errors and refusals have no value of the request and no part of a secret, so that they can be logged. Only the errors of
//! [`Command::parse`] repeat what the person typed: they are the reply to this person.
//!
//! Shape: <https://docs.slack.dev/interactivity/implementing-slash-commands>

mod command;
mod form;
mod secret;
mod signature;
pub mod task;

pub use command::{Action, Command, WORDS};
pub use form::{Form, SlashCommand};
pub use secret::{ResponseUrl, SigningSecret, StoredSecret, WebhookUrl};
pub use signature::{Refusal, SignedRequest};

#[cfg(test)]
mod tests;
