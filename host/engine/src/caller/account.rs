//! Accounts: the used amounts and the running calls of each caller. They outlive a reload.
//!
//! Owns the bound on the number of accounts. Must not know what a call does with its slot.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use super::Rules;
use super::budget::{Amounts, Exhausted, Spent};
use crate::admission::{Gate, Rejected, Slot};
use airlock_types::caller::Caller;
use airlock_types::environment::Environment;

/// Most accounts at the same time. Beyond it, a new caller replaces accounts that have nothing left to remember.
const ACCOUNTS_MAX: usize = 10_000;

/// Calls of one caller whose arguments are judged off the runtime's workers at the same time.
pub(crate) const CALLER_HEAVY_RUN: u32 = 2;

/// Calls of one caller that wait for one of these slots.
pub(crate) const CALLER_HEAVY_WAIT: u32 = 32;

/// All accounts of a host.
#[derive(Debug, Default)]
pub(crate) struct Accounts(RwLock<BTreeMap<Caller, Arc<Account>>>);

/// The account of one caller.
#[derive(Debug)]
pub(crate) struct Account {
    /// Behind a lock because a reload may exchange it; held slots keep the old one alive.
    gate: Mutex<Arc<Gate>>,
    heavy_arguments: Gate,
    spent: Mutex<Spent>,
}

/// Why a call gets no account.
#[derive(Debug)]
pub(crate) enum NotOpened {
    /// [`ACCOUNTS_MAX`] is reached, and every account is in use or has spent something today.
    Full,
    /// A budget is used up.
    Exhausted(Exhausted),
}

impl Accounts {
    /// The account of a caller, with one call taken out of its budgets.
    ///
    /// # Errors
    /// When there is no space for another account, or a budget is used up.
    pub(crate) fn open(&self, who: &Caller, rules: &Rules, now_ms: u64) -> Result<Arc<Account>, NotOpened> {
        let account = self.account(who, rules, now_ms)?;
        account.spent().take_call(&rules.budgets, now_ms).map_err(NotOpened::Exhausted)?;
        Ok(account)
    }

    /// Charges a caller for what a call used, once that is known.
    pub(crate) fn charge(&self, who: &Caller, used: Amounts, now_ms: u64) {
        let account = self.0.read().unwrap_or_else(PoisonError::into_inner).get(who).cloned();
        // An account is removed only when its day is over, and its budgets start anew then: no charge is lost.
        if let Some(account) = account {
            account.add(used, now_ms);
        }
    }

    /// Finds or makes the account of a caller.
    ///
    /// # Errors
    /// [`NotOpened::Full`] when there is no space for another account.
    fn account(&self, who: &Caller, rules: &Rules, now_ms: u64) -> Result<Arc<Account>, NotOpened> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner).get(who).cloned();
        if let Some(account) = known {
            account.agree(rules);
            return Ok(account);
        }
        // The write lock only for new callers: calls of known ones share the read lock.
        let mut accounts = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if accounts.len() >= ACCOUNTS_MAX {
            // An account that a call holds must stay, or its gate would exist twice.
            accounts.retain(|_, account| Arc::strong_count(account) > 1 || !account.spent().is_over(now_ms));
        }
        if accounts.len() >= ACCOUNTS_MAX {
            return Err(NotOpened::Full);
        }
        let gate = Mutex::new(Arc::new(Gate::new(rules.run, rules.wait)));
        let account = Arc::new(Account {
            gate,
            heavy_arguments: Gate::new(CALLER_HEAVY_RUN, CALLER_HEAVY_WAIT),
            spent: Mutex::default(),
        });
        // Another call of the caller may have added the account between the two locks. That one stays: it may hold
        // slots.
        Ok(accounts.entry(who.clone()).or_insert(account).clone())
    }
}

impl Account {
    /// Adds what a call used. Budgets are checked when the next call begins.
    pub(crate) fn add(&self, amounts: Amounts, now_ms: u64) {
        self.spent().add(amounts, now_ms);
    }

    /// Takes a slot among the caller's calls, or waits for one until `until`.
    pub(crate) async fn enter(
        &self,
        environment: &dyn Environment,
        until: Duration,
    ) -> Result<Slot, Rejected> {
        // Cloned, so that the lock is not held during the wait.
        let gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner).clone();
        gate.enter(environment, until).await
    }

    /// The caller's share of the slots for judging arguments that may take long.
    pub(crate) fn heavy_arguments(&self) -> &Gate {
        &self.heavy_arguments
    }

    /// Replaces the gate if a reload has changed its bounds. Calls that hold slots of the old gate finish there.
    fn agree(&self, rules: &Rules) {
        let mut gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        if !gate.is_of(rules.run, rules.wait) {
            *gate = Arc::new(Gate::new(rules.run, rules.wait));
        }
    }

    fn spent(&self) -> std::sync::MutexGuard<'_, Spent> {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
