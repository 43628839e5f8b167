//! From the name of a host to its addresses.

use core::net::IpAddr;
use std::io;
use std::net::ToSocketAddrs as _;

use futures::future::BoxFuture;

use crate::blocking::Lane;

/// A source of addresses. The host asks it before each request, and checks every address that it returns.
pub trait Resolve: Send + Sync + 'static {
    /// The addresses of a name. Not asked about an IP address.
    ///
    /// # Errors
    /// Fails when the name has no address, or nothing answers.
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>>;
}

/// The resolver of the operating system, as every program of this machine uses it.
pub(super) struct System {
    /// Its function blocks, for seconds where a name server is dead.
    pub(super) lane: Lane,
}

impl Resolve for System {
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        let name = host.to_owned();
        Box::pin(async move {
            let look =
                move || Ok((name.as_str(), 0).to_socket_addrs()?.map(|address| address.ip()).collect());
            self.lane.run(look).await.map_err(io::Error::other)?
        })
    }
}
