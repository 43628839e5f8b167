//! The clocks of a backtest: those of the recorded calls.
//!
//! Owns what time it is for the call that is tested. Must not know calls.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::environment::World;
use airlock_types::environment::{Environment, Sleep};

/// Clocks that stand still while a call is tested, but for what its attempts took and its pauses.
#[derive(Debug, Default)]
pub(super) struct Clock {
    now: Mutex<Now>,
    /// What has a deadline runs on this machine, and by its clock.
    world: World,
}

#[derive(Debug, Default)]
struct Now {
    wall: Duration,
    monotonic: Duration,
}

impl Clock {
    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes to the time of a call. Budgets and breakers see the time between two calls.
    pub(super) fn go_to(&self, wall: Duration) {
        let mut now = self.now();
        let since = wall.saturating_sub(now.wall);
        now.monotonic += since;
        now.wall = wall;
    }

    /// Lets time pass.
    pub(super) fn pass(&self, time: Duration) {
        let mut now = self.now();
        now.monotonic += time;
        now.wall += time;
    }
}

impl Environment for Clock {
    fn wall(&self) -> Duration {
        self.now().wall
    }

    fn monotonic(&self) -> Duration {
        self.now().monotonic
    }

    /// Always the same: two backtests of the same calls find the same.
    fn seed(&self) -> [u8; 32] {
        [0; 32]
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        self.world.sleep(duration)
    }

    fn pause(&self, duration: Duration) -> Sleep {
        self.pass(duration);
        Box::pin(std::future::ready(()))
    }
}
