//! Which of the next calls fail, and how, and which responses are late.

use std::time::Duration;

use super::fault::{Fault, Operation};

/// The faults that a test has planned.
#[derive(Default)]
pub(super) struct FaultPlan {
    planned: Vec<PlannedFault>,
    /// At most one for each operation.
    random: Vec<RandomFault>,
    delays: Vec<(Operation, Duration)>,
}

struct PlannedFault {
    operation: Operation,
    /// The distribution that the calls are about; `None` for any.
    distribution: Option<String>,
    fault: Fault,
    calls_left: u64,
}

/// Fails a percentage of an operation's calls, the same calls for the same seed.
struct RandomFault {
    operation: Operation,
    fault: Fault,
    percent: u64,
    state: u64,
}

impl FaultPlan {
    /// Fails the next calls of an operation, about this distribution if there is one; several plans for one operation apply in
    /// turn.
    pub(super) fn fail(
        &mut self,
        operation: Operation,
        distribution: Option<&str>,
        fault: Fault,
        calls: u64,
    ) {
        if calls > 0 {
            self.planned.push(PlannedFault {
                operation,
                distribution: distribution.map(str::to_owned),
                fault,
                calls_left: calls,
            });
        }
    }

    /// Fails a percentage of the calls of an operation, until replaced for this operation.
    pub(super) fn fail_at_random(
        &mut self,
        operation: Operation,
        fault: Fault,
        percent: u64,
        seed: u64,
    ) {
        self.random.retain(|random| random.operation != operation);
        self.random.push(RandomFault {
            operation,
            fault,
            percent,
            state: seed,
        });
    }

    /// Delays the responses to an operation.
    pub(super) fn delay(&mut self, operation: Operation, delay: Duration) {
        self.delays.push((operation, delay));
    }

    /// Returns how late the response to an operation is.
    pub(super) fn delay_of(&self, operation: Operation) -> Duration {
        let delays = self.delays.iter();
        let delays = delays.filter(|(delayed, _)| *delayed == operation);
        delays.map(|(_, delay)| *delay).sum()
    }

    /// Returns the fault of a call about this ARN that arrives now; a planned one precedes a random one.
    pub(super) fn next(&mut self, operation: Operation, resource: Option<&str>) -> Option<Fault> {
        let mut planned = self.planned.iter();
        let is_next = |planned: &PlannedFault| {
            let id = resource.and_then(|arn| arn.rsplit('/').next());
            let is_about =
                (planned.distribution.as_deref()).is_none_or(|planned| Some(planned) == id);
            planned.operation == operation && is_about
        };
        let Some(index) = planned.position(is_next) else {
            let mut random = self.random.iter_mut();
            return random.find_map(|random| random.next(operation));
        };
        let planned = &mut self.planned[index];
        let fault = planned.fault;
        planned.calls_left -= 1;
        if planned.calls_left == 0 {
            self.planned.remove(index);
        }
        Some(fault)
    }
}

impl RandomFault {
    fn next(&mut self, operation: Operation) -> Option<Fault> {
        if operation != self.operation {
            return None;
        }
        // Knuth's linear congruential generator; only its upper bits are random enough.
        self.state = self
            .state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.state >> 33) % 100 < self.percent).then_some(self.fault)
    }
}
