//! The calls that the function makes without an SDK client: SQS, Secrets Manager and Systems Manager.
//!
//! All three have the protocol AWS JSON: a header names the operation, the body is its input. Each call is recorded completely,
//! with the headers, because its form and its signature are the work of the function. A signature is not computed again;
//! its scope and the signed headers are checked, as AWS does first. `sqs` and `secrets` have the rules of the services.
//!
//! Protocol: <https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html>

use std::collections::BTreeMap;
use std::time::SystemTime;

use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::fault::{ACCOUNT, ApiError, Operation};
use super::secrets::Secrets;
use super::sqs::{self, Queues};

/// A received call, which can be a rejected one.
#[derive(Clone, Debug, PartialEq)]
pub struct JsonCall {
    /// The operation.
    pub operation: Operation,
    /// All headers.
    pub headers: BTreeMap<String, String>,
    /// The complete input; null if it was not JSON.
    pub input: Value,
    /// The bytes of the input.
    pub body: String,
}

/// The services and what they received.
#[derive(Default)]
pub(super) struct JsonServices {
    pub(super) queues: Queues,
    pub(super) secrets: Secrets,
    calls: Vec<JsonCall>,
}

impl JsonCall {
    /// Reads a call; `None` if it is not one of these services.
    pub(super) fn parse(head: &Parts, body: &[u8]) -> Option<Self> {
        let target = head.headers.get("x-amz-target")?.to_str().ok()?;
        let operation = match target {
            "AmazonSQS.SendMessage" => Operation::SendMessage,
            "AmazonSQS.ChangeMessageVisibility" => Operation::ChangeMessageVisibility,
            "AmazonSQS.ListQueueTags" => Operation::ListQueueTags,
            "AmazonSQS.ReceiveMessage" => Operation::ReceiveMessage,
            "AmazonSQS.SendMessageBatch" => Operation::SendMessageBatch,
            "AmazonSQS.DeleteMessageBatch" => Operation::DeleteMessageBatch,
            "AmazonSQS.ChangeMessageVisibilityBatch" => Operation::ChangeMessageVisibilityBatch,
            "secretsmanager.GetSecretValue" => Operation::GetSecretValue,
            "AmazonSSM.GetParameter" => Operation::GetParameter,
            _ => return None,
        };
        Some(Self {
            operation,
            headers: headers(head),
            input: serde_json::from_slice(body).unwrap_or_default(),
            body: String::from_utf8_lossy(body).into_owned(),
        })
    }

    /// Returns the ARN that a denial names.
    pub(super) fn resource(&self) -> String {
        let (_, region) = self.scope();
        let text = |name: &str| self.input[name].as_str().unwrap_or_default();
        match self.operation {
            Operation::GetSecretValue => {
                let name = text("SecretId");
                format!("arn:aws:secretsmanager:{region}:{ACCOUNT}:secret:{name}-a1B2c3")
            }
            Operation::GetParameter => {
                let name = text("Name").trim_start_matches('/');
                format!("arn:aws:ssm:{region}:{ACCOUNT}:parameter/{name}")
            }
            _ => {
                let name = sqs::name(text("QueueUrl"));
                format!("arn:aws:sqs:{region}:{ACCOUNT}:{name}")
            }
        }
    }

    /// Returns the service and the region of the signature.
    fn scope(&self) -> (String, String) {
        let header = self.headers.get("authorization").cloned();
        let header = header.unwrap_or_default();
        let (_, credential) = header.split_once("Credential=").unwrap_or_default();
        let mut parts = credential.split([',', '/']).skip(2).map(str::to_owned);
        let region = parts.next().unwrap_or_default();
        (parts.next().unwrap_or_default(), region)
    }

    /// Checks the form of the signature.
    fn check_signature(&self) -> Result<(), ApiError> {
        let expected = match self.operation {
            Operation::GetSecretValue => "secretsmanager",
            Operation::GetParameter => "ssm",
            _ => "sqs",
        };
        let (service, _) = self.scope();
        if service != expected {
            let message = format!("Credential should be scoped to correct service: '{expected}'.");
            return Err(ApiError::new(403, "SignatureDoesNotMatch", message));
        }
        let header = &self.headers["authorization"];
        let (_, signed) = header.split_once("SignedHeaders=").unwrap_or_default();
        let signed: Vec<_> = signed
            .split(',')
            .next()
            .unwrap_or_default()
            .split(';')
            .collect();
        let required = ["host", "x-amz-date", "x-amz-target", "x-amz-security-token"];
        let mut required = required.iter();
        let is_unsigned =
            |name: &&&str| self.headers.contains_key(**name) && !signed.contains(*name);
        match required.find(is_unsigned) {
            None => Ok(()),
            Some(name) => {
                let message =
                    format!("'{name}' must be a 'SignedHeader' in the AWS Authorization.");
                Err(ApiError::new(403, "InvalidSignatureException", message))
            }
        }
    }
}

impl JsonServices {
    /// Records a call.
    pub(super) fn record(&mut self, call: &JsonCall) {
        self.calls.push(call.clone());
    }

    /// Applies the rules of the service to a call, and returns the output.
    pub(super) fn respond(
        &mut self,
        call: &JsonCall,
        now: SystemTime,
    ) -> Result<Response, ApiError> {
        call.check_signature()?;
        let output = match call.operation {
            Operation::GetSecretValue => self.secrets.get_secret_value(&call.input)?,
            Operation::GetParameter => self.secrets.get_parameter(&call.input)?,
            Operation::ChangeMessageVisibility => {
                self.queues.change_visibility(&call.input)?;
                // This operation has no output, and SQS sends no body.
                return Ok(amz_json(call.operation, String::new()));
            }
            Operation::ListQueueTags => self.queues.list_tags(&call.input)?,
            Operation::ReceiveMessage => self.queues.receive(&call.input, now)?,
            Operation::SendMessageBatch
            | Operation::DeleteMessageBatch
            | Operation::ChangeMessageVisibilityBatch => {
                self.queues.call_batch(call.operation, &call.input, now)?
            }
            _ => self.queues.send_message(&call.input)?,
        };
        Ok(amz_json(call.operation, output.to_string()))
    }

    pub(super) fn calls(&self) -> &[JsonCall] {
        &self.calls
    }

    /// Deletes what was received; queues and secrets stay.
    pub(super) fn reset(&mut self) {
        self.calls.clear();
        self.queues.reset();
    }
}

/// Returns the headers of a request.
pub(super) fn headers(head: &Parts) -> BTreeMap<String, String> {
    let headers = head.headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes());
        (name.to_string(), value.into_owned())
    });
    headers.collect()
}

/// Writes an error as the service of the operation does.
pub(super) fn error_response(operation: Operation, error: &ApiError) -> Response {
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_REQUEST);
    let (namespace, message) = match operation {
        Operation::GetSecretValue => ("", "Message"),
        Operation::GetParameter => ("", "message"),
        _ => ("com.amazonaws.sqs#", "message"),
    };
    let body = json!({"__type": format!("{namespace}{}", error.code), message: error.message});
    (status, amz_json(operation, body.to_string())).into_response()
}

fn amz_json(operation: Operation, body: String) -> Response {
    let content_type = match operation {
        Operation::GetSecretValue | Operation::GetParameter => "application/x-amz-json-1.1",
        _ => "application/x-amz-json-1.0",
    };
    ([("content-type", content_type)], body).into_response()
}
