//! An HTTP server on loopback that stands for a host beyond this one. It counts what reaches it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::serve::ListenerExt as _;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Most bytes of a request's body that are read.
const BODY_BYTES_MAX: usize = 64 << 20;

/// Bytes of one part of a large response.
const PART_BYTES: u64 = 64 << 10;

/// A running server, which ends with this value.
pub struct Upstream {
    /// Where it listens.
    pub address: SocketAddr,
    seen: Arc<Seen>,
    task: JoinHandle<()>,
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Arrived {
    /// The method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// The headers.
    pub headers: HeaderMap,
    /// Bytes of the body, as far as it came.
    pub body: usize,
}

impl Arrived {
    /// The value of a header; empty if it is missing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    requests: Mutex<Vec<Arrived>>,
}

impl Seen {
    fn requests(&self) -> MutexGuard<'_, Vec<Arrived>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Upstream {
    /// Starts it on `127.0.0.1`, at a port of the system's choice.
    ///
    /// # Errors
    /// When it cannot listen.
    pub async fn start() -> anyhow::Result<Upstream> {
        Upstream::at("127.0.0.1:0").await
    }

    /// Starts it on this address.
    ///
    /// # Errors
    /// When it cannot listen.
    pub async fn at(address: &str) -> anyhow::Result<Upstream> {
        let listener = TcpListener::bind(address).await?;
        let (address, seen) = (listener.local_addr()?, Arc::new(Seen::default()));
        let app = Router::new().fallback(answer).with_state(seen.clone());
        let counted = seen.clone();
        let listener = listener.tap_io(move |_| {
            counted.connections.fetch_add(1, Ordering::AcqRel);
        });
        let task = tokio::spawn(async move {
            let _ = axum::serve(listener, app).await;
        });
        Ok(Upstream { address, seen, task })
    }

    /// Starts it over TLS on `127.0.0.1`, with a certificate for these names. Also returns the root that signed it, as PEM.
    ///
    /// # Errors
    /// When it cannot listen, or make a certificate.
    pub async fn tls(names: &[&str]) -> anyhow::Result<(Upstream, String)> {
        let (config, root) = certified(names)?;
        let tcp = TcpListener::bind("127.0.0.1:0").await?;
        let (address, seen) = (tcp.local_addr()?, Arc::new(Seen::default()));
        let app = Router::new().fallback(answer).with_state(seen.clone());
        let listener = TlsListener { tcp, acceptor: TlsAcceptor::from(Arc::new(config)), seen: seen.clone() };
        let task = tokio::spawn(async move {
            let _ = axum::serve(listener, app).await;
        });
        Ok((Upstream { address, seen, task }, root))
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Connections that were made to it.
    pub fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::Acquire)
    }

    /// The requests that reached it, in order.
    pub fn arrived(&self) -> Vec<Arrived> {
        self.seen.requests().clone()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Accepts connections over TLS, one after another.
struct TlsListener {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
    seen: Arc<Seen>,
}

impl axum::serve::Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let Ok((stream, address)) = self.tcp.accept().await else { continue };
            self.seen.connections.fetch_add(1, Ordering::AcqRel);
            // A client that does not trust the certificate ends the handshake.
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.tcp.local_addr()
    }
}

/// The settings of a server with a certificate for these names, and the root that signed it.
fn certified(names: &[&str]) -> anyhow::Result<(ServerConfig, String)> {
    let mut root = CertificateParams::new(Vec::new())?;
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = CertifiedIssuer::self_signed(root, KeyPair::generate()?)?;
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let key = KeyPair::generate()?;
    let leaf = CertificateParams::new(names)?.signed_by(&key, &root)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(
            vec![leaf.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).map_err(anyhow::Error::msg)?,
        )?;
    Ok((config, root.pem()))
}

/// `/slow` never answers, `/pause` stops in the middle of its body, `/redirect?URL` points elsewhere, `/large?N` has N
/// bytes, `/headers?N` has N bytes of headers, `/close` ends the connection after the response; all else is greeted.
async fn answer(State(seen): State<Arc<Seen>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    let query = head.uri.query().unwrap_or_default().to_owned();
    let mut arrived = Arrived {
        method: head.method.to_string(),
        path: head.uri.to_string(),
        headers: head.headers,
        body: 0,
    };
    // Before the body is read: a request whose body is cut off has arrived, too.
    let place = {
        let mut requests = seen.requests();
        requests.push(arrived.clone());
        requests.len() - 1
    };
    arrived.body = to_bytes(body, BODY_BYTES_MAX).await.map_or(0, |bytes| bytes.len());
    if let Some(kept) = seen.requests().get_mut(place) {
        *kept = arrived.clone();
    }
    let number = query.parse::<u64>().unwrap_or_default();
    match path.as_str() {
        "/slow" => std::future::pending().await,
        "/pause" => {
            let parts = futures::stream::iter([Ok::<_, std::io::Error>(Bytes::from("one"))]);
            let parts = futures::StreamExt::chain(parts, futures::stream::pending());
            Body::from_stream(parts).into_response()
        }
        "/redirect" => (StatusCode::FOUND, [(header::LOCATION, query)]).into_response(),
        "/large" => large(number),
        "/headers" => {
            ([("x-long", "h".repeat(usize::try_from(number).unwrap_or_default()))], "x").into_response()
        }
        "/cookie" => ([(header::SET_COOKIE, "session=s3cr3t")], "x").into_response(),
        "/close" => ([(header::CONNECTION, "close")], "bye").into_response(),
        _ => format!("{} {}", arrived.method, arrived.path).into_response(),
    }
}

fn large(bytes: u64) -> Response {
    let sizes = (0..bytes).step_by(PART_BYTES as usize).map(move |at| PART_BYTES.min(bytes - at));
    let parts = sizes.map(|size| Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; size as usize])));
    Body::from_stream(futures::stream::iter(parts)).into_response()
}
