//! Reproducible random numbers.
//!
//! SplitMix64 is ten lines long, and its numbers for a seed do not depend on the version of a library. The soak needs
//! statistics, not secrets, so a bias of one in 2^50 does not matter.
//!
//! Algorithm: <https://prng.di.unimi.it/splitmix64.c>

use std::time::Duration;

/// Draws the same numbers for the same seed.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Starts a separate sequence for one purpose, so that more draws there do not change other sequences.
    pub fn fork(&mut self) -> Self {
        Self(self.seed())
    }

    /// Draws the seed of another sequence.
    pub fn seed(&mut self) -> u64 {
        self.draw()
    }

    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Draws a number below the limit; zero if the limit is zero.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.draw() % limit.max(1) as u64) as usize
    }

    /// Returns true once in this many times, on average.
    pub fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// Draws a duration up to the limit, in milliseconds.
    pub fn up_to(&mut self, limit: Duration) -> Duration {
        Duration::from_millis(self.below(limit.as_millis() as usize + 1) as u64)
    }

    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in (1..items.len()).rev() {
            items.swap(end, self.below(end + 1));
        }
    }
}
