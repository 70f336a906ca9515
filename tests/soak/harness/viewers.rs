//! The viewers: they show which version of each object CloudFront returns.
//!
//! Before the deploys, they request every URL at every POP. Shortly before each change, they request the object's URLs
//! again, so that every POP has a copy without the change. After all invalidations are completed, they request every
//! URL once more. A response with an old version is a lost change.
//!
//! They also make the owner's changes of the configuration (`configuration`), so that no request is under way meanwhile.
//!
//! Only the edge contains rules of what an invalidation drops, and when (`tests/standin/edge.rs`). The viewers read the
//! versions of responses and of dropped copies. They have their own thread, because a request is slow if the edge first
//! has to compare an invalidation with every copy.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use super::bucket::{self, BeforeDeploys, Bucket, Configured};
use super::configuration::{Configuration, ConfigurationChange};
use super::deploys::{Kind, Notification};
use super::{ERROR_CACHING, IMMEDIATE_POP, POPS, until};
use crate::standin::{Edge, Origin, Standin, ViewerRequest, pop_name};

/// The header of a browser.
const ACCEPT_ENCODING: &str = "gzip, deflate, br, zstd";
/// How long before a change the viewers request the object: long enough for other requests to be answered first, and
/// short enough that few copies are dropped before the change.
const BEFORE_CHANGE: Duration = Duration::from_millis(50);
const DRAIN_INTERVAL: Duration = Duration::from_millis(500);

/// What viewers got.
#[derive(Clone, Debug, Default)]
pub struct Views {
    /// When the last copy without a change was dropped at the immediate POP, by the change's notification. This is when
    /// the last invalidation that it needed was created. A change of an object without copies is missing.
    pub invalidated: BTreeMap<usize, SystemTime>,
    /// The same for the last of all POPs.
    pub fresh: BTreeMap<usize, SystemTime>,
    /// The URL and the POP at which viewers still get an older version, by the change's notification.
    pub stale: BTreeMap<usize, String>,
    /// How many responses at the end had an old version.
    pub stale_responses: usize,
    pub requests: u64,
    pub origin_requests: u64,
    pub dropped_copies: u64,
    pub configuration_changes: usize,
}

/// What happens to the bucket and to the configuration.
#[derive(Clone, Debug)]
pub struct Schedule {
    pub notifications: Vec<Notification>,
    /// In order of time.
    pub configuration_changes: Vec<(SystemTime, ConfigurationChange)>,
}

/// The viewers of the site.
pub struct Viewers {
    standin: Arc<Standin>,
    edge: Arc<Edge>,
    configuration: Configuration,
    /// Whether CloudFront's API returns the configurations from before all changes.
    api_is_outdated: bool,
    bucket: Bucket,
    views: Views,
    last_request: SystemTime,
}

impl Viewers {
    pub fn new(standin: Arc<Standin>, api_is_outdated: bool) -> Self {
        let (edge, configuration) = (standin.edge(), Configuration::default());
        for distribution in configuration.edge() {
            edge.set_distribution(distribution);
        }
        edge.set_immediate_pop(IMMEDIATE_POP);
        Self {
            standin,
            edge,
            configuration,
            api_is_outdated,
            bucket: Bucket::default(),
            views: Views::default(),
            last_request: SystemTime::now(),
        }
    }

    /// Requests every URL at every POP before the deploys.
    pub async fn warm(&self, notifications: &[Notification]) -> io::Result<()> {
        let bucket = Bucket::new(notifications);
        for key in bucket.keys() {
            self.request(key, &BeforeDeploys, |_, _| {}).await?;
        }
        Ok(())
    }

    /// Requests each object shortly before it changes, records when its copies are dropped, and changes the
    /// configuration, until stopped.
    pub async fn follow(mut self, schedule: Schedule, stop: &AtomicBool) -> io::Result<Self> {
        self.bucket = Bucket::new(&schedule.notifications);
        let configuration_changes = schedule.configuration_changes.into_iter();
        let mut configuration_changes = configuration_changes.peekable();
        let changes = schedule
            .notifications
            .iter()
            .filter(|notification| notification.kind == Kind::Change);
        let mut changes: Vec<_> = changes.collect();
        changes.sort_by_key(|change| change.changed);
        let mut changes = changes.into_iter().peekable();
        while !stop.load(Ordering::Relaxed) {
            let soon = SystemTime::now() + BEFORE_CHANGE;
            while let Some(change) = changes.next_if(|change| change.changed <= soon) {
                let is_due = |(moment, _): &(SystemTime, _)| *moment <= SystemTime::now();
                while let Some((_, due)) = configuration_changes.next_if(is_due) {
                    self.change_configuration(due)?;
                }
                self.request(&change.key, &self.origin(), |_, _| {}).await?;
                self.last_request = SystemTime::now();
            }
            let now = SystemTime::now();
            while let Some((_, due)) = configuration_changes.next_if(|(moment, _)| *moment <= now) {
                self.change_configuration(due)?;
            }
            self.record_dropped()?;
            let next_change = changes.peek().map(|change| change.changed - BEFORE_CHANGE);
            let next_configuration_change = configuration_changes.peek().map(|(moment, _)| *moment);
            let next = [next_change, next_configuration_change];
            let next_drain = SystemTime::now() + DRAIN_INTERVAL;
            until(next.into_iter().flatten().fold(next_drain, SystemTime::min)).await;
        }
        Ok(self)
    }

    /// Changes a distribution as its owner does: CloudFront's API first, so that whatever viewers request afterwards was
    /// configured before.
    fn change_configuration(&mut self, change: ConfigurationChange) -> io::Result<()> {
        self.record_dropped()?;
        self.configuration.apply(change);
        if !self.api_is_outdated {
            for (path, document) in self.configuration.documents() {
                self.standin.set_document(&path, &document);
            }
            if change == ConfigurationChange::DeleteDistribution {
                self.standin.delete_distribution(change.distribution());
            }
        }
        for distribution in self.configuration.edge() {
            self.edge.set_distribution(distribution);
        }
        if change.needs_invalidation() {
            self.edge.delete_copies(change.distribution());
        }
        self.views.configuration_changes += 1;
        Ok(())
    }

    fn origin(&self) -> Configured<'_> {
        Configured {
            bucket: &self.bucket,
            configuration: &self.configuration,
        }
    }

    /// Requests every URL at every POP after all invalidations are completed and errors have expired, and returns the
    /// result.
    pub async fn check(mut self, completed: SystemTime) -> io::Result<Views> {
        until(completed.max(self.last_request + ERROR_CACHING)).await;
        self.record_dropped()?;
        let mut views = std::mem::take(&mut self.views);
        for key in self.bucket.keys() {
            let now = SystemTime::now();
            self.request(key, &self.origin(), |url, version| {
                let mut missing = self.bucket.missing(key, version, now).peekable();
                views.stale_responses += usize::from(missing.peek().is_some());
                for notification in missing {
                    views
                        .stale
                        .entry(notification)
                        .or_insert_with(|| url.to_owned());
                }
            })
            .await?;
        }
        let counters = self.edge.counters();
        views.requests = counters.requests;
        views.origin_requests = counters.origin_requests;
        views.dropped_copies = counters.dropped_copies;
        Ok(views)
    }

    /// Requests all URLs of an object at every POP; `on_response` gets each URL with its POP, and the version.
    async fn request(
        &self,
        key: &str,
        origin: &impl Origin,
        mut on_response: impl FnMut(&str, usize),
    ) -> io::Result<()> {
        for (host, url) in self.configuration.urls(key) {
            for pop in 0..POPS {
                let request = ViewerRequest {
                    host,
                    target: &url,
                    accept_encoding: ACCEPT_ENCODING,
                    pop,
                };
                let version = bucket::version(&self.edge.get(request, origin).await?)?;
                on_response(&format!("{host}{url} at {}", pop_name(pop)), version);
            }
        }
        Ok(())
    }

    /// Records the copies that were dropped since the last call, by the changes that they did not contain.
    fn record_dropped(&mut self) -> io::Result<()> {
        for copy in self.edge.drain_dropped() {
            let version = bucket::version(&copy.response)?;
            let key = self.configuration.key(&copy.distribution, &copy.target);
            for notification in self.bucket.missing(&key, version, copy.time) {
                set_latest(&mut self.views.fresh, notification, copy.time);
                if copy.pop == IMMEDIATE_POP {
                    set_latest(&mut self.views.invalidated, notification, copy.time);
                }
            }
        }
        Ok(())
    }
}

/// The thread of the viewers.
pub struct ViewersThread {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<io::Result<Viewers>>,
}

impl ViewersThread {
    /// Starts [`Viewers::follow`].
    pub fn start(viewers: Viewers, schedule: Schedule) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::Builder::new()
            .name("viewers".to_owned())
            .spawn(move || runtime.block_on(viewers.follow(schedule, &stopped)))?;
        Ok(Self { stop, thread })
    }

    /// Stops the thread and returns the viewers.
    pub fn stop(self) -> io::Result<Viewers> {
        self.stop.store(true, Ordering::Relaxed);
        let panicked = |_| io::Error::other("the viewers panicked");
        self.thread.join().map_err(panicked)?
    }
}

fn set_latest(moments: &mut BTreeMap<usize, SystemTime>, notification: usize, moment: SystemTime) {
    let latest = moments.entry(notification).or_insert(moment);
    *latest = moment.max(*latest);
}
