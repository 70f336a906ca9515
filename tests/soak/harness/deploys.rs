//! What happens to the bucket: deploys, and what S3 tells of them.
//!
//! The keys are those of two real sites' recorded deploys (`tests/planner`), each deploy copied under several sections
//! of a site, as languages or versions are, until there are enough changes. Deploys start at any time, overlap, and
//! write the same keys again and again: an invalidation for the first write must not pass for one for the second.
//!
//! A few keys get a character whose spelling is contested, a few messages are poison, a few tell of something that
//! changes nothing. S3's clock and CloudFront's are not the same one, so the time that an event states is up to a
//! second off. One deploy is older than the rest: its messages waited long, as they do while an event source is
//! switched off.

use std::io::{self, Read};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use flate2::read::GzDecoder;
use serde_json::Value;

use super::Pace;
use super::random::Random;

const RECORDED: [&[u8]; 2] = [
    include_bytes!("../../planner/hexo.jsonl.gz"),
    include_bytes!("../../planner/kafka.jsonl.gz"),
];

/// Smaller ones would make a steady drizzle of the soak, where a deploy is a burst.
const SMALLEST_DEPLOY: usize = 50;
const SECTIONS: [&str; 12] = [
    "", "de/", "es/", "fr/", "ja/", "zh-cn/", "v1/", "v2/", "v3/", "beta/", "docs/", "2024/",
];
/// How many objects a second `aws s3 sync` uploads, from a laptop to a build server beside the bucket.
const UPLOADS_A_SECOND: [u64; 3] = [100, 400, 1_200];
const CLOCK_SKEW: Duration = Duration::from_secs(1);

const ONE_IN_ODD_KEYS: usize = 50;
const ONE_IN_CHAFF: usize = 200;
const ONE_IN_TOLD_TWICE: usize = 100;
const ONE_IN_REMOVED: usize = 20;

/// Put before the last dot of a key: what encoders disagree on, and what they agree on.
const ODD: [&str; 8] = [" copy", "+", "~1", "@2x", " (1)", "é", "日本", "[id]"];

/// Something that S3 tells of an object.
#[derive(Clone, Debug)]
pub struct Notice {
    pub key: String,
    pub removed: bool,
    pub kind: Kind,
    pub envelope: Envelope,
    /// When the object changed, by the clock that invalidations are created by.
    pub changed: SystemTime,
    /// When S3 says it changed.
    pub stated: SystemTime,
    pub sequencer: u64,
}

/// What must come of a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An object changed: it must be invalidated.
    Change,
    /// The message makes no sense: it must end in the dead-letter queue.
    Poison(Poison),
    /// Nothing changed for viewers: it must go, and needs no invalidation.
    Chaff(Chaff),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Poison {
    Truncated,
    Stranger,
    Keyless,
    NotUtf8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chaff {
    Tagging,
    TestEvent,
}

/// The way from the bucket to the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Envelope {
    S3,
    Sns,
    SnsRaw,
    EventBridge,
}

/// A notice on its way to the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    pub notice: usize,
    pub at: SystemTime,
}

/// All that happens to the bucket.
#[derive(Debug, Default)]
pub struct Deploys {
    pub notices: Vec<Notice>,
    pub arrivals: Vec<Arrival>,
    pub count: usize,
}

impl Deploys {
    /// Plans so many changes from this moment on.
    pub fn plan(
        random: &mut Random,
        changes: usize,
        pace: &Pace,
        began: SystemTime,
    ) -> io::Result<Self> {
        let recorded = recorded_deploys()?;
        let mut deploys = Self::default();
        while deploys.notices.len() < changes {
            let left = changes - deploys.notices.len();
            let keys = upload(random, &recorded, left.min(changes.div_ceil(8)));
            deploys.add(random, &keys, pace, began);
        }
        Ok(deploys)
    }

    fn add(&mut self, random: &mut Random, keys: &[String], pace: &Pace, began: SystemTime) {
        let an_object = Duration::from_micros(1_000_000 / random.one_of(&UPLOADS_A_SECOND));
        let lasts = an_object * u32::try_from(keys.len()).unwrap_or(u32::MAX);
        let later = random.up_to(pace.uploads_over.saturating_sub(lasts));
        let (start, waited, one_in_poison) = match self.count {
            // Poison that waited, too, would keep the function in a hurry until it is dead.
            0 => (Duration::ZERO, pace.backlog, usize::MAX),
            1 => (Duration::ZERO, Duration::ZERO, pace.one_in_poison),
            _ => (later, Duration::ZERO, pace.one_in_poison),
        };
        for (at, key) in (0_u32..).zip(keys) {
            let since_began = whole_milliseconds(start + an_object * at);
            let mut notice = notice(random, key, began + since_began - waited);
            notice.sequencer |= (self.notices.len() & 0xFFFF) as u64;
            if since_began < pace.poison_until && random.once_in(one_in_poison) {
                notice.kind = Kind::Poison(poison(random, notice.envelope));
            }
            let times = 1 + usize::from(random.once_in(ONE_IN_TOLD_TWICE));
            for _ in 0..times {
                let at = notice.changed + random.up_to(pace.told_within);
                let notice = self.notices.len();
                self.arrivals.push(Arrival { notice, at });
            }
            self.notices.push(notice);
        }
        self.count += 1;
    }
}

/// Invents a deploy: a recorded one in one or more sections, cut to the most changes that are wanted.
fn upload(random: &mut Random, recorded: &[Vec<String>], most: usize) -> Vec<String> {
    let deploy = &recorded[random.below(recorded.len())];
    let mut sections = SECTIONS;
    random.shuffle(&mut sections);
    let sections = &sections[..1 + random.below(SECTIONS.len())];
    let mut keys: Vec<String> = sections
        .iter()
        .flat_map(|section| deploy.iter().map(move |key| format!("{section}{key}")))
        .take(most)
        .collect();
    for key in &mut keys {
        if random.once_in(ONE_IN_ODD_KEYS) {
            let dot = key.rfind('.').unwrap_or(key.len());
            key.insert_str(dot, random.one_of(&ODD));
        }
    }
    keys
}

fn notice(random: &mut Random, key: &str, changed: SystemTime) -> Notice {
    use Envelope::{EventBridge, S3, Sns, SnsRaw};
    let kind = match random.once_in(ONE_IN_CHAFF) {
        true => Kind::Chaff(random.one_of(&[Chaff::Tagging, Chaff::TestEvent])),
        false => Kind::Change,
    };
    Notice {
        key: key.to_owned(),
        removed: random.once_in(ONE_IN_REMOVED),
        kind,
        envelope: random.one_of(&[S3, Sns, SnsRaw, EventBridge]),
        changed,
        stated: changed - CLOCK_SKEW + random.up_to(CLOCK_SKEW * 2),
        sequencer: milliseconds(changed.duration_since(UNIX_EPOCH).unwrap_or_default()) << 16,
    }
}

fn poison(random: &mut Random, envelope: Envelope) -> Poison {
    let poison = random.one_of(&[
        Poison::Truncated,
        Poison::Stranger,
        Poison::Keyless,
        Poison::NotUtf8,
    ]);
    match (poison, envelope) {
        // EventBridge does not encode keys, so there every text is one.
        (Poison::NotUtf8, Envelope::EventBridge) => Poison::Keyless,
        (poison, _) => poison,
    }
}

/// Events state milliseconds; a change in between could not be compared with anything.
fn whole_milliseconds(time: Duration) -> Duration {
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
            if keys.len() >= SMALLEST_DEPLOY {
                deploys.push(keys);
            }
        }
    }
    Ok(deploys)
}
