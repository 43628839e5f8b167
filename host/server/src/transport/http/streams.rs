//! Long-lived event streams: by GET in the handshake-based versions, by `subscriptions/listen` in the stateless one.
//!
//! Owns their number, and ends a stream when its caller's credential becomes invalid. A stream occupies a connection,
//! so streams get at most half of the connections and the rest stays free for calls.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use futures::StreamExt as _;
use http::{Method, StatusCode};

use super::authority::Proof;
use super::shares::NoShare;
use super::{Door, form, held};
use crate::api::problem;
use crate::api::problem::Problem;
use airlock_types::caller::Caller;

/// Interval at which the credential of a stream is checked.
const REVIEW: Duration = Duration::from_secs(2);

/// Whether a request opens a long-lived stream. The header is sufficient: rmcp rejects a request whose body
/// contradicts it.
fn is_lasting(request: &Request) -> bool {
    let method = request.headers().get("mcp-method");
    request.method() == Method::GET || method.is_some_and(|method| method == "subscriptions/listen")
}

pub(super) async fn bound(State(door): State<Arc<Door>>, request: Request, next: Next) -> Response {
    if !is_lasting(&request) {
        return next.run(request).await;
    }
    let extensions = request.extensions();
    let (who, proof) = (extensions.get::<Caller>().cloned(), extensions.get::<Proof>().cloned());
    let (Some(who), Some(proof)) = (who, proof) else { return problem::forbidden("the caller is not known") };
    // Taken before rmcp sees the request, since rmcp creates the stream's state at once.
    let share = match door.streams.take(&who, 1) {
        Ok(share) => share,
        Err(taken) => return full(taken),
    };
    let response = next.run(request).await;
    // A rejected request has no stream, so the share is dropped here.
    if !response.status().is_success() {
        return response;
    }
    // A stream outlives the check of its credential at the start, so it is checked again while the stream is open.
    let revoked = revoked(door, who, proof);
    let response = response.map(|body| Body::from_stream(body.into_data_stream().take_until(revoked)));
    held::until_sent(response, move |_| drop(share))
}

async fn revoked(door: Arc<Door>, who: Caller, proof: Proof) {
    while door.authority.holds(&who, &proof) {
        tokio::time::sleep(REVIEW).await;
    }
}

fn full(taken: NoShare) -> Response {
    let (status, detail) = match taken {
        NoShare::ByCaller => (
            StatusCode::TOO_MANY_REQUESTS,
            "this caller has its share of event streams open; close one, or raise `http.connections_max`",
        ),
        NoShare::ByAll => (
            StatusCode::SERVICE_UNAVAILABLE,
            "too many event streams are open; try again later, or raise `http.connections_max`",
        ),
    };
    let mut response =
        problem::response(&Problem::new(status, "streams-full", detail).retry_after_ms(Some(10_000)));
    // A rejected client would otherwise keep the connection, which is what streams are limited for.
    form::close(&mut response);
    response
}
