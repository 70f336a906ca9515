//! Runs the scripts of `examples/` as they are. A script that prints recorded output replaces the AWS CLI.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::environment::{Environment, FIRST, PROGRAM, ProgramOutput};
use crate::standin::{Fault, Operation};

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");

/// Returns an environment with both programs in `PATH`.
fn with_programs(name: &str) -> Environment {
    let mut environment = Environment::new(name);
    let recorded = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/cli/recorded/v1/sync-delete.txt"
    );
    let aws = format!(
        "#!/bin/sh\n[ \"$*\" = \"s3 sync public s3://site --delete --no-progress\" ] || exit 252\ncat '{recorded}'\n"
    );
    environment.write("bin/aws", &aws);
    let executable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(environment.directory.join("bin/aws"), executable).expect("a program");
    let program = Path::new(PROGRAM).parent().expect("a directory");
    let path = format!(
        "{}:{}:{}",
        environment.directory.join("bin").display(),
        program.display(),
        environment.variables["PATH"]
    );
    environment.set("PATH", &path);
    for key in ["index.html", "blog/other.html", "assets/app.min.js"] {
        environment.write(&format!("public/{key}"), "");
    }
    environment
}

fn publish(environment: &mut Environment, bucket: &str) -> ProgramOutput {
    let mut command = Command::new(format!("{EXAMPLES}/publish.sh"));
    command.args(["public", bucket, FIRST]);
    let output = environment.run_program(command, "");
    environment.record(
        &format!("examples/publish.sh public {bucket} {FIRST}"),
        &output,
    );
    output
}

#[test]
fn the_shell_script_publishes() {
    let mut environment = with_programs("script-shell");
    environment.set("PAUSE", "0");
    assert_eq!(publish(&mut environment, "site").code, 0);
    assert_eq!(publish(&mut environment, "elsewhere").code, 252);
    let quota_in_use = Fault::TooManyInvalidationsInProgress;
    environment
        .standin
        .fail(Operation::CreateInvalidation, quota_in_use, 2);
    environment
        .standin
        .fail(Operation::GetInvalidation, Fault::AccessDenied, 9);
    assert_eq!(publish(&mut environment, "site").code, 0);
    environment.standin.reset();
    environment
        .standin
        .fail(Operation::CreateInvalidation, Fault::AccessDenied, 1);
    assert_eq!(publish(&mut environment, "site").code, 5);
    environment.snapshot("script-shell");
}

#[test]
fn the_buildspec_publishes() {
    let mut environment = with_programs("script-buildspec");
    for (name, value) in [("SITE_BUCKET", "site"), ("DISTRIBUTION_ID", FIRST)] {
        environment.set(name, value);
    }
    let buildspec = fs::read_to_string(format!("{EXAMPLES}/buildspec.yml")).expect("the buildspec");
    let commands: Vec<_> = buildspec
        .lines()
        .filter_map(|line| line.strip_prefix("      - "))
        .collect();
    assert_eq!(commands.len(), 2);
    let run = |environment: &mut Environment, line: &str| {
        let mut command = Command::new("sh");
        command.args(["-c", line]);
        let output = environment.run_program(command, "");
        environment.record(line, &output);
        assert_eq!(output.code, 0, "{line}: {}", output.stderr);
    };
    commands.iter().for_each(|line| run(&mut environment, line));
    environment
        .standin
        .fail(Operation::GetInvalidation, Fault::AccessDenied, 9);
    run(&mut environment, commands[1]);
    environment.standin.reset();
    environment
        .standin
        .fail(Operation::CreateInvalidation, Fault::InvalidArgument, 1);
    run(&mut environment, commands[1]);
    environment.snapshot("script-buildspec");
}
