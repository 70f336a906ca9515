//! The command line's entry point: wiring only.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use cloudfront_invalidator::cli::{self, Arguments, Exit};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let exit = match runtime {
        Ok(runtime) => runtime.block_on(cli::run(arguments)),
        Err(error) => {
            anstream::eprintln!("error: could not start the runtime: {error}");
            Exit::Failed
        }
    };
    exit.into()
}
