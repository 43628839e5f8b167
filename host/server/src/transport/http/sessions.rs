//! Sessions of the protocol's handshake era: whose each is, and how many there may be.
//!
//! rmcp mints and keeps them without asking who; here each is bound to the caller that opened it. To anybody
//! else it does not exist. No caller has more than half of them, and where all are taken the one that has most gives
//! up the one that it used longest ago.

mod bindings;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, Method, StatusCode};
use serde::Deserialize;

use super::shares::Taken;
use super::{Door, held};
use crate::api::problem;
use crate::api::problem::Problem;
use crate::mcp::context;
use airlock_types::principal::Principal;
pub(super) use bindings::SessionBindings;

const HEADER: &str = "mcp-session-id";

/// In the extensions of a request that may open a session.
#[derive(Clone, Copy, Debug)]
struct MayOpen;

/// Notes, while the body is at hand, whether a request may open a session: all others are served however many are
/// open.
pub(super) fn look(request: &mut http::request::Parts, body: &[u8]) {
    #[derive(Deserialize)]
    struct Head<'b> {
        #[serde(borrow)]
        method: std::borrow::Cow<'b, str>,
    }
    let header = request.headers.get("mcp-method").and_then(|method| method.to_str().ok());
    let opens = match header {
        // rmcp refuses a request whose body says otherwise.
        Some(method) => method == "initialize",
        // What cannot be read so is taken for the worst; rmcp refuses it.
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
    let who = request.extensions().get::<Principal>().cloned();
    let Some(who) = who else { return problem::forbidden("the caller is not known") };
    let may_open = request.extensions_mut().remove::<MayOpen>().is_some();
    let answered = async {
        match id(request.headers()) {
            Some(id) => within(&door, &id, &who, request, next).await,
            None if may_open => open(&door, &who, request, next).await,
            None => next.run(request).await,
        }
    };
    context::serve(who.clone(), answered).await
}

async fn within(door: &Door, id: &str, who: &Principal, request: Request, next: Next) -> Response {
    let Some(used) = door.sessions.enter(id, who) else {
        let detail = "there is no such session; it may have expired: begin anew with `initialize`";
        return problem::response(&Problem::new(StatusCode::NOT_FOUND, "no-session", detail));
    };
    let closes = request.method() == Method::DELETE;
    let is_answered = request.method() == Method::POST;
    let response = next.run(request).await;
    if closes {
        door.sessions.forget(id);
    }
    held::until_sent(response, move |to_its_end| used.end(is_answered && !to_its_end))
}

async fn open(door: &Door, who: &Principal, request: Request, next: Next) -> Response {
    let opening = match door.sessions.open(who).await {
        Ok(opening) => opening,
        Err(taken) => return full(taken),
    };
    let response = next.run(request).await;
    if let Some(id) = id(response.headers()) {
        opening.opened(id);
    }
    response
}

fn full(taken: Taken) -> Response {
    let (status, detail) = match taken {
        Taken::ByCaller => (
            StatusCode::TOO_MANY_REQUESTS,
            "this caller has its share of sessions open; close one, or use the stateless revision of the protocol",
        ),
        Taken::ByAll => (
            StatusCode::SERVICE_UNAVAILABLE,
            "too many sessions are open; try again later, or use the stateless revision of the protocol",
        ),
    };
    problem::response(&Problem::new(status, "sessions-full", detail).retry_after_ms(Some(10_000)))
}
