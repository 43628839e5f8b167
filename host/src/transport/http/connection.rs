//! Connections: how many, how long each may keep us waiting, and how they end.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;

use crate::host::Host;
use crate::transport::drained;

/// Time for answers that are written to reach their readers.
const FLUSH: Duration = Duration::from_millis(500);

/// Pause after a connection could not be accepted: out of descriptors, mostly.
const PAUSE: Duration = Duration::from_millis(50);

/// Accepts until `stop`; then the calls that run have their time to end, and are sealed as cancelled after it.
pub(super) async fn serve(
    host: &Host,
    listener: TcpListener,
    router: Router,
    open_streams: CancellationToken,
    stop: impl Future<Output = ()>,
) -> std::io::Result<()> {
    let places = Arc::new(Semaphore::new(host.http().connections_max as usize));
    let graceful = GracefulShutdown::new();
    let mut stop = pin!(stop);
    loop {
        let place = tokio::select! {
            // It is never closed.
            Ok(place) = places.clone().acquire_owned() => place,
            () = &mut stop => break,
        };
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => begin(host, stream, &router, &graceful, place),
                Err(err) => {
                    tracing::warn!("a connection could not be accepted: {err}");
                    tokio::time::sleep(PAUSE).await;
                }
            },
            () = &mut stop => break,
        }
    }
    drop(listener);
    drain(host, open_streams, graceful).await;
    Ok(())
}

fn begin(
    host: &Host,
    stream: TcpStream,
    router: &Router,
    graceful: &GracefulShutdown,
    place: OwnedSemaphorePermit,
) {
    // Answers are small and whole: waiting to fill a packet only delays them.
    let _ = stream.set_nodelay(true);
    let http = host.http();
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(Duration::from_millis(http.write_deadline_ms)));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(http.read_deadline_ms))
        .serve_connection(TokioIo::new(Box::pin(stream)), TowerToHyperService::new(router.clone()));
    let connection = graceful.watch(connection);
    tokio::spawn(async move {
        let _place = place;
        if let Err(err) = connection.await {
            tracing::debug!("a connection ended: {err}");
        }
    });
}

async fn drain(host: &Host, open_streams: CancellationToken, graceful: GracefulShutdown) {
    let mut closing = pin!(graceful.shutdown());
    // Idle connections close at once; those that hold a stream open would never.
    tokio::select! {
        () = &mut closing => return,
        () = drained(host) => {}
    }
    open_streams.cancel();
    // What does not end now is dropped with the runtime, and sealed as cancelled.
    let _ = tokio::time::timeout(FLUSH, closing).await;
}
