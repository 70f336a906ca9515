//! Runs a scenario: warm every POP, change the bucket, deliver the notifications, wait for completion, look again.
//!
//! Time is the stand-in's frozen clock, which the edge shares. It starts at the real time and only moves ahead, so an
//! event is never older than the function's own clock. After completion it moves 61 s further, so that errors expire.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::http::Method;
use serde_json::json;

use super::bucket::{Bucket, notification};
use super::configuration::{self, Created};
use super::function::Deployed;
use super::http::Http;
use super::ministack::MiniStack;
use super::origin::Origins;
use super::plan::{Change, Delivery, Deploy, Scenario};
use super::sabotage::Sabotage;
use super::soak::deploys::Notification;
use super::soak::random::Random;
use super::targets::{Target, targets};
use super::viewers::{Current, POPS, Stale, Viewers};
use crate::standin::{AcceptedInvalidation, Clock, Edge, EdgeOptions, Matching, Options, Standin};

const COMPLETES_AFTER: Duration = Duration::from_secs(14);
const POLL_INTERVAL: Duration = Duration::from_secs(5);
const ERRORS_EXPIRE_AFTER: Duration = Duration::from_secs(61);
const MAX_TIME_BETWEEN_CHANGES: Duration = Duration::from_secs(2);
/// How many viewers request something between two changes, and between an invalidation and its completion.
const VIEWERS_MEANWHILE: usize = 10;

const ONE_IN_NOTIFIED_TWICE: usize = 10;

/// What a scenario runs with.
pub struct Bed<'a> {
    pub ministack: &'a MiniStack,
    pub program: PathBuf,
    pub log: Option<PathBuf>,
    pub sabotage: Option<Sabotage>,
}

/// What a scenario resulted in.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    pub requests: usize,
    pub origin_requests: usize,
    pub dropped: usize,
    /// Dropped copies whose object had not changed, after deploys without a pipeline job.
    pub evicted: usize,
    pub paths: usize,
    pub calls: usize,
    pub changes: usize,
    pub deploys: usize,
    pub stale: usize,
    pub stale_targets: BTreeSet<String>,
}

/// The stale answers after a deploy, and what led to them.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The index of the deploy in the scenario.
    pub deploy: usize,
    pub stale: Vec<Stale>,
    pub events: Vec<String>,
    pub invalidations: Vec<AcceptedInvalidation>,
}

/// A running scenario.
struct Run<'a> {
    scenario: &'a Scenario,
    sabotage: Option<Sabotage>,
    standin: &'a Standin,
    cloudfront: Http,
    viewers: Viewers<'a>,
    bucket: Bucket<'a>,
    deployed: Deployed<'a>,
    random: Random,
    /// How many invalidations the edge has got, by distribution.
    passed_on: BTreeMap<String, usize>,
    figures: Figures,
}

impl Bed<'_> {
    /// Runs a scenario with its own targets.
    pub async fn run(&self, scenario: &Scenario) -> io::Result<(Figures, Option<Finding>)> {
        self.run_with(scenario, &targets(scenario)).await
    }

    /// Runs a scenario until it ends or an answer is stale.
    pub async fn run_with(
        &self,
        scenario: &Scenario,
        targets: &[Target],
    ) -> io::Result<(Figures, Option<Finding>)> {
        self.ministack.reset().await?;
        let created = configuration::create(self.ministack, &scenario.site).await?;
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
        let origins = origins(self.ministack, scenario, &created);
        for (distribution, created) in scenario.site.distributions.iter().zip(&created) {
            edge.set_distribution(distribution.for_edge(&created.id, &created.domain));
        }
        let run = Run {
            scenario,
            sabotage: self.sabotage,
            standin: &standin,
            cloudfront: Http::new(standin.url()),
            viewers: Viewers {
                edge: &edge,
                origins: &origins,
                distributions: &created,
                targets,
            },
            bucket: Bucket::new(self.ministack),
            deployed: self.deployed(scenario, &standin, &created),
            random: Random::new(scenario.seed),
            passed_on: BTreeMap::new(),
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
        let settings = [
            ("MAX_PATHS", max_paths.as_str()),
            ("DISTRIBUTION_ID", ids.as_str()),
        ];
        Deployed::new(self.program.clone(), self.log.clone(), standin, &settings)
    }
}

fn origins(ministack: &MiniStack, scenario: &Scenario, created: &[Created]) -> Origins {
    let distributions = scenario.site.distributions.iter().zip(created);
    let by_domain =
        distributions.map(|(distribution, created)| (created.domain.clone(), distribution.clone()));
    Origins::new(ministack.http.clone(), by_domain.collect())
}

impl Run<'_> {
    async fn run(mut self) -> io::Result<(Figures, Option<Finding>)> {
        for key in &self.scenario.first {
            self.bucket.apply(&Change::Put(key.clone())).await?;
        }
        let (stale, mut before) = self.viewers.request_all().await?;
        if let Some(stale) = stale.first() {
            return Err(io::Error::other(format!(
                "stale before any deploy: {stale:?}"
            )));
        }
        let mut finding = None;
        for (index, deploy) in self.scenario.deploys.iter().enumerate() {
            let accepted_before = self.standin.accepted().len();
            let notifications = self.deploy(deploy).await?;
            self.wait_for_completion().await?;
            let (stale, current) = self.viewers.request_all().await?;
            self.count(deploy, &before, &current);
            before = current;
            if !stale.is_empty() {
                let accepted = self.standin.accepted();
                let new = accepted.len() - accepted_before;
                finding = Some(self.finding(index, stale, &notifications, new));
                break;
            }
        }
        self.figures.requests = self.viewers.edge.counters().requests as usize;
        self.figures.origin_requests = self.viewers.origins.requests();
        let accepted = self.standin.accepted();
        self.figures.paths = accepted.iter().map(|accepted| accepted.paths.len()).sum();
        self.figures.calls = self.standin.invalidations().len();
        Ok((self.figures, finding))
    }

    /// Changes the bucket, delivers the notifications, and runs the pipeline job if there is one.
    async fn deploy(&mut self, deploy: &Deploy) -> io::Result<Vec<Notification>> {
        let mut notifications = Vec::new();
        for (index, change) in deploy.changes.iter().enumerate() {
            if deploy.job_after == Some(index) {
                self.run_job().await?;
            }
            self.bucket.apply(change).await?;
            self.viewers.origins.forget();
            let (now, delivery) = (self.standin.now(), deploy.delivery);
            notifications.push(notification(&mut self.random, change, delivery, now));
            let random = &mut self.random;
            self.viewers.request_some(random, VIEWERS_MEANWHILE).await?;
            self.standin
                .advance(self.random.up_to(MAX_TIME_BETWEEN_CHANGES));
        }
        self.disorder(&mut notifications);
        match deploy.delivery {
            Delivery::Direct => self.deployed.deliver_directly(&notifications).await?,
            Delivery::Queue => {
                let random = self.random.fork();
                self.deployed
                    .deliver_by_queue(&notifications, random)
                    .await?;
            }
            Delivery::JobOnly => {}
        }
        if deploy.job_after == Some(deploy.changes.len()) {
            self.run_job().await?;
        }
        self.pass_on();
        Ok(notifications)
    }

    /// Repeats some notifications and changes their order: S3 guarantees neither.
    fn disorder(&mut self, notifications: &mut Vec<Notification>) {
        for index in 0..notifications.len() {
            if self.random.one_in(ONE_IN_NOTIFIED_TWICE) {
                notifications.push(notifications[index].clone());
            }
        }
        self.random.shuffle(notifications);
    }

    async fn run_job(&mut self) -> io::Result<()> {
        let created = self.viewers.distributions.iter();
        let ids: Vec<&str> = created.map(|created| created.id.as_str()).collect();
        let parameters = json!({"distribution": ids, "paths": ["/*"]});
        self.deployed.run_job(&parameters.to_string()).await?;
        self.pass_on();
        Ok(())
    }

    /// Passes the invalidations that CloudFront accepted on to the edge.
    fn pass_on(&mut self) {
        let mut numbers: BTreeMap<String, usize> = BTreeMap::new();
        for accepted in self.standin.accepted() {
            let number = numbers.entry(accepted.distribution.clone()).or_default();
            *number += 1;
            let passed_on = self
                .passed_on
                .entry(accepted.distribution.clone())
                .or_default();
            if *number <= *passed_on {
                continue;
            }
            *passed_on = *number;
            let (paths, duration) = match self.sabotage {
                None => (accepted.paths.clone(), COMPLETES_AFTER),
                Some(sabotage) => {
                    let duration = sabotage.duration(COMPLETES_AFTER);
                    (sabotage.paths(&accepted, *number), duration)
                }
            };
            let (distribution, created) = (&accepted.distribution, accepted.created);
            let (id, completed) = (format!("I{number}"), created + duration);
            self.viewers
                .edge
                .invalidate(distribution, &id, created, completed, &paths);
        }
    }

    /// Advances the clock until CloudFront reports completion, with some viewers on the way, and then past the time to
    /// live of errors.
    async fn wait_for_completion(&mut self) -> io::Result<()> {
        let mut is_completed = false;
        while !is_completed {
            self.standin.advance(POLL_INTERVAL);
            let random = &mut self.random;
            self.viewers.request_some(random, VIEWERS_MEANWHILE).await?;
            is_completed = self.is_completed().await?;
        }
        self.standin.advance(ERRORS_EXPIRE_AFTER);
        Ok(())
    }

    /// Returns whether CloudFront reports the newest invalidation of each distribution as completed.
    async fn is_completed(&self) -> io::Result<bool> {
        let received = self.standin.invalidations();
        for created in self.viewers.distributions {
            let of_distribution = received
                .iter()
                .filter(|received| received.distribution == created.id);
            let mut ids = of_distribution.filter_map(|received| received.outcome.as_ref().ok());
            let Some(id) = ids.next_back() else {
                continue;
            };
            let target = format!("/2020-05-31/distribution/{}/invalidation/{id}", created.id);
            let response = self
                .cloudfront
                .send_ok(Method::GET, &target, &[], "")
                .await?;
            let document = String::from_utf8_lossy(&response.body);
            if !document.contains("<Status>Completed</Status>") {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn count(&mut self, deploy: &Deploy, before: &Current, current: &Current) {
        let dropped = self.viewers.edge.drain_dropped();
        let is_unchanged = |distribution: &str, target: &str| {
            let path = target.split('?').next().unwrap_or_default();
            let key = (distribution.to_owned(), path.to_owned());
            before.get(&key) == current.get(&key)
        };
        let unchanged = dropped.iter();
        let unchanged = unchanged.filter(|copy| is_unchanged(&copy.distribution, &copy.target));
        // A job's `/*` drops everything because the pipeline requests it.
        if deploy.job_after.is_none() {
            self.figures.evicted += unchanged.count();
        }
        self.figures.dropped += dropped.len();
        self.figures.changes += deploy.changes.len();
        self.figures.deploys += 1;
    }

    fn finding(
        &mut self,
        deploy: usize,
        stale: Vec<Stale>,
        notifications: &[Notification],
        new: usize,
    ) -> Finding {
        self.figures.stale = stale.len();
        let targets = stale.iter().map(|stale| stale.target.target.clone());
        self.figures.stale_targets = targets.collect();
        let mut invalidations = self.standin.accepted();
        invalidations.sort_by_key(|accepted| accepted.created);
        Finding {
            deploy,
            stale,
            events: notifications
                .iter()
                .map(super::soak::envelope::body)
                .collect(),
            invalidations: invalidations.split_off(invalidations.len() - new),
        }
    }
}
