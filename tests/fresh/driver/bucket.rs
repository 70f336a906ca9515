//! Changes of the bucket, with the notifications that S3 sends of them.

use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::ministack::MiniStack;
use super::plan::{Change, Delivery};
use super::soak::deploys::{Envelope, Kind, Notification};
use super::soak::random::Random;
use super::soak::{BUCKET, REPLICA};
use super::website::object;

const CLOCK_SKEW: Duration = Duration::from_secs(1);
/// CloudFront compresses 1,000 to 10,000,000 bytes.
const COMPRESSIBLE_BYTES: usize = 1_000;
const ONE_IN_COMPRESSIBLE: u64 = 3;
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// The bucket. Its objects hold their key and version unless a change has their content.
pub struct Bucket<'a> {
    ministack: &'a MiniStack,
    versions: u64,
}

impl<'a> Bucket<'a> {
    pub fn new(ministack: &'a MiniStack) -> Self {
        Self {
            ministack,
            versions: 0,
        }
    }

    /// Replicates the state of an object to the other region.
    pub async fn replicate(&self, key: &str) -> io::Result<()> {
        let target = format!("/{REPLICA}/{}", utf8_percent_encode(key, UNRESERVED));
        let source = object_target(key);
        let (method, headers) = match object(&self.ministack.http, BUCKET, key).await? {
            Some(_) => (Method::PUT, vec![("x-amz-copy-source", source.as_str())]),
            None => (Method::DELETE, Vec::new()),
        };
        self.ministack
            .call("s3", (method, &target), &headers, String::new())
            .await?;
        Ok(())
    }

    pub async fn apply(&mut self, change: &Change) -> io::Result<()> {
        let target = object_target(change.key());
        match change {
            Change::Put(key) => {
                self.versions += 1;
                let mut body = format!("{key} version {}", self.versions);
                if self.versions.is_multiple_of(ONE_IN_COMPRESSIBLE) {
                    body.push_str(&" ".repeat(COMPRESSIBLE_BYTES));
                }
                self.write(&target, body).await?;
            }
            Change::Write { content, .. } => self.write(&target, content.clone()).await?,
            Change::Copy { from, .. } => {
                let source = object_target(from);
                let headers = [("x-amz-copy-source", source.as_str())];
                let request = (Method::PUT, target.as_str());
                self.ministack
                    .call("s3", request, &headers, String::new())
                    .await?;
            }
            Change::Delete(_) => {
                self.ministack
                    .call("s3", (Method::DELETE, &target), &[], String::new())
                    .await?;
            }
        }
        Ok(())
    }

    async fn write(&self, target: &str, body: String) -> io::Result<()> {
        let headers = [("content-type", "text/html")];
        let request = (Method::PUT, target);
        self.ministack.call("s3", request, &headers, body).await?;
        Ok(())
    }
}

fn object_target(key: &str) -> String {
    format!("/{BUCKET}/{}", utf8_percent_encode(key, UNRESERVED))
}

/// Returns the notification of a change that was made now.
pub fn notification(
    random: &mut Random,
    change: &Change,
    delivery: Delivery,
    now: SystemTime,
) -> Notification {
    let envelopes = match delivery {
        Delivery::Queue => &[
            Envelope::S3,
            Envelope::Sns,
            Envelope::SnsRaw,
            Envelope::EventBridge,
        ][..],
        _ => &[Envelope::S3, Envelope::EventBridge][..],
    };
    let since_epoch = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let milliseconds = u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX);
    Notification {
        bucket: BUCKET,
        key: change.key().to_owned(),
        deleted: matches!(change, Change::Delete(_)),
        kind: Kind::Change,
        envelope: random.pick(envelopes),
        changed: now,
        event_time: now - CLOCK_SKEW + random.up_to(CLOCK_SKEW * 2),
        sequencer: milliseconds << 16,
    }
}
