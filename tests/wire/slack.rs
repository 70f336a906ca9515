//! Slash commands of Slack: the checks of a request, the replies, and the queue for what takes longer.

mod bed;
mod replies;
mod time;
