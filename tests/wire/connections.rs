//! Connections that are opened before there is a request, and what happens if they are lost.
//!
//! The tests accept the connections themselves, so that they decide what happens between two steps.

use std::future::pending;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_cloudfront::config::retry::RetryConfig;
use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::retry::ErrorKind;
use cloudfront_invalidator::aws::connections::{Connections, Trust};
use cloudfront_invalidator::aws::sdk::sdk_config;
use cloudfront_invalidator::handler::Invalidator;
use cloudfront_invalidator::settings::Settings;
use futures_util::FutureExt;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::yield_now;
use tokio::time;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::HandshakeKind;
use tokio_rustls::server::TlsStream;

use crate::fixture::{FIRST, Fixture, one_minute};
use crate::standin::{JobState, Operation};
use crate::tls_server::{Authority, VALID, is_child};

const HOST: &str = "cloudfront.amazonaws.com";

const BODY: &str = "the request";

/// A server whose connections a test accepts.
struct Server {
    listener: TcpListener,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        Self { listener }
    }

    fn url(&self) -> String {
        let address = self.listener.local_addr().expect("an address");
        format!("http://{address}")
    }

    async fn accept(&self) -> TcpStream {
        self.listener.accept().await.expect("a connection").0
    }

    /// Panics when there is one more connection.
    async fn refuse_more(&self) {
        self.accept().await;
        panic!("one more connection");
    }

    /// Panics if there is one more connection.
    fn assert_no_more(self) {
        let listener = self.listener.into_std().expect("a listener");
        let accepted = listener.accept().map_err(|error| error.kind());
        assert_eq!(
            accepted.map(|_| "a connection"),
            Err(io::ErrorKind::WouldBlock)
        );
    }
}

/// Lets the client do all that it can do without the test.
async fn settle() {
    // The runtime looks for events of the sockets after every 61 steps.
    for _ in 0..1_000 {
        yield_now().await;
    }
}

/// Runs a request and the server; returns the result of the request, also if the server waits for more.
async fn exchange<T>(request: impl Future<Output = T>, server: impl Future<Output = ()>) -> T {
    tokio::select! {
        result = request => result,
        () = async { server.await; pending().await } => unreachable!("it never ends"),
    }
}

/// Sends a request; returns the status.
async fn post(connections: &Connections, url: &str) -> Result<u16, ConnectorError> {
    let mut request = HttpRequest::new(SdkBody::from(BODY));
    request.set_method("POST").expect("a method");
    request.set_uri(format!("{url}/path")).expect("a URL");
    request.headers_mut().insert("x-header", "value");
    let response = connections.call(request).await?;
    Ok(response.status().as_u16())
}

/// Reads one request, which must be complete and alone.
async fn read_request(connection: &mut (impl AsyncRead + Unpin), host: &str) {
    let expected = format!(
        "POST /path HTTP/1.1\r\nx-header: value\r\nhost: {host}\r\ncontent-length: {}\r\n\r\n{BODY}",
        BODY.len()
    );
    let mut received = vec![0; expected.len()];
    connection
        .read_exact(&mut received)
        .await
        .expect("a request");
    assert_eq!(String::from_utf8_lossy(&received), expected);
    assert_nothing_to_read(connection);
}

/// Panics if the client sent something, or ended the connection.
fn assert_nothing_to_read(connection: &mut (impl AsyncRead + Unpin)) {
    let read = connection.read_u8().now_or_never();
    assert!(read.is_none(), "{read:?}");
}

async fn respond(connection: &mut (impl AsyncWrite + Unpin)) {
    let response = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    connection.write_all(response).await.expect("a response");
}

/// Serves one request of the client.
async fn serve(connection: &mut (impl AsyncRead + AsyncWrite + Unpin), url: &str) {
    let (_, host) = url.split_once("://").expect("a URL");
    read_request(connection, host).await;
    respond(connection).await;
}

/// How a server ends a connection.
#[derive(Clone, Copy, Debug)]
enum End {
    Fin,
    Rst,
}

fn end(connection: TcpStream, end: End) {
    if matches!(end, End::Rst) {
        connection.set_zero_linger().expect("an option");
    }
    drop(connection);
}

#[tokio::test]
async fn the_first_request_uses_the_opened_connection() {
    let server = Server::start().await;
    let url = server.url();
    let connections = Connections::new(Trust::System);
    connections.open(&url);
    let mut connection = server.accept().await;
    settle().await;
    assert_nothing_to_read(&mut connection);
    for _ in 0..2 {
        let status = exchange(post(&connections, &url), serve(&mut connection, &url)).await;
        assert_eq!(status.expect("a response"), 200);
    }
    server.assert_no_more();
}

#[tokio::test]
async fn a_request_waits_for_the_connection_that_is_being_opened() {
    let server = Server::start().await;
    let url = server.url();
    let connections = Connections::new(Trust::System);
    connections.open(&url);
    let status = exchange(post(&connections, &url), async {
        serve(&mut server.accept().await, &url).await;
    })
    .await;
    assert_eq!(status.expect("a response"), 200);
    server.assert_no_more();
}

/// A server with TLS whose connections a test accepts, and a client that trusts it.
struct TlsSetup {
    server: Server,
    acceptor: TlsAcceptor,
    url: String,
    connections: Connections,
}

impl TlsSetup {
    /// Starts the server, and opens a connection.
    async fn start() -> Self {
        let authority = Authority::known_to_the_system();
        let server = Server::start().await;
        let port = server.listener.local_addr().expect("an address").port();
        let url = format!("https://{HOST}:{port}");
        let connections = Connections::at_address(Trust::System, "127.0.0.1");
        connections.open(&url);
        Self {
            server,
            acceptor: TlsAcceptor::from(Arc::new(authority.server(HOST, VALID))),
            url,
            connections,
        }
    }

    async fn handshake(&self, connection: TcpStream) -> TlsStream<TcpStream> {
        let accepted = self.acceptor.accept(connection).await;
        accepted.expect("a handshake")
    }
}

#[tokio::test]
async fn nothing_is_sent_after_the_tls_handshake_before_the_first_request() {
    if !is_child("connections::nothing_is_sent_after_the_tls_handshake_before_the_first_request") {
        return;
    }
    let setup = TlsSetup::start().await;
    let mut connection = setup.handshake(setup.server.accept().await).await;
    settle().await;
    assert_nothing_to_read(&mut connection);
    let status = exchange(
        post(&setup.connections, &setup.url),
        serve(&mut connection, &setup.url),
    )
    .await;
    assert_eq!(status.expect("a response"), 200);
    setup.server.assert_no_more();
}

#[tokio::test]
async fn a_request_waits_for_a_tls_handshake_that_is_not_finished() {
    if !is_child("connections::a_request_waits_for_a_tls_handshake_that_is_not_finished") {
        return;
    }
    let setup = TlsSetup::start().await;
    let connection = setup.server.accept().await;
    settle().await;
    let status = exchange(post(&setup.connections, &setup.url), async {
        settle().await;
        let mut connection = setup.handshake(connection).await;
        serve(&mut connection, &setup.url).await;
    })
    .await;
    assert_eq!(status.expect("a response"), 200);
    setup.server.assert_no_more();
}

#[tokio::test]
async fn the_tls_sessions_of_several_hosts_are_resumed() {
    if !is_child("connections::the_tls_sessions_of_several_hosts_are_resumed") {
        return;
    }
    let authority = Authority::known_to_the_system();
    let connections = Connections::at_address(Trust::System, "127.0.0.1");
    let mut resumed = Vec::new();
    let hosts = [HOST, "codepipeline.eu-west-1.amazonaws.com"];
    let mut servers = Vec::new();
    for host in hosts {
        let server = Server::start().await;
        let port = server.listener.local_addr().expect("an address").port();
        let acceptor = TlsAcceptor::from(Arc::new(authority.server(host, VALID)));
        servers.push((server, acceptor, format!("https://{host}:{port}")));
    }
    for (server, acceptor, url) in servers.iter().cycle().take(6) {
        let status = exchange(post(&connections, url), async {
            let connection = acceptor.accept(server.accept().await).await;
            let mut connection = connection.expect("a handshake");
            let kind = connection.get_ref().1.handshake_kind();
            resumed.push(kind == Some(HandshakeKind::Resumed));
            serve(&mut connection, url).await;
            connection.shutdown().await.expect("an end");
        });
        assert_eq!(status.await.expect("a response"), 200);
        settle().await;
    }
    assert_eq!(resumed, [false, false, true, true, true, true]);
}

#[tokio::test]
async fn an_opened_connection_with_tls_that_was_closed_costs_one_more() {
    if !is_child("connections::an_opened_connection_with_tls_that_was_closed_costs_one_more") {
        return;
    }
    for is_announced in [false, true] {
        let setup = TlsSetup::start().await;
        let mut connection = setup.handshake(setup.server.accept().await).await;
        if is_announced {
            connection.shutdown().await.expect("an end of TLS");
        }
        drop(connection);
        settle().await;
        let status = exchange(post(&setup.connections, &setup.url), async {
            let mut connection = setup.handshake(setup.server.accept().await).await;
            serve(&mut connection, &setup.url).await;
        })
        .await;
        assert_eq!(status.expect("a response"), 200);
        setup.server.assert_no_more();
    }
}

#[tokio::test]
async fn an_opened_connection_that_was_closed_costs_one_more_and_no_error() {
    for how in [End::Fin, End::Rst] {
        let server = Server::start().await;
        let url = server.url();
        let connections = Connections::new(Trust::System);
        connections.open(&url);
        end(server.accept().await, how);
        settle().await;
        let status = exchange(post(&connections, &url), async {
            serve(&mut server.accept().await, &url).await;
        })
        .await;
        assert_eq!(status.expect("a response"), 200, "{how:?}");
        server.assert_no_more();
    }
}

#[tokio::test]
async fn a_request_that_the_opened_connection_lost_is_sent_once_more() {
    for how in [End::Fin, End::Rst] {
        let server = Server::start().await;
        let url = server.url();
        let (_, host) = url.split_once("://").expect("a URL");
        let connections = Connections::new(Trust::System);
        connections.open(&url);
        let mut connection = server.accept().await;
        let status = exchange(post(&connections, &url), async {
            read_request(&mut connection, host).await;
            end(connection, how);
            serve(&mut server.accept().await, &url).await;
        })
        .await;
        assert_eq!(status.expect("a response"), 200, "{how:?}");
        server.assert_no_more();
    }
}

#[tokio::test]
async fn a_request_is_not_sent_a_third_time() {
    let server = Server::start().await;
    let url = server.url();
    let (_, host) = url.split_once("://").expect("a URL");
    let connections = Connections::new(Trust::System);
    connections.open(&url);
    let result = exchange(post(&connections, &url), async {
        for _ in 0..2 {
            read_request(&mut server.accept().await, host).await;
        }
        server.refuse_more().await;
    })
    .await;
    assert_is_lost(result);
    server.assert_no_more();
}

/// Panics if the SDK would not retry the request.
fn assert_is_lost(result: Result<u16, ConnectorError>) {
    let error = result.expect_err("a lost connection");
    let kind = error.as_other();
    assert_eq!(kind, Some(ErrorKind::TransientError), "{error:?}");
}

#[tokio::test]
async fn a_request_without_an_opened_connection_is_sent_once() {
    let (opened, other) = (Server::start().await, Server::start().await);
    let (opened_url, url) = (opened.url(), other.url());
    let (_, host) = url.split_once("://").expect("a URL");
    let connections = Connections::new(Trust::System);
    connections.open(&opened_url);
    let mut connection = opened.accept().await;
    let result = exchange(post(&connections, &url), async {
        read_request(&mut other.accept().await, host).await;
        other.refuse_more().await;
    })
    .await;
    assert_is_lost(result);
    other.assert_no_more();

    // So is the second request of the opened connection.
    let (_, host) = opened_url.split_once("://").expect("a URL");
    let result = exchange(
        post(&connections, &opened_url),
        serve(&mut connection, &opened_url),
    )
    .await;
    assert_eq!(result.expect("a response"), 200);
    let result = exchange(post(&connections, &opened_url), async {
        read_request(&mut connection, host).await;
        drop(connection);
        opened.refuse_more().await;
    })
    .await;
    assert_is_lost(result);
    opened.assert_no_more();
}

#[tokio::test]
async fn a_request_connects_if_no_connection_could_be_opened() {
    // Connections to a bound port are refused until it listens.
    let socket = TcpSocket::new_v4().expect("a socket");
    let address = "127.0.0.1:0".parse().expect("an address");
    socket.bind(address).expect("a port");
    let url = format!("http://{}", socket.local_addr().expect("an address"));
    let connections = Connections::new(Trust::System);
    connections.open(&url);
    settle().await;
    let listener = socket.listen(8).expect("a listener");
    let server = Server { listener };
    let status = exchange(post(&connections, &url), async {
        serve(&mut server.accept().await, &url).await;
    })
    .await;
    assert_eq!(status.expect("a response"), 200);
    server.assert_no_more();
}

#[tokio::test]
async fn an_opened_connection_is_used_for_90_seconds() {
    for (age, is_used) in [(89, true), (90, false)] {
        let server = Server::start().await;
        let url = server.url();
        let connections = Connections::new(Trust::System);
        // Without a pause, the time between these two would count.
        time::pause();
        connections.open(&url);
        // The time of a paused runtime advances when it waits, which it does not do here.
        let mut connection = accept_without_waiting(&server).await;
        settle().await;
        time::advance(Duration::from_secs(age)).await;
        let sent = tokio::spawn({
            let (connections, url) = (connections.clone(), url.clone());
            async move { post(&connections, &url).await }
        });
        settle().await;
        time::resume();
        if is_used {
            serve(&mut connection, &url).await;
        } else {
            let end = connection.read_u8().await.map_err(|error| error.kind());
            assert_eq!(end, Err(io::ErrorKind::UnexpectedEof), "the end alone");
            serve(&mut server.accept().await, &url).await;
        }
        let status = sent.await.expect("no panic").expect("a response");
        assert_eq!(status, 200, "{age} s");
        server.assert_no_more();
    }
}

/// Accepts a connection without a pause of the runtime, whose paused time would advance.
async fn accept_without_waiting(server: &Server) -> TcpStream {
    loop {
        if let Some(accepted) = server.listener.accept().now_or_never() {
            return accepted.expect("a connection").0;
        }
        yield_now().await;
    }
}

#[tokio::test]
async fn only_one_connection_is_opened_for_a_host() {
    let server = Server::start().await;
    let url = server.url();
    let connections = Connections::new(Trust::System);
    for path in ["", "/", "/path"] {
        connections.clone().open(&format!("{url}{path}"));
    }
    let mut connection = server.accept().await;
    let status = exchange(post(&connections, &url), serve(&mut connection, &url)).await;
    assert_eq!(status.expect("a response"), 200);
    connections.open(&url);
    settle().await;
    server.assert_no_more();
}

/// Forwards connections to the stand-in: the response to the request on `lost` is not sent.
async fn forward(server: &Server, fixture: &Fixture, lost: Option<TcpStream>) {
    let to = fixture.standin.url().replace("http://", "");
    if let Some(mut connection) = lost {
        let mut standin = TcpStream::connect(&to).await.expect("a connection");
        copy_until_response(&mut connection, &mut standin).await;
    }
    loop {
        let mut connection = server.accept().await;
        let mut standin = TcpStream::connect(&to).await.expect("a connection");
        tokio::spawn(async move {
            // Either side may close.
            let _ = copy_bidirectional(&mut connection, &mut standin).await;
        });
    }
}

/// Forwards what the client sends until the stand-in starts to respond.
async fn copy_until_response(client: &mut TcpStream, standin: &mut TcpStream) {
    let mut first = [0];
    let (mut from_client, _) = client.split();
    let (mut response, mut request) = standin.split();
    tokio::select! {
        copied = tokio::io::copy(&mut from_client, &mut request) => drop(copied.expect("a request")),
        read = response.read(&mut first) => assert_eq!(read.expect("a response"), 1),
    }
}

#[derive(Clone, Copy, Debug)]
enum Loss {
    /// Before there was a request.
    Closed(End),
    /// After the stand-in handled the request.
    Response,
}

#[tokio::test]
async fn a_job_succeeds_if_a_connection_that_was_opened_for_it_is_lost() {
    for loss in [
        Loss::Closed(End::Fin),
        Loss::Closed(End::Rst),
        Loss::Response,
    ] {
        for service in ["CLOUDFRONT", "CODEPIPELINE"] {
            job_with_a_lost_connection(service, loss).await;
        }
    }
}

async fn job_with_a_lost_connection(service: &str, loss: Loss) {
    let name = format!("{service}, {loss:?}");
    let fixture = Fixture::start();
    let server = Server::start().await;
    let fixture = fixture.set(&format!("AWS_ENDPOINT_URL_{service}"), &server.url());
    let variables = fixture.variables();
    let variable = move |name: &str| variables.get(name).cloned();
    let settings = Settings::from_environment(&variable);
    let connections = Connections::new(Trust::System);
    let sdk = sdk_config(variable, &connections).into_builder();
    // The SDK does not need to retry, so it does not pause either.
    let sdk = sdk.retry_config(RetryConfig::disabled()).build();
    let invalidator = Invalidator::new(settings, sdk).with_connections(connections);

    let job = fixture.standin.start_job(None);
    let invocation = one_minute();
    let mut response = pin!(invalidator.handle(&job.event, &invocation));
    if service == "CODEPIPELINE" {
        // This connection is opened when the job starts, that to CloudFront is there already.
        assert!(response.as_mut().now_or_never().is_none(), "{name}");
    }
    let connection = server.accept().await;
    let lost = match loss {
        Loss::Closed(how) => {
            end(connection, how);
            None
        }
        Loss::Response => Some(connection),
    };
    settle().await;
    let response = tokio::select! {
        response = response => response,
        () = forward(&server, &fixture, lost) => unreachable!("it forwards until the response"),
    };
    response.expect("a result");

    assert_eq!(
        fixture.standin.job(&job.id).map(|job| job.state),
        Some(JobState::Succeeded),
        "{name}"
    );
    let is_lost = |of: &str| matches!(loss, Loss::Response) && of == service;
    let received = fixture.standin.invalidations();
    assert_eq!(
        received.len(),
        if is_lost("CLOUDFRONT") { 2 } else { 1 },
        "{name}"
    );
    // A repeated request is the same, and creates nothing.
    assert!(received.iter().all(|other| *other == received[0]), "{name}");
    assert_eq!(received[0].distribution, FIRST);
    assert_eq!(fixture.standin.accepted().len(), 1, "{name}");
    let results = fixture.calls(Operation::PutJobSuccessResult);
    assert_eq!(
        results,
        if is_lost("CODEPIPELINE") { 2 } else { 1 },
        "{name}"
    );
    assert_eq!(fixture.calls(Operation::PutJobFailureResult), 0, "{name}");
}
