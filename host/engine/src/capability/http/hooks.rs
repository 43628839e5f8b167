//! The one way out: the engine's library calls back here for every request of a guest.

use std::future::ready;
use std::sync::{Arc, LazyLock};

use http::header::{self, HeaderName};
use http::{Request, Response};
use wasmtime_wasi_http::{Error, ForbiddenHeaderFilter, RequestOptions, WasiBody, WasiHttpHooks};

use super::outgoing;
use super::outgoing::NotAdmitted;
use super::send::Prepared;
use super::taped;
use crate::capability::gate::Gate;
use crate::capability::{Capability, noted};
use crate::tape::Asked as Taped;
use airlock_types::grant::http::header::folded;
use airlock_types::grant::{Asked, Why};

/// Headers that a guest may not set: those that frame a message or belong to one connection, the name of the host,
/// credentials, and those by which some servers take another method, path or sender than the request has. Of these a grant
/// can name the credentials.
static FORBIDDEN: [HeaderName; 18] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("http2-settings"),
    header::EXPECT,
    header::HOST,
    header::AUTHORIZATION,
    header::COOKIE,
    header::FORWARDED,
    HeaderName::from_static("x-method-override"),
    HeaderName::from_static("x-real-ip"),
    HeaderName::from_static("x-rewrite-url"),
];

/// Beginnings of further such headers.
const FORBIDDEN_BEGINNINGS: [&str; 4] = ["proxy-", "x-forwarded-", "x-http-method", "x-original-"];

/// The filter of tools that are granted none of these headers, which most are.
static STRICT: LazyLock<ForbiddenHeaderFilter> = LazyLock::new(|| Arc::new(is_forbidden));

/// Most bytes of one write to the body of a request, which the host keeps until they are sent.
const CHUNK_BYTES_MAX: usize = 64 << 10;

/// Writes to the body of a request that a replay holds until they are read.
const CHUNKS_IN_REPLAY: usize = 4_096;

type Handled = Box<dyn Future<Output = Result<(Response<WasiBody>, Done), Error>> + Send>;

/// The rest of the work on a request once its response is there; here the connection has a task of its own.
type Done = Box<dyn Future<Output = Result<(), Error>> + Send>;

fn is_forbidden(name: &HeaderName) -> bool {
    let folded = folded(name.as_str());
    FORBIDDEN.iter().any(|own| own.as_str() == folded)
        || FORBIDDEN_BEGINNINGS.iter().any(|begin| folded.starts_with(begin))
        // The length of a body is the guest's to set, where the engine's library compares it with what is sent.
        || (name != header::CONTENT_LENGTH && folded == header::CONTENT_LENGTH.as_str())
}

impl WasiHttpHooks for Gate {
    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        let may_set = |name: &HeaderName| self.http.as_ref().is_some_and(|http| http.may_set(name));
        let [authorization, cookie] = [&header::AUTHORIZATION, &header::COOKIE].map(may_set);
        if !authorization && !cookie {
            return STRICT.clone();
        }
        Arc::new(move |name| {
            let granted =
                (authorization && name == header::AUTHORIZATION) || (cookie && name == header::COOKIE);
            is_forbidden(name) && !granted
        })
    }

    /// Written by `admit`, from the host that was compared with the grants.
    fn set_host_header(&mut self) -> bool {
        false
    }

    fn p2_outgoing_body_buffer_chunks(&mut self) -> usize {
        // What a guest may write follows from its cassette, so a replay needs room for whatever was written at once.
        if self.tape.player().is_some() { CHUNKS_IN_REPLAY } else { 1 }
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        CHUNK_BYTES_MAX
    }

    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _received: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Handled {
        let asked = taped::Asked::new(&request);
        match self.tape.ask_later::<taped::Answered>(taped::IMPORT, taped::kind(&request), asked) {
            Err(stopped) => Box::new(ready(Err(Error::InternalError(Some(stopped.to_string()))))),
            Ok(Taped::Taped(played)) => {
                taped::read_beside(&self.tape, request, played.sent.clone());
                Box::new(async move { Ok((taped::replay(played).await?, done())) })
            }
            Ok(Taped::Live(note)) => {
                let request = taped::said(note.clone(), request);
                match self.prepare(request, options) {
                    Ok(prepared) => {
                        Box::new(async move { Ok((taped::record(&note, prepared.send().await)?, done())) })
                    }
                    Err(refused) => {
                        Box::new(ready(taped::record(&note, Err(refused)).map(|response| (response, done()))))
                    }
                }
            }
        }
    }
}

/// Nothing more to do.
fn done() -> Done {
    Box::new(ready(Ok(())))
}

impl Gate {
    /// Admits a request, or notes why not.
    fn prepare(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
    ) -> Result<Prepared, Error> {
        let facts = Capability::Http.facts();
        // Before the request is taken apart.
        let Some(target) = outgoing::target(&request) else {
            self.noted.refuse(outgoing::unreadable(&request), Why::Never);
            return Err(Error::HttpRequestDenied);
        };
        let asked = Asked::Http(noted::target(&target), None);
        let admitted =
            self.http.as_mut().map(|http| http.admit((request, target), options, &facts, &self.effects));
        admitted.unwrap_or(Err(NotAdmitted(Why::NotGranted))).map_err(|NotAdmitted(why)| {
            self.noted.refuse(asked, why);
            Error::HttpRequestDenied
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_that_rewrite_a_request_are_the_hosts() {
        for name in [
            "connection",
            "proxy-status",
            "forwarded",
            "x-forwarded-host",
            "x-http-method-override",
            "x-http-method",
            "x-method-override",
            "x-original-url",
            "x-rewrite-url",
            "x-real-ip",
            "x_real_ip",
            "x_forwarded_for",
            "x-forwarded_for",
            "x.forwarded.for",
            "x_http_method_override",
            "transfer_encoding",
            "content_length",
            "proxy_authorization",
        ] {
            assert!(is_forbidden(&HeaderName::from_static(name)), "{name}");
        }
        for name in
            ["accept", "content-type", "content-length", "idempotency-key", "x-api-version", "x_api_version"]
        {
            assert!(!is_forbidden(&HeaderName::from_static(name)), "{name}");
        }
    }
}
