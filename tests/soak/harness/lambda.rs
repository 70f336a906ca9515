//! Lambda: an execution environment that runs the built program.
//!
//! The function is a child process that reads its next event from the Runtime API and posts the response there. As in
//! the cloud, each environment has its own process and its own Runtime API, and handles one event at a time. The
//! process ends in three ways only: the harness kills it during an event, it exceeds its timeout, or the soak is over.
//! If it ends by itself, the soak fails.
//!
//! API: <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

const ARN: &str = "arn:aws:lambda:us-east-1:111122223333:function:invalidator";
const API: &str = "/2018-06-01/runtime/";
const MAX_RESPONSE_BYTES: usize = 6 * 1024 * 1024;
const PROCESS_POLL_INTERVAL: Duration = Duration::from_millis(100);

/// How the function is run.
#[derive(Clone, Debug)]
pub struct Function {
    pub program: PathBuf,
    pub arguments: Vec<String>,
    pub variables: BTreeMap<String, String>,
    pub timeout: Duration,
    /// The file that its log lines are appended to, if any.
    pub log: Option<PathBuf>,
}

/// How an invocation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Returned(Bytes),
    Failed(String),
    Killed,
    TimedOut,
    /// The process ended by itself, or never requested the event.
    Crashed(String),
}

/// An event on its way to the process.
struct Event {
    number: u64,
    body: String,
    deadline: SystemTime,
}

/// What the process posted to the Runtime API.
enum Posted {
    Response(u64, Bytes),
    Error(u64, String),
    InitError(String),
}

/// The state of the Runtime API.
struct RuntimeApi {
    events: Mutex<mpsc::Receiver<Event>>,
    posted: mpsc::Sender<Posted>,
}

/// One execution environment.
pub struct ExecutionEnvironment {
    process: Child,
    events: mpsc::Sender<Event>,
    posted: mpsc::Receiver<Posted>,
    server: JoinHandle<()>,
    timeout: Duration,
    number: u64,
}

impl ExecutionEnvironment {
    /// Starts the process, which requests its first event when it is ready.
    pub async fn start(function: &Function) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (events, waiting) = mpsc::channel(1);
        let (post, posted) = mpsc::channel(1);
        let runtime_api = Arc::new(RuntimeApi {
            events: Mutex::new(waiting),
            posted: post,
        });
        let serve = move |request: Request| {
            let runtime_api = Arc::clone(&runtime_api);
            async move { runtime_api.respond(request).await }
        };
        let router = Router::new().fallback(serve);
        let server = tokio::spawn(async move {
            // Without a server the process crashes, which is a finding.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self {
            process: spawn(function, address)?,
            events,
            posted,
            server,
            timeout: function.timeout,
            number: 0,
        })
    }

    /// Sends the process an event and waits for the response, the end of the process, the timeout, or `kill`.
    ///
    /// After anything but a response the environment cannot be used again.
    pub async fn invoke(&mut self, body: String, kill: impl Future<Output = ()>) -> Outcome {
        self.number += 1;
        let number = self.number;
        let deadline = SystemTime::now() + self.timeout;
        let timeout = sleep_until(Instant::now() + self.timeout);
        let event = Event {
            number,
            body,
            deadline,
        };
        if self.events.try_send(event).is_err() {
            return Outcome::Crashed("the process never requested the previous event".to_owned());
        }
        tokio::select! {
            biased;
            posted = self.posted.recv() => read(posted, number),
            status = exit_status(&mut self.process) => Outcome::Crashed(status),
            () = kill => Outcome::Killed,
            () = timeout => Outcome::TimedOut,
        }
    }
}

impl Drop for ExecutionEnvironment {
    /// Kills the process without warning, as Lambda can at any time.
    fn drop(&mut self) {
        // The process can have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
        self.server.abort();
    }
}

fn spawn(function: &Function, runtime_api: SocketAddr) -> io::Result<Child> {
    let output = || match &function.log {
        None => Ok(Stdio::null()),
        Some(log) => append_to(log).map(Stdio::from),
    };
    let with_program = |error: io::Error| {
        let program = function.program.display();
        io::Error::new(error.kind(), format!("cannot run {program}: {error}"))
    };
    Command::new(&function.program)
        .args(&function.arguments)
        .env_clear()
        .envs(&function.variables)
        .env("AWS_LAMBDA_RUNTIME_API", runtime_api.to_string())
        .env("AWS_LAMBDA_FUNCTION_NAME", "invalidator")
        .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
        .stdin(Stdio::null())
        .stdout(output()?)
        .stderr(output()?)
        .spawn()
        .map_err(with_program)
}

fn append_to(log: &PathBuf) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(log)
}

async fn exit_status(process: &mut Child) -> String {
    loop {
        match process.try_wait() {
            Ok(None) => tokio::time::sleep(PROCESS_POLL_INTERVAL).await,
            Ok(Some(status)) => return status.to_string(),
            Err(error) => return error.to_string(),
        }
    }
}

fn read(posted: Option<Posted>, expected: u64) -> Outcome {
    match posted {
        Some(Posted::Response(number, body)) if number == expected => Outcome::Returned(body),
        Some(Posted::Error(number, error)) if number == expected => Outcome::Failed(error),
        Some(Posted::Response(..) | Posted::Error(..)) => {
            Outcome::Crashed("the process responded to another event".to_owned())
        }
        Some(Posted::InitError(error)) => Outcome::Crashed(error),
        None => Outcome::Crashed("the Runtime API ended".to_owned()),
    }
}

impl RuntimeApi {
    async fn respond(&self, request: Request) -> Response {
        let (head, body) = request.into_parts();
        let path = head.uri.path().strip_prefix(API).unwrap_or_default();
        let segments: Vec<&str> = path.split('/').collect();
        if segments == ["invocation", "next"] {
            return self.next().await;
        }
        let Ok(body) = to_bytes(body, MAX_RESPONSE_BYTES).await else {
            return StatusCode::PAYLOAD_TOO_LARGE.into_response();
        };
        let text = || String::from_utf8_lossy(&body).into_owned();
        let posted = match segments[..] {
            ["invocation", number, "response"] => Posted::Response(read_number(number), body),
            ["invocation", number, "error"] => Posted::Error(read_number(number), text()),
            ["init", "error"] => Posted::InitError(text()),
            _ => return StatusCode::NOT_FOUND.into_response(),
        };
        // Nothing receives the response of a process that is being killed.
        let _ = self.posted.send(posted).await;
        StatusCode::ACCEPTED.into_response()
    }

    async fn next(&self) -> Response {
        let Some(event) = self.events.lock().await.recv().await else {
            return StatusCode::GONE.into_response();
        };
        let deadline = event
            .deadline
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let response = Response::builder()
            .header("Content-Type", "application/json")
            .header("Lambda-Runtime-Aws-Request-Id", event.number.to_string())
            .header(
                "Lambda-Runtime-Deadline-Ms",
                deadline.as_millis().to_string(),
            )
            .header("Lambda-Runtime-Invoked-Function-Arn", ARN)
            .body(Body::from(event.body));
        response.unwrap_or_else(|error| {
            (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response()
        })
    }
}

/// Returns 0, which no event has, if the text is not a number.
fn read_number(text: &str) -> u64 {
    text.parse().unwrap_or_default()
}
