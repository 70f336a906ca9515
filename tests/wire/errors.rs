//! Every error of CreateInvalidation as the wire has it, and how the pipeline job ends.

use std::ops::RangeInclusive;

use serde_json::json;

use crate::fixture::{ALWAYS, FIRST, Fixture, denial_with_statement, distribution_arn};
use crate::standin::{Fault, Operation, Options, ReferenceReuse};

const INVALID_INPUT: &str = "ConfigurationError";
const PERMISSION: &str = "PermissionError";

/// Not a failure: the job continues until CloudFront accepts the invalidation.
const CONTINUED: &str = "continued";

/// A fault, how the job ends, the complete message, and how many calls the SDK makes.
type Row = (Fault, &'static str, String, RangeInclusive<usize>);

/// The rows of errors that a retry can help.
fn transient_errors() -> Vec<Row> {
    let throttled = |message: &str| {
        format!("could not invalidate E1EXAMPLE1ABC now: {message}; try again in a minute")
    };
    let unavailable =
        |message: &str| format!("could not invalidate E1EXAMPLE1ABC: {message}; try again");
    let (once, retried) = (1..=1, 4..=4);
    vec![
        // The SDK does not retry this error: the quota is exceeded for some seconds at least.
        (
            Fault::TooManyInvalidationsInProgress,
            CONTINUED,
            throttled(
                "TooManyInvalidationsInProgress: Processing your request will cause you to exceed the maximum number \
                 of in-progress invalidations.",
            ),
            once.clone(),
        ),
        (
            Fault::Throttling,
            CONTINUED,
            throttled("Throttling: Rate exceeded"),
            retried.clone(),
        ),
        (
            Fault::RequestLimitExceeded,
            CONTINUED,
            throttled("RequestLimitExceeded: Rate exceeded"),
            retried.clone(),
        ),
        (
            Fault::SlowDown,
            CONTINUED,
            throttled("SlowDown: Rate exceeded"),
            retried.clone(),
        ),
        // The SDK does not retry this status.
        (
            Fault::RequestTimeout,
            CONTINUED,
            unavailable("HTTP status 408: service error: unhandled error: Error"),
            once.clone(),
        ),
        (
            Fault::ServiceUnavailable,
            CONTINUED,
            throttled(
                "ServiceUnavailable: CloudFront encountered an internal error. Please try again.",
            ),
            retried.clone(),
        ),
        (
            Fault::InternalError,
            CONTINUED,
            unavailable("InternalError: An internal error occurred."),
            retried,
        ),
        (
            Fault::NoSuchDistribution,
            CONTINUED,
            unavailable(
                "CloudFront answered NoSuchDistribution although the distribution exists (NoSuchDistribution: The \
                 specified distribution does not exist.)",
            ),
            once.clone(),
        ),
        (
            Fault::Reset,
            CONTINUED,
            unavailable(
                "dispatch failure: other: client error (SendRequest): connection closed before message completed",
            ),
            // An attempt on a connection that the server has just closed does not reach the stand-in.
            2..=4,
        ),
        (
            Fault::Garbage,
            CONTINUED,
            unavailable(
                "HTTP status 200: service error: unhandled error: error parsing XML: no root element",
            ),
            once,
        ),
    ]
}

/// The rows of errors that stay until somebody corrects something.
fn permanent_errors() -> Vec<Row> {
    let rejected = |message: &str| {
        format!("CloudFront rejected the request to invalidate E1EXAMPLE1ABC: {message}")
    };
    let denied = |code: &str| {
        denial_with_statement(
            code,
            "cloudfront:CreateInvalidation",
            &distribution_arn(FIRST),
        )
    };
    let test_message = "The request was refused because a test asked for it.";
    let rows = [
        (Fault::AccessDenied, PERMISSION, denied("AccessDenied")),
        (
            Fault::AccessDeniedBare,
            PERMISSION,
            denied("HTTP status 403"),
        ),
        (
            Fault::EntityNotFound,
            INVALID_INPUT,
            rejected("EntityNotFound: The entity was not found."),
        ),
        (
            Fault::InvalidArgument,
            INVALID_INPUT,
            rejected(
                "InvalidArgument: Your request contains one or more invalid invalidation paths.",
            ),
        ),
        (
            Fault::MissingBody,
            INVALID_INPUT,
            rejected(&format!("MissingBody: {test_message}")),
        ),
        (
            Fault::InconsistentQuantities,
            INVALID_INPUT,
            rejected(&format!("InconsistentQuantities: {test_message}")),
        ),
        (
            Fault::BatchTooLarge,
            INVALID_INPUT,
            rejected("BatchTooLarge: Your request contains too many invalidation paths."),
        ),
    ];
    let once = |(fault, kind, message)| (fault, kind, message, 1..=1);
    rows.map(once).into()
}

#[tokio::test]
async fn reports_what_each_error_means() {
    for (fault, kind, message, calls) in permanent_errors().into_iter().chain(transient_errors()) {
        let fixture = Fixture::start();
        fixture
            .standin
            .fail(Operation::CreateInvalidation, fault, ALWAYS);
        let job = fixture.run_job(None).await;
        let reported = match kind {
            CONTINUED => {
                let (_, reason) = job.continuation().split_once(" s; ").expect("a time");
                (CONTINUED, reason)
            }
            _ => job.failure(),
        };
        assert_eq!(reported, (kind, message.as_str()), "{fault:?}");
        let made = fixture.calls(Operation::CreateInvalidation);
        assert!(calls.contains(&made), "{fault:?}: {made} calls");
    }
}

#[tokio::test]
async fn treats_a_caller_reference_that_was_used_before_as_submitted() {
    for reuse in [ReferenceReuse::Documented, ReferenceReuse::Observed] {
        let fixture = Fixture::with(Options {
            reuse,
            ..Options::default()
        });
        // CloudFront accepts the batch and its response is lost: the SDK sends the same reference again.
        fixture
            .standin
            .fail(Operation::CreateInvalidation, Fault::LostResponse, 1);
        let job = fixture.run_job(None).await;
        let received = fixture.standin.invalidations();
        assert_eq!(received.len(), 2, "{reuse:?}");
        assert_eq!(received[0].reference, received[1].reference);
        assert_eq!(job.variable("InvalidationIds"), fixture.first_id());
        assert_eq!(job.variable("PathCount"), "1");
    }
    let fixture = Fixture::start();
    fixture.standin.fail(
        Operation::CreateInvalidation,
        Fault::InvalidationBatchAlreadyExists,
        1,
    );
    let job = fixture.run_job(None).await;
    let reference = &fixture.standin.invalidations()[0].reference;
    assert_eq!(
        job.result.body["executionDetails"],
        json!({
            "summary": format!("{FIRST}: submitted before with caller reference {reference} (1 path: /*)"),
            "percentComplete": 100,
        })
    );
    assert_eq!(job.variable("InvalidationIds"), "none");
}

#[tokio::test]
async fn finds_the_invalidation_of_its_own_reference_among_others() {
    let fixture = Fixture::with(Options {
        reuse: ReferenceReuse::Observed,
        ..Options::default()
    });
    let job = fixture.standin.start_job(None);
    fixture.handle(&job.event).await.expect("a result");
    let other = fixture.standin.start_job(None);
    fixture.handle(&other.event).await.expect("another result");
    let id = fixture.first_id();
    assert_eq!(
        fixture.handle(&job.event).await,
        Ok(format!("{FIRST}: submitted as {id} (1 path: /*)").into())
    );
}

#[tokio::test]
async fn names_a_service_that_cannot_be_reached() {
    // A port that was free a moment ago, on which nothing listens.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a port")
        .port();
    let fixture = Fixture::start().set(
        "AWS_ENDPOINT_URL_CLOUDFRONT",
        &format!("http://127.0.0.1:{port}"),
    );
    let job = fixture.run_job(None).await;
    let message = job.continuation();
    assert!(
        message.contains("dispatch failure") && message.contains("Connection refused"),
        "the causes are in the message: {message}"
    );
    assert_eq!(
        message.matches("Connection refused").count(),
        1,
        "once: {message}"
    );
}
