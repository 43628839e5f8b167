//! The clock of the measurements. Only this file reads it.

use std::time::{Duration, Instant};

/// The current time.
#[expect(clippy::disallowed_methods, reason = "measuring time is what this crate is for")]
pub fn now() -> Instant {
    Instant::now()
}

/// Runs some work and returns its result with the time that it took.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = now();
    let done = work();
    (done, start.elapsed())
}
