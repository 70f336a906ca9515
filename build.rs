//! Links the function at a fixed address. Otherwise the loader writes 16,000 addresses into memory at each cold start.
//! Lambda starts each function in a virtual machine of its own, and the function's own code is safe Rust. The command line
//! stays position-independent.
//!
//! Also sets the variable `VERSION` for `src/version.rs`.

use std::env;
use std::process::Command;

/// What decides the content of the binaries. Cargo runs this script again if one of them changes.
const SOURCES: [&str; 4] = ["build.rs", "Cargo.toml", "Cargo.lock", "src"];

fn main() {
    for path in SOURCES {
        println!("cargo::rerun-if-changed={path}");
    }
    let target = |name: &str| env::var(format!("CARGO_CFG_TARGET_{name}")).unwrap_or_default();
    // Other platforms, such as macOS on Apple's processors, require position-independent programs.
    if target("OS") == "linux" && target("ENV") == "gnu" {
        println!("cargo::rustc-link-arg-bin=cloudfront-invalidator=-no-pie");
    }
    let number = env::var("CARGO_PKG_VERSION").unwrap_or_default();
    let version = match env::var("PROFILE").as_deref() {
        Ok("release") => commit().map(|commit| format!("{number} ({commit})")),
        // Without the commit, or each commit would compile everything again.
        _ => Some(format!("{number} (debug build)")),
    };
    println!(
        "cargo::rustc-env=VERSION={}",
        version.as_deref().unwrap_or(&number)
    );
}

/// Returns the commit and its date, such as `5b286570c1 2026-01-31`; `None` outside of a checkout of this repository.
fn commit() -> Option<String> {
    // A source archive can be unpacked in the checkout of another repository.
    if !git(&["rev-parse", "--show-prefix"])?.is_empty() {
        return None;
    }
    println!(
        "cargo::rerun-if-changed={}",
        git(&["rev-parse", "--git-path", "logs/HEAD"])?
    );
    let commit = git(&[
        "log",
        "-1",
        "--abbrev=10",
        "--format=%h %cd",
        "--date=format-local:%Y-%m-%d",
    ])?;
    let mut changes = vec!["status", "--porcelain", "--"];
    changes.extend(SOURCES);
    let unchanged = git(&changes)?.is_empty();
    Some(format!(
        "{commit}{}",
        if unchanged { "" } else { ", changed since" }
    ))
}

/// Returns the output of git without surrounding white space; `None` if git fails or is missing.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .args(arguments)
        .env("TZ", "UTC")
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
