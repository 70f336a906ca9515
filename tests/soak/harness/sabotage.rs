//! Ways to lose changes, to see that the soak notices them.
//!
//! A soak that finds nothing proves something only if it would have found it. So it can be told to spoil what passes
//! between Lambda and the function, as a function with a fault would. Each way must end in violations.

use std::str::FromStr;

use super::deploys::{Chaff, Kind, Notice};
use super::lambda::Answer;

/// The function loses one change in so many.
const ONE_IN: u64 = 100;

/// A way in which a function could lose changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// It takes a change for an event that changes nothing.
    Drops,
    /// It invalidates another path than the object's.
    Misspells,
    /// It reports success and does nothing.
    Idles,
    /// It reports no failures.
    Forgets,
}

impl Sabotage {
    pub const ALL: [Self; 4] = [Self::Drops, Self::Misspells, Self::Idles, Self::Forgets];

    /// Returns what the function makes of a notice.
    pub fn of_notice(self, notice: &Notice) -> Notice {
        let mut notice = notice.clone();
        if notice.kind == Kind::Change && notice.sequencer.is_multiple_of(ONE_IN) {
            match self {
                Self::Drops => notice.kind = Kind::Chaff(Chaff::TestEvent),
                Self::Misspells => notice.key.insert_str(0, "elsewhere/"),
                Self::Idles | Self::Forgets => {}
            }
        }
        notice
    }

    /// Returns the answer that it gives without looking at the event.
    pub fn answer(self) -> Option<Answer> {
        let nothing_failed = &b"{\"batchItemFailures\":[]}"[..];
        (self == Self::Idles).then(|| Answer::Returned(nothing_failed.into()))
    }
}

impl FromStr for Sabotage {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let mut all = Self::ALL.into_iter();
        let found = all.find(|one| format!("{one:?}").eq_ignore_ascii_case(name));
        found.ok_or_else(|| {
            let known = Self::ALL.map(|one| format!("{one:?}").to_lowercase());
            format!("unknown sabotage \"{name}\"; one of: {}", known.join(", "))
        })
    }
}
