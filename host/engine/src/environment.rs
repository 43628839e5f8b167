//! The clocks and the random source of this machine.
//!
//! Owns the only code that reads a clock or a random source. Must not know calls.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use airlock_types::environment::{Environment, Sleep};

/// The environment of a real host. Tests and replay use other implementations of [`Environment`].
#[derive(Debug)]
pub struct World {
    start: Instant,
}

impl World {
    /// An environment whose monotonic clock starts at zero now.
    #[expect(clippy::disallowed_methods, reason = "this is the place that the rule points to")]
    pub fn new() -> World {
        World { start: Instant::now() }
    }
}

impl Default for World {
    fn default() -> World {
        World::new()
    }
}

impl Environment for World {
    #[expect(clippy::disallowed_methods, reason = "this is the place that the rule points to")]
    fn wall(&self) -> Duration {
        // A clock set before 1970 reads as 1970.
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }

    fn seed(&self) -> [u8; 32] {
        // The process's own generator, which the kernel reseeds now and then. A system call for each seed would be
        // measurable.
        rand::random()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        Box::pin(tokio::time::sleep(duration))
    }
}
