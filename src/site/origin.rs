//! `Origin`: where a distribution gets objects from, and whether it is a bucket.
//!
//! An origin identifies a bucket only by a domain name, of which S3 has several forms. Bucket names can contain dots:
//! `site.s3` is as valid as `site`. So a domain name belongs to a bucket only if it is exactly the bucket's name and a
//! service endpoint.
//!
//! Forms: <https://docs.aws.amazon.com/general/latest/gr/s3.html>. A dash before the region is the older form.

use percent_encoding::percent_decode_str;

/// Where a distribution gets objects from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The id by which cache behaviors refer to the origin.
    pub id: String,
    /// The domain name, such as `bucket.s3.eu-west-1.amazonaws.com`.
    pub domain_name: String,
    /// What CloudFront adds before the path of each request, such as `/prod`, or an empty text.
    pub origin_path: String,
}

/// A bucket, as far as a domain name shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketName {
    /// Its name, in lower case.
    pub name: String,
    /// Its region; `None` if the domain name is that of a global endpoint.
    pub region: Option<String>,
}

/// The two kinds of endpoint of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// The REST endpoint, which returns objects by their key.
    Rest,
    /// The website endpoint, which also returns index documents.
    Website,
}

/// What an origin's domain name shows about its relation to a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    /// It is the bucket.
    Bucket(Endpoint),
    /// It is an access point, which can belong to the bucket.
    AccessPoint,
    /// It is not the endpoint of a bucket. Such a server can get its objects from the bucket.
    Server,
    /// It is another bucket.
    OtherBucket,
}

impl Origin {
    /// Returns the bucket's endpoint if the domain name is the bucket's.
    pub fn endpoint_of(&self, bucket: &str) -> Option<Endpoint> {
        let domain_name = self.domain_name.to_ascii_lowercase();
        let rest = domain_name.strip_prefix(&bucket.to_ascii_lowercase())?;
        Some(Service::parse(rest.strip_prefix('.')?)?.endpoint)
    }

    /// Returns the bucket if the domain name is that of a bucket's REST endpoint. The alias of an access point is not the
    /// name of a bucket.
    pub fn rest_bucket(&self) -> Option<BucketName> {
        let domain_name = self.domain_name.to_ascii_lowercase();
        let (name, service) = name_and_service(&domain_name)?;
        let is_bucket =
            !name.is_empty() && !is_access_point_alias(name) && service.endpoint == Endpoint::Rest;
        is_bucket.then(|| BucketName {
            name: name.to_owned(),
            region: service.region.map(str::to_owned),
        })
    }

    /// Returns how the origin is related to the bucket, as far as its domain name shows it.
    pub(super) fn relation_to(&self, bucket: &str) -> Relation {
        if let Some(endpoint) = self.endpoint_of(bucket) {
            return Relation::Bucket(endpoint);
        }
        match name_and_service(&self.domain_name.to_ascii_lowercase()) {
            Some((name, _)) if is_access_point_alias(name) => Relation::AccessPoint,
            Some(_) => Relation::OtherBucket,
            None => Relation::Server,
        }
    }

    /// Returns whether the host is one of S3: of a bucket, an access point or S3 itself.
    pub(super) fn is_s3(&self) -> bool {
        let host = self.domain_name.to_ascii_lowercase();
        let labels = host
            .strip_suffix(".amazonaws.com")
            .or_else(|| host.strip_suffix(".amazonaws.com.cn"));
        labels.is_some_and(|labels| {
            labels
                .split('.')
                .any(|label| label == "s3" || label.starts_with("s3-"))
        })
    }

    /// Returns the key of the object that CloudFront requests for this relative key. `None` if the origin path has a plus,
    /// which S3 possibly reads as a space.
    #[cfg(feature = "cli")]
    pub(crate) fn key(&self, relative_key: &str) -> Option<String> {
        if self.origin_path.contains('+') {
            return None;
        }
        match self.folder().as_str() {
            "" => Some(relative_key.to_owned()),
            folder => Some(format!("{folder}/{relative_key}")),
        }
    }

    /// Returns the part of the key after the origin path, or `None` if the key is outside the origin path.
    pub(super) fn relative_key<'a>(&self, key: &'a str) -> Option<&'a str> {
        match self.folder().as_str() {
            "" => Some(key),
            folder => key.strip_prefix(folder)?.strip_prefix('/'),
        }
    }

    /// Returns the part of the key after the origin path, if that consists of the bucket's name and a folder: S3 without
    /// a bucket's name in its host takes the bucket from the path.
    pub(super) fn key_in_path_style<'a>(&self, bucket: &str, key: &'a str) -> Option<&'a str> {
        let folder = self.folder();
        let folder = folder.strip_prefix(bucket)?.strip_prefix('/')?;
        key.strip_prefix(folder)?.strip_prefix('/')
    }

    /// Returns the part of the key after as many folders as the origin path has, whatever they are called: `a.html` of
    /// `green/a.html` if the origin path is `/blue`. Returns `None` without an origin path, and if nothing is left of the
    /// key.
    pub(super) fn key_beside_origin_path<'a>(&self, key: &'a str) -> Option<&'a str> {
        match self.folder().as_str() {
            "" => None,
            folder => folder
                .split('/')
                .try_fold(key, |rest, _| Some(rest.split_once('/')?.1))
                .filter(|key| !key.is_empty()),
        }
    }

    /// Returns the decoded origin path without its outer slashes.
    fn folder(&self) -> String {
        let origin_path = percent_decode_str(self.origin_path.trim_matches('/'));
        origin_path.decode_utf8_lossy().into_owned()
    }
}

/// The service endpoint in a domain name of S3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Service<'a> {
    endpoint: Endpoint,
    region: Option<&'a str>,
}

impl<'a> Service<'a> {
    /// Parses what follows the bucket's name in a domain name of S3.
    fn parse(service: &'a str) -> Option<Self> {
        let service = service
            .strip_suffix(".amazonaws.com")
            .or_else(|| service.strip_suffix(".amazonaws.com.cn"))?;
        if let Some(region) = service.strip_prefix("s3-website") {
            let region = region.strip_prefix(['.', '-'])?;
            return is_region(region).then_some(Self {
                endpoint: Endpoint::Website,
                region: Some(region),
            });
        }
        let global = matches!(service, "s3" | "s3-accelerate" | "s3-accelerate.dualstack");
        let region = [
            "s3.dualstack.",
            "s3-fips.dualstack.",
            "s3-fips.",
            "s3-fips-",
            "s3.",
            "s3-",
        ]
        .into_iter()
        .find_map(|form| service.strip_prefix(form).filter(|rest| is_region(rest)));
        (global || region.is_some()).then(|| Self {
            endpoint: Endpoint::Rest,
            region: region.map(|region| match region {
                "external-1" => "us-east-1",
                _ => region,
            }),
        })
    }
}

/// Returns what is in the position of a bucket's name, and the service endpoint behind it. The domain name is in lower case.
fn name_and_service(domain_name: &str) -> Option<(&str, Service<'_>)> {
    let mut dots = domain_name.match_indices('.');
    dots.find_map(|(dot, _)| {
        let (name, service) = domain_name.split_at_checked(dot)?;
        Some((name, Service::parse(service.strip_prefix('.')?)?))
    })
}

/// Returns whether this is the alias of an access point, which is in the position of a bucket's name.
fn is_access_point_alias(name: &str) -> bool {
    name.ends_with("-s3alias") || name.ends_with("--ol-s3")
}

/// Returns whether the text is a region, such as `eu-west-1` or the older `external-1`.
fn is_region(text: &str) -> bool {
    let number = text.rsplit_once('-').map(|(_, number)| number);
    number.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        // `site.s3.s3-eu-west-1.amazonaws.com` is the bucket `site.s3`, not the bucket `site` in a region.
        && !text.starts_with("s3")
}
