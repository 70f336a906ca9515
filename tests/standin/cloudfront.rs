//! CloudFront's control plane with its documented rules.
//!
//! A local AWS accepts every path and completes every invalidation at once. It does
//! not show what fails in production: a rejected character, a full quota, a throttled
//! account, a caller reference that was used before. The rules apply in this order: the
//! account's rate of calls, the distribution, the form of the request, its paths, its
//! caller reference, the quotas of invalidations in progress. AWS's documentation and
//! reports from the live service disagree about a repeated caller reference, so the
//! test chooses ([`ReferenceReuse`]).
//!
//! The stand-in has no model of a distribution. Requests about distributions and policies
//! get complete documents that the test provides; GetDistribution wraps the configuration. A
//! distribution with a document that is not in the options exists, and takes no invalidations.
//!
//! Quotas: <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cloudfront-limits.html#limits-invalidations>

mod batch;
mod xml;

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use super::edge::Edge;
use super::fault::{ACCOUNT, ApiError, Operation};
use super::{Options, ReferenceReuse};
use batch::Batch;
pub(super) use xml::{REQUEST_ID, error_response, text_of};

const API: &str = "/2020-05-31/";

const MAX_FILES_IN_PROGRESS: usize = 3_000;
const MAX_WILDCARDS_IN_PROGRESS: usize = 15;
const MAX_LISTED: usize = 100;
const BURST: u32 = 10;
const TIME_PER_CALL: Duration = Duration::from_secs(2);

pub(super) const NO_SUCH_DISTRIBUTION: &str = "The specified distribution does not exist.";
pub(super) const NO_SUCH_INVALIDATION: &str = "The specified invalidation does not exist.";
pub(super) const INVALID_PATHS: &str =
    "Your request contains one or more invalid invalidation paths.";
pub(super) const BATCH_TOO_LARGE: &str = "Your request contains too many invalidation paths.";
pub(super) const TOO_MANY_FILES: &str = "Processing your request will cause you to exceed the \
     maximum number of in-progress invalidations.";
const TOO_MANY_WILDCARDS: &str = "Processing your request will cause you to exceed the maximum \
     number of in-progress wildcard invalidations.";
pub(super) const BATCH_ALREADY_EXISTS: &str = "Your request contains a caller reference that was \
     used for a previous invalidation batch for the same distribution.";

/// A call of CloudFront, read from the request line; a part that the call does not have is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) operation: Operation,
    distribution: String,
    /// The id of an invalidation, of a cache policy or of a continuous deployment policy.
    id: String,
    marker: String,
    path: String,
}

impl Call {
    /// Reads a call; `None` if the stand-in has no such operation of CloudFront.
    pub(super) fn parse(head: &Parts) -> Option<Self> {
        use Operation as Op;
        let path = head.uri.path().strip_prefix(API)?;
        let segments: Vec<&str> = path.split('/').collect();
        let (operation, distribution, id) = match (head.method.as_str(), segments.as_slice()) {
            ("POST", ["distribution", id, "invalidation"]) => (Op::CreateInvalidation, *id, ""),
            ("GET", ["distribution", id, "invalidation", invalidation]) => {
                (Op::GetInvalidation, *id, *invalidation)
            }
            ("GET", ["distribution", id, "invalidation"]) => (Op::ListInvalidations, *id, ""),
            ("GET", ["distribution", id, "config"]) => (Op::GetDistributionConfig, *id, ""),
            ("GET", ["distribution", id]) => (Op::GetDistribution, *id, ""),
            ("GET", ["distribution"]) => (Op::ListDistributions, "", ""),
            ("GET", ["cache-policy", id]) => (Op::GetCachePolicy, "", *id),
            ("GET", ["continuous-deployment-policy", id, "config"]) => {
                (Op::GetContinuousDeploymentPolicyConfig, "", *id)
            }
            _ => return None,
        };
        Some(Self {
            operation,
            distribution: distribution.to_owned(),
            id: id.to_owned(),
            marker: marker(head),
            path: path.to_owned(),
        })
    }

    /// Returns whether the stand-in has rules for the operation; others get a document of the test's.
    pub(super) fn is_about_invalidations(&self) -> bool {
        use Operation::{CreateInvalidation, GetInvalidation, ListInvalidations};
        matches!(
            self.operation,
            CreateInvalidation | GetInvalidation | ListInvalidations
        )
    }

    fn document_name(&self) -> String {
        match self.marker.as_str() {
            "" => self.path.clone(),
            marker => format!("{}?Marker={marker}", self.path),
        }
    }

    /// Returns the ARN that a denial names; `None` for ListDistributions, which has no resource-level permissions.
    pub(super) fn resource(&self) -> Option<String> {
        let (kind, id) = match self.operation {
            Operation::ListDistributions => return None,
            Operation::GetCachePolicy => ("cache-policy", &self.id),
            Operation::GetContinuousDeploymentPolicyConfig => {
                ("continuous-deployment-policy", &self.id)
            }
            _ => ("distribution", &self.distribution),
        };
        Some(format!("arn:aws:cloudfront::{ACCOUNT}:{kind}/{id}"))
    }
}

fn marker(head: &Parts) -> String {
    let mut parameters = head.uri.query().unwrap_or_default().split('&');
    let marker = parameters.find_map(|parameter| parameter.strip_prefix("Marker="));
    marker.unwrap_or_default().to_owned()
}

/// A received CreateInvalidation, which can be a rejected one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedInvalidation {
    /// The distribution in the request, which need not exist.
    pub distribution: String,
    /// The items of the batch, in the order sent.
    pub paths: Vec<String>,
    /// The caller reference.
    pub reference: String,
    /// The invalidation's id, or the code of the error or the name of the fault.
    pub outcome: Result<String, String>,
}

/// An invalidation that was created; a repeated reference creates none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptedInvalidation {
    /// The distribution.
    pub distribution: String,
    /// When it was created: for its paths, everything cached before this time is invalid.
    pub created: SystemTime,
    /// The items of the batch.
    pub paths: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Invalidation {
    id: String,
    created: SystemTime,
    batch: Batch,
}

/// An account's distributions and their invalidations.
pub(super) struct CloudFront {
    options: Options,
    edge: Option<Arc<Edge>>,
    /// The invalidations by distribution, oldest first.
    distributions: BTreeMap<String, Vec<Invalidation>>,
    /// When the bucket of throttling tokens is full again.
    tokens_full_at: SystemTime,
    /// How many invalidations each distribution ever had.
    created: BTreeMap<String, u64>,
    received: Vec<ReceivedInvalidation>,
    /// Paths that are rejected beyond the documented rules.
    pub(super) refused_paths: Vec<String>,
}

impl CloudFront {
    pub(super) fn new(options: Options) -> Self {
        let ids = options.distributions.iter();
        Self {
            distributions: ids.map(|id| (id.clone(), Vec::new())).collect(),
            edge: options
                .edge
                .map(|edge| Arc::new(Edge::new(edge, options.clock.clone()))),
            options,
            tokens_full_at: UNIX_EPOCH,
            created: BTreeMap::new(),
            received: Vec::new(),
            refused_paths: Vec::new(),
        }
    }

    pub(super) fn received(&self) -> &[ReceivedInvalidation] {
        &self.received
    }

    pub(super) fn accepted(&self) -> Vec<AcceptedInvalidation> {
        let mut accepted = Vec::new();
        for (distribution, invalidations) in &self.distributions {
            for invalidation in invalidations {
                accepted.push(AcceptedInvalidation {
                    distribution: distribution.clone(),
                    created: invalidation.created,
                    paths: invalidation.batch.paths.clone(),
                });
            }
        }
        accepted
    }

    /// Returns the edge that the invalidations take effect at, if any.
    pub(super) fn edge(&self) -> Option<Arc<Edge>> {
        self.edge.clone()
    }

    /// Deletes the invalidations and the edge's copies; ids continue, so that none is used twice.
    pub(super) fn reset(&mut self) {
        let (created, edge) = (mem::take(&mut self.created), self.edge.take());
        *self = Self::new(self.options.clone());
        self.created = created;
        if let Some(edge) = &edge {
            edge.clear();
        }
        self.edge = edge;
    }

    pub(super) fn set_document(&mut self, path: &str, document: &str) {
        let documents = &mut self.options.documents;
        documents.insert(path.to_owned(), document.to_owned());
    }

    pub(super) fn delete_distribution(&mut self, id: &str) {
        let options = &mut self.options;
        options.distributions.remove(id);
        for path in [
            format!("distribution/{id}"),
            format!("distribution/{id}/config"),
        ] {
            options.documents.remove(&path);
        }
        self.distributions.remove(id);
    }

    /// Adds the distribution of a call that the upstream accepted.
    pub(super) fn add_distribution(&mut self, call: &Call) {
        let distribution = call.distribution.clone();
        self.distributions.entry(distribution).or_default();
    }

    /// Records a call that a fault or the upstream rejected before the rules.
    pub(super) fn record_error(&mut self, call: &Call, body: &[u8], code: &str) {
        self.record(call, body, Err(code.to_owned()));
    }

    /// Applies the rules; a new invalidation has the upstream's id, because the upstream must find it by the id.
    pub(super) fn respond(
        &mut self,
        call: &Call,
        body: &[u8],
        upstream_id: Option<String>,
        now: SystemTime,
    ) -> Result<Response, ApiError> {
        let document = match call.operation {
            Operation::CreateInvalidation => {
                return self.respond_to_create(call, body, upstream_id, now);
            }
            Operation::GetInvalidation => {
                let invalidation = self.get(&call.distribution, &call.id)?;
                xml::invalidation(invalidation, self.in_progress(invalidation, now))
            }
            Operation::ListInvalidations => self.list(call, now)?,
            _ => return Err(self.no_document(call)),
        };
        Ok(xml::response(document))
    }

    fn respond_to_create(
        &mut self,
        call: &Call,
        body: &[u8],
        upstream_id: Option<String>,
        now: SystemTime,
    ) -> Result<Response, ApiError> {
        let created = self.create(&call.distribution, body, upstream_id, now);
        let outcome = match &created {
            Ok((_, invalidation)) => Ok(invalidation.id.clone()),
            Err(error) => Err(error.code.clone()),
        };
        self.record(call, body, outcome);
        let (status, invalidation) = created?;
        let location = format!("{API}{}/{}", call.path, invalidation.id);
        let document = xml::invalidation(&invalidation, self.in_progress(&invalidation, now));
        let headers = [(header::LOCATION, location)];
        Ok((status, headers, xml::response(document)).into_response())
    }

    fn record(&mut self, call: &Call, body: &[u8], outcome: Result<String, String>) {
        if call.operation == Operation::CreateInvalidation {
            let batch = Batch::parse(body).unwrap_or_default();
            self.received.push(ReceivedInvalidation {
                distribution: call.distribution.clone(),
                paths: batch.paths,
                reference: batch.reference,
                outcome,
            });
        }
    }

    fn create(
        &mut self,
        distribution: &str,
        body: &[u8],
        upstream_id: Option<String>,
        now: SystemTime,
    ) -> Result<(StatusCode, Invalidation), ApiError> {
        self.spend_token(now)?;
        let existing = self.invalidations(distribution)?;
        let batch = Batch::parse(body)?;
        batch.check()?;
        let mut paths = batch.paths.iter();
        if paths.any(|path| self.refused_paths.contains(path)) {
            return Err(ApiError::new(400, "InvalidArgument", INVALID_PATHS));
        }
        let same_reference =
            |invalidation: &&Invalidation| invalidation.batch.reference == batch.reference;
        if let Some(invalidation) = existing.iter().find(same_reference) {
            self.check_reuse(invalidation, &batch)?;
            return Ok((StatusCode::OK, invalidation.clone()));
        }
        self.check_quotas(existing, &batch.paths, now)?;
        let number = self.created.entry(distribution.to_owned()).or_default();
        *number += 1;
        let invalidation = Invalidation {
            id: upstream_id.unwrap_or_else(|| invalidation_id(distribution, *number)),
            created: now,
            batch,
        };
        if let Some(edge) = &self.edge {
            let (id, paths) = (&invalidation.id, &invalidation.batch.paths);
            let completed = now + self.options.completes_after;
            edge.invalidate(distribution, id, now, completed, paths);
        }
        let invalidations = self.distributions.entry(distribution.to_owned());
        invalidations.or_default().push(invalidation.clone());
        Ok((StatusCode::CREATED, invalidation))
    }

    /// Spends a token of the account's bucket, which is kept as the time when it is full again.
    fn spend_token(&mut self, now: SystemTime) -> Result<(), ApiError> {
        if !self.options.throttle {
            return Ok(());
        }
        let until_full = self.tokens_full_at.duration_since(now).unwrap_or_default();
        if until_full > TIME_PER_CALL * (BURST - 1) {
            return Err(ApiError::new(400, "Throttling", "Rate exceeded"));
        }
        self.tokens_full_at = now + until_full + TIME_PER_CALL;
        Ok(())
    }

    fn check_reuse(&self, existing: &Invalidation, batch: &Batch) -> Result<(), ApiError> {
        let code = match self.options.reuse {
            ReferenceReuse::Documented if existing.batch == *batch => return Ok(()),
            ReferenceReuse::Documented => "InvalidationBatchAlreadyExists",
            ReferenceReuse::Observed => "InvalidArgument",
        };
        Err(ApiError::new(400, code, BATCH_ALREADY_EXISTS))
    }

    fn check_quotas(
        &self,
        existing: &[Invalidation],
        requested: &[String],
        now: SystemTime,
    ) -> Result<(), ApiError> {
        let running = existing
            .iter()
            .filter(|invalidation| self.in_progress(invalidation, now));
        let paths = running
            .flat_map(|invalidation| &invalidation.batch.paths)
            .chain(requested);
        let (wildcards, files): (Vec<&str>, Vec<&str>) = paths
            .map(String::as_str)
            .partition(|path| path.ends_with('*'));
        let message = if wildcards.len() > MAX_WILDCARDS_IN_PROGRESS {
            TOO_MANY_WILDCARDS
        } else if files.len() > MAX_FILES_IN_PROGRESS {
            TOO_MANY_FILES
        } else {
            return Ok(());
        };
        Err(ApiError::new(
            400,
            "TooManyInvalidationsInProgress",
            message,
        ))
    }

    fn in_progress(&self, invalidation: &Invalidation, now: SystemTime) -> bool {
        now < invalidation.created + self.options.completes_after
    }

    /// Returns the invalidations of a distribution, oldest first.
    fn invalidations(&self, distribution: &str) -> Result<&[Invalidation], ApiError> {
        let invalidations = self.distributions.get(distribution).map(Vec::as_slice);
        invalidations.ok_or_else(|| ApiError::new(404, "NoSuchDistribution", NO_SUCH_DISTRIBUTION))
    }

    fn get(&self, distribution: &str, id: &str) -> Result<&Invalidation, ApiError> {
        let mut invalidations = self.invalidations(distribution)?.iter();
        let found = invalidations.find(|invalidation| invalidation.id == id);
        found.ok_or_else(|| ApiError::new(404, "NoSuchInvalidation", NO_SUCH_INVALIDATION))
    }

    /// Returns a page of at most 100 summaries, newest first; the marker is the last id of the page before.
    fn list(&self, call: &Call, now: SystemTime) -> Result<String, ApiError> {
        let invalidations = self.invalidations(&call.distribution)?;
        let mut remaining = invalidations;
        if !call.marker.is_empty() {
            let position = invalidations
                .iter()
                .position(|invalidation| invalidation.id == call.marker);
            let unknown = || ApiError::new(400, "InvalidArgument", "Unknown marker.");
            remaining = &invalidations[..position.ok_or_else(unknown)?];
        }
        let page = &remaining[remaining.len().saturating_sub(MAX_LISTED)..];
        let oldest = page.first().filter(|_| page.len() < remaining.len());
        let next_marker = oldest.map(|invalidation| invalidation.id.as_str());
        let summaries: Vec<String> = page
            .iter()
            .rev()
            .map(|invalidation| xml::summary(invalidation, self.in_progress(invalidation, now)))
            .collect();
        Ok(xml::list(&call.marker, next_marker, &summaries))
    }

    /// Returns the response that the test provided, which precedes the upstream's.
    pub(super) fn own_document(&self, call: &Call, now: SystemTime) -> Option<Response> {
        let documents = &self.options.documents;
        let document = documents.get(&call.document_name()).cloned();
        let document = document.or_else(|| self.distribution(call, now))?;
        Some(xml::response(document))
    }

    /// Writes GetDistribution from the configuration that the test provided.
    fn distribution(&self, call: &Call, now: SystemTime) -> Option<String> {
        if call.operation != Operation::GetDistribution {
            return None;
        }
        let (id, documents) = (&call.distribution, &self.options.documents);
        let configuration = documents.get(&format!("distribution/{id}/config"))?;
        let lists = documents.iter().filter(|(name, _)| {
            let name = name.split('?').next();
            name == Some("distribution")
        });
        let mut listed = lists.filter_map(|(_, list)| xml::listed_domain(list, id));
        let invalidations = self.invalidations(id).unwrap_or_default().iter();
        let running = invalidations.filter(|invalidation| self.in_progress(invalidation, now));
        let at_edge = || self.edge.as_ref()?.domain(id);
        let domain = listed.next().or_else(at_edge);
        let domain = domain.unwrap_or_else(|| default_domain(id));
        Some(xml::distribution(
            id,
            &domain,
            running.count(),
            configuration,
        ))
    }

    /// Returns the error of a request that the test provided no document for.
    fn no_document(&self, call: &Call) -> ApiError {
        let (get, get_config) = (Operation::GetDistribution, Operation::GetDistributionConfig);
        if [get, get_config].contains(&call.operation)
            && let Err(error) = self.invalidations(&call.distribution)
        {
            return error;
        }
        if call.operation == Operation::GetContinuousDeploymentPolicyConfig {
            let message = "The specified continuous deployment policy does not exist.";
            return ApiError::new(404, "NoSuchContinuousDeploymentPolicy", message);
        }
        let name = call.document_name();
        let message = format!("The test gave the stand-in no document \"{name}\".");
        ApiError::new(501, "NotImplemented", message)
    }
}

/// Returns the domain name of a distribution that neither a list nor the edge has.
fn default_domain(id: &str) -> String {
    format!("d{}.cloudfront.net", id.to_ascii_lowercase())
}

/// Returns the id of the nth invalidation of a distribution. It does not depend on the other distributions, because
/// requests for several distributions arrive in any order.
fn invalidation_id(distribution: &str, number: u64) -> String {
    const DIGITS: &[u8; 36] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let hash = Sha256::digest(format!("{distribution} {number}"));
    let digits = hash.iter().map(|byte| DIGITS[usize::from(*byte) % 36]);
    std::iter::once('I')
        .chain(digits.take(13).map(char::from))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    type Created = Result<(u16, String), (u16, String, String)>;

    const NOW: SystemTime = UNIX_EPOCH;

    fn cloudfront(options: Options) -> CloudFront {
        CloudFront::new(options.with_distribution("E2EXAMPLE"))
    }

    fn unthrottled() -> Options {
        Options {
            throttle: false,
            ..Options::default()
        }
    }

    fn create(
        cloudfront: &mut CloudFront,
        now: SystemTime,
        reference: &str,
        paths: &[&str],
    ) -> Created {
        let body = xml::create_request(reference, paths);
        cloudfront
            .create("E2EXAMPLE", body.as_bytes(), None, now)
            .map(|(status, invalidation)| (status.as_u16(), invalidation.id))
            .map_err(|error| (error.status, error.code, error.message))
    }

    fn created(number: u64) -> Created {
        Ok((201, invalidation_id("E2EXAMPLE", number)))
    }

    fn rejected(code: &str, message: &str) -> Created {
        Err((400, code.to_owned(), message.to_owned()))
    }

    #[test]
    fn files_and_wildcards_fill_separate_quotas_until_they_are_completed() {
        let mut cloudfront = cloudfront(unthrottled());
        let mut now = NOW;
        let (files, wildcards) = (vec!["/a"; 3_000], vec!["/a*"; 15]);
        let too_many = |message| rejected("TooManyInvalidationsInProgress", message);
        assert_eq!(create(&mut cloudfront, now, "files", &files), created(1));
        assert_eq!(
            create(&mut cloudfront, now, "tag", &["#t"]),
            too_many(TOO_MANY_FILES)
        );
        assert_eq!(
            create(&mut cloudfront, now, "wildcards", &wildcards),
            created(2)
        );
        assert_eq!(
            create(&mut cloudfront, now, "more", &["/b*"]),
            too_many(TOO_MANY_WILDCARDS)
        );
        now += Duration::from_millis(13_999);
        assert_eq!(
            create(&mut cloudfront, now, "more", &["/b"]),
            too_many(TOO_MANY_FILES)
        );
        now += Duration::from_millis(1);
        assert_eq!(
            create(&mut cloudfront, now, "more", &["/b", "/b*"]),
            created(3)
        );
    }

    #[test]
    fn an_account_can_call_ten_times_at_once_and_then_every_two_seconds() {
        let mut cloudfront = cloudfront(Options::default());
        let mut now = NOW;
        let throttled = || rejected("Throttling", "Rate exceeded");
        for number in 1..=10 {
            let reference = number.to_string();
            assert_eq!(
                create(&mut cloudfront, now, &reference, &["/a"]),
                created(number)
            );
        }
        assert_eq!(create(&mut cloudfront, now, "11", &["/a"]), throttled());
        now += Duration::from_millis(1_999);
        assert_eq!(create(&mut cloudfront, now, "11", &["/a"]), throttled());
        now += Duration::from_millis(1);
        assert_eq!(create(&mut cloudfront, now, "11", &["/a"]), created(11));
        assert_eq!(create(&mut cloudfront, now, "12", &["/a"]), throttled());
    }

    #[test]
    fn a_repeated_reference_has_the_documented_or_the_observed_effect() {
        let already_exists = |code| rejected(code, BATCH_ALREADY_EXISTS);
        for (reuse, same_paths, other_paths) in [
            (
                ReferenceReuse::Documented,
                Ok((200, invalidation_id("E2EXAMPLE", 1))),
                already_exists("InvalidationBatchAlreadyExists"),
            ),
            (
                ReferenceReuse::Observed,
                already_exists("InvalidArgument"),
                already_exists("InvalidArgument"),
            ),
        ] {
            let options = Options {
                reuse,
                ..unthrottled()
            };
            let mut cloudfront = cloudfront(options);
            assert_eq!(create(&mut cloudfront, NOW, "r", &["/a"]), created(1));
            assert_eq!(create(&mut cloudfront, NOW, "r", &["/a"]), same_paths);
            assert_eq!(create(&mut cloudfront, NOW, "r", &["/b"]), other_paths);
        }
    }

    #[test]
    fn ids_have_cloudfronts_form_and_differ() {
        let of = |distribution: &str| {
            let ids = (1..=1_000).map(|number| invalidation_id(distribution, number));
            ids.collect::<Vec<String>>()
        };
        let ids = [of("E1EXAMPLE"), of("E2EXAMPLE")].concat();
        let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!(ids[0], "I1XQE3P0GPDJOM");
        assert_eq!(distinct.len(), ids.len());
    }
}
