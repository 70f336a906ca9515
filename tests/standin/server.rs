//! Routes each request: viewers' requests go to the edge. For the others, planned faults come first, then the upstream, then the service's rules.

use std::io;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::Request;
use axum::http::header::DATE;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use super::Options;
use super::aws_json::{JsonCall, JsonServices};
use super::clock::{Clock, http_date};
use super::cloudfront::{self, Call, CloudFront};
use super::codepipeline::{self, CodePipeline};
use super::control;
use super::edge::received::ReceivedViewerRequests;
use super::edge::viewer::Viewers;
use super::fault::{ApiError, Fault, Operation};
use super::fault_plan::FaultPlan;
use super::s3::{self, Buckets};
use super::slack::{self, Hooks};
use super::upstream::Upstream;

/// Enough for 3,000 paths of 4,000 escaped characters.
pub(super) const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;

/// Everything that changes while the server runs.
pub(super) struct State {
    pub(super) clock: Clock,
    /// How much later a response arrives than on this machine.
    pub(super) latency: Duration,
    pub(super) cloudfront: CloudFront,
    pub(super) codepipeline: CodePipeline,
    pub(super) json_services: JsonServices,
    pub(super) hooks: Hooks,
    pub(super) faults: FaultPlan,
    pub(super) viewer_requests: ReceivedViewerRequests,
    pub(super) calls: Vec<Operation>,
    /// The calls of each round trip, which started after the end of a call of the previous one.
    pub(super) round_trips: Vec<Vec<Operation>>,
    /// How many of these have a response.
    completed_round_trips: usize,
    /// The calls that a fault applied to.
    pub(super) failed_calls: Vec<Operation>,
}

impl State {
    /// Records the round trip that a call belongs to, and returns its index.
    fn begin_round_trip(&mut self, operation: Operation) -> usize {
        let index = self.completed_round_trips;
        let count = self.round_trips.len().max(index + 1);
        self.round_trips.resize_with(count, Vec::new);
        self.round_trips[index].push(operation);
        index
    }

    /// Records a call, and returns the fault that applies to it.
    fn next_fault(&mut self, call: &ServiceCall) -> Option<Fault> {
        let operation = call.operation();
        self.calls.push(operation);
        let fault = self.faults.next(operation, call.resource().as_deref());
        self.failed_calls.extend(fault.map(|_| operation));
        fault
    }

    pub(super) fn reset(&mut self) {
        self.cloudfront.reset();
        self.codepipeline.reset();
        self.json_services.reset();
        self.hooks = Hooks::default();
        self.faults = FaultPlan::default();
        self.viewer_requests.clear();
        self.calls.clear();
        self.round_trips.clear();
        self.completed_round_trips = 0;
        self.failed_calls.clear();
    }
}

/// A call of one of the services.
enum ServiceCall {
    CloudFront(Call),
    CodePipeline(Operation),
    S3(s3::Call),
    Json(Box<JsonCall>),
    Slack,
}

impl ServiceCall {
    /// Reads a call; `None` if the stand-in has no such operation.
    fn parse(head: &Parts, body: &[u8]) -> Option<Self> {
        let cloudfront = || Call::parse(head).map(Self::CloudFront);
        let codepipeline = || codepipeline::operation(head).map(Self::CodePipeline);
        let s3 = s3::Call::parse(head).map(Self::S3);
        let json = || JsonCall::parse(head, body).map(|call| Self::Json(Box::new(call)));
        let slack = || slack::is_hook(head).then_some(Self::Slack);
        (s3.or_else(cloudfront).or_else(codepipeline))
            .or_else(json)
            .or_else(slack)
    }

    fn operation(&self) -> Operation {
        match self {
            Self::CloudFront(call) => call.operation,
            Self::CodePipeline(operation) => *operation,
            Self::S3(call) => call.operation,
            Self::Json(call) => call.operation,
            Self::Slack => Operation::PostToSlack,
        }
    }

    /// Returns the ARN that a denial names; `None` if the operation has no resource-level permissions.
    fn resource(&self) -> Option<String> {
        match self {
            Self::CloudFront(call) => call.resource(),
            Self::CodePipeline(_) | Self::Slack => None,
            Self::S3(call) => Some(call.resource()),
            Self::Json(call) => Some(call.resource()),
        }
    }
}

/// What the server's thread shares with the test that owns it.
pub(super) struct Server {
    state: Mutex<State>,
    upstream: Option<Upstream>,
    pub(super) viewers: Option<Viewers>,
    pub(super) buckets: Buckets,
}

impl Server {
    pub(super) fn new(options: Options) -> Self {
        let upstream = options.upstream.as_deref().map(Upstream::new);
        let clock = options.clock.clone();
        let latency = options.latency;
        let cloudfront = CloudFront::new(options);
        let buckets = Buckets::default();
        let viewer_requests = ReceivedViewerRequests::default();
        let viewers = cloudfront.edge();
        Self {
            upstream,
            viewers: viewers
                .map(|edge| Viewers::new(edge, buckets.clone(), viewer_requests.clone())),
            buckets,
            state: Mutex::new(State {
                clock,
                latency,
                cloudfront,
                codepipeline: CodePipeline::default(),
                json_services: JsonServices::default(),
                hooks: Hooks::default(),
                faults: FaultPlan::default(),
                viewer_requests,
                calls: Vec::new(),
                round_trips: Vec::new(),
                completed_round_trips: 0,
                failed_calls: Vec::new(),
            }),
        }
    }

    /// Locks the state; the panic of a test that held the lock is already reported.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves requests until the future is dropped. Every request to the port of a POP is a viewer's.
    pub(super) async fn run(
        self: Arc<Self>,
        listener: TcpListener,
        pop: Option<usize>,
    ) -> io::Result<()> {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let serve = move |request: Request| {
            let server = Arc::clone(&self);
            async move { server.respond(request, pop).await }
        };
        axum::serve(listener, Router::new().fallback(serve)).await
    }

    pub(super) async fn respond(&self, request: Request, pop: Option<usize>) -> Response {
        let (head, body) = request.into_parts();
        let body = match to_bytes(body, MAX_BODY_BYTES).await {
            Ok(body) => body,
            Err(error) => return (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
        };
        if pop.is_none() && head.uri.path().starts_with(control::ROOT) {
            return control::respond(&mut self.state(), &head, &body);
        }
        if let Some(viewers) = &self.viewers
            && let Some(response) = viewers.respond(&head, pop, self.upstream.as_ref()).await
        {
            return response;
        }
        let Some(call) = ServiceCall::parse(&head, &body) else {
            let message = "the stand-in has no such operation of AWS, and no such hook of Slack";
            return (StatusCode::NOT_FOUND, message).into_response();
        };
        let round_trip = self.state().begin_round_trip(call.operation());
        let latency = self.state().latency;
        let response = self.respond_to_call(&call, &head, &body).await;
        let delay = latency + self.state().faults.delay_of(call.operation());
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let completed = &mut self.state().completed_round_trips;
        *completed = round_trip.saturating_add(1).max(*completed);
        response
    }

    async fn respond_to_call(&self, call: &ServiceCall, head: &Parts, body: &Bytes) -> Response {
        let operation = call.operation();
        match call {
            ServiceCall::Json(call) => self.state().json_services.record(call),
            ServiceCall::Slack => self.state().hooks.record(head, body),
            _ => {}
        }
        let fault = self.state().next_fault(call);
        if let Some(fault) = fault.filter(|fault| *fault != Fault::LostResponse) {
            self.record_fault(fault, call, body);
            let response = fault.response(operation, call.resource().as_deref()).await;
            return match call {
                ServiceCall::CloudFront(_) | ServiceCall::S3(_) => response,
                _ => self.with_date(response),
            };
        }
        let response = match call {
            ServiceCall::CloudFront(call) => self.call_cloudfront(call, head, body).await,
            ServiceCall::CodePipeline(operation) => {
                let result = self.state().codepipeline.put_result(*operation, body);
                result.map(|()| codepipeline::empty_response())
            }
            ServiceCall::S3(call) => self.buckets.call(call),
            ServiceCall::Json(call) => {
                let state = &mut *self.state();
                state.json_services.respond(call, state.clock.now())
            }
            ServiceCall::Slack => Ok(self.state().hooks.respond()),
        };
        match fault {
            Some(lost) => lost.response(operation, None).await,
            None => {
                let response = response.unwrap_or_else(|error| operation.error_response(&error));
                self.with_date(response)
            }
        }
    }

    /// Sets the header `Date` to the time of the clock. Without it, a server sends the system's time. If credentials are rejected,
    /// the clocks are compared. So a fault has the time with which the request was signed: the SDK uses the system's, the
    /// function uses the clock for all other services.
    fn with_date(&self, mut response: Response) -> Response {
        let date = http_date(self.state().clock.now());
        if let Ok(date) = HeaderValue::try_from(date) {
            response.headers_mut().insert(DATE, date);
        }
        response
    }

    fn record_fault(&self, fault: Fault, call: &ServiceCall, body: &[u8]) {
        let name = format!("{fault:?}");
        let state = &mut *self.state();
        match call {
            ServiceCall::CloudFront(call) => state.cloudfront.record_error(call, body, &name),
            ServiceCall::CodePipeline(operation) => {
                state.codepipeline.record_error(*operation, body, &name);
            }
            ServiceCall::S3(_) | ServiceCall::Json(_) | ServiceCall::Slack => {}
        }
    }

    async fn call_cloudfront(
        &self,
        call: &Call,
        head: &Parts,
        body: &Bytes,
    ) -> Result<Response, ApiError> {
        let document = {
            let state = self.state();
            state.cloudfront.own_document(call, state.clock.now())
        };
        if let Some(document) = document {
            return Ok(document);
        }
        let mut upstream_id = None;
        if let Some(upstream) = &self.upstream {
            let response = upstream.forward(head, body.clone()).await;
            let cloudfront = &mut self.state().cloudfront;
            let response =
                response.inspect_err(|error| cloudfront.record_error(call, body, &error.code))?;
            if !response.status().is_success() {
                let code = cloudfront::text_of(&response.body, "Code");
                let code = code.unwrap_or_else(|| format!("upstream {}", response.status()));
                cloudfront.record_error(call, body, &code);
                return Ok(response.into_response());
            }
            if !call.is_about_invalidations() {
                return Ok(response.into_response());
            }
            cloudfront.add_distribution(call);
            upstream_id = cloudfront::text_of(&response.body, "Id");
        }
        let state = &mut *self.state();
        let now = state.clock.now();
        state.cloudfront.respond(call, body, upstream_id, now)
    }
}
