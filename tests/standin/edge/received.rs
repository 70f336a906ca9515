//! The requests of viewers that arrived over HTTP, so that a test can compare what a program under test requests.
//!
//! Requests in this process ([`Edge::get`](super::Edge::get)) are not recorded: the tests that send a hundred thousand of
//! them do not read them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::request::Parts;

use super::header;

/// A request of a viewer, as it was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedViewerRequest {
    /// The POP's number; `None` if there is no POP with the name in the host.
    pub pop: Option<usize>,
    pub method: String,
    /// The value of `Host`, which can contain a port.
    pub host: String,
    /// The path and the query string.
    pub target: String,
    /// All headers, with their names in lower case.
    pub headers: Vec<(String, String)>,
}

impl ReceivedViewerRequest {
    pub(super) fn new(head: &Parts, pop: Option<usize>) -> Self {
        let target = head.uri.path_and_query();
        let headers = head.headers.iter().map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.to_string(), value)
        });
        let headers: Vec<_> = headers.collect();
        Self {
            pop,
            method: head.method.to_string(),
            host: header(&headers, "host").unwrap_or_default().to_owned(),
            target: target.map_or("/", |target| target.as_str()).to_owned(),
            headers,
        }
    }

    /// Returns the value of the first header with this name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    /// Returns the content codings that the viewer accepts.
    pub fn accept_encoding(&self) -> Option<&str> {
        self.header("accept-encoding")
    }
}

/// The requests of viewers since the last reset, in the order received.
#[derive(Clone, Debug, Default)]
pub(in crate::standin) struct ReceivedViewerRequests(Arc<Mutex<Vec<ReceivedViewerRequest>>>);

impl ReceivedViewerRequests {
    pub(super) fn push(&self, request: ReceivedViewerRequest) {
        self.lock().push(request);
    }

    pub(in crate::standin) fn all(&self) -> Vec<ReceivedViewerRequest> {
        self.lock().clone()
    }

    pub(in crate::standin) fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<ReceivedViewerRequest>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
