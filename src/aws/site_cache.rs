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
use tokio::time::{Instant, timeout_at};
use tracing::warn;

use super::cloudfront::{ListedDistribution, ListedSite, SiteReader};
use crate::clock::Clock;
use crate::distribution::DistributionId;
use crate::error::{Error, ErrorKind};
use crate::plan::existing::CLOCK_MARGIN;
use crate::site::{ASSUMPTION, MaybeSite, Site};

/// How long a configuration is used, even for older changes, and how long a denied read is not tried again.
const TIME_TO_LIVE: Duration = Duration::from_secs(5 * 60);

/// What was read for earlier events.
#[derive(Debug, Default)]
pub struct SiteCache {
    list: Slot<Vec<ListedDistribution>>,
    sites: Mutex<HashMap<DistributionId, Arc<Slot<Site>>>>,
    /// When IAM denied reading the configuration of a distribution.
    denied: Mutex<HashMap<DistributionId, Instant>>,
}

/// A place for one value.
#[derive(Debug)]
struct Slot<T> {
    /// Locked while the value is read, so that others wait for the read and share it.
    reading: tokio::sync::Mutex<()>,
    remembered: Mutex<Option<Remembered<T>>>,
}

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

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self {
            reading: tokio::sync::Mutex::default(),
            remembered: Mutex::default(),
        }
    }
}

impl<T> Slot<T> {
    /// Returns the value that is remembered and holds for the event.
    fn usable(&self, reads: &EventReads<'_>) -> Option<Arc<T>> {
        let remembered = lock(&self.remembered);
        let usable = remembered.as_ref().filter(|value| reads.can_use(value))?;
        Some(Arc::clone(&usable.value))
    }

    /// Returns the value that is remembered, even if it is possibly outdated.
    fn outdated(&self) -> Option<Arc<T>> {
        let remembered = lock(&self.remembered);
        remembered.as_ref().map(|value| Arc::clone(&value.value))
    }

    fn set(&self, value: Option<Remembered<T>>) {
        *lock(&self.remembered) = value;
    }
}

impl SiteCache {
    /// Returns all distributions of the account, read before `deadline`.
    pub async fn distributions(
        &self,
        reads: &EventReads<'_>,
        deadline: Instant,
    ) -> ReadResult<Arc<Vec<ListedDistribution>>> {
        let read = async {
            let _reading = self.list.reading.lock().await;
            if let Some(listed) = self.list.usable(reads) {
                return Ok(listed);
            }
            let started = reads.start();
            let listed = Arc::new(reads.reader.cloudfront().listed_distributions().await?);
            let remembered = started.remember(Arc::clone(&listed));
            self.list.set(Some(remembered));
            Ok(listed)
        };
        let not_listed = || not_in_time("list the distributions".to_owned());
        let read = timeout_at(deadline, read).await;
        match read.unwrap_or_else(|_elapsed| Err(not_listed())) {
            Ok(listed) => ReadResult::read(listed),
            Err(error) => ReadResult {
                value: self.list.outdated(),
                error: Some(error),
            },
        }
    }

    /// Returns the configuration of a distribution, read before `deadline`; `listed` is its entry in the list, if it was
    /// found there. There is neither a value nor an error if it was deleted after it was listed.
    pub async fn site(
        &self,
        id: &DistributionId,
        listed: Option<&ListedDistribution>,
        reads: &EventReads<'_>,
        deadline: Instant,
    ) -> ReadResult<MaybeSite> {
        let slot = Arc::clone(lock(&self.sites).entry(id.clone()).or_default());
        let outdated = || slot.outdated().map(MaybeSite::Outdated);
        let or_assumed = || outdated().unwrap_or_else(|| MaybeSite::Unknown(id.clone()));
        if listed.is_none() && self.is_denied(id) {
            return ReadResult::read(or_assumed());
        }
        let read = timeout_at(deadline, self.read_site(id, listed, reads, &slot)).await;
        let not_read = || not_in_time(format!("read the configuration of {id}"));
        match read.unwrap_or_else(|_elapsed| Err(not_read())) {
            Ok(site) => ReadResult::read(MaybeSite::Known(site)),
            Err(error) if error.is_no_such_distribution() => {
                slot.set(None);
                ReadResult {
                    value: None,
                    error: listed.is_none().then_some(error),
                }
            }
            Err(error) if error.is_access_denied() => {
                self.remember_denial(id, &error.context(ASSUMPTION));
                ReadResult::read(or_assumed())
            }
            Err(error) => ReadResult {
                value: outdated(),
                error: Some(error),
            },
        }
    }

    /// Returns a configuration that holds for the event: the remembered one, or else a new one.
    async fn read_site(
        &self,
        id: &DistributionId,
        listed: Option<&ListedDistribution>,
        reads: &EventReads<'_>,
        slot: &Slot<Site>,
    ) -> Result<Arc<Site>, Error> {
        let _reading = slot.reading.lock().await;
        if let Some(site) = slot.usable(reads) {
            return Ok(site);
        }
        let started = reads.start();
        let ListedSite { mut site, denied } = match listed {
            Some(listed) => reads.reader.listed_site(listed).await?,
            None => ListedSite {
                site: reads.reader.site(id).await?,
                denied: None,
            },
        };
        // What the list does not have is likely to be as it was.
        if let (Some(_), Some(earlier)) = (&denied, slot.outdated()) {
            let root = earlier.default_root_object.clone();
            site.default_root_object = root.or(site.default_root_object);
            let policy = &earlier.features.continuous_deployment_policy;
            site.features.continuous_deployment_policy = policy.clone();
        }
        let site = Arc::new(site);
        // A cache policy that could not be read now may be readable for the next event. The list can be older than the
        // read that was denied.
        if denied.is_none() && !site.has_unreadable_cache_policy() {
            slot.set(Some(started.remember(Arc::clone(&site))));
        }
        if let Some(error) = denied {
            self.remember_denial(id, &error);
        }
        Ok(site)
    }

    /// Forgets what is remembered of these distributions, and the list: the operator may be correcting them.
    pub fn forget<'a>(&self, ids: impl IntoIterator<Item = &'a DistributionId>) {
        self.list.set(None);
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
    fn remember<T>(self, value: Arc<T>) -> Remembered<T> {
        Remembered {
            value,
            read_at: self.at,
            read_time: self.time,
        }
    }
}

fn not_in_time(purpose: String) -> Error {
    let message = "no response in time".to_owned();
    ErrorKind::Unavailable { purpose, message }.into()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic can at worst lose an entry.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
