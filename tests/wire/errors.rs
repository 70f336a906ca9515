//! Every error of CreateInvalidation, as the wire has it, and what the pipeline is told of it.

use serde_json::json;

use crate::bed::{Bed, FIRST};
use crate::standin::{Fault, Operation, Options, ReferenceReuse};

const MISTAKE: &str = "ConfigurationError";
const PERMISSION: &str = "PermissionError";
const UNAVAILABLE: &str = "SystemUnavailable";

/// No failure: the job goes on until CloudFront has time.
const BUSY: &str = "continued";

/// More than the SDK tries.
const ALWAYS: u64 = 9;

#[tokio::test]
async fn tells_the_pipeline_what_each_error_means() {
    let busy = |said: &str| {
        format!(
            "CloudFront is busy with earlier invalidations and takes none for E1EXAMPLE1ABC now ({said}): \
             try again in a minute"
        )
    };
    let refused = |said: &str| format!("CloudFront refuses to invalidate E1EXAMPLE1ABC: {said}");
    let unconfirmed = |said: &str| {
        format!("CloudFront did not confirm an invalidation of E1EXAMPLE1ABC ({said}): try again")
    };
    let denied = "not allowed to call cloudfront:CreateInvalidation on \
                  arn:aws:cloudfront::111122223333:distribution/E1EXAMPLE1ABC: add this statement to the policy of the \
                  function's role: {\"Effect\":\"Allow\",\"Action\":\"cloudfront:CreateInvalidation\",\"Resource\":\
                  \"arn:aws:cloudfront::111122223333:distribution/E1EXAMPLE1ABC\"}"
        .to_owned();
    let asked = "The request was refused because a test asked for it.";
    let (once, retried) = (1..=1, 4..=4);
    for (fault, kind, message, calls) in [
        (Fault::AccessDenied, PERMISSION, denied.clone(), once.clone()),
        (Fault::AccessDeniedBare, PERMISSION, denied, once.clone()),
        (
            Fault::NoSuchDistribution,
            MISTAKE,
            "distribution E1EXAMPLE1ABC does not exist in this account: correct DISTRIBUTION_ID or the \
             action's UserParameters"
                .to_owned(),
            once.clone(),
        ),
        (Fault::EntityNotFound, MISTAKE, refused("EntityNotFound: The entity was not found."), once.clone()),
        (
            Fault::InvalidArgument,
            MISTAKE,
            refused("InvalidArgument: Your request contains one or more invalid invalidation paths."),
            once.clone(),
        ),
        (Fault::MissingBody, MISTAKE, refused(&format!("MissingBody: {asked}")), once.clone()),
        (Fault::InconsistentQuantities, MISTAKE, refused(&format!("InconsistentQuantities: {asked}")), once.clone()),
        (Fault::BatchTooLarge, MISTAKE, refused("BatchTooLarge: Your request contains too many invalidation paths."), once.clone()),
        // The SDK does not retry this one: the quota frees in seconds at best.
        (Fault::TooManyInvalidationsInProgress, BUSY, busy("TooManyInvalidationsInProgress: Processing your request will cause you to exceed the maximum number of in-progress invalidations."), once.clone()),
        (Fault::Throttling, BUSY, busy("Throttling: Rate exceeded"), retried.clone()),
        (
            Fault::ServiceUnavailable,
            BUSY,
            busy("ServiceUnavailable: CloudFront encountered an internal error. Please try again."),
            retried.clone(),
        ),
        (Fault::InternalError, UNAVAILABLE, unconfirmed("InternalError: An internal error occurred."), retried.clone()),
        (Fault::Reset, UNAVAILABLE, unconfirmed("dispatch failure: other: client error (SendRequest): connection closed before message completed"), // A connection closed under the SDK may cost it a try that never arrives.
 2..=4),
        (Fault::Garbage, UNAVAILABLE, unconfirmed("HTTP status 200: service error: unhandled error: error parsing XML: no root element"), once.clone()),
    ] {
        let bed = Bed::start();
        bed.standin.fail(Operation::CreateInvalidation, fault, ALWAYS);
        let told = bed.run_job(None).await;
        let (told_kind, told_message) = match kind {
            BUSY => (BUSY, told.goes_on().split_once(" s; ").expect("a time").1),
            _ => told.failure(),
        };
        assert_eq!(told_kind, kind, "{fault:?}: {told_message}");
        assert_eq!(told_message, message, "{fault:?}");
        let made = bed.calls(Operation::CreateInvalidation);
        assert!(calls.contains(&made), "{fault:?}: {made} calls");
    }
}

#[tokio::test]
async fn takes_a_reference_used_before_for_submitted() {
    for reuse in [ReferenceReuse::Documented, ReferenceReuse::Observed] {
        let bed = Bed::with(Options {
            reuse,
            ..Options::default()
        });
        // CloudFront took the batch, and its answer was lost: the SDK asks again under the same reference.
        bed.standin
            .fail(Operation::CreateInvalidation, Fault::LostResponse, 1);
        let told = bed.run_job(None).await;
        let received = bed.standin.invalidations();
        assert_eq!(received.len(), 2, "{reuse:?}");
        assert_eq!(received[0].reference, received[1].reference);
        let id = received[0].outcome.clone().expect("the first was taken");
        assert_eq!(told.variable("InvalidationIds"), id);
        assert_eq!(told.variable("PathCount"), "1");
    }
    let bed = Bed::start();
    bed.standin.fail(
        Operation::CreateInvalidation,
        Fault::InvalidationBatchAlreadyExists,
        1,
    );
    let told = bed.run_job(None).await;
    let reference = &bed.standin.invalidations()[0].reference;
    assert_eq!(
        told.answer.body["executionDetails"],
        json!({
            "summary": format!("{FIRST}: submitted before as {reference} (1 path: /*)"),
            "percentComplete": 100,
        })
    );
}

#[tokio::test]
async fn finds_the_invalidation_of_its_own_reference_among_others() {
    let bed = Bed::with(Options {
        reuse: ReferenceReuse::Observed,
        ..Options::default()
    });
    let job = bed.standin.start_job(None);
    bed.handle(&job.event).await.expect("an answer");
    bed.handle(&bed.standin.start_job(None).event)
        .await
        .expect("another answer");
    let id = bed.standin.invalidations()[0]
        .outcome
        .clone()
        .expect("taken");
    let again = bed.handle(&job.event).await;
    assert_eq!(
        again,
        Ok(format!("{FIRST}: submitted as {id} (1 path: /*)").into())
    );
}

#[tokio::test]
async fn names_a_service_that_cannot_be_reached() {
    // A port that was free a moment ago, and where nobody listens.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a port")
        .port();
    let bed = Bed::start().set(
        "AWS_ENDPOINT_URL_CLOUDFRONT",
        &format!("http://127.0.0.1:{port}"),
    );
    let told = bed.run_job(None).await;
    let (kind, message) = told.failure();
    assert_eq!(kind, UNAVAILABLE);
    assert!(
        message.contains("dispatch failure") && message.contains("Connection refused"),
        "the causes are printed: {message}"
    );
    assert_eq!(
        message.matches("Connection refused").count(),
        1,
        "and once: {message}"
    );
}
