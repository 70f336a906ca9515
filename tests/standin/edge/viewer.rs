//! Serves viewers over HTTP.
//!
//! A request is a viewer's if it arrives at the port of a POP, or if its `Host` is the domain name or an alias of a
//! distribution. A viewer selects a POP by the address that it connects to: here by the POP's port. With
//! `<label>.<POP>.cloudfront.net` as `Host`, which the real CloudFront resolves to that POP, one port is enough. A miss goes
//! to the site that a test has set, or to the upstream, which runs functions and reads the bucket. The upstream's API
//! also provides the distribution's configuration.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderName, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::configuration::{self, Summary};
use super::received::{ReceivedViewerRequest, ReceivedViewerRequests};
use super::site::{SiteOrigin, Sites};
use super::{
    Edge, EdgeDistribution, Origin, OriginResponse, Refusal, ViewerRequest, ViewerResponse,
};
use crate::standin::s3::Buckets;
use crate::standin::upstream::Upstream;

/// How long a distribution's configuration is used before it is read again.
const CONFIGURATION_AGE: Duration = Duration::from_secs(5);

const DOMAIN: &str = ".cloudfront.net";

/// MiniStack requires an existing access key, but no correct signature.
const AUTHORIZATION: &str = "AWS4-HMAC-SHA256 \
     Credential=test/20260101/us-east-1/cloudfront/aws4_request, SignedHeaders=host, Signature=00";

/// The edge behind a port.
pub(in crate::standin) struct Viewers {
    edge: Arc<Edge>,
    sites: Sites,
    received: ReceivedViewerRequests,
    /// When the configuration of each host was read.
    read: Mutex<HashMap<String, Instant>>,
}

impl Viewers {
    pub(in crate::standin) fn new(
        edge: Arc<Edge>,
        buckets: Buckets,
        received: ReceivedViewerRequests,
    ) -> Self {
        Self {
            edge,
            sites: Sites::new(buckets),
            received,
            read: Mutex::default(),
        }
    }

    /// Adds or replaces a site in this process; its copies stay.
    pub(in crate::standin) fn set_site(&self, site: SiteOrigin) {
        self.edge.set_distribution(site.distribution.clone());
        self.sites.set(site);
    }

    /// Replaces the response of a site to a path; `None` restores the one of its server.
    pub(in crate::standin) fn set_response(
        &self,
        distribution: &str,
        path: &str,
        response: Option<OriginResponse>,
    ) {
        self.sites.set_response(distribution, path, response);
    }

    /// Responds to a viewer; `None` if the request is for an API.
    pub(in crate::standin) async fn respond(
        &self,
        head: &Parts,
        pop: Option<usize>,
        upstream: Option<&Upstream>,
    ) -> Option<Response> {
        let sent = head.headers.get(header::HOST);
        let sent = sent.and_then(|sent| sent.to_str().ok()).unwrap_or_default();
        let sent = sent.split(':').next()?.to_ascii_lowercase();
        if pop.is_none() && is_api(&sent) {
            return None;
        }
        let (host, pop_name) = split_host(&sent);
        let configured = match upstream {
            Some(upstream) => self.read_configuration(&host, upstream).await,
            None => Ok(()),
        };
        let has_host = configured.is_err() || self.edge.has_host(&host);
        if !has_host && pop.is_none() && !sent.ends_with(DOMAIN) {
            return None;
        }
        let named = || pop_name.map_or(Some(0), |name| self.edge.pop(name));
        let pop = pop.or_else(named);
        self.received.push(ReceivedViewerRequest::new(head, pop));
        let response = match configured {
            Ok(()) => self.get(&host, pop, head, upstream).await,
            Err(error) => Err(error),
        };
        Some(response.unwrap_or_else(|error| bad_gateway(&error)))
    }

    async fn get(
        &self,
        host: &str,
        pop: Option<usize>,
        head: &Parts,
        upstream: Option<&Upstream>,
    ) -> io::Result<Response> {
        if head.method != Method::GET {
            let message = "the edge serves only GET";
            return Ok((StatusCode::METHOD_NOT_ALLOWED, message).into_response());
        }
        let Some(pop) = pop else {
            return Ok((StatusCode::NOT_FOUND, "no such POP").into_response());
        };
        if !self.edge.has_host(host) {
            return self.edge.refused(Refusal::UnknownHost, pop).into_wire();
        }
        let accept_encoding = head.headers.get(header::ACCEPT_ENCODING);
        let accept_encoding = accept_encoding.and_then(|value| value.to_str().ok());
        let request = ViewerRequest {
            host,
            target: head
                .uri
                .path_and_query()
                .map_or("/", |target| target.as_str()),
            accept_encoding: accept_encoding.unwrap_or_default(),
            pop,
        };
        let sites = &self.sites;
        let origin = ViewersOrigin { sites, upstream };
        let response = self.edge.get(request, &origin).await?;
        response.into_wire()
    }

    /// Reads the configuration of a host's distribution from the upstream, unless a test has set it or it is recent.
    async fn read_configuration(&self, host: &str, upstream: &Upstream) -> io::Result<()> {
        let read = self.read().get(host).copied();
        let is_current = read.map_or(self.edge.has_host(host), |read| {
            read.elapsed() < CONFIGURATION_AGE
        });
        if is_current {
            return Ok(());
        }
        if let Some(distribution) = find_distribution(host, upstream).await? {
            self.read().insert(host.to_owned(), Instant::now());
            self.edge.set_distribution(distribution);
        }
        Ok(())
    }

    fn read(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns whether a host is one of the endpoints of the APIs.
fn is_api(host: &str) -> bool {
    let is_local = host.parse::<IpAddr>().is_ok() || ["", "localhost"].contains(&host);
    is_local || host.ends_with(".amazonaws.com")
}

/// Splits `<label>.<POP>.cloudfront.net` into the domain name and the POP.
fn split_host(host: &str) -> (String, Option<&str>) {
    let labels = host.strip_suffix(DOMAIN);
    match labels.and_then(|labels| labels.rsplit_once('.')) {
        Some((label, pop)) => (format!("{label}{DOMAIN}"), Some(pop)),
        None => (host.to_owned(), None),
    }
}

fn bad_gateway(error: &io::Error) -> Response {
    (StatusCode::BAD_GATEWAY, error.to_string()).into_response()
}

async fn find_distribution(
    host: &str,
    upstream: &Upstream,
) -> io::Result<Option<EdgeDistribution>> {
    let Some(summary) = find_summary(host, upstream).await? else {
        return Ok(None);
    };
    let path = format!("distribution/{}/config", summary.id);
    let configuration = document(&path, upstream).await?;
    let mut policies = BTreeMap::new();
    for id in configuration::policy_ids(&configuration)? {
        let policy = document(&format!("cache-policy/{id}"), upstream).await?;
        policies.insert(id, configuration::policy(&policy)?);
    }
    configuration::distribution(summary, &configuration, &policies).map(Some)
}

async fn find_summary(host: &str, upstream: &Upstream) -> io::Result<Option<Summary>> {
    let mut path = "distribution".to_owned();
    loop {
        let list = document(&path, upstream).await?;
        let (summaries, next) = configuration::summaries(&list)?;
        let mut summaries = summaries.into_iter();
        let found = summaries.find(|summary| summary.hosts.iter().any(|known| known == host));
        match next {
            Some(marker) if found.is_none() => path = format!("distribution?Marker={marker}"),
            _ => return Ok(found),
        }
    }
}

/// Gets a document of CloudFront's API.
async fn document(path: &str, upstream: &Upstream) -> io::Result<String> {
    let headers = [
        (header::HOST, "cloudfront.amazonaws.com"),
        (header::AUTHORIZATION, AUTHORIZATION),
    ];
    let response = upstream
        .get(&format!("/2020-05-31/{path}"), &headers)
        .await?;
    let body = String::from_utf8_lossy(&response.body).into_owned();
    match response.status() {
        StatusCode::OK => Ok(body),
        status => Err(io::Error::other(format!("{path}: {status}: {body}"))),
    }
}

/// The sites of a test, and the upstream's own viewer side, which does not cache.
struct ViewersOrigin<'a> {
    sites: &'a Sites,
    upstream: Option<&'a Upstream>,
}

impl Origin for ViewersOrigin<'_> {
    async fn fetch(&self, host: &str, target: &str) -> io::Result<OriginResponse> {
        if let Some(response) = self.sites.fetch(host, target) {
            return response;
        }
        let message = format!("the stand-in has neither a site of {host} nor an upstream");
        let upstream = self.upstream.ok_or_else(|| io::Error::other(message))?;
        // Viewers of the real CloudFront use TLS; without this header a redirect to HTTPS would be the only response.
        let https = (HeaderName::from_static("x-forwarded-proto"), "https");
        let response = upstream.get(target, &[(header::HOST, host), https]).await?;
        let headers = response.headers().iter().map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.to_string(), value)
        });
        Ok(OriginResponse {
            status: response.status().as_u16(),
            headers: headers.collect(),
            body: response.body.clone(),
        })
    }
}

impl ViewerResponse {
    /// Compresses the body if the edge has to, and builds the HTTP response.
    fn into_wire(self) -> io::Result<Response> {
        let body = match self.compression {
            Some(encoding) => encoding.compress(&self.body)?,
            None => self.body,
        };
        let mut response = Response::builder().status(self.status);
        for (name, value) in self.headers {
            response = response.header(name, value);
        }
        response.body(Body::from(body)).map_err(io::Error::other)
    }
}
