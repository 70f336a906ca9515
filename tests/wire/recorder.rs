//! An HTTP client that records what the SDK sends.

use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use cloudfront_invalidator::aws::connections::Connections;

/// What was sent of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    pub uri: String,
    /// The header with the signature.
    pub authorization: String,
    /// The headers of the protocol AWS JSON; empty in other requests.
    pub content_type: String,
    pub target: String,
    pub body: Vec<u8>,
}

impl Sent {
    /// Returns the algorithm, the access key and the scope of the signature.
    pub fn credential(&self) -> &str {
        let credential = self.authorization.split(", ").next();
        credential.unwrap_or_default()
    }
}

/// Records requests. Clones share them.
#[derive(Clone, Debug)]
pub struct Recorder {
    sent: Arc<Mutex<Vec<Sent>>>,
    connections: Option<Connections>,
}

impl Recorder {
    /// Creates a client that sends nothing: each request fails, and is not retried.
    pub fn offline() -> Self {
        Self {
            sent: Arc::default(),
            connections: None,
        }
    }

    /// Creates a client that also sends the requests.
    pub fn of(connections: Connections) -> Self {
        Self {
            connections: Some(connections),
            ..Self::offline()
        }
    }

    /// Returns what was sent since the last call.
    pub fn take(&self) -> Vec<Sent> {
        std::mem::take(&mut self.sent.lock().expect("no panic"))
    }
}

impl HttpConnector for Recorder {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let header = |name| request.headers().get(name).unwrap_or_default().to_owned();
        self.sent.lock().expect("no panic").push(Sent {
            uri: request.uri().to_owned(),
            authorization: header("authorization"),
            content_type: header("content-type"),
            target: header("x-amz-target"),
            body: request.body().bytes().unwrap_or_default().to_vec(),
        });
        match &self.connections {
            Some(connections) => connections.call(request),
            None => HttpConnectorFuture::ready(Err(ConnectorError::user("offline".into()))),
        }
    }
}

impl HttpClient for Recorder {
    fn http_connector(
        &self,
        _settings: &HttpConnectorSettings,
        _components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}
