//! Assigns connections to callers, and closes connections when there are too many.
//!
//! Owns the bounds. A connection is anonymous until its first authenticated request. Anonymous connections have their
//! own budget, so that they and callers cannot displace each other. No connection waits for a place: a new anonymous
//! connection replaces an idle one, and a caller at its limit replaces an idle connection of its own. Must not know
//! sockets.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use super::shares::{NoShare, half};
use airlock_types::caller::Caller;

/// All connections of a server.
#[derive(Debug)]
pub(super) struct Places {
    callers_max: usize,
    each_max: usize,
    strangers_max: usize,
    next: AtomicU64,
    /// An event counter, which orders events without a clock.
    tick: AtomicU64,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    strangers: BTreeMap<u64, Arc<Connection>>,
    callers: BTreeMap<u64, (Caller, Arc<Connection>)>,
}

/// An open connection.
#[derive(Debug)]
pub(super) struct Connection {
    id: u64,
    /// The network of the peer, which groups addresses of one origin.
    peer: IpAddr,
    /// Counter value of its last event.
    used: AtomicU64,
    /// Number of requests whose responses are not sent completely.
    requests: AtomicU32,
    /// The caller of the last authenticated request. `None` for an anonymous connection.
    caller: Mutex<Option<Caller>>,
    /// Cancelled to make the serving task close the connection.
    pub(super) close: CancellationToken,
}

/// The place of a connection. Dropping it frees the place.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    pub(super) connection: Arc<Connection>,
}

/// A running request on a connection. Dropping it ends the request.
#[derive(Debug)]
pub(super) struct Busy(Arc<Place>);

impl Places {
    pub(super) fn new(callers_max: u32, strangers_max: u32) -> Arc<Places> {
        let (callers_max, strangers_max) = (callers_max as usize, strangers_max as usize);
        let (next, tick, open) = Default::default();
        Arc::new(Places { callers_max, each_max: half(callers_max), strangers_max, next, tick, open })
    }

    /// Adds a connection. If there are too many anonymous ones, the oldest idle connection of the peer with the most
    /// connections is closed.
    pub(super) fn enter(self: &Arc<Places>, peer: IpAddr) -> Arc<Place> {
        let connection = Arc::new(Connection {
            id: self.next.fetch_add(1, Ordering::Relaxed),
            peer: network(peer),
            used: self.now().into(),
            requests: AtomicU32::new(0),
            caller: Mutex::default(),
            close: CancellationToken::new(),
        });
        let mut open = self.open();
        // The new connection is admitted in any case: rejecting it would let a client that holds all places shut out
        // others.
        if open.strangers.len() >= self.strangers_max {
            open.close_stranger();
        }
        open.strangers.insert(connection.id, connection.clone());
        Arc::new(Place { places: self.clone(), connection })
    }

    /// Closes the anonymous connection that would be replaced next. Returns false if there is none.
    pub(super) fn close_one(&self) -> bool {
        self.open().close_stranger()
    }

    fn claim(&self, connection: &Arc<Connection>, who: &Caller) -> Result<(), NoShare> {
        let mut open = self.open();
        let id = connection.id;
        let own = open.callers.iter().filter(|(other, (owner, _))| **other != id && owner == who).count();
        // The caller's own limit first: a caller at its limit gives up its own connection, whether or not the server is
        // full.
        if own >= self.each_max && !open.close_idle(id, |owner, _| owner == who) {
            return Err(NoShare::ByCaller);
        }
        let is_full = open.callers.len() >= self.callers_max && !open.callers.contains_key(&id);
        // Other callers give way only if they have more connections than this caller.
        if is_full && !open.close_idle(id, |owner, count| owner == who || count > own) {
            return Err(NoShare::ByAll);
        }
        // Only after both limits were met, so that a rejected connection stays counted as anonymous.
        open.strangers.remove(&connection.id);
        open.callers.insert(connection.id, (who.clone(), connection.clone()));
        Ok(())
    }

    fn leave(&self, id: u64) {
        let mut open = self.open();
        open.strangers.remove(&id);
        open.callers.remove(&id);
    }

    fn now(&self) -> u64 {
        // Relaxed, because only the order of the values matters, and one atomic variable has one order.
        self.tick.fetch_add(1, Ordering::Relaxed)
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn close_stranger(&mut self) -> bool {
        let mut of_peer: BTreeMap<IpAddr, usize> = BTreeMap::new();
        for stranger in self.strangers.values() {
            *of_peer.entry(stranger.peer).or_default() += 1;
        }
        let most = of_peer.into_iter().max_by_key(|(_, count)| *count).map(|(peer, _)| peer);
        let of_most = self.strangers.values().filter(|stranger| Some(stranger.peer) == most);
        // A busy connection is closed only if its peer has no idle one: its request may show credentials next.
        let Some(victim) = of_most.min_by_key(|it| (it.is_busy(), it.used())).map(|it| it.id) else {
            return false;
        };
        // Removed at once and not when its task ends, so that the count is right for the connection that replaces it.
        self.strangers.remove(&victim).inspect(|it| it.close.cancel()).is_some()
    }

    /// Closes an idle connection of a caller that `gives_way` selects, by its name and its number of connections.
    /// Prefers the caller with the most connections, and its longest idle connection. Never closes `but`.
    fn close_idle(&mut self, but: u64, gives_way: impl Fn(&Caller, usize) -> bool) -> bool {
        let mut counts: BTreeMap<&Caller, usize> = BTreeMap::new();
        for (owner, _) in self.callers.values() {
            *counts.entry(owner).or_default() += 1;
        }
        let count = |owner: &Caller| counts.get(owner).copied().unwrap_or_default();
        let idle = self.callers.iter().filter(|(id, (_, it))| **id != but && !it.is_busy());
        let giving = idle.filter(|(_, (owner, _))| gives_way(owner, count(owner)));
        let victim = giving.min_by_key(|(_, (owner, it))| (Reverse(count(owner)), it.used()));
        let Some(victim) = victim.map(|(id, _)| *id) else { return false };
        self.callers.remove(&victim).inspect(|(_, it)| it.close.cancel()).is_some()
    }
}

impl Connection {
    /// Whether the connection is anonymous.
    pub(super) fn is_strangers(&self) -> bool {
        self.caller().is_none()
    }

    pub(super) fn is_busy(&self) -> bool {
        self.requests.load(Ordering::Acquire) > 0
    }

    fn used(&self) -> u64 {
        self.used.load(Ordering::Acquire)
    }

    fn caller(&self) -> MutexGuard<'_, Option<Caller>> {
        self.caller.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Starts a request on this connection.
    pub(super) fn begin(self: &Arc<Place>) -> Busy {
        self.connection.requests.fetch_add(1, Ordering::AcqRel);
        Busy(self.clone())
    }

    /// Assigns the connection to a caller. This can change, because a proxy can send requests of several callers over
    /// one connection.
    pub(super) fn claim(&self, who: &Caller) -> Result<(), NoShare> {
        let mut caller = self.connection.caller();
        // The usual case is the same caller again, which does not need the lock on all connections.
        if caller.as_ref() != Some(who) {
            // The lock on the caller is held meanwhile. The order is always this one first, then the lock on all
            // connections.
            self.places.claim(&self.connection, who)?;
            *caller = Some(who.clone());
        }
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.leave(self.connection.id);
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let Busy(place) = self;
        // Before the count goes down, so that the connection is never seen as idle with an old counter value.
        place.connection.used.store(place.places.now(), Ordering::Release);
        place.connection.requests.fetch_sub(1, Ordering::AcqRel);
    }
}

/// An IPv4 address, or the network of an IPv6 address, because one peer controls all addresses of that network.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6([a, b, c, d, 0, 0, 0, 0].into())
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn is_open(place: &Place) -> bool {
        !place.connection.close.is_cancelled()
    }

    fn callers(places: &Arc<Places>, who: &str, count: usize) -> Vec<Arc<Place>> {
        let new = || places.enter(HERE);
        let all: Vec<_> = std::iter::repeat_with(new).take(count).collect();
        all.iter().for_each(|place| place.claim(&Caller::named(who)).unwrap());
        all
    }

    #[test]
    fn a_new_stranger_takes_the_place_of_the_oldest_idle_one() {
        let places = Places::new(4, 2);
        let (first, second) = (places.enter(HERE), places.enter(HERE));
        let busy = first.begin();
        let third = places.enter(HERE);
        assert_eq!([is_open(&first), is_open(&second), is_open(&third)], [true, false, true]);
        drop(busy);
        let fourth = places.enter(HERE);
        assert_eq!(
            [is_open(&first), is_open(&third), is_open(&fourth)],
            [true, false, true],
            "it was used since"
        );
    }

    #[test]
    fn a_flood_from_one_peer_closes_its_own() {
        let places = Places::new(4, 4);
        let probe = places.enter("10.0.0.1".parse().unwrap());
        let flood: Vec<_> =
            (0..100).map(|i| places.enter(format!("2001:db8::{i}").parse().unwrap())).collect();
        assert!(is_open(&probe));
        assert_eq!(flood.iter().filter(|place| is_open(place)).count(), 3);
    }

    #[test]
    fn strangers_take_no_place_of_a_caller_and_a_caller_none_of_theirs() {
        let places = Places::new(4, 2);
        let held = callers(&places, "a", 2);
        let flood: Vec<_> = (0..50).map(|_| places.enter(HERE)).collect();
        assert!(held.iter().all(|place| is_open(place)));
        assert_eq!(flood.iter().filter(|place| is_open(place)).count(), 2);
    }

    #[test]
    fn a_caller_that_has_its_share_gives_up_its_own_idle_ones() {
        let places = Places::new(8, 8);
        let held = callers(&places, "a", 5);
        assert!(!is_open(&held[0]) && held[1..].iter().all(|place| is_open(place)));
        let busy: Vec<_> = held[1..].iter().map(Place::begin_ref).collect();
        let more = places.enter(HERE);
        assert_eq!(more.claim(&Caller::named("a")), Err(NoShare::ByCaller));
        assert!(more.claim(&Caller::named("b")).is_ok(), "nobody else's");
        drop(busy);
    }

    #[test]
    fn where_all_is_taken_the_largest_gives_way() {
        let places = Places::new(4, 8);
        let (a, b) = (callers(&places, "a", 2), callers(&places, "b", 2));
        let c = callers(&places, "c", 1);
        assert!(is_open(&c[0]));
        assert_eq!(a.iter().chain(&b).filter(|place| is_open(place)).count(), 3);
        let busy: Vec<_> = a.iter().chain(&b).chain(&c).map(Place::begin_ref).collect();
        assert_eq!(places.enter(HERE).claim(&Caller::named("d")), Err(NoShare::ByAll));
        drop(busy);
    }

    impl Place {
        fn begin_ref(this: &Arc<Place>) -> Busy {
            this.begin()
        }
    }
}
