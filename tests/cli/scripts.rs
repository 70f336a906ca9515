//! Runs the scripts of `examples/` as they are. A script that prints recorded output replaces the AWS CLI. Where every
//! exit code matters, another script replaces `cf-invalidate`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use saphyr_parser::{Event, Parser};

use crate::environment::{Environment, FIRST, PROGRAM, ProgramOutput};
use crate::standin::{Fault, Operation};

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");

/// What `aws s3 sync` does.
#[derive(Clone, Copy, Debug)]
enum Upload {
    Succeeds,
    /// It skips files that it cannot read, and uploads the others.
    Skips,
    /// It uploads some of the objects.
    FailsInPart,
    Fails,
    /// Ctrl-C reaches `aws` and the script.
    IsInterrupted,
}

impl Upload {
    /// Returns whether its output names all objects that it changed.
    fn is_complete(self) -> bool {
        matches!(self, Self::Succeeds | Self::Skips)
    }

    fn code(self) -> i32 {
        match self {
            Self::Succeeds => 0,
            Self::Skips => 2,
            Self::FailsInPart => 1,
            Self::Fails => 254,
            Self::IsInterrupted => 130,
        }
    }

    /// Returns a script in the place of `aws`.
    fn script(self) -> String {
        let recorded = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/cli/recorded/v1/sync-delete.txt"
        );
        let effect = match self {
            Self::Succeeds => format!("cat '{recorded}'"),
            Self::Skips => format!(
                "grep index.html '{recorded}'; echo 'warning: Skipping file public/a. File does not exist.' >&2"
            ),
            // The AWS CLI prints failures to stderr.
            Self::FailsInPart => format!(
                "grep index.html '{recorded}'; echo 'upload failed: public/a.html to s3://site/a.html' >&2"
            ),
            Self::Fails => "echo 'fatal error: AccessDenied' >&2".to_owned(),
            Self::IsInterrupted => format!("grep index.html '{recorded}'; kill -INT $PPID"),
        };
        let arguments = "s3 sync public s3://site --delete --no-progress";
        let code = self.code();
        format!("#!/bin/sh\n[ \"$*\" = \"{arguments}\" ] || exit 252\n{effect}\nexit {code}\n")
    }
}

fn write_program(environment: &Environment, name: &str, script: &str) {
    let file = format!("bin/{name}");
    environment.write(&file, script);
    let executable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(environment.directory.join(&file), executable).expect("a program");
}

/// Returns an environment with both programs in `PATH`.
fn with_programs(name: &str) -> Environment {
    let mut environment = Environment::new(name);
    write_program(&environment, "aws", &Upload::Succeeds.script());
    let program = Path::new(PROGRAM).parent().expect("a directory");
    let path = format!(
        "{}:{}:{}",
        environment.directory.join("bin").display(),
        program.display(),
        environment.variables["PATH"]
    );
    environment.set("PATH", &path);
    for (name, value) in [("SITE_BUCKET", "site"), ("DISTRIBUTION_ID", FIRST)] {
        environment.set(name, value);
    }
    for key in ["index.html", "blog/other.html", "assets/app.min.js"] {
        environment.write(&format!("public/{key}"), "");
    }
    environment
}

fn publish(environment: &mut Environment) -> ProgramOutput {
    let mut command = Command::new(format!("{EXAMPLES}/publish.sh"));
    command.args(["public", "site", FIRST]);
    let output = environment.run_program(command, "");
    environment.record(&format!("examples/publish.sh public site {FIRST}"), &output);
    output
}

/// Runs the only command of the buildspec.
fn build(environment: &mut Environment) -> ProgramOutput {
    let buildspec = fs::read_to_string(format!("{EXAMPLES}/buildspec.yml")).expect("the buildspec");
    let mut commands = Vec::new();
    for event in Parser::new_from_str(&buildspec) {
        if let (Event::Scalar(text, ..), _) = event.expect("YAML")
            && text.contains("aws ")
        {
            commands.push(text.into_owned());
        }
    }
    let [script] = &commands[..] else {
        panic!("one command: {commands:?}");
    };
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    let output = environment.run_program(command, "");
    environment.record("examples/buildspec.yml", &output);
    output
}

/// Replaces `cf-invalidate` by a script with these exit codes for its first and its second call. Returns its calls.
fn run_with_codes(
    environment: &mut Environment,
    codes: [i32; 2],
    run: fn(&mut Environment) -> ProgramOutput,
) -> (ProgramOutput, Vec<String>) {
    let [first, second] = codes;
    let script = format!(
        "#!/bin/sh\n[ -e calls ] && code={second} || code={first}\necho \"$*\" >>calls\nexit $code\n"
    );
    write_program(environment, "cf-invalidate", &script);
    let calls = environment.directory.join("calls");
    let _ = fs::remove_file(&calls);
    let output = run(environment);
    let calls = fs::read_to_string(calls).unwrap_or_default();
    (output, calls.lines().map(str::to_owned).collect())
}

const UPLOADS: [Upload; 4] = [
    Upload::Succeeds,
    Upload::Skips,
    Upload::FailsInPart,
    Upload::Fails,
];

#[test]
fn the_shell_script_publishes() {
    let mut environment = with_programs("script-shell");
    assert_eq!(publish(&mut environment).code, 0);
    environment
        .standin
        .fail(Operation::GetInvalidation, Fault::AccessDenied, 9);
    assert_eq!(publish(&mut environment).code, 0);
    environment.standin.reset();
    environment
        .standin
        .fail(Operation::CreateInvalidation, Fault::AccessDenied, 1);
    assert_eq!(publish(&mut environment).code, 5);
    environment.snapshot("script-shell");
}

#[test]
fn the_buildspec_publishes() {
    let mut environment = with_programs("script-buildspec");
    assert_eq!(build(&mut environment).code, 0);
    environment
        .standin
        .fail(Operation::GetInvalidation, Fault::AccessDenied, 9);
    assert_eq!(build(&mut environment).code, 0);
    environment.standin.reset();
    environment
        .standin
        .fail(Operation::CreateInvalidation, Fault::InvalidArgument, 1);
    assert_eq!(build(&mut environment).code, 0);
    environment.snapshot("script-buildspec");
}

#[test]
fn the_scripts_invalidate_what_was_or_may_be_uploaded_if_the_upload_fails() {
    let changed = ["/", "/index.html"].map(str::to_owned).to_vec();
    let everything = vec!["/*".to_owned()];
    for run in [publish, build] {
        for (upload, paths) in [
            (Upload::Skips, &changed),
            (Upload::FailsInPart, &everything),
            (Upload::Fails, &everything),
        ] {
            let mut environment = with_programs("script-failed-upload");
            write_program(&environment, "aws", &upload.script());
            assert_eq!(run(&mut environment).code, upload.code());
            let expected = [(FIRST.to_owned(), paths.clone())];
            assert_eq!(environment.accepted(), expected, "{upload:?}");
        }
    }
    let mut environment = with_programs("script-interrupted-upload");
    write_program(&environment, "aws", &Upload::IsInterrupted.script());
    assert_eq!(publish(&mut environment).code, 130);
    assert_eq!(environment.accepted(), [(FIRST.to_owned(), everything)]);
}

#[test]
fn the_shell_script_needs_its_arguments_before_it_uploads() {
    let environment = with_programs("script-arguments");
    for arguments in [vec!["public", "site", ""], vec!["public", "site"], vec![]] {
        let mut command = Command::new(format!("{EXAMPLES}/publish.sh"));
        command.args(arguments);
        let output = environment.run_program(command, "");
        assert_eq!(output.code, 2, "{}", output.stderr);
        let usage = "usage: publish.sh DIRECTORY BUCKET DISTRIBUTION\n";
        assert!(output.stderr.ends_with(usage), "{}", output.stderr);
    }
    assert_eq!(environment.accepted(), []);
}

#[test]
fn the_exit_status_of_the_shell_script_is_that_of_the_upload_or_of_the_invalidation() {
    let mut environment = with_programs("script-shell-codes");
    for upload in UPLOADS {
        write_program(&environment, "aws", &upload.script());
        for code in [0, 1, 2, 3, 4, 5, 130] {
            let (output, calls) = run_with_codes(&mut environment, [code, 99], publish);
            let case = format!("{upload:?}, {code}: {output:?}");
            let is_submitted = code == 0 || code == 3;
            let expected = match upload.code() {
                0 if is_submitted => 0,
                0 => code,
                upload => upload,
            };
            assert_eq!(output.code, expected, "{case}");
            assert_eq!(calls.len(), 1, "{case}");
            let advice = format!("run cf-invalidate create -d {FIRST} '/*'\n");
            assert_eq!(output.stderr.contains(&advice), !is_submitted, "{case}");
            let has_failed = upload.code() != 0;
            let advice = "the upload failed: run this script again\n";
            assert_eq!(output.stderr.contains(advice), has_failed, "{case}");
        }
    }
}

#[test]
fn the_exit_status_of_the_buildspec_is_that_of_the_upload_or_of_the_invalidation() {
    let mut environment = with_programs("script-buildspec-codes");
    for upload in UPLOADS {
        write_program(&environment, "aws", &upload.script());
        for codes in [
            [0, 99],
            [1, 0],
            [2, 2],
            [3, 99],
            [4, 0],
            [4, 4],
            [5, 5],
            [130, 0],
        ] {
            let (output, calls) = run_with_codes(&mut environment, codes, build);
            let case = format!("{upload:?}, {codes:?}: {output:?}");
            let [first, second] = codes;
            let is_submitted = first == 0 || first == 3;
            let expected = match upload.code() {
                0 if is_submitted => 0,
                0 => second,
                upload => upload,
            };
            assert_eq!(output.code, expected, "{case}");
            let everything = format!("create -d {FIRST} /* --retry=5m --yes");
            if upload.is_complete() {
                let expected = (!is_submitted).then_some(&everything);
                assert_eq!(calls.get(1), expected, "{case}");
            } else {
                assert_eq!(calls, [everything], "{case}");
            }
        }
    }
}
