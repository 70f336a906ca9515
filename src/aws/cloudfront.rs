//! CloudFront: asks for an invalidation, and is the one place that knows what its errors mean.
//!
//! Some errors are in no model and no SDK type (`Throttling`, `ServiceUnavailable`,
//! `InvalidationBatchAlreadyExists`), one code means two things (`InvalidArgument`: a bad path, or a caller reference
//! used before), and a refusal may come without any code. So errors are told apart by code, message and HTTP status,
//! here and nowhere else.

use aws_sdk_cloudfront::config::http::HttpResponse;
use aws_sdk_cloudfront::error::{BuildError, ProvideErrorMetadata, SdkError};
use aws_sdk_cloudfront::types::{InvalidationBatch, Paths};
use aws_types::SdkConfig;
use chrono::{DateTime, Utc};
use tokio::time::{Instant, timeout_at};

use super::{Account, chain, said};
use crate::distribution::DistributionId;
use crate::failure::{Cause, Failure};
use crate::outcome::Submitted;
use crate::plan::Batch;

/// A client of CloudFront.
#[derive(Clone, Debug)]
pub struct CloudFront {
    pub(super) client: aws_sdk_cloudfront::Client,
}

impl CloudFront {
    /// Creates a client; nothing is sent.
    pub fn new(sdk: &SdkConfig) -> Self {
        Self {
            client: aws_sdk_cloudfront::Client::new(sdk),
        }
    }

    /// Creates the invalidation, or finds the one that was created under the same reference.
    ///
    /// `account` is named in the advice where a permission is missing.
    ///
    /// # Errors
    ///
    /// A [`Failure`], at the latest at `deadline`.
    pub async fn create(
        &self,
        batch: &Batch,
        account: &Account,
        deadline: Instant,
    ) -> Result<Submitted, Failure> {
        let distribution = &batch.distribution;
        let request = self
            .client
            .create_invalidation()
            .distribution_id(distribution.as_str())
            .invalidation_batch(
                on_the_wire(batch).map_err(|error| unavailable(distribution, &chain(&error)))?,
            );
        let answer = timeout_at(deadline, request.send()).await.map_err(|_| {
            unavailable(distribution, "no answer before the function's time was up")
        })?;
        match answer {
            Ok(output) => match output.invalidation() {
                Some(invalidation) => Ok(Submitted {
                    id: Some(invalidation.id().to_owned()),
                    created: time(invalidation.create_time()),
                }),
                None => Err(unavailable(
                    distribution,
                    "the answer holds no invalidation",
                )),
            },
            Err(error) if was_submitted_before(&error) => {
                // Its id is worth a look and no more: the invalidation exists, whatever comes of it.
                let found = timeout_at(deadline, self.find(batch, account)).await;
                Ok(found.ok().flatten().unwrap_or_default())
            }
            Err(error) => Err(explain(&error, distribution, account)),
        }
    }
}

fn on_the_wire(batch: &Batch) -> Result<InvalidationBatch, BuildError> {
    let paths = &batch.plan.paths;
    let items = paths.iter().map(|path| path.as_str().to_owned()).collect();
    // A batch of more than i32::MAX paths is refused long before by its size.
    let quantity = i32::try_from(paths.len()).unwrap_or(i32::MAX);
    let paths = Paths::builder()
        .quantity(quantity)
        .set_items(Some(items))
        .build()?;
    InvalidationBatch::builder()
        .paths(paths)
        .caller_reference(batch.reference.as_str())
        .build()
}

/// Converts the SDK's time; no time that CloudFront tells is out of range.
pub(super) fn time(time: &aws_sdk_cloudfront::primitives::DateTime) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(time.secs(), time.subsec_nanos())
}

/// Tells whether a batch was refused because CloudFront has it already.
///
/// `InvalidationBatchAlreadyExists` is documented; `InvalidArgument` with this message is what the live service was
/// seen to answer.
fn was_submitted_before<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    let message = error.message().unwrap_or_default().to_lowercase();
    match error.code() {
        Some("InvalidationBatchAlreadyExists") => true,
        Some("InvalidArgument") => message.contains("caller reference that was used"),
        _ => false,
    }
}

/// Tells whose turn it is after an error of CloudFront.
///
/// Codes: <https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_CreateInvalidation.html>; those beyond that
/// page were seen on the live service.
pub(super) fn cause<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Cause {
    let status = error
        .raw_response()
        .map(|response| response.status().as_u16());
    match (error.code().unwrap_or_default(), status) {
        (
            "TooManyInvalidationsInProgress"
            | "Throttling"
            | "ThrottlingException"
            | "TooManyRequestsException",
            _,
        )
        | (_, Some(429 | 503)) => Cause::Busy,
        // Credentials that ran out are renewed with the next environment.
        ("ExpiredToken" | "ExpiredTokenException" | "RequestExpired", _) => Cause::Unavailable,
        (_, Some(401 | 403)) => Cause::Permission,
        (_, Some(400..=499)) => Cause::Mistake,
        _ if matches!(error, SdkError::ConstructionFailure(_)) => Cause::Mistake,
        _ => Cause::Unavailable,
    }
}

fn explain<E>(
    error: &SdkError<E, HttpResponse>,
    distribution: &DistributionId,
    account: &Account,
) -> Failure
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let cause = cause(error);
    let said = said(error);
    match (cause, error.code()) {
        (Cause::Permission, _) => Failure::missing_permission(
            "cloudfront:CreateInvalidation",
            &account.distribution_arn(distribution),
        ),
        (Cause::Mistake, Some("NoSuchDistribution")) => Failure::mistake(format!(
            "distribution {distribution} does not exist in this account: correct DISTRIBUTION_ID or the action's \
             UserParameters"
        )),
        (Cause::Mistake, code) => Failure {
            // What we send is in shape but for a path, if we know less of paths than CloudFront does.
            cause: if code == Some("InvalidArgument") {
                Cause::Path
            } else {
                cause
            },
            message: format!("CloudFront refuses to invalidate {distribution}: {said}"),
        },
        (Cause::Busy, _) => Failure {
            cause,
            message: format!(
                "CloudFront is busy with earlier invalidations and takes none for {distribution} now ({said}): try \
                 again in a minute"
            ),
        },
        _ => unavailable(distribution, &said),
    }
}

fn unavailable(distribution: &DistributionId, said: &str) -> Failure {
    Failure::unavailable(format!(
        "CloudFront did not confirm an invalidation of {distribution} ({said}): try again"
    ))
}
