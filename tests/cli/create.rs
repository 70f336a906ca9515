//! `create`.

use std::time::Duration;

use crate::bed::{APP, Bed, FIRST, account};
use crate::standin::{Fault, Operation, Options};

#[test]
fn sends_paths_and_waits() {
    let mut bed = Bed::new("create-paths");
    bed.run(&format!("create -d {FIRST} /index.html blog/*"));
    bed.run("create -d www.example.com -d app.example.com #release --wait");
    bed.run(&format!("create -d {FIRST} /a --wait --output json"));
    bed.run(&format!("create -d {FIRST} /quiet --quiet"));
    bed.run(&format!("create -d {FIRST} /dry --dry-run -v"));
    let paths = |paths: &[&str]| {
        paths
            .iter()
            .map(|path| (*path).to_owned())
            .collect::<Vec<_>>()
    };
    let taken = [
        (FIRST, paths(&["/blog/*", "/index.html"])),
        (FIRST, paths(&["#release"])),
        (APP, paths(&["#release"])),
        (FIRST, paths(&["/a"])),
        (FIRST, paths(&["/quiet"])),
    ];
    let mut sent = bed.taken();
    sent[1..3].sort();
    assert_eq!(sent, taken.map(|(id, paths)| (id.to_owned(), paths)));
    bed.snapshot("create-paths");
}

#[test]
fn finds_the_distributions_of_the_bucket_that_was_synced() {
    let mut bed = Bed::new("create-s3-sync");
    bed.feed(
        "create --from-s3-sync -",
        include_str!("recorded/sync-delete.txt"),
    );
    bed.feed(
        &format!("create --from-s3-sync - -d {FIRST}"),
        include_str!("recorded/sync-nothing.txt"),
    );
    bed.feed(
        &format!("create --from-s3-sync - -d {FIRST}"),
        include_str!("recorded/sync-dryrun.txt"),
    );
    bed.feed(
        "create --from-s3-sync -",
        include_str!("recorded/sync-copy.txt"),
    );
    bed.snapshot("create-s3-sync");
}

#[test]
fn finds_the_invalidation_of_the_same_name() {
    let options = Options {
        completes_after: Duration::from_secs(3_600),
        ..account()
    };
    let mut bed = Bed::with("create-reference", options);
    let first = bed.run(&format!("create -d {FIRST} /a --reference release-42"));
    let again = bed.run(&format!(
        "create -d {FIRST} /a --reference release-42 --no-checks"
    ));
    assert_eq!(first.stdout, again.stdout);
    let batch = r#"{"Paths": {"Quantity": 1, "Items": ["/b"]}, "CallerReference": "release 43"}"#;
    let first = bed.feed(&format!("create -d {FIRST} --batch -"), batch);
    let again = bed.feed(&format!("create -d {FIRST} --batch - --no-checks"), batch);
    assert_eq!(first.stdout, again.stdout);
    let received = bed.standin.invalidations();
    assert_eq!(received[3].reference, "release 43");
    // More wildcards than are left beside those of the first run: the plan is the same all the same.
    let keys: String = ('a'..='i').map(|letter| format!("{letter}+\n")).collect();
    let create = format!("create -d {APP} --keys-from - --no-index-aliases --reference release-44");
    let first = bed.feed(&create, &keys);
    let again = bed.feed(&create, &keys);
    assert_eq!(first, again);
    bed.snapshot("create-reference");
}

#[test]
fn takes_sites_and_paths_from_the_configuration() {
    let mut bed = Bed::new("create-config");
    bed.write(
        "cf-invalidate.toml",
        "default = 'www'\n[sites.www]\ndistribution = 'www.example.com'\npaths = ['/index.html', '/blog/*']\n\
         max_paths = 3\n",
    );
    bed.write(
        ".config/cf-invalidate/config.toml",
        "[sites.www]\ndistribution = 'hidden.example.com'\n[sites.both]\ndistribution = ['E1EXAMPLE1ABC', \
         'E7EXAMPLE1ABC']\n",
    );
    bed.run("create");
    bed.run("create /other");
    bed.run("plan");
    bed.run("create -d both /");
    bed.run("create -d both");
    bed.run("create -d bothe /");
    bed.write(
        "cf-invalidate.toml",
        "[sites.www]\ndistribution = 'www.example.com'\npathes = ['/*']\n",
    );
    bed.run("create");
    bed.snapshot("create-config");
}

#[test]
fn tells_what_became_of_each_distribution() {
    let mut bed = Bed::new("create-several");
    bed.run(&format!(
        "create -d {FIRST} -d E9EXAMPLE1ABC /a --output json"
    ));
    bed.run(&format!("create -d {FIRST} -d E9EXAMPLE1ABC /b"));
    bed.snapshot("create-several");
}

#[test]
fn warns_and_goes_on_where_nobody_is_there_to_ask() {
    let options = Options {
        completes_after: Duration::from_secs(3_600),
        ..account()
    };
    let mut bed = Bed::with("create-warnings", options);
    bed.run(&format!("create -d {FIRST} /a /b /c --yes"));
    bed.run(&format!("create -d {FIRST} /a /b"));
    for number in 0..10 {
        bed.run(&format!("create -d {APP} /{number} --no-checks --quiet"));
    }
    bed.run(&format!("create -d {APP} /last --output json"));
    let many: String = (0..984).map(|number| format!("/{number}\n")).collect();
    bed.feed(
        "create -d E6EXAMPLE1ABC --paths-from - --quiet --no-checks",
        &many,
    );
    bed.run(&format!("create -d {APP} /beyond"));
    let keys: String = (0..20)
        .map(|number| format!("blog/{number}.html\n"))
        .collect();
    bed.feed(
        &format!("create -d {APP} --keys-from - --dry-run --bucket app"),
        &keys,
    );
    bed.snapshot("create-warnings");
}

#[test]
fn looks_at_nothing_that_it_may_not_see() {
    let mut bed = Bed::new("create-denied-look");
    bed.standin
        .fail(Operation::ListInvalidations, Fault::AccessDenied, 9);
    bed.standin
        .fail(Operation::ListDistributions, Fault::AccessDenied, 9);
    bed.standin
        .fail(Operation::GetDistributionConfig, Fault::AccessDenied, 9);
    bed.feed(&format!("create -d {FIRST} --keys-from - -v"), "a b.html\n");
    bed.snapshot("create-denied-look");
}
