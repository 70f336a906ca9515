//! Writes the man pages and the completion scripts of the command line for the archives of a release.
//!
//! usage: manual DIRECTORY

#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::{env, fs, io};

use clap::{CommandFactory, ValueEnum};
use clap_complete::Shell;
use cloudfront_invalidator::cli::Arguments;

fn main() -> io::Result<()> {
    let Some(directory) = env::args_os().nth(1).map(PathBuf::from) else {
        return Err(io::Error::other("usage: manual DIRECTORY"));
    };
    // This program is a debug build. The pages are about the release.
    let mut command = Arguments::command()
        .version(env!("CARGO_PKG_VERSION"))
        .disable_help_subcommand(true);
    let completions = directory.join("completions");
    fs::create_dir_all(&completions)?;
    for shell in Shell::value_variants() {
        clap_complete::generate_to(*shell, &mut command, "cf-invalidate", &completions)?;
    }
    let pages = directory.join("man");
    fs::create_dir_all(&pages)?;
    clap_mangen::generate_to(command, &pages)
}
