//! Tests of the built `cf-invalidate`: its output, its requests and its exit codes.
//!
//! The program runs in an empty home directory against the stand-in for CloudFront. A snapshot contains each command with
//! its complete output; placeholders such as `[TIME]` replace values that differ from run to run.
//! `UPDATE_SNAPSHOTS=overwrite cargo test --features cli --test cli` writes the snapshots again.

#[path = "../standin/mod.rs"]
mod standin;

mod checks;
mod create;
mod defaults;
mod endings;
mod environment;
mod environment_errors;
mod event_samples;
mod exit_codes;
mod free_paths;
mod immutable;
mod inspect;
mod inventory_before;
mod invoke_and_status;
mod keys;
mod literal_keys;
mod mistakes;
mod plan;
mod positional_paths;
mod profiles_and_proxies;
mod quiet_and_verbose;
mod replay;
mod requests;
mod schema;
mod scripts;
mod site_keys;
mod strict_input;
mod sync_output;
mod takedown;
mod terminal_session;
mod verify;
