//! `plan`, and with it every input.

use crate::bed::{APP, Bed, FIRST, WEBSITE};

const RECORDED: &str = include_str!("recorded/sync-upload.txt");

#[test]
fn asks_aws_nothing_where_paths_or_keys_are_enough() {
    let mut bed = Bed::new("plan-offline");
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
        bed.unset(name);
    }
    bed.run("plan /index.html blog/* #product:42 https://www.example.com/a?b=1");
    bed.run("plan /a /a/b /a/* -d E1EXAMPLE1ABC");
    bed.feed(
        "plan --keys-from -",
        "index.html\nmy page.html\ncaf\u{e9}.html\na+b.html\n",
    );
    bed.feed(
        "plan --keys-from - --no-index-aliases -d E1EXAMPLE1ABC",
        "index.html\nmy page.html\n",
    );
    bed.feed(
        "plan --keys-from - --max-paths 2 --max-wildcards 1 --no-index-aliases --output json",
        "blog/1.html\nblog/2.html\nblog/3.html\nindex.html\n",
    );
    bed.feed(
        "plan --paths-from -",
        "# what the release touches\r\n/index.html\r\n\r\n#release\r\n  /blog/*  \r\n",
    );
    bed.feed(
        "plan --batch -",
        r#"{"Paths": {"Quantity": 2, "Items": ["/a", "/b*"]}, "CallerReference": "release 42"}"#,
    );
    assert_eq!(bed.standin.calls(), []);
    bed.snapshot("plan-offline");
}

#[test]
fn spares_what_the_site_holds_and_did_not_change() {
    let mut bed = Bed::new("plan-inventory");
    for key in [
        "index.html",
        "blog/1.html",
        "blog/2.html",
        "blog/3/a.html",
        "blog/3/b.html",
        "d/e f.html",
    ] {
        bed.write(&format!("public/{key}"), "");
    }
    bed.write(
        "keys.txt",
        "index.html\nblog/1.html\nblog/2.html\nblog/3/a.html\nblog/3/b.html\nd/e f.html\n",
    );
    let changed = "blog/3/a.html\nblog/3/b.html\nblog/1.html\n";
    let plan = "plan --keys-from - --no-index-aliases --max-paths";
    let by_site = bed.feed(&format!("{plan} 2 --site public"), changed);
    let by_list = bed.feed(&format!("{plan} 2 --inventory keys.txt"), changed);
    assert_eq!(by_site, by_list);
    bed.feed(&format!("{plan} 1 --site public"), changed);
    bed.feed(
        "plan --keys-from - --inventory - --no-index-aliases",
        changed,
    );
    bed.run("plan /a --site nowhere");
    bed.snapshot("plan-inventory");
}

#[test]
fn asks_for_the_configuration_where_keys_have_other_names() {
    let mut bed = Bed::new("plan-site");
    let keys = "prod/index.html\nprod/blog/index.html\nprod/a.css\nstaging/index.html\n";
    bed.feed(&format!("plan --keys-from - -d {WEBSITE}"), keys);
    bed.feed(
        &format!("plan --keys-from - -d {WEBSITE} --bucket site --output json"),
        keys,
    );
    bed.feed(
        &format!("plan --keys-from - -d {WEBSITE} --bucket other"),
        keys,
    );
    bed.feed(
        &format!("plan --keys-from - -d {APP} -d www.example.com"),
        "index.html\nmain.js\n",
    );
    bed.snapshot("plan-site");
}

#[test]
fn reads_what_aws_s3_did() {
    let mut bed = Bed::new("plan-s3-sync");
    bed.feed(&format!("plan --from-s3-sync - -d {FIRST}"), RECORDED);
    bed.feed(
        "plan --from-s3-sync - -d www.example.com --max-paths 3",
        include_str!("recorded/sync-terminal.txt"),
    );
    bed.feed(
        "plan --from-s3-sync - --no-index-aliases",
        include_str!("recorded/sync-dryrun.txt"),
    );
    bed.feed(
        "plan --from-s3-sync - --no-index-aliases",
        include_str!("recorded/cp-failed.txt"),
    );
    bed.feed("plan --from-s3-sync -", "index.html\n");
    bed.feed(&format!("plan --from-s3-sync - -d {APP}"), RECORDED);
    bed.snapshot("plan-s3-sync");
}
