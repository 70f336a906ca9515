//! The soak at a size for every day, and the proof that it would notice a loss.

#[path = "../standin/mod.rs"]
mod standin;

mod harness;

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use harness::verdict::Violation;
use harness::{Pace, Report, Sabotage, Soak};

fn soak(name: &str, changes: usize, pace: Pace) -> Soak {
    Soak {
        seed: 4,
        changes,
        pace,
        program: env!("CARGO_BIN_EXE_cloudfront-invalidator").into(),
        names_distribution: false,
        max_paths: 20,
        log: Some(fresh_log(name)),
        sabotage: None,
    }
}

/// A file that is there to be read when a test failed.
fn fresh_log(name: &str) -> PathBuf {
    let log = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("soak-{name}.log"));
    // The last run's need not exist.
    let _ = std::fs::remove_file(&log);
    log
}

fn run(soak: &Soak) -> Report {
    soak.run().unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn nothing_is_lost() {
    let report = run(&soak("small", 2_000, Pace::small()));
    print!("{report}");
    assert!(report.is_sound(), "{report}");
    assert!(report.kills > 0, "nothing was killed: {report}");
    assert!(report.poison > 0, "nothing was poison: {report}");
    assert!(report.refused > 0, "CloudFront refused nothing: {report}");
}

/// A calm and short time: what goes wrong in it is the sabotage's doing.
fn calm() -> Pace {
    let seconds = Duration::from_secs;
    Pace {
        uploads_over: seconds(3),
        backlog: Duration::ZERO,
        batching_window: seconds(1),
        max_receives: 2,
        peak: seconds(1_000)..seconds(1_001),
        lost_answers: Vec::new(),
        ..Pace::small()
    }
}

#[test]
fn every_way_of_losing_changes_is_noticed() {
    let sabotaged = Sabotage::ALL.map(|sabotage| {
        let mut soak = soak(&format!("{sabotage:?}"), 600, calm());
        soak.sabotage = Some(sabotage);
        soak.names_distribution = true;
        // Wildcards would cover much of what is lost, which then is no loss.
        soak.max_paths = 3_000;
        thread::spawn(move || (sabotage, run(&soak)))
    });
    for run in sabotaged {
        let (sabotage, report) = run.join().expect("a run that ends");
        let notices = |violation: &Violation| match sabotage {
            Sabotage::Forgets => *violation == Violation::Swallowed,
            _ => matches!(
                violation,
                Violation::Stale { .. } | Violation::TooEarly { .. }
            ),
        };
        let noticed = report.findings.iter().any(|it| notices(&it.violation));
        assert!(noticed, "{sabotage:?} was not noticed: {report}");
    }
}
