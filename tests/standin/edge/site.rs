//! A site in this process: a distribution whose objects are in a bucket of the stand-in.
//!
//! A miss becomes the key of an object as in CloudFront and S3: the behavior rewrites the viewer's path, the origin path
//! precedes it, and the server decodes it. A test can replace the response to a path, for example with a redirect or
//! with an error.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use percent_encoding::percent_decode_str;

use super::{EdgeDistribution, OriginResponse, new_header};
use crate::standin::clock::http_date;
use crate::standin::s3::{self, Buckets, Object, Read};

/// Which server returns the objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OriginServer {
    /// S3's REST API.
    #[default]
    S3,
    /// A server of the site's owner. Its ETag is no MD5.
    Nginx,
}

/// A distribution and what is behind it.
#[derive(Clone, Debug, Default)]
pub struct SiteOrigin {
    pub distribution: EdgeDistribution,
    pub bucket: String,
    /// As in the configuration: empty, or with a slash at its start and none at its end.
    pub origin_path: String,
    pub server: OriginServer,
}

struct Site {
    origin: SiteOrigin,
    /// The responses that replace those of the server, by the viewer's path without the query string.
    responses: BTreeMap<String, OriginResponse>,
}

/// The sites by the id of their distribution.
#[derive(Default)]
pub(super) struct Sites {
    buckets: Buckets,
    sites: Mutex<BTreeMap<String, Site>>,
}

impl Sites {
    pub(super) fn new(buckets: Buckets) -> Self {
        Self {
            buckets,
            sites: Mutex::default(),
        }
    }

    /// Adds or replaces a site.
    pub(super) fn set(&self, origin: SiteOrigin) {
        let id = origin.distribution.id.clone();
        let responses = BTreeMap::new();
        self.lock().insert(id, Site { origin, responses });
    }

    /// Replaces the response to a path; `None` restores the one of the server.
    pub(super) fn set_response(
        &self,
        distribution: &str,
        path: &str,
        response: Option<OriginResponse>,
    ) {
        let mut sites = self.lock();
        let site = sites.get_mut(distribution).expect("a site in this process");
        match response {
            Some(response) => site.responses.insert(path.to_owned(), response),
            None => site.responses.remove(path),
        };
    }

    /// Returns the response to a miss; `None` if the distribution with this domain name has no site in this process.
    pub(super) fn fetch(&self, domain: &str, target: &str) -> Option<io::Result<OriginResponse>> {
        let sites = self.lock();
        let mut values = sites.values();
        let site = values.find(|site| site.origin.distribution.domain() == Some(domain))?;
        let path = target.split('?').next().unwrap_or_default();
        let response = site.responses.get(path).cloned();
        Some(response.map_or_else(|| site.origin.read(&self.buckets, path), Ok))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Site>> {
        self.sites.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SiteOrigin {
    fn read(&self, buckets: &Buckets, path: &str) -> io::Result<OriginResponse> {
        let behavior = self.distribution.behavior(path);
        let rewritten = behavior.map_or(path.to_owned(), |behavior| behavior.rewritten(path));
        let requested = format!("{}{rewritten}", self.origin_path);
        let requested = requested.strip_prefix('/').unwrap_or(&requested);
        let key = self.server.key(requested);
        match buckets.read(&self.bucket, &key) {
            Read::Found(object) => Ok(self.server.found(&key, object)),
            Read::Missing(options) => Ok(self.server.missing(options.cloudfront_lists)),
            Read::NoSuchBucket => {
                let message = format!("the stand-in has no bucket {}", self.bucket);
                Err(io::Error::new(io::ErrorKind::NotFound, message))
            }
        }
    }
}

impl OriginServer {
    fn name(self) -> &'static str {
        match self {
            Self::S3 => "AmazonS3",
            Self::Nginx => "nginx",
        }
    }

    fn key(self, path: &str) -> String {
        match self {
            Self::S3 => s3::key(path),
            Self::Nginx => percent_decode_str(path).decode_utf8_lossy().into_owned(),
        }
    }

    fn found(self, key: &str, object: Object) -> OriginResponse {
        let modified = object.modified();
        let mut headers = vec![
            new_header("Content-Type", s3::content_type(key)),
            new_header("Last-Modified", http_date(modified)),
            new_header("ETag", self.etag(&object, modified)),
            new_header("Accept-Ranges", "bytes"),
            new_header("Server", self.name()),
        ];
        headers.retain(|(name, _)| {
            let mut replacing = object.headers.iter();
            !replacing.any(|(replaced, _)| replaced.eq_ignore_ascii_case(name))
        });
        headers.extend(object.headers);
        OriginResponse {
            status: 200,
            headers,
            body: object.body,
        }
    }

    fn etag(self, object: &Object, modified: SystemTime) -> String {
        match self {
            Self::Nginx if object.etag.is_none() => {
                let modified = modified.duration_since(UNIX_EPOCH);
                let modified = modified.map_or(0, |since| since.as_secs());
                format!("\"{modified:x}-{:x}\"", object.body.len())
            }
            _ => object.etag(),
        }
    }

    fn missing(self, is_listed: bool) -> OriginResponse {
        let (status, content_type, body) = match self {
            Self::S3 if is_listed => {
                let message = "The specified key does not exist.";
                let body = s3::error_body("NoSuchKey", message);
                (404, "application/xml", body)
            }
            Self::S3 => {
                let body = s3::error_body("AccessDenied", "Access Denied");
                (403, "application/xml", body)
            }
            Self::Nginx => (404, "text/html", "<h1>404 Not Found</h1>\n".into()),
        };
        OriginResponse {
            status,
            headers: vec![
                new_header("Content-Type", content_type),
                new_header("Server", self.name()),
            ],
            body,
        }
    }
}
