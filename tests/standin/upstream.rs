//! The way to another local AWS.
//!
//! The local cloud evaluates IAM for real but lets every path and quota through;
//! our rules do the reverse. In a row they make one CloudFront: a request goes there
//! first, signature and all, and only what it accepts is judged here. Nothing that
//! is signed may change on the way, so the request is forwarded as it came, with
//! the `Host` that the caller signed.

use axum::body::{Body, Bytes, to_bytes};
use axum::http::request::Parts;
use axum::http::{Request, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;

use super::LARGEST_BODY;
use super::fault::Refusal;

/// Forwards requests to another local server.
pub(super) struct Upstream {
    base: String,
    client: Client<HttpConnector, Body>,
}

/// Holds what the other server answered.
pub(super) struct Answer {
    head: axum::http::response::Parts,
    pub(super) body: Bytes,
}

impl Upstream {
    pub(super) fn new(base: &str) -> Self {
        Self {
            base: base.trim_end_matches('/').to_owned(),
            client: Client::builder(TokioExecutor::new()).build_http(),
        }
    }

    /// Sends the request on; an upstream that does not answer is a bad gateway.
    pub(super) async fn forward(&self, head: &Parts, body: Bytes) -> Result<Answer, Refusal> {
        let unreachable = |error: &dyn std::error::Error| {
            Refusal::new(
                502,
                "UpstreamUnreachable",
                format!("{}: {error}", self.base),
            )
        };
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        let target = format!("{}{path}", self.base).parse::<Uri>();
        let mut request = Request::new(Body::from(body));
        *request.method_mut() = head.method.clone();
        *request.uri_mut() = target.map_err(|error| unreachable(&error))?;
        *request.headers_mut() = head.headers.clone();
        let answer = self.client.request(request).await;
        let (head, body) = answer.map_err(|error| unreachable(&error))?.into_parts();
        let body = to_bytes(Body::new(body), LARGEST_BODY).await;
        let body = body.map_err(|error| unreachable(&error))?;
        Ok(Answer { head, body })
    }
}

impl Answer {
    pub(super) fn status(&self) -> StatusCode {
        self.head.status
    }
}

impl IntoResponse for Answer {
    /// Passes the answer through; its framing belonged to the other connection.
    fn into_response(mut self) -> Response {
        self.head.headers.remove(header::TRANSFER_ENCODING);
        self.head.headers.remove(header::CONNECTION);
        Response::from_parts(self.head, Body::from(self.body))
    }
}
