//! What a continuation token carries, and what a job reports next, as tables.

use super::*;

#[test]
fn carries_what_was_done_in_a_token() {
    let id = |text| DistributionId::parse(text).expect("a distribution id");
    let token = "2 11111111-abcd 1800000000 1800000000 E1EXAMPLE1ABC:I1+ E2EXAMPLE1ABC:I2 E3EXAMPLE1ABC: \
                 E4EXAMPLE1ABC:? E5EXAMPLE1ABC:I5! E6EXAMPLE1ABC:I6+! E7EXAMPLE1ABC:?* E8EXAMPLE1ABC:I8*";
    let progress = JobProgress::from_token(token).expect("a token");
    assert_eq!(progress.first_job, job_id("11111111-abcd"));
    assert_eq!(
        progress.age(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_090)),
        Duration::from_secs(90)
    );
    let completed = |id| Stage::Completed(InvalidationId::new(id));
    let in_progress = |id| Stage::InProgress(InvalidationId::new(id));
    let (pending, done, warned) = (
        StagingSearch::Pending,
        StagingSearch::Done,
        StagingSearch::Warned,
    );
    let distributions = [
        ("E1EXAMPLE1ABC", completed("I1"), done),
        ("E2EXAMPLE1ABC", in_progress("I2"), done),
        ("E3EXAMPLE1ABC", Stage::NotSubmitted, pending),
        ("E4EXAMPLE1ABC", Stage::Submitted, done),
        ("E5EXAMPLE1ABC", in_progress("I5"), warned),
        ("E6EXAMPLE1ABC", completed("I6"), warned),
        ("E7EXAMPLE1ABC", Stage::Submitted, pending),
        ("E8EXAMPLE1ABC", in_progress("I8"), pending),
    ];
    let distributions = distributions.map(|(text, stage, staging)| DistributionProgress {
        distribution: id(text),
        stage,
        staging,
    });
    assert_eq!(progress.invalidations.distributions, distributions);
    assert_eq!(progress.to_token().as_deref(), Some(token));
    assert_eq!(
        (
            progress.invalidations.percent(),
            progress.invalidations.completed_count()
        ),
        (56, 2)
    );
}

#[test]
fn counts_the_wait_from_a_late_submission() {
    let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let at_the_start = "1 job 1800000000 E1EXAMPLE1ABC:I1";
    let with_a_mark = "2 job 1800000000 1800000000 E1EXAMPLE1ABC:I1!";
    let later = "2 job 1800000000 1800000600 E1EXAMPLE1ABC:I1";
    for (token, age, waited) in [
        (at_the_start, 630, 630),
        (with_a_mark, 630, 630),
        (later, 630, 30),
    ] {
        let progress = JobProgress::from_token(token).expect("a token");
        assert_eq!(progress.to_token().as_deref(), Some(token));
        let durations = [
            progress.age(at(1_800_000_630)),
            progress.waited(at(1_800_000_630)),
        ];
        assert_eq!(
            durations.map(|duration| duration.as_secs()),
            [age, waited],
            "{token}"
        );
    }
    // Less than two seconds are not noted, so that an older version of the function can read the token.
    for (submitted, token) in [(1_800_000_001, at_the_start), (1_800_000_600, later)] {
        let mut progress = JobProgress::from_token(at_the_start).expect("a token");
        progress.set_submitted(at(submitted));
        assert_eq!(progress.to_token().as_deref(), Some(token));
    }
}

fn job_id(id: &str) -> JobId {
    JobId::parse(id).expect("an id")
}

#[test]
fn keeps_a_token_within_its_limit() {
    let progress = |distributions: usize| {
        let id = |index| {
            DistributionId::parse(&format!("E{index:03}EXAMPLE1AB")).expect("a distribution id")
        };
        let first = job_id("11111111-aaaa-bbbb-cccc-222222222222");
        let mut progress = JobProgress::start(first, SystemTime::now());
        progress
            .invalidations
            .add_distributions((0..distributions).map(id));
        for distribution in &mut progress.invalidations.distributions {
            distribution.stage = Stage::InProgress(InvalidationId::new("I2J0I21PCUYOIK"));
            distribution.staging = StagingSearch::Warned;
        }
        progress
    };
    // UserParameters of 1,000 characters can name 60 distributions.
    let token = progress(60).to_token().expect("a token that fits");
    assert!(token.len() <= 2_048, "{}", token.len());
    assert_eq!(progress(80).to_token(), None);
}

#[test]
fn rejects_a_token_of_another_version_or_form() {
    for token in ["3 a 1 E1EXAMPLE1ABC:", "{}", "eyJ2IjowfQ=="] {
        let version = token.split(' ').next().expect("a word");
        assert_eq!(
            JobProgress::from_token(token),
            Err(Error::invalid_input(format!(
                "the continuation token has version {version:?}, and this function reads \"1\" and \"2\": the function \
                 was updated during the wait, so run the action again"
            )))
        );
    }
    for token in [
        "1",
        "1 a",
        "1 a x E1EXAMPLE1ABC:",
        "1 a 1 E1EXAMPLE1ABC",
        "1 a 1 e:I",
        "1  1 E1EXAMPLE1ABC:",
        "2 a 1 E1EXAMPLE1ABC:",
    ] {
        assert_eq!(
            JobProgress::from_token(token),
            Err(Error::invalid_input(
                "the continuation token is damaged, so it is unknown what was done: run the action again"
            )),
            "{token}"
        );
    }
}

#[test]
fn counts_a_job_as_submitted_when_every_distribution_is() {
    let token = |entries: &str| format!("1 job 1800000000{entries}");
    for (entries, all_submitted, all_completed) in [
        ("", false, false),
        (" E1EXAMPLE1ABC:", false, false),
        (" E1EXAMPLE1ABC:I1+ E2EXAMPLE1ABC:", false, false),
        (" E1EXAMPLE1ABC:I1 E2EXAMPLE1ABC:?", true, false),
        (" E1EXAMPLE1ABC:I1+ E2EXAMPLE1ABC:I2", true, false),
        (" E1EXAMPLE1ABC:I1+ E2EXAMPLE1ABC:I2+", true, true),
    ] {
        let progress = JobProgress::from_token(&token(entries)).expect("a token");
        assert_eq!(
            (
                progress.invalidations.all_submitted(),
                progress.invalidations.all_completed()
            ),
            (all_submitted, all_completed),
            "{entries}"
        );
    }
}

#[test]
fn decides_what_a_job_reports_next() {
    let [second, minute] = [1, 60].map(Duration::from_secs);
    let waiting = DecisionInput {
        all_submitted: true,
        all_completed: false,
        has_pending_staging: false,
        age: Duration::from_secs(59),
        waited: Duration::from_secs(59),
        wait: minute,
        on_timeout: OnTimeout::Succeed,
        fits_token: true,
        verification: VerificationState::Settled,
    };
    let not_submitted = DecisionInput {
        all_submitted: false,
        ..waiting
    };
    let searching = DecisionInput {
        all_completed: true,
        has_pending_staging: true,
        ..waiting
    };
    let verifying = DecisionInput {
        all_completed: true,
        verification: VerificationState::Pending,
        ..waiting
    };
    let not_waiting = DecisionInput {
        wait: Duration::ZERO,
        ..waiting
    };
    for (state, next) in [
        (waiting, Decision::Continue),
        (
            DecisionInput {
                waited: minute,
                ..waiting
            },
            Decision::Succeed(Completion::TimedOut),
        ),
        (
            DecisionInput {
                waited: minute,
                on_timeout: OnTimeout::Fail,
                ..waiting
            },
            Decision::FailNotCompleted,
        ),
        (
            DecisionInput {
                all_completed: true,
                waited: minute,
                on_timeout: OnTimeout::Fail,
                ..waiting
            },
            Decision::Succeed(Completion::Completed),
        ),
        (
            DecisionInput {
                fits_token: false,
                ..waiting
            },
            Decision::Succeed(Completion::NotAwaited),
        ),
        (not_waiting, Decision::Succeed(Completion::NotAwaited)),
        (
            DecisionInput {
                waited: DEFAULT_WAIT,
                ..not_waiting
            },
            Decision::Succeed(Completion::NotAwaited),
        ),
        // The wait counts from a late submission.
        (
            DecisionInput {
                age: DEFAULT_WAIT,
                ..waiting
            },
            Decision::Continue,
        ),
        // CodePipeline ends an action after 24 hours.
        (
            DecisionInput {
                wait: MAX_WAIT,
                age: MAX_WAIT - second,
                ..waiting
            },
            Decision::Continue,
        ),
        (
            DecisionInput {
                wait: MAX_WAIT,
                age: MAX_WAIT,
                on_timeout: OnTimeout::Fail,
                ..waiting
            },
            Decision::FailNotCompleted,
        ),
        (
            DecisionInput {
                wait: MAX_WAIT,
                age: MAX_WAIT,
                ..searching
            },
            Decision::Succeed(Completion::Completed),
        ),
        (not_submitted, Decision::Continue),
        // A shorter wait does not limit how long CloudFront can be busy or fail, a longer one extends it.
        (
            DecisionInput {
                age: DEFAULT_WAIT - second,
                ..not_submitted
            },
            Decision::Continue,
        ),
        (
            DecisionInput {
                age: DEFAULT_WAIT,
                ..not_submitted
            },
            Decision::FailNotSubmitted,
        ),
        (
            DecisionInput {
                wait: 2 * DEFAULT_WAIT,
                age: 2 * DEFAULT_WAIT - second,
                ..not_submitted
            },
            Decision::Continue,
        ),
        (
            DecisionInput {
                wait: 2 * DEFAULT_WAIT,
                age: 2 * DEFAULT_WAIT,
                ..not_submitted
            },
            Decision::FailNotSubmitted,
        ),
        (
            DecisionInput {
                fits_token: false,
                ..not_submitted
            },
            Decision::FailNotSubmitted,
        ),
        // A staging distribution is searched again, for as long as submitting is tried or completion is awaited.
        (searching, Decision::Continue),
        (
            DecisionInput {
                wait: Duration::ZERO,
                ..searching
            },
            Decision::Continue,
        ),
        (
            DecisionInput {
                age: DEFAULT_WAIT,
                ..searching
            },
            Decision::Continue,
        ),
        (
            DecisionInput {
                waited: minute,
                ..searching
            },
            Decision::Continue,
        ),
        (
            DecisionInput {
                age: DEFAULT_WAIT,
                waited: DEFAULT_WAIT,
                ..searching
            },
            Decision::Succeed(Completion::Completed),
        ),
        (
            DecisionInput {
                wait: Duration::ZERO,
                age: DEFAULT_WAIT,
                ..searching
            },
            Decision::Succeed(Completion::NotAwaited),
        ),
        (
            DecisionInput {
                all_completed: false,
                age: DEFAULT_WAIT,
                waited: DEFAULT_WAIT,
                ..searching
            },
            Decision::Succeed(Completion::TimedOut),
        ),
        (
            DecisionInput {
                fits_token: false,
                ..searching
            },
            Decision::Succeed(Completion::Completed),
        ),
        // Verified is what is completed, by the next job if that can come.
        (verifying, Decision::Continue),
        (
            DecisionInput {
                all_completed: false,
                waited: minute,
                ..verifying
            },
            Decision::Succeed(Completion::TimedOut),
        ),
        (
            DecisionInput {
                waited: minute,
                ..verifying
            },
            Decision::Continue,
        ),
        (
            DecisionInput {
                age: DEFAULT_WAIT,
                ..verifying
            },
            Decision::Continue,
        ),
        (
            DecisionInput {
                age: DEFAULT_WAIT,
                waited: minute,
                ..verifying
            },
            Decision::Succeed(Completion::Completed),
        ),
        (
            DecisionInput {
                fits_token: false,
                ..verifying
            },
            Decision::Succeed(Completion::Completed),
        ),
        (
            DecisionInput {
                verification: VerificationState::Settled,
                ..verifying
            },
            Decision::Succeed(Completion::Completed),
        ),
        (
            DecisionInput {
                verification: VerificationState::Failed,
                ..verifying
            },
            Decision::FailStale,
        ),
        // A job that does not wait for completion still waits for a busy CloudFront.
        (
            DecisionInput {
                wait: Duration::ZERO,
                age: minute,
                ..not_submitted
            },
            Decision::Continue,
        ),
        (
            DecisionInput {
                wait: Duration::ZERO,
                age: DEFAULT_WAIT,
                ..not_submitted
            },
            Decision::FailNotSubmitted,
        ),
    ] {
        assert_eq!(decide(state), next, "{state:?}");
    }
}
