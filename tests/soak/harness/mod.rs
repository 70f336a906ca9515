//! The proof that no change is lost: deploys, the built program, and CloudFront's rules.
//!
//! ```text
//!  deploys ─▶ envelope ─▶ queue ─▶ event source mapping ─▶ lambda: the program ─▶ CloudFront's stand-in
//!     │                     ▲              │                                             │
//!     │                     └────failed────┴─succeeded─▶ verdict ◀─ viewers ◀─ edge ◀────┘
//!     └─────────────────────────────────▶ bucket ─────────────────────────────▲
//! ```
//!
//! Everything except the program is a model in this process, as hostile as AWS can be. Messages arrive twice, late and
//! out of order. CloudFront throttles, fails half of the calls for a while, and accepts some calls without a response.
//! The program is killed in the middle of a batch. The owner changes the distributions meanwhile, and the program cannot
//! always read their configurations. `verdict` defines what must hold in spite of that, for viewers who request the
//! objects from CloudFront's edge before they change and at the end.
//!
//! Time is real, because the program has no other clock. Durations that are minutes in the cloud (visibility timeouts,
//! batching windows) are shorter in [`Pace`]. CloudFront's rate and quotas are not, so there is less time for the same
//! work.
//!
//! A message can be received as often as in the deployed stack before it moves to the dead-letter queue. In the stack,
//! that is an hour of failures at the default visibility timeout. Here it is two and a half minutes, so CloudFront's
//! failures are harder to survive.

#![allow(dead_code, reason = "the soak and its small test use different parts")]

mod bucket;
mod configuration;
mod deploys;
mod envelope;
mod event_source_mapping;
mod lambda;
mod queue;
mod random;
mod report;
mod sabotage;
pub mod verdict;
mod viewers;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::standin::{EdgeOptions, Fault, Operation, Options, Standin};
use configuration::{Configuration, DELETED, SECOND};
use deploys::{Deploys, Notification};
use event_source_mapping::EventSourceMapping;
use lambda::Function;
use queue::Queue;
use random::Random;

pub use configuration::ConfigurationChange;
pub use report::Report;
use report::Run;
pub use sabotage::Sabotage;
use verdict::Judge;
use viewers::{Schedule, Viewers, ViewersThread};

const DISTRIBUTION: &str = "E1EXAMPLE1ABC";
const BUCKET: &str = "site";
const DEFAULT_ROOT_OBJECT: &str = "index.html";
const PERCENT_FAILED_IN_OUTAGE: u64 = 50;
/// The calls that read configurations.
const READS: [Operation; 3] = [
    Operation::GetDistributionConfig,
    Operation::ListDistributions,
    Operation::GetCachePolicy,
];
/// How reads fail.
const FAILED_READS: [Fault; 4] = [
    Fault::Throttling,
    Fault::ServiceUnavailable,
    Fault::InternalError,
    Fault::Reset,
];
/// How often other reads fail, and how they do, is decided anew.
const READS_DECIDED_EVERY: Duration = Duration::from_millis(250);
const PERCENT_FAILED_READS: u64 = 20;
/// One change in this many is in the folder that the first distribution does not serve.
const ONE_IN_OTHER_SLOT: usize = 6;
const POPS: usize = 3;
/// The POP at which invalidations take effect at their creation; at the others, at a random moment.
const IMMEDIATE_POP: usize = 0;
/// A change of an object without a copy at any POP proves nothing. Poison and irrelevant messages are such changes too.
const MIN_PERCENT_OF_COPIES: usize = 50;
/// CloudFront's default for ErrorCachingMinTTL.
const ERROR_CACHING: Duration = Duration::from_secs(10);

/// When each thing happens, relative to the start.
#[derive(Clone, Debug)]
pub struct Pace {
    /// The time during which objects are uploaded.
    pub upload_duration: Duration,
    /// How long the messages of the first deploy have waited at the start.
    pub backlog: Duration,
    /// The longest time from a change to its message in the queue.
    pub notified_within: Duration,
    pub batching_window: Duration,
    pub visibility_timeout: Duration,
    pub max_receives: u32,
    pub function_timeout: Duration,
    /// How long an invalidation is in progress and counts against the quotas.
    pub in_progress_for: Duration,
    /// When half of the CreateInvalidation calls fail with 503.
    pub outage: Range<Duration>,
    /// When the response to an accepted CreateInvalidation is lost.
    pub lost_responses: Vec<Duration>,
    /// When the owner changes which configuration, in order of time.
    pub configuration_changes: Vec<(Duration, ConfigurationChange)>,
    /// When every call that reads configurations fails. From the first of these times to the last, other reads fail at
    /// random.
    pub failing_reads: Vec<Range<Duration>>,
    /// How many invocations there are from one kill to the next.
    pub kill_every: usize,
    /// The longest time from a call of CloudFront to the kill.
    pub kill_within: Duration,
    /// Until when poison messages are sent; later ones could not reach the dead-letter queue in time.
    pub poison_until: Duration,
    /// One in this many messages is poison.
    pub poison_one_in: usize,
    /// When a message that is still in the queue counts as stuck.
    pub give_up_after: Duration,
}

impl Pace {
    /// Returns the pace for a hundred thousand changes in ten minutes.
    pub fn full() -> Self {
        use ConfigurationChange as Change;
        let seconds = Duration::from_secs;
        Self {
            upload_duration: seconds(240),
            backlog: seconds(20 * 60),
            notified_within: seconds(3),
            batching_window: seconds(2),
            visibility_timeout: seconds(15),
            max_receives: 10,
            function_timeout: seconds(15),
            in_progress_for: seconds(14),
            outage: seconds(60)..seconds(140),
            lost_responses: [20, 50, 150, 180, 210, 240].map(seconds).to_vec(),
            configuration_changes: vec![
                (seconds(15), Change::DeleteDistribution),
                (seconds(40), Change::SwitchOriginPath),
                (seconds(90), Change::AssociateFunction),
                (seconds(130), Change::AddDistribution),
                (seconds(170), Change::SwitchOriginPath),
                (seconds(210), Change::SwitchOriginPath),
            ],
            failing_reads: vec![
                seconds(35)..seconds(45),
                seconds(127)..seconds(135),
                seconds(208)..seconds(222),
            ],
            kill_every: 15,
            kill_within: Duration::from_millis(300),
            poison_until: seconds(240),
            poison_one_in: 100,
            give_up_after: seconds(560),
        }
    }

    /// Returns the pace for two thousand changes in half a minute; invalidations complete sooner than they usually do.
    pub fn small() -> Self {
        use ConfigurationChange as Change;
        let [seconds, milliseconds] = [Duration::from_secs, Duration::from_millis];
        Self {
            upload_duration: seconds(9),
            backlog: seconds(20 * 60),
            notified_within: milliseconds(500),
            batching_window: milliseconds(2_000),
            visibility_timeout: seconds(2),
            max_receives: 10,
            function_timeout: seconds(10),
            in_progress_for: seconds(2),
            outage: seconds(1)..seconds(6),
            lost_responses: vec![milliseconds(500)],
            // The functions that replace the killed ones have read the configuration by then.
            configuration_changes: vec![
                (milliseconds(4_500), Change::DeleteDistribution),
                (milliseconds(4_700), Change::AddDistribution),
                (milliseconds(5_500), Change::AssociateFunction),
                (milliseconds(6_500), Change::SwitchOriginPath),
            ],
            failing_reads: vec![
                milliseconds(1_700)..milliseconds(2_300),
                milliseconds(4_300)..milliseconds(5_000),
                milliseconds(6_300)..milliseconds(7_200),
            ],
            kill_every: 1_000,
            kill_within: milliseconds(100),
            poison_until: seconds(1),
            poison_one_in: 25,
            give_up_after: seconds(60),
        }
    }
}

/// A run of the soak.
#[derive(Clone, Debug)]
pub struct Soak {
    pub seed: u64,
    pub changes: usize,
    pub pace: Pace,
    /// The program that is built from `src/main.rs`.
    pub program: PathBuf,
    /// Whether DISTRIBUTION_ID is set; otherwise the function finds the distribution by the bucket.
    pub names_distribution: bool,
    /// MAX_PATHS; the smaller it is, the more paths become wildcards.
    pub max_paths: usize,
    /// The file that the function's log lines are appended to, if any.
    pub log: Option<PathBuf>,
    /// What makes the soak fail on purpose.
    pub sabotage: Option<Sabotage>,
}

impl Soak {
    /// Makes the function faulty. It then sends each path: wildcards would cover most of the lost changes, which would
    /// not be lost then.
    pub fn with_sabotage(self, sabotage: Sabotage) -> Self {
        Self {
            sabotage: Some(sabotage),
            names_distribution: true,
            max_paths: 3_000,
            ..self
        }
    }

    /// Runs the soak to its end.
    ///
    /// # Errors
    ///
    /// If the harness cannot work: no port, no program, a program that keeps crashing, or a machine that is too slow
    /// for the viewers.
    pub fn run(&self) -> io::Result<Report> {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(self.run_async())
    }

    async fn run_async(&self) -> io::Result<Report> {
        let mut random = Random::new(self.seed);
        let standin = Arc::new(Standin::bind(self.options())?);
        let (deploys, viewers, started) = self.warm(&random.fork(), &standin).await?;
        let changes = self.pace.configuration_changes.iter();
        let changes = changes.map(|(offset, change)| (started + *offset, *change));
        let schedule = Schedule {
            notifications: deploys.notifications.clone(),
            configuration_changes: changes.collect(),
        };
        let viewers = ViewersThread::start(viewers, schedule)?;
        let queue = RefCell::new(self.queue(&deploys, random.fork()));
        let mapping = EventSourceMapping {
            pace: &self.pace,
            queue: &queue,
            notifications: &deploys.notifications,
            function: &self.function(&standin),
            standin: &standin,
            sabotage: self.sabotage,
            give_up_at: started + self.pace.give_up_after,
            random: RefCell::new(random.fork()),
            counters: RefCell::default(),
            until_kill: Cell::new(1),
            warm: RefCell::default(),
        };
        tokio::select! {
            drained = mapping.run() => drained?,
            () = self.inject_faults(&standin, random.fork(), started) => {}
        }
        let counters = mapping.counters.take();
        let queue = queue.into_inner();
        let completed = SystemTime::now() + self.pace.in_progress_for;
        let views = viewers.stop()?.check(completed).await?;
        let verdict = Judge {
            notifications: &deploys.notifications,
            views: &views,
            in_progress_for: self.pace.in_progress_for,
            started,
        }
        .judge(queue.messages());
        let received = standin.invalidations();
        let report = Report::new(&Run {
            seed: self.seed,
            duration: started.elapsed().unwrap_or_default(),
            deploys: &deploys,
            messages: queue.messages(),
            counters: &counters,
            received: &received,
            verdict: &verdict,
            views: &views,
            failed_reads: failed_reads(&standin),
        });
        self.require_copies(&report)?;
        Ok(report)
    }

    /// Fails if the verdict is about too few changes, because the viewers could not keep up with the deploys.
    fn require_copies(&self, report: &Report) -> io::Result<()> {
        let changes = report.changes_of_copies;
        if changes * 100 >= self.changes * MIN_PERCENT_OF_COPIES {
            return Ok(());
        }
        let all = self.changes;
        let message = format!(
            "only {changes} of {all} changes were of cached objects: this machine is too slow\n{report}"
        );
        Err(io::Error::new(io::ErrorKind::TimedOut, message))
    }

    /// Fills the edge with requests of viewers, and plans the deploys after that. Their keys do not depend on the start.
    async fn warm(
        &self,
        random: &Random,
        standin: &Arc<Standin>,
    ) -> io::Result<(Deploys, Viewers, SystemTime)> {
        let plan = |started| {
            let mut random = random.clone();
            let mut deploys = Deploys::plan(&mut random, self.changes, &self.pace, started)?;
            self.choose_slots(&mut deploys.notifications, random.fork(), started);
            Ok::<_, io::Error>(deploys)
        };
        let outdated = self.sabotage == Some(Sabotage::Outdated);
        let viewers = Viewers::new(Arc::clone(standin), outdated);
        let notifications = plan(SystemTime::now())?.notifications;
        viewers.warm(&notifications).await?;
        let started = SystemTime::now();
        Ok((plan(started)?, viewers, started))
    }

    /// Moves each object into the folder that the first distribution serves when the object changes, and some into the
    /// other one.
    fn choose_slots(
        &self,
        notifications: &mut [Notification],
        mut random: Random,
        started: SystemTime,
    ) {
        for notification in notifications {
            let since_start = notification.changed.duration_since(started);
            let since_start = since_start.unwrap_or_default();
            let mut configuration = Configuration::default();
            for (offset, change) in &self.pace.configuration_changes {
                if *offset <= since_start {
                    configuration.apply(*change);
                }
            }
            let served = configuration.slot();
            let slot = if random.one_in(ONE_IN_OTHER_SLOT) {
                served.other()
            } else {
                served
            };
            notification.key.insert_str(0, slot.prefix());
        }
    }

    fn queue(&self, deploys: &Deploys, random: Random) -> Queue {
        let pace = &self.pace;
        let mut queue = Queue::new(pace.visibility_timeout, pace.max_receives, random);
        for delivery in &deploys.deliveries {
            queue.send(*delivery);
        }
        queue
    }

    fn function(&self, standin: &Standin) -> Function {
        let distributions = if self.names_distribution {
            format!("{DISTRIBUTION},{SECOND}")
        } else {
            String::new()
        };
        let url = standin.url();
        let max_paths = self.max_paths.to_string();
        let variables = [
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "secret-of-the-function"),
            ("AWS_SESSION_TOKEN", "token-of-the-function"),
            ("AWS_ENDPOINT_URL", &url),
            ("MAX_PATHS", &max_paths),
            ("DISTRIBUTION_ID", &distributions),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Function {
            program: self.program.clone(),
            arguments: Vec::new(),
            variables: BTreeMap::from(variables),
            timeout: self.pace.function_timeout,
            log: self.log.clone(),
        }
    }

    fn options(&self) -> Options {
        let mut options = Options {
            completes_after: self.pace.in_progress_for,
            edge: Some(EdgeOptions {
                pops: POPS,
                seed: self.seed,
                ..EdgeOptions::default()
            }),
            ..Options::default()
        };
        for distribution in [DISTRIBUTION, SECOND, DELETED] {
            options = options.with_distribution(distribution);
        }
        for (path, document) in Configuration::default().documents() {
            options = options.with_document(&path, &document);
        }
        options
    }

    /// Plans CloudFront's faults as time passes; never returns.
    async fn inject_faults(&self, standin: &Standin, mut random: Random, started: SystemTime) {
        let pace = &self.pace;
        let seed = random.seed();
        let (call, fault) = (Operation::CreateInvalidation, Fault::ServiceUnavailable);
        let fail = |percent| standin.fail_at_random(call, fault, percent, seed);
        let outage = async {
            until(started + pace.outage.start).await;
            fail(PERCENT_FAILED_IN_OUTAGE);
            // A short outage with few calls has at least one failure.
            standin.fail(call, fault, 1);
            until(started + pace.outage.end).await;
            fail(0);
        };
        let losses = async {
            for offset in &pace.lost_responses {
                until(started + *offset).await;
                standin.fail(call, Fault::LostResponse, 1);
            }
        };
        let reads = self.fail_reads(standin, random, started);
        tokio::join!(outage, losses, reads);
        std::future::pending().await
    }

    /// Lets calls that read configurations fail, each time in another way.
    async fn fail_reads(&self, standin: &Standin, mut random: Random, started: SystemTime) {
        let failing_reads = &self.pace.failing_reads;
        let starts = failing_reads.iter().map(|range| range.start);
        let ends = failing_reads.iter().map(|range| range.end);
        let (Some(first), Some(last)) = (starts.min(), ends.max()) else {
            return;
        };
        until(started + first).await;
        loop {
            let since_start = started.elapsed().unwrap_or_default();
            let percent = if since_start >= last {
                0
            } else if failing_reads
                .iter()
                .any(|range| range.contains(&since_start))
            {
                100
            } else {
                PERCENT_FAILED_READS
            };
            for call in READS {
                standin.fail_at_random(call, random.pick(&FAILED_READS), percent, random.seed());
            }
            if percent == 0 {
                return;
            }
            tokio::time::sleep(READS_DECIDED_EVERY).await;
        }
    }
}

fn failed_reads(standin: &Standin) -> usize {
    let failed = standin.failed_calls().into_iter();
    failed.filter(|call| READS.contains(call)).count()
}

async fn until(moment: SystemTime) {
    let left = moment.duration_since(SystemTime::now());
    tokio::time::sleep(left.unwrap_or_default()).await;
}
