//! AWS: the only modules that name an SDK crate (except `SdkConfig`, which the entry points pass on).
//!
//! `sdk` configures the clients, `sdk_error` reads their errors. `cloudfront` and `codepipeline` each make the calls of one
//! service and classify its errors. `sqs` and `secrets` do the same without an SDK client: `signed_json` makes their calls, and
//! `webhook` posts to Slack, both with `http`. `site_cache` remembers the configuration of distributions for some minutes. The command
//! line has `credentials` with `profile`, `call_log`, `s3`, and `sqs::batches`.

#[cfg(feature = "cli")]
pub mod call_log;
pub mod cloudfront;
pub mod codepipeline;
pub mod connections;
#[cfg(feature = "cli")]
pub mod credentials;
pub mod edge;
mod http;
#[cfg(feature = "cli")]
pub(crate) mod profile;
#[cfg(feature = "cli")]
pub mod s3;
pub mod sdk;
mod sdk_error;
pub mod secrets;
mod signed_json;
pub mod site_cache;
pub mod sqs;
pub mod webhook;
