//! A stand-in of Lambda's Runtime API for one process, with the times of its requests.
//!
//! API: <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use bytes::Bytes;
use chrono::Utc;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::aws::{Call, Calls};
use crate::events::Event;

const API: &str = "/2018-06-01/runtime/";
/// How long an invocation may take. The template's default is the same.
const TIMEOUT_MS: i64 = 60_000;

/// An invocation that the process has answered.
#[derive(Debug)]
pub struct Invocation {
    /// From the time at which the event was sent until the response had arrived.
    pub duration: Duration,
    /// What the process sent to `/response`; or to `/error`, as an error.
    pub response: Result<Bytes, Bytes>,
    /// The calls of AWS meanwhile.
    pub calls: Vec<Call>,
}

/// What the process did until now.
#[derive(Debug, Default)]
pub struct Progress {
    /// When it asked for the first event.
    pub initialized: Option<Instant>,
    /// Its invocations, the first one first.
    pub invocations: Vec<Invocation>,
    /// Why it could not be initialized, or what it sent that the Runtime API does not have.
    pub error: Option<String>,
    events: VecDeque<Event>,
    /// The first event. It is made before the process starts, because making the largest batch takes time.
    first: Option<Bytes>,
    sent: Option<Instant>,
}

/// The Runtime API of one process.
pub struct RuntimeApi {
    /// The value of `AWS_LAMBDA_RUNTIME_API`.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

struct Shared {
    progress: Mutex<Progress>,
    /// Told when the process asks for an event and none is left, and when it failed.
    ended: Notify,
    calls: Calls,
    /// How long the first event is held back.
    hold: Duration,
}

impl RuntimeApi {
    /// Serves these events on a free port. The first one is sent `hold` after the process asked for it.
    ///
    /// # Errors
    ///
    /// Returns an error if no port is free.
    pub async fn serve(events: Vec<Event>, hold: Duration, calls: Calls) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let first = events.first().map(|event| event.at(Utc::now()));
        let shared = Arc::new(Shared {
            progress: Mutex::new(Progress {
                events: events.into(),
                first,
                ..Progress::default()
            }),
            ended: Notify::new(),
            calls,
            hold,
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self {
            address,
            shared,
            accepting,
        })
    }

    /// Waits until the process has answered all events and asks for another one, or has failed.
    pub async fn ended(&self) {
        self.shared.ended.notified().await;
    }

    /// Returns what the process did.
    pub fn into_progress(self) -> Progress {
        self.accepting.abort();
        std::mem::take(&mut self.shared.lock())
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let shared = Arc::clone(&shared);
        let service = service_fn(move |request| {
            let shared = Arc::clone(&shared);
            async move { Ok::<_, Infallible>(shared.respond(request).await) }
        });
        let connection = hyper::server::conn::http1::Builder::new();
        tokio::spawn(connection.serve_connection(TokioIo::new(stream), service));
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn respond(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let arrived = Instant::now();
        let (head, body) = request.into_parts();
        let path = head.uri.path().strip_prefix(API).unwrap_or_default();
        if (&head.method, path) == (&Method::GET, "invocation/next") {
            return self.next(arrived).await;
        }
        let body = match body.collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) => return self.fail(error.to_string()),
        };
        let completed = Instant::now();
        let segments: Vec<&str> = path.split('/').collect();
        match segments.as_slice() {
            ["invocation", _, "response"] => self.record(completed, Ok(body)),
            ["invocation", _, "error"] => self.record(completed, Err(body)),
            _ => self.fail(format!(
                "{} {}: {}",
                head.method,
                head.uri,
                String::from_utf8_lossy(&body)
            )),
        }
    }

    async fn next(&self, arrived: Instant) -> Response<Full<Bytes>> {
        let is_first = {
            let mut progress = self.lock();
            let is_first = progress.initialized.is_none();
            progress.initialized.get_or_insert(arrived);
            is_first
        };
        if is_first && !self.hold.is_zero() {
            tokio::time::sleep(self.hold).await;
        }
        let (number, event) = {
            let mut progress = self.lock();
            let event = progress.events.pop_front();
            (
                progress.events.len(),
                event.map(|event| (progress.first.take(), event)),
            )
        };
        let Some((ready, event)) = event else {
            self.ended.notify_one();
            return std::future::pending().await;
        };
        let body = ready.unwrap_or_else(|| event.at(Utc::now()));
        let mut response = Response::new(Full::from(body));
        *response.headers_mut() = headers(number);
        self.calls.take();
        self.lock().sent = Some(Instant::now());
        response
    }

    fn record(&self, completed: Instant, response: Result<Bytes, Bytes>) -> Response<Full<Bytes>> {
        let mut progress = self.lock();
        let Some(sent) = progress.sent.take() else {
            drop(progress);
            return self.fail("a response without an event".to_owned());
        };
        progress.invocations.push(Invocation {
            duration: completed.duration_since(sent),
            response,
            calls: self.calls.take(),
        });
        status(StatusCode::ACCEPTED)
    }

    fn fail(&self, error: String) -> Response<Full<Bytes>> {
        self.lock().error.get_or_insert(error);
        self.ended.notify_one();
        status(StatusCode::ACCEPTED)
    }
}

/// Returns the headers of an event, as long as Lambda's.
fn headers(number: usize) -> HeaderMap {
    let deadline = Utc::now().timestamp_millis() + TIMEOUT_MS;
    let values = [
        (
            "lambda-runtime-aws-request-id",
            format!("8476a536-e9f4-11e8-9739-{number:012x}"),
        ),
        ("lambda-runtime-deadline-ms", deadline.to_string()),
        (
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:eu-west-1:111122223333:function:cloudfront-invalidator".to_owned(),
        ),
        (
            "lambda-runtime-trace-id",
            "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0".to_owned(),
        ),
    ];
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, value) in values {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    headers
}

fn status(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}
