//! Keeps what CloudFront serves as fresh as its origin.
//!
//! One way runs through the program, and every caller takes it:
//!
//! ```text
//!  bytes ──▶ Trigger ──▶ objects or paths ──▶ Batch ──▶ CloudFront ──▶ Outcome ──▶ answer to the caller
//!         who called?   Site: what would a   fewest    the only       what was     job result, batch failures,
//!                       viewer have cached?  paths     effect         done, why    or the function's own
//! ```
//!
//! The first three arrows are pure: bytes in, values out, no clock, no environment, no SDK. The last two touch the
//! world.
//!
//! | room | lives there |
//! |---|---|
//! | [`path`] | `InvalidationPath`: checked and encoded once, from an object's key or a person's words |
//! | [`distribution`] | `DistributionId`, and the names that people give distributions |
//! | [`site`] | `Site`: a distribution seen from a bucket; an object's key → the paths a viewer can have cached |
//! | [`plan`] | `Batch`, `CallerReference`, `Limits`; `collapse` to few paths, `fresh` to none |
//! | [`failure`] | `Failure`: what went wrong, whose turn it is, the remedy |
//! | [`outcome`] | `Outcome`: what was asked, what came of it |
//! | [`trigger`] | `Trigger`: who called, one file a caller |
//! | [`settings`] | `Settings` from the environment |
//! | [`wait`], [`clock`], [`invocation`] | how long to wait, by which clock, and how long the work may take |
//! | [`aws`] | the only rooms that name an SDK |
//! | [`flow`] | the one way: `jobs` of pipelines, changed `objects` |
//! | [`log`] | the log lines |
//! | `cli` | the command line (feature `cli`) |

#![forbid(unsafe_code)]

pub mod aws;
#[cfg(feature = "cli")]
pub mod cli;
pub mod clock;
pub mod distribution;
pub mod failure;
pub mod flow;
pub mod invocation;
pub mod log;
pub mod outcome;
pub mod path;
pub mod plan;
pub mod settings;
pub mod site;
pub mod trigger;
pub mod wait;
