//! Facts that a request carries besides its parameters: caller, session, trace.

use http::HeaderMap;
use http::request::Parts;
use rmcp::model::{Extensions, RequestMetaObject};
use rmcp::service::{RequestContext, RoleServer};

use super::meta_key;
use airlock_types::call::TraceParent;
use airlock_types::caller::Caller;
use airlock_types::session::{SESSION_HEADER, SessionKey};

/// The session header of the legacy protocol. rmcp issues and checks its values.
const LEGACY_SESSION_HEADER: &str = "mcp-session-id";

/// The caller: the one that the HTTP layer authenticated, or the local caller over stdio.
pub(super) fn who(extensions: &Extensions) -> Caller {
    let found = extensions.get::<Parts>().map(|parts| parts.extensions.get::<Caller>().cloned());
    match found {
        None => Caller::local(),
        // Fail closed: an HTTP request without an authenticated caller gets a caller without rights.
        Some(caller) => caller.unwrap_or_else(|| Caller::named("")),
    }
}

tokio::task_local! {
    /// The caller of the request being served. Task-local, because rmcp asks for a tool's schema without a caller.
    static SERVED: Caller;
}

/// Runs a request with its caller set for [`served`].
pub(crate) async fn serve<T>(who: Caller, request: impl Future<Output = T>) -> T {
    SERVED.scope(who, request).await
}

/// The caller of the request being served. `None` outside of [`serve`].
pub(super) fn served() -> Option<Caller> {
    SERVED.try_with(Caller::clone).ok()
}

/// The session that a request names: in `_meta`, else in the header, else the legacy session.
pub(super) fn session(context: &RequestContext<RoleServer>) -> SessionKey {
    session_of(&context.meta, headers(context))
}

/// The same for a request with these headers; none over stdio.
pub(super) fn session_of(meta: &RequestMetaObject, headers: Option<&HeaderMap>) -> SessionKey {
    let said = meta.0.0.get(meta_key::SESSION).and_then(|value| value.as_str());
    // No HTTP request: over stdio the process itself is the session, unless the request names another.
    let Some(headers) = headers else {
        return said.map_or_else(|| SessionKey::Transport("stdio".into()), SessionKey::parse);
    };
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    match (said.or_else(|| header(SESSION_HEADER)), header(LEGACY_SESSION_HEADER)) {
        (Some(said), _) => SessionKey::parse(said),
        // Prefixed, so that a legacy session id cannot equal the key of another transport.
        (None, Some(legacy)) => SessionKey::Transport(format!("mcp {legacy}")),
        (None, None) => SessionKey::None,
    }
}

/// The trace that a request belongs to: from `_meta` (SEP-414), else from the HTTP header.
pub(super) fn trace(context: &RequestContext<RoleServer>) -> Option<TraceParent> {
    trace_of(&context.meta, headers(context))
}

/// The same for a request with these headers; none over stdio.
pub(super) fn trace_of(meta: &RequestMetaObject, headers: Option<&HeaderMap>) -> Option<TraceParent> {
    let meta = &meta.0;
    if let Some(parent) = meta.get_traceparent() {
        return Some(TraceParent {
            parent: parent.to_owned(),
            state: meta.get_tracestate().map(str::to_owned),
        });
    }
    let headers = headers?;
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    Some(TraceParent { parent: header("traceparent")?, state: header("tracestate") })
}

fn headers(context: &RequestContext<RoleServer>) -> Option<&HeaderMap> {
    context.extensions.get::<Parts>().map(|parts| &parts.headers)
}
