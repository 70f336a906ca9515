//! The judgement: was every change made fresh, and was it before anybody was told so?
//!
//! "An invalidation that covers the change was created after it" alone would be too kind: a later deploy's `/docs/*`
//! would hide a change that was lost in an earlier one. What the function promises is more: when it reports a message
//! done, that invalidation exists already. So it must have been created between the change and the report.
//!
//! What covers what is said here again, in a few lines over the texts that CloudFront got, and not asked of the crate:
//! an error in `InvalidationPath::covers` would make the function drop a change and the soak approve of it.

use std::collections::HashSet;
use std::fmt;
use std::time::{Duration, SystemTime};

use cloudfront_invalidator::path::InvalidationPath;

use super::DEFAULT_ROOT_OBJECT;
use super::deploys::{Kind, Notice};
use super::queue::Message;
use crate::standin::{AcceptedInvalidation, iso8601};

/// What is wrong with the fate of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// Its change was never invalidated.
    Stale { path: String },
    /// It was reported done before its change was invalidated.
    TooEarly { path: String, by: Duration },
    /// It makes sense and is in the dead-letter queue.
    Dead,
    /// It makes no sense and was reported done.
    Swallowed,
    /// It is in the queue still.
    Stuck,
}

/// A message and what is wrong with its fate.
#[derive(Clone, Debug)]
pub struct Finding {
    pub message: usize,
    pub receives: u32,
    pub notice: Notice,
    pub violation: Violation,
}

/// What came of all messages.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    pub findings: Vec<Finding>,
    /// How long each change that became fresh took to, sorted.
    pub ages: Vec<Duration>,
    pub poison: usize,
}

/// An accepted invalidation, made quick to ask.
struct Invalidation<'a> {
    created: SystemTime,
    files: HashSet<&'a str>,
    wildcards: Vec<&'a str>,
}

/// Judges every message by its notice and by the invalidations that were accepted.
///
/// Ages count from `began` for changes before it.
pub fn judge(
    messages: &[Message],
    notices: &[Notice],
    accepted: &[AcceptedInvalidation],
    began: SystemTime,
) -> Verdict {
    let mut invalidations: Vec<_> = accepted.iter().map(Invalidation::of).collect();
    invalidations.sort_by_key(|one| one.created);
    let mut verdict = Verdict::default();
    for (id, message) in messages.iter().enumerate() {
        let notice = &notices[message.notice];
        verdict.poison += usize::from(matches!(notice.kind, Kind::Poison(_)));
        let violation = match judge_fate(message, notice.kind) {
            Some(violation) => Some(violation),
            None if notice.kind == Kind::Change => match judge_change(notice, &invalidations) {
                Ok((fresh, path)) => {
                    let counts_from = notice.changed.max(began);
                    let age = fresh.duration_since(counts_from).unwrap_or_default();
                    verdict.ages.push(age);
                    too_early(message, fresh, path)
                }
                Err(path) => Some(Violation::Stale { path }),
            },
            None => None,
        };
        verdict.findings.extend(violation.map(|violation| Finding {
            message: id,
            receives: message.receives,
            notice: notice.clone(),
            violation,
        }));
    }
    verdict.ages.sort();
    verdict
}

/// Judges where the message has ended, whatever it says.
fn judge_fate(message: &Message, kind: Kind) -> Option<Violation> {
    match (kind, message.dead, message.done) {
        (Kind::Poison(_), _, Some(_)) => Some(Violation::Swallowed),
        (Kind::Poison(_), true, None) => None,
        (_, true, _) => Some(Violation::Dead),
        (_, false, None) => Some(Violation::Stuck),
        (_, false, Some(_)) => None,
    }
}

fn too_early(message: &Message, fresh: SystemTime, path: String) -> Option<Violation> {
    let by = fresh.duration_since(message.done?).ok()?;
    (!by.is_zero()).then_some(Violation::TooEarly { path, by })
}

/// Returns when the change was fresh under all its paths, and the last of them; or the first that never was.
fn judge_change(
    notice: &Notice,
    invalidations: &[Invalidation],
) -> Result<(SystemTime, String), String> {
    let later = invalidations.partition_point(|one| one.created < notice.changed);
    let mut last = None;
    for path in viewed_paths(&notice.key) {
        let covering = invalidations[later..].iter().find(|one| one.covers(&path));
        let Some(covering) = covering else {
            return Err(path);
        };
        last = last.max(Some((covering.created, path)));
    }
    last.ok_or_else(|| format!("/{}", notice.key))
}

/// Returns the paths under which viewers can have cached the object, as texts.
fn viewed_paths(key: &str) -> Vec<String> {
    let paths = InvalidationPath::from_object_key(key).into_iter();
    let root = (key == DEFAULT_ROOT_OBJECT).then(|| "/".to_owned());
    paths.map(|path| path.to_string()).chain(root).collect()
}

impl<'a> Invalidation<'a> {
    fn of(accepted: &'a AcceptedInvalidation) -> Self {
        let paths = accepted.paths.iter().map(String::as_str);
        let (wildcards, files): (Vec<_>, Vec<_>) = paths.partition(|path| path.ends_with('*'));
        Self {
            created: accepted.created,
            files: files.into_iter().collect(),
            wildcards,
        }
    }

    fn covers(&self, path: &str) -> bool {
        self.files.contains(path) || self.wildcards.iter().any(|one| covers(one, path))
    }
}

/// Tells whether a wildcard surely covers a path, which may be one itself: `/dir/*` was seen to leave out `/dir/`.
fn covers(wildcard: &str, path: &str) -> bool {
    let prefix = wildcard.strip_suffix('*').unwrap_or(wildcard);
    let rest = path.strip_prefix(prefix);
    prefix == "/" || rest.is_some_and(|rest| !(rest.is_empty() && prefix.ends_with('/')))
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Notice {
            key,
            kind,
            envelope,
            changed,
            ..
        } = &self.notice;
        let changed = iso8601(*changed);
        let (message, receives) = (self.message, self.receives);
        write!(
            f,
            "message {message} ({kind:?}, {envelope:?}, {key:?} changed {changed}, received {receives} times): "
        )?;
        match &self.violation {
            Violation::Stale { path } => write!(f, "no invalidation after it covers {path}"),
            Violation::TooEarly { path, by } => {
                write!(f, "reported done {by:.1?} before {path} was invalidated")
            }
            Violation::Dead => f.write_str("in the dead-letter queue, though it makes sense"),
            Violation::Swallowed => f.write_str("reported done, though it makes no sense"),
            Violation::Stuck => f.write_str("still in the queue"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::deploys::{Arrival, Chaff, Envelope, Poison};
    use super::*;
    use std::time::UNIX_EPOCH;

    fn at(second: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(second)
    }

    fn notice(key: &str, kind: Kind) -> Notice {
        Notice {
            key: key.to_owned(),
            removed: false,
            kind,
            envelope: Envelope::S3,
            changed: at(100),
            stated: at(100),
            sequencer: 1,
        }
    }

    /// Judges one message of a change at 100 s; `sent` holds seconds and paths.
    fn violation(
        (key, kind): (&str, Kind),
        sent: &[(u64, &str)],
        done: Option<u64>,
        dead: bool,
    ) -> Option<Violation> {
        let accepted = sent.iter().map(|(second, paths)| AcceptedInvalidation {
            distribution: String::new(),
            created: at(*second),
            paths: paths.split(' ').map(str::to_owned).collect(),
        });
        let mut message = Message::sent(Arrival {
            notice: 0,
            at: at(101),
        });
        message.done = done.map(at);
        message.dead = dead;
        let accepted: Vec<_> = accepted.collect();
        let verdict = judge(&[message], &[notice(key, kind)], &accepted, at(0));
        verdict.findings.into_iter().next().map(|it| it.violation)
    }

    #[test]
    fn a_change_must_be_covered_between_itself_and_its_report() {
        let stale = |path: &str| Some(Violation::Stale { path: path.into() });
        let early = |path: &str, by| {
            Some(Violation::TooEarly {
                path: path.into(),
                by: Duration::from_secs(by),
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
    fn a_message_must_end_where_it_belongs() {
        let covered = &[(105, "/*")][..];
        for (kind, done, dead, expected) in [
            (Kind::Change, Some(110), true, Some(Violation::Dead)),
            (Kind::Change, None, true, Some(Violation::Dead)),
            (Kind::Change, None, false, Some(Violation::Stuck)),
            (Kind::Chaff(Chaff::Tagging), Some(110), false, None),
            (
                Kind::Chaff(Chaff::Tagging),
                None,
                true,
                Some(Violation::Dead),
            ),
            (Kind::Poison(Poison::Keyless), None, true, None),
            (
                Kind::Poison(Poison::Keyless),
                None,
                false,
                Some(Violation::Stuck),
            ),
            (
                Kind::Poison(Poison::Keyless),
                Some(110),
                false,
                Some(Violation::Swallowed),
            ),
        ] {
            let found = violation(("a", kind), covered, done, dead);
            assert_eq!(found, expected, "{kind:?} {done:?} {dead}");
        }
    }
}
