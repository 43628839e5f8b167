//! The store of one attempt: its state, and every limit applied.
//!
//! Owns what a guest's imports can reach during one attempt. Must not know tools or plans.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use wasmtime::{Engine, Store, Trap, UpdateDeadline};

use super::run::Linked;
use crate::capability;
use crate::capability::capture::Capture;
use crate::capability::http::{Allotment, Outgoing};
use crate::capability::keyvalue::{Keeper, Kept};
use crate::capability::limiter::Limiter;
use crate::capability::report::{Listener, Reports};
use crate::capability::state::{Granted, State};
use crate::capability::{Clock, Folders, Ledger, files};
use crate::policy::Permit;
use crate::tape::Tape;
use airlock_types::environment::SharedEnvironment;
use airlock_types::grant::Effective;
use airlock_types::limit::{HANDLES_MAX, Limits, STEP_PER_OUTPUT};

/// The inputs of one attempt's store.
pub(crate) struct Begin {
    pub(crate) seed: [u8; 32],
    /// Deadline on the environment's monotonic clock.
    pub(crate) ends: Duration,
    pub(crate) listener: Option<Listener>,
    /// The effects of the call, once the journal holds its durable intent.
    pub(crate) ledger: Option<Arc<Ledger>>,
    /// What the call has left of the bounds of its grants for other hosts.
    pub(crate) http: Option<Arc<Allotment>>,
    /// What the call has left of the bounds of its folders.
    pub(crate) files: Option<Arc<files::Allotment>>,
    /// For whom the call keeps pairs.
    pub(crate) keeper: Option<Keeper>,
    /// Where imports are recorded, or answered from.
    pub(crate) tape: Tape,
}

/// A fresh store for one attempt.
pub(crate) fn store(
    engine: &Engine,
    environment: &SharedEnvironment,
    permit: &Permit,
    linked: &Linked,
    Begin { seed, ends, listener, ledger, http, files, keeper, tape }: Begin,
) -> wasmtime::Result<Store<State>> {
    // Destructured without `..`, so that a new limit cannot be forgotten here.
    let recorded = tape.header();
    let Limits {
        fuel,
        // `ends` applies the deadline, which the plan may have shortened.
        deadline_ms: _,
        memory_bytes_max,
        table_elements_max,
        output_bytes_max,
        log_bytes_max,
    } = permit.limits();
    let log = Capture::new(*log_bytes_max);
    // A replay has the fuel, the memory and the values that its attempt had, whatever the registry says today.
    let fuel = recorded.map_or(*fuel, |header| header.fuel_max);
    let memory_bytes_max = recorded.map_or(*memory_bytes_max, |header| header.memory_bytes_max);
    let effective = &recorded.map_or(Cow::Borrowed(permit.effective()), |header| {
        let (env, config) = (Arc::new(header.env.clone()), Arc::new(header.config.clone()));
        Cow::Owned(Effective { env, config, ..permit.effective().clone() })
    });
    let random = effective.random.map(|_| Arc::default());
    let context = linked.needs_context.then(|| capability::context(&log, effective, seed, random.as_ref()));
    let folders = Folders::new(&effective.files, linked.lane.clone(), files.as_deref());
    let limiter = Limiter::new(memory_bytes_max, *table_elements_max);
    // Both are there for a tool that may reach a host, and for no other.
    let outgoing = linked.upstream.clone().zip(http).map(|(upstream, allotment)| {
        Box::new(Outgoing::new(effective.http.clone(), upstream, allotment, environment.clone()))
    });
    // As for requests.
    let kept = linked.keyvalues.clone().zip(effective.keyvalue.clone());
    let kept = kept.map(|(opened, grant)| Box::new(Kept::new(opened, grant, keeper, environment.clone())));
    let clock = effective.clock.map(|mode| Clock::new(mode, environment));
    let granted = Granted {
        clock,
        config: effective.config.clone(),
        kept,
        outgoing,
        random,
        usual: permit.usual().cloned(),
    };
    let state = State::new(context, folders, limiter, log, Reports::new(listener), (ledger, tape), granted);
    let mut store = Store::new(engine, state);
    store.limiter(|state| &mut state.limiter);
    // A coarse bound on what one step copies out of the guest. The exact limit is checked later, on the JSON.
    store.set_hostcall_fuel(
        usize::try_from(output_bytes_max.saturating_mul(STEP_PER_OUTPUT)).unwrap_or(usize::MAX),
    );
    store.set_max_component_handles(HANDLES_MAX);
    store.set_fuel(fuel)?;
    // A store without a deadline traps at once. With 1, the callback below runs at every tick.
    store.set_epoch_deadline(1);
    let environment = environment.clone();
    // Yielding through tokio queues the guest behind all waiting tasks. The engine's own yield wakes the guest at once,
    // and tokio polls timers only every 61 tasks, so timers starve (wasmtime issue 10667).
    store.epoch_deadline_callback(move |_| {
        if environment.monotonic() >= ends {
            Err(Trap::Interrupt.into())
        } else {
            Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
        }
    });
    Ok(store)
}
