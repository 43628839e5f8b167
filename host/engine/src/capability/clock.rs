//! The clocks: wall and monotonic, and waiting.
//!
//! With a grant, they read the call's environment, in steps of the granted resolution. Without one, a guest that reads a
//! clock is ended: a stopped clock would make a tool answer with a wrong date instead of failing. A frozen clock, which
//! the operator wants, shows the time at which the attempt began.
//!
//! A wait ends at a step of the granted clock, or a guest could measure with short waits what the clock does not show.
//! Under a frozen clock no time passes, so every wait is over at once; so is every wait of a replay.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::p2::bindings::clocks::{monotonic_clock, wall_clock};
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};

use super::State;
use crate::tape::{Kind, Tape};
use airlock_types::environment::{SharedEnvironment, ms};
use airlock_types::grant::clock::ClockMode;

/// The clocks of one attempt.
pub(crate) struct Clock {
    environment: SharedEnvironment,
    mode: ClockMode,
    /// The time at which the attempt began, for clocks that stand still there: wall and monotonic.
    began: Option<(Duration, Duration)>,
    was_read: AtomicBool,
}

impl Clock {
    pub(crate) fn new(mode: ClockMode, environment: &SharedEnvironment) -> Clock {
        let began = mode.is_frozen.then(|| (environment.wall(), environment.monotonic()));
        Clock { environment: environment.clone(), mode, began, was_read: AtomicBool::new(false) }
    }

    /// Whether the guest asked for the time, or waited.
    pub(super) fn was_read(&self) -> bool {
        self.was_read.load(Ordering::Relaxed)
    }

    fn resolution(&self) -> Duration {
        Duration::from_millis(self.mode.resolution.ms())
    }

    /// The step of the clock at or before a time.
    fn floor(&self, time: Duration) -> Duration {
        let step = self.mode.resolution.ms();
        Duration::from_millis(ms(time) / step * step)
    }

    /// The step of the clock at or after a time.
    fn ceil(&self, time: Duration) -> Duration {
        let floor = self.floor(time);
        if floor == time { time } else { floor.saturating_add(self.resolution()) }
    }

    fn wall(&self) -> Duration {
        self.floor(self.began.map_or_else(|| self.environment.wall(), |(wall, _)| wall))
    }

    fn monotonic(&self) -> Duration {
        self.floor(self.began.map_or_else(|| self.environment.monotonic(), |(_, monotonic)| monotonic))
    }

    /// A wait until a time of the monotonic clock.
    fn until(&self, time: Duration) -> Wait {
        let until = if self.mode.is_frozen { Duration::ZERO } else { self.ceil(time) };
        Wait { environment: self.environment.clone(), until, has_yielded: false }
    }
}

/// A wait of a guest.
struct Wait {
    environment: SharedEnvironment,
    /// Its end on the environment's monotonic clock.
    until: Duration,
    has_yielded: bool,
}

#[async_trait::async_trait]
impl Pollable for Wait {
    async fn ready(&mut self) {
        let left = self.until.saturating_sub(self.environment.monotonic());
        if !left.is_zero() {
            self.environment.sleep(left).await;
        } else if !std::mem::replace(&mut self.has_yielded, true) {
            // Once: a guest that polls in a loop with a wait of zero would otherwise starve the sockets of the runtime.
            tokio::task::yield_now().await;
        }
    }
}

/// The type of the host's view, for the linker.
struct Clocks;

impl HasData for Clocks {
    type Data<'a> = View<'a>;
}

/// The parts that the host functions for clocks work with.
pub(super) struct View<'a> {
    /// `None` for a guest without the grant, of which each function is denied.
    pub(super) clock: Option<&'a Clock>,
    pub(super) table: &'a mut ResourceTable,
    pub(super) tape: &'a Tape,
}

impl View<'_> {
    fn clock(&self) -> wasmtime::Result<&Clock> {
        let clock = self.clock.ok_or_else(|| wasmtime::format_err!("the clock is not granted"))?;
        clock.was_read.store(true, Ordering::Relaxed);
        Ok(clock)
    }

    /// What a clock shows.
    fn read(
        &self,
        import: &'static str,
        show: impl FnOnce(&Clock) -> Duration,
    ) -> wasmtime::Result<Duration> {
        let clock = self.clock()?;
        // Nanoseconds: the wall clock reaches the year 2554 with them.
        let shown = self.tape.through(import, Kind::Read, (), || nanoseconds(show(clock)))?;
        Ok(Duration::from_nanos(shown))
    }

    fn wait(&mut self, mut wait: Wait) -> wasmtime::Result<Resource<DynPollable>> {
        if self.tape.is_closed() {
            wait.until = Duration::ZERO;
        }
        let wait = self.table.push(wait)?;
        subscribe(self.table, wait)
    }
}

fn datetime(time: Duration) -> wall_clock::Datetime {
    wall_clock::Datetime { seconds: time.as_secs(), nanoseconds: time.subsec_nanos() }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl wall_clock::Host for View<'_> {
    fn now(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        Ok(datetime(self.read("wasi:clocks/wall-clock#now", Clock::wall)?))
    }

    fn resolution(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        Ok(datetime(self.read("wasi:clocks/wall-clock#resolution", Clock::resolution)?))
    }
}

impl monotonic_clock::Host for View<'_> {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(nanoseconds(self.read("wasi:clocks/monotonic-clock#now", Clock::monotonic)?))
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(nanoseconds(self.read("wasi:clocks/monotonic-clock#resolution", Clock::resolution)?))
    }

    fn subscribe_instant(&mut self, when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let wait = self.clock()?.until(Duration::from_nanos(when));
        self.wait(wait)
    }

    fn subscribe_duration(&mut self, when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let clock = self.clock()?;
        // From the time that it really is: counted from the last step, a wait would end early.
        let until = clock.environment.monotonic().saturating_add(Duration::from_nanos(when));
        let wait = clock.until(until);
        self.wait(wait)
    }
}

pub(super) const INTERFACES: &[&str] = &["wasi:clocks/monotonic-clock", "wasi:clocks/wall-clock"];

pub(super) fn link(linker: &mut Linker<State>, interface: &str) -> wasmtime::Result<()> {
    match interface {
        "wasi:clocks/monotonic-clock" => {
            monotonic_clock::add_to_linker::<State, Clocks>(linker, State::clocks)
        }
        "wasi:clocks/wall-clock" => wall_clock::add_to_linker::<State, Clocks>(linker, State::clocks),
        _ => Err(super::unlinked(interface)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use airlock_types::environment::{Environment, Sleep};
    use serde_json::json;

    use super::*;

    /// Clocks that a test sets, in milliseconds. Waiting ends when the test says so.
    struct Set(AtomicU64);

    impl Environment for Set {
        fn wall(&self) -> Duration {
            self.monotonic() + Duration::from_secs(1_000_000)
        }

        fn monotonic(&self) -> Duration {
            Duration::from_millis(self.0.load(Ordering::Acquire))
        }

        fn seed(&self) -> [u8; 32] {
            [0; 32]
        }

        fn sleep(&self, _: Duration) -> Sleep {
            Box::pin(std::future::pending())
        }
    }

    fn clock(mode: serde_json::Value, now_ms: u64) -> (Arc<Set>, Clock) {
        let set = Arc::new(Set(now_ms.into()));
        let environment: SharedEnvironment = set.clone();
        (set, Clock::new(serde_json::from_value(mode).unwrap(), &environment))
    }

    /// Whether a wait is over at this time.
    fn is_over(set: &Set, wait: &mut Wait, now_ms: u64) -> bool {
        use futures::FutureExt as _;
        set.0.store(now_ms, Ordering::Release);
        wait.has_yielded = true;
        wait.ready().now_or_never().is_some()
    }

    #[test]
    fn a_coarse_clock_shows_steps_and_waits_end_at_them() {
        let (set, clock) = clock(json!({"coarse": "1s"}), 5_900);
        assert_eq!((clock.monotonic().as_millis(), clock.wall().as_millis()), (5_000, 1_000_005_000));
        let mut wait = clock.until(set.monotonic() + Duration::from_millis(1));
        assert!(!is_over(&set, &mut wait, 5_999) && is_over(&set, &mut wait, 6_000));
        let mut exact = clock.until(Duration::from_secs(8));
        assert!(!is_over(&set, &mut exact, 7_999) && is_over(&set, &mut exact, 8_000));
        assert_eq!(clock.monotonic().as_secs(), 8);
    }

    #[test]
    fn a_frozen_clock_stands_at_the_start_and_no_wait_takes_time() {
        let (set, clock) = clock(json!("frozen"), 5_900);
        set.0.store(9_000, Ordering::Release);
        assert_eq!((clock.monotonic().as_millis(), clock.wall().as_millis()), (5_900, 1_000_005_900));
        let mut wait = clock.until(Duration::MAX);
        assert!(is_over(&set, &mut wait, 9_000));
    }

    #[test]
    fn a_frozen_clock_is_as_coarse_as_both_sides_want() {
        let (_, clock) = clock(json!({"coarse": "1m", "frozen": true}), 125_000);
        assert_eq!(clock.monotonic().as_secs(), 120);
    }

    #[test]
    fn a_real_clock_goes_on_in_milliseconds() {
        let (set, clock) = clock(json!("real"), 1);
        set.0.store(2, Ordering::Release);
        assert_eq!((clock.monotonic().as_millis(), clock.resolution().as_millis()), (2, 1));
    }
}
