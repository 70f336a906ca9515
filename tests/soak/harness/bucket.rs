//! The bucket as CloudFront sees it: which version of each object it returns at which time.
//!
//! The versions of a key are numbered in the order of its changes; version 0 is from before all deploys. A response
//! has the number in `x-amz-version-id`, as S3 sends it for buckets with versioning, also for a deleted object. The
//! versions follow from the planned deploys and the time alone, so each change happens at its exact time.
//!
//! Header: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html>

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::time::SystemTime;

use axum::body::Bytes;
use percent_encoding::percent_decode_str;
use url::Url;
use url::form_urlencoded::byte_serialize;

use super::configuration::Configuration;
use super::deploys::{Kind, Notification};
use crate::standin::{Origin, OriginResponse, ViewerResponse};

const VERSION_HEADER: &str = "x-amz-version-id";

/// A change of an object: its version is one more than its index among the changes of the key.
#[derive(Clone, Copy, Debug)]
struct Change {
    changed: SystemTime,
    notification: usize,
    deleted: bool,
}

/// The changes of each key in the order in which they happen.
#[derive(Clone, Debug, Default)]
pub struct Bucket {
    changes: HashMap<String, Vec<Change>>,
}

impl Bucket {
    /// Returns the bucket that these notifications are about; poison and irrelevant ones change nothing.
    pub fn new(notifications: &[Notification]) -> Self {
        let mut bucket = Self::default();
        for (index, notification) in notifications.iter().enumerate() {
            let changes = bucket.changes.entry(notification.key.clone()).or_default();
            if notification.kind == Kind::Change {
                changes.push(Change {
                    changed: notification.changed,
                    notification: index,
                    deleted: notification.deleted,
                });
            }
        }
        for changes in bucket.changes.values_mut() {
            changes.sort_by_key(|change| (change.changed, change.notification));
        }
        bucket
    }

    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.changes.keys().map(String::as_str)
    }

    /// Returns the notifications of the changes until a moment that a copy of this version does not contain.
    pub fn missing(
        &self,
        key: &str,
        version: usize,
        until: SystemTime,
    ) -> impl Iterator<Item = usize> {
        let later = self.changes(key).get(version..).unwrap_or_default();
        let later = later
            .iter()
            .take_while(move |change| change.changed <= until);
        later.map(|change| change.notification)
    }

    fn changes(&self, key: &str) -> &[Change] {
        self.changes.get(key).map_or(&[], Vec::as_slice)
    }

    fn response(&self, key: &str, moment: SystemTime) -> OriginResponse {
        let version = self
            .changes(key)
            .partition_point(|change| change.changed <= moment);
        let last = version.checked_sub(1).map(|last| self.changes(key)[last]);
        let is_deleted = last.is_some_and(|change| change.deleted);
        let status = if is_deleted || !self.changes.contains_key(key) {
            404
        } else {
            200
        };
        response(status, version)
    }
}

/// The bucket behind the distributions.
pub struct Configured<'a> {
    pub bucket: &'a Bucket,
    pub configuration: &'a Configuration,
}

impl Origin for Configured<'_> {
    async fn fetch(&self, host: &str, target: &str) -> io::Result<OriginResponse> {
        let key = self.configuration.key(host, target);
        Ok(self.bucket.response(&key, SystemTime::now()))
    }
}

/// The bucket before the deploys, with all objects that they change.
pub struct BeforeDeploys;

impl Origin for BeforeDeploys {
    async fn fetch(&self, _host: &str, _target: &str) -> io::Result<OriginResponse> {
        Ok(response(200, 0))
    }
}

fn response(status: u16, version: usize) -> OriginResponse {
    OriginResponse {
        status,
        headers: vec![(VERSION_HEADER.to_owned(), version.to_string())],
        body: Bytes::new(),
    }
}

/// Returns the version in the header of a response.
pub fn version(response: &ViewerResponse) -> io::Result<usize> {
    let version = response.header(VERSION_HEADER);
    let version = version.and_then(|version| version.parse().ok());
    version.ok_or_else(|| io::Error::other("a viewer got a response without a version"))
}

/// Returns the path that S3 reads from a URL, without its leading slash: a plus sign is a space.
pub fn path(target: &str) -> String {
    let path = target.strip_prefix('/').unwrap_or(target);
    percent_decode_str(&path.replace('+', " "))
        .decode_utf8_lossy()
        .into_owned()
}

/// Returns a path without its leading slash as URLs, without scheme and host, in the spellings of a browser, of encoders
/// that leave only unreserved characters, and of form encoding.
pub fn spellings(path: &str) -> BTreeSet<String> {
    let form = byte_serialize(path.as_bytes()).collect::<String>();
    let form = format!("/{}", form.replace("%2F", "/"));
    BTreeSet::from([browser_url(path), form.replace('+', "%20"), form])
}

/// Returns the URL as in a link of the site: S3 requires `%2B` for a plus sign, a browser encodes the rest.
fn browser_url(path: &str) -> String {
    let mut url = Url::parse("https://example.com").expect("a valid URL");
    url.set_path(path);
    url.path().replace('+', "%2B")
}

#[cfg(test)]
mod tests {
    use super::super::deploys::{Envelope, Irrelevant};
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    fn at(second: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(second)
    }

    fn notification(second: u64, kind: Kind, deleted: bool) -> Notification {
        Notification {
            bucket: "site",
            key: "a+b é".to_owned(),
            deleted,
            kind,
            envelope: Envelope::S3,
            changed: at(second),
            event_time: at(second),
            sequencer: 1,
        }
    }

    #[test]
    fn versions_follow_the_changes_in_order_of_time() {
        let bucket = Bucket::new(&[
            notification(30, Kind::Change, false),
            notification(15, Kind::Irrelevant(Irrelevant::Tagging), true),
            notification(20, Kind::Change, true),
        ]);
        for (second, expected) in [(19, (200, "0")), (20, (404, "1")), (30, (200, "2"))] {
            let response = bucket.response("a+b é", at(second));
            let version = response.headers[0].1.as_str();
            assert_eq!((response.status, version), expected, "{second}");
        }
        assert_eq!(bucket.response("b", at(40)).status, 404);
        for (version, until, expected) in [
            (0, 40, &[2, 0][..]),
            (0, 29, &[2]),
            (1, 40, &[0]),
            (2, 40, &[]),
        ] {
            let missing = bucket.missing("a+b é", version, at(until));
            assert_eq!(missing.collect::<Vec<_>>(), expected, "{version} {until}");
        }
    }

    #[test]
    fn every_spelling_is_that_of_the_path() {
        for (decoded, expected) in [
            ("d/e.html", &["/d/e.html"][..]),
            ("", &["/"]),
            (
                "a b+@2x",
                &["/a%20b%2B%402x", "/a%20b%2B@2x", "/a+b%2B%402x"],
            ),
            ("é~[1]", &["/%C3%A9%7E%5B1%5D", "/%C3%A9~[1]"]),
        ] {
            let urls = spellings(decoded);
            assert!(urls.iter().eq(expected), "{urls:?}");
            assert!(urls.iter().all(|url| path(url) == decoded), "{urls:?}");
        }
    }
}
