//! Reads request bodies completely and within bounds before the handlers run, so that a slow upload holds no worker.
//!
//! Owns the memory that bodies may use, for each caller and for all callers together.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use bytes::BytesMut;
use http::StatusCode;
use http::request::Parts;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use super::shares::{NoShare, Share};
use super::{Door, MCP_PATH, held, sessions};
use crate::api::problem;
use crate::api::problem::Problem;
use crate::mcp::arguments::{self, RawArguments};
use crate::mcp::params;
use airlock::config::HttpConfig;
use airlock_types::caller::Caller;

/// Memory in bytes for the bodies of all requests. [`room`] raises it if the largest body needs more.
const ALL_BYTES: usize = 512 << 20;

/// Memory of an MCP message as a multiple of its text. rmcp parses it into trees, and a node of a tree needs many
/// times the two characters of its shortest text. The API keeps arguments as text.
const TREE: usize = 32;

/// Memory in bytes for the bodies of all requests. At least twice the largest body, because no caller gets more than
/// half.
pub(super) fn room(body_bytes_max: usize) -> usize {
    ALL_BYTES.max(body_bytes_max.saturating_mul(2 * TREE))
}

pub(super) async fn read(State(door): State<Arc<Door>>, request: Request, next: Next) -> Response {
    let Some(who) = request.extensions().get::<Caller>().cloned() else {
        return problem::forbidden("the caller is not known");
    };
    let (mut parts, body) = request.into_parts();
    let is_mcp = parts.uri.path() == MCP_PATH;
    match whole(&door, &who, is_mcp, body).await {
        Ok((whole, share)) => {
            let whole = if is_mcp { message(&mut parts, whole) } else { whole };
            let response = next.run(Request::from_parts(parts, Body::from(whole))).await;
            // The arguments stay in memory until the response is sent, so the share is held until then.
            held::until_sent(response, move |_| drop(share))
        }
        Err(fault) => fault.response(door.host.http()),
    }
}

/// Reads a body to its end. The share is held as long as its memory is used.
pub(super) async fn whole(
    door: &Door,
    who: &Caller,
    is_mcp: bool,
    body: Body,
) -> Result<(Bytes, Share), Fault> {
    let http = door.host.http();
    let cost = if is_mcp { TREE } else { 1 };
    // A declared length can exceed the budget at once. Bodies without one are counted as they arrive.
    let said = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX).min(http.body_bytes_max);
    let mut share = door.bodies.take(who, said.saturating_mul(cost)).map_err(Fault::NoRoom)?;
    let whole = collect(body, http.body_bytes_max, cost, &mut share);
    // One deadline for the whole body. A deadline for each read would let a client send one byte at a time for hours.
    let whole = tokio::time::timeout(Duration::from_millis(http.read_deadline_ms), whole).await;
    Ok((whole.unwrap_or(Err(Fault::Late))?, share))
}

/// Prepares an MCP message for the later layers, which need the body only here.
fn message(parts: &mut Parts, whole: Bytes) -> Bytes {
    sessions::look(parts, &whole);
    let Some(arguments) = arguments::find(&whole) else {
        params::fault_of_list(&whole).into_iter().for_each(|fault| drop(parts.extensions.insert(fault)));
        return whole;
    };
    parts.extensions.insert(RawArguments(whole.slice_ref(arguments.as_bytes())));
    if arguments::are_readable(&whole, arguments) {
        // rmcp compares arguments with the headers that repeat them, so they must stay in the message.
        return whole;
    }
    arguments::cut(&whole, arguments).map_or(whole, Bytes::from)
}

/// The reason that a body could not be read.
pub(super) enum Fault {
    TooLarge,
    Broken,
    Late,
    NoRoom(NoShare),
}

async fn collect(body: Body, bytes_max: usize, cost: usize, share: &mut Share) -> Result<Bytes, Fault> {
    let mut body = Limited::new(body, bytes_max);
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame
            .map_err(|err| if err.is::<LengthLimitError>() { Fault::TooLarge } else { Fault::Broken })?;
        // Trailers are ignored: no handler reads them.
        let Ok(data) = frame.into_data() else { continue };
        // Covered before the bytes are kept, so that memory stays within the budget at every moment.
        share.cover((whole.len() + data.len()).saturating_mul(cost)).map_err(Fault::NoRoom)?;
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

impl Fault {
    pub(super) fn response(self, http: &HttpConfig) -> Response {
        let (status, kind, detail) = match self {
            Fault::TooLarge => {
                let detail = format!("the body is larger than {} bytes; send less", http.body_bytes_max);
                (StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", detail)
            }
            Fault::Broken => {
                let detail = "the body broke off before it was whole".to_owned();
                (StatusCode::BAD_REQUEST, "body-broken", detail)
            }
            Fault::Late => {
                let detail = format!("the body was not whole within {} ms", http.read_deadline_ms);
                (StatusCode::REQUEST_TIMEOUT, "body-late", detail)
            }
            Fault::NoRoom(taken) => return full(taken),
        };
        problem::response(&Problem::new(status, kind, &detail))
    }
}

fn full(taken: NoShare) -> Response {
    let (status, detail) = match taken {
        NoShare::ByCaller => (StatusCode::TOO_MANY_REQUESTS, "this caller sends too much at once"),
        NoShare::ByAll => (StatusCode::SERVICE_UNAVAILABLE, "all callers together send too much at once"),
    };
    let detail = format!("{detail}; send fewer requests with large bodies at a time");
    problem::response(&Problem::new(status, "bodies-full", &detail).retry_after_ms(Some(1_000)))
}
