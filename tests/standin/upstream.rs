//! Forwards requests to another local AWS.
//!
//! MiniStack evaluates IAM policies but accepts every path and quota; the stand-in's
//! rules do the reverse. In a row they behave as one CloudFront: a request goes to
//! MiniStack first, and only what it accepts is checked here. The signature covers the
//! headers, so the request is forwarded unchanged, with the `Host` that the caller signed.

use std::io;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, Uri, header, response};
use axum::response::{IntoResponse, Response};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;

use super::fault::ApiError;
use super::server::MAX_BODY_BYTES;

/// Another local server that must accept a request first.
pub(super) struct Upstream {
    base: String,
    client: Client<HttpConnector, Body>,
}

/// A response of the other server.
pub(super) struct UpstreamResponse {
    head: response::Parts,
    pub(super) body: Bytes,
}

impl Upstream {
    pub(super) fn new(base: &str) -> Self {
        Self {
            base: base.trim_end_matches('/').to_owned(),
            client: Client::builder(TokioExecutor::new()).build_http(),
        }
    }

    /// Forwards a request; an upstream that does not respond is a bad gateway.
    pub(super) async fn forward(
        &self,
        head: &Parts,
        body: Bytes,
    ) -> Result<UpstreamResponse, ApiError> {
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        let mut request = Request::new(Body::from(body));
        *request.method_mut() = head.method.clone();
        *request.headers_mut() = head.headers.clone();
        let response = self.send(path, request).await;
        response.map_err(|error| {
            let message = format!("{}: {error}", self.base);
            ApiError::new(502, "UpstreamUnreachable", message)
        })
    }

    /// Sends a GET request with these headers.
    pub(super) async fn get(
        &self,
        target: &str,
        headers: &[(HeaderName, &str)],
    ) -> io::Result<UpstreamResponse> {
        let mut request = Request::new(Body::empty());
        for (name, value) in headers {
            let value = HeaderValue::from_str(value).map_err(io::Error::other)?;
            request.headers_mut().insert(name, value);
        }
        self.send(target, request).await
    }

    async fn send(&self, target: &str, mut request: Request<Body>) -> io::Result<UpstreamResponse> {
        let uri = format!("{}{target}", self.base).parse::<Uri>();
        *request.uri_mut() = uri.map_err(io::Error::other)?;
        let response = self.client.request(request).await;
        let (head, body) = response.map_err(io::Error::other)?.into_parts();
        let body = to_bytes(Body::new(body), MAX_BODY_BYTES).await;
        let body = body.map_err(io::Error::other)?;
        Ok(UpstreamResponse { head, body })
    }
}

impl UpstreamResponse {
    pub(super) fn status(&self) -> StatusCode {
        self.head.status
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }
}

impl IntoResponse for UpstreamResponse {
    /// Passes the response on, without the headers that belong to the other connection.
    fn into_response(mut self) -> Response {
        self.head.headers.remove(header::TRANSFER_ENCODING);
        self.head.headers.remove(header::CONNECTION);
        Response::from_parts(self.head, Body::from(self.body))
    }
}
