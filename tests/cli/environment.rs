//! `Environment`: an account, an empty home directory, and snapshots of the output.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{env, fs};

use regex::Regex;
use snapbox::Redactions;

use crate::schema;
use crate::standin::{Operation, Options, Standin};

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_cf-invalidate");

/// The first distribution of the account: www.example.com, with the bucket `site` as its origin.
pub const FIRST: &str = "E1EXAMPLE1ABC";

/// The second: an S3 website endpoint of the same bucket, with the origin path `/prod`.
pub const WEBSITE: &str = "E2EXAMPLE1ABC";

/// The seventh: app.example.com, with the bucket `app`.
pub const APP: &str = "E7EXAMPLE1ABC";

macro_rules! document {
    ($name:literal) => {
        include_str!(concat!("../distributions/", $name, ".xml"))
    };
}

/// Returns an account with seven distributions, listed on two pages.
pub fn account() -> Options {
    let config = |id: &str| format!("distribution/{id}/config");
    let options = Options {
        throttle: false,
        completes_after: Duration::from_millis(500),
        ..Options::default()
    };
    let options = (1..=7).fold(options, |options, number| {
        options.with_distribution(&format!("E{number}EXAMPLE1ABC"))
    });
    options
        .with_document("distribution", document!("list"))
        .with_document("distribution?Marker=E4EXAMPLE1ABC", document!("list-2"))
        .with_document(&config(FIRST), &with_tags(document!("legacy")))
        .with_document(&config(WEBSITE), document!("website"))
        .with_document(&config("E3EXAMPLE1ABC"), document!("disabled"))
        .with_document(&config("E5EXAMPLE1ABC"), document!("origin-groups"))
        .with_document(&config("E6EXAMPLE1ABC"), document!("bare"))
        .with_document(&config(APP), &with_tags(document!("single-page")))
        .with_document(
            "cache-policy/2766f7b2-75c5-41c6-8f06-bf4303a2f2f5",
            document!("cache-policy"),
        )
}

/// Adds the header of cache tags to a configuration.
fn with_tags(configuration: &str) -> String {
    let tags = "<CacheTagConfig><HeaderName>cache-tag</HeaderName></CacheTagConfig>";
    let end = "</DistributionConfig>";
    configuration.replace(end, &format!("{tags}{end}"))
}

/// A home directory, environment variables and an account, in which programs run.
pub struct Environment {
    pub standin: Standin,
    pub directory: PathBuf,
    pub variables: BTreeMap<String, String>,
    /// The commands since the last snapshot, with their output.
    transcript: String,
}

impl Environment {
    /// Creates an empty home directory for the test with this name.
    pub fn new(name: &str) -> Self {
        Self::with_options(name, account())
    }

    /// Creates an empty home directory for the test with this name, with this account.
    pub fn with_options(name: &str, options: Options) -> Self {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join("cli")
            .join(name);
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).expect("a directory");
        let has_edge = options.edge.is_some();
        let standin = Standin::start(options);
        let variables = [
            ("HOME", directory.display().to_string()),
            ("PATH", env::var("PATH").unwrap_or_default()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
            ("AWS_ENDPOINT_URL", standin.url()),
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "secret".to_owned()),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value));
        let mut variables = BTreeMap::from(variables);
        // No test requests a host on the Internet.
        variables.insert("EDGE_ENDPOINT_URL".to_owned(), standin.url());
        if has_edge {
            for (pop, name) in standin.pop_names().into_iter().enumerate() {
                let name = format!("EDGE_ENDPOINT_URL_{}", name.replace('-', "_"));
                variables.insert(name, standin.pop_url(pop));
            }
        }
        Self {
            standin,
            directory,
            variables,
            transcript: String::new(),
        }
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.insert(name.to_owned(), value.to_owned());
    }

    pub fn unset(&mut self, name: &str) {
        self.variables.remove(name);
    }

    /// Writes a file in the home directory, which is also the working directory.
    pub fn write(&self, name: &str, text: &str) {
        let file = self.directory.join(name);
        fs::create_dir_all(file.parent().expect("a directory")).expect("a directory");
        fs::write(file, text).expect("a file");
    }

    /// Runs `cf-invalidate` with these arguments, split at spaces.
    pub fn run(&mut self, line: &str) -> ProgramOutput {
        self.run_with_input(line, "")
    }

    /// Runs `cf-invalidate` with these arguments and this standard input. A JSON output is compared with the schema.
    pub fn run_with_input(&mut self, line: &str, input: &str) -> ProgramOutput {
        let words: Vec<_> = line.split(' ').filter(|word| !word.is_empty()).collect();
        let mut command = Command::new(PROGRAM);
        command.args(&words);
        let output = self.run_program(command, input);
        let is_json = words.contains(&"--output=json") || line.contains("--output json");
        if is_json && !output.stdout.is_empty() {
            schema::assert_valid(&words, &output);
        }
        self.record(&format!("cf-invalidate {line}"), &output);
        output
    }

    /// Runs any program in this environment.
    pub fn run_program(&self, mut command: Command, input: &str) -> ProgramOutput {
        let mut child = command
            .env_clear()
            .envs(&self.variables)
            .current_dir(&self.directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a program that starts");
        // The program can end before it has read its input.
        let _ = child
            .stdin
            .take()
            .expect("a pipe")
            .write_all(input.as_bytes());
        let output = child.wait_with_output().expect("an end");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        ProgramOutput {
            code: output.status.code().expect("a code"),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// Adds a command and its output to the transcript.
    pub fn record(&mut self, line: &str, output: &ProgramOutput) {
        self.transcript += &format!("$ {line}\n");
        let mut messages: Vec<_> = output.stderr.lines().collect();
        let calls = |first: &&str, second: &&str| call(first).is_some() && call(second).is_some();
        for calls in messages.chunk_by_mut(calls) {
            calls.sort_by_key(|line| call(line));
        }
        let results = output.stdout.lines().map(|line| format!("{line}\n"));
        self.transcript.extend(results);
        let messages = messages.iter().map(|line| format!("2> {line}\n"));
        self.transcript.extend(messages);
        self.transcript += &format!("exit {}\n\n", output.code);
    }

    /// Compares the commands since the last snapshot, and their output, with a snapshot.
    pub fn snapshot(&mut self, name: &str) {
        let transcript = std::mem::take(&mut self.transcript);
        let file = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/cli/snapshots")
            .join(format!("{name}.txt"));
        snapbox::Assert::new()
            .action_env("UPDATE_SNAPSHOTS")
            .redact_with(self.redactions().expect("valid placeholders"))
            .eq(transcript, snapbox::Data::read_from(&file, None));
    }

    /// Returns the values that differ from run to run, with the placeholders that stand for them in a snapshot.
    fn redactions(&self) -> snapbox::assert::Result<Redactions> {
        let mut redactions = Redactions::new();
        redactions.insert("[STANDIN]", self.standin.url())?;
        redactions.insert("[HOME]", self.directory.display().to_string())?;
        let patterns = [
            // A reference that starts with a name of the user is the same in each run, so it stays visible.
            (
                "[RANDOM]",
                "cloudfront-invalidator-(?<redacted>[0-9a-f]{64})",
            ),
            (
                "[TIME]",
                r"(?<redacted>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z)",
            ),
            ("[SECONDS]", r"(completed after|created) (?<redacted>\d+) s"),
            ("[MS]", r"after (?<redacted>\d+) ms"),
            ("[SECONDS]", "\"seconds\":(?<redacted>\\d+)"),
        ];
        for (placeholder, pattern) in patterns {
            let pattern = Regex::new(pattern).expect("a regular expression");
            redactions.insert(placeholder, pattern)?;
        }
        Ok(redactions)
    }

    /// Returns the distribution and the paths of each invalidation that CloudFront accepted, in order.
    pub fn accepted(&self) -> Vec<(String, Vec<String>)> {
        let received = self.standin.invalidations().into_iter();
        let accepted = received.filter(|invalidation| invalidation.outcome.is_ok());
        let accepted = accepted.map(|invalidation| (invalidation.distribution, invalidation.paths));
        accepted.collect()
    }

    /// Returns how often the operation was called.
    pub fn count_calls(&self, operation: Operation) -> usize {
        let calls = self.standin.calls().into_iter();
        calls.filter(|call| *call == operation).count()
    }
}

/// Returns the operation and the status in a line of `--verbose` about a call. Parallel calls end in any order.
fn call(line: &str) -> Option<&str> {
    let (call, rest) = line.split_once(" after ")?;
    let is_call = call.contains(": ") && rest.contains(" ms");
    is_call.then_some(call)
}

/// The output and the exit code of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramOutput {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}
