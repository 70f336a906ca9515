//! What can go wrong on the way to AWS, by name.
//!
//! A test says "the next two calls of CreateInvalidation fail with Throttling" and
//! the stand-in does so in the exact form of the service called: CloudFront's
//! `ErrorResponse` or CodePipeline's `__type`. Beside the refusals that AWS sends
//! there are the failures in which no proper answer comes at all. `LostAnswer` is
//! the one that idempotency exists for: the work was done, the caller never heard.
//! A fault comes before the rules, so it costs neither a throttling token nor a
//! job's one answer; all but `LostAnswer` leave the stand-in as it was.

use std::future::pending;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::{cloudfront, codepipeline};

/// Makes an enum whose variants are known by their names on the wire.
macro_rules! named {
    ($(#[$meta:meta])* $name:ident: $($variant:ident),+ $(,)?) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs, reason = "the variants' names are AWS's own")]
        pub enum $name { $($variant),+ }

        impl $name {
            /// Returns the name on the wire.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant)),+ }
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            fn from_str(name: &str) -> Result<Self, String> {
                let all = [$(Self::$variant),+];
                all.into_iter().find(|one| one.name() == name).ok_or_else(|| {
                    let known = all.map(Self::name).join(", ");
                    format!("unknown {} \"{name}\"; one of: {known}", stringify!($name))
                })
            }
        }
    };
}
pub(super) use named;

named! {
    /// Names a request that the stand-ins understand.
    Operation:
    CreateInvalidation, GetInvalidation, ListInvalidations, ListDistributions,
    GetDistributionConfig, OtherCloudFront, PutJobSuccessResult, PutJobFailureResult,
}

named! {
    /// Names a way to fail.
    Fault:
    AccessDenied, AccessDeniedBare, AccessDeniedException, BatchTooLarge, EntityNotFound,
    Garbage, Hang, InconsistentQuantities, InternalError, InternalFailure, InvalidArgument,
    InvalidJobStateException, InvalidationBatchAlreadyExists, JobNotFoundException, LostAnswer,
    MissingBody, NoSuchDistribution, NoSuchInvalidation, OutputVariablesSizeExceededException,
    Reset, ServiceUnavailable, Throttling, ThrottlingException, TooManyInvalidationsInProgress,
    ValidationException,
}

/// Says no, in the terms that both services share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub status: u16,
    pub code: &'static str,
    pub message: String,
}

impl Refusal {
    pub(super) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            status,
            code,
            message,
        }
    }
}

impl Operation {
    /// Writes a refusal in the form of the service that the operation belongs to.
    pub(super) fn refuse(self, refusal: &Refusal) -> Response {
        match self {
            Self::PutJobSuccessResult | Self::PutJobFailureResult => codepipeline::refuse(refusal),
            _ => cloudfront::refuse(refusal),
        }
    }

    fn iam_action(self) -> String {
        let service = match self {
            Self::PutJobSuccessResult | Self::PutJobFailureResult => "codepipeline",
            _ => "cloudfront",
        };
        format!("{service}:{}", self.name())
    }
}

impl Fault {
    /// Answers as this fault does, which may be never.
    pub(super) async fn answer(self, operation: Operation) -> Response {
        match self {
            Self::Hang => pending().await,
            Self::Reset | Self::LostAnswer => close_without_answer(),
            Self::Garbage => "neither XML nor JSON".into_response(),
            Self::AccessDeniedBare => {
                (StatusCode::FORBIDDEN, access_denied_bare(operation)).into_response()
            }
            _ => operation.refuse(&self.refusal(operation)),
        }
    }

    fn refusal(self, operation: Operation) -> Refusal {
        let (status, message) = match self {
            Self::AccessDenied => return Refusal::new(403, self.name(), not_authorized(operation)),
            Self::AccessDeniedException => {
                return Refusal::new(400, self.name(), not_authorized(operation));
            }
            Self::NoSuchDistribution => (404, "The specified distribution does not exist."),
            Self::NoSuchInvalidation => (404, "The specified invalidation does not exist."),
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
            Self::Throttling | Self::ThrottlingException => (400, "Rate exceeded"),
            Self::JobNotFoundException => (400, codepipeline::JOB_NOT_FOUND),
            Self::InvalidJobStateException => (400, codepipeline::INVALID_JOB_STATE),
            _ => (400, "The request was refused because a test asked for it."),
        };
        Refusal::new(status, self.name(), message)
    }
}

fn not_authorized(operation: Operation) -> String {
    let action = operation.iam_action();
    format!(
        "User: arn:aws:sts::111122223333:assumed-role/standin/standin is not authorized to \
         perform: {action} because no identity-based policy allows the {action} action"
    )
}

/// Writes the refusal of the local cloud's IAM, which is shaped as S3's, not as CloudFront's.
fn access_denied_bare(operation: Operation) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>AccessDenied</Code>\
         <Message>{}</Message><RequestId>{}</RequestId></Error>",
        not_authorized(operation),
        cloudfront::REQUEST_ID
    )
}

/// Makes the server drop the connection: a body that fails at once takes its unsent head with it.
fn close_without_answer() -> Response {
    let broken = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
    let body = futures_util::stream::iter([Err::<Vec<u8>, _>(broken)]);
    axum::body::Body::from_stream(body).into_response()
}
