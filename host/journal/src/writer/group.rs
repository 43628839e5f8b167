//! The writer thread: commits waiting records in groups.
//!
//! A failed group is kept and tried again. When the disk fails, its records are tried one by one, so that one large
//! record does not block the others. The writer publishes its standing, by which `queue` rejects what cannot be
//! written.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::mpsc::error::TryRecvError;

use super::put::{Account, put_all};
use crate::Interrupted;
use crate::beside::Beside;
use crate::bound::RECORD_SHARE;
use crate::owner::{self, Dead, Owner};
use crate::queue::{Message, Order, PLACES, Shared};
use crate::standing::{Standing, log_full, log_removal};
use crate::store;
use crate::store::processes;
use crate::store::{Fault, SizeCheck, Store, StoreError};

/// Most records in one group.
const GROUP_MAX: usize = PLACES / 2;

/// Queue length above which the writer stops yielding between records.
const CROWDED: usize = GROUP_MAX / 4 * 3;

/// A group of this size is written at once: waiting longer takes memory and no longer improves throughput.
const GROUP_FULL: usize = GROUP_MAX / 4;

/// A smaller group without a waiter gathers for at most `RESTS` pauses of this length.
const REST: Duration = Duration::from_millis(5);
const RESTS: usize = 4;

/// Busy tries in a row before the writer reports a failure. Each takes [`store::BUSY`], five seconds together, so that
/// a short backup goes unnoticed.
const BUSY_MAX: u32 = 20;

/// Unit of the pause between tries of a failing writer. The pause doubles up to `STEPS_MAX` units, and the writer
/// receives orders after each unit.
const STEP: Duration = Duration::from_millis(50);
const STEPS_MAX: u32 = 20;

/// After this many failed tries the database is reopened, whatever the error was.
const REOPEN: u32 = 8;

/// Divisor of the bound: the share that the write-ahead log may reach while a reader in another process keeps it from
/// restarting.
const WAL_SHARE: u64 = 4;

/// The state of the writer thread.
pub(super) struct Writing {
    pub(super) path: PathBuf,
    /// This process, whose intents are written here.
    pub(super) owner: Owner,
    /// `None` while the database cannot be reopened.
    pub(super) store: Option<Store>,
    pub(super) beside: Arc<Beside>,
    pub(super) orders: UnboundedReceiver<Order>,
    pub(super) shared: Arc<Shared>,
    pub(super) abandoned: Arc<AtomicBool>,
    /// Uncommitted orders, oldest first.
    pub(super) group: Vec<Order>,
    pub(super) flushes: Vec<SyncSender<()>>,
    /// Records that were written or refused since the start.
    pub(super) accounted: u64,
    /// Losses of which the log tells.
    pub(super) told_lost: u64,
    /// Failed tries in a row.
    pub(super) failures: u32,
    /// Whether the writer has work without orders: the database is over its bound or full, or cannot be written.
    pub(super) is_restless: bool,
    /// Whether nothing removable is left.
    pub(super) is_full: bool,
    pub(super) is_closing: bool,
    pub(super) _ending: SyncSender<()>,
}

impl Writing {
    pub(super) fn run(mut self) {
        while self.gather() {
            match self.commit() {
                Ok(()) => self.succeeded(),
                Err(err) => self.failed(&err),
            }
            // After a try and not before: the last group gets one more chance when `close` stops waiting.
            if self.abandoned.load(Ordering::Acquire) {
                break;
            }
        }
        // Closed first, so that no order can arrive after the queue is emptied and be lost uncounted.
        self.orders.close();
        while let Ok(order) = self.orders.try_recv() {
            self.take(order);
        }
        // Only finished records count as lost. An open intent shows by itself that its call was interrupted.
        let lost = self.group.iter().filter(|order| matches!(order.message, Message::Seal(..))).count();
        self.shared.lost.add(lost as u64, "the journal was closed before they could be written");
        self.group.drain(..).for_each(|order| self.shared.release(&order));
        self.owner.release(self.accounted == self.shared.owed.records());
    }

    /// Ends the intents of processes that are gone, and tells of the records that they did not write.
    fn settle(&mut self) -> Result<Vec<Interrupted>, StoreError> {
        let path = self.path.clone();
        // At any time: an owner without a file is as dead as one without a lock.
        let dead = owner::dead(&path);
        // Their files are locked here.
        let is_alive = |id: &str| !dead.iter().any(|dead| dead.id == id) && owner::is_alive(&path, id);
        let store = self.store()?;
        // Read first: most starts find none, and need no lock on the database.
        let mut has_none = store::interrupted(store.connection(), is_alive)?.is_empty();
        for dead in &dead {
            has_none &= processes::missing(store.connection(), &dead.id, dead.owed)? == 0;
        }
        let settled = if has_none {
            Vec::new()
        } else {
            store.write(|connection| {
                dead.iter().try_for_each(|dead| processes::bury(connection, &dead.id, dead.owed))?;
                store::settle(connection, is_alive)
            })?
        };
        dead.into_iter().for_each(Dead::remove);
        Ok(settled)
    }

    /// Gathers a group. Writes it at once when a caller waits for it. Returns `false` when the thread shall end.
    fn gather(&mut self) -> bool {
        if self.group.is_empty() && self.flushes.is_empty() {
            match self.next() {
                Some(order) => self.take(order),
                None => return false,
            }
        }
        let bytes_max = usize::try_from(self.bytes_max() / RECORD_SHARE).unwrap_or(usize::MAX);
        let mut bytes: usize = self.group.iter().map(|order| order.bytes).sum();
        let mut rests = 0;
        // Bounded in bytes as well: a group needs room in the database at once, and its share is far below the bound.
        while self.group.len() < GROUP_MAX && bytes < bytes_max {
            match self.orders.try_recv() {
                Ok(order) => {
                    bytes += order.bytes;
                    self.take(order);
                }
                Err(_) if rests == RESTS || self.group.len() >= GROUP_FULL || self.is_awaited() => break,
                Err(_) => {
                    // A short pause, because each commit waits for the disk: a larger group costs hardly more than a
                    // small one.
                    std::thread::sleep(REST);
                    rests += 1;
                }
            }
        }
        true
    }

    /// The next order. Work that needs no order is done while none is queued.
    fn next(&mut self) -> Option<Order> {
        let mut looks = 0;
        while self.is_restless && !self.is_closing {
            match self.orders.try_recv() {
                Ok(order) => return Some(order),
                Err(TryRecvError::Disconnected) => return None,
                Err(TryRecvError::Empty) => {}
            }
            // Nothing announces free disk space or rows removed by other processes, so both are polled.
            if looks % STEPS_MAX == 0 && self.tend() {
                continue;
            }
            looks += 1;
            if self.is_restless {
                std::thread::sleep(STEP);
            }
        }
        // Before it rests: a process that is killed while nothing waits leaves no gap.
        self.shared.settle();
        // While closing, the writer takes what is queued and does not wait for more. Otherwise it blocks without a
        // timeout, so an idle writer uses no processor time.
        if self.is_closing { self.orders.try_recv().ok() } else { self.orders.blocking_recv() }
    }

    /// One step toward the bound, or a test whether the database can be written again. Returns whether the next step is
    /// due at once.
    fn tend(&mut self) -> bool {
        let (bytes_max, is_failing) = (self.bytes_max(), self.failures > 0);
        let tended = self.store().and_then(|store| store.tend(bytes_max, is_failing));
        match tended {
            Ok(room) => {
                self.has(room);
                self.succeeded();
                room.is_over
            }
            Err(err) => {
                if err.fault() == Fault::Broken {
                    self.give_up();
                }
                false
            }
        }
    }

    /// The open database, reopened if it was given up.
    fn store(&mut self) -> Result<&mut Store, StoreError> {
        match &mut self.store {
            Some(store) => Ok(store),
            none => Ok(none.insert(Store::open(&self.path).map_err(StoreError::Open)?)),
        }
    }

    /// Sorts an order: records go to the group, all else changes the writer's state.
    fn take(&mut self, order: Order) {
        match order.message {
            Message::Flush(done) => self.flushes.push(done),
            Message::Settle(done) => {
                let settled = self.settle().map_err(|err| err.to_string());
                // The asker may have stopped waiting.
                let _ = done.send(settled);
            }
            Message::Bound => self.is_restless = true,
            Message::Close => self.is_closing = true,
            // Ready before the transaction, which others wait for.
            Message::Intend(_) | Message::Withdraw(_) | Message::Seal(..) => self.group.push(order.ready()),
        }
    }

    /// Whether a caller or a look-up waits for the group.
    fn is_awaited(&self) -> bool {
        !self.flushes.is_empty() || self.group.iter().any(|order| order.done.is_some())
    }

    /// Writes the group. Orders that could not be written stay in it.
    fn commit(&mut self) -> Result<(), StoreError> {
        if self.group.is_empty() {
            // Without records, a flush still fails if the files are gone. Otherwise a look-up would take a missing
            // record for absent.
            return if self.store()?.is_in_place() { Ok(()) } else { Err(StoreError::Displaced) };
        }
        let mut last = match self.write(0, self.group.len()) {
            Ok(()) => return Ok(()),
            // All-or-nothing first: one transaction for the group is the fast case, and it has changed nothing if it
            // failed.
            Err(err) if err.fault() == Fault::Disk && self.group.len() > 1 => err,
            Err(err) => return Err(err),
        };
        // One by one: a single large record may be what does not fit on the disk.
        let mut at = 0;
        while at < self.group.len() {
            match self.write(at, 1) {
                Ok(()) => {}
                // A record that fails stays at its index, and the next one is tried.
                Err(err) if err.fault() == Fault::Disk => (last, at) = (err, at + 1),
                Err(err) => return Err(err),
            }
        }
        if self.group.is_empty() { Ok(()) } else { Err(last) }
    }

    /// Writes `count` orders of the group from index `at`, and answers their waiters.
    fn write(&mut self, at: usize, count: usize) -> Result<(), StoreError> {
        let bytes_max = self.bytes_max();
        // Before the transaction: a log that a reader pins must not grow further.
        self.store()?.fold((bytes_max / WAL_SHARE).max(2 * store::WAL_BYTES))?;
        let (is_first, before) = (self.accounted == 0, self.accounted);
        let Writing { store: Some(store), group, orders, owner, path, .. } = self else { return Ok(()) };
        let part = &group[at..at + count];
        let intents = part.iter().filter(|order| matches!(order.message, Message::Intend(_))).count();
        let seals = part.iter().filter(|order| matches!(order.message, Message::Seal(..))).count() as u64;
        // Its lock is held before an intent is committed under it. Records need no owner, but are not counted without one.
        let owner = match owner.id(before) {
            Err(err) if intents > 0 => return Err(StoreError::Owner(err)),
            owner => owner.unwrap_or_default(),
        };
        let (accounted, lost) = (before + seals, self.shared.lost.count());
        let account =
            Account { owner, records: (seals > 0).then_some(accounted), lost: lost - self.told_lost };
        let is_awaited = part.iter().any(|order| order.done.is_some());
        // Without a waiter, the thread yields between records, so that calls on the same core run first.
        let stand_back = || {
            if !is_awaited && orders.len() < CROWDED {
                std::thread::yield_now();
            }
        };
        let (room, refused) = store.write(|connection| {
            if is_first {
                processes::forget(connection, |other| owner::is_gone(path, other))?;
            }
            put_all(connection, part, &account, bytes_max, stand_back)
        })?;
        (self.accounted, self.told_lost) = (accounted, lost);
        self.shared.commits.fetch_add(1, Ordering::AcqRel);
        self.shared.intents.fetch_add(intents as u64, Ordering::AcqRel);
        for (i, order) in group.drain(at..at + count).enumerate() {
            // Released before the answer, so that a caller that continues finds the place free.
            self.shared.release(&order);
            let why = refused.iter().find(|(index, _)| *index == i).map(|(_, why)| why.clone());
            if let Some(why) = &why {
                self.shared.lost.add(1, why);
            }
            // The waiter may have been dropped.
            let _ = order.done.map(|done| done.send(why.map_or(Ok(()), Err)));
        }
        self.has(room);
        Ok(())
    }

    /// Stores how the size of the database compares to its bound.
    fn has(&mut self, room: SizeCheck) {
        // Only this thread adds, so the first removal is logged once.
        let before = self.shared.removed.fetch_add(room.removed, Ordering::AcqRel);
        if before == 0 && room.removed > 0 {
            log_removal();
        }
        self.is_restless = room.is_over || room.is_full;
        self.is_full = room.is_full;
    }

    /// Publishes the new standing after everything was written, and answers the flushes.
    fn succeeded(&mut self) {
        self.failures = 0;
        // The standing is published before the flushes are answered: a look-up that follows a flush sees the new
        // standing.
        let now = if self.is_full { Standing::Full } else { Standing::Writing };
        if self.shared.stands(now) && self.is_full {
            log_full();
        }
        for done in self.flushes.drain(..) {
            let _ = done.send(());
        }
    }

    /// Keeps the group, and pauses before the next try.
    fn failed(&mut self, err: &StoreError) {
        self.failures = self.failures.saturating_add(1);
        // No pause: the statement itself has waited for the lock, for `store::BUSY`.
        if err.fault() == Fault::Busy && self.failures < BUSY_MAX {
            return;
        }
        // Reopened even after errors of the disk: another disk may be mounted at the path by now.
        if err.fault() == Fault::Broken || self.failures.is_multiple_of(REOPEN) {
            self.give_up();
        }
        // The database is tested even if no order arrives, so that calls with effects are accepted again.
        self.is_restless = true;
        if self.shared.stands(Standing::Failing) {
            tracing::error!(
                "the journal cannot be written: {err}; {} records are kept and tried again, calls with effects are \
                 refused",
                self.group.len()
            );
        }
        // The shift is capped before it can overflow, and 2^5 already exceeds `STEPS_MAX`.
        for _ in 0..(1 << self.failures.min(5)).min(STEPS_MAX) {
            self.refuse();
            std::thread::sleep(STEP);
            if self.is_closing {
                break;
            }
        }
    }

    /// Receives queued orders. Rejects waiters that must not wait for the disk: intents and look-ups.
    fn refuse(&mut self) {
        while let Ok(order) = self.orders.try_recv() {
            self.take(order);
        }
        // Dropping a sender is the error answer to a flush.
        self.flushes.clear();
        let waits = |order: &mut Order| matches!(order.message, Message::Intend(_)) && order.done.is_some();
        for order in self.group.extract_if(.., waits) {
            self.shared.release(&order);
            let _ = order.done.map(|done| done.send(Err("it cannot be written".into())));
        }
    }

    /// Closes the database so that it is reopened, when no other connection of this process is open.
    fn give_up(&mut self) {
        self.beside.closed(|| self.store = None);
    }

    fn bytes_max(&self) -> u64 {
        self.shared.bytes_max.load(Ordering::Acquire)
    }
}
