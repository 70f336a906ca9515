//! Lambda: an execution environment that runs the built program.
//!
//! The function is a child process that asks the Runtime API for its next event and posts its answer there. Each
//! environment has a process and a Runtime API of its own, one event at a time, as in the cloud. The process ends in
//! three ways only: the harness kills it in mid-event, its time is up (Lambda kills it), or the soak is over. That it
//! ends by itself is a finding.
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
const LARGEST_ANSWER: usize = 6 * 1024 * 1024;
const LOOKS_FOR_THE_PROCESS: Duration = Duration::from_millis(100);

/// Says how the function is run.
#[derive(Clone, Debug)]
pub struct Function {
    pub program: PathBuf,
    pub variables: BTreeMap<String, String>,
    pub timeout: Duration,
    /// Where its log lines are appended; nowhere by default.
    pub log: Option<PathBuf>,
}

/// What came of an invocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Returned(Bytes),
    Failed(String),
    Killed,
    TimedOut,
    /// The process ended by itself, or never came so far as to ask for an event.
    Crashed(String),
}

/// An event on its way to the process.
struct Event {
    number: u64,
    body: String,
    deadline: SystemTime,
}

/// What the process posted.
enum Posted {
    Response(u64, Bytes),
    Error(u64, String),
    InitError(String),
}

/// What the Runtime API is served from.
struct Desk {
    events: Mutex<mpsc::Receiver<Event>>,
    posted: mpsc::Sender<Posted>,
}

/// One execution environment.
pub struct Sandbox {
    process: Child,
    events: mpsc::Sender<Event>,
    posted: mpsc::Receiver<Posted>,
    server: JoinHandle<()>,
    timeout: Duration,
    number: u64,
}

impl Sandbox {
    /// Starts the process; it asks for its first event in its own time.
    pub async fn start(function: &Function) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (events, waiting) = mpsc::channel(1);
        let (post, posted) = mpsc::channel(1);
        let desk = Arc::new(Desk {
            events: Mutex::new(waiting),
            posted: post,
        });
        let serve = move |request: Request| {
            let desk = Arc::clone(&desk);
            async move { desk.answer(request).await }
        };
        let router = Router::new().fallback(serve);
        let server = tokio::spawn(async move {
            // Without a server the process crashes, which is noticed.
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

    /// Hands the process an event and waits for its answer, for its end, or for the moment of its death.
    ///
    /// After all but an answer the environment is of no more use.
    pub async fn invoke(&mut self, body: String, death: impl Future<Output = ()>) -> Answer {
        self.number += 1;
        let number = self.number;
        let deadline = SystemTime::now() + self.timeout;
        let out_of_time = sleep_until(Instant::now() + self.timeout);
        let event = Event {
            number,
            body,
            deadline,
        };
        if self.events.try_send(event).is_err() {
            return Answer::Crashed("the last event was never asked for".to_owned());
        }
        tokio::select! {
            biased;
            posted = self.posted.recv() => read(posted, number),
            ended = ended(&mut self.process) => Answer::Crashed(ended),
            () = death => Answer::Killed,
            () = out_of_time => Answer::TimedOut,
        }
    }
}

impl Drop for Sandbox {
    /// Kills the process without notice, as Lambda may at any time.
    fn drop(&mut self) {
        // It may have ended by itself.
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
    let named = |error: io::Error| {
        let program = function.program.display();
        io::Error::new(error.kind(), format!("cannot run {program}: {error}"))
    };
    Command::new(&function.program)
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
        .map_err(named)
}

fn append_to(log: &PathBuf) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(log)
}

async fn ended(process: &mut Child) -> String {
    loop {
        match process.try_wait() {
            Ok(None) => tokio::time::sleep(LOOKS_FOR_THE_PROCESS).await,
            Ok(Some(status)) => return status.to_string(),
            Err(error) => return error.to_string(),
        }
    }
}

fn read(posted: Option<Posted>, asked: u64) -> Answer {
    match posted {
        Some(Posted::Response(number, body)) if number == asked => Answer::Returned(body),
        Some(Posted::Error(number, error)) if number == asked => Answer::Failed(error),
        Some(Posted::Response(..) | Posted::Error(..)) => {
            Answer::Crashed("another event was answered than the one that was asked for".to_owned())
        }
        Some(Posted::InitError(error)) => Answer::Crashed(error),
        None => Answer::Crashed("the Runtime API ended".to_owned()),
    }
}

impl Desk {
    async fn answer(&self, request: Request) -> Response {
        let (head, body) = request.into_parts();
        let path = head.uri.path().strip_prefix(API).unwrap_or_default();
        let segments: Vec<&str> = path.split('/').collect();
        if segments == ["invocation", "next"] {
            return self.next().await;
        }
        let Ok(body) = to_bytes(body, LARGEST_ANSWER).await else {
            return StatusCode::PAYLOAD_TOO_LARGE.into_response();
        };
        let text = || String::from_utf8_lossy(&body).into_owned();
        let posted = match segments[..] {
            ["invocation", number, "response"] => Posted::Response(read_number(number), body),
            ["invocation", number, "error"] => Posted::Error(read_number(number), text()),
            ["init", "error"] => Posted::InitError(text()),
            _ => return StatusCode::NOT_FOUND.into_response(),
        };
        // Nobody waits for the answer of a process that is being killed.
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
        let answer = Response::builder()
            .header("Content-Type", "application/json")
            .header("Lambda-Runtime-Aws-Request-Id", event.number.to_string())
            .header(
                "Lambda-Runtime-Deadline-Ms",
                deadline.as_millis().to_string(),
            )
            .header("Lambda-Runtime-Invoked-Function-Arn", ARN)
            .body(Body::from(event.body));
        answer.unwrap_or_else(|error| {
            (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response()
        })
    }
}

/// No event has the number zero.
fn read_number(text: &str) -> u64 {
    text.parse().unwrap_or_default()
}
