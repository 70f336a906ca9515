//! Which build this is.

/// The version; in a release build from a checkout also the commit and its date: `0.1.0 (5b286570c1 2026-01-31)`.
pub const VERSION: &str = env!("VERSION");
