//! What happens to the bucket: deploys, and S3's event notifications of them.
//!
//! The keys are those of the recorded deploys of two real sites (`tests/planner`). Each deploy is copied to several
//! sections of a site, such as languages or versions, until there are enough changes. Deploys start at any time,
//! overlap, and write the same keys repeatedly: an invalidation of the first write must not count for the second.
//!
//! Some keys contain a character that encoders treat differently, some messages are poison, and some notifications do
//! not change the site. S3's clock differs from CloudFront's, so an event's time is up to a second wrong. The messages
//! of the first deploy have waited long, as if the event source mapping had been disabled.

use std::io::{self, Read};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use flate2::read::GzDecoder;
use serde_json::Value;

use super::random::Random;
use super::{BUCKET, Pace};

const RECORDED: [&[u8]; 2] = [
    include_bytes!("../../planner/hexo.jsonl.gz"),
    include_bytes!("../../planner/kafka.jsonl.gz"),
];

/// Many smaller deploys would be a steady stream, but real deploys are bursts.
const MIN_CHANGES: usize = 50;
const SECTIONS: [&str; 12] = [
    "", "de/", "es/", "fr/", "ja/", "zh-cn/", "v1/", "v2/", "v3/", "beta/", "docs/", "2024/",
];
/// Objects that `aws s3 sync` uploads in a second, from a laptop to a build server in the bucket's region.
const UPLOADS_PER_SECOND: [u64; 3] = [100, 400, 1_200];
const CLOCK_SKEW: Duration = Duration::from_secs(1);

const ONE_IN_UNUSUAL_KEYS: usize = 50;
const ONE_IN_IRRELEVANT: usize = 200;
const ONE_IN_NOTIFIED_TWICE: usize = 100;
const ONE_IN_DELETED: usize = 20;

/// Inserted before the last dot of a key: some of these are encoded differently by different encoders.
const UNUSUAL: [&str; 8] = [" copy", "+", "~1", "@2x", " (1)", "é", "日本", "[id]"];

/// An event notification of S3.
#[derive(Clone, Debug)]
pub struct Notification {
    pub bucket: &'static str,
    pub key: String,
    pub deleted: bool,
    pub kind: Kind,
    pub envelope: Envelope,
    /// When the object changed, by CloudFront's clock.
    pub changed: SystemTime,
    /// When the object changed, by S3's clock.
    pub event_time: SystemTime,
    pub sequencer: u64,
}

/// What must happen with a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An object changed: it must be invalidated.
    Change,
    /// The message is not valid: it must move to the dead-letter queue.
    Poison(Poison),
    /// Nothing changed for viewers: the message must be deleted and needs no invalidation.
    Irrelevant(Irrelevant),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Poison {
    Truncated,
    UnknownEvent,
    NoKey,
    NotUtf8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Irrelevant {
    Tagging,
    TestEvent,
}

/// The services through which a notification reaches the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Envelope {
    S3,
    Sns,
    SnsRaw,
    EventBridge,
}

/// The arrival of a notification in the queue; a notification can have two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The index of the notification.
    pub notification: usize,
    pub at: SystemTime,
}

/// All changes of the bucket.
#[derive(Debug, Default)]
pub struct Deploys {
    pub notifications: Vec<Notification>,
    pub deliveries: Vec<Delivery>,
    pub count: usize,
}

impl Deploys {
    /// Plans this many changes.
    pub fn plan(
        random: &mut Random,
        changes: usize,
        pace: &Pace,
        started: SystemTime,
    ) -> io::Result<Self> {
        let recorded = recorded_deploys()?;
        let mut deploys = Self::default();
        while deploys.notifications.len() < changes {
            let left = changes - deploys.notifications.len();
            let keys = changed_keys(random, &recorded, left.min(changes.div_ceil(8)));
            deploys.add(random, &keys, pace, started);
        }
        Ok(deploys)
    }

    fn add(&mut self, random: &mut Random, keys: &[String], pace: &Pace, started: SystemTime) {
        let upload_time = Duration::from_micros(1_000_000 / random.pick(&UPLOADS_PER_SECOND));
        let duration = upload_time * u32::try_from(keys.len()).unwrap_or(u32::MAX);
        let later_start = random.up_to(pace.upload_duration.saturating_sub(duration));
        let (start, waited, poison_one_in) = match self.count {
            // Poison messages this old would make the function apply its backlog rule until they are dead-lettered.
            0 => (Duration::ZERO, pace.backlog, usize::MAX),
            1 => (Duration::ZERO, Duration::ZERO, pace.poison_one_in),
            _ => (later_start, Duration::ZERO, pace.poison_one_in),
        };
        for (at, key) in (0_u32..).zip(keys) {
            let since_start = truncate_to_milliseconds(start + upload_time * at);
            let mut notification = notification(random, key, started + since_start - waited);
            notification.sequencer |= (self.notifications.len() & 0xFFFF) as u64;
            if since_start < pace.poison_until && random.one_in(poison_one_in) {
                notification.kind = Kind::Poison(poison(random, notification.envelope));
            }
            let times = 1 + usize::from(random.one_in(ONE_IN_NOTIFIED_TWICE));
            for _ in 0..times {
                let at = notification.changed + random.up_to(pace.notified_within);
                let notification = self.notifications.len();
                self.deliveries.push(Delivery { notification, at });
            }
            self.notifications.push(notification);
        }
        self.count += 1;
    }
}

/// Returns the keys of a deploy: a recorded one in one or more sections, with at most this many changes.
fn changed_keys(random: &mut Random, recorded: &[Vec<String>], limit: usize) -> Vec<String> {
    let deploy = &recorded[random.below(recorded.len())];
    let mut sections = SECTIONS;
    random.shuffle(&mut sections);
    let sections = &sections[..1 + random.below(SECTIONS.len())];
    let mut keys: Vec<String> = sections
        .iter()
        .flat_map(|section| deploy.iter().map(move |key| format!("{section}{key}")))
        .take(limit)
        .collect();
    for key in &mut keys {
        if random.one_in(ONE_IN_UNUSUAL_KEYS) {
            let dot = key.rfind('.').unwrap_or(key.len());
            key.insert_str(dot, random.pick(&UNUSUAL));
        }
    }
    keys
}

fn notification(random: &mut Random, key: &str, changed: SystemTime) -> Notification {
    use Envelope::{EventBridge, S3, Sns, SnsRaw};
    let kind = if random.one_in(ONE_IN_IRRELEVANT) {
        Kind::Irrelevant(random.pick(&[Irrelevant::Tagging, Irrelevant::TestEvent]))
    } else {
        Kind::Change
    };
    Notification {
        bucket: BUCKET,
        key: key.to_owned(),
        deleted: random.one_in(ONE_IN_DELETED),
        kind,
        envelope: random.pick(&[S3, Sns, SnsRaw, EventBridge]),
        changed,
        event_time: changed - CLOCK_SKEW + random.up_to(CLOCK_SKEW * 2),
        sequencer: milliseconds(changed.duration_since(UNIX_EPOCH).unwrap_or_default()) << 16,
    }
}

fn poison(random: &mut Random, envelope: Envelope) -> Poison {
    let poison = random.pick(&[
        Poison::Truncated,
        Poison::UnknownEvent,
        Poison::NoKey,
        Poison::NotUtf8,
    ]);
    match (poison, envelope) {
        // EventBridge does not encode keys, so every string is a valid key.
        (Poison::NotUtf8, Envelope::EventBridge) => Poison::NoKey,
        (poison, _) => poison,
    }
}

/// Events have milliseconds, so a change must not happen within one.
fn truncate_to_milliseconds(time: Duration) -> Duration {
    Duration::from_millis(milliseconds(time))
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn recorded_deploys() -> io::Result<Vec<Vec<String>>> {
    let mut deploys = Vec::new();
    for compressed in RECORDED {
        let mut lines = String::new();
        GzDecoder::new(compressed).read_to_string(&mut lines)?;
        for line in lines.lines() {
            let deploy: Value = serde_json::from_str(line)?;
            let keys = ["put", "delete"].map(|list| deploy[list].as_array());
            let keys = keys.into_iter().flatten().flatten();
            let keys: Vec<String> = keys.filter_map(|key| Some(key.as_str()?.into())).collect();
            if keys.len() >= MIN_CHANGES {
                deploys.push(keys);
            }
        }
    }
    Ok(deploys)
}
