//! CloudFront's viewer side: a cache in front of an origin that keeps every copy as long as the documentation allows.
//!
//! Each POP keeps a copy for each distribution, path as the viewer sent it, query string as the cache policy selects
//! it, and normalised Accept-Encoding. Only errors expire by themselves; everything else stays until an invalidation
//! drops it, whatever Cache-Control says. An invalidation takes effect at each POP at its own moment between its
//! creation and its completion.
//!
//! The main rule: with [`Matching::Strict`], a copy is dropped only if every reading of the documentation drops it
//! (`readings`). Several invalidations can do that together, because CloudFront implements one of the readings and each
//! copy records which ones have dropped it so far.
//!
//! Nothing here uses the code of `src/`, so that an error there cannot hide itself.
//!
//! Response headers: <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/ResponseBehavior.html>

mod compression;
pub(super) mod configuration;
mod distribution;
mod items;
mod pop;
mod readings;
pub(super) mod received;
mod refusal;
mod site;
#[cfg(test)]
mod tests;
pub(super) mod viewer;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use axum::body::Bytes;

use super::clock::Clock;
pub use compression::Encoding;
use distribution::CacheKey;
pub use distribution::{EdgeBehavior, EdgeDistribution, QueryKey, Rewrite};
use items::{CopyIdentity, Items, Uri};
use pop::{CachedCopy, Effect, Pop};
pub use received::ReceivedViewerRequest;
pub use refusal::Refusal;
use refusal::Refusals;
pub use site::{OriginServer, SiteOrigin};

/// Names of POPs: the code of an airport and the number of a cluster.
const AIRPORTS: [&str; 8] = ["FRA", "IAD", "NRT", "GRU", "SYD", "BOM", "CDG", "JNB"];

/// Headers of the origin's response that the edge replaces, changes or that belong to the connection to the origin.
const NOT_FORWARDED: [&str; 9] = [
    "age",
    "connection",
    "content-length",
    "date",
    "transfer-encoding",
    "via",
    "x-amz-cf-id",
    "x-amz-cf-pop",
    "x-cache",
];

/// Values of X-Cache of responses that CloudFront generates for each request and does not cache.
const GENERATED: [&str; 4] = [
    "Error from cloudfront",
    "FunctionGeneratedResponse from cloudfront",
    "LambdaGeneratedResponse from cloudfront",
    "Redirect from cloudfront",
];

/// Which readings of the documentation have to drop a copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Matching {
    /// Every reading.
    #[default]
    Strict,
    /// Any reading.
    Lenient,
}

/// What a test chooses about the edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EdgeOptions {
    pub pops: usize,
    pub matching: Matching,
    /// Decides when each invalidation takes effect at each POP.
    pub seed: u64,
}

impl Default for EdgeOptions {
    fn default() -> Self {
        Self {
            pops: 3,
            matching: Matching::Strict,
            seed: 1,
        }
    }
}

/// A GET request of a viewer.
#[derive(Clone, Copy, Debug)]
pub struct ViewerRequest<'a> {
    /// The domain name or an alias of a distribution, without a port.
    pub host: &'a str,
    /// The path and the query string as sent.
    pub target: &'a str,
    pub accept_encoding: &'a str,
    /// The index of the POP that gets the request.
    pub pop: usize,
}

/// The response to a viewer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewerResponse {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    /// The body, which is not compressed yet if `compression` is set.
    pub body: Bytes,
    /// How the edge compresses the body when it writes it to a socket. The headers are those of the compressed response.
    pub compression: Option<Encoding>,
}

impl ViewerResponse {
    /// Returns the value of the first header with this name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }
}

/// The response of an origin, after CloudFront's functions and custom error responses.
#[derive(Clone, Debug)]
pub struct OriginResponse {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

/// Where a miss goes: another server over HTTP, or a model in this process.
pub trait Origin: Sync {
    /// Fetches a path and query string as the viewer sent them; the host is the distribution's domain name.
    fn fetch(
        &self,
        host: &str,
        target: &str,
    ) -> impl Future<Output = io::Result<OriginResponse>> + Send;
}

/// Counts since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EdgeCounters {
    pub requests: u64,
    pub origin_requests: u64,
    pub dropped_copies: u64,
}

/// A copy that an invalidation dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DroppedCopy {
    pub distribution: String,
    pub pop: usize,
    /// The path and the query string of the cache key.
    pub target: String,
    /// When the invalidation took effect at the POP.
    pub time: SystemTime,
    /// The response without the headers that depend on the request.
    pub response: Arc<ViewerResponse>,
}

/// The POPs of CloudFront.
pub struct Edge {
    options: EdgeOptions,
    clock: Clock,
    state: Mutex<State>,
}

struct State {
    distributions: BTreeMap<String, Arc<EdgeDistribution>>,
    refusals: Refusals,
    pops: Vec<Pop>,
    /// The POP at which invalidations take effect at their creation.
    immediate_pop: Option<usize>,
    counters: EdgeCounters,
}

/// A request that needs the origin.
struct Miss {
    distribution: Arc<EdgeDistribution>,
    behavior: EdgeBehavior,
    key: CacheKey,
    /// How many invalidations had taken effect at the POP when the request was sent to the origin.
    effects_before: usize,
}

impl Edge {
    /// Returns an edge without distributions and copies.
    pub fn new(options: EdgeOptions, clock: Clock) -> Self {
        let pops = (0..options.pops).map(|index| Pop::new(index, options.matching));
        let state = State {
            distributions: BTreeMap::new(),
            refusals: Refusals::default(),
            pops: pops.collect(),
            immediate_pop: None,
            counters: EdgeCounters::default(),
        };
        Self {
            options,
            clock,
            state: Mutex::new(state),
        }
    }

    /// Adds or replaces the configuration of a distribution; its copies stay.
    pub fn set_distribution(&self, distribution: EdgeDistribution) {
        let id = distribution.id.clone();
        let distributions = &mut self.state().distributions;
        distributions.insert(id, Arc::new(distribution));
    }

    /// Rejects the requests for paths that match a pattern, before the cache; `None` ends that.
    pub fn refuse(&self, distribution: &str, path_pattern: &str, refusal: Option<Refusal>) {
        let refusals = &mut self.state().refusals;
        refusals.set(distribution, path_pattern, refusal);
    }

    /// Makes later invalidations take effect at their creation at this POP, which is the earliest possible moment.
    pub fn set_immediate_pop(&self, pop: usize) {
        self.state().immediate_pop = Some(pop);
    }

    /// Responds to a viewer from the copy of the POP, or from the origin.
    ///
    /// # Errors
    ///
    /// If no distribution has the host, if there is no such POP, or if the origin fails.
    pub async fn get(
        &self,
        request: ViewerRequest<'_>,
        origin: &impl Origin,
    ) -> io::Result<ViewerResponse> {
        let miss = match self.look_up(request)? {
            Ok(hit) => return Ok(hit),
            Err(miss) => miss,
        };
        let host = miss.distribution.domain().unwrap_or(request.host);
        let response = origin.fetch(host, request.target).await?;
        Ok(self.store(request.pop, miss, response))
    }

    fn look_up(&self, request: ViewerRequest<'_>) -> io::Result<Result<ViewerResponse, Miss>> {
        let not_found = |what: String| io::Error::new(io::ErrorKind::NotFound, what);
        let state = &mut *self.state();
        let now = self.apply_effects(state);
        let distribution = state.distribution(request.host);
        let distribution =
            distribution.ok_or_else(|| not_found(format!("no distribution {}", request.host)))?;
        let pops = &mut state.pops;
        let pop = pops.get_mut(request.pop);
        let pop = pop.ok_or_else(|| not_found(format!("no POP {}", request.pop)))?;
        let path = request.target.split('?').next().unwrap_or_default();
        let behavior = distribution.behavior(path).cloned().unwrap_or_default();
        let key = behavior.cache_key(request.target, request.accept_encoding);
        state.counters.requests += 1;
        if let Some(refusal) = state.refusals.find(&distribution.id, path) {
            return Ok(Ok(self.refused(refusal, request.pop)));
        }
        if let Some(copy) = pop.copy(&distribution.id, &key, now) {
            let mut response = copy.response.as_ref().clone();
            response.headers.push(new_header("Age", copy.age(now)));
            self.add_headers(&mut response, request.pop, "Hit from cloudfront");
            return Ok(Ok(response));
        }
        state.counters.origin_requests += 1;
        Ok(Err(Miss {
            effects_before: pop.effects(),
            distribution,
            behavior,
            key,
        }))
    }

    /// Returns the response of a POP to a request that CloudFront rejects.
    pub(super) fn refused(&self, refusal: Refusal, pop: usize) -> ViewerResponse {
        let mut response = refusal.response();
        self.add_headers(&mut response, pop, "Error from cloudfront");
        response
    }

    fn store(&self, pop: usize, miss: Miss, origin: OriginResponse) -> ViewerResponse {
        let generated = header(&origin.headers, "x-cache").map(str::to_owned);
        let generated = generated.filter(|x_cache| GENERATED.contains(&x_cache.as_str()));
        let tag_header = miss.distribution.tag_header.as_deref();
        let identity = CopyIdentity {
            viewer: Uri::new(&miss.key.path, miss.key.query.as_deref()),
            rewritten: Uri::new(
                &miss.behavior.rewritten(&miss.key.path),
                miss.key.query.as_deref(),
            ),
            tags: tag_header.map_or_else(Default::default, |name| {
                items::tags(headers(&origin.headers, name))
            }),
        };
        let origin_age = header(&origin.headers, "age").and_then(|age| age.parse::<u64>().ok());
        let mut response = viewer_response(&miss, origin);
        if generated.is_none() {
            let state = &mut *self.state();
            let now = self.apply_effects(state);
            let expires_after = miss.distribution.expires_after(response.status);
            let copy = CachedCopy {
                response: Arc::new(response.clone()),
                identity,
                stored: now,
                origin_age,
                expires: expires_after.map(|after| now + after),
                dropped_by: readings::Readings::default(),
            };
            let distribution = &miss.distribution.id;
            state.pops[pop].store(distribution, miss.key, copy, miss.effects_before);
        }
        // Not documented: a Miss has the origin's Age, or none.
        let age = origin_age.filter(|_| generated.is_none());
        response
            .headers
            .extend(age.map(|age| new_header("Age", age)));
        let x_cache = generated.as_deref().unwrap_or("Miss from cloudfront");
        self.add_headers(&mut response, pop, x_cache);
        response
    }

    fn add_headers(&self, response: &mut ViewerResponse, pop: usize, x_cache: &str) {
        let is_generated = GENERATED.contains(&x_cache);
        let x_cache = if response.status >= 400 && !is_generated {
            "Error from cloudfront"
        } else {
            x_cache
        };
        let id = scatter(self.options.seed, "via", pop);
        let via = format!("1.1 {id:016x}{:016x}.cloudfront.net (CloudFront)", !id);
        response.headers.extend([
            new_header("X-Cache", x_cache),
            new_header("Via", via),
            new_header("X-Amz-Cf-Pop", pop_name(pop)),
        ]);
    }

    /// Adds an invalidation that CloudFront has accepted; the times are those of the edge's clock.
    pub fn invalidate(
        &self,
        distribution: &str,
        id: &str,
        created: SystemTime,
        completed: SystemTime,
        paths: &[String],
    ) {
        let items = Arc::new(Items::parse(paths));
        let duration = completed.duration_since(created).unwrap_or_default();
        let state = &mut *self.state();
        for (index, pop) in state.pops.iter_mut().enumerate() {
            let fraction = match state.immediate_pop {
                Some(immediate) if immediate == index => 0.0,
                _ => self.fraction(id, index),
            };
            pop.add_effect(Effect {
                moment: created + duration.mul_f64(fraction),
                distribution: distribution.to_owned(),
                items: Arc::clone(&items),
            });
        }
    }

    /// Returns when an invalidation takes effect at a POP, as a fraction of the time that it is in progress.
    fn fraction(&self, id: &str, pop: usize) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
        let fraction = |bits: u64| (bits >> 11) as f64 / (1_u64 << 53) as f64;
        fraction(scatter(self.options.seed, id, pop))
    }

    /// Returns what was counted so far.
    pub fn counters(&self) -> EdgeCounters {
        let state = &mut *self.state();
        self.apply_effects(state);
        let dropped = state.pops.iter().map(Pop::dropped_copies);
        EdgeCounters {
            dropped_copies: dropped.sum(),
            ..state.counters
        }
    }

    /// Returns the copies dropped since the last call.
    pub fn drain_dropped(&self) -> Vec<DroppedCopy> {
        let state = &mut *self.state();
        self.apply_effects(state);
        state.pops.iter_mut().flat_map(Pop::drain_dropped).collect()
    }

    /// Deletes the copies of a distribution without counting them as dropped, as if its owner had invalidated
    /// everything some time ago.
    pub fn delete_copies(&self, distribution: &str) {
        for pop in &mut self.state().pops {
            pop.delete_copies(distribution);
        }
    }

    /// Deletes all copies, invalidations and refusals; the distributions stay.
    pub fn clear(&self) {
        let state = &mut *self.state();
        state.refusals = Refusals::default();
        state.counters = EdgeCounters::default();
        for (index, pop) in state.pops.iter_mut().enumerate() {
            *pop = Pop::new(index, self.options.matching);
        }
    }

    /// Returns the index of the POP with this name in any case.
    pub fn pop(&self, name: &str) -> Option<usize> {
        (0..self.options.pops).find(|pop| pop_name(*pop).eq_ignore_ascii_case(name))
    }

    /// Returns the domain name of a distribution.
    pub(super) fn domain(&self, distribution: &str) -> Option<String> {
        let distributions = &self.state().distributions;
        let domain = distributions.get(distribution)?.domain()?;
        Some(domain.to_owned())
    }

    /// Returns whether a distribution has this domain name or alias.
    pub(super) fn has_host(&self, host: &str) -> bool {
        self.state().distribution(host).is_some()
    }

    /// Locks the state; the panic of a test that held the lock is already reported.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Applies the invalidations whose moment has come, and returns the time.
    fn apply_effects(&self, state: &mut State) -> SystemTime {
        let now = self.clock.now();
        for pop in &mut state.pops {
            pop.apply_effects(now);
        }
        now
    }
}

impl State {
    fn distribution(&self, host: &str) -> Option<Arc<EdgeDistribution>> {
        let mut distributions = self.distributions.values();
        let has_host = |distribution: &&Arc<EdgeDistribution>| {
            let mut hosts = distribution.hosts.iter();
            hosts.any(|known| known.eq_ignore_ascii_case(host))
        };
        distributions.find(has_host).cloned()
    }
}

/// Returns the name of a POP, as in X-Amz-Cf-Pop: `FRA50-P1`.
pub fn pop_name(pop: usize) -> String {
    let airport = AIRPORTS[pop % AIRPORTS.len()];
    format!("{airport}{}-P{}", 50 + pop / AIRPORTS.len(), pop % 4 + 1)
}

/// Returns what of the origin's response viewers get and the POP stores.
fn viewer_response(miss: &Miss, origin: OriginResponse) -> ViewerResponse {
    let compression = miss.key.encoding.filter(|_| {
        miss.behavior.compress && compression::is_compressible(&origin.headers, origin.body.len())
    });
    let mut headers = origin.headers;
    headers.retain(|(name, _)| !NOT_FORWARDED.contains(&name.to_ascii_lowercase().as_str()));
    if let Some(encoding) = compression {
        let etag = header(&headers, "etag").and_then(compression::weak_etag);
        headers.retain(|(name, _)| !name.eq_ignore_ascii_case("etag"));
        headers.extend(etag.map(|etag| new_header("ETag", etag)));
        headers.push(new_header("Content-Encoding", encoding.name()));
    }
    ViewerResponse {
        status: origin.status,
        headers,
        body: origin.body,
        compression,
    }
}

fn headers<'a>(headers: &'a [(String, String)], name: &str) -> impl Iterator<Item = &'a str> {
    let has_name = move |header: &&(String, String)| header.0.eq_ignore_ascii_case(name);
    headers
        .iter()
        .filter(has_name)
        .map(|(_, value)| value.as_str())
}

fn header<'a>(all: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers(all, name).next()
}

fn new_header(name: &str, value: impl ToString) -> (String, String) {
    (name.to_owned(), value.to_string())
}

/// Returns a number that looks random and is the same for the same arguments: FNV-1a, then the finaliser of SplitMix64.
fn scatter(seed: u64, text: &str, number: usize) -> u64 {
    let bytes = seed.to_le_bytes().into_iter().chain(text.bytes());
    let hash = bytes
        .chain(number.to_le_bytes())
        .fold(0xCBF2_9CE4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
        });
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    hash ^ (hash >> 31)
}
