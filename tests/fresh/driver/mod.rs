//! The measurement of freshness: what viewers get after a deploy, compared with what the origin serves.
//!
//! ```text
//!  deploy ─▶ MiniStack: S3 ─▶ notifications ─▶ lambda: the program ─▶ CloudFront's stand-in ─▶ invalidations
//!                 ▲                                                                                │
//!  viewers ─▶ edge with a cache at each POP ◀──────────────────────────────────────────────────────┘
//! ```
//!
//! Each scenario has a random site, random objects and random deploys. Viewers first request every object in every
//! spelling at every POP. After each deploy and the completion of its invalidations they do so again, and no answer can
//! be older than what the origin serves. The edge is strict: where CloudFront's documentation has two readings, a copy is
//! dropped only if both drop it.
//!
//! The owner also changes configurations: the function gets a change of an object under the old configuration, and then
//! others under the new one. In some deploys the calls that read configurations fail at first.
//!
//! Sites of bundlers also have viewers who keep an entry page open over deploys. The files that it names, with a hash of
//! their content in their names, were in the caches before, and must still be found when they are removed from the bucket.
//!
//! Only the edge is a cache. MiniStack routes requests, runs CloudFront Functions and applies error pages.

#![allow(
    dead_code,
    reason = "the command and its small test use different parts"
)]

mod answer;
mod bed;
mod bucket;
mod bundler;
mod configuration;
mod description;
mod distribution_xml;
mod families;
mod function;
mod http;
mod keys;
mod ministack;
mod origin;
mod plan;
mod report;
mod rest;
mod run;
mod sabotage;
mod site;
mod smallest;
mod soak;
mod spellings;
mod targets;
mod viewers;
mod website;

use std::io;
use std::path::PathBuf;
use std::time::Instant;

use bed::Bed;
use ministack::MiniStack;
use plan::Scenario;
use soak::random::Random;

pub use report::Report;
pub use sabotage::Sabotage;

/// How many scenarios with wrong answers are reduced and described.
const MAX_CASES: usize = 3;

/// A run of the measurement.
#[derive(Clone, Debug)]
pub struct Fresh {
    pub seed: u64,
    /// The least number of viewers' requests; the scenario that reaches it is completed.
    pub requests: usize,
    /// Keys of each scenario.
    pub keys: usize,
    /// Deploys of each scenario.
    pub deploys: usize,
    /// The number of the first scenario, which decides its family of sites.
    pub first_scenario: usize,
    /// The program that is built from `src/main.rs`.
    pub program: PathBuf,
    /// MiniStack's program in its virtual environment.
    pub ministack: PathBuf,
    /// The file that the function's log lines are appended to, if any.
    pub log: Option<PathBuf>,
    /// What makes answers wrong on purpose.
    pub sabotage: Option<Sabotage>,
    /// MAX_PATHS of the function; `None` for a random choice.
    pub max_paths: Option<usize>,
    pub shows_progress: bool,
    /// Whether the run ends at the first wrong answer, without its smallest case.
    pub stops_at_finding: bool,
}

impl Fresh {
    /// Runs scenarios until there were enough requests. A scenario ends early if an answer is wrong.
    ///
    /// # Errors
    ///
    /// If the bed cannot work: no MiniStack, no program, or a program that keeps failing.
    pub fn run(&self) -> io::Result<Report> {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(self.run_async())
    }

    async fn run_async(&self) -> io::Result<Report> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        tokio::select! {
            report = self.run_scenarios() => report,
            // Leaves this function, which stops the child processes.
            _ = terminate.recv() => Err(io::Error::other("terminated")),
            _ = interrupt.recv() => Err(io::Error::other("interrupted")),
        }
    }

    async fn run_scenarios(&self) -> io::Result<Report> {
        let started = Instant::now();
        let ministack = MiniStack::start(&self.ministack).await?;
        let bed = Bed {
            ministack: &ministack,
            program: self.program.clone(),
            log: self.log.clone(),
            sabotage: self.sabotage,
        };
        let mut random = Random::new(self.seed);
        let mut report = Report::new(self.seed);
        for number in self.first_scenario.. {
            let mut scenario =
                Scenario::plan(&mut random.fork(), number, (self.keys, self.deploys));
            scenario.max_paths = self.max_paths.unwrap_or(scenario.max_paths);
            // Only the sabotage can then make an answer wrong.
            match self.sabotage {
                None => {}
                Some(Sabotage::Outdated) => scenario.keep_reading(),
                Some(_) => {
                    scenario.keep_reading();
                    scenario.keep_configuration();
                }
            }
            let (figures, finding) = bed.run(&scenario).await.map_err(|error| {
                let family = scenario.site.family;
                io::Error::other(format!("scenario {number} ({family}): {error}"))
            })?;
            report.add(&figures);
            if self.shows_progress {
                println!("{}", report.progress(&scenario, self.requests));
            }
            match finding {
                Some(_) if self.stops_at_finding => break,
                Some(finding) if report.cases.len() < MAX_CASES => {
                    let case = smallest::find(&bed, scenario, finding).await?;
                    report.cases.push(case);
                }
                _ => {}
            }
            if report.figures.requests >= self.requests {
                break;
            }
        }
        report.duration = started.elapsed();
        Ok(report)
    }
}
