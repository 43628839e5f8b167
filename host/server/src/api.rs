//! The HTTP API for programs that are not agents: the tools under `/v1`, with the same envelope as on the other
//! transports.
//!
//! Owns paths, status codes, problem documents and the OpenAPI document, which is generated from the served tools.
//! Must not know sockets or authentication: the request already carries its caller. To add a path: a handler,
//! its line in `router`, and its entry in `openapi::fixed_paths`.

mod grade;
mod holds;
mod named;
mod openapi;
pub(crate) mod problem;

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use serde_json::json;

use crate::headers::only;
use crate::output::describe;
use airlock::host::Host;
use airlock::registry::UnknownTool;
use airlock_types::call::{Arguments, Call, IDEMPOTENCY_HEADER, TraceParent};
use airlock_types::caller::Caller;
use airlock_types::reply::Reply;
use airlock_types::session::{SESSION_HEADER, SessionKey};
use airlock_types::shorten::{clean, shorten};
use named::Named;
use problem::Problem;

/// The routes of the API. Generic over the state, so that any router can merge them.
pub(crate) fn router<S: Clone + Send + Sync + 'static>(host: Arc<Host>) -> Router<S> {
    Router::new()
        .route("/v1/tools", get(tools))
        .route("/v1/tools/{tool}", get(tool))
        .route("/v1/tools/{tool}/calls", post(call))
        .route("/v1/calls/{id}/grade", post(grade::grade))
        .route("/v1/holds", get(holds::list))
        .route("/v1/holds/{id}", get(holds::one))
        .route("/v1/holds/{id}/result", get(holds::result))
        .route("/v1/holds/{id}/reply", get(holds::reply))
        .route("/v1/holds/{id}/{decision}", post(holds::decide))
        .route("/v1/openapi.json", get(document))
        .with_state(host)
}

/// Lists the tools that the caller is offered.
async fn tools(State(host): State<Arc<Host>>, Extension(who): Extension<Caller>) -> Response {
    let visible = host.visible(&who);
    let tools: Vec<_> = visible.offered().map(|tool| describe(&visible, tool)).collect();
    Json(json!({ "tools": tools })).into_response()
}

/// Describes a tool.
async fn tool(
    State(host): State<Arc<Host>>,
    Extension(who): Extension<Caller>,
    Named(name): Named<String>,
) -> Response {
    // A tool that the caller may not call gets the response of a tool that does not exist.
    let visible = host.visible(&who);
    match visible.resolve(&name) {
        Ok(tool) => Json(describe(&visible, tool)).into_response(),
        Err(unknown) => no_such_tool(&unknown),
    }
}

/// Calls a tool. The body is its arguments: a JSON object.
async fn call(
    State(host): State<Arc<Host>>,
    Extension(who): Extension<Caller>,
    Named(name): Named<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    answer_call(&host, who, &name, &headers, body).await
}

/// Calls a tool, and answers as the API does.
pub(crate) async fn answer_call(
    host: &Host,
    who: Caller,
    name: &str,
    headers: &HeaderMap,
    body: Bytes,
) -> Response {
    if !is_json(headers) {
        let detail = "send the arguments as a JSON object, with `Content-Type: application/json`";
        return problem::response(&Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type", detail));
    }
    // The media type is checked because a web page can send other types across origins without a preflight request.
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    // The body goes to the inner door as text: a parse here would lose errors such as duplicate keys.
    let mut raw = Call::new(name, Arguments::Text(body));
    raw.caller = who;
    raw.session = only(headers, SESSION_HEADER).map_or(SessionKey::None, |handle| SessionKey::parse(&handle));
    raw.idempotency = only(headers, IDEMPOTENCY_HEADER);
    raw.trace = header("traceparent").map(|parent| TraceParent {
        parent: parent.to_owned(),
        state: header("tracestate").map(str::to_owned),
    });
    answer(&host.call(raw).await)
}

/// This document.
async fn document(State(host): State<Arc<Host>>, Extension(who): Extension<Caller>) -> Response {
    Json(openapi::document(&host.visible(&who), host.oauth().as_deref(), host.allows_anonymous()))
        .into_response()
}

fn is_json(headers: &HeaderMap) -> bool {
    let essence = |value: &HeaderValue| {
        let value = value.to_str().unwrap_or_default();
        value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
    };
    headers.get(http::header::CONTENT_TYPE).is_some_and(essence)
}

/// Returns an answer as it is, and any other reply as a problem document with the envelope in it.
fn answer(reply: &Reply) -> Response {
    let mut response = if reply.code.has_result() {
        Json(reply).into_response()
    } else {
        problem::response(&Problem::of(reply))
    };
    if let Some(Ok(session)) = reply.session.as_deref().map(HeaderValue::from_str) {
        response.headers_mut().insert(SESSION_HEADER, session);
    }
    let reply_at =
        reply.hold.as_ref().map(|hold| HeaderValue::try_from(format!("/v1/holds/{}/reply", hold.id)));
    if let Some(Ok(reply_at)) = reply_at {
        response.headers_mut().insert(header::LOCATION, reply_at);
    }
    response
}

fn no_such_tool(unknown: &UnknownTool) -> Response {
    let kind = airlock_types::code::Code::Unknown.as_str();
    problem::response(&Problem::new(StatusCode::NOT_FOUND, kind, &unknown.to_string()))
}

/// The 404 response for unknown paths.
pub(crate) async fn no_such_path(uri: Uri) -> Response {
    let path = shorten(&clean(uri.path()), 80);
    let detail = format!("there is nothing at `{path}`; tools are at `/v1/tools`, MCP at `/mcp`");
    problem::response(&Problem::new(StatusCode::NOT_FOUND, "no-such-path", &detail))
}

/// The 405 response for methods that a path does not support.
pub(crate) async fn no_such_method() -> Response {
    let detail = "the path exists, but not for this method; `Allow` names those that it has";
    problem::response(&Problem::new(StatusCode::METHOD_NOT_ALLOWED, "no-such-method", detail))
}
