//! `Clock`: the wall-clock time and pauses, which tests replace.
//!
//! Code that needs the time or a pause uses a `Clock` and neither `SystemTime::now` nor `tokio::time::sleep`, so that
//! tests decide how fast time passes. Deadlines within an invocation use tokio's `Instant`, which tokio can pause:
//! <https://docs.rs/tokio/latest/tokio/time/fn.pause.html>

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

type Pause = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A source of the wall-clock time and of pauses.
#[derive(Clone)]
pub struct Clock {
    now: Arc<dyn Fn() -> SystemTime + Send + Sync>,
    pause: Arc<dyn Fn(Duration) -> Pause + Send + Sync>,
}

impl Clock {
    /// Creates a clock that uses the system's time.
    pub fn system() -> Self {
        Self::new(SystemTime::now, tokio::time::sleep)
    }

    /// Creates a clock from a function that returns the time and one that pauses.
    pub fn new<P>(
        now: impl Fn() -> SystemTime + Send + Sync + 'static,
        pause: impl Fn(Duration) -> P + Send + Sync + 'static,
    ) -> Self
    where
        P: Future<Output = ()> + Send + 'static,
    {
        Self {
            now: Arc::new(now),
            pause: Arc::new(move |duration| Box::pin(pause(duration))),
        }
    }

    /// Returns the wall-clock time.
    pub fn now(&self) -> SystemTime {
        (self.now)()
    }

    /// Waits for this long.
    pub async fn pause(&self, duration: Duration) {
        (self.pause)(duration).await;
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}
