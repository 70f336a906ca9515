//! The verdict: do viewers get every change, and did its invalidation exist when its message was successful?
//!
//! "Viewers get the change in the end" alone is too weak: the `/docs/*` of a later deploy would hide a change that was
//! lost in an earlier one. The function guarantees more: when it reports a message as successful, the invalidation
//! exists. At the immediate POP, invalidations take effect at their creation, so it must not have an older copy after
//! the report. The other POPs must not have one as soon as an invalidation of that moment would be completed.
//!
//! The verdict has no rule of what an invalidation drops. It reads the versions and times that `viewers` recorded at the
//! edge.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime};

use super::deploys::{Kind, Notification};
use super::queue::Message;
use super::viewers::Views;
use crate::standin::iso8601;

/// A guarantee that was broken for a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// Viewers get an older version of this URL after all invalidations.
    Stale { url: String },
    /// It was reported as successful this long before its invalidation was created.
    TooEarly { early: Duration },
    /// It is valid and in the dead-letter queue.
    DeadLettered,
    /// It is poison and was reported as successful.
    PoisonAccepted,
    /// It is still in the queue.
    Stuck,
}

/// A message with a broken guarantee.
#[derive(Clone, Debug)]
pub struct Finding {
    pub message: usize,
    pub receives: u32,
    pub notification: Notification,
    pub violation: Violation,
}

/// The verdict on all messages.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    pub findings: Vec<Finding>,
    /// The time from each change of a cached object to its invalidation, sorted.
    pub until_invalidated: Vec<Duration>,
    /// The time from each change of a cached object until no POP had an older copy, sorted.
    pub until_fresh: Vec<Duration>,
    pub poison: usize,
}

/// What messages are judged by.
#[derive(Clone, Copy, Debug)]
pub struct Judge<'a> {
    pub notifications: &'a [Notification],
    pub views: &'a Views,
    /// How long an invalidation can take to reach all POPs.
    pub in_progress_for: Duration,
    /// The age of a change from before this time counts from this time.
    pub started: SystemTime,
}

impl Judge<'_> {
    /// Judges every message by its notification and by what viewers got.
    pub fn judge(&self, messages: &[Message]) -> Verdict {
        let mut verdict = Verdict {
            until_invalidated: self.ages(&self.views.invalidated),
            until_fresh: self.ages(&self.views.fresh),
            ..Verdict::default()
        };
        for (id, message) in messages.iter().enumerate() {
            let notification = &self.notifications[message.notification];
            verdict.poison += usize::from(matches!(notification.kind, Kind::Poison(_)));
            let violation = judge_end(message, notification.kind);
            let violation = violation.or_else(|| self.judge_change(message));
            verdict.findings.extend(violation.map(|violation| Finding {
                message: id,
                receives: message.receives,
                notification: notification.clone(),
                violation,
            }));
        }
        verdict
    }

    /// Returns the time from each change that was not lost to these moments.
    fn ages(&self, moments: &BTreeMap<usize, SystemTime>) -> Vec<Duration> {
        let moments = moments.iter();
        let moments =
            moments.filter(|(notification, _)| !self.views.stale.contains_key(notification));
        let mut ages: Vec<_> = moments
            .map(|(notification, moment)| {
                let changed = self.notifications[*notification].changed;
                let counts_from = changed.max(self.started);
                moment.duration_since(counts_from).unwrap_or_default()
            })
            .collect();
        ages.sort();
        ages
    }

    fn judge_change(&self, message: &Message) -> Option<Violation> {
        if let Some(url) = self.views.stale.get(&message.notification) {
            return Some(Violation::Stale { url: url.clone() });
        }
        let invalidated = self.views.invalidated.get(&message.notification).copied();
        let fresh = self.views.fresh.get(&message.notification);
        let created = fresh.map(|fresh| *fresh - self.in_progress_for);
        let created = invalidated.max(created)?;
        let early = created.duration_since(message.succeeded_at?).ok()?;
        (!early.is_zero()).then_some(Violation::TooEarly { early })
    }
}

/// Judges where a message ended, without its change.
fn judge_end(message: &Message, kind: Kind) -> Option<Violation> {
    match (kind, message.dead, message.succeeded_at) {
        (Kind::Poison(_), _, Some(_)) => Some(Violation::PoisonAccepted),
        (Kind::Poison(_), true, None) => None,
        (_, true, _) => Some(Violation::DeadLettered),
        (_, false, None) => Some(Violation::Stuck),
        (_, false, Some(_)) => None,
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Notification {
            key,
            kind,
            envelope,
            changed,
            ..
        } = &self.notification;
        let changed = iso8601(*changed);
        let (message, receives) = (self.message, self.receives);
        write!(
            f,
            "message {message} ({kind:?}, {envelope:?}, {key:?} changed {changed}, received {receives} times): "
        )?;
        match &self.violation {
            Violation::Stale { url } => write!(f, "viewers still get an older version of {url}"),
            Violation::TooEarly { early } => {
                write!(
                    f,
                    "reported as successful {early:.1?} before its invalidation"
                )
            }
            Violation::DeadLettered => {
                f.write_str("in the dead-letter queue, although it is valid")
            }
            Violation::PoisonAccepted => {
                f.write_str("reported as successful, although it is poison")
            }
            Violation::Stuck => f.write_str("still in the queue"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::deploys::{Delivery, Envelope, Irrelevant, Poison};
    use super::*;
    use std::time::UNIX_EPOCH;

    fn at(second: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(second)
    }

    fn notification(kind: Kind) -> Notification {
        Notification {
            bucket: "site",
            key: "a".to_owned(),
            deleted: false,
            kind,
            envelope: Envelope::S3,
            changed: at(100),
            event_time: at(100),
            sequencer: 1,
        }
    }

    /// Judges one message of a change at 100 s.
    fn verdict(kind: Kind, views: &Views, succeeded_at: Option<u64>, dead: bool) -> Verdict {
        let mut message = Message::sent(Delivery {
            notification: 0,
            at: at(101),
        });
        message.succeeded_at = succeeded_at.map(at);
        message.dead = dead;
        let judge = Judge {
            notifications: &[notification(kind)],
            views,
            in_progress_for: Duration::from_secs(5),
            started: at(102),
        };
        judge.judge(&[message])
    }

    fn violation(verdict: Verdict) -> Option<Violation> {
        let finding = verdict.findings.into_iter().next();
        finding.map(|finding| finding.violation)
    }

    #[test]
    fn a_change_must_reach_viewers_and_not_later_than_the_report_allows() {
        let stale = Violation::Stale {
            url: "/a at FRA50-P1".to_owned(),
        };
        let early = |seconds| Violation::TooEarly {
            early: Duration::from_secs(seconds),
        };
        for (invalidated, fresh, is_stale, expected, age) in [
            (None, None, false, None, None),
            (Some(101), Some(101), false, None, Some(0)),
            (Some(110), Some(115), false, None, Some(13)),
            (Some(111), Some(115), false, Some(early(1)), Some(13)),
            (Some(110), Some(117), false, Some(early(2)), Some(15)),
            (None, None, true, Some(stale.clone()), None),
            (Some(110), Some(112), true, Some(stale.clone()), None),
        ] {
            let moment = |second: Option<u64>| second.map(|second| (0, at(second))).into_iter();
            let views = Views {
                invalidated: moment(invalidated).collect(),
                fresh: moment(fresh).collect(),
                stale: is_stale
                    .then(|| (0, "/a at FRA50-P1".to_owned()))
                    .into_iter()
                    .collect(),
                ..Views::default()
            };
            let verdict = verdict(Kind::Change, &views, Some(110), false);
            let ages = age.map(Duration::from_secs).into_iter();
            assert!(verdict.until_fresh.iter().copied().eq(ages), "{fresh:?}");
            assert_eq!(violation(verdict), expected, "{fresh:?} {is_stale}");
        }
    }

    #[test]
    fn each_kind_of_message_must_end_in_its_own_way() {
        for (kind, succeeded_at, dead, expected) in [
            (Kind::Change, Some(110), true, Some(Violation::DeadLettered)),
            (Kind::Change, None, true, Some(Violation::DeadLettered)),
            (Kind::Change, None, false, Some(Violation::Stuck)),
            (
                Kind::Irrelevant(Irrelevant::Tagging),
                Some(110),
                false,
                None,
            ),
            (
                Kind::Irrelevant(Irrelevant::Tagging),
                None,
                true,
                Some(Violation::DeadLettered),
            ),
            (Kind::Poison(Poison::NoKey), None, true, None),
            (
                Kind::Poison(Poison::NoKey),
                None,
                false,
                Some(Violation::Stuck),
            ),
            (
                Kind::Poison(Poison::NoKey),
                Some(110),
                false,
                Some(Violation::PoisonAccepted),
            ),
        ] {
            let found = violation(verdict(kind, &Views::default(), succeeded_at, dead));
            assert_eq!(found, expected, "{kind:?} {succeeded_at:?} {dead}");
        }
    }
}
