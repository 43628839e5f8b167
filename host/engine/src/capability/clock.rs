//! The clocks: wall and monotonic, and waiting.
//!
//! With a grant, they read the call's environment. Without one, a guest that reads a clock is ended: a stopped clock
//! would make a tool answer with a wrong date instead of failing. Waiting uses tokio's timer, because the engine's
//! library offers no other.

use std::time::Duration;

use wasmtime::component::Linker;
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView as _};
use wasmtime_wasi::p2::bindings::clocks::{monotonic_clock, wall_clock};
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtxBuilder};

use super::State;
use airlock_types::environment::SharedEnvironment;

/// Guests see milliseconds. Finer clocks allow timing attacks on other guests.
const RESOLUTION: Duration = Duration::from_millis(1);

struct Clock(SharedEnvironment);

impl Clock {
    fn coarse(now: Duration) -> Duration {
        Duration::from_millis(airlock_types::environment::ms(now))
    }
}

impl HostWallClock for Clock {
    fn resolution(&self) -> Duration {
        RESOLUTION
    }

    fn now(&self) -> Duration {
        Clock::coarse(self.0.wall())
    }
}

impl HostMonotonicClock for Clock {
    fn resolution(&self) -> u64 {
        u64::try_from(RESOLUTION.as_nanos()).unwrap_or(u64::MAX)
    }

    fn now(&self) -> u64 {
        u64::try_from(Clock::coarse(self.0.monotonic()).as_nanos()).unwrap_or(u64::MAX)
    }
}

pub(super) fn provide(wasi: &mut WasiCtxBuilder, granted: bool, environment: &SharedEnvironment) {
    // Without a grant the functions are denied, so the library's own clocks are never read.
    if granted {
        wasi.wall_clock(Clock(environment.clone())).monotonic_clock(Clock(environment.clone()));
    }
}

pub(super) const INTERFACES: &[&str] = &["wasi:clocks/monotonic-clock", "wasi:clocks/wall-clock"];

pub(super) fn link(linker: &mut Linker<State>, interface: &str) -> wasmtime::Result<()> {
    match interface {
        "wasi:clocks/monotonic-clock" => {
            monotonic_clock::add_to_linker::<State, WasiClocks>(linker, State::clocks)
        }
        "wasi:clocks/wall-clock" => wall_clock::add_to_linker::<State, WasiClocks>(linker, State::clocks),
        _ => Err(super::unlinked(interface)),
    }
}
