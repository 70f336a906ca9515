//! A model of S3's website endpoint, which MiniStack stores the configuration of but does not serve.
//!
//! It reads the objects from MiniStack's S3. `/dir/` is `/dir/index.html`, and `/dir` without an object redirects to
//! `/dir/` if that leads to an object. There is no error document.
//!
//! Rules: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/IndexDocumentSupport.html>

use std::io;

use axum::body::Bytes;
use axum::http::Method;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::http::Http;
use super::site::Distribution;
use super::soak::BUCKET;
use crate::standin::OriginResponse;

const INDEX_DOCUMENT: &str = "index.html";

/// Returns what CloudFront returns for a viewer's target, with the distribution's default root object and error pages.
pub async fn fetch(
    s3: &Http,
    distribution: &Distribution,
    target: &str,
) -> io::Result<OriginResponse> {
    let origin_path = distribution.origin_paths[0];
    let path = match target.split('?').next() {
        Some("/") | None => format!("/{}", distribution.default_root_object),
        Some(path) => path.to_owned(),
    };
    let response = from_endpoint(s3, &format!("{origin_path}{path}")).await?;
    let mut pages = distribution.error_pages.iter();
    let page = pages.find(|page| page.error_code == response.status);
    let Some(page) = page else {
        return Ok(response);
    };
    let error = from_endpoint(s3, &format!("{origin_path}{}", page.page)).await?;
    // A page that is not available leaves the origin's status, as in MiniStack.
    let status = if error.status < 400 {
        page.response_code
    } else {
        error.status
    };
    Ok(OriginResponse { status, ..error })
}

/// Returns the endpoint's response to a path.
async fn from_endpoint(s3: &Http, path: &str) -> io::Result<OriginResponse> {
    let decoded = percent_decode_str(path.strip_prefix('/').unwrap_or(path));
    let Ok(key) = decoded.decode_utf8() else {
        return Ok(not_found());
    };
    let is_directory = key.is_empty() || key.ends_with('/');
    let document = if is_directory {
        format!("{key}{INDEX_DOCUMENT}")
    } else {
        key.to_string()
    };
    if let Some(object) = object(s3, BUCKET, &document).await? {
        return Ok(object);
    }
    let index = format!("{key}/{INDEX_DOCUMENT}");
    if !is_directory && object(s3, BUCKET, &index).await?.is_some() {
        return Ok(OriginResponse {
            status: 302,
            headers: vec![("location".to_owned(), format!("{path}/"))],
            body: Bytes::new(),
        });
    }
    Ok(not_found())
}

fn not_found() -> OriginResponse {
    OriginResponse {
        status: 404,
        headers: vec![("content-type".to_owned(), "text/html".to_owned())],
        body: Bytes::from_static(b"<html><h1>404 Not Found</h1></html>"),
    }
}

/// Returns an object of a bucket; `None` if there is none.
pub async fn object(s3: &Http, bucket: &str, key: &str) -> io::Result<Option<OriginResponse>> {
    let target = format!("/{bucket}/{}", utf8_percent_encode(key, NON_ALPHANUMERIC));
    let response = s3
        .send(Method::GET, &target.replace("%2F", "/"), &[], "")
        .await?;
    match response.status {
        200 => Ok(Some(OriginResponse {
            status: 200,
            headers: response.headers,
            body: response.body,
        })),
        403 | 404 => Ok(None),
        status => Err(io::Error::other(format!("S3 returned {status} for {key}"))),
    }
}
