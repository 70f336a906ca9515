//! A pipeline job gets exactly one result, also when the work fails, panics or takes too long.

use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use cloudfront_invalidator::error::Category;
use cloudfront_invalidator::handler::Invalidator;
use cloudfront_invalidator::settings::Settings;
use serde_json::json;

use crate::fixture::{
    FIRST, Fixture, SECOND, configuration_with, denial_with_statement, invocation, logged,
    logged_at, one_minute, summary,
};
use crate::standin::{Clock, Fault, JobState, Operation, Options};

/// Starts stand-ins for a test that compares durations.
fn at_frozen_time() -> Fixture {
    Fixture::with(Options {
        clock: Clock::frozen(),
        ..Options::default()
    })
}

#[tokio::test]
async fn invalidates_everything_and_reports_what_was_done() {
    let fixture = at_frozen_time();
    let job = fixture.run_job(None).await;
    let id = job.variable("InvalidationIds").to_owned();
    assert_eq!(
        job.result.body,
        json!({
            "jobId": job.result.body["jobId"],
            "executionDetails": {
                "summary": format!("{FIRST}: submitted as {id} (1 path: /*)"),
                "externalExecutionId": id,
                "percentComplete": 100,
            },
            "outputVariables": {
                "InvalidationIds": id, "DistributionIds": FIRST, "Paths": "/*", "PathCount": "1",
                "WaitedSeconds": "0", "Status": "InProgress", "Verified": "none", "StaleUrls": "none",
            },
        })
    );
    let received = fixture.standin.invalidations();
    assert_eq!(received.len(), 1);
    assert_eq!(
        (received[0].distribution.as_str(), &received[0].paths),
        (FIRST, &vec!["/*".to_owned()])
    );
    assert_eq!(received[0].outcome, Ok(id));
}

#[tokio::test]
async fn the_summary_lists_a_hundred_paths_and_the_output_variable_all() {
    let fixture = Fixture::start();
    let paths: Vec<_> = (100..220).map(|number| format!("/{number}")).collect();
    let parameters = json!({"distribution": [FIRST, SECOND], "paths": paths});
    let job = fixture.run_job(Some(&parameters.to_string())).await;
    let ids = job.variable("InvalidationIds").to_owned();
    let (first, second) = ids.split_once(',').expect("two ids");
    let listed = paths[..100].join(" ");
    assert_eq!(
        summary(&job.result),
        format!(
            "{FIRST}: submitted as {first} (120 paths: {listed} and 20 more); {SECOND}: submitted as {second} (120 paths)"
        )
    );
    assert_eq!(job.variable("Paths"), paths.join(","));
    assert_eq!(job.variable("PathCount"), "240");
}

#[tokio::test]
async fn fails_a_job_whose_path_can_be_a_url_without_its_scheme() {
    let fixture = Fixture::start();
    let parameters = json!({"paths": ["index.html", "example.com/a.html"]});
    let job = fixture.run_job(Some(&parameters.to_string())).await;
    assert_eq!(
        job.failure(),
        (
            "ConfigurationError",
            "UserParameters: paths[1]: \"example.com/a.html\" can begin with a domain name or with a folder: write \
             https://example.com/a.html or /example.com/a.html"
        )
    );
    assert_eq!(fixture.accepted(), []);
}

#[tokio::test]
async fn reports_which_of_the_requested_paths_are_widened_and_why() {
    let fixture = Fixture::start();
    let parameters = json!({"paths": ["/~user/a.html", "/about.html"]});
    let job = fixture.run_job(Some(&parameters.to_string())).await;
    let id = job.variable("InvalidationIds").to_owned();
    let note = "\"/~user/a.html\" widened to /*: CloudFront refuses ~";
    assert_eq!(
        summary(&job.result),
        format!("{FIRST}: submitted as {id} (1 path: /*); /* replaces 2 paths; {note}")
    );
    // A job that continues repeats the note.
    let fixture = Fixture::with(Options {
        clock: Clock::frozen(),
        ..Options::default()
    });
    let parameters = json!({"paths": ["/b b.html", "/about.html"], "wait": "5m"});
    let job = fixture.standin.start_job(Some(&parameters.to_string()));
    let invalidator = fixture.invalidator_without_pauses();
    let returned = invalidator.handle(&job.event, &one_minute()).await;
    returned.expect("a continuation");
    let reported = fixture.only_result();
    let id = fixture.first_id();
    let note = "\"/b b.html\" widened to /b*: viewers encode a space as %20 or as +";
    let expected = format!("{FIRST}: submitted as {id} (2 paths: /about.html /b*); {note}");
    assert!(
        reported.continuation().ends_with(&expected),
        "{}",
        reported.continuation()
    );
}

#[tokio::test]
async fn invalidates_the_paths_and_distributions_that_the_action_names() {
    let config = |id: &str| format!("distribution/{id}/config");
    let with_tags =
        configuration_with("<CacheTagConfig><HeaderName>tags</HeaderName></CacheTagConfig>");
    let options = Options::default()
        .with_document(&config(FIRST), &with_tags)
        .with_document(&config(SECOND), &with_tags);
    let fixture = Fixture::with(options);
    let parameters = json!({"distribution": [SECOND, FIRST], "paths": ["/b b.html", "/a.html", "/a.html", "#Blog"]});
    let job = fixture.run_job(Some(&parameters.to_string())).await;
    let paths: Vec<String> = ["#Blog", "/a.html", "/b*"].map(String::from).into();
    let mut accepted = fixture.accepted();
    accepted.sort();
    assert_eq!(
        accepted,
        [
            (FIRST.to_owned(), paths.clone()),
            (SECOND.to_owned(), paths)
        ]
    );
    assert_eq!(job.variable("DistributionIds"), format!("{SECOND},{FIRST}"));
    assert_eq!(job.variable("Paths"), "#Blog,/a.html,/b*");
    assert_eq!(job.variable("PathCount"), "6");
    assert_eq!(job.variable("InvalidationIds").split(',').count(), 2);
}

#[tokio::test]
async fn fails_a_job_whose_user_parameters_are_invalid() {
    for (parameters, message) in [
        (
            r#"{"pathes": ["/x"]}"#,
            r#"UserParameters: unknown field "pathes" (did you mean "paths"?)"#,
        ),
        (
            "{",
            "UserParameters: expected a distribution id, a domain name, a JSON object such as {\"paths\": [\"/*\"]}, or \
             an empty string; not valid JSON: EOF while parsing an object at line 1 column 1",
        ),
    ] {
        let fixture = Fixture::start();
        let job = fixture.run_job(Some(parameters)).await;
        assert_eq!(job.failure(), ("ConfigurationError", message));
        assert_eq!(fixture.accepted(), []);
    }
}

#[tokio::test]
async fn fails_a_job_when_distribution_id_is_missing_or_invalid() {
    for (setting, message) in [
        (
            None,
            "no distribution is named: give one in the action's UserParameters, or set DISTRIBUTION_ID",
        ),
        (
            Some("www.example.com"),
            "setting DISTRIBUTION_ID: \"www.example.com\" is not a distribution id: write one such as E2EXAMPLE1ABC",
        ),
    ] {
        let fixture = match setting {
            None => Fixture::start().unset("DISTRIBUTION_ID"),
            Some(value) => Fixture::start().set("DISTRIBUTION_ID", value),
        };
        assert_eq!(
            fixture.run_job(None).await.failure(),
            ("ConfigurationError", message)
        );
        // A job that names its distribution does not need the setting. It does not wait, because `WAIT` is not read.
        fixture.standin.reset();
        logged();
        assert_eq!(
            fixture
                .run_job(Some(SECOND))
                .await
                .variable("DistributionIds"),
            SECOND
        );
        let warnings: Vec<_> = logged_at("WARN")
            .iter()
            .map(|line| line["message"].clone())
            .collect();
        let expected = setting.map(|_| format!("the job does not wait for completion: {message}"));
        assert_eq!(warnings, Vec::from_iter(expected));
    }
}

#[tokio::test]
async fn runs_a_job_without_artifacts_and_credentials() {
    let fixture = Fixture::start();
    let mut event = fixture.standin.start_job(None).event;
    let data = event["CodePipeline.job"]["data"]
        .as_object_mut()
        .expect("data");
    for field in ["inputArtifacts", "outputArtifacts", "artifactCredentials"] {
        assert!(data.remove(field).is_some(), "{field}");
    }
    fixture.handle(&event).await.expect("a result");
    assert_eq!(fixture.only_result().variable("Paths"), "/*");
}

/// The real HTTP client, except that a call of CloudFront panics.
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
async fn fails_a_job_when_the_function_panics() {
    let fixture = Fixture::start();
    let sdk = fixture.sdk();
    let panicking = PanicsAtCloudFront(sdk.http_client().expect("an HTTP client"));
    let sdk = sdk.into_builder().http_client(panicking).build();
    let settings =
        Settings::from_environment(|name| (name == "DISTRIBUTION_ID").then(|| FIRST.to_owned()));
    let job = fixture.standin.start_job(None);
    let returned = Invalidator::new(settings, sdk)
        .handle(&job.event, &one_minute())
        .await;
    let message = "the function panicked, which is a bug in it: see its log, and try again";
    assert_eq!(returned, Ok(message.into()));
    assert_eq!(fixture.only_result().failure(), ("JobFailed", message));
}

#[tokio::test]
async fn continues_by_token_when_no_time_is_left_for_the_work() {
    let fixture = at_frozen_time();
    let job = fixture.standin.start_job(None);
    fixture
        .invalidator()
        .handle(&job.event, &invocation(Duration::from_secs(1)))
        .await
        .expect("a result");
    assert_eq!(
        fixture.only_result().continuation(),
        format!(
            "0 of 1 distribution completed after 0 s; could not invalidate {FIRST}: no response in time; try again"
        )
    );
}

#[tokio::test]
async fn names_an_invalid_endpoint() {
    let fixture = Fixture::start().set("AWS_ENDPOINT_URL_CLOUDFRONT", "not a url");
    let job = fixture.run_job(None).await;
    let summary = job.continuation();
    assert!(summary.contains("endpoint `not a url`"), "{summary}");
}

#[tokio::test]
async fn reports_a_result_again_when_codepipeline_fails_twice() {
    for fault in [Fault::ThrottlingException, Fault::InternalFailure] {
        let fixture = Fixture::start();
        fixture
            .standin
            .fail(Operation::PutJobSuccessResult, fault, 2);
        let job = fixture.run_job(None).await;
        assert_eq!(job.variable("Paths"), "/*");
        assert_eq!(fixture.calls(Operation::PutJobSuccessResult), 3);
        assert_eq!(fixture.calls(Operation::PutJobFailureResult), 0);
    }
}

#[tokio::test]
async fn returns_an_error_when_the_result_cannot_be_reported() {
    let fixture = Fixture::start();
    fixture
        .standin
        .fail(Operation::PutJobSuccessResult, Fault::InternalFailure, 4);
    let job = fixture.standin.start_job(None);
    let error = fixture.handle(&job.event).await.expect_err("no result");
    assert_eq!(error.category(), Category::Unavailable);
    assert_eq!(
        error.to_string(),
        format!(
            "could not report the result of job {} with PutJobSuccessResult: InternalFailure: An internal error occurred.; try again",
            job.id
        )
    );
    // Lambda sends the event again: CloudFront returns the same invalidation, and the job gets its only result.
    fixture.handle(&job.event).await.expect("a result");
    let received = fixture.standin.invalidations();
    assert_eq!(received.len(), 2);
    assert_eq!(received[0], received[1]);
    assert_eq!(
        Ok(fixture.only_result().variable("InvalidationIds").to_owned()),
        received[0].outcome
    );
}

#[tokio::test]
async fn accepts_that_a_job_has_a_result_already() {
    // CodePipeline accepts the result and its response is lost: the SDK's next attempt gets InvalidJobStateException.
    let fixture = Fixture::start();
    fixture
        .standin
        .fail(Operation::PutJobSuccessResult, Fault::LostResponse, 1);
    let job = fixture.standin.start_job(None);
    fixture
        .handle(&job.event)
        .await
        .expect("no retry is needed");
    assert_eq!(
        fixture.standin.job(&job.id).map(|job| job.state),
        Some(JobState::Succeeded)
    );
    // A duplicate of the event changes nothing and is not an error.
    fixture
        .handle(&job.event)
        .await
        .expect("no retry is needed");
    assert_eq!(
        fixture.standin.job(&job.id).map(|job| job.state),
        Some(JobState::Succeeded)
    );
}

#[tokio::test]
async fn returns_why_a_result_cannot_be_reported() {
    let fixture = Fixture::start();
    let denied = denial_with_statement(
        "AccessDeniedException",
        "codepipeline:PutJobSuccessResult",
        "*",
    );
    for (fault, category, reason) in [
        (
            Fault::AccessDeniedException,
            Category::Permission,
            denied.as_str(),
        ),
        (
            Fault::JobNotFoundException,
            Category::Unavailable,
            "JobNotFoundException: Could not find the job.; check that the \
             function is in the region and account of the pipeline",
        ),
    ] {
        fixture.standin.reset();
        fixture
            .standin
            .fail(Operation::PutJobSuccessResult, fault, 1);
        let job = fixture.standin.start_job(None);
        let error = fixture.handle(&job.event).await.expect_err("no result");
        assert_eq!(error.category(), category);
        assert_eq!(
            error.to_string(),
            format!("could not report the result of job {}: {reason}", job.id)
        );
    }
}

const REJECTED_FORMS: [Fault; 2] = [
    Fault::ValidationException,
    Fault::OutputVariablesSizeExceededException,
];

#[tokio::test]
async fn reports_less_of_a_success_whose_form_codepipeline_rejects() {
    let short = "submitted for 1 of 1 distribution, status InProgress; CodePipeline rejected the full summary";
    for fault in REJECTED_FORMS {
        for (rejections, summary, has_variables) in [
            (
                1,
                format!("{short}, which the log of the function contains"),
                true,
            ),
            (
                2,
                format!("{short} and the output variables, which the log of the function contains"),
                false,
            ),
        ] {
            let fixture = at_frozen_time();
            fixture
                .standin
                .fail(Operation::PutJobSuccessResult, fault, rejections);
            logged();
            let job = fixture.run_job(None).await;
            let id = fixture.first_id();
            let variables = json!({
                "InvalidationIds": id, "DistributionIds": FIRST, "Paths": "/*", "PathCount": "1",
                "WaitedSeconds": "0", "Status": "InProgress", "Verified": "none", "StaleUrls": "none",
            });
            let mut body = json!({
                "jobId": job.result.body["jobId"],
                "executionDetails": {"summary": summary, "percentComplete": 100},
            });
            if has_variables {
                body["outputVariables"] = variables.clone();
            }
            assert_eq!(
                (job.state, &job.result.body),
                (Some(JobState::Succeeded), &body)
            );
            assert_eq!(fixture.calls(Operation::PutJobFailureResult), 0);
            let lines = logged();
            let lines: Vec<_> = (lines.iter())
                .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"))
                .filter(|line| line["level"] == "WARN" || line["level"] == "INFO")
                .collect();
            let messages: Vec<_> = lines.iter().map(|line| line["message"].clone()).collect();
            let submitted = format!("{FIRST}: submitted as {id} (1 path: /*)");
            let rejected = |result: &str| {
                format!(
                    "CodePipeline rejected the form of the result: {fault:?}: The request was refused because a test asked \
                     for it.; the result was: {result}"
                )
            };
            let reported = format!("the result was reported: {summary}");
            let mut expected = vec![submitted.clone(), rejected(&submitted), reported];
            if !has_variables {
                expected.insert(
                    2,
                    rejected(&format!("{short}, which the log of the function contains")),
                );
            }
            assert_eq!(
                lines[1]["variables"],
                format!(
                    "InvalidationIds={id} DistributionIds={FIRST} Paths=/* PathCount=1 WaitedSeconds=0 Status=InProgress \
                     Verified=none StaleUrls=none"
                )
            );
            assert_eq!(messages, expected, "{lines:#?}");
        }
    }
}

#[tokio::test]
async fn logs_a_hundred_paths_of_a_result_whose_form_codepipeline_rejects() {
    let fixture = at_frozen_time();
    let operation = Operation::PutJobSuccessResult;
    fixture
        .standin
        .fail(operation, Fault::ValidationException, 1);
    let paths: Vec<_> = (100..240).map(|number| format!("/{number}")).collect();
    logged();
    let parameters = json!({"paths": paths}).to_string();
    let job = fixture.run_job(Some(&parameters)).await;
    assert_eq!(job.variable("Paths"), paths.join(","));
    let id = fixture.first_id();
    let lines = logged_at("WARN");
    let variables: Vec<_> = lines.iter().map(|line| &line["variables"]).collect();
    assert_eq!(
        variables,
        [&json!(format!(
            "InvalidationIds={id} DistributionIds={FIRST} Paths={},and 40 more PathCount=140 WaitedSeconds=0 \
             Status=InProgress Verified=none StaleUrls=none",
            paths[..100].join(",")
        ))]
    );
}

#[tokio::test]
async fn fails_a_job_whose_success_codepipeline_rejects_in_every_form() {
    for fault in REJECTED_FORMS {
        let fixture = Fixture::start();
        fixture
            .standin
            .fail(Operation::PutJobSuccessResult, fault, 3);
        let job = fixture.run_job(None).await;
        let message = format!(
            "CodePipeline rejected the result of this job, which is a bug in this program: {fault:?}: The request was \
             refused because a test asked for it.; the result was: {FIRST}: submitted as {} (1 path: /*)",
            fixture.first_id()
        );
        assert_eq!(job.failure(), ("JobFailed", message.as_str()));
        assert_eq!(
            job.result.body["failureDetails"]["externalExecutionId"],
            fixture.first_id()
        );
        let lines = logged().join("\n");
        assert!(!lines.contains("the result was reported:"), "{lines}");
    }
}

#[tokio::test]
async fn continues_a_job_with_a_short_summary_if_codepipeline_rejects_the_full_one() {
    for (rejections, state) in [(1, JobState::Continued), (2, JobState::Failed)] {
        let fixture = Fixture::start();
        fixture.standin.fail(
            Operation::CreateInvalidation,
            Fault::TooManyInvalidationsInProgress,
            1,
        );
        fixture.standin.fail(
            Operation::PutJobSuccessResult,
            Fault::ValidationException,
            rejections,
        );
        let job = fixture.run_job(None).await;
        assert_eq!(job.state, Some(state));
        if state == JobState::Continued {
            assert_eq!(
                job.continuation(),
                "submitted for 0 of 1 distribution, status InProgress; CodePipeline rejected the full summary, which the \
                 log of the function contains"
            );
        } else {
            let (kind, message) = job.failure();
            assert_eq!(kind, "JobFailed");
            assert!(
                message.contains("could not invalidate E1EXAMPLE1ABC now"),
                "{message}"
            );
        }
    }
}

#[tokio::test]
async fn reports_a_result_whose_first_two_attempts_get_no_response() {
    let fixture = Fixture::start();
    fixture
        .standin
        .fail(Operation::PutJobSuccessResult, Fault::Hang, 2);
    let job = fixture.standin.start_job(None);
    // No time is left for the work, and less for the result than after work that ends in time.
    fixture
        .invalidator()
        .handle(&job.event, &invocation(Duration::from_secs(2)))
        .await
        .expect("a result");
    assert_eq!(fixture.calls(Operation::PutJobSuccessResult), 3);
    assert_eq!(fixture.only_result().state, Some(JobState::Continued));
}

#[tokio::test]
async fn reports_each_of_several_distributions() {
    let fixture = Fixture::start().set(
        "DISTRIBUTION_ID",
        "E1EXAMPLE1ABC,E9EXAMPLE1ABC,E2EXAMPLE1ABC",
    );
    let job = fixture.run_job(None).await;
    let ids = job.result.body["failureDetails"]["externalExecutionId"]
        .as_str()
        .expect("two ids");
    let (first, second) = ids.split_once(',').expect("two ids");
    assert_eq!(
        job.failure(),
        (
            "ConfigurationError",
            format!(
                "E1EXAMPLE1ABC: submitted as {first} (1 path: /*); distribution E9EXAMPLE1ABC does not exist in this \
                 account (NoSuchDistribution: The specified distribution does not exist.): correct DISTRIBUTION_ID, the action's UserParameters or the event's \"distribution\"; E2EXAMPLE1ABC: submitted as {second} (1 path: /*)"
            )
            .as_str()
        )
    );
}

#[tokio::test]
async fn truncates_texts_that_are_longer_than_codepipeline_accepts() {
    let ids: Vec<_> = (0..60)
        .map(|number| format!("E{number:02}EXAMPLE1ABC"))
        .collect();
    let fixture = Fixture::start().set("DISTRIBUTION_ID", &ids.join(","));
    let job = fixture.run_job_with_different_result(None).await;
    let (kind, message) = job.failure();
    assert_eq!(kind, "ConfigurationError");
    assert_eq!((message.len(), message.ends_with('…')), (5_000, true));

    let options = ids.iter().fold(Options::default(), |options, id| {
        options.with_distribution(id)
    });
    let fixture = Fixture::with(Options {
        throttle: false,
        ..options
    })
    .set("DISTRIBUTION_ID", &ids.join(","));
    let job = fixture.run_job_with_different_result(None).await;
    assert_eq!(job.variable("PathCount"), "60");
    let summary = summary(&job.result);
    assert_eq!((summary.len(), summary.ends_with('…')), (2_048, true));
}

#[tokio::test]
async fn logs_neither_credentials_nor_the_job() {
    let fixture = Fixture::start();
    fixture.run_job(None).await;
    fixture.standin.reset();
    fixture.run_job(Some("{broken")).await;
    fixture.standin.fail(
        Operation::PutJobSuccessResult,
        Fault::AccessDeniedException,
        1,
    );
    let job = fixture.standin.start_job(None);
    fixture.handle(&job.event).await.expect_err("no result");
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
        "each error is logged once: {lines}"
    );
}
