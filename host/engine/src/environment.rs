//! The real world: the clocks and the random source of this machine.
//!
//! Owns the only place that reads a clock or a random source. Must not know calls.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use airlock_types::environment::{Environment, Sleep};

/// The real world.
#[derive(Debug)]
pub struct World {
    start: Instant,
}

impl World {
    /// The world, its monotonic clock starting now.
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
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }

    fn seed(&self) -> [u8; 32] {
        // A generator of this process, which the kernel seeds now and then: asking the kernel each time would be felt.
        rand::random()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        Box::pin(tokio::time::sleep(duration))
    }
}
