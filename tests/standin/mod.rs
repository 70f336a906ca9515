//! Stand-ins for CloudFront, CodePipeline, S3, SQS, secrets and Slack's hooks on one local port. Each POP of the edge has one more port.
//!
//! This project has no mock client: tests replace AWS on the wire. A test sets the
//! SDK's endpoint to the stand-in, which applies the services' rules, quotas and
//! failures and sends the bytes that AWS would send. Afterwards the test compares
//! everything that the stand-in received. The same server runs as a process
//! (`main.rs`) for the demo, which is written in Python.
//!
//! `cloudfront`, `codepipeline`, `s3`, `sqs`, `secrets` and `slack` hold the rules, `aws_json` the protocol of two of them, `fault` and `fault_plan` the failures
//! that precede the rules, `clock` the time, `upstream` the connection to a local AWS that
//! evaluates IAM policies, `edge` CloudFront's viewer side, `control` the demo's own requests,
//! and `server` routes each request to these. The server has its own thread and runtime. So a test can block,
//! and a request that hangs ends with the server.

#![allow(
    dead_code,
    unused_imports,
    reason = "each crate that includes the stand-ins uses another part of them"
)]

mod aws_json;
mod clock;
mod cloudfront;
mod codepipeline;
mod control;
mod edge;
mod fault;
mod fault_plan;
mod s3;
mod secrets;
mod server;
mod slack;
mod sqs;
mod upstream;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};
use std::{fmt, io, thread};

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use futures_util::future::try_join_all;
use tokio::sync::oneshot;

pub use aws_json::JsonCall;
pub use clock::{Clock, iso8601};
pub use cloudfront::{AcceptedInvalidation, ReceivedInvalidation};
pub use codepipeline::{Job, JobResult, JobState};
use edge::viewer::Viewers;
pub use edge::{
    DroppedCopy, Edge, EdgeBehavior, EdgeCounters, EdgeDistribution, EdgeOptions, Encoding,
    Matching, Origin, OriginResponse, OriginServer, QueryKey, ReceivedViewerRequest, Refusal,
    Rewrite, SiteOrigin, ViewerRequest, ViewerResponse, pop_name,
};
pub use fault::{Fault, Operation};
pub use s3::{BucketOptions, Object};
pub use secrets::Secret;
use server::Server;
pub use slack::{ReceivedPost, SlackResponse};
pub use sqs::{SentMessage, VisibilityChange};

/// What a caller reference does when a second request has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReferenceReuse {
    /// The same paths return the existing invalidation; other paths are InvalidationBatchAlreadyExists.
    Documented,
    /// The error is InvalidArgument for the same and for other paths, as reported from the live service.
    Observed,
}

/// What a test chooses about the stand-ins.
#[derive(Clone, Debug)]
pub struct Options {
    /// The port to bind; 0 is any free one.
    pub port: u16,
    /// The distributions that exist.
    pub distributions: BTreeSet<String>,
    /// Complete responses to requests that are not about invalidations, by the path after the API
    /// version: `distribution`, `distribution?Marker=…`, `distribution/{id}/config`, … They precede the upstream's.
    /// Without a `distribution/{id}`, GetDistribution wraps the `distribution/{id}/config`.
    pub documents: BTreeMap<String, String>,
    /// Whether CreateInvalidation is limited to a burst of 10 calls and 0.5 calls a second.
    pub throttle: bool,
    /// How long an invalidation is in progress.
    pub completes_after: Duration,
    /// What a repeated caller reference does.
    pub reuse: ReferenceReuse,
    /// The clock that the rules read.
    pub clock: Clock,
    /// The URL of another local AWS that must accept a request to CloudFront first.
    pub upstream: Option<String>,
    /// The viewer side, if any: a cache in front of the upstream.
    pub edge: Option<EdgeOptions>,
    /// How much later a response arrives than on this machine.
    pub latency: Duration,
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
            edge: None,
            latency: Duration::ZERO,
        }
    }
}

impl Options {
    /// Adds a distribution.
    pub fn with_distribution(mut self, id: &str) -> Self {
        self.distributions.insert(id.to_owned());
        self
    }

    /// Adds a complete response to a request that is not about invalidations.
    pub fn with_document(mut self, path: &str, document: &str) -> Self {
        self.documents.insert(path.to_owned(), document.to_owned());
        self
    }
}

/// The two stand-ins, which run until dropped.
pub struct Standin {
    server: Arc<Server>,
    address: SocketAddr,
    /// The address of each POP.
    pops: Vec<SocketAddr>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Standin {
    /// Starts the stand-ins; panics where that fails, because the test cannot continue.
    pub fn start(options: Options) -> Self {
        Self::bind(options).unwrap_or_else(|error| panic!("cannot start the stand-in: {error}"))
    }

    /// Starts the stand-ins.
    ///
    /// # Errors
    ///
    /// If the port is not available.
    pub fn bind(options: Options) -> io::Result<Self> {
        let (listener, address) = listen(options.port)?;
        let pops = options.edge.map_or(0, |edge| edge.pops);
        let pops = (0..pops).map(|_| listen(0));
        let pops: Vec<_> = pops.collect::<io::Result<_>>()?;
        let (pop_listeners, pops): (Vec<_>, Vec<_>) = pops.into_iter().unzip();
        let server = Arc::new(Server::new(options));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (stop, stopped) = oneshot::channel();
        let served = Arc::clone(&server);
        let thread = thread::Builder::new()
            .name("standin".to_owned())
            .spawn(move || {
                let pops = pop_listeners.into_iter().enumerate();
                let ports = pops.map(|(pop, listener)| (listener, Some(pop)));
                let ports = std::iter::once((listener, None)).chain(ports);
                let ports = ports.map(|(listener, pop)| Arc::clone(&served).run(listener, pop));
                let ports = try_join_all(ports);
                runtime.block_on(async {
                    tokio::select! {
                        ended = ports => drop(ended.expect("the stand-in serves")),
                        _ = stopped => {}
                    }
                });
            })?;
        Ok(Self {
            server,
            address,
            pops,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Returns the endpoint of the services. Viewers who send requests to it get their responses from POP 0.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the address of a POP, at which every request is a viewer's; panics if the edge has no such POP.
    pub fn pop_url(&self, pop: usize) -> String {
        format!("http://{}", self.pops[pop])
    }

    /// Returns the names of the POPs, in the order of their numbers.
    pub fn pop_names(&self) -> Vec<String> {
        (0..self.pops.len()).map(pop_name).collect()
    }

    /// Advances a frozen clock.
    pub fn advance(&self, duration: Duration) {
        self.server.state().clock.advance(duration);
    }

    /// Returns the time that the rules read.
    pub fn now(&self) -> SystemTime {
        self.server.state().clock.now()
    }

    /// Returns the edge; panics if the options have none, because a test that reads it is wrong.
    pub fn edge(&self) -> Arc<Edge> {
        let edge = self.server.state().cloudfront.edge();
        edge.expect("options with an edge")
    }

    /// Puts an object into a bucket, which need not exist.
    pub fn put_object(&self, bucket: &str, key: &str, object: impl Into<Object>) {
        let buckets = &self.server.buckets;
        buckets.put(bucket, key, object.into(), self.now());
    }

    /// Deletes an object, if it exists.
    pub fn delete_object(&self, bucket: &str, key: &str) {
        self.server.buckets.delete(bucket, key);
    }

    /// Sets the options of a bucket, which need not exist.
    pub fn set_bucket_options(&self, bucket: &str, options: BucketOptions) {
        self.server.buckets.configure(bucket, options);
    }

    /// Adds or replaces a distribution at the edge whose origin is a bucket of the stand-in; its copies stay,
    /// and its responses are those of the server again.
    pub fn set_site(&self, site: SiteOrigin) {
        self.viewers().set_site(site);
    }

    /// Replaces the response of a site's origin to a path as viewers send it, without the query string; `None` restores the
    /// one of its server. Copies stay.
    pub fn set_response(&self, distribution: &str, path: &str, response: Option<OriginResponse>) {
        self.viewers().set_response(distribution, path, response);
    }

    /// Makes CloudFront reject the requests of viewers before its cache, if their path matches the pattern; `None` ends
    /// that.
    pub fn refuse_viewers(&self, distribution: &str, pattern: &str, refusal: Option<Refusal>) {
        self.edge().refuse(distribution, pattern, refusal);
    }

    /// Returns the viewer side; panics if the options have no edge, because a test that uses it is wrong.
    fn viewers(&self) -> &Viewers {
        let viewers = self.server.viewers.as_ref();
        viewers.expect("options with an edge")
    }

    /// Adds or replaces a complete response to a request that is not about invalidations.
    pub fn set_document(&self, path: &str, document: &str) {
        let cloudfront = &mut self.server.state().cloudfront;
        cloudfront.set_document(path, document);
    }

    /// Deletes a distribution with its configuration and its invalidations; its entry in ListDistributions stays.
    pub fn delete_distribution(&self, id: &str) {
        self.server.state().cloudfront.delete_distribution(id);
    }

    /// Fails the next calls of an operation; several plans for one operation apply in turn.
    pub fn fail(&self, operation: Operation, fault: Fault, calls: u64) {
        let faults = &mut self.server.state().faults;
        faults.fail(operation, None, fault, calls);
    }

    /// Fails the next calls of an operation about one distribution.
    #[allow(
        dead_code,
        reason = "not all users of the stand-in have calls that race"
    )]
    pub fn fail_for(&self, distribution: &str, operation: Operation, fault: Fault, calls: u64) {
        let faults = &mut self.server.state().faults;
        faults.fail(operation, Some(distribution), fault, calls);
    }

    /// Fails a percentage of an operation's calls, until replaced for this operation; planned faults come first.
    pub fn fail_at_random(&self, operation: Operation, fault: Fault, percent: u64, seed: u64) {
        let faults = &mut self.server.state().faults;
        faults.fail_at_random(operation, fault, percent, seed);
    }

    /// Delays the responses to an operation in real time. A call has its effect before.
    pub fn delay(&self, operation: Operation, delay: Duration) {
        self.server.state().faults.delay(operation, delay);
    }

    /// Ends all planned faults and delays.
    pub fn recover(&self) {
        self.server.state().faults = fault_plan::FaultPlan::default();
    }

    /// Makes CloudFront reject these paths, as if by a rule that is not documented.
    pub fn refuse_paths(&self, paths: &[&str]) {
        let paths = paths.iter().map(|path| (*path).to_owned()).collect();
        self.server.state().cloudfront.refused_paths = paths;
    }

    /// Returns every call so far in order, rejected ones too.
    pub fn calls(&self) -> Vec<Operation> {
        self.server.state().calls.clone()
    }

    /// Returns the number of sequential round trips to CloudFront: calls at the same time count as one. Parallel calls are
    /// only certain to be at the same time if the options have a latency.
    pub fn round_trips(&self) -> usize {
        let round_trips = self.sequential_calls().into_iter();
        round_trips
            .filter(|calls| calls.iter().copied().any(Operation::is_of_cloudfront))
            .count()
    }

    /// Returns the calls of each sequential round trip to any service, those at the same time in the order of their names.
    /// Parallel calls are only certain to be at the same time if the options have a latency. Connections do not count.
    pub fn sequential_calls(&self) -> Vec<Vec<Operation>> {
        let mut round_trips = self.server.state().round_trips.clone();
        for calls in &mut round_trips {
            calls.sort_by_key(|call| format!("{call:?}"));
        }
        round_trips
    }

    /// Returns a client of the SDK that reaches the stand-ins without a socket, for tests in tokio's paused time.
    pub fn http_client(&self) -> SharedHttpClient {
        let connector = SharedHttpConnector::new(InProcess {
            server: Arc::clone(&self.server),
        });
        http_client_fn(move |_settings, _components| connector.clone())
    }

    /// Returns every call so far that a fault applied to, in order.
    pub fn failed_calls(&self) -> Vec<Operation> {
        self.server.state().failed_calls.clone()
    }

    /// Returns every request of a viewer received so far in order, rejected ones too.
    pub fn viewer_requests(&self) -> Vec<ReceivedViewerRequest> {
        self.server.state().viewer_requests.all()
    }

    /// Returns every CreateInvalidation received so far in order, rejected ones too.
    pub fn invalidations(&self) -> Vec<ReceivedInvalidation> {
        self.server.state().cloudfront.received().to_vec()
    }

    /// Returns every invalidation that was created, those of one distribution in order.
    pub fn accepted(&self) -> Vec<AcceptedInvalidation> {
        self.server.state().cloudfront.accepted()
    }

    /// Starts a job of a pipeline whose action has these UserParameters.
    pub fn start_job(&self, user_parameters: Option<&str>) -> Job {
        let job = self.server.state().codepipeline.start(user_parameters);
        job.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Returns a job in its current state.
    pub fn job(&self, id: &str) -> Option<Job> {
        self.server.state().codepipeline.job(id).cloned()
    }

    /// Returns the job that continues this one.
    pub fn next_job(&self, id: &str) -> Option<Job> {
        self.job(&self.job(id)?.next?)
    }

    /// Returns every job result so far in order, rejected ones too.
    pub fn job_results(&self) -> Vec<JobResult> {
        self.server.state().codepipeline.results().to_vec()
    }

    /// Creates a queue, and returns its URL.
    pub fn create_queue(&self, name: &str) -> String {
        let path = self.server.state().json_services.queues.create(name);
        format!("{}{path}", self.url())
    }

    /// Sets a tag of a queue.
    pub fn tag_queue(&self, queue: &str, name: &str, value: &str) {
        let queues = &mut self.server.state().json_services.queues;
        queues.tag(queue, name, value);
    }

    /// Puts a message into a queue, which can be received, and returns its id. `age` is how long ago it was sent.
    pub fn put_message(&self, queue: &str, body: &str, age: Duration) -> String {
        let sent = self.now() - age;
        let queues = &mut self.server.state().json_services.queues;
        queues.put(queue, body, sent)
    }

    /// Returns the bodies of the messages in a queue that are visible now, and of those that are not.
    pub fn queued_messages(&self, queue: &str) -> (Vec<String>, Vec<String>) {
        let now = self.now();
        self.server
            .state()
            .json_services
            .queues
            .contents(queue, now)
    }

    /// Makes SQS deliver the next received messages once more with the receive after it, even if they are deleted.
    pub fn deliver_again(&self, messages: usize) {
        let queues = &mut self.server.state().json_services.queues;
        queues.deliver_again = messages;
    }

    /// Makes SQS refuse the entries of a batch whose message contains this text.
    pub fn refuse_entries(&self, operation: Operation, text: &str) {
        let queues = &mut self.server.state().json_services.queues;
        queues.refused.push((operation, text.to_owned()));
    }

    /// Returns every message that SQS accepted, in order.
    pub fn sent_messages(&self) -> Vec<SentMessage> {
        self.server.state().json_services.queues.messages.clone()
    }

    /// Returns every change of visibility that SQS accepted, in order.
    pub fn visibility_changes(&self) -> Vec<VisibilityChange> {
        let queues = &self.server.state().json_services.queues;
        queues.visibility_changes.clone()
    }

    /// Adds or replaces a secret of Secrets Manager.
    pub fn set_secret(&self, name: &str, secret: Secret) {
        let secrets = &mut self.server.state().json_services.secrets;
        secrets.set_secret(name, secret);
    }

    /// Adds or replaces a parameter of Systems Manager.
    pub fn set_parameter(&self, name: &str, parameter: Secret) {
        let secrets = &mut self.server.state().json_services.secrets;
        secrets.set_parameter(name, parameter);
    }

    /// Returns every call of SQS, Secrets Manager and Systems Manager so far in order, rejected ones too.
    pub fn json_calls(&self) -> Vec<JsonCall> {
        self.server.state().json_services.calls().to_vec()
    }

    /// Plans the response to a post to one of Slack's hooks; several apply in turn.
    pub fn respond_as_slack(&self, response: SlackResponse) {
        self.server.state().hooks.plan(response);
    }

    /// Returns every post to Slack's hooks so far in order, rejected ones too.
    pub fn slack_posts(&self) -> Vec<ReceivedPost> {
        self.server.state().hooks.posts.clone()
    }

    /// Deletes what was received and what was planned; the clock, the options, the sites and their objects, queues and
    /// secrets stay.
    pub fn reset(&self) {
        self.server.state().reset();
    }
}

/// The stand-ins without a port and a thread, for tests in tokio's paused time: it does not advance while a socket is
/// read.
#[derive(Clone)]
pub struct InProcess {
    server: Arc<Server>,
}

impl InProcess {
    /// Creates the stand-ins.
    pub fn new(options: Options) -> Self {
        Self {
            server: Arc::new(Server::new(options)),
        }
    }

    /// Responds to a request of the SDK to one of the services.
    pub async fn respond(&self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let mut head = Request::builder()
            .method(request.method())
            .uri(request.uri());
        for (name, value) in request.headers() {
            head = head.header(name, value);
        }
        let body = request.body().bytes().unwrap_or_default().to_vec();
        let request = head.body(Body::from(body)).map_err(other)?;
        let response = self.server.respond(request, None).await;
        let (head, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.map_err(other)?;
        let status = head.status.as_u16().try_into().map_err(other)?;
        let mut response = HttpResponse::new(status, SdkBody::from(body));
        for (name, value) in &head.headers {
            let value = value.to_str().map_err(other)?.to_owned();
            response
                .headers_mut()
                .append(name.as_str().to_owned(), value);
        }
        Ok(response)
    }

    /// Returns the time that the rules read.
    pub fn now(&self) -> SystemTime {
        self.server.state().clock.now()
    }

    /// Returns the number of calls of each operation so far, rejected ones too.
    pub fn count_calls(&self) -> Vec<(Operation, usize)> {
        let mut counts: Vec<(Operation, usize)> = Vec::new();
        for call in &self.server.state().calls {
            match counts.iter_mut().find(|(operation, _)| operation == call) {
                Some((_, count)) => *count += 1,
                None => counts.push((*call, 1)),
            }
        }
        counts
    }

    /// Returns the CreateInvalidation that was received last, which can be a rejected one.
    pub fn last_invalidation(&self) -> Option<ReceivedInvalidation> {
        self.server.state().cloudfront.received().last().cloned()
    }
}

impl fmt::Debug for InProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InProcess")
    }
}

impl HttpConnector for InProcess {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let standin = self.clone();
        HttpConnectorFuture::new(async move { standin.respond(request).await })
    }
}

fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ConnectorError {
    ConnectorError::other(error.into(), None)
}

/// Binds a port; 0 is any free one.
fn listen(port: u16) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

impl Drop for Standin {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // A panic of the server is already printed; a second panic here would abort the test run.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpStream;

    const LONG: Duration = Duration::from_secs(10);
    const SHORT: Duration = Duration::from_millis(100);

    /// Sends a ListInvalidations and returns the body of the response, or the kind of the error.
    fn list(standin: &Standin, timeout: Duration) -> String {
        get(standin, "distribution/E2EXAMPLE/invalidation", timeout)
    }

    /// Sends a GET request and returns the body of the response, or the kind of the error.
    fn get(standin: &Standin, path: &str, timeout: Duration) -> String {
        let mut connection = TcpStream::connect(standin.address).expect("a listening stand-in");
        connection
            .set_read_timeout(Some(timeout))
            .expect("a timeout");
        let request = format!(
            "GET /2020-05-31/{path} HTTP/1.1\r\n\
             Host: cloudfront.amazonaws.com\r\nConnection: close\r\n\r\n"
        );
        connection
            .write_all(request.as_bytes())
            .expect("a request sent");
        let mut response = String::new();
        match connection.read_to_string(&mut response) {
            Ok(_) => response
                .rsplit("\r\n\r\n")
                .next()
                .unwrap_or_default()
                .to_owned(),
            Err(error) => format!("{:?}", error.kind()),
        }
    }

    #[test]
    fn planned_faults_apply_in_turn_and_then_the_rules() {
        let standin = Standin::start(Options::default().with_distribution("E2EXAMPLE"));
        standin.fail(Operation::ListInvalidations, Fault::Reset, 1);
        standin.fail(Operation::ListInvalidations, Fault::Garbage, 2);
        standin.fail(Operation::ListInvalidations, Fault::Hang, 1);
        standin.fail(Operation::ListInvalidations, Fault::LostResponse, 1);
        let responses =
            [LONG, LONG, LONG, SHORT, LONG, LONG].map(|timeout| list(&standin, timeout));
        let empty = "<InvalidationList xmlns=\"http://cloudfront.amazonaws.com/doc/2020-05-31/\">\
             <Marker></Marker><MaxItems>100</MaxItems><IsTruncated>false</IsTruncated>\
             <Quantity>0</Quantity><Items></Items></InvalidationList>";
        let garbage = "neither XML nor JSON";
        assert_eq!(responses, ["", garbage, garbage, "WouldBlock", "", empty]);
        assert_eq!(standin.calls(), [Operation::ListInvalidations; 6]);
    }

    #[test]
    fn random_faults_fail_about_the_given_percentage_until_replaced() {
        let standin = Standin::start(Options::default().with_distribution("E2EXAMPLE"));
        let failed = || {
            let responses = (0..100).map(|_| list(&standin, LONG));
            responses
                .filter(|response| response == "neither XML nor JSON")
                .count()
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
    fn each_operation_has_its_own_random_faults() {
        let standin = Standin::start(Options::default().with_distribution("E2EXAMPLE"));
        standin.fail_at_random(Operation::ListInvalidations, Fault::Garbage, 100, 1);
        standin.fail_at_random(Operation::GetDistributionConfig, Fault::Reset, 100, 1);
        let failed = || list(&standin, LONG) == "neither XML nor JSON";
        assert!(failed());
        standin.fail_at_random(Operation::GetDistributionConfig, Fault::Reset, 0, 1);
        assert!(failed());
        standin.fail_at_random(Operation::ListInvalidations, Fault::Garbage, 0, 1);
        assert!(!failed());
    }

    #[test]
    fn a_configuration_can_be_replaced_and_a_distribution_deleted() {
        const CONFIG: &str = "distribution/E2EXAMPLE/config";
        let options = Options::default().with_distribution("E2EXAMPLE");
        let standin = Standin::start(options.with_document(CONFIG, "<Before/>"));
        let read = || get(&standin, CONFIG, LONG);
        assert_eq!(read(), "<Before/>");
        standin.set_document(CONFIG, "<After/>");
        assert_eq!(read(), "<After/>");
        standin.delete_distribution("E2EXAMPLE");
        let message = "The specified distribution does not exist.";
        assert!(read().contains(message), "{}", read());
        let listed = list(&standin, LONG);
        assert!(listed.contains(message), "{listed}");
    }

    #[test]
    fn get_distribution_wraps_the_configuration_with_the_listed_domain_name() {
        const CONFIG: &str = "<DistributionConfig><Enabled>true</Enabled></DistributionConfig>";
        let expected = |id: &str, domain: &str, in_progress: usize| {
            format!(
                "<Distribution xmlns=\"http://cloudfront.amazonaws.com/doc/2020-05-31/\"><Id>{id}</Id>\
                 <ARN>arn:aws:cloudfront::111122223333:distribution/{id}</ARN>\
                 <Status>Deployed</Status>\
                 <LastModifiedTime>2025-12-01T00:00:00.000Z</LastModifiedTime>\
                 <InProgressInvalidationBatches>{in_progress}</InProgressInvalidationBatches>\
                 <DomainName>{domain}</DomainName>{CONFIG}</Distribution>"
            )
        };
        let list = "<DistributionList><Items><DistributionSummary><Id>E1EXAMPLE</Id>\
             <DomainName>d111.cloudfront.net</DomainName></DistributionSummary></Items></DistributionList>";
        let second_page = list.replace('1', "2");
        let options = Options::default()
            .with_distribution("E3EXAMPLE")
            .with_document("distribution", list)
            .with_document("distribution?Marker=E1EXAMPLE", &second_page);
        let ids = ["E1EXAMPLE", "E2EXAMPLE", "E3EXAMPLE"];
        let options = ids.iter().fold(options, |options, id| {
            let config = format!("<?xml version=\"1.0\"?>\n{CONFIG}");
            options.with_document(&format!("distribution/{id}/config"), &config)
        });
        let standin = Standin::start(options);
        let read = |id: &str| get(&standin, &format!("distribution/{id}"), LONG);
        for (id, domain) in ids.into_iter().zip([
            "d111.cloudfront.net",
            "d222.cloudfront.net",
            "de3example.cloudfront.net",
        ]) {
            assert_eq!(read(id), expected(id, domain, 0));
        }
        standin.set_document("distribution/E1EXAMPLE", "<Own/>");
        assert_eq!(read("E1EXAMPLE"), "<Own/>");
        standin.delete_distribution("E1EXAMPLE");
        let message = "The specified distribution does not exist.";
        assert!(read("E1EXAMPLE").contains(message), "{}", read("E1EXAMPLE"));
        assert_eq!(standin.calls(), [Operation::GetDistribution; 5]);
    }

    #[test]
    fn a_request_that_hangs_does_not_block_the_stand_in() {
        let standin = Standin::start(Options::default());
        standin.fail(Operation::ListInvalidations, Fault::Hang, 1);
        assert_eq!(list(&standin, SHORT), "WouldBlock");
        let address = standin.address;
        drop(standin);
        assert!(TcpStream::connect(address).is_err());
    }
}
