//! Fits requests and responses of MCP to HTTP where rmcp does not.
//!
//! rmcp serves only clients that name both of its media types, and answers a body that it cannot read with 415. Owns
//! the meaning of `Accept` (RFC 9110, 12.5.1) and the answer to an unreadable body. Must not know methods of MCP.

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use http_body_util::BodyExt as _;

use crate::mcp::message::{self, Refusal};
use crate::mcp::written_id::WrittenId;
use rmcp::ErrorData;

/// What rmcp wants to read.
const BOTH: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");

pub(super) async fn serve(mut request: Request, next: Next) -> Response {
    if takes_both(request.method(), request.headers()) {
        request.headers_mut().insert(ACCEPT, BOTH);
    }
    if request.method() != Method::POST || !is_json(request.headers()) {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    // The body has been read, so this waits for nothing and copies nothing.
    let Ok(body) = body.collect().await else { return StatusCode::BAD_REQUEST.into_response() };
    let body: Bytes = body.to_bytes();
    // JSON parsers may ignore the mark (RFC 8259, 8.1), and rmcp's does not.
    let message = body.slice_ref(message::without_mark(&body));
    let response = next.run(Request::from_parts(parts, Body::from(message))).await;
    if response.status() == StatusCode::UNSUPPORTED_MEDIA_TYPE { unreadable(&body) } else { response }
}

/// The answer to a body that is no message. The media type is right, so 415 can only mean that.
fn unreadable(body: &[u8]) -> Response {
    let error = || ErrorData::invalid_request("this is no message of MCP", None);
    let refused = message::explain(body).unwrap_or_else(|| Refusal::new(WrittenId::default(), error()));
    (StatusCode::BAD_REQUEST, Json(refused)).into_response()
}

pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.map(|kind| kind.split(';').next().unwrap_or_default());
    kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// Whether a client takes the media types of the answer: it names none, or its ranges cover them. GET is answered with a
/// stream of events only.
pub(super) fn takes_both(method: &Method, headers: &HeaderMap) -> bool {
    let ranges: Vec<&str> = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    ranges.iter().all(|value| value.trim().is_empty()) || {
        let ranges = ranges.join(",");
        let is_stream = *method == Method::GET;
        (is_stream || takes(&ranges, "application/json")) && takes(&ranges, "text/event-stream")
    }
}

/// Whether ranges cover a media type. The most specific range decides, and one with the weight 0 excludes.
fn takes(ranges: &str, kind: &str) -> bool {
    let family = kind.split('/').next().unwrap_or_default();
    let specific = |range: &str| match range {
        "*/*" => Some(0),
        range if range.strip_suffix("/*").is_some_and(|it| it.eq_ignore_ascii_case(family)) => Some(1),
        range if range.eq_ignore_ascii_case(kind) => Some(2),
        _ => None,
    };
    let ranked = ranges.split(',').filter_map(|range| {
        let mut parts = range.split(';').map(str::trim);
        let rank = specific(parts.next()?)?;
        let weight = parts.find_map(|it| it.strip_prefix("q=").or_else(|| it.strip_prefix("Q=")));
        let is_zero = weight.is_some_and(|weight| weight.trim().parse() == Ok(0.0_f32));
        Some((rank, !is_zero))
    });
    ranked.max_by_key(|(rank, _)| *rank).is_some_and(|(_, takes)| takes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(method: Method, accept: &[&str], expect: bool) {
        let mut headers = HeaderMap::new();
        for value in accept {
            headers.append(ACCEPT, value.parse().unwrap());
        }
        assert_eq!(takes_both(&method, &headers), expect, "{method} {accept:?}");
    }

    #[test]
    fn a_client_takes_what_its_ranges_cover() {
        for accept in [
            &[][..],
            &[""],
            &["*/*"],
            &["text/html, */*;q=0.1"],
            &["application/*, text/*"],
            &["text/*", "Application/JSON"],
        ] {
            check(Method::POST, accept, true);
        }
        for accept in
            [&["text/html"][..], &["application/json"], &["*/*;q=0"], &["*/*, text/event-stream;q=0"]]
        {
            check(Method::POST, accept, false);
        }
        check(Method::GET, &["text/*"], true);
        check(Method::GET, &["application/json"], false);
    }
}
