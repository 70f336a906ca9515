//! `--quiet`, `--verbose`, and how much of a long list a text contains.

use serde_json::Value;

use crate::environment::{APP, Environment, FIRST, account};
use crate::standin::{Fault, Operation, Options};

/// More than the attempts of the SDK.
const ALWAYS: u64 = 9;

#[test]
fn quiet_keeps_the_output_of_commands_whose_purpose_is_output() {
    let options = Options {
        completes_after: std::time::Duration::ZERO,
        ..account()
    };
    let mut environment = Environment::with_options("quiet", options);
    let created = environment.run(&format!("create -d {FIRST} /a /b --no-checks"));
    assert_eq!(created.code, 0);
    for line in [
        format!("list -d {FIRST}"),
        format!("status -d {FIRST}"),
        format!("status -d {FIRST} --wait"),
        format!("plan -d {FIRST} /a"),
        format!("create -d {FIRST} /a --dry-run --no-checks"),
        "usage".to_owned(),
        "distributions".to_owned(),
    ] {
        let usual = environment.run(&line);
        assert_eq!(usual.code, 0, "{line}: {}", usual.stderr);
        assert_ne!(usual.stdout, "", "{line}");
        let quiet = environment.run(&format!("{line} --quiet"));
        assert_eq!((quiet.code, quiet.stderr.as_str()), (0, ""), "{line}");
        assert_eq!(quiet.stdout, usual.stdout, "{line}");
    }
}

#[test]
fn quiet_create_prints_nothing_but_json_and_errors() {
    let mut environment = Environment::new("quiet-create");
    for line in [
        format!("create -d {FIRST} /a --quiet"),
        format!("create -d {FIRST} /b --quiet --wait"),
        format!("create -d {FIRST} --paths-from - --quiet"),
    ] {
        let output = environment.run(&line);
        let written = (output.code, output.stdout.as_str(), output.stderr.as_str());
        assert_eq!(written, (0, "", ""), "{line}");
    }
    let json = environment.run(&format!("create -d {FIRST} /c -q --output json"));
    let object: Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!(object["distributions"][0]["paths"][0], "/c");
    assert_eq!(json.stderr, "");
    let failed = environment.run("create -d E9EXAMPLE1ABC /a -q --no-checks");
    assert_eq!((failed.code, failed.stdout.as_str()), (1, ""));
    assert!(failed.stderr.starts_with("error: "), "{}", failed.stderr);
}

#[test]
fn verbose_prints_each_call_with_its_request_id() {
    let mut environment = Environment::new("verbose");
    let fail = |environment: &Environment, fault, calls| {
        environment
            .standin
            .fail(Operation::CreateInvalidation, fault, calls);
    };
    let create = format!("create -d {FIRST} /a --no-checks -v");
    let mut outputs = vec![environment.run(&create)];
    fail(&environment, Fault::InternalError, 1);
    outputs.push(environment.run(&create));
    for fault in [Fault::AccessDenied, Fault::InvalidClientTokenId] {
        fail(&environment, fault, 1);
        outputs.push(environment.run(&create));
    }
    fail(&environment, Fault::Reset, ALWAYS);
    outputs.push(environment.run(&create));
    environment.standin.reset();
    outputs.push(environment.run(&format!("list -d {FIRST} -v --output json")));
    let job = environment.standin.start_job(None);
    environment.write("job.json", &job.event.to_string());
    let event = include_str!("../../events/s3-object-created.json").replace("example-site", "site");
    environment.write("event.json", &event);
    environment.set("AWS_LAMBDA_LOG_LEVEL", "FATAL");
    outputs.push(environment.run(&format!("invoke job.json -d {FIRST} -v")));
    // The function gives up a call that does not end in its time.
    environment.standin.reset();
    environment
        .standin
        .fail(Operation::CreateInvalidation, Fault::Hang, ALWAYS);
    outputs.push(environment.run(&format!("invoke event.json -d {FIRST} -v --timeout 6s")));
    for output in outputs {
        for secret in ["AKIDEXAMPLE", "AWS4-HMAC", "uthorization", "Signature", "<"] {
            assert!(
                !output.stderr.contains(secret),
                "{secret}: {}",
                output.stderr
            );
        }
    }
    environment.snapshot("verbose");
    let quiet = environment.run(&format!("list -d {FIRST}"));
    assert_eq!(quiet.stderr, "");
}

#[test]
fn texts_cut_long_lists_and_json_does_not() {
    let mut environment = Environment::new("long-lists");
    let paths: String = (0..2_580).map(|number| format!("/{number}\n")).collect();
    let create = format!("create -d {APP} --paths-from - --no-checks");
    let created = environment.run_with_input(&create, &paths);
    assert!(created.stdout.contains("2,480 more"), "{}", created.stdout);
    for (line, others) in [
        (format!("plan -d {APP} --paths-from -"), "2,480 more"),
        (format!("{create} --dry-run"), "2,480 more"),
        (format!("list -d {APP}"), "2,575 more"),
        (format!("list -d {APP} -v"), "2,575 more"),
        (format!("status -d {APP}"), "2,575 more"),
        (format!("status -d {APP} -v"), "2,575 more"),
    ] {
        let text = environment.run_with_input(&line, &paths);
        assert_eq!(text.code, 0, "{line}: {}", text.stderr);
        assert!(text.stdout.contains(others), "{line}: {}", text.stdout);
        assert!(text.stdout.len() < 2_000, "{line}: {}", text.stdout);
        let json = environment.run_with_input(&format!("{line} --output json"), &paths);
        assert!(json.stdout.contains("\"/2579\""), "{line}");
        assert!(!json.stdout.contains(" more"), "{line}");
    }
}
