//! What the classifiers need of an SDK error: AWS's own message, and whether the credentials are the problem.

use std::error::Error as StdError;

use aws_sdk_cloudfront::config::http::HttpResponse;
use aws_sdk_cloudfront::error::{ProvideErrorMetadata, SdkError};

use crate::error::ErrorKind;

/// Returns AWS's code and message, or what happened on the way to AWS.
pub(super) fn aws_message<E>(error: &SdkError<E, HttpResponse>) -> String
where
    E: ProvideErrorMetadata + StdError + 'static,
{
    match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        (None, _) => match error.raw_response() {
            Some(response) => {
                let status = response.status();
                let text = match body_message(response) {
                    Some(message) => message,
                    None => with_causes(error),
                };
                format!("HTTP status {status}: {text}")
            }
            None => with_causes(error),
        },
    }
}

/// Returns the `Message` of an XML body that does not have CloudFront's form, as a proxy or gateway may send it.
fn body_message(response: &HttpResponse) -> Option<String> {
    let body = std::str::from_utf8(response.body().bytes()?).ok()?;
    let (_, message) = body.split_once("<Message>")?;
    let (message, _) = message.split_once("</Message>")?;
    Some(message.to_owned())
}

/// Returns the text of an error with its causes, each once: the SDK's own text is "service error" or
/// "dispatch failure".
pub(super) fn with_causes(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// Classifies an error about the credentials of the request by its code
/// ([documented](https://docs.aws.amazon.com/IAM/latest/UserGuide/CommonErrors.html), and
/// [those of S3](https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html)); returns `None` for all others.
pub(super) fn credentials_error(code: &str, message: &str) -> Option<ErrorKind> {
    let expired = match code {
        "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" => true,
        "InvalidClientTokenId"
        | "InvalidAccessKeyId"
        | "InvalidToken"
        | "UnrecognizedClientException"
        | "SignatureDoesNotMatch"
        | "InvalidSignatureException"
        | "IncompleteSignature"
        | "IncompleteSignatureException"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException" => false,
        _ => return None,
    };
    let message = message.to_owned();
    Some(ErrorKind::InvalidCredentials { expired, message })
}
