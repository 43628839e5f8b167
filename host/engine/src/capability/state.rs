//! The state that the imports of a guest can reach during one attempt.
//!
//! Owns one field for each capability that keeps something, and the bound on host resources. Must not know tools or
//! plans.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use airlock_types::effect;
use airlock_types::effect::Effect;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::random::WasiRandomCtx;
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView};

use super::capture::Capture;
use super::dispatch::Ledger;
use super::files::{Changes, Folders, View};
use super::gate::Gate;
use super::halt::Halt;
use super::http;
use super::http::{Outgoing, Traffic};
use super::keyvalue::{Kept, KeyUsage};
use super::limiter::Limiter;
use super::noted::Noted;
use super::report::Reports;
use super::streams;
use super::{Clock, Dispatched, EffectDenied, Facts, clock};
use crate::policy::Allowance;
use crate::tape::Tape;
use airlock_types::grant::{Asked, Values, Why};
use airlock_types::limit::RESOURCES_MAX;

/// The state of an attempt, as host functions see it.
pub struct State {
    table: ResourceTable,
    /// The state of the environment, random bytes, standard streams and sockets, which the engine's library keeps in one
    /// value. `None` for a component that imports none of these.
    context: Option<WasiCtx>,
    folders: Folders,
    log: Capture,
    reports: Reports,
    gate: Gate,
    /// The bounds of the engine's library for HTTP.
    http: WasiHttpCtx,
    granted: Granted,
    pub(crate) limiter: Limiter,
}

/// What an attempt has of the capabilities that keep a state of their own.
pub(crate) struct Granted {
    pub(crate) clock: Option<Clock>,
    /// The values of `config`.
    pub(crate) config: Arc<Values>,
    /// Boxed, as most attempts have none.
    pub(crate) kept: Option<Box<Kept>>,
    pub(crate) outgoing: Option<Box<Outgoing>>,
    /// Whether random bytes were drawn. `None` without the grant.
    pub(crate) random: Option<Arc<AtomicBool>>,
    /// What the call would have without the grants of `report`, while these are tried.
    pub(crate) usual: Option<Arc<Allowance>>,
}

/// The results of an attempt for its record, besides its outcome.
pub(crate) struct Remains {
    /// The text that was logged or printed, cut at the limit.
    pub(crate) log: String,
    /// Bytes logged or printed, including those that were cut.
    pub(crate) log_bytes: u64,
    pub(crate) memory_bytes: u64,
    pub(crate) noted: Noted,
    pub(crate) effects: effect::Effects,
    pub(crate) traffic: Traffic,
    pub(crate) changes: Changes,
    pub(crate) key_usage: KeyUsage,
}

impl State {
    /// Without a `ledger` no effect leaves. A call has one once the journal holds its durable intent.
    pub(crate) fn new(
        context: Option<WasiCtx>,
        folders: Folders,
        limiter: Limiter,
        log: Capture,
        reports: Reports,
        (ledger, tape): (Option<Arc<Ledger>>, Tape),
        mut granted: Granted,
    ) -> State {
        let mut table = ResourceTable::new();
        table.set_max_capacity(RESOURCES_MAX);
        // The gate sends requests itself, without the rest of the state.
        let gate = Gate::new(ledger, granted.outgoing.take(), tape);
        State { table, context, folders, log, reports, gate, http: http::context(), granted, limiter }
    }

    /// Must be called and awaited before an effect on the world leaves, such as sending mail or writing a row. Marks
    /// the attempt as one whose effect may have happened; nothing else sets that mark, and a marked attempt is not
    /// repeated. Reading needs no call of this.
    ///
    /// Settle what this returns once it is known what became of the effect, whether it succeeded or not. Dropped before,
    /// it stays open: a call that then fails ends as `outcome-unknown`.
    ///
    /// Asynchronous because the first effect of an attempt may have to wait for a durable intent. Today a call with
    /// effects writes its intent before it starts, so this returns at once.
    ///
    /// # Errors
    /// Fails when the effect must not leave. The host function passes the error on, which ends the guest and denies the
    /// call.
    pub async fn dispatch(&mut self, by: &Facts, effect: Effect) -> Result<Dispatched, EffectDenied> {
        // Marked before this returns, and so before the caller sends anything.
        self.gate.dispatch(by, effect, by.name)
    }

    /// What ends the attempt from outside, where something may.
    pub(crate) fn halt(&self) -> Option<Arc<Halt>> {
        Some(self.gate.http.as_ref()?.halt().clone())
    }

    /// The host resources of the attempt, which end with it. Their number is bounded.
    pub fn table(&mut self) -> &mut ResourceTable {
        &mut self.table
    }

    /// Adds text to the guest's log, which goes into the record.
    pub fn log(&self, text: &str) {
        self.log.put(text.as_bytes());
    }

    pub(super) fn report(&mut self, report: airlock_types::call::Report) {
        self.reports.put(report);
    }

    /// Notes what the guest was refused.
    pub(super) fn refuse(&mut self, asked: Asked, why: Why) {
        self.gate.noted.refuse(asked, why);
    }

    /// Notes what the guest was allowed.
    pub(super) fn allow(&mut self, asked: Asked) {
        self.gate.noted.allow(asked);
    }

    /// The values of `config`.
    pub(super) fn values(&self) -> &Values {
        &self.granted.config
    }

    /// The pairs that the guest keeps; `None` without the grant.
    pub(super) fn kept(&mut self) -> Option<&mut Kept> {
        self.granted.kept.as_deref_mut()
    }

    /// The parts that the host functions for clocks work with.
    pub(super) fn clocks(&mut self) -> clock::View<'_> {
        clock::View { clock: self.granted.clock.as_ref(), table: &mut self.table, tape: &self.gate.tape }
    }

    /// The parts that the host functions for streams work with.
    pub(super) fn streams(&mut self) -> streams::View<'_> {
        streams::View { table: &mut self.table, tape: &self.gate.tape }
    }

    /// Where imports are recorded, or answered from.
    pub(crate) fn tape(&self) -> &Tape {
        &self.gate.tape
    }

    /// The parts that the host functions for files work with.
    pub(super) fn files(&mut self) -> View<'_> {
        View { table: &mut self.table, folders: &self.folders, gate: &mut self.gate }
    }

    /// The parts that the host functions for HTTP work with.
    pub(super) fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.gate, table: &mut self.table, ctx: &mut self.http }
    }

    pub(super) fn random(&mut self) -> &mut WasiRandomCtx {
        WasiView::ctx(self).ctx.random()
    }

    /// Takes the parts that are recorded. Destructures every field, so that a new one must be considered here.
    pub(crate) fn take(&mut self) -> Remains {
        let State { table: _, context: _, folders, log, reports: _, gate, http: _, granted, limiter } = self;
        let Granted { clock, config: _, kept, outgoing: _, random, usual } = granted;
        let (log, log_bytes) = log.take();
        let mut traffic = gate.http.as_ref().map(|http| http.traffic()).unwrap_or_default();
        let mut changes = folders.changes();
        let mut noted = std::mem::take(&mut gate.noted);
        noted.add(std::mem::take(&mut traffic.noted));
        noted.add(std::mem::take(&mut changes.noted));
        if clock.as_ref().is_some_and(Clock::was_read) {
            noted.allow(Asked::Clock);
        }
        if random.as_ref().is_some_and(|drawn| drawn.load(Ordering::Relaxed)) {
            noted.allow(Asked::Random);
        }
        if let Some(usual) = usual {
            noted.tell_tried(usual.effective());
        }
        Remains {
            log,
            log_bytes,
            memory_bytes: limiter.peak as u64,
            noted,
            // Closes the account: requests may still be on their way to be sent.
            effects: gate.effects.end(),
            traffic,
            changes,
            key_usage: kept.as_ref().map(|kept| kept.usage()).unwrap_or_default(),
        }
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        // Not reached for a component that imports none of these interfaces. An empty context denies.
        let ctx = self.context.get_or_insert_with(|| WasiCtxBuilder::new().build());
        WasiCtxView { ctx, table: &mut self.table }
    }
}
