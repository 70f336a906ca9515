//! A pipeline job that waits for completion, by continuation tokens and on a frozen clock.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cloudfront_invalidator::invocation::RESPONSE_RESERVE;
use serde_json::{Value, json};

use crate::fixture::{
    ALWAYS, BUCKET, FIRST, Fixture, SECOND, configuration, denial, denial_with_statement,
    distribution_arn, failure_details, invocation, one_minute, rejected_credentials, summary,
};
use crate::standin::{Clock, Fault, Job, JobResult, JobState, Operation, Options, ReferenceReuse};

const THIRD: &str = "E3EXAMPLE1ABC";

/// How long CodePipeline takes to start the next job of an action.
const NEXT_JOB: Duration = Duration::from_secs(30);

/// An account whose invalidations are in progress for this many seconds.
fn account(completes_after: u64) -> Fixture {
    let completes_after = Duration::from_secs(completes_after);
    let options = Options {
        clock: Clock::frozen(),
        completes_after,
        throttle: false,
        ..Options::default()
    };
    let path = format!("distribution/{THIRD}/config");
    let options = options
        .with_distribution(THIRD)
        .with_document(&path, &configuration(BUCKET, "", ""));
    Fixture::with(options)
}

/// Runs an action: its first job and all jobs that continue it. Each event is delivered `times` times, each time to a
/// new function. Returns the jobs and the only result of the last job.
pub async fn run(fixture: &Fixture, parameters: &Value, times: usize) -> (Vec<Job>, JobResult) {
    let mut job = fixture.standin.start_job(Some(&parameters.to_string()));
    let mut jobs = Vec::new();
    loop {
        for _ in 0..times {
            let invalidator = fixture.invalidator_without_pauses();
            invalidator
                .handle(&job.event, &one_minute())
                .await
                .expect("a result");
        }
        let is_accepted = |result: &&JobResult| {
            result.error.is_none() && result.job_id() == Some(job.id.as_str())
        };
        let results: Vec<_> = fixture
            .standin
            .job_results()
            .iter()
            .filter(is_accepted)
            .cloned()
            .collect();
        let [result] = &results[..] else {
            panic!("not one accepted result but {results:#?}")
        };
        let ended = fixture.standin.job(&job.id).expect("the job");
        jobs.push(ended.clone());
        if ended.state != JobState::Continued {
            return (jobs, result.clone());
        }
        assert!(jobs.len() < 100, "the action does not end");
        fixture.standin.advance(NEXT_JOB);
        job = fixture.standin.next_job(&job.id).expect("the next job");
    }
}

fn variables(result: &JobResult) -> [&str; 4] {
    ["Status", "WaitedSeconds", "PathCount", "DistributionIds"].map(|name| {
        result.body["outputVariables"][name]
            .as_str()
            .unwrap_or("missing")
    })
}

#[tokio::test]
async fn succeeds_at_once_when_the_invalidation_is_completed_at_once() {
    for times in [1, 2] {
        let fixture = account(0);
        let (jobs, result) = run(&fixture, &json!({"wait": true}), times).await;
        assert_eq!(jobs.len(), 1);
        assert_eq!(variables(&result), ["Completed", "0", "1", FIRST]);
        let id = fixture.standin.invalidations()[0]
            .outcome
            .clone()
            .expect("an id");
        assert_eq!(result.body["executionDetails"]["percentComplete"], 100);
        assert_eq!(
            summary(&result),
            format!("completed after 0 s; {FIRST}: submitted as {id} (1 path: /*)")
        );
    }
}

#[tokio::test]
async fn polls_for_some_seconds_before_it_continues_with_another_job() {
    let fixture = account(5);
    let (jobs, result) = run(&fixture, &json!({"wait": true}), 1).await;
    assert_eq!(jobs.len(), 1);
    assert_eq!(variables(&result), ["Completed", "6", "1", FIRST]);
}

#[tokio::test]
async fn continues_by_token_until_the_invalidation_is_completed() {
    for times in [1, 2] {
        let fixture = account(90);
        let (jobs, result) = run(
            &fixture,
            &json!({"wait": "5m", "paths": ["/a", "/b"]}),
            times,
        )
        .await;
        assert_eq!(
            jobs.len(),
            3 + usize::from(times == 1),
            "each of {times} deliveries polls for some seconds"
        );
        assert!(
            jobs.iter()
                .all(|job| job.state == JobState::Continued || job.id == jobs[jobs.len() - 1].id)
        );
        let [status, waited, paths, _] = variables(&result);
        assert_eq!((status, paths), ("Completed", "2"));
        assert!(
            (90..130).contains(&waited.parse().expect("seconds")),
            "{waited}"
        );
        let ids: BTreeSet<_> = fixture
            .standin
            .invalidations()
            .into_iter()
            .map(|invalidation| invalidation.outcome.expect("an id"))
            .collect();
        assert_eq!(ids.len(), 1, "all deliveries have the same invalidation");
        let continued = fixture
            .standin
            .job_results()
            .into_iter()
            .find(|result| result.error.is_none())
            .expect("a result");
        assert_eq!(continued.body["executionDetails"]["percentComplete"], 50);
        assert_eq!(continued.body["outputVariables"], Value::Null);
        let id = ids.first().expect("an id");
        assert_eq!(
            summary(&continued),
            format!(
                "0 of 1 distribution completed after 6 s; {FIRST}: submitted as {id} (2 paths: /a /b)"
            )
        );
    }
}

#[tokio::test]
async fn ends_a_wait_that_is_too_short_as_on_timeout_defines() {
    for times in [1, 2] {
        let fixture = account(1_000_000);
        let (jobs, result) = run(&fixture, &json!({"wait": "2m"}), times).await;
        assert!(jobs.len() >= 3);
        assert_eq!(jobs[jobs.len() - 1].state, JobState::Succeeded);
        let [status, waited, ..] = variables(&result);
        assert_eq!(status, "InProgress");
        assert!(
            (120..170).contains(&waited.parse().expect("seconds")),
            "{waited}"
        );
        let id = fixture.first_id();
        let submitted = |id: &str| format!("{FIRST}: submitted as {id} (1 path: /*)");
        assert_eq!(
            summary(&result),
            format!(
                "not completed after {waited} s, but CloudFront still completes it; {}",
                submitted(&id)
            )
        );

        let (jobs, result) =
            run(&fixture, &json!({"wait": "2m", "onTimeout": "fail"}), times).await;
        assert_eq!(jobs[jobs.len() - 1].state, JobState::Failed);
        let id = result.body["failureDetails"]["externalExecutionId"]
            .as_str()
            .expect("an id");
        let message = format!(
            "not completed after {waited} s; CloudFront still completes it: raise \"wait\", or set \"onTimeout\" to \
             \"succeed\"; {}",
            submitted(id)
        );
        assert_eq!(
            failure_details(&result),
            ("SystemUnavailable", message.as_str())
        );
    }
}

#[tokio::test]
async fn continues_by_token_while_cloudfront_throttles() {
    for (wait, times) in [(json!(null), 1), (json!("10m"), 1), (json!("10m"), 2)] {
        let fixture = account(0);
        // For five minutes at two jobs a minute; each delivery makes one call.
        let fault = Fault::TooManyInvalidationsInProgress;
        fixture
            .standin
            .fail(Operation::CreateInvalidation, fault, 10 * times as u64);
        let (jobs, result) = run(&fixture, &json!({"wait": wait}), times).await;
        assert_eq!(jobs.len(), 11, "{wait}");
        assert_eq!(variables(&result)[1], "300");
        assert_eq!(
            variables(&result)[0],
            if wait.is_null() {
                "InProgress"
            } else {
                "Completed"
            }
        );
    }
}

#[tokio::test]
async fn continues_by_token_while_creating_the_invalidation_fails() {
    let internal_error = "InternalError: An internal error occurred.";
    let unreadable = |status: &str, reason: &str| {
        format!("HTTP status {status}: service error: unhandled error: {reason}; try again")
    };
    let expired = rejected_credentials(Fault::ExpiredToken);
    // The SDK attempts a call four times, but not one with expired credentials or with a response that it cannot read.
    for (fault, calls, message) in [
        (
            Fault::InternalError,
            4,
            format!("{internal_error}; try again"),
        ),
        (Fault::BadGateway, 4, unreadable("502", "Error")),
        (Fault::GatewayTimeout, 4, unreadable("504", "Error")),
        (
            Fault::Garbage,
            1,
            unreadable("200", "error parsing XML: no root element"),
        ),
        (Fault::ExpiredToken, 1, expired),
    ] {
        for wait in [json!(false), json!("5m")] {
            let fixture = account(0);
            fixture
                .standin
                .fail(Operation::CreateInvalidation, fault, calls);
            let (jobs, result) = run(&fixture, &json!({"wait": wait}), 1).await;
            assert_eq!(jobs.len(), 2, "{fault:?}");
            let first = fixture.standin.job_results()[0].clone();
            assert_eq!(
                summary(&first),
                format!(
                    "0 of 1 distribution completed after 0 s; could not invalidate {FIRST}: {message}"
                )
            );
            let status = if wait == json!(false) {
                "InProgress"
            } else {
                "Completed"
            };
            assert_eq!(variables(&result), [status, "30", "1", FIRST]);
            let received = fixture.standin.invalidations();
            let references: BTreeSet<_> = received.iter().map(|batch| &batch.reference).collect();
            assert_eq!((received.len() as u64, references.len()), (calls + 1, 1));
            assert_eq!(fixture.accepted().len(), 1);
        }
    }
}

#[tokio::test]
async fn submits_again_only_what_cloudfront_has_not_accepted() {
    let fixture = account(0);
    // Whichever of the two calls arrives first.
    fixture
        .standin
        .fail(Operation::CreateInvalidation, Fault::Garbage, 1);
    let (jobs, result) = run(&fixture, &json!({"distribution": [FIRST, SECOND]}), 1).await;
    assert_eq!(jobs.len(), 2);
    let both = format!("{FIRST},{SECOND}");
    assert_eq!(variables(&result), ["InProgress", "30", "2", both.as_str()]);
    assert_eq!(fixture.calls(Operation::CreateInvalidation), 3);
    let accepted: BTreeSet<_> = (fixture.accepted().into_iter())
        .map(|(distribution, _)| distribution)
        .collect();
    assert_eq!(accepted, [FIRST.to_owned(), SECOND.to_owned()].into());
}

#[tokio::test]
async fn continues_by_token_when_creating_the_invalidation_hangs_until_the_deadline() {
    let fixture = account(0);
    fixture
        .standin
        .fail(Operation::CreateInvalidation, Fault::Hang, 1);
    let job = fixture.standin.start_job(None);
    let invocation = invocation(RESPONSE_RESERVE + Duration::from_millis(800));
    fixture
        .invalidator_without_pauses()
        .handle(&job.event, &invocation)
        .await
        .expect("a result");
    let left = invocation.deadline - tokio::time::Instant::now();
    assert!(left >= RESPONSE_RESERVE, "{left:?} left");
    assert_eq!(
        fixture.only_result().continuation(),
        format!(
            "0 of 1 distribution completed after 0 s; could not invalidate {FIRST}: no response in time; try again"
        )
    );
    let next = fixture.standin.next_job(&job.id).expect("the next job");
    fixture.handle(&next.event).await.expect("a result");
    let received = fixture.standin.invalidations();
    assert_eq!(received.len(), 2);
    assert_eq!(received[0].reference, received[1].reference);
}

#[tokio::test]
async fn fails_when_cloudfront_accepts_nothing_for_too_long() {
    let throttled = "could not invalidate E1EXAMPLE1ABC now: TooManyInvalidationsInProgress: Processing your request will \
                     cause you to exceed the maximum number of in-progress invalidations.; try again in a minute";
    let unavailable =
        "could not invalidate E1EXAMPLE1ABC: InternalError: An internal error occurred.; try again";
    // A shorter wait limits only how long completion is waited for.
    for (fault, message, wait, minutes) in [
        (Fault::TooManyInvalidationsInProgress, throttled, "1m", 15),
        (Fault::TooManyInvalidationsInProgress, throttled, "20m", 20),
        (Fault::InternalError, unavailable, "false", 15),
    ] {
        let fixture = account(0);
        fixture
            .standin
            .fail(Operation::CreateInvalidation, fault, 1_000);
        let (jobs, result) = run(&fixture, &json!({"wait": wait}), 1).await;
        assert_eq!(jobs.len(), 2 * minutes + 1, "{fault:?}, {wait}");
        assert_eq!(failure_details(&result), ("SystemUnavailable", message));
    }
}

#[tokio::test]
async fn polls_after_a_late_submission_although_the_wait_is_shorter() {
    for on_timeout in ["succeed", "fail"] {
        let parameters = json!({"wait": "2s", "onTimeout": on_timeout});
        let busy = |completes_after| {
            let fixture = account(completes_after);
            let fault = Fault::TooManyInvalidationsInProgress;
            fixture
                .standin
                .fail(Operation::CreateInvalidation, fault, 2);
            fixture
        };
        let fixture = busy(4);
        let (jobs, result) = run(&fixture, &parameters, 1).await;
        assert_eq!(jobs.len(), 3);
        assert_eq!(variables(&result), ["Completed", "64", "1", FIRST]);

        let fixture = busy(1_000_000);
        let (jobs, result) = run(&fixture, &parameters, 1).await;
        assert_eq!(jobs.len(), 3);
        let submitted = format!(
            "{FIRST}: submitted as {} (1 path: /*)",
            accepted_id(&fixture)
        );
        if on_timeout == "succeed" {
            assert_eq!(
                summary(&result),
                format!("not completed after 66 s, but CloudFront still completes it; {submitted}")
            );
        } else {
            let message = format!(
                "not completed after 66 s; CloudFront still completes it: raise \"wait\", or set \"onTimeout\" to \
                 \"succeed\"; {submitted}"
            );
            assert_eq!(
                failure_details(&result),
                ("SystemUnavailable", message.as_str())
            );
        }
    }
}

#[tokio::test]
async fn counts_the_wait_from_a_late_submission() {
    let fixture = account(60);
    let fault = Fault::TooManyInvalidationsInProgress;
    let create = Operation::CreateInvalidation;
    fixture.standin.fail(create, fault, 4);
    let parameters = json!({"wait": "90s", "onTimeout": "fail"});
    let (jobs, result) = run(&fixture, &parameters, 1).await;
    assert_eq!(jobs.len(), 7);
    assert_eq!(variables(&result), ["Completed", "192", "1", FIRST]);
}

#[tokio::test]
async fn counts_the_wait_from_a_slow_submission_of_the_first_job() {
    let fixture = account(10);
    let started = fixture.standin.now();
    let parameters = r#"{"wait": "12s", "onTimeout": "fail"}"#;
    let first = fixture.standin.start_job(Some(parameters));
    let (now, pause) = (Arc::clone(&fixture.standin), Arc::clone(&fixture.standin));
    // By this clock, CreateInvalidation takes eight seconds.
    let now = move || {
        let is_submitted = now.calls().contains(&Operation::CreateInvalidation);
        now.now() + Duration::from_secs(if is_submitted { 8 } else { 0 })
    };
    let pause = move |duration| {
        pause.advance(duration);
        std::future::ready(())
    };
    let clock = cloudfront_invalidator::clock::Clock::new(now, pause);
    let invalidator = fixture.invalidator().with_clock(clock);
    let handled = invalidator.handle(&first.event, &one_minute()).await;
    let id = accepted_id(&fixture);
    assert_eq!(
        handled.expect("a result"),
        format!(
            "0 of 1 distribution completed after 14 s; {FIRST}: submitted as {id} (1 path: /*)"
        )
    );
    let seconds = |time: SystemTime| {
        let since_epoch = time.duration_since(SystemTime::UNIX_EPOCH);
        since_epoch.expect("a time after 1970").as_secs()
    };
    let started = seconds(started);
    assert_eq!(
        fixture.only_result().result.body["continuationToken"],
        format!("2 {} {started} {} {FIRST}:{id}", first.id, started + 8)
    );
}

#[tokio::test]
async fn ends_a_wait_23_hours_after_the_start_although_it_submitted_late() {
    let fixture = account(1_000_000);
    let hours = |hours: u64| Duration::from_secs(hours * 60 * 60);
    let fault = Fault::TooManyInvalidationsInProgress;
    let create = Operation::CreateInvalidation;
    fixture.standin.fail(create, fault, 1);
    let parameters = r#"{"wait": "23h", "onTimeout": "fail"}"#;
    let mut job = fixture.standin.start_job(Some(parameters));
    let invalidator = fixture.invalidator_without_pauses();
    for (pause, state) in [
        (hours(20), JobState::Continued),
        (hours(3), JobState::Continued),
        (hours(0), JobState::Failed),
    ] {
        let handled = invalidator.handle(&job.event, &one_minute()).await;
        handled.expect("a result");
        let ended = fixture.standin.job(&job.id).expect("the job");
        assert_eq!(ended.state, state);
        fixture.standin.advance(pause);
        job = fixture.standin.next_job(&job.id).unwrap_or(job);
    }
    assert_eq!(fixture.accepted().len(), 1);
}

/// Returns the id of the only invalidation that CloudFront accepted.
fn accepted_id(fixture: &Fixture) -> String {
    let received = fixture.standin.invalidations().into_iter();
    let ids: Vec<_> = received.filter_map(|batch| batch.outcome.ok()).collect();
    let [id] = &ids[..] else {
        panic!("not one invalidation but {ids:?}")
    };
    id.clone()
}

#[tokio::test]
async fn polls_again_while_an_invalidation_is_not_visible_yet() {
    for calls in [1, 5] {
        let fixture = account(0);
        fixture
            .standin
            .fail(Operation::GetInvalidation, Fault::NoSuchInvalidation, calls);
        let (jobs, result) = run(&fixture, &json!({"wait": true}), 1).await;
        // One job polls four times.
        let (job_count, waited) = if calls == 1 { (1, "2") } else { (2, "38") };
        assert_eq!(jobs.len(), job_count);
        assert_eq!(variables(&result), ["Completed", waited, "1", FIRST]);
        assert_eq!(fixture.calls(Operation::CreateInvalidation), 1);
    }
}

#[tokio::test]
async fn names_which_of_several_distributions_failed() {
    for times in [1, 2] {
        let fixture = account(10);
        let named = json!({"distribution": [FIRST, "E9EXAMPLE1ABC", THIRD], "wait": true});
        let (jobs, result) = run(&fixture, &named, times).await;
        assert_eq!((jobs.len(), jobs[0].state), (1, JobState::Failed));
        let received = fixture.standin.invalidations();
        let id = |distribution: &str| {
            let invalidation = received
                .iter()
                .find(|invalidation| invalidation.distribution == distribution)
                .expect("an invalidation");
            invalidation.outcome.clone().expect("an id")
        };
        let (kind, message) = failure_details(&result);
        assert_eq!(kind, "ConfigurationError");
        assert_eq!(
            message,
            format!(
                "{FIRST}: submitted as {} (1 path: /*); distribution E9EXAMPLE1ABC does not exist in this account \
                 (NoSuchDistribution: The specified distribution does not exist.): correct DISTRIBUTION_ID, the action's UserParameters or the event's \"distribution\"; {THIRD}: submitted as {} (1 path: /*)",
                id(FIRST),
                id(THIRD)
            )
        );
        assert_eq!(
            result.body["failureDetails"]["externalExecutionId"],
            format!("{},{}", id(FIRST), id(THIRD))
        );
    }
}

#[tokio::test]
async fn names_the_distribution_that_is_denied_and_those_that_are_submitted() {
    for times in [1, 2] {
        deny_one_of_three(times).await;
    }
}

async fn deny_one_of_three(times: usize) {
    let fixture = account(10);
    // The second of three calls is denied, whichever distribution it is for.
    fixture
        .standin
        .fail(Operation::CreateInvalidation, Fault::AccessDenied, 1);
    let (_, result) = run(
        &fixture,
        &json!({"distribution": [FIRST, SECOND, THIRD], "wait": true}),
        times,
    )
    .await;
    let (kind, message) = failure_details(&result);
    assert_eq!(kind, "PermissionError");
    assert_eq!(message.matches(": submitted as I").count(), 2, "{message}");
    assert_eq!(
        message
            .matches("not allowed to call cloudfront:CreateInvalidation on arn:")
            .count(),
        1,
        "{message}"
    );
}

#[tokio::test]
async fn fails_a_job_whose_token_has_another_version() {
    let fixture = account(0);
    let mut event = fixture.standin.start_job(None).event;
    event["CodePipeline.job"]["data"]["continuationToken"] = json!("0 v0 {}");
    fixture.handle(&event).await.expect("a result");
    assert_eq!(
        fixture.only_result().failure(),
        (
            "ConfigurationError",
            "the continuation token has version \"0\", and this function reads \"1\" and \"2\": the function was updated during the \
             wait, so run the action again"
        )
    );
    assert_eq!(fixture.accepted(), []);
}

#[tokio::test]
async fn keeps_waiting_while_the_status_cannot_be_read() {
    // The SDK attempts a call four times, but not with expired credentials.
    for (fault, calls) in [
        (Fault::InternalError, 10),
        (Fault::Throttling, 10),
        (Fault::ExpiredToken, 3),
        (Fault::ExpiredTokenException, 3),
    ] {
        let fixture = account(30);
        fixture
            .standin
            .fail(Operation::GetInvalidation, fault, calls);
        let (jobs, result) = run(&fixture, &json!({"wait": true}), 1).await;
        assert_eq!(jobs.len(), 2, "{fault:?}");
        assert_eq!(variables(&result), ["Completed", "36", "1", FIRST]);
        assert_eq!(fixture.calls(Operation::CreateInvalidation), 1, "{fault:?}");
    }
}

#[tokio::test]
async fn fails_when_reading_the_status_is_denied_or_the_credentials_are_wrong() {
    let arn = distribution_arn(FIRST);
    let action = "cloudfront:GetInvalidation";
    let deny = denial(
        "AccessDenied",
        action,
        &arn,
        "with an explicit deny in a service control policy",
    );
    for (fault, reason) in [
        (
            Fault::AccessDenied,
            denial_with_statement("AccessDenied", action, &arn),
        ),
        (
            Fault::ExplicitDenyByScp,
            format!(
                "{deny}; no Allow statement overrides an explicit deny: change the policy that the message names"
            ),
        ),
        (
            Fault::InvalidClientTokenId,
            rejected_credentials(Fault::InvalidClientTokenId),
        ),
        (
            Fault::SignatureDoesNotMatch,
            rejected_credentials(Fault::SignatureDoesNotMatch),
        ),
    ] {
        let fixture = account(30);
        fixture.standin.fail(Operation::GetInvalidation, fault, 1);
        let (jobs, result) = run(&fixture, &json!({"wait": true}), 1).await;
        assert_eq!(jobs.len(), 1, "{fault:?}");
        let id = fixture.first_id();
        let is_denied = matches!(fault, Fault::AccessDenied | Fault::ExplicitDenyByScp);
        let context = if is_denied {
            String::new()
        } else {
            format!("could not read invalidation {id} of {FIRST}: ")
        };
        let message = format!(
            "submitted, but the job cannot wait for completion: {context}{reason}; {FIRST}: submitted as {id} (1 path: \
             /*)"
        );
        assert_eq!(
            failure_details(&result),
            ("PermissionError", message.as_str())
        );
        assert_eq!(
            result.body["failureDetails"]["externalExecutionId"],
            fixture.first_id()
        );
    }
}

#[tokio::test]
async fn waits_as_the_setting_defines_if_the_action_does_not() {
    let fixture = account(5).set("WAIT", "true");
    let (_, result) = run(&fixture, &json!({}), 1).await;
    assert_eq!(variables(&result)[0], "Completed");
    let (_, result) = run(&fixture, &json!({"wait": false}), 1).await;
    assert_eq!(variables(&result)[0], "InProgress");
}

#[tokio::test]
async fn starts_the_caller_reference_with_the_label_of_the_action() {
    let fixture = account(0);
    run(&fixture, &json!({"reference": "release-42"}), 1).await;
    assert!(
        fixture.standin.invalidations()[0]
            .reference
            .starts_with("release-42-")
    );
}

#[tokio::test]
async fn finds_the_invalidation_of_a_used_reference_and_waits_for_it() {
    let options = Options {
        clock: Clock::frozen(),
        reuse: ReferenceReuse::Observed,
        completes_after: Duration::from_secs(40),
        throttle: false,
        ..Options::default()
    };
    let fixture = Fixture::with(options);
    fixture
        .standin
        .fail(Operation::CreateInvalidation, Fault::LostResponse, 1);
    let (jobs, result) = run(&fixture, &json!({"wait": true}), 1).await;
    assert!(jobs.len() > 1);
    assert_eq!(variables(&result)[0], "Completed");
}

#[tokio::test]
async fn does_not_report_completion_without_the_id_of_the_invalidation() {
    let options = Options {
        clock: Clock::frozen(),
        reuse: ReferenceReuse::Observed,
        completes_after: Duration::from_secs(40),
        throttle: false,
        ..Options::default()
    };
    let fixture = Fixture::with(options);
    fixture
        .standin
        .fail(Operation::CreateInvalidation, Fault::LostResponse, 1);
    fixture
        .standin
        .fail(Operation::ListInvalidations, Fault::AccessDenied, 1);
    let (jobs, result) = run(&fixture, &json!({"wait": true}), 1).await;
    assert!(
        jobs.len() > 1,
        "the next job sends the batch again and finds it"
    );
    let [status, waited, ..] = variables(&result);
    assert_eq!(status, "Completed");
    assert!(waited.parse::<u64>().expect("seconds") >= 30, "{waited}");

    fixture
        .standin
        .fail(Operation::CreateInvalidation, Fault::LostResponse, 1);
    fixture
        .standin
        .fail(Operation::ListInvalidations, Fault::AccessDenied, 1_000);
    let (_, result) = run(&fixture, &json!({"wait": "2m"}), 1).await;
    assert_eq!(variables(&result)[0], "InProgress");
}

#[tokio::test]
async fn continues_with_another_job_when_reading_the_status_hangs() {
    let fixture = account(30);
    fixture
        .standin
        .fail(Operation::GetInvalidation, Fault::Hang, ALWAYS);
    let job = fixture.standin.start_job(Some(r#"{"wait": true}"#));
    let invalidator = fixture.invalidator_without_pauses();
    invalidator
        .handle(
            &job.event,
            &invocation(RESPONSE_RESERVE + Duration::from_millis(1_500)),
        )
        .await
        .expect("a result");
    let id = fixture.first_id();
    assert_eq!(
        fixture.only_result().continuation(),
        format!("0 of 1 distribution completed after 0 s; {FIRST}: submitted as {id} (1 path: /*)")
    );
}

/// An account with the recorded distributions.
fn recorded_account() -> Fixture {
    let page = "distribution?Marker=E4EXAMPLE1ABC";
    let options = Options {
        clock: Clock::frozen(),
        throttle: false,
        ..Options::default()
    };
    let options = options
        .with_document("distribution", include_str!("../distributions/list.xml"))
        .with_document(page, include_str!("../distributions/list-2.xml"));
    Fixture::with(options)
}

#[tokio::test]
async fn continues_by_token_while_cloudfront_does_not_list_its_distributions() {
    let could_not = "could not list the distributions";
    let expired = rejected_credentials(Fault::ExpiredToken);
    for (fault, calls, reason) in [
        (
            Fault::ServiceUnavailable,
            4,
            format!(
                "{could_not} now: ServiceUnavailable: CloudFront encountered an internal error. Please try again.; try \
                 again in a minute"
            ),
        ),
        (
            Fault::InternalError,
            4,
            format!("{could_not}: InternalError: An internal error occurred.; try again"),
        ),
        (Fault::ExpiredToken, 1, format!("{could_not}: {expired}")),
    ] {
        let fixture = recorded_account();
        fixture
            .standin
            .fail(Operation::ListDistributions, fault, calls);
        let (jobs, result) = run(&fixture, &json!({"distribution": "www.example.com"}), 1).await;
        assert_eq!(jobs.len(), 2, "{fault:?}");
        assert_eq!(variables(&result)[0], "InProgress");
        let first = fixture.standin.job_results()[0].clone();
        assert_eq!(
            summary(&first),
            format!("not all invalidations are submitted after 0 s: {reason}")
        );
    }
}

#[tokio::test]
async fn continues_by_token_when_listing_the_distributions_hangs_until_the_deadline() {
    let fixture = recorded_account();
    fixture
        .standin
        .fail(Operation::ListDistributions, Fault::Hang, 1);
    let job = fixture.standin.start_job(Some("www.example.com"));
    let invocation = invocation(RESPONSE_RESERVE + Duration::from_millis(300));
    fixture
        .invalidator_without_pauses()
        .handle(&job.event, &invocation)
        .await
        .expect("a result");
    assert_eq!(
        fixture.only_result().continuation(),
        "not all invalidations are submitted after 0 s: the function's time ended before its work: raise its timeout, or \
         try again"
    );
}

#[tokio::test]
async fn accepts_a_duplicate_of_a_reported_job_that_no_longer_exists() {
    let fixture = account(0);
    let job = fixture.standin.start_job(None);
    let invalidator = fixture.invalidator_without_pauses();
    invalidator
        .handle(&job.event, &one_minute())
        .await
        .expect("a result");
    fixture.standin.fail(
        Operation::PutJobSuccessResult,
        Fault::JobNotFoundException,
        1,
    );
    invalidator
        .handle(&job.event, &one_minute())
        .await
        .expect("no error for a reported job");
}

#[tokio::test]
async fn finds_distributions_by_their_names() {
    let list = include_str!("../distributions/list.xml");
    let fixture = recorded_account();
    let alias = list
        .split("<CNAME>")
        .nth(1)
        .and_then(|rest| rest.split('<').next())
        .expect("an alias");
    let before = list.split("<CNAME>").next().expect("a start");
    let id = before
        .rsplit("<Id>E")
        .next()
        .and_then(|rest| rest.split('<').next())
        .map(|id| format!("E{id}"));
    let (_, result) = run(&fixture, &json!({"distribution": alias}), 1).await;
    assert_eq!(
        result.body["outputVariables"]["DistributionIds"],
        json!(id.expect("an id"))
    );

    let (_, result) = run(&fixture, &json!({"distribution": "nowhere.example.org"}), 1).await;
    let (kind, message) = failure_details(&result);
    assert_eq!(kind, "ConfigurationError");
    assert!(message.starts_with(
        "no distribution of this account has the domain name nowhere.example.org (the most similar names are "
    ));
}
