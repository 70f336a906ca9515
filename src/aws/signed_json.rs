//! Calls of services that have the protocol AWS JSON, without an SDK client for each.
//!
//! An SDK client of another service makes the function larger, and its start slower. CodePipeline, SQS, Secrets Manager and
//! Systems Manager are needed for one or two calls each, which have a JSON object as input and output. So a request is made
//! here, signed with the SDK's signer (`aws-sigv4`) and sent with the SDK's HTTP client. Region, credentials, endpoints, FIPS
//! and dual stack are those of the SDK's configuration, with the same meaning as for its clients.
//!
//! Protocol: <https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html>

use std::time::{Duration, SystemTime};

use aws_runtime::retries::classifiers::{THROTTLING_ERRORS, TRANSIENT_ERRORS};
use aws_sdk_cloudfront::config::http::HttpRequest;
use aws_sdk_cloudfront::config::{
    Credentials, ProvideCredentials, Region, SharedCredentialsProvider,
};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use aws_types::SdkConfig;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use super::http::{
    self, HttpSender, Received, SendError, USER_AGENT, http_date, is_failure_of_server,
};
use super::sdk::{ATTEMPT_TIMEOUT, partition, service_endpoint};
use super::sdk_error::{credentials_error, with_causes};
#[cfg(feature = "cli")]
use crate::aws::call_log::{CallLog, Response};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind};

/// The pause before the second attempt. It doubles for each later one.
const BACKOFF: Duration = Duration::from_millis(100);

/// The least difference between the clocks to which an error about a signature is ascribed, as in the SDK's clients.
const MIN_CLOCK_SKEW: TimeDelta = TimeDelta::minutes(4);

/// The error codes that a difference between the clocks can have, as in the SDK's clients.
const CLOCK_SKEW_ERRORS: [&str; 5] = [
    "AccessDeniedException",
    "AuthFailure",
    "InvalidSignatureException",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
];

/// The least time of an attempt that can include a TLS handshake.
const WITH_HANDSHAKE: Duration = Duration::from_millis(750);

/// The maximum length of a response. A secret has at most 65,536 bytes
/// ([quotas](https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html)), of which JSON escapes
/// each with at most six.
const MAX_RESPONSE_BYTES: usize = 512 * 1024;

/// A service with the protocol AWS JSON.
#[derive(Debug)]
pub(super) struct Service {
    /// Its id in the SDK, from which the names of its settings follow.
    id: &'static str,
    /// Its name in signatures and endpoints.
    name: &'static str,
    /// Precedes the operation in the header `x-amz-target`.
    target_prefix: &'static str,
    content_type: &'static str,
    /// Whether its endpoints in GovCloud are FIPS endpoints without `-fips` in the name.
    is_fips_in_govcloud: bool,
    /// Whether its endpoints have another domain for IPv6.
    has_dual_stack_domain: bool,
    /// How many times a call is attempted.
    attempts: u32,
    /// The minimum time of an attempt, unless less is left until the deadline.
    least_attempt: Duration,
}

pub(super) const CODEPIPELINE: Service = Service {
    id: "CodePipeline",
    name: "codepipeline",
    target_prefix: "CodePipeline_20150709",
    content_type: "application/x-amz-json-1.1",
    is_fips_in_govcloud: false,
    has_dual_stack_domain: true,
    // Without a result, the pipeline waits until the job times out.
    attempts: 4,
    // The connection is opened at the start of the job, so the first attempt has no handshake.
    least_attempt: Duration::from_millis(400),
};

pub(super) const SQS: Service = Service {
    id: "SQS",
    name: "sqs",
    target_prefix: "AmazonSQS",
    content_type: "application/x-amz-json-1.0",
    is_fips_in_govcloud: true,
    has_dual_stack_domain: true,
    attempts: 2,
    least_attempt: WITH_HANDSHAKE,
};

pub(super) const SECRETS_MANAGER: Service = Service {
    id: "Secrets Manager",
    name: "secretsmanager",
    target_prefix: "secretsmanager",
    content_type: "application/x-amz-json-1.1",
    is_fips_in_govcloud: false,
    has_dual_stack_domain: false,
    attempts: 2,
    least_attempt: WITH_HANDSHAKE,
};

pub(super) const SYSTEMS_MANAGER: Service = Service {
    id: "SSM",
    name: "ssm",
    target_prefix: "AmazonSSM",
    content_type: "application/x-amz-json-1.1",
    is_fips_in_govcloud: true,
    has_dual_stack_domain: true,
    attempts: 2,
    least_attempt: WITH_HANDSHAKE,
};

impl Service {
    /// Returns the URL of the service in a region
    /// ([rules of SQS](https://docs.aws.amazon.com/general/latest/gr/sqs-service.html)).
    fn endpoint(&self, region: &str, use_fips: bool, use_dual_stack: bool) -> String {
        let partition = partition(region);
        let fips = match partition.name {
            "aws-us-gov" if self.is_fips_in_govcloud && !use_dual_stack => "",
            _ if use_fips => "-fips",
            _ => "",
        };
        let domain = match use_dual_stack && self.has_dual_stack_domain {
            true => partition.dual_stack_domain,
            false => partition.domain,
        };
        format!("https://{}{fips}.{region}.{domain}", self.name)
    }
}

/// A client of one service.
#[derive(Clone, Debug)]
pub(super) struct SignedJson {
    service: &'static Service,
    http: HttpSender,
    credentials: Option<SharedCredentialsProvider>,
    region: Option<Region>,
    /// The endpoint of the environment.
    configured_endpoint: Option<String>,
    use_fips: bool,
    use_dual_stack: bool,
    clock: Clock,
    #[cfg(feature = "cli")]
    calls: Option<CallLog>,
}

/// Where a call is sent, and the region of its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    pub(super) url: String,
    pub(super) region: String,
}

/// What a call can take.
#[derive(Clone, Copy, Debug)]
struct Limits {
    attempts: u32,
    max_response_bytes: usize,
    deadline: Instant,
}

/// Why a call failed.
#[derive(Debug)]
pub(super) enum CallError {
    NotSent(String),
    NoCredentials(Option<String>),
    /// The connection failed, or no response arrived in time.
    NoResponse(String),
    /// The response is a success that is not in the form of the protocol.
    Unreadable(&'static str),
    Rejected(Rejection),
}

/// The error that a service returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rejection {
    pub(super) status: u16,
    /// Empty if the response is not in the form of the protocol, as that of a gateway is.
    pub(super) code: String,
    pub(super) message: Option<String>,
}

impl SignedJson {
    /// Creates a client; sends nothing.
    pub(super) fn new(service: &'static Service, sdk: &SdkConfig, clock: Clock) -> Self {
        Self {
            service,
            http: HttpSender::new(sdk),
            credentials: sdk.credentials_provider(),
            region: sdk.region().cloned(),
            configured_endpoint: service_endpoint(sdk, service.id),
            use_fips: sdk.use_fips() == Some(true),
            use_dual_stack: sdk.use_dual_stack() == Some(true),
            clock,
            #[cfg(feature = "cli")]
            calls: None,
        }
    }

    /// Prints each call.
    #[cfg(feature = "cli")]
    pub(super) fn with_call_log(self, calls: CallLog) -> Self {
        Self {
            calls: Some(calls),
            ..self
        }
    }

    /// Returns the region of the configuration.
    pub(super) fn region(&self) -> Option<&str> {
        self.region.as_ref().map(Region::as_ref)
    }

    /// Returns the endpoint of the service in this region, unless the environment configures another one.
    pub(super) fn endpoint_in(&self, region: Option<&str>) -> Result<Endpoint, CallError> {
        let region = region.ok_or_else(|| CallError::NotSent("no region is set".to_owned()))?;
        let url = match &self.configured_endpoint {
            // The clients of the SDK refuse both, too.
            Some(_) if self.use_fips => {
                let reason = "a FIPS endpoint and an endpoint URL are both configured";
                return Err(CallError::NotSent(reason.to_owned()));
            }
            Some(_) if self.use_dual_stack => {
                let reason = "a dual-stack endpoint and an endpoint URL are both configured";
                return Err(CallError::NotSent(reason.to_owned()));
            }
            Some(url) => url.clone(),
            None => (self.service).endpoint(region, self.use_fips, self.use_dual_stack),
        };
        Ok(Endpoint {
            url,
            region: region.to_owned(),
        })
    }

    /// Returns whether the environment configures an endpoint.
    pub(super) fn has_configured_endpoint(&self) -> bool {
        self.configured_endpoint.is_some()
    }

    /// Calls an operation and returns its output. A throttled call, a failure of the service and one of the connection are
    /// repeated, up to `Service::attempts` times in all while the deadline allows it, after pauses that double, or that the
    /// service asked for. A call that failed because of a wrong clock is repeated with the time of the service.
    pub(super) async fn call(
        &self,
        endpoint: &Endpoint,
        operation: &'static str,
        input: &Value,
        deadline: Instant,
    ) -> Result<Value, CallError> {
        let limits = Limits {
            attempts: self.service.attempts,
            max_response_bytes: MAX_RESPONSE_BYTES,
            deadline,
        };
        self.call_within(endpoint, operation, input, limits).await
    }

    /// Calls an operation once and returns its output, which has at most `max_response` bytes. It is for an operation
    /// whose output is lost if a second attempt follows, such as received messages.
    #[cfg(feature = "cli")]
    pub(super) async fn call_once(
        &self,
        endpoint: &Endpoint,
        operation: &'static str,
        input: &Value,
        max_response: usize,
        deadline: Instant,
    ) -> Result<Value, CallError> {
        let limits = Limits {
            attempts: 1,
            max_response_bytes: max_response,
            deadline,
        };
        self.call_within(endpoint, operation, input, limits).await
    }

    async fn call_within(
        &self,
        endpoint: &Endpoint,
        operation: &'static str,
        input: &Value,
        limits: Limits,
    ) -> Result<Value, CallError> {
        #[cfg(feature = "cli")]
        let running = self.calls.as_ref().map(|calls| calls.start(operation));
        let credentials = self.credentials(limits.deadline).await?;
        let body = input.to_string();
        let (mut attempt, mut backoff, mut skew) = (1, BACKOFF, TimeDelta::zero());
        loop {
            let now = DateTime::<Utc>::from(self.clock.now());
            let time = SystemTime::from(now + skew);
            let request = self.request(endpoint, operation, &body, credentials.clone(), time)?;
            let end_of_attempt = limits.end_of(attempt, self.service.least_attempt);
            let sent = (self.http)
                .send(request, limits.max_response_bytes, end_of_attempt)
                .await;
            let result = match &sent {
                Ok(received) => output(received),
                Err(error) => Err(error.clone().into()),
            };
            let clock_skew = match (&result, &sent) {
                (Err(error), Ok(received)) if skew.is_zero() => error.clock_skew(received, now),
                _ => None,
            };
            let is_in_time = |pause: &Duration| Instant::now() + *pause < limits.deadline;
            let requested = sent.as_ref().ok().and_then(|sent| sent.aws_retry_after);
            let requested = requested.map(Duration::from_millis).filter(is_in_time);
            let pause = requested.map_or(backoff, |requested| requested.max(backoff));
            let can_succeed =
                clock_skew.is_some() || result.as_ref().is_err_and(CallError::is_transient);
            if !can_succeed || attempt >= limits.attempts || !is_in_time(&pause) {
                #[cfg(feature = "cli")]
                if let Some(running) = running {
                    let response = sent.as_ref().ok().map(|received| Response {
                        status: received.status,
                        code: result.as_ref().err().and_then(CallError::code),
                        request_id: received.request_id.as_deref(),
                    });
                    running.end(response, attempt);
                }
                return result;
            }
            self.clock.pause(pause).await;
            skew = clock_skew.unwrap_or(skew);
            (attempt, backoff) = (attempt + 1, backoff * 2);
        }
    }

    async fn credentials(&self, deadline: Instant) -> Result<Credentials, CallError> {
        let Some(provider) = &self.credentials else {
            return Err(CallError::NoCredentials(None));
        };
        let credentials = timeout_at(deadline, provider.provide_credentials()).await;
        let credentials = credentials
            .map_err(|_elapsed| CallError::NoResponse("no credentials in time".into()))?;
        credentials.map_err(|error| CallError::NoCredentials(Some(with_causes(&error))))
    }

    /// Returns the signed request.
    fn request(
        &self,
        endpoint: &Endpoint,
        operation: &str,
        body: &str,
        credentials: Credentials,
        time: SystemTime,
    ) -> Result<HttpRequest, CallError> {
        let url = format!("{}/", endpoint.url.trim_end_matches('/'));
        let target = format!("{}.{operation}", self.service.target_prefix);
        let signed = [
            ("content-type", self.service.content_type),
            ("x-amz-target", target.as_str()),
        ];
        let mut request = http::post(&url, &signed, body)?;
        http::insert(&mut request, "user-agent", USER_AGENT)?;
        let identity = credentials.into();
        let parameters = SigningParams::builder()
            .identity(&identity)
            .region(&endpoint.region)
            .name(self.service.name)
            .time(time)
            .settings(SigningSettings::default())
            .build();
        let not_signed = |error: &dyn std::error::Error| CallError::NotSent(with_causes(error));
        let parameters = parameters.map_err(|error| not_signed(&error))?;
        let signable = SignableBody::Bytes(body.as_bytes());
        let signable = SignableRequest::new("POST", url.as_str(), signed.into_iter(), signable);
        let signable = signable.map_err(|error| not_signed(&error))?;
        let signature = sign(signable, &parameters.into());
        let (instructions, _) = signature.map_err(|error| not_signed(&error))?.into_parts();
        let (headers, _) = instructions.into_parts();
        for header in headers {
            http::insert(&mut request, header.name(), header.value())?;
        }
        Ok(request)
    }
}

impl Limits {
    /// Returns when an attempt ends that begins now: the time is divided between it and those that can follow.
    fn end_of(self, attempt: u32, least_attempt: Duration) -> Instant {
        let now = Instant::now();
        let left = self.deadline.saturating_duration_since(now);
        let attempts = self.attempts.saturating_sub(attempt).saturating_add(1);
        let share = left / attempts;
        now + share.clamp(least_attempt, ATTEMPT_TIMEOUT).min(left)
    }
}

/// Reads the output of a call, or the service's error.
fn output(received: &Received) -> Result<Value, CallError> {
    let body = serde_json::from_slice(&received.body);
    if !(200..300).contains(&received.status) {
        let body = body.unwrap_or(Value::Null);
        return Err(CallError::Rejected(Rejection::read(received, &body)));
    }
    if received.is_truncated {
        return Err(CallError::Unreadable("the response is too long"));
    }
    // Some operations have no output, such as ChangeMessageVisibility and PutJobSuccessResult.
    if received.body.trim_ascii().is_empty() {
        return Ok(Value::Null);
    }
    // The error of serde_json can quote the body, which can be a secret.
    body.map_err(|_error| CallError::Unreadable("the response is not JSON"))
}

impl Rejection {
    /// Reads the error as the protocol has it: the code is in the body or in a header, possibly with a namespace before it or a
    /// URL after it.
    fn read(received: &Received, body: &Value) -> Self {
        let text = |names: [&str; 2]| {
            let mut fields = names
                .into_iter()
                .filter_map(|name| body.get(name)?.as_str());
            fields.next()
        };
        let code = received.error_type.as_deref();
        let code = code
            .or_else(|| text(["__type", "code"]))
            .unwrap_or_default();
        let code = code.split(':').next().unwrap_or_default();
        let code = code.rsplit('#').next().unwrap_or_default();
        Self {
            status: received.status,
            code: code.to_owned(),
            message: text(["message", "Message"])
                .filter(|message| !message.is_empty())
                .map(str::to_owned),
        }
    }

    /// Returns AWS's code and message.
    pub(super) fn text(&self) -> String {
        let code = match self.code.is_empty() {
            true => format!("HTTP status {}", self.status),
            false => self.code.clone(),
        };
        match &self.message {
            Some(message) => format!("{code}: {message}"),
            None => code,
        }
    }

    /// Returns AWS's message without its code; empty if there is none.
    pub(super) fn message(&self) -> &str {
        self.message.as_deref().unwrap_or_default()
    }

    pub(super) fn is_access_denied(&self) -> bool {
        self.code.starts_with("AccessDenied") || matches!(self.status, 401 | 403)
    }

    fn is_throttled(&self) -> bool {
        let code = self.code.as_str();
        self.status == 429 || code == "KmsThrottled" || THROTTLING_ERRORS.contains(&code)
    }

    /// Returns whether the same call can succeed at once: the service failed, not the request.
    fn is_failure_of_service(&self) -> bool {
        is_failure_of_server(self.status) || TRANSIENT_ERRORS.contains(&self.code.as_str())
    }
}

impl CallError {
    fn is_transient(&self) -> bool {
        match self {
            Self::NoResponse(_) => true,
            Self::Rejected(rejection) => {
                rejection.is_throttled() || rejection.is_failure_of_service()
            }
            Self::NotSent(_) | Self::NoCredentials(_) | Self::Unreadable(_) => false,
        }
    }

    /// Returns AWS's error code.
    #[cfg(feature = "cli")]
    fn code(&self) -> Option<&str> {
        match self {
            Self::Rejected(rejection) => {
                Some(rejection.code.as_str()).filter(|code| !code.is_empty())
            }
            _ => None,
        }
    }

    /// Returns how much later it is for the service, if the difference can be why it rejected a request that was signed at `time`.
    fn clock_skew(&self, received: &Received, time: DateTime<Utc>) -> Option<TimeDelta> {
        let Self::Rejected(rejection) = self else {
            return None;
        };
        let skew = http_date(received.date.as_deref()?)? - time;
        let can_be_reason = CLOCK_SKEW_ERRORS.contains(&rejection.code.as_str());
        (can_be_reason && skew.abs() > MIN_CLOCK_SKEW).then_some(skew)
    }

    /// Returns the error of a call that is for `purpose`, with what the caller does about a service's own error: `action` and
    /// `resource` are those that IAM denies, `remedy` is what to do if it is none of the errors that all services share.
    pub(super) fn into_error(
        self,
        purpose: String,
        (action, resource): (&str, String),
        remedy: Option<String>,
    ) -> Error {
        let unavailable = |purpose, message| ErrorKind::Unavailable { purpose, message };
        let kind = match self {
            Self::NotSent(message) => ErrorKind::NotSent { purpose, message },
            Self::NoCredentials(message) => ErrorKind::NoCredentials {
                message,
                has_login_session: false,
            },
            Self::NoResponse(message) => unavailable(purpose, message),
            Self::Unreadable(message) => unavailable(purpose, message.to_owned()),
            Self::Rejected(rejection) => {
                let message = rejection.text();
                match credentials_error(&rejection.code, &message) {
                    Some(kind) => kind,
                    None if rejection.is_throttled() => ErrorKind::Throttled { purpose, message },
                    None if rejection.is_failure_of_service() => unavailable(purpose, message),
                    None if rejection.is_access_denied() => ErrorKind::AccessDenied {
                        action: action.to_owned(),
                        resource,
                        message,
                    },
                    None => ErrorKind::Refused {
                        purpose,
                        message,
                        remedy,
                    },
                }
            }
        };
        kind.into()
    }
}

impl From<SendError> for CallError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::NotSent(reason) => Self::NotSent(reason),
            SendError::NoResponse(reason) => Self::NoResponse(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::{Arc, Mutex};
    use std::time::UNIX_EPOCH;

    use aws_sdk_cloudfront::config::http::HttpResponse;
    use aws_smithy_runtime_api::client::http::{
        HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
    };
    use aws_smithy_runtime_api::http::StatusCode;
    use aws_smithy_types::body::SdkBody;

    use super::*;
    use crate::invocation::{ERROR_RESERVE, RESPONSE_RESERVE};

    /// 2026-01-01T00:00:00Z.
    const START: Duration = Duration::from_secs(1_767_225_600);

    #[test]
    fn endpoints_follow_the_rules_of_the_sdks() {
        // From the endpoint rules of botocore (`endpoint-rule-set-1.json`).
        for (service, region, use_fips, use_dual_stack, url) in [
            (
                &CODEPIPELINE,
                "eu-west-1",
                false,
                false,
                "https://codepipeline.eu-west-1.amazonaws.com",
            ),
            (
                &SQS,
                "eu-west-1",
                false,
                false,
                "https://sqs.eu-west-1.amazonaws.com",
            ),
            (
                &SQS,
                "us-east-1",
                true,
                false,
                "https://sqs-fips.us-east-1.amazonaws.com",
            ),
            (
                &SQS,
                "us-gov-west-1",
                true,
                false,
                "https://sqs.us-gov-west-1.amazonaws.com",
            ),
            (
                &SQS,
                "us-gov-west-1",
                true,
                true,
                "https://sqs-fips.us-gov-west-1.api.aws",
            ),
            (
                &SQS,
                "cn-north-1",
                false,
                false,
                "https://sqs.cn-north-1.amazonaws.com.cn",
            ),
            (
                &SQS,
                "eu-west-1",
                false,
                true,
                "https://sqs.eu-west-1.api.aws",
            ),
            (
                &SQS,
                "cn-north-1",
                false,
                true,
                "https://sqs.cn-north-1.api.amazonwebservices.com.cn",
            ),
            (
                &SECRETS_MANAGER,
                "eu-west-1",
                false,
                false,
                "https://secretsmanager.eu-west-1.amazonaws.com",
            ),
            (
                &SECRETS_MANAGER,
                "cn-north-1",
                false,
                false,
                "https://secretsmanager.cn-north-1.amazonaws.com.cn",
            ),
            (
                &SECRETS_MANAGER,
                "us-east-1",
                true,
                false,
                "https://secretsmanager-fips.us-east-1.amazonaws.com",
            ),
            (
                &SECRETS_MANAGER,
                "us-gov-west-1",
                true,
                false,
                "https://secretsmanager-fips.us-gov-west-1.amazonaws.com",
            ),
            (
                &SECRETS_MANAGER,
                "us-gov-west-1",
                true,
                true,
                "https://secretsmanager-fips.us-gov-west-1.amazonaws.com",
            ),
            (
                &SECRETS_MANAGER,
                "eu-west-1",
                false,
                true,
                "https://secretsmanager.eu-west-1.amazonaws.com",
            ),
            (
                &SYSTEMS_MANAGER,
                "eu-west-1",
                false,
                false,
                "https://ssm.eu-west-1.amazonaws.com",
            ),
            (
                &SYSTEMS_MANAGER,
                "cn-northwest-1",
                false,
                false,
                "https://ssm.cn-northwest-1.amazonaws.com.cn",
            ),
            (
                &SYSTEMS_MANAGER,
                "us-east-1",
                true,
                false,
                "https://ssm-fips.us-east-1.amazonaws.com",
            ),
            (
                &SYSTEMS_MANAGER,
                "us-gov-east-1",
                true,
                false,
                "https://ssm.us-gov-east-1.amazonaws.com",
            ),
            (
                &SYSTEMS_MANAGER,
                "eu-west-1",
                true,
                true,
                "https://ssm-fips.eu-west-1.api.aws",
            ),
        ] {
            assert_eq!(service.endpoint(region, use_fips, use_dual_stack), url);
        }
    }

    /// The expected headers are those of botocore 1.43.106: `SigV4Auth(Credentials(…), service, "eu-west-1").add_auth` of an
    /// `AWSRequest` with this URL, these headers and this body, while its clock returned 2026-01-01T00:00:00Z.
    #[test]
    fn a_request_has_the_signature_of_botocore() {
        const DATE: &str = "20260101";
        let message = r#"{"DelaySeconds":5,"MessageBody":"é","QueueUrl":"https://sqs.eu-west-1.amazonaws.com/111122223333/slack"}"#;
        let secret = r#"{"SecretId":"slack"}"#;
        let parameter = r#"{"Name":"/team/slack","WithDecryption":true}"#;
        let token = Some("token-of-the-function");
        for (service, operation, body, token, signature) in [
            (
                &SQS,
                "SendMessage",
                message,
                token,
                "dc95f9eef53d5adbb2a87b578beb6f3aa838080757674cc73be2a7c43c2e75dc",
            ),
            (
                &SECRETS_MANAGER,
                "GetSecretValue",
                secret,
                token,
                "dfd48607dbdebc7af18459108554d4d31dddfb1f9bca205104fbf6c52c15bc73",
            ),
            (
                &SYSTEMS_MANAGER,
                "GetParameter",
                parameter,
                token,
                "ae6f6342a608aa2e8d6c76e9a89a2074873e55afc4c6c8b5bfcd06d9502c1ae7",
            ),
            (
                &SQS,
                "SendMessage",
                message,
                None,
                "87759cd2dcbf1b4e28d4ea8ced4e69fda22e9af6e1d3632325a88b58e2387884",
            ),
            (
                &SECRETS_MANAGER,
                "GetSecretValue",
                secret,
                None,
                "8e06939e421f8b921389ff54a562e474aebd28bcfebcc6088ae045366988ce1e",
            ),
            (
                &SYSTEMS_MANAGER,
                "GetParameter",
                parameter,
                None,
                "0bbab83e8ef80f24b225066732cb8d76fe287aebb6e62144d96ebb7a392d22e0",
            ),
        ] {
            let now = UNIX_EPOCH + START;
            let client = SignedJson::new(service, &SdkConfig::builder().build(), Clock::system());
            let endpoint = Endpoint {
                url: "http://127.0.0.1:4566".to_owned(),
                region: "eu-west-1".to_owned(),
            };
            let token_of = token.map(str::to_owned);
            let credentials = Credentials::new(
                "AKIDEXAMPLE",
                "secret-of-the-function",
                token_of,
                None,
                "test",
            );
            let request = client.request(&endpoint, operation, body, credentials, now);
            let request = request.expect("a request");
            let security_token = token.map_or("", |_| "x-amz-security-token;");
            let name = service.name;
            let authorization = format!(
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/{DATE}/eu-west-1/{name}/aws4_request, \
                 SignedHeaders=content-type;host;x-amz-date;{security_token}x-amz-target, Signature={signature}"
            );
            let header = |name| request.headers().get(name);
            assert_eq!(header("authorization"), Some(authorization.as_str()));
            assert_eq!(header("x-amz-date"), Some("20260101T000000Z"));
            assert_eq!(header("x-amz-security-token"), token);
            assert_eq!(request.uri(), "http://127.0.0.1:4566/");
        }
    }

    /// A status, headers and a body.
    type Response = (u16, Vec<(&'static str, &'static str)>, &'static str);

    /// A service that gives each call the next of these responses, and none after the last. It records when it is called, and the
    /// time of each signature.
    #[derive(Clone, Debug)]
    struct Responses {
        left: Arc<Mutex<VecDeque<Response>>>,
        calls: Arc<Mutex<Vec<(Instant, String)>>>,
    }

    impl Responses {
        fn new(responses: &[Response]) -> Self {
            Self {
                left: Arc::new(Mutex::new(responses.to_vec().into())),
                calls: Arc::default(),
            }
        }

        /// Calls a service that has this long to respond. The clock of the caller shows 2026-01-01T00:00:00Z.
        async fn call(
            &self,
            service: &'static Service,
            time: Duration,
        ) -> Result<Value, CallError> {
            let credentials = Credentials::new("AKIDEXAMPLE", "secret", None, None, "test");
            let connector = SharedHttpConnector::new(self.clone());
            let sdk = SdkConfig::builder()
                .http_client(http_client_fn(move |_, _| connector.clone()))
                .credentials_provider(SharedCredentialsProvider::new(credentials))
                .region(Region::new("eu-west-1"))
                .build();
            let clock = Clock::new(|| UNIX_EPOCH + START, tokio::time::sleep);
            let client = SignedJson::new(service, &sdk, clock);
            let endpoint = client.endpoint_in(client.region()).expect("an endpoint");
            let deadline = Instant::now() + time;
            let result = client.call(&endpoint, "Operation", &Value::Null, deadline);
            let result = result.await;
            assert!(Instant::now() <= deadline);
            result
        }

        /// Returns how long after the first call each one began. Unit: milliseconds.
        fn times(&self) -> Vec<u128> {
            let calls = self.calls.lock().expect("no panic");
            let times = calls
                .iter()
                .map(|(time, _)| (*time - calls[0].0).as_millis());
            times.collect()
        }

        fn dates(&self) -> Vec<String> {
            let calls = self.calls.lock().expect("no panic");
            calls.iter().map(|(_, date)| date.clone()).collect()
        }
    }

    impl HttpConnector for Responses {
        fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
            let date = request.headers().get("x-amz-date").expect("a date");
            let call = (Instant::now(), date.to_owned());
            self.calls.lock().expect("no panic").push(call);
            let Some((status, headers, body)) = self.left.lock().expect("no panic").pop_front()
            else {
                return HttpConnectorFuture::new(std::future::pending());
            };
            let status = StatusCode::try_from(status).expect("a status");
            let mut response = HttpResponse::new(status, SdkBody::from(body));
            for (name, value) in headers {
                response.headers_mut().insert(name, value);
            }
            HttpConnectorFuture::ready(Ok(response))
        }
    }

    /// Returns when each attempt of a call begins that has this much time, and when the last one ends. Unit: milliseconds.
    async fn attempts_without_response(service: &'static Service, time: u64) -> Vec<u128> {
        let silent = Responses::new(&[]);
        let began = Instant::now();
        let result = silent.call(service, Duration::from_millis(time)).await;
        assert!(
            matches!(result, Err(CallError::NoResponse(_))),
            "{result:?}"
        );
        let mut times = silent.times();
        times.push(began.elapsed().as_millis());
        times
    }

    fn error(code: &'static str) -> Response {
        (400, vec![("x-amzn-errortype", code)], "")
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_the_clock_made_fail_is_signed_with_the_time_of_the_service() {
        let rejected = |code, date| (403, vec![("x-amzn-errortype", code), ("date", date)], "");
        let time = Duration::from_secs(20);
        for (code, date, dates) in [
            // Ten minutes later, and earlier.
            (
                "InvalidSignatureException",
                "Thu, 01 Jan 2026 00:10:00 GMT",
                &["20260101T000000Z", "20260101T001000Z"][..],
            ),
            (
                "AccessDeniedException",
                "Wed, 31 Dec 2025 23:50:00 GMT",
                &["20260101T000000Z", "20251231T235000Z"],
            ),
            // Too small a difference, another error, and no time.
            (
                "InvalidSignatureException",
                "Thu, 01 Jan 2026 00:04:00 GMT",
                &["20260101T000000Z"],
            ),
            (
                "ValidationException",
                "Thu, 01 Jan 2026 00:10:00 GMT",
                &["20260101T000000Z"],
            ),
            ("InvalidSignatureException", "now", &["20260101T000000Z"]),
        ] {
            let service = Responses::new(&[rejected(code, date), (200, vec![], "{}")]);
            let result = service.call(&SQS, time).await;
            assert_eq!(service.dates(), dates, "{code} {date}");
            assert_eq!(result.is_ok(), dates.len() == 2, "{result:?}");
        }
        // The time of the service does not help either.
        let late = rejected("InvalidSignatureException", "Thu, 01 Jan 2026 00:10:00 GMT");
        let service = Responses::new(&[late.clone(), late.clone(), late]);
        let result = service.call(&CODEPIPELINE, time).await;
        assert!(matches!(result, Err(CallError::Rejected(_))), "{result:?}");
        assert_eq!(service.dates(), ["20260101T000000Z", "20260101T001000Z"]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_service_can_ask_for_longer_pauses() {
        let throttled = |pause| {
            (
                400,
                vec![("x-amz-retry-after", pause)],
                "{\"__type\":\"SlowDown\"}",
            )
        };
        for (pause, times) in [
            ("1500", [0, 1_500, 3_000]),
            ("150", [0, 150, 350]),
            // The call has less time left than that.
            ("60000", [0, 100, 300]),
            ("not a number", [0, 100, 300]),
        ] {
            let responses = [throttled(pause), throttled(pause), (200, vec![], "{}")];
            let service = Responses::new(&responses);
            let result = service.call(&CODEPIPELINE, Duration::from_secs(20)).await;
            assert!(result.is_ok(), "{result:?}");
            assert_eq!(service.times(), times, "{pause}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn only_an_error_that_can_be_over_is_repeated() {
        for (response, attempts) in [
            (error("ThrottlingException"), 2),
            (error("ProvisionedThroughputExceededException"), 2),
            (error("KmsThrottled"), 2),
            (error("RequestTimeout"), 2),
            ((429, vec![], ""), 2),
            ((408, vec![], ""), 2),
            ((500, vec![], ""), 2),
            ((503, vec![], "<html></html>"), 2),
            (error("ValidationException"), 1),
            (error("ExpiredTokenException"), 1),
            ((403, vec![], ""), 1),
            ((200, vec![], "<html></html>"), 1),
        ] {
            let service = Responses::new(&[response.clone(), (200, vec![], "{}")]);
            let result = service.call(&SQS, Duration::from_secs(20)).await;
            assert_eq!(service.times().len(), attempts, "{response:?} {result:?}");
            assert_eq!(result.is_ok(), attempts == 2, "{response:?} {result:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_success_without_output_is_null() {
        for body in ["", " ", "\r\n", "null"] {
            let service = Responses::new(&[(200, vec![], body)]);
            let result = service.call(&SQS, Duration::from_secs(20)).await;
            assert!(matches!(result, Ok(Value::Null)), "{result:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_leaves_time_for_the_next_ones_but_has_enough_for_a_handshake() {
        for (service, time, expected) in [
            (&SQS, 400, &[0, 400][..]),
            (&SQS, 1_000, &[0, 850, 1_000]),
            (&SQS, 1_600, &[0, 900, 1_600]),
            (&SQS, 60_000, &[0, 8_100, 16_100]),
            (&CODEPIPELINE, 300, &[0, 300]),
            (&CODEPIPELINE, 1_800, &[0, 550, 1_167, 1_567]),
            (&CODEPIPELINE, 60_000, &[0, 8_100, 16_300, 24_700, 32_700]),
        ] {
            let times = attempts_without_response(service, time).await;
            assert_eq!(times, expected, "{} {time}", service.name);
        }
        // What is left after work that took all of its time.
        let left = (RESPONSE_RESERVE - ERROR_RESERVE).as_millis();
        let left = left.try_into().expect("a few seconds");
        let times = attempts_without_response(&CODEPIPELINE, left).await;
        assert_eq!(times, [0, 1_050, 2_167, 3_384, 3_800]);
    }

    #[test]
    fn reads_the_code_of_an_error_from_the_body_or_the_header() {
        let received = |status, error_type: Option<&str>, body: &str| Received {
            status,
            body: body.as_bytes().to_vec(),
            is_truncated: false,
            retry_after: None,
            error_type: error_type.map(str::to_owned),
            aws_retry_after: None,
            date: None,
            #[cfg(feature = "cli")]
            request_id: None,
        };
        for (status, error_type, body, text) in [
            (
                400,
                None,
                r#"{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"The specified queue does not exist."}"#,
                "QueueDoesNotExist: The specified queue does not exist.",
            ),
            (
                400,
                None,
                r#"{"__type":"AccessDeniedException","Message":"Access to KMS is not allowed"}"#,
                "AccessDeniedException: Access to KMS is not allowed",
            ),
            (
                400,
                Some("ThrottlingException:http://example.com/"),
                "{}",
                "ThrottlingException",
            ),
            (
                400,
                Some("InvalidJobStateException"),
                r#"{"code":"Other"}"#,
                "InvalidJobStateException",
            ),
            (
                400,
                None,
                r#"{"__type":"com.amazonaws#Some:http://example.com/#fragment"}"#,
                "Some",
            ),
            (
                400,
                None,
                r#"{"message":"the reason of a gateway"}"#,
                "HTTP status 400: the reason of a gateway",
            ),
            (
                502,
                None,
                "<html><body>502</body></html>",
                "HTTP status 502",
            ),
            (403, None, "", "HTTP status 403"),
        ] {
            match output(&received(status, error_type, body)) {
                Err(CallError::Rejected(rejection)) => assert_eq!(rejection.text(), text),
                other => panic!("{other:?}"),
            }
        }
    }
}
