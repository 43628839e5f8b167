//! Keeps the order of structured content in the events that rmcp writes.
//!
//! Owns the form of an event: rmcp writes one event into one frame of the body, and a message into one line of it.

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::Method;
use http_body_util::BodyExt as _;

use crate::mcp::ordered::Ordered;

pub(super) async fn keep(mut request: Request, next: Next) -> Response {
    // Only a POST is answered with a result.
    if request.method() != Method::POST {
        return next.run(request).await;
    }
    let ordered = Ordered::default();
    request.extensions_mut().insert(ordered.clone());
    next.run(request).await.map(|body| {
        let in_order = move |event: Bytes| self::event(&event, &ordered).map_or(event, Bytes::from);
        Body::new(body.map_frame(move |frame| frame.map_data(&in_order)))
    })
}

/// The event with its structured content in order. `None` if it has none.
fn event(event: &[u8], ordered: &Ordered) -> Option<String> {
    // Before the answer is known, events are progress notifications and comments.
    if !ordered.is_filled() {
        return None;
    }
    let mut is_changed = false;
    let lines = std::str::from_utf8(event).ok()?.split_inclusive('\n').map(|line| {
        let message = line.strip_prefix("data:").and_then(|data| ordered.in_message(data));
        is_changed |= message.is_some();
        message.map_or_else(|| line.to_owned(), |message| format!("data:{message}"))
    });
    let text = lines.collect();
    is_changed.then_some(text)
}
