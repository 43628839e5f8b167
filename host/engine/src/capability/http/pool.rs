//! Connections that are kept between requests.
//!
//! A kept connection is found by tool, grant, secret, name of the host and address. The address is one that was resolved and
//! checked for the present request, so a name that moved finds no connection to where it was.

use core::net::SocketAddr;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use hyper::client::conn::http1::SendRequest;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::task::AbortOnDropHandle;

use super::body::Sent;
use super::meter::Meter;
use airlock_types::environment::SharedEnvironment;
use airlock_types::grant::http::Scheme;

/// Most idle connections of one tool: those of as many calls at once as its bulkhead is likely set to. Half of all that it
/// may have, so that idle ones to one host never keep it from another.
const IDLE_MAX: usize = 64;

/// How long an idle connection is kept. Servers close theirs after a minute or two, and a request on a connection that
/// is being closed fails.
const IDLE_TIME_MAX: Duration = Duration::from_secs(30);

/// What a connection may be used for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    /// Place of the grant in the registry's list.
    pub(super) grant: usize,
    /// The secret that its requests carry, by name. A new value comes with a new pool.
    pub(super) secret: Option<Arc<str>>,
    pub(super) scheme: Scheme,
    /// The name that the certificate was checked for.
    pub(super) host: Arc<str>,
    pub(super) address: SocketAddr,
}

/// An open connection. Dropping it closes it, whatever is under way.
pub(super) struct Connection {
    pub(super) sender: SendRequest<Sent>,
    /// Counts what comes in.
    pub(super) meter: Meter,
    #[expect(dead_code, reason = "held for its drop")]
    pub(super) driver: AbortOnDropHandle<()>,
    #[expect(dead_code, reason = "held for its drop")]
    pub(super) permit: OwnedSemaphorePermit,
}

struct Idle {
    since: Duration,
    connection: Connection,
}

#[derive(Default)]
struct Kept {
    by_key: BTreeMap<Key, Vec<Idle>>,
    /// Whether a task runs that closes what is too old.
    is_tended: bool,
}

impl Kept {
    fn drop_old(&mut self, now: Duration) {
        self.by_key.retain(|_, idle| {
            idle.retain(|one| {
                now.saturating_sub(one.since) < IDLE_TIME_MAX && !one.connection.sender.is_closed()
            });
            !idle.is_empty()
        });
    }
}

/// The idle connections of one tool.
pub(super) struct Pool {
    kept: Mutex<Kept>,
    environment: SharedEnvironment,
}

impl Pool {
    pub(super) fn new(environment: SharedEnvironment) -> Arc<Pool> {
        Arc::new(Pool { kept: Mutex::default(), environment })
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the connection with this key that was used last.
    pub(super) fn take(&self, key: &Key) -> Option<Connection> {
        let mut kept = self.kept();
        kept.drop_old(self.environment.monotonic());
        kept.by_key.get_mut(key)?.pop().map(|idle| idle.connection)
    }

    /// Keeps a connection whose request and response have ended.
    pub(super) fn put(self: &Arc<Self>, key: Key, connection: Connection) {
        connection.meter.end();
        let mut kept = self.kept();
        let since = self.environment.monotonic();
        kept.drop_old(since);
        if kept.by_key.values().map(Vec::len).sum::<usize>() < IDLE_MAX {
            kept.by_key.entry(key).or_default().push(Idle { since, connection });
            if !std::mem::replace(&mut kept.is_tended, true) {
                tokio::spawn(tend(Arc::downgrade(self), self.environment.clone()));
            }
        }
    }
}

/// Closes what is too old, so that a tool that is not called again holds no connection. Ends with the last connection.
async fn tend(pool: Weak<Pool>, environment: SharedEnvironment) {
    loop {
        environment.sleep(IDLE_TIME_MAX).await;
        let Some(pool) = pool.upgrade() else { return };
        let mut kept = pool.kept();
        kept.drop_old(environment.monotonic());
        kept.is_tended = !kept.by_key.is_empty();
        if !kept.is_tended {
            return;
        }
    }
}
