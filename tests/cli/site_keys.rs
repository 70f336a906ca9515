//! `--site`, `--inventory` and `--prefix`: the keys of another directory are reported and not used.

use std::fs;

use crate::environment::{APP, Environment, FIRST, WEBSITE};

/// Six pages below `web/public`, of which three change.
fn with_pages(name: &str) -> Environment {
    let environment = Environment::new(name);
    for page in ["index", "blog/1", "blog/2", "blog/3", "blog/4", "about/me"] {
        environment.write(&format!("web/public/{page}.html"), "");
    }
    environment.write("web/package.json", "");
    environment
}

fn uploads(prefix: &str) -> String {
    let pages = ["blog/1", "blog/2", "blog/3"];
    pages
        .map(|page| format!("upload: x to s3://site/{prefix}{page}.html\n"))
        .concat()
}

#[test]
fn the_keys_of_another_directory_are_reported_and_not_used() {
    let mut environment = with_pages("site-other-directory");
    let plan = format!("plan -d {FIRST} --max-paths 1 --from-s3-sync - --site");
    let right = environment.run_with_input(&format!("{plan} web/public"), &uploads(""));
    assert_eq!(right.stderr, "");
    environment.run_with_input(&format!("{plan} web"), &uploads(""));
    environment.run_with_input(&format!("{plan} web/public"), &uploads("docs/"));
    environment.run_with_input(&format!("{plan} web/public/about"), &uploads(""));
    let with_prefix = format!("{plan} web/public --prefix");
    let prefix = environment.run_with_input(&format!("{with_prefix} docs"), &uploads("docs/"));
    assert_eq!(prefix.stderr, "");
    environment.run_with_input(&format!("{with_prefix} docs/"), &uploads(""));
    // Half of the keys can be deleted objects.
    let plan = format!("plan -d {FIRST} --keys-from - --inventory keys.txt --output json");
    environment.write("keys.txt", "./blog/1.html\n./blog/4.html\n");
    environment.run_with_input(&plan, "blog/1.html\nblog/2.html\n");
    environment.run_with_input(&plan, "blog/1.html\nblog/2.html\nblog/3.html\n");
    environment.snapshot("site-other-directory");
}

#[test]
fn the_keys_are_compared_without_the_origin_path() {
    let mut environment = with_pages("site-origin-path");
    // Other distributions do not serve this folder of the bucket, or serve it as a folder.
    let plan = format!("plan -d {WEBSITE} -d {FIRST} --max-paths 1 --from-s3-sync - --site");
    let text = format!("{}upload: x to s3://site/other/a.html\n", uploads("prod/"));
    environment.run_with_input(&format!("{plan} web/public"), &text);
    let create = format!("create -d {WEBSITE} --no-checks --max-paths 1 --from-s3-sync -");
    let output = environment.run_with_input(&format!("{create} --site web"), &uploads("prod/"));
    assert_eq!(output.code, 0);
    let paths = vec!["/blog/*".to_owned()];
    assert_eq!(environment.accepted(), [(WEBSITE.to_owned(), paths)]);
    environment.snapshot("site-origin-path");
}

#[test]
fn a_site_without_files_is_refused_before_anything_is_sent() {
    let mut environment = Environment::new("site-empty");
    fs::create_dir_all(environment.directory.join("public/empty")).expect("a directory");
    environment.write("keys.txt", "\n");
    environment.write("file.txt", "a.html\n");
    for options in [
        "--site public",
        "--site missing",
        "--site file.txt",
        "--inventory keys.txt",
        "--prefix docs/",
    ] {
        for command in ["create", "plan"] {
            let line = format!("{command} -d {APP} --keys-from - {options}");
            let output = environment.run_with_input(&line, "a.html\n");
            assert_eq!(output.code, 2, "{line}: {}", output.stderr);
        }
    }
    assert_eq!(environment.standin.calls(), []);
    environment.snapshot("site-empty");
}
