//! The verdict: was every change invalidated, and before its message was reported as successful?
//!
//! "An invalidation that covers the change was created after it" alone is too weak: the `/docs/*` of a later deploy
//! would hide a change that was lost in an earlier one. The function guarantees more: when it reports a message as
//! successful, the invalidation exists. So it must be created between the change and the report.
//!
//! The rule of what a path covers is repeated here, in a few lines over the strings that CloudFront received. An error
//! in the crate's `InvalidationPath::covers` would make the function lose a change; a verdict that called it would then
//! approve.

use std::collections::HashSet;
use std::fmt;
use std::time::{Duration, SystemTime};

use cloudfront_invalidator::path::InvalidationPath;

use super::DEFAULT_ROOT_OBJECT;
use super::deploys::{Kind, Notification};
use super::queue::Message;
use crate::standin::{AcceptedInvalidation, iso8601};

/// A guarantee that was broken for a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// Its change was never invalidated.
    Stale { path: String },
    /// It was reported as successful before its change was invalidated.
    TooEarly { path: String, early: Duration },
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
    /// The time from each invalidated change to its invalidation, sorted.
    pub ages: Vec<Duration>,
    pub poison: usize,
}

/// An accepted invalidation, prepared for fast lookups.
struct Invalidation<'a> {
    created: SystemTime,
    files: HashSet<&'a str>,
    wildcards: Vec<&'a str>,
}

/// Judges every message by its notification and by the accepted invalidations.
///
/// The age of a change from before `started` counts from `started`.
pub fn judge(
    messages: &[Message],
    notifications: &[Notification],
    accepted: &[AcceptedInvalidation],
    started: SystemTime,
) -> Verdict {
    let mut invalidations: Vec<_> = accepted.iter().map(Invalidation::new).collect();
    invalidations.sort_by_key(|invalidation| invalidation.created);
    let mut verdict = Verdict::default();
    for (id, message) in messages.iter().enumerate() {
        let notification = &notifications[message.notification];
        verdict.poison += usize::from(matches!(notification.kind, Kind::Poison(_)));
        let violation = match judge_end(message, notification.kind) {
            Some(violation) => Some(violation),
            None if notification.kind == Kind::Change => {
                match judge_change(notification, &invalidations) {
                    Ok((invalidated, path)) => {
                        let counts_from = notification.changed.max(started);
                        let age = invalidated.duration_since(counts_from).unwrap_or_default();
                        verdict.ages.push(age);
                        too_early(message, invalidated, path)
                    }
                    Err(path) => Some(Violation::Stale { path }),
                }
            }
            None => None,
        };
        verdict.findings.extend(violation.map(|violation| Finding {
            message: id,
            receives: message.receives,
            notification: notification.clone(),
            violation,
        }));
    }
    verdict.ages.sort();
    verdict
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

fn too_early(message: &Message, invalidated: SystemTime, path: String) -> Option<Violation> {
    let early = invalidated.duration_since(message.succeeded_at?).ok()?;
    (!early.is_zero()).then_some(Violation::TooEarly { path, early })
}

/// Returns when all paths of a change were invalidated, with the last of them; or a path that never was.
fn judge_change(
    notification: &Notification,
    invalidations: &[Invalidation],
) -> Result<(SystemTime, String), String> {
    let later =
        invalidations.partition_point(|invalidation| invalidation.created < notification.changed);
    let mut last = None;
    for path in cached_paths(&notification.key) {
        let covering = invalidations[later..]
            .iter()
            .find(|invalidation| invalidation.covers(&path));
        let Some(covering) = covering else {
            return Err(path);
        };
        last = last.max(Some((covering.created, path)));
    }
    last.ok_or_else(|| format!("/{}", notification.key))
}

/// Returns the paths under which CloudFront can have cached the object.
fn cached_paths(key: &str) -> Vec<String> {
    let paths = InvalidationPath::from_object_key(key).into_iter();
    let root = (key == DEFAULT_ROOT_OBJECT).then(|| "/".to_owned());
    paths.map(|path| path.to_string()).chain(root).collect()
}

impl<'a> Invalidation<'a> {
    fn new(accepted: &'a AcceptedInvalidation) -> Self {
        let paths = accepted.paths.iter().map(String::as_str);
        let (wildcards, files): (Vec<_>, Vec<_>) = paths.partition(|path| path.ends_with('*'));
        Self {
            created: accepted.created,
            files: files.into_iter().collect(),
            wildcards,
        }
    }

    fn covers(&self, path: &str) -> bool {
        self.files.contains(path) || self.wildcards.iter().any(|wildcard| covers(wildcard, path))
    }
}

/// Returns whether a wildcard covers a path, which can be a wildcard itself; `/dir/*` does not always cover `/dir/`.
fn covers(wildcard: &str, path: &str) -> bool {
    let prefix = wildcard.strip_suffix('*').unwrap_or(wildcard);
    let rest = path.strip_prefix(prefix);
    prefix == "/" || rest.is_some_and(|rest| !(rest.is_empty() && prefix.ends_with('/')))
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
            Violation::Stale { path } => write!(f, "no invalidation after it covers {path}"),
            Violation::TooEarly { path, early } => {
                write!(
                    f,
                    "reported as successful {early:.1?} before {path} was invalidated"
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

    fn notification(key: &str, kind: Kind) -> Notification {
        Notification {
            key: key.to_owned(),
            deleted: false,
            kind,
            envelope: Envelope::S3,
            changed: at(100),
            event_time: at(100),
            sequencer: 1,
        }
    }

    /// Judges one message of a change at 100 s; `sent` contains the seconds and paths of invalidations.
    fn violation(
        (key, kind): (&str, Kind),
        sent: &[(u64, &str)],
        succeeded_at: Option<u64>,
        dead: bool,
    ) -> Option<Violation> {
        let accepted = sent.iter().map(|(second, paths)| AcceptedInvalidation {
            distribution: String::new(),
            created: at(*second),
            paths: paths.split(' ').map(str::to_owned).collect(),
        });
        let mut message = Message::sent(Delivery {
            notification: 0,
            at: at(101),
        });
        message.succeeded_at = succeeded_at.map(at);
        message.dead = dead;
        let accepted: Vec<_> = accepted.collect();
        let verdict = judge(&[message], &[notification(key, kind)], &accepted, at(0));
        verdict
            .findings
            .into_iter()
            .next()
            .map(|finding| finding.violation)
    }

    #[test]
    fn a_change_must_be_invalidated_after_it_and_before_the_report() {
        let stale = |path: &str| Some(Violation::Stale { path: path.into() });
        let early = |path: &str, seconds| {
            Some(Violation::TooEarly {
                path: path.into(),
                early: Duration::from_secs(seconds),
            })
        };
        for (key, sent, expected) in [
            ("a.html", &[(100, "/a.html")][..], None),
            ("a.html", &[(110, "/b.html /a*")], None),
            ("a.html", &[(99, "/a.html")], stale("/a.html")),
            ("a.html", &[(111, "/a.html")], early("/a.html", 1)),
            ("a.html", &[(99, "/*"), (105, "/b*")], stale("/a.html")),
            ("a.html", &[(99, "/*"), (105, "/*")], None),
            ("d/", &[(105, "/d/*")], stale("/d/")),
            ("d/e", &[(105, "/d/*")], None),
            ("index.html", &[(105, "/index.html")], stale("/")),
            (
                "index.html",
                &[(105, "/index.html"), (113, "/")],
                early("/", 3),
            ),
            ("index.html", &[(105, "/index.html /")], None),
            ("a@2x", &[(105, "/a@2x")], stale("/a%402x")),
            ("a@2x", &[(105, "/a@2x"), (106, "/a%402x")], None),
            ("b/a~1", &[(105, "/b/a~1")], stale("/b/a*")),
            ("b/a~1", &[(105, "/b/*")], None),
        ] {
            let found = violation((key, Kind::Change), sent, Some(110), false);
            assert_eq!(found, expected, "{key} {sent:?}");
        }
    }

    #[test]
    fn each_kind_of_message_must_end_in_its_own_way() {
        let covered = &[(105, "/*")][..];
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
            let found = violation(("a", kind), covered, succeeded_at, dead);
            assert_eq!(found, expected, "{kind:?} {succeeded_at:?} {dead}");
        }
    }
}
