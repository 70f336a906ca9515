//! The commands that only look, and `invoke`.

use std::process::Command;
use std::time::Duration;

use crate::bed::{APP, Bed, FIRST, account};
use crate::standin::{Clock, Operation, Options};

fn january() -> Options {
    Options {
        clock: Clock::frozen(),
        ..account()
    }
}

#[test]
fn lists_distributions() {
    let mut bed = Bed::new("distributions");
    bed.run("distributions");
    bed.run("distributions --output json");
    bed.snapshot("distributions");
}

#[test]
fn lists_invalidations_and_tells_how_far_they_are() {
    let mut bed = Bed::with("list", january());
    bed.run(&format!("list -d {FIRST}"));
    bed.run(&format!("status -d {FIRST}"));
    bed.run(&format!("create -d {FIRST} /a --no-checks --quiet"));
    bed.standin.advance(Duration::from_secs(60));
    bed.run(&format!(
        "create -d {FIRST} /1 /2 /3 /4 /5 /6 /7 --no-checks --quiet"
    ));
    bed.run(&format!("status -d {FIRST}"));
    bed.run("list -d www.example.com -d app.example.com");
    bed.run(&format!("list -d {FIRST} --max 1 --output json"));
    bed.standin.advance(Duration::from_secs(60));
    bed.run(&format!("status -d {FIRST} --output json"));
    bed.snapshot("list");
}

#[test]
fn reckons_a_month_and_remembers_what_is_finished() {
    let mut bed = Bed::with("usage", january());
    bed.run("usage --month 2026-01");
    bed.run(&format!("create -d {FIRST} /a /b --no-checks --quiet"));
    bed.standin.advance(Duration::from_secs(60));
    bed.run(&format!("create -d {FIRST} /* --no-checks --quiet"));
    bed.standin.advance(Duration::from_secs(24 * 3_600));
    let many: String = (0..1_000).map(|number| format!("/{number}\n")).collect();
    bed.feed(
        &format!("create -d {APP} --paths-from - --no-checks --quiet"),
        &many,
    );
    bed.standin.advance(Duration::from_secs(60));
    let first = bed.run("usage --month 2026-01");
    assert_eq!(bed.calls(Operation::GetInvalidation), 3);
    let again = bed.run("usage --month 2026-01");
    assert_eq!(first, again);
    assert_eq!(bed.calls(Operation::GetInvalidation), 3);
    bed.run("usage --month 2026-01 --output json");
    bed.snapshot("usage");
}

#[test]
fn runs_an_event_through_the_function() {
    let mut bed = Bed::new("invoke");
    let event = include_str!("../../events/s3-object-created.json");
    bed.write("event.json", event);
    bed.write("other.json", "{\"detail-type\": \"Scheduled Event\"}");
    bed.set("AWS_LAMBDA_LOG_LEVEL", "FATAL");
    let invoked = bed.run(&format!("invoke event.json -d {FIRST}"));
    assert_eq!(invoked.code, 1);
    let event = event.replace("example-site", "site");
    bed.write("event.json", &event);
    let invoked = bed.run(&format!("invoke event.json -d {FIRST}"));
    assert_eq!(invoked.code, 0, "{}", invoked.stderr);
    assert_eq!(bed.taken().len(), 1);
    assert_eq!(bed.run("invoke other.json").code, 1);
}

#[test]
fn writes_completions_and_help() {
    let mut bed = Bed::new("completions");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = bed.run(&format!("completions {shell}"));
        assert!(ran.code == 0 && ran.stdout.contains("from-s3-sync") && ran.stderr.is_empty());
    }
    let mut bed = Bed::new("help");
    bed.run("--help");
    bed.run("create --help");
    bed.snapshot("help");
}

/// Returns the packages that a build of the crate links, each once.
fn linked(features: &str) -> Vec<String> {
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
    let function = linked("");
    let command_line = linked("cli");
    for name in [
        "anstream",
        "aws-config",
        "clap",
        "comfy-table",
        "directories",
        "indicatif",
        "inquire",
        "toml",
    ] {
        assert!(command_line.iter().any(|linked| linked == name), "{name}");
        assert!(!function.iter().any(|linked| linked == name), "{name}");
    }
    for name in ["aws-lc-rs", "aws-lc-sys", "native-tls", "openssl-sys"] {
        assert!(!command_line.iter().any(|linked| linked == name), "{name}");
    }
}
