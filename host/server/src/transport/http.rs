//! HTTP: MCP for agents at `/mcp`, the API for programs under `/v1`, and probes and metrics for operators.
//!
//! Owns the order of a request's layers: its form, then `Host` and `Origin`, then a browser's preflight, then the
//! caller's identity and the caller's right to this connection, then the body, then event streams and sessions. Must not know tools. Terminate
//! TLS at a reverse proxy: this server speaks plain HTTP/1.1.

mod accepted;
mod authority;
mod body;
mod connection;
mod cors;
mod direct;
mod form;
mod held;
mod in_order;
mod jwks;
mod jwt;
mod names;
mod oauth;
mod places;
mod request_ids;
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
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::api;
use airlock::host::Host;
use airlock_types::caller::Caller;
use api::problem::Problem;
use authority::{Authority, Proof};
use names::Names;
use places::Place;
use request_ids::Sessions;
use sessions::SessionBindings;
use shares::{NoShare, Shares, half};

/// Where MCP is served.
pub const MCP_PATH: &str = "/mcp";

/// Interval of keep-alive comments on an open event stream, because some proxies close idle connections. The HTML
/// standard suggests 15 seconds.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// State that the layers share.
struct Door {
    host: Arc<Host>,
    names: Names,
    authority: Authority,
    sessions: Arc<SessionBindings>,
    streams: Arc<Shares>,
    bodies: Arc<Shares>,
    draining: AtomicBool,
}

/// Serves until `stop` resolves, then waits for running requests within the drain time.
///
/// # Errors
/// If the listener has no local address. Later failures to accept a connection are logged and retried.
pub async fn serve<H: ServerHandler>(
    host: Arc<Host>,
    listener: TcpListener,
    handler: impl Fn() -> H + Send + Sync + 'static,
    stop: impl Future<Output = ()>,
) -> std::io::Result<()> {
    let address = listener.local_addr()?;
    // Streams never end by themselves. This token ends them when everything else has been drained.
    let open_streams = CancellationToken::new();
    let manager = Arc::new(Sessions::default());
    let door = Arc::new(Door {
        names: Names::new(host.http(), address),
        authority: Authority::new(host.clone(), address),
        sessions: SessionBindings::new(
            manager.clone(),
            (host.environment().clone(), host.transport_sessions()),
            host.http().sessions_max,
        ),
        streams: Shares::new(half(host.http().connections_max as usize)),
        bodies: Shares::new(body::room(host.http().body_bytes_max)),
        draining: AtomicBool::new(false),
        host: host.clone(),
    });
    let config = StreamableHttpServerConfig::default()
        // `names` checks both for every path, not only for `/mcp`.
        .disable_allowed_hosts()
        .disable_allowed_origins()
        .with_max_request_body_bytes(host.http().body_bytes_max)
        .with_sse_keep_alive(Some(KEEP_ALIVE))
        .with_cancellation_token(open_streams.clone());
    let mcp = StreamableHttpService::new(move || Ok(handler()), manager, config);
    let router = router(door.clone(), mcp);
    let drain = async {
        stop.await;
        // From now on `/readyz` fails, so that load balancers send no further requests.
        door.draining.store(true, Ordering::Release);
    };
    connection::serve(&door, listener, router, open_streams, drain).await
}

fn router<H: ServerHandler>(door: Arc<Door>, mcp: StreamableHttpService<H, Sessions>) -> Router {
    // In axum the layer that is added last runs first: `identify` before `read`, so that an unauthenticated client
    // cannot make the server buffer a body.
    let layer = |router: Router<Arc<Door>>| {
        router
            .layer(middleware::from_fn_with_state(door.clone(), body::read))
            .layer(middleware::from_fn_with_state(door.clone(), identify))
    };
    let mcp = Router::new()
        .route(MCP_PATH, any_service(mcp))
        .layer(middleware::from_fn(in_order::keep))
        .layer(middleware::from_fn(accepted::serve))
        // Only MCP has sessions and streams. The bound on streams comes before sessions, so that a rejected stream is
        // not counted as a request of its session.
        .layer(middleware::from_fn_with_state(door.clone(), sessions::bind))
        .layer(middleware::from_fn_with_state(door.clone(), streams::bound));
    let known = layer(mcp.merge(api::router(door.host.clone())).route("/metrics", get(metrics)));
    known
        .route("/.well-known/oauth-protected-resource", get(authority::metadata))
        .route("/.well-known/oauth-protected-resource/{*path}", get(authority::metadata))
        // Before the layers that follow, which would not cover it otherwise: a preflight has a method that no path has.
        .method_not_allowed_fallback(api::no_such_method)
        // Before the caller is identified, because preflights have no token, and a page must be able to read a 401.
        .layer(cors::layer(door.clone()))
        // The metadata has no caller, because clients read it to find out how to get a token, but it has the check of
        // names.
        .layer(middleware::from_fn_with_state(door.clone(), names::check))
        // Added after the check of names: probes use the addresses of an orchestrator, and their responses reveal
        // words of the host and what the kernel enforces on this process.
        .route("/healthz", get(|| async { Json(json!({"status": "ok"})) }))
        .route("/readyz", get(ready))
        .fallback(api::no_such_path)
        .method_not_allowed_fallback(api::no_such_method)
        .with_state(door)
}

/// Identifies the caller, and assigns the connection to that caller. Rejects the request if either fails.
async fn identify(State(door): State<Arc<Door>>, mut request: Request, next: Next) -> Response {
    match identified(&door, &mut request).await {
        Ok((who, proof)) => {
            request.extensions_mut().insert(who);
            request.extensions_mut().insert(proof);
            next.run(request).await
        }
        Err(refused) => *refused,
    }
}

/// The caller of a request, to whom its connection belongs from now on, or the response.
async fn identified(door: &Door, request: &mut Request) -> Result<(Caller, Proof), Box<Response>> {
    let found = door.authority.identify(request.headers()).await;
    let (who, proof) = found.map_err(|refused| Box::new(refused.response(&door.authority)))?;
    if let Some(place) = request.extensions_mut().remove::<Arc<Place>>() {
        place.claim(&who).map_err(|taken| Box::new(no_connection(taken)))?;
    }
    Ok((who, proof))
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
    // The connection stays anonymous, and must not occupy one of those places for longer.
    form::close(&mut response);
    response
}

async fn ready(State(door): State<Arc<Door>>) -> Response {
    let draining = door.draining.load(Ordering::Acquire).then_some("draining");
    let said = |status: &str| {
        let mut said = json!({"status": status, "confinement": door.host.confinement()});
        let degraded = door.host.degraded();
        // Not a status of its own: the server answers calls, and a load balancer must not take it away for it.
        if !degraded.is_empty() {
            said["degraded"] = json!(degraded);
        }
        Json(said)
    };
    match draining.or_else(|| door.host.trouble()) {
        None => said("ready").into_response(),
        Some(trouble) => (StatusCode::SERVICE_UNAVAILABLE, said(trouble)).into_response(),
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

/// Binds the listener. The default address in the config is a loopback address, so that only this machine reaches the
/// port.
///
/// # Errors
/// If the address cannot be bound.
pub async fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}
