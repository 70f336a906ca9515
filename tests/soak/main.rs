//! The soak as a command: a hundred thousand changes, none of which must be lost.
//!
//! `soak [--seed N] [--changes N] [--small] [--program FILE] [--log FILE] [--sabotage NAME]` runs the function that was
//! built in the same profile, or another program, and prints a report. The exit code is 0 if no change was lost, 1 if one was, and 2 if the soak could not run. With
//! `--sabotage` the exit code must be 1.

#[path = "../standin/mod.rs"]
mod standin;

mod command;
mod harness;

use std::path::PathBuf;
use std::process::ExitCode;

use command::{built_function, number};
use harness::{Pace, Soak};

const USAGE: &str = "usage: soak [--seed N] [--changes N] [--small] [--program FILE] [--log FILE] \
     [--sabotage drops|misspells|idles|forgets|outdated]";
const CHANGES: usize = 100_000;
const SMALL_CHANGES: usize = 2_000;

fn main() -> ExitCode {
    let soak = match parse(std::env::args().skip(1)) {
        Ok(soak) => soak,
        Err(error) => {
            eprintln!("{error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    println!("{} changes, seed {}", soak.changes, soak.seed);
    match soak.run() {
        Ok(report) => {
            print!("{report}");
            ExitCode::from(u8::from(!report.is_sound()))
        }
        Err(error) => {
            eprintln!("soak: {error}");
            ExitCode::from(2)
        }
    }
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Soak, String> {
    let mut soak = Soak {
        seed: 1,
        changes: CHANGES,
        pace: Pace::full(),
        program: PathBuf::new(),
        names_distribution: false,
        max_paths: 20,
        log: None,
        sabotage: None,
    };
    while let Some(argument) = arguments.next() {
        let mut value = || {
            arguments
                .next()
                .ok_or_else(|| format!("{argument} needs a value"))
        };
        match argument.as_str() {
            "--seed" => soak.seed = number(&value()?)?,
            "--changes" => soak.changes = number(&value()?)?,
            "--small" => {
                soak.changes = SMALL_CHANGES;
                soak.pace = Pace::small();
            }
            "--program" => soak.program = value()?.into(),
            "--log" => soak.log = Some(value()?.into()),
            "--sabotage" => soak = soak.with_sabotage(value()?.parse()?),
            _ => return Err(format!("unknown argument {argument}")),
        }
    }
    if soak.program.as_os_str().is_empty() {
        soak.program = built_function().map_err(|error| error.to_string())?;
    }
    Ok(soak)
}
