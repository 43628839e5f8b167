//! A request and its response on the tape.
//!
//! Owns their stored form, the bodies as they are recorded and as a cassette gives them, and which headers are confidential.
//! Must not know grants.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{AUTHORIZATION, COOKIE, HeaderName, HeaderValue, PROXY_AUTHORIZATION, SET_COOKIE};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use serde::{Deserialize, Serialize};
use wasmtime_wasi_http::{Error, WasiBody};

use crate::tape::{Feed, Kind, Note, Played, Tape};
use airlock_types::cassette::{Blob, Chunk, Sent};
use airlock_types::digest::{Hasher, hex, sha256};
use airlock_types::grant::http::method;

/// The import that sends a request.
pub(super) const IMPORT: &str = "wasi:http/outgoing-handler#handle";

/// Headers with credentials, of a request or of a response.
static CONFIDENTIAL: [HeaderName; 8] = [
    AUTHORIZATION,
    COOKIE,
    PROXY_AUTHORIZATION,
    SET_COOKIE,
    HeaderName::from_static("set-cookie2"),
    HeaderName::from_static("authentication-info"),
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("x-auth-token"),
];

/// Headers in their order.
type Headers = Vec<(String, Blob)>;

/// A request as a guest made it, without its body.
#[derive(Serialize)]
pub(super) struct Asked {
    method: String,
    url: String,
    headers: Vec<(String, String)>,
}

/// The head of a response, or the error in its place.
pub(super) type Answered = Result<Head, String>;

/// The head of a response.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Head {
    status: u16,
    headers: Headers,
}

/// What a request does.
pub(super) fn kind(request: &Request<WasiBody>) -> Kind {
    if method::reads(request.method().as_str()) { Kind::Read } else { Kind::Effect }
}

impl Asked {
    pub(super) fn new(request: &Request<WasiBody>) -> Asked {
        let header = |(name, value): (&HeaderName, &HeaderValue)| {
            // A guest's own credentials: enough to tell them apart.
            let value = if CONFIDENTIAL.contains(name) {
                format!("sha256:{}", sha256(value.as_bytes()))
            } else {
                String::from_utf8_lossy(value.as_bytes()).into_owned()
            };
            (name.as_str().to_owned(), value)
        };
        Asked {
            method: request.method().as_str().to_owned(),
            url: request.uri().to_string(),
            headers: request.headers().iter().map(header).collect(),
        }
    }
}

fn headers(map: &HeaderMap) -> Headers {
    map.iter().map(|(name, value)| (name.as_str().to_owned(), Blob(value.as_bytes().to_vec()))).collect()
}

fn header_map(headers: Headers) -> HeaderMap {
    let read = |(name, Blob(value)): (String, Blob)| {
        Some((name.parse().ok()?, HeaderValue::from_bytes(&value).ok()?))
    };
    // Each was one when it was recorded.
    headers.into_iter().filter_map(read).fold(HeaderMap::new(), |mut map, (name, value): (HeaderName, _)| {
        map.append(name, value);
        map
    })
}

/// Records the answer to a request, and what follows it.
pub(super) fn record(
    note: &Note,
    answered: Result<Response<WasiBody>, Error>,
) -> Result<Response<WasiBody>, Error> {
    if !note.is_kept() {
        return answered;
    }
    match answered {
        Ok(response) => {
            if let Some(name) = response.headers().keys().find(|name| CONFIDENTIAL.contains(name)) {
                note.set_confidential(&format!("a response has the header `{name}`"));
            }
            let head = Head { status: response.status().as_u16(), headers: headers(response.headers()) };
            note.answer(&Answered::Ok(head));
            Ok(response.map(|body| Heard { body, note: note.clone() }.boxed_unsync()))
        }
        Err(error) => {
            note.answer(&Answered::Err(told(note, &error)));
            Err(error)
        }
    }
}

/// The body of a request, of which the tape gets the digest.
pub(super) fn said(note: Note, request: Request<WasiBody>) -> Request<WasiBody> {
    if note.is_kept() {
        request.map(|body| Said { body, note, digest: Hasher::new(), bytes: 0 }.boxed_unsync())
    } else {
        request
    }
}

/// What a cassette answers to a request. What the guest sends is read beside it.
pub(super) async fn replay(played: Played<Option<Answered>>) -> Result<Response<WasiBody>, Error> {
    let Played { answer, feed, .. } = played;
    let Some(answer) = answer else {
        // The attempt ended before.
        return std::future::pending().await;
    };
    let Head { status, headers } = answer.map_err(|code| error(&code))?;
    let mut response = Response::new(Fed(feed).boxed_unsync());
    *response.status_mut() = StatusCode::from_u16(status).map_err(|_| Error::HttpProtocolError)?;
    *response.headers_mut() = header_map(headers);
    Ok(response)
}

/// Reads the body of a request that leaves nowhere, and compares it with what was sent when it was recorded.
pub(super) fn read_beside(tape: &Tape, request: Request<WasiBody>, recorded: Option<Sent>) {
    let Some(player) = tape.player() else { return };
    let other = tape.clone();
    player.read_beside(tokio::spawn(async move {
        let (mut body, mut digest, mut bytes) = (request.into_body(), Hasher::new(), 0);
        while let Some(frame) = body.frame().await {
            // The guest ended before its body did.
            let Ok(frame) = frame else { return };
            count(&frame, &mut digest, &mut bytes);
        }
        let sent = Sent { bytes, sha256: hex(&digest.finish()) };
        if let (Some(recorded), Some(player)) = (recorded, other.player())
            && recorded != sent
        {
            let (now, then) = (describe(&sent), describe(&recorded));
            player.diverge(format!("the guest sent a body of {now} where one of {then} was recorded"));
        }
    }));
}

fn describe(Sent { bytes, sha256 }: &Sent) -> String {
    format!("{bytes} bytes (SHA-256 {}…)", &sha256[..12.min(sha256.len())])
}

fn count(frame: &Frame<Bytes>, digest: &mut Hasher, bytes: &mut u64) {
    if let Some(data) = frame.data_ref() {
        digest.update(data);
        *bytes += data.len() as u64;
    }
}

/// The body of a response as it is recorded.
struct Heard {
    body: WasiBody,
    note: Note,
}

impl Body for Heard {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let polled = ready!(Pin::new(&mut self.body).poll_frame(context));
        let chunk = match &polled {
            None => Chunk::End,
            Some(Err(error)) => Chunk::Failed(told(&self.note, error)),
            Some(Ok(frame)) => match (frame.data_ref(), frame.trailers_ref()) {
                (Some(data), _) => Chunk::Data(Blob(data.to_vec())),
                (None, trailers) => Chunk::Trailers(trailers.map(headers).unwrap_or_default()),
            },
        };
        self.note.feed(|| chunk);
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of a request as it is recorded.
struct Said {
    body: WasiBody,
    note: Note,
    digest: Hasher,
    bytes: u64,
}

impl Body for Said {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        let polled = ready!(Pin::new(&mut this.body).poll_frame(context));
        match &polled {
            Some(Ok(frame)) => count(frame, &mut this.digest, &mut this.bytes),
            Some(Err(_)) => {}
            None => this
                .note
                .sent(Sent { bytes: this.bytes, sha256: hex(&std::mem::take(&mut this.digest).finish()) }),
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

/// The body of a response as a cassette gives it.
struct Fed(Feed);

impl Body for Fed {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        Poll::Ready(match self.0.next() {
            Some(Chunk::Data(Blob(data))) => Some(Ok(Frame::data(data.into()))),
            Some(Chunk::Trailers(trailers)) => Some(Ok(Frame::trailers(header_map(trailers)))),
            Some(Chunk::Failed(code)) => Some(Err(error(&code))),
            Some(Chunk::End) => None,
            // The replay has ended.
            None => Some(Err(Error::InternalError(None))),
        })
    }
}

/// Pairs each error that this host makes with its name.
macro_rules! errors {
    ($($name:literal => $error:ident $(($none:ident))?),* $(,)?) => {
        fn name(error: &Error) -> Option<&'static str> {
            $(if matches!(error, Error::$error $(($none))?) {
                return Some($name);
            })*
            None
        }

        fn named(name: &str) -> Option<Error> {
            match name {
                $($name => Some(Error::$error $(($none))?),)*
                _ => None,
            }
        }
    };
}

errors! {
    "dns-timeout" => DnsTimeout,
    "destination-unavailable" => DestinationUnavailable,
    "connection-refused" => ConnectionRefused,
    "connection-terminated" => ConnectionTerminated,
    "connection-timeout" => ConnectionTimeout,
    "connection-read-timeout" => ConnectionReadTimeout,
    "connection-limit-reached" => ConnectionLimitReached,
    "tls-protocol-error" => TlsProtocolError,
    "tls-certificate-error" => TlsCertificateError,
    "http-request-denied" => HttpRequestDenied,
    "http-request-body-size" => HttpRequestBodySize(None),
    "http-response-incomplete" => HttpResponseIncomplete,
    "http-response-header-section-size" => HttpResponseHeaderSectionSize(None),
    "http-response-body-size" => HttpResponseBodySize(None),
    "http-response-content-coding" => HttpResponseContentCoding(None),
    "http-response-timeout" => HttpResponseTimeout,
    "http-protocol-error" => HttpProtocolError,
    "configuration-error" => ConfigurationError,
}

/// Before the name of a coding.
const CODING: &str = "http-response-content-coding:";

/// The name of the error of a name that has no address.
const DNS: &str = "dns-error";

/// An error, on record.
fn told(note: &Note, error: &Error) -> String {
    if let Error::HttpResponseContentCoding(Some(coding)) = error {
        return format!("{CODING}{coding}");
    }
    if let Error::DnsError { rcode: None, info_code: None } = error {
        return DNS.to_owned();
    }
    let unnamed = || {
        note.lack("a request failed with an error that has no stored form");
        error.to_string()
    };
    name(error).map_or_else(unnamed, str::to_owned)
}

/// An error from a record.
fn error(told: &str) -> Error {
    if let Some(coding) = told.strip_prefix(CODING) {
        return Error::HttpResponseContentCoding(Some(coding.to_owned()));
    }
    if told == DNS {
        return Error::DnsError { rcode: None, info_code: None };
    }
    named(told).unwrap_or(Error::InternalError(None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_read_as_it_was_told() {
        let note = Note::default();
        for made in [
            Error::HttpResponseContentCoding(Some("gzip".into())),
            Error::DnsError { rcode: None, info_code: None },
            Error::ConnectionTerminated,
            Error::HttpRequestBodySize(None),
        ] {
            assert_eq!(format!("{made:?}"), format!("{:?}", error(&told(&note, &made))));
        }
    }
}
