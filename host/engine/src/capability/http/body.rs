//! The bodies of a request and its response, as they are counted.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use wasmtime_wasi_http::{Error, WasiBody};

use super::exchange::Exchange;
use super::pool::{Connection, Key, Pool};
use airlock_types::environment::{SharedEnvironment, Sleep};

/// The body of a request. It ends with an error at the bound of its grant.
pub(super) struct Sent {
    body: WasiBody,
    exchange: Arc<Exchange>,
}

impl Sent {
    pub(super) fn new(body: WasiBody, exchange: &Arc<Exchange>) -> Sent {
        // An empty body is never polled.
        if body.is_end_stream() {
            exchange.set_sent();
        }
        Sent { body, exchange: exchange.clone() }
    }
}

impl Body for Sent {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let polled = ready!(Pin::new(&mut self.body).poll_frame(context));
        if let Some(Ok(frame)) = &polled
            && !self.exchange.up(size(frame))
        {
            return Poll::Ready(Some(Err(Error::HttpRequestBodySize(None))));
        }
        if polled.is_none() || self.body.is_end_stream() {
            self.exchange.set_sent();
        }
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The time that a guest allows between two parts of a response.
pub(super) struct Pause {
    pub(super) time: Duration,
    pub(super) environment: SharedEnvironment,
    /// The present wait.
    pub(super) sleep: Option<Sleep>,
}

/// The body of a response. It ends with an error at the bound of its grant. Once it has been read to its end, its
/// connection is kept; dropped before, it closes the connection.
pub(super) struct Received {
    body: Incoming,
    exchange: Arc<Exchange>,
    connection: Option<(Key, Connection)>,
    pool: Arc<Pool>,
    pause: Option<Pause>,
}

impl Received {
    pub(super) fn new(
        body: Incoming,
        exchange: Arc<Exchange>,
        connection: (Key, Connection),
        pool: Arc<Pool>,
        pause: Option<Pause>,
    ) -> Received {
        let is_empty = body.is_end_stream();
        let mut received = Received { body, exchange, connection: Some(connection), pool, pause };
        // A body without bytes is never polled.
        if is_empty {
            received.settle();
        }
        received
    }

    /// Keeps the connection if nothing more is to come on it.
    fn settle(&mut self) {
        if self.exchange.is_sent()
            && let Some((key, connection)) = self.connection.take()
        {
            self.pool.put(key, connection);
        }
    }

    /// Ends the response early.
    fn fail(&mut self, error: Error) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.exchange.await_host(false);
        self.connection = None;
        Poll::Ready(Some(Err(error)))
    }

    /// Whether the guest has waited for longer than it allows.
    fn is_late(&mut self, context: &mut Context<'_>) -> bool {
        self.pause.as_mut().is_some_and(|Pause { time, environment, sleep }| {
            sleep.get_or_insert_with(|| environment.sleep(*time)).as_mut().poll(context).is_ready()
        })
    }
}

impl Body for Received {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        let Poll::Ready(polled) = polled else {
            self.exchange.await_host(true);
            if self.is_late(context) {
                return self.fail(Error::ConnectionReadTimeout);
            }
            return Poll::Pending;
        };
        self.exchange.await_host(false);
        if let Some(pause) = &mut self.pause {
            pause.sleep = None;
        }
        match polled {
            Some(Ok(frame)) => {
                if self.body.is_end_stream() {
                    self.settle();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(_)) if self.exchange.is_out_of_bytes() => self.fail(Error::HttpResponseBodySize(None)),
            Some(Err(_)) => self.fail(Error::HttpResponseIncomplete),
            None => {
                self.settle();
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Bytes of a part of a body; of trailers those of their names and values.
fn size(frame: &Frame<Bytes>) -> u64 {
    let data = frame.data_ref().map_or(0, |data| data.len() as u64);
    data + frame.trailers_ref().map_or(0, headers_size)
}

/// Bytes of the names and values of headers.
pub(super) fn headers_size(headers: &http::HeaderMap) -> u64 {
    headers.iter().map(|(name, value)| (name.as_str().len() + value.len()) as u64).sum()
}
