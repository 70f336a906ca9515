//! S3's buckets in this process: what a distribution's origin returns, HeadObject and GetObject.
//!
//! A test puts objects into a bucket and deletes them. An object has the headers that S3 would send; a test can replace
//! each of them. Nothing is listed, and there are no versions or ranges. HeadObject is `HEAD /bucket/key` with a signature for
//! the service s3, GetObject the same with GET. The signature is not checked.
//!
//! HeadObject: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html>
//! GetObject: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html>
//! Error responses: <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::Bytes;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use md5::{Digest, Md5};
use percent_encoding::percent_decode_str;

use super::clock::http_date;
use super::cloudfront::REQUEST_ID;
use super::fault::{ACCOUNT, ApiError, Operation};

/// The content type of an object whose extension is not known.
const UNKNOWN_TYPE: &str = "binary/octet-stream";

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
    /// Whether the caller of the API is not allowed to list the bucket: a missing key is then 403, not 404.
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

/// A HeadObject or GetObject, read from the head of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) operation: Operation,
    bucket: String,
    key: String,
    /// The region of the signature.
    region: String,
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
        let path = head.uri.path().strip_prefix('/')?;
        let (bucket, path) = path.split_once('/')?;
        let operation = match head.method {
            Method::HEAD => Operation::HeadObject,
            Method::GET => Operation::GetObject,
            _ => return None,
        };
        let is_of_object = service == "s3" && !path.is_empty();
        is_of_object.then(|| Self {
            operation,
            bucket: bucket.to_owned(),
            key: key(path),
            region: region.to_owned(),
        })
    }

    /// Returns the ARN that a denial names.
    pub(super) fn resource(&self) -> String {
        format!("arn:aws:s3:::{}/{}", self.bucket, self.key)
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
        if bucket.options.denies_head_object {
            return Err(denied("s3:GetObject", &call.resource()));
        }
        let object = match bucket.objects.get(&call.key) {
            Some(object) => object,
            None if bucket.options.denies_list_bucket => {
                let resource = format!("arn:aws:s3:::{}", call.bucket);
                return Err(denied("s3:ListBucket", &resource));
            }
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
            (
                header::CONTENT_TYPE.as_str(),
                content_type(&call.key).to_owned(),
            ),
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
