//! The commands that only read, `invoke`, the help and the linked packages.

use std::process::Command;
use std::time::Duration;

use crate::environment::{APP, Environment, FIRST, account};
use crate::standin::{Clock, Operation, Options};

/// The account, with a frozen clock that starts on 1 January 2026.
fn january() -> Options {
    Options {
        clock: Clock::frozen(),
        ..account()
    }
}

#[test]
fn lists_distributions() {
    let mut environment = Environment::new("distributions");
    environment.run("distributions");
    environment.run("distributions --output json");
    environment.snapshot("distributions");
}

#[test]
fn lists_invalidations_and_their_status() {
    let mut environment = Environment::with_options("list", january());
    environment.run(&format!("list -d {FIRST}"));
    environment.run(&format!("status -d {FIRST}"));
    environment.run(&format!("create -d {FIRST} /a --no-checks --quiet"));
    environment.standin.advance(Duration::from_secs(60));
    environment.run(&format!(
        "create -d {FIRST} /1 /2 /3 /4 /5 /6 /7 --no-checks --quiet"
    ));
    environment.run(&format!("status -d {FIRST}"));
    environment.run("list -d www.example.com -d app.example.com");
    environment.run(&format!("list -d {FIRST} --max 1 --output json"));
    environment.standin.advance(Duration::from_secs(60));
    environment.run(&format!("status -d {FIRST} --output json"));
    environment.snapshot("list");
}

#[test]
fn sums_up_a_month_and_caches_completed_invalidations() {
    let mut environment = Environment::with_options("usage", january());
    environment.run("usage --month 2026-01");
    environment.run(&format!("create -d {FIRST} /a /b --no-checks --quiet"));
    environment.standin.advance(Duration::from_secs(60));
    environment.run(&format!("create -d {FIRST} /* --no-checks --quiet"));
    environment.standin.advance(Duration::from_secs(24 * 3_600));
    let paths: String = (0..1_000).map(|number| format!("/{number}\n")).collect();
    environment.run_with_input(
        &format!("create -d {APP} --paths-from - --no-checks --quiet"),
        &paths,
    );
    environment.standin.advance(Duration::from_secs(60));
    let first = environment.run("usage --month 2026-01");
    assert_eq!(environment.count_calls(Operation::GetInvalidation), 3);
    let again = environment.run("usage --month 2026-01");
    assert_eq!(first, again);
    assert_eq!(environment.count_calls(Operation::GetInvalidation), 3);
    environment.run("usage --month 2026-01 --output json");
    environment.snapshot("usage");
}

#[test]
fn runs_an_event_through_the_function() {
    let mut environment = Environment::new("invoke");
    let event = include_str!("../../events/s3-object-created.json");
    environment.write("event.json", event);
    environment.write("other.json", "{\"detail-type\": \"Scheduled Event\"}");
    environment.set("AWS_LAMBDA_LOG_LEVEL", "FATAL");
    let invoked = environment.run(&format!("invoke event.json -d {FIRST}"));
    assert_eq!(invoked.code, 1);
    let event = event.replace("example-site", "site");
    environment.write("event.json", &event);
    let invoked = environment.run(&format!("invoke event.json -d {FIRST}"));
    assert_eq!(invoked.code, 0, "{}", invoked.stderr);
    assert_eq!(environment.accepted().len(), 1);
    assert_eq!(environment.run("invoke other.json").code, 1);
}

#[test]
fn writes_completions_and_help() {
    let mut environment = Environment::new("completions");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = environment.run(&format!("completions {shell}"));
        assert_eq!(output.code, 0, "{shell}");
        assert!(output.stdout.contains("from-s3-sync"), "{shell}");
        assert_eq!(output.stderr, "", "{shell}");
    }
    let mut environment = Environment::new("help");
    environment.run("--help");
    environment.run("create --help");
    environment.snapshot("help");
}

/// Returns the packages that the crate links with these features, each once.
fn linked_packages(features: &str) -> Vec<String> {
    let mut command = Command::new(env!("CARGO"));
    command.args([
        "tree",
        "--offline",
        "--locked",
        "--edges",
        "normal",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ]);
    command
        .args(["--features", features])
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = command.output().expect("cargo");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let names = text.lines().filter_map(|line| line.split(' ').next());
    let mut names: Vec<_> = names.map(str::to_owned).collect();
    names.sort();
    names.dedup();
    names
}

#[test]
fn the_function_links_nothing_of_the_command_line() {
    let function = linked_packages("");
    let command_line = linked_packages("cli");
    for name in [
        "anstream",
        "aws-config",
        "clap",
        "comfy-table",
        "etcetera",
        "indicatif",
        "inquire",
        "toml",
    ] {
        assert!(command_line.iter().any(|package| package == name), "{name}");
        assert!(!function.iter().any(|package| package == name), "{name}");
    }
    for name in ["aws-lc-rs", "aws-lc-sys", "native-tls", "openssl-sys"] {
        assert!(
            !command_line.iter().any(|package| package == name),
            "{name}"
        );
    }
}
