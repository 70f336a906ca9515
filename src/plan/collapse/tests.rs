//! Tables of changed paths, the site's objects and the paths that are sent.

use std::collections::BTreeSet;

use percent_encoding::percent_decode_str;
use proptest::prelude::*;

use super::*;
use crate::plan::limits::Economy;

fn path(text: &str) -> InvalidationPath {
    InvalidationPath::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn paths(texts: &[&str]) -> Vec<InvalidationPath> {
    texts.iter().map(|text| path(text)).collect()
}

fn limits(paths: usize, wildcards: usize) -> Limits {
    Limits {
        paths,
        wildcards,
        economy: Economy::NONE,
    }
}

fn with_economy(share: &str, limits: Limits) -> Limits {
    let economy = Economy::parse(share).expect("a share");
    Limits { economy, ..limits }
}

fn blindly(asked: &[&str], limits: Limits) -> Vec<String> {
    texts(&collapse(paths(asked), None, limits).paths)
}

fn texts(paths: &[InvalidationPath]) -> Vec<String> {
    paths.iter().map(|path| path.as_str().to_owned()).collect()
}

fn merged(path_text: &str, from: usize) -> Merged {
    Merged {
        path: path(path_text),
        from,
    }
}

#[test]
fn sends_what_fits_as_it_is_without_what_another_path_covers() {
    for (asked, sent) in [
        (vec![], vec![]),
        (vec!["/a"], vec!["/a"]),
        (vec!["/b", "/a", "/b"], vec!["/a", "/b"]),
        // Neighbours, but nothing forces them together.
        (
            vec!["/blog/1", "/blog/2", "/blog/3"],
            vec!["/blog/1", "/blog/2", "/blog/3"],
        ),
        // The second path would be billed without an effect.
        (vec!["/a/*", "/a/b"], vec!["/a/*"]),
        (vec!["/a%20b", "/a!", "/a*", "/ab", "/b"], vec!["/a*", "/b"]),
        (vec!["/a/*", "/a/b/*", "/a*"], vec!["/a*"]),
        (vec!["/x", "/*", "/y/*", "#tag"], vec!["/*"]),
        // Not certainly covered.
        (vec!["/a/*", "/a/", "/a", "/a/b"], vec!["/a", "/a/", "/a/*"]),
        (
            vec!["/a/*", "/a/?q*", "/a/?q=1", "/a/b"],
            vec!["/a/*", "/a/?q*"],
        ),
        // CloudFront ignores the case of a tag.
        (vec!["#Blog", "#news", "#blog"], vec!["#Blog", "#news"]),
    ] {
        assert_eq!(blindly(&asked, limits(20, 10)), sent, "{asked:?}");
    }
}

#[test]
fn merges_what_lies_deepest_when_the_site_is_unknown() {
    for (asked, limits, sent) in [
        // The wildcard has the longest prefix that is possible.
        (
            vec!["/index.html", "/blog/2026/01.html", "/blog/2026/02.html"],
            limits(2, 1),
            vec!["/blog/2026/0*", "/index.html"],
        ),
        (
            vec!["/a/x/1", "/a/x/2", "/b/y/1", "/b/y/2"],
            limits(2, 2),
            vec!["/a/x/*", "/b/y/*"],
        ),
        (
            vec!["/a/x/1", "/a/x/2", "/b/1", "/b/2"],
            limits(3, 1),
            vec!["/a/x/*", "/b/1", "/b/2"],
        ),
        // One wildcard and one file: the paths outside `/a/` or `/b/` are more than one file.
        (
            vec!["/a/1", "/a/2", "/b/1", "/b/2", "/c"],
            limits(2, 1),
            vec!["/*"],
        ),
        (
            vec!["/docs/a/1", "/docs/a/2", "/docs/b/1", "/docs/b/2", "/c"],
            limits(2, 1),
            vec!["/c", "/docs/*"],
        ),
        (vec!["/a", "/b"], limits(1, 1), vec!["/*"]),
        // A limit of 0 counts as 1.
        (vec!["/a", "/b"], limits(0, 0), vec!["/*"]),
    ] {
        assert_eq!(blindly(&asked, limits), sent, "{asked:?} {limits:?}");
    }
}

#[test]
fn applies_a_limit_each_to_files_and_wildcards() {
    let numbered = |count: usize, name: &dyn Fn(usize) -> String| -> Vec<InvalidationPath> {
        (0..count).map(|n| path(&name(n))).collect()
    };
    let count = |asked: Vec<InvalidationPath>, limits| {
        let sent = collapse(asked, None, limits).paths;
        let wildcards = sent.iter().filter(|path| path.is_wildcard()).count();
        (sent.len() - wildcards, wildcards)
    };
    // 16 wildcards and 5 files: two wildcards must become one.
    let mut asked = numbered(16, &|n| format!("/section-{}-{}/*", n / 2, n % 2));
    asked.extend(numbered(5, &|n| format!("/{n}.html")));
    assert_eq!(count(asked, limits(3_000, 15)), (5, 15));
    // 3,001 files: one too many, so the smallest group of them shares a wildcard.
    let asked = numbered(3_001, &|n| format!("/page/{}-{}.html", n / 2, n % 2));
    assert_eq!(count(asked.clone(), limits(3_001, 1)), (3_001, 0));
    assert_eq!(count(asked, limits(3_000, 1)), (2_999, 1));
}

#[test]
fn merges_wildcards_and_tags_like_other_paths() {
    for (asked, limits, sent) in [
        (
            vec!["/a/x/*", "/a/y/*", "/b*"],
            limits(20, 2),
            vec!["/a/*", "/b*"],
        ),
        (
            vec!["/a/x/*", "/a/y/*", "/a/z"],
            limits(20, 1),
            vec!["/a/*"],
        ),
        // A tag is a path and not a wildcard. Only `/*` covers it together with other paths.
        (
            vec!["#blog", "/a/1", "/a/2"],
            limits(2, 1),
            vec!["#blog", "/a/*"],
        ),
        (vec!["#blog", "#news", "/a"], limits(2, 1), vec!["/*"]),
        (vec!["#blog", "#news"], limits(1, 1), vec!["/*"]),
    ] {
        assert_eq!(blindly(&asked, limits), sent, "{asked:?} {limits:?}");
    }
}

#[test]
fn ends_a_wildcard_where_it_still_covers_all_of_its_paths() {
    for (asked, sent) in [
        (vec!["/dir/a", "/dir/b"], "/dir/*"),
        // `/dir/*` was observed not to invalidate `/dir/`.
        (vec!["/dir/", "/dir/a"], "/dir*"),
        (vec!["/dir/?page=1", "/dir/a"], "/dir*"),
        (vec!["/dir/", "/dir/*"], "/dir*"),
        (vec!["/dir/?page=1", "/dir/?page=2"], "/dir/?page=*"),
        (vec!["/", "/a"], "/*"),
        (vec!["/a", "/a/b"], "/a*"),
        // Never inside a percent triple, nor between the triples of one character.
        (vec!["/a%20b", "/a%22b"], "/a*"),
        (vec!["/caf%C3%A9", "/caf%C3%A8"], "/caf*"),
        (vec!["/caf%c3%a9", "/caf%C3%A9"], "/caf*"),
        (vec!["/日本", "/日曜"], "/%E6%97%A5*"),
        (vec!["/é/1", "/é/2"], "/%C3%A9/*"),
        (vec!["/🦀", "/🦞"], "/*"),
        // Bytes that are not UTF-8.
        (vec!["/%80a", "/%80b"], "/%80*"),
        (vec!["/%80", "/%81"], "/*"),
    ] {
        let sent_paths = collapse(paths(&asked), None, limits(1, 1)).paths;
        assert_eq!(texts(&sent_paths), [sent], "{asked:?}");
        assert!(paths(&asked).iter().all(|path| sent_paths[0].covers(path)));
    }
}

#[test]
fn chooses_the_prefix_with_the_fewest_unchanged_objects_when_the_site_is_known() {
    let site = [
        "index.html",
        "tokio/a.html",
        "tokio/b.html",
        "tokio-utils/c.html",
        "docs/x/1.html",
        "docs/x/2.html",
        "docs/x/3.html",
        "docs/x/4.html",
    ];
    let inventory = Inventory::from_keys(site);
    for (asked, limits, expected) in [
        // No harm, and a path less, although both fit. `/tokio*` would also cover `tokio-utils`.
        (
            vec!["/tokio/a.html", "/tokio/b.html"],
            limits(20, 10),
            Collapsed {
                paths: paths(&["/tokio/*"]),
                from: 2,
                merged: vec![merged("/tokio/*", 2)],
                unchanged: Some(0),
            },
        ),
        // A wildcard would do harm, and the paths fit.
        (
            vec!["/docs/x/1.html", "/docs/x/2.html"],
            limits(20, 10),
            Collapsed {
                paths: paths(&["/docs/x/1.html", "/docs/x/2.html"]),
                from: 2,
                merged: vec![],
                unchanged: Some(0),
            },
        ),
        // They do not fit.
        (
            vec![
                "/docs/x/1.html",
                "/docs/x/2.html",
                "/index.html",
                "/tokio/a.html",
            ],
            limits(3, 1),
            Collapsed {
                paths: paths(&["/docs/x/*", "/index.html", "/tokio/a.html"]),
                from: 4,
                merged: vec![merged("/docs/x/*", 2)],
                unchanged: Some(2),
            },
        ),
        // What a user's wildcard covers is not unchanged, and a deleted object is not in the inventory.
        (
            vec!["/docs/*", "/tokio/a.html", "/tokio/deleted.html"],
            limits(2, 2),
            Collapsed {
                paths: paths(&["/docs/*", "/tokio/*"]),
                from: 3,
                merged: vec![merged("/tokio/*", 2)],
                unchanged: Some(1),
            },
        ),
        (
            vec!["/docs/x/1.html", "/index.html"],
            limits(1, 1),
            Collapsed {
                paths: paths(&["/*"]),
                from: 2,
                merged: vec![merged("/*", 2)],
                unchanged: Some(6),
            },
        ),
    ] {
        let sent = collapse(paths(&asked), Some(&inventory), limits);
        assert_eq!(sent, expected, "{asked:?} {limits:?}");
    }
}

#[test]
fn accepts_more_harm_for_fewer_paths_with_economy() {
    // The estimated harm is 4/16 for `/a/*` and for `/b/*`, and 6/16 for `/c/*`.
    let asked = [
        "/a/1", "/a/2", "/a/3", "/a/4", "/b/1", "/b/2", "/b/3", "/b/4", "/c/1", "/c/2", "/c/3",
        "/c/4", "/c/5", "/c/6",
    ];
    let (a, b) = (
        ["/a/1", "/a/2", "/a/3", "/a/4"],
        ["/b/1", "/b/2", "/b/3", "/b/4"],
    );
    let c = ["/c/1", "/c/2", "/c/3", "/c/4", "/c/5", "/c/6"];
    for (economy, sent) in [
        ("0", [&["/a/*"], &b[..], &c].concat()),
        ("0.4", [&["/a/*"], &b[..], &c].concat()),
        // 6/16 for 9 paths.
        ("0.5", [&a[..], &b, &["/c/*"]].concat()),
        // 8/16 for 8 paths.
        ("1", [&["/a/*", "/b/*"], &c[..]].concat()),
    ] {
        let limits = with_economy(economy, limits(13, 3));
        assert_eq!(blindly(&asked, limits), sent, "{economy}");
        // Whatever fits is sent unchanged: the least harm is none.
        let limits = Limits {
            paths: 14,
            ..limits
        };
        assert_eq!(blindly(&asked, limits), asked, "{economy}");
    }
}

#[test]
fn accepts_the_loss_of_more_unchanged_objects_with_economy_when_the_site_is_known() {
    // `/a*` drops 10 unchanged objects, `/b*` 11, and `/*` all 21 and `/z`.
    let unchanged = (0..10)
        .map(|n| format!("a-{n}"))
        .chain((0..11).map(|n| format!("b-{n}")));
    let inventory = Inventory::from_keys(unchanged.chain(["z".to_owned()]));
    let asked = ["/a1", "/a2", "/b1", "/b2", "/b3"];
    for (economy, limits, sent, unchanged) in [
        ("0", limits(4, 2), "/a* /b1 /b2 /b3", 10),
        ("0.09", limits(4, 2), "/a* /b1 /b2 /b3", 10),
        ("0.1", limits(4, 2), "/a1 /a2 /b*", 11),
        ("1", limits(4, 2), "/a1 /a2 /b*", 11),
        ("0", limits(2, 2), "/a* /b*", 21),
        ("0.1", limits(2, 2), "/*", 22),
        // Without harm, nothing is accepted.
        ("1", limits(5, 2), "/a1 /a2 /b1 /b2 /b3", 0),
    ] {
        let collapsed = collapse(
            paths(&asked),
            Some(&inventory),
            with_economy(economy, limits),
        );
        let sent_texts = texts(&collapsed.paths).join(" ");
        assert_eq!(
            (sent_texts.as_str(), collapsed.unchanged),
            (sent, Some(unchanged)),
            "{economy} {limits:?}"
        );
    }
}

#[test]
fn chooses_the_least_harm_among_as_many_paths_with_economy() {
    // `/a*` drops 11 unchanged objects, `/b*` and `/c*` 5 each.
    let unchanged = [("a", 11), ("b", 5), ("c", 5)];
    let unchanged = unchanged
        .iter()
        .flat_map(|(folder, count)| (0..*count).map(move |n| format!("{folder}-{n}")));
    let inventory = Inventory::from_keys(unchanged);
    let asked = ["/a1", "/a2", "/a3", "/b1", "/b2", "/c1", "/c2"];
    for economy in ["0", "0.1", "0.5"] {
        let limits = with_economy(economy, limits(5, 3));
        let collapsed = collapse(paths(&asked), Some(&inventory), limits);
        let sent = texts(&collapsed.paths).join(" ");
        let expected = ("/a1 /a2 /a3 /b* /c*", Some(10));
        assert_eq!((sent.as_str(), collapsed.unchanged), expected, "{economy}");
    }
}

#[test]
fn counts_each_object_once_even_if_its_encoding_is_ambiguous() {
    let inventory = Inventory::from_keys(["icon@1x.png", "icon@2x.png", "icon@~old.png", "ico n"]);
    let asked = paths(&["/icon@1x.png", "/icon@2x.png"]);
    assert_eq!(
        collapse(asked, Some(&inventory), limits(1, 1)),
        Collapsed {
            paths: paths(&["/icon@*"]),
            from: 2,
            merged: vec![merged("/icon@*", 2)],
            unchanged: Some(1),
        }
    );
    // Two spellings of one object, which itself is not unchanged.
    let asked = InvalidationPath::from_object_key("icon@2x.png");
    assert_eq!(
        collapse(asked, Some(&inventory), limits(1, 1)),
        Collapsed {
            paths: paths(&["/icon*"]),
            from: 2,
            merged: vec![merged("/icon*", 2)],
            unchanged: Some(2),
        }
    );
}

#[test]
fn returns_how_many_paths_each_wildcard_covers() {
    let mut asked: Vec<_> = (0..400)
        .map(|n| path(&format!("/blog/2026/{n}.html")))
        .collect();
    asked.extend(paths(&["/index.html", "/feed/*", "/feed/a", "/feed/b"]));
    assert_eq!(
        collapse(asked, None, limits(3, 2)),
        Collapsed {
            paths: paths(&["/blog/2026/*", "/feed/*", "/index.html"]),
            from: 404,
            merged: vec![merged("/blog/2026/*", 400), merged("/feed/*", 3)],
            unchanged: None,
        }
    );
}

#[test]
fn plans_keys_that_are_prefixes_of_one_another_on_a_small_stack() {
    let chain: Vec<_> = (1..4_000)
        .map(|length| path(&format!("/{}", "a".repeat(length))))
        .collect();
    let planned = std::thread::Builder::new()
        .stack_size(64 * 1024)
        .spawn(move || texts(&collapse(chain, None, limits(20, 10)).paths))
        .expect("a thread")
        .join()
        .expect("no overflow");
    assert_eq!(planned.len(), 20);
}

#[test]
fn limits_its_memory_whatever_the_limits() {
    let asked: Vec<_> = (0..30_000)
        .map(|n| path(&format!("/{}/{n}", n % 100)))
        .collect();
    let asked = distinct(asked);
    let kept = without_covered(&asked);
    let knapsack = Knapsack::new(&kept, limits(20, 10));
    assert_eq!((knapsack.width, knapsack.states), (21, 231));
    let knapsack = Knapsack::new(&kept, limits(3_000, 15));
    assert!(knapsack.width < 3_000);
    assert!(knapsack.states * knapsack.nodes.len() <= MAX_TABLE_BITS);
}

#[test]
fn considers_only_nodes_near_the_root_however_many_paths_there_are() {
    let nodes = |count: usize, limits| {
        let asked = (0..count).map(|n| path(&format!("/{n:015b}"))).collect();
        let asked = distinct(asked);
        let kept = without_covered(&asked);
        Knapsack::new(&kept, limits).nodes.len()
    };
    // At each level, the other half of the paths needs a wildcard.
    assert_eq!(nodes(1 << 15, limits(20, 10)), (1 << 10) - 1);
    assert_eq!(nodes(1 << 15, limits(20, 3)), (1 << 3) - 1);
    assert_eq!(nodes(1 << 15, limits(3, 10)), (1 << 3) - 1);
    assert_eq!(nodes(1 << 15, limits(1, 1)), 1);
    assert_eq!(nodes(1 << 15, limits(usize::MAX, 1)), (1 << 15) - 1);
}

/// Tries every set of prefixes and returns (harm, paths, wildcards) of all plans within the limits.
fn exhaustive(
    left: &[InvalidationPath],
    sent: &mut Vec<InvalidationPath>,
    harm: &dyn Fn(&[InvalidationPath]) -> usize,
    limits: Limits,
) -> BTreeSet<(usize, usize, usize)> {
    let wildcards = sent.iter().filter(|path| path.is_wildcard()).count();
    if sent.len() > limits.paths || wildcards > limits.wildcards {
        return BTreeSet::new();
    }
    let Some(first) = left.first() else {
        return BTreeSet::from([(harm(sent), sent.len(), wildcards)]);
    };
    let prefixes = (1..=first.stem().len()).map(|end| first.truncated_wildcard(end));
    let candidates = prefixes.chain([first.clone()]);
    candidates
        .filter(|candidate| candidate.covers(first))
        .flat_map(|candidate| {
            let rest: Vec<_> = left
                .iter()
                .filter(|path| !candidate.covers(path))
                .cloned()
                .collect();
            sent.push(candidate);
            let plans = exhaustive(&rest, sent, harm, limits);
            sent.pop();
            plans
        })
        .collect()
}

/// Returns whether the path may drop an object: here `/dir/*` drops `/dir/` too.
fn drops(path: &InvalidationPath, object: &str) -> bool {
    let under = path.is_wildcard() && object.starts_with(path.stem());
    under || path.as_str() == object
}

fn economical(thousandths: usize, limits: Limits) -> Limits {
    with_economy(&format!("{}", thousandths as f64 / 1_000.0), limits)
}

fn any_limits(most: usize) -> impl Strategy<Value = Limits> {
    (1..=most, 1..=most).prop_map(|(paths, wildcards)| limits(paths, wildcards))
}

fn any_paths() -> impl Strategy<Value = Vec<InvalidationPath>> {
    let text = "/[ab/]{0,5}\\*?|/(a|b|%C3%A9|é|è|日|本|%20|%22){0,5}|/[ab/?]{0,4}\\*?|#[ab]";
    prop::collection::vec(text.prop_map(|text| path(&text)), 0..30)
}

proptest! {
    #[test]
    fn covers_all_paths_within_the_limits_in_any_order(
        asked in any_paths(),
        limits in any_limits(12),
        site in prop::option::of(prop::collection::vec("[abé/]{0,4}", 0..20)),
    ) {
        let inventory = site.map(Inventory::from_keys);
        let collapsed = collapse(asked.clone(), inventory.as_ref(), limits);
        let sent = &collapsed.paths;
        for path in &asked {
            prop_assert!(sent.iter().any(|wide| wide.covers(path)), "{path} is not covered by {sent:?}");
        }
        prop_assert!(sent.len() <= limits.paths);
        prop_assert!(sent.iter().filter(|path| path.is_wildcard()).count() <= limits.wildcards);
        prop_assert!(sent.is_sorted());
        for wide in sent {
            prop_assert!(sent.iter().all(|path| path == wide || !wide.covers(path)), "{wide} in {sent:?}");
            prop_assert!(percent_decode_str(wide.stem()).decode_utf8().is_ok(), "{wide}");
        }
        let reversed = asked.into_iter().rev().collect();
        prop_assert_eq!(&collapse(reversed, inventory.as_ref(), limits), &collapsed);
        // The result fits, so it collapses to itself.
        prop_assert_eq!(&collapse(sent.clone(), None, limits).paths, sent);
    }

    #[test]
    fn is_the_optimum_when_the_site_is_known(
        asked in prop::collection::vec("/[ab/]{0,4}\\*?|#[ab]", 0..7),
        site in prop::collection::vec("[ab/]{0,4}", 0..12),
        limits in any_limits(5),
        thousandths in prop_oneof![0..=1_000_usize, Just(1_000)],
    ) {
        let asked: Vec<_> = asked.iter().map(|text| path(text)).collect();
        let inventory = Inventory::from_keys(&site);
        let unasked: Vec<_> = inventory
            .paths
            .iter()
            .filter(|object| !asked.iter().any(|path| drops(path, object)))
            .collect();
        let harm = |sent: &[InvalidationPath]| {
            let lost = unasked.iter().filter(|object| sent.iter().any(|path| drops(path, object)));
            lost.count()
        };
        let needed: Vec<_> = without_covered(&distinct(asked.clone())).into_iter().cloned().collect();
        let plans = exhaustive(&needed, &mut vec![], &harm, limits);
        let collapsed = collapse(asked.clone(), Some(&inventory), limits);
        let wildcards = |sent: &[InvalidationPath]| sent.iter().filter(|path| path.is_wildcard()).count();
        let figures = |sent: &[InvalidationPath]| (harm(sent), sent.len(), wildcards(sent));
        prop_assert_eq!(collapsed.unchanged, Some(harm(&collapsed.paths)));
        prop_assert_eq!(Some(&figures(&collapsed.paths)), plans.first(), "{:?}", collapsed.paths);
        // With economy: the fewest paths whose harm is within the share.
        let collapsed = collapse(asked, Some(&inventory), economical(thousandths, limits));
        let least = plans.first().map_or(0, |(harm, ..)| *harm);
        let best = plans
            .iter()
            .filter(|(harm, ..)| harm * 1_000 <= least * (1_000 + thousandths))
            .min_by_key(|(harm, paths, wildcards)| (paths, harm, wildcards));
        prop_assert_eq!(collapsed.unchanged, Some(harm(&collapsed.paths)));
        prop_assert_eq!(Some(&figures(&collapsed.paths)), best, "{:?}", collapsed.paths);
    }

    #[test]
    fn leaves_out_no_node_of_a_plan(
        asked in any_paths(),
        limits in any_limits(12),
        thousandths in prop_oneof![Just(0_usize), 0..=1_000_usize],
    ) {
        let asked = distinct(asked);
        let needed = without_covered(&asked);
        let limits = economical(thousandths, limits);
        let harm = |node| estimated_harm(&needed, node);
        let knapsack = Knapsack::new(&needed, limits);
        let plan = knapsack.solve(harm);
        let (nodes, _) = radix_tree(&needed);
        prop_assert_eq!(plan, Knapsack { nodes, ..knapsack }.solve(harm));
    }

    #[test]
    fn economy_needs_no_more_paths_covers_all_and_keeps_to_its_share_of_harm(
        asked in any_paths(),
        limits in any_limits(12),
        thousandths in prop_oneof![0..=1_000_usize, Just(1_000)],
        site in prop::option::of(prop::collection::vec("[abé/]{0,4}", 0..20)),
    ) {
        let inventory = site.map(Inventory::from_keys);
        let economical = economical(thousandths, limits);
        let least = collapse(asked.clone(), inventory.as_ref(), limits);
        let collapsed = collapse(asked.clone(), inventory.as_ref(), economical);
        prop_assert!(collapsed.paths.len() <= least.paths.len());
        prop_assert!(collapsed.paths.iter().filter(|path| path.is_wildcard()).count() <= limits.wildcards);
        for path in &asked {
            prop_assert!(collapsed.paths.iter().any(|wide| wide.covers(path)), "{path}: {:?}", collapsed.paths);
        }
        let most = |least: f64| least * (1_000 + thousandths) as f64 / 1_000.0;
        match (least.unchanged, collapsed.unchanged) {
            (Some(least), Some(unchanged)) => prop_assert!(unchanged as f64 <= most(least as f64) + 1e-9),
            _ => {
                let asked = distinct(asked);
                let needed = without_covered(&asked);
                let estimate = |limits| Knapsack::new(&needed, limits).solve(|node| estimated_harm(&needed, node)).1;
                prop_assert!(estimate(economical) <= most(estimate(limits)) + 1e-9);
            }
        }
        if thousandths == 0 {
            prop_assert_eq!(collapsed, least);
        }
    }
}

#[test]
fn paths_that_a_user_wrote_are_kept_and_keys_get_what_the_limits_leave() {
    let paths = |text: &str| -> Vec<_> {
        let paths = text.split_whitespace();
        paths
            .map(|path| InvalidationPath::parse(path).expect("a path"))
            .collect()
    };
    let keys = "/blog/1 /blog/2 /img/1 /img/2";
    for (written, keys, limits, expected) in [
        // Beyond the limits, too: they are refused elsewhere, not merged.
        ("/x/1 /x/2 /x/3", "", limits(1, 1), "/x/1 /x/2 /x/3"),
        ("/x/1 /x/1 /y /y*", "", limits(3, 1), "/x/1 /y*"),
        (
            "/x/1 /x/2",
            keys,
            limits(6, 6),
            "/blog/1 /blog/2 /img/1 /img/2 /x/1 /x/2",
        ),
        ("/x/1 /x/2", keys, limits(4, 2), "/blog/* /img/* /x/1 /x/2"),
        ("/x/1 /x/2", keys, limits(2, 1), "/*"),
        (
            "/blog/* /x/1",
            keys,
            limits(4, 1),
            "/blog/* /img/1 /img/2 /x/1",
        ),
        ("/blog/* /x/1", "/blog/1", limits(2, 1), "/blog/* /x/1"),
    ] {
        let plan = collapse_keys(paths(written), paths(keys), None, limits);
        let sent: Vec<_> = plan.paths.iter().map(InvalidationPath::as_str).collect();
        assert_eq!(sent.join(" "), expected, "{written} and {keys}");
    }
    let inventory = Inventory::from_keys(["x/1", "x/2", "blog/1", "blog/2", "blog/3"]);
    let plan = collapse_keys(
        paths("/x/* /x/1"),
        paths("/blog/1 /blog/2"),
        Some(&inventory),
        limits(2, 2),
    );
    assert_eq!(
        plan,
        Collapsed {
            paths: paths("/blog/* /x/*"),
            from: 4,
            merged: vec![
                Merged {
                    path: paths("/x/*").remove(0),
                    from: 2
                },
                Merged {
                    path: paths("/blog/*").remove(0),
                    from: 2
                }
            ],
            unchanged: Some(1),
        }
    );
}
