//! What the imports of a guest can reach during one attempt.
//!
//! Owns one field for each unit that keeps something, and the bound on host resources. Must not know tools or plans.

use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

use super::capture::Capture;
use super::files::{Folders, View};
use super::limiter::Limiter;
use super::report::Reports;

/// Open files, streams and the like, and handles to them.
const RESOURCES_MAX: usize = 1_024;

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

impl State {
    /// `wasi` is left out for a component that imports nothing of WASI.
    pub(crate) fn new(
        wasi: Option<WasiCtx>,
        folders: Folders,
        limiter: Limiter,
        log: Capture,
        reports: Reports,
    ) -> State {
        let mut table = ResourceTable::new();
        table.set_max_capacity(RESOURCES_MAX);
        State { wasi, table, folders, limiter, log, denials: Vec::new(), reports }
    }

    /// What the host functions for files work with.
    pub(crate) fn files(&mut self) -> View<'_> {
        View { table: &mut self.table, folders: &self.folders }
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        // Nobody asks on behalf of a component that it is not linked to; who did would find an empty one.
        let ctx = self.wasi.get_or_insert_with(|| WasiCtxBuilder::new().build());
        WasiCtxView { ctx, table: &mut self.table }
    }
}
