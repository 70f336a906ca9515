//! The month's free paths: what `create` prints, prompts and sends near the end of them, and `--free-only`.

use crate::environment::{APP, Environment, FIRST, account};
use crate::standin::{Fault, Operation, Options};

/// Returns an account in which this many paths were invalidated this month.
fn with_used_paths(name: &str, used: usize) -> Environment {
    let options = Options {
        completes_after: std::time::Duration::ZERO,
        ..account()
    };
    let mut environment = Environment::with_options(name, options);
    let paths: String = (0..used)
        .map(|number| format!("/used/{number}\n"))
        .collect();
    let create = "create -d E6EXAMPLE1ABC --paths-from - --quiet --no-checks";
    environment.run_with_input(create, &paths);
    environment
}

/// Returns keys that cannot share a wildcard but `/blog/*`.
fn keys(count: usize) -> String {
    let keys = (0..count).map(|number| format!("blog/{}.html\n", 1_000 * number));
    keys.collect()
}

#[test]
fn money_does_not_change_what_is_sent() {
    let mut environment = with_used_paths("free-paths-beyond", 990);
    let create = format!("create -d {APP} --keys-from - --literal-keys --checks");
    environment.run_with_input(&create, &keys(20));
    let [(_, paths)] = &environment.accepted()[1..] else {
        panic!("one invalidation");
    };
    let sent: Vec<_> = paths
        .iter()
        .map(|path| format!("{}\n", &path[1..]))
        .collect();
    let mut expected: Vec<_> = keys(20).split_inclusive('\n').map(str::to_owned).collect();
    expected.sort();
    assert_eq!(sent, expected);
    environment.run(&format!("create -d {APP} /a --checks --output json"));
    environment.snapshot("free-paths-beyond");
}

#[test]
fn free_only_plans_keys_with_the_paths_that_are_free() {
    let mut environment = with_used_paths("free-paths-keys", 990);
    let create = format!("create -d {APP} --keys-from - --literal-keys --free-only");
    environment.run_with_input(&format!("{create} --dry-run"), &keys(9));
    environment.run_with_input(&format!("{create} --dry-run --max-paths 5"), &keys(20));
    environment.run_with_input(&format!("{create} -d {FIRST} --dry-run"), &keys(8));
    environment.run_with_input(&create, &keys(20));
    environment.run_with_input(&format!("{create} --output json"), &keys(20));
    let sent: Vec<_> = environment
        .accepted()
        .iter()
        .map(|(_, paths)| paths.len())
        .collect();
    assert_eq!(sent, [990, 10, 1]);
    environment.snapshot("free-paths-keys");
}

#[test]
fn free_only_does_not_merge_paths_and_references() {
    let mut environment = with_used_paths("free-paths-refused", 998);
    for (line, input, code) in [
        (
            format!("create -d {APP} /a /b /c --free-only"),
            String::new(),
            1,
        ),
        (
            format!("create -d {APP} -d {FIRST} /a /b --free-only"),
            String::new(),
            1,
        ),
        (
            format!("create -d {APP} /a --keys-from - --literal-keys --free-only --output json"),
            keys(2),
            1,
        ),
        (
            format!(
                "create -d {APP} --keys-from - --literal-keys --free-only --reference release-42"
            ),
            keys(3),
            1,
        ),
        (
            format!("create -d {APP} /a /b --free-only"),
            String::new(),
            0,
        ),
        (
            format!("create -d {APP} /a --free-only --no-checks"),
            String::new(),
            2,
        ),
    ] {
        let output = environment.run_with_input(&line, &input);
        assert_eq!(output.code, code, "{line}: {}", output.stderr);
    }
    let accepted = environment.accepted();
    let paths = vec!["/a".to_owned(), "/b".to_owned()];
    assert_eq!(accepted[1..], [(APP.to_owned(), paths)]);
    environment.snapshot("free-paths-refused");
}

#[test]
fn free_only_sends_nothing_if_the_free_paths_cannot_be_read() {
    let mut environment = Environment::new("free-paths-unknown");
    for (fault, code) in [(Fault::AccessDenied, 5), (Fault::Garbage, 1)] {
        environment
            .standin
            .fail(Operation::ListDistributions, fault, 1);
        let output = environment.run(&format!("create -d {FIRST} /a --free-only"));
        assert_eq!(output.code, code, "{}", output.stderr);
    }
    assert_eq!(environment.accepted(), []);
    environment.snapshot("free-paths-unknown");
}
