//! AWS: the only modules that name an SDK crate (except `SdkConfig`, which the entry points pass on).
//!
//! `sdk` configures the clients, `connections` is their HTTP client, `sdk_error` reads their errors. `cloudfront` calls the SDK.
//! `codepipeline`, `sqs` and `secrets` call their services through `signed_json`, without an SDK client, and `webhook` posts to
//! Slack, both with `http`. `edge` sends the requests of viewers. `site_cache` remembers the configuration of distributions for
//! some minutes. The command line has `credentials` with `profile`, `call_log`, `s3`, and `sqs::batches`.

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
