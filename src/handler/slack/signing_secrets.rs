//! The stored secret: read for the first request, and kept by this process.
//!
//! It is read again when no signing secret matches, because it was possibly rotated: once a minute at most, so that requests of
//! strangers cost nothing. It is also read again after ten minutes, so that a secret that was removed stops being accepted.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::warn;

use super::Invalidator;
use crate::aws::secrets::Secrets;
use crate::error::Error;
use crate::invocation::Invocation;
use crate::settings::slack::SlackSettings;
use crate::trigger::slack::{SignedRequest, StoredSecret};

/// How soon the secret is read again if no signature matches.
const MIN_AGE: Duration = Duration::from_secs(60);

/// How long the secret is used without being read again.
pub(super) const MAX_AGE: Duration = Duration::from_secs(600);

/// The secret that was read, and when reading it was tried last.
#[derive(Debug, Default)]
pub(super) struct SigningSecrets(Mutex<Option<(Arc<StoredSecret>, SystemTime)>>);

impl Invalidator {
    /// Returns whether Slack signed the request, by one of the signing secrets.
    pub(super) async fn is_signed(
        &self,
        settings: &SlackSettings,
        request: &SignedRequest,
        deadline: Instant,
        invocation: &Invocation,
    ) -> Result<bool, Error> {
        let stored = self
            .stored_secret(settings, MAX_AGE, deadline, invocation)
            .await?;
        if request.is_signed_with(&stored.signing_secrets) {
            return Ok(true);
        }
        let newer = self
            .stored_secret(settings, MIN_AGE, deadline, invocation)
            .await?;
        Ok(!Arc::ptr_eq(&stored, &newer) && request.is_signed_with(&newer.signing_secrets))
    }

    /// Returns the secret; reads it if that was not tried within `max_age`. A secret that cannot be read again stays in use.
    pub(super) async fn stored_secret(
        &self,
        settings: &SlackSettings,
        max_age: Duration,
        deadline: Instant,
        invocation: &Invocation,
    ) -> Result<Arc<StoredSecret>, Error> {
        let now = self.clock.now();
        let mut kept = self.slack.signing_secrets.0.lock().await;
        let read = self.read_secret(settings, deadline, invocation);
        let stored = match &*kept {
            None => Arc::new(read.await?),
            Some((stored, tried)) if now.duration_since(*tried).is_ok_and(|age| age < max_age) => {
                return Ok(Arc::clone(stored));
            }
            Some((stored, _)) => match read.await {
                Ok(newer) => Arc::new(newer),
                Err(error) => {
                    warn!(caller = "slack", cause = %error.category(), "the secret of before stays in use: {error}");
                    Arc::clone(stored)
                }
            },
        };
        *kept = Some((Arc::clone(&stored), now));
        Ok(stored)
    }

    async fn read_secret(
        &self,
        settings: &SlackSettings,
        deadline: Instant,
        invocation: &Invocation,
    ) -> Result<StoredSecret, Error> {
        let source = settings.secret.as_ref().ok_or_else(|| {
            Error::invalid_input(
                "no signing secret of Slack is configured: set SLACK_SECRET_NAME or SLACK_SECRET_PARAMETER",
            )
        })?;
        let new = || {
            let account = invocation.account.clone();
            Secrets::with_clock(&self.sdk, account, self.clock.clone())
        };
        let secrets = self.slack.secrets.get_or_init(new);
        let text = secrets.read(source, deadline).await?;
        StoredSecret::parse(text.as_str()).map_err(|error| error.context(source))
    }
}
