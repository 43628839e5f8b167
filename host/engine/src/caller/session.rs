//! Sessions: what a host remembers between the calls of one caller.
//!
//! Owns the handles, the lifetime and the bounds of sessions. A session is identified by
//! its caller and a key: the stdio process, the session id of MCP's handshake era, or a handle that the host minted.
//! The handle of another caller is treated like an unknown one. A session that a transport holds open lives as long as it
//! does, and the transport bounds how many there are. Must not know transports or what calls do.

use airlock_types::session::{SessionId, SessionKey};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockWriteGuard};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::answers::Answers;
use super::facts::SessionFacts;
use super::ledger::Ledger;
use super::repeats::{Ended, Repeat, Repeats};
use super::suspects::Suspects;
use airlock_types::caller::Caller;

/// Idle time in milliseconds after which a session ends that no transport holds open.
pub const IDLE_MS: u64 = 30 * 60_000;

/// Most sessions of one caller that no transport holds open. Opening another ends the caller's oldest.
const PER_CALLER_MAX: usize = 64;

/// Most such sessions of all callers together. Opening another ends the oldest of all.
const ALL_MAX: usize = 10_000;

/// The handle expired, never existed or belongs to another caller. The error does not say which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the session is not known: it has expired, or it is another caller's")]
pub struct UnknownSession;

/// All sessions of a host. Calls in open sessions share a read lock and do not wait for each other.
#[derive(Debug, Default)]
pub(crate) struct Sessions(RwLock<BTreeMap<Caller, BTreeMap<SessionId, Arc<Session>>>>);

/// An open session.
#[derive(Debug, Default)]
pub(crate) struct Session {
    /// Time of the last call, on the wall clock. Atomic, so that a call updates it under the read lock.
    used_ms: AtomicU64,
    /// Whether a transport holds it open, by a [`TransportSession`].
    is_held_open: bool,
    repeats: Mutex<Repeats>,
    facts: Mutex<SessionFacts>,
    ledger: Mutex<Ledger>,
    suspects: Mutex<Suspects>,
    answers: Mutex<Answers>,
}

/// Where transports hold sessions open.
#[derive(Clone, Debug, Default)]
pub struct TransportSessions(Arc<Sessions>);

/// A session that a transport holds open. It ends when this is dropped: what it remembers is forgotten.
#[derive(Debug)]
pub struct TransportSession {
    sessions: Arc<Sessions>,
    who: Caller,
    id: SessionId,
}

impl TransportSessions {
    pub(crate) fn new(sessions: Arc<Sessions>) -> TransportSessions {
        TransportSessions(sessions)
    }

    /// Opens the session that calls of this caller name as [`SessionKey::Transport`]. An id is used once, and the caller of this
    /// bounds how many sessions are open.
    pub fn open(&self, who: &Caller, id: SessionId) -> TransportSession {
        let session = Arc::new(Session { is_held_open: true, ..Session::default() });
        self.0.lock().entry(who.clone()).or_default().insert(id.clone(), session);
        TransportSession { sessions: self.0.clone(), who: who.clone(), id }
    }
}

impl Drop for TransportSession {
    fn drop(&mut self) {
        remove(&mut self.sessions.lock(), &self.who, &self.id);
    }
}

impl Sessions {
    /// The session of a call and its id; none for a call without a session. Opens the session when the key allows it.
    ///
    /// # Errors
    /// When the key is a handle of no open session of this caller.
    pub(crate) fn enter(
        &self,
        who: &Caller,
        key: SessionKey,
        seed: [u8; 32],
        now_ms: u64,
    ) -> Result<Option<(SessionId, Arc<Session>)>, UnknownSession> {
        let (id, may_open) = match key {
            SessionKey::None => return Ok(None),
            // The handle is the seed: 32 random bytes that another caller cannot guess.
            SessionKey::New => (URL_SAFE_NO_PAD.encode(seed), true),
            // Opened on sight where the transport does not hold it open: it vouches for its id, while a handle must have been
            // minted here.
            SessionKey::Transport(id) => (id, true),
            SessionKey::Handle(id) => (id, false),
        };
        let sessions = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let known = sessions.get(who).and_then(|own| own.get(&id)).filter(|session| session.is_live(now_ms));
        if let Some(session) = known {
            // Paired with the `Acquire` loads below: the time is the only datum, so nothing else has to be visible with
            // it.
            session.used_ms.store(now_ms, Ordering::Release);
            return Ok(Some((id, session.clone())));
        }
        // Opening takes the write lock, which would wait for this read lock forever.
        drop(sessions);
        if !may_open {
            return Err(UnknownSession);
        }
        let session = self.open(who, &id, now_ms);
        Ok(Some((id, session)))
    }

    /// An open session, by its id.
    pub(crate) fn get(&self, who: &Caller, id: &str) -> Option<Arc<Session>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(who)?.get(id).cloned()
    }

    fn lock(&self) -> RwLockWriteGuard<'_, BTreeMap<Caller, BTreeMap<SessionId, Arc<Session>>>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, who: &Caller, id: &str, now_ms: u64) -> Arc<Session> {
        let mut sessions = self.lock();
        // Another call of the same session may have opened it since the read lock was released.
        let known = sessions.get(who).and_then(|own| own.get(id)).filter(|session| session.is_live(now_ms));
        if let Some(session) = known {
            return session.clone();
        }
        make_room(&mut sessions, who, now_ms);
        let session = Arc::new(Session { used_ms: now_ms.into(), ..Session::default() });
        sessions.entry(who.clone()).or_default().insert(id.to_owned(), session.clone());
        session
    }
}

impl Session {
    fn is_live(&self, now_ms: u64) -> bool {
        self.is_held_open || now_ms.saturating_sub(self.used_ms.load(Ordering::Acquire)) < IDLE_MS
    }

    /// The facts that it has seen.
    pub(crate) fn facts(&self) -> MutexGuard<'_, SessionFacts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What its calls did to the world.
    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The values that its suspect results gave.
    pub(crate) fn suspects(&self) -> MutexGuard<'_, Suspects> {
        self.suspects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What its calls have read and may be told again.
    pub(crate) fn answers(&self) -> MutexGuard<'_, Answers> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds how a call ended, and returns what it repeats in this session. `ended` runs only if this call failed or an
    /// earlier one of the session did, so that good calls compute no digest.
    pub(crate) fn note<'e>(
        &self,
        has_failed: bool,
        now_ms: u64,
        ended: impl FnOnce() -> Ended<'e>,
    ) -> Option<Repeat> {
        let mut repeats = self.repeats.lock().unwrap_or_else(PoisonError::into_inner);
        if !has_failed && repeats.is_empty() {
            return None;
        }
        repeats.note(&ended(), now_ms)
    }
}

/// Removes expired sessions. If a bound is still reached, removes the session that was used longest ago. Those that a transport
/// holds open do not count, and stay.
fn make_room(sessions: &mut BTreeMap<Caller, BTreeMap<SessionId, Arc<Session>>>, who: &Caller, now_ms: u64) {
    let free = |own: &BTreeMap<_, Arc<Session>>| own.values().filter(|session| !session.is_held_open).count();
    let count = |sessions: &BTreeMap<Caller, BTreeMap<SessionId, _>>| {
        let own = sessions.get(who).map_or(0, free);
        (own, sessions.values().map(free).sum::<usize>())
    };
    let is_room = |(own, all)| own < PER_CALLER_MAX && all < ALL_MAX;
    if is_room(count(sessions)) {
        return;
    }
    sessions.retain(|_, own| {
        own.retain(|_, session| session.is_live(now_ms));
        !own.is_empty()
    });
    let (own, all) = count(sessions);
    if is_room((own, all)) {
        return;
    }
    // A caller at its own bound ends one of its own sessions; only the bound on all may end another caller's.
    let candidates = sessions.iter().filter(|(caller, _)| all >= ALL_MAX || *caller == who);
    let each =
        candidates.flat_map(|(caller, own)| own.iter().map(move |(id, session)| (caller, id, session)));
    let each = each.filter(|(_, _, session)| !session.is_held_open);
    // Looks at every session, which is rare: only an opening beyond a bound does it.
    let oldest = each.min_by_key(|(_, _, session)| session.used_ms.load(Ordering::Acquire));
    if let Some((caller, id)) = oldest.map(|(caller, id, _)| (caller.clone(), id.clone())) {
        remove(sessions, &caller, &id);
    }
}

fn remove(sessions: &mut BTreeMap<Caller, BTreeMap<SessionId, Arc<Session>>>, who: &Caller, id: &str) {
    let Some(own) = sessions.get_mut(who) else { return };
    own.remove(id);
    if own.is_empty() {
        sessions.remove(who);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(sessions: &Sessions, who: &str, seed: u8, now_ms: u64) -> String {
        sessions.enter(&Caller::named(who), SessionKey::New, [seed; 32], now_ms).unwrap().unwrap().0
    }

    fn reuse(sessions: &Sessions, who: &str, handle: &str, now_ms: u64) -> bool {
        let key = SessionKey::Handle(handle.into());
        sessions.enter(&Caller::named(who), key, [0; 32], now_ms).is_ok()
    }

    #[test]
    fn a_handle_belongs_to_its_caller_and_expires_when_idle() {
        let sessions = Sessions::default();
        let handle = open(&sessions, "a", 1, 0);
        assert!(reuse(&sessions, "a", &handle, IDLE_MS - 1));
        assert!(reuse(&sessions, "a", &handle, 2 * IDLE_MS - 2), "each use keeps it");
        assert!(!reuse(&sessions, "b", &handle, 2 * IDLE_MS - 2));
        assert!(!reuse(&sessions, "a", &handle, 4 * IDLE_MS));
        assert!(!reuse(&sessions, "a", "guessed", 0));
    }

    #[test]
    fn a_session_beyond_the_bound_ends_the_callers_oldest() {
        let sessions = Sessions::default();
        let other = open(&sessions, "b", 200, 0);
        let handles: Vec<String> = (0..=64).map(|i| open(&sessions, "a", i, 1 + u64::from(i))).collect();
        assert!(!reuse(&sessions, "a", &handles[0], 100));
        assert!(reuse(&sessions, "a", &handles[1], 100) && reuse(&sessions, "b", &other, 100));
    }

    #[test]
    fn a_session_that_a_transport_holds_open_lives_until_it_ends() {
        let sessions = TransportSessions::default();
        let ann = Caller::named("a");
        let held = sessions.open(&ann, "t".into());
        let of_transport = || {
            sessions
                .0
                .enter(&ann, SessionKey::Transport("t".into()), [0; 32], 3 * IDLE_MS)
                .unwrap()
                .unwrap()
                .1
        };
        let first = of_transport();
        for i in 0..=64 {
            open(&sessions.0, "a", i, 4 * IDLE_MS + u64::from(i));
        }
        assert!(Arc::ptr_eq(&first, &of_transport()), "neither time nor other sessions end it");
        let handles = sessions.0.0.read().unwrap().values().map(BTreeMap::len).sum::<usize>();
        assert_eq!(handles, PER_CALLER_MAX + 1, "it counts as none of them");
        drop(held);
        assert!(sessions.0.get(&ann, "t").is_none());
        assert!(!Arc::ptr_eq(&first, &of_transport()), "a late call remembers nothing of it");
    }

    #[test]
    fn the_bound_on_all_sessions_ends_the_oldest() {
        let sessions = Sessions::default();
        let callers = ALL_MAX / PER_CALLER_MAX + 1;
        let mut handles = Vec::new();
        for i in 0..=ALL_MAX {
            let key = SessionKey::Transport(i.to_string());
            let who = format!("c{}", i % callers);
            sessions.enter(&Caller::named(&who), key, [0; 32], i as u64).unwrap();
            handles.push((who, i.to_string()));
        }
        let now = ALL_MAX as u64;
        let is_open = |(who, id): &(String, String)| reuse(&sessions, who, id, now);
        assert!(!is_open(&handles[0]) && is_open(&handles[1]) && is_open(&handles[ALL_MAX]));
    }
}
