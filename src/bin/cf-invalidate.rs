//! The command line's entry point: wiring only.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    cloudfront_invalidator::cli::main(std::env::args_os().collect()).into()
}
