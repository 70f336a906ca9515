//! The exit codes other than 0, each with its messages.

use std::time::Duration;

use crate::environment::{Environment, FIRST, account};
use crate::standin::{Fault, Operation, Options};

/// More than the attempts of the SDK.
const ALWAYS: u64 = 9;

fn assert_exit_code(environment: &mut Environment, line: &str, code: i32) {
    let output = environment.run(line);
    assert_eq!(output.code, code, "{line}: {}", output.stderr);
}

#[test]
fn rejected_or_failed_is_1() {
    let mut environment = Environment::new("exit-code-1");
    environment.standin.refuse_paths(&["/refused"]);
    assert_exit_code(&mut environment, &format!("create -d {FIRST} /refused"), 1);
    assert_exit_code(&mut environment, "create -d E1EXAMPLE1ABD /a", 1);
    assert_exit_code(&mut environment, "create -d ww.example.com /a", 1);
    assert_exit_code(
        &mut environment,
        &format!("status -d {FIRST} INONE --output json"),
        1,
    );
    environment
        .standin
        .fail(Operation::CreateInvalidation, Fault::InternalError, ALWAYS);
    assert_exit_code(
        &mut environment,
        &format!("create -d {FIRST} /a --no-checks"),
        1,
    );
    // Nothing listens on the discard port.
    environment.set("AWS_ENDPOINT_URL", "http://127.0.0.1:9");
    assert_exit_code(
        &mut environment,
        &format!("create -d {FIRST} /a --no-checks"),
        1,
    );
    environment.snapshot("exit-code-1");
}

#[test]
fn wrong_usage_is_2() {
    let mut environment = Environment::new("exit-code-2");
    for line in [
        "create",
        &format!("create -d {FIRST}"),
        &format!("create -d {FIRST} /*/a"),
        &format!("create -d {FIRST} /index.html example.com/a.html"),
        "create -d blog /a",
        "create /a --wait=soon",
        "create /a --max-wildcards 16",
        "create /a --batch x.json",
        "create --keys-from - --paths-from -",
        "create --paths-from missing.txt",
        "plan",
        "usage --month 2026-13",
        "invoke missing.json",
        "crate /a",
    ] {
        assert_exit_code(&mut environment, line, 2);
    }
    assert_eq!(environment.accepted(), []);
    environment.snapshot("exit-code-2");
}

#[test]
fn submitted_but_not_completed_in_time_is_3() {
    let options = Options {
        completes_after: Duration::from_secs(3_600),
        ..account()
    };
    let mut environment = Environment::with_options("exit-code-3", options);
    assert_exit_code(
        &mut environment,
        &format!("create -d {FIRST} /a --wait=1s"),
        3,
    );
    assert_exit_code(
        &mut environment,
        &format!("status -d {FIRST} --wait=1s --output json"),
        3,
    );
    environment
        .standin
        .fail(Operation::GetInvalidation, Fault::AccessDenied, ALWAYS);
    assert_exit_code(
        &mut environment,
        &format!("create -d {FIRST} /b --wait --no-checks"),
        3,
    );
    assert_eq!(environment.accepted().len(), 2);
    environment.snapshot("exit-code-3");
}

#[test]
fn throttled_is_4() {
    let mut environment = Environment::new("exit-code-4");
    let create = format!("create -d {FIRST} /a --no-checks --retry=0s");
    environment.standin.fail(
        Operation::CreateInvalidation,
        Fault::TooManyInvalidationsInProgress,
        1,
    );
    assert_exit_code(&mut environment, &create, 4);
    environment
        .standin
        .fail(Operation::CreateInvalidation, Fault::Throttling, ALWAYS);
    assert_exit_code(&mut environment, &format!("{create} --output json"), 4);
    environment.snapshot("exit-code-4");
}

#[test]
fn no_permission_or_no_credentials_is_5() {
    let mut environment = Environment::new("exit-code-5");
    environment
        .standin
        .fail(Operation::CreateInvalidation, Fault::AccessDenied, 1);
    assert_exit_code(
        &mut environment,
        &format!("create -d {FIRST} /a --no-checks"),
        5,
    );
    environment
        .standin
        .fail(Operation::ListDistributions, Fault::AccessDenied, 1);
    assert_exit_code(&mut environment, "distributions --output json", 5);
    // --profile takes precedence over the environment.
    assert_exit_code(
        &mut environment,
        &format!("create -d {FIRST} /a --profile none"),
        5,
    );
    environment.write(".aws/config", "[profile sso]\nsso_session = s\nsso_account_id = 111122223333\nsso_role_name = r\n\
         [sso-session s]\nsso_start_url = https://example.awsapps.com/start\nsso_region = eu-west-1\n");
    assert_exit_code(
        &mut environment,
        &format!("create -d {FIRST} /a --profile sso"),
        5,
    );
    environment.unset("AWS_ACCESS_KEY_ID");
    assert_exit_code(&mut environment, &format!("create -d {FIRST} /a"), 5);
    assert_exit_code(
        &mut environment,
        &format!("list -d {FIRST} --output json"),
        5,
    );
    assert_eq!(environment.accepted(), []);
    environment.snapshot("exit-code-5");
}
