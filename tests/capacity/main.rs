//! The capacity as a command: prints the table of docs/limits.md.
//!
//! `capacity [NUMBER...]` simulates all scenarios, or those with these numbers.

#[path = "../standin/mod.rs"]
mod standin;

mod model;

use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    let numbers: Result<Vec<usize>, _> = std::env::args().skip(1).map(|text| text.parse()).collect();
    let Ok(numbers) = numbers else {
        eprintln!("usage: capacity [NUMBER...]");
        return ExitCode::from(2);
    };
    let mut reports = Vec::new();
    for (number, scenario) in (1..).zip(model::all()) {
        if !numbers.is_empty() && !numbers.contains(&number) {
            continue;
        }
        let started = Instant::now();
        let report = scenario.run();
        eprintln!("{number}: {:?} {report:#?}", started.elapsed());
        reports.push(report);
    }
    print!("{}", model::table(&reports));
    let is_lossless = reports.iter().all(|report| report.lost == 0);
    ExitCode::from(u8::from(!is_lossless))
}
