//! A pipeline goes on when the edge is fresh: waiting by continuation token, on a clock that nobody sits out.

use std::time::Duration;

use serde_json::{Value, json};

use crate::bed::{Bed, FIRST, SECOND, invocation};
use crate::standin::{Clock, Fault, Job, JobResult, JobState, Operation, Options, ReferenceReuse};

const THIRD: &str = "E3EXAMPLE1ABC";

/// How long CodePipeline takes to start the job that goes on.
const NEXT_JOB: Duration = Duration::from_secs(30);

/// An account where invalidations take so many seconds.
fn account(completes_after: u64) -> Bed {
    let completes_after = Duration::from_secs(completes_after);
    let options = Options {
        clock: Clock::frozen(),
        completes_after,
        throttle: false,
        ..Options::default()
    };
    Bed::with(options.with_distribution(THIRD))
}

/// Runs an action: its first job, and the one that goes on with it each time there is one. Each event is delivered
/// `times` times, to functions that do not know of each other. Returns the jobs and the last one's only answer.
async fn run(bed: &Bed, parameters: &Value, times: usize) -> (Vec<Job>, JobResult) {
    let mut job = bed.standin.start_job(Some(&parameters.to_string()));
    let mut jobs = Vec::new();
    loop {
        for _ in 0..times {
            let function = bed.patient_function();
            function
                .handle(&job.event, &invocation(Duration::from_secs(60)))
                .await
                .expect("an answered job");
        }
        let taken = |answer: &&JobResult| {
            answer.error.is_none() && answer.job_id() == Some(job.id.as_str())
        };
        let answers: Vec<_> = bed
            .standin
            .job_results()
            .iter()
            .filter(taken)
            .cloned()
            .collect();
        let [answer] = &answers[..] else {
            panic!("not one answer but {answers:#?}")
        };
        let answered = bed.standin.job(&job.id).expect("the job");
        jobs.push(answered.clone());
        if answered.state != JobState::Continued {
            return (jobs, answer.clone());
        }
        assert!(jobs.len() < 100, "it goes on for ever");
        bed.standin.advance(NEXT_JOB);
        job = bed.standin.next_job(&job.id).expect("the job that goes on");
    }
}

fn variables(answer: &JobResult) -> [&str; 4] {
    ["Status", "WaitedSeconds", "PathCount", "DistributionIds"].map(|name| {
        answer.body["outputVariables"][name]
            .as_str()
            .unwrap_or("missing")
    })
}

fn failure(answer: &JobResult) -> (&str, &str) {
    let detail = |name: &str| {
        answer.body["failureDetails"][name]
            .as_str()
            .expect("a failure")
    };
    (detail("type"), detail("message"))
}

fn summary(answer: &JobResult) -> &str {
    answer.body["executionDetails"]["summary"]
        .as_str()
        .expect("a summary")
}

#[tokio::test]
async fn succeeds_at_once_where_the_edge_is_fresh_at_once() {
    for times in [1, 2] {
        let bed = account(0);
        let (jobs, answer) = run(&bed, &json!({"wait": true}), times).await;
        assert_eq!(jobs.len(), 1);
        assert_eq!(variables(&answer), ["Completed", "0", "1", FIRST]);
        let id = bed.standin.invalidations()[0]
            .outcome
            .clone()
            .expect("taken");
        assert_eq!(answer.body["executionDetails"]["percentComplete"], 100);
        assert_eq!(
            summary(&answer),
            format!("fresh everywhere after 0 s; {FIRST}: submitted as {id} (1 path: /*)")
        );
    }
}

#[tokio::test]
async fn polls_for_some_seconds_before_it_hands_on() {
    let bed = account(5);
    let (jobs, answer) = run(&bed, &json!({"wait": true}), 1).await;
    assert_eq!(jobs.len(), 1);
    assert_eq!(variables(&answer), ["Completed", "6", "1", FIRST]);
}

#[tokio::test]
async fn goes_on_by_token_until_the_edge_is_fresh() {
    for times in [1, 2] {
        let bed = account(90);
        let (jobs, answer) = run(&bed, &json!({"wait": "5m", "paths": ["/a", "/b"]}), times).await;
        assert_eq!(
            jobs.len(),
            3 + usize::from(times == 1),
            "{times} deliveries take their own time to poll"
        );
        assert!(
            jobs.iter()
                .all(|job| job.state == JobState::Continued || job.id == jobs[jobs.len() - 1].id)
        );
        let [status, waited, paths, _] = variables(&answer);
        assert_eq!((status, paths), ("Completed", "2"));
        assert!(
            (90..130).contains(&waited.parse().expect("seconds")),
            "{waited}"
        );
        let ids: std::collections::BTreeSet<_> = bed
            .standin
            .invalidations()
            .into_iter()
            .map(|one| one.outcome.expect("taken"))
            .collect();
        assert_eq!(
            ids.len(),
            1,
            "one invalidation, however often the event came"
        );
        let continued = bed
            .standin
            .job_results()
            .into_iter()
            .find(|answer| answer.error.is_none())
            .expect("an answer");
        assert_eq!(continued.body["executionDetails"]["percentComplete"], 50);
        assert_eq!(continued.body["outputVariables"], Value::Null);
        let id = ids.first().expect("an id");
        assert_eq!(
            summary(&continued),
            format!(
                "0 of 1 distribution fresh after 6 s; {FIRST}: submitted as {id} (2 paths: /a /b)"
            )
        );
    }
}

#[tokio::test]
async fn ends_a_wait_in_vain_as_the_pipeline_wants() {
    for times in [1, 2] {
        let bed = account(1_000_000);
        let (jobs, answer) = run(&bed, &json!({"wait": "2m"}), times).await;
        assert!(jobs.len() >= 3);
        assert_eq!(jobs[jobs.len() - 1].state, JobState::Succeeded);
        let [status, waited, ..] = variables(&answer);
        assert_eq!(status, "InProgress");
        assert!(
            (120..170).contains(&waited.parse().expect("seconds")),
            "{waited}"
        );
        let text = summary(&answer);
        assert!(text.starts_with(&format!(
            "not fresh everywhere after {waited} s, and CloudFront goes on by itself; "
        )));

        let (jobs, answer) = run(&bed, &json!({"wait": "2m", "onTimeout": "fail"}), times).await;
        assert_eq!(jobs[jobs.len() - 1].state, JobState::Failed);
        let (kind, message) = failure(&answer);
        assert_eq!(kind, "SystemUnavailable");
        assert!(
            message.contains("though CloudFront goes on by itself: raise \"wait\""),
            "{message}"
        );
    }
}

#[tokio::test]
async fn goes_on_by_token_while_cloudfront_is_busy() {
    for (wait, times) in [(json!(null), 1), (json!("10m"), 1), (json!("10m"), 2)] {
        let bed = account(0);
        // Five minutes at two polls a minute; an invalidation is asked for once a delivery.
        let fault = Fault::TooManyInvalidationsInProgress;
        bed.standin
            .fail(Operation::CreateInvalidation, fault, 10 * times as u64);
        let (jobs, answer) = run(&bed, &json!({"wait": wait}), times).await;
        assert_eq!(jobs.len(), 11, "{wait}");
        assert_eq!(variables(&answer)[1], "300");
        assert_eq!(
            variables(&answer)[0],
            if wait.is_null() {
                "InProgress"
            } else {
                "Completed"
            }
        );
    }
}

#[tokio::test]
async fn fails_when_cloudfront_is_busy_for_too_long() {
    let bed = account(0);
    bed.standin.fail(
        Operation::CreateInvalidation,
        Fault::TooManyInvalidationsInProgress,
        1_000,
    );
    let (jobs, answer) = run(&bed, &json!({"wait": "1m"}), 1).await;
    assert_eq!(jobs.len(), 3);
    let (kind, message) = failure(&answer);
    assert_eq!(kind, "SystemUnavailable");
    assert!(
        message.starts_with("CloudFront is busy with earlier invalidations and takes none for "),
        "{message}"
    );
    assert!(message.ends_with("try again in a minute"), "{message}");
}

#[tokio::test]
async fn names_which_of_several_distributions_failed() {
    for times in [1, 2] {
        let bed = account(10);
        let named = json!({"distribution": [FIRST, "E9EXAMPLE1ABC", THIRD], "wait": true});
        let (jobs, answer) = run(&bed, &named, times).await;
        assert_eq!((jobs.len(), jobs[0].state), (1, JobState::Failed));
        let received = bed.standin.invalidations();
        let id = |distribution: &str| {
            let one = received
                .iter()
                .find(|one| one.distribution == distribution)
                .expect("asked");
            one.outcome.clone().expect("taken")
        };
        let (kind, message) = failure(&answer);
        assert_eq!(kind, "ConfigurationError");
        assert_eq!(
            message,
            format!(
                "{FIRST}: submitted as {} (1 path: /*); distribution E9EXAMPLE1ABC does not exist in this account: \
                 correct DISTRIBUTION_ID or the action's UserParameters; {THIRD}: submitted as {} (1 path: /*)",
                id(FIRST),
                id(THIRD)
            )
        );
        assert_eq!(
            answer.body["failureDetails"]["externalExecutionId"],
            format!("{},{}", id(FIRST), id(THIRD))
        );
    }
}

#[tokio::test]
async fn names_the_distribution_that_is_denied_beside_those_that_succeeded() {
    for times in [1, 2] {
        denied_one_of_three(times).await;
    }
}

async fn denied_one_of_three(times: usize) {
    let bed = account(10);
    // The second of three calls is denied, whichever distribution it is for.
    bed.standin
        .fail(Operation::CreateInvalidation, Fault::AccessDenied, 1);
    let (_, answer) = run(
        &bed,
        &json!({"distribution": [FIRST, SECOND, THIRD], "wait": true}),
        times,
    )
    .await;
    let (kind, message) = failure(&answer);
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
async fn fails_a_job_whose_token_it_cannot_read() {
    let bed = account(0);
    let mut event = bed.standin.start_job(None).event;
    event["CodePipeline.job"]["data"]["continuationToken"] = json!("0 v0 {}");
    bed.handle(&event).await.expect("an answer");
    assert_eq!(
        bed.only_answer().failure(),
        (
            "ConfigurationError",
            "the continuation token has version \"0\" where this function writes \"1\": it was updated in the middle of \
             a wait, so run the action again"
        )
    );
    assert_eq!(bed.taken(), []);
}

#[tokio::test]
async fn keeps_waiting_where_the_status_is_not_told_for_a_while() {
    let bed = account(30);
    bed.standin
        .fail(Operation::GetInvalidation, Fault::InternalError, 10);
    let (_, answer) = run(&bed, &json!({"wait": true}), 1).await;
    assert_eq!(variables(&answer)[0], "Completed");
}

#[tokio::test]
async fn names_the_permission_that_waiting_needs() {
    let bed = account(30);
    bed.standin
        .fail(Operation::GetInvalidation, Fault::AccessDenied, 1);
    let (_, answer) = run(&bed, &json!({"wait": true}), 1).await;
    let (kind, message) = failure(&answer);
    assert_eq!(kind, "PermissionError");
    assert!(message.starts_with(
        "not allowed to call cloudfront:GetInvalidation on arn:aws:cloudfront::111122223333:distribution/E1EXAMPLE1ABC"
    ));
}

#[tokio::test]
async fn waits_where_the_stack_says_so_and_the_action_does_not() {
    let bed = account(5).set("WAIT", "true");
    let (_, answer) = run(&bed, &json!({}), 1).await;
    assert_eq!(variables(&answer)[0], "Completed");
    let (_, answer) = run(&bed, &json!({"wait": false}), 1).await;
    assert_eq!(variables(&answer)[0], "InProgress");
}

#[tokio::test]
async fn begins_the_caller_reference_with_what_people_call_the_request() {
    let bed = account(0);
    run(&bed, &json!({"reference": "release-42"}), 1).await;
    assert!(
        bed.standin.invalidations()[0]
            .reference
            .starts_with("release-42-")
    );
}

#[tokio::test]
async fn finds_the_invalidation_that_a_reference_was_used_for_and_waits_for_it() {
    let options = Options {
        clock: Clock::frozen(),
        reuse: ReferenceReuse::Observed,
        completes_after: Duration::from_secs(40),
        throttle: false,
        ..Options::default()
    };
    let bed = Bed::with(options);
    bed.standin
        .fail(Operation::CreateInvalidation, Fault::LostResponse, 1);
    let (jobs, answer) = run(&bed, &json!({"wait": true}), 1).await;
    assert!(jobs.len() > 1);
    assert_eq!(variables(&answer)[0], "Completed");
}

#[tokio::test]
async fn tells_no_freshness_of_an_invalidation_whose_id_it_does_not_know() {
    let options = Options {
        clock: Clock::frozen(),
        reuse: ReferenceReuse::Observed,
        completes_after: Duration::from_secs(40),
        throttle: false,
        ..Options::default()
    };
    let bed = Bed::with(options);
    bed.standin
        .fail(Operation::CreateInvalidation, Fault::LostResponse, 1);
    bed.standin
        .fail(Operation::ListInvalidations, Fault::AccessDenied, 1);
    let (jobs, answer) = run(&bed, &json!({"wait": true}), 1).await;
    assert!(jobs.len() > 1, "the next job asks again, and finds it");
    let [status, waited, ..] = variables(&answer);
    assert_eq!(status, "Completed");
    assert!(waited.parse::<u64>().expect("seconds") >= 30, "{waited}");

    bed.standin
        .fail(Operation::CreateInvalidation, Fault::LostResponse, 1);
    bed.standin
        .fail(Operation::ListInvalidations, Fault::AccessDenied, 1_000);
    let (_, answer) = run(&bed, &json!({"wait": "2m"}), 1).await;
    assert_eq!(variables(&answer)[0], "InProgress");
}

#[tokio::test]
async fn hands_on_what_it_knows_when_a_status_is_not_told_in_time() {
    let bed = account(30);
    bed.standin.fail(Operation::GetInvalidation, Fault::Hang, 9);
    let job = bed.standin.start_job(Some(r#"{"wait": true}"#));
    let function = bed.patient_function();
    function
        .handle(&job.event, &invocation(Duration::from_secs(4)))
        .await
        .expect("an answer");
    let told = bed.only_answer();
    assert!(
        told.goes_on()
            .starts_with("0 of 1 distribution fresh after 0 s; "),
        "{told:?}"
    );
}

#[tokio::test]
async fn goes_on_by_token_while_cloudfront_has_no_time_to_tell_its_distributions() {
    let page = "distribution?Marker=E4EXAMPLE1ABC";
    let options = Options {
        clock: Clock::frozen(),
        throttle: false,
        ..Options::default()
    }
    .with_document("distribution", include_str!("../distributions/list.xml"))
    .with_document(page, include_str!("../distributions/list-2.xml"));
    let bed = Bed::with(options);
    bed.standin
        .fail(Operation::ListDistributions, Fault::ServiceUnavailable, 4);
    let (jobs, answer) = run(&bed, &json!({"distribution": "www.example.com"}), 1).await;
    assert_eq!(jobs.len(), 2);
    assert_eq!(variables(&answer)[0], "InProgress");
    let first = bed.standin.job_results()[0].clone();
    assert_eq!(
        summary(&first),
        "CloudFront is busy and has not told the distributions after 0 s"
    );
}

#[tokio::test]
async fn takes_a_duplicate_of_an_answered_job_for_answered_though_codepipeline_forgot_it() {
    let bed = account(0);
    let job = bed.standin.start_job(None);
    let function = bed.patient_function();
    let minute = invocation(Duration::from_secs(60));
    function
        .handle(&job.event, &minute)
        .await
        .expect("an answer");
    bed.standin.fail(
        Operation::PutJobSuccessResult,
        Fault::JobNotFoundException,
        1,
    );
    function
        .handle(&job.event, &minute)
        .await
        .expect("no error for what was answered");
}

#[tokio::test]
async fn finds_distributions_by_their_names() {
    let list = include_str!("../distributions/list.xml");
    let page = include_str!("../distributions/list-2.xml");
    let options = Options {
        clock: Clock::frozen(),
        throttle: false,
        ..Options::default()
    }
    .with_document("distribution", list)
    .with_document("distribution?Marker=E4EXAMPLE1ABC", page);
    let bed = Bed::with(options);
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
    let (_, answer) = run(&bed, &json!({"distribution": alias}), 1).await;
    assert_eq!(
        answer.body["outputVariables"]["DistributionIds"],
        json!(id.expect("an id"))
    );

    let (_, answer) = run(&bed, &json!({"distribution": "nowhere.example.org"}), 1).await;
    let (kind, message) = failure(&answer);
    assert_eq!(kind, "ConfigurationError");
    assert!(message.starts_with(
        "no distribution of this account answers to nowhere.example.org (the nearest are "
    ));
}
