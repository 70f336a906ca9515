//! Passes the SDK's requests to the stand-in within the process, and notes what CloudFront did with the invalidations.
//!
//! A socket would stop virtual time: tokio advances it while nothing else can run, and so while a response is on its
//! way.

use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use tokio::time::{Instant, sleep};

use super::CALL_TIME;
use crate::standin::InProcess;

/// What happened to a CreateInvalidation.
#[derive(Clone, Debug)]
pub struct Created {
    pub at: Instant,
    pub distribution: String,
    pub paths: Vec<String>,
    /// `None` if CloudFront accepted it, or the code of the error.
    pub error: Option<String>,
}

/// CloudFront in this process.
#[derive(Clone)]
pub struct CloudFront {
    pub standin: InProcess,
    created: Arc<Mutex<Vec<Created>>>,
}

impl CloudFront {
    pub fn new(standin: InProcess) -> Self {
        Self {
            standin,
            created: Arc::default(),
        }
    }

    /// Returns the client for the SDK.
    pub fn http_client(&self) -> SharedHttpClient {
        let connector = SharedHttpConnector::new(self.clone());
        http_client_fn(move |_settings, _components| connector.clone())
    }

    /// Returns what happened to each CreateInvalidation since the last call, in order.
    pub fn take_created(&self) -> Vec<Created> {
        mem::take(&mut self.created())
    }

    fn created(&self) -> MutexGuard<'_, Vec<Created>> {
        self.created.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn respond(&self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let is_create = request.method() == "POST" && request.uri().ends_with("/invalidation");
        let at = Instant::now();
        let response = self.standin.respond(request).await?;
        // A repeated caller reference creates nothing, and has the status 200.
        if is_create && response.status().as_u16() != 200 {
            self.note(at);
        }
        sleep(CALL_TIME).await;
        Ok(response)
    }

    /// Notes the CreateInvalidation that was received last.
    fn note(&self, at: Instant) {
        let received = self.standin.last_invalidation();
        let created = received.map(|received| Created {
            at,
            distribution: received.distribution,
            paths: received.paths,
            error: received.outcome.err(),
        });
        self.created().extend(created);
    }
}

impl fmt::Debug for CloudFront {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CloudFront")
    }
}

impl HttpConnector for CloudFront {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let cloudfront = self.clone();
        HttpConnectorFuture::new(async move { cloudfront.respond(request).await })
    }
}
