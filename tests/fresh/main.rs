//! The measurement of freshness as a command: a hundred thousand requests of viewers, none of which must be stale.
//!
//! `fresh [--seed N] [--requests N] [--small] [--first-scenario N] [--ministack PROGRAM] [--program FILE] [--log FILE]
//! [--sabotage NAME]` runs the function that was built in the same profile, or another program, and prints a report. The
//! exit code is 0 if no answer was stale and no file of an old entry page was missing, 1 if one was, and 2 if the
//! measurement could not run. With `--sabotage` the exit code must be 1.

#[path = "../standin/mod.rs"]
mod standin;

#[path = "../soak/command.rs"]
mod command;
mod driver;

use std::path::PathBuf;
use std::process::ExitCode;

use command::{built_function, number};
use driver::Fresh;

const USAGE: &str = "usage: fresh [--seed N] [--requests N] [--small] [--first-scenario N] \
     [--ministack PROGRAM] [--program FILE] [--log FILE] [--sabotage \
     alias|spelling|early|lost|outdated|immutable|removed]";
const REQUESTS: usize = 100_000;
const SMALL_REQUESTS: usize = 12_000;
const KEYS: usize = 36;
const SMALL_KEYS: usize = 16;
const DEPLOYS: usize = 3;
const SMALL_DEPLOYS: usize = 1;
const MINISTACK: &str = "target/venvs/cloud/bin/ministack";

fn main() -> ExitCode {
    let fresh = match parse(std::env::args().skip(1)) {
        Ok(fresh) => fresh,
        Err(error) => {
            eprintln!("{error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match fresh.run() {
        Ok(report) => {
            print!("{report}");
            ExitCode::from(u8::from(report.has_wrong_answers()))
        }
        Err(error) => {
            eprintln!("fresh: {error}");
            ExitCode::from(2)
        }
    }
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Fresh, String> {
    let mut fresh = Fresh {
        seed: 1,
        requests: REQUESTS,
        keys: KEYS,
        deploys: DEPLOYS,
        first_scenario: 0,
        program: PathBuf::new(),
        ministack: MINISTACK.into(),
        log: None,
        sabotage: None,
        max_paths: None,
        shows_progress: true,
        stops_at_finding: false,
    };
    while let Some(argument) = arguments.next() {
        let mut value = || {
            arguments
                .next()
                .ok_or_else(|| format!("{argument} needs a value"))
        };
        match argument.as_str() {
            "--seed" => fresh.seed = number(&value()?)?,
            "--requests" => fresh.requests = number(&value()?)?,
            "--small" => {
                fresh.requests = SMALL_REQUESTS;
                fresh.keys = SMALL_KEYS;
                fresh.deploys = SMALL_DEPLOYS;
            }
            "--first-scenario" => fresh.first_scenario = number(&value()?)?,
            "--ministack" => fresh.ministack = value()?.into(),
            "--program" => fresh.program = value()?.into(),
            "--log" => fresh.log = Some(value()?.into()),
            "--sabotage" => fresh.sabotage = Some(value()?.parse()?),
            _ => return Err(format!("unknown argument {argument}")),
        }
    }
    if fresh.program.as_os_str().is_empty() {
        fresh.program = built_function().map_err(|error| error.to_string())?;
    }
    Ok(fresh)
}
