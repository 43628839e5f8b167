//! The parts of a host that all generations share, so that a reload keeps them.
//!
//! Owns these parts. Must not know what a registry states. To add one: a field of [`Parts`] and its line in `new`.

use std::convert::Infallible;
use std::sync::Arc;

use wasmtime::Engine;

use airlock_journal::Journal;
use airlock_types::environment::SharedEnvironment;

use super::answers::Answers;
use super::aside::Aside;
use super::holds::Holds;
use super::keys::Keys;
use crate::admission::Gate;
use crate::caller::account::{Accounts, CALLER_HEAVY_RUN, CALLER_HEAVY_WAIT};
use crate::caller::repeats::CallersRepeats;
use crate::caller::session::Sessions;
use crate::execute::Execute;
use crate::telemetry::metrics::Metrics;

/// Calls whose arguments are judged off the runtime's workers at the same time. Each may need up to 64 MB. One caller
/// has half of these slots, so that others always find some.
const HEAVY_ARGUMENTS_MAX: u32 = 2 * CALLER_HEAVY_RUN;

/// Calls that wait for these slots, in order and within their deadlines. Further ones are refused as
/// `admission.overloaded`.
const HEAVY_ARGUMENTS_WAITING_MAX: u32 = 2 * CALLER_HEAVY_WAIT;

/// The parts that live as long as the host.
pub(crate) struct Parts {
    /// Loads and links the components of a reload.
    pub(crate) engine: Engine,
    /// The executor of attempts.
    pub(crate) execute: Arc<dyn Execute>,
    pub(crate) environment: SharedEnvironment,
    pub(crate) journal: Journal,
    /// The answers that are kept for when their tools cannot answer.
    pub(crate) answers: Answers,
    /// The idempotency keys of callers.
    pub(crate) keys: Keys,
    /// The calls that wait for a person.
    pub(crate) holds: Holds,
    /// The thread on which a call reads records.
    pub(crate) records: Aside<()>,
    pub(crate) accounts: Accounts,
    /// Shared with the transports that hold sessions open.
    pub(crate) sessions: Arc<Sessions>,
    /// The failed calls of each caller.
    pub(crate) repeats: CallersRepeats,
    pub(crate) metrics: Metrics,
    /// The gate for arguments that may take long to judge.
    pub(crate) heavy_arguments: Gate,
}

impl Parts {
    pub(crate) fn new(
        engine: Engine,
        execute: Arc<dyn Execute>,
        environment: SharedEnvironment,
        journal: Journal,
        (answers, keys, holds): (Answers, Keys, Holds),
    ) -> Parts {
        Parts {
            engine,
            execute,
            environment,
            journal,
            answers,
            keys,
            holds,
            records: Aside::new(Ok::<_, Infallible>(()), "records"),
            accounts: Accounts::default(),
            sessions: Arc::default(),
            repeats: CallersRepeats::default(),
            metrics: Metrics::default(),
            heavy_arguments: Gate::new(HEAVY_ARGUMENTS_MAX, HEAVY_ARGUMENTS_WAITING_MAX),
        }
    }
}
