//! The flow from an event to the bytes on the wire and back, against the stand-ins.
//!
//! Nothing is mocked: the function runs with the real SDK, whose endpoint is the stand-in. Each test asserts what was
//! received, whole, and what the caller was told.

#[path = "../standin/mod.rs"]
mod standin;

mod bed;
mod codepipeline;
mod errors;
mod queue;
mod s3;
mod sites;
mod waiting;
