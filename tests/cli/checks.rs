//! The checks of `create`, `usage`, and the completed invalidations that both store on disk.

use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::environment::{APP, Environment, FIRST, PROGRAM, WEBSITE, account};
use crate::standin::{Clock, Fault, Operation, Options};

/// The account with responses that take so long that parallel calls overlap.
fn slow() -> Options {
    Options {
        latency: Duration::from_millis(250),
        completes_after: Duration::ZERO,
        ..account()
    }
}

/// Returns the files below the cache directory, sorted.
fn cached_files(environment: &Environment) -> Vec<String> {
    let root = environment.directory.join(".cache/cf-invalidate");
    let mut directories = vec![root.clone()];
    let mut files = Vec::new();
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(&directory).into_iter().flatten() {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                directories.push(path);
            } else {
                let relative = path.strip_prefix(&root).expect("a file of the cache");
                files.push(relative.display().to_string());
            }
        }
    }
    files.sort();
    files
}

/// Returns how many invalidations all files of the cache have.
fn stored_invalidations(environment: &Environment) -> usize {
    let root = environment.directory.join(".cache/cf-invalidate");
    let texts = cached_files(environment)
        .into_iter()
        .map(|file| std::fs::read_to_string(root.join(file)).expect("a file"));
    let counts = texts.map(|text| text.lines().filter(|line| !line.is_empty()).count());
    counts.sum()
}

#[test]
fn the_checks_and_usage_read_all_distributions_at_the_same_time() {
    let mut environment = Environment::with_options("checks-parallel", slow());
    environment.run(&format!("create -d {FIRST} -d {APP} /a --no-checks"));
    let before = environment.standin.round_trips();
    let usage = environment.run("usage");
    assert!(
        usage.stdout.contains("2 of 1,000 free paths used"),
        "{}",
        usage.stdout
    );
    // Two pages of distributions, their invalidations, and the paths of those.
    assert_eq!(environment.standin.round_trips() - before, 4);
    let before = environment.standin.round_trips();
    let created = environment.run(&format!(
        "create -d {FIRST} -d {APP} -d {WEBSITE} /b --checks"
    ));
    assert_eq!(created.code, 0, "{}", created.stderr);
    // Two pages of distributions, next to the recent invalidations of those that are named; the invalidations of all;
    // the new ones.
    assert_eq!(environment.standin.round_trips() - before, 4);
}

#[test]
fn what_is_read_is_kept_if_the_program_is_stopped() {
    let options = Options {
        completes_after: Duration::ZERO,
        ..account()
    };
    let mut environment = Environment::with_options("checks-stopped", options);
    for path in ["/1", "/2", "/3", "/4"] {
        environment.run(&format!("create -d {FIRST} {path} --no-checks --quiet"));
    }
    environment
        .standin
        .fail(Operation::GetInvalidation, Fault::Hang, 1);
    let mut program = Command::new(PROGRAM)
        .arg("usage")
        .env_clear()
        .envs(&environment.variables)
        .current_dir(&environment.directory)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a program that starts");
    let started = Instant::now();
    while stored_invalidations(&environment) < 3 {
        assert!(started.elapsed() < Duration::from_secs(30), "3 are stored");
        thread::sleep(Duration::from_millis(20));
    }
    program.kill().expect("a program that runs");
    program.wait().expect("an end");
    let usage = environment.run("usage");
    assert!(
        usage.stdout.contains("4 of 1,000 free paths used"),
        "{}",
        usage.stdout
    );
    assert_eq!(environment.count_calls(Operation::GetInvalidation), 5);
}

#[test]
fn each_endpoint_and_account_has_a_cache_of_its_own() {
    let january = || Options {
        clock: Clock::frozen(),
        completes_after: Duration::ZERO,
        ..account()
    };
    let mut first = Environment::with_options("checks-cache", january());
    let mut second = Environment::with_options("checks-cache-other-endpoint", january());
    // The ids are the same in both accounts, the paths are not.
    first.run(&format!("create -d {FIRST} /a --no-checks"));
    second.run(&format!("create -d {FIRST} /a /b --no-checks"));
    second.set("HOME", &first.variables["HOME"]);
    let used = |environment: &mut Environment| {
        let usage = environment.run("usage --month 2026-01");
        let (used, _) = usage.stdout.split_once(" of ").expect("a sum");
        used.to_owned()
    };
    assert_eq!(used(&mut first), "2026-01: 1");
    assert_eq!(used(&mut second), "2026-01: 2");
    first.set("AWS_ACCOUNT_ID", "111122223333");
    assert_eq!(used(&mut first), "2026-01: 1");
    // A file of an earlier version.
    let received = first.standin.invalidations();
    let id = received[0].outcome.as_ref().expect("an id");
    let stored = format!(
        "{{\"{id}\": {{\"id\": \"{id}\", \"created\": \"2026-01-01T00:00:00Z\", \
         \"status\": \"Completed\", \"reference\": \"r\", \"paths\": []}}}}"
    );
    first.write(&format!(".cache/cf-invalidate/{FIRST}.json"), &stored);
    assert_eq!(used(&mut first), "2026-01: 1");
    assert_eq!(first.count_calls(Operation::GetInvalidation), 2);
    assert_eq!(second.count_calls(Operation::GetInvalidation), 1);
    let name = |environment: &Environment| {
        let url = environment.standin.url();
        url.trim_start_matches("http://").replace(':', "%3A")
    };
    let mut expected = vec![
        format!("{FIRST}.json"),
        format!("{}/111122223333/{FIRST}.jsonl", name(&first)),
        format!("{}/{FIRST}.jsonl", name(&first)),
        format!("{}/{FIRST}.jsonl", name(&second)),
    ];
    expected.sort();
    assert_eq!(cached_files(&first), expected);
}

#[test]
fn a_line_of_the_cache_that_is_not_complete_is_read_again() {
    let options = Options {
        completes_after: Duration::ZERO,
        ..account()
    };
    let mut environment = Environment::with_options("checks-torn", options);
    environment.run(&format!("create -d {FIRST} /1 --no-checks --quiet"));
    environment.run(&format!("create -d {FIRST} /2 --no-checks --quiet"));
    let first = environment.run("usage");
    let [file] = &cached_files(&environment)[..] else {
        panic!("one file");
    };
    let file = environment
        .directory
        .join(".cache/cf-invalidate")
        .join(file);
    let text = std::fs::read_to_string(&file).expect("the file");
    std::fs::write(&file, &text[..text.len() - 10]).expect("a file");
    for calls in [3, 3] {
        let again = environment.run("usage");
        assert_eq!(again, first);
        assert_eq!(environment.count_calls(Operation::GetInvalidation), calls);
    }
}

#[test]
fn the_oldest_invalidations_of_a_full_cache_are_dropped() {
    let mut environment = Environment::new("checks-full");
    environment.run(&format!("create -d {FIRST} /1 --no-checks --quiet"));
    let host = environment.standin.url().replace("http://", "");
    let file = format!(
        ".cache/cf-invalidate/{}/{FIRST}.jsonl",
        host.replace(':', "%3A")
    );
    let lines: String = (0..10_003)
        .map(|number| {
            format!(
                "{{\"id\":\"I{number}\",\"created\":\"{}-01-01T00:00:00Z\",\"status\":\"Completed\",\
                 \"reference\":\"r\",\"paths\":[]}}\n\n",
                if number < 3 { 2024 } else { 2025 }
            )
        })
        .collect();
    environment.write(&file, &lines);
    assert_eq!(environment.run("usage").code, 0);
    let text = std::fs::read_to_string(environment.directory.join(&file)).expect("the file");
    assert_eq!(stored_invalidations(&environment), 10_000);
    assert!(!text.contains("\"2024-"), "the oldest are stored");
}

#[test]
fn without_a_terminal_the_checks_run_only_if_requested() {
    let mut environment = Environment::new("checks-no-terminal");
    environment.run(&format!("create -d {FIRST} /a -v"));
    environment.run(&format!("create -d {FIRST} /a --no-checks -v"));
    environment.run(&format!("create -d {FIRST} /a --dry-run -v"));
    // A dry run checks that the distribution exists.
    let calls = [
        Operation::CreateInvalidation,
        Operation::CreateInvalidation,
        Operation::GetDistributionConfig,
    ];
    assert_eq!(environment.standin.calls(), calls);
    environment.run(&format!("create -d {FIRST} /a --checks"));
    environment.run(&format!("create -d {FIRST} /a --checks --no-checks"));
    environment.snapshot("checks-no-terminal");
}
