//! Cache tags in pipeline jobs: a distribution without a cache tag header would report success and keep its copies.

use serde_json::{Value, json};

use crate::fixture::{
    FIRST, Fixture, SECOND, configuration_with, denial_with_statement, distribution_arn,
    failure_details, logged, logged_at,
};
use crate::standin::{Clock, Fault, JobState, Operation, Options};
use crate::waiting::run;

const WITH_TAGS: &str = "<CacheTagConfig><HeaderName>cache-tag</HeaderName></CacheTagConfig>";

/// An account whose first distribution reads cache tags, and whose second does not.
fn fixture() -> Fixture {
    Fixture::with(options())
}

fn options() -> Options {
    let path = format!("distribution/{FIRST}/config");
    Options::default().with_document(&path, &configuration_with(WITH_TAGS))
}

fn at_frozen_time() -> Fixture {
    Fixture::with(Options {
        clock: Clock::frozen(),
        throttle: false,
        ..options()
    })
}

fn refused(distribution: &str, tags: &str) -> String {
    format!(
        "distribution {distribution} has no cache tag header (CacheTagConfig), so CloudFront would report success for \
         {tags} and invalidate nothing: add CacheTagConfig to the distribution, or send paths"
    )
}

#[tokio::test]
async fn refuses_a_tag_for_a_distribution_without_a_cache_tag_header() {
    let fixture = fixture();
    let parameters = json!({"distribution": SECOND, "paths": ["#product:42", "/a.html", "#Blog"]});
    let job = fixture.run_job(Some(&parameters.to_string())).await;
    let message = refused(SECOND, "#Blog #product:42");
    assert_eq!(job.failure(), ("ConfigurationError", message.as_str()));
    assert_eq!(fixture.standin.invalidations(), []);
}

#[tokio::test]
async fn refuses_a_tag_that_is_written_in_two_cases() {
    let fixture = fixture();
    let parameters = json!({"distribution": SECOND, "paths": ["#Blog", "#blog"]});
    let job = fixture.run_job(Some(&parameters.to_string())).await;
    let message = refused(SECOND, "#Blog #blog");
    assert_eq!(job.failure(), ("ConfigurationError", message.as_str()));
    assert_eq!(fixture.standin.invalidations(), []);
}

#[tokio::test]
async fn sends_a_tag_to_a_distribution_with_a_cache_tag_header() {
    let fixture = fixture();
    let job = fixture.run_job(Some(r##"{"paths": ["#blog"]}"##)).await;
    assert_eq!(job.variable("Paths"), "#blog");
    let id = fixture.first_id();
    assert_eq!(
        crate::fixture::summary(&job.result),
        format!("{FIRST}: submitted as {id} (1 path: #blog)")
    );
    // One read serves the check and the search for a staging distribution.
    assert_eq!(
        fixture.standin.calls(),
        [
            Operation::GetDistributionConfig,
            Operation::CreateInvalidation,
            Operation::PutJobSuccessResult
        ]
    );
}

#[tokio::test]
async fn refuses_only_the_distribution_without_a_cache_tag_header() {
    let fixture = fixture();
    let parameters = json!({"distribution": [SECOND, FIRST], "paths": "#blog"});
    let job = fixture.run_job(Some(&parameters.to_string())).await;
    let id = fixture.first_id();
    let message = format!(
        "{}; {FIRST}: submitted as {id} (1 path: #blog)",
        refused(SECOND, "#blog")
    );
    assert_eq!(job.failure(), ("ConfigurationError", message.as_str()));
    assert_eq!(
        fixture.accepted(),
        [(FIRST.to_owned(), vec!["#blog".to_owned()])]
    );
}

#[tokio::test]
async fn sends_everything_in_place_of_a_tag_without_a_check() {
    let fixture = fixture().set("DISTRIBUTION_ID", SECOND);
    let parameters = r##"{"paths": ["#blog", "/*"]}"##;
    let job = fixture.run_job(Some(parameters)).await;
    assert_eq!(job.variable("Paths"), "/*");
}

#[tokio::test]
async fn sends_a_tag_that_cannot_be_checked_with_a_note() {
    let denied = denial_with_statement(
        "AccessDenied",
        "cloudfront:GetDistributionConfig",
        &distribution_arn(FIRST),
    );
    let fixture = fixture();
    let operation = Operation::GetDistributionConfig;
    fixture.standin.fail(operation, Fault::AccessDenied, 1);
    logged();
    let job = fixture.run_job(Some(r##"{"paths": ["#blog"]}"##)).await;
    let note = format!(
        "not checked whether it has a cache tag header, or a staging distribution with a cache of its own: {denied}"
    );
    let id = fixture.first_id();
    assert_eq!(
        crate::fixture::summary(&job.result),
        format!("{FIRST}: submitted as {id} (1 path: #blog); {note}")
    );
    let warnings = logged_at("WARN");
    let warnings: Vec<_> = warnings
        .iter()
        .map(|line| [&line["distribution"], &line["message"]])
        .collect();
    assert_eq!(warnings, [[&json!(FIRST), &json!(note)]]);
}

#[tokio::test]
async fn repeats_the_warning_about_a_tag_in_the_result_of_a_job_that_waited() {
    let fixture = at_frozen_time();
    let operation = Operation::GetDistributionConfig;
    fixture.standin.fail(operation, Fault::AccessDenied, 1);
    let parameters = json!({"paths": "#blog", "wait": "5m"});
    let (jobs, result) = run(&fixture, &parameters, 1).await;
    assert_eq!(jobs.len(), 2);
    let id = fixture.first_id();
    assert_eq!(
        crate::fixture::summary(&result),
        format!(
            "completed after 36 s; {FIRST}: submitted as {id} (1 path: #blog); possibly its cache tags have no effect, or \
             its staging distribution is not invalidated: the log of the function has the reason"
        )
    );
}

#[tokio::test]
async fn submits_no_tag_until_it_can_be_checked() {
    let unavailable = format!(
        "could not read the configuration of {FIRST}: InternalError: An internal error occurred.; try again"
    );
    let throttled = format!(
        "could not read the configuration of {FIRST} now: Throttling: Rate exceeded; try again in a minute"
    );
    let no_response =
        format!("could not read the configuration of {FIRST}: no response in time; try again");
    for (fault, calls, reason) in [
        (Fault::InternalError, 4, unavailable),
        (Fault::Throttling, 4, throttled),
        (Fault::Hang, 1, no_response),
    ] {
        // A call without a response takes three seconds.
        for has_header in [true, false]
            .into_iter()
            .skip(usize::from(fault == Fault::Hang))
        {
            let fixture = at_frozen_time();
            let operation = Operation::GetDistributionConfig;
            fixture.standin.fail(operation, fault, calls);
            logged();
            let first = fixture.standin.start_job(Some(r##"{"paths": "#blog"}"##));
            let text = fixture.handle(&first.event).await.expect("a result");
            assert_eq!(
                text,
                format!("0 of 1 distribution completed after 0 s; {reason}")
            );
            assert_eq!(fixture.only_result().state, Some(JobState::Continued));
            assert_eq!(fixture.standin.invalidations(), []);
            assert_eq!(logged_at("WARN"), Vec::<Value>::new());
            if !has_header {
                let path = format!("distribution/{FIRST}/config");
                fixture.standin.set_document(&path, &configuration_with(""));
            }
            let next = fixture.standin.next_job(&first.id).expect("the next job");
            let text = fixture.handle(&next.event).await.expect("a result");
            if has_header {
                let id = fixture.first_id();
                assert_eq!(text, format!("{FIRST}: submitted as {id} (1 path: #blog)"));
            } else {
                assert_eq!(text, refused(FIRST, "#blog"));
                assert_eq!(fixture.standin.invalidations(), []);
            }
        }
    }
}

#[tokio::test]
async fn submits_the_distributions_whose_tags_could_be_checked() {
    const THIRD: &str = "E3EXAMPLE1ABC";
    let path = |id: &str| format!("distribution/{id}/config");
    // The stand-in has no configuration of the third, which is a failure of the service.
    let options = options()
        .with_distribution(THIRD)
        .with_document(&path(SECOND), &configuration_with(WITH_TAGS));
    let fixture = Fixture::with(options);
    let parameters = json!({"distribution": [FIRST, THIRD, SECOND], "paths": "#blog"});
    let first = fixture.standin.start_job(Some(&parameters.to_string()));
    fixture.handle(&first.event).await.expect("a result");
    assert_eq!(fixture.only_result().state, Some(JobState::Continued));
    let accepted = || {
        let accepted = fixture.accepted().into_iter();
        let mut ids: Vec<_> = accepted.map(|(id, _)| id).collect();
        ids.sort();
        ids
    };
    assert_eq!(accepted(), [FIRST, SECOND]);
    let config = configuration_with(WITH_TAGS);
    fixture.standin.set_document(&path(THIRD), &config);
    let next = fixture.standin.next_job(&first.id).expect("the next job");
    fixture.handle(&next.event).await.expect("a result");
    let ended = fixture.standin.job(&next.id).expect("the job");
    assert_eq!(ended.state, JobState::Succeeded);
    assert_eq!(accepted(), [FIRST, SECOND, THIRD]);
}

#[tokio::test]
async fn fails_without_sending_a_tag_that_cannot_be_checked_for_too_long() {
    let fixture = at_frozen_time();
    let operation = Operation::GetDistributionConfig;
    fixture
        .standin
        .fail_at_random(operation, Fault::InternalError, 100, 1);
    let (jobs, result) = run(&fixture, &json!({"paths": "#blog"}), 1).await;
    assert_eq!(jobs.len(), 31);
    let message = format!(
        "could not read the configuration of {FIRST}: InternalError: An internal error occurred.; try again"
    );
    assert_eq!(
        failure_details(&result),
        ("SystemUnavailable", message.as_str())
    );
    assert_eq!(fixture.standin.invalidations(), []);
}
