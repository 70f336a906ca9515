//! The ways in which a call of AWS can fail, by name.
//!
//! A test plans "the next two calls of CreateInvalidation fail with Throttling", and
//! the stand-in responds in the form of the called service: CloudFront's
//! `ErrorResponse`, the `__type` of CodePipeline, SQS and the secrets, or S3's `Error`, of which HeadObject has the status alone. Other faults are
//! failures without a proper response. `LostResponse` is the one that idempotency
//! exists for: the call has its effect, and the caller never learns of it.
//!
//! A fault precedes the service's rules, so it costs no throttling token and does not
//! end a job. Only `LostResponse` changes what the stand-in holds.
//!
//! Forms of a denial: <https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html>

use std::future::pending;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::{aws_json, cloudfront, codepipeline, s3, slack};

/// The account of everything that the stand-ins hold.
pub(super) const ACCOUNT: &str = "111122223333";

/// A request that the stand-ins understand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the variants have AWS's names")]
pub enum Operation {
    CreateInvalidation,
    GetInvalidation,
    ListInvalidations,
    ListDistributions,
    GetDistribution,
    GetDistributionConfig,
    GetCachePolicy,
    GetContinuousDeploymentPolicyConfig,
    PutJobSuccessResult,
    PutJobFailureResult,
    HeadObject,
    GetObject,
    ListObjectsV2,
    SendMessage,
    ChangeMessageVisibility,
    ListQueueTags,
    ReceiveMessage,
    SendMessageBatch,
    DeleteMessageBatch,
    ChangeMessageVisibilityBatch,
    GetSecretValue,
    GetParameter,
    /// A message to one of Slack's hooks, which is not a call of AWS.
    PostToSlack,
}

/// A way to fail. Where nothing else is stated, the name is AWS's error code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "most variants have AWS's names")]
pub enum Fault {
    /// No identity-based policy allows the action; CloudFront's code for it.
    AccessDenied,
    /// The same denial in S3's XML, without an `ErrorResponse`, as MiniStack sends it.
    AccessDeniedBare,
    /// No identity-based policy allows the action; CodePipeline's code for it.
    AccessDeniedException,
    /// A service control policy denies the action.
    ExplicitDenyByScp,
    /// The role has a permissions boundary that does not allow the action.
    NoPermissionsBoundaryAllows,
    ExpiredToken,
    ExpiredTokenException,
    InvalidClientTokenId,
    SignatureDoesNotMatch,
    UnrecognizedClientException,
    BatchTooLarge,
    EntityNotFound,
    InconsistentQuantities,
    InternalError,
    InternalFailure,
    InvalidArgument,
    InvalidationBatchAlreadyExists,
    JobNotFoundException,
    MissingBody,
    NoSuchDistribution,
    NoSuchInvalidation,
    OutputVariablesSizeExceededException,
    RequestLimitExceeded,
    ServiceUnavailable,
    SlowDown,
    Throttling,
    ThrottlingException,
    TooManyInvalidationsInProgress,
    ValidationException,
    /// Status 502 of a gateway in front of the service, with a body of its own.
    BadGateway,
    /// Status 504 of a gateway in front of the service, with a body of its own.
    GatewayTimeout,
    /// Status 408 of a gateway in front of the service, with a body of its own.
    RequestTimeout,
    /// A response with status 200 whose body is neither XML nor JSON.
    Garbage,
    /// No response, and the connection stays open.
    Hang,
    /// The service carries out the call, then closes the connection without a response.
    LostResponse,
    /// The connection is closed without a response.
    Reset,
}

/// A service that the stand-ins replace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Service {
    CloudFront,
    CodePipeline,
    S3,
    Sqs,
    SecretsManager,
    SystemsManager,
    Slack,
}

/// An error of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    pub status: u16,
    pub code: String,
    pub message: String,
}

impl ApiError {
    pub(super) fn new(status: u16, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            status,
            code: code.into(),
            message: message.into(),
        }
    }
}

impl Operation {
    /// Returns whether it is a call of CloudFront.
    pub(super) fn is_of_cloudfront(self) -> bool {
        self.service() == Service::CloudFront
    }

    fn service(self) -> Service {
        match self {
            Self::PutJobSuccessResult | Self::PutJobFailureResult => Service::CodePipeline,
            Self::HeadObject | Self::GetObject | Self::ListObjectsV2 => Service::S3,
            Self::SendMessage
            | Self::ChangeMessageVisibility
            | Self::ListQueueTags
            | Self::ReceiveMessage
            | Self::SendMessageBatch
            | Self::DeleteMessageBatch
            | Self::ChangeMessageVisibilityBatch => Service::Sqs,
            Self::GetSecretValue => Service::SecretsManager,
            Self::GetParameter => Service::SystemsManager,
            Self::PostToSlack => Service::Slack,
            _ => Service::CloudFront,
        }
    }

    /// Writes an error in the form of the operation's service.
    pub(super) fn error_response(self, error: &ApiError) -> Response {
        match self.service() {
            Service::CloudFront => cloudfront::error_response(error),
            Service::CodePipeline => codepipeline::error_response(error),
            Service::S3 => s3::error_response(error),
            Service::Sqs | Service::SecretsManager | Service::SystemsManager => {
                aws_json::error_response(self, error)
            }
            Service::Slack => slack::error_response(error),
        }
    }

    /// Returns AWS's message for a denial; actions without resource-level permissions name no resource.
    fn denial(self, resource: Option<&str>, reason: &str) -> String {
        let service = match self.service() {
            Service::CloudFront => "cloudfront",
            Service::CodePipeline => "codepipeline",
            Service::S3 => "s3",
            Service::Sqs => "sqs",
            Service::SecretsManager => "secretsmanager",
            Service::SystemsManager => "ssm",
            Service::Slack => "slack",
        };
        let mut action = format!("{service}:{self:?}");
        if self.service() == Service::Sqs {
            // Observed: SQS writes the action in lowercase letters. A batch has the action of its entries.
            action.make_ascii_lowercase();
            if let Some(of_entry) = action.strip_suffix("batch") {
                action = of_entry.to_owned();
            }
        }
        let resource = resource.map(|arn| format!(" on resource: {arn}"));
        let resource = resource.unwrap_or_default();
        let reason = reason.replace("{action}", &action);
        format!(
            "User: arn:aws:sts::{ACCOUNT}:assumed-role/standin/standin is not authorized to \
             perform: {action}{resource} {reason}"
        )
    }
}

impl Fault {
    /// Responds as this fault does, which can be never; `resource` is the ARN that the call acts on.
    pub(super) async fn response(self, operation: Operation, resource: Option<&str>) -> Response {
        match self {
            Self::Hang => pending().await,
            Self::Reset | Self::LostResponse => close_without_response(),
            Self::BadGateway => gateway_error(StatusCode::BAD_GATEWAY),
            Self::GatewayTimeout => gateway_error(StatusCode::GATEWAY_TIMEOUT),
            Self::RequestTimeout => gateway_error(StatusCode::REQUEST_TIMEOUT),
            Self::Garbage => "neither XML nor JSON".into_response(),
            Self::AccessDeniedBare => {
                let error = self.error(operation, resource);
                (StatusCode::FORBIDDEN, bare_error(&error.message)).into_response()
            }
            _ => operation.error_response(&self.error(operation, resource)),
        }
    }

    fn error(self, operation: Operation, resource: Option<&str>) -> ApiError {
        if let Some(reason) = self.denial_reason() {
            let (status, code) = match self {
                Self::AccessDenied | Self::AccessDeniedBare => (403, "AccessDenied"),
                Self::AccessDeniedException => (400, "AccessDeniedException"),
                _ if operation.service() == Service::CodePipeline => (400, "AccessDeniedException"),
                _ => (403, "AccessDenied"),
            };
            return ApiError::new(status, code, operation.denial(resource, reason));
        }
        let (status, message) = match self {
            Self::ExpiredToken => (403, EXPIRED_TOKEN),
            Self::ExpiredTokenException => (400, EXPIRED_TOKEN),
            Self::InvalidClientTokenId => (403, INVALID_TOKEN),
            Self::UnrecognizedClientException => (400, INVALID_TOKEN),
            Self::SignatureDoesNotMatch => (403, SIGNATURE_DOES_NOT_MATCH),
            Self::NoSuchDistribution => (404, cloudfront::NO_SUCH_DISTRIBUTION),
            Self::NoSuchInvalidation => (404, cloudfront::NO_SUCH_INVALIDATION),
            Self::EntityNotFound => (404, "The entity was not found."),
            Self::BatchTooLarge => (413, cloudfront::BATCH_TOO_LARGE),
            Self::TooManyInvalidationsInProgress => (400, cloudfront::TOO_MANY_FILES),
            Self::InvalidArgument => (400, cloudfront::INVALID_PATHS),
            Self::InvalidationBatchAlreadyExists => (400, cloudfront::BATCH_ALREADY_EXISTS),
            Self::ServiceUnavailable => (
                503,
                "CloudFront encountered an internal error. Please try again.",
            ),
            Self::InternalError | Self::InternalFailure => (500, "An internal error occurred."),
            Self::SlowDown if operation.service() == Service::S3 => {
                (503, "Please reduce your request rate.")
            }
            Self::Throttling
            | Self::ThrottlingException
            | Self::RequestLimitExceeded
            | Self::SlowDown => (400, "Rate exceeded"),
            Self::JobNotFoundException => (400, codepipeline::JOB_NOT_FOUND),
            _ => (400, "The request was refused because a test asked for it."),
        };
        ApiError::new(status, format!("{self:?}"), message)
    }

    /// Returns the end of the message, from which a reader learns what kind of policy denies the action.
    fn denial_reason(self) -> Option<&'static str> {
        match self {
            Self::AccessDenied | Self::AccessDeniedBare | Self::AccessDeniedException => {
                Some("because no identity-based policy allows the {action} action")
            }
            Self::NoPermissionsBoundaryAllows => {
                Some("because no permissions boundary allows the {action} action")
            }
            Self::ExplicitDenyByScp => Some("with an explicit deny in a service control policy"),
            _ => None,
        }
    }
}

const EXPIRED_TOKEN: &str = "The security token included in the request is expired";
const INVALID_TOKEN: &str = "The security token included in the request is invalid.";
const SIGNATURE_DOES_NOT_MATCH: &str = "The request signature we calculated does not match the \
     signature you provided. Check your AWS Secret Access Key and signing method. Consult the \
     service documentation for details.";

/// Writes an error of MiniStack's IAM, which has the form of S3's errors.
fn bare_error(message: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>AccessDenied</Code>\
         <Message>{message}</Message><RequestId>{}</RequestId></Error>",
        cloudfront::REQUEST_ID
    )
}

/// Writes an error of a gateway, which has neither an error code nor the form of the service's errors.
fn gateway_error(status: StatusCode) -> Response {
    (status, format!("<html><body>{status}</body></html>")).into_response()
}

/// Makes the server close the connection: a body that fails at once also discards the unsent head.
fn close_without_response() -> Response {
    let broken = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
    let body = futures_util::stream::iter([Err::<Vec<u8>, _>(broken)]);
    axum::body::Body::from_stream(body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn denials_have_the_code_of_the_service_and_name_resource_and_reason() {
        let distribution = "arn:aws:cloudfront::111122223333:distribution/E1EXAMPLE1ABC";
        let user = "User: arn:aws:sts::111122223333:assumed-role/standin/standin";
        let create = Operation::CreateInvalidation;
        for (fault, operation, resource, status, code, message) in [
            (
                Fault::AccessDenied,
                create,
                Some(distribution),
                403,
                "AccessDenied",
                "is not authorized to perform: cloudfront:CreateInvalidation on resource: \
                 arn:aws:cloudfront::111122223333:distribution/E1EXAMPLE1ABC because no \
                 identity-based policy allows the cloudfront:CreateInvalidation action",
            ),
            (
                Fault::ExplicitDenyByScp,
                create,
                Some(distribution),
                403,
                "AccessDenied",
                "is not authorized to perform: cloudfront:CreateInvalidation on resource: \
                 arn:aws:cloudfront::111122223333:distribution/E1EXAMPLE1ABC with an explicit deny \
                 in a service control policy",
            ),
            (
                Fault::NoPermissionsBoundaryAllows,
                Operation::ListDistributions,
                None,
                403,
                "AccessDenied",
                "is not authorized to perform: cloudfront:ListDistributions because no \
                 permissions boundary allows the cloudfront:ListDistributions action",
            ),
            (
                Fault::ExplicitDenyByScp,
                Operation::PutJobSuccessResult,
                None,
                400,
                "AccessDeniedException",
                "is not authorized to perform: codepipeline:PutJobSuccessResult with an explicit \
                 deny in a service control policy",
            ),
        ] {
            let expected = ApiError::new(status, code, format!("{user} {message}"));
            assert_eq!(fault.error(operation, resource), expected);
        }
    }
}
