//! Sends one admitted request: resolves, checks the addresses, adds the secret, connects, sends.

use core::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

use super::attached::Attached;
use super::body::{Pause, Received, Sent};
use super::exchange::Exchange;
use super::pool::Key;
use super::searched::Searched;
use super::upstream::Upstream;
use super::watched::unread;
use airlock_types::environment::{SharedEnvironment, within};
use airlock_types::grant::HttpAccess;
use airlock_types::grant::http::Scheme;
use airlock_types::grant::http::address::is_allowed;

/// An admitted request.
pub(super) struct Prepared {
    /// In the form in which it is sent: with a path alone, and the header that names the host.
    pub(super) request: Request<WasiBody>,
    pub(super) route: Route,
}

/// Where a request goes. Apart from the request, whose body no two threads may see.
pub(super) struct Route {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) access: HttpAccess,
    /// What the host adds to the request.
    pub(super) secret: Option<Arc<Attached>>,
    pub(super) options: RequestOptions,
    /// Bytes of the request that were counted before it is sent.
    pub(super) head_bytes: u64,
    pub(super) exchange: Arc<Exchange>,
    pub(super) upstream: Arc<Upstream>,
    pub(super) environment: SharedEnvironment,
}

impl Prepared {
    /// Sends it, and returns the response once its head is there.
    pub(super) async fn send(self) -> Result<Response<WasiBody>, Error> {
        let Prepared { request, route } = self;
        route.exchange.await_host(true);
        let sent = route.send(request).await;
        route.exchange.await_host(false);
        sent
    }
}

impl Route {
    async fn send(&self, request: Request<WasiBody>) -> Result<Response<WasiBody>, Error> {
        let Route { exchange, upstream, environment, options, secret, host, .. } = self;
        let RequestOptions { connect_timeout, first_byte_timeout, between_bytes_timeout } = *options;
        let mut request = request.map(|body| Sent::new(body, exchange));
        let found = limited(environment, connect_timeout, self.keys()).await;
        let found = found.unwrap_or(Err(Error::DnsTimeout));
        let keys = found.inspect_err(|_| exchange.unsent(self.head_bytes))?;
        if let Some(secret) = secret {
            // Not counted as sent: the count would tell its length.
            secret.attach(&mut request).ok_or(Error::HttpRequestDenied)?;
        }
        if let Some(sought) = upstream.sought(host) {
            sought.prepare(&mut request);
        }
        let (response, key, connection) = loop {
            let connecting = upstream.connection(&keys, environment);
            let connected = limited(environment, connect_timeout, connecting).await;
            let (key, mut connection, was_kept) = connected.ok_or(Error::ConnectionTimeout)??;
            // From here on bytes may leave. What ended before has changed nothing.
            exchange.dispatch().map_err(|_| Error::ConnectionTerminated)?;
            connection.meter.begin(exchange);
            let sending = connection.sender.try_send_request(request);
            let sent = limited(environment, first_byte_timeout, sending).await;
            match sent.ok_or(Error::HttpResponseTimeout)? {
                Ok(response) => break (response, key, connection),
                Err(mut unsent) => {
                    // With the request come back, none of it was written.
                    let unwritten = unsent.take_message().inspect(|_| exchange.withdraw());
                    match unwritten {
                        // The host closed the connection while it was idle.
                        Some(again) if was_kept => request = again,
                        Some(_) | None => return Err(failed(unsent.error(), exchange)),
                    }
                }
            }
        };
        exchange.settle(response.status());
        // Asked again: a reload may have brought another value meanwhile, which the service repeats here.
        let sought = upstream.sought(host);
        if let Some(secret) = secret {
            exchange.look_at(response.status(), secret);
        }
        if let Some(sought) = &sought
            && let Err(found) = sought.look(response.headers())
        {
            exchange.halt(&found);
            return Err(Error::HttpRequestDenied);
        }
        if sought.is_some()
            && !response.body().is_end_stream()
            && let Some(coding) = unread(response.headers())
        {
            exchange.refuse_coding();
            return Err(Error::HttpResponseContentCoding(Some(coding)));
        }
        let pause =
            between_bytes_timeout.map(|time| Pause { time, environment: environment.clone(), sleep: None });
        let pool = upstream.pool(environment).clone();
        Ok(response.map(|body| {
            let body = Received::new(body, exchange.clone(), (key, connection), pool, pause);
            match sought {
                Some(sought) => Searched::new(body, &sought, exchange).boxed_unsync(),
                None => body.boxed_unsync(),
            }
        }))
    }

    /// What a connection for it must be of: one key for each address, all of which are checked.
    async fn keys(&self) -> Result<Vec<Key>, Error> {
        let Route { host, port, access, exchange, upstream, secret, .. } = self;
        // In clear text a secret stays on this machine.
        let may_leave = secret.is_none() || access.allowed.scheme == Scheme::Https;
        let addresses = upstream.addresses(host).await?;
        let is_refused = |address: &&IpAddr| {
            !is_allowed(**address, &access.allowed.addresses) || !(may_leave || address.is_loopback())
        };
        // One is enough: the owner of the name chooses which of its addresses comes first.
        if let Some(refused) = addresses.iter().find(is_refused) {
            exchange.refuse_address(Some(*refused));
            return Err(Error::HttpRequestDenied);
        }
        let host: Arc<str> = host.as_str().into();
        let key = |address| Key {
            grant: access.grant,
            secret: secret.as_ref().map(|secret| secret.name().clone()),
            scheme: access.allowed.scheme,
            host: host.clone(),
            address: SocketAddr::new(address, *port),
        };
        Ok(addresses.into_iter().map(key).collect())
    }
}

/// A future within the time that the guest allows for it; without one the attempt's deadline ends it.
async fn limited<F: Future>(
    environment: &SharedEnvironment,
    time: Option<Duration>,
    future: F,
) -> Option<F::Output> {
    match time {
        None => Some(future.await),
        Some(time) => within(&**environment, environment.monotonic().saturating_add(time), future).await,
    }
}

/// The guest's word for a failed exchange. The library's own would be logged with what it handled.
fn failed(error: &hyper::Error, exchange: &Exchange) -> Error {
    if exchange.is_too_large() {
        Error::HttpRequestBodySize(None)
    } else if exchange.is_out_of_bytes() || error.is_parse_too_large() {
        Error::HttpResponseHeaderSectionSize(None)
    } else if error.is_canceled() || error.is_closed() || error.is_incomplete_message() {
        Error::ConnectionTerminated
    } else {
        Error::HttpProtocolError
    }
}
