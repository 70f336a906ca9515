//! What quotas and a backlog leave of the limits, as tables.

use super::*;
use crate::path::{InvalidationPath, SubmittedPath};
use crate::plan::{InvalidationId, InvalidationStatus};

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).expect("a time")
}

fn at_most(paths: usize, wildcards: usize) -> Limits {
    Limits {
        paths,
        wildcards,
        economy: Economy::NONE,
    }
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
    let limits = at_most(20, 10);
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
        (vec![existing("I1", &wildcards)], at_most(20, 3)),
        (
            vec![
                existing("I1", &wildcards),
                existing("I2", &["/x*", "/y*", "/z*"]),
            ],
            at_most(20, 0),
        ),
        (vec![existing("I1", &files)], at_most(20, 10)),
        (
            vec![existing("I1", &files), existing("I2", &wildcards)],
            at_most(13, 3),
        ),
    ] {
        assert_eq!(limits.remaining(&existing), left);
    }
}

#[test]
fn shrinks_to_one_path_when_the_oldest_message_is_too_old() {
    let limits = at_most(20, 10);
    for (oldest, expected) in [
        (None, limits),
        (Some(at(0)), limits),
        (Some(at(-15 * 60)), limits),
        (Some(at(-15 * 60 - 1)), at_most(1, 1)),
    ] {
        assert_eq!(limits.for_backlog(oldest, at(0)), expected);
    }
}

#[test]
fn what_is_left_keeps_the_economy() {
    let economy = Economy::parse("0.1").expect("a share");
    let limits = Limits {
        economy,
        ..at_most(20, 10)
    };
    let left = limits.remaining(&[existing("I1", &["/a*", "/b*", "/c*", "/d*", "/e*", "/f*"])]);
    let expected = Limits {
        wildcards: 9,
        ..limits
    };
    assert_eq!(left, expected);
}

#[test]
fn economy_is_a_share_from_0_to_1_in_thousandths() {
    for (text, thousandths) in [
        ("0", 0),
        ("0.0", 0),
        ("0.001", 1),
        ("0.1", 100),
        ("0.125", 125),
        // Rounded.
        ("0.0004", 0),
        ("0.0006", 1),
        ("0.3333", 333),
        ("0.3337", 334),
        ("1", 1_000),
        ("1.000", 1_000),
    ] {
        assert_eq!(Economy::parse(text), Ok(Economy { thousandths }), "{text}");
    }
    for text in [
        "", "-0.1", "-0.0001", "1.0001", "1.001", "2", "10%", "0,1", "NaN", "inf", "much",
    ] {
        let message = format!("{text:?} is not a number from 0 to 1, such as 0.1 for 10 %");
        assert_eq!(Economy::parse(text), Err(message));
    }
    assert_eq!(Economy::default(), Economy::NONE);
}

#[test]
fn accepts_harm_up_to_the_share_above_the_least() {
    for (economy, least, harm, is_accepted) in [
        ("0", 0.0, 0.0, true),
        ("0", 100.0, 100.0, true),
        ("0", 100.0, 101.0, false),
        ("0", 0.1, 0.1_f64.next_up(), false),
        ("0.1", 100.0, 110.0, true),
        ("0.1", 100.0, 111.0, false),
        // 100.0 * 1.15 is less than 115.
        ("0.15", 100.0, 115.0, true),
        ("0.15", 100.0, 116.0, false),
        ("1", 100.0, 200.0, true),
        ("1", 100.0, 201.0, false),
        ("1", 0.0, 0.0, true),
        ("1", 0.0, 1.0, false),
        ("1", 100.0, f64::INFINITY, false),
    ] {
        let accepts = Economy::parse(economy).map(|economy| economy.accepts(harm, least));
        assert_eq!(accepts, Ok(is_accepted), "{harm} for {least} at {economy}");
    }
}
