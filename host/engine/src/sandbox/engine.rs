//! The engine and its settings.
//!
//! Owns every setting of wasmtime, the epoch's ticker, and the number of calls that may be in flight. The compile
//! process and the server use the same settings: code that was compiled under others does not load. Must not know
//! tools.

use airlock_types::limit::{
    CORE_INSTANCES_MAX, MEMORIES_MAX, MEMORY_BYTES_MAX, TABLE_ELEMENTS_MAX, TABLES_MAX,
};
use std::num::NonZeroUsize;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use wasmparser::WasmFeatures;
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig,
    WasmBacktraceDetails,
};

/// How often a running guest is interrupted to check its deadline. Shorter ticks cost idle wake-ups; longer ones make
/// deadlines late and other guests wait.
const TICK: Duration = Duration::from_millis(5);

/// Stack of a guest in bytes. Host functions run on the rest of the 2 MiB stack. An overflow there would abort the
/// process, so the gap is wide.
const STACK_BYTES: usize = 512 << 10;

/// The features of WebAssembly that guests may use: the third version of its specification and the Component Model.
/// Features that are off cannot be attacked. Half of wasmtime's advisories of autumn 2026 concern code that does not run
/// with this profile.
pub(crate) const FEATURES: WasmFeatures = WasmFeatures::WASM3
    .union(WasmFeatures::COMPONENT_MODEL)
    .difference(WasmFeatures::EXCEPTIONS)
    .difference(WasmFeatures::GC)
    .difference(WasmFeatures::GC_TYPES)
    .difference(WasmFeatures::MEMORY64)
    .difference(WasmFeatures::THREADS);

/// The engine, as cassettes name it.
pub(crate) const NAME: &str = "wasmtime 48";

/// What runs the code of guests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Backend {
    /// The processor of this machine.
    #[default]
    Native,
    /// The engine's interpreter, Pulley. Far slower, and another path from a guest to its result: what both come to is no
    /// fault of the code generator.
    Interpreter,
}

impl Backend {
    /// That of an engine.
    pub(crate) fn of(engine: &Engine) -> Backend {
        if engine.is_pulley() { Backend::Interpreter } else { Backend::Native }
    }
}

/// The settings on which the course of a guest depends, as cassettes name them: a replay needs the same.
pub(crate) const DETERMINISM: &str =
    "fuel, epochs, NaN canonicalization, deterministic relaxed SIMD, stack of 524288 bytes";

/// How code is optimized. `None` is for components that take too long to compile with `Speed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Optimize {
    Speed,
    None,
}

/// Memories without a guest that stay prepared for their component, beside those of running guests. The engine divides them
/// among the cores. A component that finds none takes that of another one: its image is mapped anew, and the guest takes
/// a page fault for each page that it touches.
const IDLE_MEMORIES_MAX: u32 = 256;

/// Bytes that all memories of guests keep between calls, unless the least of each is more. A memory keeps no more than was
/// written to it, which is some 40 KiB for a small tool.
const KEPT_BYTES_MAX: usize = 704 << 20;

/// The least that one memory may keep, in bytes.
const KEPT_BYTES_EACH_MIN: usize = 1 << 20;

/// Number of guests that return their memory to the system in one batch. With larger batches, calls would touch more
/// memory than a core's cache holds.
const GIVEN_BACK_TOGETHER: u32 = 8;

/// Threads in which guests end at the same time, at least: an embedding program may have more than its cores.
const THREADS_MIN: usize = 4;

/// An engine with its ticker running, and a pool for `calls_max` concurrent calls of the largest components. Admission
/// counts calls, so no call finds the pool exhausted, whatever the other calls hold.
///
/// # Errors
/// Fails when the address space cannot hold the pool: under `ulimit -v`, or with fewer than 48 bits of addresses.
pub fn engine(backend: Backend, calls_max: u32) -> wasmtime::Result<Engine> {
    let mut config = settings(backend, Optimize::Speed)?;
    let places = calls_max.saturating_add(between_calls(calls_max));
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(places)));
    let engine = Engine::new(&config)?;
    tick(&engine);
    Ok(engine)
}

/// An engine that only compiles, under the settings of [`engine`]. The engine's Cargo feature `parallel-compilation` is
/// off, so it uses one thread.
///
/// # Errors
/// When the engine refuses its settings on this machine, or was built without the interpreter.
pub(crate) fn compiler(backend: Backend, optimize: Optimize) -> wasmtime::Result<Engine> {
    let mut config = settings(backend, optimize)?;
    // It runs nothing, so a pool for one call is enough.
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(1)));
    Engine::new(&config)
}

fn settings(backend: Backend, optimize: Optimize) -> wasmtime::Result<Config> {
    let mut config = Config::new();
    config
        // Two bounds on a guest: fuel counts its work the same on every machine, epochs end it at its deadline.
        .consume_fuel(true)
        .epoch_interruption(true)
        .max_wasm_stack(STACK_BYTES)
        .async_stack_size(2 << 20)
        // Off by default. Without it, a stack could show a guest what the last one left on it.
        .async_stack_zeroing(true)
        // Instances share the initial image of their memory until they write to it.
        .memory_init_cow(true)
        // Only native debuggers need it, and registering it costs time for each component. Backtraces of guests work
        // without.
        .native_unwind_info(false)
        // Otherwise the variable `WASMTIME_BACKTRACE_DETAILS` of the host decides.
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .wasm_backtrace_max_frames(NonZeroUsize::new(20))
        .cranelift_opt_level(match optimize {
            Optimize::Speed => OptLevel::Speed,
            Optimize::None => OptLevel::None,
        })
        // Replay needs the same bits for the same inputs.
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true)
        .concurrency_support(false)
        .shared_memory(false)
        // Each is set, so that the reader of component descriptions validates as the engine does.
        .wasm_features(FEATURES, true)
        .wasm_features(FEATURES.complement(), false);
    if backend == Backend::Interpreter {
        config.target(if cfg!(target_pointer_width = "64") { "pulley64" } else { "pulley32" })?;
    }
    Ok(config)
}

/// Places of guests that have ended and whose batch is being given back: no call has them any more, and none can take
/// them yet. Each thread gives back one batch at a time, and the call that began it holds its slot until then: a call that
/// is let in meets no more batches than there can be other calls. Each place reserves 34 GB of addresses, so places without
/// use would keep a host with many threads, or one under a profiler, from starting.
fn between_calls(calls_max: u32) -> u32 {
    let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get).max(THREADS_MIN);
    let others = calls_max.saturating_sub(1);
    let batches = u32::try_from(threads).map_or(others, |threads| threads.min(others));
    batches * GIVEN_BACK_TOGETHER
}

/// What one memory may keep of what its guest wrote. It is restored by hand from the image of the component. The rest goes
/// back to the system, so that the next guest takes a page fault for each 4 KiB of it, while calls in other threads wait for
/// changes of the address space.
fn kept_bytes(places: u32) -> usize {
    let memories = usize::try_from(places.saturating_add(IDLE_MEMORIES_MAX)).unwrap_or(usize::MAX);
    (KEPT_BYTES_MAX / memories).max(KEPT_BYTES_EACH_MIN)
}

fn pool(calls: u32) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(calls)
        // Each total is what one component may have, times the calls: a slot that is not used costs address space only.
        .total_core_instances(calls * CORE_INSTANCES_MAX)
        .total_memories(calls * MEMORIES_MAX)
        .total_tables(calls * TABLES_MAX)
        .total_stacks(calls)
        .max_core_instances_per_component(CORE_INSTANCES_MAX)
        .max_memories_per_component(MEMORIES_MAX)
        .max_tables_per_component(TABLES_MAX)
        .max_memories_per_module(1)
        .max_tables_per_module(4)
        .table_elements(TABLE_ELEMENTS_MAX as usize)
        .max_component_instance_size(4 << 20)
        .max_core_instance_size(4 << 20)
        // The largest `memory_bytes_max` that a registry may set.
        .max_memory_size(MEMORY_BYTES_MAX as usize)
        .linear_memory_keep_resident(kept_bytes(calls))
        .table_keep_resident(64 << 10)
        // Zeroing writes all of it after each call, whatever was used. A call of a small tool stays within the first page,
        // and an interpreter takes one page fault for each further page.
        .async_stack_keep_resident(8 << 10)
        .max_unused_warm_slots(IDLE_MEMORIES_MAX)
        .decommit_batch_size(GIVEN_BACK_TOGETHER as usize)
        // Without the scan, keeping memory resident means rewriting all of it after each call.
        .pagemap_scan(Enabled::Auto);
    pool
}

/// Increments the epoch from a thread of its own, which ends with the engine. A task of the runtime would starve when
/// guests hold all workers.
fn tick(engine: &Engine) {
    // Weak, so that the thread does not keep the engine alive.
    let engine = engine.weak();
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(TICK);
            let Some(engine) = engine.upgrade() else { return };
            engine.increment_epoch();
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_memories_together_keep_a_bounded_amount() {
        for places in 1..2_000 {
            let each = kept_bytes(places);
            let all = each * (places + IDLE_MEMORIES_MAX) as usize;
            assert!(all <= KEPT_BYTES_MAX || each == KEPT_BYTES_EACH_MIN, "{places}");
        }
        // The default of `host.calls_max`, with four threads.
        assert_eq!(kept_bytes(64 + 32), 2 << 20);
    }
}
