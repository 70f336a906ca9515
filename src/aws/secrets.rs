//! Secrets: the value of a secret of Secrets Manager, or of a parameter of Systems Manager.
//!
//! A value is in no error and in no output of `Debug`. Errors have the name of the secret, AWS's own message and what to do.
//!
//! API: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html>,
//! <https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameter.html>

use std::fmt;

use aws_types::SdkConfig;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::signed_json::{self, CallError, Rejection, SignedJson};
use crate::account::Account;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind};

/// Where a secret is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// The name or the ARN of a secret of Secrets Manager.
    SecretsManager(String),
    /// The name or the ARN of a parameter of Systems Manager.
    Parameter(String),
}

/// The value of a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(String);

impl SecretText {
    /// Returns the value, which must not be printed.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(…)")
    }
}

/// A client of both services for one account.
#[derive(Clone, Debug)]
pub struct Secrets {
    secrets_manager: SignedJson,
    systems_manager: SignedJson,
    account: Account,
}

impl Secrets {
    /// Creates a client; sends nothing. `account` is the one that error messages name in ARNs.
    pub fn new(sdk: &SdkConfig, account: Account) -> Self {
        Self::with_clock(sdk, account, Clock::system())
    }

    /// Creates a client that reads this clock for its signatures, and pauses with it before a second attempt.
    pub fn with_clock(sdk: &SdkConfig, account: Account, clock: Clock) -> Self {
        let client = |service| SignedJson::new(service, sdk, clock.clone());
        Self {
            secrets_manager: client(&signed_json::SECRETS_MANAGER),
            systems_manager: client(&signed_json::SYSTEMS_MANAGER),
            account,
        }
    }

    /// Reads the current value of a secret, decrypted.
    ///
    /// # Errors
    ///
    /// [`Error`] if it cannot be read before `deadline`.
    pub async fn read(
        &self,
        source: &SecretSource,
        deadline: Instant,
    ) -> Result<SecretText, Error> {
        let (client, operation, input) = match source {
            SecretSource::SecretsManager(id) => (
                &self.secrets_manager,
                "GetSecretValue",
                json!({ "SecretId": id }),
            ),
            SecretSource::Parameter(name) => (
                &self.systems_manager,
                "GetParameter",
                json!({ "Name": name, "WithDecryption": true }),
            ),
        };
        let output = match client.endpoint_in(source.region().or(client.region())) {
            Ok(endpoint) => client.call(&endpoint, operation, &input, deadline).await,
            Err(error) => Err(error),
        };
        let output = output.map_err(|error| self.error(error, source))?;
        source.value(output)
    }

    fn error(&self, error: CallError, source: &SecretSource) -> Error {
        let mut remedy = None;
        if let CallError::Rejected(rejection) = &error {
            if let Some(key) = undecryptable(rejection) {
                let key = key.map_or_else(|| format!("the KMS key of {source}"), str::to_owned);
                let message = rejection.text();
                return ErrorKind::NotDecryptable { key, message }.into();
            }
            remedy = source.remedy(rejection);
        }
        let denied = (source.action(), self.arn(source));
        error.into_error(format!("read {source}"), denied, remedy)
    }

    /// Returns the ARN that a policy names.
    fn arn(&self, source: &SecretSource) -> String {
        let arn =
            |service, region, resource: &str| self.account.regional_arn(service, region, resource);
        match source {
            SecretSource::SecretsManager(id) if is_complete_arn(id) => id.clone(),
            // Secrets Manager appends a hyphen and six random characters to the name in the ARN.
            SecretSource::SecretsManager(id) if is_arn(id) => format!("{id}-??????"),
            SecretSource::SecretsManager(name) => {
                let region = self.secrets_manager.region();
                arn("secretsmanager", region, &format!("secret:{name}-??????"))
            }
            SecretSource::Parameter(name) if is_arn(name) => name.clone(),
            SecretSource::Parameter(name) => {
                let name = name.trim_start_matches('/');
                let region = self.systems_manager.region();
                arn("ssm", region, &format!("parameter/{name}"))
            }
        }
    }
}

impl SecretSource {
    /// Returns the name or ARN.
    fn id(&self) -> &str {
        match self {
            Self::SecretsManager(id) | Self::Parameter(id) => id,
        }
    }

    /// Returns the region of an ARN.
    fn region(&self) -> Option<&str> {
        let id = Some(self.id()).filter(|id| is_arn(id))?;
        id.split(':').nth(3).filter(|region| !region.is_empty())
    }

    fn action(&self) -> &'static str {
        match self {
            Self::SecretsManager(_) => "secretsmanager:GetSecretValue",
            Self::Parameter(_) => "ssm:GetParameter",
        }
    }

    /// Reads the value from the output of the service.
    fn value(&self, mut output: Value) -> Result<SecretText, Error> {
        let value = match self {
            Self::SecretsManager(_) => output.pointer_mut("/SecretString"),
            Self::Parameter(_) => output.pointer_mut("/Parameter/Value"),
        };
        if let Some(Value::String(value)) = value.map(Value::take) {
            return Ok(SecretText(value));
        }
        let purpose = format!("read {self}");
        let kind = match output.get("SecretBinary") {
            Some(_) => ErrorKind::Refused {
                purpose,
                message: "it is binary".to_owned(),
                remedy: Some("store its value as text (SecretString)".to_owned()),
            },
            None => ErrorKind::Unavailable {
                purpose,
                message: "the response has no value".to_owned(),
            },
        };
        Err(kind.into())
    }

    /// Returns what to do about an error that a retry does not help.
    fn remedy(&self, rejection: &Rejection) -> Option<String> {
        let id = self.id();
        let message = rejection.message();
        match rejection.code.as_str() {
            "ResourceNotFoundException" if message.contains("staging label") => Some(format!(
                "store a value with `aws secretsmanager put-secret-value --secret-id {id}`"
            )),
            "ResourceNotFoundException" => Some(
                "create it in the region of the function, or correct SlackSecretName".to_owned(),
            ),
            "InvalidRequestException" if message.contains("delet") => Some(format!(
                "restore it with `aws secretsmanager restore-secret --secret-id {id}`, or name another one in \
                 SlackSecretName"
            )),
            "ParameterNotFound" | "ParameterVersionNotFound" => Some(
                "create it in the region of the function as a SecureString, or correct SlackSecretParameter".to_owned(),
            ),
            "DecryptionFailure" | "InvalidKeyId" => Some(
                "check that its KMS key exists and is enabled, or store the value again with another key".to_owned(),
            ),
            _ => None,
        }
    }
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SecretsManager(id) => write!(f, "secret {id}"),
            Self::Parameter(name) => write!(f, "parameter {name}"),
        }
    }
}

fn is_arn(id: &str) -> bool {
    id.starts_with("arn:")
}

/// Returns whether the ARN of a secret ends with the characters that Secrets Manager appends.
fn is_complete_arn(id: &str) -> bool {
    let suffix = id.rsplit_once('-').map_or("", |(_, suffix)| suffix);
    let is_suffix = suffix.len() == 6 && suffix.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_arn(id) && is_suffix
}

/// Returns whether the caller is not allowed to decrypt with the KMS key, and the ARN of the key if the message names it. The
/// services deny it in their own words, and do not document them.
fn undecryptable(rejection: &Rejection) -> Option<Option<&str>> {
    let message = rejection.message();
    let is_about_key = ["KMS", "kms:", "customer master key"]
        .iter()
        .any(|words| message.contains(words));
    if !rejection.is_access_denied() || !is_about_key {
        return None;
    }
    let mut words = message.split_whitespace();
    Some(words.find(|word| word.starts_with("arn:") && word.contains(":kms:")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arn_of_a_denied_secret_is_the_one_that_a_policy_needs() {
        let account =
            Account::from_arn("arn:aws:lambda:eu-west-1:111122223333:function:invalidator");
        let region = aws_sdk_cloudfront::config::Region::new("eu-west-1");
        let secrets = Secrets::new(&SdkConfig::builder().region(region).build(), account);
        let complete = "arn:aws:secretsmanager:eu-north-1:111122223333:secret:team/slack-a1B2c3";
        let partial = "arn:aws:secretsmanager:eu-north-1:111122223333:secret:team/slack";
        let parameter = "arn:aws:ssm:eu-north-1:444455556666:parameter/team/slack";
        let secret = |id: &str| SecretSource::SecretsManager(id.to_owned());
        let parameter_of = |name: &str| SecretSource::Parameter(name.to_owned());
        for (source, arn) in [
            (
                secret("team/slack"),
                "arn:aws:secretsmanager:eu-west-1:111122223333:secret:team/slack-??????",
            ),
            (secret(complete), complete),
            (secret(partial), &format!("{partial}-??????")),
            (
                parameter_of("slack"),
                "arn:aws:ssm:eu-west-1:111122223333:parameter/slack",
            ),
            (
                parameter_of("/team/slack"),
                "arn:aws:ssm:eu-west-1:111122223333:parameter/team/slack",
            ),
            (parameter_of(parameter), parameter),
        ] {
            assert_eq!(secrets.arn(&source), arn);
        }
        assert_eq!(secret(complete).region(), Some("eu-north-1"));
        assert_eq!(secret("team/slack").region(), None);
    }

    #[test]
    fn a_value_is_not_printed() {
        assert_eq!(
            format!("{:?}", SecretText("hush".to_owned())),
            "SecretText(…)"
        );
    }
}
