//! S3: reads what a bucket has under a key, with HeadObject.
//!
//! A response to HEAD has no body, so S3's error has neither a code nor a message. Where the status does not decide, one
//! GetObject of the same object gets them: it needs the same permission, and one byte at most is read. An object counts as
//! missing only if S3 itself answered so, and its bucket exists. This module is also the only classifier of S3's errors.
//!
//! HeadObject: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html>
//! Errors: <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::config::{Builder, Config, Region};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::head_object::{HeadObjectError, HeadObjectOutput};
use aws_sdk_s3::types::ServerSideEncryption;
use aws_types::SdkConfig;
use aws_types::request_id::RequestId;
use chrono::{DateTime, Utc};
use tokio::time::{Instant, timeout_at};

use super::call_log::CallLog;
use super::credentials::partition;
use super::sdk::service_endpoint;
use super::sdk_error::{aws_message, credentials_error};
use crate::error::{Error, ErrorKind};
use crate::verify::judge::OriginObject;
use crate::verify::origin::BucketObject;
use crate::verify::strong_etag;

/// How long it may take to read an object with all calls and their retries.
const TIMEOUT: Duration = Duration::from_secs(5);

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

    async fn find(&self, object: &BucketObject) -> Result<HeadObject, Error> {
        let mut region = self.region_of(object);
        let mut response = self.head_object(object, region.as_ref()).await;
        if let Err(error) = &response
            && let Some(actual) = bucket_region(error)
            && Some(&actual) != region.as_ref()
        {
            self.known(&object.bucket, |bucket| {
                bucket.region = Some(actual.clone());
            });
            region = Some(actual);
            response = self.head_object(object, region.as_ref()).await;
        }
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
            _ => Err(self.error(object, region.as_ref(), &error)),
        }
    }

    async fn head_object(
        &self,
        object: &BucketObject,
        region: Option<&Region>,
    ) -> Result<HeadObjectOutput, SdkError<HeadObjectError, HttpResponse>> {
        let BucketObject { bucket, key, .. } = object;
        let request = self.client.head_object().bucket(bucket).key(key);
        let config = Config::builder().region(region.cloned());
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
            Err(error) => Err(self.error(object, region.as_ref(), &error)),
        }
    }

    /// Returns the region in which the object is read.
    fn region_of(&self, object: &BucketObject) -> Option<Region> {
        let known = self.known(&object.bucket, |bucket| bucket.region.clone());
        let of_domain_name = || object.region.clone().map(Region::new);
        known
            .or_else(of_domain_name)
            .or_else(|| self.region.clone())
    }

    /// Reads or changes what is known about a bucket.
    fn known<T>(&self, bucket: &str, access: impl FnOnce(&mut KnownBucket) -> T) -> T {
        let buckets = &mut *self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        access(buckets.entry(bucket.to_owned()).or_default())
    }

    /// Classifies an error.
    fn error<E>(
        &self,
        object: &BucketObject,
        region: Option<&Region>,
        error: &SdkError<E, HttpResponse>,
    ) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let code = error.code().unwrap_or_default();
        let (purpose, message) = (purpose(object), message(error));
        if let Some(kind) = credentials_error(code, &message) {
            return Error::from(kind).context(format_args!("could not {purpose}"));
        }
        let kind = match (code, status(error)) {
            ("SlowDown" | "RequestLimitExceeded", _) | (_, Some(429 | 503)) => {
                ErrorKind::Throttled { purpose, message }
            }
            (_, Some(401 | 403)) => {
                let partition = region.map_or("aws", partition);
                denied(object, partition, message)
            }
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
}

/// Returns the error of a denial. Without `s3:ListBucket`, S3 denies to read an object that does not exist, and its message
/// names that action or none.
fn denied(object: &BucketObject, partition: &str, message: String) -> ErrorKind {
    let BucketObject { bucket, key, .. } = object;
    let (action, resource) = if message.contains("perform: s3:ListBucket ") {
        ("s3:ListBucket", format!("arn:{partition}:s3:::{bucket}"))
    } else {
        (
            "s3:GetObject",
            format!("arn:{partition}:s3:::{bucket}/{key}"),
        )
    };
    let is_ambiguous = !message.contains("is not authorized to perform");
    ErrorKind::AccessDenied {
        action: action.to_owned(),
        resource,
        message: if is_ambiguous {
            format!(
                "{message} (S3 also denies to read an object that does not exist, unless s3:ListBucket is allowed)"
            )
        } else {
            message
        },
    }
}

/// Completes the sentence "could not …".
fn purpose(object: &BucketObject) -> String {
    format!("read {object}")
}

fn unavailable(object: &BucketObject, message: &str) -> Error {
    ErrorKind::Unavailable {
        purpose: purpose(object),
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

/// Returns whether the text has the form of an MD5, which the ETag of a multipart upload has not.
fn is_md5(etag: &str) -> bool {
    etag.len() == 32 && etag.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use aws_sdk_cloudfront::config::retry::RetryConfig;
    use aws_sdk_cloudfront::config::{Credentials, SharedCredentialsProvider, SharedHttpClient};
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
            assert_eq!(denied(&object, "aws-cn", message), expected);
        }
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
