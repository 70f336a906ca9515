//! A staging distribution has a cache of its own: it is invalidated too, or the result names it.

use std::time::Duration;

use cloudfront_invalidator::invocation::RESPONSE_RESERVE;
use serde_json::json;

use crate::fixture::{
    ALWAYS, BUCKET, FIRST, Fixture, SECOND, configuration_with, denial_with_statement,
    distribution_arn, failure_details, invocation, logged, logged_at, one_minute, summary,
};
use crate::queue::{ago, batch, failures, notification, now};
use crate::s3::event;
use crate::standin::{Clock, Fault, JobState, Operation, Options};
use crate::waiting::run;

pub const STAGING: &str = "E8EXAMPLE1ABC";
const STAGING_DOMAIN: &str = "d888888abcdef8.cloudfront.net";
const POLICY: &str = "11111111-2222-3333-4444-555555555555";

fn policy_document(enabled: bool) -> String {
    format!(
        "<ContinuousDeploymentPolicyConfig xmlns=\"http://cloudfront.amazonaws.com/doc/2020-05-31/\">\
         <StagingDistributionDnsNames><Quantity>1</Quantity><Items><DnsName>{STAGING_DOMAIN}</DnsName></Items>\
         </StagingDistributionDnsNames><Enabled>{enabled}</Enabled></ContinuousDeploymentPolicyConfig>"
    )
}

/// Returns an account's list: the first distribution, and its staging distribution.
fn list(enabled: bool) -> String {
    let summary = |id: &str, domain: &str, staging: bool, enabled: bool| {
        let config = configuration_with("");
        let (_, config) = config.split_once("<Origins>").expect("origins");
        let config = config
            .replace("</DistributionConfig>", "")
            .replace("<Enabled>true", &format!("<Enabled>{enabled}"));
        format!(
            "<DistributionSummary><Id>{id}</Id><DomainName>{domain}</DomainName><Staging>{staging}</Staging>\
             <Origins>{config}</DistributionSummary>"
        )
    };
    format!(
        "<DistributionList xmlns=\"http://cloudfront.amazonaws.com/doc/2020-05-31/\"><Marker></Marker><MaxItems>100\
         </MaxItems><IsTruncated>false</IsTruncated><Quantity>2</Quantity><Items>{}{}</Items></DistributionList>",
        summary(FIRST, "d111111abcdef8.cloudfront.net", false, true),
        summary(STAGING, STAGING_DOMAIN, true, enabled)
    )
}

/// An account whose first distribution has a continuous deployment policy.
fn options(policy_enabled: bool) -> Options {
    let policy = format!("<ContinuousDeploymentPolicyId>{POLICY}</ContinuousDeploymentPolicyId>");
    let config = |id: &str| format!("distribution/{id}/config");
    Options {
        clock: Clock::frozen(),
        throttle: false,
        ..Options::default()
    }
    .with_distribution(STAGING)
    .with_document(&config(FIRST), &configuration_with(&policy))
    .with_document(
        &config(STAGING),
        &configuration_with("<Staging>true</Staging>"),
    )
    .with_document(
        &format!("continuous-deployment-policy/{POLICY}/config"),
        &policy_document(policy_enabled),
    )
    .with_document("distribution", &list(true))
}

pub fn fixture(policy_enabled: bool) -> Fixture {
    Fixture::with(options(policy_enabled))
}

/// Returns the distributions that were invalidated, sorted.
fn invalidated(fixture: &Fixture) -> Vec<String> {
    let accepted = fixture.accepted().into_iter();
    let mut ids: Vec<_> = accepted.map(|(id, _)| id).collect();
    ids.sort();
    ids
}

/// Returns the id of the only invalidation of a distribution.
fn invalidation_of(fixture: &Fixture, distribution: &str) -> String {
    let received = fixture.standin.invalidations();
    let mut ids = received
        .iter()
        .filter(|invalidation| invalidation.distribution == distribution)
        .map(|invalidation| invalidation.outcome.clone().expect("an id"));
    let id = ids.next().expect("an invalidation");
    assert_eq!(ids.next(), None);
    id
}

fn warnings() -> Vec<serde_json::Value> {
    let lines = logged_at("WARN").into_iter();
    lines.map(|line| line["message"].clone()).collect()
}

#[tokio::test]
async fn invalidates_the_staging_distribution_of_an_enabled_policy() {
    let fixture = fixture(true).set("INVALIDATE_STAGING", "true");
    let job = fixture.run_job(Some(r#"{"paths": ["/a", "/b"]}"#)).await;
    let paths = vec!["/a".to_owned(), "/b".to_owned()];
    let mut accepted = fixture.accepted();
    accepted.sort();
    assert_eq!(
        accepted,
        [
            (FIRST.to_owned(), paths.clone()),
            (STAGING.to_owned(), paths)
        ]
    );
    assert_eq!(
        job.variable("DistributionIds"),
        format!("{FIRST},{STAGING}")
    );
    assert_eq!(job.variable("PathCount"), "4");
    let (first, staging) = (
        invalidation_of(&fixture, FIRST),
        invalidation_of(&fixture, STAGING),
    );
    assert_eq!(
        job.variable("InvalidationIds"),
        format!("{first},{staging}")
    );
    assert_eq!(
        summary(&job.result),
        format!(
            "{FIRST}: submitted as {first} (2 paths: /a /b); {STAGING}: submitted as {staging} (2 paths: /a /b); staging \
             distribution of {FIRST}"
        )
    );
}

#[tokio::test]
async fn invalidates_a_staging_distribution_that_distribution_id_names() {
    let both = format!("{FIRST},{STAGING}");
    let fixture = fixture(true).set("DISTRIBUTION_ID", &both);
    logged();
    let job = fixture.run_job(None).await;
    assert_eq!(job.variable("DistributionIds"), both);
    assert_eq!(warnings(), Vec::<String>::new());
    fixture.standin.reset();
    // The job names the primary distribution only; the role may invalidate both.
    fixture.run_job(Some(FIRST)).await;
    assert_eq!(invalidated(&fixture), [FIRST, STAGING]);
}

#[tokio::test]
async fn warns_of_a_staging_distribution_that_it_does_not_invalidate() {
    let advice = "set the stack's InvalidateStaging (INVALIDATE_STAGING) to true, or add the staging distribution to \
                  DistributionId (DISTRIBUTION_ID)";
    let denied =
        |action: &str, resource: &str| denial_with_statement("AccessDenied", action, resource);
    let policy_arn =
        format!("arn:aws:cloudfront::111122223333:continuous-deployment-policy/{POLICY}");
    for (operation, note) in [
        (
            None,
            format!(
                "its staging distribution {STAGING} has a cache of its own and is not invalidated: {advice}"
            ),
        ),
        (
            Some(Operation::ListDistributions),
            format!(
                "its staging distribution {STAGING_DOMAIN} has a cache of its own and is not invalidated: {}; {advice}",
                denied("cloudfront:ListDistributions", "*")
            ),
        ),
        (
            Some(Operation::GetContinuousDeploymentPolicyConfig),
            format!(
                "if continuous deployment policy {POLICY} is enabled, its staging distribution has a cache of its own \
                 and is not invalidated: {}; {advice}",
                denied(
                    "cloudfront:GetContinuousDeploymentPolicyConfig",
                    &policy_arn
                )
            ),
        ),
    ] {
        let fixture = fixture(true);
        if let Some(operation) = operation {
            fixture.standin.fail(operation, Fault::AccessDenied, 1);
        }
        logged();
        let job = fixture.run_job(None).await;
        let id = invalidation_of(&fixture, FIRST);
        assert_eq!(
            summary(&job.result),
            format!("{FIRST}: submitted as {id} (1 path: /*); {note}")
        );
        assert_eq!(warnings(), [json!(note)]);
        assert_eq!(invalidated(&fixture), [FIRST]);
    }
}

#[tokio::test]
async fn does_not_warn_of_a_staging_distribution_that_the_job_names_when_the_policy_is_denied() {
    let both = format!("{FIRST},{STAGING}");
    let fixture = fixture(true).set("DISTRIBUTION_ID", &both);
    let operation = Operation::GetContinuousDeploymentPolicyConfig;
    fixture.standin.fail(operation, Fault::AccessDenied, 1);
    logged();
    let job = fixture.run_job(None).await;
    let (first, staging) = (
        invalidation_of(&fixture, FIRST),
        invalidation_of(&fixture, STAGING),
    );
    assert_eq!(
        summary(&job.result),
        format!(
            "{FIRST}: submitted as {first} (1 path: /*); {STAGING} is assumed to be its staging distribution, because \
             continuous deployment policy {POLICY} cannot be read; {STAGING}: submitted as {staging} (1 path: /*)"
        )
    );
    assert_eq!(warnings(), Vec::<String>::new());
}

#[tokio::test]
async fn leaves_out_the_staging_distribution_of_a_policy_that_is_disabled_or_deleted() {
    let deleted = {
        let mut options = options(true);
        let path = format!("continuous-deployment-policy/{POLICY}/config");
        options.documents.remove(&path);
        Fixture::with(options)
    };
    for fixture in [fixture(false), deleted] {
        let fixture = fixture.set("INVALIDATE_STAGING", "true");
        logged();
        let job = fixture.run_job(None).await;
        assert_eq!(job.variable("DistributionIds"), FIRST);
        assert_eq!(invalidated(&fixture), [FIRST]);
        assert_eq!(fixture.calls(Operation::ListDistributions), 0);
        assert_eq!(warnings(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn waits_for_the_staging_distribution_without_reading_its_policy_again() {
    let options = Options {
        completes_after: Duration::from_secs(20),
        ..options(true)
    };
    let fixture = Fixture::with(options).set("INVALIDATE_STAGING", "true");
    let first = fixture.standin.start_job(Some(r#"{"wait": "5m"}"#));
    let invalidator = fixture.invalidator_without_pauses();
    let handle = async |event| invalidator.handle(event, &one_minute()).await;
    handle(&first.event).await.expect("a result");
    assert_eq!(fixture.only_result().state, Some(JobState::Continued));
    let (primary, staging) = (
        invalidation_of(&fixture, FIRST),
        invalidation_of(&fixture, STAGING),
    );
    let token = &fixture.only_result().result.body["continuationToken"];
    let token = token.as_str().expect("a token");
    assert!(
        token.ends_with(&format!(" {FIRST}:{primary} {STAGING}:{staging}")),
        "{token}"
    );
    fixture.standin.advance(Duration::from_secs(30));
    let next = fixture.standin.next_job(&first.id).expect("the next job");
    handle(&next.event).await.expect("a result");
    let ended = fixture.standin.job(&next.id).expect("the job");
    assert_eq!(ended.state, JobState::Succeeded);
    for operation in [
        Operation::GetDistributionConfig,
        Operation::GetContinuousDeploymentPolicyConfig,
        Operation::ListDistributions,
    ] {
        assert_eq!(fixture.calls(operation), 1, "{operation:?}");
    }
}

#[tokio::test]
async fn repeats_the_warning_in_the_result_of_a_job_that_waited() {
    let options = Options {
        completes_after: Duration::from_secs(20),
        ..options(true)
    };
    let fixture = Fixture::with(options);
    let first = fixture.standin.start_job(Some(r#"{"wait": "5m"}"#));
    let invalidator = fixture.invalidator_without_pauses();
    let handle = async |event| invalidator.handle(event, &one_minute()).await;
    handle(&first.event).await.expect("a result");
    fixture.standin.advance(Duration::from_secs(30));
    let next = fixture.standin.next_job(&first.id).expect("the next job");
    let text = handle(&next.event).await.expect("a result");
    let id = invalidation_of(&fixture, FIRST);
    assert_eq!(
        text,
        format!(
            "completed after 36 s; {FIRST}: submitted as {id} (1 path: /*); its staging distribution is possibly not \
             invalidated: the log of the function has the reason"
        )
    );
    assert_eq!(fixture.calls(Operation::GetDistributionConfig), 1);
}

#[tokio::test]
async fn reads_configurations_beside_a_slow_invalidation() {
    let fixture = fixture(true).set("INVALIDATE_STAGING", "true");
    let operation = Operation::CreateInvalidation;
    // One attempt of the SDK takes eight seconds.
    fixture.standin.fail(operation, Fault::Hang, 1);
    let started = tokio::time::Instant::now();
    let job = fixture.standin.start_job(None);
    let invalidator = fixture.invalidator();
    let invocation = invocation(Duration::from_secs(6));
    let handled = invalidator.handle(&job.event, &invocation).await;
    handled.expect("a result");
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(invalidated(&fixture), [STAGING]);
}

#[tokio::test]
async fn never_reads_a_configuration_before_the_invalidation() {
    for fault in [Fault::Hang, Fault::InternalError, Fault::Throttling] {
        let fixture = fixture(true);
        let operation = Operation::GetDistributionConfig;
        fixture.standin.fail(operation, fault, ALWAYS);
        logged();
        let started = tokio::time::Instant::now();
        let job = fixture.run_job(None).await;
        assert!(started.elapsed() < Duration::from_secs(5), "{fault:?}");
        let id = invalidation_of(&fixture, FIRST);
        let reason = match fault {
            Fault::Hang => {
                format!(
                    "could not read the configuration of {FIRST}: no response in time; try again"
                )
            }
            Fault::Throttling => format!(
                "could not read the configuration of {FIRST} now: Throttling: Rate exceeded; try again in a minute"
            ),
            _ => format!(
                "could not read the configuration of {FIRST}: InternalError: An internal error occurred.; try again"
            ),
        };
        let note = format!(
            "not checked whether it has a staging distribution with a cache of its own: {reason}"
        );
        assert_eq!(
            summary(&job.result),
            format!("{FIRST}: submitted as {id} (1 path: /*); {note}")
        );
        assert_eq!(warnings(), [json!(note)]);
        let first = fixture.standin.calls()[0];
        assert_eq!(first, Operation::CreateInvalidation, "{fault:?}");
    }
}

/// The ways in which a staging distribution cannot be found for the moment, each with AWS's message and the warning.
fn transient_failures() -> Vec<(Operation, Fault, String, String)> {
    let policy = Operation::GetContinuousDeploymentPolicyConfig;
    let unread = format!(
        "if continuous deployment policy {POLICY} is enabled, its staging distribution has a cache of its own and is not \
         invalidated"
    );
    let unlisted = format!(
        "its staging distribution {STAGING_DOMAIN} has a cache of its own and is not invalidated"
    );
    let unchecked =
        "not checked whether it has a staging distribution with a cache of its own".to_owned();
    let failing = |call: &str| {
        format!("could not {call}: InternalError: An internal error occurred.; try again")
    };
    let throttled = |call: &str| {
        format!("could not {call} now: Throttling: Rate exceeded; try again in a minute")
    };
    let read_policy = format!("read continuous deployment policy {POLICY}");
    vec![
        (
            policy,
            Fault::InternalError,
            failing(&read_policy),
            unread.clone(),
        ),
        (policy, Fault::Throttling, throttled(&read_policy), unread),
        (
            Operation::ListDistributions,
            Fault::Throttling,
            throttled("list the distributions"),
            unlisted,
        ),
        (
            Operation::GetDistributionConfig,
            Fault::InternalError,
            failing(&format!("read the configuration of {FIRST}")),
            unchecked,
        ),
    ]
}

#[tokio::test]
async fn continues_by_token_until_a_staging_distribution_to_invalidate_is_found() {
    for parameters in [None, Some(r#"{"wait": "5m"}"#)] {
        for (operation, fault, reason, warning) in transient_failures() {
            let fixture = fixture(true).set("INVALIDATE_STAGING", "true");
            fixture.standin.fail(operation, fault, 4);
            logged();
            let first = fixture.standin.start_job(parameters);
            let invalidator = fixture.invalidator_without_pauses();
            let handle = async |event| invalidator.handle(event, &one_minute()).await;
            let text = handle(&first.event).await.expect("a result");
            let id = invalidation_of(&fixture, FIRST);
            let note = format!("{warning}: {reason}");
            assert_eq!(
                text,
                format!(
                    "0 of 1 distribution completed after 0 s; {FIRST}: submitted as {id} (1 path: /*); {note}"
                )
            );
            assert_eq!(fixture.only_result().state, Some(JobState::Continued));
            assert_eq!(warnings(), [json!(note)]);
            fixture.standin.advance(Duration::from_secs(30));
            let next = fixture.standin.next_job(&first.id).expect("the next job");
            let text = handle(&next.event).await.expect("a result");
            let staging = invalidation_of(&fixture, STAGING);
            let submitted = format!(
                "{FIRST}: submitted as {id} (1 path: /*); {STAGING}: submitted as {staging} (1 path: /*); staging \
                 distribution of {FIRST}"
            );
            let text = text.as_str().expect("a text");
            assert!(text.ends_with(&submitted), "{text}");
            assert_eq!(invalidated(&fixture), [FIRST, STAGING]);
            if parameters.is_none() {
                assert_eq!(text, submitted);
                let ended = fixture.standin.job(&next.id).expect("the job");
                assert_eq!(ended.state, JobState::Succeeded);
            }
        }
    }
}

#[tokio::test]
async fn fails_a_direct_invocation_until_a_staging_distribution_to_invalidate_is_found() {
    for (operation, fault, reason, warning) in transient_failures() {
        let fixture = fixture(true).set("INVALIDATE_STAGING", "true");
        fixture.standin.fail(operation, fault, 4);
        let invalidator = fixture.invalidator_without_pauses();
        let event = json!({"paths": "/a"});
        // Lambda retries an asynchronous invocation with the same request id.
        let invocation = one_minute();
        let error = invalidator.handle(&event, &invocation).await;
        let error = error.expect_err("the staging distribution is unknown");
        let id = invalidation_of(&fixture, FIRST);
        assert_eq!(
            error.to_string(),
            format!(
                "staging distribution of {FIRST}: {reason}; {FIRST}: submitted as {id} (1 path: /a); {warning}: {reason}"
            )
        );
        assert!(error.is_transient());
        let response = invalidator.handle(&event, &invocation).await;
        let response = response.expect("an object");
        let staging = invalidation_of(&fixture, STAGING);
        let distributions = response["distributions"].as_array().expect("an array");
        let distributions: Vec<_> = distributions
            .iter()
            .map(|distribution| json!([distribution["distribution"], distribution["id"]]))
            .collect();
        assert_eq!(
            distributions,
            [json!([FIRST, id]), json!([STAGING, staging])]
        );
    }
}

#[tokio::test]
async fn a_direct_invocation_notes_that_a_possible_staging_distribution_is_not_found() {
    let fixture = with_possible_staging(Duration::ZERO);
    let read = Operation::GetDistributionConfig;
    fixture.standin.fail(read, Fault::Throttling, ALWAYS);
    let event = json!({"paths": "/a", "distribution": FIRST});
    let response = fixture.handle(&event).await.expect("an object");
    assert_eq!(invalidated(&fixture), [FIRST]);
    let notes = &response["distributions"][0]["notes"];
    assert_eq!(notes, &json!([not_checked(throttled_read())]));
}

#[tokio::test]
async fn fails_when_a_staging_distribution_to_invalidate_is_not_found_for_too_long() {
    let (operation, fault, reason, warning) = transient_failures().remove(0);
    let fixture = fixture(true).set("INVALIDATE_STAGING", "true");
    fixture.standin.fail_at_random(operation, fault, 100, 1);
    let (jobs, result) = run(&fixture, &json!({}), 1).await;
    assert_eq!(jobs.len(), 31);
    let id = invalidation_of(&fixture, FIRST);
    let message = format!(
        "staging distribution of {FIRST}: {reason}; {FIRST}: submitted as {id} (1 path: /*); {warning}: {reason}"
    );
    assert_eq!(
        failure_details(&result),
        ("SystemUnavailable", message.as_str())
    );
    assert_eq!(
        result.body["failureDetails"]["externalExecutionId"],
        json!(id)
    );
    assert_eq!(invalidated(&fixture), [FIRST]);
}

#[tokio::test]
async fn searches_a_staging_distribution_of_distribution_id_again_while_the_job_waits() {
    let mut options = Options {
        completes_after: Duration::from_secs(20),
        ..options(true)
    };
    // The stand-in then has no response, which is a failure of the service.
    let config = format!("distribution/{STAGING}/config");
    options.documents.remove(&config);
    let fixture = Fixture::with(options).set("DISTRIBUTION_ID", &format!("{FIRST},{STAGING}"));
    let policy = Operation::GetContinuousDeploymentPolicyConfig;
    fixture.standin.fail(policy, Fault::InternalError, 4);
    let parameters = json!({"distribution": FIRST, "wait": "5m"});
    let (jobs, result) = run(&fixture, &parameters, 1).await;
    assert_eq!(jobs.len(), 3);
    assert_eq!(invalidated(&fixture), [FIRST, STAGING]);
    let (first, staging) = (
        invalidation_of(&fixture, FIRST),
        invalidation_of(&fixture, STAGING),
    );
    assert_eq!(
        summary(&result),
        format!(
            "completed after 72 s; {FIRST}: submitted as {first} (1 path: /*); {STAGING}: submitted as {staging} (1 path: \
             /*)"
        )
    );
}

#[tokio::test]
async fn continues_by_token_while_another_distribution_of_distribution_id_can_be_the_staging_one() {
    for (parameters, percent) in [(json!({}), 50), (json!({"wait": "5m"}), 100)] {
        let mut parameters = parameters;
        parameters["distribution"] = json!(FIRST);
        let fixture = with_possible_staging(Duration::ZERO);
        let read = Operation::GetDistributionConfig;
        fixture.standin.fail(read, Fault::Throttling, 4);
        logged();
        let first = fixture.standin.start_job(Some(&parameters.to_string()));
        let invalidator = fixture.invalidator_without_pauses();
        let handle = async |event| invalidator.handle(event, &one_minute()).await;
        handle(&first.event).await.expect("a result");
        let id = invalidation_of(&fixture, FIRST);
        let reported = fixture.only_result();
        assert_eq!(reported.state, Some(JobState::Continued), "{parameters}");
        assert_eq!(
            reported.result.body["executionDetails"]["percentComplete"],
            percent
        );
        assert_eq!(warnings(), [json!(not_checked(throttled_read()))]);
        fixture.standin.advance(Duration::from_secs(30));
        let next = fixture.standin.next_job(&first.id).expect("the next job");
        let text = handle(&next.event).await.expect("a result");
        let staging = invalidation_of(&fixture, STAGING);
        let submitted = format!(
            "{FIRST}: submitted as {id} (1 path: /*); {STAGING}: submitted as {staging} (1 path: /*); staging \
             distribution of {FIRST}"
        );
        let expected = match percent {
            100 => format!("completed after 30 s; {submitted}"),
            _ => submitted,
        };
        assert_eq!(text, expected);
        let ended = fixture.standin.job(&next.id).expect("the job");
        assert_eq!(ended.state, JobState::Succeeded);
    }
}

#[tokio::test]
async fn succeeds_with_a_warning_when_a_possible_staging_distribution_is_not_found_for_too_long() {
    for (wait, jobs_until_end, status) in [
        ("false", 31, ""),
        ("5m", 31, "completed after 900 s; "),
        ("20m", 41, "completed after 1200 s; "),
    ] {
        let fixture = with_possible_staging(Duration::ZERO);
        let (operation, fault) = (Operation::GetDistributionConfig, Fault::InternalError);
        fixture.standin.fail_at_random(operation, fault, 100, 1);
        let parameters = json!({"distribution": FIRST, "wait": wait, "onTimeout": "fail"});
        let (jobs, result) = run(&fixture, &parameters, 1).await;
        assert_eq!(jobs.len(), jobs_until_end, "{wait}");
        let id = invalidation_of(&fixture, FIRST);
        let reason = format!(
            "could not read the configuration of {FIRST}: InternalError: An internal error occurred.; try again"
        );
        assert_eq!(
            summary(&result),
            format!(
                "{status}{FIRST}: submitted as {id} (1 path: /*); {}",
                not_checked(reason)
            )
        );
        assert_eq!(invalidated(&fixture), [FIRST]);
    }
}

#[tokio::test]
async fn counts_the_wait_from_the_submission_to_a_staging_distribution_that_is_found_late() {
    let fixture = with_possible_staging(Duration::from_secs(60));
    let read = Operation::GetDistributionConfig;
    fixture.standin.fail(read, Fault::Throttling, 12);
    let parameters = json!({"distribution": FIRST, "wait": "90s", "onTimeout": "fail"});
    let (jobs, result) = run(&fixture, &parameters, 1).await;
    assert_eq!(jobs.len(), 6);
    let ids = [FIRST, STAGING].map(|id| invalidation_of(&fixture, id));
    assert_eq!(
        summary(&result),
        format!(
            "completed after 174 s; {FIRST}: submitted as {} (1 path: /*); {STAGING}: submitted as {} (1 path: /*)",
            ids[0], ids[1]
        )
    );
}

/// An account whose jobs name the first distribution only, and whose settings name its staging distribution too.
fn with_possible_staging(completes_after: Duration) -> Fixture {
    let options = Options {
        completes_after,
        ..options(true)
    };
    Fixture::with(options).set("DISTRIBUTION_ID", &format!("{FIRST},{STAGING}"))
}

fn throttled_read() -> String {
    format!(
        "could not read the configuration of {FIRST} now: Throttling: Rate exceeded; try again in a minute"
    )
}

fn not_checked(reason: String) -> String {
    format!("not checked whether it has a staging distribution with a cache of its own: {reason}")
}

#[tokio::test]
async fn warns_if_distribution_id_has_more_distributions_than_it_reads() {
    let mut all = vec![FIRST.to_owned(), STAGING.to_owned()];
    all.extend((10..19).map(|number| format!("E{number}EXAMPLE9ABC")));
    let mut options = options(true);
    for id in &all[2..] {
        let path = format!("distribution/{id}/config");
        options = options
            .with_distribution(id)
            .with_document(&path, &configuration_with(""));
    }
    // Ten others are read, the eleventh is possibly the staging distribution.
    for (last, is_complete) in [(None, true), (Some("E30EXAMPLE9ABC"), false)] {
        all.extend(last.map(str::to_owned));
        let fixture = Fixture::with(options.clone()).set("DISTRIBUTION_ID", &all.join(","));
        let policy = Operation::GetContinuousDeploymentPolicyConfig;
        fixture.standin.fail(policy, Fault::AccessDenied, 1);
        logged();
        fixture.run_job(Some(FIRST)).await;
        assert_eq!(invalidated(&fixture), [FIRST, STAGING]);
        let arn = format!("arn:aws:cloudfront::111122223333:continuous-deployment-policy/{POLICY}");
        let action = "cloudfront:GetContinuousDeploymentPolicyConfig";
        let denied = denial_with_statement("AccessDenied", action, &arn);
        let warning = format!(
            "if continuous deployment policy {POLICY} is enabled, its staging distribution has a cache of its own and is \
             only invalidated if it is {STAGING}: {denied}; only 10 of the 11 other distributions of DISTRIBUTION_ID \
             were read; set the stack's InvalidateStaging (INVALIDATE_STAGING) to true, or add the staging distribution \
             to DistributionId (DISTRIBUTION_ID)"
        );
        let expected = if is_complete {
            vec![]
        } else {
            vec![json!(warning)]
        };
        assert_eq!(warnings(), expected);
    }
}

#[tokio::test]
async fn invalidates_a_staging_distribution_of_distribution_id_if_the_policy_is_denied() {
    let all = format!("{FIRST},{SECOND},{STAGING}");
    let fixture = fixture(true).set("DISTRIBUTION_ID", &all);
    let policy = Operation::GetContinuousDeploymentPolicyConfig;
    fixture.standin.fail(policy, Fault::AccessDenied, 1);
    logged();
    let job = fixture.run_job(Some(FIRST)).await;
    assert_eq!(invalidated(&fixture), [FIRST, STAGING]);
    let (first, staging) = (
        invalidation_of(&fixture, FIRST),
        invalidation_of(&fixture, STAGING),
    );
    assert_eq!(
        summary(&job.result),
        format!(
            "{FIRST}: submitted as {first} (1 path: /*); {STAGING} is assumed to be its staging distribution, because \
             continuous deployment policy {POLICY} cannot be read; {STAGING}: submitted as {staging} (1 path: /*); \
             assumed to be the staging distribution of {FIRST}"
        )
    );
    assert_eq!(warnings(), Vec::<String>::new());
}

#[tokio::test]
async fn warns_if_fewer_staging_distributions_are_known_than_policies_are_denied() {
    let other = "22222222-2222-3333-4444-555555555555";
    let policy = format!("<ContinuousDeploymentPolicyId>{other}</ContinuousDeploymentPolicyId>");
    let config = format!("distribution/{SECOND}/config");
    let all = format!("{FIRST},{SECOND},{STAGING}");
    let note = |policy: &str| {
        let arn = format!("arn:aws:cloudfront::111122223333:continuous-deployment-policy/{policy}");
        let action = "cloudfront:GetContinuousDeploymentPolicyConfig";
        let denied = denial_with_statement("AccessDenied", action, &arn);
        format!(
            "if continuous deployment policy {policy} is enabled, its staging distribution has a cache of its own and is \
             only invalidated if it is {STAGING}: {denied}; set the stack's InvalidateStaging (INVALIDATE_STAGING) to \
             true, or add the staging distribution to DistributionId (DISTRIBUTION_ID)"
        )
    };
    let fixture = || {
        let options = options(true).with_document(&config, &configuration_with(&policy));
        let fixture = Fixture::with(options).set("DISTRIBUTION_ID", &all);
        let action = Operation::GetContinuousDeploymentPolicyConfig;
        fixture.standin.fail(action, Fault::AccessDenied, 2);
        fixture
    };
    let handle = async |fixture: &Fixture, parameters| {
        logged();
        let job = fixture.standin.start_job(parameters);
        fixture.handle(&job.event).await.expect("a result")
    };

    let both = fixture();
    let result = handle(&both, None).await;
    assert_eq!(warnings(), [note(POLICY), note(other)]);
    let [first, second, staging] = [FIRST, SECOND, STAGING].map(|id| invalidation_of(&both, id));
    assert_eq!(
        result,
        format!(
            "{FIRST}: submitted as {first} (1 path: /*); {}; {SECOND}: submitted as {second} (1 path: /*); {}; {STAGING}: \
             submitted as {staging} (1 path: /*)",
            note(POLICY),
            note(other)
        )
    );

    // The staging distribution is possibly that of the other, which the job does not name.
    let one = fixture();
    let result = handle(&one, Some(FIRST)).await;
    assert_eq!(warnings(), [note(POLICY)]);
    assert_eq!(invalidated(&one), [FIRST, STAGING]);
    let [first, staging] = [FIRST, STAGING].map(|id| invalidation_of(&one, id));
    assert_eq!(
        result,
        format!(
            "{FIRST}: submitted as {first} (1 path: /*); {}; {STAGING}: submitted as {staging} (1 path: /*); assumed to be \
             the staging distribution of {FIRST} or {SECOND}",
            note(POLICY)
        )
    );
}

#[tokio::test]
async fn fails_a_job_whose_staging_distribution_is_refused() {
    let mut options = options(true);
    options.distributions.remove(STAGING);
    options
        .documents
        .remove(&format!("distribution/{STAGING}/config"));
    let fixture = Fixture::with(options).set("INVALIDATE_STAGING", "true");
    let job = fixture.run_job(None).await;
    let id = invalidation_of(&fixture, FIRST);
    let message = format!(
        "{FIRST}: submitted as {id} (1 path: /*); distribution {STAGING} does not exist in this account \
         (NoSuchDistribution: The specified distribution does not exist.): correct DISTRIBUTION_ID, the action's UserParameters or the event's \"distribution\""
    );
    assert_eq!(job.failure(), ("ConfigurationError", message.as_str()));
}

#[tokio::test]
async fn submits_to_the_staging_distribution_again_when_cloudfront_was_busy() {
    let fixture = fixture(true).set("INVALIDATE_STAGING", "true");
    let busy = Fault::TooManyInvalidationsInProgress;
    fixture.standin.fail(Operation::CreateInvalidation, busy, 2);
    let first = fixture.standin.start_job(None);
    let invalidator = fixture.invalidator_without_pauses();
    let handle = async |event| invalidator.handle(event, &one_minute()).await;
    handle(&first.event).await.expect("a result");
    fixture.standin.advance(Duration::from_secs(30));
    let next = fixture.standin.next_job(&first.id).expect("the next job");
    handle(&next.event).await.expect("a result");
    let ended = fixture.standin.job(&next.id).expect("the job");
    assert_eq!(ended.state, JobState::Succeeded);
    assert_eq!(invalidated(&fixture), [FIRST, STAGING]);
}

#[tokio::test]
async fn refuses_a_tag_for_a_staging_distribution_without_a_cache_tag_header() {
    let policy = format!("<ContinuousDeploymentPolicyId>{POLICY}</ContinuousDeploymentPolicyId>");
    let tags = "<CacheTagConfig><HeaderName>cache-tag</HeaderName></CacheTagConfig>";
    let config = configuration_with(&format!("{policy}{tags}"));
    let options = options(true).with_document(&format!("distribution/{FIRST}/config"), &config);
    let fixture = Fixture::with(options).set("INVALIDATE_STAGING", "true");
    let job = fixture.run_job(Some(r##"{"paths": "#blog"}"##)).await;
    let id = invalidation_of(&fixture, FIRST);
    let message = format!(
        "{FIRST}: submitted as {id} (1 path: #blog); distribution {STAGING} has no cache tag header (CacheTagConfig), so \
         CloudFront would report success for #blog and invalidate nothing: add CacheTagConfig to the distribution, or \
         send paths"
    );
    assert_eq!(job.failure(), ("ConfigurationError", message.as_str()));
    assert_eq!(invalidated(&fixture), [FIRST]);
}

#[tokio::test]
async fn checks_the_tag_of_a_staging_distribution_again_and_sends_it_if_that_is_denied() {
    let policy = format!("<ContinuousDeploymentPolicyId>{POLICY}</ContinuousDeploymentPolicyId>");
    let tags = "<CacheTagConfig><HeaderName>cache-tag</HeaderName></CacheTagConfig>";
    let config = configuration_with(&format!("{policy}{tags}"));
    let mut options = options(true).with_document(&format!("distribution/{FIRST}/config"), &config);
    // The stand-in then has no response, which is a failure of the service.
    options
        .documents
        .remove(&format!("distribution/{STAGING}/config"));
    let fixture = Fixture::with(options).set("INVALIDATE_STAGING", "true");
    let first = fixture.standin.start_job(Some(r##"{"paths": "#blog"}"##));
    let text = fixture.handle(&first.event).await.expect("a result");
    let id = invalidation_of(&fixture, FIRST);
    assert_eq!(
        text,
        format!(
            "0 of 2 distributions completed after 0 s; {FIRST}: submitted as {id} (1 path: #blog); could not read the \
             configuration of {STAGING}: NotImplemented: The test gave the stand-in no document \
             \"distribution/{STAGING}/config\".; try again"
        )
    );
    assert_eq!(invalidated(&fixture), [FIRST]);
    let operation = Operation::GetDistributionConfig;
    fixture.standin.fail(operation, Fault::AccessDenied, 1);
    let next = fixture.standin.next_job(&first.id).expect("the next job");
    let text = fixture.handle(&next.event).await.expect("a result");
    let staging = invalidation_of(&fixture, STAGING);
    let denied = denial_with_statement(
        "AccessDenied",
        "cloudfront:GetDistributionConfig",
        &distribution_arn(STAGING),
    );
    assert_eq!(
        text,
        format!(
            "{FIRST}: submitted as {id} (1 path: #blog); {STAGING}: submitted as {staging} (1 path: #blog); not checked \
             whether it has a cache tag header, or a staging distribution with a cache of its own: {denied}"
        )
    );
}

#[tokio::test]
async fn discovery_invalidates_a_staging_distribution_by_its_own_enabled_flag() {
    for (enabled, expected) in [(true, vec![FIRST, STAGING]), (false, vec![FIRST])] {
        let staging = configuration_with("<Staging>true</Staging>")
            .replace("<Enabled>true", &format!("<Enabled>{enabled}"));
        let options = options(true)
            .with_document(&format!("distribution/{STAGING}/config"), &staging)
            .with_document("distribution", &list(enabled));
        let fixture = Fixture::with(options).unset("DISTRIBUTION_ID");
        fixture
            .handle(&event("s3-direct-index"))
            .await
            .expect("an invalidation");
        assert_eq!(invalidated(&fixture), expected, "{enabled}");
    }
}

#[tokio::test]
async fn invalidates_the_changes_of_a_bucket_on_the_staging_distribution_by_its_own_configuration()
{
    let staging = configuration_with("<Staging>true</Staging>").replace(
        "<OriginPath></OriginPath>",
        "<OriginPath>/blog</OriginPath>",
    );
    let options =
        || options(true).with_document(&format!("distribution/{STAGING}/config"), &staging);
    let event = event("s3-direct-nested-index");
    let fixture = Fixture::with(options()).set("INVALIDATE_STAGING", "true");
    let text = fixture.handle(&event).await.expect("invalidations");
    let mut accepted = fixture.accepted();
    accepted.sort();
    let paths = |id: &str, path: &str| (id.to_owned(), vec![path.to_owned()]);
    assert_eq!(
        accepted,
        [
            paths(FIRST, "/blog/index.html"),
            paths(STAGING, "/index.html")
        ]
    );
    let id = invalidation_of(&fixture, STAGING);
    let report = format!(
        "{STAGING}: submitted as {id} (1 object became 1 path: /index.html); staging distribution of {FIRST}"
    );
    assert!(
        text.as_str().is_some_and(|text| text.ends_with(&report)),
        "{text}"
    );

    let fixture = Fixture::with(options());
    logged();
    let text = fixture.handle(&event).await.expect("an invalidation");
    let note = format!(
        "its staging distribution {STAGING} has a cache of its own and is not invalidated: set the stack's \
         InvalidateStaging (INVALIDATE_STAGING) to true, or add the staging distribution to DistributionId \
         (DISTRIBUTION_ID)"
    );
    let id = invalidation_of(&fixture, FIRST);
    assert_eq!(
        text,
        format!("{FIRST}: submitted as {id} (1 object became 1 path: /blog/index.html); {note}")
    );
    assert_eq!(warnings(), [json!(note)]);
    assert_eq!(invalidated(&fixture), [FIRST]);
}

#[tokio::test]
async fn fails_a_job_when_invalidate_staging_is_invalid() {
    let fixture = fixture(true).set("INVALIDATE_STAGING", "yes");
    let job = fixture.run_job(None).await;
    assert_eq!(
        job.failure(),
        (
            "ConfigurationError",
            "setting INVALIDATE_STAGING: \"yes\" is not true or false"
        )
    );
}

#[tokio::test]
async fn invalidates_primary_and_staging_distribution_when_only_one_of_them_has_the_bucket() {
    let bucket_host = format!("{BUCKET}.s3.us-east-1.amazonaws.com");
    for with_server in [FIRST, STAGING] {
        let path = format!("distribution/{with_server}/config");
        let options = options(true);
        let server = options.documents[&path].replace(&bucket_host, "origin.example.com");
        let fixture = Fixture::with(options.with_document(&path, &server));
        let fixture = fixture.set("INVALIDATE_STAGING", "true");
        fixture
            .handle(&event("s3-direct-index"))
            .await
            .expect("invalidations");
        assert_eq!(invalidated(&fixture), [FIRST, STAGING], "{with_server}");
    }
}

#[tokio::test]
async fn invalidates_the_staging_distribution_although_another_configuration_cannot_be_read() {
    for fault in [Fault::Hang, Fault::InternalError] {
        let ids = format!("{SECOND},{FIRST}");
        let fixture = Fixture::with(options(true)).set("DISTRIBUTION_ID", &ids);
        let fixture = fixture.set("INVALIDATE_STAGING", "true");
        // Its own response is not readable, or its cache policy does not come.
        let unreadable = match fault {
            Fault::Hang => configuration_with("").replace("658327ea", "00000000"),
            _ => String::new(),
        };
        let path = format!("distribution/{SECOND}/config");
        fixture.standin.set_document(&path, &unreadable);
        fixture
            .standin
            .fail(Operation::GetCachePolicy, fault, ALWAYS);
        let short = invocation(RESPONSE_RESERVE + Duration::from_secs(2));
        let invalidator = fixture.invalidator();
        let result = invalidator.handle(&event("s3-direct-index"), &short).await;
        result.expect_err("a distribution that cannot be read");
        assert_eq!(invalidated(&fixture), [FIRST, STAGING], "{fault:?}");
    }
}

#[tokio::test]
async fn invalidates_the_staging_distribution_by_an_earlier_configuration_of_the_primary() {
    let mut options = options(true);
    options.clock = Clock::Real;
    let fixture = Fixture::with(options).set("INVALIDATE_STAGING", "true");
    let invalidator = fixture.invalidator();
    let change = |key: &str, time| batch(&[notification(key, time)]);
    let response = invalidator
        .handle(&change("a.css", ago(60)), &one_minute())
        .await;
    assert_eq!(response, failures(&[]));
    let read = Operation::GetDistributionConfig;
    fixture.standin.fail(read, Fault::AccessDenied, ALWAYS);
    let response = invalidator
        .handle(&change("b.css", now()), &one_minute())
        .await;
    assert_eq!(response, failures(&[]));
    assert_eq!(invalidated(&fixture), [FIRST, FIRST, STAGING, STAGING]);
}

#[tokio::test]
async fn retries_a_change_until_the_staging_distribution_to_invalidate_is_found() {
    for (operation, fault) in [
        (
            Operation::GetContinuousDeploymentPolicyConfig,
            Fault::InternalError,
        ),
        (
            Operation::GetContinuousDeploymentPolicyConfig,
            Fault::Throttling,
        ),
        (Operation::ListDistributions, Fault::Throttling),
    ] {
        let mut options = options(true);
        options.clock = Clock::Real;
        let fixture = Fixture::with(options).set("INVALIDATE_STAGING", "true");
        // The SDK attempts a call four times.
        fixture.standin.fail(operation, fault, 4);
        let invalidator = fixture.invalidator();
        let event = batch(&[notification("a.css", ago(60))]);
        for (response, expected) in [
            (failures(&["m0"]), vec![FIRST]),
            (failures(&[]), vec![FIRST, STAGING]),
        ] {
            assert_eq!(invalidator.handle(&event, &one_minute()).await, response);
            assert_eq!(invalidated(&fixture), expected, "{operation:?} {fault:?}");
        }
    }
}
