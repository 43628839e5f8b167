//! A request of the host itself, on the same way out as those of tools: addresses are checked when it connects.

use core::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, USER_AGENT};
use http::{Request, StatusCode};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio_util::task::AbortOnDropHandle;
use url::Url;

use super::pool::Key;
use super::resolve::Resolve;
use super::tls::TlsError;
use super::upstream::{ADDRESSES_MAX, HEAD_BYTES_MAX, Upstream};
use crate::blocking::Lane;
use airlock_types::grant::http::address::is_allowed;
use airlock_types::grant::http::{Network, Scheme};

/// Where the host sends something, and which addresses it may have.
pub(crate) struct Destination {
    url: Url,
    allow: Vec<Network>,
    upstream: Upstream,
}

impl Destination {
    /// `lane` holds the threads for lookups where no resolver is given.
    ///
    /// # Errors
    /// When it is reached over TLS and this machine has no trusted roots.
    pub(crate) fn new(
        url: Url,
        allow: Vec<Network>,
        resolver: Option<Arc<dyn Resolve>>,
        lane: Lane,
    ) -> Result<Destination, TlsError> {
        let upstream = Upstream::bare(url.scheme() == "https", resolver, lane)?;
        Ok(Destination { url, allow, upstream })
    }

    /// Sends JSON by POST, with one more header. Only the status of the answer is read; redirects are not followed.
    ///
    /// # Errors
    /// Why there was no answer, without anything that was sent.
    pub(crate) async fn post(&self, header: (&'static str, &str), body: Bytes) -> Result<StatusCode, String> {
        let request = self.request(header, body)?;
        let mut last = "its name has no address".to_owned();
        for key in self.keys().await?.iter().take(ADDRESSES_MAX) {
            match self.upstream.open(key).await {
                Ok(io) => return exchange(TokioIo::new(io), request).await,
                Err(err) => last = format!("no connection: {err}"),
            }
        }
        Err(last)
    }

    fn request(
        &self,
        (name, value): (&'static str, &str),
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, String> {
        let path = match self.url.query() {
            Some(query) => format!("{}?{query}", self.url.path()),
            None => self.url.path().to_owned(),
        };
        let host = match (self.url.host_str().unwrap_or_default(), self.url.port()) {
            (host, Some(port)) => format!("{host}:{port}"),
            (host, None) => host.to_owned(),
        };
        let request = Request::post(path).header(HOST, host).header(CONTENT_TYPE, "application/json");
        let request = request.header(USER_AGENT, "airlock").header(name, value);
        request.body(Full::new(body)).map_err(|err| err.to_string())
    }

    /// What a connection for it must be of: one key for each address, all of which are checked.
    async fn keys(&self) -> Result<Vec<Key>, String> {
        let host = self.url.host_str().unwrap_or_default();
        let scheme = if self.url.scheme() == "https" { Scheme::Https } else { Scheme::Http };
        let port = self.url.port_or_known_default().unwrap_or_default();
        let addresses = self.upstream.addresses(host).await.map_err(|err| err.to_string())?;
        // In clear text what is sent stays on this machine.
        let may_leave = scheme == Scheme::Https;
        let is_refused =
            |address: &&IpAddr| !is_allowed(**address, &self.allow) || !(may_leave || address.is_loopback());
        // One is enough: the owner of the name chooses which of its addresses comes first.
        if let Some(refused) = addresses.iter().find(is_refused) {
            return Err(format!("it has the address {refused}, which is not public and not among `allow`"));
        }
        let host: Arc<str> = host.trim_start_matches('[').trim_end_matches(']').into();
        let key = |address| Key {
            grant: 0,
            secret: None,
            scheme,
            host: host.clone(),
            address: SocketAddr::new(address, port),
        };
        Ok(addresses.into_iter().map(key).collect())
    }
}

async fn exchange<I>(io: TokioIo<I>, request: Request<Full<Bytes>>) -> Result<StatusCode, String>
where
    I: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
{
    let mut builder = http1::Builder::new();
    builder.max_header_size(HEAD_BYTES_MAX).max_buf_size(HEAD_BYTES_MAX);
    let (mut sender, connection) = builder.handshake(io).await.map_err(|err| err.to_string())?;
    let _driver = AbortOnDropHandle::new(tokio::spawn(async move {
        // Its errors reach the request.
        let _ = connection.await;
    }));
    sender.send_request(request).await.map(|response| response.status()).map_err(|err| err.to_string())
}
