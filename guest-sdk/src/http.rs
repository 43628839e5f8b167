//! Requests to granted hosts, through `wasi:http/outgoing-handler`.
//!
//! Owns the forms that most web APIs take: queries and forms. A redirect is a response like any other.

mod bindings {
    wit_bindgen::generate!({
        path: "../wit",
        inline: "package airlock:sdk-http; world http {
            import wasi:http/types@0.2.12;
            import wasi:http/outgoing-handler@0.2.12;
        }",
        generate_all,
    });
}

use std::fmt;

use bindings::wasi::http::outgoing_handler::handle;
use bindings::wasi::http::types::{
    ErrorCode, Fields, IncomingResponse, Method, OutgoingBody, OutgoingRequest, Scheme,
};
use bindings::wasi::io::streams::StreamError;

use crate::types::Failure;

/// Bytes of one read of a body.
const CHUNK: u64 = 64 * 1024;

/// Most bytes of one write of a body: the bound of `blocking-write-and-flush`.
const WRITE_BYTES_MAX: usize = 4096;

/// Most bytes of a response that are kept. The grant may allow fewer.
const BODY_BYTES_MAX: usize = 4 << 20;

/// Characters of a service's own error that are passed on.
const ERROR_CHARS_MAX: usize = 200;

/// Why there is no response.
#[derive(Clone, Debug, PartialEq)]
pub enum Error {
    /// The text is not an absolute URL with `http` or `https`.
    NotAUrl(String),
    /// No grant admits the request.
    NotGranted(String),
    /// The host did not answer.
    Unreachable(String),
    /// The response is larger than is read here.
    TooLarge,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAUrl(url) => write!(f, "`{url}` is not a URL"),
            Self::NotGranted(host) => write!(f, "requests to `{host}` were not granted"),
            Self::Unreachable(why) => write!(f, "the service did not answer: {why}"),
            Self::TooLarge => write!(f, "the response has more than {BODY_BYTES_MAX} bytes"),
        }
    }
}

// Not `std::error::Error`, of which each is a permanent failure: a service that does not answer may answer later.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Unreachable(_) => Self::Unavailable(error.to_string()),
            Error::NotAUrl(_) | Error::NotGranted(_) | Error::TooLarge => Self::Permanent(error.to_string()),
        }
    }
}

/// A whole response.
#[derive(Clone, Debug, PartialEq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The headers, as they came.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// The first header of a name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(value).ok()
    }

    /// The body as text, of a response that says that all is well. Any other is a failure of its kind: the service asks
    /// to wait (429), is not there (5xx), or refuses.
    pub fn text(self) -> Result<String, Failure> {
        match self.status {
            200..=299 => String::from_utf8(self.body).map_err(Failure::from),
            429 => Err(Failure::Throttled(self.retry_after_ms())),
            500.. => Err(Failure::Unavailable(format!("the service answered with status {}", self.status))),
            status => {
                let said: String =
                    String::from_utf8_lossy(&self.body).trim().chars().take(ERROR_CHARS_MAX).collect();
                Err(Failure::Permanent(format!("the service answered with status {status}: {said}")))
            }
        }
    }

    /// What `Retry-After` says in seconds. A date is not read.
    fn retry_after_ms(&self) -> Option<u64> {
        self.header("retry-after")?.trim().parse::<u64>().ok()?.checked_mul(1_000)
    }
}

/// Sends `GET`.
pub fn get(url: &str) -> Result<Response, Error> {
    send(&Method::Get, url, None)
}

/// Sends `POST` with a form.
pub fn post_form(url: &str, fields: &[(&str, &str)]) -> Result<Response, Error> {
    send(&Method::Post, url, Some(encoded(fields)))
}

/// A URL with these parameters as its query.
pub fn with_query(url: &str, fields: &[(&str, &str)]) -> String {
    format!("{url}?{}", encoded(fields))
}

/// Names and values as `application/x-www-form-urlencoded`.
fn encoded(fields: &[(&str, &str)]) -> String {
    let pairs = fields.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value)));
    pairs.collect::<Vec<_>>().join("&")
}

fn escaped(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' | b'*' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

/// Scheme, host with port, and the rest of a URL.
fn split(url: &str) -> Option<(Scheme, &str, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let scheme = match scheme {
        "https" => Scheme::Https,
        "http" => Scheme::Http,
        _ => return None,
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    (!authority.is_empty()).then_some((scheme, authority, if path.is_empty() { "/" } else { path }))
}

fn send(method: &Method, url: &str, form: Option<String>) -> Result<Response, Error> {
    let invalid = || Error::NotAUrl(url.to_owned());
    let (scheme, authority, path) = split(url).ok_or_else(invalid)?;
    let headers = Fields::new();
    if form.is_some() {
        let kind = b"application/x-www-form-urlencoded".to_vec();
        headers.append("content-type", &kind).map_err(|_| invalid())?;
    }
    let request = OutgoingRequest::new(headers);
    request.set_method(method).map_err(|()| invalid())?;
    request.set_scheme(Some(&scheme)).map_err(|()| invalid())?;
    request.set_authority(Some(authority)).map_err(|()| invalid())?;
    request.set_path_with_query(Some(path)).map_err(|()| invalid())?;
    // The body must be taken before the request is sent.
    let body = form.as_ref().and_then(|_| request.body().ok());
    let code = |code: ErrorCode| match code {
        ErrorCode::HttpRequestDenied => Error::NotGranted(authority.to_owned()),
        other => Error::Unreachable(format!("{other:?}")),
    };
    let response = handle(request, None).map_err(code)?;
    if let (Some(body), Some(form)) = (body, form) {
        write(body, form.as_bytes());
    }
    response.subscribe().block();
    let gone = || Error::Unreachable("no response".to_owned());
    let response = response.get().and_then(Result::ok).ok_or_else(gone)?.map_err(code)?;
    read(&response)
}

/// Sends a body. The response says why one was not wanted to its end.
fn write(body: OutgoingBody, bytes: &[u8]) {
    if let Ok(stream) = body.write() {
        let mut parts = bytes.chunks(WRITE_BYTES_MAX);
        while parts.next().is_some_and(|part| stream.blocking_write_and_flush(part).is_ok()) {}
    }
    // After the stream is dropped, which the body owns.
    let _ = OutgoingBody::finish(body, None);
}

fn read(response: &IncomingResponse) -> Result<Response, Error> {
    let broken = || Error::Unreachable("the response broke off".to_owned());
    let body = response.consume().map_err(|()| broken())?;
    let stream = body.stream().map_err(|()| broken())?;
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(CHUNK) {
            Ok(part) => bytes.extend(part),
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(_)) => return Err(broken()),
        }
        if bytes.len() > BODY_BYTES_MAX {
            return Err(Error::TooLarge);
        }
    }
    Ok(Response { status: response.status(), headers: response.headers().entries(), body: bytes })
}
