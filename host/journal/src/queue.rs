//! The bounded queue to the writer, and the writer's standing.
//!
//! A record holds its place from before it is created until it is committed. When the database cannot be written, the
//! journal thus stops accepting records before they fill memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use super::owner::Owed;
use super::standing::{Losses, Standing};
use super::store::Sealing;
use super::{Durability, Interrupted, JournalError, bound};
use airlock_types::json::Json;
use airlock_types::record::Record;

/// Places for uncommitted records: one half waits while the other half is being written.
pub(super) const PLACES: usize = 2_048;

/// Waiting records from which the writer is behind, so that calls make the texts of their own records. Twice what gathers
/// while a group waits for more: below it, the work of a call stays shorter.
const BEHIND: usize = PLACES / 4;

/// Further places for records of dropped calls, which cannot wait for a place.
const DROPPED_MAX: usize = 1_024;

/// A record takes one place, plus one for each 64 KiB. At most 128 MiB of records wait.
const PLACE_BYTES: usize = 64 << 10;

/// How long a call waits for a place while the writer is not known to be failing. Longer than the five seconds that the
/// writer needs to notice that another process holds the database.
const PLACE_WAIT: Duration = Duration::from_secs(6);

/// How long a call waits for its commit. Longer than a failing writer needs to notice it, shorter than the deadlines of
/// most calls.
const COMMIT_WAIT: Duration = Duration::from_secs(10);

/// A message to the writer.
pub(super) enum Message {
    /// An intent: a call with effects is about to start.
    Intend(Box<Record<Json>>),
    /// The call of this intent does not start after all.
    Withdraw(String),
    /// A finished record, with the durability that its call requires. Committing it ends the intent of the same call.
    Seal(Sealing, Durability),
    /// Answered once everything queued before it is written. The sender is dropped when that fails.
    Flush(SyncSender<()>),
    /// Ends the intents of processes that are gone. Answered with them.
    Settle(SyncSender<Result<Vec<Interrupted>, String>>),
    /// The bound of the database changed.
    Bound,
    /// The last message: the writer ends after it.
    Close,
}

type Done = oneshot::Sender<Result<(), String>>;
type Answer = oneshot::Receiver<Result<(), String>>;

/// A message with what the writer needs to answer and release it.
pub(super) struct Order {
    pub(super) message: Message,
    /// Receives the result when the record is committed, or can never be.
    pub(super) done: Option<Done>,
    /// Size of the parts of the record that grow with the data of callers and tools, as JSON.
    pub(super) bytes: usize,
    /// Permits that the order holds, released after the commit.
    places: usize,
    /// Whether the order counts against `DROPPED_MAX` instead of holding permits.
    is_dropped: bool,
}

impl Order {
    /// The same order with the texts of its record made.
    pub(super) fn ready(self) -> Order {
        let Message::Seal(sealing, durability) = self.message else { return self };
        Order { message: Message::Seal(sealing.ready(), durability), ..self }
    }
}

/// State shared by the writer and the queue's users.
#[derive(Debug)]
pub(super) struct Shared {
    places: Semaphore,
    dropped: AtomicUsize,
    standing: watch::Sender<Standing>,
    pub(super) bytes_max: AtomicU64,
    pub(super) lost: Losses,
    /// Records that were queued.
    pub(super) owed: Arc<Owed>,
    pub(super) removed: AtomicU64,
    pub(super) intents: AtomicU64,
    pub(super) commits: AtomicU64,
}

/// The sending end, shared by all calls.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    orders: mpsc::UnboundedSender<Order>,
    shared: Arc<Shared>,
}

impl Shared {
    pub(super) fn new(bytes_max: u64, standing: Standing) -> Shared {
        Shared {
            places: Semaphore::new(PLACES),
            dropped: AtomicUsize::new(0),
            standing: watch::Sender::new(standing),
            bytes_max: AtomicU64::new(bytes_max),
            lost: Losses::default(),
            owed: Arc::default(),
            removed: AtomicU64::new(0),
            intents: AtomicU64::new(0),
            commits: AtomicU64::new(0),
        }
    }

    pub(super) fn standing(&self) -> Standing {
        *self.standing.borrow()
    }

    /// Publishes the writer's standing. Returns whether it changed.
    pub(super) fn stands(&self, now: Standing) -> bool {
        // Only a change wakes the waiters, and only a change is logged by the callers.
        self.standing.send_if_modified(|standing| std::mem::replace(standing, now) != now)
    }

    /// Frees the places of an order that was written, or never will be.
    pub(super) fn release(&self, order: &Order) {
        if order.is_dropped {
            self.dropped.fetch_sub(1, Ordering::AcqRel);
        } else {
            self.places.add_permits(order.places);
        }
    }

    /// Places taken by uncommitted records.
    pub(super) fn waiting(&self) -> usize {
        PLACES.saturating_sub(self.places.available_permits()) + self.dropped.load(Ordering::Acquire)
    }

    /// Has the file of the owner say the exact number of records, if nothing waits.
    pub(super) fn settle(&self) {
        if self.waiting() == 0 {
            self.owed.settle();
        }
    }

    /// A record for the writer, with its texts where the writer has no time for them.
    fn sealing(&self, record: Box<Record<Json>>) -> Sealing {
        let sealing = Sealing::Plain(record);
        if self.waiting() >= BEHIND { sealing.ready() } else { sealing }
    }

    /// Rejects a record that can never be written, while its caller can still be told.
    fn admit(&self, bytes: usize) -> Result<(), JournalError> {
        bound::admit(bytes, self.bytes_max.load(Ordering::Acquire))
    }
}

impl Queue {
    pub(super) fn new(shared: Arc<Shared>) -> (Queue, mpsc::UnboundedReceiver<Order>) {
        // Unbounded, because places bound the records in it, and sending must never wait: a dropped call cannot.
        let (orders, receiver) = mpsc::unbounded_channel();
        (Queue { orders, shared }, receiver)
    }

    /// Whether calls have to wait for a place and waiting can help. A failing writer frees no places.
    pub(super) fn is_full(&self) -> bool {
        self.shared.places.available_permits() == 0 && self.shared.standing() != Standing::Failing
    }

    /// Waits for a place. Returns an error at once while the writer is failing.
    pub(super) async fn place(&self) -> Result<Place<'_>, JournalError> {
        if let Ok(permit) = self.shared.places.try_acquire() {
            // Forgotten, because the permit outlives this borrow: `Place` or the writer's `release` returns it.
            permit.forget();
            return Ok(Place(self));
        }
        // The fast path above allocates and subscribes nothing.
        let mut standing = self.shared.standing.subscribe();
        let failing = standing.wait_for(|standing| *standing == Standing::Failing);
        tokio::select! {
            permit = self.shared.places.acquire() => {
                permit.map_err(|_| gone())?.forget();
                Ok(Place(self))
            }
            _ = failing => Err(full()),
            () = tokio::time::sleep(PLACE_WAIT) => {
                self.stalled();
                Err(full())
            }
        }
    }

    /// Commits an intent. On an error the call must not start.
    pub(super) async fn intend(&self, record: Record<Json>) -> Result<(), JournalError> {
        // Rejected before any wait, because no call with effects may start without its intent on disk.
        match self.shared.standing() {
            Standing::Writing => {}
            Standing::Failing => return Err(JournalError::Write("it could not be written just now".into())),
            Standing::Full => return Err(JournalError::Full),
        }
        let (id, bytes) = (record.id.clone(), bound::size(&record));
        // Before a place is taken: a record that can never be written needs none.
        self.shared.admit(bytes)?;
        let place = self.place().await?;
        let answer = place.order(Message::Intend(Box::new(record)), bytes, true)?;
        let committed = self.committed(answer).await;
        if matches!(committed, Err(JournalError::Late)) {
            // The writer may still commit the intent. Withdrawing it afterwards keeps it from looking like a crashed
            // call.
            let _ = self.send(Message::Withdraw(id), None, 0, 0, false);
        }
        committed
    }

    /// Waits for a commit, at most `COMMIT_WAIT`.
    async fn committed(&self, answer: Option<Answer>) -> Result<(), JournalError> {
        let Some(answer) = answer else { return Ok(()) };
        match tokio::time::timeout(COMMIT_WAIT, answer).await {
            Ok(Ok(answer)) => answer.map_err(JournalError::Write),
            Ok(Err(_)) => Err(gone()),
            Err(_) => {
                self.stalled();
                Err(JournalError::Late)
            }
        }
    }

    /// Queues a record without waiting. Counts it as lost when there is no place.
    pub(super) fn seal_now(&self, record: Box<Record<Json>>, durability: Durability) {
        let bytes = bound::size(&record);
        let message = Message::Seal(self.shared.sealing(record), durability);
        // A regular place if one is free, else the reserve: a dropped call can neither wait nor report an error.
        if let Ok(permit) = self.shared.places.try_acquire() {
            permit.forget();
            if Place(self).order(message, bytes, false).is_err() {
                self.shared.lost.add(1, "the journal is closed");
            }
        // Counting before the comparison reserves the place, so concurrent drops cannot exceed the bound.
        } else if self.shared.dropped.fetch_add(1, Ordering::AcqRel) < DROPPED_MAX {
            if self.send(message, None, bytes, 0, true).is_err() {
                self.shared.lost.add(1, "the journal is closed");
            }
        } else {
            self.shared.dropped.fetch_sub(1, Ordering::AcqRel);
            self.shared.lost.add(1, "the journal's queue is full");
        }
    }

    /// Sends a message that takes no place.
    pub(super) fn tell(&self, message: Message) -> Result<(), JournalError> {
        self.send(message, None, 0, 0, false)
    }

    fn send(
        &self,
        message: Message,
        done: Option<Done>,
        bytes: usize,
        places: usize,
        is_dropped: bool,
    ) -> Result<(), JournalError> {
        // The send fails only after the writer has closed the channel. Then nothing else would release the order's
        // places.
        if matches!(message, Message::Seal(..)) {
            // Before it is queued: what is counted and not written shows as a gap.
            self.shared.owed.add_one(self.shared.waiting());
        }
        let order = Order { message, done, bytes, places, is_dropped };
        self.orders.send(order).map_err(|err| {
            self.shared.release(&err.0);
            gone()
        })
    }

    /// Publishes that the writer is failing: a wait timed out because a write to the disk has not returned.
    fn stalled(&self) {
        if self.shared.stands(Standing::Failing) {
            tracing::error!("the journal's writer has not come to an end for seconds; is its disk there?");
        }
    }
}

/// A place in the queue. Dropping it unused frees it.
pub(super) struct Place<'q>(&'q Queue);

/// A queued record. Its commit can be awaited.
pub(super) struct Sent<'q> {
    queue: &'q Queue,
    answer: Option<Answer>,
}

impl Sent<'_> {
    /// Waits for the commit if the durability requires it, else returns at once.
    pub(super) async fn committed(self) -> Result<(), JournalError> {
        self.queue.committed(self.answer).await
    }
}

impl<'q> Place<'q> {
    /// Queues a record in this place.
    pub(super) fn seal(
        self,
        record: Box<Record<Json>>,
        durability: Durability,
    ) -> Result<Sent<'q>, JournalError> {
        let queue = self.0;
        let bytes = bound::size(&record);
        queue.shared.admit(bytes)?;
        let waits = durability == Durability::Committed;
        let message = Message::Seal(queue.shared.sealing(record), durability);
        let answer = self.order(message, bytes, waits)?;
        Ok(Sent { queue, answer })
    }

    /// Queues an order without waiting. With `waits`, returns the receiver of its result.
    fn order(self, message: Message, bytes: usize, waits: bool) -> Result<Option<Answer>, JournalError> {
        let (done, answer) = waits.then(oneshot::channel).unzip();
        // A large record takes the additional places that are free and does not wait for more. Later records wait
        // instead.
        let more = match bytes / PLACE_BYTES {
            0 => 0,
            more => self.0.shared.places.forget_permits(more),
        };
        let queue = self.0;
        // The permit now belongs to the order, and `release` returns it. The drop would return it a second time.
        std::mem::forget(self);
        queue.send(message, done, bytes, 1 + more, false)?;
        Ok(answer)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.shared.places.add_permits(1);
    }
}

fn full() -> JournalError {
    JournalError::Write("its queue is full".into())
}

fn gone() -> JournalError {
    JournalError::Write("it is closed".into())
}
