//! The open sessions, their owners, and the selection of a session to close.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rmcp::transport::streamable_http_server::session::SessionManager as _;

use super::super::request_ids::Sessions;
use super::super::shares::{NoShare, half};
use crate::mcp::context;
use airlock::caller::session::{TransportSession, TransportSessions};
use airlock_types::caller::Caller;
use airlock_types::environment::SharedEnvironment;

/// Idle time after which a session without open requests can be replaced. A live client keeps its event stream open.
const IDLE: Duration = Duration::from_secs(60);

/// Number of lost responses after which a session is closed. rmcp can keep some kilobytes of each until the session
/// ends. A client that disconnects this often is broken and must start a new session.
const LOST_MAX: u32 = 1_024;

/// Time limit for closing a session in rmcp. rmcp removes it from its table at once; only a worker with a slow reader
/// still waits, and it ends with its connection.
const CLOSING: Duration = Duration::from_secs(60);

pub(in super::super) struct SessionBindings {
    manager: Arc<Sessions>,
    environment: SharedEnvironment,
    /// Where the host keeps what a session remembers.
    memory: TransportSessions,
    max: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    sessions: BTreeMap<String, Session>,
    /// Number of sessions for each caller that rmcp has not created yet.
    opening: BTreeMap<Caller, usize>,
}

#[derive(Debug)]
struct Session {
    owner: Caller,
    used: Duration,
    /// Requests and event streams whose responses are not sent completely.
    requests: u32,
    lost: u32,
    /// What it remembers, for as long as it is here.
    _memory: TransportSession,
}

/// A running request in a session.
pub(super) struct ActiveRequest {
    bindings: Arc<SessionBindings>,
    id: String,
}

/// A session that is being opened. Dropping it without [`Opening::opened`] releases its slot.
pub(super) struct Opening {
    bindings: Arc<SessionBindings>,
    who: Caller,
}

impl SessionBindings {
    pub(in super::super) fn new(
        manager: Arc<Sessions>,
        (environment, memory): (SharedEnvironment, TransportSessions),
        max: u32,
    ) -> Arc<SessionBindings> {
        Arc::new(SessionBindings { manager, environment, memory, max: max as usize, open: Mutex::default() })
    }

    /// Starts a request in a session. `None` if the session does not belong to the caller.
    pub(super) fn enter(self: &Arc<SessionBindings>, id: &str, who: &Caller) -> Option<ActiveRequest> {
        let now = self.environment.monotonic();
        let mut open = self.lock();
        let session = open.sessions.get_mut(id).filter(|session| session.owner == *who)?;
        (session.used, session.requests) = (now, session.requests + 1);
        Some(ActiveRequest { bindings: self.clone(), id: id.to_owned() })
    }

    pub(super) fn forget(&self, id: &str) {
        self.lock().sessions.remove(id);
    }

    /// Reserves a slot for one more session of a caller, closing another session if necessary.
    pub(super) async fn open(self: &Arc<SessionBindings>, who: &Caller) -> Result<Opening, NoShare> {
        // Scoped, because the lock must not be held across an await. The state is checked again below.
        let is_close = {
            let open = self.lock();
            open.of(who) >= half(self.max) || open.all() >= self.max
        };
        if is_close {
            self.forget_closed().await;
        }
        let now = self.environment.monotonic();
        let mut open = self.lock();
        let is_idle = |it: &Session| it.requests == 0 && now.saturating_sub(it.used) >= IDLE;
        if open.of(who) >= half(self.max) {
            let closed = open.close(|it, _| it.owner == *who && is_idle(it));
            self.close(closed.ok_or(NoShare::ByCaller)?);
        }
        if open.all() >= self.max {
            let own = open.of(who);
            // Another caller's session is replaced without being idle only if that caller still has at least as many
            // afterwards.
            let closed = open.close(|it, count| count > own + 1 || is_idle(it));
            self.close(closed.ok_or(NoShare::ByAll)?);
        }
        // Counted before rmcp creates the session, so that parallel requests cannot pass the limit together.
        *open.opening.entry(who.clone()).or_default() += 1;
        Ok(Opening { bindings: self.clone(), who: who.clone() })
    }

    /// Removes sessions that rmcp closed. It closes idle ones without notification.
    async fn forget_closed(&self) {
        // rmcp's lock first, ours second and without an await: the order everywhere, so the two cannot deadlock.
        let living = self.manager.inner.sessions.read().await;
        self.lock().sessions.retain(|id, _| living.contains_key(id.as_str()));
    }

    /// Closes a session in the background.
    fn close(&self, id: String) {
        let manager = self.manager.clone();
        tokio::spawn(async move {
            let id = id.into();
            match tokio::time::timeout(CLOSING, manager.close_session(&id)).await {
                Ok(Ok(())) => {}
                Ok(Err(err)) => tracing::debug!("a session could not be closed: {err}"),
                Err(_) => tracing::debug!("a session did not end in time"),
            }
        });
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn of(&self, who: &Caller) -> usize {
        let opening = self.opening.get(who).copied().unwrap_or_default();
        opening + self.sessions.values().filter(|session| session.owner == *who).count()
    }

    fn all(&self) -> usize {
        self.sessions.len() + self.opening.values().sum::<usize>()
    }

    /// Removes a session that `may_go` selects, by itself and by the number of its owner's sessions. Prefers the owner
    /// with the most sessions, then sessions without an open stream, then the least recently used.
    fn close(&mut self, may_go: impl Fn(&Session, usize) -> bool) -> Option<String> {
        let mut counts: BTreeMap<&Caller, usize> = BTreeMap::new();
        for session in self.sessions.values() {
            *counts.entry(&session.owner).or_default() += 1;
        }
        let count = |session: &Session| counts.get(&session.owner).copied().unwrap_or_default();
        let going = self.sessions.iter().filter(|(_, session)| may_go(session, count(session)));
        let victim = going.min_by_key(|(_, it)| (Reverse(count(it)), it.requests, it.used));
        let victim = victim.map(|(id, _)| id.clone())?;
        self.sessions.remove(&victim);
        Some(victim)
    }
}

impl ActiveRequest {
    /// Ends the request. `lost` tells that the response was not sent completely.
    pub(super) fn end(self, lost: bool) {
        let ActiveRequest { bindings, id } = self;
        let now = bindings.environment.monotonic();
        let mut open = bindings.lock();
        let Some(session) = open.sessions.get_mut(&id) else { return };
        session.requests = session.requests.saturating_sub(1);
        session.used = now;
        session.lost += u32::from(lost);
        // Removed here at once, so that the session takes no further requests while rmcp closes it.
        if session.lost > LOST_MAX {
            open.sessions.remove(&id);
            bindings.close(id);
        }
    }
}

impl Opening {
    pub(super) fn opened(self, id: String) {
        let session = Session {
            owner: self.who.clone(),
            used: self.bindings.environment.monotonic(),
            requests: 0,
            lost: 0,
            _memory: self.bindings.memory.open(&self.who, context::legacy_session(&id)),
        };
        // Inserted before `self` drops, which releases the reserved slot: the session is counted at every moment.
        self.bindings.lock().sessions.insert(id, session);
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        let mut open = self.bindings.lock();
        let left = open.opening.get(&self.who).copied().unwrap_or_default().saturating_sub(1);
        if left == 0 {
            open.opening.remove(&self.who);
        } else {
            open.opening.insert(self.who.clone(), left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use airlock::environment::World;

    async fn open(bindings: &Arc<SessionBindings>, who: &str) -> Result<String, NoShare> {
        let opening = bindings.open(&Caller::named(who)).await?;
        let (id, _) = bindings.manager.create_session().await.unwrap();
        opening.opened(id.to_string());
        Ok(id.to_string())
    }

    fn bindings(max: u32) -> Arc<SessionBindings> {
        SessionBindings::new(Arc::default(), (Arc::new(World::new()), TransportSessions::default()), max)
    }

    #[tokio::test]
    async fn a_caller_has_half_of_the_sessions_and_the_others_the_rest() {
        let bindings = bindings(8);
        let mut own = Vec::new();
        for _ in 0..4 {
            own.push(open(&bindings, "a").await.unwrap());
        }
        assert_eq!(open(&bindings, "a").await.unwrap_err(), NoShare::ByCaller);
        for who in ["b", "b", "b", "c"] {
            open(&bindings, who).await.unwrap();
        }
        assert!(own.iter().all(|id| bindings.enter(id, &Caller::named("a")).is_some()));
    }

    #[tokio::test]
    async fn where_all_are_taken_the_largest_gives_up_what_it_used_longest_ago() {
        let bindings = bindings(4);
        let (old, busy) = (open(&bindings, "a").await.unwrap(), open(&bindings, "a").await.unwrap());
        let _stream = bindings.enter(&busy, &Caller::named("a")).unwrap();
        open(&bindings, "b").await.unwrap();
        open(&bindings, "b").await.unwrap();
        open(&bindings, "c").await.unwrap();
        let lives = |id: &str, who: &str| bindings.enter(id, &Caller::named(who)).is_some();
        assert!(!lives(&old, "a") && lives(&busy, "a"), "the oldest without a stream");
    }

    #[tokio::test]
    async fn a_session_that_is_being_opened_counts() {
        let bindings = bindings(4);
        let who = Caller::named("a");
        let opening = [bindings.open(&who).await.ok().unwrap(), bindings.open(&who).await.ok().unwrap()];
        assert_eq!(bindings.open(&who).await.err(), Some(NoShare::ByCaller));
        drop(opening);
        assert!(bindings.open(&who).await.is_ok());
    }

    #[tokio::test]
    async fn a_session_whose_answers_are_lost_again_and_again_is_closed() {
        let bindings = bindings(4);
        let (id, who) = (open(&bindings, "a").await.unwrap(), Caller::named("a"));
        for _ in 0..=LOST_MAX {
            bindings.enter(&id, &who).unwrap().end(true);
        }
        assert!(bindings.enter(&id, &who).is_none());
    }
}
