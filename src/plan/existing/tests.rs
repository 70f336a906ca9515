//! What an earlier invalidation spares, as tables and over interleavings.

use proptest::prelude::*;

use super::*;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).expect("a time")
}

fn paths(texts: &[&str]) -> Vec<InvalidationPath> {
    texts
        .iter()
        .map(|text| InvalidationPath::parse(text).expect("a path"))
        .collect()
}

fn earlier(id: &str, created: i64, texts: &[&str]) -> Earlier {
    Earlier {
        id: id.into(),
        created: at(created),
        in_progress: true,
        paths: paths(texts),
    }
}

#[test]
fn spares_a_change_that_newer_invalidations_cover() {
    let known = [
        earlier("I3", 130, &["/c"]),
        earlier("I2", 120, &["/blog/*", "/a"]),
        earlier("I1", 110, &["/*"]),
    ];
    for (changed, asked, since) in [
        (100, vec!["/a"], Some("I2")),
        (100, vec!["/x"], Some("I1")),
        (100, vec!["/blog/x", "/c"], Some("I3")),
        (100, vec!["/blog/"], Some("I1")),
        (105, vec!["/a"], Some("I2")),
        // Within the margin of the clocks, and so not surely before the invalidation.
        (105, vec!["/x"], None),
        (115, vec!["/a"], None),
        (114, vec!["/a"], Some("I2")),
        (114, vec!["/a", "/x"], None),
        (200, vec!["/c"], None),
    ] {
        let found = fresh_since(&known, at(changed), &paths(&asked)).map(|one| one.id.as_str());
        assert_eq!(found, since, "{asked:?} changed at {changed}");
    }
    assert_eq!(
        fresh_since(&known, at(0), &[]),
        None,
        "what has no path is spared by none"
    );
    assert_eq!(fresh_since(&[], at(0), &paths(&["/a"])), None);
    assert_eq!(
        fresh_since(&known, DateTime::<Utc>::MAX_UTC, &paths(&["/c"])),
        None
    );
}

#[test]
fn leaves_what_those_in_progress_do_not_take() {
    let limits = Limits {
        paths: 20,
        wildcards: 10,
    };
    let wildcards: Vec<String> = (0..12).map(|at| format!("/{at}*")).collect();
    let wildcards: Vec<&str> = wildcards.iter().map(String::as_str).collect();
    let files: Vec<String> = (0..2_990).map(|at| format!("/{at}")).collect();
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let done = Earlier {
        in_progress: false,
        ..earlier("I0", 0, &wildcards)
    };
    for (known, left) in [
        (vec![], limits),
        (vec![done.clone()], limits),
        (
            vec![earlier("I1", 0, &wildcards)],
            Limits {
                paths: 20,
                wildcards: 3,
            },
        ),
        (
            vec![
                earlier("I1", 0, &wildcards),
                earlier("I2", 0, &["/x*", "/y*", "/z*"]),
            ],
            Limits {
                paths: 20,
                wildcards: 0,
            },
        ),
        (
            vec![earlier("I1", 0, &files)],
            Limits {
                paths: 20,
                wildcards: 10,
            },
        ),
        (
            vec![earlier("I1", 0, &files), earlier("I2", 0, &wildcards)],
            Limits {
                paths: 13,
                wildcards: 3,
            },
        ),
    ] {
        assert_eq!(limits.left_by(&known), left);
    }
}

#[test]
fn shrinks_to_one_path_when_the_oldest_message_has_waited_too_long() {
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
        assert_eq!(limits.after_waiting(oldest, at(0)), expected);
    }
}

/// What happens to a site, in the order in which it truly happens.
#[derive(Clone, Debug)]
enum Step {
    Change { key: usize },
    Invalidation { of: Vec<usize>, wildcard: bool },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..6_usize).prop_map(|key| Step::Change { key }),
        (proptest::collection::vec(0..6_usize, 1..4), any::<bool>())
            .prop_map(|(of, wildcard)| Step::Invalidation { of, wildcard }),
    ]
}

const KEYS: [&str; 6] = ["a/x", "a/y", "a/", "b/x", "b/y z", "c"];

proptest! {
    /// S3 and CloudFront date what they do by clocks that are off by up to the margin, all told.
    #[test]
    fn never_spares_a_change_that_came_after_the_invalidation(
        steps in proptest::collection::vec((step(), 0..8_i64), 1..40),
        skew in -5..=5_i64,
    ) {
        let mut now = 0;
        let mut known: Vec<Earlier> = Vec::new();
        let mut changes: Vec<(usize, i64, usize)> = Vec::new();
        let mut order = 0;
        let mut orders: Vec<usize> = Vec::new();
        for (step, pause) in steps {
            now += pause;
            order += 1;
            match step {
                Step::Change { key } => changes.push((key, now + skew, order)),
                Step::Invalidation { of, wildcard } => {
                    let mut paths: Vec<_> =
                        of.iter().flat_map(|key| InvalidationPath::from_object_key(KEYS[*key])).collect();
                    if wildcard {
                        paths = vec![InvalidationPath::parse("/a*").expect("a path")];
                    }
                    known.push(Earlier { id: order.to_string(), created: at(now), in_progress: true, paths });
                    orders.push(order);
                }
            }
        }
        for (key, stamped, happened) in changes {
            let paths = InvalidationPath::from_object_key(KEYS[key]);
            if fresh_since(&known, at(stamped), &paths).is_none() {
                continue;
            }
            for path in &paths {
                let truly = known
                    .iter()
                    .zip(&orders)
                    .any(|(one, created)| *created > happened && one.paths.iter().any(|wide| wide.covers(path)));
                prop_assert!(truly, "{path} changed at step {happened}, and nothing later covers it");
            }
        }
    }
}
