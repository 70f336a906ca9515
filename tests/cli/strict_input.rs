//! Input that cannot be meant as it is written: refused before any call, with what to write instead.

use std::process::Command;

use crate::environment::{Environment, FIRST, PROGRAM};

/// Runs a line that is refused before any call.
fn assert_refused(environment: &mut Environment, line: &str, input: &str) {
    let output = environment.run_with_input(line, input);
    assert_eq!(output.code, 2, "{line} {input:?}: {}", output.stdout);
    assert_eq!(environment.standin.calls(), [], "{line} {input:?}");
}

/// Runs `create` with these arguments as they are, and returns the error.
fn refusal_of(environment: &Environment, arguments: &[&str]) -> String {
    let mut command = Command::new(PROGRAM);
    command.args(["create", "-d", FIRST]).args(arguments);
    let output = environment.run_program(command, "");
    assert_eq!(output.code, 2, "{arguments:?}: {}", output.stdout);
    assert_eq!(environment.standin.calls(), [], "{arguments:?}");
    output.stderr
}

#[test]
fn refuses_a_list_of_paths_that_is_something_else() {
    let mut environment = Environment::new("strict-paths");
    let create = format!("create --no-checks -d {FIRST} --paths-from -");
    for text in [
        "[\"/a\", \"/b\"]",
        "{\"Paths\": {\"Quantity\": 1, \"Items\": [\"/a\"]}}",
        "upload: public/a.html to s3://site/a.html\n",
        "delete: s3://site/a.html\n",
        "# paths\n- /a\n- /b\n",
        " M src/a.html\n?? x\n",
        "2024-01-01 10:00:00        123 a.html\n",
        "/a\n\"/b.html\"\n",
        "/a.html,\n/b.html\n",
        "/a\u{200b}.html\n",
        "/\0a\0",
        "/a\r/b",
    ] {
        assert_refused(&mut environment, &create, text);
    }
    environment.snapshot("strict-paths");
}

#[test]
fn refuses_a_list_of_keys_that_is_something_else() {
    let mut environment = Environment::new("strict-keys");
    for option in [
        "--keys-from",
        "--literal-keys --keys-from all.txt --inventory",
    ] {
        environment.write("all.txt", "a.html\n");
        let create = format!("create --no-checks -d {FIRST} {option} -");
        for text in ["\"a.html\"\n", "'a b.html'\n", "a\0b\0", "a\rb"] {
            assert_refused(&mut environment, &create, text);
        }
    }
    environment.snapshot("strict-keys");
}

#[test]
fn refuses_a_file_in_utf_16() {
    let environment = Environment::new("strict-utf-16");
    for (name, bytes) in [
        ("little.txt", b"\xff\xfe/\0a\0".as_slice()),
        ("big.txt", b"\xfe\xff\0/\0a".as_slice()),
    ] {
        std::fs::write(environment.directory.join(name), bytes).expect("a file");
        for option in ["--paths-from", "--keys-from", "--from-s3-sync", "--batch"] {
            let expected = format!(
                "error: {name}: it is UTF-16: save it as UTF-8 (PowerShell: Out-File -Encoding utf8)\n"
            );
            assert_eq!(refusal_of(&environment, &[option, name]), expected);
        }
    }
}

#[test]
fn accepts_a_batch_as_the_aws_cli_does() {
    let environment = Environment::new("strict-batch");
    let json = |reference: &str| {
        format!(
            "{{\"Paths\": {{\"Quantity\": 1, \"Items\": [\"/a\"]}}, \"CallerReference\": \"{reference}\"}}"
        )
    };
    environment.write("b.json", &json("one"));
    let url = format!("file://{}", environment.directory.join("b.json").display());
    for (option, value) in [
        ("--batch", "file://b.json"),
        ("--batch", &url),
        ("--invalidation-batch", "file://b.json"),
        ("--invalidation-batch", &json("two")),
        ("--batch", &json("three")),
    ] {
        let mut command = Command::new(PROGRAM);
        command.args(["create", "--no-checks", "-d", FIRST, option, value]);
        let output = environment.run_program(command, "");
        assert_eq!(output.code, 0, "{option} {value}: {}", output.stderr);
    }
    let accepted = environment.accepted();
    assert!(
        accepted.iter().all(|(_, paths)| *paths == ["/a"]),
        "{accepted:?}"
    );
    let references = environment.standin.invalidations().into_iter();
    let mut references: Vec<_> = references.map(|sent| sent.reference).collect();
    references.dedup();
    assert_eq!(references, ["one", "two", "three"]);
}

#[test]
fn refuses_a_batch_that_is_not_valid() {
    let mut environment = Environment::new("strict-batch-invalid");
    let create = format!("create --no-checks -d {FIRST} --batch");
    let long = "r".repeat(129);
    let with_reference = |reference: &str| {
        format!("{{\"Paths\": {{\"Items\": [\"/a\"]}}, \"CallerReference\": \"{reference}\"}}")
    };
    for text in [
        with_reference(""),
        with_reference(&long),
        "{\"Paths\": {\"Quantity\": \"1\", \"Items\": [\"/a\"]}}".to_owned(),
        "{\"Paths\": \"/a\"}".to_owned(),
        "{\"Paths\": {\"Items\": [\"/a,\"]}}".to_owned(),
    ] {
        environment.write("b.json", &text);
        assert_refused(&mut environment, &format!("{create} b.json"), "");
    }
    assert_refused(&mut environment, &format!("{create} {{\"Paths\":1}}"), "");
    assert_refused(
        &mut environment,
        &format!("{create} Paths={{Quantity=1,Items=[/a]}}"),
        "",
    );
    environment.snapshot("strict-batch-invalid");
}

#[test]
fn refuses_arguments_that_cannot_be_paths() {
    let mut environment = Environment::new("strict-arguments");
    for argument in [
        "[\"/a\",\"/b\"]",
        "{\"Paths\":{}}",
        "$PATHS",
        "https:/www.example.com/a.html",
        "https://",
        "https:///a.html",
        "https://www.example.com*",
        "/a.html,",
        "/a.html;",
    ] {
        let line = format!("create --no-checks -d {FIRST} {argument}");
        assert_refused(&mut environment, &line, "");
        let errors = [&["--paths", argument][..], &["/first", argument]];
        let [first, second] = errors.map(|arguments| refusal_of(&environment, arguments));
        assert_eq!(first, second);
    }
    environment.snapshot("strict-arguments");
}

#[test]
fn refuses_invisible_characters() {
    let environment = Environment::new("strict-invisible");
    for (path, character, encoded) in [
        ("\u{feff}/a.html", "FEFF", "%EF%BB%BF"),
        ("/a\u{202e}.html", "202E", "%E2%80%AE"),
        ("/a.html\u{200b}", "200B", "%E2%80%8B"),
    ] {
        let message = format!(
            "{path:?} contains the invisible character U+{character}: remove it, or write {encoded} if it belongs to \
             the path\n"
        );
        let error = refusal_of(&environment, &[path]);
        assert_eq!(error, format!("error: {message}"));
        environment.write(
            "b.json",
            &format!("{{\"Paths\": {{\"Items\": [\"{path}\"]}}}}"),
        );
        let error = refusal_of(&environment, &["--batch", "b.json"]);
        assert_eq!(error, format!("error: b.json: Paths.Items[0]: {message}"));
    }
}

#[test]
fn refuses_an_empty_value() {
    let environment = Environment::new("strict-empty");
    for option in [
        "--again",
        "--bucket",
        "--prefix",
        "--site",
        "--inventory",
        "--paths-from",
        "--keys-from",
        "--from-s3-sync",
        "--batch",
        "--profile",
        "--region",
    ] {
        let stderr = refusal_of(&environment, &[option, ""]);
        let message = stderr.lines().next().unwrap_or_default();
        let expected =
            "it is empty: if it comes from a variable, that variable is empty or not set";
        assert!(
            message.starts_with("error: invalid value '' for "),
            "{option}: {message}"
        );
        assert!(message.ends_with(expected), "{option}: {message}");
    }
}

#[test]
fn refuses_options_that_cannot_be_meant() {
    let mut environment = Environment::new("strict-options");
    for line in [
        "create --al",
        "create --alll /a",
        "--all",
        "create --offline /a",
        "create --offline --output json",
        "create --wiat /a",
        "create --keys-from keys.txt --bucket s3://",
        "create --keys-from keys.txt --bucket s3://site/blog",
        "create --keys-from keys.txt --bucket site/blog/",
        "create /a --max-paths x",
        "create /a --max-paths -1",
        "create /a --max-paths 3001",
        "create /a --max-wildcards 1.5",
        "create /a --economy x",
        "create /a --economy -0.1",
        "create /a --economy 1.1",
        "create /a --economy 10%",
        "create /a --takedown --economy 0.1",
        "list --max 0",
        "plan /a --offline --free-only",
        "plan /a --offline --checks",
    ] {
        assert_refused(&mut environment, line, "");
    }
    environment.snapshot("strict-options");
}

#[test]
fn accepts_a_bucket_as_its_address() {
    let mut environment = Environment::new("strict-accepted");
    let output = environment.run_with_input(
        "create --no-checks --keys-from - --bucket s3://app/ --reference r",
        "a.html\n",
    );
    assert_eq!(output.code, 0, "{}", output.stderr);
    let sent = environment.standin.invalidations();
    let references = sent.iter().map(|sent| sent.reference.as_str());
    assert!(
        references
            .clone()
            .all(|reference| reference.starts_with("r-"))
    );
    assert_eq!(references.count(), 1);
}
