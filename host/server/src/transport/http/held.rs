//! A response body that holds a resource until it is sent or dropped.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::response::Response;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

/// Callback at the end of a body. Its argument tells whether the body was sent completely.
type AtEnd = Box<dyn FnOnce(bool) + Send>;

struct WatchedBody {
    body: Body,
    ended: bool,
    at_end: Option<AtEnd>,
}

/// Runs a callback when a response was sent or dropped.
pub(super) fn until_sent(response: Response, at_end: impl FnOnce(bool) + Send + 'static) -> Response {
    // An empty body is complete from the start: hyper may never poll it.
    response.map(|body| {
        Body::new(WatchedBody { ended: body.is_end_stream(), body, at_end: Some(Box::new(at_end)) })
    })
}

impl HttpBody for WatchedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        // With a known length hyper stops polling after the last byte, so `None` is not always seen.
        self.ended |= matches!(frame, Poll::Ready(None)) || self.body.is_end_stream();
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for WatchedBody {
    fn drop(&mut self) {
        if let Some(at_end) = self.at_end.take() {
            at_end(self.ended);
        }
    }
}
