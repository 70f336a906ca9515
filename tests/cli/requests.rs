//! What a request of `create` is: its name, its paths as written, its repetitions; and that `plan` shows the same.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::environment::{APP, Environment, FIRST, ProgramOutput, WEBSITE, account};
use crate::standin::{Clock, Fault, Operation, Options, ReferenceReuse};

/// Returns an environment whose time only the test advances.
fn frozen(name: &str, reuse: ReferenceReuse) -> Environment {
    let options = Options {
        clock: Clock::frozen(),
        completes_after: Duration::ZERO,
        reuse,
        ..account()
    };
    Environment::with_options(name, options)
}

fn json(output: &ProgramOutput) -> Value {
    serde_json::from_str(&output.stdout).expect("JSON")
}

#[test]
fn a_repeated_reference_is_reported_as_already_submitted() {
    for reuse in [ReferenceReuse::Documented, ReferenceReuse::Observed] {
        let mut environment = frozen("requests-reuse", reuse);
        environment.write(
            "batch.json",
            r#"{"Paths": {"Quantity": 1, "Items": ["/b"]}, "CallerReference": "release 42"}"#,
        );
        let requests = [
            format!("create -d {FIRST} /a --reference release-42"),
            format!("create -d {FIRST} --batch batch.json"),
        ];
        for request in &requests {
            environment.run(request);
        }
        environment.standin.advance(Duration::from_secs(40));
        for request in &requests {
            environment.run(request);
            environment.run(&format!("{request} --wait"));
            let output = environment.run(&format!("{request} --output json"));
            let output = json(&output);
            assert_eq!(output["distributions"][0]["reused"], json!(true));
            assert_eq!(output["path_count"], json!(0));
            assert_eq!(output["planned_path_count"], json!(1));
        }
        environment.standin.advance(Duration::from_secs(15 * 60));
        for request in &requests {
            environment.run(request);
        }
        environment.run(&format!("create -d {FIRST} /c --reference release-42"));
        environment.write(
            "batch.json",
            r#"{"Paths": {"Quantity": 1, "Items": ["/c"]}, "CallerReference": "release 42"}"#,
        );
        environment.run(&requests[1]);
        environment.snapshot("requests-reuse");
        let received = environment.standin.invalidations().into_iter();
        let created: BTreeSet<_> = received.filter_map(|batch| batch.outcome.ok()).collect();
        assert_eq!(created.len(), 3, "{reuse:?}");
    }
}

#[test]
fn a_reference_starts_with_its_name_and_repeats_only_the_same_paths() {
    let mut environment = frozen("requests-name", ReferenceReuse::Observed);
    environment.run(&format!(
        "create -d {FIRST} -d {APP} /a --reference release-42"
    ));
    environment.run(&format!("create -d {FIRST} /b --reference release-42"));
    let received = environment.standin.invalidations();
    let references: Vec<_> = received.iter().map(|batch| &*batch.reference).collect();
    assert!(
        references
            .iter()
            .all(|reference| reference.starts_with("release-42-"))
    );
    let mut distinct = references.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), 3, "{references:?}");
}

#[test]
fn again_repeats_an_invalidation_under_a_new_reference() {
    let mut environment = frozen("requests-again", ReferenceReuse::Observed);
    environment.run(&format!("create -d {APP} /a /b/* --reference release-42"));
    environment.standin.advance(Duration::from_secs(3_600));
    let first = environment.standin.invalidations()[0].clone();
    let id = first.outcome.clone().expect("an id");
    environment.run(&format!("create -d {FIRST} -d {APP} --again {id}"));
    environment.run(&format!("plan -d {FIRST} -d {APP} --again {id}"));
    environment.run(&format!("create -d {FIRST} --again {id}"));
    environment.run(&format!("create -d {FIRST} --again {id} /c"));
    let paths = vec!["/a".to_owned(), "/b/*".to_owned()];
    assert_eq!(
        environment.accepted(),
        [(APP.to_owned(), paths.clone()), (APP.to_owned(), paths)]
    );
    let received = environment.standin.invalidations();
    assert_ne!(received[0].reference, received[1].reference);
    environment.snapshot("requests-again");
}

#[test]
fn plan_prints_what_a_dry_run_prints() {
    let mut environment = Environment::new("requests-plan");
    environment.write("keys.txt", "prod/index.html\nprod/a.css\n");
    environment.write("batch.json", r#"{"Paths": {"Items": ["/a", "/b*"]}}"#);
    environment.write(
        "cf-invalidate.toml",
        "[sites.www]\ndistribution = 'www.example.com'\npaths = ['/index.html']\n",
    );
    for arguments in [
        format!("-d {FIRST} /a /b/*"),
        "/a".to_owned(),
        String::new(),
        format!("-d {WEBSITE} --keys-from keys.txt"),
        format!("-d {WEBSITE} --keys-from keys.txt --literal-keys"),
        format!("-d {APP} -d www.example.com --batch batch.json"),
        format!("-d {APP} -d app.example.com -d {APP} /a"),
        format!("-d {WEBSITE} #a"),
        "-d E1EXAMPLE1ABD /a".to_owned(),
        "-d ww.example.com /a".to_owned(),
        format!("-d {FIRST} -d E9EXAMPLE1ABC /a"),
        format!("-d {FIRST} /a --wait --reference r --retry=0s --yes"),
    ] {
        for format in ["", "--output json"] {
            let plan = environment.run(&format!("plan {arguments} {format}"));
            let line = format!("create {arguments} --dry-run {format}");
            let words: Vec<_> = line.split_whitespace().collect();
            let mut command = std::process::Command::new(crate::environment::PROGRAM);
            command.args(words);
            let dry_run = environment.run_program(command, "");
            assert_eq!(plan, dry_run, "{arguments}");
        }
    }
    assert_eq!(environment.standin.invalidations(), []);
    environment.snapshot("requests-plan");
}

#[test]
fn offline_makes_no_call_and_refuses_what_needs_one() {
    let mut environment = Environment::new("requests-offline");
    environment.write("keys.txt", "index.html\n");
    environment.run(&format!("plan --offline -d {FIRST} /a"));
    environment.run(&format!("plan --offline -d {FIRST} -d {FIRST} /a"));
    environment.run("plan --offline --keys-from keys.txt");
    environment.run("plan --literal-keys --keys-from keys.txt");
    environment.run("create --dry-run --literal-keys --keys-from keys.txt");
    environment.run("plan --offline -d blog /a");
    environment.run("plan --offline");
    environment.run("plan --offline --again I1EXAMPLE");
    environment.run("plan --offline --takedown /a");
    assert_eq!(environment.standin.calls(), []);
    environment.snapshot("requests-offline");
}

#[test]
fn written_paths_are_sent_as_they_are_or_refused() {
    let mut environment = Environment::new("requests-limits");
    let lines = |count: usize, end: &str| -> String {
        (0..count)
            .map(|number| format!("/{number}{end}\n"))
            .collect()
    };
    environment.write("paths-3001.txt", &lines(3_001, ""));
    environment.write("wildcards-16.txt", &lines(16, "/*"));
    environment.write("wildcards-15.txt", &lines(15, "/*"));
    let items: Vec<_> = (0..16).map(|number| format!("/{number}/*")).collect();
    environment.write(
        "batch.json",
        &json!({"Paths": {"Items": items}}).to_string(),
    );
    environment.write("keys.txt", "a+b.html\n");
    environment.write(
        "cf-invalidate.toml",
        "[sites.www]\ndistribution = 'www.example.com'\nmax_paths = 2\n",
    );
    for command in ["create", "plan"] {
        environment.run(&format!("{command} -d {APP} --paths-from paths-3001.txt"));
        environment.run(&format!("{command} -d {APP} --paths-from wildcards-16.txt"));
        environment.run(&format!("{command} -d {APP} --batch batch.json"));
        environment.run(&format!("{command} -d {APP} /a /b /c --max-paths 2"));
        environment.run(&format!("{command} -d {APP} /a/* /b/* --max-wildcards 1"));
        environment.run(&format!("{command} -d www /a /b /c"));
        environment.run(&format!(
            "{command} -d {APP} --paths-from wildcards-15.txt --keys-from keys.txt --literal-keys --bucket app"
        ));
    }
    assert_eq!(environment.accepted(), []);
    environment.run(&format!("create -d {APP} --paths-from wildcards-15.txt"));
    let mut written: Vec<_> = (0..15).map(|number| format!("/{number}/*")).collect();
    written.sort_unstable();
    assert_eq!(environment.accepted(), [(APP.to_owned(), written)]);
    environment.snapshot("requests-limits");
}

#[test]
fn a_busy_cloudfront_is_called_again() {
    let mut environment = Environment::new("requests-retry");
    let operation = Operation::CreateInvalidation;
    let fault = Fault::TooManyInvalidationsInProgress;
    environment.standin.fail(operation, fault, 1);
    environment.run(&format!("create -d {FIRST} /a --retry=5m"));
    environment.standin.fail(operation, fault, 1);
    environment.run(&format!("create -d {FIRST} /b"));
    environment.standin.fail(operation, fault, 1);
    environment.run(&format!("create -d {FIRST} /c --retry=0s"));
    let paths = |path: &str| (FIRST.to_owned(), vec![path.to_owned()]);
    assert_eq!(environment.accepted(), [paths("/a"), paths("/b")]);
    // A retry is the same request, so it cannot be billed twice.
    let received = environment.standin.invalidations();
    assert_eq!(received[0].reference, received[1].reference);
    environment.snapshot("requests-retry");
}

#[test]
fn path_count_counts_what_was_accepted() {
    let mut environment = Environment::new("requests-count");
    environment.standin.refuse_paths(&["/refused"]);
    for (line, counts) in [
        (format!("create -d {FIRST} -d {APP} /a /b"), (4, 4)),
        (format!("create -d {FIRST} /refused /b"), (0, 2)),
        (format!("create -d {FIRST} -d E9EXAMPLE1ABC /a /b"), (2, 4)),
        (format!("create -d {FIRST} /a /b --dry-run"), (0, 2)),
        (format!("plan -d {FIRST} /a /b"), (0, 2)),
    ] {
        let output = environment.run(&format!("{line} --output json"));
        let output = json(&output);
        let expected = (json!(counts.0), json!(counts.1));
        let actual = (
            output["path_count"].clone(),
            output["planned_path_count"].clone(),
        );
        assert_eq!(actual, expected, "{line}");
    }
}
