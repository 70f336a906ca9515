//! `--literal-keys`: one path for each key, with the check of the bucket and without the origin path.

use crate::environment::{APP, Environment, FIRST, WEBSITE};
use crate::standin::{Fault, Operation};

const KEYS: &str = "prod/index.html\nprod/blog/index.html\nprod/my page.html\nstaging/index.html\n";

#[test]
fn literal_keys_keep_the_check_of_the_bucket_and_the_origin_path() {
    let mut environment = Environment::new("literal-keys");
    let create = format!("create -d {WEBSITE} --literal-keys --no-checks --keys-from -");
    let output = environment.run_with_input(&create, KEYS);
    assert_eq!(output.code, 0);
    let paths = ["/blog/index.html", "/index.html", "/my%20page.html"];
    let paths = paths.map(str::to_owned).to_vec();
    assert_eq!(environment.accepted(), [(WEBSITE.to_owned(), paths)]);
    environment.run_with_input(
        &format!("plan -d {WEBSITE} --literal-keys --keys-from -"),
        KEYS,
    );
    let other_bucket = "upload: a.html to s3://site/a.html\n";
    for command in ["create", "plan"] {
        let line = format!("{command} -d {APP} --literal-keys --from-s3-sync -");
        assert_eq!(environment.run_with_input(&line, other_bucket).code, 1);
    }
    // The old name.
    let output = environment.run_with_input(
        &format!("plan -d {FIRST} --no-index-aliases --keys-from -"),
        "index.html\n",
    );
    assert_eq!(
        output.stdout,
        "E1EXAMPLE1ABC: 1 object would become 1 path\n  /index.html\n"
    );
    environment.snapshot("literal-keys");
}

#[test]
fn literal_keys_are_used_alone_if_the_configuration_is_denied() {
    let mut environment = Environment::new("literal-keys-denied");
    let operation = Operation::GetDistributionConfig;
    environment.standin.fail(operation, Fault::AccessDenied, 1);
    let create = format!("create -d {WEBSITE} --literal-keys --no-checks --keys-from -");
    let output = environment.run_with_input(&create, "prod/index.html\nmy page.html\n");
    assert_eq!(output.code, 0);
    let paths = ["/my%20page.html", "/prod/index.html"];
    let paths = paths.map(str::to_owned).to_vec();
    assert_eq!(environment.accepted(), [(WEBSITE.to_owned(), paths)]);
    environment.snapshot("literal-keys-denied");
}

#[test]
fn literal_keys_need_no_call_without_a_distribution() {
    let mut environment = Environment::new("literal-keys-offline");
    environment.unset("AWS_ACCESS_KEY_ID");
    let output = environment.run_with_input(
        "plan --literal-keys --keys-from -",
        "index.html\nmy page.html\n",
    );
    assert_eq!(
        output.stdout,
        "2 objects would become 2 paths\n  /index.html\n  /my%20page.html\n"
    );
    assert_eq!((output.stderr.as_str(), output.code), ("", 0));
    assert_eq!(environment.standin.calls(), []);
}
