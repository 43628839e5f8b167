//! The body of a response of a host that gets secrets.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use wasmtime_wasi_http::Error;

use super::body::Received;
use super::exchange::Exchange;
use super::watched::Sought;
use crate::secret::{Echo, Scan};

/// A body in which the secrets are searched for. The last bytes of what has come wait for what follows. A value ends the
/// attempt, and nothing of it is handed on. Without one, the borders of the parts, and what is lost where the response breaks
/// off, depend on the response alone: a difference would tell the guest whether a guess of its own begins a value.
pub(super) struct Searched {
    /// `None` after the end, and once a value was found.
    body: Option<Received>,
    scan: Scan,
    sought: Sought,
    exchange: Arc<Exchange>,
    /// Trailers that come after the bytes that waited.
    trailers: Option<HeaderMap>,
}

type Polled = Poll<Option<Result<Frame<Bytes>, Error>>>;

impl Searched {
    pub(super) fn new(body: Received, sought: &Sought, exchange: &Arc<Exchange>) -> Searched {
        let (scan, sought, exchange) = (sought.scan(), sought.clone(), exchange.clone());
        Searched { body: Some(body), scan, sought, exchange, trailers: None }
    }

    /// Ends the attempt. Closes the connection: the rest of the response may hold the value again.
    fn end(&mut self, found: &Echo) -> Polled {
        self.body = None;
        self.exchange.halt(found);
        Poll::Ready(Some(Err(Error::HttpRequestDenied)))
    }

    /// What is left once the body has ended: the bytes that waited, then the trailers.
    fn rest(&mut self) -> Option<Frame<Bytes>> {
        let rest = self.scan.finish();
        if rest.is_empty() { self.trailers.take().map(Frame::trailers) } else { Some(Frame::data(rest)) }
    }

    fn at_trailers(&mut self, trailers: HeaderMap) -> Result<(), Echo> {
        self.sought.look(&trailers)?;
        self.trailers = Some(trailers);
        self.body = None;
        Ok(())
    }
}

impl Body for Searched {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Polled {
        while let Some(body) = &mut self.body {
            let frame = match ready!(Pin::new(body).poll_frame(context)) {
                Some(Ok(frame)) => frame,
                // What waits may be the beginning of a value, whether it is or not.
                Some(Err(error)) => {
                    self.body = None;
                    let _ = self.scan.finish();
                    return Poll::Ready(Some(Err(error)));
                }
                None => {
                    self.body = None;
                    break;
                }
            };
            let passed = match frame.into_data() {
                Ok(part) => self.scan.push(part),
                Err(frame) => {
                    let trailers = frame.into_trailers().unwrap_or_default();
                    self.at_trailers(trailers).map(|()| Bytes::new())
                }
            };
            match passed {
                Ok(part) if part.is_empty() => {}
                Ok(part) => return Poll::Ready(Some(Ok(Frame::data(part)))),
                Err(found) => return self.end(&found),
            }
        }
        Poll::Ready(self.rest().map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        let is_read = self.body.as_ref().is_none_or(Body::is_end_stream);
        is_read && self.scan.held() == 0 && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let held = self.scan.held() as u64;
        let inner = self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint);
        let mut hint = SizeHint::new();
        // The upper bound first: the lower one must not be beyond it.
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper.saturating_add(held));
        }
        hint.set_lower(inner.lower().saturating_add(held));
        hint
    }
}
