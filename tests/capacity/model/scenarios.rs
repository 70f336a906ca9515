//! The scenarios of docs/limits.md.

use std::time::Duration;

use super::{Load, Scenario};

/// How long the load lasts: longer than a message can be received ten times.
const MINUTES: usize = 90;

/// Returns the scenarios, in the order of the table.
pub fn all() -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    for per_second in [1, 10, 100] {
        let load = steady(per_second);
        for distributions in [1, 20, 200] {
            for named in [true, false] {
                scenarios.push(Scenario::new(load, distributions, named));
            }
        }
    }
    let one = Scenario::new(steady(1), 1, true);
    let ten = Scenario::new(steady(10), 1, true);
    let twenty = Scenario::new(steady(10), 20, false);
    let deploy = Scenario::new(
        Load::Deploy {
            files: 100_000,
            seconds: 30,
        },
        1,
        true,
    );
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
            ..deploy.clone()
        },
        Scenario {
            window,
            ..deploy.clone()
        },
        Scenario {
            clears_at: Some(Duration::from_secs(40)),
            window: Duration::from_secs(60),
            ..deploy
        },
    ]);
    scenarios
}

fn steady(per_second: usize) -> Load {
    Load::Steady {
        per_minute: 60 * per_second,
        minutes: MINUTES,
    }
}
