//! HTTP: MCP for agents at `/mcp`, the API for programs under `/v1`, and what an operator watches.
//!
//! Owns the way of a request: its form first, then `Host` and `Origin`, then who it is and whether its connection may be
//! that caller's, then the body, then event streams and sessions. Must not know tools. Terminate TLS at a reverse
//! proxy: this speaks plain HTTP/1.1.

mod authority;
mod body;
mod connection;
mod form;
mod held;
mod jwks;
mod jwt;
mod names;
mod oauth;
mod places;
mod sessions;
mod shares;
mod streams;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any_service, get};
use axum::{Json, Router};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use rmcp::ServerHandler;
use rmcp::transport::StreamableHttpService;
use rmcp::transport::streamable_http_server::StreamableHttpServerConfig;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::api;
use airlock::host::Host;
use airlock_types::caller::Caller;
use api::problem::Problem;
use authority::Authority;
use names::Names;
use places::Place;
use sessions::SessionBindings;
use shares::{NoShare, Shares, half};

/// Where MCP is served.
pub const MCP_PATH: &str = "/mcp";

/// How often those who wait on an open stream hear that it lives.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// What the layers share.
struct Door {
    host: Arc<Host>,
    names: Names,
    authority: Authority,
    sessions: Arc<SessionBindings>,
    streams: Arc<Shares>,
    bodies: Arc<Shares>,
    draining: AtomicBool,
}

/// Serves until `stop`, then lets what runs end within the drain time.
///
/// # Errors
/// When the listener fails.
pub async fn serve<H: ServerHandler>(
    host: Arc<Host>,
    listener: TcpListener,
    handler: impl Fn() -> H + Send + Sync + 'static,
    stop: impl Future<Output = ()>,
) -> std::io::Result<()> {
    let address = listener.local_addr()?;
    let open_streams = CancellationToken::new();
    let manager = Arc::new(LocalSessionManager::default());
    let door = Arc::new(Door {
        names: Names::new(host.http(), address),
        authority: Authority::new(host.clone(), address),
        sessions: SessionBindings::new(manager.clone(), host.environment().clone(), host.http().sessions_max),
        streams: Shares::new(half(host.http().connections_max as usize)),
        bodies: Shares::new(body::room(host.http().body_bytes_max)),
        draining: AtomicBool::new(false),
        host: host.clone(),
    });
    let config = StreamableHttpServerConfig::default()
        // `names` looks at both for every path, not only MCP's.
        .disable_allowed_hosts()
        .disable_allowed_origins()
        .with_max_request_body_bytes(host.http().body_bytes_max)
        .with_sse_keep_alive(Some(KEEP_ALIVE))
        .with_cancellation_token(open_streams.clone());
    let mcp = StreamableHttpService::new(move || Ok(handler()), manager, config);
    let router = router(door.clone(), mcp);
    let drain = async {
        stop.await;
        door.draining.store(true, Ordering::Release);
    };
    connection::serve(&host, listener, router, open_streams, drain).await
}

fn router<H: ServerHandler>(door: Arc<Door>, mcp: StreamableHttpService<H, LocalSessionManager>) -> Router {
    let layer = |router: Router<Arc<Door>>| {
        router
            .layer(middleware::from_fn_with_state(door.clone(), body::read))
            .layer(middleware::from_fn_with_state(door.clone(), identify))
    };
    let mcp = Router::new()
        .route(MCP_PATH, any_service(mcp))
        .layer(middleware::from_fn_with_state(door.clone(), sessions::bind))
        .layer(middleware::from_fn_with_state(door.clone(), streams::bound));
    let known = layer(mcp.merge(api::router(door.host.clone())).route("/metrics", get(metrics)));
    known
        .route("/.well-known/oauth-protected-resource", get(authority::metadata))
        .route("/.well-known/oauth-protected-resource/{*path}", get(authority::metadata))
        .layer(middleware::from_fn_with_state(door.clone(), names::check))
        // Probes come by addresses of their own and learn nothing.
        .route("/healthz", get(|| async { Json(json!({"status": "ok"})) }))
        .route("/readyz", get(ready))
        .fallback(api::no_such_path)
        .method_not_allowed_fallback(api::no_such_method)
        .with_state(door)
}

/// Puts the caller into the request, or turns it away.
async fn identify(State(door): State<Arc<Door>>, mut request: Request, next: Next) -> Response {
    match door.authority.identify(request.headers()).await {
        Ok((who, proof)) => {
            if let Some(place) = request.extensions_mut().remove::<Arc<Place>>()
                && let Err(taken) = place.claim(&who)
            {
                return no_connection(taken);
            }
            request.extensions_mut().insert(who);
            request.extensions_mut().insert(proof);
            next.run(request).await
        }
        Err(refused) => refused.response(&door.authority),
    }
}

fn no_connection(taken: NoShare) -> Response {
    let (status, detail) = match taken {
        NoShare::ByCaller => (
            StatusCode::TOO_MANY_REQUESTS,
            "this caller has its share of connections, and all are in use; use one again when it is free",
        ),
        NoShare::ByAll => (StatusCode::SERVICE_UNAVAILABLE, "all connections are in use; try again later"),
    };
    let problem = Problem::new(status, "connections-full", detail).retry_after_ms(Some(1_000));
    let mut response = api::problem::response(&problem);
    form::close(&mut response);
    response
}

async fn ready(State(door): State<Arc<Door>>) -> Response {
    if door.draining.load(Ordering::Acquire) {
        return (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"status": "draining"}))).into_response();
    }
    match door.host.trouble() {
        None => Json(json!({"status": "ready"})).into_response(),
        Some(trouble) => (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"status": trouble}))).into_response(),
    }
}

async fn metrics(State(door): State<Arc<Door>>, request: Request) -> Response {
    let who = request.extensions().get::<Caller>();
    let Some(text) = who.and_then(|who| door.host.metrics(who)) else {
        return api::problem::forbidden("this caller may not read metrics: `callers.NAME.metrics` grants it");
    };
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(CONTENT_TYPE, kind)], text).into_response()
}

/// Listens, at an address that only this machine reaches unless the operator named another.
///
/// # Errors
/// When the address cannot be had.
pub async fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}
