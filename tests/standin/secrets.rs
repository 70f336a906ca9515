//! The secrets of Secrets Manager, and the parameters of Systems Manager: what reading them returns.
//!
//! The messages are those of the live services, as far as they are known; those about KMS keys are not documented.
//!
//! API: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html>

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::fault::{ACCOUNT, ApiError};

/// The state of a secret or of a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Secret {
    /// It has this text.
    Text(String),
    /// It has bytes; a secret only.
    Binary,
    /// It has no current version; a secret only.
    NoValue,
    /// It is deleted for good later; a secret only.
    MarkedForDeletion,
    /// The caller may read it, but not decrypt with its KMS key; the error names the key if there is one.
    NotDecryptable(Option<&'static str>),
    /// Its KMS key is disabled.
    KeyDisabled,
}

/// The secrets and parameters by their names.
#[derive(Default)]
pub(super) struct Secrets {
    secrets: BTreeMap<String, Secret>,
    parameters: BTreeMap<String, Secret>,
}

impl Secrets {
    pub(super) fn set_secret(&mut self, name: &str, secret: Secret) {
        self.secrets.insert(name.to_owned(), secret);
    }

    pub(super) fn set_parameter(&mut self, name: &str, parameter: Secret) {
        self.parameters.insert(name.to_owned(), parameter);
    }

    pub(super) fn get_secret_value(&self, input: &Value) -> Result<Value, ApiError> {
        let name = input["SecretId"].as_str().unwrap_or_default();
        let not_found = |message| ApiError::new(400, "ResourceNotFoundException", message);
        let missing = "Secrets Manager can't find the specified secret.";
        let secret = self.secrets.get(name).ok_or_else(|| not_found(missing))?;
        match secret {
            Secret::Text(text) => Ok(json!({"Name": name, "SecretString": text})),
            Secret::Binary => Ok(json!({"Name": name, "SecretBinary": "aHVzaA=="})),
            Secret::NoValue => Err(not_found(
                "Secrets Manager can't find the specified secret value for staging label: AWSCURRENT",
            )),
            Secret::MarkedForDeletion => Err(ApiError::new(
                400,
                "InvalidRequestException",
                "You can't perform this operation on the secret because it was marked for deletion.",
            )),
            Secret::NotDecryptable(None) => {
                let message = "Access to KMS is not allowed";
                Err(ApiError::new(400, "AccessDeniedException", message))
            }
            Secret::NotDecryptable(Some(key)) => Err(not_decryptable(key)),
            Secret::KeyDisabled => Err(ApiError::new(
                400,
                "DecryptionFailure",
                "Secrets Manager can't decrypt the protected secret text using the provided KMS key.",
            )),
        }
    }

    pub(super) fn get_parameter(&self, input: &Value) -> Result<Value, ApiError> {
        let name = input["Name"].as_str().unwrap_or_default();
        let not_found = || ApiError::new(400, "ParameterNotFound", "");
        let text = match self.parameters.get(name).ok_or_else(not_found)? {
            Secret::Text(text) if input["WithDecryption"] == true => text.as_str(),
            // Without decryption, the value is the ciphertext.
            Secret::Text(_) => "AQICAHhEXAMPLE==",
            Secret::NotDecryptable(Some(key)) => return Err(not_decryptable(key)),
            Secret::NotDecryptable(None) => {
                let message = "The ciphertext refers to a customer master key that does not exist, does not exist in this \
                               region, or you are not allowed to access.";
                return Err(ApiError::new(400, "AccessDeniedException", message));
            }
            Secret::KeyDisabled => {
                let message = format!("arn:aws:kms:eu-west-1:{ACCOUNT}:key/EXAMPLE is disabled.");
                return Err(ApiError::new(400, "InvalidKeyId", message));
            }
            Secret::Binary | Secret::NoValue | Secret::MarkedForDeletion => {
                panic!("a parameter has no such state")
            }
        };
        let parameter = json!({"Name": name, "Type": "SecureString", "Value": text, "Version": 1});
        Ok(json!({"Parameter": parameter}))
    }
}

fn not_decryptable(key: &str) -> ApiError {
    let message = format!(
        "User: arn:aws:sts::{ACCOUNT}:assumed-role/standin/standin is not authorized to perform: kms:Decrypt on resource: \
         {key} because no identity-based policy allows the kms:Decrypt action"
    );
    ApiError::new(400, "AccessDeniedException", message)
}
