//! Slash commands of Slack: the checks of a request, the replies, and the queue for what takes longer.

mod bed;
mod queue;
mod purges;
mod replies;
mod time;
mod requests;
mod secrets;
