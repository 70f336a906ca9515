//! `create --takedown`: content that must not be served any longer.

use std::time::Duration;

use crate::environment::{APP, Environment, FIRST, WEBSITE, account};
use crate::standin::{Fault, Operation, Options};

#[test]
fn removes_each_path_in_all_spellings_and_waits() {
    let mut environment = Environment::new("takedown-paths");
    environment.run(&format!(
        "create -d {FIRST} --takedown /private/r%C3%A9sum%C3%A9@home.pdf"
    ));
    environment.run(&format!(
        "create -d {FIRST} --takedown /private/index.html /secret/* /a?b=1 --output json"
    ));
    environment.run(&format!(
        "create -d {FIRST} --takedown /private/a.pdf --dry-run"
    ));
    environment.run(&format!(
        "plan -d {FIRST} --takedown /private/a.pdf --output json"
    ));
    environment.run(&format!("create -d {WEBSITE} --takedown #tag"));
    environment.run(&format!("create -d {FIRST} --takedown"));
    environment.snapshot("takedown-paths");
}

#[test]
fn removes_keys_through_the_configuration_of_the_distribution() {
    let mut environment = Environment::new("takedown-keys");
    environment.write("keys.txt", "prod/private/index.html\nstaging/x.pdf\n");
    environment.run(&format!(
        "create -d {WEBSITE} --takedown --keys-from keys.txt"
    ));
    environment.write("keys.txt", "staging/x.pdf\n");
    environment.run(&format!(
        "create -d {WEBSITE} --takedown --keys-from keys.txt --output json"
    ));
    environment.write("keys.txt", "");
    environment.run(&format!(
        "create -d {WEBSITE} --takedown --keys-from keys.txt"
    ));
    environment.snapshot("takedown-keys");
}

#[test]
fn sends_more_than_15_wildcards_in_turn() {
    let mut environment = Environment::new("takedown-many");
    let paths: Vec<_> = (0..20).map(|number| format!("/{number}.pdf")).collect();
    let paths = paths.join(" ");
    let output = environment.run(&format!("create -d {APP} --takedown {paths}"));
    assert_eq!(output.code, 0, "{}", output.stderr);
    let accepted = environment.accepted();
    let wildcards: Vec<_> = accepted
        .iter()
        .map(|(_, paths)| paths.iter().filter(|path| path.ends_with('*')).count())
        .collect();
    assert_eq!(wildcards, [15, 5], "{accepted:?}");
    environment.snapshot("takedown-many");
}

#[test]
fn says_what_is_not_removed() {
    let options = Options {
        completes_after: Duration::from_secs(3_600),
        ..account()
    };
    let mut environment = Environment::with_options("takedown-failed", options);
    let paths: Vec<_> = (0..16).map(|number| format!("/{number}.pdf")).collect();
    let paths = paths.join(" ");
    environment.run(&format!("create -d {FIRST} --takedown {paths} --wait=1s"));
    environment.run(&format!(
        "create -d {WEBSITE} --takedown /a.pdf --wait=1s --output json"
    ));
    let operation = Operation::CreateInvalidation;
    environment.standin.fail(operation, Fault::AccessDenied, 1);
    environment.run(&format!("create -d {APP} --takedown /a.pdf --output json"));
    environment.snapshot("takedown-failed");
}

#[test]
fn keys_and_tags_need_the_configuration() {
    let mut environment = Environment::new("takedown-denied");
    environment.write("keys.txt", "prod/x.pdf\n");
    let operation = Operation::GetDistributionConfig;
    for line in [
        format!("create -d {WEBSITE} --takedown #secret"),
        format!("create -d {WEBSITE} --takedown --keys-from keys.txt"),
    ] {
        environment.standin.fail(operation, Fault::AccessDenied, 1);
        assert_eq!(environment.run(&line).code, 5, "{line}");
    }
    assert_eq!(environment.accepted(), []);
    // What is written as a path does not depend on it.
    environment.standin.fail(operation, Fault::AccessDenied, 1);
    environment.run(&format!("create -d {WEBSITE} --takedown /x.pdf"));
    environment.run("create -d E9EXAMPLE1ABC --takedown /x.pdf");
    environment.snapshot("takedown-denied");
}

#[test]
fn a_directory_includes_what_is_below_it() {
    let mut environment = Environment::new("takedown-directory");
    environment.run(&format!("create -d {FIRST} --takedown /private/ /"));
    environment.run(&format!("create -d {FIRST} --takedown /x+y.pdf"));
    environment.snapshot("takedown-directory");
}
