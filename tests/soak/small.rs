//! A soak that is short enough for every test run, and the proof that the soak notices lost changes.

#[path = "../standin/mod.rs"]
mod standin;

mod harness;

use std::io::ErrorKind;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use harness::verdict::Violation;
use harness::{ConfigurationChange, Pace, Report, Sabotage, Soak};

fn soak(name: &str, changes: usize, pace: Pace) -> Soak {
    Soak {
        seed: 4,
        changes,
        pace,
        program: env!("CARGO_BIN_EXE_cloudfront-invalidator").into(),
        names_distribution: false,
        max_paths: 20,
        log: Some(empty_log(name)),
        sabotage: None,
    }
}

/// Returns an empty log file, which stays after a failed test.
fn empty_log(name: &str) -> PathBuf {
    let log = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("soak-{name}.log"));
    // A first run has no file to remove.
    let _ = std::fs::remove_file(&log);
    log
}

/// Runs the soak. A run in which the viewers could not keep up proves nothing, whatever its verdict, so it is repeated once.
fn run(soak: &Soak) -> Report {
    let report = match soak.run() {
        Err(error) if error.kind() == ErrorKind::TimedOut => soak.run(),
        report => report,
    };
    report.unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn nothing_is_lost() {
    let report = run(&soak("small", 2_000, Pace::small()));
    print!("{report}");
    assert!(report.is_sound(), "{report}");
    assert!(report.kills > 0, "no invocation was killed: {report}");
    assert!(report.poison > 0, "no message was poison: {report}");
    assert!(report.rejected > 0, "CloudFront rejected no call: {report}");
    assert_eq!(report.configuration_changes, 4, "{report}");
    assert!(report.failed_reads > 0, "no read failed: {report}");
}

/// A short pace with few faults, so that every violation is caused by the sabotage.
fn few_faults() -> Pace {
    let seconds = Duration::from_secs;
    Pace {
        upload_duration: seconds(3),
        backlog: Duration::ZERO,
        batching_window: seconds(1),
        max_receives: 2,
        outage: seconds(1_000)..seconds(1_001),
        lost_responses: Vec::new(),
        configuration_changes: Vec::new(),
        failing_reads: Vec::new(),
        ..Pace::small()
    }
}

#[test]
fn each_sabotage_is_noticed() {
    let sabotaged = Sabotage::ALL.map(|sabotage| {
        let mut pace = few_faults();
        if sabotage == Sabotage::Outdated {
            // A switch of the origin path deletes copies, which prove nothing then.
            pace.configuration_changes = vec![
                (
                    Duration::from_millis(500),
                    ConfigurationChange::AddDistribution,
                ),
                (
                    Duration::from_secs(1),
                    ConfigurationChange::AssociateFunction,
                ),
            ];
        }
        let soak = soak(&format!("{sabotage:?}"), 600, pace).with_sabotage(sabotage);
        thread::spawn(move || (sabotage, run(&soak)))
    });
    for run in sabotaged {
        let (sabotage, report) = run.join().expect("a run that ends");
        let detects = |violation: &Violation| match sabotage {
            Sabotage::Forgets => *violation == Violation::PoisonAccepted,
            _ => matches!(
                violation,
                Violation::Stale { .. } | Violation::TooEarly { .. }
            ),
        };
        let noticed = report
            .findings
            .iter()
            .any(|finding| detects(&finding.violation));
        assert!(noticed, "{sabotage:?} was not noticed: {report}");
    }
}
