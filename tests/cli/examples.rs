//! The samples of `examples/`, run as they are, with the AWS CLI's recorded words for the AWS CLI.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::bed::{Bed, FIRST, PROGRAM, Ran};
use crate::standin::{Fault, Operation};

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");

/// A machine with both programs on its path.
fn machine(name: &str) -> Bed {
    let mut bed = Bed::new(name);
    let recorded = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/cli/recorded/sync-delete.txt"
    );
    let aws = format!(
        "#!/bin/sh\n[ \"$*\" = \"s3 sync public s3://site --delete --no-progress\" ] || exit 252\ncat '{recorded}'\n"
    );
    bed.write("bin/aws", &aws);
    let executable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(bed.directory.join("bin/aws"), executable).expect("a program");
    let program = Path::new(PROGRAM).parent().expect("a directory");
    let path = format!(
        "{}:{}:{}",
        bed.directory.join("bin").display(),
        program.display(),
        bed.variables["PATH"]
    );
    bed.set("PATH", &path);
    for key in ["index.html", "blog/other.html", "assets/app.min.js"] {
        bed.write(&format!("public/{key}"), "");
    }
    bed
}

fn publish(bed: &mut Bed, bucket: &str) -> Ran {
    let mut command = Command::new(format!("{EXAMPLES}/publish.sh"));
    command.args(["public", bucket, FIRST]);
    let ran = bed.finish(command, "");
    bed.tell(
        &format!("examples/publish.sh public {bucket} {FIRST}"),
        &ran,
    );
    ran
}

#[test]
fn the_shell_sample_publishes() {
    let mut bed = machine("example-shell");
    bed.set("PAUSE", "0");
    assert_eq!(publish(&mut bed, "site").code, 0);
    assert_eq!(publish(&mut bed, "elsewhere").code, 252);
    let busy = Fault::TooManyInvalidationsInProgress;
    bed.standin.fail(Operation::CreateInvalidation, busy, 2);
    bed.standin
        .fail(Operation::GetInvalidation, Fault::AccessDenied, 9);
    assert_eq!(publish(&mut bed, "site").code, 0);
    bed.standin.reset();
    bed.standin
        .fail(Operation::CreateInvalidation, Fault::AccessDenied, 1);
    assert_eq!(publish(&mut bed, "site").code, 5);
    bed.snapshot("example-shell");
}

#[test]
fn the_buildspec_sample_publishes() {
    let mut bed = machine("example-buildspec");
    for (name, value) in [("SITE_BUCKET", "site"), ("DISTRIBUTION_ID", FIRST)] {
        bed.set(name, value);
    }
    let buildspec = fs::read_to_string(format!("{EXAMPLES}/buildspec.yml")).expect("the sample");
    let commands: Vec<_> = buildspec
        .lines()
        .filter_map(|line| line.strip_prefix("      - "))
        .collect();
    assert_eq!(commands.len(), 2);
    let run = |bed: &mut Bed, line: &str| {
        let mut command = Command::new("sh");
        command.args(["-c", line]);
        let ran = bed.finish(command, "");
        bed.tell(line, &ran);
        assert_eq!(ran.code, 0, "{line}: {}", ran.stderr);
    };
    commands.iter().for_each(|line| run(&mut bed, line));
    bed.standin
        .fail(Operation::GetInvalidation, Fault::AccessDenied, 9);
    run(&mut bed, commands[1]);
    bed.standin.reset();
    bed.standin
        .fail(Operation::CreateInvalidation, Fault::InvalidArgument, 1);
    run(&mut bed, commands[1]);
    bed.snapshot("example-buildspec");
}
