//! How the program ends: each row of the table of exit codes, write errors, closed pipes and Ctrl-C.

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::environment::{Environment, FIRST, PROGRAM, ProgramOutput, WEBSITE, account};
use crate::schema::assert_valid;
use crate::standin::{Fault, Operation, Options};

/// How long a call can take to arrive.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// More than the attempts of the SDK.
const ALWAYS: u64 = 9;

/// Returns an account whose invalidations stay in progress.
fn in_progress() -> Options {
    Options {
        completes_after: Duration::from_secs(3_600),
        ..account()
    }
}

/// Runs a line of the shell, in which `$cf` is the program.
fn shell(environment: &Environment, line: &str) -> ProgramOutput {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("cf='{PROGRAM}'; {line}")]);
    environment.run_program(command, "")
}

/// Starts the program, and returns it when the stand-in has received a call of the operation.
pub fn start_until(environment: &Environment, line: &str, operation: Operation) -> Child {
    let program = Command::new(PROGRAM)
        .args(line.split(' '))
        .env_clear()
        .envs(&environment.variables)
        .current_dir(&environment.directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a program that starts");
    let started = Instant::now();
    while environment.count_calls(operation) == 0 {
        assert!(started.elapsed() < MAX_WAIT, "no {operation:?}");
        thread::sleep(Duration::from_millis(20));
    }
    program
}

pub fn interrupt(program: &Child) {
    let killed = Command::new("kill")
        .args(["-INT", &program.id().to_string()])
        .status();
    assert!(killed.expect("kill").success());
}

#[test]
fn each_mistake_has_the_exit_code_of_the_table() {
    let mut environment = Environment::new("endings-codes");
    let long = "a".repeat(61);
    for line in [
        "list --endpoint-url localhost:4566",
        "list --endpoint-url ftp://127.0.0.1",
        "list --endpoint-url http://",
        &format!("create -d {FIRST} /a --reference="),
        &format!("create -d {FIRST} /a --reference {long}"),
        &format!("create -d {FIRST} /a --reference caf\u{e9}"),
        "list --max 0",
        "--no-such-option",
    ] {
        let output = environment.run(line);
        assert_eq!(output.code, 2, "{line}: {}", output.stderr);
        assert_eq!(output.stdout, "", "{line}");
    }
    let nothing = shell(&environment, "$cf");
    assert_eq!((nothing.code, nothing.stdout.as_str()), (2, ""));
    let spaced = shell(
        &environment,
        &format!("$cf create -d {FIRST} /a --reference 'release 42'"),
    );
    assert_eq!(spaced.code, 2, "{}", spaced.stderr);
    let endpoint = environment.variables["AWS_ENDPOINT_URL"].clone();
    environment.set("AWS_ENDPOINT_URL", "localhost:4566");
    assert_eq!(environment.run(&format!("list -d {FIRST}")).code, 2);
    environment.set("AWS_ENDPOINT_URL", &endpoint);
    environment.set("AWS_ENDPOINT_URL_CLOUDFRONT", "cloudfront.local");
    assert_eq!(environment.run(&format!("list -d {FIRST}")).code, 2);
    // The SDK panics if it is empty.
    environment.set("AWS_ENDPOINT_URL_CLOUDFRONT", "");
    assert_eq!(environment.run(&format!("list -d {FIRST}")).code, 2);
    environment.set("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true");
    let endpoint_option = format!("list -d {FIRST} --endpoint-url {endpoint}");
    assert_eq!(environment.run(&endpoint_option).code, 0);
    assert_eq!(environment.accepted(), []);
    environment.snapshot("endings-codes");
}

#[test]
fn a_malformed_endpoint_of_the_profile_is_2() {
    let mut environment = Environment::new("endings-profile-endpoint");
    environment.unset("AWS_ENDPOINT_URL");
    environment.write(
        ".aws/config",
        "[profile local]\nendpoint_url = localhost:4566\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = s\n",
    );
    let output = environment.run(&format!("list -d {FIRST} --profile local"));
    assert_eq!(output.code, 2, "{}", output.stderr);
    environment.snapshot("endings-profile-endpoint");
}

#[test]
fn rejected_credentials_and_denied_calls_are_5() {
    let mut environment = Environment::new("endings-5");
    for fault in [
        Fault::InvalidClientTokenId,
        Fault::SignatureDoesNotMatch,
        Fault::ExpiredToken,
        Fault::AccessDenied,
        Fault::ExplicitDenyByScp,
    ] {
        environment
            .standin
            .fail(Operation::CreateInvalidation, fault, 1);
        let output = environment.run(&format!("create -d {FIRST} /a --no-checks"));
        assert_eq!(output.code, 5, "{fault:?}: {}", output.stderr);
        environment
            .standin
            .fail(Operation::ListInvalidations, fault, 1);
        let output = environment.run(&format!("list -d {FIRST}"));
        assert_eq!(output.code, 5, "{fault:?}: {}", output.stderr);
    }
    assert_eq!(environment.accepted(), []);
}

#[test]
fn ctrl_c_during_the_wait_is_130_and_prints_that_the_invalidation_continues() {
    for (name, wait) in [
        ("create", format!("create -d {FIRST} /a --no-checks --wait")),
        ("status", format!("status -d {FIRST} --wait")),
    ] {
        let mut environment =
            Environment::with_options(&format!("endings-ctrl-c-{name}"), in_progress());
        if name == "status" {
            let created = environment.run(&format!("create -d {FIRST} /a --no-checks"));
            assert_eq!(created.code, 0);
        }
        let line = format!("{wait} --output json");
        let program = start_until(&environment, &line, Operation::GetInvalidation);
        if name == "status" {
            // The first GetInvalidation reads the status; the second one is a poll.
            let started = Instant::now();
            while environment.count_calls(Operation::GetInvalidation) < 2 {
                assert!(started.elapsed() < MAX_WAIT);
                thread::sleep(Duration::from_millis(20));
            }
        }
        interrupt(&program);
        let output = program.wait_with_output().expect("an end");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(130), "{stderr}");
        let (_, id) = stderr
            .split_once("stopped waiting; ")
            .expect("the invalidation");
        let id = id.split(' ').next().expect("an id");
        let expected = format!(
            "error: {FIRST}: stopped waiting; {id} was submitted, and CloudFront still completes it; check it with \
             `cf-invalidate status -d {FIRST} {id}`\n"
        );
        assert_eq!(stderr, expected);
        let written = ProgramOutput {
            code: 130,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: stderr.into_owned(),
        };
        assert_valid(&[name], &written);
    }
}

#[test]
fn ctrl_c_at_another_moment_ends_the_program_as_usual() {
    let environment = Environment::new("endings-ctrl-c-early");
    environment
        .standin
        .fail(Operation::ListInvalidations, Fault::Hang, ALWAYS);
    let line = format!("list -d {FIRST}");
    let program = start_until(&environment, &line, Operation::ListInvalidations);
    interrupt(&program);
    let output = program.wait_with_output().expect("an end");
    assert_eq!(output.status.signal(), Some(2));
}

#[test]
fn ctrl_c_while_sending_prints_how_to_find_the_request() {
    let environment = Environment::new("endings-ctrl-c-sending");
    for takedown in ["", " --takedown"] {
        environment.standin.reset();
        environment
            .standin
            .fail(Operation::CreateInvalidation, Fault::Hang, ALWAYS);
        let line = format!("create -d {FIRST} /a{takedown}");
        let program = start_until(&environment, &line, Operation::CreateInvalidation);
        interrupt(&program);
        let output = program.wait_with_output().expect("an end");
        assert_eq!(output.status.code(), Some(130), "{line}");
        let stderr = String::from_utf8_lossy(&output.stderr);
        let check = format!(
            "stopped while sending; if CloudFront got the request, `cf-invalidate list -d {FIRST}` shows it\n"
        );
        assert!(stderr.ends_with(&check), "{stderr}");
    }
}

#[test]
fn an_output_that_cannot_be_written_is_1_and_reported_once() {
    let mut environment = Environment::new("endings-dev-full");
    let created = environment.run(&format!("create -d {FIRST} /a --no-checks"));
    assert_eq!(created.code, 0);
    let message =
        "error: could not write to standard output: No space left on device (os error 28)";
    for line in [
        format!("list -d {FIRST}"),
        format!("list -d {FIRST} -d {WEBSITE} --output json"),
        format!("status -d {FIRST}"),
        "distributions".to_owned(),
        "plan --offline /a".to_owned(),
        "--help".to_owned(),
        "create --help".to_owned(),
        "--version".to_owned(),
        "completions bash".to_owned(),
        "completions powershell".to_owned(),
    ] {
        let output = shell(&environment, &format!("$cf {line} > /dev/full"));
        assert_eq!(output.code, 1, "{line}: {}", output.stderr);
        assert_eq!(output.stderr, format!("{message}\n"), "{line}");
    }
    for json in ["", " --output json", " --wait", " --quiet --output json"] {
        let line = format!("$cf create -d {FIRST} -d {WEBSITE} /a --no-checks{json} > /dev/full");
        let output = shell(&environment, &line);
        assert_eq!(output.code, 1, "{json}: {}", output.stderr);
        let received = environment.standin.invalidations();
        let ids = [FIRST, WEBSITE].map(|distribution| {
            let mut newest = received.iter().rev();
            let newest = newest.find(|invalidation| invalidation.distribution == distribution);
            let newest = newest.expect("an invalidation");
            newest.outcome.clone().expect("an id")
        });
        assert_eq!(
            output.stderr,
            format!(
                "{message}; {FIRST}: submitted as {} (1 path: /a); {WEBSITE}: submitted as {} (1 path: /a)\n",
                ids[0], ids[1]
            ),
            "{json}"
        );
    }
    // Without anything to print, nothing fails.
    let line = format!("$cf create -d {FIRST} /a --no-checks --quiet > /dev/full");
    let output = shell(&environment, &line);
    assert_eq!((output.code, output.stderr.as_str()), (0, ""));
    // An error keeps its exit code.
    let output = shell(&environment, "$cf crate --output json > /dev/full");
    assert_eq!(output.code, 2, "{}", output.stderr);
}

#[test]
fn a_closed_pipe_or_a_closed_output_ends_quietly() {
    let mut environment = Environment::new("endings-closed");
    let created = environment.run(&format!("create -d {FIRST} /a --no-checks"));
    assert_eq!(created.code, 0);
    for line in [
        format!("list -d {FIRST}"),
        format!("list -d {FIRST} --output json"),
        format!("create -d {FIRST} /a --no-checks"),
        "distributions".to_owned(),
        "--help".to_owned(),
        "--version".to_owned(),
        "completions bash".to_owned(),
    ] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = Command::new(PROGRAM)
            .args(line.split(' '))
            .env_clear()
            .envs(&environment.variables)
            .current_dir(&environment.directory)
            .stdout(writer)
            .output()
            .expect("a program that starts");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), &*stderr), (Some(0), ""), "{line}");
        let output = shell(&environment, &format!("$cf {line} | head -1"));
        assert_eq!((output.code, output.stderr.as_str()), (0, ""), "{line}");
        let output = shell(&environment, &format!("$cf {line} >&-"));
        assert_eq!((output.code, output.stderr.as_str()), (0, ""), "{line}");
    }
}

#[test]
fn an_error_that_cannot_be_printed_keeps_its_exit_code() {
    let environment = Environment::new("endings-stderr");
    for (line, code) in [
        (format!("create -d {FIRST} /*/a"), 2),
        (format!("create -d {FIRST} /a --wait=soon"), 2),
        (format!("status -d {FIRST} INONE -vv"), 1),
        (format!("create -d {FIRST} /a -v --wait"), 0),
        ("invoke missing.json".to_owned(), 2),
    ] {
        for redirection in ["2>/dev/full", "2>&-"] {
            let output = shell(&environment, &format!("$cf {line} {redirection}"));
            assert_eq!(output.code, code, "{line} {redirection}");
        }
    }
}
