//! What a request carries besides its parameters: who calls, in which session, in which trace.

use http::request::Parts;
use rmcp::model::Extensions;
use rmcp::service::{RequestContext, RoleServer};

use super::meta_key;
use airlock_types::call::TraceParent;
use airlock_types::principal::Principal;
use airlock_types::session::{SESSION_HEADER, SessionKey};

/// The header of the legacy protocol's session, which rmcp mints and checks.
const LEGACY_SESSION_HEADER: &str = "mcp-session-id";

/// Who calls: whom the HTTP layer found, or the local caller over stdio.
pub(super) fn who(extensions: &Extensions) -> Principal {
    let found = extensions.get::<Parts>().map(|parts| parts.extensions.get::<Principal>().cloned());
    match found {
        None => Principal::local(),
        // A request over HTTP that no layer has looked at has no rights.
        Some(principal) => principal.unwrap_or_else(|| Principal::named("")),
    }
}

tokio::task_local! {
    /// The caller whose request is being served: rmcp asks for a tool's schema without saying for whom.
    static SERVED: Principal;
}

/// Serves a request of this caller.
pub(crate) async fn serve<T>(who: Principal, request: impl Future<Output = T>) -> T {
    SERVED.scope(who, request).await
}

/// The caller whose request is being served; none outside of [`serve`].
pub(super) fn served() -> Option<Principal> {
    SERVED.try_with(Principal::clone).ok()
}

/// The session that a request says it belongs to: `_meta` before the header before the legacy session.
pub(super) fn session(context: &RequestContext<RoleServer>) -> SessionKey {
    let said = context.meta.0.0.get(meta_key::SESSION).and_then(|value| value.as_str());
    let Some(parts) = context.extensions.get::<Parts>() else {
        return said.map_or_else(|| SessionKey::Transport("stdio".into()), SessionKey::said);
    };
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    match (said.or_else(|| header(SESSION_HEADER)), header(LEGACY_SESSION_HEADER)) {
        (Some(said), _) => SessionKey::said(said),
        (None, Some(legacy)) => SessionKey::Transport(format!("mcp {legacy}")),
        (None, None) => SessionKey::None,
    }
}

/// The trace that a request belongs to: `_meta` (SEP-414) before the HTTP header.
pub(super) fn trace(context: &RequestContext<RoleServer>) -> Option<TraceParent> {
    let meta = &context.meta.0;
    if let Some(parent) = meta.get_traceparent() {
        return Some(TraceParent {
            parent: parent.to_owned(),
            state: meta.get_tracestate().map(str::to_owned),
        });
    }
    let headers = &context.extensions.get::<Parts>()?.headers;
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    Some(TraceParent { parent: header("traceparent")?, state: header("tracestate") })
}
