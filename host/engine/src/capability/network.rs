//! Sockets and name lookup: `wasi:sockets`.
//!
//! Language runtimes import these even when the tool does not use them, so every component may import them. Each socket
//! and each lookup is refused with `access-denied`, and no grant changes that.

use wasmtime::component::{Linker, ResourceType};
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::p2::bindings::sockets;
use wasmtime_wasi::sockets::{WasiSockets, WasiSocketsView as _};

use super::State;

pub(super) const INTERFACES: &[&str] = &[
    "wasi:sockets/instance-network",
    "wasi:sockets/ip-name-lookup",
    "wasi:sockets/network",
    "wasi:sockets/tcp",
    "wasi:sockets/tcp-create-socket",
    "wasi:sockets/udp",
    "wasi:sockets/udp-create-socket",
];

/// Refuses TCP, UDP and lookups. These are the library's defaults today; a later version may change them.
pub(super) fn provide(wasi: &mut WasiCtxBuilder) {
    wasi.allow_tcp(false).allow_udp(false).allow_ip_name_lookup(false);
}

pub(super) fn resource(name: &str) -> Option<ResourceType> {
    match name {
        "network" => Some(ResourceType::host::<sockets::network::Network>()),
        "resolve-address-stream" => {
            Some(ResourceType::host::<sockets::ip_name_lookup::ResolveAddressStream>())
        }
        "tcp-socket" => Some(ResourceType::host::<sockets::tcp::TcpSocket>()),
        "udp-socket" => Some(ResourceType::host::<sockets::udp::UdpSocket>()),
        "incoming-datagram-stream" => Some(ResourceType::host::<sockets::udp::IncomingDatagramStream>()),
        "outgoing-datagram-stream" => Some(ResourceType::host::<sockets::udp::OutgoingDatagramStream>()),
        _ => None,
    }
}

pub(super) fn link(linker: &mut Linker<State>, interface: &str) -> wasmtime::Result<()> {
    let get = State::sockets;
    match interface {
        "wasi:sockets/instance-network" => {
            sockets::instance_network::add_to_linker::<State, WasiSockets>(linker, get)
        }
        "wasi:sockets/ip-name-lookup" => {
            sockets::ip_name_lookup::add_to_linker::<State, WasiSockets>(linker, get)
        }
        "wasi:sockets/network" => {
            // Without the unstable `network-error-code`.
            let options = sockets::network::LinkOptions::default();
            sockets::network::add_to_linker::<State, WasiSockets>(linker, &options, get)
        }
        "wasi:sockets/tcp" => sockets::tcp::add_to_linker::<State, WasiSockets>(linker, get),
        "wasi:sockets/tcp-create-socket" => {
            sockets::tcp_create_socket::add_to_linker::<State, WasiSockets>(linker, get)
        }
        "wasi:sockets/udp" => sockets::udp::add_to_linker::<State, WasiSockets>(linker, get),
        "wasi:sockets/udp-create-socket" => {
            sockets::udp_create_socket::add_to_linker::<State, WasiSockets>(linker, get)
        }
        _ => Err(super::unlinked(interface)),
    }
}
