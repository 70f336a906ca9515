//! Forwards requests to another local AWS.
//!
//! MiniStack evaluates IAM policies but accepts every path and quota; the stand-in's
//! rules do the reverse. In a row they behave as one CloudFront: a request goes to
//! MiniStack first, and only what it accepts is checked here. The signature covers the
//! headers, so the request is forwarded unchanged, with the `Host` that the caller signed.

use axum::body::{Body, Bytes, to_bytes};
use axum::http::request::Parts;
use axum::http::{Request, StatusCode, Uri, header, response};
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
        let unreachable = |error: &dyn std::error::Error| {
            let message = format!("{}: {error}", self.base);
            ApiError::new(502, "UpstreamUnreachable", message)
        };
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        let target = format!("{}{path}", self.base).parse::<Uri>();
        let mut request = Request::new(Body::from(body));
        *request.method_mut() = head.method.clone();
        *request.uri_mut() = target.map_err(|error| unreachable(&error))?;
        *request.headers_mut() = head.headers.clone();
        let response = self.client.request(request).await;
        let (head, body) = response.map_err(|error| unreachable(&error))?.into_parts();
        let body = to_bytes(Body::new(body), MAX_BODY_BYTES).await;
        let body = body.map_err(|error| unreachable(&error))?;
        Ok(UpstreamResponse { head, body })
    }
}

impl UpstreamResponse {
    pub(super) fn status(&self) -> StatusCode {
        self.head.status
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
