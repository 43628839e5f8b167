//! Requests to other hosts: `wasi:http/outgoing-handler`.
//!
//! The interfaces are always linked. Every request passes `hooks`, the one way out: without a grant that admits it the
//! guest gets `HTTP-request-denied`, which is noted as a denial and does not end it, because language runtimes treat it
//! like a network that is down. `outgoing` compares a request with the grants, `allotment` holds what a call has left of
//! their bounds, `send` resolves, connects and sends, `body` and `meter` count what goes and comes,
//! `spelling` compares names of headers, `pool` keeps connections.
//! Redirects are not followed, nothing is retried or decompressed, and no proxy of the host's environment is used.
//! `attached` is the secret of a grant: `send` adds it once the address is checked. `watched` says which secrets the
//! responses of a host are searched for, and `searched` does it. `taped` is what of it is recorded and replayed. `post` sends what the host itself has to say.

mod allotment;
mod attached;
mod body;
mod exchange;
mod hooks;
mod meter;
mod outgoing;
mod pool;
mod post;
mod resolve;
mod searched;
mod send;
mod spelling;
mod taped;
mod tls;
mod upstream;
mod watched;

use wasmtime::component::{Linker, ResourceType};
use wasmtime_wasi_http::p2::bindings::http::{outgoing_handler, types};
use wasmtime_wasi_http::{WasiHttp, WasiHttpCtx};

use super::State;
use airlock_types::limit::HEADERS_BYTES_MAX;
pub(crate) use allotment::Allotment;
pub(crate) use exchange::Traffic;
pub(crate) use outgoing::Outgoing;
pub(crate) use post::Destination;
pub use resolve::Resolve;
pub(crate) use tls::TlsError;
pub(crate) use upstream::Upstream;
pub(crate) use watched::Watched;

/// Most threads for name lookups of one tool. A lookup of a dead name server blocks its thread for seconds.
pub(crate) const THREADS_PER_TOOL: usize = 8;

/// Most threads for name lookups of all tools, beside those for files and for loading.
pub(crate) const THREADS_ALL_TOOLS: usize = 64;

pub(super) const INTERFACES: &[&str] = &["wasi:http/outgoing-handler", "wasi:http/types"];

/// The bounds of the engine's library.
pub(super) fn context() -> WasiHttpCtx {
    let mut context = WasiHttpCtx::new();
    context.set_field_size_limit(HEADERS_BYTES_MAX);
    context
}

pub(super) fn resource(name: &str) -> Option<ResourceType> {
    match name {
        "fields" => Some(ResourceType::host::<types::Fields>()),
        "incoming-request" => Some(ResourceType::host::<types::IncomingRequest>()),
        "outgoing-request" => Some(ResourceType::host::<types::OutgoingRequest>()),
        "request-options" => Some(ResourceType::host::<types::RequestOptions>()),
        "response-outparam" => Some(ResourceType::host::<types::ResponseOutparam>()),
        "incoming-response" => Some(ResourceType::host::<types::IncomingResponse>()),
        "incoming-body" => Some(ResourceType::host::<types::IncomingBody>()),
        "future-trailers" => Some(ResourceType::host::<types::FutureTrailers>()),
        "outgoing-response" => Some(ResourceType::host::<types::OutgoingResponse>()),
        "outgoing-body" => Some(ResourceType::host::<types::OutgoingBody>()),
        "future-incoming-response" => Some(ResourceType::host::<types::FutureIncomingResponse>()),
        _ => None,
    }
}

pub(super) fn link(linker: &mut Linker<State>, interface: &str) -> wasmtime::Result<()> {
    match interface {
        "wasi:http/outgoing-handler" => {
            outgoing_handler::add_to_linker::<State, WasiHttp>(linker, State::http)
        }
        "wasi:http/types" => {
            // Without the unstable `informational-outbound-responses`.
            let options = types::LinkOptions::default();
            types::add_to_linker::<State, WasiHttp>(linker, &options, State::http)
        }
        _ => Err(super::unlinked(interface)),
    }
}
