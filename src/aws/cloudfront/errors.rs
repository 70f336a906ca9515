//! The only classifier of CloudFront's errors.
//!
//! Some errors are neither in the API model nor in the SDK (`Throttling`, `ServiceUnavailable`,
//! `InvalidationBatchAlreadyExists`), one code has two meanings (`InvalidArgument`: a bad path, or a caller reference
//! that was used before), and an error can come without a code. So the code, AWS's message and the HTTP status decide.
//!
//! Codes: <https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_CreateInvalidation.html>; the others were
//! observed on the live service. `RequestLimitExceeded`, `SlowDown` and HTTP status 408 are not documented for CloudFront;
//! the two codes are throttling errors of other services, and the SDK retries them for all
//! (`THROTTLING_ERRORS` in `aws_runtime::retries::classifiers`).

use aws_sdk_cloudfront::config::http::HttpResponse;
use aws_sdk_cloudfront::error::{ProvideErrorMetadata, SdkError};

use crate::account::Account;
use crate::aws::sdk_error::{aws_message, credentials_error};
use crate::distribution::DistributionId;
use crate::error::{Error, ErrorKind};
use crate::plan::InvalidationId;

/// A call to CloudFront, as error messages name it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Call<'a> {
    CreateInvalidation(&'a DistributionId),
    GetInvalidation(&'a DistributionId, &'a InvalidationId),
    ListInvalidations(&'a DistributionId),
    ListDistributions,
    GetDistribution(&'a DistributionId),
    GetDistributionConfig(&'a DistributionId),
    /// With the policy's id.
    GetCachePolicy(&'a str),
    /// With the policy's id.
    GetContinuousDeploymentPolicyConfig(&'a str),
}

impl Call<'_> {
    fn action(self) -> &'static str {
        match self {
            Self::CreateInvalidation(_) => "cloudfront:CreateInvalidation",
            Self::GetInvalidation(..) => "cloudfront:GetInvalidation",
            Self::ListInvalidations(_) => "cloudfront:ListInvalidations",
            Self::ListDistributions => "cloudfront:ListDistributions",
            Self::GetDistribution(_) => "cloudfront:GetDistribution",
            Self::GetDistributionConfig(_) => "cloudfront:GetDistributionConfig",
            Self::GetCachePolicy(_) => "cloudfront:GetCachePolicy",
            Self::GetContinuousDeploymentPolicyConfig(_) => {
                "cloudfront:GetContinuousDeploymentPolicyConfig"
            }
        }
    }

    fn distribution(&self) -> Option<&DistributionId> {
        match self {
            Self::CreateInvalidation(distribution)
            | Self::GetInvalidation(distribution, _)
            | Self::ListInvalidations(distribution)
            | Self::GetDistribution(distribution)
            | Self::GetDistributionConfig(distribution) => Some(distribution),
            Self::ListDistributions
            | Self::GetCachePolicy(_)
            | Self::GetContinuousDeploymentPolicyConfig(_) => None,
        }
    }

    /// Returns the ARN that a policy has to allow, or `*`.
    fn resource(self, account: &Account) -> String {
        match (self, self.distribution()) {
            (Self::GetCachePolicy(id), _) => account.cache_policy_arn(id),
            (Self::GetContinuousDeploymentPolicyConfig(policy), _) => {
                account.continuous_deployment_policy_arn(policy)
            }
            (_, Some(distribution)) => account.distribution_arn(distribution),
            (_, None) => "*".to_owned(),
        }
    }

    /// Completes the sentence "could not …".
    fn purpose(self) -> String {
        match self {
            Self::CreateInvalidation(distribution) => format!("invalidate {distribution}"),
            Self::GetInvalidation(distribution, id) => {
                format!("read invalidation {id} of {distribution}")
            }
            Self::ListInvalidations(distribution) => {
                format!("list the invalidations of {distribution}")
            }
            Self::ListDistributions => "list the distributions".to_owned(),
            Self::GetDistribution(distribution) | Self::GetDistributionConfig(distribution) => {
                format!("read the configuration of {distribution}")
            }
            Self::GetCachePolicy(id) => format!("read cache policy {id}"),
            Self::GetContinuousDeploymentPolicyConfig(policy) => {
                format!("read continuous deployment policy {policy}")
            }
        }
    }

    /// Returns the error of a call that got no usable response.
    pub(super) fn unavailable(self, message: impl Into<String>) -> Error {
        let (purpose, message) = (self.purpose(), message.into());
        ErrorKind::Unavailable { purpose, message }.into()
    }

    /// Returns the error of a call that got no response before its deadline.
    pub(super) fn no_response(self) -> Error {
        self.unavailable("no response in time")
    }

    /// Classifies the error that the call returned.
    pub(super) fn error<E>(self, error: &SdkError<E, HttpResponse>, account: &Account) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let code = error.code().unwrap_or_default();
        let status = error
            .raw_response()
            .map(|response| response.status().as_u16());
        let (purpose, message) = (self.purpose(), aws_message(error));
        if let Some(kind) = credentials_error(code, &message) {
            return Error::from(kind).context(format_args!("could not {purpose}"));
        }
        let kind = match (code, status, self.distribution()) {
            ("TooManyInvalidationsInProgress", ..) => ErrorKind::QuotaInUse { purpose, message },
            (
                "Throttling"
                | "ThrottlingException"
                | "TooManyRequestsException"
                | "RequestLimitExceeded"
                | "SlowDown",
                ..,
            )
            | (_, Some(429 | 503), _) => ErrorKind::Throttled { purpose, message },
            (_, Some(401 | 403), _) => ErrorKind::AccessDenied {
                action: self.action().to_owned(),
                resource: self.resource(account),
                message,
            },
            ("NoSuchDistribution", _, Some(distribution)) => ErrorKind::NoSuchDistribution {
                distribution: distribution.clone(),
                message,
                unclear: None,
            },
            ("NoSuchInvalidation", ..) => ErrorKind::NoSuchInvalidation { purpose, message },
            // The form of a batch is always right. So a path is wrong by a rule that this program lacks, or the caller
            // reference that the user chose.
            ("InvalidArgument", ..) if matches!(self, Self::CreateInvalidation(_)) => {
                ErrorKind::RejectedPath { purpose, message }
            }
            (_, Some(408), _) => ErrorKind::Unavailable { purpose, message },
            (_, Some(400..=499), _) => ErrorKind::Rejected { purpose, message },
            _ if matches!(error, SdkError::ConstructionFailure(_)) => {
                ErrorKind::NotSent { purpose, message }
            }
            _ => ErrorKind::Unavailable { purpose, message },
        };
        kind.into()
    }
}

/// Returns whether CloudFront refused a batch because it has one with the same caller reference.
///
/// `InvalidationBatchAlreadyExists` is documented; `InvalidArgument` with this message was observed on the live service
/// ([aws-cdk#3878](https://github.com/aws/aws-cdk/issues/3878)).
pub(super) fn is_reference_used<E: ProvideErrorMetadata>(
    error: &SdkError<E, HttpResponse>,
) -> bool {
    match error.code() {
        Some("InvalidationBatchAlreadyExists") => true,
        Some("InvalidArgument") => {
            let message = error.message().unwrap_or_default().to_lowercase();
            message.contains("caller reference that was used")
        }
        _ => false,
    }
}
