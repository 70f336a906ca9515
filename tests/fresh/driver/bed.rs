//! The bed of a scenario: MiniStack with the site, the stand-in in front of it, the edge, and the function.
//!
//! The stand-in and the edge share a frozen clock. It starts at the real time and only moves ahead, so an event is never
//! older than the function's own clock. CloudFront's calls are not throttled, because the clock stands still between them.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use super::bucket::Bucket;
use super::bundler::Bundler;
use super::configuration::{self, Created};
use super::function::Deployed;
use super::http::Http;
use super::ministack::MiniStack;
use super::origin::Origins;
use super::plan::Scenario;
use super::run::{COMPLETES_AFTER, Figures, Finding, Run};
use super::sabotage::Sabotage;
use super::soak::random::Random;
use super::targets::{Target, targets};
use super::viewers::{POPS, Viewers};
use crate::standin::{Clock, Edge, EdgeOptions, Fault, Matching, Operation, Options, Standin};

/// What a scenario runs with.
pub struct Bed<'a> {
    pub ministack: &'a MiniStack,
    pub program: PathBuf,
    pub log: Option<PathBuf>,
    pub sabotage: Option<Sabotage>,
}

impl Bed<'_> {
    /// Runs a scenario with its own targets.
    pub async fn run(&self, scenario: &Scenario) -> io::Result<(Figures, Option<Finding>)> {
        self.run_with(scenario, &targets(scenario)).await
    }

    /// Runs a scenario until it ends or an answer is wrong.
    pub async fn run_with(
        &self,
        scenario: &Scenario,
        targets: &[Target],
    ) -> io::Result<(Figures, Option<Finding>)> {
        self.ministack.reset().await?;
        let configured = configuration::create(self.ministack, &scenario.site).await?;
        let created = configured.created.clone();
        let clock = Clock::Frozen(Arc::new(Mutex::new(SystemTime::now())));
        let standin = Standin::bind(Options {
            throttle: false,
            completes_after: COMPLETES_AFTER,
            clock: clock.clone(),
            upstream: Some(self.ministack.url.clone()),
            ..Options::default()
        })?;
        let options = EdgeOptions {
            pops: POPS,
            matching: Matching::Strict,
            seed: scenario.seed,
        };
        let edge = Edge::new(options, clock);
        let origins = Origins::new(self.ministack.http.clone());
        for (distribution, created) in scenario.site.distributions.iter().zip(&created) {
            edge.set_distribution(distribution.for_edge(&created.id, &created.domain));
            origins.configure(&created.domain, distribution);
        }
        if scenario.site.is_denied {
            let call = Operation::GetDistributionConfig;
            standin.fail(call, Fault::AccessDenied, u64::MAX);
        }
        if self.sabotage == Some(Sabotage::Outdated) {
            for (path, document) in configured.documents().await? {
                standin.set_document(&path, &document);
            }
        }
        let deployed = self.deployed(scenario, &standin, &created);
        let run = Run {
            scenario,
            sabotage: self.sabotage,
            standin: &standin,
            cloudfront: Http::new(standin.url()),
            viewers: Viewers {
                edge: &edge,
                origins: &origins,
                distributions: created,
                targets,
                pages: scenario.site.bundler.map_or_else(Vec::new, Bundler::pages),
            },
            bucket: Bucket::new(self.ministack),
            deployed,
            configured,
            random: Random::new(scenario.seed),
            passed_on: BTreeMap::new(),
            open: Vec::new(),
            figures: Figures::default(),
        };
        run.run().await
    }

    fn deployed<'a>(
        &self,
        scenario: &Scenario,
        standin: &'a Standin,
        created: &[Created],
    ) -> Deployed<'a> {
        let ids: Vec<&str> = created.iter().map(|created| created.id.as_str()).collect();
        let ids = if scenario.names_distributions {
            ids.join(",")
        } else {
            String::new()
        };
        let max_paths = scenario.max_paths.to_string();
        let mut settings = vec![
            ("MAX_PATHS", max_paths.as_str()),
            ("DISTRIBUTION_ID", ids.as_str()),
        ];
        settings.extend(self.sabotage.and_then(Sabotage::setting));
        Deployed::new(self.program.clone(), self.log.clone(), standin, &settings)
    }
}
