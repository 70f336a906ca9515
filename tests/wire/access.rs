//! Denied calls and rejected credentials: what the caller gets, and whether the function continues without the call.
//!
//! Messages of denied calls: <https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html>

use cloudfront_invalidator::error::Category;
use serde_json::Value;

use crate::fixture::{
    FIRST, Fixture, SECOND, denial, distribution_arn, logged, logged_at, one_minute,
    rejected_credentials,
};
use crate::queue::{ago, batch, failures, notification};
use crate::s3::{event, list};
use crate::standin::{Fault, Operation, Options};

/// Denials that a statement in a policy of the role does not end: the fault, AWS's reason, the advice.
const DENIALS: [(Fault, &str, &str); 2] = [
    (
        Fault::ExplicitDenyByScp,
        "with an explicit deny in a service control policy",
        "no Allow statement overrides an explicit deny: change the policy that the message names",
    ),
    (
        Fault::NoPermissionsBoundaryAllows,
        "because no permissions boundary allows the ACTION action",
        "the policy or boundary that the message names must allow the action, too",
    ),
];

const REJECTED_CREDENTIALS: [Fault; 5] = [
    Fault::InvalidClientTokenId,
    Fault::SignatureDoesNotMatch,
    Fault::UnrecognizedClientException,
    Fault::ExpiredToken,
    Fault::ExpiredTokenException,
];

/// Returns each fault of [`DENIALS`] with the complete message.
fn denials(code: &str, action: &str, resource: &str) -> [(Fault, String); 2] {
    DENIALS.map(|(fault, reason, advice)| {
        let reason = reason.replace("ACTION", action);
        let message = denial(code, action, resource, &reason);
        (fault, format!("{message}; {advice}"))
    })
}

/// Returns all faults of CreateInvalidation in this file with the complete message.
fn faults_of_create_invalidation() -> Vec<(Fault, String)> {
    let resource = distribution_arn(FIRST);
    let denials = denials("AccessDenied", "cloudfront:CreateInvalidation", &resource);
    let credentials = REJECTED_CREDENTIALS.map(|fault| {
        let message = rejected_credentials(fault);
        (fault, format!("could not invalidate {FIRST}: {message}"))
    });
    denials.into_iter().chain(credentials).collect()
}

#[tokio::test]
async fn fails_a_job_with_advice_on_the_policy_or_the_credentials() {
    // A job continues when the credentials have expired.
    let is_permanent = |fault| !matches!(fault, Fault::ExpiredToken | Fault::ExpiredTokenException);
    let mut faults = faults_of_create_invalidation();
    faults.retain(|(fault, _)| is_permanent(*fault));
    assert_eq!(faults.len(), 5);
    for (fault, message) in faults {
        let fixture = Fixture::start();
        fixture
            .standin
            .fail(Operation::CreateInvalidation, fault, 1);
        let job = fixture.run_job(None).await;
        assert_eq!(job.failure(), ("PermissionError", message.as_str()));
        assert_eq!(fixture.calls(Operation::CreateInvalidation), 1, "{fault:?}");
    }
}

#[tokio::test]
async fn reports_the_error_that_a_retry_does_not_help_of_several() {
    let fixture = Fixture::start();
    let faults = [
        Fault::TooManyInvalidationsInProgress,
        Fault::InvalidClientTokenId,
    ];
    for fault in faults {
        fixture
            .standin
            .fail(Operation::CreateInvalidation, fault, 1);
    }
    let parameters = format!(r#"{{"distribution": ["{FIRST}", "{SECOND}"]}}"#);
    let job = fixture.run_job(Some(&parameters)).await;
    let (failure_type, message) = job.failure();
    assert_eq!(failure_type, "PermissionError");
    let rejected = rejected_credentials(Fault::InvalidClientTokenId);
    assert_eq!(
        message,
        format!(
            "could not invalidate {FIRST} now: TooManyInvalidationsInProgress: Processing your request will cause you \
             to exceed the maximum number of in-progress invalidations.; try again in a minute; could not invalidate \
             {SECOND}: {rejected}"
        )
    );
}

#[tokio::test]
async fn fails_a_message_with_advice_on_the_policy_or_the_credentials() {
    for (fault, message) in faults_of_create_invalidation() {
        let fixture = Fixture::start();
        fixture
            .standin
            .fail(Operation::CreateInvalidation, fault, 1);
        logged();
        let response = fixture.handle(&batch(&[notification("a", ago(60))])).await;
        assert_eq!(response, failures(&["m0"]), "{fault:?}");
        let errors = logged_at("ERROR");
        let errors: Vec<_> = errors
            .iter()
            .map(|line| ["cause", "ids", "message"].map(|name| line[name].as_str()))
            .collect();
        let message = format!("will be retried: {message}");
        assert_eq!(errors, [[Some("permission"), Some("m0"), Some(&message)]]);
    }
}

#[tokio::test]
async fn returns_advice_on_the_policy_or_the_credentials_that_reporting_a_result_needs() {
    let action = "codepipeline:PutJobSuccessResult";
    let denials = denials("AccessDeniedException", action, "*");
    let credentials = REJECTED_CREDENTIALS.map(|fault| (fault, rejected_credentials(fault)));
    for (fault, message) in denials.into_iter().chain(credentials) {
        let fixture = Fixture::start();
        fixture
            .standin
            .fail(Operation::PutJobSuccessResult, fault, 1);
        let job = fixture.standin.start_job(None);
        let error = fixture.handle(&job.event).await.expect_err("no result");
        assert_eq!(error.category(), Category::Permission, "{fault:?}");
        assert_eq!(
            error.to_string(),
            format!("could not report the result of job {}: {message}", job.id)
        );
        assert_eq!(
            fixture.calls(Operation::PutJobSuccessResult),
            1,
            "{fault:?}"
        );
        assert_eq!(
            fixture.calls(Operation::PutJobFailureResult),
            0,
            "{fault:?}"
        );
    }
}

#[tokio::test]
async fn does_not_derive_paths_from_keys_when_the_credentials_are_rejected() {
    let account = || Options::default().with_document("distribution", &list(&[(FIRST, "")]));
    for fault in REJECTED_CREDENTIALS {
        for fixture in [
            Fixture::start(),
            Fixture::with(account()).unset("DISTRIBUTION_ID"),
        ] {
            fixture
                .standin
                .fail(Operation::GetDistributionConfig, fault, 1);
            let invalidator = fixture.invalidator();
            let event = event("s3-direct-index");
            logged();
            let error = invalidator
                .handle(&event, &one_minute())
                .await
                .expect_err("no configuration");
            assert_eq!(error.category(), Category::Permission, "{fault:?}");
            let message = rejected_credentials(fault);
            assert_eq!(
                error.to_string(),
                format!("could not read the configuration of {FIRST}: {message}")
            );
            assert_eq!(logged_at("WARN"), Vec::<Value>::new(), "{fault:?}");
            assert_eq!(fixture.accepted(), [], "{fault:?}");

            // Nothing is cached: the retry reads the configuration.
            invalidator
                .handle(&event, &one_minute())
                .await
                .expect("an invalidation");
            assert_eq!(fixture.calls(Operation::GetDistributionConfig), 2);
            let paths = vec!["/index.html".to_owned()];
            assert_eq!(fixture.accepted(), [(FIRST.to_owned(), paths)]);
        }
    }
}

#[tokio::test]
async fn lists_invalidations_again_after_the_credentials_were_rejected() {
    for fault in REJECTED_CREDENTIALS {
        let fixture = Fixture::start();
        fixture.standin.fail(Operation::ListInvalidations, fault, 1);
        let invalidator = fixture.invalidator();
        logged();
        let event = |key| batch(&[notification(key, ago(60))]);
        let response = invalidator.handle(&event("a"), &one_minute()).await;
        assert_eq!(response, failures(&[]), "{fault:?}");
        let paths = |path: &str| (FIRST.to_owned(), vec![path.to_owned()]);
        assert_eq!(fixture.accepted(), [paths("/a")], "{fault:?}");
        let message = format!(
            "cannot skip changes that are already covered this time: could not list the invalidations of {FIRST}: {}",
            rejected_credentials(fault)
        );
        let lines = logged();
        let levels: Vec<_> = lines
            .iter()
            .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
            .filter(|line| line["message"] == message)
            .map(|line| line["level"].clone())
            .collect();
        assert_eq!(levels, ["INFO"], "{fault:?}: {lines:#?}");

        let response = invalidator.handle(&event("b"), &one_minute()).await;
        assert_eq!(response, failures(&[]), "{fault:?}");
        assert_eq!(fixture.accepted(), [paths("/a"), paths("/b")], "{fault:?}");
        assert_eq!(fixture.calls(Operation::ListInvalidations), 2, "{fault:?}");
    }
}
