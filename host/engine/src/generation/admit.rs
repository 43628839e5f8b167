//! Admission of a call: its caller's account, its session, and a slot among its caller's calls.

use std::sync::Arc;
use std::time::Duration;

use super::Generation;
use crate::admission::Slot;
use crate::caller::account::{Account, NotOpened};
use crate::caller::budget::Exhausted;
use crate::caller::session::UnknownSession;
use airlock_types::environment::ms;
use airlock_types::event::Event;
use airlock_types::principal::Principal;
use airlock_types::session::{SessionId, SessionKey};

/// A call that may go on. Its slot is held until this is dropped.
pub(crate) struct Admitted {
    account: Arc<Account>,
    session: Option<SessionId>,
    _slot: Slot,
}

/// Why a call may not go on.
pub(crate) enum NotAdmitted {
    /// The caller's entry in the registry is gone.
    NoEntry,
    /// There are too many accounts, or too many calls of the caller.
    NoSlot,
    /// A budget is used up.
    Exhausted(Exhausted),
    /// The session's handle is not known.
    Session(UnknownSession),
}

impl Admitted {
    /// Who pays.
    pub(crate) fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// The session that the call belongs to.
    pub(crate) fn session(&self) -> Option<&SessionId> {
        self.session.as_ref()
    }
}

impl Generation {
    /// Admits one more call of a caller. The budgets come first, as they are the operator's word; a session is opened
    /// only for a call that its budgets allow, and the slot, for which a call may wait, is last. `tell` hears how far it
    /// came: a call that waits for its slot is paid for already.
    pub(crate) async fn admit(
        &self,
        who: &Principal,
        session: &SessionKey,
        tell: &mut (dyn FnMut(Event) + Send),
    ) -> Result<Admitted, NotAdmitted> {
        let environment = self.environment();
        let now_ms = ms(environment.wall());
        let rules = self.rules(who).ok_or(NotAdmitted::NoEntry)?;
        let account = self.accounts().open(who, &rules, now_ms).map_err(|err| match err {
            NotOpened::Full => NotAdmitted::NoSlot,
            NotOpened::Exhausted(exhausted) => NotAdmitted::Exhausted(exhausted),
        })?;
        tell(Event::Counted);
        let session = self.sessions().enter(who, session.clone(), environment.seed(), now_ms);
        let session = session.map_err(NotAdmitted::Session)?.map(|(id, _)| id);
        let until = environment.monotonic().saturating_add(Duration::from_millis(self.call_deadline_ms()));
        let slot = account.enter(&**environment, until).await.map_err(|_| NotAdmitted::NoSlot)?;
        tell(Event::Admitted { session: session.clone() });
        Ok(Admitted { account, session, _slot: slot })
    }
}
