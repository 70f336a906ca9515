//! `SiteCache`: the configurations of distributions, and which distributions there are.
//!
//! Events come in bursts and configurations change rarely, so one read serves several events. But a configuration that is
//! older than a change can lack a path of it, so it is used only if it was read after the change. If a read fails, the
//! remembered configuration is returned together with the error: what it leads to is invalidated at once, and the change
//! is retried until the configuration can be read.
//!
//! If IAM denies reading a configuration, common paths are assumed, or the summary of the list is used. The log names the
//! missing permission every five minutes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;
use tracing::warn;

use super::cloudfront::{ListedDistribution, ListedSite, SiteReader};
use crate::clock::Clock;
use crate::distribution::DistributionId;
use crate::error::Error;
use crate::plan::existing::CLOCK_MARGIN;
use crate::site::{ASSUMPTION, MaybeSite, Site};

/// How long a configuration is used, even for older changes, and how long a denied read is not tried again.
const TIME_TO_LIVE: Duration = Duration::from_secs(5 * 60);

/// What was read for earlier events.
#[derive(Debug, Default)]
pub struct SiteCache {
    list: Slot<Vec<ListedDistribution>>,
    sites: Mutex<HashMap<DistributionId, Slot<Site>>>,
    /// When IAM denied reading the configuration of a distribution.
    denied: Mutex<HashMap<DistributionId, Instant>>,
}

/// A place for one value. It is locked while the value is read, so that others wait for the read and share it.
type Slot<T> = Arc<tokio::sync::Mutex<Option<Remembered<T>>>>;

#[derive(Debug)]
struct Remembered<T> {
    value: Arc<T>,
    /// When its read started.
    read_at: Instant,
    /// The same by the wall clock.
    read_time: DateTime<Utc>,
}

/// The reads for one event.
#[derive(Debug)]
pub struct EventReads<'a> {
    /// Reads what is not remembered.
    pub reader: SiteReader<'a>,
    /// The wall clock.
    pub clock: &'a Clock,
    /// When the event was received.
    pub received: Instant,
    /// The time of the newest change in the event.
    pub newest_change: DateTime<Utc>,
}

/// A value, and why it is missing or possibly older than the changes.
#[derive(Clone, Debug)]
pub struct ReadResult<T> {
    /// The value. `None` if there is none, or it cannot be read and none is remembered.
    pub value: Option<T>,
    /// Why the value has to be read again.
    pub error: Option<Error>,
}

impl<T> Default for ReadResult<T> {
    fn default() -> Self {
        Self {
            value: None,
            error: None,
        }
    }
}

impl<T> ReadResult<T> {
    /// Creates the result of a read that succeeded.
    fn read(value: T) -> Self {
        Self {
            value: Some(value),
            error: None,
        }
    }
}

impl SiteCache {
    /// Returns all distributions of the account.
    pub async fn distributions(
        &self,
        reads: &EventReads<'_>,
    ) -> ReadResult<Arc<Vec<ListedDistribution>>> {
        let mut slot = self.list.lock().await;
        if let Some(listed) = slot.as_ref().filter(|listed| reads.can_use(listed)) {
            return ReadResult::read(Arc::clone(&listed.value));
        }
        let started = reads.start();
        match reads.reader.cloudfront().listed_distributions().await {
            Ok(listed) => {
                ReadResult::read(Arc::clone(&slot.insert(started.remember(listed)).value))
            }
            Err(error) => ReadResult {
                value: slot.as_ref().map(|listed| Arc::clone(&listed.value)),
                error: Some(error),
            },
        }
    }

    /// Returns the configuration of a distribution; `listed` is its entry in the list, if it was found there. There is
    /// neither a value nor an error if it was deleted after it was listed.
    pub async fn site(
        &self,
        id: &DistributionId,
        listed: Option<&ListedDistribution>,
        reads: &EventReads<'_>,
    ) -> ReadResult<MaybeSite> {
        let slot = Arc::clone(lock(&self.sites).entry(id.clone()).or_default());
        let mut slot = slot.lock().await;
        if let Some(site) = slot.as_ref().filter(|site| reads.can_use(site)) {
            return ReadResult::read(known(&site.value));
        }
        if listed.is_none() && self.is_denied(id) {
            return ReadResult::read(outdated(&slot).unwrap_or_else(|| unknown(id)));
        }
        let started = reads.start();
        match read_site(id, listed, reads).await {
            Ok(ListedSite { site, denied }) => {
                if let Some(error) = denied {
                    self.remember_denial(id, &error);
                }
                let read = started.remember(site);
                let result = ReadResult::read(known(&read.value));
                // A cache policy that could not be read now may be readable for the next event.
                if !read.value.has_unreadable_cache_policy() {
                    *slot = Some(read);
                }
                result
            }
            Err(error) if error.is_no_such_distribution() => {
                *slot = None;
                ReadResult {
                    value: None,
                    error: listed.is_none().then_some(error),
                }
            }
            Err(error) if error.is_access_denied() => {
                self.remember_denial(id, &error.context(ASSUMPTION));
                ReadResult::read(outdated(&slot).unwrap_or_else(|| unknown(id)))
            }
            Err(error) => ReadResult {
                value: outdated(&slot),
                error: Some(error),
            },
        }
    }

    /// Forgets what is remembered of these distributions, and the list: the operator may be correcting them.
    pub async fn forget<'a>(&self, ids: impl IntoIterator<Item = &'a DistributionId>) {
        *self.list.lock().await = None;
        for id in ids {
            lock(&self.sites).remove(id);
        }
    }

    fn is_denied(&self, id: &DistributionId) -> bool {
        let denied = lock(&self.denied);
        denied.get(id).is_some_and(|at| at.elapsed() < TIME_TO_LIVE)
    }

    /// Remembers that IAM denies reading a configuration, and logs it unless that is remembered already.
    fn remember_denial(&self, id: &DistributionId, error: &Error) {
        if !self.is_denied(id) {
            warn!(distribution = %id, "{error}");
            lock(&self.denied).insert(id.clone(), Instant::now());
        }
    }
}

impl EventReads<'_> {
    /// Returns whether what was read earlier holds for this event: its read started after the event was received, or
    /// after the newest change, even if the clocks of S3 and of this machine differ by [`CLOCK_MARGIN`].
    fn can_use<T>(&self, remembered: &Remembered<T>) -> bool {
        let newest_change = self.newest_change.checked_add_signed(CLOCK_MARGIN);
        remembered.read_at.elapsed() < TIME_TO_LIVE
            && (remembered.read_at >= self.received
                || newest_change.is_some_and(|time| remembered.read_time > time))
    }

    fn start(&self) -> Started {
        Started {
            at: Instant::now(),
            time: self.clock.now().into(),
        }
    }
}

/// When a read started.
struct Started {
    at: Instant,
    time: DateTime<Utc>,
}

impl Started {
    fn remember<T>(self, value: T) -> Remembered<T> {
        Remembered {
            value: Arc::new(value),
            read_at: self.at,
            read_time: self.time,
        }
    }
}

async fn read_site(
    id: &DistributionId,
    listed: Option<&ListedDistribution>,
    reads: &EventReads<'_>,
) -> Result<ListedSite, Error> {
    match listed {
        Some(listed) => reads.reader.listed_site(listed).await,
        None => {
            let site = reads.reader.site(id).await?;
            Ok(ListedSite { site, denied: None })
        }
    }
}

fn known(site: &Arc<Site>) -> MaybeSite {
    MaybeSite::Known(Arc::clone(site))
}

fn outdated(remembered: &Option<Remembered<Site>>) -> Option<MaybeSite> {
    let site = Arc::clone(&remembered.as_ref()?.value);
    Some(MaybeSite::Outdated(site))
}

fn unknown(id: &DistributionId) -> MaybeSite {
    MaybeSite::Unknown(id.clone())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic can at worst lose an entry.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
