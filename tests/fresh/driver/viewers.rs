//! The viewers: they request targets at all POPs, and every answer is compared with what the origin serves now.

use std::collections::BTreeMap;
use std::io;

use super::answer::Answer;
use super::bundler::{is_certainly_immutable, is_immutable_content, named_files};
use super::configuration::Created;
use super::origin::Origins;
use super::soak::random::Random;
use super::targets::Target;
use crate::standin::{Edge, ViewerRequest, ViewerResponse};

pub const POPS: usize = 3;

/// The viewers of a site.
pub struct Viewers<'a> {
    pub edge: &'a Edge,
    pub origins: &'a Origins,
    /// Targets of other distributions are not requested.
    pub distributions: Vec<Created>,
    pub targets: &'a [Target],
    /// The paths of entry pages, which name files with a hash in their names.
    pub pages: Vec<String>,
}

/// An entry page that a viewer has opened and does not load again.
#[derive(Clone, Debug)]
pub struct OpenPage {
    pub distribution: usize,
    pop: usize,
    /// The files that the page names and whose names certainly contain a hash, as the viewer got them.
    files: Vec<(Target, Answer)>,
}

/// An answer that is neither what the origin serves nor a file of which there is one version.
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
        if !self.pages.is_empty() {
            let page = &self.pages[random.below(self.pages.len())];
            let distribution = random.below(self.distributions.len());
            self.open(distribution, page, random.below(POPS)).await?;
        }
        Ok(())
    }

    /// Opens every entry page at every POP.
    pub async fn open_pages(&self) -> io::Result<Vec<OpenPage>> {
        let mut open = Vec::new();
        for distribution in 0..self.distributions.len() {
            for page in &self.pages {
                for pop in 0..POPS {
                    open.push(self.open(distribution, page, pop).await?);
                }
            }
        }
        Ok(open)
    }

    /// Requests an entry page and then the files that it names.
    async fn open(&self, distribution: usize, page: &str, pop: usize) -> io::Result<OpenPage> {
        let target = |path: &str| Target {
            distribution,
            target: path.to_owned(),
            accept_encoding: "",
        };
        let (_, response) = self.request(&target(page), pop).await?;
        let mut files = Vec::new();
        for path in named_files(&response.body) {
            let target = target(&path);
            let (answer, response) = self.request(&target, pop).await?;
            let is_found = is_immutable_content(&response.body, &path);
            if is_found && is_certainly_immutable(&path) {
                files.push((target, answer));
            }
        }
        Ok(OpenPage {
            distribution,
            pop,
            files,
        })
    }

    /// Requests the files of open pages again. Returns how many requests that were, and the answers that are not what the
    /// viewer of the page got before.
    pub async fn request_files(&self, pages: &[OpenPage]) -> io::Result<(usize, Vec<Stale>)> {
        let (mut requests, mut lost) = (0, Vec::new());
        for page in pages {
            for (target, expected) in &page.files {
                requests += 1;
                let (answered, response) = self.request(target, page.pop).await?;
                if answered != *expected {
                    lost.push(Stale::new(target, page.pop, answered, &response, expected));
                }
            }
        }
        Ok((requests, lost))
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
            for (pop, (answered, response)) in answers.into_iter().enumerate() {
                if answered != served && !is_immutable_content(&response.body, target.path()) {
                    stale.push(Stale::new(target, pop, answered, &response, &served));
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

    async fn request(&self, target: &Target, pop: usize) -> io::Result<(Answer, ViewerResponse)> {
        let request = ViewerRequest {
            host: &self.distributions[target.distribution].domain,
            target: &target.target,
            accept_encoding: target.accept_encoding,
            pop,
        };
        let response = self.edge.get(request, self.origins).await?;
        let answer = Answer::new(response.status, &response.headers, &response.body);
        Ok((answer, response))
    }
}

impl Stale {
    fn new(
        target: &Target,
        pop: usize,
        answered: Answer,
        response: &ViewerResponse,
        current: &Answer,
    ) -> Self {
        let value = |name| response.header(name).unwrap_or_default().to_owned();
        Self {
            target: target.clone(),
            pop,
            x_cache: value("x-cache"),
            age: value("age"),
            answered,
            current: current.clone(),
        }
    }
}
