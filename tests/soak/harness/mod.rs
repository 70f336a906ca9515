//! The proof that nothing is lost: deploys on one side, the built program in the middle, CloudFront's rules behind it.
//!
//! ```text
//!  deploys ──▶ envelope ──▶ queue ──▶ mapping ──▶ lambda: the program ──▶ CloudFront's stand-in
//!                             ▲          │                                        │
//!                             └──failed──┴──done──▶ verdict ◀────accepted─────────┘
//! ```
//!
//! Everything but the program is a model in this process, hostile within what AWS allows: messages come twice, late
//! and in no order, CloudFront throttles as it does, refuses half of the calls for a while, and takes some without
//! saying so; the program is killed in mid-batch. `verdict` says what must hold in spite of it.
//!
//! Time is the real one, for the program has no other. What takes minutes in the cloud (visibility timeouts, batching
//! windows) is shortened in [`Pace`]; CloudFront's rate and quotas are not, so there is less time for the same work.
//!
//! A message may be received as often as in the deployed stack before it is dead. There, that is an hour of trouble at
//! the default visibility timeout; here it is two minutes and a half, so CloudFront's bad times are harder to outlast.

#![allow(
    dead_code,
    reason = "neither the soak nor its small test uses all of it"
)]

mod deploys;
mod distribution;
mod envelope;
mod lambda;
mod mapping;
mod queue;
mod random;
mod report;
mod sabotage;
pub mod verdict;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use crate::standin::{Fault, Operation, Options, Standin};
use deploys::Deploys;
use lambda::Function;
use mapping::Mapping;
use queue::Queue;
use random::Random;

pub use report::Report;
pub use sabotage::Sabotage;

const DISTRIBUTION: &str = "E1EXAMPLE1ABC";
const BUCKET: &str = "site";
const DEFAULT_ROOT_OBJECT: &str = "index.html";
const PERCENT_AT_PEAK: u64 = 50;

/// Says when what happens, counted from the beginning.
#[derive(Clone, Debug)]
pub struct Pace {
    /// How long objects are uploaded.
    pub uploads_over: Duration,
    /// How long the messages of the first deploy had waited before.
    pub backlog: Duration,
    /// Within what time S3 tells of a change.
    pub told_within: Duration,
    pub batching_window: Duration,
    pub visibility_timeout: Duration,
    pub max_receives: u32,
    pub function_timeout: Duration,
    /// How long an invalidation takes up quotas.
    pub in_progress_for: Duration,
    /// When half of the CreateInvalidation calls are answered with 503.
    pub peak: Range<Duration>,
    /// When the answer to an accepted CreateInvalidation is lost.
    pub lost_answers: Vec<Duration>,
    /// How many invocations are left in peace before the next is killed.
    pub kill_every: usize,
    /// How long after a call of CloudFront at most.
    pub kill_within: Duration,
    /// Until when poison is sent (what comes later has no time left to die of it), and how much.
    pub poison_until: Duration,
    pub one_in_poison: usize,
    /// When what is still in the queue counts as stuck.
    pub give_up_after: Duration,
}

impl Pace {
    /// Fits a hundred thousand changes and ten minutes.
    pub fn whole() -> Self {
        let seconds = Duration::from_secs;
        Self {
            uploads_over: seconds(240),
            backlog: seconds(20 * 60),
            told_within: seconds(3),
            batching_window: seconds(2),
            visibility_timeout: seconds(15),
            max_receives: 10,
            function_timeout: seconds(15),
            in_progress_for: seconds(14),
            peak: seconds(60)..seconds(140),
            lost_answers: [20, 50, 150, 180, 210, 240].map(seconds).to_vec(),
            kill_every: 15,
            kill_within: Duration::from_millis(300),
            poison_until: seconds(240),
            one_in_poison: 100,
            give_up_after: seconds(560),
        }
    }

    /// Fits two thousand changes and half a minute, for which invalidations complete sooner than they mostly do.
    pub fn small() -> Self {
        let [seconds, milliseconds] = [Duration::from_secs, Duration::from_millis];
        Self {
            uploads_over: seconds(6),
            backlog: seconds(20 * 60),
            told_within: milliseconds(500),
            batching_window: milliseconds(750),
            visibility_timeout: seconds(2),
            max_receives: 10,
            function_timeout: seconds(10),
            in_progress_for: seconds(2),
            peak: seconds(1)..seconds(6),
            lost_answers: vec![milliseconds(500)],
            kill_every: 1_000,
            kill_within: milliseconds(100),
            poison_until: seconds(1),
            one_in_poison: 25,
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
    /// The program that is built of `src/main.rs`.
    pub program: PathBuf,
    /// Whether the function is told its distribution, or finds it by the bucket.
    pub names_distribution: bool,
    /// The function's own setting; with few paths it joins many to wildcards.
    pub max_paths: usize,
    /// Where the function's log lines are appended; nowhere by default.
    pub log: Option<PathBuf>,
    /// What is done to make the soak fail.
    pub sabotage: Option<Sabotage>,
}

impl Soak {
    /// Runs to the end and returns what came of it.
    ///
    /// # Errors
    ///
    /// When the harness itself cannot work: no port, no program, a program that crashes again and again.
    pub fn run(&self) -> io::Result<Report> {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(self.go_on())
    }

    async fn go_on(&self) -> io::Result<Report> {
        let mut random = Random::new(self.seed);
        let began = SystemTime::now();
        let deploys = Deploys::plan(&mut random.apart(), self.changes, &self.pace, began)?;
        let standin = Standin::bind(self.options())?;
        let queue = RefCell::new(self.queue(&deploys, random.apart()));
        let mapping = Mapping {
            pace: &self.pace,
            queue: &queue,
            notices: &deploys.notices,
            function: &self.function(&standin),
            standin: &standin,
            sabotage: self.sabotage,
            give_up_at: began + self.pace.give_up_after,
            random: RefCell::new(random.apart()),
            tally: RefCell::default(),
            until_kill: Cell::new(1),
        };
        tokio::select! {
            drained = mapping.run() => drained?,
            () = self.weather(&standin, random.apart(), began) => {}
        }
        let tally = mapping.tally.take();
        let took = began.elapsed().unwrap_or_default();
        let accepted = standin.accepted();
        let queue = queue.into_inner();
        let verdict = verdict::judge(queue.messages(), &deploys.notices, &accepted, began);
        let received = standin.invalidations();
        Ok(Report::of(
            self, &deploys, &queue, &tally, &received, verdict, took,
        ))
    }

    fn queue(&self, deploys: &Deploys, random: Random) -> Queue {
        let pace = &self.pace;
        let mut queue = Queue::new(pace.visibility_timeout, pace.max_receives, random);
        for arrival in &deploys.arrivals {
            queue.send(*arrival);
        }
        queue
    }

    fn function(&self, standin: &Standin) -> Function {
        let named = self.names_distribution;
        let url = standin.url();
        let max_paths = self.max_paths.to_string();
        let variables = [
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "secret-of-the-function"),
            ("AWS_SESSION_TOKEN", "token-of-the-function"),
            ("AWS_ENDPOINT_URL", &url),
            ("MAX_PATHS", &max_paths),
            ("DISTRIBUTION_ID", ["", DISTRIBUTION][usize::from(named)]),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Function {
            program: self.program.clone(),
            variables: BTreeMap::from(variables),
            timeout: self.pace.function_timeout,
            log: self.log.clone(),
        }
    }

    fn options(&self) -> Options {
        let options = Options {
            completes_after: self.pace.in_progress_for,
            ..Options::default()
        };
        options
            .with_distribution(DISTRIBUTION)
            .with_document("distribution", &distribution::list())
            .with_document(
                &format!("distribution/{DISTRIBUTION}/config"),
                &distribution::config(),
            )
    }

    /// Makes CloudFront's bad times, and never ends.
    async fn weather(&self, standin: &Standin, mut random: Random, began: SystemTime) {
        let pace = &self.pace;
        let seed = random.seed();
        let (call, fault) = (Operation::CreateInvalidation, Fault::ServiceUnavailable);
        let refuse = |percent| standin.fail_at_random(call, fault, percent, seed);
        let peak = async {
            until(began + pace.peak.start).await;
            refuse(PERCENT_AT_PEAK);
            // A short peak with few calls shall not pass unnoticed.
            standin.fail(call, fault, 1);
            until(began + pace.peak.end).await;
            refuse(0);
        };
        let losses = async {
            for after in &pace.lost_answers {
                until(began + *after).await;
                standin.fail(call, Fault::LostResponse, 1);
            }
        };
        tokio::join!(peak, losses);
        std::future::pending().await
    }
}

async fn until(moment: SystemTime) {
    let left = moment.duration_since(SystemTime::now());
    tokio::time::sleep(left.unwrap_or_default()).await;
}
