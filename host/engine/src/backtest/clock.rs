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
    seeds: u64,
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

    /// A number that goes up: two backtests of the same calls find the same, and each hold has an id of its own.
    fn seed(&self) -> [u8; 32] {
        let mut now = self.now();
        now.seeds += 1;
        let mut seed = [0; 32];
        // All over, since an id takes a part of it.
        seed.iter_mut().zip(now.seeds.to_be_bytes().iter().cycle()).for_each(|(to, from)| *to = *from);
        seed
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        self.world.sleep(duration)
    }

    fn pause(&self, duration: Duration) -> Sleep {
        self.pass(duration);
        Box::pin(std::future::ready(()))
    }
}
