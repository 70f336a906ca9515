//! Invalidates CloudFront when a site changes.
//!
//! ```text
//!  bytes ──▶ Trigger ──▶ objects or paths ──▶ Batch ──▶ CloudFront ──▶ Outcome ──▶ response to the caller
//!         who called?   Site: what may a     fewest    the only       what was     job result, batch item
//!                       viewer have cached?  paths     effect         done, why    failures, text, JSON
//! ```
//!
//! [`trigger`], [`site`] and [`plan`] are pure: values in, values out, no clock, no environment, no SDK. They are tested
//! with tables. [`aws`] makes the calls, [`handler`] connects all of them for the Lambda function, and `cli` for the
//! command line (feature `cli`).
//!
//! | module | contents |
//! |---|---|
//! | [`handler`] | `Invalidator`: pipeline jobs, direct invocations, object changes, SQS batches |
//! | [`aws`] | the only modules that name an SDK: the clients, the classification of their errors |
//! | [`mrkdwn`] | text for Slack that mentions nobody |
//! | [`outcome`] | `Outcome`: what was requested, what happened |
//! | [`output`], [`exit`] | the JSON objects, with the exit codes in them |
//! | [`runtime`] | the events of the Lambda runtime, as bytes |
//! | [`settings`] | `Settings` from the environment |
//! | [`trigger`] | `Trigger`: what invoked the function; one file for each caller and each kind of content |
//! | [`plan`] | `Batch`, `CallerReference`, `Limits`, `collapse`, `ExistingInvalidation` |
//! | [`site`] | `Site`: which paths of a distribution lead to an object of a bucket; key → cached paths |
//! | [`error`](mod@error) | `Error`: what failed, why, what to do |
//! | [`path`] | `InvalidationPath`: checked and encoded when it is made; `EncodedPaths` has the reason of each wildcard |
//! | [`metrics`] | what an invocation did, in numbers, for CloudWatch |
//! | [`billing`] | the free paths of a month, and the price of others |
//! | [`distribution`], [`account`] | `DistributionId`, `DistributionName`; the account in ARNs |
//! | `similarity` | which name is meant by one that does not exist |
//! | [`invocation`], [`duration`], [`clock`], [`log`], [`excerpt`] | the time that is left, limits of waits, the clock, log lines, long lists |
//! | [`version`] | which build this is |

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::string_slice
    )
)]

pub mod account;
pub mod aws;
pub mod billing;
#[cfg(feature = "cli")]
pub mod cli;
pub mod clock;
pub mod distribution;
pub mod duration;
pub mod error;
pub mod excerpt;
pub mod exit;
pub mod handler;
pub mod invocation;
pub mod log;
pub mod metrics;
pub mod mrkdwn;
pub mod outcome;
pub mod output;
pub mod path;
pub mod plan;
pub mod runtime;
pub mod settings;
mod similarity;
pub mod site;
pub mod trigger;
pub mod verify;
pub mod version;
