//! Which changes existing invalidations cover, as a table and over random orders of events.

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

fn existing(id: &str, created: i64, paths: Vec<InvalidationPath>) -> ExistingInvalidation {
    ExistingInvalidation {
        id: InvalidationId::new(id),
        created: at(created),
        status: InvalidationStatus::InProgress,
        caller_reference: "reference".into(),
        paths: paths.iter().map(SubmittedPath::from).collect(),
    }
}

#[test]
fn finds_the_newest_invalidation_that_covers_a_change() {
    let known = [
        existing("I3", 130, paths(&["/c"])),
        existing("I2", 120, paths(&["/blog/*", "/a"])),
        existing("I1", 110, paths(&["/*"])),
    ];
    for (changed, requested, since) in [
        (100, vec!["/a"], Some("I2")),
        (100, vec!["/x"], Some("I1")),
        (100, vec!["/blog/x", "/c"], Some("I3")),
        (100, vec!["/blog/"], Some("I1")),
        (105, vec!["/a"], Some("I2")),
        // Within the margin of the clocks, so possibly after the invalidation.
        (105, vec!["/x"], None),
        (115, vec!["/a"], None),
        (114, vec!["/a"], Some("I2")),
        (114, vec!["/a", "/x"], None),
        (200, vec!["/c"], None),
    ] {
        let found = ExistingPaths::new(&known)
            .newest_covering(at(changed), &paths(&requested))
            .map(|invalidation| invalidation.id.as_str());
        assert_eq!(found, since, "{requested:?} changed at {changed}");
    }
    assert_eq!(
        ExistingPaths::new(&known).newest_covering(at(0), &[]),
        None,
        "a change without a path is not covered"
    );
    assert_eq!(
        ExistingPaths::new(&[]).newest_covering(at(0), &paths(&["/a"])),
        None
    );
    assert_eq!(
        ExistingPaths::new(&known).newest_covering(DateTime::<Utc>::MAX_UTC, &paths(&["/c"])),
        None
    );
}

/// What happens to a site, in the real order.
#[derive(Clone, Debug)]
enum Step {
    Change { key: usize },
    Invalidation { keys: Vec<usize>, wildcard: bool },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..6_usize).prop_map(|key| Step::Change { key }),
        (proptest::collection::vec(0..6_usize, 1..4), any::<bool>())
            .prop_map(|(keys, wildcard)| Step::Invalidation { keys, wildcard }),
    ]
}

const KEYS: [&str; 6] = ["a/x", "a/y", "a/", "b/x", "b/y z", "c"];

proptest! {
    /// The clocks of S3 and CloudFront differ by up to the margin.
    #[test]
    fn never_covers_a_change_that_came_after_the_invalidation(
        steps in proptest::collection::vec((step(), 0..8_i64), 1..40),
        skew in -5..=5_i64,
    ) {
        let mut now = 0;
        let mut known: Vec<ExistingInvalidation> = Vec::new();
        let mut changes: Vec<(usize, i64, usize)> = Vec::new();
        let mut order = 0;
        let mut orders: Vec<usize> = Vec::new();
        for (step, pause) in steps {
            now += pause;
            order += 1;
            match step {
                Step::Change { key } => changes.push((key, now + skew, order)),
                Step::Invalidation { keys, wildcard } => {
                    let mut paths: Vec<_> =
                        keys.iter().flat_map(|key| InvalidationPath::from_object_key(KEYS[*key])).collect();
                    if wildcard {
                        paths = vec![InvalidationPath::parse("/a*").expect("a path")];
                    }
                    known.push(existing(&order.to_string(), now, paths));
                    orders.push(order);
                }
            }
        }
        for (key, stamped, happened) in changes {
            let paths = InvalidationPath::from_object_key(KEYS[key]);
            if ExistingPaths::new(&known).newest_covering(at(stamped), &paths).is_none() {
                continue;
            }
            for path in &paths {
                let covered = known
                    .iter()
                    .zip(&orders)
                    .any(|(invalidation, created)| *created > happened && invalidation.covers_all(std::slice::from_ref(path)));
                prop_assert!(covered, "{path} changed at step {happened}, and nothing later covers it");
            }
        }
    }
}
