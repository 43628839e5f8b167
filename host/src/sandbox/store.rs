//! The store of one attempt: its state, and every limit applied.
//!
//! Owns what a guest's imports can reach during one attempt. Must not know tools or plans.

use wasmtime::component::ResourceTable;
use wasmtime::{Engine, ResourceLimiter, Store, Trap, UpdateDeadline};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

use super::capture::Capture;
use super::progress::{Listener, Reports};
use super::run::Linked;
use crate::capability::{self, Folders, View};
use crate::environment::SharedEnvironment;
use crate::policy::limit::Limits;
use crate::policy::permit::Permit;

/// Core instances, tables and memories that one component may be made of.
const INSTANCES_MAX: usize = 64;
const TABLES_MAX: usize = 16;
const MEMORIES_MAX: usize = 4;
/// Open files, streams and the like, and handles to them.
const RESOURCES_MAX: usize = 1_024;
const HANDLES_MAX: usize = 4_096;
/// Random bytes in one request.
const RANDOM_BYTES_MAX: u64 = 64 << 10;

/// What host functions see of an attempt.
pub(crate) struct State {
    /// None for a component that imports nothing of WASI.
    wasi: Option<WasiCtx>,
    table: ResourceTable,
    folders: Folders,
    pub(crate) limiter: Limiter,
    pub(crate) log: Capture,
    /// Capabilities that the guest reached for without a grant, in order.
    pub(crate) denials: Vec<String>,
    pub(crate) reports: Reports,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        // Nobody asks on behalf of a component that it is not linked to; who did would find an empty one.
        let ctx = self.wasi.get_or_insert_with(|| WasiCtxBuilder::new().build());
        WasiCtxView { ctx, table: &mut self.table }
    }
}

impl State {
    /// What the host functions for files work with.
    pub(crate) fn files(&mut self) -> View<'_> {
        View { table: &mut self.table, folders: &self.folders }
    }
}

/// Bounds the sum of all memories, where the engine's own limiter bounds each, and remembers a refusal,
/// which a guest would turn into an abort without a reason.
#[derive(Debug)]
pub(crate) struct Limiter {
    used: usize,
    pub(crate) peak: usize,
    memory_bytes_max: usize,
    table_elements_max: usize,
    /// What was asked for when the limit was hit.
    pub(crate) refused: Option<usize>,
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, wanted: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let total = self.used.saturating_sub(current).saturating_add(wanted);
        if total > self.memory_bytes_max {
            self.refused = Some(total);
            return Ok(false);
        }
        self.used = total;
        self.peak = self.peak.max(total);
        Ok(true)
    }

    fn table_growing(&mut self, _: usize, wanted: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let fits = wanted <= self.table_elements_max;
        if !fits {
            self.refused = Some(wanted);
        }
        Ok(fits)
    }

    fn instances(&self) -> usize {
        INSTANCES_MAX
    }

    fn tables(&self) -> usize {
        TABLES_MAX
    }

    fn memories(&self) -> usize {
        MEMORIES_MAX
    }
}

fn context(log: &Capture, permit: &Permit, environment: &SharedEnvironment, seed: [u8; 32]) -> WasiCtx {
    let mut wasi = WasiCtxBuilder::new();
    wasi.stdout(log.clone()).stderr(log.clone()).max_random_size(RANDOM_BYTES_MAX);
    capability::provide(&mut wasi, permit.effective(), environment, seed);
    wasi.build()
}

/// A fresh store for one attempt. `ends` is on the environment's monotonic clock.
pub(crate) fn store(
    engine: &Engine,
    environment: &SharedEnvironment,
    permit: &Permit,
    linked: &Linked,
    (seed, ends): ([u8; 32], std::time::Duration),
    listener: Option<Listener>,
) -> wasmtime::Result<Store<State>> {
    let Limits {
        fuel,
        // The deadline is applied as `ends`, which the plan may have drawn nearer.
        deadline_ms: _,
        memory_bytes_max,
        table_elements_max,
        output_bytes_max,
        log_bytes_max,
    } = permit.limits();
    let log = Capture::new(*log_bytes_max);
    let wasi = linked.wants_wasi.then(|| context(&log, permit, environment, seed));
    let folders = Folders::new(&permit.effective().files, linked.lane.clone());
    let mut table = ResourceTable::new();
    table.set_max_capacity(RESOURCES_MAX);
    let limiter = Limiter {
        used: 0,
        peak: 0,
        memory_bytes_max: usize::try_from(*memory_bytes_max).unwrap_or(usize::MAX),
        table_elements_max: usize::try_from(*table_elements_max).unwrap_or(usize::MAX),
        refused: None,
    };
    let reports = Reports::new(listener);
    let state = State { wasi, table, folders, limiter, log, denials: Vec::new(), reports };
    let mut store = Store::new(engine, state);
    store.limiter(|state| &mut state.limiter);
    store.set_hostcall_fuel(usize::try_from(output_bytes_max.saturating_mul(4)).unwrap_or(usize::MAX));
    store.set_max_component_handles(HANDLES_MAX);
    store.set_fuel(*fuel)?;
    store.set_epoch_deadline(1);
    let environment = environment.clone();
    // Yielding through tokio puts the guest behind everybody who waits. The engine's own way of yielding
    // wakes it at once, and timers starve.
    store.epoch_deadline_callback(move |_| {
        if environment.monotonic() >= ends {
            Err(Trap::Interrupt.into())
        } else {
            Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
        }
    });
    Ok(store)
}
