//! The requests to CodePipeline, which have no SDK client, are those that the SDK would send, on the connections that it would
//! use.

use std::future::pending;
use std::time::{Duration, SystemTime};

use aws_sdk_codepipeline::types::{ExecutionDetails, FailureDetails, FailureType};
use cloudfront_invalidator::aws::codepipeline::{CodePipeline, Delivery};
use cloudfront_invalidator::aws::sdk::connections;
use cloudfront_invalidator::clock::Clock;
use cloudfront_invalidator::error::Category;
use cloudfront_invalidator::handler::Invalidator;
use cloudfront_invalidator::outcome::Outcome;
use cloudfront_invalidator::settings::Settings;
use cloudfront_invalidator::trigger::codepipeline::JobId;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use crate::fixture::{FIRST, Fixture, one_minute};
use crate::recorder::{Recorder, Sent};

fn fixture() -> Fixture {
    Fixture::start().set("AWS_REGION", "eu-west-1")
}

/// Runs a job and returns the request with its result.
async fn sent_by_the_function(fixture: &Fixture, parameters: &Value) -> Sent {
    let variables = fixture.variables();
    let variable = |name: &str| variables.get(name).cloned();
    let recorder = Recorder::of(connections(variable));
    let sdk = fixture.sdk().into_builder();
    let sdk = sdk.http_client(recorder.clone()).build();
    let job = fixture.standin.start_job(Some(&parameters.to_string()));
    let invalidator = Invalidator::new(Settings::from_environment(variable), sdk);
    let handled = invalidator.handle(&job.event, &one_minute()).await;
    handled.expect("a result");
    let sent = recorder.take();
    let mut results = sent.into_iter().filter(|sent| !sent.target.is_empty());
    let result = results.next().expect("a result");
    assert_eq!(results.next(), None);
    result
}

/// Returns the only request of the SDK's client, which gets no response.
fn sent_by_the_sdk(recorder: &Recorder) -> Sent {
    let mut sent = recorder.take();
    assert_eq!(sent.len(), 1);
    sent.remove(0)
}

fn sdk_client(fixture: &Fixture, recorder: &Recorder) -> aws_sdk_codepipeline::Client {
    let sdk = fixture.sdk().into_builder();
    aws_sdk_codepipeline::Client::new(&sdk.http_client(recorder.clone()).build())
}

fn text<'a>(object: &'a Value, name: &str) -> &'a str {
    object[name].as_str().expect("a text")
}

fn object(sent: &Sent) -> Value {
    serde_json::from_slice(&sent.body).expect("JSON")
}

fn assert_same(ours: &Sent, theirs: &Sent) {
    assert_eq!(object(ours), object(theirs));
    for (ours, theirs) in [
        (&ours.uri, &theirs.uri),
        (&ours.target, &theirs.target),
        (&ours.content_type, &theirs.content_type),
    ] {
        assert_eq!(ours, theirs);
    }
    // The key and the scope of the signature: region and service.
    assert_eq!(ours.credential(), theirs.credential());
}

#[tokio::test]
async fn a_success_is_reported_as_the_sdk_does() {
    for parameters in [
        json!({"distribution": FIRST, "paths": ["/a.html", "/é b.html"]}),
        json!({"distribution": FIRST, "wait": "5m"}),
    ] {
        let fixture = fixture();
        let ours = sent_by_the_function(&fixture, &parameters).await;
        let body = object(&ours);
        let details = &body["executionDetails"];
        let percent = details["percentComplete"].as_i64().expect("a number");
        let details = ExecutionDetails::builder()
            .summary(text(details, "summary"))
            .percent_complete(percent.try_into().expect("a percentage"))
            .external_execution_id(text(details, "externalExecutionId"));
        let recorder = Recorder::offline();
        let token = body["continuationToken"].as_str().map(str::to_owned);
        assert_eq!(token.is_some(), parameters.get("wait").is_some());
        let mut request = sdk_client(&fixture, &recorder)
            .put_job_success_result()
            .job_id(text(&body, "jobId"))
            .execution_details(details.build())
            .set_continuation_token(token);
        let variables = body["outputVariables"].as_object();
        for (name, value) in variables.into_iter().flatten() {
            request = request.output_variables(name, value.as_str().expect("a text"));
        }
        request.send().await.expect_err("no response");
        assert_same(&ours, &sent_by_the_sdk(&recorder));
    }
}

#[tokio::test]
async fn a_failure_is_reported_as_the_sdk_does() {
    let fixture = fixture();
    let ours = sent_by_the_function(&fixture, &json!({"path": "/a"})).await;
    let body = object(&ours);
    let details = FailureDetails::builder()
        .r#type(FailureType::ConfigurationError)
        .message(text(&body["failureDetails"], "message"))
        .build();
    let recorder = Recorder::offline();
    let request = sdk_client(&fixture, &recorder)
        .put_job_failure_result()
        .job_id(text(&body, "jobId"))
        .failure_details(details.expect("all members"));
    request.send().await.expect_err("no response");
    assert_same(&ours, &sent_by_the_sdk(&recorder));
}

/// Reads a request with a body, and responds to it.
async fn respond(connection: &mut TcpStream, status: &str) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(connection.read_u8().await.expect("a request"));
    }
    let head = String::from_utf8(head).expect("a head");
    let mut lines = head.lines();
    let length = lines.find_map(|line| line.strip_prefix("content-length: "));
    let length = length.expect("a body").parse().expect("its length");
    let mut body = vec![0; length];
    connection.read_exact(&mut body).await.expect("a body");
    let response = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
    let written = connection.write_all(response.as_bytes()).await;
    written.expect("a response");
}

#[tokio::test]
async fn an_attempt_after_a_failure_of_the_server_uses_another_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let fixture = fixture().set("AWS_ENDPOINT_URL_CODEPIPELINE", &url);
    let variables = fixture.variables();
    let connections = connections(|name: &str| variables.get(name).cloned());
    let sdk = fixture
        .sdk()
        .into_builder()
        .http_client(connections)
        .build();
    let no_pauses = Clock::new(SystemTime::now, |_| std::future::ready(()));
    let codepipeline = CodePipeline::new(&sdk, no_pauses);
    let job = JobId::parse("11111111-abcd-4111-abcd-000000000001").expect("an id");
    let outcome = Outcome::default();
    let deadline = Instant::now() + Duration::from_secs(20);
    let reported = codepipeline.put_failure(&job, Category::Internal, "x", &outcome, deadline);
    // Each connection gets one response, and stays open. A second request of one would get none.
    let server = async {
        let mut open = Vec::new();
        for status in [
            "503 Service Unavailable",
            "500 Internal Server Error",
            "200 OK",
        ] {
            let (mut connection, _) = listener.accept().await.expect("a connection");
            respond(&mut connection, status).await;
            open.push(connection);
        }
        pending::<()>().await;
    };
    let reported = tokio::select! {
        reported = reported => reported,
        () = server => unreachable!("it never ends"),
    };
    assert_eq!(reported, Ok(Delivery::Accepted));
}
