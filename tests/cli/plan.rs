//! `plan`, and each kind of input.

use crate::environment::{APP, Environment, FIRST, WEBSITE};

const SYNC_UPLOAD: &str = include_str!("recorded/v1/sync-upload.txt");

#[test]
fn makes_no_call_offline() {
    let mut environment = Environment::new("plan-offline");
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
        environment.unset(name);
    }
    environment.run("plan --offline /index.html /blog/* #product:42 https://www.example.com/a?b=1");
    environment.run("plan --offline /a /a/b /a/* -d E1EXAMPLE1ABC");
    environment.run_with_input(
        "plan --offline --keys-from -",
        "index.html\nmy page.html\ncaf\u{e9}.html\na+b.html\n",
    );
    environment.run_with_input(
        "plan --offline --keys-from - --literal-keys -d E1EXAMPLE1ABC",
        "index.html\nmy page.html\n",
    );
    environment.run_with_input(
        "plan --offline --keys-from - --max-paths 2 --max-wildcards 1 --literal-keys --output json",
        "blog/1.html\nblog/2.html\nblog/3.html\nindex.html\n",
    );
    environment.run_with_input(
        "plan --offline --paths-from -",
        "# what the release changes\r\n/index.html\r\n\r\n#release\r\n  /blog/*  \r\n",
    );
    environment.run_with_input(
        "plan --offline --batch -",
        r#"{"Paths": {"Quantity": 2, "Items": ["/a", "/b*"]}, "CallerReference": "release 42"}"#,
    );
    environment.run("plan --offline /~user/a.html /runtime%7Emain.js /about.html");
    environment.run_with_input(
        "plan --offline --paths-from - --output json",
        "/a 1\n/b 2\n/c 3\n/d 4\n/e 5\n/f 6\n/g 7\n",
    );
    assert_eq!(environment.standin.calls(), []);
    environment.snapshot("plan-offline");
}

#[test]
fn avoids_wildcards_over_unchanged_files() {
    let mut environment = Environment::new("plan-inventory");
    for key in [
        "index.html",
        "blog/1.html",
        "blog/2.html",
        "blog/3/a.html",
        "blog/3/b.html",
        "d/e f.html",
    ] {
        environment.write(&format!("public/{key}"), "");
    }
    environment.write(
        "keys.txt",
        "index.html\nblog/1.html\nblog/2.html\nblog/3/a.html\nblog/3/b.html\nd/e f.html\n",
    );
    let changed = "blog/3/a.html\nblog/3/b.html\nblog/1.html\n";
    let plan = "plan --keys-from - --literal-keys --max-paths";
    let with_directory = environment.run_with_input(&format!("{plan} 2 --site public"), changed);
    let with_list = environment.run_with_input(&format!("{plan} 2 --inventory keys.txt"), changed);
    assert_eq!(with_directory, with_list);
    environment.run_with_input(&format!("{plan} 1 --site public"), changed);
    environment.run_with_input("plan --keys-from - --inventory - --literal-keys", changed);
    environment.run("plan /a --site nowhere");
    environment.snapshot("plan-inventory");
}

#[test]
fn sends_fewer_paths_with_economy() {
    let mut environment = Environment::new("plan-economy");
    let changed = "a/1\na/2\nb/1\nb/2\nb/3\n";
    let plan = "plan --keys-from - --literal-keys --max-paths 4 --max-wildcards 1";
    let expected = ["/a/*", "/b/1", "/b/2", "/b/3"];
    for (options, expected) in [
        ("", &expected[..]),
        ("--economy 0", &expected),
        ("--economy 0.4", &expected),
        ("--economy 0.5", &["/a/1", "/a/2", "/b/*"]),
    ] {
        let line = format!("{plan} {options} --offline --output json");
        let output = environment.run_with_input(&line, changed);
        assert_eq!(planned_paths(&output.stdout), expected, "{options:?}");
    }
    environment.write(
        "cf-invalidate.toml",
        "[sites.app]\ndistribution = 'E7EXAMPLE1ABC'\neconomy = 0.5\n",
    );
    for (options, expected) in [
        ("", &["/a/1", "/a/2", "/b/*"][..]),
        ("--economy 0", &expected),
    ] {
        let line = format!("{plan} {options} -d app --bucket app --output json");
        let output = environment.run_with_input(&line, changed);
        assert_eq!(planned_paths(&output.stdout), expected, "{options:?}");
    }
    environment.write(
        "cf-invalidate.toml",
        "[sites.app]\ndistribution = 'E7EXAMPLE1ABC'\neconomy = 2\n",
    );
    environment.run_with_input(&format!("{plan} -d app --bucket app"), changed);
    environment.snapshot("plan-economy");
}

/// Returns the paths of the only plan in a JSON output.
fn planned_paths(stdout: &str) -> Vec<String> {
    let output: serde_json::Value = serde_json::from_str(stdout).expect("JSON");
    let paths = output["distributions"][0]["paths"].as_array();
    let paths = paths
        .expect("paths")
        .iter()
        .filter_map(serde_json::Value::as_str);
    paths.map(str::to_owned).collect()
}

#[test]
fn reads_the_configuration_for_the_cached_paths_of_keys() {
    let mut environment = Environment::new("plan-site");
    let keys = "prod/index.html\nprod/blog/index.html\nprod/a.css\nstaging/index.html\n";
    environment.run_with_input(&format!("plan --keys-from - -d {WEBSITE}"), keys);
    environment.run_with_input(
        &format!("plan --keys-from - -d {WEBSITE} --bucket site --output json"),
        keys,
    );
    environment.run_with_input(
        &format!("plan --keys-from - -d {WEBSITE} --bucket other"),
        keys,
    );
    environment.run_with_input(
        &format!("plan --keys-from - -d {APP} -d www.example.com"),
        "index.html\nmain.js\n",
    );
    environment.snapshot("plan-site");
}

#[test]
fn reads_the_output_of_aws_s3() {
    let mut environment = Environment::new("plan-s3-sync");
    environment.run_with_input(&format!("plan --from-s3-sync - -d {FIRST}"), SYNC_UPLOAD);
    environment.run_with_input(
        "plan --from-s3-sync - -d www.example.com --max-paths 3",
        include_str!("recorded/v1/sync-terminal.txt"),
    );
    environment.run_with_input(
        "plan --offline --from-s3-sync - --literal-keys",
        include_str!("recorded/v1/sync-dryrun.txt"),
    );
    environment.run_with_input(
        "plan --offline --from-s3-sync - --literal-keys",
        include_str!("recorded/v1/cp-missing-bucket.txt"),
    );
    environment.run_with_input("plan --from-s3-sync -", "index.html\n");
    environment.run_with_input(&format!("plan --from-s3-sync - -d {APP}"), SYNC_UPLOAD);
    environment.snapshot("plan-s3-sync");
}
