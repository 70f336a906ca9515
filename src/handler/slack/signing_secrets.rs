//! The stored secret: read for the first request, and kept by this process.
//!
//! It is read again when no signing secret matches, because it was possibly rotated: once a minute at most, so that requests of
//! strangers cost nothing. It is also read again after ten minutes, so that a secret that was removed stops being accepted. If
//! it cannot be read again, it stays in use for an hour. A denial is not requested again for a minute.

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

/// How long the secret is used if it cannot be read again.
const MAX_UNCONFIRMED_AGE: Duration = Duration::from_secs(60 * 60);

/// What this process knows of the secret.
#[derive(Debug, Default)]
pub(super) struct SigningSecrets(Mutex<Option<Kept>>);

/// The secret, or why it cannot be read.
#[derive(Debug)]
struct Kept {
    secret: Result<Arc<StoredSecret>, Error>,
    /// When it was read.
    read: SystemTime,
    /// When reading it was tried last.
    tried: SystemTime,
}

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

    /// Returns the secret; reads it if that was not tried within `max_age`.
    pub(super) async fn stored_secret(
        &self,
        settings: &SlackSettings,
        max_age: Duration,
        deadline: Instant,
        invocation: &Invocation,
    ) -> Result<Arc<StoredSecret>, Error> {
        let now = self.clock.now();
        let is_within = |time, limit| now.duration_since(time).is_ok_and(|age| age < limit);
        let mut kept = self.slack.signing_secrets.0.lock().await;
        let before = kept.as_ref().and_then(|kept| {
            let is_confirmed = is_within(kept.read, MAX_UNCONFIRMED_AGE);
            kept.secret.as_ref().ok().filter(|_| is_confirmed).cloned()
        });
        match &*kept {
            Some(Kept {
                secret: Ok(secret),
                tried,
                ..
            }) if before.is_some() && is_within(*tried, max_age) => {
                return Ok(Arc::clone(secret));
            }
            Some(Kept {
                secret: Err(error),
                tried,
                ..
            }) if is_within(*tried, MIN_AGE) => {
                return Err(error.clone());
            }
            _ => {}
        }
        let read = self.read_secret(settings, deadline, invocation).await;
        match (read, before) {
            (Ok(secret), _) => {
                let secret = Arc::new(secret);
                *kept = Some(Kept {
                    secret: Ok(Arc::clone(&secret)),
                    read: now,
                    tried: now,
                });
                Ok(secret)
            }
            (Err(error), Some(secret)) => {
                warn!(cause = %error.category(), "the secret of before stays in use: {error}");
                if let Some(kept) = kept.as_mut() {
                    kept.tried = now;
                }
                Ok(secret)
            }
            (Err(error), None) => {
                // What fails for the moment is tried again by the next request.
                *kept = (!error.is_transient()).then(|| Kept {
                    secret: Err(error.clone()),
                    read: now,
                    tried: now,
                });
                Err(error)
            }
        }
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
