//! Admission of a call: its caller's account, its session, and a slot among its caller's calls.
//!
//! Owns the order of these steps. Must not know the tool: its slots are taken for each attempt.

use std::sync::Arc;
use std::time::Duration;

use super::Generation;
use crate::admission::Slot;
use crate::caller::account::{Account, NotOpened};
use crate::caller::budget::Exhausted;
use crate::caller::session::UnknownSession;
use airlock_types::caller::Caller;
use airlock_types::environment::ms;
use airlock_types::event::Event;
use airlock_types::session::{SessionId, SessionKey};

/// An admitted call. Dropping it returns the caller's slot.
pub(crate) struct Admitted {
    account: Arc<Account>,
    session: Option<SessionId>,
    _slot: Slot,
}

/// Why a call was not admitted.
pub(crate) enum NotAdmitted {
    /// The caller has no entry in the registry any more.
    NoEntry,
    /// All accounts are in use, or too many calls of the caller run and wait.
    NoSlot,
    /// A budget of the caller is exhausted.
    Exhausted(Exhausted),
    /// The call names a session that is not open.
    Session(UnknownSession),
}

impl Admitted {
    /// The account that pays for the call.
    pub(crate) fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// The session that the call belongs to, if any.
    pub(crate) fn session(&self) -> Option<&SessionId> {
        self.session.as_ref()
    }
}

impl Generation {
    /// Admits a call of a caller. `tell` receives an event for each step that was passed: a call that is dropped while
    /// it waits for its slot has been counted already.
    ///
    /// # Errors
    /// When the caller has no entry, no budget or no slot left, or names an unknown session.
    pub(crate) async fn admit(
        &self,
        who: &Caller,
        session: &SessionKey,
        tell: &mut (dyn FnMut(Event) + Send),
    ) -> Result<Admitted, NotAdmitted> {
        let environment = self.environment();
        let now_ms = ms(environment.wall());
        let rules = self.rules(who).ok_or(NotAdmitted::NoEntry)?;
        // Budgets first: they are the operator's limits, and a call beyond them must not open a session.
        let account = self.accounts().open(who, &rules, now_ms).map_err(|err| match err {
            NotOpened::Full => NotAdmitted::NoSlot,
            NotOpened::Exhausted(exhausted) => NotAdmitted::Exhausted(exhausted),
        })?;
        // At once: from here on the call is charged, however it ends.
        tell(Event::Counted);
        // Before the slot: entering a session never waits, and an unknown handle needs no slot.
        let session = self.sessions().enter(who, session.clone(), environment.seed(), now_ms);
        let session = session.map_err(NotAdmitted::Session)?.map(|(id, _)| id);
        let until = environment.monotonic().saturating_add(Duration::from_millis(self.call_deadline_ms()));
        // Last, since a call may wait here until its deadline.
        let slot = account.enter(&**environment, until).await.map_err(|_| NotAdmitted::NoSlot)?;
        tell(Event::Admitted { session: session.clone() });
        Ok(Admitted { account, session, _slot: slot })
    }
}
