//! `Clock`: the time of day, and pauses that tests need not sit out.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

type Pause = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What tells the time and lets it pass.
#[derive(Clone)]
pub struct Clock {
    now: Arc<dyn Fn() -> SystemTime + Send + Sync>,
    pause: Arc<dyn Fn(Duration) -> Pause + Send + Sync>,
}

impl Clock {
    /// Creates the clock of the system.
    pub fn system() -> Self {
        Self::new(SystemTime::now, tokio::time::sleep)
    }

    /// Creates a clock from what tells the time and what lets it pass.
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

    /// Returns the time of day.
    pub fn now(&self) -> SystemTime {
        (self.now)()
    }

    /// Lets time pass.
    pub async fn pause(&self, duration: Duration) {
        (self.pause)(duration).await;
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}
