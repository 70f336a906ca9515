//! S3's buckets in this process: what a distribution's origin returns, HeadObject, GetObject and ListObjectsV2.
//!
//! A test puts objects into a bucket and deletes them. An object has the headers that S3 would send; a test can replace
//! each of them. There are no versions or ranges. HeadObject is `HEAD /bucket/key` with a signature for the service s3,
//! GetObject the same with GET. ListObjectsV2 is `GET /bucket?list-type=2` and has one page. The signature is not checked.
//!
//! HeadObject: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html>
//! GetObject: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html>
//! ListObjectsV2: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html>
//! Error responses: <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::Bytes;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use md5::{Digest, Md5};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::clock::{http_date, iso8601};
use super::cloudfront::REQUEST_ID;
use super::fault::{ACCOUNT, ApiError, Operation};

/// The content type of an object whose extension is not known.
const UNKNOWN_TYPE: &str = "binary/octet-stream";

/// The most keys of a page.
const MAX_KEYS: usize = 1_000;

/// What is encoded in the keys of a list, except for a space, which becomes a plus: botocore decodes keys with `unquote_plus`.
/// The documentation only has the example of parentheses.
const ENCODED_IN_LIST: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b' ')
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'*')
    .remove(b'/');

/// Content types by extension.
const CONTENT_TYPES: &[(&str, &str)] = &[
    ("css", "text/css"),
    ("gif", "image/gif"),
    ("html", "text/html"),
    ("ico", "image/vnd.microsoft.icon"),
    ("jpg", "image/jpeg"),
    ("js", "text/javascript"),
    ("json", "application/json"),
    ("map", "application/json"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("svg", "image/svg+xml"),
    ("txt", "text/plain"),
    ("webp", "image/webp"),
    ("woff2", "font/woff2"),
    ("xml", "application/xml"),
];

/// An object of a bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Object {
    pub body: Bytes,
    /// The ETag with its quotes; without one, it is the MD5 of the body, as for an upload in one part without SSE-KMS.
    pub etag: Option<String>,
    /// When the object was created; without a time, it is when the test put it.
    pub modified: Option<SystemTime>,
    /// Headers that the origin sends in addition, or instead of its own of the same name.
    pub headers: Vec<(String, String)>,
}

impl Object {
    /// Returns an object with this ETag, which contains its quotes.
    pub fn with_etag(mut self, etag: &str) -> Self {
        self.etag = Some(etag.to_owned());
        self
    }

    /// Returns an object that was created at this time.
    pub fn with_modified(mut self, modified: SystemTime) -> Self {
        self.modified = Some(modified);
        self
    }

    /// Returns an object with this header.
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Returns when the object was created.
    pub(super) fn modified(&self) -> SystemTime {
        self.modified.unwrap_or(UNIX_EPOCH)
    }

    /// Returns the object's ETag with its quotes.
    pub(super) fn etag(&self) -> String {
        let md5 = || {
            let digest = Md5::digest(&self.body);
            format!("\"{:x}\"", Bytes::copy_from_slice(&digest))
        };
        self.etag.clone().unwrap_or_else(md5)
    }
}

impl<T: Into<Bytes>> From<T> for Object {
    fn from(body: T) -> Self {
        Self {
            body: body.into(),
            ..Self::default()
        }
    }
}

/// What a test chooses about a bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BucketOptions {
    /// Whether the bucket's policy allows CloudFront to list it: a missing key is then 404, not 403.
    pub cloudfront_lists: bool,
    /// Whether the caller of the API is not allowed to read the bucket's objects. CloudFront is.
    pub denies_head_object: bool,
    /// Whether the caller of the API is not allowed to list the bucket: a list, and a missing key, are then 403.
    pub denies_list_bucket: bool,
    /// The region; without one, the bucket is in every region.
    pub region: Option<String>,
}

#[derive(Default)]
struct Bucket {
    options: BucketOptions,
    objects: BTreeMap<String, Object>,
}

/// The result of a read by CloudFront.
pub(super) enum Read {
    Found(Object),
    Missing(BucketOptions),
    NoSuchBucket,
}

/// A call of S3, read from the head of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) operation: Operation,
    bucket: String,
    target: Target,
    /// The region of the signature.
    region: String,
}

/// What a call reads.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Target {
    /// The object with this key.
    Object(String),
    Keys(List),
}

/// The parameters of ListObjectsV2.
#[derive(Clone, Debug, PartialEq, Eq)]
struct List {
    prefix: String,
    max_keys: usize,
    /// Whether the parameter `encoding-type` is `url`.
    is_encoded: bool,
}

impl List {
    /// Reads the query string; `None` if it is that of another operation.
    fn parse(query: &str) -> Option<Self> {
        let parameter = |name: &str| {
            let mut parameters = query.split('&').filter_map(|part| part.split_once('='));
            let found = parameters.find(|(found, _)| *found == name);
            found.map(|(_, value)| key(value))
        };
        (parameter("list-type")? == "2").then_some(())?;
        let max_keys = match parameter("max-keys") {
            Some(number) => number.parse().ok()?,
            None => MAX_KEYS,
        };
        Some(Self {
            prefix: parameter("prefix").unwrap_or_default(),
            max_keys: MAX_KEYS.min(max_keys),
            is_encoded: parameter("encoding-type").as_deref() == Some("url"),
        })
    }

    /// Writes a text of the response: S3 encodes keys and the prefix.
    fn text(&self, text: &str) -> String {
        if self.is_encoded {
            let encoded = utf8_percent_encode(text, ENCODED_IN_LIST).to_string();
            return encoded.replace(' ', "+");
        }
        text.replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
    }

    /// Writes the response for the objects of a bucket.
    fn response(&self, bucket: &str, objects: &BTreeMap<String, Object>) -> Response {
        let below = || {
            let objects = objects.range(self.prefix.clone()..);
            objects.take_while(|(key, _)| key.starts_with(&self.prefix))
        };
        let contents: Vec<String> = below()
            .take(self.max_keys)
            .map(|(key, object)| {
                format!(
                    "<Contents><Key>{}</Key><LastModified>{}</LastModified><ETag>{}</ETag><Size>{}</Size>\
                     <StorageClass>STANDARD</StorageClass></Contents>",
                    self.text(key),
                    iso8601(object.modified()),
                    object.etag().replace('"', "&quot;"),
                    object.body.len()
                )
            })
            .collect();
        let encoding_type = if self.is_encoded {
            "<EncodingType>url</EncodingType>"
        } else {
            ""
        };
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>{bucket}</Name>\
             <Prefix>{}</Prefix><KeyCount>{}</KeyCount><MaxKeys>{}</MaxKeys>{encoding_type}\
             <IsTruncated>{}</IsTruncated>{}</ListBucketResult>",
            self.text(&self.prefix),
            contents.len(),
            self.max_keys,
            below().count() > contents.len(),
            contents.concat()
        );
        let headers = [
            (header::CONTENT_TYPE.as_str(), "application/xml"),
            ("x-amz-request-id", REQUEST_ID),
        ];
        (headers, body).into_response()
    }
}

impl Call {
    /// Reads a call; `None` if the request is not signed for S3, or is not one that the stand-in has.
    pub(super) fn parse(head: &Parts) -> Option<Self> {
        let authorization = head.headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let (_, credential) = authorization.split_once("Credential=")?;
        let credential = credential.split(',').next()?;
        // The access key, the date, the region, the service and `aws4_request`.
        let mut scope = credential.trim().split('/').skip(2);
        let (region, service) = (scope.next()?, scope.next()?);
        if service != "s3" {
            return None;
        }
        let path = head.uri.path().strip_prefix('/')?;
        let (bucket, path) = path.split_once('/').unwrap_or((path, ""));
        let list = || List::parse(head.uri.query().unwrap_or_default()).map(Target::Keys);
        let (operation, target) = match (&head.method, path) {
            (&Method::GET, "") => (Operation::ListObjectsV2, list()?),
            (_, "") => return None,
            (&Method::HEAD, path) => (Operation::HeadObject, Target::Object(key(path))),
            (&Method::GET, path) => (Operation::GetObject, Target::Object(key(path))),
            _ => return None,
        };
        Some(Self {
            operation,
            bucket: bucket.to_owned(),
            target,
            region: region.to_owned(),
        })
    }

    /// Returns the ARN that a denial names.
    pub(super) fn resource(&self) -> String {
        let bucket = bucket_arn(&self.bucket);
        match &self.target {
            Target::Object(key) => format!("{bucket}/{key}"),
            Target::Keys(_) => bucket,
        }
    }
}

/// The buckets, which the API and the edge read.
#[derive(Clone, Default)]
pub(super) struct Buckets(Arc<Mutex<BTreeMap<String, Bucket>>>);

impl Buckets {
    /// Puts an object at this time; a bucket that does not exist is created.
    pub(super) fn put(&self, bucket: &str, key: &str, object: Object, now: SystemTime) {
        let object = Object {
            modified: object.modified.or(Some(now)),
            ..object
        };
        let buckets = &mut *self.lock();
        let bucket = buckets.entry(bucket.to_owned()).or_default();
        bucket.objects.insert(key.to_owned(), object);
    }

    /// Deletes an object, if it exists.
    pub(super) fn delete(&self, bucket: &str, key: &str) {
        if let Some(bucket) = self.lock().get_mut(bucket) {
            bucket.objects.remove(key);
        }
    }

    /// Changes the options of a bucket; one that does not exist is created.
    pub(super) fn configure(&self, bucket: &str, options: BucketOptions) {
        let buckets = &mut *self.lock();
        buckets.entry(bucket.to_owned()).or_default().options = options;
    }

    pub(super) fn read(&self, bucket: &str, key: &str) -> Read {
        let buckets = self.lock();
        let Some(bucket) = buckets.get(bucket) else {
            return Read::NoSuchBucket;
        };
        match bucket.objects.get(key) {
            Some(object) => Read::Found(object.clone()),
            None => Read::Missing(bucket.options.clone()),
        }
    }

    /// Responds to a call. The server leaves out the body of a response to HEAD.
    pub(super) fn call(&self, call: &Call) -> Result<Response, ApiError> {
        let buckets = self.lock();
        let no_such_bucket =
            || ApiError::new(404, "NoSuchBucket", "The specified bucket does not exist");
        let bucket = buckets.get(&call.bucket).ok_or_else(no_such_bucket)?;
        let region = bucket.options.region.as_deref();
        if let Some(region) = region.filter(|region| *region != call.region) {
            let headers = [
                ("x-amz-bucket-region", region),
                ("x-amz-request-id", REQUEST_ID),
            ];
            let body = error_body("PermanentRedirect", "use the specified endpoint");
            return Ok((StatusCode::MOVED_PERMANENTLY, headers, body).into_response());
        }
        let list_denied = || denied("s3:ListBucket", &bucket_arn(&call.bucket));
        let key = match &call.target {
            Target::Object(key) => key,
            Target::Keys(_) if bucket.options.denies_list_bucket => return Err(list_denied()),
            Target::Keys(list) => return Ok(list.response(&call.bucket, &bucket.objects)),
        };
        if bucket.options.denies_head_object {
            return Err(denied("s3:GetObject", &call.resource()));
        }
        let object = match bucket.objects.get(key) {
            Some(object) => object,
            None if bucket.options.denies_list_bucket => return Err(list_denied()),
            None => {
                let message = "The specified key does not exist.";
                return Err(ApiError::new(404, "NoSuchKey", message));
            }
        };
        let own = [
            (header::ETAG.as_str(), object.etag()),
            (header::LAST_MODIFIED.as_str(), http_date(object.modified())),
            (
                header::CONTENT_LENGTH.as_str(),
                object.body.len().to_string(),
            ),
            (header::CONTENT_TYPE.as_str(), content_type(key).to_owned()),
            (header::ACCEPT_RANGES.as_str(), "bytes".to_owned()),
            ("x-amz-request-id", REQUEST_ID.to_owned()),
        ];
        let own = own.map(|(name, value)| (name.to_owned(), value));
        let mut response = Response::new(object.body.clone().into());
        for (name, value) in own.iter().chain(&object.headers) {
            let name = HeaderName::try_from(name).expect("the name of a header");
            let value = HeaderValue::try_from(value).expect("the value of a header");
            response.headers_mut().insert(name, value);
        }
        Ok(response)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Bucket>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the key that a path of a request stands for: S3 decodes a plus to a space. A path that is not UTF-8 becomes
/// the key of no object.
pub(super) fn key(path: &str) -> String {
    let path = path.replace('+', " ");
    percent_decode_str(&path).decode_utf8_lossy().into_owned()
}

/// Returns the content type that an upload guesses from the key.
pub(super) fn content_type(key: &str) -> &'static str {
    let extension = key.rsplit_once('.').map_or("", |(_, extension)| extension);
    let mut known = CONTENT_TYPES.iter();
    let found = known.find(|(known, _)| *known == extension);
    found.map_or(UNKNOWN_TYPE, |(_, content_type)| content_type)
}

fn bucket_arn(bucket: &str) -> String {
    format!("arn:aws:s3:::{bucket}")
}

/// Returns the error of a caller whose policies do not allow the action.
fn denied(action: &str, resource: &str) -> ApiError {
    let message = format!(
        "User: arn:aws:sts::{ACCOUNT}:assumed-role/standin/standin is not authorized to perform: {action} on resource: \
         \"{resource}\" because no identity-based policy allows the {action} action"
    );
    ApiError::new(403, "AccessDenied", message)
}

/// Writes an error. The server leaves out the body of a response to HEAD.
pub(super) fn error_response(error: &ApiError) -> Response {
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_REQUEST);
    let headers = [("x-amz-request-id", REQUEST_ID)];
    (status, headers, error_body(&error.code, &error.message)).into_response()
}

/// Writes S3's error.
pub(super) fn error_body(code: &str, message: &str) -> Bytes {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <Error><Code>{code}</Code><Message>{message}</Message></Error>"
    )
    .into()
}
