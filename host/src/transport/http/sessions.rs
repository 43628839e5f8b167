//! Sessions of the protocol's handshake era: whose each is, and how many there may be.
//!
//! rmcp mints and keeps them without asking who; here each is bound to the caller that opened it. To anybody
//! else it does not exist.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use rmcp::transport::streamable_http_server::session::SessionManager as _;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;

use super::Door;
use crate::api::problem::{self, Problem};
use crate::caller::Principal;
use crate::mcp::context;

const HEADER: &str = "mcp-session-id";

pub(super) struct SessionBindings {
    manager: Arc<LocalSessionManager>,
    max: usize,
    owners: Mutex<BTreeMap<String, Principal>>,
}

impl SessionBindings {
    pub(super) fn new(manager: Arc<LocalSessionManager>, max: u32) -> SessionBindings {
        SessionBindings { manager, max: max as usize, owners: Mutex::default() }
    }

    fn owners(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Principal>> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_of(&self, id: &str, who: &Principal) -> bool {
        self.owners().get(id) == Some(who)
    }

    /// Whether one more may be opened; those that rmcp has closed in the meantime are forgotten first.
    async fn has_room(&self) -> bool {
        if self.owners().len() < self.max {
            return true;
        }
        let ids: Vec<String> = self.owners().keys().cloned().collect();
        for id in ids {
            // It never fails; if it did, the session is better kept than lost.
            if !self.manager.has_session(&id.as_str().into()).await.unwrap_or(true) {
                self.owners().remove(&id);
            }
        }
        self.owners().len() < self.max
    }
}

fn id(headers: &HeaderMap) -> Option<String> {
    Some(headers.get(HEADER)?.to_str().unwrap_or_default().to_owned())
}

pub(super) async fn bind(State(door): State<Arc<Door>>, request: Request, next: Next) -> Response {
    let who = request.extensions().get::<Principal>().cloned();
    let Some(who) = who else { return problem::forbidden("the caller is not known") };
    let sessions = &door.sessions;
    let named = id(request.headers());
    if named.as_ref().is_some_and(|id| !sessions.is_of(id, &who)) {
        let detail = "there is no such session; it may have expired: begin anew with `initialize`";
        return problem::response(&Problem::new(StatusCode::NOT_FOUND, "no-session", detail));
    }
    // Only a request without a session can open one.
    if named.is_none() && !sessions.has_room().await {
        let detail = "too many sessions are open; close one, or use the stateless revision of the protocol";
        let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "sessions-full", detail);
        return problem::response(&problem.retry_after_ms(Some(10_000)));
    }
    let closes = request.method() == http::Method::DELETE;
    let response = context::serve(who.clone(), next.run(request)).await;
    if let Some(opened) = id(response.headers()) {
        sessions.owners().entry(opened).or_insert(who);
    }
    if let Some(closed) = named.filter(|_| closes) {
        sessions.owners().remove(&closed);
    }
    response
}
