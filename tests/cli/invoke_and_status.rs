//! `status ID` with several distributions, and how `invoke` ends.

use serde_json::{Value, json};

use crate::environment::{APP, Environment, FIRST, WEBSITE};
use crate::standin::{Fault, Operation};

fn object(stdout: &str) -> Value {
    serde_json::from_str(stdout).expect("JSON")
}

/// Creates an invalidation of the distribution and returns its id.
fn create(environment: &mut Environment, distribution: &str) -> String {
    let line = format!("create -d {distribution} /a --no-checks --output json");
    let output = environment.run(&line);
    let id = &object(&output.stdout)["distributions"][0]["id"];
    id.as_str().expect("an id").to_owned()
}

#[test]
fn status_finds_an_invalidation_in_any_of_the_distributions() {
    let mut environment = Environment::new("status-id");
    let id = create(&mut environment, WEBSITE);
    let line = format!("status {id} -d {FIRST} -d {WEBSITE} -d {APP}");
    let output = environment.run(&line);
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert!(output.stdout.starts_with(&format!("{WEBSITE}: {id} is ")));
    assert_eq!(
        (output.stdout.lines().count(), output.stderr.as_str()),
        (1, "")
    );
    // A distribution whose invalidations cannot be read does not hide the one that has it.
    environment
        .standin
        .fail(Operation::GetInvalidation, Fault::AccessDenied, 1);
    let output = environment.run(&format!("status {id} -d {FIRST} -d {WEBSITE}"));
    assert_eq!((output.code, output.stderr.as_str()), (0, ""));
    let json = environment.run(&format!("{line} --output json"));
    let invalidations = object(&json.stdout)["invalidations"].clone();
    assert_eq!(invalidations.as_array().map(Vec::len), Some(1));
    assert_eq!(invalidations[0]["distribution"], WEBSITE);
}

#[test]
fn status_names_all_distributions_that_do_not_have_the_invalidation() {
    let mut environment = Environment::new("status-id-missing");
    create(&mut environment, WEBSITE);
    let output = environment.run(&format!("status INONE -d {FIRST} -d {WEBSITE}"));
    assert_eq!(output.code, 1);
    assert_eq!(
        output.stderr,
        format!(
            "error: CloudFront rejected the request to read invalidation INONE of {FIRST} and {WEBSITE}: \
             NoSuchInvalidation: The specified invalidation does not exist.\n"
        )
    );
    let denied = 2;
    environment
        .standin
        .fail(Operation::GetInvalidation, Fault::AccessDenied, denied);
    let output = environment.run(&format!("status INONE -d {FIRST} -d {WEBSITE}"));
    assert_eq!(output.code, 5, "{}", output.stderr);
    environment
        .standin
        .fail(Operation::GetInvalidation, Fault::AccessDenied, 1);
    // Whether the denied distribution has it is not known.
    let output = environment.run(&format!("status INONE -d {FIRST} -d {WEBSITE}"));
    assert_eq!(output.code, 5, "{}", output.stderr);
    assert!(
        output.stderr.contains("NoSuchInvalidation"),
        "{}",
        output.stderr
    );
}

fn sqs_event(bodies: &[&str]) -> String {
    let records = bodies.iter().enumerate().map(|(index, body)| {
        json!({"messageId": format!("m{index}"), "eventSource": "aws:sqs", "body": body, "attributes": {}})
    });
    json!({"Records": records.collect::<Vec<_>>()}).to_string()
}

#[test]
fn invoke_is_1_if_a_message_is_to_be_retried() {
    let mut environment = Environment::new("invoke-sqs");
    environment.set("AWS_LAMBDA_LOG_LEVEL", "FATAL");
    let s3 = include_str!("../../events/s3-object-created.json").replace("example-site", "site");
    environment.write("good.json", &sqs_event(&[&s3]));
    environment.write("bad.json", &sqs_event(&[&s3, "neither JSON nor an event"]));
    let good = environment.run(&format!("invoke good.json -d {FIRST} --output json"));
    assert_eq!(good.code, 0, "{}", good.stderr);
    assert_eq!(
        object(&good.stdout)["answer"],
        json!({"batchItemFailures": []})
    );
    let bad = environment.run(&format!("invoke bad.json -d {FIRST} --output json"));
    assert_eq!(bad.code, 1, "{}", bad.stderr);
    let bad = object(&bad.stdout);
    let failures = json!({"batchItemFailures": [{"itemIdentifier": "m1"}]});
    assert_eq!(bad["answer"], failures);
    assert_eq!(bad["error"]["kind"], "mistake");
    environment.snapshot("invoke-sqs");
}

#[test]
fn invoke_is_1_if_the_job_failed_and_got_its_result() {
    let mut environment = Environment::new("invoke-job");
    environment.set("AWS_LAMBDA_LOG_LEVEL", "FATAL");
    for (parameters, code) in [(r#"{"paths": ["/a"]}"#, 0), (r#"{"pathes": ["/a"]}"#, 1)] {
        let job = environment.standin.start_job(Some(parameters));
        environment.write("job.json", &job.event.to_string());
        let output = environment.run(&format!("invoke job.json -d {FIRST}"));
        assert_eq!(output.code, code, "{}", output.stderr);
        let results = environment.standin.job_results();
        assert_eq!(results.len(), 1 + usize::from(code == 1));
    }
    environment.snapshot("invoke-job");
}

#[test]
fn invoke_reads_standard_input_and_a_byte_order_mark() {
    let mut environment = Environment::new("invoke-stdin");
    environment.set("AWS_LAMBDA_LOG_LEVEL", "FATAL");
    let event = include_str!("../../events/s3-object-created.json").replace("example-site", "site");
    let event = format!("\u{feff}{event}");
    let line = format!("invoke - -d {FIRST}");
    let output = environment.run_with_input(&line, &event);
    assert_eq!(output.code, 0, "{}", output.stderr);
    environment.write("event.json", &event);
    let output = environment.run(&format!("invoke event.json -d {FIRST}"));
    assert_eq!(output.code, 0, "{}", output.stderr);
    // The second run finds the invalidation that exists.
    assert_eq!(environment.accepted().len(), 1);
    let output = environment.run_with_input(&line, "not JSON");
    assert_eq!(output.code, 2);
    assert!(
        output
            .stderr
            .starts_with("error: standard input: not JSON: "),
        "{}",
        output.stderr
    );
}
