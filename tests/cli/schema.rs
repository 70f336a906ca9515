//! Compares each JSON output with `docs/cf-invalidate.schema.json`, and the schema with the documentation.

use std::collections::BTreeSet;
use std::time::Duration;

use boon::{Compiler, Schemas};
use serde_json::{Value, json};

use crate::environment::{Environment, FIRST, ProgramOutput, WEBSITE, account};
use crate::standin::{Fault, Operation, Options};

const SCHEMA: &str = include_str!("../../docs/cf-invalidate.schema.json");

fn schema() -> Value {
    serde_json::from_str(SCHEMA).expect("JSON")
}

/// Returns the name of the result's definition in the schema.
fn definition(arguments: &[&str]) -> &'static str {
    for argument in arguments {
        match *argument {
            "create" | "create-invalidation" | "plan" => return "create",
            "verify" => return "verify",
            "status" => return "status_result",
            "list" => return "list",
            "distributions" => return "distributions",
            "usage" => return "usage",
            "invoke" => return "invoke",
            "replay" => return "replay",
            _ => {}
        }
    }
    "failed"
}

fn validate(definition: &str, object: &Value) -> Result<(), String> {
    let mut schemas = Schemas::new();
    let mut compiler = Compiler::new();
    compiler
        .add_resource("schema.json", schema())
        .expect("a resource");
    let index = compiler
        .compile(&format!("schema.json#/$defs/{definition}"), &mut schemas)
        .expect("a schema");
    let result = schemas.validate(object, index);
    result.map_err(|error| error.to_string())
}

/// Panics unless stdout is one object: the result of the command, or the one of a command without a result.
pub fn assert_valid(arguments: &[&str], output: &ProgramOutput) {
    let object: Value = serde_json::from_str(&output.stdout)
        .unwrap_or_else(|error| panic!("{arguments:?}: {error}: {}", output.stdout));
    let definition = definition(arguments);
    if let (Err(result), Err(failed)) = (validate(definition, &object), validate("failed", &object))
    {
        panic!("{arguments:?} prints {object:#}\n\n{definition}: {result}\n\nfailed: {failed}");
    }
    assert_eq!(object["exit_code"], output.code, "{arguments:?}");
    let has_failed = output.code != 0;
    assert_eq!(
        !object["error"].is_null(),
        has_failed,
        "{arguments:?}: {object:#}"
    );
}

fn object(output: &ProgramOutput) -> Value {
    serde_json::from_str(&output.stdout).expect("JSON")
}

#[test]
fn the_schema_rejects_a_field_that_it_does_not_describe() {
    let mut failed = json!({
        "exit_code": 2,
        "error": {"kind": "mistake", "message": "x", "hint": null},
        "failure": {"cause": "mistake", "message": "x"},
    });
    assert_eq!(validate("failed", &failed), Ok(()));
    failed["error"]["kind"] = json!("typo");
    assert!(validate("failed", &failed).is_err());
    failed["error"]["kind"] = json!("mistake");
    failed["more"] = json!(1);
    assert!(validate("failed", &failed).is_err());
}

#[test]
fn the_documentation_describes_each_field_of_the_schema() {
    let page = include_str!("../../docs/command-line.md");
    let (_, page) = page.split_once("\n## JSON\n").expect("a section");
    let (section, _) = page.split_once("\n## ").expect("its end");
    let mut names = BTreeSet::new();
    collect_properties(&schema(), &mut names);
    names.retain(|name| {
        let is_named = |form: String| section.contains(&form);
        !is_named(format!("`{name}`")) && !is_named(format!("`{name}[]`"))
    });
    assert_eq!(names, BTreeSet::new());
}

fn collect_properties(schema: &Value, names: &mut BTreeSet<String>) {
    match schema {
        Value::Object(fields) => {
            let properties = fields.get("properties").and_then(Value::as_object);
            names.extend(
                properties
                    .into_iter()
                    .flat_map(|properties| properties.keys().cloned()),
            );
            fields
                .values()
                .for_each(|value| collect_properties(value, names));
        }
        Value::Array(values) => values
            .iter()
            .for_each(|value| collect_properties(value, names)),
        _ => {}
    }
}

#[test]
fn names_an_invalidation_the_same_in_all_commands() {
    let mut environment = Environment::new("schema-names");
    let created =
        object(&environment.run(&format!("create -d {FIRST} /a --no-checks --output json")));
    let created = &created["distributions"][0];
    let listed = object(&environment.run(&format!("list -d {FIRST} --output json")));
    let listed = &listed["distributions"][0]["invalidations"][0];
    let status = object(&environment.run(&format!("status -d {FIRST} --output json")));
    let status = &status["invalidations"][0];
    for name in ["distribution", "id", "reference", "paths"] {
        assert!(!created[name].is_null(), "{name}: {created}");
        assert_eq!(created[name], listed[name], "{name}");
        assert_eq!(created[name], status[name], "{name}");
    }
    assert_eq!(listed["created"], status["created"]);
    // The former names.
    assert_eq!(created["invalidation"], created["id"]);
    assert_eq!(status["invalidation"], status["id"]);
}

#[test]
fn an_error_has_a_kind_a_message_and_a_hint() {
    let mut environment = Environment::new("schema-errors");
    environment
        .standin
        .fail(Operation::ListInvalidations, Fault::Throttling, 9);
    let busy = object(&environment.run(&format!("list -d {FIRST} --output json")));
    let message = format!(
        "could not list the invalidations of {FIRST} now: Throttling: Rate exceeded; try again in a minute"
    );
    assert_eq!(
        busy,
        json!({
            "exit_code": 4,
            "error": {"kind": "busy", "message": message, "hint": "try again in a minute"},
            "failure": {"cause": "busy", "message": message},
        })
    );
    environment
        .standin
        .fail(Operation::CreateInvalidation, Fault::InternalError, 9);
    let line = format!("create -d {FIRST} -d {WEBSITE} /a --no-checks --output json");
    let created = object(&environment.run(&line));
    let failed = created["distributions"].as_array().expect("distributions");
    let failed = failed
        .iter()
        .find(|distribution| !distribution["error"].is_null());
    let failed = failed.expect("an error");
    let name = failed["distribution"].as_str().expect("an id");
    let hint = format!("if CloudFront got the request, `cf-invalidate list -d {name}` shows it");
    let message = format!(
        "could not invalidate {name}: InternalError: An internal error occurred.; try again; {hint}"
    );
    let error = json!({"kind": "unavailable", "message": message, "hint": hint});
    assert_eq!(failed["error"], error);
    assert_eq!(created["error"], error);
    let failure = json!({"cause": "unavailable", "message": message});
    assert_eq!(failed["failure"], failure);
}

#[test]
fn the_error_of_a_submission_precedes_the_one_of_a_wait() {
    let options = Options {
        completes_after: Duration::from_secs(3_600),
        ..account()
    };
    let mut environment = Environment::with_options("schema-first-error", options);
    let line = format!("create -d {FIRST} -d E9EXAMPLE1ABC /a --no-checks --wait=1s --output json");
    let output = environment.run(&line);
    assert_eq!(output.code, 1);
    let created = object(&output);
    let errors = [0, 1].map(|index| created["distributions"][index]["error"]["kind"].clone());
    assert_eq!(errors, ["unavailable", "mistake"]);
    assert_eq!(created["error"], created["distributions"][1]["error"]);
    assert_eq!(created["distributions"][0]["failure"], Value::Null);
}

#[test]
fn invalid_arguments_have_an_object_too() {
    let mut environment = Environment::new("schema-arguments");
    let output = environment.run("crate /a --output json");
    let message = "unrecognized subcommand 'crate'";
    assert_eq!(
        object(&output),
        json!({
            "exit_code": 2,
            "error": {"kind": "mistake", "message": message, "hint": "did you mean create?"},
            "failure": {"cause": "mistake", "message": message},
        })
    );
    for line in [
        "create /a --wait=soon --output=json",
        "--output json",
        "create /a --batch x.json --output json",
        &format!("create -d {FIRST} /*/a --output json"),
    ] {
        let output = environment.run(line);
        assert_eq!(output.code, 2, "{line}");
        let object = object(&output);
        assert_eq!(validate("failed", &object), Ok(()), "{line}");
        let message = object["error"]["message"].as_str().expect("a text");
        assert!(!message.contains('\n'), "{message}");
        let start = format!("error: {}", message.split(':').next().unwrap_or_default());
        assert!(
            output.stderr.contains(&start) || line == "--output json",
            "{line}: {}",
            output.stderr
        );
    }
    let text = environment.run("create /a -- --output json --wait=soon");
    assert_eq!((text.code, text.stdout.as_str()), (2, ""));
}
