//! The bounded way to the writer, and how the writer stands.
//!
//! A record holds its place from before it is made until it is committed: a database that cannot be written to
//! stops taking records before memory is full of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use super::standing::{Losses, Standing};
use super::{Durability, JournalError, bound};
use airlock_types::json::Json;
use airlock_types::record::Record;

/// Places for records that are not committed yet: those that wait, and as many that are being written.
pub(super) const PLACES: usize = 2_048;

/// More places, for records of calls that were dropped: those cannot wait.
const DROPPED_MAX: usize = 1_024;

/// A record takes one place, and one more for each of these: 128 MiB of records wait at most.
const PLACE_BYTES: usize = 64 << 10;

/// How long a call waits for a place while the writer is not known to be in trouble: as long as it takes the writer to
/// find out that another process holds the database.
const PLACE_WAIT: Duration = Duration::from_secs(6);

/// How long a call waits for its commit: longer than a writer in trouble needs to notice it, shorter than most calls'
/// deadlines.
const COMMIT_WAIT: Duration = Duration::from_secs(10);

/// What the writer is told.
pub(super) enum Message {
    /// A call with effects is about to begin.
    Intend(Box<Record<Json>>),
    /// It will not begin after all.
    Withdraw(String),
    /// With the durability that its call asks for: a call whose record is committed was put on record as an intent.
    Seal(Box<Record<Json>>, Durability),
    /// Everything before this was written once it is answered; dropped where it cannot be.
    Flush(SyncSender<()>),
    /// The bound of the database changed.
    Bound,
    /// The last message.
    Close,
}

type Done = oneshot::Sender<Result<(), String>>;
type Answer = oneshot::Receiver<Result<(), String>>;

pub(super) struct Order {
    pub(super) message: Message,
    /// Answered when it is committed, or will never be.
    pub(super) done: Option<Done>,
    /// Its JSON, as far as it grows with what callers and tools send.
    pub(super) bytes: usize,
    places: usize,
    is_dropped: bool,
}

/// State shared by the writer and the queue's users.
#[derive(Debug)]
pub(super) struct Shared {
    places: Semaphore,
    dropped: AtomicUsize,
    standing: watch::Sender<Standing>,
    pub(super) bytes_max: AtomicU64,
    pub(super) lost: Losses,
    pub(super) removed: AtomicU64,
}

/// The sending end.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    orders: mpsc::UnboundedSender<Order>,
    shared: Arc<Shared>,
}

impl Shared {
    pub(super) fn new(bytes_max: u64) -> Shared {
        Shared {
            places: Semaphore::new(PLACES),
            dropped: AtomicUsize::new(0),
            standing: watch::Sender::new(Standing::Writing),
            bytes_max: AtomicU64::new(bytes_max),
            lost: Losses::default(),
            removed: AtomicU64::new(0),
        }
    }

    pub(super) fn standing(&self) -> Standing {
        *self.standing.borrow()
    }

    /// Says how the writer stands; whether that is news.
    pub(super) fn stands(&self, now: Standing) -> bool {
        self.standing.send_if_modified(|standing| std::mem::replace(standing, now) != now)
    }

    /// The place of an order that was written, or never will be.
    pub(super) fn release(&self, order: &Order) {
        if order.is_dropped {
            self.dropped.fetch_sub(1, Ordering::AcqRel);
        } else {
            self.places.add_permits(order.places);
        }
    }

    /// Records that are not committed yet, in places.
    pub(super) fn waiting(&self) -> usize {
        PLACES.saturating_sub(self.places.available_permits()) + self.dropped.load(Ordering::Acquire)
    }

    /// Refuses a record that could never be written, while its caller can still be told.
    fn admit(&self, bytes: usize) -> Result<(), JournalError> {
        bound::admit(bytes, self.bytes_max.load(Ordering::Acquire))
    }
}

impl Queue {
    pub(super) fn new(shared: Arc<Shared>) -> (Queue, mpsc::UnboundedReceiver<Order>) {
        let (orders, receiver) = mpsc::unbounded_channel();
        (Queue { orders, shared }, receiver)
    }

    /// Whether calls have to wait for a place, and waiting can help.
    pub(super) fn is_full(&self) -> bool {
        self.shared.places.available_permits() == 0 && self.shared.standing() != Standing::Failing
    }

    /// Waits for a place, but not while the database cannot be written to.
    pub(super) async fn place(&self) -> Result<Place<'_>, JournalError> {
        if let Ok(permit) = self.shared.places.try_acquire() {
            permit.forget();
            return Ok(Place(self));
        }
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

    /// Puts an intent on record, or says why the call must not begin.
    pub(super) async fn intend(&self, record: Record<Json>) -> Result<(), JournalError> {
        match self.shared.standing() {
            Standing::Writing => {}
            Standing::Failing => return Err(JournalError::Write("it could not be written just now".into())),
            Standing::Full => return Err(JournalError::Full),
        }
        let (id, bytes) = (record.id.clone(), bound::size(&record));
        self.shared.admit(bytes)?;
        let place = self.place().await?;
        let answer = place.order(Message::Intend(Box::new(record)), bytes, true)?;
        let committed = self.committed(answer).await;
        if matches!(committed, Err(JournalError::Late)) {
            // It may be written yet.
            let _ = self.send(Message::Withdraw(id), None, 0, 0, false);
        }
        committed
    }

    /// Waits for a commit.
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

    /// Queues a record without waiting; counts it as lost where there is no place.
    pub(super) fn seal_now(&self, record: Box<Record<Json>>, durability: Durability) {
        let bytes = bound::size(&record);
        let message = Message::Seal(record, durability);
        if let Ok(permit) = self.shared.places.try_acquire() {
            permit.forget();
            if Place(self).order(message, bytes, false).is_err() {
                self.shared.lost.add(1, "the journal is closed");
            }
        } else if self.shared.dropped.fetch_add(1, Ordering::AcqRel) < DROPPED_MAX {
            if self.send(message, None, bytes, 0, true).is_err() {
                self.shared.lost.add(1, "the journal is closed");
            }
        } else {
            self.shared.dropped.fetch_sub(1, Ordering::AcqRel);
            self.shared.lost.add(1, "the journal's queue is full");
        }
    }

    /// A message that takes no place.
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
        let order = Order { message, done, bytes, places, is_dropped };
        self.orders.send(order).map_err(|err| {
            self.shared.release(&err.0);
            gone()
        })
    }

    /// A wait timed out: a write to the disk has not returned.
    fn stalled(&self) {
        if self.shared.stands(Standing::Failing) {
            tracing::error!("the journal's writer has not come to an end for seconds; is its disk there?");
        }
    }
}

/// A place in the queue.
pub(super) struct Place<'q>(&'q Queue);

/// A record that was queued, and may be waited for.
pub(super) struct Sent<'q> {
    queue: &'q Queue,
    answer: Option<Answer>,
}

impl Sent<'_> {
    /// Waits for its commit, where its call asked for one.
    pub(super) async fn committed(self) -> Result<(), JournalError> {
        self.queue.committed(self.answer).await
    }
}

impl<'q> Place<'q> {
    /// Queues a record.
    pub(super) fn seal(
        self,
        record: Box<Record<Json>>,
        durability: Durability,
    ) -> Result<Sent<'q>, JournalError> {
        let queue = self.0;
        let bytes = bound::size(&record);
        queue.shared.admit(bytes)?;
        let waits = durability == Durability::Committed;
        let answer = self.order(Message::Seal(record, durability), bytes, waits)?;
        Ok(Sent { queue, answer })
    }

    /// Gives an order at once.
    fn order(self, message: Message, bytes: usize, waits: bool) -> Result<Option<Answer>, JournalError> {
        let (done, answer) = waits.then(oneshot::channel).unzip();
        // A large record takes the places that are free and does not wait for more; later records do.
        let more = match bytes / PLACE_BYTES {
            0 => 0,
            more => self.0.shared.places.forget_permits(more),
        };
        let queue = self.0;
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
