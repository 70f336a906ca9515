//! The simulation of the capacity as a command: prints the table of docs/limits.md.
//!
//! `capacity [--long] [NUMBER...]` simulates all scenarios, or those with these numbers. With `--long`, each load lasts
//! 75 minutes, so that messages can reach the dead-letter queue, and the simulation takes hours.

#[path = "../standin/mod.rs"]
mod standin;

mod model;

use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    let mut arguments: Vec<_> = std::env::args().skip(1).collect();
    let is_long = arguments.iter().any(|argument| argument == "--long");
    arguments.retain(|argument| argument != "--long");
    let numbers: Result<Vec<usize>, _> = arguments.iter().map(|text| text.parse()).collect();
    let Ok(numbers) = numbers else {
        eprintln!("usage: capacity [--long] [NUMBER...]");
        return ExitCode::from(2);
    };
    let scenarios = match is_long {
        true => model::all_long(),
        false => model::all(),
    };
    let mut reports = Vec::new();
    for (number, scenario) in (1..).zip(scenarios) {
        if !numbers.is_empty() && !numbers.contains(&number) {
            continue;
        }
        let started = Instant::now();
        let report = scenario.run();
        let seconds = started.elapsed().as_secs();
        eprintln!("scenario {number}: {seconds} s");
        reports.push(report);
    }
    print!("{}", model::table(&reports));
    let is_lossless = reports.iter().all(|report| report.lost == 0);
    ExitCode::from(u8::from(!is_lossless))
}
