//! Rejects ambiguous requests: those that two HTTP parsers could interpret differently.
//!
//! A proxy in front and this server must see the same host and the same body in the same bytes. The HTTP library
//! already rejects invalid header names and values, folded lines and contradictory lengths. If a length accompanies a
//! transfer coding, the library ignores the length and closes the connection after the response.

use axum::body::Body;
use axum::response::Response;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Version, header};

use crate::api::problem;
use crate::api::problem::Problem;
use airlock::config::origin::HostPort;

/// Describes what is malformed in a request. `None` if it is well-formed.
pub(super) fn fault<B>(request: &Request<B>) -> Option<&'static str> {
    if *request.method() == Method::CONNECT {
        return Some("this server is no proxy: `CONNECT` is not served");
    }
    coding_fault(request.headers()).or_else(|| host_fault(request))
}

/// The 400 response. It closes the connection, because the start of the body is uncertain.
pub(super) fn refused(fault: &str) -> Response {
    let mut response = problem::response(&Problem::new(StatusCode::BAD_REQUEST, "malformed", fault));
    close(&mut response);
    response
}

/// Makes the connection close after a response.
pub(super) fn close(response: &mut Response<Body>) {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
}

fn coding_fault(headers: &HeaderMap) -> Option<&'static str> {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let (first, more) = (codings.next(), codings.next());
    // A list of codings in one header is rejected, too: intermediaries differ in what they decode.
    let is_chunked = first.is_none_or(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"));
    (!is_chunked || more.is_some()).then_some("the only transfer coding is `chunked`, once")
}

fn host_fault<B>(request: &Request<B>) -> Option<&'static str> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (host, more) = (hosts.next(), hosts.next());
    if more.is_some() {
        return Some("send one `Host` header");
    }
    let Some(host) = host else {
        // HTTP/1.1 requires `Host` even if the target names the server (RFC 9112, 3.2).
        let may_lack = request.version() == Version::HTTP_10 && request.uri().authority().is_none();
        return (!may_lack).then_some("send a `Host` header");
    };
    let Some(host) = host.to_str().ok().and_then(|host| host.parse::<HostPort>().ok()) else {
        return Some("`Host` must be a name or an address, with a port if any");
    };
    let authority = request.uri().authority()?;
    // RFC 9112 gives the target precedence. Two different hosts indicate an attack, so the request is rejected.
    let is_same = authority.as_str().parse::<HostPort>().is_ok_and(|target| target == host);
    let is_http = request.uri().scheme_str().is_some_and(|scheme| ["http", "https"].contains(&scheme));
    (!is_same || !is_http).then_some("the target and `Host` name two servers")
}
