//! Runs a scenario: warm every POP, change the bucket, deliver the notifications, wait for completion, look again.
//!
//! Viewers also request something between two changes and before completion, and a pipeline job can run between two
//! changes. After completion the clock moves 61 s further, so that errors expire.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Duration;

use axum::http::Method;
use serde_json::json;

use super::bucket::{Bucket, notification};
use super::configuration::Configured;
use super::function::Deployed;
use super::http::Http;
use super::plan::{Change, Delivery, Deploy, Scenario};
use super::sabotage::Sabotage;
use super::site::Site;
use super::soak::REPLICA;
use super::soak::deploys::Notification;
use super::soak::random::Random;
use super::viewers::{Current, OpenPage, Stale, Viewers};
use crate::standin::{AcceptedInvalidation, Standin};

pub(super) const COMPLETES_AFTER: Duration = Duration::from_secs(14);
const POLL_INTERVAL: Duration = Duration::from_secs(5);
const ERRORS_EXPIRE_AFTER: Duration = Duration::from_secs(61);
const MAX_TIME_BETWEEN_CHANGES: Duration = Duration::from_secs(2);
/// How many viewers request something between two changes, and between an invalidation and its completion.
const VIEWERS_MEANWHILE: usize = 10;

const ONE_IN_NOTIFIED_TWICE: usize = 10;
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
    pub configuration_changes: usize,
    /// How many calls that read configurations failed, without denials.
    pub failed_reads: usize,
    /// Requests of viewers with old entry pages for the files that these name.
    pub file_requests: usize,
    /// How many of these files were not found.
    pub lost: usize,
    pub stale: usize,
    pub stale_targets: BTreeSet<String>,
}

/// The wrong answers after a deploy, and what led to them.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The index of the deploy in the scenario.
    pub deploy: usize,
    pub stale: Vec<Stale>,
    /// The answers in place of files that old entry pages name.
    pub lost: Vec<Stale>,
    pub events: Vec<String>,
    pub invalidations: Vec<AcceptedInvalidation>,
}

/// A running scenario.
pub(super) struct Run<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) sabotage: Option<Sabotage>,
    pub(super) standin: &'a Standin,
    pub(super) cloudfront: Http,
    pub(super) viewers: Viewers<'a>,
    pub(super) bucket: Bucket<'a>,
    pub(super) deployed: Deployed<'a>,
    pub(super) configured: Configured<'a>,
    pub(super) random: Random,
    /// How many invalidations the edge has got, by distribution.
    pub(super) passed_on: BTreeMap<String, usize>,
    /// The entry pages that viewers have opened, with files that nothing but an invalidation has dropped since.
    pub(super) open: Vec<OpenPage>,
    pub(super) figures: Figures,
}

impl Run<'_> {
    pub(super) async fn run(mut self) -> io::Result<(Figures, Option<Finding>)> {
        for change in &self.scenario.first {
            self.bucket.apply(change).await?;
            if self.scenario.site.is_replicated() {
                self.bucket.replicate(change.key()).await?;
            }
        }
        let (stale, mut before) = self.viewers.request_all().await?;
        if let Some(stale) = stale.first() {
            return Err(io::Error::other(format!(
                "stale before any deploy: {stale:?}"
            )));
        }
        self.open = self.viewers.open_pages().await?;
        let mut finding = None;
        for (index, deploy) in self.scenario.deploys.iter().enumerate() {
            let accepted_before = self.standin.accepted().len();
            if let Some(site) = &deploy.reconfigured {
                let (stale, current) = self.reconfigure(site).await?;
                before = current;
                self.open = self.viewers.open_pages().await?;
                if !stale.is_empty() {
                    let new = self.standin.accepted().len() - accepted_before;
                    finding = Some(self.finding(index, stale, &[], new));
                    break;
                }
            }
            let notifications = self.deploy(deploy).await?;
            self.wait_for_completion().await?;
            let (stale, current) = self.viewers.request_all().await?;
            self.count(deploy, &before, &current);
            before = current;
            let lost = if stale.is_empty() {
                self.request_files(index).await?
            } else {
                Vec::new()
            };
            if !stale.is_empty() || !lost.is_empty() {
                let new = self.standin.accepted().len() - accepted_before;
                let finding_of_deploy = self.finding(index, stale, &notifications, new);
                finding = Some(Finding {
                    lost,
                    ..finding_of_deploy
                });
                break;
            }
        }
        self.figures.requests = self.viewers.edge.counters().requests as usize;
        self.figures.origin_requests = self.viewers.origins.requests();
        let accepted = self.standin.accepted();
        self.figures.paths = accepted.iter().map(|accepted| accepted.paths.len()).sum();
        self.figures.calls = self.standin.invalidations().len();
        if !self.scenario.site.is_denied {
            self.figures.failed_reads = self.standin.failed_calls().len();
        }
        Ok((self.figures, finding))
    }

    /// Requests the files of open pages, which were in the caches before the deploy, and opens the current pages. Returns
    /// the answers that are not the files.
    async fn request_files(&mut self, index: usize) -> io::Result<Vec<Stale>> {
        let deploy = &self.scenario.deploys[index];
        let site = self.scenario.reconfigured(index);
        let site = site.unwrap_or(&self.scenario.site);
        let distributions = &site.distributions;
        let drops_everything: Vec<bool> = distributions
            .iter()
            .map(|distribution| {
                let mut keys = deploy.changes.iter().map(Change::key);
                let deletes = site.bundler.is_some_and(|bundler| bundler.deletes);
                let is_dropped = deploy.job_after.is_some()
                    || keys.any(|key| distribution.is_kept_error_page(key));
                deletes && is_dropped
            })
            .collect();
        self.open
            .retain(|page| !drops_everything[page.distribution]);
        let (requests, lost) = self.viewers.request_files(&self.open).await?;
        self.figures.file_requests += requests;
        self.figures.lost += lost.len();
        self.open.extend(self.viewers.open_pages().await?);
        Ok(lost)
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
        if let Some(failing) = deploy.failing_reads {
            self.standin
                .fail(failing.operation, failing.fault, failing.calls);
        }
        self.deliver(&mut notifications, deploy.delivery).await?;
        if self.scenario.site.is_replicated() {
            let replicated = self.replicate(deploy).await?;
            notifications.extend(replicated);
        }
        if deploy.job_after == Some(deploy.changes.len()) {
            self.run_job().await?;
        }
        Ok(notifications)
    }

    async fn deliver(
        &mut self,
        notifications: &mut Vec<Notification>,
        delivery: Delivery,
    ) -> io::Result<()> {
        self.disorder(notifications);
        match delivery {
            Delivery::Direct => self.deployed.deliver_directly(notifications).await?,
            Delivery::Queue => {
                let random = self.random.fork();
                self.deployed
                    .deliver_by_queue(notifications, random)
                    .await?;
            }
            Delivery::JobOnly => {}
        }
        self.pass_on();
        Ok(())
    }

    /// Lets viewers get the old copies of the replica, because the bucket fails, and then replicates the changes.
    async fn replicate(&mut self, deploy: &Deploy) -> io::Result<Vec<Notification>> {
        self.wait_for_completion().await?;
        self.viewers.origins.set_bucket_fails(true);
        // The answers are older than the bucket's objects.
        self.viewers.request_all().await?;
        let mut notifications = Vec::new();
        for change in &deploy.changes {
            self.bucket.replicate(change.key()).await?;
            let (now, delivery) = (self.standin.now(), deploy.delivery);
            let notification = notification(&mut self.random, change, delivery, now);
            notifications.push(Notification {
                bucket: REPLICA,
                ..notification
            });
            self.standin
                .advance(self.random.up_to(MAX_TIME_BETWEEN_CHANGES));
        }
        self.viewers.origins.set_bucket_fails(false);
        self.deliver(&mut notifications, deploy.delivery).await?;
        Ok(notifications)
    }

    /// Changes the configurations after the function has read them, as the owner does: with an invalidation of everything.
    /// Returns the stale answers, and what the origin serves then.
    async fn reconfigure(&mut self, site: &Site) -> io::Result<(Vec<Stale>, Current)> {
        let scenario = self.scenario;
        if let Some(key) = scenario.keys.first() {
            self.deploy(&Deploy {
                reconfigured: None,
                changes: vec![Change::Put(key.clone())],
                delivery: Delivery::Direct,
                failing_reads: None,
                job_after: None,
            })
            .await?;
            self.wait_for_completion().await?;
        }
        let different = self.configured.change(site).await?;
        self.viewers.distributions = self.configured.created.clone();
        for index in different {
            let (created, distribution) =
                (&self.configured.created[index], &site.distributions[index]);
            let edge = self.viewers.edge;
            edge.set_distribution(distribution.for_edge(&created.id, &created.domain));
            edge.delete_copies(&created.id);
            self.viewers
                .origins
                .configure(&created.domain, distribution);
        }
        self.figures.configuration_changes += 1;
        let answers = self.viewers.request_all().await?;
        self.viewers.edge.drain_dropped();
        Ok(answers)
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
        for created in &self.viewers.distributions {
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
            lost: Vec::new(),
            events: notifications
                .iter()
                .map(super::soak::envelope::body)
                .collect(),
            invalidations: invalidations.split_off(invalidations.len() - new),
        }
    }
}
