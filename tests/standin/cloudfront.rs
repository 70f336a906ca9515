//! CloudFront as its documentation and its users describe it.
//!
//! A local cloud accepts any path and completes at once, so nothing there shows
//! what hurts in production: a refused character, a full quota, a throttled
//! account, a reference that was used before. These are the rules, in the order in
//! which a request meets them: the account's rate, the distribution, the shape of
//! the request, its paths, its reference, the quotas of what is still in progress.
//! Where AWS's documentation and reports from the live service disagree (a
//! repeated caller reference), the test says which of the two it meets.
//!
//! Requests other than those about invalidations are answered with whole documents
//! that the test provides: the stand-in has no model of a distribution.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use roxmltree::{Document, Node};

use super::clock::iso8601;
use super::fault::{Operation, Refusal};
use super::{Options, ReferenceReuse};

const XMLNS: &str = "http://cloudfront.amazonaws.com/doc/2020-05-31/";
const API: &str = "/2020-05-31/";
pub(super) const REQUEST_ID: &str = "00000000-0000-4000-8000-000000000000";

const MAX_PATHS_IN_BATCH: usize = 3_000;
const MAX_FILES_IN_PROGRESS: usize = 3_000;
const MAX_WILDCARDS_IN_PROGRESS: usize = 15;
const MAX_PATH_CHARACTERS: usize = 4_000;
const MAX_TAG_CHARACTERS: usize = 256;
const MAX_REFERENCE_CHARACTERS: usize = 128;
const MAX_LISTED: usize = 100;
const BURST: u32 = 10;
const TIME_PER_CALL: Duration = Duration::from_secs(2);

pub(super) const INVALID_PATHS: &str =
    "Your request contains one or more invalid invalidation paths.";
pub(super) const BATCH_TOO_LARGE: &str = "Your request contains too many invalidation paths.";
pub(super) const TOO_MANY_FILES: &str = "Processing your request will cause you to exceed the \
     maximum number of in-progress invalidations.";
const TOO_MANY_WILDCARDS: &str = "Processing your request will cause you to exceed the maximum \
     number of in-progress wildcard invalidations.";
pub(super) const BATCH_ALREADY_EXISTS: &str = "Your request contains a caller reference that was \
     used for a previous invalidation batch for the same distribution.";

/// Holds what a request line asks of CloudFront; what it does not name is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) operation: Operation,
    distribution: String,
    id: String,
    marker: String,
    max_items: String,
    path: String,
}

impl Call {
    /// Reads the call from the request line; none if it is not CloudFront's.
    pub(super) fn parse(head: &Parts) -> Option<Self> {
        let path = head.uri.path().strip_prefix(API)?;
        let segments: Vec<&str> = path.split('/').collect();
        let (operation, distribution, id) = match (head.method.as_str(), segments.as_slice()) {
            ("POST", ["distribution", of, "invalidation"]) => {
                (Operation::CreateInvalidation, *of, "")
            }
            ("GET", ["distribution", of, "invalidation", id]) => {
                (Operation::GetInvalidation, *of, *id)
            }
            ("GET", ["distribution", of, "invalidation"]) => {
                (Operation::ListInvalidations, *of, "")
            }
            ("GET", ["distribution", of, "config"]) => (Operation::GetDistributionConfig, *of, ""),
            ("GET", ["distribution"]) => (Operation::ListDistributions, "", ""),
            _ => (Operation::OtherCloudFront, "", ""),
        };
        Some(Self {
            operation,
            distribution: distribution.to_owned(),
            id: id.to_owned(),
            marker: parameter(head, "Marker"),
            max_items: parameter(head, "MaxItems"),
            path: path.to_owned(),
        })
    }

    /// Tells whether the stand-in has rules for this, rather than a document of the test's.
    pub(super) fn is_about_invalidations(&self) -> bool {
        use Operation::{CreateInvalidation, GetInvalidation, ListInvalidations};
        matches!(
            self.operation,
            CreateInvalidation | GetInvalidation | ListInvalidations
        )
    }
}

fn parameter(head: &Parts, name: &str) -> String {
    let mut pairs = head.uri.query().unwrap_or_default().split('&');
    let value = pairs.find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    value.unwrap_or_default().to_owned()
}

/// Records a CreateInvalidation as it was received, refused ones too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The distribution asked for, known or not.
    pub distribution: String,
    /// The items of the batch, in the order sent.
    pub paths: Vec<String>,
    /// The caller reference.
    pub reference: String,
    /// The invalidation's id, or the code of the error or the name of the fault.
    pub outcome: Result<String, String>,
}

/// Tells of an invalidation that was created; a repeated reference creates none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The distribution.
    pub distribution: String,
    /// The moment by which all that was cached before is gone for its paths.
    pub created: SystemTime,
    /// The items of the batch.
    pub paths: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Batch {
    reference: String,
    paths: Vec<String>,
    quantity: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Invalidation {
    id: String,
    created: SystemTime,
    batch: Batch,
}

/// Keeps an account's distributions and what is being invalidated.
pub(super) struct CloudFront {
    options: Options,
    distributions: BTreeMap<String, Vec<Invalidation>>,
    /// The moment when every call made so far is paid for in refilled tokens.
    calls_paid_at: SystemTime,
    created: u64,
    received: Vec<Received>,
    /// Paths refused beyond the documented rules.
    pub(super) refused_paths: Vec<String>,
}

impl CloudFront {
    pub(super) fn new(options: Options) -> Self {
        let known = options.distributions.iter();
        Self {
            distributions: known.map(|id| (id.clone(), Vec::new())).collect(),
            options,
            calls_paid_at: UNIX_EPOCH,
            created: 0,
            received: Vec::new(),
            refused_paths: Vec::new(),
        }
    }

    pub(super) fn received(&self) -> &[Received] {
        &self.received
    }

    pub(super) fn accepted(&self) -> Vec<Accepted> {
        let histories = self.distributions.iter();
        let invalidations =
            histories.flat_map(|(id, history)| history.iter().map(move |it| (id, it)));
        invalidations
            .map(|(distribution, invalidation)| Accepted {
                distribution: distribution.clone(),
                created: invalidation.created,
                paths: invalidation.batch.paths.clone(),
            })
            .collect()
    }

    /// Forgets what happened; ids go on, so that none comes twice within a run.
    pub(super) fn reset(&mut self) {
        let created = self.created;
        *self = Self::new(self.options.clone());
        self.created = created;
    }

    /// Records a call that was refused before it came to the rules.
    pub(super) fn refused_before(&mut self, call: &Call, body: &[u8], reason: &str) {
        self.record(call, body, Err(reason.to_owned()));
    }

    /// Learns from an upstream's acceptance that the distribution exists.
    pub(super) fn accepted_upstream(&mut self, call: &Call) {
        let distribution = call.distribution.clone();
        self.distributions.entry(distribution).or_default();
    }

    /// Carries the call out by the rules; an upstream's id is kept, so that it finds it again.
    pub(super) fn answer(
        &mut self,
        call: &Call,
        body: &[u8],
        upstream_id: Option<String>,
        now: SystemTime,
    ) -> Result<Response, Refusal> {
        let document = match call.operation {
            Operation::CreateInvalidation => {
                let created = self.create(&call.distribution, body, upstream_id, now);
                let outcome = match &created {
                    Ok((_, invalidation)) => Ok(invalidation.id.clone()),
                    Err(refusal) => Err(refusal.code.to_owned()),
                };
                self.record(call, body, outcome);
                let (status, invalidation) = created?;
                let location = format!("{API}{}/{}", call.path, invalidation.id);
                let document = xml(self.invalidation_xml(&invalidation, now));
                return Ok((status, [(header::LOCATION, location)], document).into_response());
            }
            Operation::GetInvalidation => {
                self.invalidation_xml(self.get(&call.distribution, &call.id)?, now)
            }
            Operation::ListInvalidations => self.list_xml(call, now)?,
            _ => self.document(call)?,
        };
        Ok(xml(document))
    }

    fn record(&mut self, call: &Call, body: &[u8], outcome: Result<String, String>) {
        if call.operation == Operation::CreateInvalidation {
            let batch = parse_batch(body).unwrap_or_default();
            self.received.push(Received {
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
    ) -> Result<(StatusCode, Invalidation), Refusal> {
        self.spend_token(now)?;
        let history = self.history(distribution)?;
        let batch = parse_batch(body)?;
        check(&batch)?;
        if batch
            .paths
            .iter()
            .any(|path| self.refused_paths.contains(path))
        {
            return Err(Refusal::new(400, "InvalidArgument", INVALID_PATHS));
        }
        let mut earlier = history.iter();
        if let Some(earlier) = earlier.find(|one| one.batch.reference == batch.reference) {
            self.check_reuse(earlier, &batch)?;
            return Ok((StatusCode::OK, earlier.clone()));
        }
        self.check_quotas(history, &batch.paths, now)?;
        self.created += 1;
        let id = upstream_id.unwrap_or_else(|| invalidation_id(self.created));
        let created = now;
        let invalidation = Invalidation { id, created, batch };
        let history = self.distributions.entry(distribution.to_owned());
        history.or_default().push(invalidation.clone());
        Ok((StatusCode::CREATED, invalidation))
    }

    /// Takes a token from the account's bucket, kept as the moment when it is full again.
    fn spend_token(&mut self, now: SystemTime) -> Result<(), Refusal> {
        if !self.options.throttle {
            return Ok(());
        }
        let owed = self.calls_paid_at.duration_since(now).unwrap_or_default();
        if owed > TIME_PER_CALL * (BURST - 1) {
            return Err(Refusal::new(400, "Throttling", "Rate exceeded"));
        }
        self.calls_paid_at = now + owed + TIME_PER_CALL;
        Ok(())
    }

    fn check_reuse(&self, earlier: &Invalidation, batch: &Batch) -> Result<(), Refusal> {
        let code = match self.options.reuse {
            ReferenceReuse::Documented if earlier.batch == *batch => return Ok(()),
            ReferenceReuse::Documented => "InvalidationBatchAlreadyExists",
            ReferenceReuse::Observed => "InvalidArgument",
        };
        Err(Refusal::new(400, code, BATCH_ALREADY_EXISTS))
    }

    fn check_quotas(
        &self,
        history: &[Invalidation],
        asked: &[String],
        now: SystemTime,
    ) -> Result<(), Refusal> {
        let running = history.iter().filter(|one| self.in_progress(one, now));
        let paths = running.flat_map(|one| &one.batch.paths).chain(asked);
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
        Err(Refusal::new(400, "TooManyInvalidationsInProgress", message))
    }

    fn in_progress(&self, invalidation: &Invalidation, now: SystemTime) -> bool {
        now < invalidation.created + self.options.completes_after
    }

    fn history(&self, distribution: &str) -> Result<&[Invalidation], Refusal> {
        let message = "The specified distribution does not exist.";
        let history = self.distributions.get(distribution).map(Vec::as_slice);
        history.ok_or_else(|| Refusal::new(404, "NoSuchDistribution", message))
    }

    fn get(&self, distribution: &str, id: &str) -> Result<&Invalidation, Refusal> {
        let message = "The specified invalidation does not exist.";
        let found = self.history(distribution)?.iter().find(|one| one.id == id);
        found.ok_or_else(|| Refusal::new(404, "NoSuchInvalidation", message))
    }

    fn document(&self, call: &Call) -> Result<String, Refusal> {
        let name = match call.marker.as_str() {
            "" => call.path.clone(),
            marker => format!("{}?Marker={marker}", call.path),
        };
        if let Some(document) = self.options.documents.get(&name) {
            return Ok(document.clone());
        }
        if call.operation == Operation::GetDistributionConfig {
            self.history(&call.distribution)?;
        }
        let message = format!("The test gave the stand-in no document \"{name}\".");
        Err(Refusal::new(501, "NotImplemented", message))
    }

    fn summary_xml(&self, invalidation: &Invalidation, now: SystemTime) -> String {
        let in_progress = self.in_progress(invalidation, now);
        let status = ["Completed", "InProgress"][usize::from(in_progress)];
        let created = iso8601(invalidation.created);
        let id = &invalidation.id;
        format!("<Id>{id}</Id><CreateTime>{created}</CreateTime><Status>{status}</Status>")
    }

    fn invalidation_xml(&self, invalidation: &Invalidation, now: SystemTime) -> String {
        let batch = &invalidation.batch;
        let path = |path: &String| format!("<Path>{}</Path>", escape(path));
        format!(
            "<Invalidation xmlns=\"{XMLNS}\">{}<InvalidationBatch><Paths><Quantity>{}</Quantity>\
             <Items>{}</Items></Paths><CallerReference>{}</CallerReference></InvalidationBatch>\
             </Invalidation>",
            self.summary_xml(invalidation, now),
            batch.paths.len(),
            batch.paths.iter().map(path).collect::<String>(),
            escape(&batch.reference)
        )
    }

    fn list_xml(&self, call: &Call, now: SystemTime) -> Result<String, Refusal> {
        let history = self.history(&call.distribution)?;
        let max_items = match call.max_items.as_str() {
            "" => MAX_LISTED,
            number => number.parse().unwrap_or_default(),
        };
        if !(1..=MAX_LISTED).contains(&max_items) {
            return Err(invalid_argument("MaxItems must be between 1 and 100."));
        }
        let older = match call.marker.as_str() {
            "" => history,
            marker => {
                let last_seen = history.iter().position(|one| one.id == marker);
                let last_seen = last_seen.ok_or_else(|| invalid_argument("Unknown marker."))?;
                &history[..last_seen]
            }
        };
        let listed = &older[older.len().saturating_sub(max_items)..];
        let next = listed.first().filter(|_| listed.len() < older.len());
        let next = next.map(|oldest| format!("<NextMarker>{}</NextMarker>", oldest.id));
        let summaries = listed.iter().rev().map(|one| {
            let summary = self.summary_xml(one, now);
            format!("<InvalidationSummary>{summary}</InvalidationSummary>")
        });
        Ok(format!(
            "<InvalidationList xmlns=\"{XMLNS}\"><Marker>{}</Marker>{}<MaxItems>{max_items}\
             </MaxItems><IsTruncated>{}</IsTruncated><Quantity>{}</Quantity><Items>{}</Items>\
             </InvalidationList>",
            call.marker,
            next.as_deref().unwrap_or_default(),
            next.is_some(),
            listed.len(),
            summaries.collect::<String>()
        ))
    }
}

fn parse_batch(body: &[u8]) -> Result<Batch, Refusal> {
    if body.is_empty() {
        let message = "This operation requires a body.";
        return Err(Refusal::new(400, "MissingBody", message));
    }
    read_batch(body)
        .ok_or_else(|| Refusal::new(400, "MalformedInput", "The request is not well-formed."))
}

fn read_batch(body: &[u8]) -> Option<Batch> {
    let document = Document::parse(std::str::from_utf8(body).ok()?).ok()?;
    let root = document.root_element();
    let paths = child(root, "Paths")?;
    let items = child(paths, "Items").into_iter();
    let items = items.flat_map(|items| items.children().filter(Node::is_element));
    let text = |node: Node| node.text().unwrap_or_default().to_owned();
    root.has_tag_name((XMLNS, "InvalidationBatch"))
        .then_some(Batch {
            reference: child(root, "CallerReference").map(text)?,
            quantity: child(paths, "Quantity").map(text)?.parse().ok()?,
            paths: items.map(text).collect(),
        })
}

fn child<'a, 'input>(node: Node<'a, 'input>, name: &str) -> Option<Node<'a, 'input>> {
    node.children().find(|child| child.has_tag_name(name))
}

fn check(batch: &Batch) -> Result<(), Refusal> {
    if batch.quantity != batch.paths.len() {
        let message = "The value of Quantity and the size of Items don't match.";
        return Err(Refusal::new(400, "InconsistentQuantities", message));
    }
    if !(1..=MAX_REFERENCE_CHARACTERS).contains(&batch.reference.chars().count()) {
        return Err(invalid_argument(
            "The caller reference must have 1 to 128 characters.",
        ));
    }
    if batch.paths.is_empty() || !batch.paths.iter().all(|path| is_valid(path)) {
        return Err(invalid_argument(INVALID_PATHS));
    }
    if batch.paths.len() > MAX_PATHS_IN_BATCH {
        return Err(Refusal::new(413, "BatchTooLarge", BATCH_TOO_LARGE));
    }
    Ok(())
}

fn is_valid(path: &str) -> bool {
    match path.strip_prefix('#') {
        Some(tag) => {
            let legal = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b',' | b'*');
            (1..=MAX_TAG_CHARACTERS).contains(&tag.len()) && tag.bytes().all(legal)
        }
        None => {
            let before_wildcard = path.strip_suffix('*').unwrap_or(path);
            path.starts_with('/')
                && path.len() <= MAX_PATH_CHARACTERS
                && before_wildcard.bytes().all(is_safe)
                && before_wildcard
                    .split('%')
                    .skip(1)
                    .all(starts_with_two_hex_digits)
        }
    }
}

/// Tells whether a byte may stand in a path as it is: RFC 1738's unsafe ones must be encoded.
fn is_safe(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"<>\"#{}|\\^~[]`*".contains(&byte)
}

fn starts_with_two_hex_digits(text: &str) -> bool {
    text.len() >= 2 && text.bytes().take(2).all(|byte| byte.is_ascii_hexdigit())
}

fn invalid_argument(message: &str) -> Refusal {
    Refusal::new(400, "InvalidArgument", message)
}

/// Makes the id of the nth invalidation: odd multiplication never maps two numbers to one.
fn invalidation_id(number: u64) -> String {
    const DIGITS: &[u8; 36] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let scattered = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let digit = |place: u32| char::from(DIGITS[(scattered / 36_u64.pow(place) % 36) as usize]);
    std::iter::once('I')
        .chain((0..=12).rev().map(digit))
        .collect()
}

/// Finds the first element of a name in another server's answer.
pub(super) fn text_in(answer: &[u8], name: &str) -> Option<String> {
    let document = Document::parse(std::str::from_utf8(answer).ok()?).ok()?;
    let mut nodes = document.descendants();
    let found = nodes.find(|node| node.has_tag_name(name))?;
    found.text().map(str::to_owned)
}

/// Writes a refusal as CloudFront does.
pub(super) fn refuse(refusal: &Refusal) -> Response {
    let kind = ["Sender", "Receiver"][usize::from(refusal.status >= 500)];
    let document = format!(
        "<ErrorResponse xmlns=\"{XMLNS}\"><Error><Type>{kind}</Type><Code>{}</Code><Message>{}\
         </Message></Error><RequestId>{REQUEST_ID}</RequestId></ErrorResponse>",
        refusal.code,
        escape(&refusal.message)
    );
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_REQUEST);
    (status, xml(document)).into_response()
}

fn xml(document: String) -> Response {
    let headers = [
        ("content-type", "text/xml"),
        ("x-amzn-requestid", REQUEST_ID),
    ];
    (headers, document).into_response()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::standin::Clock;

    const NOW: Clock = Clock::Frozen(UNIX_EPOCH);

    fn cloudfront(options: Options) -> CloudFront {
        CloudFront::new(options.with_distribution("E2EXAMPLE"))
    }

    fn unthrottled() -> Options {
        Options {
            throttle: false,
            ..Options::default()
        }
    }

    fn body(reference: &str, paths: &[&str]) -> String {
        let items: String = paths
            .iter()
            .map(|path| format!("<Path>{}</Path>", escape(path)))
            .collect();
        format!(
            "<InvalidationBatch xmlns=\"{XMLNS}\"><Paths><Quantity>{}</Quantity><Items>{items}\
             </Items></Paths><CallerReference>{reference}</CallerReference></InvalidationBatch>",
            paths.len()
        )
    }

    fn create(
        cloudfront: &mut CloudFront,
        clock: Clock,
        reference: &str,
        paths: &[&str],
    ) -> Result<(u16, String), (u16, &'static str, String)> {
        let body = body(reference, paths);
        cloudfront
            .create("E2EXAMPLE", body.as_bytes(), None, clock.now())
            .map(|(status, invalidation)| (status.as_u16(), invalidation.id))
            .map_err(|refusal| (refusal.status, refusal.code, refusal.message))
    }

    fn created(number: u64) -> Result<(u16, String), (u16, &'static str, String)> {
        Ok((201, invalidation_id(number)))
    }

    #[test]
    fn paths_are_valid_only_as_cloudfront_would_take_them() {
        let longest = format!("/{}", "a".repeat(3_999));
        let too_long = format!("{longest}a");
        let (longest_tag, tag_too_long) = ("#".to_owned() + &"t".repeat(256), "t".repeat(257));
        let tag_too_long = format!("#{tag_too_long}");
        for valid in [
            "/",
            "/*",
            "/a",
            "/a*",
            "/a/*",
            "/a%20b",
            "/%C3%A9",
            "/a?b=1&c=(d)",
            "/a+b,c;d'e!$@:",
            "#tag",
            "#product:electronics",
            "#~[<",
            &longest,
            &longest_tag,
        ] {
            assert!(is_valid(valid), "{valid}");
        }
        for invalid in [
            "",
            "a",
            "*",
            "https://www.example.com/a",
            "/a*b",
            "/**",
            "/a b",
            "/é",
            "/a\tb",
            "/a\u{7f}",
            "/a<",
            "/a>",
            "/a\"",
            "/a#b",
            "/a{",
            "/a}",
            "/a|",
            "/a\\",
            "/a^",
            "/a~",
            "/a[",
            "/a]",
            "/a`",
            "/a%",
            "/a%2",
            "/a%zz",
            "/a%2*",
            "#",
            "#a,b",
            "#a*",
            "#a b",
            "#é",
            &too_long,
            &tag_too_long,
        ] {
            assert!(!is_valid(invalid), "{invalid}");
        }
    }

    #[test]
    fn requests_out_of_shape_are_refused_each_with_its_own_code() {
        let batch = |reference: &str, paths: &[&str]| body(reference, paths);
        let many = vec!["/a"; 3_001];
        let long = "r".repeat(129);
        let two_for_one = batch("r", &["/a"]).replace("y>1<", "y>2<");
        let no_quantity = batch("r", &["/a"]).replace("<Quantity>1</Quantity>", "");
        let no_namespace = batch("r", &["/a"]).replace(XMLNS, "");
        let reference = "The caller reference must have 1 to 128 characters.";
        let quantity = "The value of Quantity and the size of Items don't match.";
        let malformed = "The request is not well-formed.";
        for (body, status, code, message) in [
            (
                String::new(),
                400,
                "MissingBody",
                "This operation requires a body.",
            ),
            ("{}".to_owned(), 400, "MalformedInput", malformed),
            (no_quantity, 400, "MalformedInput", malformed),
            (no_namespace, 400, "MalformedInput", malformed),
            (two_for_one, 400, "InconsistentQuantities", quantity),
            (batch("", &["/a"]), 400, "InvalidArgument", reference),
            (batch(&long, &["/a"]), 400, "InvalidArgument", reference),
            (batch("r", &[]), 400, "InvalidArgument", INVALID_PATHS),
            (
                batch("r", &["/a", "b"]),
                400,
                "InvalidArgument",
                INVALID_PATHS,
            ),
            (batch("r", &many), 413, "BatchTooLarge", BATCH_TOO_LARGE),
        ] {
            let outcome =
                cloudfront(unthrottled()).create("E2EXAMPLE", body.as_bytes(), None, NOW.now());
            assert_eq!(outcome, Err(Refusal::new(status, code, message)));
        }
    }

    #[test]
    fn files_and_wildcards_fill_separate_quotas_until_they_are_completed() {
        let mut cloudfront = cloudfront(unthrottled());
        let mut clock = NOW;
        let (files, wildcards) = (vec!["/a"; 3_000], vec!["/a*"; 15]);
        let too_many =
            |message: &str| Err((400, "TooManyInvalidationsInProgress", message.to_owned()));
        assert_eq!(create(&mut cloudfront, clock, "files", &files), created(1));
        assert_eq!(
            create(&mut cloudfront, clock, "tag", &["#t"]),
            too_many(TOO_MANY_FILES)
        );
        assert_eq!(
            create(&mut cloudfront, clock, "wildcards", &wildcards),
            created(2)
        );
        assert_eq!(
            create(&mut cloudfront, clock, "more", &["/b*"]),
            too_many(TOO_MANY_WILDCARDS)
        );
        clock.advance(Duration::from_millis(13_999));
        assert_eq!(
            create(&mut cloudfront, clock, "more", &["/b"]),
            too_many(TOO_MANY_FILES)
        );
        clock.advance(Duration::from_millis(1));
        assert_eq!(
            create(&mut cloudfront, clock, "more", &["/b", "/b*"]),
            created(3)
        );
    }

    #[test]
    fn the_account_may_call_ten_times_at_once_and_then_every_two_seconds() {
        let mut cloudfront = cloudfront(Options::default());
        let mut clock = NOW;
        let throttled = || Err((400, "Throttling", "Rate exceeded".to_owned()));
        for number in 1..=10 {
            let reference = number.to_string();
            assert_eq!(
                create(&mut cloudfront, clock, &reference, &["/a"]),
                created(number)
            );
        }
        assert_eq!(create(&mut cloudfront, clock, "11", &["/a"]), throttled());
        clock.advance(Duration::from_millis(1_999));
        assert_eq!(create(&mut cloudfront, clock, "11", &["/a"]), throttled());
        clock.advance(Duration::from_millis(1));
        assert_eq!(create(&mut cloudfront, clock, "11", &["/a"]), created(11));
        assert_eq!(create(&mut cloudfront, clock, "12", &["/a"]), throttled());
    }

    #[test]
    fn a_reference_that_comes_twice_is_answered_in_both_known_forms() {
        let refused = |code| Err((400, code, BATCH_ALREADY_EXISTS.to_owned()));
        for (reuse, same_paths, other_paths) in [
            (
                ReferenceReuse::Documented,
                Ok((200, invalidation_id(1))),
                refused("InvalidationBatchAlreadyExists"),
            ),
            (
                ReferenceReuse::Observed,
                refused("InvalidArgument"),
                refused("InvalidArgument"),
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
    fn ids_look_like_cloudfronts_and_differ() {
        let ids: Vec<String> = (1..=1_000).map(invalidation_id).collect();
        let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!(ids[..2], ["I2EM8044MZE87P", "I0X31Z773TZZMY"]);
        assert_eq!(distinct.len(), ids.len());
    }
}
