//! A measurement that is short enough for every test run, and the proof that it notices wrong answers.
//!
//! It needs MiniStack's virtual environment: `make local` runs it. MINISTACK is the path of its program.

#[path = "../standin/mod.rs"]
mod standin;

mod driver;

use std::path::{Path, PathBuf};
use std::thread;

use driver::{Fresh, Report, Sabotage};

/// The number of the first scenario with the site of a bundler.
const BUNDLERS: usize = 15;

fn fresh(requests: usize) -> Fresh {
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/venvs/cloud/bin/ministack");
    let ministack = std::env::var_os("MINISTACK").map_or(installed, PathBuf::from);
    Fresh {
        seed: 3,
        requests,
        keys: 16,
        deploys: 1,
        first_scenario: 0,
        program: env!("CARGO_BIN_EXE_cloudfront-invalidator").into(),
        ministack,
        log: None,
        sabotage: None,
        max_paths: None,
        shows_progress: false,
        stops_at_finding: false,
    }
}

fn run(fresh: &Fresh) -> Report {
    fresh.run().unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn nothing_is_stale_or_lost() {
    // Most of a run is waiting, so four runs share the families of sites.
    let runs = [0, 5, 10, BUNDLERS].map(|first_scenario| {
        let fresh = Fresh {
            first_scenario,
            ..fresh(2_000)
        };
        thread::spawn(move || run(&fresh))
    });
    let mut configuration_changes = 0;
    let mut failed_reads = 0;
    let mut file_requests = 0;
    for run in runs {
        let report = run.join().expect("a run that ends");
        print!("{report}");
        assert_eq!(report.figures.stale, 0, "{report}");
        assert_eq!(report.figures.lost, 0, "{report}");
        assert!(report.figures.dropped > 0, "nothing was dropped: {report}");
        configuration_changes += report.figures.configuration_changes;
        failed_reads += report.figures.failed_reads;
        file_requests += report.figures.file_requests;
    }
    assert!(configuration_changes > 0, "no configuration changed");
    assert!(failed_reads > 0, "no read failed");
    assert!(file_requests > 0, "no old entry page was used");
}

#[test]
fn each_sabotage_is_noticed() {
    let sabotaged = Sabotage::ALL.map(|sabotage| {
        let fresh = Fresh {
            sabotage: Some(sabotage),
            // Wildcards would cover the lost paths.
            max_paths: Some(3_000),
            stops_at_finding: true,
            first_scenario: match sabotage {
                Sabotage::Removed => BUNDLERS,
                Sabotage::Immutable => BUNDLERS + 1,
                // A site with a default root object, and then one with a function.
                _ => 2,
            },
            ..fresh(50_000)
        };
        thread::spawn(move || (sabotage, run(&fresh)))
    });
    for run in sabotaged {
        let (sabotage, report) = run.join().expect("a run that ends");
        if sabotage == Sabotage::Removed {
            assert!(report.figures.lost > 0, "{sabotage:?}: {report}");
            continue;
        }
        let is_caused = |target: &&String| match sabotage {
            Sabotage::Alias => target.ends_with('/'),
            Sabotage::Spelling => target.contains('%'),
            _ => true,
        };
        let caused = report.figures.stale_targets.iter().filter(is_caused);
        assert!(caused.count() > 0, "{sabotage:?} was not noticed: {report}");
    }
}
