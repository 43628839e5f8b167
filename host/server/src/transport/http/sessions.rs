//! Sessions of the handshake-based protocol versions: their owners and their number.
//!
//! rmcp creates sessions without checking the caller. This module binds each session to the caller that opened it; for
//! other callers it does not exist. No caller has more than half of the sessions. If all are in use, the caller with
//! the most sessions loses the one that it used least recently.

mod bindings;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, Method, StatusCode};
use serde::Deserialize;

use super::shares::NoShare;
use super::{Door, held};
use crate::api::problem;
use crate::api::problem::Problem;
use crate::mcp::context;
use airlock_types::caller::Caller;
pub(super) use bindings::SessionBindings;

pub(super) const HEADER: &str = "mcp-session-id";

/// Marks a request that may open a session.
#[derive(Clone, Copy, Debug)]
struct MayOpen;

/// Marks a request that may open a session, while the body is available. Other requests are not limited by the number
/// of sessions.
pub(super) fn look(request: &mut http::request::Parts, body: &[u8]) {
    #[derive(Deserialize)]
    struct Head<'b> {
        #[serde(borrow)]
        method: std::borrow::Cow<'b, str>,
    }
    let header = request.headers.get("mcp-method").and_then(|method| method.to_str().ok());
    let opens = match header {
        // The header is sufficient: rmcp rejects a request whose body contradicts it.
        Some(method) => method == "initialize",
        // An unreadable body counts as opening a session, which is the stricter case. rmcp rejects it later.
        None => serde_json::from_slice::<Head<'_>>(body).ok().is_none_or(|head| head.method == "initialize"),
    };
    if opens && request.method == Method::POST {
        request.extensions.insert(MayOpen);
    }
}

fn id(headers: &HeaderMap) -> Option<String> {
    Some(headers.get(HEADER)?.to_str().unwrap_or_default().to_owned())
}

pub(super) async fn bind(State(door): State<Arc<Door>>, mut request: Request, next: Next) -> Response {
    let who = request.extensions().get::<Caller>().cloned();
    let Some(who) = who else { return problem::forbidden("the caller is not known") };
    let may_open = request.extensions_mut().remove::<MayOpen>().is_some();
    let answered = async {
        match id(request.headers()) {
            Some(id) => within(&door, &id, &who, request, next).await,
            None if may_open => open(&door, &who, request, next).await,
            None => next.run(request).await,
        }
    };
    // Also for requests without a session: rmcp checks headers of the stateless versions against a tool's schema as
    // well.
    context::serve(who.clone(), answered).await
}

async fn within(door: &Door, id: &str, who: &Caller, request: Request, next: Next) -> Response {
    let Some(used) = door.sessions.enter(id, who) else {
        let detail = "there is no such session; it may have expired: begin anew with `initialize`";
        return problem::response(&Problem::new(StatusCode::NOT_FOUND, "no-session", detail));
    };
    let closes = request.method() == Method::DELETE;
    let is_answered = request.method() == Method::POST;
    let response = next.run(request).await;
    // After rmcp has closed it, whether or not that succeeded: the client does not use the id again.
    if closes {
        door.sessions.forget(id);
    }
    // Only responses to POST count as lost: an event stream is normally closed by its client.
    held::until_sent(response, move |to_its_end| used.end(is_answered && !to_its_end))
}

async fn open(door: &Door, who: &Caller, request: Request, next: Next) -> Response {
    let opening = match door.sessions.open(who).await {
        Ok(opening) => opening,
        Err(taken) => return full(taken),
    };
    let response = next.run(request).await;
    // If rmcp created no session, dropping `opening` releases the slot.
    if let Some(id) = id(response.headers()) {
        opening.opened(id);
    }
    response
}

fn full(taken: NoShare) -> Response {
    let (status, detail) = match taken {
        NoShare::ByCaller => (
            StatusCode::TOO_MANY_REQUESTS,
            "this caller has its share of sessions open; close one, or use the stateless revision of the protocol",
        ),
        NoShare::ByAll => (
            StatusCode::SERVICE_UNAVAILABLE,
            "too many sessions are open; try again later, or use the stateless revision of the protocol",
        ),
    };
    problem::response(&Problem::new(status, "sessions-full", detail).retry_after_ms(Some(10_000)))
}
