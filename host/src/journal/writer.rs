//! The one thread that writes, in groups: what waits is committed together.

use std::sync::Mutex;
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::{CallRecord, Durability, JournalError, Json, store};

/// Records that may wait to be written; who comes when it is full waits too.
const QUEUE: usize = 1_024;

/// A group is at most this many records.
const GROUP_MAX: usize = QUEUE;

/// From so many on that are queued, the writer does not stand back any more.
const CROWDED: usize = QUEUE / 4 * 3;

/// A group of so many is written at once: what waits takes memory, and gains nothing any more.
const GROUP_FULL: usize = QUEUE / 4;

/// How long a smaller group that nobody waits for may gather, in rests.
const REST: Duration = Duration::from_millis(5);
const RESTS: usize = 4;

pub(super) enum Message {
    Intend(Box<CallRecord<Json>>),
    /// With the durability that its call asks for: a call whose record is committed was put on record as an intent.
    Seal(Box<CallRecord<Json>>, Durability),
    Flush,
}

type Done = oneshot::Sender<Result<(), String>>;

struct Order {
    message: Message,
    /// Who waits for the commit.
    done: Option<Done>,
}

#[derive(Debug)]
pub(super) struct Writer {
    orders: Option<mpsc::Sender<Order>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    pub(super) fn start(connection: Connection) -> std::io::Result<Writer> {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let thread =
            std::thread::Builder::new().name("journal".into()).spawn(move || write(connection, receiver))?;
        Ok(Writer { orders: Some(sender), thread: Mutex::new(Some(thread)) })
    }

    /// Waits for a place in the queue.
    pub(super) async fn place(&self) -> Result<Place<'_>, JournalError> {
        let orders = self.orders.as_ref().ok_or_else(lost)?;
        orders.reserve().await.map(Place).map_err(|_| lost())
    }

    pub(super) fn is_full(&self) -> bool {
        self.orders.as_ref().is_some_and(|orders| orders.capacity() == 0)
    }

    /// For where nobody can wait. A full queue is written by hand of a thread of its own.
    pub(super) fn queued_now(&self, record: Box<CallRecord<Json>>, durability: Durability) {
        let Some(orders) = &self.orders else { return };
        let order = Order { message: Message::Seal(record, durability), done: None };
        if let Err(mpsc::error::TrySendError::Full(order)) = orders.try_send(order) {
            let orders = orders.clone();
            std::thread::spawn(move || {
                if orders.blocking_send(order).is_err() {
                    tracing::error!("a record was lost: the journal's writer is gone");
                }
            });
        }
    }

    /// Waits until everything that was queued is written.
    pub(super) fn flush(&self) -> Result<(), JournalError> {
        let (done, mut answer) = oneshot::channel();
        let mut order = Order { message: Message::Flush, done: Some(done) };
        let orders = self.orders.as_ref().ok_or_else(lost)?;
        loop {
            match orders.try_send(order) {
                Ok(()) => break,
                Err(mpsc::error::TrySendError::Closed(_)) => return Err(lost()),
                Err(mpsc::error::TrySendError::Full(back)) => order = back,
            }
            std::thread::yield_now();
        }
        loop {
            match answer.try_recv() {
                Ok(answer) => return answer.map_err(JournalError::Write),
                Err(oneshot::error::TryRecvError::Closed) => return Err(lost()),
                Err(oneshot::error::TryRecvError::Empty) => {
                    std::thread::park_timeout(Duration::from_millis(1))
                }
            }
        }
    }
}

/// A place in the queue.
pub(crate) struct Place<'w>(mpsc::Permit<'w, Order>);

impl Place<'_> {
    /// Puts a call on record. Once this is called it will be written, whether or not anybody waits.
    pub(crate) fn seal(
        self,
        record: Box<CallRecord<Json>>,
        durability: Durability,
    ) -> impl Future<Output = Result<(), JournalError>> + use<> {
        self.order(Message::Seal(record, durability), durability)
    }

    /// Gives an order at once; the future waits for as long as its durability asks.
    pub(super) fn order(
        self,
        message: Message,
        durability: Durability,
    ) -> impl Future<Output = Result<(), JournalError>> + use<> {
        let (done, answer) = match durability {
            Durability::Queued => (None, None),
            Durability::Committed => {
                let (done, answer) = oneshot::channel();
                (Some(done), Some(answer))
            }
        };
        self.0.send(Order { message, done });
        async {
            match answer {
                None => Ok(()),
                Some(answer) => answer.await.map_err(|_| lost())?.map_err(JournalError::Write),
            }
        }
    }
}

fn lost() -> JournalError {
    JournalError::Write("its writer is gone".into())
}

impl Drop for Writer {
    /// Everything that is queued is written before the journal closes.
    fn drop(&mut self) {
        self.orders = None;
        let thread = self.thread.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the journal's writer panicked");
        }
    }
}

fn write(mut connection: Connection, mut orders: mpsc::Receiver<Order>) {
    while let Some(first) = orders.blocking_recv() {
        let (group, waiting) = gather(first, &mut orders);
        // A core that has calls to make has them made between two records, as long as nobody waits for these.
        let stand_back = || {
            if waiting.is_empty() && orders.len() < CROWDED {
                std::thread::yield_now();
            }
        };
        let written = commit(&mut connection, group, stand_back).map_err(|err| err.to_string());
        if let Err(err) = &written {
            tracing::error!("the journal cannot be written: {err}");
        }
        for done in waiting {
            // Whoever waited may have gone away.
            let _ = done.send(written.clone());
        }
    }
}

/// What is written together, and who waits for it: who waits for a commit shall not wait for others to come.
fn gather(first: Order, orders: &mut mpsc::Receiver<Order>) -> (Vec<Message>, Vec<Done>) {
    let mut waiting: Vec<Done> = first.done.into_iter().collect();
    let mut group = vec![first.message];
    let mut rests = 0;
    while group.len() < GROUP_MAX {
        match orders.try_recv() {
            Ok(Order { message, done }) => {
                group.push(message);
                waiting.extend(done);
            }
            Err(_) if rests == RESTS || group.len() >= GROUP_FULL || !waiting.is_empty() => break,
            Err(_) => {
                std::thread::sleep(REST);
                rests += 1;
            }
        }
    }
    (group, waiting)
}

/// Commits a group; each record goes as soon as it is written.
fn commit(connection: &mut Connection, group: Vec<Message>, stand_back: impl Fn()) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    for message in group {
        stand_back();
        put(&transaction, &message)?;
    }
    transaction.commit()
}

fn put(connection: &Connection, message: &Message) -> rusqlite::Result<()> {
    match message {
        Message::Intend(record) => store::intend(connection, record),
        Message::Seal(record, durability) => {
            if *durability == Durability::Committed {
                store::end_intent(connection, record)?;
            }
            store::seal(connection, record)
        }
        Message::Flush => Ok(()),
    }
}
