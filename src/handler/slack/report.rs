//! The replies to commands that change nothing: `status`, `usage` and `verify`.

use crate::error::Error;
use crate::handler::Invalidator;
use crate::invocation::Invocation;
use crate::path::EncodedPaths;
use crate::plan::InvalidationId;
use crate::settings::slack::SlackSite;

impl Invalidator {
    pub(super) async fn status_text(
        &self,
        _sites: &[SlackSite],
        _id: Option<&InvalidationId>,
        _invocation: &Invocation,
    ) -> Result<String, Error> {
        Ok(String::new())
    }

    pub(super) async fn usage_text(
        &self,
        _sites: &[SlackSite],
        _invocation: &Invocation,
    ) -> Result<String, Error> {
        Ok(String::new())
    }

    pub(super) async fn verify_text(
        &self,
        _sites: &[SlackSite],
        _urls: EncodedPaths,
        _invocation: &Invocation,
    ) -> Result<String, Error> {
        Ok(String::new())
    }
}
