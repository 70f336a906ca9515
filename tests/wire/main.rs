//! The function from an event to the bytes on the wire and back, against the stand-ins.
//!
//! Nothing is mocked: the function runs with the real SDK, whose endpoint is the stand-in. Each test compares
//! everything that the stand-in received and the complete result that the caller got.

#[path = "../standin/mod.rs"]
mod standin;

mod access;
mod aws_json;
mod budget;
mod codepipeline;
mod codepipeline_requests;
mod configurations;
mod connections;
mod credentials;
mod direct;
mod direct_retries;
mod edge;
mod edge_sites;
mod endpoints;
mod errors;
mod fixture;
mod heads;
mod immutable;
mod metrics;
mod newest;
mod queue;
mod recorder;
mod reuse;
mod round_trips;
mod s3;
mod s3_list;
mod site_names;
mod sites;
mod slack;
mod staging;
mod tags;
mod tenants;
mod tls;
mod tls_server;
mod trust;
mod usage;
mod verification;
mod verify_urls;
mod waiting;
