//! The outgoing requests of one attempt: which grant admits a request, and whether its effect may leave.

use std::sync::Arc;

use http::header::{AUTHORIZATION, COOKIE, HOST, HeaderName, HeaderValue};
use http::uri::PathAndQuery;
use http::{Request, Uri};
use wasmtime_wasi_http::{RequestOptions, WasiBody};

use super::Upstream;
use super::allotment::Allotment;
use super::body::headers_size;
use super::exchange::{Exchange, Running, Traffic};
use super::send::{Prepared, Route};
use super::spelling::spellings;
use crate::capability::dispatch::Effects;
use crate::capability::halt::Halt;
use crate::capability::{Facts, noted};
use airlock_types::effect::Effect;
use airlock_types::environment::SharedEnvironment;
use airlock_types::grant::http::method;
use airlock_types::grant::http::{GuestHeader, Scheme, Target};
use airlock_types::grant::{Asked, HttpAccess, Why};

/// Names an effect, so that the service recognizes a repetition of it.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The headers that only a grant lets a guest set.
static GRANTABLE: [(HeaderName, GuestHeader); 2] =
    [(AUTHORIZATION, GuestHeader::Authorization), (COOKIE, GuestHeader::Cookie)];

/// What an attempt may send, and what it sent.
pub(crate) struct Outgoing {
    accesses: Arc<[HttpAccess]>,
    upstream: Arc<Upstream>,
    allotment: Arc<Allotment>,
    environment: SharedEnvironment,
    running: Arc<Running>,
    /// Effects that were admitted, which numbers their keys.
    effects: u32,
}

/// The request is not granted, and why.
#[derive(Debug)]
pub(super) struct NotAdmitted(pub(super) Why);

impl Outgoing {
    pub(crate) fn new(
        accesses: Arc<[HttpAccess]>,
        upstream: Arc<Upstream>,
        allotment: Arc<Allotment>,
        environment: SharedEnvironment,
    ) -> Outgoing {
        Outgoing { accesses, upstream, allotment, environment, running: Arc::default(), effects: 0 }
    }

    /// What ends the attempt from outside, when a response has a secret in it.
    pub(crate) fn halt(&self) -> &Arc<Halt> {
        self.running.halt()
    }

    /// What the attempt sent and received until now.
    pub(crate) fn traffic(&self) -> Traffic {
        self.running.traffic()
    }

    /// Whether a grant lets the guest set a header that it otherwise may not. Which grant a request will be under is not
    /// known while its headers are set; `admit` asks again.
    pub(super) fn may_set(&self, header: &HeaderName) -> bool {
        self.accesses.iter().any(|access| grants(access, header))
    }

    /// Admits a request under the first grant that allows it and has a request left. One of another secret does not take
    /// its place: the request would be that of another account.
    pub(super) fn admit(
        &mut self,
        (request, target): (Request<WasiBody>, Target),
        options: Option<RequestOptions>,
        by: &Facts,
        effects: &Effects,
    ) -> Result<Prepared, NotAdmitted> {
        let (mut head, body) = request.into_parts();
        // Before a request is taken from a grant: what may not leave costs nothing.
        let key = self.key(&target, &head.headers);
        let effect = effect(&target.method, key.is_some());
        let (host, number) = (Arc::<str>::from(target.host.as_str()), key.as_ref().map(|_| self.effects));
        let clearance = effects.clear(by, effect, host.clone(), number);
        let extents = || self.accesses.iter().filter(|access| access.allowed.admits(&target));
        if extents().next().is_none() {
            return Err(NotAdmitted(self.refused(&target)));
        }
        let clearance = clearance.map_err(|_| NotAdmitted(Why::ReadsOnly))?;
        let lacks = |access: &HttpAccess| {
            let lacks =
                |(name, _): &&(HeaderName, _)| head.headers.contains_key(name) && !grants(access, name);
            GRANTABLE.iter().find(lacks).map(|(_, header)| *header)
        };
        let mut fitting = extents().filter(|access| lacks(access).is_none()).peekable();
        if let (None, Some(header)) = (fitting.peek(), extents().find_map(lacks)) {
            return Err(NotAdmitted(Why::Header(header)));
        }
        let out_of_requests = NotAdmitted(Why::Bound("requests_max", None));
        let secret = fitting.peek().and_then(|access| access.allowed.secret.clone());
        let mut fitting = fitting.filter(|access| access.allowed.secret == secret);
        let admitting = fitting.find(|access| self.allotment.take_request(access.grant));
        let mut access = admitting.ok_or(out_of_requests)?.clone();
        // Of all grants that admit it: one that is listed before another one takes nothing from it. What is tried stays on
        // the public network, also where another grant of the host does not.
        let is_counted = |other: &&HttpAccess| !access.is_tried || other.is_tried;
        let addresses = extents().filter(is_counted).flat_map(|access| &access.allowed.addresses).copied();
        access.allowed.addresses = addresses.collect();
        let secret = self.upstream.secret(access.grant).cloned();
        // Never without the secret that the grant has: the request would be that of another account.
        if secret.is_some() != access.allowed.secret.is_some() {
            return Err(NotAdmitted(Why::Never));
        }
        let path = head.uri.path_and_query().map_or("/", PathAndQuery::as_str);
        // Without a host in the request line: there it could name another one than the header does.
        head.uri = relative(path).ok_or(NotAdmitted(Why::Never))?;
        head.headers.insert(HOST, target.authority().parse().map_err(|_| NotAdmitted(Why::Never))?);
        if let Some(key) = key {
            head.headers.insert(IDEMPOTENCY_KEY, key);
        }
        self.effects += u32::from(!effect.repeatable());
        let allotment = self.allotment.clone();
        let asked = (host, noted::target(&target));
        let exchange =
            Exchange::new(&self.running, allotment, (access.grant, access.is_tried), asked, clearance);
        let bytes = target.method.len() as u64 + path_size(&head.uri) + headers_size(&head.headers);
        if !exchange.up(bytes) {
            return Err(NotAdmitted(Why::Bound("up_bytes_max", None)));
        }
        let route = Route {
            host: target.host,
            port: target.port,
            access,
            secret,
            options: options.unwrap_or_default(),
            head_bytes: bytes,
            exchange,
            upstream: self.upstream.clone(),
            environment: self.environment.clone(),
        };
        Ok(Prepared { request: Request::from_parts(head, body), route })
    }

    /// Why no grant admits a request.
    fn refused(&self, target: &Target) -> Why {
        let has_host = self.accesses.iter().any(|access| access.allowed.extent().has_host(&target.host));
        if has_host { Why::Beyond } else { Why::NotGranted }
    }

    /// The idempotency key of an effect. `None` for a tool whose effects must not be repeated, and where the guest has a
    /// key of its own: whether that one is the same in each attempt is unknown.
    fn key(&self, target: &Target, headers: &http::HeaderMap) -> Option<HeaderValue> {
        if method::reads(&target.method) || !spellings(headers, &IDEMPOTENCY_KEY).is_empty() {
            return None;
        }
        self.allotment.key_of(self.effects)?.parse().ok()
    }
}

/// The effect of a request.
fn effect(method: &str, has_key: bool) -> Effect {
    match (method::reads(method), has_key) {
        (true, _) => Effect::Read,
        (false, true) => Effect::Idempotent,
        (false, false) => Effect::Write,
    }
}

fn grants(access: &HttpAccess, header: &HeaderName) -> bool {
    GRANTABLE.iter().any(|(name, grantable)| name == header && access.allowed.headers.contains(grantable))
}

/// A request that cannot be compared with grants, for the record: its host alone, as far as it has one.
pub(super) fn unreadable(request: &Request<WasiBody>) -> Asked {
    let authority = request.uri().authority().map_or("", |authority| authority.as_str());
    let (method, host) = (noted::name(request.method().as_str()), noted::name(authority));
    Asked::Http(Target { scheme: Scheme::Https, host, port: 443, method, path: "/".to_owned() }, None)
}

/// The request in the form that grants are compared with.
pub(super) fn target(request: &Request<WasiBody>) -> Option<Target> {
    let uri = request.uri();
    let authority = uri.authority()?.as_str();
    Target::read(request.method().as_str(), uri.scheme_str()?, authority, uri.path())
}

/// A path and query as a URI without a host.
fn relative(path: &str) -> Option<Uri> {
    // A query alone has the path `/`, which is written out, as servers differ in what they make of its absence.
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    Uri::builder().path_and_query(path).build().ok()
}

fn path_size(uri: &Uri) -> u64 {
    uri.path_and_query().map_or(0, |path| path.as_str().len() as u64)
}
