//! S3: reads what a bucket has under a key, with HeadObject, and which keys it has, with ListObjectsV2.
//!
//! A response to HEAD has no body, so S3's error has neither a code nor a message. Where the status does not decide, one
//! GetObject of the same object gets them: it needs the same permission, and one byte at most is read. An object counts as
//! missing only if S3 itself answered so, and its bucket exists. This module is also the only classifier of S3's errors.
//!
//! HeadObject: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html>
//! ListObjectsV2: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html>
//! Errors: <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::config::{Builder, Config, Region};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::head_object::{HeadObjectError, HeadObjectOutput};
use aws_sdk_s3::operation::list_objects_v2::{ListObjectsV2Error, ListObjectsV2Output};
use aws_sdk_s3::types::{EncodingType, ServerSideEncryption};
use aws_types::SdkConfig;
use aws_types::request_id::RequestId;
use chrono::{DateTime, Utc};
use percent_encoding::percent_decode_str;
use tokio::time::{Instant, timeout_at};

use super::call_log::CallLog;

use super::sdk::{partition, service_endpoint};
use super::sdk_error::{aws_message, credentials_error};
use crate::error::{Error, ErrorKind};
use crate::verify::judge::OriginObject;
use crate::verify::origin::{BucketObject, BucketPrefix};
use crate::verify::strong_etag;

/// How long it may take to read an object or a list with all calls and their retries.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The action that ListObjectsV2 needs.
const LIST_BUCKET: &str = "s3:ListBucket";

/// The header of S3's responses that names the bucket's region.
const BUCKET_REGION: &str = "x-amz-bucket-region";

/// A client of S3.
#[derive(Debug)]
pub struct S3 {
    client: aws_sdk_s3::Client,
    /// The region of the user, in which a bucket without a known region is searched.
    region: Option<Region>,
    buckets: Mutex<BTreeMap<String, KnownBucket>>,
}

/// What the responses have shown about a bucket.
#[derive(Clone, Debug, Default)]
struct KnownBucket {
    /// Its region, if that is another one than expected.
    region: Option<Region>,
    /// Whether it certainly exists.
    exists: bool,
}

/// What a bucket has under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeadObject {
    /// The object.
    Found(FoundObject),
    /// Nothing.
    Missing,
}

/// The metadata of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundObject {
    /// The ETag as S3 sends it, with quotes.
    pub etag: String,
    /// When it was written.
    pub modified: Option<DateTime<Utc>>,
    /// How many bytes it has, as it is stored.
    pub size: Option<u64>,
    /// Its `Content-Encoding`, if that is not empty.
    pub content_encoding: Option<String>,
    /// Whether the ETag is the MD5 of the object as it is stored.
    pub is_md5: bool,
}

impl HeadObject {
    /// Returns what the judgement of a response needs.
    pub fn origin_object(&self) -> OriginObject {
        match self {
            Self::Found(object) => OriginObject::Found {
                etag: object.etag.clone(),
                modified: object.modified,
            },
            Self::Missing => OriginObject::Missing,
        }
    }
}

/// What a call reads.
trait Target {
    fn bucket(&self) -> &str;

    /// Returns the region that the origin's domain name has.
    fn region(&self) -> Option<&str>;

    /// Completes the sentence "could not …".
    fn purpose(&self) -> String;

    /// Returns the error of a denial.
    fn denied(&self, partition: &str, message: String) -> ErrorKind;
}

impl Target for BucketObject {
    fn bucket(&self) -> &str {
        &self.bucket
    }

    fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }

    fn purpose(&self) -> String {
        format!("read {self}")
    }

    /// Without `s3:ListBucket`, S3 denies to read an object that does not exist, and its message names that action or none.
    fn denied(&self, partition: &str, message: String) -> ErrorKind {
        let Self { bucket, key, .. } = self;
        let (action, resource) = if message.contains("perform: s3:ListBucket ") {
            (LIST_BUCKET, bucket_arn(partition, bucket))
        } else {
            (
                "s3:GetObject",
                format!("{}/{key}", bucket_arn(partition, bucket)),
            )
        };
        let is_ambiguous = !message.contains("is not authorized to perform");
        ErrorKind::AccessDenied {
            action: action.to_owned(),
            resource,
            message: if is_ambiguous {
                format!(
                    "{message} (S3 also denies to read an object that does not exist, unless {LIST_BUCKET} is allowed)"
                )
            } else {
                message
            },
        }
    }
}

impl Target for BucketPrefix {
    fn bucket(&self) -> &str {
        &self.bucket
    }

    fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }

    fn purpose(&self) -> String {
        format!("list {self}")
    }

    fn denied(&self, partition: &str, message: String) -> ErrorKind {
        ErrorKind::AccessDenied {
            action: LIST_BUCKET.to_owned(),
            resource: bucket_arn(partition, &self.bucket),
            message,
        }
    }
}

impl S3 {
    /// Creates a client; sends nothing.
    pub fn new(sdk: &SdkConfig) -> Self {
        Self::with_config(sdk, Builder::from(sdk))
    }

    /// Creates a client that prints its calls.
    pub fn with_call_log(sdk: &SdkConfig, calls: CallLog) -> Self {
        Self::with_config(sdk, Builder::from(sdk).interceptor(calls))
    }

    fn with_config(sdk: &SdkConfig, config: Builder) -> Self {
        // The name of a bucket before that of a local server does not resolve.
        let is_custom = service_endpoint(sdk, "S3").is_some();
        let config = config.force_path_style(is_custom);
        Self {
            client: aws_sdk_s3::Client::from_conf(config.build()),
            region: sdk.region().cloned(),
            buckets: Mutex::default(),
        }
    }

    /// Reads the metadata of an object, in at most five seconds.
    ///
    /// # Errors
    ///
    /// [`Error`] if S3 denies it, did not respond before `deadline`, or failed, and if the bucket does not exist.
    pub async fn head(
        &self,
        object: &BucketObject,
        deadline: Instant,
    ) -> Result<HeadObject, Error> {
        let deadline = deadline.min(Instant::now() + TIMEOUT);
        let found = timeout_at(deadline, self.find(object)).await;
        found.unwrap_or_else(|_elapsed| Err(unavailable(object, "no response in time")))
    }

    /// Returns some of the keys that start with the prefix, at most `max`, in at most five seconds. Folders are left out.
    ///
    /// # Errors
    ///
    /// [`Error`] if S3 denies it, did not respond before `deadline`, or failed, and if the bucket does not exist.
    pub async fn list(
        &self,
        prefix: &BucketPrefix,
        max: usize,
        deadline: Instant,
    ) -> Result<Vec<String>, Error> {
        // The first key is often that of the folder itself.
        let max_keys = i32::try_from(max.saturating_add(1)).unwrap_or(i32::MAX);
        let list = self.in_its_region(prefix, |region| self.list_objects(prefix, max_keys, region));
        let deadline = deadline.min(Instant::now() + TIMEOUT);
        let Ok((region, response)) = timeout_at(deadline, list).await else {
            return Err(unavailable(prefix, "no response in time"));
        };
        let output = response.map_err(|error| classified(prefix, region.as_ref(), &error))?;
        self.known(&prefix.bucket, |bucket| bucket.exists = true);
        let mut keys = keys(output);
        keys.truncate(max);
        Ok(keys)
    }

    async fn list_objects(
        &self,
        prefix: &BucketPrefix,
        max_keys: i32,
        region: Option<Region>,
    ) -> Result<ListObjectsV2Output, SdkError<ListObjectsV2Error, HttpResponse>> {
        let BucketPrefix { bucket, prefix, .. } = prefix;
        let request = self.client.list_objects_v2().bucket(bucket).prefix(prefix);
        // XML cannot represent all characters of a key.
        let request = request.encoding_type(EncodingType::Url).max_keys(max_keys);
        let config = Config::builder().region(region);
        request.customize().config_override(config).send().await
    }

    async fn find(&self, object: &BucketObject) -> Result<HeadObject, Error> {
        let (region, response) = self
            .in_its_region(object, |region| self.head_object(object, region))
            .await;
        let error = match response {
            Ok(output) => {
                self.known(&object.bucket, |bucket| bucket.exists = true);
                return found(output).ok_or_else(|| unavailable(object, "S3 returned no ETag"));
            }
            Err(error) => error,
        };
        if is_missing(&error) && self.known(&object.bucket, |bucket| bucket.exists) {
            return Ok(HeadObject::Missing);
        }
        match status(&error) {
            Some(400..=499) => self.explain(object, region).await,
            _ => Err(classified(object, region.as_ref(), &error)),
        }
    }

    /// Sends a request to the expected region of the bucket, and once more if the response names another one. Returns the
    /// region of the last response.
    async fn in_its_region<T, E, F>(
        &self,
        target: &impl Target,
        send: impl Fn(Option<Region>) -> F,
    ) -> (Option<Region>, Result<T, SdkError<E, HttpResponse>>)
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        let region = self.region_of(target);
        let response = send(region.clone()).await;
        if let Err(error) = &response
            && let Some(actual) = bucket_region(error)
            && Some(&actual) != region.as_ref()
        {
            self.known(target.bucket(), |bucket| {
                bucket.region = Some(actual.clone());
            });
            let response = send(Some(actual.clone())).await;
            return (Some(actual), response);
        }
        (region, response)
    }

    async fn head_object(
        &self,
        object: &BucketObject,
        region: Option<Region>,
    ) -> Result<HeadObjectOutput, SdkError<HeadObjectError, HttpResponse>> {
        let BucketObject { bucket, key, .. } = object;
        let request = self.client.head_object().bucket(bucket).key(key);
        let config = Config::builder().region(region);
        request.customize().config_override(config).send().await
    }

    /// Returns why HeadObject failed, by S3's own error.
    async fn explain(
        &self,
        object: &BucketObject,
        region: Option<Region>,
    ) -> Result<HeadObject, Error> {
        let BucketObject { bucket, key, .. } = object;
        let request = self.client.get_object().bucket(bucket).key(key);
        let request = request.range("bytes=0-0").customize();
        let config = Config::builder().region(region.clone());
        match request.config_override(config).send().await {
            Ok(_) => Err(unavailable(
                object,
                "HeadObject failed and GetObject did not",
            )),
            Err(error) if error.code() == Some("NoSuchKey") => {
                self.known(bucket, |bucket| bucket.exists = true);
                Ok(HeadObject::Missing)
            }
            Err(error) => Err(classified(object, region.as_ref(), &error)),
        }
    }

    /// Returns the region in which the bucket is expected.
    fn region_of(&self, target: &impl Target) -> Option<Region> {
        let known = self.known(target.bucket(), |bucket| bucket.region.clone());
        let of_domain_name = || target.region().map(|region| Region::new(region.to_owned()));
        known
            .or_else(of_domain_name)
            .or_else(|| self.region.clone())
    }

    /// Reads or changes what is known about a bucket.
    fn known<T>(&self, bucket: &str, access: impl FnOnce(&mut KnownBucket) -> T) -> T {
        let buckets = &mut *self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        access(buckets.entry(bucket.to_owned()).or_default())
    }
}

/// Classifies an error.
fn classified<E>(
    target: &impl Target,
    region: Option<&Region>,
    error: &SdkError<E, HttpResponse>,
) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let code = error.code().unwrap_or_default();
    let (purpose, message) = (target.purpose(), message(error));
    if let Some(kind) = credentials_error(code, &message) {
        return Error::from(kind).context(format_args!("could not {purpose}"));
    }
    let kind = match (code, status(error)) {
        ("SlowDown" | "RequestLimitExceeded", _) | (_, Some(429 | 503)) => {
            ErrorKind::Throttled { purpose, message }
        }
        (_, Some(401 | 403)) => target.denied(
            region.map_or("aws", |region| partition(region.as_ref()).name),
            message,
        ),
        (_, Some(408)) => ErrorKind::Unavailable { purpose, message },
        (_, Some(300..=499)) => {
            ErrorKind::InvalidInput(format!("S3 rejected the request to {purpose}: {message}"))
        }
        _ if matches!(error, SdkError::ConstructionFailure(_)) => {
            ErrorKind::NotSent { purpose, message }
        }
        _ => ErrorKind::Unavailable { purpose, message },
    };
    kind.into()
}

fn bucket_arn(partition: &str, bucket: &str) -> String {
    format!("arn:{partition}:s3:::{bucket}")
}

fn unavailable(target: &impl Target, message: &str) -> Error {
    ErrorKind::Unavailable {
        purpose: target.purpose(),
        message: message.to_owned(),
    }
    .into()
}

/// Returns S3's code and message, or the status of a response without a body.
fn message<E>(error: &SdkError<E, HttpResponse>) -> String
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match (error.code(), error.raw_response()) {
        (None, Some(response)) if response.body().bytes().is_some_and(<[u8]>::is_empty) => {
            format!("HTTP status {}", response.status())
        }
        _ => aws_message(error),
    }
}

fn status<E>(error: &SdkError<E, HttpResponse>) -> Option<u16> {
    let response = error.raw_response()?;
    Some(response.status().as_u16())
}

/// Returns whether S3 answered that it does not have the object, or the bucket. The SDK sets the code of a 404 without a body;
/// the request id shows that it is from S3, not from a proxy.
fn is_missing(error: &SdkError<HeadObjectError, HttpResponse>) -> bool {
    error.code() == Some("NotFound") && error.request_id().is_some()
}

/// Returns the region that a failed response names.
fn bucket_region<E>(error: &SdkError<E, HttpResponse>) -> Option<Region> {
    let region = error.raw_response()?.headers().get(BUCKET_REGION)?;
    Some(Region::new(region.to_owned()))
}

fn found(output: HeadObjectOutput) -> Option<HeadObject> {
    let etag = output.e_tag.filter(|etag| !etag.is_empty())?;
    let modified = output.last_modified;
    let modified =
        modified.and_then(|time| DateTime::from_timestamp(time.secs(), time.subsec_nanos()));
    let is_plain = output.sse_customer_algorithm.is_none()
        && matches!(
            output.server_side_encryption,
            None | Some(ServerSideEncryption::Aes256)
        );
    Some(HeadObject::Found(FoundObject {
        is_md5: is_plain && is_md5(strong_etag(&etag)),
        etag,
        modified,
        size: output.content_length.and_then(|size| size.try_into().ok()),
        content_encoding: output
            .content_encoding
            .filter(|encoding| !encoding.is_empty()),
    }))
}

/// Returns the keys of a list without those of folders: empty objects whose keys end with a slash.
fn keys(output: ListObjectsV2Output) -> Vec<String> {
    let is_encoded = output.encoding_type == Some(EncodingType::Url);
    let objects = output.contents.unwrap_or_default();
    let objects = objects.into_iter().filter_map(|object| {
        let key = object.key?;
        let key = if is_encoded { decoded_key(&key)? } else { key };
        let is_folder = key.ends_with('/') && object.size == Some(0);
        (!is_folder).then_some(key)
    });
    objects.collect()
}

/// Decodes a key of a list, in which a plus is a space; `None` if it is not UTF-8. The SDK does not decode keys.
pub(crate) fn decoded_key(key: &str) -> Option<String> {
    let key = key.replace('+', " ");
    let decoded = percent_decode_str(&key).decode_utf8().ok()?;
    Some(decoded.into_owned())
}

/// Returns whether the text has the form of an MD5, which the ETag of a multipart upload has not.
fn is_md5(etag: &str) -> bool {
    etag.len() == 32 && etag.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use aws_sdk_cloudfront::config::retry::RetryConfig;
    use aws_sdk_cloudfront::config::{Credentials, SharedCredentialsProvider, SharedHttpClient};
    use aws_sdk_s3::types::Object;
    use aws_smithy_runtime_api::client::http::{
        HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
    };
    use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
    use aws_smithy_runtime_api::client::result::ConnectorError;

    use super::*;

    /// Records the URIs of requests, and sends none.
    #[derive(Clone, Debug, Default)]
    struct Requests(Arc<Mutex<Vec<String>>>);

    impl HttpConnector for Requests {
        fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
            let mut uris = self.0.lock().expect("no panic");
            uris.push(request.uri().to_owned());
            HttpConnectorFuture::ready(Err(ConnectorError::user("not sent".into())))
        }
    }

    /// Returns where the request for the object is sent.
    async fn uris(bucket: &str, region: Option<&str>, endpoint: Option<&str>) -> Vec<String> {
        let requests = Requests::default();
        let connector = SharedHttpConnector::new(requests.clone());
        let client = http_client_fn(move |_, _| connector.clone());
        let credentials = Credentials::new("AKIDEXAMPLE", "secret", None, None, "test");
        let mut sdk = SdkConfig::builder()
            .behavior_version(aws_sdk_s3::config::BehaviorVersion::v2026_01_12())
            .region(Region::from_static("eu-west-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .retry_config(RetryConfig::disabled())
            .http_client(SharedHttpClient::new(client));
        sdk.set_endpoint_url(endpoint.map(str::to_owned));
        let object = BucketObject {
            bucket: bucket.to_owned(),
            region: region.map(str::to_owned),
            key: "a b/ü+c//d".to_owned(),
        };
        let deadline = Instant::now() + TIMEOUT;
        let result = S3::new(&sdk.build()).head(&object, deadline).await;
        assert!(result.is_err(), "{result:?}");
        let uris = requests.0.lock().expect("no panic");
        uris.clone()
    }

    #[test]
    fn a_denial_has_the_action_that_the_message_names() {
        let object = BucketObject {
            bucket: "site".to_owned(),
            region: None,
            key: "a".to_owned(),
        };
        let reason = |action: &str| {
            format!("AccessDenied: User: dev is not authorized to perform: {action} on resource: x")
        };
        let note = " (S3 also denies to read an object that does not exist, unless s3:ListBucket is allowed)";
        let get = ("s3:GetObject", "arn:aws-cn:s3:::site/a");
        let list = ("s3:ListBucket", "arn:aws-cn:s3:::site");
        for (message, note, (action, resource)) in [
            (reason("s3:GetObject"), "", get),
            (reason("s3:ListBucket"), "", list),
            (reason("kms:Decrypt"), "", get),
            ("AccessDenied: Access Denied".to_owned(), note, get),
            ("HTTP status 403".to_owned(), note, get),
        ] {
            let expected = ErrorKind::AccessDenied {
                action: action.to_owned(),
                resource: resource.to_owned(),
                message: format!("{message}{note}"),
            };
            assert_eq!(object.denied("aws-cn", message), expected);
        }
    }

    #[test]
    fn keys_are_decoded_if_the_response_has_encoded_ones() {
        let url = Some(EncodingType::Url);
        for (encoding_type, key, size, expected) in [
            (url.clone(), "a+b%2Bc/%C3%BC", Some(4), Some("a b+c/ü")),
            (None, "a+b%2Bc/ü", Some(4), Some("a+b%2Bc/ü")),
            (url.clone(), "50%25", Some(4), Some("50%")),
            (url.clone(), "%FF", Some(4), None),
            (url.clone(), "blog/", Some(0), None),
            (url.clone(), "blog%2F", Some(0), None),
            (url.clone(), "blog/", Some(4), Some("blog/")),
            (url.clone(), "blog/", None, Some("blog/")),
            (url, "empty", Some(0), Some("empty")),
        ] {
            let object = Object::builder().key(key).set_size(size).build();
            let output = ListObjectsV2Output::builder()
                .set_encoding_type(encoding_type)
                .contents(object)
                .build();
            let expected: Vec<String> = expected.map(str::to_owned).into_iter().collect();
            assert_eq!(keys(output), expected, "{key} {size:?}");
        }
        assert!(keys(ListObjectsV2Output::builder().build()).is_empty());
    }

    #[tokio::test]
    async fn the_request_goes_to_the_bucket_in_its_region() {
        let path = "a%20b/%C3%BC%2Bc//d";
        let local = Some("http://localhost:4566");
        for (bucket, region, endpoint, expected) in [
            (
                "site",
                None,
                None,
                "https://site.s3.eu-west-1.amazonaws.com/",
            ),
            (
                "site",
                Some("us-west-2"),
                None,
                "https://site.s3.us-west-2.amazonaws.com/",
            ),
            (
                "www.example.com",
                Some("us-west-2"),
                None,
                "https://s3.us-west-2.amazonaws.com/www.example.com/",
            ),
            (
                "site",
                Some("cn-north-1"),
                None,
                "https://site.s3.cn-north-1.amazonaws.com.cn/",
            ),
            (
                "site",
                Some("us-west-2"),
                local,
                "http://localhost:4566/site/",
            ),
        ] {
            let actual = uris(bucket, region, endpoint).await;
            assert_eq!(actual, [format!("{expected}{path}")], "{bucket} {region:?}");
        }
    }
}
