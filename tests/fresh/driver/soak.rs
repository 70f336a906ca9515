//! The soak's models of Lambda, SQS and S3's notifications, which this driver shares.
//!
//! The soak's own module keeps them private, so they are included here under another parent, with what they expect of
//! it: the bucket and the pace.

use std::time::Duration;

#[path = "../../soak/harness/deploys.rs"]
pub mod deploys;
#[path = "../../soak/harness/envelope.rs"]
pub mod envelope;
#[path = "../../soak/harness/event_source_mapping.rs"]
pub mod event_source_mapping;
#[path = "../../soak/harness/lambda.rs"]
pub mod lambda;
#[path = "../../soak/harness/queue.rs"]
pub mod queue;
#[path = "../../soak/harness/random.rs"]
pub mod random;
#[path = "../../soak/harness/sabotage.rs"]
pub mod sabotage;

pub const BUCKET: &str = "site";
/// The copy of the bucket in another region.
pub const REPLICA: &str = "site-replica";

/// When things happen in the queue, in real time. Nothing is killed, and nothing is poison.
#[derive(Clone, Debug)]
pub struct Pace {
    pub batching_window: Duration,
    pub visibility_timeout: Duration,
    pub max_receives: u32,
    pub give_up_after: Duration,
    pub kill_every: usize,
    pub kill_within: Duration,
    pub upload_duration: Duration,
    pub backlog: Duration,
    pub notified_within: Duration,
    pub poison_until: Duration,
    pub poison_one_in: usize,
}

impl Pace {
    /// Returns a pace at which a batch of a few messages is handled at once, and a failed one soon again.
    pub fn quick() -> Self {
        Self {
            batching_window: Duration::from_millis(30),
            visibility_timeout: Duration::from_secs(2),
            max_receives: 20,
            give_up_after: Duration::from_secs(60),
            kill_every: usize::MAX,
            kill_within: Duration::ZERO,
            upload_duration: Duration::ZERO,
            backlog: Duration::ZERO,
            notified_within: Duration::ZERO,
            poison_until: Duration::ZERO,
            poison_one_in: usize::MAX,
        }
    }
}
