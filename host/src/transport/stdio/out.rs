//! What is written: whole lines, in the order in which they came, those that wait together.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rmcp::service::{RoleServer, TxJsonRpcMessage};
use serde::Serialize;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

/// So much of a buffer is kept for what comes next.
const KEPT_BYTES_MAX: usize = 256 << 10;

/// So much may wait for a client that does not read; then nothing more is begun for it.
const WAITING_BYTES_MAX: usize = 16 << 20;

/// Stdout, and what waits for it.
pub(super) struct Out {
    waiting: Mutex<Vec<u8>>,
    /// Nothing once it is closed, or broken.
    pipe: tokio::sync::Mutex<Option<Pipe>>,
}

struct Pipe {
    to: Box<dyn AsyncWrite + Send + Unpin>,
    /// What is being written; it changes places with what waits.
    batch: Vec<u8>,
}

impl Pipe {
    async fn write(&mut self) -> std::io::Result<()> {
        self.to.write_all(&self.batch).await?;
        self.to.flush().await?;
        self.batch.clear();
        self.batch.shrink_to(KEPT_BYTES_MAX);
        Ok(())
    }
}

impl Out {
    pub(super) fn new(pipe: Box<dyn AsyncWrite + Send + Unpin>) -> Out {
        Out { waiting: Mutex::default(), pipe: Some(Pipe { to: pipe, batch: Vec::new() }).into() }
    }

    /// Puts a message after those that wait. Somebody has to `write` then.
    pub(super) fn put(&self, message: &impl Serialize) -> serde_json::Result<()> {
        let mut waiting = self.waiting();
        let before = waiting.len();
        let put = serde_json::to_writer(&mut *waiting, message);
        match put {
            Ok(()) => waiting.push(b'\n'),
            // Half a message would spoil the next one.
            Err(_) => waiting.truncate(before),
        }
        put
    }

    /// Whether the client should read before it is told more.
    pub(super) fn is_full(&self) -> bool {
        self.waiting().len() > WAITING_BYTES_MAX
    }

    /// Writes what waits. Whoever finds nothing knows that it was written.
    pub(super) async fn write(&self) -> std::io::Result<()> {
        let mut pipe = self.pipe.lock().await;
        // Who fails or is stopped half-way leaves no pipe: nobody whose line it was shall take it for written.
        let mut open = pipe.take().ok_or(std::io::ErrorKind::NotConnected)?;
        std::mem::swap(&mut open.batch, &mut *self.waiting());
        if !open.batch.is_empty() {
            open.write().await?;
        }
        *pipe = Some(open);
        Ok(())
    }

    /// Writes a message.
    pub(super) async fn send(&self, message: &TxJsonRpcMessage<RoleServer>) -> std::io::Result<()> {
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
        (0..=16).for_each(|_| out.put(&line).unwrap());
        assert!(out.is_full());
        let length = 17 * (line.len() as u64 + 3);
        let mut read = Vec::new();
        let mut reading = theirs.take(length);
        let (written, count) = tokio::join!(out.write(), reading.read_to_end(&mut read));
        written.unwrap();
        assert_eq!((count.unwrap() as u64, out.is_full()), (length, false));
    }
}
