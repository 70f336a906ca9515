//! What the tests share: an account, an empty home, and snapshots.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{env, fs};

use crate::standin::{Operation, Options, Standin};

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_cf-invalidate");

/// The first distribution of the account: www.example.com, whose origin is the bucket `site`.
pub const FIRST: &str = "E1EXAMPLE1ABC";

/// The second: an S3 website, below the prefix `prod/` of the same bucket.
pub const WEBSITE: &str = "E2EXAMPLE1ABC";

/// The seventh: app.example.com, with the bucket `app`.
pub const APP: &str = "E7EXAMPLE1ABC";

macro_rules! document {
    ($name:literal) => {
        include_str!(concat!("../distributions/", $name, ".xml"))
    };
}

/// An account with seven distributions on two pages.
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
        .with_document(&config(FIRST), document!("legacy"))
        .with_document(&config(WEBSITE), document!("website"))
        .with_document(&config("E3EXAMPLE1ABC"), document!("disabled"))
        .with_document(&config("E5EXAMPLE1ABC"), document!("origin-groups"))
        .with_document(&config("E6EXAMPLE1ABC"), document!("bare"))
        .with_document(&config(APP), document!("single-page"))
        .with_document(
            "cache-policy/2766f7b2-75c5-41c6-8f06-bf4303a2f2f5",
            document!("cache-policy"),
        )
}

/// Somebody's machine and account.
pub struct Bed {
    pub standin: Standin,
    pub directory: PathBuf,
    pub variables: BTreeMap<String, String>,
    story: String,
}

impl Bed {
    /// Makes an empty home for the test with this name.
    pub fn new(name: &str) -> Self {
        Self::with(name, account())
    }

    pub fn with(name: &str, options: Options) -> Self {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join("cli")
            .join(name);
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).expect("a directory");
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
        Self {
            standin,
            directory,
            variables: variables.into(),
            story: String::new(),
        }
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.insert(name.to_owned(), value.to_owned());
    }

    pub fn unset(&mut self, name: &str) {
        self.variables.remove(name);
    }

    /// Writes a file below the home, which is the working directory as well.
    pub fn write(&self, name: &str, text: &str) {
        let file = self.directory.join(name);
        fs::create_dir_all(file.parent().expect("a directory")).expect("a directory");
        fs::write(file, text).expect("a file");
    }

    /// Runs a command line to its end; words are split at spaces.
    pub fn run(&mut self, line: &str) -> Ran {
        self.feed(line, "")
    }

    /// Runs a command line that reads this.
    pub fn feed(&mut self, line: &str, input: &str) -> Ran {
        let words: Vec<_> = line.split(' ').filter(|word| !word.is_empty()).collect();
        let mut command = Command::new(PROGRAM);
        command.args(&words);
        let ran = self.finish(command, input);
        self.tell(&format!("cf-invalidate {line}"), &ran);
        ran
    }

    /// Runs any program in this home.
    pub fn finish(&self, mut command: Command, input: &str) -> Ran {
        let mut child = command
            .env_clear()
            .envs(&self.variables)
            .current_dir(&self.directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a program that starts");
        // It may end without having read all.
        let _ = child
            .stdin
            .take()
            .expect("a pipe")
            .write_all(input.as_bytes());
        let output = child.wait_with_output().expect("an end");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        Ran {
            code: output.status.code().expect("a code"),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    pub fn tell(&mut self, line: &str, ran: &Ran) {
        self.story += &format!("$ {line}\n");
        for (name, text) in [("", &ran.stdout), ("2> ", &ran.stderr)] {
            text.lines()
                .for_each(|line| self.story += &format!("{name}{line}\n"));
        }
        self.story += &format!("exit {}\n\n", ran.code);
    }

    /// Compares all that was run since the last time with a snapshot.
    pub fn snapshot(&mut self, name: &str) {
        let told = std::mem::take(&mut self.story);
        let told = told.replace(&self.standin.url(), "http://standin");
        let told = told.replace(&*self.directory.to_string_lossy(), "~");
        let told = blank(&told, "cloudfront-invalidator-", |c| c.is_ascii_hexdigit());
        let told = blank(&told, "created 20", |c| {
            c.is_ascii_digit() || "-:TZ.".contains(c)
        });
        let told = blank(&told, "\"created\":\"20", |c| c != '"');
        let told = blank(&told, "fresh everywhere after ", |c| c.is_ascii_digit());
        let told = blank(&told, "is not completed after ", |c| c.is_ascii_digit());
        let told = blank(&told, "\"seconds\":", |c| c.is_ascii_digit());
        let told = blank(&told, "it was created ", |c| c.is_ascii_digit());
        let file = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/cli/snapshots")
            .join(format!("{name}.txt"));
        if env::var("UPDATE_SNAPSHOTS").is_ok_and(|set| set == "1") {
            fs::write(&file, &told).expect("a snapshot written");
        }
        let held = fs::read_to_string(&file).unwrap_or_default();
        assert!(
            held == told,
            "{} holds\n{held}\nbut this came\n{told}",
            file.display()
        );
    }

    /// Returns what CloudFront has taken: distribution and paths.
    pub fn taken(&self) -> Vec<(String, Vec<String>)> {
        let received = self.standin.invalidations().into_iter();
        let taken = received.filter(|one| one.outcome.is_ok());
        taken.map(|one| (one.distribution, one.paths)).collect()
    }

    pub fn calls(&self, operation: Operation) -> usize {
        let calls = self.standin.calls().into_iter();
        calls.filter(|call| *call == operation).count()
    }
}

/// What a program wrote, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// Blanks what stands behind a text, as far as it is of some characters.
fn blank(text: &str, behind: &str, of: impl Fn(char) -> bool) -> String {
    let mut parts = text.split(behind);
    let mut blanked = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(&of);
        blanked += behind;
        blanked += if rest.len() < part.len() { "…" } else { "" };
        blanked += rest;
    }
    blanked
}
