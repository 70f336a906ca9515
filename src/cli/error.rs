//! `CliError`: why a command has no result.

use super::Exit;
use crate::error::{Audience, Category, Error};
use crate::output::ErrorOutput;

/// Why a command has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CliError {
    /// The arguments, the configuration file or the input are invalid.
    InvalidArguments(String),
    /// The user declined to continue.
    Declined(String),
    /// The user pressed Ctrl-C.
    Interrupted(String),
    /// The work failed.
    Failed(Error),
}

impl CliError {
    /// Creates an error about the arguments, the configuration file or the input.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::InvalidArguments(message.into())
    }

    /// Returns the exit code.
    pub fn exit(&self) -> Exit {
        match self {
            Self::InvalidArguments(_) => Exit::Usage,
            Self::Declined(_) => Exit::Failed,
            Self::Interrupted(_) => Exit::Interrupted,
            Self::Failed(error) if error.is_invalid_configuration() => Exit::Usage,
            Self::Failed(error) => error.category().into(),
        }
    }

    pub(super) fn message(&self, audience: &Audience) -> String {
        match self {
            Self::InvalidArguments(message)
            | Self::Declined(message)
            | Self::Interrupted(message) => message.clone(),
            Self::Failed(error) => error.message(audience),
        }
    }

    /// Returns the JSON object of the error.
    pub(super) fn output(&self, audience: &Audience) -> ErrorOutput {
        match self {
            Self::Failed(error) => ErrorOutput::from_error(error, audience),
            Self::InvalidArguments(message) | Self::Declined(message) => {
                ErrorOutput::new(Category::InvalidInput, message.clone(), None)
            }
            Self::Interrupted(message) => {
                ErrorOutput::new(Category::Unavailable, message.clone(), None)
            }
        }
    }
}

impl From<Error> for CliError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn each_error_has_an_exit_code_and_a_cause() {
        let purpose = || "list the distributions".to_owned();
        let message = || "AWS's message".to_owned();
        let failed = |kind: ErrorKind| CliError::from(Error::from(kind));
        for (error, exit, code, cause) in [
            (CliError::usage("x"), Exit::Usage, 2, "mistake"),
            (CliError::Declined("x".into()), Exit::Failed, 1, "mistake"),
            (
                failed(ErrorKind::InvalidInput("x".into())),
                Exit::Failed,
                1,
                "mistake",
            ),
            (
                failed(ErrorKind::InvalidConfiguration("x".into())),
                Exit::Usage,
                2,
                "mistake",
            ),
            (
                failed(ErrorKind::RejectedPath {
                    purpose: purpose(),
                    message: message(),
                }),
                Exit::Failed,
                1,
                "path",
            ),
            (
                failed(ErrorKind::AccessDenied {
                    action: "cloudfront:ListDistributions".into(),
                    resource: "*".into(),
                    message: message(),
                }),
                Exit::NotAllowed,
                5,
                "permission",
            ),
            (
                failed(ErrorKind::NoCredentials {
                    message: None,
                    has_login_session: false,
                }),
                Exit::NotAllowed,
                5,
                "permission",
            ),
            (
                failed(ErrorKind::Throttled {
                    purpose: purpose(),
                    message: message(),
                }),
                Exit::Busy,
                4,
                "busy",
            ),
            (
                failed(ErrorKind::Unavailable {
                    purpose: purpose(),
                    message: message(),
                }),
                Exit::Failed,
                1,
                "unavailable",
            ),
            (failed(ErrorKind::Panicked), Exit::Failed, 1, "bug"),
        ] {
            assert_eq!(
                (error.exit(), error.exit() as u8),
                (exit, code),
                "{error:?}"
            );
            let output = error.output(&Audience::Operator);
            assert_eq!(output.kind, cause, "{error:?}");
        }
    }
}
