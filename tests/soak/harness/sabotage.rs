//! Ways to lose changes, to prove that the soak notices them.
//!
//! A soak without findings proves something only if it would have found a lost change. So the harness can change what
//! passes between Lambda and the function, to the effect of a faulty function. Each way must cause violations.

use std::str::FromStr;

use super::deploys::{Irrelevant, Kind, Notification};
use super::lambda::Outcome;

/// The function loses one change of this many.
const ONE_IN: u64 = 100;

/// A way in which a faulty function loses changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// It treats a change as an event that changes nothing.
    Drops,
    /// It invalidates a path that is not the object's.
    Misspells,
    /// It reports success and does nothing.
    Idles,
    /// It reports failed messages as successful.
    Forgets,
    /// It gets configurations from before all changes of them, as if it never read them again.
    Outdated,
}

impl Sabotage {
    pub const ALL: [Self; 5] = [
        Self::Drops,
        Self::Misspells,
        Self::Idles,
        Self::Forgets,
        Self::Outdated,
    ];

    /// Returns the notification as the faulty function reads it.
    pub fn misread(self, notification: &Notification) -> Notification {
        let mut notification = notification.clone();
        if notification.kind == Kind::Change && notification.sequencer.is_multiple_of(ONE_IN) {
            match self {
                Self::Drops => notification.kind = Kind::Irrelevant(Irrelevant::TestEvent),
                Self::Misspells => notification.key.insert_str(0, "elsewhere/"),
                Self::Idles | Self::Forgets | Self::Outdated => {}
            }
        }
        notification
    }

    /// Returns the response that the faulty function sends without reading the event, if any.
    pub fn response(self) -> Option<Outcome> {
        let nothing_failed = &b"{\"batchItemFailures\":[]}"[..];
        (self == Self::Idles).then(|| Outcome::Returned(nothing_failed.into()))
    }
}

impl FromStr for Sabotage {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let mut all = Self::ALL.into_iter();
        let found = all.find(|sabotage| format!("{sabotage:?}").eq_ignore_ascii_case(name));
        found.ok_or_else(|| {
            let known = Self::ALL.map(|sabotage| format!("{sabotage:?}").to_lowercase());
            format!("unknown sabotage \"{name}\"; one of: {}", known.join(", "))
        })
    }
}
