//! Writes whole lines in order. Messages that wait together are written together.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use serde::Serialize;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

/// Capacity of a buffer that is kept for the next messages.
const KEPT_BYTES_MAX: usize = 256 << 10;

/// Bytes of unsent answers above which no further line is read. Four times the default limit of a result, so that only
/// a client that does not read reaches it.
const WAITING_BYTES_MAX: usize = 4 << 20;

/// Stdout, with the messages that wait for it.
pub(super) struct Out {
    waiting: Mutex<Vec<u8>>,
    /// A writer waits for the pipe. It will also write every message that is queued before it gets the pipe.
    has_writer: AtomicBool,
    /// Stdout is closed or broken. Answers are discarded, so that they do not accumulate.
    is_closed: AtomicBool,
    /// Why stdout broke, for who serves.
    failed: OnceLock<String>,
    /// `None` after it was closed or failed.
    pipe: tokio::sync::Mutex<Option<Pipe>>,
}

struct Pipe {
    to: Box<dyn AsyncWrite + Send + Unpin>,
    /// The bytes being written. Swapped with the waiting bytes for each write.
    batch: Vec<u8>,
}

impl Pipe {
    async fn write(&mut self) -> std::io::Result<()> {
        self.to.write_all(&self.batch).await?;
        // Tokio's stdout for terminals and files buffers. For pipes and sockets this does nothing.
        self.to.flush().await?;
        self.batch.clear();
        // One large response must not keep its memory for the life of the connection.
        self.batch.shrink_to(KEPT_BYTES_MAX);
        Ok(())
    }
}

impl Out {
    pub(super) fn new(pipe: Box<dyn AsyncWrite + Send + Unpin>) -> Out {
        let pipe = Some(Pipe { to: pipe, batch: Vec::new() }).into();
        let (waiting, has_writer, is_closed, failed) = Default::default();
        Out { waiting, has_writer, is_closed, failed, pipe }
    }

    /// Why nothing more can be written, if a write failed.
    pub(super) fn failed(&self) -> Option<&str> {
        self.failed.get().map(String::as_str)
    }

    /// Queues a message. The caller must ensure that `write` is called afterwards.
    pub(super) fn put(&self, message: &impl Serialize) -> serde_json::Result<()> {
        let mut waiting = self.waiting();
        // Under the lock, which `discard` holds when it sets the flag: no message is queued after the queue was
        // discarded.
        if self.is_closed.load(Ordering::Acquire) {
            return Ok(());
        }
        let before = waiting.len();
        let put = serde_json::to_writer(&mut *waiting, message);
        match put {
            Ok(()) => waiting.push(b'\n'),
            // A partial message would corrupt the next one.
            Err(_) => waiting.truncate(before),
        }
        put
    }

    /// Whether the client must read before further requests are accepted.
    pub(super) fn is_full(&self) -> bool {
        self.waiting().len() > WAITING_BYTES_MAX
    }

    /// Whether a message that was just queued needs a further call of `write`. A second waiting writer would find an
    /// empty queue: without this check, each answer to a client that does not read would keep a task waiting.
    pub(super) fn needs_writer(&self) -> bool {
        // `AcqRel` pairs with the store in `write`: if this returns false, the waiting writer takes a queue with the
        // message in it.
        !self.has_writer.swap(true, Ordering::AcqRel)
    }

    /// Writes the queued messages. If the queue is empty, another writer has written them.
    pub(super) async fn write(&self) -> std::io::Result<()> {
        let mut pipe = self.pipe.lock().await;
        // Before the swap below: a message put after this line finds no writer, one put before it is in the swap.
        self.has_writer.store(false, Ordering::Release);
        // On error or cancellation the pipe stays `None`, so later writers fail instead of reporting success.
        let Some(mut open) = pipe.take() else {
            self.discard();
            return Err(std::io::ErrorKind::NotConnected.into());
        };
        // The lock on `waiting` is held for the swap only, so callers queue messages while the pipe is slow.
        std::mem::swap(&mut open.batch, &mut *self.waiting());
        if !open.batch.is_empty()
            && let Err(err) = open.write().await
        {
            self.discard();
            // The first one counts, and no other write follows it.
            let _ = self.failed.set(err.to_string());
            return Err(err);
        }
        *pipe = Some(open);
        Ok(())
    }

    fn discard(&self) {
        let mut waiting = self.waiting();
        self.is_closed.store(true, Ordering::Release);
        // Replaced, not cleared, which also frees the memory.
        *waiting = Vec::new();
    }

    /// Queues and writes a message.
    pub(super) async fn send(&self, message: &(impl Serialize + Sync)) -> std::io::Result<()> {
        self.put(message)?;
        self.write().await
    }

    pub(super) async fn close(&self) -> std::io::Result<()> {
        match self.pipe.lock().await.take() {
            Some(mut pipe) => pipe.to.shutdown().await,
            None => Ok(()),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<u8>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[tokio::test]
    async fn is_full_until_the_client_has_read() {
        let (theirs, ours) = tokio::io::duplex(1 << 10);
        let out = Out::new(Box::new(ours));
        let line = "x".repeat(1 << 20);
        (0..4).for_each(|_| out.put(&line).unwrap());
        assert!(out.is_full());
        let length = 4 * (line.len() as u64 + 3);
        let mut read = Vec::new();
        let mut reading = theirs.take(length);
        let (written, count) = tokio::join!(out.write(), reading.read_to_end(&mut read));
        written.unwrap();
        assert_eq!((count.unwrap() as u64, out.is_full()), (length, false));
    }

    #[tokio::test]
    async fn one_waiting_writer_takes_along_what_is_put_meanwhile() {
        let (theirs, ours) = tokio::io::duplex(4);
        let out = Out::new(Box::new(ours));
        out.put(&"first").unwrap();
        assert!(out.needs_writer());
        let mut writing = Box::pin(out.write());
        assert!(futures::poll!(&mut writing).is_pending(), "the client does not read");
        out.put(&"second").unwrap();
        assert!(out.needs_writer(), "the first writer has taken its batch already");
        out.put(&"third").unwrap();
        assert!(!out.needs_writer());
        let mut read = Vec::new();
        let mut reading = theirs.take(25);
        let both = async { (writing.await, out.write().await) };
        let (_, count) = tokio::join!(both, reading.read_to_end(&mut read));
        assert_eq!((count.unwrap(), &*read), (25, &b"\"first\"\n\"second\"\n\"third\"\n"[..]));
    }

    #[tokio::test]
    async fn answers_to_a_client_that_has_left_are_discarded() {
        let (theirs, ours) = tokio::io::duplex(4);
        drop(theirs);
        let out = Out::new(Box::new(ours));
        out.put(&"lost").unwrap();
        assert!(out.write().await.is_err());
        assert_eq!(out.failed(), Some("broken pipe"));
        let line = "x".repeat(8 << 20);
        out.put(&line).unwrap();
        assert!(!out.is_full());
    }
}
