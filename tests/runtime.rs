//! How invocations end that do not reach the work: the event is not JSON, or the handler itself panics.
//!
//! Each test starts a process, which reads its events from a Runtime API: the function, or this program again with a
//! handler that panics.

#[path = "soak/harness/lambda.rs"]
mod lambda;

use std::collections::BTreeMap;
use std::future::pending;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use cloudfront_invalidator::runtime;
use lambda::{ExecutionEnvironment, Function, Outcome};
use lambda_runtime::Context;
use serde_json::{Value, json};

/// The event for which [`function_that_panics`] panics.
const PANIC: &str = "\"panic\"";

async fn start(program: PathBuf, arguments: &[&str]) -> ExecutionEnvironment {
    let variables = [
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "secret-of-the-function"),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let arguments = arguments.iter().map(|argument| (*argument).to_owned());
    let function = Function {
        program,
        arguments: arguments.collect(),
        variables: BTreeMap::from(variables),
        timeout: Duration::from_secs(60),
        log: None,
    };
    let environment = ExecutionEnvironment::start(&function).await;
    environment.expect("the process starts")
}

/// Returns the JSON of the response or of the error, or how else the invocation ended.
async fn invoke(environment: &mut ExecutionEnvironment, event: &str) -> Result<Value, Value> {
    let parse = |text: &[u8]| serde_json::from_slice(text).expect("JSON");
    match environment.invoke(event.to_owned(), pending()).await {
        Outcome::Returned(response) => Ok(parse(&response)),
        Outcome::Failed(error) => Err(parse(error.as_bytes())),
        other => Err(json!(format!("{other:?}"))),
    }
}

#[tokio::test]
async fn an_event_that_is_not_json_is_an_error_of_its_invocation_only() {
    let function = env!("CARGO_BIN_EXE_cloudfront-invalidator");
    let mut environment = start(function.into(), &[]).await;
    for (event, problem) in [
        ("not JSON", "expected ident at line 1 column 2"),
        ("", "EOF while parsing a value at line 1 column 0"),
        ("{} {}", "trailing characters at line 1 column 4"),
    ] {
        let error = json!({
            "errorType": "mistake",
            "errorMessage": format!("the event is not JSON: {problem}: pass the event unchanged"),
        });
        assert_eq!(
            invoke(&mut environment, event).await,
            Err(error),
            "{event:?}"
        );
    }
    let test_event = r#"{"Event": "s3:TestEvent", "Bucket": "site"}"#;
    let response = json!("nothing to invalidate");
    assert_eq!(invoke(&mut environment, test_event).await, Ok(response));
}

#[tokio::test]
async fn a_panic_of_the_handler_is_an_error_of_its_invocation_only() {
    let program = std::env::current_exe().expect("this program");
    let arguments = ["--ignored", "--exact", "function_that_panics"];
    let mut environment = start(program, &arguments).await;
    for event in ["{\"a\" :  1}", "not JSON"] {
        let received = invoke(&mut environment, event).await;
        assert_eq!(received, Ok(json!(event)));
        let error = json!({
            "errorType": "&alloc::boxed::Box<dyn core::any::Any + core::marker::Send>",
            "errorMessage": "Lambda panicked: a panic on request",
        });
        assert_eq!(invoke(&mut environment, PANIC).await, Err(error));
    }
}

#[tokio::test(flavor = "current_thread")]
#[ignore = "a function, which a test starts with a Runtime API"]
async fn function_that_panics() {
    let handle = async |event: Bytes, _context: Context| {
        let event = String::from_utf8_lossy(&event);
        if event == PANIC {
            panic!("a panic on request");
        }
        Ok(json!(event))
    };
    runtime::run(handle).await.expect("a Runtime API");
}
