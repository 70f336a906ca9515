//! `--inventory-before` and `--skip-unchanged`: what is new or has the same content as before is not invalidated.

use std::fs::File;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::environment::{APP, Environment, FIRST, WEBSITE};

/// Distribution with the bucket `site`, which keeps errors for 10 s.
const BARE: &str = "E6EXAMPLE1ABC";

/// The MD5 of `text`.
const MD5: &str = "1cb251ec0d568de6a929b520c4aed8d1";

const OTHER_MD5: &str = "00000000000000000000000000000000";

/// Returns the output of `aws s3api list-objects-v2`. Each object has 4 bytes.
fn listing(objects: &[(&str, &str)]) -> String {
    let contents = objects
        .iter()
        .map(|(key, etag)| json!({"Key": key, "ETag": format!("\"{etag}\""), "Size": 4}));
    let contents: Vec<_> = contents.collect();
    json!({"Contents": contents, "RequestCharged": null, "Prefix": ""}).to_string()
}

fn uploads(keys: &[&str]) -> String {
    let lines = keys.iter();
    let lines = lines.map(|key| format!("upload: public/{key} to s3://site/{key}\n"));
    lines.collect()
}

fn accepted(distribution: &str, paths: &[&str]) -> Vec<(String, Vec<String>)> {
    let paths = paths.iter().map(|path| (*path).to_owned()).collect();
    vec![(distribution.to_owned(), paths)]
}

#[test]
fn new_objects_get_no_path_unless_errors_are_cached_for_long() {
    let mut environment = Environment::new("before-new");
    environment.write("keys.txt", "a.html\nblog/old.html\n");
    let changes = uploads(&["a.html", "blog/new.html"]);
    // The first keeps errors for 10 s, the second for 300 s.
    let options = "--from-s3-sync - --inventory-before keys.txt";
    let plan = format!("plan -d {BARE} -d {FIRST} {options}");
    environment.run_with_input(&plan, &changes);
    environment.run_with_input(&format!("{plan} --output json"), &changes);
    let create = format!("create -d {BARE} {options}");
    let output = environment.run_with_input(&create, &changes);
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert_eq!(environment.accepted(), accepted(BARE, &["/a.html"]));
    environment.write("before.json", &listing(&[("a.html", MD5)]));
    let create = create.replace("keys.txt", "before.json");
    let output = environment.run_with_input(&create, &uploads(&["blog/new.html"]));
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert_eq!(environment.accepted().len(), 1, "nothing more is sent");
    // A single-page application shows a page for what does not exist.
    let plan = format!("plan -d {APP} --bucket app --keys-from - --inventory-before keys.txt");
    environment.run_with_input(&plan, "a.html\nblog/new.html\n");
    environment.run_with_input(
        &format!("plan --offline --keys-from keys.txt --bucket site {options} -d {BARE}"),
        &changes,
    );
    environment.run_with_input(
        "plan --offline --keys-from keys.txt --inventory-before -",
        &listing(&[("a.html", MD5)]),
    );
    environment.snapshot("before-new");
}

/// Returns the paths of a plan.
fn planned(environment: &mut Environment, line: &str) -> Vec<String> {
    let output = environment.run(&format!("{line} --output json"));
    let output: Value = serde_json::from_str(&output.stdout).expect("JSON");
    let paths = output["paths"].as_array().expect("paths").iter();
    paths
        .filter_map(|path| path.as_str().map(str::to_owned))
        .collect()
}

/// Files of which some have the same content as before, the listing from before, and the changes.
fn with_uploads(name: &str) -> Environment {
    let environment = Environment::new(name);
    let names = [
        "about.html",
        "changed.html",
        "kms.html",
        "multipart.bin",
        "new.html",
        "size.html",
    ];
    for name in names {
        environment.write(&format!("public/{name}"), "text");
    }
    environment.write("public/size.html", "text and more");
    let before = listing(&[
        ("about.html", MD5),
        ("changed.html", OTHER_MD5),
        ("gone.html", MD5),
        ("kms.html", "77777777777777777777777777777777"),
        ("multipart.bin", &format!("{MD5}-2")),
        ("size.html", MD5),
    ]);
    environment.write("before.json", &before);
    let deleted = "delete: s3://site/gone.html\n";
    environment.write("changes.txt", &(uploads(&names) + deleted));
    environment
}

const OPTIONS: &str =
    "--from-s3-sync changes.txt --inventory-before before.json --site public --skip-unchanged";

#[test]
fn objects_with_the_same_content_get_no_path() {
    let mut environment = with_uploads("before-unchanged");
    let output = environment.run(&format!("create -d {BARE} {OPTIONS} --output json"));
    assert_eq!(output.code, 0, "{}", output.stderr);
    let paths = [
        "/changed.html",
        "/gone.html",
        "/kms.html",
        "/multipart.bin",
        "/size.html",
    ];
    assert_eq!(environment.accepted(), accepted(BARE, &paths));
    let output: Value = serde_json::from_str(&output.stdout).expect("JSON");
    let warning = "objects with the same content are skipped: changes of metadata, such as Cache-Control and Content-Type, \
                   are not seen; if an earlier invalidation of these objects failed, invalidate them without --skip-unchanged";
    assert_eq!(output["warnings"], json!([warning]));
    environment.run(&format!("plan -d {BARE} {OPTIONS}"));
    environment.run(&format!("plan --offline {OPTIONS}"));
    // Without the option, they are invalidated.
    environment.run(&format!(
        "plan -d {BARE} {}",
        OPTIONS.replace(" --skip-unchanged", "")
    ));
    // Nothing has changed.
    environment.write("changes.txt", &uploads(&["about.html"]));
    let sent = environment.accepted().len();
    environment.run(&format!("plan --offline {OPTIONS}"));
    environment.run(&format!("create -d {BARE} {OPTIONS}"));
    assert_eq!(environment.accepted().len(), sent);
    environment.snapshot("before-unchanged");
}

#[test]
fn only_an_upload_of_the_compared_file_is_skipped() {
    let mut environment = with_uploads("before-sources");
    for (line, is_skipped) in [
        ("upload: public/about.html to s3://site/about.html", true),
        ("upload: ./about.html to s3://site/about.html", true),
        (
            "upload: public/maintenance.html to s3://site/about.html",
            false,
        ),
        ("upload: public/xabout.html to s3://site/about.html", false),
        (
            "copy: s3://staging/about.html to s3://site/about.html",
            false,
        ),
        (
            "move: s3://site/drafts/about.html to s3://site/about.html",
            false,
        ),
        (
            "delete: s3://site/about.html\nupload: public/about.html to s3://site/about.html",
            false,
        ),
    ] {
        environment.write("changes.txt", &format!("{line}\n"));
        // The listing has what was moved.
        let contents = [("about.html", MD5), ("drafts/about.html", MD5)];
        environment.write("before.json", &listing(&contents));
        let early = SystemTime::now() - Duration::from_secs(60);
        let file = File::options()
            .write(true)
            .open(environment.directory.join("before.json"));
        file.and_then(|file| file.set_modified(early))
            .expect("a time");
        let output = environment.run(&format!("plan -d {BARE} {OPTIONS} --output json"));
        let output: Value = serde_json::from_str(&output.stdout).expect("JSON");
        let paths = output["paths"].as_array().expect("paths");
        assert_eq!(paths.contains(&json!("/about.html")), !is_skipped, "{line}");
    }
}

#[test]
fn files_of_another_directory_skip_nothing() {
    let mut environment = with_uploads("before-other-directory");
    environment.write("other/about.html", "text");
    let other = OPTIONS.replace("--site public", "--site other");
    for command in ["plan --offline", &format!("plan -d {BARE}")] {
        let paths = planned(&mut environment, &format!("{command} {OPTIONS}"));
        assert!(!paths.contains(&"/about.html".to_owned()), "{paths:?}");
        let paths = planned(&mut environment, &format!("{command} {other}"));
        let all = [
            "/about.html",
            "/changed.html",
            "/gone.html",
            "/kms.html",
            "/multipart.bin",
            "/size.html",
        ];
        assert_eq!(paths, all, "{command}");
    }
}

#[test]
fn the_local_files_are_those_below_the_origin_path() {
    let mut environment = Environment::new("before-origin-path");
    let keys = ["docs/a.html", "docs/b.html"];
    for key in keys {
        environment.write(&format!("public/{key}"), "text");
    }
    let before = listing(&[("prod/docs/a.html", MD5), ("prod/docs/b.html", OTHER_MD5)]);
    environment.write("before.json", &before);
    let keys = keys.map(|key| format!("prod/{key}"));
    environment.write("changes.txt", &uploads(&[&keys[0], &keys[1]]));
    // The second distribution has no origin path, so the files are not those of its paths.
    environment.run(&format!("plan -d {WEBSITE} -d {BARE} {OPTIONS}"));
    let options = OPTIONS.replace("--site public", "--site public/docs --prefix /docs");
    environment.run(&format!("create -d {WEBSITE} {options}"));
    assert_eq!(
        environment.accepted(),
        accepted(WEBSITE, &["/docs/b.html*"])
    );
    environment.snapshot("before-origin-path");
}

#[test]
fn a_listing_that_is_not_from_before_is_not_used() {
    let mut environment = with_uploads("before-other-listing");
    let complete = std::fs::read_to_string(environment.directory.join("before.json"));
    let complete: Value = serde_json::from_str(&complete.expect("a file")).expect("JSON");
    let plan = format!("plan -d {BARE} {OPTIONS}");
    let all = "7 objects would become";
    // It lacks what was deleted.
    let mut after = complete.clone();
    let contents = after["Contents"].as_array_mut().expect("objects");
    contents.retain(|object| object["Key"] != "gone.html");
    environment.write("before.json", &after.to_string());
    let output = environment.run(&plan);
    assert!(output.stdout.contains(all), "{}", output.stdout);
    let mut other = complete.clone();
    other["Name"] = json!("staging");
    environment.write("before.json", &other.to_string());
    let output = environment.run(&plan);
    assert!(output.stdout.contains(all), "{}", output.stdout);
    environment.write("before.json", &complete.to_string());
    let now = SystemTime::now();
    let directory = environment.directory.clone();
    let modify = |name: &str, time: SystemTime| {
        let file = File::options();
        let file = file.clone().write(true).open(directory.join(name));
        file.and_then(|file| file.set_modified(time))
            .expect("a time");
    };
    // Both were written at the same time, as far as the file system shows it.
    modify("changes.txt", now);
    modify("before.json", now);
    let without_the_same = planned(&mut environment, &plan);
    assert!(
        !without_the_same.contains(&"/about.html".to_owned()),
        "{without_the_same:?}"
    );
    // It was written after the changes.
    modify("before.json", now + Duration::from_secs(60));
    let output = environment.run(&plan);
    assert!(output.stdout.contains(all), "{}", output.stdout);
    environment.run(&format!("plan --offline --output json {OPTIONS}"));
    // Other deploys can have changed the bucket since.
    modify("before.json", now - Duration::from_secs(25 * 60 * 60));
    let output = environment.run(&plan);
    assert!(output.stdout.contains(all), "{}", output.stdout);
    modify("before.json", now + Duration::from_secs(60));
    // A dry run changes nothing, so a later listing is still the one from before.
    environment.write(
        "changes.txt",
        &format!("(dryrun) {}", uploads(&["about.html"])),
    );
    environment.run(&plan);
    environment.snapshot("before-other-listing");
}

#[test]
fn what_the_listing_does_not_show_is_invalidated() {
    let mut environment = Environment::new("before-not-shown");
    // The keys of a folder, of which the listing can be a part.
    environment.write("keys.txt", "blog/a.html\nblog/b.html\n");
    let plan = format!("plan -d {BARE} --inventory-before keys.txt");
    let changes = uploads(&["blog/a.html", "blog/c.html", "docs/a.html", "index.html"]);
    environment.run_with_input(&format!("{plan} --from-s3-sync -"), &changes);
    // A list without any of the objects can be anything.
    let changes = uploads(&["blog/c.html", "index.html"]);
    environment.run_with_input(&format!("{plan} --from-s3-sync -"), &changes);
    // A deleted object that it does not show proves nothing.
    let changes = uploads(&["blog/a.html", "blog/c.html"]) + "delete: s3://site/docs/old.html\n";
    environment.run_with_input(&format!("{plan} --from-s3-sync -"), &changes);
    // What is removed from its keys is reported.
    environment.write("keys.txt", "/blog/a.html\n./blog/b.html\n");
    environment.run_with_input(&format!("{plan} --from-s3-sync -"), &changes);
    // The object is possibly in one bucket or in the other, and the listing is that of one.
    let plan = "plan -d E5EXAMPLE1ABC --inventory-before keys.txt --keys-from -";
    environment.run_with_input(plan, "blog/a.html\nblog/c.html\n");
    environment.write(
        "cf-invalidate.toml",
        "[sites.group]\ndistribution = 'E5EXAMPLE1ABC'\nbucket = 'site'\n",
    );
    let plan = "plan -d group --inventory-before keys.txt --keys-from -";
    environment.run_with_input(plan, "blog/a.html\nblog/c.html\n");
    environment.snapshot("before-not-shown");
}

#[test]
fn wrong_options_and_listings_are_refused_before_any_call() {
    let mut environment = with_uploads("before-refused");
    environment.write("keys.txt", "a.html\n");
    environment.write("empty.txt", "");
    environment.write(
        "page.json",
        r#"{"Contents": [{"Key": "a.html"}], "NextToken": "x"}"#,
    );
    environment.write("broken.json", "{\"Contents\": [\n  {\"Key\": \"a.html\",\n");
    environment.write("without-etag.json", r#"[{"Key": "a.html", "Size": 4}]"#);
    environment.write(
        "buckets.txt",
        "upload: a to s3://site/a.html\nupload: a to s3://app/a.html\n",
    );
    let before = "--inventory-before before.json";
    let keys = "--keys-from keys.txt";
    let skip = "--skip-unchanged --site public";
    for options in [
        format!("/a.html {before}"),
        format!("--all {before}"),
        format!("--again I1 {before}"),
        format!("--batch batch.json {before}"),
        format!("--batch batch.json {before} {skip}"),
        format!("--takedown {keys} {before}"),
        format!("--takedown {keys} {skip}"),
        format!("{keys} {before} --skip-unchanged"),
        format!("{keys} {skip}"),
        format!("{keys} {skip} --inventory-before keys.txt"),
        format!("{keys} {skip} --inventory-before without-etag.json"),
        "--keys-from - --inventory-before -".to_owned(),
        format!("{keys} --inventory-before missing.json"),
        format!("{keys} --inventory-before empty.txt"),
        format!("{keys} --inventory-before page.json"),
        format!("{keys} --inventory-before broken.json"),
        format!("--from-s3-sync buckets.txt {before}"),
    ] {
        let output = environment.run(&format!("create -d {BARE} {options}"));
        assert_eq!(output.code, 2, "{options}: {}", output.stderr);
    }
    assert_eq!(environment.standin.calls(), []);
    environment.snapshot("before-refused");
}
