//! The clock of the measurements.

use std::time::{Duration, Instant};

/// Now.
#[expect(clippy::disallowed_methods, reason = "measuring time is what this crate is for")]
pub fn now() -> Instant {
    Instant::now()
}

/// How long something takes, and what it comes to.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = now();
    let done = work();
    (done, start.elapsed())
}
