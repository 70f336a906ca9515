//! Stand-ins for CloudFront and CodePipeline on one local port.
//!
//! There is no mock client in this project: the seam is the wire. A test points the
//! SDK's endpoint here and meets the services' rules, quotas and failures in the
//! bytes that AWS would send; afterwards it asks what was received, whole. The same
//! server runs as a process (`main.rs`) for the demo, where the caller is not Rust.
//!
//! `cloudfront` and `codepipeline` hold the rules, `fault` what can go wrong before
//! them, `clock` the time they go by, `upstream` the way through a local cloud that
//! evaluates IAM, `control` the questions of the demo. This file only wires: a
//! request is recognised, a planned fault comes first, then the upstream, then the
//! rules. The server has a thread and a runtime of its own, so a test may block, and
//! a request that hangs ends with it.

#![allow(
    dead_code,
    unused_imports,
    reason = "no single crate that includes the stand-ins uses all of them"
)]

mod clock;
mod cloudfront;
mod codepipeline;
mod control;
mod fault;
mod upstream;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};
use std::{io, thread};

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use tokio::sync::oneshot;

pub use clock::{Clock, iso8601};
pub use cloudfront::{Accepted, Received};
pub use codepipeline::{Answer, Job, JobState};
use fault::Refusal;
pub use fault::{Fault, Operation};

/// Fits 3,000 paths of 4,000 characters, each of them escaped.
const LARGEST_BODY: usize = 64 * 1024 * 1024;

/// Says what a caller reference does when it comes a second time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReferenceReuse {
    /// The same paths return the earlier invalidation; others are InvalidationBatchAlreadyExists.
    Documented,
    /// Same paths or not, the answer is InvalidArgument, as reported from the live service.
    Observed,
}

/// Holds what a test chooses about the stand-ins.
#[derive(Clone, Debug)]
pub struct Options {
    /// The port to bind; 0 is any free one.
    pub port: u16,
    /// The distributions that exist.
    pub distributions: BTreeSet<String>,
    /// Whole answers to requests that are not about invalidations, by path below the version:
    /// `distribution`, `distribution?Marker=…`, `distribution/{id}/config`, …
    pub documents: BTreeMap<String, String>,
    /// Whether CreateInvalidation is limited to 10 calls at once and 0.5 a second.
    pub throttle: bool,
    /// How long an invalidation is in progress.
    pub completes_after: Duration,
    /// What a repeated caller reference does.
    pub reuse: ReferenceReuse,
    /// The clock that the rules go by.
    pub clock: Clock,
    /// Another local server that must accept a request to CloudFront first.
    pub upstream: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            port: 0,
            distributions: BTreeSet::new(),
            documents: BTreeMap::new(),
            throttle: true,
            completes_after: Duration::from_secs(14),
            reuse: ReferenceReuse::Documented,
            clock: Clock::Real,
            upstream: None,
        }
    }
}

impl Options {
    /// Makes a distribution known.
    pub fn with_distribution(mut self, id: &str) -> Self {
        self.distributions.insert(id.to_owned());
        self
    }

    /// Gives a whole answer to a request that is not about invalidations.
    pub fn with_document(mut self, path: &str, document: &str) -> Self {
        self.documents.insert(path.to_owned(), document.to_owned());
        self
    }
}

/// Makes calls of an operation fail by chance, the same ones for the same seed.
struct BadTime {
    operation: Operation,
    fault: Fault,
    percent: u64,
    random: u64,
}

impl BadTime {
    fn hits(&mut self, operation: Operation) -> bool {
        if operation != self.operation {
            return false;
        }
        // The constants are Knuth's; of such a sequence only the upper bits are random enough.
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % 100 < self.percent
    }
}

/// Keeps everything that changes while the server runs.
struct State {
    clock: Clock,
    cloudfront: cloudfront::CloudFront,
    codepipeline: codepipeline::CodePipeline,
    faults: Vec<(Operation, Fault, u64)>,
    bad_time: Option<BadTime>,
    calls: Vec<Operation>,
}

impl State {
    fn new(options: Options) -> Self {
        Self {
            clock: options.clock,
            cloudfront: cloudfront::CloudFront::new(options),
            codepipeline: codepipeline::CodePipeline::default(),
            faults: Vec::new(),
            bad_time: None,
            calls: Vec::new(),
        }
    }

    fn fail(&mut self, operation: Operation, fault: Fault, times: u64) {
        if times > 0 {
            self.faults.push((operation, fault, times));
        }
    }

    /// Notes a call and takes the fault that is planned for it, or the one that chance has for it.
    fn begin(&mut self, operation: Operation) -> Option<Fault> {
        self.calls.push(operation);
        let planned = self.faults.iter().position(|(one, ..)| *one == operation);
        let Some(planned) = planned else {
            let bad_time = self.bad_time.as_mut()?;
            return bad_time.hits(operation).then_some(bad_time.fault);
        };
        let (_, fault, left) = &mut self.faults[planned];
        let fault = *fault;
        *left -= 1;
        if *left == 0 {
            self.faults.remove(planned);
        }
        Some(fault)
    }

    fn reset(&mut self) {
        self.cloudfront.reset();
        self.codepipeline.reset();
        self.faults.clear();
        self.bad_time = None;
        self.calls.clear();
    }
}

/// Shares the state between the server and the test that owns it.
struct World {
    state: Mutex<State>,
    upstream: Option<upstream::Upstream>,
}

impl World {
    /// Locks the state; a test that panicked while it held the lock has reported that already.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs the two stand-ins until dropped.
pub struct Standin {
    world: Arc<World>,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Standin {
    /// Starts the stand-ins on a free port; a test that cannot have one cannot go on.
    pub fn start(options: Options) -> Self {
        Self::bind(options).unwrap_or_else(|error| panic!("cannot start the stand-in: {error}"))
    }

    /// Starts the stand-ins, or says why the port cannot be had.
    pub fn bind(options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let upstream = options.upstream.as_deref().map(upstream::Upstream::new);
        let world = Arc::new(World {
            state: Mutex::new(State::new(options)),
            upstream,
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (stop, stopped) = oneshot::channel();
        let served = Arc::clone(&world);
        let thread = thread::Builder::new()
            .name("standin".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        ended = run(listener, served) => ended.expect("the stand-in serves"),
                        _ = stopped => {}
                    }
                });
            })?;
        Ok(Self {
            world,
            address,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Returns the endpoint for both services.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Moves a frozen clock on.
    pub fn advance(&self, by: Duration) {
        self.world.state().clock.advance(by);
    }

    /// Returns the moment that the rules go by.
    pub fn now(&self) -> SystemTime {
        self.world.state().clock.now()
    }

    /// Makes the next calls of an operation fail; several plans for one come in turn.
    pub fn fail(&self, operation: Operation, fault: Fault, times: u64) {
        self.world.state().fail(operation, fault, times);
    }

    /// Makes CloudFront refuse these paths, as if it knew a rule that nobody else does.
    pub fn refuse_paths(&self, paths: &[&str]) {
        let paths = paths.iter().map(|path| (*path).to_owned()).collect();
        self.world.state().cloudfront.refused_paths = paths;
    }

    /// Makes so many of a hundred calls of an operation fail, until told otherwise; planned faults come first.
    pub fn fail_at_random(&self, operation: Operation, fault: Fault, percent: u64, seed: u64) {
        self.world.state().bad_time = Some(BadTime {
            operation,
            fault,
            percent,
            random: seed,
        });
    }

    /// Returns every call so far in order, refused ones too.
    pub fn calls(&self) -> Vec<Operation> {
        self.world.state().calls.clone()
    }

    /// Returns every CreateInvalidation received so far in order, refused ones too.
    pub fn invalidations(&self) -> Vec<Received> {
        self.world.state().cloudfront.received().to_vec()
    }

    /// Returns every invalidation that was created, a distribution's in order.
    pub fn accepted(&self) -> Vec<Accepted> {
        self.world.state().cloudfront.accepted()
    }

    /// Starts a job of a pipeline whose action has these UserParameters.
    pub fn start_job(&self, user_parameters: Option<&str>) -> Job {
        let job = self.world.state().codepipeline.start(user_parameters);
        job.unwrap_or_else(|refused| panic!("{refused}"))
    }

    /// Returns a job as it stands now.
    pub fn job(&self, id: &str) -> Option<Job> {
        self.world.state().codepipeline.job(id).cloned()
    }

    /// Returns the job that continues this one.
    pub fn next_job(&self, id: &str) -> Option<Job> {
        self.job(&self.job(id)?.next?)
    }

    /// Returns every answer to a job so far in order, refused ones too.
    pub fn answers(&self) -> Vec<Answer> {
        self.world.state().codepipeline.answers().to_vec()
    }

    /// Forgets what happened and what was planned; the clock and the choices stay.
    pub fn reset(&self) {
        self.world.state().reset();
    }
}

impl Drop for Standin {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // A panic of the server has been printed; a second one here would abort the test run.
            let _ = thread.join();
        }
    }
}

async fn run(listener: TcpListener, world: Arc<World>) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let serve = move |request: Request| {
        let world = Arc::clone(&world);
        async move { answer(&world, request).await }
    };
    axum::serve(listener, Router::new().fallback(serve)).await
}

async fn answer(world: &World, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = match to_bytes(body, LARGEST_BODY).await {
        Ok(body) => body,
        Err(error) => return (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    };
    if head.uri.path().starts_with(control::ROOT) {
        return control::answer(&mut world.state(), &head, &body);
    }
    let call = cloudfront::Call::parse(&head);
    let operation = call.as_ref().map(|call| call.operation);
    let Some(operation) = operation.or_else(|| codepipeline::operation(&head)) else {
        let message = "neither CloudFront's nor CodePipeline's";
        return (StatusCode::NOT_FOUND, message).into_response();
    };
    let fault = world.state().begin(operation);
    if let Some(fault) = fault.filter(|fault| *fault != Fault::LostAnswer) {
        let name = fault.name();
        match &call {
            Some(call) => world.state().cloudfront.refused_before(call, &body, name),
            None => world
                .state()
                .codepipeline
                .refused_before(operation, &body, name),
        }
        return fault.answer(operation).await;
    }
    let verdict = match &call {
        Some(call) => answer_cloudfront(world, call, &head, &body).await,
        None => {
            let verdict = world.state().codepipeline.answer(operation, &body);
            verdict.map(codepipeline::accept)
        }
    };
    match fault {
        Some(lost) => lost.answer(operation).await,
        None => verdict.unwrap_or_else(|refusal| operation.refuse(&refusal)),
    }
}

async fn answer_cloudfront(
    world: &World,
    call: &cloudfront::Call,
    head: &Parts,
    body: &Bytes,
) -> Result<Response, Refusal> {
    let mut upstream_id = None;
    if let Some(upstream) = &world.upstream {
        let answer = upstream.forward(head, body.clone()).await;
        let cloudfront = &mut world.state().cloudfront;
        let answer = answer.inspect_err(|refusal| {
            cloudfront.refused_before(call, body, refusal.code);
        })?;
        if !answer.status().is_success() {
            let code = cloudfront::text_in(&answer.body, "Code");
            let code = code.unwrap_or_else(|| format!("upstream {}", answer.status()));
            cloudfront.refused_before(call, body, &code);
            return Ok(answer.into_response());
        }
        if !call.is_about_invalidations() {
            return Ok(answer.into_response());
        }
        cloudfront.accepted_upstream(call);
        upstream_id = cloudfront::text_in(&answer.body, "Id");
    }
    let state = &mut *world.state();
    state
        .cloudfront
        .answer(call, body, upstream_id, state.clock.now())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpStream;

    const LONG: Duration = Duration::from_secs(10);
    const SHORT: Duration = Duration::from_millis(100);

    /// Sends a ListInvalidations and returns the body that comes back, if one does in time.
    fn list(standin: &Standin, patience: Duration) -> String {
        let mut connection = TcpStream::connect(standin.address).expect("a listening stand-in");
        let patience = Some(patience);
        connection.set_read_timeout(patience).expect("a timeout");
        let request = "GET /2020-05-31/distribution/E2EXAMPLE/invalidation HTTP/1.1\r\n\
             Host: cloudfront.amazonaws.com\r\nConnection: close\r\n\r\n";
        connection
            .write_all(request.as_bytes())
            .expect("a request sent");
        let mut answer = String::new();
        match connection.read_to_string(&mut answer) {
            Ok(_) => answer
                .rsplit("\r\n\r\n")
                .next()
                .unwrap_or_default()
                .to_owned(),
            Err(error) => format!("{:?}", error.kind()),
        }
    }

    #[test]
    fn planned_faults_come_in_turn_and_then_the_rules_again() {
        let standin = Standin::start(Options::default().with_distribution("E2EXAMPLE"));
        standin.fail(Operation::ListInvalidations, Fault::Reset, 1);
        standin.fail(Operation::ListInvalidations, Fault::Garbage, 2);
        standin.fail(Operation::ListInvalidations, Fault::Hang, 1);
        standin.fail(Operation::ListInvalidations, Fault::LostAnswer, 1);
        let answers =
            [LONG, LONG, LONG, SHORT, LONG, LONG].map(|patience| list(&standin, patience));
        let empty = "<InvalidationList xmlns=\"http://cloudfront.amazonaws.com/doc/2020-05-31/\">\
             <Marker></Marker><MaxItems>100</MaxItems><IsTruncated>false</IsTruncated>\
             <Quantity>0</Quantity><Items></Items></InvalidationList>";
        let garbage = "neither XML nor JSON";
        assert_eq!(answers, ["", garbage, garbage, "WouldBlock", "", empty]);
        assert_eq!(standin.calls(), [Operation::ListInvalidations; 6]);
    }

    #[test]
    fn a_bad_time_spoils_about_as_many_calls_as_it_says_and_ends() {
        let standin = Standin::start(Options::default().with_distribution("E2EXAMPLE"));
        let failed = || {
            let answers = (0..100).map(|_| list(&standin, LONG));
            answers.filter(|it| it == "neither XML nor JSON").count()
        };
        standin.fail_at_random(Operation::ListInvalidations, Fault::Garbage, 50, 1);
        let failed_meanwhile = failed();
        assert!(
            (35..=65).contains(&failed_meanwhile),
            "{failed_meanwhile} of 100"
        );
        standin.fail_at_random(Operation::ListInvalidations, Fault::Garbage, 0, 1);
        assert_eq!(failed(), 0);
    }

    #[test]
    fn a_request_that_hangs_does_not_hold_the_stand_in() {
        let standin = Standin::start(Options::default());
        standin.fail(Operation::ListInvalidations, Fault::Hang, 1);
        assert_eq!(list(&standin, SHORT), "WouldBlock");
        let address = standin.address;
        drop(standin);
        assert!(TcpStream::connect(address).is_err());
    }
}
