//! The crates that the function links are those of `linked-crates.txt`, and none that it must not have.
//!
//! Each crate makes the binary larger and the cold start longer, and can have security advisories. A new version of a
//! crate passes; a crate that comes or goes, and a second version of one, is a decision.
//!
//! `UPDATE_SNAPSHOTS=overwrite cargo test --all-features --test linked_crates` writes the list again.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use serde::Deserialize;

/// The platforms for which the function is built.
const TARGETS: [&str; 2] = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"];

/// Crates that the function must not link, in addition to the banned ones of `deny.toml`, and why.
const FORBIDDEN: [(&str, &str); 8] = [
    (
        "aws-config",
        "sdk.rs configures the SDK from Lambda's environment variables; the credential chain is larger",
    ),
    (
        "aws-sdk-codepipeline",
        "signed_json.rs makes the two calls; the crate lengthens the cold start by 0.2 ms",
    ),
    ("aws-sdk-s3", "only the command line reads buckets"),
    ("aws-sdk-sso", "only the command line has profiles"),
    ("aws-sdk-sts", "only the command line has profiles"),
    ("clap", "only the command line has arguments"),
    (
        "regex",
        "its tables are large; regex-lite of the SDK is linked already",
    ),
    ("toml", "only the command line has a configuration file"),
];

#[derive(Deserialize)]
struct Deny {
    bans: Bans,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

#[derive(Deserialize)]
struct Ban {
    #[serde(rename = "crate")]
    name: String,
    reason: String,
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Returns the crates that the function links on this platform: the name of each, once for each of its versions.
///
/// Macros run in the compiler, so neither they nor their dependencies are linked.
fn linked_crates(target: &str) -> Vec<String> {
    let cargo = env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args([
            "tree",
            "--locked",
            "--no-default-features",
            "--edges",
            "normal,no-proc-macro",
        ])
        .args([
            "--prefix",
            "none",
            "--no-dedupe",
            "--format",
            "{p}",
            "--target",
            target,
        ])
        .output()
        .expect("cargo runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo tree: {errors}");
    let lines = String::from_utf8(output.stdout).expect("UTF-8");
    let versions: BTreeSet<_> = lines.lines().filter(|line| !line.is_empty()).collect();
    let names = versions.iter().filter_map(|line| line.split(' ').next());
    let mut names: Vec<_> = names.map(str::to_owned).collect();
    names.retain(|name| name != env!("CARGO_PKG_NAME"));
    names
}

/// Returns the crates of the list that are not in the other one, once for each version.
fn missing(crates: &[String], other: &[String]) -> Vec<String> {
    let mut rest = other.to_vec();
    let is_missing = |name: &&String| match rest.iter().position(|other| other == *name) {
        Some(index) => {
            rest.swap_remove(index);
            false
        }
        None => true,
    };
    crates.iter().filter(is_missing).cloned().collect()
}

#[test]
fn the_function_links_the_listed_crates() {
    let path = file("tests/audit/linked-crates.txt");
    let [linked, of_arm] = TARGETS.map(linked_crates);
    assert_eq!(linked, of_arm, "the platforms have the same crates");
    if env::var("UPDATE_SNAPSHOTS").as_deref() == Ok("overwrite") {
        fs::write(&path, linked.join("\n") + "\n").expect("a file that can be written");
    }
    let text = fs::read_to_string(&path).expect("the list");
    let listed: Vec<_> = text.lines().map(str::to_owned).collect();
    let (added, removed) = (missing(&linked, &listed), missing(&listed, &linked));
    assert!(
        added.is_empty() && removed.is_empty(),
        "the crates of the function changed: added {added:?}, removed {removed:?}.\n\
         `cargo tree --edges normal,no-proc-macro --invert NAME` shows what needs a crate. Does \
         the function need it, or can a feature be switched off? After the decision, write the list again:\n\
         UPDATE_SNAPSHOTS=overwrite cargo test --all-features --test linked_crates"
    );
}

#[test]
fn the_function_links_none_of_the_crates_that_it_must_not_have() {
    let deny = fs::read_to_string(file("deny.toml")).expect("deny.toml");
    let deny: Deny = toml::from_str(&deny).expect("bans with reasons");
    assert!(!deny.bans.deny.is_empty());
    let banned = deny.bans.deny.into_iter().map(|ban| (ban.name, ban.reason));
    let forbidden = FORBIDDEN.map(|(name, reason)| (name.to_owned(), reason.to_owned()));
    let forbidden: Vec<_> = banned.chain(forbidden).collect();
    for target in TARGETS {
        let linked = linked_crates(target);
        let found: Vec<_> = forbidden
            .iter()
            .filter(|(name, _)| linked.contains(name))
            .collect();
        assert!(
            found.is_empty(),
            "the function must not link these crates, for these reasons: {found:?}"
        );
    }
}
