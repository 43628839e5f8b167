//! One request and its response, as they are counted, and the sum over an attempt.

use core::net::IpAddr;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use http::StatusCode;

use super::Allotment;
use super::attached::Attached;
use crate::capability::dispatch::Clearance;
use crate::capability::halt::Halt;
use crate::capability::{Dispatched, EffectDenied, Noted};
use crate::secret::Echo;
use airlock_types::grant::http::Target;
use airlock_types::grant::{Asked, Why};

/// The statuses by which a gateway says that it does not know what became of a request: those of RFC 9110, those of a large
/// content network, and the two of proxies whose connection timed out.
const UNSETTLED: [u16; 9] = [502, 504, 520, 521, 522, 523, 524, 598, 599];

/// The outgoing requests of one attempt, when it ends.
#[derive(Clone, Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) requests: u64,
    pub(crate) up_bytes: u64,
    pub(crate) down_bytes: u64,
    /// The requests that were admitted, and what was refused of them later: an address, or more than a bound.
    pub(crate) noted: Noted,
    /// The host that has not answered yet.
    pub(crate) waiting_for: Option<String>,
    /// The secret that a service did not take.
    pub(crate) secret_refused: Option<String>,
}

/// The outgoing requests of a running attempt. Shared, since requests run beside the guest.
#[derive(Debug, Default)]
pub(super) struct Running {
    /// Those that were admitted, which numbers them.
    requests: AtomicU64,
    /// Those of them for which no connection was sought.
    unsent: AtomicU64,
    up_bytes: AtomicU64,
    down_bytes: AtomicU64,
    noted: Mutex<Noted>,
    /// The hosts that are waited for, by the number of the request.
    awaited: Mutex<BTreeMap<u64, Arc<str>>>,
    /// The secret that a service did not take. The first one is enough to act on.
    secret_refused: OnceLock<Arc<str>>,
    halt: Arc<Halt>,
}

impl Running {
    fn awaited(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<str>>> {
        self.awaited.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What ends the attempt when a response has a secret in it.
    pub(super) fn halt(&self) -> &Arc<Halt> {
        &self.halt
    }

    pub(super) fn traffic(&self) -> Traffic {
        Traffic {
            requests: self
                .requests
                .load(Ordering::Relaxed)
                .saturating_sub(self.unsent.load(Ordering::Relaxed)),
            up_bytes: self.up_bytes.load(Ordering::Relaxed),
            down_bytes: self.down_bytes.load(Ordering::Relaxed),
            noted: self.noted().clone(),
            waiting_for: self.awaited().values().next().map(|host| host.as_ref().to_owned()),
            secret_refused: self.secret_refused.get().map(|name| name.as_ref().to_owned()),
        }
    }
}

/// One request and its response.
#[derive(Debug)]
pub(super) struct Exchange {
    running: Arc<Running>,
    allotment: Arc<Allotment>,
    /// The grant whose bounds count, by its place in the registry's list.
    grant: usize,
    host: Arc<str>,
    /// What was asked for.
    target: Target,
    /// The number of the request in its attempt.
    number: u64,
    /// Leave for what it may change.
    clearance: Clearance,
    /// Its effect, from the first byte to the answer.
    dispatched: Mutex<Option<Dispatched>>,
    /// Whether the whole request was sent.
    is_sent: AtomicBool,
    /// Whether the request ended because it was larger than granted.
    is_too_large: AtomicBool,
    /// Whether more was received than granted, which ends the connection.
    is_out_of_bytes: AtomicBool,
}

impl Exchange {
    /// Begins to count a request that was admitted.
    pub(super) fn new(
        running: &Arc<Running>,
        allotment: Arc<Allotment>,
        (grant, is_tried): (usize, bool),
        (host, target): (Arc<str>, Target),
        clearance: Clearance,
    ) -> Arc<Exchange> {
        let number = running.requests.fetch_add(1, Ordering::Relaxed);
        let asked = Asked::Http(target.clone(), None);
        if is_tried {
            running.noted().try_out(asked)
        } else {
            running.noted().allow(asked)
        }
        Arc::new(Exchange {
            running: running.clone(),
            allotment,
            grant,
            host,
            target,
            number,
            clearance,
            dispatched: Mutex::default(),
            is_sent: AtomicBool::new(false),
            is_too_large: AtomicBool::new(false),
            is_out_of_bytes: AtomicBool::new(false),
        })
    }

    /// Notes whether the next thing to happen is the host's to do.
    pub(super) fn await_host(&self, waits: bool) {
        let mut awaited = self.running.awaited();
        if waits {
            awaited.entry(self.number).or_insert_with(|| self.host.clone());
        } else {
            awaited.remove(&self.number);
        }
    }

    fn dispatched(&self) -> MutexGuard<'_, Option<Dispatched>> {
        self.dispatched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Must be called before the first byte of the request leaves. Fails once the attempt has ended.
    pub(super) fn dispatch(&self) -> Result<(), EffectDenied> {
        let dispatched = self.clearance.dispatch()?;
        *self.dispatched() = Some(dispatched);
        Ok(())
    }

    /// Notes that no byte of the request has left after all.
    pub(super) fn withdraw(&self) {
        if let Some(dispatched) = self.dispatched().take() {
            dispatched.withdraw();
        }
    }

    /// Notes the answer of the host. By some a gateway says that the service behind it gave none, which settles nothing.
    pub(super) fn settle(&self, status: StatusCode) {
        if !UNSETTLED.contains(&status.as_u16())
            && let Some(dispatched) = self.dispatched().take()
        {
            dispatched.settle();
        }
    }

    /// Notes that the host has an address that is not granted.
    pub(super) fn refuse_address(&self, address: Option<IpAddr>) {
        self.refuse(address, Why::Address);
    }

    /// Notes that the response is compressed, so that no secret can be searched for in it.
    pub(super) fn refuse_coding(&self) {
        self.refuse(None, Why::Never);
    }

    fn refuse(&self, address: Option<IpAddr>, why: Why) {
        self.running.noted().refuse(Asked::Http(self.target.clone(), address), why);
    }

    /// Notes that the host did not take the secret of the request. Not for 403: that may be about what was asked for.
    pub(super) fn look_at(&self, status: StatusCode, attached: &Attached) {
        if status == StatusCode::UNAUTHORIZED {
            let _ = self.running.secret_refused.set(attached.name().clone());
        }
    }

    /// Ends the attempt, whose response has the value of a secret.
    pub(super) fn halt(&self, found: &Echo) {
        self.running.halt.set(&found.secret);
    }

    /// Takes back that the request was sent, with these bytes: its host has no address that it may go to. Otherwise a tool
    /// that tries again is told of a bound, and not of what is wrong.
    pub(super) fn unsent(&self, bytes: u64) {
        self.allotment.give_back(self.grant, bytes);
        self.running.up_bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.running.unsent.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts bytes to be sent. Returns whether they are within the bound.
    pub(super) fn up(&self, bytes: u64) -> bool {
        let fits = self.allotment.take_up(self.grant, bytes);
        if fits {
            self.running.up_bytes.fetch_add(bytes, Ordering::Relaxed);
        } else {
            self.is_too_large.store(true, Ordering::Relaxed);
            self.refuse(None, Why::Bound("up_bytes_max", None));
        }
        fits
    }

    /// Counts bytes that were received. Returns whether they are within the bound.
    pub(super) fn down(&self, bytes: u64) -> bool {
        // Also what is over the bound: it did arrive.
        self.running.down_bytes.fetch_add(bytes, Ordering::Relaxed);
        let fits = self.allotment.take_down(self.grant, bytes);
        if !fits {
            self.is_out_of_bytes.store(true, Ordering::Release);
            self.refuse(None, Why::Bound("down_bytes_max", None));
        }
        fits
    }

    pub(super) fn is_too_large(&self) -> bool {
        self.is_too_large.load(Ordering::Relaxed)
    }

    pub(super) fn is_out_of_bytes(&self) -> bool {
        self.is_out_of_bytes.load(Ordering::Acquire)
    }

    pub(super) fn set_sent(&self) {
        self.is_sent.store(true, Ordering::Release);
    }

    pub(super) fn is_sent(&self) -> bool {
        self.is_sent.load(Ordering::Acquire)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.await_host(false);
    }
}
