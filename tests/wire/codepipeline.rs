//! A pipeline job gets exactly one answer, whatever happens.

use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use cloudfront_invalidator::failure::Cause;
use cloudfront_invalidator::flow::Function;
use cloudfront_invalidator::settings::Settings;
use serde_json::json;

use crate::bed::{Bed, FIRST, SECOND, invocation, logged};
use crate::standin::{Fault, JobState, Operation, Options};

#[tokio::test]
async fn clears_everything_and_tells_the_pipeline_what_was_done() {
    let bed = Bed::start();
    let told = bed.run_job(None).await;
    let id = told.variable("InvalidationIds").to_owned();
    let job = told.answer.body["jobId"].clone();
    assert_eq!(
        told.answer.body,
        json!({
            "jobId": job,
            "executionDetails": {
                "summary": format!("{FIRST}: submitted as {id} (1 path: /*)"),
                "externalExecutionId": id,
                "percentComplete": 100,
            },
            "outputVariables": {
                "InvalidationIds": id, "DistributionIds": FIRST, "Paths": "/*", "PathCount": "1",
                "WaitedSeconds": "0", "Status": "InProgress",
            },
        })
    );
    let received = bed.standin.invalidations();
    assert_eq!(received.len(), 1);
    assert_eq!(
        (received[0].distribution.as_str(), &received[0].paths),
        (FIRST, &vec!["/*".to_owned()])
    );
    assert_eq!(received[0].outcome, Ok(id));
}

#[tokio::test]
async fn invalidates_the_paths_and_distributions_that_the_action_names() {
    let bed = Bed::start();
    let parameters = json!({"distribution": [SECOND, FIRST], "paths": ["/b b.html", "/a.html", "/a.html", "#Blog"]});
    let told = bed.run_job(Some(&parameters.to_string())).await;
    let paths: Vec<String> = ["#Blog", "/a.html", "/b*"].map(String::from).into();
    let mut taken = bed.taken();
    taken.sort();
    assert_eq!(
        taken,
        [
            (FIRST.to_owned(), paths.clone()),
            (SECOND.to_owned(), paths)
        ]
    );
    assert_eq!(
        told.variable("DistributionIds"),
        format!("{SECOND},{FIRST}")
    );
    assert_eq!(told.variable("Paths"), "#Blog,/a.html,/b*");
    assert_eq!(told.variable("PathCount"), "6");
    assert_eq!(told.variable("InvalidationIds").split(',').count(), 2);
}

#[tokio::test]
async fn keeps_a_pipeline_job_from_hanging_when_user_parameters_are_broken() {
    for (parameters, message) in [
        (
            r#"{"pathes": ["/x"]}"#,
            r#"UserParameters: unknown field "pathes" (did you mean "paths"?)"#,
        ),
        (
            "{",
            "UserParameters: expected nothing, a distribution id or domain name, or a JSON object such as \
             {\"paths\": [\"/*\"]}; as JSON it is broken: EOF while parsing an object at line 1 column 1",
        ),
    ] {
        let bed = Bed::start();
        let told = bed.run_job(Some(parameters)).await;
        assert_eq!(told.failure(), ("ConfigurationError", message));
        assert_eq!(bed.taken(), []);
    }
}

#[tokio::test]
async fn answers_a_job_when_the_setting_is_missing_or_wrong() {
    for (setting, message) in [
        (
            None,
            "no distribution is named: give one in the action's UserParameters, or set DISTRIBUTION_ID",
        ),
        (
            Some("www.example.com"),
            "setting DISTRIBUTION_ID: \"www.example.com\" is no distribution id: write one such as E2EXAMPLE1ABC",
        ),
    ] {
        let bed = match setting {
            None => Bed::start().unset("DISTRIBUTION_ID"),
            Some(value) => Bed::start().set("DISTRIBUTION_ID", value),
        };
        assert_eq!(
            bed.run_job(None).await.failure(),
            ("ConfigurationError", message)
        );
        // A job that names its distribution does not need the setting.
        bed.standin.reset();
        assert_eq!(
            bed.run_job(Some(SECOND)).await.variable("DistributionIds"),
            SECOND
        );
    }
}

#[tokio::test]
async fn answers_a_job_whose_artifacts_and_credentials_are_missing() {
    let bed = Bed::start();
    let mut event = bed.standin.start_job(None).event;
    let data = event["CodePipeline.job"]["data"]
        .as_object_mut()
        .expect("data");
    for field in ["inputArtifacts", "outputArtifacts", "artifactCredentials"] {
        assert!(data.remove(field).is_some(), "{field}");
    }
    bed.handle(&event).await.expect("an answer");
    assert_eq!(bed.only_answer().variable("Paths"), "/*");
}

/// An HTTP client that panics where CloudFront is called and is the real one elsewhere.
#[derive(Clone, Debug)]
struct PanicsAtCloudFront(SharedHttpClient);

#[derive(Debug)]
struct PanickingConnector(SharedHttpConnector);

impl HttpClient for PanicsAtCloudFront {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(PanickingConnector(
            self.0.http_connector(settings, components),
        ))
    }
}

impl HttpConnector for PanickingConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        assert!(!request.uri().contains("/distribution/"), "injected");
        self.0.call(request)
    }
}

#[tokio::test]
async fn answers_a_job_when_the_flow_panics() {
    let bed = Bed::start();
    let sdk = bed.sdk();
    let panicking = PanicsAtCloudFront(sdk.http_client().expect("an HTTP client"));
    let sdk = sdk.into_builder().http_client(panicking).build();
    let settings =
        Settings::from_environment(|name| (name == "DISTRIBUTION_ID").then(|| FIRST.to_owned()));
    let job = bed.standin.start_job(None);
    let done = Function::new(settings, sdk)
        .handle(&job.event, &invocation(Duration::from_secs(60)))
        .await;
    let message =
        "the invalidator panicked, which is a bug in it: see the function's log, and try again";
    assert_eq!(done, Ok(message.into()));
    assert_eq!(bed.only_answer().failure(), ("JobFailed", message));
}

#[tokio::test]
async fn answers_a_job_two_seconds_before_its_deadline_when_cloudfront_hangs() {
    let bed = Bed::start();
    bed.standin
        .fail(Operation::CreateInvalidation, Fault::Hang, 9);
    let job = bed.standin.start_job(None);
    let invocation = invocation(Duration::from_secs(3));
    bed.function()
        .handle(&job.event, &invocation)
        .await
        .expect("an answer");
    let left = invocation
        .deadline
        .duration_since(tokio::time::Instant::now());
    assert!(left >= Duration::from_secs(2), "{left:?} left");
    assert_eq!(
        bed.only_answer().failure(),
        (
            "SystemUnavailable",
            "CloudFront did not confirm an invalidation of E1EXAMPLE1ABC (no answer before the \
             function's time was up): try again"
        )
    );
}

#[tokio::test]
async fn answers_a_job_at_once_when_no_time_is_left_for_the_work() {
    let bed = Bed::start();
    let job = bed.standin.start_job(None);
    bed.function()
        .handle(&job.event, &invocation(Duration::from_secs(1)))
        .await
        .expect("an answer");
    assert_eq!(bed.only_answer().failure().0, "SystemUnavailable");
}

#[tokio::test]
async fn answers_a_job_when_the_sdk_cannot_be_built() {
    let bed = Bed::start().set("AWS_ENDPOINT_URL_CLOUDFRONT", "not a url");
    let told = bed.run_job(None).await;
    let (kind, message) = told.failure();
    assert_eq!(kind, "SystemUnavailable");
    assert!(message.contains("endpoint `not a url`"), "{message}");
}

#[tokio::test]
async fn delivers_an_answer_that_fails_twice() {
    for fault in [Fault::ThrottlingException, Fault::InternalFailure] {
        let bed = Bed::start();
        bed.standin.fail(Operation::PutJobSuccessResult, fault, 2);
        let told = bed.run_job(None).await;
        assert_eq!(told.variable("Paths"), "/*");
        assert_eq!(bed.calls(Operation::PutJobSuccessResult), 3);
        assert_eq!(bed.calls(Operation::PutJobFailureResult), 0);
    }
}

#[tokio::test]
async fn fails_for_lambda_to_retry_when_the_answer_cannot_be_delivered() {
    let bed = Bed::start();
    bed.standin
        .fail(Operation::PutJobSuccessResult, Fault::InternalFailure, 4);
    let job = bed.standin.start_job(None);
    let failure = bed.handle(&job.event).await.expect_err("no answer");
    assert_eq!(failure.cause, Cause::Unavailable);
    assert_eq!(
        failure.message,
        format!(
            "the answer to job {} was not delivered by PutJobSuccessResult: InternalFailure: An internal error occurred.",
            job.id
        )
    );
    // Lambda sends the event again: the invalidation that exists is found, and the job gets its one answer.
    bed.handle(&job.event).await.expect("an answer");
    let received = bed.standin.invalidations();
    assert_eq!(received.len(), 2);
    assert_eq!(received[0], received[1]);
    assert_eq!(
        Ok(bed.only_answer().variable("InvalidationIds").to_owned()),
        received[0].outcome
    );
}

#[tokio::test]
async fn takes_a_job_that_was_answered_before_for_answered() {
    // The answer arrived, its confirmation did not: the SDK repeats it and hears InvalidJobState.
    let bed = Bed::start();
    bed.standin
        .fail(Operation::PutJobSuccessResult, Fault::LostResponse, 1);
    let job = bed.standin.start_job(None);
    bed.handle(&job.event).await.expect("no retry is needed");
    assert_eq!(
        bed.standin.job(&job.id).map(|job| job.state),
        Some(JobState::Succeeded)
    );
    // A duplicate of the event changes nothing and is no error.
    bed.handle(&job.event).await.expect("no retry is needed");
    assert_eq!(
        bed.standin.job(&job.id).map(|job| job.state),
        Some(JobState::Succeeded)
    );
}

#[tokio::test]
async fn names_why_an_answer_was_not_delivered() {
    let bed = Bed::start();
    for (fault, cause, message) in [
        (
            Fault::AccessDeniedException,
            Cause::Permission,
            "the answer to job JOB was not delivered: not allowed to call codepipeline:PutJobSuccessResult on *: add \
             this statement to the policy of the function's role: \
             {\"Effect\":\"Allow\",\"Action\":\"codepipeline:PutJobSuccessResult\",\"Resource\":\"*\"}",
        ),
        (
            Fault::JobNotFoundException,
            Cause::Unavailable,
            "the answer to job JOB was not delivered: CodePipeline knows no such job in this region and account",
        ),
    ] {
        bed.standin.reset();
        bed.standin.fail(Operation::PutJobSuccessResult, fault, 1);
        let job = bed.standin.start_job(None);
        let failure = bed.handle(&job.event).await.expect_err("no answer");
        let message = message.replace("JOB", &job.id);
        assert_eq!(failure.cause, cause);
        assert_eq!(failure.message, message);
    }
}

#[tokio::test]
async fn fails_a_job_whose_success_codepipeline_refuses_for_its_form() {
    for fault in [
        Fault::ValidationException,
        Fault::OutputVariablesSizeExceededException,
    ] {
        let bed = Bed::start();
        bed.standin.fail(Operation::PutJobSuccessResult, fault, 1);
        let told = bed.run_job_told(None).await;
        let (kind, message) = told.failure();
        assert_eq!(kind, "JobFailed");
        assert!(
            message.starts_with("CodePipeline refuses the answer to this job, which is a bug ("),
            "{message}"
        );
        assert!(
            message.contains(&format!("it was: {FIRST}: submitted as I")),
            "{message}"
        );
    }
}

#[tokio::test]
async fn reports_each_of_several_distributions() {
    let bed = Bed::start().set(
        "DISTRIBUTION_ID",
        "E1EXAMPLE1ABC,E9EXAMPLE1ABC,E2EXAMPLE1ABC",
    );
    let told = bed.run_job(None).await;
    let ids = told.answer.body["failureDetails"]["externalExecutionId"]
        .as_str()
        .expect("two ids");
    let (first, second) = ids.split_once(',').expect("two ids");
    assert_eq!(
        told.failure(),
        (
            "ConfigurationError",
            format!(
                "E1EXAMPLE1ABC: submitted as {first} (1 path: /*); distribution E9EXAMPLE1ABC does not \
                 exist in this account: correct DISTRIBUTION_ID or the action's UserParameters; E2EXAMPLE1ABC: \
                 submitted as {second} (1 path: /*)"
            )
            .as_str()
        )
    );
}

#[tokio::test]
async fn cuts_what_the_pipeline_would_refuse_for_its_length() {
    let ids: Vec<_> = (0..60).map(|at| format!("E{at:02}EXAMPLE1ABC")).collect();
    let bed = Bed::start().set("DISTRIBUTION_ID", &ids.join(","));
    let told = bed.run_job_told(None).await;
    let (kind, message) = told.failure();
    assert_eq!(kind, "ConfigurationError");
    assert_eq!((message.len(), message.ends_with('…')), (5_000, true));

    let options = ids.iter().fold(Options::default(), |options, id| {
        options.with_distribution(id)
    });
    let bed = Bed::with(Options {
        throttle: false,
        ..options
    })
    .set("DISTRIBUTION_ID", &ids.join(","));
    let told = bed.run_job_told(None).await;
    assert_eq!(told.variable("PathCount"), "60");
    let summary = told.answer.body["executionDetails"]["summary"]
        .as_str()
        .expect("a summary");
    assert_eq!((summary.len(), summary.ends_with('…')), (2_048, true));
}

#[tokio::test]
async fn logs_neither_credentials_nor_the_job() {
    let bed = Bed::start();
    bed.run_job(None).await;
    bed.standin.reset();
    bed.run_job(Some("{broken")).await;
    bed.standin.fail(
        Operation::PutJobSuccessResult,
        Fault::AccessDeniedException,
        1,
    );
    let job = bed.standin.start_job(None);
    bed.handle(&job.event).await.expect_err("no answer");
    let lines = logged().join("\n");
    assert!(lines.lines().count() >= 5, "{lines}");
    let credentials = &job.event["CodePipeline.job"]["data"]["artifactCredentials"];
    let credentials = credentials
        .as_object()
        .expect("credentials")
        .values()
        .filter_map(|value| value.as_str());
    for secret in credentials.chain([
        "secret-of-the-function",
        "token-of-the-function",
        "artifactCredentials",
    ]) {
        assert!(!lines.contains(secret), "{secret} in {lines}");
    }
    assert_eq!(
        lines.matches("\"level\":\"ERROR\"").count(),
        2,
        "each failure once: {lines}"
    );
}
