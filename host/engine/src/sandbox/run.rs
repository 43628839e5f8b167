//! One attempt: a fresh instance, run within its limits, to its outcome.
//!
//! Owns linking a component for its grants, and the run itself. Must not know retry, policy or MCP. An `Err` from here
//! is a failure of the host. Everything that a guest does is an [`Outcome`].

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::FutureExt as _;
use wasmtime::component::{Component, ComponentExportIndex, InstancePre, Linker};
use wasmtime::{Engine, PoolConcurrencyLimitError, Store};

use super::outcome;
use super::outcome::Outcome;
use super::store;
use super::store::Begin;
use crate::blocking::Lane;
use crate::capability;
use crate::capability::files;
use crate::capability::files::Changes;
use crate::capability::halt::{Echoed, Halt};
use crate::capability::http::{Allotment, TlsError, Traffic, Upstream};
use crate::capability::keyvalue::{Keeper, KeyUsage, Opened, StoreError};
use crate::capability::report::Listener;
use crate::capability::state::{Remains, State};
use crate::capability::{Binding, Capabilities, Ledger, Noted};
use crate::policy::Permit;
use crate::tape::Tape;
use airlock_contract::Val;
use airlock_contract::component::{ComponentInfo, Function};
use airlock_types::environment::{SharedEnvironment, us, within};
use airlock_types::grant::Effective;
use airlock_types::usage::{LimitHit, Traces, Usage};
use airlock_types::words;

/// A component linked for what it was granted: ready to be instantiated for each attempt.
#[derive(Clone)]
pub(crate) struct Linked {
    pre: InstancePre<State>,
    /// Whether an attempt needs the context of the engine's library, which costs more to make than all other states.
    pub(super) needs_context: bool,
    /// The threads that file accesses of the component may hold.
    pub(super) lane: Lane,
    /// The way to other hosts, for a component that is granted one.
    pub(super) upstream: Option<Arc<Upstream>>,
    /// The store of pairs, for a component that may keep some.
    pub(super) keyvalues: Option<Arc<Opened>>,
}

/// The threads for blocking work of one component.
#[derive(Clone, Debug)]
pub(crate) struct ToolLanes {
    pub(crate) files: Lane,
    pub(crate) names: Lane,
}

/// Why a component cannot be linked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    /// The component imports something that neither a capability nor the registry provides. Lists all such imports.
    #[error("it wants imports that nothing provides: {}", words::list(.0.iter().map(String::as_str)))]
    Unknown(Vec<String>),
    /// An import has another signature or kind than the host's.
    #[error("it wants an import with another signature than the host's: {0}")]
    Signature(String),
    /// The engine refuses the component.
    #[error("it cannot be linked: {0}")]
    Engine(String),
    /// Its hosts cannot be reached from this machine.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Its pairs cannot be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<wasmtime::Error> for LinkError {
    fn from(error: wasmtime::Error) -> LinkError {
        LinkError::Engine(format!("{error:#}"))
    }
}

/// Checks that something provides every import of a component: a capability, or a declaration of the registry.
///
/// # Errors
/// With the imports that nothing provides.
pub(crate) fn provided(
    capabilities: &Capabilities,
    info: &ComponentInfo,
    bindings: &BTreeMap<String, Binding>,
) -> Result<(), LinkError> {
    let missing = capabilities.unknown(info).filter(|import| !bindings.contains_key(&import.name));
    let missing: Vec<String> = missing.map(|import| format!("`{}`", import.name)).collect();
    if missing.is_empty() { Ok(()) } else { Err(LinkError::Unknown(missing)) }
}

/// What a component reaches besides its code, for one set of grants.
#[derive(Clone)]
pub(crate) struct Outside {
    /// The threads that its file accesses may hold.
    lane: Lane,
    /// The way to other hosts, if it is granted one.
    upstream: Option<Arc<Upstream>>,
    /// The store of pairs, if it may keep some.
    keyvalues: Option<Arc<Opened>>,
}

impl Outside {
    /// What these grants let a component reach. Blocks while a file is opened.
    ///
    /// # Errors
    /// When its hosts cannot be reached from this machine, or its pairs cannot be kept.
    pub(crate) fn of(
        capabilities: &Capabilities,
        effective: &Effective,
        lanes: ToolLanes,
    ) -> Result<Outside, LinkError> {
        let ToolLanes { files: lane, names } = lanes;
        let upstream = capabilities.upstream(effective, names)?.map(Arc::new);
        Ok(Outside { lane, upstream, keyvalues: capabilities.keyvalues(effective)? })
    }
}

impl Linked {
    /// The same code, which reaches something else.
    pub(crate) fn reaching(self, outside: Outside) -> Linked {
        let Outside { lane, upstream, keyvalues } = outside;
        Linked { lane, upstream, keyvalues, ..self }
    }
}

/// Links a component. `bindings` are the registry's declarations, by name, for imports that no capability owns.
pub(crate) fn link(
    engine: &Engine,
    capabilities: &Capabilities,
    component: &Component,
    info: &ComponentInfo,
    effective: &Effective,
    bindings: &BTreeMap<String, Binding>,
    outside: Outside,
) -> Result<Linked, LinkError> {
    let mut linker = Linker::new(engine);
    capabilities.link(&mut linker, &info.imports)?;
    capability::link_older(&mut linker, component)?;
    capability::link_resources(&mut linker, component, capabilities)?;
    for import in capabilities.unknown(info) {
        if let Some(binding) = bindings.get(&import.name) {
            capability::declare(&mut linker, component, import, binding)?;
        }
    }
    // Checked before denial: a denying function accepts any signature and replaces the one that checks.
    let typed = linker.instantiate_pre(component);
    let typed = typed.map_err(|err| LinkError::Signature(format!("{err:#}")))?;
    let denied = capabilities.deny(&mut linker, &info.imports, effective)?;
    let pre = if denied { linker.instantiate_pre(component)? } else { typed };
    // Here: otherwise the first call would make it within its own deadline.
    component.initialize_copy_on_write_image()?;
    let Outside { lane, upstream, keyvalues } = outside;
    let needs_context = capabilities.need_context(&info.imports);
    Ok(Linked { pre, needs_context, lane, upstream, keyvalues })
}

/// The index of an exported function, looked up once so that a call needs no names. `None` when the component has no
/// such export.
pub(crate) fn locate(component: &Component, function: &Function) -> Option<ComponentExportIndex> {
    let interface = match &function.interface {
        Some(interface) => Some(component.get_export_index(None, interface)?),
        None => None,
    };
    component.get_export_index(interface.as_ref(), &function.name)
}

/// One attempt: what runs, with which arguments, and what it may use.
pub struct Attempt<'a> {
    /// The tool's public name.
    pub(crate) tool: &'a str,
    /// The number of the attempt on its tool, from 1.
    pub(crate) number: u32,
    pub(crate) linked: &'a Linked,
    pub(crate) function: &'a ComponentExportIndex,
    pub(crate) has_result: bool,
    pub(crate) args: &'a [Val],
    pub(crate) permit: &'a Permit,
    pub(crate) seed: [u8; 32],
    /// Time for this attempt, from now.
    pub(crate) deadline: Duration,
    /// The effects of the call on this tool. None without a durable intent; then no effect leaves the attempt.
    pub(crate) ledger: Option<Arc<Ledger>>,
    /// What the call has left of the bounds of its grants for other hosts.
    pub(crate) http: Option<Arc<Allotment>>,
    /// What the call has left of the bounds of its folders.
    pub(crate) files: Option<Arc<files::Allotment>>,
    /// For whom the call keeps pairs.
    pub(crate) keeper: Option<Keeper>,
    /// Receives the progress reports of the guest.
    pub(crate) listener: Option<Listener>,
    /// Where its imports are recorded, or answered from.
    pub(crate) tape: Tape,
    /// Filled in when the attempt ends or is dropped.
    pub(crate) traces: &'a mut Traces,
}

impl Attempt<'_> {
    /// The tool's public name.
    pub fn tool(&self) -> &str {
        self.tool
    }

    /// The number of the attempt on its tool, from 1.
    pub fn number(&self) -> u32 {
        self.number
    }
}

/// Why an attempt has no outcome.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The engine's pool is exhausted: a component takes more than one of its places.
    #[error("the engine has no room for another instance")]
    Exhausted,
    /// The host failed, not the guest.
    #[error("{0:#}")]
    Failed(wasmtime::Error),
}

impl From<wasmtime::Error> for RunError {
    fn from(error: wasmtime::Error) -> RunError {
        // Admission stays within the pool, so this is about a setting and not about the guest.
        if error.is::<PoolConcurrencyLimitError>() { RunError::Exhausted } else { RunError::Failed(error) }
    }
}

/// Runs one attempt.
///
/// # Errors
/// Fails when the host fails, or the engine's pool is exhausted.
pub(crate) async fn run(
    engine: &Engine,
    environment: &SharedEnvironment,
    attempt: Attempt<'_>,
) -> Result<Outcome, RunError> {
    let start = environment.monotonic();
    let Attempt {
        tool: _,
        number: _,
        linked,
        function,
        has_result,
        args,
        permit,
        seed,
        deadline,
        ledger,
        http,
        files,
        keeper,
        listener,
        tape,
        traces,
    } = attempt;
    let ends = start.saturating_add(deadline);
    let begin = Begin { seed, ends, listener, ledger, http, files, keeper, tape: tape.clone() };
    let store = store::store(engine, environment, permit, linked, begin)?;
    let (fuel, running) = (store.get_fuel().unwrap_or_default(), Duration::ZERO);
    let halt = store.data().halt();
    // Made before the guest begins: from here on every end of this future, also a drop, leaves its traces.
    let mut metered = Metered { store, environment, fuel, start, running, returned: false, traces };
    // The engine wants a slot for each result and overwrites it, so any value does.
    let mut results = vec![Val::Bool(false); usize::from(has_result)];
    let ended = {
        let Metered { store, running, .. } = &mut metered;
        let call = enter(store, linked, function, args, &mut results);
        // A panic in the engine fails this call only, not the server. No code enters the store after a panic; the drop
        // only reads plain data from it, so unwind safety may be asserted.
        let call = pin!(AssertUnwindSafe(call).catch_unwind());
        let timed = Timed { inner: call, environment, running };
        // Epochs only end a guest that computes. The timer ends one that waits in a host call.
        let mut attempt = pin!(within(&**environment, ends, timed));
        poll_fn(|context| unless_halted((halt.as_deref(), &tape), attempt.as_mut().poll(context), context))
            .await
    };
    // Before anything that the guest made of it: it may have returned in the same moment.
    if let Some(Echoed { secret }) = halt.as_deref().and_then(Halt::get) {
        return Ok(Outcome::SecretEcho { secret: secret.clone() });
    }
    match ended.flatten() {
        None => Ok(Outcome::Limit(LimitHit::Deadline)),
        Some(Ok(Ok(()))) => {
            // The engine's count of fuel is exact only after a return, which decides what is charged.
            metered.returned = true;
            Ok(Outcome::Value(results.pop()))
        }
        // Before the error is read as an outcome: the guest has no part in it.
        Some(Ok(Err(error))) if error.is::<PoolConcurrencyLimitError>() => Err(RunError::Exhausted),
        Some(Ok(Err(error))) => Ok(outcome::read(&error, &metered.store.data().limiter)),
        Some(Err(_)) => Err(RunError::Failed(wasmtime::format_err!("the engine panicked"))),
    }
}

/// What an attempt was polled to, or `None` once the host ends it.
fn unless_halted<T>(
    (halt, tape): (Option<&Halt>, &Tape),
    polled: Poll<T>,
    context: &Context<'_>,
) -> Poll<Option<T>> {
    match (polled, halt) {
        (Poll::Pending, _) if tape.poll_ended(context).is_ready() => Poll::Ready(None),
        (Poll::Ready(ended), _) => Poll::Ready(Some(ended)),
        // After the guest: what it met in this moment ends it in this moment.
        (Poll::Pending, Some(halt)) => halt.poll(context).map(|()| None),
        (Poll::Pending, None) => Poll::Pending,
    }
}

async fn enter(
    store: &mut Store<State>,
    linked: &Linked,
    function: &ComponentExportIndex,
    args: &[Val],
    results: &mut [Val],
) -> wasmtime::Result<()> {
    // Start functions run guest code, so instantiation is inside the limits.
    let instance = linked.pre.instantiate_async(&mut *store).await?;
    let function = instance
        .get_func(&mut *store, function)
        .ok_or_else(|| wasmtime::format_err!("the export is not a function"))?;
    function.call_async(&mut *store, args, results).await
}

/// A running attempt. It records its traces however it ends, also when the caller drops it between two polls. The store
/// is dropped with it, because an instance cannot be entered again after a trap or a dropped call.
struct Metered<'a> {
    store: Store<State>,
    environment: &'a SharedEnvironment,
    /// The fuel that the store was given.
    fuel: u64,
    start: Duration,
    running: Duration,
    returned: bool,
    traces: &'a mut Traces,
}

impl Drop for Metered<'_> {
    fn drop(&mut self) {
        // `min` keeps the subtraction from underflowing, whatever the engine reports.
        let fuel = self.fuel - self.store.get_fuel().unwrap_or(0).min(self.fuel);
        let Remains { log, log_bytes, memory_bytes, noted, effects, traffic, changes, key_usage } =
            self.store.data_mut().take();
        let Traffic { requests, up_bytes, down_bytes, noted: _, waiting_for, secret_refused } = traffic;
        let Changes { written_bytes, files_created, noted: _ } = changes;
        let Noted { refused, uses, tried } = noted;
        let KeyUsage { keys_read, keys_written, value_bytes_read, value_bytes_written } = key_usage;
        let usage = Usage {
            fuel,
            wall_us: us(self.environment.monotonic().saturating_sub(self.start)),
            cpu_us: us(self.running),
            memory_bytes,
            log_bytes,
            requests,
            up_bytes,
            down_bytes,
            written_bytes,
            files_created,
            keys_read,
            keys_written,
            value_bytes_read,
            value_bytes_written,
        };
        let traces = Traces::new(usage, self.returned);
        *self.traces = Traces { log, refused, uses, tried, effects, waiting_for, secret_refused, ..traces };
    }
}

/// Measures the time during which a future is being polled: the processor time of the guest and of the host calls that
/// do not wait. Fuel cannot give it, because a guest that an epoch ends has not written its count back.
struct Timed<'a, F> {
    inner: Pin<&'a mut F>,
    environment: &'a SharedEnvironment,
    running: &'a mut Duration,
}

impl<F: Future> Future for Timed<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let before = self.environment.monotonic();
        let polled = self.inner.as_mut().poll(context);
        let ran = self.environment.monotonic().saturating_sub(before);
        *self.running += ran;
        polled
    }
}
