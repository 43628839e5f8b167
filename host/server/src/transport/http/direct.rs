//! Answers calls of the stateless revision of MCP without rmcp's service, as one JSON document.
//!
//! rmcp passes each request through three tasks, builds trees of it and of the called tool's definition, and answers with a
//! stream of events. That costs more than a call. A call goes this way when rmcp would have nothing to check in it but what is
//! checked here, and nothing to send before its answer. Owns that question. Must not know what a call means: `mcp::plain`
//! does. Every other request is left to rmcp, with all its checks and their error texts.

use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::header::ACCEPT;
use http::request::Parts;
use http::{HeaderMap, Method};
use http_body_util::BodyExt as _;

use super::accepted::BOTH;
use super::{Door, sessions};
use crate::mcp::arguments::RawArguments;
use crate::mcp::plain::{self, PlainCall};
use airlock::host::Host;
use airlock_types::caller::Caller;

/// The revision of the protocol whose calls stand alone, as its header names it.
const STATELESS: &str = "2026-07-28";

pub(super) async fn serve(State(door): State<Arc<Door>>, request: Request, next: Next) -> Response {
    if request.method() != Method::POST || !is_stateless_call(request.headers()) {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    // The body has been read, so this waits for nothing and copies nothing.
    let Ok(body) = body.collect().await else { return http::StatusCode::BAD_REQUEST.into_response() };
    let body: Bytes = body.to_bytes();
    let Some((call, who)) = plain_call(&door.host, &parts, &body) else {
        return next.run(Request::from_parts(parts, Body::from(body))).await;
    };
    let arguments = parts.extensions.get::<RawArguments>().map(|RawArguments(text)| text.clone());
    let (id, call) = call.call(who, &parts.headers, arguments);
    Json(plain::answer(&door.host, id, call).await).into_response()
}

/// Whether the headers are those of a call that stands alone, from a client that takes JSON.
fn is_stateless_call(headers: &HeaderMap) -> bool {
    let is = |name: &str, value: &str| {
        let mut all = headers.get_all(name).iter();
        all.next().is_some_and(|it| it == value) && all.next().is_none()
    };
    is("mcp-protocol-version", STATELESS)
        && is("mcp-method", "tools/call")
        && !headers.contains_key(sessions::HEADER)
        && headers.get(ACCEPT) == Some(&BOTH)
        && super::accepted::is_json(headers)
}

/// The call, if rmcp would find nothing in it to refuse.
fn plain_call<'m>(host: &Host, parts: &Parts, body: &'m [u8]) -> Option<(PlainCall<'m>, Caller)> {
    let call = PlainCall::read(body).filter(PlainCall::is_stateless)?;
    let mut named = parts.headers.get_all("mcp-name").iter();
    // Another name, or one in its base64 form, is for rmcp.
    if named.next()?.as_bytes() != call.name().as_bytes() || named.next().is_some() {
        return None;
    }
    let who = parts.extensions.get::<Caller>()?.clone();
    // Arguments that headers repeat are for rmcp, which compares them. A tool that this caller may not see has none.
    let has_headers = host.visible(&who).resolve(call.name()).is_ok_and(|tool| tool.contract.has_headers);
    (!has_headers).then_some((call, who))
}
