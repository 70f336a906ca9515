//! A model of distributions that MiniStack does not serve: another name of the bucket, a server that forwards to it, a
//! function that changes the origin path, and an origin group.
//!
//! Each has one cache behavior, and a missing object is an error 403, as without `s3:ListBucket`. [`Distribution::key`]
//! has the rules.

use std::io;

use axum::body::Bytes;
use percent_encoding::percent_decode_str;

use super::http::Http;
use super::site::Distribution;
use super::website::object;
use crate::standin::OriginResponse;

/// Returns what CloudFront returns for a viewer's target.
pub async fn fetch(
    s3: &Http,
    bucket: &str,
    distribution: &Distribution,
    target: &str,
) -> io::Result<OriginResponse> {
    let path = target.split('?').next().unwrap_or_default();
    let path = path.strip_prefix('/').unwrap_or(path);
    // A function gets the encoded path; what it appends needs no encoding.
    let key = distribution.key(path);
    let found = match percent_decode_str(&key).decode_utf8() {
        Ok(key) => object(s3, bucket, &key).await?,
        Err(_) => None,
    };
    Ok(found.unwrap_or_else(|| OriginResponse {
        status: 403,
        headers: vec![("content-type".to_owned(), "application/xml".to_owned())],
        body: Bytes::from_static(b"<Error><Code>AccessDenied</Code></Error>"),
    }))
}
