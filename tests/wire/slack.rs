//! Slash commands of Slack: the checks of a request, the replies, and the queue for what takes longer.

mod announcements;
pub mod bed;
mod claims;
mod mapping;
mod purges;
mod queue;
mod replies;
mod requests;
mod secrets;
mod time;
