//! Requests to MiniStack: its S3 and CloudFront APIs, and its viewers.

use std::io;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::{Method, Request, Uri, header};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;

const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;

/// An HTTP client of one server.
#[derive(Clone)]
pub struct Http {
    base: String,
    client: Client<HttpConnector, Body>,
}

/// A complete response.
#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

impl Http {
    pub fn new(base: String) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { base, client }
    }

    /// Sends a request and reads the response, whatever its status.
    pub async fn send(
        &self,
        method: Method,
        target: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> io::Result<Response> {
        let uri: Uri = format!("{}{target}", self.base)
            .parse()
            .map_err(|error| io::Error::other(format!("{target}: {error}")))?;
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body.into()).map_err(io::Error::other)?;
        let response = self.client.request(request).await;
        let (head, body) = response.map_err(io::Error::other)?.into_parts();
        let body = to_bytes(Body::new(body), MAX_BODY_BYTES).await;
        let text = |value: &header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into();
        let headers = head.headers.iter();
        Ok(Response {
            status: head.status.as_u16(),
            headers: headers
                .map(|(name, value)| (name.to_string(), text(value)))
                .collect(),
            body: body.map_err(io::Error::other)?,
        })
    }

    /// Sends a request that must succeed.
    pub async fn send_ok(
        &self,
        method: Method,
        target: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> io::Result<Response> {
        let response = self.send(method.clone(), target, headers, body).await?;
        if response.status < 300 {
            return Ok(response);
        }
        let text = String::from_utf8_lossy(&response.body);
        let status = response.status;
        Err(io::Error::other(format!(
            "{method} {target}: {status} {text}"
        )))
    }
}

impl Response {
    /// Returns the value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }
}

/// Returns the value of a header, whose name is compared without case.
pub fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = headers
        .iter()
        .find(|(header, _)| header.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.as_str())
}
