//! `SignedRequest`: the checks before the body of a request is read.
//!
//! Slack signs `v0:{timestamp}:{body}` with HMAC-SHA256. The body is the bytes that Slack sent: after base64 is decoded,
//! before the form is. A request that someone recorded is valid for 300 s; after that its timestamp is refused.
//!
//! <https://docs.slack.dev/authentication/verifying-requests-from-slack>

use std::borrow::Cow;
use std::fmt;

use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::form::Form;
use super::secret::SigningSecret;
use crate::error::Error;
use crate::trigger::function_url::{BodyError, FunctionUrlRequest};

/// The most bytes of a body. Slack's have a few thousand.
const MAX_BODY_BYTES: usize = 1_000_000;

/// The most bytes of the body of a check of the certificate, which is read without a signature.
const MAX_SSL_CHECK_BYTES: usize = 1_000;

/// The most seconds between the timestamp of a request and now, in either direction.
const MAX_SECONDS: i64 = 300;

const TIMESTAMP: &str = "X-Slack-Request-Timestamp";
const SIGNATURE: &str = "X-Slack-Signature";

/// The most digits of a timestamp, which fit into an `i64`.
const MAX_DIGITS: usize = 18;

/// A request with the form and the time of a request from Slack, whose signature can be checked.
pub struct SignedRequest {
    timestamp: String,
    body: Vec<u8>,
    signature: [u8; 32],
}

/// Why a request is refused. Its text is for a log line and has no value of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The method is not POST.
    Method,
    /// The body has more than 1,000,000 bytes.
    TooLarge,
    /// The body is not the base64 text that the event claims.
    NotBase64,
    /// The request does not have this header exactly once.
    MissingHeader(&'static str),
    /// This header has another form than Slack's.
    MalformedHeader(&'static str),
    /// The timestamp is more than 300 s ago.
    TooOld,
    /// The timestamp is more than 300 s in the future.
    InFuture,
    /// No signing secret matches the signature.
    Signature,
}

impl SignedRequest {
    /// Reads a request, and checks what needs no secret.
    ///
    /// # Errors
    ///
    /// Returns the first [`Refusal`], in the order of its variants.
    pub fn read(request: &FunctionUrlRequest, now: DateTime<Utc>) -> Result<Self, Refusal> {
        if request.method != "POST" {
            return Err(Refusal::Method);
        }
        let body = request.body(MAX_BODY_BYTES)?;
        let header = |name| request.header(name).ok_or(Refusal::MissingHeader(name));
        let (timestamp, signature) = (header(TIMESTAMP)?, header(SIGNATURE)?);
        let seconds = parse_timestamp(timestamp).ok_or(Refusal::MalformedHeader(TIMESTAMP))?;
        let signature = parse_signature(signature).ok_or(Refusal::MalformedHeader(SIGNATURE))?;
        match now.timestamp().saturating_sub(seconds) {
            age if age > MAX_SECONDS => Err(Refusal::TooOld),
            age if age < -MAX_SECONDS => Err(Refusal::InFuture),
            _ => Ok(Self {
                timestamp: timestamp.to_owned(),
                body: body.into_owned(),
                signature,
            }),
        }
    }

    /// Returns whether Slack checks the certificate of the URL. Slack does not sign this request
    /// ([observed](https://github.com/slackapi/bolt-js/issues/1397)), so the only thing that it can lead to is a response without
    /// content.
    pub fn is_ssl_check(request: &FunctionUrlRequest) -> bool {
        let is_unsigned = [TIMESTAMP, SIGNATURE]
            .iter()
            .all(|name| !request.has_header(name));
        let is_check = |body: Cow<'_, [u8]>| matches!(Form::parse(&body), Ok(Form::SslCheck));
        request.method == "POST"
            && is_unsigned
            && request.body(MAX_SSL_CHECK_BYTES).is_ok_and(is_check)
    }

    /// Returns whether one of the secrets matches the signature. The time that it takes does not depend on which one, and
    /// not on the bytes of the signature.
    pub fn is_signed_with(&self, secrets: &[SigningSecret]) -> bool {
        let mut is_signed = false;
        for secret in secrets {
            is_signed |= self.matches(secret);
        }
        is_signed
    }

    /// Reads the form in the body. Call it only for a request whose signature matches.
    ///
    /// # Errors
    ///
    /// Returns an [`Error`] that names the field.
    pub fn form(&self) -> Result<Form, Error> {
        Form::parse(&self.body)
    }

    fn matches(&self, secret: &SigningSecret) -> bool {
        // HMAC accepts a key of any length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
            return false;
        };
        for part in [b"v0:", self.timestamp.as_bytes(), b":", &self.body] {
            mac.update(part);
        }
        mac.verify_slice(&self.signature).is_ok()
    }
}

/// Without the body, which has the response URL.
impl fmt::Debug for SignedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedRequest")
            .field("timestamp", &self.timestamp)
            .finish_non_exhaustive()
    }
}

/// Parses seconds since 1970: digits only, because the signature is over the text.
fn parse_timestamp(text: &str) -> Option<i64> {
    let is_number = text.len() <= MAX_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

/// Parses `v0=` and the lower-case hexadecimal digits of a SHA-256.
fn parse_signature(text: &str) -> Option<[u8; 32]> {
    let digits = text.strip_prefix("v0=")?.as_bytes();
    let mut signature = [0; 32];
    if digits.len() != 2 * signature.len() {
        return None;
    }
    for (byte, pair) in signature.iter_mut().zip(digits.chunks_exact(2)) {
        let &[high, low] = pair else { return None };
        *byte = hex_digit(high)? << 4 | hex_digit(low)?;
    }
    Some(signature)
}

fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

impl From<BodyError> for Refusal {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge => Self::TooLarge,
            BodyError::NotBase64 => Self::NotBase64,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Method => f.write_str("the method is not POST"),
            Self::TooLarge => f.write_str("the body has more than 1,000,000 bytes"),
            Self::NotBase64 => f.write_str("the body is not valid base64"),
            Self::MissingHeader(name) => write!(f, "the header {name} is missing or repeated"),
            Self::MalformedHeader(name) => write!(f, "the header {name} is malformed"),
            Self::TooOld => write!(f, "the timestamp is more than {MAX_SECONDS} s old"),
            Self::InFuture => write!(
                f,
                "the timestamp is more than {MAX_SECONDS} s in the future"
            ),
            Self::Signature => f.write_str("the signature matches no signing secret"),
        }
    }
}

impl std::error::Error for Refusal {}
