//! The report: the figures, and the smallest cases of wrong answers.

use std::fmt;
use std::time::Duration;

use cloudfront_invalidator::excerpt::thousands;

use super::plan::Scenario;
use super::run::Figures;

/// The result of a run.
#[derive(Clone, Debug)]
pub struct Report {
    pub seed: u64,
    pub figures: Figures,
    pub scenarios: usize,
    pub duration: Duration,
    /// The smallest cases that show a wrong answer.
    pub cases: Vec<String>,
}

impl Report {
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            figures: Figures::default(),
            scenarios: 0,
            duration: Duration::ZERO,
            cases: Vec::new(),
        }
    }

    /// Adds the figures of a scenario.
    pub fn add(&mut self, figures: &Figures) {
        let sum = &mut self.figures;
        sum.requests += figures.requests;
        sum.origin_requests += figures.origin_requests;
        sum.dropped += figures.dropped;
        sum.evicted += figures.evicted;
        sum.paths += figures.paths;
        sum.calls += figures.calls;
        sum.changes += figures.changes;
        sum.deploys += figures.deploys;
        sum.configuration_changes += figures.configuration_changes;
        sum.failed_reads += figures.failed_reads;
        sum.file_requests += figures.file_requests;
        sum.lost += figures.lost;
        sum.stale += figures.stale;
        sum.stale_targets.extend(figures.stale_targets.clone());
        self.scenarios += 1;
    }

    /// Returns whether an answer was wrong: stale, or not the file that an old entry page names.
    pub fn has_wrong_answers(&self) -> bool {
        self.figures.stale > 0 || self.figures.lost > 0
    }

    /// Returns a line about the scenario that has just ended.
    pub fn progress(&self, scenario: &Scenario, requests: usize) -> String {
        format!(
            "{:>7} of {} requests, {} stale, {} not found: {}",
            thousands(self.figures.requests),
            thousands(requests),
            self.figures.stale,
            self.figures.lost,
            scenario.site.family
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures {
            requests,
            origin_requests,
            dropped,
            evicted,
            paths,
            calls,
            changes,
            deploys,
            configuration_changes,
            failed_reads,
            file_requests,
            lost,
            stale,
            ..
        } = self.figures;
        for case in &self.cases {
            writeln!(f, "\n{case}")?;
        }
        let rows = [
            ("sites", self.scenarios),
            ("deploys", deploys),
            ("changed objects", changes),
            ("changed configurations", configuration_changes),
            ("failed reads of them", failed_reads),
            ("requests of viewers", requests),
            ("  that reached MiniStack", origin_requests),
            ("files of old entry pages", file_requests),
            ("  not found", lost),
            ("copies dropped", dropped),
            ("  unchanged, without a job", evicted),
            ("invalidation calls", calls),
            ("invalidation paths", paths),
        ];
        for (name, value) in rows {
            writeln!(f, "{name:<26}{:>10}", thousands(value))?;
        }
        let seconds = self.duration.as_secs_f64();
        writeln!(f, "{:<26}{seconds:>8.0} s", "duration")?;
        let [requests, stale, lost] = [requests, stale, lost].map(thousands);
        let [evicted, paths] = [evicted, paths].map(thousands);
        let seed = self.seed;
        writeln!(
            f,
            "fresh: {requests} requests, {stale} stale, {lost} not found, {evicted} evicted, {paths} paths, \
             seed {seed}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_has_the_figures() {
        let mut report = Report::new(1);
        report.add(&Figures {
            requests: 128_400,
            evicted: 1_204,
            paths: 812,
            ..Figures::default()
        });
        let text = report.to_string();
        let last = text.lines().last();
        let expected =
            "fresh: 128,400 requests, 0 stale, 0 not found, 1,204 evicted, 812 paths, seed 1";
        assert_eq!(last, Some(expected));
    }
}
