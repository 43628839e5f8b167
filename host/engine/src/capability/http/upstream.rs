//! What the attempts of one tool share on their way out: the resolver, TLS, and the connections that are kept.

use core::net::IpAddr;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::task::AbortOnDropHandle;
use wasmtime_wasi_http::Error;

use super::attached::Attached;
use super::meter::{Meter, Metered};
use super::pool::{Connection, Key, Pool};
use super::resolve::{Resolve, System};
use super::tls;
use super::tls::TlsError;
use super::watched::{Sought, Watched};
use crate::blocking::Lane;
use crate::secret::Secrets;
use airlock_types::environment::{SharedEnvironment, within};
use airlock_types::grant::HttpAccess;
use airlock_types::grant::http::Scheme;

/// Most open connections of one tool, idle ones included. Eight calls run at once by default, each with a few requests.
const CONNECTIONS_MAX: usize = 128;

/// Most addresses of a name that are tried.
pub(super) const ADDRESSES_MAX: usize = 4;

/// Time for connecting to one address, TLS included, so that a dead one leaves time for the next.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);

/// Largest head of a response.
pub(super) const HEAD_BYTES_MAX: usize = 64 << 10;

/// A connection's bytes, in clear text or over TLS.
pub(super) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// The way out of one tool.
pub(crate) struct Upstream {
    resolver: Arc<dyn Resolve>,
    /// `None` for a tool that may reach no host over TLS.
    tls: Option<Arc<ClientConfig>>,
    /// By the place of the grant in the registry's list.
    secrets: BTreeMap<usize, Arc<Attached>>,
    /// What the responses of hosts are searched for.
    watched: Arc<Watched>,
    pool: OnceLock<Arc<Pool>>,
    connections: Arc<Semaphore>,
}

impl Upstream {
    /// The way out for these accesses, with the secrets of their grants. `lane` holds the threads for lookups where no resolver is given.
    ///
    /// # Errors
    /// When a host is to be reached over TLS and this machine has no trusted roots.
    pub(crate) fn new(
        accesses: &[HttpAccess],
        (secrets, watched): (&Secrets, &Arc<Watched>),
        resolver: Option<Arc<dyn Resolve>>,
        lane: Lane,
    ) -> Result<Upstream, TlsError> {
        let attached = |access: &HttpAccess| {
            let written = access.allowed.secret.as_ref()?;
            let attached = Attached::new(written, secrets.get(&written.name)?)?;
            Some((access.grant, Arc::new(attached)))
        };
        let needs_tls = accesses.iter().any(|access| access.allowed.scheme == Scheme::Https);
        let secrets = accesses.iter().filter_map(attached).collect();
        let watched = watched.clone();
        Ok(Upstream { secrets, watched, ..Upstream::bare(needs_tls, resolver, lane)? })
    }

    /// The way out of requests that carry no secret.
    ///
    /// # Errors
    /// When a host is to be reached over TLS and this machine has no trusted roots.
    pub(super) fn bare(
        needs_tls: bool,
        resolver: Option<Arc<dyn Resolve>>,
        lane: Lane,
    ) -> Result<Upstream, TlsError> {
        Ok(Upstream {
            resolver: resolver.unwrap_or_else(|| Arc::new(System { lane })),
            tls: needs_tls.then(tls::config).transpose()?,
            secrets: BTreeMap::new(),
            watched: Arc::default(),
            pool: OnceLock::new(),
            connections: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
        })
    }

    /// The secret of a grant.
    pub(super) fn secret(&self, grant: usize) -> Option<&Arc<Attached>> {
        self.secrets.get(&grant)
    }

    /// What the responses of a host are searched for at this time.
    pub(super) fn sought(&self, host: &str) -> Option<Sought> {
        self.watched.at(host)
    }

    /// The connections that are kept. Their times are the environment's, which is known to attempts only.
    pub(super) fn pool(&self, environment: &SharedEnvironment) -> &Arc<Pool> {
        self.pool.get_or_init(|| Pool::new(environment.clone()))
    }

    /// The addresses of a host, at least one. The caller checks each.
    pub(super) async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, Error> {
        let addresses = match literal(host) {
            Some(address) => Ok(vec![address]),
            None => self.resolver.resolve(host).await,
        };
        match addresses {
            Ok(addresses) if !addresses.is_empty() => Ok(addresses),
            Ok(_) | Err(_) => Err(Error::DnsError { rcode: None, info_code: None }),
        }
    }

    /// A connection to one of these addresses, which were checked: a kept one, or else a new one. Also returns whether
    /// it was kept.
    pub(super) async fn connection(
        &self,
        keys: &[Key],
        environment: &SharedEnvironment,
    ) -> Result<(Key, Connection, bool), Error> {
        for key in keys {
            while let Some(mut connection) = self.pool(environment).take(key) {
                // Its last response has ended, so it is ready at once, or closing.
                if connection.sender.ready().await.is_ok() {
                    return Ok((key.clone(), connection, true));
                }
            }
        }
        let mut last = Error::DestinationUnavailable;
        for key in keys.iter().take(ADDRESSES_MAX) {
            let until = environment.monotonic().saturating_add(CONNECT_TIME_MAX);
            match within(&**environment, until, self.connect(key)).await {
                Some(Ok(connection)) => return Ok((key.clone(), connection, false)),
                Some(Err(error)) => last = error,
                None => last = Error::ConnectionTimeout,
            }
        }
        Err(last)
    }

    async fn connect(&self, key: &Key) -> Result<Connection, Error> {
        let permit = self.connections.clone().acquire_owned().await;
        let permit = permit.map_err(|_| Error::ConnectionLimitReached)?;
        let meter = Meter::default();
        let io = Metered::new(self.open(key).await?, meter.clone());
        let mut builder = http1::Builder::new();
        builder.max_header_size(HEAD_BYTES_MAX).max_buf_size(HEAD_BYTES_MAX);
        let (sender, connection) =
            builder.handshake(TokioIo::new(io)).await.map_err(|_| Error::HttpProtocolError)?;
        let driver = AbortOnDropHandle::new(tokio::spawn(async move {
            // Its errors reach whoever waits for the response.
            let _ = connection.await;
        }));
        Ok(Connection { sender, meter, driver, permit })
    }

    /// Connects to an address, which was checked.
    pub(super) async fn open(&self, key: &Key) -> Result<Box<dyn Io>, Error> {
        let stream = TcpStream::connect(key.address).await.map_err(|error| refused(&error))?;
        // A request is written at once, and waiting for more would only delay it.
        stream.set_nodelay(true).map_err(|error| refused(&error))?;
        Ok(match key.scheme {
            Scheme::Http => Box::new(stream),
            Scheme::Https => Box::new(self.secure(&key.host, stream).await?),
        })
    }

    async fn secure(&self, host: &str, stream: TcpStream) -> Result<TlsStream<TcpStream>, Error> {
        let config = self.tls.clone().ok_or(Error::ConfigurationError)?;
        let name = match literal(host) {
            Some(address) => ServerName::from(address),
            None => ServerName::try_from(host.to_owned()).map_err(|_| Error::TlsCertificateError)?,
        };
        TlsConnector::from(config).connect(name, stream).await.map_err(|error| untrusted(&error))
    }
}

/// The address of a host that is one, in its canonical spelling.
fn literal(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

fn refused(error: &io::Error) -> Error {
    if error.kind() == io::ErrorKind::ConnectionRefused {
        Error::ConnectionRefused
    } else if error.kind() == io::ErrorKind::TimedOut {
        Error::ConnectionTimeout
    } else {
        Error::DestinationUnavailable
    }
}

fn untrusted(error: &io::Error) -> Error {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    if let Some(rustls::Error::InvalidCertificate(_)) = inner {
        Error::TlsCertificateError
    } else {
        Error::TlsProtocolError
    }
}
