//! Runs one process of a function as Lambda does, and measures it.

use std::ffi::OsString;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{Signal, kill};
use nix::sys::time::TimeValLike;
use nix::unistd::Pid;
use tokio::process::Command;
use tokio::time::timeout;

use crate::aws::{Call, Calls};
use crate::events::{DISTRIBUTION, Event, Expected, Kind};
use crate::runtime_api::{Invocation, Progress, RuntimeApi};

/// How long a process may take with all of its events.
const TIMEOUT: Duration = Duration::from_secs(60);

/// What a function does with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// It parses the event and returns.
    Nothing,
    /// It invalidates the paths that the event requires.
    Invalidation,
}

/// A function that is measured.
#[derive(Clone, Debug)]
pub struct Variant {
    /// What the tables call it.
    pub name: String,
    /// What it does.
    pub work: Work,
    /// The program, as an absolute path.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Its current directory.
    pub directory: PathBuf,
    /// Whether it is written in Python.
    pub is_python: bool,
}

/// Where the function finds what it calls.
#[derive(Clone, Debug)]
pub struct Environment {
    /// The URL of CloudFront.
    pub cloudfront: String,
    /// The URL of CodePipeline.
    pub codepipeline: String,
    /// The file of the trusted root.
    pub root: PathBuf,
    /// What CloudFront and CodePipeline received.
    pub calls: Calls,
    /// How long after its initialization the first event is sent.
    pub hold: Duration,
}

/// What was measured.
#[derive(Clone, Debug)]
pub struct Measurement {
    /// From the start of the process until it asked for the first event.
    pub init: Duration,
    /// How long each invocation took, the first one first.
    pub invocations: Vec<Duration>,
    /// The calls of the first invocation.
    pub calls: Vec<Call>,
    /// User and system time of all threads until the process asked for the event after the last one.
    pub cpu: Duration,
    /// The peak of the resident set. Unit: KiB.
    pub peak_rss_kib: u64,
}

impl Measurement {
    /// Returns how long the first invocation took.
    pub fn first(&self) -> Duration {
        self.invocations.first().copied().unwrap_or_default()
    }
}

impl Variant {
    /// Starts a process, sends it the events one after the other, checks what it did, and ends it.
    ///
    /// # Errors
    ///
    /// Returns an error with the output of the process if it ends, fails, or does anything else than expected.
    pub async fn measure(
        &self,
        environment: &Environment,
        events: &[Event],
    ) -> Result<Measurement> {
        let error = match self.run(environment, events, false).await {
            Ok((measurement, _)) => return Ok(measurement),
            Err(error) => error,
        };
        // The output is not read in a measurement. So the process is run again to get it.
        let again = match self.run(environment, events, true).await {
            Ok((_, output)) => format!("a second run succeeded, with the output:\n{output}"),
            Err(error) => format!("a second run: {error:#}"),
        };
        Err(anyhow!("{}: {error:#}\n{again}", self.name))
    }

    /// Returns how many instructions a cold start with a pipeline job takes, from the start of the process on. `None` if
    /// valgrind is not installed.
    ///
    /// # Errors
    ///
    /// Returns an error if the function fails.
    pub async fn instructions(&self, environment: &Environment) -> Result<Option<u64>> {
        let found = std::process::Command::new("valgrind")
            .arg("--version")
            .output();
        if found.is_err() {
            return Ok(None);
        }
        let mut arguments = ["--tool=callgrind", "--callgrind-out-file=/dev/null"]
            .map(OsString::from)
            .to_vec();
        arguments.push(self.program.clone().into());
        let counted = Self {
            program: "valgrind".into(),
            arguments,
            ..self.clone()
        };
        let events = [Event::new(Kind::PipelineJob, 0)];
        let (_, output) = counted.run(environment, &events, true).await?;
        let count = output
            .lines()
            .find_map(|line| line.split_once("Collected : "))
            .and_then(|(_, count)| count.trim().parse().ok());
        Ok(Some(count.with_context(|| {
            format!("callgrind counted nothing:\n{output}")
        })?))
    }

    async fn run(
        &self,
        environment: &Environment,
        events: &[Event],
        capture: bool,
    ) -> Result<(Measurement, String)> {
        let calls = environment.calls.clone();
        let api = RuntimeApi::serve(events.to_vec(), environment.hold, calls).await?;
        let mut command = self.command(environment, &api);
        let output = || match capture {
            true => Stdio::piped(),
            false => Stdio::null(),
        };
        command
            .stdin(Stdio::null())
            .stdout(output())
            .stderr(output());

        let cpu_before = cpu_of_children()?;
        let started = Instant::now();
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot start {}", self.program.display()))?;
        let id = child.id().context("the process ended at once")?;
        let ended = tokio::select! {
            ended = timeout(TIMEOUT, api.ended()) => ended.map_err(|_| {
                anyhow!("it did not handle its events within {} s", TIMEOUT.as_secs())
            }),
            status = child.wait() => match status {
                Ok(status) => Err(anyhow!("the process ended with {status}")),
                Err(error) => Err(error.into()),
            },
        };
        let peak_rss_kib = peak_rss_kib(id);
        // callgrind writes its count when it is told to end.
        let signal = if capture {
            Signal::SIGTERM
        } else {
            Signal::SIGKILL
        };
        let _ = kill(Pid::from_raw(id.try_into()?), signal);
        let output = child.wait_with_output().await?;
        let output = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        let cpu = cpu_of_children()?.saturating_sub(cpu_before);
        let progress = api.into_progress();

        let init = progress
            .initialized
            .map(|time| time.duration_since(started));
        if let Err(error) = ended.and_then(|()| check(self.work, &progress, events)) {
            let output = if capture {
                format!("; its output:\n{output}")
            } else {
                output
            };
            bail!("{error:#}{output}");
        }
        let measurement = Measurement {
            init: init.context("it did not ask for an event")?,
            invocations: durations(&progress.invocations),
            calls: progress
                .invocations
                .into_iter()
                .next()
                .map(|first| first.calls)
                .unwrap_or_default(),
            cpu,
            peak_rss_kib: peak_rss_kib?,
        };
        Ok((measurement, output))
    }

    /// Returns the command with the environment of a function of `template.yaml`.
    ///
    /// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html>
    fn command(&self, environment: &Environment, api: &RuntimeApi) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .current_dir(&self.directory)
            .kill_on_drop(true)
            .env_clear()
            .envs(ENVIRONMENT)
            .env("LD_LIBRARY_PATH", self.library_path())
            .env("AWS_LAMBDA_RUNTIME_API", api.address.to_string())
            .env("LAMBDA_TASK_ROOT", &self.directory)
            .env("AWS_SESSION_TOKEN", "EXAMPLESESSIONTOKEN".repeat(40))
            .env("AWS_ENDPOINT_URL_CLOUDFRONT", &environment.cloudfront)
            .env("AWS_ENDPOINT_URL_CODEPIPELINE", &environment.codepipeline)
            .env("SSL_CERT_FILE", &environment.root)
            .env("AWS_CA_BUNDLE", &environment.root)
            .env("DISTRIBUTION_ID", DISTRIBUTION);
        command
    }
}

impl Variant {
    /// Returns Lambda's value. For a binary, Debian's directory of libraries is in front. On Amazon Linux they are in the first
    /// directory of Lambda's value; on Debian the loader would try a hundred file names first, which takes 0.2 ms.
    fn library_path(&self) -> String {
        let debian = match self.is_python {
            true => String::new(), // it can have libraries of its own
            false => format!("/lib/{}-linux-gnu:", std::env::consts::ARCH),
        };
        format!("{debian}/lib64:/usr/lib64:/var/runtime:/var/task:/opt/lib")
    }
}

/// What Lambda sets, then the defaults of `template.yaml`.
const ENVIRONMENT: [(&str, &str); 35] = [
    ("PATH", "/usr/local/bin:/usr/bin:/bin:/opt/bin"),
    ("LANG", "en_US.UTF-8"),
    ("TZ", ":UTC"),
    ("AWS_REGION", "eu-west-1"),
    ("AWS_DEFAULT_REGION", "eu-west-1"),
    ("AWS_ACCESS_KEY_ID", "EXAMPLEACCESSKEYID"),
    ("AWS_SECRET_ACCESS_KEY", "EXAMPLESECRETACCESSKEY"),
    ("AWS_EXECUTION_ENV", "AWS_Lambda_provided.al2023"),
    ("AWS_LAMBDA_FUNCTION_NAME", "cloudfront-invalidator"),
    ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
    ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
    ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
    ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
    ("AWS_LAMBDA_LOG_LEVEL", "INFO"),
    (
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "/aws/lambda/cloudfront-invalidator",
    ),
    (
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "2026/11/22/[$LATEST]7f8f1a6ff4a44d7f8f1a6ff4a44d7f8f",
    ),
    ("AWS_XRAY_CONTEXT_MISSING", "LOG_ERROR"),
    ("AWS_XRAY_DAEMON_ADDRESS", "169.254.79.129:2000"),
    ("_HANDLER", "app.handler"),
    ("MAX_PATHS", "20"),
    ("MAX_WILDCARDS", "10"),
    ("ECONOMY", "0"),
    ("INDEX_DOCUMENTS", "auto"),
    ("IMMUTABLE_PATHS", "auto"),
    ("KEEP_REMOVED_IMMUTABLE", "true"),
    ("WAIT", "false"),
    ("INVALIDATE_STAGING", "false"),
    ("DAILY_PATH_BUDGET", "0"),
    ("METRICS_NAMESPACE", "CloudFrontInvalidator"),
    ("METRICS_BY_DISTRIBUTION", "false"),
    // No files of the developer's.
    ("HOME", "/nonexistent"),
    ("AWS_CONFIG_FILE", "/nonexistent"),
    ("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent"),
    ("AWS_EC2_METADATA_DISABLED", "true"),
    ("PYTHONDONTWRITEBYTECODE", "1"),
];

fn cpu_of_children() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let microseconds = (usage.user_time() + usage.system_time()).num_microseconds();
    Ok(Duration::from_micros(microseconds.try_into()?))
}

/// Returns `VmHWM` of a process: <https://man7.org/linux/man-pages/man5/proc_pid_status.5.html>.
fn peak_rss_kib(id: u32) -> Result<u64> {
    let path = Path::new("/proc").join(id.to_string()).join("status");
    let status = std::fs::read_to_string(&path)?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"))
        .and_then(|number| number.parse().ok())
        .with_context(|| format!("{} has no VmHWM", path.display()))
}

fn durations(invocations: &[Invocation]) -> Vec<Duration> {
    let durations = invocations.iter().map(|invocation| invocation.duration);
    durations.collect()
}

/// Checks that a process handled all of its events, each in the right way.
fn check(work: Work, progress: &Progress, events: &[Event]) -> Result<()> {
    if let Some(error) = &progress.error {
        bail!("the Runtime API received {error}");
    }
    ensure!(
        progress.invocations.len() == events.len(),
        "it answered {} of {} events",
        progress.invocations.len(),
        events.len()
    );
    for (invocation, event) in progress.invocations.iter().zip(events) {
        check_invocation(work, invocation, &event.expected)?;
    }
    Ok(())
}

fn check_invocation(work: Work, invocation: &Invocation, expected: &Expected) -> Result<()> {
    let response = match &invocation.response {
        Ok(response) => response,
        Err(error) => bail!(
            "the error of an invocation: {}",
            String::from_utf8_lossy(error)
        ),
    };
    if work == Work::Nothing {
        return Ok(());
    }
    if let Some(expected) = &expected.response {
        let response: serde_json::Value = serde_json::from_slice(response)?;
        ensure!(
            response == *expected,
            "the response {response} instead of {expected}"
        );
    }
    let (mut created, mut jobs, mut problems) = (Vec::new(), Vec::new(), String::new());
    for call in &invocation.calls {
        match call {
            Call::CreateInvalidation { paths } => created.push(*paths),
            Call::PutJobSuccessResult { job } => jobs.push(job.as_str()),
            Call::Read(_) => {}
            Call::Unexpected(call) => write!(problems, "; {call}")?,
        }
    }
    let right_paths = match (created.as_slice(), expected.paths) {
        ([paths], Some(expected)) => *paths == expected,
        ([_], None) => true,
        _ => false,
    };
    let expected_jobs: Vec<&str> = expected.job.as_deref().into_iter().collect();
    ensure!(
        right_paths && jobs == expected_jobs && problems.is_empty(),
        "it made the calls {:?} instead of one CreateInvalidation of {} paths and the results of \
         {expected_jobs:?}{problems}",
        invocation.calls,
        expected
            .paths
            .map_or("any number of".to_owned(), |paths| paths.to_string()),
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::*;

    #[test]
    fn an_invocation_with_other_calls_or_another_response_is_an_error() {
        let created = |paths| Call::CreateInvalidation { paths };
        let succeeded = |job: &str| Call::PutJobSuccessResult {
            job: job.to_owned(),
        };
        let job = Expected {
            job: Some("1".to_owned()),
            paths: Some(2),
            response: None,
        };
        let batch = Expected {
            job: None,
            paths: None,
            response: Some(json!({"batchItemFailures": []})),
        };
        let done = "{\"batchItemFailures\": []}";
        let read = Call::Read("GetDistributionConfig");
        let unknown = Call::Unexpected("GET /".to_owned());
        let cases = [
            (
                &job,
                "null",
                vec![read.clone(), created(2), succeeded("1")],
                true,
            ),
            (&job, "null", vec![created(3), succeeded("1")], false),
            (&job, "null", vec![created(2), succeeded("2")], false),
            (&job, "null", vec![created(2)], false),
            (
                &job,
                "null",
                vec![created(2), created(2), succeeded("1")],
                false,
            ),
            (
                &job,
                "null",
                vec![created(2), succeeded("1"), unknown],
                false,
            ),
            (&batch, done, vec![read, created(7)], true),
            (&batch, done, vec![created(7), succeeded("1")], false),
            (&batch, done, vec![], false),
            (&batch, "null", vec![created(7)], false),
        ];
        for (expected, response, calls, is_right) in cases {
            let invocation = Invocation {
                duration: Duration::ZERO,
                response: Ok(Bytes::from(response)),
                calls,
            };
            let checked = check_invocation(Work::Invalidation, &invocation, expected);
            assert_eq!(checked.is_ok(), is_right, "{invocation:?}");
        }
    }

    #[test]
    fn an_error_of_an_invocation_is_an_error_of_the_empty_function_too() {
        let invocation = Invocation {
            duration: Duration::ZERO,
            response: Err(Bytes::from("{\"errorType\":\"x\"}")),
            calls: vec![],
        };
        let expected = Event::new(Kind::PipelineJob, 0).expected;
        let checked = check_invocation(Work::Nothing, &invocation, &expected);
        assert_eq!(
            checked.map_err(|error| error.to_string()),
            Err("the error of an invocation: {\"errorType\":\"x\"}".to_owned())
        );
    }
}
