//! The single source of time and randomness.
//!
//! Owns the clocks, waiting, and the source of seeds for all other code. Nothing else in the crate reads a clock, waits
//! or draws a random value, so that a call can be replayed. Must not know calls.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

/// A wait that is under way.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A source of time and randomness: the real one, or a repeatable one.
pub trait Environment: Send + Sync + 'static {
    /// Time since the Unix epoch.
    fn wall(&self) -> Duration;
    /// A monotonic clock with an arbitrary start.
    fn monotonic(&self) -> Duration;
    /// 32 fresh bytes.
    fn seed(&self) -> [u8; 32];
    /// Waits for this long on the monotonic clock.
    fn sleep(&self, duration: Duration) -> Sleep;
    /// Pauses between two attempts of a call, while nothing of it runs. An environment whose clocks are those of earlier
    /// calls only moves them.
    fn pause(&self, duration: Duration) -> Sleep {
        self.sleep(duration)
    }
}

/// An environment shared by all calls of a host.
pub type SharedEnvironment = Arc<dyn Environment>;

/// Milliseconds of a duration, as records and plans count.
pub fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Microseconds of a duration, as usage counts.
pub fn us(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// The output of a future, or `None` if it is not ready at `until` on the monotonic clock.
///
/// Polls the future before it starts a timer, since most futures are ready at once.
pub async fn within<F: Future>(
    environment: &dyn Environment,
    until: Duration,
    future: F,
) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut sleep: Option<Sleep> = None;
    poll_fn(|context| {
        // The future comes before the timer, so an output that is ready at the deadline is not lost.
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        // The timer is created once, at the first poll that is not ready: each one is an allocation and a reading of
        // the clock.
        let begin = || environment.sleep(until.saturating_sub(environment.monotonic()));
        sleep.get_or_insert_with(begin).as_mut().poll(context).map(|()| None)
    })
    .await
}
