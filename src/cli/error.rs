//! `CliError`: why a command has no result.

use super::Exit;
use crate::error::{Audience, Category, Error};

/// Why a command has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CliError {
    /// The arguments, the configuration file or the input are wrong.
    Usage(String),
    /// The user declined to continue.
    Declined(String),
    /// The work failed.
    Failed(Error),
}

impl CliError {
    /// Creates an error about the arguments, the configuration file or the input.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::Usage(message.into())
    }

    /// Returns the exit code.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::Declined(_) => Exit::Failed,
            Self::Failed(error) => error.category().into(),
        }
    }

    pub(super) fn category(&self) -> Category {
        match self {
            Self::Usage(_) | Self::Declined(_) => Category::InvalidInput,
            Self::Failed(error) => error.category(),
        }
    }

    pub(super) fn message(&self, audience: &Audience) -> String {
        match self {
            Self::Usage(message) | Self::Declined(message) => message.clone(),
            Self::Failed(error) => error.message(audience),
        }
    }
}

impl From<Error> for CliError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}
