//! What quotas and a backlog leave of the limits, as tables.

use super::*;
use crate::path::{InvalidationPath, SubmittedPath};
use crate::plan::{InvalidationId, InvalidationStatus};

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).expect("a time")
}

fn existing(id: &str, texts: &[&str]) -> ExistingInvalidation {
    let path = |text: &&str| InvalidationPath::parse(text).expect("a path");
    ExistingInvalidation {
        id: InvalidationId::new(id),
        created: at(0),
        status: InvalidationStatus::InProgress,
        caller_reference: "reference".into(),
        paths: texts
            .iter()
            .map(path)
            .map(|path| SubmittedPath::from(&path))
            .collect(),
    }
}

#[test]
fn leaves_what_invalidations_in_progress_do_not_use() {
    let limits = Limits {
        paths: 20,
        wildcards: 10,
    };
    let wildcards: Vec<String> = (0..12).map(|at| format!("/{at}*")).collect();
    let wildcards: Vec<&str> = wildcards.iter().map(String::as_str).collect();
    let files: Vec<String> = (0..2_990).map(|at| format!("/{at}")).collect();
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let completed = ExistingInvalidation {
        status: InvalidationStatus::Completed,
        ..existing("I0", &wildcards)
    };
    for (existing, left) in [
        (vec![], limits),
        (vec![completed.clone()], limits),
        (
            vec![existing("I1", &wildcards)],
            Limits {
                paths: 20,
                wildcards: 3,
            },
        ),
        (
            vec![
                existing("I1", &wildcards),
                existing("I2", &["/x*", "/y*", "/z*"]),
            ],
            Limits {
                paths: 20,
                wildcards: 0,
            },
        ),
        (
            vec![existing("I1", &files)],
            Limits {
                paths: 20,
                wildcards: 10,
            },
        ),
        (
            vec![existing("I1", &files), existing("I2", &wildcards)],
            Limits {
                paths: 13,
                wildcards: 3,
            },
        ),
    ] {
        assert_eq!(limits.remaining(&existing), left);
    }
}

#[test]
fn shrinks_to_one_path_when_the_oldest_message_is_too_old() {
    let limits = Limits {
        paths: 20,
        wildcards: 10,
    };
    for (oldest, expected) in [
        (None, limits),
        (Some(at(0)), limits),
        (Some(at(-15 * 60)), limits),
        (
            Some(at(-15 * 60 - 1)),
            Limits {
                paths: 1,
                wildcards: 1,
            },
        ),
    ] {
        assert_eq!(limits.for_backlog(oldest, at(0)), expected);
    }
}
