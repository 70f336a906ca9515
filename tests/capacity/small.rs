//! Simulations that take seconds. They show that the model works, and that the first rows of docs/limits.md are current.

#[path = "../standin/mod.rs"]
mod standin;

mod model;

use std::time::Duration;

use model::{HEAD, Load, Report, Scenario};

/// How many rows of the documentation are simulated again: those that take a second.
const ROWS: usize = 2;

#[test]
fn the_first_rows_of_the_documented_table_are_what_the_simulation_returns() {
    let documentation = include_str!("../../docs/limits.md");
    let reports = model::all().into_iter().take(ROWS);
    let rows: Vec<_> = reports.map(|scenario| scenario.run().row()).collect();
    let documented = documentation.lines().skip_while(|line| *line != HEAD);
    let documented: Vec<_> = documented.skip(2).take(ROWS).collect();
    assert_eq!(rows, documented, "run `make capacity`");
}

#[test]
fn throttled_distributions_get_about_the_same_number_of_invalidations() {
    // Each of 16 distributions needs about six invalidations a minute, which are 96, and CloudFront accepts 30.
    let load = Load::Steady {
        per_minute: 120,
        minutes: 12,
    };
    let report = Scenario::new(load, 16, true).run();
    assert!(report.refused > 0.0, "{report:#?}");
    require_no_loss(&report);
    let counts = || report.accepted_of_each.iter();
    let (least, most) = (counts().min(), counts().max());
    assert!(least.map(|least| 2 * least) >= most.copied(), "{report:#?}");
}

#[test]
fn a_deploy_needs_fewer_paths_if_a_pipeline_job_invalidates_everything_at_its_end() {
    let load = Load::Deploy {
        files: 2_000,
        seconds: 10,
    };
    let without = Scenario {
        window: Duration::from_secs(60),
        ..Scenario::new(load, 1, true)
    };
    let with = Scenario {
        clears_at: Some(Duration::from_secs(20)),
        ..without.clone()
    };
    let [without, with] = [without, with].map(|scenario| scenario.run());
    require_no_loss(&without);
    require_no_loss(&with);
    assert_eq!(
        (without.paths, with.paths),
        (10.0, 1.0),
        "{without:#?} {with:#?}"
    );
}

#[test]
fn a_change_of_a_bucket_with_twenty_distributions_is_fresh_within_two_minutes() {
    let report = model::change_of_shared_bucket(20).run();
    require_no_loss(&report);
    let max_age = report.max_age.expect("an age");
    assert!(max_age <= Duration::from_secs(120), "{report:#?}");
}

#[test]
fn an_invocation_whose_time_ends_before_all_distributions_leaves_the_others_to_the_next_receive() {
    // CloudFront accepts ten calls at once, and about 25 in the time of an invocation.
    let report = model::change_of_shared_bucket(40).run();
    require_no_loss(&report);
    assert_eq!(report.accepted_of_each, [1; 40], "{report:#?}");
    assert_eq!((report.receives, report.invocations), (2.0, 2.0));
    let longest = report.longest_invocation;
    let range = Duration::from_secs(50)..Duration::from_secs(56);
    assert!(range.contains(&longest), "{longest:?}");
}

fn require_no_loss(report: &Report) {
    let lost = (report.lost, report.dead, report.never_fresh);
    assert_eq!(lost, (0, 0, 0), "{report:#?}");
}
