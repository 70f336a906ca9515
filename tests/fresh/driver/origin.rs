//! What is behind the edge: MiniStack's viewer side, which does not cache, or a model of what MiniStack does not serve.
//!
//! S3 decodes a plus to a space in the path of a request. MiniStack does not, so a plus is replaced on the way to it.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::http::Method;

use super::answer::Answer;
use super::http::Http;
use super::rest;
use super::site::{Distribution, Endpoint};
use super::soak::{BUCKET, REPLICA};
use super::website;
use crate::standin::{Origin, OriginResponse};

/// The origins of a site's distributions.
pub struct Origins {
    ministack: Http,
    /// The distributions by their domain names.
    distributions: Mutex<BTreeMap<String, Distribution>>,
    /// Whether the bucket fails, so that CloudFront requests objects from its replica.
    bucket_fails: AtomicBool,
    /// What the origins returned since the last call of [`Origins::forget`], by domain name and path.
    fetched: Mutex<BTreeMap<(String, String), Answer>>,
    requests: AtomicUsize,
}

impl Origins {
    pub fn new(ministack: Http) -> Self {
        Self {
            ministack,
            distributions: Mutex::default(),
            bucket_fails: AtomicBool::new(false),
            fetched: Mutex::default(),
            requests: AtomicUsize::new(0),
        }
    }

    /// Adds or replaces the configuration of a distribution.
    pub fn configure(&self, domain: &str, distribution: &Distribution) {
        let distributions = self.distributions.lock();
        let mut distributions = distributions.unwrap_or_else(PoisonError::into_inner);
        distributions.insert(domain.to_owned(), distribution.clone());
        self.forget();
    }

    /// Sets whether the bucket fails.
    pub fn set_bucket_fails(&self, fails: bool) {
        self.bucket_fails.store(fails, Ordering::Relaxed);
        self.forget();
    }

    fn distribution(&self, domain: &str) -> Option<Distribution> {
        let distributions = self.distributions.lock();
        let distributions = distributions.unwrap_or_else(PoisonError::into_inner);
        distributions.get(domain).cloned()
    }

    /// Returns how many requests reached an origin.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    /// Forgets what was fetched, because the objects change.
    pub fn forget(&self) {
        self.fetched().clear();
    }

    /// Returns what the origin serves now, from a request since the objects changed, or from a new one.
    pub async fn current(&self, host: &str, path: &str) -> io::Result<Answer> {
        let known = (host.to_owned(), path.to_owned());
        if let Some(answer) = self.fetched().get(&known) {
            return Ok(answer.clone());
        }
        let response = self.request(host, path).await?;
        let answer = Answer::new(response.status, &response.headers, &response.body);
        self.fetched().insert(known, answer.clone());
        Ok(answer)
    }

    async fn request(&self, host: &str, target: &str) -> io::Result<OriginResponse> {
        let target = match target.split_once('?') {
            Some((path, query)) => format!("{}?{query}", path.replace('+', "%20")),
            None => target.replace('+', "%20"),
        };
        match self.distribution(host) {
            Some(distribution) if distribution.endpoint == Endpoint::Website => {
                website::fetch(&self.ministack, &distribution, &target).await
            }
            Some(distribution) if distribution.is_modelled() => {
                let bucket_fails = self.bucket_fails.load(Ordering::Relaxed);
                let bucket = if bucket_fails { REPLICA } else { BUCKET };
                rest::fetch(&self.ministack, bucket, &distribution, &target).await
            }
            _ => self.request_ministack(host, &target).await,
        }
    }

    async fn request_ministack(&self, host: &str, target: &str) -> io::Result<OriginResponse> {
        let headers = [("host", host)];
        let response = self
            .ministack
            .send(Method::GET, target, &headers, "")
            .await?;
        if response.status >= 500 {
            let body = String::from_utf8_lossy(&response.body);
            return Err(io::Error::other(format!("{host}{target}: {body}")));
        }
        Ok(OriginResponse {
            status: response.status,
            headers: response.headers,
            body: response.body,
        })
    }

    fn fetched(&self) -> MutexGuard<'_, BTreeMap<(String, String), Answer>> {
        self.fetched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Origin for Origins {
    async fn fetch(&self, host: &str, target: &str) -> io::Result<OriginResponse> {
        let response = self.request(host, target).await?;
        self.requests.fetch_add(1, Ordering::Relaxed);
        let path = target.split('?').next().unwrap_or_default();
        let answer = Answer::new(response.status, &response.headers, &response.body);
        let key = (host.to_owned(), path.to_owned());
        self.fetched().insert(key, answer);
        Ok(response)
    }
}
