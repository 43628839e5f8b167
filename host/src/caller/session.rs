//! Sessions: what a host remembers between the calls of one caller.
//!
//! Owns their handles, their life and their bounds, and the loop guard that lives in them. A session is
//! (principal, key): the stdio process, the legacy protocol's session id, or a handle that the host minted.
//! A handle of somebody else's is the same as one that never was. Must not know transports or what calls do.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::Principal;

/// A session that nobody uses for so long is over.
pub const IDLE_MS: u64 = 30 * 60_000;

/// Sessions of one caller; one more, and its oldest is over.
const PER_CALLER_MAX: usize = 64;

/// Sessions of all callers together; one more, and the oldest of all is over.
const ALL_MAX: usize = 10_000;

/// Calls that a session remembers for its loop guard.
const REMEMBERED: usize = 32;

/// From so many identical failed calls on, the reply says that it will not change.
pub const LOOP_FROM: u32 = 3;

/// The session that a call says it belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SessionKey {
    /// None: the call is its own session.
    #[default]
    None,
    /// One shall be opened, its handle be in the reply.
    New,
    /// A handle that the host minted.
    Handle(String),
    /// One that a transport holds open: the stdio process, or the legacy protocol's session.
    Transport(String),
}

/// In the place of a handle: open one.
pub const NEW_SESSION: &str = "new";

/// The header of a session's handle.
pub const SESSION_HEADER: &str = "airlock-session";

impl SessionKey {
    /// What a caller says in the place of a handle.
    pub fn said(text: &str) -> SessionKey {
        if text == NEW_SESSION { SessionKey::New } else { SessionKey::Handle(text.to_owned()) }
    }
}

/// A session that is open; its id is the handle, or the transport's key.
pub type SessionId = String;

/// The handle is not known: it expired, never was, or is somebody else's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the session is not known: it has expired, or it is another caller's")]
pub struct UnknownSession;

/// All sessions of a host.
#[derive(Debug, Default)]
pub(crate) struct Sessions(Mutex<BTreeMap<(Principal, SessionId), Session>>);

#[derive(Debug, Default)]
struct Session {
    used_ms: u64,
    /// The last failed calls, by digest, and how often each came in a row.
    failed: VecDeque<(String, u32)>,
}

impl Sessions {
    /// The session of a call: found, opened, or none.
    pub(crate) fn enter(
        &self,
        who: &Principal,
        key: SessionKey,
        seed: [u8; 32],
        now_ms: u64,
    ) -> Result<Option<SessionId>, UnknownSession> {
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (id, may_open) = match key {
            SessionKey::None => return Ok(None),
            SessionKey::New => (URL_SAFE_NO_PAD.encode(seed), true),
            SessionKey::Transport(id) => (id, true),
            SessionKey::Handle(id) => (id, false),
        };
        let place = (who.clone(), id.clone());
        let live = |session: &Session| now_ms.saturating_sub(session.used_ms) < IDLE_MS;
        if sessions.get(&place).is_some_and(live) {
            sessions.entry(place).and_modify(|session| session.used_ms = now_ms);
            return Ok(Some(id));
        }
        if !may_open {
            return Err(UnknownSession);
        }
        make_room(&mut sessions, who, live);
        sessions.insert(place, Session { used_ms: now_ms, ..Session::default() });
        Ok(Some(id))
    }

    /// Takes in how a call ended: how often this very call has failed in this session, in a row. What the call was
    /// is asked only where some call failed.
    pub(crate) fn note(&self, who: &Principal, id: &str, call: impl FnOnce() -> String, failed: bool) -> u32 {
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(session) = sessions.get_mut(&(who.clone(), id.to_owned())) else { return 0 };
        if !failed && session.failed.is_empty() {
            return 0;
        }
        let call = call();
        let at = session.failed.iter().position(|(digest, _)| *digest == call);
        let before = at.and_then(|at| session.failed.remove(at)).map_or(0, |(_, count)| count);
        if !failed {
            return 0;
        }
        session.failed.push_back((call, before + 1));
        if session.failed.len() > REMEMBERED {
            session.failed.pop_front();
        }
        before + 1
    }
}

/// What has expired goes; then, over a bound, what was used longest ago.
fn make_room(
    sessions: &mut BTreeMap<(Principal, SessionId), Session>,
    who: &Principal,
    live: impl Fn(&Session) -> bool,
) {
    let own = |sessions: &BTreeMap<(Principal, SessionId), Session>| {
        sessions.keys().filter(|(principal, _)| principal == who).count()
    };
    if own(sessions) < PER_CALLER_MAX && sessions.len() < ALL_MAX {
        return;
    }
    sessions.retain(|_, session| live(session));
    let of_all = sessions.len() >= ALL_MAX;
    if own(sessions) < PER_CALLER_MAX && !of_all {
        return;
    }
    let candidates = sessions.iter().filter(|((principal, _), _)| of_all || principal == who);
    let oldest = candidates.min_by_key(|(_, session)| session.used_ms).map(|(place, _)| place.clone());
    oldest.and_then(|place| sessions.remove(&place));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(sessions: &Sessions, who: &str, seed: u8, now_ms: u64) -> String {
        sessions.enter(&Principal::named(who), SessionKey::New, [seed; 32], now_ms).unwrap().unwrap()
    }

    fn reuse(sessions: &Sessions, who: &str, handle: &str, now_ms: u64) -> bool {
        let key = SessionKey::Handle(handle.into());
        sessions.enter(&Principal::named(who), key, [0; 32], now_ms).is_ok()
    }

    #[test]
    fn a_handle_is_its_callers_alone_and_expires_when_idle() {
        let sessions = Sessions::default();
        let handle = open(&sessions, "a", 1, 0);
        assert!(reuse(&sessions, "a", &handle, IDLE_MS - 1));
        assert!(reuse(&sessions, "a", &handle, 2 * IDLE_MS - 2), "each use keeps it");
        assert!(!reuse(&sessions, "b", &handle, 2 * IDLE_MS - 2));
        assert!(!reuse(&sessions, "a", &handle, 4 * IDLE_MS));
        assert!(!reuse(&sessions, "a", "guessed", 0));
    }

    #[test]
    fn one_session_too_many_ends_the_callers_oldest() {
        let sessions = Sessions::default();
        let other = open(&sessions, "b", 200, 0);
        let handles: Vec<String> = (0..=64).map(|i| open(&sessions, "a", i, 1 + u64::from(i))).collect();
        assert!(!reuse(&sessions, "a", &handles[0], 100));
        assert!(reuse(&sessions, "a", &handles[1], 100) && reuse(&sessions, "b", &other, 100));
    }

    #[test]
    fn counts_the_same_failed_call_until_it_succeeds() {
        let sessions = Sessions::default();
        let who = Principal::named("a");
        let handle = open(&sessions, "a", 1, 0);
        let note = |call: &str, failed| sessions.note(&who, &handle, || call.to_owned(), failed);
        assert_eq!([note("x", true), note("x", true), note("y", true), note("x", true)], [1, 2, 1, 3]);
        assert_eq!([note("x", false), note("x", true)], [0, 1]);
        assert_eq!(sessions.note(&who, "unknown", || "x".into(), true), 0);
    }
}
