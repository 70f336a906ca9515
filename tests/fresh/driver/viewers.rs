//! The viewers: they request targets at all POPs, and every answer is compared with what the origin serves now.

use std::collections::BTreeMap;
use std::io;

use super::answer::Answer;
use super::configuration::Created;
use super::origin::Origins;
use super::soak::random::Random;
use super::targets::Target;
use crate::standin::{Edge, ViewerRequest};

pub const POPS: usize = 3;

/// The viewers of a site.
pub struct Viewers<'a> {
    pub edge: &'a Edge,
    pub origins: &'a Origins,
    /// Targets of other distributions are not requested.
    pub distributions: Vec<Created>,
    pub targets: &'a [Target],
}

/// An answer that is not what the origin serves.
#[derive(Clone, Debug)]
pub struct Stale {
    pub target: Target,
    pub pop: usize,
    pub x_cache: String,
    pub age: String,
    pub answered: Answer,
    pub current: Answer,
}

/// What the origin serves, by distribution id and path.
pub type Current = BTreeMap<(String, String), Answer>;

impl Viewers<'_> {
    /// Requests some random targets, each at a random POP, and ignores the answers.
    pub async fn request_some(&self, random: &mut Random, count: usize) -> io::Result<()> {
        for _ in 0..count {
            let target = &self.targets[random.below(self.targets.len())];
            let pop = random.below(POPS);
            if self.exists(target) {
                self.request(target, pop).await?;
            }
        }
        Ok(())
    }

    /// Requests every target at every POP; returns the stale answers, and what the origin serves.
    pub async fn request_all(&self) -> io::Result<(Vec<Stale>, Current)> {
        let (mut stale, mut current) = (Vec::new(), Current::new());
        for target in self.targets.iter().filter(|target| self.exists(target)) {
            let mut answers = Vec::new();
            for pop in 0..POPS {
                answers.push(self.request(target, pop).await?);
            }
            let distribution = &self.distributions[target.distribution];
            let served = self
                .origins
                .current(&distribution.domain, target.path())
                .await?;
            for (pop, (answered, headers)) in answers.into_iter().enumerate() {
                if answered != served {
                    let value = |name| super::http::header(&headers, name).unwrap_or_default();
                    stale.push(Stale {
                        target: target.clone(),
                        pop,
                        x_cache: value("x-cache").to_owned(),
                        age: value("age").to_owned(),
                        answered,
                        current: served.clone(),
                    });
                }
            }
            let path = (distribution.id.clone(), target.path().to_owned());
            current.insert(path, served);
        }
        Ok((stale, current))
    }

    fn exists(&self, target: &Target) -> bool {
        target.distribution < self.distributions.len()
    }

    async fn request(
        &self,
        target: &Target,
        pop: usize,
    ) -> io::Result<(Answer, Vec<(String, String)>)> {
        let request = ViewerRequest {
            host: &self.distributions[target.distribution].domain,
            target: &target.target,
            accept_encoding: target.accept_encoding,
            pop,
        };
        let response = self.edge.get(request, self.origins).await?;
        let answer = Answer::new(response.status, &response.headers, &response.body);
        Ok((answer, response.headers))
    }
}
