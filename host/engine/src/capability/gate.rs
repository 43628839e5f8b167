//! What lets a use of a capability pass, or refuses it: the effects and refusals of one attempt.
//!
//! One value, because the engine's library for HTTP calls back into it without the rest of the state. Must not know what
//! a capability does.

use std::sync::Arc;

use airlock_types::effect::Effect;
use airlock_types::grant::{Asked, Why};

use super::dispatch::{Clearance, Effects, Ledger};
use super::http::Outgoing;
use super::noted::{Noted, whole};
use super::{Dispatched, EffectDenied, Facts};
use crate::tape::Tape;

/// The effects and refusals of one attempt.
pub(super) struct Gate {
    pub(super) effects: Effects,
    /// What the guest was refused and allowed, in order.
    pub(super) noted: Noted,
    /// Requests to other hosts. `None` for a tool without such a grant. Boxed, as most attempts have none.
    pub(super) http: Option<Box<Outgoing>>,
    /// Where imports are recorded, or answered from.
    pub(super) tape: Tape,
}

impl Gate {
    pub(super) fn new(ledger: Option<Arc<Ledger>>, http: Option<Box<Outgoing>>, tape: Tape) -> Gate {
        Gate { effects: Effects::begin(ledger), noted: Noted::default(), http, tape }
    }

    /// Lets an effect leave, and marks it as one that may have happened until it is settled. `at` says where, for the
    /// caller: a name that it may read.
    pub(super) fn dispatch(
        &mut self,
        by: &Facts,
        effect: Effect,
        at: impl Into<Arc<str>>,
    ) -> Result<Dispatched, EffectDenied> {
        let dispatched = self.effects.dispatch(by, effect, at.into());
        match &dispatched {
            Ok(_) => self.noted.allow(whole(by.name)),
            Err(_) => self.noted.refuse(whole(by.name), Why::ReadsOnly),
        }
        dispatched
    }

    /// Leave for an effect on this machine, for a capability that dispatches it later.
    pub(super) fn clear(
        &mut self,
        by: &Facts,
        asked: impl FnOnce() -> Asked,
    ) -> Result<Clearance, EffectDenied> {
        let clearance = self.effects.clear(by, self.effects.local(), by.name.into(), None);
        if clearance.is_err() {
            self.noted.refuse(asked(), Why::ReadsOnly);
        }
        clearance
    }
}
