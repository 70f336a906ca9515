//! The function's own credentials, which the environment has for as long as the function runs.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_types::sdk_config::{SharedTimeSource, TimeSource};
use cloudfront_invalidator::aws::sdk::connections;
use cloudfront_invalidator::clock::Clock as FunctionClock;
use cloudfront_invalidator::handler::Invalidator;
use cloudfront_invalidator::settings::Settings;

use crate::fixture::{Fixture, one_minute};
use crate::recorder::Recorder;
use crate::standin::{Clock, JobState, Options, Standin};

/// The time of the stand-in.
struct StandinTime(Arc<Standin>);

impl std::fmt::Debug for StandinTime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StandinTime")
    }
}

impl TimeSource for StandinTime {
    fn now(&self) -> SystemTime {
        self.0.now()
    }
}

#[tokio::test]
async fn a_job_an_hour_later_is_signed_with_the_same_credentials() {
    // The SDK forgets credentials after 15 minutes.
    let options = Options {
        clock: Clock::frozen(),
        ..Options::default()
    };
    let fixture = Fixture::with(options).set("AWS_REGION", "eu-west-1");
    let variables = fixture.variables();
    let variable = |name: &str| variables.get(name).cloned();
    let sdk = fixture.sdk();
    let recorder = Recorder::of(connections(variable));
    let sdk = sdk.into_builder().http_client(recorder.clone());
    let standin = Arc::clone(&fixture.standin);
    let time = StandinTime(Arc::clone(&standin));
    let sdk = sdk.time_source(SharedTimeSource::new(time)).build();
    let invalidator = Invalidator::new(Settings::from_environment(variable), sdk).with_clock(
        FunctionClock::new(move || standin.now(), tokio::time::sleep),
    );
    for (minutes, date) in [(0, "20260101"), (60, "20260101"), (24 * 60, "20260102")] {
        fixture.standin.advance(Duration::from_secs(60 * minutes));
        let job = fixture.standin.start_job(None);
        let handled = invalidator.handle(&job.event, &one_minute()).await;
        handled.expect("a result");
        let state = fixture.standin.job(&job.id).map(|job| job.state);
        assert_eq!(state, Some(JobState::Succeeded), "{minutes} minutes later");
        let scope = |service: &str| {
            let scope = format!("{date}/eu-west-1/{service}/aws4_request");
            format!("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/{scope}")
        };
        let sent = recorder.take();
        let sent: Vec<_> = sent.iter().map(|sent| sent.credential()).collect();
        let cloudfront = scope("cloudfront");
        let expected = [&cloudfront, &cloudfront, &scope("codepipeline")];
        assert_eq!(sent, expected, "{minutes} minutes later");
    }
}
