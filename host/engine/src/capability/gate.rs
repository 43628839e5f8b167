//! What lets a use of a capability pass, or refuses it: the effects and denials of one attempt.
//!
//! One value, because the engine's library for HTTP calls back into it without the rest of the state. Must not know what
//! a capability does.

use std::sync::Arc;

use airlock_types::effect::Effect;

use super::dispatch::{Clearance, Effects, Ledger};
use super::http::Outgoing;
use super::{Dispatched, EffectDenied, Facts};

/// The effects and denials of one attempt.
pub(super) struct Gate {
    pub(super) effects: Effects,
    /// Capabilities that the guest used without a grant, in order.
    denials: Vec<String>,
    /// Requests to other hosts. `None` for a tool without such a grant. Boxed, as most attempts have none.
    pub(super) http: Option<Box<Outgoing>>,
}

impl Gate {
    pub(super) fn new(ledger: Option<Arc<Ledger>>, http: Option<Box<Outgoing>>) -> Gate {
        Gate { effects: Effects::begin(ledger), denials: Vec::new(), http }
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
        if dispatched.is_err() {
            self.deny_once(by.name);
        }
        dispatched
    }

    /// Leave for an effect on this machine, for a capability that dispatches it later.
    pub(super) fn clear(&mut self, by: &Facts) -> Result<Clearance, EffectDenied> {
        let clearance = self.effects.clear(by, self.effects.local(), by.name.into(), None);
        if clearance.is_err() {
            self.deny_once(by.name);
        }
        clearance
    }

    /// Notes that the guest used a capability without a grant.
    pub(super) fn deny(&mut self, capability: &str) {
        self.denials.push(capability.to_owned());
    }

    /// Like `deny`, for uses that do not end the guest: the guest may repeat them, and each one would be recorded.
    pub(super) fn deny_once(&mut self, capability: &str) {
        if !self.denials.iter().any(|denied| denied == capability) {
            self.deny(capability);
        }
    }

    /// Takes the denials, each run of the same one as one: repeated uses say nothing more than the first.
    pub(super) fn take_denials(&mut self) -> Vec<String> {
        let mut denials = std::mem::take(&mut self.denials);
        denials.dedup();
        denials
    }
}
