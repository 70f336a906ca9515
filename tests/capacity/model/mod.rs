//! How many changes the function can handle, by simulation in virtual time: the real handler and SDK, the stand-in's
//! CloudFront, and models of the queue and its event source mapping.
//!
//! ```text
//!  changes ─▶ queue ─▶ event source mapping ─▶ handler, SDK ─▶ connector ─▶ CloudFront's stand-in
//!               ▲               │                                  │
//!               └────failed─────┘                       freshness ◀┘
//! ```
//!
//! Tokio's time is paused, and nothing here waits for a socket. So time jumps to the next timer, hours take seconds,
//! and the same scenario has the same result. CPU time counts as none.
//!
//! What is assumed about AWS is in the constants below and in docs/limits.md.

#![allow(
    dead_code,
    unused_imports,
    reason = "the command and the small test use different parts"
)]

mod account;
mod connector;
mod freshness;
mod mapping;
mod queue;
#[path = "../../soak/harness/random.rs"]
mod random;
mod report;
mod scenarios;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use aws_sdk_cloudfront::config::retry::RetryConfig;
use aws_types::sdk_config::{SharedTimeSource, TimeSource};
use cloudfront_invalidator::aws::sdk::{connections, sdk_config};
use cloudfront_invalidator::clock::Clock;
use cloudfront_invalidator::handler::Invalidator;
use cloudfront_invalidator::settings::Settings;
use serde_json::json;
use tokio::time::{Instant, sleep_until};

use self::connector::CloudFront;
use self::freshness::Freshness;
use self::mapping::EventSourceMapping;
use self::queue::Queue;
use crate::standin::InProcess;

pub use self::report::{HEAD, Report, table};
pub use self::scenarios::{all, all_long, change_of_shared_bucket};

/// From a change to its message in the queue. S3 delivers notifications "typically in seconds".
const NOTIFIED_AFTER: Duration = Duration::from_secs(1);
/// From the creation of an invalidation to its completion: AWS's P95 (launch note of 2026).
const COMPLETES_AFTER: Duration = Duration::from_secs(25);
/// How long a call of CloudFront takes. Assumed.
const CALL_TIME: Duration = Duration::from_millis(150);
/// `Timeout` of template.yaml.
const FUNCTION_TIMEOUT: Duration = Duration::from_secs(60);
/// `maxReceiveCount` of template.yaml.
const MAX_RECEIVES: u32 = 10;
/// `VisibilityTimeout` of template.yaml, for the default window.
const VISIBILITY_TIMEOUT: Duration = Duration::from_secs(380);
/// How long a ReceiveMessage waits for a message.
const LONG_POLL: Duration = Duration::from_secs(20);
/// The mean of the SDK's first pause before a retry, which is random up to 300 ms.
const MEAN_INITIAL_BACKOFF: Duration = Duration::from_millis(150);

/// When objects change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Load {
    /// At a constant rate; each time another of 2,000 pages of a site, at random.
    Steady { per_minute: usize, minutes: usize },
    /// All files of a deploy, each once, in 2 directories for each 100 files.
    Deploy { files: usize, seconds: u64 },
}

impl Load {
    pub fn changes(self) -> usize {
        match self {
            Self::Steady {
                per_minute,
                minutes,
            } => per_minute * minutes,
            Self::Deploy { files, .. } => files,
        }
    }

    /// Returns the time from the first change to the last.
    pub fn duration(self) -> Duration {
        match self {
            Self::Steady { minutes, .. } => Duration::from_secs(60 * minutes as u64),
            Self::Deploy { seconds, .. } => Duration::from_secs(seconds),
        }
    }
}

/// What is simulated.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    pub load: Load,
    /// The distributions whose buckets change.
    pub distributions: usize,
    /// All distributions of the account, if there are more.
    pub account: usize,
    /// Whether `DISTRIBUTION_ID` names the distributions; otherwise the function finds them by the bucket.
    pub named: bool,
    /// Whether all distributions have the same bucket; otherwise each has one of its own.
    pub shares_bucket: bool,
    /// `BatchingWindow`.
    pub window: Duration,
    /// `MAX_PATHS` and `MAX_WILDCARDS`.
    pub limits: (usize, usize),
    /// When a pipeline job invalidates `/*`, if it does.
    pub clears_at: Option<Duration>,
    /// Whether the simulation lasts until each message is deleted or in the dead-letter queue; otherwise until the end
    /// of the load.
    pub drains: bool,
}

impl Scenario {
    /// Returns a scenario with the default settings.
    pub fn new(load: Load, distributions: usize, named: bool) -> Self {
        Self {
            load,
            distributions,
            account: distributions,
            named,
            shares_bucket: false,
            window: Duration::from_secs(20),
            limits: (20, 10),
            clears_at: None,
            drains: distributions <= 20,
        }
    }

    /// Returns the visibility timeout that AWS recommends for the window: the default, or the window plus six times the
    /// timeout.
    fn visibility_timeout(&self) -> Duration {
        VISIBILITY_TIMEOUT.max(self.window + 6 * FUNCTION_TIMEOUT)
    }

    fn drain_time(&self) -> Duration {
        match self.drains {
            true => Duration::from_secs(24 * 60 * 60),
            false => Duration::ZERO,
        }
    }

    /// Runs the scenario until its load ends, and with `drains` until the queue is empty.
    pub fn run(&self) -> Report {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(self.simulate())
    }

    async fn simulate(&self) -> Report {
        let cloudfront = CloudFront::new(InProcess::new(account::options(self)));
        let started = Instant::now();
        let queue = Queue::new(self, started);
        let freshness = Freshness::new(self, &queue.changes, started);
        let mapping = EventSourceMapping {
            scenario: self,
            queue: RefCell::new(queue),
            cloudfront: &cloudfront,
            freshness: RefCell::new(freshness),
            record: RefCell::default(),
            start_of_clock: cloudfront.standin.now(),
            give_up_at: started + self.load.duration() + self.drain_time(),
        };
        let functions = [(); 3].map(|()| self.function(&cloudfront));
        let [first, second, third] = &functions;
        // What happens later is not part of the rates.
        let snapshot = async {
            let mut end = started + self.load.duration();
            if let Load::Deploy { .. } = self.load {
                while !mapping.queue.borrow().is_empty() {
                    end = Instant::now() + Duration::from_secs(1);
                    sleep_until(end).await;
                }
            }
            sleep_until(end).await;
            (Instant::now(), cloudfront.standin.count_calls())
        };
        let clear = async {
            if let Some(at) = self.clears_at {
                sleep_until(started + at).await;
                let ids = (0..self.distributions).map(account::distribution_id);
                let event = json!({"paths": ["/*"], "distribution": ids.collect::<Vec<_>>()});
                let cleared = third.handle(&event, &mapping::invocation(usize::MAX)).await;
                cleared.expect("an invalidation of everything");
                mapping.note_created();
            }
        };
        let ((measured_until, calls), (), (), ()) =
            tokio::join!(snapshot, clear, mapping.poll(first), mapping.poll(second));
        Report::new(
            self,
            &mapping.queue.borrow(),
            &mapping.freshness.borrow(),
            &mapping.record.borrow(),
            report::Measured {
                until: measured_until,
                calls,
            },
        )
    }

    /// Returns the function in an environment of its own.
    fn function(&self, cloudfront: &CloudFront) -> Invalidator {
        let ids = (0..self.distributions).map(account::distribution_id);
        let ids = match self.named {
            true => ids.collect::<Vec<_>>().join(","),
            false => String::new(),
        };
        let (paths, wildcards) = self.limits;
        let variables = BTreeMap::from([
            ("AWS_REGION", unused_region()),
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "example".to_owned()),
            ("DISTRIBUTION_ID", ids),
            ("MAX_PATHS", paths.to_string()),
            ("MAX_WILDCARDS", wildcards.to_string()),
        ]);
        let variable = move |name: &str| variables.get(name).cloned();
        let settings = Settings::from_environment(&variable);
        let connections = connections(&variable);
        let sdk = sdk_config(variable, &connections);
        let retry = sdk.retry_config().expect("a retry configuration").clone();
        // Random pauses would make each run different.
        let retry = RetryConfig::standard()
            .with_max_attempts(retry.max_attempts())
            .with_initial_backoff(MEAN_INITIAL_BACKOFF)
            .with_use_static_exponential_base(true);
        let time = {
            let standin = cloudfront.clone();
            move || standin.standin.now()
        };
        let sdk = sdk
            .into_builder()
            .retry_config(retry)
            .http_client(cloudfront.http_client())
            .time_source(SharedTimeSource::new(VirtualTime(time.clone())))
            .build();
        let clock = Clock::new(time, tokio::time::sleep);
        Invalidator::new(settings, sdk).with_clock(clock)
    }
}

/// The clock of the SDK.
struct VirtualTime<F>(F);

impl<F> std::fmt::Debug for VirtualTime<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("VirtualTime")
    }
}

impl<F: Fn() -> SystemTime + Send + Sync> TimeSource for VirtualTime<F> {
    fn now(&self) -> SystemTime {
        (self.0)()
    }
}

/// Returns a region that no other function has: the SDK's clients in a region share the tokens for retries, and each
/// environment of Lambda has its own.
fn unused_region() -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(1);
    format!("us-east-{}", COUNT.fetch_add(1, Ordering::Relaxed))
}
