//! Effects on the world: each is marked before it leaves, and settled once it was answered.
//!
//! Owns the account of what a call did: retries and the code `outcome-unknown` rest on it. An attempt without a mark
//! changed nothing, and a mark that is not settled may have. Must not know retry or the journal.
//!
//! A host function whose effect happens at once takes a [`Dispatched`] from [`Effects::dispatch`], acts, and settles it.
//! One that sends later takes a [`Clearance`] while the guest asks, and dispatches when bytes are about to leave.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use airlock_types::effect;
use airlock_types::effect::{Effect, Left};
use airlock_types::record::v3;

use super::Facts;

/// Most places that an account names. An agent looks into one after another, and operators find the others in the
/// record of their own service.
const PLACES_MAX: usize = 8;

/// Why an effect is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EffectDenied {
    /// The call has no durable intent, since its tool counts as one without effects.
    #[error("the tool counts as one without effects, and used `{capability}` for one that is {}", .effect.as_str())]
    NoIntent {
        /// The capability.
        capability: &'static str,
        /// The effect that it asked for.
        effect: Effect,
    },
    /// The effect is stronger than the facts of the capability declare. Tools were classed by those facts.
    #[error("`{capability}` makes effects possible that are {} at most; this one is {}", .most.as_str(), .effect.as_str())]
    Undeclared {
        /// The capability.
        capability: &'static str,
        /// The strongest effect that its facts name.
        most: Effect,
        /// The effect that it asked for.
        effect: Effect,
    },
    /// The attempt has ended, and its account is closed: nothing may leave after it was read.
    #[error("the attempt has ended, and `{capability}` may do nothing more")]
    Ended {
        /// The capability.
        capability: &'static str,
    },
}

impl EffectDenied {
    /// The name of the capability.
    pub fn capability(&self) -> &'static str {
        match self {
            EffectDenied::NoIntent { capability, .. }
            | EffectDenied::Undeclared { capability, .. }
            | EffectDenied::Ended { capability } => capability,
        }
    }
}

/// The effects of one call on one tool, over its attempts. There is one only for a call whose intent is durable, so
/// without it no effect leaves.
#[derive(Debug)]
pub(crate) struct Ledger {
    /// The class of the tool.
    class: Effect,
    account: Mutex<Account>,
}

#[derive(Debug, Default)]
struct Account {
    /// The number of the latest attempt, from 1.
    attempt: u32,
    /// Whether it still runs.
    is_running: bool,
    /// Effects of the latest attempt that left, and that were answered.
    dispatched: u64,
    settled: u64,
    /// Effects that were answered and must not leave twice, in all attempts.
    once: u64,
    /// Effects that were answered and may leave again, in all attempts.
    again: u64,
    /// Unsettled effects without a key, by where they went.
    open: BTreeMap<Arc<str>, u64>,
    /// Unsettled effects under keys, by number. A later attempt settles what it sends again.
    open_keys: BTreeMap<u32, Arc<str>>,
}

impl Account {
    fn effects(&self) -> effect::Effects {
        let mut open_at: Vec<String> =
            self.open.keys().chain(self.open_keys.values()).map(|at| at.as_ref().to_owned()).collect();
        open_at.sort();
        open_at.dedup();
        open_at.truncate(PLACES_MAX);
        // One that is still under way could come after that of the next attempt, so it must not be made again even where
        // making it twice is harmless. Under a key the service sees to that.
        let left = if self.once > 0 || !self.open.is_empty() {
            Left::Once
        } else if self.again > 0 || !self.open_keys.is_empty() {
            Left::Again
        } else {
            Left::Nothing
        };
        effect::Effects { left, dispatched: self.dispatched, settled: self.settled, open_at }
    }

    /// Closes an effect without a key.
    fn close(&mut self, at: &Arc<str>) {
        if let Some(open) = self.open.get_mut(at) {
            *open -= 1;
            if *open == 0 {
                self.open.remove(at);
            }
        }
    }
}

impl Ledger {
    /// A ledger for a tool of this class.
    pub(crate) fn new(class: Effect) -> Ledger {
        Ledger { class, account: Mutex::default() }
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What left until now. For an attempt that did not run.
    pub(crate) fn effects(&self) -> effect::Effects {
        effect::Effects { dispatched: 0, settled: 0, ..self.account().effects() }
    }

    /// Takes in what an attempt did on record that a recording answers: nothing leaves, and the same follows from it. `did` is none
    /// for one that does nothing.
    pub(crate) fn recall(&self, did: Option<&v3::Effects>) -> effect::Effects {
        let mut account = self.account();
        let Account { dispatched, settled, once, again, open, open_keys, .. } = &mut *account;
        (*dispatched, *settled) = did.map_or((0, 0), |did| (did.dispatched, did.settled));
        // Which effect had a key is not on record. Those of a tool of this class have one, or are harmless.
        let is_again = self.class == Effect::Idempotent;
        let answered = if is_again { again } else { once };
        *answered = answered.saturating_add(*settled);
        if let Some(did) = did {
            // Those of earlier attempts are among what is open on record.
            open.clear();
            open_keys.clear();
            for (number, at) in (0..).zip(&did.open_at) {
                let at = Arc::<str>::from(at.as_str());
                if is_again {
                    open_keys.insert(number, at);
                } else {
                    open.insert(at, 1);
                }
            }
        }
        account.effects()
    }

    /// Notes that nothing of what is open has happened, as a tool says that can know it. What was answered stays.
    pub(crate) fn set_not_applied(&self) {
        let mut account = self.account();
        account.open.clear();
        account.open_keys.clear();
    }
}

/// The effects of one attempt.
#[derive(Debug)]
pub(super) struct Effects(Option<Running>);

#[derive(Clone, Debug)]
struct Running {
    ledger: Arc<Ledger>,
    attempt: u32,
}

/// Leave for one effect.
#[derive(Debug)]
pub(super) struct Clearance {
    /// None for reading, which can be repeated and needs no mark.
    running: Option<Running>,
    capability: &'static str,
    at: Arc<str>,
    key: Option<u32>,
    /// Whether the next attempt of the call may make the effect again, once this one is settled.
    is_again: bool,
}

/// An effect that left. It may have happened until it is settled, also where this value is dropped.
#[must_use = "an effect that is not settled counts as one that may have happened"]
#[derive(Debug)]
pub struct Dispatched(Option<Open>);

#[derive(Debug)]
struct Open {
    running: Running,
    at: Arc<str>,
    key: Option<u32>,
    is_again: bool,
    /// Whether an earlier attempt left the same key unsettled.
    was_open: bool,
}

impl Effects {
    /// The effects of the next attempt of a call. Without a ledger the attempt may only read.
    pub(super) fn begin(ledger: Option<Arc<Ledger>>) -> Effects {
        Effects(ledger.map(|ledger| {
            let mut account = ledger.account();
            account.attempt += 1;
            account.is_running = true;
            (account.dispatched, account.settled) = (0, 0);
            let attempt = account.attempt;
            drop(account);
            Running { ledger, attempt }
        }))
    }

    /// Closes the account of the attempt and reads it. What is dispatched from here on is refused: the account is proof
    /// only if nothing leaves after it was read, and host functions may still be running on other threads.
    pub(super) fn end(&self) -> effect::Effects {
        let Some(Running { ledger, .. }) = &self.0 else { return effect::Effects::default() };
        let mut account = ledger.account();
        account.is_running = false;
        account.effects()
    }

    /// The class of effects that stay on this machine, where the tool's author alone can say whether they may be made
    /// twice.
    pub(super) fn local(&self) -> Effect {
        let class = self.0.as_ref().map(|running| running.ledger.class);
        if class == Some(Effect::Idempotent) { Effect::Idempotent } else { Effect::Write }
    }

    /// Leave for an effect at a place: the name of a host, or of the capability. `key` is the number of its idempotency
    /// key, which must be the same in each attempt of the call. Without one, an effect may be made again that is
    /// idempotent, by a tool that counts as idempotent.
    pub(super) fn clear(
        &self,
        by: &Facts,
        effect: Effect,
        at: Arc<str>,
        key: Option<u32>,
    ) -> Result<Clearance, EffectDenied> {
        let capability = by.name;
        // Before the ledger is looked at: tools were classed by these facts, so an intent proves nothing about a
        // stronger effect.
        if effect > by.effect {
            return Err(EffectDenied::Undeclared { capability, most: by.effect, effect });
        }
        let running = match (&self.0, effect.repeatable()) {
            (_, true) => None,
            (Some(running), false) => Some(running.clone()),
            (None, false) => return Err(EffectDenied::NoIntent { capability, effect }),
        };
        let is_of_idempotent =
            || running.as_ref().is_some_and(|running| running.ledger.class == Effect::Idempotent);
        let is_again = key.is_some() || (effect == Effect::Idempotent && is_of_idempotent());
        Ok(Clearance { running, capability, at, key, is_again })
    }

    /// Lets an effect leave now.
    pub(super) fn dispatch(
        &self,
        by: &Facts,
        effect: Effect,
        at: Arc<str>,
    ) -> Result<Dispatched, EffectDenied> {
        self.clear(by, effect, at, None)?.dispatch()
    }
}

impl Clearance {
    /// Marks the effect as one that may have happened. Must be called before anything of it leaves.
    pub(super) fn dispatch(&self) -> Result<Dispatched, EffectDenied> {
        let Some(running) = &self.running else { return Ok(Dispatched(None)) };
        let mut account = running.ledger.account();
        if !account.is_running || account.attempt != running.attempt {
            return Err(EffectDenied::Ended { capability: self.capability });
        }
        account.dispatched += 1;
        let was_open = match self.key {
            Some(key) => account.open_keys.insert(key, self.at.clone()).is_some(),
            None => {
                *account.open.entry(self.at.clone()).or_default() += 1;
                false
            }
        };
        let (running, at) = (running.clone(), self.at.clone());
        Ok(Dispatched(Some(Open { running, at, key: self.key, is_again: self.is_again, was_open })))
    }
}

impl Dispatched {
    /// Notes that the effect was answered: the tool can tell what became of it.
    pub fn settle(self) {
        let Some(Open { running, at, key, is_again, .. }) = self.0 else { return };
        let mut account = running.ledger.account();
        let is_latest = account.attempt == running.attempt;
        account.settled += u64::from(is_latest);
        let answered = if is_again { &mut account.again } else { &mut account.once };
        *answered += 1;
        match key {
            Some(key) => drop(account.open_keys.remove(&key)),
            // Those of an earlier attempt are closed already: there was a later one because none of them happened.
            None if is_latest => account.close(&at),
            None => {}
        }
    }

    /// Notes that nothing of the effect has left after all.
    pub fn withdraw(self) {
        let Some(Open { running, at, key, was_open, .. }) = self.0 else { return };
        let mut account = running.ledger.account();
        // An account that was closed has been read: the mark stays there as it was told.
        if !account.is_running || account.attempt != running.attempt {
            return;
        }
        account.dispatched -= 1;
        match key {
            // Sent by an earlier attempt.
            Some(_) if was_open => {}
            Some(key) => drop(account.open_keys.remove(&key)),
            None => account.close(&at),
        }
    }
}

#[cfg(test)]
mod tests;
