//! The scenarios of docs/limits.md.

use std::time::Duration;

use super::{Load, Scenario};

/// A load that is longer than a message can be received ten times, which takes 63 minutes.
const LONG: usize = 75;

/// Returns the scenarios, in the order of the table, with loads of 75 minutes.
pub fn all_long() -> Vec<Scenario> {
    let mut scenarios = all();
    for scenario in &mut scenarios {
        scenario.drains = true;
        if let Load::Steady { minutes, .. } = &mut scenario.load {
            *minutes = LONG;
        }
    }
    scenarios
}

/// Returns the scenarios, in the order of the table. Their loads are short enough for a quarter of an hour of CPU time.
pub fn all() -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    for per_second in [1, 10, 100] {
        for distributions in [1, 20, 200] {
            let load = steady(per_second, minutes(per_second, distributions));
            for named in [true, false] {
                scenarios.push(Scenario::new(load, distributions, named));
            }
        }
    }
    let one = Scenario::new(steady(1, minutes(1, 1)), 1, true);
    let ten = Scenario::new(steady(10, minutes(10, 1)), 1, true);
    let twenty = Scenario::new(steady(10, minutes(10, 20)), 20, false);
    let deploy = Scenario::new(deploy_of(100_000), 1, true);
    let small_deploy = Scenario {
        load: deploy_of(2_000),
        ..deploy.clone()
    };
    let window = Duration::from_secs(300);
    scenarios.extend([
        Scenario {
            account: 1_000,
            ..twenty.clone()
        },
        Scenario {
            distributions: 5,
            shares_bucket: true,
            ..one.clone()
        },
        Scenario {
            window,
            ..one.clone()
        },
        Scenario {
            limits: (1, 1),
            ..one
        },
        Scenario {
            window,
            ..ten.clone()
        },
        Scenario {
            limits: (5, 5),
            ..ten
        },
        Scenario { window, ..twenty },
        deploy.clone(),
        Scenario {
            named: false,
            account: 1_000,
            ..deploy
        },
        small_deploy.clone(),
        Scenario {
            clears_at: Some(Duration::from_secs(40)),
            window: Duration::from_secs(60),
            ..small_deploy
        },
        change_of_shared_bucket(20),
        change_of_shared_bucket(200),
    ]);
    scenarios
}

/// Returns how many minutes the load lasts.
fn minutes(per_second: usize, distributions: usize) -> usize {
    match (per_second, distributions) {
        (1, 1) => 30,
        (10, 1) => 20,
        (_, 1 | 20) => 6,
        _ => 2,
    }
}

fn steady(per_second: usize, minutes: usize) -> Load {
    Load::Steady {
        per_minute: 60 * per_second,
        minutes,
    }
}

fn deploy_of(files: usize) -> Load {
    Load::Deploy { files, seconds: 30 }
}

/// Returns one change of a bucket that all distributions share.
pub fn change_of_shared_bucket(distributions: usize) -> Scenario {
    Scenario {
        shares_bucket: true,
        drains: true,
        ..Scenario::new(deploy_of(1), distributions, true)
    }
}
