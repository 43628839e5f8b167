//! Facts that a request carries besides its parameters: caller, session, trace, idempotency key.

use http::HeaderMap;
use http::request::Parts;
use rmcp::model::{Extensions, RequestMetaObject};
use rmcp::service::{RequestContext, RoleServer};

use super::meta_key;
use crate::headers::only;
use airlock_types::call::{Call, IDEMPOTENCY_HEADER, TraceParent};
use airlock_types::caller::Caller;
use airlock_types::session::{SESSION_HEADER, SessionId, SessionKey};

/// The session header of the legacy protocol. rmcp issues and checks its values.
const LEGACY_SESSION_HEADER: &str = "mcp-session-id";

/// The session of a process that serves over stdio.
pub(crate) const STDIO: &str = "stdio";

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

/// Gives a call what its request says besides its parameters, on whatever way it came. A request over stdio has no headers.
pub(super) fn fill(call: &mut Call, meta: &RequestMetaObject, headers: Option<&HeaderMap>) {
    call.session = session(meta, headers);
    call.trace = trace(meta, headers);
    call.idempotency = idempotency(meta, headers);
}

/// The session that a request names: in `_meta`, else in the header, else the legacy session.
fn session(meta: &RequestMetaObject, headers: Option<&HeaderMap>) -> SessionKey {
    // What is there and no text is no handle either: it is refused, and not left out.
    let said = meta.0.0.get(meta_key::SESSION).map(|value| value.as_str().unwrap_or_default().to_owned());
    // No HTTP request: over stdio the process itself is the session, unless the request names another.
    let Some(headers) = headers else {
        return said.map_or_else(|| SessionKey::Transport(STDIO.into()), |said| SessionKey::parse(&said));
    };
    let legacy = || headers.get(LEGACY_SESSION_HEADER).and_then(|value| value.to_str().ok());
    match (said.or_else(|| only(headers, SESSION_HEADER)), legacy()) {
        (Some(said), _) => SessionKey::parse(&said),
        (None, Some(legacy)) => SessionKey::Transport(legacy_session(legacy)),
        (None, None) => SessionKey::None,
    }
}

/// The session of a legacy session id. Prefixed, so that it cannot equal that of another transport.
pub(crate) fn legacy_session(id: &str) -> SessionId {
    format!("mcp {id}")
}

/// The caller's key for a call: in `_meta`, else in the header.
fn idempotency(meta: &RequestMetaObject, headers: Option<&HeaderMap>) -> Option<String> {
    let said = meta.0.0.get(meta_key::IDEMPOTENCY);
    // What is there and no text is no key either: it is refused, and not left out.
    if let Some(said) = said {
        return Some(said.as_str().unwrap_or_default().to_owned());
    }
    only(headers?, IDEMPOTENCY_HEADER)
}

/// The trace that a request belongs to: from `_meta` (SEP-414), else from the HTTP header.
fn trace(meta: &RequestMetaObject, headers: Option<&HeaderMap>) -> Option<TraceParent> {
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

/// The headers of a request over HTTP.
pub(super) fn headers(context: &RequestContext<RoleServer>) -> Option<&HeaderMap> {
    context.extensions.get::<Parts>().map(|parts| &parts.headers)
}
