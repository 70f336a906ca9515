//! The built program from outside: what it prints, what it sends, how it ends.
//!
//! It runs in an empty home against the stand-in. A snapshot holds a command with all that it wrote, whole; what
//! differs from run to run is blanked. `UPDATE_SNAPSHOTS=1 cargo test --features cli --test cli` writes them anew.

#[path = "../standin/mod.rs"]
mod standin;

mod bed;
mod create;
mod endings;
mod examples;
mod look;
mod person;
mod plan;
