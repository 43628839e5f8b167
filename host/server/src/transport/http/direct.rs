//! Calls that go from their bytes to the host without the router and without rmcp.
//!
//! The router's layers each clone what is inside of them, and rmcp passes a request through three tasks, builds trees of it
//! and of the called tool's definition, and answers with a stream of events: together that costs more than a call. A call of
//! the API takes this way, and a call of MCP's stateless revision when rmcp would have nothing to check in it but what is
//! checked here, and nothing to send before its answer, which is one JSON document. Owns that question; the steps and their
//! order are those of the router's layers, by the same functions. Must not know what a call means. Every other request is
//! left to the router.

use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use http::request::Parts;
use http::{HeaderMap, Method, header};

use super::{Door, MCP_PATH, accepted, body, held, identified, sessions};
use crate::api;
use crate::mcp::message;
use crate::mcp::plain::{self, PlainCall};
use airlock::host::Host;
use airlock_types::caller::Caller;

/// The revision of the protocol whose calls stand alone, as its header names it.
const STATELESS: &str = "2026-07-28";

/// What a request asks for, by its head.
enum Asked {
    /// A call of this tool over the API.
    Api(String),
    /// What says that it is a call of MCP's stateless revision.
    Mcp,
}

impl Asked {
    fn of(request: &Request) -> Option<Asked> {
        let headers = request.headers();
        // The answer to a web page needs the headers of `cors`.
        if request.method() != Method::POST || headers.contains_key(header::ORIGIN) {
            return None;
        }
        let path = request.uri().path();
        if path == MCP_PATH {
            return is_stateless_call(headers).then_some(Asked::Mcp);
        }
        let tool = path.strip_prefix("/v1/tools/")?.strip_suffix("/calls")?;
        // Other names are decoded by the router.
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        (!tool.is_empty() && tool.chars().all(is_plain)).then(|| Asked::Api(tool.to_owned()))
    }
}

/// Answers a call. Any other request is given back as it was.
pub(super) async fn answer(door: &Arc<Door>, mut request: Request) -> Result<Response, Box<Request>> {
    let Some(asked) = Asked::of(&request) else { return Err(Box::new(request)) };
    if let Some(fault) = door.names.fault(request.headers()) {
        return Ok(api::problem::forbidden(&fault));
    }
    let who = match identified(door, &mut request).await {
        Ok((who, _)) => who,
        Err(refused) => return Ok(*refused),
    };
    let (parts, body) = request.into_parts();
    let (body, share) = match body::whole(door, &who, matches!(asked, Asked::Mcp), body).await {
        Ok(read) => read,
        Err(fault) => return Ok(fault.response(door.host.http())),
    };
    let response = match asked {
        Asked::Api(tool) => api::answer_call(&door.host, who, &tool, &parts.headers, body).await,
        Asked::Mcp => match plain_call(&door.host, &who, &parts, &body) {
            Some((call, arguments)) => {
                let call = call.call(who, &parts.headers, arguments);
                Json(plain::answer(&door.host, call).await).into_response()
            }
            // Identified again by the router, and its body, which is in memory now, counted again.
            None => return Err(Box::new(Request::from_parts(parts, Body::from(body)))),
        },
    };
    // The arguments stay in memory until the response is sent, so the share is held until then.
    Ok(held::until_sent(response, move |_| drop(share)))
}

/// Whether the headers are those of a call that stands alone, from a client that takes JSON.
fn is_stateless_call(headers: &HeaderMap) -> bool {
    let is = |name: &str, value: &str| {
        let mut all = headers.get_all(name).iter();
        all.next().is_some_and(|it| it == value) && all.next().is_none()
    };
    is("mcp-protocol-version", STATELESS)
        && is("mcp-method", "tools/call")
        && !headers.contains_key(sessions::HEADER)
        && accepted::is_json(headers)
        && accepted::takes_both(&Method::POST, headers)
}

/// The call and the text of its arguments, if rmcp would find nothing in it to refuse.
fn plain_call<'m>(
    host: &Host,
    who: &Caller,
    parts: &Parts,
    body: &'m Bytes,
) -> Option<(PlainCall<'m>, Option<Bytes>)> {
    let call = PlainCall::read(message::without_mark(body)).filter(PlainCall::is_stateless)?;
    let mut named = parts.headers.get_all("mcp-name").iter();
    // Another name, or one in its base64 form, is for rmcp.
    let name = named.next()?.as_bytes();
    if name != call.name().as_bytes() || name.starts_with(b"=?base64?") || named.next().is_some() {
        return None;
    }
    // A name that is no tool's is for the handler, which may have more. Arguments that headers repeat are for rmcp, which
    // compares them.
    let has_headers = host.visible(who).resolve(call.name()).ok()?.contract.has_headers;
    let arguments = call.arguments().map(|text| body.slice_ref(text.as_bytes()));
    (!has_headers).then_some((call, arguments))
}
