//! The one place where time and chance enter.
//!
//! Owns the clocks and the source of seeds that everything else is given. Nothing else in the crate reads
//! a clock or a random source, so that a call can be replayed. Must not know calls.

use std::sync::Arc;
use std::time::Duration;

/// Where time and chance come from: the world, or something that repeats.
pub trait Environment: Send + Sync + 'static {
    /// The wall clock, since the Unix epoch.
    fn wall(&self) -> Duration;
    /// A clock that never goes back, from a point of its own.
    fn monotonic(&self) -> Duration;
    /// 32 fresh bytes.
    fn seed(&self) -> [u8; 32];
}

/// An environment that is shared by all calls of a host.
pub type SharedEnvironment = Arc<dyn Environment>;

/// Milliseconds of a duration, as records and plans count.
pub fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
