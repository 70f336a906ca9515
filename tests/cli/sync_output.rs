//! `--from-s3-sync`: failures, lines that cannot be read, access points, and the output of both versions of the AWS CLI.

use crate::environment::{APP, Environment, FIRST};

/// The output of both versions of the AWS CLI; see `recorded/README.md`.
macro_rules! recorded {
    ($name:literal) => {
        [
            include_str!(concat!("recorded/v1/", $name, ".txt")),
            include_str!(concat!("recorded/v2/", $name, ".txt")),
        ]
    };
}

const ACCESS_POINT: &str =
    "upload: a.html to s3://arn:aws:s3:eu-west-1:111122223333:accesspoint/myap/a.html\n";

fn accepted(environment: &Environment) -> Vec<String> {
    let accepted = environment.accepted().into_iter();
    accepted
        .map(|(id, paths)| format!("{id} {}", paths.join(" ")))
        .collect()
}

#[test]
fn both_versions_of_the_aws_cli_lead_to_the_same_plan() {
    let mut environment = Environment::new("sync-versions");
    let plan = format!("plan --from-s3-sync - -d {FIRST} -d {APP} --bucket site");
    for [first, second] in [
        recorded!("sync-upload"),
        recorded!("sync-terminal"),
        recorded!("sync-delete"),
        recorded!("sync-warnings"),
        recorded!("mv"),
    ] {
        let first = environment.run_with_input(&plan, first);
        let second = environment.run_with_input(&plan, second);
        assert_eq!(first, second);
    }
}

#[test]
fn invalidates_the_rest_and_fails_if_aws_s3_failed_in_part() {
    let mut environment = Environment::new("sync-failures");
    let create = format!("create -d {FIRST} --no-checks --from-s3-sync -");
    for text in recorded!("sync-delete-failed") {
        assert_eq!(environment.run_with_input(&create, text).code, 1);
    }
    let [_, text] = recorded!("sync-delete-failed");
    for line in [
        &format!("{create} --output json"),
        &format!("{create} --dry-run"),
        &format!("plan -d {FIRST} --output json --from-s3-sync -"),
    ] {
        assert_eq!(environment.run_with_input(line, text).code, 1, "{line}");
    }
    let [_, text] = recorded!("cp-missing-bucket");
    assert_eq!(environment.run_with_input(&create, text).code, 1);
    let [_, text] = recorded!("mv-source-not-deleted");
    assert_eq!(environment.run_with_input(&create, text).code, 1);
    let deleted = format!("{FIRST} /uploads/dir/c.html");
    let moved = format!("{FIRST} /moved/new.html /uploads/denied/a.html");
    assert_eq!(
        accepted(&environment),
        [deleted.clone(), deleted.clone(), deleted, moved]
    );
    environment.snapshot("sync-failures");
}

#[test]
fn a_line_that_cannot_be_read_fails_before_anything_is_sent() {
    let mut environment = Environment::new("sync-unknown-line");
    let [_, text] = recorded!("sync-delete");
    for line in ["Uploaded 3 files", "delete: s3://site", "index.html"] {
        for command in ["create --no-checks", "plan"] {
            let command = format!("{command} -d {FIRST} --from-s3-sync -");
            let output = environment.run_with_input(&command, &format!("{text}{line}\n"));
            assert_eq!(output.code, 2, "{line}");
        }
    }
    assert_eq!(environment.standin.calls(), []);
    environment.snapshot("sync-unknown-line");
}

#[test]
fn an_access_point_needs_a_distribution_or_a_bucket() {
    let mut environment = Environment::new("sync-access-point");
    let create = "create --no-checks --from-s3-sync -";
    let alias = "delete: s3://myap-abcdefghijklmnopqrstuvwxyz1234-s3alias/b.html\n";
    assert_eq!(environment.run_with_input(create, ACCESS_POINT).code, 2);
    // The bucket of one line does not stand for that of another.
    let mixed = format!("{ACCESS_POINT}upload: c.html to s3://app/c.html\n");
    assert_eq!(environment.run_with_input(create, &mixed).code, 2);
    let with_distribution = format!("{create} -d {FIRST}");
    let text = format!("{ACCESS_POINT}{alias}");
    let output = environment.run_with_input(&with_distribution, &text);
    assert_eq!(output.code, 0);
    let with_bucket = format!("{create} --bucket app");
    assert_eq!(
        environment.run_with_input(&with_bucket, ACCESS_POINT).code,
        0
    );
    environment.write(
        "cf-invalidate.toml",
        "[sites.app]\ndistribution = 'E7EXAMPLE1ABC'\nbucket = 'app'\n",
    );
    assert_eq!(environment.run_with_input(create, alias).code, 0);
    assert_eq!(
        accepted(&environment),
        [
            format!("{FIRST} /a.html /b.html"),
            format!("{APP} /a.html"),
            format!("{APP} /b.html")
        ]
    );
    environment.snapshot("sync-access-point");
}
