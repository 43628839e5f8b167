//! Connections: their deadlines, and how they begin and end. `places` bounds their number.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::places::{Connection, Place, Places};
use super::{Door, direct, form, held};
use crate::transport;
use airlock::host::Host;

/// Time for written responses to reach their clients at the end of serving.
const FLUSH: Duration = Duration::from_millis(500);

/// Pause after a connection could not be accepted. Without it the loop would use a whole core until a descriptor is
/// free.
const PAUSE: Duration = Duration::from_millis(50);

/// Size in bytes of the largest request head, and of one read. A token may have 16 KiB. hyper's default of 400 KiB
/// would allow 100 MiB for anonymous connections.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// Descriptors for other uses: the journal, compiled code, files that guests have open.
const OTHER_DESCRIPTORS: u64 = 512;

/// Accepts connections until `stop` resolves, then drains. Calls that still run after the drain time are sealed as
/// cancelled.
pub(super) async fn serve(
    door: &Arc<Door>,
    listener: TcpListener,
    router: Router,
    open_streams: CancellationToken,
    stop: impl Future<Output = ()>,
) -> std::io::Result<()> {
    let host = &*door.host;
    let (connections_max, strangers_max) = (host.http().connections_max, host.http().strangers_max);
    want_descriptors(u64::from(connections_max) + u64::from(strangers_max) + OTHER_DESCRIPTORS);
    let places = Places::new(connections_max, strangers_max);
    let graceful = GracefulShutdown::new();
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => begin(door, stream, &router, &graceful, places.enter(peer.ip())),
                Err(err) => {
                    tracing::warn!("a connection could not be accepted: {err}");
                    // The usual reason is a lack of descriptors. Closing an anonymous connection frees one.
                    places.close_one();
                    tokio::time::sleep(PAUSE).await;
                }
            },
            () = &mut stop => break,
        }
    }
    // Before the drain, so that new connections are refused at once instead of waiting in the listen queue.
    drop(listener);
    drain(host, open_streams, graceful).await;
    Ok(())
}

/// Raises the limit on open files. Its usual value of 1,024 is below what the default settings can need.
fn want_descriptors(wanted: u64) {
    match rlimit::increase_nofile_limit(wanted) {
        Ok(had) if had < wanted => {
            tracing::warn!("{had} descriptors are allowed, and {wanted} may be needed: raise `ulimit -n`");
        }
        Ok(_) => {}
        Err(err) => tracing::warn!("the bound on descriptors cannot be raised: {err}"),
    }
}

fn begin(
    door: &Arc<Door>,
    stream: TcpStream,
    router: &Router,
    graceful: &GracefulShutdown,
    place: Arc<Place>,
) {
    // Nagle's algorithm would delay small responses, which are written whole. An error here costs only that delay.
    let _ = stream.set_nodelay(true);
    let http = door.host.http();
    let read_deadline = Duration::from_millis(http.read_deadline_ms);
    let mut stream = TimeoutStream::new(stream);
    // hyper has a timeout for reading the head, but none for a client that stops reading its response.
    stream.set_write_timeout(Some(Duration::from_millis(http.write_deadline_ms)));
    let connection = place.connection.clone();
    let (door, router) = (door.clone(), router.clone());
    let service = service_fn(move |request| answer(door.clone(), place.clone(), router.clone(), request));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(read_deadline)
        .max_header_size(HEAD_BYTES_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(Box::pin(stream)), service);
    // The watched future finishes its current request on shutdown, then closes.
    let served = graceful.watch(served);
    tokio::spawn(async move {
        tokio::select! {
            served = served => {
                if let Err(err) = served {
                    tracing::debug!("a connection ended: {err}");
                }
            }
            () = connection.close.cancelled() => tracing::debug!("a connection gave way to another"),
            () = stranger_for(&connection, read_deadline) => tracing::debug!("the request did not arrive in time"),
        }
    });
}

/// Resolves when a connection has shown no credentials in time. Never resolves for a connection of a caller.
async fn stranger_for(connection: &Connection, time: Duration) {
    tokio::time::sleep(time).await;
    // A request whose token is being checked has a time limit of its own.
    while connection.is_strangers() && connection.is_busy() {
        tokio::time::sleep(time).await;
    }
    // Pending forever instead of returning: returning would close the connection in the `select!` above.
    if !connection.is_strangers() {
        std::future::pending::<()>().await;
    }
}

async fn answer(
    door: Arc<Door>,
    place: Arc<Place>,
    router: Router,
    mut request: Request<Incoming>,
) -> Result<Response, Infallible> {
    // Counted before the first check, so that the connection is not closed as idle while its request is handled.
    let busy = place.begin();
    let response = match form::fault(&request) {
        // Ambiguous requests never reach the router, whose layers each read a part of the head.
        Some(fault) => form::refused(fault),
        None => {
            request.extensions_mut().insert(place);
            match direct::answer(&door, request.map(Body::new)).await {
                Ok(response) => response,
                Err(request) => {
                    let Ok(response) = router.oneshot(*request).await;
                    response
                }
            }
        }
    };
    Ok(held::until_sent(response, move |_| drop(busy)))
}

async fn drain(host: &Host, open_streams: CancellationToken, graceful: GracefulShutdown) {
    let mut closing = pin!(graceful.shutdown());
    let mut all_closed = false;
    // Idle connections close at once. A connection with an open event stream never closes by itself, so the wait also
    // ends when no call is running.
    let answered = async {
        tokio::select! {
            () = &mut closing => all_closed = true,
            () = host.idle() => {}
        }
    };
    transport::drain(host, answered).await;
    if all_closed {
        return;
    }
    open_streams.cancel();
    // Connections that are still open are dropped with the runtime, and their calls are sealed as cancelled.
    let _ = tokio::time::timeout(FLUSH, closing).await;
}
