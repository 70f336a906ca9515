//! `Origin`: where a distribution gets objects from, and whether that is a bucket.
//!
//! An origin names a bucket only by a domain name, of which S3 has had many forms. Bucket names may hold dots, and
//! `site.s3` is a bucket as good as `site`; so the name must be the bucket's, then a service endpoint and nothing else.
//!
//! Forms: <https://docs.aws.amazon.com/general/latest/gr/s3.html>; a dash before the region is the older one.

use percent_encoding::percent_decode_str;

/// Where a distribution gets objects from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The id by which cache behaviors name it.
    pub id: String,
    /// Such as `bucket.s3.eu-west-1.amazonaws.com`.
    pub domain_name: String,
    /// What CloudFront puts before the path of each request, such as `/prod`; or nothing.
    pub origin_path: String,
}

/// The two ways in which a bucket answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// Object by object.
    Rest,
    /// With index documents.
    Website,
}

impl Origin {
    /// Returns how the bucket answers, if the domain name is the bucket's.
    pub fn endpoint_of(&self, bucket: &str) -> Option<Endpoint> {
        let domain_name = self.domain_name.to_ascii_lowercase();
        let rest = domain_name.strip_prefix(&bucket.to_ascii_lowercase())?;
        endpoint(rest.strip_prefix('.')?)
    }

    /// Tells whether the bucket may be behind it: surely, or because the domain name is of no bucket at all.
    pub(super) fn may_be(&self, bucket: &str) -> bool {
        let domain_name = self.domain_name.to_ascii_lowercase();
        let mut dots = domain_name.match_indices('.');
        // The alias of an access point stands where a bucket's name does.
        let is_alias = |name: &str| name.ends_with("-s3alias") || name.ends_with("--ol-s3");
        let names_a_bucket = dots.any(|(at, _)| {
            endpoint(&domain_name[at + 1..]).is_some() && !is_alias(&domain_name[..at])
        });
        !names_a_bucket || self.endpoint_of(bucket).is_some()
    }

    /// Returns what follows the origin path in the key; none if the key starts otherwise.
    pub(super) fn relative_key<'a>(&self, key: &'a str) -> Option<&'a str> {
        let origin_path = percent_decode_str(self.origin_path.trim_matches('/'));
        match &*origin_path.decode_utf8_lossy() {
            "" => Some(key),
            folder => key.strip_prefix(folder)?.strip_prefix('/'),
        }
    }
}

/// Reads what follows the bucket in a domain name of S3.
fn endpoint(service: &str) -> Option<Endpoint> {
    let service = service
        .strip_suffix(".amazonaws.com")
        .or_else(|| service.strip_suffix(".amazonaws.com.cn"))?;
    if let Some(region) = service.strip_prefix("s3-website") {
        return is_region(region.strip_prefix(['.', '-'])?).then_some(Endpoint::Website);
    }
    let regional = [
        "s3.dualstack.",
        "s3-fips.dualstack.",
        "s3-fips.",
        "s3.",
        "s3-",
    ];
    let known = matches!(service, "s3" | "s3-accelerate" | "s3-accelerate.dualstack")
        || regional
            .iter()
            .any(|form| service.strip_prefix(form).is_some_and(is_region));
    known.then_some(Endpoint::Rest)
}

/// Tells whether the text is a region, such as `eu-west-1`, or the old `external-1`.
fn is_region(text: &str) -> bool {
    let number = text.rsplit_once('-').map(|(_, number)| number);
    number.is_some_and(|it| !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_digit()))
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        // `site.s3.s3-eu-west-1.amazonaws.com` is the bucket `site.s3`, in no region of the bucket `site`.
        && !text.starts_with("s3")
}
