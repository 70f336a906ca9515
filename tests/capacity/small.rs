//! A capacity that is simulated in seconds, so that the model works and docs/limits.md stays true.

#[path = "../standin/mod.rs"]
mod standin;

mod model;

use model::{Load, Scenario};

fn steady(per_minute: usize, minutes: usize) -> Load {
    Load::Steady {
        per_minute,
        minutes,
    }
}

#[test]
fn throttled_distributions_get_about_the_same_number_of_invalidations() {
    // Each of 16 distributions needs about six invalidations a minute, which are 96, and CloudFront accepts 30.
    let report = Scenario::new(steady(120, 12), 16, true).run();
    assert!(report.refused > 0.0, "{report:#?}");
    assert_eq!((report.lost, report.dead, report.never_fresh), (0, 0, 0));
    let counts = || report.accepted_of_each.iter();
    let (least, most) = (counts().min(), counts().max());
    assert!(least.map(|least| 2 * least) >= most.copied(), "{report:#?}");
}
